//! Truncated Taylor series in up to three variables, for derivatives of special functions.
//!
//! A function that is written once over [`Number`] is computed with plain floats where no
//! derivative is wanted, and with series where one is: the coefficients of the result, times
//! factorials, are the derivatives. Nothing is approximated by that, and what converges for numbers
//! converges for the coefficients.

/// How many coefficients a series has along each of its variables: one more than the order.
pub(super) type Extent = [usize; 3];

/// What a formula is computed with: a float or a series.
pub(super) trait Number: Clone {
    /// `lead + slopes . (da, db)`: what is linear in the first two variables.
    fn linear(extent: Extent, lead: f64, slopes: [f64; 2]) -> Self;
    /// `lead * exp(the series with these coefficients)`; the one at the origin is not asked for.
    fn exp(extent: Extent, lead: f64, log: impl Fn([usize; 3]) -> f64) -> Self;
    fn plus(&self, other: &Self) -> Self;
    fn minus(&self, other: &Self) -> Self;
    fn times(&self, other: &Self) -> Self;
    fn over(&self, other: &Self) -> Self;
    fn scaled(&self, by: f64) -> Self;
    /// Adds `weight * exp(u da + v db)`.
    fn add_exp(&mut self, weight: f64, u: f64, v: f64);
    /// Puts another value at the origin.
    fn with_lead(self, lead: f64) -> Self;
    /// Whether no coefficient would change much by adding this to `sum`.
    fn is_small_beside(&self, sum: &Self) -> bool;
    /// The derivative of these orders at the origin.
    fn derivative(&self, orders: [usize; 3]) -> f64;

    fn constant(extent: Extent, x: f64) -> Self {
        Self::linear(extent, x, [0.0; 2])
    }
}

/// Half the distance between 1 and the next float: what is smaller changes nothing.
const NOTHING: f64 = 1.1e-16;

impl Number for f64 {
    #[inline(always)]
    fn linear(_: Extent, lead: f64, _: [f64; 2]) -> f64 {
        lead
    }
    #[inline(always)]
    fn exp(_: Extent, lead: f64, _: impl Fn([usize; 3]) -> f64) -> f64 {
        lead
    }
    #[inline(always)]
    fn plus(&self, other: &f64) -> f64 {
        self + other
    }
    #[inline(always)]
    fn minus(&self, other: &f64) -> f64 {
        self - other
    }
    #[inline(always)]
    fn times(&self, other: &f64) -> f64 {
        self * other
    }
    #[inline(always)]
    fn over(&self, other: &f64) -> f64 {
        self / other
    }
    #[inline(always)]
    fn scaled(&self, by: f64) -> f64 {
        self * by
    }
    #[inline(always)]
    fn add_exp(&mut self, weight: f64, _: f64, _: f64) {
        *self += weight;
    }
    #[inline(always)]
    fn with_lead(self, lead: f64) -> f64 {
        lead
    }
    #[inline(always)]
    fn is_small_beside(&self, sum: &f64) -> bool {
        self.abs() <= NOTHING * sum.abs()
    }
    #[inline(always)]
    fn derivative(&self, _: [usize; 3]) -> f64 {
        *self
    }
}

/// Coefficients, those of the last variable next to each other.
#[derive(Clone)]
pub(super) struct Series {
    extent: Extent,
    of: Vec<f64>,
}

impl Series {
    fn zero(extent: Extent) -> Series {
        Series {
            extent,
            of: vec![0.0; extent.iter().product()],
        }
    }

