//! Replays a plan and checks that every value is where it is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use cotangent_array::{DType, Scalar};
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Op, TensorType, Type, TypeError};
use smallvec::SmallVec;

use crate::plan::{Operand, Place, Plan, Step, StepOp};
use crate::{abreast, turned};

/// Plans nest at most this deep; graphs do not nest deeper either.
const MAX_DEPTH: usize = 256;

impl Plan {
    /// Replays the plan, and each plan that it calls, and checks that running it is sound: every
    /// operand stands where it is read and has not been overwritten, no two values overlap while
    /// both live, everything is inside the arena, every output is written once, and the types are
    /// those that the operations infer.
    ///
    /// # Errors
    /// The first step that breaks a rule, in words.
    pub fn check(&self) -> Result<(), String> {
        let callees = self.callees();
        let mut depth: HashMap<*const Plan, usize> = HashMap::new();
        for plan in callees.iter().map(|p| &**p).chain([self]) {
            let below = plan
                .steps
                .iter()
                .flat_map(|s| s.op.callees())
                .filter_map(|callee| depth.get(&std::sync::Arc::as_ptr(callee)).copied());
            let own = below.max().map_or(0, |d| d + 1);
            if own > MAX_DEPTH {
                return Err(format!("calls nest deeper than {MAX_DEPTH}"));
            }
            depth.insert(plan, own);
            plan.check_own()?;
        }
        Ok(())
    }

    /// [`Plan::check`] without the plans that it calls.
    pub(crate) fn check_own(&self) -> Result<(), String> {
        let mut replay = Replay {
            plan: self,
            live: BTreeMap::new(),
            written: vec![false; self.outputs.len()],
        };
        for (i, step) in self.steps.iter().enumerate() {
            replay.step(step).map_err(|message| {
                format!(
                    "step {i} of `{}` ({}): {message}",
                    self.name,
                    step.op.name()
                )
            })?;
        }
        match replay.written.iter().position(|written| !written) {
            Some(i) => Err(format!("output {i} of `{}` is never written", self.name)),
            None => Ok(()),
        }
    }
}

/// What stands in the arena at one place.
struct Entry {
    end: usize,
    value: u32,
    dtype: DType,
}

struct Replay<'a> {
    plan: &'a Plan,
    /// By offset; entries never overlap.
    live: BTreeMap<usize, Entry>,
    written: Vec<bool>,
}

