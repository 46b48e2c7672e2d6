//! Loops that count: the counter is an array of numbers, and what is read at counted places is a slice.

use std::sync::Arc;

use cotangent_array::Scalar;
use cotangent_graph::ops::{ArrayOp, Binary, Iota, Reverse, Slice};
use cotangent_graph::{Builder, Op, Var};

use super::super::affine::Affine;
use super::body::{Body, Source, chosen, live_for};
use crate::CompileError;

/// Carried whole numbers that go up by the same number in every step become slices of arrays, which are given
/// beside the loop.
pub(super) fn counted(
    b: &mut Builder,
    body: Body,
    reverse: bool,
) -> Result<(Body, Vec<Var>), CompileError> {
    let Some(length) = body.length else {
        return Ok((body, Vec::new()));
    };
    let carry = body.carried.len();
    let steps: Vec<Option<Var>> = (0..carry).map(|k| step_of(&body, k)).collect();
    if steps.iter().all(Option::is_none) {
        return Ok((body, Vec::new()));
    }
    let (mut kept, mut counters) = (Vec::new(), Vec::new());
    for (k, step) in steps.iter().enumerate() {
        match step {
            Some(_) => counters.push(k),
            None => kept.push(k),
        }
    }
    let inputs: Vec<usize> = (kept.iter().chain(&counters).copied())
        .chain(carry..body.step.inputs().len())
        .collect();
    let outputs: Vec<usize> = kept
        .iter()
        .copied()
        .chain(carry..body.step.outputs().len())
        .collect();
    let mut sequences = Vec::new();
    let mut last = vec![None; carry];
    for k in &counters {
        let (Some(Some(step)), Some(start)) = (steps.get(*k), body.carried.get(*k)) else {
            continue;
        };
        let (values, end) = sequence(b, &body, *start, *step, length, reverse);
        sequences.push(values);
        last[*k] = Some(end);
    }
    let results = body.results.iter().map(|source| match source {
        Source::Output(i) => match last.get(*i).copied().flatten() {
            Some(end) => Source::Outside(end),
            None => outputs
                .iter()
                .position(|o| o == i)
                .map_or(Source::Unread, Source::Output),
        },
        other => *other,
    });
    let scanned = sequences.iter().copied().chain(body.scanned);
    let body = Body {
        step: chosen(&body.step, &inputs, &outputs)?,
        test: None,
        length: body.length,
        results: results.collect(),
        carried: kept
            .iter()
            .filter_map(|k| body.carried.get(*k).copied())
            .collect(),
        scanned: scanned.collect(),
        shared: body.shared,
    };
    Ok((body, sequences))
}

/// By what a carried whole number goes up in every step: a number that stands in the body.
fn step_of(body: &Body, k: usize) -> Option<Var> {
    let graph = &body.step;
    let (_, input) = graph.inputs().get(k)?;
    let output = graph.outputs().get(k)?;
    let ty = graph.ty(*output).tensor()?;
    let e = graph.equation(*output);
    let (Op::Binary(Binary::Add), [x, y]) = (&e.op, &e.args[..]) else {
        return None;
    };
    if !ty.dtype.is_int() || ty.rank() != 0 {
        return None;
    }
    // All numbers of steps are numbers of the dtype; their products may wrap, as the sums would.
    let length = i64::try_from(body.length?).ok()?;
    if Scalar::I64(length).convert(ty.dtype).to_i64() != length {
        return None;
    }
    let step = if x == input { *y } else { *x };
    let counts = (x == input || y == input) && graph.splat(step).is_some();
    counts.then_some(step)
}

/// What a counter is in every step, at the places of the slices, and what it is behind the last one.
fn sequence(
    b: &mut Builder,
    body: &Body,
    start: Var,
    step: Var,
    length: usize,
    reverse: bool,
) -> (Var, Var) {
    let dtype = b.dtype(start);
    let number = |b: &mut Builder, n: i64| {
        let n = Scalar::I64(n).convert(dtype);
        b.full(n, ())
    };
    let by = body.step.splat(step).map_or(0, |s| s.to_i64());
    let (n, by) = (i64::try_from(length).unwrap_or(i64::MAX), number(b, by));
    let iota = Iota {
        shape: [length].into(),
        axis: 0,
        dtype,
    };
    let places = b.push(iota, &[]);
    let places = match reverse {
        false => places,
        true => {
            let last = number(b, n - 1);
            let last = b.broadcast(last, [length], &[]);
            b.sub(last, places)
        }
    };
    let each = b.broadcast(by, [length], &[]);
    let moved = b.mul(places, each);
    let first = b.broadcast(start, [length], &[]);
    let values = b.add(first, moved);
    let count = number(b, n);
    let all = b.mul(count, by);
    (values, b.add(start, all))
}