    /// The exponents of each coefficient, in order.
    fn places(extent: Extent) -> impl Iterator<Item = [usize; 3]> {
        let [a, b, c] = extent;
        (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| [i, j, k])))
    }

    fn at(&self, [i, j, k]: [usize; 3]) -> usize {
        (i * self.extent[1] + j) * self.extent[2] + k
    }

    fn zip(&self, other: &Series, f: impl Fn(f64, f64) -> f64) -> Series {
        Series {
            extent: self.extent,
            of: self
                .of
                .iter()
                .zip(&other.of)
                .map(|(x, y)| f(*x, *y))
                .collect(),
        }
    }

    /// Calls `f(i, j)` for the places of all pairs of coefficients whose product counts at `place`.
    fn pairs(&self, place: [usize; 3], mut f: impl FnMut(usize, usize)) {
        let [a, b, c] = place;
        for i in 0..=a {
            for j in 0..=b {
                for k in 0..=c {
                    f(self.at([i, j, k]), self.at([a - i, b - j, c - k]));
                }
            }
        }
    }
}

impl Number for Series {
    fn linear(extent: Extent, lead: f64, slopes: [f64; 2]) -> Series {
        let mut out = Series::zero(extent);
        out.of[0] = lead;
        if extent[0] > 1 {
            let at = out.at([1, 0, 0]);
            out.of[at] = slopes[0];
        }
        if extent[1] > 1 {
            let at = out.at([0, 1, 0]);
            out.of[at] = slopes[1];
        }
        out
    }

    fn exp(extent: Extent, lead: f64, log: impl Fn([usize; 3]) -> f64) -> Series {
        let mut out = Series::constant(extent, 1.0);
        if lead == 0.0 {
            return Series::zero(extent);
        }
        let mut h = Series::zero(extent);
        for (at, place) in Series::places(extent).enumerate().skip(1) {
            h.of[at] = log(place);
        }
        // h has no constant, so its powers beyond the order vanish.
        let order: usize = extent.iter().map(|n| n - 1).sum();
        for p in (1..=order).rev() {
            out = h.times(&out).scaled(1.0 / p as f64);
            out.of[0] += 1.0;
        }
        out.scaled(lead)
    }

    fn plus(&self, other: &Series) -> Series {
        self.zip(other, |x, y| x + y)
    }

    fn minus(&self, other: &Series) -> Series {
        self.zip(other, |x, y| x - y)
    }

    fn times(&self, other: &Series) -> Series {
        let mut out = Series::zero(self.extent);
        for (at, place) in Series::places(self.extent).enumerate() {
            let mut sum = 0.0;
            self.pairs(place, |i, j| sum += self.of[i] * other.of[j]);
            out.of[at] = sum;
        }
        out
    }

    fn over(&self, other: &Series) -> Series {
        let mut out = Series::zero(self.extent);
        for (at, place) in Series::places(self.extent).enumerate() {
            let mut rest = self.of[at];
            self.pairs(place, |i, j| {
                if i > 0 {
                    rest -= other.of[i] * out.of[j];
                }
            });
            out.of[at] = rest / other.of[0];
        }
        out
    }

    fn scaled(&self, by: f64) -> Series {
        self.zip(self, |x, _| x * by)
    }

    fn add_exp(&mut self, weight: f64, u: f64, v: f64) {
        let mut along = weight;
        for i in 0..self.extent[0] {
            let mut term = along;
            for j in 0..self.extent[1] {
                let at = self.at([i, j, 0]);
                self.of[at] += term;
                term *= v / (j + 1) as f64;
            }
            along *= u / (i + 1) as f64;
        }
    }

    fn with_lead(mut self, lead: f64) -> Series {
        self.of[0] = lead;
        self
    }

    fn is_small_beside(&self, sum: &Series) -> bool {
        let mut all = self.of.iter().zip(&sum.of);
        all.all(|(x, sum)| x.abs() <= NOTHING * sum.abs() || x.abs() < f64::MIN_POSITIVE)
    }

    fn derivative(&self, orders: [usize; 3]) -> f64 {
        let factor = orders.iter().map(|n| super::factorial(*n as i64));
        self.of[self.at(orders)] * factor.product::<f64>()
    }
}

