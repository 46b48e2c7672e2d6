//! A scan that keeps a part of what a later one needs, and that later one, which runs steps again.

use std::sync::Arc;

use cotangent_compile::Reversal;
use cotangent_compile::checkpoints::{Checkpoints, Move};

use crate::flow::{Addresses, Places, addresses, copy};
use crate::memory::{Frame, Run, Slot};
use crate::steps::Core;

/// Addresses that move from step to step: where they start, and the bytes between two steps.
struct Moving {
    places: Vec<(Slot, usize)>,
}

impl Moving {
    /// Arrays that hold a slice for each of `steps` steps, or, with none, stay where they are.
    fn new(places: &[(Slot, usize)], steps: Option<usize>) -> Moving {
        let stride = |bytes: usize| steps.map_or(0, |steps| bytes / steps.max(1));
        Moving {
            places: places.iter().map(|(slot, n)| (*slot, stride(*n))).collect(),
        }
    }

    /// The addresses of slice `i`.
    fn at(&self, frame: &Frame<'_>, i: usize) -> Addresses {
        let all = self.places.iter();
        all.map(|(slot, step)| frame.address(*slot).wrapping_add(i * step))
            .collect()
    }
}

/// The operands of a loop: carried, scanned, shared.
struct Operands {
    carried: Vec<(Slot, usize)>,
    scanned: Moving,
    shared: Moving,
}

impl Operands {
    fn new(all: &[(Slot, usize)], carry: usize, scanned: usize, length: usize) -> Operands {
        let (carried, rest) = all.split_at(carry.min(all.len()));
        let (scanned, shared) = rest.split_at(scanned.min(rest.len()));
        Operands {
            carried: carried.to_vec(),
            scanned: Moving::new(scanned, Some(length)),
            shared: Moving::new(shared, None),
        }
    }
}

/// Runs all steps; stacks what is read as a whole, keeps the last steps of the rest, and the states
/// before some of the others.
pub(crate) fn forward(reversal: &Arc<Reversal>, body: Arc<Core>, places: Places) -> Run {
    let Reversal {
        length,
        reverse,
        kept,
        ..
    } = **reversal;
    let layout = reversal.layout_forward();
    let first = &reversal.forward;
    let operands = Operands::new(&places.args, first.carry, first.scanned, length);
    let whole = reversal.partial.iter().filter(|partial| !**partial).count();
    let (carried, rest) = places.outs.split_at(first.carry.min(places.outs.len()));
    let (whole, rest) = rest.split_at(whole.min(rest.len()));
    let (parts, states) = rest.split_at(rest.len().saturating_sub(1));
    let carried = carried.to_vec();
    let whole = Moving::new(whole, Some(length));
    let parts = Moving::new(parts, Some(kept));
    let states = states.first().map(|(slot, _)| *slot);
    let partial = reversal.partial.clone();
    let again = length - kept;
    let checkpoints = Checkpoints::known(again, reversal.slots);
    let slots: Vec<(usize, usize)> = checkpoints.kept().collect();
    Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let ends = addresses(frame, &carried);
        let mut state = addresses(frame, &operands.carried);
        let mut next_slot = slots.iter();
        let mut slot = next_slot.next();
        for k in 0..length {
            let i = if reverse { length - 1 - k } else { k };
            if let Some((at, number)) = slot
                && *at == k
                && let Some(states) = states
            {
                let start = frame
                    .address(states)
                    .wrapping_add(number * layout.record_bytes);
                let to = layout
                    .record
                    .iter()
                    .map(|offset| start.wrapping_add(*offset));
                for ((from, to), (_, bytes)) in state.iter().zip(to).zip(&operands.carried) {
                    copy(*from, to, *bytes);
                }
                slot = next_slot.next();
            }
            let mut inputs = state;
            inputs.extend(operands.scanned.at(frame, i));
            inputs.extend(operands.shared.at(frame, i));
            let mut outputs: Addresses = match k + 1 == length {
                true => ends.clone(),
                false => turn(arena, &layout.carry, k),
            };
            let next = outputs.clone();
            let mut own = whole.at(frame, i).into_iter();
            let mut part = parts.at(frame, k.saturating_sub(again)).into_iter();
            for (partial, offset) in partial.iter().zip(&layout.results) {
                let kept = if *partial { part.next() } else { own.next() };
                let to = kept.filter(|_| !*partial || k >= again);
                outputs.push(to.unwrap_or_else(|| arena.wrapping_add(*offset)));
            }
            body.invoke(frame, arena, &inputs, &outputs)?;
            state = next;
        }
        Ok(())
    })
}

