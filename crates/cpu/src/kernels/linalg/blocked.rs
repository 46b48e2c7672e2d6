//! Larger matrices by the blocked algorithms of [`cotangent_numerics`], on one thread.
//!
//! Matrices are copied column by column, as these like them, into working memory; what is left of it
//! is their stack. Signs and orders are made those that the plain loops give. A matrix that needs
//! care (an entry that is not finite, a pivot 0) goes to these.

mod spectral;

use std::mem::MaybeUninit;

use cotangent_array::DType;
use cotangent_graph::ops::Linalg;
use cotangent_graph::ops::linalg::{MatrixFault, Shape2, TriangularSolve};
use cotangent_numerics::{Factor, Triangle};

use self::spectral::{decompose, is_spectral, widened};
use super::{Part, Plain, Site};
use crate::memory::{Frame, Run, Slot};
use crate::number::{Float, by_dtype};

/// Matrices with fewer rows or columns run through the plain loops, which are quicker there.
const LEAST: usize = 16;
/// Offsets in working memory are multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// A float whose matrices are factored.
trait Real: Float + Factor {}

impl Real for f32 {}
impl Real for f64 {}

/// The parts of working memory: numbers, positions, and a stack.
#[derive(Clone, Copy)]
struct Layout {
    /// How many numbers each of three matrices has.
    numbers: [usize; 3],
    positions: usize,
    stack: usize,
}

impl Layout {
    /// For an operation that has a blocked kernel for matrices of this shape.
    fn of<T: Real>(op: &Linalg, shapes: &[Shape2]) -> Option<Layout> {
        let s = *shapes.first()?;
        let (m, n, k) = (s.rows, s.columns, s.least());
        if k < LEAST || u32::try_from(m.max(n)).is_err() {
            return None;
        }
        let all = m.checked_mul(n)?;
        let (numbers, positions, stack) = match op {
            Linalg::Cholesky(_) => ([all, 0, 0], 0, T::cholesky_stack(n)),
            Linalg::TriangularSolve(_) => ([0; 3], 0, 0),
            Linalg::Solve(_) | Linalg::Lu(_) | Linalg::Det(_) | Linalg::Slogdet(_) => {
                ([all, 0, 0], m.checked_mul(2)?, T::lu_stack(m, n))
            }
            Linalg::Qr(_) => {
                let factors = T::qr_block(m, n).checked_mul(k)?;
                ([all, m.checked_mul(k)?, factors], 0, T::qr_stack(m, n))
            }
            Linalg::Svd(_) => ([m.checked_mul(k)?, 0, 0], 0, T::svd_stack(m, n, true)),
            Linalg::Svdvals(_) => ([m.checked_mul(k)?, 0, 0], 0, T::svd_stack(m, n, false)),
            Linalg::Eigh(_) => ([all, all, 0], 0, T::eigh_stack(n, true)),
            Linalg::Eigvalsh(_) => ([all, all, 0], 0, T::eigh_stack(n, false)),
            Linalg::Pinv(_) | Linalg::Expm(_) | Linalg::ExpmFrechet(_) => return None,
        };
        Some(Layout {
            numbers,
            positions,
            stack,
        })
    }

    /// Where the parts start, and where they end.
    fn offsets<T>(&self) -> Option<[usize; 6]> {
        let sizes = [
            self.numbers[0].checked_mul(size_of::<T>())?,
            self.numbers[1].checked_mul(size_of::<T>())?,
            self.numbers[2].checked_mul(size_of::<T>())?,
            self.positions.checked_mul(size_of::<u32>())?,
            self.stack,
        ];
        let mut at = [0_usize; 6];
        for (i, size) in sizes.into_iter().enumerate() {
            at[i + 1] = at[i]
                .checked_add(size)?
                .checked_next_multiple_of(ALIGNMENT)?;
        }
        Some(at)
    }
}

/// The bytes that the kernel wants, where there is one for these shapes.
pub(super) fn scratch(op: &Linalg, shapes: &[Shape2], dtype: DType) -> Option<usize> {
    if is_spectral(op) && dtype == DType::F32 {
        let offsets = Layout::of::<f64>(op, shapes)?.offsets::<f64>()?;
        let (m, n) = shapes.first().map(|s| (s.rows, s.columns))?;
        // The operand, the values, and vectors of the left and of the right.
        let numbers = m.checked_mul(n)?.checked_mul(3)?.checked_add(n)?;
        return offsets[5].checked_add(numbers.checked_mul(size_of::<f64>())?);
    }
    by_dtype!(float dtype, T => {
        let offsets = Layout::of::<T>(op, shapes)?.offsets::<T>()?;
        Some(offsets[5])
    }, else None)
}

