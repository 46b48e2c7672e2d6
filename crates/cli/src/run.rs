//! `cotangent run`: a function of a file on given inputs.

use std::collections::HashMap;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cotangent::checked::{self, CheckedError};
use cotangent_array::{Array, npy, npz};
use cotangent_compile::Options;
use cotangent_graph::{Graph, TensorType};

use crate::failure::{Failure, failed, usage};
use crate::graphs::{self, Source, type_of};
use crate::{costs, files, values};

/// Runs a function and prints its results, or writes them to an npz file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file of functions; `-` is standard input.
    #[arg(value_name = "FILE.ct")]
    file: PathBuf,
    /// The function; the last one of the file if not given.
    #[arg(long = "fn", value_name = "NAME")]
    function: Option<String>,
    /// An input: a number or nested brackets such as `x=[[1, 2], [3, 4]]`, or a file that ends in .npy.
    #[arg(
        long = "in",
        value_name = "NAME=VALUE|FILE.npy",
        allow_hyphen_values = true
    )]
    inputs: Vec<String>,
    /// Inputs by name; `--in` goes before them. `-` is standard input.
    #[arg(long, value_name = "IN.npz")]
    npz: Option<PathBuf>,
    /// Writes the results here, named out0, out1, ..., instead of printing them. `-` is standard output.
    #[arg(long, value_name = "OUT.npz")]
    out: Option<PathBuf>,
    /// The most that a run may hold, inputs and results included; some values are then computed again instead of kept.
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, allow_negative_numbers = true, conflicts_with = "checked")]
    memory: Option<usize>,
    /// The most that loops of unknown length may keep of their steps for a backward pass.
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, allow_negative_numbers = true, default_value = "1GiB")]
    loop_memory: usize,
    /// Where files without names hold what loops of unknown length keep, when memory is short.
    #[arg(long, value_name = "DIR")]
    loop_directory: Option<PathBuf>,
    /// The most threads that work on it; by default the variable COTANGENT_THREADS, or else 1.
    #[arg(long, value_name = "N", conflicts_with = "checked")]
    threads: Option<NonZeroUsize>,
    /// Takes numbers below the smallest normal one for zeros in generated code, which some processors are slow with.
    #[arg(long, conflicts_with = "checked")]
    flush_subnormals: bool,
    /// Names the first operation whose operands are finite and whose result is not, if a result comes of it.
    #[arg(long)]
    checked: bool,
    /// Prints how long compiling and running took, and what each step of the plan took, on standard error.
    #[arg(long)]
    time: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let given = split_inputs(&args.inputs)?;
    if args.npz.as_deref().is_some_and(files::is_standard) && files::is_standard(&args.file) {
        return usage("only one of FILE.ct and --npz can be standard input");
    }
    let source = Source::read(&args.file)?;
    let graph = source.function(args.function.as_deref())?;
    for (name, _) in &given {
        graphs::named(&graph, &[(*name).to_owned()])?;
    }
    let archive = match &args.npz {
        Some(path) => read_npz(path)?,
        None => HashMap::new(),
    };
    let inputs = gather(&graph, &given, &archive, args.npz.as_deref(), None)?;
    if let Some(out) = &args.out {
        files::check_writable(out)?;
    }

    let outputs = if args.checked {
        let start = Instant::now();
        let outputs = checked(&source, &graph, &inputs)?;
        if args.time {
            eprintln!("run, checked: {}", seconds(start));
        }
        outputs
    } else {
        let start = Instant::now();
        let options = Options {
            memory_budget: args.memory,
            states_beside: args.loop_directory.is_some(),
            flush_subnormals: args.flush_subnormals,
            ..Options::default()
        };
        let program = cotangent_cpu::compile_with(&graph, &options)?;
        program.set_loop_memory(args.loop_memory);
        program.set_loop_directory(args.loop_directory.as_deref().map(Into::into));
        program.set_threads(args.threads.map_or(0, NonZeroUsize::get));
        let compiled = seconds(start);
        let start = Instant::now();
        let outputs = program.run(&inputs)?;
        if args.time {
            eprintln!("compile: {compiled}\nrun: {}", seconds(start));
            eprint!("{}", costs::table(&program, &inputs)?);
        }
        outputs
    };

    match &args.out {
        Some(out) => files::write(out, &outputs_npz(&outputs)?),
        None => outputs
            .iter()
            .try_for_each(|output| files::print(&format!("{output}\n"))),
    }
}

