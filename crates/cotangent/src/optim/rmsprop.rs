//! RMSProp.

use super::{Leaf, State, average, update, with_decay};
use crate::{Array, ArrayError, Tensor, Tree};

/// RMSProp (Tieleman and Hinton 2012, lecture 6.5): steps along the gradient over the root of its mean square, with
/// momentum as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// How much of the mean squared gradient stays from step to step.
    pub decay: f64,
    /// Added to the root, so that nothing is divided by 0.
    pub epsilon: f64,
    /// How much of the velocity stays from step to step; 0 remembers none.
    pub momentum: f64,
    /// Adds `weight_decay * p` to the gradient.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp {
            decay: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
            weight_decay: 0.0,
        }
    }
}

impl RmsProp {
    /// The state before the first step.
    ///
    /// # Errors
    /// None for parameters that are in memory.
    pub fn init(&self, params: &impl Tree<Array>) -> Result<State<Array>, ArrayError> {
        State::zeros(params, self.momentum != 0.0, true)
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
        update(
            "rmsprop",
            params,
            gradients,
            state,
            rate,
            |leaf: Leaf<'_>| {
                let g = with_decay(&leaf, self.weight_decay);
                let second = average(leaf.second, &(&g * &g), self.decay);
                let step = g / (second.sqrt() + self.epsilon);
                let Some(velocity) = leaf.first else {
                    return (leaf.p - leaf.rate * step, None, Some(second));
                };
                let velocity = velocity * self.momentum + step;
                (leaf.p - leaf.rate * &velocity, Some(velocity), Some(second))
            },
        )
    }
}
