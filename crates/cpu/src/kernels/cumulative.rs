//! Running sums and products, and the linear recurrence.

use super::chains::{self, Kind};
use super::{Site, around};
use crate::lane::has_avx2;
use crate::memory::{Run, run1, run2};
use crate::number::{Number, by_dtype};

/// Columns that run side by side; their states stay in the first cache.
const COLUMNS: usize = 256;

pub(super) fn cumsum(axis: usize, reverse: bool, site: &Site<'_>) -> Option<Run> {
    chains::of_rows(Kind::Sum, axis, reverse, site).or_else(|| by_dtype!(numeric site.out.ty.dtype, T => running::<T>(axis, reverse, site, |sum, x| T::add(x, sum)), else None))
}

pub(super) fn cumprod(axis: usize, reverse: bool, site: &Site<'_>) -> Option<Run> {
    chains::of_rows(Kind::Product, axis, reverse, site).or_else(|| by_dtype!(numeric site.out.ty.dtype, T => running::<T>(axis, reverse, site, |product, x| T::mul(x, product)), else None))
}

fn running<T: Number>(
    axis: usize,
    reverse: bool,
    site: &Site<'_>,
    join: impl Fn(T::Sum, T::Sum) -> T::Sum + Send + Sync + 'static,
) -> Option<Run> {
    let [x] = site.args else { return None };
    let shape = Columns::new(around(&x.ty, axis), reverse);
    Some(run1(
        x.slot,
        site.out.slot,
        move |x: &[T], out: &mut [T]| {
            shape.each(
                |first, at, width, state: &mut [T::Sum]| {
                    let columns = x[at..at + width].iter().zip(&mut out[at..at + width]);
                    for (state, (x, out)) in state.iter_mut().zip(columns) {
                        *state = if first {
                            x.widen()
                        } else {
                            join(*state, x.widen())
                        };
                        *out = T::narrow(*state);
                    }
                },
                T::ZERO,
            );
            Ok(())
        },
    ))
}

/// h_i = a_i * h_(i-1) + b_i, rounded once where the machine does so in one instruction: each step waits for
/// the one before, so that is half the time.
pub(super) fn recurrence(axis: usize, reverse: bool, site: &Site<'_>) -> Option<Run> {
    if let Some(rows) = chains::of_rows(Kind::Recurrence, axis, reverse, site) {
        return Some(rows);
    }
    let [a, b] = site.args else { return None };
    let shape = Columns::new(around(&a.ty, axis), reverse);
    let (a, b, out) = (a.slot, b.slot, site.out.slot);
    by_dtype!(numeric site.out.ty.dtype, T => Some(run2(a, b, out, site.scratch, move |a: &[T], b: &[T], out: &mut [T], _: &mut [u8]| {
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            // SAFETY: the machine has these instructions.
            unsafe { recur_fused(&shape, a, b, out) };
            return Ok(());
        }
        recur(&shape, a, b, out, |a, h, b| T::add(b, T::mul(a, h)));
        Ok(())
    })), else None)
}

/// # Safety
/// The machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn recur_fused<T: Number>(shape: &Columns, a: &[T], b: &[T], out: &mut [T]) {
    recur(shape, a, b, out, T::fused);
}

#[inline(always)]
fn recur<T: Number>(
    shape: &Columns,
    a: &[T],
    b: &[T],
    out: &mut [T],
    step: impl Fn(T::Sum, T::Sum, T::Sum) -> T::Sum,
) {
    shape.each(
        |first, at, width, state: &mut [T::Sum]| {
            let columns = a[at..at + width].iter().zip(&b[at..at + width]);
            let columns = columns.zip(&mut out[at..at + width]);
            for (state, ((a, b), out)) in state.iter_mut().zip(columns) {
                *state = match first {
                    true => b.widen(),
                    false => step(a.widen(), *state, b.widen()),
                };
                *out = T::narrow(*state);
            }
        },
        T::ZERO,
    );
}

/// A walk along one axis, many columns at a time.
struct Columns {
    outer: usize,
    n: usize,
    inner: usize,
    reverse: bool,
}

impl Columns {
    fn new([outer, n, inner]: [usize; 3], reverse: bool) -> Columns {
        Columns {
            outer,
            n,
            inner,
            reverse,
        }
    }

    /// Calls `f` with whether the place is the first of its run, the position of its first column,
    /// the number of columns and their states.
    #[inline(always)]
    fn each<S: Copy>(&self, mut f: impl FnMut(bool, usize, usize, &mut [S]), start: S) {
        if self.n == 0 || self.inner == 0 {
            return;
        }
        if self.inner == 1 {
            // One column, whose state stays in a register.
            for group in 0..self.outer {
                let mut state = [start];
                for i in 0..self.n {
                    let place = if self.reverse { self.n - 1 - i } else { i };
                    f(i == 0, group * self.n + place, 1, &mut state);
                }
            }
            return;
        }
        for group in 0..self.outer {
            for column in (0..self.inner).step_by(COLUMNS) {
                let width = COLUMNS.min(self.inner - column);
                let mut state = [start; COLUMNS];
                for i in 0..self.n {
                    let place = if self.reverse { self.n - 1 - i } else { i };
                    let at = (group * self.n + place) * self.inner + column;
                    f(i == 0, at, width, &mut state[..width]);
                }
            }
        }
    }
}
