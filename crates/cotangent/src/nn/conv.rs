//! Convolution layers.

use super::Init;
use crate::scopes::Inside;
use crate::{ConvOptions, DType, Key, Tensor, Tree};

/// A convolution over 1, 2 or 3 axes (cross-correlation, as everywhere in machine learning).
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct Conv<T> {
    /// `[outputs, inputs / groups, window...]`
    pub kernel: T,
    /// `[outputs]`
    pub bias: Option<T>,
    /// Strides, padding, dilation, groups.
    #[tree(plain)]
    pub options: ConvOptions,
}

impl Conv<Tensor> {
    /// First parameters for channels `inputs` to `outputs` and a window with one length for each axis.
    #[track_caller]
    pub fn init(
        key: &Key,
        inputs: usize,
        outputs: usize,
        window: &[usize],
        options: ConvOptions,
        init: Init,
        dtype: DType,
    ) -> Self {
        let groups = options.groups.max(1);
        let area = window.iter().copied().fold(1usize, usize::saturating_mul);
        let shape = [&[outputs, inputs / groups], window].concat();
        let fan_in = (inputs / groups).saturating_mul(area);
        let fan_out = (outputs / groups).saturating_mul(area);
        Conv {
            kernel: init.draw(key, shape, fan_in, fan_out, dtype),
            bias: Some(Tensor::zeros([outputs], dtype)),
            options,
        }
    }

    /// `[batch, inputs, sizes...]` to `[batch, outputs, sizes...]`.
    #[track_caller]
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let _scope = Inside::layer(self.leaves());
        let y = x.conv(&self.kernel, &self.options);
        match &self.bias {
            // One number for each channel, the same at every place.
            Some(bias) => {
                let axes: Vec<usize> = (1..y.rank().saturating_sub(1)).collect();
                y + bias.expand_dims(axes)
            }
            None => y,
        }
    }
}
