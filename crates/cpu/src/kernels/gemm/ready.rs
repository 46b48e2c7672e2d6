//! Products of which everything is known beforehand.
//!
//! A small product takes less time than finding out how it goes. Where nothing is copied, packed or divided, that
//! is done once.

use super::tile::{Place, Target};
use super::vectors::{self, Members};
use super::{Batch, Blocks, Product, Vectors, Way, way};
use crate::number::Number;

/// Products of matrices, in one call.
pub(in super::super) struct Ready<T: 'static> {
    /// Elements that the operands and the result have at least.
    least: [usize; 3],
    call: Call<T>,
}

enum Call<T: 'static> {
    /// With vectors that stand in straight lines.
    Vectors {
        kernel: Vectors<T>,
        /// Rows and terms.
        sizes: [usize; 2],
        members: Members,
        /// Whether the vector is the first operand.
        turned: bool,
        /// Steps from a row and from a column of the matrix to the next.
        steps: [usize; 2],
    },
    /// With matrices that are read where they stand.
    Tiles {
        kernel: unsafe fn(&Product<T>),
        sizes: [usize; 3],
        batch: Batch,
        a: [usize; 2],
        b: [usize; 2],
        blocks: Blocks,
    },
}

impl<T: Number> Ready<T> {
    /// The products of [`super::multiply_all`] with results in one piece, given the steps of rows and columns of
    /// both matrices; `None` where something is copied or packed, or where there is nothing to multiply.
    pub(in super::super) fn new(
        sizes: [usize; 3],
        batch: Batch,
        a: [usize; 2],
        b: [usize; 2],
    ) -> Option<Ready<T>> {
        let [m, n, k] = sizes;
        let last = batch.members.checked_sub(1)?;
        let least = |by: usize, sizes: [usize; 2], steps: [usize; 2]| {
            let down = sizes[0].checked_sub(1)?.checked_mul(steps[0])?;
            let right = sizes[1].checked_sub(1)?.checked_mul(steps[1])?;
            let first = by.checked_mul(last)?;
            first.checked_add(down)?.checked_add(right)?.checked_add(1)
        };
        let least = [
            least(batch.a, [m, k], a)?,
            least(batch.b, [k, n], b)?,
            least(batch.out, [m, n], [n, 1])?,
        ];
        let call = match way::<T>(sizes, a, b) {
            Way::Tiles(blocks) if blocks.left || blocks.right => return None,
            Way::Tiles(blocks) => Call::Tiles {
                kernel: T::kernels().multiply,
                sizes,
                batch,
                a,
                b,
                blocks,
            },
            way => {
                let turned = matches!(way, Way::Row);
                let (rows, steps, by, vector) = match turned {
                    true => (n, [b[1], b[0]], [batch.b, batch.a], a[1]),
                    false => (m, a, [batch.a, batch.b], b[0]),
                };
                if vector != 1 && k != 1 {
                    return None;
                }
                Call::Vectors {
                    kernel: vectors::kernel::<T>(k, steps, 1)?,
                    sizes: [rows, k],
                    members: Members {
                        count: batch.members,
                        a: by[0],
                        x: by[1],
                        out: batch.out,
                    },
                    turned,
                    steps,
                }
            }
        };
        Some(Ready { least, call })
    }

    pub(in super::super) fn run(&self, a: &[T], b: &[T], out: &mut [T]) {
        let [of_a, of_b, of_out] = self.least;
        assert!(
            of_a <= a.len() && of_b <= b.len() && of_out <= out.len(),
            "a product of matrices that are not inside their memory"
        );
        let place = |elements: &[T], [row, column]: [usize; 2]| Place {
            start: elements.as_ptr(),
            row,
            column,
        };
        let out = out.as_mut_ptr();
        match &self.call {
            Call::Vectors {
                kernel,
                sizes,
                members,
                turned,
                steps,
            } => {
                let (matrix, vector) = if *turned { (b, a) } else { (a, b) };
                let target = Target {
                    start: out,
                    row: 1,
                    add: false,
                };
                // SAFETY: all members were just found inside their memory, of which the result's is borrowed.
                unsafe {
                    kernel(
                        *sizes,
                        *members,
                        place(matrix, *steps),
                        vector.as_ptr(),
                        target,
                    )
                }
            }
            Call::Tiles {
                kernel,
                sizes,
                batch,
                a: of_a,
                b: of_b,
                blocks,
            } => {
                let product = Product {
                    sizes: *sizes,
                    batch: *batch,
                    a: place(a, *of_a),
                    b: place(b, *of_b),
                    out,
                    step: sizes[1],
                    blocks: *blocks,
                    left: std::ptr::null_mut(),
                    right: std::ptr::null_mut(),
                };
                // SAFETY: as above; nothing is packed, so no working memory is needed.
                unsafe { kernel(&product) }
            }
        }
    }
}
