//! Makes graphs, one operation at a time.

mod finite;
mod results;
mod short;

use std::collections::HashMap;
use std::sync::OnceLock;

use cotangent_array::{DType, Scalar, Shape};
use smallvec::SmallVec;

use crate::graph::Graph;
use crate::hash::{FastMap, Known, hash_of};
use crate::ops::{Binary, Bound};
use crate::{Checkpoint, Equation, GraphError, Location, Op, Scope, TensorType, Type, Var};

/// Makes a graph: adds inputs and operations, infers their types, gives equal operations one
/// variable, and keeps the first error until [`Builder::finish`].
///
/// After an error every operation returns a stand-in of type f64, so rules need no `?` on each
/// line; the error comes out of `finish` and no graph does.
///
/// ```
/// use cotangent_array::DType;
/// use cotangent_graph::{Builder, TensorType};
/// let mut b = Builder::new("square");
/// let x = b.input("x", TensorType::scalar(DType::F64));
/// let y = b.mul(x, x);
/// let graph = b.finish(&[y])?;
/// assert_eq!(graph.operation_count(), 1);
/// # Ok::<(), cotangent_graph::GraphError>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    /// Variables by the hash of operation and operands.
    known: Known,
    /// How often each name of an input was asked for.
    names: HashMap<String, usize>,
    /// Per variable: whether its values are finite at ordinary points.
    finite: Vec<bool>,
    /// The same for each component of a tuple.
    parts: FastMap<Var, Vec<bool>>,
    error: Option<GraphError>,
    location: Option<Location>,
    scope: Scope,
    checkpoint: Checkpoint,
    poison: Type,
}

impl Builder {
    /// A builder of an empty graph.
    pub fn new(name: &str) -> Builder {
        Builder {
            graph: Graph {
                name: name.into(),
                equations: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                depth: 0,
                finite: Vec::new(),
                fingerprint: OnceLock::new(),
                cost: OnceLock::new(),
                labels: OnceLock::new(),
            },
            known: Known::default(),
            names: HashMap::new(),
            finite: Vec::new(),
            parts: FastMap::default(),
            error: None,
            location: None,
            scope: Scope::ROOT,
            checkpoint: Checkpoint::NONE,
            poison: TensorType::scalar(DType::F64).into(),
        }
    }

    /// Makes room for so many further operations.
    pub fn reserve(&mut self, operations: usize) {
        self.graph.equations.reserve(operations);
        self.finite.reserve(operations);
        self.known.reserve(self.graph.equations.len() + operations);
    }

    /// The place that operations pushed from now on are reported at. No place is in no scope and in no
    /// checkpoint either.
    pub fn set_location(&mut self, location: Option<Location>) {
        self.location = location;
        if location.is_none() {
            self.scope = Scope::ROOT;
            self.checkpoint = Checkpoint::NONE;
        }
    }

    /// The scope that operations pushed from now on are in.
    pub fn set_scope(&mut self, scope: Scope) {
        self.scope = scope;
    }

    /// The scope that operations are pushed in.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The checkpoints around operations that are pushed from now on.
    pub fn set_checkpoint(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = checkpoint;
    }

    /// The checkpoints around operations that are pushed.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// Operations pushed from now on come from this one: they have its place, its scope and its
    /// checkpoints.
    pub fn follow(&mut self, equation: &Equation) {
        self.location = equation.location;
        self.scope = equation.scope;
        self.checkpoint = equation.checkpoint;
    }

    /// Operations pushed from now on are of the derivative of this one.
    pub fn follow_derivative(&mut self, equation: &Equation) {
        self.follow(equation);
        self.location = equation.location.map(Location::in_derivative);
        self.checkpoint = equation.checkpoint.derived();
    }

    /// Operations pushed from now on are those of going back over this one.
    pub fn follow_back(&mut self, equation: &Equation) {
        self.follow_derivative(equation);
        self.checkpoint = equation.checkpoint.back();
    }

    /// Adds an input. Its name is the one given, made an identifier of the text form
    /// (`layers.0.w` becomes `layers_0_w`, an empty name `x`) and followed by `_2`, `_3`, ... where
    /// it is taken.
    pub fn input(&mut self, name: &str, ty: TensorType) -> Var {
        let wanted = identifier(if name.is_empty() { "x" } else { name });
        let count = self.names.entry(wanted.clone()).or_insert(0);
        *count += 1;
        let mut name = wanted.clone();
        if *count > 1 {
            let mut k = *count;
            name = format!("{wanted}_{k}");
            while self.names.contains_key(&name) {
                k += 1;
                name = format!("{wanted}_{k}");
            }
            self.names.insert(name.clone(), 1);
        }
        if let Err(e) = ty.check_size() {
            return self.fail(GraphError::other(
                format!("input `{name}`: {e}"),
                self.location,
            ));
        }
        let var = self.define(Op::Input, SmallVec::new(), ty.into(), true);
        if var != Var::POISON {
            self.graph.inputs.push((name.into(), var));
        }
        var
    }

