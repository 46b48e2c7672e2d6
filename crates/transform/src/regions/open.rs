//! Checkpoints opened: their operations stand in the graph around them.

use std::hash::{Hash, Hasher};

use cotangent_graph::ops::{Custom, Region, RuleKind};
use cotangent_graph::{Builder, Checkpoint, FastHasher, Graph, Op, Scope, Var};

use crate::TransformError;

/// A graph without checkpoints, and what the variables of the graph with them are there.
type Opened = (Graph, Vec<Option<Var>>);

/// The graph as it would be without its checkpoints, and for each variable of the graph with them the
/// one that it is there; `None` where there is no checkpoint.
///
/// What is differentiated is the same with and without a checkpoint, so no bit of a derivative depends
/// on one. A label of each operation says what reverse mode is to compute again ([`Checkpoint`]); values
/// with a name have no such label.
pub(crate) fn opened(graph: &Graph) -> Result<Option<Opened>, TransformError> {
    if !graph
        .equations()
        .iter()
        .any(|e| checkpoint(&e.op).is_some())
    {
        return Ok(None);
    }
    let mut b = Builder::new(graph.name());
    let mut inputs = graph.inputs().iter().zip(graph.input_types());
    // The components of what each variable is.
    let mut to: Vec<Vec<Var>> = Vec::with_capacity(graph.equations().len());
    for (_, e) in graph.iter() {
        b.follow(e);
        if let Op::Input = e.op {
            let input = inputs.next().map(|((name, _), ty)| b.input(name, ty));
            to.push(input.into_iter().collect());
            continue;
        }
        if let (Op::Get(k), Some(tuple)) = (&e.op, e.args.first())
            && checkpoint(&graph.equation(*tuple).op).is_some()
        {
            let part = to[tuple.index()].get(*k).copied();
            to.push(part.into_iter().collect());
            continue;
        }
        let args: Vec<Var> = (e.args.iter())
            .filter_map(|a| to[a.index()].first().copied())
            .collect();
        to.push(match checkpoint(&e.op) {
            Some(c) => open(&mut b, &c.call.0, &args)?,
            None => vec![b.copy(e, &args)],
        });
    }
    b.set_location(None);
    let outputs = graph.outputs().iter();
    let outputs: Vec<Var> = outputs
        .filter_map(|o| to[o.index()].first().copied())
        .collect();
    let single = |parts: Vec<Var>| match parts[..] {
        [one] => Some(one),
        _ => None,
    };
    let graph = b.finish(&outputs)?;
    Ok(Some((graph, to.into_iter().map(single).collect())))
}

fn checkpoint(op: &Op) -> Option<&Custom> {
    match op {
        Op::Region(Region::Custom(c)) if c.kind == RuleKind::Checkpoint => Some(c),
        _ => None,
    }
}

/// The results of a function behind a checkpoint.
fn open(b: &mut Builder, call: &Graph, args: &[Var]) -> Result<Vec<Var>, TransformError> {
    // No other checkpoint of the same function is met where the graph has as many operations.
    let mut id = FastHasher::default();
    (b.len(), call.fingerprint()).hash(&mut id);
    let (outer, scope) = (b.checkpoint(), b.scope());
    let inner = outer.enter(id.finish());
    let kept = named(call);
    let opened = opened(call)?;
    // A variable that is kept is the same one in the opened graph.
    let kept: Vec<Var> = match &opened {
        Some((_, to)) => kept.iter().filter_map(|v| to[v.index()]).collect(),
        None => kept,
    };
    let call = opened.as_ref().map_or(call, |(graph, _)| graph);
    let mut to: Vec<Option<Var>> = vec![None; call.equations().len()];
    for ((_, v), a) in call.inputs().iter().zip(args) {
        to[v.index()] = Some(*a);
    }
    for (v, e) in call.iter().filter(|(_, e)| !e.op.is_input()) {
        b.follow(e);
        if scope != Scope::ROOT {
            b.set_scope(e.scope.within(scope));
        }
        let around = if kept.contains(&v) { outer } else { inner };
        if around != Checkpoint::NONE {
            b.set_checkpoint(e.checkpoint.within(around));
        }
        let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
        to[v.index()] = Some(b.copy(e, &args));
    }
    let outputs = call.outputs().iter();
    Ok(outputs.filter_map(|o| to[o.index()]).collect())
}

/// What has a name, or makes the tuple of which that is a component.
fn named(call: &Graph) -> Vec<Var> {
    let mut named = Vec::new();
    for e in call.equations() {
        if let (Some(c), [x]) = (checkpoint(&e.op), &e.args[..])
            && c.name().is_some()
        {
            let made = call.equation(*x);
            named.push(match (&made.op, &made.args[..]) {
                (Op::Get(_), [tuple]) => *tuple,
                _ => *x,
            });
        }
    }
    named
}
