//! Batching: a graph over one example becomes a graph over many.

mod last;

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_graph::ops::{Linalg, Region, Scan, repeated};
use cotangent_graph::{Builder, Callee, Equation, Graph, Op, Var};

use crate::{TransformError, regions};

/// The graph over a batch of `size` examples.
///
/// `axes[i]` is the axis of the batch in input `i` of the result, or `None` for an input that all
/// examples share. Every output has the batch as its first axis.
///
/// # Errors
/// Axes that do not fit the inputs, or none at all.
pub fn vmap(graph: &Graph, axes: &[Option<usize>], size: usize) -> Result<Graph, TransformError> {
    if axes.len() != graph.inputs().len() {
        return Err(TransformError::InputCount {
            graph: graph.name().to_owned(),
            expected: graph.inputs().len(),
            found: axes.len(),
        });
    }
    let mut b = Builder::new(&format!("{}_vmap", graph.name()));
    let mut inputs = Vec::new();
    for (((name, _), ty), axis) in graph.inputs().iter().zip(graph.input_types()).zip(axes) {
        let Some(axis) = axis else {
            inputs.push((b.input(name, ty), false));
            continue;
        };
        let mut dims = ty.shape.dims().to_vec();
        if *axis > dims.len() {
            return Err(TransformError::Batch(format!(
                "input `{name}` is {ty} for one example: expected a batch axis from 0 to {}, found {axis}",
                dims.len()
            )));
        }
        dims.insert(*axis, size);
        let rank = dims.len();
        let input = b.input(name, ty.with_shape(dims));
        let order: Vec<usize> = std::iter::once(*axis)
            .chain((0..rank).filter(|a| a != axis))
            .collect();
        inputs.push((b.transpose(input, &order), true));
    }
    let outputs = walk(&mut b, graph, &inputs, size)?;
    let outputs: Vec<Var> = outputs
        .into_iter()
        .map(|(v, batched)| {
            if batched {
                v
            } else {
                repeated(&mut b, v, size)
            }
        })
        .collect();
    Ok(b.finish(&outputs)?.without_dead_code())
}

/// The graph over a batch of `size` examples whose axis is the last one: of the inputs for which
/// `batched` holds and of every output.
///
/// Where the examples are many and what each computes with is small, as in a Jacobian, elements that
/// are treated alike then stand side by side, and no product has to move the axis to the front.
pub(crate) fn vmap_last(
    graph: &Graph,
    batched: &[bool],
    size: usize,
) -> Result<Graph, TransformError> {
    let mut b = Builder::new(&format!("{}_vmap", graph.name()));
    let mut inputs = Vec::new();
    for (((name, _), mut ty), batched) in
        graph.inputs().iter().zip(graph.input_types()).zip(batched)
    {
        if *batched {
            let dims = [ty.shape.dims(), &[size]].concat();
            ty = ty.with_shape(dims);
        }
        inputs.push((b.input(name, ty), *batched));
    }
    let outputs = walk_with(&mut b, graph, &inputs, size, Place::Last)?;
    let outputs: Vec<Var> = outputs
        .into_iter()
        .map(|(v, batched)| last::repeated(&mut b, v, batched, size))
        .collect();
    Ok(b.finish(&outputs)?.without_dead_code())
}

/// Where the axis of the batch is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    First,
    Last,
}

/// Emits the graph on inputs of which some have a leading batch axis; the outputs likewise.
pub(crate) fn walk(
    b: &mut Builder,
    graph: &Graph,
    inputs: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    walk_with(b, graph, inputs, size, Place::First)
}

/// [`walk`] with the batch axis anywhere.
fn walk_with(
    b: &mut Builder,
    graph: &Graph,
    inputs: &[(Var, bool)],
    size: usize,
    place: Place,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let mut to: Vec<(Var, bool)> = vec![(Var::from_index(0), false); graph.equations().len()];
    let mut parts: HashMap<Var, Vec<(Var, bool)>> = HashMap::new();
    for ((_, v), input) in graph.inputs().iter().zip(inputs) {
        to[v.index()] = *input;
    }
    let live = graph.live();
    for (v, e) in graph
        .iter()
        .filter(|(v, e)| live[v.index()] && !e.op.is_input())
    {
        b.follow(e);
        if let (Op::Get(index), Some(tuple)) = (&e.op, e.args.first()) {
            if let Some(part) = parts.get(tuple).and_then(|p| p.get(*index)) {
                to[v.index()] = *part;
            }
            continue;
        }
        let args: Vec<(Var, bool)> = e.args.iter().map(|a| to[a.index()]).collect();
        if let Some(results) = several(b, e, graph, &args, size, place)? {
            if let ([one], Some(_)) = (&results[..], e.ty.tensor()) {
                to[v.index()] = *one;
            }
            parts.insert(v, results);
            continue;
        }
        to[v.index()] = step(b, e, &args, size, place);
        if e.ty.tensor().is_none() {
            // Nothing varies over the batch; the components are those of the one result.
            let tuple = to[v.index()].0;
            let count = e.ty.components().len();
            let components = (0..count).map(|i| (b.push(Op::Get(i), &[tuple]), false));
            parts.insert(v, components.collect());
        }
        if b.failed() {
            break;
        }
    }
    b.set_location(None);
    Ok(graph.outputs().iter().map(|o| to[o.index()]).collect())
}

