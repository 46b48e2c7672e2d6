//! Plans what to store and what to recompute for training graphs from files, with the planner that
//! compiles programs, or places buffers of fixed lifetimes; checks what comes out, and prints it. Or
//! measures the memory and the time of networks within budgets.
//!
//! Exit status: 0, 1 (a file could not be read, or a check failed) or 2 (usage).

mod budgets;
mod error;
mod graph;
mod measure;
mod networks;
mod offsets;
mod options;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Clap ends the process with status 2 when the command line is wrong.
    let options = options::Options::parse();
    let outcome = match (&options.offsets, &options.measure) {
        (Some(files), _) => offsets::all(files, &options),
        (_, Some(names)) => match (options.one, &names[..], &options.budgets[..]) {
            (true, [name], [budget]) => measure::one(name, *budget).map(|()| true),
            _ => measure::all(names, &options),
        },
        _ => budgets::all(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("remat: {e}");
            ExitCode::FAILURE
        }
    }
}
