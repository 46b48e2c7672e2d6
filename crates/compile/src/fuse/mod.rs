//! Fusion: which operations run together as one region.
//!
//! Every operation gets a rank, one more than the highest rank among what it reads from outside its
//! region. Operations of one region have one rank, so a region never reads, over whatever detour, what
//! it computes itself; and two regions of one rank can become one. The walk is forward, each operation
//! tries the regions of its operands and then one that reads the same arrays, so it is linear.
//!
//! Some operations run with the one that reads them, whatever else is in its region ([`riders`]): the
//! products that are rounded together with a sum, and cheap results that would otherwise be stored
//! although they can be had from what is stored anyway. Both are decided before, from the graph alone.

mod anew;
mod group;
mod growing;
mod pattern;
mod riders;
mod schedule;

use std::cmp::Reverse;

use cotangent_array::DType;
use cotangent_graph::{Equation, FastMap, Graph, Var};
use smallvec::SmallVec;

use self::group::{FEW_RUNS, MAX_COST, MAX_LOADS, MAX_NUMBERS, MAX_SMALL, MIN_RUN};
pub(crate) use self::group::{Group, SMALL, inner_axes, is_stack, leading_axes, reduction};
use self::group::{add, add_cuts, one_width};
use self::pattern::cuts_of;
pub(crate) use self::pattern::{Pattern, Patterns, is_view};
use self::riders::Riders;
pub(crate) use self::riders::is_cheap;
use crate::lane::{self, Fold, Lanes};

/// The operands of an operation.
type Operands = SmallVec<[Var; 4]>;

/// The operations of a graph in units that run together.
pub(crate) struct Fusion {
    /// In an order in which everything is computed before it is read.
    pub(crate) units: Vec<Unit>,
    /// What regions read through strides.
    pub(crate) patterns: Patterns,
    /// The variable whose memory each shows; itself for all that are no views.
    pub(crate) roots: Vec<Var>,
    /// Members of several regions, which store nothing of them.
    pub(crate) anew: Vec<bool>,
}

/// What runs at a time.
pub(crate) enum Unit {
    /// One equation, as it is.
    Single(Var),
    /// A region.
    Region(Box<Group>),
}

pub(crate) fn fuse(graph: &Graph, on: bool, fma: bool) -> Fusion {
    let n = graph.equations().len();
    let roots = roots(graph);
    let patterns = Patterns::of(graph);
    let Riders { rides, anew } = match on {
        true => riders::riders(graph, &roots, &patterns, fma),
        false => Riders {
            rides: vec![false; n],
            anew: vec![false; n],
        },
    };
    let cut = riders::cut_out(graph, &roots);
    let mut fuser = Fuser {
        graph,
        patterns,
        roots,
        ranks: vec![0; n],
        group: vec![NONE; n],
        reduced: vec![false; n],
        groups: Vec::new(),
        parents: Vec::new(),
        readers: Readers::new(n),
        rides,
        anew,
        stored: vec![false; n],
        cut,
    };
    for (v, e) in graph.iter() {
        // Riders are placed with what reads them.
        if !fuser.rides[v.index()] {
            fuser.equation(v, e, on);
        }
    }
    fuser.schedule()
}

/// The variable whose memory each shows; itself for all that are no views.
fn roots(graph: &Graph) -> Vec<Var> {
    let mut roots: Vec<Var> = Vec::with_capacity(graph.equations().len());
    for (v, e) in graph.iter() {
        roots.push(match e.args.first() {
            Some(x) if is_view(graph, e) => roots[x.index()],
            _ => v,
        });
    }
    roots
}

const NONE: u32 = u32::MAX;

