//! Walks: copies between two arrays, each with strides of its own.

use smallvec::SmallVec;

use super::transpose::{Sheet, transpose};
use crate::RunError;
use crate::memory::Cell;
use crate::pool::{Shared, Team, share};

/// Places of a long axis that one thread takes together: squares of a transposing, lines of memory.
const GRAIN: usize = 16;
/// Bytes that stay in the first cache.
const NEAR: usize = 4096;

/// Copies elements between two arrays, each with strides of its own.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// From the outermost; neighbours that run as one are one, and none has length 1.
    dims: SmallVec<[Dim; 4]>,
    from: usize,
    to: usize,
    empty: bool,
    /// Elements that both arrays must have, or nothing if no memory has so many.
    reach: Option<[usize; 2]>,
}

/// One axis of a walk: its length and the steps in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dim {
    pub(super) n: usize,
    pub(super) from: isize,
    pub(super) to: usize,
}

/// An axis of one place.
const ONCE: Dim = Dim {
    n: 1,
    from: 0,
    to: 0,
};

impl Walk {
    /// A walk over these axes, from these positions.
    pub(super) fn new(axes: impl IntoIterator<Item = Dim>, from: usize, to: usize) -> Walk {
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::new();
        let mut empty = false;
        for inner in axes {
            empty |= inner.n == 0;
            if inner.n == 1 {
                continue;
            }
            match dims.last_mut() {
                Some(outer)
                    if Some(outer.from) == inner.from.checked_mul(inner.n as isize)
                        && Some(outer.to) == inner.to.checked_mul(inner.n) =>
                {
                    *outer = Dim {
                        n: outer.n.saturating_mul(inner.n),
                        ..inner
                    };
                }
                _ => dims.push(inner),
            }
        }
        Walk {
            reach: if empty {
                Some([0; 2])
            } else {
                reach(&dims, from, to)
            },
            dims,
            from,
            to,
            empty,
        }
    }

    /// Copies from one array to the other.
    pub(super) fn copy<T: Cell>(&self, from: &[T], to: &mut [T]) {
        if self.empty {
            return;
        }
        // Everything below reads and writes through pointers, so this is where bounds are checked.
        assert!(
            self.reach
                .is_some_and(|[source, target]| source <= from.len() && target <= to.len()),
            "a move of elements that are not inside their memory",
        );
        // SAFETY: all places were found inside, and the two arrays are borrowed.
        unsafe { self.go(from.as_ptr(), to.as_mut_ptr()) };
    }

    /// [`Walk::copy`], divided between threads; `work` is about how many nanoseconds it takes.
    ///
    /// # Errors
    /// A panic on another thread.
    pub(super) fn copy_with<T: Cell>(
        &self,
        from: &[T],
        to: &mut [T],
        work: u64,
        team: &Team,
    ) -> Result<(), RunError> {
        // The outermost axis that has enough places, or else the longest.
        let enough = |d: &Dim| d.n >= 8 * team.threads();
        let longest = || self.dims.iter().enumerate().max_by_key(|(_, d)| d.n);
        let first = self.dims.iter().enumerate().find(|(_, d)| enough(d));
        let Some((axis, dim)) = first.or_else(longest) else {
            self.copy(from, to);
            return Ok(());
        };
        let grains = dim.n.div_ceil(if dim.n >= GRAIN * 8 * team.threads() {
            GRAIN
        } else {
            1
        });
        let parts = team.parts(work, grains);
        if parts == 1 || self.empty {
            self.copy(from, to);
            return Ok(());
        }
        let grain = dim.n.div_ceil(grains);
        assert!(
            self.reach
                .is_some_and(|[source, target]| source <= from.len() && target <= to.len()),
            "a move of elements that are not inside their memory",
        );
        // SAFETY: no two places of a walk are the same in the result, so parts write their own.
        let shared = unsafe { Shared::new((self, from.as_ptr(), to.as_mut_ptr())) };
        team.each(work, parts, |part, _| {
            let (whole, from, to) = *shared.get();
            let grains = share(grains, part, parts);
            let places = (grains.start * grain).min(dim.n)..(grains.end * grain).min(dim.n);
            if places.is_empty() {
                return Ok(());
            }
            let mut some = whole.clone();
            let behind = (places.start as isize).wrapping_mul(dim.from);
            some.from = some.from.wrapping_add_signed(behind);
            some.to += places.start * dim.to;
            some.dims[axis].n = places.len();
            // SAFETY: some of the places of a walk that was found inside both arrays.
            unsafe { some.go(from, to) };
            Ok(())
        })
    }

