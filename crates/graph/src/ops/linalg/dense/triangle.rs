//! Cholesky's factorisation, and systems with triangular matrices.

use crate::ops::linalg::MatrixFault;

/// The lower factor L of the symmetric part of `a`, (a + aᵀ) / 2 = L Lᵀ, row by row.
pub fn cholesky(a: &[f64], l: &mut [f64], n: usize) -> Result<(), MatrixFault> {
    l.fill(0.0);
    for i in 0..n {
        for j in 0..=i {
            let mut x = 0.5 * (a[i * n + j] + a[j * n + i]);
            for k in 0..j {
                x -= l[i * n + k] * l[j * n + k];
            }
            if i > j {
                l[i * n + j] = x / l[j * n + j];
            } else if x > 0.0 {
                l[i * n + i] = x.sqrt();
            } else {
                return Err(MatrixFault::Indefinite(i + 1));
            }
        }
    }
    Ok(())
}

/// Which triangle of a matrix is read, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Triangle {
    /// The lower triangle, or the upper one.
    pub lower: bool,
    /// Whether the diagonal counts as ones.
    pub unit: bool,
    /// Whether the triangle is transposed after it was read.
    pub transposed: bool,
}

/// Overwrites `x`, n x k, by the solution of op(a) x = b where it held b.
pub fn triangular_solve(
    a: &[f64],
    x: &mut [f64],
    n: usize,
    k: usize,
    triangle: Triangle,
) -> Result<(), MatrixFault> {
    let Triangle {
        lower,
        unit,
        transposed,
    } = triangle;
    if !unit && let Some(i) = (0..n).find(|i| a[i * n + i] == 0.0) {
        return Err(MatrixFault::Singular(i));
    }
    if k == 0 {
        return Ok(());
    }
    // A transposed lower triangle is solved as an upper one.
    let forward = lower != transposed;
    for step in 0..n {
        let i = if forward { step } else { n - 1 - step };
        let (before, rest) = x.split_at_mut(i * k);
        let (row, after) = rest.split_at_mut(k);
        let known = if forward { 0..i } else { i + 1..n };
        for j in known {
            let factor = if transposed {
                a[j * n + i]
            } else {
                a[i * n + j]
            };
            let other = if forward {
                &before[j * k..(j + 1) * k]
            } else {
                &after[(j - i - 1) * k..(j - i) * k]
            };
            for (x, y) in row.iter_mut().zip(other) {
                *x -= factor * y;
            }
        }
        if !unit {
            for x in row {
                *x /= a[i * n + i];
            }
        }
    }
    Ok(())
}
