//! Graphs built again with something else in some places.

use std::collections::HashMap;

use cotangent_graph::{Builder, Graph, Op, Type, Var};

use crate::random::Case;

pub(super) fn rebuilt(
    case: &Case,
    outputs: &[Var],
    instead: impl FnMut(&mut Builder, Var, &[Var]) -> Option<Vec<Var>>,
) -> Option<Case> {
    let graph = rebuild(&case.graph, outputs, instead)?;
    Some(Case {
        graph,
        ..case.clone()
    })
}

/// The graph built again with other outputs; `instead` may give other variables for an equation,
/// one for each component of its type. Inputs keep their order, new ones come last.
pub(super) fn rebuild(
    graph: &Graph,
    outputs: &[Var],
    mut instead: impl FnMut(&mut Builder, Var, &[Var]) -> Option<Vec<Var>>,
) -> Option<Graph> {
    let mut b = Builder::new(graph.name());
    let mut parts: HashMap<Var, Vec<Var>> = HashMap::new();
    let mut whole: HashMap<Var, Var> = HashMap::new();
    for (name, v) in graph.inputs() {
        let input = b.input(name, graph.ty(*v).tensor()?.clone());
        // An input that is replaced stays, for the others to keep their places.
        let input = instead(&mut b, *v, &[])
            .and_then(|r| r.first().copied())
            .unwrap_or(input);
        whole.insert(*v, input);
    }
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        if let (Op::Get(i), Some(known)) = (&e.op, e.args.first().and_then(|a| parts.get(a))) {
            let part = match instead(&mut b, v, &[]) {
                Some(other) => *other.first()?,
                None => *known.get(*i)?,
            };
            whole.insert(v, part);
            continue;
        }
        let args: Vec<Var> = e
            .args
            .iter()
            .map(|a| whole.get(a).copied())
            .collect::<Option<_>>()?;
        match (instead(&mut b, v, &args), &e.ty) {
            (Some(several), Type::Tuple(_)) => {
                parts.insert(v, several);
            }
            (Some(one), Type::Tensor(_)) => {
                whole.insert(v, *one.first()?);
            }
            (None, _) => {
                let out = b.push(e.op.clone(), &args);
                whole.insert(v, out);
            }
        }
    }
    let outputs: Vec<Var> = outputs
        .iter()
        .map(|o| whole.get(o).copied())
        .collect::<Option<_>>()?;
    if b.failed() {
        return None;
    }
    Some(b.finish(&outputs).ok()?.without_dead_code())
}

pub(super) fn without_unread(case: &Case) -> Option<Case> {
    let g = &case.graph;
    let live = g.live();
    let mut b = Builder::new(g.name());
    let mut to: HashMap<Var, Var> = HashMap::new();
    let mut inputs = Vec::new();
    for ((name, v), value) in g.inputs().iter().zip(&case.inputs) {
        if live[v.index()] {
            to.insert(*v, b.input(name, g.ty(*v).tensor()?.clone()));
            inputs.push(value.clone());
        }
    }
    for (v, e) in g
        .iter()
        .filter(|(v, e)| live[v.index()] && !e.op.is_input())
    {
        let args: Vec<Var> = e
            .args
            .iter()
            .map(|a| to.get(a).copied())
            .collect::<Option<_>>()?;
        to.insert(v, b.push(e.op.clone(), &args));
    }
    let outputs: Vec<Var> = g
        .outputs()
        .iter()
        .map(|o| to.get(o).copied())
        .collect::<Option<_>>()?;
    Some(Case {
        graph: b.finish(&outputs).ok()?,
        inputs,
        ..case.clone()
    })
}
