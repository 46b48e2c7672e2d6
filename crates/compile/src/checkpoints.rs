//! Walking the steps of a loop backward with a fixed number of kept states.
//!
//! The states before some steps are kept in slots; a state that is not kept is reached by walking
//! forward from the nearest one before it. While the loop runs for the first time and its length is
//! not known, every `stride`-th state is kept, and the stride doubles when the slots are full
//! (online checkpointing, after Stumm and Walther, SIAM J. Sci. Comput. 32, 2010). On the way back
//! the slots that become free are used as is best for a known length: binomially (Griewank and
//! Walther, Algorithm 799, ACM TOMS 26, 2000).

/// Which states are kept, by the step before which they stand.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// Step and slot, in order of steps. The first is the start, which has memory of its own.
    kept: Vec<(usize, Option<usize>)>,
    free: Vec<usize>,
    stride: usize,
}

/// What to do next on the way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// The state stands in this slot, or is the start.
    There(Option<usize>),
    /// Walk from a state that is kept.
    Walk {
        /// The slot of the state, or the start.
        from: Option<usize>,
        /// The step before which that state stands.
        at: usize,
        /// How many steps.
        steps: usize,
        /// The slot that keeps where the walk ends; with none it is only used.
        to: Option<usize>,
    },
}

impl Checkpoints {
    /// Only the start is kept; so many slots are free.
    pub fn new(slots: usize) -> Checkpoints {
        Checkpoints {
            kept: vec![(0, None)],
            free: (0..slots).rev().collect(),
            stride: 1,
        }
    }

    /// What is kept once a loop of known length has run forward, so that the way back takes the
    /// fewest steps.
    pub fn known(length: usize, slots: usize) -> Checkpoints {
        let mut checkpoints = Checkpoints::new(slots.min(length.saturating_sub(1)));
        while let Some(last) = length.checked_sub(1)
            && !checkpoints.free.is_empty()
            && matches!(checkpoints.back(last), Move::Walk { .. })
        {}
        checkpoints
    }

    /// The slots in use, each with the step before which its state stands, in order of steps.
    pub fn kept(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (self.kept.iter()).filter_map(|(step, slot)| Some((*step, (*slot)?)))
    }

    /// Where to keep the state before a step that the loop reaches for the first time, if it is to
    /// be kept. Steps come in order.
    pub fn reach(&mut self, step: usize) -> Option<usize> {
        if step == 0 || (self.free.is_empty() && self.kept.len() == 1) {
            return None;
        }
        if step.is_multiple_of(self.stride) && self.free.is_empty() {
            self.stride = self.stride.saturating_mul(2);
            let (stride, free) = (self.stride, &mut self.free);
            self.kept.retain(|(at, slot)| match slot {
                Some(slot) if !at.is_multiple_of(stride) => {
                    free.push(*slot);
                    false
                }
                _ => true,
            });
        }
        if !step.is_multiple_of(self.stride) {
            return None;
        }
        let slot = self.free.pop()?;
        self.kept.push((step, Some(slot)));
        Some(slot)
    }

    /// Another way back begins, from a step behind the one that was asked for last, and does not come to
    /// that: of all states the last one is kept, to walk from, and the start.
    pub fn again(&mut self) {
        let last = self.kept.len().saturating_sub(1).max(1);
        let (start, last) = self.kept.split_at(last.min(self.kept.len()));
        let passed = start.iter().skip(1).filter_map(|(_, slot)| *slot);
        self.free.extend(passed);
        self.kept = start.iter().take(1).chain(last).copied().collect();
    }

