//! Checked runs: the first operation that makes a NaN or an infinity, with its place.
//!
//! [`Function::call_checked`](crate::Function::call_checked) runs a function this way, and so does
//! `cotangent run --checked`. The reference evaluator does the work, so it is slow.

use std::fmt;

use cotangent_graph::ops::region::RegionValue;
use cotangent_graph::ops::{Binary, Region, Ternary};
use cotangent_graph::{
    Callee, Equation, EvalError, Graph, Location, Op, TensorType, Type, Var, eval_op,
};

use crate::{Array, DType};

/// Why a checked run has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckedError {
    /// An operation made a value that is not finite, and a result comes of it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The function could not be evaluated.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

/// An operation whose operands are finite and whose result is not.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    /// The operation.
    pub op: String,
    /// The function in which it stands, by the name that its graph has.
    pub function: String,
    /// Where it was written; for an operation of a derivative, where that was written of which it
    /// is part of the derivative.
    pub location: Option<Location>,
    /// Whether it is part of a derivative.
    pub in_derivative: bool,
    /// The value: `nan`, `inf` or `-inf`.
    pub value: String,
    /// At which element of the result.
    pub index: Vec<usize>,
}

impl Fault {
    /// The message without the place.
    pub fn message(&self) -> String {
        let at = match self.index.is_empty() {
            true => String::new(),
            false => format!(" at {:?}", self.index),
        };
        let part = match self.in_derivative {
            true => ", in the derivative of what stands here,",
            false => "",
        };
        format!(
            "`{}`{part} gives {}{at}, although its operands are finite",
            self.op, self.value
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location {
            Some(location) => write!(f, "{location}: {}", self.message()),
            None => write!(f, "in `{}`: {}", self.function, self.message()),
        }
    }
}

impl std::error::Error for Fault {}

/// Evaluates a graph and fails where a result comes of a value that is not finite, although all
/// that it was made of is. The error names the first operation that made such a value.
///
/// Calls, branches and loops are looked into. An element that a `select` leaves out does no harm: an
/// arm that is not taken, or an example of a batched loop that is done and waits for the others.
/// Neither do constants and inputs, which are what their writer wanted.
///
/// ```
/// use cotangent::{checked, parse};
/// let f = parse("fn f(x: f64) -> f64 { where(x > 0.0, log(x), 0.0) + sqrt(x + 1.0) }")?;
/// assert!(checked::eval(f.entry(), &[(-1.0).into()]).is_ok());
/// let error = checked::eval(f.entry(), &[(-2.0).into()]).unwrap_err().to_string();
/// assert!(error.contains("`sqrt` gives nan, although its operands are finite"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The fault, wrong inputs, or an index out of range.
pub fn eval(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, CheckedError> {
    // The reference evaluator says what is wrong with inputs.
    let mut watch = Watch { faults: Vec::new() };
    if inputs.len() != graph.inputs().len() {
        return Ok(cotangent_graph::eval(graph, inputs)?);
    }
    let suspects = vec![None; inputs.len()];
    let results = watch.graph(graph, inputs, &suspects)?;
    let blamed = results.iter().filter_map(Watched::first_suspect).min();
    match blamed.and_then(|mark| watch.fault(mark)) {
        Some(fault) => Err(fault.into()),
        None => Ok(results.into_iter().map(|r| r.array).collect()),
    }
}

/// A value, and for each element the fault that it comes of, as a mark, or 0. Most values come of
/// none. A mark is the number of the fault, from 1, and behind it in 32 bits the place of the element
/// that was not finite.
#[derive(Clone)]
struct Watched {
    array: Array,
    suspects: Option<Array>,
}

impl Watched {
    /// The mark of the first fault that some element comes of.
    fn first_suspect(&self) -> Option<i64> {
        let marks = self.suspects.as_ref()?.scalars().map(|s| s.to_i64());
        marks.filter(|n| *n > 0).min()
    }

    fn mark(&self, k: usize) -> i64 {
        let at = |s: &Array| s.at(k).map_or(0, |s| s.to_i64());
        self.suspects.as_ref().map_or(0, at)
    }
}

/// Marks go with their elements from step to step.
impl RegionValue for Watched {
    fn array(&self) -> &Array {
        &self.array
    }

    fn slice(&self, i: usize) -> Result<Watched, EvalError> {
        Ok(Watched {
            array: self.array.slice(i)?,
            suspects: self.suspects.as_ref().map(|s| s.slice(i)).transpose()?,
        })
    }

    fn stack(slices: &[&Watched], ty: &TensorType) -> Result<Watched, EvalError> {
        let arrays: Vec<&Array> = slices.iter().map(|w| &w.array).collect();
        let suspects = match slices.iter().any(|w| w.suspects.is_some()) {
            true => {
                let zeros = Array::zeros(DType::I64, ty.shape.clone())?;
                let marks = slices.iter().map(|w| w.suspects.as_ref().unwrap_or(&zeros));
                let ty = TensorType::new(DType::I64, ty.shape.clone());
                Some(Array::stack(&marks.collect::<Vec<_>>(), &ty)?)
            }
            false => None,
        };
        Ok(Watched {
            array: Array::stack(&arrays, ty)?,
            suspects,
        })
    }
}

fn mark(fault: usize, element: usize) -> i64 {
    let (fault, element) = (fault.min(i32::MAX as usize), element.min(u32::MAX as usize));
    ((fault as i64) << 32) | element as i64
}

struct Watch {
    /// The faults in order, each with the result that was not finite.
    faults: Vec<(Fault, Array)>,
}

impl Watch {
    /// The fault that a mark means, at its element.
    fn fault(&self, mark: i64) -> Option<Fault> {
        let number = usize::try_from(mark >> 32).ok()?;
        let (fault, array) = self.faults.get(number.checked_sub(1)?)?;
        let element = (mark & i64::from(u32::MAX)) as usize;
        Some(Fault {
            value: array.at(element).map(|x| x.to_string()).unwrap_or_default(),
            index: unravel(array, element),
            ..fault.clone()
        })
    }

    fn graph(
        &mut self,
        graph: &Graph,
        inputs: &[Array],
        suspects: &[Option<Array>],
    ) -> Result<Vec<Watched>, CheckedError> {
        let mut values: Vec<Vec<Watched>> = vec![Vec::new(); graph.equations().len()];
        for (((name, v), array), suspects) in graph.inputs().iter().zip(inputs).zip(suspects) {
            let found = TensorType::new(array.dtype(), array.shape().clone());
            if graph.ty(*v).tensor() != Some(&found) {
                return Err(CheckedError::Eval(EvalError::InputType {
                    name: name.to_string(),
                    expected: graph.ty(*v).to_string(),
                    found: found.to_string(),
                }));
            }
            values[v.index()] = vec![Watched {
                array: array.clone(),
                suspects: suspects.clone(),
            }];
        }
        let (last, live) = (graph.last_uses(), graph.live());
        for (v, e) in graph
            .iter()
            .filter(|(v, e)| live[v.index()] && !e.op.is_input())
        {
            let results = match (&e.op, e.args.first()) {
                (Op::Get(i), Some(tuple)) => {
                    values[tuple.index()].get(*i).cloned().into_iter().collect()
                }
                _ => {
                    let first = |a: &Var| values[a.index()].first();
                    let operands: Vec<&Watched> = e.args.iter().filter_map(first).collect();
                    self.equation(graph, v, e, &operands)?
                }
            };
            values[v.index()] = results;
            for a in e.args.iter().filter(|a| last[a.index()] == v.index()) {
                values[a.index()] = Vec::new();
            }
        }
        let outputs = graph.outputs().iter();
        Ok(outputs
            .filter_map(|o| values[o.index()].first().cloned())
            .collect())
    }

    fn equation(
        &mut self,
        graph: &Graph,
        v: Var,
        e: &Equation,
        operands: &[&Watched],
    ) -> Result<Vec<Watched>, CheckedError> {
        let arrays = || -> Vec<Array> { operands.iter().map(|w| w.array.clone()).collect() };
        match &e.op {
            Op::Call(callee) => {
                let suspects: Vec<_> = operands.iter().map(|w| w.suspects.clone()).collect();
                self.graph(&callee.0, &arrays(), &suspects)
            }
            Op::Region(region) => {
                let operands: Vec<Watched> = operands.iter().map(|w| (*w).clone()).collect();
                let mut results =
                    region.eval(&operands, &mut |body: &Callee, inputs: &[Watched]| {
                        let arrays: Vec<Array> = inputs.iter().map(|w| w.array.clone()).collect();
                        let suspects: Vec<_> = inputs.iter().map(|w| w.suspects.clone()).collect();
                        self.graph(&body.0, &arrays, &suspects)
                    })?;
                // All that a branch gives comes of its condition too.
                let condition = operands
                    .first()
                    .filter(|_| matches!(region, Region::Cond(_)));
                if let Some(mark) = condition.and_then(Watched::first_suspect) {
                    for result in &mut results {
                        result.suspects = marks(&result.array, |_| mark);
                    }
                }
                Ok(results)
            }
            op => {
                let results = match (op, &e.ty) {
                    (Op::Native(native), ty) => native.run(&arrays(), ty),
                    (op, Type::Tensor(ty)) => {
                        let arrays: Vec<&Array> = operands.iter().map(|w| &w.array).collect();
                        eval_op(op, &arrays, ty).map(|array| vec![array])
                    }
                    (_, Type::Tuple(_)) => Err(EvalError::Malformed {
                        var: v,
                        message: "expected an array".to_owned(),
                    }),
                };
                let results = results.map_err(|source| EvalError::Op {
                    op: op.label().to_owned(),
                    location: e.location,
                    source: Box::new(source),
                })?;
                let judged = results
                    .into_iter()
                    .map(|r| self.judge(graph, e, operands, r));
                Ok(judged.collect())
            }
        }
    }

    /// The result with what it comes of; a new fault where all operands are finite and it is not.
    fn judge(
        &mut self,
        graph: &Graph,
        e: &Equation,
        operands: &[&Watched],
        array: Array,
    ) -> Watched {
        if operands.iter().any(|w| w.suspects.is_some()) {
            let suspects = carried(e, operands, &array);
            return Watched { array, suspects };
        }
        let bad = (0..array.len()).find(|k| is_bad(&array, *k));
        let clean = || {
            operands
                .iter()
                .all(|w| (0..w.array.len()).all(|k| !is_bad(&w.array, k)))
        };
        // A constant is what its writer wanted.
        let Some(first) = bad.filter(|_| !e.op.is_constant() && clean()) else {
            return Watched {
                array,
                suspects: None,
            };
        };
        let fault = Fault {
            op: e.op.label().to_owned(),
            function: graph.name().to_owned(),
            location: e.location.map(Location::origin),
            in_derivative: e.location.is_some_and(Location::is_derivative),
            value: array.at(first).map(|x| x.to_string()).unwrap_or_default(),
            index: unravel(&array, first),
        };
        self.faults.push((fault, array.clone()));
        let number = self.faults.len();
        let suspects = marks(&array, |k| {
            if is_bad(&array, k) {
                mark(number, k)
            } else {
                0
            }
        });
        Watched { array, suspects }
    }
}

/// What the elements of a result come of, where some operand comes of a fault.
fn carried(e: &Equation, operands: &[&Watched], array: &Array) -> Option<Array> {
    let any = |k: usize| -> i64 {
        let all = operands.iter().map(|w| w.mark(k)).filter(|n| *n > 0);
        all.min().unwrap_or(0)
    };
    match (&e.op, operands) {
        (Op::Ternary(Ternary::Select), [condition, x, y]) => marks(array, |k| {
            let taken = condition.array.at(k).is_some_and(|c| c.to_i64() != 0);
            match condition.mark(k) {
                0 => if taken { x } else { y }.mark(k),
                n => n,
            }
        }),
        // The strong zero keeps a zero whatever stands beside it.
        (Op::Binary(Binary::Zmul), [x, y]) => marks(array, |k| {
            let zero = |w: &Watched| {
                w.mark(k) == 0 && w.array.at(k).is_some_and(|x| x.as_real() == Some(0.0))
            };
            if zero(x) || zero(y) { 0 } else { any(k) }
        }),
        (op, _) if op.is_pointwise() => marks(array, any),
        (op, _) => {
            if let Some(moved) = moved(op, operands, array) {
                return Some(moved);
            }
            // Sums, products and the like: what is not finite comes of a fault among the operands. Of
            // what is finite again, and of decisions such as an argmax, every element may.
            let first = operands.iter().filter_map(|w| w.first_suspect()).min()?;
            let tamed =
                |w: &&Watched| (0..w.array.len()).any(|k| w.mark(k) > 0 && !is_bad(&w.array, k));
            let all = !array.dtype().is_inexact() || operands.iter().any(tamed);
            marks(array, |k| if all || is_bad(array, k) { first } else { 0 })
        }
    }
}

/// For an operation that only moves elements: where the marks go.
fn moved(op: &Op, operands: &[&Watched], array: &Array) -> Option<Array> {
    use cotangent_graph::ops::ArrayOp::{
        Broadcast, Concat, Gather, Pad, Reshape, Reverse, Slice, Transpose,
    };
    let Op::Array(
        Broadcast(_) | Concat(_) | Gather(_) | Pad(_) | Reshape(_) | Reverse(_) | Slice(_)
        | Transpose(_),
    ) = op
    else {
        return None;
    };
    let positions = matches!(op, Op::Array(Gather(_)));
    let numbers: Vec<Array> = (operands.iter().enumerate())
        .map(|(i, w)| match &w.suspects {
            _ if positions && i > 0 => Some(w.array.clone()),
            Some(suspects) => Some(suspects.clone()),
            None => marks(&w.array, |_| 0),
        })
        .collect::<Option<_>>()?;
    let ty = TensorType::new(DType::I64, array.shape().clone());
    eval_op(op, &numbers.iter().collect::<Vec<_>>(), &ty).ok()
}

fn marks(like: &Array, number: impl Fn(usize) -> i64) -> Option<Array> {
    let numbers: Vec<i64> = (0..like.len()).map(number).collect();
    Array::new(like.shape(), numbers).ok()
}

fn is_bad(array: &Array, k: usize) -> bool {
    array.dtype().is_inexact() && array.at(k).is_some_and(|x| !x.is_finite())
}

/// The index of an element from its place in row-major order.
fn unravel(array: &Array, flat: usize) -> Vec<usize> {
    let mut rest = flat;
    let strides = array.shape().strides().into_iter();
    strides
        .map(|stride| {
            let at = rest / stride.max(1);
            rest %= stride.max(1);
            at
        })
        .collect()
}
