//! Errors of graphs: where they arose and what was expected.

use std::fmt;

use cotangent_array::ArrayError;

use crate::Var;
use crate::ops::linalg::MatrixError;

/// Where an operation was written: a place in the user's Rust code or in a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Location {
    /// A place in Rust code, as `#[track_caller]` reports it.
    Code(&'static std::panic::Location<'static>),
    /// A line and column of a text, both from 1.
    Text {
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
    },
    /// The derivative of an operation that was written there.
    Derivative(Origin),
}

/// Where an operation was written of which something is the derivative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// See [`Location::Code`].
    Code(&'static std::panic::Location<'static>),
    /// See [`Location::Text`].
    Text {
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
    },
}

impl Location {
    /// The same place, for an operation of the derivative of what was written there.
    pub fn in_derivative(self) -> Location {
        match self {
            Location::Code(l) => Location::Derivative(Origin::Code(l)),
            Location::Text { line, column } => Location::Derivative(Origin::Text { line, column }),
            Location::Derivative(_) => self,
        }
    }

    /// The place itself.
    pub fn origin(self) -> Location {
        match self {
            Location::Derivative(Origin::Code(l)) => Location::Code(l),
            Location::Derivative(Origin::Text { line, column }) => Location::Text { line, column },
            written => written,
        }
    }

    /// Whether the operation is part of a derivative of what was written there.
    pub fn is_derivative(self) -> bool {
        matches!(self, Location::Derivative(_))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Derivative(_) => self.origin().fmt(f),
            Location::Code(l) => write!(f, "{}:{}:{}", l.file(), l.line(), l.column()),
            Location::Text { line, column } => write!(f, "line {line}, column {column}"),
        }
    }
}

/// Why an operation does not fit its operands.
///
/// The message says what was expected and what was found; the operation's name and location are
/// added where the operation is pushed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

impl TypeError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        TypeError(message.into())
    }
}

/// Returns `Err(TypeError)` with a formatted message.
#[macro_export]
#[doc(hidden)]
macro_rules! type_error {
    ($($arg:tt)*) => { return Err($crate::TypeError::new(format!($($arg)*))) };
}

/// A graph that could not be built or does not verify.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An operation does not fit its operands.
    #[error("{}{op}: {error} (operands: {operands})", At(*location))]
    Op {
        /// The name of the operation.
        op: String,
        /// The types of the operands, as text.
        operands: String,
        /// What was expected and what was found.
        error: TypeError,
        /// Where the operation was written.
        location: Option<Location>,
    },
    /// An error that does not belong to one operation.
    #[error("{}{message}", At(*location))]
    Other {
        /// What was expected and what was found.
        message: String,
        /// Where it arose.
        location: Option<Location>,
    },
}

impl GraphError {
    /// An error that does not belong to one operation.
    pub fn other(message: impl Into<String>, location: Option<Location>) -> Self {
        GraphError::Other {
            message: message.into(),
            location,
        }
    }

    /// Where the error arose, if that is known.
    pub fn location(&self) -> Option<Location> {
        match self {
            GraphError::Op { location, .. } | GraphError::Other { location, .. } => *location,
        }
    }
}

struct At(Option<Location>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(l) => write!(f, "{l}: "),
            None => Ok(()),
        }
    }
}

/// Why a graph could not be evaluated on the arrays given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The number of arrays differs from the number of inputs.
    #[error("`{graph}` takes {expected} inputs, {found} were given")]
    InputCount {
        /// The name of the graph.
        graph: String,
        /// How many inputs the graph has.
        expected: usize,
        /// How many arrays were given.
        found: usize,
    },
    /// An input has another dtype or shape than the graph says.
    #[error("input `{name}` is {expected}, the array given is {found}")]
    InputType {
        /// The name of the input.
        name: String,
        /// The type in the graph.
        expected: String,
        /// The type of the array.
        found: String,
    },
    /// An index is outside its axis.
    #[error("index {index} is out of range for an axis of length {length}")]
    IndexOutOfRange {
        /// The index found.
        index: i64,
        /// The length of the axis.
        length: usize,
    },
    /// A matrix for which the operation is not defined.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// An operation failed; the source says why.
    #[error("{}{op}: {source}", At(*location))]
    Op {
        /// The name of the operation.
        op: String,
        /// Where the operation was written.
        location: Option<Location>,
        /// What went wrong.
        #[source]
        source: Box<EvalError>,
    },
    /// An operation written in Rust failed, panicked, or gave other results than it had stated.
    #[error("native operation `{name}`: {message}")]
    Native {
        /// The name of the operation.
        name: String,
        /// What went wrong.
        message: String,
    },
    /// A linear map of which only the transpose is known was to be run.
    #[error("`{rule}` is a rule for reverse mode alone, so there is no forward mode")]
    NoForward {
        /// The name of the rule.
        rule: String,
    },
    /// An array could not be made.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// The graph itself is malformed at this variable.
    #[error("the graph is malformed at variable {}: {message}", var.index())]
    Malformed {
        /// The variable.
        var: Var,
        /// What is wrong with it.
        message: String,
    },
}