    /// What to do to have the state before a step; steps come from the last to the first. After a
    /// walk that keeps a state this is asked again.
    pub fn back(&mut self, step: usize) -> Move {
        while self.kept.last().is_some_and(|(at, _)| *at > step) {
            if let Some((_, Some(slot))) = self.kept.pop() {
                self.free.push(slot);
            }
        }
        let (at, from) = self.kept.last().copied().unwrap_or((0, None));
        if at == step {
            return Move::There(from);
        }
        let left = step - at;
        match self.free.pop() {
            Some(slot) => {
                let steps = split(left + 1, self.free.len() + 2).clamp(1, left);
                self.kept.push((at + steps, Some(slot)));
                Move::Walk {
                    from,
                    at,
                    steps,
                    to: Some(slot),
                }
            }
            None => Move::Walk {
                from,
                at,
                steps: left,
                to: None,
            },
        }
    }
}

/// How many steps are walked forward on the way back over a loop of known length, where the first run
/// left its states as [`Checkpoints::known`] says. The last state reached is at hand each time; the
/// step that is then taken from it is not counted.
pub fn steps_back(length: usize, slots: usize) -> usize {
    let slots = slots.min(length.saturating_sub(1));
    let states = slots + 1;
    let mut repeats = 0;
    while binomial(states, repeats) < length {
        repeats += 1;
    }
    let Some(before) = repeats.checked_sub(1) else {
        return 0;
    };
    // Griewank and Walther's formula counts the walk to the last state that the first run leaves.
    let all = repeats.saturating_mul(length) - binomial(states + 1, before).min(length * repeats);
    let kept = Checkpoints::known(length, slots);
    all.saturating_sub(kept.kept().last().map_or(0, |(step, _)| step))
}

/// How many steps to walk before the next state is kept, so that `length` steps are walked backward
/// with the fewest steps forward, where `states` can be kept, the one at hand included.
fn split(length: usize, states: usize) -> usize {
    let mut repeats = 1;
    while binomial(states, repeats) < length {
        repeats += 1;
    }
    let b = |states: Option<usize>, repeats: Option<usize>| match (states, repeats) {
        (Some(s), Some(r)) => binomial(s, r),
        _ => 0,
    };
    let less = |n: usize| states.checked_sub(n);
    let before = repeats.checked_sub(1);
    if length <= b(Some(states), before).saturating_add(b(less(2), before)) {
        b(Some(states), repeats.checked_sub(2))
    } else if length >= binomial(states, repeats).saturating_sub(b(less(3), Some(repeats))) {
        b(Some(states), before)
    } else {
        length - b(less(1), before) - b(less(2), before)
    }
}

