//! What every row of a pointwise table says.

use cotangent_array::DType;

/// The dtypes that an operation takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinds {
    /// f64 and f32.
    Float,
    /// Floats and complex numbers.
    Inexact,
    /// Floats and integers: the dtypes with an order.
    Number,
    /// Floats, complex numbers and integers.
    Numeric,
    /// Complex numbers.
    Complex,
    /// Integers and bool.
    Bits,
    /// Every dtype.
    Any,
}

impl Kinds {
    /// Whether this dtype is one of them.
    pub fn contains(self, dtype: DType) -> bool {
        match self {
            Kinds::Float => dtype.is_float(),
            Kinds::Inexact => dtype.is_inexact(),
            Kinds::Number => dtype.is_float() || dtype.is_int(),
            Kinds::Numeric => dtype.is_inexact() || dtype.is_int(),
            Kinds::Complex => dtype.is_complex(),
            Kinds::Bits => dtype.is_int() || dtype.is_bool(),
            Kinds::Any => true,
        }
    }

    /// The dtypes in words.
    pub fn words(self) -> &'static str {
        match self {
            Kinds::Float => "f64 or f32",
            Kinds::Inexact => "a float or a complex dtype",
            Kinds::Number => "a float or an integer dtype",
            Kinds::Numeric => "a float, a complex or an integer dtype",
            Kinds::Complex => "c128 or c64",
            Kinds::Bits => "an integer dtype or bool",
            Kinds::Any => "any dtype",
        }
    }
}

/// Whether results are finite numbers; a derivative multiplies by a partial that is known to be
/// finite with a plain `mul`, and by any other with `zmul`, the strong zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Finite for every finite operand, and never overflowing: tanh, sin, sign.
    Finite,
    /// Finite when the operands are (overflow of sums and products apart): add, mul.
    Operands,
    /// May be infinite or NaN at finite operands: log at 0, exp of large numbers.
    Open,
}

/// What a row of a pointwise table says beside its meaning and its partial derivatives.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name in texts and in the Rust interface.
    pub name: &'static str,
    /// The documentation, one sentence or more.
    pub doc: &'static str,
    /// The derivative in words or a formula over the operands and the result `out`.
    pub derivative: &'static str,
    /// The convention at kinks and at the border of the domain; empty when there is none.
    pub convention: &'static str,
    /// The dtypes taken.
    pub kinds: Kinds,
    /// Whether results are finite.
    pub bound: Bound,
    /// Where tests draw each operand from: an interval inside the domain.
    pub samples: &'static [(f64, f64)],
    /// Operand values at which the derivative is a convention; tests keep away from them.
    pub kinks: &'static [f64],
    /// Operations that one element costs, in units of one addition.
    pub cost: u32,
}
