//! The square of a number and its derivative.

use cotangent::{Function, Tensor};

use crate::eval::Eval;
use crate::output::nested;

pub fn eval() -> Eval {
    let square = Function::new(|x: &Tensor| x * x);
    Eval::default()
        .with("double", square.grad(), |i| Ok((i.itself()?,)), nested)
        .with("square", square, |i| Ok((i.itself()?,)), nested)
}
