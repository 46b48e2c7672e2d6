//! Every differentiable method on tensors against central differences, first and second order, in
//! both modes, and the compiled program against the reference evaluator.

use cotangent::{
    Array, ConvOptions, DType, Error, Function, Interpolation, Key, NewAxis, PadMode, Padding,
    PoolOptions, Rest, Tensor, block_diag, concat, einsum, keep, meshgrid, scatter_add, select,
    stack, step,
};

type Body = fn(&Vec<Tensor>) -> Tensor;

/// A method, how it is called, and on what.
struct Row {
    name: &'static str,
    body: Body,
    inputs: Vec<Array>,
}

fn row(name: &'static str, inputs: impl Into<Vec<Array>>, body: Body) -> Row {
    Row {
        name,
        body,
        inputs: inputs.into(),
    }
}

/// Numbers from -2 to 2 that keep away from 0, from whole numbers and from each other.
fn x<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.37, |t| {
        let v = 4.0 * t - 2.0;
        let near = v.round();
        if (v - near).abs() < 0.1 {
            near + 0.1f64.copysign(v - near)
        } else {
            v
        }
    })
}

/// Others of the same kind.
fn y<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.711, |t| 1.7 - 3.1 * t)
}

/// Numbers from 0.2 to 1.8.
fn positive<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.53, |t| 0.2 + 1.6 * t)
}

/// Numbers from 0.1 to 0.9.
fn unit<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.29, |t| 0.1 + 0.8 * t)
}

fn values<const N: usize>(shape: [usize; N], start: f64, f: impl Fn(f64) -> f64) -> Array {
    let count = shape.iter().product();
    // The golden ratio spreads its multiples evenly.
    let list: Vec<f64> = (0..count)
        .map(|i| f((start + 0.618_033_988_75 * i as f64).fract()))
        .collect();
    Array::new(shape, list).expect("as many values as the shape takes")
}

/// Each line is the name of a method and its rows.
fn rows() -> Vec<Row> {
    let mut rows = unary_rows();
    rows.extend(binary_rows());
    rows.extend(reduce_rows());
    rows.extend(shape_rows());
    rows.extend(index_rows());
    rows.extend(linear_rows());
    rows.extend(matrix_rows());
    rows.extend(layer_rows());
    rows.extend(loss_rows());
    rows.extend(sort_rows());
    rows.extend(special_rows());
    rows
}

