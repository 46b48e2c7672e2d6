//! Runs row blocks: every region on some rows, then on the next.
//!
//! Rows are numbered in all arrays alike, so a region runs on a part of its places as it does where it
//! is divided between threads. A buffer that holds only the rows at hand has the address at which its
//! first row would stand if all rows before it were there.

use std::sync::Arc;

use cotangent_compile::lane::MAX_FOLDS;
use cotangent_compile::{RowBlock, RowPlace};

use super::fold::{self, Columns};
use super::split::Tables;
use super::{Inner, Mode, Places, Region, inner};
use crate::RunError;
use crate::memory::{Run, Slot};
use crate::pool::{DIVIDE, Shared, Team, share};

/// Bytes of a line of memory, about.
const LINE: usize = 64;

/// The step that runs a row block; as [`super::choose`].
pub(crate) fn choose(block: &Arc<RowBlock>, places: Places, mode: Mode, work: u64) -> Option<Run> {
    let layout = block.layout();
    if places.scratch.len < layout.bytes {
        return None;
    }
    let (args, outs) = (places.args.len(), places.outs.len());
    // Addresses stand in a table: those of operands, of results, of buffers.
    let slot = |place: &RowPlace| {
        let base = match place {
            RowPlace::Arg(i) => *i as usize,
            RowPlace::Out(i) => args + *i as usize,
            RowPlace::Buffer(i) => args + outs + *i as usize,
        };
        Slot {
            base: base as u32,
            offset: 0,
            len: 0,
        }
    };
    let mut stages = Vec::with_capacity(block.stages.len());
    for (stage, scratch) in block.stages.iter().zip(&layout.stages) {
        let places = Places {
            args: stage.args.iter().map(slot).collect(),
            outs: stage.outs.iter().map(slot).collect(),
            scratch: Slot {
                offset: *scratch,
                ..places.scratch
            },
        };
        let own = stage.region.layout();
        let inner: Inner = inner(&stage.region, mode, &own);
        stages.push(Stage {
            region: Region::new(&stage.region, places, own, inner),
            scratch: *scratch,
            places: stage.region.elements() / block.rows.max(1),
        });
    }
    let buffers = (block.buffers.iter().enumerate())
        .map(|(k, b)| (layout.buffers_at + b.at, block.row_bytes(k)))
        .collect();
    let mut slots = places.args;
    slots.extend(places.outs);
    let (scratch, bytes) = (places.scratch, layout.bytes);
    let rows = Rows {
        rows: block.rows,
        together: block.together,
        slots,
        buffers,
        stages,
        table_at: layout.table_at,
        streamed: streamed(block, args),
    };
    // Sums over rows are added in the order of the rows.
    let whole = work < DIVIDE || block.sums_rows();
    Some(Box::new(move |frame| {
        let own = frame.address(scratch);
        let team = match whole {
            true => Team::ALONE,
            false => frame.team.with_room(bytes),
        };
        let turns = rows.rows.div_ceil(rows.together);
        let parts = team.parts(work, turns);
        let frame = &*frame;
        // SAFETY: parts only ask where slots are, each works in the memory of its thread, and they write
        // rows of their own.
        let shared = unsafe { Shared::new((frame, own)) };
        team.each(work, parts, |part, thread| {
            let (frame, own) = *shared.get();
            let turns = share(turns, part, parts);
            let rest = [turns.start, turns.end].map(|t| (t * rows.together).min(rows.rows));
            rows.run(|slot| frame.address(slot), team.scratch(thread, own), rest)
        })
    }))
}

struct Rows {
    rows: usize,
    together: usize,
    /// Those of operands, then those of results.
    slots: Vec<Slot>,
    /// Where each buffer stands in the working memory, and the bytes of a row.
    buffers: Vec<(usize, usize)>,
    stages: Vec<Stage>,
    table_at: usize,
    /// Operands and results that are read or written row after row, by slot, and the bytes of a row.
    streamed: Vec<(usize, usize)>,
}

