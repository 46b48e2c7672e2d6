//! Pointwise operations of two operands of one dtype and shape: the table.

use cotangent_array::Complex64;

use super::{Bound, Compare, Kinds, Row, Unary, unary::check_kind};
use crate::{Builder, TensorType, TypeError, Var, complex, math, type_error};

/// A partial derivative as a graph expression of the operands and the result.
type Partial = fn(&mut Builder, Var, Var, Var) -> Var;

macro_rules! binary_ops {
    ($(
        #[doc = $doc:literal]
        $V:ident = $name:literal {
            kinds: $kinds:ident, bound: $bound:ident, cost: $cost:literal,
            $(float: $float:expr,)?
            $(int: $int:expr,)?
            $(complex: $complex:expr,)?
            d: $text:literal = $dx:expr, $dy:expr;
            on: $lo:literal .. $hi:literal, $lo2:literal .. $hi2:literal,
            $(at: $at:literal,)?
        }
    )+) => {
        /// A pointwise operation of two operands of one dtype and shape.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Binary { $(#[doc = $doc] $V),+ }

        impl Binary {
            /// Every row, in the order of the table.
            pub const ALL: &'static [Binary] = &[$(Binary::$V),+];

            /// What the row says beside its meaning and its partials.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Binary::$V => {
                        const ROW: Row = Row {
                            name: $name,
                            doc: $doc.trim_ascii(),
                            derivative: $text,
                            convention: concat!($($at)?),
                            kinds: Kinds::$kinds,
                            bound: Bound::$bound,
                            samples: &[($lo, $hi), ($lo2, $hi2)],
                            kinks: &[],
                            cost: $cost,
                        };
                        &ROW
                    })+
                }
            }

            /// The meaning on floats; an f32 is computed in f64 and rounded. NaN for operations
            /// that take no floats.
            #[inline(always)]
            #[allow(unreachable_code)]
            pub fn float(self, x: f64, y: f64) -> f64 {
                match self {
                    $(Binary::$V => {
                        $(let f: fn(f64, f64) -> f64 = $float; return f(x, y);)?
                        f64::NAN
                    })+
                }
            }

            /// The meaning on integers (and bools as 0 and 1), to be wrapped to the dtype's width.
            pub fn int(self) -> Option<fn(i64, i64) -> i64> {
                match self {
                    $(Binary::$V => {
                        #[allow(unused_mut, unused_assignments)]
                        let mut f: Option<fn(i64, i64) -> i64> = None;
                        $(f = Some($int);)?
                        f
                    })+
                }
            }

            /// The meaning on complex numbers, for rows that take them; a c64 is computed in c128 and
            /// rounded.
            pub fn complex(self) -> Option<fn(Complex64, Complex64) -> Complex64> {
                match self {
                    $(Binary::$V => {
                        #[allow(unused_mut, unused_assignments)]
                        let mut f: Option<fn(Complex64, Complex64) -> Complex64> = None;
                        $(f = Some($complex);)?
                        f
                    })+
                }
            }

            /// The partial derivative to operand 0 or 1 as a graph expression.
            pub fn partial(self, operand: usize, b: &mut Builder, x: Var, y: Var, out: Var) -> Var {
                match self {
                    $(Binary::$V => {
                        let d: [Partial; 2] = [$dx, $dy];
                        d[operand.min(1)](b, x, y, out)
                    })+
                }
            }
        }
    };
}

