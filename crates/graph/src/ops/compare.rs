//! Pointwise operations that give a bool: comparisons of two operands and tests of one.

use cotangent_array::{Complex64, DType};

use super::{Bound, Kinds, Row, binary::same_type, unary::check_kind};
use crate::{TensorType, TypeError, type_error};

macro_rules! compare_ops {
    ($(#[doc = $doc:literal] $V:ident = $name:literal { $op:tt })+) => {
        /// A comparison of two operands of one dtype and shape; false beside NaN, but for `ne`.
        /// Complex numbers have no order: they are equal or not.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Compare { $(#[doc = $doc] $V),+ }

        impl Compare {
            /// Every row.
            pub const ALL: &'static [Compare] = &[$(Compare::$V),+];

            /// What the row says beside its meaning.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Compare::$V => {
                        const ROW: Row = Row {
                            name: $name,
                            doc: $doc.trim_ascii(),
                            derivative: "none: the result is a bool",
                            convention: "",
                            kinds: Kinds::Any,
                            bound: Bound::Finite,
                            samples: &[(-3.0, 3.0), (-3.0, 3.0)],
                            kinks: &[],
                            cost: 1,
                        };
                        &ROW
                    })+
                }
            }

            /// The meaning on floats.
            #[inline(always)]
            pub fn float(self, x: f64, y: f64) -> bool {
                match self { $(Compare::$V => x $op y),+ }
            }

            /// The meaning on complex numbers, which are only equal or not; false for an order.
            pub fn complex(self, x: Complex64, y: Complex64) -> bool {
                match self {
                    Compare::Eq => x == y,
                    Compare::Ne => x != y,
                    _ => false,
                }
            }

            /// The meaning on integers, and on bools as 0 and 1.
            #[inline(always)]
            pub fn int(self, x: i64, y: i64) -> bool {
                match self { $(Compare::$V => x $op y),+ }
            }
        }
    };
}

compare_ops! {
    /// Whether two values are equal.
    Eq = "eq" { == }
    /// Whether two values differ.
    Ne = "ne" { != }
    /// Whether the first is less.
    Lt = "lt" { < }
    /// Whether the first is less or equal.
    Le = "le" { <= }
    /// Whether the first is greater.
    Gt = "gt" { > }
    /// Whether the first is greater or equal.
    Ge = "ge" { >= }
}

impl Compare {
    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of the result: a bool of the operands' shape.
    pub fn infer(self, x: &TensorType, y: &TensorType) -> Result<TensorType, TypeError> {
        same_type(x, y)?;
        if x.dtype.is_complex() && !matches!(self, Compare::Eq | Compare::Ne) {
            type_error!(
                "expected a dtype with an order, found {}; compare real(x), imag(x) or abs(x)",
                x.dtype
            );
        }
        Ok(x.with_dtype(DType::Bool))
    }
}

macro_rules! test_ops {
    ($(#[doc = $doc:literal] $V:ident = $name:literal { $f:expr, $int:literal })+) => {
        /// A test of one operand.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Test { $(#[doc = $doc] $V),+ }

        impl Test {
            /// Every row.
            pub const ALL: &'static [Test] = &[$(Test::$V),+];

            /// What the row says beside its meaning.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Test::$V => {
                        const ROW: Row = Row {
                            name: $name,
                            doc: $doc.trim_ascii(),
                            derivative: "none: the result is a bool",
                            convention: "",
                            kinds: Kinds::Numeric,
                            bound: Bound::Finite,
                            samples: &[(-3.0, 3.0)],
                            kinks: &[],
                            cost: 1,
                        };
                        &ROW
                    })+
                }
            }

            /// The meaning on floats.
            #[inline(always)]
            pub fn float(self, x: f64) -> bool {
                match self { $(Test::$V => { let f: fn(f64) -> bool = $f; f(x) })+ }
            }

            /// The meaning on complex numbers: finite when both parts are, infinite when one part is
            /// (beside NaN too), NaN when one part is.
            #[inline(always)]
            pub fn complex(self, z: Complex64) -> bool {
                match self {
                    Test::IsFinite => z.re.is_finite() && z.im.is_finite(),
                    Test::IsNan => z.re.is_nan() || z.im.is_nan(),
                    Test::IsInf => z.re.is_infinite() || z.im.is_infinite(),
                }
            }

            /// The answer for every integer.
            pub fn int(self) -> bool {
                match self { $(Test::$V => $int),+ }
            }
        }
    };
}

test_ops! {
    /// Whether a number is neither infinite nor NaN.
    IsFinite = "is_finite" { f64::is_finite, true }
    /// Whether a number is NaN.
    IsNan = "is_nan" { f64::is_nan, false }
    /// Whether a number is infinite, of either sign.
    IsInf = "is_inf" { f64::is_infinite, false }
}

impl Test {
    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of the result: a bool of the operand's shape.
    pub fn infer(self, x: &TensorType) -> Result<TensorType, TypeError> {
        check_kind(self.row(), x)?;
        Ok(x.with_dtype(DType::Bool))
    }
}
