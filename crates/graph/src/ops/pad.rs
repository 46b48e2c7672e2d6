//! `pad`: an array with a value around and between its elements.

use cotangent_array::{Array, Scalar};

use super::axes::{missing, repeated};
use super::moves::leading;
use super::rule::linear_jvp;
use super::slice::check_entries;
use super::{Operand, Rule, Slice, flat, move_elements};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// The first operand with copies of the second, a scalar of its dtype, before, behind and
    /// between its elements. An axis of length n becomes low + n + (n - 1) * interior + high
    /// long, or low + high when n is 0.
    Pad = "pad" {
        /// For each axis the number of copies before the first element.
        low: Vec<usize>,
        /// For each axis the number of copies behind the last element.
        high: Vec<usize>,
        /// For each axis the number of copies between two neighbours.
        interior: Vec<usize> = |args| vec![0; args.first().map_or(0, |x| x.rank())],
    }
}

impl Rule for Pad {
    const DERIVATIVE: &'static str =
        "linear; transposed: a slice to the array, the sum of the rest to the value";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x, value] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        if **value != TensorType::scalar(x.dtype) {
            type_error!("expected a value of type {}, found {value}", x.dtype);
        }
        check_entries("low", &self.low, x.rank())?;
        check_entries("high", &self.high, x.rank())?;
        check_entries("interior", &self.interior, x.rank())?;
        let mut dims = Vec::with_capacity(x.rank());
        for (axis, (low, high, interior)) in self.axes().enumerate() {
            let inner = extent(x.dim(axis), interior);
            match inner.and_then(|n| n.checked_add(low)?.checked_add(high)) {
                Some(n) => dims.push(n),
                None => type_error!(
                    "axis {axis} becomes too long: length {}, low {low}, high {high}, interior \
                     {interior}",
                    x.dim(axis)
                ),
            }
        }
        Ok(x.with_shape(dims))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x, value] = args else {
            return Err(missing(out));
        };
        let strides = x.shape().strides();
        let elements = move_elements(x, out, value.at(0), |index| {
            let mut places = Vec::with_capacity(strides.len());
            for ((i, n), (low, _, interior)) in index.iter().zip(x.shape()).zip(self.axes()) {
                let (i, step) = (i.checked_sub(low)?, interior.saturating_add(1));
                if i % step != 0 || i / step >= *n {
                    return None;
                }
                places.push(i / step);
            }
            Some(flat(places, &strides))
        })?;
        Ok(elements)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [x, value] = args else { return None };
        let to_x = x.is_linear().then(|| {
            let x = x.ty(b);
            self.unpad(b, &x, cotangent)
        });
        let to_value = value.is_linear().then(|| {
            // Only the places of the value are added up: a difference of two sums would lose
            // digits, and turn an infinite cotangent of the array into NaN.
            let x = x.ty(b);
            let inside = self.mask(b, &x);
            let zero = b.like(cotangent, 0.0);
            let rest = b.select(inside, zero, cotangent);
            let axes: Vec<usize> = (0..b.rank(rest)).collect();
            b.sum(rest, &axes)
        });
        Some(vec![to_x, to_value])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let ([x, value], [x_batched, value_batched]) = (args, batched) else {
            return Var::POISON;
        };
        let op = Pad {
            low: leading(0, &self.low),
            high: leading(0, &self.high),
            interior: leading(0, &self.interior),
        };
        let x = if *x_batched {
            *x
        } else {
            repeated(b, *x, size)
        };
        if !value_batched {
            return b.push(op, &[x, *value]);
        }
        // One value for each member: pad with zeros, then take the member's value in their place.
        let x_ty = b.tensor(x);
        let zero = b.scalar(x_ty.dtype, 0.0);
        let padded = b.push(op.clone(), &[x, zero]);
        let inside = op.mask(b, &x_ty);
        let shape = b.shape(padded);
        let values = b.broadcast(*value, shape, &[0]);
        b.select(inside, padded, values)
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

impl Pad {
    fn axes(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let ends = self.low.iter().zip(&self.high);
        ends.zip(&self.interior)
            .map(|((low, high), interior)| (*low, *high, *interior))
    }

