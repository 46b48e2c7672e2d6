//! Branches.

use std::sync::Arc;

use cotangent_graph::ops::{Cond, Operand, Region};
use cotangent_graph::{Builder, Callee, Equation, Graph, TensorType, Var};

use super::{Moved, batched_body, finite_tangents, known, not_linear, pair, transposed};
use crate::TransformError;
use crate::linearize::{Linearized, linearize_call};

/// Both branches are split into values and linear maps. They give the residuals of both, zeros for
/// those of the branch not taken, so that the second `cond` reads what its branch left.
pub(super) fn forward(
    b: &mut Builder,
    c: &Cond,
    args: &[Var],
    tangents: &[Option<Var>],
) -> Result<Vec<Moved>, TransformError> {
    let (Some((condition, inputs)), Some((_, tangents))) =
        (args.split_first(), tangents.split_first())
    else {
        return Ok(Vec::new());
    };
    let active: Vec<bool> = tangents.iter().map(Option::is_some).collect();
    let finite: Vec<bool> = inputs.iter().map(|a| b.is_finite(*a)).collect();
    let moving = finite_tangents(b, tangents);
    let split = [
        linearize_call(&c.then.0, &active, &finite, &moving)?,
        linearize_call(&c.otherwise.0, &active, &finite, &moving)?,
    ];
    let count = c.then.0.outputs().len();
    let kept = [Kept::of(&split[0], count), Kept::of(&split[1], count)];
    let primal = [
        values(&split[0], count, &kept[0], &kept[1], true)?,
        values(&split[1], count, &kept[1], &kept[0], false)?,
    ];
    let mut outputs = b.region(cond(primal), args);
    let computed = outputs.split_off(count);
    let varying: Vec<bool> = split[0]
        .varying
        .iter()
        .zip(&split[1].varying)
        .map(|(x, y)| *x || *y)
        .collect();
    if varying.iter().all(|v| !v) {
        return Ok(outputs.into_iter().map(|v| (v, None)).collect());
    }
    let types: Vec<TensorType> = outputs.iter().map(|v| b.tensor(*v)).collect();
    let linear = [
        moved(&split[0], &kept[0], &kept[1], true, &varying, &types)?,
        moved(&split[1], &kept[1], &kept[0], false, &varying, &types)?,
    ];
    let mut operands = vec![*condition];
    operands.extend(computed);
    for k in &kept {
        operands.extend(k.inputs.iter().filter_map(|i| inputs.get(*i)));
    }
    operands.extend(tangents.iter().flatten());
    let tangents = b.region(cond(linear), &operands);
    Ok(pair(outputs, &varying, tangents))
}

/// The transpose of the branch taken.
pub(super) fn transpose(
    b: &mut Builder,
    c: &Cond,
    e: &Equation,
    operands: &[Operand],
    cotangents: &[Var],
) -> Result<Vec<Var>, TransformError> {
    let Some((Operand::Known(condition), inputs)) = operands.split_first() else {
        return Err(not_linear(e));
    };
    let mut args = vec![*condition];
    args.extend(known(inputs));
    args.extend(cotangents);
    let open: Vec<bool> = args.iter().skip(1).map(|a| !b.is_finite(*a)).collect();
    let branches = [
        transposed(&c.then.0, inputs, &open)?,
        transposed(&c.otherwise.0, inputs, &open)?,
    ];
    Ok(b.region(cond(branches), &args))
}

/// One condition for all examples keeps the branch; a condition for each computes both branches and
/// selects.
pub(super) fn batch(
    b: &mut Builder,
    c: &Cond,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let Some(((condition, each), inputs)) = args.split_first() else {
        return Ok(Vec::new());
    };
    let vars: Vec<Var> = inputs.iter().map(|a| a.0).collect();
    let flags: Vec<bool> = inputs.iter().map(|a| a.1).collect();
    let all = vec![true; c.then.0.outputs().len()];
    let (then, _) = batched_body(&c.then.0, &flags, size, &all)?;
    let (otherwise, _) = batched_body(&c.otherwise.0, &flags, size, &all)?;
    if !each {
        let mut operands = vec![*condition];
        operands.extend(&vars);
        let results = b.region(cond([then, otherwise]), &operands);
        return Ok(results.into_iter().map(|v| (v, true)).collect());
    }
    let (x, y) = (b.inline(&then, &vars), b.inline(&otherwise, &vars));
    let chosen = x.into_iter().zip(y).map(|(x, y)| {
        let mask = b.broadcast(*condition, b.shape(x), &[0]);
        (b.select(mask, x, y), true)
    });
    Ok(chosen.collect())
}

