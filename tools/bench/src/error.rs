//! The one error type of this program.

use std::path::PathBuf;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: cotangent::ArrayError,
    },
    #[error("inputs: `{name}`: expected {expected}, found {found}")]
    Input {
        name: String,
        expected: String,
        found: String,
    },
    #[error(transparent)]
    Library(#[from] cotangent::Error),
    #[error(transparent)]
    Run(#[from] cotangent_cpu::RunError),
    #[error(transparent)]
    Array(#[from] cotangent::ArrayError),
    #[error("{who}: {message}")]
    Process { who: String, message: String },
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("results: expected {expected}, found {found}")]
    Results { expected: String, found: String },
}

impl BenchError {
    /// Something that another process said or did.
    pub fn process(who: &str, message: impl Into<String>) -> BenchError {
        BenchError::Process {
            who: who.to_owned(),
            message: message.into(),
        }
    }

    /// An input that is not what was expected.
    pub fn input(name: &str, expected: impl Into<String>, found: impl Into<String>) -> BenchError {
        BenchError::Input {
            name: name.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Results that are not what was expected.
    pub fn results(expected: impl Into<String>, found: impl Into<String>) -> BenchError {
        BenchError::Results {
            expected: expected.into(),
            found: found.into(),
        }
    }
}