/// `(s + r)! / (s! r!)`: how many steps can be walked backward with `s` states kept where no step is
/// walked forward more than `r` times. Saturates.
fn binomial(s: usize, r: usize) -> usize {
    let small = s.min(r) as u128;
    let large = s.max(r) as u128;
    let mut product: u128 = 1;
    for k in 1..=small {
        product = product.saturating_mul(large + k) / k;
        if product > usize::MAX as u128 {
            return usize::MAX;
        }
    }
    product as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fewest steps forward, by trying every place for the next state.
    fn fewest(length: usize, states: usize, known: &mut Vec<Vec<Option<usize>>>) -> usize {
        if length <= 1 {
            return 0;
        }
        if states == 1 {
            return length * (length - 1) / 2;
        }
        if let Some(found) = known[length][states] {
            return found;
        }
        let best = (1..length)
            .map(|m| m + fewest(length - m, states - 1, known) + fewest(m, states, known))
            .min()
            .unwrap_or(0);
        known[length][states] = Some(best);
        best
    }

    /// The steps walked forward on the way back, checked to be walked from where a state is.
    fn walked(checkpoints: &mut Checkpoints, length: usize, slots: usize) -> usize {
        let mut states: Vec<Option<usize>> = vec![None; slots];
        for (at, slot) in &checkpoints.kept {
            if let Some(slot) = slot {
                states[*slot] = Some(*at);
            }
        }
        let at = |states: &[Option<usize>], slot: Option<usize>| match slot {
            None => 0,
            Some(slot) => states[slot].unwrap(),
        };
        let mut total = 0;
        for step in (0..length).rev() {
            loop {
                match checkpoints.back(step) {
                    Move::There(slot) => {
                        assert_eq!(at(&states, slot), step);
                        break;
                    }
                    Move::Walk {
                        from,
                        at: start,
                        steps,
                        to,
                    } => {
                        total += steps;
                        assert_eq!(at(&states, from), start);
                        let reached = start + steps;
                        match to {
                            Some(slot) => states[slot] = Some(reached),
                            None => {
                                assert_eq!(reached, step);
                                break;
                            }
                        }
                    }
                }
            }
        }
        total
    }

    #[test]
    fn another_way_back_starts_from_the_last_state() {
        let mut checkpoints = Checkpoints::new(3);
        let reach = |checkpoints: &mut Checkpoints, step: usize| {
            let mut walked = 0;
            while let Move::Walk { steps, to, .. } = checkpoints.back(step) {
                walked += steps;
                if to.is_none() {
                    break;
                }
            }
            walked
        };
        assert_eq!(reach(&mut checkpoints, 40), 40);
        let kept: Vec<usize> = checkpoints.kept().map(|(step, _)| step).collect();
        assert_eq!(kept.len(), 3);
        checkpoints.again();
        let last: Vec<usize> = checkpoints.kept().map(|(step, _)| step).collect();
        assert_eq!(last, kept[2..]);
        // Nearer than from the start, and the slots are there for it.
        assert_eq!(reach(&mut checkpoints, 60), 60 - last[0]);
        assert_eq!(checkpoints.kept().count(), 3);
        checkpoints.again();
        // What is before it is walked from the start.
        assert_eq!(reach(&mut checkpoints, 5), 5);
        let mut none = Checkpoints::new(0);
        none.again();
        assert_eq!(reach(&mut none, 5), 5);
    }

    #[test]
    fn a_known_length_is_walked_back_with_the_fewest_steps() {
        let mut known = vec![vec![None; 12]; 80];
        for slots in 0..10 {
            for length in 0..75 {
                let mut checkpoints = Checkpoints::new(slots);
                let total = walked(&mut checkpoints, length, slots);
                assert_eq!(
                    total,
                    fewest(length, slots + 1, &mut known),
                    "{length} steps, {slots} slots"
                );
            }
        }
    }

    #[test]
    fn the_way_back_is_as_long_as_is_said() {
        for slots in 0..10 {
            for length in 0..75 {
                let mut checkpoints = Checkpoints::known(length, slots);
                let total = walked(&mut checkpoints, length, slots);
                assert_eq!(
                    total,
                    steps_back(length, slots),
                    "{length} steps, {slots} slots"
                );
            }
        }
        assert_eq!(steps_back(10_000, 9_999), 0);
        assert!(steps_back(10_000, 150) < 2 * 10_000);
    }

    #[test]
    fn an_unknown_length_costs_little_more() {
        let mut known = vec![vec![None; 12]; 80];
        for slots in 0..10 {
            for length in 0..75 {
                let mut checkpoints = Checkpoints::new(slots);
                for step in 0..length {
                    checkpoints.reach(step);
                    assert!(checkpoints.kept.len() <= slots + 1);
                }
                let total = walked(&mut checkpoints, length, slots);
                // The first run is a part of the work; what it keeps is at most so far from the best.
                let best = fewest(length, slots + 1, &mut known) + length;
                assert!(
                    total + length <= 2 * best,
                    "{length} steps, {slots} slots: {total}"
                );
                assert!(length > slots + 1 || total == 0, "{length}, {slots}");
            }
        }
    }

    #[test]
    fn many_steps_take_few_repeats() {
        let (length, slots) = (100_000, 20);
        let mut checkpoints = Checkpoints::new(slots);
        for step in 0..length {
            checkpoints.reach(step);
        }
        assert!(walked(&mut checkpoints, length, slots) < 6 * length);
    }
}
