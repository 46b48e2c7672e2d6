//! Sine, cosine and tangent.
//!
//! The argument is reduced by a multiple of pi / 2 that is subtracted in parts, after W. J. Cody and
//! W. Waite (Software Manual for the Elementary Functions, chapter 8): all parts but the last have few
//! bits, so their products with the multiple are exact, and the rounding errors of the differences
//! are collected (Dekker's fast sum). Angles beyond [`Writer::limit`] go to the standard library, one
//! by one. The polynomials are made as those of the module `math`.

use cotangent_graph::ops::Unary;

use super::code::{Lanes, Predicate, Prim, Writer};

/// (sin(r) - r) / r^3 in r^2, for |r| <= pi / 4.
const SIN64: [f64; 6] = [
    -0.16666666666666666,
    0.008333333333330936,
    -0.00019841269836740532,
    2.7557316093198404e-06,
    -2.505112989645018e-08,
    1.5917988979397204e-10,
];
const SIN32: [f64; 3] = [
    -0.16666664656312208,
    0.008332747104664527,
    -0.0001958763909873721,
];

/// (cos(r) - 1 + r^2 / 2) / r^4 in r^2, for |r| <= pi / 4.
const COS64: [f64; 6] = [
    0.041666666666666664,
    -0.0013888888888887389,
    2.48015872987544e-05,
    -2.755731726587808e-07,
    2.087614504941318e-09,
    -1.1382544645349108e-11,
];
const COS32: [f64; 3] = [
    0.04166666465348879,
    -0.0013888301867562365,
    2.454768977245962e-05,
];

/// pi / 2 in parts of 33 bits (f32: 11) and what is left.
const PARTS64: [f64; 4] = [
    1.5707963267341256,
    6.077100506303966e-11,
    2.0222662487111665e-21,
    8.4784276603689e-32,
];
const PARTS32: [f64; 5] = [
    1.5703125,
    0.0004837512969970703,
    7.549533620476723e-08,
    2.5632829192545614e-12,
    6.123234262925839e-17,
];

const MAGIC64: f64 = 6_755_399_441_055_744.0;
const MAGIC32: f64 = 12_582_912.0;

/// An angle as a multiple of pi / 2 and the sine and cosine of the rest.
struct Turned {
    /// The multiple, in the low bits of an integer.
    quarters: u32,
    sin: u32,
    cos: u32,
}

impl Writer {
    /// The largest angle that is reduced here: multiples of pi / 2 then have 20 bits (f32: 13).
    fn limit(&self) -> f64 {
        self.by(1_048_576.0, 8192.0)
    }

    fn turned(&mut self, x: u32) -> Turned {
        let magic = self.by(MAGIC64, MAGIC32);
        let magic = self.float(magic);
        let scale = self.float(std::f64::consts::FRAC_2_PI);
        let quarters = self.mul_add(x, scale, magic);
        let count = self.sub(quarters, magic);
        let (first, middle, last): (f64, &[f64], f64) = match self.lanes {
            Lanes::W64 => (PARTS64[0], &PARTS64[1..3], PARTS64[3]),
            Lanes::W32 => (PARTS32[0], &PARTS32[1..4], PARTS32[4]),
        };
        let part = self.float(first);
        let product = self.mul(count, part);
        let mut rest = self.sub(x, product);
        // What the differences lost, with the other sign, so that -0 stays -0.
        let mut lost: Option<u32> = None;
        for part in middle {
            let part = self.float(*part);
            let product = self.mul(count, part);
            let next = self.sub(rest, product);
            let error = self.sub(next, rest);
            let error = self.add(error, product);
            lost = Some(match lost {
                Some(lost) => self.add(lost, error),
                None => error,
            });
            rest = next;
        }
        let part = self.float(last);
        let product = self.mul(count, part);
        let lost = match lost {
            Some(lost) => self.add(lost, product),
            None => product,
        };
        let r = self.sub(rest, lost);
        let tail = self.sub(rest, r);
        let tail = self.sub(tail, lost);

        let z = self.mul(r, r);
        let half = self.float(0.5);
        let one = self.float(1.0);
        let (s, c) = match self.lanes {
            Lanes::W64 => (self.polynomial(z, &SIN64), self.polynomial(z, &COS64)),
            Lanes::W32 => (self.polynomial(z, &SIN32), self.polynomial(z, &COS32)),
        };
        // sin(r + t) = r + (r^3 s + t (1 - z / 2)), cos(r + t) = 1 - z / 2 + (z^2 c - r t).
        let h = self.mul(z, half);
        let w = self.sub(one, h);
        let cube = self.mul(r, z);
        let bent = self.mul(tail, w);
        let bent = self.mul_add(cube, s, bent);
        let sin = self.add(r, bent);
        let fourth = self.mul(z, z);
        let slope = self.mul(r, tail);
        let rest = self.sub(one, w);
        let rest = self.sub(rest, h);
        let rest = self.sub(rest, slope);
        let rest = self.mul_add(fourth, c, rest);
        let cos = self.add(w, rest);
        Turned { quarters, sin, cos }
    }

