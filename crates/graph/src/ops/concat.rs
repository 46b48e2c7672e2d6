//! `concat`: arrays behind one another.

use cotangent_array::{Array, Shape};

use super::moves::repeat_all;
use super::rule::linear_jvp;
use super::{Operand, Rule};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// The operands, one or more, behind one another along an axis. They agree in dtype and in
    /// every other axis.
    Concat = "concat" {
        /// The axis along which the operands follow one another.
        axis: usize,
    }
}

impl Rule for Concat {
    const DERIVATIVE: &'static str = "linear; transposed: a slice to each operand";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::AtLeast(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let Some((first, rest)) = args.split_first() else {
            type_error!("expected 1 or more operands, found 0");
        };
        let mut dims = first.shape.dims().to_vec();
        let Some(length) = dims.get(self.axis).copied() else {
            type_error!(
                "expected an axis below {}, found {}",
                first.rank(),
                self.axis
            );
        };
        let mut length = Some(length);
        for (i, x) in rest.iter().enumerate() {
            if x.dtype != first.dtype {
                type_error!(
                    "expected operands of dtype {}, found {}",
                    first.dtype,
                    x.dtype
                );
            }
            let same = x.rank() == first.rank()
                && (0..x.rank()).all(|a| a == self.axis || x.dim(a) == first.dim(a));
            if !same {
                type_error!(
                    "expected operand {} to agree with {} in every axis but {}, found {}",
                    i + 1,
                    first.shape,
                    self.axis,
                    x.shape
                );
            }
            length = length.and_then(|n| n.checked_add(x.dim(self.axis)));
        }
        match (dims.get_mut(self.axis), length) {
            (Some(dim), Some(length)) => *dim = length,
            _ => type_error!("axis {} becomes too long", self.axis),
        }
        Ok(first.with_shape(dims))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let before = out.shape.get(..self.axis).unwrap_or_default();
        // Each operand gives a run of elements for each index of the axes before.
        let runs = if out.shape.elements() == 0 {
            0
        } else {
            Shape::from(before).elements()
        };
        let elements = (0..runs).flat_map(|run| {
            args.iter().flat_map(move |x| {
                let length = x.len() / runs;
                (run * length..(run + 1) * length).filter_map(|i| x.at(i))
            })
        });
        Ok(Array::from_scalars(out.dtype, &out.shape, elements)?)
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
        let mut start = 0_usize;
        let cotangents = args.iter().map(|x| {
            let limit = start.saturating_add(x.ty(b).dim(self.axis));
            let part = x
                .is_linear()
                .then(|| b.slice_axis(cotangent, self.axis, start, limit));
            start = limit;
            part
        });
        Some(cotangents.collect())
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let operands = repeat_all(b, args, batched, size);
        b.push(
            Concat {
                axis: self.axis.saturating_add(1),
            },
            &operands,
        )
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

#[cfg(test)]
mod tests {
    use cotangent_array::DType;

    use super::super::checks::*;
    use super::*;

    #[test]
    fn puts_operands_behind_one_another() {
        let x = Array::from([[1.0, 2.0], [3.0, 4.0]]);
        let y = Array::from([[5.0], [6.0]]);
        let empty = Array::zeros(DType::F64, [2, 0]).unwrap();
        let z = apply(Concat { axis: 1 }, [x.clone(), y, empty]);
        assert_eq!(z, Array::from([[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]));
        let z = apply(Concat { axis: 0 }, [x.clone(), Array::from([[7.0, 8.0]])]);
        assert_eq!(z, Array::from([[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]]));
        assert_eq!(apply(Concat { axis: 0 }, [x.clone()]), x);
        let empty = Array::zeros(DType::Bool, [0, 2]).unwrap();
        let z = apply(Concat { axis: 1 }, [empty.clone(), empty]);
        assert_eq!(z.shape(), &[0, 4][..]);
    }

    #[test]
    fn checks_that_operands_fit() {
        let x = tensor([2, 3]);
        assert_eq!(
            error(Concat { axis: 2 }, [x.clone()]),
            "expected an axis below 2, found 2"
        );
        assert_eq!(
            error(Concat { axis: 0 }, []),
            "expected 1 or more operands, found 0"
        );
        assert_eq!(
            error(Concat { axis: 0 }, [x.clone(), x.with_dtype(DType::F32)]),
            "expected operands of dtype f64, found f32"
        );
        for other in [tensor([2, 4]), tensor([2]), tensor([2, 3, 1])] {
            assert_eq!(
                error(Concat { axis: 0 }, [x.clone(), x.clone(), other.clone()]),
                format!(
                    "expected operand 2 to agree with [2, 3] in every axis but 0, found {}",
                    other.shape
                )
            );
        }
        let long = tensor([0, usize::MAX]);
        assert_eq!(
            error(Concat { axis: 1 }, [long.clone(), long]),
            "axis 1 becomes too long"
        );
    }

    #[test]
    fn derivatives_are_linear_and_transpose_back() {
        let args = |axis| {
            let mut shape = [2, 3, 2];
            (0..3)
                .map(|i| {
                    shape[axis] = 2 - i;
                    numbers(shape, i as u64)
                })
                .collect::<Vec<_>>()
        };
        for axis in 0..3 {
            check_linear(Concat { axis }, args(axis), &[true, true, true]);
            let mut some = args(axis);
            some[1] = Array::zeros(DType::F64, some[1].shape()).unwrap();
            check_linear(Concat { axis }, some, &[true, false, true]);
            check_linear(Concat { axis }, vec![numbers([2, 2, 2], 3)], &[true]);
        }
    }

    #[test]
    fn batches() {
        let args = || vec![numbers([3, 2, 2], 1), numbers([2, 1], 2)];
        check_batch(Concat { axis: 1 }, args(), &[true, false]);
        check_batch(
            Concat { axis: 0 },
            vec![numbers([2, 3], 1), numbers([2, 1], 2)],
            &[true, true],
        );
    }

    #[test]
    fn infer_takes_anything() {
        for x in nasty_types() {
            for y in nasty_types() {
                for axis in NASTY {
                    infer(Concat { axis }, &[&x, &y, &x]);
                }
            }
        }
    }
}
