//! The Hurwitz zeta function and its derivatives to both operands.

use super::taylor::{Extent, Number, Series};
use super::{BERNOULLI, factorial, polygamma, powi};

/// zeta(s, q), the sum over j >= 0 of (q + j)^-s, or its derivative of the orders given to s and q
/// (DLMF 25.11.1); for s < 1 its analytic continuation.
pub fn zeta([n, k]: [u8; 2], s: f64, q: f64) -> f64 {
    let (n, k) = (usize::from(n), usize::from(k));
    if s.is_nan() || q.is_nan() || q == f64::NEG_INFINITY || s < LEAST {
        return f64::NAN;
    }
    if n + k == 0 && (s == 1.0 || (q <= 0.0 && q == q.floor() && s > 1.0)) {
        return f64::INFINITY;
    }
    if q < 0.0 {
        return match n {
            0 => below_0(s, k, q),
            _ => f64::NAN,
        };
    }
    if q == f64::INFINITY {
        return at_infinity(n, k, s);
    }
    if s == f64::INFINITY {
        // Only the first term can be above 0.
        return if n + k == 0 { q.powf(-s) } else { f64::NAN };
    }
    match n {
        0 => euler_maclaurin::<f64>([1, 1, 1], s, k, q),
        n => euler_maclaurin::<Series>([n + 1, 1, 1], s, k, q).derivative([n, 0, 0]),
    }
}

/// The continuation is computed down to here: further below, the terms that cancel are too large.
const LEAST: f64 = -10.0;

/// For large q zeta is near q^(1-s) / (s - 1).
fn at_infinity(n: usize, k: usize, s: f64) -> f64 {
    let power = s + k as f64 - 1.0;
    if power > 0.0 {
        return 0.0;
    }
    if n + k == 0 {
        return f64::NEG_INFINITY;
    }
    f64::NAN
}

/// For q < 0 only whole powers are real: by reflection, as for polygamma.
fn below_0(s: f64, k: usize, q: f64) -> f64 {
    let power = s + k as f64;
    if s != s.floor() || power < 2.0 || s < 1.0 || q == q.floor() || s > 1e9 {
        return f64::NAN;
    }
    let sign = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
    let rising = (0..k).fold(sign, |r, i| r * (s + i as f64));
    let power = power as i64;
    if power <= 40 {
        // polygamma of order m is (-1)^(m+1) m! zeta(m + 1).
        let sign = if power % 2 == 0 { 1.0 } else { -1.0 };
        return rising * sign * polygamma(power - 1, q) / factorial(power - 1);
    }
    // The nearest terms alone.
    let nearest = q - q.round();
    let mut sum = 0.0;
    for j in -4..=4 {
        let base = nearest + f64::from(j);
        if f64::from(j) >= q.round() {
            sum += powi(base, -power);
        }
    }
    rising * sum
}

/// Euler-Maclaurin summation (DLMF 25.11.7 and, differentiated to q, 25.11.17).
fn euler_maclaurin<N: Number>(extent: Extent, s: f64, k: usize, q: f64) -> N {
    let order = k as f64;
    // base^(-s-k), along s.
    let power = |base: f64| {
        let log = base.ln();
        let at = |[i, _, _]: [usize; 3]| if i == 1 { -log } else { 0.0 };
        N::exp(extent, base.powf(-s - order), at)
    };
    // s (s + 1) ... (s + i - 1)
    let factor = |i: usize| N::linear(extent, s + i as f64, [1.0, 0.0]);
    let mut rising = N::constant(extent, 1.0);
    let mut before = N::constant(extent, 1.0).over(&factor(0).minus(&N::constant(extent, 1.0)));
    for i in 0..k {
        before = rising.clone();
        rising = rising.times(&factor(i));
    }
    let until = if s < 1.0 { 8.0 } else { 12.0 + s.min(40.0) };
    let (mut base, mut sum) = (q, N::constant(extent, 0.0));
    while base < until {
        sum = sum.plus(&power(base));
        base += 1.0;
    }
    let mut rest = before.scaled(base).plus(&rising.scaled(0.5));
    let mut term = rising.times(&factor(k)).scaled(0.5 / base);
    for (i, b) in BERNOULLI.iter().enumerate() {
        let add = term.scaled(*b);
        rest = rest.plus(&add);
        if add.is_small_beside(&rest) {
            break;
        }
        let j = 2 * (i + 1);
        let next = factor(k + j - 1).times(&factor(k + j));
        let scale = 1.0 / ((j + 1) * (j + 2)) as f64 / (base * base);
        term = term.times(&next).scaled(scale);
    }
    let sign = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
    sum.times(&rising)
        .plus(&rest.times(&power(base)))
        .scaled(sign)
}
