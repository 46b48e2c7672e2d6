//! Functions with a rule of their own: the rule is the derivative, or its transpose is.

use std::sync::Arc;

use cotangent_graph::ops::{Custom, Operand, Pullback, Region, RuleKind};
use cotangent_graph::{Builder, Callee, Equation, Graph, Location, Op, Var};

use super::{Moved, batched_body, known, not_linear, plain};
use crate::TransformError;
use crate::forward::{Forward, is_inexact};
use crate::linear::check_linear;
use crate::reverse::vjp;

/// The function stays as it stands for the values; the tangents come from the rule, on operands and
/// results. Both are differentiated in turn for higher orders.
pub(super) fn forward(
    b: &mut Builder,
    c: &Custom,
    args: &[Var],
    tangents: &[Option<Var>],
    split: bool,
    location: Option<Location>,
) -> Result<Vec<Moved>, TransformError> {
    if c.kind == RuleKind::Checkpoint {
        // Checkpoints are opened before a graph is walked; what is none of a graph's has no label.
        let walked = Forward::walk(b, &c.call.0, args, tangents, split)?;
        let outputs = c.call.0.outputs().iter();
        let moved = outputs.map(|o| (walked.to[o.index()], walked.tangents[o.index()]));
        return Ok(moved.collect());
    }
    let values = b.region(Region::Custom(c.clone()), args);
    let moving: Vec<Option<Var>> = (args.iter().zip(tangents))
        .filter(|(a, _)| is_inexact(&b.tensor(**a)))
        .map(|(_, t)| *t)
        .collect();
    let known = [args, &values].concat();
    check_rule(c)?;
    let moved: Vec<Option<Var>> = match c.kind {
        RuleKind::Jvp => along(b, &c.rule.0, &known, &moving, split)?,
        RuleKind::Vjp => {
            // The transpose takes cotangents, at which it does not look, and then tangents.
            let turned = vjp(&c.rule.0, &linear_inputs(c))?;
            let cotangents = turned.inputs().len() - known.len() - moving.len();
            let skipped = vec![None; cotangents];
            along(b, &turned, &known, &[skipped, moving].concat(), split)?
        }
        RuleKind::Backward => {
            let mut operands = known.clone();
            let floats = args.iter().filter(|a| is_inexact(&b.tensor(**a)));
            let floats: Vec<Var> = floats.copied().collect();
            for (a, t) in floats.iter().zip(&moving) {
                operands.push(t.unwrap_or_else(|| b.like(*a, 0.0)));
            }
            let pullback = Pullback {
                rule: c.rule.clone(),
                known: known.len(),
            };
            b.set_location(location.map(Location::in_derivative));
            let moved = b.region(Region::Pullback(pullback), &operands);
            b.set_location(location);
            moved.into_iter().map(Some).collect()
        }
        RuleKind::Checkpoint => Vec::new(),
    };
    b.set_location(location);
    let mut moved = moved.into_iter();
    Ok(values
        .into_iter()
        .map(|v| match is_inexact(&b.tensor(v)) {
            true => (v, moved.next().flatten()),
            false => (v, None),
        })
        .collect())
}

/// A graph that is linear in the inputs behind the known ones, applied to tangents of which some are
/// zero. A linear map is its own derivative; taking that by the rules of the operations keeps zeros
/// zero and splits loops into what is known and what is linear.
fn along(
    b: &mut Builder,
    map: &Graph,
    known: &[Var],
    tangents: &[Option<Var>],
    split: bool,
) -> Result<Vec<Option<Var>>, TransformError> {
    let mut inputs = known.to_vec();
    for ty in map.input_types().iter().skip(known.len()) {
        inputs.push(b.zeros(ty));
    }
    let mut moving = vec![None; known.len()];
    moving.extend_from_slice(tangents);
    let walked = Forward::walk(b, map, &inputs, &moving, split)?;
    let outputs = map.outputs().iter();
    Ok(outputs.map(|o| walked.tangents[o.index()]).collect())
}

/// Fails unless the rule is linear where it has to be.
///
/// # Errors
/// The operation that is not linear, with its place.
pub fn check_rule(c: &Custom) -> Result<(), TransformError> {
    match c.kind {
        RuleKind::Backward | RuleKind::Checkpoint => Ok(()),
        RuleKind::Jvp | RuleKind::Vjp => check_linear(&c.rule.0, &linear_inputs(c)),
    }
}

/// The inputs of the rule that are tangents or cotangents.
fn linear_inputs(c: &Custom) -> Vec<bool> {
    let known = c.call.0.inputs().len() + c.call.0.outputs().len();
    (0..c.rule.0.inputs().len()).map(|i| i >= known).collect()
}

/// The cotangents of the tangents of a map whose transpose is its rule.
pub(super) fn transpose(
    b: &mut Builder,
    p: &Pullback,
    e: &Equation,
    operands: &[Operand],
    cotangents: &[Var],
) -> Result<Vec<Option<Var>>, TransformError> {
    let (values, tangents) = operands.split_at(p.known.min(operands.len()));
    if values.iter().any(Operand::is_linear) {
        return Err(not_linear(e));
    }
    let args: Vec<Var> = known(values).chain(cotangents.iter().copied()).collect();
    let results = b.inline(&p.rule.0, &args);
    let wanted = tangents.iter().zip(results);
    Ok((values.iter().map(|_| None))
        .chain(wanted.map(|(t, c)| t.is_linear().then_some(c)))
        .collect())
}

/// The function over a batch, with its rule over a batch. Everything is given for each example, so
/// that tangents and cotangents are too.
pub(super) fn batch(
    b: &mut Builder,
    region: &Region,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let operands: Vec<Var> = args
        .iter()
        .map(|(v, batched)| match batched {
            true => *v,
            false => cotangent_graph::ops::repeated(b, *v, size),
        })
        .collect();
    let region = region.map_callees(|callee| -> Result<Callee, TransformError> {
        let graph: &Graph = &callee.0;
        let (inputs, outputs) = (graph.inputs().len(), graph.outputs().len());
        let (mapped, _) = batched_body(graph, &vec![true; inputs], size, &vec![true; outputs])?;
        Ok(Callee(Arc::new(mapped)))
    })?;
    let results = plain(b, &Op::Region(region), &operands);
    Ok(results.into_iter().map(|v| (v, true)).collect())
}

/// Fails where something can only be run backward, which forward mode was asked for.
pub(crate) fn check_forward(graph: &Graph) -> Result<(), TransformError> {
    let mut seen = std::collections::HashSet::new();
    let mut work: Vec<&Graph> = vec![graph];
    while let Some(graph) = work.pop() {
        for e in graph.equations() {
            if let Op::Region(Region::Pullback(p)) = &e.op {
                return Err(TransformError::NoRule {
                    op: p.rule.0.name().to_owned(),
                    why: "is a rule for reverse mode alone, so there is no forward mode",
                    location: e.location,
                });
            }
            let callees = e.op.callees().map(|c| &*c.0);
            work.extend(callees.filter(|g| seen.insert(g.fingerprint())));
        }
    }
    Ok(())
}
