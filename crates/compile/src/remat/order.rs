//! In which order steps hold the fewest bytes, where every step runs once.

use std::collections::BTreeSet;

use super::Problem;

/// An order of the steps that holds fewer bytes at a time than the base order, if one was found, with
/// its peak.
///
/// Two lists are made greedily: one from the start, which next takes the step after which the
/// fewest bytes are held, and one from the end, which takes the step before which the fewest are. The
/// second brings a step close to its first reader, where its results are larger than what it reads.
/// Steps that are equally good keep their base order.
///
/// # Examples
/// ```
/// use cotangent_compile::remat::{Problem, order};
///
/// // Steps 0, 1 and 2 make large values of nothing, the others fold them into one.
/// let edges = [(0, 3), (1, 3), (2, 4), (3, 4)];
/// let problem = Problem::of_graph(vec![8, 8, 8, 1, 1], &[1; 5], &[], &edges)?;
/// assert_eq!(problem.base_peak(), 25);
/// assert_eq!(order(&problem), Some((vec![0, 1, 3, 2, 4], 17)));
/// # Ok::<(), cotangent_compile::remat::ProblemError>(())
/// ```
pub fn order(problem: &Problem) -> Option<(Vec<u32>, u64)> {
    let candidates = [from_end(problem), from_start(problem)];
    let peaks = candidates.into_iter().map(|order| {
        let peak = peak(problem, &order);
        (order, peak)
    });
    let best = peaks.min_by_key(|(_, peak)| *peak)?;
    (best.0.len() == problem.steps.len() && best.1 < problem.base_peak()).then_some(best)
}

/// The most bytes that are held at one time when every step runs once, in this order.
fn peak(problem: &Problem, order: &[u32]) -> u64 {
    let mut left: Vec<usize> = problem.readers.iter().map(Vec::len).collect();
    let mut live = problem.held;
    let mut peak = live;
    for &i in order {
        let step = &problem.steps[i as usize];
        live += problem.written(step);
        for &value in &step.reads {
            left[value as usize] -= 1;
        }
        let over = problem.taken_over(step, |v| left[v as usize] == 0 && ends(problem, v));
        peak = peak.max(live + step.scratch - over);
        let done = step.reads.iter().chain(&step.writes);
        let freed = done.filter(|v| left[**v as usize] == 0 && ends(problem, **v));
        live -= freed.map(|v| problem.bytes[*v as usize]).sum::<u64>();
    }
    peak
}

/// Whether a value is gone after its last reader: it is neither an input nor an output.
fn ends(problem: &Problem, value: u32) -> bool {
    problem.writer(value).is_some() && problem.outputs.binary_search(&value).is_err()
}

/// Steps that could come next, by what they would add to the bytes held.
struct Ready {
    score: Vec<i64>,
    steps: BTreeSet<(i64, i64)>,
}

impl Ready {
    fn new(score: Vec<i64>) -> Ready {
        Ready {
            score,
            steps: BTreeSet::new(),
        }
    }

    /// `rank` decides between steps that add as much.
    fn insert(&mut self, step: u32, rank: i64) {
        self.steps.insert((self.score[step as usize], rank));
    }

    fn add(&mut self, step: u32, rank: i64, bytes: i64) {
        let before = (self.score[step as usize], rank);
        self.score[step as usize] += bytes;
        if self.steps.remove(&before) {
            self.insert(step, rank);
        }
    }
}

fn from_start(problem: &Problem) -> Vec<u32> {
    let bytes = |v: u32| problem.bytes[v as usize] as i64;
    let mut left: Vec<usize> = problem.readers.iter().map(Vec::len).collect();
    let waits = |s: &super::Step| {
        (s.reads.iter())
            .filter(|v| problem.writer(**v).is_some())
            .count()
    };
    let mut waiting: Vec<usize> = problem.steps.iter().map(waits).collect();
    // What is never read is gone at once, and what has one reader goes with it.
    let score = problem.steps.iter().map(|step| {
        let kept = step
            .writes
            .iter()
            .filter(|v| left[**v as usize] > 0 || !ends(problem, **v));
        let freed = (step.reads.iter()).filter(|v| left[**v as usize] == 1 && ends(problem, **v));
        kept.map(|v| bytes(*v)).sum::<i64>() - freed.map(|v| bytes(*v)).sum::<i64>()
    });
    let mut ready = Ready::new(score.collect());
    for (i, _) in waiting.iter().enumerate().filter(|(_, n)| **n == 0) {
        ready.insert(i as u32, i as i64);
    }
    let mut done = vec![false; problem.steps.len()];
    let mut order = Vec::with_capacity(problem.steps.len());
    while let Some((_, rank)) = ready.steps.pop_first() {
        let i = rank as u32;
        done[i as usize] = true;
        order.push(i);
        let step = &problem.steps[i as usize];
        for &value in &step.reads {
            left[value as usize] -= 1;
            if left[value as usize] == 1 && ends(problem, value) {
                let last = problem.readers[value as usize]
                    .iter()
                    .find(|r| !done[**r as usize]);
                if let Some(&last) = last {
                    ready.add(last, i64::from(last), -bytes(value));
                }
            }
        }
        for &value in &step.writes {
            for &reader in &problem.readers[value as usize] {
                waiting[reader as usize] -= 1;
                if waiting[reader as usize] == 0 {
                    ready.insert(reader, i64::from(reader));
                }
            }
        }
    }
    order
}

