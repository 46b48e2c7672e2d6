//! A saddle point by gradient descent inside of gradient descent.

use cotangent::{Array, Function, Mode, Tensor, concat};

use super::descent::argmin;
use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

pub fn eval() -> Eval {
    use Mode::{Forward, Reverse};
    Eval::default()
        .with("ff", nesting(Forward, Forward), read, nested)
        .with("fr", nesting(Forward, Reverse), read, nested)
        .with("rf", nesting(Reverse, Forward), read, nested)
        .with("rr", nesting(Reverse, Reverse), read, nested)
}

fn read(input: &Input<'_>) -> Result<(Array,), EvalError> {
    let start = input.floats_of_rank("start", 1)?;
    match start.len() {
        2 => Ok((start,)),
        _ => Err(input.unexpected("start", "two numbers")),
    }
}

/// Both points x and y of min over x of max over y of f(x, y), from a start for each search.
fn nesting(outer: Mode, inner: Mode) -> Function<(Tensor,), Tensor> {
    Function::new(move |start: &Tensor| {
        let from = start.clone();
        let max_over_y = Function::new(move |x: &Tensor| f(x, &argmax(x, inner, &from)));
        let x = argmin(&max_over_y, outer, start);
        let y = argmax(&x, outer, start);
        concat([x, y], 0)
    })
}

/// The y where f(x, y) is largest.
fn argmax(x: &Tensor, mode: Mode, start: &Tensor) -> Tensor {
    let x = x.clone();
    argmin(&Function::new(move |y: &Tensor| -f(&x, y)), mode, start)
}

fn f(x: &Tensor, y: &Tensor) -> Tensor {
    x.square().sum(..) - y.square().sum(..)
}
