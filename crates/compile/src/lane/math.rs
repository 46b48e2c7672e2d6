//! Vector math: functions as polynomials and bit moves, written in lane instructions.
//!
//! Because every way of running takes these instructions as they are, all give the same bits. The
//! polynomials interpolate at Chebyshev nodes with 60 digits (their error is within a small factor of
//! the best one's) and were rounded afterwards; their errors are below a tenth of a unit in the last
//! place. The reductions are the classic ones (J.-M. Muller, Elementary Functions, chapters 11 and
//! 12): exp splits off a power of two by two-part subtraction of a multiple of log 2; log takes the
//! mantissa between sqrt(1/2) and sqrt(2) and adds the series of 2 atanh(f / (2 + f)); log1p repairs
//! the rounding of 1 + x as Kahan does. Constants are split so that products with whole numbers are
//! exact without fma too.

use super::code::{Lanes, Predicate, Prim, Writer};
use super::eval::{MAGIC32, MAGIC64};

/// (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2.
const EXP64: [f64; 10] = [
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662064,
    0.008333333333329793,
    0.0013888888918939168,
    0.00019841269864380513,
    2.4801518641395993e-05,
    2.75572664186123e-06,
    2.7621338669142925e-07,
    2.510134692835034e-08,
];
const EXP32: [f64; 5] = [
    0.5,
    0.16666573381900845,
    0.04166655011030512,
    0.008363773874405574,
    0.0013926926614021907,
];

/// (2 atanh(s) - 2 s) / s^3 in z = s^2, for s up to (sqrt(2) - 1) / (sqrt(2) + 1).
const LOG64: [f64; 7] = [
    0.666666666666667,
    0.3999999999989322,
    0.28571428628810996,
    0.22222210674238516,
    0.18182922513515942,
    0.15330617306743305,
    0.1463003136412286,
];
const LOG32: [f64; 3] = [0.6666668560327356, 0.39988550988935756, 0.29590317357160395];

/// log(2) in two parts: the first with 21 (f32: 9) low bits 0, so that its products with exponents
/// are exact.
const LN2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const LN2_HIGH32: f64 = 0.693_115_234_375;
const LN2_LOW32: f64 = 3.194_618_494_530_945e-5;

/// What remains of x after a multiple of log 2: exp(x) = (1 + `tail`) * 2^`power`.
struct Split {
    tail: u32,
    power: u32,
}

impl Writer {
    /// A polynomial in x by pairs (Estrin), coefficients from the lowest.
    pub(super) fn polynomial(&mut self, x: u32, coefficients: &[f64]) -> u32 {
        let mut terms: Vec<u32> = Vec::with_capacity(coefficients.len());
        for c in coefficients {
            terms.push(self.float(*c));
        }
        let mut power = x;
        while terms.len() > 1 {
            let mut next = Vec::with_capacity(terms.len().div_ceil(2));
            for pair in terms.chunks(2) {
                next.push(match pair {
                    [low, high] => self.mul_add(*high, power, *low),
                    _ => pair[0],
                });
            }
            terms = next;
            if terms.len() > 1 {
                power = self.mul(power, power);
            }
        }
        terms.first().copied().unwrap_or(x)
    }

    /// x must be inside the range of exponents of two; NaN stays NaN in the tail.
    fn split(&mut self, x: u32) -> Split {
        let magic = self.by(MAGIC64, MAGIC32);
        let magic = self.float(magic);
        let scale = self.float(std::f64::consts::LOG2_E);
        let shifted = self.mul_add(x, scale, magic);
        let power = self.sub(shifted, magic);
        let (high, low) = self.by((LN2_HIGH, LN2_LOW), (LN2_HIGH32, LN2_LOW32));
        let (high, low) = (self.float(high), self.float(low));
        let r = self.sub_mul(power, high, x);
        let r = self.sub_mul(power, low, r);
        let q = match self.lanes {
            Lanes::W64 => self.polynomial(r, &EXP64),
            Lanes::W32 => self.polynomial(r, &EXP32),
        };
        let square = self.mul(r, r);
        let tail = self.mul_add(q, square, r);
        Split { tail, power }
    }

    /// 2 to a whole power within the normal range.
    fn power(&mut self, n: u32) -> u32 {
        let one = self.float(1.0);
        self.put(Prim::Scale, &[one, n])
    }

    /// Moves into an interval; NaN stays.
    fn within(&mut self, x: u32, low: f64, high: f64) -> u32 {
        let (low, high) = (self.float(low), self.float(high));
        let x = self.put(Prim::Min, &[high, x]);
        self.put(Prim::Max, &[low, x])
    }

    pub(super) fn exp(&mut self, x: u32) -> u32 {
        // Beyond the borders the result is infinite or 0 anyway. It is 0 long before the lower one, but the
        // instruction behind `Prim::Scale` takes some fifty times as long where the power is below the range of
        // numbers, unless it is far below: 2^-512 (f64: 2^-4096). Masks bring -inf here.
        let (low, high) = self.by((-2900.0, 710.0), (-360.0, 89.0));
        let x = self.within(x, low, high);
        let Split { tail, power } = self.split(x);
        let one = self.float(1.0);
        let p = self.add(tail, one);
        self.put(Prim::Scale, &[p, power])
    }

