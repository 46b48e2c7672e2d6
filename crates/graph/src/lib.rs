//! Computational graphs: variables, operations, types, the text form and the reference evaluator.
//!
//! A [`Graph`] is a pure function: inputs, variables in order, outputs. Every variable is the
//! result of one operation ([`Op`]) on earlier variables. A [`Builder`] makes graphs,
//! [`Graph::verify`] checks them, [`eval`] says what they mean, and the text form
//! ([`print()`], [`parse()`]) writes and reads them without loss.
//!
//! ```
//! use cotangent_array::Array;
//! let f = cotangent_graph::parse("fn f(x: f64) -> f64 { x * sin(x) }")?.entry().clone();
//! let y = cotangent_graph::eval(&f, &[Array::scalar(2.0)])?;
//! assert_eq!(y[0].item::<f64>()?, 2.0 * 2.0_f64.sin());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod checkpoint;
pub mod complex;
mod error;
mod eval;
pub mod fourier;
mod graph;
mod hash;
pub mod math;
pub mod op;
pub mod ops;
mod scope;
mod text;
mod ty;
mod verify;

pub use builder::Builder;
pub use checkpoint::{Around, Checkpoint};
pub use error::{EvalError, GraphError, Location, Origin, TypeError};
pub use eval::{Evaluator, eval, eval_op, eval_scalars};
pub use graph::{Equation, Graph, Var};
pub use hash::{FastHasher, FastMap};
pub use op::{Arity, Callee, Documentation, Op};
pub use scope::Scope;
pub use text::{Line, Listing, Module, ParseError, is_reserved, parse, parse_with, print};
pub use ty::{TensorType, Type};
