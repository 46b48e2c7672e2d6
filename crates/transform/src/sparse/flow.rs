//! Dependences through calls, branches and loops.

use std::ops::Range;

use cotangent_array::{Array, Scalar};
use cotangent_graph::ops::region::stacked;
use cotangent_graph::ops::{Cond, Custom, Region, RuleKind, Scan, Sweeps, While};
use cotangent_graph::{Equation, Graph, Op, TensorType};

use super::depend::{Deps, Needs, State, Value, Walk, is_discrete};
use super::sets::{EMPTY, Set};
use crate::TransformError;

/// A loop whose dependences still grow after so many steps is closed in one go.
const MAX_ROUNDS: usize = 64;

type Found = Result<Vec<State>, TransformError>;

/// The carried values before each step that is known to run, the operands where that ends, and
/// whether it ended because the test is known to fail.
type Steps = (Vec<Vec<State>>, Vec<State>, bool);

impl Walk {
    /// An operation with bodies: one state for each result.
    pub(super) fn region(&mut self, e: &Equation, args: &[&State], wanted: bool) -> Found {
        let args: Vec<State> = args.iter().map(|a| (*a).clone()).collect();
        match &e.op {
            Op::Call(callee)
            | Op::Region(Region::Custom(Custom {
                call: callee,
                kind: RuleKind::Checkpoint,
                ..
            })) => self.graph(&callee.0, args, wanted),
            Op::Region(Region::Cond(c)) => self.cond(c, args, wanted),
            Op::Region(Region::Scan(s)) => self.scan(s, args, wanted),
            Op::Region(Region::While(w)) => self.repeat(w, args),
            Op::Region(Region::Sweeps(s)) => self.sweeps(s, args),
            // A rule may say anything, so each result depends on all operands.
            _ => {
                let all: Vec<&State> = args.iter().collect();
                let all = self.everything(&all);
                let states = e.ty.components().iter().map(|t| State {
                    deps: if is_discrete(t) {
                        Deps::None
                    } else {
                        all.clone()
                    },
                    value: None,
                });
                Ok(states.collect())
            }
        }
    }

    fn cond(&mut self, c: &Cond, mut args: Vec<State>, wanted: bool) -> Found {
        let inputs = args.split_off(1.min(args.len()));
        match truth(args.first()) {
            Some(true) => self.graph(&c.then.0, inputs, wanted),
            Some(false) => self.graph(&c.otherwise.0, inputs, wanted),
            None => {
                let then = self.graph(&c.then.0, inputs.clone(), false)?;
                let otherwise = self.graph(&c.otherwise.0, inputs, false)?;
                Ok(self.join(&then, &otherwise, &c.then.0.output_types()))
            }
        }
    }

    /// A loop of known length, step by step where that is not too much work.
    fn scan(&mut self, s: &Scan, args: Vec<State>, wanted: bool) -> Found {
        let body = &s.body.0;
        let types = body.input_types();
        let outputs = body.output_types();
        let shared = s.carry.saturating_add(s.scanned).min(args.len());
        let (carry, rest) = args.split_at(s.carry.min(shared));
        let (scanned, shared) = rest.split_at(shared - carry.len());
        let slice_types = types.get(s.carry..).unwrap_or_default();
        let size = |i: usize| {
            slice_types
                .get(i)
                .map_or(0, |t: &TensorType| t.shape.elements())
        };
        if !self.afford(body, s.length) {
            let mut inner = Vec::with_capacity(args.len());
            for (i, x) in scanned.iter().enumerate() {
                let (all, count) = (size(i) * s.length, size(i));
                inner.push(self.over_steps(&x.deps, all, count));
            }
            inner.extend(shared.iter().cloned());
            let (mut carry, found) = self.closure(body, carry, &inner, s.carry)?;
            let rows = found.into_iter().zip(&outputs).skip(s.carry);
            carry.extend(rows.map(|(state, ty)| State {
                deps: repeated(&state.deps, ty.shape.elements(), s.length),
                value: None,
            }));
            return Ok(carry);
        }
        let mut carry = carry.to_vec();
        let mut rows: Vec<Vec<State>> = Vec::with_capacity(s.length.min(1 << 20));
        let mut needs = None;
        for step in 0..s.length {
            let i = if s.reverse { s.length - 1 - step } else { step };
            let mut inputs = std::mem::take(&mut carry);
            for (k, x) in scanned.iter().enumerate() {
                inputs.push(slice(x, i, size(k))?);
            }
            inputs.extend(shared.iter().cloned());
            // What is known of the carried values may change in the first step alone.
            if step < 2 {
                needs = Some(Needs::of(body, &inputs, true));
            }
            let Some(needs) = &needs else { break };
            carry = self.steps(body, needs, inputs)?;
            rows.push(carry.split_off(s.carry.min(carry.len())));
        }
        if s.reverse {
            rows.reverse();
        }
        for (k, ty) in outputs.iter().enumerate().skip(s.carry) {
            let column: Vec<&State> = rows.iter().filter_map(|r| r.get(k - s.carry)).collect();
            carry.push(stack(&column, ty, s.length, wanted)?);
        }
        Ok(carry)
    }

