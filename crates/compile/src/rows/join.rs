//! Finds the regions and products that become row blocks.
//!
//! A block begins with a reduction along rows, or with the product of a matrix with a vector, or of many rows with
//! matrices. Steps behind it join while they go over the same rows: they read rows that the block has written or
//! reads anyway, each no other row than its own. What stands between and needs nothing of the block runs before it,
//! what needs its results behind.

use std::collections::VecDeque;
use std::sync::Arc;

use cotangent_array::DType;
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{FastMap, Op, TensorType};
use smallvec::{SmallVec, smallvec};

use super::anew;
use super::made::Made;
use super::{RowBlock, RowMatrix, RowPlace, RowProduct, RowStage, RowWork};
use crate::fuse::inner_axes;
use crate::lane::{Fold, LEAF, LaneInput, LaneOutput, LaneProgram, Lanes};
use crate::plan::{Key, Operand, Place, Step, StepOp, key};

/// The most bytes of a row of one array.
pub(super) const LONGEST_ROW: usize = 32 << 10;
/// The most steps beside one another that do not join; behind them what a block keeps would wait.
const WINDOW: usize = 12;
/// The most regions of a block.
const MOST_STAGES: usize = 48;
/// Elements of a leaf that a region joins side by side.
const SIDE_BY_SIDE: usize = 8;

/// Puts row blocks in the place of steps that go over the same rows, where they then keep at least
/// `fast` bytes out of memory; `next` is the number of values in the arena. They keep about `fast` bytes
/// of rows at a time.
pub(crate) fn join(steps: Vec<Step>, next: &mut u32, fast: usize) -> Vec<Step> {
    if fast == 0 {
        return steps;
    }
    let mut reads: FastMap<Key, u32> = FastMap::default();
    for arg in steps.iter().flat_map(|s| &s.args) {
        if let Some(key) = key(arg.place) {
            *reads.entry(key).or_default() += 1;
        }
    }
    let mut joined = Vec::with_capacity(steps.len());
    let mut left: VecDeque<Step> = steps.into();
    while let Some(step) = left.pop_front() {
        let found = Search::begin(&step, fast).map(|search| search.run(&left, &reads));
        let block = found.and_then(|found| found.block(&reads, next, fast));
        let Some(Joined { mut steps, passed }) = block else {
            joined.push(step);
            continue;
        };
        let mut late = Vec::new();
        for (step, passed) in left.drain(..passed.len()).zip(passed) {
            match passed {
                Passed::Joined => {}
                Passed::Before => joined.push(step),
                Passed::Behind => late.push(step),
            }
        }
        joined.append(&mut steps);
        late.into_iter().rev().for_each(|s| left.push_front(s));
    }
    joined
}

/// A step that may be a stage.
struct Member<'a> {
    /// Its number, that of the first being 0.
    at: usize,
    step: &'a Step,
    work: RowWork,
    /// The results that join all rows although each row has one element of them: that element is
    /// stored instead, and another region joins them behind the block.
    split: SmallVec<[usize; 2]>,
    /// The places of each row.
    row: usize,
}

