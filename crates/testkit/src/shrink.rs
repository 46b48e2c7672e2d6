//! Makes a failing case small while it keeps failing in the same way.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::{Array, Complex64, Scalar, Shape};
use cotangent_graph::ops::{ArrayOp, Attributes, Binary, Compare, Region, Value};
use cotangent_graph::{
    Builder, Callee, Equation, Evaluator, Graph, Op, TensorType, Type, Var, print,
};

use crate::random::Case;

/// The smallest case that could be reached, by removing outputs and operations, putting values in
/// the place of what computes them, inlining calls, shortening axes and rounding inputs.
///
/// `fails` says whether a case still fails; it is asked at most `tries` times.
pub fn shrink(case: &Case, tries: usize, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut left = tries;
    loop {
        let mut progress = false;
        let mut next = 0;
        // The list of edits belongs to the case, so it is made anew after each success; going on
        // at the same place keeps the whole linear in the tries.
        let mut edits = edits(&best);
        while next < edits.len() {
            if left == 0 {
                return best;
            }
            if let Some(smaller) = edits[next].apply(&best)
                && size(&smaller) < size(&best)
            {
                left -= 1;
                if fails(&smaller) {
                    best = smaller;
                    edits = self::edits(&best);
                    progress = true;
                    continue;
                }
            }
            next += 1;
        }
        if !progress {
            return best;
        }
    }
}

/// A case as text: the graph as .ct, each input as NAME = nested brackets, and the seed.
pub fn describe(case: &Case) -> String {
    let mut text = print(&case.graph);
    text.push_str("// inputs, as for `cotangent run --in NAME=VALUE`:\n");
    for ((name, _), array) in case.graph.inputs().iter().zip(&case.inputs) {
        text.push_str(&format!("//   {name} = {}\n", brackets(array)));
    }
    text.push_str(&format!("// seed {:#018x}\n", case.seed));
    text
}

/// An array as nested brackets with every digit.
pub fn brackets(a: &Array) -> String {
    fn write(a: &Array, axis: usize, at: &mut usize, text: &mut String) {
        match a.shape().dims().get(axis) {
            None => {
                text.push_str(&a.at(*at).map(|s| s.to_string()).unwrap_or_default());
                *at += 1;
            }
            Some(n) => {
                text.push('[');
                for i in 0..*n {
                    if i > 0 {
                        text.push_str(", ");
                    }
                    write(a, axis + 1, at, text);
                }
                text.push(']');
            }
        }
    }
    let mut text = String::new();
    write(a, 0, &mut 0, &mut text);
    text
}

/// What shrinking makes smaller, the most important first.
fn size(case: &Case) -> (usize, usize, usize, usize, usize) {
    fn operations(graph: &Graph) -> usize {
        let weight = |e: &cotangent_graph::Equation| match &e.op {
            Op::Input | Op::Full(..) => 0,
            Op::Constant(_) => 1,
            Op::Call(_) | Op::Region(_) => {
                3 + e
                    .op
                    .callees()
                    .map(|callee| operations(&callee.0))
                    .sum::<usize>()
            }
            _ => 2,
        };
        graph.equations().iter().map(weight).sum()
    }
    let g = &case.graph;
    let elements: usize = g
        .equations()
        .iter()
        .flat_map(|e| e.ty.components())
        .map(|t| t.shape.elements() + t.rank())
        .sum();
    let digits = case
        .inputs
        .iter()
        .flat_map(Array::scalars)
        .map(|s| s.to_string().len())
        .sum();
    (
        operations(g),
        g.outputs().len(),
        g.inputs().len(),
        elements,
        digits,
    )
}

