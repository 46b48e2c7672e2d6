//! A search for offsets within a height, after Moffitt, MiniMalloc (ASPLOS 2023).
//!
//! - Canonical solutions: any solution stays one when its buffers sink as far as they can. So
//!   buffers are placed from the lowest offset to the highest (ties in a fixed order), each at the
//!   lowest offset that those placed before leave.
//! - Section inference: time falls into sections in which the same buffers live. What is still to
//!   be placed in a section, above the lowest offset at which any of it can still stand, must fit
//!   below the height.
//! - Dominance: if a buffer could stand below an offset with room to spare, nothing that is placed
//!   at that offset is canonical.
//! - Decomposition: where no buffer to be placed crosses a border between sections, the two sides
//!   no longer touch each other and are solved one after the other.

use std::time::Instant;

use super::Buffer;
use crate::remat::random::Random;

/// More buffers than this are left to the greedy ways: the search recurs once for each.
const DEPTH: usize = 1000;

/// What is searched: buffers by number, in a fixed order, with their sections.
pub(super) struct Search {
    items: Vec<Item>,
    /// The sections: per section the items that live there.
    sections: Vec<Vec<u32>>,
    /// The number of the buffer of each item.
    buffers: Vec<usize>,
    count: usize,
}

#[derive(Clone, Copy)]
struct Item {
    size: i64,
    /// Its sections.
    from: u32,
    to: u32,
}

/// How a search ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Found,
    Impossible,
    GaveUp,
}

impl Search {
    pub(super) fn new(buffers: &[Buffer]) -> Search {
        // Sections between a begin and the next end hold all that lives; others hold less.
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (i, b) in buffers.iter().enumerate() {
            if b.first < b.end && b.size > 0 {
                times.push((b.first, true, i));
                times.push((b.end, false, i));
            }
        }
        times.sort_unstable();
        let mut from = vec![0_u32; buffers.len()];
        let mut items = Vec::new();
        let mut numbers = Vec::new();
        let mut sections = 0_u32;
        let mut begun = false;
        for (_, begins, i) in times {
            if begins {
                from[i] = sections;
                begun = true;
            } else {
                sections += u32::from(std::mem::take(&mut begun));
                items.push(Item {
                    size: buffers[i].size as i64,
                    from: from[i],
                    to: sections,
                });
                numbers.push(i);
            }
        }
        let mut search = Search {
            items,
            sections: vec![Vec::new(); sections as usize],
            buffers: numbers,
            count: buffers.len(),
        };
        search.list();
        search
    }

    fn list(&mut self) {
        self.sections.iter_mut().for_each(Vec::clear);
        for (i, item) in self.items.iter().enumerate() {
            for section in item.from..item.to {
                self.sections[section as usize].push(i as u32);
            }
        }
    }

    /// Lowers a placement to a height that is enough, or as far as `nodes` and the time go;
    /// whether it is shown that nothing is lower than what it leaves.
    pub(super) fn lower(
        mut self,
        best: &mut (Vec<u64>, u64),
        enough: u64,
        nodes: u64,
        until: Option<Instant>,
    ) -> bool {
        if self.items.len() > DEPTH {
            return false;
        }
        let mut left = nodes;
        let mut aim = enough;
        // Aim at what is enough; where that is out of reach, half way up from there.
        while best.1 > aim {
            let share = match aim == enough {
                true => nodes / 4 * 3,
                false => nodes / 8,
            };
            let mut own = share.min(left).max(1);
            left = left.saturating_sub(own);
            match self.rounds(aim as i64, &mut own, until) {
                (End::Found, offsets) => {
                    *best = (offsets, best.1);
                    best.1 = self.height(&best.0);
                }
                (End::Impossible, _) if aim + 1 == best.1 => return true,
                (End::Impossible, _) => {
                    aim = (aim + 1).max(aim.midpoint(best.1));
                    continue;
                }
                (End::GaveUp, _) => {
                    aim = (aim + 1).max(aim.midpoint(best.1));
                }
            }
            if left == 0 || until.is_some_and(|t| Instant::now() >= t) {
                break;
            }
        }
        false
    }

    fn height(&self, offsets: &[u64]) -> u64 {
        let items = self.items.iter().zip(&self.buffers);
        items
            .map(|(item, b)| offsets[*b] + item.size as u64)
            .max()
            .unwrap_or(0)
    }

