//! A plan that is ready to run.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cotangent_array::{Array, ArrayError};
use cotangent_compile::{Options, Plan, Target, TriangleSizes};
use cotangent_graph::{Graph, TensorType};

use crate::RunError;
use crate::kernels;
use crate::lane::{Mode, Way, has_avx2};
use crate::memory::{Frame, Kept, Memory, Workspace};
use crate::number::by_dtype;
use crate::pool::{self, Team};
use crate::spare::Spare;
use crate::steps::{Core, INPUTS};

/// The most bytes that loops keep of their steps, unless [`Program::set_loop_memory`] says more.
const LOOP_MEMORY: usize = 1 << 30;

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
        self.execute(inputs.iter(), &mut outputs, &[], Core::run_now)?;
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
        self.execute(
            inputs.iter().map(Borrow::borrow),
            outputs,
            &[],
            Core::run_now,
        )
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
