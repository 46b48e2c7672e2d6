//! Carries, slices and results that a loop can do without.

use cotangent_graph::ops::{ArrayOp, Broadcast};
use cotangent_graph::{Builder, Op, Var};

use super::body::{Body, Source, chosen, needed};
use crate::CompileError;

/// Removes what no result needs, and shares what is the same in every step.
pub(super) fn run(b: &mut Builder, body: Body) -> Result<Body, CompileError> {
    let (carry, scanned) = (body.carried.len(), body.scanned.len());
    let same: Vec<Option<Var>> = (0..carry + scanned)
        .map(|i| match i.checked_sub(carry) {
            None => unchanged(&body, i),
            Some(i) => unsliced(b, *body.scanned.get(i)?, body.length?),
        })
        .collect();
    let Keep { inputs, outputs } = Keep::of(&body, &same);
    if inputs.iter().all(|i| *i) && outputs.iter().all(|o| *o) && same.iter().all(Option::is_none) {
        return Ok(body);
    }

    let first_shared = body.first_shared();
    let is_kept = |i: &usize| inputs.get(*i) == Some(&true);
    let moves = |i: &usize| same.get(*i).copied().flatten().is_some();
    let carried: Vec<usize> = (0..carry).filter(|i| is_kept(i) && !moves(i)).collect();
    let sliced: Vec<usize> = (carry..first_shared)
        .filter(|i| is_kept(i) && !moves(i))
        .collect();
    let now_shared: Vec<usize> = (0..first_shared)
        .filter(|i| is_kept(i) && moves(i))
        .collect();
    let shared: Vec<usize> = (first_shared..body.step.inputs().len())
        .filter(is_kept)
        .collect();
    let outputs: Vec<usize> = (0..outputs.len()).filter(|i| outputs[*i]).collect();

    let order = [&carried[..], &sliced, &now_shared, &shared].concat();
    let step = chosen(&body.step, &order, &outputs)?;
    let test = match &body.test {
        None => None,
        Some(test) => {
            // The test takes no slices; a loop with a test has none.
            let order = [&carried[..], &now_shared, &shared].concat();
            Some(chosen(test, &order, &[0])?)
        }
    };
    let results = (body.results.iter())
        .map(|source| match source {
            Source::Output(i) => match same.get(*i).copied().flatten() {
                Some(v) if *i < carry => Source::Outside(v),
                _ => (outputs.iter().position(|o| o == i)).map_or(Source::Unread, Source::Output),
            },
            other => *other,
        })
        .collect();
    let from = |of: &[Var], at: &[usize], first: usize| -> Vec<Var> {
        at.iter()
            .filter_map(|i| of.get(i - first).copied())
            .collect()
    };
    let mut all_shared: Vec<Var> = (now_shared.iter())
        .filter_map(|i| same.get(*i).copied().flatten())
        .collect();
    all_shared.extend(from(&body.shared, &shared, first_shared));
    Ok(Body {
        step,
        test,
        length: body.length,
        carried: from(&body.carried, &carried, 0),
        scanned: from(&body.scanned, &sliced, carry),
        shared: all_shared,
        results,
    })
}

/// Which inputs and outputs of the step stay.
struct Keep {
    inputs: Vec<bool>,
    outputs: Vec<bool>,
}

impl Keep {
    fn of(body: &Body, same: &[Option<Var>]) -> Keep {
        let carry = body.carried.len();
        let count = body.step.outputs().len();
        let mut outputs = vec![false; count];
        for source in &body.results {
            if let Source::Output(i) = source
                && let Some(output) = outputs.get_mut(*i)
            {
                *output = true;
            }
        }
        let tested = body.test.as_ref().map(|test| needed(test, &[true]));
        let tested = tested.unwrap_or_default();
        let is_tested = |i: usize| match i.checked_sub(body.first_shared()) {
            None => i < carry && tested.get(i) == Some(&true),
            Some(shared) => tested.get(carry + shared) == Some(&true),
        };
        let is_same = |i: usize| same.get(i).copied().flatten().is_some();
        for (i, output) in outputs.iter_mut().enumerate().take(carry) {
            *output = (*output || is_tested(i)) && !is_same(i);
        }
        loop {
            let mut inputs = needed(&body.step, &outputs);
            for (i, input) in inputs.iter_mut().enumerate() {
                *input |= is_tested(i);
            }
            let more: Vec<usize> = (0..carry)
                .filter(|i| inputs[*i] && !outputs[*i] && !is_same(*i))
                .collect();
            if more.is_empty() {
                // A carried value whose result is read has its start, whether steps read it or not.
                for i in (0..carry).filter(|i| outputs[*i]) {
                    inputs[i] = true;
                }
                return Keep { inputs, outputs };
            }
            for i in more {
                outputs[i] = true;
            }
        }
    }
}

/// What a carried value is all along, where no step changes it.
fn unchanged(body: &Body, i: usize) -> Option<Var> {
    let (_, input) = body.step.inputs().get(i)?;
    let output = body.step.outputs().get(i)?;
    (input == output).then(|| body.carried.get(i).copied())?
}

/// The one slice of an array whose slices are all the same.
fn unsliced(b: &mut Builder, array: Var, length: usize) -> Option<Var> {
    let ty = b.tensor(array);
    let (first, rest) = ty.shape.dims().split_first()?;
    if *first != length {
        return None;
    }
    let e = b.graph().equation(array);
    match (&e.op, &e.args[..]) {
        (Op::Full(value, _), _) => {
            let (value, rest) = (*value, rest.to_vec());
            Some(b.full(value, rest))
        }
        (Op::Array(ArrayOp::Broadcast(Broadcast { dims, .. })), [x]) if !dims.contains(&0) => {
            let (x, rest) = (*x, rest.to_vec());
            let dims: Vec<usize> = dims.iter().map(|d| d - 1).collect();
            Some(b.broadcast(x, rest, &dims))
        }
        _ => None,
    }
}
