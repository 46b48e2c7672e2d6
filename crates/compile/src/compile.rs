//! From a graph to a plan: passes, steps, places.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cotangent_graph::{Checkpoint, FastMap, Graph};

use crate::budget::{self, Options, Unlimited};
use crate::lower::lower;
use crate::passes::{improved, optimize};
use crate::plan::{Place, Plan, Step, StepOp};
use crate::{CompileError, Flow, Target, donate};

/// Compiles a graph: runs all passes, chooses steps, and gives every value its place.
///
/// Equal graphs that are called are compiled once and share a plan. Numbers that stand everywhere
/// are not stored where a step can take the number itself; a reshaped value stands where it stood.
///
/// # Errors
/// A graph that does not verify, or one whose values are larger than memory can be.
pub fn compile(graph: &Graph, target: &Target) -> Result<Plan, CompileError> {
    compile_with(graph, target, &Options::default())
}

/// As [`compile`], within a memory budget: where the plan would take more, some steps run again so
/// that less must be kept. No bit of a result depends on it.
///
/// ```
/// use cotangent_compile::{Options, Target, compile, compile_with};
///
/// // Matrices are kept until they are read in the opposite order.
/// let graph = cotangent_graph::parse("fn f(x: f64[64, 64]) -> f64[64, 64] {
///     let a = x @ x;
///     let b = a @ a;
///     let c = b @ b;
///     let d = c @ c;
///     let e = sin(d @ d);
///     a @ sin(b @ sin(c @ sin(d @ e)))
/// }")?.entry().clone();
/// let free = compile(&graph, &Target::plain())?;
/// let options = Options { memory_budget: Some(free.memory() * 9 / 10), ..Options::default() };
/// let less = compile_with(&graph, &Target::plain(), &options)?;
/// assert!(less.memory() <= free.memory() * 9 / 10 && less.cost > free.cost);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`compile`]; [`CompileError::Budget`] where no plan within the budget is found.
pub fn compile_with(
    graph: &Graph,
    target: &Target,
    options: &Options,
) -> Result<Plan, CompileError> {
    let module = Module::of(graph)?;
    let free = module.free(target, options)?;
    let mut plan = module.within(free, target, options)?;
    donate::wait(&mut plan, alignment(target));
    Ok(plan)
}

impl Module<'_> {
    /// The plan without a budget, and the plans it calls.
    pub(crate) fn free(
        &self,
        target: &Target,
        options: &Options,
    ) -> Result<(Plan, Plans), CompileError> {
        self.plan(target, &HashMap::new(), None, true, &options.search)
    }

    /// The plan within the budget of the options, where `free` is the one without a budget.
    pub(crate) fn within(
        &self,
        free: (Plan, Plans),
        target: &Target,
        options: &Options,
    ) -> Result<Plan, CompileError> {
        let Some(budget) = options.memory_budget else {
            return Ok(free.0);
        };
        if free.0.memory() <= budget && largest_state(&free.0).is_none() {
            return Ok(free.0);
        }
        // Chains that run side by side are held side by side, and would run again together.
        let alone = Target {
            abreast: false,
            ..*target
        };
        let mut free = Some(free).filter(|(plan, _)| !runs_abreast(plan));
        // A row block holds all that its regions read and write at once, where single regions may take
        // turns with other steps.
        let apart = Target {
            row_cache: 0,
            ..alone
        };
        let mut least = None;
        for target in [&alone, &apart] {
            // Where bytes decide, what is in a checkpoint may be kept as well as anything else; but what the
            // user has chosen may be what is not found.
            for hold in [false, true].into_iter().filter(|hold| self.holds || *hold) {
                let plans = match free.take_if(|_| hold) {
                    Some(free) => free,
                    None => self.plan(target, &HashMap::new(), None, hold, &options.search)?,
                };
                let reached = |e: &CompileError| match e {
                    CompileError::Budget { reached, .. } => Some(*reached),
                    _ => None,
                };
                match within_budget(self, plans, budget, hold, target, options) {
                    Err(error) if reached(&error).is_some() => {
                        if least
                            .as_ref()
                            .is_none_or(|least| reached(&error) < reached(least))
                        {
                            least = Some(error);
                        }
                    }
                    found => return found,
                }
            }
        }
        Err(least.unwrap_or_else(|| too_large(&self.entry)))
    }
}

