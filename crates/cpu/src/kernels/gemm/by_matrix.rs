//! Products of rows with matrices, some rows at a time: of all rows they are what [`super::multiply_all`] and
//! [`super::multiply_triangles`] give, bit for bit.
//!
//! Each element of a result depends on its row alone, and adds its terms in the order that the whole product has.

use std::ops::Range;
use std::sync::Arc;

use cotangent_compile::{Band, RowMatrix};

use super::parts::Block;
use super::tile::{Place, Target};
use super::triangles::{Bands, Look, any_outside};
use super::{Blocks, Matrix, TERMS, WIDTH};
use crate::number::{Float, by_dtype};

/// The product of some rows with matrices.
#[derive(Clone)]
pub(crate) struct ByMatrix {
    product: Arc<RowMatrix>,
}

/// The line in front of the working memory.
#[repr(C)]
struct Packed {
    /// One more than the number of the matrix that stands behind it; 0 where there is none.
    number: u64,
    /// Whether all of its elements are finite, where that was looked for.
    finite: u64,
}

/// Bytes of that line.
const LINE: usize = 64;
const _: () = assert!(size_of::<Packed>() <= LINE && WIDTH == LINE);

impl ByMatrix {
    /// A product that was checked.
    pub(crate) fn new(product: &Arc<RowMatrix>) -> ByMatrix {
        let product = product.clone();
        ByMatrix { product }
    }

    /// Forgets which matrix stands in the working memory.
    ///
    /// # Safety
    /// It is that of the product, aligned to a line, and nothing else uses it meanwhile.
    pub(crate) unsafe fn forget(&self, own: *mut u8) {
        let none = Packed {
            number: 0,
            finite: 0,
        };
        // SAFETY: the caller's promise.
        unsafe { own.cast::<Packed>().write(none) };
    }

    /// Multiplies these rows.
    ///
    /// # Safety
    /// These are the addresses of the rows, the matrices and the result, all of them; these rows are there, and
    /// nothing else uses those of the result or the working memory meanwhile, which nothing has used since
    /// [`ByMatrix::forget`] but this, for the same matrices.
    pub(crate) unsafe fn run(&self, at: [*mut u8; 3], own: *mut u8, rows: Range<usize>) {
        by_dtype!(float self.product.dtype, T => {
            // SAFETY: the caller's promise.
            unsafe { self.multiply::<T>(at, own, rows) }
        }, else ())
    }

    /// # Safety
    /// As for [`ByMatrix::run`], of elements of this type.
    unsafe fn multiply<T: Float>(&self, at: [*mut u8; 3], own: *mut u8, rows: Range<usize>) {
        let (product, [from, matrices, out]) = (&*self.product, at);
        let matrices: *const T = matrices.cast();
        let mut first = rows.start;
        while first < rows.end {
            let number = first / product.rows;
            let before = number * product.rows;
            let some = first - before..rows.end.min(before + product.rows) - before;
            let skipped = self.skipped(number);
            // SAFETY: the caller's promise; the matrix is one of those that there are.
            unsafe {
                let finite = self.pack(number, matrices.wrapping_add(skipped), own);
                let from = from.cast::<T>().wrapping_add(before * product.terms);
                let out = out.cast::<T>().wrapping_add(before * product.columns);
                let packed: *mut T = own.wrapping_add(LINE).cast();
                self.one(some.clone(), from, packed, out, finite);
            }
            first = before + some.end;
        }
    }

    /// The elements in front of a matrix.
    fn skipped(&self, number: usize) -> usize {
        let (mut left, mut skipped) = (number, 0);
        for (count, step) in self.product.matrices.iter().rev() {
            skipped += left % count * step;
            left /= count;
        }
        skipped
    }

    /// The elements of a packed row of panels.
    fn width<T>(&self) -> usize {
        let width = WIDTH / size_of::<T>();
        self.product.columns.next_multiple_of(width)
    }

