//! Measures workloads, each beside the peers.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::check::{Digest, tolerance};
use crate::error::BenchError;
use crate::options::Options;
use crate::process::{Next, Session};
use crate::report::{PeerRow, Report, Row};
use crate::timing::median;
use crate::workloads::{ALL, Scale, Workload, find};
use crate::{expected, instructions, peers, worker};

/// After this time a slow comparison ends, with at least so many rounds.
const ENOUGH: (Duration, usize) = (Duration::from_secs(40), 3);

/// Measures what was asked for and prints it. Whether all of it was right.
pub fn all(options: &Options) -> Result<bool, BenchError> {
    if options.instructions {
        return instructions::compare(&options.workloads);
    }
    let named = options.workloads.iter().filter_map(|name| find(name));
    let mut workloads: Vec<&Workload> = named.collect();
    if workloads.is_empty() {
        workloads.extend(ALL);
    }
    let scales: &[Scale] = match options.odd {
        true => &[Scale::Usual, Scale::Odd],
        false => &[Scale::Usual],
    };
    let mut right = true;
    if options.steps {
        for workload in workloads {
            for scale in scales {
                let source = Source::of(workload, *scale, options)?;
                let mut command = ours(workload, *scale, &source, options)?;
                right &= command.arg("--steps").status()?.success();
            }
        }
        return Ok(right);
    }
    let mut report = Report::new(options);
    report.begin();
    for workload in workloads {
        for scale in scales {
            match one(workload, *scale, options) {
                Ok(row) => {
                    right &= row.wrong.is_empty();
                    report.row(&row);
                }
                Err(e) => {
                    right = false;
                    report.failure(workload.name, &e);
                }
            }
        }
    }
    report.end();
    Ok(right)
}

/// Where inputs come from.
struct Source {
    /// A word for it.
    label: &'static str,
    /// The folder with the file; the worker makes its own where there is none.
    folder: Option<PathBuf>,
    /// Removes what was written there.
    _written: Option<TempDir>,
}

impl Source {
    fn of(workload: &Workload, scale: Scale, options: &Options) -> Result<Source, BenchError> {
        let file = format!("{}.npz", workload.name);
        let found = |label, folder: PathBuf| {
            let there = folder.join(&file).is_file();
            there.then_some(Source {
                label,
                folder: Some(folder),
                _written: None,
            })
        };
        if scale == Scale::Usual {
            let given = options.data().and_then(|folder| found("data", folder));
            let inputs = options.peers_dir().join("inputs");
            if let Some(source) = given.or_else(|| found("peers", inputs)) {
                return Ok(source);
            }
        }
        if options.peers.is_empty() {
            return Ok(Source {
                label: "made",
                folder: None,
                _written: None,
            });
        }
        // Both sides get the same file.
        let written = tempfile::tempdir()?;
        let folder = written.path().to_owned();
        let dumped = scale == Scale::Usual && peers::dump(workload, &folder, options).is_ok();
        if !dumped {
            workload.inputs(scale)?.write(&folder.join(&file))?;
        }
        Ok(Source {
            label: if dumped { "peers" } else { "made" },
            folder: Some(folder),
            _written: Some(written),
        })
    }
}

/// One of the processes and what was measured.
struct Lane {
    name: String,
    session: Session,
    derivative: Vec<f64>,
    primal: Vec<f64>,
    done: Value,
}

impl Lane {
    fn new(name: &str, session: Session) -> Lane {
        Lane {
            name: name.to_owned(),
            session,
            derivative: Vec::new(),
            primal: Vec::new(),
            done: Value::Null,
        }
    }
}

fn one(workload: &Workload, scale: Scale, options: &Options) -> Result<Row, BenchError> {
    let source = Source::of(workload, scale, options)?;
    let command = ours(workload, scale, &source, options)?;
    let mut ours = Lane::new("cotangent", Session::start(workload.name, command)?);
    let mut skipped = Vec::new();
    let mut lanes: Vec<Lane> = Vec::new();
    for peer in &options.peers {
        let fixed = workload
            .fixed
            .filter(|(name, _)| name == peer && scale == Scale::Odd);
        let started = match (fixed, &source.folder) {
            (Some((_, why)), _) => Err(BenchError::process(peer, why)),
            (None, Some(folder)) => peers::start(peer, workload, folder, options),
            (None, None) => Err(BenchError::process(peer, "has no inputs")),
        };
        match started {
            Ok(session) => lanes.push(Lane::new(peer, session)),
            Err(e) => skipped.push((peer.clone(), without_name(&e))),
        }
    }
    let rounds = options.rounds.get();
    let mut fail = |name: &str, e: &BenchError| skipped.push((name.to_owned(), without_name(e)));
    alternate(&mut ours, &mut lanes, rounds, options, &mut fail, |lane| {
        &mut lane.derivative
    })?;
    go_on(&mut ours, &mut lanes, &mut fail)?;
    let rounds = rounds.div_ceil(2);
    alternate(&mut ours, &mut lanes, rounds, options, &mut fail, |lane| {
        &mut lane.primal
    })?;
    go_on(&mut ours, &mut lanes, &mut fail)?;
    row(workload, scale, source.label, &ours, &lanes, skipped)
}

