//! The stages of row blocks: regions, products of a matrix with a vector, and products of rows with matrices.

use cotangent_compile::RowWork;
use cotangent_compile::lane::MAX_FOLDS;

use super::fold::{self, Folding};
use super::open::Columns;
use super::split::{self, Tables};
use super::whole::Whole;
use super::{Inner, Mode, Places, Region, inner};
use crate::RunError;
use crate::kernels::gemm::{ByMatrix, ByRows};
use crate::memory::Slot;

/// One of the things that a row block does, on some rows at a time.
pub(super) enum Stage {
    Region(Box<OnRows>),
    /// A product of the matrix, the vector and the result at these places of the table, and whether it sums
    /// rows.
    Product(ByRows, [usize; 3], bool),
    /// A product of rows with matrices: where these and the result stand, and where its working memory begins.
    Matrix(ByMatrix, [usize; 3], usize),
}

/// A region that runs on some rows.
pub(super) struct OnRows {
    region: Region,
    /// Where its working memory begins.
    scratch: usize,
    /// The places of a row.
    places: usize,
    calls: Calls,
}

/// How some rows become calls of the region's code.
enum Calls {
    /// One for all: they are a part of the only run.
    One,
    /// One for each run, of which a row has one or more.
    Each(Whole),
    Any,
}

/// Opens or closes the sums over outer loops of a reduction.
pub(super) type OnSums = unsafe fn(&Folding, *mut u8, *mut u8, Columns);

impl Stage {
    /// The stage of a block with so many rows, whose places count from a table of addresses.
    pub(super) fn new(work: &RowWork, places: Places, mode: Mode, rows: usize) -> Option<Stage> {
        match work {
            RowWork::Region(region) => {
                let own = region.layout();
                let inner: Inner = inner(region, mode, &own);
                let scratch = places.scratch.offset;
                let elements = region.elements() / rows.max(1);
                let region = Region::new(region, places, own, inner);
                Some(Stage::Region(Box::new(OnRows {
                    scratch,
                    places: elements,
                    calls: Calls::of(&region, elements),
                    region,
                })))
            }
            RowWork::Product(product) => {
                let ([x, y], [out]) = (&places.args[..], &places.outs[..]) else {
                    return None;
                };
                let (matrix, vector) = if product.first { (x, y) } else { (y, x) };
                let at = [matrix, vector, out].map(|slot| slot.base as usize);
                Some(Stage::Product(ByRows::new(*product), at, product.sums))
            }
            RowWork::Matrix(product) => {
                let ([rows, matrices], [out]) = (&places.args[..], &places.outs[..]) else {
                    return None;
                };
                let at = [rows, matrices, out].map(|slot| slot.base as usize);
                let own = places.scratch.offset;
                Some(Stage::Matrix(ByMatrix::new(product), at, own))
            }
        }
    }

    /// In how many units it may be cut where it does all rows, which are `turns` units of rows.
    pub(super) fn units(&self, turns: usize) -> usize {
        match self {
            Stage::Product(product, _, true) => product.grains(),
            Stage::Region(region) if !region.region.folds.is_empty() => 1,
            _ => turns,
        }
    }

    /// Opens or closes sums over rows in working memory.
    pub(super) fn sums(&self, address: impl Fn(Slot) -> *mut u8, scratch: *mut u8, on: OnSums) {
        if let Stage::Region(region) = self {
            region.sums(address, scratch, on);
        }
    }

    /// Forgets what stands in the working memory of a thread.
    pub(super) fn forget(&self, scratch: *mut u8) {
        if let Stage::Matrix(product, _, own) = self {
            // SAFETY: the layout has given the stage working memory there, for itself alone.
            unsafe { product.forget(scratch.wrapping_add(*own)) };
        }
    }

    /// In how many calls of code it does so many rows, about.
    pub(super) fn calls(&self, rows: usize) -> usize {
        match self {
            Stage::Region(region) => match region.calls {
                Calls::Each(_) => rows * region.places / region.region.run.max(1),
                Calls::One | Calls::Any => 1,
            },
            Stage::Product(..) | Stage::Matrix(..) => 1,
        }
    }

