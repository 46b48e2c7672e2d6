//! Into which blocks matrices are cut, and which of them are packed.

use super::pack;
use super::tile::PANEL;

/// Terms, rows and bytes of the columns of a block: the right block fits the last cache, the left
/// one the second, and a panel of each the first.
pub(super) const TERMS: usize = 256;
pub(super) const ROWS: usize = 192;
pub(super) const COLUMNS: usize = 4096;
/// Bytes of a row of a panel of the right matrix that was packed: a line of the cache.
pub(super) const WIDTH: usize = 64;

/// Which matrices are packed, and what memory that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Columns of a block of the right matrix.
    pub(super) columns: usize,
    pub(super) left: bool,
    pub(super) right: bool,
    /// The terms of each panel of a packed left and of a packed right block.
    pub(super) terms: [usize; 2],
}

impl Blocks {
    /// The blocks for elements of `size` bytes, given the rows' and the columns' steps of both
    /// matrices.
    pub(super) fn new(
        [m, n, k]: [usize; 3],
        [_, a_column]: [usize; 2],
        [b_row, b_column]: [usize; 2],
        size: usize,
    ) -> Blocks {
        let width = WIDTH / size.max(1);
        // A panel of rows of the right matrix that spans more than a good part of the first cache falls
        // on few of its lines, so reading it again and again takes longer than packing it once. So it
        // is with columns of the left matrix, too; where its rows are contiguous, there must be more
        // to gain.
        let span = b_row.saturating_mul(size).saturating_mul(k);
        let reused = m > 4 * PANEL && span > 16 * 1024 && k > 16;
        let right = b_column != 1 || reused;
        let scattered = a_column != 1 && m > 2 * PANEL && n > 2 * width;
        let large = m.saturating_mul(k).saturating_mul(size) > 64 * 1024 && n > 12 * width;
        let left = (scattered || large) && k > 16;
        Blocks {
            columns: (COLUMNS / size.max(1)).next_multiple_of(width),
            left,
            right,
            terms: [0; 2],
        }
    }

    /// Elements of working memory for the packed left and right block.
    pub(super) fn room(&self, [m, n, k]: [usize; 3], size: usize) -> [usize; 2] {
        let width = WIDTH / size.max(1);
        let terms = k.min(TERMS);
        let left = m.min(ROWS).next_multiple_of(PANEL) * terms + pack::BEHIND;
        let right = n.min(self.columns).next_multiple_of(width) * terms;
        [
            if self.left {
                left.next_multiple_of(64)
            } else {
                0
            },
            if self.right { right } else { 0 },
        ]
    }
}
