//! Numeric checks of derivatives: against differences, and both modes against each other.
//!
//! [`Function::verify`](crate::Function::verify) checks a function or a derivative at a point, and
//! `cotangent check` the functions of a file. All of it is computed in f64 (a function of f32 is
//! widened first) by the reference evaluator, which is slow.

mod numeric;
mod verify;
mod widen;

use std::collections::HashMap;
use std::fmt;

use cotangent_graph::eval;

use crate::{Array, Complex64, DType, Error, Graph, Scalar, Typed};
use numeric::{Random, close, parts};
pub(crate) use verify::{Base, Derivative};

/// What one check found.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    name: String,
    passed: bool,
    error: Option<f64>,
    detail: String,
}

impl Check {
    fn ok(name: &str, error: Option<f64>, detail: String) -> Check {
        Check {
            name: name.to_owned(),
            passed: true,
            error,
            detail,
        }
    }

    fn wrong(name: &str, error: Option<f64>, detail: String) -> Check {
        Check {
            passed: false,
            ..Check::ok(name, error, detail)
        }
    }

    /// What was checked, such as `<u, J v> = <J^T u, v>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it holds.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// The relative error, where numbers were compared.
    pub fn error(&self) -> Option<f64> {
        self.error
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed { "ok" } else { "FAILED" };
        write!(f, "{}: {verdict}", self.name)?;
        match self.detail.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.detail),
        }
    }
}

/// What all checks found; prints one a line.
#[derive(Clone, PartialEq, Debug, Default)]
#[must_use]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// All checks, in the order in which they were made.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether every check holds.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }

    /// The report itself if every check holds.
    ///
    /// # Errors
    /// The checks that do not, by name and with their numbers.
    pub fn into_result(self) -> Result<Report, Error> {
        let wrong = self.checks.iter().filter(|c| !c.passed);
        let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
        match wrong.is_empty() {
            true => Ok(self),
            false => Err(Error::Argument(wrong.join("; "))),
        }
    }

    fn add(&mut self, check: Check) -> Result<(), Error> {
        self.checks.push(check);
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checks
            .iter()
            .try_for_each(|check| writeln!(f, "{check}"))
    }
}

/// Checks that a graph verifies, and then all that [`graph`] does, at a point where inputs that are
/// not given are drawn as [`draw`] does.
///
/// # Errors
/// As [`graph`].
pub fn drawn(graph: &Graph, given: &HashMap<String, Array>, seed: u64) -> Result<Report, Error> {
    let mut report = Report::default();
    if let Err(error) = graph.verify() {
        report.add(Check::wrong("verifies", None, error.to_string()))?;
        return Ok(report);
    }
    match draw(graph, given, seed) {
        Ok(inputs) => self::graph(graph, &inputs, seed),
        Err(message) => {
            report.add(Check::ok("verifies", None, String::new()))?;
            report.add(Check::wrong("value", None, message))?;
            Ok(report)
        }
    }
}

/// Checks a graph at a point: its program against the reference evaluator; directional derivatives
/// against central differences, both modes against each other, <u, J v> = <J^T u, v>, and the same
/// for second derivatives, whose symmetry is checked too. Directions are drawn by the seed.
///
/// At a kink any derivative between those of both sides is right. A rule of the user's own that is
/// not the derivative, such as a straight-through estimator, disagrees with differences.
///
/// # Errors
/// Inputs that do not fit, or an index out of range.
pub fn graph(graph: &Graph, inputs: &[Array], seed: u64) -> Result<Report, Error> {
    let mut report = Report::default();
    report.add(Check::ok("verifies", None, String::new()))?;
    report.add(program(graph, inputs))?;
    let wrt: Vec<bool> = graph
        .input_types()
        .iter()
        .map(|ty| ty.dtype.is_inexact())
        .collect();
    let differentiable = graph.output_types().iter().any(|ty| ty.dtype.is_inexact());
    if !differentiable || !wrt.contains(&true) {
        let detail = "no float to differentiate".to_owned();
        report.add(Check::ok("derivatives", None, detail))?;
        return Ok(report);
    }
    let wide = widen::widen(graph)?;
    let inputs: Vec<Array> = inputs.iter().map(widen::widen_array).collect();
    let mut random = Random::new(seed.wrapping_add(1));
    numeric::derivatives(&wide, &wrt, &inputs, &mut random, &mut report)?;
    Ok(report)
}

/// Inputs where everything is finite: those given, and others drawn.
///
/// Floats are drawn from an interval where the value is finite, integers from 0 to 2.
///
/// # Errors
/// An input that does not fit, or no finite value anywhere, in words.
pub fn draw(
    graph: &Graph,
    given: &HashMap<String, Array>,
    seed: u64,
) -> Result<Vec<Array>, String> {
    let mut random = Random::new(seed);
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
                    Some(array) if array.tensor_type() == ty => array.clone(),
                    Some(array) => {
                        return Err(format!(
                            "input `{name}`: expected {ty}, found {}",
                            array.tensor_type()
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
fn program(graph: &Graph, inputs: &[Array]) -> Check {
    let name = "compiled program against the reference";
    let wrong = |detail: String| Check::wrong(name, None, detail);
    let found = cotangent_cpu::compile(graph)
        .map_err(|error| error.to_string())
        .and_then(|program| program.run(inputs).map_err(|error| error.to_string()));
    let expected = eval(graph, inputs).map_err(|error| error.to_string());
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(message), _) | (_, Err(message)) => return wrong(message),
    };
    let mut largest: f64 = 0.0;
    for (found, expected) in found.iter().zip(&expected) {
        if !expected.dtype().is_inexact() {
            if found != expected {
                return wrong(format!("expected {expected:?}, found {found:?}"));
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
            Err(error) => {
                return Check::wrong(name, Some(error), format!("relative error {error:.1e}"));
            }
        }
    }
    let detail = format!("largest relative error {largest:.1e}");
    Check::ok(name, Some(largest), detail)
}
