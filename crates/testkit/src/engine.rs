//! The functions under test, in one place, so that a test of the tests can put a wrong one in.

use std::borrow::Cow;
use std::sync::Arc;

use cotangent_array::Array;
use cotangent_compile::{PASSES, Plan, Step, StepOp, Target, TriangleSizes};
use cotangent_cpu::Program;
use cotangent_graph::Graph;
use cotangent_transform::{Linearized, TransformError};

use crate::arrays::parts;

/// A graph into a graph.
pub type Transform<A> = fn(&Graph, &[A]) -> Result<Graph, TransformError>;

/// A pass of the compiler, or a program made and run, with its error as text.
pub type Fallible<T> = Result<T, String>;

/// Batches a graph: the axis of each input, and the size.
pub type Vmap = fn(&Graph, &[Option<usize>], usize) -> Result<Graph, TransformError>;

/// Makes one program of a graph and runs it on each of several lists of inputs in turn.
pub type Run = fn(&Graph, &[&[Array]]) -> Fallible<Vec<Vec<Array>>>;

/// The functions that [`crate::check()`] tests.
#[derive(Clone, Debug)]
pub struct Engine {
    /// [`cotangent_transform::jvp`]
    pub jvp: Transform<bool>,
    /// [`cotangent_transform::vjp`]
    pub vjp: Transform<bool>,
    /// [`cotangent_transform::transpose`]
    pub transpose: Transform<bool>,
    /// [`cotangent_transform::linearize`]
    pub linearize: fn(&Graph, &[bool]) -> Result<Linearized, TransformError>,
    /// [`cotangent_transform::vmap`]
    pub vmap: Vmap,
    /// The names of the compiler's passes.
    pub passes: Vec<&'static str>,
    /// Runs one pass by its name, or all of them.
    pub pass: fn(Option<&str>, &Graph) -> Fallible<Graph>,
    /// Compiles a graph, checks the plan and runs the one program on each of several lists of
    /// inputs in turn.
    pub run: Run,
}

impl Default for Engine {
    fn default() -> Self {
        Engine {
            jvp: cotangent_transform::jvp,
            vjp: cotangent_transform::vjp,
            transpose: cotangent_transform::transpose,
            linearize: cotangent_transform::linearize,
            vmap: cotangent_transform::vmap,
            passes: PASSES.iter().map(|p| p.name).collect(),
            pass,
            run,
        }
    }
}

fn pass(name: Option<&str>, graph: &Graph) -> Fallible<Graph> {
    let done = match name {
        Some(name) => match PASSES.iter().find(|p| p.name == name) {
            Some(pass) => (pass.run)(Cow::Borrowed(graph)).map(Cow::into_owned),
            None => return Err(format!("there is no pass `{name}`")),
        },
        None => cotangent_compile::optimize(graph, None),
    };
    done.map_err(|e| e.to_string())
}

fn run(graph: &Graph, inputs: &[&[Array]]) -> Fallible<Vec<Vec<Array>>> {
    let plan = cotangent_compile::compile(graph, &cotangent_cpu::target());
    let plan = Arc::new(plan.map_err(|e| e.to_string())?);
    plan.check()?;
    let program = Program::new(plan).map_err(|e| e.to_string())?;
    let mut results: Vec<Vec<Array>> = Vec::new();
    for (i, inputs) in inputs.iter().enumerate() {
        // Every other time into arrays that were written to before.
        results.push(match results.last() {
            Some(last) if i % 2 == 1 => {
                let mut outputs: Vec<Array> =
                    last.iter().map(|a| crate::arrays::map(a, |s| s)).collect();
                (program.run_into(inputs, &mut outputs)).map_err(|e| e.to_string())?;
                outputs
            }
            _ => program.run(inputs).map_err(|e| e.to_string())?,
        });
    }
    let rows = Target {
        row_cache: FEW,
        triangles: Some(TRIANGLES),
        ..cotangent_cpu::target()
    };
    let in_rows = |s: &Step| matches!(s.op, StepOp::Rows(_));
    same_bits("rows", &rows, in_rows, graph, inputs, &results)?;
    let triangles = Target {
        triangles: Some(TRIANGLES),
        ..cotangent_cpu::target()
    };
    let triangular = |s: &Step| matches!(s.op, StepOp::Triangular(..));
    same_bits("triangles", &triangles, triangular, graph, inputs, &results)?;
    Ok(results)
}

/// Bytes above which rows are done a few at a time here: graphs of tests are small.
const FEW: usize = 48;

/// Of which sizes products leave out triangles here.
pub(crate) const TRIANGLES: TriangleSizes = TriangleSizes { terms: 8, side: 2 };

/// For another target, where that makes steps of a kind, not a bit may change. Which of two NaN a sum
/// keeps is nobody's promise.
fn same_bits(
    what: &str,
    target: &Target,
    kind: fn(&Step) -> bool,
    graph: &Graph,
    inputs: &[&[Array]],
    expected: &[Vec<Array>],
) -> Fallible<()> {
    let plan = cotangent_compile::compile(graph, target).map_err(|e| e.to_string())?;
    let some = |p: &Plan| p.steps.iter().any(kind);
    if !some(&plan) && !plan.callees().iter().any(|p| some(p)) {
        return Ok(());
    }
    plan.check()?;
    let program = Program::new(Arc::new(plan)).map_err(|e| e.to_string())?;
    for (inputs, expected) in inputs.iter().zip(expected) {
        let found = program.run(inputs).map_err(|e| e.to_string())?;
        let equal = |(x, y): (f64, f64)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
        let same = |(a, b): (&Array, &Array)| {
            let (x, y) = (parts(a), parts(b));
            let alike = || x.len() == y.len() && x.into_iter().zip(y).all(equal);
            a.as_bytes() == b.as_bytes() || a.dtype().is_inexact() && alike()
        };
        if found.len() != expected.len() || !found.iter().zip(expected).all(same) {
            return Err(format!("other bits in {what}:\n{}", program.plan()));
        }
    }
    Ok(())
}
