//! Gives every value of a plan its place in the arena.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::plan::{Operand, Place, Plan, Step};
use crate::remat::{self, Buffer, PlaceOptions, Placement};

/// Chooses the offsets of all values and working memory; returns the bytes of the arena, or `None`
/// when they overflow.
///
/// Values live from the step that writes them to the last that reads them. A pointwise step,
/// a region or a row block takes over the places of operands that it is the last to read. Everything else goes into the smallest
/// gap that fits, or to the end. Blocks of a page and more take an odd number of lines, so that
/// neighbours of one size start at different addresses modulo 4096, where the cache would
/// otherwise keep evicting one for the other.
pub(crate) fn place(steps: &mut [Step], alignment: usize) -> Option<usize> {
    let values = values(steps);
    let last = last_reads(steps, values);
    let mut blocks: Vec<Option<Block>> = vec![None; values];
    let mut gaps = Gaps::default();
    for (i, step) in steps.iter_mut().enumerate() {
        let dies = |value: u32| last[value as usize] == i;
        let taken = in_place(step, &dies);
        for arg in &mut step.args {
            if let Place::Arena { value, offset } = &mut arg.place {
                *offset = blocks[*value as usize].map_or(0, |b| b.offset);
            }
        }
        for (k, out) in step.outs.iter_mut().enumerate() {
            let bytes = out.ty.bytes();
            let Place::Arena { value, offset } = &mut out.place else {
                continue;
            };
            let over = taken.get(k).copied().flatten();
            let block = match over.and_then(|v| blocks[v as usize].take()) {
                Some(block) => block,
                None => Block::of(&mut gaps, bytes, alignment)?,
            };
            *offset = block.offset;
            blocks[*value as usize] = Some(block);
        }
        if !step.scratch.is_empty() {
            let bytes = step.scratch.len();
            let block = Block::of(&mut gaps, bytes, alignment)?;
            step.scratch = block.offset..block.offset.checked_add(bytes)?;
            gaps.free(block);
        }
        for operand in step.args.iter().chain(&step.outs) {
            if let Place::Arena { value, .. } = operand.place
                && dies(value)
                && let Some(block) = blocks[value as usize].take()
            {
                gaps.free(block);
            }
        }
    }
    Some(gaps.top)
}

/// As [`place`], by a search for a way to stay within `room`, or else as low as is found.
pub(crate) fn place_tightly(steps: &mut [Step], alignment: usize, room: usize) -> Option<usize> {
    let options = PlaceOptions {
        capacity: Some(room as u64),
        time: None,
        ..PlaceOptions::default()
    };
    let lives = Lives::of(steps, alignment)?;
    let placed = remat::place(&lives.buffers, &options).ok()?;
    lives.apply(steps, &placed)
}

/// Gives the values of a plan lower places, where a search that ends after `nodes` partial
/// placements finds some.
pub(crate) fn place_low(plan: &mut Plan, alignment: usize, nodes: u64) {
    let Some(lives) = Lives::of(&plan.steps, alignment) else {
        return;
    };
    let options = PlaceOptions {
        capacity: None,
        nodes,
        time: None,
    };
    if remat::load(&lives.buffers) >= plan.arena as u64 {
        return;
    }
    if let Ok(placed) = remat::place(&lives.buffers, &options)
        && placed.height < plan.arena as u64
        && let Some(arena) = lives.apply(&mut plan.steps, &placed)
    {
        plan.arena = arena;
    }
}

/// The memory that values and working memory need, and when. Values that take over each other's
/// places are one buffer.
struct Lives {
    buffers: Vec<Buffer>,
    of_value: Vec<Option<usize>>,
    /// For each step the buffer of its working memory.
    scratch: Vec<Option<usize>>,
}

