//! Expressions to graphs: names, types, broadcasting and calls.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::{Array, DType, Scalar, Shape};

use super::ast::{Annotation, Expr, ExprKind, Function, Number, Subscript};
use super::literal::literal_type;
use super::values::{attribute_value, common_dtype, elements, from_start, in_dtype};
use super::{At, Module, ParseError, broadcast, index, sugar};
use crate::ops::{
    ArrayOp, Attributes, Binary, Compare, Indexed, Linalg, Region, Registry, Special, Unary,
    Value as AttributeValue,
};
use crate::{Builder, Callee, Checkpoint, Graph, GraphError, Location, Op, TensorType, Type, Var};

/// The graphs of all functions, in the order of the text.
pub(super) fn lower(functions: &[Function], registry: &Registry) -> Result<Module, ParseError> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (i, f) in functions.iter().enumerate() {
        if places.insert(&f.name, i).is_some() {
            return Err(ParseError::new(
                f.at,
                format!("the function `{}` is defined twice", f.name),
            ));
        }
    }
    let mut graphs: Vec<Option<Arc<Graph>>> = vec![None; functions.len()];
    for i in callees_first(functions, &places)? {
        let known = |name: &str| places.get(name).and_then(|i| graphs[*i].clone());
        let graph = lower_function(&functions[i], &known, &places, registry)?;
        graphs[i] = Some(Arc::new(graph));
    }
    let module = Module::from_graphs(graphs.into_iter().flatten().collect());
    module.ok_or_else(|| ParseError::new(At { line: 1, column: 1 }, "expected a function"))
}

/// An order in which callees come before their callers; by a work list.
fn callees_first(
    functions: &[Function],
    places: &HashMap<&str, usize>,
) -> Result<Vec<usize>, ParseError> {
    let calls: Vec<Vec<(usize, At)>> = functions.iter().map(|f| calls_of(f, places)).collect();
    let mut order = Vec::new();
    // 0 new, 1 on the path from the root, 2 done.
    let mut state = vec![0_u8; functions.len()];
    for root in 0..functions.len() {
        let mut work = vec![(root, functions[root].at, false)];
        while let Some((i, at, expanded)) = work.pop() {
            if expanded {
                state[i] = 2;
                order.push(i);
                continue;
            }
            match state[i] {
                2 => continue,
                1 => {
                    let message = format!(
                        "`{}` calls itself; recursion is not supported",
                        functions[i].name
                    );
                    return Err(ParseError::new(at, message));
                }
                _ => {}
            }
            state[i] = 1;
            work.push((i, at, true));
            work.extend(calls[i].iter().rev().map(|(j, at)| (*j, *at, false)));
        }
    }
    Ok(order)
}

/// The functions of the text that a function calls, and where.
fn calls_of(function: &Function, places: &HashMap<&str, usize>) -> Vec<(usize, At)> {
    let mut found = Vec::new();
    let mut work: Vec<&Expr> = function
        .lets
        .iter()
        .map(|l| &l.value)
        .chain(&function.results)
        .collect();
    while let Some(e) = work.pop() {
        match &e.kind {
            ExprKind::Name(_) | ExprKind::Literal(_) => {}
            ExprKind::List(items) | ExprKind::Tuple(items) => work.extend(items),
            ExprKind::Unary(_, x) => work.push(x),
            ExprKind::Binary(_, x, y) => work.extend([&**x, &**y]),
            ExprKind::Call {
                name,
                args,
                attributes,
            } => {
                if let Some(i) = places.get(&name[..]) {
                    found.push((*i, e.at));
                }
                work.extend(args);
                for (_, value) in attributes {
                    match &value.kind {
                        // The bodies of branches and loops are functions by name.
                        ExprKind::Name(callee) if is_region(name) => {
                            found.extend(places.get(&callee[..]).map(|i| (*i, value.at)));
                        }
                        _ => work.push(value),
                    }
                }
            }
            ExprKind::Index(x, subscripts) => {
                work.push(x);
                work.extend(subscripts.iter().filter_map(|s| match s {
                    Subscript::At(e) => Some(e),
                    _ => None,
                }));
            }
        }
    }
    found.reverse();
    found
}

