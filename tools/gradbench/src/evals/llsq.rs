//! The objective of fitting a polynomial to the sign function by least squares.

use cotangent::{Array, DType, Function, Tensor, Tree, concat};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

pub fn eval() -> Eval {
    let primal = Function::new(objective);
    Eval::default()
        .with("gradient", primal.grad(), read, |g: Fit<Array>| nested(g.x))
        .with("primal", primal, read, nested)
}

/// The coefficients `x[m]` of a polynomial, and at how many points it is fitted.
#[derive(Clone, Tree)]
struct Fit<T> {
    x: T,
    #[tree(plain)]
    points: usize,
}

fn read(input: &Input<'_>) -> Result<(Fit<Array>,), EvalError> {
    let (x, points) = (input.floats_of_rank("x", 1)?, input.size("n")?);
    Ok((Fit { x, points },))
}

/// Half the sum of squared distances at equidistant points in [-1, 1].
fn objective(fit: &Fit<Tensor>) -> Tensor {
    let (n, m) = (fit.points, fit.x.len());
    let t = Tensor::arange(n, DType::F64) * (2.0 / (n as f64 - 1.0)) - 1.0;
    let s = t.sign();
    // The row of a point t is 1, t, t^2, ...
    let ones = Tensor::ones([n, m.min(1)], DType::F64);
    let factors = t.expand_dims(1).broadcast_to([n, m.saturating_sub(1)]);
    let powers = concat([ones, factors], 1).cumprod(1);
    (s - powers.dot(&fit.x)).square().sum(..) * 0.5
}
