//! Expressions to graphs: names, types, broadcasting and calls.

mod calls;
mod order;

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::Scalar;

use self::order::callees_first;
use super::ast::{Annotation, Expr, ExprKind, Function, Number};
use super::literal::literal_type;
use super::values::in_dtype;
use super::{At, Module, ParseError, broadcast, index, sugar};
use crate::ops::{Binary, Compare, Indexed, Registry, Unary};
use crate::{Builder, Checkpoint, Graph, GraphError, Location, Op, TensorType, Type, Var};

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

    fn operand(&mut self, e: &Expr) -> Result<Var, ParseError> {
        let value = self.value(e, None)?;
        self.variable(value, e.at, None)
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
