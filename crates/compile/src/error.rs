//! Errors of the compiler.

use cotangent_graph::GraphError;

/// Why a graph could not be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The graph does not verify, or a pass made one that does not.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// There is no pass of this name.
    #[error("there is no pass `{name}`, expected one of {known}")]
    UnknownPass {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The values that live at one time are together larger than memory can be.
    #[error("the values of `{graph}` that live at one time are larger than memory can be")]
    TooLarge {
        /// The name of the graph.
        graph: String,
    },
    /// No plan within the memory budget was found.
    #[error(
        "`{graph}` does not fit in a memory budget of {budget} bytes: the smallest budget reached is \
         {reached} bytes, and none below {bound} bytes can work (inputs, constants and outputs take {held})"
    )]
    Budget {
        /// The name of the graph.
        graph: String,
        /// The bytes asked for.
        budget: usize,
        /// The smallest number of bytes for which a plan is known.
        reached: usize,
        /// A number of bytes that every plan of these steps needs.
        bound: usize,
        /// The bytes of inputs, constants and outputs.
        held: usize,
    },
    /// A graph breaks a rule that the builder keeps; this is a bug of the compiler.
    #[error("`{graph}` cannot be lowered: {message}")]
    Malformed {
        /// The name of the graph.
        graph: String,
        /// What is wrong with it.
        message: String,
    },
}
