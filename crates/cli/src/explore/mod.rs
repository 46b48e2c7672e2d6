//! `cotangent explore`: a page in the browser that differentiates what is typed.

mod answer;
mod expression;
mod server;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use cotangent_view::model::{Question, Refusal};

use crate::failure::{Failure, failed, usage};
use crate::files;
use answer::Limits;

/// Opens a page in the browser on which functions are typed, differentiated, drawn and stepped through.
///
/// The server listens on this machine only, and answers only those who know the address that it prints.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file of functions to begin with.
    #[arg(value_name = "FILE.ct", conflicts_with = "expr")]
    file: Option<PathBuf>,
    /// An expression to begin with, such as 'f(f(f(w)))'. Its variables become inputs; functions that are unknown get a
    /// definition that can be changed.
    #[arg(long, value_name = "EXPRESSION")]
    expr: Option<String>,
    /// The port; any free one if not given.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// The longest that an answer may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// The most memory that an answer may take.
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, default_value = "1GiB")]
    memory: usize,
    /// Reads one question from standard input, and writes the answer to standard output.
    #[arg(long, hide = true)]
    answer: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let limits = Limits {
        time: Duration::from_secs(args.seconds),
        bytes: args.memory,
    };
    if args.answer {
        return answer_one(&limits);
    }
    let text = match (&args.file, &args.expr) {
        (Some(path), _) => files::read_text(path)?,
        (None, Some(expression)) => match expression::function(expression) {
            Ok(text) => text,
            Err(message) => return usage(format!("--expr '{expression}': {message}")),
        },
        (None, None) => cotangent_view::EXAMPLES[0].1.to_owned(),
    };
    server::serve(text, args.port, limits)
}

/// The answer to one question, in a process that can be ended without harm.
fn answer_one(limits: &Limits) -> Result<(), Failure> {
    limits.apply()?;
    let mut text = String::new();
    std::io::stdin()
        .take(server::MOST_BYTES as u64)
        .read_to_string(&mut text)?;
    let question: Question = match serde_json::from_str(&text) {
        Ok(question) => question,
        Err(error) => return failed(format!("the question is not what was expected: {error}")),
    };
    let json = match answer::page(&question, limits) {
        Ok(page) => serde_json::to_string(&page)?,
        Err(error) => serde_json::to_string(&Refusal { error })?,
    };
    files::print(&json)
}
