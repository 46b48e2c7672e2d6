//! Rows that are one call each, with one result of every reduction: what rows have in common is done once.

use std::ops::Range;

use cotangent_compile::lane::MAX_FOLDS;

use super::fold::Folding;
use super::open::Columns;
use super::{Region, Stream};
use crate::memory::{Frame, Slot};

/// How a region goes from a row to the next.
pub(super) struct Whole {
    /// The streams that move, and by how many bytes, while the innermost of the outer loops goes on.
    moving: Vec<(usize, usize)>,
    /// The stream of each reduction.
    folded: Vec<usize>,
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
        let stream = |k: usize| streams.iter().position(|s| s.fold == Some(k));
        (!packs && run <= block && folds.iter().all(each)).then(|| Whole {
            moving: streams.iter().enumerate().filter_map(moving).collect(),
            folded: (0..folds.len()).filter_map(stream).collect(),
        })
    }
}

impl Region {
    /// All rows.
    pub(super) fn run_whole(&self, whole: &Whole, frame: &Frame<'_>) {
        let scratch = frame.address(self.places.scratch);
        let count = self.streams.len();
        let bases: *mut *mut u8 = scratch.wrapping_add(self.layout.table_at).cast();
        for (k, stream) in self.streams.iter().enumerate() {
            let address = match stream.fold {
                Some(k) => scratch.wrapping_add(self.layout.folds_at + k * self.layout.fold),
                None => frame.address(stream.slot),
            };
            // SAFETY: the working memory holds a table with an address for every stream here, aligned to 8
            // bytes, which nothing else uses while the step runs.
            unsafe { bases.add(k).write(address) };
        }
        // SAFETY: all of it has just been written.
        let bases = unsafe { std::slice::from_raw_parts_mut(bases, count) };
        let sums = || self.folds.iter().filter(|f| f.sums().is_some());
        let null = std::ptr::null_mut();
        for folding in sums() {
            // SAFETY: the working memory has room for open sums, as its layout says.
            unsafe { folding.open_all(scratch, null, Columns::all(self.run)) };
        }
        let rows = self.outer.iter().product();
        let address = |slot| frame.address(slot);
        self.whole_rows(whole, bases, [scratch; 2], 0..rows, address, || {});
        for folding in sums() {
            // SAFETY: as above; the plan was checked, so the result has room for all sums.
            unsafe { folding.close_all(scratch, address(folding.slot), Columns::all(self.run)) };
        }
    }

    /// These rows; the addresses are those of the first, and open sums stand in the second working memory. Before
    /// every row it does `between`.
    pub(super) fn whole_rows(
        &self,
        whole: &Whole,
        bases: &mut [*mut u8],
        [scratch, sums]: [*mut u8; 2],
        rows: Range<usize>,
        address: impl Fn(Slot) -> *mut u8,
        mut between: impl FnMut(),
    ) {
        let n0 = self.outer[0].max(1);
        let mut turn = (rows.start / n0 + 1) * n0;
        let mut row = rows.start;
        let mut open = [std::ptr::null_mut(); MAX_FOLDS];
        while row < rows.end {
            // The open sums are the same for all rows of a chunk.
            let mut end = rows.end;
            let folds = self.folds.iter().zip(&whole.folded);
            for (open, (folding, stream)) in open.iter_mut().zip(folds) {
                if let Some((at, next)) = folding.open_in(row, sums) {
                    *open = at;
                    end = end.min(next);
                    if folding.before.is_some() {
                        bases[*stream] = at;
                    }
                }
            }
            for row in row..end {
                between();
                self.execute(bases, self.run, scratch);
                let folds = self.folds.iter().zip(&whole.folded);
                for (open, (folding, stream)) in open.iter().zip(folds) {
                    let out = (address(folding.slot), row);
                    // SAFETY: the kernel has just written a run there; the plan was checked, so there is a
                    // result for each row, and the working memory has room for open sums.
                    unsafe { folding.whole(bases[*stream], self.run, *open, out) };
                }
                if row + 1 == turn && turn < rows.end {
                    turn += n0;
                    self.next_row(bases, row + 1);
                    continue;
                }
                for (k, step) in &whole.moving {
                    bases[*k] = bases[*k].wrapping_add(*step);
                }
            }
            row = end;
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
