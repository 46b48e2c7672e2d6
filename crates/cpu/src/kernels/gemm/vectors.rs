//! Products of a matrix with a vector: the matrix is read once, in the order it stands in.

use super::tile::{Place, Target};
use super::vector::{Lanes, Real};
use super::{Matrix, Means, Vectors, parts};
use crate::RunError;
use crate::number::Number;
use crate::pool::{Shared, share};

/// Products of `m` rows of `a` with the vector that is the first row of `x`, to places of the result
/// that are a row apart. The working memory has room for `k` elements if the vector's do not stand side by
/// side.
///
/// # Errors
/// A panic on another thread.
///
/// # Safety
/// The matrices are inside their elements; `m` elements of the result can be read and written.
pub(super) unsafe fn times_vector<T: Number>(
    [m, k]: [usize; 2],
    a: Matrix<'_, T>,
    x: Matrix<'_, T>,
    target: Target<T>,
    Means { scratch, team }: Means<'_, T>,
) -> Result<(), RunError> {
    let vector = if x.column == 1 || k == 1 {
        &x.elements[..k]
    } else {
        let copy = &mut scratch[..k];
        for (l, to) in copy.iter_mut().enumerate() {
            *to = x.at(0, l);
        }
        copy
    };
    let place = a.place();
    if let Some(kernel) = kernel::<T>(k, [a.row, a.column], target.row) {
        // Each row of the matrix is one element of the result, whoever computes it.
        let work = parts::work_of_vectors::<T>([m, 1, k], 1);
        let grains = m.div_ceil(GRAIN);
        let parts = team.parts(work, grains);
        // SAFETY: each part writes elements of its own.
        let shared = unsafe { Shared::new((place, vector.as_ptr(), target)) };
        team.each(work, parts, |part, _| {
            let (place, vector, target) = *shared.get();
            let grains = share(grains, part, parts);
            let first = grains.start * GRAIN;
            let rows = (grains.end * GRAIN).min(m) - first;
            // SAFETY: the caller's promise.
            unsafe {
                kernel(
                    [rows, k],
                    Members::ONE,
                    place.from(first, 0),
                    vector,
                    target.from(first, 0),
                )
            };
            Ok(())
        })
    } else {
        for i in 0..m {
            let terms = vector.iter().enumerate();
            let sum = terms.fold(T::NOTHING, |sum, (l, x)| sum.plus(a.at(i, l).times(*x)));
            // SAFETY: the caller's promise.
            unsafe { *target.from(i, 0).start = sum };
        }
        Ok(())
    }
}

/// Products that are done one after another: how many, and the steps from one to the next in the matrices, the
/// vectors and the results.
#[derive(Clone, Copy)]
pub(super) struct Members {
    pub(super) count: usize,
    pub(super) a: usize,
    pub(super) x: usize,
    pub(super) out: usize,
}

impl Members {
    /// One product.
    pub(super) const ONE: Members = Members {
        count: 1,
        a: 0,
        x: 0,
        out: 0,
    };

    /// The matrix, the vector and the result of a member.
    #[inline(always)]
    fn at<T: Copy>(
        self,
        k: usize,
        a: Place<T>,
        x: *const T,
        out: Target<T>,
    ) -> (Place<T>, *const T, Target<T>) {
        let to = Target {
            start: out.start.wrapping_add(k * self.out),
            ..out
        };
        (a.skip(k * self.a), x.wrapping_add(k * self.x), to)
    }
}

/// Does the work of several products by one call where the vectors stand in straight lines and there is a kernel
/// for the matrices; whether that is so.
///
/// # Safety
/// As for [`times_vector`], for every member.
pub(super) unsafe fn times_vectors<T: Number>(
    sizes: [usize; 2],
    members: Members,
    a: Matrix<'_, T>,
    x: Matrix<'_, T>,
    target: Target<T>,
) -> bool {
    let k = sizes[1];
    let straight = x.column == 1 || k == 1;
    match kernel::<T>(k, [a.row, a.column], target.row).filter(|_| straight) {
        Some(kernel) => {
            // SAFETY: the caller's promise.
            unsafe { kernel(sizes, members, a.place(), x.elements.as_ptr(), target) };
            true
        }
        None => false,
    }
}

/// The kernel for a matrix with `k` columns, from rows and columns of which it is so far to the next, where rows
/// or columns stand in straight lines and results are `step` elements apart.
pub(super) fn kernel<T: Number>(
    k: usize,
    [row, column]: [usize; 2],
    step: usize,
) -> Option<Vectors<T>> {
    let kernels = T::kernels();
    if column == 1 || k == 1 {
        Some(kernels.rows)
    } else if row == 1 && step == 1 {
        Some(kernels.columns)
    } else {
        None
    }
}

