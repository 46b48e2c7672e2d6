//! A schedule that can be changed step by step: which steps run again before which first runs.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::profile::{Key, Profile};
use super::{Action, Problem};

/// A set of reruns, with the memory over time that follows from it.
///
/// Step `s` may run again in any later stage `t`, that is, before the first run of step `t`; the
/// runs of a stage are in base order. Each read takes the latest value, and a value lives from the
/// run that writes it to the last read before the next such run. So every set of reruns is a
/// schedule that computes the right thing, and only its memory and its cost are in question. One
/// more stage stands at the end, in which the outputs are read.
pub(crate) struct State<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) profile: Profile,
    /// Per step the stages in which it runs, in order; the first is its own.
    stages: Vec<Vec<u32>>,
    /// Per value the runs that read it, in order.
    reads: Vec<Vec<Key>>,
    /// What the reruns cost.
    pub(crate) extra: u128,
    /// The number of reruns.
    pub(crate) reruns: usize,
    /// The steps that run again, in no order, and where each stands in that list.
    again: Vec<u32>,
    again_at: Vec<u32>,
    /// The changes made, so that they can be undone.
    log: Vec<(Key, bool)>,
    /// Whether any result may take over the memory of another value, and the bytes that are taken
    /// over at each run, where there are any.
    takes: bool,
    taken: HashMap<Key, i64>,
}

/// Where a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Life {
    /// The run that writes it.
    pub(crate) start: Key,
    /// The last run that reads it, or else the one that writes it.
    pub(crate) end: Key,
}

