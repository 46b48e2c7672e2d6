//! NumPy broadcasting for what people write; the canonical text never needs it.

use cotangent_array::Shape;

use crate::{Builder, Var};

/// The variable in a larger shape: axes are aligned at the end, axes of length 1 repeat.
pub(super) fn broadcast_to(b: &mut Builder, v: Var, shape: &Shape) -> Var {
    let from = b.shape(v);
    if from == *shape {
        return v;
    }
    if let Some(value) = b.graph().splat(v) {
        return b.full(value, shape.clone());
    }
    let lead = shape.rank().saturating_sub(from.rank());
    // Axes of length 1 that repeat vanish first, since a broadcast repeats only new axes.
    let kept: Vec<usize> = (0..from.rank())
        .filter(|a| from.dims()[*a] == shape.dims().get(a + lead).copied().unwrap_or(0))
        .collect();
    let dims: Vec<usize> = kept.iter().map(|a| from.dims()[*a]).collect();
    let squeezed = b.reshape(v, dims);
    let places: Vec<usize> = kept.iter().map(|a| a + lead).collect();
    b.broadcast(squeezed, shape.clone(), &places)
}

/// The operands in their common shape; as they are where there is none, so that the operation
/// reports the mismatch.
pub(super) fn common(b: &mut Builder, args: &mut [Var]) {
    let mut shape: Option<Shape> = None;
    for v in args.iter() {
        let next = b.shape(*v);
        shape = match shape {
            None => Some(next),
            Some(s) => match Shape::broadcast(s.dims(), next.dims()) {
                Ok(s) => Some(s),
                Err(_) => return,
            },
        };
    }
    if let Some(shape) = shape {
        for v in args {
            *v = broadcast_to(b, *v, &shape);
        }
    }
}
