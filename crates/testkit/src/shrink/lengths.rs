//! Cases with shorter axes.

use std::collections::HashMap;

use cotangent_array::{Array, Shape};
use cotangent_graph::ops::{ArrayOp, Attributes, Value};
use cotangent_graph::{Builder, Op, TensorType, Var};

use crate::random::Case;

/// The case with every axis of one length made shorter. Attributes that speak of lengths follow;
/// where that does not give a graph that verifies, there is no such case.
pub(super) fn resized(case: &Case, from: usize, to: usize) -> Option<Case> {
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
