//! A product block by block, and a block tile by tile.

use super::blocks::{Blocks, ROWS, TERMS, WIDTH};
use super::tile::{PANEL, Place, Target, tile, wide, width_of_few};
use super::vector::Vector;
use super::{Product, outer, pack};

/// # Safety
/// The machine has what `V` needs, and the product's memory is as [`super::multiply_at`] checked.
#[inline(always)]
pub(super) unsafe fn drive<V: Vector>(product: &Product<V::Element>) {
    let ([m, n, k], blocks, batch) = (product.sizes, product.blocks, product.batch);
    let small = m <= ROWS && n <= blocks.columns && k <= TERMS && !blocks.left && !blocks.right;
    for member in 0..batch.members {
        let a = product.a.skip(member * batch.a);
        let b = product.b.skip(member * batch.b);
        let out = Target {
            start: product.out.wrapping_add(member * batch.out),
            row: product.step,
            add: false,
        };
        // SAFETY: all members are inside the memory of their operands.
        unsafe {
            if small {
                block::<V>([m, n, k], blocks, a, b, out);
            } else {
                in_blocks::<V>(product, a, b, out);
            }
        }
    }
}

/// # Safety
/// As for [`drive`], for the matrices of one member of the batch.
#[inline(always)]
unsafe fn in_blocks<V: Vector>(
    product: &Product<V::Element>,
    left: Place<V::Element>,
    right: Place<V::Element>,
    result: Target<V::Element>,
) {
    let ([m, n, k], mut blocks) = (product.sizes, product.blocks);
    // Not `step_by`, which divides: small products are over by then.
    let mut j = 0;
    while j < n {
        let columns = blocks.columns.min(n - j);
        let mut l = 0;
        while l < k {
            let terms = TERMS.min(k - l);
            blocks.terms = [terms; 2];
            let mut b = right.from(l, j);
            if blocks.right {
                // SAFETY: the working memory has room for a block.
                unsafe { pack::right::<V::Packing>(terms, columns, b, product.right) };
                b = Place {
                    start: product.right,
                    row: WIDTH / size_of::<V::Element>(),
                    column: terms,
                };
            }
            let mut i = 0;
            while i < m {
                let rows = ROWS.min(m - i);
                let mut a = left.from(i, l);
                if blocks.left {
                    // SAFETY: as above.
                    unsafe { pack::left::<V::Packing>([rows, terms], true, a, product.left) };
                    a = Place {
                        start: product.left,
                        row: 1,
                        column: PANEL,
                    };
                }
                let out = Target {
                    add: l > 0,
                    ..result.from(i, j)
                };
                // SAFETY: blocks are inside the matrices.
                unsafe { block::<V>([rows, columns, terms], blocks, a, b, out) };
                i += ROWS;
            }
            l += TERMS;
        }
        j += blocks.columns;
    }
}

/// The product of a block of each matrix. A packed right block has as `column` the terms of its panels.
///
/// # Safety
/// That of [`tile()`] for all tiles.
#[inline(always)]
pub(super) unsafe fn block<V: Vector>(
    [rows, columns, terms]: [usize; 3],
    blocks: Blocks,
    a: Place<V::Element>,
    b: Place<V::Element>,
    out: Target<V::Element>,
) {
    if terms == 1 && !blocks.left && !blocks.right && !out.add {
        // SAFETY: the blocks are inside the matrices; rows of the right one stand in a straight line.
        return unsafe { outer::outer::<V>([rows, columns], a, b.start, out) };
    }
    let width = 2 * V::LANES;
    let panel = WIDTH / size_of::<V::Element>();
    // The vectors of a tile stand side by side, unless each is in a panel of its own.
    let apart = match blocks.right && V::LANES == panel {
        true => panel * blocks.terms[1],
        false => V::LANES,
    };
    let mut j = 0;
    // Two sums for each element of a tile of complex numbers would not fit the registers.
    if rows <= 3 && V::ROWS >= 6 && !blocks.right {
        let width = width_of_few(rows) * V::LANES;
        while columns - j >= width {
            // SAFETY: these rows and columns are inside the blocks.
            unsafe { wide::<V, _>(rows, terms, a, b.from(0, j).rows(apart), out.from(0, j)) };
            j += width;
        }
    }
    while j < columns {
        let some = width.min(columns - j);
        let b = b.from(0, j).rows(apart);
        let mut i = 0;
        while i < rows {
            // A packed left block is cut at its panels, of which `ROWS` is a part.
            let few = V::ROWS.min(rows - i);
            let a = if blocks.left {
                Place {
                    start: (a.start).wrapping_add(i / PANEL * PANEL * blocks.terms[0] + i % PANEL),
                    ..a
                }
            } else {
                a.from(i, 0)
            };
            // SAFETY: these rows and columns are inside the blocks.
            unsafe { tile::<V, _>([few, some, terms], a, b, out.from(i, j)) };
            i += few;
        }
        j += width;
    }
}
