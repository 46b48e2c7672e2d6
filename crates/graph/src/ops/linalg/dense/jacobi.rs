//! Jacobi's rotations: eigenvalues of symmetric matrices, and singular values (Golub and Van Loan,
//! sections 8.5 and 8.6). Slow and exact, and the sweeps are counted, so nothing runs for ever.

use super::{leading_sign, scale_of, transpose};

/// Sweeps converge quadratically: ten are many.
const SWEEPS: usize = 60;

/// The numbers of working memory that [`eigh`] wants.
pub fn eigh_work(n: usize) -> usize {
    n.saturating_mul(n).saturating_mul(2).saturating_add(n)
}

/// Eigenvalues of the symmetric part of `a` in increasing order, and eigenvectors in the columns of
/// `vectors`, where these are wanted; the leading entry of each is positive.
pub fn eigh(
    a: &[f64],
    values: &mut [f64],
    vectors: Option<&mut [f64]>,
    n: usize,
    work: &mut [f64],
) {
    let scale = scale_of(a);
    let (s, rest) = work.split_at_mut(n * n);
    let (v, order) = rest.split_at_mut(n * n);
    for i in 0..n {
        for j in 0..n {
            s[i * n + j] = 0.5 * (a[i * n + j] / scale + a[j * n + i] / scale);
            v[i * n + j] = f64::from(i == j);
        }
    }
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let off = s[p * n + q];
                let (x, y) = (s[p * n + p], s[q * n + q]);
                if off == 0.0 || off.abs() <= 1e-17 * (x.abs() * y.abs()).sqrt() {
                    continue;
                }
                if off.abs() < 1e-300 {
                    (s[p * n + q], s[q * n + p]) = (0.0, 0.0);
                    continue;
                }
                rotated = true;
                let (c, d, t) = rotation(x, y, off);
                for k in 0..n {
                    let (a, b) = (s[k * n + p], s[k * n + q]);
                    (s[k * n + p], s[k * n + q]) = (c * a - d * b, d * a + c * b);
                }
                for k in 0..n {
                    let (a, b) = (s[p * n + k], s[q * n + k]);
                    (s[p * n + k], s[q * n + k]) = (c * a - d * b, d * a + c * b);
                }
                (s[p * n + p], s[q * n + q]) = (x - t * off, y + t * off);
                (s[p * n + q], s[q * n + p]) = (0.0, 0.0);
                for k in 0..n {
                    let (a, b) = (v[k * n + p], v[k * n + q]);
                    (v[k * n + p], v[k * n + q]) = (c * a - d * b, d * a + c * b);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    sorted(&mut order[..n], |i, j| {
        s[i * n + i].total_cmp(&s[j * n + j])
    });
    for (value, i) in values.iter_mut().zip(order.iter()) {
        let i = *i as usize;
        *value = s[i * n + i] * scale;
    }
    let Some(vectors) = vectors else { return };
    for (j, from) in order[..n].iter().enumerate() {
        let from = *from as usize;
        let sign = leading_sign((0..n).map(|i| v[i * n + from]));
        for i in 0..n {
            vectors[i * n + j] = sign * v[i * n + from];
        }
    }
}

/// Cosine, sine and tangent of the rotation that makes (x, off; off, y) diagonal.
fn rotation(x: f64, y: f64, off: f64) -> (f64, f64, f64) {
    let tau = (y - x) / (2.0 * off);
    let t = if tau.is_finite() {
        let t = 1.0 / (tau.abs() + (1.0 + tau * tau).sqrt());
        if tau < 0.0 { -t } else { t }
    } else {
        0.0
    };
    let c = 1.0 / (1.0 + t * t).sqrt();
    (c, t * c, t)
}

/// The numbers of working memory that [`svd`] wants.
pub fn svd_work(rows: usize, columns: usize) -> usize {
    let k = rows.min(columns);
    let both = rows.saturating_mul(columns);
    // The matrix, tall; both factors; their order.
    both.saturating_mul(2)
        .saturating_add(k.saturating_mul(k))
        .saturating_add(k)
}

/// Where [`svd`] writes singular vectors: U, rows x k, and Vᵀ, k x columns.
pub type Vectors<'a> = (&'a mut [f64], &'a mut [f64]);

/// The singular values of `a`, m x n, in decreasing order, and the vectors where these are wanted:
/// a = U diag(s) Vᵀ. The leading entry of each column of U is positive. One-sided: columns are
/// rotated until they stand at right angles.
pub fn svd(
    a: &[f64],
    values: &mut [f64],
    vectors: Option<Vectors<'_>>,
    [m, n]: [usize; 2],
    work: &mut [f64],
) {
    let (tall, wide) = (m.max(n), m.min(n));
    let (rows, k) = (tall, wide);
    let scale = scale_of(a);
    // Columns are kept as rows, one behind the other, so that a rotation reads along memory.
    let (w, rest) = work.split_at_mut(m * n);
    let (left, rest) = rest.split_at_mut(m * n);
    let (v, order) = rest.split_at_mut(k * k);
    if m >= n {
        transpose(a, w, n);
    } else {
        w.copy_from_slice(a);
    }
    for x in w.iter_mut() {
        *x /= scale;
    }
    for (i, x) in v.iter_mut().enumerate() {
        *x = f64::from(i % (k + 1) == 0);
    }
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..k {
            for q in p + 1..k {
                let (x, y) = pair(w, p, q, rows);
                let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
                for (x, y) in x.iter().zip(y.iter()) {
                    (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
                }
                if xy == 0.0 || xy.abs() <= 1e-15 * (xx * yy).sqrt() {
                    continue;
                }
                rotated = true;
                let (c, d, _) = rotation(xx, yy, xy);
                rotate(x, y, c, d);
                let (x, y) = pair(v, p, q, k);
                rotate(x, y, c, d);
            }
        }
        if !rotated {
            break;
        }
    }
    let norm = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().sqrt();
    for i in 0..k {
        left[i] = norm(&w[i * rows..(i + 1) * rows]);
    }
    sorted(&mut order[..k], |i, j| left[j].total_cmp(&left[i]));
    for (value, i) in values.iter_mut().zip(order.iter()) {
        *value = left[*i as usize] * scale;
    }
    let Some((u, vt)) = vectors else { return };
    // The unit vectors of the long side, in order; where a singular value is 0, any that completes
    // the others.
    for (j, from) in order[..k].iter().enumerate() {
        let from = *from as usize;
        let length = norm(&w[from * rows..(from + 1) * rows]);
        let (done, own) = left.split_at_mut(j * rows);
        let own = &mut own[..rows];
        if length > 0.0 {
            for (x, y) in own.iter_mut().zip(&w[from * rows..(from + 1) * rows]) {
                *x = y / length;
            }
            // Columns that are tiny beside the others have lost their right angles to rounding.
            if length < 1e-8 {
                straighten(own, done, rows);
            }
        } else {
            own.fill(0.0);
        }
        let mut next = 0;
        while norm(own) < 0.5 && next < rows {
            own.fill(0.0);
            own[next] = 1.0;
            straighten(own, done, rows);
            next += 1;
        }
    }
    for j in 0..k {
        let long = &left[j * rows..(j + 1) * rows];
        let from = order[j] as usize;
        let short = &v[from * k..(from + 1) * k];
        let (of_u, of_v) = if m >= n { (long, short) } else { (short, long) };
        let sign = leading_sign(of_u.iter().copied());
        for (i, x) in of_u.iter().enumerate() {
            u[i * k + j] = sign * x;
        }
        for (i, x) in of_v.iter().enumerate() {
            vt[j * n + i] = sign * x;
        }
    }
}

/// Takes from a vector what lies along others of length 1, twice against rounding, and makes its
/// length 1; zero where little is left.
fn straighten(own: &mut [f64], others: &[f64], rows: usize) {
    for _ in 0..2 {
        for other in others.chunks_exact(rows) {
            let along: f64 = own.iter().zip(other).map(|(x, y)| x * y).sum();
            for (x, y) in own.iter_mut().zip(other) {
                *x -= along * y;
            }
        }
        let length = own.iter().map(|x| x * x).sum::<f64>().sqrt();
        // Of the unit vectors one has at least this much left.
        if length * (rows as f64).sqrt() < 0.1 {
            own.fill(0.0);
            return;
        }
        for x in own.iter_mut() {
            *x /= length;
        }
    }
}

/// Two different rows.
fn pair(w: &mut [f64], p: usize, q: usize, columns: usize) -> (&mut [f64], &mut [f64]) {
    let (before, after) = w.split_at_mut(q * columns);
    (
        &mut before[p * columns..(p + 1) * columns],
        &mut after[..columns],
    )
}

fn rotate(x: &mut [f64], y: &mut [f64], c: f64, d: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (c * *x - d * *y, d * *x + c * *y);
    }
}

/// Positions in order; equal ones stay as they stand.
fn sorted(order: &mut [f64], compare: impl Fn(usize, usize) -> std::cmp::Ordering) {
    for (i, place) in order.iter_mut().enumerate() {
        *place = i as f64;
    }
    for i in 1..order.len() {
        let mut j = i;
        while j > 0 && compare(order[j] as usize, order[j - 1] as usize).is_lt() {
            order.swap(j, j - 1);
            j -= 1;
        }
    }
}
