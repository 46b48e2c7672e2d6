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
    let mut j = 0;
    // SAFETY: the caller's promise for all that is read and written.
    unsafe {
        while columns - j >= TOGETHER * V::LANES {
            let at = |k: usize| j + k * V::LANES;
            let vectors: [V; TOGETHER] = std::array::from_fn(|k| V::load(row.wrapping_add(at(k))));
            for i in 0..rows {
                let to = out.from(i, 0).start;
                for (k, vector) in vectors.iter().enumerate() {
                    product(column, i, *vector).store(to.wrapping_add(at(k)));
                }
            }
            j += TOGETHER * V::LANES;
        }
        while j < columns {
            let some = V::LANES.min(columns - j);
            let vector = V::load_some(row.wrapping_add(j), some);
            for i in 0..rows {
                product(column, i, vector).store_some(out.from(i, j).start, some);
            }
            j += some;
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
