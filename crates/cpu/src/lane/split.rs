//! Regions divided between threads.
//!
//! A region is cut at leaves ([`LEAF`] elements along the inner run, numbered row by row). Where it has
//! many results, parts end where results do, and each part joins its results as one thread would. A
//! reduction to one result is cut into chunks of 2^k leaves, which are whole subtrees of the tree that
//! joins all leaves; joining those of the chunks in their order is the rest of that tree. So the bits are
//! those of the tree in any case, and cuts may follow from the number of threads.
//!
//! Sums over outer loops add row after row, so there it is the run that is cut: each part does some columns
//! of all rows.

use cotangent_compile::lane::{LEAF, MAX_FOLDS};

use super::fold;
use super::open::Columns;
use super::{Folding, Region};
use crate::RunError;
use crate::memory::{Frame, Slot};
use crate::pool::{Shared, Team, share};

/// The most chunks of a reduction to one result.
const CHUNKS: usize = 64;
/// Elements of the run of which a part with sums over outer loops has a multiple, and so many of them at
/// least where that makes a part for every thread: each row costs a call.
const GRAIN: usize = 64;
const WIDE: usize = 256;

/// Where a region may be cut.
pub(super) struct Cut {
    /// About how many nanoseconds the region takes.
    work: u64,
    /// Leaves of a row, and of the region.
    row: usize,
    leaves: usize,
    /// Leaves that belong to one result, or one result of each reduction.
    unit: usize,
    /// For each reduction the rows of one result, and whether that is a whole unit.
    folds: Vec<(usize, bool)>,
    /// Leaves of which a number of chunks must be a multiple, in a power of two, so that no result of a
    /// smaller reduction is in two of them; nothing if there is no such number.
    grain: Option<usize>,
    sums: Sums,
}

/// Whether there are sums over outer loops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sums {
    None,
    /// Nothing but such among the reductions, so the run may be cut anywhere.
    Columns,
    /// Others as well: the region stays whole.
    Mixed,
}

impl Sums {
    fn of(region: &Region) -> Sums {
        let leading = |f: &Folding| f.sums().is_some();
        let in_rows = |f: &Folding| f.sums().is_some_and(|n| n % region.run.max(1) == 0);
        if !region.folds.iter().any(leading) {
            Sums::None
        } else if region.folds.iter().all(in_rows) {
            Sums::Columns
        } else {
            Sums::Mixed
        }
    }
}

impl Cut {
    pub(super) fn new(region: &Region, work: u64) -> Cut {
        let row = region.run.div_ceil(LEAF);
        let rows: usize = region.outer.iter().product();
        let of_result = |joined: usize| region.outer[..joined.min(3)].iter().product::<usize>();
        let most = region.folds.iter().map(|f| of_result(f.joined)).max();
        let unit = most.map_or(1, |rows| rows * row);
        let folds: Vec<(usize, bool)> = (region.folds.iter())
            .map(|f| of_result(f.joined))
            .map(|rows| (rows, Some(rows) == most))
            .collect();
        let grain = folds.iter().try_fold(1, |grain: usize, (rows, whole)| {
            let leaves = rows * row;
            match whole {
                true => Some(grain),
                false => leaves.is_power_of_two().then(|| grain.max(leaves)),
            }
        });
        Cut {
            work,
            row,
            leaves: rows * row,
            unit,
            folds,
            grain,
            sums: Sums::of(region),
        }
    }

    /// In how many parts a team does the region.
    pub(super) fn parts(&self, region: &Region, team: &Team) -> usize {
        match self.sums {
            Sums::None => {}
            Sums::Mixed => return 1,
            Sums::Columns => {
                let most = team.threads().max(region.run / WIDE);
                return team.parts(self.work, most.min(region.run / GRAIN));
            }
        }
        let units = self.leaves / self.unit.max(1);
        match self.grain {
            // Each of a few results is a reduction of its own.
            Some(grain) if units < 2 * team.threads() && !self.folds.is_empty() => {
                let work = self.work / units.max(1) as u64;
                let chunks = team.parts(work, CHUNKS.min(self.unit / grain));
                if chunks > 1 {
                    chunks
                } else {
                    team.parts(self.work, units)
                }
            }
            _ => team.parts(self.work, units),
        }
    }

    /// Does the region in about so many parts, more than one. Every thread of the team has the working
    /// memory that the caller has.
    pub(super) fn run(
        &self,
        region: &Region,
        frame: &Frame<'_>,
        team: &Team,
        parts: usize,
    ) -> Result<(), RunError> {
        match self.folds.len() {
            0 => self.run_with::<0>(region, frame, team, parts),
            1 => self.run_with::<1>(region, frame, team, parts),
            2 => self.run_with::<2>(region, frame, team, parts),
            _ => self.run_with::<MAX_FOLDS>(region, frame, team, parts),
        }
    }

