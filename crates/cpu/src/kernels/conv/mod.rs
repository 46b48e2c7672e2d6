//! Convolutions: floats as products of matrices, integers directly.
//!
//! For floats the elements that each output meets are laid out as columns of a matrix (im2col),
//! some outputs at a time, in working memory; the kernel is the other matrix. A large kernel with
//! few outputs, as in the gradient to a kernel, is laid out the other way: for each output the
//! elements along the kernel, which are then long runs. Where it costs less, nothing is laid out ([`direct`]).
//! All of it depends on the shapes and the machine alone.

mod direct;

use std::ops::Range;

use cotangent_compile::{Part, Planes};
use cotangent_graph::TensorType;
use cotangent_graph::ops::Conv;
use smallvec::SmallVec;

use self::direct::Direct;
use super::gemm::{self, Batch, Matrix, Means, Out, multiply_at};
use super::spatial::{Axis, Space};
use super::{Site, resized};
use crate::RunError;
use crate::memory::{Frame, Run, Slot};
use crate::number::{Number, by_dtype};
use crate::pool::{DIVIDE, Shared, Team, share};

/// Elements of the matrix of columns that fit the second cache.
const COLUMNS: usize = 32 * 1024;

pub(super) fn scratch(op: &Conv, x: &TensorType, kernel: &TensorType, out: &TensorType) -> usize {
    if !x.dtype.is_inexact() {
        return 0;
    }
    let plan = Layout::new(op, x, kernel, out);
    let packed = by_dtype!(numeric x.dtype, T => plan.packed::<T>(), else 0);
    plan.room()
        .saturating_add(packed)
        .saturating_mul(x.dtype.size())
}

/// The kernel; `planes` say where the input stands, where that is not in one array and in order.
pub(super) fn conv(op: &Conv, planes: Option<&Planes>, site: &Site<'_>) -> Option<Run> {
    let (kernel, arrays) = site.args.split_last()?;
    let input = planes.map_or(&*arrays.first()?.ty, |planes| &planes.input);
    let mut plan = Layout::new(op, input, &kernel.ty, &site.out.ty);
    if let Some(planes) = planes {
        plan.by_channels = planes.channels;
        plan.parts = planes.parts.iter().copied().collect();
    }
    let arrays: SmallVec<[Slot; 2]> = arrays.iter().map(|a| a.slot).collect();
    let dtype = site.out.ty.dtype;
    let scratch = resized(site.scratch, dtype.size());
    let (kernel, out, work) = (kernel.slot, site.out.slot, site.work);
    if work >= DIVIDE {
        site.wants(site.scratch.len);
    }
    by_dtype!(numeric dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        // SAFETY: the plan was checked: nothing that is written overlaps anything else, and the types
        // are those of the plan. Working memory holds any numbers.
        let (x, kernel, out, scratch) = unsafe {
            let x: SmallVec<[&[T]; 2]> = arrays.iter().map(|a| frame.read::<T>(*a)).collect();
            let kernel = frame.read::<T>(kernel);
            (x, kernel, frame.write::<T>(out), frame.write::<T>(scratch))
        };
        if T::PACKED {
            return plan.by_matrices(&x, kernel, out, scratch, work, &frame.team);
        }
        plan.directly(&x, kernel, out);
        Ok(())
    }) as Run), else None)
}

/// So many places are few.
const FEW: usize = 64;

/// The axis with the parts of kernel and result exchanged: which element of the kernel meets which
/// of the input is the same for both.
fn turn(axis: Axis) -> Axis {
    Axis {
        out: axis.window,
        window: axis.out,
        stride: axis.dilation,
        dilation: axis.stride,
        ..axis
    }
}

/// A group of an image, with the arrays that make up all images.
#[derive(Clone, Copy)]
struct Image<'a, T> {
    x: &'a [&'a [T]],
    image: usize,
    group: usize,
}

struct Layout {
    images: usize,
    groups: usize,
    /// Channels of a group in the input and in the result.
    channels: usize,
    outputs: usize,
    space: Space,
    /// The space with the parts of kernel and result exchanged, to lay out rows for places.
    turned: Option<Space>,
    /// Where nothing is laid out.
    direct: Option<Direct>,
    /// Elements of a kernel's channel, and of a result's channel.
    window: usize,
    places: usize,
    /// The arrays that make up the input, along its channels or else along its images.
    by_channels: bool,
    parts: SmallVec<[Part; 2]>,
    /// Places that are laid out at a time.
    tile: usize,
}

