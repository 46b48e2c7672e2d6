//! Rules about operations that are not pointwise.

use cotangent_array::{DType, Scalar};
use cotangent_graph::ops::{
    ArrayOp, Broadcast, Compare, Dot, Iota, Pad, Reshape, Reverse, Slice, Sum, Transpose, Unary,
};
use cotangent_graph::{Builder, Graph, Op, TensorType, Var};

use super::super::affine::Affine;
use super::super::fold::fold;
use super::super::simplify::{Better, Rule, Site};
use super::{counted, first, repeated, rules};
use crate::fuse::SMALL;

rules! {
    /// Rules about operations that are not pointwise.
    MOVES:
    "moves of one number everywhere -> that number everywhere", "every element is it" => |s| moved_number(s);
    "iota of several axes -> broadcast(iota of one)", "the same positions, of which regions read one line" => |s| positions(s);
    "max, min, any, all over no axes -> x", "each element is its own group" => |s| no_axes(s);
    "sum over axes of length 1 -> reshape(x + 0)", "of one term; +0 turns -0 into +0, as a sum does" => |s| sum_of_one(s);
    "sum(-x) -> 0 - sum(x)", "the same sums with the other sign; a sum is never -0" => |s| sum_of_negated(s);
    "sum(broadcast(x)) over axes of x -> broadcast(sum(x))", "each of the equal sums is added up once" => |s| sum_of_broadcast(s);
    "dot of one term with a single number -> x * number + 0", "each element is one product, and regions can do it on their way" => |s| scaled(s);
    "reshape to the shape that x has -> x", "nothing moves" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Reshape(_))) && same_shape(s) { first(s) } else { None };
    "reshape(reshape(x)) -> reshape(x)", "the order of elements stays" => |s| reshape_twice(s);
    "transpose that moves only axes of length 1 -> reshape", "the order of elements stays" => |s| transpose_to_reshape(s);
    "transpose(transpose(x)) -> transpose(x)", "permutations compose" => |s| transpose_twice(s);
    "broadcast that adds only axes of length 1 -> reshape", "the order of elements stays" =>
        |s| match s.op {
            Op::Array(ArrayOp::Broadcast(b)) if elements(s, 0) == s.ty.shape.elements() => {
                Better::op(Reshape { shape: b.shape.clone() }, s.args)
            }
            _ => None,
        };
    "broadcast(broadcast(x)) -> broadcast(x)", "axis maps compose" => |s| broadcast_twice(s);
    "reverse of no axis or of short ones -> x", "an axis of length 1 is its own mirror image" => |s| reverse_short(s);
    "reverse(reverse(x)) -> reverse(x)", "an axis turned twice stands as before" => |s| reverse_twice(s);
    "slice of everything -> x", "with the operand's shape it takes each element" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Slice(_))) && same_shape(s) { first(s) } else { None };
    "slice(slice(x)) -> slice(x)", "starts and strides compose" => |s| slice_twice(s);
    "pad by nothing -> x", "with the operand's shape no element is added" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Pad(_))) && same_shape(s) { first(s) } else { None };
    "concat of one -> x", "nothing is joined" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Concat(_))) && s.args.len() == 1 { first(s) } else { None };
    "gather(x, [c, c + s, c + 2 s, ...]) -> slice(x)", "elements at equal distances are where they are" => |s| counted::gather(s);
    "scatter_add(x, [c, c + s, c + 2 s, ...]) -> pad(x + 0)", "none are added to one another" => |s| counted::scatter(s);
    "concat of arrays that repeat along another axis -> broadcast(concat)", "each of the equal parts is put together once" => |s| repeated::concat(s);
    "concat of x with one number before and behind -> pad(x)", "the same elements, which regions then read around those of x" =>
        |s| padded_concat(s.graph, s.op, s.args, s.ty).map(|_| Better::Several(pad));
    "dot of x with y that repeats along shared axes -> dot of x with one y", "the rows of all products are those of one: its sums may be taken in another order" => |s| repeated::dot(s);
    "dot of x with an identity matrix -> transpose(x)", "each element is itself: not bit for bit, since -0 and infinities stay what they are" => |s| with_identity(s);
    "transpose(dot(x, y)) -> dot(y, x)", "the two blocks of free axes change places, if nothing else reads the product" => |s| transpose_of_dot(s);
    "dot(transpose(x), y) -> dot(x, y)", "when the free axes keep their order; sums stay the same" => |s| dot_of_transpose(s);
}