fn within_budget(
    module: &Module<'_>,
    (mut plan, mut callees): (Plan, Plans),
    budget: usize,
    hold: bool,
    target: &Target,
    options: &Options,
) -> Result<Plan, CompileError> {
    let graph = &*module.entry;
    let none = HashMap::new();
    // Loops of unknown length keep as many states as there is room for.
    let state = largest_state(&plan).filter(|_| !options.states_beside);
    let mut checkpoints = state.map(|_| 1);
    if let Some(state) = state {
        (plan, callees) = module.plan(target, &none, checkpoints, hold, &options.search)?;
        let mut count = budget.saturating_sub(plan.memory()) / state.max(1);
        count = count.min(MOST_CHECKPOINTS);
        while count > 1 {
            let (more, called) = module.plan(target, &none, Some(count), hold, &options.search)?;
            if more.memory() <= budget {
                (plan, callees, checkpoints) = (more, called, Some(count));
                break;
            }
            count = count / 4 * 3;
        }
    }
    if plan.memory() <= budget {
        return Ok(plan);
    }
    let held = plan.held();
    let room = budget.saturating_sub(held);
    let mut last = None;
    // Plans that are called get at most what would be left beside their operands and results, and
    // less where that is not enough.
    for part in [8, 6, 4, 3, 2, 1] {
        let rooms = module.rooms(&plan, &callees, room / 8 * part);
        if part < 8 && rooms.is_empty() {
            break;
        }
        let (mut fitted, _) = module.plan(target, &rooms, checkpoints, hold, &options.search)?;
        match budget::fit(&mut fitted, alignment(target), Some(room), &options.search) {
            Some(true) if held <= budget => {
                fitted.unlimited = Some(Unlimited {
                    arena: plan.arena,
                    time: plan.time,
                });
                return Ok(fitted);
            }
            Some(_) => last = Some(fitted),
            None => return Err(too_large(graph)),
        }
    }
    let last = last.as_ref().unwrap_or(&plan);
    let found = budget::smallest(last, alignment(target), room, &options.search);
    let (reached, bound) = found.ok_or_else(|| too_large(graph))?;
    Err(CompileError::Budget {
        graph: graph.name().to_owned(),
        budget,
        reached: held.saturating_add(reached),
        bound: held.saturating_add(bound),
        held,
    })
}

/// The most states that a loop of unknown length keeps; from here on more save little time.
const MOST_CHECKPOINTS: usize = 1 << 20;

/// Whether chains run side by side in a plan or in one that it calls.
fn runs_abreast(plan: &Plan) -> bool {
    let abreast = |p: &Plan| (p.steps.iter()).any(|s| matches!(s.op, StepOp::Abreast(_)));
    abreast(plan) || plan.callees().iter().any(|p| abreast(p))
}

/// The bytes of the largest states that a loop of unknown length keeps of a step, where there is such
/// a loop that is gone back over.
fn largest_state(plan: &Plan) -> Option<usize> {
    let callees = plan.callees();
    let steps = callees.iter().flat_map(|p| &p.steps).chain(&plan.steps);
    let states = steps.filter_map(|step| match &step.op {
        StepOp::Flow(flow @ Flow::Sweeps { bodies, .. }) if bodies.len() >= 2 => {
            Some(flow.layout().record_bytes.max(64))
        }
        _ => None,
    });
    states.max()
}

/// A graph and those that it calls, optimised; each after those that it calls itself.
pub(crate) struct Module<'a> {
    entry: Cow<'a, Graph>,
    callees: Vec<(u128, Graph)>,
    /// Whether some operation stands in a checkpoint.
    holds: bool,
}

/// The plans that a plan calls, by the graphs that they are of.
pub(crate) type Plans = FastMap<u128, Arc<Plan>>;

