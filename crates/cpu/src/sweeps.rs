//! Loops of unknown length with three and more sweeps, of whose states a fixed number is kept.
//!
//! A step of a sweep reads what all earlier sweeps carried when they came to that step, and each sweep
//! goes the other way than the one before it. So what is known of sweep j is asked for against its own
//! direction, from where a walk of sweep j + 1 starts to where it ends: a way back over a part of the
//! steps, which has a [`Checkpoints`] of its own. To walk sweep j again is to go back over the same part
//! of sweep j - 1, and so on down to the first sweep, which reads nothing but itself.
//!
//! Each sweep but the last has slots. Half of them hold states that stay, spread evenly when the
//! sweep runs for the first time, and are where walks start; the other half belong to the walk. A slot
//! holds what all sweeps up to its own carried to that step, so nobody is asked for a step twice in
//! a row from two sides.

use std::ops::Range;
use std::sync::Arc;

use cotangent_compile::checkpoints::{Checkpoints, Move};
use cotangent_compile::{Flow, Layout};

use crate::RunError;
use crate::flow::{Addresses, Places, addresses, copy, is_true};
use crate::memory::{Frame, Run};
use crate::steps::Core;

/// The step that runs the sweeps, which carry so many values each and keep so many states each.
pub(crate) fn sweeps(
    flow: &Flow,
    carry: &[usize],
    slots: usize,
    test: Arc<Core>,
    bodies: Vec<Arc<Core>>,
    places: Places,
) -> Run {
    let layout = flow.layout();
    let mut end = 0;
    let own: Vec<Range<usize>> = (carry.iter())
        .map(|n| {
            end += n;
            end - n..end
        })
        .collect();
    Box::new(move |frame| {
        let args = addresses(frame, &places.args);
        let mut sweeps = Sweeps {
            layout: &layout,
            bodies: &bodies,
            places: &places,
            arena: frame.address(places.scratch),
            args: &args[..end],
            shared: &args[end..],
            outs: addresses(frame, &places.outs),
            own: &own,
            stay: slots / 2,
            walk: slots - slots / 2,
            steps: 0,
            known: own.iter().map(|_| Known::default()).collect(),
        };
        sweeps.first(frame, &test)?;
        (1..bodies.len()).try_for_each(|j| sweeps.further(frame, j))
    })
}

/// What is known of the states of a sweep.
#[derive(Default)]
struct Known {
    /// The states that stay: before which of its own steps, counted in its own direction, and in which slot.
    stay: Vec<(usize, usize)>,
    /// The walk over the part of the steps that starts at one of these, or at the start of all: where it
    /// starts, which states it keeps, and what it was asked for last.
    walk: Option<(usize, Checkpoints, usize)>,
}

struct Sweeps<'a> {
    layout: &'a Layout,
    bodies: &'a [Arc<Core>],
    places: &'a Places,
    arena: *mut u8,
    args: &'a [*mut u8],
    shared: &'a [*mut u8],
    outs: Addresses,
    /// What each sweep carries, among the operands.
    own: &'a [Range<usize>],
    /// The slots of each sweep for states that stay, and behind them those of its walks.
    stay: usize,
    walk: usize,
    steps: usize,
    known: Vec<Known>,
}

