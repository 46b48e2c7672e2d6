//! Functions with a rule of their own: the rule is the derivative, or its transpose is.

use std::sync::Arc;

use cotangent_graph::ops::{Custom, Operand, Pullback, Region, RuleKind};
use cotangent_graph::{Builder, Callee, Equation, Graph, Location, Op, Var};

use super::{Moved, batched_body, known, not_linear, plain};
use crate::TransformError;
use crate::forward::is_float;
use crate::linear::{check_linear, inline_linear};
use crate::transpose::transpose_call;

/// The function stays as it stands for the values; the tangents come from the rule, on operands and
/// results. Both are differentiated in turn for higher orders.
pub(super) fn forward(
    b: &mut Builder,
    c: &Custom,
    args: &[Var],
    tangents: &[Option<Var>],
    location: Option<Location>,
) -> Result<Vec<Moved>, TransformError> {
    let values = b.region(Region::Custom(c.clone()), args);
    let moving: Vec<Option<Var>> = (args.iter().zip(tangents))
        .filter(|(a, _)| is_float(&b.tensor(**a)))
        .map(|(_, t)| *t)
        .collect();
    let known = [args, &values].concat();
    check_rule(c)?;
    let moved: Vec<Option<Var>> = match c.kind {
        RuleKind::Jvp => inline_linear(b, &c.rule.0, &known, &moving, location),
        RuleKind::Vjp => {
            let turned = transpose_call(&c.rule.0, &linear_inputs(c), &[])?;
            inline_linear(b, &turned, &known, &moving, location)
        }
        RuleKind::Backward => {
            let mut operands = known.clone();
            let floats = args.iter().filter(|a| is_float(&b.tensor(**a)));
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
    };
    let mut moved = moved.into_iter();
    Ok(values
        .into_iter()
        .map(|v| match is_float(&b.tensor(v)) {
            true => (v, moved.next().flatten()),
            false => (v, None),
        })
        .collect())
}

/// Fails unless the rule is linear where it has to be.
///
/// # Errors
/// The operation that is not linear, with its place.
pub fn check_rule(c: &Custom) -> Result<(), TransformError> {
    match c.kind {
        RuleKind::Backward => Ok(()),
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
            false => crate::vmap::repeat(b, *v, size),
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
