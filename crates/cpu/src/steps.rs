//! The steps of a plan as kernels: what a program runs.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::Scalar;
use cotangent_compile::{Flow, Operand, Place, Plan, Step, StepOp};
use cotangent_graph::FastMap;
use smallvec::SmallVec;

use crate::RunError;
use crate::flow;
use crate::kernels::{self, Arg, Site};
use crate::lane::{self, Mode};
use crate::memory::{Frame, Run, Slot};
use crate::native;
use crate::pool;

/// How often a loop of unknown length is thought to run, to decide whether workers are woken for it.
const UNKNOWN_TURNS: u64 = 20;

/// The kernels of one plan; the plans that it calls have cores of their own.
pub(crate) struct Core {
    pub(crate) plan: Arc<Plan>,
    /// Numbers that stand everywhere, each in the first bytes of a place of 16.
    numbers: Vec<[u64; 2]>,
    pub(crate) steps: Vec<Run>,
    /// The number of addresses that a run needs, called plans included.
    pub(crate) depth: usize,
    /// The bytes of working memory that each further thread wants, called plans included.
    pub(crate) spare: usize,
    /// About how many nanoseconds the steps take that can be divided, those of called plans included.
    pub(crate) work: u64,
}

/// The order of addresses in a table: the arena, the numbers, then inputs, constants, outputs.
const ARENA: u32 = 0;
const NUMBERS: u32 = 1;
pub(crate) const INPUTS: u32 = 2;

impl Core {
    /// The plan has been checked, and `cores` holds those that it calls.
    pub(crate) fn new(
        plan: Arc<Plan>,
        cores: &HashMap<*const Plan, Arc<Core>>,
        mode: Mode,
    ) -> Result<Core, RunError> {
        let own = 2 + plan.inputs.len() + plan.constants.len() + plan.outputs.len();
        let mut core = Core {
            plan: plan.clone(),
            numbers: Vec::new(),
            steps: Vec::new(),
            depth: own,
            spare: 0,
            work: 0,
        };
        for step in &plan.steps {
            let turns = match &step.op {
                StepOp::Flow(Flow::Scan { length, .. }) => *length as u64,
                StepOp::Flow(Flow::Forward(loops) | Flow::Back(loops)) => loops.length as u64,
                StepOp::Flow(Flow::While { .. } | Flow::Sweeps { .. }) => UNKNOWN_TURNS,
                _ => 1,
            };
            for callee in step.op.callees() {
                if let Some(callee) = cores.get(&Arc::as_ptr(callee)) {
                    core.spare = core.spare.max(callee.spare);
                    let work = callee.work.saturating_mul(turns);
                    core.work = core.work.saturating_add(work);
                }
            }
            core.work = core.work.saturating_add(pool::dividable(step));
        }
        let mut known = FastMap::default();
        core.steps.reserve_exact(plan.steps.len());
        for (i, step) in plan.steps.iter().enumerate() {
            let run = match &step.op {
                StepOp::Call(callee) => match cores.get(&Arc::as_ptr(callee)) {
                    Some(callee) => {
                        core.depth = core.depth.max(own + callee.depth);
                        Some(core.call(step, callee.clone(), &mut known))
                    }
                    None => None,
                },
                StepOp::Flow(flow) => {
                    let bodies: Option<Vec<Arc<Core>>> = flow
                        .plans()
                        .iter()
                        .map(|(_, p)| cores.get(&Arc::as_ptr(p)).cloned())
                        .collect();
                    let bodies = bodies.unwrap_or_default();
                    let below = bodies.iter().map(|b| b.depth).max().unwrap_or(0);
                    core.depth = core.depth.max(own + below);
                    core.flow(step, flow, &bodies, &mut known, mode)
                }
                StepOp::Native(op) => {
                    let args = step.args.iter().map(|a| core.arg(a, &mut known)).collect();
                    let outs = step.outs.iter().map(|o| core.arg(o, &mut known)).collect();
                    Some(native::call(op.clone(), args, outs))
                }
                StepOp::Region(region) => {
                    let work = pool::nanoseconds(step);
                    if work >= pool::DIVIDE {
                        core.spare = core.spare.max(step.scratch.len());
                    }
                    lane::choose(region, core.places(step, &mut known), mode, work)
                }
                StepOp::Rows(block) => {
                    let work = pool::nanoseconds(step);
                    if work >= pool::DIVIDE && block.may_be_divided() {
                        core.spare = core.spare.max(step.scratch.len());
                    }
                    lane::choose_rows(block, core.places(step, &mut known), mode, work)
                }
                StepOp::Tape(tape) => lane::choose_tape(tape, core.places(step, &mut known), mode),
                _ => core.kernel(step, &mut known),
            };
            match run {
                Some(run) => core.steps.push(run),
                None => {
                    let message = format!(
                        "step {i} ({}) has no kernel, or too little memory",
                        step.op.name()
                    );
                    return Err(RunError::Plan(message));
                }
            }
        }
        // Not a multiple of the size of a page, so that threads meet at different lines of a cache.
        if core.spare > 0 {
            core.spare = core.spare.next_multiple_of(128) | 64;
        }
        Ok(core)
    }