fn elements(s: &Site, operand: usize) -> usize {
    s.args
        .get(operand)
        .map_or(0, |_| s.operand(operand).shape.elements())
}

fn same_shape(s: &Site) -> bool {
    !s.args.is_empty() && s.operand(0).shape == s.ty.shape
}

fn moved_number(s: &Site) -> Option<Better> {
    use ArrayOp as A;
    let Op::Array(op) = s.op else { return None };
    let read = match op {
        A::Reshape(_) | A::Transpose(_) | A::Broadcast(_) | A::Reverse(_) | A::Slice(_) => 1,
        A::Pad(_) | A::Concat(_) => s.args.len(),
        _ => return None,
    };
    let number = s.number(0)?;
    for i in 1..read {
        if s.number(i)? != number {
            return None;
        }
    }
    s.everywhere(number)
}

fn positions(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Iota(iota)) = s.op else {
        return None;
    };
    let several = s.ty.shape.elements() > s.ty.dim(iota.axis);
    several.then_some(Better::Several(|b, op, _, ty| {
        let Op::Array(ArrayOp::Iota(iota)) = op else {
            return None;
        };
        let line = Iota {
            shape: [ty.dim(iota.axis)].into(),
            axis: 0,
            dtype: iota.dtype,
        };
        let spread = Broadcast {
            shape: ty.shape.clone(),
            dims: vec![iota.axis],
        };
        // A short one is a constant.
        let (line, of) = (Op::from(line), ty.with_shape([ty.dim(iota.axis)]).into());
        let line = fold(b.graph(), &line, &[], &of).unwrap_or(line);
        let line = b.push(line, &[]);
        Some(b.push(spread, &[line]))
    }))
}

fn no_axes(s: &Site) -> Option<Better> {
    let axes = match s.op {
        Op::Array(ArrayOp::Max(op)) => &op.axes,
        Op::Array(ArrayOp::Min(op)) => &op.axes,
        Op::Array(ArrayOp::Any(op)) => &op.axes,
        Op::Array(ArrayOp::All(op)) => &op.axes,
        _ => return None,
    };
    if axes.is_empty() { first(s) } else { None }
}

fn sum_of_one(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Sum(op)) = s.op else {
        return None;
    };
    let x = s.operand(0);
    let one = op.axes.iter().all(|axis| x.dim(*axis) == 1);
    if !one || x.dtype != s.ty.dtype || !x.dtype.is_float() {
        return None;
    }
    Some(Better::Several(|b, _, args, ty| {
        let x = b.reshape(args[0], ty.shape.clone());
        Some(plus_zero(b, x))
    }))
}

fn sum_of_negated(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Sum(_)), (Op::Unary(Unary::Neg), [_])) = (s.op, s.inner(0)?) else {
        return None;
    };
    let dtype = s.operand(0).dtype;
    if !s.only_use || dtype != s.ty.dtype || !dtype.is_float() {
        return None;
    }
    Some(Better::Several(|b, sum, args, _| {
        let x = *b.graph().equation(args[0]).args.first()?;
        let sum = b.push(sum.clone(), &[x]);
        let zero = b.like(sum, 0.0);
        Some(b.sub(zero, sum))
    }))
}

fn sum_of_broadcast(s: &Site) -> Option<Better> {
    own_axes(s.graph, s.op, s.args)?;
    Some(Better::Several(|b, op, args, ty| {
        let (sum, axes, broadcast) = own_axes(b.graph(), op, args)?;
        let x = *b.graph().equation(args[0]).args.first()?;
        let kept: Vec<usize> = (0..broadcast.shape.rank())
            .filter(|axis| !sum.axes.contains(axis))
            .collect();
        let left = (broadcast.dims.iter().enumerate()).filter(|(own, _)| !axes.contains(own));
        let dims: Vec<usize> = left
            .map(|(_, axis)| kept.iter().position(|k| k == axis))
            .collect::<Option<_>>()?;
        let sum = b.push(Sum { axes }, &[x]);
        let same = b.shape(sum) == ty.shape && dims.iter().copied().eq(0..dims.len());
        Some(match same {
            true => sum,
            false => b.broadcast(sum, ty.shape.clone(), &dims),
        })
    }))
}

