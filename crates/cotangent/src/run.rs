//! Runs graphs: the one place that knows how.

use std::sync::OnceLock;

use cotangent_cpu::RunError;
use cotangent_graph::Graph;

use crate::Array;

/// What is kept for a graph between its runs: the program, compiled at the first of them.
#[derive(Debug, Default)]
pub(crate) struct Program {
    compiled: OnceLock<cotangent_cpu::Program>,
    /// The most bytes that loops keep of their steps, if not the usual ones.
    loop_memory: Option<usize>,
}

impl Program {
    /// A program whose loops keep at most this many bytes of their steps.
    pub(crate) fn with_loop_memory(bytes: Option<usize>) -> Program {
        Program {
            compiled: OnceLock::new(),
            loop_memory: bytes,
        }
    }

    /// Runs the graph that this program belongs to.
    pub(crate) fn run(&self, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, RunError> {
        self.compiled(graph)?.run(inputs)
    }

    /// Runs the graph that this program belongs to, into arrays of the caller.
    pub(crate) fn run_into(
        &self,
        graph: &Graph,
        inputs: &[&Array],
        outputs: &mut [Array],
    ) -> Result<(), RunError> {
        self.compiled(graph)?.run_into(inputs, outputs)
    }

    /// The compiled program of the graph that this belongs to.
    pub(crate) fn compiled(&self, graph: &Graph) -> Result<&cotangent_cpu::Program, RunError> {
        match self.compiled.get() {
            Some(program) => Ok(program),
            None => {
                let program = cotangent_cpu::compile(graph)?;
                if let Some(bytes) = self.loop_memory {
                    program.set_loop_memory(bytes);
                }
                // Two threads may both get here; either program is as good.
                Ok(self.compiled.get_or_init(|| program))
            }
        }
    }
}