impl Layout {
    fn new(op: &Conv, x: &TensorType, kernel: &TensorType, out: &TensorType) -> Layout {
        let spatial = op
            .stride
            .iter()
            .zip(&op.padding)
            .zip(op.dilation.iter().zip(&op.input_dilation));
        let axes: Vec<Axis> = spatial
            .enumerate()
            .map(|(i, ((stride, padding), (dilation, spread)))| Axis {
                size: x.dim(2 + i),
                out: out.dim(2 + i),
                window: kernel.dim(2 + i),
                stride: *stride,
                low: i128::from(padding.0),
                dilation: *dilation,
                spread: *spread,
            })
            .collect();
        let space = Space::new(axes.clone());
        let [size, window, places] = space.sizes();
        let channels = kernel.dim(1);
        let rows = channels.saturating_mul(window).max(1);
        let tile = (COLUMNS / rows).max(16).min(places);
        let groups = op.groups.max(1);
        let long = axes.last().is_some_and(|a| a.window > a.out) && places <= FEW;
        let outputs = kernel.dim(0) / groups;
        let direct = match space.is_identity() {
            true => None,
            false => {
                by_dtype!(numeric x.dtype, T => Direct::new::<T>(&axes, channels, outputs), else None)
            }
        };
        let turned =
            (long && direct.is_none()).then(|| Space::new(axes.into_iter().map(turn).collect()));
        Layout {
            images: x.dim(0),
            groups,
            channels,
            outputs,
            space,
            turned,
            direct,
            window,
            places,
            by_channels: false,
            parts: SmallVec::from_elem(
                Part {
                    count: x.dim(0),
                    steps: [
                        size.saturating_mul(x.dim(1)),
                        size.saturating_mul(channels),
                        size,
                    ],
                },
                1,
            ),
            tile,
        }
    }

