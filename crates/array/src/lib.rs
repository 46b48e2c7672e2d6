//! Arrays in memory, and the files they are kept in.
//!
//! An [`Array`] is a [`DType`], a [`Shape`] and contiguous row-major values, shared between clones and copied on
//! write. This crate knows nothing of graphs: it is what programs read, write and are fed with.
//!
//! ```
//! use cotangent_array::{Array, DType};
//!
//! let a = Array::new([2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
//! assert_eq!(a.dtype(), DType::F64);
//! assert_eq!(a.shape().dims(), [2, 3]);
//!
//! // The formats are written over `Read` and `Write`; the caller opens the file.
//! let mut file = Vec::new();
//! cotangent_array::npy::write(&mut file, &a)?;
//! assert_eq!(cotangent_array::npy::read(&file[..])?, a);
//! # Ok::<(), cotangent_array::ArrayError>(())
//! ```
//!
//! # Features
//!
//! - `npz` (on): the module [`npz`].
//! - `safetensors` (on): the module [`safetensors`].
//! - `ndarray` (off): conversion to and from `ndarray::ArrayD` and `ndarray::ArrayViewD`.

mod array;
mod dtype;
mod element;
mod encoding;
mod error;
mod from;
mod print;
mod scalar;
mod shape;

#[cfg(feature = "ndarray")]
mod nd;
pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
#[cfg(feature = "safetensors")]
pub mod safetensors;

pub use array::Array;
pub use dtype::DType;
pub use element::Element;
pub use error::ArrayError;
pub use num_complex::{Complex, Complex32, Complex64};
pub use scalar::Scalar;
pub use shape::{Indices, Shape};
