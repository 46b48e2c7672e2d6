//! Special functions.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use cotangent::Tensor;

use super::Table;
use super::tools::one;
use crate::args::{Args, Outs};

pub const TABLE: Table = &[
    (&["digamma"], |a| one(a.x()?.digamma())),
    (&["erf"], |a| one(a.x()?.erf())),
    (&["erfc"], |a| one(a.x()?.erfc())),
    (&["lgamma"], |a| one(a.x()?.lgamma())),
    (&["sinc"], |a| one(a.x()?.sinc())),
    (&["sigmoid"], |a| one(a.x()?.sigmoid())),
    (&["special.ndtr"], |a| one(a.x()?.ndtr())),
    (&["special.erfcx"], |a| one(erfcx(&a.x()?))),
    (&["special.log_ndtr"], |a| one(log_ndtr(&a.x()?))),
    (&["special.entr"], |a| {
        let x = a.x()?;
        let entropy = -(x.xlogy(&x));
        one(x.less(0.0).select(f64::NEG_INFINITY, entropy))
    }),
    // The samples give the tensor first and the order second.
    (&["polygamma", "special.polygamma"], |a| {
        one(a.x()?.polygamma(a.int(1, "n")?))
    }),
    (&["mvlgamma"], multivariate_lgamma),
    (&["logit"], |a| {
        let x = a.x()?;
        match a.has(1, "eps") {
            true => {
                let eps = a.float(1, "eps")?;
                // Above 1/2 the two borders have changed places, and the lower one counts first.
                let high = x.greater(1.0 - eps).select(1.0 - eps, &x);
                one(x.less(eps).select(eps, high).logit())
            }
            false => one(x.logit()),
        }
    }),
];

/// log of the multivariate gamma function: p (p - 1) / 4 log(pi) + sum over j < p of
/// lgamma(x - j / 2).
fn multivariate_lgamma(a: &Args) -> Outs {
    let x = a.x()?;
    let p = a.int(1, "p")?;
    let mut sum = x.full_like((p * (p - 1)) as f64 / 4.0 * PI.ln());
    for j in 0..p {
        sum += (&x - j as f64 / 2.0).lgamma();
    }
    one(sum)
}

/// exp(x^2) erfc(x), by its asymptotic series where the factors leave the range of numbers.
fn erfcx(x: &Tensor) -> Tensor {
    let large = x.greater(20.0);
    let near = large.select(1.0, x);
    let far = large.select(x, 20.0);
    let term = (far.square() * -2.0).reciprocal();
    let mut series = far.full_like(1.0);
    for k in (1..=10).rev() {
        series = series * &term * f64::from(2 * k - 1) + 1.0;
    }
    let near = near.square().exp() * near.erfc();
    large.select(series / far * (1.0 / PI.sqrt()), near)
}

/// log of the normal distribution function, without cancellation on either side.
fn log_ndtr(x: &Tensor) -> Tensor {
    let left = x.less(-1.0);
    let low = left.select(x, -1.0);
    let high = left.select(-1.0, x);
    let low = (erfcx(&(&low * -FRAC_1_SQRT_2)) * 0.5).log() - low.square() * 0.5;
    let high = ((high * FRAC_1_SQRT_2).erfc() * -0.5).log1p();
    left.select(low, high)
}