impl Replay<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.types(step)?;
        for (i, arg) in step.args.iter().enumerate() {
            self.read(arg).map_err(|m| format!("operand {i}: {m}"))?;
        }
        if step.scratch.end > self.plan.arena || step.scratch.start > step.scratch.end {
            return Err(format!(
                "working memory {:?} is outside the arena",
                step.scratch
            ));
        }
        self.overlaps(step)?;
        self.overwrite(&step.scratch);
        if let Some(range) = step.consumes().and_then(Operand::range) {
            self.overwrite(&range);
        }
        for out in &step.outs {
            self.write(out)?;
        }
        Ok(())
    }

    /// Checks that what is written overlaps nothing else, but for a result that takes over
    /// an operand's place. Operands have been checked to be values that live side by side.
    fn overlaps(&self, step: &Step) -> Result<(), String> {
        let sorted = |operands: &[Operand]| {
            let ranges = operands.iter().enumerate();
            let mut ranges: SmallVec<[(Range<usize>, usize); 4]> = ranges
                .filter_map(|(i, o)| Some((o.range()?, i)))
                .filter(|(range, _)| !range.is_empty())
                .collect();
            ranges.sort_unstable_by_key(|(range, _)| range.start);
            ranges
        };
        let (read, written) = (sorted(&step.args), sorted(&step.outs));
        if written
            .windows(2)
            .any(|pair| overlap(&pair[0].0, &pair[1].0))
        {
            return Err("two results overlap".into());
        }
        for (range, _) in read.iter().chain(&written) {
            if overlap(range, &step.scratch) {
                return Err(format!(
                    "the value at {range:?} overlaps the working memory"
                ));
            }
        }
        for (out, k) in &written {
            // Of operands in order of their places, those that end behind the result's start.
            let first = read.partition_point(|(range, _)| range.end <= out.start);
            let near = read[first..]
                .iter()
                .take_while(|(range, _)| range.start < out.end);
            for (range, i) in near {
                let same = step.args[*i].elements() == step.outs[*k].elements() && range == out;
                if !(same && step.op.may_overwrite(*i, *k)) {
                    return Err(format!(
                        "the result at {out:?} overlaps an operand at {range:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn read(&self, arg: &Operand) -> Result<(), String> {
        match arg.place {
            Place::Splat(value) if value.dtype() == arg.ty.dtype => Ok(()),
            Place::Splat(value) => Err(format!("{value} is not {}", arg.ty.dtype)),
            Place::Input(i) => {
                let found = self.plan.inputs.get(i as usize).map(|(_, ty)| ty);
                same_values(found, &arg.ty, "input")
            }
            Place::Constant(i) => {
                let found = self.plan.constants.get(i as usize);
                let ty = found.map(|c| TensorType::new(c.dtype(), c.shape()));
                same_values(ty.as_ref(), &arg.ty, "constant")
            }
            Place::Output(i) => {
                if self.written.get(i as usize) != Some(&true) {
                    return Err(format!("output {i} is read before it is written"));
                }
                same_values(self.plan.outputs.get(i as usize), &arg.ty, "output")
            }
            Place::Arena { value, offset } => {
                let range = self.arena_range(arg, offset)?;
                if range.is_empty() {
                    return Ok(());
                }
                match self.live.get(&offset) {
                    Some(e)
                        if e.value == value && e.end == range.end && e.dtype == arg.ty.dtype =>
                    {
                        Ok(())
                    }
                    Some(e) => Err(format!(
                        "expected value {value}, {} at {offset}, found value {}, {} up to {}",
                        arg.ty, e.value, e.dtype, e.end
                    )),
                    None => Err(format!("value {value} does not stand at {offset}")),
                }
            }
        }
    }

    fn write(&mut self, out: &Operand) -> Result<(), String> {
        match out.place {
            Place::Arena { value, offset } => {
                let range = self.arena_range(out, offset)?;
                self.overwrite(&range);
                if !range.is_empty() {
                    let entry = Entry {
                        end: range.end,
                        value,
                        dtype: out.ty.dtype,
                    };
                    self.live.insert(offset, entry);
                }
                Ok(())
            }
            Place::Output(i) => {
                same_values(self.plan.outputs.get(i as usize), &out.ty, "output")?;
                match self.written.get_mut(i as usize) {
                    Some(written) if !*written => {
                        *written = true;
                        Ok(())
                    }
                    _ => Err(format!("output {i} is written twice")),
                }
            }
            _ => Err("a result must stand in the arena or in an output".into()),
        }
    }

    fn arena_range(&self, operand: &Operand, offset: usize) -> Result<Range<usize>, String> {
        let bytes = operand
            .ty
            .shape
            .checked_elements()
            .and_then(|n| n.checked_mul(operand.ty.dtype.size()));
        let end = bytes
            .and_then(|b| offset.checked_add(b))
            .filter(|end| *end <= self.plan.arena);
        match end {
            Some(end) if offset.is_multiple_of(64) => Ok(offset..end),
            Some(_) => Err(format!("the offset {offset} is not a multiple of 64")),
            None => Err(format!("{} at {offset} is outside the arena", operand.ty)),
        }
    }

    /// Forgets whatever stands in this range.
    fn overwrite(&mut self, range: &Range<usize>) {
        if range.is_empty() {
            return;
        }
        while let Some((&start, entry)) = self.live.range(..range.end).next_back() {
            if entry.end <= range.start {
                break;
            }
            self.live.remove(&start);
        }
    }

    /// Checks the types of operands and results against the operation.
    fn types(&self, step: &Step) -> Result<(), String> {
        match &step.op {
            StepOp::Copy => match (&step.args[..], &step.outs[..]) {
                ([x], [out]) => {
                    let spread = x.elements() == 1 || matches!(x.place, Place::Splat(_));
                    if x.ty.dtype == out.ty.dtype && (spread || x.elements() == out.elements()) {
                        return Ok(());
                    }
                    Err(format!("cannot copy {} to {}", x.ty, out.ty))
                }
                _ => Err("a copy has one operand and one result".into()),
            },
            StepOp::Call(plan) => {
                let inputs: Vec<&TensorType> = plan.inputs.iter().map(|(_, ty)| ty).collect();
                let outputs: Vec<&TensorType> = plan.outputs.iter().collect();
                same_list(&inputs, &step.args, "operands")?;
                same_list(&outputs, &step.outs, "results")?;
                if step.args.iter().any(|a| matches!(a.place, Place::Splat(_))) {
                    return Err("a call reads arrays".into());
                }
                if step.scratch.len() < plan.arena
                    || (plan.arena > 0 && !step.scratch.start.is_multiple_of(64))
                {
                    return Err(format!(
                        "expected an arena of {} bytes, found {:?}",
                        plan.arena, step.scratch
                    ));
                }
                Ok(())
            }
            StepOp::Flow(flow) => flow.check(step),
            StepOp::Native(native) => {
                if step.args.iter().any(|a| matches!(a.place, Place::Splat(_))) {
                    return Err("a native operation reads arrays".into());
                }
                let types: Vec<Type> = step.args.iter().map(|a| (*a.ty).clone().into()).collect();
                let op = Op::Native(native.clone());
                let ty = op.infer(&types.iter().collect::<Vec<_>>());
                let ty = ty.map_err(|e| e.to_string())?;
                let outputs: Vec<&TensorType> = ty.components().iter().collect();
                same_list(&outputs, &step.outs, "results")
            }
            StepOp::Tape(tape) => {
                tape.check()?;
                working_memory(step, tape.scratch())?;
                in_memory(step, &tape.inputs, &tape.outputs)
            }
            StepOp::Abreast(ops) => abreast::check(ops, step),
            StepOp::Rows(block) => {
                block.check()?;
                working_memory(step, block.scratch())?;
                in_memory(step, &block.inputs, &block.outputs)
            }
            StepOp::Region(region) => {
                region.check()?;
                working_memory(step, region.scratch())?;
                if step.args.len() != region.inputs.len() || step.outs.len() != region.outputs.len()
                {
                    return Err("operands and results are not those of the region".into());
                }
                for (i, (arg, input)) in step.args.iter().zip(&region.inputs).enumerate() {
                    let splat = matches!(arg.place, Place::Splat(_));
                    if arg.ty.dtype != input.dtype
                        || splat
                        || arg.elements() < region.input_elements(i)
                    {
                        return Err(format!("operand {i}: {} does not fit the region", arg.ty));
                    }
                }
                for (i, (out, output)) in step.outs.iter().zip(&region.outputs).enumerate() {
                    if out.ty.dtype != output.dtype || out.elements() != region.output_elements(i) {
                        return Err(format!("result {i}: {} does not fit the region", out.ty));
                    }
                }
                Ok(())
            }
            StepOp::Op(op)
            | StepOp::Planes(op, _)
            | StepOp::Turned(op, _)
            | StepOp::Picked(op, _)
            | StepOp::Triangular(op, _) => {
                let Some(out) = step.outs.first() else {
                    return Err("an operation has a result".into());
                };
                if matches!(
                    op,
                    Op::Input
                        | Op::Full(..)
                        | Op::Constant(_)
                        | Op::Call(_)
                        | Op::Region(_)
                        | Op::Native(_)
                        | Op::Get(_)
                ) {
                    return Err("expected an operation that computes".into());
                }
                if !step.scratch.is_empty() && !step.scratch.start.is_multiple_of(64) {
                    return Err("the working memory is not aligned".into());
                }
                let mut types: SmallVec<[Cow<'_, TensorType>; 3]> = SmallVec::new();
                for arg in &step.args {
                    let one = arg.elements() == 1;
                    if matches!(arg.place, Place::Splat(_)) && !one && !reads_splats(op) {
                        return Err(
                            "expected an array, found a number that stands everywhere".into()
                        );
                    }
                    types.push(
                        if op.is_pointwise() && one && arg.ty.shape != out.ty.shape {
                            Cow::Owned(arg.ty.with_shape(out.ty.shape.clone()))
                        } else {
                            Cow::Borrowed(&*arg.ty)
                        },
                    );
                }
                let mut types: SmallVec<[&TensorType; 3]> = types.iter().map(|t| &**t).collect();
                if let StepOp::Planes(_, planes) = &step.op {
                    let Some(kernel) = types.pop() else {
                        return Err("a convolution has a kernel".into());
                    };
                    if !planes.are_inside(op, &types, kernel) {
                        return Err("the operands have not all planes of the input".into());
                    }
                    types = SmallVec::from_slice(&[&planes.input, kernel]);
                }
                if let StepOp::Picked(op, picked) = &step.op {
                    let Op::Array(ArrayOp::Dot(dot)) = op else {
                        return Err("only a product has picked rows".into());
                    };
                    if step.args.iter().any(|a| matches!(a.place, Place::Splat(_))) {
                        return Err("expected an array, found a number".into());
                    }
                    let gather = picked.gather.clone().into();
                    let rows = infer(&gather, types.get(1..).unwrap_or_default());
                    if picked.sizes(dot, &types).is_none() || rows.as_ref() != Ok(&picked.rows) {
                        return Err("the operands do not have the picked rows".into());
                    }
                    types = SmallVec::from_slice(&[types[0], &picked.rows]);
                }
                if let Op::Linalg(op) = op {
                    let results = op.results(&types).map_err(|e| e.to_string())?;
                    let results: Vec<&TensorType> = results.iter().collect();
                    return same_list(&results, &step.outs, "results");
                }
                if step.outs.len() != 1 {
                    return Err("this operation has one result".into());
                }
                let mut found = infer(op, &types);
                if let (StepOp::Turned(op, front), Ok(product)) = (&step.op, &found) {
                    let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (op, &types[..]) else {
                        return Err("only a product is turned".into());
                    };
                    found = Ok(turned::result(dot, *front, product, [x, y]));
                }
                if let StepOp::Triangular(op, triangles) = &step.op {
                    let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (op, &types[..]) else {
                        return Err("only a product has triangles".into());
                    };
                    triangles.sizes(dot, [x, y])?;
                }
                match found {
                    Ok(ty) if ty == *out.ty => Ok(()),
                    Ok(ty) => Err(format!("expected the result {ty}, found {}", out.ty)),
                    Err(e) => Err(e.to_string()),
                }
            }
        }
    }
}

/// Whether operands have these dtypes and numbers of elements.
fn arrays(operands: &[Operand], types: &[(DType, usize)]) -> bool {
    let found = operands.iter().map(|o| (o.ty.dtype, o.elements()));
    found.eq(types.iter().copied())
}

/// Operands and results stand in memory, with these dtypes and numbers of elements.
fn in_memory(
    step: &Step,
    inputs: &[(DType, usize)],
    outputs: &[(DType, usize)],
) -> Result<(), String> {
    let splat = |a: &Operand| matches!(a.place, Place::Splat(_));
    let fit = arrays(&step.args, inputs) && arrays(&step.outs, outputs);
    if !fit || step.args.iter().any(splat) {
        let name = step.op.name();
        return Err(format!(
            "operands and results are not those of the step `{name}`"
        ));
    }
    Ok(())
}

/// Fails unless a step has so many bytes of working memory.
fn working_memory(step: &Step, bytes: usize) -> Result<(), String> {
    if step.scratch.len() < bytes || !step.scratch.start.is_multiple_of(64) {
        return Err(format!(
            "expected working memory of {bytes} bytes, found {:?}",
            step.scratch
        ));
    }
    Ok(())
}

/// As [`Op::infer`], from the types of arrays.
fn infer(op: &Op, args: &[&TensorType]) -> Result<TensorType, TypeError> {
    match (op, args) {
        (Op::Unary(op), [x]) => op.infer(x),
        (Op::Binary(op), [x, y]) => op.infer(x, y),
        (Op::Array(op), args) if op.arity().allows(args.len()) => op.infer(args),
        _ => {
            let types: Vec<Type> = args.iter().map(|t| (*t).clone().into()).collect();
            match op.infer(&types.iter().collect::<Vec<_>>())? {
                Type::Tensor(ty) => Ok(ty),
                Type::Tuple(_) => Err(TypeError::new("expected one result")),
            }
        }
    }
}

/// Whether the operation takes a number in place of an array that holds it everywhere.
pub(crate) fn reads_splats(op: &Op) -> bool {
    op.is_pointwise() || matches!(op, Op::Array(ArrayOp::Concat(_)))
}

/// The number that stands everywhere in an operand.
pub(crate) fn splat_of(operand: &Operand) -> Option<Scalar> {
    match operand.place {
        Place::Splat(value) => Some(value),
        _ => None,
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
}

fn same_list(expected: &[&TensorType], found: &[Operand], what: &str) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!(
            "expected {} {what}, found {}",
            expected.len(),
            found.len()
        ));
    }
    expected
        .iter()
        .zip(found)
        .try_for_each(|(e, f)| same_values(Some(e), &f.ty, what))
}

/// Fails unless both hold as many elements of one dtype.
fn same_values(
    expected: Option<&TensorType>,
    found: &TensorType,
    what: &str,
) -> Result<(), String> {
    match expected {
        Some(e) if e.dtype == found.dtype && e.shape.elements() == found.shape.elements() => Ok(()),
        Some(e) => Err(format!("expected {what} {e}, found {found}")),
        None => Err(format!("there is no such {what}")),
    }
}
