//! The exponential of a matrix by scaling and squaring (Higham, "The scaling and squaring method
//! for the matrix exponential revisited", SIAM J. Matrix Anal. Appl. 26, 2005).

use super::{lu, multiply};
use crate::ops::linalg::MatrixFault;

/// Coefficients of the numerator of the diagonal Padé approximant of degree 13 to exp; those of the
/// denominator have alternating signs.
const PADE: [f64; 14] = [
    64_764_752_532_480_000.0,
    32_382_376_266_240_000.0,
    7_771_770_303_897_600.0,
    1_187_353_796_428_800.0,
    129_060_195_264_000.0,
    10_559_470_521_600.0,
    670_442_572_800.0,
    33_522_128_640.0,
    1_323_241_920.0,
    40_840_800.0,
    960_960.0,
    16_380.0,
    182.0,
    1.0,
];

/// The 1-norm up to which degree 13 is right to f64 (theta_13 in the paper).
const LIMIT: f64 = 5.371_920_351_148_152;

/// The numbers of working memory that [`exponential`] wants.
pub fn exponential_work(n: usize) -> usize {
    let square = n.saturating_mul(n);
    square.saturating_mul(7).saturating_add(n)
}

/// The exponential of `a`, n x n.
pub fn exponential(
    a: &[f64],
    out: &mut [f64],
    n: usize,
    work: &mut [f64],
) -> Result<(), MatrixFault> {
    let size = n * n;
    let norm = (0..n)
        .map(|j| (0..n).map(|i| a[i * n + j].abs()).sum::<f64>())
        .fold(0.0, f64::max);
    let mut squarings = 0;
    let mut by = 1.0;
    // 2^1100 is beyond every finite norm.
    while norm * by > LIMIT && squarings < 1100 {
        squarings += 1;
        by *= 0.5;
    }
    let (x, rest) = work.split_at_mut(size);
    let (x2, rest) = rest.split_at_mut(size);
    let (x4, rest) = rest.split_at_mut(size);
    let (x6, rest) = rest.split_at_mut(size);
    let (sum, rest) = rest.split_at_mut(size);
    for (x, a) in x.iter_mut().zip(a) {
        *x = a * by;
    }
    multiply(x, x, x2, n, n);
    multiply(x2, x2, x4, n, n);
    multiply(x2, x4, x6, n, n);
    // sum = x6 (c6 x6 + c4 x4 + c2 x2) + d6 x6 + d4 x4 + d2 x2 + d0, as the paper groups it.
    let mut grouped = |out: &mut [f64], c: [f64; 3], d: [f64; 4]| {
        for i in 0..size {
            sum[i] = c[0] * x6[i] + c[1] * x4[i] + c[2] * x2[i];
        }
        multiply(x6, sum, out, n, n);
        for i in 0..size {
            out[i] += d[0] * x6[i] + d[1] * x4[i] + d[2] * x2[i];
        }
        for i in 0..n {
            out[i * n + i] += d[3];
        }
    };
    let p = &PADE;
    let (odd, rest) = rest.split_at_mut(size);
    grouped(out, [p[13], p[11], p[9]], [p[7], p[5], p[3], p[1]]);
    multiply(x, out, odd, n, n);
    grouped(out, [p[12], p[10], p[8]], [p[6], p[4], p[2], p[0]]);
    // (even - odd) r = even + odd
    for i in 0..size {
        x4[i] = out[i] + odd[i];
        rest[i] = out[i] - odd[i];
    }
    lu::solve(x4, out, n, n, &mut rest[..size + n])?;
    for _ in 0..squarings {
        multiply(out, out, x, n, n);
        out.copy_from_slice(x);
    }
    Ok(())
}
