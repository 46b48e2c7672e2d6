//! Matrices made of others, and what is computed from their rows.

use std::borrow::Borrow;

use super::axes::index;
use super::{AxisIndex, Operand, Tensor, concat, fail, keep, stack};

/// Matrices made of others.
impl Tensor {
    /// The powers 0 to `count` - 1 of each element, along a new last axis: the rows of a Vandermonde
    /// matrix (NumPy's `vander` with `increasing=True`).
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([2.0, 3.0]);
    /// assert_eq!(x.vander(3).to_array()?, [[1.0, 2.0, 4.0], [1.0, 3.0, 9.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn vander(&self, count: usize) -> Tensor {
        if count == 0 {
            let mut shape = self.shape().to_vec();
            shape.push(0);
            return Tensor::zeros(shape, self.dtype());
        }
        let mut last = self.ones_like();
        let mut powers = vec![last.clone()];
        for _ in 1..count {
            last = &last * self;
            powers.push(last.clone());
        }
        stack(&powers, -1)
    }

    /// The p-norms of the differences of all rows of this, [.., n, d], and of `other`, [.., m, d]:
    /// [.., n, m]. The derivative at equal rows is 0.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[0.0, 0.0]]);
    /// let y = Tensor::from([[3.0, 4.0], [0.0, 1.0]]);
    /// assert_eq!(x.cdist(&y, 2.0).to_array()?, [[5.0, 1.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn cdist(&self, other: &Tensor, p: f64) -> Tensor {
        if self.rank() < 2 || other.rank() < 2 {
            let message = "expected rows of matrices on both sides";
            return fail("cdist", &[self, other], message);
        }
        (self.expand_dims(-2) - other.expand_dims(-3)).norm_p(p, -1)
    }

    /// The covariances of variables that are the rows of a matrix, from observations in its
    /// columns: sums of products of deviations over the number of observations minus `ddof`.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [2.0, 8.0]]);
    /// assert_eq!(x.cov(1).to_array()?, [[2.0, 6.0], [6.0, 18.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn cov(&self, ddof: usize) -> Tensor {
        if self.rank() != 2 {
            let message = format!("expected a matrix, found shape {}", self.shape());
            return fail("cov", &[self], message);
        }
        if let Err(failed) = self.expect_float("cov") {
            return failed;
        }
        let deviation = self - self.mean(keep(1));
        let count = self.dim(1).saturating_sub(ddof);
        deviation.matmul(&deviation.t()) / count as f64
    }

    /// The correlations of variables that are the rows of a matrix: covariances over the product of
    /// both standard deviations, held within [-1, 1] against rounding.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]]);
    /// let r = x.corrcoef();
    /// assert!((r.at((0, 1)).item::<f64>()? + 1.0).abs() < 1e-12);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn corrcoef(&self) -> Tensor {
        if self.rank() != 2 {
            let message = format!("expected a matrix, found shape {}", self.shape());
            return fail("corrcoef", &[self], message);
        }
        let c = self.cov(0);
        let deviation = c.diagonal(0, 0, 1).sqrt();
        let r = c / deviation.expand_dims(1) / deviation.expand_dims(0);
        r.clamp(-1.0, 1.0)
    }

    /// The integral along an axis by the trapezoidal rule; `step` is the distance between
    /// neighbours, or a tensor of them (`x.diff(axis)` for samples at `x`) that broadcasts.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let y = Tensor::from([0.0, 1.0, 4.0]);
    /// assert_eq!(y.trapezoid(1.0, -1).item::<f64>()?, 3.0);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "trapz")]
    #[track_caller]
    pub fn trapezoid(&self, step: impl Operand, axis: impl AxisIndex) -> Tensor {
        match self.trapezoids("trapezoid", step, axis.to_i64()) {
            Ok(areas) => areas.sum(axis),
            Err(failed) => failed,
        }
    }

    /// The integrals from the first sample to each later one; see [`trapezoid`](Tensor::trapezoid).
    #[track_caller]
    pub fn cumulative_trapezoid(&self, step: impl Operand, axis: impl AxisIndex) -> Tensor {
        match self.trapezoids("cumulative_trapezoid", step, axis.to_i64()) {
            Ok(areas) => areas.cumsum(axis),
            Err(failed) => failed,
        }
    }

    /// The areas between neighbours.
    #[track_caller]
    fn trapezoids(&self, name: &str, step: impl Operand, axis: i64) -> Result<Tensor, Tensor> {
        self.expect_float(name)?;
        let axis = match index(axis, self.rank()) {
            Ok(axis) => axis,
            Err(message) => return Err(fail(name, &[self], message)),
        };
        let n = self.dim(axis);
        if n == 0 {
            return Ok(self.clone());
        }
        let sums = self.slice_axis(axis, 1..n) + self.slice_axis(axis, 0..n - 1);
        Ok(sums * step.operand() * 0.5)
    }
}

/// Matrices along the diagonal of a larger one, with zeros elsewhere.
///
/// ```
/// use cotangent::{Tensor, block_diag};
/// let (a, b) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[3.0], [4.0]]));
/// let y = block_diag([&a, &b]);
/// assert_eq!(y.to_array()?, [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 4.0]].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn block_diag<T: Borrow<Tensor>>(blocks: impl IntoIterator<Item = T>) -> Tensor {
    let blocks: Vec<T> = blocks.into_iter().collect();
    let blocks: Vec<&Tensor> = blocks.iter().map(Borrow::borrow).collect();
    if blocks.is_empty() || blocks.iter().any(|b| b.rank() != 2) {
        return fail("block_diag", &blocks, "expected matrices, one or more");
    }
    let columns = blocks
        .iter()
        .fold(0usize, |sum, b| sum.saturating_add(b.dim(1)));
    let mut left = 0;
    let mut rows = Vec::new();
    for block in blocks {
        let zeros = |n: usize| Tensor::zeros([block.dim(0), n], block.dtype());
        let right = columns.saturating_sub(left).saturating_sub(block.dim(1));
        rows.push(concat([&zeros(left), block, &zeros(right)], 1));
        left += block.dim(1);
    }
    concat(&rows, 0)
}
