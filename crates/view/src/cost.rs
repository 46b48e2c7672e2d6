//! Where the time of a run goes, and what the machine could do.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cotangent_array::Array;
use cotangent_cpu::Program;
use cotangent_graph::parse;

use crate::ViewError;
use crate::memory::label;
use crate::model::{Cost, CostStep};

/// Runs are measured until this much time has gone by, or this many were.
const TIME: Duration = Duration::from_millis(300);
const RUNS: usize = 200;
/// Matrices of this size run near the most that a core can do.
const MATRIX: usize = 384;
/// So many numbers are far more than what caches hold.
const STREAM: usize = 6 << 20;

/// Runs a program several times and says what each step took, in the median.
///
/// # Errors
/// Those of a run.
pub fn cost(program: &Program, inputs: &[Array]) -> Result<Cost, ViewError> {
    let plan = program.plan();
    // The first run touches memory for the first time.
    program.run(inputs)?;
    let begin = Instant::now();
    let mut runs: Vec<Vec<Duration>> = Vec::new();
    while runs.len() < RUNS && (runs.is_empty() || begin.elapsed() < TIME) {
        let (_, steps) = program.profile(inputs)?;
        runs.push(steps.iter().map(|step| step.time).collect());
    }
    let median = |mut times: Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(0.0)
    };
    let steps = plan.steps.iter().enumerate().map(|(i, step)| {
        let times = runs.iter().filter_map(|run| run.get(i));
        CostStep {
            label: label(step),
            kind: step.op.name().to_owned(),
            operations: step.cost(),
            bytes: step.bytes(),
            seconds: median(times.map(Duration::as_secs_f64).collect()),
            place: step.location.map(|l| l.to_string()),
        }
    });
    let whole = runs
        .iter()
        .map(|run| run.iter().sum::<Duration>().as_secs_f64());
    let (peak_operations, peak_bytes) = *machine()?;
    Ok(Cost {
        machine: name(),
        peak_operations,
        peak_bytes,
        seconds: median(whole.collect()),
        runs: runs.len(),
        steps: steps.collect(),
    })
}

/// Operations and bytes a second that one core of this machine reaches, measured once.
fn machine() -> Result<&'static (f64, f64), ViewError> {
    static MEASURED: OnceLock<(f64, f64)> = OnceLock::new();
    if let Some(known) = MEASURED.get() {
        return Ok(known);
    }
    let one = |text: String, inputs: &[Array]| -> Result<f64, ViewError> {
        let graph = parse(&text)?.entry().clone();
        fastest(&cotangent_cpu::compile(&graph)?, inputs)
    };
    let x = Array::full([MATRIX, MATRIX], 0.5.into())?;
    let ty = format!("f64[{MATRIX}, {MATRIX}]");
    let product = one(format!("fn product(x: {ty}) -> {ty} {{ x @ x }}"), &[x])?;
    let x = Array::full([STREAM], 0.5.into())?;
    let ty = format!("f64[{STREAM}]");
    let text = format!("fn stream(x: {ty}, y: {ty}) -> {ty} {{ x + y }}");
    let stream = one(text, &[x.clone(), x])?;
    let operations = 2.0 * (MATRIX as f64).powi(3) / product;
    let bytes = 3.0 * 8.0 * STREAM as f64 / stream;
    Ok(MEASURED.get_or_init(|| (operations, bytes)))
}

/// The seconds of the fastest of some runs that write to the same memory.
fn fastest(program: &Program, inputs: &[Array]) -> Result<f64, ViewError> {
    let mut outputs = program.run(inputs)?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begin = Instant::now();
        program.run_into(inputs, &mut outputs)?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(best.max(1e-9))
}

/// What the system says of the processor.
fn name() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = known.lines().find(|line| line.starts_with("model name"));
    let name = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}