    /// Packs a matrix, unless it stands there, and says whether it is finite.
    ///
    /// # Safety
    /// The matrix can be read, and the working memory is as for [`ByMatrix::run`].
    unsafe fn pack<T: Float>(&self, number: usize, matrix: *const T, own: *mut u8) -> bool {
        let RowMatrix { terms, columns, .. } = *self.product;
        let [row, column] = self.product.steps;
        let there = own.cast::<Packed>();
        // SAFETY: the working memory begins with this line, and behind it has room for the columns in whole panels.
        unsafe {
            if (*there).number == number as u64 + 1 {
                return (*there).finite != 0;
            }
            let from = Place {
                start: matrix,
                row,
                column,
            };
            let to: *mut T = own.wrapping_add(LINE).cast();
            for l in (0..terms).step_by(TERMS) {
                let some = TERMS.min(terms - l);
                let to = to.wrapping_add(l * self.width::<T>());
                (T::kernels().right)(some, columns, from.from(l, 0), to);
            }
            let mut finite = false;
            if self.product.triangles.first.is_some() {
                // Behind the last column a panel has zeros.
                let all = std::slice::from_raw_parts(to, terms * self.width::<T>());
                finite = !(T::kernels().any)(Look::NotFinite, all.as_ptr(), all.len());
            }
            there.write(Packed {
                number: number as u64 + 1,
                finite: u64::from(finite),
            });
            finite
        }
    }

    /// Multiplies rows with their matrix; addresses are those of the first row that has it.
    ///
    /// # Safety
    /// The rows can be read, those of the result written, and the packed matrix is there.
    unsafe fn one<T: Float>(
        &self,
        rows: Range<usize>,
        from: *const T,
        packed: *mut T,
        out: *mut T,
        finite: bool,
    ) {
        let RowMatrix { terms, columns, .. } = *self.product;
        let first = match self.product.triangles.first {
            // SAFETY: the caller's promise.
            Some(band) if finite && unsafe { self.zeros(band, rows.clone(), from) } => band,
            _ => Band::ALL,
        };
        let bands = Bands {
            first,
            second: Band::ALL,
            result: self.product.triangles.result.unwrap_or(Band::ALL),
            count: terms,
        };
        // SAFETY: the caller's promise.
        unsafe {
            if bands.are_everything() {
                return self.blocks(rows, from, packed, out, None);
            }
            self.blocks(rows.clone(), from, packed, out, Some(&bands));
            // Where all products of a sum were rounded to -0, the zeros behind them decide the sign.
            let written = out.wrapping_add(rows.start * columns);
            let any = T::kernels().any;
            if first.high < i64::MAX && any(Look::NegativeZero, written, rows.len() * columns) {
                self.blocks(rows, from, packed, out, None);
            }
        }
    }

    /// Whether rows are zero outside of a band.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn zeros<T: Float>(&self, band: Band, rows: Range<usize>, from: *const T) -> bool {
        let terms = self.product.terms;
        let start = from.wrapping_add(rows.start * terms);
        // SAFETY: the caller's promise.
        let elements = unsafe { std::slice::from_raw_parts(start, rows.len() * terms) };
        let matrix = Matrix {
            elements,
            row: terms,
            column: 1,
        };
        let band = band.without(rows.start as i64, 0);
        !any_outside(&matrix, [rows.len(), terms], band, Look::NotZero)
    }

    /// # Safety
    /// As for [`ByMatrix::one`].
    unsafe fn blocks<T: Float>(
        &self,
        rows: Range<usize>,
        from: *const T,
        packed: *mut T,
        out: *mut T,
        bands: Option<&Bands>,
    ) {
        let RowMatrix { terms, columns, .. } = *self.product;
        for l in (0..terms).step_by(TERMS) {
            let some = TERMS.min(terms - l);
            let block = Block {
                sizes: [self.product.rows, columns, some],
                at: [0, l],
                bands,
                blocks: Blocks {
                    columns,
                    left: false,
                    right: true,
                    terms: [some; 2],
                },
                a: Place {
                    start: from.wrapping_add(l),
                    row: terms,
                    column: 1,
                },
                b: Place {
                    start: packed.wrapping_add(l * self.width::<T>()),
                    row: WIDTH / size_of::<T>(),
                    column: some,
                },
                out: Target {
                    start: out,
                    row: columns,
                    add: l > 0,
                },
                left: std::ptr::null_mut(),
                right: std::ptr::null_mut(),
            };
            let a = block.a.from(rows.start, 0);
            // SAFETY: the caller's promise; all columns begin with a panel.
            unsafe { block.multiply(rows.clone(), 0..columns, 0..some, a) };
        }
    }
}