    /// Says that an input may hold infinite values, so that derivatives treat it with care.
    pub fn set_open(&mut self, var: Var) {
        if let Some(f) = self.finite.get_mut(var.index()) {
            *f = false;
        }
    }

    /// Adds an operation, or finds the variable of an equal one.
    pub fn push(&mut self, op: impl Into<Op>, args: &[Var]) -> Var {
        let op = canonical(op.into());
        match self.find(&op, args) {
            Found::Variable(var) => var,
            Found::Nothing(hash) => match self.infer(&op, args) {
                Ok(ty) => self.add_new(hash, op, args, ty),
                Err(error) => self.fail(error),
            },
        }
    }

    /// As [`Builder::push`], for the operation of another graph on operands that stand for its own and
    /// have their types, so that the result's type is known.
    pub fn copy(&mut self, equation: &Equation, args: &[Var]) -> Var {
        match self.find(&equation.op, args) {
            Found::Variable(var) => var,
            Found::Nothing(hash) => {
                debug_assert_eq!(
                    self.infer(&equation.op, args).as_ref(),
                    Ok(&equation.ty),
                    "operands of other types"
                );
                self.add_new(hash, equation.op.clone(), args, equation.ty.clone())
            }
        }
    }

    fn find(&self, op: &Op, args: &[Var]) -> Found {
        if self.error.is_some() || args.contains(&Var::POISON) {
            return Found::Variable(Var::POISON);
        }
        let hash = hash_of((op, args));
        let same = |v: Var| {
            let e = &self.graph.equations[v.index()];
            same_args(&e.args, args) && e.op == *op
        };
        match self.known.find(hash, same) {
            Some(var) => Found::Variable(var),
            None => Found::Nothing(hash),
        }
    }

    fn add_new(&mut self, hash: u64, op: Op, args: &[Var], ty: Type) -> Var {
        let finite = match op.bound() {
            // Integers and bools have no infinities.
            _ if ty.tensor().is_some_and(|t| !t.dtype.is_inexact()) => true,
            _ if matches!(op, Op::Get(_)) => self.is_finite_part(&op, args),
            // Off the real axis bounded functions have poles or grow: tanh, sin.
            Bound::Finite if op.row().is_some() && self.dtype_of_first(args).is_complex() => false,
            Bound::Finite => true,
            Bound::Open => match &op {
                Op::Constant(array) => {
                    !array.dtype().is_inexact() || array.scalars().all(Scalar::is_finite)
                }
                // A quotient by a finite constant that is not 0 stays finite.
                Op::Binary(Binary::Div) => {
                    let by = args.get(1).and_then(|a| self.graph.splat(*a));
                    by.is_some_and(|s| s.as_real() != Some(0.0))
                        && args.iter().all(|a| self.is_finite(*a))
                }
                _ => false,
            },
            Bound::Operands => args.iter().all(|a| self.is_finite(*a)),
        };
        let mut parts = None;
        if matches!(op, Op::Call(_) | Op::Region(_)) {
            for callee in op.callees() {
                self.graph.depth = self.graph.depth.max(callee.0.call_depth() + 1);
            }
            parts = self.finite_parts(&op, args);
        }
        let finite = finite || parts.as_ref().is_some_and(|p| p.iter().all(|f| *f));
        let var = self.define(op, SmallVec::from_slice(args), ty, finite);
        if var != Var::POISON {
            if let Some(parts) = parts.filter(|p| p.len() > 1) {
                self.parts.insert(var, parts);
            }
            self.known.insert(hash, var);
        }
        var
    }

    /// Records an error, unless there is one already, and returns the stand-in.
    pub fn fail(&mut self, error: GraphError) -> Var {
        if self.error.is_none() {
            self.error = Some(error);
        }
        Var::POISON
    }

    /// Takes the recorded error out, for callers that report each error at once.
    pub(crate) fn take_error(&mut self) -> Option<GraphError> {
        self.error.take()
    }

    /// Whether an error has been recorded.
    #[inline]
    pub fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// The type of a variable.
    #[inline]
    pub fn ty(&self, var: Var) -> &Type {
        self.graph
            .equations
            .get(var.index())
            .map_or(&self.poison, |e| &e.ty)
    }

