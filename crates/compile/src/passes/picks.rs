//! One element of each row, picked and put back by an index.
//!
//! A loss that reads the score of the right class takes one element of each row of an array. Where the
//! array is computed element by element, only those elements need to be computed for it: the choice
//! moves to what they are computed from. Its derivative puts one number into each row of zeros, which
//! is a comparison of positions with the index: it needs no array of its own.

use std::collections::{BTreeSet, HashMap};

use cotangent_array::{DType, Scalar};
use cotangent_graph::ops::{ArrayOp, Compare, Gather, Iota};
use cotangent_graph::{Builder, Equation, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use super::rewrite::rewrite_from;
use crate::CompileError;

/// Rows of fewer elements are left as they are.
const SHORT: usize = 16;
/// Arrays of fewer elements are left as they are.
const SMALL: usize = 4096;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let choice = |op: &Op| matches!(op, Op::Array(ArrayOp::Gather(_) | ArrayOp::ScatterAdd(_)));
    if !graph.equations().iter().any(|e| choice(&e.op)) {
        return Ok(None);
    }
    let live = graph.live();
    let mut found: HashMap<Var, Found> = HashMap::new();
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        if one_hot(graph, e) {
            found.insert(v, Found::OneHot);
        } else if let Some(cone) = cone(graph, e) {
            found.insert(v, Found::Picks(cone));
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let sums = sums(graph, &live, &found);
    found.extend(sums.into_iter().map(|v| (v, Found::Sum)));
    rewrite_from(graph, |b, v, to| match found.get(&v)? {
        Found::OneHot => put(b, graph.equation(v), graph.ty(v).tensor()?, to),
        Found::Sum => {
            let rows = graph.equation(v).args.first()?;
            let numbers = graph.equation(*rows).args.first()?;
            let numbers = to[numbers.index()];
            let zero = b.like(numbers, 0.0);
            Some(b.add(numbers, zero))
        }
        Found::Picks(cone) => pick(b, graph, graph.equation(v), cone, to),
    })
    .map(Some)
}

enum Found {
    /// Numbers that are put into rows of zeros.
    OneHot,
    /// Sums of such rows, which are the numbers.
    Sum,
    /// Elements of what these operations compute, in order.
    Picks(Vec<Var>),
}

/// The sums of rows with one number each, where the rows are read for something else, too: that finds indices
/// out of range.
fn sums(graph: &Graph, live: &[bool], found: &HashMap<Var, Found>) -> Vec<Var> {
    let put = |v: &Var| matches!(found.get(v), Some(Found::OneHot));
    let (mut sums, mut others) = (Vec::new(), BTreeSet::new());
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        let along = match &e.op {
            Op::Array(ArrayOp::Sum(op)) => op.axes.first().filter(|_| op.axes.len() == 1),
            _ => None,
        };
        let rank = |x: &Var| graph.ty(*x).tensor().map_or(0, |ty| ty.shape.len());
        match (&e.args[..], along) {
            ([x], Some(axis)) if put(x) && axis + 1 == rank(x) => sums.push((v, *x)),
            (args, _) => others.extend(args.iter().copied().filter(put)),
        }
    }
    others.extend(graph.outputs().iter().copied());
    sums.retain(|(_, rows)| others.contains(rows));
    sums.into_iter().map(|(v, _)| v).collect()
}

/// The length of the rows, if an operation on such an array takes one index for each.
fn rows(x: &TensorType, index: &TensorType, axis: usize, batch: usize) -> Option<usize> {
    let rows = x.shape.len() == batch + 1 && index.shape.len() == batch && axis == batch;
    let n = *x.shape.last()?;
    (rows && batch > 0 && n >= SHORT && x.shape.elements() >= SMALL).then_some(n)
}

fn one_hot(graph: &Graph, e: &Equation) -> bool {
    let (Op::Array(ArrayOp::ScatterAdd(op)), [_, index], Some(ty)) =
        (&e.op, &e.args[..], e.ty.tensor())
    else {
        return false;
    };
    let numbers = matches!(ty.dtype, DType::F32 | DType::F64);
    // Positions are counted in 32 bits.
    let index = graph.ty(*index).tensor();
    let n = index.and_then(|index| rows(ty, index, op.axis, op.batch));
    numbers && n.is_some_and(|n| n < 1 << 31)
}

