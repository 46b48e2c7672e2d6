//! Numbers that stand everywhere, where a loop shares them with its steps.

use std::sync::Arc;

use cotangent_array::Scalar;
use cotangent_graph::{Builder, Graph, Var};

use super::body::Body;
use crate::CompileError;

/// Puts shared values that are one number everywhere into the step: there they cost nothing, and rules can
/// see them.
pub(super) fn run(b: &Builder, mut body: Body) -> Result<Body, CompileError> {
    let splat = |v: &Var| b.graph().splat(*v);
    let numbers: Vec<Option<Scalar>> = body.shared.iter().map(splat).collect();
    if numbers.iter().all(Option::is_none) {
        return Ok(body);
    }
    if let Some(test) = &body.test {
        body.test = Some(with_numbers(test, body.carried.len(), &numbers)?);
    }
    body.step = with_numbers(&body.step, body.first_shared(), &numbers)?;
    body.shared.retain(|v| splat(v).is_none());
    Ok(body)
}

/// The graph with these numbers in place of its inputs from one on, where there are any.
fn with_numbers(
    graph: &Graph,
    first: usize,
    numbers: &[Option<Scalar>],
) -> Result<Arc<Graph>, CompileError> {
    let mut b = Builder::new(graph.name());
    let inputs = graph.inputs().iter().zip(graph.input_types()).enumerate();
    let inputs: Vec<Var> = inputs
        .map(|(i, ((name, _), ty))| {
            let number = i.checked_sub(first).and_then(|i| *numbers.get(i)?);
            match number {
                Some(number) => b.full(number, ty.shape),
                None => b.input(name, ty),
            }
        })
        .collect();
    let outputs = b.inline(graph, &inputs);
    Ok(Arc::new(b.finish(&outputs)?))
}
