//! The memory over time: places in order of their keys, with range-add and maximum.

/// When a step runs: the stage, which is the step whose first run it prepares, and the step.
///
/// Keys order as (stage, step). The first run of step `s` has the key (s, s), reruns before the
/// first run of step `t` have keys (t, s) with s < t.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) const START: Key = Key(0);

    pub(crate) fn new(stage: u32, step: u32) -> Key {
        Key(u64::from(stage) << 32 | u64::from(step))
    }

    pub(crate) fn stage(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn step(self) -> u32 {
        self.0 as u32
    }

    /// The key right after this one.
    pub(crate) fn next(self) -> Key {
        Key(self.0 + 1)
    }
}

/// The bytes held at each run.
///
/// A tree over the stages holds what is added to whole stages, and the maximum; each stage has a
/// sorted list of its runs. A key at which nothing runs never holds more than its neighbours, so
/// maxima over keys and over runs are the same.
pub(crate) struct Profile {
    /// Per node of the tree: the most below it, what is added to it included.
    most: Vec<i64>,
    /// Per node of the tree: what is added to everything below it.
    added: Vec<i64>,
    /// The number of leaves, a power of two.
    leaves: usize,
    /// Per stage its runs: the step, and its bytes without what is added in the tree.
    runs: Vec<Vec<(u32, i64)>>,
}

/// A number below all sums, which can still be added to.
const NOTHING: i64 = i64::MIN / 2;

impl Profile {
    /// One run for every stage, at which nothing is held yet.
    pub(crate) fn new(stages: usize) -> Profile {
        let leaves = stages.max(1).next_power_of_two();
        let mut profile = Profile {
            most: vec![NOTHING; 2 * leaves],
            added: vec![0; 2 * leaves],
            leaves,
            runs: (0..stages).map(|t| vec![(t as u32, 0)]).collect(),
        };
        for node in (1..leaves + stages).rev() {
            profile.most[node] = if node >= leaves {
                0
            } else {
                profile.most[2 * node].max(profile.most[2 * node + 1])
            };
        }
        profile
    }

