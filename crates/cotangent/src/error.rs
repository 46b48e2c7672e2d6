//! The one error type of this crate.

use cotangent_cpu::RunError;
use cotangent_graph::{GraphError, Location};
use cotangent_transform::TransformError;

use crate::{ArrayError, tree::TreeError};

/// Why a function could not be traced, transformed or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation does not fit its operands: the message names the operation, the types of its
    /// operands and the place in the user's code.
    #[error(transparent)]
    Trace(#[from] GraphError),
    /// A derivative could not be taken.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// The graph could not be compiled, or run on these arrays.
    #[error(transparent)]
    Run(#[from] RunError),
    /// An array could not be made, or is not what was asked for.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// A tree has another structure than was expected.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Arguments do not fit a function; the message says what was expected and what was found.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    /// The place in the user's code, where it is known.
    pub fn location(&self) -> Option<Location> {
        match self {
            Error::Trace(e) | Error::Transform(TransformError::Graph(e)) => e.location(),
            Error::Transform(TransformError::NotLinear { location, .. }) => *location,
            Error::Run(RunError::Op { location, .. }) => *location,
            _ => None,
        }
    }

    /// The error as a trace keeps it until it ends.
    pub(crate) fn into_graph_error(self, location: Option<Location>) -> GraphError {
        match self {
            Error::Trace(e) | Error::Transform(TransformError::Graph(e)) => e,
            other => GraphError::other(other.to_string(), location),
        }
    }
}
