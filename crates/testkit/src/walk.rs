//! The reference evaluator with noise, with frozen values, and with a record of every decision.

mod decisions;
mod exact;
mod noise;
mod spread;

use cotangent_array::{Array, DType};
use cotangent_graph::ops::{ArrayOp, Linalg, Unary};
use cotangent_graph::{Callee, EvalError, Graph, Op, TensorType, Type, eval_op};

use self::exact::{accumulates, transformed};
pub use self::exact::{exact_outputs, is_exact};
pub use self::spread::{Difference, Spread, distance, is_stable};
use crate::arrays::{map_parts, ulp};
use crate::rng::Rng;

/// What is added to the results of operations that round.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Noise {
    /// Nothing.
    None,
    /// The next number above or below, at random.
    Ulp,
    /// Up to this share of the value.
    Relative(f64),
}

/// An evaluation that may depart from the plain one, and what it decided on its way.
#[derive(Debug)]
pub struct Walk<'a> {
    noise: Noise,
    rng: Rng,
    /// The values that `stop_gradient` gives, in order, in place of its operand's.
    frozen: Option<&'a [Array]>,
    /// The values that `stop_gradient` gave.
    pub stopped: Vec<Array>,
    /// A hash of every discrete value and every branch: comparisons, floors, which of two numbers
    /// is the larger, on which side of a kink an operand stands.
    pub decisions: u64,
}

#[derive(Clone)]
enum Value {
    One(Array),
    Several(Vec<Array>),
}

