//! Measures what a memory budget promises: the memory of a process, and the time of a run.
//!
//! Each network runs in processes of its own, this program again, so that the peak of one does not
//! hide that of another. Memory counts from just before compiling. Times are medians of runs with and
//! without the budget in turn.

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use cotangent::Array;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::networks::{self, Network};
use crate::options::Options;

/// A network within one budget, as it is printed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    network: String,
    budget: f64,
    /// What a run holds, as the plan says.
    stated: usize,
    /// By how much the peak of the process's memory grew; the arguments were there before.
    grown: usize,
    /// The time of a run over that without a budget: as planned, and as measured.
    expected: f64,
    measured: f64,
    /// Whether the gradient has the bits of the one without a budget.
    same: bool,
}

/// The most that the process may grow: what is stated and 5 %, and 4 MiB for the compiler's own.
fn allowed(stated: usize) -> usize {
    stated + stated / 20 + (4 << 20)
}

/// How far the measured slowdown may be from the expected one.
const TOLERANCE: f64 = 0.15;

/// Measures all networks asked for at all budgets; whether everything is as promised.
pub fn all(names: &[String], options: &Options) -> Result<bool, Error> {
    let standard = [1.0, 0.5, 0.25];
    let budgets = match options.budgets.is_empty() {
        true => &standard[..],
        false => &options.budgets,
    };
    let known: Vec<String> = networks::NAMES.map(str::to_owned).to_vec();
    let names = if names.is_empty() { &known } else { names };
    if !options.json {
        say(&format!(
            "{:<12} {:>6} {:>12} {:>12} {:>9} {:>9}  bits",
            "network", "budget", "stated", "grown", "expected", "measured"
        ));
    }
    let mut right = true;
    for name in names {
        for budget in budgets {
            let row: Row = match child(name, *budget) {
                Ok(row) => row,
                Err(error) => {
                    eprintln!("remat: {error}");
                    right = false;
                    continue;
                }
            };
            let near = (row.measured / row.expected - 1.0).abs() <= TOLERANCE;
            right &= row.same && near && row.grown <= allowed(row.stated);
            match options.json {
                true => say(&serde_json::to_string(&row).map_err(Error::Print)?),
                false => say(&format!(
                    "{:<12} {:>6} {:>12} {:>12} {:>9.3} {:>9.3}  {}",
                    row.network,
                    row.budget,
                    row.stated,
                    row.grown,
                    row.expected,
                    row.measured,
                    if row.same { "same" } else { "OTHER" }
                )),
            }
        }
    }
    Ok(right)
}

/// Runs this program again for one network and budget.
fn child(name: &str, budget: f64) -> Result<Row, Error> {
    let program = std::env::current_exe().map_err(Error::Child)?;
    let output = Command::new(program)
        .args(["--measure", name, "--budget", &budget.to_string(), "--one"])
        .output()
        .map_err(Error::Child)?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).map_err(|_| {
        Error::Measure(format!(
            "{name} at {budget}: {}",
            String::from_utf8_lossy(&output.stderr)
                .trim()
                .trim_start_matches("remat: ")
        ))
    })
}

/// One network within one budget, in this process.
pub fn one(name: &str, share: f64) -> Result<(), Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Measure(e.to_string());
    let Network {
        gradient,
        arguments,
    } = networks::of(name)
        .ok_or_else(|| Error::Measure(format!("no network `{name}`: {:?}", networks::NAMES)))?
        .map_err(|e| failed(&e))?;
    // The plan without a budget says what there is to save; nothing of it runs yet.
    let free = {
        let graph = gradient.graph(&arguments).map_err(|e| failed(&e))?;
        let plan = cotangent_compile::compile(&graph, &cotangent_cpu::target());
        plan.map_err(|e| failed(&e))?
    };
    let bytes = (free.memory() as f64 * share) as usize;
    drop(free);
    let within = gradient.clone().with_memory_budget(bytes);
    let before = reset_peak().ok_or_else(|| failed(&"the peak of memory cannot be read"))?;
    let traced = within.trace(&arguments).map_err(|e| failed(&e))?;
    traced.compile().map_err(|e| failed(&e))?;
    let memory = traced.memory().map_err(|e| failed(&e))?;
    let inputs: Vec<Array> = arguments.0.iter().chain([&arguments.1]).cloned().collect();
    let result = traced.run(&inputs).map_err(|e| failed(&e))?;
    let grown = peak().unwrap_or(0).saturating_sub(before);
    let plain = gradient.trace(&arguments).map_err(|e| failed(&e))?;
    let same = plain.run(&inputs).map_err(|e| failed(&e))? == result;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        for (function, times) in [(&traced, &mut with), (&plain, &mut without)] {
            let start = Instant::now();
            function.run(&inputs).map_err(|e| failed(&e))?;
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let row = Row {
        network: name.to_owned(),
        budget: share,
        stated: memory.bytes,
        grown,
        expected: memory.slowdown,
        measured: median(with) / median(without),
        same,
    };
    say(&serde_json::to_string(&row).map_err(Error::Print)?);
    Ok(())
}

/// How often each is timed.
const RUNS: usize = 15;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lets the peak of this process's memory count from now; what it is now, in bytes.
fn reset_peak() -> Option<usize> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    peak()
}

/// The peak of this process's resident memory, in bytes.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

fn say(line: &str) {
    // A closed pipe ends the output, not the program.
    let _ = writeln!(std::io::stdout(), "{line}");
}