/// One way to make a case smaller.
#[derive(Clone, Debug)]
enum Edit {
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
enum Inside {
    /// Without what no output needs.
    Dead,
    /// One of its operands in place of a variable.
    Operand(Var, usize),
    /// A one everywhere in place of a variable.
    One(Var),
}

fn edits(case: &Case) -> Vec<Edit> {
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
    fn apply(&self, case: &Case) -> Option<Case> {
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

fn rebuilt(
    case: &Case,
    outputs: &[Var],
    instead: impl FnMut(&mut Builder, Var, &[Var]) -> Option<Vec<Var>>,
) -> Option<Case> {
    let graph = rebuild(&case.graph, outputs, instead)?;
    Some(Case {
        graph,
        ..case.clone()
    })
}

/// The graph built again with other outputs; `instead` may give other variables for an equation,
/// one for each component of its type. Inputs keep their order, new ones come last.
fn rebuild(
    graph: &Graph,
    outputs: &[Var],
    mut instead: impl FnMut(&mut Builder, Var, &[Var]) -> Option<Vec<Var>>,
) -> Option<Graph> {
    let mut b = Builder::new(graph.name());
    let mut parts: HashMap<Var, Vec<Var>> = HashMap::new();
    let mut whole: HashMap<Var, Var> = HashMap::new();
    for (name, v) in graph.inputs() {
        let input = b.input(name, graph.ty(*v).tensor()?.clone());
        // An input that is replaced stays, for the others to keep their places.
        let input = instead(&mut b, *v, &[])
            .and_then(|r| r.first().copied())
            .unwrap_or(input);
        whole.insert(*v, input);
    }
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        if let (Op::Get(i), Some(known)) = (&e.op, e.args.first().and_then(|a| parts.get(a))) {
            let part = match instead(&mut b, v, &[]) {
                Some(other) => *other.first()?,
                None => *known.get(*i)?,
            };
            whole.insert(v, part);
            continue;
        }
        let args: Vec<Var> = e
            .args
            .iter()
            .map(|a| whole.get(a).copied())
            .collect::<Option<_>>()?;
        match (instead(&mut b, v, &args), &e.ty) {
            (Some(several), Type::Tuple(_)) => {
                parts.insert(v, several);
            }
            (Some(one), Type::Tensor(_)) => {
                whole.insert(v, *one.first()?);
            }
            (None, _) => {
                let out = b.push(e.op.clone(), &args);
                whole.insert(v, out);
            }
        }
    }
    let outputs: Vec<Var> = outputs
        .iter()
        .map(|o| whole.get(o).copied())
        .collect::<Option<_>>()?;
    if b.failed() {
        return None;
    }
    Some(b.finish(&outputs).ok()?.without_dead_code())
}

fn without_unread(case: &Case) -> Option<Case> {
    let g = &case.graph;
    let live = g.live();
    let mut b = Builder::new(g.name());
    let mut to: HashMap<Var, Var> = HashMap::new();
    let mut inputs = Vec::new();
    for ((name, v), value) in g.inputs().iter().zip(&case.inputs) {
        if live[v.index()] {
            to.insert(*v, b.input(name, g.ty(*v).tensor()?.clone()));
            inputs.push(value.clone());
        }
    }
    for (v, e) in g
        .iter()
        .filter(|(v, e)| live[v.index()] && !e.op.is_input())
    {
        let args: Vec<Var> = e
            .args
            .iter()
            .map(|a| to.get(a).copied())
            .collect::<Option<_>>()?;
        to.insert(v, b.push(e.op.clone(), &args));
    }
    let outputs: Vec<Var> = g
        .outputs()
        .iter()
        .map(|o| to.get(o).copied())
        .collect::<Option<_>>()?;
    Some(Case {
        graph: b.finish(&outputs).ok()?,
        inputs,
        ..case.clone()
    })
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

/// The case with every axis of one length made shorter. Attributes that speak of lengths follow;
/// where that does not give a graph that verifies, there is no such case.
fn resized(case: &Case, from: usize, to: usize) -> Option<Case> {
    let g = &case.graph;
    let length = |n: usize| if n == from { to } else { n };
    let shape = |s: &Shape| -> Shape { s.iter().map(|n| length(*n)).collect() };
    let cut = |a: &Array| -> Option<Array> {
        let small = shape(a.shape());
        let mut scalars = Vec::new();
        let mut indices = cotangent_array::Indices::new(&small);
        while let Some(index) = indices.next_index() {
            scalars.push(a.get(index)?);
        }
        Array::from_scalars(a.dtype(), small, scalars).ok()
    };
    let mut b = Builder::new(g.name());
    let mut to_var: Vec<Var> = Vec::new();
    let names: HashMap<Var, &str> = g.inputs().iter().map(|(n, v)| (*v, &**n)).collect();
    for (v, e) in g.iter() {
        let args: Vec<Var> = e
            .args
            .iter()
            .map(|a| to_var.get(a.index()).copied())
            .collect::<Option<_>>()?;
        let op = match &e.op {
            Op::Input => {
                let t = e.ty.tensor()?;
                to_var.push(b.input(names.get(&v)?, t.with_shape(shape(&t.shape))));
                continue;
            }
            Op::Full(value, s) => Op::Full(*value, shape(s)),
            Op::Constant(a) => Op::Constant(cut(a)?),
            Op::Array(op) => {
                let old: Vec<&TensorType> =
                    e.args.iter().filter_map(|a| g.ty(*a).tensor()).collect();
                let attributes = op.attributes(&old).into_iter().map(|(name, value)| {
                    let value = if matches!(name, "shape" | "limit" | "window") {
                        resized_value(value, from, to)
                    } else {
                        value
                    };
                    (name.to_owned(), value)
                });
                let attributes = Attributes(attributes.collect());
                let new: Vec<TensorType> = args.iter().map(|a| b.tensor(*a)).collect();
                let new: Vec<&TensorType> = new.iter().collect();
                Op::Array(ArrayOp::from_attributes(op.name(), attributes, &new)?.ok()?)
            }
            // Matrices that were far from singular may not be so when they are cut.
            Op::Linalg(_) => return None,
            // A callee would have to change too.
            Op::Call(_) | Op::Region(_) => return None,
            op => op.clone(),
        };
        to_var.push(b.push(op, &args));
        if b.failed() {
            return None;
        }
    }
    let outputs: Vec<Var> = g.outputs().iter().map(|o| to_var[o.index()]).collect();
    let inputs: Vec<Array> = case.inputs.iter().map(cut).collect::<Option<_>>()?;
    Some(Case {
        graph: b.finish(&outputs).ok()?,
        inputs,
        ..case.clone()
    })
}

fn resized_value(value: Value, from: usize, to: usize) -> Value {
    match value {
        Value::Int(n) if n == from as i64 => Value::Int(to as i64),
        Value::List(items) => Value::List(
            items
                .into_iter()
                .map(|v| resized_value(v, from, to))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use cotangent_array::DType;

    use super::*;
    use cotangent_graph::parse;

    fn case(text: &str, inputs: Vec<Array>) -> Case {
        Case {
            graph: parse(text).unwrap().entry().clone(),
            inputs,
            seed: 1,
            smooth: true,
        }
    }

    #[test]
    fn finds_the_operation_that_matters() {
        let text = "
            fn g(x: f64[3]) -> (f64[3], f64[3]) { (exp(x), sin(x * 2.0)) }
            fn f(x: f64[3], y: f64[3]) {
                let t = g(x);
                let a = get(t, index=0);
                let s = get(t, index=1);
                let c = cosh(s + y);
                (sum(c * a, axes=[0]), tanh(y))
            }";
        let x = Array::from([0.123, 0.456, 0.789]);
        let big = case(text, vec![x.clone(), x]);
        let has_cosh = |c: &Case| crate::rewrite::operations(&c.graph).contains("cosh");
        let small = shrink(&big, 1000, has_cosh);
        assert_eq!(small.graph.operation_count(), 1, "{}", describe(&small));
        assert!(has_cosh(&small));
        assert!(small.graph.inputs().len() <= 1, "{}", describe(&small));
        assert!(cotangent_graph::eval(&small.graph, &small.inputs).is_ok());
    }

    #[test]
    fn shortens_axes_and_rounds_inputs() {
        let big = case(
            "fn f(x: f64[2, 4]) { sum(reshape(x, shape=[4, 2]), axes=[0]) }",
            vec![Array::new([2, 4], vec![0.123; 8]).unwrap()],
        );
        let sums = |c: &Case| {
            let names = crate::rewrite::operations(&c.graph);
            names.contains("sum") && c.graph.inputs().len() == 1 && c.inputs[0].len() >= 2
        };
        let small = shrink(&big, 1000, sums);
        assert_eq!(small.inputs[0].len(), 2, "{}", describe(&small));
        assert!(
            small.inputs[0]
                .to_f64s()
                .iter()
                .all(|x| *x == 0.0 || *x == 1.0)
        );
    }

    #[test]
    fn writes_values_with_every_digit() {
        let a = Array::new([2, 1], vec![0.1_f32, -0.0]).unwrap();
        assert_eq!(brackets(&a), "[[0.1], [-0.0]]");
        assert_eq!(brackets(&Array::scalar(true)), "true");
        assert_eq!(
            brackets(&Array::zeros(DType::F64, [2, 0]).unwrap()),
            "[[], []]"
        );
    }
}
