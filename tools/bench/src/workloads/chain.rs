//! W10: a chain of elementwise operations on long vectors, and a sum.

use cotangent::{Function, Tensor};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

fn objective((a, b, c): &(Tensor, Tensor, Tensor)) -> Tensor {
    ((a * b + c).tanh() * (-a.square()).exp()).sum(..)
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let [n] = inputs.dims("a")?;
    let arguments = ((inputs.array("a")?, inputs.array("b")?, inputs.array("c")?),);
    Ok(Job::gradient(
        format!("n={n}"),
        Function::new(objective),
        arguments,
    ))
}

pub fn inputs(n: usize, r: &mut Random) -> Result<Inputs, BenchError> {
    Ok(Inputs::default()
        .with("a", r.normals([n], 1.0)?)
        .with("b", r.normals([n], 1.0)?)
        .with("c", r.normals([n], 1.0)?))
}
