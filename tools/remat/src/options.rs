//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Plans what to store and what to recompute within a budget of bytes.
///
/// For every graph and budget: the extra cost in percent, when the first plan was there, how long it
/// took in all, the peak in bytes, and whether the checker, which replays the plan, agrees. Exit
/// status: 0, 1 (a file could not be read, or a check failed) or 2 (usage).
#[derive(Debug, Parser)]
#[command(name = "remat", max_term_width = 100)]
pub struct Options {
    /// Graphs: JSON with "bytes", "cost", "backward" per node and "edges" [from, to]
    #[arg(value_name = "FILE.json", required_unless_present_any = ["offsets", "measure"])]
    pub graphs: Vec<PathBuf>,

    /// A budget as a fraction of the peak without recomputation [default: 0.95, 0.9, ... 0.2]
    #[arg(long = "budget", value_name = "FRACTION", value_parser = fraction)]
    pub budgets: Vec<f64>,

    /// Place buffers instead: CSV with id, first step, last step (exclusive), size; and the bytes
    #[arg(long, num_args = 2, value_names = ["FILE.csv", "CAPACITY"], conflicts_with_all = ["graphs", "budgets"])]
    pub offsets: Option<Vec<String>>,

    /// Measure networks instead, all or those named: memory of the process and time, within budgets
    /// of 1, 0.5 and 0.25 unless told otherwise, beside what the plan says
    #[arg(long, num_args = 0.., value_name = "NETWORK", conflicts_with_all = ["graphs", "offsets"])]
    pub measure: Option<Vec<String>>,

    /// Measure one network in this process
    #[arg(long, hide = true, requires = "measure")]
    pub one: bool,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,

    /// Seconds to look for one plan, at most [default: 10, above 400 nodes 4.5, with --offsets 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time: Option<Duration>,

    /// How many times a plan is taken apart and put together again without gain before the search ends; with
    /// --offsets how many partial placements are looked at, at most [default: 40000, without end]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,

    /// Where the random numbers start
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(f) if f.is_finite() && f >= 0.0 => Ok(f),
        _ => Err("expected a number that is not negative".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = fraction(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}
