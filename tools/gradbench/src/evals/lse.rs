//! The logarithm of a sum of exponentials.

use cotangent::{Function, Tensor};

use crate::eval::Eval;
use crate::output::nested;

pub fn eval() -> Eval {
    let primal = Function::new(logsumexp);
    Eval::default()
        .with("gradient", primal.grad(), |i| Ok((i.floats("x")?,)), nested)
        .with("primal", primal, |i| Ok((i.floats("x")?,)), nested)
}

/// With the maximum taken out first, so that no exponential overflows. Written out, as the eval asks:
/// the library has this function, too.
fn logsumexp(x: &Tensor) -> Tensor {
    let largest = x.max(..);
    (x - &largest).exp().sum(..).log() + largest
}
