//! A first schedule in one pass: run, evict when memory is short, compute again when needed.
//!
//! This is dynamic tensor rematerialization (Kirisame et al., ICLR 2021) with foresight: the next
//! use of every value is known, so values go whose next use is far (Belady), which are large, and
//! which are cheap to bring back, together with what has gone around them.

use super::Problem;
use super::profile::Key;

/// Values evicted at one look at all of them, as a share: one in so many.
const SHARE: usize = 24;

/// Gives the reruns of a schedule that keeps within `room` bytes beside those held throughout,
/// wherever the pass could do so; `None` where far too much would run again.
///
/// `spread` is the weight of what has gone around a value: 1 spreads evictions over the graph, 0
/// lets them stand side by side.
pub(crate) fn sweep(problem: &Problem, room: u64, spread: f64) -> Option<Vec<Key>> {
    let mut sweep = Sweep::new(problem, room, spread);
    for stage in 0..problem.steps.len() as u32 {
        sweep.stage(stage);
        if sweep.reruns.len() > 40 * problem.steps.len() + 1000 {
            return None;
        }
    }
    sweep.outputs();
    Some(sweep.reruns)
}

struct Sweep<'a> {
    problem: &'a Problem,
    room: u64,
    spread: f64,
    live: u64,
    /// Per value whether it is there, and how many runs of this stage still read it.
    there: Vec<bool>,
    pinned: Vec<u32>,
    /// Per value how many of its readers in base order have run.
    read: Vec<u32>,
    /// The values that are there, and where each stands in that list.
    list: Vec<u32>,
    place: Vec<u32>,
    /// Evicted values that hang together, with what they cost: a forest of parents.
    parent: Vec<u32>,
    together: Vec<f64>,
    victims: Vec<u32>,
    met: Vec<u32>,
    reruns: Vec<Key>,
}

