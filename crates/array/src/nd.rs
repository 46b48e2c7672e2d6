//! Conversion to and from ndarray.

use ndarray::{ArrayD, ArrayView, ArrayViewD, Dimension, IxDyn};

use crate::{Array, ArrayError, Element, Shape};

impl<T: Element, D: Dimension> From<ndarray::Array<T, D>> for Array {
    /// Takes the values over without copying if they are contiguous in row-major order.
    fn from(array: ndarray::Array<T, D>) -> Array {
        let count = array.len();
        let shape = Shape::from(array.shape());
        if !array.is_standard_layout() {
            return Array::from(array.view());
        }
        let (mut values, offset) = array.into_raw_vec_and_offset();
        // An array that was sliced in place keeps the memory around its values.
        let start = offset.unwrap_or(0);
        values.truncate(start + count);
        values.drain(..start);
        Array::from_parts(shape, values)
    }
}

impl<T: Element, D: Dimension> From<ArrayView<'_, T, D>> for Array {
    /// Copies the values, in row-major order whatever the strides are.
    fn from(view: ArrayView<'_, T, D>) -> Array {
        Array::from_parts(Shape::from(view.shape()), view.iter().copied().collect())
    }
}

impl<T: Element> TryFrom<Array> for ArrayD<T> {
    type Error = ArrayError;

    /// Takes the values over, without copying if there is no other clone. [`ArrayError::WrongDType`] if they are not of
    /// type `T`, [`ArrayError::TooLarge`] if ndarray does not take the shape.
    fn try_from(array: Array) -> Result<ArrayD<T>, ArrayError> {
        let error = too_large(&array);
        let dims = IxDyn(array.shape());
        ArrayD::from_shape_vec(dims, array.into_vec()?).map_err(|_| error)
    }
}

impl<T: Element> TryFrom<&Array> for ArrayD<T> {
    type Error = ArrayError;

    /// Copies the values. Errors as for a whole array.
    fn try_from(array: &Array) -> Result<ArrayD<T>, ArrayError> {
        ArrayViewD::try_from(array).map(|view| view.to_owned())
    }
}

impl<'a, T: Element> TryFrom<&'a Array> for ArrayViewD<'a, T> {
    type Error = ArrayError;

    /// Looks at the values without copying. Errors as for a whole array.
    fn try_from(array: &'a Array) -> Result<ArrayViewD<'a, T>, ArrayError> {
        ArrayViewD::from_shape(IxDyn(array.shape()), array.as_slice()?)
            .map_err(|_| too_large(array))
    }
}

/// ndarray wants the product of all sizes other than 0 to fit, even where there are no elements.
fn too_large(array: &Array) -> ArrayError {
    ArrayError::TooLarge {
        shape: array.shape().clone(),
        dtype: array.dtype(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use ndarray::{Array2, Axis, Slice, arr0};

    #[test]
    fn there_and_back() {
        let array = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let view = ArrayViewD::<f64>::try_from(&array).unwrap();
        assert_eq!((view.shape(), view[[1, 0]]), (&[2, 3][..], 4.0));
        assert_eq!(Array::from(view), array);
        let copy = ArrayD::<f64>::try_from(&array).unwrap();
        assert_eq!(Array::from(copy), array);
        let owned = ArrayD::<f64>::try_from(array.clone()).unwrap();
        assert_eq!(Array::from(owned), array);
        assert_eq!(Array::from(arr0(7i64)), Array::from(7i64));
    }

    #[test]
    fn strides_and_slices_come_out_row_major() {
        let matrix = Array2::from_shape_fn((3, 4), |(i, j)| (10 * i + j) as i32);
        let turned = Array::from(matrix.clone().reversed_axes());
        assert_eq!(turned.shape().dims(), [4, 3]);
        assert_eq!(turned.to_vec::<i32>().unwrap()[..4], [0, 10, 20, 1]);
        let mut part = matrix.view();
        part.slice_axis_inplace(Axis(0), Slice::from(1..));
        part.slice_axis_inplace(Axis(1), Slice::from(..).step_by(2));
        assert_eq!(Array::from(part), Array::from([[10, 12], [20, 22]]));
        let mut below = matrix;
        below.slice_axis_inplace(Axis(0), Slice::from(1..2));
        assert_eq!(Array::from(below), Array::from([[10, 11, 12, 13]]));
    }

    #[test]
    fn errors_name_dtype_and_shape() {
        let array = Array::from([1.0]);
        assert!(matches!(
            ArrayD::<f32>::try_from(&array),
            Err(ArrayError::WrongDType {
                expected: DType::F32,
                found: DType::F64
            })
        ));
        let odd = Array::zeros(DType::U8, [usize::MAX, 2, 0]).unwrap();
        assert!(matches!(
            ArrayD::<u8>::try_from(&odd),
            Err(ArrayError::TooLarge { .. })
        ));
        assert!(matches!(
            ArrayD::<u8>::try_from(odd),
            Err(ArrayError::TooLarge { .. })
        ));
    }
}
