//! Brings a schedule within its budget by running steps again, and takes back what is not needed.

use std::time::Instant;

use super::profile::Key;
use super::random::Random;
use super::state::State;

/// Evicts values where too much is held, the cheapest relief first.
pub(crate) struct Repair {
    /// The bytes beside those that are held throughout.
    budget: i64,
    /// When to give up.
    pub(crate) until: Option<Instant>,
    /// What a run costs at least in comparisons, so that relief counts where all is free.
    least: f64,
    /// Per step the last walk that met it.
    met: Vec<u32>,
    walk: u32,
    /// The bytes of the value to be evicted.
    evicted: i64,
    /// The reruns that the walk asks for, and its work list.
    wanted: Vec<Key>,
    candidates: Vec<Candidate>,
    /// The runs above the budget, with how much is above it, and the sums up to each.
    over: Vec<(Key, i64)>,
    sums: Vec<f64>,
}

/// A way to get a value out of the way at one time.
#[derive(Clone, Copy)]
struct Candidate {
    score: f64,
    /// The rerun that brings the value back.
    key: Key,
    keep: Keep,
    bytes: i64,
}

/// What becomes of a value that a rerun reads and that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keep {
    /// It is kept for the rerun where there is room, and computed again elsewhere.
    WhereFree,
    /// What the rerun itself reads is kept, room or not, because the value is smaller than what is
    /// evicted for it.
    Inputs,
}

/// At most so many steps are looked at to find what one eviction costs.
const WALK: usize = 4096;

/// At most so many values are compared for one eviction.
const COMPARED: usize = 96;

