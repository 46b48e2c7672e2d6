//! The planner: several starting points, the best of them improved.

use std::time::{Duration, Instant};

use super::chain::Chain;
use super::profile::Key;
use super::random::Random;
use super::repair::Repair;
use super::schedule::ends_with;
use super::search::{Until, improve, replace};
use super::state::State;
use super::sweep::sweep;
use super::{Action, Buffer, Problem, Replay, ScheduleError, replay};

/// How long to look for a plan, and with which random numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where the random numbers start. The same seed and steps give the same plan.
    pub seed: u64,
    /// How many times a part of a plan is taken apart and put together again without making it
    /// better, until the search ends.
    pub steps: u64,
    /// When to stop even so; a limit makes plans depend on the machine.
    pub time: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            steps: 2000,
            time: None,
        }
    }
}

/// A schedule within a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The runs and releases, in order.
    pub actions: Vec<Action>,
    /// The most bytes held at one time.
    pub peak: u64,
    /// The cost of all runs; [`Problem::cost`] of it is unavoidable.
    pub cost: u128,
    /// How many runs repeat an earlier one.
    pub reruns: usize,
    /// When the first schedule within the budget was there, counted from the start.
    pub first: Duration,
}

/// Why there is no schedule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The budget is below what any schedule needs.
    #[error(
        "a budget of {budget} bytes cannot work: one step and what is held beside it take {bound}"
    )]
    Impossible {
        /// The budget asked for.
        budget: u64,
        /// A bound on the memory of every schedule.
        bound: u64,
    },
    /// No schedule within the budget was found.
    #[error(
        "no schedule was found within {budget} bytes: the smallest budget reached is {reached}, and none below {bound} can work"
    )]
    NotFound {
        /// The budget asked for.
        budget: u64,
        /// The smallest budget for which a schedule is known.
        reached: u64,
        /// A bound on the memory of every schedule.
        bound: u64,
    },
}

/// Finds a schedule that never holds more than `budget` bytes, with as little run again as can be
/// found.
///
/// It starts in several ways: as a chain, where the problem is one; with one pass that evicts and
/// brings back; with everything kept, evicting where too much is held, at once or under a budget that falls; with
/// everything computed again, keeping what there is room for. The best is then improved. Where none keeps to the
/// budget, they aim lower.
///
/// # Errors
/// Where the budget is below [`Problem::lower_bound`], or where no schedule was found; the error
/// then names the smallest budget that was reached.
///
/// # Examples
/// ```
/// use cotangent_compile::remat::{Options, Problem, plan};
///
/// // Three steps forward and three back, each of which reads what its counterpart wrote.
/// let edges = [(0, 1), (1, 2), (2, 3), (2, 4), (3, 4), (1, 5), (4, 5), (0, 6), (5, 6)];
/// let problem = Problem::of_graph(vec![8; 7], &[1; 7], &[false; 7], &edges)?;
/// assert_eq!(problem.base_peak(), 40);
/// let schedule = plan(&problem, 32, &Options::default())?;
/// assert_eq!(schedule.cost, 8);
/// schedule.check(&problem, 32)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan(problem: &Problem, budget: u64, options: &Options) -> Result<Schedule, PlanError> {
    let mut planner = Planner::new(problem, budget, options);
    // Where the first starts find nothing, others aim lower, and want as much time.
    planner.patience = options.time.map(|t| planner.began + t / 2);
    let bound = problem.lower_bound();
    if budget < bound {
        return Err(PlanError::Impossible { budget, bound });
    }
    for start in STARTS {
        planner.start(start);
    }
    if planner.best.is_none() {
        planner.aim_lower(bound, options);
    }
    let Some((_, keys)) = planner.best.take() else {
        return Err(PlanError::NotFound {
            budget,
            reached: reached(problem, budget, planner.lowest.0, options),
            bound,
        });
    };
    let Planner {
        mut state,
        mut repair,
        mut random,
        ..
    } = planner;
    replace(&mut state, &keys);
    let until = Until {
        steps: options.steps,
        time: planner.end,
    };
    improve(&mut state, &mut repair, &mut random, until);
    Ok(Schedule {
        actions: state.actions(),
        peak: state.peak(),
        cost: u128::from(problem.cost()) + state.extra,
        reruns: state.reruns,
        first: planner.first.unwrap_or_default(),
    })
}

/// A way to get a first schedule.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// One pass that evicts; spreading evictions by so much.
    Sweep(f64),
    /// The best schedule of a chain.
    Chain,
    /// Everything kept, many evictions at a time.
    Bulk,
    /// Everything kept, with a budget that falls to the one asked for, where nothing has been found.
    Gradual,
    /// Everything kept, one eviction at a time.
    Keep,
    /// The same with disturbed scores, where nothing has been found.
    Disturbed,
    /// Everything computed again whenever it is read, where nothing has been found.
    Nothing,
}

const STARTS: [Start; 11] = [
    Start::Sweep(1.0),
    Start::Chain,
    Start::Sweep(0.1),
    Start::Sweep(0.0),
    Start::Bulk,
    Start::Gradual,
    Start::Keep,
    Start::Nothing,
    Start::Disturbed,
    Start::Disturbed,
    Start::Disturbed,
];

