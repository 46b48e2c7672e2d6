//! `cotangent run`: a function of a file on given inputs.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cotangent_array::{Array, npy, npz};
use cotangent_graph::{Equation, EvalError, Graph, Location, Op, Var, eval_op};

use crate::failure::{Failure, failed, usage};
use crate::graphs::{self, Source, type_of};
use crate::{files, values};

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
    /// The most that loops of unknown length may keep of their steps for a backward pass.
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, default_value = "1GiB")]
    loop_memory: usize,
    /// Stops at the first operation whose operands are finite and whose result is not, and names it.
    #[arg(long)]
    checked: bool,
    /// Prints how long compiling and running took, on standard error.
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
    let inputs = gather(&graph, &given, &archive, args.npz.as_deref())?;
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
        let program = cotangent_cpu::compile(&graph)?;
        program.set_loop_memory(args.loop_memory);
        let compiled = seconds(start);
        let start = Instant::now();
        let outputs = program.run(&inputs)?;
        if args.time {
            eprintln!("compile: {compiled}\nrun: {}", seconds(start));
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

/// An array for each input of the graph.
fn gather(
    graph: &Graph,
    given: &[(&str, &str)],
    archive: &HashMap<String, Array>,
    archive_name: Option<&Path>,
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
    let seconds = start.elapsed().as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.1} us", seconds * 1e6)
    } else {
        format!("{:.3} ms", seconds * 1e3)
    }
}

/// Runs by the reference evaluator, operation by operation; fails at the first one that makes a value that is not
/// finite out of finite ones.
fn checked(source: &Source, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, Failure> {
    watch(graph, inputs).map_err(|stop| match stop {
        Stop::Failed(error) => Failure::from(error),
        Stop::Fault {
            op,
            location,
            value,
            index,
        } => {
            let (place, excerpt) = source.place(location);
            let at = if index.is_empty() {
                String::new()
            } else {
                format!(" at {index:?}")
            };
            Failure::Failed(format!(
                "{place}: `{op}` gives {value}{at}, although its operands are finite\n{excerpt}"
            ))
        }
    })
}

/// Why a checked run ends early.
enum Stop {
    /// An operation made a value that is not finite.
    Fault {
        op: String,
        location: Option<Location>,
        value: String,
        index: Vec<usize>,
    },
    /// An operation could not be evaluated.
    Failed(EvalError),
}

impl From<EvalError> for Stop {
    fn from(error: EvalError) -> Stop {
        Stop::Failed(error)
    }
}

/// The reference evaluator's walk, which knows of every operand whether it is finite; the observer of
/// [`cotangent_graph::Evaluator`] sees results only. Calls nest at most 256 deep.
fn watch(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, Stop> {
    let mut values: Vec<Vec<Array>> = vec![Vec::new(); graph.equations().len()];
    for ((_, var), array) in graph.inputs().iter().zip(inputs) {
        values[var.index()] = vec![array.clone()];
    }
    let (last, live) = (graph.last_uses(), graph.live());
    for (var, equation) in graph
        .iter()
        .filter(|(var, e)| live[var.index()] && !e.op.is_input())
    {
        let first = |var: &Var| values[var.index()].first();
        let operands: Vec<&Array> = equation.args.iter().filter_map(first).collect();
        let owned = || -> Vec<Array> { operands.iter().map(|array| (*array).clone()).collect() };
        let results = match &equation.op {
            Op::Get(index) => {
                let tuple = equation.args.first().map(|tuple| &values[tuple.index()]);
                tuple
                    .and_then(|tuple| tuple.get(*index))
                    .cloned()
                    .into_iter()
                    .collect()
            }
            Op::Call(callee) => watch(&callee.0, &owned())?,
            Op::Region(region) => {
                // The loop takes errors of the evaluator only, so what stopped its body is kept here.
                let mut stop = None;
                let results = region.eval(&owned(), &mut |body, inputs| {
                    watch(&body.0, inputs).map_err(|why| {
                        stop = Some(why);
                        EvalError::Malformed {
                            var,
                            message: "a body stopped".to_owned(),
                        }
                    })
                });
                match stop {
                    Some(stop) => return Err(stop),
                    None => results?,
                }
            }
            op => vec![step(equation, op, &operands, var)?],
        };
        values[var.index()] = results;
        for arg in equation
            .args
            .iter()
            .filter(|arg| last[arg.index()] == var.index())
        {
            values[arg.index()] = Vec::new();
        }
    }
    let outputs = graph.outputs().iter();
    Ok(outputs
        .filter_map(|output| values[output.index()].first().cloned())
        .collect())
}

/// The result of an operation that runs no other graph.
fn step(equation: &Equation, op: &Op, operands: &[&Array], var: Var) -> Result<Array, Stop> {
    let Some(ty) = equation.ty.tensor() else {
        return Err(Stop::Failed(EvalError::Malformed {
            var,
            message: "expected an array".to_owned(),
        }));
    };
    let result = eval_op(op, operands, ty).map_err(|error| EvalError::Op {
        op: op.name().to_owned(),
        location: equation.location,
        source: Box::new(error),
    })?;
    match not_finite(&result) {
        // A constant is what its writer wanted.
        Some((index, value))
            if !op.is_constant()
                && operands.iter().all(|operand| not_finite(operand).is_none()) =>
        {
            Err(Stop::Fault {
                op: op.name().to_owned(),
                location: equation.location,
                value,
                index,
            })
        }
        _ => Ok(result),
    }
}

/// The first element that is not finite, and where it stands.
fn not_finite(array: &Array) -> Option<(Vec<usize>, String)> {
    if !array.dtype().is_inexact() {
        return None;
    }
    let flat = array.scalars().position(|x| !x.is_finite())?;
    let mut rest = flat;
    let index = array.shape().strides().into_iter().map(|stride| {
        let at = rest / stride.max(1);
        rest %= stride.max(1);
        at
    });
    Some((index.collect(), array.at(flat)?.to_string()))
}
