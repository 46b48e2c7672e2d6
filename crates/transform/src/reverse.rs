//! Reverse mode: linearize, then transpose.

use cotangent_graph::{Graph, Var};

use crate::TransformError;
use crate::forward::{Forward, is_float, is_inexact};
use crate::linearize::dependents;
use crate::transpose::{Source, pull_back};

/// The vector-Jacobian product: the cotangents of the chosen inputs from those of the outputs.
///
/// Inputs of the result: those of `graph`, then a cotangent `ct_outK` for its K-th output, floats and
/// complex numbers only. Outputs: a cotangent for each chosen input, in order. Nothing is computed for the
/// others.
///
/// Cotangents u and tangents t of complex variables pair as the real number Re(sum(u * t)), without
/// conjugation; under this pairing vjp is the transpose of jvp. See [`cotangent_graph::ops::complex`].
///
/// # Errors
/// A choice that does not fit the inputs, or that names an input that is neither a float nor complex.
pub fn vjp(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    if !graph.output_types().iter().any(is_inexact) {
        return Err(TransformError::OutputNotFloat {
            graph: graph.name().to_owned(),
            found: types(graph),
        });
    }
    reverse(graph, wrt, "vjp", Seed::Inputs, false)
}

/// The gradient of a scalar cost with respect to the chosen inputs.
///
/// Inputs of the result: those of `graph`. Outputs: a gradient for each chosen input, in order. The
/// gradient of a real cost L with respect to a complex input x + iy is dL/dx - i dL/dy, as in JAX; its
/// conjugate is the direction of steepest ascent, and what PyTorch calls the gradient.
///
/// # Errors
/// When `graph` gives anything but one float scalar, or the choice does not fit.
pub fn grad(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    if graph.outputs().len() != 1 {
        return Err(not_scalar(graph));
    }
    check_scalar(graph)?;
    reverse(graph, wrt, "grad", Seed::One, false)
}

/// The outputs of a graph, and the gradient of the first one, a scalar cost, with respect to the
/// chosen inputs.
///
/// Inputs of the result: those of `graph`. Outputs: those of `graph`, then a gradient for each
/// chosen input, in order.
///
/// # Errors
/// When the first output of `graph` is not a float scalar, or the choice does not fit.
pub fn value_and_grad(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    check_scalar(graph)?;
    reverse(graph, wrt, "value_and_grad", Seed::One, true)
}

/// Where the cotangents of the outputs come from.
#[derive(Clone, Copy, PartialEq)]
enum Seed {
    /// An input for each float or complex output.
    Inputs,
    /// The number one for the first output, zero for the others.
    One,
}

fn reverse(
    graph: &Graph,
    wrt: &[bool],
    suffix: &str,
    seed: Seed,
    values_too: bool,
) -> Result<Graph, TransformError> {
    let (mut b, forward) = Forward::start(graph, wrt, suffix, true)?;
    let values = forward.values(graph);
    let linear = dependents(b.graph(), &forward.seeds);
    let to: Vec<Option<Var>> = (0..b.len()).map(|i| Some(Var::from_index(i))).collect();
    let mut seeds = Vec::new();
    for (k, (o, value)) in graph.outputs().iter().zip(&values).enumerate() {
        if !is_inexact(&b.tensor(*value)) {
            continue;
        }
        let cotangent = match seed {
            Seed::Inputs => {
                let ty = b.tensor(*value);
                b.input(&format!("ct_out{k}"), ty)
            }
            Seed::One if k == 0 => b.like(*value, 1.0),
            Seed::One => continue,
        };
        if let Some(tangent) = forward.tangents[o.index()] {
            seeds.push((tangent, cotangent));
        }
    }
    let cotangents = if b.failed() {
        vec![None; forward.seeds.len()]
    } else {
        pull_back(&mut b, Source::Built, &linear, &to, &seeds, &forward.seeds)?
    };
    let mut outputs = if values_too { values } else { Vec::new() };
    for (cotangent, tangent) in cotangents.into_iter().zip(&forward.seeds) {
        outputs.push(cotangent.unwrap_or_else(|| b.like(*tangent, 0.0)));
    }
    Ok(b.finish(&outputs)?.into_live(&forward.seeds))
}

fn check_scalar(graph: &Graph) -> Result<(), TransformError> {
    match graph.output_types().first() {
        Some(t) if t.shape.is_scalar() && is_float(t) => Ok(()),
        _ => Err(not_scalar(graph)),
    }
}

fn not_scalar(graph: &Graph) -> TransformError {
    TransformError::NotScalar {
        graph: graph.name().to_owned(),
        found: types(graph),
    }
}

/// The types of the outputs as text.
pub(crate) fn types(graph: &Graph) -> String {
    let types: Vec<String> = graph.output_types().iter().map(|t| t.to_string()).collect();
    match &types[..] {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}