/// A sum over a broadcast, the axes of the broadcast's operand that it adds up, and the broadcast; if it adds up
/// nothing else.
fn own_axes(graph: &Graph, op: &Op, args: &[Var]) -> Option<(Sum, Vec<usize>, Broadcast)> {
    let Op::Array(ArrayOp::Sum(sum)) = op else {
        return None;
    };
    let e = graph.equation(*args.first()?);
    let Op::Array(ArrayOp::Broadcast(broadcast)) = &e.op else {
        return None;
    };
    let own = |axis: &usize| broadcast.dims.iter().position(|d| d == axis);
    let mut axes: Vec<usize> = sum.axes.iter().map(own).collect::<Option<_>>()?;
    axes.sort_unstable();
    (!axes.is_empty()).then(|| (Sum::clone(sum), axes, Broadcast::clone(broadcast)))
}

fn scaled(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Dot(op)) = s.op else {
        return None;
    };
    let one = op
        .contract
        .0
        .iter()
        .all(|axis| s.operand(0).dim(*axis) == 1);
    if !one || !op.batch.0.is_empty() || !s.dtype().is_float() {
        return None;
    }
    match (elements(s, 0), elements(s, 1)) {
        (_, 1) => Some(Better::Several(|b, _, args, ty| {
            Some(times_number(b, args[0], args[1], ty))
        })),
        (1, _) => Some(Better::Several(|b, _, args, ty| {
            Some(times_number(b, args[1], args[0], ty))
        })),
        _ => None,
    }
}

fn times_number(b: &mut Builder, x: Var, number: Var, ty: &TensorType) -> Var {
    let x = b.reshape(x, ty.shape.clone());
    let number = b.reshape(number, ());
    let number = b.broadcast(number, ty.shape.clone(), &[]);
    let product = b.mul(x, number);
    plus_zero(b, product)
}

pub(super) fn plus_zero(b: &mut Builder, x: Var) -> Var {
    let zero = b.like(x, 0.0);
    b.add(x, zero)
}

fn reshape_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Reshape(op)), (Op::Array(ArrayOp::Reshape(_)), [x])) =
        (s.op, s.inner(0)?)
    else {
        return None;
    };
    Better::op(
        Reshape {
            shape: op.shape.clone(),
        },
        &[*x],
    )
}

fn transpose_to_reshape(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Transpose(op)) = s.op else {
        return None;
    };
    let shape = &s.operand(0).shape;
    let long = op.axes.iter().filter(|a| shape.dims().get(**a) != Some(&1));
    if !long.clone().zip(long.skip(1)).all(|(a, b)| a < b) {
        return None;
    }
    Better::op(
        Reshape {
            shape: s.ty.shape.clone(),
        },
        s.args,
    )
}

fn transpose_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Transpose(op)), (Op::Array(ArrayOp::Transpose(inner)), [x])) =
        (s.op, s.inner(0)?)
    else {
        return None;
    };
    let axes = op
        .axes
        .iter()
        .map(|a| inner.axes.get(*a).copied())
        .collect::<Option<_>>()?;
    Better::op(Transpose { axes }, &[*x])
}

fn broadcast_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Broadcast(op)), (Op::Array(ArrayOp::Broadcast(inner)), [x])) =
        (s.op, s.inner(0)?)
    else {
        return None;
    };
    let dims = inner
        .dims
        .iter()
        .map(|d| op.dims.get(*d).copied())
        .collect::<Option<_>>()?;
    Better::op(
        Broadcast {
            shape: op.shape.clone(),
            dims,
        },
        &[*x],
    )
}

