//! Packing: blocks of the matrices are copied so that tiles read them in a straight line.
//!
//! Strides are read here, so a transposed operand needs no copy of its own.

use super::tile::{PANEL, Place};
use super::vector::Packing;

/// Copies `k` rows of `n` columns to panels two vectors wide, one after another, each row by row;
/// columns that are missing in the last panel are zeros.
///
/// # Safety
/// The elements of `b` can be read, and `k` times the panels' columns written at `to`.
#[inline(always)]
pub(super) unsafe fn right<V: Packing>(
    k: usize,
    n: usize,
    b: Place<V::Element>,
    to: *mut V::Element,
) {
    let (lanes, width) = (V::LANES, 2 * V::LANES);
    for (panel, from) in (0..n).step_by(width).enumerate() {
        let to = to.wrapping_add(panel * width * k);
        let columns = width.min(n - from);
        let b = b.from(0, from);
        // SAFETY: all rows and columns are inside the matrix and inside the panel.
        unsafe {
            if b.column == 1 && columns == width {
                for l in 0..k {
                    let (from, to) = (b.from(l, 0).start, to.wrapping_add(l * width));
                    V::load(from).store(to);
                    V::load(from.wrapping_add(lanes)).store(to.wrapping_add(lanes));
                }
            } else if b.column == 1 {
                for l in 0..k {
                    let (from, to) = (b.from(l, 0).start, to.wrapping_add(l * width));
                    let first = columns.min(lanes);
                    V::load_some(from, first).store(to);
                    V::load_some(from.wrapping_add(first), columns - first)
                        .store(to.wrapping_add(lanes));
                }
            } else if b.row == 1 {
                let whole = k - k % lanes;
                for half in [0, lanes] {
                    let (rows, to) = (
                        columns.saturating_sub(half).min(lanes),
                        to.wrapping_add(half),
                    );
                    let b = b.from(0, half.min(columns));
                    for l in (0..whole).step_by(lanes) {
                        let from = b.start.wrapping_add(l);
                        V::transpose(from, b.column, rows, to.wrapping_add(l * width), width);
                    }
                    one_by_one(whole..k, lanes, rows, b, to, width);
                }
            } else {
                one_by_one(0..k, width, columns, b, to, width);
            }
        }
    }
}

/// Copies rows of `columns` columns and zeros behind them up to `width`.
///
/// # Safety
/// The elements can be read, and rows of `width` elements, `step` apart, written.
#[inline(always)]
unsafe fn one_by_one<T: crate::number::Number>(
    rows: std::ops::Range<usize>,
    width: usize,
    columns: usize,
    b: Place<T>,
    to: *mut T,
    step: usize,
) {
    for l in rows {
        for j in 0..width {
            // SAFETY: the caller's promise.
            unsafe {
                let x = if j < columns {
                    *b.from(l, j).start
                } else {
                    T::NOTHING
                };
                *to.add(l * step + j) = x;
            }
        }
    }
}

/// Panels that are filled at a time: whole lines of memory, for elements of any size.
const SIDE_BY_SIDE: usize = 8;

/// Elements behind the panels of the left matrix that packing may write as well.
pub(super) const BEHIND: usize = 8;

/// Copies `m` rows of `k` columns to panels of [`PANEL`] rows, one after another, each column by
/// column. Rows that are missing in the last panel hold any numbers. Elements behind it are written only if
/// nothing else stands there, which `last` says.
///
/// # Safety
/// The elements of `a` can be read; whole panels can be written at `to`, and [`BEHIND`] elements more if
/// these are the `last` ones.
#[inline(always)]
pub(super) unsafe fn left<V: Packing>(
    [m, k]: [usize; 2],
    last: bool,
    a: Place<V::Element>,
    to: *mut V::Element,
) {
    let lanes = V::LANES;
    let mut done = 0;
    if a.row == 1 {
        // Columns stand in straight lines: some panels are filled side by side, since lines of memory that are
        // a column apart often have one place in the first cache, where they would not wait for the next panel.
        done = m / PANEL;
        for first in (0..done).step_by(SIDE_BY_SIDE) {
            for l in 0..k {
                let from = a.from(first * PANEL, l).start;
                for panel in first..done.min(first + SIDE_BY_SIDE) {
                    let to = to.wrapping_add((panel * k + l) * PANEL);
                    let from = from.wrapping_add((panel - first) * PANEL);
                    // SAFETY: these rows are inside the matrix, the panel can be written.
                    unsafe { std::ptr::copy_nonoverlapping(from, to, PANEL) };
                }
            }
        }
    }
    for (panel, from) in (0..m).step_by(PANEL).enumerate().skip(done) {
        let to = to.wrapping_add(panel * PANEL * k);
        let rows = PANEL.min(m - from);
        let a = a.from(from, 0);
        // SAFETY: all rows and columns are inside the matrix. Columns are written in ascending
        // order, the higher rows of a square first, so what a vector writes too much is written over
        // by the next column, or stands behind the last panel.
        unsafe {
            if a.column == 1 {
                let mut whole = k - k % lanes;
                if !last && from + PANEL >= m {
                    whole = whole.saturating_sub(lanes);
                }
                for l in (0..whole).step_by(lanes) {
                    for group in (0..PANEL.div_ceil(lanes)).rev() {
                        let first = group * lanes;
                        let from = a.from(first.min(rows), l).start;
                        let count = rows.saturating_sub(first).min(lanes);
                        let to = to.wrapping_add(l * PANEL + first);
                        V::transpose(from, a.row, count, to, PANEL);
                    }
                }
                for l in whole..k {
                    for row in 0..rows {
                        *to.add(l * PANEL + row) = *a.from(row, l).start;
                    }
                }
            } else {
                for l in 0..k {
                    for row in 0..rows {
                        *to.add(l * PANEL + row) = *a.from(row, l).start;
                    }
                }
            }
        }
    }
}
