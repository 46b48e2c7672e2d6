//! Short names for the operations that rules are written in.

use cotangent_array::{Array, DType, Scalar, Shape};

use super::Builder;
use crate::ops::{
    Binary, Broadcast, Compare, Indexed, Orders, Part, Reshape, Rule, Slice, Special, Sum, Ternary,
    Test, Transpose, Unary,
};
use crate::{Op, TensorType, Var};

/// Short names for the operations that rules are written in.
impl Builder {
    /// A pointwise operation of one operand.
    pub fn unary(&mut self, op: Unary, x: Var) -> Var {
        self.push(op, &[x])
    }

    /// A pointwise operation of one operand with a whole-number attribute.
    pub fn indexed(&mut self, op: Indexed, n: i64, x: Var) -> Var {
        self.push(Op::Indexed(op, n), &[x])
    }

    /// A special function of several operands, or its derivative of the orders given.
    pub fn special(&mut self, op: Special, orders: Orders, args: &[Var]) -> Var {
        self.push(Op::Special(op, orders), args)
    }

    /// A pointwise operation of two operands.
    pub fn binary(&mut self, op: Binary, x: Var, y: Var) -> Var {
        self.push(op, &[x, y])
    }

    /// x + y
    pub fn add(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Add, x, y)
    }

    /// x - y
    pub fn sub(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Sub, x, y)
    }

    /// x * y
    pub fn mul(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Mul, x, y)
    }

    /// x / y
    pub fn div(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Div, x, y)
    }

    /// -x
    pub fn neg(&mut self, x: Var) -> Var {
        self.unary(Unary::Neg, x)
    }

    /// A comparison.
    pub fn compare(&mut self, op: Compare, x: Var, y: Var) -> Var {
        self.push(op, &[x, y])
    }

    /// A test of one operand.
    pub fn test(&mut self, op: Test, x: Var) -> Var {
        self.push(op, &[x])
    }

    /// A part of a complex number. Of a real one: the conjugate and the real part are the number
    /// itself, and nothing is added; the others fail.
    pub fn part(&mut self, op: Part, x: Var) -> Var {
        match op {
            Part::Real | Part::Conj if !self.dtype(x).is_complex() => x,
            op => self.push(op, &[x]),
        }
    }

    /// The complex number of a real and an imaginary part.
    pub fn complex(&mut self, re: Var, im: Var) -> Var {
        self.push(Op::Complex, &[re, im])
    }

    /// `x` where `condition`, `y` elsewhere.
    pub fn select(&mut self, condition: Var, x: Var, y: Var) -> Var {
        self.push(Ternary::Select, &[condition, x, y])
    }

    /// Conversion to a dtype; nothing is added when it is the dtype already.
    pub fn convert(&mut self, dtype: DType, x: Var) -> Var {
        if self.dtype(x) == dtype {
            x
        } else {
            self.push(Op::Convert(dtype), &[x])
        }
    }

    /// One number everywhere.
    pub fn full(&mut self, value: Scalar, shape: impl Into<Shape>) -> Var {
        self.push(Op::Full(value, shape.into()), &[])
    }

    /// One number everywhere, in the dtype and shape of `x`.
    pub fn like(&mut self, x: Var, value: f64) -> Var {
        let t = self.tensor(x);
        self.full(Scalar::from_f64(t.dtype, value), t.shape)
    }

    /// A scalar of this dtype.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Var {
        self.full(Scalar::from_f64(dtype, value), ())
    }

    /// Zeros of this type.
    pub fn zeros(&mut self, ty: &TensorType) -> Var {
        self.full(Scalar::zero(ty.dtype), ty.shape.clone())
    }

    /// Values that are known now.
    pub fn constant(&mut self, array: Array) -> Var {
        self.push(Op::Constant(array), &[])
    }

    /// The same elements in another shape; nothing is added when it is the shape already.
    pub fn reshape(&mut self, x: Var, shape: impl Into<Shape>) -> Var {
        let shape = shape.into();
        if self.shape(x) == shape {
            x
        } else {
            self.push(Reshape { shape }, &[x])
        }
    }

    /// Axis `i` of the result is axis `axes[i]` of `x`; nothing is added when no axis moves.
    pub fn transpose(&mut self, x: Var, axes: &[usize]) -> Var {
        if axes.iter().enumerate().all(|(i, a)| i == *a) && axes.len() == self.rank(x) {
            return x;
        }
        self.push(
            Transpose {
                axes: axes.to_vec(),
            },
            &[x],
        )
    }

    /// Axis `i` of `x` becomes axis `dims[i]` of `shape`; the other axes repeat it. One number
    /// everywhere stays so.
    pub fn broadcast(&mut self, x: Var, shape: impl Into<Shape>, dims: &[usize]) -> Var {
        let shape = shape.into();
        if self.shape(x) == shape && dims.iter().enumerate().all(|(i, d)| i == *d) {
            return x;
        }
        let op = Broadcast {
            shape,
            dims: dims.to_vec(),
        };
        match self.graph.splat(x) {
            Some(value) if op.infer(&[&self.tensor(x)]).is_ok() => self.full(value, op.shape),
            _ => self.push(op, &[x]),
        }
    }

    /// The sum over axes, which vanish; nothing is added for no axes.
    pub fn sum(&mut self, x: Var, axes: &[usize]) -> Var {
        if axes.is_empty() {
            x
        } else {
            self.push(
                Sum {
                    axes: axes.to_vec(),
                },
                &[x],
            )
        }
    }

    /// The elements from `start` to before `limit` along one axis.
    pub fn slice_axis(&mut self, x: Var, axis: usize, start: usize, limit: usize) -> Var {
        let shape = self.shape(x);
        let (mut starts, mut limits) = (vec![0; shape.rank()], shape.dims().to_vec());
        if let (Some(s), Some(l)) = (starts.get_mut(axis), limits.get_mut(axis)) {
            if (*s, *l) == (start, limit) {
                return x;
            }
            (*s, *l) = (start, limit);
        }
        self.push(
            Slice {
                start: starts,
                limit: limits,
                stride: vec![1; shape.rank()],
            },
            &[x],
        )
    }
}