    /// A loop of unknown length: step by step as long as the test is known, then all steps at once.
    fn repeat(&mut self, w: &While, args: Vec<State>) -> Found {
        let (_, last, done) = self.forward(w, args)?;
        if done {
            return Ok(last);
        }
        let (carry, rest) = last.split_at(w.carry.min(last.len()));
        let (carry, _) = self.closure(&w.body.0, carry, rest, w.carry)?;
        Ok(carry)
    }

    /// A loop walked forward and backward in turn: step by step where the steps are known, then all
    /// at once.
    fn sweeps(&mut self, s: &Sweeps, args: Vec<State>) -> Found {
        let (ranges, total) = (s.ranges(), s.carried().min(args.len()));
        let shared = args.get(total..).unwrap_or_default();
        let own = |range: &Range<usize>| args.get(range.clone()).unwrap_or_default().to_vec();
        let pairs: Vec<(&Graph, &Range<usize>)> =
            s.bodies.iter().map(|b| &*b.0).zip(&ranges).collect();
        let (Some((first, range)), Some(body)) = (pairs.first(), s.bodies.first()) else {
            return Ok(Vec::new());
        };
        let forward = While {
            test: s.test.clone(),
            body: body.clone(),
            carry: range.len(),
        };
        let inputs = [own(range), shared.to_vec()].concat();
        let (mut kept, mut last, done) = self.forward(&forward, inputs)?;
        let steps = kept.len();
        if done && pairs.iter().skip(1).all(|(g, _)| self.afford(g, steps)) {
            for (j, (body, range)) in pairs.iter().enumerate().skip(1) {
                let mut state = own(range);
                let mut order: Vec<&mut Vec<State>> = kept.iter_mut().collect();
                if j % 2 == 1 {
                    order.reverse();
                }
                for step in order {
                    step.extend(state);
                    state = self.graph(body, [&step[..], shared].concat(), false)?;
                }
                last.extend(state);
            }
            return Ok(last);
        }
        // The carried values before any of the steps, those already walked included.
        last.truncate(range.len());
        for state in &kept {
            last = self.join(&last, state, &first.output_types());
        }
        let (mut all, _) = self.closure(first, &last, shared, range.len())?;
        for (body, range) in pairs.iter().skip(1) {
            let carried = self.carried(body, &all, own(range), shared)?;
            all.extend(carried);
        }
        Ok(all)
    }

    /// What a sweep carries before and after any number of steps, where earlier sweeps carried
    /// `earlier`.
    fn carried(
        &mut self,
        body: &Graph,
        earlier: &[State],
        mut carry: Vec<State>,
        shared: &[State],
    ) -> Found {
        let types = body.output_types();
        for round in 0.. {
            let inputs = [earlier, &carry, shared].concat();
            let next = if round < MAX_ROUNDS {
                self.graph(body, inputs, false)?
            } else {
                self.widened(&inputs, &types)
            };
            let next = self.join(&carry, &next, &types);
            if round >= MAX_ROUNDS || same(&next, &carry, &types) {
                return Ok(next);
            }
            carry = next;
        }
        Ok(carry)
    }

    /// Walks through the steps of a loop as long as its test is known.
    fn forward(&mut self, w: &While, args: Vec<State>) -> Result<Steps, TransformError> {
        let mut states = args;
        let mut before = Vec::new();
        loop {
            let test = self.graph(&w.test.0, states.clone(), true)?;
            match truth(test.first()) {
                Some(false) => {
                    states.truncate(w.carry);
                    return Ok((before, states, true));
                }
                Some(true) if self.afford(&w.body.0, 1) => {
                    let next = self.graph(&w.body.0, states.clone(), true)?;
                    before.push(states.iter().take(w.carry).cloned().collect());
                    for (old, new) in states.iter_mut().zip(next) {
                        *old = new;
                    }
                }
                _ => return Ok((before, states, false)),
            }
        }
    }

    /// The carried values before and after any number of steps, and the results of a step from
    /// them. What one step passes on the next may pass further, so this goes on until nothing is
    /// new.
    fn closure(
        &mut self,
        body: &Graph,
        carry: &[State],
        rest: &[State],
        count: usize,
    ) -> Result<(Vec<State>, Vec<State>), TransformError> {
        let types = body.output_types();
        let mut carry: Vec<State> = carry.iter().map(unknown).collect();
        for round in 0.. {
            let inputs: Vec<State> = carry.iter().chain(rest).cloned().collect();
            let found = if round < MAX_ROUNDS {
                self.graph(body, inputs, false)?
            } else {
                self.widened(&inputs, &types)
            };
            let next = self.join(&carry, found.get(..count).unwrap_or(&found), &types);
            if round >= MAX_ROUNDS || same(&next, &carry, &types) {
                return Ok((next, found));
            }
            carry = next;
        }
        Ok((carry, Vec::new()))
    }