    /// # Safety
    /// All places of the walk are inside both arrays, which are apart, and nobody else uses those of the
    /// second; the walk is not empty.
    unsafe fn go<T: Cell>(&self, from: *const T, to: *mut T) {
        let from = from.wrapping_add(self.from);
        let to = to.wrapping_add(self.to);
        let Some((inner, outer)) = self.dims.split_last() else {
            // SAFETY: both elements are inside.
            unsafe { *to = *from };
            return;
        };
        let across = outer.iter().position(|d| d.from == 1 && d.to != 1);
        match across {
            // Both orders are bad for one of the arrays, so squares are copied that fit the cache.
            Some(i) if inner.to == 1 && inner.from > 1 => {
                let mut rest: SmallVec<[Dim; 4]> = SmallVec::from_slice(outer);
                let row = rest.remove(i);
                let sheet = Sheet {
                    rows: inner.n,
                    columns: row.n,
                    from: inner.from.unsigned_abs(),
                    to: row.to,
                };
                // SAFETY: all places of the walk are inside both arrays, which are apart.
                each(&rest, from, to, |from, to| unsafe {
                    transpose(from, to, sheet)
                });
            }
            _ => match outer.split_last() {
                // A row that stands again and again.
                Some((again, rest))
                    if (inner.from, inner.to, again.from, again.to) == (1, 1, 0, inner.n) =>
                {
                    // SAFETY: as above; the repetitions of the row follow one another.
                    each(rest, from, to, |from, to| unsafe {
                        repeat(from, to, inner.n, again.n)
                    });
                }
                _ => runs(outer, *inner, from, to),
            },
        }
    }
}

/// Copies a row of `n` elements so many times, one behind the other: what is written is copied itself, since few
/// long copies take less time than many short ones.
///
/// # Safety
/// The row can be read and all repetitions written; they are apart.
unsafe fn repeat<T: Cell>(row: *const T, to: *mut T, n: usize, times: usize) {
    // SAFETY: the caller's promise; each copy is of what has been written before, to what is behind.
    unsafe {
        std::ptr::copy_nonoverlapping(row, to, n);
        let (mut done, whole) = (n, n * times);
        while done < whole {
            // What is copied again and again stays in the first cache.
            let near = (NEAR / size_of::<T>()).max(n) / n * n;
            let count = done.min(near).min(whole - done);
            std::ptr::copy_nonoverlapping(to, to.add(done), count);
            done += count;
        }
    }
}

/// Elements that both arrays must have for all places of a walk to be inside them.
fn reach(dims: &[Dim], from: usize, to: usize) -> Option<[usize; 2]> {
    let (mut low, mut high, mut last) = (from as i128, from as i128, to);
    for dim in dims {
        let way = (dim.n as i128 - 1).checked_mul(dim.from as i128)?;
        low = low.checked_add(way.min(0))?;
        high = high.checked_add(way.max(0))?;
        last = last.checked_add((dim.n - 1).checked_mul(dim.to)?)?;
    }
    if low < 0 {
        return None;
    }
    Some([
        usize::try_from(high).ok()?.checked_add(1)?,
        last.checked_add(1)?,
    ])
}

