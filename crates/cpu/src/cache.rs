//! Programs that were made before, by the content of their graphs.
//!
//! A function that is made and traced again gives an equal graph, and then what the graph was
//! compiled to serves again. Equal means equal in all that a run can show: the operations, and the
//! names and places that errors report.

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use cotangent_compile::{Options, Plan, StepOp};
use cotangent_graph::{Equation, FastHasher, Graph, Location, Op};

use crate::RunError;
use crate::lane::Mode;
use crate::program::{Program, compile_with};
use crate::steps::Core;

/// How many programs are kept; the one that was asked for longest ago goes first.
const KEPT: usize = 64;
/// A program with more constants than this, or of more steps, is not kept beyond its owner.
const CONSTANT_BYTES: usize = 1 << 20;
const STEPS: usize = 1 << 16;

struct Entry {
    hash: u64,
    mode: Mode,
    graph: Arc<Graph>,
    core: Arc<Core>,
}

/// The one asked for last stands last.
static KNOWN: Mutex<VecDeque<Entry>> = Mutex::new(VecDeque::new());

/// As [`compile`](crate::compile), but a graph that was compiled before, or one equal to it, is not compiled again:
/// programs of equal graphs share their steps, while each has its own memory. The last 64 programs
/// are kept, but for those with large constants and those that call Rust closures, which graphs
/// compare by name alone.
///
/// ```
/// use std::sync::Arc;
/// use cotangent_array::DType;
/// use cotangent_graph::{Builder, TensorType};
/// let square = || {
///     let mut b = Builder::new("square");
///     let x = b.input("x", TensorType::new(DType::F64, [3]));
///     let y = b.mul(x, x);
///     b.finish(&[y]).map(Arc::new)
/// };
/// let first = cotangent_cpu::compile_shared(&square()?)?;
/// let second = cotangent_cpu::compile_shared(&square()?)?;
/// assert!(Arc::ptr_eq(first.plan(), second.plan()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`compile`](crate::compile).
pub fn compile_shared(graph: &Arc<Graph>) -> Result<Program, RunError> {
    compile_shared_with(graph, &Options::default())
}

/// As [`compile_shared`], with options; with a memory budget every program is compiled anew.
///
/// # Errors
/// Those of [`compile_with`].
pub fn compile_shared_with(graph: &Arc<Graph>, options: &Options) -> Result<Program, RunError> {
    if options.memory_budget.is_some() {
        return compile_with(graph, options);
    }
    let (hash, mode) = (hash_of(graph), Mode::of(options));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = {
        let mut known = known();
        let same = |e: &Entry| e.hash == hash && e.mode == mode && same_program(&e.graph, graph);
        known.iter().position(same).and_then(|at| {
            let entry = known.remove(at)?;
            let core = entry.core.clone();
            known.push_back(entry);
            Some(core)
        })
    };
    if let Some(core) = found {
        return Ok(Program::of(core));
    }
    let program = compile_with(graph, options)?;
    if may_be_kept(program.plan()) {
        let entry = Entry {
            hash,
            mode,
            graph: graph.clone(),
            core: program.core().clone(),
        };
        let mut known = known();
        if known.len() == KEPT {
            known.pop_front();
        }
        known.push_back(entry);
    }
    Ok(program)
}

/// Whether the plan takes little memory, with the plans that it calls, and is told from others by its
/// graph.
fn may_be_kept(plan: &Arc<Plan>) -> bool {
    let callees = plan.callees();
    let (mut bytes, mut steps) = (0_usize, 0);
    for plan in callees.iter().chain([plan]) {
        let own = plan.constants.iter().map(|c| c.as_bytes().len());
        bytes = own.fold(bytes, usize::saturating_add);
        steps += plan.steps.len();
        if (plan.steps.iter()).any(|step| matches!(step.op, StepOp::Native(_))) {
            return false;
        }
    }
    bytes <= CONSTANT_BYTES && steps <= STEPS
}

/// The equations that a graph's equality looks at, in order.
fn computing(graph: &Graph) -> impl Iterator<Item = &Equation> {
    let equations = graph.equations().iter();
    equations.filter(|e| !e.op.is_constant() && !e.op.is_input())
}

