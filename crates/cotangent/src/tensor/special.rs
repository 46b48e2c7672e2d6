//! Special functions: Bessel functions, incomplete gamma and beta functions, the Hurwitz zeta
//! function, and what is composed of gamma and error functions.

use std::f64::consts::{PI, SQRT_2};

use cotangent_graph::Op;
use cotangent_graph::ops::{Indexed, Special};

use super::operand::{binary, together};
use super::{Operand, OperandValue, Tensor, fail, push};

macro_rules! bessel_methods {
    ($(
        $(#[$meta:meta])* $name:ident $op:ident,
        $zero:ident $zero_doc:literal, $one:ident $one_doc:literal;
    )*) => {
        /// Bessel functions, whose orders are whole numbers from 0 to 100. A derivative takes the
        /// next order, so the last one cannot be differentiated.
        impl Tensor {
            $(
                $(#[$meta])* #[track_caller] pub fn $name(&self, n: i64) -> Tensor {
                    push(Op::Indexed(Indexed::$op, n), &[self])
                }

                #[doc = $zero_doc]
                #[track_caller] pub fn $zero(&self) -> Tensor {
                    self.$name(0)
                }

                #[doc = $one_doc]
                #[track_caller] pub fn $one(&self) -> Tensor {
                    self.$name(1)
                }
            )*
        }
    };
}

bessel_methods! {
    /// The Bessel function of the first kind, of order `n`.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let x = Tensor::from(2.5);
    /// assert!((x.bessel_j(0).item::<f64>()? + 0.048_383_776_468_198).abs() < 1e-14);
    /// let g = grad(|x: &Tensor| x.j0()).call((2.5.into(),))?;
    /// assert_eq!(g.item::<f64>()?, -x.j1().item::<f64>()?);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "jn")]
    #[doc(alias = "jv")]
    bessel_j BesselJ, j0 "The Bessel function of the first kind, of order 0.",
        j1 "The Bessel function of the first kind, of order 1.";
    /// The Bessel function of the second kind, of order `n`: -inf at 0, NaN below.
    #[doc(alias = "yn")]
    bessel_y BesselY, y0 "The Bessel function of the second kind, of order 0.",
        y1 "The Bessel function of the second kind, of order 1.";
    /// The modified Bessel function of the first kind, of order `n`.
    #[doc(alias = "iv")]
    bessel_i BesselI, i0 "The modified Bessel function of the first kind, of order 0.",
        i1 "The modified Bessel function of the first kind, of order 1.";
    /// exp(-|x|) times the modified Bessel function of the first kind, of order `n`. For order 0
    /// the derivative at 0 is 0, as that of |x|.
    #[doc(alias = "ive")]
    bessel_ie BesselIe, i0e "exp(-|x|) times the modified Bessel function of the first kind, of order 0.",
        i1e "exp(-|x|) times the modified Bessel function of the first kind, of order 1.";
    /// The modified Bessel function of the second kind, of order `n`: inf at 0, NaN below.
    #[doc(alias = "kn")]
    #[doc(alias = "kv")]
    bessel_k BesselK, k0 "The modified Bessel function of the second kind, of order 0.",
        k1 "The modified Bessel function of the second kind, of order 1.";
    /// exp(x) times the modified Bessel function of the second kind, of order `n`.
    #[doc(alias = "kve")]
    bessel_ke BesselKe, k0e "exp(x) times the modified Bessel function of the second kind, of order 0.",
        k1e "exp(x) times the modified Bessel function of the second kind, of order 1.";
}

/// Functions of several operands, which broadcast. Each has derivatives to all of them, up to 16
/// in all.
impl Tensor {
    /// The regularised lower incomplete gamma function P(a, x), with this as a: the part of the
    /// integral of t^(a-1) exp(-t) that lies below x. NaN unless a and x are 0 or more.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let p = Tensor::from(1.0).gammainc(2.0).item::<f64>()?;
    /// assert!((p - (1.0 - (-2.0_f64).exp())).abs() < 1e-15);
    /// // The derivative to a, which has no closed form.
    /// let g = grad(|a: &Tensor| a.gammainc(2.0)).call((1.0.into(),))?;
    /// assert!((g.item::<f64>()? + 0.220_825_426_2).abs() < 1e-9);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "igamma")]
    #[track_caller]
    pub fn gammainc(&self, x: impl Operand) -> Tensor {
        binary(Op::Special(Special::Gammainc, [0; 3]), self, x)
    }