impl<'a> Walk<'a> {
    /// The plain evaluation.
    pub fn plain() -> Walk<'static> {
        Walk::noisy(Noise::None, 0)
    }

    /// An evaluation with noise.
    pub fn noisy(noise: Noise, seed: u64) -> Walk<'static> {
        Walk {
            noise,
            rng: Rng::new(seed),
            frozen: None,
            stopped: Vec::new(),
            decisions: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// An evaluation in which what stands behind a `stop_gradient` does not move.
    pub fn frozen(stopped: &'a [Array]) -> Walk<'a> {
        Walk {
            frozen: Some(stopped),
            ..Walk::plain()
        }
    }

    /// Evaluates a graph. Noise is put on float inputs too.
    ///
    /// # Errors
    /// As for [`cotangent_graph::eval`].
    pub fn run(&mut self, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, EvalError> {
        let inputs: Vec<Array> = inputs.iter().map(|a| self.disturbed(a)).collect();
        self.graph(graph, inputs)
    }

    fn graph(&mut self, graph: &Graph, inputs: Vec<Array>) -> Result<Vec<Array>, EvalError> {
        let mut values: Vec<Option<Value>> = vec![None; graph.equations().len()];
        for ((_, v), a) in graph.inputs().iter().zip(inputs) {
            values[v.index()] = Some(Value::One(a));
        }
        let live = graph.live();
        for (v, e) in graph
            .iter()
            .filter(|(v, e)| live[v.index()] && !e.op.is_input())
        {
            let args: Vec<&Value> = e
                .args
                .iter()
                .filter_map(|a| values[a.index()].as_ref())
                .collect();
            let value = match (&e.op, &e.ty) {
                (Op::Get(index), _) => match args.first() {
                    Some(Value::Several(parts)) => Value::One(parts[*index].clone()),
                    _ => panic!("`get` of an array"),
                },
                (Op::Call(callee), ty) => {
                    let args = args.into_iter().map(|a| one(a).clone()).collect();
                    let mut results = self.graph(&callee.0, args)?;
                    match ty {
                        Type::Tensor(_) => Value::One(results.remove(0)),
                        Type::Tuple(_) => Value::Several(results),
                    }
                }
                (Op::Region(region), ty) => {
                    let args: Vec<Array> = args.into_iter().map(|a| one(a).clone()).collect();
                    let run = &mut |c: &Callee, inputs: &[Array]| self.graph(&c.0, inputs.to_vec());
                    let mut results = region.eval(&args, run)?;
                    match ty {
                        Type::Tensor(_) => Value::One(results.remove(0)),
                        Type::Tuple(_) => Value::Several(results),
                    }
                }
                (Op::Linalg(op), ty) => {
                    let args: Vec<&Array> = args.into_iter().map(one).collect();
                    let mut results = self.linalg(op, &args, ty)?;
                    match ty {
                        Type::Tensor(_) => Value::One(results.remove(0)),
                        Type::Tuple(_) => Value::Several(results),
                    }
                }
                (op, Type::Tensor(ty)) => {
                    let args: Vec<&Array> = args.into_iter().map(one).collect();
                    Value::One(self.step(op, &args, ty)?)
                }
                (op, ty) => panic!("`{}` gives {ty}", op.name()),
            };
            values[v.index()] = Some(value);
        }
        let outputs = graph.outputs().iter();
        Ok(outputs
            .filter_map(|o| values[o.index()].as_ref())
            .map(|v| one(v).clone())
            .collect())
    }

    /// As [`Walk::step`], with all results: every entry of a matrix takes part in each.
    fn linalg(&mut self, op: &Linalg, args: &[&Array], ty: &Type) -> Result<Vec<Array>, EvalError> {
        // Reflections and rotations mix all rows, one after the other, so the errors of every entry
        // are of the size of the largest, and grow as the root of the number of rows (Higham 2002,
        // section 19.3, and 2.8 on how rounding errors add up).
        use Linalg::*;
        let mixes = matches!(
            op,
            Eigh(_) | Eigvalsh(_) | Svd(_) | Svdvals(_) | Pinv(_) | Qr(_) | Expm(_)
        );
        let disturbed: Vec<Array> = match self.noise {
            Noise::Ulp if mixes => args.iter().map(|a| self.disturbed_whole(a)).collect(),
            Noise::Ulp => args.iter().map(|a| self.disturbed(a)).collect(),
            _ => args.iter().map(|a| (*a).clone()).collect(),
        };
        let operands: Vec<&Array> = disturbed.iter().collect();
        let results = op.eval(&operands, ty.components())?;
        // The signs of vectors, and the order of rows, jump.
        for result in &results {
            if !result.dtype().is_float() {
                result.scalars().for_each(|s| self.note(s.to_i64() as u64));
            }
        }
        match (op, &results[..]) {
            (Linalg::Qr(_), [_, r]) => self.signs(r),
            (Linalg::Eigh(_), [_, v]) => self.signs(v),
            (Linalg::Svd(_), [u, _, _]) => self.signs(u),
            (Linalg::Slogdet(_), [sign, _]) => self.signs(sign),
            _ => {}
        }
        let moved = results.iter().map(|r| match mixes && r.dtype().is_float() {
            true => self.disturbed_whole(r),
            false => self.disturbed(r),
        });
        Ok(moved.collect())
    }

    fn step(&mut self, op: &Op, args: &[&Array], ty: &TensorType) -> Result<Array, EvalError> {
        // A sum of several terms shows its error only when the terms move, each for itself.
        let disturbed: Vec<Array>;
        let disturbed_args: Vec<&Array>;
        let mut result = if self.noise == Noise::Ulp && accumulates(op) {
            disturbed = args.iter().map(|a| self.disturbed(a)).collect();
            disturbed_args = disturbed.iter().collect();
            eval_op(op, &disturbed_args, ty)?
        } else {
            eval_op(op, args, ty)?
        };
        if *op == Op::Unary(Unary::StopGradient) && ty.dtype.is_inexact() {
            if let Some(frozen) = self.frozen.and_then(|f| f.get(self.stopped.len())) {
                result = frozen.clone();
            }
            self.stopped.push(result.clone());
        }
        self.decide(op, args, &result)?;
        let narrows = matches!(op, Op::Convert(DType::F32 | DType::C64))
            && args[0].dtype().real() == DType::F64;
        if !is_exact(op) || narrows {
            result = self.disturbed(&result);
        }
        if let (Some(axes), Noise::Ulp) = (transformed(op), self.noise) {
            result = self.disturbed_lines(&result, axes);
        }
        // Equal terms round alike again and again, which moving each for itself does not show.
        if let (Op::Array(ArrayOp::Sum(_)), Noise::Ulp, [x]) = (op, self.noise, args) {
            let terms = x.len() as f64 / (result.len().max(1) as f64);
            let root = terms.sqrt();
            let dtype = result.dtype();
            result = map_parts(&result, |x| {
                let by = ulp(dtype, x) * if self.rng.chance(0.5) { root } else { -root };
                if x.is_finite() { x + by } else { x }
            });
        }
        Ok(result)
    }
}

fn one(value: &Value) -> &Array {
    match value {
        Value::One(a) => a,
        Value::Several(_) => panic!("an operand is a tuple"),
    }
}
