//! `cotangent show`: the canonical text of a file or its picture, what passes and plans make of it, and the list of
//! operations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgGroup;
use cotangent::checked::{self, CheckedError};
use cotangent::explain;
use cotangent_compile::Options;
use cotangent_graph::ops::{
    ArrayOp, Binary, Compare, Indexed, Linalg, Part, Region, Row, Special, Ternary, Test, Unary,
};
use cotangent_graph::{Graph, Location, Op};
use cotangent_view::Study;

use crate::failure::{Failure, failed};
use crate::graphs::{Source, chosen};
use crate::{curve, files, graphs, run};

/// Prints the functions of a file in canonical form, or what becomes of one of them.
#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("drawn_or_listed").args(["plan", "html"]).multiple(true),
    group = ArgGroup::new("seen_from_inputs").args(["residuals", "html"]).multiple(true)
)]
pub struct Args {
    /// The file of functions; `-` is standard input.
    #[arg(
        value_name = "FILE.ct",
        required_unless_present = "ops",
        conflicts_with = "ops"
    )]
    file: Option<PathBuf>,
    /// The function; for the canonical text all of them, else the last one of the file if not given.
    #[arg(long = "fn", value_name = "NAME")]
    function: Option<String>,
    /// The text after this pass of the compiler and all before it.
    #[arg(long, value_name = "PASS", conflicts_with_all = ["plan", "residuals"])]
    after: Option<String>,
    /// The plan: steps, where their results lie in memory, what they cost.
    #[arg(long, conflicts_with = "residuals")]
    plan: bool,
    /// The most that a run may hold, inputs and results included: the plan computes some values again instead of keeping them.
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, allow_negative_numbers = true, requires = "drawn_or_listed")]
    memory: Option<usize>,
    /// Memory against time, for budgets from one that keeps everything down to the smallest found.
    #[arg(long, conflicts_with_all = ["after", "plan", "residuals", "memory"])]
    memory_curve: bool,
    /// Draws the graph (with --memory-curve the curve, beside its text) into this file; `-` is standard output.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["plan", "residuals"])]
    svg: Option<PathBuf>,
    /// Writes a page about the function here: its graph, a walk forward and backward, passes, memory and cost. It opens
    /// in any browser, without a network.
    #[arg(long, value_name = "FILE.html", conflicts_with_all = ["after", "plan", "residuals", "memory_curve", "svg"])]
    html: Option<PathBuf>,
    /// An input of the walk: a number, nested brackets or a .npy file; inputs without a value are made up.
    #[arg(
        long = "in",
        value_name = "NAME=VALUE|FILE.npy",
        allow_hyphen_values = true,
        requires = "html"
    )]
    inputs: Vec<String>,
    /// Inputs of the walk by name.
    #[arg(long, value_name = "IN.npz", requires = "html")]
    npz: Option<PathBuf>,
    /// What reverse mode keeps between forward and backward.
    #[arg(long)]
    residuals: bool,
    /// The inputs that residuals are kept for, or that the walk goes back to; all floats if not given.
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        requires = "seen_from_inputs"
    )]
    wrt: Vec<String>,
    /// Every operation with its derivative and its convention at kinks.
    #[arg(long, conflicts_with_all = ["function", "after", "plan", "residuals", "svg"])]
    ops: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Some(file) = args.file.as_ref().filter(|_| !args.ops) else {
        return files::print(&ops());
    };
    let source = Source::read(file)?;
    let function = args.function.as_deref();
    if let Some(path) = &args.html {
        return html(&source, args, path);
    }
    if let Some(svg) = args.svg.as_ref().filter(|_| !args.memory_curve) {
        let graph = source.function(function)?;
        let graph = match &args.after {
            Some(pass) => Arc::new(after(&graph, pass)?),
            None => graph,
        };
        return draw(&source, &graph, svg);
    }
    let text = if let Some(pass) = &args.after {
        cotangent_graph::print(&after(&*source.function(function)?, pass)?)
    } else if args.plan {
        let graph = source.function(function)?;
        let options = Options {
            memory_budget: args.memory,
            ..Options::default()
        };
        cotangent_compile::compile_with(&graph, &cotangent_cpu::target(), &options)?.to_string()
    } else if args.memory_curve {
        curve::show(&*source.function(function)?, args.svg.as_deref())?
    } else if args.residuals {
        residuals(&source, &*source.function(function)?, &args.wrt)?
    } else {
        match function {
            None => source.module.print(),
            Some(name) => cotangent_graph::print(&*source.function(Some(name))?),
        }
    };
    files::print(&text)?;
    if text.ends_with('\n') {
        Ok(())
    } else {
        files::print("\n")
    }
}

/// Draws a graph into a file.
fn draw(source: &Source, graph: &Graph, file: &Path) -> Result<(), Failure> {
    let options = cotangent_view::Options {
        source: Some(&source.name),
    };
    let picture = cotangent_view::picture_with(graph, &options);
    files::write(file, cotangent_view::graph_svg(&picture).as_bytes())
}

/// How many budgets the curve of a page has.
const CURVE: usize = 10;