impl<'a> State<'a> {
    /// Every step runs once.
    pub(crate) fn new(problem: &'a Problem) -> State<'a> {
        let n = problem.steps.len();
        let last = Key::new(n as u32, n as u32);
        let mut reads: Vec<Vec<Key>> = Vec::with_capacity(problem.bytes.len());
        for readers in &problem.readers {
            reads.push(readers.iter().map(|s| Key::new(*s, *s)).collect());
        }
        for value in &problem.outputs {
            reads[*value as usize].push(last);
        }
        let mut profile = Profile::new(n + 1);
        let takes = problem.steps.iter().any(|s| !s.over.is_empty());
        for (i, step) in problem.steps.iter().enumerate() {
            let start = Key::new(i as u32, i as u32);
            profile.add(start, start.next(), step.scratch as i64);
            for value in &step.writes {
                let end = reads[*value as usize].last().copied().unwrap_or(start);
                profile.add(start, end.next(), problem.bytes[*value as usize] as i64);
            }
        }
        let mut state = State {
            problem,
            profile,
            stages: (0..n).map(|s| vec![s as u32]).collect(),
            reads,
            extra: 0,
            reruns: 0,
            again: Vec::new(),
            again_at: vec![0; n],
            log: Vec::new(),
            takes,
            taken: HashMap::new(),
        };
        for i in (0..n as u32).filter(|_| takes) {
            state.take_over(Key::new(i, i));
        }
        state
    }

    /// The most bytes held at one time, what is held throughout included.
    pub(crate) fn peak(&self) -> u64 {
        self.profile.peak().max(0) as u64 + self.problem.held
    }

    /// The step that writes a value.
    pub(crate) fn writer(&self, value: u32) -> Option<u32> {
        self.problem.writer[value as usize]
    }

    pub(crate) fn bytes(&self, value: u32) -> i64 {
        self.problem.bytes[value as usize] as i64
    }

    /// The stages in which a step runs, in order; the first is its own.
    pub(crate) fn stages(&self, step: u32) -> &[u32] {
        &self.stages[step as usize]
    }

    /// The steps that run more than once, in no order.
    pub(crate) fn again(&self) -> &[u32] {
        &self.again
    }

    pub(crate) fn runs(&self, key: Key) -> bool {
        key.stage() == key.step()
            || self.stages[key.step() as usize]
                .binary_search(&key.stage())
                .is_ok()
    }

    /// The runs that read a value, in order.
    pub(crate) fn reads(&self, value: u32) -> &[Key] {
        &self.reads[value as usize]
    }

    /// Where the value lives that a read at `key` would find; `step` writes it, before `key`.
    pub(crate) fn life(&self, value: u32, step: u32, key: Key) -> Life {
        let stages = &self.stages[step as usize];
        let next = stages.partition_point(|t| Key::new(*t, step) < key);
        let start = Key::new(stages[next.saturating_sub(1)], step);
        let limit = match stages.get(next) {
            // The run at the key itself is no end to what was there before.
            Some(stage) => Key::new(*stage, step),
            None => Key::new(u32::MAX, 0),
        };
        Life {
            start,
            end: self.last_read(value, start, limit),
        }
    }

    /// The last read of a value after `start` and before `limit`, or else `start`.
    fn last_read(&self, value: u32, start: Key, limit: Key) -> Key {
        let reads = &self.reads[value as usize];
        let at = reads.partition_point(|r| *r < limit);
        match at.checked_sub(1).map(|i| reads[i]) {
            Some(read) if read > start => read,
            _ => start,
        }
    }

    /// Lets a step run again: it must not run in that stage yet.
    pub(crate) fn insert(&mut self, key: Key) {
        self.log.push((key, true));
        self.insert_run(key);
    }

    /// Takes a rerun away: it must be there.
    pub(crate) fn remove(&mut self, key: Key) {
        self.log.push((key, false));
        self.remove_run(key);
    }

    /// The number of changes made so far.
    pub(crate) fn mark(&self) -> usize {
        self.log.len()
    }

    /// The runs changed since the mark, and whether each was inserted.
    pub(crate) fn changes(&self, mark: usize) -> &[(Key, bool)] {
        &self.log[mark..]
    }

    /// Undoes all changes since the mark.
    pub(crate) fn undo(&mut self, mark: usize) {
        while self.log.len() > mark {
            match self.log.pop() {
                Some((key, true)) => self.remove_run(key),
                Some((key, false)) => self.insert_run(key),
                None => {}
            }
        }
    }

    /// Forgets what could be undone.
    pub(crate) fn settle(&mut self) {
        self.log.clear();
    }

    /// All reruns, in order of steps.
    pub(crate) fn all(&self) -> Vec<Key> {
        let mut all = Vec::with_capacity(self.reruns);
        for (step, stages) in self.stages.iter().enumerate() {
            all.extend(stages[1..].iter().map(|t| Key::new(*t, step as u32)));
        }
        all
    }

    /// Whether a rerun can be taken away because there is room to keep what it writes from the last
    /// read before it, or because nothing reads what it writes. There may be room even where this
    /// says no: what the rerun reads need not be kept for it then.
    pub(crate) fn could_keep(&self, key: Key, budget: i64) -> bool {
        let step = key.step();
        let problem = self.problem;
        problem.steps[step as usize].writes.iter().all(|&value| {
            let stages = &self.stages[step as usize];
            let at = stages.partition_point(|t| *t < key.stage());
            let limit = stages.get(at + 1);
            let limit = limit.map_or(Key::new(u32::MAX, 0), |t| Key::new(*t, step));
            if self.last_read(value, key, limit) == key {
                return true;
            }
            let start = Key::new(stages[at.saturating_sub(1)], step);
            let end = self.last_read(value, start, key);
            self.profile.most(self.behind(end), key) + self.bytes(value) <= budget
        })
    }

    /// Where there are more bytes if a value lives on after the run that reads it last: from behind that
    /// run on, or from the run itself if a result takes something over there.
    pub(crate) fn behind(&self, end: Key) -> Key {
        match self.taken.contains_key(&end) {
            true => end,
            false => end.next(),
        }
    }

    /// The runs at which what is taken over may change with a run: itself, and those at which what it
    /// reads and writes ends.
    fn concerned(&self, key: Key) -> SmallVec<[Key; 8]> {
        let mut concerned = SmallVec::new();
        if !self.takes {
            return concerned;
        }
        let run = &self.problem.steps[key.step() as usize];
        concerned.push(key);
        for &value in &run.writes {
            for at in [key, key.next()] {
                concerned.push(self.life(value, key.step(), at).end);
            }
        }
        for &value in &run.reads {
            if let Some(writer) = self.writer(value) {
                concerned.push(self.life(value, writer, key).end);
            }
        }
        concerned
    }

    /// Counts what is taken over at a run anew.
    fn take_over(&mut self, key: Key) {
        let Some(step) = self.problem.steps.get(key.step() as usize) else {
            return;
        };
        if step.over.is_empty() {
            return;
        }
        let ends = |value: u32| {
            let writer = self.writer(value);
            writer.is_some_and(|w| self.life(value, w, key).end == key)
        };
        let now = match self.runs(key) {
            true => self.problem.taken_over(step, ends) as i64,
            false => 0,
        };
        let before = match now {
            0 => self.taken.remove(&key),
            _ => self.taken.insert(key, now),
        };
        self.profile.add(key, key.next(), before.unwrap_or(0) - now);
    }

    /// The runs in order, with each value freed after its last read.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let problem = self.problem;
        let mut actions = Vec::new();
        for stage in 0..=problem.steps.len() as u32 {
            for step in self.profile.steps(stage) {
                let Some(run) = problem.steps.get(step as usize) else {
                    continue;
                };
                let key = Key::new(stage, step);
                actions.push(Action::Run(step));
                for &value in run.reads.iter().chain(&run.writes) {
                    if let Some(writer) = self.writer(value)
                        && self.life(value, writer, key.next()).end == key
                    {
                        actions.push(Action::Free(value));
                    }
                }
            }
        }
        actions
    }

    fn insert_run(&mut self, key: Key) {
        let before = self.concerned(key);
        self.insert_alone(key);
        let after = self.concerned(key);
        (before.into_iter().chain(after)).for_each(|key| self.take_over(key));
    }

    fn remove_run(&mut self, key: Key) {
        let before = self.concerned(key);
        self.remove_alone(key);
        let after = self.concerned(key);
        (before.into_iter().chain(after)).for_each(|key| self.take_over(key));
    }

