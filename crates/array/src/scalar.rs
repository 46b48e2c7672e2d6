//! One value of any dtype, and the rules of conversion between dtypes.

use std::fmt;
use std::hash::{Hash, Hasher};

use num_complex::{Complex, Complex32, Complex64};

use crate::DType;

/// One value of any dtype.
///
/// Equality and hashing go by bits, so that a constant is itself and nothing else: every NaN equals every NaN, and
/// `-0.0` differs from `0.0`. Values of different dtypes differ.
///
/// Text is the shortest that reads back as the same value: `1.0`, `-0.0`, `1e-7`, `nan`, `inf`, `-inf`, `true`, `3`,
/// `1.0-2.5j`.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// A `bool`.
    Bool(bool),
    /// A `u8`.
    U8(u8),
    /// A `u32`.
    U32(u32),
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// A complex number of two `f32`.
    C64(Complex32),
    /// A complex number of two `f64`.
    C128(Complex64),
}

impl Scalar {
    /// The dtype.
    #[inline]
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::U8(_) => DType::U8,
            Scalar::U32(_) => DType::U32,
            Scalar::I32(_) => DType::I32,
            Scalar::I64(_) => DType::I64,
            Scalar::F32(_) => DType::F32,
            Scalar::F64(_) => DType::F64,
            Scalar::C64(_) => DType::C64,
            Scalar::C128(_) => DType::C128,
        }
    }

    /// The value as `f64`, rounded to nearest for an `i64` beyond 2^53; `false` is 0, `true` is 1; of a complex number
    /// the real part.
    #[inline]
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Bool(x) => f64::from(u8::from(x)),
            Scalar::U8(x) => f64::from(x),
            Scalar::U32(x) => f64::from(x),
            Scalar::I32(x) => f64::from(x),
            Scalar::I64(x) => x as f64,
            Scalar::F32(x) => f64::from(x),
            Scalar::F64(x) => x,
            Scalar::C64(z) => f64::from(z.re),
            Scalar::C128(z) => z.re,
        }
    }

    /// The value as a complex number of two `f64`; a real number has the imaginary part 0.
    #[inline]
    pub fn to_complex(self) -> Complex64 {
        match self {
            Scalar::C64(z) => Complex::new(f64::from(z.re), f64::from(z.im)),
            Scalar::C128(z) => z,
            real => Complex::new(real.to_f64(), 0.0),
        }
    }

    /// The value as `f64` if it is a real number: `None` for a complex number whose imaginary part is not 0.
    #[inline]
    pub fn as_real(self) -> Option<f64> {
        match self.to_complex() {
            Complex64 { re, im: 0.0 } => Some(re),
            _ => None,
        }
    }

    /// Whether the value is neither infinite nor NaN, in either part.
    #[inline]
    pub fn is_finite(self) -> bool {
        self.to_complex().is_finite()
    }

    /// The value as `i64`: floats are cut toward zero and saturate, NaN is 0.
    #[inline]
    pub fn to_i64(self) -> i64 {
        match self {
            Scalar::Bool(x) => i64::from(x),
            Scalar::U8(x) => i64::from(x),
            Scalar::U32(x) => i64::from(x),
            Scalar::I32(x) => i64::from(x),
            Scalar::I64(x) => x,
            Scalar::F32(x) => x as i64,
            Scalar::F64(x) => x as i64,
            Scalar::C64(z) => z.re as i64,
            Scalar::C128(z) => z.re as i64,
        }
    }

    /// The value in another dtype. This is the meaning of every cast in cotangent:
    ///
    /// - to an integer, the value is cut toward zero and saturates at the ends of the type; NaN becomes 0;
    /// - to a float, it is rounded to nearest, ties to even;
    /// - to `bool`, it is `value != 0`, so NaN becomes `true`;
    /// - from `bool`, `false` is 0 and `true` is 1;
    /// - to a complex type, a real number gets the imaginary part 0;
    /// - from a complex type to a real one the imaginary part is dropped, as NumPy drops it. (A graph has no such
    ///   conversion: it takes `real`.)
    ///
    /// ```
    /// use cotangent_array::{DType, Scalar};
    ///
    /// assert_eq!(Scalar::F64(-2.9).convert(DType::I32), Scalar::I32(-2));
    /// assert_eq!(Scalar::I32(300).convert(DType::U8), Scalar::U8(255));
    /// assert_eq!(Scalar::F32(f32::NAN).convert(DType::I64), Scalar::I64(0));
    /// ```
    #[inline]
    pub fn convert(self, dtype: DType) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(self.is_nonzero()),
            // Saturating to 64 bits first and then to fewer gives the same as doing it in one step.
            DType::U8 => Scalar::U8(self.to_i64().clamp(0, i64::from(u8::MAX)) as u8),
            DType::U32 => Scalar::U32(self.to_i64().clamp(0, i64::from(u32::MAX)) as u32),
            DType::I32 => {
                let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
                Scalar::I32(self.to_i64().clamp(low, high) as i32)
            }
            DType::I64 => Scalar::I64(self.to_i64()),
            DType::F32 => Scalar::F32(self.to_f32()),
            DType::F64 => Scalar::F64(self.to_f64()),
            DType::C64 => Scalar::C64(match self {
                Scalar::C64(z) => z,
                Scalar::C128(z) => Complex::new(z.re as f32, z.im as f32),
                real => Complex::new(real.to_f32(), 0.0),
            }),
            DType::C128 => Scalar::C128(self.to_complex()),
        }
    }

    /// `z` in the given dtype, by the rules of [`Scalar::convert`].
    #[inline]
    pub fn from_complex(dtype: DType, z: Complex64) -> Scalar {
        Scalar::C128(z).convert(dtype)
    }

    /// `x` in the given dtype, by the rules of [`Scalar::convert`].
    #[inline]
    pub fn from_f64(dtype: DType, x: f64) -> Scalar {
        Scalar::F64(x).convert(dtype)
    }

    /// `x` in the given dtype. Integers wrap to the width of the type (they keep the low bits), which is what integer
    /// arithmetic does; use [`Scalar::convert`] to saturate. `bool` is `x != 0`.
    #[inline]
    pub fn from_i64(dtype: DType, x: i64) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(x != 0),
            DType::U8 => Scalar::U8(x as u8),
            DType::U32 => Scalar::U32(x as u32),
            DType::I32 => Scalar::I32(x as i32),
            DType::I64 => Scalar::I64(x),
            DType::F32 => Scalar::F32(x as f32),
            DType::F64 => Scalar::F64(x as f64),
            DType::C64 => Scalar::C64(Complex::new(x as f32, 0.0)),
            DType::C128 => Scalar::C128(Complex::new(x as f64, 0.0)),
        }
    }

    /// 0, or `false`.
    #[inline]
    pub fn zero(dtype: DType) -> Scalar {
        Scalar::from_i64(dtype, 0)
    }

    /// 1, or `true`.
    #[inline]
    pub fn one(dtype: DType) -> Scalar {
        Scalar::from_i64(dtype, 1)
    }

    /// Whether the value differs from zero: what it means as a `bool`.
    #[inline]
    fn is_nonzero(self) -> bool {
        match self {
            Scalar::F32(x) => x != 0.0,
            Scalar::F64(x) => x != 0.0,
            Scalar::C64(z) => z.re != 0.0 || z.im != 0.0,
            Scalar::C128(z) => z.re != 0.0 || z.im != 0.0,
            other => other.to_i64() != 0,
        }
    }

    /// Rounds once: going from `i64` through `f64` would round twice.
    #[inline]
    fn to_f32(self) -> f32 {
        match self {
            Scalar::F32(x) => x,
            Scalar::F64(x) => x as f32,
            Scalar::C64(z) => z.re,
            Scalar::C128(z) => z.re as f32,
            other => other.to_i64() as f32,
        }
    }

    /// Bits under which equal scalars are equal: all NaNs are one.
    #[inline]
    pub(crate) fn key(self) -> (u64, u64) {
        let narrow = |x: f32| match x.is_nan() {
            true => u64::from(f32::NAN.to_bits()),
            false => u64::from(x.to_bits()),
        };
        let wide = |x: f64| match x.is_nan() {
            true => f64::NAN.to_bits(),
            false => x.to_bits(),
        };
        match self {
            Scalar::F32(x) => (narrow(x), 0),
            Scalar::F64(x) => (wide(x), 0),
            Scalar::C64(z) => (narrow(z.re), narrow(z.im)),
            Scalar::C128(z) => (wide(z.re), wide(z.im)),
            other => (other.to_i64() as u64, 0),
        }
    }
}

