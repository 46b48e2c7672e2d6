//! Pointwise operations of one operand and a whole-number attribute `n`.

use cotangent_array::Complex64;

use super::{Bound, Kinds, Row, unary::check_kind};
use crate::{Builder, TensorType, TypeError, Var, complex, math, type_error};

/// A pointwise operation of one operand and a whole-number attribute `n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Indexed {
    /// The operand to the power `n`.
    Powi,
    /// The `n`-th derivative of digamma.
    Polygamma,
}

const POWI: Row = Row {
    name: "powi",
    doc: "The operand to the whole power `n`, by repeated squaring; integers wrap and take n >= 0.",
    derivative: "n * powi(x, n=n - 1)",
    convention: "0 for n = 0, at 0 too; for n < 0 a zero tangent or cotangent stays 0 at 0.",
    kinds: Kinds::Numeric,
    bound: Bound::Operands,
    samples: &[(0.3, 2.0)],
    kinks: &[0.0],
    cost: 4,
};

const POLYGAMMA: Row = Row {
    name: "polygamma",
    doc: "The n-th derivative of digamma, n >= 0 (Abramowitz and Stegun 6.4), as (-1)^(n+1) n! zeta(n+1, x).",
    derivative: "polygamma(x, n=n + 1)",
    convention: "a zero tangent or cotangent stays 0 at the poles.",
    kinds: Kinds::Float,
    bound: Bound::Open,
    samples: &[(0.5, 4.0)],
    kinks: &[],
    cost: 80,
};

impl Indexed {
    /// Every row.
    pub const ALL: &'static [Indexed] = &[Indexed::Powi, Indexed::Polygamma];

    /// What the row says beside its meaning and its partial.
    pub fn row(self) -> &'static Row {
        match self {
            Indexed::Powi => &POWI,
            Indexed::Polygamma => &POLYGAMMA,
        }
    }

    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether results are finite, given `n`.
    pub fn bound(self, n: i64) -> Bound {
        match self {
            Indexed::Powi if n < 0 => Bound::Open,
            _ => self.row().bound,
        }
    }

    /// The meaning on floats; an f32 is computed in f64 and rounded.
    #[inline(always)]
    pub fn float(self, n: i64, x: f64) -> f64 {
        match self {
            Indexed::Powi => math::powi(x, n),
            Indexed::Polygamma => math::polygamma(n, x),
        }
    }

    /// The meaning on complex numbers; NaN for rows that do not take them.
    pub fn complex(self, n: i64, z: Complex64) -> Complex64 {
        match self {
            Indexed::Powi => complex::powi(z, n),
            Indexed::Polygamma => Complex64::new(f64::NAN, f64::NAN),
        }
    }

    /// The meaning on integers.
    pub fn int(self, n: i64, x: i64) -> i64 {
        match self {
            Indexed::Powi => math::int_pow(x, n),
            Indexed::Polygamma => x,
        }
    }

    /// The type of the result.
    pub fn infer(self, n: i64, x: &TensorType) -> Result<TensorType, TypeError> {
        check_kind(self.row(), x)?;
        match self {
            Indexed::Powi if n < 0 && x.dtype.is_int() => {
                type_error!("expected n >= 0 for {}, found {n}", x.dtype)
            }
            Indexed::Polygamma if !(0..=100).contains(&n) => {
                type_error!("expected n from 0 to 100, found {n}")
            }
            _ => Ok(x.clone()),
        }
    }

    /// The partial derivative as a graph expression of the operand.
    pub fn partial(self, n: i64, b: &mut Builder, x: Var) -> Var {
        match self {
            Indexed::Powi => match n {
                0 => b.like(x, 0.0),
                1 => b.like(x, 1.0),
                n => {
                    let p = match n {
                        2 => x,
                        n => b.indexed(Indexed::Powi, n.saturating_sub(1), x),
                    };
                    let n = b.like(x, n as f64);
                    b.mul(n, p)
                }
            },
            Indexed::Polygamma => b.indexed(Indexed::Polygamma, n.saturating_add(1), x),
        }
    }
}