/// The operands and results that have a part of their own for every row, longer than a line of memory.
fn streamed(block: &RowBlock, args: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for stage in &block.stages {
        let region = &stage.region;
        let mut add = |slot: usize, elements: usize, size: usize| {
            let bytes = elements / block.rows.max(1) * size;
            if bytes >= LINE && all.iter().all(|(other, _)| *other != slot) {
                all.push((slot, bytes));
            }
        };
        for (k, (place, input)) in stage.args.iter().zip(&region.inputs).enumerate() {
            if let RowPlace::Arg(i) = place
                && region.is_dense(k)
            {
                add(*i as usize, region.elements(), input.dtype.size());
            }
        }
        for (k, (place, output)) in stage.outs.iter().zip(&region.outputs).enumerate() {
            if let RowPlace::Out(i) = place
                && output.fold.is_none()
            {
                add(
                    args + *i as usize,
                    region.output_elements(k),
                    output.dtype.size(),
                );
            }
        }
    }
    all
}

struct Stage {
    region: Region,
    /// Where its working memory begins.
    scratch: usize,
    /// The places of a row.
    places: usize,
}

impl Rows {
    /// Rows `from` to before `to`, some at a time.
    fn run(
        &self,
        address: impl Fn(Slot) -> *mut u8,
        scratch: *mut u8,
        [from, to]: [usize; 2],
    ) -> Result<(), RunError> {
        let count = self.slots.len() + self.buffers.len();
        let table: *mut *mut u8 = scratch.wrapping_add(self.table_at).cast();
        // SAFETY: the working memory holds a table for as many addresses here, aligned to 8 bytes, which
        // nothing else uses while the step runs; what stands there before is bytes like any other.
        let table = unsafe {
            table.write_bytes(0, count);
            std::slice::from_raw_parts_mut(table, count)
        };
        let (known, buffers) = table.split_at_mut(self.slots.len());
        for (to, slot) in known.iter_mut().zip(&self.slots) {
            *to = address(*slot);
        }
        buffers.fill(scratch);
        for stage in &self.stages {
            stage.sums(table, scratch, fold::Folding::open_all);
        }
        let mut row = from;
        while row < to {
            let end = (row + self.together).min(to);
            let (_, buffers) = table.split_at_mut(self.slots.len());
            for (to, (at, bytes)) in buffers.iter_mut().zip(&self.buffers) {
                *to = scratch.wrapping_add(*at).wrapping_sub(row * bytes);
            }
            let next = [end, (end + self.together).min(to)];
            for (k, stage) in self.stages.iter().enumerate() {
                self.fetch(table, next, k);
                stage.rows(table, scratch, [row, end])?;
            }
            row = end;
        }
        for stage in &self.stages {
            stage.sums(table, scratch, fold::Folding::close_all);
        }
        Ok(())
    }
}

impl Rows {
    /// Asks for the memory of rows that come next. A block works for a while on rows that stay in a cache,
    /// and the processor does not foresee that it then goes on reading where it left off. Every stage asks for
    /// its share, since only a few requests can wait at a time.
    fn fetch(&self, table: &[*mut u8], [from, to]: [usize; 2], stage: usize) {
        for (slot, bytes) in &self.streamed {
            let Some(base) = table.get(*slot) else {
                continue;
            };
            let lines = ((to - from) * bytes).div_ceil(LINE);
            for line in share(lines, stage, self.stages.len()) {
                prefetch(base.wrapping_add(from * bytes + line * LINE));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn prefetch(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: it is a hint for any address, which reads nothing and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch(_: *const u8) {}

/// Opens or closes the sums over outer loops of a reduction.
type OnSums = unsafe fn(&fold::Folding, *mut u8, *mut u8, Columns);

impl Stage {
    fn sums(&self, table: &[*mut u8], scratch: *mut u8, on: OnSums) {
        let scratch = scratch.wrapping_add(self.scratch);
        for folding in &self.region.folds {
            let out = address(table, folding.slot);
            // SAFETY: the working memory of the region has room for open sums, as its layout says; the
            // plan was checked, so the result has room for all of them.
            unsafe { on(folding, scratch, out, Columns::all(self.region.run)) };
        }
    }

    fn rows(
        &self,
        table: &[*mut u8],
        scratch: *mut u8,
        [from, to]: [usize; 2],
    ) -> Result<(), RunError> {
        let scratch = scratch.wrapping_add(self.scratch);
        let places = [from * self.places, to * self.places];
        match self.region.folds.len() {
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
        scratch: *mut u8,
        [from, to]: [usize; 2],
    ) -> Result<(), RunError> {
        let region = &self.region;
        let mut states = [fold::State::default(); FOLDS];
        for (state, folding) in states.iter_mut().zip(&region.folds) {
            folding.go_to(from, state);
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
