//! Files that hold a graph, a command and the text that the command is expected to give.
//!
//! ```text
//! // What the file is there for.
//! // command: grad wrt=x | eval x=0.5
//! fn f(x: f64) -> f64 { sin(x) }
//! // expect:
//! 0.8775825618903728
//! ```
//!
//! A command is a chain of stages, each of which takes the graph of the one before it:
//!
//! - `print`: the canonical text,
//! - `jvp`, `vjp`, `grad`, `value_and_grad`, `hessian`, `hvp`, `linearize part=primal|linear`,
//!   `jacobian mode=auto|forward|reverse`, each with `wrt=a,b` (every float input if left out),
//! - `transpose linear=a,b`,
//! - `vmap axes=0,_ size=3`, where `_` is an input that all examples share,
//! - `pass NAME`, or `optimize` for all passes,
//! - `eval x=1.0 y=[1,2]`: the outputs, one a line,
//! - `plan`: the text of the plan,
//! - `run x=1.0`: as `eval`, by the compiled program,
//! - `cost`: the graph's count of operations.
//!
//! An error of a stage is a result like any other: `error: ...`. With `BLESS=1` in the environment
//! the expectations are rewritten, and the reviewer reads the difference.

use std::path::Path;

use cotangent_array::{Array, DType, Scalar};
use cotangent_graph::{Graph, TensorType, parse, print};
use cotangent_transform as transform;

use crate::engine::Engine;
use crate::shrink::brackets;

const EXPECT: &str = "// expect:";
const COMMAND: &str = "// command:";

/// Runs every `.ct` file of a folder, in the order of their names; how many there were.
///
/// # Errors
/// What was expected and found in every file that gave something else, or a file that cannot be
/// read.
pub fn run_folder(folder: &Path) -> Result<usize, String> {
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in files(folder)? {
        count += 1;
        let shown = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{shown}: {e}"))?;
        let (source, expected) = match text.split_once(&format!("{EXPECT}\n")) {
            Some((source, expected)) => (source, expected),
            None => (text.as_str(), ""),
        };
        let found = run(source).map_err(|e| format!("{shown}: {e}"))?;
        if found == expected {
            continue;
        }
        if bless {
            let text = format!("{}\n{EXPECT}\n{found}", source.trim_end());
            std::fs::write(&path, text).map_err(|e| format!("{shown}: {e}"))?;
        } else {
            wrong.push(format!("{shown}:\nexpected:\n{expected}\nfound:\n{found}"));
        }
    }
    if wrong.is_empty() {
        Ok(count)
    } else {
        Err(wrong.join("\n"))
    }
}

/// The `.ct` files of a folder in the order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|x| x == "ct"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// What the command in a text gives for the graph in it.
///
/// # Errors
/// A text without a command, a graph that does not parse or a stage that does not exist. Errors of
/// stages are results.
pub fn run(source: &str) -> Result<String, String> {
    let command = source
        .lines()
        .find_map(|l| l.trim().strip_prefix(COMMAND))
        .ok_or_else(|| format!("expected a line `{COMMAND} ...`"))?;
    let module = match parse(source) {
        Ok(module) => module,
        Err(e) => return Ok(format!("error: {e}\n")),
    };
    let mut state = State::Graph(module.entry().clone());
    for stage in command.split('|') {
        let mut words = stage.split_whitespace();
        let name = words.next().ok_or("expected a stage between two `|`")?;
        let words: Vec<&str> = words.collect();
        state = match state {
            State::Graph(graph) => match apply(name, &words, &graph) {
                Ok(state) => state,
                Err(Trouble::Usage(message)) => return Err(message),
                Err(Trouble::Stage(message)) => return Ok(format!("error: {message}\n")),
            },
            State::Text(_) => return Err(format!("nothing can follow before `{name}`")),
        };
    }
    Ok(match state {
        State::Graph(graph) => print(&graph),
        State::Text(text) => text,
    })
}

enum State {
    Graph(Graph),
    Text(String),
}

enum Trouble {
    /// The file is wrong.
    Usage(String),
    /// The stage failed, which may be what the file shows.
    Stage(String),
}

fn stage<T, E: ToString>(result: Result<T, E>) -> Result<T, Trouble> {
    result.map_err(|e| Trouble::Stage(e.to_string()))
}

