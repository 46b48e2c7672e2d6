//! The ways to make a case smaller by one step.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::{Array, Complex64, Scalar};
use cotangent_graph::ops::{Binary, Compare, Region};
use cotangent_graph::{Callee, Equation, Evaluator, Graph, Op, Type, Var};

use super::lengths::resized;
use super::rebuild::{rebuild, rebuilt, without_unread};
use crate::random::Case;

/// One way to make a case smaller.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Only this output.
    Only(usize),
    /// All outputs but this one.
    Without(usize),
    /// A new input with its value in place of a variable.
    Input(Var),
    /// One number in place of a variable: that of its first element.
    Full(Var),
    /// One of its operands in place of a variable.
    Operand(Var, usize),
    /// A variable as the only output.
    Output(Var),
    /// The callee's operations in place of a call.
    Inline(Var),
    /// One of its branches in place of a branch.
    Branch(Var, usize),
    /// A smaller body of a call, branch or loop: which of its graphs, and the edit inside.
    Inner(Var, usize, Inside),
    /// Inputs that nothing reads, away.
    Unread,
    /// All axes of one length become shorter, in inputs, constants and attributes.
    Resize(usize, usize),
    /// The elements of an input rounded to so many digits.
    Round(usize, i32),
    /// The elements of an input all 1, or its integers 0.
    Ones(usize),
}

/// An edit of a body, which keeps its inputs and the types of its outputs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inside {
    /// Without what no output needs.
    Dead,
    /// One of its operands in place of a variable.
    Operand(Var, usize),
    /// A one everywhere in place of a variable.
    One(Var),
}

pub(super) fn edits(case: &Case) -> Vec<Edit> {
    let g = &case.graph;
    let mut edits = Vec::new();
    if g.outputs().len() > 1 {
        edits.extend((0..g.outputs().len()).map(Edit::Only));
        edits.extend((0..g.outputs().len()).map(Edit::Without));
    }
    let operations: Vec<Var> = g
        .iter()
        .filter(|(_, e)| !e.op.is_input() && !e.op.is_constant())
        .map(|(v, _)| v)
        .collect();
    edits.extend(operations.iter().map(|v| Edit::Output(*v)));
    for v in operations.iter().rev() {
        let e = g.equation(*v);
        edits.push(Edit::Input(*v));
        for (i, a) in e.args.iter().enumerate() {
            if g.ty(*a) == &e.ty {
                edits.push(Edit::Operand(*v, i));
            }
        }
        edits.push(Edit::Full(*v));
        if matches!(e.op, Op::Call(_)) {
            edits.push(Edit::Inline(*v));
        }
        if matches!(e.op, Op::Region(Region::Cond(_))) {
            edits.extend([Edit::Branch(*v, 0), Edit::Branch(*v, 1)]);
        }
        for (k, callee) in e.op.callees().enumerate() {
            edits.push(Edit::Inner(*v, k, Inside::Dead));
            for (inner, e) in callee.0.iter() {
                if !e.op.is_constant() {
                    edits.push(Edit::Inner(*v, k, Inside::One(inner)));
                }
                for (i, a) in e.args.iter().enumerate() {
                    if callee.0.ty(*a) == &e.ty {
                        edits.push(Edit::Inner(*v, k, Inside::Operand(inner, i)));
                    }
                }
            }
        }
    }
    edits.push(Edit::Unread);
    for from in 1..=8 {
        edits.extend((0..from).rev().map(|to| Edit::Resize(from, to)));
    }
    for i in 0..case.inputs.len() {
        edits.push(Edit::Full(g.inputs()[i].1));
        edits.push(Edit::Ones(i));
        edits.extend((0..4).map(|digits| Edit::Round(i, digits)));
    }
    edits
}

