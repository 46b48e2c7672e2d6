//! Sums of rows that indices pick, each times a number, of rows that are read where they stand.
//!
//! A `dot` of numbers with what a `gather` picks adds up some rows of an array for each element of the
//! indices' outer axes: interpolation between the corners of a mesh, embeddings of bags of words, a product
//! with a sparse matrix that has as many elements in each row. The picked rows need not be put together first.

use cotangent_graph::ops::{ArrayOp, Dot, Gather};
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

/// Which rows a product picks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picked {
    /// What picks them; its operands follow the product's first one in the step.
    pub gather: Gather,
    /// The type that the picked rows would have if they were put together.
    pub rows: TensorType,
}

/// A product of what a `gather` picks.
pub(crate) struct Source {
    /// The picked rows, which need not be stored.
    pub(crate) between: Var,
    /// What the rows are multiplied by, the array that has them, the indices.
    pub(crate) args: SmallVec<[Var; 4]>,
    pub(crate) dot: Dot,
    pub(crate) picked: Picked,
}

/// Rows of one element are added up in lanes when they stand together, which loses fewer digits.
const SHORTEST: usize = 2;

/// The product that reads picked rows where they stand, if an equation is one.
pub(crate) fn source(graph: &Graph, e: &Equation) -> Option<Source> {
    let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (&e.op, &e.args[..]) else {
        return None;
    };
    [(*x, *y, false), (*y, *x, true)]
        .into_iter()
        .find_map(|(numbers, between, flipped)| {
            let rows = graph.equation(between);
            let Op::Array(ArrayOp::Gather(gather)) = &rows.op else {
                return None;
            };
            let picked = Picked {
                gather: Gather::clone(gather),
                rows: rows.ty.tensor()?.clone(),
            };
            let dot = match flipped {
                true => dot.flipped(),
                false => Dot::clone(dot),
            };
            let mut args: SmallVec<[Var; 4]> = SmallVec::from_elem(numbers, 1);
            args.extend(rows.args.iter().copied());
            let types = args.iter().map(|v| graph.ty(*v).tensor());
            let types = types.collect::<Option<SmallVec<[&TensorType; 4]>>>()?;
            picked.sizes(&dot, &types)?;
            Some(Source {
                between,
                args,
                dot,
                picked,
            })
        })
}

impl Picked {
    /// How many sums a product of numbers with picked rows has, how many terms each, and the elements of a
    /// row; `None` where rows are not picked one for each number. The types are those of the numbers, of the
    /// array and of the indices.
    pub fn sizes(&self, dot: &Dot, types: &[&TensorType]) -> Option<[usize; 3]> {
        let [numbers, array, indices @ ..] = types else {
            return None;
        };
        let shared = dot.batch.0.len();
        let leading = |axes: &[usize]| axes.iter().copied().eq(0..shared);
        let next = |axes: &[usize]| axes == [shared];
        let straight = leading(&dot.batch.0)
            && leading(&dot.batch.1)
            && next(&dot.contract.0)
            && next(&dot.contract.1)
            && numbers.rank() == shared + 1;
        let Gather { axis, batch } = self.gather;
        let picks = axis == batch
            && !indices.is_empty()
            && indices.iter().all(|index| index.rank() == shared + 1);
        if !straight || !picks || !numbers.dtype.is_inexact() {
            return None;
        }
        let end = axis.checked_add(indices.len())?;
        let product = |dims: &[usize]| {
            let mut dims = dims.iter();
            dims.try_fold(1_usize, |n, d| n.checked_mul(*d))
        };
        let (sums, terms) = numbers.shape.dims().split_at_checked(shared)?;
        let (sums, terms) = (product(sums)?, *terms.first()?);
        let row = product(array.shape.get(end..)?)?;
        let worth = row >= SHORTEST && terms > 0;
        worth.then_some([sums, terms, row])
    }
}
