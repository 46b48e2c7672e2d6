//! Attention.

use super::{Tensor, fail, keep};

/// Attention.
impl Tensor {
    /// Scaled dot-product attention: softmax(Q K^T / sqrt(d)) V of queries [.., l, d] (this), keys
    /// [.., s, d] and values [.., s, e]: [.., l, e] (Vaswani et al., "Attention is all you need",
    /// 2017).
    ///
    /// A bool mask that broadcasts to [.., l, s] says which keys a query sees; one of floats is
    /// added to the products before the softmax. A query that sees no key gives zeros.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let q = Tensor::from([[1.0], [1.0]]);
    /// let v = Tensor::from([[2.0], [4.0]]);
    /// let causal = Tensor::ones([2, 2], DType::F64).tril(0).greater(0.0);
    /// let y = q.attention(&q, &v, Some(&causal));
    /// assert_eq!(y.to_array()?, [[2.0], [3.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "scaled_dot_product_attention")]
    #[track_caller]
    pub fn attention(&self, keys: &Tensor, values: &Tensor, mask: Option<&Tensor>) -> Tensor {
        if self.rank() < 2 || keys.rank() < 2 || values.rank() < 2 {
            let message = "expected queries, keys and values with two axes or more";
            return fail("attention", &[self, keys, values], message);
        }
        if let Err(failed) = self.expect_float("attention") {
            return failed;
        }
        let scale = 1.0 / (self.dim(-1) as f64).sqrt();
        let products = (self * scale).matmul(&keys.t());
        let products = match mask {
            Some(mask) if mask.dtype().is_bool() => mask.select(products, f64::NEG_INFINITY),
            Some(mask) => products + mask,
            // Every query sees every key.
            None => return products.softmax(-1).matmul(values),
        };
        let blind = products.equal(f64::NEG_INFINITY).all(keep(-1));
        let seen = blind.select(0.0, products).softmax(-1);
        blind.select(0.0, seen).matmul(values)
    }
}
