//! Learning rates that change from step to step.

use std::f64::consts::PI;

/// A learning rate for each step: it rises from 0 in a straight line over `warmup` steps to `rate`, then falls as
/// `decay` says.
///
/// ```
/// use cotangent::optim::{Decay, Schedule};
/// let schedule = Schedule { rate: 0.1, warmup: 10, decay: Decay::Cosine { steps: 100, last: 0.0 } };
/// assert_eq!(schedule.at(4), 0.05);
/// assert_eq!(schedule.at(10), 0.1);
/// assert!((schedule.at(55) - 0.05).abs() < 1e-15);
/// assert_eq!(schedule.at(100), 0.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub rate: f64,
    /// How many steps the rate rises for: step number i, from 0, has (i + 1) / warmup of it.
    pub warmup: u64,
    /// How the rate falls afterwards.
    pub decay: Decay,
}

/// How a learning rate falls; steps are counted from the start, warm-up included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// By a factor after every so many steps.
    Step {
        /// How many steps the rate stays the same; 0 counts as 1.
        every: u64,
        /// What it is multiplied by then.
        factor: f64,
    },
    /// By a factor after every step.
    Exponential {
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// In half a wave of a cosine (Loshchilov and Hutter 2017), and stays there.
    Cosine {
        /// The number of steps at which the end is reached.
        steps: u64,
        /// The share of the highest rate that is left at the end.
        last: f64,
    },
    /// In a straight line, and stays there.
    Linear {
        /// The number of steps at which the end is reached.
        steps: u64,
        /// The share of the highest rate that is left at the end.
        last: f64,
    },
}

impl Schedule {
    /// The same rate for every step.
    pub fn constant(rate: f64) -> Schedule {
        Schedule {
            rate,
            warmup: 0,
            decay: Decay::Constant,
        }
    }

    /// The rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.rate * ((step + 1) as f64 / self.warmup as f64);
        }
        let past = step - self.warmup;
        let share = match self.decay {
            Decay::Constant => 1.0,
            Decay::Step { every, factor } => factor.powf((past / every.max(1)) as f64),
            Decay::Exponential { factor } => factor.powf(past as f64),
            Decay::Cosine { steps, last } => {
                let way = self.way(past, steps);
                last + (1.0 - last) * 0.5 * (1.0 + (PI * way).cos())
            }
            Decay::Linear { steps, last } => 1.0 + (last - 1.0) * self.way(past, steps),
        };
        self.rate * share
    }

    /// The share of the way to the end that lies behind: 1 from there on.
    fn way(&self, past: u64, steps: u64) -> f64 {
        let all = steps.saturating_sub(self.warmup);
        if past >= all {
            1.0
        } else {
            past as f64 / all as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay, steps: u64) -> Vec<f64> {
        let schedule = Schedule {
            rate: 2.0,
            warmup: 0,
            decay,
        };
        (0..steps).map(|step| schedule.at(step)).collect()
    }

    #[test]
    fn rates_fall_as_they_say() {
        assert_eq!(Schedule::constant(0.3).at(u64::MAX), 0.3);
        assert_eq!(
            rates(
                Decay::Step {
                    every: 2,
                    factor: 0.5
                },
                5
            ),
            [2.0, 2.0, 1.0, 1.0, 0.5]
        );
        assert_eq!(
            rates(
                Decay::Step {
                    every: 0,
                    factor: 0.5
                },
                3
            ),
            [2.0, 1.0, 0.5]
        );
        assert_eq!(
            rates(Decay::Exponential { factor: 0.5 }, 3),
            [2.0, 1.0, 0.5]
        );
        assert_eq!(
            rates(
                Decay::Linear {
                    steps: 4,
                    last: 0.5
                },
                6
            ),
            [2.0, 1.75, 1.5, 1.25, 1.0, 1.0]
        );
        let cosine = rates(
            Decay::Cosine {
                steps: 4,
                last: 0.0,
            },
            6,
        );
        let expected = [2.0, 1.0 + 0.5f64.sqrt(), 1.0, 1.0 - 0.5f64.sqrt(), 0.0, 0.0];
        assert!(
            cosine
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-15),
            "{cosine:?}"
        );
    }

    #[test]
    fn warmup_comes_first() {
        let decay = Decay::Linear {
            steps: 8,
            last: 0.0,
        };
        let schedule = Schedule {
            rate: 1.0,
            warmup: 4,
            decay,
        };
        let rates: Vec<f64> = (0..10).map(|step| schedule.at(step)).collect();
        assert_eq!(
            rates,
            [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
        );
        let only_warmup = Schedule {
            warmup: 10,
            ..schedule
        };
        assert_eq!((only_warmup.at(9), only_warmup.at(10)), (1.0, 0.0));
    }
}