impl<'a> Member<'a> {
    fn of(step: &'a Step, rows: usize, at: usize) -> Option<Member<'a>> {
        let work = match (RowProduct::of(step), RowMatrix::of(step)) {
            (Some(product), _) => RowWork::Product(product),
            (None, Some(product)) => RowWork::Matrix(Arc::new(product)),
            _ => RowWork::Region(region_of(step)?),
        };
        let row = work.row(rows)?;
        let bytes = match &work {
            RowWork::Region(region) => row.checked_mul(region.lanes.bytes())?,
            RowWork::Product(product) => row.checked_mul(product.dtype.size())?,
            RowWork::Matrix(product) => row.max(product.terms).checked_mul(product.dtype.size())?,
        };
        if bytes > LONGEST_ROW {
            return None;
        }
        let mut split = SmallVec::new();
        for k in 0..step.outs.len() {
            if work.joins_rows(rows, k) && !work.grows(k) {
                if row > 1 {
                    return None;
                }
                split.push(k);
            }
        }
        Some(Member {
            at,
            step,
            work,
            split,
            row,
        })
    }

    /// Whether it reads, for each row, only that row of an array.
    fn reads_rows(&self, arg: usize, rows: usize) -> bool {
        let elements = self.step.args.get(arg).map_or(0, Operand::elements);
        elements.is_multiple_of(rows) && self.work.reads_row(rows, arg, elements / rows)
    }
}

impl Member<'_> {
    /// Whether what it makes of rows in memory is worth to be kept in a cache: what a product with matrices makes is
    /// only where it is large.
    fn makes_rows(&self, fast: usize) -> bool {
        match (&self.work, self.step.outs.first()) {
            (RowWork::Matrix(product), Some(out)) => product.is_near(fast, out.ty.bytes()),
            _ => true,
        }
    }

    /// Whether it is worth to do it to rows that are in a cache.
    fn takes_rows(&self, fast: usize) -> bool {
        match (&self.work, self.step.args.first()) {
            (RowWork::Matrix(product), Some(rows)) => product.is_near(fast, rows.ty.bytes()),
            _ => true,
        }
    }
}

/// What a step does as a region; a reduction along rows is one, too, of the same bits.
fn region_of(step: &Step) -> Option<Arc<LaneProgram>> {
    if let StepOp::Region(region) = &step.op {
        return Some(region.clone());
    }
    let ([x], [out], Some((fold, _))) = (&step.args[..], &step.outs[..], reduction(step)) else {
        return None;
    };
    let lanes = match out.ty.dtype {
        DType::F64 => Lanes::W64,
        DType::F32 => Lanes::W32,
        _ => return None,
    };
    let rows = out.elements();
    let run = x.elements().checked_div(rows)?;
    let input = LaneInput {
        dtype: x.ty.dtype,
        start: 0,
        strides: smallvec![run, 1],
        index: None,
        pad: None,
    };
    let output = LaneOutput {
        value: 0,
        beside: Vec::new(),
        dtype: out.ty.dtype,
        fold: Some((fold, 1)),
        leading: false,
    };
    let dims = smallvec![rows, run];
    let region = LaneProgram::new(lanes, false, dims, vec![input], Vec::new(), vec![output]);
    region.ok().map(Arc::new)
}

/// The rows of a reduction along rows of an array in memory.
fn reduction(step: &Step) -> Option<(Fold, usize)> {
    let (StepOp::Op(Op::Array(op)), [x]) = (&step.op, &step.args[..]) else {
        return None;
    };
    let (fold, axes) = match op {
        ArrayOp::Sum(op) => (Fold::WideSum, &op.axes),
        ArrayOp::Prod(op) => (Fold::Prod, &op.axes),
        ArrayOp::Max(op) => (Fold::Max, &op.axes),
        ArrayOp::Min(op) => (Fold::Min, &op.axes),
        _ => return None,
    };
    let run = inner_axes(&x.ty, axes)?;
    // The kernel adds a few elements behind the last whole leaf one by one, regions side by side.
    let rest = run % LEAF;
    if matches!(fold, Fold::WideSum | Fold::Prod) && (1..SIDE_BY_SIDE).contains(&rest) {
        return None;
    }
    let array = x.ty.dtype.is_float() && run > 1 && !matches!(x.place, Place::Splat(_));
    array.then(|| (fold, x.elements() / run))
}

/// A block that grows.
struct Search<'a> {
    rows: usize,
    /// About how many bytes of rows are kept.
    fast: usize,
    members: Vec<Member<'a>>,
    /// What its steps write.
    written: FastMap<Key, ()>,
    /// What is known only behind it.
    late: FastMap<Key, ()>,
    /// Where the steps behind the first are.
    passed: Vec<Passed>,
    /// The arrays that it reads row by row.
    arrays: FastMap<Key, ()>,
}

