//! What of a region belongs to which row.

use crate::lane::LaneProgram;

/// How many of a region's loops are those over the rows, and how many of its places each row has;
/// `None` where its places are not those of so many rows.
pub(super) fn row_of(region: &LaneProgram, rows: usize) -> Option<(usize, usize)> {
    let elements = region.elements();
    if rows == 0 || elements == 0 || !elements.is_multiple_of(rows) {
        return None;
    }
    if elements == rows {
        return Some((region.dims.len(), 1));
    }
    let mut product = 1_usize;
    for (k, n) in region.dims.iter().enumerate() {
        if product == rows {
            return Some((k, elements / rows));
        }
        product = product.checked_mul(*n)?;
    }
    None
}

/// Whether a region, for its places of each row, reads nothing but that row of an array with `row`
/// elements in each.
pub(super) fn row_of_input(region: &LaneProgram, rows: usize, input: usize, row: usize) -> bool {
    let reads = || -> Option<bool> {
        let (loops, _) = row_of(region, rows)?;
        let input = region.inputs.get(input)?;
        let mut step = row;
        for (n, stride) in region.dims[..loops].iter().zip(&input.strides).rev() {
            if *n > 1 && *stride != step {
                return Some(false);
            }
            step = step.checked_mul(*n)?;
        }
        let mut dims = region.dims.clone();
        if let Some(pad) = input.pad {
            if loops == dims.len() {
                return Some(false);
            }
            *dims.last_mut()? = pad.length;
        }
        let last = input.index.map_or(Some(0), |index| {
            index.step.checked_mul(index.length.checked_sub(1)?)
        });
        let mut last = input.start.checked_add(last?)?;
        for (n, stride) in dims.iter().zip(&input.strides).skip(loops) {
            last = last.checked_add(n.checked_sub(1)?.checked_mul(*stride)?)?;
        }
        Some(last < row)
    };
    reads() == Some(true)
}

/// Whether a result joins elements of several rows.
pub(super) fn joins_rows(region: &LaneProgram, rows: usize, output: usize) -> bool {
    let Some(output) = region.outputs.get(output) else {
        return true;
    };
    match (output.fold, row_of(region, rows)) {
        (None, _) => false,
        (Some((_, kept)), Some((loops, _))) => output.leading || kept < loops,
        (Some(_), None) => true,
    }
}