fn reverse_short(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Reverse(op)) = s.op else {
        return None;
    };
    let long: Vec<usize> = op
        .axes
        .iter()
        .copied()
        .filter(|a| s.ty.dim(*a) > 1)
        .collect();
    if long.is_empty() {
        return first(s);
    }
    if long.len() == op.axes.len() {
        return None;
    }
    Better::op(Reverse { axes: long }, s.args)
}

fn reverse_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Reverse(op)), (Op::Array(ArrayOp::Reverse(inner)), [x])) =
        (s.op, s.inner(0)?)
    else {
        return None;
    };
    let once = |axis: &usize| op.axes.contains(axis) != inner.axes.contains(axis);
    Better::op(
        Reverse {
            axes: (0..s.ty.rank()).filter(once).collect(),
        },
        &[*x],
    )
}

fn slice_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Slice(op)), (Op::Array(ArrayOp::Slice(inner)), [x])) =
        (s.op, s.inner(0)?)
    else {
        return None;
    };
    let (mut start, mut limit, mut stride) = (Vec::new(), Vec::new(), Vec::new());
    for axis in 0..s.ty.rank() {
        let (a, step) = (*inner.start.get(axis)?, *inner.stride.get(axis)?);
        let from = a.checked_add(op.start.get(axis)?.checked_mul(step)?)?;
        let by = op.stride.get(axis)?.checked_mul(step)?;
        // One past the last element taken, so that the limit stays inside the operand.
        let taken = s.ty.dim(axis);
        let (from, to) = match taken.checked_sub(1) {
            None => (a, a),
            Some(last) => (
                from,
                from.checked_add(last.checked_mul(by)?)?.checked_add(1)?,
            ),
        };
        start.push(from);
        limit.push(to);
        stride.push(by);
    }
    Better::op(
        Slice {
            start,
            limit,
            stride,
        },
        &[*x],
    )
}

/// The one operand of a concatenation that is not a number everywhere, that number, which is the same before
/// and behind it, and how many of it stand there along the axis.
pub(in crate::passes) fn padded_concat(
    graph: &Graph,
    op: &Op,
    args: &[Var],
    ty: &TensorType,
) -> Option<(Var, Scalar, Pad)> {
    let Op::Array(ArrayOp::Concat(concat)) = op else {
        return None;
    };
    let mut arrays = (0..args.len()).filter(|i| graph.splat(args[*i]).is_none());
    let (at, None) = (arrays.next()?, arrays.next()) else {
        return None;
    };
    let (before, behind) = (&args[..at], &args[at + 1..]);
    let mut numbers = before.iter().chain(behind).map(|v| graph.splat(*v));
    let number = numbers.next()??;
    if !numbers.all(|other| other == Some(number)) {
        return None;
    }
    let length = |of: &[Var]| {
        let along = |v: &Var| graph.ty(*v).tensor()?.shape.get(concat.axis).copied();
        of.iter().map(along).sum::<Option<usize>>()
    };
    let x = args[at];
    // Where regions could not read it, as few elements or along an outer axis, it stays what it is.
    let (rank, dims) = (graph.ty(x).tensor()?.rank(), &ty.shape.dims());
    let (along, inner) = dims.get(concat.axis..)?.split_first()?;
    if *along <= SMALL || inner.iter().any(|n| *n != 1) {
        return None;
    }
    let mut pad = Pad {
        low: vec![0; rank],
        high: vec![0; rank],
        interior: vec![0; rank],
    };
    *pad.low.get_mut(concat.axis)? = length(before)?;
    *pad.high.get_mut(concat.axis)? = length(behind)?;
    Some((x, number, pad))
}

fn pad(b: &mut Builder, op: &Op, args: &[Var], ty: &TensorType) -> Option<Var> {
    let (x, number, pad) = padded_concat(b.graph(), op, args, ty)?;
    let number = b.full(number, []);
    Some(b.push(pad, &[x, number]))
}