    /// The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), with this as a, exact
    /// where it is small. NaN unless a and x are 0 or more.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let q = Tensor::from(1.0).gammaincc(600.0).item::<f64>()?;
    /// assert!((q / (-600.0_f64).exp() - 1.0).abs() < 1e-13);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "igammac")]
    #[track_caller]
    pub fn gammaincc(&self, x: impl Operand) -> Tensor {
        binary(Op::Special(Special::Gammaincc, [0; 3]), self, x)
    }

    /// The regularised incomplete beta function I_x(a, b), with this as a: the part of the integral
    /// of t^(a-1) (1-t)^(b-1) that lies below x. NaN unless a and b are 0 or more and x is from 0 to
    /// 1.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// // Two or three of three coins that fall on heads with a probability of 0.3.
    /// let p = Tensor::from(2.0).betainc(2.0, 0.3).item::<f64>()?;
    /// assert!((p - 0.216).abs() < 1e-15);
    /// let g = grad(|x: &Tensor| Tensor::from(2.0).betainc(2.0, x)).call((0.3.into(),))?;
    /// assert!((g.item::<f64>()? - 6.0 * 0.3 * 0.7).abs() < 1e-14);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn betainc(&self, b: impl Operand, x: impl Operand) -> Tensor {
        let operands = [OperandValue::Tensor(self.clone()), b.operand(), x.operand()];
        match together("betainc", operands) {
            Ok([a, b, x]) => push(Op::Special(Special::Betainc, [0; 3]), &[&a, &b, &x]),
            Err(failed) => failed,
        }
    }

    /// The Hurwitz zeta function of s and q, with this as s: the sum of (q + k)^-s over k = 0, 1, 2,
    /// and so on. For q = 1 it is Riemann's. Infinite at s = 1 and at q = 0, -1, -2 and so on; below
    /// s = 1 its continuation, down to s = -10.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let z = Tensor::from(2.0).zeta(1.0).item::<f64>()?;
    /// assert!((z - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-15);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn zeta(&self, q: impl Operand) -> Tensor {
        binary(Op::Special(Special::Zeta, [0; 3]), self, q)
    }
}

/// What is composed of gamma and error functions.
impl Tensor {
    /// The inverse of [`ndtr`](Tensor::ndtr): the quantiles of the normal distribution. Infinite at
    /// 0 and 1, NaN outside.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from(0.975).ndtri().item::<f64>()?;
    /// assert!((x - 1.959_963_984_540_054).abs() < 1e-14);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn ndtri(&self) -> Tensor {
        (self * 2.0).erfcinv() * -SQRT_2
    }

    /// The entropy -x log(x) of each element: 0 at 0, -inf below.
    #[track_caller]
    pub fn entr(&self) -> Tensor {
        let entropy = -(self.xlogy(self));
        self.less(0.0).select(f64::NEG_INFINITY, entropy)
    }

    /// The logarithm of the beta function, of the absolute value:
    /// lgamma(a) + lgamma(b) - lgamma(a + b).
    #[doc(alias = "betaln")]
    #[track_caller]
    pub fn lbeta(&self, b: impl Operand) -> Tensor {
        match together("lbeta", [OperandValue::Tensor(self.clone()), b.operand()]) {
            Ok([a, b]) => a.lgamma() + b.lgamma() - (a + b).lgamma(),
            Err(failed) => failed,
        }
    }

    /// The beta function of positive operands.
    #[track_caller]
    pub fn beta(&self, b: impl Operand) -> Tensor {
        self.lbeta(b).exp()
    }

    /// The logarithm of the binomial coefficient "n over k", with this as n, for real numbers
    /// n >= k >= 0.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let ways = Tensor::from(5.0).log_binomial(2.0).exp().item::<f64>()?;
    /// assert!((ways - 10.0).abs() < 1e-13);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn log_binomial(&self, k: impl Operand) -> Tensor {
        match together(
            "log_binomial",
            [OperandValue::Tensor(self.clone()), k.operand()],
        ) {
            Ok([n, k]) => (&n + 1.0).lgamma() - (&k + 1.0).lgamma() - (n - k + 1.0).lgamma(),
            Err(failed) => failed,
        }
    }

    /// The logarithm of the multivariate gamma function of dimension `d`, 1 or more:
    /// d (d - 1) / 4 log(pi) + the sum over j < d of lgamma(x - j / 2).
    #[doc(alias = "mvlgamma")]
    #[track_caller]
    pub fn multigammaln(&self, d: usize) -> Tensor {
        if d == 0 {
            return fail(
                "multigammaln",
                &[self],
                "expected a dimension of 1 or more, found 0",
            );
        }
        let mut sum = self.lgamma() + (d * (d - 1)) as f64 / 4.0 * PI.ln();
        for j in 1..d {
            sum += (self - j as f64 / 2.0).lgamma();
        }
        sum
    }
}
