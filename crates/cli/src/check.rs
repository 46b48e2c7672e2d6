//! `cotangent check`: verifies the functions of a file and checks their derivatives numerically.

mod numeric;
mod widen;

use std::collections::HashMap;
use std::path::PathBuf;

use cotangent_array::{Array, Complex64, DType, Scalar};
use cotangent_graph::{Graph, eval};

use crate::failure::{Failure, failed, usage};
use crate::files;
use crate::graphs::{Source, type_of};
use crate::run::read_npz;
use numeric::{Random, close, parts};

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
    let (mut count, mut wrong) = (0, 0);
    for graph in &functions {
        let mut report = |what: &str, outcome: Outcome| {
            let (ok, detail) = match outcome {
                Outcome::Ok(detail) => (true, detail),
                Outcome::Wrong(detail) => (false, detail),
            };
            count += 1;
            wrong += usize::from(!ok);
            let verdict = if ok { "ok" } else { "FAILED" };
            let detail = if detail.is_empty() {
                detail
            } else {
                format!(" ({detail})")
            };
            files::print(&format!("{}: {what}: {verdict}{detail}\n", graph.name()))
        };
        function(graph, &given, args.seed, &mut report)?;
    }
    match wrong {
        0 => Ok(()),
        _ => failed(format!("{wrong} of {count} checks failed")),
    }
}

/// What came out of a check, with a detail such as the largest error.
pub enum Outcome {
    /// As it should be.
    Ok(String),
    /// Not as it should be.
    Wrong(String),
}

type Report<'a> = dyn FnMut(&str, Outcome) -> Result<(), Failure> + 'a;

fn function(
    graph: &Graph,
    given: &HashMap<String, Array>,
    seed: u64,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    if let Err(error) = graph.verify() {
        return report("verifies", Outcome::Wrong(error.to_string()));
    }
    report("verifies", Outcome::Ok(String::new()))?;
    let mut random = Random::new(seed);
    let inputs = match point(graph, given, &mut random) {
        Ok(inputs) => inputs,
        Err(message) => return report("value", Outcome::Wrong(message)),
    };
    report(
        "compiled program against the reference",
        program(graph, &inputs),
    )?;
    let wrt: Vec<bool> = graph
        .input_types()
        .iter()
        .map(|ty| ty.dtype.is_inexact())
        .collect();
    let differentiable = graph.output_types().iter().any(|ty| ty.dtype.is_inexact());
    if !differentiable || !wrt.contains(&true) {
        return report(
            "derivatives",
            Outcome::Ok("no float to differentiate".to_owned()),
        );
    }
    let wide = widen::widen(graph)?;
    let inputs: Vec<Array> = inputs.iter().map(widen::widen_array).collect();
    numeric::derivatives(&wide, &wrt, &inputs, &mut random, report)
}

/// Inputs where everything is finite: those given, and others drawn.
fn point(
    graph: &Graph,
    given: &HashMap<String, Array>,
    random: &mut Random,
) -> Result<Vec<Array>, String> {
    /// Where floats are drawn from, in this order until everything is finite: both signs first, then the domain of
    /// log and asin, then that of acosh.
    const INTERVALS: [(f64, f64); 3] = [(-2.0, 2.0), (0.1, 0.9), (1.1, 3.0)];
    /// Integers may be positions, so those that are valid in the shortest axes come last.
    const LARGEST: [u64; 3] = [2, 1, 0];
    let mut why = String::new();
    for (low, high) in INTERVALS {
        for largest in LARGEST {
            let mut inputs = Vec::new();
            for ((name, _), ty) in graph.inputs().iter().zip(graph.input_types()) {
                let array = match given.get(&**name) {
                    Some(array) if type_of(array) == ty => array.clone(),
                    Some(array) => {
                        return Err(format!(
                            "input `{name}`: expected {ty}, found {}",
                            type_of(array)
                        ));
                    }
                    None => {
                        let values = (0..ty.shape.elements()).map(|_| match ty.dtype {
                            DType::Bool => Scalar::Bool(random.below(2) == 1),
                            dtype if dtype.is_float() => Scalar::F64(random.between(low, high)),
                            dtype if dtype.is_complex() => Scalar::C128(Complex64::new(
                                random.between(low, high),
                                random.between(-0.5, 0.5),
                            )),
                            _ => Scalar::I64(random.below(largest + 1) as i64),
                        });
                        let values = values.map(|value| value.convert(ty.dtype));
                        Array::from_scalars(ty.dtype, ty.shape.clone(), values)
                            .map_err(|error| error.to_string())?
                    }
                };
                inputs.push(array);
            }
            match eval(graph, &inputs) {
                Ok(outputs) if outputs.iter().all(is_finite) => return Ok(inputs),
                Ok(_) => why = "the value is not finite".to_owned(),
                Err(error) => why = error.to_string(),
            }
        }
    }
    Err(why)
}

fn is_finite(array: &Array) -> bool {
    !array.dtype().is_inexact() || array.scalars().all(Scalar::is_finite)
}

/// The compiled program gives what the reference evaluator gives.
fn program(graph: &Graph, inputs: &[Array]) -> Outcome {
    let found = cotangent_cpu::compile(graph)
        .map_err(|error| error.to_string())
        .and_then(|program| program.run(inputs).map_err(|error| error.to_string()));
    let expected = eval(graph, inputs).map_err(|error| error.to_string());
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(message), _) | (_, Err(message)) => return Outcome::Wrong(message),
    };
    let mut largest: f64 = 0.0;
    for (found, expected) in found.iter().zip(&expected) {
        if !expected.dtype().is_inexact() {
            if found != expected {
                return Outcome::Wrong(format!("expected {expected:?}, found {found:?}"));
            }
            continue;
        }
        let limit = if expected.dtype().real() == DType::F32 {
            1e-5
        } else {
            1e-12
        };
        match close(&parts(found), &parts(expected), limit) {
            Ok(error) => largest = largest.max(error),
            Err(error) => return Outcome::Wrong(format!("relative error {error:.1e}")),
        }
    }
    Outcome::Ok(format!("largest relative error {largest:.1e}"))
}
