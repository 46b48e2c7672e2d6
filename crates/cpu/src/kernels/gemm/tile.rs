//! The innermost part of a product: a tile of the result whose sums stay in registers.
//!
//! A tile reads rows of the right matrix as vectors and elements of the left one by one. Each element
//! of the result adds its terms in the order of the contracted axis, whatever the tile it is in, so
//! that the cut into tiles is never seen in the bits.

use super::vector::Vector;

/// Where a matrix stands: the first element, and the steps from a row and from a column to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<T> {
    pub(super) start: *const T,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Where rows of a result stand, and whether what stands there is added to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<T> {
    pub(super) start: *mut T,
    pub(super) row: usize,
    pub(super) add: bool,
}

impl<T> Place<T> {
    /// The place of a matrix that begins so many elements later.
    #[inline(always)]
    pub(super) fn skip(self, elements: usize) -> Self {
        Place {
            start: self.start.wrapping_add(elements),
            ..self
        }
    }

    /// The place of the matrix from this row and this column on.
    #[inline(always)]
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        Place {
            start: self
                .start
                .wrapping_add(row * self.row + column * self.column),
            ..self
        }
    }
}

impl<T> Target<T> {
    #[inline(always)]
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        Target {
            start: self.start.wrapping_add(row * self.row + column),
            ..self
        }
    }
}

/// Rows of a panel of the left matrix that was packed; a multiple of every [`Vector::ROWS`].
pub(super) const PANEL: usize = 6;

/// The tile of `rows` rows, at most `V::ROWS`, and `columns` columns, at most two vectors of them.
///
/// # Safety
/// `rows` by `k` elements of `a`, `k` by `columns` of `b`, whose columns are contiguous, can be read;
/// `rows` by `columns` elements of `out` can be read and written and are apart from both.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector>(
    [rows, columns, k]: [usize; 3],
    a: Place<V::Element>,
    b: Place<V::Element>,
    out: Target<V::Element>,
) {
    let lanes = V::LANES;
    // SAFETY: the caller's promise is the one that each of these wants.
    unsafe {
        if columns == 2 * lanes {
            match rows {
                6 if V::ROWS >= 6 && a.row == 1 && a.column == PANEL => {
                    sums::<V, 6, 2, false, true>(columns, k, a, b, out)
                }
                6 if V::ROWS >= 6 => sums::<V, 6, 2, false, false>(columns, k, a, b, out),
                5 if V::ROWS >= 5 => sums::<V, 5, 2, false, false>(columns, k, a, b, out),
                4 if V::ROWS >= 4 => sums::<V, 4, 2, false, false>(columns, k, a, b, out),
                3 if V::ROWS >= 3 => sums::<V, 3, 2, false, false>(columns, k, a, b, out),
                2 => sums::<V, 2, 2, false, false>(columns, k, a, b, out),
                _ => sums::<V, 1, 2, false, false>(columns, k, a, b, out),
            }
        } else if columns > lanes {
            match rows {
                6 if V::ROWS >= 6 => sums::<V, 6, 2, true, false>(columns, k, a, b, out),
                5 if V::ROWS >= 5 => sums::<V, 5, 2, true, false>(columns, k, a, b, out),
                4 if V::ROWS >= 4 => sums::<V, 4, 2, true, false>(columns, k, a, b, out),
                3 if V::ROWS >= 3 => sums::<V, 3, 2, true, false>(columns, k, a, b, out),
                2 => sums::<V, 2, 2, true, false>(columns, k, a, b, out),
                _ => sums::<V, 1, 2, true, false>(columns, k, a, b, out),
            }
        } else {
            match rows {
                6 if V::ROWS >= 6 => sums::<V, 6, 1, true, false>(columns, k, a, b, out),
                5 if V::ROWS >= 5 => sums::<V, 5, 1, true, false>(columns, k, a, b, out),
                4 if V::ROWS >= 4 => sums::<V, 4, 1, true, false>(columns, k, a, b, out),
                3 if V::ROWS >= 3 => sums::<V, 3, 1, true, false>(columns, k, a, b, out),
                2 => sums::<V, 2, 1, true, false>(columns, k, a, b, out),
                _ => sums::<V, 1, 1, true, false>(columns, k, a, b, out),
            }
        }
    }
}