fn lower_function(
    function: &Function,
    known: &dyn Fn(&str) -> Option<Arc<Graph>>,
    places: &HashMap<&str, usize>,
    registry: &Registry,
) -> Result<Graph, ParseError> {
    let mut l = Lowerer {
        builder: Builder::new(&function.name),
        scope: HashMap::new(),
        functions: known,
        names: places,
        registry,
    };
    for (name, ty, at) in &function.inputs {
        let v = l.builder.input(name, ty.clone());
        let v = l.checked(*at, v)?;
        if l.scope.insert(name, v).is_some() {
            return Err(ParseError::new(
                *at,
                format!("expected inputs of different names, found `{name}` twice"),
            ));
        }
    }
    for binding in &function.lets {
        l.builder.set_checkpoint(Checkpoint::of(&binding.around));
        let ty = binding.ty.as_ref().map(annotated);
        let value = l.value(&binding.value, ty.as_ref())?;
        let v = l.variable(value, binding.value.at, ty.as_ref())?;
        if let Some(ty) = &ty {
            l.expect(binding.value.at, v, ty)?;
        }
        if l.scope.insert(&binding.name, v).is_some() {
            let message = format!("`{}` is defined twice", binding.name);
            return Err(ParseError::new(binding.at, message));
        }
    }
    l.builder.set_checkpoint(Checkpoint::NONE);
    let wanted: Option<Vec<TensorType>> = function.outputs.as_ref().map(|a| match a {
        Annotation::One(t) => vec![t.clone()],
        Annotation::Tuple(parts) => parts.clone(),
    });
    let outputs = l.outputs(function, wanted.as_deref())?;
    l.builder
        .finish(&outputs)
        .map_err(|e| located(&e, function.at))
}

/// Builds one function.
pub(super) struct Lowerer<'a> {
    pub(super) builder: Builder,
    scope: HashMap<&'a str, Var>,
    functions: &'a dyn Fn(&str) -> Option<Arc<Graph>>,
    names: &'a HashMap<&'a str, usize>,
    registry: &'a Registry,
}

/// What an expression is: a variable, or a literal that takes its type from its surroundings.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Var(Var),
    Literal(Number),
}

