//! What the commands on graphs share: reading a file of functions and choosing among them.

use std::path::Path;
use std::sync::Arc;

use cotangent_graph::{Graph, Location, Module, TensorType};

use crate::failure::{Failure, failed};
use crate::files;

/// A file of functions, with its text for messages.
pub struct Source {
    /// How messages call the file.
    pub name: String,
    /// The text.
    pub text: String,
    /// The functions.
    pub module: Module,
}

impl Source {
    /// Reads a file, or standard input for `-`.
    pub fn read(path: &Path) -> Result<Source, Failure> {
        let text = files::read_text(path)?;
        let name = files::name(path);
        match cotangent_graph::parse(&text) {
            Ok(module) => Ok(Source { name, text, module }),
            Err(error) => failed(format!(
                "{name}:{}:{}: {}\n{}",
                error.line,
                error.column,
                error.message,
                excerpt(&text, error.line as usize, error.column as usize)
            )),
        }
    }

    /// The function of this name, or the last one.
    pub fn function(&self, name: Option<&str>) -> Result<Arc<Graph>, Failure> {
        let functions = &self.module.functions;
        let found = match name {
            None => functions.last(),
            Some(name) => self.module.get(name),
        };
        match found {
            Some(function) => Ok(function.clone()),
            None => {
                let names: Vec<&str> = functions.iter().map(|f| f.name()).collect();
                failed(format!(
                    "{}: no function is named `{}`; expected one of {}",
                    self.name,
                    name.unwrap_or_default(),
                    names.join(", ")
                ))
            }
        }
    }

    /// `file:line:column`, and the line with a mark under the column.
    pub fn place(&self, location: Option<Location>) -> (String, String) {
        match location.map(Location::origin) {
            Some(Location::Text { line, column }) => (
                format!("{}:{line}:{column}", self.name),
                excerpt(&self.text, line as usize, column as usize),
            ),
            Some(other) => (other.to_string(), String::new()),
            None => (self.name.clone(), String::new()),
        }
    }
}

/// The line of a text at a place in it.
pub fn line(text: &str, location: Location) -> Option<String> {
    let Location::Text { line, .. } = location.origin() else {
        return None;
    };
    let found = text.lines().nth((line as usize).saturating_sub(1));
    found.map(str::to_owned)
}

/// The line with a mark under the column, both counted from 1.
fn excerpt(text: &str, line: usize, column: usize) -> String {
    let Some(code) = text.lines().nth(line.saturating_sub(1)) else {
        return String::new();
    };
    // Long lines, as a whole function on one of them may be, show what is near the mark.
    const NEAR: usize = 60;
    let from = column.saturating_sub(1).saturating_sub(NEAR);
    let shown: String = code.chars().skip(from).take(2 * NEAR).collect();
    let shown = shown.replace('\t', " ");
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let gap = " ".repeat(column.saturating_sub(1).saturating_sub(from));
    format!("{margin} |\n{number} | {shown}\n{margin} | {gap}^")
}

/// Which inputs are chosen: those named in `--wrt`, or all floats and complex numbers.
pub fn chosen(graph: &Graph, wrt: &[String]) -> Result<Vec<bool>, Failure> {
    if wrt.is_empty() {
        return Ok(graph
            .input_types()
            .iter()
            .map(|ty| ty.dtype.is_inexact())
            .collect());
    }
    named(graph, wrt)
}

/// Which inputs are named.
pub fn named(graph: &Graph, names: &[String]) -> Result<Vec<bool>, Failure> {
    for name in names {
        if !graph.inputs().iter().any(|(input, _)| **input == **name) {
            return failed(format!(
                "`{}` has no input `{name}`; {}",
                graph.name(),
                inputs(graph)
            ));
        }
    }
    Ok(graph
        .inputs()
        .iter()
        .map(|(input, _)| names.iter().any(|name| **name == **input))
        .collect())
}

/// The inputs in words.
pub fn inputs(graph: &Graph) -> String {
    let types = graph.input_types();
    let all: Vec<String> = graph
        .inputs()
        .iter()
        .zip(types)
        .map(|((name, _), ty)| format!("{name}: {ty}"))
        .collect();
    match all.len() {
        0 => "it has none".to_owned(),
        _ => format!("its inputs are {}", all.join(", ")),
    }
}

/// The type of an array.
pub fn type_of(array: &cotangent_array::Array) -> TensorType {
    TensorType::new(array.dtype(), array.shape().clone())
}
