//! Transposition: the cotangents of a linear graph's inputs from those of its outputs.

use std::borrow::Cow;

use cotangent_graph::ops::complex::complex_transpose;
use cotangent_graph::ops::{Binary, Operand, Part, Ternary, Unary};
use cotangent_graph::{Builder, Equation, FastMap, Graph, Op, TensorType, Var};

use crate::TransformError;
use crate::forward::{product, sum};
use crate::linearize::dependents;
use crate::regions;

/// The transpose of a graph that is linear in some of its inputs.
///
/// Inputs of the result: the inputs that are not linear, then a cotangent `ct_outK` for each
/// output. Outputs: the cotangents of the linear inputs, in order.
///
/// # Errors
/// A choice that does not fit, or an operation that is not linear in the chosen inputs.
pub fn transpose(graph: &Graph, linear: &[bool]) -> Result<Graph, TransformError> {
    transpose_call(graph, linear, &[])
}

/// The same where `open` lists the inputs of the result that may hold infinite values, as a
/// callee's may.
pub(crate) fn transpose_call(
    graph: &Graph,
    linear: &[bool],
    open: &[usize],
) -> Result<Graph, TransformError> {
    crate::forward::check_choice(graph, linear)?;
    let mut b = Builder::new(&format!("{}_transpose", graph.name()));
    let mut to: Vec<Option<Var>> = vec![None; graph.equations().len()];
    let (mut wanted, mut inputs) = (Vec::new(), Vec::new());
    for ((name, v), chosen) in graph.inputs().iter().zip(linear) {
        if *chosen {
            wanted.push(*v);
        } else if let Some(ty) = graph.ty(*v).tensor() {
            let known = b.input(name, ty.clone());
            to[v.index()] = Some(known);
            inputs.push(known);
        }
    }
    let depends = dependents(graph, &wanted);
    let mut seeds = Vec::new();
    for (k, (o, ty)) in graph.outputs().iter().zip(graph.output_types()).enumerate() {
        let seed = b.input(&format!("ct_out{k}"), ty);
        seeds.push((*o, seed));
        inputs.push(seed);
    }
    for v in open.iter().filter_map(|i| inputs.get(*i)) {
        b.set_open(*v);
    }
    // What does not depend on the linear inputs is computed as it stands.
    for (v, e) in graph
        .iter()
        .filter(|(v, e)| !depends[v.index()] && !e.op.is_input())
    {
        let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
        b.follow(e);
        to[v.index()] = Some(b.copy(e, &args));
    }
    b.set_location(None);
    let source = Source::Apart(graph);
    let results = pull_back(&mut b, source, &depends, &to, &seeds, &wanted)?;
    let outputs: Vec<Var> = results
        .into_iter()
        .zip(&wanted)
        .map(|(c, v)| c.unwrap_or_else(|| zeros(&mut b, graph, *v)))
        .collect();
    Ok(b.finish(&outputs)?.into_live(&[]))
}

/// Where the equations are that are walked backward.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// In another graph.
    Apart(&'a Graph),
    /// In the graph that is being built, before what the walk adds to it.
    Built,
}

impl<'a> Source<'a> {
    fn graph<'b>(self, b: &'b Builder) -> &'b Graph
    where
        'a: 'b,
    {
        match self {
            Source::Apart(graph) => graph,
            Source::Built => b.graph(),
        }
    }

    /// An equation, to hold while the graph is built on.
    fn equation(self, b: &Builder, v: Var) -> Cow<'a, Equation> {
        match self {
            Source::Apart(graph) => Cow::Borrowed(graph.equation(v)),
            Source::Built => Cow::Owned(b.graph().equation(v).clone()),
        }
    }
}

/// Walks linear equations backward, from cotangents of some variables to the cotangents of the wanted
/// ones. `linear` says of each variable of the source whether it is linear, `to` gives the known
/// variables in `b`.
pub(crate) fn pull_back(
    b: &mut Builder,
    source: Source<'_>,
    linear: &[bool],
    to: &[Option<Var>],
    seeds: &[(Var, Var)],
    wanted: &[Var],
) -> Result<Vec<Option<Var>>, TransformError> {
    let mut walk = PullBack {
        source,
        linear,
        to,
        cotangents: vec![None; linear.len()],
        parts: FastMap::default(),
        operands: Vec::new(),
    };
    for (v, seed) in seeds.iter().filter(|(v, _)| linear[v.index()]) {
        walk.add(b, *v, Some(*seed));
    }
    for i in (0..linear.len()).rev().filter(|i| linear[*i]) {
        let v = Var::from_index(i);
        let (parts, cotangent) = (walk.parts.remove(&v), walk.cotangents[i]);
        if parts.is_none() && cotangent.is_none() {
            continue;
        }
        let e = source.equation(b, v);
        if e.op.is_input() {
            continue;
        }
        b.follow_back(&e);
        match (parts, cotangent) {
            (Some(parts), _) => walk.call(b, &e, &parts)?,
            (None, Some(cotangent)) => walk.step(b, &e, cotangent)?,
            (None, None) => {}
        }
        if b.failed() {
            break;
        }
    }
    b.set_location(None);
    Ok(wanted.iter().map(|v| walk.cotangents[v.index()]).collect())
}

struct PullBack<'a> {
    source: Source<'a>,
    linear: &'a [bool],
    to: &'a [Option<Var>],
    cotangents: Vec<Option<Var>>,
    /// Cotangents of the components of tuples.
    parts: FastMap<Var, Vec<Option<Var>>>,
    /// The operands of one operation: a list that every step fills anew.
    operands: Vec<Operand>,
}

