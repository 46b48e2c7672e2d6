//! Larger matrices by the blocked algorithms of [`faer`], on one thread.
//!
//! Matrices are copied column by column, as faer likes them, into working memory; what is left of it
//! is faer's stack. Signs and orders are made those that the plain loops give. A matrix that needs
//! care (an entry that is not finite, a pivot 0) goes to these.

mod spectral;

use std::mem::MaybeUninit;

use cotangent_array::DType;
use cotangent_graph::ops::Linalg;
use cotangent_graph::ops::linalg::{MatrixFault, Shape2, TriangularSolve};
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::svd::{self, ComputeSvdVectors};
use faer::linalg::{cholesky, householder, lu, qr, triangular_solve};
use faer::{Conj, MatMut, MatRef, Par};

use self::spectral::{decompose, is_spectral, widened};
use super::{Part, Plain, Site};
use crate::memory::{Frame, Run, Slot};
use crate::number::{Float, by_dtype};

/// Matrices with fewer rows or columns run through the plain loops, which are quicker there.
const LEAST: usize = 16;
/// Offsets in working memory are multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// A float that faer computes with.
trait Real: Float + faer::traits::RealField {}

impl Real for f32 {}
impl Real for f64 {}

/// The parts of working memory: numbers, positions, and faer's stack.
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
        let par = Par::Seq;
        let (numbers, positions, stack) = match op {
            Linalg::Cholesky(_) => {
                let stack = cholesky::llt::factor::cholesky_in_place_scratch::<T>(
                    n,
                    par,
                    Default::default(),
                );
                ([all, 0, 0], 0, stack)
            }
            Linalg::TriangularSolve(_) => ([0; 3], 0, StackReq::EMPTY),
            Linalg::Solve(_) | Linalg::Lu(_) | Linalg::Det(_) | Linalg::Slogdet(_) => {
                let stack = lu::partial_pivoting::factor::lu_in_place_scratch::<u32, T>(
                    m,
                    n,
                    par,
                    Default::default(),
                );
                ([all, 0, 0], m.checked_mul(2)?, stack)
            }
            Linalg::Qr(_) => {
                let block = qr::no_pivoting::factor::recommended_block_size::<T>(m, n);
                let stack = StackReq::any_of(&[
                    qr::no_pivoting::factor::qr_in_place_scratch::<T>(
                        m,
                        n,
                        block,
                        par,
                        Default::default(),
                    ),
                    householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(
                        m, block, k,
                    ),
                ]);
                ([all, m.checked_mul(k)?, block.checked_mul(k)?], 0, stack)
            }
            Linalg::Svd(_) | Linalg::Svdvals(_) => {
                let vectors = match op {
                    Linalg::Svd(_) => ComputeSvdVectors::Thin,
                    _ => ComputeSvdVectors::No,
                };
                let stack = svd::svd_scratch::<T>(m, n, vectors, vectors, par, Default::default());
                let u = m.checked_mul(k)?;
                ([u, 0, 0], 0, stack)
            }
            Linalg::Eigh(_) | Linalg::Eigvalsh(_) => {
                let vectors = match op {
                    Linalg::Eigh(_) => ComputeEigenvectors::Yes,
                    _ => ComputeEigenvectors::No,
                };
                let stack = evd::self_adjoint_evd_scratch::<T>(n, vectors, par, Default::default());
                ([all, all, 0], 0, stack)
            }
            Linalg::Pinv(_) | Linalg::Expm(_) | Linalg::ExpmFrechet(_) => return None,
        };
        Some(Layout {
            numbers,
            positions,
            stack: stack.unaligned_bytes_required(),
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
    stack: &'a mut MemStack,
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
                stack: MemStack::new(std::slice::from_raw_parts_mut(
                    frame.address(stack).cast::<MaybeUninit<u8>>(),
                    stack.len,
                )),
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
            let factors = MatRef::from_column_major_slice(&*work.first, s.rows, s.rows);
            let mut x = MatMut::from_row_major_slice_mut(x, s.rows, columns);
            triangular_solve::solve_unit_lower_triangular_in_place(factors, x.as_mut(), Par::Seq);
            triangular_solve::solve_upper_triangular_in_place(factors, x, Par::Seq);
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
    let matrix = MatMut::from_column_major_slice_mut(work.first, n, n);
    let done = cholesky::llt::factor::cholesky_in_place(
        matrix,
        Default::default(),
        Par::Seq,
        work.stack,
        Default::default(),
    );
    if let Err(cholesky::llt::factor::LltError::NonPositivePivot { index }) = done {
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
    let x = MatMut::from_row_major_slice_mut(x, n, columns);
    let a = MatRef::from_row_major_slice(a, n, n);
    let a = if op.transposed { a.transpose() } else { a };
    match (op.lower != op.transposed, op.unit_diagonal) {
        (true, false) => triangular_solve::solve_lower_triangular_in_place(a, x, Par::Seq),
        (true, true) => triangular_solve::solve_unit_lower_triangular_in_place(a, x, Par::Seq),
        (false, false) => triangular_solve::solve_upper_triangular_in_place(a, x, Par::Seq),
        (false, true) => triangular_solve::solve_unit_upper_triangular_in_place(a, x, Par::Seq),
    }
    Ok(())
}

/// Factors a matrix that stands column by column; the order of its rows and the sign of that.
/// `None` where a pivot is 0 or not a number.
fn eliminate<'a, T: Real>(
    a: &mut [T],
    positions: &'a mut [u32],
    s: Shape2,
    stack: &mut MemStack,
) -> Option<(&'a [u32], f64)> {
    let (order, inverse) = positions.split_at_mut(s.rows);
    let matrix = MatMut::from_column_major_slice_mut(a, s.rows, s.columns);
    let (info, _) = lu::partial_pivoting::factor::lu_in_place(
        matrix,
        order,
        inverse,
        Par::Seq,
        stack,
        Default::default(),
    );
    let pivots = a.iter().step_by(s.rows + 1).take(s.least());
    for pivot in pivots {
        let pivot = pivot.to();
        if pivot == 0.0 || !pivot.is_finite() {
            return None;
        }
    }
    let sign = if info.transposition_count % 2 == 0 {
        1.0
    } else {
        -1.0
    };
    Some((order, sign))
}

fn reflect<T: Real>(a: &[T], q: &mut [T], r: &mut [T], s: Shape2, work: Work<'_, T>) {
    let (m, n, k) = (s.rows, s.columns, s.least());
    by_columns(a, work.first, s);
    let block = qr::no_pivoting::factor::recommended_block_size::<T>(m, n);
    let mut factors = MatMut::from_column_major_slice_mut(work.third, block, k);
    qr::no_pivoting::factor::qr_in_place(
        MatMut::from_column_major_slice_mut(work.first, m, n),
        factors.as_mut(),
        Par::Seq,
        work.stack,
        Default::default(),
    );
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
    let basis = MatRef::from_column_major_slice(&work.first[..m * k], m, k);
    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        basis,
        factors.as_ref(),
        Conj::No,
        MatMut::from_column_major_slice_mut(work.second, m, k),
        Par::Seq,
        work.stack,
    );
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
