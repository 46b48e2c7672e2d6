//! Symbolic differentiation: derivatives as formulas, as one writes them by hand.
//!
//! A formula has no names for intermediate results, so what is used twice is written twice, and each
//! of the derivative rules mentions its operands again. The formula of a derivative grows with the
//! size of the formula, not with that of the graph: exponentially with the depth where results are
//! used several times (expression swell). This is here to be counted and shown beside the engine's
//! derivatives, which are graphs and share everything; nothing else uses it.
//!
//! ```
//! use cotangent_transform::symbolic;
//! let f = cotangent_graph::parse("fn f(x: f64) -> f64 { sin(x) * x }")?.entry().clone();
//! let df = symbolic::derivative(&f, 0)?;
//! assert_eq!(symbolic::to_expression(&df)?, "cos(x) * x + sin(x)");
//! assert_eq!(symbolic::formula_operations(&df)?, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use cotangent_graph::ops::{Binary, Compare, Indexed, Unary};
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};

use crate::forward::{Forward, is_float};
use crate::{TransformError, grad};

/// A formula of more operations than this is not written out.
pub const MAX_WRITTEN: u128 = 2_000;

/// How many operations a function and its derivative take as formulas and as graphs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Operations of the formula.
    pub formula: u128,
    /// Operations of the derivative's formula.
    pub formula_derivative: u128,
    /// Operations of the graph.
    pub graph: usize,
    /// Operations of the graph of the gradient.
    pub graph_derivative: usize,
}

/// Counts the operations of a scalar function and of its derivative with respect to one input, from
/// 0, as formulas and as graphs. Nothing is written out: the time is that of a walk over the graphs,
/// and counts beyond 2^128 - 1 stay there.
///
/// # Errors
/// As for [`grad`]; a function with calls, branches or loops, which formulas do not have.
pub fn sizes(graph: &Graph, input: usize) -> Result<Sizes, TransformError> {
    let wrt: Vec<bool> = (0..graph.inputs().len()).map(|i| i == input).collect();
    let gradient = grad(graph, &wrt)?;
    Ok(Sizes {
        formula: formula_operations(graph)?,
        formula_derivative: formula_operations(&derivative(graph, input)?)?,
        graph: graph.without_dead_code().operation_count(),
        graph_derivative: gradient.operation_count(),
    })
}

/// The derivative with respect to one input, from 0, by the rules of a textbook: for each operation
/// its partials times the derivatives of its operands, in forward order. Products with 0 and 1 are left
/// out. The result is a graph, in which every value still has one name; [`to_expression`] writes it out
/// as a formula and [`formula_operations`] counts that. An input that is an array moves in all
/// elements together.
///
/// # Errors
/// An input that there is not, or that is no float; not just one output, a float.
pub fn derivative(graph: &Graph, input: usize) -> Result<Graph, TransformError> {
    let wrt: Vec<bool> = (0..graph.inputs().len()).map(|i| i == input).collect();
    crate::forward::check_choice(graph, &wrt)?;
    let types = graph.output_types();
    let ([output], [_]) = (graph.outputs(), &types[..]) else {
        return Err(not_one(graph, &types));
    };
    if !types.iter().all(is_float) {
        return Err(not_one(graph, &types));
    }
    let mut b = cotangent_graph::Builder::new(&format!("{}_derivative", graph.name()));
    let inputs: Vec<Var> = graph
        .inputs()
        .iter()
        .zip(graph.input_types())
        .map(|((n, _), t)| b.input(n, t))
        .collect();
    let tangents: Vec<Option<Var>> = inputs
        .iter()
        .zip(&wrt)
        .map(|(v, w)| w.then(|| b.like(*v, 1.0)))
        .collect();
    let forward = Forward::walk(&mut b, graph, &inputs, &tangents, false)?;
    let at = output.index();
    let slope = forward.tangents[at].unwrap_or_else(|| b.like(forward.to[at], 0.0));
    Ok(b.finish(&[slope])?.without_dead_code())
}

/// The number of operations of a graph's outputs, written out as formulas: every use of a result
/// counts all operations that it takes. Beyond 2^128 - 1 it stays there.
///
/// # Errors
/// A graph with calls, branches or loops.
pub fn formula_operations(graph: &Graph) -> Result<u128, TransformError> {
    let mut counts = vec![0_u128; graph.equations().len()];
    for (v, e) in graph.iter() {
        if e.op.is_input() || e.op.is_constant() {
            continue;
        }
        plain(e)?;
        let operands = e.args.iter().map(|a| counts[a.index()]);
        counts[v.index()] = operands.fold(1, u128::saturating_add);
    }
    let outputs = graph.outputs().iter().map(|o| counts[o.index()]);
    Ok(outputs.fold(0, u128::saturating_add))
}