impl<'a> Sweep<'a> {
    fn new(problem: &'a Problem, room: u64, spread: f64) -> Sweep<'a> {
        let values = problem.bytes.len();
        Sweep {
            problem,
            room,
            spread,
            live: 0,
            there: problem.writer.iter().map(Option::is_none).collect(),
            pinned: vec![0; values],
            read: vec![0; values],
            list: Vec::new(),
            place: vec![0; values],
            parent: (0..values as u32).collect(),
            together: vec![0.0; values],
            victims: Vec::new(),
            met: vec![u32::MAX; problem.steps.len()],
            reruns: Vec::new(),
        }
    }

    /// Runs what must run again for a step, and the step.
    fn stage(&mut self, stage: u32) {
        let reads = &self.problem.steps[stage as usize].reads;
        let mut steps = self.missing(stage, reads);
        steps.push(stage);
        self.run_all(stage, &steps);
        for &value in reads {
            self.read[value as usize] += 1;
        }
        for &value in reads {
            self.drop_dead(value);
        }
        for &value in &self.problem.steps[stage as usize].writes {
            self.drop_dead(value);
        }
    }

    /// Brings the outputs back at the end.
    fn outputs(&mut self) {
        let stage = self.problem.steps.len() as u32;
        let outputs = &self.problem.outputs;
        for &value in outputs {
            self.pinned[value as usize] += 1;
        }
        let steps = self.missing(stage, outputs);
        self.run_all(stage, &steps);
    }

    fn run_all(&mut self, stage: u32, steps: &[u32]) {
        let problem = self.problem;
        for step in steps {
            for value in &problem.steps[*step as usize].reads {
                self.pinned[*value as usize] += 1;
            }
        }
        for &step in steps {
            let run = &problem.steps[step as usize];
            if step != stage {
                self.reruns.push(Key::new(stage, step));
            }
            let fresh = run.writes.iter().filter(|v| !self.there[**v as usize]);
            let fresh: u64 = fresh.map(|v| problem.bytes[*v as usize]).sum();
            let needed = fresh + run.scratch;
            while self.live + needed > self.room && self.evict(stage) {}
            for &value in &run.writes {
                if !self.there[value as usize] {
                    self.arrive(value);
                }
            }
            for value in &run.reads {
                self.pinned[*value as usize] -= 1;
            }
        }
    }

    /// The steps that must run again so that values are there, in order.
    fn missing(&mut self, stage: u32, values: &[u32]) -> Vec<u32> {
        let problem = self.problem;
        let mut steps = Vec::new();
        let mut work: Vec<u32> = values.to_vec();
        while let Some(value) = work.pop() {
            let Some(step) = problem.writer[value as usize] else {
                continue;
            };
            if self.there[value as usize] || self.met[step as usize] == stage {
                continue;
            }
            self.met[step as usize] = stage;
            steps.push(step);
            work.extend(&problem.steps[step as usize].reads);
        }
        steps.sort_unstable();
        steps
    }

    fn arrive(&mut self, value: u32) {
        let v = value as usize;
        // Its cost leaves what hangs together; the others stay together, which is near enough.
        let root = self.root(value);
        self.together[root as usize] -= self.cost(value).min(self.together[root as usize]);
        self.parent[v] = value;
        if root != value {
            self.together[v] = 0.0;
        }
        self.there[v] = true;
        self.place[v] = self.list.len() as u32;
        self.list.push(value);
        self.live += self.problem.bytes[v];
    }

    fn leave(&mut self, value: u32) {
        let v = value as usize;
        self.there[v] = false;
        let at = self.place[v] as usize;
        self.list.swap_remove(at);
        if let Some(moved) = self.list.get(at) {
            self.place[*moved as usize] = at as u32;
        }
        self.live -= self.problem.bytes[v];
    }

    /// Gives a value back that nothing can need any more.
    fn drop_dead(&mut self, value: u32) {
        if self.there[value as usize]
            && self.problem.writer[value as usize].is_some()
            && self.next_use(value).is_none()
        {
            self.leave(value);
        }
    }

    /// The step at which a value is read next in base order or, if it is not, at which one is that
    /// is computed from it.
    fn next_use(&self, value: u32) -> Option<u32> {
        let own = |value: u32| {
            let readers = &self.problem.readers[value as usize];
            let next = readers.get(self.read[value as usize] as usize).copied();
            let end = self.problem.outputs.binary_search(&value).is_ok();
            next.or(end.then_some(self.problem.steps.len() as u32))
        };
        own(value).or_else(|| {
            let readers = &self.problem.readers[value as usize];
            let made = readers.iter().rev().take(8);
            let made = made.flat_map(|r| &self.problem.steps[*r as usize].writes);
            made.filter_map(|v| own(*v)).min()
        })
    }

    /// Evicts one value that this stage does not need; whether there was one.
    fn evict(&mut self, stage: u32) -> bool {
        for look in 0..2 {
            while let Some(value) = self.victims.pop() {
                if self.there[value as usize] && self.pinned[value as usize] == 0 {
                    self.leave(value);
                    self.join(value);
                    return true;
                }
            }
            if look == 0 {
                self.choose(stage);
            }
        }
        false
    }

    /// Lists the values that go next, the first of them last.
    fn choose(&mut self, stage: u32) {
        let mut scored: Vec<(f64, u32)> = Vec::with_capacity(self.list.len());
        for i in 0..self.list.len() {
            let value = self.list[i];
            let bytes = self.problem.bytes[value as usize];
            if self.pinned[value as usize] == 0 && bytes > 0 {
                let distance = self
                    .next_use(value)
                    .map_or(u32::MAX, |u| u - stage.min(u) + 1);
                let around = self.around(value);
                let cost = self.cost(value) + self.spread * around + 1e-9;
                scored.push((cost / (bytes as f64 * f64::from(distance)), value));
            }
        }
        let count = scored.len() / SHARE + 1;
        let order = |a: &(f64, u32), b: &(f64, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if count < scored.len() {
            scored.select_nth_unstable_by(count, order);
            scored.truncate(count);
        }
        scored.sort_unstable_by(|a, b| order(b, a));
        self.victims = scored.into_iter().map(|(_, value)| value).collect();
    }

    fn cost(&self, value: u32) -> f64 {
        let writer = self.problem.writer[value as usize];
        writer.map_or(0.0, |w| self.problem.steps[w as usize].cost as f64)
    }

    /// What it costs to bring back everything that has gone next to a value.
    fn around(&mut self, value: u32) -> f64 {
        let mut roots: [u32; 8] = [u32::MAX; 8];
        let mut sum = 0.0;
        for (at, near) in self.neighbours(value).into_iter().enumerate() {
            let root = self.root(near);
            if !roots.contains(&root) {
                roots[at % 8] = root;
                sum += self.together[root as usize];
            }
        }
        sum
    }

    /// Evicted values that a value is computed from, or that are computed from it.
    fn neighbours(&self, value: u32) -> smallvec::SmallVec<[u32; 8]> {
        let problem = self.problem;
        let before = problem.writer[value as usize];
        let before = before.map_or(&[][..], |w| &problem.steps[w as usize].reads);
        let after = problem.readers[value as usize].iter();
        let after = after.take(self.read[value as usize] as usize);
        let after = after.flat_map(|r| &problem.steps[*r as usize].writes);
        let gone = |v: &&u32| !self.there[**v as usize] && self.next_use(**v).is_some();
        before
            .iter()
            .chain(after)
            .filter(gone)
            .copied()
            .take(8)
            .collect()
    }

    fn join(&mut self, value: u32) {
        self.parent[value as usize] = value;
        self.together[value as usize] = self.cost(value);
        for near in self.neighbours(value) {
            let (a, b) = (self.root(near), self.root(value));
            if a != b {
                self.parent[a as usize] = b;
                self.together[b as usize] += self.together[a as usize];
            }
        }
    }

    fn root(&mut self, value: u32) -> u32 {
        let mut at = value;
        while self.parent[at as usize] != at {
            let above = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = above;
            at = above;
        }
        at
    }
}
