//! A loop taken apart, and put together again.

use std::sync::Arc;

use cotangent_graph::ops::{Region, Scan, While};
use cotangent_graph::{Builder, Callee, Graph, Op, Var};

use super::Results;
use crate::CompileError;

/// A loop: its graphs, and its operands by kind, as the body takes them.
#[derive(Clone)]
pub(super) struct Body {
    /// One step: takes carried values, slices and shared values; gives the next carried values and
    /// slices to stack.
    pub(super) step: Arc<Graph>,
    /// Whether there is another step, by carried and shared values.
    pub(super) test: Option<Arc<Graph>>,
    /// How many steps there are, where that is known.
    pub(super) length: Option<usize>,
    pub(super) carried: Vec<Var>,
    pub(super) scanned: Vec<Var>,
    pub(super) shared: Vec<Var>,
    /// What stands for each result that the loop had at first.
    pub(super) results: Vec<Source>,
}

/// Where a result comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Source {
    /// An output of the step: the last one of what is carried, all of what is stacked.
    Output(usize),
    /// A variable outside of the loop.
    Outside(Var),
    /// Nobody reads it.
    Unread,
}

impl Body {
    pub(super) fn of_scan(s: &Scan, args: &[Var], read: &[bool]) -> Body {
        let (carried, rest) = args.split_at(s.carry.min(args.len()));
        let (scanned, shared) = rest.split_at(s.scanned.min(rest.len()));
        Body {
            step: s.body.0.clone(),
            test: None,
            length: Some(s.length),
            carried: carried.to_vec(),
            scanned: scanned.to_vec(),
            shared: shared.to_vec(),
            results: sources(read),
        }
    }

    pub(super) fn of_while(w: &While, args: &[Var], read: &[bool]) -> Body {
        let (carried, shared) = args.split_at(w.carry.min(args.len()));
        Body {
            step: w.body.0.clone(),
            test: Some(w.test.0.clone()),
            length: None,
            carried: carried.to_vec(),
            scanned: Vec::new(),
            shared: shared.to_vec(),
            results: sources(read),
        }
    }

    /// The positions of the shared values among the inputs of the step.
    pub(super) fn first_shared(&self) -> usize {
        self.carried.len() + self.scanned.len()
    }

    /// Whether anything is left to compute.
    fn is_empty(&self) -> bool {
        self.step.outputs().is_empty() && self.test.is_none()
    }

    /// The loop in a graph; `reverse` for one with a known number of steps.
    pub(super) fn emit(self, b: &mut Builder, reverse: bool) -> Results {
        let found = if self.is_empty() {
            Vec::new()
        } else {
            let carry = self.carried.len();
            let region = match self.test {
                Some(test) => Region::While(While {
                    test: Callee(test),
                    body: Callee(self.step),
                    carry,
                }),
                None => Region::Scan(Scan {
                    body: Callee(self.step),
                    carry,
                    scanned: self.scanned.len(),
                    length: self.length.unwrap_or(0),
                    reverse,
                }),
            };
            let operands = [self.carried, self.scanned, self.shared].concat();
            b.region(region, &operands)
        };
        let results = self.results.into_iter();
        results
            .map(|source| match source {
                Source::Output(i) => found.get(i).copied(),
                Source::Outside(v) => Some(v),
                Source::Unread => None,
            })
            .collect()
    }
}

fn sources(read: &[bool]) -> Vec<Source> {
    let all = read.iter().enumerate();
    all.map(|(i, read)| match read {
        true => Source::Output(i),
        false => Source::Unread,
    })
    .collect()
}

/// Which inputs of a graph the outputs with a flag need.
pub(super) fn needed(graph: &Graph, wanted: &[bool]) -> Vec<bool> {
    let outputs = graph.outputs().iter().zip(wanted);
    let live = live_for(graph, outputs.filter(|(_, w)| **w).map(|(o, _)| *o));
    let inputs = graph.inputs().iter();
    inputs.map(|(_, v)| live[v.index()]).collect()
}

/// Which variables some variables need, these included.
pub(super) fn live_for(graph: &Graph, variables: impl Iterator<Item = Var>) -> Vec<bool> {
    let mut live = vec![false; graph.equations().len()];
    for v in variables {
        live[v.index()] = true;
    }
    for (v, e) in graph.iter().rev() {
        if live[v.index()] {
            for a in &e.args {
                live[a.index()] = true;
            }
        }
    }
    live
}

/// The graph with these of its inputs, in this order, and these outputs.
pub(super) fn chosen(
    graph: &Graph,
    inputs: &[usize],
    outputs: &[usize],
) -> Result<Arc<Graph>, CompileError> {
    let mut b = Builder::new(graph.name());
    let mut to: Vec<Option<Var>> = vec![None; graph.equations().len()];
    for (name, v) in inputs.iter().filter_map(|i| graph.inputs().get(*i)) {
        if let Some(ty) = graph.ty(*v).tensor() {
            to[v.index()] = Some(b.input(name, ty.clone()));
        }
    }
    let outputs: Vec<Var> = (outputs.iter())
        .filter_map(|o| graph.outputs().get(*o).copied())
        .collect();
    let live = live_for(graph, outputs.iter().copied());
    for (v, e) in graph.iter() {
        if live[v.index()] && e.op != Op::Input {
            b.follow(e);
            let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
            to[v.index()] = Some(b.push(e.op.clone(), &args));
        }
    }
    let outputs: Vec<Var> = outputs.iter().filter_map(|o| to[o.index()]).collect();
    Ok(Arc::new(b.finish(&outputs)?))
}

/// The graph without the inputs and outputs that have no flag.
pub(super) fn cut(
    graph: &Graph,
    inputs: &[bool],
    outputs: &[bool],
) -> Result<Arc<Graph>, CompileError> {
    let places = |flags: &[bool]| -> Vec<usize> {
        let all = flags.iter().enumerate();
        all.filter(|(_, keep)| **keep).map(|(i, _)| i).collect()
    };
    chosen(graph, &places(inputs), &places(outputs))
}
