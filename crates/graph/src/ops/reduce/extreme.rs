//! Largest and smallest elements, and where they stand.

use cotangent_array::{Array, DType};

use super::{fold, reduced, spread};
use crate::ops::axes::*;
use crate::ops::rule::tangent_times;
use crate::ops::values::*;
use crate::ops::{Compare, Kinds, Operand, Rule};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, math, op_struct, type_error};

macro_rules! extremes {
    ($(
        $(#[doc = $doc:literal])+
        $T:ident = $name:literal, float: $float:expr, $start:expr, int: $int:expr, $int_start:expr;
    )+) => {$(
        op_struct! {
            $(#[doc = $doc])+
            $T = $name {
                /// The axes that vanish, increasing.
                axes: Vec<usize>,
            }
        }

        impl Rule for $T {
            const DERIVATIVE: &'static str = "the mean of the tangents where x == out";
            const CONVENTION: &'static str = "shared evenly among ties.";

            fn arity(&self) -> Arity {
                Arity::Exactly(1)
            }

            fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
                let out = reduced(args, &self.axes, Kinds::Number)?;
                for x in args {
                    for axis in &self.axes {
                        check_occupied(x, *axis)?;
                    }
                }
                Ok(out)
            }

            fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
                let [x] = args else { return Err(missing(out)) };
                let extremes = match Values::of(x) {
                    Values::Float(v) => {
                        Values::Float(fold(&v, x, &self.axes, out, $start, $float)?)
                    }
                    Values::Int(v) => Values::Int(fold(&v, x, &self.axes, out, $int_start, $int)?),
                    Values::Complex(_) => return Err(missing(out)),
                };
                Ok(extremes.into_array(out)?)
            }

            fn jvp(
                &self,
                b: &mut Builder,
                args: &[Var],
                out: Var,
                tangents: &[Option<Var>],
            ) -> Option<Var> {
                let (&[x], &[Some(t)]) = (args, tangents) else { return None };
                Some(mean_of_ties(b, x, out, t, &self.axes))
            }

            fn transpose(
                &self,
                _: &mut Builder,
                _: &[Operand],
                _: Var,
            ) -> Option<Vec<Option<Var>>> {
                None
            }

            fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], _: usize) -> Var {
                b.push($T { axes: shifted(&self.axes) }, args)
            }

            fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
                first_elements(args)
            }
        }
    )+};
}

extremes! {
    /// The largest of the elements along the axes, which vanish; NaN if any of them is NaN.
    /// A reduced axis must not be empty.
    Max = "max", float: math::max, f64::NEG_INFINITY, int: |m, x| x.max(m), i64::MIN;
    /// The smallest of the elements along the axes, which vanish; NaN if any of them is NaN.
    /// A reduced axis must not be empty.
    Min = "min", float: math::min, f64::INFINITY, int: |m, x| x.min(m), i64::MAX;
}

/// The tangents of the elements that equal the result, added and divided by their number. Other
/// elements are left out by a select, so that nothing infinite there can leak in.
fn mean_of_ties(b: &mut Builder, x: Var, out: Var, t: Var, axes: &[usize]) -> Var {
    let ty = b.tensor(x);
    let extreme = spread(b, out, &ty, axes);
    let ties = b.compare(Compare::Eq, x, extreme);
    let ones = b.convert(ty.dtype, ties);
    let count = b.sum(ones, axes);
    let one = b.like(count, 1.0);
    let share = b.div(one, count);
    let zeros = b.like(t, 0.0);
    let chosen = b.select(ties, t, zeros);
    let total = b.sum(chosen, axes);
    tangent_times(b, total, share)
}

macro_rules! places {
    ($(
        $(#[doc = $doc:literal])+
        $T:ident = $name:literal, $wins:tt;
    )+) => {$(
        op_struct! {
            $(#[doc = $doc])+
            $T = $name {
                /// The axis that vanishes.
                axis: usize,
            }
        }

        impl Rule for $T {
            const DERIVATIVE: &'static str = "none";
            const CONVENTION: &'static str = "";

            fn arity(&self) -> Arity {
                Arity::Exactly(1)
            }

            fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
                let out = reduced(args, &[self.axis], Kinds::Number)?;
                for x in args {
                    check_occupied(x, self.axis)?;
                }
                Ok(out.with_dtype(DType::I64))
            }

            fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
                let [x] = args else { return Err(missing(out)) };
                let places = match Values::of(x) {
                    Values::Float(v) => {
                        let wins = |x: f64, best: f64| x $wins best || (x.is_nan() && !best.is_nan());
                        first_best(&v, x, self.axis, out, wins)?
                    }
                    Values::Int(v) => first_best(&v, x, self.axis, out, |x, best| x $wins best)?,
                    Values::Complex(_) => return Err(missing(out)),
                };
                Ok(Values::Int(places).into_array(out)?)
            }

            fn jvp(
                &self,
                _: &mut Builder,
                _: &[Var],
                _: Var,
                _: &[Option<Var>],
            ) -> Option<Var> {
                None
            }

            fn transpose(
                &self,
                _: &mut Builder,
                _: &[Operand],
                _: Var,
            ) -> Option<Vec<Option<Var>>> {
                None
            }

            fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], _: usize) -> Var {
                b.push($T { axis: self.axis.saturating_add(1) }, args)
            }

            fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
                first_elements(args)
            }
        }
    )+};
}

places! {
    /// The position of the largest element along an axis, which vanishes, as i64: the first one
    /// at ties; a NaN wins. The axis must not be empty.
    ArgMax = "argmax", >;
    /// The position of the smallest element along an axis, which vanishes, as i64: the first one
    /// at ties; a NaN wins. The axis must not be empty.
    ArgMin = "argmin", <;
}

/// For each place along the other axes the position of the first element that no other beats.
fn first_best<T: Copy>(
    values: &[T],
    x: &Array,
    axis: usize,
    out: &TensorType,
    wins: impl Fn(T, T) -> bool,
) -> Result<Vec<i64>, EvalError> {
    // The number seen so far, the best of them and its position.
    let best = fold(
        values,
        x,
        &[axis],
        out,
        (0_i64, None, 0_i64),
        |(seen, best, at), x| match best {
            Some(y) if !wins(x, y) => (seen + 1, best, at),
            _ => (seen + 1, Some(x), seen),
        },
    )?;
    Ok(best.into_iter().map(|(_, _, at)| at).collect())
}

/// Fails when an axis that is to vanish has no elements to choose from.
fn check_occupied(x: &TensorType, axis: usize) -> Result<(), TypeError> {
    if x.dim(axis) == 0 {
        type_error!("expected at least one element along axis {axis}, found {x}");
    }
    Ok(())
}
