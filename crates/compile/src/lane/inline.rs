//! Values of one region computed by another that would read them.

use cotangent_graph::Op;
use cotangent_graph::ops::Binary;

use super::expand::{cost, delayed};
use super::{LaneInput, LaneOp, LaneOutput, LaneProgram};

/// Where a region that was put together reads an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// Where it did before, as this input.
    Own(usize),
    /// Where the region from which a value was taken reads this input.
    Other(usize),
}

/// The operations that a value of a region needs, by number, and the inputs.
pub(crate) struct Recipe {
    pub(crate) ops: Vec<usize>,
    pub(crate) inputs: Vec<usize>,
    /// About how many instructions these operations become.
    pub(crate) cost: usize,
}

impl LaneProgram {
    /// What a result of one float for each place is had from, by sums and products that cost at most so much together.
    pub(crate) fn recipe(&self, output: usize, most: usize) -> Option<Recipe> {
        let output = self.outputs.get(output)?;
        if output.fold.is_some() || !output.beside.is_empty() || !output.dtype.is_float() {
            return None;
        }
        let count = self.inputs.len();
        let (mut ops, mut inputs, mut total) = (Vec::new(), Vec::new(), 0);
        let mut open: Vec<usize> = vec![output.value as usize];
        while let Some(v) = open.pop() {
            let Some(k) = v.checked_sub(count) else {
                if !inputs.contains(&v) {
                    let input = &self.inputs[v];
                    if input.index.is_some() || input.pad.is_some() {
                        return None;
                    }
                    inputs.push(v);
                }
                continue;
            };
            if ops.contains(&k) {
                continue;
            }
            let op = self.ops.get(k)?;
            total += match op.op {
                Op::Full(..) => 0,
                _ => cost(&op.op),
            };
            if total > most || !is_arithmetic(&op.op) {
                return None;
            }
            ops.push(k);
            open.extend(op.args.iter().map(|a| *a as usize));
        }
        ops.sort_unstable();
        Some(Recipe {
            ops,
            inputs,
            cost: total,
        })
    }

    /// The region with a value that `other` computes in the place of some inputs, and where its inputs are read;
    /// `same` says which input of its own reads what an input of the other reads. `None` where a product would be
    /// rounded with a sum that was not before, or the other way round, so that bits would change.
    pub(crate) fn inlined(
        &self,
        places: &[usize],
        (other, value, recipe): (&LaneProgram, u32, &Recipe),
        same: impl Fn(usize, usize) -> bool,
    ) -> Option<(LaneProgram, Vec<Source>)> {
        if self.dims != other.dims || self.lanes != other.lanes || self.fma != other.fma {
            return None;
        }
        let kept = || (0..self.inputs.len()).filter(|i| !places.contains(i));
        let mut sources: Vec<Source> = kept().map(Source::Own).collect();
        // For each input of the other the one that it becomes.
        let mut theirs = vec![0_u32; other.inputs.len()];
        for j in &recipe.inputs {
            let wanted = other.inputs.get(*j)?;
            let known = sources.iter().position(|s| match s {
                Source::Own(i) => self.inputs[*i] == *wanted && same(*i, *j),
                Source::Other(_) => false,
            });
            *theirs.get_mut(*j)? = known.unwrap_or(sources.len()) as u32;
            if known.is_none() {
                sources.push(Source::Other(*j));
            }
        }
        let first = sources.len() as u32;
        let copied = |v: u32| -> Option<u32> {
            match (v as usize).checked_sub(other.inputs.len()) {
                None => theirs.get(v as usize).copied(),
                Some(k) => Some(first + recipe.ops.binary_search(&k).ok()? as u32),
            }
        };
        let taken = copied(value)?;
        let behind = first + recipe.ops.len() as u32;
        let own = |v: u32| -> u32 {
            match (v as usize).checked_sub(self.inputs.len()) {
                Some(k) => behind + k as u32,
                None => kept()
                    .position(|i| i == v as usize)
                    .map_or(taken, |i| i as u32),
            }
        };
        let mut ops: Vec<LaneOp> = Vec::with_capacity(recipe.ops.len() + self.ops.len());
        for k in &recipe.ops {
            ops.push(other.ops.get(*k)?.renumbered(copied)?);
        }
        for op in &self.ops {
            ops.push(op.renumbered(|v| Some(own(v)))?);
        }
        let outputs = self.outputs.iter().map(|o| o.renumbered(own)).collect();
        let inputs = sources.iter().map(|source| match source {
            Source::Own(i) => self.inputs[*i].renumbered(own),
            // A recipe reads nothing at indices.
            Source::Other(j) => other.inputs[*j].clone(),
        });
        let theirs = other.delayed();
        let before = recipe.ops.iter().map(|k| theirs[*k]);
        let before = before.chain(self.delayed()).collect();
        let region = self.with(inputs.collect(), ops, outputs, before)?;
        Some((region, sources))
    }

