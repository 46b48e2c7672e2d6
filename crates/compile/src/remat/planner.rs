//! The planner: several starting points, the best of them improved.

use std::time::{Duration, Instant};

use super::profile::Key;
use super::random::Random;
use super::repair::Repair;
use super::search::{Until, improve};
use super::state::State;
use super::sweep::sweep;
use super::{Action, Problem, Replay, ScheduleError, replay};

/// How long to look for a plan, and with which random numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where the random numbers start. The same seed and steps give the same plan.
    pub seed: u64,
    /// How many times a part of a plan is taken apart and put together again.
    pub steps: u64,
    /// When to stop even so; a limit makes plans depend on the machine.
    pub time: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            steps: 20_000,
            time: Some(Duration::from_secs(5)),
        }
    }
}

/// A schedule within a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The runs and releases, in order.
    pub actions: Vec<Action>,
    /// The most bytes held at one time.
    pub peak: u64,
    /// The cost of all runs; [`Problem::cost`] of it is unavoidable.
    pub cost: u128,
    /// How many runs repeat an earlier one.
    pub reruns: usize,
    /// When the first schedule within the budget was there, counted from the start.
    pub first: Duration,
}

/// Why there is no schedule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The budget is below what any schedule needs.
    #[error("a budget of {budget} bytes cannot work: one step and what is held beside it take {bound}")]
    Impossible {
        /// The budget asked for.
        budget: u64,
        /// A bound on the memory of every schedule.
        bound: u64,
    },
    /// No schedule within the budget was found.
    #[error(
        "no schedule was found within {budget} bytes: the smallest budget reached is {reached}, and none below {bound} can work"
    )]
    NotFound {
        /// The budget asked for.
        budget: u64,
        /// The smallest budget for which a schedule is known.
        reached: u64,
        /// A bound on the memory of every schedule.
        bound: u64,
    },
}

/// Finds a schedule that never holds more than `budget` bytes, with as little run again as can be
/// found.
///
/// # Errors
/// Where the budget is below [`Problem::lower_bound`], or where no schedule was found; the error
/// then names the smallest budget that was reached.
pub fn plan(problem: &Problem, budget: u64, options: &Options) -> Result<Schedule, PlanError> {
    let began = Instant::now();
    let bound = problem.lower_bound();
    if budget < bound {
        return Err(PlanError::Impossible { budget, bound });
    }
    let mut random = Random::new(options.seed);
    let mut state = State::new(problem);
    let mut repair = Repair::new(&state, budget);
    let room = budget - problem.held;
    let mut first = None;
    let mut best: Option<(u128, Vec<Key>)> = None;
    let show = std::env::var("REMAT_SHOW").is_ok();
    for start in 0..8 {
        let t0 = Instant::now();
        state.undo(0);
        let fits = match start {
            0..=2 => match sweep(problem, room, [1.0, 0.1, 0.0][start]) {
                Some(keys) => {
                    keys.iter().for_each(|k| state.insert(*k));
                    state.peak() <= budget || repair.repair(&mut state, &mut random, 0.0)
                }
                None => false,
            },
            3 => {
                repair.repair_in_bulk(&mut state);
                repair.repair(&mut state, &mut random, 0.0)
            }
            4 if problem.steps.len() > 400 => false,
            4 => repair.repair(&mut state, &mut random, 0.0),
            7 => match super::chain::Chain::of(problem).and_then(|c| { if show { eprintln!("chain"); } c.solve(room) }) {
                Some(keys) => {
                    keys.iter().for_each(|k| state.insert(*k));
                    if show { eprintln!("chain peak {} budget {budget} extra {}", state.peak(), state.extra); }
                    state.peak() <= budget || repair.repair(&mut state, &mut random, 0.0)
                }
                None => false,
            },
            _ if best.is_some() => false,
            _ => repair.repair(&mut state, &mut random, 0.5),
        };
        if show { eprintln!("start {start} fits {fits} extra {} {:?}", state.extra as f64 * 100.0 / problem.cost() as f64, t0.elapsed()); }
        if fits {
            first.get_or_insert_with(|| began.elapsed());
            let all = state.all();
            repair.prune(&mut state, all);
            if show { eprintln!("   pruned {} {:?}", state.extra as f64 * 100.0 / problem.cost() as f64, t0.elapsed()); }
            if best.as_ref().is_none_or(|(extra, _)| state.extra < *extra) {
                best = Some((state.extra, state.all()));
            }
        }
    }
    let Some((_, keys)) = best else {
        let reached = problem.base_peak();
        return Err(PlanError::NotFound {
            budget,
            reached,
            bound,
        });
    };
    state.undo(0);
    keys.iter().for_each(|k| state.insert(*k));
    let first = first.unwrap_or_default();
    let until = Until {
        steps: options.steps,
        time: options.time.map(|t| began + t),
    };
    improve(&mut state, &mut repair, &mut random, until);
    Ok(Schedule {
        actions: state.actions(),
        peak: state.peak(),
        cost: u128::from(problem.cost()) + state.extra,
        reruns: state.reruns,
        first,
    })
}

impl Schedule {
    /// Replays the schedule and compares what it claims.
    ///
    /// # Errors
    /// Those of [`replay`]; where the peak is above the budget, or peak or cost are not as claimed.
    pub fn check(&self, problem: &Problem, budget: u64) -> Result<Replay, ScheduleError> {
        let found = replay(problem, &self.actions)?;
        let claim = |what, expected: u128, found: u128| match expected == found {
            true => Ok(()),
            false => Err(ScheduleError::Claim {
                what,
                expected,
                found,
            }),
        };
        claim("a peak of", self.peak.into(), found.peak.into())?;
        claim("a cost of", self.cost, found.cost)?;
        claim("reruns:", self.reruns as u128, found.reruns as u128)?;
        if found.peak > budget {
            return Err(ScheduleError::Claim {
                what: "a peak of at most",
                expected: budget.into(),
                found: found.peak.into(),
            });
        }
        Ok(found)
    }
}