impl<'a> Module<'a> {
    pub(crate) fn of(graph: &'a Graph) -> Result<Module<'a>, CompileError> {
        let entry = improved(graph, None)?;
        let mut known = HashSet::new();
        let mut callees = Vec::new();
        // Callees before callers, by a work list: a graph waits on it, optimised, for those it calls.
        let mut work: Vec<(Arc<Graph>, Option<Graph>)> = unknown(&entry, &known);
        while let Some((callee, optimised)) = work.pop() {
            let key = callee.fingerprint();
            if known.contains(&key) {
                continue;
            }
            let optimised = match optimised {
                Some(graph) => graph,
                None => optimize(&callee, None)?,
            };
            let missing = unknown(&optimised, &known);
            if missing.is_empty() {
                known.insert(key);
                callees.push((key, optimised));
            } else {
                work.push((callee, Some(optimised)));
                work.extend(missing);
            }
        }
        let holds = |graph: &Graph| {
            let mut equations = graph.equations().iter();
            equations.any(|e| e.checkpoint != Checkpoint::NONE)
        };
        let holds = holds(&entry) || callees.iter().any(|(_, graph)| holds(graph));
        Ok(Module {
            entry,
            callees,
            holds,
        })
    }

    /// The plan of the graph, and those it calls, the latter within `rooms` where they can be.
    fn plan(
        &self,
        target: &Target,
        rooms: &HashMap<u128, usize>,
        checkpoints: Option<usize>,
        hold: bool,
        search: &crate::remat::Options,
    ) -> Result<(Plan, Plans), CompileError> {
        let mut plans = Plans::default();
        for (key, graph) in &self.callees {
            let mut plan = lower(graph, target, &plans, checkpoints, hold)?;
            let room = rooms.get(key).copied();
            budget::fit(&mut plan, alignment(target), room, search)
                .ok_or_else(|| too_large(graph))?;
            plans.insert(*key, Arc::new(plan));
        }
        let mut plan = lower(&self.entry, target, &plans, checkpoints, hold)?;
        budget::fit(&mut plan, alignment(target), None, search)
            .ok_or_else(|| too_large(&self.entry))?;
        Ok((plan, plans))
    }

    /// For each called plan that takes more than `room` beside operands and results of its callers,
    /// what is left for it.
    fn rooms(&self, plan: &Plan, plans: &Plans, room: usize) -> HashMap<u128, usize> {
        let keys: HashMap<*const Plan, u128> = plans
            .iter()
            .map(|(key, p)| (Arc::as_ptr(p), *key))
            .collect();
        let mut left: HashMap<*const Plan, usize> = HashMap::new();
        let give = |plan: &Plan, room: usize, left: &mut HashMap<*const Plan, usize>| {
            for step in &plan.steps {
                for callee in step.op.callees() {
                    let around = beside(step)
                        .saturating_add(step.scratch.len() - callee.arena.min(step.scratch.len()));
                    let own = left.entry(Arc::as_ptr(callee)).or_insert(usize::MAX);
                    *own = (*own).min(room.saturating_sub(around));
                }
            }
        };
        give(plan, room, &mut left);
        // Callers before callees.
        for callee in plan.callees().iter().rev() {
            let room = left
                .get(&Arc::as_ptr(callee))
                .copied()
                .unwrap_or(usize::MAX);
            give(callee, room, &mut left);
        }
        let mut rooms = HashMap::new();
        for callee in plan.callees() {
            let pointer = Arc::as_ptr(&callee);
            if let (Some(room), Some(key)) = (left.get(&pointer), keys.get(&pointer))
                && callee.arena > *room
            {
                rooms.insert(*key, *room);
            }
        }
        rooms
    }
}

/// The bytes of arena that operands and results of a step take.
fn beside(step: &Step) -> usize {
    let mut known: Vec<u32> = Vec::new();
    let mut bytes = 0_usize;
    for operand in step.args.iter().chain(&step.outs) {
        if let Place::Arena { value, .. } = operand.place
            && !known.contains(&value)
        {
            known.push(value);
            bytes = bytes.saturating_add(operand.ty.bytes());
        }
    }
    bytes
}

fn alignment(target: &Target) -> usize {
    target.alignment.max(64)
}

fn too_large(graph: &Graph) -> CompileError {
    CompileError::TooLarge {
        graph: graph.name().to_owned(),
    }
}

/// The distinct graphs that this one calls and that are not known yet.
fn unknown(graph: &Graph, known: &HashSet<u128>) -> Vec<(Arc<Graph>, Option<Graph>)> {
    let mut seen = HashSet::new();
    let calls = graph.equations().iter().flat_map(|e| e.op.callees());
    calls
        .map(|callee| &callee.0)
        .filter(|g| !known.contains(&g.fingerprint()) && seen.insert(g.fingerprint()))
        .map(|g| (g.clone(), None))
        .collect()
}
