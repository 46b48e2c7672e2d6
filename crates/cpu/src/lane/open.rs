//! Sums over outer loops, which are open while a region runs: one for each place of the others.

use std::ops::Range;

use cotangent_compile::lane::{Chunks, TURNS_TOGETHER};

/// Where the open sums of a reduction stand.
#[derive(Clone, Copy)]
pub(super) struct Leading {
    /// Where they stand in the working memory: those of a chunk, then those of the next.
    pub(super) offset: usize,
    /// How many there are of each chunk.
    pub(super) count: usize,
    pub(super) chunks: Chunks,
    /// Whether some turns are added in lanes of the elements, to as many sums behind all others.
    pub(super) narrow: bool,
}

impl Leading {
    /// How many sums stand before the first one of a chunk.
    pub(super) fn chunk(&self, chunk: usize) -> usize {
        chunk * self.chunks.apart(self.count)
    }

    /// The number of the open sum for a place of the region.
    pub(super) fn sum(&self, place: usize) -> usize {
        self.turn(place) + place % self.count.max(1)
    }

    /// The number of the first open sum for the turn of a place.
    pub(super) fn turn(&self, place: usize) -> usize {
        match self.chunks.count {
            1 => 0,
            _ => self.chunk(place / (self.count * self.chunks.turns).max(1)),
        }
    }

    /// The sums of 64 bits in this working memory.
    pub(super) fn sums(&self, scratch: *mut u8) -> *mut u64 {
        scratch.wrapping_add(self.offset).cast()
    }

    /// The first of the narrow sums.
    pub(super) fn narrow_sums(&self, scratch: *mut u8) -> *mut u8 {
        let wide = 8 * self.chunks.room(self.count);
        scratch.wrapping_add(self.offset + wide)
    }

    /// Whether the narrow sums of turns before this one are complete, and those of others begin.
    pub(super) fn completes(&self, turn: usize) -> bool {
        let turn = turn % self.chunks.turns.max(1);
        self.narrow && turn > 0 && turn.is_multiple_of(TURNS_TOGETHER)
    }

    /// The first turn behind this one that has other open sums, or before which narrow ones are complete.
    pub(super) fn next(&self, turn: usize) -> usize {
        let turns = self.chunks.turns.max(1);
        let (chunk, own) = (turn / turns, turn % turns);
        let end = match self.narrow {
            true => ((own / TURNS_TOGETHER + 1) * TURNS_TOGETHER).min(turns),
            false => turns,
        };
        chunk * turns + end
    }
}

/// Places of the inner run of which sums over outer loops are meant, in every row that has such sums.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The length of the run.
    pub(super) run: usize,
}

impl Columns {
    /// All places of a run.
    pub(super) fn all(run: usize) -> Columns {
        let (from, to) = (0, run);
        Columns { from, to, run }
    }

    /// The numbers of these among `count` sums, row by row.
    pub(super) fn of(self, count: usize) -> impl Iterator<Item = Range<usize>> {
        let rows = (0..count).step_by(self.run.max(1));
        rows.map(move |row| row + self.from..count.min(row + self.to))
    }
}
