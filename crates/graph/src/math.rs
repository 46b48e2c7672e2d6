//! Scalar functions that neither the standard library nor `libm` has.

mod bessel;
mod beta;
mod erf;
mod gamma;
mod taylor;
mod zeta;

pub use bessel::{bessel_i, bessel_ie, bessel_j, bessel_k, bessel_ke, bessel_y};
pub use beta::betainc;
pub use erf::{erfcinv, erfcx, erfinv, log_ndtr};
pub use gamma::{gammainc, gammaincc};
pub use zeta::zeta;

/// 1 / (1 + exp(-x)) without overflow.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// The product, and 0 where one factor is 0 and the other infinite or NaN.
#[inline(always)]
pub fn strong_product(x: f64, y: f64) -> f64 {
    let product = x * y;
    if product.is_nan() && (x == 0.0 || y == 0.0) {
        0.0
    } else {
        product
    }
}

/// The larger of two numbers; NaN if either is NaN; 0 is larger than -0.
pub fn max(x: f64, y: f64) -> f64 {
    if x > y || x.is_nan() || (x == y && x.is_sign_positive()) {
        x
    } else {
        y
    }
}

/// The smaller of two numbers; NaN if either is NaN; -0 is smaller than 0.
pub fn min(x: f64, y: f64) -> f64 {
    if x < y || x.is_nan() || (x == y && x.is_sign_negative()) {
        x
    } else {
        y
    }
}

/// NumPy's `remainder`: the result has the sign of the divisor; NaN for a zero divisor.
pub fn remainder(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r == 0.0 {
        return 0.0_f64.copysign(y);
    }
    if (r < 0.0) != (y < 0.0) { r + y } else { r }
}

/// Integer division toward minus infinity; 0 for a zero divisor; MIN / -1 wraps.
pub fn floor_div(x: i64, y: i64) -> i64 {
    if y == 0 {
        return 0;
    }
    let q = x.wrapping_div(y);
    if (x.wrapping_rem(y) != 0) && ((x < 0) != (y < 0)) {
        q - 1
    } else {
        q
    }
}

/// The remainder that belongs to [`floor_div`]; 0 for a zero divisor.
pub fn floor_rem(x: i64, y: i64) -> i64 {
    if y == 0 {
        return 0;
    }
    let r = x.wrapping_rem(y);
    if r != 0 && ((r < 0) != (y < 0)) {
        r.wrapping_add(y)
    } else {
        r
    }
}

/// Wrapping integer power; a negative exponent gives 0 except for the bases 1 and -1.
pub fn int_pow(x: i64, n: i64) -> i64 {
    if n < 0 {
        return match x {
            1 => 1,
            -1 if n % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut base, mut n, mut out) = (x, n, 1_i64);
    while n > 0 {
        if n & 1 == 1 {
            out = out.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        n >>= 1;
    }
    out
}

/// Bits moved left; 0 for a negative count or one of 64 and more.
pub fn shl(x: i64, by: i64) -> i64 {
    if (0..64).contains(&by) {
        x.wrapping_shl(by as u32)
    } else {
        0
    }
}

/// Bits moved right with the sign kept; 0 for a negative count.
pub fn shr(x: i64, by: i64) -> i64 {
    if by < 0 { 0 } else { x >> by.min(63) }
}

/// Whole powers by repeated squaring; a negative power is the reciprocal of the positive one.
pub fn powi(x: f64, n: i64) -> f64 {
    let (mut base, mut k, mut out) = (x, n.unsigned_abs(), 1.0);
    while k > 0 {
        if k & 1 == 1 {
            out *= base;
        }
        base *= base;
        k >>= 1;
    }
    if n < 0 { 1.0 / out } else { out }
}

/// Bernoulli numbers B(2k) for k = 1 to 12, exact fractions rounded.
const BERNOULLI: [f64; 12] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
    854513.0 / 138.0,
    -236364091.0 / 2730.0,
];

/// The logarithmic derivative of the gamma function.
///
/// Recurrence up to 12, then the asymptotic series; reflection for negative numbers
/// (Abramowitz and Stegun 6.3.5, 6.3.7, 6.3.18).
pub fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY.copysign(-x);
    }
    if x < 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // pi cot(pi x) from the distance to the nearest pole, so that digits are kept beside it.
        let fraction = x - x.round();
        let cot = std::f64::consts::PI / (std::f64::consts::PI * fraction).tan();
        return digamma(1.0 - x) - cot;
    }
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 12.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let mut power = inverse;
    let mut series = 0.0;
    for (k, b) in BERNOULLI.iter().enumerate().take(9) {
        series += b / (2.0 * (k as f64 + 1.0)) * power;
        power *= inverse;
    }
    sum + x.ln() - 0.5 / x - series
}

