//! Activations, softmaxes and dropout that drops nothing or all.

use cotangent::{DType, Tensor, select};

use super::Table;
use super::reduce::converted;
use super::tools::{as_i64, dim, one};
use crate::args::{Args, Outs, Res, not_mapped};

pub const TABLE: Table = &[
    (&["nn.functional.relu"], |a| one(a.x()?.relu())),
    (&["nn.functional.relu6"], |a| one(a.x()?.relu6())),
    (&["nn.functional.leaky_relu"], |a| {
        one(a.x()?.leaky_relu(a.float_or(1, "negative_slope", 0.01)?))
    }),
    (&["nn.functional.elu"], |a| {
        one(a.x()?.elu(a.float_or(1, "alpha", 1.0)?))
    }),
    (&["nn.functional.celu"], |a| {
        one(a.x()?.celu(a.float_or(1, "alpha", 1.0)?))
    }),
    (&["nn.functional.selu"], |a| one(a.x()?.selu())),
    (&["nn.functional.gelu"], |a| {
        let x = a.x()?;
        one(match a.text_or(1, "approximate", "none")? {
            "tanh" => x.gelu_tanh(),
            _ => x.gelu(),
        })
    }),
    (&["nn.functional.silu"], |a| one(a.x()?.silu())),
    (&["nn.functional.mish"], |a| one(a.x()?.mish())),
    (&["nn.functional.softsign"], |a| one(a.x()?.softsign())),
    (&["nn.functional.hardsigmoid"], |a| {
        one(a.x()?.hardsigmoid())
    }),
    (&["nn.functional.hardswish"], |a| one(a.x()?.hardswish())),
    (&["nn.functional.logsigmoid"], |a| one(a.x()?.log_sigmoid())),
    (&["nn.functional.tanhshrink"], |a| {
        let x = a.x()?;
        one(&x - &x.tanh())
    }),
    (&["nn.functional.hardtanh"], |a| {
        one(a.x()?.clamp(
            a.float_or(1, "min_val", -1.0)?,
            a.float_or(2, "max_val", 1.0)?,
        ))
    }),
    // Beyond the threshold the function is the identity.
    (&["nn.functional.softplus"], |a| {
        let x = a.x()?;
        let beta = a.float_or(1, "beta", 1.0)?;
        let threshold = a.float_or(2, "threshold", 20.0)?;
        let scaled = &x * beta;
        one(scaled
            .greater(threshold)
            .select(&x, scaled.softplus() / beta))
    }),
    (&["nn.functional.softshrink"], |a| {
        let x = a.x()?;
        let l = a.float_or(1, "lambd", 0.5)?;
        let below = select(&x.less(-l), &x + l, &x * 0.0);
        one(x.greater(l).select(&x - l, below))
    }),
    (&["nn.functional.hardshrink"], |a| {
        let x = a.x()?;
        let l = a.float_or(1, "lambd", 0.5)?;
        one((x.greater_equal(-l) & x.less_equal(l)).select(0.0, &x))
    }),
    (&["nn.functional.threshold"], |a| {
        let x = a.x()?;
        one(x
            .less_equal(a.float(1, "threshold")?)
            .select(a.float(2, "value")?, &x))
    }),
    (&["nn.functional.prelu"], |a| {
        let (x, weight) = (a.x()?, a.tensor(1, "weight")?);
        // The weights belong to dimension 1.
        let mut shape = vec![1; x.rank()];
        if x.rank() >= 2 && weight.len() > 1 {
            shape[1] = weight.len();
        }
        let weight = match weight.len() {
            1 => weight.reshape(as_i64(&shape)),
            _ if x.rank() < 2 => weight.ravel(),
            _ => weight.reshape(as_i64(&shape)),
        };
        one(x.greater(0.0).select(&x, weight * &x))
    }),
    (&["nn.functional.rrelu"], |a| {
        if a.bool_or(3, "training", false)? {
            return random();
        }
        let lower = a.float_or(1, "lower", 1.0 / 8.0)?;
        let upper = a.float_or(2, "upper", 1.0 / 3.0)?;
        one(a.x()?.leaky_relu((lower + upper) / 2.0))
    }),
    (&["nn.functional.glu"], |a| {
        let x = a.x()?;
        let d = dim(a.int_or(1, "dim", -1)?, x.rank())?;
        let half = x.dim(d) / 2;
        one(x.slice_axis(d, 0..half) * x.slice_axis(d, half..2 * half).sigmoid())
    }),
    (&["softmax"], |a| along(a, |x, d| x.softmax(d))),
    (&["log_softmax"], |a| along(a, |x, d| x.log_softmax(d))),
    (&["nn.functional.softmin"], |a| {
        along(a, |x, d| (-x).softmax(d))
    }),
    (&["torch.ops.aten._safe_softmax.default"], |a| {
        along(a, safe_softmax)
    }),
    (&["_softmax_backward_data"], |a| {
        let (grad, y) = (a.tensor(0, "grad_output")?, a.tensor(1, "output")?);
        let product = &grad * &y;
        if grad.rank() == 0 {
            return one(&product - &(&y * &product));
        }
        let d = dim(a.int(2, "dim")?, grad.rank())?;
        one(&product - &(&y * &product.sum(cotangent::keep(d))))
    }),
    (
        &[
            "nn.functional.dropout",
            "nn.functional.dropout1d",
            "nn.functional.dropout2d",
            "nn.functional.dropout3d",
        ],
        |a| dropout(a, true),
    ),
    (
        &[
            "nn.functional.alpha_dropout",
            "nn.functional.feature_alpha_dropout",
        ],
        |a| dropout(a, false),
    ),
    (&["native_dropout_backward"], |a| {
        let mask = a.tensor(1, "mask")?.convert(DType::F64);
        one(a.tensor(0, "grad_output")? * mask * a.float(2, "scale")?)
    }),
];

/// Why samples with random numbers are skipped.
pub fn random<T>() -> Res<T> {
    not_mapped("the result depends on random numbers of PyTorch's own generator")
}

/// Rows without any finite element become zeros.
pub fn safe_softmax(x: &Tensor, d: usize) -> Tensor {
    let hidden = x.equal(f64::NEG_INFINITY).all(cotangent::keep(d));
    let x = hidden.select(0.0, x);
    hidden.select(0.0, x.softmax(d))
}

fn along(a: &Args, f: fn(&Tensor, usize) -> Tensor) -> Outs {
    let x = converted(a)?;
    let d = dim(a.int_or(1, "dim", -1)?, x.rank())?;
    one(match x.rank() {
        0 => f(&x.reshape([1]), 0).reshape(()),
        _ => f(&x, d),
    })
}

fn dropout(a: &Args, training: bool) -> Outs {
    let x = a.x()?;
    let p = a.float_or(1, "p", 0.5)?;
    if p == 0.0 || !a.bool_or(2, "training", training)? {
        return one(x);
    }
    if p == 1.0 {
        return one(x * 0.0);
    }
    random()
}