impl PullBack<'_> {
    fn add(&mut self, b: &mut Builder, v: Var, cotangent: Option<Var>) {
        if self.linear[v.index()] {
            self.cotangents[v.index()] = sum(b, self.cotangents[v.index()], cotangent);
        }
    }

    fn operand(&self, b: &Builder, v: Var) -> Operand {
        match self.to[v.index()] {
            Some(known) if !self.linear[v.index()] => Operand::Known(known),
            _ => {
                let ty = self.source.graph(b).ty(v).tensor().cloned();
                Operand::Linear(ty.unwrap_or_else(|| b.tensor(v)))
            }
        }
    }

    /// The cotangents of one operation's operands: one match over the families.
    fn step(
        &mut self,
        b: &mut Builder,
        e: &Equation,
        cotangent: Var,
    ) -> Result<(), TransformError> {
        let mut operands = std::mem::take(&mut self.operands);
        operands.clear();
        operands.extend(e.args.iter().map(|a| self.operand(b, *a)));
        let done = self.operation(b, e, &operands, cotangent);
        self.operands = operands;
        done
    }

    fn operation(
        &mut self,
        b: &mut Builder,
        e: &Equation,
        operands: &[Operand],
        cotangent: Var,
    ) -> Result<(), TransformError> {
        let results: Option<Vec<Option<Var>>> = match (&e.op, operands) {
            (Op::Unary(Unary::Neg), [_]) => Some(vec![Some(b.neg(cotangent))]),
            (Op::Binary(Binary::Add), [_, _]) => Some(vec![Some(cotangent); 2]),
            (Op::Binary(Binary::Sub), [_, y]) => {
                let right = y.is_linear().then(|| b.neg(cotangent));
                Some(vec![Some(cotangent), right])
            }
            (
                Op::Binary(op @ (Binary::Mul | Binary::Zmul)),
                [Operand::Linear(_), Operand::Known(p)],
            ) => Some(vec![Some(product(b, *op, cotangent, *p)), None]),
            (
                Op::Binary(op @ (Binary::Mul | Binary::Zmul)),
                [Operand::Known(p), Operand::Linear(_)],
            ) => Some(vec![None, Some(product(b, *op, cotangent, *p))]),
            (Op::Binary(Binary::Div), [Operand::Linear(_), Operand::Known(y)]) => {
                let one = b.like(*y, 1.0);
                let reciprocal = b.div(one, *y);
                Some(vec![
                    Some(product(b, Binary::Mul, cotangent, reciprocal)),
                    None,
                ])
            }
            (Op::Ternary(Ternary::Select), [Operand::Known(c), x, y]) => {
                let zero = b.like(cotangent, 0.0);
                let left = x.is_linear().then(|| b.select(*c, cotangent, zero));
                let right = y.is_linear().then(|| b.select(*c, zero, cotangent));
                Some(vec![None, left, right])
            }
            (Op::Convert(_), [Operand::Linear(x)]) if x.dtype.is_inexact() => {
                // A real number became the real part.
                let cotangent = match x.dtype.is_complex() {
                    true => cotangent,
                    false => b.part(Part::Real, cotangent),
                };
                Some(vec![Some(b.convert(x.dtype, cotangent))])
            }
            (Op::Part(op), [_]) => op.transpose(b, cotangent).map(|c| vec![Some(c)]),
            (Op::Complex, [re, im]) => {
                let parts = complex_transpose(b, cotangent);
                Some(vec![
                    re.is_linear().then_some(parts[0]),
                    im.is_linear().then_some(parts[1]),
                ])
            }
            (Op::Array(op), operands) => op.transpose(b, operands, cotangent),
            (Op::Get(index), _) => {
                if let Some(tuple) = e.args.first() {
                    let count = self.source.graph(b).ty(*tuple).components().len();
                    let parts = self
                        .parts
                        .entry(*tuple)
                        .or_insert_with(|| vec![None; count]);
                    if let Some(part) = parts.get_mut(*index) {
                        *part = sum(b, *part, Some(cotangent));
                    }
                }
                return Ok(());
            }
            (Op::Call(_) | Op::Region(_) | Op::Linalg(_), _) => {
                return self.call(b, e, &[Some(cotangent)]);
            }
            _ => None,
        };
        let Some(results) = results else {
            return Err(TransformError::NotLinear {
                op: e.op.name().to_owned(),
                location: e.location,
            });
        };
        for (a, c) in e.args.iter().zip(results) {
            self.add(b, *a, c);
        }
        Ok(())
    }

    /// An operation with several results: a call, a branch or a loop, whose bodies are transposed,
    /// or one of linear algebra.
    fn call(
        &mut self,
        b: &mut Builder,
        e: &Equation,
        parts: &[Option<Var>],
    ) -> Result<(), TransformError> {
        let operands: Vec<Operand> = e.args.iter().map(|a| self.operand(b, *a)).collect();
        let cotangents: Vec<Var> = parts
            .iter()
            .zip(e.ty.components())
            .map(|(part, ty)| part.unwrap_or_else(|| b.zeros(ty)))
            .collect();
        let results = match &e.op {
            Op::Linalg(op) => match op.transpose(b, &operands, &cotangents) {
                Some(results) => results,
                None => {
                    return Err(TransformError::NotLinear {
                        op: e.op.name().to_owned(),
                        location: e.location,
                    });
                }
            },
            _ => regions::transpose(b, e, &operands, &cotangents)?,
        };
        for (a, c) in e.args.iter().zip(results) {
            self.add(b, *a, c);
        }
        Ok(())
    }
}

fn zeros(b: &mut Builder, graph: &Graph, v: Var) -> Var {
    match graph.ty(v).tensor() {
        Some(ty) => b.zeros(ty),
        None => b.zeros(&TensorType::scalar(cotangent_array::DType::F64)),
    }
}
