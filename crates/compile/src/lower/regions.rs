//! Regions: what they read and how, their loops, their instructions.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cotangent_array::Scalar;
use cotangent_graph::{FastHasher, FastMap, Var};
use smallvec::{SmallVec, smallvec};

use super::{Lower, Value, is_looked_through};
use crate::CompileError;
use crate::fuse::{self, Fusion, Group, Pattern, Patterns, Unit, is_view};
use crate::lane::{self, LaneIndex, LaneInput, LaneOp, LaneOutput, LaneProgram, Lanes};
use crate::plan::{Operand, Step, StepOp};
use crate::{planes, turned};

/// A region, and the bytes of working memory that it takes.
#[derive(Clone)]
pub(super) struct Written {
    program: Arc<LaneProgram>,
    scratch: usize,
}

impl Lower<'_> {
    /// Notes what is read from outside its region.
    pub(super) fn find_regions(&mut self, fusion: &Fusion) {
        let graph = self.graph;
        let Fusion {
            units, patterns, ..
        } = fusion;
        let regions = units.iter().filter(|u| matches!(u, Unit::Region(_)));
        let mut own = regions.count() as u32 + 1;
        for output in graph.outputs() {
            let root = self.root(*output);
            self.read_outside[root.index()] = true;
        }
        // Readers first: what is only looked through reads nothing itself.
        for unit in units.iter().rev() {
            match unit {
                Unit::Single(v) => {
                    let e = graph.equation(*v);
                    let inside = is_looked_through(graph, e) && !self.read_outside[v.index()];
                    if !is_view(graph, e) && !inside {
                        let mut args: SmallVec<[Var; 3]> = e.args.iter().copied().collect();
                        if let Some(source) = planes::sources(graph, e).pop() {
                            args.remove(0);
                            args.extend(source.arrays);
                        } else if let Some(source) = turned::source(graph, e) {
                            args = SmallVec::from_slice(&source.args);
                        } else if let Some(source) = self.picked(*v, e) {
                            args = SmallVec::from_slice(&source.args);
                        }
                        for a in &args {
                            let root = self.root(*a);
                            self.read_outside[root.index()] = true;
                        }
                    }
                }
                Unit::Region(group) => {
                    own -= 1;
                    self.enter(group, own);
                    for v in &group.members {
                        for a in &graph.equation(*v).args {
                            let root = self.root(*a);
                            let inside = self.region[root.index()] == own
                                || self.read_outside[root.index()]
                                || (patterns.get(root).is_some() && group.is_spread(root));
                            if !inside {
                                self.read_outside[root.index()] = true;
                            }
                        }
                    }
                    for b in &group.spread {
                        if let Some(pattern) = patterns.get(*b) {
                            let index = pattern.chosen.map(|c| c.index);
                            for read in [pattern.source].into_iter().chain(index) {
                                let root = self.root(read);
                                self.read_outside[root.index()] = true;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Notes that variables are in a region; those that run anew in several are in the last one that was entered.
    fn enter(&mut self, group: &Group, own: u32) {
        for v in &group.members {
            self.region[v.index()] = own;
        }
    }

    /// The number of a variable among the values of a region.
    fn number(&self, region: u32, v: Var) -> Option<u32> {
        let (of, number) = self.numbers[v.index()];
        (of == region).then_some(number)
    }

    /// The step of a region.
    pub(super) fn region(
        &mut self,
        group: &Group,
        patterns: &Patterns,
    ) -> Result<(), CompileError> {
        let graph = self.graph;
        let mut dims: SmallVec<[usize; 4]> = SmallVec::new();
        let mut whole = group.elements;
        for cut in group.cuts.iter().rev() {
            dims.push(whole / (*cut).max(1));
            whole = *cut;
        }
        dims.push(whole);
        let most = group.reads();
        let mut args: SmallVec<[Operand; 2]> = SmallVec::with_capacity(most);
        let mut inputs: Vec<LaneInput> = Vec::with_capacity(most);
        self.regions += 1;
        let own = self.regions;
        self.enter(group, own);
        let mut choices: FastMap<Var, u32> = FastMap::default();
        // Inputs first, since their numbers come first.
        for v in &group.members {
            if fuse::reduction(graph.equation(*v)).is_some() {
                continue;
            }
            for a in &graph.equation(*v).args {
                let root = self.root(*a);
                let inside = self.region[root.index()] == own;
                if inside || graph.splat(root).is_some() || self.number(own, root).is_some() {
                    continue;
                }
                let through = patterns.get(root).filter(|_| group.is_spread(root));
                let (operand, mut input, chosen) =
                    self.region_input(root, through, group, &dims)?;
                self.numbers[root.index()] = (own, inputs.len() as u32);
                if let (Some(chosen), Some(index)) = (chosen, &mut input.index) {
                    // Columns of one table are read at the same indices, which stand behind the first.
                    index.input = *choices.entry(chosen).or_insert(inputs.len() as u32 + 1);
                    let first = index.input as usize == inputs.len() + 1;
                    inputs.push(input);
                    args.push(operand);
                    if first {
                        let (operand, input) = self.indices(chosen, group, &dims)?;
                        inputs.push(input);
                        args.push(operand);
                    }
                    continue;
                }
                inputs.push(input);
                args.push(operand);
            }
        }
        let mut ops: Vec<LaneOp> = Vec::with_capacity(group.members.len());
        let (mut results, mut outs) = (Vec::new(), SmallVec::new());
        let mut constants: FastMap<Scalar, u32> = FastMap::default();
        let first = inputs.len() as u32;
        for v in &group.members {
            let e = graph.equation(*v);
            let ty = self.ty_of(*v)?;
            if let Some((fold, axes, x)) = fuse::reduction(e) {
                let root = self.root(x);
                let operand = self.ty_of(x)?;
                let outer = fuse::leading_axes(&operand, axes);
                let run = outer.or(fuse::inner_axes(&operand, axes));
                let run = run.unwrap_or(group.elements);
                let mut kept = dims.len();
                let mut inner = 1_usize;
                while inner < run && kept > 0 {
                    kept -= 1;
                    inner = inner.saturating_mul(dims[kept]);
                }
                let Some(value) = self.number(own, root) else {
                    return Err(self.malformed("a reduction of a value outside its region"));
                };
                results.push(LaneOutput {
                    value,
                    beside: Vec::new(),
                    dtype: ty.dtype,
                    fold: Some((fold, kept)),
                    leading: outer.is_some(),
                });
            } else {
                let mut values = SmallVec::new();
                for a in &e.args {
                    let root = self.root(*a);
                    let known = match (self.number(own, root), graph.splat(root)) {
                        (Some(number), _) => number,
                        (None, Some(x)) => *constants.entry(x).or_insert_with(|| {
                            ops.push(lane::full(x));
                            first + ops.len() as u32 - 1
                        }),
                        _ => return Err(self.malformed("a region reads an unknown value")),
                    };
                    values.push(known);
                }
                let mut values: SmallVec<[u32; 3]> = values;
                // Results that stand side by side are values that are there already.
                let value = if fuse::is_stack(graph, e) {
                    match values.is_empty() {
                        true => return Err(self.malformed("nothing stands side by side")),
                        false => values.remove(0),
                    }
                } else {
                    let args = std::mem::take(&mut values);
                    let (op, dtype) = (e.op.clone(), ty.dtype);
                    ops.push(LaneOp { op, dtype, args });
                    let value = first + ops.len() as u32 - 1;
                    self.numbers[v.index()] = (own, value);
                    if !self.read_outside[v.index()] || self.anew[v.index()] {
                        continue;
                    }
                    value
                };
                results.push(LaneOutput {
                    value,
                    beside: values.to_vec(),
                    dtype: ty.dtype,
                    fold: None,
                    leading: false,
                });
            }
            let place = self.result(*v, 0);
            self.values[v.index()] = Value::Stored(place);
            outs.push(Operand { place, ty });
        }
        let lanes = group.lanes.unwrap_or(Lanes::W32);
        let Written { program, scratch } = self.program(lanes, dims, inputs, ops, results)?;
        let location = group
            .members
            .first()
            .and_then(|v| graph.equation(*v).location);
        self.plan.steps.push(Step {
            op: StepOp::Region(program),
            args,
            outs,
            scratch: 0..scratch,
            location,
            again: false,
        });
        Ok(())
    }

    /// The region of this content.
    fn program(
        &mut self,
        lanes: Lanes,
        dims: SmallVec<[usize; 4]>,
        inputs: Vec<LaneInput>,
        ops: Vec<LaneOp>,
        outputs: Vec<LaneOutput>,
    ) -> Result<Written, CompileError> {
        let mut hasher = FastHasher::default();
        (lanes, &dims, &ops, inputs.len(), outputs.len()).hash(&mut hasher);
        (inputs.iter()).for_each(|input| input.start.hash(&mut hasher));
        let hash = hasher.finish();
        let same = |p: &LaneProgram| {
            let all = (p.lanes, &p.dims, &p.inputs, &p.ops, &p.outputs);
            all == (lanes, &dims, &inputs, &ops, &outputs)
        };
        let known = self.programs.entry(hash).or_default();
        if let Some(written) = known.iter().find(|written| same(&written.program)) {
            return Ok(written.clone());
        }
        let program = LaneProgram::new(lanes, self.target.fma, dims, inputs, ops, outputs);
        let program = match program {
            Ok(program) => Arc::new(program),
            Err(message) => return Err(self.malformed(&message)),
        };
        let written = Written {
            scratch: program.scratch(),
            program,
        };
        known.push(written.clone());
        Ok(written)
    }

    /// What a region reads for a variable, and how.
    fn region_input(
        &mut self,
        root: Var,
        through: Option<&Pattern>,
        group: &Group,
        dims: &[usize],
    ) -> Result<(Operand, LaneInput, Option<Var>), CompileError> {
        let source = through.map_or(root, |pattern| pattern.source);
        let operand = match self.values[source.index()].clone() {
            Value::Spread(one) => one,
            _ => self.stored(source)?,
        };
        let whole = |stride| Pattern {
            source,
            start: 0,
            loops: smallvec![(group.elements, stride)],
            chosen: None,
            step: 1,
            pad: None,
        };
        let plain;
        let pattern = match through {
            Some(pattern) if pattern.chosen.is_some() || pattern.pad.is_some() => pattern,
            Some(pattern) if operand.elements() != 1 => pattern,
            _ => {
                plain = whole(usize::from(operand.elements() != 1));
                &plain
            }
        };
        let chosen = pattern.chosen;
        // What is the same everywhere has one element in memory.
        let one = operand.elements() == 1;
        let input = LaneInput {
            dtype: operand.ty.dtype,
            start: if one { 0 } else { pattern.start },
            strides: match (one, pattern.pad) {
                // The only element stands at every place of the middle.
                (true, Some(_)) => SmallVec::from_elem(0, dims.len()),
                _ => strides_of(&pattern.loops, dims),
            },
            // Which input it is is known when that has been placed.
            index: chosen.map(|c| LaneIndex {
                input: 0,
                step: if one { 0 } else { pattern.step },
                length: c.length,
            }),
            pad: pattern.pad,
        };
        Ok((operand, input, chosen.map(|c| c.index)))
    }

    /// The indices of a choice of elements, one for each place of a region.
    fn indices(
        &mut self,
        index: Var,
        group: &Group,
        dims: &[usize],
    ) -> Result<(Operand, LaneInput), CompileError> {
        let operand = self.stored(index)?;
        let input = LaneInput {
            dtype: operand.ty.dtype,
            start: 0,
            strides: strides_of(&[(group.elements, 1)], dims),
            index: None,
            pad: None,
        };
        Ok((operand, input))
    }
}

/// The strides of a pattern's loops, from the outermost, divided into those of a region.
fn strides_of(loops: &[(usize, usize)], dims: &[usize]) -> SmallVec<[usize; 4]> {
    let mut strides: SmallVec<[usize; 4]> = SmallVec::from_elem(0, dims.len());
    let mut loops = loops.iter().rev().copied();
    let (mut left, mut stride) = loops.next().unwrap_or((1, 0));
    for (n, slot) in dims.iter().zip(strides.iter_mut()).rev() {
        if left <= 1 {
            (left, stride) = loops.next().unwrap_or((1, 0));
        }
        *slot = stride;
        stride = stride.saturating_mul(*n);
        left /= (*n).max(1);
    }
    strides
}
