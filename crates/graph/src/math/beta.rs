//! The incomplete beta function and its derivatives to all operands.
//!
//! Formulas are numbered as in the Digital Library of Mathematical Functions (DLMF). As for the
//! incomplete gamma functions: a continued fraction, a series where the result is a small
//! difference, and for large parameters a quadrature of the integral along log(t / (1 - t)).

use super::gamma::{FALL, LARGE, lgamma_1p};
use super::taylor::{
    Extent, Number, Series, beyond_stirling, digamma_beyond_log, exp_beyond_linear, integral,
    log_below_linear, quotient_fall,
};
use super::{factorial, polygamma};

/// I_x(a, b), the regularised incomplete beta function, or its derivative of the orders given to
/// a, b and x (DLMF 8.17.2).
pub fn betainc([n, m, k]: [u8; 3], a: f64, b: f64, x: f64) -> f64 {
    let (n, m, k) = (usize::from(n), usize::from(m), usize::from(k));
    if a.is_nan() || b.is_nan() || a < 0.0 || b < 0.0 || !(0.0..=1.0).contains(&x) {
        return f64::NAN;
    }
    if (a == 0.0 && b == 0.0) || (a == f64::INFINITY && b == f64::INFINITY) {
        return f64::NAN;
    }
    let y = 1.0 - x;
    if k > 0 {
        return density([n, m, k - 1], a, b, x, y);
    }
    let is_value = n + m == 0;
    let whole = |value: f64| if is_value { value } else { 0.0 };
    if x == 0.0 || a == f64::INFINITY || (is_value && b == 0.0 && x < 1.0) {
        return whole(0.0);
    }
    if x == 1.0 || b == f64::INFINITY || (is_value && a == 0.0) {
        return whole(1.0);
    }
    let flipped = is_above(a, b, x, y);
    let (p, q, x, y) = if flipped { (b, a, y, x) } else { (a, b, x, y) };
    if !is_value {
        let (i, j) = if flipped { (m, n) } else { (n, m) };
        let value = lower::<Series>([i + 1, j + 1, 1], p, q, x, y).derivative([i, j, 0]);
        return if flipped { -value } else { value };
    }
    let value = match flipped {
        // The mass may nearly all be on the other side, so that 1 less it has no digits.
        true if p < 1.0 && q * x < 1.0 && x < 0.7 => upper_small(p, q, x, y),
        true => 1.0 - lower::<f64>([1, 1, 1], p, q, x, y),
        false => lower::<f64>([1, 1, 1], p, q, x, y),
    };
    value.clamp(0.0, 1.0)
}

/// Whether I_x(a, b) is to be computed as 1 - I_y(b, a), with y = 1 - x.
fn is_above(a: f64, b: f64, x: f64, y: f64) -> bool {
    if a >= LARGE && b >= LARGE {
        return a * y < b * x;
    }
    // Near 1 and with b small, the fraction does better than what it would be the complement of.
    let falls = b < 1.0 && a * y >= 1.0;
    x * (a + b + 2.0) > a + 1.0 && !falls
}

/// I_x(a, b) for x up to about the mean a / (a + b).
fn lower<N: Number>(extent: Extent, a: f64, b: f64, x: f64, y: f64) -> N {
    let lead = front_lead(a, b, x, y);
    if lead == 0.0 {
        return N::constant(extent, 0.0);
    }
    let log = Log::new(extent, a, b, x, y);
    let power = N::exp(extent, lead, |[i, j, _]| log.at(i, j));
    let share = N::linear(extent, b, [0.0, 1.0]).over(&N::linear(extent, a + b, [1.0, 1.0]));
    // x^a y^b / (a B(a, b))
    let front = power.times(&share);
    if a >= LARGE && b >= LARGE {
        let integral = quadrature::<N>(extent, a, b, x, y);
        return integral
            .times(&front)
            .times(&N::linear(extent, a, [1.0, 0.0]));
    }
    fraction::<N>(extent, a, b, x, y).times(&front)
}

/// x^a y^b Gamma(a + b + 1) / (Gamma(a + 1) Gamma(b + 1)).
fn front_lead(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let s = a + b;
    match (a >= LARGE, b >= LARGE) {
        (true, true) => {
            // How far x is from the mean, times s.
            let c = a * y - b * x;
            let fall = a * quotient_fall(x * s / a, -c / a) + b * quotient_fall(y * s / b, c / b);
            let rest = beyond_stirling(s) - beyond_stirling(a) - beyond_stirling(b);
            let spread = a / s * b * (2.0 * std::f64::consts::PI);
            (rest - fall).exp() / spread.sqrt()
        }
        (true, false) => half_large(b, a, y, x),
        (false, true) => half_large(a, b, x, y),
        (false, false) => {
            let gammas = libm::tgamma(a + 1.0) * libm::tgamma(b + 1.0);
            (b * log_of(y, x)).exp() * (a * log_of(x, y)).exp() * libm::tgamma(s + 1.0) / gammas
        }
    }
}

