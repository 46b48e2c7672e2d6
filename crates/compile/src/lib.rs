//! The compiler: a graph goes through named passes and becomes a plan.
//!
//! [`compile`] runs the passes of [`PASSES`] over a graph and lowers the result to a [`Plan`]:
//! steps in order, each with its operands and its place in one arena. A plan is plain data; the
//! crate `cotangent-cpu` runs it.
//!
//! ```
//! use cotangent_array::DType;
//! use cotangent_compile::{Target, compile};
//! use cotangent_graph::{Builder, TensorType};
//!
//! let mut b = Builder::new("f");
//! let x = b.input("x", TensorType::new(DType::F64, [4]));
//! let two = b.like(x, 2.0);
//! let y = b.mul(x, two);
//! let z = b.add(y, x);
//! let plan = compile(&b.finish(&[z])?, &Target::plain())?;
//! // Both operations run in one region.
//! assert_eq!(plan.steps.len(), 1);
//! assert_eq!(plan.check(), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod abreast;
mod again;
mod arena;
mod budget;
mod check;
pub mod checkpoints;
mod compile;
mod donate;
mod error;
mod flow;
mod fuse;
pub mod lane;
mod lower;
mod passes;
mod picked;
mod plan;
mod planes;
mod print;
pub mod remat;
mod reversal;
mod rows;
mod stores;
mod tape;
mod target;
mod triangles;
mod turned;

pub use budget::{Options, Point, Unlimited, curve};
pub use compile::{compile, compile_with};
pub use error::CompileError;
pub use flow::{Flow, Layout, States};
pub use passes::{PASSES, Pass, optimize, simplify};
pub use picked::Picked;
pub use plan::{Operand, Place, Plan, Step, StepOp};
pub use planes::{Part, Planes};
pub use reversal::{Loop, Reversal};
pub use rows::{
    RowBlock, RowBuffer, RowLayout, RowMatrix, RowPlace, RowProduct, RowStage, RowWork,
};
pub use target::{Target, TriangleSizes};
pub use triangles::{Band, Triangles};
