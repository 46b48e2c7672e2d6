//! The text form: graphs as text that looks like Rust, and back without loss.

mod ast;
mod broadcast;
mod index;
mod labels;
mod lex;
mod listing;
mod literal;
mod lower;
mod parse;
mod print;
mod sugar;
mod values;

use std::sync::Arc;

use crate::Graph;
use crate::ops::Registry;

pub use listing::{Line, Listing};
pub use parse::is_reserved;
pub(crate) use print::identifier;
pub use print::print;

/// Nothing nests deeper than this in a text.
const MAX_NESTING: usize = 256;

/// The functions of a text, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The functions, each once.
    pub functions: Vec<Arc<Graph>>,
}

impl Module {
    /// The last function, which a command means when no name is given.
    pub fn entry(&self) -> &Graph {
        // A module is never empty: `parse` and `from_graphs` see to it.
        &self.functions[self.functions.len() - 1]
    }

    /// The function of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Graph>> {
        self.functions.iter().find(|g| g.name() == name)
    }

    /// A module of these functions; `None` for no functions at all.
    pub fn from_graphs(functions: Vec<Arc<Graph>>) -> Option<Module> {
        if functions.is_empty() {
            None
        } else {
            Some(Module { functions })
        }
    }

    /// The canonical text of all functions, callees before their callers.
    pub fn print(&self) -> String {
        let graphs: Vec<&Graph> = self.functions.iter().map(|g| &**g).collect();
        print::print_all(&graphs)
    }
}

/// Reads a text of one or more functions.
///
/// A `let` may say in front which [checkpoints](crate::Checkpoint) are around it, from the outermost to
/// the innermost, and on which way through each it is: `#[checkpoint([0, 2], way=[2, 2])]`. It means
/// nothing for the values; without `way` all are 0.
///
/// ```
/// let module = cotangent_graph::parse("
///     fn square(x: f64[3]) -> f64[3] { x * x }
///     fn loss(x: f64[3]) -> f64 { sum(square(x - 1.0)) }
/// ")?;
/// assert_eq!(module.functions.len(), 2);
/// assert_eq!(module.entry().name(), "loss");
/// # Ok::<(), cotangent_graph::ParseError>(())
/// ```
///
/// # Errors
/// The first place at which the text is not a graph: line, column, what was expected.
pub fn parse(text: &str) -> Result<Module, ParseError> {
    parse_with(text, &Registry::new())
}

/// Reads a text that may name the native operations of a registry: `native(x, name=f, version=1)`.
///
/// # Errors
/// As [`parse()`], and an operation that the registry does not have.
pub fn parse_with(text: &str, registry: &Registry) -> Result<Module, ParseError> {
    lower::lower(&parse::parse_functions(text)?, registry)
}

/// Where and why a text is not a graph.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What was expected and what was found.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(at: At, message: impl Into<String>) -> ParseError {
        ParseError {
            line: at.line,
            column: at.column,
            message: message.into(),
        }
    }

    /// The message with the line of the text and a caret under the place.
    pub fn render(&self, text: &str) -> String {
        let line = text
            .lines()
            .nth(self.line.saturating_sub(1) as usize)
            .unwrap_or("");
        let number = self.line.to_string();
        let pad = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands under its character.
        let under: String = line
            .chars()
            .take(self.column.saturating_sub(1) as usize)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        format!("{self}\n{pad} |\n{number} | {line}\n{pad} | {under}^\n")
    }
}

/// A place in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct At {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl std::fmt::Display for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print(self))
    }
}