impl Lives {
    fn of(steps: &[Step], alignment: usize) -> Option<Lives> {
        let values = values(steps);
        let last = last_reads(steps, values);
        let mut lives = Lives {
            buffers: Vec::new(),
            of_value: vec![None; values],
            scratch: vec![None; steps.len()],
        };
        for (i, step) in steps.iter().enumerate() {
            let taken = in_place(step, &|value| last[value as usize] == i);
            let mut add = |bytes: usize, end: usize| -> Option<Option<usize>> {
                let size = rounded(bytes, alignment)? as u64;
                if size == 0 {
                    return Some(None);
                }
                let (first, end) = (i as u64, end as u64 + 1);
                lives.buffers.push(Buffer { first, end, size });
                Some(Some(lives.buffers.len() - 1))
            };
            lives.scratch[i] = add(step.scratch.len(), i)?;
            let mut placed: SmallVec<[(u32, Option<usize>); 2]> = SmallVec::new();
            for (k, out) in step.outs.iter().enumerate() {
                let Place::Arena { value, .. } = out.place else {
                    continue;
                };
                let end = last[value as usize];
                match taken.get(k).copied().flatten() {
                    Some(over) => placed.push((value, lives.of_value[over as usize])),
                    None => placed.push((value, add(out.ty.bytes(), end)?)),
                }
            }
            for (value, buffer) in placed {
                if let Some(buffer) = buffer.and_then(|b| lives.buffers.get_mut(b)) {
                    buffer.end = buffer.end.max(last[value as usize] as u64 + 1);
                }
                lives.of_value[value as usize] = buffer;
            }
        }
        Some(lives)
    }

    /// Writes the places into the steps; the bytes of the arena.
    fn apply(&self, steps: &mut [Step], placed: &Placement) -> Option<usize> {
        let at = |buffer: usize| placed.offsets.get(buffer).map_or(0, |o| *o as usize);
        for (step, scratch) in steps.iter_mut().zip(&self.scratch) {
            for operand in step.args.iter_mut().chain(&mut step.outs) {
                if let Place::Arena { value, offset } = &mut operand.place {
                    *offset = self.of_value[*value as usize].map_or(0, at);
                }
            }
            let start = scratch.map_or(0, at);
            step.scratch = start..start.saturating_add(step.scratch.len());
        }
        usize::try_from(placed.height).ok()
    }
}

/// One more than the largest number of a value.
pub(crate) fn values(steps: &[Step]) -> usize {
    let operands = steps.iter().flat_map(|s| s.args.iter().chain(&s.outs));
    let numbers = operands.filter_map(|o| match o.place {
        Place::Arena { value, .. } => Some(value as usize + 1),
        _ => None,
    });
    numbers.max().unwrap_or(0)
}

/// The bytes of arena that a value takes: whole lines, and from a page on an odd number of them.
pub(crate) fn rounded(bytes: usize, alignment: usize) -> Option<usize> {
    let lines = bytes.div_ceil(alignment);
    let staggered = lines.checked_mul(alignment)? >= 4096;
    let lines = if staggered { lines | 1 } else { lines };
    lines.checked_mul(alignment)
}

/// For each value the last step that reads it, or else the one that writes it.
fn last_reads(steps: &[Step], values: usize) -> Vec<usize> {
    let mut last = vec![0; values];
    for (i, step) in steps.iter().enumerate() {
        for operand in step.args.iter().chain(&step.outs) {
            if let Place::Arena { value, .. } = operand.place {
                last[value as usize] = i;
            }
        }
    }
    last
}

/// For each result in the arena the values whose place it may take over if they end here: those that
/// have its size, of which each element is read before it is written.
pub(crate) fn may_take_over(step: &Step) -> Vec<(u32, Vec<u32>)> {
    if !step.op.may_overwrite_any() {
        return Vec::new();
    }
    let outs = step.outs.iter().enumerate();
    let of = |(k, out): (usize, &Operand)| {
        let Place::Arena { value, .. } = out.place else {
            return None;
        };
        let args = step.args.iter().enumerate();
        let fitting = args.filter_map(|(i, arg)| fitting(step, (i, arg), (k, out)));
        Some((value, fitting.collect()))
    };
    outs.filter_map(of).collect()
}

/// The value of an operand whose place a result may take over.
fn fitting(step: &Step, (i, arg): (usize, &Operand), (k, out): (usize, &Operand)) -> Option<u32> {
    match arg.place {
        Place::Arena { value, .. }
            if arg.elements() == out.elements()
                && arg.ty.dtype.size() == out.ty.dtype.size()
                && step.op.may_overwrite(i, k)
                && alone(step, value, i, k) =>
        {
            Some(value)
        }
        _ => None,
    }
}

/// For each result the operand whose place it can take over: it has the result's size, dies here,
/// and each element is read before it is written.
fn in_place(step: &Step, dies: &impl Fn(u32) -> bool) -> SmallVec<[Option<u32>; 2]> {
    let mut taken: SmallVec<[Option<u32>; 2]> = SmallVec::new();
    // Tapes and calls have thousands of operands and results, pairs of which are too many to look at.
    if !step.op.may_overwrite_any() {
        return taken;
    }
    for (k, out) in step.outs.iter().enumerate() {
        let fits = |arg: (usize, &Operand)| {
            let value = match arg.1.place {
                Place::Arena { value, .. } => value,
                _ => return None,
            };
            let free = dies(value) && !taken.contains(&Some(value));
            fitting(step, arg, (k, out)).filter(|_| free)
        };
        let inside = matches!(out.place, Place::Arena { .. });
        let found = inside.then(|| step.args.iter().enumerate().find_map(fits));
        taken.push(found.flatten());
    }
    taken
}

