//! Products with vectors of which everything is known beforehand.
//!
//! A small product takes less time than finding out how it goes, so where the vectors stand in straight lines,
//! nothing is copied and nothing divided, that is done once.

use super::tile::{Place, Target};
use super::vectors::{self, Members};
use super::{Batch, Vectors, holds};
use crate::number::Number;

/// Products of matrices with vectors, in one call.
pub(in super::super) struct Straight<T: 'static> {
    kernel: Vectors<T>,
    /// Rows and terms.
    sizes: [usize; 2],
    members: Members,
    /// Whether the vector is the first operand.
    turned: bool,
    /// Steps from a row and from a column of the matrix to the next, and from one element of a result to the next.
    steps: [usize; 2],
    apart: usize,
    /// Elements that the operands and the result have at least.
    least: [usize; 3],
}

impl<T: Number> Straight<T> {
    /// The products of [`super::multiply_all`] with results in one piece, given the steps of rows and columns of
    /// both matrices; `None` where there is no vector, or no kernel for it.
    pub(in super::super) fn new(
        [m, n, k]: [usize; 3],
        batch: Batch,
        a: [usize; 2],
        b: [usize; 2],
    ) -> Option<Straight<T>> {
        if (m != 1 && n != 1) || m == 0 || n == 0 || k == 0 {
            return None;
        }
        let turned = n != 1;
        let (rows, steps, vector, apart) = match turned {
            true => (n, [b[1], b[0]], a[1], 1),
            false => (m, a, b[0], n),
        };
        if vector != 1 && k != 1 {
            return None;
        }
        let kernel = vectors::kernel::<T>(k, steps, apart)?;
        let last = batch.members.checked_sub(1)?;
        let least = |by: usize, sizes: [usize; 2], steps: [usize; 2]| {
            let down = (sizes[0] - 1).checked_mul(steps[0])?;
            let right = (sizes[1] - 1).checked_mul(steps[1])?;
            let first = by.checked_mul(last)?;
            first.checked_add(down)?.checked_add(right)?.checked_add(1)
        };
        let least = [
            least(batch.a, [m, k], a)?,
            least(batch.b, [k, n], b)?,
            least(batch.out, [m, n], [n, 1])?,
        ];
        debug_assert!(holds(least[0], [m, k], a) && holds(least[1], [k, n], b));
        let (of_matrix, of_vector) = match turned {
            true => (batch.b, batch.a),
            false => (batch.a, batch.b),
        };
        Some(Straight {
            kernel,
            sizes: [rows, k],
            members: Members {
                count: batch.members,
                a: of_matrix,
                x: of_vector,
                out: batch.out,
            },
            turned,
            steps,
            apart,
            least,
        })
    }

    pub(in super::super) fn run(&self, a: &[T], b: &[T], out: &mut [T]) {
        let [of_a, of_b, of_out] = self.least;
        assert!(
            of_a <= a.len() && of_b <= b.len() && of_out <= out.len(),
            "a product of matrices that are not inside their memory"
        );
        let (matrix, vector) = if self.turned { (b, a) } else { (a, b) };
        let [row, column] = self.steps;
        let place = Place {
            start: matrix.as_ptr(),
            row,
            column,
        };
        let target = Target {
            start: out.as_mut_ptr(),
            row: self.apart,
            add: false,
        };
        // SAFETY: all members were just found inside their memory, of which the result's is borrowed for writing.
        unsafe { (self.kernel)(self.sizes, self.members, place, vector.as_ptr(), target) }
    }
}
