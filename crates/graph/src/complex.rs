//! Functions of complex numbers: principal values, with the branch cuts of C99 (annex G) and NumPy.
//!
//! Most formulas are those of W. Kahan, Branch Cuts for Complex Elementary Functions (1987). They keep
//! the digits of an imaginary part however small it is beside the real one, which derivatives by complex
//! step rest on.

use std::f64::consts::{LN_2, LOG2_E, LOG10_E};

use cotangent_array::Complex64;

fn complex(re: f64, im: f64) -> Complex64 {
    Complex64 { re, im }
}

/// i z, without a product that could meet an infinity.
fn turned(z: Complex64) -> Complex64 {
    complex(-z.im, z.re)
}

/// -i z
fn turned_back(z: Complex64) -> Complex64 {
    complex(z.im, -z.re)
}

fn is_zero(z: Complex64) -> bool {
    z.re == 0.0 && z.im == 0.0
}

/// One factor more in a product that starts at 1, which leaves the other factor as it is: its zero
/// imaginary part would make NaN of an infinity.
pub fn factor(x: Complex64, y: Complex64) -> Complex64 {
    let one = Complex64::new(1.0, 0.0);
    match (x == one, y == one) {
        (true, _) => y,
        (_, true) => x,
        _ => mul(x, y),
    }
}

/// The product by its definition.
#[inline(always)]
pub fn mul(x: Complex64, y: Complex64) -> Complex64 {
    complex(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)
}

/// The product, and 0 where one factor is 0 and the product is NaN in a part.
#[inline(always)]
pub fn strong_product(x: Complex64, y: Complex64) -> Complex64 {
    let product = mul(x, y);
    if (product.re.is_nan() || product.im.is_nan()) && (is_zero(x) || is_zero(y)) {
        complex(0.0, 0.0)
    } else {
        product
    }
}

/// The quotient, without overflow on the way (R. L. Smith, Algorithm 116, 1962). Division by 0 divides
/// both parts by it, as NumPy does.
pub fn div(x: Complex64, y: Complex64) -> Complex64 {
    if is_zero(y) {
        return complex(x.re / y.re.abs(), x.im / y.re.abs());
    }
    if y.re.abs() >= y.im.abs() {
        let ratio = y.im / y.re;
        let scale = y.re + y.im * ratio;
        complex((x.re + x.im * ratio) / scale, (x.im - x.re * ratio) / scale)
    } else {
        let ratio = y.re / y.im;
        let scale = y.re * ratio + y.im;
        complex((x.re * ratio + x.im) / scale, (x.im * ratio - x.re) / scale)
    }
}

/// The distance from 0, without overflow on the way.
pub fn abs(z: Complex64) -> f64 {
    z.re.hypot(z.im)
}

/// The angle from the positive real axis, in [-pi, pi]; 0 for 0.
pub fn angle(z: Complex64) -> f64 {
    libm::atan2(z.im, z.re)
}

/// The square root with a real part that is not negative; the cut runs along the negative reals.
pub fn sqrt(z: Complex64) -> Complex64 {
    if is_zero(z) {
        return complex(0.0, z.im);
    }
    if z.im.is_infinite() {
        return complex(f64::INFINITY, z.im);
    }
    // Far from 1 the sum below would overflow, or lose its last bits.
    let largest = z.re.abs().max(z.im.abs());
    let (by, back) = match largest {
        x if x > 1e300 && x.is_finite() => (0.25, 2.0),
        x if x < 1e-290 => (2_f64.powi(108), 2_f64.powi(-54)),
        _ => (1.0, 1.0),
    };
    let (re, im) = (z.re * by, z.im * by);
    let size = re.hypot(im);
    let (re, im) = if re >= 0.0 {
        let t = ((re + size) / 2.0).sqrt();
        (t, im / (2.0 * t))
    } else {
        let t = ((size - re) / 2.0).sqrt();
        (im.abs() / (2.0 * t), t.copysign(im))
    };
    complex(re * back, im * back)
}

