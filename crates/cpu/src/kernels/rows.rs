//! `argmax` and `argmin`.

use std::hint::select_unpredictable;

use super::{Site, around};
use crate::memory::{Run, run1};
use crate::number::{Ordered, by_dtype};

pub(super) fn argmax(axis: usize, site: &Site<'_>) -> Option<Run> {
    let x = site.args.first()?;
    by_dtype!(number x.ty.dtype, T => extreme::<T>(axis, site, T::rank, |x, best| x.above(best)), else None)
}

pub(super) fn argmin(axis: usize, site: &Site<'_>) -> Option<Run> {
    let x = site.args.first()?;
    by_dtype!(number x.ty.dtype, T => extreme::<T>(axis, site, depth, |x, best| best.above(x)), else None)
}

/// A whole number that grows as this one falls; a NaN is above all.
#[inline(always)]
fn depth<T: Ordered>(x: T) -> u64 {
    let depth = !x.rank();
    if x.is_nan() { u64::MAX } else { depth }
}

/// Groups that are looked through side by side: the comparisons of one wait for each other.
const TOGETHER: usize = 4;

/// In longer lines few elements are higher than all before, so that a branch is mostly right.
const LONG: usize = 128;

/// The first element of each group with the highest rank; a NaN is above every number. Of two numbers that
/// with the higher rank beats the other one.
///
/// Ranks are whole numbers, of which the machine takes one or another without a branch. In groups of any
/// numbers a branch would be guessed wrong several times.
#[inline(always)]
fn extreme<T: Ordered>(
    axis: usize,
    site: &Site<'_>,
    rank: impl Fn(T) -> u64 + Copy + Send + Sync + 'static,
    beats: impl Fn(T, T) -> bool + Copy + Send + Sync + 'static,
) -> Option<Run> {
    let [x] = site.args else { return None };
    let [_, n, inner] = around(&x.ty, axis);
    Some(run1(
        x.slot,
        site.out.slot,
        move |x: &[T], out: &mut [i64]| {
            if x.is_empty() {
                out.fill(0);
            } else if inner == 1 && n > LONG {
                of_long_lines(x, out, n, beats);
            } else if inner == 1 {
                of_lines(x, out, n, rank);
            } else {
                let groups = x.chunks_exact(n * inner);
                for (x, out) in groups.zip(out.chunks_exact_mut(inner)) {
                    match n > LONG {
                        true => of_long_columns(x, out, beats),
                        false => of_columns(x, out, n, rank),
                    }
                }
            }
            Ok(())
        },
    ))
}

/// The place of the winner of each line of `n` elements.
#[inline(always)]
fn of_lines<T: Ordered>(x: &[T], out: &mut [i64], n: usize, rank: impl Fn(T) -> u64) {
    let (several, rest) = out.as_chunks_mut::<TOGETHER>();
    let mut lines = x.chunks_exact(TOGETHER * n);
    for (x, out) in lines.by_ref().zip(several) {
        *out = winners(n, |i, line| rank(x[line * n + i]));
    }
    for (x, place) in lines.remainder().chunks_exact(n).zip(rest) {
        [*place] = winners(n, |i, _| rank(x[i]));
    }
}

/// [`of_lines`] one element after another.
#[inline(always)]
fn of_long_lines<T: Ordered>(
    x: &[T],
    out: &mut [i64],
    n: usize,
    beats: impl Fn(T, T) -> bool + Copy,
) {
    for (x, out) in x.chunks_exact(n).zip(out) {
        let (mut best, mut place) = (x[0], 0);
        for (i, x) in (0..).zip(x) {
            if wins(*x, best, beats) {
                (best, place) = (*x, i);
            }
        }
        *out = place;
    }
}

/// The place of the winner of each column of `n` elements.
#[inline(always)]
fn of_columns<T: Ordered>(x: &[T], out: &mut [i64], n: usize, rank: impl Fn(T) -> u64) {
    let inner = out.len();
    let (several, rest) = out.as_chunks_mut::<TOGETHER>();
    let whole = TOGETHER * several.len();
    for (k, out) in several.iter_mut().enumerate() {
        let x = &x[k * TOGETHER..];
        *out = winners(n, |i, column| rank(x[i * inner + column]));
    }
    for (k, place) in rest.iter_mut().enumerate() {
        let x = &x[whole + k..];
        [*place] = winners(n, |i, _| rank(x[i * inner]));
    }
}

/// [`of_columns`] one element after another.
#[inline(always)]
fn of_long_columns<T: Ordered>(x: &[T], out: &mut [i64], beats: impl Fn(T, T) -> bool + Copy) {
    let inner = out.len();
    out.fill(0);
    for (i, row) in x.chunks_exact(inner).enumerate().skip(1) {
        for (column, (candidate, place)) in row.iter().zip(&mut *out).enumerate() {
            if wins(*candidate, x[*place as usize * inner + column], beats) {
                *place = i as i64;
            }
        }
    }
}

/// Whether an element takes the place of the best one before it.
#[inline(always)]
fn wins<T: Ordered>(x: T, best: T, beats: impl Fn(T, T) -> bool) -> bool {
    beats(x, best) || (x.is_nan() && !best.is_nan())
}

/// The place of the highest rank of each of `L` groups of `n`, the first of equal ones.
#[inline(always)]
fn winners<const L: usize>(n: usize, rank: impl Fn(usize, usize) -> u64) -> [i64; L] {
    let mut best: [u64; L] = std::array::from_fn(|group| rank(0, group));
    let mut place = [0; L];
    for i in 1..n {
        for group in 0..L {
            let own = rank(i, group);
            let higher = own > best[group];
            best[group] = own.max(best[group]);
            place[group] = select_unpredictable(higher, i as i64, place[group]);
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of few different numbers, so that many are equal, against a plain search.
    #[test]
    fn the_first_of_equal_ones_wins() {
        let mut state = 7_u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            match state >> 60 {
                0 => f64::NAN,
                1 => -0.0,
                k => (k / 6) as f64,
            }
        };
        let plain = |x: &[f64]| {
            let mut place = 0;
            for (i, candidate) in x.iter().enumerate() {
                if wins(*candidate, x[place], f64::above) {
                    place = i;
                }
            }
            place as i64
        };
        for n in [1, 2, 9, 64, 65, 71, 72, 200] {
            for _ in 0..20 {
                let x: Vec<f64> = (0..n * 11).map(|_| draw()).collect();
                let mut found = [0; 11];
                of_lines(&x, &mut found, n, f64::rank);
                let expected: Vec<i64> = x.chunks_exact(n).map(plain).collect();
                assert_eq!(found[..], expected[..], "{n}");
                of_long_lines(&x, &mut found, n, f64::above);
                assert_eq!(found[..], expected[..], "{n}");
                let column = |k: usize| x.iter().skip(k).step_by(11).copied().collect::<Vec<_>>();
                let expected: Vec<i64> = (0..11).map(|k| plain(&column(k))).collect();
                of_columns(&x, &mut found, n, f64::rank);
                assert_eq!(found[..], expected[..], "{n}");
                of_long_columns(&x, &mut found, f64::above);
                assert_eq!(found[..], expected[..], "{n}");
            }
        }
    }
}
