//! Sums, maxima and their places in windows that slide along the last axes.
//!
//! A row of results is computed at a time: for each position in the window, in row-major order, the
//! elements that it meets, which stand at equal steps, are joined to the results. So each result joins its elements in row-major
//! order, as the reference evaluator does.

use std::ops::Range;

use cotangent_graph::ops::{WindowArgMax, WindowMax, WindowSum};

use super::spatial::{Axis, Space};
use super::{Site, out_of_range};
use crate::memory::{Run, run1};
use crate::number::{Number, Ordered, by_dtype};

/// Results that are computed side by side.
const COLUMNS: usize = 256;
/// Members of the batch of which the same row is computed, so that what it meets is found once for them.
const TOGETHER: usize = 16;

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
        let mut sums = [<T as Number>::ZERO; COLUMNS];
        slide(&space, x, out, |x, lines, out: &mut [T]| {
            let sums = &mut sums[..out.len()];
            sums.fill(<T as Number>::ZERO);
            for line in lines {
                let sums = sums[line.places()].iter_mut();
                line.each(x, sums, |sum, x| *sum = T::add(*sum, x.widen()));
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = T::narrow(*sum);
            }
        });
        Ok(())
    })), else None)
}

pub(super) fn max(windows: &Windows<'_>, site: &Site<'_>) -> Option<Run> {
    let space = windows.space(site)?;
    let [x] = site.args else { return None };
    by_dtype!(number x.ty.dtype, T => Some(run1(x.slot, site.out.slot, move |x: &[T], out: &mut [T]| {
        slide(&space, x, out, |x, lines, out: &mut [T]| {
            out.fill(T::LOWEST);
            for line in lines {
                let out = out[line.places()].iter_mut();
                line.each(x, out, |max, x| *max = max.larger(x));
            }
        });
        Ok(())
    })), else None)
}

pub(super) fn argmax(windows: &Windows<'_>, site: &Site<'_>) -> Option<Run> {
    const NONE: u32 = u32::MAX;
    const NOWHERE: i64 = -1;
    let space = windows.space(site)?;
    let [x] = site.args else { return None };
    by_dtype!(number x.ty.dtype, T => Some(run1(x.slot, site.out.slot, move |x: &[T], out: &mut [i64]| {
        let (mut best, mut which) = ([T::LOWEST; COLUMNS], [NONE; COLUMNS]);
        slide(&space, x, out, |x, lines, out: &mut [i64]| {
            which[..out.len()].fill(NONE);
            for (number, line) in (0..NONE).zip(lines) {
                let states = best[line.places()].iter_mut().zip(&mut which[line.places()]);
                // Without a branch, so that several are compared at a time.
                line.each(x, states, |(best, which), x| {
                    let better = (*which == NONE) | x.above(*best) | (x.is_nan() & !best.is_nan());
                    *best = if better { x } else { *best };
                    *which = if better { number } else { *which };
                });
            }
            for (place, (out, which)) in out.iter_mut().zip(&which).enumerate() {
                let line = lines.get(*which as usize);
                *out = line.map_or(NOWHERE, |line| line.met(place) as i64);
            }
        });
        if out.contains(&NOWHERE) { Err(out_of_range(0, 0)) } else { Ok(()) }
    })), else None)
}

/// Elements of a member of the batch that stand at equal steps, and that some results in a row meet: the
/// first result and the first element.
struct Line {
    place: usize,
    at: usize,
    step: usize,
    count: usize,
}

impl Line {
    /// The results, in the part of a row that is computed.
    fn places(&self) -> Range<usize> {
        self.place..self.place + self.count
    }

    /// Where the element is that one of these results meets.
    fn met(&self, place: usize) -> usize {
        self.at + (place - self.place) * self.step
    }

    /// Calls `f` with the state of each result and the element that it meets.
    #[inline(always)]
    fn each<T: Copy, S>(&self, x: &[T], states: impl Iterator<Item = S>, f: impl Fn(S, T)) {
        let (x, count) = (&x[self.at..], self.count);
        // Loops with steps that the compiler knows become vector instructions.
        if self.step == 1 {
            let states = states.zip(&x[..count]);
            states.for_each(|(state, x)| f(state, *x));
        } else if self.step == 2 && x.len() >= 2 * count {
            let (pairs, _) = x[..2 * count].as_chunks::<2>();
            let states = states.zip(pairs);
            states.for_each(|(state, x)| f(state, x[0]));
        } else {
            let states = states.zip(x.iter().step_by(self.step));
            states.for_each(|(state, x)| f(state, *x));
        }
    }
}

/// Computes the results part of a row by part: `f` gets the elements of a member of the batch, the lines of
/// them that the part meets, in row-major order of the window, and the part.
#[inline(always)]
fn slide<T, U>(space: &Space, x: &[T], out: &mut [U], mut f: impl FnMut(&[T], &[Line], &mut [U])) {
    let ([size, _, results], width) = (space.sizes(), space.width());
    if results == 0 {
        return;
    }
    let mut lines = Vec::new();
    for (first, out) in out.chunks_mut(TOGETHER * results).enumerate() {
        for row in 0..results / width {
            for from in (0..width).step_by(COLUMNS) {
                let to = width.min(from + COLUMNS);
                lines.clear();
                space.row(row, |_, base| {
                    for tap in &space.last {
                        let line = tap.between(from, to).map(|(place, at, count)| Line {
                            place: place - from,
                            at: base + at,
                            step: tap.x_step,
                            count,
                        });
                        lines.extend(line);
                    }
                });
                for (i, out) in out.chunks_exact_mut(results).enumerate() {
                    let member = first * TOGETHER + i;
                    let x = &x[member * size..(member + 1) * size];
                    f(x, &lines, &mut out[row * width..][from..to]);
                }
            }
        }
    }
}
