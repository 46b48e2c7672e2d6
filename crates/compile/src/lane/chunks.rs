//! How long sums over outer loops are cut, so that threads may share them.

/// The fewest places of a region whose sums are cut: shorter ones end before a second thread has gained much.
const FEWEST: usize = 1 << 16;
/// The most chunks, and the fewest turns of one: the sums of each are added to those of the others in the end.
const MOST: usize = 16;
const SHORTEST: usize = 32;
/// So many turns of f32, at most, are added as such before their sum is added to the others in f64.
pub const TURNS_TOGETHER: usize = 16;
/// The turns of a chunk are a multiple of this, so that chunks mostly end where rows do that are several turns.
const EVEN: usize = 8;
/// Sums of 8 bytes in a line of the cache and in a page. Loads and stores at equal addresses modulo a page wait for
/// one another, so that chunks of many sums begin whole pages apart: then all chunks, and what stands behind them, are to
/// other arrays as the first one is.
const LINE: usize = 8;
const PAGE: usize = 512;

/// The chunks in which terms are added, turn after turn from 0; then the sums of the chunks are added in their
/// order. They follow from shapes alone, so the bits do not depend on the number of threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunks {
    /// The number of chunks.
    pub count: usize,
    /// The turns of each; the last one may have fewer.
    pub turns: usize,
}

impl Chunks {
    /// Those of a region with so many places that has so many sums.
    pub(super) fn of(places: usize, sums: usize) -> Chunks {
        let turns = places / sums.max(1);
        let count = match places {
            FEWEST.. => (turns / SHORTEST).clamp(1, MOST),
            _ => 1,
        };
        let each = match count {
            1 => turns.max(1),
            _ => turns.div_ceil(count).next_multiple_of(EVEN),
        };
        Chunks {
            count: turns.div_ceil(each).max(1),
            turns: each,
        }
    }

    /// How many sums there is room for from the first of one chunk to the first of the next, where each has so many.
    pub fn apart(&self, sums: usize) -> usize {
        sums.next_multiple_of(if sums < PAGE { LINE } else { PAGE })
    }

    /// How many sums there is room for in all.
    pub fn room(&self, sums: usize) -> usize {
        match self.count {
            1 => sums,
            n => self.apart(sums).saturating_mul(n - 1).saturating_add(sums),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    #[test]
    fn chunks_cover_all_turns() {
        for sums in [0, 1, 3, 64, 1000, 1 << 15, 1 << 20] {
            for turns in [0, 1, 31, 32, 63, 64, 65, 100, 1000, 1023, 4096, 100_003] {
                let Chunks { count, turns: each } = Chunks::of(turns * sums, sums);
                let found = if sums == 0 { 0 } else { turns };
                assert!((1..=16).contains(&count) && each > 0);
                assert!(count * each >= found, "{sums} {turns}");
                // No chunk is empty.
                assert!(count == 1 || (count - 1) * each < found, "{sums} {turns}");
            }
        }
    }

    #[test]
    fn short_sums_stay_whole() {
        assert_eq!(Chunks::of(65_535, 1).count, 1);
        assert_eq!(Chunks::of(63 * 2000, 2000).count, 1);
        let found = Chunks::of(4096 * 1000, 1000);
        assert_eq!((found.count, found.turns), (16, 256));
        assert_eq!(
            (found.apart(1000), found.room(1000)),
            (1024, 15 * 1024 + 1000)
        );
        assert_eq!((found.apart(9), found.room(9)), (16, 15 * 16 + 9));
        // 65 turns in two chunks: 40 and 25.
        let found = Chunks::of(65 * 2000, 2000);
        assert_eq!((found.count, found.turns), (2, 40));
    }
}
