//! The inner run of a region that reads elements inside of pads, cut where the pads end.

use std::cmp::Reverse;

use super::pack::Pack;
use super::{EVEN, Region, Stream};
use crate::RunError;

/// The blocks of an inner run. In most of them every element stands side by side in memory; the few elements
/// at borders of pads are packed.
pub(super) struct Blocks(Vec<Block>);

struct Block {
    place: usize,
    count: usize,
    /// The bytes from the start of each stream to its first element, where that is not packed.
    offsets: Box<[usize]>,
    /// The streams that are packed, and where in their buffers.
    packed: Vec<(usize, usize)>,
}

impl Block {
    /// The block of so many elements from a place on, which packs behind so many in buffers.
    fn of(streams: &[Stream], place: usize, count: usize, used: usize) -> Block {
        let direct = |pack: &Pack| pack.offset(place, count);
        let offsets = streams.iter().map(|stream| {
            let around = stream.pack.as_ref().and_then(direct).unwrap_or(0);
            (place * stream.step).wrapping_sub(around)
        });
        let apart = |stream: &Stream| stream.pack.as_ref().is_some_and(|p| direct(p).is_none());
        let packed = streams.iter().enumerate().filter(|(_, s)| apart(s));
        Block {
            place,
            count,
            offsets: offsets.collect(),
            packed: packed.map(|(k, s)| (k, used * s.step)).collect(),
        }
    }
}

/// The blocks in the order in which they run. Vectors that lie across two that have just been stored wait for
/// both to be in the cache, and all that was stored before them. So packed blocks, which read what has just been
/// packed and give the next region something to read across, run in the middle of the longest other one.
fn ordered(streams: &[Stream], blocks: Vec<Block>) -> Vec<Block> {
    let (packed, mut direct): (Vec<Block>, Vec<Block>) = blocks
        .into_iter()
        .partition(|block| !block.packed.is_empty());
    direct.sort_by_key(|block| Reverse(block.count));
    let Some(Block { place, count, .. }) = direct.first() else {
        return packed;
    };
    let half = count / 2 / EVEN * EVEN;
    let halves = [(*place, half), (place + half, count - half)];
    let [first, second] = halves.map(|(place, count)| Block::of(streams, place, count, 0));
    let rest = direct.into_iter().skip(1);
    [first]
        .into_iter()
        .chain(packed)
        .chain(rest)
        .chain([second])
        .collect()
}

impl Blocks {
    /// The blocks of a run that is cut at these places, in order, with buffers for so many elements; `None`
    /// where more are packed.
    pub(super) fn of(
        streams: &[Stream],
        inputs: usize,
        run: usize,
        borders: &[usize],
        room: usize,
    ) -> Option<Blocks> {
        let bordered = |(k, stream): (usize, &Stream)| {
            let pack = stream.pack.as_ref();
            pack.is_none_or(|pack| k < inputs && pack.borders().is_some())
        };
        if borders.is_empty() || !streams.iter().enumerate().all(bordered) {
            return None;
        }
        let mut used = 0;
        let mut blocks = Vec::new();
        let ends = borders.iter().copied().chain([run]);
        let mut place = 0;
        for end in ends {
            let count = end - place;
            let block = Block::of(streams, place, count, used);
            if !block.packed.is_empty() {
                used += count;
            }
            blocks.push(block);
            place = end;
        }
        Some(Blocks(ordered(streams, blocks))).filter(|_| used <= room)
    }

    /// Runs a region at the addresses where its streams begin; `table` has room for as many.
    pub(super) fn run(
        &self,
        region: &Region,
        bases: &[*mut u8],
        table: &mut [*mut u8],
        scratch: *mut u8,
    ) -> Result<(), RunError> {
        for block in &self.0 {
            for (k, at) in &block.packed {
                let stream = &region.streams[*k];
                let Some(pack) = &stream.pack else { continue };
                let from = bases[*k].wrapping_add(block.place * stream.step);
                let buffer = scratch.wrapping_add(pack.buffer + at);
                // SAFETY: the plan was checked: inputs have an element for each place inside of their pads,
                // and the working memory has a buffer for each stream that is packed, in which the blocks
                // have places of their own.
                unsafe { pack.gather(from, std::ptr::null(), buffer, block.place, block.count)? };
            }
        }
        for block in &self.0 {
            for ((to, base), offset) in table.iter_mut().zip(bases).zip(&block.offsets) {
                *to = base.wrapping_add(*offset);
            }
            for (k, at) in &block.packed {
                if let Some(pack) = &region.streams[*k].pack {
                    table[*k] = scratch.wrapping_add(pack.buffer + at);
                }
            }
            region.execute(table, block.count, scratch);
        }
        Ok(())
    }
}
