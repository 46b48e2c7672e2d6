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

/// Components of more buffers than this are left to the greedy ways; the search is this deep.
const DEPTH: usize = 2000;

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

/// The orders in which ties are tried; each is tried for a while, and then longer.
const ORDERS: [[Sort; 3]; 4] = [
    [Sort::Width, Sort::Area, Sort::Load],
    [Sort::Load, Sort::Area, Sort::Width],
    [Sort::Load, Sort::Width, Sort::Area],
    [Sort::Area, Sort::Size, Sort::Width],
];

#[derive(Clone, Copy)]
enum Sort {
    Width,
    Area,
    Load,
    Size,
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
        items.map(|(item, b)| offsets[*b] + item.size as u64).max().unwrap_or(0)
    }

    /// Tries the orders in turn, each time with more nodes.
    fn rounds(&mut self, height: i64, nodes: &mut u64, until: Option<Instant>) -> (End, Vec<u64>) {
        let mut share = 4000;
        while *nodes > 0 {
            for order in ORDERS {
                self.sort(order);
                let own = share.min(*nodes);
                *nodes -= own;
                let mut walk = Walk::new(self, height, own, until);
                let end = walk.all();
                if end == End::Found {
                    let mut offsets = vec![0_u64; self.count];
                    for (i, b) in self.buffers.iter().enumerate() {
                        offsets[*b] = walk.offset[i] as u64;
                    }
                    return (end, offsets);
                }
                let late = until.is_some_and(|t| Instant::now() >= t);
                if end == End::Impossible || late || *nodes == 0 {
                    return (end, Vec::new());
                }
            }
            share *= 4;
        }
        (End::GaveUp, Vec::new())
    }

    fn sort(&mut self, order: [Sort; 3]) {
        let mut load = vec![0_i64; self.sections.len()];
        for (load, section) in load.iter_mut().zip(&self.sections) {
            *load = section.iter().map(|i| self.items[*i as usize].size).sum();
        }
        let key = |item: &Item| {
            order.map(|sort| {
                let width = i128::from(item.to - item.from);
                -match sort {
                    Sort::Width => width,
                    Sort::Area => width * i128::from(item.size),
                    Sort::Size => item.size.into(),
                    Sort::Load => {
                        let own = &load[item.from as usize..item.to as usize];
                        own.iter().copied().max().unwrap_or(0).into()
                    }
                }
            })
        };
        let mut both: Vec<(Item, usize)> =
            self.items.iter().copied().zip(self.buffers.iter().copied()).collect();
        both.sort_by_key(|(item, buffer)| (key(item), *buffer));
        (self.items, self.buffers) = both.into_iter().unzip();
        self.list();
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
            if items.len() > DEPTH {
                return End::GaveUp;
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
        let late = |t: Instant| self.nodes.is_multiple_of(256) && Instant::now() >= t;
        if self.nodes == 0 || self.until.is_some_and(late) {
            return End::GaveUp;
        }
        // The lowest top that an item could still have: nothing begins above it.
        let mut top = i64::MAX;
        for &i in items {
            top = top.min(self.offset[i as usize] + self.search.items[i as usize].size);
        }
        let mut candidates: Vec<(i64, u32)> = items
            .iter()
            .map(|i| (self.offset[*i as usize], *i))
            .filter(|c| *c >= last && c.0 < top)
            .collect();
        candidates.sort_unstable();
        for candidate in candidates {
            let (offset, i) = candidate;
            let marks = (self.order.len(), self.raised.len());
            if self.place(i, offset, from, to, candidate) {
                let end = self.parts(from, to, candidate);
                if end != End::Impossible {
                    return end;
                }
            }
            self.undo(marks);
        }
        End::Impossible
    }

    /// Places an item; whether all that is left may still fit.
    fn place(&mut self, i: u32, offset: i64, from: u32, to: u32, last: (i64, u32)) -> bool {
        let item = self.search.items[i as usize];
        let end = offset + item.size;
        self.placed[i as usize] = true;
        self.order.push(i);
        for section in item.from..item.to {
            self.rest[section as usize] -= item.size;
            self.cross[section as usize] -= u32::from(section > item.from);
        }
        let mut fits = end <= self.height;
        for &j in &self.meets[i as usize] {
            let other = self.offset[j as usize];
            if !self.placed[j as usize] && other < end {
                self.raised.push((j, other));
                self.offset[j as usize] = end;
                fits &= end + self.search.items[j as usize].size <= self.height;
            }
        }
        fits && (from..to).all(|section| self.fits(section, last))
    }

    /// Whether what is left in a section fits above the lowest place where it can begin.
    fn fits(&self, section: u32, last: (i64, u32)) -> bool {
        let rest = self.rest[section as usize];
        if rest == 0 {
            return true;
        }
        let room = self.height - rest;
        if room < last.0 {
            return false;
        }
        let items = &self.search.sections[section as usize];
        items.iter().any(|&i| !self.placed[i as usize] && self.offset[i as usize] <= room)
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