/// The budgets between a peak and one asked for.
const GRADES: u128 = 12;

/// Problems of more steps are not repaired value by value from scratch.
const SMALL: usize = 400;

struct Planner<'a> {
    problem: &'a Problem,
    budget: u64,
    state: State<'a>,
    repair: Repair,
    random: Random,
    began: Instant,
    end: Option<Instant>,
    /// When to give up looking for a first schedule.
    patience: Option<Instant>,
    first: Option<Duration>,
    /// The cheapest reruns so far, and what they cost.
    best: Option<(u128, Vec<Key>)>,
    /// The lowest peak of any start, and its reruns.
    lowest: (u64, Vec<Key>),
}

/// Where no start keeps to a budget, those for budgets between it and what none can do with come closer: they
/// give up something else first. So far above the latter they aim, in 16 parts.
const LOWER: [u64; 4] = [15, 14, 12, 8];

impl<'a> Planner<'a> {
    fn new(problem: &'a Problem, budget: u64, options: &Options) -> Planner<'a> {
        let began = Instant::now();
        let state = State::new(problem);
        let end = options.time.map(|t| began + t);
        Planner {
            problem,
            budget,
            repair: Repair::new(&state, budget),
            random: Random::new(options.seed),
            began,
            end,
            patience: end,
            first: None,
            best: None,
            lowest: (state.peak(), Vec::new()),
            state,
        }
    }

    /// Tries one way, and keeps what it gives if that is best.
    fn start(&mut self, start: Start) {
        // What is best cannot be better than nothing run again.
        let found = self.best.as_ref().map(|(extra, _)| *extra);
        let small = self.problem.steps.len() <= SMALL;
        if found == Some(0) {
            return;
        }
        self.state.undo(0);
        let room = self.budget.saturating_sub(self.problem.held);
        let keys = match start {
            Start::Sweep(spread) => sweep(self.problem, room, spread),
            Start::Chain => Chain::of(self.problem).and_then(|chain| chain.solve(room)),
            Start::Bulk => Some(Vec::new()),
            Start::Gradual if found.is_none() => Some(Vec::new()),
            Start::Keep if small => Some(Vec::new()),
            Start::Nothing if small && found.is_none() => Some(everything(self.problem)),
            Start::Disturbed if found.is_none() => Some(Vec::new()),
            _ => None,
        };
        let Some(keys) = keys else { return };
        for key in keys {
            self.state.insert(key);
        }
        // Once there is a schedule, looking for better starts must leave time to improve it.
        self.repair.until = match (found, self.end) {
            (Some(_), Some(end)) => {
                Some(Instant::now() + end.saturating_duration_since(Instant::now()) / 3)
            }
            _ => self.patience,
        };
        let noise = if matches!(start, Start::Disturbed) {
            0.5
        } else {
            0.0
        };
        if matches!(start, Start::Bulk) {
            self.repair.repair_in_bulk(&mut self.state);
        }
        if matches!(start, Start::Gradual) {
            self.fall();
        }
        let fits = self.repair.repair(&mut self.state, &mut self.random, noise);
        if self.state.peak() < self.lowest.0 {
            self.lowest = (self.state.peak(), self.state.all());
        }
        self.repair.until = None;
        if !fits {
            return;
        }
        self.first.get_or_insert_with(|| self.began.elapsed());
        let all = self.state.all();
        self.repair.prune(&mut self.state, all);
        if found.is_none_or(|extra| self.state.extra < extra) {
            self.best = Some((self.state.extra, self.state.all()));
        }
    }
}

impl Planner<'_> {
    /// Keeps within budgets that fall to the one asked for, as far as that goes: what is given up first is what
    /// is cheap where little is missing.
    fn fall(&mut self) {
        let above = self.state.peak().saturating_sub(self.budget);
        for grade in (1..GRADES).rev() {
            let aim = self.budget + (u128::from(above) * grade / GRADES) as u64;
            let mut repair = Repair::new(&self.state, aim);
            repair.until = self.repair.until;
            if !repair.repair(&mut self.state, &mut self.random, 0.0) {
                return;
            }
            let all = self.state.all();
            repair.prune(&mut self.state, all);
        }
    }

    /// Looks for a schedule by starts that aim lower than the budget, of which no part but the peak is wanted.
    fn aim_lower(&mut self, bound: u64, options: &Options) {
        let above = self.budget.saturating_sub(bound);
        for (others, part) in (0..LOWER.len() as u32).rev().zip(LOWER) {
            let aim = bound + (u128::from(above) * u128::from(part) / 16) as u64;
            let mut lower = Planner::new(self.problem, aim, options);
            // An equal part of what is left for each aim.
            lower.patience = self.end.map(|end| {
                let now = Instant::now();
                now + end.saturating_duration_since(now) / (others + 1)
            });
            lower.end = lower.patience;
            for start in STARTS {
                let left = lower.patience.is_none_or(|end| Instant::now() < end);
                if left && lower.lowest.0 > self.budget {
                    lower.start(start);
                }
            }
            if lower.lowest.0 < self.lowest.0 {
                self.lowest = lower.lowest;
            }
            if self.lowest.0 <= self.budget {
                self.first.get_or_insert_with(|| self.began.elapsed());
                replace(&mut self.state, &self.lowest.1);
                let all = self.state.all();
                self.repair.prune(&mut self.state, all);
                self.best = Some((self.state.extra, self.state.all()));
                return;
            }
        }
    }
}

