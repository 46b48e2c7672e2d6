//! The walk that every rewriting pass is.

use cotangent_graph::{Builder, Equation, Graph, GraphError, Var};
use smallvec::SmallVec;

use crate::CompileError;

/// Builds a graph anew, equation by equation in order. `rule` gets the builder, the old equation
/// and its operands in the new graph, and may give another variable in place of the result.
///
/// The builder gives equal operations one variable, and verifies the result in debug builds.
pub(super) fn rewrite(
    graph: &Graph,
    mut rule: impl FnMut(&mut Builder, &Equation, &[Var]) -> Option<Var>,
) -> Result<Graph, CompileError> {
    rewrite_from(graph, |b, v, to| {
        let e = graph.equation(v);
        let args: SmallVec<[Var; 3]> = e.args.iter().map(|a| to[a.index()]).collect();
        rule(b, e, &args)
    })
}

/// As [`rewrite`], for rules that look further than at operands: `rule` gets the builder, the old
/// variable, and the new variable of each old one before it.
pub(super) fn rewrite_from(
    graph: &Graph,
    mut rule: impl FnMut(&mut Builder, Var, &[Var]) -> Option<Var>,
) -> Result<Graph, CompileError> {
    let mut b = Builder::new(graph.name());
    b.reserve(graph.equations().len());
    let mut to: Vec<Var> = Vec::with_capacity(graph.equations().len());
    let mut inputs = graph.inputs().iter();
    for (v, e) in graph.iter() {
        b.follow(e);
        if e.op.is_input() {
            let (Some((name, _)), Some(ty)) = (inputs.next(), e.ty.tensor()) else {
                let message = "an input is not in the list of inputs";
                return Err(GraphError::other(message, e.location).into());
            };
            to.push(b.input(name, ty.clone()));
            continue;
        }
        let new = match rule(&mut b, v, &to) {
            Some(var) => var,
            None => {
                let args: SmallVec<[Var; 3]> = e.args.iter().map(|a| to[a.index()]).collect();
                b.copy(e, &args)
            }
        };
        to.push(new);
    }
    let outputs: Vec<Var> = graph.outputs().iter().map(|o| to[o.index()]).collect();
    Ok(b.finish(&outputs)?)
}
