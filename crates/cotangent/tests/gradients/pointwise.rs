//! Rows of methods that work element by element.

use super::row::*;
use super::*;

pub(super) fn unary_rows() -> Vec<Row> {
    let v = || [x([5])];
    let p = || [positive([5])];
    let u = || [unit([5])];
    vec![
        row("abs", v(), |a| a[0].abs()),
        row("sign", v(), |a| a[0].sign() * &a[0]),
        row("floor", v(), |a| a[0].floor() * &a[0]),
        row("ceil", v(), |a| a[0].ceil() * &a[0]),
        row("round", p(), |a| a[0].round() * &a[0]),
        row("trunc", v(), |a| a[0].trunc() * &a[0]),
        row("sqrt", p(), |a| a[0].sqrt()),
        row("rsqrt", p(), |a| a[0].rsqrt()),
        row("cbrt", p(), |a| a[0].cbrt()),
        row("exp", v(), |a| a[0].exp()),
        row("exp2", v(), |a| a[0].exp2()),
        row("expm1", v(), |a| a[0].expm1()),
        row("log", p(), |a| a[0].log()),
        row("log2", p(), |a| a[0].log2()),
        row("log10", p(), |a| a[0].log10()),
        row("log1p", p(), |a| a[0].log1p()),
        row("sin", v(), |a| a[0].sin()),
        row("cos", v(), |a| a[0].cos()),
        row("tan", u(), |a| a[0].tan()),
        row("asin", u(), |a| a[0].asin()),
        row("acos", u(), |a| a[0].acos()),
        row("atan", v(), |a| a[0].atan()),
        row("sinh", v(), |a| a[0].sinh()),
        row("cosh", v(), |a| a[0].cosh()),
        row("tanh", v(), |a| a[0].tanh()),
        row("asinh", v(), |a| a[0].asinh()),
        row("acosh", p(), |a| (&a[0] + 1.0).acosh()),
        row("atanh", u(), |a| a[0].atanh()),
        row("sigmoid", v(), |a| a[0].sigmoid()),
        row("erf", v(), |a| a[0].erf()),
        row("erfc", v(), |a| a[0].erfc()),
        row("lgamma", p(), |a| a[0].lgamma()),
        row("digamma", p(), |a| a[0].digamma()),
        row("polygamma", p(), |a| a[0].polygamma(2)),
        row("convert", v(), |a| a[0].convert(DType::F64).square()),
        row("square", v(), |a| a[0].square()),
        row("reciprocal", p(), |a| a[0].reciprocal()),
        row("powi", v(), |a| a[0].powi(3) + a[0].powi(-2)),
        row("sinc", v(), |a| a[0].sinc()),
        row("deg2rad", v(), |a| a[0].deg2rad().sin()),
        row("rad2deg", v(), |a| a[0].rad2deg().square() * 1e-3),
        row("logit", u(), |a| a[0].logit()),
        row("frac", v(), |a| a[0].frac().square()),
        row("nan_to_num", v(), |a| {
            a[0].nan_to_num(0.0, 1.0, -1.0).square()
        }),
        row("ndtr", v(), |a| a[0].ndtr()),
        row("relu", v(), |a| a[0].relu().square()),
        row("relu6", v(), |a| (&a[0] * 4.0).relu6().square()),
        row("hardtanh", v(), |a| a[0].hardtanh(-1.0, 1.0).square()),
        row("leaky_relu", v(), |a| a[0].leaky_relu(0.1).square()),
        row("elu", v(), |a| a[0].elu(1.3)),
        row("selu", v(), |a| a[0].selu()),
        row("celu", v(), |a| a[0].celu(1.3)),
        row("gelu", v(), |a| a[0].gelu()),
        row("gelu_tanh", v(), |a| a[0].gelu_tanh()),
        row("silu", v(), |a| a[0].silu()),
        row("mish", v(), |a| a[0].mish()),
        row("softplus", v(), |a| a[0].softplus()),
        row("log_sigmoid", v(), |a| a[0].log_sigmoid()),
        row("softsign", v(), |a| a[0].softsign()),
        row("hardsigmoid", v(), |a| (&a[0] * 2.0).hardsigmoid().square()),
        row("hardswish", v(), |a| (&a[0] * 2.0).hardswish()),
        row("hardshrink", v(), |a| a[0].hardshrink(0.5).square()),
        row("softshrink", v(), |a| a[0].softshrink(0.5).square()),
        row("tanhshrink", v(), |a| a[0].tanhshrink()),
        row("threshold", v(), |a| a[0].threshold(0.5, 2.0).square()),
    ]
}

