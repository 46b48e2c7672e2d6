//! The walk that every rewriting pass is.

use cotangent_graph::{Builder, Equation, Graph, GraphError, Var};

use crate::CompileError;

/// Builds a graph anew, equation by equation in order. `rule` gets the builder, the old variable, its
/// equation, and the operands in the new graph, and may give another variable in place of the result.
///
/// The builder gives equal operations one variable, and verifies the result in debug builds.
pub(super) fn rewrite(
    graph: &Graph,
    mut rule: impl FnMut(&mut Builder, Var, &Equation, &[Var]) -> Option<Var>,
) -> Result<Graph, CompileError> {
    walk(graph, |b, v, e, args, _| rule(b, v, e, args))
}

/// As [`rewrite`], for rules that look further than at operands: `rule` gets the builder, the old
/// variable, and the new variable of each old one before it.
pub(super) fn rewrite_from(
    graph: &Graph,
    mut rule: impl FnMut(&mut Builder, Var, &[Var]) -> Option<Var>,
) -> Result<Graph, CompileError> {
    walk(graph, |b, v, _, _, to| rule(b, v, to))
}

/// Both of these: `rule` gets the builder, the old variable, its equation, the operands in the new
/// graph, and the new variable of each old one before it.
fn walk(
    graph: &Graph,
    mut rule: impl FnMut(&mut Builder, Var, &Equation, &[Var], &[Var]) -> Option<Var>,
) -> Result<Graph, CompileError> {
    let mut b = Builder::new(graph.name());
    b.reserve(graph.equations().len());
    let mut to: Vec<Var> = Vec::with_capacity(graph.equations().len());
    let mut inputs = graph.inputs().iter();
    let mut args: Vec<Var> = Vec::new();
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
        args.clear();
        args.extend(e.args.iter().map(|a| to[a.index()]));
        let new = rule(&mut b, v, e, &args, &to);
        to.push(new.unwrap_or_else(|| b.copy(e, &args)));
    }
    let outputs: Vec<Var> = graph.outputs().iter().map(|o| to[o.index()]).collect();
    Ok(b.finish(&outputs)?)
}
