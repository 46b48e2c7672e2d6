//! A plan that is ready to run.

use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cotangent_array::{Array, ArrayError, Scalar};
use cotangent_compile::{Flow, Operand, Options, Place, Plan, Step, StepOp, Target, TriangleSizes};
use cotangent_graph::{FastMap, Graph, TensorType};
use smallvec::SmallVec;

use crate::RunError;
use crate::flow;
use crate::kernels::{self, Arg, Site};
use crate::lane::{self, Mode, Way, has_avx2};
use crate::memory::{Frame, Kept, Memory, Run, Slot, Workspace};
use crate::native;
use crate::number::by_dtype;
use crate::pool::{self, Team};
use crate::spare::Spare;

/// The most bytes that loops keep of their steps, unless [`Program::set_loop_memory`] says more.
const LOOP_MEMORY: usize = 1 << 30;

/// How often a loop of unknown length is thought to run, to decide whether workers are woken for it.
const UNKNOWN_TURNS: u64 = 20;

/// Bytes of the second cache in which rows are kept between the regions that go over them.
const ROW_CACHE: usize = 1 << 17;

/// What the compiler needs to know of this crate's kernels.
pub fn target() -> Target {
    Target {
        alignment: 64,
        scratch: kernels::scratch,
        fuse: true,
        fma: has_avx2() && Way::chosen() != Way::Baseline,
        row_cache: ROW_CACHE,
        abreast: true,
        triangles: Some(TriangleSizes::WORTH_IT),
    }
}

/// Compiles a graph for this crate's kernels and makes it ready to run.
///
/// # Errors
/// Those of [`cotangent_compile::compile`] and of [`Program::new`].
pub fn compile(graph: &Graph) -> Result<Program, RunError> {
    Program::new(Arc::new(cotangent_compile::compile(graph, &target())?))
}

/// As [`compile`], with options such as a memory budget.
///
/// # Errors
/// Those of [`cotangent_compile::compile_with`] and of [`Program::new`].
pub fn compile_with(graph: &Graph, options: &Options) -> Result<Program, RunError> {
    let plan = cotangent_compile::compile_with(graph, &target(), options)?;
    let mut program = Program::with_mode(Arc::new(plan), Mode::of(options))?;
    if let Some(budget) = options.memory_budget {
        // Further threads work in memory of their own, so there are as many as it has room for.
        let room = budget.saturating_sub(program.core.plan.memory());
        program.most_threads = match program.thread_memory() {
            0 => pool::MOST,
            bytes => room.div_euclid(bytes).saturating_add(1),
        };
    }
    Ok(program)
}

