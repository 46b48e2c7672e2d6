//! Products of matrices with any strides.

use crate::number::Number;

/// A matrix in memory: the elements from the first one on, and the steps from one row and from one
/// column to the next.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<T: Copy> Matrix<'_, T> {
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> T {
        self.elements[i * self.row + j * self.column]
    }

    /// Whether a matrix of this many rows and columns, both above 0, is inside the elements.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let row = (rows - 1).checked_mul(self.row);
        let last = row.and_then(|r| (columns - 1).checked_mul(self.column)?.checked_add(r));
        last.is_some_and(|last| last < self.elements.len())
    }

    fn transposed(self) -> Self {
        Matrix {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// Products with fewer multiplications than this are done by plain loops: packing would take longer.
const SMALL: usize = 512;

/// out[i, j] = sum over l of a[i, l] * b[l, j] for `m` rows and `n` columns, `k` terms each; rows
/// of the result are `step` elements apart and contiguous in themselves.
pub(super) fn multiply<T: Number>(
    [m, n, k]: [usize; 3],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    step: usize,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        return out
            .chunks_mut(step.max(1))
            .take(m)
            .for_each(|row| row[..n].fill(T::NOTHING));
    }
    if n == 1 && step == 1 {
        return times_vector(m, k, a, b.transposed(), &mut out[..m]);
    }
    if m == 1 {
        return times_vector(n, k, b.transposed(), a, &mut out[..n]);
    }
    if T::PACKED
        && m.saturating_mul(n).saturating_mul(k) > SMALL
        && packed([m, n, k], a, b, out, step)
    {
        return;
    }
    plain([m, n, k], a, b, out, step);
}

/// Row by row; the innermost loop runs along a row of the result and of `b`.
fn plain<T: Number>(
    [m, n, k]: [usize; 3],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    step: usize,
) {
    for (i, row) in out.chunks_mut(step).take(m).enumerate() {
        let row = &mut row[..n];
        row.fill(T::NOTHING);
        for l in 0..k {
            let x = a.at(i, l);
            if b.column == 1 {
                let b = &b.elements[l * b.row..][..n];
                row.iter_mut()
                    .zip(b)
                    .for_each(|(out, y)| *out = out.plus(x.times(*y)));
            } else {
                let b = b.elements[l * b.row..].iter().step_by(b.column);
                row.iter_mut()
                    .zip(b)
                    .for_each(|(out, y)| *out = out.plus(x.times(*y)));
            }
        }
    }
}

/// Products of `m` rows of `a` with the vector that is the first row of `x`.
fn times_vector<T: Number>(m: usize, k: usize, a: Matrix<'_, T>, x: Matrix<'_, T>, out: &mut [T]) {
    if a.column == 1 && x.column == 1 {
        let x = &x.elements[..k];
        for (i, out) in out.iter_mut().enumerate() {
            *out = inner(&a.elements[i * a.row..][..k], x);
        }
    } else if a.row == 1 {
        // Columns of `a` are contiguous: four at a time are added to the result.
        out.fill(T::NOTHING);
        let mut l = 0;
        while l + 4 <= k {
            let [p, q, r, s] = [l, l + 1, l + 2, l + 3].map(|l| &a.elements[l * a.column..][..m]);
            let [w, x, y, z] = [x.at(0, l), x.at(0, l + 1), x.at(0, l + 2), x.at(0, l + 3)];
            for ((out, (p, q)), (r, s)) in out.iter_mut().zip(p.iter().zip(q)).zip(r.iter().zip(s))
            {
                let (low, high) = (w.times(*p).plus(x.times(*q)), y.times(*r).plus(z.times(*s)));
                *out = out.plus(low.plus(high));
            }
            l += 4;
        }
        for l in l..k {
            let x = x.at(0, l);
            let column = &a.elements[l * a.column..][..m];
            out.iter_mut()
                .zip(column)
                .for_each(|(out, y)| *out = out.plus(x.times(*y)));
        }
    } else {
        for (i, out) in out.iter_mut().enumerate() {
            *out = (0..k).fold(T::NOTHING, |sum, l| sum.plus(a.at(i, l).times(x.at(0, l))));
        }
    }
}

/// The inner product of two vectors of one length, in lanes side by side.
fn inner<T: Number>(x: &[T], y: &[T]) -> T {
    const LANES: usize = 8;
    let mut sums = [T::NOTHING; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for lane in 0..LANES {
            sums[lane] = sums[lane].plus(x[lane].times(y[lane]));
        }
    }
    for (sum, (x, y)) in sums
        .iter_mut()
        .zip(xs.remainder().iter().zip(ys.remainder()))
    {
        *sum = sum.plus(x.times(*y));
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let (low, high) = (a.plus(e).plus(c.plus(g)), b.plus(f).plus(d.plus(h)));
    low.plus(high)
}

/// The product by the crate `gemm`, which packs and uses the vector instructions of the machine.
/// Does nothing and returns false when a matrix is not inside its elements.
fn packed<T: Number>(
    [m, n, k]: [usize; 3],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    step: usize,
) -> bool {
    let result = Matrix {
        elements: &*out,
        row: step,
        column: 1,
    };
    if !a.holds(m, k) || !b.holds(k, n) || !result.holds(m, n) || step < n {
        return false;
    }
    let (a_row, a_column) = (a.row as isize, a.column as isize);
    let (b_row, b_column) = (b.row as isize, b.column as isize);
    // SAFETY: all three matrices are inside their slices, which was just checked; rows of the result
    // do not overlap; `T` is one of the types that `gemm`
    // knows, as `PACKED` says.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            step as isize,
            false,
            a.elements.as_ptr(),
            a_column,
            a_row,
            b.elements.as_ptr(),
            b_column,
            b_row,
            T::NOTHING,
            T::from_scalar(cotangent_array::Scalar::one(T::DTYPE)),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_agree_with_the_definition() {
        let x: Vec<f64> = (0..4000).map(|i| ((i * 7919) % 31) as f64 - 15.0).collect();
        for [m, n, k] in [
            [1, 1, 1],
            [1, 9, 5],
            [9, 1, 5],
            [9, 1, 33],
            [3, 4, 0],
            [12, 13, 14],
            [2, 3, 4],
            [1, 7, 40],
        ] {
            for (a_row, a_column) in [(k.max(1), 1), (1, m), (3 * k + 1, 2)] {
                for (b_row, b_column) in [(n, 1), (1, k.max(1)), (2 * n, 2)] {
                    let a = Matrix {
                        elements: &x,
                        row: a_row,
                        column: a_column,
                    };
                    let b = Matrix {
                        elements: &x[7..],
                        row: b_row,
                        column: b_column,
                    };
                    let step = if n == 1 { 1 } else { n + 2 };
                    let mut out = vec![f64::NAN; m * step];
                    multiply([m, n, k], a, b, &mut out, step);
                    for i in 0..m {
                        for j in 0..n {
                            let sum: f64 = (0..k).map(|l| a.at(i, l) * b.at(l, j)).sum();
                            assert_eq!(out[i * step + j], sum, "{m} {n} {k} at {i} {j}");
                        }
                    }
                }
            }
        }
    }
}
