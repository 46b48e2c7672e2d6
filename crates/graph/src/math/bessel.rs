//! Bessel functions of whole order.
//!
//! Formulas are numbered as in the Digital Library of Mathematical Functions (DLMF). J and Y come
//! from `libm`. I and K are computed from sums whose terms all have one sign wherever that can be,
//! so that no digits cancel.

use std::f64::consts::PI;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// J_n(x), the Bessel function of the first kind, n >= 0.
pub fn bessel_j(n: i64, x: f64) -> f64 {
    match n {
        0 => libm::j0(x),
        1 => libm::j1(x),
        _ => libm::jn(order(n), x),
    }
}

/// Y_n(x), the Bessel function of the second kind, n >= 0: -inf at 0, NaN below.
pub fn bessel_y(n: i64, x: f64) -> f64 {
    match n {
        _ if x < 0.0 => f64::NAN,
        0 => libm::y0(x),
        1 => libm::y1(x),
        _ => libm::yn(order(n), x),
    }
}

/// I_n(x), the modified Bessel function of the first kind, n >= 0.
pub fn bessel_i(n: i64, x: f64) -> f64 {
    let size = x.abs();
    if size < SERIES {
        return odd(n, x, power_series(n, size));
    }
    if size == f64::INFINITY {
        return odd(n, x, size);
    }
    // In two steps, because exp(x) overflows before I_n(x) does.
    let half = (0.5 * size).exp();
    odd(n, x, scaled_far(n, size) * half * half)
}

/// exp(-|x|) I_n(x), which never overflows.
pub fn bessel_ie(n: i64, x: f64) -> f64 {
    let size = x.abs();
    let scaled = if size < SERIES {
        power_series(n, size) * (-size).exp()
    } else {
        scaled_far(n, size)
    };
    odd(n, x, scaled)
}

/// K_n(x), the modified Bessel function of the second kind, n >= 0: inf at 0, NaN below.
pub fn bessel_k(n: i64, x: f64) -> f64 {
    if x <= NEAR {
        return upward(n, x, near(x));
    }
    upward(n, x, far(x)) * (-x).exp()
}

/// exp(x) K_n(x), which does not vanish for large x.
pub fn bessel_ke(n: i64, x: f64) -> f64 {
    if x <= NEAR {
        return upward(n, x, near(x)) * x.exp();
    }
    upward(n, x, far(x))
}

/// Up to here the power series of I_n, whose terms are all positive, needs at most 50 terms.
const SERIES: f64 = 20.0;

/// Up to here the series of K_0 cancels nothing.
const NEAR: f64 = 1.0;

fn order(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// I_n is odd for odd n.
fn odd(n: i64, x: f64, value: f64) -> f64 {
    if n % 2 == 1 && x.is_sign_negative() {
        -value
    } else {
        value
    }
}

/// DLMF 10.25.2: (x/2)^n / n! times the sum of (x^2/4)^k n! / (k! (n + k)!).
fn power_series(n: i64, x: f64) -> f64 {
    let first = (1..=n).fold(1.0, |p, k| p * (0.5 * x) / k as f64);
    let square = 0.25 * x * x;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= square / (k * (k + n as f64));
        sum += term;
        k += 1.0;
    }
    first * sum
}

/// exp(-x) I_n(x) for x >= 20.
fn scaled_far(n: i64, x: f64) -> f64 {
    if x == f64::INFINITY {
        return 0.0;
    }
    if x.is_nan() || (n * n) as f64 > x {
        return recurred(n, x);
    }
    // DLMF 10.40.1. The terms shrink until k is about 2x, far below rounding.
    let m = (4 * n * n) as f64;
    let (mut term, mut sum, mut k) = (1.0_f64, 1.0_f64, 1.0);
    while term.abs() > 1e-17 * sum.abs() && k < 2.0 * x {
        let odd = 2.0 * k - 1.0;
        term *= -(m - odd * odd) / (8.0 * k * x);
        sum += term;
        k += 1.0;
    }
    sum / ((2.0 * PI).sqrt() * x.sqrt())
}

/// exp(-x) I_n(x) by Miller's algorithm: the recurrence I_(k-1) = I_(k+1) + (2k/x) I_k run
/// downward from far above (DLMF 3.6), scaled so that I_0 + 2 (I_1 + I_2 + ...) = exp(x)
/// (DLMF 10.35.5). All terms are positive.
fn recurred(n: i64, x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    // I_k / I_0 falls as exp(-k^2 / 2x), and faster beyond k = x.
    let start = n + 20 + (9.0 * x.sqrt()) as i64;
    let (mut above, mut here, mut sum, mut wanted) = (0.0, 1e-300, 0.0, 0.0);
    let mut k = start;
    while k > 0 {
        if k == n {
            wanted = here;
        }
        sum += 2.0 * here;
        (above, here) = (here, above + 2.0 * k as f64 / x * here);
        k -= 1;
    }
    if n == 0 {
        wanted = here;
    }
    wanted / (sum + here)
}

/// K_0 and K_1 for x up to 1.
fn near(x: f64) -> (f64, f64) {
    if x < 0.0 {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 {
        return (f64::INFINITY, f64::INFINITY);
    }
    let i0 = power_series(0, x);
    // DLMF 10.31.2: -(log(x/2) + Euler's constant) I_0 + the sum of H_k (x^2/4)^k / k!^2.
    let square = 0.25 * x * x;
    let (mut term, mut harmonic, mut sum) = (1.0, 0.0, 0.0);
    for k in 1..=20 {
        let k = f64::from(k);
        term *= square / (k * k);
        harmonic += 1.0 / k;
        sum += term * harmonic;
    }
    let k0 = -((0.5 * x).ln() + EULER) * i0 + sum;
    // DLMF 10.28.2: I_0 K_1 + I_1 K_0 = 1/x.
    (k0, (1.0 / x - power_series(1, x) * k0) / i0)
}

/// exp(x) K_0(x) and exp(x) K_1(x) for x above 1, from K_n(x) = the integral over t >= 0 of
/// exp(-x cosh t) cosh(n t) (DLMF 10.32.9). The trapezoidal rule converges exponentially for it.
fn far(x: f64) -> (f64, f64) {
    if !x.is_finite() {
        return (1.0 / x, 1.0 / x);
    }
    // Two bounds on the error below 1e-17: the peak of width 1 / sqrt(x), and the strip of
    // analyticity of width pi/2 that counts for small x.
    let step = (0.65 / x.sqrt()).min(0.2);
    let (mut k0, mut k1, mut i) = (0.5, 0.5, 1.0);
    loop {
        let t: f64 = i * step;
        let s = (0.5 * t).sinh();
        // cosh t - 1 without cancellation.
        let rise = 2.0 * s * s;
        let weight = (-x * rise).exp();
        k0 += weight;
        k1 += weight * (1.0 + rise);
        if weight * (1.0 + rise) < 1e-18 {
            return (k0 * step, k1 * step);
        }
        i += 1.0;
    }
}

/// The n-th of a sequence with K_(k+1) = K_(k-1) + (2k/x) K_k (DLMF 10.29.1), stable upward.
fn upward(n: i64, x: f64, (k0, k1): (f64, f64)) -> f64 {
    let (mut here, mut next) = (k0, k1);
    for k in 1..=n {
        (here, next) = (next, here + 2.0 * k as f64 / x * next);
    }
    here
}
