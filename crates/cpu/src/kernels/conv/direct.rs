//! Convolutions of step 1 as they stand: with zeros around the image, the elements that all places meet at one
//! element of the kernel are one run of memory, but for a few between its rows that belong to no place. So
//! nothing is laid out, and the products of those few are left out when the result is copied.

use super::super::gemm::{Matrix, Out, multiply_shifted};
use super::super::spatial::Axis;
use crate::RunError;
use crate::number::Number;
use crate::pool::Team;

/// Copying one element to a matrix of columns takes as long as so many multiplications, and beginning a run of
/// them as long as so many.
const ELEMENT: usize = 4;
const RUN: usize = 450;

/// How a convolution is done directly.
pub(super) struct Direct {
    channels: usize,
    outputs: usize,
    axes: Vec<Line>,
    /// Elements of a channel with zeros around it.
    padded: usize,
    /// Columns from the first place to the last, those between rows among them.
    columns: usize,
    /// Places of the result.
    places: usize,
    /// For each element of the kernel how far behind the first place's first element it meets its own.
    shifts: Vec<u32>,
}

/// One axis: its elements in the image, from where they are copied, to where and how many; with zeros around,
/// and the step there; places of the result.
struct Line {
    size: usize,
    from: usize,
    to: usize,
    count: usize,
    step: usize,
    out: usize,
}

impl Direct {
    /// The way for a convolution with so many channels and outputs, where this machine has a kernel for it and
    /// it takes less time than laying out columns.
    pub(super) fn new<T: Number>(axes: &[Axis], channels: usize, outputs: usize) -> Option<Direct> {
        T::shifted()?;
        let mut lines = Vec::new();
        let (mut padded, mut places) = (1_usize, 1_usize);
        for axis in axes.iter().rev() {
            if axis.stride != 1 || axis.spread != 1 || axis.out == 0 || axis.window == 0 {
                return None;
            }
            let reach = (axis.window - 1).checked_mul(axis.dilation)?;
            let whole = axis.out.checked_add(reach)?;
            let from = usize::try_from(-axis.low.min(0)).ok()?.min(axis.size);
            let to = usize::try_from(axis.low.max(0)).ok()?.min(whole);
            lines.push(Line {
                size: axis.size,
                from,
                to,
                count: (axis.size - from).min(whole - to),
                step: padded,
                out: axis.out,
            });
            padded = padded.checked_mul(whole)?;
            places = places.checked_mul(axis.out)?;
        }
        lines.reverse();
        let last = lines.iter().map(|line| (line.out - 1) * line.step);
        let columns = last.sum::<usize>() + 1;
        // Every shift is a number of 32 bits.
        u32::try_from(padded.checked_mul(channels)?).ok()?;
        let between = (columns - places).checked_mul(outputs)?;
        let run = lines.last().map_or(1, |line| line.out);
        if between > places.checked_mul(ELEMENT + RUN / run)? {
            return None;
        }
        let mut shifts: Vec<u32> = (0..channels).map(|c| (c * padded) as u32).collect();
        for (axis, line) in axes.iter().zip(&lines) {
            let along = |k: usize| (k * axis.dilation * line.step) as u32;
            let all = shifts.iter();
            shifts = all
                .flat_map(|shift| (0..axis.window).map(move |k| shift + along(k)))
                .collect();
        }
        Some(Direct {
            channels,
            outputs,
            axes: lines,
            padded,
            columns,
            places,
            shifts,
        })
    }

    /// Elements of working memory.
    pub(super) fn room(&self) -> usize {
        let image = self.channels.saturating_mul(self.padded);
        image.saturating_add(self.outputs.saturating_mul(self.columns))
    }

    /// The result of one image and group, whose channels stand at these places.
    ///
    /// # Errors
    /// A panic on another thread.
    pub(super) fn run<'a, T: Number>(
        &self,
        plane: impl Fn(usize) -> &'a [T],
        weights: Matrix<'_, T>,
        out: &mut [T],
        scratch: &mut [T],
        work: u64,
        team: &Team,
    ) -> Result<(), RunError> {
        let all = self.outputs * self.columns;
        let (products, image) = scratch.split_at_mut(all);
        self.pad(plane, image);
        let x = &image[..self.channels * self.padded];
        let to = Out {
            start: products.as_mut_ptr(),
            len: all,
            step: self.columns,
        };
        let sizes = [self.outputs, self.columns];
        // SAFETY: the products are borrowed.
        unsafe { multiply_shifted(sizes, weights, (x, &self.shifts), to, work, team)? };
        let (products, out) = (
            products.chunks_exact(self.columns),
            out.chunks_exact_mut(self.places),
        );
        for (from, to) in products.zip(out) {
            let width = self.axes.last().map_or(1, |line| line.out);
            each_row(
                &self.axes,
                |l| l.out,
                |rows| {
                    let at: usize = rows.clone().map(|(l, i)| i * l.step).sum();
                    let row = rows.fold(0, |row, (l, i)| row * l.out + i);
                    to[row * width..][..width].copy_from_slice(&from[at..at + width]);
                },
            );
        }
        Ok(())
    }

    /// Copies an image to the middle of zeros.
    fn pad<'a, T: Number>(&self, plane: impl Fn(usize) -> &'a [T], to: &mut [T]) {
        to[..self.channels * self.padded].fill(T::NOTHING);
        let channels = to.chunks_exact_mut(self.padded).take(self.channels);
        for (channel, to) in channels.enumerate() {
            let x = plane(channel);
            let Some(last) = self.axes.last() else {
                to.iter_mut().zip(x).for_each(|(to, x)| *to = *x);
                continue;
            };
            each_row(
                &self.axes,
                |l| l.count,
                |rows| {
                    let at: usize = rows.clone().map(|(l, i)| (l.to + i) * l.step).sum();
                    let row = rows.fold(0, |row, (l, i)| row * l.size + l.from + i);
                    let from = &x[row * last.size + last.from..][..last.count];
                    to[at + last.to..][..last.count].copy_from_slice(from);
                },
            );
        }
    }
}

/// Calls `f` with every choice of a number below `count` for each axis but the last, in row-major order.
fn each_row<'a>(
    axes: &'a [Line],
    count: impl Fn(&Line) -> usize,
    mut f: impl FnMut(
        std::iter::Zip<std::slice::Iter<'a, Line>, std::iter::Copied<std::slice::Iter<'_, usize>>>,
    ),
) {
    let outer = &axes[..axes.len().saturating_sub(1)];
    if outer.iter().any(|line| count(line) == 0) {
        return;
    }
    let mut index: smallvec::SmallVec<[usize; 4]> = smallvec::SmallVec::from_elem(0, outer.len());
    loop {
        f(outer.iter().zip(index.iter().copied()));
        let mut axis = outer.len();
        loop {
            let Some(next) = axis.checked_sub(1) else {
                return;
            };
            axis = next;
            index[axis] += 1;
            if index[axis] < count(&outer[axis]) {
                break;
            }
            index[axis] = 0;
        }
    }
}
