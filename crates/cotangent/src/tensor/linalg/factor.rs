//! Factorisations.

use cotangent_graph::ops::linalg::{Cholesky, Eigh, Eigvalsh, Lu, Qr, Svd, Svdvals};

use super::several;
use crate::tensor::push;
use crate::{DType, Tensor};

/// Factorisations of matrices, which stand in the last two axes; axes before them are a batch.
impl Tensor {
    /// The lower triangular factor of symmetric positive definite matrices: this is L Lᵀ. Of any
    /// other matrix the symmetric part (a + aᵀ) / 2 is taken, so that the gradient is symmetric. An
    /// indefinite matrix is an error when the function runs. Floats, [.., n, n].
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[4.0, 2.0], [2.0, 5.0]]);
    /// assert_eq!(a.cholesky().to_array()?, [[2.0, 0.0], [1.0, 2.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn cholesky(&self) -> Tensor {
        push(Cholesky {}, &[self])
    }

    /// The factors of elimination with partial pivoting, P, L and U with this = P L U (SciPy's
    /// `lu`): a permutation [.., m, m], unit lower triangular [.., m, k] and upper triangular
    /// [.., k, n] with k the smaller of m and n. A derivative at a matrix with a zero pivot is an
    /// error when the function runs.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [4.0, 4.0]]);
    /// let (p, l, u) = a.lu();
    /// assert_eq!(u.to_array()?, [[4.0, 4.0], [0.0, 1.0]].into());
    /// assert_eq!(p.matmul(&l).matmul(&u).to_array()?, a.to_array()?);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn lu(&self) -> (Tensor, Tensor, Tensor) {
        let (factors, order) = self.lu_factor();
        if self.rank() < 2 {
            return (factors.clone(), factors.clone(), factors);
        }
        let (m, n) = (self.dim(-2), self.dim(-1));
        let k = m.min(n);
        let below = factors.slice_axis(-1, 0..k);
        let ones = Tensor::eye_like(m, k, &below);
        let l = below.tril(-1) + ones;
        let u = factors.slice_axis(-2, 0..k).triu(0);
        // Column i has its one in row order[i].
        let rows = Tensor::arange(m, DType::I64).expand_dims(-1);
        let p = rows.equal(order.expand_dims(-2)).convert(self.dtype());
        (p, l, u)
    }

    /// The factors of elimination in one matrix, U in and above the diagonal and L, with ones on its
    /// diagonal, below it; and the order of rows, i64 [.., m]: row i of L U is row `order[i]` of this.
    #[track_caller]
    pub fn lu_factor(&self) -> (Tensor, Tensor) {
        let [factors, order] = several(Lu {}, &[self]);
        (factors, order)
    }

    /// The reduced factors Q, [.., m, k], with columns of length 1 at right angles, and upper
    /// triangular R, [.., k, n], with k the smaller of m and n; signs are NumPy's. A derivative at a
    /// matrix whose first columns are dependent is an error when the function runs.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[3.0, 1.0], [4.0, 2.0]]);
    /// let (q, r) = a.qr();
    /// let back = q.matmul(&r) - &a;
    /// assert!(back.abs().max(..).item::<f64>()? < 1e-14);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn qr(&self) -> (Tensor, Tensor) {
        let [q, r] = several(Qr {}, &[self]);
        (q, r)
    }

    /// The thin singular value decomposition U, s and Vᵀ: [.., m, k], [.., k] in decreasing order,
    /// and [.., k, n], with k the smaller of m and n. In each column of U the first entry whose
    /// magnitude is within a thousandth of the largest is positive. Between equal singular values
    /// the vectors have no derivative; 0 is taken.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let a = Tensor::from([[0.0, 2.0], [3.0, 0.0]]);
    /// let (u, s, vt) = a.svd();
    /// assert_eq!(s.to_array()?, [3.0, 2.0].into());
    /// assert_eq!((u * s.expand_dims(-2)).matmul(&vt).to_array()?, a.to_array()?);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn svd(&self) -> (Tensor, Tensor, Tensor) {
        let [u, s, vt] = several(Svd {}, &[self]);
        (u, s, vt)
    }

    /// The singular values in decreasing order, [.., k], with k the smaller of rows and columns.
    #[track_caller]
    pub fn svdvals(&self) -> Tensor {
        push(Svdvals {}, &[self])
    }

    /// The eigenvalues of symmetric matrices in increasing order, [.., n], and eigenvectors in the
    /// columns of [.., n, n]. In each the first entry whose magnitude is within a thousandth of the
    /// largest is positive. Of any other matrix the symmetric part (a + aᵀ) / 2 is taken. Between
    /// equal eigenvalues the vectors have no derivative; 0 is taken.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let (w, v) = Tensor::from([[2.0, 1.0], [1.0, 2.0]]).eigh();
    /// assert!((w - Tensor::from([1.0, 3.0])).abs().max(..).item::<f64>()? < 1e-14);
    /// assert!(v.at((0, 0)).item::<f64>()? > 0.7);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn eigh(&self) -> (Tensor, Tensor) {
        let [w, v] = several(Eigh {}, &[self]);
        (w, v)
    }

    /// The eigenvalues of the symmetric part of matrices in increasing order: [.., n].
    #[track_caller]
    pub fn eigvalsh(&self) -> Tensor {
        push(Eigvalsh {}, &[self])
    }

    /// Ones on the diagonal of m x k matrices, in the dtype and batch of another tensor.
    #[track_caller]
    fn eye_like(m: usize, k: usize, like: &Tensor) -> Tensor {
        let rows = Tensor::arange(m, DType::I64).expand_dims(-1);
        let columns = Tensor::arange(k, DType::I64);
        let ones = rows.equal(columns).convert(like.dtype());
        ones.broadcast_to(like.shape())
    }
}
