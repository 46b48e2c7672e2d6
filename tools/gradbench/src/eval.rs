//! Evals: named functions of the library, each with a reader of its input and a writer of its output.

use std::time::{Duration, Instant};

use cotangent::{Array, Function, Tensor, Tree, tree};
use serde_json::Value;

use crate::input::Input;

/// The functions of one module of GradBench.
#[derive(Default)]
pub struct Eval {
    functions: Vec<(&'static str, Box<Run>)>,
}

type Run = dyn Fn(&Input<'_>) -> Result<(Value, Vec<Timing>), EvalError>;

/// How long one thing took.
pub struct Timing {
    pub name: &'static str,
    pub duration: Duration,
}

/// Why a message could not be answered with a result.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error("no module `{0}` is defined")]
    Module(String),
    #[error("module has no function `{0}`")]
    Function(String),
    #[error("`{field}`: expected {expected}, found {found}")]
    Input {
        field: String,
        expected: String,
        found: String,
    },
    #[error(transparent)]
    Library(#[from] cotangent::Error),
    #[error(transparent)]
    Array(#[from] cotangent::ArrayError),
    #[error(transparent)]
    Tree(#[from] tree::TreeError),
}

impl EvalError {
    /// A field of a message that is not what was expected.
    pub fn input(field: &str, expected: impl Into<String>, found: &Value) -> EvalError {
        let mut found = found.to_string();
        if found.chars().count() > 60 {
            found = found.chars().take(60).chain("...".chars()).collect();
        }
        EvalError::Input {
            field: field.to_owned(),
            expected: expected.into(),
            found,
        }
    }
}

impl Eval {
    /// Adds a function: `read` makes its arguments of the input, `write` the output of its result.
    pub fn with<I, O>(
        mut self,
        name: &'static str,
        function: Function<I, O>,
        read: impl Fn(&Input<'_>) -> Result<I::Of<Array>, EvalError> + 'static,
        write: impl Fn(O::Of<Array>) -> Value + 'static,
    ) -> Eval
    where
        I: Tree<Tensor> + 'static,
        O: Tree<Tensor> + 'static,
    {
        let run = move |input: &Input<'_>| {
            let arguments = read(input)?;
            let (result, timings) = timed(&function, &arguments, input)?;
            Ok((write(result), timings))
        };
        self.functions.push((name, Box::new(run)));
        self
    }

    /// Runs a function as often and as long as the input asks for.
    pub fn evaluate(
        &self,
        function: &str,
        input: &Input<'_>,
    ) -> Result<(Value, Vec<Timing>), EvalError> {
        let found = self.functions.iter().find(|(name, _)| *name == function);
        let (_, run) = found.ok_or_else(|| EvalError::Function(function.to_owned()))?;
        run(input)
    }
}

/// Traces and compiles ("prepare", nothing the second time), then runs and measures ("evaluate"). Later runs
/// write to the results of the first.
fn timed<I, O>(
    function: &Function<I, O>,
    arguments: &I::Of<Array>,
    input: &Input<'_>,
) -> Result<(O::Of<Array>, Vec<Timing>), EvalError>
where
    I: Tree<Tensor> + 'static,
    O: Tree<Tensor> + 'static,
{
    let start = Instant::now();
    let traced = function.trace(arguments)?;
    traced.compile()?;
    let mut timings = vec![Timing {
        name: "prepare",
        duration: start.elapsed(),
    }];
    let leaves = arguments.leaves();
    let mut outputs: Vec<Array> = Vec::new();
    let mut total = Duration::ZERO;
    let mut runs = 0;
    loop {
        let start = Instant::now();
        match runs {
            0 => outputs = traced.run(&leaves.iter().copied().cloned().collect::<Vec<_>>())?,
            _ => traced.run_into(&leaves, &mut outputs)?,
        }
        let duration = start.elapsed();
        timings.push(Timing {
            name: "evaluate",
            duration,
        });
        total += duration;
        runs += 1;
        if runs >= input.min_runs && total.as_secs_f64() >= input.min_seconds {
            let result = tree::from_leaves(traced.result(), outputs)?;
            return Ok((result, timings));
        }
    }
}
