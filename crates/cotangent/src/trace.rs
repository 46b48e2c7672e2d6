//! Traces: the graphs that are being built while user code computes with tensors.
//!
//! Traces nest: a function that is differentiated inside a traced function has a trace of its own.
//! An operation goes into the innermost trace among its operands; tensors of outer traces become
//! inputs of that one (captures), and whoever asked for the inner graph passes them on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cotangent_graph::ops::Linalg;
use cotangent_graph::{Builder, Graph, GraphError, Location, Op, Scope, TensorType, Var, eval_op};

use crate::scopes::{self, Inside};
use crate::tensor::{Constant, Tensor, Value};
use crate::{Array, DType, run};

/// A place in the user's code.
pub(crate) type Place = &'static std::panic::Location<'static>;

/// A graph that is being built.
pub(crate) struct Trace {
    /// How many traces were active when this one began.
    depth: usize,
    open: AtomicBool,
    /// `None` once the trace has ended.
    state: Mutex<Option<State>>,
}

struct State {
    builder: Builder,
    /// Tensors of outer traces, in the order of the inputs that stand for them.
    captures: Vec<Tensor>,
    captured: HashMap<(usize, Var), Var>,
    /// The variables of constants by address, so that a large one is hashed only once. The tensor
    /// is kept so that its address stays taken.
    constants: HashMap<usize, (Tensor, Var)>,
    /// For inputs that are fields of a struct: what holds them.
    paths: HashMap<Var, Scope>,
}

thread_local! {
    static ACTIVE: RefCell<Vec<Arc<Trace>>> = const { RefCell::new(Vec::new()) };
}

/// What a trace gave.
pub(crate) struct Outcome<R> {
    /// What the body returned; `None` when it panicked after an error had been recorded.
    pub(crate) result: Option<R>,
    /// The graph and the tensors of outer traces that are its last inputs.
    pub(crate) graph: Result<(Graph, Vec<Tensor>), GraphError>,
}

/// Traces a body over inputs of these names and types; `outputs` lists the tensors of its result.
///
/// A panic in the body comes through, unless an operation had failed before: then it most likely
/// comes from code that looked at the shape of a tensor that could not be computed, and the error
/// of that operation is the one to report.
pub(crate) fn trace<R>(
    name: &str,
    inputs: &[(String, TensorType)],
    body: impl FnOnce(Vec<Tensor>) -> R,
    outputs: impl FnOnce(&R) -> Vec<Tensor>,
) -> Outcome<R> {
    trace_parts(name, inputs, &[], false, body, outputs)
}

/// As [`trace`]; `parts` says for each input what holds it: `layers.0` for `layers.0.weight`. With `all`
/// operations stay that no output needs.
pub(crate) fn trace_parts<R>(
    name: &str,
    inputs: &[(String, TensorType)],
    parts: &[Scope],
    all: bool,
    body: impl FnOnce(Vec<Tensor>) -> R,
    outputs: impl FnOnce(&R) -> Vec<Tensor>,
) -> Outcome<R> {
    // The graph is one of its own, wherever it is traced; who puts it elsewhere adds the scope there.
    let _inside = Inside::of(Scope::ROOT);
    let mut builder = Builder::new(name);
    let vars: Vec<Var> = inputs
        .iter()
        .map(|(n, ty)| builder.input(n, ty.clone()))
        .collect();
    let paths = (vars.iter().zip(parts))
        .filter(|(_, part)| **part != Scope::ROOT)
        .map(|(v, part)| (*v, *part))
        .collect();
    let trace = ACTIVE.with_borrow_mut(|active| {
        let trace = Arc::new(Trace {
            depth: active.len(),
            open: AtomicBool::new(true),
            state: Mutex::new(Some(State {
                builder,
                captures: Vec::new(),
                captured: HashMap::new(),
                constants: HashMap::new(),
                paths,
            })),
        });
        active.push(trace.clone());
        trace
    });
    let tensors = vars
        .into_iter()
        .zip(inputs)
        .map(|(v, (_, ty))| Tensor::new(ty.clone(), Value::Traced(trace.clone(), v)))
        .collect();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let result = body(tensors);
        let outputs = outputs(&result);
        (result, outputs)
    }));
    ACTIVE.with_borrow_mut(|active| active.truncate(trace.depth));
    let mut state = trace.lock();
    let vars: Vec<Var> = match (&mut *state, &result) {
        (Some(s), Ok((_, outputs))) => {
            s.builder.set_location(None);
            outputs.iter().map(|t| s.var(&trace, t)).collect()
        }
        _ => Vec::new(),
    };
    trace.open.store(false, Ordering::Release);
    let Some(State {
        builder, captures, ..
    }) = state.take()
    else {
        return Outcome {
            result: None,
            graph: Err(ended(None)),
        };
    };
    if let Err(panic) = result {
        if !builder.failed() {
            resume_unwind(panic);
        }
        return Outcome {
            result: None,
            graph: builder.finish(&[]).map(|g| (g, captures)),
        };
    }
    let graph = builder.finish(&vars).map(|g| match all {
        true => (g, captures),
        false => (g.into_live(&[]), captures),
    });
    Outcome {
        result: result.ok().map(|(r, _)| r),
        graph,
    }
}

