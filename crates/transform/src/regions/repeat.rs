//! Loops that run as long as a test holds.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_graph::ops::{Any, Operand, Region, While, WhileBack};
use cotangent_graph::{Builder, Callee, Equation, Graph, TensorType, Var};

use super::{Carried, Moved, batched_body, emit, finite_tangents, linearize_loop, not_linear};
use crate::TransformError;
use crate::forward::{Forward, is_inexact};
use crate::linearize::dependents;
use crate::transpose::transpose_call;

/// One loop that carries values and tangents together. Where the tangents are to be a linear part
/// of their own, the values come from a loop of their own.
pub(super) fn forward(
    b: &mut Builder,
    w: &While,
    args: &[Var],
    tangents: &[Option<Var>],
    split: bool,
) -> Result<Vec<Moved>, TransformError> {
    let finite: Vec<bool> = args.iter().map(|a| b.is_finite(*a)).collect();
    let moving = finite_tangents(b, tangents);
    let carried = linearize_loop(&w.body.0, w.carry, tangents, &finite, &moving)?;
    let Carried {
        active,
        finite,
        moving,
        ..
    } = carried;
    let varying: Vec<usize> = (0..args.len()).filter(|i| active[*i]).collect();
    let (carried, still): (Vec<usize>, Vec<usize>) =
        varying.into_iter().partition(|i| *i < w.carry);

    // Inputs of test and body: carried values, their tangents, shared values, their tangents.
    let types = w.body.0.input_types();
    let inputs = |l: &mut Builder, like: &Graph| -> (Vec<Var>, Vec<Option<Var>>, Vec<Var>) {
        let mut values = vec![None; types.len()];
        let mut moves = vec![None; types.len()];
        for (range, moved) in [(0..w.carry, &carried), (w.carry..types.len(), &still)] {
            for i in range {
                let name = like.inputs().get(i).map_or("x", |(n, _)| n);
                values[i] = Some(l.input(name, types[i].clone()));
            }
            for i in moved {
                moves[*i] = Some(l.input("t", types[*i].clone()));
            }
        }
        (values.into_iter().flatten().collect(), moves, Vec::new())
    };
    let mut l = Builder::new(&format!("{}_jvp", w.body.0.name()));
    let (values, moves, _) = inputs(&mut l, &w.body.0);
    for (v, f) in values.iter().zip(&finite) {
        if !f {
            l.set_open(*v);
        }
    }
    for (v, f) in moves.iter().zip(&moving) {
        if let (Some(v), false) = (v, f) {
            l.set_open(*v);
        }
    }
    let walked = Forward::walk(&mut l, &w.body.0, &values, &moves, split)?;
    let mut outputs = walked.values(&w.body.0);
    for i in &carried {
        let o = w.body.0.outputs()[*i];
        let tangent = walked.tangents[o.index()];
        outputs.push(tangent.unwrap_or_else(|| l.zeros(&types[*i])));
    }
    let body = Callee(Arc::new(l.finish(&outputs)?.without_dead_code()));
    let mut t = Builder::new(w.test.0.name());
    let (values, _, _) = inputs(&mut t, &w.test.0);
    let holds = t.inline(&w.test.0, &values);
    let test = Callee(Arc::new(t.finish(&holds)?));

    let tangent = |b: &mut Builder, i: usize| tangents[i].unwrap_or_else(|| b.like(args[i], 0.0));
    let mut operands: Vec<Var> = args.iter().take(w.carry).copied().collect();
    operands.extend(carried.iter().map(|i| tangent(b, *i)));
    operands.extend(args.iter().skip(w.carry));
    operands.extend(still.iter().map(|i| tangent(b, *i)));
    let carry = w.carry + carried.len();
    let mut results = b.region(Region::While(While { test, body, carry }), &operands);
    let mut moved = results.split_off(w.carry).into_iter();
    if split {
        results = b.region(Region::While(w.clone()), args);
    }
    let pairs = results.into_iter().enumerate();
    Ok(pairs
        .map(|(i, v)| (v, if active[i] { moved.next() } else { None }))
        .collect())
}

