//! Control flow: operations whose bodies are graphs of their own.

mod sweeps;

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::{Array, DType};

use super::{Attribute, Attributes, Custom, Pullback, Value};
use crate::{Arity, Callee, EvalError, TensorType, Type, TypeError, type_error};

use sweeps::SWEEPS;
pub use sweeps::Sweeps;

/// Evaluates a body on values.
pub type RunBody<'a, V, E> = dyn FnMut(&Callee, &[V]) -> Result<Vec<V>, E> + 'a;

/// What branches and loops do with values between their bodies: arrays, or arrays with more known
/// about them.
pub trait RegionValue: Clone {
    /// The array.
    fn array(&self) -> &Array;

    /// Slice `i` along the leading axis, without that axis.
    ///
    /// # Errors
    /// A slice that is not there.
    fn slice(&self, i: usize) -> Result<Self, EvalError>;

    /// Slices of type `ty` side by side along a new leading axis.
    ///
    /// # Errors
    /// Slices of other types.
    fn stack(slices: &[&Self], ty: &TensorType) -> Result<Self, EvalError>;
}

impl RegionValue for Array {
    fn array(&self) -> &Array {
        self
    }

    fn slice(&self, i: usize) -> Result<Array, EvalError> {
        let row = self.select_rows(&[i])?;
        let shape = row.shape().dims().get(1..).unwrap_or_default().to_vec();
        Ok(row.reshape(shape)?)
    }

    fn stack(slices: &[&Array], ty: &TensorType) -> Result<Array, EvalError> {
        let shape = stacked(ty, slices.len()).shape;
        let elements: Vec<_> = slices.iter().flat_map(|s| s.scalars()).collect();
        Ok(Array::from_scalars(ty.dtype, shape, elements)?)
    }
}

