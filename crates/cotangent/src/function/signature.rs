//! For which arguments a function is traced.

use crate::tree::Structure;
use crate::{Array, Error, TensorType, Tree};

/// What a function is traced for: the structure of the tuple of arguments and the types of the
/// leaves.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Signature {
    pub(crate) structure: Structure,
    pub(crate) types: Vec<TensorType>,
}

pub(crate) fn signature_of<L: Typed, T: Tree<L>>(arguments: &T) -> Signature {
    Signature {
        structure: arguments.structure(),
        types: arguments
            .leaves()
            .into_iter()
            .map(Typed::tensor_type)
            .collect(),
    }
}

/// What says which type a tensor in its place has.
pub trait Typed {
    /// The type.
    fn tensor_type(&self) -> TensorType;
}

impl Typed for TensorType {
    fn tensor_type(&self) -> TensorType {
        self.clone()
    }
}

impl Typed for Array {
    fn tensor_type(&self) -> TensorType {
        TensorType::new(self.dtype(), self.shape().clone())
    }
}

/// A trace that failed; the structure of the result where that is known.
pub(crate) struct Failed {
    pub(crate) result: Option<Structure>,
    pub(crate) error: Box<Error>,
}

impl Failed {
    /// A failure of something whose result has this structure.
    pub(crate) fn known(result: &Structure, error: impl Into<Error>) -> Failed {
        Failed {
            result: Some(result.clone()),
            error: Box::new(error.into()),
        }
    }

    /// A failure of something of which nothing is known.
    pub(crate) fn unknown(error: impl Into<Error>) -> Failed {
        Failed {
            result: None,
            error: Box::new(error.into()),
        }
    }
}