/// The n-th derivative of [`digamma`]: (-1)^(n+1) n! zeta(n+1, x) for x > 0, by reflection below 0.
pub fn polygamma(n: i64, x: f64) -> f64 {
    if n == 0 {
        return digamma(x);
    }
    let sign = if n % 2 == 0 { -1.0 } else { 1.0 };
    if x > 0.0 {
        return sign * factorial(n) * hurwitz_zeta(n + 1, x);
    }
    if x == x.floor() {
        // A pole of order n + 1: even orders agree on both sides, odd ones have no value.
        return if n % 2 == 1 { f64::INFINITY } else { f64::NAN };
    }
    // psi_n(1 - x) + (-1)^(n+1) psi_n(x) = (-1)^n pi d^n/dx^n cot(pi x) (A & S 6.4.7).
    let parity = if n % 2 == 0 { 1.0 } else { -1.0 };
    let reflected = sign * factorial(n) * hurwitz_zeta(n + 1, 1.0 - x);
    let fraction = x - x.round();
    parity * reflected - cot_derivative(n, fraction)
}

/// pi d^n/dx^n cot(pi x), by the polynomial in c = cot(pi x): d/dx c = -pi (1 + c^2).
fn cot_derivative(n: i64, x: f64) -> f64 {
    let c = 1.0 / (std::f64::consts::PI * x).tan();
    let mut p = vec![0.0, 1.0];
    for _ in 0..n {
        let mut next = vec![0.0; p.len() + 1];
        for (k, a) in p.iter().enumerate().skip(1) {
            let t = -(k as f64) * a * std::f64::consts::PI;
            next[k - 1] += t;
            next[k + 1] += t;
        }
        p = next;
    }
    std::f64::consts::PI * p.iter().rev().fold(0.0, |sum, a| sum * c + a)
}

fn factorial(n: i64) -> f64 {
    (2..=n).fold(1.0, |f, k| f * k as f64)
}

/// sum over k >= 0 of (x + k)^-s for whole s >= 2 and x > 0, by Euler-Maclaurin summation
/// (Abramowitz and Stegun 23.2.9 in its generalised form).
fn hurwitz_zeta(s: i64, x: f64) -> f64 {
    let (mut sum, mut x) = (0.0, x);
    let until = 12.0 + s as f64;
    while x < until {
        sum += powi(x, -s);
        x += 1.0;
    }
    let s_f = s as f64;
    sum += powi(x, 1 - s) / (s_f - 1.0) + 0.5 * powi(x, -s);
    // Terms B(2k)/(2k)! * s (s+1) ... (s+2k-2) * x^(-s-2k+1).
    let mut term = s_f * powi(x, -s - 1) / 2.0;
    for (k, b) in BERNOULLI.iter().enumerate() {
        let add = b * term;
        sum += add;
        if add.abs() < 1e-17 * sum.abs() {
            break;
        }
        let j = 2.0 * (k as f64 + 1.0);
        term *= (s_f + j - 1.0) * (s_f + j) / ((j + 1.0) * (j + 2.0)) / (x * x);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 4e-14 * expected.abs(),
            "found {found:e}, expected {expected:e}"
        );
    }

    #[test]
    fn digamma_matches_known_values() {
        close(digamma(1.0), -0.577_215_664_901_532_9);
        close(digamma(0.5), -1.963_510_026_021_423_5);
        close(digamma(10.0), 2.251_752_589_066_721);
        close(digamma(-0.5), 0.036_489_973_978_576_52);
        assert_eq!(digamma(0.0), f64::NEG_INFINITY);
        assert!(digamma(-3.0).is_nan());
    }

    #[test]
    fn polygamma_matches_known_values() {
        let pi2 = std::f64::consts::PI * std::f64::consts::PI;
        close(polygamma(1, 1.0), pi2 / 6.0);
        close(polygamma(1, 0.5), pi2 / 2.0);
        close(polygamma(2, 1.0), -2.404_113_806_319_188_5);
        close(polygamma(3, 1.0), pi2 * pi2 / 15.0);
        close(polygamma(1, -0.5), pi2 / 2.0 + 4.0);
    }

    #[test]
    fn integer_division_is_total() {
        assert_eq!(floor_div(7, 0), 0);
        assert_eq!(floor_div(i64::MIN, -1), i64::MIN);
        assert_eq!(floor_div(-7, 2), -4);
        assert_eq!(floor_rem(-7, 2), 1);
        assert_eq!(floor_rem(i64::MIN, -1), 0);
        assert_eq!(int_pow(3, 4), 81);
        assert_eq!(int_pow(-1, -3), -1);
    }
}