binary_ops! {
    /// Sum; integers wrap.
    Add = "add" {
        kinds: Numeric, bound: Operands, cost: 1,
        float: |x, y| x + y, int: i64::wrapping_add,
        complex: |x, y| x + y,
        d: "1, 1" = |b, x, _, _| b.like(x, 1.0), |b, x, _, _| b.like(x, 1.0);
        on: -3.0..3.0, -3.0..3.0,
    }
    /// Difference; integers wrap.
    Sub = "sub" {
        kinds: Numeric, bound: Operands, cost: 1,
        float: |x, y| x - y, int: i64::wrapping_sub,
        complex: |x, y| x - y,
        d: "1, -1" = |b, x, _, _| b.like(x, 1.0), |b, x, _, _| b.like(x, -1.0);
        on: -3.0..3.0, -3.0..3.0,
    }
    /// Product; integers wrap.
    Mul = "mul" {
        kinds: Numeric, bound: Operands, cost: 1,
        float: |x, y| x * y, int: i64::wrapping_mul,
        complex: complex::mul,
        d: "y, x" = |_, _, y, _| y, |_, x, _, _| x;
        on: -3.0..3.0, -3.0..3.0,
        at: "a zero tangent or cotangent stays 0 beside an infinite factor.",
    }
    /// The strong zero: the product, and 0 where one operand is 0 and the other infinite or NaN.
    Zmul = "zmul" {
        kinds: Numeric, bound: Open, cost: 2,
        float: math::strong_product, int: i64::wrapping_mul,
        complex: complex::strong_product,
        d: "zmul(tx, y) + zmul(x, ty)" = |_, _, y, _| y, |_, x, _, _| x;
        on: -3.0..3.0, -3.0..3.0,
        at: "a zero tangent or cotangent stays 0, and so does a zero operand beside an infinite one.",
    }
    /// Quotient. Integers divide toward minus infinity; x / 0 is 0 and MIN / -1 wraps to MIN.
    Div = "div" {
        kinds: Numeric, bound: Open, cost: 4,
        float: |x, y| x / y, int: math::floor_div,
        complex: complex::div,
        d: "1 / y, -out / y" =
            |b, x, y, _| { let one = b.like(x, 1.0); b.div(one, y) },
            |b, _, y, z| { let q = b.div(z, y); b.unary(Unary::Neg, q) };
        on: -3.0..3.0, 0.4..3.0,
        at: "infinite at y = 0; a zero tangent or cotangent stays 0 there.",
    }
    /// NumPy's remainder, with the sign of the divisor; for integers x rem 0 is 0.
    Rem = "rem" {
        kinds: Number, bound: Open, cost: 10,
        float: math::remainder, int: math::floor_rem,
        d: "1, -floor(x / y)" =
            |b, x, _, _| b.like(x, 1.0),
            |b, x, y, _| {
                let q = b.div(x, y);
                let f = b.unary(Unary::Floor, q);
                b.unary(Unary::Neg, f)
            };
        on: 0.2..0.8, 1.0..2.0,
        at: "the formula holds at the jumps too.",
    }
    /// x to the power y; NaN for x < 0 unless y is whole. Integers wrap; a negative y gives 0 there, except for bases 1 and -1.
    Pow = "pow" {
        kinds: Numeric, bound: Open, cost: 50,
        float: f64::powf, int: math::int_pow,
        complex: complex::pow,
        d: "y * pow(x, y - 1), out * log(x)" =
            |b, x, y, _| {
                let one = b.like(x, 1.0);
                let less = b.sub(y, one);
                let p = b.binary(Binary::Pow, x, less);
                b.binary(Binary::Zmul, y, p)
            },
            |b, x, _, z| {
                // log(0) stands for the limit of 0^y log 0, which is 0 for y > 0.
                let zero = b.like(x, 0.0);
                let one = b.like(x, 1.0);
                let at_zero = b.compare(Compare::Eq, x, zero);
                let base = b.select(at_zero, one, x);
                let l = b.unary(Unary::Log, base);
                b.binary(Binary::Zmul, l, z)
            };
        on: 0.3..2.0, -2.0..2.0,
        at: "to x: 0 where y = 0, at x = 0 too; to y: 0 at x = 0.",
    }
    /// The angle of the point (y, x) given as atan2(y, x), in [-pi, pi].
    Atan2 = "atan2" {
        kinds: Float, bound: Finite, cost: 40,
        float: libm::atan2,
        d: "x / (x * x + y * y), -y / (x * x + y * y)" =
            |b, y, x, _| over_square(b, y, x, x),
            |b, y, x, _| { let p = over_square(b, y, x, y); b.unary(Unary::Neg, p) };
        on: 0.3..2.0, 0.3..2.0,
        at: "0 at the origin.",
    }
    /// The larger of two; NaN if either is NaN.
    Maximum = "maximum" {
        kinds: Number, bound: Operands, cost: 1,
        float: math::max, int: |x, y| x.max(y),
        d: "1 where larger, 0 where smaller" =
            |b, x, y, _| half_at_ties(b, Compare::Gt, x, y),
            |b, x, y, _| half_at_ties(b, Compare::Gt, y, x);
        on: 0.5..3.0, -3.0..-0.5,
        at: "one half to each at a tie.",
    }
    /// The smaller of two; NaN if either is NaN.
    Minimum = "minimum" {
        kinds: Number, bound: Operands, cost: 1,
        float: math::min, int: |x, y| x.min(y),
        d: "1 where smaller, 0 where larger" =
            |b, x, y, _| half_at_ties(b, Compare::Lt, x, y),
            |b, x, y, _| half_at_ties(b, Compare::Lt, y, x);
        on: 0.5..3.0, -3.0..-0.5,
        at: "one half to each at a tie.",
    }
    /// Logical and of bools, bitwise and of integers.
    And = "and" {
        kinds: Bits, bound: Operands, cost: 1,
        int: |x, y| x & y,
        d: "0, 0" = |b, x, _, _| b.like(x, 0.0), |b, x, _, _| b.like(x, 0.0);
        on: 0.0..8.0, 0.0..8.0,
    }
    /// Logical or of bools, bitwise or of integers.
    Or = "or" {
        kinds: Bits, bound: Operands, cost: 1,
        int: |x, y| x | y,
        d: "0, 0" = |b, x, _, _| b.like(x, 0.0), |b, x, _, _| b.like(x, 0.0);
        on: 0.0..8.0, 0.0..8.0,
    }
    /// Exclusive or of bools, bitwise exclusive or of integers.
    Xor = "xor" {
        kinds: Bits, bound: Operands, cost: 1,
        int: |x, y| x ^ y,
        d: "0, 0" = |b, x, _, _| b.like(x, 0.0), |b, x, _, _| b.like(x, 0.0);
        on: 0.0..8.0, 0.0..8.0,
    }
    /// Bits moved to the left by a number of places; 0 when that is negative or 64 and more.
    Shl = "shl" {
        kinds: Bits, bound: Operands, cost: 1,
        int: math::shl,
        d: "0, 0" = |b, x, _, _| b.like(x, 0.0), |b, x, _, _| b.like(x, 0.0);
        on: 0.0..8.0, 0.0..4.0,
    }
    /// Bits moved to the right by a number of places, keeping the sign; negative counts give 0.
    Shr = "shr" {
        kinds: Bits, bound: Operands, cost: 1,
        int: math::shr,
        d: "0, 0" = |b, x, _, _| b.like(x, 0.0), |b, x, _, _| b.like(x, 0.0);
        on: 0.0..64.0, 0.0..4.0,
    }
}

