//! Makes graphs, one operation at a time.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cotangent_array::{Array, DType, Scalar, Shape};
use smallvec::SmallVec;

use crate::graph::Graph;
use crate::hash::{FastMap, Known, hash_of};
use crate::op::Callee;
use crate::ops::{
    Binary, Bound, Broadcast, Compare, Indexed, Linalg, Orders, Part, Region, Reshape, Rule, Slice,
    Special, Sum, Ternary, Test, Transpose, Unary,
};
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

    /// For the results of calls, branches and loops: whether each is finite because the bodies keep
    /// finite values finite. `None` for other operations.
    fn finite_parts(&self, op: &Op, args: &[Var]) -> Option<Vec<bool>> {
        let (bodies, carry): (Vec<&Graph>, usize) = match op {
            Op::Call(callee) => (vec![&callee.0], 0),
            Op::Region(Region::Cond(c)) => (vec![&c.then.0, &c.otherwise.0], 0),
            Op::Region(Region::Scan(s)) => (vec![&s.body.0], s.carry),
            Op::Region(Region::While(w)) => (vec![&w.body.0], w.carry),
            Op::Region(Region::Custom(c)) => (vec![&c.call.0], 0),
            _ => return None,
        };
        let operands = args.iter().all(|a| self.is_finite(*a));
        let kept = |i: usize| bodies.iter().all(|g| g.finite.get(i) == Some(&true));
        // What one step makes infinite the next one may spread to every carried value.
        let steady = (0..carry).all(kept);
        let count = bodies.first().map_or(0, |g| g.outputs.len());
        Some((0..count).map(|i| operands && steady && kept(i)).collect())
    }

    fn is_finite_part(&self, op: &Op, args: &[Var]) -> bool {
        match (op, args) {
            (Op::Get(i), [tuple]) => {
                let parts = self.parts.get(tuple);
                parts
                    .and_then(|p| p.get(*i))
                    .copied()
                    .unwrap_or(self.is_finite(*tuple))
            }
            _ => false,
        }
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

/// Short names for the operations that rules are written in.
impl Builder {
    /// A pointwise operation of one operand.
    pub fn unary(&mut self, op: Unary, x: Var) -> Var {
        self.push(op, &[x])
    }

    /// A pointwise operation of one operand with a whole-number attribute.
    pub fn indexed(&mut self, op: Indexed, n: i64, x: Var) -> Var {
        self.push(Op::Indexed(op, n), &[x])
    }

    /// A special function of several operands, or its derivative of the orders given.
    pub fn special(&mut self, op: Special, orders: Orders, args: &[Var]) -> Var {
        self.push(Op::Special(op, orders), args)
    }

    /// A pointwise operation of two operands.
    pub fn binary(&mut self, op: Binary, x: Var, y: Var) -> Var {
        self.push(op, &[x, y])
    }

    /// x + y
    pub fn add(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Add, x, y)
    }

    /// x - y
    pub fn sub(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Sub, x, y)
    }

    /// x * y
    pub fn mul(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Mul, x, y)
    }

    /// x / y
    pub fn div(&mut self, x: Var, y: Var) -> Var {
        self.binary(Binary::Div, x, y)
    }

    /// -x
    pub fn neg(&mut self, x: Var) -> Var {
        self.unary(Unary::Neg, x)
    }

    /// A comparison.
    pub fn compare(&mut self, op: Compare, x: Var, y: Var) -> Var {
        self.push(op, &[x, y])
    }

    /// A test of one operand.
    pub fn test(&mut self, op: Test, x: Var) -> Var {
        self.push(op, &[x])
    }

    /// A part of a complex number. Of a real one: the conjugate and the real part are the number
    /// itself, and nothing is added; the others fail.
    pub fn part(&mut self, op: Part, x: Var) -> Var {
        match op {
            Part::Real | Part::Conj if !self.dtype(x).is_complex() => x,
            op => self.push(op, &[x]),
        }
    }

    /// The complex number of a real and an imaginary part.
    pub fn complex(&mut self, re: Var, im: Var) -> Var {
        self.push(Op::Complex, &[re, im])
    }

    /// `x` where `condition`, `y` elsewhere.
    pub fn select(&mut self, condition: Var, x: Var, y: Var) -> Var {
        self.push(Ternary::Select, &[condition, x, y])
    }

    /// Conversion to a dtype; nothing is added when it is the dtype already.
    pub fn convert(&mut self, dtype: DType, x: Var) -> Var {
        if self.dtype(x) == dtype {
            x
        } else {
            self.push(Op::Convert(dtype), &[x])
        }
    }

    /// One number everywhere.
    pub fn full(&mut self, value: Scalar, shape: impl Into<Shape>) -> Var {
        self.push(Op::Full(value, shape.into()), &[])
    }

    /// One number everywhere, in the dtype and shape of `x`.
    pub fn like(&mut self, x: Var, value: f64) -> Var {
        let t = self.tensor(x);
        self.full(Scalar::from_f64(t.dtype, value), t.shape)
    }

    /// A scalar of this dtype.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Var {
        self.full(Scalar::from_f64(dtype, value), ())
    }

    /// Zeros of this type.
    pub fn zeros(&mut self, ty: &TensorType) -> Var {
        self.full(Scalar::zero(ty.dtype), ty.shape.clone())
    }

    /// Values that are known now.
    pub fn constant(&mut self, array: Array) -> Var {
        self.push(Op::Constant(array), &[])
    }

    /// The same elements in another shape; nothing is added when it is the shape already.
    pub fn reshape(&mut self, x: Var, shape: impl Into<Shape>) -> Var {
        let shape = shape.into();
        if self.shape(x) == shape {
            x
        } else {
            self.push(Reshape { shape }, &[x])
        }
    }

    /// Axis `i` of the result is axis `axes[i]` of `x`; nothing is added when no axis moves.
    pub fn transpose(&mut self, x: Var, axes: &[usize]) -> Var {
        if axes.iter().enumerate().all(|(i, a)| i == *a) && axes.len() == self.rank(x) {
            return x;
        }
        self.push(
            Transpose {
                axes: axes.to_vec(),
            },
            &[x],
        )
    }

    /// Axis `i` of `x` becomes axis `dims[i]` of `shape`; the other axes repeat it. One number
    /// everywhere stays so.
    pub fn broadcast(&mut self, x: Var, shape: impl Into<Shape>, dims: &[usize]) -> Var {
        let shape = shape.into();
        if self.shape(x) == shape && dims.iter().enumerate().all(|(i, d)| i == *d) {
            return x;
        }
        let op = Broadcast {
            shape,
            dims: dims.to_vec(),
        };
        match self.graph.splat(x) {
            Some(value) if op.infer(&[&self.tensor(x)]).is_ok() => self.full(value, op.shape),
            _ => self.push(op, &[x]),
        }
    }

    /// The sum over axes, which vanish; nothing is added for no axes.
    pub fn sum(&mut self, x: Var, axes: &[usize]) -> Var {
        if axes.is_empty() {
            x
        } else {
            self.push(
                Sum {
                    axes: axes.to_vec(),
                },
                &[x],
            )
        }
    }

    /// The elements from `start` to before `limit` along one axis.
    pub fn slice_axis(&mut self, x: Var, axis: usize, start: usize, limit: usize) -> Var {
        let shape = self.shape(x);
        let (mut starts, mut limits) = (vec![0; shape.rank()], shape.dims().to_vec());
        if let (Some(s), Some(l)) = (starts.get_mut(axis), limits.get_mut(axis)) {
            if (*s, *l) == (start, limit) {
                return x;
            }
            (*s, *l) = (start, limit);
        }
        self.push(
            Slice {
                start: starts,
                limit: limits,
                stride: vec![1; shape.rank()],
            },
            &[x],
        )
    }

    /// Calls a graph; one variable for each of its outputs.
    pub fn call(&mut self, graph: &Arc<Graph>, args: &[Var]) -> Vec<Var> {
        let result = self.push(Op::Call(Callee(graph.clone())), args);
        let count = graph.outputs().len();
        if count == 1 {
            return vec![result];
        }
        (0..count)
            .map(|i| self.push(Op::Get(i), &[result]))
            .collect()
    }

    /// Runs a branch or a loop; one variable for each of its results.
    pub fn region(&mut self, region: Region, args: &[Var]) -> Vec<Var> {
        self.results(Op::Region(region), args)
    }

    /// An operation of linear algebra; one variable for each of its results.
    pub fn linalg(&mut self, op: impl Into<Linalg>, args: &[Var]) -> Vec<Var> {
        self.results(Op::Linalg(op.into()), args)
    }

    /// Adds an operation; one variable for each of its results.
    pub fn results(&mut self, op: Op, args: &[Var]) -> Vec<Var> {
        let result = self.push(op, args);
        match self.ty(result) {
            Type::Tensor(_) => vec![result],
            Type::Tuple(parts) => (0..parts.len())
                .map(|i| self.push(Op::Get(i), &[result]))
                .collect(),
        }
    }

    /// Copies the equations of a graph into this one, with its inputs replaced; one variable for
    /// each of its outputs.
    pub fn inline(&mut self, graph: &Graph, args: &[Var]) -> Vec<Var> {
        if args.len() != graph.inputs().len() {
            let message = format!(
                "`{}` takes {} inputs, {} were given",
                graph.name(),
                graph.inputs().len(),
                args.len()
            );
            let poison = self.fail(GraphError::other(message, self.location));
            return vec![poison; graph.outputs().len()];
        }
        let mut to = vec![Var::POISON; graph.equations().len()];
        for ((name, v), a) in graph.inputs().iter().zip(args) {
            if self.ty(*a) != graph.ty(*v) && !self.failed() {
                let message = format!(
                    "input `{name}` of `{}` is {}, found {}",
                    graph.name(),
                    graph.ty(*v),
                    self.ty(*a)
                );
                self.fail(GraphError::other(message, self.location));
            }
            to[v.index()] = *a;
        }
        let (outer, around, inside) = (self.location, self.scope, self.checkpoint);
        // Neighbours are mostly of one scope, and in the same checkpoints.
        let mut last = (Scope::ROOT, around);
        let mut held = (Checkpoint::NONE, inside);
        let copy = self.graph.equations.len() as u64;
        for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
            let args: SmallVec<[Var; 3]> = e.args.iter().map(|a| to[a.index()]).collect();
            self.location = e.location.or(outer);
            if e.scope != last.0 {
                last = (e.scope, e.scope.within(around));
            }
            self.scope = last.1;
            if e.checkpoint != held.0 {
                held = (e.checkpoint, e.checkpoint.copied(copy).within(inside));
            }
            self.checkpoint = held.1;
            to[v.index()] = self.copy(e, &args);
        }
        (self.location, self.scope, self.checkpoint) = (outer, around, inside);
        graph.outputs().iter().map(|o| to[o.index()]).collect()
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
