//! What may stand beside a tensor: another tensor, an array or a Rust number.

use cotangent_graph::Op;
use cotangent_graph::ops::{Broadcast, Reshape};

use super::{Tensor, fail, push};
use crate::{Array, Complex32, Complex64, DType, Scalar, Shape};

/// What may stand beside a tensor in an operation: a tensor, an array, or a Rust number.
///
/// A number takes the tensor's dtype. It must be one of that dtype: a fraction beside an integer
/// tensor, `300` beside a u8 tensor, a complex number beside a real tensor and `true` beside numbers are
/// errors.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand beside a tensor",
    note = "tensors, arrays and numbers of type bool, u8, u32, i32, i64, f32, f64, Complex32, Complex64 can"
)]
pub trait Operand {
    /// The tensor, or the number that waits for a dtype.
    fn operand(self) -> OperandValue;
}

/// See [`Operand`].
#[derive(Clone, Debug)]
pub enum OperandValue {
    /// A tensor.
    Tensor(Tensor),
    /// A number that takes the dtype of the tensor beside it.
    Scalar(Scalar),
}

impl Operand for Tensor {
    fn operand(self) -> OperandValue {
        OperandValue::Tensor(self)
    }
}

impl Operand for &Tensor {
    fn operand(self) -> OperandValue {
        OperandValue::Tensor(self.clone())
    }
}

impl Operand for Array {
    fn operand(self) -> OperandValue {
        OperandValue::Tensor(self.into())
    }
}

impl Operand for &Array {
    fn operand(self) -> OperandValue {
        OperandValue::Tensor(self.into())
    }
}

impl Operand for Scalar {
    fn operand(self) -> OperandValue {
        OperandValue::Scalar(self)
    }
}

impl Operand for OperandValue {
    fn operand(self) -> OperandValue {
        self
    }
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Operand for $type {
            fn operand(self) -> OperandValue {
                OperandValue::Scalar(self.into())
            }
        }
    )*};
}

numbers!(bool u8 u32 i32 i64 f32 f64 Complex32 Complex64);

/// A number in a tensor's dtype; what is wrong with it, where it is not one of that dtype.
pub(crate) fn scalar_as(dtype: DType, value: Scalar) -> Result<Scalar, String> {
    let found = value.dtype();
    if dtype.is_bool() != found.is_bool() {
        return Err(format!("expected a number of dtype {dtype}, found {value}"));
    }
    if found.is_complex() && !dtype.is_complex() {
        return Err(format!("expected a real number for {dtype}, found {value}"));
    }
    if dtype.is_int() {
        let exact = if found.is_float() {
            let x = value.to_f64();
            let whole = value.to_i64();
            (x == x.trunc() && whole as f64 == x).then_some(whole)
        } else {
            Some(value.to_i64())
        };
        return match exact.map(|i| (i, Scalar::from_i64(dtype, i))) {
            Some((i, s)) if s.to_i64() == i => Ok(s),
            _ => Err(format!(
                "expected a whole number that fits {dtype}, found {value}"
            )),
        };
    }
    // The shortest text of an f32 is what its writer meant, in f64 too.
    Ok(match (value, dtype) {
        (Scalar::F32(x), DType::F64 | DType::C128) => {
            Scalar::from_f64(dtype, x.to_string().parse().unwrap_or(f64::from(x)))
        }
        _ => value.convert(dtype),
    })
}

/// Applies a pointwise operation to operands of one dtype and of shapes that broadcast.
#[track_caller]
pub(crate) fn binary(op: impl Into<Op>, x: impl Operand, y: impl Operand) -> Tensor {
    let op = op.into();
    match together(op.name(), [x.operand(), y.operand()]) {
        Ok([x, y]) => push(op, &[&x, &y]),
        Err(failed) => failed,
    }
}

