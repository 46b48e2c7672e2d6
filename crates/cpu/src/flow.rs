//! Branches and loops: plans that run on addresses that change from step to step.

use std::sync::Arc;

use cotangent_compile::Flow;
use smallvec::SmallVec;

use crate::RunError;
use crate::memory::{Frame, Run, Slot};
use crate::program::Core;

/// Addresses of operands or results, mostly few.
type Addresses = SmallVec<[*mut u8; 16]>;

/// The operands, results and working memory of a flow; slots with their bytes.
pub(crate) struct Places {
    pub(crate) args: Vec<(Slot, usize)>,
    pub(crate) outs: Vec<(Slot, usize)>,
    pub(crate) scratch: Slot,
}

/// The step that runs a flow, with the cores of its bodies in their order.
pub(crate) fn choose(flow: &Flow, bodies: &[Arc<Core>], places: Places) -> Option<Run> {
    match (flow, bodies) {
        (Flow::Cond { .. }, [then, otherwise]) => {
            Some(cond(then.clone(), otherwise.clone(), places))
        }
        (Flow::Scan { .. }, [body]) => scan(flow, body.clone(), places),
        (Flow::While { .. }, [test, body]) => {
            Some(repeat(flow, test.clone(), body.clone(), places))
        }
        (Flow::WhileBack { .. }, [test, body, back]) => {
            let bodies = [test.clone(), body.clone(), back.clone()];
            Some(unwind(flow, bodies, places))
        }
        _ => None,
    }
}

fn cond(then: Arc<Core>, otherwise: Arc<Core>, places: Places) -> Run {
    Box::new(move |frame| {
        let args = addresses(frame, &places.args);
        let outs = addresses(frame, &places.outs);
        let Some((condition, inputs)) = args.split_first() else {
            return Ok(());
        };
        let taken = if is_true(*condition) {
            &then
        } else {
            &otherwise
        };
        taken.invoke(frame, frame.address(places.scratch), inputs, &outs)
    })
}

fn scan(flow: &Flow, body: Arc<Core>, places: Places) -> Option<Run> {
    let Flow::Scan {
        carry,
        scanned,
        length,
        reverse,
        ..
    } = *flow
    else {
        return None;
    };
    let layout = flow.layout();
    // The bytes by which operands and results move from step to step; none for the others.
    let steps = |all: &[(Slot, usize)], from: usize, to: usize| -> Vec<usize> {
        let moves = |i: usize| (from..to).contains(&i) && length > 0;
        all.iter()
            .enumerate()
            .map(|(i, (_, n))| if moves(i) { n / length } else { 0 })
            .collect()
    };
    let arg_steps = steps(&places.args, carry, carry.saturating_add(scanned));
    let out_steps = steps(&places.outs, carry, places.outs.len());
    Some(Box::new(move |frame| {
        let args = addresses(frame, &places.args);
        let outs = addresses(frame, &places.outs);
        let arena = frame.address(places.scratch);
        if length == 0 {
            for ((from, to), (_, bytes)) in args.iter().zip(&outs).zip(&places.args).take(carry) {
                copy(*from, *to, *bytes);
            }
            return Ok(());
        }
        let (mut inputs, mut outputs) = (args.clone(), outs.clone());
        for k in 0..length {
            let i = if reverse { length - 1 - k } else { k };
            for (at, (start, step)) in inputs
                .iter_mut()
                .zip(args.iter().zip(&arg_steps))
                .skip(carry)
            {
                *at = start.wrapping_add(i * step);
            }
            for (at, (start, step)) in outputs
                .iter_mut()
                .zip(outs.iter().zip(&out_steps))
                .skip(carry)
            {
                *at = start.wrapping_add(i * step);
            }
            // The last step writes what is carried to the results.
            for (c, buffers) in layout.carry.iter().enumerate() {
                let last = k + 1 == length;
                outputs[c] = if last {
                    outs[c]
                } else {
                    arena.wrapping_add(buffers[k % 2])
                };
            }
            body.invoke(frame, arena, &inputs, &outputs)?;
            inputs[..carry].copy_from_slice(&outputs[..carry]);
        }
        Ok(())
    }))
}

