//! The time of each step of a compiled function.

use std::fmt;
use std::time::Duration;

use cotangent_cpu::StepProfile;

/// The plan of a compiled function with the time that each step takes: the median over some runs. Steps
/// that run other plans (loops, branches, calls) count with all that these do.
///
/// [`Display`](fmt::Display) writes the plan, every step behind its microseconds and, where it was cut for
/// several threads, the number of parts.
#[derive(Clone, Debug)]
pub struct Profile {
    plan: String,
    steps: Vec<Duration>,
    parts: Vec<usize>,
}

impl Profile {
    /// A plan as text, and of each run what each step took.
    pub(super) fn new(plan: String, runs: &[Vec<StepProfile>]) -> Profile {
        let count = runs.iter().map(Vec::len).min().unwrap_or(0);
        let middle = |step: usize| {
            let took = runs.iter().filter_map(|run| run.get(step));
            let mut times: Vec<Duration> = took.map(|step| step.time).collect();
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        // All runs cut their work alike.
        let cut = runs.first().into_iter().flatten();
        Profile {
            plan,
            steps: (0..count).map(middle).collect(),
            parts: cut.map(|step| step.parts).collect(),
        }
    }

    /// The time of each step, in the order of the plan.
    pub fn steps(&self) -> &[Duration] {
        &self.steps
    }

    /// The most parts in which each step cut a piece of its work, for as many threads as take some; 1 where
    /// one thread did all of it.
    pub fn parts(&self) -> &[usize] {
        &self.parts
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
        let mut steps = self.steps.iter().zip(&self.parts);
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
                Some((time, 1)) => writeln!(f, "{:10.2} {line}", micros(*time))?,
                Some((time, parts)) => writeln!(f, "{:10.2} {line}, {parts} parts", micros(*time))?,
                None => writeln!(f, "{:10} {line}", "")?,
            }
        }
        Ok(())
    }
}
