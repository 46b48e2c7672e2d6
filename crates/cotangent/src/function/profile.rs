//! The time of each step of a compiled function.

use std::fmt;
use std::time::Duration;

/// The plan of a compiled function with the time that each step takes: the median over some runs. Steps
/// that run other plans (loops, branches, calls) count with all that these do.
///
/// [`Display`](fmt::Display) writes the plan, every step behind its microseconds.
#[derive(Clone, Debug)]
pub struct Profile {
    plan: String,
    steps: Vec<Duration>,
}

impl Profile {
    /// A plan as text, and of each run the time of each step.
    pub(super) fn new(plan: String, runs: &[Vec<Duration>]) -> Profile {
        let count = runs.iter().map(Vec::len).min().unwrap_or(0);
        let middle = |step: usize| {
            let mut times: Vec<_> = runs.iter().filter_map(|run| run.get(step)).collect();
            times.sort_unstable();
            times.get(times.len() / 2).map_or(Duration::ZERO, |t| **t)
        };
        Profile {
            plan,
            steps: (0..count).map(middle).collect(),
        }
    }

    /// The time of each step, in the order of the plan.
    pub fn steps(&self) -> &[Duration] {
        &self.steps
    }

    /// All steps together.
    pub fn total(&self) -> Duration {
        self.steps.iter().sum()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        writeln!(f, "{:10.2} us in all", micros(self.total()))?;
        let mut steps = self.steps.iter();
        // Plans that are called stand before the plan itself.
        let own = self.plan.rfind("\nplan ").map_or(0, |at| at + 1);
        let (called, own) = self.plan.split_at(own);
        for line in called.lines() {
            writeln!(f, "{:10} {line}", "")?;
        }
        for line in own.lines() {
            // A step begins in the fifth column; what it consists of stands further in. Constants are none.
            let begins = line.strip_prefix("    ");
            let begins = begins.is_some_and(|rest| !rest.starts_with([' ', '/']));
            let begins = begins && !line.contains(" = constant, ");
            match begins.then(|| steps.next()).flatten() {
                Some(time) => writeln!(f, "{:10.2} {line}", micros(*time))?,
                None => writeln!(f, "{:10} {line}", "")?,
            }
        }
        Ok(())
    }
}