/// The same for small a and large b, by Stirling's formula for b and a + b.
fn half_large(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let s = a + b;
    let rest = beyond_stirling(s) - beyond_stirling(b);
    let log = a * (log_of(x, y) + s.ln()) + b * log_of(y, x);
    (log + (b + 0.5) * (a / b).ln_1p() - a + rest).exp() / libm::tgamma(a + 1.0)
}

/// log(x), given y = 1 - x.
fn log_of(x: f64, y: f64) -> f64 {
    if x < 0.5 { x.ln() } else { (-y).ln_1p() }
}

/// The Taylor coefficients along a and b of the logarithm of the front's power.
struct Log {
    /// Those of log(Gamma(z + 1)) at a, b and a + b from order 2 on.
    gammas: Vec<[f64; 3]>,
    /// The slopes along a and b.
    slopes: [f64; 2],
}

impl Log {
    fn new(extent: Extent, a: f64, b: f64, x: f64, y: f64) -> Log {
        let order = extent[0] + extent[1] - 2;
        let gammas = (2..=order).map(|i| {
            let factor = 1.0 / factorial(i as i64);
            [a, b, a + b].map(|z| polygamma(i as i64 - 1, z + 1.0) * factor)
        });
        let slopes = match order {
            0 => [0.0; 2],
            _ => [slope(a, b, x, y), slope(b, a, y, x)],
        };
        Log {
            gammas: gammas.collect(),
            slopes,
        }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        match (i, j) {
            (1, 0) => self.slopes[0],
            (0, 1) => self.slopes[1],
            _ => {
                let Some([a, b, sum]) = self.gammas.get((i + j).wrapping_sub(2)) else {
                    return 0.0;
                };
                // The coefficient of the sum's power: binomial(i + j, i).
                let ways = (1..=j).fold(1.0, |w, l| w * (i + l) as f64 / l as f64);
                let alone = match (i, j) {
                    (_, 0) => *a,
                    (0, _) => *b,
                    _ => 0.0,
                };
                ways * sum - alone
            }
        }
    }
}

/// log(x) + digamma(a + b + 1) - digamma(a + 1), from logarithms of quotients where a is large.
fn slope(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let s = a + b;
    if a < LARGE {
        return log_of(x, y) + polygamma(0, s + 1.0) - polygamma(0, a + 1.0);
    }
    let rest = digamma_beyond_log(s) - digamma_beyond_log(a);
    // x s / a = 1 - (a y - b x) / a.
    let from_mean = (b * x - a * y) / a;
    if from_mean.abs() < 0.5 {
        from_mean.ln_1p() + rest
    } else {
        log_of(x, y) + (b / a).ln_1p() + rest
    }
}

/// I_x is the front times this continued fraction, by the algorithm of Lentz: the even part of
/// DLMF 8.17.22 (Didonato and Morris 1992, equation 9, with a divided out of its first two terms).
/// It takes how far x is from the mean beside x, so that no digits are lost where x is near 1.
fn fraction<N: Number>(extent: Extent, a: f64, b: f64, x: f64, y: f64) -> N {
    let one = N::constant(extent, 1.0);
    let first = |lead: f64| N::linear(extent, a + lead, [1.0, 0.0]);
    let from_mean = |lead: f64| N::linear(extent, a * y - b * x + lead, [y, -x]);
    let mut f = from_mean(1.0).over(&first(1.0));
    let (mut c, mut d) = (f.clone(), N::constant(extent, 0.0));
    for i in 1..2000 {
        let i = f64::from(i);
        let (odd, even) = (first(2.0 * i - 1.0), first(2.0 * i + 1.0));
        // i (b - i) x / (a + 2i - 1)
        let share = N::linear(extent, i * (b - i) * x, [0.0, i * x]).over(&odd);
        let sum = N::linear(extent, a + b + i - 1.0, [1.0, 1.0]);
        let mut over = sum.over(&odd).times(&share).scaled(x);
        if i > 1.0 {
            over = over.times(&first(i - 1.0));
        }
        let rise = first(i).times(&from_mean(1.0 + i * (1.0 + y))).over(&even);
        let part = share.plus(&rise).plus(&N::constant(extent, i));
        d = one.over(&part.plus(&over.times(&d)));
        c = part.plus(&over.over(&c));
        let next = f.times(&c.times(&d));
        let step = next.minus(&f);
        f = next;
        if step.is_small_beside(&f) {
            break;
        }
    }
    one.over(&f)
}

/// 1 - I_x(a, b) for a < 1 and b x < 1, where it may be small: the sum of 1 - x^a / (a B(a, b)) and
/// what I_x differs from that quotient (DLMF 8.17.7).
fn upper_small(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let log = a * log_of(x, y) + gamma_ratio(b, a) - lgamma_1p(a);
    let (mut power, mut sum) = (1.0, 0.0);
    for k in 1..200 {
        let k = f64::from(k);
        power *= (k - b) / k * x;
        let term = power / (a + k);
        sum += term;
        if term.abs() <= 1e-17 * f64::abs(sum) {
            break;
        }
    }
    -log.exp_m1() - a * log.exp() * sum
}

