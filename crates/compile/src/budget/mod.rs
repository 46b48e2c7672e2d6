//! Keeps a plan within a number of bytes: what is computed again, and where everything stands.
//!
//! A plan without a limit is made first. Where it is too large, its steps become a
//! [`Problem`](crate::remat::Problem), the planner finds which of them run again and when, and the
//! schedule becomes steps with values of their own. Loops whose steps are gone back over keep less of
//! them ([`crate::reversal`]). A step that runs again is the same step on the same operands, so no bit
//! of a result depends on the limit.

mod curve;
mod steps;

use crate::arena;
use crate::plan::Plan;
use crate::remat::{self, Problem};
use crate::reversal;

pub use curve::{Point, curve};

/// How [`compile_with`](crate::compile_with) compiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The most bytes that a run may hold: arena, inputs, constants and outputs together. Without
    /// it nothing is computed again but what stands in checkpoints.
    pub memory_budget: Option<usize>,
    /// Whether loops of unknown length keep all their states, beside the budget, because these go to a
    /// file; otherwise they keep as many as there is room for.
    pub states_beside: bool,
    /// Whether generated code takes numbers below the smallest normal one (2.2e-308, f32: 1.2e-38) for zeros,
    /// and gives zeros in their place: on some processors each product with one takes a hundred cycles. What
    /// runs otherwise (products of matrices, other kernels, the tile interpreter) computes with them as always,
    /// so results may then depend on the way of running.
    pub flush_subnormals: bool,
    /// How long to look for what is best computed again.
    pub search: remat::Options,
}

/// What a plan would need if nothing were computed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unlimited {
    /// The bytes of its arena.
    pub arena: usize,
    /// The nanoseconds that one run is expected to take.
    pub time: u64,
}

/// Gives every value its place. Values and working memory together stay within `room`, where there
/// is one and a way was found; steps run again for that. Whether they do stay within it.
///
/// `None` where sizes overflow.
pub(crate) fn fit(
    plan: &mut Plan,
    alignment: usize,
    room: Option<usize>,
    options: &remat::Options,
) -> Option<bool> {
    place(plan, alignment)?;
    plan.total();
    let Some(room) = room.filter(|room| plan.arena > *room) else {
        return Some(true);
    };
    let unlimited = Unlimited {
        arena: plan.arena,
        time: plan.time,
    };
    plan.arena = arena::place_tightly(&mut plan.steps, alignment, room)?;
    if plan.arena <= room {
        return Some(true);
    }
    let pairs = reversal::pairs(plan);
    let mut found = None;
    if !pairs.is_empty() {
        found = loops_within(plan, &pairs, alignment, room, options)?;
    }
    let problem = steps::problem(plan, alignment)?;
    if let Some(other) = within(plan, &problem, alignment, room, options)
        && found
            .as_ref()
            .is_none_or(|found: &Plan| found.time > other.time)
    {
        found = Some(other);
    }
    let fits = found.is_some();
    if let Some(found) = found {
        *plan = found;
        plan.unlimited = Some(unlimited);
    }
    Some(fits)
}

/// Gives every value its place, where steps may change their order for less memory but none runs
/// again.
fn place(plan: &mut Plan, alignment: usize) -> Option<()> {
    plan.arena = arena::place(&mut plan.steps, alignment)?;
    if plan.arena < SMALL {
        return Some(());
    }
    // Only what saves something that can be noticed changes the order, which was one that caches like.
    let less = |plan: &Plan| plan.arena - plan.arena / 64;
    if let Some(other) = reordered(plan, alignment)
        && other.arena < less(plan)
    {
        *plan = other;
    }
    place_lower(plan, alignment);
    Some(())
}

/// Gives every value its place, where steps stay in their order.
pub(crate) fn place_in_order(plan: &mut Plan, alignment: usize) -> Option<()> {
    plan.arena = arena::place(&mut plan.steps, alignment)?;
    if plan.arena >= SMALL {
        place_lower(plan, alignment);
    }
    Some(())
}

fn place_lower(plan: &mut Plan, alignment: usize) {
    if plan.steps.len() <= MOST_STEPS_TO_SEARCH {
        arena::place_low(plan, alignment, SEARCH_NODES);
    }
}

/// The plan with its steps in the order that holds the fewest bytes, if one was found.
fn reordered(plan: &Plan, alignment: usize) -> Option<Plan> {
    let (order, _) = remat::order(&steps::problem(plan, alignment)?)?;
    let mut other = steps::in_order(plan, order.into_iter())?;
    other.arena = arena::place(&mut other.steps, alignment)?;
    Some(other)
}

/// Arenas below this stay in the second cache whatever their order.
const SMALL: usize = 256 << 10;

/// Beyond this many steps a search for lower places would show in the time that compiling takes.
const MOST_STEPS_TO_SEARCH: usize = 512;