impl Edit {
    pub(super) fn apply(&self, case: &Case) -> Option<Case> {
        let g = &case.graph;
        let all: Vec<Var> = g.outputs().to_vec();
        match self {
            Edit::Only(k) => rebuilt(case, &[*all.get(*k)?], |_, _, _| None),
            Edit::Without(k) => {
                let rest: Vec<Var> = all
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| i != k)
                    .map(|(_, v)| *v)
                    .collect();
                rebuilt(case, &rest, |_, _, _| None)
            }
            Edit::Output(v) => {
                g.ty(*v).tensor()?;
                rebuilt(case, &[*v], |_, _, _| None)
            }
            Edit::Input(v) => {
                let value = values(case).remove(v)?;
                let mut inputs = case.inputs.clone();
                inputs.push(value);
                let taken: Vec<&str> = g.inputs().iter().map(|(n, _)| &**n).collect();
                let name = (0..)
                    .map(|i| format!("i{i}"))
                    .find(|n| !taken.contains(&n.as_str()))?;
                let graph = rebuild(g, &all, |b, at, _| {
                    let ty = g.ty(*v).tensor().cloned();
                    (at == *v)
                        .then(|| ty.map(|t| vec![b.input(&name, t)]))
                        .flatten()
                })?;
                Some(Case {
                    graph,
                    inputs,
                    ..case.clone()
                })
            }
            Edit::Full(v) => {
                let value = match g.inputs().iter().position(|(_, i)| i == v) {
                    Some(i) => case.inputs.get(i)?.at(0)?,
                    None => values(case).get(v)?.at(0)?,
                };
                let shape = g.ty(*v).tensor()?.shape.clone();
                rebuilt(case, &all, |b, at, _| {
                    (at == *v).then(|| vec![b.full(value, shape.clone())])
                })
            }
            Edit::Operand(v, i) => rebuilt(case, &all, |_, at, args| {
                if at == *v {
                    args.get(*i).map(|a| vec![*a])
                } else {
                    None
                }
            }),
            Edit::Inline(v) => {
                let Op::Call(callee) = &g.equation(*v).op else {
                    return None;
                };
                rebuilt(case, &all, |b, at, args| {
                    (at == *v).then(|| b.inline(&callee.0, args))
                })
            }
            Edit::Branch(v, which) => {
                let Op::Region(Region::Cond(c)) = &g.equation(*v).op else {
                    return None;
                };
                let branch = [&c.then, &c.otherwise].get(*which)?.0.clone();
                rebuilt(case, &all, |b, at, args| {
                    (at == *v).then(|| b.call(&branch, args.get(1..).unwrap_or_default()))
                })
            }
            Edit::Inner(v, k, inside) => {
                let op = with_body(&g.equation(*v).op, *k, |body| inside.apply(body))?;
                if !ends(&op) {
                    return None;
                }
                rebuilt(case, &all, |b, at, args| {
                    (at == *v).then(|| {
                        let result = b.push(op.clone(), args);
                        match b.ty(result).clone() {
                            Type::Tensor(_) => vec![result],
                            Type::Tuple(parts) => (0..parts.len())
                                .map(|i| b.push(Op::Get(i), &[result]))
                                .collect(),
                        }
                    })
                })
            }
            Edit::Unread => rebuilt(case, &all, |_, _, _| None).and_then(|c| without_unread(&c)),
            Edit::Resize(from, to) => resized(case, *from, *to),
            Edit::Round(i, digits) => with_input(case, *i, |s| {
                let by = 10.0_f64.powi(*digits);
                let round = |x: f64| (x * by).round() / by;
                let z = s.to_complex();
                Scalar::from_complex(s.dtype(), Complex64::new(round(z.re), round(z.im)))
            }),
            Edit::Ones(i) => with_input(case, *i, |s| match s.dtype() {
                dtype if dtype.is_inexact() => Scalar::one(dtype),
                other => Scalar::zero(other),
            }),
        }
    }
}

impl Inside {
    fn apply(self, body: &Graph) -> Option<Graph> {
        let outputs = body.outputs();
        match self {
            Inside::Dead => rebuild(body, outputs, |_, _, _| None),
            Inside::Operand(v, i) => rebuild(body, outputs, |_, at, args| {
                if at == v {
                    args.get(i).map(|a| vec![*a])
                } else {
                    None
                }
            }),
            Inside::One(v) => {
                let ty = body.ty(v).tensor()?.clone();
                rebuild(body, outputs, |b, at, _| {
                    (at == v).then(|| vec![b.full(Scalar::one(ty.dtype), ty.shape.clone())])
                })
            }
        }
    }
}

/// Whether a loop still counts up to its limit, as the sampler made it, so that it ends.
fn ends(op: &Op) -> bool {
    let Op::Region(Region::While(w)) = op else {
        return true;
    };
    let first = |g: &Graph| g.outputs().first().map(|o| g.equation(*o).clone());
    let reads_counter =
        |g: &Graph, e: &Equation| e.args.first() == g.inputs().first().map(|i| &i.1);
    let (test, next) = (first(&w.test.0), first(&w.body.0));
    test.is_some_and(|e| e.op == Op::Compare(Compare::Lt) && reads_counter(&w.test.0, &e))
        && next.is_some_and(|e| e.op == Op::Binary(Binary::Add) && reads_counter(&w.body.0, &e))
}

/// The operation with another graph as its `k`-th.
fn with_body(op: &Op, k: usize, change: impl Fn(&Graph) -> Option<Graph>) -> Option<Op> {
    let mut at = 0;
    let mut next = |callee: &Callee| -> Result<Callee, ()> {
        at += 1;
        if at != k + 1 {
            return Ok(callee.clone());
        }
        change(&callee.0).map(|g| Callee(Arc::new(g))).ok_or(())
    };
    Some(match op {
        Op::Call(callee) => Op::Call(next(callee).ok()?),
        // A function and its rule must go on to fit each other.
        Op::Region(Region::Custom(_)) => return None,
        Op::Region(region) => Op::Region(region.map_callees(next).ok()?),
        _ => return None,
    })
}

fn with_input(case: &Case, i: usize, f: impl Fn(Scalar) -> Scalar) -> Option<Case> {
    let mut case = case.clone();
    let input = case.inputs.get_mut(i)?;
    *input = crate::arrays::map(input, f);
    Some(case)
}

/// The value of every variable that is an array.
fn values(case: &Case) -> HashMap<Var, Array> {
    let mut values = HashMap::new();
    let graph = &case.graph;
    let mut evaluator = Evaluator::observed(|g, v, a| {
        if std::ptr::eq(g, graph) {
            values.insert(v, a.clone());
        }
    });
    // Where it fails, the values found so far are those there are.
    let _ = evaluator.run(graph, &case.inputs);
    drop(evaluator);
    values
}
