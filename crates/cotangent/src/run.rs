//! Runs graphs: the one place that knows how.

use std::borrow::Borrow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use cotangent_compile::Options;
use cotangent_cpu::RunError;
use cotangent_graph::Graph;

use crate::Array;

/// What is kept for a graph between its runs: the program, compiled at the first of them.
#[derive(Debug, Default)]
pub(crate) struct Program {
    compiled: OnceLock<cotangent_cpu::Program>,
    limits: Limits,
}

/// What a run may take, where it is not the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// The most bytes that loops keep of their steps.
    pub(crate) loop_memory: Option<usize>,
    /// Where files hold what loops keep.
    pub(crate) loop_directory: Option<Arc<Path>>,
    /// The most bytes that a run holds.
    pub(crate) memory_budget: Option<usize>,
    /// Whether subnormal numbers are taken for zeros.
    pub(crate) flush_subnormals: bool,
    /// The most threads that work on a run.
    pub(crate) threads: Option<usize>,
}

impl Program {
    /// A program that keeps within limits.
    pub(crate) fn within(limits: Limits) -> Program {
        Program {
            compiled: OnceLock::new(),
            limits,
        }
    }

    /// Runs the graph that this program belongs to.
    pub(crate) fn run(&self, graph: &Arc<Graph>, inputs: &[Array]) -> Result<Vec<Array>, RunError> {
        self.compiled(graph)?.run(inputs)
    }

    /// Runs the graph that this program belongs to, into arrays of the caller.
    pub(crate) fn run_into(
        &self,
        graph: &Arc<Graph>,
        inputs: &[impl Borrow<Array>],
        outputs: &mut [Array],
    ) -> Result<(), RunError> {
        self.compiled(graph)?.run_into(inputs, outputs)
    }

    /// Runs the graph that this program belongs to, on arrays that are given away.
    pub(crate) fn run_donated(
        &self,
        graph: &Arc<Graph>,
        inputs: Vec<Array>,
    ) -> Result<Vec<Array>, RunError> {
        self.compiled(graph)?.run_donated(inputs)
    }

    /// The compiled program of the graph that this belongs to.
    pub(crate) fn compiled(&self, graph: &Arc<Graph>) -> Result<&cotangent_cpu::Program, RunError> {
        match self.compiled.get() {
            Some(program) => Ok(program),
            None => {
                let options = Options {
                    memory_budget: self.limits.memory_budget,
                    states_beside: self.limits.loop_directory.is_some(),
                    flush_subnormals: self.limits.flush_subnormals,
                    ..Options::default()
                };
                let program = cotangent_cpu::compile_shared_with(graph, &options)?;
                if let Some(bytes) = self.limits.loop_memory {
                    program.set_loop_memory(bytes);
                }
                if self.limits.loop_directory.is_some() {
                    program.set_loop_directory(self.limits.loop_directory.clone());
                }
                if let Some(threads) = self.limits.threads {
                    program.set_threads(threads);
                }
                // Two threads may both get here; either program is as good.
                Ok(self.compiled.get_or_init(|| program))
            }
        }
    }
}
