//! The array: contiguous row-major values, shared and copied on write.

use std::hash::{Hash, Hasher};

use triomphe::Arc;

use crate::element::{Values, with_dtype, with_values};
use crate::{ArrayError, DType, Element, Scalar, Shape};

/// Values of one dtype in a shape, contiguous in row-major order.
///
/// Clones share their values, so cloning costs nothing much; writing to one of them copies first.
///
/// Two arrays are equal if dtype, shape and bits are, where every NaN equals every NaN and `-0.0` differs from `0.0`.
/// Printing an array shows nested brackets, the middle left out beyond 1000 elements; `{:?}` puts dtype and shape
/// before them.
#[derive(Clone)]
pub struct Array {
    shape: Shape,
    values: Values,
}

/// Making arrays.
impl Array {
    /// An array of the values, which stand in row-major order. A `Vec` is taken over without copying.
    ///
    /// # Errors
    /// [`ArrayError::WrongCount`] if there are more or fewer values than the shape has elements.
    pub fn new<T: Element>(
        shape: impl Into<Shape>,
        values: impl Into<Vec<T>>,
    ) -> Result<Array, ArrayError> {
        let (shape, values) = (shape.into(), values.into());
        if shape.checked_elements() != Some(values.len()) {
            return Err(wrong_count(shape, values.len()));
        }
        Ok(Array::from_parts(shape, values))
    }

    /// An array of rank 0.
    pub fn scalar<T: Element>(x: T) -> Array {
        Array::from_parts(Shape::from(()), vec![x])
    }

    /// An array of rank 1.
    pub fn vector<T: Element>(values: impl Into<Vec<T>>) -> Array {
        let values = values.into();
        Array::from_parts(Shape::from([values.len()]), values)
    }

    /// An array that holds one value everywhere, of the value's dtype.
    ///
    /// # Errors
    /// [`ArrayError::TooLarge`] if it does not fit in memory.
    pub fn full(shape: impl Into<Shape>, value: Scalar) -> Result<Array, ArrayError> {
        let shape = shape.into();
        let dtype = value.dtype();
        if value == Scalar::zero(dtype) {
            return Array::zeros(dtype, shape);
        }
        with_dtype!(dtype, T => {
            let count = fitting::<T>(&shape)?;
            let mut values = reserve::<T>(&shape, count)?;
            values.resize(count, T::from_scalar(value));
            Array::new::<T>(shape, values)
        })
    }

    /// An array of zeros (`false` for `bool`). Large ones cost nothing until they are written to.
    ///
    /// # Errors
    /// [`ArrayError::TooLarge`] if it does not fit in memory.
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Result<Array, ArrayError> {
        let shape = shape.into();
        with_dtype!(dtype, T => {
            let count = fitting::<T>(&shape)?;
            match bytemuck::try_zeroed_vec::<T>(count) {
                Ok(values) => Array::new(shape, values),
                Err(()) => Err(ArrayError::TooLarge { shape, dtype }),
            }
        })
    }

    /// An array of scalars in row-major order, each converted to the dtype by [`Scalar::convert`].
    ///
    /// # Errors
    /// [`ArrayError::WrongCount`] if there are more or fewer of them than the shape has elements (at most one too
    /// many is taken), [`ArrayError::TooLarge`] if the array does not fit in memory.
    pub fn from_scalars(
        dtype: DType,
        shape: impl Into<Shape>,
        scalars: impl IntoIterator<Item = Scalar>,
    ) -> Result<Array, ArrayError> {
        let shape = shape.into();
        let mut scalars = scalars.into_iter();
        with_dtype!(dtype, T => {
            let count = fitting::<T>(&shape)?;
            // The hint keeps a wrong shape from reserving memory that the values would never fill.
            let mut values = reserve::<T>(&shape, count.min(scalars.size_hint().0))?;
            values.extend(scalars.by_ref().take(count).map(T::from_scalar));
            if values.len() == count && scalars.next().is_some() {
                return Err(wrong_count(shape, count.saturating_add(1)));
            }
            Array::new(shape, values)
        })
    }