    /// Tries orders in turn, most of them for a short time.
    fn rounds(&mut self, height: i64, nodes: &mut u64, until: Option<Instant>) -> (End, Vec<u64>) {
        let mut random = Random::new(1);
        let mut blame = vec![1.0; self.count];
        // The order of the round that came farthest, and how far that was.
        let mut elite: (usize, Vec<usize>) = (0, Vec::new());
        for round in 0_u64.. {
            match round as usize > RULES.len() && round % 2 == 1 {
                true => self.disturb(&elite.1, &mut random),
                false => self.sort(round as usize, &blame, &mut random),
            }
            // The sequence of Luby, Sinclair and Zuckerman (1993): 1 1 2 1 1 2 4 1 1 2 ...
            let own = (LEAST * luby(round + 1)).min(*nodes);
            let mut walk = Walk::new(self, height, own, until);
            let end = walk.all();
            *nodes -= own;
            if walk.deepest >= elite.0 {
                elite = (walk.deepest, self.buffers.clone());
            }
            if end == End::Found {
                let mut offsets = vec![0_u64; self.count];
                for (i, b) in self.buffers.iter().enumerate() {
                    offsets[*b] = walk.offset[i] as u64;
                }
                return (end, offsets);
            }
            // Buffers in sections that often did not fit go first the next time.
            let most = walk.failed.iter().copied().max().unwrap_or(0).max(1) as f64;
            blame.iter_mut().for_each(|b| *b *= 0.9);
            for (section, failed) in walk.failed.iter().enumerate() {
                for i in &self.sections[section] {
                    let own = &mut blame[self.buffers[*i as usize]];
                    *own = f64::max(*own, *failed as f64 / most);
                }
            }
            let late = until.is_some_and(|t| Instant::now() >= t);
            if end == End::Impossible || late || *nodes == 0 {
                return (end, Vec::new());
            }
        }
        (End::GaveUp, Vec::new())
    }

    /// Orders the items nearly as in a round that came far.
    fn disturb(&mut self, order: &[usize], random: &mut Random) {
        let spread = order.len() as f64 * 0.3 * random.unit().powi(3);
        let mut key = vec![0.0; self.count];
        for (rank, buffer) in order.iter().enumerate() {
            key[*buffer] = rank as f64 + spread * random.unit();
        }
        self.arrange(|_, buffer| key[buffer]);
    }

    fn arrange(&mut self, mut key: impl FnMut(&Item, usize) -> f64) {
        let both = self.items.iter().zip(&self.buffers);
        let mut keyed: Vec<(f64, usize, Item)> = both
            .map(|(item, buffer)| (key(item, *buffer), *buffer, *item))
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        (self.items, self.buffers) = keyed.into_iter().map(|(_, b, item)| (item, b)).unzip();
        self.list();
    }

    /// Orders the items: the first rounds by rules that are known to work, later ones by products
    /// of random powers of width, size, load and blame.
    fn sort(&mut self, round: usize, blame: &[f64], random: &mut Random) {
        let mut load = vec![0_i64; self.sections.len()];
        for (load, section) in load.iter_mut().zip(&self.sections) {
            *load = section.iter().map(|i| self.items[*i as usize].size).sum();
        }
        // Powers of width, size, load, blame, and the spread of a random factor.
        let powers = match RULES.get(round) {
            Some(rule) => *rule,
            None => {
                let mut of = |most: f64| most * random.unit();
                [of(2.0), of(2.0), of(20.0), of(3.0), of(1.0)]
            }
        };
        self.arrange(|item, buffer| {
            let own = &load[item.from as usize..item.to as usize];
            let load = own.iter().copied().max().unwrap_or(0) as f64;
            let logs = [
                f64::from(item.to - item.from).ln(),
                (item.size as f64).ln(),
                load.ln(),
                blame[buffer].ln(),
                random.unit(),
            ];
            let sum: f64 = logs
                .iter()
                .zip(powers)
                .map(|(log, power)| log * power)
                .sum();
            -sum
        });
    }
}

/// The nodes of the shortest round.
const LEAST: u64 = 1000;

/// Orders that are tried first.
const RULES: [[f64; 5]; 4] = [
    [1e6, 1.0, 1e-6, 0.0, 0.0],
    [1.0, 1.0, 1e6, 0.0, 0.0],
    [1.0, 1e-6, 1e6, 0.0, 0.0],
    [1.0, 1.0, 0.0, 0.0, 0.0],
];

/// Term `i`, counted from 1, of the sequence of Luby, Sinclair and Zuckerman.
fn luby(mut i: u64) -> u64 {
    loop {
        let bits = u64::BITS - i.leading_zeros();
        if i + 1 == 1 << bits {
            return 1 << (bits - 1);
        }
        i -= (1 << (bits - 1)) - 1;
    }
}

