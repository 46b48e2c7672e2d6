//! W9d: the Lotka-Volterra equations by the classical Runge-Kutta method; the gradient by the four
//! coefficients and the two populations at the beginning.

use cotangent::{Array, Function, Tensor, control};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;

/// The sum of squares of the populations after a number of steps of length h, from
/// `q = [a, b, c, d, x, y]`.
fn solve(q: &Tensor, steps: usize, h: f64) -> Tensor {
    let [a, b, c, d, x, y] = [0, 1, 2, 3, 4, 5].map(|i| q.at(i));
    let slope = |x: &Tensor, y: &Tensor| {
        let met = x * y;
        (&a * x - &b * &met, &d * met - &c * y)
    };
    let step = |_, (x, y): (Tensor, Tensor)| {
        let (k1, l1) = slope(&x, &y);
        let (k2, l2) = slope(&(&x + &k1 * (0.5 * h)), &(&y + &l1 * (0.5 * h)));
        let (k3, l3) = slope(&(&x + &k2 * (0.5 * h)), &(&y + &l2 * (0.5 * h)));
        let (k4, l4) = slope(&(&x + &k3 * h), &(&y + &l3 * h));
        (
            x + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0),
            y + (l1 + l2 * 2.0 + l3 * 2.0 + l4) * (h / 6.0),
        )
    };
    let (x, y) = control::fori_loop(steps, step, (x, y));
    x.square() + y.square()
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let (steps, h) = (inputs.size("steps")?, inputs.number("h")?);
    let f = Function::new(move |q: &Tensor| solve(q, steps, h));
    let size = format!("steps={steps}");
    Ok(Job::gradient(size, f, (inputs.array("q")?,)))
}

pub fn inputs(steps: usize) -> Result<Inputs, BenchError> {
    Ok(Inputs::default()
        .with("q", [1.5, 1.0, 3.0, 1.0, 10.0, 5.0])
        .with_size("steps", steps)
        .with("h", Array::from(0.01)))
}
