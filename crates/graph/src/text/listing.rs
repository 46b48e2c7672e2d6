//! The canonical text of graphs, one equation at a time: for pictures and tables of a graph.

use super::print::{Functions, Printer};
use crate::Graph;
use crate::ops::Value;

/// What the canonical text says of one variable.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Line {
    /// The name: `v3`, or that of an input; empty for a constant that stands where it is read.
    pub name: String,
    /// The equation, `let v3: f64 = tanh(v2);`; empty for inputs and for constants without a name.
    pub text: String,
    /// The attributes that are not the default, in the order of the text.
    pub attributes: Vec<(&'static str, Value)>,
}

/// The lines of a graph and of all that it calls, as [`print()`](crate::print()) writes them.
///
/// ```
/// let f = cotangent_graph::parse("fn f(x: f64) -> f64 { 2 * sin(x) }")?.entry().clone();
/// let lines = cotangent_graph::Listing::new(&f).lines(&f);
/// assert_eq!(lines[1].name, "v0");
/// assert_eq!(lines[1].text, "let v0: f64 = sin(x);");
/// # Ok::<(), cotangent_graph::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Listing {
    functions: Functions,
}

impl Listing {
    /// Gives names to the graph and to all that it calls.
    pub fn new(graph: &Graph) -> Listing {
        Listing {
            functions: Functions::of(&[graph]),
        }
    }

    /// The name of a function in the text: of the graph itself or of one that it calls.
    pub fn name<'a>(&'a self, graph: &'a Graph) -> &'a str {
        self.functions.name(graph).unwrap_or(graph.name())
    }

    /// One line for each equation of the graph itself or of one that it calls.
    pub fn lines(&self, graph: &Graph) -> Vec<Line> {
        let mut printer = Printer::new(graph, &self.functions);
        let mut lines = vec![Line::default(); graph.equations().len()];
        let mut out = String::new();
        for (v, e) in graph.iter() {
            if e.op.is_input() || e.op.is_constant() {
                continue;
            }
            out.clear();
            printer.line(&mut out, v, e);
            // Constants that need a name have lines of their own in front, in the order of operands.
            let mut texts = out.lines().map(str::trim_start);
            for a in &e.args {
                let named = graph.equation(*a).op.is_constant() && !printer.name(*a).is_empty();
                if named && lines[a.index()].text.is_empty() {
                    lines[a.index()].text = texts.next().unwrap_or_default().to_owned();
                }
            }
            let line = &mut lines[v.index()];
            line.text = texts.next().unwrap_or_default().to_owned();
            line.attributes = printer.attributes_of(e);
        }
        out.clear();
        printer.results(&mut out);
        let mut texts = out.lines().map(str::trim_start);
        for o in graph.outputs() {
            let named = graph.equation(*o).op.is_constant() && !printer.name(*o).is_empty();
            if named && lines[o.index()].text.is_empty() {
                lines[o.index()].text = texts.next().unwrap_or_default().to_owned();
            }
        }
        for (v, _) in graph.iter() {
            lines[v.index()].name = printer.name(v).to_owned();
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse, print};

    #[test]
    fn lines_are_those_of_the_text() {
        let text = "
            fn step(c: f64[2], k: f64) -> f64[2] { c * k + full(3.0, shape=[2]) }
            fn f(x: f64[2], v0: f64) -> (f64[2], f64[3]) {
                let y = step(x, v0);
                let z = step(y + constant([1.0, 2.0]), 2.0);
                (z * constant([1.0, 2.0]), constant([1.0, 2.0, 3.0]))
            }";
        let module = parse(text).unwrap();
        let graph = module.entry();
        let listing = Listing::new(graph);
        for g in &module.functions {
            let printed = print(g);
            let lines = listing.lines(g);
            let mut texts: Vec<&str> = lines.iter().map(|l| &l.text[..]).collect();
            texts.retain(|t| !t.is_empty());
            let own = printed.rsplit("fn ").next().unwrap();
            let want = own.lines().filter(|l| l.trim_start().starts_with("let"));
            let mut want: Vec<&str> = want.map(str::trim).collect();
            texts.sort_unstable();
            want.sort_unstable();
            assert_eq!(texts, want);
            for line in lines.iter().filter(|l| !l.text.is_empty()) {
                assert!(line.text.starts_with(&format!("let {}: ", line.name)));
            }
        }
    }
}