/// The outputs written out as formulas, simplified lightly: products with 0 and 1, sums with 0, powers
/// 1, operations on numbers alone. Several outputs are a tuple. The text form reads it back, as the
/// body of a function with the same inputs, unless it has large constants.
///
/// # Errors
/// A graph with calls, branches or loops, or a formula of more than [`MAX_WRITTEN`] operations.
pub fn to_expression(graph: &Graph) -> Result<String, TransformError> {
    let graph = graph.without_dead_code();
    let count = formula_operations(&graph)?;
    if count > MAX_WRITTEN {
        return Err(TransformError::Formula(format!(
            "`{}`: expected a formula of at most {MAX_WRITTEN} operations to write out, found {count}",
            graph.name()
        )));
    }
    let last = graph.last_uses();
    let mut texts: Vec<Text> = vec![Text::default(); graph.equations().len()];
    for (name, v) in graph.inputs() {
        texts[v.index()] = Text::atom(name.to_string());
    }
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        let args: Vec<&Text> = e.args.iter().map(|a| &texts[a.index()]).collect();
        texts[v.index()] = written(&graph, e, &args);
        for a in e.args.iter().filter(|a| last[a.index()] == v.index()) {
            texts[a.index()] = Text::default();
        }
    }
    let outputs: Vec<&str> = graph
        .outputs()
        .iter()
        .map(|o| &*texts[o.index()].text)
        .collect();
    Ok(match &outputs[..] {
        [one] => (*one).to_owned(),
        several => format!("({})", several.join(", ")),
    })
}

/// A written formula.
#[derive(Clone, Default, Debug)]
struct Text {
    text: String,
    /// How tightly its outermost operation binds.
    binds: u8,
    /// The number that it is, if it is one.
    number: Option<f64>,
}

const SUM: u8 = 1;
const PRODUCT: u8 = 2;
const SIGN: u8 = 3;
const POWER: u8 = 4;
const ATOM: u8 = 5;

impl Text {
    fn atom(text: String) -> Text {
        Text {
            text,
            binds: ATOM,
            number: None,
        }
    }

    fn number(x: f64) -> Text {
        let text = match x {
            _ if x.is_nan() => "nan".to_owned(),
            _ if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.to_owned(),
            _ => format!("{x:?}"),
        };
        Text {
            binds: if text.starts_with('-') { SIGN } else { ATOM },
            text,
            number: Some(x),
        }
    }

    fn is(&self, x: f64) -> bool {
        self.number == Some(x)
    }

    /// The text as an operand of something that binds as tightly.
    fn within(&self, binds: u8) -> String {
        if self.binds < binds {
            format!("({})", self.text)
        } else {
            self.text.clone()
        }
    }

    fn negated(x: &Text) -> Text {
        match x.number {
            Some(n) => Text::number(-n),
            None => Text {
                text: format!("-{}", x.within(POWER)),
                binds: SIGN,
                number: None,
            },
        }
    }
}