pub(super) fn choose(op: &Linalg, site: &Site<'_>, plain: &Plain) -> Option<Run> {
    let dtype = plain.args.first()?.dtype;
    if site.scratch.len < scratch(op, &plain.shapes, dtype)? {
        return None;
    }
    let (plain, scratch) = (plain.clone(), site.scratch);
    if is_spectral(op) && dtype == DType::F32 {
        let layout = Layout::of::<f64>(op, &plain.shapes)?;
        let at = layout.offsets::<f64>()?;
        return Some(Box::new(move |frame: &mut Frame<'_>| {
            for k in 0..plain.members {
                if !widened(&plain, frame, k, scratch, &layout, at) {
                    plain.member(frame, k)?;
                }
            }
            Ok(())
        }));
    }
    by_dtype!(float dtype, T => {
        let layout = Layout::of::<T>(op, &plain.shapes)?;
        let at = layout.offsets::<T>()?;
        Some(Box::new(move |frame: &mut Frame<'_>| {
            for k in 0..plain.members {
                match member::<T>(&plain, frame, k, scratch, &layout, at) {
                    Ok(true) => {}
                    Ok(false) => plain.member(frame, k)?,
                    Err(fault) => return Err(plain.fault(fault, k)),
                }
            }
            Ok(())
        }) as Run)
    }, else None)
}

/// Working memory, cut into its parts.
struct Work<'a, T> {
    first: &'a mut [T],
    second: &'a mut [T],
    third: &'a mut [T],
    positions: &'a mut [u32],
    stack: &'a mut [MaybeUninit<u8>],
}

impl<T: Real> Work<'_, T> {
    fn cut(frame: &Frame<'_>, scratch: Slot, layout: &Layout, at: [usize; 6]) -> Self {
        let slot = |i: usize, len: usize| Slot {
            offset: scratch.offset + at[i],
            len,
            ..scratch
        };
        let stack = slot(4, layout.stack);
        // SAFETY: the plan was checked: working memory overlaps nothing else, it is as long as
        // `Layout` says, and so the parts do not overlap. It holds whatever numbers stood there
        // before; the stack's bytes may hold anything.
        unsafe {
            Work {
                first: frame.write(slot(0, layout.numbers[0])),
                second: frame.write(slot(1, layout.numbers[1])),
                third: frame.write(slot(2, layout.numbers[2])),
                positions: frame.write(slot(3, layout.positions)),
                stack: std::slice::from_raw_parts_mut(
                    frame.address(stack).cast::<MaybeUninit<u8>>(),
                    stack.len,
                ),
            }
        }
    }
}

/// The results for one member; false where the plain loops should give them.
fn member<T: Real>(
    plain: &Plain,
    frame: &Frame<'_>,
    k: usize,
    scratch: Slot,
    layout: &Layout,
    at: [usize; 6],
) -> Result<bool, MatrixFault> {
    let Some(s) = plain.shapes.first().copied() else {
        return Ok(false);
    };
    let slot = |parts: &[Part], i: usize| parts.get(i).map(|p: &Part| p.member(k));
    let read = |i: usize| -> &[T] {
        // SAFETY: the plan was checked: operands hold elements of their dtype, which is that of `T`
        // for all of these operations, and no result overlaps anything else.
        slot(&plain.args, i).map_or(&[], |s| unsafe { frame.read(s) })
    };
    let write = |i: usize| -> &mut [T] {
        // SAFETY: as above; each result is taken once. `Lu` alone has another dtype among its
        // results and writes it itself.
        slot(&plain.outs, i).map_or(&mut [], |s| unsafe { frame.write(s) })
    };
    let work = Work::<T>::cut(frame, scratch, layout, at);
    let a = read(0);
    let watched = plain.op.watched() > 0;
    if watched && !a.iter().all(|x| x.to().is_finite()) {
        return Ok(false);
    }
    match &plain.op {
        Linalg::Cholesky(_) => factor(a, write(0), s.rows, work),
        Linalg::TriangularSolve(op) => {
            let x = write(0);
            x.copy_from_slice(read(1));
            triangular(op, a, x, s.rows).map(|()| true)
        }
        Linalg::Solve(op) => {
            // What stands row by row is the transposed matrix, column by column.
            if op.transposed {
                work.first.copy_from_slice(a);
            } else {
                by_columns(a, work.first, s);
            }
            let Some((rows, _)) = eliminate(work.first, work.positions, s, work.stack) else {
                return Ok(false);
            };
            let (b, x) = (read(1), write(0));
            let columns = x.len() / s.rows.max(1);
            for (x, row) in x.chunks_exact_mut(columns.max(1)).zip(rows) {
                let from = *row as usize * columns;
                x.copy_from_slice(&b[from..from + columns]);
            }
            let half = |lower| Triangle {
                lower,
                unit: lower,
                by_rows: false,
            };
            T::triangular(work.first, s.rows, half(true), x, columns);
            T::triangular(work.first, s.rows, half(false), x, columns);
            Ok(true)
        }
        Linalg::Lu(_) => {
            by_columns(a, work.first, s);
            let Some((rows, _)) = eliminate(work.first, work.positions, s, work.stack) else {
                return Ok(false);
            };
            by_rows(work.first, write(0), s);
            if let Some(slot) = slot(&plain.outs, 1) {
                // SAFETY: as above; this result is of i64.
                let order: &mut [i64] = unsafe { frame.write(slot) };
                for (order, row) in order.iter_mut().zip(rows) {
                    *order = i64::from(*row);
                }
            }
            Ok(true)
        }
        Linalg::Det(_) | Linalg::Slogdet(_) => {
            by_columns(a, work.first, s);
            let Some((_, mut sign)) = eliminate(work.first, work.positions, s, work.stack) else {
                return Ok(false);
            };
            let (mut product, mut logarithm) = (1.0, 0.0);
            for pivot in work.first.iter().step_by(s.rows + 1) {
                let pivot = pivot.to();
                sign *= pivot.signum();
                product *= pivot.abs();
                logarithm += pivot.abs().ln();
            }
            if matches!(plain.op, Linalg::Det(_)) {
                write(0).fill(T::of(sign * product));
            } else {
                write(0).fill(T::of(sign));
                write(1).fill(T::of(logarithm));
            }
            Ok(true)
        }
        Linalg::Qr(_) => {
            reflect(a, write(0), write(1), s, work);
            Ok(true)
        }
        Linalg::Svd(_) | Linalg::Svdvals(_) | Linalg::Eigh(_) | Linalg::Eigvalsh(_) => {
            let outs = [write(0), write(1), write(2)];
            Ok(decompose(&plain.op, a, outs, s, work))
        }
        Linalg::Pinv(_) | Linalg::Expm(_) | Linalg::ExpmFrechet(_) => Ok(false),
    }
}