/// The arrays of an npz file by name.
pub fn read_npz(path: &Path) -> Result<HashMap<String, Array>, Failure> {
    let arrays = npz::read(Cursor::new(files::read(path)?));
    Ok(arrays
        .map_err(|error| files::about(path, &error))?
        .into_iter()
        .collect())
}

fn outputs_npz(outputs: &[Array]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let named = outputs
        .iter()
        .enumerate()
        .map(|(i, output)| (format!("out{i}"), output));
    npz::write(&mut bytes, named, npz::Compression::Stored)?;
    Ok(bytes)
}

/// `NAME=VALUE` at the first `=`.
fn split_inputs(inputs: &[String]) -> Result<Vec<(&str, &str)>, Failure> {
    let mut given: Vec<(&str, &str)> = Vec::new();
    for input in inputs {
        let Some((name, value)) = input.split_once('=') else {
            return usage(format!(
                "--in {input}: expected NAME=VALUE or NAME=FILE.npy"
            ));
        };
        if given.iter().any(|(other, _)| *other == name.trim()) {
            return usage(format!("--in {input}: `{name}` is given twice"));
        }
        given.push((name.trim(), value));
    }
    Ok(given)
}

/// An array for each input of the graph, from `--in` and `--npz`; those that neither names are made up.
pub fn some_inputs(
    graph: &Graph,
    given: &[String],
    npz: Option<&Path>,
) -> Result<Vec<Array>, Failure> {
    let given = split_inputs(given)?;
    for (name, _) in &given {
        graphs::named(graph, &[(*name).to_owned()])?;
    }
    let archive = npz.map(read_npz).transpose()?.unwrap_or_default();
    gather(graph, &given, &archive, npz, Some(cotangent_view::sample))
}

/// An array for each input of the graph; those without a value are `others`, or an error.
fn gather(
    graph: &Graph,
    given: &[(&str, &str)],
    archive: &HashMap<String, Array>,
    archive_name: Option<&Path>,
    others: Option<fn(&TensorType) -> Array>,
) -> Result<Vec<Array>, Failure> {
    let mut inputs = Vec::new();
    for ((name, _), ty) in graph.inputs().iter().zip(graph.input_types()) {
        let value = given.iter().find(|(other, _)| **other == **name);
        let (array, from) = match (value, archive.get(&**name)) {
            (Some((_, value)), _) if value.ends_with(".npy") => {
                let path = Path::new(*value);
                let array = npy::read(&files::read(path)?[..]);
                (
                    array.map_err(|error| files::about(path, &error))?,
                    (*value).to_owned(),
                )
            }
            (Some((_, value)), _) => match values::parse(value, &ty) {
                Ok(array) => (array, String::new()),
                Err(error) => return failed(format!("input `{name}: {ty}`: {error}")),
            },
            (None, Some(array)) => (
                array.clone(),
                archive_name.map(files::name).unwrap_or_default(),
            ),
            (None, None) if others.is_some() => {
                inputs.extend(others.map(|other| other(&ty)));
                continue;
            }
            (None, None) => {
                let inputs = graphs::inputs(graph);
                return failed(format!(
                    "no value for input `{name}` of `{}`; {inputs}",
                    graph.name()
                ));
            }
        };
        let found = type_of(&array);
        if found != ty {
            return failed(format!(
                "input `{name}`: expected {ty}, found {found} in {from}"
            ));
        }
        inputs.push(array);
    }
    Ok(inputs)
}

fn seconds(start: Instant) -> String {
    costs::duration(start.elapsed().as_secs_f64())
}

/// Runs by the reference evaluator; fails at the first operation that makes a value that is not finite out of
/// finite ones, if a result comes of it.
fn checked(source: &Source, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, Failure> {
    checked::eval(graph, inputs).map_err(|error| match error {
        CheckedError::Fault(fault) => {
            let (place, excerpt) = source.place(fault.location);
            Failure::Failed(format!("{place}: {}\n{excerpt}", fault.message()))
        }
        other => Failure::from(other),
    })
}
