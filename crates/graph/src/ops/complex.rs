//! Complex numbers from their parts, and their parts: the operations that are linear over the real
//! numbers alone.
//!
//! # The convention of complex derivatives
//!
//! A tangent of a complex variable is a complex number: forward mode is the differential of the
//! function of real and imaginary parts, f'(z) t where f is holomorphic. A cotangent pairs with a
//! tangent as the real number Re(sum(cotangent * tangent)), without conjugation, and reverse mode is
//! the transpose under this pairing. So the transpose of multiplication by a constant is
//! multiplication by the same constant, that of `conj` is `conj`, that of `real` makes a complex number
//! of the cotangent, that of `imag` multiplies it by -i, and the gradient of a real cost L(x + iy) is
//! dL/dx - i dL/dy: the convention of JAX. Its conjugate, dL/dx + i dL/dy, is the direction of steepest
//! ascent, and what PyTorch calls the gradient.

use cotangent_array::Complex64;

use super::{Bound, Compare, Kinds, Row, Unary, rule::tangent_times, unary::check_kind};
use crate::{Builder, TensorType, TypeError, Var, complex, type_error};

/// A pointwise operation of one complex operand that is not holomorphic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// The real part.
    Real,
    /// The imaginary part.
    Imag,
    /// The conjugate.
    Conj,
    /// The angle from the positive real axis.
    Angle,
}

const fn row(
    name: &'static str,
    doc: &'static str,
    derivative: &'static str,
    convention: &'static str,
    cost: u32,
) -> Row {
    Row {
        name,
        doc,
        derivative,
        convention,
        kinds: Kinds::Complex,
        bound: Bound::Operands,
        samples: &[(-3.0, 3.0)],
        kinks: &[],
        cost,
    }
}

const REAL: Row = row(
    "real",
    "The real part of a complex number.",
    "real(t); transposed complex(ct, 0)",
    "",
    1,
);

const IMAG: Row = row(
    "imag",
    "The imaginary part of a complex number.",
    "imag(t); transposed complex(0, -ct)",
    "",
    1,
);

const CONJ: Row = row(
    "conj",
    "The conjugate of a complex number: the imaginary part with the opposite sign.",
    "conj(t); transposed conj(ct)",
    "",
    1,
);

const ANGLE: Row = row(
    "angle",
    "The angle of a complex number from the positive real axis, in [-pi, pi].",
    "imag(t / x)",
    "0 at 0; the formula holds on the negative real axis too.",
    40,
);

/// The row of `complex`.
pub(crate) const COMPLEX: Row = Row {
    name: "complex",
    doc: "The complex number of a real and an imaginary part, c128 of f64 and c64 of f32.",
    derivative: "complex(tre, tim); transposed real(ct), -imag(ct)",
    convention: "",
    kinds: Kinds::Float,
    bound: Bound::Operands,
    samples: &[(-3.0, 3.0), (-3.0, 3.0)],
    kinks: &[],
    cost: 1,
};

impl Part {
    /// Every row.
    pub const ALL: &'static [Part] = &[Part::Real, Part::Imag, Part::Conj, Part::Angle];

    /// What the row says beside its meaning and its derivative.
    pub fn row(self) -> &'static Row {
        match self {
            Part::Real => &REAL,
            Part::Imag => &IMAG,
            Part::Conj => &CONJ,
            Part::Angle => &ANGLE,
        }
    }

    /// The row of `complex`, which puts parts together.
    pub fn complex_row() -> &'static Row {
        &COMPLEX
    }

    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The meaning, for those with a real result; a c64 is computed in c128 and rounded. The real part
    /// for `conj`, whose result is complex.
    pub fn real(self, z: Complex64) -> f64 {
        match self {
            Part::Real | Part::Conj => z.re,
            Part::Imag => z.im,
            Part::Angle => complex::angle(z),
        }
    }

    /// The type of the result.
    pub fn infer(self, x: &TensorType) -> Result<TensorType, TypeError> {
        check_kind(self.row(), x)?;
        Ok(match self {
            Part::Conj => x.clone(),
            Part::Real | Part::Imag | Part::Angle => x.with_dtype(x.dtype.real()),
        })
    }

    /// The tangent of the result from that of the operand.
    pub fn jvp(self, b: &mut Builder, x: Var, tangent: Var) -> Var {
        match self {
            Part::Real | Part::Imag | Part::Conj => b.push(self, &[tangent]),
            Part::Angle => {
                // d angle = Im(t / z) = Im(t * (1 / z)), with 0 in place of 1 / 0.
                let (zero, one) = (b.like(x, 0.0), b.like(x, 1.0));
                let origin = b.compare(Compare::Eq, x, zero);
                let safe = b.select(origin, one, x);
                let inverse = b.div(one, safe);
                let inverse = b.select(origin, zero, inverse);
                let turned = tangent_times(b, tangent, inverse);
                b.part(Part::Imag, turned)
            }
        }
    }

    /// The cotangent of the operand from that of the result; `None` for `angle`, which is not linear.
    pub fn transpose(self, b: &mut Builder, cotangent: Var) -> Option<Var> {
        match self {
            Part::Conj => Some(b.push(Part::Conj, &[cotangent])),
            Part::Real => {
                let zero = b.like(cotangent, 0.0);
                Some(b.complex(cotangent, zero))
            }
            Part::Imag => {
                let zero = b.like(cotangent, 0.0);
                let minus = b.neg(cotangent);
                Some(b.complex(zero, minus))
            }
            Part::Angle => None,
        }
    }
}