    pub(super) fn expm1(&mut self, x: u32) -> u32 {
        let (low, high) = self.by((-60.0, 710.0), (-30.0, 89.0));
        let bounded = self.within(x, low, high);
        let Split { tail, power } = self.split(bounded);
        // Half of the result first: 2^1024 is no number.
        let one = self.float(1.0);
        let less = self.sub(power, one);
        let scale = self.power(less);
        let half = self.float(0.5);
        let rest = self.sub(scale, half);
        let result = self.mul_add(scale, tail, rest);
        let result = self.add(result, result);
        // Near 0 the result is x itself, zeros and their signs included.
        let size = self.abs(x);
        let tiny = self.by(1e-17, 1e-8);
        let tiny = self.float(tiny);
        let small = self.compare(Predicate::Lt, size, tiny);
        self.blend(small, x, result)
    }

    pub(super) fn tanh(&mut self, x: u32) -> u32 {
        // expm1(2 |x|) / (expm1(2 |x|) + 2)
        let size = self.abs(x);
        let twice = self.add(size, size);
        let limit = self.by(44.0, 24.0);
        let limit = self.float(limit);
        let twice = self.put(Prim::Min, &[limit, twice]);
        let Split { tail, power } = self.split(twice);
        let scale = self.power(power);
        let (one, two) = (self.float(1.0), self.float(2.0));
        let rest = self.sub(scale, one);
        let e = self.mul_add(scale, tail, rest);
        let below = self.add(e, two);
        let result = self.div(e, below);
        self.with_sign(result, x)
    }

    pub(super) fn sigmoid(&mut self, x: u32) -> u32 {
        let size = self.abs(x);
        let size = self.neg(size);
        let e = self.exp(size);
        let (zero, one) = (self.float(0.0), self.float(1.0));
        let negative = self.compare(Predicate::Lt, x, zero);
        let above = self.blend(negative, e, one);
        let below = self.add(one, e);
        self.div(above, below)
    }

    pub(super) fn log(&mut self, x: u32) -> u32 {
        let (mantissa, exponent) = self.mantissa(x);
        let one = self.float(1.0);
        let f = self.sub(mantissa, one);
        let below = self.add(mantissa, one);
        let s = self.div(f, below);
        let z = self.mul(s, s);
        let p = match self.lanes {
            Lanes::W64 => self.polynomial(z, &LOG64),
            Lanes::W32 => self.polynomial(z, &LOG32),
        };
        // log(1 + f) = 2 s + s z p, and 2 s = f - s f.
        let w = self.mul(z, p);
        let w = self.sub(w, f);
        let (high, low) = self.by((LN2_HIGH, LN2_LOW), (LN2_HIGH32, LN2_LOW32));
        let (high, low) = (self.float(high), self.float(low));
        let rest = self.mul(exponent, low);
        let rest = self.mul_add(s, w, rest);
        let sum = self.add(rest, f);
        let result = self.mul_add(exponent, high, sum);
        self.log_edges(x, result)
    }

    /// x = mantissa * 2^exponent with the mantissa between sqrt(1/2) and sqrt(2), for positive x.
    fn mantissa(&mut self, x: u32) -> (u32, u32) {
        let (least, up, places) = self.by(
            (f64::MIN_POSITIVE, 18_014_398_509_481_984.0, 54.0),
            (f64::from(f32::MIN_POSITIVE), 33_554_432.0, 25.0),
        );
        let (least, up, places) = (self.float(least), self.float(up), self.float(places));
        let small = self.compare(Predicate::Lt, x, least);
        let scaled = self.mul(x, up);
        let x = self.blend(small, scaled, x);
        let moved = self.and(small, places);
        // The bits of sqrt(1/2) are subtracted: the exponent of what is left is that of x.
        let (root, field) = self.by(
            (0x3FE6_A09E_667F_3BCD, 0xFFF0_0000_0000_0000_u64 as i64),
            (0x3F35_04F3, 0xFF80_0000_u32 as i32 as i64),
        );
        let (root, field) = (self.int(root), self.int(field));
        let above = self.put(Prim::ISub, &[x, root]);
        let shift = self.and(above, field);
        let mantissa = self.put(Prim::ISub, &[x, shift]);
        // The exponent as an unsigned number with an offset, put into the low bits of a float.
        let (places, offset, sign) =
            self.by((52, 4_503_599_627_370_496.0, 2048), (23, 8_388_608.0, 256));
        let bits = self.put(Prim::Shr(places), &[above]);
        let sign_bit = self.int(sign);
        let bits = self.put(Prim::Xor, &[bits, sign_bit]);
        let base = self.float(offset);
        let number = self.or(bits, base);
        let base = self.float(offset + sign as f64);
        let exponent = self.sub(number, base);
        let exponent = self.sub(exponent, moved);
        (mantissa, exponent)
    }

    /// The results of a logarithm at 0, below it, at infinity and for NaN.
    fn log_edges(&mut self, x: u32, result: u32) -> u32 {
        let zero = self.float(0.0);
        let (infinity, nan) = (self.float(f64::INFINITY), self.float(f64::NAN));
        let lowest = self.float(f64::NEG_INFINITY);
        let at_zero = self.compare(Predicate::Eq, x, zero);
        let result = self.blend(at_zero, lowest, result);
        let at_end = self.compare(Predicate::Eq, x, infinity);
        let result = self.blend(at_end, infinity, result);
        let fine = self.compare(Predicate::Le, zero, x);
        self.blend(fine, result, nan)
    }

    pub(super) fn log1p(&mut self, x: u32) -> u32 {
        let one = self.float(1.0);
        let u = self.add(x, one);
        let back = self.sub(u, one);
        let l = self.log(u);
        let ratio = self.div(x, back);
        let result = self.mul(l, ratio);
        let zero = self.float(0.0);
        let tiny = self.compare(Predicate::Eq, back, zero);
        let result = self.blend(tiny, x, result);
        let infinity = self.float(f64::INFINITY);
        let at_end = self.compare(Predicate::Eq, x, infinity);
        self.blend(at_end, x, result)
    }
}