    /// Runs all steps, by those threads of the team that help at present.
    pub(crate) fn run_now(&self, frame: &mut Frame<'_>) -> Result<(), RunError> {
        if self.work > 0 {
            frame.team = frame.team.at_present(self.work);
        }
        self.run(frame)
    }

    pub(crate) fn run(&self, frame: &mut Frame<'_>) -> Result<(), RunError> {
        for (i, step) in self.steps.iter().enumerate() {
            if let Err(source) = step(frame) {
                return Err(self.failed(i, source));
            }
        }
        Ok(())
    }

    /// The error of a step, with its name and place.
    pub(crate) fn failed(&self, step: usize, source: RunError) -> RunError {
        let step = self.plan.steps.get(step);
        RunError::Op {
            op: step.map_or_else(String::new, |s| s.op.name().to_owned()),
            location: step.and_then(|s| s.location),
            source: Box::new(source),
        }
    }

    pub(crate) fn push_own(&self, bases: &mut Vec<*mut u8>) {
        bases.push(self.numbers.as_ptr().cast_mut().cast());
    }

    pub(crate) fn push_constants(&self, bases: &mut Vec<*mut u8>) {
        let constants = self.plan.constants.iter();
        bases.extend(constants.map(|array| array.as_bytes().as_ptr().cast_mut()));
    }

    fn kernel(&mut self, step: &Step, known: &mut FastMap<Scalar, usize>) -> Option<Run> {
        let out = step.outs.first()?;
        let args: SmallVec<[Arg; 3]> = step.args.iter().map(|a| self.arg(a, known)).collect();
        let outs: SmallVec<[Arg; 1]> = step.outs.iter().map(|o| self.arg(o, known)).collect();
        let out_arg = outs.first()?;
        let in_place = out.range().is_some_and(|own| {
            !own.is_empty() && step.args.iter().any(|a| a.range().as_ref() == Some(&own))
        });
        let spare = Cell::new(self.spare);
        let site = Site {
            args: &args,
            out: out_arg,
            outs: &outs,
            scratch: Slot {
                base: ARENA,
                offset: step.scratch.start,
                len: step.scratch.len(),
            },
            in_place,
            work: pool::nanoseconds(step),
            spare: &spare,
        };
        let run = match &step.op {
            StepOp::Copy => kernels::copy(&site),
            StepOp::Abreast(ops) => kernels::abreast(ops, &site),
            StepOp::Op(op)
            | StepOp::Planes(op, _)
            | StepOp::Turned(op, _)
            | StepOp::Picked(op, _)
            | StepOp::Triangular(op, _) => {
                if step.scratch.len() < kernels::scratch(&step.op, &step.types(), &out.ty) {
                    return None;
                }
                match &step.op {
                    StepOp::Planes(op, planes) => kernels::planes(op, planes, &site),
                    StepOp::Turned(op, front) => kernels::turned(op, *front, &site),
                    StepOp::Picked(op, picked) => kernels::picked(op, picked, &site),
                    StepOp::Triangular(op, bands) => kernels::triangular(op, bands, &site),
                    _ => kernels::choose(op, &site),
                }
            }
            StepOp::Call(_)
            | StepOp::Flow(_)
            | StepOp::Region(_)
            | StepOp::Rows(_)
            | StepOp::Tape(_)
            | StepOp::Native(_) => None,
        };
        self.spare = spare.get();
        run
    }

    /// Where the operands, results and working memory of a region or tape stand.
    fn places(&mut self, step: &Step, known: &mut FastMap<Scalar, usize>) -> lane::Places {
        lane::Places {
            args: step.args.iter().map(|o| self.arg(o, known).slot).collect(),
            outs: step.outs.iter().map(|o| self.arg(o, known).slot).collect(),
            scratch: Slot {
                base: ARENA,
                offset: step.scratch.start,
                len: step.scratch.len(),
            },
        }
    }