    /// An array of bytes as [`Array::as_bytes`] gives them. They need not be aligned.
    ///
    /// # Errors
    /// [`ArrayError::WrongBytes`] or [`ArrayError::WrongCount`] if there are too few or too many of them,
    /// [`ArrayError::BadBool`] for a `bool` other than 0 and 1, [`ArrayError::TooLarge`] if there is no memory left.
    pub fn from_bytes(
        dtype: DType,
        shape: impl Into<Shape>,
        bytes: &[u8],
    ) -> Result<Array, ArrayError> {
        let shape = shape.into();
        let size = dtype.size();
        if !bytes.len().is_multiple_of(size) {
            return Err(ArrayError::WrongBytes {
                dtype,
                size,
                found: bytes.len(),
            });
        }
        let count = bytes.len() / size;
        if shape.checked_elements() != Some(count) {
            return Err(wrong_count(shape, count));
        }
        if dtype == DType::Bool {
            let mut values = reserve::<bool>(&shape, count)?;
            for (at, &byte) in bytes.iter().enumerate() {
                values.push(read_bool(byte, at)?);
            }
            return Array::new(shape, values);
        }
        let mut array = Array::zeros(dtype, shape)?;
        if let Some(target) = array.as_bytes_mut() {
            target.copy_from_slice(bytes);
        }
        Ok(array)
    }

    /// The caller has made sure that there are as many values as the shape has elements.
    pub(crate) fn from_parts<T: Element>(shape: Shape, values: Vec<T>) -> Array {
        debug_assert_eq!(shape.checked_elements(), Some(values.len()));
        Array {
            shape,
            values: T::wrap(Arc::new(values)),
        }
    }
}

/// What an array is.
impl Array {
    /// The dtype.
    pub fn dtype(&self) -> DType {
        match &self.values {
            Values::Bool(_) => DType::Bool,
            Values::U8(_) => DType::U8,
            Values::U32(_) => DType::U32,
            Values::I32(_) => DType::I32,
            Values::I64(_) => DType::I64,
            Values::F32(_) => DType::F32,
            Values::F64(_) => DType::F64,
            Values::C64(_) => DType::C64,
            Values::C128(_) => DType::C128,
        }
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        with_values!(&self.values, v => v.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes of the values.
    pub fn bytes_len(&self) -> usize {
        self.as_bytes().len()
    }
}

/// Reading and writing the values.
impl Array {
    /// The values in row-major order.
    ///
    /// # Errors
    /// [`ArrayError::WrongDType`] if they are not of type `T`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], ArrayError> {
        match T::peek(&self.values) {
            Some(values) => Ok(values),
            None => Err(self.wrong_dtype(T::DTYPE)),
        }
    }

    /// The values in row-major order, to write to. Other clones keep the old ones: if there are any, this copies.
    ///
    /// # Errors
    /// [`ArrayError::WrongDType`] if they are not of type `T`.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T], ArrayError> {
        let error = self.wrong_dtype(T::DTYPE);
        match T::peek_mut(&mut self.values) {
            Some(values) => Ok(&mut Arc::make_mut(values)[..]),
            None => Err(error),
        }
    }

