//! Puts functions with rules of their own in place: the rules have done their work.

use std::collections::HashMap;

use cotangent_graph::ops::{Custom, Region, RuleKind};
use cotangent_graph::{Builder, Graph, GraphError, Op, Var};

use crate::CompileError;

/// A function of up to this many operations is copied to where it is called.
const SMALL: usize = 256;

/// Copies small functions, or those called just once, into their caller, where other passes see their
/// operations; others become calls, so that a pyramid of functions does not grow.
pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let mut calls: HashMap<u128, usize> = HashMap::new();
    for e in graph.equations() {
        match &e.op {
            Op::Region(Region::Custom(c)) => *calls.entry(c.call.0.fingerprint()).or_default() += 1,
            Op::Region(Region::Pullback(p)) => {
                let message = format!(
                    "`{}` is a rule for reverse mode alone, so there is no forward mode",
                    p.rule.0.name()
                );
                return Err(GraphError::other(message, e.location).into());
            }
            _ => {}
        }
    }
    if calls.is_empty() {
        return Ok(None);
    }
    let mut b = Builder::new(graph.name());
    let mut to: Vec<Vec<Var>> = Vec::with_capacity(graph.equations().len());
    let names: HashMap<Var, &str> = graph.inputs().iter().map(|(n, v)| (*v, &**n)).collect();
    for (v, e) in graph.iter() {
        b.follow(e);
        if let (Op::Input, Some(ty)) = (&e.op, e.ty.tensor()) {
            let name = names.get(&v).copied().unwrap_or_default();
            to.push(vec![b.input(name, ty.clone())]);
            continue;
        }
        if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first()) {
            let part = to[tuple.index()].get(*i).copied();
            to.push(part.into_iter().collect());
            continue;
        }
        let args: Vec<Var> = (e.args.iter())
            .filter_map(|a| to[a.index()].first().copied())
            .collect();
        to.push(match &e.op {
            // Nothing goes back over it, or it would have been opened.
            Op::Region(Region::Custom(c)) if c.kind == RuleKind::Checkpoint => {
                match run(&c.call.0)? {
                    Some(inner) => b.inline(&inner, &args),
                    None => b.inline(&c.call.0, &args),
                }
            }
            Op::Region(Region::Custom(Custom { call, .. })) => {
                let once = calls.get(&call.0.fingerprint()) == Some(&1);
                let nested = call
                    .0
                    .equations()
                    .iter()
                    .any(|e| e.op.callees().next().is_some());
                let small = call.0.operation_count() <= SMALL;
                match !nested && (once || small) {
                    true => b.inline(&call.0, &args),
                    false => b.call(&call.0, &args),
                }
            }
            op => b.results(op.clone(), &args),
        });
    }
    let outputs: Vec<Var> = (graph.outputs().iter())
        .filter_map(|o| to[o.index()].first().copied())
        .collect();
    Ok(Some(b.finish(&outputs)?))
}