/// The transpose of a loop in some of what it carries and shares: the loop run forward over the
/// rest, which is kept, and backward over the cotangents.
pub(super) fn transpose(
    b: &mut Builder,
    w: &While,
    e: &Equation,
    operands: &[Operand],
    cotangents: &[Var],
) -> Result<Vec<Option<Var>>, TransformError> {
    let body = &w.body.0;
    let types = body.input_types();
    // What is linear in one step may make more carried values linear in the next.
    let mut linear: Vec<bool> = operands.iter().map(Operand::is_linear).collect();
    loop {
        let on: Vec<Var> = chosen(&linear, |i| body.inputs()[i].1);
        let depends = dependents(body, &on);
        let new: Vec<usize> = (0..w.carry)
            .filter(|i| depends[body.outputs()[*i].index()] && !linear[*i])
            .collect();
        if new.is_empty() {
            break;
        }
        new.into_iter().for_each(|i| linear[i] = true);
    }
    let all = |range: std::ops::Range<usize>, of: bool| -> Vec<usize> {
        range.filter(|i| linear[*i] == of).collect()
    };
    let count = types.len();
    let (state, moved) = (all(0..w.carry, false), all(0..w.carry, true));
    let (fixed, summed) = (all(w.carry..count, false), all(w.carry..count, true));
    let open: Vec<usize> = (0..count).collect();
    let turned = transpose_call(body, &linear, &open)?;

    // One step forward, and its test, over what is known.
    let known_inputs = |l: &mut Builder| -> HashMap<usize, Var> {
        let order = state.iter().chain(&fixed);
        order
            .map(|i| (*i, l.input(&body.inputs()[*i].0, types[*i].clone())))
            .collect()
    };
    let step = {
        let mut l = Builder::new(body.name());
        let inputs = known_inputs(&mut l);
        let mut to = inputs
            .iter()
            .map(|(i, v)| (body.inputs()[*i].1, *v))
            .collect();
        let wanted: Vec<Var> = state.iter().map(|i| body.outputs()[*i]).collect();
        let outputs = emit(&mut l, body, &mut to, &wanted);
        Callee(Arc::new(l.finish(&outputs)?))
    };
    let test = {
        let graph = &w.test.0;
        let on: Vec<Var> = chosen(&linear, |i| graph.inputs()[i].1);
        let depends = dependents(graph, &on);
        if graph.outputs().iter().any(|o| depends[o.index()]) {
            return Err(not_linear(e));
        }
        let mut l = Builder::new(graph.name());
        let inputs = known_inputs(&mut l);
        let mut to = inputs
            .iter()
            .map(|(i, v)| (graph.inputs()[*i].1, *v))
            .collect();
        let outputs = emit(&mut l, graph, &mut to, graph.outputs());
        Callee(Arc::new(l.finish(&outputs)?))
    };
    // One step backward: the cotangents of what is carried, and the sums for what is shared.
    let back = {
        let mut l = Builder::new(turned.name());
        let mut values: HashMap<usize, Var> = HashMap::new();
        for i in &state {
            values.insert(*i, l.input(&body.inputs()[*i].0, types[*i].clone()));
        }
        let carried: HashMap<usize, Var> = moved
            .iter()
            .map(|i| (*i, l.input("ct", types[*i].clone())))
            .collect();
        let sums: Vec<Var> = summed
            .iter()
            .map(|i| l.input("sum", types[*i].clone()))
            .collect();
        for i in &fixed {
            values.insert(*i, l.input(&body.inputs()[*i].0, types[*i].clone()));
        }
        let mut args: Vec<Var> = (0..count).filter_map(|i| values.get(&i).copied()).collect();
        for (i, ty) in body.output_types().iter().enumerate() {
            args.push(carried.get(&i).copied().unwrap_or_else(|| l.zeros(ty)));
        }
        let mut outputs = l.inline(&turned, &args);
        let parts = outputs.split_off(moved.len().min(outputs.len()));
        for (sum, part) in sums.iter().zip(parts) {
            outputs.push(l.add(*sum, part));
        }
        Callee(Arc::new(l.finish(&outputs)?.without_dead_code()))
    };
    let value = |i: &usize| operands[*i].known();
    let mut args: Vec<Var> = state.iter().filter_map(value).collect();
    args.extend(moved.iter().map(|i| cotangents[*i]));
    args.extend(summed.iter().map(|i| b.zeros(&types[*i])));
    args.extend(fixed.iter().filter_map(value));
    let back = WhileBack {
        test,
        body: step,
        back,
        carry: state.len(),
        moved: moved.len() + summed.len(),
    };
    let results = b.region(Region::WhileBack(back), &args);
    let found: HashMap<usize, Var> = moved.into_iter().chain(summed).zip(results).collect();
    let wanted = operands.iter().enumerate();
    Ok(wanted
        .map(|(i, o)| o.is_linear().then(|| found.get(&i).copied()).flatten())
        .collect())
}

