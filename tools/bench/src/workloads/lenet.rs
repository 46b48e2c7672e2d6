//! W8: a convolutional network like LeNet; the gradient of its loss by all parameters.

use cotangent::nn::{Activation, Conv, Linear, Mlp, softmax_cross_entropy};
use cotangent::{Array, ConvOptions, Function, PoolOptions, Tensor, Tree};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

/// Two convolutions, each with relu and pooling, and three dense layers.
#[derive(Clone, Tree)]
struct LeNet<T> {
    convolutions: [Conv<T>; 2],
    dense: Mlp<T>,
}

impl LeNet<Tensor> {
    /// Images `[batch, 1, height, width]` to logits.
    fn apply(&self, images: &Tensor) -> Tensor {
        let mut x = images.clone();
        for conv in &self.convolutions {
            x = conv
                .apply(&x)
                .relu()
                .max_pool([2, 2], &PoolOptions::default());
        }
        self.dense.apply(&x.flatten(1, -1))
    }
}

fn loss(net: &LeNet<Tensor>, images: &Tensor, labels: &Tensor) -> Tensor {
    softmax_cross_entropy(&net.apply(images), labels)
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let [k1, b1, k2, b2, w3, b3, w4, b4, w5, b5] = inputs.list_of("params")?;
    let [batch, _, height, width] = inputs.dims("x")?;
    let conv = |kernel, bias, padding: usize| Conv {
        kernel,
        bias: Some(bias),
        options: ConvOptions::default().padding([padding, padding]),
    };
    let linear = |weight: Array, bias: Array| Linear {
        weight,
        bias: Some(bias),
    };
    let net = LeNet {
        convolutions: [conv(k1, b1, 2), conv(k2, b2, 0)],
        dense: Mlp {
            layers: vec![linear(w3, b3), linear(w4, b4), linear(w5, b5)],
            activation: Activation::Relu,
        },
    };
    let size = format!("batch={batch} images={height}x{width}");
    let arguments = (net, inputs.array("x")?, inputs.array("y")?);
    Ok(Job::gradient(size, Function::new(loss), arguments))
}

pub fn inputs(
    [batch, side]: [usize; 2],
    [a, b, classes]: [usize; 3],
    r: &mut Random,
) -> Result<Inputs, BenchError> {
    // The second convolution takes 4 off what the first pooling left.
    let last = (side / 2).saturating_sub(4) / 2;
    let mut params = Vec::new();
    for (outputs, inputs) in [(6, 1), (16, 6)] {
        let scale = 1.0 / ((inputs * 25) as f64).sqrt();
        params.push(r.normals32([outputs, inputs, 5, 5], scale)?);
        params.push(r.normals32([outputs], 0.01)?);
    }
    for (from, to) in [(16 * last * last, a), (a, b), (b, classes)] {
        params.push(r.normals32([from, to], 1.0 / (from as f64).sqrt())?);
        params.push(r.normals32([to], 0.01)?);
    }
    Ok(Inputs::default()
        .with_list("params", params)
        .with("x", r.normals32([batch, 1, side, side], 1.0)?)
        .with("y", r.indices(batch, classes)))
}
