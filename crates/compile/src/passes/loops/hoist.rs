//! Work that is the same in every step.

use std::sync::Arc;

use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Builder, Graph, Op, Var};

use super::body::{Body, Source, live_for};
use crate::CompileError;

/// Does before the loop what depends on shared values alone.
///
/// What costs nothing, such as numbers that stand everywhere, stays with its readers. In a loop that
/// may have no steps, so does what may fail.
pub(super) fn run(b: &mut Builder, body: Body) -> Result<Body, CompileError> {
    let graph = body.step.clone();
    let moved = moved(&graph, &body);
    if !moved.contains(&true) {
        return Ok(body);
    }
    let outside = outside(b, &graph, &body, &moved);
    inside(b, body, &graph, &moved, &outside)
}

/// Which equations leave the loop.
fn moved(graph: &Graph, body: &Body) -> Vec<bool> {
    let mut same = vec![false; graph.equations().len()];
    for (_, v) in graph.inputs().iter().skip(body.first_shared()) {
        same[v.index()] = true;
    }
    let mut moved = vec![false; graph.equations().len()];
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        let fails = body.test.is_some() && may_fail(&e.op);
        same[v.index()] = !fails && e.args.iter().all(|a| same[a.index()]);
        moved[v.index()] = same[v.index()] && !is_free(&e.op);
    }
    moved
}

/// Emits what leaves the loop, and what that reads; the new variables.
fn outside(b: &mut Builder, graph: &Graph, body: &Body, moved: &[bool]) -> Vec<Option<Var>> {
    let all = graph.iter().map(|(v, _)| v);
    let wanted = live_for(graph, all.filter(|v| moved[v.index()]));
    let mut to: Vec<Option<Var>> = vec![None; graph.equations().len()];
    let around = b.checkpoint();
    let shared = graph.inputs().iter().skip(body.first_shared());
    for ((_, v), operand) in shared.zip(&body.shared) {
        to[v.index()] = Some(*operand);
    }
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        if wanted[v.index()] {
            b.follow(e);
            b.set_checkpoint(e.checkpoint.within(around));
            let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
            to[v.index()] = Some(b.push(e.op.clone(), &args));
        }
    }
    to
}

/// The loop with what is left, which takes from outside what it reads of the rest.
fn inside(
    b: &mut Builder,
    mut body: Body,
    graph: &Graph,
    moved: &[bool],
    outside: &[Option<Var>],
) -> Result<Body, CompileError> {
    // Of what is stacked, slices that are the same in every step are stacked outside.
    let carry = body.carried.len();
    let mut outputs: Vec<Var> = Vec::new();
    let mut place: Vec<Source> = Vec::new();
    for (i, o) in graph.outputs().iter().enumerate() {
        let same = moved[o.index()].then(|| outside[o.index()]).flatten();
        place.push(match (same, body.length) {
            (Some(slice), Some(length)) if i >= carry => {
                let ty = b.tensor(slice);
                let mut dims = vec![length];
                dims.extend_from_slice(ty.shape.dims());
                let own: Vec<usize> = (1..dims.len()).collect();
                Source::Outside(b.broadcast(slice, dims, &own))
            }
            _ => {
                outputs.push(*o);
                Source::Output(outputs.len() - 1)
            }
        });
    }
    for source in &mut body.results {
        if let Source::Output(i) = *source {
            *source = place.get(i).copied().unwrap_or(Source::Unread);
        }
    }

    let mut live = vec![false; graph.equations().len()];
    for o in &outputs {
        live[o.index()] = true;
    }
    for (v, e) in graph.iter().rev() {
        if live[v.index()] && !moved[v.index()] {
            for a in &e.args {
                live[a.index()] = true;
            }
        }
    }
    let mut step = Builder::new(graph.name());
    let mut to: Vec<Option<Var>> = vec![None; graph.equations().len()];
    let mut shared = Vec::new();
    for (i, (name, v)) in graph.inputs().iter().enumerate() {
        let Some(ty) = graph.ty(*v).tensor() else {
            continue;
        };
        // The test takes all shared values, so they keep their places.
        to[v.index()] = Some(step.input(name, ty.clone()));
        if let Some(i) = i.checked_sub(body.first_shared()) {
            shared.extend(body.shared.get(i));
        }
    }
    for (v, e) in graph.iter() {
        let (Some(ty), Some(operand)) = (e.ty.tensor(), outside[v.index()]) else {
            continue;
        };
        if moved[v.index()] && live[v.index()] {
            to[v.index()] = Some(step.input("same", ty.clone()));
            shared.push(operand);
        }
    }
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        if live[v.index()] && !moved[v.index()] {
            step.follow(e);
            let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
            to[v.index()] = Some(step.push(e.op.clone(), &args));
        }
    }
    let outputs: Vec<Var> = outputs.iter().filter_map(|o| to[o.index()]).collect();
    body.step = Arc::new(step.finish(&outputs)?);
    if let Some(test) = &body.test {
        body.test = Some(with_inputs(test, &body.step)?);
    }
    body.shared = shared;
    Ok(body)
}

/// The test, with inputs for all that the step takes.
fn with_inputs(test: &Graph, step: &Graph) -> Result<Arc<Graph>, CompileError> {
    let mut b = Builder::new(test.name());
    let inputs: Vec<Var> = (step.inputs().iter().zip(step.input_types()))
        .map(|((name, _), ty)| b.input(name, ty))
        .collect();
    let own = inputs.get(..test.inputs().len()).unwrap_or_default();
    let outputs = b.inline(test, own);
    Ok(Arc::new(b.finish(&outputs)?))
}

/// Whether an operation costs nothing, or less than reading its result would.
fn is_free(op: &Op) -> bool {
    match op {
        Op::Full(..) | Op::Constant(_) => true,
        Op::Array(op) => matches!(
            op,
            ArrayOp::Broadcast(_) | ArrayOp::Reshape(_) | ArrayOp::Iota(_)
        ),
        _ => false,
    }
}

/// Whether running an operation can end in an error, or not at all.
fn may_fail(op: &Op) -> bool {
    match op {
        Op::Call(_) | Op::Region(_) | Op::Linalg(_) | Op::Native(_) => true,
        Op::Array(op) => matches!(op, ArrayOp::Gather(_) | ArrayOp::ScatterAdd(_)),
        _ => false,
    }
}