/// The tangent of a loop run forward and backward: the same loop over values and tangents together.
/// Where the tangents are to be a linear part of their own, the values come from a loop of their own.
pub(super) fn forward_back(
    b: &mut Builder,
    w: &WhileBack,
    args: &[Var],
    tangents: &[Option<Var>],
    split: bool,
) -> Result<Vec<Moved>, TransformError> {
    let shared = w.carry + w.moved;
    // Every float or complex operand gets a tangent: cotangents depend on all of them.
    let types: Vec<TensorType> = args.iter().map(|a| b.tensor(*a)).collect();
    let floats = |range: std::ops::Range<usize>| -> Vec<usize> {
        range.filter(|i| is_inexact(&types[*i])).collect()
    };
    let (state, moved, still) = (
        floats(0..w.carry),
        floats(w.carry..shared),
        floats(shared..args.len()),
    );
    let joint = |body: &Graph, groups: &[(std::ops::Range<usize>, &[usize])], kept: usize| {
        let mut l = Builder::new(&format!("{}_jvp", body.name()));
        let (mut values, mut moves) = (Vec::new(), Vec::new());
        for (range, moving) in groups {
            let first = values.len();
            for i in range.clone() {
                values.push(l.input("x", types[i].clone()));
                moves.push(None);
            }
            for i in *moving {
                moves[first + i - range.start] = Some(l.input("t", types[*i].clone()));
            }
        }
        for v in values.iter().chain(moves.iter().flatten()) {
            l.set_open(*v);
        }
        let walked = Forward::walk(&mut l, body, &values, &moves, false)?;
        let mut outputs = walked.values(body);
        for (o, v) in body.outputs().iter().zip(outputs.clone()).take(kept) {
            if is_inexact(&l.tensor(v)) {
                let tangent = walked.tangents[o.index()];
                outputs.push(tangent.unwrap_or_else(|| l.like(v, 0.0)));
            }
        }
        Ok::<Callee, TransformError>(Callee(Arc::new(l.finish(&outputs)?.without_dead_code())))
    };
    let own = [(0..w.carry, &state[..]), (shared..args.len(), &still[..])];
    let test = joint(&w.test.0, &own, 0)?;
    let body = joint(&w.body.0, &own, w.carry)?;
    let all = [
        (0..w.carry, &state[..]),
        (w.carry..shared, &moved[..]),
        (shared..args.len(), &still[..]),
    ];
    let back = joint(&w.back.0, &all, w.moved)?;
    let mut operands = Vec::new();
    for (range, moving) in &all {
        operands.extend(&args[range.clone()]);
        for i in *moving {
            operands.push(tangents[*i].unwrap_or_else(|| b.like(args[*i], 0.0)));
        }
    }
    let region = WhileBack {
        test,
        body,
        back,
        carry: w.carry + state.len(),
        moved: w.moved + moved.len(),
    };
    let mut results = b.region(Region::WhileBack(region), &operands);
    let mut found = results.split_off(w.moved).into_iter();
    if split {
        results = b.region(Region::WhileBack(w.clone()), args);
    }
    let pairs = results.into_iter().zip(&types[w.carry..shared]);
    Ok(pairs
        .map(|(v, t)| (v, if is_inexact(t) { found.next() } else { None }))
        .collect())
}

