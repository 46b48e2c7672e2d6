//! Products of matrices with any strides.
//!
//! Floats and complex numbers are cut into blocks that fit the caches (Goto and van de Geijn, Anatomy
//! of High-Performance Matrix Multiplication, 2008) and into tiles that fit the registers
//! ([`tile`]). Blocks that are read often are packed first ([`pack`]), into working memory that the
//! plan has set aside; small ones are read where they stand. Products with a vector go their own way
//! ([`vectors`]).
//!
//! All cuts follow from shapes and strides alone. Each element of a result is the sum over blocks of
//! the contracted axis of sums in ascending order, so its bits do not depend on where in the result
//! it stands, nor would they on a division of the result between threads.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocks;
mod by_matrix;
mod by_rows;
mod kernels;
mod loops;
mod outer;
mod pack;
mod parts;
mod picked;
mod ready;
mod shifted;
mod tile;
mod triangles;
mod vector;
mod vectors;

use std::ops::Range;

use blocks::{Blocks, ROWS, TERMS, WIDTH};
pub(crate) use by_matrix::ByMatrix;
pub(crate) use by_rows::ByRows;
pub(crate) use kernels::Factor;
use kernels::Vectors;
use parts::Cut;
pub(super) use picked::add_picked;
pub(super) use ready::Ready;
pub(super) use shifted::multiply_shifted;
use tile::{Place, Target};
pub(super) use triangles::multiply_triangles;
use vectors::Members;

use crate::RunError;
use crate::number::Number;
use crate::pool::{Shared, Team, share};