    /// The steps that run in a stage, in order.
    pub(crate) fn steps(&self, stage: u32) -> impl Iterator<Item = u32> + '_ {
        self.runs[stage as usize].iter().map(|(step, _)| *step)
    }

    /// The most that is held at any time.
    pub(crate) fn peak(&self) -> i64 {
        self.most[1]
    }

    /// Adds a run whose memory is that of the next run of its stage and `more`.
    pub(crate) fn insert(&mut self, key: Key, more: i64) {
        let runs = &mut self.runs[key.stage() as usize];
        let at = runs.partition_point(|(step, _)| *step < key.step());
        let next = runs.get(at).map_or(0, |(_, bytes)| *bytes);
        runs.insert(at, (key.step(), next + more));
        self.refresh(key.stage());
    }

    /// Removes a run.
    pub(crate) fn remove(&mut self, key: Key) {
        let runs = &mut self.runs[key.stage() as usize];
        let at = runs.partition_point(|(step, _)| *step < key.step());
        runs.remove(at);
        self.refresh(key.stage());
    }

    /// The step that runs after a key in its stage.
    pub(crate) fn following(&self, key: Key) -> u32 {
        let runs = &self.runs[key.stage() as usize];
        let at = runs.partition_point(|(step, _)| *step < key.step());
        runs.get(at).map_or(key.stage(), |(step, _)| *step)
    }

    /// Adds to all runs from `from` up to and without `to`.
    pub(crate) fn add(&mut self, from: Key, to: Key, bytes: i64) {
        if from >= to || bytes == 0 {
            return;
        }
        let (first, last) = (from.stage(), to.stage());
        if first == last {
            self.add_part(first, from.step(), to.step(), bytes);
            return;
        }
        self.add_part(first, from.step(), u32::MAX, bytes);
        self.add_part(last, 0, to.step(), bytes);
        self.add_stages(first as usize + 1, last as usize, bytes);
    }

    /// The most that is held from `from` up to and without `to`.
    pub(crate) fn most(&self, from: Key, to: Key) -> i64 {
        if from >= to {
            return NOTHING;
        }
        let (first, last) = (from.stage(), to.stage());
        if first == last {
            return self.most_of_part(first, from.step(), to.step());
        }
        let most = self.most_of_part(first, from.step(), u32::MAX);
        let most = most.max(self.most_of_part(last, 0, to.step()));
        most.max(self.most_of_stages(first as usize, last as usize))
    }

    fn most_of_part(&self, stage: u32, low: u32, high: u32) -> i64 {
        let runs = self.runs.get(stage as usize).map_or(&[][..], |r| r);
        let inside = runs.iter().filter(|(step, _)| (low..high).contains(step));
        let Some(most) = inside.map(|(_, bytes)| *bytes).max() else {
            return NOTHING;
        };
        let mut node = self.leaves + stage as usize;
        let mut sum = most;
        while node > 0 {
            sum += self.added[node];
            node /= 2;
        }
        sum
    }

    /// The most that is held in the stages between two, without these.
    fn most_of_stages(&self, before: usize, after: usize) -> i64 {
        let (mut left, mut right) = (before + self.leaves, after + self.leaves);
        if right >= 2 * self.leaves {
            return NOTHING;
        }
        let (mut most_left, mut most_right) = (NOTHING, NOTHING);
        while left ^ right > 1 {
            if left % 2 == 0 {
                most_left = most_left.max(self.most[left + 1]);
            }
            if right % 2 == 1 {
                most_right = most_right.max(self.most[right - 1]);
            }
            left /= 2;
            right /= 2;
            most_left += self.added[left];
            most_right += self.added[right];
        }
        let mut most = most_left.max(most_right);
        while left > 1 {
            left /= 2;
            most += self.added[left];
        }
        most.max(NOTHING)
    }

    /// How much less is above the budget, summed over the runs, when `bytes` are taken away from
    /// `from` up to and without `to`.
    pub(crate) fn relief(&self, from: Key, to: Key, bytes: i64, budget: i64) -> f64 {
        let mut sum = 0.0;
        self.visit(from, to, budget, &mut |held| {
            sum += (held - budget).clamp(0, bytes) as f64
        });
        sum
    }

    /// How much more is above the budget, summed over the runs, when `bytes` are added.
    pub(crate) fn burden(&self, from: Key, to: Key, bytes: i64, budget: i64) -> f64 {
        let mut sum = 0.0;
        self.visit(from, to, budget - bytes, &mut |held| {
            sum += (held + bytes - budget).clamp(0, bytes) as f64
        });
        sum
    }

    /// What is above the budget, summed over all runs.
    pub(crate) fn excess(&self, budget: i64) -> f64 {
        if self.peak() <= budget {
            return 0.0;
        }
        let end = Key::new(self.runs.len() as u32, 0);
        self.relief(Key::START, end, i64::MAX, budget)
    }

    /// The run at which the most is held.
    pub(crate) fn highest(&self) -> Key {
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.most[node + 1] > self.most[node] {
                node += 1;
            }
        }
        let stage = node - self.leaves;
        let runs = self.runs.get(stage).map_or(&[][..], |r| r);
        let step = runs.iter().max_by_key(|(_, bytes)| *bytes);
        Key::new(stage as u32, step.map_or(0, |(step, _)| *step))
    }

    /// Lists the runs at which more than the budget is held, in order, with how much more.
    pub(crate) fn over(&self, budget: i64, list: &mut Vec<(Key, i64)>) {
        let mut work = vec![(1_usize, 0_i64)];
        while let Some((node, above)) = work.pop() {
            if self.most[node] + above <= budget {
                continue;
            }
            let above = above + self.added[node];
            if node >= self.leaves {
                let stage = node - self.leaves;
                for (step, bytes) in &self.runs[stage] {
                    if bytes + above > budget {
                        list.push((Key::new(stage as u32, *step), bytes + above - budget));
                    }
                }
            } else {
                work.push((2 * node + 1, above));
                work.push((2 * node, above));
            }
        }
    }

    /// The first run at or after a stage at which more than the budget is held.
    pub(crate) fn first_above(&self, stage: u32, budget: i64) -> Option<Key> {
        // Depth first from the left, with what is added above each node.
        let mut work = vec![(1_usize, 0_usize, self.leaves, 0_i64)];
        while let Some((node, start, width, above)) = work.pop() {
            if start + width <= stage as usize || self.most[node] + above <= budget {
                continue;
            }
            let above = above + self.added[node];
            if node >= self.leaves {
                let runs = self.runs[start].iter();
                let mut over = runs.filter(|(_, bytes)| bytes + above > budget);
                return over.next().map(|(step, _)| Key::new(start as u32, *step));
            }
            let half = width / 2;
            work.push((2 * node + 1, start + half, half, above));
            work.push((2 * node, start, half, above));
        }
        None
    }

    /// Calls `each` with the bytes of every run in the range that holds more than `floor`.
    fn visit(&self, from: Key, to: Key, floor: i64, each: &mut impl FnMut(i64)) {
        if from >= to {
            return;
        }
        let (first, last) = (from.stage() as usize, to.stage() as usize);
        let part = |stage: usize, low: u32, high: u32, each: &mut dyn FnMut(i64)| {
            let Some(runs) = self.runs.get(stage) else {
                return;
            };
            let mut node = self.leaves + stage;
            let leaf = self.most[node];
            let mut above = self.added[node];
            node /= 2;
            let mut over = 0;
            while node > 0 {
                over += self.added[node];
                node /= 2;
            }
            above += over;
            if leaf + over <= floor {
                return;
            }
            for (step, bytes) in runs {
                if (low..high).contains(step) && bytes + above > floor {
                    each(bytes + above);
                }
            }
        };
        if first == last {
            part(first, from.step(), to.step(), each);
            return;
        }
        part(first, from.step(), u32::MAX, each);
        if to.step() > 0 {
            part(last, 0, to.step(), each);
        }
        if first + 1 < last {
            self.visit_stages(1, 0..self.leaves, &(first + 1..last), 0, floor, each);
        }
    }

    fn visit_stages(
        &self,
        node: usize,
        covers: std::ops::Range<usize>,
        stages: &std::ops::Range<usize>,
        above: i64,
        floor: i64,
        each: &mut impl FnMut(i64),
    ) {
        let apart = covers.end <= stages.start || stages.end <= covers.start;
        if apart || self.most[node] + above <= floor {
            return;
        }
        let above = above + self.added[node];
        if node >= self.leaves {
            for (_, bytes) in &self.runs[covers.start] {
                if bytes + above > floor {
                    each(bytes + above);
                }
            }
            return;
        }
        let middle = covers.start.midpoint(covers.end);
        let (left, right) = (covers.start..middle, middle..covers.end);
        self.visit_stages(2 * node, left, stages, above, floor, each);
        self.visit_stages(2 * node + 1, right, stages, above, floor, each);
    }

    fn add_part(&mut self, stage: u32, low: u32, high: u32, bytes: i64) {
        let Some(runs) = self.runs.get_mut(stage as usize) else {
            return;
        };
        let mut met = false;
        for (step, held) in runs {
            if (low..high).contains(step) {
                *held += bytes;
                met = true;
            }
        }
        if met {
            self.refresh(stage);
        }
    }

    fn add_stages(&mut self, from: usize, to: usize, bytes: i64) {
        if from >= to {
            return;
        }
        let (mut left, mut right) = (from + self.leaves, to + self.leaves);
        let ends = [left, right - 1];
        while left < right {
            if left % 2 == 1 {
                self.most[left] += bytes;
                self.added[left] += bytes;
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.most[right] += bytes;
                self.added[right] += bytes;
            }
            left /= 2;
            right /= 2;
        }
        for leaf in ends {
            self.pull(leaf);
        }
    }

    /// Takes the maximum of a stage anew from its runs.
    fn refresh(&mut self, stage: u32) {
        let leaf = self.leaves + stage as usize;
        let runs = self.runs[stage as usize].iter();
        let most = runs.map(|(_, bytes)| *bytes).max().unwrap_or(NOTHING);
        self.most[leaf] = most + self.added[leaf];
        self.pull(leaf);
    }

    fn pull(&mut self, leaf: usize) {
        let mut node = leaf / 2;
        while node > 0 {
            let below = self.most[2 * node].max(self.most[2 * node + 1]);
            self.most[node] = below + self.added[node];
            node /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remat::random::Random;

    #[test]
    fn agrees_with_plain_lists() {
        let mut random = Random::new(7);
        for stages in [1_u32, 2, 5, 17] {
            let mut profile = Profile::new(stages as usize);
            let mut plain: Vec<(Key, i64)> = (0..stages).map(|t| (Key::new(t, t), 0)).collect();
            for _ in 0..500 {
                let mut key = || {
                    let stage = random.below(stages as usize) as u32;
                    Key::new(stage, random.below(stage as usize + 1) as u32)
                };
                let (a, b) = (key(), key());
                let (from, to) = (a.min(b), a.max(b));
                let bytes = random.below(20) as i64 - 8;
                match random.below(4) {
                    0 if plain.iter().all(|(k, _)| *k != a) => {
                        let at = plain.partition_point(|(k, _)| *k < a);
                        plain.insert(at, (a, plain[at].1 + bytes));
                        assert_eq!(profile.following(a), plain[at + 1].0.step());
                        profile.insert(a, bytes);
                    }
                    1 if a.step() < a.stage() && plain.iter().any(|(k, _)| *k == a) => {
                        plain.retain(|(k, _)| *k != a);
                        profile.remove(a);
                    }
                    _ => {
                        for (k, held) in &mut plain {
                            if (from..to).contains(k) {
                                *held += bytes;
                            }
                        }
                        profile.add(from, to, bytes);
                    }
                }
                let inside = || plain.iter().filter(|(k, _)| (from..to).contains(k));
                let most = plain.iter().map(|(_, held)| *held).max().unwrap();
                assert_eq!(profile.peak(), most);
                assert!(plain.contains(&(profile.highest(), most)));
                match inside().map(|(_, held)| *held).max() {
                    Some(want) => assert_eq!(profile.most(from, to), want),
                    None => assert!(profile.most(from, to) < i64::MIN / 4),
                }
                let want: i64 = inside().map(|(_, held)| (held - 5).clamp(0, 3)).sum();
                assert_eq!(profile.relief(from, to, 3, 5), want as f64);
                let want: i64 = inside().map(|(_, held)| (held - 2).clamp(0, 3)).sum();
                assert_eq!(profile.burden(from, to, 3, 5), want as f64);
                let want: i64 = plain.iter().map(|(_, held)| (held - 5).max(0)).sum();
                assert_eq!(profile.excess(5), want as f64);
                let mut over = Vec::new();
                profile.over(5, &mut over);
                let want = plain.iter().filter(|(_, held)| *held > 5);
                let want: Vec<(Key, i64)> = want.map(|(key, held)| (*key, held - 5)).collect();
                assert_eq!(over, want);
                let mut after = plain.iter().filter(|(k, _)| k.stage() >= a.stage());
                let want = after.find(|(_, held)| *held > 5).map(|(k, _)| *k);
                assert_eq!(profile.first_above(a.stage(), 5), want);
            }
        }
    }
}
