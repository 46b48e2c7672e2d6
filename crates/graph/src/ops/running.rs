//! Where the largest and the smallest element so far stand: running maxima and minima.

use cotangent_array::{Array, DType};

use super::axes::*;
use super::cumulative::{running, walk};
use super::values::*;
use super::{Kinds, Operand, Rule};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, op_struct};

macro_rules! running_places {
    ($(
        $(#[doc = $doc:literal])+
        $T:ident = $name:literal, $beats:tt;
    )+) => {$(
        op_struct! {
            $(#[doc = $doc])+
            $T = $name {
                /// The axis along which it runs.
                axis: usize,
                /// Whether the last of equal elements counts, not the first.
                last: bool = |_| false,
            }
        }

        impl Rule for $T {
            const DERIVATIVE: &'static str = "none";
            const CONVENTION: &'static str = "";

            fn arity(&self) -> Arity {
                Arity::Exactly(1)
            }

            fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
                let x = running(args, self.axis)?;
                check_dtype(&x, Kinds::Number)?;
                Ok(x.with_dtype(DType::I64))
            }

            fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
                let [x] = args else { return Err(missing(out)) };
                let places = match Values::of(x) {
                    Values::Float(v) => {
                        let beats = |x: f64, y: f64| x $beats y || (x.is_nan() && !y.is_nan());
                        places(&v, out, self.axis, self.last, beats)?
                    }
                    Values::Int(v) => places(&v, out, self.axis, self.last, |x, y| x $beats y)?,
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
                let (axis, last) = (self.axis.saturating_add(1), self.last);
                b.push($T { axis, last }, args)
            }

            fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
                first_elements(args)
            }
        }
    )+};
}

running_places! {
    /// For each place along an axis the position of the largest element up to there, as i64: the
    /// first of equal ones, or with `last` the last; a NaN wins over every number.
    CumArgMax = "cum_argmax", >;
    /// For each place along an axis the position of the smallest element up to there, as i64: the
    /// first of equal ones, or with `last` the last; a NaN wins over every number.
    CumArgMin = "cum_argmin", <;
}

/// The positions of the best so far on each line, given when an element beats another.
fn places<T: Copy>(
    values: &[T],
    out: &TensorType,
    axis: usize,
    last: bool,
    beats: impl Fn(T, T) -> bool,
) -> Result<Vec<i64>, EvalError> {
    let mut places = filled(out, 0_i64)?;
    let (mut best, mut at, mut seen) = (None, 0_i64, 0_i64);
    walk(out, axis, false, |before, here| {
        if before.is_none() {
            (best, at, seen) = (None, 0, 0);
        }
        if let (Some(x), Some(place)) = (values.get(here), places.get_mut(here)) {
            let wins = match best {
                None => true,
                Some(y) if last => !beats(y, *x),
                Some(y) => beats(*x, y),
            };
            if wins {
                (best, at) = (Some(*x), seen);
            }
            *place = at;
            seen += 1;
        }
    });
    Ok(places)
}

#[cfg(test)]
#[path = "running_tests.rs"]
mod tests;
