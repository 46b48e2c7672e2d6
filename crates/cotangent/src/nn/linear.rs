//! Dense layers.

use super::{Activation, Init};
use crate::scopes::Inside;
use crate::{DType, Key, Tensor, Tree};

/// A dense layer: `x @ weight + bias`.
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct Linear<T> {
    /// `[inputs, outputs]`
    pub weight: T,
    /// `[outputs]`
    pub bias: Option<T>,
}

impl Linear<Tensor> {
    /// First parameters: weights as drawn, a bias of 0.
    #[track_caller]
    pub fn init(key: &Key, inputs: usize, outputs: usize, init: Init, dtype: DType) -> Self {
        Linear {
            weight: init.draw(key, [inputs, outputs], inputs, outputs, dtype),
            bias: Some(Tensor::zeros([outputs], dtype)),
        }
    }

    /// `[..., inputs]` to `[..., outputs]`.
    #[track_caller]
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let _scope = Inside::layer(self.leaves());
        let y = x.matmul(&self.weight);
        match &self.bias {
            Some(bias) => y + bias,
            None => y,
        }
    }
}

/// Dense layers with an activation after each but the last: a multi-layer perceptron.
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct Mlp<T> {
    /// The layers in order.
    pub layers: Vec<Linear<T>>,
    /// What hidden layers apply.
    #[tree(plain)]
    pub activation: Activation,
}

impl Mlp<Tensor> {
    /// First parameters for layers between these widths: `[inputs, hidden, ..., outputs]`.
    #[track_caller]
    pub fn init(
        key: &Key,
        widths: &[usize],
        activation: Activation,
        init: Init,
        dtype: DType,
    ) -> Self {
        let pairs = widths.iter().zip(widths.iter().skip(1));
        let layer = |(i, (inputs, outputs)): (usize, (&usize, &usize))| {
            Linear::init(&key.fold_in(i as i64), *inputs, *outputs, init, dtype)
        };
        Mlp {
            layers: pairs.enumerate().map(layer).collect(),
            activation,
        }
    }

    /// `[..., inputs]` to `[..., outputs]`.
    #[track_caller]
    pub fn apply(&self, x: &Tensor) -> Tensor {
        self.forward(x, |x, _| x)
    }

    /// The same with hidden values left out at random, for training: each is 0 with the probability `rate`, and the
    /// others are divided by `1 - rate` (Srivastava et al. 2014).
    #[track_caller]
    pub fn apply_dropout(&self, x: &Tensor, key: &Key, rate: f64) -> Tensor {
        self.forward(x, |x, layer| x.dropout(&key.fold_in(layer as i64), rate))
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, hidden: impl Fn(Tensor, usize) -> Tensor) -> Tensor {
        // `weight` of a layer is `layers.0.weight` here.
        let _scope = Inside::holder(self.leaves(), 2);
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.apply(&x);
            if i + 1 < self.layers.len() {
                x = hidden(self.activation.apply(&x), i);
            }
        }
        x
    }
}
