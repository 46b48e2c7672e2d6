//! Products of one column with one row: every element of the result is one product, so writing is what counts.

use super::tile::{Place, Target};
use super::vector::Vector;

/// Vectors of the row that stay in registers while the column goes by.
const TOGETHER: usize = 4;

/// Writes the product of a column and a row. The bits are those of a sum of one term.
///
/// # Safety
/// The column has `rows` elements and the row `columns`, side by side; as many rows and columns of the result
/// can be written, and nothing else uses them.
#[inline(always)]
pub(super) unsafe fn outer<V: Vector>(
    [rows, columns]: [usize; 2],
    column: Place<V::Element>,
    row: *const V::Element,
    out: Target<V::Element>,
) {
    let mut head = first::<V>(columns, &out);
    let mut j = 0;
    while j < columns {
        let whole = ((columns - j - head) / V::LANES).min(TOGETHER);
        let left = columns - j - head - whole * V::LANES;
        let ends = [head, if left < V::LANES { left } else { 0 }];
        // SAFETY: the caller's promise; the strip ends before the last column or there.
        unsafe {
            match whole {
                0 => strip::<V, 0>(rows, ends, column, row, out, j),
                1 => strip::<V, 1>(rows, ends, column, row, out, j),
                2 => strip::<V, 2>(rows, ends, column, row, out, j),
                3 => strip::<V, 3>(rows, ends, column, row, out, j),
                _ => strip::<V, TOGETHER>(rows, ends, column, row, out, j),
            }
        }
        j += ends[0] + whole * V::LANES + ends[1];
        head = 0;
    }
}

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// The columns before those from which on vectors stand at whole lines, where that is so in every row: what
/// crosses two lines is written twice. Of vectors of 32 bytes half cross none, and parts of them take longer.
#[inline(always)]
fn first<V: Vector>(columns: usize, out: &Target<V::Element>) -> usize {
    let size = size_of::<V::Element>();
    let bytes = V::LANES * size;
    let behind = out.start as usize % bytes;
    let rows = out.from(1, 0).start as usize - out.start as usize;
    match bytes == LINE && behind > 0 && behind.is_multiple_of(size) && rows.is_multiple_of(bytes) {
        true => ((bytes - behind) / size).min(columns),
        false => 0,
    }
}

/// Some columns of all rows, from column `j` on: a part of a vector, `N` vectors and another part.
///
/// # Safety
/// As [`outer`], for these columns.
#[inline(always)]
unsafe fn strip<V: Vector, const N: usize>(
    rows: usize,
    [head, tail]: [usize; 2],
    column: Place<V::Element>,
    row: *const V::Element,
    out: Target<V::Element>,
    j: usize,
) {
    let at = |k: usize| head + k * V::LANES;
    let from = row.wrapping_add(j);
    // SAFETY: the caller's promise.
    unsafe {
        let vectors: [V; N] = std::array::from_fn(|k| V::load(from.wrapping_add(at(k))));
        let [first, last] = [(0, head), (at(N), tail)]
            .map(|(at, count)| V::load_some(from.wrapping_add(at), count));
        for i in 0..rows {
            let to = out.from(i, j).start;
            if head > 0 {
                product(column, i, first).store_some(to, head);
            }
            for (k, vector) in vectors.iter().enumerate() {
                product(column, i, *vector).store(to.wrapping_add(at(k)));
            }
            if tail > 0 {
                product(column, i, last).store_some(to.wrapping_add(at(N)), tail);
            }
        }
    }
}

/// # Safety
/// The column has that row.
#[inline(always)]
unsafe fn product<V: Vector>(column: Place<V::Element>, row: usize, vector: V) -> V {
    // SAFETY: the caller's promise.
    V::finish(unsafe { V::add_times(V::nothing(), column.from(row, 0).start, vector) })
}
