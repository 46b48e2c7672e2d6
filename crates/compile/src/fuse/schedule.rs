//! The order in which units run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use cotangent_graph::Var;

use super::{Fuser, Fusion, NONE, Unit};

impl Fuser<'_> {
    /// Units in an order that follows what they read, close to that of the graph.
    pub(super) fn schedule(mut self) -> Fusion {
        let n = self.graph.equations().len();
        for g in 0..self.groups.len() {
            self.groups[g].members.sort_unstable();
            // What runs anew for its readers was met once for each.
            self.groups[g].members.dedup();
        }
        // The unit of each equation: its own number, or that of its region behind all equations.
        let unit = |s: &Self, v: usize| match s.group[v] {
            NONE => v,
            g => n + s.find(g) as usize,
        };
        let units = n + self.groups.len();
        let mut key: Vec<u32> = vec![0; units];
        let mut edges: Vec<(u32, u32)> = Vec::with_capacity(2 * n);
        for (v, e) in self.graph.iter().filter(|(v, _)| self.is_run(*v)) {
            let own = unit(&self, v.index());
            key[own] = key[own].max(v.index() as u32);
            for a in &e.args {
                // A region reads the memory behind views and broadcasts.
                let (mut from, mut index) = (*a, None);
                if own >= n {
                    from = self.roots[a.index()];
                    if self.anew[from.index()] {
                        continue;
                    }
                    let group = &self.groups[own - n];
                    if let Some(pattern) = self.patterns.get(from)
                        && group.is_spread(from)
                    {
                        from = self.roots[pattern.source.index()];
                        index = pattern.chosen.map(|c| self.roots[c.index.index()]);
                    }
                }
                for from in [from].into_iter().chain(index) {
                    let from = unit(&self, from.index());
                    if from != own {
                        edges.push((from as u32, own as u32));
                    }
                }
            }
        }
        for (g, group) in self.groups.iter().enumerate() {
            let anew = |v: &&Var| self.anew[v.index()];
            for v in group.members.iter().filter(anew) {
                let args = self.graph.equation(*v).args.iter();
                for from in args.filter(|a| !anew(a)) {
                    edges.push((unit(&self, from.index()) as u32, (n + g) as u32));
                }
            }
        }
        let mut missing = vec![0_u32; units];
        let mut first = vec![0_u32; units + 1];
        for (from, to) in &edges {
            missing[*to as usize] += 1;
            first[*from as usize + 1] += 1;
        }
        for i in 0..units {
            first[i + 1] += first[i];
        }
        let mut targets = vec![0_u32; edges.len()];
        let mut next = first.clone();
        for (from, to) in &edges {
            targets[next[*from as usize] as usize] = *to;
            next[*from as usize] += 1;
        }
        let real = |u: usize, s: &Self| match u.checked_sub(n) {
            Some(g) => !s.groups[g].members.is_empty(),
            None => s.group[u] == NONE && s.is_run(Var::from_index(u)),
        };
        let mut ready: BinaryHeap<Reverse<(u32, u32)>> = (0..units)
            .filter(|u| missing[*u] == 0 && real(*u, &self))
            .map(|u| Reverse((key[u], u as u32)))
            .collect();
        let mut order = Vec::with_capacity(n);
        while let Some(Reverse((_, u))) = ready.pop() {
            let u = u as usize;
            for to in &targets[first[u] as usize..first[u + 1] as usize] {
                let left = &mut missing[*to as usize];
                *left -= 1;
                if *left == 0 {
                    ready.push(Reverse((key[*to as usize], *to)));
                }
            }
            order.push(match u.checked_sub(n) {
                Some(g) => Unit::Region(Box::new(std::mem::take(&mut self.groups[g]))),
                None => Unit::Single(Var::from_index(u)),
            });
        }
        Fusion {
            units: order,
            patterns: self.patterns,
            roots: self.roots,
            anew: self.anew,
        }
    }

    /// Whether a variable is of a unit: what runs anew for all that read it is not.
    fn is_run(&self, v: Var) -> bool {
        !self.anew[v.index()] || self.stored[v.index()]
    }
}
