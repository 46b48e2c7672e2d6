//! `argsort`, `searchsorted`, and the places of running maxima and minima.

use cotangent_graph::TensorType;
use cotangent_graph::ops::{ArgSort, SearchSorted};

use super::{Site, around, resized};
use crate::memory::{Run, run1, run1_with, run2};
use crate::number::{Ordered, by_dtype};

/// One line of keys with their positions.
pub(super) fn scratch(op: &ArgSort, x: &TensorType) -> usize {
    x.dim(op.axis).saturating_mul(size_of::<u128>())
}

/// Each element becomes its rank with its position below: one number, so that equal elements keep
/// their order in any way of sorting, and none is compared through a pointer.
pub(super) fn argsort(op: &ArgSort, site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let [_, n, inner] = around(&x.ty, op.axis);
    let (count, flip) = (op.count, if op.descending { u64::MAX } else { 0 });
    let keys = resized(site.scratch, size_of::<u128>());
    by_dtype!(number x.ty.dtype, T => Some(run1_with(x.slot, site.out.slot, keys, move |x: &[T], out: &mut [i64], keys: &mut [u128]| {
        if out.is_empty() {
            return Ok(());
        }
        for (x, out) in x.chunks_exact(n * inner).zip(out.chunks_exact_mut(count * inner)) {
            for column in 0..inner {
                let line = x[column..].iter().step_by(inner);
                for (i, (key, x)) in keys.iter_mut().zip(line).enumerate() {
                    *key = u128::from(x.rank() ^ flip) << 64 | i as u128;
                }
                let keys = &mut keys[..n];
                if count < n {
                    keys.select_nth_unstable(count);
                }
                keys[..count].sort_unstable();
                let places = out[column..].iter_mut().step_by(inner);
                for (place, key) in places.zip(&keys[..count]) {
                    *place = *key as u64 as i64;
                }
            }
        }
        Ok(())
    })), else None)
}

pub(super) fn searchsorted(op: &SearchSorted, site: &Site<'_>) -> Option<Run> {
    let [sorted, values] = site.args else {
        return None;
    };
    let (axes, right) = (sorted.ty.rank().checked_sub(1)?, op.right);
    let n = sorted.ty.dim(axes);
    let own: usize = values.ty.shape.get(axes..)?.iter().product();
    by_dtype!(number sorted.ty.dtype, T => Some(run2(sorted.slot, values.slot, site.out.slot, site.scratch, move |sorted: &[T], values: &[T], out: &mut [i64], _: &mut [u8]| {
        let members = values.chunks_exact(own.max(1)).zip(out.chunks_exact_mut(own.max(1)));
        for (member, (values, out)) in members.enumerate() {
            let line = &sorted[member * n..(member + 1) * n];
            for (value, out) in values.iter().zip(out) {
                let value = value.rank();
                *out = line.partition_point(|x| x.rank() < value || (right && x.rank() == value)) as i64;
            }
        }
        Ok(())
    })), else None)
}

pub(super) fn cum_argmax(axis: usize, last: bool, site: &Site<'_>) -> Option<Run> {
    let x = site.args.first()?;
    by_dtype!(number x.ty.dtype, T => running::<T>(axis, last, site, |x, y| x.above(y)), else None)
}

pub(super) fn cum_argmin(axis: usize, last: bool, site: &Site<'_>) -> Option<Run> {
    let x = site.args.first()?;
    by_dtype!(number x.ty.dtype, T => running::<T>(axis, last, site, |x, y| y.above(x)), else None)
}

/// The place of the element that none before it beats; a NaN beats every number.
#[inline(always)]
fn running<T: Ordered>(
    axis: usize,
    last: bool,
    site: &Site<'_>,
    beats: impl Fn(T, T) -> bool + Send + Sync + 'static,
) -> Option<Run> {
    let [x] = site.args else { return None };
    let [_, n, inner] = around(&x.ty, axis);
    let beats = move |x: T, y: T| beats(x, y) || (x.is_nan() && !y.is_nan());
    Some(run1(
        x.slot,
        site.out.slot,
        move |x: &[T], out: &mut [i64]| {
            let length = (n * inner).max(1);
            for (x, out) in x.chunks_exact(length).zip(out.chunks_exact_mut(length)) {
                out[..inner].fill(0);
                for at in inner..length {
                    let before = out[at - inner];
                    let best = x[before as usize * inner + at % inner];
                    let wins = if last {
                        !beats(best, x[at])
                    } else {
                        beats(x[at], best)
                    };
                    out[at] = if wins { (at / inner) as i64 } else { before };
                }
            }
            Ok(())
        },
    ))
}