fn cond([then, otherwise]: [Graph; 2]) -> Region {
    Region::Cond(Cond {
        then: Callee(Arc::new(then)),
        otherwise: Callee(Arc::new(otherwise)),
    })
}

/// The residuals of one branch: those that it computes, and inputs, which need no storing.
struct Kept {
    /// For each residual its place: among the computed ones, or an input.
    places: Vec<Result<usize, usize>>,
    computed: Vec<TensorType>,
    inputs: Vec<usize>,
    input_types: Vec<TensorType>,
}

impl Kept {
    fn of(split: &Linearized, count: usize) -> Kept {
        let mut kept = Kept {
            places: Vec::new(),
            computed: Vec::new(),
            inputs: Vec::new(),
            input_types: Vec::new(),
        };
        let types = split.primal.output_types();
        for (v, ty) in split.primal.outputs().iter().zip(types).skip(count) {
            match split.primal.inputs().iter().position(|(_, i)| i == v) {
                Some(i) => {
                    kept.places.push(Err(kept.inputs.len()));
                    kept.inputs.push(i);
                    kept.input_types.push(ty);
                }
                None => {
                    kept.places.push(Ok(kept.computed.len()));
                    kept.computed.push(ty);
                }
            }
        }
        kept
    }
}

/// A branch that gives its values, then the computed residuals of `then` and of `otherwise`.
fn values(
    split: &Linearized,
    count: usize,
    own: &Kept,
    other: &Kept,
    is_then: bool,
) -> Result<Graph, TransformError> {
    let mut b = Builder::new(split.primal.name());
    let inputs: Vec<Var> = split
        .primal
        .inputs()
        .iter()
        .zip(split.primal.input_types())
        .map(|((name, _), ty)| b.input(name, ty))
        .collect();
    let mut outputs = b.inline(&split.primal, &inputs);
    let residuals = outputs.split_off(count);
    let mine: Vec<Var> = residuals
        .into_iter()
        .zip(&own.places)
        .filter(|(_, p)| p.is_ok())
        .map(|(v, _)| v)
        .collect();
    let zeros: Vec<Var> = other.computed.iter().map(|t| b.zeros(t)).collect();
    let (first, second) = if is_then {
        (mine, zeros)
    } else {
        (zeros, mine)
    };
    outputs.extend(first.into_iter().chain(second));
    Ok(b.finish(&outputs)?)
}

/// The linear map of a branch. Inputs: the computed residuals of `then` and of `otherwise`, the
/// inputs that `then` and `otherwise` keep, the tangents. Outputs: the tangents of what varies in
/// some branch.
fn moved(
    split: &Linearized,
    own: &Kept,
    other: &Kept,
    is_then: bool,
    varying: &[bool],
    types: &[TensorType],
) -> Result<Graph, TransformError> {
    let mut b = Builder::new(split.linear.name());
    let group = |b: &mut Builder, types: &[TensorType]| -> Vec<Var> {
        types.iter().map(|t| b.input("r", t.clone())).collect()
    };
    let (first, second) = if is_then { (own, other) } else { (other, own) };
    let computed = [
        group(&mut b, &first.computed),
        group(&mut b, &second.computed),
    ];
    let inputs = [
        group(&mut b, &first.input_types),
        group(&mut b, &second.input_types),
    ];
    let at = usize::from(!is_then);
    let mut args: Vec<Var> = own
        .places
        .iter()
        .filter_map(|place| match place {
            Ok(i) => computed[at].get(*i).copied(),
            Err(i) => inputs[at].get(*i).copied(),
        })
        .collect();
    let seeds = split
        .linear
        .inputs()
        .iter()
        .zip(split.linear.input_types())
        .skip(split.residuals);
    args.extend(seeds.map(|((name, _), ty)| b.input(name, ty)));
    let mut found = b.inline(&split.linear, &args).into_iter();
    let mut outputs = Vec::new();
    for ((some, mine), ty) in varying.iter().zip(&split.varying).zip(types) {
        if *some {
            let tangent = if *mine { found.next() } else { None };
            outputs.push(tangent.unwrap_or_else(|| b.zeros(ty)));
        }
    }
    Ok(b.finish(&outputs)?)
}
