//! Loops that carry nothing but sums: their steps do not wait for one another.
//!
//! All steps are done at once, with the step as a leading axis, and what they add up is summed in the order that
//! the shape fixes, as every sum is. That changes the order of terms, as the graph alone says.

use cotangent_graph::ops::{ArrayOp, Binary, repeated};
use cotangent_graph::{Builder, Checkpoint, Graph, Op, Var};

use super::Results;
use super::body::{Body, Source, live_for};

/// All steps together store no more bytes than this, so that they stay in the second cache and no loop that was
/// written to save memory loses what it saves.
const MOST: usize = 1 << 20;

/// The loop as operations on all steps, if it carries nothing but sums and its steps are small.
pub(super) fn at_once(b: &mut Builder, body: &Body) -> Option<Results> {
    let (length, graph) = (body.length?, &*body.step);
    let carry = body.carried.len();
    let live = live_for(graph, graph.outputs().iter().copied());
    if !is_small(graph, &live, length) {
        return None;
    }
    let terms = terms(graph, carry, &live)?;
    let mut to: Vec<(Var, bool)> = vec![(Var::from_index(0), false); graph.equations().len()];
    let sliced = body.scanned.iter().map(|v| (*v, true));
    let shared = body.shared.iter().map(|v| (*v, false));
    for ((_, v), operand) in graph.inputs().iter().skip(carry).zip(sliced.chain(shared)) {
        to[v.index()] = operand;
    }
    let around = b.checkpoint();
    for (v, e) in graph.iter() {
        if e.op.is_input() || !live[v.index()] || terms.sums.contains(&v) {
            continue;
        }
        b.follow(e);
        b.set_checkpoint(around);
        let (args, varies): (Vec<Var>, Vec<bool>) = e.args.iter().map(|a| to[a.index()]).unzip();
        to[v.index()] = match &e.op {
            _ if !varies.contains(&true) => (b.push(e.op.clone(), &args), false),
            Op::Array(op) => (op.batch(b, &args, &varies, length), true),
            op => {
                let full: Vec<Var> = (args.iter().zip(&varies))
                    .map(|(v, varies)| all_steps(b, (*v, *varies), length))
                    .collect();
                (b.push(op.clone(), &full), true)
            }
        };
    }
    let mut results = Vec::with_capacity(graph.outputs().len());
    for (start, terms) in body.carried.iter().zip(&terms.of) {
        let mut sum = *start;
        for (term, minus) in terms {
            let steps = all_steps(b, to[term.index()], length);
            let all = b.sum(steps, &[0]);
            sum = match minus {
                false => b.add(sum, all),
                true => b.sub(sum, all),
            };
        }
        results.push(sum);
    }
    for output in graph.outputs().iter().skip(carry) {
        results.push(all_steps(b, to[output.index()], length));
    }
    let sources = body.results.iter().map(|source| match source {
        Source::Output(i) => results.get(*i).copied(),
        Source::Outside(v) => Some(*v),
        Source::Unread => None,
    });
    Some(sources.collect())
}

/// A value with one slice for each step.
fn all_steps(b: &mut Builder, (v, varies): (Var, bool), length: usize) -> Var {
    if varies { v } else { repeated(b, v, length) }
}

/// What is added to each carried value, with whether it is subtracted.
struct Terms {
    of: Vec<Vec<(Var, bool)>>,
    /// The sums themselves, which nothing else reads.
    sums: Vec<Var>,
}

fn terms(graph: &Graph, carry: usize, live: &[bool]) -> Option<Terms> {
    let mut uses = vec![0_u32; graph.equations().len()];
    for (_, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        e.args.iter().for_each(|a| uses[a.index()] += 1);
    }
    graph.outputs().iter().for_each(|o| uses[o.index()] += 1);
    // What depends on a carried value must be a sum on its way to the next one.
    let mut waits = vec![false; graph.equations().len()];
    graph
        .inputs()
        .iter()
        .take(carry)
        .for_each(|(_, v)| waits[v.index()] = true);
    for (v, e) in graph.iter() {
        waits[v.index()] |= e.args.iter().any(|a| waits[a.index()]);
    }
    let mut terms = Terms {
        of: Vec::new(),
        sums: Vec::new(),
    };
    for ((_, input), output) in graph.inputs().iter().zip(graph.outputs()).take(carry) {
        let (mut at, mut added) = (*output, Vec::new());
        while at != *input {
            let e = graph.equation(at);
            let [x, y] = e.args[..] else { return None };
            let (next, term, minus) = match e.op {
                Op::Binary(Binary::Add) if waits[x.index()] => (x, y, false),
                Op::Binary(Binary::Add) if waits[y.index()] => (y, x, false),
                Op::Binary(Binary::Sub) if waits[x.index()] => (x, y, true),
                _ => return None,
            };
            if waits[term.index()] || uses[at.index()] != 1 {
                return None;
            }
            terms.sums.push(at);
            added.push((term, minus));
            at = next;
        }
        if uses[input.index()] != 1 {
            return None;
        }
        added.reverse();
        terms.of.push(added);
    }
    let waiting = graph
        .iter()
        .filter(|(v, e)| live[v.index()] && waits[v.index()] && !e.op.is_input());
    (waiting.count() == terms.sums.len()).then_some(terms)
}

/// Whether the operations may all be done at once, and what they store is little.
fn is_small(graph: &Graph, live: &[bool], length: usize) -> bool {
    let mut bytes = 0_usize;
    for (_, e) in graph
        .iter()
        .filter(|(v, e)| live[v.index()] && !e.op.is_input())
    {
        // What the steps are to compute again for the way back stays theirs.
        let plain = e.checkpoint == Checkpoint::NONE && (e.op.is_pointwise() || is_plain(&e.op));
        let (true, Some(ty)) = (plain, e.ty.tensor()) else {
            return false;
        };
        if e.op.splat().is_none() {
            bytes = bytes.saturating_add(ty.bytes().saturating_mul(length));
        }
    }
    bytes <= MOST
}

/// Operations that cost the same, or less, on many at once.
fn is_plain(op: &Op) -> bool {
    match op {
        Op::Full(..) | Op::Constant(_) => true,
        Op::Array(op) => matches!(
            op,
            ArrayOp::Reshape(_)
                | ArrayOp::Transpose(_)
                | ArrayOp::Broadcast(_)
                | ArrayOp::Reverse(_)
                | ArrayOp::Slice(_)
                | ArrayOp::Pad(_)
                | ArrayOp::Concat(_)
                | ArrayOp::Gather(_)
                | ArrayOp::Sum(_)
                | ArrayOp::Prod(_)
                | ArrayOp::Max(_)
                | ArrayOp::Min(_)
                | ArrayOp::Norm(_)
                | ArrayOp::ArgMax(_)
                | ArrayOp::ArgMin(_)
                | ArrayOp::Any(_)
                | ArrayOp::All(_)
                | ArrayOp::Iota(_)
                | ArrayOp::Dot(_)
        ),
        _ => false,
    }
}
