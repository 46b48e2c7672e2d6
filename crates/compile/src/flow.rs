//! Branches and loops in a plan: their bodies are plans of their own.

use std::sync::Arc;

use cotangent_graph::TensorType;
use cotangent_graph::ops::Region;
use cotangent_graph::ops::region::stacked;

use crate::Reversal;
use crate::plan::{Place, Plan, Step};

/// A branch or a loop over plans; operands and results are those of the graph's operation.
#[derive(Clone, Debug)]
pub enum Flow {
    /// Runs one of two plans, by a bool.
    Cond {
        /// Runs where the bool is true.
        then: Arc<Plan>,
        /// Runs where it is false.
        otherwise: Arc<Plan>,
    },
    /// Runs a plan a fixed number of times.
    Scan {
        /// One step.
        body: Arc<Plan>,
        /// How many operands are carried from step to step.
        carry: usize,
        /// How many operands are read slice by slice.
        scanned: usize,
        /// The number of steps.
        length: usize,
        /// Whether the last slice comes first.
        reverse: bool,
    },
    /// Runs a plan as long as another one gives true.
    While {
        /// Whether another step is run.
        test: Arc<Plan>,
        /// One step.
        body: Arc<Plan>,
        /// How many operands are carried from step to step.
        carry: usize,
    },
    /// Runs a plan as long as another one gives true, keeping what it carries, and then further
    /// plans over the same steps, backward and forward in turn.
    Sweeps {
        /// Whether the first sweep takes another step.
        test: Arc<Plan>,
        /// One step of each sweep.
        bodies: Vec<Arc<Plan>>,
        /// How many operands each sweep carries.
        carry: Vec<usize>,
        /// How many states of each sweep but the last are kept, in the working memory; the others are
        /// computed again. Without it all are kept, in memory beside the arena.
        checkpoints: Option<usize>,
    },
    /// A scan that keeps the results that a later loop reads for a part of its steps alone.
    Forward(Arc<Reversal>),
    /// The scan that goes back over the steps of such a loop, and runs some of them again. The states
    /// among its operands are written over.
    Back(Arc<Reversal>),
}

/// Where a flow keeps things in its working memory, as offsets from its start.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The two buffers of every carried value, which steps read and write in turn.
    pub carry: Vec<[usize; 2]>,
    /// What the test of a `while` gives.
    pub test: usize,
    /// All bytes; the arena of the plan that runs stands at the start.
    pub bytes: usize,
    /// Where each carried value of the sweeps before the last one stands in what is kept of a step.
    pub record: Vec<usize>,
    /// The bytes that sweeps keep of one step.
    pub record_bytes: usize,
    /// With checkpoints, where the kept states stand, one record after the other.
    pub kept: usize,
    /// The same for each of several sweeps.
    pub states: Vec<States>,
    /// Where steps are run again, the two buffers of every value that they carry.
    pub walk: Vec<[usize; 2]>,
    /// Where steps are run again, what they give beside what is carried, as far as it is not stacked.
    pub results: Vec<usize>,
}

/// Where the kept states of one sweep stand, with what the sweeps before it carried to the same step: the
/// first values of [`Layout::record`].
#[derive(Clone, Debug, Default)]
pub struct States {
    /// The first record.
    pub start: usize,
    /// The bytes of one.
    pub bytes: usize,
    /// The two buffers of every value that the sweep carries where it is run again.
    pub walk: Vec<[usize; 2]>,
}

impl Layout {
    /// Nothing yet but the arena of the plans that run.
    pub(crate) fn above(arena: usize) -> Layout {
        Layout {
            bytes: aligned(arena),
            ..Layout::default()
        }
    }

    /// The start of further bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> usize {
        let start = self.bytes;
        self.bytes = start.saturating_add(aligned(bytes));
        start
    }

    /// States of all sweeps but the last, so many of each.
    fn several(&mut self, bodies: &[Arc<Plan>], count: usize) {
        let kept = &bodies[..bodies.len().saturating_sub(1)];
        let (mut values, mut all) = (0, 0_usize);
        for body in kept {
            values += body.outputs.len();
            let end = self.record.get(values).copied();
            let bytes = aligned(end.unwrap_or(self.record_bytes));
            all = all.saturating_add(bytes);
            let walk = self.pairs(&body.outputs);
            let start = self.take(bytes.saturating_mul(count));
            self.states.push(States { start, bytes, walk });
        }
        self.record_bytes = all;
    }

    /// Two buffers for each of the types.
    pub(crate) fn pairs(&mut self, types: &[TensorType]) -> Vec<[usize; 2]> {
        let bytes = types.iter().map(TensorType::bytes);
        bytes.map(|n| [self.take(n), self.take(n)]).collect()
    }
}

pub(crate) fn aligned(n: usize) -> usize {
    n.checked_next_multiple_of(64).unwrap_or(usize::MAX)
}