    fn call(&mut self, step: &Step, callee: Arc<Core>, known: &mut FastMap<Scalar, usize>) -> Run {
        let slots = |core: &mut Core, operands: &[Operand], known: &mut _| -> Vec<Slot> {
            operands.iter().map(|o| core.arg(o, known).slot).collect()
        };
        let inputs = slots(self, &step.args, known);
        let outputs = slots(self, &step.outs, known);
        let arena = Slot {
            base: ARENA,
            offset: step.scratch.start,
            len: step.scratch.len(),
        };
        Box::new(move |frame| {
            let arena = frame.address(arena);
            let inputs = inputs.iter().map(|slot| frame.address(*slot));
            let inputs: SmallVec<[*mut u8; 16]> = inputs.collect();
            let outputs = outputs.iter().map(|slot| frame.address(*slot));
            let outputs: SmallVec<[*mut u8; 16]> = outputs.collect();
            callee.invoke(frame, arena, &inputs, &outputs)
        })
    }

    fn flow(
        &mut self,
        step: &Step,
        flow: &Flow,
        bodies: &[Arc<Core>],
        known: &mut FastMap<Scalar, usize>,
        mode: Mode,
    ) -> Option<Run> {
        let args = step
            .args
            .iter()
            .map(|o| (self.arg(o, known).slot, o.ty.bytes()))
            .collect();
        let outs = step
            .outs
            .iter()
            .map(|o| (self.arg(o, known).slot, o.ty.bytes()))
            .collect();
        let scratch = Slot {
            base: ARENA,
            offset: step.scratch.start,
            len: step.scratch.len(),
        };
        flow::choose(
            flow,
            bodies,
            flow::Places {
                args,
                outs,
                scratch,
            },
            mode,
        )
    }

    /// Runs as a part of another plan, on addresses of inputs and outputs.
    pub(crate) fn invoke(
        &self,
        frame: &mut Frame<'_>,
        arena: *mut u8,
        inputs: &[*mut u8],
        outputs: &[*mut u8],
    ) -> Result<(), RunError> {
        let start = frame.bases.len();
        frame.bases.push(arena);
        self.push_own(frame.bases);
        frame.bases.extend_from_slice(inputs);
        self.push_constants(frame.bases);
        frame.bases.extend_from_slice(outputs);
        let result = self.run(&mut Frame {
            bases: frame.bases,
            start,
            kept: frame.kept,
            team: frame.team,
        });
        frame.bases.truncate(start);
        result
    }

    fn arg(&mut self, operand: &Operand, known: &mut FastMap<Scalar, usize>) -> Arg {
        let (inputs, constants) = (
            self.plan.inputs.len() as u32,
            self.plan.constants.len() as u32,
        );
        let len = operand.elements();
        let slot = match operand.place {
            Place::Arena { offset, .. } => Slot {
                base: ARENA,
                offset,
                len,
            },
            Place::Input(i) => Slot {
                base: INPUTS + i,
                offset: 0,
                len,
            },
            Place::Constant(i) => Slot {
                base: INPUTS + inputs + i,
                offset: 0,
                len,
            },
            Place::Output(i) => Slot {
                base: INPUTS + inputs + constants + i,
                offset: 0,
                len,
            },
            Place::Splat(value) => {
                let numbers = &mut self.numbers;
                let at = *known.entry(value).or_insert_with(|| {
                    numbers.push(bits(value));
                    numbers.len() - 1
                });
                Slot {
                    base: NUMBERS,
                    offset: at * size_of::<[u64; 2]>(),
                    len: 1,
                }
            }
        };
        Arg {
            slot,
            ty: operand.ty.clone(),
        }
    }
}

/// A number as it stands in memory, in the first bytes.
fn bits(value: Scalar) -> [u64; 2] {
    let mut bytes = [0; 16];
    let mut put = |source: &[u8]| bytes[..source.len()].copy_from_slice(source);
    match value {
        Scalar::Bool(x) => put(&[u8::from(x)]),
        Scalar::U8(x) => put(&x.to_ne_bytes()),
        Scalar::U32(x) => put(&x.to_ne_bytes()),
        Scalar::I32(x) => put(&x.to_ne_bytes()),
        Scalar::I64(x) => put(&x.to_ne_bytes()),
        Scalar::F32(x) => put(&x.to_ne_bytes()),
        Scalar::F64(x) => put(&x.to_ne_bytes()),
        Scalar::C64(z) => put(&[z.re.to_ne_bytes(), z.im.to_ne_bytes()].concat()),
        Scalar::C128(z) => put(&[z.re.to_ne_bytes(), z.im.to_ne_bytes()].concat()),
    }
    let (halves, _) = bytes.as_chunks::<8>();
    [0, 1].map(|i| halves.get(i).map_or(0, |half| u64::from_ne_bytes(*half)))
}
