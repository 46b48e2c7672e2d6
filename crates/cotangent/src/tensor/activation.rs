//! Activation functions. Each says what its derivative is at a kink.

use super::{Axes, Operand, OperandValue, Tensor, axes, fail, operand};
use crate::tensor::AxisIndex;

/// The scale and slope of `selu` (Klambauer et al. 2017, Self-Normalizing Neural Networks).
const SELU: (f64, f64) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_3);

/// Activation functions.
impl Tensor {
    /// max(x, 0); its derivative at 0 is 0.
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        self.less_equal(0).select(0, self)
    }

    /// min(max(x, 0), 6); its derivative at 0 and 6 is 0.
    #[track_caller]
    pub fn relu6(&self) -> Tensor {
        self.hardtanh(0.0, 6.0)
    }

    /// x moved into the interval from `lo` to `hi`; its derivative at both ends is 0, where
    /// [`clamp`](Tensor::clamp) has 1.
    #[track_caller]
    pub fn hardtanh(&self, lo: f64, hi: f64) -> Tensor {
        let high = self.greater_equal(hi).select(hi, self);
        self.less_equal(lo).select(lo, high)
    }

    /// x above 0, `slope` * x at 0 and below.
    #[track_caller]
    pub fn leaky_relu(&self, slope: impl Operand) -> Tensor {
        self.greater(0.0).select(self, self * slope.operand())
    }

    /// x above 0, `scale` * (exp(x) - 1) at 0 and below.
    #[track_caller]
    pub fn elu(&self, scale: f64) -> Tensor {
        let above = self.greater(0.0);
        above.select(self, above.select(0.0, self).expm1() * scale)
    }

    /// `elu` with the scales that keep mean 0 and variance 1 (Klambauer et al. 2017).
    #[track_caller]
    pub fn selu(&self) -> Tensor {
        self.elu(SELU.1) * SELU.0
    }

    /// x above 0, `scale` * (exp(x / `scale`) - 1) at 0 and below.
    #[track_caller]
    pub fn celu(&self, scale: f64) -> Tensor {
        let above = self.greater(0.0);
        above.select(self, (above.select(0.0, self) / scale).expm1() * scale)
    }

    /// x times the normal distribution function at x (Hendrycks and Gimpel 2016).
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        self * self.ndtr()
    }

    /// The approximation of [`gelu`](Tensor::gelu) by tanh (Hendrycks and Gimpel 2016).
    #[track_caller]
    pub fn gelu_tanh(&self) -> Tensor {
        let inner = (self + self.powi(3) * 0.044715) * (2.0 / std::f64::consts::PI).sqrt();
        self * (inner.tanh() + 1.0) * 0.5
    }

    /// x * sigmoid(x)
    #[doc(alias = "swish")]
    #[track_caller]
    pub fn silu(&self) -> Tensor {
        self * self.sigmoid()
    }

    /// x * tanh(softplus(x)) (Misra 2019).
    #[track_caller]
    pub fn mish(&self) -> Tensor {
        self * self.softplus().tanh()
    }

    /// log(1 + exp(x)) without overflow, with every derivative exact.
    #[track_caller]
    pub fn softplus(&self) -> Tensor {
        // max(x, 0) + log1p(exp(-|x|)), but chosen by `select`: both arms are the same smooth
        // function, so no convention for a kink gets into the derivatives at 0.
        let above = self.greater(0.0);
        above.select(self, 0.0) + above.select(-self, self).exp().log1p()
    }

    /// log(sigmoid(x)) without overflow.
    #[track_caller]
    pub fn log_sigmoid(&self) -> Tensor {
        -(-self).softplus()
    }

    /// x / (1 + |x|)
    #[track_caller]
    pub fn softsign(&self) -> Tensor {
        self / (self.abs() + 1.0)
    }

    /// min(max(x + 3, 0), 6) / 6; its derivative at the ends is 0.
    #[track_caller]
    pub fn hardsigmoid(&self) -> Tensor {
        (self + 3.0).relu6() / 6.0
    }

    /// x * hardsigmoid(x)
    #[track_caller]
    pub fn hardswish(&self) -> Tensor {
        self * self.hardsigmoid()
    }

    /// x where |x| is larger than `width`, 0 elsewhere.
    #[track_caller]
    pub fn hardshrink(&self, width: f64) -> Tensor {
        self.abs().less_equal(width).select(0.0, self)
    }

    /// x moved towards 0 by `width`, and 0 where |x| is not larger than that.
    #[track_caller]
    pub fn softshrink(&self, width: f64) -> Tensor {
        let moved = self.greater(0.0).select(self - width, self + width);
        self.abs().less_equal(width).select(0.0, moved)
    }

    /// x - tanh(x)
    #[track_caller]
    pub fn tanhshrink(&self) -> Tensor {
        self - self.tanh()
    }

    /// x above `limit`, `value` elsewhere.
    #[track_caller]
    pub fn threshold(&self, limit: f64, value: f64) -> Tensor {
        self.less_equal(limit).select(value, self)
    }

    /// softmax(-x) over axes.
    #[track_caller]
    pub fn softmin(&self, axes: impl Axes) -> Tensor {
        (-self).softmax(axes)
    }

    /// The first half along an axis times the sigmoid of the second half (Dauphin et al. 2016).
    #[track_caller]
    pub fn glu(&self, axis: impl AxisIndex) -> Tensor {
        let axis = match axes::index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail("glu", &[self], message),
        };
        let n = self.dim(axis);
        if n % 2 == 1 {
            return fail(
                "glu",
                &[self],
                format!("expected an even length of axis {axis}, found {n}"),
            );
        }
        self.cut(axis, 0..n / 2) * self.cut(axis, n / 2..n).sigmoid()
    }

    /// x / max(|x|, `floor`) with the p-norm over axes.
    #[track_caller]
    pub fn normalize(&self, p: f64, axes: impl Axes, floor: f64) -> Tensor {
        match self.resolve("normalize", axes) {
            Ok(set) => {
                let norm = self.norm_p(p, super::keep(set.axes));
                // `clamp` would pass the derivative on to a norm that stands on the floor.
                self / norm.less_equal(floor).select(floor, &norm)
            }
            Err(failed) => failed,
        }
    }

    /// The cosine of the angle between vectors along an axis: the product of both with their norms
    /// raised to at least `floor`.
    #[track_caller]
    pub fn cosine_similarity(
        &self,
        other: impl Operand,
        axis: impl AxisIndex,
        floor: f64,
    ) -> Tensor {
        let operands = [OperandValue::Tensor(self.clone()), other.operand()];
        match operand::together("cosine_similarity", operands) {
            Ok([x, y]) => {
                let axis = axis.to_i64();
                (x.normalize(2.0, axis, floor) * y.normalize(2.0, axis, floor)).sum(axis)
            }
            Err(failed) => failed,
        }
    }
}
