//! Pictures, as text that any viewer of SVG opens.
//!
//! ```
//! let svg = cotangent_view::memory_curve("f", &[(4096, 1.0), (2048, 1.25)]);
//! assert!(svg.starts_with("<svg"));
//! ```

mod curve;
pub mod model;
mod page;
mod text;

pub use curve::memory_curve;
pub use page::page;
