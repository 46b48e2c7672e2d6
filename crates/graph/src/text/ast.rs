//! What a text says, before types are known.

use cotangent_array::Scalar;

use super::{At, MAX_NESTING, ParseError};
use crate::{Around, TensorType};

/// A function as written.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) inputs: Vec<(String, TensorType, At)>,
    pub(super) outputs: Option<Annotation>,
    pub(super) lets: Vec<Let>,
    pub(super) results: Vec<Expr>,
}

/// A type as written: one array or several in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Annotation {
    One(TensorType),
    Tuple(Vec<TensorType>),
}

/// `let name: type = value;`, with the checkpoints around it in front.
#[derive(Clone, Debug)]
pub(super) struct Let {
    pub(super) around: Vec<Around>,
    pub(super) name: String,
    pub(super) at: At,
    pub(super) ty: Option<Annotation>,
    pub(super) value: Expr,
}

/// An expression and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) at: At,
    /// How deep it nests, which is bounded so that walks may recurse.
    height: usize,
    pub(super) kind: ExprKind,
}

impl Expr {
    /// An expression, unless it nests deeper than a text may.
    pub(super) fn new(at: At, kind: ExprKind) -> Result<Expr, ParseError> {
        let below = match &kind {
            ExprKind::Name(_) | ExprKind::Literal(_) => 0,
            ExprKind::List(items) | ExprKind::Tuple(items) => highest(items),
            ExprKind::Unary(_, x) => x.height,
            ExprKind::Binary(_, x, y) => x.height.max(y.height),
            ExprKind::Call {
                args, attributes, ..
            } => attributes
                .iter()
                .map(|(_, e)| e.height)
                .max()
                .unwrap_or(0)
                .max(highest(args)),
            ExprKind::Index(x, subscripts) => {
                let inner = subscripts.iter().map(|s| match s {
                    Subscript::At(e) => e.height,
                    _ => 0,
                });
                inner.max().unwrap_or(0).max(x.height)
            }
        };
        if below >= MAX_NESTING {
            let message = format!(
                "expected an expression that nests at most {MAX_NESTING} deep; name a part with `let`"
            );
            return Err(ParseError::new(at, message));
        }
        Ok(Expr {
            at,
            height: below + 1,
            kind,
        })
    }
}

fn highest(items: &[Expr]) -> usize {
    items.iter().map(|e| e.height).max().unwrap_or(0)
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub(super) enum ExprKind {
    Name(String),
    /// A number, true or false; a dtype where one was written behind it.
    Literal(Number),
    /// `[[1, 2], [3, 4]]`
    List(Vec<Expr>),
    /// `(a, b)`, as a value of an attribute.
    Tuple(Vec<Expr>),
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `name(operands, attribute=value)`
    Call {
        name: String,
        args: Vec<Expr>,
        attributes: Vec<(String, Expr)>,
    },
    /// `x[1, 2:3]`
    Index(Box<Expr>, Vec<Subscript>),
}

/// A literal, with the dtype written behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: Scalar,
    pub(super) typed: bool,
}

/// One part of an index.
#[derive(Clone, Debug)]
pub(super) enum Subscript {
    At(Expr),
    Range {
        start: Option<i64>,
        limit: Option<i64>,
        step: Option<i64>,
        at: At,
    },
    Ellipsis,
}
