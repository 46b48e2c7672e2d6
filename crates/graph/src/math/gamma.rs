//! The incomplete gamma functions and their derivatives to both operands.
//!
//! Formulas are numbered as in the Digital Library of Mathematical Functions (DLMF). Each region
//! has a formula whose terms all have one sign or nearly so: a series for small x, a continued
//! fraction for large x, and for large a and x of its size a quadrature of the integral along
//! log(t), where the integrand is smooth and falls on both sides. Gil, Segura and Temme (2012) give
//! the map of regions that this one follows, with an expansion in the place of the quadrature.

use super::taylor::{
    Extent, Number, Series, beyond_stirling, digamma_beyond_log, exp_beyond_linear, integral,
    quotient_fall,
};
use super::{factorial, polygamma};

/// P(a, x), the regularised lower incomplete gamma function, or its derivative of the orders given
/// to a and x (DLMF 8.2.4).
pub fn gammainc([n, k]: [u8; 2], a: f64, x: f64) -> f64 {
    incomplete(n.into(), k.into(), a, x, false)
}

/// Q(a, x) = 1 - P(a, x), the upper one, or its derivative.
pub fn gammaincc([n, k]: [u8; 2], a: f64, x: f64) -> f64 {
    incomplete(n.into(), k.into(), a, x, true)
}

/// From here on Stirling's formula is exact, and the quadrature is shorter than the other sums.
pub(super) const LARGE: f64 = 20.0;

/// An integrand that has fallen to the exponential of this adds nothing to the integral.
pub(super) const FALL: f64 = 50.0;

fn incomplete(n: usize, k: usize, a: f64, x: f64, upper: bool) -> f64 {
    if a.is_nan() || x.is_nan() || a < 0.0 || x < 0.0 {
        return f64::NAN;
    }
    if (a == 0.0 && x == 0.0) || (a == f64::INFINITY && x == f64::INFINITY) {
        return f64::NAN;
    }
    if k > 0 {
        let density = density(n, k - 1, a, x);
        return if upper { -density } else { density };
    }
    let whole = |lower: f64| match (n, upper) {
        (0, false) => lower,
        (0, true) => 1.0 - lower,
        _ => 0.0,
    };
    if x == 0.0 || a == f64::INFINITY {
        return whole(0.0);
    }
    if x == f64::INFINITY || (a == 0.0 && n == 0) {
        return whole(1.0);
    }
    let (is_upper, value) = match n {
        0 => tail::<f64>([1, 1, 1], a, x, upper),
        _ => {
            let (is_upper, series) = tail::<Series>([n + 1, 1, 1], a, x, upper);
            (is_upper, series.derivative([n, 0, 0]))
        }
    };
    match (is_upper == upper, n) {
        (true, 0) => value.clamp(0.0, 1.0),
        (false, 0) => (1.0 - value).clamp(0.0, 1.0),
        (true, _) => value,
        (false, _) => -value,
    }
}

/// One of the two functions, and whether it is the upper one: the smaller, or the one wanted where
/// both are well computed.
fn tail<N: Number>(extent: Extent, a: f64, x: f64, upper: bool) -> (bool, N) {
    let lead = front_lead(a, x);
    if lead == 0.0 {
        return (x > a, N::constant(extent, 0.0));
    }
    let front = N::exp(extent, lead, |[i, _, _]| front_log(a, x, i));
    if a >= LARGE && x > 0.4 * a && x < 2.5 * a {
        let value = quadrature::<N>(extent, a, x).times(&front);
        return (x > a, value.times(&N::linear(extent, a, [1.0, 0.0])));
    }
    if upper && a < 1.0 && x <= 1.0 {
        return (true, small(extent, a, x, &front));
    }
    if x <= a.max(1.0) {
        return (false, series(extent, a, x, &front));
    }
    let value = fraction::<N>(extent, a, x).times(&front);
    (true, value.times(&N::linear(extent, a, [1.0, 0.0])))
}

