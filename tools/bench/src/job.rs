//! A workload on its inputs: the function, its derivative, and what their results mean.

use std::sync::Arc;
use std::time::Instant;

use cotangent::{Array, Function, Tensor, Traced, Tree};

use crate::error::BenchError;

/// A workload on its inputs.
pub struct Job {
    /// The sizes, to read.
    pub size: String,
    /// The function itself.
    pub primal: Program,
    /// Its derivative, found by transformation.
    pub derivative: Program,
    /// What the results of the derivative are.
    pub kind: Kind,
}

/// What the results of a derivative are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The value, then the gradient.
    ValueAndGradient,
    /// The value and, in place of the gradient, parameters after a step of gradient descent with
    /// this rate. The next call begins with them.
    Step { rate: f64 },
    /// A whole derivative alone; the value is that of the function.
    Whole,
    /// A whole Jacobian; the value is the sum of squares of the function's first result.
    Jacobian,
}

/// A function and the arrays that it is called with.
pub struct Program {
    trace: Box<dyn Fn() -> Result<Arc<Traced>, cotangent::Error>>,
    inputs: Vec<Array>,
}

/// A program that has been compiled.
pub struct Built {
    pub traced: Arc<Traced>,
    pub inputs: Vec<Array>,
    pub times: Times,
}

/// Where the time until a program can run goes, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Tracing the function; where the derivative is a part of a larger traced function, taking the
    /// derivative, too.
    pub trace: f64,
    /// Taking the derivative.
    pub transform: f64,
    /// Compiling the derivative.
    pub compile: f64,
}

impl Program {
    /// A function and its arguments.
    pub fn new<I, O>(function: Function<I, O>, arguments: I::Of<Array>) -> Program
    where
        I: Tree<Tensor> + 'static,
        O: Tree<Tensor> + 'static,
    {
        Program {
            inputs: arguments.leaves().into_iter().cloned().collect(),
            trace: Box::new(move || function.trace(&arguments)),
        }
    }

    /// Traces and compiles.
    pub fn build(&self) -> Result<Built, BenchError> {
        let start = Instant::now();
        let traced = (self.trace)()?;
        let trace = start.elapsed().as_secs_f64();
        let start = Instant::now();
        traced.compile()?;
        let times = Times {
            trace,
            transform: 0.0,
            compile: start.elapsed().as_secs_f64(),
        };
        Ok(Built {
            traced,
            inputs: self.inputs.clone(),
            times,
        })
    }
}

impl Job {
    /// The gradient of a scalar function with respect to its first argument.
    pub fn gradient<I>(size: String, function: Function<I, Tensor>, arguments: I::Of<Array>) -> Job
    where
        I: cotangent::Argument<0> + 'static,
        I::Of<Array>: Clone,
    {
        Job {
            size,
            derivative: Program::new(function.value_and_grad(), arguments.clone()),
            primal: Program::new(function, arguments),
            kind: Kind::ValueAndGradient,
        }
    }

    /// Traces the function and its derivative, and compiles the derivative.
    pub fn build(&self) -> Result<Built, BenchError> {
        let mut first = 0.0;
        // These derivatives are transformations of what the primal is traced to, which is kept.
        if matches!(self.kind, Kind::ValueAndGradient | Kind::Whole) {
            let start = Instant::now();
            (self.primal.trace)()?;
            first = start.elapsed().as_secs_f64();
        }
        let mut built = self.derivative.build()?;
        if first > 0.0 {
            built.times.transform = built.times.trace;
            built.times.trace = first;
        }
        Ok(built)
    }
}

impl Built {
    /// The first run.
    pub fn first(&self) -> Result<Vec<Array>, BenchError> {
        Ok(self.traced.run(&self.inputs)?)
    }

    /// A run into the results of an earlier one.
    pub fn run(&self, results: &mut [Array]) -> Result<(), BenchError> {
        Ok(self.traced.run_into(&self.inputs, results)?)
    }

    /// Puts new parameters, the results after the first, in the place of the old ones.
    pub fn advance(&mut self, results: &mut [Array]) {
        for (old, new) in self.inputs.iter_mut().zip(results.iter_mut().skip(1)) {
            std::mem::swap(old, new);
        }
    }
}

impl Times {
    /// All of it, in milliseconds.
    pub fn total_ms(&self) -> f64 {
        (self.trace + self.transform + self.compile) * 1e3
    }
}
