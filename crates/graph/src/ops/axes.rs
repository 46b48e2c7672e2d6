//! What several operations say about their axes and operands.

use cotangent_array::ArrayError;

use super::Kinds;
use crate::{Builder, EvalError, TensorType, TypeError, Var, type_error};

/// Fails unless the operand has this axis.
pub(super) fn check_axis(x: &TensorType, axis: usize) -> Result<(), TypeError> {
    if axis >= x.rank() {
        type_error!("expected an axis below {}, found {axis}", x.rank());
    }
    Ok(())
}

/// Fails unless the operand has all these axes and they strictly increase.
pub(super) fn check_axes(x: &TensorType, axes: &[usize]) -> Result<(), TypeError> {
    for axis in axes {
        check_axis(x, *axis)?;
    }
    if axes.windows(2).any(|pair| pair[0] >= pair[1]) {
        type_error!("expected axes in increasing order, each once, found {axes:?}");
    }
    Ok(())
}

/// Fails unless the operand's dtype is one of these.
pub(super) fn check_dtype(x: &TensorType, kinds: Kinds) -> Result<(), TypeError> {
    if !kinds.contains(x.dtype) {
        type_error!("expected {}, found {}", kinds.words(), x.dtype);
    }
    Ok(())
}

/// The axes of an array of this rank that are not in the list.
pub(super) fn other_axes(rank: usize, axes: &[usize]) -> Vec<usize> {
    (0..rank).filter(|a| !axes.contains(a)).collect()
}

/// The axes one place later, behind a new leading axis.
pub(super) fn shifted(axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|a| a.saturating_add(1)).collect()
}

/// `x` repeated along a new leading axis, as the axis of a batch.
pub fn repeated(b: &mut Builder, x: Var, size: usize) -> Var {
    let shape = b.shape(x);
    let dims: Vec<usize> = (1..=shape.rank()).collect();
    let longer: Vec<usize> = std::iter::once(size)
        .chain(shape.dims().iter().copied())
        .collect();
    b.broadcast(x, longer, &dims)
}

/// One value for each element of an array of this type.
///
/// # Errors
/// When there is no memory for so many.
pub(super) fn filled<T: Clone>(ty: &TensorType, value: T) -> Result<Vec<T>, EvalError> {
    let mut values = Vec::new();
    if values.try_reserve_exact(ty.shape.elements()).is_err() {
        let (shape, dtype) = (ty.shape.clone(), ty.dtype);
        return Err(ArrayError::TooLarge { shape, dtype }.into());
    }
    values.resize(ty.shape.elements(), value);
    Ok(values)
}

/// The number of elements of the first operand.
pub(super) fn first_elements(args: &[&TensorType]) -> u64 {
    args.first().map_or(0, |t| t.shape.elements() as u64)
}

/// An evaluation without the operands that were checked before it.
pub(super) fn missing(out: &TensorType) -> EvalError {
    EvalError::Malformed {
        var: Var::POISON,
        message: format!("expected the operands that give {out}"),
    }
}
