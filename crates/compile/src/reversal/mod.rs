//! A loop and the loop that goes back over its steps, where what the second reads of the first is kept
//! for a part of the steps only.
//!
//! A scan that reverse mode has taken apart stacks what its derivative needs of every step. Here the
//! stacks hold the last steps alone, which are read first on the way back. For the steps before them
//! the carried values of some are kept, binomially spread ([`crate::checkpoints`]), and a step is run
//! again when the way back comes to it. Both loops run the plans that they ran before, so that no bit
//! of a result depends on what is kept.

mod find;

use std::sync::Arc;

use cotangent_array::DType;
use cotangent_graph::TensorType;
use cotangent_graph::ops::region::stacked;

use crate::checkpoints;
use crate::flow::{Layout, expect, types};
use crate::plan::{Plan, Step};

pub(crate) use find::{Pair, apply, hold, pairs};

/// A loop of a known number of steps: its body, and how its operands and results are used.
#[derive(Clone, Debug)]
pub struct Loop {
    /// One step.
    pub body: Arc<Plan>,
    /// How many operands are carried from step to step; as many results come first.
    pub carry: usize,
    /// How many operands are read slice by slice, after those that are carried. The rest are the same
    /// in every step.
    pub scanned: usize,
}

/// What the two loops agree on.
#[derive(Clone, Debug)]
pub struct Reversal {
    /// The loop whose steps are run again.
    pub forward: Loop,
    /// The loop that takes the same steps in the opposite order.
    pub backward: Loop,
    /// The number of steps of each.
    pub length: usize,
    /// Whether the forward loop starts with the last slice.
    pub reverse: bool,
    /// For each stacked result of the forward loop: whether only a part is kept.
    pub partial: Vec<bool>,
    /// For each slice that a step back reads: the stacked result of the forward loop that it is, where
    /// only a part of that is kept.
    pub sources: Vec<Option<usize>>,
    /// For how many of the last steps of the forward loop the partial results are kept.
    pub kept: usize,
    /// How many states of the steps before those are kept, beside the first.
    pub slots: usize,
}

impl Loop {
    fn inputs(&self) -> Vec<TensorType> {
        types(&self.body.inputs)
    }

    /// The types of a loop's operands: carried, scanned and shared.
    fn operands(&self, length: usize) -> [Vec<TensorType>; 3] {
        let mut carried = self.inputs();
        let mut scanned = carried.split_off(self.carry.min(carried.len()));
        let shared = scanned.split_off(self.scanned.min(scanned.len()));
        let scanned = scanned.iter().map(|t| stacked(t, length)).collect();
        [carried, scanned, shared]
    }

    /// The types of what a step gives for stacks.
    pub fn slices(&self) -> &[TensorType] {
        self.body.outputs.get(self.carry..).unwrap_or_default()
    }

    fn carried(&self) -> &[TensorType] {
        self.body.outputs.get(..self.carry).unwrap_or_default()
    }
}

impl Reversal {
    /// How many steps are run again, those included that only lead to another one.
    pub fn again(&self) -> usize {
        let steps = self.length - self.kept.min(self.length);
        checkpoints::steps_back(steps, self.slots).saturating_add(steps)
    }

    /// The memory that the forward loop works in.
    pub fn layout_forward(&self) -> Layout {
        let mut layout = Layout::above(self.forward.body.arena);
        layout.carry = layout.pairs(self.forward.carried());
        self.add_state(&mut layout);
        for (t, partial) in self.forward.slices().iter().zip(&self.partial) {
            let bytes = if *partial { t.bytes() } else { 0 };
            let at = layout.take(bytes);
            layout.results.push(at);
        }
        layout
    }

    /// The memory that the backward loop works in.
    pub fn layout_back(&self) -> Layout {
        let bodies = [&self.forward.body, &self.backward.body];
        let mut layout = Layout::above(bodies.map(|p| p.arena).into_iter().max().unwrap_or(0));
        layout.carry = layout.pairs(self.backward.carried());
        layout.walk = layout.pairs(self.forward.carried());
        self.add_state(&mut layout);
        for t in self.forward.slices() {
            let at = layout.take(t.bytes());
            layout.results.push(at);
        }
        layout
    }

