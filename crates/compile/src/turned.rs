//! Products of matrices that are written where a transpose would move them.
//!
//! A contraction gives the free axes of its first operand before those of its second. Where a transpose takes
//! some of the first operand's axes behind those of the second, each of the others counts a product of two
//! matrices that is written turned, and nothing needs to be moved.

use cotangent_array::Shape;
use cotangent_graph::ops::{ArrayOp, Dot};
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};

/// A product in place of a transpose of one.
pub(crate) struct Source {
    /// The product that need not be stored.
    pub(crate) between: Var,
    pub(crate) args: [Var; 2],
    pub(crate) dot: Dot,
    /// How many of the first operand's free axes stay where they are, behind the shared ones: then come those of
    /// the second operand, then the rest of the first's.
    pub(crate) front: usize,
}

/// Matrices of fewer elements are multiplied in one piece and moved afterwards, and so are those whose rows are
/// shorter than this.
const SMALLEST: usize = 48;
const SHORTEST: usize = 16;

/// The product that a transpose turns, if it does no more than that.
pub(crate) fn source(graph: &Graph, e: &Equation) -> Option<Source> {
    let (Op::Array(ArrayOp::Transpose(transpose)), [between]) = (&e.op, &e.args[..]) else {
        return None;
    };
    let product = graph.equation(*between);
    let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (&product.op, &product.args[..]) else {
        return None;
    };
    let ways = [
        (Dot::clone(dot), [*x, *y], false),
        (dot.flipped(), [*y, *x], true),
    ];
    ways.into_iter().find_map(|(dot, args, flipped)| {
        let ranks = args.map(|v| graph.ty(v).tensor().map_or(0, TensorType::rank));
        let (first, second) = dot.free_axes(ranks[0], ranks[1]);
        let (batch, left, right) = (dot.batch.0.len(), first.len(), second.len());
        // Where the axes of the result of this product stand in that of the graph's.
        let at = |axis: usize| match axis.checked_sub(batch) {
            Some(free) if flipped && free < left => axis + right,
            Some(_) if flipped => axis - left,
            _ => axis,
        };
        let turned = |front: &usize| {
            let order = order(batch, [left, right], *front).map(at);
            order.eq(transpose.axes.iter().copied())
        };
        let front = (1..left).find(turned)?;
        let elements = |v: Var, axes: &[usize]| {
            let shape = graph.ty(v).tensor().map(|t| &t.shape)?;
            Some(axes.iter().filter_map(|a| shape.get(*a)).product::<usize>())
        };
        let rows = elements(args[1], &second)?;
        let columns = elements(args[0], first.get(front..)?)?;
        let large = rows.saturating_mul(columns) >= SMALLEST && columns >= SHORTEST;
        large.then_some(Source {
            between: *between,
            args,
            dot,
            front,
        })
    })
}

/// The type of a turned result for that of the product.
pub(crate) fn result(
    dot: &Dot,
    front: usize,
    product: &TensorType,
    [x, y]: [&TensorType; 2],
) -> TensorType {
    let (first, second) = dot.free_axes(x.rank(), y.rank());
    let order = order(dot.batch.0.len(), [first.len(), second.len()], front);
    let shape = order.filter_map(|axis| product.shape.get(axis).copied());
    product.with_shape(shape.collect::<Shape>())
}

/// The axes of a product in the order in which they are written.
fn order(batch: usize, [left, right]: [usize; 2], front: usize) -> impl Iterator<Item = usize> {
    let kept = batch + front.min(left);
    (0..kept)
        .chain(batch + left..batch + left + right)
        .chain(kept..batch + left)
}
