//! The log posterior of a mixture of Gaussians with a Wishart prior on the precisions.

use std::f64::consts::PI;

use cotangent::{Array, DType, Function, Tensor, Tree, einsum};
use serde_json::{Value, json};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

pub(crate) fn eval() -> Eval {
    let objective = Function::new(log_posterior);
    Eval::default()
        .with("jacobian", objective.grad(), read, write)
        .with("objective", objective, read, nested)
}

/// k components in d dimensions: weights `alpha[k]`, means `mu[k, d]`, and factors Q of the
/// precisions by the logarithms `q[k, d]` of their diagonals and, column by column, the elements
/// `l` [k, d (d - 1) / 2] below.
#[derive(Clone, Tree)]
pub struct Mixture<T> {
    /// `[k]`
    pub alpha: T,
    /// `[k, d]`
    pub mu: T,
    /// `[k, d]`
    pub q: T,
    /// `[k, d (d - 1) / 2]`
    pub l: T,
}

/// Points `x[n, d]` and the prior's precision and additional degrees of freedom.
#[derive(Clone, Tree)]
struct Data<T> {
    x: T,
    gamma: T,
    m: T,
}

fn read(input: &Input<'_>) -> Result<(Mixture<Array>, Data<Array>), EvalError> {
    let (k, d, n) = (input.size("k")?, input.size("d")?, input.size("n")?);
    // Lists of nothing do not say how deep they are; the sizes do.
    let shaped = |field: &str, shape: [usize; 2]| -> Result<Array, EvalError> {
        let wrong = |_| input.unexpected(field, format!("{} x {} numbers", shape[0], shape[1]));
        input.floats(field)?.reshape(shape).map_err(wrong)
    };
    let below = d.saturating_mul(d.saturating_sub(1)) / 2;
    let mixture = Mixture {
        alpha: input.floats_of_rank("alpha", 1)?,
        mu: shaped("mu", [k, d])?,
        q: shaped("q", [k, d])?,
        l: shaped("l", [k, below])?,
    };
    let data = Data {
        x: shaped("x", [n, d])?,
        gamma: input.floats_of_rank("gamma", 0)?,
        m: input.floats_of_rank("m", 0)?,
    };
    Ok((mixture, data))
}

fn write(gradient: Mixture<Array>) -> Value {
    json!({
        "alpha": nested(gradient.alpha),
        "mu": nested(gradient.mu),
        "q": nested(gradient.q),
        "l": nested(gradient.l),
    })
}

fn log_posterior(mixture: &Mixture<Tensor>, data: &Data<Tensor>) -> Tensor {
    log_likelihood(mixture, &data.x) + log_prior(mixture, &data.gamma, &data.m)
}

/// The logarithm of the probability of points `x[n, d]`.
pub fn log_likelihood(mixture: &Mixture<Tensor>, x: &Tensor) -> Tensor {
    let Mixture { alpha, mu, q, l } = mixture;
    let (n, d) = (x.dim(0) as f64, mu.dim(1) as f64);
    let factors = lower_triangular(&q.exp(), l);
    // Q (x - mu) as Q x - Q mu: one product for all points and components.
    let centers = einsum("kij,kj->ki", [&factors, mu]).expand_dims(1);
    let scaled = einsum("kij,nj->kni", [&factors, x]) - centers;
    let beta = (alpha + q.sum(1)).expand_dims(1) - scaled.square().sum(2) * 0.5;
    logsumexp(&beta).sum(..) - logsumexp(alpha) * n - n * d * 0.5 * (2.0 * PI).ln()
}

/// The logarithm of the Wishart prior of the precisions Q^T Q, with its precision `gamma` and `m`
/// additional degrees of freedom.
pub fn log_prior(mixture: &Mixture<Tensor>, gamma: &Tensor, m: &Tensor) -> Tensor {
    let Mixture { mu, q, l, .. } = mixture;
    let (k, d) = (mu.dim(0) as f64, mu.dim(1));
    let freedom = m + (d as f64 + 1.0);
    let mut log_gamma = freedom.zeros_like() + 0.25 * (d * d.saturating_sub(1)) as f64 * PI.ln();
    for j in 0..d {
        log_gamma += ((&freedom - j as f64) * 0.5).lgamma();
    }
    let constant = freedom * d as f64 * (gamma.log() - 0.5 * 2.0_f64.ln()) - log_gamma;
    let squares = q.exp().square().sum(..) + l.square().sum(..);
    constant * k - gamma.square() * 0.5 * squares + m * q.sum(..)
}

/// Over the first axis.
fn logsumexp(x: &Tensor) -> Tensor {
    let largest = x.max(0);
    (x - &largest).exp().sum(0).log() + largest
}

/// Matrices `[k, d, d]` of diagonals `[k, d]` and the elements below them, column by column.
fn lower_triangular(diagonal: &Tensor, below: &Tensor) -> Tensor {
    let (k, d) = (diagonal.dim(0), diagonal.dim(1));
    // Where each element of a matrix is found among diagonal, elements below, and a zero.
    let mut places = vec![(d + below.dim(1)) as i64; d * d];
    let mut next = d as i64;
    for column in 0..d {
        for (row, place) in places.iter_mut().skip(column).step_by(d.max(1)).enumerate() {
            if row == column {
                *place = column as i64;
            } else if row > column {
                *place = next;
                next += 1;
            }
        }
    }
    let zero = Tensor::zeros([k, 1], DType::F64);
    let elements = cotangent::concat([diagonal, below, &zero], 1);
    elements.take(Array::from(places), 1).reshape([k, d, d])
}
