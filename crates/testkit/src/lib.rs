//! Development only: what the other crates are tested with.
//!
//! - [`random`] draws graphs of every operation together with inputs,
//! - [`check()`] puts one of them through the text form, every transformation, every pass and the
//!   compiled program, and compares what comes out with differences, inner products and the
//!   reference evaluator,
//! - [`shrink()`] makes a failing one small,
//! - [`golden`] runs files that hold a graph, a command and the expected text.

pub mod arrays;
pub mod check;
pub mod engine;
pub mod golden;
pub mod random;
pub mod rewrite;
pub mod rng;
pub mod samples;
pub mod shrink;
pub mod tally;
pub mod walk;

pub use check::{Failure, Verdict, check};
pub use engine::Engine;
pub use random::Case;
pub use rng::Rng;
pub use shrink::shrink;
pub use tally::Tally;