/// 1 / sqrt(z)
pub fn rsqrt(z: Complex64) -> Complex64 {
    div(complex(1.0, 0.0), sqrt(z))
}

/// e to the power z.
pub fn exp(z: Complex64) -> Complex64 {
    polar(z.re.exp(), z.im)
}

/// 2 to the power z.
pub fn exp2(z: Complex64) -> Complex64 {
    polar(z.re.exp2(), z.im * LN_2)
}

/// The number of this size at this angle; a real one keeps its zero.
fn polar(size: f64, angle: f64) -> Complex64 {
    if angle == 0.0 {
        complex(size, angle)
    } else if size == 0.0 && !angle.is_finite() {
        complex(0.0, 0.0)
    } else {
        complex(size * angle.cos(), size * angle.sin())
    }
}

/// exp(z) - 1 without losing digits near 0.
pub fn expm1(z: Complex64) -> Complex64 {
    if z.im == 0.0 {
        return complex(libm::expm1(z.re), z.im);
    }
    // e^x cos y - 1 = (e^x - 1) cos y - (1 - cos y), and 1 - cos y = 2 sin^2(y / 2).
    let half = (z.im / 2.0).sin();
    let re = libm::expm1(z.re) * z.im.cos() - 2.0 * half * half;
    complex(re, z.re.exp() * z.im.sin())
}

/// The natural logarithm with an imaginary part in [-pi, pi].
pub fn log(z: Complex64) -> Complex64 {
    complex(log_abs(z), angle(z))
}

/// log(|z|); near the unit circle from |z|^2 - 1, which keeps the digits there.
fn log_abs(z: Complex64) -> f64 {
    let (x, y) = (z.re.abs(), z.im.abs());
    let (large, small) = if x >= y { (x, y) } else { (y, x) };
    if small > 0.0 && (0.5..2.0).contains(&large) {
        return 0.5 * libm::log1p((large - 1.0) * (large + 1.0) + small * small);
    }
    if large > 1e300 && large.is_finite() {
        return (large / 2.0).hypot(small / 2.0).ln() + LN_2;
    }
    large.hypot(small).ln()
}

/// The logarithm to base 2.
pub fn log2(z: Complex64) -> Complex64 {
    let l = log(z);
    let re = if z.im == 0.0 {
        z.re.abs().log2()
    } else {
        l.re * LOG2_E
    };
    complex(re, l.im * LOG2_E)
}

/// The logarithm to base 10.
pub fn log10(z: Complex64) -> Complex64 {
    let l = log(z);
    let re = if z.im == 0.0 {
        z.re.abs().log10()
    } else {
        l.re * LOG10_E
    };
    complex(re, l.im * LOG10_E)
}

/// log(1 + z) without losing digits near 0.
pub fn log1p(z: Complex64) -> Complex64 {
    let (x, y) = (z.re, z.im);
    let im = libm::atan2(y, 1.0 + x);
    if y == 0.0 && x >= -1.0 {
        complex(libm::log1p(x), im)
    } else if x.abs() < 0.5 && y.abs() < 0.5 {
        // |1 + z|^2 - 1
        complex(0.5 * libm::log1p(x * (2.0 + x) + y * y), im)
    } else {
        complex(log_abs(complex(1.0 + x, y)), im)
    }
}

/// sin(x + iy) = sin x cosh y + i cos x sinh y
pub fn sin(z: Complex64) -> Complex64 {
    turned_back(sinh(turned(z)))
}

/// cos(x + iy) = cos x cosh y - i sin x sinh y
pub fn cos(z: Complex64) -> Complex64 {
    cosh(turned(z))
}

/// sin(z) / cos(z)
pub fn tan(z: Complex64) -> Complex64 {
    turned_back(tanh(turned(z)))
}

