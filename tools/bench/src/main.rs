//! Measures derivatives of fixed workloads, each written as a user of the library writes it, checks
//! what they give, and compares their speed with other tools ("peers") where those are installed.
//!
//! A workload runs in a process of its own, so that its memory is its own; peers run in processes
//! beside it, in alternation: a burst of calls here, a burst there, and the ratio is taken pair by
//! pair. Exit status: 0, 1 (a workload failed or gave something else than it should) or 2 (usage).

/// Prints a line; where nobody reads any more the program ends, as others in a pipe do.
macro_rules! say {
    ($($text:tt)*) => {
        if std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*))).is_err() {
            std::process::exit(1);
        }
    };
}

mod check;
mod compare;
mod error;
mod expected;
mod inputs;
mod instructions;
mod job;
mod machine;
mod options;
mod peers;
mod process;
mod random;
mod report;
mod timing;
mod worker;
mod workloads;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == worker::FLAG) {
        return worker::main(arguments);
    }
    // Clap ends the process with status 2 when the command line is wrong.
    match compare::all(&options::Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}
