//! Joins steps on few numbers to straight-line programs.
//!
//! A function that is written with numbers becomes thousands of regions of one element, which read
//! slices and whose results are put together. Steps cost more than what they compute there. So steps
//! that follow one another and each work on a few elements become one, a tape: regions of one element
//! or few, sums of few, copies, slices and concatenations. Values that only the tape reads have no memory, an
//! element is read by where it stands and written where it belongs. The instructions are those of the
//! regions, so the bits of results are, too.

use std::sync::Arc;

use cotangent_array::{Array, DType};
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{FastMap, Op};
use smallvec::SmallVec;

use crate::lane::{
    Elem, Fold, Inst, LaneOutput, LaneProgram, LaneRead, Lanes, Prim, Tape, Writer, elem,
    number_bits,
};
use crate::plan::{Key, Operand, Place, Step, StepOp, key};

/// The most elements of a region, a copy, or a part of a concatenation.
const SMALL: usize = 8;
/// The most instructions of a region of several elements, over all of them: vectors do more at once.
const UNROLLED: usize = 64;
/// The most instructions of a tape, about.
const MAX_INSTS: usize = 1 << 16;
/// The most arrays that a tape reads, and writes for the caller; each has an address in its memory.
const MAX_ARRAYS: usize = 1024;

/// Puts tapes in the place of steps that follow one another; `values` is the number of values in the
/// arena.
pub(crate) fn join(steps: Vec<Step>, constants: &[Array], values: usize) -> Vec<Step> {
    let mut reads = vec![0_u32; values];
    for arg in steps.iter().flat_map(|s| &s.args) {
        if let Place::Arena { value, .. } = arg.place
            && let Some(reads) = reads.get_mut(value as usize)
        {
            *reads = reads.saturating_add(1);
        }
    }
    let mut joined = Vec::with_capacity(steps.len());
    let mut run: Option<Run> = None;
    for step in steps {
        if let Some(own) = &mut run
            && own.add(&step).is_some()
        {
            own.steps.push(step);
            continue;
        }
        if let Some(own) = run.take() {
            own.end(&reads, &mut joined);
        }
        run = Run::begin(&step, constants);
        match &mut run {
            Some(own) => own.steps.push(step),
            None => joined.push(step),
        }
    }
    if let Some(own) = run {
        own.end(&reads, &mut joined);
    }
    joined
}

/// Steps that may become a tape, and what they compute so far.
struct Run<'a> {
    constants: &'a [Array],
    steps: Vec<Step>,
    lanes: Lanes,
    w: Writer,
    /// The elements of what is known, one array after another.
    elements: Vec<u32>,
    /// Where those of each value begin.
    known: FastMap<Key, usize>,
    /// The arrays that are read from memory, and their numbers.
    args: SmallVec<[Operand; 2]>,
    numbers: FastMap<Key, u32>,
    /// What was computed, and where its elements begin.
    written: Vec<(Operand, usize)>,
    /// How many of those are results of the plan.
    results: usize,
    /// How often the steps read a value of the arena.
    reads: FastMap<u32, u32>,
}