fn html(source: &Source, args: &Args, path: &Path) -> Result<(), Failure> {
    files::check_writable(path)?;
    let graph = source.function(args.function.as_deref())?;
    let inputs = run::some_inputs(&graph, &args.inputs, args.npz.as_deref())?;
    let wrt = chosen(&graph, &args.wrt)?;
    let trouble = match checked::eval(&graph, &inputs) {
        Err(CheckedError::Fault(fault)) => {
            let place = source.place(fault.location).0;
            Some(format!("{place}: {}", fault.message()))
        }
        Err(error) => return Err(error.into()),
        Ok(_) => None,
    };
    let study = Study {
        source: Some(&source.name),
        about: format!("{} of {}", graph.name(), source.name),
        inputs: Some(&inputs),
        wrt: Some(&wrt),
        options: Options {
            memory_budget: args.memory,
            ..Options::default()
        },
        curve_points: CURVE,
        examples: true,
        measure: true,
        trouble,
        ..Study::default()
    };
    let page = study.page(&graph, &|location| graphs::line(&source.text, location))?;
    files::write(path, cotangent_view::page(&page)?.as_bytes())
}

fn after(graph: &Graph, pass: &str) -> Result<Graph, Failure> {
    let names: Vec<&str> = cotangent_compile::PASSES
        .iter()
        .map(|pass| pass.name)
        .collect();
    if !names.contains(&pass) {
        return failed(format!(
            "no pass is named `{pass}`; expected one of {}",
            names.join(", ")
        ));
    }
    Ok(cotangent_compile::optimize(graph, Some(pass))?)
}

fn residuals(source: &Source, graph: &Graph, wrt: &[String]) -> Result<String, Failure> {
    let kept = explain::residuals(graph, &chosen(graph, wrt)?)?;
    let place = |op: &str, location: Option<Location>| match location {
        Some(_) => format!("{op} at {}", source.place(location).0),
        None => op.to_owned(),
    };
    let (mut text, mut total) = (String::new(), 0usize);
    for (number, residual) in kept.iter().enumerate() {
        total = total.saturating_add(residual.bytes);
        let of = place(&residual.of, residual.location);
        let needs = residual.needs.iter().map(|n| place(&n.op, n.location));
        let needs: Vec<String> = needs.collect();
        let _ = writeln!(
            text,
            "r{number}: {}, {} bytes, {of}, for the derivative of {}",
            residual.ty,
            residual.bytes,
            needs.join(", ")
        );
    }
    let _ = writeln!(text, "{} residuals, {total} bytes", kept.len());
    Ok(text)
}

/// Every operation, from the rows.
fn ops() -> String {
    let mut text = String::new();
    let families: [(&str, Vec<&Row>); 8] = [
        (
            "Pointwise, of one operand",
            Unary::ALL.iter().map(|op| op.row()).collect(),
        ),
        (
            "Pointwise, with a whole number n",
            Indexed::ALL.iter().map(|op| op.row()).collect(),
        ),
        (
            "Pointwise, of two operands",
            Binary::ALL.iter().map(|op| op.row()).collect(),
        ),
        (
            "Complex numbers and their parts",
            (Part::ALL.iter().map(|op| op.row()))
                .chain([Part::complex_row()])
                .collect(),
        ),
        (
            "Comparisons",
            Compare::ALL.iter().map(|op| op.row()).collect(),
        ),
        ("Tests", Test::ALL.iter().map(|op| op.row()).collect()),
        (
            "Pointwise, of three operands",
            Ternary::ALL.iter().map(|op| op.row()).collect(),
        ),
        (
            "Special functions, with the orders of differentiation in their operands",
            Special::ALL.iter().map(|op| op.row()).collect(),
        ),
    ];
    for (title, rows) in families {
        let _ = writeln!(text, "# {title}\n");
        for row in rows {
            entry(
                &mut text,
                row.name,
                row.doc,
                row.kinds.words(),
                row.derivative,
                row.convention,
            );
        }
    }
    text.push_str("# Other operations\n\n");
    for (name, doc, derivative, convention) in ArrayOp::ALL {
        entry(&mut text, name, doc, "", derivative, convention);
    }
    text.push_str("# Linear algebra\n\n");
    for (name, doc, derivative, convention) in Linalg::ALL {
        entry(&mut text, name, doc, "f64 or f32", derivative, convention);
    }
    text.push_str("# Control flow\n\n");
    for (name, doc, derivative, convention) in Region::ALL {
        entry(&mut text, name, doc, "", derivative, convention);
    }
    text.push_str("# Of the language itself\n\n");
    // Inputs are no operation that a text writes.
    for op in Op::LANGUAGE.iter().filter(|op| op.name != "input") {
        entry(
            &mut text,
            op.name,
            op.about,
            "",
            op.derivative,
            op.convention,
        );
    }
    text
}

fn entry(
    text: &mut String,
    name: &str,
    doc: &str,
    dtypes: &str,
    derivative: &str,
    convention: &str,
) {
    let _ = writeln!(text, "{name}");
    for line in doc.trim().lines() {
        let _ = writeln!(text, "    {}", line.trim());
    }
    for (label, value) in [
        ("takes", dtypes),
        ("derivative", derivative),
        ("at the edges", convention),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "    {label}: {}", value.trim());
        }
    }
    text.push('\n');
}
