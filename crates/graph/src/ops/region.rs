//! Control flow: operations whose bodies are graphs of their own.

mod attributes;
mod eval;
mod infer;
mod sweeps;

use std::sync::Arc;

use cotangent_array::DType;

use super::{Custom, Pullback};
use crate::{Arity, Callee, TensorType, Type, TypeError};

pub use self::eval::{RegionValue, RunBody};
use self::sweeps::SWEEPS;
pub use self::sweeps::Sweeps;

/// An operation that runs other graphs: a branch or a loop.
///
/// Several results are a tuple, a single one is an array. Bodies read nothing but their inputs;
/// what they share with the graph around them are operands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Region {
    /// See [`Cond`].
    Cond(Cond),
    /// See [`Scan`].
    Scan(Scan),
    /// See [`While`].
    While(While),
    /// See [`Sweeps`].
    Sweeps(Arc<Sweeps>),
    /// See [`Custom`].
    Custom(Custom),
    /// See [`Pullback`].
    Pullback(Pullback),
}

/// One of two graphs, by a condition that is known when the program runs.
///
/// Operands: a bool scalar, then the inputs of both branches. Results: those of the branch taken;
/// the other is not run.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cond {
    /// Runs where the condition is true.
    pub then: Callee,
    /// Runs where it is false.
    pub otherwise: Callee,
}

/// A loop with a fixed number of steps.
///
/// Operands: `carry` initial values, `scanned` arrays with a leading axis of `length`, then values
/// that all steps share. The body takes the carried values, one slice of each scanned array and the
/// shared values; it gives the next carried values and one slice of each further result. Results:
/// the last carried values, then the slices stacked along a leading axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scan {
    /// One step.
    pub body: Callee,
    /// How many values are carried from step to step.
    pub carry: usize,
    /// How many arrays are read slice by slice.
    pub scanned: usize,
    /// How many steps there are.
    pub length: usize,
    /// Whether the steps run from the last slice to the first; results are stacked at the place of
    /// the slices that they belong to.
    pub reverse: bool,
}

/// A loop that runs as long as a test holds.
///
/// Operands: `carry` initial values, then values that all steps share. The test takes both and
/// gives a bool scalar; the body takes both and gives the next carried values. Results: the carried
/// values for which the test was false first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct While {
    /// Whether another step is run.
    pub test: Callee,
    /// One step.
    pub body: Callee,
    /// How many values are carried from step to step.
    pub carry: usize,
}

