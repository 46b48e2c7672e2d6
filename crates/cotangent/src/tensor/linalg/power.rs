//! Powers and exponentials of matrices.

use cotangent_graph::ops::linalg::Expm;

use crate::Tensor;
use crate::tensor::push;

/// Functions of matrices, which stand in the last two axes; axes before them are a batch.
impl Tensor {
    /// The product of `n` factors that are all this square matrix, by repeated squaring; the
    /// identity for 0, and the power of the inverse where `n` is negative.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[1.0, 1.0], [0.0, 1.0]]);
    /// assert_eq!(x.matrix_power(5).to_array()?, [[1.0, 5.0], [0.0, 1.0]].into());
    /// assert_eq!(x.matrix_power(-2).to_array()?, [[1.0, -2.0], [0.0, 1.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn matrix_power(&self, n: i32) -> Tensor {
        if let Err(failed) = self.expect_square("matrix_power") {
            return failed;
        }
        let mut product: Option<Tensor> = None;
        let mut square = if n < 0 { self.inv() } else { self.clone() };
        let mut rest = n.unsigned_abs();
        while rest > 0 {
            if rest % 2 == 1 {
                product = Some(match product {
                    Some(product) => square.matmul(&product),
                    None => square.clone(),
                });
            }
            rest /= 2;
            if rest > 0 {
                square = square.matmul(&square);
            }
        }
        match product {
            Some(product) => product,
            None => Tensor::eye(self.dim(-1), self.dtype()).broadcast_to(self.shape()),
        }
    }

    /// The exponential of square matrices, by scaling and squaring.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[0.0, 1.0], [0.0, 0.0]]);
    /// assert_eq!(x.expm().to_array()?, [[1.0, 1.0], [0.0, 1.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn expm(&self) -> Tensor {
        push(Expm {}, &[self])
    }
}