/// Calls `f` with both places for each index of the axes.
#[inline(always)]
fn each<T>(dims: &[Dim], from: *const T, to: *mut T, mut f: impl FnMut(*const T, *mut T)) {
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, dims.len());
    let (mut from, mut to) = (from, to);
    loop {
        f(from, to);
        let mut axis = dims.len();
        loop {
            let Some(next) = axis.checked_sub(1) else {
                return;
            };
            axis = next;
            let d = dims[axis];
            index[axis] += 1;
            if index[axis] < d.n {
                from = from.wrapping_offset(d.from);
                to = to.wrapping_add(d.to);
                break;
            }
            index[axis] = 0;
            from = from.wrapping_offset(-(d.from * (d.n as isize - 1)));
            to = to.wrapping_sub(d.to * (d.n - 1));
        }
    }
}

/// Copies runs along the innermost axis. All places have been found inside both arrays.
fn runs<T: Cell>(outer: &[Dim], inner: Dim, from: *const T, to: *mut T) {
    let n = inner.n;
    // A call of the library's copy takes longer than a few elements do, so short runs have loops of
    // their own, in which their length is known.
    macro_rules! short {
        ($run:ident, $($N:literal)+) => {
            match n {
                // SAFETY: `N` is the length of the run.
                $($N => planes(outer, from, to, |from, to| unsafe { $run::<T, $N>(from, to) }),)+
                // SAFETY: the run is inside both arrays.
                _ => planes(outer, from, to, |from, to| unsafe { $run::long(n, from, to) }),
            }
        };
    }
    match (inner.from, inner.to) {
        (1, 1) => short!(copy, 2 3 4 5 6 7 8 9),
        (0, 1) => short!(fill, 2 3 4 5 6 7 8 9),
        (step, 1) => planes(outer, from, to, |from, to| {
            for i in 0..n {
                // SAFETY: the places of the run are inside both arrays.
                unsafe { *to.add(i) = *from.wrapping_offset(i as isize * step) };
            }
        }),
        (step, by) => planes(outer, from, to, |from, to| {
            for i in 0..n {
                // SAFETY: as above.
                unsafe { *to.wrapping_add(i * by) = *from.wrapping_offset(i as isize * step) };
            }
        }),
    }
}

/// [`each`], with the two innermost axes as plain loops.
#[inline(always)]
fn planes<T>(outer: &[Dim], from: *const T, to: *mut T, mut f: impl FnMut(*const T, *mut T)) {
    let (rest, [high, low]) = match outer {
        [rest @ .., high, low] => (rest, [*high, *low]),
        [low] => (&outer[..0], [ONCE, *low]),
        [] => (outer, [ONCE, ONCE]),
    };
    each(rest, from, to, |from, to| {
        for i in 0..high.n {
            let from = from.wrapping_offset(i as isize * high.from);
            let to = to.wrapping_add(i * high.to);
            for j in 0..low.n {
                f(
                    from.wrapping_offset(j as isize * low.from),
                    to.wrapping_add(j * low.to),
                );
            }
        }
    });
}

/// # Safety
/// `N` elements can be read and written.
#[inline(always)]
unsafe fn copy<T: Cell, const N: usize>(from: *const T, to: *mut T) {
    // SAFETY: the caller's promise; arrays of elements may stand wherever elements may.
    unsafe { to.cast::<[T; N]>().write(from.cast::<[T; N]>().read()) }
}

/// # Safety
/// An element can be read and `N` written.
#[inline(always)]
unsafe fn fill<T: Cell, const N: usize>(from: *const T, to: *mut T) {
    // SAFETY: the caller's promise.
    unsafe { to.cast::<[T; N]>().write([*from; N]) }
}

/// Runs of any length.
mod copy {
    /// # Safety
    /// `n` elements can be read and written, and are apart.
    #[inline(always)]
    pub(super) unsafe fn long<T: Copy>(n: usize, from: *const T, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, to, n) }
    }
}

