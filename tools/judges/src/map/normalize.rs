//! Normalisation by the statistics of batches, layers, groups and neighbours.

use cotangent::{DType, Tensor};

use super::Table;
use super::tools::{Dims, as_i64, one};
use crate::args::{Args, Node, Outs, Res};

pub const TABLE: Table = &[
    (&["nn.functional.batch_norm"], |a| {
        let x = a.x()?;
        let running = running(a, 1, 2)?;
        let norm = Norm::batch(&x, a.float_or(7, "eps", 1e-5)?);
        let training = a.bool_or(5, "training", false)?;
        let norm = norm.of(&x, if training { None } else { running });
        one(norm.scaled(a.opt_tensor(3, "weight")?, a.opt_tensor(4, "bias")?))
    }),
    (&["native_batch_norm", "_native_batch_norm_legit"], |a| {
        // The form without running statistics has its flag in their place.
        let without = matches!(a.node(3, "running_mean"), Node::Bool(_));
        let at = if without { 3 } else { 5 };
        native_batch_norm(a, if without { None } else { running(a, 3, 4)? }, at)
    }),
    (&["_batch_norm_with_update"], |a| {
        let x = a.x()?;
        let norm = Norm::batch(&x, a.float_or(6, "eps", 1e-5)?).of(&x, None);
        let y = norm.scaled(a.opt_tensor(1, "weight")?, a.opt_tensor(2, "bias")?);
        let reserve = Tensor::zeros([0], DType::U8);
        Ok(vec![
            y,
            norm.mean.ravel(),
            norm.inverse_std().ravel(),
            reserve,
        ])
    }),
    (&["nn.functional.instance_norm"], |a| {
        let x = a.x()?;
        let use_input = a.bool_or(5, "use_input_stats", true)?;
        let mut norm = Norm::batch(&x, a.float_or(7, "eps", 1e-5)?);
        if use_input {
            norm.dims.axes.retain(|d| *d != 0);
        }
        let norm = norm.of(&x, if use_input { None } else { running(a, 1, 2)? });
        one(norm.scaled(a.opt_tensor(3, "weight")?, a.opt_tensor(4, "bias")?))
    }),
    (&["nn.functional.layer_norm"], |a| {
        let norm = layer(a, 4)?;
        one(norm.affine(a.opt_tensor(2, "weight")?, a.opt_tensor(3, "bias")?))
    }),
    (&["native_layer_norm"], |a| {
        let norm = layer(a, 4)?;
        let y = norm.affine(a.opt_tensor(2, "weight")?, a.opt_tensor(3, "bias")?);
        Ok(vec![y, norm.mean.clone(), norm.inverse_std()])
    }),
    (&["nn.functional.group_norm"], |a| {
        let x = a.x()?;
        let groups = a.size(1, "num_groups")?;
        let eps = a.float_or(4, "eps", 1e-5)?;
        let (weight, bias) = (a.opt_tensor(2, "weight")?, a.opt_tensor(3, "bias")?);
        one(group_norm(&x, groups, weight, bias, eps)?.0)
    }),
    (&["native_group_norm"], |a| {
        let x = a.x()?;
        let groups = a.size(6, "group")?;
        let (weight, bias) = (a.opt_tensor(1, "weight")?, a.opt_tensor(2, "bias")?);
        let (y, norm) = group_norm(&x, groups, weight, bias, a.float(7, "eps")?)?;
        let shape = [x.dim(0), groups];
        Ok(vec![
            y,
            norm.mean.reshape(shape),
            norm.inverse_std().reshape(shape),
        ])
    }),
    (&["nn.functional.rms_norm"], |a| {
        let x = a.x()?;
        let dims = trailing(&x, a.ints(1, "normalized_shape")?.len());
        let eps = a.float_or(3, "eps", f64::EPSILON)?;
        let y = &x * &(x.square().mean(&dims) + eps).rsqrt();
        one(match a.opt_tensor(2, "weight")? {
            Some(weight) => y * weight,
            None => y,
        })
    }),
    (&["nn.functional.local_response_norm"], |a| {
        let x = a.x()?;
        let size = a.size(1, "size")?;
        let alpha = a.float_or(2, "alpha", 1e-4)?;
        let beta = a.float_or(3, "beta", 0.75)?;
        let k = a.float_or(4, "k", 1.0)?;
        // The mean over `size` channels around each, zeros beyond the borders.
        let mut widths = vec![(0, 0); x.rank()];
        widths[1] = (size / 2, (size - 1) / 2);
        let squares = x.square().pad(&widths, cotangent::PadMode::ZERO);
        let mut sum = x.zeros_like();
        for shift in 0..size {
            sum += squares.slice_axis(1, shift..shift + x.dim(1));
        }
        one(&x / &(sum / size as f64 * alpha + k).pow(beta))
    }),
];