/// A plan that has been checked, with a kernel for each step. It may be shared between threads.
pub struct Program {
    core: Arc<Core>,
    workspaces: Spare<Workspace>,
    /// Inputs whose memory outputs take over, where they are given away.
    pub(crate) taken: OnceLock<Vec<Option<usize>>>,
    /// The most bytes that the loops of one run keep of their steps.
    loop_memory: AtomicUsize,
    /// Where the files are that hold what loops keep; memory without one.
    loop_directory: Mutex<Option<Arc<Path>>>,
    /// Whether there is one: most programs have none and need not wait for the lock.
    has_directory: AtomicBool,
    /// The most threads that work on one run; 0 for as many as there are by default.
    threads: AtomicUsize,
    /// The most threads for which a memory budget has room.
    most_threads: usize,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.core.plan.name)
            .field("steps", &self.core.plan.steps.len())
            .field("arena", &self.core.plan.arena)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Checks a plan and chooses a kernel for each step.
    ///
    /// # Errors
    /// A plan that [`Plan::check`] refuses, or one whose steps have less working memory than the
    /// kernels want; plans compiled for [`target`] have neither.
    pub fn new(plan: Arc<Plan>) -> Result<Program, RunError> {
        Program::with_mode(plan, Mode::chosen())
    }

    /// As [`Program::new`], with regions executed in a given way.
    ///
    /// # Errors
    /// Those of [`Program::new`].
    pub fn with_way(plan: Arc<Plan>, way: Way) -> Result<Program, RunError> {
        Program::with_mode(plan, Mode { way, flush: false })
    }

    pub(crate) fn with_mode(plan: Arc<Plan>, mode: Mode) -> Result<Program, RunError> {
        plan.check().map_err(RunError::Plan)?;
        let mut cores: HashMap<*const Plan, Arc<Core>> = HashMap::new();
        for callee in plan.callees() {
            let core = Core::new(callee.clone(), &cores, mode)?;
            cores.insert(Arc::as_ptr(&callee), Arc::new(core));
        }
        Ok(Program::of(Arc::new(Core::new(plan, &cores, mode)?)))
    }

    /// A program with memory of its own and kernels that others may share.
    pub(crate) fn of(core: Arc<Core>) -> Program {
        Program {
            core,
            workspaces: Spare::new(),
            taken: OnceLock::new(),
            loop_memory: AtomicUsize::new(LOOP_MEMORY),
            loop_directory: Mutex::new(None),
            has_directory: AtomicBool::new(false),
            threads: AtomicUsize::new(0),
            most_threads: pool::MOST,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Sets the most bytes that the loops of one run may keep of their steps at a time; 1 GiB
    /// unless set. Reverse mode through a loop of unknown length keeps what the loop carries, step by
    /// step: the one memory beside the arena. A run that needs more ends with
    /// [`RunError::LoopMemory`].
    pub fn set_loop_memory(&self, bytes: usize) {
        self.loop_memory.store(bytes, Ordering::Relaxed);
    }

    /// Lets what loops of unknown length keep of their steps go to files in this directory when memory
    /// is short. They have no name and are gone when the run ends, whichever way it ends. The limit of
    /// [`Program::set_loop_memory`] counts for them, too. Only on Linux; elsewhere a run fails.
    pub fn set_loop_directory(&self, directory: Option<Arc<Path>>) {
        let own = self.loop_directory.lock();
        let mut own = own.unwrap_or_else(PoisonError::into_inner);
        self.has_directory
            .store(directory.is_some(), Ordering::Release);
        *own = directory;
    }

    /// Sets the most threads that work on one run, the caller's among them; at most 64 are used, and no
    /// more than the machine runs at once. 0 is the default again: the variable `COTANGENT_THREADS`, or
    /// else 1.
    ///
    /// Results are the same, bit for bit, for any number. Other threads than the caller's come from one
    /// pool, which starts them when a run first has work for them; they end with the process. They
    /// help one run at a time, and only with what takes a few microseconds or more: everything else, and
    /// all of a run that comes while they are busy, is done by the thread that calls.
    pub fn set_threads(&self, threads: usize) {
        self.threads.store(threads, Ordering::Relaxed);
    }

    /// The most threads that work on one run.
    pub fn threads(&self) -> usize {
        let threads = match self.threads.load(Ordering::Relaxed) {
            0 => pool::default_threads(),
            threads => threads,
        };
        threads.min(self.most_threads).min(pool::MOST)
    }

    /// The bytes of working memory that a run takes for each thread but the first, beside the arena.
    pub fn thread_memory(&self) -> usize {
        self.core.spare
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.core.plan
    }

    /// Runs on one array for each input; one array for each output.
    ///
    /// # Errors
    /// Arrays of other numbers, dtypes or shapes than the inputs; an index out of range; no memory.
    pub fn run(&self, inputs: &[Array]) -> Result<Vec<Array>, RunError> {
        let mut outputs = self.outputs(inputs)?;
        self.execute(inputs.iter(), &mut outputs, &[], Core::run)?;
        Ok(outputs)
    }

    /// Runs on one array for each input and writes to one array for each output, in place where
    /// the array has the output's type and is not shared with a clone.
    ///
    /// # Errors
    /// Those of [`Program::run`], and another number of arrays to write to than there are outputs.
    /// After an error the arrays hold any values.
    pub fn run_into(
        &self,
        inputs: &[impl Borrow<Array>],
        outputs: &mut [Array],
    ) -> Result<(), RunError> {
        self.check_inputs(inputs.len(), inputs.iter().map(Borrow::borrow))?;
        let types = &self.core.plan.outputs;
        if outputs.len() != types.len() {
            return Err(RunError::OutputCount {
                program: self.core.plan.name.clone(),
                expected: types.len(),
                found: outputs.len(),
            });
        }
        for (output, ty) in outputs.iter_mut().zip(types) {
            if output.dtype() != ty.dtype || *output.shape() != ty.shape {
                *output = Array::zeros(ty.dtype, ty.shape.clone())?;
            }
        }
        self.execute(inputs.iter().map(Borrow::borrow), outputs, &[], Core::run)
    }

    /// As [`Program::run`], with what each step of the plan took. A step that calls another plan counts
    /// with all that it calls.
    ///
    /// # Errors
    /// Those of [`Program::run`].
    pub fn profile(&self, inputs: &[Array]) -> Result<(Vec<Array>, Vec<StepProfile>), RunError> {
        let mut profile = Vec::with_capacity(self.core.steps.len());
        let mut outputs = self.outputs(inputs)?;
        self.execute(inputs.iter(), &mut outputs, &[], |core, frame| {
            core.steps.iter().enumerate().try_for_each(|(i, step)| {
                pool::parts_since();
                let begin = Instant::now();
                let done = step(frame).map_err(|source| core.failed(i, source));
                profile.push(StepProfile {
                    time: begin.elapsed(),
                    parts: pool::parts_since(),
                });
                done
            })
        })?;
        Ok((outputs, profile))
    }

    /// Memory for the results, where the inputs are as they should be.
    fn outputs(&self, inputs: &[Array]) -> Result<Vec<Array>, RunError> {
        self.check_inputs(inputs.len(), inputs.iter())?;
        let outputs = self.core.plan.outputs.iter();
        let zeros = outputs.map(|ty| Array::zeros(ty.dtype, ty.shape.clone()));
        Ok(zeros.collect::<Result<_, ArrayError>>()?)
    }

    pub(crate) fn check_inputs<'a>(
        &self,
        count: usize,
        inputs: impl Iterator<Item = &'a Array>,
    ) -> Result<(), RunError> {
        let plan = &self.core.plan;
        if count != plan.inputs.len() {
            return Err(RunError::InputCount {
                program: plan.name.clone(),
                expected: plan.inputs.len(),
                found: count,
            });
        }
        for (array, (name, ty)) in inputs.zip(&plan.inputs) {
            if array.dtype() != ty.dtype || *array.shape() != ty.shape {
                return Err(RunError::InputType {
                    name: name.clone(),
                    expected: ty.to_string(),
                    found: TensorType::new(array.dtype(), array.shape().clone()).to_string(),
                });
            }
        }
        Ok(())
    }

    /// Inputs and outputs have been checked. `shared` are inputs that stand where outputs do, which the plan allows.
    pub(crate) fn execute<'a>(
        &self,
        inputs: impl Iterator<Item = &'a Array>,
        outputs: &mut [Array],
        shared: &[(usize, usize)],
        run: impl FnOnce(&Core, &mut Frame<'_>) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let make = || {
            Ok(Workspace {
                arena: Memory::new(self.core.plan.arena)?,
                spare: Memory::new(0)?,
                helpers: 0,
                bases: Vec::with_capacity(self.core.depth),
            })
        };
        self.workspaces.with(make, |workspace| {
            let threads = self.threads();
            let working = Team::working(threads);
            if workspace.helpers + 1 < working {
                workspace.spare = Memory::new((working - 1).saturating_mul(self.core.spare))?;
                workspace.helpers = working - 1;
            }
            let team = Team::new(threads, working, workspace.spare.start(), self.core.spare);
            team.rouse(self.core.work);
            let bases = &mut workspace.bases;
            bases.clear();
            bases.push(workspace.arena.start());
            self.core.push_own(bases);
            bases.extend(inputs.map(|array| array.as_bytes().as_ptr().cast_mut()));
            self.core.push_constants(bases);
            for output in outputs {
                by_dtype!(any output.dtype(), T => {
                    bases.push(output.as_mut_slice::<T>()?.as_mut_ptr().cast());
                }, else return Err(RunError::Plan(format!("unknown dtype {}", output.dtype()))));
            }
            let first_output = bases.len() - self.core.plan.outputs.len();
            for (input, output) in shared {
                bases[INPUTS as usize + input] = bases[first_output + output];
            }
            let limit = self.loop_memory.load(Ordering::Relaxed);
            let mut kept = Kept::new(limit, self.directory_of_loops());
            let mut frame = Frame {
                bases,
                start: 0,
                kept: &mut kept,
                team,
            };
            run(&self.core, &mut frame)
        })
    }

    fn directory_of_loops(&self) -> Option<Arc<Path>> {
        if !self.has_directory.load(Ordering::Acquire) {
            return None;
        }
        let directory = self.loop_directory.lock();
        directory.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What one step of a run took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepProfile {
    /// How long it took.
    pub time: Duration,
    /// The most parts in which a piece of its work was cut, for as many threads as take some; 1 where one
    /// thread did all of it.
    pub parts: usize,
}

/// The kernels of one plan; the plans that it calls have cores of their own.
pub(crate) struct Core {
    plan: Arc<Plan>,
    /// Numbers that stand everywhere, each in the first bytes of a place of 16.
    numbers: Vec<[u64; 2]>,
    steps: Vec<Run>,
    /// The number of addresses that a run needs, called plans included.
    depth: usize,
    /// The bytes of working memory that each further thread wants, called plans included.
    spare: usize,
    /// About how many nanoseconds the steps take that can be divided, those of called plans included.
    work: u64,
}

/// The order of addresses in a table: the arena, the numbers, then inputs, constants, outputs.
const ARENA: u32 = 0;
const NUMBERS: u32 = 1;
const INPUTS: u32 = 2;

impl Core {
    /// The plan has been checked, and `cores` holds those that it calls.
    fn new(
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

    pub(crate) fn run(&self, frame: &mut Frame<'_>) -> Result<(), RunError> {
        for (i, step) in self.steps.iter().enumerate() {
            if let Err(source) = step(frame) {
                return Err(self.failed(i, source));
            }
        }
        Ok(())
    }

    /// The error of a step, with its name and place.
    fn failed(&self, step: usize, source: RunError) -> RunError {
        let step = self.plan.steps.get(step);
        RunError::Op {
            op: step.map_or_else(String::new, |s| s.op.name().to_owned()),
            location: step.and_then(|s| s.location),
            source: Box::new(source),
        }
    }

    fn push_own(&self, bases: &mut Vec<*mut u8>) {
        bases.push(self.numbers.as_ptr().cast_mut().cast());
    }

    fn push_constants(&self, bases: &mut Vec<*mut u8>) {
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
            | StepOp::Triangular(op, _) => {
                if step.scratch.len() < kernels::scratch(&step.op, &step.types(), &out.ty) {
                    return None;
                }
                match &step.op {
                    StepOp::Planes(op, planes) => kernels::planes(op, planes, &site),
                    StepOp::Turned(op, front) => kernels::turned(op, *front, &site),
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
