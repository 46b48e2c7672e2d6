//! The functions under test, in one place, so that a test of the tests can put a wrong one in.

use cotangent_array::Array;
use cotangent_graph::Graph;
use cotangent_transform::{Linearized, TransformError};

/// A graph into a graph.
pub type Transform<A> = fn(&Graph, &[A]) -> Result<Graph, TransformError>;

/// A pass of the compiler, or a program made and run, with its error as text.
pub type Fallible<T> = Result<T, String>;

/// The functions that [`crate::check()`] tests.
#[derive(Clone, Debug)]
pub struct Engine {
    /// [`cotangent_transform::jvp`]
    pub jvp: Transform<bool>,
    /// [`cotangent_transform::vjp`]
    pub vjp: Transform<bool>,
    /// [`cotangent_transform::transpose`]
    pub transpose: Transform<bool>,
    /// [`cotangent_transform::linearize`]
    pub linearize: fn(&Graph, &[bool]) -> Result<Linearized, TransformError>,
    /// [`cotangent_transform::vmap`]
    pub vmap: fn(&Graph, &[Option<usize>], usize) -> Result<Graph, TransformError>,
    /// The names of the compiler's passes.
    pub passes: Vec<&'static str>,
    /// Runs one pass by its name, or all of them.
    pub pass: fn(Option<&str>, &Graph) -> Fallible<Graph>,
    /// Compiles a graph, checks the plan and runs the program.
    pub run: fn(&Graph, &[Array]) -> Fallible<Vec<Array>>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine {
            jvp: cotangent_transform::jvp,
            vjp: cotangent_transform::vjp,
            transpose: cotangent_transform::transpose,
            linearize: cotangent_transform::linearize,
            vmap: cotangent_transform::vmap,
            passes: Vec::new(),
            pass: |_, graph| Ok(graph.clone()),
            run: |graph, inputs| cotangent_graph::eval(graph, inputs).map_err(|e| e.to_string()),
        }
    }
}
