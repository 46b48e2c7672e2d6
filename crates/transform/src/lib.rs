//! Transformations of graphs into graphs: derivatives in both modes, transposition and batching.
//!
//! Nothing here runs a graph. Each operation has one derivative rule; forward mode ([`jvp`])
//! applies it, reverse mode ([`vjp`], [`grad`]) transposes what forward mode made: linearize, then
//! transpose. This is the chain rule as the textbook writes it, grad_x z = (dy/dx)^T grad_y z
//! (Goodfellow, Bengio, Courville, Deep Learning, 6.5).
//!
//! ```
//! let module = cotangent_graph::parse("fn f(x: f64, y: f64) -> f64 { x * x * y }")?;
//! let df = cotangent_transform::grad(module.entry(), &[true, false])?;
//! assert_eq!(df.input_types().len(), 2);
//! assert_eq!(df.output_types().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod complexify;
mod error;
mod forward;
mod jacobian;
mod jet;
mod linear;
mod linearize;
mod regions;
mod reverse;
pub mod sparse;
pub mod symbolic;
mod transpose;
mod vmap;

pub use complexify::{complex_step, complexify};
pub use error::TransformError;
pub use forward::jvp;
pub use jacobian::{Mode, hessian, hvp, jacobian};
pub use jet::{MAX_ORDER, jet};
pub use linear::check_linear;
pub use linearize::{Linearized, linearize};
pub use regions::check_rule;
pub use reverse::{grad, value_and_grad, vjp};
pub use transpose::transpose;
pub use vmap::vmap;
