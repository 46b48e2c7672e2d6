//! Optimisers: plain functions from parameters and gradients to parameters.
//!
//! An optimiser is plain settings; what it remembers is a [`State`], a tree like the parameters. Both are arguments
//! and results of a traced function, so that a whole training step is one [`Function`](crate::Function): parameters,
//! state, batch and learning rate in, parameters, state and loss out. The learning rate is an input and so may follow
//! any [`Schedule`] without tracing anew.
//!
//! ```
//! use cotangent::optim::{Sgd, State};
//! use cotangent::{Array, Function, Tensor};
//!
//! let loss = Function::new(|w: &Tensor| ((w - 3.0) * (w - 3.0)).sum(..));
//! let sgd = Sgd { momentum: 0.5, ..Sgd::default() };
//! let step = Function::new(move |w: &Tensor, state: &State<Tensor>, rate: &Tensor| {
//!     let (loss, gradient) = loss.value_and_grad().apply((w.clone(),));
//!     let (w, state) = sgd.update(w, &gradient, state, rate);
//!     (w, state, loss)
//! });
//!
//! let mut w = Array::from([0.0, 10.0]);
//! let mut state = sgd.init(&w)?;
//! for _ in 0..60 {
//!     (w, state, _) = step.call((w, state, 0.1.into()))?;
//! }
//! assert!(w.to_f64s().iter().all(|w| (w - 3.0).abs() < 1e-6));
//! # Ok::<(), cotangent::Error>(())
//! ```

mod adam;
mod clip;
mod rmsprop;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamW};
pub use clip::{clip_by_global_norm, clip_by_value, global_norm};
pub use rmsprop::RmsProp;
pub use schedule::{Decay, Schedule};
pub use sgd::Sgd;

use crate::tensor::fail;
use crate::{Array, ArrayError, DType, Tensor, Tree, tree};

/// What an optimiser remembers between steps, with one entry for each leaf of the parameters, in order. A list that
/// the optimiser has no use for is empty.
#[derive(Clone, Debug, PartialEq, Tree)]
pub struct State<T> {
    /// How many steps were made: i64, rank 0.
    pub step: T,
    /// The velocity of [`Sgd`] and [`RmsProp`] with momentum, the mean of the gradients in [`Adam`].
    pub first: Vec<T>,
    /// The mean of the squared gradients in [`Adam`] and [`RmsProp`].
    pub second: Vec<T>,
}

impl State<Array> {
    /// The state before the first step: zeros.
    fn zeros(params: &impl Tree<Array>, first: bool, second: bool) -> Result<Self, ArrayError> {
        let zeros = |wanted: bool| -> Result<Vec<Array>, ArrayError> {
            let leaves = if wanted { params.leaves() } else { Vec::new() };
            leaves
                .into_iter()
                .map(|leaf| Array::zeros(leaf.dtype(), leaf.shape().clone()))
                .collect()
        };
        Ok(State {
            step: Array::scalar(0i64),
            first: zeros(first)?,
            second: zeros(second)?,
        })
    }
}

/// One leaf of the parameters, its gradient, and what is remembered of it.
struct Leaf<'a> {
    p: &'a Tensor,
    g: &'a Tensor,
    first: Option<&'a Tensor>,
    second: Option<&'a Tensor>,
    /// The learning rate in the leaf's dtype.
    rate: Tensor,
}

/// What a rule makes of a leaf: the new parameter, and what to remember of it.
type Updated = (Tensor, Option<Tensor>, Option<Tensor>);

/// Applies a rule to every float leaf; other leaves stay as they are. Trees that do not belong together are recorded
/// as an error of the caller.
#[track_caller]
fn update<P: Tree<Tensor> + Clone>(
    name: &str,
    params: &P,
    gradients: &P,
    state: &State<Tensor>,
    rate: &Tensor,
    rule: impl Fn(Leaf<'_>) -> Updated,
) -> (P, State<Tensor>) {
    let leaves = params.leaves();
    let slopes = gradients.leaves();
    if let Some((message, at)) = mismatch(&leaves, &slopes, state) {
        let mut wrong = Some(fail(name, &at, message));
        // The error travels on in the first leaf.
        let leaves = leaves
            .into_iter()
            .map(|leaf| wrong.take().unwrap_or_else(|| leaf.clone()));
        let broken = params.with_leaves(leaves.collect());
        return (broken.unwrap_or_else(|_| params.clone()), state.clone());
    }
    let (mut new, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (p, g)) in leaves.into_iter().zip(slopes).enumerate() {
        let (old_first, old_second) = (state.first.get(i), state.second.get(i));
        if !p.dtype().is_float() {
            new.push(p.clone());
            first.extend(old_first.cloned());
            second.extend(old_second.cloned());
            continue;
        }
        let rate = rate.convert(p.dtype());
        let updated = rule(Leaf {
            p,
            g,
            first: old_first,
            second: old_second,
            rate,
        });
        new.push(updated.0);
        first.extend(updated.1);
        second.extend(updated.2);
    }
    let params = tree::from_leaves(&params.structure(), new).unwrap_or_else(|_| params.clone());
    (
        params,
        State {
            step: &state.step + 1,
            first,
            second,
        },
    )
}

/// What does not belong together, and the tensors to show.
fn mismatch<'a>(
    leaves: &[&'a Tensor],
    slopes: &[&'a Tensor],
    state: &State<Tensor>,
) -> Option<(String, Vec<&'a Tensor>)> {
    if leaves.len() != slopes.len() {
        let message = format!(
            "expected a gradient for each of {} parameters, found {}",
            leaves.len(),
            slopes.len()
        );
        return Some((message, Vec::new()));
    }
    for list in [&state.first, &state.second] {
        if !list.is_empty() && list.len() != leaves.len() {
            let message = format!(
                "expected a state of {} parameters, found one of {}",
                leaves.len(),
                list.len()
            );
            return Some((message, Vec::new()));
        }
    }
    let (p, g) = leaves.iter().zip(slopes).find(|(p, g)| p.ty() != g.ty())?;
    Some((
        format!("expected a gradient {}, found {}", p.ty(), g.ty()),
        vec![*p, *g],
    ))
}

/// `old * keep + new * (1 - keep)`: a mean that forgets.
fn average(old: Option<&Tensor>, new: &Tensor, keep: f64) -> Tensor {
    match old {
        Some(old) => old * keep + new * (1.0 - keep),
        None => new * (1.0 - keep),
    }
}

/// `g + decay * p`, the gradient of a cost with `decay / 2 * |p|^2` added.
fn with_decay(leaf: &Leaf<'_>, decay: f64) -> Tensor {
    if decay == 0.0 {
        leaf.g.clone()
    } else {
        leaf.g + leaf.p * decay
    }
}

/// A number in f64 from a whole one, for powers of it.
fn as_f64(x: &Tensor) -> Tensor {
    x.convert(DType::F64)
}

#[cfg(test)]
mod tests;
