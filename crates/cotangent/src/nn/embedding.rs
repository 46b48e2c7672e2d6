//! Vectors for the members of a set.

use super::Init;
use crate::scopes::Inside;
use crate::{DType, Key, Tensor, Tree};

/// One learned vector for each member of a set.
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct Embedding<T> {
    /// `[members, width]`
    pub table: T,
}

impl Embedding<Tensor> {
    /// First parameters: normal with deviation 1 / sqrt(width).
    #[track_caller]
    pub fn init(key: &Key, members: usize, width: usize, dtype: DType) -> Self {
        let deviation = 1.0 / (width.max(1) as f64).sqrt();
        Embedding {
            table: Init::Normal(deviation).draw(key, [members, width], members, width, dtype),
        }
    }

    /// The vectors of the members with these numbers, integers of any shape: `[...]` to `[..., width]`.
    #[track_caller]
    pub fn apply(&self, members: &Tensor) -> Tensor {
        let _scope = Inside::layer(self.leaves());
        self.table.take(members, 0)
    }
}
