//! Layers that normalise what passes through.

use crate::scopes::Inside;
use crate::{DType, Tensor, Tree};

/// Added to variances, so that nothing is divided by 0.
const EPSILON: f64 = 1e-5;

/// Mean 0 and variance 1 over the last axis, then a learned scale and offset (Ba, Kiros and Hinton 2016).
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct LayerNorm<T> {
    /// `[width]`
    pub scale: T,
    /// `[width]`
    pub offset: T,
}

impl LayerNorm<Tensor> {
    /// First parameters: scale 1, offset 0.
    #[track_caller]
    pub fn init(width: usize, dtype: DType) -> Self {
        LayerNorm {
            scale: Tensor::ones([width], dtype),
            offset: Tensor::zeros([width], dtype),
        }
    }

    /// `[..., width]` to the same shape.
    #[track_caller]
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let _scope = Inside::layer(self.leaves());
        x.layer_norm(-1, EPSILON) * &self.scale + &self.offset
    }
}

/// Mean 0 and variance 1 of each channel over the batch, then a learned scale and offset (Ioffe and Szegedy 2015).
/// Channels are axis 1.
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct BatchNorm<T> {
    /// `[channels]`
    pub scale: T,
    /// `[channels]`
    pub offset: T,
}

/// Running mean and variance of each channel: no parameters, so they are kept apart from these.
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct BatchStatistics<T> {
    /// `[channels]`
    pub mean: T,
    /// `[channels]`
    pub variance: T,
}

impl BatchStatistics<Tensor> {
    /// What stands for a batch before there was one: mean 0, variance 1.
    #[track_caller]
    pub fn init(channels: usize, dtype: DType) -> Self {
        BatchStatistics {
            mean: Tensor::zeros([channels], dtype),
            variance: Tensor::ones([channels], dtype),
        }
    }
}

impl BatchNorm<Tensor> {
    /// First parameters: scale 1, offset 0.
    #[track_caller]
    pub fn init(channels: usize, dtype: DType) -> Self {
        BatchNorm {
            scale: Tensor::ones([channels], dtype),
            offset: Tensor::zeros([channels], dtype),
        }
    }

    /// For training, by the statistics of this batch: `[batch, channels, ...]` to the same shape. The new running
    /// statistics keep the share `momentum` of the old ones; their variance is that of a sample, as in PyTorch.
    #[track_caller]
    pub fn apply_training(
        &self,
        x: &Tensor,
        running: &BatchStatistics<Tensor>,
        momentum: f64,
    ) -> (Tensor, BatchStatistics<Tensor>) {
        let _scope = Inside::layer(self.leaves());
        let (y, mean, variance) = x.batch_norm(EPSILON);
        let count = x.len() / x.dim(1).max(1);
        let unbiased = count as f64 / count.saturating_sub(1).max(1) as f64;
        let blend =
            |old: &Tensor, new: Tensor| old * momentum + new.stop_gradient() * (1.0 - momentum);
        let running = BatchStatistics {
            mean: blend(&running.mean, mean),
            variance: blend(&running.variance, variance * unbiased),
        };
        (self.scaled(&y), running)
    }

    /// For use, by given statistics: `[batch, channels, ...]` to the same shape.
    #[track_caller]
    pub fn apply(&self, x: &Tensor, statistics: &BatchStatistics<Tensor>) -> Tensor {
        let _scope = Inside::layer(self.leaves());
        self.scaled(&x.batch_norm_with(&statistics.mean, &statistics.variance, EPSILON))
    }

    /// Scale and offset of each channel, the same at every place.
    #[track_caller]
    fn scaled(&self, x: &Tensor) -> Tensor {
        let axes: Vec<usize> = (1..x.rank().saturating_sub(1)).collect();
        x * self.scale.expand_dims(&axes) + self.offset.expand_dims(&axes)
    }
}
