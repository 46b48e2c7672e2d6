//! Removes operations that no output needs.

use cotangent_graph::Graph;

use crate::CompileError;

/// Inputs stay, whether they are needed or not: they are the function's signature.
pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let live = graph.live();
    if graph
        .iter()
        .all(|(v, e)| live[v.index()] || e.op.is_input())
    {
        return Ok(None);
    }
    let out = graph.without_dead_code();
    if cfg!(debug_assertions) {
        out.verify()?;
    }
    Ok(Some(out))
}