/// Whether no other operand reads the value in a way that forbids to overwrite it.
fn alone(step: &Step, value: u32, arg: usize, out: usize) -> bool {
    step.args
        .iter()
        .enumerate()
        .all(|(i, other)| match other.place {
            Place::Arena { value: v, .. } if v == value && i != arg => {
                step.op.may_overwrite(i, out)
            }
            _ => true,
        })
}

#[derive(Clone, Copy, Debug)]
struct Block {
    offset: usize,
    size: usize,
}

impl Block {
    fn of(gaps: &mut Gaps, bytes: usize, alignment: usize) -> Option<Block> {
        gaps.allocate(rounded(bytes, alignment)?)
    }
}

/// The free parts of the arena, found by size and by offset.
#[derive(Default)]
struct Gaps {
    by_offset: BTreeMap<usize, usize>,
    by_size: BTreeSet<(usize, usize)>,
    top: usize,
}

impl Gaps {
    fn allocate(&mut self, size: usize) -> Option<Block> {
        if size == 0 {
            return Some(Block { offset: 0, size });
        }
        if let Some(&(found, offset)) = self.by_size.range((size, 0)..).next() {
            self.remove(offset, found);
            if found > size {
                self.insert(offset + size, found - size);
            }
            return Some(Block { offset, size });
        }
        // A gap that reaches the end of the arena grows with it.
        let mut offset = self.top;
        if let Some((&start, &length)) = self.by_offset.last_key_value()
            && start + length == self.top
        {
            self.remove(start, length);
            offset = start;
        }
        self.top = offset
            .checked_add(size)
            .filter(|top| isize::try_from(*top).is_ok())?;
        Some(Block { offset, size })
    }

    fn free(&mut self, block: Block) {
        let Block {
            mut offset,
            mut size,
        } = block;
        if size == 0 {
            return;
        }
        if let Some((&before, &length)) = self.by_offset.range(..offset).next_back()
            && before + length == offset
        {
            self.remove(before, length);
            (offset, size) = (before, size + length);
        }
        if let Some(&length) = self.by_offset.get(&(offset + size)) {
            self.remove(offset + size, length);
            size += length;
        }
        self.insert(offset, size);
    }

    fn insert(&mut self, offset: usize, size: usize) {
        self.by_offset.insert(offset, size);
        self.by_size.insert((size, offset));
    }

    fn remove(&mut self, offset: usize, size: usize) {
        self.by_offset.remove(&offset);
        self.by_size.remove(&(size, offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_merge_and_the_smallest_that_fits_is_taken() {
        let mut gaps = Gaps::default();
        let blocks: Vec<Block> = (0..4).map(|_| gaps.allocate(64).unwrap()).collect();
        assert_eq!(gaps.top, 256);
        gaps.free(blocks[0]);
        gaps.free(blocks[2]);
        gaps.free(blocks[1]);
        assert_eq!(gaps.by_offset.iter().collect::<Vec<_>>(), [(&0, &192)]);
        assert_eq!(gaps.allocate(128).unwrap().offset, 0);
        assert_eq!(gaps.allocate(64).unwrap().offset, 128);
        gaps.free(blocks[3]);
        // The gap at the end grows instead of being left behind.
        assert_eq!(gaps.allocate(128).unwrap().offset, 192);
        assert_eq!(gaps.top, 320);
    }

    #[test]
    fn large_blocks_are_staggered() {
        let mut gaps = Gaps::default();
        let offsets: Vec<usize> = (0..64)
            .map(|_| Block::of(&mut gaps, 8192, 64).unwrap().offset % 4096)
            .collect();
        let distinct: BTreeSet<usize> = offsets.iter().copied().collect();
        assert_eq!(distinct.len(), 64);
    }

    #[test]
    fn sizes_beyond_memory_are_refused() {
        let mut gaps = Gaps::default();
        assert!(Block::of(&mut gaps, isize::MAX as usize - 4096, 64).is_some());
        assert!(Block::of(&mut gaps, isize::MAX as usize - 4096, 64).is_none());
        assert!(Block::of(&mut gaps, usize::MAX, 64).is_none());
    }
}
