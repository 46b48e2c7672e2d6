//! The plan of a derivative, with the time that each step takes.

use std::io::Write;
use std::time::{Duration, Instant};

use cotangent_cpu::Program;

use crate::error::BenchError;
use crate::timing::median;
use crate::workloads::{Scale, Workload};

/// Runs are measured until this much time has gone by, or this many were.
const TIME: Duration = Duration::from_secs(1);
const RUNS: usize = 1000;

/// Prints the plan of a workload's derivative, each step behind its time in microseconds. Loops and calls
/// count with all that they run.
pub fn print(workload: &Workload, scale: Scale) -> Result<(), BenchError> {
    let inputs = workload.inputs(scale)?;
    let built = (workload.job)(&inputs)?.build()?;
    let program = cotangent_cpu::compile(built.traced.graph())?;
    let times = times(&program, &built.inputs)?;
    let plan = program.plan();
    let mut steps = times.iter();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}: {:.1} us",
        workload.name,
        times.iter().sum::<f64>()
    )?;
    let text = plan.to_string();
    // Plans that are called stand before the plan itself.
    let own = text.rfind("\nplan ").map_or(0, |at| at + 1);
    let (called, own) = text.split_at(own);
    for line in called.lines() {
        writeln!(out, "{:10} {line}", "")?;
    }
    for line in own.lines() {
        // A step begins in the fifth column; what it consists of stands further in. Constants are none.
        let begins = line.strip_prefix("    ");
        let begins = begins.is_some_and(|rest| !rest.starts_with([' ', '/']));
        let begins = begins && !line.contains(" = constant, ");
        match begins.then(|| steps.next()).flatten() {
            Some(time) => writeln!(out, "{time:10.2} {line}")?,
            None => writeln!(out, "{:10} {line}", "")?,
        }
    }
    Ok(())
}

/// For each step the median of its times, in microseconds.
fn times(program: &Program, inputs: &[cotangent::Array]) -> Result<Vec<f64>, BenchError> {
    // The first run touches memory for the first time.
    program.run(inputs)?;
    let mut runs = Vec::new();
    let begin = Instant::now();
    while runs.len() < RUNS && (runs.is_empty() || begin.elapsed() < TIME) {
        runs.push(program.profile(inputs)?.1);
    }
    let steps = 0..program.plan().steps.len();
    let of = |i: usize| {
        let times = runs.iter().filter_map(|run| run.get(i));
        median(
            &times
                .map(|time| time.as_secs_f64() * 1e6)
                .collect::<Vec<_>>(),
        )
    };
    Ok(steps.map(of).collect())
}