    /// The elements of the input from the first one of a channel on.
    fn plane<'a, T>(&self, image: &Image<'a, T>, channel: usize) -> &'a [T] {
        let mut at = [image.image, image.group, channel];
        let along = if self.by_channels { 2 } else { 0 };
        for (part, array) in self.parts.iter().zip(image.x) {
            if at[along] < part.count {
                let steps = at.iter().zip(part.steps);
                return &array[steps.map(|(i, step)| i * step).sum()..];
            }
            at[along] -= part.count;
        }
        &[]
    }

    fn terms(&self) -> usize {
        self.channels.saturating_mul(self.window)
    }

    /// Elements of working memory.
    fn room(&self) -> usize {
        if let Some(direct) = &self.direct {
            direct.room()
        } else if self.space.is_identity() {
            0
        } else {
            let columns = if self.turned.is_some() {
                self.places
            } else {
                self.tile
            };
            self.terms().saturating_mul(columns)
        }
    }

    /// Elements of working memory that the largest of the products wants.
    fn packed<T>(&self) -> usize {
        let (terms, weights) = (self.terms(), [self.terms(), 1]);
        let room = |columns, steps| gemm::room::<T>([self.outputs, columns, terms], weights, steps);
        if self.direct.is_some() {
            0
        } else if self.space.is_identity() {
            room(self.places, [self.parts[0].steps[2], 1])
        } else if self.turned.is_some() {
            room(self.places, [1, terms])
        } else {
            let last = self.places.checked_rem(self.tile).unwrap_or(0);
            room(self.tile, [self.tile, 1]).max(room(last, [last, 1]))
        }
    }

    /// Places that are laid out at a time, one after another, in each image and group.
    fn tiles(&self) -> usize {
        if self.space.is_identity() || self.turned.is_some() || self.direct.is_some() {
            1
        } else {
            self.places.div_ceil(self.tile.max(1))
        }
    }

    fn by_matrices<T: Number>(
        &self,
        x: &[&[T]],
        kernel: &[T],
        out: &mut [T],
        scratch: &mut [T],
        work: u64,
        team: &Team,
    ) -> Result<(), RunError> {
        if out.is_empty() {
            return Ok(());
        }
        let members = self.images * self.groups;
        assert!(
            members * self.outputs * self.places <= out.len(),
            "too few elements of the result"
        );
        let (tiles, room) = (self.tiles(), self.room() + self.packed::<T>());
        assert!(room <= scratch.len(), "too little working memory");
        let units = members * tiles;
        let team = &team.with_room(room * size_of::<T>());
        let parts = team.parts(work, units);
        if parts == 1 || units < 2 * team.threads() {
            // Each of few products is divided in itself.
            let each = work / units.max(1) as u64;
            return (0..units).try_for_each(|unit| {
                // SAFETY: the result is borrowed.
                unsafe { self.product((x, kernel), out.as_mut_ptr(), scratch, unit, each, team) }
            });
        }
        // SAFETY: units write results of their own, each thread works in memory of its own.
        let shared = unsafe { Shared::new((out.as_mut_ptr(), scratch.as_mut_ptr())) };
        team.each(work, parts, |part, thread| {
            let (out, own) = *shared.get();
            let scratch: *mut T = team.scratch(thread, own.cast()).cast();
            // SAFETY: every thread has so much working memory.
            let scratch = unsafe { std::slice::from_raw_parts_mut(scratch, room) };
            share(units, part, parts).try_for_each(|unit| {
                // SAFETY: the result is borrowed; units are different places of it.
                unsafe { self.product((x, kernel), out, scratch, unit, 0, &Team::ALONE) }
            })
        })
    }

    /// The result of one image and group for the places of one tile.
    ///
    /// # Safety
    /// `out` is the whole result, of which nobody else uses the elements of this unit.
    unsafe fn product<T: Number>(
        &self,
        (x, kernel): (&[&[T]], &[T]),
        out: *mut T,
        scratch: &mut [T],
        unit: usize,
        work: u64,
        team: &Team,
    ) -> Result<(), RunError> {
        let (member, tile) = (unit / self.tiles(), unit % self.tiles());
        let (terms, places) = (self.terms(), self.places);
        let group = member % self.groups;
        let (columns, scratch) = scratch.split_at_mut(self.room());
        let image = Image {
            x,
            image: member / self.groups,
            group,
        };
        let weights = Matrix {
            elements: &kernel[group * self.outputs * terms..][..self.outputs * terms],
            row: terms,
            column: 1,
        };
        if let Some(direct) = &self.direct {
            let size = self.outputs * places;
            // SAFETY: the result has so many elements for each member, and nobody else uses this one's.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(member * size), size) };
            return direct.run(|c| self.plane(&image, c), weights, out, columns, work, team);
        }
        let (from, count, columns) = if self.space.is_identity() {
            let columns = Matrix {
                elements: self.plane(&image, 0),
                row: self.parts[0].steps[2],
                column: 1,
            };
            (0, places, columns)
        } else if let Some(turned) = &self.turned {
            self.lay_out_turned(turned, &image, columns, work, team)?;
            let columns = Matrix {
                elements: &*columns,
                row: 1,
                column: terms,
            };
            (0, places, columns)
        } else {
            let from = tile * self.tile;
            let count = self.tile.min(places - from);
            let columns = &mut columns[..terms * count];
            self.lay_out(&image, from, count, columns, work, team)?;
            let columns = Matrix {
                elements: &*columns,
                row: count,
                column: 1,
            };
            (from, count, columns)
        };
        let sizes = [self.outputs, count, terms];
        let means = Means { scratch, team };
        let size = self.outputs * places;
        let out = Out {
            start: out.wrapping_add(member * size + from),
            len: size - from,
            step: places,
        };
        // SAFETY: the member's matrix from the tile's first column on is inside the result.
        unsafe { multiply_at(sizes, Batch::ONE, weights, columns, out, means) }
    }

    /// The elements that the places from `from` on meet: a row for each element of the kernel, a
    /// column for each place.
    fn lay_out<T: Number>(
        &self,
        image: &Image<'_, T>,
        from: usize,
        count: usize,
        columns: &mut [T],
        work: u64,
        team: &Team,
    ) -> Result<(), RunError> {
        let rows = self.window * count;
        let parts = team.parts(work / 2, self.channels);
        // SAFETY: each part writes the rows of its own channels.
        let shared = unsafe { Shared::new((columns.as_mut_ptr(), columns.len())) };
        team.each(work / 2, parts, |part, _| {
            let (columns, len) = *shared.get();
            let channels = share(self.channels, part, parts);
            assert!(channels.end * rows <= len, "too few columns");
            // SAFETY: these rows are inside, as was just checked.
            let columns = unsafe {
                let start = columns.add(channels.start * rows);
                std::slice::from_raw_parts_mut(start, channels.len() * rows)
            };
            self.lay_out_channels(image, from, count, columns, channels);
            Ok(())
        })
    }

    /// [`Layout::lay_out`] for some channels, whose rows these are.
    fn lay_out_channels<T: Number>(
        &self,
        image: &Image<'_, T>,
        from: usize,
        count: usize,
        columns: &mut [T],
        channels: Range<usize>,
    ) {
        columns.fill(T::NOTHING);
        let width = self.space.width();
        let mut start = from;
        while start < from + count {
            // A part of one row of the result.
            let (row, left) = (start / width, start % width);
            let right = width.min(left + (from + count - start));
            self.space.row(row, |k, base| {
                for tap in &self.space.last {
                    for (i, channel) in channels.clone().enumerate() {
                        let line = (i * self.window + k + tap.k) * count;
                        // The column of the row's place 0, which may stand before the first one.
                        let to = (line + start - from).wrapping_sub(left);
                        let x = self.plane(image, channel);
                        if tap.out_step == 1 && tap.x_step == 1 {
                            let first = tap.out.max(left);
                            let last = (tap.out + tap.count).min(right);
                            if first < last {
                                let source = base + tap.x + (first - tap.out);
                                columns[to.wrapping_add(first)..][..last - first]
                                    .copy_from_slice(&x[source..][..last - first]);
                            }
                        } else {
                            tap.each(left, right, |place, met| {
                                columns[to.wrapping_add(place)] = x[base + met]
                            });
                        }
                    }
                }
            });
            start += right - left;
        }
    }

    /// The elements that all places meet: a row for each place, a column for each element of the
    /// kernel.
    fn lay_out_turned<T: Number>(
        &self,
        turned: &Space,
        image: &Image<'_, T>,
        rows: &mut [T],
        work: u64,
        team: &Team,
    ) -> Result<(), RunError> {
        let (terms, width) = (self.terms(), turned.width());
        assert!(self.places * terms <= rows.len(), "too few rows");
        let parts = team.parts(work / 2, self.channels);
        // SAFETY: each part writes the columns of its own channels.
        let shared = unsafe { Shared::new(rows.as_mut_ptr()) };
        team.each(work / 2, parts, |part, _| {
            let rows = *shared.get();
            let channels = share(self.channels, part, parts);
            // Some columns of one row, which are those of one of the part's channels.
            let line = |first: usize, count: usize| {
                // SAFETY: rows and columns are inside, of which there are as many as was just checked.
                unsafe { std::slice::from_raw_parts_mut(rows.add(first), count) }
            };
            for place in 0..self.places {
                let first = place * terms + channels.start * self.window;
                line(first, channels.len() * self.window).fill(T::NOTHING);
            }
            for part in 0..self.window / width.max(1) {
                turned.row(part, |place, base| {
                    for tap in &turned.last {
                        for channel in channels.clone() {
                            let first =
                                (place + tap.k) * terms + channel * self.window + part * width;
                            let line = line(first, width);
                            let x = self.plane(image, channel);
                            if tap.out_step == 1 && tap.x_step == 1 {
                                line[tap.out..tap.out + tap.count]
                                    .copy_from_slice(&x[base + tap.x..][..tap.count]);
                            } else {
                                tap.each(0, width, |k, met| line[k] = x[base + met]);
                            }
                        }
                    }
                });
            }
            Ok(())
        })
    }

    /// Element by element, for integers: sums wrap, so any order gives the same bits.
    fn directly<T: Number>(&self, x: &[&[T]], kernel: &[T], out: &mut [T]) {
        let width = self.space.width();
        if out.is_empty() || width == 0 {
            return;
        }
        let outputs = self.groups * self.outputs;
        let terms = self.terms();
        for (i, out) in out.chunks_exact_mut(self.places).enumerate() {
            let (image, output) = (i / outputs, i % outputs);
            let group = output / self.outputs;
            let image = Image { x, image, group };
            let weights = &kernel[output * terms..][..terms];
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                out.fill(T::NOTHING);
                self.space.row(row, |k, base| {
                    for tap in &self.space.last {
                        for channel in 0..self.channels {
                            let weight = weights[channel * self.window + k + tap.k];
                            let x = self.plane(&image, channel);
                            tap.each(0, width, |place, met| {
                                out[place] = out[place].plus(weight.times(x[base + met]));
                            });
                        }
                    }
                });
            }
        }
    }
}
