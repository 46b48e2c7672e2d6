//! Improves a schedule within its budget: ruin a part of it, recreate it, keep what is better.

use std::time::Instant;

use super::profile::Key;
use super::random::Random;
use super::repair::Repair;
use super::state::State;

/// When a search ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    pub(crate) steps: u64,
    pub(crate) time: Option<Instant>,
}

impl Until {
    fn over(&self, step: u64) -> bool {
        let late = |end: Instant| Instant::now() >= end;
        step >= self.steps || self.time.is_some_and(late)
    }
}

/// Improves a state that is within its budget; it is the best one found when this returns.
pub(crate) fn improve(state: &mut State, repair: &mut Repair, random: &mut Random, until: Until) {
    let order = by_cost(state, state.all(), random, 0.0);
    repair.prune(state, order);
    repair.until = until.time;
    state.settle();
    let mut best = state.all();
    let mut best_extra = state.extra;
    let mut step = 0;
    let mut since = 0_u64;
    // The step of the last improvement: the search ends a number of steps after it.
    let mut better = 0;
    while best_extra > 0 && !until.over(step - better) {
        step += 1;
        since += 1;
        let before = state.extra;
        let mark = state.mark();
        ruin(state, random);
        let noise = if random.below(4) == 0 { 0.8 } else { 0.3 };
        let repaired = repair.repair(state, random, noise);
        if repaired {
            let keys = match state.reruns <= 256 || random.below(64) == 0 {
                true => state.all(),
                false => around(state, mark),
            };
            let keys = by_cost(state, keys, random, noise);
            repair.prune(state, keys);
        }
        // Slightly worse schedules are accepted, so that the search leaves dead ends.
        let slack = (best_extra as f64 * 0.03 * random.unit().powi(3)) as u128;
        if !repaired || state.extra > before && state.extra > best_extra + slack {
            state.undo(mark);
            continue;
        }
        if state.extra < best_extra {
            best_extra = state.extra;
            best = state.all();
            since = 0;
            better = step;
        }
        state.settle();
        if since > 3000 {
            since = 0;
            replace(state, &best);
        }
    }
    replace(state, &best);
}

/// Makes the reruns those of a list.
pub(crate) fn replace(state: &mut State, keys: &[Key]) {
    for key in state.all() {
        state.remove(key);
    }
    for key in keys {
        state.insert(*key);
    }
    state.settle();
}

/// Takes some reruns away that have to do with each other, or forces one.
fn ruin(state: &mut State, random: &mut Random) {
    let n = state.problem.steps.len();
    let Some(seed) = any(state, random) else {
        return;
    };
    match random.below(5) {
        0 => {
            for _ in 0..=random.below(6) {
                if let Some(key) = any(state, random) {
                    state.remove(key);
                }
            }
        }
        1 => {
            // All reruns of one stage, or of several after each other.
            let stages = seed.stage()..=(seed.stage() + random.below(3) as u32).min(n as u32);
            for stage in stages {
                let steps: Vec<u32> = state.profile.steps(stage).collect();
                for step in steps.into_iter().filter(|s| *s != stage) {
                    if random.below(8) > 0 {
                        state.remove(Key::new(stage, step));
                    }
                }
            }
        }
        2 => {
            // All reruns of neighbouring steps.
            let width = 1 + random.below(6) as u32;
            for step in seed.step().saturating_sub(width)..=seed.step() {
                let stages = state.stages(step)[1..].to_vec();
                for stage in stages {
                    if random.below(8) > 0 {
                        state.remove(Key::new(stage, step));
                    }
                }
            }
        }
        3 => {
            // A rerun more, at a stage that reads the value: something else may be kept instead.
            let step = random.below(n) as u32;
            let writes = &state.problem.steps[step as usize].writes;
            if let Some(value) = writes.get(random.below(writes.len())) {
                let reads = state.reads(*value);
                if let Some(read) = reads.get(random.below(reads.len())) {
                    let key = Key::new(read.stage(), step);
                    if !state.runs(key) {
                        state.insert(key);
                    }
                }
            }
            for _ in 0..=random.below(3) {
                if let Some(key) = any(state, random) {
                    state.remove(key);
                }
            }
        }
        _ => {
            // A rerun at another stage.
            state.remove(seed);
            let low = seed.step() + 1;
            let stage = low + random.below((n as u32 - low + 1) as usize) as u32;
            let near = seed.stage().saturating_sub(random.below(8) as u32).max(low);
            let stage = if random.below(2) == 0 { stage } else { near };
            let key = Key::new(stage, seed.step());
            if !state.runs(key) {
                state.insert(key);
            }
        }
    }
}

/// Any rerun.
fn any(state: &State, random: &mut Random) -> Option<Key> {
    let again = state.again();
    let step = *again.get(random.below(again.len()))?;
    let stages = &state.stages(step)[1..];
    let stage = stages.get(random.below(stages.len()))?;
    Some(Key::new(*stage, step))
}

/// The reruns of the steps changed since a mark.
fn around(state: &State, mark: usize) -> Vec<Key> {
    let changes = state.changes(mark).iter();
    let mut steps: Vec<u32> = changes.map(|(key, _)| key.step()).collect();
    steps.sort_unstable();
    steps.dedup();
    let keys = steps.iter().flat_map(|&step| {
        let stages = state.stages(step)[1..].iter();
        stages.map(move |stage| Key::new(*stage, step))
    });
    keys.collect()
}

/// Sorts so that the dearest come last, where pruning starts.
fn by_cost(state: &State, keys: Vec<Key>, random: &mut Random, noise: f64) -> Vec<Key> {
    let mut keyed: Vec<(f64, Key)> = keys
        .into_iter()
        .map(|key| {
            let cost = state.problem.steps[key.step() as usize].cost as f64;
            (cost * (1.0 + noise * random.unit()), key)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    keyed.into_iter().map(|(_, key)| key).collect()
}
