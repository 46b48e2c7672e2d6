//! Convolutions of step 1 as they stand: with zeros around the image, the elements that all places meet at one
//! element of the kernel are one run of memory, but for a few between its rows that belong to no place. So
//! nothing is laid out, and the products of those few are left out when the result is copied.

use super::super::gemm::{Matrix, Out, multiply_shifted};
use super::super::spatial::Axis;
use super::super::walk::{Dim, Walk};
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
    /// Elements of a channel with zeros around it.
    padded: usize,
    /// Columns from the first place to the last, those between rows among them.
    columns: usize,
    /// For each element of the kernel how far behind the first place's first element it meets its own.
    shifts: Vec<u32>,
    /// Copies a channel to the middle of zeros, and the products to the result.
    image: Walk,
    result: Walk,
}

impl Direct {
    /// The way for a convolution with so many channels and outputs, where this machine has a kernel for it and
    /// it takes less time than laying out columns.
    pub(super) fn new<T: Number>(axes: &[Axis], channels: usize, outputs: usize) -> Option<Direct> {
        T::shifted()?;
        let (mut size, mut padded, mut places) = (1_usize, 1_usize, 1_usize);
        let (mut image, mut result) = (Vec::new(), Vec::new());
        let (mut from, mut to, mut columns) = (0_usize, 0_usize, 1_usize);
        let mut steps = Vec::new();
        for axis in axes.iter().rev() {
            if axis.stride != 1 || axis.spread != 1 || axis.out == 0 || axis.window == 0 {
                return None;
            }
            let reach = (axis.window - 1).checked_mul(axis.dilation)?;
            let whole = axis.out.checked_add(reach)?;
            // What stands before the first place is left out, and zeros are put before it.
            let out = usize::try_from(-axis.low.min(0)).ok()?.min(axis.size);
            let zeros = usize::try_from(axis.low.max(0)).ok()?.min(whole);
            image.push(Dim {
                n: (axis.size - out).min(whole - zeros),
                from: isize::try_from(size).ok()?,
                to: padded,
            });
            result.push(Dim {
                n: axis.out,
                from: isize::try_from(padded).ok()?,
                to: places,
            });
            from = from.checked_add(out.checked_mul(size)?)?;
            to = to.checked_add(zeros.checked_mul(padded)?)?;
            columns = columns.checked_add((axis.out - 1).checked_mul(padded)?)?;
            steps.push(padded);
            size = size.checked_mul(axis.size)?;
            padded = padded.checked_mul(whole)?;
            places = places.checked_mul(axis.out)?;
        }
        // Every shift is a number of 32 bits.
        u32::try_from(padded.checked_mul(channels)?).ok()?;
        let between = (columns - places).checked_mul(outputs)?;
        let run = axes.last().map_or(1, |axis| axis.out);
        if between > places.checked_mul(ELEMENT + RUN / run)? {
            return None;
        }
        let mut shifts: Vec<u32> = (0..channels).map(|c| (c * padded) as u32).collect();
        for (axis, step) in axes.iter().zip(steps.iter().rev()) {
            let along = |k: usize| (k * axis.dilation * step) as u32;
            let all = shifts.iter();
            shifts = all
                .flat_map(|shift| (0..axis.window).map(move |k| shift + along(k)))
                .collect();
        }
        result.push(Dim {
            n: outputs,
            from: isize::try_from(columns).ok()?,
            to: places,
        });
        Some(Direct {
            channels,
            outputs,
            padded,
            columns,
            shifts,
            image: Walk::new(image.into_iter().rev(), from, to),
            result: Walk::new(result.into_iter().rev(), 0, 0),
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
        let image = &mut image[..self.channels * self.padded];
        image.fill(T::NOTHING);
        for (channel, to) in image.chunks_exact_mut(self.padded).enumerate() {
            self.image.copy(plane(channel), to);
        }
        let to = Out {
            start: products.as_mut_ptr(),
            len: all,
            step: self.columns,
        };
        let sizes = [self.outputs, self.columns];
        // SAFETY: the products are borrowed.
        unsafe { multiply_shifted(sizes, weights, (&*image, &self.shifts), to, work, team)? };
        self.result.copy(&*products, out);
        Ok(())
    }
}
