//! Rows of linear algebra, layers and losses.

use super::row::*;
use super::*;

pub(super) fn linear_rows() -> Vec<Row> {
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

pub(super) fn matrix_rows() -> Vec<Row> {
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

pub(super) fn layer_rows() -> Vec<Row> {
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

pub(super) fn loss_rows() -> Vec<Row> {
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