impl Region {
    /// The name, documentation, derivative and convention of every operation.
    pub const ALL: &'static [(&'static str, &'static str, &'static str, &'static str)] = &[
        (
            "cond",
            "The results of one of two functions, by a bool scalar: cond(p, x.., then=f, otherwise=g).",
            "that of the branch taken",
            "the branch not taken contributes exactly 0.",
        ),
        (
            "scan",
            "A loop of `length` steps: scan(carry.., scanned.., shared.., body=f, carry=1, scanned=1, length=n).",
            "a loop over the tangents of a step; its transpose runs the other way",
            "",
        ),
        (
            "while",
            "A loop that runs as long as a test holds: while(carry.., shared.., test=f, body=g, carry=1).",
            "a loop over values and tangents together; the number of steps has no derivative",
            "",
        ),
        (
            "sweeps",
            "A loop whose steps are walked forward and backward in turn: sweeps(carried.., shared.., test=f, sweep0=g, sweep1=h, carry=[1, 1]). A body takes what each earlier sweep carried at its step, what its own carries, and the shared values.",
            "sweeps over values and tangents together; its transpose walks the sweeps again, turned around",
            "",
        ),
        (
            "custom",
            "A function with a derivative of its author's own: custom(x.., f=f, jvp=rule), or vjp=rule, or backward=rule.",
            "by its rule, which takes the operands, the results and tangents (cotangents); the other mode transposes it",
            "those of the rule",
        ),
        (
            "pullback",
            "A linear map of which only the transpose is known: pullback(known.., t.., rule=g, known=1). It cannot be run.",
            "reverse mode only: its rule",
            "",
        ),
    ];

    /// The name in texts.
    pub fn name(&self) -> &'static str {
        match self {
            Region::Cond(_) => "cond",
            Region::Scan(_) => "scan",
            Region::While(_) => "while",
            Region::Sweeps(_) => "sweeps",
            Region::Custom(_) => "custom",
            Region::Pullback(_) => "pullback",
        }
    }

    /// The graphs that the operation runs, with the names of their attributes.
    pub fn callees(&self) -> Vec<(&'static str, &Callee)> {
        match self {
            Region::Cond(c) => vec![("then", &c.then), ("otherwise", &c.otherwise)],
            Region::Scan(s) => vec![("body", &s.body)],
            Region::While(w) => vec![("test", &w.test), ("body", &w.body)],
            Region::Sweeps(s) => {
                let bodies = SWEEPS.into_iter().zip(&s.bodies);
                std::iter::once(("test", &s.test)).chain(bodies).collect()
            }
            Region::Custom(c) => vec![("f", &c.call), (c.kind.name(), &c.rule)],
            Region::Pullback(p) => vec![("rule", &p.rule)],
        }
    }

    /// The type that an operand must have, where the bodies alone say it.
    pub(crate) fn operand_type(&self, position: usize) -> Option<TensorType> {
        let input = |c: &Callee, i: usize| c.0.input_types().get(i).cloned();
        match self {
            Region::Cond(_) if position == 0 => Some(TensorType::scalar(DType::Bool)),
            Region::Cond(c) => input(&c.then, position - 1),
            Region::Scan(s) if (s.carry..s.carry.saturating_add(s.scanned)).contains(&position) => {
                input(&s.body, position).map(|t| stacked(&t, s.length))
            }
            Region::Scan(s) => input(&s.body, position),
            Region::While(w) => input(&w.body, position),
            Region::Sweeps(s) => {
                // The last body takes all operands.
                s.bodies.last().and_then(|body| input(body, position))
            }
            Region::Custom(c) => input(&c.call, position),
            Region::Pullback(p) => p.operand_type(position),
        }
    }

    /// The same operation over other graphs.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn map_callees<E>(
        &self,
        mut f: impl FnMut(&Callee) -> Result<Callee, E>,
    ) -> Result<Region, E> {
        Ok(match self {
            Region::Cond(c) => Region::Cond(Cond {
                then: f(&c.then)?,
                otherwise: f(&c.otherwise)?,
            }),
            Region::Scan(s) => Region::Scan(Scan {
                body: f(&s.body)?,
                ..s.clone()
            }),
            Region::While(w) => Region::While(While {
                test: f(&w.test)?,
                body: f(&w.body)?,
                carry: w.carry,
            }),
            Region::Sweeps(s) => {
                let sweeps = Sweeps {
                    test: f(&s.test)?,
                    bodies: s.bodies.iter().map(f).collect::<Result<_, E>>()?,
                    carry: s.carry.clone(),
                };
                Region::Sweeps(sweeps.into())
            }
            Region::Custom(c) => Region::Custom(Custom {
                call: f(&c.call)?,
                rule: f(&c.rule)?,
                kind: c.kind,
            }),
            Region::Pullback(p) => Region::Pullback(Pullback {
                rule: f(&p.rule)?,
                known: p.known,
            }),
        })
    }

    /// How many operands the operation takes.
    pub fn arity(&self) -> Arity {
        Arity::Exactly(match self {
            Region::Cond(c) => c.then.0.inputs().len() + 1,
            Region::Scan(s) => s.body.0.inputs().len(),
            Region::While(w) => w.body.0.inputs().len(),
            Region::Sweeps(s) => s.bodies.last().map_or(0, |b| b.0.inputs().len()),
            Region::Custom(c) => c.call.0.inputs().len(),
            Region::Pullback(p) => p.known.saturating_add(p.rule.0.outputs().len()),
        })
    }

    /// The type of the result, or why the operands do not fit.
    pub fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        match self {
            Region::Cond(c) => c.infer(args),
            Region::Scan(s) => s.infer(args),
            Region::While(w) => w.infer(args),
            Region::Sweeps(s) => s.infer(args),
            Region::Custom(c) => c.infer(args),
            Region::Pullback(p) => p.infer(args),
        }
    }

    /// Operations of one run, in units of one addition; a loop of unknown length counts one step.
    pub fn cost(&self) -> u64 {
        match self {
            Region::Cond(c) => c.then.0.cost().max(c.otherwise.0.cost()),
            Region::Scan(s) => s.body.0.cost().saturating_mul(s.length as u64),
            Region::While(w) => w.test.0.cost().saturating_add(w.body.0.cost()),
            Region::Sweeps(s) => {
                let bodies = s.bodies.iter().map(|b| b.0.cost());
                bodies.fold(s.test.0.cost(), u64::saturating_add)
            }
            Region::Custom(c) => c.call.0.cost(),
            Region::Pullback(p) => p.rule.0.cost(),
        }
    }
}

/// The type of slices of type `t` stacked along a leading axis.
pub fn stacked(t: &TensorType, length: usize) -> TensorType {
    let mut dims = vec![length];
    dims.extend_from_slice(t.shape.dims());
    t.with_shape(dims)
}

pub(crate) fn tuple(mut types: Vec<TensorType>) -> Type {
    if types.len() == 1
        && let Some(one) = types.pop()
    {
        return Type::Tensor(one);
    }
    Type::Tuple(types.into())
}
