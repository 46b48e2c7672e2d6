//! An ordinary differential equation by the classical Runge-Kutta method.

use cotangent::{Array, DType, Function, Tensor, Tree, concat, control};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

pub fn eval() -> Eval {
    let primal = Function::new(solve);
    let last = Function::new(|p: &Problem<Tensor>| solve(p).at(-1));
    Eval::default()
        .with("gradient", last.grad(), read, |g: Problem<Array>| {
            nested(g.x)
        })
        .with("primal", primal, read, nested)
}

/// The parameters `x[n]` of the equation, and the number of steps to solve it in.
#[derive(Clone, Tree)]
struct Problem<T> {
    x: T,
    #[tree(plain)]
    steps: usize,
}

fn read(input: &Input<'_>) -> Result<(Problem<Array>,), EvalError> {
    let (x, steps) = (input.floats_of_rank("x", 1)?, input.size("s")?);
    Ok((Problem { x, steps },))
}

/// y(2) where y(0) = 0, y_0' = x_0 and y_i' = x_i y_(i-1).
fn solve(problem: &Problem<Tensor>) -> Tensor {
    let x = &problem.x;
    let h = 2.0 / problem.steps as f64;
    let one = Tensor::ones([1], DType::F64);
    let slope = |y: &Tensor| x * concat([&one, &y.at(..-1)], 0);
    let step = |_, y: Tensor| {
        let k1 = slope(&y);
        let k2 = slope(&(&y + &k1 * (h / 2.0)));
        let k3 = slope(&(&y + &k2 * (h / 2.0)));
        let k4 = slope(&(&y + &k3 * h));
        y + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0)
    };
    control::fori_loop(problem.steps, step, x.zeros_like())
}