impl Repair {
    pub(crate) fn new(state: &State, budget: u64) -> Repair {
        let n = state.problem.steps.len();
        let budget = i64::try_from(budget.saturating_sub(state.problem.held));
        Repair {
            budget: budget.unwrap_or(i64::MAX / 4).min(i64::MAX / 4),
            until: None,
            least: state.problem.cost() as f64 / (n.max(1) as f64) * 1e-6 + 1e-9,
            met: vec![0; n],
            walk: 0,
            evicted: 0,
            wanted: Vec::new(),
            candidates: Vec::new(),
            over: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Evicts until nothing is above the budget; gives up where no eviction relieves anything.
    ///
    /// Scores are disturbed by a factor of up to `noise` to either side.
    pub(crate) fn repair(&mut self, state: &mut State, random: &mut Random, noise: f64) -> bool {
        let mut excess = state.profile.excess(self.budget);
        let mut failed = 0;
        while excess > 0.0 {
            if self.late() {
                return false;
            }
            let at = match (noise > 0.0 && random.below(2) == 0) || failed > 0 {
                false => state.profile.highest(),
                true => {
                    let stage = random.below(state.problem.steps.len() + 1) as u32;
                    let found = state.profile.first_above(stage, self.budget);
                    found.unwrap_or_else(|| state.profile.highest())
                }
            };
            match self.evict_at(state, at, excess, random, noise) {
                Some(less) => {
                    excess = less;
                    failed = 0;
                }
                None if failed < 4 => failed += 1,
                None => return false,
            }
        }
        true
    }

    fn late(&self) -> bool {
        self.until.is_some_and(|end| Instant::now() >= end)
    }

    /// Evicts many values at a time while much is above the budget, for graphs that are too large
    /// to compare all values for each eviction.
    ///
    /// All values are scored by what is above the budget in their gaps; the best are scored again
    /// when their turn comes, and evicted if they still are about as good.
    pub(crate) fn repair_in_bulk(&mut self, state: &mut State) {
        let values = state.problem.bytes.len() as u32;
        let mut excess = state.profile.excess(self.budget);
        while excess > 0.0 {
            let mut queue: Vec<(f64, u32, Key)> = Vec::new();
            for value in 0..values {
                if let Some((score, key)) = self.widest_gap(state, value) {
                    queue.push((score, value, key));
                }
            }
            queue.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let rounds = queue.len() / 6 + 1;
            let mut evicted = 0;
            for &(was, value, key) in queue.iter().take(2 * rounds) {
                let again = self.widest_gap(state, value);
                let Some((score, now)) = again else { continue };
                if score > 1.3 * was || now != key {
                    continue;
                }
                let mark = state.mark();
                self.bring_back(state, key, Keep::WhereFree);
                let left = state.profile.excess(self.budget);
                if left >= excess {
                    state.undo(mark);
                    continue;
                }
                excess = left;
                evicted += 1;
                if excess == 0.0 || evicted >= rounds || self.late() {
                    break;
                }
            }
            if evicted == 0 || self.late() {
                return;
            }
        }
    }

    /// The gap between two uses of a value in which most is above the budget: what it would cost to
    /// evict it there per byte relieved, and the rerun that brings it back.
    fn widest_gap(&mut self, state: &State, value: u32) -> Option<(f64, Key)> {
        let step = state.writer(value)?;
        let bytes = state.bytes(value);
        let stages = state.stages(step);
        let mut before = Key::new(step, step);
        let mut best: Option<(f64, Key)> = None;
        for &read in state.reads(value) {
            let key = Key::new(read.stage(), step);
            let ran = stages.partition_point(|t| *t <= read.stage());
            let ran = ran
                .checked_sub(1)
                .map_or(before, |i| Key::new(stages[i], step));
            let from = before.max(ran);
            if key > from {
                let relief = state.profile.relief(from.next(), key, bytes, self.budget);
                if relief > 0.0 && best.is_none_or(|(most, _)| relief > most) {
                    best = Some((relief, key));
                }
            }
            before = read;
        }
        let (relief, key) = best?;
        let (cost, _) = self.walk(state, key, Keep::WhereFree)?;
        Some(((cost + self.least) / relief, key))
    }

    /// Evicts one value at a time of too much memory; returns what is above the budget afterwards.
    fn evict_at(
        &mut self,
        state: &mut State,
        at: Key,
        excess: f64,
        random: &mut Random,
        noise: f64,
    ) -> Option<f64> {
        self.collect(state, at, random, noise);
        for _ in 0..6 {
            let best = (0..self.candidates.len()).min_by(|a, b| {
                self.candidates[*a]
                    .score
                    .total_cmp(&self.candidates[*b].score)
            })?;
            let candidate = self.candidates.swap_remove(best);
            let mark = state.mark();
            self.evicted = candidate.bytes;
            self.bring_back(state, candidate.key, candidate.keep);
            let left = state.profile.excess(self.budget);
            if left < excess * (1.0 - 1e-9) {
                return Some(left);
            }
            state.undo(mark);
        }
        None
    }

    /// Lists the ways to have less at a time.
    fn collect(&mut self, state: &State, at: Key, random: &mut Random, noise: f64) {
        self.candidates.clear();
        self.over.clear();
        state.profile.over(self.budget, &mut self.over);
        let mut sum = 0.0;
        self.sums.clear();
        self.sums.extend(self.over.iter().map(|(_, more)| {
            sum += *more as f64;
            sum
        }));
        let values = state.problem.bytes.len();
        let start = random.below(values);
        for i in 0..values {
            let value = ((start + i) % values) as u32;
            let Some((key, after)) = self.way_back(state, value, at) else {
                continue;
            };
            let bytes = state.bytes(value);
            let relief = self.relief(after, key, bytes);
            if relief <= 0.0 {
                continue;
            }
            self.evicted = bytes;
            for keep in [Keep::WhereFree, Keep::Inputs] {
                let Some((cost, burden)) = self.walk(state, key, keep) else {
                    continue;
                };
                if burden >= relief {
                    continue;
                }
                let disturbed = 1.0 + noise * (2.0 * random.unit() - 1.0);
                let score = (cost + self.least) / (relief - burden) * disturbed;
                self.candidates.push(Candidate {
                    score,
                    key,
                    keep,
                    bytes,
                });
            }
            if self.candidates.len() >= 2 * COMPARED {
                break;
            }
        }
    }

    /// How much less is above the budget when `bytes` are taken away from `from` up to and without
    /// `to`; where that covers many runs, no less than that.
    fn relief(&self, from: Key, to: Key, bytes: i64) -> f64 {
        let start = self.over.partition_point(|(key, _)| *key < from);
        let end = self.over.partition_point(|(key, _)| *key < to);
        if end - start <= 16 {
            let runs = self.over[start..end].iter();
            return runs.map(|(_, more)| bytes.min(*more) as f64).sum();
        }
        let before = start.checked_sub(1).map_or(0.0, |i| self.sums[i]);
        let all = self.sums[end - 1] - before;
        all.min(bytes as f64 * (end - start) as f64)
    }

    /// The rerun that brings back a value which lives at a time without being used then, and the
    /// key from which it would be gone.
    fn way_back(&self, state: &State, value: u32, at: Key) -> Option<(Key, Key)> {
        let step = state.writer(value)?;
        if step >= at.stage() && step != at.step() && step > at.stage() {
            return None;
        }
        let reads = state.reads(value);
        if reads.last().is_none_or(|last| *last <= at) || Key::new(step, step) >= at {
            return None;
        }
        let next = reads.partition_point(|r| *r < at);
        let read = *reads.get(next)?;
        let key = Key::new(read.stage(), step);
        if read == at || key <= at || state.runs(key) {
            return None;
        }
        let life = state.life(value, step, at);
        if life.end < at || life.end < read || at.step() == step && state.runs(at) {
            return None;
        }
        let before = next.checked_sub(1).map(|i| reads[i]);
        let after = before.map_or(life.start, |b| b.max(life.start));
        Some((key, after.next()))
    }

    /// What a rerun costs, with all that must run again for it, and how much is above the budget
    /// on its account; leaves the reruns in `wanted`.
    fn walk(&mut self, state: &State, key: Key, keep: Keep) -> Option<(f64, f64)> {
        self.walk += 1;
        self.wanted.clear();
        self.wanted.push(key);
        let (mut cost, mut burden) = (0.0, 0.0);
        let mut done = 0;
        while let Some(&at) = self.wanted.get(done) {
            done += 1;
            if done > WALK {
                return None;
            }
            let step = &state.problem.steps[at.step() as usize];
            cost += step.cost as f64;
            for &value in &step.reads {
                let Some(writer) = state.writer(value) else {
                    continue;
                };
                if self.met[writer as usize] == self.walk {
                    continue;
                }
                let run = Key::new(at.stage(), writer);
                if state.runs(run) {
                    continue;
                }
                let end = state.life(value, writer, at).end;
                if end > at {
                    continue;
                }
                let bytes = state.bytes(value);
                if state.profile.most(state.behind(end), at) + bytes <= self.budget {
                    continue;
                }
                if keep == Keep::Inputs && at == key {
                    if bytes >= self.evicted {
                        return None;
                    }
                    burden += (state.profile).burden(state.behind(end), at, bytes, self.budget);
                    continue;
                }
                self.met[writer as usize] = self.walk;
                self.wanted.push(run);
            }
        }
        (keep == Keep::WhereFree || burden > 0.0).then_some((cost, burden))
    }

    /// Inserts a rerun, all that must run again for it, and takes back later reruns of the same
    /// steps where there is room to keep their values from now on.
    fn bring_back(&mut self, state: &mut State, key: Key, keep: Keep) {
        if self.walk(state, key, keep).is_none() {
            return;
        }
        for &run in &self.wanted {
            if !state.runs(run) {
                state.insert(run);
            }
        }
        for at in 0..self.wanted.len() {
            let run = self.wanted[at];
            let stages = state.stages(run.step());
            let next = stages.partition_point(|t| *t <= run.stage());
            if let Some(&stage) = stages.get(next) {
                let later = Key::new(stage, run.step());
                if state.could_keep(later, self.budget) {
                    state.remove(later);
                }
            }
        }
    }

    /// Takes back every rerun of a list that is not needed to keep within the budget, and then
    /// those that only served these; what is within the budget must be so before.
    pub(crate) fn prune(&mut self, state: &mut State, mut keys: Vec<Key>) {
        while let Some(key) = keys.pop() {
            if key.stage() == key.step() || !state.runs(key) {
                continue;
            }
            if state.could_keep(key, self.budget) {
                state.remove(key);
            } else {
                let mark = state.mark();
                state.remove(key);
                if state.profile.peak() > self.budget {
                    state.undo(mark);
                    continue;
                }
            }
            for value in &state.problem.steps[key.step() as usize].reads {
                if let Some(writer) = state.writer(*value) {
                    keys.push(Key::new(key.stage(), writer));
                }
            }
        }
    }
}