/// Rows are divided between threads in multiples of so many: whole lines of memory, and pairs.
pub(super) const GRAIN: usize = 16;

/// [`rows`] of every member. Written out for each kernel: a closure would not be compiled for the features of the
/// machine that its caller is.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn rows_of_each<V: Real>(
    sizes: [usize; 2],
    members: Members,
    a: Place<V::Element>,
    x: *const V::Element,
    out: Target<V::Element>,
) {
    for k in 0..members.count {
        let (a, x, out) = members.at(k, a, x, out);
        // SAFETY: the caller's promise.
        unsafe { rows::<V>(sizes, a, x, out) };
    }
}

/// [`columns`] of every member.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn columns_of_each<V: Lanes>(
    sizes: [usize; 2],
    members: Members,
    a: Place<V::Element>,
    x: *const V::Element,
    out: Target<V::Element>,
) {
    for k in 0..members.count {
        let (a, x, out) = members.at(k, a, x, out);
        // SAFETY: the caller's promise.
        unsafe { columns::<V>(sizes, a, x, out) };
    }
}

/// Sums of a row that are kept apart, so that none waits for the other.
const CHAINS: usize = 4;

/// Rows of `a` stand in straight lines: inner products, two rows at a time.
///
/// # Safety
/// All elements of `a` and `k` of the vector can be read, `m` of the result written.
#[inline(always)]
unsafe fn rows<V: Real>(
    [m, k]: [usize; 2],
    a: Place<V::Element>,
    x: *const V::Element,
    out: Target<V::Element>,
) {
    if k <= V::LANES {
        // SAFETY: the caller's promise.
        return unsafe { short_rows::<V>([m, k], a, x, out) };
    }
    let mut i = 0;
    // SAFETY: these rows exist.
    unsafe {
        while i + 2 <= m {
            let [p, q] = inner::<V, 2>(k, [a.from(i, 0).start, a.from(i + 1, 0).start], x);
            *out.from(i, 0).start = p;
            *out.from(i + 1, 0).start = q;
            i += 2;
        }
        if i < m {
            let [p] = inner::<V, 1>(k, [a.from(i, 0).start], x);
            *out.from(i, 0).start = p;
        }
    }
}

/// [`rows`] of no more elements than a vector has; the sums are those of [`inner`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn short_rows<V: Real>(
    [m, k]: [usize; 2],
    a: Place<V::Element>,
    x: *const V::Element,
    out: Target<V::Element>,
) {
    let whole = k == V::LANES;
    // SAFETY: `k` elements of each row and of the vector can be read.
    unsafe {
        let y = V::load_some(x, k);
        for i in 0..m {
            let row = a.from(i, 0).start;
            let row = if whole {
                V::load(row)
            } else {
                V::load_some(row, k)
            };
            *out.from(i, 0).start = row.times_plus(y, V::nothing()).total();
        }
    }
}

/// The inner products of some rows with one vector. The order of a row's sum is the same however many
/// rows there are.
///
/// # Safety
/// `k` elements of each row and of the vector can be read.
#[inline(always)]
unsafe fn inner<V: Real, const R: usize>(
    k: usize,
    rows: [*const V::Element; R],
    x: *const V::Element,
) -> [V::Element; R] {
    let lanes = V::LANES;
    let mut sums = [[V::nothing(); CHAINS]; R];
    let mut l = 0;
    // SAFETY: places below `k` can be read.
    unsafe {
        while l + CHAINS * lanes <= k {
            for chain in 0..CHAINS {
                let at = l + chain * lanes;
                let y = V::load(x.wrapping_add(at));
                for (sums, row) in sums.iter_mut().zip(rows) {
                    sums[chain] = V::load(row.wrapping_add(at)).times_plus(y, sums[chain]);
                }
            }
            l += CHAINS * lanes;
        }
        while l + lanes <= k {
            let y = V::load(x.wrapping_add(l));
            for (sums, row) in sums.iter_mut().zip(rows) {
                sums[0] = V::load(row.wrapping_add(l)).times_plus(y, sums[0]);
            }
            l += lanes;
        }
        if l < k {
            let y = V::load_some(x.wrapping_add(l), k - l);
            for (sums, row) in sums.iter_mut().zip(rows) {
                let x = V::load_some(row.wrapping_add(l), k - l);
                sums[1] = x.times_plus(y, sums[1]);
            }
        }
    }
    let mut totals = [V::Element::NOTHING; R];
    for (total, [p, q, r, s]) in totals.iter_mut().zip(sums) {
        *total = p.plus(q).plus(r.plus(s)).total();
    }
    totals
}

/// Columns of `a` that are added to the result at a time.
const TOGETHER: usize = 8;

/// Bytes of a matrix that stays in a near cache, so that the order in which it is read does not matter.
const NEAR: usize = 64 << 10;

