//! Checkpoints of the user's: what stands in one is not kept for the way back, but runs again.
//!
//! A graph with checkpoints is that without them, and its operations say where they stand
//! ([`Checkpoint`]). So passes and fusion see one and the same graph, and only the finished steps are
//! run again: the same steps on the same operands. No bit of a result can depend on a checkpoint.
//!
//! When the first step of a way back comes, the steps of the checkpoint whose results it needs run
//! again, from what was read from outside; what they wrote the first time ends where the way there
//! ends. Of a loop with checkpoints in its body the states are kept, as [`crate::reversal`] does it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cotangent_graph::ops::Region;
use cotangent_graph::{Around, Checkpoint, Equation, FastHasher, Op};

use crate::plan::{Operand, Place, Plan, Step, StepOp};
use crate::reversal;

/// Where steps stand.
#[derive(Default)]
pub(crate) struct Again {
    /// For each step the checkpoints around it.
    checkpoints: Vec<Checkpoint>,
    /// For steps that are loops the stacked results that stand in a checkpoint of the body.
    stacks: HashMap<usize, Vec<usize>>,
}

impl Again {
    /// All steps up to this number that have no place yet stand in these.
    pub(crate) fn stand_in(&mut self, checkpoint: Checkpoint, steps: usize) {
        self.checkpoints.resize(steps, checkpoint);
    }

    /// Notes what an operation stacks, if it became the last of so many steps.
    pub(crate) fn stacks(&mut self, e: &Equation, steps: usize) {
        let Op::Region(Region::Scan(scan)) = &e.op else {
            return;
        };
        let body = &scan.body.0;
        let stacked = body.outputs().iter().skip(scan.carry);
        let held = stacked
            .enumerate()
            .filter(|(_, v)| body.equation(**v).checkpoint != Checkpoint::NONE);
        let held: Vec<usize> = held.map(|(k, _)| k).collect();
        if let (false, Some(step)) = (held.is_empty(), steps.checked_sub(1)) {
            self.stacks.insert(step, held);
        }
    }

    /// Lets the steps of checkpoints run again; `next` is the number of values in the arena.
    pub(crate) fn run(mut self, plan: &mut Plan, next: &mut u32) {
        if !self.stacks.is_empty() {
            reversal::hold(plan, &self.stacks, next);
        }
        // Copies of results stand behind everything.
        self.stand_in(Checkpoint::NONE, plan.steps.len());
        let none = |c: &Checkpoint| *c == Checkpoint::NONE;
        if self.checkpoints.iter().all(none) {
            return;
        }
        let mut paths: HashMap<Checkpoint, Arc<[Around]>> = HashMap::new();
        let steps = std::mem::take(&mut plan.steps).into_iter();
        let mut steps: Vec<Held> = (steps.zip(&self.checkpoints))
            .map(|(step, checkpoint)| {
                let path = paths.entry(*checkpoint);
                let path = path.or_insert_with(|| checkpoint.path().into()).clone();
                Held { step, path }
            })
            .collect();
        // From the outermost checkpoints to the innermost: what runs again for one has checkpoints in it.
        let deepest = steps.iter().map(|held| held.path.len()).max().unwrap_or(0);
        let before = steps.len();
        for depth in 0..deepest {
            steps = level(steps, depth, next);
        }
        let changed = steps.len() != before;
        plan.steps = steps.into_iter().map(|held| held.step).collect();
        if changed {
            remove_unread(plan);
        }
    }
}

/// A step and the checkpoints around it.
struct Held {
    step: Step,
    path: Arc<[Around]>,
}

/// A way through a checkpoint: a number of it, and how often it was gone back over.
type Way = (u64, u32);

/// Lets steps of the checkpoints at one depth run again.
fn level(steps: Vec<Held>, depth: usize, next: &mut u32) -> Vec<Held> {
    let ways = Ways::of(&steps, depth);
    // For each step before which others run again: for which way, and which.
    let mut before: BTreeMap<usize, (Way, BTreeSet<usize>)> = BTreeMap::new();
    for (way, own) in ways.steps.iter().filter(|((_, back), _)| *back > 0) {
        let Some(first) = own.first() else { continue };
        let needed = ways.needed(&steps, *way, own);
        if !needed.is_empty() {
            before.insert(*first, (*way, needed));
        }
    }
    if before.is_empty() {
        return steps;
    }
    let mut again: BTreeMap<usize, Vec<Held>> = BTreeMap::new();
    let mut renamed: HashMap<Way, HashMap<u32, u32>> = HashMap::new();
    for (first, (way, needed)) in before {
        let names = renamed.entry(way).or_default();
        let mut copies = Vec::with_capacity(needed.len());
        for held in needed.iter().filter_map(|s| steps.get(*s)) {
            let mut step = held.step.clone();
            rename(&mut step, names);
            for out in &mut step.outs {
                let value = *next;
                *next += 1;
                if let Place::Arena { value: old, .. } = out.place {
                    names.insert(old, value);
                }
                // What is a result of the plan was written the first time.
                out.place = Place::Arena { value, offset: 0 };
            }
            step.again = true;
            let path = held.path.clone();
            copies.push(Held { step, path });
        }
        again.insert(first, copies);
    }
    let mut all = Vec::with_capacity(steps.len());
    for (i, mut held) in steps.into_iter().enumerate() {
        all.extend(again.remove(&i).into_iter().flatten());
        let way = way_of(&held, depth);
        if let Some(names) = way.and_then(|way| renamed.get(&way)) {
            rename(&mut held.step, names);
        }
        all.push(held);
    }
    all
}

