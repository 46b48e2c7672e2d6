//! Sorting, running extremes, medians and quantiles.

use cotangent::{DType, Interpolation, Tensor};

use super::Table;
use super::masked::fill;
use super::reduce::converted;
use super::tools::{Dims, dim, integers, one};
use crate::args::{Args, Node, Outs, Res};

pub const TABLE: Table = &[
    (&["sort"], sort),
    (&["argsort"], |a| Ok(sort(a)?.into_iter().skip(1).collect())),
    (&["msort"], |a| {
        let x = a.x()?;
        one(if x.rank() == 0 { x } else { x.sort(0) })
    }),
    (&["topk"], top_k),
    (&["kthvalue"], |a| {
        let (x, k) = (a.x()?, a.size(1, "k")?);
        let keep = a.bool_or(3, "keepdim", false)?;
        let d = a.int_or(2, "dim", -1)?;
        along(&x, d, keep, |x, d| x.kth_value(k, d))
    }),
    (&["mode"], |a| {
        let x = a.x()?;
        let keep = a.bool_or(2, "keepdim", false)?;
        along(&x, a.int_or(1, "dim", -1)?, keep, |x, d| x.mode(d))
    }),
    (&["cummax"], |a| running(a, |x, d| x.cum_argmax_last(d))),
    (&["cummin"], |a| running(a, |x, d| x.cum_argmin_last(d))),
    (&["median"], |a| median(a, false)),
    (&["nanmedian"], |a| median(a, true)),
    (&["masked.median"], |a| {
        let x = converted(a)?;
        // What the mask hides is left out as NaN is.
        let x = fill(a, &x, f64::NAN)?;
        let keep = a.bool_or(2, "keepdim", false)?;
        let d = a.int_or(1, "dim", -1)?;
        let found = along(&x, d, keep, |x, d| lower_median(x, d, true))?;
        Ok(found.into_iter().take(1).collect())
    }),
    (&["quantile"], |a| quantile(a, false)),
    (&["nanquantile"], |a| quantile(a, true)),
    (&["searchsorted"], |a| {
        let (sorted, values) = (a.x()?, a.tensor(1, "input")?);
        let right = a.bool_or(usize::MAX, "right", false)?
            || a.text_or(usize::MAX, "side", "left")? == "right";
        let side = match right {
            true => cotangent::Side::Right,
            false => cotangent::Side::Left,
        };
        let sorted = match a.opt_tensor(usize::MAX, "sorter")? {
            Some(places) => sorted.take_along_axis(places, -1),
            None => sorted,
        };
        let places = sorted.searchsorted(values, side);
        one(match a.bool_or(usize::MAX, "out_int32", false)? {
            true => places.convert(DType::I32),
            false => places,
        })
    }),
];

/// `sort(x, dim, descending)` and, by name, `stable`, which the library always is.
fn sort(a: &Args) -> Outs {
    let x = a.x()?;
    // Positional arguments may be `stable, dim, descending`, with `stable` by name beside them.
    let d = dim(a.int_or(1, "dim", -1)?, x.rank())?;
    let descending = a.bool_or(2, "descending", false)?;
    if x.rank() == 0 {
        return Ok(vec![x, integers(&[], vec![0])?]);
    }
    let places = match descending {
        true => x.argsort_descending(d),
        false => x.argsort(d),
    };
    Ok(vec![x.take_along_axis(&places, d), places])
}

fn top_k(a: &Args) -> Outs {
    let x = a.x()?;
    let k = a.size(1, "k")?;
    let d = dim(a.int_or(2, "dim", -1)?, x.rank())?;
    if x.rank() == 0 {
        // A scalar counts as one element.
        let (x, places) = x.reshape([1]).top_k(k, 0);
        return Ok(match k {
            1 => vec![x.squeeze(0), places.squeeze(0)],
            _ => vec![x, places],
        });
    }
    let (values, places) = match a.bool_or(3, "largest", true)? {
        true => x.top_k(k, d),
        false => x.bottom_k(k, d),
    };
    Ok(vec![values, places])
}

/// A value and its position along a dimension that vanishes; a scalar is its own.
fn along(
    x: &Tensor,
    d: i64,
    keep: bool,
    pick: impl Fn(&Tensor, usize) -> (Tensor, Tensor),
) -> Outs {
    let d = dim(d, x.rank())?;
    if x.rank() == 0 {
        return Ok(vec![x.clone(), integers(&[], vec![0])?]);
    }
    let (value, place) = pick(x, d);
    Ok(match keep {
        true => vec![value.expand_dims(d), place.expand_dims(d)],
        false => vec![value, place],
    })
}

/// The extreme up to each position, and where it stands; of several the last.
fn running(a: &Args, places: fn(&Tensor, usize) -> Tensor) -> Outs {
    let x = a.x()?;
    let d = dim(a.int(1, "dim")?, x.rank())?;
    if x.rank() == 0 {
        return Ok(vec![x, integers(&[], vec![0])?]);
    }
    let places = places(&x, d);
    Ok(vec![x.take_along_axis(&places, d), places])
}

/// The lower of two elements in the middle: of all, or along a dimension with its position.
fn median(a: &Args, skip_nan: bool) -> Outs {
    let x = a.x()?;
    if !a.has(1, "dim") {
        let flat = x.ravel();
        return one(lower_median(&flat, 0, skip_nan).0);
    }
    let keep = a.bool_or(2, "keepdim", false)?;
    along(&x, a.int(1, "dim")?, keep, |x, d| {
        lower_median(x, d, skip_nan)
    })
}

fn lower_median(x: &Tensor, d: usize, skip_nan: bool) -> (Tensor, Tensor) {
    let places = x.argsort(d);
    let nan = x.is_nan();
    let numbers = nan
        .logical_not()
        .convert(DType::I64)
        .sum(cotangent::keep(d));
    let n = i64::try_from(x.dim(d)).unwrap_or(i64::MAX);
    let middle = |count: Tensor| ((count - 1) >> 1).maximum(0);
    let at = match skip_nan {
        true => middle(numbers),
        // The first NaN stands behind the numbers.
        false => numbers
            .less(n)
            .select(&numbers, middle(numbers.full_like(n))),
    };
    let place = places.take_along_axis(&at, d);
    (x.take_along_axis(&place, d).squeeze(d), place.squeeze(d))
}

fn quantile(a: &Args, skip_nan: bool) -> Outs {
    let x = a.x()?;
    let q = a.real(1, "q")?;
    let keep = a.bool_or(3, "keepdim", false)?;
    let dims = match a.has(2, "dim") {
        true => Dims::new(&[a.int(2, "dim")?], x.rank(), keep)?,
        false => Dims::new(&[], x.rank(), keep)?,
    };
    let how = interpolation(a)?;
    one(match skip_nan {
        true => x.nanquantile(q, &dims, how),
        false => x.quantile(q, &dims, how),
    })
}

fn interpolation(a: &Args) -> Res<Interpolation> {
    Ok(match a.node(usize::MAX, "interpolation") {
        Node::Null => Interpolation::Linear,
        Node::Text(how) => match how.as_str() {
            "linear" => Interpolation::Linear,
            "lower" => Interpolation::Lower,
            "higher" => Interpolation::Higher,
            "midpoint" => Interpolation::Midpoint,
            "nearest" => Interpolation::Nearest,
            other => return Err(format!("unknown interpolation {other}").into()),
        },
        other => return Err(format!("unknown interpolation {other:?}").into()),
    })
}
