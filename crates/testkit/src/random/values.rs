//! Which numbers a random graph holds, and how they are kept where operations take them.

use cotangent_array::{Array, Complex64, DType, Scalar, Shape};
use cotangent_graph::ops::{Binary, Ternary, Unary};
use cotangent_graph::{Op, TensorType, Var, eval_op};

use super::Generator;
use crate::arrays::extent;

impl Generator {
    /// A constant of this type, one number everywhere or an array.
    pub fn constant(&mut self, ty: &TensorType) -> Var {
        let op = if ty.shape.is_scalar() || self.rng.chance(0.6) {
            Op::Full(self.draw_value(ty.dtype), ty.shape.clone())
        } else {
            Op::Constant(self.draw_values(ty))
        };
        self.push_constant(op)
    }

    /// One number everywhere.
    pub fn full(&mut self, value: Scalar, shape: &Shape) -> Var {
        self.push_constant(Op::Full(value, shape.clone()))
    }

    fn push_constant(&mut self, op: Op) -> Var {
        let v = self.b.push(op.clone(), &[]);
        let value = eval_op(&op, &[], &self.b.tensor(v));
        self.values.insert(
            v,
            value.unwrap_or_else(|e| panic!("a constant has no value: {e}")),
        );
        v
    }

    /// An array of values that operations of its dtype take.
    pub fn draw_values(&mut self, ty: &TensorType) -> Array {
        let n = ty.shape.elements();
        let values: Vec<Scalar> = (0..n).map(|_| self.draw_value(ty.dtype)).collect();
        Array::from_scalars(ty.dtype, ty.shape.clone(), values)
            .unwrap_or_else(|e| panic!("values of {ty}: {e}"))
    }

    fn draw_value(&mut self, dtype: DType) -> Scalar {
        if dtype.is_complex() {
            let mut part = || self.draw_value(dtype.real()).to_f64();
            return Scalar::from_complex(dtype, Complex64::new(part(), part()));
        }
        if dtype.is_bool() {
            return Scalar::Bool(self.rng.chance(0.5));
        }
        if dtype.is_inexact() {
            const ROUND: &[f64] = &[0.5, 1.0, -1.0, 2.0, -0.25, 1.5, 3.0];
            const WILD: &[f64] = &[
                0.0,
                -0.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NAN,
                1e-310,
                1e-40,
                1e20,
                -1e-7,
            ];
            let x = if !self.smooth && self.rng.chance(0.25) {
                self.rng.pick(WILD).unwrap_or(0.0)
            } else if self.rng.chance(0.15) {
                self.rng.pick(ROUND).unwrap_or(1.0)
            } else {
                self.rng.uniform(-2.0, 2.0)
            };
            return Scalar::from_f64(dtype, x);
        }
        if !self.smooth && self.rng.chance(0.25) {
            const WILD: &[i64] = &[
                i64::MIN,
                i64::MAX,
                -1,
                0,
                255,
                256,
                i32::MIN as i64,
                i32::MAX as i64,
                1 << 32,
            ];
            return cotangent_graph::ops::wrap(dtype, self.rng.pick(WILD).unwrap_or(0));
        }
        let lo = if dtype.is_signed() { -4 } else { 0 };
        Scalar::from_i64(dtype, self.rng.between(lo, 8))
    }

