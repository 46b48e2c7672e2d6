//! Literals as values: attributes, nested brackets and numbers in a dtype.

use cotangent_array::{DType, Scalar, Shape};

use super::ast::{Expr, ExprKind, Number};
use super::parse::fits;
use super::{At, ParseError};
use crate::ops::Value as AttributeValue;

/// The number in a dtype.
pub(super) fn in_dtype(value: Scalar, dtype: DType, at: At) -> Result<Scalar, ParseError> {
    fits(value, dtype)
        .ok_or_else(|| ParseError::new(at, format!("expected {dtype}, found `{value}`")))
}

pub(super) fn attribute_value(e: &Expr) -> Result<AttributeValue, ParseError> {
    Ok(match &e.kind {
        ExprKind::Literal(number) => match number.value {
            Scalar::Bool(b) => AttributeValue::Bool(b),
            Scalar::F64(x) => AttributeValue::Float(x),
            Scalar::F32(x) => AttributeValue::Float(f64::from(x)),
            Scalar::C64(_) | Scalar::C128(_) => {
                return Err(ParseError::new(
                    e.at,
                    "expected a real number for this attribute, found a complex one",
                ));
            }
            _ => AttributeValue::Int(number.value.to_i64()),
        },
        ExprKind::Name(name) => AttributeValue::Name(name.clone()),
        ExprKind::List(items) => AttributeValue::List(
            items
                .iter()
                .map(attribute_value)
                .collect::<Result<_, _>>()?,
        ),
        ExprKind::Tuple(items) => AttributeValue::Tuple(
            items
                .iter()
                .map(attribute_value)
                .collect::<Result<_, _>>()?,
        ),
        _ => {
            return Err(ParseError::new(
                e.at,
                "expected a number, a name or a list for this attribute",
            ));
        }
    })
}

/// Axes counted from the start.
pub(super) fn from_start(value: AttributeValue, rank: usize) -> AttributeValue {
    match value {
        AttributeValue::Int(i) if i < 0 => AttributeValue::Int(i.saturating_add(rank as i64)),
        AttributeValue::List(items) => {
            AttributeValue::List(items.into_iter().map(|v| from_start(v, rank)).collect())
        }
        other => other,
    }
}

/// The shape and elements of nested brackets, or of one number.
pub(super) fn elements(e: &Expr) -> Result<(Shape, Vec<(Number, At)>), ParseError> {
    let mut dims = Vec::new();
    let mut level: Vec<&Expr> = vec![e];
    loop {
        let mut next: Vec<&Expr> = Vec::new();
        let mut numbers = Vec::new();
        let mut length: Option<usize> = None;
        for e in &level {
            match &e.kind {
                ExprKind::List(items) if numbers.is_empty() => {
                    if *length.get_or_insert(items.len()) != items.len() {
                        let message = format!(
                            "expected a list of {} items, found {}",
                            length.unwrap_or(0),
                            items.len()
                        );
                        return Err(ParseError::new(e.at, message));
                    }
                    next.extend(items);
                }
                ExprKind::Literal(number) if length.is_none() => numbers.push((*number, e.at)),
                _ => {
                    return Err(ParseError::new(
                        e.at,
                        "expected numbers in lists of equal length",
                    ));
                }
            }
        }
        match length {
            Some(n) => dims.push(n),
            None => return Ok((Shape::from(dims), numbers)),
        }
        if next.is_empty() {
            return Ok((Shape::from(dims), Vec::new()));
        }
        level = next;
    }
}

/// The dtype of numbers that nothing else fixes.
pub(super) fn common_dtype(numbers: &[(Number, At)]) -> DType {
    if let Some((number, _)) = numbers.iter().find(|(n, _)| n.value.dtype().is_complex()) {
        return number.value.dtype();
    }
    if let Some((number, _)) = numbers
        .iter()
        .find(|(n, _)| n.typed || n.value.dtype() == DType::F64)
    {
        return number.value.dtype();
    }
    numbers.first().map_or(DType::F64, |(n, _)| n.value.dtype())
}
