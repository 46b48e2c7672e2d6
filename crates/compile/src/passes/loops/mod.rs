//! Takes out of loops and branches what need not be in them.
//!
//! Results that nobody reads go, with what only they needed; values that a loop carries unchanged,
//! or reads again and again from equal slices, are shared by its steps; work that is the same in every
//! step is done once, before the loop; and vectors that are stacked shifted are shifted where they are
//! read. What is read at counted places is a slice of the step, and small steps that only add up are
//! done all at once.

mod body;
mod counters;
mod hoist;
mod numbers;
mod prune;
mod stacks;
mod sums;

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_graph::ops::{Cond, Region};
use cotangent_graph::{Builder, Callee, Equation, Graph, Op, Var};

use crate::CompileError;
use body::{Body, cut, needed};

/// What stands for a result of the operation as it was: `None` where nobody reads it.
type Results = Vec<Option<Var>>;

/// Bodies that have been looked at, by fingerprint.
type Known = HashMap<u128, Arc<Graph>>;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let is_region = |op: &Op| matches!(op, Op::Region(_));
    if !graph.equations().iter().any(|e| is_region(&e.op)) {
        return Ok(None);
    }
    let improved = improve(graph, &mut Known::new())?;
    // Functions with rules of their own that leave a body have still to be put in place.
    Ok(Some(super::custom::run(&improved)?.unwrap_or(improved)))
}

/// Inner bodies first, so that what leaves an inner loop can leave the outer one, too.
fn improve(graph: &Graph, known: &mut Known) -> Result<Graph, CompileError> {
    let live = graph.live();
    let read = read_parts(graph, &live);
    let mut b = Builder::new(graph.name());
    let mut to: Vec<Option<Var>> = vec![None; graph.equations().len()];
    let mut parts: HashMap<Var, Results> = HashMap::new();
    for (name, v) in graph.inputs() {
        if let Some(ty) = graph.ty(*v).tensor() {
            to[v.index()] = Some(b.input(name, ty.clone()));
        }
    }
    for (v, e) in graph.iter() {
        if e.op.is_input() || !live[v.index()] {
            continue;
        }
        b.follow(e);
        if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first())
            && let Some(results) = parts.get(tuple)
        {
            to[v.index()] = results.get(*i).copied().flatten();
            continue;
        }
        let args: Vec<Var> = e.args.iter().filter_map(|a| to[a.index()]).collect();
        let Op::Region(region) = &e.op else {
            to[v.index()] = Some(b.push(e.op.clone(), &args));
            continue;
        };
        let region = region.map_callees(|c| inner(c, known))?;
        let count = e.ty.components().len();
        let read = read.get(&v).cloned().unwrap_or_else(|| vec![true; count]);
        let results = emit(&mut b, &region, &args, &read, e)?;
        match e.ty.tensor() {
            Some(_) => to[v.index()] = results.first().copied().flatten(),
            None => drop(parts.insert(v, results)),
        }
    }
    b.set_location(None);
    let outputs: Vec<Var> = (graph.outputs().iter())
        .filter_map(|o| to[o.index()])
        .collect();
    // What was looked at and not taken is dead.
    let graph = b.finish(&outputs)?.without_dead_code();
    Ok(stacks::run(&graph)?.unwrap_or(graph))
}

fn inner(callee: &Callee, known: &mut Known) -> Result<Callee, CompileError> {
    let graph = &callee.0;
    if !(graph.equations().iter()).any(|e| matches!(e.op, Op::Region(_))) {
        return Ok(callee.clone());
    }
    let key = graph.fingerprint();
    if let Some(better) = known.get(&key) {
        return Ok(Callee(better.clone()));
    }
    let better = Arc::new(improve(graph, known)?);
    known.insert(key, better.clone());
    Ok(Callee(better))
}

/// Which results of each operation with several are read.
fn read_parts(graph: &Graph, live: &[bool]) -> HashMap<Var, Vec<bool>> {
    let mut read: HashMap<Var, Vec<bool>> = HashMap::new();
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first()) {
            let count = graph.ty(*tuple).components().len();
            let parts = read.entry(*tuple).or_insert_with(|| vec![false; count]);
            if let Some(part) = parts.get_mut(*i) {
                *part = true;
            }
        } else if e.ty.tensor().is_none() {
            let count = e.ty.components().len();
            read.entry(v).or_insert_with(|| vec![false; count]);
        }
    }
    read
}

fn emit(
    b: &mut Builder,
    region: &Region,
    args: &[Var],
    read: &[bool],
    e: &Equation,
) -> Result<Results, CompileError> {
    match region {
        Region::Cond(c) => branches(b, c, args, read),
        // A loop without steps would do what is moved out of it.
        Region::Scan(s) if s.length > 0 => {
            let body = Body::of_scan(s, args, read).improved(b)?;
            b.follow(e);
            scan(b, body, s.reverse)
        }
        Region::While(w) => {
            let body = Body::of_while(w, args, read).improved(b)?;
            b.follow(e);
            Ok(body.emit(b, false))
        }
        region => Ok(b
            .region(region.clone(), args)
            .into_iter()
            .map(Some)
            .collect()),
    }
}

/// A loop with a known number of steps, or what does all of them at once.
fn scan(b: &mut Builder, body: Body, reverse: bool) -> Result<Results, CompileError> {
    let (counted, counters) = counters::counted(b, body.clone(), reverse)?;
    let counted = counters::sliced(b, counted)?;
    let counted = prune::run(b, counted)?;
    if let Some(results) = sums::at_once(b, &counted) {
        return Ok(results);
    }
    // Where a step still reads the counter itself, to count is cheaper than an array of numbers.
    let body = match counters.iter().any(|v| counted.scanned.contains(v)) {
        true => counters::sliced(b, body)?,
        false => counted,
    };
    Ok(body.emit(b, reverse))
}

impl Body {
    /// What leaves the loop may leave operands behind that nothing reads any more.
    fn improved(self, b: &mut Builder) -> Result<Body, CompileError> {
        let body = prune::run(b, self)?;
        let body = numbers::run(b, body)?;
        let body = hoist::run(b, body)?;
        prune::run(b, body)
    }
}

/// Both branches without the results that nobody reads and the inputs that neither needs.
fn branches(
    b: &mut Builder,
    c: &Cond,
    args: &[Var],
    read: &[bool],
) -> Result<Results, CompileError> {
    let all = read.iter().all(|r| *r);
    let (x, y) = (needed(&c.then.0, read), needed(&c.otherwise.0, read));
    let inputs: Vec<bool> = x.iter().zip(&y).map(|(x, y)| *x || *y).collect();
    let results = if all && inputs.iter().all(|i| *i) {
        b.region(Region::Cond(c.clone()), args)
    } else {
        let cut = |callee: &Callee| cut(&callee.0, &inputs, read).map(Callee);
        let smaller = Region::Cond(Cond {
            then: cut(&c.then)?,
            otherwise: cut(&c.otherwise)?,
        });
        let (condition, rest) = args.split_at(args.len().min(1));
        let kept = rest.iter().zip(&inputs).filter(|(_, keep)| **keep);
        let operands: Vec<Var> = condition
            .iter()
            .chain(kept.map(|(a, _)| a))
            .copied()
            .collect();
        b.region(smaller, &operands)
    };
    Ok(spread(results, read))
}

/// The results that are read, at their places among all.
fn spread(results: Vec<Var>, read: &[bool]) -> Results {
    let mut results = results.into_iter();
    read.iter()
        .map(|r| r.then(|| results.next()).flatten())
        .collect()
}
