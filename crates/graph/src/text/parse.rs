//! Tokens to expressions. Precedence from loose to tight: `|`, `^`, `&`, comparisons, `+ -`,
//! `* / % @`, unary `- !`, `**`, indexing.

use cotangent_array::{Complex64, DType, Scalar, Shape};

use super::ast::{Annotation, Expr, ExprKind, Function, Let, Number, Subscript};
use super::lex::{Kind, Lexer, Token};
use super::{At, MAX_NESTING, ParseError};
use crate::{Around, TensorType};

/// Reads all functions of a text.
pub(super) fn parse_functions(text: &str) -> Result<Vec<Function>, ParseError> {
    let mut p = Parser::new(text)?;
    let mut functions = Vec::new();
    while p.now.kind != Kind::End {
        functions.push(p.function()?);
    }
    if functions.is_empty() {
        return Err(p.expected("a function, `fn name(...) { ... }`"));
    }
    Ok(functions)
}

/// Operators of two operands by how tightly they bind.
const LEVELS: &[&[&str]] = &[
    &["|"],
    &["^"],
    &["&"],
    &["==", "!=", "<", "<=", ">", ">="],
    &["+", "-"],
    &["*", "/", "%", "@"],
];

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is looked at, and the one behind it.
    now: Token<'a>,
    then: Token<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, ParseError> {
        let mut lexer = Lexer::new(text);
        let (now, then) = (lexer.next()?, lexer.next()?);
        Ok(Parser {
            lexer,
            now,
            then,
            depth: 0,
        })
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.now = self.then;
        self.then = self.lexer.next()?;
        Ok(())
    }

    fn function(&mut self) -> Result<Function, ParseError> {
        self.word("fn")?;
        let at = self.now.at;
        let name = self.name("the name of a function")?;
        self.sign("(")?;
        let mut inputs = Vec::new();
        while !self.eat(")")? {
            let at = self.now.at;
            let name = self.name("the name of an input, or `)`")?;
            self.sign(":")?;
            inputs.push((name, self.tensor_type()?, at));
            if !self.eat(",")? {
                self.sign(")")?;
                break;
            }
        }
        let outputs = if self.eat("->")? {
            Some(self.annotation()?)
        } else {
            None
        };
        self.sign("{")?;
        let mut lets = Vec::new();
        while matches!(self.now.kind, Kind::Name("let") | Kind::Sign("#")) {
            let around = self.label()?;
            self.word("let")?;
            let at = self.now.at;
            let name = self.name("the name of a variable")?;
            let ty = if self.eat(":")? {
                Some(self.annotation()?)
            } else {
                None
            };
            self.sign("=")?;
            let value = self.expr()?;
            self.sign(";")?;
            lets.push(Let {
                around,
                name,
                at,
                ty,
                value,
            });
        }
        let results = self.results()?;
        if !self.eat("}")? {
            return Err(self.expected("`}` to end the function"));
        }
        Ok(Function {
            name,
            at,
            inputs,
            outputs,
            lets,
            results,
        })
    }

    /// The checkpoints around an equation, `#[checkpoint([0, 2], way=[1, 0])]`; nothing is none.
    fn label(&mut self) -> Result<Vec<Around>, ParseError> {
        if !self.eat("#")? {
            return Ok(Vec::new());
        }
        self.sign("[")?;
        self.word("checkpoint")?;
        self.sign("(")?;
        let ids = self.numbers("the number of a checkpoint")?;
        let mut ways = Vec::new();
        let at = self.then.at;
        if self.eat(",")? && self.now.kind != Kind::Sign(")") {
            self.word("way")?;
            self.sign("=")?;
            ways = self.numbers("a way through a checkpoint")?;
            if ways.len() != ids.len() {
                let message = format!(
                    "expected a way for each of {} checkpoints, found {}",
                    ids.len(),
                    ways.len()
                );
                return Err(ParseError::new(at, message));
            }
        }
        self.sign(")")?;
        self.sign("]")?;
        let ways = ways.into_iter().chain(std::iter::repeat(0));
        Ok((ids.into_iter().zip(ways))
            .map(|(id, way)| Around {
                id: u64::from(id),
                way,
            })
            .collect())
    }

    /// Whole numbers in brackets.
    fn numbers(&mut self, what: &str) -> Result<Vec<u32>, ParseError> {
        self.sign("[")?;
        let mut numbers = Vec::new();
        while !self.eat("]")? {
            let number = match self.now.kind {
                Kind::Int(digits, "") => digits.parse().ok(),
                _ => None,
            };
            let Some(number) = number else {
                return Err(self.expected(what));
            };
            self.advance()?;
            numbers.push(number);
            if !self.eat(",")? {
                self.sign("]")?;
                break;
            }
        }
        Ok(numbers)
    }

    /// The last expression of a function: one value, or `(a, b)`.
    fn results(&mut self) -> Result<Vec<Expr>, ParseError> {
        let result = self.expr()?;
        match result.kind {
            ExprKind::Tuple(items) => Ok(items),
            _ => Ok(vec![result]),
        }
    }

    fn annotation(&mut self) -> Result<Annotation, ParseError> {
        if !self.eat("(")? {
            return self.tensor_type().map(Annotation::One);
        }
        let mut parts = Vec::new();
        while !self.eat(")")? {
            parts.push(self.tensor_type()?);
            if !self.eat(",")? {
                self.sign(")")?;
                break;
            }
        }
        Ok(Annotation::Tuple(parts))
    }

    fn tensor_type(&mut self) -> Result<TensorType, ParseError> {
        let at = self.now.at;
        let dtype = match self.now.kind {
            Kind::Name(n) => n.parse::<DType>().ok(),
            _ => None,
        };
        let Some(dtype) = dtype else {
            return Err(self.expected("a type such as f64[2, 3]"));
        };
        self.advance()?;
        let mut dims = Vec::new();
        if self.eat("[")? {
            while !self.eat("]")? {
                dims.push(self.size()?);
                if !self.eat(",")? {
                    self.sign("]")?;
                    break;
                }
            }
        }
        let ty = TensorType::new(dtype, Shape::from(dims));
        match ty.check_size() {
            Ok(()) => Ok(ty),
            Err(e) => Err(ParseError::new(at, e.to_string())),
        }
    }

    fn size(&mut self) -> Result<usize, ParseError> {
        if let Kind::Int(digits, "") = self.now.kind
            && let Ok(n) = digits.parse::<usize>()
        {
            self.advance()?;
            return Ok(n);
        }
        Err(self.expected("the length of an axis"))
    }

    fn expr(&mut self) -> Result<Expr, ParseError> {
        self.nested(|p| p.level(0))
    }

    fn level(&mut self, level: usize) -> Result<Expr, ParseError> {
        let Some(signs) = LEVELS.get(level) else {
            return self.prefix();
        };
        let mut left = self.level(level + 1)?;
        while let Kind::Sign(s) = self.now.kind {
            let Some(sign) = signs.iter().find(|known| **known == s) else {
                break;
            };
            let at = self.now.at;
            self.advance()?;
            let right = self.level(level + 1)?;
            left = Expr::new(at, ExprKind::Binary(sign, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Expr, ParseError> {
        let at = self.now.at;
        for sign in ["-", "!"] {
            if self.eat(sign)? {
                let inner = self.nested(Self::prefix)?;
                // A minus in front of a number belongs to the number.
                return match (sign, negated(&inner)) {
                    ("-", Some(number)) => Expr::new(at, ExprKind::Literal(number)),
                    _ => Expr::new(at, ExprKind::Unary(sign, Box::new(inner))),
                };
            }
        }
        self.power()
    }

    fn power(&mut self) -> Result<Expr, ParseError> {
        let base = self.postfix()?;
        let at = self.now.at;
        if !self.eat("**")? {
            return Ok(base);
        }
        // Right-associative, and the exponent may carry a sign: x ** -2 ** 2.
        let exponent = self.nested(Self::prefix)?;
        Expr::new(
            at,
            ExprKind::Binary("**", Box::new(base), Box::new(exponent)),
        )
    }

    fn postfix(&mut self) -> Result<Expr, ParseError> {
        let mut value = self.primary()?;
        while self.now.kind == Kind::Sign("[") {
            let at = self.now.at;
            self.advance()?;
            let mut subscripts = Vec::new();
            while !self.eat("]")? {
                subscripts.push(self.subscript()?);
                if !self.eat(",")? {
                    self.sign("]")?;
                    break;
                }
            }
            value = Expr::new(at, ExprKind::Index(Box::new(value), subscripts))?;
        }
        Ok(value)
    }

    fn subscript(&mut self) -> Result<Subscript, ParseError> {
        if self.eat("...")? || self.eat("..")? {
            return Ok(Subscript::Ellipsis);
        }
        let at = self.now.at;
        let first = if self.now.kind == Kind::Sign(":") {
            None
        } else {
            Some(self.expr()?)
        };
        if !self.eat(":")? {
            return match first {
                Some(e) => Ok(Subscript::At(e)),
                None => Err(self.expected("an index")),
            };
        }
        let start = first.map(|e| whole(&e)).transpose()?;
        let limit = self.bound()?;
        let step = if self.eat(":")? { self.bound()? } else { None };
        Ok(Subscript::Range {
            start,
            limit,
            step,
            at,
        })
    }

    fn bound(&mut self) -> Result<Option<i64>, ParseError> {
        match self.now.kind {
            Kind::Sign(":" | "," | "]") => Ok(None),
            _ => {
                let e = self.expr()?;
                whole(&e).map(Some)
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let Token { kind, at } = self.now;
        if !matches!(
            kind,
            Kind::Int(..) | Kind::Float(..) | Kind::Name(_) | Kind::Sign("(" | "[")
        ) {
            return Err(self.expected("a value"));
        }
        self.advance()?;
        match kind {
            Kind::Int(digits, suffix) | Kind::Float(digits, suffix) => {
                let float = matches!(kind, Kind::Float(..));
                Expr::new(at, ExprKind::Literal(number(at, digits, float, suffix)?))
            }
            Kind::Name(name) => match name {
                "true" => literal(at, Scalar::Bool(true)),
                "false" => literal(at, Scalar::Bool(false)),
                "nan" => literal(at, Scalar::F64(f64::NAN)),
                "inf" => literal(at, Scalar::F64(f64::INFINITY)),
                _ if self.eat("(")? => self.call(name.to_owned(), at),
                _ => Expr::new(at, ExprKind::Name(name.to_owned())),
            },
            Kind::Sign("(") => self.parenthesised(at),
            Kind::Sign(_) | Kind::End => {
                let items = self.items("]")?;
                Expr::new(at, ExprKind::List(items))
            }
        }
    }

    fn parenthesised(&mut self, at: At) -> Result<Expr, ParseError> {
        if self.eat(")")? {
            return Expr::new(at, ExprKind::Tuple(Vec::new()));
        }
        let first = self.expr()?;
        if self.eat(")")? {
            return Ok(first);
        }
        if !self.eat(",")? {
            return Err(self.expected("`)` or `,`"));
        }
        let mut items = vec![first];
        items.extend(self.items(")")?);
        Expr::new(at, ExprKind::Tuple(items))
    }

    fn items(&mut self, end: &'static str) -> Result<Vec<Expr>, ParseError> {
        let mut items = Vec::new();
        while !self.eat(end)? {
            items.push(self.expr()?);
            if !self.eat(",")? {
                self.sign(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn call(&mut self, name: String, at: At) -> Result<Expr, ParseError> {
        let (mut args, mut attributes) = (Vec::new(), Vec::new());
        while !self.eat(")")? {
            let named = match (self.now.kind, self.then.kind) {
                (Kind::Name(n), Kind::Sign("=")) => Some(n.to_owned()),
                _ => None,
            };
            match named {
                Some(attribute) => {
                    self.advance()?;
                    self.advance()?;
                    attributes.push((attribute, self.expr()?));
                }
                None if attributes.is_empty() => args.push(self.expr()?),
                None => return Err(self.expected("an attribute `name=value` or `)`")),
            }
            if !self.eat(",")? {
                if !self.eat(")")? {
                    return Err(self.expected("`,` or `)`"));
                }
                break;
            }
        }
        if let ("complex", [re, im], true) = (&name[..], &args[..], attributes.is_empty())
            && let Some(number) = complex_literal(re, im)
        {
            return Expr::new(at, ExprKind::Literal(number));
        }
        Expr::new(
            at,
            ExprKind::Call {
                name,
                args,
                attributes,
            },
        )
    }

    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.expected(&format!("expressions that nest at most {MAX_NESTING} deep")));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn eat(&mut self, sign: &'static str) -> Result<bool, ParseError> {
        let found = self.now.kind == Kind::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), ParseError> {
        if self.eat(sign)? {
            Ok(())
        } else {
            Err(self.expected(&format!("`{sign}`")))
        }
    }

    fn word(&mut self, word: &str) -> Result<(), ParseError> {
        match self.now.kind {
            Kind::Name(n) if n == word => {
                self.advance()?;
                Ok(())
            }
            _ => Err(self.expected(&format!("`{word}`"))),
        }
    }

    fn name(&mut self, what: &str) -> Result<String, ParseError> {
        match self.now.kind {
            Kind::Name(n) if !is_reserved(n) => {
                let name = n.to_owned();
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn expected(&self, what: &str) -> ParseError {
        ParseError::new(
            self.now.at,
            format!("expected {what}, found {}", self.now.kind),
        )
    }
}

/// Words that cannot name an input, a variable or a function.
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "fn" | "let" | "true" | "false" | "nan" | "inf" | "complex"
    ) || name.parse::<DType>().is_ok()
}

fn literal(at: At, value: Scalar) -> Result<Expr, ParseError> {
    Expr::new(
        at,
        ExprKind::Literal(Number {
            value,
            typed: false,
        }),
    )
}

/// `complex(re, im)` of two literals is a literal; anything else is the operation.
fn complex_literal(re: &Expr, im: &Expr) -> Option<Number> {
    let (ExprKind::Literal(re), ExprKind::Literal(im)) = (&re.kind, &im.kind) else {
        return None;
    };
    let part = |n: &Number| match n.value.dtype() {
        dtype if dtype.is_float() || dtype.is_int() => Some(n.value.to_f64()),
        _ => None,
    };
    let z = Complex64::new(part(re)?, part(im)?);
    let narrow = |n: &Number| n.typed && n.value.dtype() == DType::F32;
    let dtype = match narrow(re) || narrow(im) {
        true => DType::C64,
        false => DType::C128,
    };
    Some(Number {
        value: Scalar::from_complex(dtype, z),
        typed: re.typed || im.typed,
    })
}

fn negated(e: &Expr) -> Option<Number> {
    let ExprKind::Literal(number) = &e.kind else {
        return None;
    };
    let value = match number.value {
        Scalar::F64(x) => Scalar::F64(-x),
        Scalar::F32(x) => Scalar::F32(-x),
        Scalar::C64(z) => Scalar::C64(-z),
        Scalar::C128(z) => Scalar::C128(-z),
        Scalar::I64(x) => Scalar::I64(x.wrapping_neg()),
        Scalar::I32(x) => Scalar::I32(x.wrapping_neg()),
        _ => return None,
    };
    Some(Number { value, ..*number })
}

/// A number; what stands behind it is its dtype.
fn number(at: At, written: &str, float: bool, suffix: &str) -> Result<Number, ParseError> {
    let digits = written.replace('_', "");
    let wrong =
        |what: &str| ParseError::new(at, format!("expected {what}, found `{written}{suffix}`"));
    let typed = !suffix.is_empty();
    let dtype = match (typed, float) {
        (true, _) => suffix
            .parse::<DType>()
            .map_err(|_| wrong("a dtype behind the number"))?,
        (false, true) => DType::F64,
        (false, false) => DType::I64,
    };
    if dtype.is_float() {
        let x = digits.parse::<f64>().map_err(|_| wrong("a number"))?;
        return Ok(Number {
            value: Scalar::from_f64(dtype, x),
            typed,
        });
    }
    // The smallest i64 is written as a minus in front of a number that is one too large.
    match digits.parse::<u64>() {
        Ok(n) if !float && dtype.is_int() && n <= i64::MAX as u64 + 1 => {
            let value = Scalar::I64(n as i64);
            match fits(value, dtype) {
                Some(value) => Ok(Number { value, typed }),
                None => Err(wrong(&format!("a whole number that fits {dtype}"))),
            }
        }
        _ => Err(wrong("a whole number of 64 bits")),
    }
}

/// The number in a dtype; `None` where it does not fit.
pub(super) fn fits(value: Scalar, dtype: DType) -> Option<Scalar> {
    match (value, dtype) {
        (Scalar::Bool(_), DType::Bool) => Some(value),
        (Scalar::Bool(_), _) | (_, DType::Bool) => None,
        (value, dtype) if dtype.is_float() && value.dtype().is_complex() => None,
        (value, dtype) if dtype.is_float() => Some(match value {
            Scalar::F64(x) => Scalar::from_f64(dtype, x),
            Scalar::F32(x) => Scalar::from_f64(dtype, f64::from(x)),
            whole => Scalar::from_f64(dtype, whole.to_i64() as f64),
        }),
        (value, dtype) if dtype.is_complex() => Some(value.convert(dtype)),
        (value, _) if value.dtype().is_inexact() => None,
        (whole, dtype) => {
            let wrapped = crate::ops::wrap(dtype, whole.to_i64());
            (wrapped.to_i64() == whole.to_i64()).then_some(wrapped)
        }
    }
}

/// The value of a whole-number literal.
pub(super) fn whole(e: &Expr) -> Result<i64, ParseError> {
    match &e.kind {
        ExprKind::Literal(Number {
            value: Scalar::I64(n),
            ..
        }) => Ok(*n),
        _ => Err(ParseError::new(e.at, "expected a whole number")),
    }
}
