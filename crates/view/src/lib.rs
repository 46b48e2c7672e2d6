//! Pictures, as text that any viewer of SVG opens.
//!
//! ```
//! let f = cotangent_graph::parse("fn f(w: f64) -> f64 { sin(sin(sin(w))) }")?.entry().clone();
//! let svg = cotangent_view::graph_svg(&cotangent_view::picture(&f));
//! assert!(svg.starts_with("<svg"));
//!
//! let svg = cotangent_view::memory_curve("f", &[(4096, 1.0), (2048, 1.25)]);
//! assert!(svg.starts_with("<svg"));
//! # Ok::<(), cotangent_graph::ParseError>(())
//! ```

mod cost;
mod curve;
mod error;
mod examples;
mod layout;
mod memory;
pub mod model;
mod page;
mod passes;
mod scene;
mod study;
mod svg;
mod text;
mod trouble;
mod unfold;
mod value;
mod walk;

pub use cost::cost;
pub use curve::memory_curve;
pub use error::ViewError;
pub use examples::EXAMPLES;
pub use memory::memory;
pub use page::page;
pub use passes::passes;
pub use scene::{Options, picture, picture_with};
pub use study::Study;
pub use svg::graph_svg;
pub use trouble::trouble;
pub use value::sample;
pub use walk::{MOST_STEPS, walk};