fn repeat(flow: &Flow, test: Arc<Core>, body: Arc<Core>, places: Places) -> Run {
    let layout = flow.layout();
    let carry = layout.carry.len();
    Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let flag = arena.wrapping_add(layout.test);
        let mut inputs = addresses(frame, &places.args);
        let mut k = 0;
        loop {
            test.invoke(frame, arena, &inputs, &[flag])?;
            if !is_true(flag) {
                break;
            }
            let next: Addresses = layout
                .carry
                .iter()
                .map(|buffers| arena.wrapping_add(buffers[k % 2]))
                .collect();
            body.invoke(frame, arena, &inputs, &next)?;
            inputs[..carry].copy_from_slice(&next);
            k += 1;
        }
        for (from, (slot, bytes)) in inputs.iter().zip(&places.outs) {
            copy(*from, frame.address(*slot), *bytes);
        }
        Ok(())
    })
}

/// The most bytes that the steps of one loop may be kept in.
const KEPT_LIMIT: usize = 1 << 32;

fn unwind(flow: &Flow, [test, body, back]: [Arc<Core>; 3], places: Places) -> Run {
    let layout = flow.layout();
    let carry = layout.record.len();
    let shared = carry + layout.carry.len();
    let words = layout.record_bytes.div_ceil(8);
    Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let flag = arena.wrapping_add(layout.test);
        let args = addresses(frame, &places.args);
        // The values before each step but the first, which stand in the operands. Words keep every
        // dtype aligned; the memory moves when it grows, so addresses are taken anew.
        let mut kept: Vec<u64> = Vec::new();
        let mut steps = 0;
        let state = |kept: &mut Vec<u64>, k: usize| -> Addresses {
            if k == 0 {
                return args[..carry].iter().copied().collect();
            }
            let start: *mut u8 = kept.as_mut_ptr().wrapping_add((k - 1) * words).cast();
            layout
                .record
                .iter()
                .map(|offset| start.wrapping_add(*offset))
                .collect()
        };
        loop {
            let mut inputs = state(&mut kept, steps);
            inputs.extend_from_slice(&args[shared..]);
            test.invoke(frame, arena, &inputs, &[flag])?;
            if !is_true(flag) {
                break;
            }
            let bytes = kept.len().saturating_add(words).saturating_mul(8);
            if bytes > KEPT_LIMIT {
                return Err(RunError::Memory { bytes });
            }
            kept.resize(kept.len() + words, 0);
            let mut inputs = state(&mut kept, steps);
            inputs.extend_from_slice(&args[shared..]);
            let next = state(&mut kept, steps + 1);
            body.invoke(frame, arena, &inputs, &next)?;
            steps += 1;
        }
        let mut moved: Addresses = args[carry..shared].iter().copied().collect();
        for k in (0..steps).rev() {
            let mut inputs = state(&mut kept, k);
            inputs.extend_from_slice(&moved);
            inputs.extend_from_slice(&args[shared..]);
            let next: Addresses = layout
                .carry
                .iter()
                .map(|buffers| arena.wrapping_add(buffers[k % 2]))
                .collect();
            back.invoke(frame, arena, &inputs, &next)?;
            moved = next;
        }
        for (from, (slot, bytes)) in moved.iter().zip(&places.outs) {
            copy(*from, frame.address(*slot), *bytes);
        }
        Ok(())
    })
}

fn addresses(frame: &Frame<'_>, places: &[(Slot, usize)]) -> Addresses {
    places
        .iter()
        .map(|(slot, _)| frame.address(*slot))
        .collect()
}

fn is_true(flag: *mut u8) -> bool {
    // SAFETY: the plan was checked: a bool stands here, and it has been written.
    unsafe { *flag != 0 }
}

fn copy(from: *mut u8, to: *mut u8, bytes: usize) {
    // SAFETY: the plan was checked: both places hold this many bytes and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
}
