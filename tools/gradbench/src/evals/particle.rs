//! Steers a charged particle to the origin: gradient descent over Euler's method over a gradient.

use cotangent::{Array, Function, Mode, Tensor, concat, control};

use super::descent::argmin;
use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

/// The time between two steps.
const STEP: f64 = 0.1;

pub fn eval() -> Eval {
    use Mode::{Forward, Reverse};
    Eval::default()
        .with("ff", nesting(Forward, Forward), read, nested)
        .with("fr", nesting(Forward, Reverse), read, nested)
        .with("rf", nesting(Reverse, Forward), read, nested)
        .with("rr", nesting(Reverse, Reverse), read, nested)
}

fn read(input: &Input<'_>) -> Result<(Array,), EvalError> {
    Ok((input.floats_of_rank("w", 0)?,))
}

/// The control w that makes the particle meet the origin.
fn nesting(outer: Mode, inner: Mode) -> Function<(Tensor,), Tensor> {
    let miss = Function::new(move |w: &Tensor| miss(w, inner));
    Function::new(move |w: &Tensor| argmin(&miss, outer, w))
}

/// The square of where the particle meets the x axis. Its acceleration is a gradient in the mode
/// given, and when it meets the axis depends on w: nobody knows the number of steps before.
fn miss(w: &Tensor, mode: Mode) -> Tensor {
    let upper = concat([Tensor::from([10.0]), (10.0 - w).expand_dims(0)], 0);
    let charges = [upper, Tensor::from([10.0, 0.0])];
    let potential = move |x: &Tensor| {
        let [one, other] = charges.each_ref().map(|c| (x - c).norm(..).reciprocal());
        one + other
    };
    let force = Function::new(potential).jacobian_of::<0>(mode);
    let next = |x: &Tensor, velocity: &Tensor| x + velocity * STEP;
    let above = |(x, velocity): &(Tensor, Tensor)| next(x, velocity).at(1).greater(0.0);
    let step = |(x, velocity): (Tensor, Tensor)| {
        let acceleration = -force.apply((x.clone(),));
        (next(&x, &velocity), velocity + acceleration * STEP)
    };
    let start = (Tensor::from([0.0, 8.0]), Tensor::from([0.75, 0.0]));
    let (x, velocity) = control::while_loop(above, step, start);
    // The last step goes on a straight line to the axis, or back to it.
    let x = next(&x, &velocity);
    let rest = -x.at(1) / velocity.at(1);
    (x + velocity * rest).at(0).square()
}