impl Flow {
    /// The flow of a graph's operation, with a plan for each of its bodies in their order.
    /// Loops of unknown length keep `checkpoints` states, where a number is given.
    pub(crate) fn new(
        region: &Region,
        plans: &[Arc<Plan>],
        checkpoints: Option<usize>,
    ) -> Option<Flow> {
        Some(match (region, plans) {
            (Region::Cond(_), [then, otherwise]) => Flow::Cond {
                then: then.clone(),
                otherwise: otherwise.clone(),
            },
            (Region::Scan(s), [body]) => Flow::Scan {
                body: body.clone(),
                carry: s.carry,
                scanned: s.scanned,
                length: s.length,
                reverse: s.reverse,
            },
            (Region::Sweeps(s), [test, bodies @ ..]) => Flow::Sweeps {
                test: test.clone(),
                bodies: bodies.to_vec(),
                carry: s.carry.clone(),
                checkpoints: checkpoints.filter(|_| bodies.len() >= 2),
            },
            (Region::While(w), [test, body]) => Flow::While {
                test: test.clone(),
                body: body.clone(),
                carry: w.carry,
            },
            _ => return None,
        })
    }

    /// The name of the graph's operation.
    pub fn name(&self) -> &'static str {
        match self {
            Flow::Cond { .. } => "cond",
            Flow::Scan { .. } => "scan",
            Flow::While { .. } => "while",
            Flow::Sweeps { .. } => "sweeps",
            Flow::Forward(_) => "scan_forward",
            Flow::Back(_) => "scan_back",
        }
    }

    /// The plans that it runs, with what they are to it.
    pub fn plans(&self) -> Vec<(&'static str, &Arc<Plan>)> {
        match self {
            Flow::Cond { then, otherwise } => vec![("then", then), ("otherwise", otherwise)],
            Flow::Scan { body, .. } => vec![("body", body)],
            Flow::While { test, body, .. } => vec![("test", test), ("body", body)],
            Flow::Sweeps { test, bodies, .. } => {
                let bodies = bodies.iter().map(|body| ("sweep", body));
                std::iter::once(("test", test)).chain(bodies).collect()
            }
            Flow::Forward(reversal) => vec![("body", &reversal.forward.body)],
            Flow::Back(reversal) => vec![
                ("forward", &reversal.forward.body),
                ("body", &reversal.backward.body),
            ],
        }
    }

    /// How its working memory is divided.
    pub fn layout(&self) -> Layout {
        let arena = self.plans().iter().map(|(_, p)| p.arena).max().unwrap_or(0);
        // The sweep that needs two buffers: what the others carry is kept step by step.
        let (body, carry) = match self {
            Flow::Forward(reversal) => return reversal.layout_forward(),
            Flow::Back(reversal) => return reversal.layout_back(),
            Flow::Scan { body, carry, .. } | Flow::While { body, carry, .. } => (body, *carry),
            Flow::Sweeps { bodies, carry, .. } => match (bodies.last(), carry.last()) {
                (Some(body), Some(carry)) => (body, *carry),
                _ => return Layout::default(),
            },
            Flow::Cond { .. } => {
                return Layout {
                    bytes: arena,
                    ..Layout::default()
                };
            }
        };
        let mut layout = Layout::above(arena);
        layout.test = layout.take(1);
        layout.carry = layout.pairs(body.outputs.get(..carry).unwrap_or_default());
        if let Flow::Sweeps { bodies, .. } = self {
            let kept = &bodies[..bodies.len().saturating_sub(1)];
            for t in kept.iter().flat_map(|body| &body.outputs) {
                layout.record.push(layout.record_bytes);
                // Every element type is aligned to 8 bytes.
                let bytes = t.bytes().checked_next_multiple_of(8).unwrap_or(usize::MAX);
                layout.record_bytes = layout.record_bytes.saturating_add(bytes);
            }
        }
        if let Flow::Sweeps {
            bodies,
            checkpoints: Some(count),
            ..
        } = self
        {
            match &bodies[..] {
                [forward, _] => {
                    layout.walk = layout.pairs(&forward.outputs);
                    layout.record_bytes = aligned(layout.record_bytes);
                    layout.kept = layout.take(layout.record_bytes.saturating_mul(*count));
                }
                bodies => layout.several(bodies, *count),
            }
        }
        layout
    }

    /// Sums a figure of the plans over the runs: a loop of unknown length counts one step.
    pub(crate) fn total(&self, of: fn(&Plan) -> u64) -> u64 {
        match self {
            Flow::Cond { then, otherwise } => of(then).max(of(otherwise)),
            Flow::Scan { body, length, .. } => of(body).saturating_mul(*length as u64),
            Flow::While { test, body, .. } => of(test).saturating_add(of(body)),
            Flow::Sweeps { test, bodies, .. } => {
                let bodies = bodies.iter().map(|body| of(body));
                bodies.fold(of(test), u64::saturating_add)
            }
            Flow::Forward(reversal) => {
                of(&reversal.forward.body).saturating_mul(reversal.length as u64)
            }
            Flow::Back(reversal) => {
                let again = of(&reversal.forward.body).saturating_mul(reversal.again() as u64);
                let own = of(&reversal.backward.body).saturating_mul(reversal.length as u64);
                own.saturating_add(again)
            }
        }
    }

    /// Checks operands, results and working memory of a step against the plans.
    pub(crate) fn check(&self, step: &Step) -> Result<(), String> {
        let bytes = self.layout().bytes;
        if step.scratch.len() < bytes || (bytes > 0 && !step.scratch.start.is_multiple_of(64)) {
            return Err(format!(
                "expected {bytes} bytes of memory, found {:?}",
                step.scratch
            ));
        }
        if step.args.iter().any(|a| matches!(a.place, Place::Splat(_))) {
            return Err("a branch or a loop reads arrays".into());
        }
        let args: Vec<TensorType> = step.args.iter().map(|a| (*a.ty).clone()).collect();
        let outs: Vec<TensorType> = step.outs.iter().map(|a| (*a.ty).clone()).collect();
        let flag = TensorType::scalar(cotangent_array::DType::Bool);
        match self {
            Flow::Cond { then, otherwise } => {
                let Some((condition, inputs)) = args.split_first() else {
                    return Err("a branch has a condition".into());
                };
                expect(*condition == flag, "the condition is a bool")?;
                for plan in [then, otherwise] {
                    expect(
                        types(&plan.inputs) == inputs,
                        "the operands are those of a branch",
                    )?;
                    expect(plan.outputs == outs, "the results are those of a branch")?;
                }
                Ok(())
            }
            Flow::Scan {
                body,
                carry,
                scanned,
                length,
                ..
            } => {
                let shared = carry.saturating_add(*scanned);
                let sliced = |t: &TensorType, whole: bool| {
                    if whole {
                        stacked(t, *length)
                    } else {
                        t.clone()
                    }
                };
                let want: Vec<TensorType> = types(&body.inputs)
                    .iter()
                    .enumerate()
                    .map(|(i, t)| sliced(t, (*carry..shared).contains(&i)))
                    .collect();
                expect(want == args, "the operands are those of the body")?;
                let want: Vec<TensorType> = body
                    .outputs
                    .iter()
                    .enumerate()
                    .map(|(i, t)| sliced(t, i >= *carry))
                    .collect();
                expect(want == outs, "the results are those of the body")?;
                carried(body, *carry)
            }
            Flow::Sweeps {
                test,
                bodies,
                carry,
                checkpoints,
            } => {
                expect(
                    checkpoints.is_none_or(|n| n > 0 && bodies.len() >= 2),
                    "some states are kept of a sweep before another one",
                )?;
                let total = carry.iter().fold(0_usize, |n, c| n.saturating_add(*c));
                expect(
                    total == outs.len() && total <= args.len() && bodies.len() == carry.len(),
                    "the results are what is carried",
                )?;
                expect(test.outputs == [flag], "the test gives a bool")?;
                let mut start = 0;
                for (j, (body, carry)) in bodies.iter().zip(carry).enumerate() {
                    let own = start..start + carry;
                    let inputs = [&args[..own.end], &args[total..]].concat();
                    expect(
                        j > 0 || types(&test.inputs) == inputs,
                        "the operands are those of the test",
                    )?;
                    expect(
                        types(&body.inputs) == inputs,
                        "the operands are those of each sweep",
                    )?;
                    expect(
                        body.outputs == args[own.clone()] && body.outputs == outs[own.clone()],
                        "each sweep keeps the types of what it carries",
                    )?;
                    start = own.end;
                }
                Ok(())
            }
            Flow::Forward(reversal) => reversal.check_forward(step),
            Flow::Back(reversal) => reversal.check_back(step),
            Flow::While { test, body, carry } => {
                expect(
                    types(&test.inputs) == args,
                    "the operands are those of the test",
                )?;
                expect(test.outputs == [flag], "the test gives a bool")?;
                expect(
                    types(&body.inputs) == args,
                    "the operands are those of the body",
                )?;
                expect(
                    body.outputs == outs && outs.len() == *carry,
                    "the body gives what is carried",
                )?;
                carried(body, *carry)
            }
        }
    }
}

fn carried(body: &Plan, carry: usize) -> Result<(), String> {
    let inputs = types(&body.inputs);
    let same = inputs
        .get(..carry)
        .is_some_and(|i| body.outputs.get(..carry) == Some(i));
    expect(same, "the body keeps the types of what is carried")
}

pub(crate) fn types(inputs: &[(String, TensorType)]) -> Vec<TensorType> {
    inputs.iter().map(|(_, t)| t.clone()).collect()
}

pub(crate) fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("expected that {what}"))
    }
}
