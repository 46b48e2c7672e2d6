//! Arrays as plain numbers, for the reference evaluator: floats as f64, complex numbers as c128,
//! everything else as i64.

use cotangent_array::{Array, ArrayError, Complex64, DType, Scalar, Shape};

use crate::TensorType;

/// The elements of an array in row-major order: floats as f64, complex numbers as c128,
/// integers and bools as i64.
///
/// Results are rounded or wrapped to their dtype once, when they become an array again.
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    /// The elements of an f64 or f32 array.
    Float(Vec<f64>),
    /// The elements of a c128 or c64 array.
    Complex(Vec<Complex64>),
    /// The elements of an integer or bool array.
    Int(Vec<i64>),
}

impl Values {
    /// The elements of an array.
    pub fn of(array: &Array) -> Values {
        if array.dtype().is_float() {
            Values::Float(array.scalars().map(Scalar::to_f64).collect())
        } else if array.dtype().is_complex() {
            Values::Complex(array.scalars().map(Scalar::to_complex).collect())
        } else {
            Values::Int(array.scalars().map(Scalar::to_i64).collect())
        }
    }

    /// An array of this type; f32 rounds, integers wrap, a bool takes the lowest bit.
    ///
    /// # Errors
    /// When the number of elements is not that of the shape.
    pub fn into_array(self, ty: &TensorType) -> Result<Array, ArrayError> {
        let (dtype, shape): (DType, Shape) = (ty.dtype, ty.shape.clone());
        match self {
            Values::Float(v) => Array::from_scalars(
                dtype,
                shape,
                v.into_iter().map(|x| Scalar::from_f64(dtype, x)),
            ),
            Values::Complex(v) => Array::from_scalars(
                dtype,
                shape,
                v.into_iter().map(|z| Scalar::from_complex(dtype, z)),
            ),
            Values::Int(v) => {
                Array::from_scalars(dtype, shape, v.into_iter().map(|x| wrap(dtype, x)))
            }
        }
    }
}

/// The low bits of an integer in a dtype; floats and complex numbers take its value.
pub fn wrap(dtype: DType, x: i64) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(x & 1 == 1),
        DType::U8 => Scalar::U8(x as u8),
        DType::U32 => Scalar::U32(x as u32),
        DType::I32 => Scalar::I32(x as i32),
        DType::I64 => Scalar::I64(x),
        other => Scalar::from_f64(other, x as f64),
    }
}

/// An array whose element at each place is the element of `x` at the flat position that `from`
/// gives for the place's index, or `other` where it gives none.
///
/// # Errors
/// When there is no memory for so many elements.
pub fn move_elements(
    x: &Array,
    out: &TensorType,
    other: Option<Scalar>,
    mut from: impl FnMut(&[usize]) -> Option<usize>,
) -> Result<Array, ArrayError> {
    let mut elements = Vec::new();
    if elements.try_reserve_exact(out.shape.elements()).is_err() {
        return Err(ArrayError::TooLarge {
            shape: out.shape.clone(),
            dtype: out.dtype,
        });
    }
    let mut indices = cotangent_array::Indices::new(&out.shape);
    while let Some(index) = indices.next_index() {
        let element = match from(index) {
            Some(flat) => x.at(flat),
            None => other,
        };
        elements.push(element.unwrap_or_else(|| Scalar::zero(out.dtype)));
    }
    Array::from_scalars(out.dtype, out.shape.clone(), elements)
}

/// The flat position of an index in an array with these strides.
pub fn flat(index: impl IntoIterator<Item = usize>, strides: &[usize]) -> usize {
    index.into_iter().zip(strides).map(|(i, s)| i * s).sum()
}