fn way_of(held: &Held, depth: usize) -> Option<Way> {
    let around = held.path.get(depth)?;
    // Equal functions have checkpoints of the same numbers, which stand in different ones.
    let mut id = FastHasher::default();
    let outer = held.path.iter().take(depth + 1);
    outer.for_each(|around| around.id.hash(&mut id));
    Some((id.finish(), around.back()))
}

fn rename(step: &mut Step, names: &HashMap<u32, u32>) {
    for arg in &mut step.args {
        if let Place::Arena { value, .. } = &mut arg.place
            && let Some(new) = names.get(value)
        {
            *value = *new;
        }
    }
}

/// The ways through the checkpoints of one depth.
struct Ways {
    /// For each step its way.
    of: Vec<Option<Way>>,
    /// The steps of each way, in order.
    steps: BTreeMap<Way, Vec<usize>>,
    /// For each value the step that writes it.
    written: HashMap<u32, usize>,
    /// For each value the last step outside of the checkpoint where it is written that reads it.
    read: HashMap<u32, usize>,
}

impl Ways {
    fn of(steps: &[Held], depth: usize) -> Ways {
        let of: Vec<Option<Way>> = steps.iter().map(|held| way_of(held, depth)).collect();
        let mut ways = Ways {
            steps: BTreeMap::new(),
            written: HashMap::new(),
            read: HashMap::new(),
            of,
        };
        for (i, held) in steps.iter().enumerate() {
            if let Some(way) = ways.of[i] {
                ways.steps.entry(way).or_default().push(i);
            }
            for value in held.step.args.iter().filter_map(value_of) {
                let id = |i: &usize| ways.of[*i].map(|way| way.0);
                let made = ways.written.get(&value);
                if made.is_some_and(|made| id(made) != id(&i)) {
                    ways.read.insert(value, i);
                }
            }
            for value in held.step.outs.iter().filter_map(value_of) {
                ways.written.insert(value, i);
            }
        }
        ways
    }

    /// The steps that run again before the first of these, which are a way back.
    fn needed(&self, steps: &[Held], (id, back): Way, own: &[usize]) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let Some(first) = own.first() else {
            return needed;
        };
        let earlier = self.steps.range((id, 0)..(id, back));
        let earlier = earlier.flat_map(|(_, steps)| steps);
        let last = earlier.filter(|i| *i < first).max();
        // Nothing stands between the way there and the way back.
        if last.is_none_or(|last| last + 1 >= *first) {
            return needed;
        }
        let mut work: Vec<usize> = own.to_vec();
        while let Some(i) = work.pop() {
            let args = steps.get(i).into_iter().flat_map(|held| &held.step.args);
            for value in args.filter_map(value_of) {
                let Some(&made) = self.written.get(&value) else {
                    continue;
                };
                let inside = self.of[made].is_some_and(|way| way.0 == id && way.1 < back);
                // What is read outside later is there anyway.
                let there = self.read.get(&value).is_some_and(|by| by > first);
                let may = steps.get(made).is_some_and(|held| may_repeat(&held.step));
                if inside && made < *first && !there && may && needed.insert(made) {
                    work.push(made);
                }
            }
        }
        needed
    }
}

fn value_of(operand: &Operand) -> Option<u32> {
    match operand.place {
        Place::Arena { value, .. } => Some(value),
        _ => None,
    }
}

/// Whether a step may run twice: what it reads is still there then, and it calls no closure of the user's.
fn may_repeat(step: &Step) -> bool {
    step.consumes().is_none() && !calls_closures(step)
}

fn calls_closures(step: &Step) -> bool {
    let native = |s: &Step| matches!(s.op, StepOp::Native(_));
    let callees = step.op.callees();
    native(step)
        || callees.iter().any(|plan| {
            let own = plan.steps.iter().any(native);
            own || plan.callees().iter().any(|p| p.steps.iter().any(native))
        })
}

/// Takes out the steps whose results nobody reads any more.
fn remove_unread(plan: &mut Plan) {
    let mut read: BTreeSet<u32> = BTreeSet::new();
    let mut keep = vec![true; plan.steps.len()];
    for (i, step) in plan.steps.iter().enumerate().rev() {
        let wanted = |out: &Operand| value_of(out).is_none_or(|value| read.contains(&value));
        keep[i] = step.outs.iter().any(wanted) || calls_closures(step);
        if keep[i] {
            read.extend(step.args.iter().filter_map(value_of));
        }
    }
    let mut keep = keep.into_iter();
    plan.steps.retain(|_| keep.next().unwrap_or(true));
}