impl Sweeps<'_> {
    /// The first sweep, which says how many steps there are.
    fn first(&mut self, frame: &mut Frame<'_>, test: &Core) -> Result<(), RunError> {
        let flag = self.arena.wrapping_add(self.layout.test);
        let mut states = Checkpoints::new(self.stay);
        let mut state: Addresses = self.args[self.own[0].clone()].into();
        loop {
            let inputs: Addresses = state.iter().chain(self.shared).copied().collect();
            test.invoke(frame, self.arena, &inputs, &[flag])?;
            if !is_true(flag) {
                break;
            }
            if let Some(slot) = states.reach(self.steps) {
                self.keep(0, slot, &state);
            }
            let next = self.buffer(0, self.steps);
            self.step(frame, 0, &state, &next)?;
            state = next;
            self.steps += 1;
        }
        self.known[0].stay = states.kept().collect();
        self.give(0, &state);
        Ok(())
    }

    /// A further sweep, from its first step to its last.
    fn further(&mut self, frame: &mut Frame<'_>, j: usize) -> Result<(), RunError> {
        let apart = self.steps.div_ceil(self.stay + 1).max(1);
        let last = j + 1 == self.bodies.len();
        let mut state: Addresses = self.args[self.own[j].clone()].into();
        for k in 0..self.steps {
            let mut all = self.reach(frame, j - 1, self.place(j, k))?;
            all.extend_from_slice(&state);
            if !last && k > 0 && k.is_multiple_of(apart) {
                let slot = self.known[j].stay.len();
                self.keep(j, slot, &all);
                self.known[j].stay.push((k, slot));
            }
            let next = match k + 1 == self.steps {
                true => self.outs[self.own[j].clone()].into(),
                false => self.buffer(j, k),
            };
            self.step(frame, j, &all, &next)?;
            state = next;
        }
        if self.steps == 0 {
            self.give(j, &state);
        }
        Ok(())
    }

    /// Where everything stands that the sweeps up to one carried when they came to a place of the loop.
    /// Places are asked for against the direction of that sweep, until a walk starts anew. It stands there
    /// until the next one is asked for.
    fn reach(
        &mut self,
        frame: &mut Frame<'_>,
        j: usize,
        place: usize,
    ) -> Result<Addresses, RunError> {
        let k = self.place(j, place);
        let known = &mut self.known[j];
        let behind = known.stay.partition_point(|(at, _)| *at <= k);
        let stays = behind.checked_sub(1).map(|i| known.stay[i]);
        let base = stays.map_or(0, |(at, _)| at);
        match &mut known.walk {
            // The next walk of the sweep above begins, and stays behind where this one was.
            Some((start, states, last)) if *start == base && *last < k => states.again(),
            Some((start, ..)) if *start == base => {}
            walk => {
                let end = known.stay.get(behind).map_or(self.steps, |(at, _)| *at);
                let slots = self.walk.min(end.saturating_sub(base));
                *walk = Some((base, Checkpoints::new(slots), k));
            }
        }
        loop {
            let Some((_, states, last)) = &mut self.known[j].walk else {
                return Ok(Addresses::new());
            };
            *last = k;
            let (from, at, steps, to) = match states.back(k - base) {
                Move::There(Some(slot)) => return Ok(self.slot(j, self.stay + slot)),
                Move::There(None) => return self.start(frame, j, stays),
                Move::Walk {
                    from,
                    at,
                    steps,
                    to,
                } => (from, base + at, steps, to),
            };
            let mut all = match from {
                Some(slot) => self.slot(j, self.stay + slot),
                None => self.start(frame, j, stays)?,
            };
            for n in 0..steps {
                let next = match to {
                    Some(slot) if n + 1 == steps => {
                        self.slot(j, self.stay + slot)[self.own[j].clone()].into()
                    }
                    _ => self.buffer(j, n),
                };
                self.step(frame, j, &all, &next)?;
                all = self.below(frame, j, at + n + 1)?;
                all.extend_from_slice(&next);
            }
            match to {
                Some(slot) => {
                    let below = &all[..self.own[j].start];
                    self.keep(j, self.stay + slot, below);
                }
                None => return Ok(all),
            }
        }
    }

    /// Where a walk of a sweep starts: at a state that stays, or at the start of all.
    fn start(
        &mut self,
        frame: &mut Frame<'_>,
        j: usize,
        stays: Option<(usize, usize)>,
    ) -> Result<Addresses, RunError> {
        if let Some((_, slot)) = stays {
            return Ok(self.slot(j, slot));
        }
        let mut all = self.below(frame, j, 0)?;
        all.extend_from_slice(&self.args[self.own[j].clone()]);
        Ok(all)
    }

    /// What the sweeps before one carried when they came to its k-th step.
    fn below(&mut self, frame: &mut Frame<'_>, j: usize, k: usize) -> Result<Addresses, RunError> {
        match j.checked_sub(1) {
            Some(below) => self.reach(frame, below, self.place(j, k)),
            None => Ok(Addresses::new()),
        }
    }

    /// The place in the loop of the k-th step of a sweep, or the other way around.
    fn place(&self, j: usize, k: usize) -> usize {
        match j % 2 {
            0 => k,
            _ => self.steps - 1 - k,
        }
    }

    fn step(
        &self,
        frame: &mut Frame<'_>,
        j: usize,
        all: &[*mut u8],
        next: &[*mut u8],
    ) -> Result<(), RunError> {
        let inputs: Addresses = all.iter().chain(self.shared).copied().collect();
        self.bodies[j].invoke(frame, self.arena, &inputs, next)
    }

    /// The addresses in a slot of a sweep.
    fn slot(&self, j: usize, slot: usize) -> Addresses {
        let states = &self.layout.states[j];
        let start = self.arena.wrapping_add(states.start + slot * states.bytes);
        let offsets = self.layout.record[..self.own[j].end].iter();
        offsets.map(|offset| start.wrapping_add(*offset)).collect()
    }

    /// Where a sweep writes what it carries, in turn.
    fn buffer(&self, j: usize, turn: usize) -> Addresses {
        let buffers = match self.layout.states.get(j) {
            Some(states) => &states.walk,
            None => &self.layout.carry,
        };
        let buffers = buffers.iter();
        buffers
            .map(|b| self.arena.wrapping_add(b[turn % 2]))
            .collect()
    }

    /// Copies what stands at these addresses, the first values of a slot, into it.
    fn keep(&self, j: usize, slot: usize, values: &[*mut u8]) {
        let places = self.slot(j, slot).into_iter().zip(&self.places.args);
        for (from, (to, (_, bytes))) in values.iter().zip(places) {
            copy(*from, to, *bytes);
        }
    }

    /// Copies what a sweep ended with to the results.
    fn give(&self, j: usize, state: &[*mut u8]) {
        for (from, i) in state.iter().zip(self.own[j].clone()) {
            copy(*from, self.outs[i], self.places.outs[i].1);
        }
    }
}