/// One depth-first walk.
struct Walk<'a> {
    search: &'a Search,
    height: i64,
    nodes: u64,
    until: Option<Instant>,
    /// Per item the items that live at some time together with it.
    meets: Vec<Vec<u32>>,
    /// Per item its offset or, until it is placed, the lowest offset that is left for it.
    offset: Vec<i64>,
    placed: Vec<bool>,
    /// Per section the lowest top, and the lowest offset, that an item to be placed can have.
    tops: Vec<i64>,
    able: Vec<(i64, u32)>,
    lowest: Vec<i64>,
    /// The most items that were placed at one time.
    deepest: usize,
    /// Per section how often what was left did not fit.
    failed: Vec<u64>,
    /// Per section the bytes still to be placed, and the number of items to be placed that also
    /// live in the section before.
    rest: Vec<i64>,
    cross: Vec<u32>,
    /// What was placed, in order, and offsets that were raised, with what they were.
    order: Vec<u32>,
    raised: Vec<(u32, i64)>,
}

impl<'a> Walk<'a> {
    fn new(search: &'a Search, height: i64, nodes: u64, until: Option<Instant>) -> Walk<'a> {
        let n = search.items.len();
        let mut rest = vec![0; search.sections.len()];
        let mut cross = vec![0; search.sections.len()];
        for item in &search.items {
            for section in item.from..item.to {
                rest[section as usize] += item.size;
                cross[section as usize] += u32::from(section > item.from);
            }
        }
        let meets = |a: &Item| {
            let others = search.items.iter().enumerate();
            let together = |b: &Item| a.from.max(b.from) < a.to.min(b.to);
            let met = others.filter(|(_, b)| together(b)).map(|(j, _)| j as u32);
            met.collect()
        };
        Walk {
            search,
            height,
            nodes,
            until,
            meets: search.items.iter().map(meets).collect(),
            offset: vec![0; n],
            placed: vec![false; n],
            able: vec![(0, 0); search.sections.len()],
            tops: vec![0; search.sections.len()],
            lowest: vec![0; search.sections.len()],
            deepest: 0,
            failed: vec![0; search.sections.len()],
            rest,
            cross,
            order: Vec::new(),
            raised: Vec::new(),
        }
    }

    fn all(&mut self) -> End {
        self.parts(0, self.rest.len() as u32, (0, 0))
    }

    /// Solves the parts of a range of sections that no longer touch each other.
    fn parts(&mut self, from: u32, to: u32, last: (i64, u32)) -> End {
        let mut parts: Vec<(u32, u32, i64)> = Vec::new();
        let mut start = from;
        for section in from + 1..=to {
            if section == to || self.cross[section as usize] == 0 {
                let rest = &self.rest[start as usize..section as usize];
                if let Some(rest) = rest.iter().copied().max().filter(|r| *r > 0) {
                    parts.push((start, section, rest));
                }
                start = section;
            }
        }
        // What is fullest fails first.
        parts.sort_by_key(|(start, _, rest)| (-rest, *start));
        for (start, end, _) in parts {
            let mut items: Vec<u32> = Vec::new();
            for section in start..end {
                for &i in &self.search.sections[section as usize] {
                    let first = self.search.items[i as usize].from.max(start) == section;
                    if first && !self.placed[i as usize] {
                        items.push(i);
                    }
                }
            }
            items.sort_unstable();
            let end = self.part(start, end, &items, last);
            if end != End::Found {
                return end;
            }
        }
        End::Found
    }

    /// Places one more item of a part, and then all others.
    fn part(&mut self, from: u32, to: u32, items: &[u32], last: (i64, u32)) -> End {
        self.nodes = self.nodes.saturating_sub(1);
        let late = |t: Instant| self.nodes % 256 < 8 && Instant::now() >= t;
        if self.nodes == 0 || self.until.is_some_and(late) {
            return End::GaveUp;
        }
        // The lowest top that an item could still have: nothing begins above it. Nor does anything
        // begin where the fullest section would not fit any more.
        let mut top = i64::MAX;
        for &i in items {
            top = top.min(self.offset[i as usize] + self.search.items[i as usize].size);
        }
        let rest = &self.rest[from as usize..to as usize];
        let room = self.height - rest.iter().copied().max().unwrap_or(0);
        let mut candidates: Vec<(i64, u32)> = items
            .iter()
            .map(|i| (self.offset[*i as usize], *i))
            .filter(|c| *c >= last && c.0 < top && c.0 <= room)
            .collect();
        let cut = match candidates.len() > 1 {
            true => self.cut(from, to, items),
            false => (i64::MAX, 0),
        };
        candidates.retain(|c| *c <= cut);
        candidates.sort_unstable();
        let mut left: Vec<u32> = Vec::with_capacity(items.len());
        for candidate in candidates {
            let (offset, i) = candidate;
            let marks = (self.order.len(), self.raised.len());
            self.nodes = self.nodes.saturating_sub(1);
            left.clear();
            left.extend(items.iter().filter(|j| **j != i));
            if self.place(i, offset) && self.fits(from, to, &left, candidate) {
                let item = self.search.items[i as usize];
                let inner = item.from.max(from + 1) as usize..item.to as usize + 1;
                let apart = |s: usize| s < to as usize && self.cross[s] == 0;
                let end = match inner.into_iter().any(apart) || left.is_empty() {
                    true => self.parts(from, to, candidate),
                    false => self.part(from, to, &left, candidate),
                };
                if end != End::Impossible {
                    return end;
                }
            }
            self.undo(marks);
        }
        End::Impossible
    }

    /// The last candidate that may come next: after it, some section could not be filled any more,
    /// because all that can stand at the bottom of it would have been passed over.
    fn cut(&mut self, from: u32, to: u32, items: &[u32]) -> (i64, u32) {
        let range = from as usize..to as usize;
        self.tops[range.clone()].fill(i64::MAX);
        self.able[range.clone()].fill((-1, 0));
        for &i in items {
            let item = self.search.items[i as usize];
            let own = (self.offset[i as usize], i);
            let top = own.0 + item.size;
            for section in item.from as usize..item.to as usize {
                self.tops[section] = top.min(self.tops[section]);
                if own.0 <= self.height - self.rest[section] {
                    self.able[section] = own.max(self.able[section]);
                }
            }
        }
        let full = range.filter(|s| {
            let rest = self.rest[*s];
            rest > 0 && self.tops[*s] > self.height - rest
        });
        full.map(|s| self.able[s]).min().unwrap_or((i64::MAX, 0))
    }

    /// Places an item; whether all that shares a section with it may still fit.
    fn place(&mut self, i: u32, offset: i64) -> bool {
        let item = self.search.items[i as usize];
        let end = offset + item.size;
        self.placed[i as usize] = true;
        self.order.push(i);
        self.deepest = self.deepest.max(self.order.len());
        let mut fits = end <= self.height;
        for section in item.from..item.to {
            let rest = &mut self.rest[section as usize];
            *rest -= item.size;
            self.cross[section as usize] -= u32::from(section > item.from);
            // Everything that is left in the section stands above the item.
            if end + *rest > self.height {
                fits = false;
                self.failed[section as usize] += 1;
            }
        }
        for &j in &self.meets[i as usize] {
            let other = self.offset[j as usize];
            if !self.placed[j as usize] && other < end {
                self.raised.push((j, other));
                self.offset[j as usize] = end;
                fits &= end + self.search.items[j as usize].size <= self.height;
            }
        }
        fits
    }

    /// Whether what is left of a part fits, section by section, above the lowest place where any of
    /// it can begin.
    fn fits(&mut self, from: u32, to: u32, items: &[u32], last: (i64, u32)) -> bool {
        let range = from as usize..to as usize;
        self.tops[range.clone()].fill(i64::MAX);
        self.lowest[range.clone()].fill(i64::MAX);
        for &i in items {
            let item = self.search.items[i as usize];
            let top = self.offset[i as usize].max(last.0) + item.size;
            for lowest in &mut self.tops[item.from as usize..item.to as usize] {
                *lowest = top.min(*lowest);
            }
        }
        for &i in items {
            let item = self.search.items[i as usize];
            let mut low = self.offset[i as usize];
            let span = item.from as usize..item.to as usize;
            if (low, i) < last {
                // It was passed over at its offset, so it must rest on one that is placed later.
                let tops = self.tops[span.clone()].iter().copied();
                low = tops.min().unwrap_or(i64::MAX);
                if low == self.offset[i as usize].max(last.0) + item.size {
                    let others = self.meets[i as usize].iter().filter(|j| **j != i);
                    let others = others.filter(|j| !self.placed[**j as usize]);
                    let tops = others.map(|&j| {
                        self.offset[j as usize].max(last.0) + self.search.items[j as usize].size
                    });
                    low = tops.min().unwrap_or(i64::MAX);
                }
                if low > self.height - item.size {
                    self.failed[item.from as usize] += 1;
                    return false;
                }
            }
            for lowest in &mut self.lowest[span] {
                *lowest = low.min(*lowest);
            }
        }
        let mut sections = self.lowest[range.clone()].iter().zip(&self.rest[range]);
        match sections.position(|(low, rest)| *rest > 0 && low + rest > self.height) {
            Some(section) => {
                self.failed[from as usize + section] += 1;
                false
            }
            None => true,
        }
    }

    fn undo(&mut self, (order, raised): (usize, usize)) {
        while self.raised.len() > raised {
            if let Some((j, offset)) = self.raised.pop() {
                self.offset[j as usize] = offset;
            }
        }
        while self.order.len() > order {
            let Some(i) = self.order.pop() else { break };
            let item = self.search.items[i as usize];
            self.placed[i as usize] = false;
            for section in item.from..item.to {
                self.rest[section as usize] += item.size;
                self.cross[section as usize] += u32::from(section > item.from);
            }
        }
    }
}