    /// A copy of the values in row-major order.
    ///
    /// # Errors
    /// [`ArrayError::WrongDType`] if they are not of type `T`.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, ArrayError> {
        self.as_slice().map(<[T]>::to_vec)
    }

    /// The values in row-major order, without copying if there is no other clone.
    ///
    /// # Errors
    /// [`ArrayError::WrongDType`] if they are not of type `T`.
    pub fn into_vec<T: Element>(mut self) -> Result<Vec<T>, ArrayError> {
        let error = self.wrong_dtype(T::DTYPE);
        match T::peek_mut(&mut self.values) {
            Some(values) => Ok(Arc::unwrap_or_clone(std::mem::take(values))),
            None => Err(error),
        }
    }

    /// The values as `f64`, whatever the dtype, as [`Scalar::to_f64`] converts them; of complex values the real parts.
    pub fn to_f64s(&self) -> Vec<f64> {
        with_values!(&self.values, v => v.iter().map(|x| x.to_scalar().to_f64()).collect())
    }

    /// The only value of an array of one element, whatever its rank.
    ///
    /// # Errors
    /// [`ArrayError::NotOneElement`] if there are more or none, [`ArrayError::WrongDType`] if it is not of type `T`.
    pub fn item<T: Element>(&self) -> Result<T, ArrayError> {
        match self.as_slice::<T>()? {
            [x] => Ok(*x),
            _ => Err(ArrayError::NotOneElement {
                shape: self.shape.clone(),
            }),
        }
    }

    /// The value at a place in row-major order, `None` past the end.
    pub fn at(&self, flat: usize) -> Option<Scalar> {
        with_values!(&self.values, v => v.get(flat).map(|x| x.to_scalar()))
    }

    /// The value at an index, `None` if the index has another rank or lies outside.
    pub fn get(&self, index: &[usize]) -> Option<Scalar> {
        if index.len() != self.rank() || index.iter().zip(&self.shape).any(|(i, dim)| i >= dim) {
            return None;
        }
        // Each step stays below the number of elements, because each index lies below its size.
        let flat = index
            .iter()
            .zip(&self.shape)
            .fold(0, |flat, (i, dim)| flat * dim + i);
        self.at(flat)
    }

    /// All values in row-major order.
    pub fn scalars(&self) -> impl Iterator<Item = Scalar> + '_ {
        (0..self.len()).filter_map(|flat| self.at(flat))
    }

    /// The bytes of the values in row-major order, in the machine's own layout: little-endian on every machine that
    /// cotangent is tested on, IEEE 754 floats, one byte 0 or 1 for a `bool`, the real and then the imaginary part of a complex
    /// number.
    pub fn as_bytes(&self) -> &[u8] {
        with_values!(&self.values, v => bytemuck::cast_slice(&v[..]))
    }

    /// The same bytes to write to, after a copy if there are other clones. `None` for `bool`, where not every byte is
    /// a value.
    pub fn as_bytes_mut(&mut self) -> Option<&mut [u8]> {
        match &mut self.values {
            Values::Bool(_) => None,
            Values::U8(v) => Some(&mut Arc::make_mut(v)[..]),
            Values::U32(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
            Values::I32(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
            Values::I64(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
            Values::F32(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
            Values::F64(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
            Values::C64(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
            Values::C128(v) => Some(bytemuck::cast_slice_mut(&mut Arc::make_mut(v)[..])),
        }
    }

    /// The storage, for code that goes on with whatever type it holds.
    pub(crate) fn into_values(self) -> Values {
        self.values
    }

    fn wrong_dtype(&self, expected: DType) -> ArrayError {
        ArrayError::WrongDType {
            expected,
            found: self.dtype(),
        }
    }
}

/// Making other arrays of it.
impl Array {
    /// The same values in another dtype, by the rules of [`Scalar::convert`]. The same dtype shares the values.
    pub fn convert(&self, dtype: DType) -> Array {
        if dtype == self.dtype() {
            return self.clone();
        }
        let values = with_dtype!(dtype, T => with_values!(&self.values, v => {
            let converted: Vec<T> = v.iter().map(|x| T::from_scalar(x.to_scalar())).collect();
            <T as crate::element::sealed::Store>::wrap(Arc::new(converted))
        }));
        Array {
            shape: self.shape.clone(),
            values,
        }
    }

    /// The same values in another shape with as many elements. The values are shared, not copied.
    ///
    /// # Errors
    /// [`ArrayError::WrongCount`] if the shape has more or fewer elements.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Array, ArrayError> {
        let shape = shape.into();
        if shape.checked_elements() != Some(self.len()) {
            return Err(wrong_count(shape, self.len()));
        }
        Ok(Array {
            shape,
            values: self.values.clone(),
        })
    }

    /// The given rows (entries along axis 0) in the given order: how a batch is taken from a table. A row may be
    /// taken several times.
    ///
    /// ```
    /// use cotangent_array::Array;
    ///
    /// let table = Array::from([[1, 2], [3, 4], [5, 6]]);
    /// assert_eq!(table.select_rows(&[2, 0])?, Array::from([[5, 6], [1, 2]]));
    /// # Ok::<(), cotangent_array::ArrayError>(())
    /// ```
    ///
    /// # Errors
    /// [`ArrayError::WrongRank`] for rank 0, [`ArrayError::BadIndex`] for a row that is not there,
    /// [`ArrayError::TooLarge`] if the result does not fit in memory.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Array, ArrayError> {
        let Some((&count, rest)) = self.shape.split_first() else {
            return Err(ArrayError::WrongRank {
                expected: "1 or more",
                shape: self.shape.clone(),
            });
        };
        if let Some(&index) = rows.iter().find(|&&row| row >= count) {
            return Err(ArrayError::BadIndex {
                index,
                axis: 0,
                shape: self.shape.clone(),
            });
        }
        let shape: Shape = std::iter::once(rows.len())
            .chain(rest.iter().copied())
            .collect();
        let row_len = self.len().checked_div(count).unwrap_or(0);
        with_values!(&self.values, v => {
            let mut taken = reserve_like(v, &shape)?;
            for &row in rows {
                let start = row * row_len;
                taken.extend_from_slice(v.get(start..start + row_len).unwrap_or_default());
            }
            Array::new(shape, taken)
        })
    }
}

impl PartialEq for Array {
    fn eq(&self, other: &Array) -> bool {
        self.dtype() == other.dtype()
            && self.shape == other.shape
            // Most equal arrays have equal bytes; only NaNs of different bits need the slow look.
            && (self.as_bytes() == other.as_bytes()
                || (self.dtype().is_inexact() && self.scalars().eq(other.scalars())))
    }
}

impl Eq for Array {}

impl Hash for Array {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dtype().hash(state);
        self.shape.hash(state);
        if self.dtype().is_inexact() {
            self.scalars().for_each(|x| x.key().hash(state));
        } else {
            self.as_bytes().hash(state);
        }
    }
}

/// One `bool` of a file or a buffer.
pub(crate) fn read_bool(byte: u8, at: usize) -> Result<bool, ArrayError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(ArrayError::BadBool { found, at }),
    }
}

