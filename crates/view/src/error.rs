//! Why something cannot be shown.

/// Why there is no picture of something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// Another number of inputs than the function has.
    #[error("expected {expected} inputs, found {found}")]
    Inputs {
        /// How many the function has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// There is more of something than can be looked at.
    #[error("expected at most {most} {what}, found {found}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much can be looked at.
        most: usize,
    },
    /// A graph could not be made.
    #[error(transparent)]
    Graph(#[from] cotangent_graph::GraphError),
    /// A text could not be read.
    #[error(transparent)]
    Parse(#[from] cotangent_graph::ParseError),
    /// A derivative could not be made.
    #[error(transparent)]
    Transform(#[from] cotangent_transform::TransformError),
    /// A graph could not be compiled.
    #[error(transparent)]
    Compile(#[from] cotangent_compile::CompileError),
    /// A program could not run.
    #[error(transparent)]
    Run(#[from] cotangent_cpu::RunError),
    /// A graph could not be evaluated.
    #[error(transparent)]
    Eval(#[from] cotangent_graph::EvalError),
    /// A page could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A page could not be written to a file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A value could not be made.
    #[error(transparent)]
    Array(#[from] cotangent_array::ArrayError),
}
