//! The process that runs one workload. It measures when it is told to, in lines on standard input:
//! `burst SECONDS`, `calls COUNT` and `next`, first for the derivative, then for the function. It answers in JSON
//! lines, as the driver of the peers does.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};

use crate::check::{Digest, scalar, sum_of_squares};
use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::{Built, Kind};
use crate::machine;
use crate::timing::burst;
use crate::workloads::{self, Scale};

/// The runs of which steps are timed take about so long, but are at most so many.
const STEPS_TIME: Duration = Duration::from_secs(1);
const STEPS_RUNS: u128 = 1000;

/// The first argument of such a process.
pub const FLAG: &str = "--worker";

#[derive(Debug, Parser)]
struct Args {
    workload: String,
    /// The inputs; made by the program where no file is named.
    #[arg(long)]
    file: Option<PathBuf>,
    #[arg(long)]
    odd: bool,
    #[arg(long)]
    threads: usize,
    /// Print the plan with the time of each step, and measure nothing else.
    #[arg(long)]
    steps: bool,
}

/// Runs the worker with the arguments after [`FLAG`].
pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let args = Args::parse_from(std::iter::once("bench".into()).chain(arguments));
    let result = serve(&args, io::stdin().lock(), io::stdout().lock());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say!("{}", json!({"error": e.to_string()}));
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args, mut input: impl BufRead, mut output: impl Write) -> Result<(), BenchError> {
    let workload = workloads::find(&args.workload).ok_or_else(|| {
        BenchError::input("WORKLOAD", "the name of a workload", args.workload.clone())
    })?;
    machine::limit_cores(args.threads)?;
    let inputs = match (&args.file, args.odd) {
        (Some(path), _) => Inputs::read(path)?,
        (None, true) => workload.inputs(Scale::Odd)?,
        (None, false) => workload.inputs(Scale::Usual)?,
    };
    let (fingerprint, dtype) = (inputs.fingerprint(), inputs.dtype());
    let job = (workload.job)(&inputs)?;
    drop(inputs);
    if args.steps {
        return steps(workload.name, &job.build()?, &mut output);
    }
    let base = machine::peak_mb();

    let start = Instant::now();
    let mut built = job.build()?;
    let mut results = built.first()?;
    let first = start.elapsed().as_secs_f64();
    let mut digest = Digest::of(job.kind, &built.inputs, &results, f64::NAN)?;
    phase("derivative", &mut input, &mut output, || {
        if let Kind::Step { .. } = job.kind {
            built.advance(&mut results);
        }
        built.run(&mut results)
    })?;
    // Before the function itself takes memory of its own.
    let peak = machine::peak_mb();

    let primal = job.primal.build()?;
    let mut values = primal.first()?;
    if let (Kind::Whole | Kind::Jacobian, Some(first)) = (job.kind, values.first()) {
        digest.value = match job.kind {
            Kind::Jacobian => sum_of_squares(first)?,
            _ => scalar(first)?,
        };
    }
    phase("primal", &mut input, &mut output, || {
        primal.run(&mut values)
    })?;

    let mut done = json!({
        "size": job.size,
        "fingerprint": format!("{fingerprint:016x}"),
        "dtype": dtype.to_string(),
        "operations": built.traced.graph().operation_count(),
        "build_ms": built.times.total_ms(),
        "trace_ms": built.times.trace * 1e3,
        "transform_ms": built.times.transform * 1e3,
        "compile_ms": built.times.compile * 1e3,
        "first_ms": first * 1e3,
        "peak_mb": peak,
        "base_mb": base,
    });
    digest.write(&mut done);
    say(&mut output, &done)
}

/// Prints the plan of the derivative, each step behind its time in microseconds.
fn steps(name: &str, built: &Built, output: &mut impl Write) -> Result<(), BenchError> {
    // The first run touches memory for the first time, the second says how many can be measured.
    built.traced.profile(&built.inputs, 1)?;
    let one = built.traced.profile(&built.inputs, 1)?.total();
    let runs = (STEPS_TIME.as_nanos() / one.as_nanos().max(1)).clamp(1, STEPS_RUNS) as usize;
    let profile = built.traced.profile(&built.inputs, runs)?;
    Ok(write!(output, "{name}:\n{profile}")?)
}

/// Measures calls as often as it is asked to.
fn phase(
    name: &str,
    input: &mut impl BufRead,
    output: &mut impl Write,
    mut call: impl FnMut() -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    say(output, &json!({"phase": name}))?;
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(str::parse::<f64>)) {
            (Some("next"), None) => return Ok(()),
            (Some("burst"), Some(Ok(seconds))) => {
                let seconds = burst(seconds, &mut call)?;
                say(output, &json!({"seconds": seconds}))?;
            }
            (Some("calls"), Some(Ok(count))) => {
                (0..count as u64).try_for_each(|_| call())?;
                say(output, &json!({"calls": count as u64}))?;
            }
            _ => {
                let found = line.trim().to_owned();
                return Err(BenchError::input(
                    "stdin",
                    "`burst SECONDS`, `calls COUNT` or `next`",
                    found,
                ));
            }
        }
    }
}

fn say(output: &mut impl Write, message: &Value) -> Result<(), BenchError> {
    writeln!(output, "{message}")?;
    Ok(output.flush()?)
}

#[cfg(test)]
mod tests {
    use super::{Args, serve};
    use serde_json::Value;

    fn lines(workload: &str, input: &str) -> Vec<Value> {
        let args = Args {
            workload: workload.to_owned(),
            file: None,
            odd: true,
            threads: 64,
            steps: false,
        };
        let mut output = Vec::new();
        if let Err(e) = serve(&args, input.as_bytes(), &mut output) {
            return vec![serde_json::json!({"error": e.to_string()})];
        }
        let text = String::from_utf8(output).unwrap();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    #[test]
    fn a_worker_measures_both_phases_and_tells_all() {
        let found = lines("W9d", "burst 0.01\nburst 0\nnext\nburst 0\nnext\n");
        assert_eq!(found.len(), 6);
        assert_eq!(found[0]["phase"], "derivative");
        assert!(found[1]["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(found[3]["phase"], "primal");
        let done = &found[5];
        assert_eq!(done["size"], "steps=1003");
        for field in ["build_ms", "first_ms", "value", "gnorm"] {
            assert!(done[field].as_f64().unwrap() > 0.0, "{field}: {done}");
        }
        assert!(done["gdot"].is_number(), "{done}");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(
            lines("W9d", "dance\n")[0]["error"]
                .as_str()
                .unwrap()
                .contains("dance")
        );
        assert!(lines("W0", "")[0]["error"].as_str().unwrap().contains("W0"));
    }
}
