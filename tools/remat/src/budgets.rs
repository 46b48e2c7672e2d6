//! Plans graphs within budgets.

use std::io::Write;
use std::time::{Duration, Instant};

use cotangent_compile::remat::{self, Problem};
use serde::Serialize;

use crate::error::Error;
use crate::graph;
use crate::options::Options;

/// One graph within one budget, as it is printed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    graph: &'a str,
    nodes: usize,
    budget: f64,
    budget_bytes: u64,
    overhead_pct: Option<f64>,
    first_feasible_s: Option<f64>,
    seconds: f64,
    peak: Option<u64>,
    reruns: Option<usize>,
    /// Whether the replay gives what the plan claims; `None` where there is no plan.
    checked: Option<bool>,
    error: Option<String>,
}

/// After how many steps without an improvement the search ends where nothing is said.
const STEPS: u64 = 40_000;

/// The time for one plan where nothing is said: less for graphs of more nodes than `SMALL`, where
/// every step counts for less.
const TIME: Duration = Duration::from_secs(10);
const TIME_OF_LARGE: Duration = Duration::from_millis(4500);
const SMALL: usize = 400;

/// Plans every graph within every budget; whether all that was planned is right.
pub fn all(options: &Options) -> Result<bool, Error> {
    let standard: Vec<f64> = (4..20).rev().map(|i| f64::from(i * 5) / 100.0).collect();
    let budgets = match options.budgets.is_empty() {
        true => &standard,
        false => &options.budgets,
    };
    let settings = remat::Options {
        seed: options.seed,
        steps: options.steps.unwrap_or(STEPS),
        time: options.time,
    };
    if !options.json {
        line(&format!(
            "{:<20} {:>6} {:>6} {:>9} {:>8} {:>8} {:>16} {:>7}  check",
            "graph", "nodes", "budget", "overhead", "first s", "seconds", "peak", "reruns"
        ));
    }
    let mut right = true;
    for path in &options.graphs {
        let (name, problem) = graph::read(path)?;
        for &fraction in budgets {
            let row = row(&name, &problem, fraction, &settings);
            right &= row.checked != Some(false);
            match options.json {
                true => line(&serde_json::to_string(&row).unwrap_or_default()),
                false => line(&row.text()),
            }
        }
    }
    Ok(right)
}

fn row<'a>(graph: &'a str, problem: &Problem, fraction: f64, settings: &remat::Options) -> Row<'a> {
    let budget = (fraction * problem.base_peak() as f64).ceil() as u64;
    let began = Instant::now();
    let time = match problem.steps().len() <= SMALL {
        true => TIME,
        false => TIME_OF_LARGE,
    };
    let settings = remat::Options {
        time: Some(settings.time.unwrap_or(time)),
        ..*settings
    };
    let found = remat::plan(problem, budget, &settings);
    let mut row = Row {
        graph,
        nodes: problem.steps().len(),
        budget: fraction,
        budget_bytes: budget,
        overhead_pct: None,
        first_feasible_s: None,
        seconds: began.elapsed().as_secs_f64(),
        peak: None,
        reruns: None,
        checked: None,
        error: None,
    };
    match found {
        Ok(schedule) => {
            let base = problem.cost();
            let extra = schedule.cost.saturating_sub(base.into()) as f64;
            let percent = if extra > 0.0 {
                100.0 * extra / base as f64
            } else {
                0.0
            };
            row.overhead_pct = Some(percent);
            row.first_feasible_s = Some(schedule.first.as_secs_f64());
            row.peak = Some(schedule.peak);
            row.reruns = Some(schedule.reruns);
            let checked = schedule.check(problem, budget);
            row.checked = Some(checked.is_ok());
            row.error = checked.err().map(|e| e.to_string());
        }
        Err(e) => row.error = Some(e.to_string()),
    }
    row
}

impl Row<'_> {
    fn text(&self) -> String {
        let checked = match (self.checked, &self.error) {
            (Some(true), _) => "ok",
            (_, Some(error)) => error,
            _ => "",
        };
        let start = format!("{:<20} {:>6} {:>6}", self.graph, self.nodes, self.budget);
        match (
            self.overhead_pct,
            self.first_feasible_s,
            self.peak,
            self.reruns,
        ) {
            (Some(overhead), Some(first), Some(peak), Some(reruns)) => format!(
                "{start} {overhead:>8.3}% {first:>8.3} {:>8.3} {peak:>16} {reruns:>7}  {checked}",
                self.seconds
            ),
            _ => format!(
                "{start} {:>9} {:>8} {:>8.3} {:>16} {:>7}  {checked}",
                "none", "", self.seconds, "", ""
            ),
        }
    }
}

/// Prints a line at once; one who stops reading ends the program quietly.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