/// Whether a test holds.
fn holds<V: RegionValue>(results: &[V]) -> Result<bool, EvalError> {
    Ok(results
        .first()
        .map_or(Ok(false), |test| test.array().item::<bool>())?)
}

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

    /// Whether an attribute of this name is a graph that an operation runs.
    pub(crate) fn is_body(attribute: &str) -> bool {
        let own = matches!(
            attribute,
            "then" | "otherwise" | "body" | "test" | "f" | "rule"
        );
        let rule = super::RuleKind::ALL
            .iter()
            .any(|kind| kind.name() == attribute);
        own || rule || SWEEPS.contains(&attribute)
    }

    /// The attributes that are numbers, as the text form writes them.
    pub fn numbers(&self) -> Vec<(&'static str, Value)> {
        match self {
            Region::Cond(_) => Vec::new(),
            Region::Scan(s) => {
                let mut out = vec![
                    ("carry", s.carry.to_value()),
                    ("scanned", s.scanned.to_value()),
                    ("length", s.length.to_value()),
                ];
                if s.reverse {
                    out.push(("reverse", s.reverse.to_value()));
                }
                out
            }
            Region::While(w) => vec![("carry", w.carry.to_value())],
            Region::Sweeps(s) => vec![("carry", s.carry.to_value())],
            Region::Custom(_) => Vec::new(),
            Region::Pullback(p) => vec![("known", p.known.to_value())],
        }
    }

    /// Reads the operation with this name. `lengths` are the first axes of the operands, from which
    /// a scan takes its length where none is written.
    pub(crate) fn from_attributes(
        name: &str,
        mut callees: HashMap<String, Callee>,
        mut numbers: Attributes,
        lengths: &[usize],
    ) -> Result<Region, TypeError> {
        let custom = match name {
            "custom" => Some(Custom::from_callees(&mut callees)?),
            _ => None,
        };
        let mut callee = |what: &str| match callees.remove(what) {
            Some(c) => Ok(c),
            None => type_error!("missing attribute `{what}`: expected the name of a function"),
        };
        let region = match (name, custom) {
            (_, Some(custom)) => Region::Custom(custom),
            ("pullback", _) => Region::Pullback(Pullback {
                rule: callee("rule")?,
                known: numbers.take("known")?.unwrap_or(0),
            }),
            ("cond", _) => Region::Cond(Cond {
                then: callee("then")?,
                otherwise: callee("otherwise")?,
            }),
            ("scan", _) => {
                let body = callee("body")?;
                let carry = numbers.take("carry")?.unwrap_or(1);
                let scanned = numbers
                    .take("scanned")?
                    .unwrap_or(lengths.len().saturating_sub(carry));
                let length = match (numbers.take("length")?, scanned) {
                    (Some(n), _) => n,
                    (None, 1..) => lengths.get(carry).copied().unwrap_or(0),
                    (None, 0) => type_error!(
                        "missing attribute `length`: expected a whole number of 0 or more"
                    ),
                };
                let reverse = numbers.take("reverse")?.unwrap_or(false);
                Region::Scan(Scan {
                    body,
                    carry,
                    scanned,
                    length,
                    reverse,
                })
            }
            ("sweeps", _) => {
                let test = callee("test")?;
                let mut bodies = vec![callee("sweep0")?];
                for name in &SWEEPS[1..] {
                    match callee(name) {
                        Ok(body) => bodies.push(body),
                        Err(_) => break,
                    }
                }
                let given = bodies.iter().map(|b| b.0.outputs().len());
                let carry = numbers.take("carry")?.unwrap_or(given.collect());
                let sweeps = Sweeps {
                    test,
                    bodies,
                    carry,
                };
                Region::Sweeps(sweeps.into())
            }
            _ => {
                let (test, body) = (callee("test")?, callee("body")?);
                let carry = numbers.take("carry")?.unwrap_or(body.0.outputs().len());
                Region::While(While { test, body, carry })
            }
        };
        if let Some(other) = callees.keys().next() {
            type_error!("unknown attribute `{other}`");
        }
        numbers.finish(&["carry", "scanned", "length", "reverse", "known"])?;
        Ok(region)
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

    /// The meaning, with `run` to evaluate a body.
    ///
    /// # Errors
    /// Those of the bodies, and a region that cannot be run.
    pub fn eval<V: RegionValue, E: From<EvalError>>(
        &self,
        args: &[V],
        run: &mut RunBody<'_, V, E>,
    ) -> Result<Vec<V>, E> {
        match self {
            Region::Cond(c) => {
                let Some((condition, inputs)) = args.split_first() else {
                    return Ok(Vec::new());
                };
                run(
                    if holds(std::slice::from_ref(condition))? {
                        &c.then
                    } else {
                        &c.otherwise
                    },
                    inputs,
                )
            }
            Region::Scan(s) => s.eval(args, run),
            Region::Sweeps(s) => s.eval(args, run),
            Region::Custom(c) => run(&c.call, args),
            Region::Pullback(p) => Err(E::from(EvalError::NoForward {
                rule: p.rule.0.name().to_owned(),
            })),
            Region::While(w) => {
                let mut state = args.to_vec();
                loop {
                    let test = run(&w.test, &state)?;
                    if !holds(&test)? {
                        state.truncate(w.carry);
                        return Ok(state);
                    }
                    let next = run(&w.body, &state)?;
                    for (old, new) in state.iter_mut().zip(next) {
                        *old = new;
                    }
                }
            }
        }
    }
}

impl Cond {
    fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        let Some((condition, inputs)) = args.split_first() else {
            type_error!("expected a condition");
        };
        if **condition != TensorType::scalar(DType::Bool) {
            type_error!("expected a condition of type bool, found {condition}");
        }
        for (what, branch) in [("then", &self.then), ("otherwise", &self.otherwise)] {
            expect_inputs(what, branch, inputs.iter().map(|t| (*t).clone()))?;
        }
        let (a, b) = (self.then.0.output_types(), self.otherwise.0.output_types());
        if a != b {
            type_error!(
                "expected both branches to give the same types, found {} and {}",
                list(&a),
                list(&b)
            );
        }
        Ok(self.then.0.result_type())
    }
}

