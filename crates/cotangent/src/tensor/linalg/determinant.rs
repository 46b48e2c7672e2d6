//! Determinants.

use cotangent_graph::ops::linalg::{Det, Slogdet};

use super::several;
use crate::Tensor;
use crate::tensor::push;

/// Determinants of matrices, which stand in the last two axes; axes before them are a batch.
impl Tensor {
    /// The determinant, by elimination. Its derivative divides by nothing, so it is right at
    /// singular matrices, too; that of [`slogdet`](Tensor::slogdet) costs less.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|a: &Tensor| a.det());
    /// let a = Array::from([[1.0, 2.0], [2.0, 4.0]]);
    /// assert_eq!(f.grad().call((a,))?, [[4.0, -2.0], [-2.0, 1.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn det(&self) -> Tensor {
        push(Det {}, &[self])
    }

    /// The sign of the determinant, 0 for a singular matrix, and the logarithm of its magnitude.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let (sign, log) = Tensor::from([[0.0, 1.0], [1.0, 0.0]]).slogdet();
    /// assert_eq!((sign.item::<f64>()?, log.item::<f64>()?), (-1.0, 0.0));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn slogdet(&self) -> (Tensor, Tensor) {
        let [sign, logarithm] = several(Slogdet {}, &[self]);
        (sign, logarithm)
    }
}
