//! Running sums and products, and the linear recurrence that their derivatives need.

use cotangent_array::Array;

use super::axes::*;
use super::rule::tangent_times;
use super::values::*;
use super::{Kinds, Operand, Pad, Rule, binary::same_type};
use crate::complex;
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, op_struct, type_error};

op_struct! {
    /// The sums of each element and all before it along an axis; with `reverse`, all after it.
    /// Floats are added in f64 and each sum is rounded once; integers wrap.
    CumSum = "cumsum" {
        /// The axis along which to add.
        axis: usize,
        /// Whether to run from the end of the axis.
        reverse: bool = |_| false,
    }
}

impl Rule for CumSum {
    const DERIVATIVE: &'static str = "cumsum of the tangent";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        running(args, self.axis)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let mut sums = Values::of(operand(args, 0, out)?);
        match &mut sums {
            Values::Float(v) => walk(out, self.axis, self.reverse, |before, here| {
                if let Some(before) = before {
                    v[here] += v[before];
                }
            }),
            Values::Complex(v) => walk(out, self.axis, self.reverse, |before, here| {
                if let Some(before) = before {
                    v[here] = v[here] + v[before];
                }
            }),
            Values::Int(v) => walk(out, self.axis, self.reverse, |before, here| {
                if let Some(before) = before {
                    v[here] = v[here].wrapping_add(v[before]);
                }
            }),
        }
        Ok(sums.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        _out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        super::rule::linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Linear(_)] = args else {
            return None;
        };
        let back = CumSum {
            axis: self.axis,
            reverse: !self.reverse,
        };
        Some(vec![Some(b.push(back, &[cotangent]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(
            CumSum {
                axis: self.axis.saturating_add(1),
                reverse: self.reverse,
            },
            args,
        )
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        first_elements(args)
    }
}

op_struct! {
    /// The products of each element and all before it along an axis; with `reverse`, all after it.
    /// Floats are multiplied in f64 and each product is rounded once; integers wrap.
    CumProd = "cumprod" {
        /// The axis along which to multiply.
        axis: usize,
        /// Whether to run from the end of the axis.
        reverse: bool = |_| false,
    }
}

impl Rule for CumProd {
    const DERIVATIVE: &'static str = "recurrence(x, tangent * (out moved by one place, 1 first))";
    const CONVENTION: &'static str = "exact for any number of zeros.";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        running(args, self.axis)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let mut products = Values::of(operand(args, 0, out)?);
        match &mut products {
            Values::Float(v) => walk(out, self.axis, self.reverse, |before, here| {
                if let Some(before) = before {
                    v[here] *= v[before];
                }
            }),
            Values::Complex(v) => walk(out, self.axis, self.reverse, |before, here| {
                if let Some(before) = before {
                    v[here] = complex::mul(v[here], v[before]);
                }
            }),
            Values::Int(v) => walk(out, self.axis, self.reverse, |before, here| {
                if let Some(before) = before {
                    v[here] = v[here].wrapping_mul(v[before]);
                }
            }),
        }
        Ok(products.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        let (&[x], &[Some(t)]) = (args, tangents) else {
            return None;
        };
        let before = shift(b, out, self.axis, !self.reverse, 1.0);
        let entering = tangent_times(b, t, before);
        Some(b.push(
            Recurrence {
                axis: self.axis,
                reverse: self.reverse,
            },
            &[x, entering],
        ))
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(
            CumProd {
                axis: self.axis.saturating_add(1),
                reverse: self.reverse,
            },
            args,
        )
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        first_elements(args)
    }
}

op_struct! {
    /// The linear recurrence h_i = a_i h_(i-1) + b_i along an axis of operands a and b of one type;
    /// h before the first place is 0. With `reverse` it runs from the end: h_i = a_i h_(i+1) + b_i.
    /// Floats are computed in f64 and each h is rounded once; integers wrap.
    Recurrence = "recurrence" {
        /// The axis along which it runs.
        axis: usize,
        /// Whether it runs from the end of the axis.
        reverse: bool = |_| false,
    }
}

impl Rule for Recurrence {
    const DERIVATIVE: &'static str = "recurrence(a, ta * (out moved by one place, 0 first) + tb)";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [a, b] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        same_type(a, b)?;
        running(&[a], self.axis)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let a = Values::of(operand(args, 0, out)?);
        let mut h = Values::of(operand(args, 1, out)?);
        match (&a, &mut h) {
            (Values::Float(a), Values::Float(h)) => {
                walk(out, self.axis, self.reverse, |before, here| {
                    if let Some(before) = before {
                        h[here] += a[here] * h[before];
                    }
                });
            }
            (Values::Complex(a), Values::Complex(h)) => {
                walk(out, self.axis, self.reverse, |before, here| {
                    if let Some(before) = before {
                        h[here] = h[here] + complex::mul(a[here], h[before]);
                    }
                });
            }
            (Values::Int(a), Values::Int(h)) => {
                walk(out, self.axis, self.reverse, |before, here| {
                    if let Some(before) = before {
                        h[here] = h[here].wrapping_add(a[here].wrapping_mul(h[before]));
                    }
                });
            }
            _ => return Err(missing(out)),
        }
        Ok(h.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        let (&[a, _], &[ta, tb]) = (args, tangents) else {
            return None;
        };
        let through_a = ta.map(|ta| {
            let before = shift(b, out, self.axis, !self.reverse, 0.0);
            tangent_times(b, ta, before)
        });
        let entering = match (through_a, tb) {
            (Some(x), Some(y)) => b.add(x, y),
            (x, y) => x.or(y)?,
        };
        Some(b.push(self.clone(), &[a, entering]))
    }

    /// Linear in b alone: the cotangents run the other way, each passed on by the factor with
    /// which its place was carried forward, which stands one place further along the run.
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Known(a), Operand::Linear(_)] = args else {
            return None;
        };
        let factors = shift(b, *a, self.axis, self.reverse, 0.0);
        let back = Recurrence {
            axis: self.axis,
            reverse: !self.reverse,
        };
        Some(vec![None, Some(b.push(back, &[factors, cotangent]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let args: Vec<Var> = args
            .iter()
            .zip(batched)
            .map(|(a, batched)| if *batched { *a } else { repeated(b, *a, size) })
            .collect();
        b.push(
            Recurrence {
                axis: self.axis.saturating_add(1),
                reverse: self.reverse,
            },
            &args,
        )
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        first_elements(args).saturating_mul(2)
    }
}

/// `x` moved by one place along an axis, to later places or to earlier ones, with `fill` at the
/// place left free.
pub(super) fn shift(b: &mut Builder, x: Var, axis: usize, later: bool, fill: f64) -> Var {
    let ty = b.tensor(x);
    let length = ty.dim(axis);
    if length == 0 {
        return x;
    }
    let (start, limit) = if later { (0, length - 1) } else { (1, length) };
    let kept = b.slice_axis(x, axis, start, limit);
    let fill = b.scalar(ty.dtype, fill);
    let one: Vec<usize> = (0..ty.rank()).map(|a| usize::from(a == axis)).collect();
    let none = vec![0; ty.rank()];
    let (low, high) = if later {
        (one, none.clone())
    } else {
        (none.clone(), one)
    };
    b.push(
        Pad {
            low,
            high,
            interior: none,
        },
        &[kept, fill],
    )
}

/// The type of a running operation's result.
pub(super) fn running(args: &[&TensorType], axis: usize) -> Result<TensorType, TypeError> {
    let [x] = args else {
        type_error!("expected 1 operand, found {}", args.len())
    };
    check_dtype(x, Kinds::Numeric)?;
    check_axis(x, axis)?;
    Ok((*x).clone())
}

/// Visits the flat positions of each line along an axis in running order, together with the
/// position visited before on the same line.
pub(super) fn walk(
    ty: &TensorType,
    axis: usize,
    reverse: bool,
    mut visit: impl FnMut(Option<usize>, usize),
) {
    let stride = ty.shape.strides().get(axis).copied().unwrap_or(1);
    let length = ty.dim(axis);
    let elements = ty.shape.elements();
    if elements == 0 {
        return;
    }
    for outer in (0..elements).step_by(stride * length) {
        for first in outer..outer + stride {
            let mut before = None;
            for i in 0..length {
                let i = if reverse { length - 1 - i } else { i };
                let here = first + i * stride;
                visit(before, here);
                before = Some(here);
            }
        }
    }
}

fn operand<'a>(args: &[&'a Array], i: usize, out: &TensorType) -> Result<&'a Array, EvalError> {
    match args.get(i) {
        Some(x) if x.len() == out.shape.elements() => Ok(x),
        _ => Err(missing(out)),
    }
}

#[cfg(test)]
#[path = "cumulative_tests.rs"]
mod tests;