/// Applies an operation: in the innermost trace among the operands' and, where no operand has one,
/// in the innermost active one; outside of any, at once.
pub(crate) fn push(op: impl Into<Op>, args: &[&Tensor], at: Place) -> Tensor {
    let op = op.into();
    match target(args.iter().copied()) {
        Some(trace) => trace.with(|state| {
            // Most operations have few operands, and no list of theirs is allocated.
            let mut few = [Var::from_index(0); 4];
            let many: Vec<Var>;
            let vars = match few.get_mut(..args.len()) {
                Some(few) => {
                    for (var, a) in few.iter_mut().zip(args) {
                        *var = state.var(&trace, a);
                    }
                    &*few
                }
                None => {
                    many = args.iter().map(|a| state.var(&trace, a)).collect();
                    &many[..]
                }
            };
            state.place(at, vars);
            let var = state.builder.push(op, vars);
            state.tensor(&trace, var, args.first().copied())
        }),
        None => now(&op, args, at),
    }
}

/// Applies an operation with `count` results; each is its own tensor.
pub(crate) fn push_several(op: Linalg, args: &[&Tensor], count: usize, at: Place) -> Vec<Tensor> {
    match target(args.iter().copied()) {
        Some(trace) => trace.with_many(count, |state| {
            let vars: Vec<Var> = args.iter().map(|a| state.var(&trace, a)).collect();
            state.place(at, &vars);
            let vars = state.builder.linalg(op, &vars);
            (0..count)
                .map(|i| {
                    let var = match vars.get(i) {
                        Some(var) => *var,
                        // The builder holds the error already where there are fewer.
                        None => state.builder.fail(ended(None)),
                    };
                    state.tensor(&trace, var, args.first().copied())
                })
                .collect()
        }),
        None => several_now(&op, args, at).unwrap_or_else(|e| {
            let like = args.first().map(|a| a.ty());
            vec![Tensor::failed(e, like); count]
        }),
    }
}

/// Applies a whole graph, inlined or as a call; one tensor for each output.
pub(crate) fn apply(
    graph: &Arc<Graph>,
    program: &run::Program,
    args: &[Tensor],
    call: bool,
    at: Place,
) -> Vec<Tensor> {
    match target(args) {
        Some(trace) => trace.with_many(graph.outputs().len(), |state| {
            let vars: Vec<Var> = args.iter().map(|a| state.var(&trace, a)).collect();
            state.place(at, &vars);
            let vars = if call {
                state.builder.call(graph, &vars)
            } else {
                state.builder.inline(graph, &vars)
            };
            vars.into_iter()
                .map(|v| state.tensor(&trace, v, None))
                .collect()
        }),
        None => {
            let arrays: Result<Vec<Array>, GraphError> = args.iter().map(|a| a.known()).collect();
            let at = Location::Code(at);
            let outputs = arrays.and_then(|arrays| {
                program
                    .run(graph, &arrays)
                    .map_err(|e| GraphError::other(e.to_string(), Some(at)))
            });
            match outputs {
                Ok(arrays) => arrays.into_iter().map(Tensor::from).collect(),
                Err(e) => vec![Tensor::failed(e, None); graph.outputs().len()],
            }
        }
    }
}

