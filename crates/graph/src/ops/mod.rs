//! The operations, one row or one struct each.
//!
//! Pointwise operations are rows of the tables in [`unary`], [`indexed`], [`binary`], [`compare`],
//! [`ternary`] and [`special`]; everything else is a struct with a [`Rule`]. To add one see CONTRIBUTING.md.

mod attribute;
mod axes;
#[cfg(test)]
mod checks;
mod rule;
#[cfg(test)]
mod tangents;
mod values;

pub mod binary;
pub mod compare;
pub mod complex;
pub mod indexed;
pub mod row;
pub mod special;
pub mod ternary;
pub mod unary;

pub mod concat;
pub mod conv;
pub mod cumulative;
pub mod custom;
pub mod dot;
pub mod fft;
pub mod gather;
pub mod iota;
pub mod linalg;
pub mod moves;
pub mod native;
pub mod pad;
pub mod random;
pub mod reduce;
pub mod region;
pub mod running;
pub mod slice;
pub mod sort;
pub mod window;

#[doc(hidden)]
pub use attribute::default_of;
pub use attribute::{Attribute, Attributed, Attributes, Value};
pub use axes::repeated;
pub use binary::Binary;
pub use compare::{Compare, Test};
pub use complex::Part;
pub use concat::Concat;
pub use conv::Conv;
pub use cumulative::{CumProd, CumSum, Recurrence};
pub use custom::{Custom, Pullback, RuleKind};
pub use dot::Dot;
pub use fft::{Fft, Irfft, Rfft};
pub use gather::{Gather, ScatterAdd};
pub use indexed::Indexed;
pub use iota::Iota;
pub use linalg::{Linalg, LinalgRule};
pub use moves::{Broadcast, Reshape, Reverse, Transpose};
pub use native::{Native, Registry};
pub use pad::Pad;
pub use random::RandomBits;
pub use reduce::{All, Any, ArgMax, ArgMin, Max, Min, Norm, Prod, Sum};
pub use region::{Cond, Region, Scan, Sweeps, While};
pub use row::{Bound, Kinds, Row};
pub use rule::{ArrayOp, Operand, Rule};
pub use running::{CumArgMax, CumArgMin};
pub use slice::Slice;
pub use sort::{ArgSort, SearchSorted};
pub use special::{Orders, Special};
pub use ternary::Ternary;
pub use unary::Unary;
pub use values::{Values, flat, move_elements, wrap};
pub use window::{WindowArgMax, WindowMax, WindowSum};
