//! PyTorch's operators, written with this library: one table for each family.

mod activation;
mod attention;
mod conv;
mod fourier;
mod grid;
mod index;
mod linalg;
mod linear;
mod loss;
mod masked;
mod normalize;
mod norms;
mod pad;
mod pointwise;
mod pool;
mod reduce;
mod resample;
mod scatter;
mod shape;
mod sort;
mod special;
mod split;
mod tools;
mod unmapped;

pub use unmapped::reason;

use crate::args::{Args, Outs};

/// An operator as a function of its arguments.
pub type Mapping = fn(&Args) -> Outs;

/// Operators that are written the same way, and how.
type Table = &'static [(&'static [&'static str], Mapping)];

const TABLES: &[Table] = &[
    activation::TABLE,
    attention::TABLE,
    conv::TABLE,
    fourier::TABLE,
    grid::TABLE,
    index::TABLE,
    linalg::TABLE,
    linear::TABLE,
    loss::TABLE,
    masked::TABLE,
    normalize::TABLE,
    norms::TABLE,
    pad::TABLE,
    pointwise::TABLE,
    pool::TABLE,
    reduce::TABLE,
    resample::TABLE,
    scatter::TABLE,
    shape::TABLE,
    sort::TABLE,
    special::TABLE,
    split::TABLE,
];

/// The mapping of an operator, if it has one.
pub fn find(op: &str) -> Option<Mapping> {
    TABLES
        .iter()
        .flat_map(|t| t.iter())
        .find(|(names, _)| names.contains(&op))
        .map(|(_, mapping)| *mapping)
}
