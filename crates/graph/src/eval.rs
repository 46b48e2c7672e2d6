//! The reference evaluator: the meaning of every operation, element by element.

use std::sync::Arc;

use cotangent_array::{Array, Complex64, Scalar};

use crate::ops::{Part, Ternary, Unary, Values};
use crate::{EvalError, Graph, Op, TensorType, Type, Var};

/// Evaluates a graph on arrays, one for each input; one array for each output.
///
/// This defines what graphs mean; every other way of running agrees with it. It is written to be
/// read, not to be fast: floats are computed in f64 and rounded to their dtype after each
/// operation, integers in i64 and wrapped.
///
/// # Errors
/// Wrong inputs, or an index out of range.
pub fn eval(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, EvalError> {
    Evaluator::new().run(graph, inputs)
}

/// What an [`Evaluator`] is told after each operation; it may change the result.
type Observer<'a> = Box<dyn FnMut(&Graph, Var, &mut Array) + 'a>;

/// The reference evaluator with an observer that sees every result, and may change it.
#[derive(Default)]
pub struct Evaluator<'a> {
    observer: Option<Observer<'a>>,
}

impl std::fmt::Debug for Evaluator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator")
            .field("observed", &self.observer.is_some())
            .finish()
    }
}

impl<'a> Evaluator<'a> {
    /// An evaluator that nobody watches.
    pub fn new() -> Self {
        Evaluator { observer: None }
    }

    /// An evaluator that shows every result of an operation, in called graphs too, before it is
    /// used. The observer may change the values, for noise or for faults, but not their type.
    pub fn observed(observer: impl FnMut(&Graph, Var, &mut Array) + 'a) -> Self {
        Evaluator {
            observer: Some(Box::new(observer)),
        }
    }