/// One operation written out.
fn written(graph: &Graph, e: &Equation, args: &[&Text]) -> Text {
    let scalar = e.ty.tensor().is_some_and(|t| t.rank() == 0 && is_float(t));
    if let (true, Some(numbers)) = (
        scalar,
        args.iter().map(|a| a.number).collect::<Option<Vec<_>>>(),
    ) && let Some(x) = folded(&e.op, &numbers)
    {
        return Text::number(x);
    }
    match (&e.op, args) {
        (Op::Full(value, _), _) if value.dtype().is_float() => Text::number(value.to_f64()),
        (Op::Full(value, _), _) => Text::atom(match value.dtype().is_bool() {
            true => (value.to_f64() != 0.0).to_string(),
            false => value.to_i64().to_string(),
        }),
        (Op::Constant(array), _) => Text::atom(format!("constant({})", nested(array))),
        (Op::Unary(Unary::Neg), [x]) => Text::negated(x),
        (Op::Binary(Binary::Add), [x, y]) => match y.text.strip_prefix('-') {
            _ if x.is(0.0) => (*y).clone(),
            _ if y.is(0.0) => (*x).clone(),
            Some(rest) if y.binds == SIGN => Text {
                text: format!("{} - {rest}", x.within(SUM)),
                binds: SUM,
                number: None,
            },
            _ => Text {
                text: format!("{} + {}", x.within(SUM), y.within(PRODUCT)),
                binds: SUM,
                number: None,
            },
        },
        (Op::Binary(Binary::Sub), [x, y]) if x.is(0.0) => Text::negated(y),
        (Op::Binary(Binary::Sub), [x, y]) if y.is(0.0) => (*x).clone(),
        (Op::Binary(Binary::Sub), [x, y]) => Text {
            text: format!(
                "{} - {}",
                x.within(SUM),
                y.within(if y.binds == SIGN { ATOM } else { PRODUCT })
            ),
            binds: SUM,
            number: None,
        },
        (Op::Binary(Binary::Mul | Binary::Zmul), [x, y]) => {
            if x.is(0.0) || y.is(0.0) {
                Text::number(0.0)
            } else if x.is(1.0) {
                (*y).clone()
            } else if y.is(1.0) {
                (*x).clone()
            } else if x.is(-1.0) {
                Text::negated(y)
            } else if y.is(-1.0) {
                Text::negated(x)
            } else {
                Text {
                    text: format!("{} * {}", x.within(PRODUCT), y.within(POWER)),
                    binds: PRODUCT,
                    number: None,
                }
            }
        }
        (Op::Binary(Binary::Div), [x, y]) if y.is(1.0) => (*x).clone(),
        (Op::Binary(Binary::Div), [x, y]) => Text {
            text: format!("{} / {}", x.within(PRODUCT), y.within(POWER)),
            binds: PRODUCT,
            number: None,
        },
        (Op::Binary(Binary::Pow), [x, y]) if y.is(1.0) => (*x).clone(),
        (Op::Binary(Binary::Pow), [x, y]) => Text {
            text: format!("{} ** {}", x.within(ATOM), y.within(ATOM)),
            binds: POWER,
            number: None,
        },
        (Op::Indexed(Indexed::Powi, 1), [x]) => (*x).clone(),
        (Op::Compare(op), [x, y]) => {
            let sign = match op {
                Compare::Eq => "==",
                Compare::Ne => "!=",
                Compare::Lt => "<",
                Compare::Le => "<=",
                Compare::Gt => ">",
                Compare::Ge => ">=",
            };
            Text {
                text: format!("{} {sign} {}", x.within(SUM), y.within(SUM)),
                binds: 0,
                number: None,
            }
        }
        (op, args) => {
            let mut inside: Vec<String> = args.iter().map(|a| a.text.clone()).collect();
            match op {
                Op::Indexed(_, n) => inside.push(format!("n={n}")),
                Op::Special(op, orders) => {
                    let attributes = op.attributes(*orders).into_iter();
                    inside.extend(attributes.map(|(name, value)| format!("{name}={value}")));
                }
                Op::Convert(dtype) => inside.push(format!("dtype={dtype}")),
                Op::Array(array) => {
                    let types: Vec<&TensorType> = e
                        .args
                        .iter()
                        .filter_map(|a| graph.ty(*a).tensor())
                        .collect();
                    let attributes = array.attributes(&types).into_iter();
                    inside.extend(attributes.map(|(name, value)| format!("{name}={value}")));
                }
                _ => {}
            }
            Text::atom(format!("{}({})", op.name(), inside.join(", ")))
        }
    }
}

/// The value of plain arithmetic on numbers; other functions of numbers stay as they are written.
fn folded(op: &Op, args: &[f64]) -> Option<f64> {
    let value = match (op, args) {
        (Op::Unary(op @ Unary::Neg), [x]) => op.float(*x),
        (
            Op::Binary(
                op @ (Binary::Add
                | Binary::Sub
                | Binary::Mul
                | Binary::Zmul
                | Binary::Div
                | Binary::Pow),
            ),
            [x, y],
        ) => op.float(*x, *y),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// An array in nested brackets.
fn nested(array: &cotangent_array::Array) -> String {
    fn level(dims: &[usize], items: &[String]) -> String {
        match dims.split_first() {
            None => items.first().cloned().unwrap_or_default(),
            Some((n, rest)) => {
                let each = items.len() / (*n).max(1);
                let parts: Vec<String> =
                    items.chunks(each.max(1)).map(|c| level(rest, c)).collect();
                format!("[{}]", parts.join(", "))
            }
        }
    }
    let items: Vec<String> = array
        .scalars()
        .map(|s| match s.dtype() {
            d if d.is_float() => Text::number(s.to_f64()).text,
            d if d.is_bool() => (s.to_f64() != 0.0).to_string(),
            _ => s.to_i64().to_string(),
        })
        .collect();
    level(array.shape().dims(), &items)
}

/// Fails for what no formula has: bodies and several results at once.
fn plain(e: &Equation) -> Result<(), TransformError> {
    if e.op.callees().next().is_none() && e.ty.tensor().is_some() {
        return Ok(());
    }
    let place = e.location.map_or(String::new(), |l| format!("{l}: "));
    Err(TransformError::Formula(format!(
        "{place}`{}` cannot be written as a formula: expected no calls, branches and loops",
        e.op.name()
    )))
}

fn not_one(graph: &Graph, types: &[TensorType]) -> TransformError {
    let types: Vec<String> = types.iter().map(|t| t.to_string()).collect();
    TransformError::Formula(format!(
        "`{}` gives ({}): expected one float to take the derivative of",
        graph.name(),
        types.join(", ")
    ))
}
