//! W9a, W9b and W9c: functions of a few operations, on arrays and on scalars.

use cotangent::{DType, Function, Tensor};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

/// Rosenbrock's function of n variables.
fn on_arrays(x: &Tensor) -> Tensor {
    let (next, x) = (x.at(1..), x.at(..-1));
    ((next - x.square()).square() * 100.0 + (1.0 - x).square()).sum(..)
}

/// The same as one would write it for numbers: term by term.
fn on_scalars(x: &Tensor) -> Tensor {
    let x = x.unbind(0);
    let mut sum = Tensor::from(0.0);
    for (x, next) in x.iter().zip(x.iter().skip(1)) {
        sum = sum + (next - x * x).square() * 100.0 + (1.0 - x).square();
    }
    sum
}

/// Speelpenning's example: the product of all variables.
fn multiplied(x: &Tensor) -> Tensor {
    x.prod(..)
}

/// W9a
pub fn rosenbrock(inputs: &Inputs) -> Result<Job, BenchError> {
    job(inputs, Function::new(on_arrays))
}

/// W9b
pub fn rosenbrock_of_scalars(inputs: &Inputs) -> Result<Job, BenchError> {
    job(inputs, Function::new(on_scalars))
}

/// W9c
pub fn product(inputs: &Inputs) -> Result<Job, BenchError> {
    job(inputs, Function::new(multiplied))
}

fn job(inputs: &Inputs, function: Function<(Tensor,), Tensor>) -> Result<Job, BenchError> {
    let [n] = inputs.dims("x")?;
    Ok(Job::gradient(
        format!("n={n}"),
        function,
        (inputs.array("x")?,),
    ))
}

pub fn inputs(n: usize, r: &mut Random) -> Result<Inputs, BenchError> {
    Ok(Inputs::default().with("x", r.normals([n], 1.0)?))
}

/// Numbers whose product is neither huge nor tiny.
pub fn inputs_near_one(n: usize, r: &mut Random) -> Result<Inputs, BenchError> {
    let x = r.array(DType::F64, [n], |r| 1.0 + 0.05 * r.normal())?;
    Ok(Inputs::default().with("x", x))
}