/// What every step reads of a shared array at a place that goes up step by step is a slice of the step.
pub(super) fn sliced(b: &mut Builder, mut body: Body) -> Result<Body, CompileError> {
    let (Some(length), graph) = (body.length, body.step.clone()) else {
        return Ok(body);
    };
    let carry = body.carried.len();
    let numbers: Vec<Option<Affine>> = (body.scanned.iter())
        .map(|operand| Affine::of_array(b.graph(), *operand))
        .collect();
    if numbers.iter().all(Option::is_none) {
        return Ok(body);
    }
    let place = |v: Var| graph.inputs().iter().position(|(_, input)| *input == v);
    let known = |v: Var| {
        let numbers = numbers.get(place(v)?.checked_sub(carry)?)?.as_ref()?;
        Some((numbers.start(), numbers.step()))
    };
    let live = live_for(&graph, graph.outputs().iter().copied());
    let mut found: Vec<(Var, Var)> = Vec::new();
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        let (Op::Array(ArrayOp::Gather(op)), [x, index]) = (&e.op, &e.args[..]) else {
            continue;
        };
        let shared = place(*x).and_then(|i| i.checked_sub(body.first_shared()));
        let Some(x) = shared.and_then(|i| body.shared.get(i)).copied() else {
            continue;
        };
        let scalar = graph.ty(*index).tensor().is_some_and(|t| t.rank() == 0);
        if !scalar || op.batch != 0 {
            continue;
        }
        let numbers = Affine::of(&graph, *index, length, &known);
        let slices = numbers.and_then(|numbers| taken(b, x, op.axis, numbers));
        found.extend(slices.map(|slices| (v, slices)));
    }
    if found.is_empty() {
        return Ok(body);
    }
    let mut step = Builder::new(graph.name());
    let mut to: Vec<Option<Var>> = vec![None; graph.equations().len()];
    let (before, after) = graph
        .inputs()
        .split_at(body.first_shared().min(graph.inputs().len()));
    let mut input = |step: &mut Builder, name: &str, v: Var| {
        to[v.index()] = graph.ty(v).tensor().map(|ty| step.input(name, ty.clone()));
    };
    before
        .iter()
        .for_each(|(name, v)| input(&mut step, name, *v));
    found
        .iter()
        .for_each(|(v, _)| input(&mut step, "slice", *v));
    after
        .iter()
        .for_each(|(name, v)| input(&mut step, name, *v));
    for (v, e) in graph.iter() {
        if !e.op.is_input() && to[v.index()].is_none() {
            step.follow(e);
            let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
            to[v.index()] = Some(step.push(e.op.clone(), &args));
        }
    }
    let outputs: Vec<Var> = graph
        .outputs()
        .iter()
        .filter_map(|o| to[o.index()])
        .collect();
    body.step = Arc::new(step.finish(&outputs)?.without_dead_code());
    body.scanned.extend(found.iter().map(|(_, slices)| *slices));
    Ok(body)
}

/// The slices of an axis at places that go up or down, along a leading axis.
fn taken(b: &mut Builder, x: Var, axis: usize, numbers: Affine) -> Option<Var> {
    let shape = b.shape(x);
    let [low, high] = numbers.places(*shape.get(axis)?)?;
    let stride = usize::try_from(numbers.step().checked_abs()?).ok()?;
    if stride == 0 {
        return None;
    }
    let mut slice = Slice {
        start: vec![0; shape.rank()],
        limit: shape.dims().to_vec(),
        stride: vec![1; shape.rank()],
    };
    *slice.start.get_mut(axis)? = low;
    *slice.limit.get_mut(axis)? = high + 1;
    *slice.stride.get_mut(axis)? = stride;
    let mut slices = b.push(slice, &[x]);
    if numbers.step() < 0 {
        slices = b.push(Reverse { axes: vec![axis] }, &[slices]);
    }
    let order: Vec<usize> = std::iter::once(axis)
        .chain((0..shape.rank()).filter(|a| *a != axis))
        .collect();
    Some(b.transpose(slices, &order))
}
