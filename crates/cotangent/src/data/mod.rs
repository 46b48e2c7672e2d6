//! From files to batches: tables, targets, splits, normalisation.
//!
//! A [`Table`] holds named columns, read from CSV, npy or npz. [`Table::dataset`] chooses the target and gives arrays;
//! [`Split`] says which rows train, validate and test; [`Normalization`] is fitted on the training rows only;
//! [`batches`] shuffles them by seed and epoch. Nothing here is random beyond the seeds that are given.
//!
//! Text needs the feature `csv`, archives `npz`; both are on by default.
//!
//! ```
//! use cotangent::data::{CsvOptions, DataOptions, Normalization, Split, Table, batches};
//!
//! let text = "width,height,kind\n1.0,2.0,oak\n3.0,5.0,elm\n2.0,2.5,oak\n4.0,1.0,elm\n";
//! let table = Table::from_csv_reader(text.as_bytes(), "leaves.csv", &CsvOptions::default())?;
//! let data = table.dataset("kind", &DataOptions::default())?;
//! assert_eq!(data.x.shape().dims(), [4, 2]);
//! assert_eq!(data.target.labels(), Some(&["elm".to_owned(), "oak".to_owned()][..]));
//!
//! let split = Split::stratified(&data.classes(), 0.0, 0.5, 7)?;
//! let normalization = Normalization::fit(&data.x, &split.train)?;
//! let x = normalization.apply(&data.x)?;
//! for rows in batches(&split.train, 1, 7, 0) {
//!     assert_eq!(x.select_rows(&rows)?.shape().dims(), [1, 2]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
#[cfg(feature = "csv")]
mod csv;
mod dataset;
#[cfg(feature = "csv")]
mod digits;
mod error;
mod normalize;
mod shuffle;
mod split;
mod table;

#[cfg(feature = "csv")]
pub use self::csv::{CsvOptions, Header};
pub use batch::batches;
pub use dataset::{DataOptions, Dataset, Missing, Target, Task};
#[cfg(feature = "csv")]
pub use digits::digits;
pub use error::{DataError, Place};
pub use normalize::Normalization;
pub use split::Split;
pub use table::{Cells, Column, Table};
