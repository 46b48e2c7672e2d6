//! Sums of rows that stand anywhere in an array, each times a number.

use super::tile::{Place, Right, Target, tile, wide, width_of_few};
use super::vector::Vector;
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

/// Rows of an array that begin at these places.
#[derive(Clone, Copy)]
struct Places<T> {
    array: *const T,
    /// One for each row that is asked for.
    starts: *const u64,
    lanes: usize,
}

impl<T: Copy> Right<T> for Places<T> {
    #[inline(always)]
    fn row(&self, l: usize) -> *const T {
        // SAFETY: there is a place for each row.
        let start = unsafe { *self.starts.add(l) };
        self.array.wrapping_add(start as usize)
    }

    #[inline(always)]
    fn apart(&self) -> usize {
        self.lanes
    }
}

/// [`add_picked`] by vectors of this kind: each sum is a product of one row of numbers with rows that stand apart.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn sums<V: Vector>(
    [terms, row]: [usize; 2],
    starts: &[u64],
    numbers: *const V::Element,
    array: *const V::Element,
    out: *mut V::Element,
) {
    let many = width_of_few(1) * V::LANES;
    for (i, starts) in starts.chunks_exact(terms.max(1)).enumerate() {
        let numbers = Place {
            start: numbers.wrapping_add(i * terms),
            row: 0,
            column: 1,
        };
        let mut j = 0;
        while j < row {
            let rows = Places {
                array: array.wrapping_add(j),
                starts: starts.as_ptr(),
                lanes: V::LANES,
            };
            let to = Target {
                start: out.wrapping_add(i * row + j),
                row,
                add: false,
            };
            let left = row - j;
            // SAFETY: the caller's promise; so many elements are left of each row.
            j += unsafe {
                if left >= many && V::ROWS >= 6 {
                    wide::<V, _>(1, terms, numbers, rows, to);
                    many
                } else {
                    let some = left.min(2 * V::LANES);
                    tile::<V, _>([1, some, terms], numbers, rows, to);
                    some
                }
            };
        }
    }
}