impl Lowerer<'_> {
    fn outputs(
        &mut self,
        function: &Function,
        wanted: Option<&[TensorType]>,
    ) -> Result<Vec<Var>, ParseError> {
        let mut outputs = Vec::new();
        for (i, e) in function.results.iter().enumerate() {
            let alone = function.results.len() == 1;
            let ty = match wanted {
                Some(parts) if alone && parts.len() != 1 => Some(Type::Tuple(parts.into())),
                Some(parts) => parts.get(i).cloned().map(Type::Tensor),
                None => None,
            };
            let value = self.value(e, ty.as_ref())?;
            let v = self.variable(value, e.at, ty.as_ref())?;
            // A call with several results may stand for all of them.
            match self.builder.ty(v).clone() {
                Type::Tuple(parts) if alone => {
                    for k in 0..parts.len() {
                        outputs.push((self.builder.push(Op::Get(k), &[v]), e.at));
                    }
                }
                _ => outputs.push((v, e.at)),
            }
        }
        if let Some(parts) = wanted {
            if parts.len() != outputs.len() {
                let message = format!("expected {} results, found {}", parts.len(), outputs.len());
                let at = function.results.first().map_or(function.at, |e| e.at);
                return Err(ParseError::new(at, message));
            }
            for ((v, at), ty) in outputs.iter().zip(parts) {
                self.expect(*at, *v, &ty.clone().into())?;
            }
        }
        Ok(outputs.into_iter().map(|(v, _)| v).collect())
    }

    /// An expression; `want` is the type that stands beside it, if one does.
    pub(super) fn value(&mut self, e: &Expr, want: Option<&Type>) -> Result<Value, ParseError> {
        match &e.kind {
            ExprKind::Literal(number) => Ok(Value::Literal(*number)),
            ExprKind::Name(name) => match self.scope.get(&name[..]) {
                Some(v) => Ok(Value::Var(*v)),
                None => Err(ParseError::new(e.at, format!("`{name}` is not defined"))),
            },
            ExprKind::List(_) | ExprKind::Tuple(_) => Err(ParseError::new(
                e.at,
                "expected a value; write constant([...]) for an array",
            )),
            ExprKind::Unary(sign, x) => {
                let op = if *sign == "-" { Unary::Neg } else { Unary::Not };
                let x = self.value(x, None)?;
                self.pointwise(e.at, op.into(), &[(x, e.at)], want)
                    .map(Value::Var)
            }
            ExprKind::Binary(sign, x, y) => self.infix(e.at, sign, x, y, want).map(Value::Var),
            ExprKind::Call {
                name,
                args,
                attributes,
            } => self
                .call(e.at, name, args, attributes, want)
                .map(Value::Var),
            ExprKind::Index(x, subscripts) => {
                let x = self.operand(x)?;
                index::lower(self, e.at, x, subscripts).map(Value::Var)
            }
        }
    }

    fn infix(
        &mut self,
        at: At,
        sign: &str,
        x: &Expr,
        y: &Expr,
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        let op: Op = match sign {
            "+" => Binary::Add.into(),
            "-" => Binary::Sub.into(),
            "*" => Binary::Mul.into(),
            "/" => Binary::Div.into(),
            "%" => Binary::Rem.into(),
            "&" => Binary::And.into(),
            "|" => Binary::Or.into(),
            "^" => Binary::Xor.into(),
            "==" => Compare::Eq.into(),
            "!=" => Compare::Ne.into(),
            "<" => Compare::Lt.into(),
            "<=" => Compare::Le.into(),
            ">" => Compare::Gt.into(),
            ">=" => Compare::Ge.into(),
            "**" => {
                if let ExprKind::Literal(Number {
                    value: Scalar::I64(n),
                    typed: false,
                }) = y.kind
                {
                    let base = self.value(x, None)?;
                    return self.pointwise(
                        at,
                        Op::Indexed(Indexed::Powi, n),
                        &[(base, x.at)],
                        want,
                    );
                }
                Binary::Pow.into()
            }
            _ => {
                let (x, y) = (self.operand(x)?, self.operand(y)?);
                return sugar::matmul(self, at, x, y);
            }
        };
        let operands = [(self.value(x, None)?, x.at), (self.value(y, None)?, y.at)];
        self.pointwise(at, op, &operands, want)
    }

    /// A pointwise operation: literals take their type, operands their common shape.
    fn pointwise(
        &mut self,
        at: At,
        op: Op,
        operands: &[(Value, At)],
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        let mut args = self.resolve(&op, operands, want)?;
        broadcast::common(&mut self.builder, &mut args);
        self.push(at, op, &args)
    }

    /// The operands as variables, literals typed by their surroundings.
    fn resolve(
        &mut self,
        op: &Op,
        operands: &[(Value, At)],
        want: Option<&Type>,
    ) -> Result<Vec<Var>, ParseError> {
        let others: Vec<Option<TensorType>> = operands
            .iter()
            .map(|(value, _)| match value {
                Value::Var(v) => self.builder.ty(*v).tensor().cloned(),
                Value::Literal(_) => None,
            })
            .collect();
        let mut args = Vec::with_capacity(operands.len());
        for (i, (value, at)) in operands.iter().enumerate() {
            let here = literal_type(op, i, want, &others).map(Type::Tensor);
            args.push(self.variable(*value, *at, here.as_ref())?);
        }
        Ok(args)
    }

    fn call(
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

    fn plain(
        &mut self,
        at: At,
        op: Op,
        operands: &[(Value, At)],
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        let args = self.resolve(&op, operands, want)?;
        self.push(at, op, &args)
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

    fn operand(&mut self, e: &Expr) -> Result<Var, ParseError> {
        let value = self.value(e, None)?;
        self.variable(value, e.at, None)
    }

    fn variables(&mut self, operands: &[(Value, At)]) -> Result<Vec<Var>, ParseError> {
        operands
            .iter()
            .map(|(value, at)| self.variable(*value, *at, None))
            .collect()
    }

    /// The value as a variable; a literal becomes a constant of the type wanted.
    pub(super) fn variable(
        &mut self,
        value: Value,
        at: At,
        want: Option<&Type>,
    ) -> Result<Var, ParseError> {
        match value {
            Value::Var(v) => Ok(v),
            Value::Literal(number) => {
                let alone = TensorType::scalar(number.value.dtype());
                let ty = want.and_then(Type::tensor).unwrap_or(&alone);
                // A dtype written behind the number counts; the operation then says what is wrong.
                let ty = if number.typed {
                    ty.with_dtype(number.value.dtype())
                } else {
                    ty.clone()
                };
                self.literal(number, at, &ty)
            }
        }
    }

    fn literal(&mut self, number: Number, at: At, ty: &TensorType) -> Result<Var, ParseError> {
        let value = in_dtype(number.value, ty.dtype, at)?;
        self.push(at, Op::Full(value, ty.shape.clone()), &[])
    }

    /// Pushes an operation and returns its error at once, with its place.
    pub(super) fn push(&mut self, at: At, op: Op, args: &[Var]) -> Result<Var, ParseError> {
        self.builder.set_location(Some(Location::Text {
            line: at.line,
            column: at.column,
        }));
        let v = self.builder.push(op, args);
        self.checked(at, v)
    }

    /// The variable, unless the builder holds an error.
    pub(super) fn checked(&mut self, at: At, v: Var) -> Result<Var, ParseError> {
        match self.builder.take_error() {
            Some(e) => Err(located(&e, at)),
            None => Ok(v),
        }
    }

    fn expect(&self, at: At, v: Var, ty: &Type) -> Result<(), ParseError> {
        let found = self.builder.ty(v);
        if found == ty {
            return Ok(());
        }
        Err(ParseError::new(at, format!("expected {ty}, found {found}")))
    }
}

fn is_region(name: &str) -> bool {
    Region::ALL.iter().any(|op| op.0 == name)
}

fn annotated(a: &Annotation) -> Type {
    match a {
        Annotation::One(t) => t.clone().into(),
        Annotation::Tuple(parts) => Type::Tuple(parts[..].into()),
    }
}

fn located(error: &GraphError, at: At) -> ParseError {
    match error {
        GraphError::Op {
            op,
            operands,
            error,
            ..
        } if operands.is_empty() => ParseError::new(at, format!("`{op}`: {error}")),
        GraphError::Op {
            op,
            operands,
            error,
            ..
        } => ParseError::new(at, format!("`{op}`: {error} (operands: {operands})")),
        GraphError::Other { message, .. } => ParseError::new(at, message.clone()),
    }
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
