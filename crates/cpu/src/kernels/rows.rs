//! `argmax` and `argmin`.

use super::{Site, around};
use crate::memory::{Run, run1};
use crate::number::{Ordered, by_dtype};

pub(super) fn argmax(axis: usize, site: &Site<'_>) -> Option<Run> {
    let x = site.args.first()?;
    by_dtype!(number x.ty.dtype, T => extreme::<T>(axis, site, |x, best| x.above(best)), else None)
}

pub(super) fn argmin(axis: usize, site: &Site<'_>) -> Option<Run> {
    let x = site.args.first()?;
    by_dtype!(number x.ty.dtype, T => extreme::<T>(axis, site, |x, best| best.above(x)), else None)
}

/// The first element that no other beats; a NaN beats every number.
#[inline(always)]
fn extreme<T: Ordered>(
    axis: usize,
    site: &Site<'_>,
    wins: impl Fn(T, T) -> bool + Send + Sync + 'static,
) -> Option<Run> {
    let [x] = site.args else { return None };
    let [_, n, inner] = around(&x.ty, axis);
    let wins = move |x: T, best: T| wins(x, best) || (x.is_nan() && !best.is_nan());
    Some(run1(
        x.slot,
        site.out.slot,
        move |x: &[T], out: &mut [i64]| {
            let groups = x.chunks_exact((n * inner).max(1));
            for (x, out) in groups.zip(out.chunks_exact_mut(inner.max(1))) {
                if let ([out], Some((first, rest))) = (&mut *out, x.split_first()) {
                    let (mut best, mut place) = (*first, 0);
                    for (i, x) in (1..).zip(rest) {
                        if wins(*x, best) {
                            (best, place) = (*x, i);
                        }
                    }
                    *out = place;
                    continue;
                }
                out.fill(0);
                for (i, row) in x.chunks_exact(inner).enumerate().skip(1) {
                    for (column, (candidate, place)) in row.iter().zip(&mut *out).enumerate() {
                        if wins(*candidate, x[*place as usize * inner + column]) {
                            *place = i as i64;
                        }
                    }
                }
            }
            Ok(())
        },
    ))
}
