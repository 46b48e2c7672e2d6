//! The workloads, each written as a user of the library writes it: a plain function over tensors, and
//! its derivative by transformation.

mod block;
mod bundle;
mod chain;
mod hand;
mod lenet;
mod logistic;
mod lstm;
mod mixture;
mod mlp;
mod norm;
mod ode;
mod scalars;
#[cfg(test)]
mod tests;

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

/// One workload.
pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    /// Inputs of a scale, from a generator.
    make: fn(Scale, &mut Random) -> Result<Inputs, BenchError>,
    /// The functions for inputs.
    pub job: fn(&Inputs) -> Result<Job, BenchError>,
    /// A peer that is written for the usual sizes alone, and why.
    pub fixed: Option<(&'static str, &'static str)>,
}

/// How large inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As published.
    Usual,
    /// A little off in every size, so that nothing is a round number.
    Odd,
    /// For tests.
    #[cfg(test)]
    Tiny,
}

impl Scale {
    /// What is used at this scale.
    fn of<T>(self, usual: T, odd: T, _tiny: T) -> T {
        match self {
            Scale::Usual => usual,
            Scale::Odd => odd,
            #[cfg(test)]
            Scale::Tiny => _tiny,
        }
    }
}

impl Workload {
    /// Inputs of a scale: always the same numbers.
    pub fn inputs(&self, scale: Scale) -> Result<Inputs, BenchError> {
        let name = format!("{} {scale:?}", self.name);
        (self.make)(scale, &mut Random::named(&name))
    }
}

/// The workload of a name.
pub fn find(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|w| w.name == name)
}

const GMM_IN_C: Option<(&str, &str)> = Some(("c", "takes d in steps of 4 and n in steps of 200"));

/// All workloads.
pub const ALL: &[Workload] = &[
    Workload {
        name: "W1",
        title: "Gaussian mixture, f64",
        make: |s, r| mixture::inputs(s.of([64, 50, 1000], [63, 51, 1003], [3, 2, 5]), r),
        job: mixture::job,
        fixed: GMM_IN_C,
    },
    Workload {
        name: "W1s",
        title: "Gaussian mixture, smaller, f64",
        make: |s, r| mixture::inputs(s.of([64, 25, 1000], [63, 26, 1003], [2, 1, 4]), r),
        job: mixture::job,
        fixed: GMM_IN_C,
    },
    Workload {
        name: "W1b",
        title: "Gaussian mixture, bigger, f64",
        make: |s, r| mixture::inputs(s.of([128, 200, 1000], [127, 201, 1003], [4, 3, 3]), r),
        job: mixture::job,
        fixed: GMM_IN_C,
    },
    Workload {
        name: "W2",
        title: "Bundle adjustment, the whole sparse Jacobian, f64",
        make: |s, r| bundle::inputs(s.of([49, 7776, 31843], [51, 7801, 31849], [2, 3, 5]), r),
        job: bundle::job,
        fixed: None,
    },
    Workload {
        name: "W3",
        title: "LSTM with diagonal weights, f64",
        make: |s, r| lstm::inputs(s.of([2, 1024, 14], [2, 1031, 13], [2, 6, 3]), r),
        job: lstm::job,
        fixed: None,
    },
    Workload {
        name: "W3b",
        title: "LSTM with diagonal weights, bigger, f64",
        make: |s, r| lstm::inputs(s.of([4, 4096, 14], [4, 4099, 13], [3, 4, 2]), r),
        job: lstm::job,
        fixed: None,
    },
    Workload {
        name: "W4",
        title: "Hand tracking with barycentric coordinates, Jacobian, f64",
        make: |s, r| hand::inputs(s.of([544, 1084, 400], [547, 1091, 403], [6, 4, 3]), true, r),
        job: hand::job,
        fixed: None,
    },
    Workload {
        name: "W4s",
        title: "Hand tracking, Jacobian, f64",
        make: |s, r| {
            hand::inputs(
                s.of([544, 1084, 400], [547, 1091, 403], [5, 3, 2]),
                false,
                r,
            )
        },
        job: hand::job,
        fixed: None,
    },
    Workload {
        name: "W5",
        title: "Perceptron, a whole step of gradient descent, f32",
        make: |s, r| {
            let widths = s.of([784, 512, 512, 10], [783, 511, 509, 11], [5, 4, 3, 3]);
            mlp::inputs(&widths, s.of(128, 127, 2), r)
        },
        job: mlp::step,
        fixed: None,
    },
    Workload {
        name: "W6",
        title: "Small perceptron on one sample, f32",
        make: |s, r| mlp::inputs(&s.of([64, 64, 64, 1], [63, 65, 63, 1], [3, 4, 3, 1]), 1, r),
        job: mlp::gradient,
        fixed: Some(("c", "is written for 64-64-64-1")),
    },
    Workload {
        name: "W7",
        title: "Transformer block, f32",
        make: |s, r| {
            let sizes = s.of(
                [8, 128, 256, 4, 1024],
                [7, 127, 260, 4, 1021],
                [2, 3, 4, 2, 5],
            );
            block::inputs(sizes, r)
        },
        job: block::job,
        fixed: None,
    },
    Workload {
        name: "W8",
        title: "LeNet, f32",
        make: |s, r| {
            let dense = s.of([120, 84, 10], [119, 83, 11], [5, 4, 3]);
            lenet::inputs(s.of([64, 28], [63, 27], [2, 16]), dense, r)
        },
        job: lenet::job,
        fixed: None,
    },
    Workload {
        name: "W9a",
        title: "Rosenbrock on arrays, f64",
        make: |s, r| scalars::inputs(s.of(1000, 1003, 5), r),
        job: scalars::rosenbrock,
        fixed: None,
    },
    Workload {
        name: "W9b",
        title: "Rosenbrock written with scalars, f64",
        make: |s, r| scalars::inputs(s.of(1000, 1003, 5), r),
        job: scalars::rosenbrock_of_scalars,
        fixed: None,
    },
    Workload {
        name: "W9c",
        title: "Product, f64",
        make: |s, r| scalars::inputs_near_one(s.of(1000, 1003, 5), r),
        job: scalars::product,
        fixed: None,
    },
    Workload {
        name: "W9d",
        title: "Lotka-Volterra equations by Runge-Kutta's method, f64",
        make: |s, _| ode::inputs(s.of(1000, 1003, 5)),
        job: ode::job,
        fixed: Some(("c", "is written for 1,000 steps")),
    },
    Workload {
        name: "W10",
        title: "sum(tanh(a b + c) exp(-a a)), f64",
        make: |s, r| chain::inputs(s.of(10_000_000, 9_999_991, 7), r),
        job: chain::job,
        fixed: None,
    },
    Workload {
        name: "W11",
        title: "Logistic regression, Hessian-vector product, f64",
        make: |s, r| logistic::inputs(s.of([10_000, 100], [10_007, 101], [6, 3]), r),
        job: logistic::hvp,
        fixed: None,
    },
    Workload {
        name: "W11h",
        title: "Logistic regression, Hessian, f64",
        make: |s, r| logistic::inputs(s.of([10_000, 100], [10_007, 101], [6, 3]), r),
        job: logistic::hessian,
        fixed: None,
    },
    Workload {
        name: "W12",
        title: "Layer norm and softmax cross-entropy, f32",
        make: |s, r| norm::inputs(s.of([4096, 1000], [4099, 1003], [3, 5]), r),
        job: norm::job,
        fixed: None,
    },
];