/// A hash of a part of what equality looks at, which takes little time.
fn hash_of(graph: &Graph) -> u64 {
    let mut hasher = FastHasher::default();
    graph.name().hash(&mut hasher);
    for (name, v) in graph.inputs() {
        (name, graph.ty(*v)).hash(&mut hasher);
    }
    for e in computing(graph) {
        // Names of files are long, and lines tell as much.
        let line = e.location.map(|l| match l.origin() {
            Location::Code(at) => at.line(),
            Location::Text { line, .. } => line,
            Location::Derivative(_) => 0,
        });
        (&e.op, line).hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether two graphs give programs of which no run can tell one from the other.
fn same_program(a: &Arc<Graph>, b: &Arc<Graph>) -> bool {
    // Calls are compared by content alone, so the places in called graphs are looked at here.
    let mut seen: HashSet<(*const Graph, *const Graph)> = HashSet::new();
    let mut work = vec![(a.clone(), b.clone())];
    while let Some((a, b)) = work.pop() {
        if Arc::ptr_eq(&a, &b) || !seen.insert((Arc::as_ptr(&a), Arc::as_ptr(&b))) {
            continue;
        }
        if a.name() != b.name() || *a != *b {
            return false;
        }
        for (e, f) in computing(&a).zip(computing(&b)) {
            if e.location != f.location || e.checkpoint != f.checkpoint {
                return false;
            }
            if has_callees(&e.op) {
                let pairs = e.op.callees().zip(f.op.callees());
                work.extend(pairs.map(|(c, d)| (c.0.clone(), d.0.clone())));
            }
        }
    }
    true
}

fn has_callees(op: &Op) -> bool {
    matches!(op, Op::Call(_) | Op::Region(_))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cotangent_array::{Array, DType};
    use cotangent_graph::{Builder, Graph, Location, TensorType};

    use super::compile_shared;

    fn scaled(name: &str, by: f64, line: u32) -> Arc<Graph> {
        let mut b = Builder::new(name);
        let x = b.input("x", TensorType::new(DType::F64, [2]));
        b.set_location(Some(Location::Text { line, column: 1 }));
        let factor = b.like(x, by);
        let y = b.mul(x, factor);
        Arc::new(b.finish(&[y]).unwrap())
    }

    fn called(line: u32) -> Arc<Graph> {
        let mut b = Builder::new("caller");
        let x = b.input("x", TensorType::new(DType::F64, [2]));
        let y = b.call(&scaled("cache_inner", 3.0, line), &[x]);
        Arc::new(b.finish(&y).unwrap())
    }

    // One test, since what is kept is shared by all tests.
    #[test]
    fn equal_graphs_share_a_plan_until_it_was_not_wanted_for_long() {
        let plan = |g: &Arc<Graph>| compile_shared(g).unwrap().plan().clone();
        let first = plan(&scaled("cache", 2.0, 1));
        assert!(Arc::ptr_eq(&first, &plan(&scaled("cache", 2.0, 1))));
        // Another number, another place or another name is another program.
        assert!(!Arc::ptr_eq(&first, &plan(&scaled("cache", 3.0, 1))));
        assert!(!Arc::ptr_eq(&first, &plan(&scaled("cache", 2.0, 2))));
        assert!(!Arc::ptr_eq(&first, &plan(&scaled("other", 2.0, 1))));
        // Also where the place is that of an operation in a called graph.
        let outer = plan(&called(1));
        assert!(Arc::ptr_eq(&outer, &plan(&called(1))));
        assert!(!Arc::ptr_eq(&outer, &plan(&called(2))));

        let first = plan(&scaled("kept", 0.5, 1));
        for i in 0..2 * super::KEPT as u32 {
            plan(&scaled("kept", 0.25, i));
        }
        assert!(!Arc::ptr_eq(&first, &plan(&scaled("kept", 0.5, 1))));
    }

    #[test]
    fn programs_that_share_a_plan_run_side_by_side() {
        let graph = scaled("side_by_side", 5.0, 1);
        let (a, b) = (
            compile_shared(&graph).unwrap(),
            compile_shared(&graph).unwrap(),
        );
        for x in [1.0, 2.0] {
            let input = Array::from([x, -x]);
            let expected = vec![Array::from([5.0 * x, -5.0 * x])];
            assert_eq!(a.run(std::slice::from_ref(&input)).unwrap(), expected);
            assert_eq!(b.run(&[input]).unwrap(), expected);
        }
    }
}