/// Records an error where an operation on these operands would have gone.
pub(crate) fn fail(error: GraphError, args: &[&Tensor]) -> Tensor {
    match target(args.iter().copied()) {
        Some(trace) => trace.with(|state| {
            // An operand that failed before is the error to report.
            for a in args {
                state.var(&trace, a);
            }
            let var = state.builder.fail(error);
            state.tensor(&trace, var, args.first().copied())
        }),
        None => Tensor::failed(
            args.iter().find_map(|a| a.error()).unwrap_or(error),
            args.first().map(|a| a.ty()),
        ),
    }
}

/// The number that a tensor is everywhere, if that is known.
pub(crate) fn splat(trace: &Trace, var: Var) -> Option<crate::Scalar> {
    trace
        .lock()
        .as_ref()
        .and_then(|s| s.builder.graph().splat(var))
}

/// The error that a tensor's trace has ended.
pub(crate) fn ended(at: Option<Place>) -> GraphError {
    let message = "a tensor was used after the trace that it belongs to had ended; \
                   return it from the traced function instead";
    GraphError::other(message, at.map(Location::Code))
}

impl Trace {
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        // A panic while the lock was held cannot leave the builder half-changed in a way that
        // matters: its trace is given up with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, f: impl FnOnce(&mut State) -> Tensor) -> Tensor {
        match &mut *self.lock() {
            Some(state) => f(state),
            None => Tensor::failed(ended(None), None),
        }
    }

    fn with_many(&self, count: usize, f: impl FnOnce(&mut State) -> Vec<Tensor>) -> Vec<Tensor> {
        match &mut *self.lock() {
            Some(state) => f(state),
            None => vec![Tensor::failed(ended(None), None); count],
        }
    }
}

/// What holds the parameter that a tensor is, where it is a field of a struct among the inputs of a
/// function that is being traced.
pub(crate) fn path(tensor: &Tensor) -> Option<Scope> {
    match tensor.value() {
        Value::Traced(trace, var) => trace.lock().as_ref()?.paths.get(var).copied(),
        _ => None,
    }
}

impl State {
    /// Says where the next operations are written, and in which scope: what reads a parameter outside
    /// of any belongs to what holds it.
    fn place(&mut self, at: Place, args: &[Var]) {
        let scope = match scopes::current() {
            Scope::ROOT => {
                let held = args.iter().filter_map(|a| self.paths.get(a).copied());
                held.reduce(Scope::common).unwrap_or(Scope::ROOT)
            }
            scope => scope,
        };
        self.builder.set_location(Some(Location::Code(at)));
        self.builder.set_scope(scope);
    }

    /// The variable that stands for a tensor in this trace.
    fn var(&mut self, me: &Arc<Trace>, tensor: &Tensor) -> Var {
        match tensor.value() {
            Value::Traced(trace, var) if Arc::ptr_eq(trace, me) => *var,
            Value::Traced(trace, var) => {
                if !trace.is_open() {
                    return self.builder.fail(ended(None));
                }
                if trace.depth >= me.depth {
                    let message = "tensors of two traces that do not enclose each other meet here";
                    return self.builder.fail(GraphError::other(message, None));
                }
                let key = (Arc::as_ptr(trace) as usize, *var);
                if let Some(input) = self.captured.get(&key) {
                    return *input;
                }
                let name = self.free_name();
                let input = self.builder.input(&name, tensor.ty().clone());
                self.captured.insert(key, input);
                self.captures.push(tensor.clone());
                input
            }
            Value::Constant(constant) => {
                if let Some((_, var)) = self.constants.get(&tensor.address()) {
                    return *var;
                }
                let var = match constant {
                    Constant::Full(value) => self.builder.full(*value, tensor.shape()),
                    Constant::Array(array) => self.builder.constant(array.clone()),
                };
                self.constants
                    .insert(tensor.address(), (tensor.clone(), var));
                var
            }
            Value::Failed(error) => self.builder.fail(error.clone()),
        }
    }

