//! Branches and loops: plans that run on addresses that change from step to step.

use std::ops::Range;
use std::sync::Arc;

use cotangent_compile::Flow;
use cotangent_compile::checkpoints::{Checkpoints, Move};
use smallvec::SmallVec;

use crate::RunError;
use crate::lane::Mode;
use crate::memory::{Frame, Kept, Memory, Run, Slot};
use crate::steps::Core;
use crate::{reversal, scan, sweeps};

/// Addresses of operands or results, mostly few.
pub(crate) type Addresses = SmallVec<[*mut u8; 16]>;

/// The operands, results and working memory of a flow; slots with their bytes.
pub(crate) struct Places {
    pub(crate) args: Vec<(Slot, usize)>,
    pub(crate) outs: Vec<(Slot, usize)>,
    pub(crate) scratch: Slot,
}

/// The step that runs a flow, with the cores of its bodies in their order.
pub(crate) fn choose(flow: &Flow, bodies: &[Arc<Core>], places: Places, mode: Mode) -> Option<Run> {
    match (flow, bodies) {
        (Flow::Cond { .. }, [then, otherwise]) => {
            Some(cond(then.clone(), otherwise.clone(), places))
        }
        (Flow::Scan { .. }, [body]) => scan::choose(flow, body, places, mode),
        (Flow::While { .. }, [test, body]) => {
            Some(repeat(flow, test.clone(), body.clone(), places))
        }
        (
            Flow::Sweeps {
                carry,
                checkpoints: Some(slots),
                ..
            },
            [test, forward, backward],
        ) => Some(there_and_back(
            flow,
            (carry.first().copied().unwrap_or(0), *slots),
            test.clone(),
            [forward.clone(), backward.clone()],
            places,
        )),
        (Flow::Forward(both), [body]) => Some(reversal::forward(both, body.clone(), places)),
        (Flow::Back(both), [body, backward]) => {
            let bodies = [body.clone(), backward.clone()];
            Some(reversal::back(both, bodies, places))
        }
        (
            Flow::Sweeps {
                carry,
                checkpoints: Some(slots),
                ..
            },
            [test, bodies @ ..],
        ) => {
            let bodies = bodies.to_vec();
            Some(sweeps::sweeps(
                flow,
                carry,
                *slots,
                test.clone(),
                bodies,
                places,
            ))
        }
        (Flow::Sweeps { carry, .. }, [test, bodies @ ..]) => Some(keeping_all(
            flow,
            carry,
            test.clone(),
            bodies.to_vec(),
            places,
        )),
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

/// Sweeps that keep all their states.
fn keeping_all(
    flow: &Flow,
    carry: &[usize],
    test: Arc<Core>,
    bodies: Vec<Arc<Core>>,
    places: Places,
) -> Run {
    let layout = flow.layout();
    let total: usize = carry.iter().sum();
    let mut end = 0;
    let ends: Vec<usize> = (carry.iter())
        .map(|n| {
            end += n;
            end
        })
        .collect();
    Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let flag = arena.wrapping_add(layout.test);
        let args = addresses(frame, &places.args);
        let shared = &args[total..];
        // Record k holds what the sweeps before the last one carried when they came to step k. The
        // last record of all is what the first sweep ended with.
        let mut kept = Records::new(layout.record_bytes);
        let at = |start: *mut u8, range: Range<usize>| {
            let offsets = layout.record.get(range).unwrap_or_default();
            offsets
                .iter()
                .map(move |offset| start.wrapping_add(*offset))
        };
        let mut steps = 0;
        for (j, (body, end)) in bodies.iter().zip(&ends).enumerate() {
            let own = end - carry_of(&ends, j)..*end;
            let last = j + 1 == bodies.len();
            let forward = j % 2 == 0;
            if j == 0 && !last {
                let first = kept.push(frame.kept)?;
                for (to, i) in at(first, own.clone()).zip(own.clone()) {
                    copy(args[i], to, places.args[i].1);
                }
                loop {
                    let mut inputs: Addresses = at(kept.start(steps), own.clone()).collect();
                    inputs.extend_from_slice(shared);
                    test.invoke(frame, arena, &inputs, &[flag])?;
                    if !is_true(flag) {
                        break;
                    }
                    let next = kept.push(frame.kept)?;
                    let next: Addresses = at(next, own.clone()).collect();
                    body.invoke(frame, arena, &inputs, &next)?;
                    steps += 1;
                }
                for (from, i) in at(kept.start(steps), own.clone()).zip(own) {
                    copy(from, frame.address(places.outs[i].0), places.outs[i].1);
                }
                continue;
            }
            // Where what this sweep carries stands before its next step.
            let mut state: Addresses = args[own.clone()].iter().copied().collect();
            let mut done = 0;
            loop {
                if j == 0 {
                    let inputs: Addresses = state.iter().chain(shared).copied().collect();
                    test.invoke(frame, arena, &inputs, &[flag])?;
                    if !is_true(flag) {
                        break;
                    }
                } else if done == steps {
                    break;
                }
                let step = if forward { done } else { steps - 1 - done };
                if !last && done == 0 {
                    let places_here: Addresses = at(kept.start(step), own.clone()).collect();
                    for ((to, from), i) in places_here.iter().zip(&state).zip(own.clone()) {
                        copy(*from, *to, places.args[i].1);
                    }
                    state = places_here;
                }
                let mut inputs: Addresses = at(kept.start(step), 0..own.start).collect();
                inputs.extend_from_slice(&state);
                inputs.extend_from_slice(shared);
                let next: Addresses = if j > 0 && done + 1 == steps {
                    (own.clone().map(|i| frame.address(places.outs[i].0))).collect()
                } else if last {
                    let buffers = layout.carry.iter();
                    buffers.map(|b| arena.wrapping_add(b[done % 2])).collect()
                } else {
                    let next = if forward { step + 1 } else { step - 1 };
                    at(kept.start(next), own.clone()).collect()
                };
                body.invoke(frame, arena, &inputs, &next)?;
                state = next;
                done += 1;
            }
            for (from, i) in state.iter().zip(own) {
                let to = frame.address(places.outs[i].0);
                if *from != to {
                    copy(*from, to, places.outs[i].1);
                }
            }
        }
        frame.kept.give_back(kept.total());
        Ok(())
    })
}

