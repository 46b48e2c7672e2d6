//! Puts a row block together: operands, results and buffers, and how many rows are done at a time.

use cotangent_graph::FastMap;
use smallvec::SmallVec;

use super::join::LONGEST_ROW;
use super::{RowBlock, RowBuffer, RowPlace, RowStage, RowWork};
use crate::plan::{Key, Operand, key};

/// The most rows that are done at a time.
const MOST_ROWS: usize = 256;
/// Rows are done in whole vectors of numbers that each row has one of.
const VECTOR: usize = 8;
/// Products with vectors do little with an element, so they keep the rows in a cache that is nearer, of which
/// this many fit the other one.
const NEARER: usize = 4;
/// Products of rows with matrices read a matrix for every few rows, so they are better off with more of them, of
/// which this is as many times what regions keep.
const FARTHER: usize = 4;
/// The most rows that are multiplied with a matrix at a time, and what they are a multiple of: tiles of six rows in
/// whole vectors.
const MOST_MULTIPLIED: usize = 96;
const TILES: usize = 24;
/// Bytes of a line of a cache.
const LINE: usize = 64;

/// A block that is put together.
pub(super) struct Made {
    pub(super) places: FastMap<Key, RowPlace>,
    pub(super) args: SmallVec<[Operand; 2]>,
    pub(super) outs: SmallVec<[Operand; 1]>,
    pub(super) block: RowBlock,
}

impl Made {
    pub(super) fn arg(&mut self, arg: &Operand) -> Option<RowPlace> {
        let key = key(arg.place)?;
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        let place = RowPlace::Arg(self.args.len() as u32);
        self.block.inputs.push((arg.ty.dtype, arg.elements()));
        self.args.push(arg.clone());
        self.places.insert(key, place);
        Some(place)
    }

    pub(super) fn out(&mut self, out: Operand) -> RowPlace {
        let place = RowPlace::Out(self.outs.len() as u32);
        if let Some(key) = key(out.place) {
            self.places.insert(key, place);
        }
        self.block.outputs.push((out.ty.dtype, out.elements()));
        self.outs.push(out);
        place
    }

    pub(super) fn buffer(&mut self, out: &Operand, rows: usize) -> RowPlace {
        let place = RowPlace::Buffer(self.block.buffers.len() as u32);
        if let Some(key) = key(out.place) {
            self.places.insert(key, place);
        }
        self.block.buffers.push(RowBuffer {
            dtype: out.ty.dtype,
            row: out.elements() / rows,
            at: 0,
        });
        place
    }

    /// Chooses how many rows are done at a time, and where the buffers stand; whether the rows fit.
    pub(super) fn fit(&mut self, fast: usize) -> bool {
        let rows = self.block.rows;
        let arrays = self.block.inputs.iter().chain(&self.block.outputs);
        let arrays = arrays.filter(|(_, n)| *n > rows && n % rows == 0);
        let streams = arrays.fold(0_usize, |sum, (dtype, n)| {
            sum.saturating_add(n / rows * dtype.size())
        });
        let each = self.place(1).saturating_add(streams).max(1);
        if each / 4 > fast.max(LONGEST_ROW) {
            return false;
        }
        let product = |s: &RowStage| matches!(s.work, RowWork::Product(_));
        let matrix = |s: &RowStage| matches!(s.work, RowWork::Matrix(_));
        let stages = &self.block.stages;
        let (near, most, whole) = match (stages.iter().any(matrix), stages.iter().any(product)) {
            (true, _) => (fast.saturating_mul(FARTHER), MOST_MULTIPLIED, TILES),
            (_, true) => (fast / NEARER, MOST_ROWS, VECTOR),
            _ => (fast, MOST_ROWS, VECTOR),
        };
        // A matrix of which a part is in another cache is read for two dozen rows at least.
        let least = if whole == TILES { TILES } else { 1 };
        let mut together = (near / each).max(least).min(rows.min(most));
        if together > whole {
            together = together / whole * whole;
        }
        self.block.together = together;
        self.place(together);
        true
    }

    /// Gives buffers of so many rows the place of one that they may take over, or the lowest places at which nothing
    /// else stands meanwhile; the end of the last.
    fn place(&mut self, together: usize) -> usize {
        let mut placed: Vec<Placed> = Vec::new();
        let lives = self.block.lives();
        for (k, life) in lives.iter().copied().enumerate() {
            let bytes = self.block.row_bytes(k).saturating_mul(together);
            // An odd number of lines, so that neighbours do not start at equal addresses modulo 4096.
            let bytes = match together {
                1 => bytes,
                _ => (bytes.div_ceil(LINE) | 1).saturating_mul(LINE),
            };
            let bytes = bytes.next_multiple_of(LINE);
            let block = &self.block;
            let over = (0..k)
                .filter(|from| lives[*from].1 == life.0 && block.may_take_over(*from, k, life.0));
            let free = |at: usize, but: Option<usize>| {
                let end = at.saturating_add(bytes);
                let blocks = |p: &&Placed| {
                    let both = p.life.0 <= life.1 && life.0 <= p.life.1;
                    both && p.start < end && at < p.end && Some(p.buffer) != but
                };
                placed.iter().find(blocks).map(|p| p.end)
            };
            let mut over = over.map(|from| (block.buffers[from].at, from));
            let taken = over.find(|(at, from)| free(*at, Some(*from)).is_none());
            let mut at = taken.map_or(0, |(at, _)| at);
            if taken.is_none() {
                while let Some(end) = free(at, None) {
                    at = end;
                }
            }
            self.block.buffers[k].at = at;
            placed.push(Placed {
                buffer: k,
                start: at,
                end: at.saturating_add(bytes),
                life,
            });
            placed.sort_unstable_by_key(|p| p.start);
        }
        placed.iter().map(|p| p.end).max().unwrap_or(0)
    }
}

/// A buffer that has its place, and the first and the last stage that needs it.
struct Placed {
    buffer: usize,
    start: usize,
    end: usize,
    life: (usize, usize),
}
