//! Special functions.

use std::f64::consts::PI;

use super::Table;
use super::tools::one;

pub const TABLE: Table = &[
    (&["digamma"], |a| one(a.x()?.digamma())),
    (&["erf"], |a| one(a.x()?.erf())),
    (&["erfc"], |a| one(a.x()?.erfc())),
    (&["lgamma"], |a| one(a.x()?.lgamma())),
    (&["sinc"], |a| one(a.x()?.sinc())),
    (&["sigmoid"], |a| one(a.x()?.sigmoid())),
    (&["special.ndtr"], |a| one(a.x()?.ndtr())),
    (&["special.ndtri"], |a| one(a.x()?.ndtri())),
    (&["special.erfcx"], |a| one(a.x()?.erfcx())),
    (&["special.log_ndtr"], |a| one(a.x()?.log_ndtr())),
    (&["special.entr"], |a| one(a.x()?.entr())),
    (&["erfinv"], |a| one(a.x()?.erfinv())),
    (&["i0", "special.modified_bessel_i0"], |a| one(a.x()?.i0())),
    (&["special.i1", "special.modified_bessel_i1"], |a| {
        one(a.x()?.i1())
    }),
    (&["special.i0e"], |a| one(a.x()?.i0e())),
    (&["special.i1e"], |a| one(a.x()?.i1e())),
    (&["special.bessel_j0"], |a| one(a.x()?.j0())),
    (&["special.bessel_j1"], |a| one(a.x()?.j1())),
    (&["special.bessel_y0"], |a| one(a.x()?.y0())),
    (&["special.bessel_y1"], |a| one(a.x()?.y1())),
    (&["special.modified_bessel_k0"], |a| one(a.x()?.k0())),
    (&["special.modified_bessel_k1"], |a| one(a.x()?.k1())),
    (&["special.scaled_modified_bessel_k0"], |a| {
        one(a.x()?.k0e())
    }),
    (&["special.scaled_modified_bessel_k1"], |a| {
        one(a.x()?.k1e())
    }),
    // sin(x) / x
    (&["special.spherical_bessel_j0"], |a| {
        one((a.x()? / PI).sinc())
    }),
    // The samples give the tensor first and the order second.
    (&["polygamma", "special.polygamma"], |a| {
        one(a.x()?.polygamma(a.int(1, "n")?))
    }),
    (&["mvlgamma"], |a| one(a.x()?.multigammaln(a.size(1, "p")?))),
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