    /// Results of these types that may each depend on all operands.
    fn widened(&mut self, args: &[State], types: &[TensorType]) -> Vec<State> {
        let all = self.everything(&args.iter().collect::<Vec<_>>());
        let of = |t: &TensorType| {
            if is_discrete(t) {
                Deps::None
            } else {
                all.clone()
            }
        };
        types
            .iter()
            .map(|t| State {
                deps: of(t),
                value: None,
            })
            .collect()
    }

    /// What either of two lists of results depends on.
    fn join(&mut self, x: &[State], y: &[State], types: &[TensorType]) -> Vec<State> {
        let pairs = x.iter().zip(y).zip(types);
        pairs
            .map(|((x, y), ty)| State {
                deps: self.both(&x.deps, &y.deps, ty.shape.elements()),
                value: None,
            })
            .collect()
    }

    /// The union over the steps of a scanned operand.
    fn over_steps(&mut self, deps: &Deps, all: usize, count: usize) -> State {
        let deps = match deps {
            Deps::Each(_) if count > 0 => {
                let of = |i: usize| -> Vec<Set> {
                    let steps = (i..all).step_by(count);
                    steps.map(|p| deps.at(p)).filter(|s| *s != EMPTY).collect()
                };
                let unions: Vec<Set> = (0..count)
                    .map(|i| self.sets.union_all(&mut of(i)))
                    .collect();
                Deps::of(unions)
            }
            other => other.clone(),
        };
        State { deps, value: None }
    }

    /// Whether a body may be walked through so often; if so, that is counted.
    fn afford(&mut self, body: &Graph, steps: usize) -> bool {
        let work = (body.equations().len() as u64 + 1).saturating_mul(steps as u64);
        match self.work.checked_sub(work) {
            Some(left) => {
                self.work = left;
                true
            }
            None => false,
        }
    }
}

fn truth(state: Option<&State>) -> Option<bool> {
    match state?.value()?.at(0)? {
        Scalar::Bool(is) => Some(is),
        _ => None,
    }
}

fn unknown(state: &State) -> State {
    State {
        deps: state.deps.clone(),
        value: None,
    }
}

fn same(x: &[State], y: &[State], types: &[TensorType]) -> bool {
    let mut pairs = x.iter().zip(y).zip(types);
    pairs.all(|((x, y), ty)| x.deps.equal(&y.deps, ty.shape.elements()))
}

/// One step's part of a scanned operand of `count` elements a step.
fn slice(x: &State, step: usize, count: usize) -> Result<State, TransformError> {
    let deps = match &x.deps {
        Deps::Each(_) => Deps::of((0..count).map(|i| x.deps.at(step * count + i)).collect()),
        other => other.clone(),
    };
    let value = match &x.value {
        Some(v) => {
            let row = v.array.select_rows(&[step]).map_err(array)?;
            let shape = row.shape().dims().get(1..).unwrap_or_default().to_vec();
            Some(Value {
                array: row.reshape(shape).map_err(array)?,
                fixed: v.fixed,
            })
        }
        None => None,
    };
    Ok(State { deps, value })
}

/// The slices of all steps as one result.
fn stack(
    rows: &[&State],
    ty: &TensorType,
    length: usize,
    wanted: bool,
) -> Result<State, TransformError> {
    let count = ty.shape.elements();
    let deps = if rows.iter().all(|r| r.deps.is_none()) {
        Deps::None
    } else {
        let sets = rows.iter().flat_map(|r| (0..count).map(|i| r.deps.at(i)));
        Deps::of(sets.collect())
    };
    let values: Option<Vec<&Value>> = rows.iter().map(|r| r.value.as_ref()).collect();
    let value = match values.filter(|_| wanted) {
        Some(values) => {
            let all = stacked(ty, length);
            let elements: Vec<Scalar> = values.iter().flat_map(|v| v.array.scalars()).collect();
            Some(Value {
                array: Array::from_scalars(all.dtype, all.shape, elements).map_err(array)?,
                fixed: values.iter().all(|v| v.fixed),
            })
        }
        None => None,
    };
    Ok(State { deps, value })
}

fn repeated(deps: &Deps, count: usize, length: usize) -> Deps {
    match deps {
        Deps::Each(_) => {
            let steps = (0..length).flat_map(|_| (0..count).map(|i| deps.at(i)));
            Deps::of(steps.collect())
        }
        other => other.clone(),
    }
}

fn array(e: cotangent_array::ArrayError) -> TransformError {
    TransformError::Sparse(e.to_string())
}
