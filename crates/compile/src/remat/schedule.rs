//! What is done when: computations and releases in order, and the checker that replays them.
//!
//! The checker is written to be read in a sitting. It knows the [`Problem`] and the list of
//! actions, and nothing of how the planner found them.

use super::Problem;

/// One action of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Runs a step, for the first time or again.
    Run(u32),
    /// Gives the memory of a value back.
    Free(u32),
}

/// Which values end with the run at a place: those that are freed right behind it.
pub(super) fn ends_with(actions: &[Action], at: usize) -> impl Fn(u32) -> bool {
    let behind = actions.get(at + 1..).unwrap_or_default();
    move |value| {
        let mut freed = behind.iter().take_while(|a| matches!(a, Action::Free(_)));
        freed.any(|a| *a == Action::Free(value))
    }
}

/// What a replay found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replay {
    /// The most bytes that are held at one time.
    pub peak: u64,
    /// The cost of all runs.
    pub cost: u128,
    /// The number of runs of steps that had run before.
    pub reruns: usize,
}

/// Why a schedule is no schedule of a problem.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// An action names a step or a value that there is not.
    #[error("action {at} names what is not there: {action:?}")]
    Unknown {
        /// The action's place in the schedule.
        at: usize,
        /// The action.
        action: Action,
    },
    /// A step reads a value that is not there.
    #[error("action {at} runs step {step}, which reads value {value}, and that is not there")]
    Missing {
        /// The action's place in the schedule.
        at: usize,
        /// The step.
        step: u32,
        /// The value it reads.
        value: u32,
    },
    /// A step writes a value that is still there.
    #[error("action {at} runs step {step}, which writes value {value}, and that is still there")]
    Present {
        /// The action's place in the schedule.
        at: usize,
        /// The step.
        step: u32,
        /// The value it writes.
        value: u32,
    },
    /// A value is freed that is not there, or is an input.
    #[error("action {at} frees value {value}, which is not there to be freed")]
    NotThere {
        /// The action's place in the schedule.
        at: usize,
        /// The value.
        value: u32,
    },
    /// First runs are not in base order.
    #[error("action {at} runs step {step} first, expected step {expected} before it")]
    OutOfOrder {
        /// The action's place in the schedule.
        at: usize,
        /// The step.
        step: u32,
        /// The step that should have run first.
        expected: u32,
    },
    /// Not every step has run.
    #[error("step {step} never runs")]
    NeverRuns {
        /// The first step that does not run.
        step: u32,
    },
    /// An output is not there at the end.
    #[error("output {value} is not there at the end")]
    NoOutput {
        /// The value.
        value: u32,
    },
    /// More is held than allowed or claimed, or the cost is another one.
    #[error("expected {what} {expected}, found {found}")]
    Claim {
        /// What was claimed.
        what: &'static str,
        /// What it was claimed to be.
        expected: u128,
        /// What the replay gives.
        found: u128,
    },
}

/// Replays actions one by one: every read finds its value, every step runs, first runs are in base
/// order, and the outputs are there at the end.
///
/// The memory at a run is every value that is there, what the step writes included, and its working
/// memory; less what results take over from values that are freed right after the run.
///
/// # Errors
/// The first rule that an action breaks.
pub fn replay(problem: &Problem, actions: &[Action]) -> Result<Replay, ScheduleError> {
    let is_input = |value: u32| problem.writer(value).is_none();
    let mut there: Vec<bool> = (0..problem.bytes().len())
        .map(|v| is_input(v as u32))
        .collect();
    let mut first = 0_u32;
    let mut live = u128::from(problem.held());
    let mut found = Replay {
        peak: problem.held(),
        cost: 0,
        reruns: 0,
    };
    for (at, &action) in actions.iter().enumerate() {
        match action {
            Action::Run(step) => {
                let Some(run) = problem.steps().get(step as usize) else {
                    return Err(ScheduleError::Unknown { at, action });
                };
                if step > first {
                    let expected = first;
                    return Err(ScheduleError::OutOfOrder { at, step, expected });
                }
                found.reruns += usize::from(step < first);
                first = first.max(step + 1);
                if let Some(&value) = run.reads.iter().find(|v| !there[**v as usize]) {
                    return Err(ScheduleError::Missing { at, step, value });
                }
                for &value in &run.writes {
                    if std::mem::replace(&mut there[value as usize], true) {
                        return Err(ScheduleError::Present { at, step, value });
                    }
                    live += u128::from(problem.bytes()[value as usize]);
                }
                let over = u128::from(problem.taken_over(run, ends_with(actions, at)));
                let now = live + u128::from(run.scratch) - over;
                found.peak = found.peak.max(u64::try_from(now).unwrap_or(u64::MAX));
                found.cost += u128::from(run.cost);
            }
            Action::Free(value) => {
                let Some(&bytes) = problem.bytes().get(value as usize) else {
                    return Err(ScheduleError::Unknown { at, action });
                };
                if is_input(value) || !std::mem::replace(&mut there[value as usize], false) {
                    return Err(ScheduleError::NotThere { at, value });
                }
                live -= u128::from(bytes);
            }
        }
    }
    if (first as usize) < problem.steps().len() {
        return Err(ScheduleError::NeverRuns { step: first });
    }
    match problem.outputs().iter().find(|v| !there[**v as usize]) {
        Some(&value) => Err(ScheduleError::NoOutput { value }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::Action::{Free, Run};
    use super::*;

    fn diamond() -> Problem {
        Problem::of_graph(
            vec![4, 2, 1],
            &[3, 2, 1],
            &[false; 3],
            &[(0, 1), (0, 2), (1, 2)],
        )
        .unwrap()
    }

    #[test]
    fn a_replay_counts_peak_cost_and_reruns() {
        let base = [Run(0), Run(1), Run(2), Free(0), Free(1), Free(2)];
        let found = replay(&diamond(), &base).unwrap();
        assert_eq!((found.peak, found.cost, found.reruns), (7, 6, 0));
        let again = [Run(0), Free(0), Run(0), Run(1), Run(2)];
        let found = replay(&diamond(), &again).unwrap();
        assert_eq!((found.peak, found.cost, found.reruns), (7, 9, 1));
    }

    #[test]
    fn broken_schedules_are_found() {
        let told = |actions: &[Action]| replay(&diamond(), actions).unwrap_err();
        assert!(matches!(
            told(&[Run(0), Free(0), Run(1)]),
            ScheduleError::Missing { .. }
        ));
        assert!(matches!(
            told(&[Run(0), Run(0)]),
            ScheduleError::Present { .. }
        ));
        assert!(matches!(told(&[Free(0)]), ScheduleError::NotThere { .. }));
        assert!(matches!(told(&[Run(1)]), ScheduleError::OutOfOrder { .. }));
        assert!(matches!(told(&[Run(0)]), ScheduleError::NeverRuns { .. }));
        assert!(matches!(told(&[Run(9)]), ScheduleError::Unknown { .. }));
        assert!(matches!(told(&[Free(9)]), ScheduleError::Unknown { .. }));
    }

    #[test]
    fn outputs_must_be_there_at_the_end() {
        let step = crate::remat::Step {
            writes: vec![0],
            ..Default::default()
        };
        let p = Problem::new(vec![step], vec![1], vec![0], 0).unwrap();
        assert!(replay(&p, &[Run(0)]).is_ok());
        assert!(matches!(
            replay(&p, &[Run(0), Free(0)]),
            Err(ScheduleError::NoOutput { value: 0 })
        ));
    }
}