    /// The region without some results and what only these need, and the inputs that are left.
    pub(crate) fn without(&self, results: &[usize]) -> Option<(LaneProgram, Vec<usize>)> {
        let kept = |k: &usize| !results.contains(k);
        let outputs: Vec<&LaneOutput> = ((0..self.outputs.len()).filter(kept))
            .map(|k| &self.outputs[k])
            .collect();
        let count = self.inputs.len();
        let mut needed = vec![false; count + self.ops.len()];
        for o in &outputs {
            for v in [o.value].iter().chain(&o.beside) {
                *needed.get_mut(*v as usize)? = true;
            }
        }
        for (k, op) in self.ops.iter().enumerate().rev() {
            if needed[count + k] {
                for a in &op.args {
                    *needed.get_mut(*a as usize)? = true;
                }
            }
        }
        for i in 0..count {
            if let (true, Some(index)) = (needed[i], self.inputs[i].index) {
                *needed.get_mut(index.input as usize)? = true;
            }
        }
        // The new number of each value.
        let numbers: Vec<u32> = (needed.iter())
            .scan(0_u32, |next, needed| {
                let own = *next;
                *next += u32::from(*needed);
                Some(own)
            })
            .collect();
        let new = |v: u32| numbers[v as usize];
        let left: Vec<usize> = (0..count).filter(|i| needed[*i]).collect();
        let inputs = left.iter().map(|i| self.inputs[*i].renumbered(new));
        let kept = |k: &usize| needed[count + k];
        let ops = (0..self.ops.len()).filter(kept);
        let ops: Option<_> = ops
            .map(|k| self.ops[k].renumbered(|v| Some(new(v))))
            .collect();
        let outputs = outputs.iter().map(|o| o.renumbered(new)).collect();
        let before = self.delayed().into_iter().enumerate();
        let before = before.filter(|(k, _)| kept(k)).map(|(_, d)| d).collect();
        let region = self.with(inputs.collect(), ops?, outputs, before)?;
        Some((region, left))
    }

    fn delayed(&self) -> Vec<bool> {
        delayed(self.fma, self.inputs.len(), &self.ops, &self.outputs)
    }

    /// A region on the same places. `None` where other products than those of `before` are rounded with a sum.
    fn with(
        &self,
        inputs: Vec<LaneInput>,
        ops: Vec<LaneOp>,
        outputs: Vec<LaneOutput>,
        before: Vec<bool>,
    ) -> Option<LaneProgram> {
        if delayed(self.fma, inputs.len(), &ops, &outputs) != before {
            return None;
        }
        let dims = self.dims.clone();
        LaneProgram::new(self.lanes, self.fma, dims, inputs, ops, outputs).ok()
    }
}

impl LaneInput {
    fn renumbered(&self, new: impl Fn(u32) -> u32) -> LaneInput {
        let mut input = self.clone();
        if let Some(index) = &mut input.index {
            index.input = new(index.input);
        }
        input
    }
}

impl LaneOp {
    fn renumbered(&self, new: impl Fn(u32) -> Option<u32>) -> Option<LaneOp> {
        let args: Option<_> = self.args.iter().map(|a| new(*a)).collect();
        Some(LaneOp {
            args: args?,
            ..self.clone()
        })
    }
}

impl LaneOutput {
    fn renumbered(&self, new: impl Fn(u32) -> u32) -> LaneOutput {
        LaneOutput {
            value: new(self.value),
            beside: self.beside.iter().map(|v| new(*v)).collect(),
            ..self.clone()
        }
    }
}

/// Whether an operation is a sum or a product, or as cheap.
fn is_arithmetic(op: &Op) -> bool {
    matches!(op, Op::Full(..) | Op::Binary(Binary::Zmul)) || crate::fuse::is_cheap(op)
}
