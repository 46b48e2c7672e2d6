//! Copies of what a region computes or reads anyway, written by the region.
//!
//! A loop that gives on what it got, or the same array as two results, would copy it in a step of its own. A
//! region that has the elements in registers stores them where they are wanted.

use std::sync::Arc;

use cotangent_array::DType;
use cotangent_graph::FastMap;
use smallvec::SmallVec;

use crate::fuse::SMALL;
use crate::lane::{Elem, LaneOutput, LaneProgram, elem};
use crate::plan::{Key, Operand, Place, Step, StepOp, key};

/// The most arrays that a region on more than [`SMALL`] elements reads and writes in the end; more streams than
/// this and the caches of addresses suffer.
const MOST: usize = 16;

/// Lets regions write the results that are copies.
pub(crate) fn absorb(mut steps: Vec<Step>) -> Vec<Step> {
    let copied = |step: &Step| match (&step.op, &step.args[..], &step.outs[..]) {
        (StepOp::Copy, [from], [to])
            if from.elements() == to.elements() && matches!(to.place, Place::Output(_)) =>
        {
            key(from.place)
        }
        _ => None,
    };
    let wanted: Vec<(usize, Key)> = (steps.iter().enumerate())
        .filter_map(|(i, step)| Some((i, copied(step)?)))
        .collect();
    if wanted.is_empty() {
        return steps;
    }
    let mut holders: FastMap<Key, (usize, u32)> = FastMap::default();
    for (i, step) in steps.iter().enumerate() {
        for (place, value) in held(step) {
            if let Some(key) = key(place) {
                holders.entry(key).or_insert((i, value));
            }
        }
    }
    // For each region what it is to write besides.
    let mut more: FastMap<usize, Vec<(u32, usize)>> = FastMap::default();
    for (copy, key) in wanted {
        if let Some((region, value)) = holders.get(&key) {
            more.entry(*region).or_default().push((*value, copy));
        }
    }
    let mut gone = vec![false; steps.len()];
    for (region, copies) in more {
        let outs: Vec<Operand> = (copies.iter())
            .filter_map(|(_, copy)| steps.get(*copy)?.outs.first().cloned())
            .collect();
        let values = copies.iter().map(|(value, _)| *value);
        let written = steps.get_mut(region).and_then(|step| {
            let program = with_stores(step, values.zip(&outs))?;
            step.scratch = 0..program.scratch();
            step.op = StepOp::Region(Arc::new(program));
            step.outs.extend(outs.iter().cloned());
            Some(())
        });
        if written.is_some() {
            copies.iter().for_each(|(_, copy)| gone[*copy] = true);
        }
    }
    let mut gone = gone.into_iter();
    steps.retain(|_| !gone.next().unwrap_or(false));
    steps
}

/// The arrays of which a region has an element at each place, in their order, and the values that these are.
fn held(step: &Step) -> SmallVec<[(Place, u32); 8]> {
    let StepOp::Region(program) = &step.op else {
        return SmallVec::new();
    };
    let elements = program.elements();
    let whole = |operand: &Operand| {
        let dtype = operand.ty.dtype;
        // Bools are bytes in memory and masks in registers.
        let moves = dtype != DType::Bool && elem(dtype, program.lanes) == Some(Elem::Lane);
        !step.again && moves && elements > 1 && operand.elements() == elements
    };
    let written = program.outputs.iter().zip(&step.outs);
    let written = written
        .filter(|(o, out)| o.fold.is_none() && o.beside.is_empty() && whole(out))
        .map(|(o, out)| (out.place, o.value));
    let read = (step.args.iter().enumerate())
        .filter(|(k, arg)| program.is_dense(*k) && whole(arg))
        .map(|(k, arg)| (arg.place, k as u32));
    written.chain(read).collect()
}

/// The region of a step with more results, each a value that it has; `None` where there would be too many.
fn with_stores<'a>(
    step: &Step,
    stores: impl Iterator<Item = (u32, &'a Operand)>,
) -> Option<LaneProgram> {
    let StepOp::Region(program) = &step.op else {
        return None;
    };
    let mut outputs = program.outputs.clone();
    outputs.extend(stores.map(|(value, out)| LaneOutput {
        value,
        beside: Vec::new(),
        dtype: out.ty.dtype,
        fold: None,
        leading: false,
    }));
    if program.elements() > SMALL && program.inputs.len() + outputs.len() > MOST {
        return None;
    }
    let (dims, inputs, ops) = (&program.dims, &program.inputs, &program.ops);
    LaneProgram::new(
        program.lanes,
        program.fma,
        dims.clone(),
        inputs.clone(),
        ops.clone(),
        outputs,
    )
    .ok()
}
