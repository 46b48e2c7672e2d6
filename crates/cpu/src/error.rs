//! Errors of running a program.

use cotangent_array::ArrayError;
use cotangent_compile::CompileError;
use cotangent_graph::Location;
use cotangent_graph::ops::linalg::MatrixError;

/// Why a program could not be made or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The number of arrays differs from the number of inputs.
    #[error("`{program}` takes {expected} inputs, {found} were given")]
    InputCount {
        /// The name of the program.
        program: String,
        /// How many inputs it has.
        expected: usize,
        /// How many arrays were given.
        found: usize,
    },
    /// An input has another dtype or shape than the program says.
    #[error("input `{name}` is {expected}, the array given is {found}")]
    InputType {
        /// The name of the input.
        name: String,
        /// The type in the program.
        expected: String,
        /// The type of the array.
        found: String,
    },
    /// The number of arrays to write to differs from the number of outputs.
    #[error("`{program}` has {expected} outputs, {found} arrays were given to write to")]
    OutputCount {
        /// The name of the program.
        program: String,
        /// How many outputs it has.
        expected: usize,
        /// How many arrays were given.
        found: usize,
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
        source: Box<RunError>,
    },
    /// There is no memory for the arena.
    #[error(
        "there is no memory for an arena of {bytes} bytes; a memory budget may find a way with less"
    )]
    Memory {
        /// The size of the arena.
        bytes: usize,
    },
    /// A loop keeps more of its steps than the limit allows.
    #[error(
        "loops keep values of their steps for the backward pass: at least {needed} bytes are \
         needed, the limit is {limit}"
    )]
    LoopMemory {
        /// The bytes that the steps so far need, the next one included.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// What loops keep of their steps could not go to a file.
    #[error("the states of loops cannot go to a file in `{}`: {source}", directory.display())]
    LoopDirectory {
        /// The directory of the file.
        directory: std::path::PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// An operation written in Rust failed, panicked, or gave other results than it had stated.
    #[error("native operation `{name}`: {message}")]
    Native {
        /// The name of the operation.
        name: String,
        /// What went wrong.
        message: String,
    },
    /// A kernel panicked on one of the threads of a run.
    #[error("a thread of the run panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// An array for an output could not be made.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// The graph could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The plan does not hold together; plans that the compiler made do.
    #[error("the plan cannot be run: {0}")]
    Plan(String),
}

struct At(Option<Location>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(l) => write!(f, "{l}: "),
            None => Ok(()),
        }
    }
}
