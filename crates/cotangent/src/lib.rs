//! Under construction.

// `#[derive(Tree)]` names this crate, also inside of it.
extern crate self as cotangent;

pub mod control;
pub mod data;
mod error;
mod function;
#[cfg(doctest)]
mod lessons;
pub mod nn;
pub mod optim;
mod run;
mod tensor;
mod trace;
pub mod tree;

#[cfg(feature = "npz")]
pub use cotangent_array::npz;
#[cfg(feature = "safetensors")]
pub use cotangent_array::safetensors;
pub use cotangent_array::{Array, ArrayError, DType, Element, Scalar, Shape, npy};
pub use cotangent_compile::CompileError;
pub use cotangent_cpu::RunError;
pub use cotangent_derive::Tree;
pub use cotangent_graph::{
    EvalError, Graph, GraphError, Location, Module, ParseError, TensorType, eval, eval_op, parse,
    print,
};
pub use cotangent_transform::{self as transform, Mode, TransformError};
pub use error::Error;
pub use function::{
    Argument, ByReference, ByValue, Function, IntoFunction, Traced, Typed, grad, jvp,
    value_and_grad, vjp,
};
pub use tensor::*;
pub use tree::{Leaf, Static, Tree, zip_map};
