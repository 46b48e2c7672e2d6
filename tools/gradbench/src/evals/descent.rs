//! Gradient descent, as `saddle` and `particle` define it.

use cotangent::{Function, Mode, Tensor, Tree, control};

/// Where the search is: the place, the value and gradient there, the length of a step, and how many
/// steps of this length were made.
#[derive(Clone, Tree)]
struct Search<T> {
    x: T,
    value: T,
    slope: T,
    rate: T,
    steps: T,
}

/// Near enough: a gradient or a step of this length.
const NEAR: f64 = 1e-5;

/// Where a function has a minimum, by gradients in the mode given. After ten steps downhill the
/// steps grow, after one uphill, which is not made, they shrink.
///
/// The search is part of the function that is being traced, so it is differentiated with it.
pub fn argmin(f: &Function<(Tensor,), Tensor>, mode: Mode, start: &Tensor) -> Tensor {
    let gradient = f.jacobian_of::<0>(mode);
    let search = Search {
        x: start.clone(),
        value: f.apply((start.clone(),)),
        slope: gradient.apply((start.clone(),)),
        rate: Tensor::from(1e-5),
        steps: Tensor::from(0_i64),
    };
    let goes_on = |s: &Search<Tensor>| {
        let long = (&s.x - s.next()).norm(..).greater(NEAR);
        s.slope.norm(..).greater(NEAR) & (s.grows() | long)
    };
    let body = |s: Search<Tensor>| {
        let step = |s: Search<Tensor>| {
            let x = s.next();
            let value = f.apply((x.clone(),));
            let down = |(x, value, s): (Tensor, Tensor, Search<Tensor>)| Search {
                slope: gradient.apply((x.clone(),)),
                x,
                value,
                steps: s.steps + 1_i64,
                ..s
            };
            let up = |(_, _, s): (Tensor, Tensor, Search<Tensor>)| s.with_rate(0.5);
            control::cond(&value.less(&s.value), down, up, (x, value.clone(), s))
        };
        control::cond(&s.grows(), |s: Search<Tensor>| s.with_rate(2.0), step, s)
    };
    control::while_loop(goes_on, body, search).x
}

impl Search<Tensor> {
    /// The place after a step.
    fn next(&self) -> Tensor {
        &self.x - &self.slope * &self.rate
    }

    fn grows(&self) -> Tensor {
        self.steps.equal(10_i64)
    }

    fn with_rate(self, factor: f64) -> Search<Tensor> {
        Search {
            rate: self.rate * factor,
            steps: Tensor::from(0_i64),
            ..self
        }
    }
}
