//! What is written as a call: operations by their names, functions of the text, branches and loops.

use std::collections::HashMap;

use cotangent_array::{Array, DType, Shape};

use super::{Lowerer, Value};
use crate::ops::{ArrayOp, Attributes, Indexed, Linalg, Region, Special, Value as AttributeValue};
use crate::text::ast::{Expr, ExprKind};
use crate::text::values::{attribute_value, common_dtype, elements, from_start, in_dtype};
use crate::text::{At, ParseError, sugar};
use crate::{Callee, Op, TensorType, Type, Var};

impl Lowerer<'_> {
    pub(super) fn call(
        &mut self,
        at: At,
        name: &str,
        args: &[Expr],
        attributes: &[(String, Expr)],
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        let mut operands = Vec::with_capacity(args.len());
        if name == "constant" || name == "full" {
            return self.known(at, name, args, attributes, want);
        }
        for a in args {
            operands.push((self.value(a, None)?, a.at));
        }
        if is_region(name) && (self.functions)(name).is_none() {
            let op = self.region(at, name, attributes, &operands)?;
            return self.plain(at, op, &operands, want);
        }
        if name == "native" && (self.functions)(name).is_none() {
            let mut named = Vec::with_capacity(attributes.len());
            for (attribute, e) in attributes {
                named.push((attribute.clone(), attribute_value(e)?));
            }
            let native = self.registry.find(&named);
            let native = native.map_err(|e| ParseError::new(at, format!("`native`: {e}")))?;
            return self.plain(at, Op::Native(native), &operands, want);
        }
        if let Some(callee) = (self.functions)(name) {
            let op = Op::Call(Callee(callee));
            no_attributes(at, attributes)?;
            return self.plain(at, op, &operands, want);
        }
        let name = match (name, operands.len()) {
            ("max", 2) => "maximum",
            ("min", 2) => "minimum",
            ("where", _) => "select",
            (name, _) => name,
        };
        if let Some(op) = sugar::pointwise(name) {
            no_attributes(at, attributes)?;
            return self.pointwise(at, op, &operands, want);
        }
        let mut named = self.attributes(name, attributes, &operands)?;
        let wrong = |e: crate::TypeError| ParseError::new(at, format!("`{name}`: {e}"));
        if let Some(op) = Indexed::ALL.iter().find(|op| op.name() == name) {
            let n = named.take::<i64>("n").map_err(wrong)?;
            named.finish(&["n"]).map_err(wrong)?;
            let Some(n) = n else {
                return Err(ParseError::new(
                    at,
                    format!("`{name}`: missing attribute `n`: expected a whole number"),
                ));
            };
            return self.pointwise(at, Op::Indexed(*op, n), &operands, want);
        }
        if let Some(op) = Special::ALL.iter().find(|op| op.name() == name) {
            let written = named.take::<Vec<usize>>("orders").map_err(wrong)?;
            named.finish(&["orders"]).map_err(wrong)?;
            let orders = op.orders(written).map_err(wrong)?;
            return self.pointwise(at, Op::Special(*op, orders), &operands, want);
        }
        match name {
            "convert" => {
                let dtype = named.take::<DType>("dtype").map_err(wrong)?;
                named.finish(&["dtype"]).map_err(wrong)?;
                let Some(dtype) = dtype else {
                    return Err(ParseError::new(
                        at,
                        "`convert`: missing attribute `dtype`: expected a dtype such as f64",
                    ));
                };
                return self.plain(at, Op::Convert(dtype), &operands, want);
            }
            "get" => {
                let i = named.take::<usize>("index").map_err(wrong)?;
                named.finish(&["index"]).map_err(wrong)?;
                return self.plain(at, Op::Get(i.unwrap_or(0)), &operands, want);
            }
            _ => {}
        }
        if ArrayOp::fields(name).is_some() || Linalg::ALL.iter().any(|op| op.0 == name) {
            return self.array_op(at, name, named, &operands, want);
        }
        let args = self.variables(&operands)?;
        no_attributes(at, attributes)?;
        match sugar::lower(self, at, name, &args) {
            Some(result) => result,
            None if sugar::is_operation(name) => Err(ParseError::new(
                at,
                format!("`{name}`: wrong number of operands, found {}", args.len()),
            )),
            None => {
                let near = sugar::nearest(name, self.names.keys().map(|n| (*n).to_owned()));
                let hint = match &near[..] {
                    [] => String::new(),
                    near => format!("; did you mean {}?", near.join(", ")),
                };
                Err(ParseError::new(
                    at,
                    format!("unknown operation or function `{name}`{hint}"),
                ))
            }
        }
    }

    /// `cond`, `scan` or `while`: functions and numbers from the attributes.
    fn region(
        &mut self,
        at: At,
        name: &str,
        attributes: &[(String, Expr)],
        operands: &[(Value, At)],
    ) -> Result<Op, ParseError> {
        let mut callees = HashMap::new();
        let mut numbers = Vec::new();
        for (attribute, e) in attributes {
            if !Region::is_body(attribute) {
                numbers.push((attribute.clone(), attribute_value(e)?));
                continue;
            }
            let function = match &e.kind {
                ExprKind::Name(f) => (self.functions)(f),
                _ => None,
            };
            let Some(function) = function else {
                let message = format!(
                    "attribute `{attribute}`: expected the name of a function of this text"
                );
                return Err(ParseError::new(e.at, message));
            };
            callees.insert(attribute.clone(), Callee(function));
        }
        let lengths: Vec<usize> = operands
            .iter()
            .map(|(value, _)| match value {
                Value::Var(v) => self.builder.tensor(*v).dim(0),
                Value::Literal(_) => 1,
            })
            .collect();
        Region::from_attributes(name, callees, Attributes(numbers), &lengths)
            .map(Op::Region)
            .map_err(|e| ParseError::new(at, format!("`{name}`: {e}")))
    }

    fn array_op(
        &mut self,
        at: At,
        name: &str,
        named: Attributes,
        operands: &[(Value, At)],
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        // A literal's type may depend on the operation (pad's value on the operand beside it), so
        // the attributes are read first, on the types that are known.
        let typed: Vec<TensorType> = operands
            .iter()
            .map(|(value, _)| match value {
                Value::Var(v) => self.builder.tensor(*v),
                Value::Literal(number) => TensorType::scalar(number.value.dtype()),
            })
            .collect();
        let types: Vec<&TensorType> = typed.iter().collect();
        let wrong = |e: crate::TypeError| ParseError::new(at, format!("`{name}`: {e}"));
        if let Some(op) = Linalg::from_attributes(name, named.clone(), &types) {
            return self.plain(at, Op::Linalg(op.map_err(wrong)?), operands, want);
        }
        match ArrayOp::from_attributes(name, named, &types) {
            Some(op) => self.plain(at, op.map_err(wrong)?.into(), operands, want),
            None => Err(ParseError::new(at, format!("unknown operation `{name}`"))),
        }
    }

    /// `full(0.5, shape=[2])` and `constant([1.0, 2.0])`.
    fn known(
        &mut self,
        at: At,
        name: &str,
        args: &[Expr],
        attributes: &[(String, Expr)],
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        let want = want.and_then(Type::tensor);
        let [value] = args else {
            return Err(ParseError::new(
                at,
                format!("`{name}`: expected 1 operand, found {}", args.len()),
            ));
        };
        let mut named = self.attributes(name, attributes, &[])?;
        let wrong = |e: crate::TypeError| ParseError::new(at, format!("`{name}`: {e}"));
        let dtype = named
            .take::<DType>("dtype")
            .map_err(wrong)?
            .or(want.map(|t| t.dtype));
        if name == "full" {
            let shape = named
                .take::<Shape>("shape")
                .map_err(wrong)?
                .unwrap_or_default();
            named.finish(&["dtype", "shape"]).map_err(wrong)?;
            let ExprKind::Literal(number) = value.kind else {
                return Err(ParseError::new(value.at, "`full`: expected a number"));
            };
            let dtype = dtype.unwrap_or(number.value.dtype());
            return self.literal(number, value.at, &TensorType::new(dtype, shape));
        }
        named.finish(&["dtype"]).map_err(wrong)?;
        let (shape, numbers) = elements(value)?;
        let dtype = dtype.unwrap_or_else(|| common_dtype(&numbers));
        let shape = match want {
            // Nested brackets cannot say the other lengths of an array without elements.
            Some(t) if numbers.is_empty() && t.shape.elements() == 0 => t.shape.clone(),
            _ => shape,
        };
        let mut scalars = Vec::with_capacity(numbers.len());
        for (number, at) in &numbers {
            scalars.push(in_dtype(number.value, dtype, *at)?);
        }
        let array = Array::from_scalars(dtype, shape, scalars)
            .map_err(|e| ParseError::new(value.at, e.to_string()))?;
        self.push(at, Op::Constant(array), &[])
    }

    fn attributes(
        &self,
        name: &str,
        written: &[(String, Expr)],
        operands: &[(Value, At)],
    ) -> Result<Attributes, ParseError> {
        let rank = match operands.first() {
            Some((Value::Var(v), _)) => self.builder.rank(*v),
            _ => 0,
        };
        let mut out = Vec::with_capacity(written.len());
        for (attribute, e) in written {
            let mut attribute = attribute.clone();
            let mut value = attribute_value(e)?;
            // NumPy's ways to name axes: one number for several, negative from the end.
            if attribute == "axis" && ArrayOp::fields(name).is_some_and(|f| f.contains(&"axes")) {
                attribute = "axes".to_owned();
                value = match value {
                    AttributeValue::Int(i) => AttributeValue::List(vec![AttributeValue::Int(i)]),
                    other => other,
                };
            }
            if attribute == "axes" || attribute == "axis" {
                value = from_start(value, rank);
            }
            out.push((attribute, value));
        }
        if sugar::reduces_all(name) && !out.iter().any(|(n, _)| n == "axes") {
            let all = (0..rank).map(|a| AttributeValue::Int(a as i64)).collect();
            out.push(("axes".to_owned(), AttributeValue::List(all)));
        }
        Ok(Attributes(out))
    }

    fn variables(&mut self, operands: &[(Value, At)]) -> Result<Vec<Var>, ParseError> {
        operands
            .iter()
            .map(|(value, at)| self.variable(*value, *at, None))
            .collect()
    }
}

pub(super) fn is_region(name: &str) -> bool {
    Region::ALL.iter().any(|op| op.0 == name)
}

fn no_attributes(at: At, attributes: &[(String, Expr)]) -> Result<(), ParseError> {
    match attributes.first() {
        None => Ok(()),
        Some((name, e)) => {
            let at = if e.at == At::default() { at } else { e.at };
            Err(ParseError::new(
                at,
                format!("unknown attribute `{name}`: there are none here"),
            ))
        }
    }
}
