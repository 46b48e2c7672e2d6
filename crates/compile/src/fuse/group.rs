//! The operations of one region, while it grows: what it reads, how its loops are cut.

use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Checkpoint, Equation, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use crate::lane::{Fold, Lanes};

/// The most instructions of one region, about.
pub(super) const MAX_COST: usize = 3000;
/// The most arrays that a region reads; more streams than this and the caches of addresses suffer.
pub(super) const MAX_LOADS: usize = 14;
/// The most arrays that a region reads where each has few elements: steps of their own would cost more.
pub(super) const MAX_SMALL: usize = 192;
/// Elements up to which an array is small in this sense.
pub(crate) const SMALL: usize = 64;
/// The most numbers that a region of single elements reads.
pub(super) const MAX_NUMBERS: usize = 24;
/// The shortest inner run for which a region is split into runs.
pub(super) const MIN_RUN: usize = 16;
/// The most sums over outer loops that are open at a time: half of a second cache.
const MAX_SUMS: usize = 1 << 15;
/// The most columns that are put side by side.
const MAX_COLUMNS: usize = 64;
/// Runs of any length are fine where there are few of them.
pub(super) const FEW_RUNS: usize = 4;

/// The operations of one region.
#[derive(Default)]
pub(crate) struct Group {
    pub(super) rank: u32,
    /// The checkpoints around all of its operations, so that a region that runs again does nothing else,
    /// and what only the way back reads need not run on the way there.
    pub(crate) checkpoint: Checkpoint,
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
    pub(super) loads: SmallVec<[Var; 8]>,
    /// The broadcasts and slices that are read through strides.
    pub(crate) spread: SmallVec<[Var; 4]>,
    /// The arrays in memory behind all that is read.
    pub(super) sources: SmallVec<[Var; 8]>,
    /// The length of the inner run, where a padded read asks for it.
    pub(super) run: Option<usize>,
    pub(super) cost: usize,
    pub(super) folds: usize,
}

/// How large a region was.
pub(super) struct Extent {
    lanes: Option<Lanes>,
    cuts: SmallVec<[usize; 4]>,
    /// The lengths of the lists of what it reads.
    lists: [usize; 3],
    run: Option<usize>,
    cost: usize,
    folds: usize,
}

impl Group {
    /// A region of the same rank and places with nothing in it.
    pub(super) fn empty(&self) -> Group {
        Group {
            rank: self.rank,
            checkpoint: self.checkpoint,
            elements: self.elements,
            ..Group::default()
        }
    }

    /// How large the region is, for [`Group::cut_back`].
    pub(super) fn extent(&self) -> Extent {
        Extent {
            lanes: self.lanes,
            cuts: self.cuts.clone(),
            lists: [self.loads.len(), self.spread.len(), self.sources.len()],
            run: self.run,
            cost: self.cost,
            folds: self.folds,
        }
    }

    /// Forgets what has been added since, members apart.
    pub(super) fn cut_back(&mut self, to: Extent) {
        let [loads, spread, sources] = to.lists;
        self.loads.truncate(loads);
        self.spread.truncate(spread);
        self.sources.truncate(sources);
        (self.lanes, self.cuts, self.run) = (to.lanes, to.cuts, to.run);
        (self.cost, self.folds) = (to.cost, to.folds);
    }

    /// Whether the inner run has the length that padded reads ask for.
    pub(super) fn runs_fit(&self) -> bool {
        let run = self.cuts.first().copied().unwrap_or(self.elements);
        self.run.is_none_or(|n| n == run)
    }

    /// The number of arrays that are read from outside, without those of indices.
    pub(crate) fn reads(&self) -> usize {
        self.loads.len()
    }

    /// Whether the variable is read through strides.
    pub(crate) fn is_spread(&self, v: Var) -> bool {
        holds(&self.spread, v)
    }

    /// Whether the array is read element by element although it is a broadcast.
    pub(super) fn loads_whole(&self, v: Var) -> bool {
        holds(&self.loads, v) && !holds(&self.spread, v)
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

/// Whether an equation puts vectors side by side as columns, element by element: a concatenation of
/// pieces that have one element each from its axis on.
pub(crate) fn is_stack(graph: &Graph, e: &Equation) -> bool {
    let Op::Array(ArrayOp::Concat(op)) = &e.op else {
        return false;
    };
    let single = |t: &TensorType| {
        let last = t.shape.get(op.axis..);
        t.shape.elements() > 1 && last.is_some_and(|dims| dims.iter().all(|n| *n == 1))
    };
    (2..=MAX_COLUMNS).contains(&e.args.len())
        && e.args
            .iter()
            .all(|a| graph.ty(*a).tensor().is_some_and(single))
}

/// The number of elements beside the axes, if those are the first ones but for axes of length 1, there
/// are several elements along them and beside them, and few enough beside them.
pub(crate) fn leading_axes(ty: &TensorType, axes: &[usize]) -> Option<usize> {
    let (mut outer, mut run) = (1_usize, 1_usize);
    for (axis, n) in ty.shape.iter().enumerate().filter(|(_, n)| **n != 1) {
        match axes.contains(&axis) {
            true if run > 1 => return None,
            true => outer = outer.checked_mul(*n)?,
            false => run = run.checked_mul(*n)?,
        }
    }
    (outer > 1 && (2..=MAX_SUMS).contains(&run)).then_some(run)
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

/// Adds lengths of inner loops; `None` where loops would not nest or there would be too many.
pub(super) fn add_cuts(
    cuts: &mut SmallVec<[usize; 4]>,
    new: &[usize],
    elements: usize,
) -> Option<()> {
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

pub(super) fn one_width(a: Option<Lanes>, b: Option<Lanes>) -> Option<Option<Lanes>> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => None,
        (a, b) => Some(a.or(b)),
    }
}

pub(super) fn add<A: smallvec::Array<Item = Var>>(list: &mut SmallVec<A>, v: Var) {
    if !holds(list, v) {
        list.push(v);
    }
}

/// Whether a variable is in a list. Regions of numbers read a hundred of them and ask this for each
/// anew, so several are compared at a time: within a chunk nothing depends on what was found.
pub(super) fn holds(list: &[Var], v: Var) -> bool {
    list.chunks(32)
        .any(|chunk| chunk.iter().fold(false, |found, x| found | (*x == v)))
}
