//! Relatives of the error function: scaled, inverted, and the logarithm of the normal
//! distribution function.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// exp(x^2) erfc(x), which neither overflows nor vanishes for large x.
pub fn erfcx(x: f64) -> f64 {
    if x < 0.0 {
        // erfc(x) = 2 - erfc(-x).
        let twice = 2.0 * exp_square(-x);
        return if twice.is_finite() {
            twice - erfcx(-x)
        } else {
            twice
        };
    }
    if x < 25.0 {
        return exp_square(x) * libm::erfc(x);
    }
    // DLMF 7.12.1; at 25 eight terms reach the last digit.
    let s = -0.5 / (x * x);
    let series = (1..=8)
        .rev()
        .fold(1.0, |sum, k| 1.0 + f64::from(2 * k - 1) * s * sum);
    0.5 * FRAC_2_SQRT_PI / x * series
}

/// The inverse of the error function: infinite at -1 and 1, NaN outside.
pub fn erfinv(x: f64) -> f64 {
    let size = x.abs();
    if size > 0.5 {
        // 1 - |x| is exact here.
        return erfcinv(1.0 - size).copysign(x);
    }
    if size < 1e-9 {
        return x / FRAC_2_SQRT_PI;
    }
    let mut y = first_guess(x);
    // Halley's method; f'' / f' = -2y. Each step triples the digits.
    for _ in 0..3 {
        let newton = (libm::erf(y) - x) / (FRAC_2_SQRT_PI * (-y * y).exp());
        y -= newton / (1.0 + y * newton);
    }
    y
}

/// The inverse of the complementary error function: infinite at 0 and 2, NaN outside.
pub fn erfcinv(q: f64) -> f64 {
    if q > 1.0 {
        // 2 - q is exact here.
        return -erfcinv(2.0 - q);
    }
    if q > 0.5 {
        return erfinv(1.0 - q);
    }
    if q == 0.0 {
        return f64::INFINITY;
    }
    if q.is_nan() || q < 0.0 {
        return f64::NAN;
    }
    // Newton's method on the logarithm, which is almost a parabola, also where erfc vanishes.
    let log = q.ln();
    let mut y = first_guess(1.0 - q).min(30.0);
    if q < 1e-10 {
        // 1 - q has lost its digits: from erfc(y) ~ exp(-y^2) / (y sqrt(pi)).
        y = (-log).sqrt();
        y = (-log - (y / (0.5 * FRAC_2_SQRT_PI)).ln()).sqrt();
    }
    for _ in 0..4 {
        let scaled = erfcx(y);
        let gap = scaled.ln() - y * y - log;
        y += gap * scaled / FRAC_2_SQRT_PI;
    }
    y
}

/// The logarithm of the normal distribution function, without cancellation on either side.
pub fn log_ndtr(x: f64) -> f64 {
    if x < -1.0 {
        (0.5 * erfcx(-x * FRAC_1_SQRT_2)).ln() - 0.5 * x * x
    } else if x < 1.0 {
        (-0.5 * libm::erfc(x * FRAC_1_SQRT_2)).ln_1p()
    } else {
        // erfc would make much of the rounding of x / sqrt(2).
        (-0.5 * erfcx(x * FRAC_1_SQRT_2) * exp_square_times(x, -0.5)).ln_1p()
    }
}

/// exp(x^2)
fn exp_square(x: f64) -> f64 {
    exp_square_times(x, 1.0)
}

/// exp(factor x^2) without the error that rounding x^2 makes: a part of few bits has an exact
/// square.
fn exp_square_times(x: f64, factor: f64) -> f64 {
    let whole = factor * x * x;
    if whole.abs() > 800.0 {
        // 0 or infinite, and the parts might be both.
        return whole.exp();
    }
    let head = f64::from(x as f32);
    (factor * head * head).exp() * (factor * (x - head) * (x + head)).exp()
}

/// The inverse of the error function to 2 digits (Winitzki, "A handy approximation for the error
/// function and its inverse", 2008).
fn first_guess(x: f64) -> f64 {
    const A: f64 = 0.147;
    let log = (-x * x).ln_1p();
    let t = 2.0 / (std::f64::consts::PI * A) + 0.5 * log;
    ((t * t - log / A).sqrt() - t).sqrt().copysign(x)
}
