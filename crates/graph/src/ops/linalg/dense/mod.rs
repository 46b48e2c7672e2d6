//! Plain loops over row-major matrices of f64: what each factorisation means, in the order of a
//! textbook (Golub and Van Loan, "Matrix Computations"). Small matrices run through them in every
//! way of running; larger ones may go through faster kernels.

mod exponential;
mod jacobi;
mod lu;
mod reflect;
mod triangle;

pub use exponential::{exponential, exponential_work};
pub use jacobi::{Vectors, eigh, eigh_work, svd, svd_work};
pub use lu::{determinant, lu, solve};
pub use reflect::qr;
pub use triangle::{Triangle, cholesky, triangular_solve};

/// c = a b, where a is m x k and b is k x n.
pub fn multiply(a: &[f64], b: &[f64], c: &mut [f64], k: usize, n: usize) {
    c.fill(0.0);
    if n == 0 || k == 0 {
        return;
    }
    for (row, c) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        for (x, b) in row.iter().zip(b.chunks_exact(n)) {
            for (c, y) in c.iter_mut().zip(b) {
                *c += x * y;
            }
        }
    }
}

/// b = aᵀ, where a is m x n.
pub fn transpose(a: &[f64], b: &mut [f64], n: usize) {
    if n == 0 {
        return;
    }
    let m = a.len() / n;
    for (i, row) in a.chunks_exact(n).enumerate() {
        for (j, x) in row.iter().enumerate() {
            b[j * m + i] = *x;
        }
    }
}

/// The sign that makes a vector's leading entry positive: of the first entry whose magnitude is
/// within a thousandth of the largest one, so that equal entries, rounded, do not decide it.
pub fn leading_sign(vector: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = vector.clone().fold(0.0_f64, |m, x| m.max(x.abs()));
    let mut vector = vector;
    match vector.find(|x| x.abs() >= 0.999 * largest) {
        Some(x) if x < 0.0 => -1.0,
        _ => 1.0,
    }
}

/// A power of two near the largest magnitude, 1 for zeros: dividing by it rounds nothing and keeps
/// sums of squares from overflowing.
pub fn scale_of(a: &[f64]) -> f64 {
    let largest = a.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return 1.0;
    }
    // Kept inside of what a reciprocal can hold.
    largest.log2().floor().clamp(-1000.0, 1000.0).exp2()
}
