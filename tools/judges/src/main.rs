//! Judges the library by samples of PyTorch's operators: value, vjp, jvp and hvp of each.
//!
//! `judges DIR [--only OP] [--verbose]` compares, `judges DIR --list` prints what is mapped.

mod args;
mod compare;
mod judge;
mod map;
mod report;
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

const USAGE: &str = "usage: judges DIR [--only OP] [--verbose] [--list]

  DIR        a folder with index.jsonl and the npz files that it names
  --only OP  only this operator (`OP` or `OP/VARIANT`)
  --verbose  a line for each sample
  --list     the operators, and for those that are not mapped the reason; compares nothing";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("judges: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut samples = match sample::read_index(&options.folder) {
        Ok(samples) => samples,
        Err(message) => {
            eprintln!("judges: {message}");
            return ExitCode::from(2);
        }
    };
    if let Some(only) = &options.only {
        samples.retain(|s| s.op == *only || s.name() == *only);
    }
    if samples.is_empty() {
        eprintln!("judges: no cases in {}", options.folder.display());
        println!("0 passed, 0 failed, 0 skipped");
        return ExitCode::FAILURE;
    }
    if options.list {
        report::list(&samples);
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new(options.verbose);
    let mut files = sample::Files::new(&options.folder);
    for sample in &samples {
        let verdict = judge::judge(sample, &mut files);
        report.add(sample, verdict);
    }
    report.print();
    if report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Options {
    folder: PathBuf,
    only: Option<String>,
    verbose: bool,
    list: bool,
}

impl Options {
    /// `None` when help is asked for.
    fn parse(args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
        let mut folder = None;
        let mut options = Options {
            folder: PathBuf::new(),
            only: None,
            verbose: false,
            list: false,
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--only" => {
                    options.only = Some(args.next().ok_or("--only needs the name of an operator")?);
                }
                "--verbose" => options.verbose = true,
                "--list" => options.list = true,
                "--help" | "-h" => return Ok(None),
                other if other.starts_with('-') => return Err(format!("unknown option {other}")),
                _ if folder.is_some() => return Err(format!("one folder only, found also {arg}")),
                _ => folder = Some(PathBuf::from(arg)),
            }
        }
        options.folder = folder.ok_or("no folder given")?;
        Ok(Some(options))
    }
}
