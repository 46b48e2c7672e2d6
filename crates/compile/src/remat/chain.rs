//! Chains by dynamic programming: the optimum of Revolve (Griewank and Walther, Algorithm 799, 2000)
//! for equal steps and of Rotor (Beaumont et al., 2019) for unequal ones, in the memory model of
//! [`Problem`].
//!
//! A chain is states x_0, x_1, ..., each computed from the one before, and then backward steps b_i,
//! i falling, each of which reads the result of the step before it, and x_i, x_(i-1) or both.
//!
//! The program knows three costs. `bare(l, r, m)`: of running b_r down to b_l in `m` bytes, where
//! x_(l-1) is stored (outside of `m`) and nothing else. `warm(l, r, m)`: the same where x_r is there,
//! too. `first(l, m)`: of the rest of the first sweep from x_(l-1), and all b down to b_l; first
//! runs cost nothing, and no gradient takes memory yet. Each chooses which x_k to store next:
//! advance to it, do what is right of it with its bytes less, then what is left of it, warm.

use super::Problem;
use super::profile::Key;

/// A chain found in a problem.
pub(crate) struct Chain {
    /// Per state its bytes, the cost of computing it and the memory for that.
    states: Vec<State>,
    /// Per state the backward step that goes with it.
    back: Vec<Option<Back>>,
    /// The last state with a backward step.
    last: usize,
    /// Whether all states and all backward steps but the ends are alike.
    uniform: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    bytes: u64,
    cost: u64,
    scratch: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Back {
    step: u32,
    /// Whether it reads the state of its own number.
    own: bool,
    /// The bytes of the gradient that it reads, and what it takes beside the states it reads.
    incoming: u64,
    needs: u64,
}

/// More elementary operations than this are not spent on a chain.
const WORK: u64 = 400_000_000;

/// So many levels of memory are told apart for unequal steps.
const LEVELS: u64 = 600;

/// Of fewer levels no good schedule is to be expected.
const FEWEST_LEVELS: u64 = 50;

const NEVER: u64 = u64::MAX;

impl Chain {
    /// Finds the chain that a problem is, if it is one.
    pub(crate) fn of(problem: &Problem) -> Option<Chain> {
        let steps = problem.steps.len();
        if steps < 4 || !problem.outputs.is_empty() {
            return None;
        }
        // Step i writes one value and reads the one of the step before, beside inputs.
        let mut value = Vec::with_capacity(steps);
        let mut reads: Vec<Vec<u32>> = Vec::with_capacity(steps);
        for step in &problem.steps {
            let [own] = step.writes[..] else { return None };
            value.push(own);
            reads.push(
                step.reads
                    .iter()
                    .filter_map(|v| problem.writer(*v))
                    .collect(),
            );
        }
        let states = (0..steps)
            .take_while(|&i| {
                reads[i].len() == usize::from(i > 0)
                    && reads[i].iter().all(|w| *w as usize + 1 == i)
            })
            .count();
        let bytes = |step: usize| problem.bytes[value[step] as usize];
        let mut back: Vec<Option<Back>> = vec![None; states];
        let mut below = states;
        for (t, from) in reads.iter().enumerate().skip(states) {
            let previous = t as u32 - 1;
            if !from.contains(&previous) {
                return None;
            }
            let mut from: Vec<u32> = from.iter().copied().filter(|r| *r != previous).collect();
            from.sort_unstable();
            let number = match from[..] {
                [x] if x as usize + 1 < below => x as usize + 1,
                [x] => x as usize,
                [x, y] if x + 1 == y => y as usize,
                _ => return None,
            };
            if number >= below || number == 0 {
                return None;
            }
            below = number;
            back[number] = Some(Back {
                step: t as u32,
                own: from.contains(&(number as u32)),
                incoming: bytes(t - 1),
                needs: bytes(t - 1) + bytes(t) + problem.steps[t].scratch,
            });
        }
        let last = back.iter().rposition(Option::is_some)?;
        let states: Vec<State> = (0..states)
            .map(|i| State {
                bytes: bytes(i),
                cost: problem.steps[i].cost,
                scratch: problem.steps[i].scratch,
            })
            .collect();
        // What is left of the last pair decides; the first sweep is handled apart.
        let alike = |b: &Option<Back>| b.map(|b| Back { step: 0, ..b });
        let inner = back.get(1..last).unwrap_or_default();
        let uniform = states[..=last].windows(2).all(|w| w[0] == w[1])
            && inner.windows(2).all(|w| alike(&w[0]) == alike(&w[1]));
        Some(Chain {
            states,
            back,
            last,
            uniform,
        })
    }

