//! Counts the instructions of a call, which no other work on the machine changes: what was counted before is
//! kept, and a call that takes clearly more is a regression.
//!
//! A worker runs under callgrind twice, with more calls the second time; the difference is what the calls
//! took. Valgrind shows programs a machine with AVX2, so counts are the same on all machines that have it, for
//! one version of the compiler.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::BenchError;
use crate::worker;

/// What is counted: programs whose calls are short enough to run slowly.
const CHOSEN: [&str; 6] = ["W3", "W6", "W9a", "W9b", "W9c", "W9d"];
/// So many calls more the second time.
const CALLS: u64 = 8;
/// A count may be so much higher than the kept one, in percent: other versions of the compiler.
const MARGIN: u64 = 5;

/// Prints the counts beside those that are kept. Whether none is higher; with `BLESS=1` they are kept.
pub fn compare(wanted: &[String]) -> Result<bool, BenchError> {
    if let Some(other) = wanted.iter().find(|w| !CHOSEN.contains(&w.as_str())) {
        let counted = format!("one of {}", CHOSEN.join(" "));
        return Err(BenchError::input("WORKLOAD", counted, other));
    }
    let path = kept_path();
    let mut kept = parse(&std::fs::read_to_string(&path)?)?;
    let chosen = CHOSEN
        .iter()
        .filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == *name));
    let mut right = true;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:<9} {:>12} {:>12} {:>6}",
        "workload", "instructions", "kept", "ratio"
    )?;
    for name in chosen {
        let found = count(name)?;
        let known = kept.get(*name).copied();
        let ratio = known.map(|known| found as f64 / known.max(1) as f64);
        let higher = known.is_none_or(|known| found * 100 > known * (100 + MARGIN));
        right &= !higher;
        writeln!(
            out,
            "{name:<9} {found:>12} {:>12} {:>6}{}",
            known.map_or("-".to_owned(), |known| known.to_string()),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
            if higher { "  higher" } else { "" }
        )?;
        kept.insert((*name).to_owned(), found);
    }
    if std::env::var_os("BLESS").is_some() {
        let lines = kept.iter().map(|(name, count)| format!("{name} {count}\n"));
        std::fs::write(&path, lines.collect::<String>())?;
        return Ok(true);
    }
    Ok(right)
}

fn kept_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

/// Lines of a workload and a count.
fn parse(text: &str) -> Result<BTreeMap<String, u64>, BenchError> {
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    let wrong = |text: &str| BenchError::input("instructions.txt", "`WORKLOAD COUNT`", text);
    text.lines()
        .map(|l| line(l).ok_or_else(|| wrong(l)))
        .collect()
}

/// Instructions of one call of a workload's derivative.
fn count(workload: &str) -> Result<u64, BenchError> {
    let (few, many) = (1, 1 + CALLS);
    let difference = all(workload, many)?.saturating_sub(all(workload, few)?);
    Ok(difference / CALLS)
}

/// Instructions of a worker that makes so many calls.
fn all(workload: &str, calls: u64) -> Result<u64, BenchError> {
    let mut process = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([worker::FLAG, workload, "--threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| BenchError::process("valgrind", e.to_string()))?;
    if let Some(mut input) = process.stdin.take() {
        writeln!(input, "calls {calls}\nnext\nnext")?;
    }
    let output = process.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    // The last line is `==PID== Collected : COUNT`.
    let collected = text
        .lines()
        .rev()
        .find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    match (output.status.success(), count) {
        (true, Some(count)) => Ok(count),
        _ => Err(BenchError::process("valgrind", text.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHOSEN, compare, kept_path, parse};

    #[test]
    fn a_count_is_kept_for_each_workload() {
        let kept = parse(&std::fs::read_to_string(kept_path()).unwrap()).unwrap();
        assert!(kept.keys().map(String::as_str).eq(CHOSEN));
        assert!(kept.values().all(|count| *count > 0));
        assert!(parse("W3 many").is_err());
        assert!(compare(&["W1".to_owned()]).is_err());
    }
}
