//! The discrete Fourier transform of the reference evaluator: by definition for prime lengths, by
//! decimation in time for all others.

use cotangent_array::Complex64;

use crate::complex;

/// X_k = sum over j of x_j e^(-2 pi i j k / n) in place; with `inverse` the sign of the exponent is
/// plus. Nothing is scaled. Beside an infinity or a NaN every X_k is NaN, so that the order of
/// additions does not show.
///
/// A length n = p m with the smallest prime factor p is p transforms of length m (J. W. Cooley and
/// J. W. Tukey, An Algorithm for the Machine Calculation of Complex Fourier Series, 1965).
pub fn transform(x: &mut [Complex64], inverse: bool) {
    let n = x.len();
    if !x.iter().all(|z| z.is_finite()) {
        return x.fill(Complex64::new(f64::NAN, f64::NAN));
    }
    let roots: Vec<Complex64> = (0..n)
        .map(|k| {
            let root = root(k, n);
            if inverse { root } else { root.conj() }
        })
        .collect();
    let input = x.to_vec();
    step(&input, 1, x, &roots);
}

/// Transforms every `stride`-th element of `x` into `out`.
fn step(x: &[Complex64], stride: usize, out: &mut [Complex64], roots: &[Complex64]) {
    let n = out.len();
    let Some(p) = (2..=n).find(|p| n.is_multiple_of(*p)) else {
        if let (Some(out), Some(x)) = (out.first_mut(), x.first()) {
            *out = *x;
        }
        return;
    };
    let m = n / p;
    let mut parts = vec![Complex64::new(0.0, 0.0); n];
    for (r, part) in parts.chunks_mut(m).enumerate() {
        step(x.get(r * stride..).unwrap_or(&[]), stride * p, part, roots);
    }
    // The roots of length n are every (N / n)-th of the whole length N.
    let every = roots.len() / n;
    for (k, out) in out.iter_mut().enumerate() {
        *out = Complex64::new(0.0, 0.0);
        let mut at = 0;
        for r in 0..p {
            *out += complex::mul(parts[r * m + k % m], roots[at * every]);
            at = (at + k) % n;
        }
    }
}

/// e^(2 pi i k / n) for k below n, from an angle of at most an eighth of a turn, so that every root is
/// right to the last bit or nearly so and symmetric ones are exactly symmetric.
pub fn root(k: usize, n: usize) -> Complex64 {
    // The angle in units of a turn / 4n, so that halves and quarters of a turn are whole numbers.
    let (n, k) = (n as u128, 4 * k as u128);
    let below = k > 2 * n;
    let k = if below { 4 * n - k } else { k };
    let left = k > n;
    let k = if left { 2 * n - k } else { k };
    let steep = 2 * k > n;
    let k = if steep { n - k } else { k };
    let angle = std::f64::consts::FRAC_PI_2 * (k as f64 / n as f64);
    let (sin, cos) = (angle.sin(), angle.cos());
    let (x, y) = if steep { (sin, cos) } else { (cos, sin) };
    Complex64::new(if left { -x } else { x }, if below { -y } else { y })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_follows_the_definition() {
        for n in 1..=40_usize {
            let x: Vec<Complex64> = (0..n)
                .map(|j| Complex64::new((j * j % 7) as f64 - 3.0, (j % 5) as f64))
                .collect();
            for inverse in [false, true] {
                let mut found = x.clone();
                transform(&mut found, inverse);
                for (k, found) in found.iter().enumerate() {
                    let mut sum = Complex64::new(0.0, 0.0);
                    for (j, x) in x.iter().enumerate() {
                        let turn = 2.0 * std::f64::consts::PI * (j * k % n) as f64 / n as f64;
                        let turn = if inverse { turn } else { -turn };
                        sum += x * Complex64::new(turn.cos(), turn.sin());
                    }
                    assert!(
                        complex::abs(found - sum) < 1e-12,
                        "{n}, {k}: {found} and {sum}"
                    );
                }
            }
        }
        transform(&mut [], false);
        let mut infinite = [Complex64::new(0.0, f64::INFINITY), Complex64::new(1.0, 0.0)];
        transform(&mut infinite, false);
        assert!(infinite.iter().all(|z| z.re.is_nan() && z.im.is_nan()));
    }

    #[test]
    fn roots_are_symmetric() {
        assert_eq!(root(0, 8), Complex64::new(1.0, 0.0));
        assert_eq!(root(2, 8), Complex64::new(0.0, 1.0));
        assert_eq!(root(4, 8), Complex64::new(-1.0, 0.0));
        assert_eq!(root(6, 8), Complex64::new(0.0, -1.0));
        for n in 1..50 {
            for k in 1..n {
                assert_eq!(root(k, n), root(n - k, n).conj());
            }
        }
    }
}