/// The loop run forward and backward over a batch; examples that are done take no step, in either
/// direction.
pub(super) fn batch_back(
    b: &mut Builder,
    w: &WhileBack,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    // Everything is given for each example: a loop back is rare, and simple beats thrifty here.
    let shared = w.carry + w.moved;
    let operands: Vec<Var> = args
        .iter()
        .map(|(v, batched)| {
            if *batched {
                *v
            } else {
                crate::vmap::repeat(b, *v, size)
            }
        })
        .collect();
    let whole = |g: &Graph| -> Result<Graph, TransformError> {
        let flags = vec![true; g.inputs().len()];
        Ok(batched_body(g, &flags, size, &vec![true; g.outputs().len()])?.0)
    };
    let (test, body, back) = (whole(&w.test.0)?, whole(&w.body.0)?, whole(&w.back.0)?);
    let body = masked(&test, &body, w.carry)?;
    let back = {
        let (mut l, inputs) = start(&back);
        let own: Vec<Var> = inputs[..w.carry]
            .iter()
            .chain(&inputs[shared..])
            .copied()
            .collect();
        let holds = l.inline(&test, &own);
        let next = l.inline(&back, &inputs);
        let outputs = keep_where(&mut l, &holds, next, &inputs[w.carry..shared]);
        l.finish(&outputs)?
    };
    let region = WhileBack {
        test: Callee(Arc::new(some_holds(&test)?)),
        body: Callee(Arc::new(body)),
        back: Callee(Arc::new(back)),
        ..w.clone()
    };
    let results = b.region(Region::WhileBack(region), &operands);
    Ok(results.into_iter().map(|v| (v, true)).collect())
}

/// The loop over a batch runs as long as some example does; those that are done keep their values.
pub(super) fn batch(
    b: &mut Builder,
    w: &While,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let mut flags: Vec<bool> = args.iter().map(|a| a.1).collect();
    let (test, each) = loop {
        let (test, tested) = batched_body(&w.test.0, &flags, size, &[])?;
        let each = tested.first() == Some(&true);
        // An example that may stop by itself makes every carried value its own.
        let (_, out) = batched_body(&w.body.0, &flags, size, &[])?;
        let new: Vec<usize> = (0..w.carry)
            .filter(|i| (out[*i] || each) && !flags[*i])
            .collect();
        if new.is_empty() {
            break (test, each);
        }
        for i in new {
            flags[i] = true;
        }
    };
    let (body, _) = batched_body(&w.body.0, &flags, size, &flags[..w.carry])?;
    let (test, body) = if each {
        (some_holds(&test)?, masked(&test, &body, w.carry)?)
    } else {
        (test, body)
    };
    let mut operands = Vec::with_capacity(args.len());
    for ((v, batched), flag) in args.iter().zip(&flags) {
        operands.push(if *flag && !batched {
            crate::vmap::repeat(b, *v, size)
        } else {
            *v
        });
    }
    let (test, body) = (Callee(Arc::new(test)), Callee(Arc::new(body)));
    let results = b.region(
        Region::While(While {
            test,
            body,
            carry: w.carry,
        }),
        &operands,
    );
    Ok(results.into_iter().zip(flags).collect())
}

fn some_holds(test: &Graph) -> Result<Graph, TransformError> {
    let (mut b, inputs) = start(test);
    let holds = b.inline(test, &inputs);
    let any: Vec<Var> = holds
        .into_iter()
        .map(|h| b.push(Any { axes: vec![0] }, &[h]))
        .collect();
    Ok(b.finish(&any)?)
}

/// The body in which only the examples whose test holds take the step.
fn masked(test: &Graph, body: &Graph, carry: usize) -> Result<Graph, TransformError> {
    let (mut b, inputs) = start(body);
    let holds = b.inline(test, &inputs);
    let next = b.inline(body, &inputs);
    let outputs = keep_where(&mut b, &holds, next, &inputs[..carry.min(inputs.len())]);
    Ok(b.finish(&outputs)?)
}

/// The new values for the examples whose test holds, the old ones for the others.
fn keep_where(b: &mut Builder, holds: &[Var], new: Vec<Var>, old: &[Var]) -> Vec<Var> {
    let mut outputs = Vec::with_capacity(old.len());
    for (old, new) in old.iter().zip(new) {
        let mask = match holds.first() {
            Some(h) => b.broadcast(*h, b.shape(new), &[0]),
            None => new,
        };
        outputs.push(b.select(mask, new, *old));
    }
    outputs
}

/// What a function gives for the places that are marked.
fn chosen(marked: &[bool], of: impl Fn(usize) -> Var) -> Vec<Var> {
    (0..marked.len()).filter(|i| marked[*i]).map(of).collect()
}

fn start(like: &Graph) -> (Builder, Vec<Var>) {
    let mut b = Builder::new(like.name());
    let inputs = like.inputs().iter().zip(like.input_types());
    let inputs = inputs.map(|((name, _), ty)| b.input(name, ty)).collect();
    (b, inputs)
}
