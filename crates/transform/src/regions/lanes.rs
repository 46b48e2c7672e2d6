//! The lanes of a batch that take part in a step or a branch.
//!
//! In a batched loop some examples are done before others, and in a batched branch some take the
//! other arm; yet the body runs on all of them at once. What it would compute for the lanes that do
//! not take part is thrown away by a select, but that is not enough: an index could be out of range
//! there, an inner loop might never end, and 0 times NaN in a product of arrays is NaN in the
//! backward pass. So these lanes compute with the values of the first lane that does take part. A
//! body then meets no values that it would not meet without the batch.

use cotangent_array::DType;
use cotangent_graph::ops::{Any, ArgMax, Gather};
use cotangent_graph::{Builder, Var};

/// Which lanes take part.
pub(super) struct Lanes {
    /// A bool for each lane.
    mask: Var,
    /// The number of the first lane that takes part, or of any lane where none does; `None` where
    /// there are no lanes.
    first: Option<Var>,
}

impl Lanes {
    /// Those for which the mask holds.
    pub(super) fn new(b: &mut Builder, mask: Var, size: usize) -> Lanes {
        let first = (size > 0).then(|| {
            let ones = b.convert(DType::I64, mask);
            b.push(ArgMax { axis: 0 }, &[ones])
        });
        Lanes { mask, first }
    }

    /// Values with a leading axis of lanes, with those of the first lane that takes part in place of
    /// those of lanes that do not.
    pub(super) fn fill(&self, b: &mut Builder, values: Var) -> Var {
        let Some(first) = self.first else {
            return values;
        };
        let one = b.push(Gather { axis: 0, batch: 0 }, &[values, first]);
        let shape = b.shape(values);
        let axes: Vec<usize> = (1..shape.rank()).collect();
        let everywhere = b.broadcast(one, shape, &axes);
        select(b, self.mask, values, everywhere)
    }
}

/// The one values for the lanes that take part, the other values for the others.
pub(super) fn select(b: &mut Builder, mask: Var, taking: Var, other: Var) -> Var {
    let mask = b.broadcast(mask, b.shape(taking), &[0]);
    b.select(mask, taking, other)
}

/// Whether some lane takes part.
pub(super) fn some(b: &mut Builder, mask: Var) -> Var {
    b.push(Any { axes: vec![0] }, &[mask])
}
