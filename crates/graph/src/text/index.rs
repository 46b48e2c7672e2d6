//! Indexing and slicing as people write it: `x[1, 2:5, ::-1, ..., i]`.

use super::ast::{ExprKind, Number, Subscript};
use super::lower::Lowerer;
use super::{At, ParseError};
use crate::ops::{Gather, Reverse, Slice};
use crate::{Op, Var};
use cotangent_array::Scalar;

/// The elements of `x` that the subscripts choose, axis by axis.
pub(super) fn lower(
    l: &mut Lowerer<'_>,
    at: At,
    mut x: Var,
    subscripts: &[Subscript],
) -> Result<Var, ParseError> {
    let rank = l.builder.rank(x);
    let named = subscripts
        .iter()
        .filter(|s| !matches!(s, Subscript::Ellipsis))
        .count();
    let dots = subscripts.len() - named;
    if dots > 1 || named > rank {
        let message = format!(
            "expected at most {rank} indices and one `...`, found {}",
            subscripts.len()
        );
        return Err(ParseError::new(at, message));
    }
    let mut axis = 0;
    let mut gathered = false;
    for s in subscripts {
        match s {
            Subscript::Ellipsis => axis += rank - named,
            Subscript::Range {
                start,
                limit,
                step,
                at,
            } => {
                x = range(l, *at, x, axis, *start, *limit, step.unwrap_or(1))?;
                axis += 1;
            }
            Subscript::At(e) => {
                if let ExprKind::Literal(Number {
                    value: Scalar::I64(i),
                    ..
                }) = e.kind
                {
                    x = element(l, e.at, x, axis, i)?;
                    continue;
                }
                let index = l.value(e, None)?;
                let index = l.variable(index, e.at, None)?;
                if gathered {
                    return Err(ParseError::new(
                        e.at,
                        "expected at most one array among the indices",
                    ));
                }
                gathered = true;
                let added = l.builder.rank(index);
                x = l.push(e.at, Op::from(Gather { axis, batch: 0 }), &[x, index])?;
                axis += added;
            }
        }
    }
    Ok(x)
}

fn element(l: &mut Lowerer<'_>, at: At, x: Var, axis: usize, i: i64) -> Result<Var, ParseError> {
    let mut dims = l.builder.shape(x).dims().to_vec();
    let n = dims.get(axis).copied().unwrap_or(0);
    let from_start = if i < 0 { i.saturating_add(n as i64) } else { i };
    let Some(i) = usize::try_from(from_start).ok().filter(|i| *i < n) else {
        return Err(ParseError::new(
            at,
            format!("index {i} is out of range for an axis of length {n}"),
        ));
    };
    let one = l.builder.slice_axis(x, axis, i, i + 1);
    dims.remove(axis);
    let out = l.builder.reshape(one, dims);
    l.checked(at, out)
}

fn range(
    l: &mut Lowerer<'_>,
    at: At,
    x: Var,
    axis: usize,
    start: Option<i64>,
    limit: Option<i64>,
    step: i64,
) -> Result<Var, ParseError> {
    if step == 0 {
        return Err(ParseError::new(at, "expected a step that is not 0"));
    }
    let shape = l.builder.shape(x);
    let n = shape.dims().get(axis).copied().unwrap_or(0) as i64;
    // Python's rules: negative bounds count from the end, bounds beyond the ends are cut.
    let clip = |i: i64, low: i64, high: i64| {
        let i = if i < 0 { i.saturating_add(n) } else { i };
        i.clamp(low, high)
    };
    let (first, count) = if step > 0 {
        let first = start.map_or(0, |i| clip(i, 0, n));
        let end = limit.map_or(n, |i| clip(i, 0, n));
        (first, (end - first).max(0).div_ceil_by(step))
    } else {
        let first = start.map_or(n - 1, |i| clip(i, -1, n - 1));
        let end = limit.map_or(-1, |i| clip(i, -1, n - 1));
        (
            first,
            (first - end).max(0).div_ceil_by(step.saturating_neg()),
        )
    };
    if step == 1 && first == 0 && count == n {
        return Ok(x);
    }
    let size = step.unsigned_abs() as usize;
    // A backward range is the forward range over the same elements, reversed.
    let low = if step > 0 {
        first
    } else {
        first - (count - 1).max(0).saturating_mul(size as i64)
    };
    let high = if count == 0 {
        low
    } else {
        low + (count - 1) * size as i64 + 1
    };
    let (low, high) = if count == 0 { (0, 0) } else { (low, high) };
    let rank = shape.rank();
    let (mut starts, mut limits, mut strides) =
        (vec![0; rank], shape.dims().to_vec(), vec![1; rank]);
    starts[axis] = low as usize;
    limits[axis] = high as usize;
    strides[axis] = if count <= 1 { 1 } else { size };
    let slice = Slice {
        start: starts,
        limit: limits,
        stride: strides,
    };
    let out = l.push(at, slice.into(), &[x])?;
    if step > 0 || count <= 1 {
        return Ok(out);
    }
    l.push(at, Reverse { axes: vec![axis] }.into(), &[out])
}

trait DivCeil {
    fn div_ceil_by(self, by: i64) -> i64;
}

impl DivCeil for i64 {
    /// For numbers that are not negative.
    fn div_ceil_by(self, by: i64) -> i64 {
        self / by + i64::from(self % by != 0)
    }
}
