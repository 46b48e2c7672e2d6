//! Operations that work on each element by itself.

use cotangent_graph::Op;
use cotangent_graph::ops::{Binary, Compare, Indexed, Ternary, Test, Unary};

use super::operand::{binary, numbered, one_dtype, together};
use super::operand::{common_shape, spread};
use super::{Operand, OperandValue, Tensor, fail, push, stack};
use crate::DType;

macro_rules! unary_methods {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        /// Operations of one operand; see `cotangent show --ops` for their derivatives.
        impl Tensor {
            $($(#[$meta])* #[track_caller] pub fn $name(&self) -> Tensor {
                push(Unary::$op, &[self])
            })*
        }

        #[cfg(test)]
        const UNARY: &[Unary] = &[Unary::Neg, Unary::Not, $(Unary::$op),*];
    };
}

unary_methods! {
    /// The value itself, through which no derivative passes.
    stop_gradient StopGradient;
    /// Absolute value, a real number for complex ones too; its derivative at 0 is 0.
    abs Abs;
    /// -1, 0 or 1 by the sign.
    sign Sign;
    /// The largest whole number not above.
    floor Floor;
    /// The smallest whole number not below.
    ceil Ceil;
    /// The nearest whole number; halves go to the even one.
    round Round;
    /// The whole part: rounds toward zero.
    trunc Trunc;
    /// Square root; NaN below 0.
    sqrt Sqrt;
    /// 1 / sqrt(x).
    rsqrt Rsqrt;
    /// Cube root, of negative numbers too.
    cbrt Cbrt;
    /// e to the power x.
    exp Exp;
    /// 2 to the power x.
    exp2 Exp2;
    /// exp(x) - 1 without losing digits near 0.
    expm1 Expm1;
    /// Natural logarithm.
    log Log;
    /// Logarithm to base 2.
    log2 Log2;
    /// Logarithm to base 10.
    log10 Log10;
    /// log(1 + x) without losing digits near 0.
    log1p Log1p;
    /// Sine, in radians.
    sin Sin;
    /// Cosine, in radians.
    cos Cos;
    /// Tangent, in radians.
    tan Tan;
    /// Inverse sine.
    #[doc(alias = "arcsin")]
    asin Asin;
    /// Inverse cosine.
    #[doc(alias = "arccos")]
    acos Acos;
    /// Inverse tangent.
    #[doc(alias = "arctan")]
    atan Atan;
    /// Hyperbolic sine.
    sinh Sinh;
    /// Hyperbolic cosine.
    cosh Cosh;
    /// Hyperbolic tangent.
    tanh Tanh;
    /// Inverse hyperbolic sine.
    #[doc(alias = "arcsinh")]
    asinh Asinh;
    /// Inverse hyperbolic cosine.
    #[doc(alias = "arccosh")]
    acosh Acosh;
    /// Inverse hyperbolic tangent.
    #[doc(alias = "arctanh")]
    atanh Atanh;
    /// The logistic function 1 / (1 + exp(-x)).
    #[doc(alias = "expit")]
    sigmoid Sigmoid;
    /// The error function.
    erf Erf;
    /// 1 - erf(x) without losing digits for large x.
    erfc Erfc;
    /// exp(x^2) erfc(x), which neither overflows nor vanishes for large x.
    erfcx Erfcx;
    /// The inverse of [`erf`](Tensor::erf): infinite at -1 and 1, NaN outside.
    erfinv Erfinv;
    /// The inverse of [`erfc`](Tensor::erfc): infinite at 0 and 2, NaN outside.
    erfcinv Erfcinv;
    /// The logarithm of [`ndtr`](Tensor::ndtr), without cancellation on either side.
    log_ndtr LogNdtr;
    /// Logarithm of the absolute value of the gamma function.
    lgamma Lgamma;
    /// The derivative of lgamma.
    digamma Digamma;
}