/// A sweep forward and one backward, with a fixed number of states kept in the working memory.
fn there_and_back(
    flow: &Flow,
    (first, slots): (usize, usize),
    test: Arc<Core>,
    [forward, backward]: [Arc<Core>; 2],
    places: Places,
) -> Run {
    let layout = flow.layout();
    let total = first + layout.carry.len();
    Box::new(move |frame| {
        let arena = frame.address(places.scratch);
        let flag = arena.wrapping_add(layout.test);
        let args = addresses(frame, &places.args);
        let outs = addresses(frame, &places.outs);
        let shared = &args[total..];
        let slot = |k: usize| -> Addresses {
            let start = arena.wrapping_add(layout.kept + k * layout.record_bytes);
            let offsets = layout.record.iter();
            offsets.map(|offset| start.wrapping_add(*offset)).collect()
        };
        let buffer = |k: usize| -> Addresses {
            let buffers = layout.walk.iter();
            buffers.map(|b| arena.wrapping_add(b[k % 2])).collect()
        };
        let inputs = |state: &[*mut u8], own: &[*mut u8]| -> Addresses {
            (state.iter().chain(own).chain(shared).copied()).collect()
        };
        let mut checkpoints = Checkpoints::new(slots);
        let mut state: Addresses = args[..first].iter().copied().collect();
        let mut steps = 0;
        loop {
            test.invoke(frame, arena, &inputs(&state, &[]), &[flag])?;
            if !is_true(flag) {
                break;
            }
            if let Some(k) = checkpoints.reach(steps) {
                for ((from, to), (_, bytes)) in state.iter().zip(slot(k)).zip(&places.args) {
                    copy(*from, to, *bytes);
                }
            }
            let next = buffer(steps);
            forward.invoke(frame, arena, &inputs(&state, &[]), &next)?;
            state = next;
            steps += 1;
        }
        for ((from, to), (_, bytes)) in state.iter().zip(&outs).zip(&places.args).take(first) {
            copy(*from, *to, *bytes);
        }
        let mut own: Addresses = args[first..total].iter().copied().collect();
        for done in 0..steps {
            let state = loop {
                let (from, walk, to) = match checkpoints.back(steps - 1 - done) {
                    Move::There(k) => break k.map_or_else(|| args[..first].into(), slot),
                    Move::Walk {
                        from, steps, to, ..
                    } => (from, steps, to),
                };
                let mut state: Addresses = from.map_or_else(|| args[..first].into(), slot);
                for k in 0..walk {
                    let next = match to {
                        Some(to) if k + 1 == walk => slot(to),
                        _ => buffer(k),
                    };
                    forward.invoke(frame, arena, &inputs(&state, &[]), &next)?;
                    state = next;
                }
                if to.is_none() {
                    break state;
                }
            };
            let next: Addresses = match done + 1 == steps {
                true => outs[first..].into(),
                false => {
                    let buffers = layout.carry.iter();
                    buffers.map(|b| arena.wrapping_add(b[done % 2])).collect()
                }
            };
            backward.invoke(frame, arena, &inputs(&state, &own), &next)?;
            own = next;
        }
        if steps == 0 {
            for (i, from) in own.iter().enumerate() {
                copy(*from, outs[first + i], places.outs[first + i].1);
            }
        }
        Ok(())
    })
}

