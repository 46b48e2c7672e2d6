//! Rows of methods that move, join and sort elements.

use super::row::*;
use super::*;

pub(super) fn shape_rows() -> Vec<Row> {
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

pub(super) fn index_rows() -> Vec<Row> {
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

pub(super) fn reduce_rows() -> Vec<Row> {
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

pub(super) fn sort_rows() -> Vec<Row> {
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