/// Vectors of columns in a tile of few rows: more than two, to keep the multipliers busy.
#[inline(always)]
pub(super) fn width_of_few(rows: usize) -> usize {
    if rows == 3 { 3 } else { 4 }
}

/// The tile of one to three rows and [`width_of_few`] whole vectors of columns.
///
/// # Safety
/// That of [`tile`].
#[inline(always)]
pub(super) unsafe fn wide<V: Vector>(
    rows: usize,
    k: usize,
    a: Place<V::Element>,
    b: Place<V::Element>,
    out: Target<V::Element>,
) {
    let columns = width_of_few(rows) * V::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            3 => sums::<V, 3, 3, false, false>(columns, k, a, b, out),
            2 => sums::<V, 2, 4, false, false>(columns, k, a, b, out),
            _ => sums::<V, 1, 4, false, false>(columns, k, a, b, out),
        }
    }
}

/// `R` rows and `C` vectors of columns, the last of which is partly outside if `TAIL` says so. The rows
/// of a panel are `PACKED`.
///
/// # Safety
/// That of [`tile`].
#[inline(always)]
unsafe fn sums<V: Vector, const R: usize, const C: usize, const TAIL: bool, const PACKED: bool>(
    columns: usize,
    k: usize,
    a: Place<V::Element>,
    b: Place<V::Element>,
    out: Target<V::Element>,
) {
    let lanes = V::LANES;
    let last = columns - (C - 1) * lanes;
    // SAFETY: rows below `R` and columns below `columns` are inside all three matrices.
    unsafe {
        let mut sums = [[V::nothing(); C]; R];
        let (mut x, mut y) = (a.start, b.start);
        let mut offsets = [0; R];
        for (row, offset) in offsets.iter_mut().enumerate().skip(1) {
            *offset = if PACKED { row } else { opaque(row * a.row) };
        }
        for _ in 0..k {
            let mut ys = [load::<V, C, TAIL>(y, 0, last); C];
            for (vector, slot) in ys.iter_mut().enumerate().skip(1) {
                *slot = load::<V, C, TAIL>(y, vector, last);
            }
            for (offset, sums) in offsets.into_iter().zip(&mut sums) {
                let x = x.wrapping_add(offset);
                for (sum, y) in sums.iter_mut().zip(ys) {
                    *sum = V::add_times(*sum, x, y);
                }
            }
            x = x.wrapping_add(if PACKED { PANEL } else { a.column });
            y = y.wrapping_add(b.row);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let to = out.start.wrapping_add(row * out.row);
            for (vector, sum) in sums.into_iter().enumerate() {
                let mut sum = V::finish(sum);
                if out.add {
                    sum = load::<V, C, TAIL>(to, vector, last).plus(sum);
                }
                let to = to.wrapping_add(vector * lanes);
                if TAIL && vector + 1 == C {
                    sum.store_some(to, last);
                } else {
                    sum.store(to);
                }
            }
        }
    }
}

/// The same number, about which the compiler knows nothing: it would otherwise walk from row to row by
/// additions that wait for one another.
#[inline(always)]
fn opaque(offset: usize) -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let mut offset = offset;
        // SAFETY: there are no instructions.
        unsafe {
            std::arch::asm!("/* {} */", inout(reg) offset, options(pure, nomem, nostack, preserves_flags));
        }
        offset
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    offset
}

/// One of `C` vectors, the last of which has only `last` lanes if `TAIL` says so.
///
/// # Safety
/// Those elements can be read behind `from`.
#[inline(always)]
unsafe fn load<V: Vector, const C: usize, const TAIL: bool>(
    from: *const V::Element,
    vector: usize,
    last: usize,
) -> V {
    let from = from.wrapping_add(vector * V::LANES);
    // SAFETY: the caller's promise.
    unsafe {
        if TAIL && vector + 1 == C {
            V::load_some(from, last)
        } else {
            V::load(from)
        }
    }
}
