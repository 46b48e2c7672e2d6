//! Complex tensors: made from parts, and taken apart.

use cotangent_graph::Op;
use cotangent_graph::ops::{Binary, Part as Parts};

use super::operand::{binary, together};
use super::{Operand, Tensor, fail, push};
use crate::Scalar;

/// Complex numbers. Real tensors take part: their conjugate is themselves.
///
/// # Derivatives
///
/// A tangent of a complex tensor is complex: [`jvp`](crate::Function::jvp) is the differential over the
/// real numbers, f'(z) t for holomorphic f. Cotangents and tangents pair as Re(sum(cotangent * tangent)),
/// without conjugation, so [`vjp`](crate::Function::vjp) is the plain transpose, and the gradient of a real
/// cost L with respect to x + iy is dL/dx - i dL/dy, as in JAX. Its conjugate is the direction of steepest
/// ascent, and what PyTorch calls the gradient: descend with `z - rate * grad.conj()`.
///
/// ```
/// use cotangent::{Array, Complex64, Tensor, grad};
/// // |z|^2 = x^2 + y^2
/// let cost = grad(|z: &Tensor| (z * z.conj()).real().sum(..));
/// let at = Array::from([Complex64::new(3.0, 4.0)]);
/// assert_eq!(cost.call((at,))?, [Complex64::new(6.0, -8.0)].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
impl Tensor {
    /// The complex number of a real and an imaginary part, f64 to c128 and f32 to c64.
    ///
    /// ```
    /// use cotangent::{Complex64, Tensor};
    /// let z = Tensor::complex(&Tensor::from([1.0, 2.0]), 3.0);
    /// assert_eq!(z.to_array()?.to_vec::<Complex64>()?[1], Complex64::new(2.0, 3.0));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn complex(re: impl Operand, im: impl Operand) -> Tensor {
        binary(Op::Complex, re, im)
    }

    /// The complex number of an absolute value and an angle: abs (cos(angle) + i sin(angle)).
    #[track_caller]
    pub fn polar(abs: impl Operand, angle: impl Operand) -> Tensor {
        match together("polar", [abs.operand(), angle.operand()]) {
            Ok([abs, angle]) => Tensor::complex(&abs * angle.cos(), &abs * angle.sin()),
            Err(failed) => failed,
        }
    }

    /// The same numbers as complex ones; a complex tensor is returned as it is.
    #[track_caller]
    pub fn to_complex(&self) -> Tensor {
        match self.dtype().complex() {
            Some(dtype) => self.convert(dtype),
            None => {
                let message = format!(
                    "expected a float or a complex dtype, found {}; use convert",
                    self.dtype()
                );
                fail("to_complex", &[self], message)
            }
        }
    }

    /// The real part; a real tensor is its own.
    #[track_caller]
    pub fn real(&self) -> Tensor {
        match self.dtype().is_complex() {
            true => push(Parts::Real, &[self]),
            false => self.clone(),
        }
    }

    /// The imaginary part; zeros for a real tensor.
    #[track_caller]
    pub fn imag(&self) -> Tensor {
        match self.dtype().is_complex() {
            true => push(Parts::Imag, &[self]),
            false => self.zeros_like(),
        }
    }

    /// The conjugate: the imaginary part with the opposite sign.
    #[track_caller]
    pub fn conj(&self) -> Tensor {
        match self.dtype().is_complex() {
            true => push(Parts::Conj, &[self]),
            false => self.clone(),
        }
    }

    /// The angle from the positive real axis, in [-pi, pi]: pi for a negative real number, 0 for 0. Its
    /// derivative at 0 is 0.
    #[doc(alias = "arg")]
    #[track_caller]
    pub fn angle(&self) -> Tensor {
        if self.dtype().is_complex() {
            return push(Parts::Angle, &[self]);
        }
        if let Err(failed) = self.expect_float("angle") {
            return failed;
        }
        let negative = self.less(0.0);
        let angle = negative.select(self.full_like(std::f64::consts::PI), self.full_like(0.0));
        self.is_nan().select(f64::NAN, angle)
    }

    /// Fails unless the dtype is a float or a complex one.
    #[track_caller]
    pub(crate) fn expect_inexact(&self, name: &str) -> Result<(), Tensor> {
        if self.dtype().is_inexact() {
            return Ok(());
        }
        let message = format!(
            "expected a float or a complex dtype, found {}; use convert",
            self.dtype()
        );
        Err(fail(name, &[self], message))
    }

    /// This times a real number, for a dtype that has been checked.
    #[track_caller]
    pub(super) fn scaled(&self, by: f64) -> Tensor {
        if by == 1.0 {
            return self.clone();
        }
        binary(Binary::Mul, self, Scalar::F64(by))
    }
}
