//! A differentiation engine: an ordinary Rust function over tensors becomes a graph that is
//! differentiated, compiled and run.
//!
//! # A tour
//!
//! A [`Function`] is made from an ordinary `fn` or closure. It is traced once for each type of its
//! arguments, compiled, and then called with [`Array`]s:
//!
//! ```
//! use cotangent::{Array, Function, Tensor};
//!
//! fn loss(w: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
//!     (x.dot(w) - y).square().mean(..)
//! }
//!
//! let f = Function::new(loss);
//! let w = Array::from([1.0, -1.0]);
//! let x = Array::from([[1.0, 2.0], [3.0, 4.0]]);
//! let y = Array::from([0.0, 1.0]);
//! assert_eq!(f.call((w.clone(), x.clone(), y.clone()))?, 2.5.into());
//!
//! // A derivative is a function again, with the arguments of the first.
//! let (value, slope) = f.value_and_grad().call((w, x, y))?;
//! assert_eq!(value, 2.5.into());
//! assert_eq!(slope, [-7.0, -10.0].into());
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! **Derivatives** nest to any order and mix: [`grad`](Function::grad),
//! [`value_and_grad`](Function::value_and_grad), [`jvp`](Function::jvp), [`vjp`](Function::vjp),
//! [`jacobian`](Function::jacobian), [`hessian`](Function::hessian), [`hvp`](Function::hvp), and
//! [`vmap`](Function::vmap) over a batch along [any axes](Function::vmap_axes).
//! [`and`](Function::and) puts a value and any derivatives of it into one program, and
//! [`linearize`](Function::linearize) computes a derivative once to apply it often. Inside of a
//! traced function they are [applied](Function::apply) like any other:
//!
//! ```
//! use cotangent::{Function, Tensor, grad};
//!
//! // The speed of a falling body, from its height.
//! let height = |t: &Tensor| 100.0 - 4.9 * t * t;
//! let speed = Function::new(move |t: &Tensor| grad(height).apply((t.clone(),)).abs());
//! assert_eq!(speed.call((2.0.into(),))?, 19.6.into());
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! **Parameters** live in your own types. A [`Tree`] holds tensors while a function is traced and
//! arrays outside; gradients have the same shape:
//!
//! ```
//! use cotangent::{Array, Function, Tensor, Tree};
//!
//! #[derive(Clone, Tree)]
//! struct Line<T> {
//!     slope: T,
//!     offset: T,
//! }
//!
//! let f = Function::new(|line: &Line<Tensor>, x: &Tensor| &line.slope * x + &line.offset);
//! let line = Line { slope: Array::from(2.0), offset: Array::from(1.0) };
//! let gradient = f.grad().call((line, 3.0.into()))?;
//! assert_eq!((gradient.slope, gradient.offset), (3.0.into(), 1.0.into()));
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! **Tensors** go by NumPy's names and rules: shapes broadcast, [`at`](Tensor::at) indexes with
//! ranges and steps, reductions take [`Axes`]. Dtypes never convert by themselves, but a Rust
//! number beside a tensor takes the tensor's dtype. Operations never fail: the first error is kept
//! and comes out of the function, with the line that caused it.
//!
//! ```
//! use cotangent::{Array, Function, Tensor};
//!
//! let f = Function::new(|x: &Tensor, y: &Tensor| x + y);
//! let error = f.call(([1.0, 2.0].into(), [1.0, 2.0, 3.0].into())).unwrap_err().to_string();
//! assert!(error.contains("add: expected shapes that broadcast to one, found [3] and [2]"));
//! ```
//!
//! **Edges** are right: each operation says what its derivative is at a kink, a derivative of 0
//! stays 0 beside a pole, and an arm of a [`select`](Tensor::select) that was not taken adds
//! nothing.
//!
//! **Derivatives of your own**, and operations in plain Rust: [`custom`]. **Solutions of equations**,
//! with derivatives that do not go through the solver: [`implicit`].
//!
//! **Random numbers** are a function of a [`Key`], so the same key gives the same bits anywhere.
//!
//! **Graphs** are plain data: [`Function::graph`] gives one, [`print()`] and [`parse()`] write and
//! read its text, [`transform`] works on it.
//!
//! ```
//! use cotangent::{DType, Function, Tensor, TensorType};
//!
//! let f = Function::new(|x: &Tensor| x.sin().square()).named("f", ["x"]);
//! let graph = f.grad().graph(&(TensorType::scalar(DType::F64),))?;
//! assert!(cotangent::print(&graph).starts_with("fn f_grad(x: f64) -> f64 {"));
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! Pictures group operations by [`scope`]s, which layers open by themselves.
//!
//! **Training** has three modules: [`nn`] for layers, [`optim`] for optimisers and [`data`] for
//! tables and batches.
//!
//! # Features
//!
//! - `npz`, `safetensors`, `csv` (on): the file formats; [`npy`] is always there.
//! - `ndarray` (off): conversion between [`Array`] and `ndarray::ArrayD`.
//! - `view` (off): pictures and pages of functions: `Function::to_svg`, `to_picture`, `to_html` and `view`.

// `#[derive(Tree)]` names this crate, also inside of it.
extern crate self as cotangent;

pub mod check;
pub mod checked;
pub mod control;
pub mod custom;
pub mod data;
mod error;
pub mod explain;
pub mod finite;
mod function;
pub mod implicit;
#[cfg(doctest)]
mod lessons;
pub mod nn;
pub mod optim;
mod run;
mod scopes;
pub mod sparse;
mod tensor;
mod trace;
pub mod tree;

#[cfg(feature = "npz")]
pub use cotangent_array::npz;
#[cfg(feature = "safetensors")]
pub use cotangent_array::safetensors;
pub use cotangent_array::{
    Array, ArrayError, Complex32, Complex64, DType, Element, Scalar, Shape, npy,
};
pub use cotangent_compile::CompileError;
pub use cotangent_cpu::RunError;
pub use cotangent_derive::Tree;
pub use cotangent_graph::{
    EvalError, Graph, GraphError, Location, Module, ParseError, TensorType, eval, eval_op, parse,
    parse_with, print,
};
pub use cotangent_transform::{self as transform, Mode, TransformError};
#[cfg(feature = "view")]
pub use cotangent_view as view;
pub use error::Error;
pub use function::{
    Argument, ByReference, ByValue, Function, IntoFunction, Linear, Memory, Profile, Traced, Typed,
    grad, jvp, value_and_grad, vjp,
};
pub use scopes::scope;
pub use tensor::*;
pub use tree::{Leaf, Static, Tree, zip_map};

/// What most programs name: `use cotangent::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Array, DType, Error, Function, Key, NewAxis, Rest, Tensor, Tree, concat, einsum, grad,
        keep, stack, step, value_and_grad,
    };
}
