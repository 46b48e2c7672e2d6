//! The functions between layers.

use crate::Tensor;

/// A function between layers, applied to each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0); derivative 0 at 0.
    #[default]
    Relu,
    /// max(x, 0.01 x).
    LeakyRelu,
    /// x above 0, exp(x) - 1 below.
    Elu,
    /// x times the normal distribution function of x, exact.
    Gelu,
    /// x * sigmoid(x).
    Silu,
    /// log(1 + exp(x)).
    Softplus,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x itself.
    Identity,
}

impl Activation {
    /// Every activation.
    pub const ALL: &[Activation] = &[
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Elu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Softplus,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Identity,
    ];

    /// The function of every element; the shape stays.
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::LeakyRelu => x.leaky_relu(0.01),
            Activation::Elu => x.elu(1.0),
            Activation::Gelu => x.gelu(),
            Activation::Silu => x.silu(),
            Activation::Softplus => x.softplus(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Identity => x.clone(),
        }
    }
}
