//! Stochastic gradient descent.

use super::{Leaf, State, update, with_decay};
use crate::{Array, ArrayError, Tensor, Tree};

/// Stochastic gradient descent, with momentum (Polyak 1964) in the form of Sutskever et al. 2013 as PyTorch has it:
/// `v = momentum * v + g`, `p = p - rate * v`, with `g + momentum * v` for `v` in the last step if `nesterov`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Sgd {
    /// How much of the velocity stays from step to step, from 0 to below 1; 0 remembers nothing.
    pub momentum: f64,
    /// Looks ahead along the velocity.
    pub nesterov: bool,
    /// Adds `weight_decay * p` to the gradient.
    pub weight_decay: f64,
}

impl Sgd {
    /// The state before the first step.
    ///
    /// # Errors
    /// None for parameters that are in memory.
    pub fn init(&self, params: &impl Tree<Array>) -> Result<State<Array>, ArrayError> {
        State::zeros(params, self.momentum != 0.0, false)
    }

    /// One step with the learning rate, a scalar: new parameters and state. Leaves that are not floats stay.
    ///
    /// # Errors
    /// Recorded: gradients or a state of other parameters.
    #[track_caller]
    pub fn update<P: Tree<Tensor> + Clone>(
        &self,
        params: &P,
        gradients: &P,
        state: &State<Tensor>,
        rate: &Tensor,
    ) -> (P, State<Tensor>) {
        update("sgd", params, gradients, state, rate, |leaf: Leaf<'_>| {
            let g = with_decay(&leaf, self.weight_decay);
            let Some(velocity) = leaf.first else {
                return (leaf.p - leaf.rate * g, None, None);
            };
            let velocity = velocity * self.momentum + &g;
            let step = if self.nesterov {
                g + &velocity * self.momentum
            } else {
                velocity.clone()
            };
            (leaf.p - leaf.rate * step, Some(velocity), None)
        })
    }
}
