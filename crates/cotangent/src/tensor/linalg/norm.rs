//! Norms, ranks and condition numbers.

use super::epsilon;
use crate::{DType, Tensor, keep};

/// A norm of matrices, by NumPy's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatrixNorm {
    /// `'fro'`: the root of the sum of squares of all entries.
    Frobenius,
    /// `'nuc'`: the sum of the singular values.
    Nuclear,
    /// `2`: the largest singular value.
    Two,
    /// `-2`: the smallest singular value.
    MinusTwo,
    /// `1`: the largest sum of magnitudes along a column.
    One,
    /// `-1`: the smallest sum of magnitudes along a column.
    MinusOne,
    /// `inf`: the largest sum of magnitudes along a row.
    Infinity,
    /// `-inf`: the smallest sum of magnitudes along a row.
    MinusInfinity,
}

/// Numbers that describe matrices, which stand in the last two axes; axes before them are a batch.
impl Tensor {
    /// A norm of each matrix.
    ///
    /// ```
    /// use cotangent::{MatrixNorm, Tensor};
    /// let x = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
    /// assert_eq!(x.matrix_norm(MatrixNorm::Nuclear).item::<f64>()?, 7.0);
    /// assert_eq!(x.matrix_norm(MatrixNorm::Frobenius).item::<f64>()?, 5.0);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn matrix_norm(&self, norm: MatrixNorm) -> Tensor {
        if let Err(failed) = self.expect_matrix("matrix_norm") {
            return failed;
        }
        let sums = |axis: i64| self.abs().sum(axis);
        match norm {
            MatrixNorm::Frobenius => self.norm([-2, -1]),
            MatrixNorm::Nuclear => self.svdvals().sum(-1),
            MatrixNorm::Two => self.svdvals().max(-1),
            MatrixNorm::MinusTwo => self.svdvals().min(-1),
            MatrixNorm::One => sums(-2).max(-1),
            MatrixNorm::MinusOne => sums(-2).min(-1),
            MatrixNorm::Infinity => sums(-1).max(-1),
            MatrixNorm::MinusInfinity => sums(-1).min(-1),
        }
    }

    /// How many singular values are larger than max(m, n) times the dtype's epsilon of the largest:
    /// i64. It has no derivative.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
    /// assert_eq!(x.matrix_rank().item::<i64>()?, 1);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn matrix_rank(&self) -> Tensor {
        if let Err(failed) = self.expect_matrix("matrix_rank") {
            return failed;
        }
        let s = self.stop_gradient().svdvals();
        if s.is_empty() {
            return s.sum(-1).convert(DType::I64);
        }
        let longest = self.dim(-1).max(self.dim(-2)) as f64;
        let least = s.max(keep(-1)) * (longest * epsilon(self.dtype()));
        s.greater(least).convert(DType::I64).sum(-1)
    }

    /// The largest singular value over the smallest; infinite for a singular matrix.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// assert_eq!(Tensor::from([[4.0, 0.0], [0.0, 2.0]]).cond().item::<f64>()?, 2.0);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn cond(&self) -> Tensor {
        if let Err(failed) = self.expect_matrix("cond") {
            return failed;
        }
        let s = self.svdvals();
        s.max(-1) / s.min(-1)
    }
}