struct Fuser<'a> {
    graph: &'a Graph,
    patterns: Patterns,
    /// The variable whose memory a view shows; itself for all others.
    roots: Vec<Var>,
    ranks: Vec<u32>,
    group: Vec<u32>,
    /// Whether a member of a group is a reduction, which is known only when the region has run.
    reduced: Vec<bool>,
    groups: Vec<Group>,
    parents: Vec<u32>,
    readers: Readers,
    /// Operations that run in the region of the one that reads them.
    rides: Vec<bool>,
    /// Those of them that run in the regions of several: these have no region of their own.
    anew: Vec<bool>,
    /// Those of these that run by themselves, too, since some reader is in no region.
    stored: Vec<bool>,
    /// Slices that are stored whoever reads them.
    cut: Vec<bool>,
}

/// The region that read an array last, by array and places.
struct Readers {
    /// For each array the first number of places, which mostly is the only one.
    first: Vec<(usize, u32)>,
    others: FastMap<(Var, usize), u32>,
}

impl Readers {
    fn new(n: usize) -> Readers {
        Readers {
            first: vec![(0, NONE); n],
            others: FastMap::default(),
        }
    }

    fn get(&self, v: Var, elements: usize) -> Option<u32> {
        match self.first[v.index()] {
            (_, NONE) => None,
            (own, g) if own == elements => Some(g),
            _ => self.others.get(&(v, elements)).copied(),
        }
    }

    fn insert(&mut self, v: Var, elements: usize, g: u32) {
        let first = &mut self.first[v.index()];
        if first.1 == NONE || first.0 == elements {
            *first = (elements, g);
        } else {
            self.others.insert((v, elements), g);
        }
    }
}

/// How an operation reads an operand inside a region.
enum Read {
    /// A number that stands everywhere.
    Number,
    /// A value of the region itself.
    Own,
    /// An array from outside, known at this rank.
    Load { key: Var, rank: u32 },
    /// A broadcast, slice or choice of an array that is known at this rank, through strides.
    Spread {
        key: Var,
        source: Var,
        rank: u32,
        run: Option<usize>,
        cuts: SmallVec<[usize; 4]>,
    },
}