    fn run_with<const FOLDS: usize>(
        &self,
        region: &Region,
        frame: &Frame<'_>,
        team: &Team,
        parts: usize,
    ) -> Result<(), RunError> {
        let units = self.leaves / self.unit.max(1);
        if self.sums == Sums::None
            && FOLDS > 0
            && units < 2 * team.threads()
            && let Some(grain) = self.grain
        {
            let chunks = parts.clamp(1, CHUNKS);
            let least = (self.unit.div_ceil(chunks)).next_power_of_two().max(grain);
            if least < self.unit {
                let work = self.work / units.max(1) as u64;
                return (0..units).try_for_each(|unit| {
                    self.chunks::<FOLDS>(region, frame, team, [unit, least], work)
                });
            }
        }
        // SAFETY: parts only ask where slots are, each works in the memory of its thread, and they write
        // results at places of their own: parts are apart, and so are the results of each.
        let shared = unsafe { Shared::new((frame, frame.address(region.places.scratch))) };
        team.each(self.work, parts, |part, thread| {
            let (frame, own) = *shared.get();
            let scratch = team.scratch(thread, own);
            let mut states = [fold::State::default(); FOLDS];
            if self.sums == Sums::Columns {
                let grains = share(region.run.div_ceil(GRAIN), part, parts);
                let columns = Columns {
                    from: grains.start * GRAIN,
                    to: (grains.end * GRAIN).min(region.run),
                    run: region.run,
                };
                return self.columns(region, frame, scratch, columns, &mut states);
            }
            let units = share(units, part, parts);
            let leaves = [units.start * self.unit, units.end * self.unit];
            self.part(region, frame, scratch, leaves, &mut states, false)
        })
    }

    /// One unit in chunks of `size` leaves, a power of two.
    fn chunks<const FOLDS: usize>(
        &self,
        region: &Region,
        frame: &Frame<'_>,
        team: &Team,
        [unit, size]: [usize; 2],
        work: u64,
    ) -> Result<(), RunError> {
        let (first, count) = (unit * self.unit, self.unit.div_ceil(size));
        let mut trees = [[0_u64; FOLDS]; CHUNKS];
        let mut tail = [fold::State::default(); FOLDS];
        // SAFETY: as in `run_with`; each chunk writes its own row of trees, the last one the tail.
        let shared = unsafe {
            Shared::new((
                frame,
                trees.as_mut_ptr(),
                &raw mut tail,
                frame.address(region.places.scratch),
            ))
        };
        team.each(work, count.min(CHUNKS), |chunk, thread| {
            let (frame, trees, tail, own) = *shared.get();
            let from = first + chunk * size;
            let to = (from + size).min(first + self.unit);
            let mut states = [fold::State::default(); FOLDS];
            let scratch = team.scratch(thread, own);
            self.part(region, frame, scratch, [from, to], &mut states, true)?;
            if to - from == size {
                let row = states.each_ref().map(fold::State::tree);
                // SAFETY: there is a row for each chunk, which only this one writes.
                unsafe { trees.add(chunk).write(row) };
            } else {
                // SAFETY: only the last chunk can be shorter.
                unsafe { tail.write(states) };
            }
            Ok(())
        })?;
        let whole = self.unit / size;
        for (k, (folding, (_, open))) in region.folds.iter().zip(&self.folds).enumerate() {
            if !open {
                continue;
            }
            let mut state = fold::State::default();
            folding.begin(&mut state);
            for row in trees.iter().take(whole) {
                folding.push(row[k], &mut state);
            }
            if count > whole {
                state.append(&tail[k]);
            }
            // SAFETY: the plan was checked: there is a result for each unit.
            unsafe { folding.end(&mut state, frame.address(folding.slot), unit) };
        }
        Ok(())
    }

    /// Leaves `from` to before `to`. Results that are a whole unit are left in the states if they are
    /// to stay `open`; parts that are not hold units in full.
    fn part(
        &self,
        region: &Region,
        frame: &Frame<'_>,
        scratch: *mut u8,
        [from, to]: [usize; 2],
        states: &mut [fold::State],
        open: bool,
    ) -> Result<(), RunError> {
        let (mut row, mut at) = (from / self.row, from % self.row * LEAF);
        // SAFETY: the memory is that of the thread that runs this part.
        let mut tables = unsafe { Tables::new(region, |s| frame.address(s), scratch, row) };
        if let Some(whole) = &region.whole
            && at == 0
            && to.is_multiple_of(self.row)
            && !open
        {
            let rows = row..to / self.row;
            let address = |slot| frame.address(slot);
            region.whole_rows(whole, tables.bases, [scratch; 2], rows, address, || {});
            return Ok(());
        }
        let mut left = to - from;
        while left > 0 {
            let leaves = left.min(self.row - at / LEAF);
            let run = (leaves * LEAF).min(region.run - at);
            tables.run_of_row(region, scratch, [at, run], states)?;
            left -= leaves;
            if at + run < region.run {
                return Ok(());
            }
            at = 0;
            row += 1;
            tables.next_row(region, row);
            for (k, (folding, (rows, whole))) in region.folds.iter().zip(&self.folds).enumerate() {
                if row % rows == 0 && !(open && *whole) {
                    let out = frame.address(folding.slot);
                    // SAFETY: the plan was checked: there is a result for each so many rows.
                    unsafe { folding.end(&mut states[k], out, row / rows - 1) };
                }
            }
        }
        Ok(())
    }

