//! Which columns the columns of a result are.

use std::sync::Arc;

use cotangent_array::{Array, Shape};
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Equation, Op, TensorType};

/// Where a column of a result comes from: the operand, and its column or, of an operand that has no
/// places, its element.
pub(super) type From = (usize, usize);

/// The number of places: the length of the first axis.
pub(super) fn places(ty: &TensorType) -> Option<usize> {
    ty.shape.first().copied()
}

/// The number of columns: elements for each place.
pub(super) fn columns(ty: &TensorType) -> usize {
    ty.shape.iter().skip(1).fold(1, |n, d| n.saturating_mul(*d))
}

/// The shape for one place.
fn one(shape: &Shape) -> Shape {
    let rest = shape.iter().skip(1).copied();
    [1].into_iter().chain(rest).collect()
}

/// Whether an operand of a move has the places of the result; others stand around it: the value of a
/// pad, and what is the same at every place.
pub(super) fn has_places(op: &ArrayOp, operand: usize) -> bool {
    match op {
        ArrayOp::Pad(_) => operand == 0,
        ArrayOp::Broadcast(op) => op.dims.first() == Some(&0),
        _ => true,
    }
}

/// For each column of the result of a move where it comes from; `None` for other operations and
/// where places are moved. The operation itself moves the numbers of columns, at one place.
pub(super) fn moved(e: &Equation, types: &[&TensorType], ty: &TensorType) -> Option<Vec<From>> {
    let Op::Array(op) = &e.op else { return None };
    let p = places(ty)?;
    let mut own = op.clone();
    match &mut own {
        ArrayOp::Reshape(op) => op.shape = one(&op.shape),
        ArrayOp::Transpose(op) if op.axes.first() == Some(&0) => {}
        ArrayOp::Broadcast(op) => op.shape = one(&op.shape),
        ArrayOp::Reverse(op) if !op.axes.contains(&0) => {}
        ArrayOp::Slice(op) => {
            let whole = (op.start.first(), op.stride.first()) == (Some(&0), Some(&1));
            let limit = Arc::make_mut(op).limit.first_mut();
            *limit.filter(|n| whole && **n == p)? = 1;
        }
        ArrayOp::Pad(op) => {
            let first = [&op.low, &op.high, &op.interior].map(|n| n.first().copied());
            if first != [Some(0); 3] {
                return None;
            }
        }
        ArrayOp::Concat(op) if op.axis > 0 => {}
        _ => return None,
    }
    let mut numbers = Vec::with_capacity(types.len());
    let mut origins: Vec<From> = Vec::new();
    for (k, t) in types.iter().enumerate() {
        let inside = has_places(op, k);
        if inside && places(t) != Some(p) {
            return None;
        }
        let shape = if inside {
            one(&t.shape)
        } else {
            t.shape.clone()
        };
        let n = shape.elements();
        if n > super::MAX_COLUMNS {
            return None;
        }
        let first = origins.len() as i64;
        let own: Vec<i64> = (first..first + n as i64).collect();
        origins.extend((0..n).map(|c| (k, c)));
        numbers.push(Array::new(shape, own).ok()?);
    }
    let numbers: Vec<&Array> = numbers.iter().collect();
    let out = TensorType::new(cotangent_array::DType::I64, one(&ty.shape));
    let result = own.eval(&numbers, &out).ok()?;
    let columns: Vec<i64> = result.to_vec().ok()?;
    columns
        .iter()
        .map(|c| origins.get(usize::try_from(*c).ok()?).copied())
        .collect()
}