impl PartialEq for Scalar {
    #[inline]
    fn eq(&self, other: &Scalar) -> bool {
        self.dtype() == other.dtype() && self.key() == other.key()
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dtype().hash(state);
        self.key().hash(state);
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Scalar::Bool(x) => write!(f, "{x}"),
            Scalar::U8(x) => write!(f, "{x}"),
            Scalar::U32(x) => write!(f, "{x}"),
            Scalar::I32(x) => write!(f, "{x}"),
            Scalar::I64(x) => write!(f, "{x}"),
            Scalar::F32(x) if x.is_nan() => f.write_str("nan"),
            Scalar::F64(x) if x.is_nan() => f.write_str("nan"),
            // Debug keeps the point of whole numbers and picks an exponent where that is shorter. Infinity is `inf`.
            Scalar::F32(x) => write!(f, "{x:?}"),
            Scalar::F64(x) => write!(f, "{x:?}"),
            Scalar::C64(z) => write_complex(f, Scalar::F32(z.re), Scalar::F32(z.im)),
            Scalar::C128(z) => write_complex(f, Scalar::F64(z.re), Scalar::F64(z.im)),
        }
    }
}

/// As Python prints complex numbers: the real part, the imaginary part with its sign, `j`.
fn write_complex(f: &mut fmt::Formatter<'_>, re: Scalar, im: Scalar) -> fmt::Result {
    // A NaN prints without a sign, whatever its bits are.
    let negative = im.to_f64().is_sign_negative() && !im.to_f64().is_nan();
    let plus = if negative { "" } else { "+" };
    write!(f, "{re}{plus}{im}j")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_bitwise_with_one_nan() {
        let quiet = f64::NAN;
        let payload = f64::from_bits(0xfff8_0000_0000_1234);
        assert_eq!(Scalar::F64(quiet), Scalar::F64(payload));
        assert_eq!(Scalar::F32(f32::NAN), Scalar::F32(-f32::NAN));
        assert_ne!(Scalar::F64(0.0), Scalar::F64(-0.0));
        assert_ne!(Scalar::F64(1.0), Scalar::F32(1.0));
        assert_ne!(Scalar::I32(-1), Scalar::I32(1));
    }

    #[test]
    fn text_round_trips() {
        let cases = [
            (Scalar::F64(1.0), "1.0"),
            (Scalar::F64(-0.0), "-0.0"),
            (Scalar::F64(1e-7), "1e-7"),
            (Scalar::F64(0.1), "0.1"),
            (Scalar::F32(0.1), "0.1"),
            (Scalar::F64(1e300), "1e300"),
            (Scalar::F64(f64::NAN), "nan"),
            (Scalar::F64(-f64::NAN), "nan"),
            (Scalar::F32(f32::INFINITY), "inf"),
            (Scalar::F64(f64::NEG_INFINITY), "-inf"),
            (Scalar::Bool(true), "true"),
            (Scalar::C128(Complex::new(1.0, -2.5)), "1.0-2.5j"),
            (Scalar::C64(Complex::new(-0.0, 0.1)), "-0.0+0.1j"),
            (Scalar::C128(Complex::new(f64::NAN, -f64::NAN)), "nan+nanj"),
            (
                Scalar::C128(Complex::new(1.0, f64::NEG_INFINITY)),
                "1.0-infj",
            ),
            (Scalar::I64(3), "3"),
            (Scalar::U8(255), "255"),
        ];
        for (scalar, text) in cases {
            assert_eq!(scalar.to_string(), text);
        }
        for bits in [
            1u64,
            0x000f_ffff_ffff_ffff,
            0x7fef_ffff_ffff_ffff,
            0x3ff0_0000_0000_0001,
        ] {
            let x = f64::from_bits(bits);
            assert_eq!(
                Scalar::F64(x).to_string().parse::<f64>().unwrap().to_bits(),
                bits
            );
        }
    }

    #[test]
    fn casts_saturate() {
        let max = Scalar::F64(1e30);
        let min = Scalar::F64(-1e30);
        assert_eq!(max.convert(DType::U8), Scalar::U8(255));
        assert_eq!(max.convert(DType::U32), Scalar::U32(u32::MAX));
        assert_eq!(max.convert(DType::I32), Scalar::I32(i32::MAX));
        assert_eq!(max.convert(DType::I64), Scalar::I64(i64::MAX));
        assert_eq!(min.convert(DType::U8), Scalar::U8(0));
        assert_eq!(min.convert(DType::U32), Scalar::U32(0));
        assert_eq!(min.convert(DType::I32), Scalar::I32(i32::MIN));
        assert_eq!(min.convert(DType::I64), Scalar::I64(i64::MIN));
        assert_eq!(
            Scalar::F32(f32::INFINITY).convert(DType::I64),
            Scalar::I64(i64::MAX)
        );
        assert_eq!(Scalar::I64(-5).convert(DType::U32), Scalar::U32(0));
        assert_eq!(
            Scalar::U32(u32::MAX).convert(DType::I32),
            Scalar::I32(i32::MAX)
        );
        assert_eq!(
            Scalar::F64(1e300).convert(DType::F32),
            Scalar::F32(f32::INFINITY)
        );
    }

    #[test]
    fn casts_cut_toward_zero_and_nan_is_zero() {
        assert_eq!(Scalar::F64(2.9).convert(DType::U8), Scalar::U8(2));
        assert_eq!(Scalar::F64(-0.9).convert(DType::I32), Scalar::I32(0));
        for &dtype in DType::ALL.iter().filter(|dtype| dtype.is_int()) {
            assert_eq!(Scalar::F64(f64::NAN).convert(dtype), Scalar::zero(dtype));
        }
    }

    #[test]
    fn bools_are_not_zero_and_zero_or_one() {
        assert_eq!(Scalar::F64(0.3).convert(DType::Bool), Scalar::Bool(true));
        assert_eq!(Scalar::F32(-0.0).convert(DType::Bool), Scalar::Bool(false));
        assert_eq!(
            Scalar::F64(f64::NAN).convert(DType::Bool),
            Scalar::Bool(true)
        );
        for &dtype in DType::ALL {
            assert_eq!(Scalar::Bool(true).convert(dtype), Scalar::one(dtype));
            assert_eq!(Scalar::Bool(false).convert(dtype), Scalar::zero(dtype));
            assert_eq!(Scalar::one(dtype).dtype(), dtype);
        }
    }

    #[test]
    fn complex_numbers_convert_as_in_numpy() {
        let z = Scalar::C128(Complex::new(-2.5, 1.0));
        assert_eq!(z.convert(DType::C64), Scalar::C64(Complex::new(-2.5, 1.0)));
        assert_eq!(z.convert(DType::F64), Scalar::F64(-2.5));
        assert_eq!(z.convert(DType::I32), Scalar::I32(-2));
        let imaginary = Scalar::C64(Complex::new(0.0, 1.0));
        assert_eq!(imaginary.convert(DType::Bool), Scalar::Bool(true));
        assert_eq!((imaginary.as_real(), z.as_real()), (None, None));
        let real = Scalar::F32(0.5).convert(DType::C128);
        assert_eq!(real, Scalar::C128(Complex::new(0.5, 0.0)));
        assert_eq!(real.as_real(), Some(0.5));
        assert_ne!(
            Scalar::C128(Complex::new(0.0, 0.0)),
            Scalar::C128(Complex::new(0.0, -0.0))
        );
        assert!(!Scalar::C64(Complex::new(0.0, f32::INFINITY)).is_finite());
    }

    #[test]
    fn from_i64_wraps() {
        assert_eq!(Scalar::from_i64(DType::U8, 257), Scalar::U8(1));
        assert_eq!(Scalar::from_i64(DType::U8, -1), Scalar::U8(255));
        assert_eq!(Scalar::from_i64(DType::I32, 1 << 31), Scalar::I32(i32::MIN));
    }

    #[test]
    fn i64_to_f32_rounds_once() {
        // Through f64 this would first round to a tie and then to even, one step too low.
        let x = (1i64 << 60) + (1 << 36) + 1;
        assert_eq!(Scalar::I64(x).convert(DType::F32), Scalar::F32(x as f32));
        assert_ne!(x as f32, x as f64 as f32);
    }
}
