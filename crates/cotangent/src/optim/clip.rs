//! Bounds for gradients.

use crate::{DType, Tensor, Tree, tree};

/// The L2 norm of all float leaves together: f64, rank 0.
#[track_caller]
pub fn global_norm<P: Tree<Tensor>>(gradients: &P) -> Tensor {
    let mut sum = Tensor::scalar(0.0);
    for leaf in gradients
        .leaves()
        .into_iter()
        .filter(|leaf| leaf.dtype().is_float())
    {
        let leaf = leaf.convert(DType::F64);
        sum += (&leaf * &leaf).sum(..);
    }
    sum.sqrt()
}

/// Scales all leaves by one factor so that their [`global_norm`] is at most `limit`, which is above 0; gives that
/// norm from before, too. The direction stays (Pascanu, Mikolov and Bengio 2013).
///
/// ```
/// use cotangent::{Tensor, optim::clip_by_global_norm};
/// let gradients = vec![Tensor::from([3.0]), Tensor::from([4.0])];
/// let (clipped, norm) = clip_by_global_norm(&gradients, 1.0);
/// assert_eq!(norm.item::<f64>()?, 5.0);
/// assert!((clipped[0].item::<f64>()? - 0.6).abs() < 1e-15);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn clip_by_global_norm<P: Tree<Tensor> + Clone>(gradients: &P, limit: f64) -> (P, Tensor) {
    let norm = global_norm(gradients);
    // 1 wherever the norm is within the limit, without a division by 0.
    let factor = limit / norm.maximum(limit);
    (
        map(gradients, |leaf| leaf * factor.convert(leaf.dtype())),
        norm,
    )
}

/// Puts every element between `-limit` and `limit`.
#[track_caller]
pub fn clip_by_value<P: Tree<Tensor> + Clone>(gradients: &P, limit: f64) -> P {
    map(gradients, |leaf| leaf.clamp(-limit, limit))
}

/// The same tree with each float leaf replaced.
fn map<P: Tree<Tensor> + Clone>(gradients: &P, f: impl Fn(&Tensor) -> Tensor) -> P {
    let new = |leaf: &Tensor| {
        if leaf.dtype().is_float() {
            f(leaf)
        } else {
            leaf.clone()
        }
    };
    let leaves = gradients.leaves().into_iter().map(new).collect();
    tree::from_leaves(&gradients.structure(), leaves).unwrap_or_else(|_| gradients.clone())
}
