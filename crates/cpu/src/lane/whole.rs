//! Rows that are one call each, with one result of every reduction: what rows have in common is done once.

use std::ops::Range;

use super::fold::Folding;
use super::{Region, Stream};
use crate::memory::Slot;

/// How a region goes from a row to the next.
pub(super) struct Whole {
    /// The streams that move, and by how many bytes, while the innermost of the outer loops goes on.
    moving: Vec<(usize, usize)>,
}

impl Whole {
    /// `None` where rows are more than one call, or reductions go on over several of them.
    pub(super) fn of(
        streams: &[Stream],
        folds: &[Folding],
        run: usize,
        block: usize,
    ) -> Option<Whole> {
        let packs = streams.iter().any(|s| s.pack.is_some());
        let each = |f: &Folding| match f.sums() {
            Some(count) => count == run,
            None => f.joined == 0,
        };
        let moving = |(k, s): (usize, &Stream)| (s.steps[0] != 0).then_some((k, s.steps[0]));
        (!packs && !folds.is_empty() && run <= block && folds.iter().all(each)).then(|| Whole {
            moving: streams.iter().enumerate().filter_map(moving).collect(),
        })
    }
}

impl Region {
    /// These rows; the addresses are those of the first.
    pub(super) fn whole_rows(
        &self,
        whole: &Whole,
        bases: &mut [*mut u8],
        scratch: *mut u8,
        rows: Range<usize>,
        address: impl Fn(Slot) -> *mut u8,
    ) {
        let n0 = self.outer[0].max(1);
        let mut next = (rows.start / n0 + 1) * n0;
        for row in rows {
            self.execute(bases, self.run, scratch);
            for (k, folding) in self.folds.iter().enumerate() {
                let at = self.joined_at(k, scratch);
                // SAFETY: the kernel has just written a run there; the plan was checked, so there is a result
                // for each row, and the working memory has room for open sums.
                unsafe { folding.whole(at, self.run, scratch, (address(folding.slot), row)) };
            }
            if row + 1 == next {
                next += n0;
                self.next_row(bases, row + 1);
                continue;
            }
            for (k, step) in &whole.moving {
                bases[*k] = bases[*k].wrapping_add(*step);
            }
        }
    }

    /// Goes on to the row of this number from the one before.
    pub(super) fn next_row(&self, bases: &mut [*mut u8], row: usize) {
        let [n0, n1, _] = self.outer;
        self.advance(bases, 0);
        if row.is_multiple_of(n0) {
            self.rewind(bases, 0);
            self.advance(bases, 1);
            if (row / n0).is_multiple_of(n1) {
                self.rewind(bases, 1);
                self.advance(bases, 2);
            }
        }
    }
}
