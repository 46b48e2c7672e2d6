//! Reductions over those elements that a mask lets through.

use cotangent::{DType, Tensor};

use super::Table;
use super::norms::vector_norm;
use super::reduce::converted;
use super::tools::{Dims, dim, one};
use crate::args::{Args, Node, Outs, Res};

pub const TABLE: Table = &[
    (&["masked.sum"], |a| {
        let (x, dims) = filled(a, 1, 0.0)?;
        one(x.sum(&dims))
    }),
    (&["masked.prod"], |a| {
        let (x, dims) = filled(a, 1, 1.0)?;
        one(x.prod(&dims))
    }),
    (&["masked.amax"], |a| {
        let (x, dims) = filled(a, 1, f64::NEG_INFINITY)?;
        one(x.max(&dims))
    }),
    (&["masked.amin"], |a| {
        let (x, dims) = filled(a, 1, f64::INFINITY)?;
        one(x.min(&dims))
    }),
    (&["masked.mean"], |a| {
        let (x, dims) = filled(a, 1, 0.0)?;
        one(x.sum(&dims) / count(a, &x, &dims)?)
    }),
    (&["masked.logsumexp"], |a| {
        let (x, dims) = filled(a, 1, f64::NEG_INFINITY)?;
        one(x.logsumexp(&dims))
    }),
    (&["masked.norm"], |a| {
        let ord = a.float_or(1, "ord", 2.0)?;
        let (x, dims) = filled(a, 2, norm_fill(ord))?;
        one(vector_norm(&x, ord, &dims))
    }),
    (&["masked.normalize"], |a| {
        let ord = a.float(1, "ord")?;
        let x = converted(a)?;
        let d = Dims::new(&[a.int(2, "dim")?], x.rank(), true)?;
        let norm = vector_norm(&fill(a, &x, norm_fill(ord))?, ord, &d);
        let eps = a.float_or(usize::MAX, "eps", 1e-12)?;
        one(fill(a, &x, 0.0)? / norm.less(eps).select(eps, &norm))
    }),
    (&["masked.var"], |a| one(variance(a)?)),
    (&["masked.std"], |a| one(variance(a)?.sqrt())),
    (&["masked.cumsum"], |a| along(a, 0.0, |x, d| x.cumsum(d))),
    (&["masked.cumprod"], |a| along(a, 1.0, |x, d| x.cumprod(d))),
    (&["masked.softmax"], |a| {
        along(a, f64::NEG_INFINITY, |x, d| x.softmax(d))
    }),
    (&["masked.log_softmax"], |a| {
        along(a, f64::NEG_INFINITY, |x, d| x.log_softmax(d))
    }),
    (&["masked.softmin"], |a| {
        along(a, f64::INFINITY, |x, d| (-x).softmax(d))
    }),
    (&["masked.logaddexp"], |a| {
        let (x, y) = (a.x()?, a.tensor(1, "other")?);
        let hidden = |x: Tensor, mask: &Node| match a.to_tensor(mask) {
            Some(mask) => mask.select(x, f64::NEG_INFINITY),
            None => x,
        };
        let x = hidden(x, a.named("input_mask"));
        let y = hidden(y, a.named("other_mask"));
        one(x.logaddexp(y))
    }),
];

/// The element that changes no norm of this order.
fn norm_fill(ord: f64) -> f64 {
    if ord == f64::NEG_INFINITY {
        f64::INFINITY
    } else {
        0.0
    }
}

/// The input with `value` where the mask hides it.
pub fn fill(a: &Args, x: &Tensor, value: f64) -> Res<Tensor> {
    Ok(match a.opt_tensor(usize::MAX, "mask")? {
        Some(mask) => mask.broadcast_to(x.shape()).select(x, value),
        None => x.clone(),
    })
}

fn filled(a: &Args, dim_at: usize, value: f64) -> Res<(Tensor, Dims)> {
    let x = converted(a)?;
    let dims = Dims::of(a, &x, dim_at, usize::MAX)?;
    Ok((fill(a, &x, value)?, dims))
}

/// How many elements the mask lets through.
fn count(a: &Args, x: &Tensor, dims: &Dims) -> Res<Tensor> {
    Ok(match a.opt_tensor(usize::MAX, "mask")? {
        Some(mask) => mask.broadcast_to(x.shape()).convert(DType::F64).sum(dims),
        None => x.ones_like().sum(dims),
    })
}

fn variance(a: &Args) -> Res<Tensor> {
    let (hidden, dims) = filled(a, 1, 0.0)?;
    // `unbiased` stands second.
    let correction = match (a.node(2, "unbiased"), a.named("correction")) {
        (Node::Bool(unbiased), _) => f64::from(u8::from(*unbiased)),
        (_, Node::Null) => 1.0,
        _ => a.float(usize::MAX, "correction")?,
    };
    let mean = hidden.sum(&dims.kept()) / count(a, &hidden, &dims.kept())?;
    let deviation = fill(a, &(converted(a)? - mean), 0.0)?;
    let divisor = (count(a, &hidden, &dims)? - correction).maximum(0.0);
    Ok(deviation.square().sum(&dims) / divisor)
}

fn along(a: &Args, value: f64, f: fn(&Tensor, usize) -> Tensor) -> Outs {
    let x = converted(a)?;
    let d = dim(a.int(1, "dim")?, x.rank())?;
    let hidden = fill(a, &x, value)?;
    one(match x.rank() {
        0 => f(&hidden.reshape([1]), 0).reshape(()),
        _ => f(&hidden, d),
    })
}
