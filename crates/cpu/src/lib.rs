//! Runs plans on a CPU.
//!
//! A [`Program`] is a [`Plan`](cotangent_compile::Plan) that has been checked and whose kernels
//! have been chosen. It can be shared between threads; runs borrow an arena from a pool and
//! allocate nothing of their own once the pool is warm (matrix products may pack).
//!
//! ```
//! use cotangent_array::{Array, DType};
//! use cotangent_graph::{Builder, TensorType};
//!
//! let mut b = Builder::new("square");
//! let x = b.input("x", TensorType::new(DType::F64, [3]));
//! let y = b.mul(x, x);
//! let program = cotangent_cpu::compile(&b.finish(&[y])?)?;
//! let y = program.run(&[Array::from([1.0, 2.0, 3.0])])?;
//! assert_eq!(y[0], Array::from([1.0, 4.0, 9.0]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod donate;
mod error;
mod flow;
mod jit;
mod kernels;
mod lane;
mod memory;
mod native;
mod number;
mod pool;
mod program;
mod reversal;
mod scan;
mod spare;
mod steps;
mod sweeps;
mod system;

pub use cache::{compile_shared, compile_shared_with};
pub use error::RunError;
pub use lane::Way;
pub use program::{Program, StepProfile, compile, compile_with, target};
