//! Finds loops in a plan that go back over each other's steps, and lets them keep less.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use cotangent_graph::TensorType;
use cotangent_graph::ops::region::stacked;
use smallvec::SmallVec;

use super::{Loop, Reversal};
use crate::checkpoints;
use crate::plan::{Operand, Place, Plan, Step, StepOp};
use crate::{Flow, arena};

/// Two scans of a plan: the second goes back over the steps of the first.
pub(crate) struct Pair {
    /// The numbers of the two steps.
    steps: [usize; 2],
    /// The stacked results of the first, by their number among its stacked results, that nobody else
    /// reads, each with the number of the slice that it is for the second.
    stacks: Vec<(usize, usize)>,
    length: usize,
    /// The bytes that are kept of a step: as slices of the stacks, and as a state.
    slice: usize,
    state: usize,
}

/// The pairs of scans in which the second alone reads stacks of the first; each scan is in one pair.
pub(crate) fn pairs(plan: &Plan) -> Vec<Pair> {
    let mut written: HashMap<u32, (usize, usize)> = HashMap::new();
    let mut readers: HashMap<u32, usize> = HashMap::new();
    for (i, step) in plan.steps.iter().enumerate() {
        for arg in &step.args {
            if let Place::Arena { value, .. } = arg.place {
                *readers.entry(value).or_default() += 1;
            }
        }
        for (k, out) in step.outs.iter().enumerate() {
            if let Place::Arena { value, .. } = out.place {
                written.insert(value, (i, k));
            }
        }
    }
    let mut found: Vec<Pair> = Vec::new();
    for (j, step) in plan.steps.iter().enumerate() {
        let Some((back, length, reverse)) = scan(step).filter(|(_, length, _)| *length > 1) else {
            continue;
        };
        // The stacks by the loop that makes them.
        let mut stacks: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
        let own = || step.args.iter().skip(back.carry).take(back.scanned);
        for (slice, arg) in own().enumerate() {
            let Place::Arena { value, .. } = arg.place else {
                continue;
            };
            let Some(&(i, out)) = written.get(&value) else {
                continue;
            };
            let Some((first, steps, direction)) = scan(&plan.steps[i]) else {
                continue;
            };
            let scanned = own().filter(|a| a.place == arg.place).count();
            let alone = readers.get(&value) == Some(&scanned);
            let elements = arg.elements() / length;
            let result = first.slices().get(out.wrapping_sub(first.carry));
            let fits = result.is_some_and(|t| t.shape.elements() == elements);
            if steps != length || direction == reverse || !alone || !fits {
                continue;
            }
            let stack = (out - first.carry, slice);
            match stacks.iter_mut().find(|(known, _)| *known == i) {
                Some((_, all)) => all.push(stack),
                None => stacks.push((i, vec![stack])),
            }
        }
        for (i, stacks) in stacks {
            let Some((first, ..)) = scan(&plan.steps[i]) else {
                continue;
            };
            let slice = slice_bytes(&first, &stacks);
            if slice == 0 || has_native(&first.body) {
                continue;
            }
            let state = first.body.outputs.iter().take(first.carry);
            let state = state.map(|t| t.bytes().div_ceil(8).saturating_mul(8));
            found.push(Pair {
                steps: [i, j],
                stacks,
                length,
                slice,
                state: state.fold(0, usize::saturating_add),
            });
        }
    }
    // Each loop is in the pair that has the most to save.
    found.sort_by_key(|pair| Reverse(pair.slice.saturating_mul(pair.length)));
    let mut taken = vec![false; plan.steps.len()];
    found.retain(|pair| {
        let free = pair.steps.iter().all(|i| !taken[*i]);
        if free {
            pair.steps.iter().for_each(|i| taken[*i] = true);
        }
        free
    });
    found
}

/// The plan in which the stacks of every pair, and what replaces them, take about `share` parts of
/// `whole` of the bytes that they take now. With 0 the least is kept that this way of computing needs,
/// if time matters; with `None` not even that.
pub(crate) fn apply(plan: &Plan, pairs: &[Pair], share: Option<(usize, usize)>) -> Plan {
    let mut changed = plan.clone();
    let mut next = arena::values(&plan.steps) as u32;
    for pair in pairs {
        let (kept, slots) = match share {
            Some((part, whole)) => {
                pair.divide(pair.slice.saturating_mul(pair.length) / whole.max(1) * part)
            }
            None => (0, 0),
        };
        if kept < pair.length {
            replace(&mut changed, pair, kept, slots, &mut next);
        }
    }
    changed
}

/// Lets loops keep all their states instead of these stacks, which the way back then has from running
/// each step once more; `stacks` are those of the loops of some steps, by their number among what is
/// stacked. Loops of which that would not save anything, or that are no pair, stay.
pub(crate) fn hold(plan: &mut Plan, stacks: &HashMap<usize, Vec<usize>>, next: &mut u32) {
    for mut pair in pairs(plan) {
        let Some(held) = stacks.get(&pair.steps[0]) else {
            continue;
        };
        pair.stacks.retain(|(stack, _)| held.contains(stack));
        let slice =
            scan(&plan.steps[pair.steps[0]]).map(|(first, ..)| slice_bytes(&first, &pair.stacks));
        if slice.is_some_and(|slice| slice > pair.state) {
            let slots = pair.length.saturating_sub(1);
            replace(plan, &pair, 0, slots, next);
        }
    }
}

