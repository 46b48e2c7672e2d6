//! Fusion: which operations run together as one region.
//!
//! Every operation gets a rank, one more than the highest rank among what it reads from outside its
//! region. Operations of one region have one rank, so a region never reads, over whatever detour, what
//! it computes itself; and two regions of one rank can become one. The walk is forward, each operation
//! tries the regions of its operands and then one that reads the same arrays, so it is linear.
//!
//! Which products are rounded together with a sum is decided before, from the graph alone: such a
//! product always runs in the region of its sum, whatever else is in there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use cotangent_array::DType;
use cotangent_graph::ops::{ArrayOp, Binary};
use cotangent_graph::{Equation, FastMap, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use crate::lane::{self, Fold, Lanes};

/// The most instructions of one region, about.
const MAX_COST: usize = 900;
/// The most arrays that a region reads; more streams than this and the caches of addresses suffer.
const MAX_LOADS: usize = 14;
/// The most arrays that a region reads where all of them together stay in the first cache.
const MAX_SMALL: usize = 48;
/// Elements up to which an array is small in this sense.
const SMALL: usize = 64;
/// The most numbers that a region of single elements reads.
const MAX_NUMBERS: usize = 96;
/// The shortest inner run for which a region is split into runs.
const MIN_RUN: usize = 16;
/// Runs of any length are fine where there are few of them.
const FEW_RUNS: usize = 4;

/// The operands of an operation.
type Operands = SmallVec<[Var; 4]>;

/// The operations of a graph in units that run together.
pub(crate) struct Fusion {
    /// In an order in which everything is computed before it is read.
    pub(crate) units: Vec<Unit>,
}

/// What runs at a time.
pub(crate) enum Unit {
    /// One equation, as it is.
    Single(Var),
    /// A region.
    Region(Group),
}

/// The operations of one region.
#[derive(Clone, Default)]
pub(crate) struct Group {
    rank: u32,
    /// The number of places.
    pub(crate) elements: usize,
    /// The width, once an operation has decided it.
    pub(crate) lanes: Option<Lanes>,
    /// The lengths of inner loops that broadcasts and reductions need, increasing, each dividing the
    /// next.
    pub(crate) cuts: SmallVec<[usize; 4]>,
    /// In increasing order when fusion is done.
    pub(crate) members: Vec<Var>,
    /// What is read from outside; for what is read through strides the broadcast or slice.
    loads: SmallVec<[Var; 8]>,
    /// The broadcasts and slices that are read through strides.
    pub(crate) spread: SmallVec<[Var; 4]>,
    cost: usize,
    folds: usize,
}

/// The most slices of slices that are looked through.
const MAX_SLICES: usize = 4;

/// How an array stands in a space.
pub(crate) struct Pattern {
    /// The array.
    pub(crate) source: Var,
    /// The number of elements before the first.
    pub(crate) start: usize,
    /// From the outermost, length and stride.
    pub(crate) loops: SmallVec<[(usize, usize); 4]>,
}

pub(crate) fn fuse(graph: &Graph, on: bool, fma: bool) -> Fusion {
    let n = graph.equations().len();
    let roots = roots(graph);
    let contracted = if on && fma {
        contracted(graph, &roots)
    } else {
        vec![false; n]
    };
    let mut fuser = Fuser {
        graph,
        roots,
        ranks: vec![0; n],
        group: vec![NONE; n],
        reduced: vec![false; n],
        groups: Vec::new(),
        parents: Vec::new(),
        readers: FastMap::default(),
        contracted,
    };
    for (v, e) in graph.iter() {
        // A product that is part of a sum is placed with it.
        if !fuser.contracted[v.index()] {
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

/// Products of floats that nothing but one sum or difference reads: they are rounded with it. Of two
/// such terms of a sum the first is rounded by itself.
fn contracted(graph: &Graph, roots: &[Var]) -> Vec<bool> {
    let mut reads = vec![0_u32; roots.len()];
    let computing = || graph.equations().iter().filter(|e| !is_view(graph, e));
    for v in computing().flat_map(|e| &e.args).chain(graph.outputs()) {
        let reads = &mut reads[roots[v.index()].index()];
        *reads = reads.saturating_add(1);
    }
    let mut contracted = vec![false; reads.len()];
    for e in computing() {
        let float = e.ty.tensor().is_some_and(|t| t.dtype.is_float());
        if !float || !matches!(e.op, Op::Binary(Binary::Add | Binary::Sub)) {
            continue;
        }
        let product =
            |v: &Var| reads[v.index()] == 1 && graph.equation(*v).op == Op::Binary(Binary::Mul);
        let mut terms = e.args.iter().rev().map(|a| roots[a.index()]);
        if let Some(v) = terms.find(product) {
            contracted[v.index()] = true;
        }
    }
    contracted
}

const NONE: u32 = u32::MAX;

struct Fuser<'a> {
    graph: &'a Graph,
    /// The variable whose memory a view shows; itself for all others.
    roots: Vec<Var>,
    ranks: Vec<u32>,
    group: Vec<u32>,
    /// Whether a member of a group is a reduction, which is known only when the region has run.
    reduced: Vec<bool>,
    groups: Vec<Group>,
    parents: Vec<u32>,
    /// The region that read an array last, by array, places and width.
    readers: FastMap<(Var, usize), u32>,
    /// Products that run in the region of the sum that reads them.
    contracted: Vec<bool>,
}

/// How an operation reads an operand inside a region.
enum Read {
    /// A number that stands everywhere.
    Number,
    /// A value of the region itself.
    Own,
    /// An array from outside, known at this rank.
    Load { key: Var, rank: u32 },
    /// A broadcast or slice of an array that is known at this rank, through strides.
    Spread {
        key: Var,
        rank: u32,
        cuts: SmallVec<[usize; 4]>,
    },
}

impl Fuser<'_> {
    fn equation(&mut self, v: Var, e: &Equation, on: bool) {
        let placed = on && (self.join_pointwise(v, e) || self.join_reduction(v, e));
        if placed {
            return;
        }
        for a in &e.args {
            if self.contracted[a.index()] {
                let ranks = self
                    .graph
                    .equation(*a)
                    .args
                    .iter()
                    .map(|a| self.rank(*a) + 1);
                self.ranks[a.index()] = ranks.max().unwrap_or(0);
            }
        }
        let ranks = e.args.iter().map(|a| self.rank(*a) + 1);
        self.ranks[v.index()] = ranks.max().unwrap_or(0);
    }

    /// The products that run with an operation; those that nothing else reads.
    fn products(&self, e: &Equation) -> SmallVec<[Var; 2]> {
        let roots = e.args.iter().map(|a| self.roots[a.index()]);
        roots.filter(|a| self.contracted[a.index()]).collect()
    }

    /// What an operation reads, with the factors of a product that runs with it in its place.
    fn operands(&self, e: &Equation) -> Operands {
        let mut operands = Operands::new();
        for a in &e.args {
            let root = self.roots[a.index()];
            if self.contracted[root.index()] {
                operands.extend_from_slice(&self.graph.equation(root).args);
            } else {
                operands.push(*a);
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
        let types: SmallVec<[DType; 3]> = e
            .args
            .iter()
            .filter_map(|a| self.graph.ty(*a).tensor().map(|t| t.dtype))
            .collect();
        if !e.op.is_pointwise() || types.len() != e.args.len() {
            return false;
        }
        let Some(lanes) = lane::lanes_of(&e.op, &types, ty.dtype) else {
            return false;
        };
        let elements = ty.shape.elements();
        let operands = self.operands(e);
        let cost = lane::cost(&e.op) + self.products(e).len();
        let mut candidates: SmallVec<[u32; 4]> = SmallVec::new();
        for a in &operands {
            let root = self.roots[a.index()];
            candidates.extend(self.group_of(*a));
            candidates.extend(self.readers.get(&(root, elements)).map(|g| self.find(*g)));
        }
        candidates.sort_unstable_by_key(|g| Reverse((self.groups[*g as usize].rank, *g)));
        candidates.dedup();
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
        for a in self.products(e) {
            self.group[a.index()] = g;
            self.groups[g as usize].members.push(a);
        }
        self.group[v.index()] = g;
        let elements = self.groups[g as usize].elements;
        self.groups[g as usize].members.push(v);
        for a in operands {
            let root = self.roots[a.index()];
            if self.group_of(root) != Some(g) && self.graph.splat(root).is_none() {
                self.readers.insert((root, elements), g);
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
        let mut group = self.groups[g as usize].clone_head();
        if group.elements != elements {
            return None;
        }
        group.lanes = one_width(group.lanes, lanes)?;
        group.cost += cost;
        let mut merged: SmallVec<[u32; 2]> = SmallVec::new();
        for a in operands {
            // A region of the same rank that computes an operand becomes part of this one.
            if let Some(other) = self.group_of(*a)
                && other != g
                && !merged.contains(&other)
                && self.groups[other as usize].rank == group.rank
            {
                let other_group = &self.groups[other as usize];
                if other_group.elements != elements {
                    return None;
                }
                group.lanes = one_width(group.lanes, other_group.lanes)?;
                group.cost += other_group.cost;
                group.folds += other_group.folds;
                add_cuts(&mut group.cuts, &other_group.cuts, elements)?;
                for load in &other_group.loads {
                    add(&mut group.loads, *load);
                }
                for spread in &other_group.spread {
                    add(&mut group.spread, *spread);
                }
                merged.push(other);
            }
        }
        for a in operands {
            let own = self
                .group_of(*a)
                .is_some_and(|o| o == g || merged.contains(&o));
            match self.read(*a, own, &group) {
                Read::Number | Read::Own => {}
                Read::Load { key, rank } if rank < group.rank => add(&mut group.loads, key),
                Read::Spread { key, rank, cuts } if rank < group.rank => {
                    add_cuts(&mut group.cuts, &cuts, elements)?;
                    add(&mut group.loads, key);
                    add(&mut group.spread, key);
                }
                _ => return None,
            }
        }
        let most = match elements {
            1 => MAX_NUMBERS,
            n if n <= SMALL => MAX_SMALL,
            _ => MAX_LOADS,
        };
        if group.cost > MAX_COST || group.loads.len() > most || group.folds > lane::MAX_FOLDS {
            return None;
        }
        // The larger list of members takes in the others.
        let all = || merged.iter().copied().chain([g]);
        let into = all()
            .max_by_key(|g| self.groups[*g as usize].members.len())
            .unwrap_or(g);
        let mut members = std::mem::take(&mut self.groups[into as usize].members);
        for other in all().filter(|g| *g != into) {
            members.append(&mut self.groups[other as usize].members);
            self.parents[other as usize] = into;
        }
        group.members = members;
        self.groups[into as usize] = group;
        Some(into)
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
        if let Some(pattern) = pattern(self.graph, root)
            && !group.loads_whole(root)
        {
            let x = pattern.source;
            let cuts = cuts_of(&pattern);
            let mut joined = group.cuts.clone();
            let short = |cut: &usize| *cut < MIN_RUN && group.elements / cut.max(&1) > FEW_RUNS;
            if add_cuts(&mut joined, &cuts, group.elements).is_some()
                && !joined.first().is_some_and(short)
                && self.graph.splat(self.roots[x.index()]).is_none()
            {
                let rank = self.rank(x);
                return Read::Spread {
                    key: root,
                    rank,
                    cuts,
                };
            }
        }
        Read::Load {
            key: root,
            rank: self.rank(root),
        }
    }

    /// A reduction over all axes or over inner ones joins the region that computes its operand.
    fn join_reduction(&mut self, v: Var, e: &Equation) -> bool {
        let Some((_, axes, x)) = reduction(e) else {
            return false;
        };
        let (Some(g), Some(ty)) = (self.group_of(x), self.graph.ty(x).tensor()) else {
            return false;
        };
        let Some(run) = inner_axes(ty, axes) else {
            return false;
        };
        let dtype = ty.dtype;
        if !(dtype.is_float()
            || (dtype != DType::Bool && matches!(reduction(e), Some((Fold::Sum, ..)))))
        {
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

    /// Units in an order that follows what they read, close to that of the graph.
    fn schedule(mut self) -> Fusion {
        let n = self.graph.equations().len();
        for g in 0..self.groups.len() {
            self.groups[g].members.sort_unstable();
        }
        // The unit of each equation: its own number, or that of its region behind all equations.
        let unit = |s: &Self, v: usize| match s.group[v] {
            NONE => v,
            g => n + s.find(g) as usize,
        };
        let units = n + self.groups.len();
        let mut key: Vec<usize> = vec![0; units];
        let mut edges: Vec<(u32, u32)> = Vec::new();
        for (v, e) in self.graph.iter() {
            let own = unit(&self, v.index());
            key[own] = key[own].max(v.index());
            for a in &e.args {
                // A region reads the memory behind views and broadcasts.
                let mut from = *a;
                if own >= n {
                    from = self.roots[a.index()];
                    let group = &self.groups[own - n];
                    if group.spread.contains(&from)
                        && let Some(pattern) = pattern(self.graph, from)
                    {
                        from = self.roots[pattern.source.index()];
                    }
                }
                let from = unit(&self, from.index());
                if from != own {
                    edges.push((from as u32, own as u32));
                }
            }
        }
        let mut missing = vec![0_u32; units];
        let mut first = vec![0_usize; units + 1];
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
            targets[next[*from as usize]] = *to;
            next[*from as usize] += 1;
        }
        let real = |u: usize, s: &Self| match u.checked_sub(n) {
            Some(g) => !s.groups[g].members.is_empty(),
            None => s.group[u] == NONE,
        };
        let mut ready: BinaryHeap<Reverse<(usize, usize)>> = (0..units)
            .filter(|u| missing[*u] == 0 && real(*u, &self))
            .map(|u| Reverse((key[u], u)))
            .collect();
        let mut order = Vec::with_capacity(n);
        while let Some(Reverse((_, u))) = ready.pop() {
            for to in &targets[first[u]..first[u + 1]] {
                let left = &mut missing[*to as usize];
                *left -= 1;
                if *left == 0 {
                    ready.push(Reverse((key[*to as usize], *to as usize)));
                }
            }
            order.push(match u.checked_sub(n) {
                Some(g) => Unit::Region(std::mem::take(&mut self.groups[g])),
                None => Unit::Single(Var::from_index(u)),
            });
        }
        Fusion { units: order }
    }
}

impl Group {
    /// A copy without the members.
    fn clone_head(&self) -> Group {
        Group {
            rank: self.rank,
            elements: self.elements,
            lanes: self.lanes,
            cuts: self.cuts.clone(),
            members: Vec::new(),
            loads: self.loads.clone(),
            spread: self.spread.clone(),
            cost: self.cost,
            folds: self.folds,
        }
    }

    /// Whether the array is read element by element although it is a broadcast.
    fn loads_whole(&self, v: Var) -> bool {
        self.loads.contains(&v) && !self.spread.contains(&v)
    }
}

/// Whether the result is the operand's memory under another shape.
pub(crate) fn is_view(graph: &Graph, e: &Equation) -> bool {
    match &e.op {
        Op::Array(ArrayOp::Reshape(_)) => true,
        Op::Array(ArrayOp::Broadcast(_)) => e.args.first().is_some_and(|x| {
            let (x, out) = (graph.ty(*x).tensor(), e.ty.tensor());
            x.map(|t| t.shape.elements()) == out.map(|t| t.shape.elements())
        }),
        _ => false,
    }
}

/// The reduction that an equation is, as regions know it: what it joins by, its axes, its operand.
pub(crate) fn reduction(e: &Equation) -> Option<(Fold, &[usize], Var)> {
    let x = *e.args.first()?;
    match &e.op {
        Op::Array(ArrayOp::Sum(op)) => Some((Fold::Sum, &op.axes, x)),
        Op::Array(ArrayOp::Prod(op)) => Some((Fold::Prod, &op.axes, x)),
        Op::Array(ArrayOp::Max(op)) => Some((Fold::Max, &op.axes, x)),
        Op::Array(ArrayOp::Min(op)) => Some((Fold::Min, &op.axes, x)),
        _ => None,
    }
}

/// The number of elements along the axes, if those are the last ones but for axes of length 1.
pub(crate) fn inner_axes(ty: &TensorType, axes: &[usize]) -> Option<usize> {
    let mut run = 1_usize;
    let mut outside = false;
    for (axis, n) in ty.shape.iter().enumerate().rev() {
        if *n == 1 {
            continue;
        }
        if axes.contains(&axis) {
            if outside {
                return None;
            }
            run = run.checked_mul(*n)?;
        } else {
            outside = true;
        }
    }
    Some(run)
}

/// How the operand of a broadcast or of a slice stands in the space of the result; `None` for all
/// else, where there are no elements, and where those of the inner run lie apart. A slice whose elements lie side by side is
/// looked through: it is its operand, further on.
pub(crate) fn pattern(graph: &Graph, v: Var) -> Option<Pattern> {
    let mut pattern = own_pattern(graph, v)?;
    for _ in 0..MAX_SLICES {
        let mut root = pattern.source;
        while let Some(x) = viewed(graph, root) {
            root = x;
        }
        match own_pattern(graph, root) {
            Some(Pattern {
                source,
                start,
                loops,
            }) if is_slice(graph, root) && matches!(loops[..], [] | [(_, 1)]) => {
                pattern.source = source;
                pattern.start = pattern.start.checked_add(start)?;
            }
            _ => break,
        }
    }
    Some(pattern)
}

fn is_slice(graph: &Graph, v: Var) -> bool {
    matches!(graph.equation(v).op, Op::Array(ArrayOp::Slice(_)))
}

/// What a view shows.
fn viewed(graph: &Graph, v: Var) -> Option<Var> {
    let e = graph.equation(v);
    let x = e.args.first().copied();
    x.filter(|_| is_view(graph, e))
}

fn own_pattern(graph: &Graph, v: Var) -> Option<Pattern> {
    let e = graph.equation(v);
    let source = *e.args.first()?;
    let (shape, x) = (&e.ty.tensor()?.shape, graph.ty(source).tensor()?);
    // Of an array without elements there is nothing to read.
    if shape.elements() == 0 {
        return None;
    }
    let mut start = 0_usize;
    let mut strides: SmallVec<[usize; 6]> = SmallVec::from_elem(0, shape.rank());
    match &e.op {
        Op::Array(ArrayOp::Broadcast(op)) => {
            for (dim, stride) in op.dims.iter().zip(x.shape.strides()) {
                *strides.get_mut(*dim)? = stride;
            }
        }
        Op::Array(ArrayOp::Slice(op)) => {
            for (axis, stride) in x.shape.strides().into_iter().enumerate() {
                start = start.checked_add(op.start.get(axis)?.checked_mul(stride)?)?;
                *strides.get_mut(axis)? = op.stride.get(axis)?.checked_mul(stride)?;
            }
        }
        _ => return None,
    }
    let mut loops: SmallVec<[(usize, usize); 4]> = SmallVec::new();
    for (n, stride) in shape.iter().zip(strides) {
        match loops.last_mut() {
            _ if *n == 1 => {}
            // An outer loop whose turns follow one another in the inner one is the same loop.
            Some((outer, step)) if *step == stride.saturating_mul(*n) => {
                *outer = outer.saturating_mul(*n);
                *step = stride;
            }
            _ => loops.push((*n, stride)),
        }
    }
    let side_by_side = loops.last().is_none_or(|(_, step)| *step <= 1);
    side_by_side.then_some(Pattern {
        source,
        start,
        loops,
    })
}

/// The lengths of the inner loops of a pattern.
fn cuts_of(pattern: &Pattern) -> SmallVec<[usize; 4]> {
    let mut run = 1_usize;
    let mut cuts = SmallVec::new();
    for (n, _) in pattern.loops.iter().skip(1).rev() {
        run = run.saturating_mul(*n);
        cuts.push(run);
    }
    cuts
}

/// Adds lengths of inner loops; `None` where loops would not nest or there would be too many.
fn add_cuts(cuts: &mut SmallVec<[usize; 4]>, new: &[usize], elements: usize) -> Option<()> {
    for cut in new {
        if !cuts.contains(cut) && *cut > 1 && *cut < elements {
            cuts.push(*cut);
        }
    }
    cuts.sort_unstable();
    let nests = cuts.windows(2).all(|pair| pair[1].is_multiple_of(pair[0]));
    let last = cuts.last().is_none_or(|cut| elements.is_multiple_of(*cut));
    (nests && last && cuts.len() <= 3).then_some(())
}

fn one_width(a: Option<Lanes>, b: Option<Lanes>) -> Option<Option<Lanes>> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => None,
        (a, b) => Some(a.or(b)),
    }
}

fn add<A: smallvec::Array<Item = Var>>(list: &mut SmallVec<A>, v: Var) {
    if !list.contains(&v) {
        list.push(v);
    }
}
