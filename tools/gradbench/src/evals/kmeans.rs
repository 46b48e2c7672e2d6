//! The cost of clusters around centroids, and the step of Newton's method for it.

use cotangent::{Array, Function, Tensor, grad, jvp};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

pub fn eval() -> Eval {
    Eval::default()
        .with("cost", Function::new(cost), read, nested)
        .with("dir", Function::new(direction), read, nested)
}

/// Centroids `[k, d]` and points `[n, d]`.
fn read(input: &Input<'_>) -> Result<(Array, Array), EvalError> {
    let centroids = input.floats_of_rank("centroids", 2)?;
    Ok((centroids, input.floats_of_rank("points", 2)?))
}

/// The sum of the squared distances of points to their nearest centroids.
fn cost(centroids: &Tensor, points: &Tensor) -> Tensor {
    // |p - c|^2 = |p|^2 - 2 p c + |c|^2, where |p|^2 does not matter for which c is nearest.
    let distances = centroids.square().sum(1) - points.matmul(&centroids.t()) * 2.0;
    let nearest = centroids.take(distances.argmin(1), 0);
    (points - nearest).square().sum(..)
}

/// The gradient divided by the diagonal of the Hessian. There is nothing beside the diagonal, so its
/// product with ones is the diagonal itself; one forward pass over the gradient gives both.
fn direction(centroids: &Tensor, points: &Tensor) -> Tensor {
    let points = points.clone();
    let gradient = grad(move |c: &Tensor| cost(c, &points));
    let (slope, diagonal) = jvp(gradient, (centroids.clone(),), (centroids.ones_like(),));
    slope / diagonal
}