    /// Some columns of all rows, with sums over outer loops, which are those of no other part.
    fn columns(
        &self,
        region: &Region,
        frame: &Frame<'_>,
        scratch: *mut u8,
        columns: Columns,
        states: &mut [fold::State],
    ) -> Result<(), RunError> {
        for (state, folding) in states.iter_mut().zip(&region.folds) {
            // SAFETY: the working memory has room for open sums, as its layout says.
            unsafe { folding.open(state, scratch, columns) };
        }
        // SAFETY: the memory is that of the thread that runs this part.
        let mut tables = unsafe { Tables::new(region, |s| frame.address(s), scratch, 0) };
        let Columns { from, to, run } = columns;
        for row in 0..self.leaves / self.row.max(1) {
            for (state, folding) in states.iter_mut().zip(&region.folds) {
                folding.go_to(row * run + from, state, scratch);
            }
            tables.run_of_row(region, scratch, [from, to - from], states)?;
            tables.next_row(region, row + 1);
        }
        for folding in &region.folds {
            let out = frame.address(folding.slot);
            // SAFETY: as above; the plan was checked, so the result has room for all sums.
            unsafe { folding.close(scratch, out, columns) };
        }
        Ok(())
    }
}

/// The addresses of streams, in the working memory of a thread.
pub(super) struct Tables<'a> {
    /// At the beginning of a row.
    bases: &'a mut [*mut u8],
    /// Where elements are read and written next, and where they are packed.
    current: &'a mut [*mut u8],
    packed: &'a mut [*mut u8],
}

impl<'a> Tables<'a> {
    /// The addresses at a row.
    ///
    /// # Safety
    /// The working memory has the region's layout, and nothing else uses it meanwhile.
    pub(super) unsafe fn new(
        region: &Region,
        address: impl Fn(Slot) -> *mut u8,
        scratch: *mut u8,
        row: usize,
    ) -> Tables<'a> {
        let count = region.streams.len();
        let table: *mut *mut u8 = scratch.wrapping_add(region.layout.table_at).cast();
        // SAFETY: the layout has three tables of addresses here, aligned to 8 bytes; the caller's promise.
        unsafe {
            table.add(count).write_bytes(0, 2 * count);
            Tables {
                bases: bases(region, address, scratch, [row, 0]),
                current: std::slice::from_raw_parts_mut(table.add(count), count),
                packed: std::slice::from_raw_parts_mut(table.add(2 * count), count),
            }
        }
    }

    /// A part of a row: so many elements from some place on.
    pub(super) fn run_of_row(
        &mut self,
        region: &Region,
        scratch: *mut u8,
        [from, count]: [usize; 2],
        states: &mut [fold::State],
    ) -> Result<(), RunError> {
        let Tables {
            bases,
            current,
            packed,
        } = self;
        if from == 0 && count == region.run {
            return region.row(scratch, bases, current, packed, states);
        }
        for (at, (base, stream)) in current.iter_mut().zip(bases.iter().zip(&region.streams)) {
            *at = base.wrapping_add(stream.step * from);
        }
        region.some(scratch, current, packed, [from, count], states)
    }

    /// Goes on from the row before `row`.
    pub(super) fn next_row(&mut self, region: &Region, row: usize) {
        region.next_row(self.bases, row);
    }
}

/// The addresses of streams at an element of a row, in the first table of the working memory of a thread.
///
/// # Safety
/// As for [`Tables::new`].
pub(super) unsafe fn bases<'a>(
    region: &Region,
    address: impl Fn(Slot) -> *mut u8,
    scratch: *mut u8,
    [row, element]: [usize; 2],
) -> &'a mut [*mut u8] {
    let count = region.streams.len();
    let table: *mut *mut u8 = scratch.wrapping_add(region.layout.table_at).cast();
    let [n0, n1, n2] = region.outer;
    let index = match n1 * n2 {
        1 => [row, 0, 0],
        _ => {
            let (n0, n1) = (n0.max(1), n1.max(1));
            [row % n0, row / n0 % n1, row / n0 / n1]
        }
    };
    for (k, stream) in region.streams.iter().enumerate() {
        let base = match stream.fold {
            Some(k) => scratch.wrapping_add(region.layout.folds_at + k * region.layout.fold),
            None => {
                let steps = index.iter().zip(stream.steps);
                let behind: usize = steps.map(|(i, step)| i * step).sum();
                address(stream.slot).wrapping_add(behind + element * stream.step)
            }
        };
        // SAFETY: the layout has a table with an address for every stream here, aligned to 8 bytes.
        unsafe { table.add(k).write(base) };
    }
    // SAFETY: all of it has just been written; the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(table, count) }
}
