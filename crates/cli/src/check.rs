//! `cotangent check`: verifies the functions of a file and checks their derivatives numerically.

use std::collections::HashMap;
use std::path::PathBuf;

use cotangent::{check, explain};
use cotangent_array::Array;
use cotangent_graph::Graph;

use crate::failure::{Failure, failed, usage};
use crate::files;
use crate::graphs::{Source, chosen};
use crate::run::read_npz;

/// Verifies every function of a file and checks its derivatives numerically, one line a check.
///
/// Directional derivatives are compared with central differences, both modes with each other (<u, J v> = <J^T u, v>),
/// and the same for second derivatives. Numbers of type f32 are computed as f64 here, so that differences mean
/// something. At a kink any derivative between those of both sides is right.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file of functions; `-` is standard input.
    #[arg(value_name = "FILE.ct")]
    file: PathBuf,
    /// Only this function.
    #[arg(long = "fn", value_name = "NAME")]
    function: Option<String>,
    /// Inputs by name. The others are drawn: floats from an interval where all is finite, integers from 0 to 2.
    #[arg(long, value_name = "IN.npz")]
    npz: Option<PathBuf>,
    /// The seed of what is drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Says instead why the derivatives by inputs are zero at the point or are not, path by path.
    #[arg(long)]
    explain: bool,
    /// The inputs that are explained; all floats if not given.
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "explain")]
    wrt: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.npz.as_deref().is_some_and(files::is_standard) && files::is_standard(&args.file) {
        return usage("only one of FILE.ct and --npz can be standard input");
    }
    let source = Source::read(&args.file)?;
    let given = match &args.npz {
        Some(path) => read_npz(path)?,
        None => HashMap::new(),
    };
    let functions = match &args.function {
        Some(name) => vec![source.function(Some(name))?],
        None => source.module.functions.clone(),
    };
    if args.explain {
        let function = args.function.as_deref();
        return explained(&source, &*source.function(function)?, &given, args);
    }
    let (mut count, mut wrong) = (0, 0);
    for graph in &functions {
        let report = check::drawn(graph, &given, args.seed)?;
        for check in report.checks() {
            files::print(&format!("{}: {check}\n", graph.name()))?;
        }
        count += report.checks().len();
        wrong += report.checks().iter().filter(|c| !c.passed()).count();
    }
    match wrong {
        0 => Ok(()),
        _ => failed(format!("{wrong} of {count} checks failed")),
    }
}

/// Why the derivatives by inputs are zero at a point or are not.
fn explained(
    source: &Source,
    graph: &Graph,
    given: &HashMap<String, Array>,
    args: &Args,
) -> Result<(), Failure> {
    let wrt = chosen(graph, &args.wrt)?;
    let inputs = check::draw(graph, given, args.seed).map_err(Failure::Failed)?;
    for why in explain::gradients(graph, &inputs, &wrt)? {
        let verdict = match why.is_zero() {
            true => "the gradient is zero here",
            false => "the gradient is not zero here",
        };
        files::print(&format!("{}: {verdict}\n", why.input))?;
        for end in &why.ends {
            let place = match end.location {
                Some(_) => format!("{}: ", source.place(end.location).0),
                None => String::new(),
            };
            files::print(&format!("    {place}{}\n", end.reason))?;
        }
    }
    Ok(())
}
