//! What kernels need of the element types, and the choice of one from a dtype.

use cotangent_array::{Complex32, Complex64, Element};

use cotangent_graph::complex;

use crate::kernels::gemm::Factor;
use crate::memory::Cell;

/// An element type with sums and products.
///
/// Sums and products are accumulated in [`Number::Sum`]: f64 for floats, so that an f32 is rounded
/// once at the end as the reference evaluator does, wrapping i64 for integers, whose low bits are
/// those of wrapping arithmetic in the type itself.
pub(crate) trait Number: Element + Cell + Factor {
    /// Whether this is a float or a complex number.
    const PACKED: bool;
    type Sum: Copy + Send + Sync + PartialEq + 'static;
    const ZERO: Self::Sum;
    const ONE: Self::Sum;
    fn widen(self) -> Self::Sum;
    fn narrow(x: Self::Sum) -> Self;
    fn add(x: Self::Sum, y: Self::Sum) -> Self::Sum;
    fn mul(x: Self::Sum, y: Self::Sum) -> Self::Sum;
    /// x * y + z, of floats rounded once. Slow but where the machine has an instruction for it.
    #[inline(always)]
    fn fused(x: Self::Sum, y: Self::Sum, z: Self::Sum) -> Self::Sum {
        Self::add(z, Self::mul(x, y))
    }
    /// One factor more in a product that starts at 1.
    #[inline(always)]
    fn factor(x: Self::Sum, y: Self::Sum) -> Self::Sum {
        Self::mul(x, y)
    }

    /// Arithmetic in the type itself, for matrix products.
    const NOTHING: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// Whether this is NaN, in one part if there are two.
    fn is_nan(self) -> bool;
    /// Whether this is a real -0.
    #[inline(always)]
    fn is_negative_zero(self) -> bool {
        false
    }
}

/// A number with an order: all but complex ones.
pub(crate) trait Ordered: Number {
    /// The value that every other is larger or smaller than.
    const LOWEST: Self;
    const HIGHEST: Self;
    /// The larger and the smaller of two; NaN if either is, 0 above -0.
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
    /// Order without NaN.
    fn above(self, other: Self) -> bool;
    /// A whole number that grows with this one; -0 has that of 0, and a NaN is above all.
    fn rank(self) -> u64;
}

/// A float.
pub(crate) trait Float: Ordered<Sum = f64> {
    /// The complex numbers with parts of this type.
    type Pair: Pair<Part = Self>;
    /// 1 and -0, which change no product and no sum, as elements that stand somewhere.
    const UNIT: &'static Self;
    const NO_TERM: &'static Self;
    fn of(x: f64) -> Self;
    fn to(self) -> f64;
}

/// A complex number, as the reference evaluator computes with it: in f64, the result rounded.
pub(crate) trait Pair: Number<Sum = Complex64> {
    /// The type of the real and of the imaginary part.
    type Part: Float<Pair = Self>;
    fn of(z: Complex64) -> Self;
    fn to(self) -> Complex64;
    /// From the parts themselves.
    fn join(re: Self::Part, im: Self::Part) -> Self;
    fn parts(self) -> (Self::Part, Self::Part);
}

/// An integer or a bool, as the reference evaluator computes with it: widened to i64, the result
/// wrapped.
pub(crate) trait Bits: Element + Cell {
    fn to(self) -> i64;
    fn of(x: i64) -> Self;
}