pub(super) fn binary_rows() -> Vec<Row> {
    let v = || [x([4, 3]), y([3])];
    let p = || [positive([4, 3]), unit([4, 1])];
    vec![
        row("add", v(), |a| (&a[0] + &a[1]).square()),
        row("sub", v(), |a| (&a[0] - &a[1]).square()),
        row("mul", v(), |a| &a[0] * &a[1]),
        row("div", p(), |a| &a[0] / &a[1]),
        row("rem", p(), |a| (&a[0] % &a[1]).square()),
        row("neg", v(), |a| (-&a[0]).square()),
        row("pow", p(), |a| a[0].pow(&a[1])),
        row("pow", p(), |a| a[0].pow(2.5) + a[0].pow(2.0) + a[0].pow(-1)),
        row("atan2", v(), |a| a[0].atan2(&a[1])),
        row("maximum", v(), |a| a[0].maximum(&a[1]).square()),
        row("minimum", v(), |a| a[0].minimum(&a[1]).square()),
        row("select", v(), |a| {
            a[0].less(0.0).select(a[0].sin(), &a[1] * &a[0])
        }),
        row("select", v(), |a| {
            select(&a[0].less(0.0), a[0].square(), 3.0)
        }),
        row("where_", v(), |a| {
            a[0].less(0.0).where_(2.0, &a[1]).square()
        }),
        row("masked_fill", v(), |a| {
            a[0].masked_fill(a[0].less(0.0), 0.5).square()
        }),
        row("clamp", v(), |a| a[0].clamp(-1.05, &a[1] * 0.5).square()),
        row("hypot", v(), |a| a[0].hypot(&a[1])),
        row("logaddexp", v(), |a| a[0].logaddexp(&a[1])),
        row("logaddexp2", v(), |a| a[0].logaddexp2(&a[1])),
        row("xlogy", p(), |a| a[0].xlogy(&a[1])),
        row("xlog1py", p(), |a| a[0].xlog1py(&a[1])),
        row("fmod", [x([4, 3]), unit([3])], |a| {
            a[0].fmod(&a[1]).square()
        }),
        row("floor_divide", p(), |a| a[0].floor_divide(&a[1]) * &a[0]),
        row("copysign", v(), |a| a[0].copysign(&a[1]).powi(3)),
        row("heaviside", v(), |a| a[0].heaviside(0.5) * &a[0]),
        row("fmax", v(), |a| a[0].fmax(&a[1]).square()),
        row("fmin", v(), |a| a[0].fmin(&a[1]).square()),
        row("lerp", v(), |a| a[0].lerp(&a[1], 0.3).square()),
        row("cosine_similarity", [x([4, 3]), y([4, 3])], |a| {
            a[0].cosine_similarity(&a[1], -1, 1e-8)
        }),
        row("add_assign", v(), |a| {
            let mut z = a[0].clone();
            z += &a[1];
            z -= 1.0;
            z *= &a[1];
            z /= 3.0;
            z
        }),
    ]
}

pub(super) fn special_rows() -> Vec<Row> {
    let v = || [x([5])];
    let p = || [positive([5])];
    let u = || [unit([5])];
    let pair = || [positive([4, 3]), unit([3])];
    vec![
        row("erfcx", v(), |a| a[0].erfcx()),
        row("erfcx", p(), |a| (&a[0] * 20.0).erfcx()),
        row("erfinv", u(), |a| a[0].erfinv()),
        row("erfcinv", u(), |a| a[0].erfcinv()),
        row("log_ndtr", v(), |a| (&a[0] * 3.0).log_ndtr()),
        row("ndtri", u(), |a| a[0].ndtri()),
        row("entr", p(), |a| a[0].entr()),
        row("bessel_j", v(), |a| a[0].bessel_j(2) + a[0].bessel_j(5)),
        row("bessel_y", p(), |a| (&a[0] + 0.5).bessel_y(2)),
        row("bessel_i", v(), |a| a[0].bessel_i(3)),
        row("bessel_ie", v(), |a| a[0].bessel_ie(2)),
        row("bessel_k", p(), |a| (&a[0] + 0.5).bessel_k(2)),
        row("bessel_ke", p(), |a| (&a[0] + 0.5).bessel_ke(2)),
        row("j0", v(), |a| a[0].j0()),
        row("j1", v(), |a| a[0].j1()),
        row("y0", p(), |a| (&a[0] + 0.3).y0()),
        row("y1", p(), |a| (&a[0] + 0.3).y1()),
        row("i0", v(), |a| a[0].i0()),
        row("i1", v(), |a| a[0].i1()),
        row("i0e", v(), |a| a[0].i0e()),
        row("i1e", v(), |a| a[0].i1e()),
        row("k0", p(), |a| (&a[0] + 0.3).k0()),
        row("k1", p(), |a| (&a[0] + 0.3).k1()),
        row("k0e", p(), |a| (&a[0] + 0.3).k0e()),
        row("k1e", p(), |a| (&a[0] + 0.3).k1e()),
        row("lbeta", pair(), |a| a[0].lbeta(&a[1])),
        row("beta", pair(), |a| (&a[0] + 0.5).beta(&a[1] + 0.5)),
        row("gammainc", pair(), |a| a[0].gammainc(&a[1] * 2.0)),
        row("gammaincc", pair(), |a| (&a[0] * 3.0).gammaincc(&a[1])),
        row("betainc", pair(), |a| {
            a[0].betainc(&a[1] + 0.5, &a[1] * 0.5 + 0.2)
        }),
        row("zeta", pair(), |a| (&a[0] + 1.2).zeta(&a[1])),
        row("log_binomial", pair(), |a| {
            (&a[0] + 2.0).log_binomial(&a[1])
        }),
        row("multigammaln", p(), |a| (&a[0] + 1.0).multigammaln(3)),
    ]
}