/// sinh(x + iy) = sinh x cos y + i cosh x sin y
pub fn sinh(z: Complex64) -> Complex64 {
    if z.im == 0.0 {
        return complex(libm::sinh(z.re), z.im);
    }
    if z.re == 0.0 {
        return complex(z.re, z.im.sin());
    }
    complex(libm::sinh(z.re) * z.im.cos(), libm::cosh(z.re) * z.im.sin())
}

/// cosh(x + iy) = cosh x cos y + i sinh x sin y
pub fn cosh(z: Complex64) -> Complex64 {
    if z.im == 0.0 {
        return complex(libm::cosh(z.re), z.im * 1.0_f64.copysign(z.re));
    }
    if z.re == 0.0 {
        return complex(z.im.cos(), z.re * z.im.sin());
    }
    complex(libm::cosh(z.re) * z.im.cos(), libm::sinh(z.re) * z.im.sin())
}

/// sinh(z) / cosh(z), without overflow (Kahan, procedure CTANH).
pub fn tanh(z: Complex64) -> Complex64 {
    if z.im == 0.0 {
        // The slope 1 - tanh^2 carries a small imaginary part; here there is none.
        return complex(libm::tanh(z.re), z.im);
    }
    if z.re.abs() > 20.0 {
        let small = 4.0 * z.im.sin() * z.im.cos() * (-2.0 * z.re.abs()).exp();
        return complex(1.0_f64.copysign(z.re), small);
    }
    let t = z.im.tan();
    let beta = 1.0 + t * t;
    let s = libm::sinh(z.re);
    let rho = (1.0 + s * s).sqrt();
    let scale = 1.0 + beta * s * s;
    complex(beta * rho * s / scale, t / scale)
}

/// The inverse sine; cuts along the reals beyond -1 and 1 (Kahan, procedure CASIN).
pub fn asin(z: Complex64) -> Complex64 {
    let (low, high) = roots_around(z);
    let re = libm::atan2(z.re, mul(low, high).re);
    complex(re, libm::asinh(mul(low.conj(), high).im))
}

/// The inverse cosine; cuts along the reals beyond -1 and 1 (Kahan, procedure CACOS).
pub fn acos(z: Complex64) -> Complex64 {
    let (low, high) = roots_around(z);
    let re = 2.0 * libm::atan2(low.re, high.re);
    complex(re, libm::asinh(mul(high.conj(), low).im))
}

/// sqrt(1 - z) and sqrt(1 + z)
fn roots_around(z: Complex64) -> (Complex64, Complex64) {
    (
        sqrt(complex(1.0 - z.re, -z.im)),
        sqrt(complex(1.0 + z.re, z.im)),
    )
}

/// The inverse tangent; cuts along the imaginary axis beyond -i and i.
pub fn atan(z: Complex64) -> Complex64 {
    turned_back(atanh(turned(z)))
}

/// The inverse hyperbolic sine; cuts along the imaginary axis beyond -i and i.
pub fn asinh(z: Complex64) -> Complex64 {
    turned_back(asin(turned(z)))
}

/// The inverse hyperbolic cosine; a cut along the reals below 1 (Kahan, procedure CACOSH).
pub fn acosh(z: Complex64) -> Complex64 {
    let low = sqrt(complex(z.re - 1.0, z.im));
    let high = sqrt(complex(z.re + 1.0, z.im));
    let re = libm::asinh(mul(low.conj(), high).re);
    complex(re, 2.0 * libm::atan2(low.im, high.re))
}

/// The inverse hyperbolic tangent; cuts along the reals beyond -1 and 1.
pub fn atanh(z: Complex64) -> Complex64 {
    // For the right half plane, where the logarithm keeps its digits; the function is odd.
    let (x, y) = (z.re.abs(), z.im);
    let near = (1.0 - x) * (1.0 - x) + y * y;
    let re = (0.25 * libm::log1p(4.0 * x / near)).copysign(z.re);
    complex(
        re,
        0.5 * libm::atan2(2.0 * y, (1.0 - x) * (1.0 + x) - y * y),
    )
}

