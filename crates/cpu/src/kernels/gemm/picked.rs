//! Sums of rows that stand anywhere in an array, each times a number.

use super::vector::Lanes;
use crate::number::Number;

/// For each `terms` of the numbers a row of `row` elements at `out`: the sum of the rows of the array that begin at
/// these places, times the numbers.
///
/// # Safety
/// There are as many places as numbers; a row can be read at each in the array, and as many rows as there are
/// sums can be written at `out`.
pub(in crate::kernels) unsafe fn add_picked<T: Number>(
    sizes: [usize; 2],
    starts: &[u64],
    numbers: &[T],
    array: &[T],
    out: *mut T,
) {
    let (numbers, array) = (numbers.as_ptr(), array.as_ptr());
    // SAFETY: the caller's promise.
    unsafe { (T::kernels().picked)(sizes, starts, numbers, array, out) }
}

/// [`add_picked`] by vectors of this kind. The terms of an element are added in their order.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn sums<V: Lanes>(
    [terms, row]: [usize; 2],
    starts: &[u64],
    numbers: *const V::Element,
    array: *const V::Element,
    out: *mut V::Element,
) {
    for (i, starts) in starts.chunks_exact(terms.max(1)).enumerate() {
        let numbers = numbers.wrapping_add(i * terms);
        let mut to = out.wrapping_add(i * row);
        let mut from = array;
        let mut left = row;
        while left > 0 {
            // SAFETY: so many elements are left of each row.
            let done = unsafe {
                match left / V::LANES {
                    8.. => whole::<V, 8>(starts, numbers, from, to),
                    4.. => whole::<V, 4>(starts, numbers, from, to),
                    2.. => whole::<V, 2>(starts, numbers, from, to),
                    1 => whole::<V, 1>(starts, numbers, from, to),
                    _ => rest::<V>(left, starts, numbers, from, to),
                }
            };
            (from, to) = (from.wrapping_add(done), to.wrapping_add(done));
            left -= done;
        }
    }
}

/// `R` vectors of a sum; how many elements that are.
///
/// # Safety
/// So many elements of each row can be read, and written at `out`.
#[inline(always)]
unsafe fn whole<V: Lanes, const R: usize>(
    starts: &[u64],
    numbers: *const V::Element,
    array: *const V::Element,
    out: *mut V::Element,
) -> usize {
    let mut sums = [V::nothing(); R];
    // SAFETY: the caller's promise.
    unsafe {
        for (l, start) in starts.iter().enumerate() {
            let (row, number) = (array.wrapping_add(*start as usize), numbers.wrapping_add(l));
            let number = V::spread(*number);
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(row.wrapping_add(r * V::LANES)).times_plus(number, *sum);
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            sum.store(out.wrapping_add(r * V::LANES));
        }
    }
    R * V::LANES
}

/// [`whole`] for fewer elements than a vector has.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn rest<V: Lanes>(
    count: usize,
    starts: &[u64],
    numbers: *const V::Element,
    array: *const V::Element,
    out: *mut V::Element,
) -> usize {
    let mut sum = V::nothing();
    // SAFETY: the caller's promise.
    unsafe {
        for (l, start) in starts.iter().enumerate() {
            let row = V::load_some(array.wrapping_add(*start as usize), count);
            sum = row.times_plus(V::spread(*numbers.wrapping_add(l)), sum);
        }
        sum.store_some(out, count);
    }
    count
}
