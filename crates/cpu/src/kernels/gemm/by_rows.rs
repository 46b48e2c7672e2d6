//! Products of a matrix with a vector, some rows at a time: of all rows they are what [`super::multiply_all`]
//! gives, bit for bit.

use std::ops::Range;

use cotangent_compile::RowProduct;

use super::Factor;
use super::tile::{Place, Target};
use super::vectors::{GRAIN, Members};
use crate::number::by_dtype;
use crate::pool::share;

/// The product of some rows of a matrix with a vector.
#[derive(Clone, Copy)]
pub(crate) struct ByRows {
    product: RowProduct,
}

impl ByRows {
    /// A product of floats, which those of row blocks are.
    pub(crate) fn new(product: RowProduct) -> ByRows {
        ByRows { product }
    }

    /// Inner products of these rows with the vector; or the rows times their elements of the vector, added to
    /// the sums of those before, of which the first row is none.
    ///
    /// # Safety
    /// These are the addresses of the matrix, the vector and the result, all of them, and nothing else uses the
    /// rows or sums of the result meanwhile.
    pub(crate) unsafe fn run(&self, at: [*mut u8; 3], rows: Range<usize>) {
        // SAFETY: the caller's promise.
        unsafe { self.part(at, rows, 0..self.product.row) }
    }

    /// In how many parts sums may be cut, each a part of every row.
    pub(crate) fn grains(&self) -> usize {
        self.product.row.div_ceil(GRAIN)
    }

    /// One of so many parts of the sums of all rows.
    ///
    /// # Safety
    /// As for [`ByRows::run`], and others may take other parts.
    pub(crate) unsafe fn sums(&self, at: [*mut u8; 3], part: usize, parts: usize) {
        let grains = share(self.grains(), part, parts);
        let [from, to] = [grains.start, grains.end].map(|n| (n * GRAIN).min(self.product.row));
        // SAFETY: the caller's promise.
        unsafe { self.part(at, 0..self.product.rows, from..to) }
    }

    /// # Safety
    /// As for [`ByRows::run`]; inner products are those of whole rows.
    unsafe fn part(
        &self,
        [matrix, vector, out]: [*mut u8; 3],
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let RowProduct { row, sums, .. } = self.product;
        by_dtype!(float self.product.dtype, T => {
            let (matrix, vector): (*const T, *const T) = (matrix.cast(), vector.cast());
            let (out, kernels) = (out.cast::<T>(), <T as Factor>::kernels());
            let place = |row: usize, column: usize| Place {
                start: matrix.wrapping_add(rows.start * self.product.row + columns.start),
                row,
                column,
            };
            let target = |first: usize, add: bool| Target {
                start: out.wrapping_add(first),
                row: 1,
                add,
            };
            // SAFETY: the caller's promise; these rows and columns are inside the matrix.
            unsafe {
                match sums {
                    false => (kernels.rows)(
                        [rows.len(), row],
                        Members::ONE,
                        place(row, 1),
                        vector,
                        target(rows.start, false),
                    ),
                    true => (kernels.columns)(
                        [columns.len(), rows.len()],
                        Members::ONE,
                        place(1, row),
                        vector.wrapping_add(rows.start),
                        target(columns.start, rows.start > 0),
                    ),
                }
            }
        }, else ())
    }
}
