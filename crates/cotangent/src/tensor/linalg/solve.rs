//! Systems of equations and inverses.

use cotangent_graph::Op;
use cotangent_graph::ops::linalg::{Pinv, Solve, TriangularSolve};

use super::{epsilon, one_batch};
use crate::tensor::{Operand, fail, push, spread};
use crate::{Shape, Tensor};

/// Which triangle of a matrix [`Tensor::solve_triangular`] reads, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Triangular {
    /// The lower triangle, or the upper one.
    pub lower: bool,
    /// Whether the diagonal counts as ones and is not read.
    pub unit_diagonal: bool,
    /// Whether the triangle is transposed after it was read.
    pub transposed: bool,
}

impl Triangular {
    /// The lower triangle with its diagonal.
    pub const LOWER: Triangular = Triangular {
        lower: true,
        unit_diagonal: false,
        transposed: false,
    };
    /// The upper triangle with its diagonal.
    pub const UPPER: Triangular = Triangular {
        lower: false,
        ..Triangular::LOWER
    };
}

/// Solutions of systems of equations; matrices stand in the last two axes, axes before them are a
/// batch.
impl Tensor {
    /// The solution x of a x = b for this a, [.., n, n], and b, a vector `[n]` or matrices [.., n, k];
    /// batches broadcast (NumPy's `linalg.solve`). A singular matrix is an error when the function
    /// runs, which names the line of this call and the matrix of the batch.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[2.0, 1.0], [0.0, 4.0]]);
    /// assert_eq!(a.solve(&Tensor::from([4.0, 8.0])).to_array()?, [1.0, 2.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn solve(&self, b: &Tensor) -> Tensor {
        self.system("solve", b, Solve { transposed: false })
    }

    /// The solution x of a x = b for this triangular a, [.., n, n], and b, a vector `[n]` or matrices
    /// [.., n, k]; batches broadcast. A zero on the diagonal is an error when the function runs.
    ///
    /// ```
    /// use cotangent::{Tensor, Triangular};
    /// let a = Tensor::from([[2.0, 9.0], [1.0, 4.0]]);
    /// let x = a.solve_triangular(&Tensor::from([4.0, 10.0]), Triangular::LOWER);
    /// assert_eq!(x.to_array()?, [2.0, 2.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn solve_triangular(&self, b: &Tensor, triangle: Triangular) -> Tensor {
        let op = TriangularSolve {
            lower: triangle.lower,
            unit_diagonal: triangle.unit_diagonal,
            transposed: triangle.transposed,
        };
        self.system("solve_triangular", b, op)
    }

    /// The inverse of square matrices. A singular matrix is an error when the function runs.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
    /// assert_eq!(a.inv().to_array()?, [[0.5, 0.0], [0.0, 0.25]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn inv(&self) -> Tensor {
        if let Err(failed) = self.expect_square("inv") {
            return failed;
        }
        let ones = Tensor::eye(self.dim(-1), self.dtype()).broadcast_to(self.shape());
        push(Solve { transposed: false }, &[self, &ones])
    }

    /// The pseudoinverse [.., n, m] of matrices [.., m, n] by singular values; those up to max(m, n)
    /// times the dtype's epsilon of the largest count as 0. The derivative is that of matrices of
    /// the same rank.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[2.0, 0.0], [0.0, 0.0]]);
    /// assert_eq!(a.pinv().to_array()?, [[0.5, 0.0], [0.0, 0.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn pinv(&self) -> Tensor {
        let longest = self.dim(-1).max(self.dim(-2)) as f64;
        self.pinv_rtol(longest * epsilon(self.dtype()))
    }

    /// The pseudoinverse, where singular values up to the share `rtol` of the largest count as 0: a
    /// number, or one for each matrix of the batch.
    #[track_caller]
    pub fn pinv_rtol(&self, rtol: impl Operand) -> Tensor {
        if let Err(failed) = self.expect_matrix("pinv") {
            return failed;
        }
        if let Err(failed) = self.expect_float("pinv") {
            return failed;
        }
        let rtol = match rtol.operand() {
            crate::OperandValue::Tensor(t) => t.clone(),
            crate::OperandValue::Scalar(x) => Tensor::scalar(x).convert(self.dtype()),
        };
        let batch: Shape = self.batch_axes().iter().copied().collect();
        push(Pinv {}, &[self, &spread(&rtol, &batch)])
    }

    /// The x of least length for which a x is nearest to b, for this a, [.., m, n], of any rank, and
    /// b, a vector `[m]` or matrices [.., m, k]; by the pseudoinverse.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[1.0], [1.0]]);
    /// let x = a.lstsq(&Tensor::from([1.0, 3.0]));
    /// assert!((x.item::<f64>()? - 2.0).abs() < 1e-14);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn lstsq(&self, b: &Tensor) -> Tensor {
        if let Err(failed) = self.expect_matrix("lstsq") {
            return failed;
        }
        self.pinv().matmul(b)
    }

    /// A system with a right side that is a vector or a matrix.
    #[track_caller]
    fn system(&self, name: &str, b: &Tensor, op: impl Into<Op>) -> Tensor {
        if let Err(failed) = self.expect_square(name) {
            return failed;
        }
        if b.rank() == 0 {
            return fail(
                name,
                &[self, b],
                "expected a vector or matrices on the right",
            );
        }
        let vector = b.rank() == 1;
        let right = if vector { b.expand_dims(-1) } else { b.clone() };
        if right.dim(-2) != self.dim(-1) {
            let message = format!(
                "expected {} rows on the right, as the matrix has, found shape {}",
                self.dim(-1),
                b.shape()
            );
            return fail(name, &[self, b], message);
        }
        let (a, right) = match one_batch(name, self, &right) {
            Ok(both) => both,
            Err(failed) => return failed,
        };
        let x = push(op, &[&a, &right]);
        if vector { x.squeeze(-1) } else { x }
    }
}
