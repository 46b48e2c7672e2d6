//! The Rust types that an array holds, and the storage that joins them.

use std::fmt::Debug;

use num_complex::{Complex32, Complex64};
use triomphe::Arc;

use crate::{DType, Scalar};

/// A Rust type that is the element of an [`Array`](crate::Array): `bool`, `u8`, `u32`, `i32`, `i64`, `f32`, `f64`,
/// and num-complex's `Complex32` and `Complex64`.
///
/// Sealed: the list is the list of [`DType`]s.
pub trait Element:
    Copy
    + Send
    + Sync
    + Debug
    + PartialEq
    + bytemuck::NoUninit
    + bytemuck::Zeroable
    + sealed::Store
    + 'static
{
    /// The dtype of this type.
    const DTYPE: DType;

    /// The value with its dtype.
    fn to_scalar(self) -> Scalar;

    /// The scalar as this type, converted by the rules of [`Scalar::convert`].
    fn from_scalar(scalar: Scalar) -> Self;
}

/// The values of an array: shared between clones, copied on write.
#[derive(Clone)]
pub enum Values {
    Bool(Arc<Vec<bool>>),
    U8(Arc<Vec<u8>>),
    U32(Arc<Vec<u32>>),
    I32(Arc<Vec<i32>>),
    I64(Arc<Vec<i64>>),
    F32(Arc<Vec<f32>>),
    F64(Arc<Vec<f64>>),
    C64(Arc<Vec<Complex32>>),
    C128(Arc<Vec<Complex64>>),
}

pub(crate) mod sealed {
    use triomphe::Arc;

    use super::Values;

    /// How a type finds its own values in the storage.
    pub trait Store: Sized {
        fn wrap(values: Arc<Vec<Self>>) -> Values;
        fn peek(values: &Values) -> Option<&Arc<Vec<Self>>>;
        fn peek_mut(values: &mut Values) -> Option<&mut Arc<Vec<Self>>>;
    }
}

/// Runs `$body` with `$v` bound to the `Arc<Vec<T>>` of whatever dtype `$values` has.
macro_rules! with_values {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            $crate::element::Values::Bool($v) => $body,
            $crate::element::Values::U8($v) => $body,
            $crate::element::Values::U32($v) => $body,
            $crate::element::Values::I32($v) => $body,
            $crate::element::Values::I64($v) => $body,
            $crate::element::Values::F32($v) => $body,
            $crate::element::Values::F64($v) => $body,
            $crate::element::Values::C64($v) => $body,
            $crate::element::Values::C128($v) => $body,
        }
    };
}

/// Runs `$body` with `$t` naming the Rust type of the dtype.
macro_rules! with_dtype {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $t = bool;
                $body
            }
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::DType::U32 => {
                type $t = u32;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::C64 => {
                type $t = num_complex::Complex32;
                $body
            }
            $crate::DType::C128 => {
                type $t = num_complex::Complex64;
                $body
            }
        }
    };
}

pub(crate) use {with_dtype, with_values};

/// One element type: its Rust name, its name in the enums, and how a converted scalar of its dtype is taken apart.
macro_rules! element {
    ($type:ty, $name:ident) => {
        impl Element for $type {
            const DTYPE: DType = DType::$name;

            #[inline]
            fn to_scalar(self) -> Scalar {
                Scalar::$name(self)
            }

            #[inline]
            fn from_scalar(scalar: Scalar) -> $type {
                match scalar.convert(DType::$name) {
                    Scalar::$name(x) => x,
                    // `convert` returns the dtype that it was asked for.
                    _ => <$type>::default(),
                }
            }
        }

        impl sealed::Store for $type {
            fn wrap(values: Arc<Vec<$type>>) -> Values {
                Values::$name(values)
            }

            #[inline]
            fn peek(values: &Values) -> Option<&Arc<Vec<$type>>> {
                match values {
                    Values::$name(values) => Some(values),
                    _ => None,
                }
            }

            #[inline]
            fn peek_mut(values: &mut Values) -> Option<&mut Arc<Vec<$type>>> {
                match values {
                    Values::$name(values) => Some(values),
                    _ => None,
                }
            }
        }

        impl From<$type> for Scalar {
            #[inline]
            fn from(x: $type) -> Scalar {
                Scalar::$name(x)
            }
        }
    };
}

element!(bool, Bool);
element!(u8, U8);
element!(u32, U32);
element!(i32, I32);
element!(i64, I64);
element!(f32, F32);
element!(f64, F64);
element!(Complex32, C64);
element!(Complex64, C128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtype_and_type_agree() {
        for &dtype in DType::ALL {
            with_dtype!(dtype, T => {
                assert_eq!(T::DTYPE, dtype);
                assert_eq!(size_of::<T>(), dtype.size());
                assert_eq!(T::from_scalar(Scalar::I64(1)).to_scalar(), Scalar::one(dtype));
            });
        }
    }
}