    /// Evaluates a graph; see [`eval`].
    ///
    /// # Errors
    /// Wrong inputs, or an index out of range.
    pub fn run(&mut self, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, EvalError> {
        check_inputs(graph, inputs)?;
        let mut values: Vec<Option<Value>> = vec![None; graph.equations().len()];
        for ((_, v), array) in graph.inputs().iter().zip(inputs) {
            values[v.index()] = Some(Value::Array(array.clone()));
        }
        let last = graph.last_uses();
        let live = graph.live();
        for (v, e) in graph
            .iter()
            .filter(|(v, e)| live[v.index()] && !e.op.is_input())
        {
            let mut value = self.step(graph, v, &values)?;
            if let (Some(observer), Value::Array(array)) = (&mut self.observer, &mut value) {
                observer(graph, v, array);
            }
            values[v.index()] = Some(value);
            for a in e.args.iter().filter(|a| last[a.index()] == v.index()) {
                values[a.index()] = None;
            }
        }
        graph
            .outputs()
            .iter()
            .map(|o| match &values[o.index()] {
                Some(Value::Array(a)) => Ok(a.clone()),
                _ => Err(malformed(*o, "an output has no array")),
            })
            .collect()
    }

    fn step(
        &mut self,
        graph: &Graph,
        v: Var,
        values: &[Option<Value>],
    ) -> Result<Value, EvalError> {
        let e = graph.equation(v);
        if let Op::Get(index) = e.op {
            let tuple = e.args.first().and_then(|a| values[a.index()].as_ref());
            return match tuple {
                Some(Value::Tuple(parts)) if index < parts.len() => {
                    Ok(Value::Array(parts[index].clone()))
                }
                _ => Err(malformed(v, "expected a tuple")),
            };
        }
        let mut args: Vec<&Array> = Vec::with_capacity(e.args.len());
        for a in &e.args {
            match &values[a.index()] {
                Some(Value::Array(array)) => args.push(array),
                _ => return Err(malformed(v, "an operand has no array")),
            }
        }
        if let Op::Native(native) = &e.op {
            let inputs: Vec<Array> = args.into_iter().cloned().collect();
            let mut results = native.run(&inputs, &e.ty).map_err(|source| EvalError::Op {
                op: native.name().to_owned(),
                location: e.location,
                source: Box::new(source),
            })?;
            return Ok(match (&e.ty, results.len()) {
                (Type::Tensor(_), 1) => Value::Array(results.remove(0)),
                _ => Value::Tuple(results.into()),
            });
        }
        let located = |source: EvalError| EvalError::Op {
            op: e.op.name().to_owned(),
            location: e.location,
            source: Box::new(source),
        };
        if let (Op::Linalg(op), Type::Tuple(parts)) = (&e.op, &e.ty) {
            let results = op.eval(&args, parts).map_err(located)?;
            return Ok(Value::Tuple(results.into()));
        }
        if matches!(e.op, Op::Call(_) | Op::Region(_)) {
            let inputs: Vec<Array> = args.into_iter().cloned().collect();
            let outputs = match &e.op {
                Op::Call(callee) => self.run(&callee.0, &inputs),
                Op::Region(region) => region.eval(&inputs, &mut |c, inputs| self.run(&c.0, inputs)),
                _ => Ok(Vec::new()),
            };
            let mut outputs = outputs.map_err(located)?;
            return Ok(match (&e.ty, outputs.len()) {
                (Type::Tensor(_), 1) => Value::Array(outputs.remove(0)),
                _ => Value::Tuple(outputs.into()),
            });
        }
        let Some(out) = e.ty.tensor() else {
            return Err(malformed(v, "expected an array type"));
        };
        eval_op(&e.op, &args, out)
            .map(Value::Array)
            .map_err(located)
    }
}

/// The value of one operation with one result that is neither an input, a call nor `get`.
///
/// # Errors
/// An index out of range, or operands that do not fit.
pub fn eval_op(op: &Op, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
    if let Op::Array(op) = op {
        return op.eval(args, out);
    }
    if let Op::Linalg(op) = op {
        let mut results = op.eval(args, std::slice::from_ref(out))?;
        return match results.pop() {
            Some(result) if results.is_empty() => Ok(result),
            _ => Err(malformed(Var::POISON, "expected one result")),
        };
    }
    match (op, args) {
        (Op::Full(value, shape), _) => Ok(Array::full(shape.clone(), *value)?),
        (Op::Constant(array), _) => Ok(array.clone()),
        (Op::Convert(dtype), [x]) => Ok(x.convert(*dtype)),
        (Op::Ternary(Ternary::Select), [condition, x, y]) => {
            let taken = condition.scalars().zip(x.scalars().zip(y.scalars()));
            let elements = taken.map(|(c, (x, y))| if c == Scalar::Bool(true) { x } else { y });
            Ok(Array::from_scalars(out.dtype, out.shape.clone(), elements)?)
        }
        _ => {
            let operands: Vec<Values> = args.iter().map(|a| Values::of(a)).collect();
            match pointwise(op, &operands) {
                Some(values) => Ok(values.into_array(out)?),
                None => Err(malformed(Var::POISON, "the operation has no meaning here")),
            }
        }
    }
}

/// The value of a pointwise operation on scalars of the operands' dtypes, for constant folding and
/// generated tests.
pub fn eval_scalars(op: &Op, args: &[Scalar]) -> Option<Scalar> {
    let arrays: Vec<Array> = args
        .iter()
        .map(|s| Array::full((), *s))
        .collect::<Result<_, _>>()
        .ok()?;
    let types: Vec<Type> = args
        .iter()
        .map(|s| TensorType::scalar(s.dtype()).into())
        .collect();
    let out = op.infer(&types.iter().collect::<Vec<_>>()).ok()?;
    eval_op(op, &arrays.iter().collect::<Vec<_>>(), out.tensor()?)
        .ok()?
        .at(0)
}

#[derive(Clone, Debug)]
enum Value {
    Array(Array),
    Tuple(Arc<[Array]>),
}

fn pointwise(op: &Op, args: &[Values]) -> Option<Values> {
    use Values::{Complex, Float, Int};
    Some(match (op, args) {
        (Op::Unary(Unary::Abs), [Complex(z)]) => {
            Float(z.iter().map(|z| crate::complex::abs(*z)).collect())
        }
        (Op::Unary(op), [Complex(z)]) => {
            let f = op.complex()?;
            Complex(z.iter().map(|z| f(*z)).collect())
        }
        (Op::Indexed(op, n), [Complex(z)]) => {
            Complex(z.iter().map(|z| op.complex(*n, *z)).collect())
        }
        (Op::Binary(op), [Complex(x), Complex(y)]) => {
            let f = op.complex()?;
            Complex(x.iter().zip(y).map(|(x, y)| f(*x, *y)).collect())
        }
        (Op::Compare(op), [Complex(x), Complex(y)]) => Int(x
            .iter()
            .zip(y)
            .map(|(x, y)| i64::from(op.complex(*x, *y)))
            .collect()),
        (Op::Test(op), [Complex(z)]) => Int(z.iter().map(|z| i64::from(op.complex(*z))).collect()),
        (Op::Part(Part::Conj), [Complex(z)]) => Complex(z.iter().map(|z| z.conj()).collect()),
        (Op::Part(op), [Complex(z)]) => Float(z.iter().map(|z| op.real(*z)).collect()),
        (Op::Complex, [Float(re), Float(im)]) => Complex(
            re.iter()
                .zip(im)
                .map(|(re, im)| Complex64::new(*re, *im))
                .collect(),
        ),
        (Op::Unary(op), [Float(x)]) => Float(x.iter().map(|x| op.float(*x)).collect()),
        (Op::Unary(op), [Int(x)]) => {
            let f = op.int()?;
            Int(x.iter().map(|x| f(*x)).collect())
        }
        (Op::Indexed(op, n), [Float(x)]) => Float(x.iter().map(|x| op.float(*n, *x)).collect()),
        (Op::Indexed(op, n), [Int(x)]) => Int(x.iter().map(|x| op.int(*n, *x)).collect()),
        (Op::Binary(op), [Float(x), Float(y)]) => {
            Float(x.iter().zip(y).map(|(x, y)| op.float(*x, *y)).collect())
        }
        (Op::Binary(op), [Int(x), Int(y)]) => {
            let f = op.int()?;
            Int(x.iter().zip(y).map(|(x, y)| f(*x, *y)).collect())
        }
        (Op::Compare(op), [Float(x), Float(y)]) => Int(x
            .iter()
            .zip(y)
            .map(|(x, y)| i64::from(op.float(*x, *y)))
            .collect()),
        (Op::Compare(op), [Int(x), Int(y)]) => Int(x
            .iter()
            .zip(y)
            .map(|(x, y)| i64::from(op.int(*x, *y)))
            .collect()),
        (Op::Test(op), [Float(x)]) => Int(x.iter().map(|x| i64::from(op.float(*x))).collect()),
        (Op::Test(op), [Int(x)]) => Int(vec![i64::from(op.int()); x.len()]),
        (Op::Special(op, orders), [Float(x), Float(y)]) => {
            let pairs = x.iter().zip(y);
            Float(pairs.map(|(x, y)| op.float2(*orders, *x, *y)).collect())
        }
        (Op::Special(op, orders), [Float(x), Float(y), Float(z)]) => {
            let triples = x.iter().zip(y.iter().zip(z));
            let value = |(x, (y, z)): (&f64, (&f64, &f64))| op.float3(*orders, *x, *y, *z);
            Float(triples.map(value).collect())
        }
        (Op::Ternary(Ternary::Clamp), [Float(x), Float(lo), Float(hi)]) => {
            use crate::math::{max, min};
            let bounds = lo.iter().zip(hi);
            Float(
                x.iter()
                    .zip(bounds)
                    .map(|(x, (lo, hi))| min(max(*x, *lo), *hi))
                    .collect(),
            )
        }
        (Op::Ternary(Ternary::Clamp), [Int(x), Int(lo), Int(hi)]) => {
            let bounds = lo.iter().zip(hi);
            Int(x
                .iter()
                .zip(bounds)
                .map(|(x, (lo, hi))| (*x).max(*lo).min(*hi))
                .collect())
        }
        _ => return None,
    })
}

fn check_inputs(graph: &Graph, inputs: &[Array]) -> Result<(), EvalError> {
    if inputs.len() != graph.inputs().len() {
        return Err(EvalError::InputCount {
            graph: graph.name().to_owned(),
            expected: graph.inputs().len(),
            found: inputs.len(),
        });
    }
    for ((name, v), array) in graph.inputs().iter().zip(inputs) {
        let found = TensorType::new(array.dtype(), array.shape().clone());
        if graph.ty(*v).tensor() != Some(&found) {
            return Err(EvalError::InputType {
                name: name.to_string(),
                expected: graph.ty(*v).to_string(),
                found: found.to_string(),
            });
        }
    }
    Ok(())
}

fn malformed(var: Var, message: &str) -> EvalError {
    EvalError::Malformed {
        var,
        message: message.to_owned(),
    }
}