    /// [`State::insert_run`] but for what is taken over.
    fn insert_alone(&mut self, key: Key) {
        let problem = self.problem;
        let step = key.step();
        let run = &problem.steps[step as usize];
        let next = self.profile.following(key);
        // Between two runs live those values of the second that it does not write itself.
        let next_own = problem.steps.get(next as usize);
        let next_own = next_own.map_or(0, |s| problem.written(s) + s.scratch) as i64;
        let taken = self.taken.get(&Key::new(key.stage(), next));
        let next_own = next_own - taken.copied().unwrap_or(0);
        self.profile.insert(key, run.scratch as i64 - next_own);
        for &value in &run.writes {
            let life = self.life(value, step, key);
            let bytes = self.bytes(value);
            if life.end > key {
                let end = self.last_read(value, life.start, key);
                self.profile.add(end.next(), key, -bytes);
            } else {
                self.profile.add(key, key.next(), bytes);
            }
        }
        let stages = &mut self.stages[step as usize];
        if stages.len() == 1 {
            self.again_at[step as usize] = self.again.len() as u32;
            self.again.push(step);
        }
        let at = stages.partition_point(|t| *t < key.stage());
        stages.insert(at, key.stage());
        for &value in &run.reads {
            if let Some(writer) = problem.writer[value as usize] {
                let end = self.life(value, writer, key).end;
                self.profile.add(end.next(), key.next(), self.bytes(value));
            }
            let reads = &mut self.reads[value as usize];
            let at = reads.partition_point(|r| *r < key);
            reads.insert(at, key);
        }
        self.extra += u128::from(run.cost);
        self.reruns += 1;
    }

    /// [`State::remove_run`] but for what is taken over.
    fn remove_alone(&mut self, key: Key) {
        let problem = self.problem;
        let step = key.step();
        let run = &problem.steps[step as usize];
        for &value in &run.reads {
            let reads = &mut self.reads[value as usize];
            let at = reads.partition_point(|r| *r < key);
            reads.remove(at);
            if let Some(writer) = problem.writer[value as usize] {
                let end = self.life(value, writer, key).end;
                self.profile.add(end.next(), key.next(), -self.bytes(value));
            }
        }
        let stages = &mut self.stages[step as usize];
        let at = stages.partition_point(|t| *t < key.stage());
        stages.remove(at);
        if stages.len() == 1 {
            let at = self.again_at[step as usize] as usize;
            self.again.swap_remove(at);
            if let Some(moved) = self.again.get(at) {
                self.again_at[*moved as usize] = at as u32;
            }
        }
        for &value in &run.writes {
            let life = self.life(value, step, key);
            let bytes = self.bytes(value);
            if life.end > key {
                let end = self.last_read(value, life.start, key);
                self.profile.add(end.next(), key, bytes);
            } else {
                self.profile.add(key, key.next(), -bytes);
            }
        }
        self.profile.remove(key);
        self.extra -= u128::from(run.cost);
        self.reruns -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remat::random::Random;
    use crate::remat::{Step, replay};

    /// Several values per step, scratch, inputs and outputs.
    fn problem(random: &mut Random) -> Problem {
        let mut steps = Vec::new();
        let mut bytes = vec![3, 5];
        for _ in 0..random.below(14) + 2 {
            let reads = (0..random.below(4)).map(|_| random.below(bytes.len()) as u32);
            let reads = reads.collect();
            let first = bytes.len() as u32;
            bytes.extend((0..random.below(3)).map(|_| random.below(3) as u64));
            let reads: Vec<u32> = reads;
            let over = (first..bytes.len() as u32).filter(|_| random.below(2) == 0);
            let over = over.map(|v| (v, reads.clone())).collect();
            steps.push(Step {
                over,
                cost: random.below(5) as u64,
                scratch: random.below(3) as u64,
                backward: false,
                writes: (first..bytes.len() as u32).collect(),
                reads,
            });
        }
        let outputs = vec![random.below(bytes.len()) as u32, bytes.len() as u32 - 1];
        Problem::new(steps, bytes, outputs, 2).unwrap()
    }

    #[test]
    fn any_set_of_reruns_replays_to_its_peak_and_cost() {
        let mut random = Random::new(11);
        for _ in 0..300 {
            let problem = problem(&mut random);
            let mut state = State::new(&problem);
            assert_eq!(state.peak(), problem.base_peak());
            let n = problem.steps.len();
            let mut marks = Vec::new();
            for _ in 0..25 {
                let stage = 1 + random.below(n) as u32;
                let key = Key::new(stage, random.below(stage as usize) as u32);
                marks.push((state.mark(), state.peak(), state.extra));
                if state.runs(key) {
                    state.remove(key);
                } else {
                    state.insert(key);
                }
                let found = replay(&problem, &state.actions()).unwrap();
                let cost = u128::from(problem.cost()) + state.extra;
                assert_eq!((found.peak, found.cost), (state.peak(), cost));
                assert_eq!(found.reruns, state.reruns);
                assert_eq!(state.all().len(), state.reruns);
            }
            while let Some((mark, peak, extra)) = marks.pop() {
                state.undo(mark);
                assert_eq!((state.peak(), state.extra), (peak, extra));
            }
            assert!(state.again().is_empty());
        }
    }
}
