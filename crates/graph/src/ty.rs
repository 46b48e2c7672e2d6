//! Types of variables.

use std::fmt;
use std::sync::Arc;

use cotangent_array::{DType, Shape};

use crate::{TypeError, type_error};

/// The dtype and shape of an array that a variable stands for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// The dtype of every element.
    pub dtype: DType,
    /// The shape; rank 0 is a scalar.
    pub shape: Shape,
}

impl TensorType {
    /// The type of arrays of this dtype and shape.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        TensorType {
            dtype,
            shape: shape.into(),
        }
    }

    /// The type of a rank 0 array.
    pub fn scalar(dtype: DType) -> Self {
        TensorType::new(dtype, ())
    }

    /// The same dtype with another shape.
    pub fn with_shape(&self, shape: impl Into<Shape>) -> Self {
        TensorType::new(self.dtype, shape)
    }

    /// The same shape with another dtype.
    pub fn with_dtype(&self, dtype: DType) -> Self {
        TensorType {
            dtype,
            shape: self.shape.clone(),
        }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The length of an axis, or 1 where there is no such axis.
    ///
    /// Rules use it instead of indexing so that a malformed graph can never make them panic.
    pub fn dim(&self, axis: usize) -> usize {
        self.shape.dims().get(axis).copied().unwrap_or(1)
    }

    /// Fails for a type of which no array fits into memory, also where an axis of length 0 beside
    /// it would make the array empty.
    pub(crate) fn check_size(&self) -> Result<(), TypeError> {
        let bytes = self
            .shape
            .checked_elements()
            .and_then(|n| n.checked_mul(self.dtype.size()));
        let fits = |n: usize| isize::try_from(n).is_ok();
        if bytes.is_some_and(fits) && self.shape.dims().iter().all(|n| fits(*n)) {
            return Ok(());
        }
        type_error!("{self} is larger than memory can be")
    }

    /// The bytes that an array of this type takes.
    pub fn bytes(&self) -> usize {
        self.shape.elements().saturating_mul(self.dtype.size())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        if !self.shape.is_scalar() {
            write!(f, "{}", self.shape)?;
        }
        Ok(())
    }
}

/// The type of a variable: an array, or several arrays that one operation gives together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// One array.
    Tensor(TensorType),
    /// Several arrays; `get` takes one of them out.
    Tuple(Arc<[TensorType]>),
}

impl Type {
    /// The array type, unless this is a tuple.
    #[inline]
    pub fn tensor(&self) -> Option<&TensorType> {
        match self {
            Type::Tensor(t) => Some(t),
            Type::Tuple(_) => None,
        }
    }

    /// The types of the components: one for an array.
    pub fn components(&self) -> &[TensorType] {
        match self {
            Type::Tensor(t) => std::slice::from_ref(t),
            Type::Tuple(parts) => parts,
        }
    }
}

impl From<TensorType> for Type {
    fn from(t: TensorType) -> Self {
        Type::Tensor(t)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Tensor(t) => write!(f, "{t}"),
            Type::Tuple(parts) => {
                f.write_str("(")?;
                for (i, t) in parts.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{t}")?;
                }
                if parts.len() == 1 {
                    f.write_str(",")?;
                }
                f.write_str(")")
            }
        }
    }
}
