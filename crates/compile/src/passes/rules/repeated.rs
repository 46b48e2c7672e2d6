//! Rules about arrays that hold the same all along an axis.

use cotangent_array::Shape;
use cotangent_graph::ops::{ArrayOp, Concat, Dot};
use cotangent_graph::{Builder, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use super::super::simplify::{Better, Site};

/// Whether an array repeats along an axis, for each axis.
type Repeats = SmallVec<[bool; 6]>;

/// How far it is looked back for the broadcast that an array comes from.
const DEPTH: usize = 4;

/// What is repeated fewer times would not repay a step of its own.
const FEWEST: usize = 8;

pub(super) fn concat(s: &Site) -> Option<Better> {
    repeated_parts(s.graph, s.op, s.args, s.ty)?;
    Some(Better::Several(|b, op, args, ty| {
        let (axis, repeats) = repeated_parts(b.graph(), op, args, ty)?;
        let kept = kept(&repeats);
        let mut parts: SmallVec<[Var; 3]> = SmallVec::new();
        for arg in args {
            parts.push(once(b, *arg, &repeats)?);
        }
        let axis = kept.iter().position(|k| *k == axis)?;
        let whole = b.push(Concat { axis }, &parts);
        Some(b.broadcast(whole, ty.shape.clone(), &kept))
    }))
}

pub(super) fn dot(s: &Site) -> Option<Better> {
    unshared(s.graph, s.op, s.args)?;
    Some(Better::Several(|b, op, args, ty| {
        let (dot, args, repeats) = unshared(b.graph(), op, args)?;
        let second = once(b, args[1], &repeats)?;
        let product = b.push(dot, &[args[0], second]);
        (b.shape(product) == ty.shape).then_some(product)
    }))
}

/// A product, its operands, and the shared axes along which the second one repeats, which the
/// product counts among the first one's free axes; if the result's axes stay in their order.
fn unshared(graph: &Graph, op: &Op, args: &[Var]) -> Option<(Dot, [Var; 2], Repeats)> {
    let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (op, args) else {
        return None;
    };
    if dot.batch.0.is_empty() || !graph.ty(*x).tensor()?.dtype.is_inexact() {
        return None;
    }
    let ways = [
        (Dot::clone(dot), [*x, *y], false),
        (dot.flipped(), [*y, *x], true),
    ];
    ways.into_iter().find_map(|(dot, args, flipped)| {
        let [first, second] = args.map(|v| graph.ty(v).tensor());
        let (first, second) = (first?, second?);
        let found = repeats(graph, args[1], DEPTH);
        let pairs = || dot.batch.0.iter().zip(&dot.batch.1);
        let (alone, shared): (Vec<_>, Vec<_>) =
            pairs().partition(|(_, of_second)| found[**of_second]);
        // The axes of the result are named by those of the first operand, and then the second's.
        let name = |axis: usize| first.rank() + axis;
        let (left, right) = dot.free_axes(first.rank(), second.rank());
        let right = right.into_iter().map(name);
        let free =
            (0..first.rank()).filter(|k| left.contains(k) || alone.iter().any(|(a, _)| *a == k));
        let after = shared
            .iter()
            .map(|(a, _)| **a)
            .chain(free)
            .chain(right.clone());
        let batch = pairs().map(|(a, _)| *a);
        let same = match flipped {
            false => after.eq(batch.chain(left.iter().copied()).chain(right)),
            true => after.eq(batch.chain(right).chain(left.iter().copied())),
        };
        let times: usize = alone.iter().map(|(a, _)| first.dim(**a)).product();
        let mut left_out: Repeats = SmallVec::from_elem(false, second.rank());
        for (_, axis) in &alone {
            left_out[**axis] = true;
        }
        let kept = kept(&left_out);
        let at = |axis: &usize| kept.iter().position(|k| k == axis);
        let mut new = dot.clone();
        new.batch.0 = shared.iter().map(|(a, _)| **a).collect();
        new.batch.1 = shared.iter().map(|(_, b)| at(b)).collect::<Option<_>>()?;
        new.contract.1 = dot.contract.1.iter().map(at).collect::<Option<_>>()?;
        (same && times > 1).then_some((new, args, left_out))
    })
}

/// The axis of a concatenation, and the other axes, along which all of its parts repeat.
fn repeated_parts(
    graph: &Graph,
    op: &Op,
    args: &[Var],
    ty: &TensorType,
) -> Option<(usize, Repeats)> {
    let Op::Array(ArrayOp::Concat(concat)) = op else {
        return None;
    };
    let mut all: Repeats = SmallVec::from_elem(true, ty.rank());
    *all.get_mut(concat.axis)? = false;
    for arg in args {
        common(&mut all, &repeats(graph, *arg, DEPTH));
        if !all.contains(&true) {
            return None;
        }
    }
    let lengths = ty.shape.iter().zip(&all).filter(|(_, repeats)| **repeats);
    let times: usize = lengths.map(|(n, _)| *n).product();
    (times >= FEWEST && ty.shape.elements() > 0).then_some((concat.axis, all))
}

/// Along which axes an array is known to repeat.
fn repeats(graph: &Graph, v: Var, depth: usize) -> Repeats {
    let rank = graph.ty(v).tensor().map_or(0, TensorType::rank);
    let nowhere = || SmallVec::from_elem(false, rank);
    if graph.splat(v).is_some() {
        return SmallVec::from_elem(true, rank);
    }
    let Some(depth) = depth.checked_sub(1) else {
        return nowhere();
    };
    let e = graph.equation(v);
    match (&e.op, &e.args[..]) {
        (Op::Array(ArrayOp::Broadcast(op)), _) => {
            (0..rank).map(|k| !op.dims.contains(&k)).collect()
        }
        (Op::Array(ArrayOp::Reshape(op)), [x]) => {
            let inner = repeats(graph, *x, depth);
            let long = long_axes(graph, *x, &op.shape);
            long.map_or_else(nowhere, |long| {
                let mut all = nowhere();
                for (from, to) in long {
                    all[to] = inner[from];
                }
                all
            })
        }
        (Op::Unary(_) | Op::Binary(_), args) => {
            let mut all = SmallVec::from_elem(true, rank);
            for arg in args {
                common(&mut all, &repeats(graph, *arg, depth));
            }
            all
        }
        _ => nowhere(),
    }
}

fn common(all: &mut Repeats, others: &[bool]) {
    for (own, other) in all.iter_mut().zip(others) {
        *own &= other;
    }
}

/// The axes longer than 1 of an array and of a reshape of it, where that does no more than to add
/// and to leave out axes of length 1.
fn long_axes(graph: &Graph, x: Var, shape: &Shape) -> Option<Vec<(usize, usize)>> {
    let own = &graph.ty(x).tensor()?.shape;
    let long = |shape: &Shape| {
        let axes = shape.iter().copied().enumerate().filter(|(_, n)| *n != 1);
        axes.collect::<SmallVec<[(usize, usize); 6]>>()
    };
    let (from, to) = (long(own), long(shape));
    let same = from.iter().map(|(_, n)| n).eq(to.iter().map(|(_, n)| n));
    let pairs = from
        .iter()
        .zip(&to)
        .map(|((from, _), (to, _))| (*from, *to));
    same.then(|| pairs.collect())
}

/// The axes along which nothing repeats.
fn kept(repeats: &[bool]) -> Vec<usize> {
    (0..repeats.len()).filter(|k| !repeats[*k]).collect()
}

/// An array without axes along which it repeats.
fn once(b: &mut Builder, v: Var, left_out: &[bool]) -> Option<Var> {
    let whole = b.shape(v);
    let kept = kept(left_out);
    let shape: Shape = kept.iter().filter_map(|k| whole.get(*k).copied()).collect();
    if let Some(number) = b.graph().splat(v) {
        return Some(b.full(number, shape));
    }
    if kept.len() == whole.rank() {
        return Some(v);
    }
    let e = b.graph().equation(v).clone();
    match (&e.op, &e.args[..]) {
        (Op::Array(ArrayOp::Broadcast(op)), [x]) => {
            let at = |axis: &usize| kept.iter().position(|k| k == axis);
            let dims = op.dims.iter().map(at).collect::<Option<Vec<usize>>>()?;
            Some(b.broadcast(*x, shape, &dims))
        }
        (Op::Array(ArrayOp::Reshape(op)), [x]) => {
            let long = long_axes(b.graph(), *x, &op.shape)?;
            let mut inner: Repeats = SmallVec::from_elem(false, b.shape(*x).rank());
            for (from, to) in long {
                *inner.get_mut(from)? = *left_out.get(to)?;
            }
            let x = once(b, *x, &inner)?;
            Some(b.reshape(x, shape))
        }
        (Op::Unary(_) | Op::Binary(_), args) => {
            let mut parts: SmallVec<[Var; 2]> = SmallVec::new();
            for arg in args {
                parts.push(once(b, *arg, left_out)?);
            }
            Some(b.push(e.op, &parts))
        }
        _ => None,
    }
}
