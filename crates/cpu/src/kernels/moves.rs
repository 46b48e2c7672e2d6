//! Moves: every one is a walk over pairs of positions in the operand and in the result.

use cotangent_array::Shape;
use smallvec::SmallVec;

use super::{Arg, Site};
use crate::memory::{Cell, Run, Slot, run1};
use crate::number::by_dtype;

/// Copies elements between two arrays, each with strides of its own.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// From the outermost; neighbours that run as one are one, and none has length 1.
    dims: SmallVec<[Dim; 4]>,
    from: usize,
    to: usize,
    empty: bool,
}

/// One axis of a walk: its length and the steps in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dim {
    pub(super) n: usize,
    pub(super) from: isize,
    pub(super) to: usize,
}

/// Side of the square that a transposing walk copies at a time.
const TILE: usize = 16;

impl Walk {
    /// A walk over these axes, from these positions.
    pub(super) fn new(axes: impl IntoIterator<Item = Dim>, from: usize, to: usize) -> Walk {
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::new();
        let mut empty = false;
        for inner in axes {
            empty |= inner.n == 0;
            if inner.n == 1 {
                continue;
            }
            match dims.last_mut() {
                Some(outer)
                    if Some(outer.from) == inner.from.checked_mul(inner.n as isize)
                        && Some(outer.to) == inner.to.checked_mul(inner.n) =>
                {
                    *outer = Dim {
                        n: outer.n.saturating_mul(inner.n),
                        ..inner
                    };
                }
                _ => dims.push(inner),
            }
        }
        Walk {
            dims,
            from,
            to,
            empty,
        }
    }

    /// Copies from one array to the other.
    pub(super) fn copy<T: Cell>(&self, from: &[T], to: &mut [T]) {
        if self.empty {
            return;
        }
        let Some((inner, outer)) = self.dims.split_last() else {
            to[self.to] = from[self.from];
            return;
        };
        let across = outer.iter().position(|d| d.from == 1 && d.to != 1);
        match across {
            // Both orders are bad for one of the arrays, so squares are copied that fit the cache.
            Some(i) if inner.to == 1 && inner.from > 1 => {
                let mut rest: SmallVec<[Dim; 4]> = SmallVec::from_slice(outer);
                let row = rest.remove(i);
                each(&rest, self.from, self.to, |s, d| {
                    square(from, to, s, d, row, *inner)
                });
            }
            _ => each(outer, self.from, self.to, |s, d| {
                run(from, to, s, d, *inner)
            }),
        }
    }
}

/// Calls `f` with the position in both arrays for each index of the axes.
fn each(dims: &[Dim], from: usize, to: usize, mut f: impl FnMut(usize, usize)) {
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, dims.len());
    let (mut from, mut to) = (from, to);
    loop {
        f(from, to);
        let mut axis = dims.len();
        loop {
            let Some(next) = axis.checked_sub(1) else {
                return;
            };
            axis = next;
            let d = dims[axis];
            index[axis] += 1;
            if index[axis] < d.n {
                from = from.wrapping_add_signed(d.from);
                to += d.to;
                break;
            }
            index[axis] = 0;
            from = from.wrapping_add_signed(-(d.from * (d.n as isize - 1)));
            to -= d.to * (d.n - 1);
        }
    }
}

/// Copies one run.
#[inline]
fn run<T: Cell>(from: &[T], to: &mut [T], s: usize, d: usize, dim: Dim) {
    let n = dim.n;
    match (dim.from, dim.to) {
        (1, 1) => to[d..d + n].copy_from_slice(&from[s..s + n]),
        (0, 1) => to[d..d + n].fill(from[s]),
        (step, 1) if step > 0 => {
            let source = from[s..].iter().step_by(step as usize);
            to[d..d + n]
                .iter_mut()
                .zip(source)
                .for_each(|(to, x)| *to = *x);
        }
        (step, 1) => {
            let source = from[..=s].iter().rev().step_by(step.unsigned_abs());
            to[d..d + n]
                .iter_mut()
                .zip(source)
                .for_each(|(to, x)| *to = *x);
        }
        (step, by) => {
            let mut at = s;
            for to in to[d..].iter_mut().step_by(by.max(1)).take(n) {
                *to = from[at];
                at = at.wrapping_add_signed(step);
            }
        }
    }
}

/// Copies a matrix whose rows are contiguous in `from` and whose columns are in `to`.
fn square<T: Cell>(from: &[T], to: &mut [T], s: usize, d: usize, row: Dim, inner: Dim) {
    let step = inner.from as usize;
    for i in (0..row.n).step_by(TILE) {
        for j in (0..inner.n).step_by(TILE) {
            let (rows, columns) = (TILE.min(row.n - i), TILE.min(inner.n - j));
            for i in i..i + rows {
                let start = d + i * row.to + j;
                let source = from[s + i + j * step..].iter().step_by(step);
                to[start..start + columns]
                    .iter_mut()
                    .zip(source)
                    .for_each(|(to, x)| *to = *x);
            }
        }
    }
}

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
    walked_from(x.slot, site.out, walk)
}

fn walked_from(x: Slot, out: &Arg, walk: Walk) -> Option<Run> {
    by_dtype!(size out.ty.dtype, T => Some(run1(x, out.slot, move |x: &[T], out: &mut [T]| {
        walk.copy(x, out);
        Ok(())
    })), else None)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(dims: &[(usize, isize, usize)], from: usize, n: usize, to: usize) -> Vec<i32> {
        let source: Vec<i32> = (0..64).collect();
        let mut out = vec![-1; n];
        let dims = dims.iter().map(|(n, from, to)| Dim {
            n: *n,
            from: *from,
            to: *to,
        });
        Walk::new(dims, from, to).copy(&source, &mut out);
        out
    }

    #[test]
    fn walks_join_axes_that_run_as_one() {
        let dims = [(2, 12, 12), (3, 4, 4), (4, 1, 1)].map(|(n, from, to)| Dim { n, from, to });
        assert_eq!(Walk::new(dims, 0, 0).dims.len(), 1);
    }

    #[test]
    fn every_kind_of_run() {
        assert_eq!(moved(&[(3, 1, 1)], 4, 3, 0), [4, 5, 6]);
        assert_eq!(moved(&[(3, 0, 1)], 4, 3, 0), [4, 4, 4]);
        assert_eq!(moved(&[(3, 5, 1)], 4, 3, 0), [4, 9, 14]);
        assert_eq!(moved(&[(3, -2, 1)], 4, 3, 0), [4, 2, 0]);
        assert_eq!(moved(&[(3, -2, 2)], 4, 6, 1), [-1, 4, -1, 2, -1, 0]);
        assert_eq!(moved(&[], 7, 1, 0), [7]);
        assert_eq!(moved(&[(0, 1, 1), (3, 1, 1)], 0, 1, 0), [-1]);
        assert_eq!(moved(&[(2, 1, 3), (3, 2, 1)], 0, 6, 0), [0, 2, 4, 1, 3, 5]);
    }
}
