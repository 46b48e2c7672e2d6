//! Adam and AdamW.

use super::{Leaf, State, as_f64, average, update, with_decay};
use crate::{Array, ArrayError, Tensor, Tree};

/// Adam (Kingma and Ba 2015, algorithm 1): steps along the mean gradient over the root of the mean squared one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// How much of the mean gradient stays from step to step.
    pub beta1: f64,
    /// How much of the mean squared gradient stays.
    pub beta2: f64,
    /// Added to the root, so that nothing is divided by 0.
    pub epsilon: f64,
    /// Adds `weight_decay * p` to the gradient.
    pub weight_decay: f64,
}

/// AdamW (Loshchilov and Hutter 2019, algorithm 2): Adam whose decay `p - rate * weight_decay * p` does not pass
/// through the means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// How much of the mean gradient stays from step to step.
    pub beta1: f64,
    /// How much of the mean squared gradient stays.
    pub beta2: f64,
    /// Added to the root, so that nothing is divided by 0.
    pub epsilon: f64,
    /// The share of the parameters that a step of rate 1 would take away.
    pub weight_decay: f64,
}

impl Default for Adam {
    /// The numbers of the paper, without decay.
    fn default() -> Adam {
        Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

impl Default for AdamW {
    /// Adam's numbers, with a decay of 0.01.
    fn default() -> AdamW {
        AdamW {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

impl Adam {
    /// The state before the first step.
    ///
    /// # Errors
    /// None for parameters that are in memory.
    pub fn init(&self, params: &impl Tree<Array>) -> Result<State<Array>, ArrayError> {
        State::zeros(params, true, true)
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
        let corrections = self.corrections(state);
        update("adam", params, gradients, state, rate, |leaf: Leaf<'_>| {
            let g = with_decay(&leaf, self.weight_decay);
            let (step, first, second) = self.direction(&leaf, &g, &corrections);
            (leaf.p - leaf.rate * step, Some(first), Some(second))
        })
    }

    /// What the means are divided by, because they started at 0.
    fn corrections(&self, state: &State<Tensor>) -> [Tensor; 2] {
        let steps = as_f64(&(&state.step + 1));
        [self.beta1, self.beta2].map(|beta| 1.0 - Tensor::scalar(beta).pow(&steps))
    }

    /// The step of rate 1, and the new means.
    fn direction(
        &self,
        leaf: &Leaf<'_>,
        g: &Tensor,
        corrections: &[Tensor; 2],
    ) -> (Tensor, Tensor, Tensor) {
        let first = average(leaf.first, g, self.beta1);
        let second = average(leaf.second, &(g * g), self.beta2);
        let [one, two] = corrections
            .each_ref()
            .map(|correction| correction.convert(leaf.p.dtype()));
        let step = (&first / one) / ((&second / two).sqrt() + self.epsilon);
        (step, first, second)
    }
}

impl AdamW {
    /// The state before the first step.
    ///
    /// # Errors
    /// None for parameters that are in memory.
    pub fn init(&self, params: &impl Tree<Array>) -> Result<State<Array>, ArrayError> {
        State::zeros(params, true, true)
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
        let AdamW {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        } = *self;
        let adam = Adam {
            beta1,
            beta2,
            epsilon,
            weight_decay: 0.0,
        };
        let corrections = adam.corrections(state);
        update("adamw", params, gradients, state, rate, |leaf: Leaf<'_>| {
            let (step, first, second) = adam.direction(&leaf, leaf.g, &corrections);
            let kept = if weight_decay == 0.0 {
                leaf.p.clone()
            } else {
                leaf.p * (1.0 - &leaf.rate * weight_decay)
            };
            (kept - leaf.rate * step, Some(first), Some(second))
        })
    }
}