/// Puts a number into each row of zeros: where the position is the index.
fn put(b: &mut Builder, e: &Equation, ty: &TensorType, to: &[Var]) -> Option<Var> {
    let [updates, index] = e.args[..] else {
        return None;
    };
    let (updates, index) = (to[updates.index()], to[index.index()]);
    let (shape, n) = (ty.shape.clone(), *ty.shape.last()?);
    let outer: Vec<usize> = (0..shape.len() - 1).collect();
    let dtype = match ty.dtype {
        DType::F32 => DType::I32,
        _ => DType::I64,
    };
    let counted = Iota {
        shape: [n].into_iter().collect(),
        axis: 0,
        dtype,
    };
    let positions = b.push(counted, &[]);
    // The position at an index is that index: of the dtype that is compared, and in the range.
    let index = b.push(Gather { axis: 0, batch: 0 }, &[positions, index]);
    let index = b.broadcast(index, shape.clone(), &outer);
    let positions = b.broadcast(positions, shape.clone(), &[outer.len()]);
    let here = b.compare(Compare::Eq, index, positions);
    // Sums begin with 0, so a negative zero becomes one without a sign.
    let zero = b.like(updates, 0.0);
    let updates = b.add(updates, zero);
    let updates = b.broadcast(updates, shape.clone(), &outer);
    let zeros = b.full(Scalar::zero(ty.dtype), shape);
    Some(b.select(here, updates, zeros))
}

/// The operations behind a choice of one element from each row that can be done on those elements
/// alone, in order; `None` where that does not pay.
fn cone(graph: &Graph, e: &Equation) -> Option<Vec<Var>> {
    let (Op::Array(ArrayOp::Gather(op)), [x, index]) = (&e.op, &e.args[..]) else {
        return None;
    };
    let (x_ty, index) = (graph.ty(*x).tensor()?, graph.ty(*index).tensor()?);
    let n = rows(x_ty, index, op.axis, op.batch)?;
    let (mut cone, mut work, mut cost) = (BTreeSet::new(), vec![*x], 0);
    let mut checked = false;
    while let Some(v) = work.pop() {
        let e = graph.equation(v);
        let pointwise = e.op.is_pointwise() && !e.args.is_empty();
        if !pointwise {
            checked |= !is_spread(graph, v, op.batch) && graph.splat(v).is_none();
            continue;
        }
        if cone.insert(v) {
            cost += e.op.row().map_or(1, |row| row.cost as usize);
            work.extend(&e.args);
        }
        // Less than what is saved by not storing all elements.
        if cost > n / 4 {
            return None;
        }
    }
    // Some choice must remain that finds indices out of range.
    (!cone.is_empty() && checked).then(|| cone.into_iter().collect())
}

/// Whether the elements of a row are all the same.
fn is_spread(graph: &Graph, v: Var, batch: usize) -> bool {
    match &graph.equation(v).op {
        Op::Array(ArrayOp::Broadcast(op)) => op.dims.iter().all(|d| *d < batch),
        _ => false,
    }
}

fn pick(b: &mut Builder, graph: &Graph, e: &Equation, cone: &[Var], to: &[Var]) -> Option<Var> {
    let (Op::Array(ArrayOp::Gather(op)), [x, index]) = (&e.op, &e.args[..]) else {
        return None;
    };
    let shape = graph.ty(*index).tensor()?.shape.clone();
    let index = to[index.index()];
    let mut picked: HashMap<Var, Var> = HashMap::new();
    for v in cone {
        let own = graph.equation(*v);
        let mut args: SmallVec<[Var; 3]> = SmallVec::new();
        for a in &own.args {
            let known = picked.get(a).copied();
            let var = match known {
                Some(var) => var,
                None => element(b, graph, *a, op, index, &shape, to)?,
            };
            picked.insert(*a, var);
            args.push(var);
        }
        let var = b.push(own.op.clone(), &args);
        picked.insert(*v, var);
    }
    picked.get(x).copied()
}

/// One element of each row of what is no part of the operations that move.
fn element(
    b: &mut Builder,
    graph: &Graph,
    v: Var,
    op: &Gather,
    index: Var,
    shape: &cotangent_array::Shape,
    to: &[Var],
) -> Option<Var> {
    if let Some(value) = graph.splat(v) {
        return Some(b.full(value, shape.clone()));
    }
    let e = graph.equation(v);
    if let (Op::Array(ArrayOp::Broadcast(spread)), [x]) = (&e.op, &e.args[..]) {
        let x = to[x.index()];
        if is_spread(graph, v, op.batch) {
            return Some(b.broadcast(x, shape.clone(), &spread.dims));
        }
        // A row that is the same for all.
        if spread.dims[..] == [op.batch] {
            return Some(b.push(Gather { axis: 0, batch: 0 }, &[x, index]));
        }
    }
    Some(b.push(op.clone(), &[to[v.index()], index]))
}
