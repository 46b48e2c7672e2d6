//! `cotangent derive`: text to text, a derivative appended to the functions of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use cotangent_graph::{Graph, Module};
use cotangent_transform as transform;

use crate::failure::{Failure, usage};
use crate::files;
use crate::graphs::{Source, chosen, named};

/// Appends a derivative of a function to the functions of a file. The output is again input, so modes chain through
/// pipes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file of functions; `-` is standard input.
    #[arg(value_name = "FILE.ct")]
    file: PathBuf,
    /// Which derivative. NAME_MODE is what it is called.
    #[arg(long, value_enum)]
    mode: Mode,
    /// The function; the last one of the file if not given.
    #[arg(long = "fn", value_name = "NAME")]
    function: Option<String>,
    /// The inputs to differentiate with respect to (to batch over, for vmap); all floats (all) if not given.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    wrt: Vec<String>,
    /// How many examples vmap batches, along a new first axis.
    #[arg(long, value_name = "N", required_if_eq("mode", "vmap"))]
    size: Option<usize>,
    /// Writes the text here instead of printing it.
    #[arg(short, long = "out", value_name = "OUT.ct")]
    out: Option<PathBuf>,
}

/// A way to differentiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Values and directional derivatives; the direction is in new inputs t_NAME.
    Jvp,
    /// Cotangents of the inputs from those of the outputs, in new inputs ct_outN.
    Vjp,
    /// The gradient of a scalar.
    Grad,
    /// A scalar and its gradient.
    #[value(name = "value_and_grad")]
    ValueAndGrad,
    /// All derivatives of all outputs.
    Jacobian,
    /// The second derivatives of a scalar.
    Hessian,
    /// The second derivatives of a scalar times a direction in new inputs t_NAME.
    Hvp,
    /// The same function for many examples at once.
    Vmap,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.size.is_some() && args.mode != Mode::Vmap {
        return usage("--size is for --mode vmap only");
    }
    let source = Source::read(&args.file)?;
    let graph = source.function(args.function.as_deref())?;
    let derived = derive(&graph, args)?;
    let mut functions = source.module.functions.clone();
    functions.push(Arc::new(derived.renamed(&free_name(
        &source.module,
        &graph,
        args.mode,
    ))));
    let text = Module::from_graphs(functions)
        .map(|module| module.print())
        .unwrap_or_default();
    files::write(
        args.out.as_deref().unwrap_or(Path::new("-")),
        text.as_bytes(),
    )
}

fn derive(graph: &Graph, args: &Args) -> Result<Graph, Failure> {
    if args.mode == Mode::Vmap {
        let batched = match args.wrt.is_empty() {
            true => vec![true; graph.inputs().len()],
            false => named(graph, &args.wrt)?,
        };
        let axes: Vec<Option<usize>> = batched.iter().map(|batched| batched.then_some(0)).collect();
        return Ok(transform::vmap(graph, &axes, args.size.unwrap_or(1))?);
    }
    Ok(transformed(graph, args.mode, &chosen(graph, &args.wrt)?)?)
}

/// The derivative with respect to the chosen inputs; [`Mode::Vmap`] is none and gives the function itself.
pub fn transformed(
    graph: &Graph,
    mode: Mode,
    wrt: &[bool],
) -> Result<Graph, transform::TransformError> {
    Ok(match mode {
        Mode::Jvp => transform::jvp(graph, wrt)?,
        Mode::Vjp => transform::vjp(graph, wrt)?,
        Mode::Grad => transform::grad(graph, wrt)?,
        Mode::ValueAndGrad => transform::value_and_grad(graph, wrt)?,
        Mode::Jacobian => transform::jacobian(graph, wrt, transform::Mode::Auto)?,
        Mode::Hessian => transform::hessian(graph, wrt)?,
        Mode::Hvp => transform::hvp(graph, wrt)?,
        Mode::Vmap => graph.clone(),
    })
}

/// NAME_MODE, or NAME_MODE_2, ... where the file has such a function already.
fn free_name(module: &Module, graph: &Graph, mode: Mode) -> String {
    let mode = mode
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default();
    let name = format!("{}_{mode}", graph.name());
    let mut free = name.clone();
    let mut number = 1u64;
    while module.get(&free).is_some() {
        number += 1;
        free = format!("{name}_{number}");
    }
    free
}