    /// Where the result holds elements of the array, and not the value.
    fn mask(&self, b: &mut Builder, x: &TensorType) -> Var {
        let inside = b.full(Scalar::Bool(true), &x.shape);
        let outside = b.full(Scalar::Bool(false), ());
        b.push(self.clone(), &[inside, outside])
    }

    /// The elements of an array of type `x` out of an array of the result's type.
    fn unpad(&self, b: &mut Builder, x: &TensorType, padded: Var) -> Var {
        if self.axes().all(|pad| pad == (0, 0, 0)) {
            return padded;
        }
        let limits = self.axes().enumerate().map(|(axis, (low, _, interior))| {
            low.saturating_add(extent(x.dim(axis), interior).unwrap_or(usize::MAX))
        });
        let op = Slice {
            start: self.low.clone(),
            limit: limits.collect(),
            stride: self.interior.iter().map(|i| i.saturating_add(1)).collect(),
        };
        b.push(op, &[padded])
    }
}

/// An array padded with zeros; nothing is added when there are none.
pub(super) fn pad_with_zeros(
    b: &mut Builder,
    x: Var,
    low: Vec<usize>,
    high: Vec<usize>,
    interior: Vec<usize>,
) -> Var {
    let op = Pad {
        low,
        high,
        interior,
    };
    if op.axes().all(|pad| pad == (0, 0, 0)) {
        return x;
    }
    let zero = b.scalar(b.dtype(x), 0.0);
    b.push(op, &[x, zero])
}

/// The length of an axis of length `n` with `interior` more elements between neighbours.
fn extent(n: usize, interior: usize) -> Option<usize> {
    n.saturating_sub(1).checked_mul(interior)?.checked_add(n)
}

#[cfg(test)]
mod tests {
    use cotangent_array::DType;

    use super::super::checks::*;
    use super::super::{Attributed, Attributes, Value};
    use super::*;

    fn pad(low: &[usize], high: &[usize], interior: &[usize]) -> Pad {
        Pad {
            low: low.into(),
            high: high.into(),
            interior: interior.into(),
        }
    }

    #[test]
    fn puts_the_value_around_and_between() {
        let x = Array::from([1.0, 2.0, 3.0]);
        let y = apply(pad(&[2], &[1], &[1]), [x.clone(), Array::scalar(9.0)]);
        assert_eq!(y, Array::from([9.0, 9.0, 1.0, 9.0, 2.0, 9.0, 3.0, 9.0]));
        let y = apply(pad(&[0], &[0], &[0]), [x.clone(), Array::scalar(9.0)]);
        assert_eq!(y, x);
        let x = Array::from([[true, false]]);
        let y = apply(pad(&[1, 0], &[0, 1], &[7, 0]), [x, Array::scalar(true)]);
        assert_eq!(y, Array::from([[true, true, true], [true, false, true]]));
    }

    #[test]
    fn an_axis_without_elements_becomes_low_and_high() {
        let empty = Array::zeros(DType::F64, [0]).unwrap();
        let y = apply(pad(&[2], &[1], &[5]), [empty.clone(), Array::scalar(9.0)]);
        assert_eq!(y, Array::from([9.0, 9.0, 9.0]));
        assert_eq!(
            apply(pad(&[0], &[0], &[5]), [empty.clone(), Array::scalar(9.0)]),
            empty
        );
        let one = Array::from([4.0]);
        let y = apply(pad(&[1], &[2], &[usize::MAX]), [one, Array::scalar(9.0)]);
        assert_eq!(y, Array::from([9.0, 4.0, 9.0, 9.0]));
    }

