//! The one error type of this crate.

use cotangent_cpu::RunError;
use cotangent_graph::{EvalError, GraphError, Location};
use cotangent_transform::TransformError;

use crate::checked::CheckedError;
use crate::{ArrayError, tree::TreeError};

/// A place in the user's code, as `#[track_caller]` reports it.
type Place = &'static std::panic::Location<'static>;

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
    /// A graph could not be evaluated by the reference evaluator.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A checked run met a value that is not finite, or could not be evaluated.
    #[error(transparent)]
    Checked(#[from] CheckedError),
    /// An array could not be made, or is not what was asked for.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// A tree has another structure than was expected.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A picture or a page could not be made.
    #[cfg(feature = "view")]
    #[error(transparent)]
    View(#[from] cotangent_view::ViewError),
    /// Arguments do not fit a function; the message says what was expected and what was found.
    #[error("{0}")]
    Argument(String),
    /// A derivative or a batch of a function could not be made of it.
    #[error("{}:{}:{}: {source}", at.file(), at.line(), at.column())]
    Derived {
        /// Where the derivative or batch was asked for.
        at: Place,
        /// Why it could not be made.
        #[source]
        source: Box<Error>,
    },
}

impl Error {
    /// The place in the user's code, where it is known.
    pub fn location(&self) -> Option<Location> {
        match self {
            Error::Trace(e) | Error::Transform(TransformError::Graph(e)) => e.location(),
            Error::Transform(
                TransformError::NotLinear { location, .. }
                | TransformError::NoRule { location, .. },
            ) => location.map(Location::origin),
            Error::Run(RunError::Op { location, .. }) => *location,
            Error::Derived { at, .. } => Some(Location::Code(at)),
            Error::Checked(CheckedError::Fault(fault)) => fault.location,
            _ => None,
        }
    }

    /// The error with the place where a derivative was asked for, unless it names a place already.
    pub(crate) fn derived_at(self, at: Option<Place>) -> Error {
        match (self.location(), at) {
            (None, Some(at)) => Error::Derived {
                at,
                source: Box::new(self),
            },
            _ => self,
        }
    }

    /// The error as a trace keeps it until it ends.
    pub(crate) fn into_graph_error(self, location: Option<Location>) -> GraphError {
        match self {
            Error::Trace(e) | Error::Transform(TransformError::Graph(e)) => e,
            Error::Derived { at, source } => {
                GraphError::other(source.to_string(), Some(Location::Code(at)))
            }
            other => GraphError::other(other.to_string(), location),
        }
    }
}
