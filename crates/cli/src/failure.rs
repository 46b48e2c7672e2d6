//! Why a command did not do what was asked.

use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The thing asked for failed: status 1.
    Failed(String),
    /// The command line is wrong in a way that only the command itself can tell: status 2.
    Usage(String),
    /// Whoever reads the output has gone away, as `head` does: nothing to report.
    Closed,
}

impl Failure {
    /// Says why on standard error; the exit status.
    pub fn report(self) -> ExitCode {
        match self {
            Failure::Failed(message) => {
                eprintln!("error: {message}");
                ExitCode::from(1)
            }
            Failure::Usage(message) => {
                eprintln!("error: {message}\n\nFor more information, try '--help'.");
                ExitCode::from(2)
            }
            Failure::Closed => ExitCode::SUCCESS,
        }
    }
}

/// Any error is a failure of the thing asked for.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Failed(error.to_string())
    }
}

/// A failure of the thing asked for, with this message.
pub fn failed<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Failed(message.into()))
}

/// A wrong command line.
pub fn usage<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(message.into()))
}
