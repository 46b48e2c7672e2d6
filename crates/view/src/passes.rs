//! What each pass of the compiler changes.

use cotangent_compile::{PASSES, optimize};
use cotangent_graph::{Graph, print};
use similar::{ChangeTag, TextDiff};

use crate::ViewError;
use crate::model::{Line, Pass};

/// Texts of more lines are not compared.
const MOST_LINES: usize = 4000;

/// The passes in the order in which they run, with the text after each beside the text before it,
/// and the graphs that they give. The first entry is the graph as it came.
///
/// # Errors
/// A graph that does not verify.
pub fn passes(graph: &Graph) -> Result<(Vec<Pass>, Vec<Graph>), ViewError> {
    let mut text = print(graph);
    let mut passes = vec![pass(
        "traced",
        "The function as it was written: nothing is changed yet.",
        graph,
        compared(&text, &text),
    )];
    let mut graphs = vec![graph.clone()];
    for known in PASSES {
        let after = optimize(graph, Some(known.name))?;
        let next = print(&after);
        passes.push(pass(known.name, known.doc, &after, compared(&text, &next)));
        graphs.push(after);
        text = next;
    }
    Ok((passes, graphs))
}

fn pass(name: &str, about: &str, graph: &Graph, lines: Vec<Line>) -> Pass {
    let equations = graph.equations().iter();
    Pass {
        name: name.to_owned(),
        about: about.to_owned(),
        equations: equations
            .filter(|e| !e.op.is_input() && !e.op.is_constant())
            .count(),
        operations: graph.cost(),
        lines,
        picture: None,
    }
}

fn compared(before: &str, after: &str) -> Vec<Line> {
    if before.lines().count().max(after.lines().count()) > MOST_LINES {
        return Vec::new();
    }
    let diff = TextDiff::from_lines(before, after);
    let lines = diff.iter_all_changes().map(|change| Line {
        kind: match change.tag() {
            ChangeTag::Equal => "same",
            ChangeTag::Insert => "added",
            ChangeTag::Delete => "removed",
        }
        .to_owned(),
        text: change.value().trim_end_matches('\n').to_owned(),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_the_text_after_each_pass() {
        let text = "fn f(x: f64[3]) -> f64 { let a = x * 1.0; let b = a * a; sum(b + x * x) }";
        let graph = cotangent_graph::parse(text).unwrap().entry().clone();
        let (passes, graphs) = passes(&graph).unwrap();
        assert_eq!(passes.len(), PASSES.len() + 1);
        for (pass, graph) in passes.iter().zip(&graphs) {
            let kept = pass.lines.iter().filter(|l| l.kind != "removed");
            let text: String = kept.map(|l| format!("{}\n", l.text)).collect();
            assert_eq!(text, print(graph), "{}", pass.name);
        }
        let changed = passes
            .iter()
            .filter(|p| p.lines.iter().any(|l| l.kind == "removed"));
        let names: Vec<&str> = changed.map(|p| &p.name[..]).collect();
        assert_eq!(names, ["simplify"]);
        assert!(passes.last().unwrap().equations < passes[0].equations);
    }
}
