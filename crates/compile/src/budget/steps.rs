//! Between plans and the planner: steps as a problem, a schedule as steps.

use crate::arena;
use crate::plan::{Place, Plan, Step, StepOp};
use crate::remat::{self, Action, Problem, Schedule};

/// What a call of a user's closure costs, so that it is run again only where nothing else helps.
const NATIVE: u64 = 1 << 40;

/// The steps of a plan and the bytes of what they read and write. Outputs are values of no bytes:
/// they have memory of their own throughout.
pub(super) fn problem(plan: &Plan, alignment: usize) -> Option<Problem> {
    let values = arena::values(&plan.steps);
    let mut bytes = vec![0_u64; values + plan.outputs.len()];
    let number = |place: Place| match place {
        Place::Arena { value, .. } => Some(value),
        Place::Output(i) => Some(values as u32 + i),
        _ => None,
    };
    let mut steps: Vec<remat::Step> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        for out in &step.outs {
            if let Place::Arena { value, .. } = out.place {
                bytes[value as usize] = arena::rounded(out.ty.bytes(), alignment)? as u64;
            }
        }
        steps.push(remat::Step {
            cost: match step.op {
                StepOp::Native(_) => NATIVE,
                // What it has read is gone.
                _ if step.consumes().is_some() => NATIVE,
                _ => step.time(),
            },
            scratch: arena::rounded(step.scratch.len(), alignment)? as u64,
            backward: false,
            reads: step.args.iter().filter_map(|a| number(a.place)).collect(),
            writes: step.outs.iter().filter_map(|o| number(o.place)).collect(),
            over: arena::may_take_over(step),
        });
    }
    let outputs = (0..plan.outputs.len() as u32).map(|i| values as u32 + i);
    Problem::new(steps, bytes, outputs.collect(), 0).ok()
}

/// The plan with its steps run as scheduled.
pub(super) fn scheduled(plan: &Plan, schedule: &Schedule) -> Option<Plan> {
    let runs = schedule.actions.iter().filter_map(|action| match action {
        Action::Run(number) => Some(*number),
        _ => None,
    });
    in_order(plan, runs)
}

/// The plan with its steps run in this order: each run writes values of its own, and reads those
/// that were written last.
pub(super) fn in_order(plan: &Plan, runs: impl Iterator<Item = u32>) -> Option<Plan> {
    let mut current: Vec<u32> = vec![0; arena::values(&plan.steps)];
    let mut met = vec![false; plan.steps.len()];
    let mut next = 0;
    let mut steps: Vec<Step> = Vec::with_capacity(plan.steps.len());
    for number in runs {
        let mut step = plan.steps.get(number as usize)?.clone();
        let met = std::mem::replace(met.get_mut(number as usize)?, true);
        if met && step.consumes().is_some() {
            return None;
        }
        step.again |= met;
        step.scratch = 0..step.scratch.len();
        for arg in &mut step.args {
            if let Place::Arena { value, .. } = &mut arg.place {
                *value = *current.get(*value as usize)?;
            }
        }
        for out in &mut step.outs {
            if let Place::Arena { value, .. } = &mut out.place {
                *current.get_mut(*value as usize)? = next;
                *value = next;
                next += 1;
            }
        }
        steps.push(step);
    }
    Some(Plan {
        steps,
        ..plan.clone()
    })
}

/// Bytes of arena that every plan of these steps needs: those of the largest step, less what its
/// results may take over.
pub(super) fn lower_bound(plan: &Plan, alignment: usize) -> usize {
    let size = |bytes: usize| arena::rounded(bytes, alignment).unwrap_or(usize::MAX);
    let of_step = |step: &Step| {
        let mut read: Vec<(u32, usize)> = Vec::new();
        for arg in &step.args {
            if let Place::Arena { value, .. } = arg.place
                && !read.iter().any(|(known, _)| *known == value)
            {
                read.push((value, size(arg.ty.bytes())));
            }
        }
        let read: usize = read.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n));
        let own = step
            .outs
            .iter()
            .filter(|o| matches!(o.place, Place::Arena { .. }));
        let written = own.fold(0_usize, |sum, o| sum.saturating_add(size(o.ty.bytes())));
        let both = match takes_over(step) {
            true => read.max(written),
            false => read.saturating_add(written),
        };
        both.saturating_add(size(step.scratch.len()))
    };
    plan.steps.iter().map(of_step).max().unwrap_or(0)
}

/// Whether some result may stand where an operand stood.
fn takes_over(step: &Step) -> bool {
    if !step.op.may_overwrite_any() {
        return false;
    }
    let outs = 0..step.outs.len();
    let mut pairs = (0..step.args.len()).flat_map(|i| outs.clone().map(move |k| (i, k)));
    pairs.any(|(i, k)| step.op.may_overwrite(i, k))
}