/// How many partial placements are looked at where no budget asks for more: about a millisecond.
const SEARCH_NODES: u64 = 1000;

/// The fastest plan found in which loops that are gone back over keep a part of what they kept.
///
/// The outer `None` stands for sizes that overflow.
fn loops_within(
    plan: &Plan,
    pairs: &[reversal::Pair],
    alignment: usize,
    room: usize,
    options: &remat::Options,
) -> Option<Option<Plan>> {
    let placed = |part: usize| -> Option<Plan> {
        let mut plan = reversal::apply(plan, pairs, Some((part, PARTS)));
        plan.arena = arena::place(&mut plan.steps, alignment)?;
        if plan.arena > room {
            plan.arena = arena::place_tightly(&mut plan.steps, alignment, room)?;
        }
        plan.total();
        Some(plan)
    };
    // The largest part that fits with all other steps run once.
    let (mut low, mut high) = (0, PARTS);
    let mut found = None;
    while low < high {
        let middle = low.midpoint(high);
        let plan = placed(middle)?;
        if plan.arena <= room {
            found = Some(plan);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    // Or else less is kept of loops and of other steps alike. Where all other steps run once, some
    // of them may still be worth more than steps of loops.
    for part in [PARTS / 2, PARTS / 8, 0] {
        let plan = placed(part)?;
        if plan.arena <= room || found.as_ref().is_some_and(|f: &Plan| f.time <= plan.time) {
            continue;
        }
        let problem = steps::problem(&plan, alignment)?;
        if let Some(other) = within(&plan, &problem, alignment, room, options)
            && found.as_ref().is_none_or(|found| found.time > other.time)
        {
            found = Some(other);
        }
    }
    Some(found)
}

/// In how many parts of their bytes the stacks of loops are divided.
const PARTS: usize = 1024;

/// The smallest room above `room` for which a plan is found, and one below which there is none, for
/// a plan that did not fit.
pub(crate) fn smallest(
    plan: &Plan,
    alignment: usize,
    room: usize,
    options: &remat::Options,
) -> Option<(usize, usize)> {
    let pairs = reversal::pairs(plan);
    let bound = steps::lower_bound(plan, alignment).min(plan.arena);
    let (mut least, mut none) = (plan.clone(), plan.clone());
    if !pairs.is_empty() {
        least = reversal::apply(plan, &pairs, Some((0, 1)));
        none = reversal::apply(plan, &pairs, None);
        least.arena = arena::place(&mut least.steps, alignment)?;
    }
    let bound = bound.min(steps::lower_bound(&none, alignment));
    let plan = &least;
    let problem = steps::problem(plan, alignment)?;
    let (mut low, mut high) = (
        room.max(bound.saturating_sub(1)).min(plan.arena),
        plan.arena,
    );
    // Quick looks say about where it is; of the rooms that worked the smallest that a whole search
    // confirms is named.
    let quick = remat::Options {
        steps: options.steps / 8,
        ..*options
    };
    let mut worked = vec![high];
    while high - low > (high / 64).max(1) {
        let middle = low.midpoint(high);
        if within(plan, &problem, alignment, middle, &quick).is_some() {
            high = middle;
            worked.push(high);
        } else {
            low = middle;
        }
    }
    let found = |room: usize| within(plan, &problem, alignment, room, options).map(|p| p.arena);
    let rooms = worked.iter().skip(1).rev();
    let mut smallest = rooms.filter_map(|room| Some((*room, found(*room)?)));
    let Some((room, arena)) = smallest.next() else {
        return Some((plan.arena, bound));
    };
    // What was found for a room may leave some of it, and is mostly found without that, too.
    Some((found(arena).map_or(room, |_| arena), bound))
}

/// The plan with steps that run again, within the room, if such a one is found.
fn within(
    plan: &Plan,
    problem: &Problem,
    alignment: usize,
    room: usize,
    options: &remat::Options,
) -> Option<Plan> {
    let mut target = room;
    // Gaps between places make a plan higher than the bytes that live at one time.
    for attempt in 0..TRIES {
        let schedule = remat::plan(problem, target as u64, options).ok()?;
        let mut found = steps::scheduled(plan, &schedule)?;
        found.arena = arena::place(&mut found.steps, alignment)?;
        if found.arena > room {
            found.arena = arena::place_tightly(&mut found.steps, alignment, room)?;
        }
        if found.arena <= room {
            found.total();
            return Some(found);
        }
        // A schedule that holds less than it was given would be found again with a little less, and with
        // values of few sizes there may be none just below.
        target = target.min(usize::try_from(schedule.peak).ok()?);
        let above = (found.arena - room)
            .max(room / 512)
            .saturating_mul(1 << attempt);
        target = target.checked_sub(above.min(target / 8).max(1))?;
    }
    None
}

/// How often a plan is made within fewer bytes, because the one before could not be placed.
const TRIES: usize = 5;
