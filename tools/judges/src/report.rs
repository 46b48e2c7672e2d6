//! What is printed.

use std::collections::BTreeMap;

use crate::judge::Verdict;
use crate::map;
use crate::sample::Sample;

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: Vec<String>,
    skipped: BTreeMap<String, usize>,
}

/// Verdicts by operator.
pub struct Report {
    verbose: bool,
    operators: BTreeMap<String, Counts>,
}

impl Report {
    pub fn new(verbose: bool) -> Report {
        Report {
            verbose,
            operators: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, sample: &Sample, verdict: Verdict) {
        if self.verbose {
            let text = match &verdict {
                Verdict::Passed(worst) => format!("passed, worst error {worst:.1e}"),
                Verdict::Failed(why) => format!("FAILED: {why}"),
                Verdict::Skipped(why) => format!("skipped: {why}"),
            };
            println!("{} #{}: {text}", sample.name(), sample.number);
        }
        let counts = self.operators.entry(sample.name()).or_default();
        match verdict {
            Verdict::Passed(_) => counts.passed += 1,
            Verdict::Failed(why) => counts.failed.push(format!("#{}: {why}", sample.number)),
            Verdict::Skipped(why) => *counts.skipped.entry(why).or_default() += 1,
        }
    }

    pub fn failed(&self) -> usize {
        self.operators.values().map(|c| c.failed.len()).sum()
    }

    /// Operators that passed whole, then those that did not with the reasons, then the sums.
    pub fn print(&self) {
        let (mut passed, mut skipped) = (0, 0);
        for (name, counts) in &self.operators {
            let skips: usize = counts.skipped.values().sum();
            passed += counts.passed;
            skipped += skips;
            let mut line = format!("{name}: {} passed", counts.passed);
            if !counts.failed.is_empty() {
                line.push_str(&format!(", {} FAILED", counts.failed.len()));
            }
            if skips > 0 {
                line.push_str(&format!(", {skips} not mapped"));
            }
            println!("{line}");
            for why in &counts.failed {
                println!("    {why}");
            }
            for (why, count) in &counts.skipped {
                println!("    not mapped ({count}): {why}");
            }
        }
        println!();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for counts in self.operators.values() {
            for (why, count) in &counts.skipped {
                *reasons.entry(why).or_default() += count;
            }
        }
        for (why, count) in &reasons {
            println!("{count} skipped: {why}");
        }
        println!(
            "{passed} passed, {} failed, {skipped} skipped",
            self.failed()
        );
    }
}

/// Prints which operators are mapped and why others are not.
pub fn list(samples: &[Sample]) {
    let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
    for sample in samples {
        *operators.entry(&sample.op).or_default() += 1;
    }
    let mapped = operators
        .keys()
        .filter(|op| map::find(op).is_some())
        .count();
    for (op, count) in &operators {
        match map::find(op) {
            Some(_) => println!("{op}: mapped ({count} samples)"),
            None => println!("{op}: not mapped ({count} samples): {}", map::reason(op)),
        }
    }
    println!("{mapped} of {} operators mapped", operators.len());
}
