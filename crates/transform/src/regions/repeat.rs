//! Loops that run as long as a test holds.

use std::sync::Arc;

use cotangent_graph::ops::{Any, Region, While};
use cotangent_graph::{Builder, Callee, Graph, Var};

use super::{Carried, Moved, batched_body, finite_tangents, linearize_loop};
use crate::TransformError;
use crate::forward::Forward;

/// One loop that carries values and tangents together.
pub(super) fn forward(
    b: &mut Builder,
    w: &While,
    args: &[Var],
    tangents: &[Option<Var>],
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
    let walked = Forward::walk(&mut l, &w.body.0, &values, &moves)?;
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
    let pairs = results.into_iter().enumerate();
    Ok(pairs
        .map(|(i, v)| (v, if active[i] { moved.next() } else { None }))
        .collect())
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
    let mut outputs = Vec::with_capacity(carry);
    for (old, new) in inputs.iter().zip(next).take(carry) {
        let mask = match holds.first() {
            Some(h) => b.broadcast(*h, b.shape(new), &[0]),
            None => new,
        };
        outputs.push(b.select(mask, new, *old));
    }
    Ok(b.finish(&outputs)?)
}

fn start(like: &Graph) -> (Builder, Vec<Var>) {
    let mut b = Builder::new(like.name());
    let inputs = like.inputs().iter().zip(like.input_types());
    let inputs = inputs.map(|((name, _), ty)| b.input(name, ty)).collect();
    (b, inputs)
}
