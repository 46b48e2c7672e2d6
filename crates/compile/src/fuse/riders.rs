//! Which operations run in the region of the one that reads them.

use cotangent_graph::ops::{Binary, Unary};
use cotangent_graph::{Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use super::pattern::is_view;

/// For each variable whether its operation runs with the one operation that reads it.
pub(super) fn riders(graph: &Graph, roots: &[Var], fma: bool) -> Vec<bool> {
    let reads = Reads::of(graph, roots);
    let mut rides = if fma {
        contracted(graph, roots, &reads)
    } else {
        vec![false; roots.len()]
    };
    late(graph, roots, &reads, &mut rides);
    rides
}

/// Who reads the memory of each variable, views aside.
struct Reads {
    count: Vec<u32>,
    /// The last two readers; outputs of the graph are read at its end.
    last: Vec<[usize; 2]>,
}

impl Reads {
    fn of(graph: &Graph, roots: &[Var]) -> Reads {
        let mut reads = Reads {
            count: vec![0; roots.len()],
            last: vec![[0; 2]; roots.len()],
        };
        let mut read = |v: Var, by: usize| {
            let root = roots[v.index()].index();
            reads.count[root] = reads.count[root].saturating_add(1);
            if reads.last[root][0] != by {
                reads.last[root] = [by, reads.last[root][0]];
            }
        };
        for (v, e) in graph.iter().filter(|(_, e)| !is_view(graph, e)) {
            e.args.iter().for_each(|a| read(*a, v.index()));
        }
        let outputs = graph.outputs().iter();
        outputs.for_each(|v| read(*v, roots.len()));
        reads
    }
}

/// Products of floats that nothing but one sum or difference reads: they are rounded with it. Of two
/// such terms of a sum the first is rounded by itself.
fn contracted(graph: &Graph, roots: &[Var], reads: &Reads) -> Vec<bool> {
    let mut contracted = vec![false; roots.len()];
    for e in graph.equations().iter().filter(|e| !is_view(graph, e)) {
        let float = e.ty.tensor().is_some_and(|t| t.dtype.is_float());
        if !float || !matches!(e.op, Op::Binary(Binary::Add | Binary::Sub)) {
            continue;
        }
        let product = |v: &Var| {
            reads.count[v.index()] == 1 && matches!(graph.equation(*v).op, Op::Binary(Binary::Mul))
        };
        let mut terms = e.args.iter().rev().map(|a| roots[a.index()]);
        if let Some(v) = terms.find(product) {
            contracted[v.index()] = true;
        }
    }
    contracted
}

/// Adds results that are read once, much later, and can be had by a few cheap operations from what is
/// still stored then: the slope `1 - y * y` of a `tanh`, which the way back reads, from `y`, which it
/// reads anyway.
fn late(graph: &Graph, roots: &[Var], reads: &Reads, rides: &mut [bool]) {
    for (reader, e) in graph.iter() {
        // Numbers are not stored anyway: tapes order them as they are read.
        let many = |t: &&TensorType| t.dtype.is_float() && t.shape.elements() > 1;
        let floats = e.ty.tensor().filter(many);
        let Some(ty) = floats.filter(|_| e.op.is_pointwise()) else {
            continue;
        };
        for a in &e.args {
            let top = roots[a.index()];
            let mut chain: SmallVec<[Var; 8]> = SmallVec::new();
            let mut work: SmallVec<[Var; 8]> = SmallVec::new();
            work.push(top);
            let mut found = true;
            while let Some(v) = work.pop() {
                let e = graph.equation(v);
                let cheap = is_cheap(&e.op)
                    && reads.count[v.index()] == 1
                    && e.ty.tensor() == Some(ty)
                    && e.args.iter().all(|a| graph.ty(*a).tensor() == Some(ty))
                    && chain.len() < LONGEST;
                if cheap {
                    chain.push(v);
                    work.extend(e.args.iter().map(|a| roots[a.index()]));
                } else if !(v != top && still_there(graph, reads, v, top, reader)) {
                    found = false;
                    break;
                }
            }
            if found {
                chain.iter().for_each(|v| rides[v.index()] = true);
            }
        }
    }
}

/// Whether a variable is read by another operation about when `reader` runs, rather than about when
/// `top` would.
fn still_there(graph: &Graph, reads: &Reads, v: Var, top: Var, reader: Var) -> bool {
    let op = &graph.equation(v).op;
    if op.is_input() || op.is_constant() {
        return true;
    }
    let near = |by: usize| by > top.index() && by.abs_diff(reader.index()) < by - top.index();
    reads.last[v.index()].iter().any(|by| near(*by))
}

/// The most operations that run late for one reader.
const LONGEST: usize = 16;

/// Whether computing a result costs less than storing it and reading it.
fn is_cheap(op: &Op) -> bool {
    match op {
        Op::Unary(op) => matches!(op, Unary::Neg | Unary::Abs),
        Op::Binary(op) => matches!(
            op,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Maximum | Binary::Minimum
        ),
        _ => false,
    }
}