    /// The array type of a variable; the stand-in's type for a tuple.
    pub fn tensor(&self, var: Var) -> TensorType {
        self.ty(var)
            .tensor()
            .cloned()
            .unwrap_or_else(|| TensorType::scalar(DType::F64))
    }

    /// The shape of a variable.
    pub fn shape(&self, var: Var) -> Shape {
        self.tensor(var).shape
    }

    /// The number of axes of a variable.
    pub fn rank(&self, var: Var) -> usize {
        self.ty(var).tensor().map_or(0, TensorType::rank)
    }

    /// The dtype of a variable.
    #[inline]
    pub fn dtype(&self, var: Var) -> DType {
        self.ty(var).tensor().map_or(DType::F64, |t| t.dtype)
    }

    /// Whether the variable's values are finite at ordinary points, so that a plain product by
    /// them keeps a zero. Inputs count as finite.
    #[inline]
    pub fn is_finite(&self, var: Var) -> bool {
        self.finite.get(var.index()).copied().unwrap_or(true)
    }

    /// The graph so far.
    #[inline]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The number of variables so far; the next new one has this index.
    pub fn len(&self) -> usize {
        self.graph.equations.len()
    }

    /// Whether nothing has been added yet.
    pub fn is_empty(&self) -> bool {
        self.graph.equations.is_empty()
    }

    /// The graph with these outputs, or the first error. Nothing is removed from it.
    ///
    /// # Errors
    /// The first operation that failed, or an output that is a tuple.
    pub fn finish(mut self, outputs: &[Var]) -> Result<Graph, GraphError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for o in outputs {
            match self.graph.equations.get(o.index()).map(|e| &e.ty) {
                Some(Type::Tensor(_)) => {}
                Some(t) => {
                    return Err(GraphError::other(
                        format!("expected an array as an output, found a tuple {t}"),
                        None,
                    ));
                }
                None => return Err(GraphError::other("an output is not of this graph", None)),
            }
        }
        self.graph.finite = outputs.iter().map(|v| self.is_finite(*v)).collect();
        self.graph.outputs = outputs.to_vec();
        debug_assert_eq!(self.graph.verify(), Ok(()));
        Ok(self.graph)
    }

    fn dtype_of_first(&self, args: &[Var]) -> DType {
        args.first().map_or(DType::F64, |a| self.dtype(*a))
    }

    fn infer(&self, op: &Op, args: &[Var]) -> Result<Type, GraphError> {
        if let [x, y] = args
            && let Ok(ty) = op.infer(&[self.ty(*x), self.ty(*y)])
        {
            return Ok(ty);
        }
        let types: SmallVec<[&Type; 4]> = args.iter().map(|a| self.ty(*a)).collect();
        op.infer(&types).map_err(|error| {
            let operands: Vec<String> = types.iter().map(|t| t.to_string()).collect();
            GraphError::Op {
                op: op.label().to_owned(),
                operands: operands.join(", "),
                error,
                location: self.location,
            }
        })
    }

    fn define(&mut self, op: Op, args: SmallVec<[Var; 3]>, ty: Type, finite: bool) -> Var {
        if self.error.is_some() {
            return Var::POISON;
        }
        let Ok(index) = u32::try_from(self.graph.equations.len()) else {
            return self.fail(GraphError::other(
                "a graph holds at most 2^32 - 1 variables",
                None,
            ));
        };
        if index == u32::MAX {
            return self.fail(GraphError::other(
                "a graph holds at most 2^32 - 1 variables",
                None,
            ));
        }
        self.graph.equations.push(Equation {
            op,
            args,
            ty,
            location: self.location,
            scope: self.scope,
            checkpoint: self.checkpoint,
        });
        self.finite.push(finite);
        Var(index)
    }
}

/// Whether operands are the same: one by one, since they are few, and comparing blocks of memory that
/// hold nothing is slow.
fn same_args(a: &[Var], b: &[Var]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

/// What a builder knows of an operation on some operands.
enum Found {
    /// The variable of an equal one; the stand-in after an error.
    Variable(Var),
    /// It is new; its hash.
    Nothing(u64),
}

/// One form for equal things: a rank 0 constant is a `Full`.
fn canonical(op: Op) -> Op {
    match op {
        Op::Constant(array) if array.rank() == 0 => match array.at(0) {
            Some(value) => Op::Full(value, ().into()),
            None => Op::Constant(array),
        },
        op => op,
    }
}

/// The nearest name that the text form takes for an input.
fn identifier(name: &str) -> String {
    let mut out = crate::text::identifier(name);
    if crate::text::is_reserved(&out) {
        out.push('_');
    }
    out
}