    /// In a smooth graph `x` with its values moved between `lo` and `hi`, unless they are there.
    pub fn fit(&mut self, x: Var, lo: f64, hi: f64) -> Option<Var> {
        let ty = self.ty(x);
        if !self.smooth || !ty.dtype.is_inexact() || ty.shape.elements() == 0 {
            return Some(x);
        }
        if ty.dtype.is_complex() {
            return self.fit_complex(x, lo, hi);
        }
        let (least, most) = crate::arrays::range(self.value(x));
        if least >= lo && most <= hi && self.rng.chance(0.9) {
            return Some(x);
        }
        let (middle, half) = ((lo + hi) / 2.0, (hi - lo) / 2.0);
        let number = |g: &mut Generator, x: f64| g.full(Scalar::from_f64(ty.dtype, x), &ty.shape);
        let largest = extent(self.value(x)).1;
        let squashed = match self.rng.below(10) {
            0..=2 => {
                let s = self.push(Unary::Sin, &[x])?;
                let by = number(self, 0.9 * half);
                self.push(Binary::Mul, &[s, by])?
            }
            3..=4 => {
                let s = self.push(Unary::Tanh, &[x])?;
                let by = number(self, 0.9 * half);
                self.push(Binary::Mul, &[s, by])?
            }
            5 => {
                let (lo, hi) = (number(self, lo + 0.1 * half), number(self, hi - 0.1 * half));
                return self.push(Ternary::Clamp, &[x, lo, hi]);
            }
            _ => {
                // A power of two keeps the printed graph readable.
                let by = (0.9 * half / largest.max(1e-3)).log2().floor().exp2();
                let by = number(self, by);
                self.push(Binary::Mul, &[x, by])?
            }
        };
        if middle == 0.0 {
            return Some(squashed);
        }
        let middle = number(self, middle);
        self.push(Binary::Add, &[squashed, middle])
    }

    /// `x` moved into a disc around the middle of an interval, small enough that no pole or branch point of
    /// an operation that is smooth on the interval lies in it.
    fn fit_complex(&mut self, x: Var, lo: f64, hi: f64) -> Option<Var> {
        let ty = self.ty(x);
        let (middle, radius) = ((lo + hi) / 2.0, ((hi - lo) / 2.0).min(0.8));
        let inside = |s: Scalar| (s.to_complex() - middle).norm() <= radius;
        if self.value(x).scalars().all(inside) && self.rng.chance(0.9) {
            return Some(x);
        }
        let number = |g: &mut Generator, x: f64| g.full(Scalar::from_f64(ty.dtype, x), &ty.shape);
        let largest = extent(self.value(x)).1;
        let by = (0.9 * radius / largest.max(1e-3)).log2().floor().exp2();
        let by = number(self, by);
        let scaled = self.push(Binary::Mul, &[x, by])?;
        if middle == 0.0 {
            return Some(scaled);
        }
        let middle = number(self, middle);
        self.push(Binary::Add, &[scaled, middle])
    }

    /// Positions from 0 to before `n` of an integer dtype and this shape.
    pub fn index(&mut self, n: usize, dtype: DType, shape: &Shape) -> Option<Var> {
        if n == 0 && shape.elements() > 0 {
            return None;
        }
        let largest = Scalar::from_i64(dtype, n as i64);
        if self.rng.chance(0.4) || n == 0 {
            let places: Vec<Scalar> = (0..shape.elements())
                .map(|_| Scalar::from_i64(dtype, self.rng.below(n) as i64))
                .collect();
            let places = Array::from_scalars(dtype, shape.clone(), places).ok()?;
            // Wild graphs read some positions from inputs as they stand, to be made wrong later.
            if !self.smooth && self.inputs.len() < self.most_inputs && self.rng.chance(0.3) {
                let ty = TensorType::new(dtype, shape.clone());
                return Some(self.given_input(ty, places));
            }
            return Some(self.push_constant(match places.at(0) {
                Some(only) if shape.is_scalar() => Op::Full(only, shape.clone()),
                _ => Op::Constant(places),
            }));
        }
        let x = self.operand(dtype, shape);
        if self.rng.chance(0.5) {
            let n = self.full(largest, shape);
            return self.push(Binary::Rem, &[x, n]);
        }
        let least = self.full(Scalar::zero(dtype), shape);
        let most = self.full(Scalar::from_i64(dtype, n as i64 - 1), shape);
        self.push(Ternary::Clamp, &[x, least, most])
    }
}