    /// The mask of lanes in which a bit of an integer is set.
    fn bit(&mut self, x: u32, bit: i64) -> u32 {
        let bit = self.int(bit);
        let own = self.and(x, bit);
        self.put(Prim::IEq, &[own, bit])
    }

    /// The sign bit where a bit of an integer is set.
    fn sign_of(&mut self, x: u32, bit: i64) -> u32 {
        let mask = self.bit(x, bit);
        let sign = self.float(-0.0);
        self.and(mask, sign)
    }

    /// The result for large angles by the standard library; NaN stays.
    fn far(&mut self, op: Unary, x: u32, result: u32) -> u32 {
        let size = self.abs(x);
        let limit = self.limit();
        let limit = self.float(limit);
        let beyond = self.compare(Predicate::Lt, limit, size);
        self.put(Prim::Call(op), &[beyond, x, result])
    }

    pub(super) fn sin(&mut self, x: u32) -> u32 {
        let t = self.turned(x);
        let odd = self.bit(t.quarters, 1);
        let result = self.blend(odd, t.cos, t.sin);
        let sign = self.sign_of(t.quarters, 2);
        let result = self.put(Prim::Xor, &[result, sign]);
        let result = self.same_near_zero(x, result);
        self.far(Unary::Sin, x, result)
    }

    pub(super) fn cos(&mut self, x: u32) -> u32 {
        let t = self.turned(x);
        let odd = self.bit(t.quarters, 1);
        let result = self.blend(odd, t.sin, t.cos);
        let one = self.int(1);
        let next = self.put(Prim::IAdd, &[t.quarters, one]);
        let sign = self.sign_of(next, 2);
        let result = self.put(Prim::Xor, &[result, sign]);
        self.far(Unary::Cos, x, result)
    }

    pub(super) fn tan(&mut self, x: u32) -> u32 {
        let t = self.turned(x);
        let odd = self.bit(t.quarters, 1);
        let above = self.blend(odd, t.cos, t.sin);
        let below = self.blend(odd, t.sin, t.cos);
        let result = self.div(above, below);
        let sign = self.float(-0.0);
        let sign = self.and(odd, sign);
        let result = self.put(Prim::Xor, &[result, sign]);
        let result = self.same_near_zero(x, result);
        self.far(Unary::Tan, x, result)
    }

    /// x itself where it is tiny, zeros and their signs included.
    fn same_near_zero(&mut self, x: u32, result: u32) -> u32 {
        let size = self.abs(x);
        let tiny = self.by(1e-9, 1e-5);
        let tiny = self.float(tiny);
        let small = self.compare(Predicate::Lt, size, tiny);
        self.blend(small, x, result)
    }
}