    /// Rows `from` to before `to`, in the working memory of a thread and that in which sums stand. Before every
    /// call of code it does `between`.
    pub(super) fn rows(
        &self,
        table: &[*mut u8],
        scratch: [*mut u8; 2],
        [from, to]: [usize; 2],
        mut between: impl FnMut(),
    ) -> Result<(), RunError> {
        match self {
            Stage::Region(region) => region.rows(table, scratch, [from, to], between),
            Stage::Product(product, at, _) => {
                between();
                // SAFETY: the plan was checked: these rows of the matrix and of the vector, or all of the
                // vector, are there, and nothing overlaps the result.
                unsafe { product.run(at.map(|place| table[place]), from..to) };
                Ok(())
            }
            Stage::Matrix(product, at, own) => {
                between();
                let own = scratch[0].wrapping_add(*own);
                // SAFETY: the plan was checked: these rows and all matrices are there, and nothing overlaps the
                // result or the working memory, which was told to forget what stood there.
                unsafe { product.run(at.map(|place| table[place]), own, from..to) };
                Ok(())
            }
        }
    }
}

impl Calls {
    /// For a region of which a row has so many places.
    fn of(region: &Region, places: usize) -> Calls {
        let whole = || {
            let Region { streams, folds, .. } = region;
            Whole::of(streams, folds, region.run, region.layout.block)
        };
        if region.folds.is_empty() && !region.packs && region.outer == [1; 3] {
            return Calls::One;
        }
        let runs = places > 0 && places.is_multiple_of(region.run);
        runs.then(whole).flatten().map_or(Calls::Any, Calls::Each)
    }
}

impl OnRows {
    fn sums(&self, address: impl Fn(Slot) -> *mut u8, scratch: *mut u8, on: OnSums) {
        let scratch = scratch.wrapping_add(self.scratch);
        let grow = |folding: &&Folding| folding.sums().is_some();
        for folding in self.region.folds.iter().filter(grow) {
            let out = address(folding.slot);
            // SAFETY: the working memory of the region has room for open sums, as its layout says; the
            // plan was checked, so the result has room for all of them.
            unsafe { on(folding, scratch, out, Columns::all(self.region.run)) };
        }
    }

    fn rows(
        &self,
        table: &[*mut u8],
        scratch: [*mut u8; 2],
        [from, to]: [usize; 2],
        mut between: impl FnMut(),
    ) -> Result<(), RunError> {
        let scratch = scratch.map(|own| own.wrapping_add(self.scratch));
        let places = [from * self.places, to * self.places];
        let region = &self.region;
        let address = |slot| address(table, slot);
        match &self.calls {
            Calls::One => {
                between();
                // SAFETY: the memory is that of the thread that runs these rows.
                let at = unsafe { split::bases(region, address, scratch[0], [0, places[0]]) };
                region.execute(at, places[1] - places[0], scratch[0]);
                return Ok(());
            }
            Calls::Each(whole) => {
                let runs = places.map(|place| place / region.run);
                // SAFETY: as above.
                let at = unsafe { split::bases(region, address, scratch[0], [runs[0], 0]) };
                region.whole_rows(whole, at, scratch, runs[0]..runs[1], address, between);
                return Ok(());
            }
            Calls::Any => between(),
        }
        match region.folds.len() {
            0 => self.run::<0>(table, scratch, places),
            1 => self.run::<1>(table, scratch, places),
            2 => self.run::<2>(table, scratch, places),
            _ => self.run::<MAX_FOLDS>(table, scratch, places),
        }
    }

    /// The region on some of its places: whole results of reductions along rows.
    fn run<const FOLDS: usize>(
        &self,
        table: &[*mut u8],
        [scratch, sums]: [*mut u8; 2],
        [from, to]: [usize; 2],
    ) -> Result<(), RunError> {
        let region = &self.region;
        let mut states = [fold::State::default(); FOLDS];
        for (state, folding) in states.iter_mut().zip(&region.folds) {
            folding.go_to(from, state, sums);
        }
        let (mut row, mut at) = (from / region.run, from % region.run);
        // SAFETY: the memory is that of the thread that runs these rows.
        let mut tables = unsafe { Tables::new(region, |s| address(table, s), scratch, row) };
        let mut left = to - from;
        while left > 0 {
            let count = left.min(region.run - at);
            tables.run_of_row(region, scratch, [at, count], &mut states)?;
            left -= count;
            if at + count < region.run {
                break;
            }
            at = 0;
            row += 1;
            tables.next_row(region, row);
            for (state, folding) in states.iter_mut().zip(&region.folds) {
                let Some(outer) = region.outer.get(..folding.joined) else {
                    continue;
                };
                let rows: usize = outer.iter().product();
                if row.is_multiple_of(rows) {
                    let out = address(table, folding.slot);
                    // SAFETY: the plan was checked: there is a result for each so many rows.
                    unsafe { folding.end(state, out, row / rows - 1) };
                }
            }
        }
        Ok(())
    }
}

fn address(table: &[*mut u8], slot: Slot) -> *mut u8 {
    table[slot.base as usize].wrapping_add(slot.offset)
}
