//! Computes operations on constants.

use cotangent_array::{Array, Scalar};
use cotangent_graph::{Graph, Op, Type, Var, eval_op, eval_scalars};
use smallvec::SmallVec;

use super::rewrite::rewrite;
use crate::CompileError;

/// Results of up to this many elements are kept as constants.
const ELEMENTS: usize = 1024;
/// Operands of more elements than this together are left alone, and so is work of more than
/// [`WORK`] additions: compiling must stay quick.
const OPERANDS: usize = 16 * 1024;
const WORK: u64 = 1 << 20;

/// Walks over the graph and replaces operations whose operands are constants by their values. One
/// that fails, such as an index out of range, stays: it fails when it runs.
pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    // Folding starts at operations whose operands are constants as the graph stands.
    if !graph
        .equations()
        .iter()
        .any(|e| fold(graph, &e.op, &e.args, &e.ty).is_some())
    {
        return Ok(None);
    }
    rewrite(graph, |b, _, e, args| {
        let value = fold(b.graph(), &e.op, args, &e.ty)?;
        Some(b.push(value, &[]))
    })
    .map(Some)
}

/// The value of an operation whose operands are constants.
pub(super) fn fold(graph: &Graph, op: &Op, args: &[Var], ty: &Type) -> Option<Op> {
    if op.is_constant()
        || matches!(
            op,
            Op::Input | Op::Call(_) | Op::Region(_) | Op::Native(_) | Op::Get(_)
        )
    {
        return None;
    }
    let constant = |v: &Var| {
        graph
            .equations()
            .get(v.index())
            .is_some_and(|e| e.op.is_constant())
    };
    if !args.iter().all(constant) {
        return None;
    }
    let out = ty.tensor()?;
    if op.is_pointwise() {
        // Numbers that stand everywhere give one that does, however many elements there are.
        let splats: Option<SmallVec<[Scalar; 3]>> = args.iter().map(|a| graph.splat(*a)).collect();
        if let Some(splats) = splats {
            return Some(Op::Full(eval_scalars(op, &splats)?, out.shape.clone()));
        }
    }
    let types: SmallVec<[&Type; 3]> = args.iter().map(|a| graph.ty(*a)).collect();
    let read: usize = types
        .iter()
        .filter_map(|t| t.tensor())
        .fold(0, |sum: usize, t| sum.saturating_add(t.shape.elements()));
    if out.shape.elements() > ELEMENTS || read > OPERANDS || op.cost(&types, ty) > WORK {
        return None;
    }
    let arrays: SmallVec<[Array; 3]> = args
        .iter()
        .map(|a| array(graph, *a))
        .collect::<Option<_>>()?;
    let arrays: SmallVec<[&Array; 3]> = arrays.iter().collect();
    let value = eval_op(op, &arrays, out).ok()?;
    let first = value.at(0);
    match first {
        Some(x) if value.scalars().all(|y| y == x) => Some(Op::Full(x, out.shape.clone())),
        _ => Some(Op::Constant(value)),
    }
}

fn array(graph: &Graph, var: Var) -> Option<Array> {
    match &graph.equation(var).op {
        Op::Constant(array) => Some(array.clone()),
        Op::Full(value, shape) => Array::full(shape.clone(), *value).ok(),
        _ => None,
    }
}
