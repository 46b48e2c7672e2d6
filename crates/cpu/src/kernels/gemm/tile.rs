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

/// Where rows of the right matrix stand, and how far apart the vectors of a row are: one behind the other, or
/// each in a panel of its own.
pub(super) trait Right<T>: Copy {
    fn row(&self, l: usize) -> *const T;
    fn apart(&self) -> usize;
}

/// Rows at equal steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<T> {
    start: *const T,
    step: usize,
    apart: usize,
}

impl<T: Copy> Right<T> for Rows<T> {
    #[inline(always)]
    fn row(&self, l: usize) -> *const T {
        self.start.wrapping_add(l * self.step)
    }

    #[inline(always)]
    fn apart(&self) -> usize {
        self.apart
    }
}

/// Rows so many elements behind a place, one after another in themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shifted<T> {
    pub(super) start: *const T,
    /// One for each row that is asked for.
    pub(super) shifts: *const u32,
    pub(super) lanes: usize,
}

impl<T: Copy> Right<T> for Shifted<T> {
    #[inline(always)]
    fn row(&self, l: usize) -> *const T {
        // SAFETY: there is a shift for each row.
        let shift = unsafe { *self.shifts.add(l) };
        self.start.wrapping_add(shift as usize)
    }

    #[inline(always)]
    fn apart(&self) -> usize {
        self.lanes
    }
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

    /// The rows of this matrix, whose vectors are so far apart.
    #[inline(always)]
    pub(super) fn rows(self, apart: usize) -> Rows<T> {
        Rows {
            start: self.start,
            step: self.row,
            apart,
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
/// `rows` by `k` elements of `a`, `k` by `columns` of `b` can be read;
/// `rows` by `columns` elements of `out` can be read and written and are apart from both.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, B: Right<V::Element>>(
    [rows, columns, k]: [usize; 3],
    a: Place<V::Element>,
    b: B,
    out: Target<V::Element>,
) {
    let lanes = V::LANES;
    // SAFETY: the caller's promise is the one that each of these wants.
    unsafe {
        if columns == 2 * lanes {
            match rows {
                6 if V::ROWS >= 6 && a.row == 1 && a.column == PANEL => {
                    sums::<V, B, 6, 2, false, true>(columns, k, a, b, out)
                }
                6 if V::ROWS >= 6 => sums::<V, B, 6, 2, false, false>(columns, k, a, b, out),
                5 if V::ROWS >= 5 => sums::<V, B, 5, 2, false, false>(columns, k, a, b, out),
                4 if V::ROWS >= 4 => sums::<V, B, 4, 2, false, false>(columns, k, a, b, out),
                3 if V::ROWS >= 3 => sums::<V, B, 3, 2, false, false>(columns, k, a, b, out),
                2 => sums::<V, B, 2, 2, false, false>(columns, k, a, b, out),
                _ => sums::<V, B, 1, 2, false, false>(columns, k, a, b, out),
            }
        } else if columns > lanes {
            match rows {
                6 if V::ROWS >= 6 => sums::<V, B, 6, 2, true, false>(columns, k, a, b, out),
                5 if V::ROWS >= 5 => sums::<V, B, 5, 2, true, false>(columns, k, a, b, out),
                4 if V::ROWS >= 4 => sums::<V, B, 4, 2, true, false>(columns, k, a, b, out),
                3 if V::ROWS >= 3 => sums::<V, B, 3, 2, true, false>(columns, k, a, b, out),
                2 => sums::<V, B, 2, 2, true, false>(columns, k, a, b, out),
                _ => sums::<V, B, 1, 2, true, false>(columns, k, a, b, out),
            }
        } else {
            match rows {
                6 if V::ROWS >= 6 => sums::<V, B, 6, 1, true, false>(columns, k, a, b, out),
                5 if V::ROWS >= 5 => sums::<V, B, 5, 1, true, false>(columns, k, a, b, out),
                4 if V::ROWS >= 4 => sums::<V, B, 4, 1, true, false>(columns, k, a, b, out),
                3 if V::ROWS >= 3 => sums::<V, B, 3, 1, true, false>(columns, k, a, b, out),
                2 => sums::<V, B, 2, 1, true, false>(columns, k, a, b, out),
                _ => sums::<V, B, 1, 1, true, false>(columns, k, a, b, out),
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
pub(super) unsafe fn wide<V: Vector, B: Right<V::Element>>(
    rows: usize,
    k: usize,
    a: Place<V::Element>,
    b: B,
    out: Target<V::Element>,
) {
    let columns = width_of_few(rows) * V::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            3 => sums::<V, B, 3, 3, false, false>(columns, k, a, b, out),
            2 => sums::<V, B, 2, 4, false, false>(columns, k, a, b, out),
            _ => sums::<V, B, 1, 4, false, false>(columns, k, a, b, out),
        }
    }
}

/// `R` rows and `C` vectors of columns, the last of which is partly outside if `TAIL` says so. The rows
/// of a panel are `PACKED`.
///
/// # Safety
/// That of [`tile`].
#[inline(always)]
unsafe fn sums<
    V: Vector,
    B: Right<V::Element>,
    const R: usize,
    const C: usize,
    const TAIL: bool,
    const PACKED: bool,
>(
    columns: usize,
    k: usize,
    a: Place<V::Element>,
    b: B,
    out: Target<V::Element>,
) {
    let lanes = V::LANES;
    let last = columns - (C - 1) * lanes;
    // SAFETY: rows below `R` and columns below `columns` are inside all three matrices.
    unsafe {
        let mut sums = [[V::nothing(); C]; R];
        let mut x = a.start;
        let mut offsets = [0; R];
        for (row, offset) in offsets.iter_mut().enumerate().skip(1) {
            *offset = if PACKED { row } else { opaque(row * a.row) };
        }
        for l in 0..k {
            let y = b.row(l);
            let mut ys = [load::<V, C, TAIL>(y, 0, last); C];
            for (vector, slot) in ys.iter_mut().enumerate().skip(1) {
                *slot = load::<V, C, TAIL>(y.wrapping_add(vector * b.apart()), vector, last);
            }
            for (offset, sums) in offsets.into_iter().zip(&mut sums) {
                let x = x.wrapping_add(offset);
                for (sum, y) in sums.iter_mut().zip(ys) {
                    *sum = V::add_times(*sum, x, y);
                }
            }
            x = x.wrapping_add(if PACKED { PANEL } else { a.column });
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let to = out.start.wrapping_add(row * out.row);
            for (vector, sum) in sums.into_iter().enumerate() {
                let mut sum = V::finish(sum);
                let to = to.wrapping_add(vector * lanes);
                if out.add {
                    sum = load::<V, C, TAIL>(to, vector, last).plus(sum);
                }
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

/// A vector, one of `C`, the last of which has only `last` lanes if `TAIL` says so.
///
/// # Safety
/// Those elements can be read behind `from`.
#[inline(always)]
unsafe fn load<V: Vector, const C: usize, const TAIL: bool>(
    from: *const V::Element,
    vector: usize,
    last: usize,
) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if TAIL && vector + 1 == C {
            V::load_some(from, last)
        } else {
            V::load(from)
        }
    }
}
