//! Why a graph could not be transformed.

use cotangent_graph::{GraphError, Location};

/// Why a graph could not be transformed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// The choice of inputs does not fit the graph.
    #[error("`{graph}` has {expected} inputs, the choice names {found}")]
    InputCount {
        /// The name of the graph.
        graph: String,
        /// How many inputs it has.
        expected: usize,
        /// How many entries the choice has.
        found: usize,
    },
    /// A derivative was asked for with respect to no input at all.
    #[error("`{graph}`: expected at least one input to differentiate with respect to, found none")]
    NothingChosen {
        /// The name of the graph.
        graph: String,
    },
    /// An input of a dtype that has no derivative was chosen.
    #[error(
        "input `{name}` of `{graph}` is {found}: expected a float or a complex dtype to differentiate"
    )]
    NotFloat {
        /// The name of the graph.
        graph: String,
        /// The name of the input.
        name: String,
        /// Its type.
        found: String,
    },
    /// A gradient was asked for of something that is no scalar cost.
    #[error(
        "`{graph}` gives {found}: expected one scalar of type f64 or f32 to take the gradient of"
    )]
    NotScalar {
        /// The name of the graph.
        graph: String,
        /// The types of its outputs.
        found: String,
    },
    /// An output of a dtype that has no derivative was asked to have one.
    #[error(
        "`{graph}` gives {found}: expected outputs of a float or a complex dtype to differentiate"
    )]
    OutputNotFloat {
        /// The name of the graph.
        graph: String,
        /// The types of its outputs.
        found: String,
    },
    /// A Jacobian or Hessian was asked for of complex variables.
    #[error(
        "`{graph}` has a variable of type {found}: Jacobians and Hessians are of real variables; take jvp or vjp, or the real and imaginary parts"
    )]
    NotReal {
        /// The name of the graph.
        graph: String,
        /// The type of the first complex input or output.
        found: String,
    },
    /// A graph that should run on complex numbers has an operation that does not.
    #[error("{}`{op}` does not become complex: {why}", At(*location))]
    NotComplex {
        /// The operation.
        op: String,
        /// What stands in the way.
        why: &'static str,
        /// Where it was written.
        location: Option<Location>,
    },
    /// A graph that should be transposed is not linear at this operation.
    #[error("{}`{op}` is not linear in the inputs that are to be transposed", At(*location))]
    NotLinear {
        /// The operation.
        op: String,
        /// Where it was written.
        location: Option<Location>,
    },
    /// An operation has no rule for its derivative.
    #[error("{}`{op}` {why}", At(*location))]
    NoRule {
        /// The operation, or the function that has the wrong rule.
        op: String,
        /// What is missing.
        why: &'static str,
        /// Where it was written.
        location: Option<Location>,
    },
    /// An axis to batch over does not exist, or the size does not fit.
    #[error("{0}")]
    Batch(String),
    /// Taylor coefficients were asked for to an order that is not offered.
    #[error("`{graph}`: expected an order from 1 to 255 of Taylor coefficients, found {found}")]
    Order {
        /// The name of the graph.
        graph: String,
        /// The order asked for.
        found: usize,
    },
    /// An operation that Taylor coefficients cannot go through.
    #[error("{}`{op}` has no Taylor coefficients: its derivative is no plain expression", At(*location))]
    NoJet {
        /// The operation.
        op: String,
        /// Where it was written.
        location: Option<Location>,
    },
    /// A graph that cannot be treated as a formula; the message says why.
    #[error("{0}")]
    Formula(String),
    /// A sparse derivative that cannot be made as asked; the message says what was expected and
    /// what was found.
    #[error("{0}")]
    Sparse(String),
    /// A rule emitted an operation that does not fit, or the graph was malformed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

struct At(Option<Location>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |l| write!(f, "{l}: "))
    }
}