/// The type of `complex(re, im)`.
pub(crate) fn infer(re: &TensorType, im: &TensorType) -> Result<TensorType, TypeError> {
    super::binary::same_type(re, im)?;
    check_kind(&COMPLEX, re)?;
    match re.dtype.complex() {
        Some(dtype) => Ok(re.with_dtype(dtype)),
        None => type_error!("expected f64 or f32, found {}", re.dtype),
    }
}

/// The tangent of |z|: Re(t * conj(z) / |z|), and 0 at 0.
pub fn abs_jvp(b: &mut Builder, z: Var, abs: Var, tangent: Var) -> Var {
    let (zero, one) = (b.like(abs, 0.0), b.like(abs, 1.0));
    let origin = b.compare(Compare::Eq, abs, zero);
    let size = b.select(origin, one, abs);
    let size = b.complex(size, zero);
    let conjugate = b.part(Part::Conj, z);
    let direction = b.div(conjugate, size);
    let nothing = b.like(z, 0.0);
    let direction = b.select(origin, nothing, direction);
    let along = tangent_times(b, tangent, direction);
    b.part(Part::Real, along)
}

/// The tangent of `complex(re, im)`; a part that does not vary has a zero.
pub fn complex_jvp(b: &mut Builder, args: [Var; 2], tangents: [Option<Var>; 2]) -> Option<Var> {
    if tangents == [None, None] {
        return None;
    }
    let [re, im] = [0, 1].map(|i| tangents[i].unwrap_or_else(|| b.like(args[i], 0.0)));
    Some(b.complex(re, im))
}

/// The cotangents of both parts of `complex(re, im)`.
pub fn complex_transpose(b: &mut Builder, cotangent: Var) -> [Var; 2] {
    let re = b.part(Part::Real, cotangent);
    let im = b.part(Part::Imag, cotangent);
    [re, b.unary(Unary::Neg, im)]
}

#[cfg(test)]
mod tests {
    use cotangent_array::DType;

    use super::*;
    use crate::ops::Binary;

    /// A row takes complex numbers when, and only when, it says what it means there.
    #[test]
    fn rows_that_take_complex_numbers_have_a_meaning() {
        for op in Unary::ALL.iter().filter(|op| **op != Unary::Abs) {
            let takes = op.row().kinds.contains(DType::C128);
            assert_eq!(takes, op.complex().is_some(), "{}", op.name());
        }
        for op in Binary::ALL {
            let takes = op.row().kinds.contains(DType::C128);
            assert_eq!(takes, op.complex().is_some(), "{}", op.name());
        }
    }

    #[test]
    fn types_of_parts() {
        let z = TensorType::new(DType::C64, [2]);
        let x = TensorType::new(DType::F32, [2]);
        assert_eq!(Part::Real.infer(&z), Ok(x.clone()));
        assert_eq!(Part::Conj.infer(&z), Ok(z.clone()));
        assert_eq!(Unary::Abs.infer(&z), Ok(x.clone()));
        assert_eq!(infer(&x, &x), Ok(z.clone()));
        let error = Part::Imag.infer(&x).unwrap_err().to_string();
        assert_eq!(error, "expected c128 or c64, found f32");
        let error = Compare::Lt.infer(&z, &z).unwrap_err().to_string();
        assert!(
            error.starts_with("expected a dtype with an order"),
            "{error}"
        );
        assert!(Binary::Maximum.infer(&z, &z).is_err());
    }
}