/// The results of an operation that may have several: a call, a loop, a native operation or one of
/// linear algebra; `None` for every other one.
fn several(
    b: &mut Builder,
    e: &Equation,
    graph: &Graph,
    args: &[(Var, bool)],
    size: usize,
    place: Place,
) -> Result<Option<Vec<(Var, bool)>>, TransformError> {
    let calls = e.op.callees().next().is_some();
    let native_batch = matches!(e.op, Op::Native(_)) && args.iter().any(|a| a.1);
    if !calls && !native_batch && !matches!(e.op, Op::Linalg(_)) {
        return Ok(None);
    }
    // These have the batch in front.
    let args = match place {
        Place::First => args.to_vec(),
        Place::Last => last::to_first(b, args),
    };
    let results = match &e.op {
        Op::Linalg(op) => linalg(b, op, &args, size),
        Op::Native(_) if !calls => native(b, e, graph, &args, size)?,
        op => regions::batch(b, op, &args, size)?,
    };
    Ok(Some(match place {
        Place::First => results,
        Place::Last => last::from_first(b, &results),
    }))
}

/// A native operation over the batch: the engine cannot look into it, so a loop calls it once for
/// each example, as the text of the result shows.
fn native(
    b: &mut Builder,
    e: &Equation,
    graph: &Graph,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let mut body = Builder::new("one_call");
    let mut inputs = vec![Var::from_index(0); args.len()];
    let mut operands = Vec::with_capacity(args.len());
    for batched in [true, false] {
        for (i, (v, _)) in args.iter().enumerate().filter(|(_, a)| a.1 == batched) {
            if let Some(ty) = e.args.get(i).and_then(|a| graph.ty(*a).tensor()) {
                inputs[i] = body.input("x", ty.clone());
            }
            operands.push(*v);
        }
    }
    body.follow(e);
    let results = body.results(e.op.clone(), &inputs);
    let scan = Scan {
        body: Callee(Arc::new(body.finish(&results)?)),
        carry: 0,
        scanned: args.iter().filter(|a| a.1).count(),
        length: size,
        reverse: false,
    };
    let results = b.region(Region::Scan(scan), &operands);
    Ok(results.into_iter().map(|v| (v, true)).collect())
}

/// An operation of linear algebra over the batch: all its results.
fn linalg(b: &mut Builder, op: &Linalg, args: &[(Var, bool)], size: usize) -> Vec<(Var, bool)> {
    let vars: Vec<Var> = args.iter().map(|a| a.0).collect();
    let batched: Vec<bool> = args.iter().map(|a| a.1).collect();
    if batched.iter().all(|x| !x) {
        let results = b.linalg(op.clone(), &vars);
        return results.into_iter().map(|v| (v, false)).collect();
    }
    let results = op.batch(b, &vars, &batched, size);
    results.into_iter().map(|v| (v, true)).collect()
}

/// One operation with one result over the batch: one match over the families.
fn step(
    b: &mut Builder,
    e: &Equation,
    args: &[(Var, bool)],
    size: usize,
    place: Place,
) -> (Var, bool) {
    let (vars, batched): (Vec<Var>, Vec<bool>) = args.iter().copied().unzip();
    if batched.iter().all(|x| !x) {
        return (b.push(e.op.clone(), &vars), false);
    }
    if place == Place::Last {
        return (last::step(b, e, args, size), true);
    }
    if let Op::Array(op) = &e.op {
        return (op.batch(b, &vars, &batched, size), true);
    }
    // Pointwise: operands that all examples share are repeated along the batch.
    let full: Vec<Var> = args
        .iter()
        .map(|(v, batched)| if *batched { *v } else { repeated(b, *v, size) })
        .collect();
    (b.push(e.op.clone(), &full), true)
}