fn with_identity(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Dot(dot)) = s.op else {
        return None;
    };
    let ([a], [b], true) = (
        &dot.contract.0[..],
        &dot.contract.1[..],
        dot.batch.0.is_empty(),
    ) else {
        return None;
    };
    let side = (0..2).find(|side| {
        let v = s.args.get(*side);
        v.is_some_and(|v| is_identity(s.graph, *v))
    })?;
    // The axis of the other operand that is contracted takes the place of the identity's other axis.
    let (other, axis) = if side == 0 { (1, *b) } else { (0, *a) };
    let mut axes: Vec<usize> = (0..s.operand(other).rank())
        .filter(|k| *k != axis)
        .collect();
    axes.insert(if side == 0 { 0 } else { axes.len() }, axis);
    Better::op(Transpose { axes }, s.args.get(other..=other)?)
}

/// Whether a variable is a matrix with ones where row and column are the same, and zeros elsewhere.
fn is_identity(graph: &Graph, v: Var) -> bool {
    let Some([rows, columns]) = graph.ty(v).tensor().map(|t| t.shape.dims()) else {
        return false;
    };
    let counts = |v: Var| {
        let e = graph.equation(v);
        match (&e.op, &e.args[..]) {
            (Op::Array(ArrayOp::Iota(op)), _) if matches!(op.dtype, DType::I32 | DType::I64) => {
                Some(op.axis)
            }
            (Op::Array(ArrayOp::Broadcast(op)), [x]) => {
                let line = Affine::of_array(graph, *x)?;
                let whole = graph.ty(*x).tensor()?.shape.dims() == [*rows];
                let counts = whole && (line.start(), line.step()) == (0, 1);
                op.dims.first().copied().filter(|_| counts)
            }
            _ => None,
        }
    };
    let e = graph.equation(v);
    let whole = rows == columns && *rows > 1;
    whole
        && match &e.op {
            Op::Constant(array) => array.scalars().enumerate().all(|(i, x)| {
                let on = i / columns == i % columns;
                x.to_f64() == f64::from(u8::from(on)) && !x.dtype().is_complex()
            }),
            Op::Convert(_) => e.args.first().is_some_and(|mask| {
                let mask = graph.equation(*mask);
                let (Op::Compare(Compare::Eq), [x, y]) = (&mask.op, &mask.args[..]) else {
                    return false;
                };
                matches!((counts(*x), counts(*y)), (Some(x), Some(y)) if x != y)
            }),
            _ => false,
        }
}

fn transpose_of_dot(s: &Site) -> Option<Better> {
    // With other users of the product there would be two of them.
    if !s.only_use {
        return None;
    }
    let (Op::Array(ArrayOp::Transpose(op)), (Op::Array(ArrayOp::Dot(dot)), [x, y])) =
        (s.op, s.inner(0)?)
    else {
        return None;
    };
    let batch = dot.batch.0.len();
    let rank = |v: Var| s.graph.ty(v).tensor().map_or(0, |t| t.rank());
    let (left, right) = (
        rank(*x).checked_sub(batch + dot.contract.0.len())?,
        rank(*y).checked_sub(batch + dot.contract.1.len())?,
    );
    let swapped = (0..batch)
        .chain(batch + left..batch + left + right)
        .chain(batch..batch + left);
    if !swapped.eq(op.axes.iter().copied()) {
        return None;
    }
    Better::op(dot.flipped(), &[*y, *x])
}

fn dot_of_transpose(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Dot(dot)) = s.op else {
        return None;
    };
    for side in 0..2 {
        let Some((Op::Array(ArrayOp::Transpose(moved)), [x])) = s.inner(side) else {
            continue;
        };
        let mut new = Dot::clone(dot);
        let (contract, batch) = match side {
            0 => (&mut new.contract.0, &mut new.batch.0),
            _ => (&mut new.contract.1, &mut new.batch.1),
        };
        let free = (0..moved.axes.len()).filter(|a| !contract.contains(a) && !batch.contains(a));
        let free: Vec<usize> = free.filter_map(|a| moved.axes.get(a).copied()).collect();
        if !free.is_sorted() {
            continue;
        }
        for axis in contract.iter_mut().chain(batch.iter_mut()) {
            *axis = *moved.axes.get(*axis)?;
        }
        let mut args = smallvec::SmallVec::from_slice(s.args);
        args[side] = *x;
        return Some(Better::Op(new.into(), args));
    }
    None
}
