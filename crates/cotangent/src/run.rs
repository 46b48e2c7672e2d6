//! Runs graphs: the one place that knows how.

use std::sync::OnceLock;

use cotangent_cpu::RunError;
use cotangent_graph::Graph;

use crate::Array;

/// What is kept for a graph between its runs: the program, compiled at the first of them.
#[derive(Debug, Default)]
pub(crate) struct Program {
    compiled: OnceLock<cotangent_cpu::Program>,
}

impl Program {
    /// Runs the graph that this program belongs to.
    pub(crate) fn run(&self, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, RunError> {
        match self.compiled.get() {
            Some(program) => program.run(inputs),
            None => {
                let program = cotangent_cpu::compile(graph)?;
                // Two threads may both get here; either program is as good.
                self.compiled.get_or_init(|| program).run(inputs)
            }
        }
    }
}