macro_rules! float {
    ($T:ident $C:ident) => {
        impl Number for $T {
            const PACKED: bool = true;
            type Sum = f64;
            const ZERO: f64 = 0.0;
            const ONE: f64 = 1.0;
            #[inline(always)]
            fn widen(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn narrow(x: f64) -> $T {
                x as $T
            }
            #[inline(always)]
            fn add(x: f64, y: f64) -> f64 {
                x + y
            }
            #[inline(always)]
            fn mul(x: f64, y: f64) -> f64 {
                x * y
            }
            #[inline(always)]
            fn fused(x: f64, y: f64, z: f64) -> f64 {
                x.mul_add(y, z)
            }
            const NOTHING: $T = 0.0;
            #[inline(always)]
            fn plus(self, other: $T) -> $T {
                self + other
            }
            #[inline(always)]
            fn times(self, other: $T) -> $T {
                self * other
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
            #[inline(always)]
            fn is_negative_zero(self) -> bool {
                self.to_bits() == (-0.0 as $T).to_bits()
            }
        }

        impl Ordered for $T {
            const LOWEST: $T = $T::NEG_INFINITY;
            const HIGHEST: $T = $T::INFINITY;
            // Without branches, so that loops over it become vector instructions.
            #[inline(always)]
            fn larger(self, y: $T) -> $T {
                let x = self;
                if (x > y) | (x != x) | ((x == y) & x.is_sign_positive()) {
                    x
                } else {
                    y
                }
            }
            #[inline(always)]
            fn smaller(self, y: $T) -> $T {
                let x = self;
                if (x < y) | (x != x) | ((x == y) & x.is_sign_negative()) {
                    x
                } else {
                    y
                }
            }
            #[inline(always)]
            fn above(self, other: $T) -> bool {
                self > other
            }
            #[inline(always)]
            fn rank(self) -> u64 {
                // Adding 0 turns -0 into 0.
                let bits = (self as f64 + 0.0).to_bits();
                if self.is_nan() {
                    u64::MAX
                } else if bits >> 63 == 1 {
                    !bits
                } else {
                    bits | 1 << 63
                }
            }
        }

        impl Float for $T {
            type Pair = $C;
            const UNIT: &'static $T = &1.0;
            const NO_TERM: &'static $T = &-0.0;
            #[inline(always)]
            fn of(x: f64) -> $T {
                x as $T
            }
            #[inline(always)]
            fn to(self) -> f64 {
                self as f64
            }
        }
    };
}

macro_rules! integer {
    ($T:ident) => {
        impl Number for $T {
            const PACKED: bool = false;
            type Sum = i64;
            const ZERO: i64 = 0;
            const ONE: i64 = 1;
            #[inline(always)]
            fn widen(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn narrow(x: i64) -> $T {
                x as $T
            }
            #[inline(always)]
            fn add(x: i64, y: i64) -> i64 {
                x.wrapping_add(y)
            }
            #[inline(always)]
            fn mul(x: i64, y: i64) -> i64 {
                x.wrapping_mul(y)
            }
            const NOTHING: $T = 0;
            #[inline(always)]
            fn plus(self, other: $T) -> $T {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn times(self, other: $T) -> $T {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
        }

        impl Ordered for $T {
            const LOWEST: $T = $T::MIN;
            const HIGHEST: $T = $T::MAX;
            #[inline(always)]
            fn larger(self, other: $T) -> $T {
                self.max(other)
            }
            #[inline(always)]
            fn smaller(self, other: $T) -> $T {
                self.min(other)
            }
            #[inline(always)]
            fn above(self, other: $T) -> bool {
                self > other
            }
            #[inline(always)]
            fn rank(self) -> u64 {
                self as i64 as u64 ^ 1 << 63
            }
        }

        impl Bits for $T {
            #[inline(always)]
            fn to(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn of(x: i64) -> $T {
                x as $T
            }
        }
    };
}

macro_rules! pair {
    ($C:ident $T:ident) => {
        impl Number for $C {
            const PACKED: bool = true;
            type Sum = Complex64;
            const ZERO: Complex64 = Complex64 { re: 0.0, im: 0.0 };
            const ONE: Complex64 = Complex64 { re: 1.0, im: 0.0 };
            #[inline(always)]
            fn widen(self) -> Complex64 {
                Pair::to(self)
            }
            #[inline(always)]
            fn narrow(z: Complex64) -> $C {
                Pair::of(z)
            }
            #[inline(always)]
            fn add(x: Complex64, y: Complex64) -> Complex64 {
                x + y
            }
            #[inline(always)]
            fn mul(x: Complex64, y: Complex64) -> Complex64 {
                complex::mul(x, y)
            }
            #[inline(always)]
            fn factor(x: Complex64, y: Complex64) -> Complex64 {
                complex::factor(x, y)
            }
            const NOTHING: $C = $C { re: 0.0, im: 0.0 };
            #[inline(always)]
            fn plus(self, other: $C) -> $C {
                self + other
            }
            #[inline(always)]
            fn times(self, other: $C) -> $C {
                $C {
                    re: self.re * other.re - self.im * other.im,
                    im: self.re * other.im + self.im * other.re,
                }
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
        }

        impl Pair for $C {
            type Part = $T;
            #[inline(always)]
            fn of(z: Complex64) -> $C {
                $C {
                    re: z.re as $T,
                    im: z.im as $T,
                }
            }
            #[inline(always)]
            fn to(self) -> Complex64 {
                Complex64 {
                    re: self.re as f64,
                    im: self.im as f64,
                }
            }
            #[inline(always)]
            fn join(re: $T, im: $T) -> $C {
                $C { re, im }
            }
            #[inline(always)]
            fn parts(self) -> ($T, $T) {
                (self.re, self.im)
            }
        }
    };
}

float!(f64 Complex64);
float!(f32 Complex32);
pair!(Complex64 f64);
pair!(Complex32 f32);
integer!(u8);
integer!(u32);
integer!(i32);
integer!(i64);

impl Bits for bool {
    #[inline(always)]
    fn to(self) -> i64 {
        i64::from(self)
    }
    #[inline(always)]
    fn of(x: i64) -> bool {
        x & 1 == 1
    }
}

/// Runs `$body` with `$T` naming the element type of a dtype: any of them, numbers with an order,
/// these and complex ones (`numeric`), floats, complex ones (`pair`), integers and bools, or a type of the
/// dtype's size and alignment for kernels that only move bits.
/// A dtype outside the family gives `$other`.
macro_rules! by_dtype {
    (any $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other;
            Bool bool, U8 u8, U32 u32, I32 i32, I64 i64, F32 f32, F64 f64,
            C64 Complex32, C128 Complex64)
    };
    (numeric $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other;
            U8 u8, U32 u32, I32 i32, I64 i64, F32 f32, F64 f64, C64 Complex32, C128 Complex64)
    };
    (pair $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other; C64 Complex32, C128 Complex64)
    };
    (number $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other;
            U8 u8, U32 u32, I32 i32, I64 i64, F32 f32, F64 f64)
    };
    (float $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other; F32 f32, F64 f64)
    };
    (bits $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other;
            Bool bool, U8 u8, U32 u32, I32 i32, I64 i64)
    };
    (size $dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        crate::number::by_dtype!(@ $dtype, $T => $body, $other;
            Bool u8, U8 u8, U32 u32, I32 u32, I64 u64, F32 u32, F64 u64,
            C64 Complex32, C128 Complex64)
    };
    (@ $dtype:expr, $T:ident => $body:expr, $other:expr; $($D:ident $E:ident),+) => {
        match $dtype {
            $(cotangent_array::DType::$D => {
                #[allow(unused_imports)]
                use cotangent_array::{Complex32, Complex64};
                type $T = $E;
                $body
            })+
            #[allow(unreachable_patterns)]
            _ => $other,
        }
    };
}

pub(crate) use by_dtype;

#[cfg(test)]
mod tests {
    use cotangent_graph::math;

    use super::*;

    #[test]
    fn larger_and_smaller_are_the_reference_ones() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        let bits = |x: f64| if x.is_nan() { None } else { Some(x.to_bits()) };
        for x in values {
            for y in values {
                assert_eq!(
                    bits(x.larger(y)),
                    bits(math::max(x, y)),
                    "max of {x} and {y}"
                );
                assert_eq!(
                    bits(x.smaller(y)),
                    bits(math::min(x, y)),
                    "min of {x} and {y}"
                );
                let (a, b) = (x as f32, y as f32);
                assert_eq!(bits(f64::from(a.larger(b))), bits(math::max(x, y)));
                assert_eq!(bits(f64::from(a.smaller(b))), bits(math::min(x, y)));
            }
        }
    }
}
