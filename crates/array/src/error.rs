//! The one error type of this crate.

use crate::{DType, Shape};

/// What went wrong with an array or a file of arrays: what was expected, and what was found.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ArrayError {
    /// The values were asked for as a type which they are not.
    #[error("expected values of dtype {expected}, found {found}")]
    WrongDType {
        /// The dtype asked for.
        expected: DType,
        /// The dtype of the array.
        found: DType,
    },

    /// The number of values is not the number of elements of the shape.
    #[error("shape {shape} takes {expected} values, found {found}")]
    WrongCount {
        /// The shape asked for.
        shape: Shape,
        /// Its number of elements.
        expected: usize,
        /// The number of values given.
        found: usize,
    },

    /// An array with exactly one element was expected.
    #[error("expected an array with exactly one element, found shape {shape}")]
    NotOneElement {
        /// The shape of the array.
        shape: Shape,
    },

    /// An array of another rank was expected.
    #[error("expected an array of rank {expected}, found shape {shape}")]
    WrongRank {
        /// The rank, or range of ranks, expected.
        expected: &'static str,
        /// The shape of the array.
        shape: Shape,
    },

    /// Two shapes do not broadcast to a common one.
    #[error(
        "shapes {a} and {b} do not broadcast: sizes along an axis must be equal, or one of them 1"
    )]
    NotBroadcastable {
        /// The first shape.
        a: Shape,
        /// The second shape.
        b: Shape,
    },

    /// The array does not fit in memory.
    #[error("an array {dtype}{shape} does not fit in memory")]
    TooLarge {
        /// The shape asked for.
        shape: Shape,
        /// The dtype asked for.
        dtype: DType,
    },

    /// An index lies outside its axis.
    #[error("index {index} is out of range for axis {axis} of shape {shape}")]
    BadIndex {
        /// The index.
        index: usize,
        /// The axis it was meant for.
        axis: usize,
        /// The shape of the array.
        shape: Shape,
    },

    /// The number of bytes is not a whole number of elements.
    #[error(
        "dtype {dtype} takes {size} bytes an element, found {found} bytes, which is not a multiple"
    )]
    WrongBytes {
        /// The dtype asked for.
        dtype: DType,
        /// Its size in bytes.
        size: usize,
        /// The number of bytes given.
        found: usize,
    },

    /// A byte that should hold a `bool` is neither 0 nor 1.
    #[error("expected 0 or 1 as the byte of a bool, found {found} at element {at}")]
    BadBool {
        /// The byte.
        found: u8,
        /// The number of the element, row-major.
        at: usize,
    },

    /// The text names no dtype.
    #[error("expected a dtype (bool, u8, u32, i32, i64, f32 or f64), found `{0}`")]
    UnknownDType(String),

    /// A file is not what it should be; the text says where, what was expected and what was found.
    #[error("{0}")]
    Format(String),

    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
