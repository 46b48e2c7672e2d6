//! Sparse derivatives: which elements depend on which, and how few products show all of them.
//!
//! A Jacobian that is mostly zero needs far fewer products than it has columns. Columns that share
//! no row are added up and computed as one: the sum is J s, where the seed s is 1 for the columns of
//! a group, and each entry of it belongs to one of them (Curtis, Powell and Reid, On the estimation
//! of sparse Jacobian matrices, 1974). The work has three parts:
//!
//! 1. [`sparsity`] and [`hessian_sparsity`] walk a graph and find where entries can be;
//! 2. [`color_columns`] and its kin group columns or rows, which is colouring a graph (Gebremedhin,
//!    Manne and Pothen, What color is your Jacobian?, SIAM Review 47, 2005);
//! 3. [`sparse_jacobian`] and [`sparse_hessian`] are graphs that compute all groups in one batch and
//!    take the entries out.
//!
//! ```
//! use cotangent_transform::sparse;
//! // Differences of neighbours: each row has two entries.
//! let module = cotangent_graph::parse("fn f(x: f64[5]) -> f64[4] { x[1:5] - x[0:4] }")?;
//! let pattern = sparse::sparsity(module.entry(), &[true], &[])?;
//! assert_eq!(pattern.len(), 8);
//! assert_eq!(sparse::color_columns(&pattern).count(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod color;
mod compress;
mod depend;
mod flow;
mod linear;
mod pattern;
mod sets;
mod substitute;

pub use color::{
    Bidirectional, Groups, color_acyclic, color_bidirectional, color_columns, color_rows,
    color_star,
};
pub use compress::{Coloring, HessianColoring, SparseGraph, sparse_hessian, sparse_jacobian};
pub use depend::{hessian_sparsity, sparsity};
pub use pattern::Pattern;
