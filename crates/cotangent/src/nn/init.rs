//! First parameters.

use crate::{DType, Key, Shape, Tensor, normal, uniform};

/// How first parameters are drawn. `fan_in` is how many values one output is made of, `fan_out` how many outputs one
/// value goes into.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Uniform between minus and plus this.
    Uniform(f64),
    /// Normal with this deviation.
    Normal(f64),
    /// Uniform with the variance 2 / (fan_in + fan_out), for tanh and sigmoid (Glorot and Bengio 2010).
    #[default]
    GlorotUniform,
    /// Normal with the same variance.
    GlorotNormal,
    /// Uniform with the variance 2 / fan_in, for relu (He et al. 2015).
    HeUniform,
    /// Normal with the same variance.
    HeNormal,
    /// Uniform with the variance 1 / fan_in (LeCun et al. 1998).
    LecunUniform,
    /// Normal with the same variance.
    LecunNormal,
}

impl Init {
    /// Draws parameters of a shape. Outside of a traced function this runs at once.
    #[track_caller]
    pub fn draw(
        self,
        key: &Key,
        shape: impl Into<Shape>,
        fan_in: usize,
        fan_out: usize,
        dtype: DType,
    ) -> Tensor {
        let shape = shape.into();
        let (fan_in, fan_out) = (fan_in.max(1) as f64, fan_out.max(1) as f64);
        let uniform = |variance: f64| {
            let limit = (3.0 * variance).sqrt();
            uniform(key, &shape, dtype) * (2.0 * limit) - limit
        };
        let normal = |variance: f64| normal(key, &shape, dtype) * variance.sqrt();
        match self {
            Init::Zeros => Tensor::zeros(&shape, dtype),
            Init::Ones => Tensor::ones(&shape, dtype),
            Init::Uniform(limit) => uniform(limit * limit / 3.0),
            Init::Normal(deviation) => normal(deviation * deviation),
            Init::GlorotUniform => uniform(2.0 / (fan_in + fan_out)),
            Init::GlorotNormal => normal(2.0 / (fan_in + fan_out)),
            Init::HeUniform => uniform(2.0 / fan_in),
            Init::HeNormal => normal(2.0 / fan_in),
            Init::LecunUniform => uniform(1.0 / fan_in),
            Init::LecunNormal => normal(1.0 / fan_in),
        }
    }
}
