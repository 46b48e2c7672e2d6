//! `gather` and `scatter_add`.

use smallvec::SmallVec;

use super::{Arg, Site, out_of_range, resized};
use crate::RunError;
use crate::memory::{Cell, Frame, Run, Slot};
use crate::number::{Bits, Number, by_dtype};
use cotangent_array::{Complex32, DType};
use cotangent_graph::TensorType;

/// The sums of floats shorter than f64, and of complex numbers of such, are kept in f64 until all
/// updates are in.
pub(super) fn scratch(updates: &TensorType, out: &TensorType) -> usize {
    match updates.dtype {
        DType::F32 => out.shape.elements().saturating_mul(8),
        DType::C64 => out.shape.elements().saturating_mul(16),
        _ => 0,
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
    if out.is_empty() {
        return;
    }
    // A call of the library's copy takes longer than a few elements do.
    macro_rules! short {
        ($($N:literal)+) => {
            match picks.inner {
                $($N => gathered_short::<T, $N>(picks, frame, x, out),)+
                run => {
                    let mut out = out.chunks_exact_mut(run);
                    picks.each(frame, |from| {
                        if let Some(to) = out.next() {
                            to.copy_from_slice(&x[from..from + run]);
                        }
                    });
                }
            }
        };
    }
    short!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

fn gathered_short<T: Cell, const N: usize>(
    picks: &Picks,
    frame: &Frame<'_>,
    x: &[T],
    out: &mut [T],
) {
    let mut out = out.as_chunks_mut::<N>().0.iter_mut();
    picks.each(frame, |from| {
        if let (Some(to), Some(run)) = (out.next(), x[from..].first_chunk::<N>()) {
            *to = *run;
        }
    });
}

pub(super) fn scatter_add(axis: usize, batch: usize, site: &Site<'_>) -> Option<Run> {
    let (updates, indices) = site.args.split_first()?;
    let picks = Picks::new(&site.out.ty, indices, axis, batch)?;
    let (updates, out) = (updates.slot, site.out.slot);
    match site.out.ty.dtype {
        DType::F32 => Some(widened::<f32>(
            picks,
            updates,
            out,
            resized(site.scratch, 8),
        )),
        DType::C64 => Some(widened::<Complex32>(
            picks,
            updates,
            out,
            resized(site.scratch, 16),
        )),
        dtype => plain(dtype, picks, updates, out),
    }
}

/// Updates are added in a wider type, and the sums rounded once.
fn widened<T: Number>(picks: Picks, updates: Slot, out: Slot, sums: Slot) -> Run
where
    T::Sum: Cell,
{
    Box::new(move |frame| {
        // SAFETY: as above; the working memory overlaps nothing else.
        let (updates, out, sums) = unsafe {
            (
                frame.read::<T>(updates),
                frame.write::<T>(out),
                frame.write::<T::Sum>(sums),
            )
        };
        picks.check(frame)?;
        scattered(&picks, frame, updates, sums, T::ZERO, |sum, x: T| {
            *sum = T::add(*sum, x.widen());
        });
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = T::narrow(*sum);
        }
        Ok(())
    })
}

fn plain(dtype: DType, picks: Picks, updates: Slot, out: Slot) -> Option<Run> {
    by_dtype!(numeric dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
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
    if updates.is_empty() {
        return;
    }
    // Loops of known length go by vectors.
    match picks.inner {
        1 => scattered_short::<T, S, 1>(picks, frame, updates, sums, add),
        2 => scattered_short::<T, S, 2>(picks, frame, updates, sums, add),
        4 => scattered_short::<T, S, 4>(picks, frame, updates, sums, add),
        8 => scattered_short::<T, S, 8>(picks, frame, updates, sums, add),
        run => {
            let mut updates = updates.chunks_exact(run);
            picks.each(frame, |to| {
                let part = sums[to..to + run].iter_mut();
                let updates = updates.next().unwrap_or_default();
                part.zip(updates).for_each(|(sum, x)| add(sum, *x));
            });
        }
    }
}

fn scattered_short<T: Cell, S: Cell, const N: usize>(
    picks: &Picks,
    frame: &Frame<'_>,
    updates: &[T],
    sums: &mut [S],
    add: impl Fn(&mut S, T),
) {
    let mut updates = updates.as_chunks::<N>().0.iter();
    picks.each(frame, |to| {
        if let (Some(updates), Some(sums)) = (updates.next(), sums[to..].first_chunk_mut::<N>()) {
            for (sum, x) in sums.iter_mut().zip(updates) {
                add(sum, *x);
            }
        }
    });
}

/// The runs that the indices pick.
pub(super) struct Picks {
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
    pub(super) fn new(x: &TensorType, indices: &[Arg], axis: usize, batch: usize) -> Option<Picks> {
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
    pub(super) fn check(&self, frame: &Frame<'_>) -> Result<(), RunError> {
        self.indices.iter().try_for_each(|index| {
            let length = index.length;
            // All are looked at, which vector instructions do faster than stopping at the first.
            let outside = |i: i64| i as u64 >= length as u64;
            let wrong = by_dtype!(bits index.dtype, I => {
                let indices = index.read::<I>(frame);
                match indices.iter().fold(false, |any, i| any | outside(Bits::to(*i))) {
                    false => None,
                    true => indices.iter().map(|i| Bits::to(*i)).find(|i| outside(*i)),
                }
            }, else Some(-1));
            wrong.map_or(Ok(()), |i| Err(out_of_range(i, length)))
        })
    }

    /// Calls `f` with the start of each run in the indexed array. The indices were checked.
    #[inline(always)]
    pub(super) fn each(&self, frame: &Frame<'_>, mut f: impl FnMut(usize)) {
        if let [index] = &self.indices[..] {
            by_dtype!(bits index.dtype, I => {
                let index = index.read::<I>(frame);
                self.walk(|place| Bits::to(index[place]) as usize, f);
            }, else {});
            return;
        }
        let at = |index: &Index, place| by_dtype!(bits index.dtype, I => Bits::to(index.read::<I>(frame)[place]), else 0);
        self.walk(
            |place| {
                self.indices
                    .iter()
                    .map(|i| at(i, place) as usize * i.stride)
                    .sum()
            },
            &mut f,
        );
    }

    /// [`Picks::each`], given what the indices pick at a place.
    #[inline(always)]
    fn walk(&self, pick: impl Fn(usize) -> usize, mut f: impl FnMut(usize)) {
        for member in 0..self.members {
            for outer in 0..self.outer {
                let base = (member * self.outer + outer) * self.indexed;
                for place in member * self.own..(member + 1) * self.own {
                    f((base + pick(place)) * self.inner);
                }
            }
        }
    }
}

impl Index {
    #[inline(always)]
    fn read<'a, I: Cell>(&self, frame: &Frame<'_>) -> &'a [I] {
        // SAFETY: the plan was checked: the slot holds elements of its dtype, and `I` is that.
        unsafe { frame.read(self.slot) }
    }
}