/// Normalisation by the mean and the variance over dimensions.
struct Norm {
    dims: Dims,
    eps: f64,
    x: Tensor,
    mean: Tensor,
    var: Tensor,
}

impl Norm {
    /// Over all dimensions but the channels, dimension 1.
    fn batch(x: &Tensor, eps: f64) -> Norm {
        let axes = (0..x.rank()).filter(|d| *d != 1).collect();
        Norm::over(x, Dims { axes, keep: true }, eps)
    }

    fn over(x: &Tensor, dims: Dims, eps: f64) -> Norm {
        Norm {
            dims,
            eps,
            x: x.clone(),
            mean: x.clone(),
            var: x.clone(),
        }
    }

    /// By statistics that are given, or those of `x` itself.
    fn of(mut self, x: &Tensor, given: Option<(Tensor, Tensor)>) -> Norm {
        (self.mean, self.var) = match given {
            // A batch without examples may have any statistics.
            Some(_) if x.rank() < 2 => (x.clone(), x.clone()),
            Some((mean, var)) => (channels(x, &mean), channels(x, &var)),
            None => (x.mean(&self.dims), x.var(&self.dims)),
        };
        self
    }

    fn inverse_std(&self) -> Tensor {
        (&self.var + self.eps).rsqrt()
    }

    fn result(&self) -> Tensor {
        (&self.x - &self.mean) * self.inverse_std()
    }

    /// The result scaled and moved by numbers for each channel.
    fn scaled(&self, weight: Option<Tensor>, bias: Option<Tensor>) -> Tensor {
        let by_channel = |t: Option<Tensor>| t.map(|t| channels(&self.x, &t));
        self.affine(by_channel(weight), by_channel(bias))
    }

    fn affine(&self, weight: Option<Tensor>, bias: Option<Tensor>) -> Tensor {
        let mut y = self.result();
        if let Some(weight) = weight {
            y *= weight;
        }
        if let Some(bias) = bias {
            y += bias;
        }
        y
    }
}

/// A vector laid along the channels of `x`.
fn channels(x: &Tensor, v: &Tensor) -> Tensor {
    let mut shape = vec![1; x.rank()];
    if let Some(channels) = shape.get_mut(1) {
        *channels = v.len();
    }
    v.reshape(as_i64(&shape))
}

/// The running mean and variance, where both are given.
fn running(a: &Args, mean: usize, var: usize) -> Res<Option<(Tensor, Tensor)>> {
    let mean = a.opt_tensor(mean, "running_mean")?;
    let var = a.opt_tensor(var, "running_var")?;
    Ok(mean.zip(var))
}

fn native_batch_norm(a: &Args, given: Option<(Tensor, Tensor)>, training_at: usize) -> Outs {
    let x = a.x()?;
    let training = a.bool_or(training_at, "training", false)?;
    let norm = Norm::batch(&x, a.float_or(training_at + 2, "eps", 1e-5)?);
    let norm = norm.of(&x, if training { None } else { given });
    let y = norm.scaled(a.opt_tensor(1, "weight")?, a.opt_tensor(2, "bias")?);
    if !training {
        let none = Tensor::zeros([0], x.dtype());
        return Ok(vec![y, none.clone(), none]);
    }
    Ok(vec![y, norm.mean.ravel(), norm.inverse_std().ravel()])
}

/// The last dimensions, kept.
fn trailing(x: &Tensor, count: usize) -> Dims {
    Dims {
        axes: (x.rank().saturating_sub(count)..x.rank()).collect(),
        keep: true,
    }
}

fn layer(a: &Args, eps_at: usize) -> Res<Norm> {
    let x = a.x()?;
    let dims = trailing(&x, a.ints(1, "normalized_shape")?.len());
    Ok(Norm::over(&x, dims, a.float_or(eps_at, "eps", 1e-5)?).of(&x, None))
}

/// By the statistics of groups of channels.
fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    eps: f64,
) -> Res<(Tensor, Norm)> {
    let inner: usize = x.shape().iter().skip(1).product();
    let grouped = x.reshape([x.dim(0), groups, inner / groups.max(1)]);
    let norm = Norm::over(&grouped, trailing(&grouped, 1), eps).of(&grouped, None);
    let mut y = norm.result().reshape(x.shape());
    if let Some(weight) = weight {
        y *= channels(x, &weight);
    }
    if let Some(bias) = bias {
        y += channels(x, &bias);
    }
    Ok((y, norm))
}