/// x^a exp(-x) / Gamma(a + 1).
fn front_lead(a: f64, x: f64) -> f64 {
    if a >= LARGE {
        let fall = a * quotient_fall(x / a, (x - a) / a) + beyond_stirling(a);
        return (-fall).exp() / (2.0 * std::f64::consts::PI * a).sqrt();
    }
    if x > 2000.0 {
        // Below the smallest float for any a here.
        return 0.0;
    }
    // In two steps, because exp(-x) vanishes before the product does.
    let half = (-0.5 * x).exp();
    x.powf(a) * half / libm::tgamma(a + 1.0) * half
}

/// The Taylor coefficients along a of the logarithm of that, from the first on.
fn front_log(a: f64, x: f64, i: usize) -> f64 {
    match i {
        1 if a >= LARGE => log_ratio(x, a) - digamma_beyond_log(a),
        1 => x.ln() - polygamma(0, a + 1.0),
        i => -polygamma(i as i64 - 1, a + 1.0) / factorial(i as i64),
    }
}

/// log(x / a).
fn log_ratio(x: f64, a: f64) -> f64 {
    if x > 0.5 * a && x < 2.0 * a {
        ((x - a) / a).ln_1p()
    } else {
        (x / a).ln()
    }
}

/// DLMF 8.7.1: P is the front times the sum of x^k / ((a + 1) ... (a + k)).
fn series<N: Number>(extent: Extent, a: f64, x: f64, front: &N) -> N {
    let (mut term, mut sum) = (N::constant(extent, 1.0), N::constant(extent, 1.0));
    for k in 1..1000 {
        let factor = N::linear(extent, a + f64::from(k), [1.0, 0.0]);
        term = term.scaled(x).over(&factor);
        sum = sum.plus(&term);
        if term.is_small_beside(&sum) {
            break;
        }
    }
    sum.times(front)
}