macro_rules! binary_methods {
    ($($(#[$meta:meta])* $name:ident $op:expr;)*) => {
        /// Operations of two operands, which broadcast.
        impl Tensor {
            $($(#[$meta])* #[track_caller] pub fn $name(&self, other: impl Operand) -> Tensor {
                binary($op, self, other)
            })*
        }
    };
}

binary_methods! {
    /// The angle of the point (`other`, `self`), in [-pi, pi]; its derivative at the origin is 0.
    #[doc(alias = "arctan2")]
    atan2 Binary::Atan2;
    /// The larger of two; NaN if either is NaN. At a tie each gets half of the derivative.
    maximum Binary::Maximum;
    /// The smaller of two; NaN if either is NaN. At a tie each gets half of the derivative.
    minimum Binary::Minimum;
    /// Whether values are equal.
    equal Compare::Eq;
    /// Whether values differ.
    not_equal Compare::Ne;
    /// Whether this is less.
    less Compare::Lt;
    /// Whether this is less or equal.
    less_equal Compare::Le;
    /// Whether this is greater.
    greater Compare::Gt;
    /// Whether this is greater or equal.
    greater_equal Compare::Ge;
    /// Logical and of bools, bitwise and of integers; also written `&`.
    logical_and Binary::And;
    /// Logical or of bools, bitwise or of integers; also written `|`.
    logical_or Binary::Or;
    /// Exclusive or of bools, bitwise exclusive or of integers; also written `^`.
    logical_xor Binary::Xor;
}

macro_rules! test_methods {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        /// Tests.
        impl Tensor {
            $($(#[$meta])* #[track_caller] pub fn $name(&self) -> Tensor {
                push(Test::$op, &[self])
            })*
        }
    };
}

test_methods! {
    /// Whether a number is neither infinite nor NaN.
    is_finite IsFinite;
    /// Whether a number is NaN.
    is_nan IsNan;
    /// Whether a number is infinite, of either sign.
    is_inf IsInf;
}

/// Choice, conversion and powers.
impl Tensor {
    /// Logical not of bools, bitwise not of integers; also written `!`.
    #[track_caller]
    pub fn logical_not(&self) -> Tensor {
        push(Unary::Not, &[self])
    }

    /// The elements in another dtype: floats to integers truncate toward zero and saturate, NaN
    /// becomes 0; integers saturate; what is not 0 is true.
    #[doc(alias = "astype")]
    #[track_caller]
    pub fn convert(&self, dtype: DType) -> Tensor {
        if self.dtype() == dtype {
            self.clone()
        } else {
            push(Op::Convert(dtype), &[self])
        }
    }

    /// `x` where this bool is true, `y` elsewhere; all three broadcast. No derivative passes
    /// through the one that was not taken, whatever it is.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// // 0, where JAX and PyTorch give NaN.
    /// let f = |x: &Tensor| x.greater(0.0).select(x.sqrt(), 0.0);
    /// assert_eq!(grad(f).call((0.0.into(),))?, 0.0.into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "where")]
    #[track_caller]
    pub fn select(&self, x: impl Operand, y: impl Operand) -> Tensor {
        let arms = numbered("select", [x.operand(), y.operand()]);
        let [x, y] = match arms {
            Ok(arms) => arms,
            Err(failed) => return failed,
        };
        if let Err(failed) = one_dtype("select", &[&x, &y]) {
            return failed;
        }
        match common_shape("select", &[self, &x, &y]) {
            Ok(shape) => push(
                Ternary::Select,
                &[
                    &spread(self, &shape),
                    &spread(&x, &shape),
                    &spread(&y, &shape),
                ],
            ),
            Err(failed) => failed,
        }
    }

    /// The same as [`select`](Tensor::select), by NumPy's name (`where` is a word of Rust).
    #[track_caller]
    pub fn where_(&self, x: impl Operand, y: impl Operand) -> Tensor {
        self.select(x, y)
    }

    /// `value` where `mask` is true, this elsewhere.
    #[track_caller]
    pub fn masked_fill(&self, mask: impl Operand, value: impl Operand) -> Tensor {
        match numbered(
            "masked_fill",
            [OperandValue::Tensor(self.clone()), value.operand()],
        ) {
            Ok([x, value]) => match mask.operand() {
                OperandValue::Tensor(mask) => mask.select(value, x),
                OperandValue::Scalar(s) => Tensor::full((), s).select(value, x),
            },
            Err(failed) => failed,
        }
    }

    /// The value moved into the interval from `lo` to `hi`; NaN if any is NaN. On a border the
    /// derivative passes to the value.
    #[doc(alias = "clip")]
    #[track_caller]
    pub fn clamp(&self, lo: impl Operand, hi: impl Operand) -> Tensor {
        let operands = [
            OperandValue::Tensor(self.clone()),
            lo.operand(),
            hi.operand(),
        ];
        match together("clamp", operands) {
            Ok([x, lo, hi]) => push(Ternary::Clamp, &[&x, &lo, &hi]),
            Err(failed) => failed,
        }
    }

    /// The power. A whole number as the exponent is the same as [`powi`](Tensor::powi).
    #[track_caller]
    pub fn pow(&self, exponent: impl Operand) -> Tensor {
        let exponent = exponent.operand();
        if let OperandValue::Scalar(s) = exponent
            && let Ok(s) = super::operand::scalar_as(self.dtype(), s)
        {
            let n = s.to_i64();
            // Larger powers would differ from the general one by more than its rounding.
            if n.unsigned_abs() <= 16
                && n as f64 == s.to_f64()
                && (n >= 0 || !self.dtype().is_int())
            {
                return self.powi(n);
            }
        }
        binary(Binary::Pow, self, exponent)
    }

    /// The power to a whole number, by repeated squaring. Integers take no negative one.
    #[track_caller]
    pub fn powi(&self, n: i64) -> Tensor {
        push(Op::Indexed(Indexed::Powi, n), &[self])
    }

    /// The `n`-th derivative of digamma, `n >= 0`.
    #[track_caller]
    pub fn polygamma(&self, n: i64) -> Tensor {
        if n == 0 {
            self.digamma()
        } else {
            push(Op::Indexed(Indexed::Polygamma, n), &[self])
        }
    }

    /// Whether |x - y| <= `absolute` + `relative` * |y|. False beside NaN; infinities are close to
    /// themselves.
    #[doc(alias = "isclose")]
    #[track_caller]
    pub fn is_close(&self, other: impl Operand, relative: f64, absolute: f64) -> Tensor {
        match together(
            "is_close",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => {
                let near = (&x - &y).abs().less_equal(y.abs() * relative + absolute);
                (near & x.is_finite() & y.is_finite()) | x.equal(&y)
            }
            Err(failed) => failed,
        }
    }
}

/// Compositions of the operations above.
impl Tensor {
    /// x * x
    #[track_caller]
    pub fn square(&self) -> Tensor {
        self * self
    }

    /// 1 / x
    #[track_caller]
    pub fn reciprocal(&self) -> Tensor {
        1.0 / self
    }

    /// sqrt(x^2 + y^2) without overflow; its derivative at the origin is 0.
    #[track_caller]
    pub fn hypot(&self, other: impl Operand) -> Tensor {
        match together(
            "hypot",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => stack([&x, &y], -1).norm(-1),
            Err(failed) => failed,
        }
    }

    /// log(exp(x) + exp(y)) without overflow.
    #[track_caller]
    pub fn logaddexp(&self, other: impl Operand) -> Tensor {
        match together(
            "logaddexp",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => {
                // Choosing by `select` instead of `maximum` and `abs` keeps every derivative exact
                // where x = y, because both arms are the same smooth function.
                let first = x.greater(&y);
                let hi = first.select(&x, &y);
                let lo = first.select(&y, &x);
                let gap = hi.is_inf().select(f64::NEG_INFINITY, lo - &hi);
                hi + gap.exp().log1p()
            }
            Err(failed) => failed,
        }
    }

    /// log2(2^x + 2^y) without overflow.
    #[track_caller]
    pub fn logaddexp2(&self, other: impl Operand) -> Tensor {
        let ln2 = std::f64::consts::LN_2;
        match together(
            "logaddexp2",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => (x * ln2).logaddexp(y * ln2) / ln2,
            Err(failed) => failed,
        }
    }

    /// x * log(y), and 0 where x is 0. At (0, 0) the derivatives are 0.
    #[track_caller]
    pub fn xlogy(&self, other: impl Operand) -> Tensor {
        self.times_log("xlogy", other.operand(), 0.0, Unary::Log)
    }

    /// x * log(1 + y), and 0 where x is 0. At (0, -1) the derivatives are 0.
    #[track_caller]
    pub fn xlog1py(&self, other: impl Operand) -> Tensor {
        self.times_log("xlog1py", other.operand(), -1.0, Unary::Log1p)
    }

    #[track_caller]
    fn times_log(&self, name: &str, other: OperandValue, pole: f64, log: Unary) -> Tensor {
        match together(name, [OperandValue::Tensor(self.clone()), other]) {
            Ok([x, y]) => {
                // The strong zero keeps 0 * log(0) at 0 and yet has the derivative log(y) in x.
                let outside = x.equal(0.0) & y.less_equal(pole);
                let y = outside.select(pole + 1.0, y);
                binary(Binary::Zmul, x, push(log, &[&y]))
            }
            Err(failed) => failed,
        }
    }

    /// log(x / (1 - x)), the inverse of [`sigmoid`](Tensor::sigmoid).
    #[track_caller]
    pub fn logit(&self) -> Tensor {
        self.log() - (-self).log1p()
    }

    /// sin(pi x) / (pi x), and 1 at 0, with every derivative right there.
    #[track_caller]
    pub fn sinc(&self) -> Tensor {
        let t = self * std::f64::consts::PI;
        let near = t.abs().less(1.0);
        // The Taylor series: near 0 the derivatives of the quotient would lose all digits.
        let s = near.select(&t, 0.0).square();
        let mut series = s.full_like(0.0);
        for k in (1..=10).rev() {
            let ratio = -1.0 / f64::from(2 * k * (2 * k + 1));
            series = (series + 1.0) * &s * ratio;
        }
        let far = near.select(1.0, &t);
        near.select(series + 1.0, far.sin() / &far)
    }

    /// Degrees to radians.
    #[track_caller]
    pub fn deg2rad(&self) -> Tensor {
        self * (std::f64::consts::PI / 180.0)
    }

    /// Radians to degrees.
    #[track_caller]
    pub fn rad2deg(&self) -> Tensor {
        self * (180.0 / std::f64::consts::PI)
    }

    /// The remainder with the sign of the dividend (C's `fmod`); `%` has that of the divisor.
    #[track_caller]
    pub fn fmod(&self, other: impl Operand) -> Tensor {
        match together(
            "fmod",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => {
                let r = &x % &y;
                let wrong = r.not_equal(0) & r.less(0).not_equal(x.less(0));
                let r = wrong.select(&r - &y, &r);
                if x.dtype().is_float() {
                    r
                } else {
                    y.equal(0).select(0, r)
                }
            }
            Err(failed) => failed,
        }
    }

    /// floor(x / y)
    #[track_caller]
    pub fn floor_divide(&self, other: impl Operand) -> Tensor {
        (self / other.operand()).floor()
    }

    /// The part after the point, with the sign of x: x - trunc(x).
    #[track_caller]
    pub fn frac(&self) -> Tensor {
        self - self.trunc()
    }

    /// |x| with the sign of `other`, that of a zero too. The derivative to `other` is 0.
    #[track_caller]
    pub fn copysign(&self, other: impl Operand) -> Tensor {
        match together(
            "copysign",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => {
                // 1 / -0 is -inf: the only way to see the sign of a zero.
                let y = y.stop_gradient();
                let negative = y.less(0.0) | (y.equal(0.0) & (1.0 / &y).less(0.0));
                let sign = x.stop_gradient();
                let is = sign.less(0.0) | (sign.equal(0.0) & (1.0 / &sign).less(0.0));
                let flip = negative.not_equal(is);
                let moved = flip.select(-&x, &x);
                // |x| has the derivative 0 at 0.
                sign.equal(0.0).select(moved.stop_gradient(), moved)
            }
            Err(failed) => failed,
        }
    }

    /// 0 below 0, 1 above, and `at_zero` at 0.
    #[track_caller]
    pub fn heaviside(&self, at_zero: impl Operand) -> Tensor {
        match together(
            "heaviside",
            [OperandValue::Tensor(self.clone()), at_zero.operand()],
        ) {
            Ok([x, h]) => {
                let step = x.less(0).select(x.full_like(0), x.full_like(1));
                let step = x.equal(0).select(h, step);
                if x.dtype().is_float() {
                    x.is_nan().select(f64::NAN, step)
                } else {
                    step
                }
            }
            Err(failed) => failed,
        }
    }

    /// The larger of two, or the one that is not NaN.
    #[track_caller]
    pub fn fmax(&self, other: impl Operand) -> Tensor {
        match together(
            "fmax",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => {
                let both = x.maximum(&y);
                x.is_nan().select(&y, y.is_nan().select(&x, both))
            }
            Err(failed) => failed,
        }
    }

    /// The smaller of two, or the one that is not NaN.
    #[track_caller]
    pub fn fmin(&self, other: impl Operand) -> Tensor {
        match together(
            "fmin",
            [OperandValue::Tensor(self.clone()), other.operand()],
        ) {
            Ok([x, y]) => {
                let both = x.minimum(&y);
                x.is_nan().select(&y, y.is_nan().select(&x, both))
            }
            Err(failed) => failed,
        }
    }

    /// The point at `weight` on the way from this to `end`: x + weight * (end - x).
    #[track_caller]
    pub fn lerp(&self, end: impl Operand, weight: impl Operand) -> Tensor {
        let operands = [
            OperandValue::Tensor(self.clone()),
            end.operand(),
            weight.operand(),
        ];
        match together("lerp", operands) {
            Ok([x, end, weight]) => &x + weight * (end - &x),
            Err(failed) => failed,
        }
    }

    /// Finite numbers in place of NaN, inf and -inf. No derivative passes where one was replaced.
    #[track_caller]
    pub fn nan_to_num(&self, nan: f64, inf: f64, minus_inf: f64) -> Tensor {
        let x = self.is_nan().select(nan, self);
        let infinite = x.is_inf();
        let end = x
            .greater(0.0)
            .select(x.full_like(inf), x.full_like(minus_inf));
        infinite.select(end, x)
    }

    /// The cumulative distribution function of the standard normal distribution.
    #[track_caller]
    pub fn ndtr(&self) -> Tensor {
        (self * -std::f64::consts::FRAC_1_SQRT_2).erfc() * 0.5
    }
}

/// `x` where a bool is true, `y` elsewhere; see [`Tensor::select`].
#[track_caller]
pub fn select(condition: &Tensor, x: impl Operand, y: impl Operand) -> Tensor {
    condition.select(x, y)
}

impl Tensor {
    /// Fails unless the dtype is a float one, for compositions that divide.
    #[track_caller]
    pub(crate) fn expect_float(&self, name: &str) -> Result<(), Tensor> {
        if self.dtype().is_float() {
            return Ok(());
        }
        let message = format!("expected f64 or f32, found {}; use convert", self.dtype());
        Err(fail(name, &[self], message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unary_row_has_a_method() {
        for op in Unary::ALL {
            assert!(UNARY.contains(op), "no method for `{}`", op.name());
        }
    }
}
