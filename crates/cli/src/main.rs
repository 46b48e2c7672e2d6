//! The command `cotangent`: trains models, and runs, derives, shows and checks graphs in text files.
//!
//! Exit status: 0 when the thing asked for was done, 1 when it failed (the message is on standard error and no file
//! is half-written), 2 when the command line is wrong.

mod check;
mod costs;
mod curve;
mod derive;
mod explore;
mod failure;
mod files;
mod graphs;
mod run;
mod show;
mod size;
mod train;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Trains models, and runs, derives, shows and checks graphs in text files.
#[derive(Debug, Parser)]
#[command(name = "cotangent", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Args),
    Run(run::Args),
    Derive(derive::Args),
    Show(show::Args),
    Check(check::Args),
    Explore(explore::Args),
}

fn main() -> ExitCode {
    // Clap ends the process with status 2 when the command line is wrong.
    let result: Result<(), failure::Failure> = match Cli::parse().command {
        Command::Train(args) => train::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Derive(args) => derive::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explore(args) => explore::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
