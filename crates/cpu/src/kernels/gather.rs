//! `gather` and `scatter_add`.

use smallvec::SmallVec;

use super::{Arg, Site, out_of_range, resized};
use crate::RunError;
use crate::memory::{Cell, Frame, Run, Slot};
use crate::number::{Number, by_dtype};
use cotangent_array::DType;
use cotangent_graph::TensorType;

/// The sums of floats shorter than f64 are kept in f64 until all updates are in.
pub(super) fn scratch(updates: &TensorType, out: &TensorType) -> usize {
    if updates.dtype == DType::F32 {
        out.shape.elements().saturating_mul(8)
    } else {
        0
    }
}

pub(super) fn gather(axis: usize, batch: usize, site: &Site<'_>) -> Option<Run> {
    let (x, indices) = site.args.split_first()?;
    let picks = Picks::new(&x.ty, indices, axis, batch)?;
    let (x, out) = (x.slot, site.out.slot);
    by_dtype!(size site.out.ty.dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        // SAFETY: the plan was checked: the result overlaps no operand, and the dtypes are these.
        let (x, out) = unsafe { (frame.read::<T>(x), frame.write::<T>(out)) };
        picks.check(frame)?;
        gathered(&picks, frame, x, out);
        Ok(())
    }) as Run), else None)
}

fn gathered<T: Cell>(picks: &Picks, frame: &Frame<'_>, x: &[T], out: &mut [T]) {
    let run = picks.inner;
    let mut to = 0;
    if !out.is_empty() {
        picks.each(frame, |from| {
            out[to..to + run].copy_from_slice(&x[from..from + run]);
            to += run;
        });
    }
}

pub(super) fn scatter_add(axis: usize, batch: usize, site: &Site<'_>) -> Option<Run> {
    let (updates, indices) = site.args.split_first()?;
    let picks = Picks::new(&site.out.ty, indices, axis, batch)?;
    let (updates, out) = (updates.slot, site.out.slot);
    if site.out.ty.dtype == DType::F32 {
        let sums = resized(site.scratch, 8);
        return Some(Box::new(move |frame| {
            // SAFETY: as above; the working memory overlaps nothing else.
            let (updates, out, sums) = unsafe {
                (
                    frame.read::<f32>(updates),
                    frame.write::<f32>(out),
                    frame.write::<f64>(sums),
                )
            };
            picks.check(frame)?;
            scattered(&picks, frame, updates, sums, 0.0, |sum, x| {
                *sum += f64::from(x)
            });
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = *sum as f32;
            }
            Ok(())
        }));
    }
    by_dtype!(number site.out.ty.dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        // SAFETY: as above.
        let (updates, out) = unsafe { (frame.read::<T>(updates), frame.write::<T>(out)) };
        picks.check(frame)?;
        scattered(&picks, frame, updates, out, T::NOTHING, |sum, x: T| *sum = sum.plus(x));
        Ok(())
    }) as Run), else None)
}

fn scattered<T: Cell, S: Cell>(
    picks: &Picks,
    frame: &Frame<'_>,
    updates: &[T],
    sums: &mut [S],
    zero: S,
    add: impl Fn(&mut S, T),
) {
    sums.fill(zero);
    let run = picks.inner;
    let mut from = 0;
    if !updates.is_empty() {
        picks.each(frame, |to| {
            let part = sums[to..to + run]
                .iter_mut()
                .zip(&updates[from..from + run]);
            part.for_each(|(sum, x)| add(sum, *x));
            from += run;
        });
    }
}

/// The runs that the indices pick.
struct Picks {
    indices: SmallVec<[Index; 2]>,
    /// Members of the batch, places before the indexed axes, elements of one member's indices.
    members: usize,
    outer: usize,
    own: usize,
    /// Elements of the indexed axes together and of the axes behind them.
    indexed: usize,
    inner: usize,
}

/// One operand of indices: where it stands, its dtype, the axis it counts along.
#[derive(Clone, Copy)]
struct Index {
    slot: Slot,
    dtype: DType,
    length: usize,
    stride: usize,
}

impl Picks {
    fn new(x: &TensorType, indices: &[Arg], axis: usize, batch: usize) -> Option<Picks> {
        let dims = x.shape.dims();
        let end = axis.checked_add(indices.len())?;
        let (along, behind) = (dims.get(axis..end)?, dims.get(end..)?);
        let product = |dims: &[usize]| dims.iter().fold(1_usize, |n, d| n.saturating_mul(*d));
        let first = indices.first()?.ty.shape.dims();
        let indices = indices
            .iter()
            .zip(along)
            .enumerate()
            .map(|(j, (index, length))| Index {
                slot: index.slot,
                dtype: index.ty.dtype,
                length: *length,
                stride: product(&along[j + 1..]),
            });
        Some(Picks {
            indices: indices.collect(),
            members: product(first.get(..batch)?),
            outer: product(dims.get(batch..axis)?),
            own: product(first.get(batch..)?),
            indexed: product(along),
            inner: product(behind),
        })
    }

    /// Checks every index, whether or not there is anything to move.
    fn check(&self, frame: &Frame<'_>) -> Result<(), RunError> {
        self.indices.iter().try_for_each(|index| {
            let all = index.slot.len;
            (0..all).try_for_each(|i| {
                let at = index.at(frame, i);
                match usize::try_from(at) {
                    Ok(at) if at < index.length => Ok(()),
                    _ => Err(out_of_range(at, index.length)),
                }
            })
        })
    }

    /// Calls `f` with the start of each run in the indexed array. The indices were checked.
    fn each(&self, frame: &Frame<'_>, mut f: impl FnMut(usize)) {
        for member in 0..self.members {
            for outer in 0..self.outer {
                let base = (member * self.outer + outer) * self.indexed;
                for i in 0..self.own {
                    let place = member * self.own + i;
                    let pick: usize = self
                        .indices
                        .iter()
                        .map(|x| x.at(frame, place) as usize * x.stride)
                        .sum();
                    f((base + pick) * self.inner);
                }
            }
        }
    }
}

impl Index {
    #[inline(always)]
    fn at(&self, frame: &Frame<'_>, i: usize) -> i64 {
        // SAFETY: the plan was checked: the slot holds elements of this dtype.
        unsafe {
            match self.dtype {
                DType::U8 => i64::from(frame.read::<u8>(self.slot)[i]),
                DType::U32 => i64::from(frame.read::<u32>(self.slot)[i]),
                DType::I32 => i64::from(frame.read::<i32>(self.slot)[i]),
                DType::I64 => frame.read::<i64>(self.slot)[i],
                // Types of indices were inferred to be integers.
                _ => -1,
            }
        }
    }
}
