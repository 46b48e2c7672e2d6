//! Pointwise operations of one operand and a whole-number attribute `n`.

use cotangent_array::Complex64;

use super::{Bound, Kinds, Row, Unary, unary::check_kind};
use crate::{Builder, TensorType, TypeError, Var, complex, math, type_error};

/// A pointwise operation of one operand and a whole-number attribute `n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Indexed {
    /// The operand to the power `n`.
    Powi,
    /// The `n`-th derivative of digamma.
    Polygamma,
    /// The Bessel function of the first kind, of order `n`.
    BesselJ,
    /// The Bessel function of the second kind, of order `n`.
    BesselY,
    /// The modified Bessel function of the first kind, of order `n`.
    BesselI,
    /// The same, scaled by exp(-|x|).
    BesselIe,
    /// The modified Bessel function of the second kind, of order `n`.
    BesselK,
    /// The same, scaled by exp(x).
    BesselKe,
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

/// What the rows of the Bessel functions share.
const BESSEL: Row = Row {
    name: "",
    doc: "",
    derivative: "",
    convention: "",
    kinds: Kinds::Float,
    bound: Bound::Open,
    samples: &[(0.5, 4.0)],
    kinks: &[],
    cost: 100,
};

const BESSEL_J: Row = Row {
    name: "bessel_j",
    doc: "The Bessel function of the first kind, of whole order n from 0 to 100 (DLMF 10.2.2); absolute error at most 1e-15.",
    derivative: "(bessel_j(x, n=n - 1) - bessel_j(x, n=n + 1)) / 2, -bessel_j(x, n=1) for n = 0",
    bound: Bound::Finite,
    samples: &[(-4.0, 4.0)],
    ..BESSEL
};

const BESSEL_Y: Row = Row {
    name: "bessel_y",
    doc: "The Bessel function of the second kind, of whole order n from 0 to 100 (DLMF 10.2.3): -inf at 0, NaN below; error at most 1e-15, times its size where that is above 1.",
    derivative: "(bessel_y(x, n=n - 1) - bessel_y(x, n=n + 1)) / 2, -bessel_y(x, n=1) for n = 0",
    convention: "inf or NaN at 0; a zero tangent or cotangent stays 0 there.",
    kinks: &[0.0],
    ..BESSEL
};

const BESSEL_I: Row = Row {
    name: "bessel_i",
    doc: "The modified Bessel function of the first kind, of whole order n from 0 to 100 (DLMF 10.25.2); error at most 8 ulp, and n / 2 more for the power.",
    derivative: "(bessel_i(x, n=n - 1) + bessel_i(x, n=n + 1)) / 2, bessel_i(x, n=1) for n = 0",
    samples: &[(-4.0, 4.0)],
    ..BESSEL
};

const BESSEL_IE: Row = Row {
    name: "bessel_ie",
    doc: "exp(-|x|) bessel_i(x), which never overflows.",
    derivative: "(bessel_ie(x, n=n - 1) + bessel_ie(x, n=n + 1)) / 2 - sign(x) * out, the first term bessel_ie(x, n=1) for n = 0",
    convention: "0 for n = 0 at 0, as for |x|.",
    bound: Bound::Finite,
    kinks: &[0.0],
    ..BESSEL
};

const BESSEL_K: Row = Row {
    name: "bessel_k",
    doc: "The modified Bessel function of the second kind, of whole order n from 0 to 100 (DLMF 10.25.3): inf at 0, NaN below; error at most 8 ulp, and 2 n more.",
    derivative: "-(bessel_k(x, n=n - 1) + bessel_k(x, n=n + 1)) / 2, -bessel_k(x, n=1) for n = 0",
    convention: "-inf at 0; a zero tangent or cotangent stays 0 there.",
    kinks: &[0.0],
    ..BESSEL
};

const BESSEL_KE: Row = Row {
    name: "bessel_ke",
    doc: "exp(x) bessel_k(x), which does not vanish for large x.",
    derivative: "out - (bessel_ke(x, n=n - 1) + bessel_ke(x, n=n + 1)) / 2, the second term bessel_ke(x, n=1) for n = 0",
    convention: "-inf or NaN at 0; a zero tangent or cotangent stays 0 there.",
    kinks: &[0.0],
    ..BESSEL
};