fn carry_of(ends: &[usize], j: usize) -> usize {
    let start = if j == 0 { 0 } else { ends[j - 1] };
    ends[j] - start
}

/// What sweeps keep of the steps: records of one size, at addresses that stay. Chunks of them double
/// in size, so there are few, and pages that are not reached are never touched.
struct Records {
    bytes: usize,
    count: usize,
    chunks: Vec<Memory>,
}

impl Records {
    fn new(bytes: usize) -> Records {
        Records {
            bytes,
            count: 0,
            chunks: Vec::new(),
        }
    }

    /// The start of a further record.
    fn push(&mut self, limit: &mut Kept) -> Result<*mut u8, RunError> {
        limit.take(self.bytes)?;
        let (chunk, _) = Records::place(self.count);
        if chunk == self.chunks.len() {
            let bytes = self.bytes.saturating_mul(1 << chunk);
            self.chunks.push(limit.memory(bytes)?);
        }
        self.count += 1;
        Ok(self.start(self.count - 1))
    }

    /// The start of record `k`; any address where that has not been pushed.
    fn start(&self, k: usize) -> *mut u8 {
        let (chunk, number) = Records::place(k);
        let start = self
            .chunks
            .get(chunk)
            .map_or(std::ptr::null_mut(), Memory::start);
        start.wrapping_add(number * self.bytes)
    }

    /// The chunk of record `k` and its number in there: chunk c holds 2^c records.
    fn place(k: usize) -> (usize, usize) {
        let chunk = (k + 1).ilog2() as usize;
        (chunk, k + 1 - (1 << chunk))
    }

    /// The bytes of all records.
    fn total(&self) -> usize {
        self.count.saturating_mul(self.bytes)
    }
}

pub(crate) fn addresses(frame: &Frame<'_>, places: &[(Slot, usize)]) -> Addresses {
    places
        .iter()
        .map(|(slot, _)| frame.address(*slot))
        .collect()
}

pub(crate) fn is_true(flag: *mut u8) -> bool {
    // SAFETY: the plan was checked: a bool stands here, and it has been written.
    unsafe { *flag != 0 }
}

pub(crate) fn copy(from: *mut u8, to: *mut u8, bytes: usize) {
    // SAFETY: the plan was checked: both places hold this many bytes and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
}
