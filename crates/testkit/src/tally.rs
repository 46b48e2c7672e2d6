//! What a run of random graphs met.

use std::collections::BTreeMap;
use std::fmt;

use crate::samples;

/// Counts of a run: graphs, operations met, checks made and samples set aside.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Graphs that passed every check.
    pub graphs: usize,
    /// How many of them were checked for derivatives.
    pub smooth: usize,
    /// Samples moved because a decision stood within the noise.
    pub redrawn: usize,
    /// Graphs dropped because every sample of them was redrawn.
    pub dropped: usize,
    /// Comparisons with differences whose two steps did not agree well enough to say anything.
    pub inconclusive: usize,
    /// Comparisons with differences.
    pub differences: usize,
    /// How many graphs met each operation.
    pub met: BTreeMap<String, usize>,
    /// How often each check was made.
    pub checks: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts a check.
    pub fn count(&mut self, check: &str) {
        *self.checks.entry(check.to_owned()).or_default() += 1;
    }

    /// Adds the counts of another part of the run.
    pub fn add(&mut self, other: Tally) {
        self.graphs += other.graphs;
        self.smooth += other.smooth;
        self.redrawn += other.redrawn;
        self.dropped += other.dropped;
        self.inconclusive += other.inconclusive;
        self.differences += other.differences;
        for (name, count) in other.met {
            *self.met.entry(name).or_default() += count;
        }
        for (name, count) in other.checks {
            *self.checks.entry(name).or_default() += count;
        }
    }

    /// The operations that no graph met.
    pub fn unmet(&self) -> Vec<&'static str> {
        samples::names()
            .into_iter()
            .filter(|n| !self.met.contains_key(*n))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} graphs ({} differentiated), {} samples redrawn, {} graphs dropped",
            self.graphs, self.smooth, self.redrawn, self.dropped
        )?;
        writeln!(
            f,
            "{} comparisons with differences, {} of them inconclusive",
            self.differences, self.inconclusive
        )?;
        writeln!(f, "checks made:")?;
        for (name, count) in &self.checks {
            writeln!(f, "  {name:<34}{count:>8}")?;
        }
        writeln!(f, "graphs that met each operation:")?;
        for row in samples::names().chunks(4) {
            for name in row {
                let count = self.met.get(*name).copied().unwrap_or(0);
                write!(f, "  {name:<16}{count:>6}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
