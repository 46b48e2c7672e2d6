//! Arrays from numbers, vectors, slices and nested arrays.

use crate::element::with_dtype;
use crate::{Array, Element, Scalar, Shape};

macro_rules! from_number {
    ($($type:ty)*) => {
        $(impl From<$type> for Array {
            /// Rank 0.
            fn from(x: $type) -> Array {
                Array::scalar(x)
            }
        })*
    };
}

from_number!(bool u8 u32 i32 i64 f32 f64 num_complex::Complex32 num_complex::Complex64);

impl From<Scalar> for Array {
    /// Rank 0, of the scalar's dtype.
    fn from(x: Scalar) -> Array {
        with_dtype!(x.dtype(), T => Array::scalar(T::from_scalar(x)))
    }
}

impl<T: Element> From<Vec<T>> for Array {
    /// Rank 1, without copying.
    fn from(values: Vec<T>) -> Array {
        Array::vector(values)
    }
}

impl<T: Element> From<&[T]> for Array {
    /// Rank 1.
    fn from(values: &[T]) -> Array {
        Array::vector(values)
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Array {
    /// Rank 1.
    fn from(values: [T; N]) -> Array {
        Array::vector(values)
    }
}

impl<T: Element, const N: usize, const M: usize> From<[[T; M]; N]> for Array {
    /// Rank 2.
    fn from(values: [[T; M]; N]) -> Array {
        shaped(Shape::from([N, M]), values.as_flattened())
    }
}

impl<T: Element, const N: usize, const M: usize, const K: usize> From<[[[T; K]; M]; N]> for Array {
    /// Rank 3.
    fn from(values: [[[T; K]; M]; N]) -> Array {
        shaped(Shape::from([N, M, K]), values.as_flattened().as_flattened())
    }
}

/// The values of a nested array, whose number always fits its shape.
fn shaped<T: Element>(shape: Shape, values: &[T]) -> Array {
    Array::from_parts(shape, values.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn shapes_follow_the_nesting() {
        assert_eq!(Array::from(1.5).shape(), &Shape::from(()));
        assert_eq!(Array::from([1, 2, 3]).shape().dims(), [3]);
        assert_eq!(Array::from(&[1u8, 2][..]).shape().dims(), [2]);
        assert_eq!(Array::from([[1.0f32], [2.0]]).shape().dims(), [2, 1]);
        assert_eq!(Array::from([[[0i64; 4]; 3]; 2]).shape().dims(), [2, 3, 4]);
        assert_eq!(Array::from([[0.0f64; 0]; 3]).shape().dims(), [3, 0]);
    }

    #[test]
    fn literals_take_rusts_own_defaults() {
        assert_eq!(Array::from(1.0).dtype(), DType::F64);
        assert_eq!(Array::from([1, 2]).dtype(), DType::I32);
        assert_eq!(Array::vector([1.0, 2.0]).dtype(), DType::F64);
        let array: Array = 2.0.into();
        assert_eq!(array.dtype(), DType::F64);
    }

    #[test]
    fn scalars_keep_dtype_and_value() {
        for &dtype in DType::ALL {
            let one = Scalar::one(dtype);
            let array = Array::from(one);
            assert_eq!(
                (array.dtype(), array.rank(), array.at(0)),
                (dtype, 0, Some(one))
            );
        }
    }
}
