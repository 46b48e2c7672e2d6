//! Linear algebra on the last two axes; the axes before them are a batch.

mod determinant;
mod factor;
mod norm;
mod power;
mod solve;

use std::panic::Location as Caller;

use cotangent_graph::ops::Linalg;

use super::{Tensor, fail, spread};
use crate::{DType, Shape, trace};

pub use norm::MatrixNorm;
pub use solve::Triangular;

/// Applies an operation with several results.
#[track_caller]
fn several<const N: usize>(op: impl Into<Linalg>, args: &[&Tensor]) -> [Tensor; N] {
    let mut results = trace::push_several(op.into(), args, N, Caller::caller()).into_iter();
    std::array::from_fn(|_| match results.next() {
        Some(result) => result,
        None => fail("get", args, "an operation gave too few results"),
    })
}

impl Tensor {
    /// The axes before the last two.
    fn batch_axes(&self) -> &[usize] {
        &self.shape()[..self.rank().saturating_sub(2)]
    }

    /// Fails unless this is a matrix or a batch of them.
    #[track_caller]
    fn expect_matrix(&self, name: &str) -> Result<(), Tensor> {
        if self.rank() < 2 {
            let message = format!(
                "expected matrices (rank 2 or more), found shape {}",
                self.shape()
            );
            return Err(fail(name, &[self], message));
        }
        Ok(())
    }

    /// Fails unless this is a square matrix or a batch of them.
    #[track_caller]
    fn expect_square(&self, name: &str) -> Result<(), Tensor> {
        self.expect_matrix(name)?;
        if self.dim(-1) != self.dim(-2) {
            let message = format!("expected square matrices, found shape {}", self.shape());
            return Err(fail(name, &[self], message));
        }
        Ok(())
    }
}

/// Both with one batch, to which theirs broadcast.
#[track_caller]
fn one_batch(name: &str, a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor), Tensor> {
    let Ok(batch) = Shape::broadcast(a.batch_axes(), b.batch_axes()) else {
        let message = format!(
            "expected axes before the matrices that broadcast, found {} and {}",
            Shape::from(a.batch_axes()),
            Shape::from(b.batch_axes())
        );
        return Err(fail(name, &[a, b], message));
    };
    let full = |t: &Tensor| -> Shape {
        let last = [t.dim(-2), t.dim(-1)];
        batch.iter().copied().chain(last).collect()
    };
    Ok((spread(a, &full(a)), spread(b, &full(b))))
}

/// The distance from 1 to the next number.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    }
}