/// The number of elements of the shape, if as many values of `T` can be one piece of memory at all.
pub(crate) fn fitting<T: Element>(shape: &Shape) -> Result<usize, ArrayError> {
    shape
        .checked_elements()
        .filter(|count| {
            count
                .checked_mul(size_of::<T>())
                .is_some_and(|bytes| isize::try_from(bytes).is_ok())
        })
        .ok_or_else(|| ArrayError::TooLarge {
            shape: shape.clone(),
            dtype: T::DTYPE,
        })
}

fn wrong_count(shape: Shape, found: usize) -> ArrayError {
    ArrayError::WrongCount {
        expected: shape.elements(),
        shape,
        found,
    }
}

/// An empty `Vec` with room for `count` values, or an error instead of an abort where memory ends.
fn reserve<T: Element>(shape: &Shape, count: usize) -> Result<Vec<T>, ArrayError> {
    let mut values = Vec::new();
    match values.try_reserve_exact(count) {
        Ok(()) => Ok(values),
        Err(_) => Err(ArrayError::TooLarge {
            shape: shape.clone(),
            dtype: T::DTYPE,
        }),
    }
}

/// [`reserve`] for a whole shape, of the type of `_values`.
fn reserve_like<T: Element>(_values: &[T], shape: &Shape) -> Result<Vec<T>, ArrayError> {
    reserve(shape, fitting::<T>(shape)?)
}

#[cfg(test)]
#[path = "array_tests.rs"]
mod tests;