/// The nodes above 0 and weights of Gauss-Legendre quadrature with 40 nodes.
const NODES: [(f64, f64); 20] = [
    (0.03877241750605082, 0.0775059479784248),
    (0.11608407067525521, 0.07703981816424797),
    (0.1926975807013711, 0.07611036190062624),
    (0.2681521850072537, 0.07472316905796826),
    (0.3419940908257585, 0.07288658239580406),
    (0.413779204371605, 0.07061164739128678),
    (0.4830758016861787, 0.0679120458152339),
    (0.5494671250951282, 0.06480401345660104),
    (0.6125538896679802, 0.06130624249292894),
    (0.6719566846141796, 0.05743976909939155),
    (0.7273182551899271, 0.05322784698393682),
    (0.7783056514265194, 0.04869580763507223),
    (0.8246122308333117, 0.04387090818567327),
    (0.8659595032122595, 0.038782167974472016),
    (0.9020988069688743, 0.033460195282547844),
    (0.9328128082786765, 0.0279370069800234),
    (0.9579168192137917, 0.02224584919416696),
    (0.9772599499837743, 0.01642105838190789),
    (0.990726238699457, 0.010498284531152813),
    (0.9982377097105593, 0.004521277098533191),
];

/// The integral of a smooth function from 0 to `end`, which may be negative, with the sign of a
/// length: `f(t)` gives the weight and the two rates of an exponential of the parameters.
pub(super) fn integral<N: Number>(
    extent: Extent,
    end: f64,
    f: impl Fn(f64) -> (f64, f64, f64),
) -> N {
    let half = 0.5 * end;
    let mut sum = N::constant(extent, 0.0);
    for (node, weight) in NODES {
        for node in [node, -node] {
            let (value, u, v) = f(half + half * node);
            sum.add_exp(weight * half.abs() * value, u, v);
        }
    }
    sum
}

/// exp(t) - 1 - t without cancellation.
pub(super) fn exp_beyond_linear(t: f64) -> f64 {
    if t.abs() > 0.5 {
        return t.exp_m1() - t;
    }
    let (mut term, mut sum) = (0.5 * t * t, 0.0);
    for k in 3..=18 {
        sum += term;
        term *= t / f64::from(k);
    }
    sum
}

/// t - log(1 + t) without cancellation, for t > -1.
pub(super) fn log_below_linear(t: f64) -> f64 {
    if t.abs() > 0.4 {
        return t - t.ln_1p();
    }
    // log(1 + t) = 2 atanh(r), and t - 2r = t r.
    let r = t / (2.0 + t);
    let square = r * r;
    let (mut power, mut sum) = (2.0 * r * square, 0.0);
    for k in 1..=14 {
        sum += power / f64::from(2 * k + 1);
        power *= square;
    }
    t * r - sum
}

/// (r - 1) - log(r) without cancellation, given r and r - 1.
pub(super) fn quotient_fall(r: f64, less_1: f64) -> f64 {
    if less_1.abs() > 0.4 {
        less_1 - r.ln()
    } else {
        log_below_linear(less_1)
    }
}

/// log(Gamma(a + 1)) less Stirling's a log(a) - a + log(2 pi a) / 2, for a >= 12 (DLMF 5.11.1).
pub(super) fn beyond_stirling(a: f64) -> f64 {
    let inverse = 1.0 / (a * a);
    let (mut power, mut sum) = (1.0 / a, 0.0);
    for (k, b) in super::BERNOULLI.iter().enumerate().take(9) {
        let even = 2.0 * (k as f64 + 1.0);
        sum += b / (even * (even - 1.0)) * power;
        power *= inverse;
    }
    sum
}

/// digamma(a + 1) - log(a), for a >= 12 (DLMF 5.11.2).
pub(super) fn digamma_beyond_log(a: f64) -> f64 {
    let inverse = 1.0 / (a * a);
    let (mut power, mut sum) = (inverse, 0.5 / a);
    for (k, b) in super::BERNOULLI.iter().enumerate().take(9) {
        sum -= b / (2.0 * (k as f64 + 1.0)) * power;
        power *= inverse;
    }
    sum
}
