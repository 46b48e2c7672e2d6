//! Pointwise operations of one operand: the table.

use cotangent_array::{Complex64, DType};

use super::{Bound, Compare, Kinds, Row};
use crate::{Builder, TensorType, TypeError, Var, complex, math, type_error};

/// The partial derivative as a graph expression of the operand and the result.
type Partial = fn(&mut Builder, Var, Var) -> Var;

macro_rules! unary_ops {
    ($(
        #[doc = $doc:literal]
        $V:ident = $name:literal {
            kinds: $kinds:ident, bound: $bound:ident, cost: $cost:literal,
            float: $float:expr,
            $(int: $int:expr,)?
            $(complex: $complex:expr,)?
            d: $text:literal = $d:expr,
            on: $lo:literal .. $hi:literal,
            $(kinks: [$($kink:expr),*],)?
            $(at: $at:literal,)?
        }
    )+) => {
        /// A pointwise operation of one operand.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Unary { $(#[doc = $doc] $V),+ }

        impl Unary {
            /// Every row, in the order of the table.
            pub const ALL: &'static [Unary] = &[$(Unary::$V),+];

            /// What the row says beside its meaning and its partial.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Unary::$V => {
                        const ROW: Row = Row {
                            name: $name,
                            doc: $doc.trim_ascii(),
                            derivative: $text,
                            convention: concat!($($at)?),
                            kinds: Kinds::$kinds,
                            bound: Bound::$bound,
                            samples: &[($lo, $hi)],
                            kinks: &[$($($kink),*)?],
                            cost: $cost,
                        };
                        &ROW
                    })+
                }
            }

            /// The meaning on floats; an f32 is computed in f64 and rounded.
            #[inline(always)]
            pub fn float(self, x: f64) -> f64 {
                match self { $(Unary::$V => { let f: fn(f64) -> f64 = $float; f(x) })+ }
            }

            /// The meaning on integers (and bools as 0 and 1), to be wrapped to the dtype's width.
            pub fn int(self) -> Option<fn(i64) -> i64> {
                match self {
                    $(Unary::$V => {
                        #[allow(unused_mut, unused_assignments)]
                        let mut f: Option<fn(i64) -> i64> = None;
                        $(f = Some($int);)?
                        f
                    })+
                }
            }

            /// The meaning on complex numbers, for rows that take them; a c64 is computed in c128 and
            /// rounded. `abs` has none here, because its result is real.
            pub fn complex(self) -> Option<fn(Complex64) -> Complex64> {
                match self {
                    $(Unary::$V => {
                        #[allow(unused_mut, unused_assignments)]
                        let mut f: Option<fn(Complex64) -> Complex64> = None;
                        $(f = Some($complex);)?
                        f
                    })+
                }
            }

            /// The partial derivative as a graph expression of the operand and the result. On complex
            /// numbers it is the complex derivative; `abs` has a rule of its own there.
            pub fn partial(self, b: &mut Builder, x: Var, out: Var) -> Var {
                match self { $(Unary::$V => { let d: Partial = $d; d(b, x, out) })+ }
            }
        }
    };
}

/// 2 / sqrt(pi)
const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;