impl<'a> Run<'a> {
    /// A run begins with a region.
    fn begin(step: &Step, constants: &'a [Array]) -> Option<Run<'a>> {
        let StepOp::Region(region) = &step.op else {
            return None;
        };
        let mut run = Run {
            constants,
            steps: Vec::new(),
            lanes: region.lanes,
            w: Writer::new(region.lanes, false),
            elements: Vec::new(),
            known: FastMap::default(),
            args: SmallVec::new(),
            numbers: FastMap::default(),
            written: Vec::new(),
            results: 0,
            reads: FastMap::default(),
        };
        run.add(step)?;
        Some(run)
    }

    /// Adds what a step computes; `None` where the step does not fit.
    fn add(&mut self, step: &Step) -> Option<()> {
        let fits = |o: &Operand| elem(o.ty.dtype, self.lanes).is_some();
        let fits = step.args.iter().all(|a| self.readable(a)) && step.outs.iter().all(fits);
        let arrays = self.args.len() + self.results;
        if !fits || self.w.len() > MAX_INSTS || arrays > MAX_ARRAYS {
            return None;
        }
        // One list of elements for each result.
        let found: SmallVec<[Vec<u32>; 1]> = match (&step.op, &step.args[..], &step.outs[..]) {
            (StepOp::Region(region), args, outs) => self.region(region, args, outs.len())?,
            (StepOp::Copy, [from], [to]) => {
                let n = to.elements();
                if n > SMALL && !self.is_known(from) {
                    return None;
                }
                let one = from.elements() == 1;
                let elements = (0..n).map(|i| self.element(from, if one { 0 } else { i }));
                [elements.collect::<Option<_>>()?].into_iter().collect()
            }
            (StepOp::Op(Op::Array(ArrayOp::Sum(_))), [x], [out])
                if out.elements() == 1
                    && (1..=SMALL).contains(&x.elements())
                    && x.ty.dtype == DType::F64
                    && !matches!(x.place, Place::Splat(_)) =>
            {
                let elements = (0..x.elements()).map(|i| self.element(x, i));
                let elements: SmallVec<[u32; SMALL]> = elements.collect::<Option<_>>()?;
                [vec![self.sum(&elements)]].into_iter().collect()
            }
            (StepOp::Op(Op::Array(ArrayOp::Concat(op))), parts, [_]) => {
                [self.concat(op.axis, parts)?].into_iter().collect()
            }
            (StepOp::Op(Op::Array(ArrayOp::Slice(op))), [x], [out]) => {
                [self.slice(&op.start, &op.stride, x, out)?]
                    .into_iter()
                    .collect()
            }
            _ => return None,
        };
        for (out, elements) in step.outs.iter().zip(found) {
            if elements.len() != out.elements() {
                return None;
            }
            let start = self.elements.len();
            self.elements.extend(elements);
            self.known.insert(key(out.place)?, start);
            self.written.push((out.clone(), start));
            self.results += usize::from(matches!(out.place, Place::Output(_)));
        }
        for arg in &step.args {
            if let Place::Arena { value, .. } = arg.place {
                *self.reads.entry(value).or_default() += 1;
            }
        }
        Some(())
    }

    fn is_known(&self, operand: &Operand) -> bool {
        key(operand.place).is_some_and(|key| self.known.contains_key(&key))
    }

    /// Whether elements of an operand are known or can be read. Bools stand in memory as bytes, and a
    /// tape moves none.
    fn readable(&self, operand: &Operand) -> bool {
        let kind = elem(operand.ty.dtype, self.lanes);
        match operand.place {
            Place::Splat(_) => kind.is_some(),
            _ if self.is_known(operand) => true,
            _ => kind == Some(Elem::Lane) && operand.elements() <= 1 << 27,
        }
    }

    /// The value of an element.
    fn element(&mut self, operand: &Operand, i: usize) -> Option<u32> {
        let Some(key) = key(operand.place) else {
            let Place::Splat(value) = operand.place else {
                return None;
            };
            let bits = number_bits(value, self.lanes);
            return Some(self.w.put(Prim::Const(bits), &[]));
        };
        if i >= operand.elements() {
            return None;
        }
        if let Some(start) = self.known.get(&key) {
            return self.elements.get(start + i).copied();
        }
        if let Place::Constant(k) = operand.place {
            let value = self.constants.get(k as usize)?.at(i)?;
            let bits = number_bits(value, self.lanes);
            return Some(self.w.put(Prim::Const(bits), &[]));
        }
        let args = &mut self.args;
        let number = *self.numbers.entry(key).or_insert_with(|| {
            args.push(operand.clone());
            args.len() as u32 - 1
        });
        Some(self.w.put(Prim::At(number, i as u32), &[]))
    }

    fn region(
        &mut self,
        region: &LaneProgram,
        args: &[Operand],
        outs: usize,
    ) -> Option<SmallVec<[Vec<u32>; 1]>> {
        let places = region.elements();
        let few = match places {
            1 => true,
            n => (2..=SMALL).contains(&n) && n * region.code.insts.len() <= UNROLLED,
        };
        // Sums of a few elements are written out; an index is known when it is read.
        let whole = region.dims.len() == 1 && region.lanes == Lanes::W64;
        let joins = region.outputs.iter().any(|o| match o.fold {
            Some((Fold::Sum, 0)) => !whole || o.leading || o.dtype != DType::F64,
            other => other.is_some(),
        });
        let chooses = region.inputs.iter().any(|i| i.index.is_some());
        if !few || region.lanes != self.lanes || joins || chooses {
            return None;
        }
        let stores = region.stores();
        let width = |k: usize| region.outputs.get(k).map_or(0, LaneOutput::width);
        let mut stored: SmallVec<[Vec<u32>; 1]> =
            (0..outs).map(|k| vec![0; places * width(k)]).collect();
        let mut values: Vec<u32> = Vec::with_capacity(region.code.insts.len());
        for place in 0..places {
            values.clear();
            for inst in &region.code.insts {
                let value = match inst.prim {
                    Prim::Load(k) | Prim::Splat(k) => match region.read_at(k as usize, place)? {
                        LaneRead::Element(at) => self.element(args.get(k as usize)?, at)?,
                        LaneRead::Number(bits) => self.w.put(Prim::Const(bits), &[]),
                    },
                    Prim::Store(k) => {
                        let value = *values.get(inst.args[0] as usize)?;
                        let (result, column) = *stores.get(k as usize)?;
                        let at = place * width(result) + column;
                        *stored.get_mut(result)?.get_mut(at)? = value;
                        value
                    }
                    prim => {
                        let mut operands = [0; 3];
                        for (to, a) in operands.iter_mut().zip(inst.operands()) {
                            *to = *values.get(*a as usize)?;
                        }
                        self.w.put(prim, &operands[..prim.arity()])
                    }
                };
                values.push(value);
            }
        }
        for (elements, output) in stored.iter_mut().zip(&region.outputs) {
            if output.fold.is_some() {
                *elements = vec![self.sum(elements)];
            }
        }
        Some(stored)
    }

    /// The sum of at most 8 elements, in the order in which regions and kernels add them: each to a 0,
    /// then pairwise. So no term is -0, and what adds 0 to it can be left out.
    fn sum(&mut self, elements: &[u32]) -> u32 {
        let zero = self.w.put(Prim::Const(0), &[]);
        let terms = elements.iter().map(|x| self.w.put(Prim::Add, &[zero, *x]));
        let mut terms: SmallVec<[u32; SMALL]> = terms.collect();
        while terms.len() > 1 {
            let pairs = terms.chunks(2).map(|pair| match pair {
                [x, y] => self.w.put(Prim::Add, &[*x, *y]),
                other => other.first().copied().unwrap_or(zero),
            });
            terms = pairs.collect();
        }
        terms.first().copied().unwrap_or(zero)
    }

    /// Parts side by side; most elements are those of parts that are known.
    fn concat(&mut self, axis: usize, parts: &[Operand]) -> Option<Vec<u32>> {
        let total = parts
            .iter()
            .try_fold(0_usize, |n, p| n.checked_add(p.elements()))?;
        let known = parts.iter().filter(|p| self.is_known(p));
        let known: usize = known.map(Operand::elements).sum();
        if total > SMALL.checked_mul(parts.len())? || 2 * known < total {
            return None;
        }
        // For each part the elements that stand together.
        let inner = |p: &Operand| p.ty.shape.get(axis..).map(|dims| dims.iter().product());
        let inner: Vec<usize> = parts.iter().map(inner).collect::<Option<_>>()?;
        let first = parts.first()?;
        let outer: usize = first.ty.shape.get(..axis)?.iter().product();
        let mut elements = Vec::with_capacity(total);
        for turn in 0..outer {
            for (part, n) in parts.iter().zip(&inner) {
                for i in 0..*n {
                    elements.push(self.element(part, turn * n + i)?);
                }
            }
        }
        Some(elements)
    }

    fn slice(
        &mut self,
        start: &[usize],
        stride: &[usize],
        x: &Operand,
        out: &Operand,
    ) -> Option<Vec<u32>> {
        let n = out.elements();
        if n > SMALL {
            return None;
        }
        let steps = x.ty.shape.strides();
        let axes = out.ty.shape.iter().zip(start).zip(stride).zip(&steps);
        let axes: SmallVec<[_; 4]> = axes
            .map(|(((n, from), by), step)| (*n, *from, *by, *step))
            .collect();
        let mut elements = Vec::with_capacity(n);
        for place in 0..n {
            let (mut rest, mut at) = (place, 0);
            for (n, from, by, step) in axes.iter().rev() {
                at += (from + rest % n * by) * step;
                rest /= n;
            }
            elements.push(self.element(x, at)?);
        }
        Some(elements)
    }

    /// Puts a tape behind what there is, or the steps as they were.
    fn end(mut self, reads: &[u32], steps: &mut Vec<Step>) {
        let tape = match self.steps.len() {
            0 | 1 => None,
            _ => self.tape(reads),
        };
        match tape {
            Some(step) => steps.push(step),
            None => steps.append(&mut self.steps),
        }
    }

    fn tape(&mut self, reads: &[u32]) -> Option<Step> {
        let mut outs: SmallVec<[Operand; 1]> = SmallVec::new();
        let mut outputs = Vec::new();
        let mut stores: Vec<Inst> = Vec::new();
        for (operand, start) in &self.written {
            let wanted = match operand.place {
                Place::Arena { value, .. } => {
                    let own = self.reads.get(&value).copied().unwrap_or(0);
                    reads.get(value as usize).is_some_and(|all| *all > own)
                }
                _ => true,
            };
            if !wanted {
                continue;
            }
            let (k, n) = (outs.len() as u32, operand.elements());
            for (i, value) in self.elements.get(*start..start + n)?.iter().enumerate() {
                stores.push(Inst {
                    prim: Prim::Put(k, i as u32),
                    args: [*value, 0, 0],
                });
            }
            outputs.push((operand.ty.dtype, n));
            outs.push(operand.clone());
        }
        let mut insts = self.w.take();
        insts.append(&mut stores);
        self.forget_unread(&mut insts);
        let inputs = self.args.iter().map(|a| (a.ty.dtype, a.elements()));
        let cost = self
            .steps
            .iter()
            .fold(0, |sum: u64, s| sum.saturating_add(s.cost()));
        // A result of bools cannot be written: then all stays as it is.
        let tape = Tape::new(self.lanes, inputs.collect(), outputs, insts, cost).ok()?;
        let scratch = 0..tape.scratch();
        Some(Step {
            op: StepOp::Tape(Arc::new(tape)),
            args: std::mem::take(&mut self.args),
            outs,
            scratch,
            location: self.steps.first().and_then(|s| s.location),
            again: false,
        })
    }

    /// Leaves out the arrays that only a step read which then did not fit.
    fn forget_unread(&mut self, insts: &mut [Inst]) {
        let mut live = vec![false; insts.len()];
        let mut read = vec![false; self.args.len()];
        for (i, inst) in insts.iter().enumerate().rev() {
            if matches!(inst.prim, Prim::Put(..)) {
                live[i] = true;
            }
            if !live[i] {
                continue;
            }
            for a in inst.operands() {
                live[*a as usize] = true;
            }
            if let Prim::At(k, _) = inst.prim {
                read[k as usize] = true;
            }
        }
        if !read.contains(&false) {
            return;
        }
        let mut next = 0;
        let mut numbers = Vec::with_capacity(read.len());
        for read in &read {
            numbers.push(next);
            next += u32::from(*read);
        }
        for (i, inst) in insts.iter_mut().enumerate() {
            if let Prim::At(k, at) = inst.prim {
                // What no result needs goes later; until then it is a number.
                inst.prim = match live[i] {
                    true => Prim::At(numbers[k as usize], at),
                    false => Prim::Const(0),
                };
            }
        }
        let mut read = read.iter();
        self.args.retain(|_| *read.next().unwrap_or(&true));
    }
}