    /// The reruns of the cheapest schedule within `room` bytes; `None` where there is none or it
    /// would take too long to find.
    pub(crate) fn solve(&self, room: u64) -> Option<Vec<Key>> {
        let mut table = Table::new(self, room)?;
        table.fill();
        table.sweep();
        table.reruns()
    }
}

/// The costs, by segment and level of memory.
struct Table<'a> {
    chain: &'a Chain,
    room: u64,
    /// The bytes between two levels; the highest level is all the room.
    unit: u64,
    levels: usize,
    /// Segments told apart have their costs at different places.
    bare: Vec<u64>,
    warm: Vec<u64>,
    first: Vec<u64>,
    /// Per state the cost of computing it and all before.
    sums: Vec<u64>,
}

/// What is asked for: the cost and, with it, the state that is stored.
type Choice = (u64, Option<usize>);

impl<'a> Table<'a> {
    fn new(chain: &'a Chain, room: u64) -> Option<Table<'a>> {
        let n = chain.last as u64 + 1;
        let largest = chain
            .states
            .iter()
            .map(|s| s.bytes)
            .max()
            .unwrap_or(0)
            .max(1);
        let (segments, work) = match chain.uniform {
            true => (2 * n, 2 * n * n),
            false => (n * n, n.saturating_pow(3) / 3),
        };
        let levels = match chain.uniform {
            true => (room / largest).min(n + 4),
            false => LEVELS.min(WORK / work.max(1)).min(room),
        };
        if !chain.uniform && levels < FEWEST_LEVELS || work.saturating_mul(levels) > WORK {
            return None;
        }
        let unit = match chain.uniform {
            true => largest,
            false => room.div_ceil(levels.max(1)).max(1),
        };
        let levels = levels.min(room / unit) as usize + 1;
        let places = segments as usize * levels;
        let mut sum = 0;
        let sums = chain.states.iter().map(|s| {
            sum += s.cost;
            sum
        });
        Some(Table {
            chain,
            room,
            unit,
            levels,
            bare: vec![NEVER; places],
            warm: vec![NEVER; places],
            first: vec![NEVER; (n as usize + 1) * levels],
            sums: sums.collect(),
        })
    }

    /// The bytes that are free at a level.
    fn bytes(&self, level: usize) -> u64 {
        self.room - (self.levels - 1 - level) as u64 * self.unit
    }

    /// The level below one when a state is stored.
    fn less(&self, level: usize, state: usize) -> Option<usize> {
        let units = self.chain.states[state].bytes.div_ceil(self.unit);
        level.checked_sub(usize::try_from(units).ok()?)
    }

    fn place(&self, left: usize, right: usize, level: usize) -> usize {
        let n = self.chain.last + 1;
        let segment = match self.chain.uniform {
            true => n * usize::from(left == 0) + (right - left),
            false => left * n + right,
        };
        segment * self.levels + level
    }

    fn cost(&self, left: usize, right: usize) -> u64 {
        self.sums[right] - left.checked_sub(1).map_or(0, |l| self.sums[l])
    }

    /// What computing state `j` takes when x_(left-1) is stored elsewhere.
    fn advance(&self, left: usize, j: usize) -> u64 {
        let states = &self.chain.states;
        let before = if j > left { states[j - 1].bytes } else { 0 };
        before + states[j].bytes + states[j].scratch
    }

    /// The gradient that is there when the backward steps of a segment begin.
    fn gradient(&self, left: usize, right: usize) -> Option<u64> {
        let back = self.chain.back[left..=right].iter().rev().flatten().next();
        back.map(|b| b.incoming)
    }

    fn fill(&mut self) {
        for length in 0..self.chain.last {
            for left in 0..self.chain.last - length {
                // Where steps are equal, one segment of a length stands for all, but those at 0.
                if self.chain.uniform && left > 1 {
                    break;
                }
                let right = left + length;
                for level in 0..self.levels {
                    let at = self.place(left, right, level);
                    self.bare[at] = self.best_bare(left, right, level).0;
                    self.warm[at] = self.best_warm(left, right, level).0;
                }
            }
        }
    }

    fn best_bare(&self, left: usize, right: usize, level: usize) -> Choice {
        let free = self.bytes(level);
        let Some(gradient) = self.gradient(left, right) else {
            return (0, None);
        };
        if left == right {
            let State {
                bytes,
                cost,
                scratch,
            } = self.chain.states[right];
            return match self.chain.back[right] {
                Some(b) if b.own => {
                    let most = (b.needs + bytes).max(gradient + bytes + scratch);
                    (if most <= free { cost } else { NEVER }, None)
                }
                Some(b) if b.needs > free => (NEVER, None),
                _ => (0, None),
            };
        }
        let mut best = (NEVER, None);
        for k in left..right {
            if self.advance(left, k) + gradient > free {
                break;
            }
            let Some(less) = self.less(level, k) else {
                continue;
            };
            let cost = self.bare[self.place(k + 1, right, less)]
                .saturating_add(self.warm[self.place(left, k, level)])
                .saturating_add(self.cost(left, k));
            if cost < best.0 {
                best = (cost, Some(k));
            }
        }
        best
    }

    /// Whether the state that is there is given up at once shows in `Some(right)`.
    fn best_warm(&self, left: usize, right: usize, level: usize) -> Choice {
        let free = self.bytes(level);
        let held = self.chain.states[right].bytes;
        let mut best = (self.bare[self.place(left, right, level)], Some(right));
        let Some(back) = self.chain.back[right].filter(|b| b.own) else {
            return best;
        };
        if left == right {
            return if back.needs + held <= free {
                (0, None)
            } else {
                best
            };
        }
        for k in left..right {
            if self.advance(left, k) + held + back.incoming > free {
                break;
            }
            let Some(less) = self.less(level, k) else {
                continue;
            };
            let cost = self.warm[self.place(k + 1, right, less)]
                .saturating_add(self.warm[self.place(left, k, level)])
                .saturating_add(self.cost(left, k));
            if cost < best.0 {
                best = (cost, Some(k));
            }
        }
        best
    }

    fn sweep(&mut self) {
        for left in (0..=self.chain.last).rev() {
            for level in 0..self.levels {
                self.first[left * self.levels + level] = self.best_first(left, level).0;
            }
        }
    }

    fn best_first(&self, left: usize, level: usize) -> Choice {
        let free = self.bytes(level);
        let last = self.chain.last;
        if left == last {
            let Some(back) = self.chain.back[last] else {
                return (NEVER, None);
            };
            let held = if back.own {
                self.chain.states[last].bytes
            } else {
                0
            };
            let mut most = (back.needs + held).max(self.advance(left, last));
            for j in last + 1..self.chain.states.len() {
                // The state just computed is read, and counted, whether it is held or not.
                let beside = if j == last + 1 { 0 } else { held };
                most = most.max(self.advance(left, j) + beside);
            }
            return (if most <= free { 0 } else { NEVER }, None);
        }
        let mut best = (NEVER, None);
        for k in left..last {
            if self.advance(left, k) > free {
                break;
            }
            let Some(less) = self.less(level, k) else {
                continue;
            };
            let cost = self.first[(k + 1) * self.levels + less]
                .saturating_add(self.warm[self.place(left, k, level)]);
            if cost < best.0 {
                best = (cost, Some(k));
            }
        }
        best
    }

    /// Follows the choices.
    fn reruns(&self) -> Option<Vec<Key>> {
        enum Part {
            First,
            Bare,
            Warm,
        }
        let top = self.levels - 1;
        if self.first[top] == NEVER {
            return None;
        }
        let mut keys = Vec::new();
        let mut work = vec![(Part::First, 0, self.chain.last, top)];
        while let Some((part, left, right, level)) = work.pop() {
            let choice = match part {
                Part::First => self.best_first(left, level),
                Part::Bare => self.best_bare(left, right, level),
                Part::Warm => self.best_warm(left, right, level),
            };
            let segment = self.chain.back[left..=right].iter().rev().flatten();
            let stage = segment.into_iter().next().map(|b| b.step);
            let mut run = |from: usize, to: usize| {
                let stage = stage.unwrap_or_default();
                keys.extend((from..=to).map(|j| Key::new(stage, j as u32)));
            };
            match (part, choice.1) {
                (Part::Warm, Some(k)) if k == right => work.push((Part::Bare, left, right, level)),
                (Part::First, Some(k)) => {
                    work.push((Part::First, k + 1, right, self.less(level, k)?));
                    work.push((Part::Warm, left, k, level));
                }
                (part, Some(k)) => {
                    run(left, k);
                    work.push((part, k + 1, right, self.less(level, k)?));
                    work.push((Part::Warm, left, k, level));
                }
                (Part::Bare, None) if self.chain.back[right].is_some_and(|b| b.own) => {
                    run(left, right);
                }
                _ => {}
            }
        }
        Some(keys)
    }
}