    #[test]
    fn checks_operands_and_lengths() {
        let (x, value) = (tensor([3]), tensor(()));
        let cases = [
            (
                pad(&[], &[0], &[0]),
                "expected low to have 1 entries, one for each axis, found []",
            ),
            (
                pad(&[0], &[], &[0]),
                "expected high to have 1 entries, one for each axis, found []",
            ),
            (
                pad(&[0], &[0], &[]),
                "expected interior to have 1 entries, one for each axis, found []",
            ),
            (
                pad(&[usize::MAX], &[1], &[0]),
                "axis 0 becomes too long: length 3, low 18446744073709551615, high 1, interior 0",
            ),
        ];
        for (op, expected) in cases {
            assert_eq!(error(op, [x.clone(), value.clone()]), expected);
        }
        let op = || pad(&[0], &[0], &[0]);
        let wrong = error(op(), [x.clone(), TensorType::scalar(DType::F32)]);
        assert_eq!(wrong, "expected a value of type f64, found f32");
        let wrong = error(op(), [x.clone(), tensor([1])]);
        assert_eq!(wrong, "expected a value of type f64, found f64[1]");
    }

    #[test]
    fn the_interior_left_out_is_0() {
        let (x, value) = (tensor([3]), tensor(()));
        let list = || Value::List(vec![Value::Int(1)]);
        let written = vec![("low".to_owned(), list()), ("high".to_owned(), list())];
        let read = Pad::from_attributes(Attributes(written), &[&x, &value]);
        assert_eq!(read, Ok(pad(&[1], &[1], &[0])));
        assert_eq!(pad(&[1], &[1], &[0]).attributes(&[&x, &value]).len(), 2);
    }

    #[test]
    fn derivatives_are_linear_and_transpose_back() {
        for n in 0..4 {
            for (low, high) in [(0, 0), (2, 0), (0, 3), (1, 2)] {
                for interior in 0..3 {
                    let op = || pad(&[low, 0], &[high, 1], &[interior, 2]);
                    let x = || numbers([n, 2], 1);
                    check_linear(op(), vec![x(), numbers((), 5)], &[true, true]);
                    check_linear(op(), vec![x(), Array::scalar(0.0)], &[true, false]);
                    let zeros = Array::zeros(DType::F64, [n, 2]).unwrap();
                    check_linear(op(), vec![zeros, numbers((), 5)], &[false, true]);
                }
            }
        }
        let one = vec![numbers([1], 1), numbers((), 5)];
        check_linear(pad(&[1], &[2], &[usize::MAX]), one, &[true, true]);
    }

    #[test]
    fn the_value_gets_only_what_stands_in_its_places() {
        let mut b = Builder::new("transpose");
        let ct = b.input("ct", tensor([3]));
        let operands = [Operand::Linear(tensor([2])), Operand::Linear(tensor(()))];
        let cts = pad(&[0], &[1], &[0])
            .transpose(&mut b, &operands, ct)
            .unwrap();
        let graph = b.finish(&[cts[0].unwrap(), cts[1].unwrap()]).unwrap();
        let found = crate::eval(&graph, &[Array::from([1e300, f64::INFINITY, 1.0])]).unwrap();
        assert_eq!(
            found,
            [Array::from([1e300, f64::INFINITY]), Array::scalar(1.0)]
        );
    }

    #[test]
    fn batches() {
        let op = || pad(&[1, 0], &[0, 2], &[1, 0]);
        let (xs, x) = (numbers([3, 2, 2], 1), numbers([2, 2], 2));
        let values = Array::from([f64::INFINITY, 2.0, f64::NAN]);
        check_batch(op(), vec![xs.clone(), values.clone()], &[true, true]);
        check_batch(
            op(),
            vec![xs, Array::scalar(f64::NEG_INFINITY)],
            &[true, false],
        );
        check_batch(op(), vec![x, values], &[false, true]);
        let bools = vec![
            Array::from([[true, false], [false, false]]),
            Array::from([true, false]),
        ];
        check_batch(pad(&[1], &[1], &[1]), bools, &[true, true]);
    }

    #[test]
    fn infer_takes_anything() {
        let value = tensor(());
        for ty in nasty_types() {
            for a in NASTY {
                for c in NASTY {
                    for i in NASTY {
                        infer(pad(&[a, 0], &[c, 1], &[i, i]), &[&ty, &value]);
                        infer(pad(&[a], &[c], &[i]), &[&ty, &value]);
                    }
                }
            }
        }
    }
}