/// Columns of `a` stand in straight lines: some at a time, times their element of the vector, are added
/// to the result, in ascending order, and to what stands there before if the target says so. Of a small matrix all columns are, to as many elements of the result
/// as there are registers.
///
/// # Safety
/// All elements of `a` and `k` of the vector can be read, `m` of the result, which stands in a straight
/// line, read and written.
#[inline(always)]
unsafe fn columns<V: Lanes>(
    [m, k]: [usize; 2],
    a: Place<V::Element>,
    x: *const V::Element,
    out: Target<V::Element>,
) {
    let add = out.add;
    if m.saturating_mul(k) <= NEAR / size_of::<V::Element>() {
        let lanes = V::LANES;
        let mut i = 0;
        // SAFETY: these rows exist.
        unsafe {
            while i < m {
                let (a, out) = (a.from(i, 0), out.start.wrapping_add(i));
                i += match (m - i) / lanes {
                    8.. => all_columns::<V, 8>(k, a, x, out, add),
                    4.. => all_columns::<V, 4>(k, a, x, out, add),
                    2.. => all_columns::<V, 2>(k, a, x, out, add),
                    1 => all_columns::<V, 1>(k, a, x, out, add),
                    _ => last_rows::<V>([m - i, k], a, x, out, add),
                };
            }
        }
        return;
    }
    let mut l = 0;
    // SAFETY: these columns exist.
    unsafe {
        while l < k {
            let (a, x, add) = (a.from(0, l), x.wrapping_add(l), add || l > 0);
            match k - l {
                TOGETHER.. => some_columns::<V, TOGETHER>(m, a, x, out.start, add),
                4.. => some_columns::<V, 4>(m, a, x, out.start, add),
                3 => some_columns::<V, 3>(m, a, x, out.start, add),
                2 => some_columns::<V, 2>(m, a, x, out.start, add),
                _ => some_columns::<V, 1>(m, a, x, out.start, add),
            }
            l += match k - l {
                TOGETHER.. => TOGETHER,
                4.. => 4,
                rest => rest,
            };
        }
    }
}

/// # Safety
/// That of [`columns`], for `C` columns.
#[inline(always)]
unsafe fn some_columns<V: Lanes, const C: usize>(
    m: usize,
    a: Place<V::Element>,
    x: *const V::Element,
    out: *mut V::Element,
    add: bool,
) {
    let lanes = V::LANES;
    // SAFETY: places below `m` and columns below `C` are inside.
    unsafe {
        let mut xs = [V::nothing(); C];
        for (l, slot) in xs.iter_mut().enumerate() {
            *slot = V::spread(*x.wrapping_add(l));
        }
        let mut i = 0;
        while i + lanes <= m {
            let to = out.wrapping_add(i);
            let mut sum = if add { V::load(to) } else { V::nothing() };
            for (l, x) in xs.into_iter().enumerate() {
                sum = V::load(a.from(i, l).start).times_plus(x, sum);
            }
            sum.store(to);
            i += lanes;
        }
        if i < m {
            let (to, rest) = (out.wrapping_add(i), m - i);
            let mut sum = if add {
                V::load_some(to, rest)
            } else {
                V::nothing()
            };
            for (l, x) in xs.into_iter().enumerate() {
                sum = V::load_some(a.from(i, l).start, rest).times_plus(x, sum);
            }
            sum.store_some(to, rest);
        }
    }
}

/// The first `R` vectors of the result; their elements.
///
/// # Safety
/// That of [`columns`], for so many rows.
#[inline(always)]
unsafe fn all_columns<V: Lanes, const R: usize>(
    k: usize,
    a: Place<V::Element>,
    x: *const V::Element,
    out: *mut V::Element,
    add: bool,
) -> usize {
    let mut sums = [V::nothing(); R];
    // SAFETY: these rows and all columns are inside.
    unsafe {
        if add {
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(out.wrapping_add(r * V::LANES));
            }
        }
        for l in 0..k {
            let (column, y) = (a.from(0, l).start, V::spread(*x.wrapping_add(l)));
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(column.wrapping_add(r * V::LANES)).times_plus(y, *sum);
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            sum.store(out.wrapping_add(r * V::LANES));
        }
    }
    R * V::LANES
}

/// [`all_columns`] for rows that are fewer than a vector has.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn last_rows<V: Lanes>(
    [m, k]: [usize; 2],
    a: Place<V::Element>,
    x: *const V::Element,
    out: *mut V::Element,
    add: bool,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = match add {
            true => V::load_some(out, m),
            false => V::nothing(),
        };
        for l in 0..k {
            let y = V::spread(*x.wrapping_add(l));
            sum = V::load_some(a.from(0, l).start, m).times_plus(y, sum);
        }
        sum.store_some(out, m);
    }
    m
}
