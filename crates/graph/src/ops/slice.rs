//! `slice`: a part of an array.

use cotangent_array::{Array, Shape};

use super::axes::missing;
use super::moves::{leading, transpose_one};
use super::pad::pad_with_zeros;
use super::rule::linear_jvp;
use super::{Operand, Rule, flat, move_elements};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// A part of the operand: along each axis the positions start, start + stride, ... before
    /// limit, as `x[start:limit:stride]` in NumPy. Nothing counts from the end.
    Slice = "slice" {
        /// For each axis the first position.
        start: Vec<usize>,
        /// For each axis the position before which the slice ends.
        limit: Vec<usize>,
        /// For each axis the step, 1 or more.
        stride: Vec<usize> = |args| vec![1; args.first().map_or(0, |x| x.rank())],
    }
}

impl Rule for Slice {
    const DERIVATIVE: &'static str = "linear; transposed: pad with zeros";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        check_entries("start", &self.start, x.rank())?;
        check_entries("limit", &self.limit, x.rank())?;
        check_entries("stride", &self.stride, x.rank())?;
        let mut dims = Vec::with_capacity(x.rank());
        for (axis, ((start, limit), stride)) in self.axes().enumerate() {
            if start > limit || limit > x.dim(axis) {
                type_error!(
                    "expected start <= limit <= {} along axis {axis}, found start {start} and \
                     limit {limit}",
                    x.dim(axis)
                );
            }
            if stride == 0 {
                type_error!("expected a stride of 1 or more along axis {axis}, found 0");
            }
            dims.push((limit - start).div_ceil(stride));
        }
        Ok(x.with_shape(dims))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let strides = x.shape().strides();
        let elements = move_elements(x, out, None, |index| {
            let places = index.iter().zip(self.axes());
            Some(flat(
                places.map(|(i, ((start, _), stride))| start + i * stride),
                &strides,
            ))
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
        transpose_one(b, args, |b, x| {
            let taken = b.tensor(cotangent);
            let interior: Vec<usize> = self.stride.iter().map(|s| s.saturating_sub(1)).collect();
            let high = self.axes().enumerate().map(|(axis, ((start, _), stride))| {
                // From the first element taken to just behind the last.
                let extent = match taken.dim(axis) {
                    0 => 0,
                    n => (n - 1).saturating_mul(stride).saturating_add(1),
                };
                x.dim(axis).saturating_sub(start).saturating_sub(extent)
            });
            let high = high.collect();
            pad_with_zeros(b, cotangent, self.start.clone(), high, interior)
        })
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], size: usize) -> Var {
        let op = Slice {
            start: leading(0, &self.start),
            limit: leading(size, &self.limit),
            stride: leading(1, &self.stride),
        };
        b.push(op, args)
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

impl Slice {
    fn axes(&self) -> impl Iterator<Item = ((usize, usize), usize)> + '_ {
        let ends = self.start.iter().copied().zip(self.limit.iter().copied());
        ends.zip(self.stride.iter().copied())
    }
}

/// Checks that a list has one entry for each axis.
pub(super) fn check_entries(name: &str, list: &[usize], rank: usize) -> Result<(), TypeError> {
    if list.len() != rank {
        type_error!(
            "expected {name} to have {rank} entries, one for each axis, found {}",
            Shape::from(list)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::checks::*;
    use super::super::{Attributed, Attributes, Value};
    use super::*;

    fn slice(start: &[usize], limit: &[usize], stride: &[usize]) -> Slice {
        Slice {
            start: start.into(),
            limit: limit.into(),
            stride: stride.into(),
        }
    }

    #[test]
    fn takes_a_part() {
        let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let y = apply(slice(&[0, 1], &[2, 3], &[1, 1]), [x.clone()]);
        assert_eq!(y, Array::from([[2.0, 3.0], [5.0, 6.0]]));
        let y = apply(slice(&[1, 0], &[2, 3], &[1, 2]), [x.clone()]);
        assert_eq!(y, Array::from([[4.0, 6.0]]));
        let y = apply(slice(&[0, 1], &[2, 3], &[usize::MAX, 5]), [x.clone()]);
        assert_eq!(y, Array::from([[2.0]]));
        let y = apply(slice(&[2, 0], &[2, 3], &[1, 1]), [x]);
        assert_eq!(y.shape(), &[0, 3][..]);
        assert_eq!(
            apply(slice(&[], &[], &[]), [Array::scalar(true)]),
            Array::scalar(true)
        );
    }

    #[test]
    fn checks_its_bounds() {
        let cases = [
            (
                slice(&[0], &[2, 3], &[1, 1]),
                "expected start to have 2 entries, one for each axis, found [0]",
            ),
            (
                slice(&[0, 0], &[2], &[1, 1]),
                "expected limit to have 2 entries, one for each axis, found [2]",
            ),
            (
                slice(&[0, 0], &[2, 3], &[]),
                "expected stride to have 2 entries, one for each axis, found []",
            ),
            (
                slice(&[0, 2], &[2, 1], &[1, 1]),
                "expected start <= limit <= 3 along axis 1, found start 2 and limit 1",
            ),
            (
                slice(&[0, 0], &[3, 3], &[1, 1]),
                "expected start <= limit <= 2 along axis 0, found start 0 and limit 3",
            ),
            (
                slice(&[0, 0], &[2, 3], &[0, 1]),
                "expected a stride of 1 or more along axis 0, found 0",
            ),
        ];
        for (op, expected) in cases {
            assert_eq!(error(op, [tensor([2, 3])]), expected);
        }
    }

    #[test]
    fn the_stride_left_out_is_1() {
        let x = tensor([2, 3]);
        let list = |v: &[i64]| Value::List(v.iter().map(|i| Value::Int(*i)).collect());
        let written = vec![
            ("start".to_owned(), list(&[0, 1])),
            ("limit".to_owned(), list(&[2, 3])),
        ];
        let read = Slice::from_attributes(Attributes(written), &[&x]);
        assert_eq!(read, Ok(slice(&[0, 1], &[2, 3], &[1, 1])));
        assert_eq!(slice(&[0, 1], &[2, 3], &[1, 1]).attributes(&[&x]).len(), 2);
        assert_eq!(slice(&[0, 1], &[2, 3], &[1, 2]).attributes(&[&x]).len(), 3);
    }

    #[test]
    fn derivatives_are_linear_and_transpose_back() {
        let n = 7;
        for start in 0..=n {
            for limit in start..=n {
                for stride in [1, 2, 3, 9] {
                    let op = slice(&[start, 1], &[limit, 3], &[stride, 1]);
                    check_linear(op, vec![numbers([n, 4], 1)], &[true]);
                }
            }
        }
        check_linear(slice(&[0], &[3], &[1]), vec![numbers([3], 1)], &[true]);
        check_linear(
            slice(&[1], &[3], &[usize::MAX]),
            vec![numbers([3], 1)],
            &[true],
        );
    }

    #[test]
    fn batches() {
        check_batch(
            slice(&[1, 0], &[4, 3], &[2, 1]),
            vec![numbers([2, 4, 3], 1)],
            &[true],
        );
    }

    #[test]
    fn infer_takes_anything() {
        for ty in nasty_types() {
            for a in NASTY {
                for c in NASTY {
                    for s in NASTY {
                        infer(slice(&[a, 0], &[c, 1], &[s, 1]), &[&ty]);
                        infer(slice(&[a], &[c], &[s]), &[&ty]);
                    }
                }
            }
        }
    }
}
