//! W1: the log posterior of a mixture of Gaussians, as ADBench states it: with the prior taken off.

use cotangent::{Array, Function, Tensor, Tree};
use gradbench::evals::gmm::{Mixture, log_likelihood, log_prior};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

/// k components in d dimensions; `icf[k, d (d + 1) / 2]` holds the logarithms of the diagonal of each
/// factor, then the elements below, column by column.
#[derive(Clone, Tree)]
struct Parameters<T> {
    alphas: T,
    means: T,
    icf: T,
}

fn objective(p: &Parameters<Tensor>, x: &Tensor, gamma: f64, m: f64) -> Tensor {
    let d = p.means.dim(1);
    let mixture = Mixture {
        alpha: p.alphas.clone(),
        mu: p.means.clone(),
        q: p.icf.at((.., ..d)),
        l: p.icf.at((.., d..)),
    };
    log_likelihood(&mixture, x) - log_prior(&mixture, &gamma.into(), &m.into())
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let parameters = Parameters {
        alphas: inputs.array("alphas")?,
        means: inputs.array("means")?,
        icf: inputs.array("icf")?,
    };
    let ([k, d], [n, _]) = (inputs.dims("means")?, inputs.dims("x")?);
    let (gamma, m) = (inputs.number("gamma")?, inputs.number("m")?);
    let f = Function::new(move |p: &Parameters<Tensor>, x: &Tensor| objective(p, x, gamma, m));
    // Some responsibilities are subnormal: C and JAX take them for zeros, too.
    let f = f.with_flushed_subnormals();
    let size = format!("d={d} k={k} n={n}");
    Ok(Job::gradient(size, f, (parameters, inputs.array("x")?)))
}

pub fn inputs([d, k, n]: [usize; 3], r: &mut Random) -> Result<Inputs, BenchError> {
    let scale = if d <= 64 { 1.0 } else { 0.5 };
    Ok(Inputs::default()
        .with_size("d", d)
        .with_size("k", k)
        .with_size("n", n)
        .with("alphas", r.normals([k], 1.0)?)
        .with("means", r.uniforms([k, d])?)
        .with("icf", r.normals([k, d * (d + 1) / 2], scale)?)
        .with("x", r.normals([n, d], 1.0)?)
        .with("gamma", Array::from(1.0))
        .with("m", Array::from(0.0)))
}
