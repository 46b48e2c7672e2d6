//! Order: the places of sorted elements, and where a value would stand among sorted ones.
//!
//! Both give positions, which are integers and have no derivative. What moves the elements there
//! is `gather`, and that is what sorting, medians and quantiles differentiate through.

use std::cmp::Ordering;

use cotangent_array::{Array, DType};

use super::axes::*;
use super::moves::repeat_all;
use super::values::*;
use super::{Kinds, Operand, Rule};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, op_struct, type_error};

op_struct! {
    /// The positions along an axis at which its elements stand in order, as i64, the first `count`
    /// of them. Equal elements, and 0 beside -0, keep their order. A NaN counts as larger than
    /// every number: last in increasing order, first in decreasing.
    ArgSort = "argsort" {
        /// The axis along which to sort.
        axis: usize,
        /// Whether the largest comes first.
        descending: bool = |_| false,
        /// How many positions are wanted, from the first on.
        count: usize = |args| args.first().map_or(0, |x| x.dim(axis.to_owned())),
    }
}

impl Rule for ArgSort {
    const DERIVATIVE: &'static str = "none";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        check_dtype(x, Kinds::Number)?;
        check_axis(x, self.axis)?;
        let length = x.dim(self.axis);
        if self.count > length {
            type_error!(
                "expected a count up to {length}, the length of axis {}, found {}",
                self.axis,
                self.count
            );
        }
        let mut shape = x.shape.to_vec();
        if let Some(n) = shape.get_mut(self.axis) {
            *n = self.count;
        }
        Ok(TensorType::new(DType::I64, shape))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let places = match Values::of(x) {
            Values::Float(v) => self.places(x, out, |i, j| order(v[i], v[j]))?,
            Values::Int(v) => self.places(x, out, |i, j| v[i].cmp(&v[j]))?,
            Values::Complex(_) => return Err(missing(out)),
        };
        Ok(Values::Int(places).into_array(out)?)
    }

    fn jvp(&self, _: &mut Builder, _: &[Var], _: Var, _: &[Option<Var>]) -> Option<Var> {
        None
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], _: usize) -> Var {
        let op = ArgSort {
            axis: self.axis.saturating_add(1),
            ..self.clone()
        };
        b.push(op, args)
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        let length = args.first().map_or(0, |x| x.dim(self.axis) as u64);
        let steps = u64::from(length.checked_ilog2().unwrap_or(0)) + 1;
        first_elements(args).saturating_mul(4).saturating_mul(steps)
    }
}

impl ArgSort {
    /// The positions of all lines, given how the elements at two flat positions compare.
    fn places(
        &self,
        x: &Array,
        out: &TensorType,
        order: impl Fn(usize, usize) -> Ordering,
    ) -> Result<Vec<i64>, EvalError> {
        let mut places = filled(out, 0_i64)?;
        let inner = x.shape().strides().get(self.axis).copied().unwrap_or(1);
        let length = x.shape().get(self.axis).copied().unwrap_or(1);
        if places.is_empty() {
            return Ok(places);
        }
        for line in 0..x.len() / length.max(1) {
            let (group, column) = (line / inner, line % inner);
            let at = |i: usize| (group * length + i) * inner + column;
            let mut sorted: Vec<usize> = (0..length).collect();
            // The sort of the standard library is stable.
            sorted.sort_by(|i, j| match self.descending {
                false => order(at(*i), at(*j)),
                true => order(at(*j), at(*i)),
            });
            for (k, i) in sorted.iter().take(self.count).enumerate() {
                let to = (group * self.count + k) * inner + column;
                if let Some(place) = places.get_mut(to) {
                    *place = *i as i64;
                }
            }
        }
        Ok(places)
    }
}

op_struct! {
    /// For each value the number of elements of a sorted line that stand before it, as i64: those
    /// that are smaller, and with `right` those that are equal, too. The first operand holds the
    /// lines along its last axis, sorted in increasing order as argsort does; the axes before it
    /// are shared with the second operand, the values. Of a line that is not sorted the result is
    /// where bisection ends.
    SearchSorted = "searchsorted" {
        /// Whether equal elements stand before the value.
        right: bool = |_| false,
    }
}

impl Rule for SearchSorted {
    const DERIVATIVE: &'static str = "none";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [sorted, values] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        check_dtype(sorted, Kinds::Number)?;
        if sorted.dtype != values.dtype {
            type_error!(
                "expected operands of one dtype, found {} and {}",
                sorted.dtype,
                values.dtype
            );
        }
        let Some((_, shared)) = sorted.shape.split_last() else {
            type_error!("expected sorted elements along an axis, found a scalar")
        };
        if values.shape.get(..shared.len()) != Some(shared) {
            type_error!(
                "expected values whose first {} axes are those of {}, found shape {}",
                shared.len(),
                sorted.shape,
                values.shape
            );
        }
        Ok(values.with_dtype(DType::I64))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [sorted, values] = args else {
            return Err(missing(out));
        };
        let length = sorted.shape().last().copied().unwrap_or(1);
        let counts = match (Values::of(sorted), Values::of(values)) {
            (Values::Float(s), Values::Float(v)) => {
                self.counts(&s, &v, length, |x, y| order(*x, *y))
            }
            (Values::Int(s), Values::Int(v)) => self.counts(&s, &v, length, i64::cmp),
            _ => return Err(missing(out)),
        };
        Ok(Values::Int(counts).into_array(out)?)
    }

    fn jvp(&self, _: &mut Builder, _: &[Var], _: Var, _: &[Option<Var>]) -> Option<Var> {
        None
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        // Values alone may have any number of axes of their own.
        let one_line = args.first().is_some_and(|s| b.rank(*s) == 1);
        if one_line && batched.first() == Some(&false) {
            return b.push(self.clone(), args);
        }
        let operands = repeat_all(b, args, batched, size);
        b.push(self.clone(), &operands)
    }

    fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64 {
        let length = args.first().and_then(|s| s.shape.last().copied());
        let steps = length.and_then(usize::checked_ilog2).unwrap_or(0) + 1;
        (out.shape.elements() as u64).saturating_mul(4 * u64::from(steps))
    }
}

impl SearchSorted {
    fn counts<T>(
        &self,
        sorted: &[T],
        values: &[T],
        length: usize,
        order: impl Fn(&T, &T) -> Ordering,
    ) -> Vec<i64> {
        // Without elements in the lines there is still their number: one for each member.
        let lines = sorted.len().checked_div(length).unwrap_or(1);
        let own = values.len() / lines.max(1);
        let before = |line: &[T], value: &T| {
            line.partition_point(|x| match order(x, value) {
                Ordering::Less => true,
                Ordering::Equal => self.right,
                Ordering::Greater => false,
            }) as i64
        };
        let of = |(i, value): (usize, &T)| {
            let start = i / own.max(1) * length;
            before(sorted.get(start..start + length).unwrap_or_default(), value)
        };
        values.iter().enumerate().map(of).collect()
    }
}

/// How two numbers compare: 0 and -0 are equal, and a NaN is above every number.
fn order(x: f64, y: f64) -> Ordering {
    x.partial_cmp(&y)
        .unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
}

#[cfg(test)]
#[path = "sort_tests.rs"]
mod tests;