/// A matrix in memory: the elements from the first one on, and the steps from one row and from one
/// column to the next.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<T: Copy> Matrix<'_, T> {
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> T {
        self.elements[i * self.row + j * self.column]
    }

    fn skip(self, elements: usize) -> Self {
        Matrix {
            elements: &self.elements[elements..],
            ..self
        }
    }

    fn transposed(self) -> Self {
        Matrix {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    fn place(&self) -> Place<T> {
        Place {
            start: self.elements.as_ptr(),
            row: self.row,
            column: self.column,
        }
    }
}

/// Whether a matrix of this many rows and columns, both above 0, with these steps is inside so many
/// elements.
fn holds(len: usize, [rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> bool {
    let down = (rows - 1).checked_mul(row);
    let last = down.and_then(|r| (columns - 1).checked_mul(column)?.checked_add(r));
    last.is_some_and(|last| last < len)
}

/// How a product goes.
#[derive(Clone, Copy)]
enum Way {
    /// The result has one column, or one row.
    Column,
    Row,
    Tiles(Blocks),
}

fn way<T>(sizes: [usize; 3], a: [usize; 2], b: [usize; 2]) -> Way {
    let [m, n, _] = sizes;
    if n == 1 {
        Way::Column
    } else if m == 1 {
        Way::Row
    } else {
        Way::Tiles(Blocks::new(sizes, a, b, size_of::<T>()))
    }
}

/// Elements of working memory that a product wants, given the steps of rows and columns of both
/// matrices.
pub(super) fn room<T>(sizes: [usize; 3], a: [usize; 2], b: [usize; 2]) -> usize {
    match way::<T>(sizes, a, b) {
        Way::Tiles(blocks) => blocks.room(sizes, size_of::<T>()).iter().sum(),
        // A vector whose elements do not stand side by side is copied.
        Way::Column if b[0] != 1 => sizes[2],
        Way::Row if a[1] != 1 => sizes[2],
        Way::Column | Way::Row => 0,
    }
}

/// What a product works with: the caller's memory, which has [`room`] for it, and a team whose other
/// threads have as much each.
pub(super) struct Means<'a, T> {
    pub(super) scratch: &'a mut [T],
    pub(super) team: &'a Team,
}

/// Products of several pairs of matrices: how many, and the steps from one to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) members: usize,
    pub(super) a: usize,
    pub(super) b: usize,
    /// At least the elements of a result.
    pub(super) out: usize,
}

impl Batch {
    /// One product.
    pub(super) const ONE: Batch = Batch {
        members: 1,
        a: 0,
        b: 0,
        out: 0,
    };
}

/// out[i, j] = sum over l of a[i, l] * b[l, j] for `m` rows and `n` columns, `k` terms each, for every
/// member of a batch; `a`, `b` and `out` begin with the first one. Rows of the result are `step` elements
/// apart and contiguous in themselves.
///
/// # Errors
/// A panic on another thread.
pub(super) fn multiply_all<T: Number>(
    sizes: [usize; 3],
    batch: Batch,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    step: usize,
    means: Means<'_, T>,
) -> Result<(), RunError> {
    let out = Out {
        start: out.as_mut_ptr(),
        len: out.len(),
        step,
    };
    // SAFETY: the result is borrowed.
    unsafe { multiply_at(sizes, batch, a, b, out, means) }
}

/// Where a result stands: so many elements, of which rows that are `step` apart are written. It is no
/// slice, since others may at the same time write elements between the rows.
#[derive(Clone, Copy)]
pub(super) struct Out<T> {
    pub(super) start: *mut T,
    pub(super) len: usize,
    pub(super) step: usize,
}

/// [`multiply_all`] for a result that is no slice.
///
/// # Errors
/// A panic on another thread.
///
/// # Safety
/// The elements of the rows of the result can be read and written, and nobody else does so meanwhile.
pub(super) unsafe fn multiply_at<T: Number>(
    [m, n, k]: [usize; 3],
    batch: Batch,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: Out<T>,
    means: Means<'_, T>,
) -> Result<(), RunError> {
    let step = out.step;
    let Some(last) = batch.members.checked_sub(1) else {
        return Ok(());
    };
    if m == 0 || n == 0 {
        return Ok(());
    }
    expect_inside([m, n, k], batch, &a, &b, out, last);
    let sizes = [m, n, k];
    let Means { scratch, team } = means;
    match way::<T>(sizes, [a.row, a.column], [b.row, b.column]) {
        Way::Tiles(blocks) if k > 0 => {
            let [left, right] = blocks.room(sizes, size_of::<T>());
            assert!(
                left + right <= scratch.len(),
                "too little working memory for a product"
            );
            let product = Product {
                sizes,
                batch,
                a: a.place(),
                b: b.place(),
                out: out.start,
                step,
                blocks,
                left: scratch.as_mut_ptr(),
                right: scratch.as_mut_ptr().wrapping_add(left),
            };
            let team = team.with_room((left + right) * size_of::<T>());
            // SAFETY: matrices and working memory were just found large enough, that of other threads too;
            // the borrows and the caller say that nothing overlaps what is written.
            unsafe {
                match parts::cut(sizes, batch.members, &team) {
                    Cut::Whole => (T::kernels().multiply)(&product),
                    Cut::Members(parts) => return parts::by_members(&product, &team, parts),
                    Cut::Within => return parts::within(&product, None, &team),
                }
            }
            Ok(())
        }
        Way::Tiles(_) => {
            for member in 0..batch.members {
                for row in 0..m {
                    let at = out.start.wrapping_add(member * batch.out + row * step);
                    // SAFETY: the row was just found inside; nothing else uses it.
                    unsafe { std::slice::from_raw_parts_mut(at, n).fill(T::NOTHING) };
                }
            }
            Ok(())
        }
        way => {
            let turned = matches!(way, Way::Row);
            let room = room::<T>(sizes, [a.row, a.column], [b.row, b.column]);
            assert!(
                room <= scratch.len(),
                "too little working memory for a product"
            );
            let team = &team.with_room(room * size_of::<T>());
            // SAFETY: results of members are apart, and each thread has memory of its own.
            let shared = unsafe { Shared::new((out.start, scratch.as_mut_ptr())) };
            let one = |member: usize, thread: usize, inner: &Team| {
                let (start, own) = *shared.get();
                let (a, b) = (a.skip(member * batch.a), b.skip(member * batch.b));
                let target = Target {
                    start: start.wrapping_add(member * batch.out),
                    row: if turned { 1 } else { step },
                    add: false,
                };
                let scratch: *mut T = team.scratch(thread, own.cast()).cast();
                // SAFETY: every thread has as much working memory as the caller, of its own; the
                // matrices were just found inside their memory.
                unsafe {
                    let scratch = std::slice::from_raw_parts_mut(scratch, room);
                    let team = inner;
                    let means = Means { scratch, team };
                    match turned {
                        true => vectors::times_vector([n, k], b.transposed(), a, target, means),
                        false => vectors::times_vector([m, k], a, b.transposed(), target, means),
                    }
                }
            };
            let some = |mut members: Range<usize>, thread: usize| {
                let (start, _) = *shared.get();
                let (a, b) = (
                    a.skip(members.start * batch.a),
                    b.skip(members.start * batch.b),
                );
                let target = Target {
                    start: start.wrapping_add(members.start * batch.out),
                    row: if turned { 1 } else { step },
                    add: false,
                };
                let (matrix, vector, rows, steps) = match turned {
                    true => (b.transposed(), a, n, [batch.b, batch.a]),
                    false => (a, b.transposed(), m, [batch.a, batch.b]),
                };
                let all = Members {
                    count: members.len(),
                    a: steps[0],
                    x: steps[1],
                    out: batch.out,
                };
                // SAFETY: as above.
                match unsafe { vectors::times_vectors([rows, k], all, matrix, vector, target) } {
                    true => Ok(()),
                    false => members.try_for_each(|member| one(member, thread, &Team::ALONE)),
                }
            };
            match parts::cut_vectors::<T>(sizes, batch.members, team) {
                Cut::Within => (0..batch.members).try_for_each(|member| one(member, 0, team)),
                Cut::Whole => some(0..batch.members, 0),
                Cut::Members(parts) => {
                    let work = parts::work_of_vectors::<T>(sizes, batch.members);
                    team.each(work, parts, |part, thread| {
                        some(share(batch.members, part, parts), thread)
                    })
                }
            }
        }
    }
}

/// Everything else reads and writes through pointers, so this is where bounds are checked. There are rows and
/// columns, and so many members behind the first.
#[inline(always)]
fn expect_inside<T>(
    [m, n, k]: [usize; 3],
    batch: Batch,
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    out: Out<T>,
    last: usize,
) {
    let inside = |len: usize, by: usize, sizes: [usize; 2], steps: [usize; 2]| {
        let first = by.checked_mul(last)?;
        holds(len.checked_sub(first)?, sizes, steps).then_some(())
    };
    let apart = out.step >= n || m == 1;
    let whole = inside(out.len, batch.out, [m, n], [out.step, 1]).is_some()
        && (k == 0
            || inside(a.elements.len(), batch.a, [m, k], [a.row, a.column]).is_some()
                && inside(b.elements.len(), batch.b, [k, n], [b.row, b.column]).is_some());
    assert!(
        whole && apart,
        "a product of matrices that are not inside their memory"
    );
}

/// A product of matrices in memory that has been checked.
pub(crate) struct Product<T> {
    sizes: [usize; 3],
    batch: Batch,
    a: Place<T>,
    b: Place<T>,
    out: *mut T,
    step: usize,
    blocks: Blocks,
    left: *mut T,
    right: *mut T,
}

#[cfg(test)]
mod tests;