/// log(Gamma(b + a) / Gamma(b)), exact to the last places of what is proportional to a < 1.
fn gamma_ratio(b: f64, a: f64) -> f64 {
    let (mut b, mut log) = (b, 0.0);
    while b < LARGE {
        log -= (a / b).ln_1p();
        b += 1.0;
    }
    let rest = beyond_stirling(a + b) - beyond_stirling(b);
    log + (b - 0.5) * (a / b).ln_1p() + a * ((a + b).ln() - 1.0) + rest
}

/// B(a, b) I_x(a, b) / (x^a y^b) for large a and b: the integral over t < 0 with t the logarithm of
/// the variable's odds over those of x, on which both exponents fall.
fn quadrature<N: Number>(extent: Extent, a: f64, b: f64, x: f64, y: f64) -> N {
    let s = a + b;
    let slope = a * y - b * x;
    // log(variable / x) and log((1 - variable) / y), and the exponent without cancellation, from the
    // smaller of x and y.
    let at = |t: f64| {
        let (x, t) = if x <= y { (x, t) } else { (y, -t) };
        let z = x * t.exp_m1();
        let beyond = x * exp_beyond_linear(t) - log_below_linear(z);
        let (near, far) = (t - z.ln_1p(), -z.ln_1p());
        (near, far, beyond)
    };
    let exponent = |t: f64| slope * t - s * at(t).2;
    let mut end = -2.0 * FALL / (slope + (slope * slope + 2.0 * FALL * s * x * y).sqrt());
    for _ in 0..3 {
        let z = x * end.exp_m1();
        end -= (exponent(end) + FALL) / (slope - s * y * z / (1.0 + z));
    }
    integral(extent, end, |t| {
        let (near, far, beyond) = at(t);
        let (u, v) = if x <= y { (near, far) } else { (far, near) };
        ((slope * t - s * beyond).exp(), u, v)
    })
}

/// The derivative of the orders given of the density x^(a-1) y^(b-1) / B(a, b).
fn density([n, m, l]: [usize; 3], a: f64, b: f64, x: f64, y: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return 0.0;
    }
    if x == 0.0 {
        return density_at_0([n, m, l], a, b);
    }
    if y == 0.0 {
        let value = density_at_0([m, n, l], b, a);
        return if l % 2 == 0 { value } else { -value };
    }
    let lead = front_lead(a, b, x, y) / x / y;
    if n + m + l == 0 {
        return lead * (a / (a + b) * b);
    }
    let extent = [n + 1, m + 1, l + 1];
    let log = Log::new([n + 1, m + 1, 1], a, b, x, y);
    // The series along x is one in the quotient of the step and x.
    let odds = x / y;
    let product = Series::exp(extent, lead, |[i, j, l]| {
        let sign = if l % 2 == 1 { 1.0 } else { -1.0 };
        let (left, right) = (sign / l as f64, -odds.powi(l as i32) / l as f64);
        match (i, j, l) {
            (i, j, 0) => log.at(i, j),
            (0, 0, 1) => ((a - 1.0) * y - (b - 1.0) * x) / y,
            (0, 0, _) => (a - 1.0) * left + (b - 1.0) * right,
            (1, 0, _) => left,
            (0, 1, _) => right,
            _ => 0.0,
        }
    });
    let (first, second) = (
        Series::linear(extent, a, [1.0, 0.0]),
        Series::linear(extent, b, [0.0, 1.0]),
    );
    let share = first
        .times(&second)
        .over(&Series::linear(extent, a + b, [1.0, 1.0]));
    (0..l).fold(product.times(&share).derivative([n, m, l]), |v, _| v / x)
}

fn density_at_0([n, m, l]: [usize; 3], a: f64, b: f64) -> f64 {
    if a > l as f64 + 1.0 {
        return 0.0;
    }
    if n == 0 && a == a.floor() {
        if a == 0.0 {
            return 0.0;
        }
        // x^(a-1+j) (1-b)_j / j! is the term that is left; 1 / B is a polynomial for whole a.
        let extent = [1, m + 1, 1];
        let (whole, j) = (a as usize, l + 1 - a as usize);
        let mut value = Series::constant(extent, factorial(l as i64));
        for i in 0..whole {
            value = value.times(&Series::linear(extent, b + i as f64, [0.0, 1.0]));
        }
        for i in 1..=j {
            let factor = Series::linear(extent, i as f64 - b, [0.0, -1.0]);
            value = value.times(&factor).scaled(1.0 / i as f64);
        }
        return value.derivative([0, m, 0]) / factorial(whole as i64 - 1);
    }
    // A pole, with the sign that it has beside 0.
    let beside = density([n, m, l], a, b, 1e-290, 1.0);
    if beside.is_nan() {
        return beside;
    }
    f64::INFINITY.copysign(beside)
}