impl Pair {
    /// For how many steps the stacks are kept, and how many states of the others, so that the fewest
    /// steps run again within these bytes.
    fn divide(&self, bytes: usize) -> (usize, usize) {
        // With fewer states than this the way back takes more than a few times the steps.
        let least = self.length.ilog2() as usize + 1;
        let best = (0..=GRID).map(|part| {
            let kept = (bytes / self.slice.max(1)).min(self.length) * part / GRID;
            let others = self.length - kept;
            let left = bytes.saturating_sub(kept * self.slice);
            let slots = (left / self.state.max(1)).clamp(least, self.length);
            let slots = slots.min(others.saturating_sub(1));
            let fits = kept == 0 || slots * self.state <= left;
            let again = others.saturating_add(checkpoints::steps_back(others, slots));
            (!fits, again, kept, slots)
        });
        best.min()
            .map_or((0, least), |(_, _, kept, slots)| (kept, slots))
    }
}

/// How many ways to divide bytes between stacks and states are compared.
const GRID: usize = 32;

fn replace(plan: &mut Plan, pair: &Pair, kept: usize, slots: usize, next: &mut u32) {
    let [i, j] = pair.steps;
    let (Some((forward, length, reverse)), Some((backward, ..))) =
        (scan(&plan.steps[i]), scan(&plan.steps[j]))
    else {
        return;
    };
    let mut partial = vec![false; forward.slices().len()];
    let mut sources = vec![None; backward.scanned];
    for (stack, slice) in &pair.stacks {
        partial[*stack] = true;
        sources[*slice] = Some(*stack);
    }
    let reversal = Arc::new(Reversal {
        forward,
        backward,
        length,
        reverse,
        partial,
        sources,
        kept,
        slots,
    });
    let (first, back) = (&plan.steps[i], &plan.steps[j]);
    let carry = reversal.forward.carry;
    let is_part = |k: usize| k >= carry && reversal.partial.get(k - carry) == Some(&true);
    let mut outs: SmallVec<[Operand; 1]> = SmallVec::new();
    outs.extend(
        (first.outs.iter().enumerate())
            .filter(|(k, _)| !is_part(*k))
            .map(|(_, o)| o.clone()),
    );
    let mut own: SmallVec<[Operand; 2]> = SmallVec::new();
    for (k, out) in first.outs.iter().enumerate().filter(|(k, _)| is_part(*k)) {
        let ty = stacked(&reversal.forward.slices()[k - carry], kept);
        own.push(Operand {
            place: out.place,
            ty: Arc::new(ty),
        });
    }
    own.push(Operand {
        place: Place::Arena {
            value: *next,
            offset: 0,
        },
        ty: Arc::new(reversal.states()),
    });
    *next += 1;
    outs.extend(own.iter().cloned());
    let carried = reversal.backward.carry;
    let is_source = |k: usize| {
        k >= carried
            && reversal
                .sources
                .get(k - carried)
                .is_some_and(Option::is_some)
    };
    let args = back.args.iter().enumerate();
    let mut args: SmallVec<[Operand; 2]> = args
        .filter(|(k, _)| !is_source(*k))
        .map(|(_, a)| a.clone())
        .collect();
    args.extend(first.args.iter().cloned());
    args.extend(own);
    let back = Step {
        op: StepOp::Flow(Flow::Back(reversal.clone())),
        args,
        scratch: 0..reversal.layout_back().bytes,
        again: reversal.kept < length,
        ..back.clone()
    };
    let first = Step {
        outs,
        scratch: 0..reversal.layout_forward().bytes,
        op: StepOp::Flow(Flow::Forward(reversal)),
        ..first.clone()
    };
    plan.steps[i] = first;
    plan.steps[j] = back;
}

/// The loop of a step, its length, and whether it starts with the last slice.
fn scan(step: &Step) -> Option<(Loop, usize, bool)> {
    match &step.op {
        StepOp::Flow(Flow::Scan {
            body,
            carry,
            scanned,
            length,
            reverse,
        }) => {
            let whole = Loop {
                body: body.clone(),
                carry: *carry,
                scanned: *scanned,
            };
            Some((whole, *length, *reverse))
        }
        _ => None,
    }
}

/// The bytes of one step's slices of these stacks, each counted once.
fn slice_bytes(first: &Loop, stacks: &[(usize, usize)]) -> usize {
    let mut counted: Vec<usize> = stacks.iter().map(|(stack, _)| *stack).collect();
    counted.sort_unstable();
    counted.dedup();
    let types = counted.iter().filter_map(|k| first.slices().get(*k));
    types.map(TensorType::bytes).fold(0, usize::saturating_add)
}

/// Whether some step of the plan calls a user's closure, which is not run more often than it must be.
fn has_native(plan: &Plan) -> bool {
    let native = |p: &Plan| p.steps.iter().any(|s| matches!(s.op, StepOp::Native(_)));
    native(plan) || plan.callees().iter().any(|p| native(p))
}