/// Runs of any length of one element.
mod fill {
    /// # Safety
    /// An element can be read and `n` written.
    #[inline(always)]
    pub(super) unsafe fn long<T: Copy>(n: usize, from: *const T, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(to, n).fill(*from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(dims: &[(usize, isize, usize)], from: usize, n: usize, to: usize) -> Vec<i32> {
        let source: Vec<i32> = (0..64).collect();
        let mut out = vec![-1; n];
        let dims = dims.iter().map(|(n, from, to)| Dim {
            n: *n,
            from: *from,
            to: *to,
        });
        Walk::new(dims, from, to).copy(&source, &mut out);
        out
    }

    #[test]
    fn walks_join_axes_that_run_as_one() {
        let dims = [(2, 12, 12), (3, 4, 4), (4, 1, 1)].map(|(n, from, to)| Dim { n, from, to });
        assert_eq!(Walk::new(dims, 0, 0).dims.len(), 1);
    }

    #[test]
    fn every_kind_of_run() {
        assert_eq!(moved(&[(3, 1, 1)], 4, 3, 0), [4, 5, 6]);
        assert_eq!(moved(&[(3, 0, 1)], 4, 3, 0), [4, 4, 4]);
        assert_eq!(moved(&[(3, 5, 1)], 4, 3, 0), [4, 9, 14]);
        assert_eq!(moved(&[(3, -2, 1)], 4, 3, 0), [4, 2, 0]);
        assert_eq!(moved(&[(3, -2, 2)], 4, 6, 1), [-1, 4, -1, 2, -1, 0]);
        assert_eq!(moved(&[], 7, 1, 0), [7]);
        assert_eq!(moved(&[(0, 1, 1), (3, 1, 1)], 0, 1, 0), [-1]);
        assert_eq!(moved(&[(2, 1, 3), (3, 2, 1)], 0, 6, 0), [0, 2, 4, 1, 3, 5]);
    }

    /// Every walk against the plain meaning, at lengths around those with loops of their own.
    #[test]
    fn walks_are_as_defined() {
        fn check<T: Cell + PartialEq + std::fmt::Debug>(number: impl Fn(usize) -> T) {
            let source: Vec<T> = (0..6000).map(&number).collect();
            for a in [1, 2, 3, 5] {
                for b in [1, 2, 4, 9, 17] {
                    for c in [1, 2, 3, 8, 9, 10, 33] {
                        // Steps in the source: contiguous, transposed, repeated, reversed, spread.
                        let (x, y, z) = (a as isize, b as isize, c as isize);
                        for steps in [
                            [y * z, z, 1],
                            [1, x, x * y],
                            [y, 1, x * y],
                            [0, 1, 0],
                            [1, 0, 0],
                            [0, 0, 1],
                            [y * z, z, -1],
                            [2 * y * z, 2 * z, 2],
                        ] {
                            let start = 40;
                            for gap in [1, 2] {
                                let by = [b * c * gap, c * gap, gap];
                                let lengths = [a, b, c];
                                let dims = (0..3).map(|i| Dim {
                                    n: lengths[i],
                                    from: steps[i],
                                    to: by[i],
                                });
                                let mut out = vec![number(9999); a * b * c * gap];
                                Walk::new(dims, start, 0).copy(&source, &mut out);
                                let at = |i: usize, j: usize, k: usize| {
                                    let index = [i, j, k].map(|i| i as isize);
                                    let way: isize =
                                        index.iter().zip(steps).map(|(i, s)| i * s).sum();
                                    source[(start as isize + way) as usize]
                                };
                                for (place, found) in out.iter().enumerate() {
                                    let (flat, rest) = (place / gap, place % gap);
                                    let expected = match rest {
                                        0 => at(flat / c / b, flat / c % b, flat % c),
                                        _ => number(9999),
                                    };
                                    assert_eq!(*found, expected, "{lengths:?} {steps:?} {gap}");
                                }
                            }
                        }
                    }
                }
            }
        }
        check(|i| i as u8);
        check(|i| i as u32);
        check(|i| i as u64);
        check(|i| cotangent_array::Complex::<f64>::new(i as f64, 0.5));
    }

    #[test]
    #[should_panic = "not inside their memory"]
    fn walks_out_of_an_array_are_refused() {
        moved(&[(3, 40, 1)], 0, 3, 0);
    }

    #[test]
    #[should_panic = "not inside their memory"]
    fn walks_before_an_array_are_refused() {
        moved(&[(3, -2, 1)], 3, 3, 0);
    }
}
