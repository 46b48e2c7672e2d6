//! Runs graphs: the one place that knows how.

use cotangent_graph::Graph;

use crate::{Array, Error};

/// What is kept for a graph between its runs.
#[derive(Debug, Default)]
pub(crate) struct Program {}

impl Program {
    /// Runs the graph that this program belongs to.
    pub(crate) fn run(&self, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, Error> {
        Ok(cotangent_graph::eval(graph, inputs)?)
    }
}