/// Our own process.
fn ours(
    workload: &Workload,
    scale: Scale,
    source: &Source,
    options: &Options,
) -> Result<Command, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([worker::FLAG, workload.name, "--threads"]);
    command.arg(options.threads.to_string());
    command.env("COTANGENT_THREADS", options.threads.to_string());
    match &source.folder {
        Some(folder) => {
            command.arg("--file");
            command.arg(folder.join(format!("{}.npz", workload.name)));
        }
        None if scale == Scale::Odd => {
            command.arg("--odd");
        }
        None => {}
    }
    peers::environment(&mut command, options);
    Ok(command)
}

/// Measures all processes in turn, round by round, every other round backwards: what changes slowly on
/// the machine meets all of them alike. A peer that fails is left out.
fn alternate(
    ours: &mut Lane,
    lanes: &mut Vec<Lane>,
    rounds: usize,
    options: &Options,
    fail: &mut dyn FnMut(&str, &BenchError),
    times: impl Fn(&mut Lane) -> &mut Vec<f64>,
) -> Result<(), BenchError> {
    let seconds = options.seconds / rounds as f64;
    let start = Instant::now();
    for round in 0..rounds {
        if round >= ENOUGH.1 && start.elapsed() > ENOUGH.0 {
            break;
        }
        let forward = round % 2 == 0;
        let mine = |ours: &mut Lane| -> Result<(), BenchError> {
            let found = ours.session.burst(seconds)?;
            times(ours).push(found);
            Ok(())
        };
        if forward {
            mine(ours)?;
        }
        let mut turn = |lane: &mut Lane| match lane.session.burst(seconds) {
            Ok(found) => {
                times(lane).push(found);
                true
            }
            Err(e) => {
                fail(&lane.name, &e);
                false
            }
        };
        if forward {
            lanes.retain_mut(&mut turn);
        } else {
            lanes.reverse();
            lanes.retain_mut(&mut turn);
            lanes.reverse();
            mine(ours)?;
        }
    }
    Ok(())
}

/// Tells all processes to go on.
fn go_on(
    ours: &mut Lane,
    lanes: &mut Vec<Lane>,
    fail: &mut dyn FnMut(&str, &BenchError),
) -> Result<(), BenchError> {
    if let Next::Done(done) = ours.session.go_on()? {
        ours.done = done;
    }
    lanes.retain_mut(|lane| match lane.session.go_on() {
        Ok(Next::Phase) => true,
        Ok(Next::Done(done)) => {
            lane.done = done;
            true
        }
        Err(e) => {
            fail(&lane.name, &e);
            false
        }
    });
    Ok(())
}

/// What was found, and what is wrong with it.
fn row(
    workload: &Workload,
    scale: Scale,
    inputs: &'static str,
    ours: &Lane,
    lanes: &[Lane],
    skipped: Vec<(String, String)>,
) -> Result<Row, BenchError> {
    let digest = Digest::read(&ours.done);
    let digest = digest.ok_or_else(|| BenchError::results("a value and a gradient", "NaN"))?;
    let text = |name: &str| {
        ours.done
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let dtype = match text("dtype") {
        "f32" => cotangent::DType::F32,
        _ => cotangent::DType::F64,
    };
    let tolerance = tolerance(dtype);
    let mut checked = Vec::new();
    let mut wrong = Vec::new();
    let mut check = |reference: &Digest, of: &str| match digest.expect(reference, of, tolerance) {
        Ok(()) => checked.push(of.to_owned()),
        Err(message) => wrong.push(message),
    };
    if let Some(recorded) = expected::find(workload.name, text("fingerprint")) {
        check(&recorded, "recorded");
    }
    let mut rows = Vec::new();
    for lane in lanes {
        if let Some(theirs) = Digest::read(&lane.done) {
            check(&theirs, &lane.name);
        }
        let pairs = ours.derivative.iter().zip(&lane.derivative);
        let ratios: Vec<f64> = pairs.map(|(a, b)| a / b).collect();
        let version = lane.done.get("version").and_then(Value::as_str);
        rows.push(PeerRow {
            name: lane.name.clone(),
            grad_ms: median(&lane.derivative) * 1e3,
            primal_ms: median(&lane.primal) * 1e3,
            ratio: median(&ratios),
            version: version.unwrap_or_default().to_owned(),
            digest: Digest::read(&lane.done),
        });
    }
    Ok(Row {
        workload: workload.name,
        title: workload.title,
        odd: scale == Scale::Odd,
        inputs,
        grad_ms: median(&ours.derivative) * 1e3,
        primal_ms: median(&ours.primal) * 1e3,
        done: ours.done.clone(),
        checked,
        wrong,
        peers: rows,
        skipped,
    })
}

/// The message of an error of a process whose name stands beside it.
fn without_name(e: &BenchError) -> String {
    match e {
        BenchError::Process { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