impl Binary {
    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of the result: operands have one dtype and one shape.
    pub fn infer(self, x: &TensorType, y: &TensorType) -> Result<TensorType, TypeError> {
        same_type(x, y)?;
        check_kind(self.row(), x)?;
        if matches!(self, Binary::Shl | Binary::Shr) && x.dtype.is_bool() {
            type_error!("expected an integer dtype, found bool");
        }
        Ok(x.clone())
    }
}

/// Fails unless both operands have one dtype and one shape.
pub(super) fn same_type(x: &TensorType, y: &TensorType) -> Result<(), TypeError> {
    if x.dtype != y.dtype {
        type_error!(
            "expected operands of one dtype, found {} and {}",
            x.dtype,
            y.dtype
        );
    }
    if x.shape != y.shape {
        type_error!(
            "expected operands of one shape, found {} and {}",
            x.shape,
            y.shape
        );
    }
    Ok(())
}

/// 1 where the comparison holds, 1/2 at a tie, 0 elsewhere.
fn half_at_ties(b: &mut Builder, wins: Compare, x: Var, y: Var) -> Var {
    let (one, half, zero) = (b.like(x, 1.0), b.like(x, 0.5), b.like(x, 0.0));
    let win = b.compare(wins, x, y);
    let tie = b.compare(Compare::Eq, x, y);
    let lost = b.select(tie, half, zero);
    b.select(win, one, lost)
}

/// num / (x^2 + y^2), and 0 at the origin.
fn over_square(b: &mut Builder, y: Var, x: Var, num: Var) -> Var {
    let (yy, xx) = (b.mul(y, y), b.mul(x, x));
    let r = b.add(xx, yy);
    let zero = b.like(x, 0.0);
    let origin = b.compare(Compare::Eq, r, zero);
    let q = b.div(num, r);
    b.select(origin, zero, q)
}