/// DLMF 8.9.2: Q is a times the front times this continued fraction, by the algorithm of Lentz.
fn fraction<N: Number>(extent: Extent, a: f64, x: f64) -> N {
    let one = N::constant(extent, 1.0);
    let mut f = N::linear(extent, x + 1.0 - a, [-1.0, 0.0]);
    let (mut c, mut d) = (f.clone(), N::constant(extent, 0.0));
    for i in 1..1000 {
        let i = f64::from(i);
        let over = N::linear(extent, i * (a - i), [i, 0.0]);
        let part = N::linear(extent, x + 2.0 * i + 1.0 - a, [-1.0, 0.0]);
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

/// Q for a < 1 and x <= 1, where it may be a small difference of P and 1: the sum of
/// 1 - x^a / Gamma(a + 1) and what P differs from that quotient (DLMF 8.7.1, second form).
fn small<N: Number>(extent: Extent, a: f64, x: f64, front: &N) -> N {
    let quotient = front.scaled(x.exp());
    let one = N::constant(extent, 1.0);
    let lead = -(a * x.ln() - lgamma_1p(a)).exp_m1();
    let first = one.minus(&quotient).with_lead(lead);
    let (mut power, mut sum) = (-1.0, N::constant(extent, 0.0));
    for k in 1..60 {
        power *= -x / f64::from(k);
        let factor = N::linear(extent, a + f64::from(k), [1.0, 0.0]);
        let term = N::constant(extent, power).over(&factor);
        sum = sum.plus(&term);
        if term.is_small_beside(&sum) {
            break;
        }
    }
    let factor = N::linear(extent, a, [1.0, 0.0]);
    first.plus(&sum.times(&quotient).times(&factor))
}

/// The integral of exp(a t - x (exp(t) - 1)) from 0 to the side on which it falls, for large a: the
/// smaller of P and Q is a times the front times it, with t the logarithm of the variable over x.
fn quadrature<N: Number>(extent: Extent, a: f64, x: f64) -> N {
    let slope = a - x;
    let exponent = |t: f64| slope * t - x * exp_beyond_linear(t);
    let side = if x > a { 1.0 } else { -1.0 };
    // Where a parabola would have fallen enough; then by Newton's method.
    let size = slope.abs();
    let mut end = side * 2.0 * FALL / (size + (size * size + 2.0 * FALL * x).sqrt());
    for _ in 0..3 {
        end -= (exponent(end) + FALL) / (slope - x * end.exp_m1());
    }
    integral(extent, end, |t| (exponent(t).exp(), t, 0.0))
}

/// The derivative of the orders given of the density x^(a-1) exp(-x) / Gamma(a).
fn density(n: usize, m: usize, a: f64, x: f64) -> f64 {
    if a == f64::INFINITY || x == f64::INFINITY {
        return 0.0;
    }
    if x == 0.0 {
        return density_at_0(n, m, a);
    }
    if n == 0 && m == 0 {
        return front_lead(a, x) * (a / x);
    }
    // The series along x is one in the quotient of the step and x.
    let extent = [n + 1, m + 1, 1];
    let lead = front_lead(a, x) / x;
    let product = Series::exp(extent, lead, |[i, j, _]| {
        let sign = if j % 2 == 1 { 1.0 } else { -1.0 };
        match (i, j) {
            (i, 0) => front_log(a, x, i),
            (0, 1) => a - 1.0 - x,
            (0, j) => sign * (a - 1.0) / j as f64,
            (1, j) => sign / j as f64,
            _ => 0.0,
        }
    });
    let value = product.times(&Series::linear(extent, a, [1.0, 0.0]));
    (0..m).fold(value.derivative([n, m, 0]), |v, _| v / x)
}

fn density_at_0(n: usize, m: usize, a: f64) -> f64 {
    let order = m as f64;
    if a > order + 1.0 {
        return 0.0;
    }
    if n == 0 && a == a.floor() {
        if a == 0.0 {
            return 0.0;
        }
        // x^(a-1+j) (-1)^j / j! is the term that is left.
        let j = m as i64 + 1 - a as i64;
        let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
        return sign * factorial(m as i64) / factorial(j) / factorial(a as i64 - 1);
    }
    // A pole, with the sign that it has beside 0.
    let beside = density(n, m, a, 1e-290);
    if beside.is_nan() {
        return beside;
    }
    f64::INFINITY.copysign(beside)
}

/// log(Gamma(1 + a)) for 0 <= a <= 1, exact to the last places beside 0 (DLMF 5.7.3).
pub(super) fn lgamma_1p(a: f64) -> f64 {
    if a > 0.5 {
        return libm::lgamma(1.0 + a);
    }
    let (mut power, mut sum) = (-a, 0.0);
    for (k, c) in ZETA_LESS_1.iter().enumerate() {
        power *= -a;
        sum += power * c / (k as f64 + 2.0);
    }
    (1.0 - EULER) * a - a.ln_1p() + sum
}

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// zeta(k) - 1 from k = 2 on.
const ZETA_LESS_1: [f64; 24] = [
    0.6449340668482264,
    0.2020569031595943,
    0.08232323371113819,
    0.03692775514336993,
    0.01734306198444914,
    0.008349277381922827,
    0.00407735619794434,
    0.0020083928260822143,
    0.0009945751278180853,
    0.0004941886041194645,
    0.0002460865533080483,
    0.00012271334757848915,
    6.124813505870483e-05,
    3.058823630702049e-05,
    1.528225940865187e-05,
    7.637197637899763e-06,
    3.81729326499984e-06,
    1.908212716553939e-06,
    9.539620338727962e-07,
    4.769329867878064e-07,
    2.38450502727733e-07,
    1.1921992596531106e-07,
    5.960818905125948e-08,
    2.980350351465228e-08,
];
