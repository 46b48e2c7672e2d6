//! The passes, in one list.

mod affine;
mod axes;
mod borders;
mod columns;
mod cse;
mod custom;
mod dead;
mod fold;
mod loops;
mod parts;
mod picks;
mod products;
mod rewrite;
mod rules;
mod shifts;
pub mod simplify;

use std::borrow::Cow;

use cotangent_graph::Graph;

use crate::CompileError;

/// A pass: a graph goes in, an equal and better one comes out.
///
/// Every pass is a forward walk or two, linear in the graph.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// The name, for `show --after`.
    pub name: &'static str,
    /// What the pass does.
    pub doc: &'static str,
    /// Runs the pass; the graph as it was where the pass finds nothing to improve.
    pub run: for<'a> fn(Cow<'a, Graph>) -> Result<Cow<'a, Graph>, CompileError>,
    /// A later pass that does the work of this one on its way. Where that one runs, this one need not.
    pub within: Option<&'static str>,
}

/// Every pass, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "custom",
        doc: "Puts functions that have rules of their own in place: small ones are copied, others called.",
        run: |graph| changed(graph, custom::run),
        within: None,
    },
    Pass {
        name: "loops",
        doc: "Takes out of loops and branches what nobody reads and what is the same in every step.",
        run: |graph| changed(graph, loops::run),
        within: None,
    },
    Pass {
        name: "fold",
        doc: "Computes operations on constants with the reference evaluator, up to 1,024 elements.",
        run: |graph| changed(graph, fold::run),
        within: Some("simplify"),
    },
    Pass {
        name: "simplify",
        doc: "Replaces operations by cheaper equal ones, rule by rule.",
        run: |graph| changed(graph, simplify::run),
        within: None,
    },
    Pass {
        name: "cse",
        doc: "Gives equal operations one variable, whatever the order of operands where it does not matter.",
        run: |graph| changed(graph, cse::run),
        within: None,
    },
    Pass {
        name: "parts",
        doc: "Puts parts of an array side by side where they were padded with zeros and summed.",
        run: |graph| changed(graph, parts::run),
        within: None,
    },
    Pass {
        name: "products",
        doc: "Orders sums of products by cost: chains of matrices, sums before products, outer products that are summed.",
        run: |graph| changed(graph, products::run),
        within: None,
    },
    Pass {
        name: "axes",
        doc: "Computes operands of products with their axes as they stand in memory, where they would be transposed.",
        run: |graph| changed(graph, axes::run),
        within: None,
    },
    Pass {
        name: "picks",
        doc: "Computes only what is picked, where one element of each row is; puts numbers into rows by comparing positions.",
        run: |graph| changed(graph, picks::run),
        within: None,
    },
    Pass {
        name: "columns",
        doc: "Takes arrays of a long first axis and short other ones apart, where operations mix along the short ones.",
        run: |graph| changed(graph, columns::run),
        within: None,
    },
    Pass {
        name: "borders",
        doc: "Puts numbers around what is repeated by comparing positions, so that regions read what it is repeated from.",
        run: |graph| changed(graph, borders::run),
        within: None,
    },
    Pass {
        name: "shifts",
        doc: "Computes what is read across one shift alone where it is read, from what is in memory anyway.",
        run: |graph| changed(graph, shifts::run),
        within: None,
    },
    Pass {
        name: "dead",
        doc: "Removes operations that no output needs.",
        run: dead::run,
        within: None,
    },
];

/// Runs the passes in order, all of them or those up to and including `until`. In debug builds the
/// graph is verified after each.
///
/// # Errors
/// A name that no pass has, or a graph that does not verify.
pub fn optimize(graph: &Graph, until: Option<&str>) -> Result<Graph, CompileError> {
    Ok(improved(graph, until)?.into_owned())
}

/// As [`optimize`], without a copy where nothing is improved.
pub(crate) fn improved<'a>(
    graph: &'a Graph,
    until: Option<&str>,
) -> Result<Cow<'a, Graph>, CompileError> {
    let end = match until {
        None => PASSES.len(),
        Some(name) => match PASSES.iter().position(|p| p.name == name) {
            Some(i) => i + 1,
            None => {
                let known: Vec<&str> = PASSES.iter().map(|p| p.name).collect();
                return Err(CompileError::UnknownPass {
                    name: name.to_owned(),
                    known: known.join(", "),
                });
            }
        },
    };
    let passes = &PASSES[..end];
    let done_later = |pass: &Pass| {
        let later = pass.within;
        later.is_some_and(|later| passes.iter().any(|p| p.name == later))
    };
    let mut current = Cow::Borrowed(graph);
    for pass in passes.iter().filter(|pass| !done_later(pass)) {
        current = (pass.run)(current)?;
    }
    Ok(current)
}

/// The graph that a pass makes of another, or that one.
fn changed<'a>(
    graph: Cow<'a, Graph>,
    pass: fn(&Graph) -> Result<Option<Graph>, CompileError>,
) -> Result<Cow<'a, Graph>, CompileError> {
    Ok(match pass(&graph)? {
        Some(better) => Cow::Owned(better),
        None => graph,
    })
}
