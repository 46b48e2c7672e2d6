//! Sums, maxima and their places in windows that slide along the last axes.
//!
//! A row of results is computed at a time: for each position in the window, in row-major order, the
//! elements that it meets are joined to the results. So each result joins its elements in row-major
//! order, as the reference evaluator does.

use cotangent_graph::ops::{WindowArgMax, WindowMax, WindowSum};

use super::spatial::{Axis, Space};
use super::{Site, out_of_range};
use crate::memory::{Run, run1};
use crate::number::{Number, Ordered, by_dtype};

/// Results that are computed side by side.
const COLUMNS: usize = 256;

/// The attributes of a window operation.
pub(super) struct Windows<'a> {
    window: &'a [usize],
    stride: &'a [usize],
    padding: &'a [(usize, usize)],
    dilation: &'a [usize],
}

impl<'a> Windows<'a> {
    pub(super) fn of_sum(op: &'a WindowSum) -> Self {
        Windows {
            window: &op.window,
            stride: &op.stride,
            padding: &op.padding,
            dilation: &op.dilation,
        }
    }

    pub(super) fn of_max(op: &'a WindowMax) -> Self {
        Windows {
            window: &op.window,
            stride: &op.stride,
            padding: &op.padding,
            dilation: &op.dilation,
        }
    }

    pub(super) fn of_argmax(op: &'a WindowArgMax) -> Self {
        Windows {
            window: &op.window,
            stride: &op.stride,
            padding: &op.padding,
            dilation: &op.dilation,
        }
    }

    fn space(&self, site: &Site<'_>) -> Option<Space> {
        let [x] = site.args else { return None };
        let leading = x.ty.rank().checked_sub(self.window.len())?;
        let attributes = self
            .window
            .iter()
            .zip(self.stride)
            .zip(self.padding.iter().zip(self.dilation));
        let axes = attributes
            .enumerate()
            .map(|(i, ((window, stride), (padding, dilation)))| Axis {
                size: x.ty.dim(leading + i),
                out: site.out.ty.dim(leading + i),
                window: *window,
                stride: *stride,
                low: padding.0 as i128,
                dilation: *dilation,
                spread: 1,
            });
        Some(Space::new(axes.collect()))
    }
}

pub(super) fn sum(windows: &Windows<'_>, site: &Site<'_>) -> Option<Run> {
    let space = windows.space(site)?;
    let [x] = site.args else { return None };
    by_dtype!(numeric x.ty.dtype, T => Some(run1(x.slot, site.out.slot, move |x: &[T], out: &mut [T]| {
        slide(&space, x, out, <T as Number>::ZERO, |sum, x, at| T::add(sum, x[at].widen()), T::narrow);
        Ok(())
    })), else None)
}

pub(super) fn max(windows: &Windows<'_>, site: &Site<'_>) -> Option<Run> {
    let space = windows.space(site)?;
    let [x] = site.args else { return None };
    by_dtype!(number x.ty.dtype, T => Some(run1(x.slot, site.out.slot, move |x: &[T], out: &mut [T]| {
        slide(&space, x, out, T::LOWEST, |max, x, at| max.larger(x[at]), |max| max);
        Ok(())
    })), else None)
}

pub(super) fn argmax(windows: &Windows<'_>, site: &Site<'_>) -> Option<Run> {
    const NOWHERE: usize = usize::MAX;
    let space = windows.space(site)?;
    let [x] = site.args else { return None };
    by_dtype!(number x.ty.dtype, T => Some(run1(x.slot, site.out.slot, move |x: &[T], out: &mut [i64]| {
        let join = |best: usize, x: &[T], at: usize| match x.get(best) {
            Some(y) if !(x[at].above(*y) || (x[at].is_nan() && !y.is_nan())) => best,
            _ => at,
        };
        slide(&space, x, out, NOWHERE, join, |at| at as i64);
        if out.contains(&(NOWHERE as i64)) { Err(out_of_range(0, 0)) } else { Ok(()) }
    })), else None)
}

/// Joins to each result the elements that it meets: `join` gets what has been joined so far, the
/// elements of the member of the batch, and the position of the next.
#[inline(always)]
fn slide<T, U, S: Copy>(
    space: &Space,
    x: &[T],
    out: &mut [U],
    start: S,
    join: impl Fn(S, &[T], usize) -> S,
    finish: impl Fn(S) -> U,
) {
    let ([size, _, results], width) = (space.sizes(), space.width());
    if results == 0 {
        return;
    }
    let mut states = [start; COLUMNS];
    for (member, out) in out.chunks_exact_mut(results).enumerate() {
        let x = &x[member * size..(member + 1) * size];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            for (part, out) in out.chunks_mut(COLUMNS).enumerate() {
                let (from, to) = (part * COLUMNS, part * COLUMNS + out.len());
                let states = &mut states[..out.len()];
                states.fill(start);
                space.row(row, |_, base| {
                    for tap in &space.last {
                        tap.each(from, to, |place, at| {
                            let state = &mut states[place - from];
                            *state = join(*state, x, base + at);
                        });
                    }
                });
                for (out, state) in out.iter_mut().zip(states) {
                    *out = finish(*state);
                }
            }
        }
    }
}
