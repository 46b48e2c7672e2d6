//! Branches.

use std::sync::Arc;

use cotangent_graph::ops::{ArrayOp, Bound, Cond, Operand, Region, Unary};
use cotangent_graph::{Builder, Callee, Equation, Graph, Op, TensorType, Var};

use super::lanes::{self, Lanes};
use super::{
    Moved, batched_body, enter_where_held, finite_tangents, known, not_linear, pair, transposed,
};
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
    let around = b.checkpoint();
    enter_where_held(b, &[&primal[0], &primal[1]], count);
    let mut outputs = b.region(cond(primal), args);
    let computed = outputs.split_off(count);
    let varying: Vec<bool> = split[0]
        .varying
        .iter()
        .zip(&split[1].varying)
        .map(|(x, y)| *x || *y)
        .collect();
    if varying.iter().all(|v| !v) {
        b.set_checkpoint(around);
        return Ok(outputs.into_iter().map(|v| (v, None)).collect());
    }
    b.set_checkpoint(b.checkpoint().derived());
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
    b.set_checkpoint(around);
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

/// One condition for all examples keeps the branch. With a condition for each, both branches are
/// computed and selected from; a branch that could go wrong runs only if some example takes it, and
/// on the values of examples that do.
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
    let opposite = b.unary(Unary::Not, *condition);
    let x = arm(b, &then, *condition, &vars, &flags, size)?;
    let y = arm(b, &otherwise, opposite, &vars, &flags, size)?;
    let pairs = x.into_iter().zip(y);
    Ok(pairs
        .map(|(x, y)| (lanes::select(b, *condition, x, y), true))
        .collect())
}

/// The results of a branch for the examples that take it, and anything finite for the others.
fn arm(
    b: &mut Builder,
    graph: &Graph,
    mask: Var,
    inputs: &[Var],
    flags: &[bool],
    size: usize,
) -> Result<Vec<Var>, TransformError> {
    if is_harmless(graph) {
        return Ok(b.inline(graph, inputs));
    }
    let mut bodies = Vec::with_capacity(2);
    for taken in [true, false] {
        let mut l = Builder::new(graph.name());
        let mask = l.input("mask", b.tensor(mask));
        let types = graph.inputs().iter().zip(graph.input_types());
        let own: Vec<Var> = types.map(|((name, _), ty)| l.input(name, ty)).collect();
        let outputs = if taken {
            let lanes = Lanes::new(&mut l, mask, size);
            let mut filled = Vec::with_capacity(own.len());
            for (v, flag) in own.iter().zip(flags) {
                filled.push(if *flag { lanes.fill(&mut l, *v) } else { *v });
            }
            l.inline(graph, &filled)
        } else {
            let types = graph.output_types();
            types.iter().map(|ty| l.zeros(ty)).collect()
        };
        bodies.push(Callee(Arc::new(l.finish(&outputs)?.without_dead_code())));
    }
    let mut operands = vec![lanes::some(b, mask), mask];
    operands.extend(inputs);
    let (Some(otherwise), Some(then)) = (bodies.pop(), bodies.pop()) else {
        return Ok(Vec::new());
    };
    Ok(b.region(Region::Cond(Cond { then, otherwise }), &operands))
}

/// Whether a graph cannot fail, always ends, and keeps finite numbers finite, in its derivatives
/// too, so that computing it for an example that does not need it does no harm.
fn is_harmless(graph: &Graph) -> bool {
    let live = graph.live();
    graph
        .iter()
        .filter(|(v, _)| live[v.index()])
        .all(|(_, e)| match &e.op {
            Op::Array(op) => matches!(
                op,
                ArrayOp::Iota(_)
                    | ArrayOp::Reshape(_)
                    | ArrayOp::Transpose(_)
                    | ArrayOp::Broadcast(_)
                    | ArrayOp::Reverse(_)
                    | ArrayOp::Slice(_)
                    | ArrayOp::Pad(_)
                    | ArrayOp::Concat(_)
                    | ArrayOp::Sum(_)
                    | ArrayOp::Any(_)
                    | ArrayOp::All(_)
            ),
            Op::Call(_) | Op::Region(_) => false,
            // NaN outside of their domains.
            Op::Unary(Unary::Sqrt | Unary::Asin | Unary::Acos | Unary::Acosh) => false,
            op => {
                let is_float = e.ty.tensor().is_some_and(|t| t.dtype.is_float());
                !is_float || op.is_input() || op.is_constant() || op.bound() != Bound::Open
            }
        })
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
