//! Speaks the GradBench protocol on standard input and output.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match gradbench::talk(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("gradbench: {e}");
            ExitCode::FAILURE
        }
    }
}