/// Operands in one dtype and one shape; otherwise the recorded failure.
#[track_caller]
pub(crate) fn together<const N: usize>(
    name: &str,
    operands: [OperandValue; N],
) -> Result<[Tensor; N], Tensor> {
    let tensors = numbered(name, operands)?;
    let refs: Vec<&Tensor> = tensors.iter().collect();
    one_dtype(name, &refs)?;
    let shape = common_shape(name, &refs)?;
    let mut tensors = tensors;
    for t in &mut tensors {
        *t = spread(t, &shape);
    }
    Ok(tensors)
}

/// Operands with numbers in the dtype of the first tensor among them.
#[track_caller]
pub(crate) fn numbered<const N: usize>(
    name: &str,
    operands: [OperandValue; N],
) -> Result<[Tensor; N], Tensor> {
    let first = operands.iter().find_map(|o| match o {
        OperandValue::Tensor(t) => Some(t.clone()),
        OperandValue::Scalar(_) => None,
    });
    // Numbers alone: the first one's dtype counts.
    let dtype = first.as_ref().map(Tensor::dtype).or_else(|| {
        operands.iter().find_map(|o| match o {
            OperandValue::Scalar(s) => Some(s.dtype()),
            OperandValue::Tensor(_) => None,
        })
    });
    let dtype = dtype.unwrap_or(DType::F64);
    let mut wrong = None;
    let values = operands.map(|o| match o {
        OperandValue::Tensor(t) => Ok(t),
        OperandValue::Scalar(s) => Err(scalar_as(dtype, s).unwrap_or_else(|message| {
            wrong.get_or_insert(message);
            Scalar::zero(dtype)
        })),
    });
    // `Tensor::full` would not see the caller's place from within a closure, but a number has none.
    let tensors = values.map(|v| match v {
        Ok(t) => t,
        Err(s) => Tensor::full((), s),
    });
    match wrong {
        None => Ok(tensors),
        Some(message) => {
            let refs: Vec<&Tensor> = first.as_ref().into_iter().collect();
            Err(fail(name, &refs, message))
        }
    }
}

/// Fails unless all tensors have one dtype.
#[track_caller]
pub(crate) fn one_dtype(name: &str, tensors: &[&Tensor]) -> Result<(), Tensor> {
    let Some((first, rest)) = tensors.split_first() else {
        return Ok(());
    };
    match rest.iter().find(|t| t.dtype() != first.dtype()) {
        None => Ok(()),
        Some(other) => {
            let (a, b) = (first.dtype(), other.dtype());
            Err(fail(
                name,
                tensors,
                format!("expected operands of one dtype, found {a} and {b}"),
            ))
        }
    }
}

/// The shape that all tensors broadcast to.
#[track_caller]
pub(crate) fn common_shape(name: &str, tensors: &[&Tensor]) -> Result<Shape, Tensor> {
    let mut shape = Shape::from(());
    for t in tensors {
        shape = match Shape::broadcast(&shape, t.shape()) {
            Ok(shape) => shape,
            Err(_) => {
                let message = format!(
                    "expected shapes that broadcast to one, found {} and {shape}",
                    t.shape()
                );
                return Err(fail(name, tensors, message));
            }
        };
    }
    Ok(shape)
}

/// Broadcasts to a shape that is known to fit.
#[track_caller]
pub(crate) fn spread(x: &Tensor, shape: &Shape) -> Tensor {
    if x.shape() == shape {
        return x.clone();
    }
    if let Some(value) = x.splat() {
        return Tensor::full(shape, value);
    }
    // Axes of length 1 that grow are dropped first; the broadcast brings them back.
    let offset = shape.rank().saturating_sub(x.rank());
    let kept: Vec<usize> = (0..x.rank())
        .filter(|a| x.shape().get(*a) == shape.get(a + offset))
        .collect();
    let small: Vec<usize> = kept
        .iter()
        .filter_map(|a| x.shape().get(*a).copied())
        .collect();
    let dims: Vec<usize> = kept.iter().map(|a| a + offset).collect();
    let small = Shape::from(small);
    let x = if *x.shape() == small {
        x.clone()
    } else {
        push(Reshape { shape: small }, &[x])
    };
    push(
        Broadcast {
            shape: shape.clone(),
            dims,
        },
        &[&x],
    )
}