impl Scan {
    fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        let Some(shared) = self
            .carry
            .checked_add(self.scanned)
            .filter(|n| *n <= args.len())
        else {
            type_error!(
                "expected at least {} carried and {} scanned operands, found {}",
                self.carry,
                self.scanned,
                args.len()
            );
        };
        let mut inputs: Vec<TensorType> = Vec::with_capacity(args.len());
        for (i, t) in args.iter().enumerate() {
            if i < self.carry || i >= shared {
                inputs.push((*t).clone());
                continue;
            }
            match t.shape.dims().split_first() {
                Some((n, rest)) if *n == self.length => inputs.push(t.with_shape(rest)),
                _ => type_error!(
                    "expected scanned operands with a leading axis of length {}, found {t}",
                    self.length
                ),
            }
        }
        expect_inputs("body", &self.body, inputs.iter().cloned())?;
        let outputs = self.body.0.output_types();
        expect_carry(&inputs, &outputs, self.carry)?;
        let results: Vec<TensorType> = outputs
            .into_iter()
            .enumerate()
            .map(|(i, t)| {
                if i < self.carry {
                    t
                } else {
                    stacked(&t, self.length)
                }
            })
            .collect();
        for t in &results {
            t.check_size()?;
        }
        Ok(tuple(results))
    }

    fn eval<V: RegionValue, E: From<EvalError>>(
        &self,
        args: &[V],
        run: &mut RunBody<'_, V, E>,
    ) -> Result<Vec<V>, E> {
        let outputs = self.body.0.output_types();
        let mut state: Vec<V> = args.iter().take(self.carry).cloned().collect();
        let scanned = args
            .get(self.carry..self.carry + self.scanned)
            .unwrap_or_default();
        let shared = args.get(self.carry + self.scanned..).unwrap_or_default();
        let mut slices: Vec<Vec<V>> = Vec::with_capacity(self.length.min(1 << 20));
        for k in 0..self.length {
            let i = if self.reverse { self.length - 1 - k } else { k };
            let mut inputs = state;
            for x in scanned {
                inputs.push(x.slice(i)?);
            }
            inputs.extend(shared.iter().cloned());
            state = run(&self.body, &inputs)?;
            slices.push(state.split_off(self.carry.min(state.len())));
        }
        if self.reverse {
            slices.reverse();
        }
        for (k, t) in outputs.iter().enumerate().skip(self.carry) {
            let column: Vec<&V> = slices
                .iter()
                .filter_map(|s| s.get(k - self.carry))
                .collect();
            state.push(V::stack(&column, t)?);
        }
        Ok(state)
    }
}

impl While {
    fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        if self.carry > args.len() {
            type_error!(
                "expected at least {} carried operands, found {}",
                self.carry,
                args.len()
            );
        }
        let inputs: Vec<TensorType> = args.iter().map(|t| (*t).clone()).collect();
        expect_inputs("test", &self.test, inputs.iter().cloned())?;
        expect_inputs("body", &self.body, inputs.iter().cloned())?;
        expect_test(&self.test)?;
        let outputs = self.body.0.output_types();
        if outputs.len() != self.carry {
            type_error!(
                "expected a body with {} results, found {}",
                self.carry,
                outputs.len()
            );
        }
        expect_carry(&inputs, &outputs, self.carry)?;
        Ok(tuple(outputs))
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

fn expect_inputs(
    what: &str,
    callee: &Callee,
    found: impl ExactSizeIterator<Item = TensorType>,
) -> Result<(), TypeError> {
    let want = callee.0.input_types();
    if want.len() != found.len() {
        type_error!(
            "`{what}` takes {} inputs, found {}",
            want.len(),
            found.len()
        );
    }
    for (((name, _), want), found) in callee.0.inputs().iter().zip(want).zip(found) {
        if want != found {
            type_error!("input `{name}` of `{what}` is {want}, found {found}");
        }
    }
    Ok(())
}

fn expect_carry(
    inputs: &[TensorType],
    outputs: &[TensorType],
    carry: usize,
) -> Result<(), TypeError> {
    if outputs.len() < carry {
        type_error!(
            "expected a body that gives {carry} carried values, found {}",
            outputs.len()
        );
    }
    for (i, (before, after)) in inputs.iter().zip(outputs).take(carry).enumerate() {
        if before != after {
            type_error!(
                "expected the body to keep the type of carried value {i}, {before}, found {after}"
            );
        }
    }
    Ok(())
}

fn expect_test(test: &Callee) -> Result<(), TypeError> {
    let found = test.0.output_types();
    if found != [TensorType::scalar(DType::Bool)] {
        type_error!(
            "expected a test that gives one bool, found {}",
            list(&found)
        );
    }
    Ok(())
}

fn list(types: &[TensorType]) -> String {
    let types: Vec<String> = types.iter().map(|t| t.to_string()).collect();
    format!("({})", types.join(", "))
}