unary_ops! {
    /// The operand with the opposite sign; integers wrap.
    Neg = "neg" {
        kinds: Numeric, bound: Operands, cost: 1,
        float: |x| -x, int: i64::wrapping_neg,
        complex: |z| -z,
        d: "-1" = |b, x, _| b.like(x, -1.0),
        on: -3.0..3.0,
    }
    /// The value itself; derivatives do not pass.
    StopGradient = "stop_gradient" {
        kinds: Any, bound: Operands, cost: 0,
        float: |x| x, int: |x| x,
        complex: |z| z,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: -3.0..3.0,
        at: "0 everywhere, by definition.",
    }
    /// Logical not of a bool, bitwise not of an integer.
    Not = "not" {
        kinds: Bits, bound: Operands, cost: 1,
        float: |x| x, int: |x| !x,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: 0.0..1.0,
    }
    /// Absolute value; the smallest integer wraps to itself. Of a complex number the real distance from 0.
    Abs = "abs" {
        kinds: Numeric, bound: Operands, cost: 1,
        float: f64::abs, int: i64::wrapping_abs,
        d: "sign(x); on complex numbers real(t * conj(x) / out)" = |b, x, _| b.unary(Unary::Sign, x),
        on: -3.0..3.0, kinks: [0.0],
        at: "0 at 0.",
    }
    /// -1, 0 or 1 by the sign of the operand; a zero keeps its sign and NaN stays NaN.
    Sign = "sign" {
        kinds: Number, bound: Finite, cost: 1,
        float: |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x }, int: i64::signum,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: -3.0..3.0, kinks: [0.0],
        at: "0 everywhere, at the jump too.",
    }
    /// The largest whole number not above the operand.
    Floor = "floor" {
        kinds: Number, bound: Operands, cost: 1,
        float: f64::floor, int: |x| x,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: -3.0..3.0, kinks: [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
        at: "0 everywhere, at the jumps too.",
    }
    /// The smallest whole number not below the operand.
    Ceil = "ceil" {
        kinds: Number, bound: Operands, cost: 1,
        float: f64::ceil, int: |x| x,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: -3.0..3.0, kinks: [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
        at: "0 everywhere, at the jumps too.",
    }
    /// The nearest whole number; halves go to the even one.
    Round = "round" {
        kinds: Number, bound: Operands, cost: 1,
        float: f64::round_ties_even, int: |x| x,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: -3.0..3.0, kinks: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5],
        at: "0 everywhere, at the jumps too.",
    }
    /// The whole part: rounds toward zero.
    Trunc = "trunc" {
        kinds: Number, bound: Operands, cost: 1,
        float: f64::trunc, int: |x| x,
        d: "0" = |b, x, _| b.like(x, 0.0),
        on: -3.0..3.0, kinks: [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
        at: "0 everywhere, at the jumps too.",
    }
    /// Square root; NaN below 0.
    Sqrt = "sqrt" {
        kinds: Inexact, bound: Operands, cost: 4,
        float: f64::sqrt,
        complex: complex::sqrt,
        d: "0.5 / out" = |b, x, y| { let h = b.like(x, 0.5); b.div(h, y) },
        on: 0.1..4.0, kinks: [0.0],
        at: "inf at 0; a zero tangent or cotangent stays 0 there.",
    }
    /// Reciprocal of the square root; inf at 0, NaN below 0.
    Rsqrt = "rsqrt" {
        kinds: Inexact, bound: Open, cost: 5,
        float: |x| 1.0 / x.sqrt(),
        complex: complex::rsqrt,
        d: "-0.5 * out / x" = |b, x, y| {
            let h = b.like(x, -0.5);
            let q = b.div(y, x);
            b.mul(h, q)
        },
        on: 0.2..4.0, kinks: [0.0],
        at: "-inf at 0; a zero tangent or cotangent stays 0 there.",
    }
    /// Cube root, defined for negative numbers too.
    Cbrt = "cbrt" {
        kinds: Float, bound: Operands, cost: 20,
        float: libm::cbrt,
        d: "1 / (3 * out * out)" = |b, x, y| {
            let t = b.like(x, 1.0 / 3.0);
            let s = b.mul(y, y);
            b.div(t, s)
        },
        on: 0.2..4.0, kinks: [0.0],
        at: "inf at 0; a zero tangent or cotangent stays 0 there.",
    }
    /// e to the power of the operand.
    Exp = "exp" {
        kinds: Inexact, bound: Open, cost: 20,
        float: f64::exp,
        complex: complex::exp,
        d: "out" = |_, _, y| y,
        on: -3.0..3.0,
    }
    /// 2 to the power of the operand.
    Exp2 = "exp2" {
        kinds: Inexact, bound: Open, cost: 20,
        float: f64::exp2,
        complex: complex::exp2,
        d: "ln(2) * out" = |b, x, y| { let l = b.like(x, std::f64::consts::LN_2); b.mul(l, y) },
        on: -3.0..3.0,
    }
    /// exp(x) - 1 without losing digits near 0.
    Expm1 = "expm1" {
        kinds: Inexact, bound: Open, cost: 20,
        float: libm::expm1,
        complex: complex::expm1,
        d: "exp(x)" = |b, x, _| b.unary(Unary::Exp, x),
        on: -3.0..3.0,
    }
    /// Natural logarithm; -inf at 0, NaN below.
    Log = "log" {
        kinds: Inexact, bound: Open, cost: 20,
        float: f64::ln,
        complex: complex::log,
        d: "1 / x" = |b, x, _| { let one = b.like(x, 1.0); b.div(one, x) },
        on: 0.1..4.0, kinks: [0.0],
        at: "inf at 0; a zero tangent or cotangent stays 0 there.",
    }
    /// Logarithm to base 2.
    Log2 = "log2" {
        kinds: Inexact, bound: Open, cost: 20,
        float: f64::log2,
        complex: complex::log2,
        d: "1 / (ln(2) * x)" = |b, x, _| { let l = b.like(x, std::f64::consts::LOG2_E); b.div(l, x) },
        on: 0.1..4.0, kinks: [0.0],
        at: "inf at 0; a zero tangent or cotangent stays 0 there.",
    }
    /// Logarithm to base 10.
    Log10 = "log10" {
        kinds: Inexact, bound: Open, cost: 20,
        float: f64::log10,
        complex: complex::log10,
        d: "1 / (ln(10) * x)" = |b, x, _| { let l = b.like(x, std::f64::consts::LOG10_E); b.div(l, x) },
        on: 0.1..4.0, kinks: [0.0],
        at: "inf at 0; a zero tangent or cotangent stays 0 there.",
    }
    /// log(1 + x) without losing digits near 0.
    Log1p = "log1p" {
        kinds: Inexact, bound: Open, cost: 20,
        float: libm::log1p,
        complex: complex::log1p,
        d: "1 / (1 + x)" = |b, x, _| {
            let one = b.like(x, 1.0);
            let s = b.add(one, x);
            b.div(one, s)
        },
        on: -0.8..3.0, kinks: [-1.0],
        at: "inf at -1; a zero tangent or cotangent stays 0 there.",
    }
    /// Sine of an angle in radians.
    Sin = "sin" {
        kinds: Inexact, bound: Finite, cost: 20,
        float: f64::sin,
        complex: complex::sin,
        d: "cos(x)" = |b, x, _| b.unary(Unary::Cos, x),
        on: -3.0..3.0,
    }
    /// Cosine of an angle in radians.
    Cos = "cos" {
        kinds: Inexact, bound: Finite, cost: 20,
        float: f64::cos,
        complex: complex::cos,
        d: "-sin(x)" = |b, x, _| { let s = b.unary(Unary::Sin, x); b.unary(Unary::Neg, s) },
        on: -3.0..3.0,
    }
    /// Tangent of an angle in radians.
    Tan = "tan" {
        kinds: Inexact, bound: Open, cost: 25,
        float: f64::tan,
        complex: complex::tan,
        d: "1 + out * out" = |b, x, y| {
            let one = b.like(x, 1.0);
            let s = b.mul(y, y);
            b.add(one, s)
        },
        on: -1.2..1.2,
    }
    /// Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1].
    Asin = "asin" {
        kinds: Inexact, bound: Operands, cost: 25,
        float: f64::asin,
        complex: complex::asin,
        d: "1 / sqrt((1 - x) * (1 + x))" = |b, x, _| one_over_root_one_minus_square(b, x),
        on: -0.9..0.9, kinks: [-1.0, 1.0],
        at: "inf at -1 and 1; a zero tangent or cotangent stays 0 there.",
    }
    /// Inverse cosine, in [0, pi]; NaN outside [-1, 1].
    Acos = "acos" {
        kinds: Inexact, bound: Operands, cost: 25,
        float: f64::acos,
        complex: complex::acos,
        d: "-1 / sqrt((1 - x) * (1 + x))" = |b, x, _| {
            let p = one_over_root_one_minus_square(b, x);
            b.unary(Unary::Neg, p)
        },
        on: -0.9..0.9, kinks: [-1.0, 1.0],
        at: "-inf at -1 and 1; a zero tangent or cotangent stays 0 there.",
    }
    /// Inverse tangent, in (-pi/2, pi/2).
    Atan = "atan" {
        kinds: Inexact, bound: Finite, cost: 25,
        float: f64::atan,
        complex: complex::atan,
        d: "1 / (1 + x * x)" = |b, x, _| {
            let one = b.like(x, 1.0);
            let s = b.mul(x, x);
            let s = b.add(one, s);
            b.div(one, s)
        },
        on: -3.0..3.0,
    }
    /// Hyperbolic sine.
    Sinh = "sinh" {
        kinds: Inexact, bound: Open, cost: 25,
        float: libm::sinh,
        complex: complex::sinh,
        d: "cosh(x)" = |b, x, _| b.unary(Unary::Cosh, x),
        on: -3.0..3.0,
    }
    /// Hyperbolic cosine.
    Cosh = "cosh" {
        kinds: Inexact, bound: Open, cost: 25,
        float: libm::cosh,
        complex: complex::cosh,
        d: "sinh(x)" = |b, x, _| b.unary(Unary::Sinh, x),
        on: -3.0..3.0,
    }
    /// Hyperbolic tangent.
    Tanh = "tanh" {
        kinds: Inexact, bound: Finite, cost: 20,
        float: libm::tanh,
        complex: complex::tanh,
        d: "1 - out * out" = |b, x, y| {
            let one = b.like(x, 1.0);
            let s = b.mul(y, y);
            b.sub(one, s)
        },
        on: -3.0..3.0,
    }
    /// Inverse hyperbolic sine.
    Asinh = "asinh" {
        kinds: Inexact, bound: Operands, cost: 30,
        float: libm::asinh,
        complex: complex::asinh,
        d: "1 / sqrt(1 + x * x)" = |b, x, _| {
            let one = b.like(x, 1.0);
            let s = b.mul(x, x);
            let s = b.add(one, s);
            b.unary(Unary::Rsqrt, s)
        },
        on: -3.0..3.0,
    }
    /// Inverse hyperbolic cosine; NaN below 1.
    Acosh = "acosh" {
        kinds: Inexact, bound: Operands, cost: 30,
        float: libm::acosh,
        complex: complex::acosh,
        d: "1 / sqrt((x - 1) * (x + 1))" = |b, x, _| {
            let one = b.like(x, 1.0);
            let (l, r) = (b.sub(x, one), b.add(x, one));
            let s = b.mul(l, r);
            b.unary(Unary::Rsqrt, s)
        },
        on: 1.2..4.0, kinks: [1.0],
        at: "inf at 1; a zero tangent or cotangent stays 0 there.",
    }
    /// Inverse hyperbolic tangent; infinite at -1 and 1, NaN outside.
    Atanh = "atanh" {
        kinds: Inexact, bound: Open, cost: 30,
        float: libm::atanh,
        complex: complex::atanh,
        d: "1 / ((1 - x) * (1 + x))" = |b, x, _| {
            let one = b.like(x, 1.0);
            let (l, r) = (b.sub(one, x), b.add(one, x));
            let s = b.mul(l, r);
            b.div(one, s)
        },
        on: -0.9..0.9, kinks: [-1.0, 1.0],
        at: "inf at -1 and 1; a zero tangent or cotangent stays 0 there.",
    }
    /// The logistic function 1 / (1 + exp(-x)), without overflow.
    Sigmoid = "sigmoid" {
        kinds: Inexact, bound: Finite, cost: 22,
        float: math::sigmoid,
        complex: complex::sigmoid,
        d: "out * (1 - out)" = |b, x, y| {
            let one = b.like(x, 1.0);
            let r = b.sub(one, y);
            b.mul(y, r)
        },
        on: -3.0..3.0,
    }
    /// The error function (Abramowitz and Stegun 7.1.1).
    Erf = "erf" {
        kinds: Float, bound: Finite, cost: 40,
        float: libm::erf,
        d: "2 / sqrt(pi) * exp(-x * x)" = |b, x, _| gauss(b, x, TWO_OVER_SQRT_PI),
        on: -2.0..2.0,
    }
    /// The complementary error function 1 - erf(x), without losing digits for large x.
    Erfc = "erfc" {
        kinds: Float, bound: Finite, cost: 40,
        float: libm::erfc,
        d: "-2 / sqrt(pi) * exp(-x * x)" = |b, x, _| gauss(b, x, -TWO_OVER_SQRT_PI),
        on: -2.0..2.0,
    }
    /// The scaled complementary error function exp(x * x) erfc(x) (DLMF 7.2.3); error at most 4 ulp.
    Erfcx = "erfcx" {
        kinds: Float, bound: Open, cost: 60,
        float: math::erfcx,
        d: "2 * x * out - 2 / sqrt(pi), by its asymptotic series above 12" = erfcx_slope,
        on: -2.0..3.0,
    }
    /// The inverse of erf: infinite at -1 and 1, NaN outside; error at most 4 ulp.
    Erfinv = "erfinv" {
        kinds: Float, bound: Open, cost: 150,
        float: math::erfinv,
        d: "sqrt(pi) / 2 * exp(out * out)" = |b, x, y| inverse_gauss(b, x, y, 1.0),
        on: -0.9..0.9, kinks: [-1.0, 1.0],
        at: "inf at -1 and 1; a zero tangent or cotangent stays 0 there.",
    }
    /// The inverse of erfc: inf at 0, -inf at 2, NaN outside; error at most 4 ulp.
    Erfcinv = "erfcinv" {
        kinds: Float, bound: Open, cost: 150,
        float: math::erfcinv,
        d: "-sqrt(pi) / 2 * exp(out * out)" = |b, x, y| inverse_gauss(b, x, y, -1.0),
        on: 0.1..1.9, kinks: [0.0, 2.0],
        at: "-inf at 0 and 2; a zero tangent or cotangent stays 0 there.",
    }
    /// The logarithm of the normal distribution function; error at most 4 ulp.
    LogNdtr = "log_ndtr" {
        kinds: Float, bound: Operands, cost: 80,
        float: math::log_ndtr,
        d: "sqrt(2 / pi) / erfcx(-x / sqrt(2))" = |b, x, _| {
            let scale = b.like(x, -std::f64::consts::FRAC_1_SQRT_2);
            let s = b.mul(x, scale);
            let s = b.unary(Unary::Erfcx, s);
            let top = b.like(x, std::f64::consts::FRAC_1_SQRT_2 * TWO_OVER_SQRT_PI);
            b.div(top, s)
        },
        on: -3.0..3.0,
    }
    /// Logarithm of the absolute value of the gamma function; inf at 0, -1, -2, ...
    Lgamma = "lgamma" {
        kinds: Float, bound: Open, cost: 50,
        float: libm::lgamma,
        d: "digamma(x)" = |b, x, _| b.unary(Unary::Digamma, x),
        on: 0.3..5.0,
        at: "NaN at 0, -1, -2, ...; a zero tangent or cotangent stays 0 there.",
    }
    /// The derivative of lgamma (Abramowitz and Stegun 6.3); NaN at -1, -2, ..., -inf at +0.
    Digamma = "digamma" {
        kinds: Float, bound: Open, cost: 60,
        float: math::digamma,
        d: "polygamma(x, n=1)" = |b, x, _| b.indexed(super::Indexed::Polygamma, 1, x),
        on: 0.3..5.0,
        at: "a zero tangent or cotangent stays 0 at the poles.",
    }
}

impl Unary {
    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of the result.
    pub fn infer(self, x: &TensorType) -> Result<TensorType, TypeError> {
        check_kind(self.row(), x)?;
        if x.dtype.is_bool() && self.int().is_none() {
            type_error!("expected {}, found bool", self.row().kinds.words());
        }
        if self == Unary::Abs {
            return Ok(x.with_dtype(x.dtype.real()));
        }
        Ok(x.clone())
    }
}

/// Fails unless the row takes this dtype.
pub(super) fn check_kind(row: &Row, x: &TensorType) -> Result<DType, TypeError> {
    if row.kinds.contains(x.dtype) {
        return Ok(x.dtype);
    }
    type_error!("expected {}, found {}", row.kinds.words(), x.dtype)
}

/// 1 / sqrt((1 - x)(1 + x)), which keeps its digits near -1 and 1.
fn one_over_root_one_minus_square(b: &mut Builder, x: Var) -> Var {
    let one = b.like(x, 1.0);
    let (l, r) = (b.sub(one, x), b.add(one, x));
    let s = b.mul(l, r);
    b.unary(Unary::Rsqrt, s)
}

/// 2 x out - 2 / sqrt(pi). The two cancel for large x, where the asymptotic series of `out`
/// (DLMF 7.12.1) gives the difference itself, and every derivative of it.
fn erfcx_slope(b: &mut Builder, x: Var, y: Var) -> Var {
    const FROM: f64 = 12.0;
    let from = b.like(x, FROM);
    let large = b.compare(Compare::Gt, x, from);
    let far = b.select(large, x, from);
    let half = b.like(x, 0.5);
    let square = b.mul(far, far);
    let s = b.div(half, square);
    // The sum over k >= 1 of (-1)^k (2k - 1)!! s^k, from its end.
    let one = b.like(x, 1.0);
    let mut series = one;
    for k in (1..=13).rev() {
        let factor = b.like(x, -f64::from(2 * k - 1));
        let t = b.mul(factor, s);
        series = b.mul(t, series);
        if k > 1 {
            series = b.add(series, one);
        }
    }
    let scale = b.like(x, TWO_OVER_SQRT_PI);
    let tail = b.mul(scale, series);
    // Its own arm must be harmless where the other one counts.
    let near = b.select(large, one, x);
    let value = b.select(large, one, y);
    let two = b.like(x, 2.0);
    let p = b.mul(near, value);
    let p = b.mul(two, p);
    let difference = b.sub(p, scale);
    b.select(large, tail, difference)
}

/// sign * sqrt(pi) / 2 * exp(y * y)
fn inverse_gauss(b: &mut Builder, x: Var, y: Var, sign: f64) -> Var {
    let s = b.mul(y, y);
    let e = b.unary(Unary::Exp, s);
    let scale = b.like(x, sign / TWO_OVER_SQRT_PI);
    b.mul(scale, e)
}

/// scale * exp(-x * x)
fn gauss(b: &mut Builder, x: Var, scale: f64) -> Var {
    let s = b.mul(x, x);
    let s = b.unary(Unary::Neg, s);
    let e = b.unary(Unary::Exp, s);
    let scale = b.like(x, scale);
    b.mul(scale, e)
}
