//! What is written in and beside boxes, and what is told of them.

use cotangent_array::Scalar;
use cotangent_graph::ops::{ArrayOp, Region, Value};
use cotangent_graph::{Equation, Graph, Line, Listing, Op, Var};

use super::EntityKind;
use crate::model::Node;

/// The width of a character of a label: monospaced fonts of 13 pixels have 0.6 of that.
const CHARACTER: f64 = 7.9;
/// The heights of an operation and of a folded group, which has a second line.
const HEIGHT: f64 = 28.0;
const GROUP_HEIGHT: f64 = 42.0;
/// Labels are cut here.
const LONGEST: usize = 30;
/// Equations are cut here: a constant may be long.
const LONGEST_TEXT: usize = 600;

/// The label of an operation: its name, the numbers it takes, and the attributes that say most.
pub(super) fn operation(graph: &Graph, e: &Equation, line: &Line, listing: &Listing) -> String {
    let name = match &e.op {
        Op::Call(callee) => return cut(listing.name(&callee.0)),
        Op::Region(region) => return cut(&self::region(region, listing)),
        Op::Native(native) => return cut(native.name()),
        op => op.name(),
    };
    let numbers: Vec<Option<Scalar>> = e.args.iter().map(|a| graph.splat(*a)).collect();
    let mut label = name.to_owned();
    // `mul 0.5`, but `sub(1, ·)`: a number in front changes what is meant, unless it may swap places.
    let commutes = matches!(
        name,
        "add" | "mul" | "zmul" | "maximum" | "minimum" | "and" | "or" | "xor" | "eq" | "ne"
    );
    let leading = numbers.iter().take_while(|n| n.is_none()).count();
    let trailing = numbers.iter().skip(leading).all(Option::is_some);
    if numbers.iter().any(Option::is_some) {
        let several = numbers.iter().any(Option::is_none);
        if several && ((trailing && leading > 0) || (commutes && numbers.len() == 2)) {
            for n in numbers.iter().flatten() {
                label.push(' ');
                label.push_str(&number(*n));
            }
        } else {
            let parts = numbers.iter().map(|n| n.map_or("·".to_owned(), number));
            label = format!("{name}({})", parts.collect::<Vec<_>>().join(", "));
        }
    }
    for (attribute, value) in &line.attributes {
        let text = match (*attribute, value) {
            ("axes" | "axis", value) => format!("{attribute} {}", bare(value)),
            ("dtype" | "n", value) => bare(value),
            _ => continue,
        };
        if label.len() + text.len() < LONGEST {
            label.push(' ');
            label.push_str(&text);
        }
    }
    cut(&label)
}

fn region(region: &Region, listing: &Listing) -> String {
    match region {
        Region::Cond(_) => "cond".to_owned(),
        Region::Scan(s) => {
            let way = if s.reverse { ", reverse" } else { "" };
            format!("scan {} × {}{way}", s.length, listing.name(&s.body.0))
        }
        Region::While(w) => format!("while {}", listing.name(&w.body.0)),
        Region::Sweeps(s) => format!("{} sweeps", s.bodies.len()),
        Region::Custom(c) => match c.name() {
            Some(name) => format!("named {name}"),
            None => format!("{} ({})", listing.name(&c.call.0), c.kind.name()),
        },
        Region::Pullback(p) => format!("pullback {}", listing.name(&p.rule.0)),
    }
}

/// The label of a constant: a number in full, or that it is one.
pub(super) fn constant(op: &Op) -> String {
    match op.splat() {
        Some(value) => cut(&number(value)),
        None => "constant".to_owned(),
    }
}

/// What is written beside an arrow along which these variables go.
pub(super) fn arrow(graph: &Graph, vars: &[Var]) -> String {
    match vars {
        [] => String::new(),
        [one] => graph.ty(*one).to_string(),
        several => {
            let types: Vec<String> = several
                .iter()
                .take(3)
                .map(|v| graph.ty(*v).to_string())
                .collect();
            let all = types.join(", ");
            match several.len() <= 3 && all.len() <= 24 {
                true => all,
                false => format!("{} arrays", several.len()),
            }
        }
    }
}

/// Fills in family, meaning and derivative.
pub(super) fn describe(node: &mut Node, e: &Equation, kind: EntityKind) {
    node.family = family(&e.op, kind).to_owned();
    if matches!(kind, EntityKind::Output(_)) {
        node.about = "A result of the function.".to_owned();
        return;
    }
    let words = e.op.documentation();
    node.about = sentence(words.about);
    node.kinks = sentence(words.convention);
    node.derivative = rule(&e.op, words.derivative);
}