/// What becomes of the steps that a block begins with.
struct Joined {
    /// The block, and reductions behind it.
    steps: Vec<Step>,
    /// Where the steps behind the first are, up to the last that joined.
    passed: Vec<Passed>,
}

#[derive(Clone, Copy)]
enum Passed {
    Joined,
    Before,
    Behind,
}

impl<'a> Search<'a> {
    /// A block begins with a reduction to a result for each of several rows.
    fn begin(step: &'a Step, fast: usize) -> Option<Search<'a>> {
        let rows = match &step.op {
            StepOp::Region(region) => {
                let along = |k: usize| {
                    let output = region.outputs.get(k)?;
                    let inner = output.fold.is_some() && !output.leading;
                    inner.then(|| region.output_elements(k))
                };
                (0..region.outputs.len()).filter_map(along).max()?
            }
            _ => match (
                RowProduct::of(step).filter(|product| !product.sums),
                RowMatrix::of(step),
            ) {
                (Some(product), _) => product.rows,
                (None, Some(product)) => product.all_rows(),
                _ => reduction(step)?.1,
            },
        };
        let bytes = |o: &Operand| o.ty.bytes();
        let largest = step.args.iter().chain(&step.outs).map(bytes).max()?;
        if rows < 2 || largest < fast / 16 {
            return None;
        }
        let member = Member::of(step, rows, 0).filter(|m| m.row > 1)?;
        if !member.makes_rows(fast) {
            return None;
        }
        let mut search = Search {
            rows,
            fast,
            members: Vec::new(),
            written: FastMap::default(),
            late: FastMap::default(),
            passed: Vec::new(),
            arrays: FastMap::default(),
        };
        search.add(member);
        Some(search)
    }

    fn add(&mut self, member: Member<'a>) {
        for (k, arg) in member.step.args.iter().enumerate() {
            if let Some(key) = key(arg.place)
                && arg.elements() > self.rows
                && member.reads_rows(k, self.rows)
            {
                self.arrays.insert(key, ());
            }
        }
        for (k, out) in member.step.outs.iter().enumerate() {
            if let Some(key) = key(out.place) {
                match member.work.joins_rows(self.rows, k) {
                    true => self.late.insert(key, ()),
                    false => self.written.insert(key, ()),
                };
            }
        }
        self.members.push(member);
    }

    fn is_late(&self, step: &Step) -> bool {
        let mut places = step.args.iter().chain(&step.outs);
        places.any(|o| key(o.place).is_some_and(|k| self.late.contains_key(&k)))
    }

    /// Lets the steps behind the first join.
    fn run(mut self, left: &'a VecDeque<Step>, reads: &FastMap<Key, u32>) -> Search<'a> {
        let mut last = 0;
        for (k, step) in left.iter().enumerate() {
            let at = k + 1;
            let single = matches!(
                step.op,
                StepOp::Call(_) | StepOp::Flow(_) | StepOp::Native(_) | StepOp::Tape(_)
            );
            if single || at - last > WINDOW || self.members.len() >= MOST_STAGES {
                break;
            }
            let known = |o: &Operand| key(o.place).is_some_and(|k| self.written.contains_key(&k));
            let follows = step.args.iter().any(known);
            let late = self.is_late(step);
            match Member::of(step, self.rows, at).filter(|m| !late && self.takes(m)) {
                Some(member) => {
                    self.add(member);
                    self.passed.push(Passed::Joined);
                    last = at;
                }
                None if late || follows => {
                    let outs = step.outs.iter().filter_map(|o| key(o.place));
                    self.late.extend(outs.map(|key| (key, ())));
                    self.passed.push(Passed::Behind);
                }
                None => self.passed.push(Passed::Before),
            }
        }
        self.passed.truncate(last);
        // What only the block reads belongs to it.
        for (k, step) in left.iter().enumerate().take(last).rev() {
            if !matches!(self.passed[k], Passed::Before) {
                continue;
            }
            let member = Member::of(step, self.rows, k + 1);
            let member = member
                .filter(|m| m.row > 1 && m.makes_rows(self.fast) && self.alone_reads(m, reads));
            if let Some(member) = member {
                self.add(member);
                self.passed[k] = Passed::Joined;
            }
        }
        self.members.sort_by_key(|m| m.at);
        self
    }

    /// Whether a step goes over rows that the block has at hand.
    fn takes(&self, member: &Member<'_>) -> bool {
        // What runs again later must not run early, or it would have to be kept until then.
        if member.step.again && !self.members.iter().any(|m| m.step.again) {
            return false;
        }
        let mut near = false;
        for (k, arg) in member.step.args.iter().enumerate() {
            let Some(key) = key(arg.place) else { continue };
            let own = member.reads_rows(k, self.rows);
            if self.written.contains_key(&key) {
                if !own {
                    return false;
                }
                near = true;
            }
            // To share rows with a product of matrices is no reason to run beside it.
            let shares = !matches!(member.work, RowWork::Matrix(_));
            near |= shares && own && self.arrays.contains_key(&key);
        }
        near && member.takes_rows(self.fast)
    }

    /// Whether nothing but the steps of the block reads what a step computes, row by row.
    fn alone_reads(&self, member: &Member<'_>, reads: &FastMap<Key, u32>) -> bool {
        (member.step.outs.iter().enumerate()).all(|(k, out)| {
            let Some(key @ (0, _)) = key(out.place) else {
                return false;
            };
            !member.work.joins_rows(self.rows, k)
                && self
                    .reads_of(key)
                    .all(|(m, arg)| m.reads_rows(arg, self.rows))
                && reads.get(&key).copied().unwrap_or(0) as usize == self.reads_of(key).count()
        })
    }

    /// The members that read a value, and as which operand.
    fn reads_of(&self, wanted: Key) -> impl Iterator<Item = (&Member<'a>, usize)> {
        self.members.iter().flat_map(move |m| {
            let args = m.step.args.iter().enumerate();
            let own = args.filter(move |(_, a)| key(a.place) == Some(wanted));
            own.map(move |(k, _)| (m, k))
        })
    }

    /// The steps in the place of the members, if they are worth it.
    fn block(&self, reads: &FastMap<Key, u32>, next: &mut u32, fast: usize) -> Option<Joined> {
        if self.members.iter().filter(|m| m.row > 1).count() < 2 {
            return None;
        }
        let mut made = Made {
            places: FastMap::default(),
            args: SmallVec::new(),
            outs: SmallVec::new(),
            block: RowBlock {
                rows: self.rows,
                together: 1,
                inputs: Vec::new(),
                outputs: Vec::new(),
                buffers: Vec::new(),
                stages: Vec::new(),
            },
        };
        // With several threads rows are no way to divide sums over them. Then stages take turns, and what is
        // between them, a number for each row, is there for all rows.
        let sums = |m: &Member<'_>| matches!(m.work, RowWork::Product(product) if product.sums);
        let turns = self.members.iter().any(sums);
        if let Some(first) = self.members.first()
            && matches!(first.work, RowWork::Matrix(_))
            && !self.alone_reads(first, reads)
        {
            return None;
        }
        let mut behind = Vec::new();
        let mut saved = 0_usize;
        let mut numbers = *next;
        for member in &self.members {
            let args: Option<Vec<RowPlace>> =
                member.step.args.iter().map(|a| made.arg(a)).collect();
            let mut outs = Vec::with_capacity(member.step.outs.len());
            for (k, out) in member.step.outs.iter().enumerate() {
                if member.split.contains(&k) {
                    let ty = TensorType::new(out.ty.dtype, [self.rows]);
                    let place = Place::Arena {
                        value: numbers,
                        offset: 0,
                    };
                    numbers += 1;
                    let stored = Operand {
                        place,
                        ty: Arc::new(ty),
                    };
                    behind.push(joined_behind(member, k, &stored)?);
                    outs.push(made.out(stored));
                    continue;
                }
                let key = key(out.place)?;
                let own = self.reads_of(key).count();
                let all = reads.get(&key).copied().unwrap_or(0) as usize;
                let inside = key.0 == 0 && own == all && self.written.contains_key(&key);
                let inside = inside && !(turns && out.elements() == self.rows);
                if out.elements() > self.rows {
                    saved = saved.saturating_add(out.ty.bytes().saturating_mul(own));
                }
                outs.push(match inside {
                    true => made.buffer(out, self.rows),
                    false => made.out(out.clone()),
                });
            }
            let work = match member.split.is_empty() {
                true => member.work.clone(),
                false => RowWork::Region(split(member)?),
            };
            let args = args?;
            made.block.stages.push(RowStage { work, args, outs });
        }
        for (k, arg) in made.args.iter().enumerate() {
            let place = RowPlace::Arg(k as u32);
            let stages = made.block.stages.iter();
            let again = stages.filter(|s| s.args.contains(&place)).count();
            if arg.elements() > self.rows {
                let bytes = arg.ty.bytes().saturating_mul(again.saturating_sub(1));
                saved = saved.saturating_add(bytes);
            }
        }
        if saved < fast {
            return None;
        }
        anew::compute(&mut made.block);
        if !made.fit(fast) {
            return None;
        }
        *next = numbers;
        let block = made.block;
        debug_assert_eq!(block.check(), Ok(()));
        let mut steps = vec![Step {
            scratch: 0..block.scratch(),
            op: StepOp::Rows(Arc::new(block)),
            args: made.args,
            outs: made.outs,
            location: self.members.first().and_then(|m| m.step.location),
            again: self.members.iter().all(|m| m.step.again),
        }];
        steps.append(&mut behind);
        Some(Joined {
            steps,
            passed: self.passed.clone(),
        })
    }
}

/// The region of a member that stores what it would join with other rows.
fn split(member: &Member<'_>) -> Option<Arc<LaneProgram>> {
    let RowWork::Region(region) = &member.work else {
        return None;
    };
    let LaneProgram {
        lanes,
        fma,
        dims,
        inputs,
        ops,
        mut outputs,
        ..
    } = (**region).clone();
    for k in &member.split {
        outputs.get_mut(*k)?.fold = None;
    }
    let region = LaneProgram::new(lanes, fma, dims, inputs, ops, outputs);
    region.ok().map(Arc::new)
}

/// The region that joins what was stored instead of result `k`.
fn joined_behind(member: &Member<'_>, k: usize, stored: &Operand) -> Option<Step> {
    let RowWork::Region(region) = &member.work else {
        return None;
    };
    let output = LaneOutput {
        value: 0,
        ..region.outputs.get(k)?.clone()
    };
    let mut step = 1;
    let mut strides: SmallVec<[usize; 4]> = SmallVec::from_elem(0, region.dims.len());
    for (stride, n) in strides.iter_mut().zip(&region.dims).rev() {
        *stride = step;
        step *= n;
    }
    let input = LaneInput {
        dtype: output.dtype,
        start: 0,
        strides,
        index: None,
        pad: None,
    };
    let (lanes, dims) = (region.lanes, region.dims.clone());
    let program = LaneProgram::new(
        lanes,
        region.fma,
        dims,
        vec![input],
        Vec::new(),
        vec![output],
    );
    let program = program.ok()?;
    Some(Step {
        scratch: 0..program.scratch(),
        op: StepOp::Region(Arc::new(program)),
        args: smallvec![stored.clone()],
        outs: smallvec![member.step.outs.get(k)?.clone()],
        location: member.step.location,
        again: member.step.again,
    })
}