fn factor<T: Real>(a: &[T], l: &mut [T], n: usize, work: Work<'_, T>) -> Result<bool, MatrixFault> {
    half_sum(a, work.first, n);
    if let Err(index) = T::cholesky(work.first, n, work.stack) {
        return Err(MatrixFault::Indefinite(index + 1));
    }
    for i in 0..n {
        for j in 0..n {
            l[i * n + j] = if j > i {
                T::of(0.0)
            } else {
                work.first[j * n + i]
            };
        }
    }
    Ok(true)
}

fn triangular<T: Real>(
    op: &TriangularSolve,
    a: &[T],
    x: &mut [T],
    n: usize,
) -> Result<(), MatrixFault> {
    if !op.unit_diagonal
        && let Some(i) = (0..n).find(|i| a[i * n + i].to() == 0.0)
    {
        return Err(MatrixFault::Singular(i));
    }
    let columns = x.len() / n;
    let triangle = Triangle {
        lower: op.lower != op.transposed,
        unit: op.unit_diagonal,
        by_rows: !op.transposed,
    };
    T::triangular(a, n, triangle, x, columns);
    Ok(())
}

/// Factors a matrix that stands column by column; the order of its rows and the sign of that.
/// `None` where a pivot is 0 or not a number.
fn eliminate<'a, T: Real>(
    a: &mut [T],
    positions: &'a mut [u32],
    s: Shape2,
    stack: &mut [MaybeUninit<u8>],
) -> Option<(&'a [u32], f64)> {
    let (order, inverse) = positions.split_at_mut(s.rows);
    let odd = T::lu(a, s.columns, order, inverse, stack);
    let pivots = a.iter().step_by(s.rows + 1).take(s.least());
    for pivot in pivots {
        let pivot = pivot.to();
        if pivot == 0.0 || !pivot.is_finite() {
            return None;
        }
    }
    let sign = if odd { -1.0 } else { 1.0 };
    Some((order, sign))
}

fn reflect<T: Real>(a: &[T], q: &mut [T], r: &mut [T], s: Shape2, work: Work<'_, T>) {
    let (m, n, k) = (s.rows, s.columns, s.least());
    by_columns(a, work.first, s);
    T::qr(work.first, m, n, work.third, work.stack);
    for i in 0..k {
        for j in 0..n {
            r[i * n + j] = if j < i {
                T::of(0.0)
            } else {
                work.first[j * m + i]
            };
        }
    }
    work.second.fill(T::of(0.0));
    for i in 0..k {
        work.second[i * m + i] = T::of(1.0);
    }
    T::reflect(work.first, m, n, work.third, work.second, work.stack);
    by_rows(
        work.second,
        q,
        Shape2 {
            rows: m,
            columns: k,
        },
    );
}

/// Symmetric matrices stand the same way row by row and column by column.
fn half_sum<T: Real>(a: &[T], to: &mut [T], n: usize) {
    for i in 0..n {
        for j in 0..n {
            to[i * n + j] = T::of(0.5 * (a[i * n + j].to() + a[j * n + i].to()));
        }
    }
}

/// From rows one after another to columns.
fn by_columns<T: Real>(from: &[T], to: &mut [T], s: Shape2) {
    for (i, row) in from.chunks_exact(s.columns).enumerate() {
        for (j, x) in row.iter().enumerate() {
            to[j * s.rows + i] = *x;
        }
    }
}

/// From columns one after another to rows.
fn by_rows<T: Real>(from: &[T], to: &mut [T], s: Shape2) {
    for (j, column) in from.chunks_exact(s.rows).enumerate() {
        for (i, x) in column.iter().enumerate() {
            to[i * s.columns + j] = *x;
        }
    }
}
