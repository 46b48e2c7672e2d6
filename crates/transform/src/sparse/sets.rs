//! Sets of columns, each stored once: the dependences of single elements.

use std::collections::HashMap;

/// A set in a [`Sets`]; equal sets have equal numbers.
pub(crate) type Set = u32;

/// The set without elements.
pub(crate) const EMPTY: Set = 0;

/// How many unions are remembered; beyond that the memory of them starts anew.
const MAX_UNIONS: usize = 1 << 22;

/// A pool of sets of whole numbers, as sorted ranges.
///
/// Dependences are mostly bands, blocks and prefixes, so a few ranges say what a long list of
/// numbers would: the prefixes of a running sum over n elements take n ranges instead of n^2 / 2
/// numbers. Equal sets are stored once, so that comparing two is comparing two numbers.
#[derive(Debug)]
pub(crate) struct Sets {
    /// All ranges, one set after the other; a range holds its first number and ends before its
    /// second.
    ranges: Vec<(u32, u32)>,
    /// Where each set begins among the ranges, and the end of the last one.
    starts: Vec<usize>,
    /// The newest set of each hash, and for each set the one before it with the same hash.
    newest: HashMap<u64, Set>,
    before: Vec<Set>,
    unions: HashMap<(Set, Set), Set>,
    scratch: Vec<(u32, u32)>,
}

impl Sets {
    pub(crate) fn new() -> Sets {
        Sets {
            ranges: Vec::new(),
            starts: vec![0, 0],
            newest: HashMap::new(),
            before: vec![EMPTY],
            unions: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// The ranges of a set.
    pub(crate) fn ranges(&self, set: Set) -> &[(u32, u32)] {
        let at = set as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(from), Some(to)) => self.ranges.get(*from..*to).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The set of one number.
    pub(crate) fn one(&mut self, number: u32) -> Set {
        self.scratch.clear();
        self.scratch.push((number, number.saturating_add(1)));
        self.intern()
    }

    /// The set of all numbers that are in one of two sets.
    pub(crate) fn union(&mut self, a: Set, b: Set) -> Set {
        if a == b || b == EMPTY {
            return a;
        }
        if a == EMPTY {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(known) = self.unions.get(&key) {
            return *known;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let (mut x, mut y) = (self.ranges(a), self.ranges(b));
        loop {
            let next = match (x.split_first(), y.split_first()) {
                (Some((p, rest)), Some((q, _))) if p.0 <= q.0 => {
                    x = rest;
                    *p
                }
                (_, Some((q, rest))) => {
                    y = rest;
                    *q
                }
                (Some((p, rest)), None) => {
                    x = rest;
                    *p
                }
                (None, None) => break,
            };
            append(&mut scratch, next);
        }
        self.scratch = scratch;
        let union = self.intern();
        if self.unions.len() >= MAX_UNIONS {
            self.unions.clear();
        }
        self.unions.insert(key, union);
        union
    }

    /// The set of all numbers that are in one of the sets, whose list is used up.
    pub(crate) fn union_all(&mut self, sets: &mut Vec<Set>) -> Set {
        sets.sort_unstable();
        sets.dedup();
        match sets[..] {
            [] => return EMPTY,
            [one] => return one,
            [a, b] => return self.union(a, b),
            _ => {}
        }
        let mut all: Vec<(u32, u32)> = Vec::new();
        for set in sets.iter() {
            all.extend_from_slice(self.ranges(*set));
        }
        all.sort_unstable();
        self.scratch.clear();
        for range in all {
            append(&mut self.scratch, range);
        }
        self.intern()
    }

    /// The number of the set whose ranges stand in `scratch`.
    fn intern(&mut self) -> Set {
        if self.scratch.is_empty() {
            return EMPTY;
        }
        let hash = self
            .scratch
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, (from, to)| {
                let word = (u64::from(*from) << 32) | u64::from(*to);
                (h.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
        let newest = self.newest.get(&hash).copied().unwrap_or(EMPTY);
        let mut known = newest;
        while known != EMPTY {
            if self.ranges(known) == &self.scratch[..] {
                return known;
            }
            known = self.before.get(known as usize).copied().unwrap_or(EMPTY);
        }
        let set = self.before.len() as Set;
        self.ranges.extend_from_slice(&self.scratch);
        self.starts.push(self.ranges.len());
        self.before.push(newest);
        self.newest.insert(hash, set);
        set
    }
}

/// Appends a range to sorted ranges that begin no later, and joins it with the last where they
/// touch.
fn append(ranges: &mut Vec<(u32, u32)>, next: (u32, u32)) {
    match ranges.last_mut() {
        Some(last) if next.0 <= last.1 => last.1 = last.1.max(next.1),
        _ => ranges.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one() {
        let mut sets = Sets::new();
        let ones: Vec<Set> = (0..6).map(|i| sets.one(i)).collect();
        let a = sets.union(ones[0], ones[1]);
        let b = sets.union(ones[1], ones[0]);
        assert_eq!(a, b);
        assert_eq!(sets.ranges(a), [(0, 2)]);
        let c = sets.union(ones[4], a);
        assert_eq!(sets.ranges(c), [(0, 2), (4, 5)]);
        assert_eq!(sets.union(c, a), c);
        let mut list = vec![ones[4], ones[1], ones[0], ones[1], EMPTY];
        assert_eq!(sets.union_all(&mut list), c);
        assert_eq!(sets.union_all(&mut Vec::new()), EMPTY);
    }
}