fn from_end(problem: &Problem) -> Vec<u32> {
    let bytes = |v: u32| problem.bytes[v as usize] as i64;
    let unread = |s: &super::Step| -> usize {
        let readers = s.writes.iter().map(|v| problem.readers[*v as usize].len());
        readers.sum()
    };
    let mut waiting: Vec<usize> = problem.steps.iter().map(unread).collect();
    // Backward, a step brings what it reads and takes away what it writes.
    let score = problem.steps.iter().map(|step| {
        let brought = step.reads.iter().filter(|v| ends(problem, **v));
        let taken = step.writes.iter();
        brought.map(|v| bytes(*v)).sum::<i64>() - taken.map(|v| bytes(*v)).sum::<i64>()
    });
    let mut ready = Ready::new(score.collect());
    for (i, _) in waiting.iter().enumerate().filter(|(_, n)| **n == 0) {
        ready.insert(i as u32, -(i as i64));
    }
    let mut live = vec![false; problem.bytes.len()];
    let mut order = Vec::with_capacity(problem.steps.len());
    while let Some((_, rank)) = ready.steps.pop_first() {
        let i = (-rank) as u32;
        order.push(i);
        for &value in &problem.steps[i as usize].reads {
            if ends(problem, value) && !std::mem::replace(&mut live[value as usize], true) {
                for &reader in &problem.readers[value as usize] {
                    ready.add(reader, -i64::from(reader), -bytes(value));
                }
            }
            if let Some(writer) = problem.writer(value) {
                waiting[writer as usize] -= 1;
                if waiting[writer as usize] == 0 {
                    ready.insert(writer, -i64::from(writer));
                }
            }
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remat::Step;
    use crate::remat::random::Random;

    /// The least peak over all orders.
    fn least(problem: &Problem, order: &mut Vec<u32>) -> u64 {
        if order.len() == problem.steps.len() {
            return peak(problem, order);
        }
        let mut best = u64::MAX;
        for i in 0..problem.steps.len() as u32 {
            let known = |v: &u32| problem.writer(*v).is_none_or(|w| order.contains(&w));
            if !order.contains(&i) && problem.steps[i as usize].reads.iter().all(known) {
                order.push(i);
                best = best.min(least(problem, order));
                order.pop();
            }
        }
        best
    }

    fn random_problem(random: &mut Random, steps: usize) -> Problem {
        let bytes = (0..=steps).map(|_| random.below(20) as u64).collect();
        let of = |random: &mut Random, i: usize| Step {
            scratch: random.below(4) as u64,
            reads: (0..random.below(3))
                .map(|_| random.below(i + 1) as u32)
                .collect(),
            writes: vec![i as u32 + 1],
            ..Step::default()
        };
        let steps: Vec<Step> = (0..steps).map(|i| of(random, i)).collect();
        let outputs = vec![steps.len() as u32];
        Problem::new(steps, bytes, outputs, 0).unwrap()
    }

    #[test]
    fn orders_are_orders_and_lower_than_the_base_and_often_the_least() {
        let mut random = Random::new(3);
        let (mut found, mut optimal, mut improvable) = (0, 0, 0);
        for _ in 0..300 {
            let problem = random_problem(&mut random, 7);
            let best = least(&problem, &mut Vec::new());
            let base = problem.base_peak();
            assert_eq!(base, peak(&problem, &(0..7).collect::<Vec<u32>>()));
            improvable += usize::from(best < base);
            let Some((order, claimed)) = order(&problem) else {
                continue;
            };
            found += 1;
            assert!(claimed < base && claimed >= best);
            assert_eq!(claimed, peak(&problem, &order));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..7).collect::<Vec<u32>>());
            for (at, &i) in order.iter().enumerate() {
                for &value in &problem.steps[i as usize].reads {
                    let writer = problem.writer(value);
                    assert!(writer.is_none_or(|w| order[..at].contains(&w)));
                }
            }
            optimal += usize::from(claimed == best);
        }
        assert!(improvable > 100, "{improvable}");
        assert!(10 * found > 8 * improvable, "{found} of {improvable}");
        assert!(10 * optimal > 7 * improvable, "{optimal} of {improvable}");
    }

    #[test]
    fn an_order_of_many_steps_is_quick_to_find() {
        let mut random = Random::new(5);
        let problem = random_problem(&mut random, 20_000);
        let before = std::time::Instant::now();
        order(&problem);
        assert!(before.elapsed().as_secs_f64() < 2.0);
    }
}
