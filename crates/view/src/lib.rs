//! Pictures, as text that any viewer of SVG opens.
//!
//! ```
//! let svg = cotangent_view::memory_curve("f", &[(4096, 1.0), (2048, 1.25)]);
//! assert!(svg.starts_with("<svg"));
//! ```

mod cost;
mod curve;
mod error;
mod memory;
pub mod model;
mod page;
mod passes;
mod text;
mod trouble;
mod value;
mod walk;

pub use cost::cost;
pub use curve::memory_curve;
pub use error::ViewError;
pub use memory::memory;
pub use page::page;
pub use passes::passes;
pub use trouble::trouble;
pub use value::sample;
pub use walk::{MOST_STEPS, walk};
