//! Errors of this tool.

use std::path::PathBuf;

use cotangent_compile::remat::ProblemError;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It is no graph.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// What it says does not hold together.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The graph is no problem for the planner.
    #[error("{}: {source}", path.display())]
    Problem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ProblemError,
    },
    /// This program could not run itself again.
    #[error("cannot run this program again: {0}")]
    Child(std::io::Error),
    /// A row could not be printed.
    #[error("cannot print: {0}")]
    Print(serde_json::Error),
    /// A network could not be measured.
    #[error("{0}")]
    Measure(String),
    /// The capacity is no number.
    #[error("capacity `{0}`: expected a number of bytes")]
    Capacity(String),
}
