//! Whole derivatives: Jacobians, Hessians and Hessian-vector products.

use cotangent_array::DType;
use cotangent_graph::ops::{Compare, Iota};
use cotangent_graph::{Builder, Graph, TensorType, Var};

use crate::forward::{check_choice, is_float};
use crate::vmap::vmap_last;
use crate::{TransformError, grad, jvp, vjp, vmap};

/// How a Jacobian is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// One tangent for each element of an input.
    Forward,
    /// One cotangent for each element of an output.
    Reverse,
    /// Whichever of the two costs fewer operations.
    #[default]
    Auto,
}

/// The Jacobians of all float outputs with respect to the chosen inputs.
///
/// Inputs of the result: those of `graph`. Outputs, for each output and then each chosen input: an
/// array of the output's shape followed by the input's shape.
///
/// # Errors
/// Outputs or chosen inputs that are not real floats, or a choice that does not fit.
pub fn jacobian(graph: &Graph, wrt: &[bool], mode: Mode) -> Result<Graph, TransformError> {
    check_choice(graph, wrt)?;
    let (inputs, outputs) = (graph.input_types(), graph.output_types());
    let chosen = inputs.iter().zip(wrt).filter(|(_, w)| **w).map(|(t, _)| t);
    if let Some(complex) = chosen.chain(&outputs).find(|t| t.dtype.is_complex()) {
        return Err(TransformError::NotReal {
            graph: graph.name().to_owned(),
            found: complex.to_string(),
        });
    }
    if outputs.is_empty() || !outputs.iter().all(is_float) {
        return Err(TransformError::OutputNotFloat {
            graph: graph.name().to_owned(),
            found: crate::reverse::types(graph),
        });
    }
    match mode {
        Mode::Forward => forward(graph, wrt),
        Mode::Reverse => reverse(graph, wrt),
        Mode::Auto => {
            let (f, r) = (forward(graph, wrt), reverse(graph, wrt));
            match (f, r) {
                (Ok(f), Ok(r)) => Ok(if r.cost() < f.cost() { r } else { f }),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
                (Err(e), Err(_)) => Err(e),
            }
        }
    }
}

/// The Hessian of a scalar cost: for each pair of chosen inputs (a, b) the array of shape a.shape
/// followed by b.shape.
///
/// # Errors
/// As for [`grad`].
pub fn hessian(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    let g = jacobian(&grad(graph, wrt)?, wrt, Mode::Forward)?;
    Ok(g.renamed(&format!("{}_hessian", graph.name())))
}

/// The Hessian of a scalar cost times a vector, forward over reverse.
///
/// Inputs of the result: those of `graph`, then `t_NAME` for each chosen one. Outputs: the product
/// for each chosen input.
///
/// # Errors
/// As for [`grad`].
pub fn hvp(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    let gradient = grad(graph, wrt)?;
    let both = jvp(&gradient, wrt)?;
    let mut b = Builder::new(&format!("{}_hvp", graph.name()));
    let inputs: Vec<Var> = both
        .inputs()
        .iter()
        .zip(both.input_types())
        .map(|((n, _), t)| b.input(n, t))
        .collect();
    let outputs = b.inline(&both, &inputs).split_off(gradient.outputs().len());
    Ok(b.finish(&outputs)?.without_dead_code())
}

fn reverse(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    let pulled = vjp(graph, wrt)?;
    let (mut b, inputs) = start(graph);
    let outputs = graph.output_types();
    let chosen = chosen_types(graph, wrt);
    let mut results = Vec::new();
    for (k, out) in outputs.iter().enumerate() {
        let size = out.shape.elements();
        // One cotangent is a basis vector of this output, the others are shared zeros.
        let axes: Vec<Option<usize>> = (0..graph.inputs().len())
            .map(|_| None)
            .chain((0..outputs.len()).map(|j| (j == k).then_some(0)))
            .collect();
        let batched = vmap(&pulled, &axes, size)?;
        let mut args = inputs.clone();
        for (j, other) in outputs.iter().enumerate() {
            args.push(if j == k {
                basis(&mut b, other)
            } else {
                b.zeros(other)
            });
        }
        for (row, input) in b.inline(&batched, &args).into_iter().zip(&chosen) {
            let shape = [out.shape.dims(), input.shape.dims()].concat();
            results.push(b.reshape(row, shape));
        }
    }
    Ok(b.finish(&results)?.without_dead_code())
}

