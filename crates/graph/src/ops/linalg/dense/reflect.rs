//! Householder's reflections.

use super::scale_of;

/// The reduced factors of `a`, m x n: Q, m x k, and R, k x n, with k the smaller of both. `work`
/// holds m * n + k numbers.
///
/// Each step reflects a column to a multiple of a unit vector, away from its leading entry: the
/// diagonal of R gets the other sign than that entry (LAPACK's `geqrf`). A column that is zero
/// behind its leading entry is left alone.
pub fn qr(a: &[f64], q: &mut [f64], r: &mut [f64], [m, n]: [usize; 2], work: &mut [f64]) {
    let k = m.min(n);
    let scale = scale_of(a);
    let (h, factors) = work.split_at_mut(m * n);
    for (h, a) in h.iter_mut().zip(a) {
        *h = a / scale;
    }
    for j in 0..k {
        let tail: f64 = (j + 1..m).map(|i| h[i * n + j] * h[i * n + j]).sum();
        if tail == 0.0 {
            factors[j] = 0.0;
            continue;
        }
        let head = h[j * n + j];
        let norm = (head * head + tail).sqrt();
        let target = if head < 0.0 { norm } else { -norm };
        // H = I - f v vᵀ with v = (1, tail / (head - target)).
        for i in j + 1..m {
            h[i * n + j] /= head - target;
        }
        let factor = (target - head) / target;
        factors[j] = factor;
        h[j * n + j] = target;
        for c in j + 1..n {
            let mut along = h[j * n + c];
            for i in j + 1..m {
                along += h[i * n + j] * h[i * n + c];
            }
            along *= factor;
            h[j * n + c] -= along;
            for i in j + 1..m {
                h[i * n + c] -= along * h[i * n + j];
            }
        }
    }
    for i in 0..k {
        for j in 0..n {
            r[i * n + j] = if j < i { 0.0 } else { h[i * n + j] * scale };
        }
    }
    // Q = H_0 .. H_(k-1) on the first k columns of the identity, the last reflection first.
    for i in 0..m {
        for j in 0..k {
            q[i * k + j] = f64::from(i == j);
        }
    }
    for j in (0..k).rev() {
        for c in j..k {
            let mut along = q[j * k + c];
            for i in j + 1..m {
                along += h[i * n + j] * q[i * k + c];
            }
            along *= factors[j];
            q[j * k + c] -= along;
            for i in j + 1..m {
                q[i * k + c] -= along * h[i * n + j];
            }
        }
    }
}