    /// A name that no input has yet.
    fn free_name(&self) -> String {
        let taken = |name: &str| {
            self.builder
                .graph()
                .inputs()
                .iter()
                .any(|(n, _)| **n == *name)
        };
        let mut index = self.captures.len();
        loop {
            let name = format!("captured{index}");
            if !taken(&name) {
                return name;
            }
            index += 1;
        }
    }

    /// The tensor of a variable. After an error it looks like the first operand, so that code which
    /// reads shapes goes on as far as it can.
    fn tensor(&self, me: &Arc<Trace>, var: Var, like: Option<&Tensor>) -> Tensor {
        let ty = match like {
            Some(like) if self.builder.failed() => like.ty().clone(),
            _ => self.builder.tensor(var),
        };
        Tensor::new(ty, Value::Traced(me.clone(), var))
    }
}

/// The trace that an operation on these operands goes into; `None` outside of any.
fn target<'a>(args: impl IntoIterator<Item = &'a Tensor>) -> Option<Arc<Trace>> {
    let mut deepest: Option<&Arc<Trace>> = None;
    for a in args {
        if let Value::Traced(trace, _) = a.value()
            && deepest.is_none_or(|d| trace.depth > d.depth)
        {
            deepest = Some(trace);
        }
    }
    match deepest {
        Some(trace) if trace.is_open() => Some(trace.clone()),
        _ => ACTIVE.with_borrow(|active| active.last().cloned()),
    }
}

/// Applies an operation with several results to constants at once.
fn several_now(op: &Linalg, args: &[&Tensor], at: Place) -> Result<Vec<Tensor>, GraphError> {
    let arrays: Vec<Array> = args.iter().map(|a| a.known()).collect::<Result<_, _>>()?;
    let types: Vec<&TensorType> = args.iter().map(|a| a.ty()).collect();
    let named = Op::Linalg(op.clone());
    if !named.arity().allows(args.len()) {
        let error = cotangent_graph::TypeError::new(format!("expected {}", named.arity()));
        return Err(op_error(&named, args, error, at));
    }
    let results = op
        .results(&types)
        .map_err(|e| op_error(&named, args, e, at))?;
    let arrays: Vec<&Array> = arrays.iter().collect();
    let results = op.eval(&arrays, &results).map_err(|e| {
        let message = format!("{}: {e}", op.name());
        GraphError::other(message, Some(Location::Code(at)))
    })?;
    Ok(results.into_iter().map(Tensor::from).collect())
}

/// Applies an operation to constants at once.
fn now(op: &Op, args: &[&Tensor], at: Place) -> Tensor {
    if let Op::Full(value, shape) = op {
        let ty = TensorType::new(value.dtype(), shape.clone());
        return match Op::infer(op, &[]) {
            Ok(_) => Tensor::new(ty, Value::Constant(Constant::Full(*value))),
            Err(e) => Tensor::failed(op_error(op, args, e, at), None),
        };
    }
    let like = args.first().map(|a| a.ty());
    let mut arrays = Vec::with_capacity(args.len());
    for a in args {
        match a.known() {
            Ok(array) => arrays.push(array),
            Err(e) => return Tensor::failed(e, like),
        }
    }
    let types: Vec<_> = args.iter().map(|a| a.ty().clone().into()).collect();
    let ty = match op.infer(&types.iter().collect::<Vec<_>>()) {
        Ok(ty) => ty
            .tensor()
            .cloned()
            .unwrap_or_else(|| TensorType::scalar(DType::F64)),
        Err(e) => return Tensor::failed(op_error(op, args, e, at), like),
    };
    match eval_op(op, &arrays.iter().collect::<Vec<_>>(), &ty) {
        Ok(array) => Tensor::from(array),
        Err(e) => {
            let message = format!("{}: {e}", op.name());
            Tensor::failed(GraphError::other(message, Some(Location::Code(at))), like)
        }
    }
}

fn op_error(op: &Op, args: &[&Tensor], error: cotangent_graph::TypeError, at: Place) -> GraphError {
    let operands: Vec<String> = args.iter().map(|a| a.ty().to_string()).collect();
    GraphError::Op {
        op: op.name().to_owned(),
        operands: operands.join(", "),
        error,
        location: Some(Location::Code(at)),
    }
}
