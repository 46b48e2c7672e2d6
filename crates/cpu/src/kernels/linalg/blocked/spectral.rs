//! Eigenvalues and singular values of larger matrices, with their vectors.

use cotangent_graph::ops::Linalg;
use cotangent_graph::ops::linalg::Shape2;
use cotangent_graph::ops::linalg::dense::leading_sign;

use super::super::Plain;
use super::{Layout, Real, Work, by_rows, half_sum};
use crate::memory::{Frame, Slot};

/// Whether the values of the result come by rotations, whose errors add up: singular values and
/// eigenvalues of f32 are computed in f64, as the plain loops do.
pub(super) fn is_spectral(op: &Linalg) -> bool {
    use Linalg::*;
    matches!(op, Svd(_) | Svdvals(_) | Eigh(_) | Eigvalsh(_))
}

/// Values and vectors of one member of f32, by way of f64; false where the plain loops should give
/// them.
pub(super) fn widened(
    plain: &Plain,
    frame: &Frame<'_>,
    k: usize,
    scratch: Slot,
    layout: &Layout,
    at: [usize; 6],
) -> bool {
    let (Some(s), Some(operand)) = (plain.shapes.first().copied(), plain.args.first()) else {
        return false;
    };
    // SAFETY: the plan was checked: the operand is of f32 here, and no result overlaps it.
    let from: &[f32] = unsafe { frame.read(operand.member(k)) };
    if !from.iter().all(|x| x.is_finite()) {
        return false;
    }
    let results = plain.outs.iter().fold(0, |sum, out| sum + out.size);
    let copies = Slot {
        offset: scratch.offset + at[5],
        len: from.len() + results,
        ..scratch
    };
    // SAFETY: as for `Work`, behind whose parts this stands; `scratch` has counted it.
    let copies: &mut [f64] = unsafe { frame.write(copies) };
    let (a, mut rest) = copies.split_at_mut(from.len());
    for (to, x) in a.iter_mut().zip(from) {
        *to = f64::from(*x);
    }
    let mut outs: [&mut [f64]; 3] = Default::default();
    for (out, part) in outs.iter_mut().zip(&plain.outs) {
        let (own, after) = rest.split_at_mut(part.size);
        (*out, rest) = (own, after);
    }
    let [x, y, z] = &mut outs;
    let work = Work::<f64>::cut(frame, scratch, layout, at);
    if !decompose(&plain.op, a, [&mut **x, &mut **y, &mut **z], s, work) {
        return false;
    }
    for (from, part) in outs.iter().zip(&plain.outs) {
        // SAFETY: as above; all results of these operations are of f32.
        let to: &mut [f32] = unsafe { frame.write(part.member(k)) };
        for (to, x) in to.iter_mut().zip(from.iter()) {
            *to = *x as f32;
        }
    }
    true
}

/// Singular values or eigenvalues, with their vectors where the operation gives them.
pub(super) fn decompose<T: Real>(
    op: &Linalg,
    a: &[T],
    outs: [&mut [T]; 3],
    s: Shape2,
    work: Work<'_, T>,
) -> bool {
    let [x, y, z] = outs;
    match op {
        Linalg::Svd(_) => singular(a, y, Some((x, z)), s, work),
        Linalg::Svdvals(_) => singular(a, x, None, s, work),
        Linalg::Eigh(_) => symmetric(a, x, Some(y), s.rows, work),
        _ => symmetric(a, x, None, s.rows, work),
    }
}

fn singular<T: Real>(
    a: &[T],
    values: &mut [T],
    vectors: Option<(&mut [T], &mut [T])>,
    s: Shape2,
    work: Work<'_, T>,
) -> bool {
    let (m, n, k) = (s.rows, s.columns, s.least());
    let Some((u, vt)) = vectors else {
        return T::svd(a, m, n, values, None, work.stack) && all_finite(values);
    };
    // V column by column is Vᵀ row by row.
    let pair = Some((&mut *work.first, &mut *vt));
    if !T::svd(a, m, n, values, pair, work.stack) || !all_finite(values) {
        return false;
    }
    let columns = work.first.chunks_exact_mut(m);
    for (column, row) in columns.zip(vt.chunks_exact_mut(n)) {
        if leading_sign(column.iter().map(|x| x.to())) < 0.0 {
            for x in column.iter_mut().chain(row) {
                *x = T::of(-x.to());
            }
        }
    }
    by_rows(
        work.first,
        u,
        Shape2 {
            rows: m,
            columns: k,
        },
    );
    true
}

fn symmetric<T: Real>(
    a: &[T],
    values: &mut [T],
    vectors: Option<&mut [T]>,
    n: usize,
    work: Work<'_, T>,
) -> bool {
    half_sum(a, work.first, n);
    let wanted = vectors.is_some().then_some(&mut *work.second);
    if !T::eigh(work.first, n, values, wanted, work.stack) || !all_finite(values) {
        return false;
    }
    let Some(vectors) = vectors else { return true };
    for column in work.second.chunks_exact_mut(n) {
        if leading_sign(column.iter().map(|x| x.to())) < 0.0 {
            for x in column {
                *x = T::of(-x.to());
            }
        }
    }
    by_rows(
        work.second,
        vectors,
        Shape2 {
            rows: n,
            columns: n,
        },
    );
    true
}

fn all_finite<T: Real>(x: &[T]) -> bool {
    x.iter().all(|x| x.to().is_finite())
}
