//! Gaussian elimination with partial pivoting.

use super::triangle::{Triangle, triangular_solve};
use crate::ops::linalg::MatrixFault;

/// Overwrites `a`, m x n, by its factors: U in and above the diagonal, L below it, whose diagonal
/// is all ones. Row `i` of L U is row `rows[i]` of `a`; the pivot is the first entry of largest magnitude.
/// Gives the sign of the permutation. A column without a pivot is left as it is.
pub fn lu(a: &mut [f64], rows: &mut [f64], n: usize) -> f64 {
    let m = rows.len();
    for (i, row) in rows.iter_mut().enumerate() {
        *row = i as f64;
    }
    let mut sign = 1.0;
    for j in 0..m.min(n) {
        let mut pivot = j;
        for i in j + 1..m {
            if a[i * n + j].abs() > a[pivot * n + j].abs() {
                pivot = i;
            }
        }
        if pivot != j {
            let (above, below) = a.split_at_mut(pivot * n);
            above[j * n..(j + 1) * n].swap_with_slice(&mut below[..n]);
            rows.swap(pivot, j);
            sign = -sign;
        }
        if a[j * n + j] == 0.0 {
            continue;
        }
        let (above, below) = a.split_at_mut((j + 1) * n);
        let top = &above[j * n..];
        for row in below.chunks_exact_mut(n) {
            let factor = row[j] / top[j];
            row[j] = factor;
            for (x, y) in row[j + 1..].iter_mut().zip(&top[j + 1..]) {
                *x -= factor * y;
            }
        }
    }
    sign
}

/// Writes the solution of a x = b to `x`, n x k. `work` holds n * n + n numbers: `a`, which is
/// overwritten, and the order of rows.
pub fn solve(
    b: &[f64],
    x: &mut [f64],
    n: usize,
    k: usize,
    work: &mut [f64],
) -> Result<(), MatrixFault> {
    let (a, rows) = work.split_at_mut(n * n);
    let rows = &mut rows[..n];
    lu(a, rows, n);
    if k > 0 {
        for (x, row) in x.chunks_exact_mut(k).zip(rows.iter()) {
            let from = *row as usize * k;
            x.copy_from_slice(&b[from..from + k]);
        }
    }
    let side = |lower: bool| Triangle {
        lower,
        unit: lower,
        transposed: false,
    };
    triangular_solve(a, x, n, k, side(true))?;
    triangular_solve(a, x, n, k, side(false))
}

/// The sign of the determinant of `a`, which is overwritten, and the logarithm of its magnitude
/// beside the magnitude itself.
pub fn determinant(a: &mut [f64], rows: &mut [f64], n: usize) -> (f64, f64, f64) {
    let mut sign = lu(a, rows, n);
    let (mut logarithm, mut product) = (0.0, 1.0);
    for i in 0..n {
        let pivot = a[i * n + i];
        product *= pivot.abs();
        logarithm += pivot.abs().ln();
        if pivot == 0.0 {
            sign = 0.0;
        } else if pivot < 0.0 {
            sign = -sign;
        }
    }
    (sign, logarithm, product)
}
