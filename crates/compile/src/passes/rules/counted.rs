//! Rules about indices at equal distances.

use cotangent_array::Scalar;
use cotangent_graph::ops::{ArrayOp, Pad, Slice};
use cotangent_graph::{Graph, Op, Var};

use super::super::affine::Affine;
use super::super::simplify::{Better, Site};
use super::moves::plus_zero;

pub(super) fn gather(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Gather(op)), [x, index]) = (s.op, s.args) else {
        return None;
    };
    let shape = &s.operand(0).shape;
    if op.batch != 0 {
        return None;
    }
    let ([low, high], step) = counted(s.graph, *index, *shape.get(op.axis)?)?;
    let mut slice = Slice {
        start: vec![0; shape.rank()],
        limit: shape.dims().to_vec(),
        stride: vec![1; shape.rank()],
    };
    *slice.start.get_mut(op.axis)? = low;
    *slice.limit.get_mut(op.axis)? = high + 1;
    *slice.stride.get_mut(op.axis)? = step;
    Better::op(slice, &[*x])
}

pub(super) fn scatter(s: &Site) -> Option<Better> {
    padded(s.graph, s.op, s.args)?;
    Some(Better::Several(|b, op, args, ty| {
        let pad = padded(b.graph(), op, args)?;
        // Sums begin with 0, so a negative zero becomes one without a sign.
        let x = match !ty.dtype.is_int() {
            true => plus_zero(b, args[0]),
            false => args[0],
        };
        let zero = b.full(Scalar::zero(ty.dtype), ());
        Some(b.push(pad, &[x, zero]))
    }))
}

/// The pad that puts updates where a scatter at equal distances adds them.
fn padded(graph: &Graph, op: &Op, args: &[Var]) -> Option<Pad> {
    let (Op::Array(ArrayOp::ScatterAdd(op)), [_, index]) = (op, args) else {
        return None;
    };
    let length = *op.shape.get(op.axis)?;
    if op.batch != 0 {
        return None;
    }
    let ([low, high], step) = counted(graph, *index, length)?;
    let mut pad = Pad {
        low: vec![0; op.shape.rank()],
        high: vec![0; op.shape.rank()],
        interior: vec![0; op.shape.rank()],
    };
    *pad.low.get_mut(op.axis)? = low;
    *pad.high.get_mut(op.axis)? = length - 1 - high;
    *pad.interior.get_mut(op.axis)? = step - 1;
    Some(pad)
}

/// The lowest place and the step of indices that go up by equal steps inside of an axis.
fn counted(graph: &Graph, index: Var, length: usize) -> Option<([usize; 2], usize)> {
    let numbers = Affine::of_array(graph, index)?;
    let places = numbers.places(length)?;
    let step = usize::try_from(numbers.step()).ok()?.max(1);
    // One place again and again is none of it.
    let apart = numbers.step() > 0 || graph.ty(index).tensor()?.shape.elements() == 1;
    apart.then_some((places, step))
}
