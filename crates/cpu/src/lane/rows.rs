//! Runs row blocks: every stage on some rows, then on the next.
//!
//! Rows are numbered in all arrays alike, so a region runs on a part of its places as it does where it
//! is divided between threads. A buffer that holds only the rows at hand has the address at which its
//! first row would stand if all rows before it were there.

use std::ops::Range;
use std::sync::Arc;

use cotangent_compile::{RowBlock, RowPlace, RowWork};

use super::fold::Folding;
use super::stage::{OnSums, Stage};
use super::{Mode, Places};
use crate::RunError;
use crate::memory::{Frame, Run, Slot};
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
        stages.push(Stage::new(&stage.work, places, mode, block.rows)?);
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
    // Sums over rows are added in the order of the rows, or chunks of them are.
    let (sums, take_turns, products) =
        (block.sums_rows(), block.may_take_turns(), block.products());
    let chunk = block.chunk();
    let unit = chunk.unwrap_or(block.together);
    Some(Box::new(move |frame| {
        let own = frame.address(scratch);
        // In turns every product reads its matrix from memory again, so it takes as many threads as products
        // to be faster than one thread that reads it once.
        let few = sums && chunk.is_none() && !(take_turns && frame.team.threads() > products);
        let team = match work < DIVIDE || few {
            true => Team::ALONE,
            false => frame.team.with_room(bytes),
        };
        let units = rows.rows.div_ceil(unit);
        let parts = team.parts(work, units);
        let frame = &*frame;
        if sums && parts > 1 && chunk.is_none() {
            return rows.in_turns(frame, own, &team, work);
        }
        let stages = || 0..rows.stages.len();
        rows.sums(stages(), frame, own, Folding::open_all);
        // SAFETY: parts only ask where slots are, each works in the memory of its thread, and they write rows
        // of their own; where they sum rows, sums of chunks of their own in the caller's memory.
        let shared = unsafe { Shared::new((frame, own)) };
        team.each(work, parts, |part, thread| {
            let (frame, own) = *shared.get();
            let units = share(units, part, parts);
            let rest = [units.start, units.end].map(|u| (u * unit).min(rows.rows));
            rows.run(
                stages(),
                |slot| frame.address(slot),
                [team.scratch(thread, own), own],
                rest,
            )
        })?;
        rows.sums(stages(), frame, own, Folding::close_all);
        Ok(())
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
        let mut add = |slot: usize, elements: usize, size: usize| {
            let bytes = elements / block.rows.max(1) * size;
            if bytes >= LINE && all.iter().all(|(other, _)| *other != slot) {
                all.push((slot, bytes));
            }
        };
        // Products go on with their matrix so soon that the processor foresees it.
        let RowWork::Region(region) = &stage.work else {
            continue;
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

impl Rows {
    /// Opens or closes the sums of these stages over rows.
    fn sums(&self, stages: Range<usize>, frame: &Frame<'_>, own: *mut u8, on: OnSums) {
        // Such sums are results of the step.
        let address = |slot: Slot| {
            let place = self.slots.get(slot.base as usize);
            place.map_or(own, |place| frame.address(*place).wrapping_add(slot.offset))
        };
        for stage in self.stages.get(stages).unwrap_or_default() {
            stage.sums(address, own, on);
        }
    }

    /// Rows `from` to before `to` of these stages, some at a time, in the working memory of a thread and that in
    /// which sums stand.
    fn run(
        &self,
        stages: Range<usize>,
        address: impl Fn(Slot) -> *mut u8,
        [scratch, sums]: [*mut u8; 2],
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
        let stages = || self.stages.get(stages.clone()).unwrap_or_default().iter();
        for stage in stages() {
            stage.forget(scratch);
        }
        let mut row = from;
        while row < to {
            let end = (row + self.together).min(to);
            let (_, buffers) = table.split_at_mut(self.slots.len());
            for (to, (at, bytes)) in buffers.iter_mut().zip(&self.buffers) {
                *to = scratch.wrapping_add(*at).wrapping_sub(row * bytes);
            }
            let next = [end, (end + self.together).min(to)];
            let calls = stages().map(|stage| stage.calls(end - row)).sum();
            let mut ahead = Ahead::new(&self.streamed, table, next, calls);
            for stage in stages() {
                stage.rows(table, [scratch, sums], [row, end], || ahead.some())?;
            }
            row = end;
        }
        Ok(())
    }

    /// Each stage on all rows before the next one, as it would run by itself: with several threads rows are
    /// divided, and sums over rows by columns.
    fn in_turns(
        &self,
        frame: &Frame<'_>,
        own: *mut u8,
        team: &Team,
        work: u64,
    ) -> Result<(), RunError> {
        let work = work / self.stages.len().max(1) as u64;
        let turns = self.rows.div_ceil(self.together);
        for (k, stage) in self.stages.iter().enumerate() {
            let units = stage.units(turns);
            let parts = team.parts(work, units);
            self.sums(k..k + 1, frame, own, Folding::open_all);
            // SAFETY: parts only ask where slots are, each works in the memory of its thread, and they write
            // rows or sums of their own.
            let shared = unsafe { Shared::new((frame, own)) };
            team.each(work, parts, |part, thread| {
                let (frame, own) = *shared.get();
                let address = |slot| frame.address(slot);
                if let Stage::Product(product, at, true) = stage {
                    let at =
                        at.map(|place| self.slots.get(place).map_or(own, |slot| address(*slot)));
                    // SAFETY: the plan was checked: matrix, vector and result are there, and nothing
                    // overlaps the result. Parts are other sums.
                    unsafe { product.sums(at, part, parts) };
                    return Ok(());
                }
                let turns = share(turns, part, parts);
                let rest = [turns.start, turns.end].map(|t| (t * self.together).min(self.rows));
                let scratch = [team.scratch(thread, own), own];
                self.run(k..k + 1, address, scratch, rest)
            })?;
            self.sums(k..k + 1, frame, own, Folding::close_all);
        }
        Ok(())
    }
}

/// Asks for the memory of rows that come next. A block works for a while on rows that stay in a cache,
/// and the processor does not foresee that it then goes on reading where it left off. Every call of code asks for
/// its share, since only a few requests can wait at a time.
struct Ahead<'a> {
    streamed: &'a [(usize, usize)],
    table: &'a [*mut u8],
    rows: [usize; 2],
    /// The lines that a call asks for.
    share: usize,
    /// The operand or result that is next, and its line.
    next: (usize, usize),
}

impl<'a> Ahead<'a> {
    /// These rows of operands and results, each by its place in the table and the bytes of a row, in so many calls.
    fn new(
        streamed: &'a [(usize, usize)],
        table: &'a [*mut u8],
        rows: [usize; 2],
        calls: usize,
    ) -> Ahead<'a> {
        let mut ahead = Ahead {
            streamed,
            table,
            rows,
            share: 0,
            next: (0, 0),
        };
        let lines = streamed.iter().map(|(_, bytes)| ahead.lines(*bytes));
        ahead.share = lines.sum::<usize>().div_ceil(calls.max(1));
        ahead
    }

    fn lines(&self, bytes: usize) -> usize {
        ((self.rows[1] - self.rows[0]) * bytes).div_ceil(LINE)
    }

    /// Asks for a share.
    fn some(&mut self) {
        let mut left = self.share;
        while let Some((slot, bytes)) = self.streamed.get(self.next.0) {
            let lines = self.lines(*bytes);
            let end = lines.min(self.next.1 + left);
            if let Some(base) = self.table.get(*slot) {
                let first = base.wrapping_add(self.rows[0] * bytes);
                (self.next.1..end).for_each(|line| prefetch(first.wrapping_add(line * LINE)));
            }
            left -= end - self.next.1;
            self.next.1 = end;
            if end < lines {
                return;
            }
            self.next = (self.next.0 + 1, 0);
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