/// One line for each operand where the row says a partial derivative for each.
fn rule(op: &Op, text: &str) -> Vec<String> {
    const NAMES: [&str; 3] = ["x", "y", "z"];
    if let Some(partials) = partials(op, text) {
        return (NAMES.iter().zip(partials))
            .map(|(name, partial)| format!("∂/∂{name}: {partial}"))
            .collect();
    }
    let text = sentence(text);
    match text.is_empty() {
        true => Vec::new(),
        false => vec![text],
    }
}

/// The partial derivative for each operand, where a row says it for each and not in one sentence.
pub(crate) fn partials(op: &Op, text: &str) -> Option<Vec<String>> {
    let text = sentence(text);
    let partials = match op {
        Op::Unary(_) | Op::Indexed(..) | Op::Binary(_) => top_level(&text),
        _ => Vec::new(),
    };
    let count = match op {
        Op::Binary(_) => 2,
        _ => 1,
    };
    let told = partials.len() == count && !text.starts_with("none") && !text.starts_with("zmul");
    told.then_some(partials)
}

/// The parts of a list that stand between commas outside of parentheses.
fn top_level(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0i32);
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts.iter().map(|p| p.trim().to_owned()).collect()
}

/// The text on one line.
fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn family(op: &Op, kind: EntityKind) -> &'static str {
    match (kind, op) {
        (EntityKind::Input, _) => "input",
        (EntityKind::Constant, _) => "constant",
        (EntityKind::Output(_), _) => "output",
        (_, Op::Array(op)) => match op {
            ArrayOp::RandomBits(_) => "random",
            ArrayOp::Dot(_) | ArrayOp::Conv(_) => "product",
            ArrayOp::Sum(_)
            | ArrayOp::Prod(_)
            | ArrayOp::Max(_)
            | ArrayOp::Min(_)
            | ArrayOp::Norm(_)
            | ArrayOp::ArgMax(_)
            | ArrayOp::ArgMin(_)
            | ArrayOp::Any(_)
            | ArrayOp::All(_)
            | ArrayOp::CumSum(_)
            | ArrayOp::CumProd(_)
            | ArrayOp::Recurrence(_)
            | ArrayOp::CumArgMax(_)
            | ArrayOp::CumArgMin(_)
            | ArrayOp::WindowSum(_)
            | ArrayOp::WindowMax(_)
            | ArrayOp::WindowArgMax(_) => "reduction",
            ArrayOp::Fft(_) | ArrayOp::Rfft(_) | ArrayOp::Irfft(_) => "linalg",
            _ => "move",
        },
        (_, Op::Linalg(_)) => "linalg",
        (_, Op::Call(_) | Op::Region(_) | Op::Native(_)) => "control",
        _ => "pointwise",
    }
}

/// Gives a box the size that its label needs.
pub(super) fn measure(node: &mut Node) {
    let grouped = node.group.is_some();
    let second = if grouped { 12.0 } else { 0.0 };
    let label = node.label.chars().count() as f64 * CHARACTER;
    // Whole even numbers, so that halves are whole.
    node.width = (((label + 22.0 + second) / 2.0).ceil() * 2.0).max(44.0);
    if grouped {
        node.width = node.width.max(96.0);
    }
    node.height = if grouped { GROUP_HEIGHT } else { HEIGHT };
}

/// An equation, cut where a constant makes it long.
pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn cut(label: &str) -> String {
    match label.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &label[..at]),
        None => label.to_owned(),
    }
}

fn number(value: Scalar) -> String {
    match value {
        Scalar::C64(z) => format!("{}{:+}i", z.re, z.im),
        Scalar::C128(z) => format!("{}{:+}i", z.re, z.im),
        // A whole number reads better without its `.0`; more than six digits say little in a box.
        real => {
            let exact = real.to_string();
            let short = exact.strip_suffix(".0").unwrap_or(&exact);
            match (short.len() > 8, real.as_real()) {
                (true, Some(x)) if real.dtype().is_float() => rounded(x),
                _ => short.to_owned(),
            }
        }
    }
}

/// Four digits, and that there are more.
fn rounded(x: f64) -> String {
    let plain = (1e-3..1e5).contains(&x.abs());
    match plain {
        true => {
            let digits = (3 - x.abs().log10().floor() as i32).max(0) as usize;
            format!("{x:.digits$}…")
        }
        false => format!("{x:.3e}"),
    }
}

/// A value of an attribute without brackets.
fn bare(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(bare).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