/// Reruns with which every step finds all it needs computed just before.
fn everything(problem: &Problem) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut met = vec![u32::MAX; problem.steps.len()];
    let stages = problem
        .steps
        .iter()
        .map(|s| &s.reads)
        .chain([&problem.outputs]);
    for (stage, reads) in stages.enumerate() {
        let stage = stage as u32;
        let mut work = reads.clone();
        while let Some(value) = work.pop() {
            if let Some(step) = problem.writer(value)
                && std::mem::replace(&mut met[step as usize], stage) != stage
            {
                keys.push(Key::new(stage, step));
                work.extend(&problem.steps[step as usize].reads);
            }
        }
    }
    keys
}

/// The smallest budget for which there is a schedule, of those tried above one for which none was
/// found.
fn reached(problem: &Problem, budget: u64, lowest: u64, options: &Options) -> u64 {
    let (mut low, mut high) = (budget, lowest);
    let options = &Options {
        time: options.time.map(|t| t / 4),
        ..*options
    };
    for _ in 0..6 {
        let middle = low.midpoint(high);
        if middle == low {
            break;
        }
        let mut planner = Planner::new(problem, middle, options);
        for start in STARTS {
            if planner.best.is_none() && planner.end.is_none_or(|end| Instant::now() < end) {
                planner.start(start);
            }
        }
        high = high.min(planner.lowest.0);
        if planner.best.is_none() {
            low = middle;
        }
        if low >= high {
            break;
        }
    }
    high
}

/// When memory is needed, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// The run, counted from 0, that needs it first.
    pub run: usize,
    /// The value that stands there; `None` for the working memory of the run.
    pub value: Option<u32>,
    /// Its time, in runs, and its bytes.
    pub buffer: Buffer,
}

impl Schedule {
    /// The memory that each run needs for what it writes and for its work, to be given offsets by
    /// [`place`](super::place). A value that is computed again has a lifetime for each time; inputs
    /// have none, and a result that takes over the memory of another value has none of its own. The load of
    /// these buffers and [`Problem::held`] make up the peak.
    ///
    /// The schedule must be one of the problem; what is no step or value of it is left out.
    pub fn lifetimes(&self, problem: &Problem) -> Vec<Lifetime> {
        let mut lifetimes: Vec<Lifetime> = Vec::new();
        let mut open: Vec<Option<usize>> = vec![None; problem.bytes.len()];
        let runs = self.actions.iter().filter(|a| matches!(a, Action::Run(_)));
        let end = runs.count() as u64;
        let mut now = 0;
        for (at, action) in self.actions.iter().enumerate() {
            match *action {
                Action::Free(value) => {
                    if let Some(at) = open.get_mut(value as usize).and_then(Option::take) {
                        lifetimes[at].buffer.end = now as u64;
                    }
                }
                Action::Run(step) => {
                    let Some(step) = problem.steps.get(step as usize) else {
                        continue;
                    };
                    let mut add = |value, size, end| {
                        lifetimes.push(Lifetime {
                            run: now,
                            value,
                            buffer: Buffer {
                                first: now as u64,
                                end,
                                size,
                            },
                        });
                        lifetimes.len() - 1
                    };
                    let ends = ends_with(&self.actions, at);
                    for (result, value) in problem.takers(step, ends) {
                        open[result as usize] = open[value as usize].take();
                    }
                    for value in &step.writes {
                        if open[*value as usize].is_none() {
                            let size = problem.bytes[*value as usize];
                            open[*value as usize] = Some(add(Some(*value), size, end));
                        }
                    }
                    if step.scratch > 0 {
                        add(None, step.scratch, now as u64 + 1);
                    }
                    now += 1;
                }
            }
        }
        lifetimes
    }

    /// Replays the schedule and compares what it claims.
    ///
    /// # Errors
    /// Those of [`replay`]; where the peak is above the budget, or peak or cost are not as claimed.
    pub fn check(&self, problem: &Problem, budget: u64) -> Result<Replay, ScheduleError> {
        let found = replay(problem, &self.actions)?;
        let claim = |what, expected: u128, found: u128| match expected == found {
            true => Ok(()),
            false => Err(ScheduleError::Claim {
                what,
                expected,
                found,
            }),
        };
        claim("a peak of", self.peak.into(), found.peak.into())?;
        claim("a cost of", self.cost, found.cost)?;
        claim("reruns:", self.reruns as u128, found.reruns as u128)?;
        if found.peak > budget {
            return Err(ScheduleError::Claim {
                what: "a peak of at most",
                expected: budget.into(),
                found: found.peak.into(),
            });
        }
        Ok(found)
    }
}