fn forward(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    let (mut b, inputs) = start(graph);
    let outputs = graph.output_types();
    let chosen: Vec<usize> = (0..wrt.len()).filter(|i| wrt[*i]).collect();
    // Columns for each chosen input; they are collected by output afterwards.
    let mut columns: Vec<Vec<Var>> = Vec::new();
    for i in &chosen {
        let only: Vec<bool> = (0..wrt.len()).map(|j| j == *i).collect();
        let pushed = jvp(graph, &only)?;
        let input = &graph.input_types()[*i];
        let tangents = tangents(&mut b, &pushed, &inputs, input)?;
        let of_outputs = tangents.into_iter().skip(outputs.len());
        let column = of_outputs.zip(&outputs).map(|(t, out)| {
            let shape = [out.shape.dims(), input.shape.dims()].concat();
            b.reshape(t, shape)
        });
        columns.push(column.collect());
    }
    let results: Vec<Var> = (0..outputs.len())
        .flat_map(|k| columns.iter().map(move |c| c.get(k).copied()))
        .flatten()
        .collect();
    Ok(b.finish(&results)?.without_dead_code())
}

/// From this many directions on a Jacobian has them as the last axis of whatever it computes: two of
/// the widest vectors of f64. Fewer do not fill vectors, which then go along the axes of the function.
const MANY: usize = 16;

/// Values and tangents for every basis vector of one input, which are the last axis.
fn tangents(
    b: &mut Builder,
    pushed: &Graph,
    inputs: &[Var],
    input: &TensorType,
) -> Result<Vec<Var>, TransformError> {
    let size = input.shape.elements();
    let mut args = inputs.to_vec();
    if size >= MANY {
        let moves: Vec<bool> = (0..=inputs.len()).map(|i| i == inputs.len()).collect();
        let batched = vmap_last(pushed, &moves, size)?;
        let eye = eye(b, input);
        args.push(b.reshape(eye, [input.shape.dims(), &[size]].concat()));
        return Ok(b.inline(&batched, &args));
    }
    let axes: Vec<Option<usize>> = (0..=inputs.len())
        .map(|i| (i == inputs.len()).then_some(0))
        .collect();
    let batched = vmap(pushed, &axes, size)?;
    args.push(basis(b, input));
    let tangents = b.inline(&batched, &args);
    let moved = tangents.into_iter().map(|t| {
        let order: Vec<usize> = (1..b.rank(t)).chain([0]).collect();
        b.transpose(t, &order)
    });
    Ok(moved.collect())
}

fn start(graph: &Graph) -> (Builder, Vec<Var>) {
    let mut b = Builder::new(&format!("{}_jacobian", graph.name()));
    let inputs = graph
        .inputs()
        .iter()
        .zip(graph.input_types())
        .map(|((n, _), t)| b.input(n, t))
        .collect();
    (b, inputs)
}

fn chosen_types(graph: &Graph, wrt: &[bool]) -> Vec<TensorType> {
    let types = graph.input_types().into_iter().zip(wrt);
    types
        .filter(|(_, chosen)| **chosen)
        .map(|(t, _)| t)
        .collect()
}

/// The basis vectors of a type, one after the other along a leading axis.
fn basis(b: &mut Builder, ty: &TensorType) -> Var {
    let eye = eye(b, ty);
    b.reshape(eye, [&[ty.shape.elements()], ty.shape.dims()].concat())
}

/// The identity matrix on the elements of a type.
fn eye(b: &mut Builder, ty: &TensorType) -> Var {
    let n = ty.shape.elements();
    let shape = [n, n];
    let row = b.push(
        Iota {
            shape: shape.into(),
            axis: 0,
            dtype: DType::I64,
        },
        &[],
    );
    let column = b.push(
        Iota {
            shape: shape.into(),
            axis: 1,
            dtype: DType::I64,
        },
        &[],
    );
    let eye = b.compare(Compare::Eq, row, column);
    b.convert(ty.dtype, eye)
}