/// 1 / (1 + exp(-z)) without overflow.
pub fn sigmoid(z: Complex64) -> Complex64 {
    let one = complex(1.0, 0.0);
    if z.re >= 0.0 {
        let e = exp(-z);
        div(one, complex(1.0 + e.re, e.im))
    } else {
        let e = exp(z);
        div(e, complex(1.0 + e.re, e.im))
    }
}

/// x to the power y as exp(y log(x)), whole powers by repeated squaring; 0 to a power with a positive
/// real part is 0, to any other but 0 NaN.
pub fn pow(x: Complex64, y: Complex64) -> Complex64 {
    if y.im == 0.0 && y.re == y.re.trunc() && y.re.abs() <= 4096.0 {
        return powi(x, y.re as i64);
    }
    if is_zero(x) {
        return match y.re > 0.0 {
            true => complex(0.0, 0.0),
            false => complex(f64::NAN, f64::NAN),
        };
    }
    let turn = angle(x);
    let mut size = abs(x).powf(y.re);
    if y.im != 0.0 {
        size *= (-y.im * turn).exp();
    }
    polar(
        size,
        y.re * turn + if y.im == 0.0 { 0.0 } else { y.im * log_abs(x) },
    )
}

/// Whole powers by repeated squaring; a negative power is the reciprocal of the positive one.
pub fn powi(x: Complex64, n: i64) -> Complex64 {
    // No product by 1 to start with: beside an infinity it would make a NaN.
    let (mut base, mut k, mut out) = (x, n.unsigned_abs(), None);
    while k > 0 {
        if k & 1 == 1 {
            out = Some(out.map_or(base, |out| mul(out, base)));
        }
        k >>= 1;
        if k > 0 {
            base = mul(base, base);
        }
    }
    let one = complex(1.0, 0.0);
    match out {
        Some(out) if n < 0 => div(one, out),
        Some(out) => out,
        None => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    type Function = fn(Complex64) -> Complex64;
    type Real = fn(f64) -> f64;

    /// Each function with the real one that it continues and an interval where that is smooth.
    const FUNCTIONS: &[(&str, Function, Real, (f64, f64))] = &[
        ("sqrt", sqrt, f64::sqrt, (0.2, 4.0)),
        ("rsqrt", rsqrt, |x| 1.0 / x.sqrt(), (0.2, 4.0)),
        ("exp", exp, f64::exp, (-3.0, 3.0)),
        ("exp2", exp2, f64::exp2, (-3.0, 3.0)),
        ("expm1", expm1, libm::expm1, (-3.0, 3.0)),
        ("log", log, f64::ln, (0.2, 4.0)),
        ("log2", log2, f64::log2, (0.2, 4.0)),
        ("log10", log10, f64::log10, (0.2, 4.0)),
        ("log1p", log1p, libm::log1p, (-0.8, 3.0)),
        ("sin", sin, f64::sin, (-3.0, 3.0)),
        ("cos", cos, f64::cos, (-3.0, 3.0)),
        ("tan", tan, f64::tan, (-1.2, 1.2)),
        ("sinh", sinh, libm::sinh, (-3.0, 3.0)),
        ("cosh", cosh, libm::cosh, (-3.0, 3.0)),
        ("tanh", tanh, libm::tanh, (-3.0, 3.0)),
        ("asin", asin, f64::asin, (-0.9, 0.9)),
        ("acos", acos, f64::acos, (-0.9, 0.9)),
        ("atan", atan, f64::atan, (-3.0, 3.0)),
        ("asinh", asinh, libm::asinh, (-3.0, 3.0)),
        ("acosh", acosh, libm::acosh, (1.2, 4.0)),
        ("atanh", atanh, libm::atanh, (-0.9, 0.9)),
        ("sigmoid", sigmoid, math::sigmoid, (-3.0, 3.0)),
        (
            "pow",
            |z| pow(z, complex(1.7, 0.0)),
            |x| x.powf(1.7),
            (0.2, 4.0),
        ),
        ("powi", |z| powi(z, -3), |x| math::powi(x, -3), (0.2, 4.0)),
    ];

    fn close(name: &str, found: Complex64, expected: Complex64, tolerance: f64) {
        assert!(
            abs(found - expected) <= tolerance * (1.0 + abs(expected)),
            "{name}: expected {expected}, found {found}"
        );
    }

    #[test]
    fn real_numbers_give_the_real_function() {
        for (name, f, real, (lo, hi)) in FUNCTIONS {
            for i in 0..=40 {
                let x = lo + (hi - lo) * f64::from(i) / 40.0;
                close(name, f(complex(x, 0.0)), complex(real(x), 0.0), 4e-15);
            }
        }
    }

    /// By a central difference of the real function, and by the Cauchy-Riemann equations off the axis.
    #[test]
    fn functions_are_analytic() {
        for (name, f, real, (lo, hi)) in FUNCTIONS {
            for i in 1..20 {
                let x = lo + (hi - lo) * f64::from(i) / 20.0;
                let h = 1e-5;
                let slope = (real(x + h) - real(x - h)) / (2.0 * h);
                let step = f(complex(x, 1e-200)).im / 1e-200;
                let off = (step - slope).abs();
                assert!(
                    off <= 1e-7 * (1.0 + slope.abs()),
                    "{name} at {x}: {step} and {slope}"
                );
                for y in [-0.7, 0.1, 0.9] {
                    let along = (f(complex(x + h, y)) - f(complex(x - h, y))) / (2.0 * h);
                    let across = (f(complex(x, y + h)) - f(complex(x, y - h))) / (2.0 * h);
                    close(name, across, turned(along), 1e-7);
                }
            }
        }
    }

    #[test]
    fn inverses_undo() {
        let pairs: [(&str, Function, Function); 8] = [
            ("sqrt", sqrt, |z| mul(z, z)),
            ("log", log, exp),
            ("asin", asin, sin),
            ("acos", acos, cos),
            ("atan", atan, tan),
            ("asinh", asinh, sinh),
            ("acosh", acosh, cosh),
            ("atanh", atanh, tanh),
        ];
        for (name, inverse, f) in pairs {
            for x in [-3.0, -0.5, 0.25, 2.0] {
                for y in [-2.0, -0.25, 0.5, 3.0] {
                    let z = complex(x, y);
                    close(name, f(inverse(z)), z, 1e-14);
                }
            }
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_vanish() {
        let root = sqrt(complex(-1e308, 1e308));
        close("sqrt", mul(root, root) / 1e308, complex(-1.0, 1.0), 1e-15);
        let root = sqrt(complex(1e-310, -1e-310));
        close(
            "sqrt",
            mul(root / 1e-155, root / 1e-155),
            complex(1.0, -1.0),
            1e-10,
        );
        assert_eq!(tanh(complex(800.0, 0.3)), complex(1.0, 0.0));
        close(
            "log",
            log(complex(1e308, 1e308)),
            complex(
                709.196_208_642_166_1 + 0.346_573_590_279_972_6,
                std::f64::consts::FRAC_PI_4,
            ),
            1e-15,
        );
        close(
            "div",
            div(complex(1e300, 1e300), complex(1e300, 1e300)),
            complex(1.0, 0.0),
            1e-15,
        );
        let zero = complex(0.0, 0.0);
        assert_eq!(strong_product(zero, complex(f64::INFINITY, f64::NAN)), zero);
        assert_eq!(div(complex(1.0, 2.0), zero).re, f64::INFINITY);
        assert_eq!(pow(zero, zero), complex(1.0, 0.0));
        assert_eq!(pow(zero, complex(0.5, 0.0)), zero);
    }
}
