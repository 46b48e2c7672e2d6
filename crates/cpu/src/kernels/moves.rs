//! Moves: every one is a walk over pairs of positions in the operand and in the result.

use cotangent_array::Shape;
use smallvec::SmallVec;

use super::Site;
use super::walk::{Dim, Walk};
use crate::memory::{Frame, Run};
use crate::number::by_dtype;

/// The steps of contiguous elements in this shape, 0 where they would not fit.
pub(super) fn strides(shape: &Shape) -> SmallVec<[isize; 6]> {
    shape
        .strides()
        .into_iter()
        .map(|s| isize::try_from(s).unwrap_or(0))
        .collect()
}

fn walked(site: &Site<'_>, walk: Walk) -> Option<Run> {
    let [x] = site.args else { return None };
    let (x, out, work) = (x.slot, site.out.slot, site.work);
    by_dtype!(size site.out.ty.dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        // SAFETY: the plan was checked: the operand does not overlap the result, and has its dtype.
        let (x, out) = unsafe { (frame.read::<T>(x), frame.write::<T>(out)) };
        walk.copy_with(x, out, work, &frame.team)
    }) as Run), else None)
}

pub(super) fn copy(site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let n = site.out.slot.len;
    let from = if x.slot.len == n { 1 } else { 0 };
    walked(site, Walk::new([Dim { n, from, to: 1 }], 0, 0))
}

pub(super) fn transpose(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let from = strides(&x.ty.shape);
    let to = site.out.ty.shape.strides();
    let dims = axes.iter().zip(&to).zip(site.out.ty.shape.iter());
    let dims = dims.map(|((axis, to), n)| Dim {
        n: *n,
        from: from.get(*axis).copied().unwrap_or(0),
        to: *to,
    });
    walked(site, Walk::new(dims, 0, 0))
}

pub(super) fn broadcast(dims: &[usize], site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let mut from: SmallVec<[isize; 6]> = SmallVec::from_elem(0, site.out.ty.rank());
    // A number that stands everywhere has one element, whatever its shape.
    if x.slot.len > 1 {
        for ((axis, step), n) in dims.iter().zip(strides(&x.ty.shape)).zip(x.ty.shape.iter()) {
            if let Some(from) = from.get_mut(*axis) {
                *from = if *n == 1 { 0 } else { step };
            }
        }
    }
    let shape = &site.out.ty.shape;
    let dims = shape.iter().zip(from).zip(shape.strides());
    walked(
        site,
        Walk::new(dims.map(|((n, from), to)| Dim { n: *n, from, to }), 0, 0),
    )
}

pub(super) fn reverse(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    let shape = &site.out.ty.shape;
    if shape.elements() == 0 {
        return walked(
            site,
            Walk::new(
                [Dim {
                    n: 0,
                    from: 0,
                    to: 0,
                }],
                0,
                0,
            ),
        );
    }
    let mut start = 0;
    let mut dims: SmallVec<[Dim; 6]> = SmallVec::new();
    for (axis, (n, to)) in shape.iter().zip(shape.strides()).enumerate() {
        let step = to as isize;
        if axes.contains(&axis) {
            start += (n - 1) * to;
            dims.push(Dim {
                n: *n,
                from: -step,
                to,
            });
        } else {
            dims.push(Dim {
                n: *n,
                from: step,
                to,
            });
        }
    }
    walked(site, Walk::new(dims, start, 0))
}

pub(super) fn slice(start: &[usize], stride: &[usize], site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let shape = &site.out.ty.shape;
    if shape.elements() == 0 {
        return walked(
            site,
            Walk::new(
                [Dim {
                    n: 0,
                    from: 0,
                    to: 0,
                }],
                0,
                0,
            ),
        );
    }
    let steps = x.ty.shape.strides();
    let from: usize = start
        .iter()
        .zip(&steps)
        .map(|(start, step)| start * step)
        .sum();
    let dims = shape
        .iter()
        .zip(shape.strides())
        .zip(stride.iter().zip(&steps));
    let dims = dims.map(|((n, to), (stride, step))| Dim {
        n: *n,
        // With one element there is no step, however long it would be.
        from: if *n == 1 { 0 } else { (stride * step) as isize },
        to,
    });
    walked(site, Walk::new(dims, from, 0))
}

pub(super) fn pad(low: &[usize], interior: &[usize], site: &Site<'_>) -> Option<Run> {
    let [x, value] = site.args else { return None };
    let (from, to) = (strides(&x.ty.shape), site.out.ty.shape.strides());
    let walk = if x.slot.len == 0 {
        Walk::new(
            [Dim {
                n: 0,
                from: 0,
                to: 0,
            }],
            0,
            0,
        )
    } else {
        let start: usize = low.iter().zip(&to).map(|(low, to)| low * to).sum();
        let dims = x.ty.shape.iter().zip(&from).zip(interior.iter().zip(&to));
        let dims = dims.map(|((n, from), (interior, to))| Dim {
            n: *n,
            from: *from,
            to: if *n == 1 {
                0
            } else {
                interior.saturating_add(1).saturating_mul(*to)
            },
        });
        Walk::new(dims, 0, start)
    };
    let (x, value, out) = (x.slot, value.slot, site.out.slot);
    by_dtype!(size site.out.ty.dtype, T => Some(crate::memory::run2(x, value, out, site.scratch, move |x: &[T], value: &[T], out: &mut [T], _: &mut [u8]| {
        if let [value] = value {
            out.fill(*value);
        }
        walk.copy(x, out);
        Ok(())
    })), else None)
}

pub(super) fn concat(axis: usize, site: &Site<'_>) -> Option<Run> {
    let to = site.out.ty.shape.strides();
    let mut pieces = Vec::with_capacity(site.args.len());
    let mut start = 0;
    for x in site.args {
        if x.ty.shape.elements() > 0 {
            let steps = strides(&x.ty.shape);
            let dims =
                x.ty.shape
                    .iter()
                    .zip(&steps)
                    .zip(&to)
                    .map(|((n, from), to)| Dim {
                        n: *n,
                        from: if x.slot.len == 1 { 0 } else { *from },
                        to: *to,
                    });
            pieces.push((x.slot, Walk::new(dims, 0, start)));
        }
        start += x.ty.dim(axis) * to.get(axis).copied().unwrap_or(0);
    }
    let out = site.out.slot;
    by_dtype!(size site.out.ty.dtype, T => Some(Box::new(move |frame: &mut crate::memory::Frame<'_>| {
        for (x, walk) in &pieces {
            // SAFETY: the plan was checked: no operand overlaps the result, and all have its dtype.
            unsafe { walk.copy(frame.read::<T>(*x), frame.write::<T>(out)) };
        }
        Ok(())
    }) as Run), else None)
}