fn unary_rows() -> Vec<Row> {
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

fn sort_rows() -> Vec<Row> {
    let v = || [x([3, 4])];
    let gaps = || {
        let nan = f64::NAN;
        [[
            [0.5, nan, -1.2, 1.9],
            [nan, nan, 0.3, nan],
            [1.1, 0.2, -0.4, 0.9],
        ]
        .into()]
    };
    vec![
        row("sort", v(), |a| a[0].sort(1).square()),
        row("sort", v(), |a| a[0].sort(0).sin()),
        // Ties that move together, so that either of two equal ones gives the same derivative.
        row("sort", v(), |a| concat([&a[0], &a[0]], 1).sort(1).square()),
        row("sort_descending", v(), |a| a[0].sort_descending(1).square()),
        row("top_k", v(), |a| a[0].top_k(3, 1).0.square()),
        row("top_k", v(), |a| {
            let (_, places) = a[0].top_k(2, 0);
            a[0].sin().take_along_axis(places, 0)
        }),
        row("bottom_k", v(), |a| a[0].bottom_k(2, -1).0.square()),
        row("kth_value", v(), |a| a[0].kth_value(3, 1).0.square()),
        row("mode", v(), |a| a[0].mode(1).0.square()),
        row("cummax", v(), |a| a[0].cummax(1).square()),
        row("cummin", v(), |a| a[0].cummin(0).square()),
        row("median", v(), |a| a[0].median(1).square()),
        row("median", v(), |a| a[0].median(..).square()),
        row("nanmedian", gaps(), |a| a[0].nanmedian(1).square()),
        // Positions far from an element, where a quantile has a kink.
        row(
            "quantile",
            [x([3, 4]), values([2], 0.5, |t| 0.1 + 0.8 * t)],
            |a| a[0].quantile(&a[1], 1, Interpolation::Linear).square(),
        ),
        row("quantile", [x([3, 4]), unit([2])], |a| {
            let q = &a[1];
            a[0].quantile(q, .., Interpolation::Lower).square()
                + a[0].quantile(q, .., Interpolation::Higher).square()
                + a[0].quantile(q, .., Interpolation::Nearest).square()
                + a[0].quantile(q, .., Interpolation::Midpoint).square()
        }),
        row(
            "percentile",
            [x([3, 4]), values([2], 0.5, |t| 0.1 + 0.8 * t)],
            |a| {
                let q = &a[1] * 100.0;
                a[0].percentile(&q, 1, Interpolation::Linear).square()
            },
        ),
        row("nanpercentile", gaps(), |a| {
            a[0].nanpercentile(30, 1, Interpolation::Linear).square()
        }),
        row("nanquantile", gaps(), |a| {
            a[0].nanquantile(0.3, 1, Interpolation::Linear).square()
        }),
    ]
}

fn special_rows() -> Vec<Row> {
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

fn binary_rows() -> Vec<Row> {
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

fn reduce_rows() -> Vec<Row> {
    let v = || [x([3, 4])];
    let p = || [positive([3, 4])];
    vec![
        row("sum", v(), |a| a[0].sum(0).square() + a[0].square().sum(..)),
        row("sum", v(), |a| a[0].sum(keep([0, -1])).square()),
        row("prod", v(), |a| a[0].prod(1)),
        row("prod", [[[0.0, 2.0, 3.0], [0.0, 0.0, 1.5]].into()], |a| {
            a[0].prod(1)
        }),
        row("max", v(), |a| a[0].max(1).square()),
        row("min", v(), |a| a[0].min(keep(0)).square()),
        row("mean", v(), |a| a[0].mean(1).square()),
        row("var", v(), |a| a[0].var(0)),
        row("var_ddof", v(), |a| a[0].var_ddof(.., 1)),
        row("std", v(), |a| a[0].std(keep(1))),
        row("std_ddof", v(), |a| a[0].std_ddof(1, 1)),
        row("norm", v(), |a| a[0].norm(1)),
        row("norm", v(), |a| a[0].norm(()).square()),
        row("norm_p", v(), |a| {
            a[0].norm_p(3.0, 1) + a[0].norm_p(1.0, 1) + a[0].norm_p(2.0, 1)
        }),
        row("norm_p", p(), |a| {
            a[0].norm_p(0.5, 1) + a[0].norm_p(-1.5, 1)
        }),
        row("norm_p", v(), |a| {
            a[0].norm_p(f64::INFINITY, 1).square() + a[0].norm_p(f64::NEG_INFINITY, 1).square()
        }),
        row("normalize", v(), |a| a[0].normalize(3.0, 1, 1e-12)),
        row("logsumexp", v(), |a| a[0].logsumexp(1)),
        row("logsumexp", v(), |a| a[0].logsumexp(keep(..))),
        row("softmax", v(), |a| a[0].softmax(-1)),
        row("softmin", v(), |a| a[0].softmin([0, 1])),
        row("log_softmax", v(), |a| a[0].log_softmax(0)),
        row("cumsum", v(), |a| a[0].cumsum(1).square()),
        row("cumprod", v(), |a| a[0].cumprod(1)),
        row("cumprod", [[1.5, 0.0, 2.0, 0.0, 3.0].into()], |a| {
            a[0].cumprod(0)
        }),
        row("recurrence", [unit([2, 4]), y([2, 4])], |a| {
            a[0].recurrence(&a[1], 1)
        }),
        row("nansum", v(), |a| a[0].nansum(1).square()),
        row("nanmean", v(), |a| a[0].nanmean(1).square()),
        row("diff", v(), |a| a[0].diff(1).square()),
        row("glu", v(), |a| a[0].glu(1)),
    ]
}

fn shape_rows() -> Vec<Row> {
    let v = || [x([2, 3, 4])];
    let pair = || [x([2, 3]), y([2, 2])];
    vec![
        row("reshape", v(), |a| a[0].reshape([4, -1]).square()),
        row("ravel", v(), |a| a[0].ravel().square()),
        row("flatten", v(), |a| a[0].flatten(0, 1).square()),
        row("transpose", v(), |a| a[0].transpose().square()),
        row("t", v(), |a| a[0].t().square()),
        row("permute", v(), |a| a[0].permute([1, 2, 0]).square()),
        row("swapaxes", v(), |a| a[0].swapaxes(0, -1).square()),
        row("moveaxis", v(), |a| a[0].moveaxis([0, 1], [-1, 0]).square()),
        row("expand_dims", v(), |a| a[0].expand_dims([0, -1]).square()),
        row("squeeze", [x([1, 3, 1])], |a| a[0].squeeze(0).square()),
        row("squeeze", [x([1, 3, 1])], |a| a[0].squeeze(..).square()),
        row("broadcast_to", [x([3, 1])], |a| {
            a[0].broadcast_to([2, 3, 4]).square()
        }),
        row("flip", v(), |a| a[0].flip([0, 2]).square()),
        row("roll", v(), |a| a[0].roll(5, 1).square()),
        row("tile", v(), |a| a[0].tile([2, 1, 2, 1]).square()),
        row("repeat", v(), |a| a[0].repeat(2, 1).square()),
        row("pad", pair(), |a| {
            a[0].pad([(1, 0), (0, 2)], PadMode::ZERO).square()
        }),
        row("pad", pair(), |a| {
            a[0].pad([(1, 1), (2, 2)], PadMode::Reflect).square()
        }),
        row("pad", pair(), |a| {
            a[0].pad([(3, 1), (0, 2)], PadMode::Edge).square()
        }),
        row("pad", pair(), |a| {
            a[0].pad([(3, 1), (0, 5)], PadMode::Wrap).square()
        }),
        row("concat", pair(), |a| concat([&a[0], &a[1]], 1).square()),
        row("stack", v(), |a| stack([&a[0], &a[0].sin()], -1).square()),
        row("split", v(), |a| {
            let parts = a[0].split(&[1, 3], 2);
            &parts[0] * &parts[1]
        }),
        row("chunk", v(), |a| {
            let parts = a[0].chunk(2, 1);
            parts[0].sum(1) * parts[1].sum(1)
        }),
        row("unbind", v(), |a| {
            let parts = a[0].unbind(1);
            &parts[0] * &parts[2]
        }),
        row("slice_axis", v(), |a| a[0].slice_axis(-1, 1..3).square()),
        row("meshgrid", [x([2]), y([3])], |a| {
            let grids = meshgrid(a);
            &grids[0] * grids[1].sin()
        }),
    ]
}

fn index_rows() -> Vec<Row> {
    let v = || [x([3, 4])];
    let pair = || [x([3, 4]), y([2, 4])];
    vec![
        row("at", v(), |a| a[0].at((1, ..)).square()),
        row("at", v(), |a| {
            a[0].at((Rest, NewAxis, step(.., -2))).square()
        }),
        row("at", v(), |a| a[0].at((step(0..3, 2), -3..=-2)).square()),
        row("set_at", [x([3, 4]), y([2])], |a| {
            a[0].set_at((1, step(.., -2)), &a[1]).square()
        }),
        row("add_at", pair(), |a| a[0].add_at((1.., ..), &a[1]).square()),
        row("take", v(), |a| a[0].take([2, 0, -1, 2], 1).square()),
        row("take", v(), |a| a[0].take(a[0].argmax(1), 1).square()),
        row("gather", v(), |a| {
            a[0].gather([[0, 2, 2], [1, 3, -1]], 0).square()
        }),
        row("scatter_add", pair(), |a| {
            a[0].scatter_add([[0, 0], [1, 2]], a[1].sum(1), 0).square()
        }),
        row("scatter_add", [y([2, 4])], |a| {
            scatter_add([3, 4], [Tensor::from([2, 2])], &a[0], 0).square()
        }),
        row("index_add", pair(), |a| {
            a[0].index_add([0, 2], &a[1], 0).square()
        }),
        row("take_along_axis", v(), |a| {
            a[0].take_along_axis(Tensor::from([[0, 1, 2, 0]]), 0)
                .square()
        }),
        row("put_along_axis", [x([3, 4]), y([2, 4])], |a| {
            let places = Tensor::from([[0, 1, 2, 0], [2, 1, 0, -3]]);
            (a[0].put_along_axis(&places, &a[1], 0) * &a[0]).square()
        }),
        row("add_along_axis", pair(), |a| {
            let places = Tensor::from([[0, 1, 2, 0], [2, 1, 0, 0]]);
            a[0].add_along_axis(places, &a[1], 0).square()
        }),
        row("diagonal", v(), |a| a[0].diagonal(1, 0, 1).square()),
        row("diagonal", [x([3, 2, 4])], |a| {
            a[0].diagonal(-1, 2, 0).square()
        }),
        row("diag", v(), |a| a[0].diag(-1).square()),
        row("trace", v(), |a| a[0].square().trace()),
        row("tril", v(), |a| a[0].tril(0).square()),
        row("triu", v(), |a| a[0].triu(1).square()),
        row("windows", v(), |a| a[0].windows(1, 3, 1).prod(-1)),
    ]
}

fn linear_rows() -> Vec<Row> {
    let pair = || [x([2, 3]), y([3, 4])];
    vec![
        row("dot", pair(), |a| a[0].dot(&a[1])),
        row("dot", [x([2, 2, 3]), y([3])], |a| a[0].dot(&a[1])),
        row("matmul", pair(), |a| a[0].matmul(&a[1])),
        row("matmul", [x([3]), y([2, 3, 4])], |a| a[0].matmul(&a[1])),
        row("matmul", [x([2, 3]), y([2, 3, 4])], |a| a[0].matmul(&a[1])),
        row("matmul", [x([2, 1, 2, 3]), y([3, 3, 2])], |a| {
            a[0].matmul(&a[1])
        }),
        row("tensordot", pair(), |a| a[0].tensordot(&a[1], 1, 0)),
        row("inner", [x([2, 3]), y([4, 3])], |a| a[0].inner(&a[1])),
        row("vdot", [x([2, 3]), y([2, 3])], |a| a[0].vdot(&a[1])),
        row("outer", pair(), |a| a[0].outer(&a[1])),
        row("kron", [x([2, 1]), y([2, 3, 2])], |a| a[0].kron(&a[1])),
        row("cross", [x([2, 3]), y([3])], |a| a[0].cross(&a[1], -1)),
        row("einsum", pair(), |a| einsum("ij,jk->ki", [&a[0], &a[1]])),
        row("einsum", [x([3, 3]), y([3])], |a| {
            einsum("ii,i", [&a[0], &a[1]])
        }),
        row("einsum", [x([2, 3, 4]), y([4, 2])], |a| {
            einsum("b...k,kj->...jb", [&a[0], &a[1]])
        }),
        row("einsum", [x([2, 3]), y([2, 3]), unit([3])], |a| {
            einsum("bi,bj,i->bij", [&a[0], &a[1], &a[2]])
        }),
    ]
}

fn layer_rows() -> Vec<Row> {
    let picture = || [x([2, 4, 6]), y([2, 2, 3])];
    vec![
        row("conv", picture(), |a| {
            let options = ConvOptions::default().stride([2]).padding([1]).groups(2);
            a[0].conv(&a[1], &options)
        }),
        row("conv", [x([2, 5, 6]), y([3, 2, 3, 2])], |a| {
            let options = ConvOptions::default()
                .padding(Padding::Same)
                .dilation([1, 2]);
            a[0].conv(&a[1], &options)
        }),
        row("conv_transpose", [x([2, 4, 5]), y([4, 3, 3])], |a| {
            let options = ConvOptions::default().stride([2]).padding([1]).groups(2);
            a[0].conv_transpose(&a[1], &options.output_padding([1]))
        }),
        row("max_pool", [x([2, 5, 6])], |a| {
            let options = PoolOptions::default()
                .stride([2])
                .padding([1, 0])
                .ceil(true);
            a[0].max_pool([3, 2], &options).square()
        }),
        row("sum_pool", [x([2, 7])], |a| {
            a[0].sum_pool([3], &PoolOptions::default().dilation([2]).stride([1]))
                .square()
        }),
        row("avg_pool", [x([2, 7])], |a| {
            let options = PoolOptions::default().padding([1]).ceil(true);
            let without = options.clone().count_include_pad(false);
            a[0].avg_pool([2], &options).square() + a[0].avg_pool([2], &without).square()
        }),
        row("layer_norm", [x([3, 4])], |a| a[0].layer_norm(-1, 1e-5)),
        row("rms_norm", [x([3, 4])], |a| a[0].rms_norm(-1, 1e-5)),
        row("group_norm", [x([2, 4, 3])], |a| a[0].group_norm(2, 1e-5)),
        row("batch_norm", [x([3, 2, 2])], |a| {
            let (y, mean, var) = a[0].batch_norm(1e-5);
            y + mean.sum(..) + var.sum(..)
        }),
        row(
            "batch_norm_with",
            [x([3, 2, 2]), y([2]), positive([2])],
            |a| a[0].batch_norm_with(&a[1], &a[2], 1e-5),
        ),
        row("dropout", [x([20])], |a| {
            a[0].dropout(&Key::new(3), 0.4).square()
        }),
    ]
}

fn matrix_rows() -> Vec<Row> {
    vec![
        row("matrix_power", [x([2, 3, 3])], |a| {
            a[0].matrix_power(5) + a[0].matrix_power(0)
        }),
        row("vander", [x([2, 3])], |a| a[0].vander(4)),
        row("cdist", [x([2, 3, 2]), y([4, 2])], |a| {
            a[0].cdist(&a[1], 2.0) + a[0].cdist(&a[1], 3.0)
        }),
        row("cov", [x([3, 5])], |a| a[0].cov(1)),
        row("corrcoef", [x([3, 5])], |a| a[0].corrcoef().triu(1)),
        row("trapezoid", [x([3, 4]), positive([3])], |a| {
            a[0].trapezoid(&a[1], -1).square() + a[0].trapezoid(0.5, 1)
        }),
        row("cumulative_trapezoid", [x([3, 4])], |a| {
            a[0].cumulative_trapezoid(0.5, 0).square()
        }),
        row("block_diag", [x([2, 3]), y([1, 2])], |a| {
            block_diag([&a[0], &a[1]]).square()
        }),
        row(
            "attention",
            [x([2, 3, 4]), y([2, 5, 4]), unit([5, 2])],
            |a| {
                let seen = Tensor::ones([3, 5], DType::F64).tril(0).greater(0.0);
                a[0].attention(&a[1], &a[2], Some(&seen)) + a[0].attention(&a[1], &a[2], None)
            },
        ),
    ]
}

fn loss_rows() -> Vec<Row> {
    let pair = || [x([3, 4]), unit([3, 4])];
    vec![
        row("cross_entropy", [x([3, 4])], |a| {
            a[0].cross_entropy([0, 3, 1], 1)
        }),
        row("cross_entropy", [x([2, 3, 2])], |a| {
            a[0].cross_entropy(Tensor::from([[0, 2], [1, 1]]), 1)
        }),
        row("cross_entropy_soft", pair(), |a| {
            a[0].cross_entropy_soft(a[1].softmax(1), 1)
        }),
        row("nll_loss", [x([3, 4])], |a| {
            a[0].square().nll_loss([0, 3, 1], 1)
        }),
        row("mse_loss", pair(), |a| a[0].mse_loss(&a[1])),
        row("l1_loss", pair(), |a| a[0].l1_loss(&a[1]).square()),
        row("huber_loss", pair(), |a| a[0].huber_loss(&a[1], 0.7)),
        row("smooth_l1_loss", pair(), |a| {
            a[0].smooth_l1_loss(&a[1], 0.7)
        }),
        row("bce_loss", [unit([5]), positive([5])], |a| {
            a[0].bce_loss(&a[1])
        }),
        row("bce_with_logits", pair(), |a| a[0].bce_with_logits(&a[1])),
        row("kl_div", pair(), |a| a[0].kl_div(&a[1])),
        row("poisson_nll_loss", pair(), |a| a[0].poisson_nll_loss(&a[1])),
        row("soft_margin_loss", pair(), |a| a[0].soft_margin_loss(&a[1])),
    ]
}

/// Methods that no derivative passes through, or that make or describe tensors.
const WITHOUT_DERIVATIVE: &[&str] = &[
    // The type and the values.
    "shape",
    "dtype",
    "ty",
    "rank",
    "dim",
    "len",
    "is_empty",
    "to_array",
    "item",
    "into_tensor",
    // New tensors.
    "full",
    "zeros",
    "ones",
    "scalar",
    "zeros_like",
    "ones_like",
    "full_like",
    "arange",
    "arange_step",
    "linspace",
    "iota",
    "eye",
    "eye_shifted",
    "one_hot",
    "random_bits",
    "uniform",
    "normal",
    "bernoulli",
    "new",
    "split_many",
    "split_rows",
    "fold_in",
    // Bools and integers.
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "is_finite",
    "is_nan",
    "is_inf",
    "is_close",
    "any",
    "all",
    "argmax",
    "argmin",
    "count_nonzero",
    "argsort",
    "argsort_descending",
    "searchsorted",
    "bincount",
    "cum_argmax",
    "cum_argmin",
    "cum_argmax_last",
    "cum_argmin_last",
    // No derivative by definition; see edges.rs.
    "stop_gradient",
    // Options.
    "keep",
    "range",
    "step",
    "stride",
    "padding",
    "dilation",
    "groups",
    "output_padding",
    "ceil",
    "count_include_pad",
];

#[test]
fn the_table_has_every_method() {
    let sources = [
        include_str!("../src/tensor/mod.rs"),
        include_str!("../src/tensor/activation.rs"),
        include_str!("../src/tensor/attention.rs"),
        include_str!("../src/tensor/axes.rs"),
        include_str!("../src/tensor/create.rs"),
        include_str!("../src/tensor/gather.rs"),
        include_str!("../src/tensor/index.rs"),
        include_str!("../src/tensor/layer.rs"),
        include_str!("../src/tensor/linear.rs"),
        include_str!("../src/tensor/loss.rs"),
        include_str!("../src/tensor/matrices.rs"),
        include_str!("../src/tensor/operand.rs"),
        include_str!("../src/tensor/pointwise.rs"),
        include_str!("../src/tensor/random.rs"),
        include_str!("../src/tensor/reduce.rs"),
        include_str!("../src/tensor/shape.rs"),
        include_str!("../src/tensor/sort.rs"),
        include_str!("../src/tensor/special.rs"),
    ];
    let rows = rows();
    let mut seen = 0;
    for line in sources.iter().flat_map(|s| s.lines()) {
        let line = line.trim();
        // `pub fn name(` or `pub fn name<`, or a line `name Operation;` of a macro.
        let name = match line.strip_prefix("pub fn ") {
            Some(rest) => rest.split(['(', '<']).next().unwrap_or_default(),
            None => match line.split_once(' ') {
                Some((name, op)) if op.ends_with(';') && is_row(name, op) => name,
                _ => continue,
            },
        };
        if name.starts_with('$') {
            continue;
        }
        seen += 1;
        let known = rows.iter().any(|r| r.name == name) || WITHOUT_DERIVATIVE.contains(&name);
        assert!(known, "no row for `{name}`");
    }
    assert!(seen > 200, "found only {seen} methods");
}

/// Whether a line is `name Operation;` or `name Family::Operation;`.
fn is_row(name: &str, op: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && op.starts_with(|c: char| c.is_ascii_uppercase())
        && op
            .trim_end_matches(';')
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == ':')
}

#[test]
fn values_agree_with_the_reference_and_places_are_the_users() -> Result<(), Error> {
    for r in rows() {
        let f = Function::new(r.body);
        let graph = f.graph(&(r.inputs.clone(),))?;
        for e in graph
            .equations()
            .iter()
            .filter(|e| !e.op.is_constant() && !e.op.is_input())
        {
            let place = e.location.map(|l| l.to_string()).unwrap_or_default();
            assert!(
                place.starts_with(file!()),
                "{}: {} is at {place}",
                r.name,
                e.op.name()
            );
        }
        let expected = &cotangent::eval(&graph, &r.inputs).expect(r.name)[0];
        close(
            r.name,
            "value",
            &f.call((r.inputs.clone(),))?,
            expected,
            1e-12,
        );
    }
    Ok(())
}

#[test]
fn first_and_second_derivatives_agree_with_differences() -> Result<(), Error> {
    for r in rows() {
        let f = Function::new(r.body);
        // g(x) = <c, f(x)>, a scalar with every part of f in it.
        let body = r.body;
        let g = Function::new(move |a: &Vec<Tensor>| weighted(&body(a)));
        let x = r.inputs.clone();
        let v: Vec<Array> = x.iter().map(|a| direction(a, 0.13)).collect();
        let gradient = g.grad();
        let analytic = gradient.call((x.clone(),))?;
        let (_, slope) = g.jvp().call(((x.clone(),), (v.clone(),)))?;
        let slope = slope.item::<f64>()?;
        let product = inner(&analytic, &v);
        near(r.name, "forward and reverse", slope, product, 1e-10);
        let at = |h: f64| -> Result<f64, Error> { Ok(g.call((moved(&x, &v, h),))?.item::<f64>()?) };
        near(r.name, "slope", slope, difference(at)?, 1e-6);
        // <u, J v> = <J^T u, v> for f itself.
        let y = f.call((x.clone(),))?;
        let u = direction(&y, 0.71);
        let (_, jv) = f.jvp().call(((x.clone(),), (v.clone(),)))?;
        let (_, (ju,)) = f.vjp().call(((x.clone(),), u.clone()))?;
        near(
            r.name,
            "transpose",
            inner(&[u], &[jv]),
            inner(&ju, &v),
            1e-10,
        );
        // The second derivative in two directions, forward over reverse and reverse over reverse.
        let w: Vec<Array> = x.iter().map(|a| direction(a, 0.41)).collect();
        let (_, (hv,)) = gradient_jvp(&gradient, &x, &v)?;
        let along = w.clone();
        let gw = gradient.clone();
        let h = Function::new(move |a: &Vec<Tensor>| {
            let parts = gw.apply((a.clone(),));
            let mut sum = Tensor::scalar(0.0);
            for (p, w) in parts.iter().zip(&along) {
                sum += (p * w).sum(..);
            }
            sum
        });
        let hw = h.grad().call((x.clone(),))?;
        near(r.name, "symmetry", inner(&hv, &w), inner(&hw, &v), 1e-9);
        let at =
            |h: f64| -> Result<f64, Error> { Ok(inner(&gradient.call((moved(&x, &v, h),))?, &w)) };
        near(r.name, "curvature", inner(&hv, &w), difference(at)?, 1e-6);
    }
    Ok(())
}

#[test]
fn f32_stays_f32() -> Result<(), Error> {
    for r in rows().into_iter().filter(|r| r.name != "convert") {
        let f = Function::new(r.body);
        let expected = f.call((r.inputs.clone(),))?;
        let narrow: Vec<Array> = r.inputs.iter().map(|a| a.convert(DType::F32)).collect();
        let found = f.call((narrow.clone(),))?;
        assert_eq!(found.dtype(), DType::F32, "{}", r.name);
        close(r.name, "f32", &found, &expected, 2e-4);
        let (_, gradients) = f.vjp().call(((narrow,), found))?;
        assert!(
            gradients.0.iter().all(|g| g.dtype() == DType::F32),
            "{}",
            r.name
        );
    }
    Ok(())
}

#[test]
fn batches_agree_with_examples() -> Result<(), Error> {
    for r in rows() {
        let f = Function::new(r.body);
        let other: Vec<Array> = moved(&r.inputs, &r.inputs, 0.03);
        let both: Vec<Array> = r
            .inputs
            .iter()
            .zip(&other)
            .map(|(a, b)| pile(a, b))
            .collect();
        let expected = pile(&f.call((r.inputs.clone(),))?, &f.call((other.clone(),))?);
        close(
            r.name,
            "vmap",
            &f.vmap().call((both.clone(),))?,
            &expected,
            1e-11,
        );
        // The gradient of each example.
        let body = r.body;
        let g = Function::new(move |a: &Vec<Tensor>| weighted(&body(a))).grad();
        let (first, second) = (g.call((r.inputs.clone(),))?, g.call((other,))?);
        let found = g.vmap().call((both,))?;
        for (found, (a, b)) in found.iter().zip(first.iter().zip(&second)) {
            close(r.name, "vmap of grad", found, &pile(a, b), 1e-10);
        }
    }
    Ok(())
}

/// Two arrays along a new leading axis.
fn pile(a: &Array, b: &Array) -> Array {
    let shape: Vec<usize> = std::iter::once(2)
        .chain(a.shape().iter().copied())
        .collect();
    Array::new(shape, [a.to_f64s(), b.to_f64s()].concat()).expect("two of one shape")
}

type Gradient = Function<(Vec<Tensor>,), Vec<Tensor>>;
type Both = (Vec<Array>, (Vec<Array>,));

fn gradient_jvp(gradient: &Gradient, x: &[Array], v: &[Array]) -> Result<Both, Error> {
    let (g, hv) = gradient.jvp().call(((x.to_vec(),), (v.to_vec(),)))?;
    Ok((g, (hv,)))
}

fn weighted(y: &Tensor) -> Tensor {
    let weights = Tensor::arange(y.len(), DType::F64).cos() + 0.3;
    (y.ravel() * weights).sum(..)
}

fn direction(a: &Array, start: f64) -> Array {
    let list: Vec<f64> = (0..a.len())
        .map(|i| 2.0 * (start + 0.618_033_988_75 * i as f64).fract() - 1.0)
        .collect();
    Array::new(a.shape(), list).expect("as many as there are")
}

fn moved(x: &[Array], v: &[Array], h: f64) -> Vec<Array> {
    x.iter()
        .zip(v)
        .map(|(x, v)| {
            let list: Vec<f64> = x
                .to_f64s()
                .iter()
                .zip(v.to_f64s())
                .map(|(x, v)| x + h * v)
                .collect();
            Array::new(x.shape(), list).expect("as many as there are")
        })
        .collect()
}

/// The central difference of order four.
fn difference(at: impl Fn(f64) -> Result<f64, Error>) -> Result<f64, Error> {
    let h = 1e-3;
    Ok((8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h))
}

fn inner(a: &[Array], b: &[Array]) -> f64 {
    a.iter()
        .zip(b)
        .flat_map(|(a, b)| a.to_f64s().into_iter().zip(b.to_f64s()))
        .map(|(a, b)| a * b)
        .sum()
}

fn near(name: &str, what: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    let scale = 1.0 + expected.abs();
    assert!(
        error <= tolerance * scale,
        "{name}: {what}: {found} against {expected}"
    );
}

fn close(name: &str, what: &str, found: &Array, expected: &Array, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{name}");
    for (a, b) in found.to_f64s().into_iter().zip(expected.to_f64s()) {
        near(name, what, a, b, tolerance);
    }
}