    /// Where each carried value stands in a kept state.
    fn add_state(&self, layout: &mut Layout) {
        for t in self.forward.carried() {
            layout.record.push(layout.record_bytes);
            // Every element type is aligned to 8 bytes.
            let bytes = t.bytes().checked_next_multiple_of(8).unwrap_or(usize::MAX);
            layout.record_bytes = layout.record_bytes.saturating_add(bytes);
        }
    }

    /// The type of the kept states, as bytes.
    pub(crate) fn states(&self) -> TensorType {
        let bytes = self.layout_forward().record_bytes;
        TensorType::new(DType::U8, [self.slots.saturating_mul(bytes)])
    }

    /// The types of the parts of results that are kept.
    pub(crate) fn parts(&self) -> Vec<TensorType> {
        let slices = self.forward.slices().iter().zip(&self.partial);
        let partial = slices.filter(|(_, partial)| **partial);
        partial.map(|(t, _)| stacked(t, self.kept)).collect()
    }

    /// Checks the operands and results of the forward loop: those of the scan, then the parts of stacks
    /// that are kept, then the states.
    pub(crate) fn check_forward(&self, step: &Step) -> Result<(), String> {
        self.check_own()?;
        let [args, outs] = found(step);
        expect(
            args == self.forward.operands(self.length).concat(),
            "the operands are those of the forward loop",
        )?;
        let slices = self.forward.slices().iter().zip(&self.partial);
        let whole = slices.filter(|(_, partial)| !**partial);
        let mut want = self.forward.carried().to_vec();
        want.extend(whole.map(|(t, _)| stacked(t, self.length)));
        want.extend(self.parts());
        want.push(self.states());
        expect(want == outs, "the results are those of the forward loop")
    }

    /// Checks the operands and results of the backward loop: its own operands that are no partial
    /// results, the operands of the forward loop, the parts, the states.
    pub(crate) fn check_back(&self, step: &Step) -> Result<(), String> {
        self.check_own()?;
        let [args, outs] = found(step);
        let [carried, scanned, shared] = self.backward.operands(self.length);
        let mut want = carried;
        let own = scanned.into_iter().zip(&self.sources);
        want.extend(own.filter(|(_, source)| source.is_none()).map(|(t, _)| t));
        want.extend(shared);
        want.extend(self.forward.operands(self.length).concat());
        want.extend(self.parts());
        want.push(self.states());
        expect(want == args, "the operands are those of both loops")?;
        let mut want = self.backward.carried().to_vec();
        let slices = self.backward.slices().iter();
        want.extend(slices.map(|t| stacked(t, self.length)));
        expect(want == outs, "the results are those of the backward loop")?;
        let states = step.args.last().map(|a| a.place);
        let others = step.args.iter().rev().skip(1);
        expect(
            others.clone().all(|a| Some(a.place) != states) || self.slots == 0,
            "nobody else reads the states",
        )
    }

    fn check_own(&self) -> Result<(), String> {
        expect(
            self.partial.len() == self.forward.slices().len()
                && self.sources.len() == self.backward.scanned,
            "each result and each slice says what is kept of it",
        )?;
        expect(self.kept <= self.length, "no more is kept than there is")?;
        let inputs = self.backward.inputs();
        for (source, ty) in self
            .sources
            .iter()
            .zip(inputs.iter().skip(self.backward.carry))
        {
            let Some(source) = *source else { continue };
            let slice = self.forward.slices().get(source);
            expect(
                self.partial.get(source) == Some(&true)
                    && slice.is_some_and(|t| t.dtype == ty.dtype && t.bytes() == ty.bytes()),
                "a slice is a partial result of the forward loop",
            )?;
        }
        for part in [&self.forward, &self.backward] {
            expect(
                part.inputs().get(..part.carry) == Some(part.carried()),
                "the body keeps the types of what is carried",
            )?;
        }
        Ok(())
    }
}

fn found(step: &Step) -> [Vec<TensorType>; 2] {
    let all = |operands: &[crate::Operand]| operands.iter().map(|o| (*o.ty).clone()).collect();
    [all(&step.args), all(&step.outs)]
}
