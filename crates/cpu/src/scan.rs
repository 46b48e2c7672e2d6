//! Loops of known length: a plan runs once for every slice of its operands.

use std::ops::Range;
use std::sync::Arc;

use cotangent_compile::lane::LaneCode;
use cotangent_compile::{Flow, Place, StepOp};
use smallvec::SmallVec;

use crate::flow::{Addresses, Places, addresses, copy};
use crate::jit::{self, Steps};
use crate::lane::{Mode, OneRun};
use crate::memory::{Run, Slot};
use crate::steps::Core;

/// The most elements of a region that a loop runs by itself.
const LONGEST: usize = 4096;

/// The step that runs a scan.
pub(crate) fn choose(flow: &Flow, body: &Arc<Core>, places: Places, mode: Mode) -> Option<Run> {
    if let Some(run) = of_numbers(flow, &places, mode) {
        return Some(run);
    }
    match of_one_region(flow, &places, mode) {
        Some(run) => Some(run),
        None => of_plans(flow, body.clone(), places),
    }
}

/// A loop whose steps compute with single numbers alone, as machine code of its own.
fn of_numbers(flow: &Flow, places: &Places, mode: Mode) -> Option<Run> {
    let Flow::Scan {
        ref body,
        carry,
        scanned,
        length,
        reverse,
    } = *flow
    else {
        return None;
    };
    let style = mode.style().filter(|_| length > 0)?;
    let steps = Steps {
        carry,
        scanned,
        reverse,
    };
    let kernel = jit::scan(LaneCode::of_numbers(body)?, steps, style.flush)?;
    let all = places.args.iter().chain(&places.outs);
    let slots: Vec<Slot> = all.map(|(slot, _)| *slot).collect();
    Some(Box::new(move |frame| {
        let table: SmallVec<[*mut u8; 32]> = slots.iter().map(|s| frame.address(*s)).collect();
        // SAFETY: the plan was checked: operands and results of the body are single elements of the
        // width of its regions, or bools; of those of the loop, the ones that are scanned hold one for each of
        // the steps, of which there is at least one. Results overlap no operand.
        unsafe { kernel.call(&table, length) };
        Ok(())
    }))
}

/// An operand or a result of the region that a loop's body consists of.
#[derive(Clone, Copy)]
enum Stream {
    /// What is carried to a step, by its number, and the bytes before what is read of it.
    Carried(usize, usize),
    /// What is carried on.
    Next(usize),
    /// Anything else: where its first slice stands, and the bytes from one step to the next.
    Slices(Slot, usize),
}

/// A loop whose body is one region in one run, so that addresses are all that changes from step to step.
fn of_one_region(flow: &Flow, places: &Places, mode: Mode) -> Option<Run> {
    let Flow::Scan {
        ref body,
        carry,
        scanned,
        length,
        reverse,
    } = *flow
    else {
        return None;
    };
    let [step] = &body.steps[..] else {
        return None;
    };
    let StepOp::Region(program) = &step.op else {
        return None;
    };
    // Longer ones are divided between threads, and what is around them counts for nothing.
    if length == 0 || program.elements() > LONGEST {
        return None;
    }
    let region = OneRun::new(program, mode, step.scratch.len())?;
    let arg_steps = moves(&places.args, carry..carry.saturating_add(scanned), length);
    let out_steps = moves(&places.outs, carry..places.outs.len(), length);
    let before = program
        .inputs
        .iter()
        .map(|input| input.start * input.dtype.size());
    let before = before.chain(program.outputs.iter().map(|_| 0));
    let streams: Vec<Stream> = (step.args.iter().chain(&step.outs))
        .zip(before)
        .map(|(operand, before)| {
            let (all, steps, i) = match operand.place {
                Place::Input(i) if (i as usize) < carry => {
                    return Some(Stream::Carried(i as usize, before));
                }
                Place::Output(i) if (i as usize) < carry => return Some(Stream::Next(i as usize)),
                Place::Input(i) => (&places.args, &arg_steps, i as usize),
                Place::Output(i) => (&places.outs, &out_steps, i as usize),
                _ => return None,
            };
            let (mut slot, _) = *all.get(i)?;
            slot.offset += before;
            Some(Stream::Slices(slot, *steps.get(i)?))
        })
        .collect::<Option<_>>()?;
    let layout = flow.layout();
    let scratch_at = step.scratch.start;
    let places = Places {
        args: places.args.clone(),
        outs: places.outs.clone(),
        scratch: places.scratch,
    };
    // The streams that move, and by how much from one step to the next but one.
    let moving: Vec<(usize, usize)> = (streams.iter().enumerate())
        .filter_map(|(at, stream)| match *stream {
            Stream::Slices(_, 0) | Stream::Carried(..) | Stream::Next(_) => None,
            Stream::Slices(_, step) if reverse => Some((at, step.wrapping_mul(2).wrapping_neg())),
            Stream::Slices(_, step) => Some((at, step.wrapping_mul(2))),
        })
        .collect();
    Some(Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let scratch = arena.wrapping_add(scratch_at);
        let starts = addresses(frame, places.args.get(..carry).unwrap_or_default());
        let results = addresses(frame, places.outs.get(..carry).unwrap_or_default());
        let buffer = |i: usize, k: usize| arena.wrapping_add(layout.carry[i][k % 2]);
        // The addresses of a step.
        let table = |k: usize| -> Addresses {
            let slice = if reverse { length - 1 - k } else { k };
            let place = |stream: &Stream| match *stream {
                Stream::Slices(slot, step) => frame.address(slot).wrapping_add(slice * step),
                Stream::Carried(i, before) => match k {
                    0 => starts[i].wrapping_add(before),
                    _ => buffer(i, k - 1).wrapping_add(before),
                },
                // The last step writes what is carried to the results.
                Stream::Next(i) if k + 1 == length => results[i],
                Stream::Next(i) => buffer(i, k),
            };
            streams.iter().map(place).collect()
        };
        // SAFETY: the plan was checked: operands and results have the elements that the region takes, those
        // that are scanned in each of the slices; buffers of what is carried take turns, so that results
        // overlap no operand. The working memory is the body's own.
        let run = |table: &Addresses| unsafe { region.run(table, scratch) };
        run(&table(0));
        // Since buffers take turns, the addresses of every other step are the same but for slices.
        if length > 2 {
            let mut tables = [table(1), table(2.min(length - 2))];
            for k in 1..length - 1 {
                let table = &mut tables[(k - 1) % 2];
                run(table);
                for (at, distance) in &moving {
                    table[*at] = table[*at].wrapping_add(*distance);
                }
            }
        }
        if length > 1 {
            run(&table(length - 1));
        }
        Ok(())
    }))
}

/// Any other loop.
fn of_plans(flow: &Flow, body: Arc<Core>, places: Places) -> Option<Run> {
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
    let arg_steps = moves(&places.args, carry..carry.saturating_add(scanned), length);
    let out_steps = moves(&places.outs, carry..places.outs.len(), length);
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

/// For each operand or result the bytes by which it moves from step to step; none for those outside a range.
fn moves(all: &[(Slot, usize)], range: Range<usize>, length: usize) -> Vec<usize> {
    let moves = |i: usize| range.contains(&i) && length > 0;
    let all = all.iter().enumerate();
    all.map(|(i, (_, n))| if moves(i) { n / length } else { 0 })
        .collect()
}
