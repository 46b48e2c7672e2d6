//! Losses, one for each element or example; take the mean, the sum or weights yourself.

use super::operand::together;
use super::{AxisIndex, Indices, Operand, OperandValue, Tensor, axes, fail, push};
use cotangent_graph::ops::Gather;

/// Losses. They are not reduced: `x.mse_loss(&y).mean(..)` is the mean squared error.
impl Tensor {
    /// Minus the logarithm of the probability that the softmax of these logits along an axis gives
    /// to the class that an integer label names. The result has the shape of the labels, that of
    /// the logits without the axis. A label out of range is an error when the function runs.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let logits = Tensor::from([[0.0, 0.0], [3.0_f64.ln(), 0.0]]);
    /// let loss = logits.cross_entropy([0, 1], -1).exp().round();
    /// assert_eq!(loss.to_array()?, [2.0, 4.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn cross_entropy(&self, labels: impl Into<Indices>, axis: impl AxisIndex) -> Tensor {
        let axis = axis.to_i64();
        -self
            .log_softmax(axis)
            .pick("cross_entropy", labels.into(), axis)
    }

    /// The cross-entropy of the softmax of these logits along an axis with given probabilities.
    #[track_caller]
    pub fn cross_entropy_soft(&self, probabilities: impl Operand, axis: impl AxisIndex) -> Tensor {
        let axis = axis.to_i64();
        let operands = [OperandValue::Tensor(self.clone()), probabilities.operand()];
        match together("cross_entropy_soft", operands) {
            // A class of probability 0 adds nothing, whatever its logit is.
            Ok([x, p]) => {
                let logs = x.log_softmax(axis);
                let logs = (p.equal(0.0) & logs.is_inf()).select(0.0, logs);
                -(p * logs).sum(axis)
            }
            Err(failed) => failed,
        }
    }

    /// Minus the elements along an axis that integer labels name: the loss for log-probabilities.
    #[track_caller]
    pub fn nll_loss(&self, labels: impl Into<Indices>, axis: impl AxisIndex) -> Tensor {
        -self.pick("nll_loss", labels.into(), axis.to_i64())
    }

    /// (x - y)^2
    #[track_caller]
    pub fn mse_loss(&self, target: impl Operand) -> Tensor {
        (self - target.operand()).square()
    }

    /// |x - y|
    #[track_caller]
    pub fn l1_loss(&self, target: impl Operand) -> Tensor {
        (self - target.operand()).abs()
    }

    /// (x - y)^2 / 2 where |x - y| is at most `delta`, and its tangent beyond (Huber 1964).
    #[track_caller]
    pub fn huber_loss(&self, target: impl Operand, delta: f64) -> Tensor {
        let d = self - target.operand();
        let near = d.abs().less_equal(delta);
        near.select(d.square() * 0.5, (d.abs() - 0.5 * delta) * delta)
    }

    /// [`huber_loss`](Tensor::huber_loss) divided by `beta`; |x - y| for `beta` 0.
    #[track_caller]
    pub fn smooth_l1_loss(&self, target: impl Operand, beta: f64) -> Tensor {
        if beta == 0.0 {
            self.l1_loss(target)
        } else {
            self.huber_loss(target, beta) / beta
        }
    }

    /// -(y log x + (1 - y) log(1 - x)) for probabilities, with logarithms of at least -100.
    #[track_caller]
    pub fn bce_loss(&self, target: impl Operand) -> Tensor {
        match together(
            "bce_loss",
            [OperandValue::Tensor(self.clone()), target.operand()],
        ) {
            Ok([x, y]) => {
                let log = x.log().clamp(-100.0, f64::INFINITY);
                let other = (-&x).log1p().clamp(-100.0, f64::INFINITY);
                -(&y * log) - (1.0 - &y) * other
            }
            Err(failed) => failed,
        }
    }

    /// The binary cross-entropy of sigmoid(x) with a target from 0 to 1, without overflow.
    #[track_caller]
    pub fn bce_with_logits(&self, target: impl Operand) -> Tensor {
        match together(
            "bce_with_logits",
            [OperandValue::Tensor(self.clone()), target.operand()],
        ) {
            Ok([x, y]) => x.softplus() - x * y,
            Err(failed) => failed,
        }
    }

    /// y (log y - x) for log-probabilities x and probabilities y; 0 where y is 0.
    #[track_caller]
    pub fn kl_div(&self, target: impl Operand) -> Tensor {
        match together(
            "kl_div",
            [OperandValue::Tensor(self.clone()), target.operand()],
        ) {
            Ok([x, y]) => y.xlogy(&y) - y * x,
            Err(failed) => failed,
        }
    }

    /// exp(x) - y x for the logarithm x of the expected count and the count y.
    #[track_caller]
    pub fn poisson_nll_loss(&self, target: impl Operand) -> Tensor {
        match together(
            "poisson_nll_loss",
            [OperandValue::Tensor(self.clone()), target.operand()],
        ) {
            Ok([x, y]) => x.exp() - y * x,
            Err(failed) => failed,
        }
    }

    /// log(1 + exp(-y x)) for labels y of -1 and 1.
    #[track_caller]
    pub fn soft_margin_loss(&self, target: impl Operand) -> Tensor {
        (-(self * target.operand())).softplus()
    }

    /// The elements along an axis that labels name, one for each place beside the axis.
    #[track_caller]
    fn pick(&self, name: &str, labels: Indices, axis: i64) -> Tensor {
        let labels = labels.into_tensor();
        let axis = match axes::index(axis, self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail(name, &[self, &labels], message),
        };
        let x = self.moveaxis(axis, -1);
        let lead = self.rank() - 1;
        if !labels.dtype().is_int() || labels.shape()[..] != x.shape()[..lead] {
            let message = format!(
                "expected integer labels of shape {}",
                crate::Shape::from(&x.shape()[..lead])
            );
            return fail(name, &[self, &labels], message);
        }
        push(
            Gather {
                axis: lead,
                batch: lead,
            },
            &[&x, &labels],
        )
    }
}
