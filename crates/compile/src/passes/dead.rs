//! Removes operations that no output needs.

use std::borrow::Cow;

use cotangent_graph::{Equation, Graph, Var};

use crate::CompileError;

/// Inputs stay, whether they are needed or not: they are the function's signature.
pub(super) fn run(graph: Cow<'_, Graph>) -> Result<Cow<'_, Graph>, CompileError> {
    let live = graph.live();
    let needed = |(v, e): (Var, &Equation)| live[v.index()] || e.op.is_input();
    if graph.iter().all(needed) {
        return Ok(graph);
    }
    let out = match graph {
        Cow::Borrowed(graph) => graph.without_dead_code(),
        Cow::Owned(graph) => graph.into_live(&[]),
    };
    if cfg!(debug_assertions) {
        out.verify()?;
    }
    Ok(Cow::Owned(out))
}