impl Indexed {
    /// Every row.
    pub const ALL: &'static [Indexed] = &[
        Indexed::Powi,
        Indexed::Polygamma,
        Indexed::BesselJ,
        Indexed::BesselY,
        Indexed::BesselI,
        Indexed::BesselIe,
        Indexed::BesselK,
        Indexed::BesselKe,
    ];

    /// What the row says beside its meaning and its partial.
    pub fn row(self) -> &'static Row {
        match self {
            Indexed::Powi => &POWI,
            Indexed::Polygamma => &POLYGAMMA,
            Indexed::BesselJ => &BESSEL_J,
            Indexed::BesselY => &BESSEL_Y,
            Indexed::BesselI => &BESSEL_I,
            Indexed::BesselIe => &BESSEL_IE,
            Indexed::BesselK => &BESSEL_K,
            Indexed::BesselKe => &BESSEL_KE,
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
            Indexed::BesselJ => math::bessel_j(n, x),
            Indexed::BesselY => math::bessel_y(n, x),
            Indexed::BesselI => math::bessel_i(n, x),
            Indexed::BesselIe => math::bessel_ie(n, x),
            Indexed::BesselK => math::bessel_k(n, x),
            Indexed::BesselKe => math::bessel_ke(n, x),
        }
    }

    /// The meaning on complex numbers; NaN for rows that do not take them.
    pub fn complex(self, n: i64, z: Complex64) -> Complex64 {
        match self {
            Indexed::Powi => complex::powi(z, n),
            _ => Complex64::new(f64::NAN, f64::NAN),
        }
    }

    /// The meaning on integers.
    pub fn int(self, n: i64, x: i64) -> i64 {
        match self {
            Indexed::Powi => math::int_pow(x, n),
            _ => x,
        }
    }

    /// The type of the result.
    pub fn infer(self, n: i64, x: &TensorType) -> Result<TensorType, TypeError> {
        check_kind(self.row(), x)?;
        match self {
            Indexed::Powi if n < 0 && x.dtype.is_int() => {
                type_error!("expected n >= 0 for {}, found {n}", x.dtype)
            }
            Indexed::Powi => Ok(x.clone()),
            _ if !(0..=100).contains(&n) => {
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
            Indexed::BesselJ | Indexed::BesselY => self.mean_of_neighbours(n, b, x, -1.0),
            Indexed::BesselI => self.mean_of_neighbours(n, b, x, 1.0),
            Indexed::BesselK => {
                let mean = self.mean_of_neighbours(n, b, x, 1.0);
                b.unary(Unary::Neg, mean)
            }
            Indexed::BesselIe => {
                let mean = self.mean_of_neighbours(n, b, x, 1.0);
                let here = b.indexed(self, n, x);
                let sign = b.unary(Unary::Sign, x);
                let fall = b.mul(sign, here);
                b.sub(mean, fall)
            }
            Indexed::BesselKe => {
                let mean = self.mean_of_neighbours(n, b, x, 1.0);
                let here = b.indexed(self, n, x);
                b.sub(here, mean)
            }
        }
    }

    /// (f_(n-1) + sign f_(n+1)) / 2, where f_(-1) = sign f_1 (DLMF 10.6.1 and 10.29.1, 10.4.1 and
    /// 10.27.1): there is no division by x, so that it is right at 0, too.
    fn mean_of_neighbours(self, n: i64, b: &mut Builder, x: Var, sign: f64) -> Var {
        let above = b.indexed(self, n.saturating_add(1), x);
        let signed = if sign < 0.0 {
            b.unary(Unary::Neg, above)
        } else {
            above
        };
        if n == 0 {
            return signed;
        }
        let below = b.indexed(self, n.saturating_sub(1), x);
        let sum = b.add(below, signed);
        let half = b.like(x, 0.5);
        b.mul(half, sum)
    }
}
