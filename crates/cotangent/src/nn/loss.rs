//! What training minimises, and what is reported beside it.

use crate::Tensor;

/// The mean over all rows of -log p(label), where p is the softmax of the logits: `[..., classes]` and integers
/// `[...]` to a scalar.
///
/// # Errors
/// Recorded: labels of another shape. When run: a label outside of the classes.
#[track_caller]
pub fn softmax_cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy(labels, -1).mean(..)
}

/// [`softmax_cross_entropy`] for labels of which the share `smoothing` is spread evenly over all classes (Szegedy et
/// al. 2016).
///
/// # Errors
/// As for [`softmax_cross_entropy`].
#[track_caller]
pub fn smoothed_cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Tensor {
    let sharp = logits.cross_entropy(labels, -1).mean(..);
    if smoothing == 0.0 {
        return sharp;
    }
    sharp * (1.0 - smoothing) - logits.log_softmax(-1).mean(..) * smoothing
}

/// The mean of -log p(target), where p is the sigmoid of the logits and the targets are from 0 to 1: two tensors of
/// one shape to a scalar, without overflow.
///
/// # Errors
/// Recorded: shapes that do not broadcast.
#[track_caller]
pub fn binary_cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    logits.bce_with_logits(targets).mean(..)
}

/// The mean squared difference, a scalar.
///
/// # Errors
/// Recorded: shapes that do not broadcast.
#[track_caller]
pub fn mse(x: &Tensor, y: &Tensor) -> Tensor {
    x.mse_loss(y).mean(..)
}

/// The mean absolute difference, a scalar; where there is none its derivative is 0.
///
/// # Errors
/// Recorded: shapes that do not broadcast.
#[track_caller]
pub fn mae(x: &Tensor, y: &Tensor) -> Tensor {
    x.l1_loss(y).mean(..)
}

/// The mean of d^2 / 2 for differences d up to `delta`, and of delta * (|d| - delta / 2) beyond (Huber 1964); a scalar.
///
/// # Errors
/// Recorded: shapes that do not broadcast.
#[track_caller]
pub fn huber(x: &Tensor, y: &Tensor, delta: f64) -> Tensor {
    x.huber_loss(y, delta).mean(..)
}

/// The share of rows whose largest logit is that of the label: `[..., classes]` and integers `[...]` to a scalar of
/// the logits' dtype.
///
/// # Errors
/// Recorded: labels of another shape.
#[track_caller]
pub fn accuracy(logits: &Tensor, labels: &Tensor) -> Tensor {
    let guess = logits.argmax(-1).convert(labels.dtype());
    guess.equal(labels).convert(logits.dtype()).mean(..)
}
