//! W5 and W6: multi-layer perceptrons. W5 is a classifier, and what is measured a whole step of
//! gradient descent; W6 is a regression on one sample, so small that calls themselves count.

use cotangent::nn::{Activation, Linear, Mlp, softmax_cross_entropy};
use cotangent::{Array, Function, Tensor};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::{Job, Kind, Program};
use crate::random::Random;

const RATE: f64 = 0.1;

/// The mean cross-entropy of the classes that the network gives.
fn loss(net: &Mlp<Tensor>, x: &Tensor, y: &Tensor) -> Tensor {
    softmax_cross_entropy(&net.apply(x), y)
}

/// The loss and the network after a step of gradient descent.
fn descend(net: &Mlp<Tensor>, x: &Tensor, y: &Tensor) -> (Tensor, Mlp<Tensor>) {
    let slope = Function::new(loss).value_and_grad();
    let (loss, gradient) = slope.apply((net.clone(), x.clone(), y.clone()));
    let layers = net.layers.iter().zip(&gradient.layers);
    let layers = layers.map(|(p, g)| Linear {
        weight: &p.weight - &g.weight * RATE,
        bias: p
            .bias
            .as_ref()
            .zip(g.bias.as_ref())
            .map(|(p, g)| p - g * RATE),
    });
    let activation = net.activation;
    let layers = layers.collect();
    (loss, Mlp { layers, activation })
}

/// The squared error of the network.
fn error(net: &Mlp<Tensor>, x: &Tensor, y: &Tensor) -> Tensor {
    (net.apply(x) - y).square().sum(..)
}

/// W5
pub fn step(inputs: &Inputs) -> Result<Job, BenchError> {
    let arguments = arguments(inputs, Activation::Relu)?;
    Ok(Job {
        size: size(inputs)?,
        primal: Program::new(Function::new(loss), arguments.clone()),
        derivative: Program::new(Function::new(descend), arguments),
        kind: Kind::Step { rate: RATE },
    })
}

/// W6
pub fn gradient(inputs: &Inputs) -> Result<Job, BenchError> {
    let arguments = arguments(inputs, Activation::Tanh)?;
    Ok(Job::gradient(
        size(inputs)?,
        Function::new(error),
        arguments,
    ))
}

fn arguments(
    inputs: &Inputs,
    activation: Activation,
) -> Result<(Mlp<Array>, Array, Array), BenchError> {
    let list = inputs.list("params")?;
    let layers = list.as_chunks::<2>().0.iter();
    let layers = layers.map(|[weight, bias]| Linear {
        weight: weight.clone(),
        bias: Some(bias.clone()),
    });
    let layers = layers.collect();
    Ok((
        Mlp { layers, activation },
        inputs.array("x")?,
        inputs.array("y")?,
    ))
}

fn size(inputs: &Inputs) -> Result<String, BenchError> {
    let [batch, width] = inputs.dims("x")?;
    let mut size = format!("batch={batch} {width}");
    for array in inputs.list("params")? {
        if let [_, width] = array.shape().dims() {
            size += &format!("-{width}");
        }
    }
    Ok(size)
}

pub fn inputs(widths: &[usize], batch: usize, r: &mut Random) -> Result<Inputs, BenchError> {
    let mut params = Vec::new();
    for (a, b) in widths.iter().zip(widths.iter().skip(1)) {
        params.push(r.normals32([*a, *b], 1.0 / (*a as f64).sqrt())?);
        params.push(r.normals32([*b], 0.01)?);
    }
    let (first, last) = match widths {
        [first, .., last] => (*first, *last),
        _ => (1, 1),
    };
    let x = r.normals32([batch, first], 1.0)?;
    let y = match last {
        1 => r.normals32([batch, 1], 1.0)?,
        classes => r.indices(batch, classes),
    };
    Ok(Inputs::default()
        .with_list("params", params)
        .with("x", x)
        .with("y", y))
}