/// Goes back over the steps: what the last ones gave is read, those before are run again.
pub(crate) fn back(reversal: &Arc<Reversal>, bodies: [Arc<Core>; 2], places: Places) -> Run {
    let [body, backward] = bodies;
    let Reversal {
        length,
        reverse,
        kept,
        ..
    } = **reversal;
    let layout = reversal.layout_back();
    let (first, second) = (&reversal.forward, &reversal.backward);
    // Operands in their order: the backward loop's own, the forward loop's, parts, states.
    let read = reversal.sources.iter().filter(|s| s.is_some()).count();
    let own = second.body.inputs.len() - read;
    let (own, rest) = places.args.split_at(own.min(places.args.len()));
    let (again, rest) = rest.split_at(first.body.inputs.len().min(rest.len()));
    let (parts, states) = rest.split_at(rest.len().saturating_sub(1));
    let own = Operands::new(own, second.carry, second.scanned - read, length);
    let again = Operands::new(again, first.carry, first.scanned, length);
    let parts = Moving::new(parts, Some(kept));
    let states = states.first().map(|(slot, _)| *slot);
    let (ends, stacks) = places.outs.split_at(second.carry.min(places.outs.len()));
    let (ends, stacks) = (ends.to_vec(), Moving::new(stacks, Some(length)));
    // For each partial result its number among the parts.
    let mut numbers = Vec::new();
    let mut count = 0;
    for partial in &reversal.partial {
        numbers.push(count);
        count += usize::from(*partial);
    }
    let sources = reversal.sources.clone();
    let before = length - kept;
    let start = Checkpoints::known(before, reversal.slots);
    Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let kept_states = states.map_or(std::ptr::null_mut(), |s| frame.address(s));
        let results: Addresses = (layout.results.iter().map(|o| arena.wrapping_add(*o))).collect();
        let beginning = addresses(frame, &again.carried);
        let slot = |number: Option<usize>| -> Addresses {
            let Some(number) = number else {
                return beginning.clone();
            };
            let start = kept_states.wrapping_add(number * layout.record_bytes);
            let record = layout.record.iter();
            record.map(|offset| start.wrapping_add(*offset)).collect()
        };
        let mut checkpoints = start.clone();
        let mut own_state = addresses(frame, &own.carried);
        for k in (0..length).rev() {
            let slice = |k: usize| if reverse { length - 1 - k } else { k };
            if k < before {
                let run = |k: usize, state: &[*mut u8], to: &[*mut u8], frame: &mut Frame<'_>| {
                    let mut inputs: Addresses = state.iter().copied().collect();
                    inputs.extend(again.scanned.at(frame, slice(k)));
                    inputs.extend(again.shared.at(frame, 0));
                    let outputs: Addresses = to.iter().chain(&results).copied().collect();
                    body.invoke(frame, arena, &inputs, &outputs)
                };
                let (state, walked) = loop {
                    let (from, at, steps, to) = match checkpoints.back(k) {
                        Move::There(number) => break (slot(number), 0),
                        Move::Walk {
                            from,
                            at,
                            steps,
                            to,
                        } => (from, at, steps, to),
                    };
                    let mut state = slot(from);
                    for n in 0..steps {
                        let next = match to {
                            Some(_) if n + 1 == steps => slot(to),
                            _ => turn(arena, &layout.walk, n),
                        };
                        run(at + n, &state, &next, frame)?;
                        state = next;
                    }
                    if to.is_none() {
                        break (state, steps);
                    }
                };
                run(k, &state, &turn(arena, &layout.walk, walked), frame)?;
            }
            let i = slice(k);
            let parts = parts.at(frame, k.saturating_sub(before));
            let mut scanned = own.scanned.at(frame, i).into_iter();
            let mut inputs = own_state;
            inputs.extend(sources.iter().filter_map(|source| match source {
                Some(result) if k < before => Some(results[*result]),
                Some(result) => Some(parts[numbers[*result]]),
                None => scanned.next(),
            }));
            inputs.extend(own.shared.at(frame, i));
            let mut outputs: Addresses = match k == 0 {
                true => addresses(frame, &ends),
                false => turn(arena, &layout.carry, k),
            };
            let next = outputs.clone();
            outputs.extend(stacks.at(frame, i));
            backward.invoke(frame, arena, &inputs, &outputs)?;
            own_state = next;
        }
        Ok(())
    })
}

/// The buffers that step `k` writes to, of two for each value.
fn turn(arena: *mut u8, buffers: &[[usize; 2]], k: usize) -> Addresses {
    let all = buffers.iter();
    all.map(|pair| arena.wrapping_add(pair[k % 2])).collect()
}