fn apply(name: &str, words: &[&str], graph: &Graph) -> Result<State, Trouble> {
    let engine = Engine::default();
    let graph = match name {
        "print" => graph.clone(),
        "jvp" => stage(transform::jvp(graph, &wrt(graph, words)?))?,
        "vjp" => stage(transform::vjp(graph, &wrt(graph, words)?))?,
        "grad" => stage(transform::grad(graph, &wrt(graph, words)?))?,
        "value_and_grad" => stage(transform::value_and_grad(graph, &wrt(graph, words)?))?,
        "hessian" => stage(transform::hessian(graph, &wrt(graph, words)?))?,
        "hvp" => stage(transform::hvp(graph, &wrt(graph, words)?))?,
        "jacobian" => {
            let mode = match option(words, "mode") {
                Some("forward") => transform::Mode::Forward,
                Some("reverse") => transform::Mode::Reverse,
                _ => transform::Mode::Auto,
            };
            stage(transform::jacobian(graph, &wrt(graph, words)?, mode))?
        }
        "linearize" => {
            let parts = stage(transform::linearize(graph, &wrt(graph, words)?))?;
            match option(words, "part") {
                Some("primal") => parts.primal,
                Some("linear") => parts.linear,
                _ => return Err(Trouble::Usage("expected part=primal or part=linear".into())),
            }
        }
        "transpose" => {
            let linear = option(words, "linear")
                .ok_or_else(|| Trouble::Usage("expected linear=NAME".into()))?;
            stage(transform::transpose(graph, &chosen(graph, linear)?))?
        }
        "vmap" => {
            let (axes, size) = (option(words, "axes"), option(words, "size"));
            let axes = axes
                .unwrap_or_default()
                .split(',')
                .filter(|a| !a.is_empty());
            let axes: Vec<Option<usize>> = axes.map(|a| a.parse().ok()).collect();
            let size = size.and_then(|s| s.parse().ok());
            let size = size.ok_or_else(|| Trouble::Usage("expected size=NUMBER".into()))?;
            stage(transform::vmap(graph, &axes, size))?
        }
        "pass" => stage((engine.pass)(words.first().copied(), graph))?,
        "optimize" => stage((engine.pass)(None, graph))?,
        "cost" => return Ok(State::Text(format!("{}\n", graph.cost()))),
        "eval" => {
            let outputs = stage(cotangent_graph::eval(graph, &inputs(graph, words)?))?;
            return Ok(State::Text(lines(&outputs)));
        }
        "run" => {
            let outputs = stage((engine.run)(graph, &[&inputs(graph, words)?]))?.remove(0);
            return Ok(State::Text(lines(&outputs)));
        }
        "plan" => {
            let plan = stage(cotangent_compile::compile(
                graph,
                &cotangent_compile::Target::plain(),
            ))?;
            stage(plan.check())?;
            return Ok(State::Text(plan.to_string()));
        }
        _ => return Err(Trouble::Usage(format!("there is no stage `{name}`"))),
    };
    Ok(State::Graph(graph))
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words
        .iter()
        .find_map(|w| w.strip_prefix(name)?.strip_prefix('='))
}

/// The inputs named by `wrt=`, or every float and complex input.
fn wrt(graph: &Graph, words: &[&str]) -> Result<Vec<bool>, Trouble> {
    match option(words, "wrt") {
        Some(names) => chosen(graph, names),
        None => Ok(graph
            .input_types()
            .iter()
            .map(|t| t.dtype.is_inexact())
            .collect()),
    }
}

fn chosen(graph: &Graph, names: &str) -> Result<Vec<bool>, Trouble> {
    let names: Vec<&str> = names.split(',').filter(|n| !n.is_empty()).collect();
    for name in &names {
        if !graph.inputs().iter().any(|(n, _)| **n == **name) {
            return Err(Trouble::Usage(format!(
                "`{}` has no input `{name}`",
                graph.name()
            )));
        }
    }
    Ok(graph
        .inputs()
        .iter()
        .map(|(n, _)| names.contains(&&**n))
        .collect())
}

fn inputs(graph: &Graph, words: &[&str]) -> Result<Vec<Array>, Trouble> {
    let inputs = graph
        .inputs()
        .iter()
        .zip(graph.input_types())
        .map(|((name, _), ty)| {
            let text = option(words, name).ok_or_else(|| format!("expected {name}=VALUE"))?;
            value(&ty, text)
        });
    inputs
        .collect::<Result<_, String>>()
        .map_err(Trouble::Usage)
}

fn lines(outputs: &[Array]) -> String {
    outputs.iter().map(|a| brackets(a) + "\n").collect()
}

/// An array of a type from numbers in nested brackets. The brackets' places are not looked at: the
/// type says what the shape is.
///
/// # Errors
/// A number that is none, or another count than the type's.
pub fn value(ty: &TensorType, text: &str) -> Result<Array, String> {
    let numbers = text.split(['[', ']', ',', ' ']).filter(|n| !n.is_empty());
    let scalars: Result<Vec<Scalar>, String> = numbers
        .map(|n| scalar(ty.dtype, n).ok_or_else(|| format!("`{n}` is no {}", ty.dtype)))
        .collect();
    Array::from_scalars(ty.dtype, ty.shape.clone(), scalars?).map_err(|e| e.to_string())
}

fn scalar(dtype: DType, text: &str) -> Option<Scalar> {
    Some(match dtype {
        DType::Bool => Scalar::Bool(text.parse().ok()?),
        DType::F32 => Scalar::F32(text.parse().ok()?),
        DType::F64 => Scalar::F64(text.parse().ok()?),
        DType::C64 | DType::C128 => Scalar::from_complex(dtype, text.parse().ok()?),
        other => Scalar::from_i64(other, text.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_stages() {
        let text = "// command: grad wrt=x | grad | eval x=2.0 y=3.0\nfn f(x: f64, y: f64) { x * x * y }\n";
        assert_eq!(run(text).unwrap(), "6.0\n4.0\n");
    }

    #[test]
    fn errors_of_stages_are_results_and_wrong_files_are_not() {
        let text = |command: &str| format!("// command: {command}\nfn f(x: f64[2]) {{ x }}\n");
        assert!(run(&text("grad")).unwrap().starts_with("error: "));
        assert!(run(&text("grad wrt=y")).is_err());
        assert!(run(&text("eval x=[1]")).is_err());
        assert!(run(&text("frobnicate")).is_err());
        assert!(run("fn f(x: f64) { x }").is_err());
        assert!(
            run("// command: print\nfn f(x: f64) { x")
                .unwrap()
                .starts_with("error: line")
        );
        assert_eq!(run(&text("eval x=[1.5,-0.0]")).unwrap(), "[1.5, -0.0]\n");
    }
}