impl Fuser<'_> {
    fn equation(&mut self, v: Var, e: &Equation, on: bool) {
        let placed =
            on && (self.join_pointwise(v, e) || self.join_reduction(v, e) || self.join_stack(v, e));
        if placed {
            return;
        }
        for a in self.riders(e) {
            self.ranks[a.index()] = self.rank_behind(a);
            self.stored[a.index()] = true;
        }
        self.ranks[v.index()] = self.rank_behind(v);
    }

    /// The rank of an operation by itself, from what it reads.
    fn rank_behind(&self, v: Var) -> u32 {
        let args = &self.graph.equation(v).args;
        args.iter().map(|a| self.rank(*a) + 1).max().unwrap_or(0)
    }

    fn has_riders(&self, e: &Equation) -> bool {
        let mut roots = e.args.iter().map(|a| self.roots[a.index()]);
        roots.any(|root| self.rides[root.index()])
    }

    /// The operations that run with this one, each after those that it reads.
    fn riders(&self, e: &Equation) -> SmallVec<[Var; 4]> {
        let (mut riders, mut next) = (SmallVec::new(), 0);
        if !self.has_riders(e) {
            return riders;
        }
        let of = |e: &Equation, riders: &mut SmallVec<[Var; 4]>| {
            let roots = e.args.iter().map(|a| self.roots[a.index()]);
            riders.extend(roots.filter(|a| self.rides[a.index()]));
        };
        of(e, &mut riders);
        while let Some(v) = riders.get(next).copied() {
            of(self.graph.equation(v), &mut riders);
            next += 1;
        }
        riders.sort_unstable();
        riders.dedup();
        riders
    }

    /// What an operation and its riders read from elsewhere.
    fn operands(&self, e: &Equation) -> Operands {
        if !self.has_riders(e) {
            return Operands::from_slice(&e.args);
        }
        let mut operands = Operands::new();
        let mut work: SmallVec<[Var; 8]> = e.args.iter().rev().copied().collect();
        while let Some(v) = work.pop() {
            let root = self.roots[v.index()];
            if self.rides[root.index()] {
                work.extend(self.graph.equation(root).args.iter().rev().copied());
            } else {
                operands.push(v);
            }
        }
        operands
    }

    /// The rank at which a variable is known.
    fn rank(&self, v: Var) -> u32 {
        match self.group[self.roots[v.index()].index()] {
            NONE => self.ranks[v.index()],
            g => self.groups[self.find(g) as usize].rank,
        }
    }

    fn find(&self, mut g: u32) -> u32 {
        while self.parents[g as usize] != g {
            g = self.parents[g as usize];
        }
        g
    }

    fn group_of(&self, v: Var) -> Option<u32> {
        let root = self.roots[v.index()].index();
        match self.group[root] {
            NONE => None,
            _ if self.reduced[root] => None,
            g => Some(self.find(g)),
        }
    }

    fn join_pointwise(&mut self, v: Var, e: &Equation) -> bool {
        let Some(ty) = e.ty.tensor() else {
            return false;
        };
        if !e.op.is_pointwise() {
            return false;
        }
        let mut types: SmallVec<[DType; 3]> = SmallVec::new();
        for a in &e.args {
            match self.graph.ty(*a).tensor() {
                Some(ty) => types.push(ty.dtype),
                None => return false,
            }
        }
        let Some(lanes) = lane::lanes_of(&e.op, &types, ty.dtype) else {
            return false;
        };
        let elements = ty.shape.elements();
        let cost = lane::cost(&e.op) + self.riders(e).len();
        self.join(v, e, cost, elements, lanes)
    }

    /// Columns that are put side by side are written by the region that computes them.
    fn join_stack(&mut self, v: Var, e: &Equation) -> bool {
        let (Some(ty), true) = (e.ty.tensor(), is_stack(self.graph, e)) else {
            return false;
        };
        let Some(lanes) = lane::lanes_of_moves(ty.dtype) else {
            return false;
        };
        let placed = self.join(
            v,
            e,
            e.args.len(),
            ty.shape.elements() / e.args.len(),
            lanes,
        );
        self.reduced[v.index()] = placed;
        placed
    }

    fn join(
        &mut self,
        v: Var,
        e: &Equation,
        cost: usize,
        elements: usize,
        lanes: Option<Lanes>,
    ) -> bool {
        let operands = self.operands(e);
        let mut candidates: SmallVec<[u32; 8]> = SmallVec::new();
        for a in &operands {
            let root = self.roots[a.index()];
            if let Some(g) = self.group_of(*a) {
                candidates.push(g);
            }
            if let Some(g) = self.readers.get(root, elements) {
                candidates.push(self.find(g));
            }
        }
        candidates.sort_unstable_by_key(|g| Reverse((self.groups[*g as usize].rank, *g)));
        candidates.dedup();
        candidates.retain(|g| self.groups[*g as usize].checkpoint == e.checkpoint);
        for g in candidates {
            if let Some(joined) = self.fit(g, &operands, cost, elements, lanes) {
                self.enter(joined, v, e, &operands);
                return true;
            }
        }
        // A region of its own, after everything that it reads.
        let ranks = operands.iter().map(|a| self.rank(*a) + 1);
        let rank = ranks.max().unwrap_or(0);
        let g = self.groups.len() as u32;
        self.groups.push(Group {
            rank,
            checkpoint: e.checkpoint,
            elements,
            ..Group::default()
        });
        self.parents.push(g);
        match self.fit(g, &operands, cost, elements, lanes) {
            Some(joined) => {
                self.enter(joined, v, e, &operands);
                true
            }
            None => {
                self.groups.pop();
                self.parents.pop();
                false
            }
        }
    }

    fn enter(&mut self, g: u32, v: Var, e: &Equation, operands: &[Var]) {
        for a in self.riders(e) {
            if !self.anew[a.index()] {
                self.group[a.index()] = g;
            }
            self.groups[g as usize].members.push(a);
        }
        self.group[v.index()] = g;
        let elements = self.groups[g as usize].elements;
        self.groups[g as usize].members.push(v);
        for a in operands {
            let root = self.roots[a.index()];
            if self.group_of(root) != Some(g) && self.graph.splat(root).is_none() {
                self.readers.insert(root, elements, g);
            }
        }
    }

    /// Makes room for an operation in a region, which may take in others of its rank; the region
    /// that it became, or `None`, and then nothing has changed.
    fn fit(
        &mut self,
        g: u32,
        operands: &[Var],
        cost: usize,
        elements: usize,
        lanes: Option<Lanes>,
    ) -> Option<u32> {
        let own = &self.groups[g as usize];
        let wide = one_width(own.lanes, lanes).is_none();
        if own.elements != elements || own.cost + cost > MAX_COST || wide {
            return None;
        }
        // What reads nothing but the region itself and numbers adds nothing to what it reads.
        let inside = operands.iter().all(|a| {
            let number = || self.graph.splat(self.roots[a.index()]).is_some();
            self.group_of(*a) == Some(g) || number()
        });
        if inside {
            let own = &mut self.groups[g as usize];
            own.lanes = own.lanes.or(lanes);
            own.cost += cost;
            return Some(g);
        }
        // The region grows where it stands and is cut back if something does not fit: copies of its
        // lists would take more time than all the rest.
        let (before, place) = (own.extent(), own.empty());
        let mut group = std::mem::replace(&mut self.groups[g as usize], place);
        let Some(merged) = self.grow(g, &mut group, operands, cost, lanes) else {
            group.cut_back(before);
            self.groups[g as usize] = group;
            return None;
        };
        // The larger list of members takes in the others.
        let (mut into, mut most) = (g, group.members.len());
        for other in &merged {
            let count = self.groups[*other as usize].members.len();
            if count > most {
                (into, most) = (*other, count);
            }
        }
        let mut members = std::mem::take(&mut group.members);
        if into != g {
            std::mem::swap(&mut members, &mut self.groups[into as usize].members);
            members.append(&mut self.groups[into as usize].members);
        }
        for other in merged.iter().chain([&g]).filter(|other| **other != into) {
            members.append(&mut self.groups[*other as usize].members);
            self.parents[*other as usize] = into;
        }
        group.members = members;
        self.groups[into as usize] = group;
        Some(into)
    }

    /// Adds to a region what an operation reads and the regions of its rank that compute that; those,
    /// or `None` where it does not fit. The members stay apart.
    fn grow(
        &self,
        g: u32,
        group: &mut Group,
        operands: &[Var],
        cost: usize,
        lanes: Option<Lanes>,
    ) -> Option<SmallVec<[u32; 2]>> {
        let elements = group.elements;
        group.lanes = one_width(group.lanes, lanes)?;
        group.cost += cost;
        let mut merged: SmallVec<[u32; 2]> = SmallVec::new();
        for a in operands {
            // A region of the same rank that computes an operand becomes part of this one.
            if let Some(other) = self.group_of(*a)
                && other != g
                && !merged.contains(&other)
                && self.groups[other as usize].rank == group.rank
                && self.groups[other as usize].checkpoint == group.checkpoint
            {
                let other_group = &self.groups[other as usize];
                if other_group.elements != elements {
                    return None;
                }
                group.lanes = one_width(group.lanes, other_group.lanes)?;
                match (group.run, other_group.run) {
                    (Some(a), Some(b)) if a != b => return None,
                    (a, b) => group.run = a.or(b),
                }
                group.cost += other_group.cost;
                group.folds += other_group.folds;
                if group.cost > MAX_COST {
                    return None;
                }
                add_cuts(&mut group.cuts, &other_group.cuts, elements)?;
                for load in &other_group.loads {
                    add(&mut group.loads, *load);
                }
                for spread in &other_group.spread {
                    add(&mut group.spread, *spread);
                }
                for source in &other_group.sources {
                    add(&mut group.sources, *source);
                }
                merged.push(other);
            }
        }
        for a in operands {
            let own = self
                .group_of(*a)
                .is_some_and(|o| o == g || merged.contains(&o));
            match self.read(*a, own, group) {
                Read::Number | Read::Own => {}
                Read::Load { key, rank } if rank < group.rank => {
                    add(&mut group.loads, key);
                    add(&mut group.sources, key);
                }
                Read::Spread {
                    key,
                    source,
                    rank,
                    run,
                    cuts,
                } if rank < group.rank => {
                    if run.is_some() && group.run.is_some_and(|n| Some(n) != run) {
                        return None;
                    }
                    group.run = run.or(group.run);
                    add_cuts(&mut group.cuts, &cuts, elements)?;
                    add(&mut group.loads, key);
                    add(&mut group.spread, key);
                    add(&mut group.sources, source);
                }
                _ => return None,
            }
        }
        let most = match elements {
            1 => MAX_NUMBERS,
            n if n <= SMALL => MAX_SMALL,
            _ => MAX_LOADS,
        };
        let fits =
            group.runs_fit() && group.sources.len() <= most && group.folds <= lane::MAX_FOLDS;
        fits.then_some(merged)
    }

    fn read(&self, v: Var, own: bool, group: &Group) -> Read {
        let root = self.roots[v.index()];
        let e = self.graph.equation(root);
        if own {
            return Read::Own;
        }
        if e.op.splat().is_some() {
            return Read::Number;
        }
        if let Some(pattern) = self.patterns.get(root)
            && !group.loads_whole(root)
            && !self.cut[root.index()]
        {
            let x = pattern.source;
            let cuts = cuts_of(pattern);
            let mut joined = group.cuts.clone();
            let short = |cut: &usize| *cut < MIN_RUN && group.elements / cut.max(&1) > FEW_RUNS;
            if add_cuts(&mut joined, &cuts, group.elements).is_some()
                && !joined.first().is_some_and(short)
                && self.graph.splat(self.roots[x.index()]).is_none()
            {
                let index = pattern.chosen.map_or(0, |c| self.rank(c.index));
                return Read::Spread {
                    key: root,
                    source: self.roots[x.index()],
                    rank: self.rank(x).max(index),
                    run: pattern.pad.and(pattern.loops.last().map(|(n, _)| *n)),
                    cuts,
                };
            }
        }
        Read::Load {
            key: root,
            rank: self.rank(root),
        }
    }

    /// A reduction over all axes or over inner ones, or a sum over outer ones, joins the region that computes its operand.
    fn join_reduction(&mut self, v: Var, e: &Equation) -> bool {
        let Some((_, axes, x)) = reduction(e) else {
            return false;
        };
        let (Some(g), Some(ty)) = (self.group_of(x), self.graph.ty(x).tensor()) else {
            return false;
        };
        let sum = matches!(reduction(e), Some((Fold::Sum, ..)));
        let leading = leading_axes(ty, axes).filter(|_| sum);
        let Some(run) = leading.or(inner_axes(ty, axes)) else {
            return false;
        };
        if self.groups[g as usize].checkpoint != e.checkpoint {
            return false;
        }
        let dtype = ty.dtype;
        if !(dtype.is_float() || (dtype != DType::Bool && sum)) {
            return false;
        }
        let group = &mut self.groups[g as usize];
        let mut cuts = group.cuts.clone();
        let whole = run == group.elements;
        let short = |cut: &usize| *cut < MIN_RUN && group.elements / cut.max(&1) > FEW_RUNS;
        if run <= 1
            || group.elements <= 1
            || group.folds == lane::MAX_FOLDS
            || (!whole && add_cuts(&mut cuts, &[run], group.elements).is_none())
            || (group.run.is_some() && cuts.first() != group.cuts.first())
            || cuts.first().is_some_and(short)
        {
            return false;
        }
        group.cuts = cuts;
        group.folds += 1;
        group.members.push(v);
        self.group[v.index()] = g;
        self.reduced[v.index()] = true;
        true
    }
}
