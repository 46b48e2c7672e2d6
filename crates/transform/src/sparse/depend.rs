//! Which elements of a graph's outputs depend on which elements of its inputs.

use std::sync::Arc;

use cotangent_array::Array;
use cotangent_graph::ops::{ArrayOp, Binary, Linalg, Ternary, Unary, Values};
use cotangent_graph::{Equation, EvalError, Graph, Op, TensorType, eval_op};

use super::pattern::{Pattern, check_size};
use super::sets::{EMPTY, Set, Sets};
use crate::forward::{check_choice, is_float};
use crate::{TransformError, grad};

/// Where the Jacobian of a graph may differ from zero.
///
/// The rows are the elements of the float outputs, one output after the other, the columns those of
/// the chosen inputs. `known[i]` is the value of input `i`, where it is known; missing entries are
/// not. Without any the pattern holds for all inputs: an index that is computed from an input may
/// then be any, both arms of a `select` count, and a loop of unknown length may run for ever. With
/// the values of index arrays, or of all inputs, the decisions that follow from them (indices,
/// conditions, the elements that win a maximum) are taken, so that the pattern is tighter; it then
/// holds as long as these decisions stay the same. Values that are zero by chance make no gaps, but
/// factors that are zero in the graph itself do.
///
/// # Errors
/// A choice that does not fit the inputs, outputs without floats, known values of other types than
/// the inputs, an index out of range, or so many entries that the matrix is not sparse.
pub fn sparsity(
    graph: &Graph,
    wrt: &[bool],
    known: &[Option<Array>],
) -> Result<Pattern, TransformError> {
    check_choice(graph, wrt)?;
    check_known(graph, known)?;
    let outputs = graph.output_types();
    if !outputs.iter().any(is_float) {
        let found: Vec<String> = outputs.iter().map(|t| t.to_string()).collect();
        return Err(TransformError::OutputNotFloat {
            graph: graph.name().to_owned(),
            found: format!("({})", found.join(", ")),
        });
    }
    let total = |types: &mut dyn Iterator<Item = &TensorType>| {
        types.fold(0_usize, |n, t| n.saturating_add(t.shape.elements()))
    };
    let inputs = graph.input_types();
    let columns = total(&mut inputs.iter().zip(wrt).filter(|(_, w)| **w).map(|(t, _)| t));
    let rows = total(&mut outputs.iter().filter(|t| is_float(t)));
    check_size(rows, columns)?;

    let mut walk = Walk::new();
    let mut states = Vec::with_capacity(inputs.len());
    let mut column = 0_u32;
    for (i, (ty, chosen)) in inputs.iter().zip(wrt).enumerate() {
        let deps = if *chosen {
            let ones: Vec<Set> = (0..ty.shape.elements())
                .map(|_| {
                    column += 1;
                    walk.sets.one(column - 1)
                })
                .collect();
            Deps::Each(ones.into())
        } else {
            Deps::None
        };
        let value = known.get(i).cloned().flatten().map(|array| Value {
            array,
            fixed: false,
        });
        states.push(State { deps, value });
    }
    let found = walk.graph(graph, states, false)?;
    let mut pattern = Pattern::with_rows(columns);
    for (state, ty) in found.iter().zip(&outputs).filter(|(_, t)| is_float(t)) {
        for i in 0..ty.shape.elements() {
            let ranges = walk.sets.ranges(state.deps.at(i));
            pattern.push_row(ranges.iter().flat_map(|(from, to)| *from..*to))?;
        }
    }
    Ok(pattern)
}

/// Where the Hessian of a scalar cost may differ from zero: a symmetric pattern over the elements
/// of the chosen inputs.
///
/// It is the pattern of the Jacobian of the gradient, where linear operations leave nothing that
/// varies; see [`sparsity`] for what `known` says.
///
/// # Errors
/// As for [`grad`] and [`sparsity`].
pub fn hessian_sparsity(
    graph: &Graph,
    wrt: &[bool],
    known: &[Option<Array>],
) -> Result<Pattern, TransformError> {
    sparsity(&grad(graph, wrt)?, wrt, known)?.symmetric()
}

/// On what the elements of a variable depend.
#[derive(Clone, Debug)]
pub(super) enum Deps {
    /// On nothing.
    None,
    /// All elements on the same columns.
    Same(Set),
    /// Each element on its own columns.
    Each(Arc<[Set]>),
}

impl Deps {
    /// The set of one element.
    pub(super) fn at(&self, i: usize) -> Set {
        match self {
            Deps::None => EMPTY,
            Deps::Same(set) => *set,
            Deps::Each(sets) => sets.get(i).copied().unwrap_or(EMPTY),
        }
    }

    /// The sets of elements, in the shortest form.
    pub(super) fn of(sets: Vec<Set>) -> Deps {
        match sets.first() {
            None => Deps::None,
            Some(first) if sets.iter().all(|s| s == first) => Deps::same(*first),
            Some(_) => Deps::Each(sets.into()),
        }
    }

    pub(super) fn same(set: Set) -> Deps {
        if set == EMPTY {
            Deps::None
        } else {
            Deps::Same(set)
        }
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Deps::None)
    }

    /// Whether two variables of `count` elements depend on the same columns.
    pub(super) fn equal(&self, other: &Deps, count: usize) -> bool {
        match (self, other) {
            (Deps::None, Deps::None) => true,
            (Deps::Same(a), Deps::Same(b)) => a == b,
            (Deps::Each(a), Deps::Each(b)) if Arc::ptr_eq(a, b) => true,
            _ => (0..count).all(|i| self.at(i) == other.at(i)),
        }
    }

    /// All sets that occur.
    pub(super) fn all(&self) -> &[Set] {
        match self {
            Deps::None => &[],
            Deps::Same(set) => std::slice::from_ref(set),
            Deps::Each(sets) => sets,
        }
    }
}

/// A value that is known without running the graph.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) array: Array,
    /// Whether the graph alone says it, so that it is the same at every point.
    pub(super) fixed: bool,
}

/// What is known of a variable.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) deps: Deps,
    pub(super) value: Option<Value>,
}

impl State {
    pub(super) const NOTHING: State = State {
        deps: Deps::None,
        value: None,
    };

    /// The value, if the graph alone says it.
    pub(super) fn fixed(&self) -> Option<&Array> {
        self.value.as_ref().filter(|v| v.fixed).map(|v| &v.array)
    }

    pub(super) fn value(&self) -> Option<&Array> {
        self.value.as_ref().map(|v| &v.array)
    }
}

/// A walk over a graph and those that it calls.
pub(super) struct Walk {
    pub(super) sets: Sets,
    /// Equations of bodies that may still be visited step by step; loops beyond that are closed in
    /// one go, with a wider pattern.
    pub(super) work: u64,
}

/// Which values of a graph decide something, and where variables are read last.
pub(super) struct Needs {
    needed: Vec<bool>,
    last: Vec<usize>,
    live: Vec<bool>,
}

/// Values of more elements than this are not computed.
const MAX_VALUE: usize = 1 << 24;

/// Operations that cost more than this are not computed.
const MAX_COST: u64 = 1 << 27;

/// Arrays of more elements than this cannot be followed element by element.
const MAX_ELEMENTS: usize = 1 << 28;

impl Walk {
    fn new() -> Walk {
        Walk {
            sets: Sets::new(),
            work: 20_000_000,
        }
    }

    /// The outputs of a graph from its inputs; `wanted` says whether their values decide something.
    pub(super) fn graph(
        &mut self,
        graph: &Graph,
        inputs: Vec<State>,
        wanted: bool,
    ) -> Result<Vec<State>, TransformError> {
        let needs = Needs::of(graph, &inputs, wanted);
        self.steps(graph, &needs, inputs)
    }

    /// The same where the needs are known.
    pub(super) fn steps(
        &mut self,
        graph: &Graph,
        needs: &Needs,
        inputs: Vec<State>,
    ) -> Result<Vec<State>, TransformError> {
        let mut states: Vec<Vec<State>> = vec![Vec::new(); graph.equations().len()];
        for ((_, v), state) in graph.inputs().iter().zip(inputs) {
            states[v.index()] = vec![state];
        }
        for (v, e) in graph.iter() {
            if e.op.is_input() || !needs.live[v.index()] {
                continue;
            }
            let wanted = needs.needed[v.index()];
            let found = if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first()) {
                let part = states[tuple.index()].get(*i).cloned();
                vec![part.unwrap_or(State::NOTHING)]
            } else {
                let args: Vec<&State> = e
                    .args
                    .iter()
                    .map(|a| states[a.index()].first().unwrap_or(&State::NOTHING))
                    .collect();
                if e.op.callees().next().is_some() {
                    self.region(e, &args, wanted)?
                } else {
                    self.operation(graph, e, &args, wanted)?
                }
            };
            states[v.index()] = found;
            for a in e.args.iter().filter(|a| needs.last[a.index()] == v.index()) {
                states[a.index()] = Vec::new();
            }
        }
        let outputs = graph.outputs().iter();
        Ok(outputs
            .map(|o| states[o.index()].first().cloned().unwrap_or(State::NOTHING))
            .collect())
    }

    /// One operation: its dependences and, where it decides something, its value.
    fn operation(
        &mut self,
        graph: &Graph,
        e: &Equation,
        args: &[&State],
        wanted: bool,
    ) -> Result<Vec<State>, TransformError> {
        let types: Vec<&TensorType> = e
            .args
            .iter()
            .filter_map(|a| graph.ty(*a).tensor())
            .collect();
        let Some(out) = e.ty.tensor() else {
            // Several results at once: each may depend on all operands.
            let results = e.ty.components().iter();
            return Ok(results
                .map(|t| State {
                    deps: match &e.op {
                        _ if is_discrete(t) => Deps::None,
                        Op::Linalg(op) => self.members(op, args, &types, t),
                        _ => self.everything(args),
                    },
                    value: None,
                })
                .collect());
        };
        let value = if wanted {
            value(graph, e, args, out)?
        } else {
            None
        };
        let varies = args.iter().any(|a| !a.deps.is_none());
        let deps = if !varies || is_discrete(out) || out.shape.elements() == 0 {
            Deps::None
        } else if out.shape.elements() > MAX_ELEMENTS {
            return Err(TransformError::Sparse(format!(
                "`{}`: expected arrays of at most {MAX_ELEMENTS} elements, found {out}",
                e.op.name()
            )));
        } else {
            match &e.op {
                Op::Linalg(op) => self.members(op, args, &types, out),
                Op::Array(op) => self
                    .array(op, args, &types, out)
                    .map_err(|source| located(e, &source))?,
                op => self.pointwise(op, args, out.shape.elements()),
            }
        };
        Ok(vec![State { deps, value }])
    }

    /// A pointwise operation: one match over the families.
    fn pointwise(&mut self, op: &Op, args: &[&State], count: usize) -> Deps {
        match (op, args) {
            (Op::Unary(op), [x]) if is_flat(*op) => {
                let _ = x;
                Deps::None
            }
            (Op::Indexed(cotangent_graph::ops::Indexed::Powi, 0), _) => Deps::None,
            (Op::Unary(_) | Op::Indexed(..) | Op::Convert(_), [x]) => x.deps.clone(),
            (Op::Binary(Binary::Mul | Binary::Zmul), [x, y]) => {
                let left = gaps(&x.deps, y.fixed(), count);
                let right = gaps(&y.deps, x.fixed(), count);
                self.both(&left, &right, count)
            }
            (Op::Binary(op @ (Binary::Maximum | Binary::Minimum)), [x, y]) => {
                let (Some(v), Some(w)) = (x.value(), y.value()) else {
                    return self.both(&x.deps, &y.deps, count);
                };
                let (v, w) = (v.to_f64s(), w.to_f64s());
                let first = |i: usize| match op {
                    Binary::Maximum => v[i] > w[i],
                    _ => v[i] < w[i],
                };
                let second = |i: usize| match op {
                    Binary::Maximum => v[i] < w[i],
                    _ => v[i] > w[i],
                };
                let chosen = (0..count).map(|i| {
                    let (a, b) = (x.deps.at(i), y.deps.at(i));
                    if first(i) {
                        a
                    } else if second(i) {
                        b
                    } else {
                        self.sets.union(a, b)
                    }
                });
                Deps::of(chosen.collect())
            }
            (Op::Ternary(Ternary::Select), [condition, x, y]) => match condition.value() {
                Some(taken) => {
                    let taken = Values::of(taken);
                    let is = |i: usize| matches!(&taken, Values::Int(t) if t.get(i) == Some(&1));
                    let arm = |i: usize| if is(i) { x.deps.at(i) } else { y.deps.at(i) };
                    Deps::of((0..count).map(arm).collect())
                }
                None => self.both(&x.deps, &y.deps, count),
            },
            (Op::Ternary(Ternary::Clamp), [x, lo, hi]) => {
                if let (Some(v), Some(l), Some(h)) = (x.value(), lo.value(), hi.value()) {
                    let (v, l, h) = (v.to_f64s(), l.to_f64s(), h.to_f64s());
                    let met = |i: usize| {
                        if v[i].max(l[i]) > h[i] {
                            hi.deps.at(i)
                        } else if v[i] < l[i] {
                            lo.deps.at(i)
                        } else {
                            x.deps.at(i)
                        }
                    };
                    return Deps::of((0..count).map(met).collect());
                }
                let borders = self.both(&lo.deps, &hi.deps, count);
                self.both(&x.deps, &borders, count)
            }
            (_, args) => args
                .iter()
                .fold(Deps::None, |all, a| self.both(&all, &a.deps, count)),
        }
    }

    /// The columns that either of two variables depends on, element by element.
    pub(super) fn both(&mut self, x: &Deps, y: &Deps, count: usize) -> Deps {
        match (x, y) {
            (Deps::None, other) | (other, Deps::None) => other.clone(),
            (Deps::Same(a), Deps::Same(b)) => Deps::same(self.sets.union(*a, *b)),
            (Deps::Each(a), Deps::Each(b)) if Arc::ptr_eq(a, b) => x.clone(),
            _ => {
                let each = (0..count).map(|i| self.sets.union(x.at(i), y.at(i)));
                Deps::of(each.collect())
            }
        }
    }

    /// What a result of an operation on matrices depends on: on every entry of the same member of
    /// the batch.
    fn members(
        &mut self,
        op: &Linalg,
        args: &[&State],
        types: &[&TensorType],
        out: &TensorType,
    ) -> Deps {
        let batch = match (types.first(), op.axes().first()) {
            (Some(t), Some(axes)) => &t.shape.dims()[..t.rank().saturating_sub(*axes)],
            _ => &[],
        };
        let count: usize = batch.iter().product();
        // A batch of one matrix, or too many elements to look at each.
        if count <= 1 || out.shape.elements() > MAX_ELEMENTS {
            return self.everything(args);
        }
        let mut each = Vec::with_capacity(out.shape.elements());
        for member in 0..count {
            let mut all: Vec<Set> = Vec::new();
            for (state, ty) in args.iter().zip(types) {
                let size = ty.shape.elements() / count;
                match &state.deps {
                    Deps::Each(sets) => {
                        let own = sets.get(member * size..(member + 1) * size);
                        all.extend(own.unwrap_or_default());
                    }
                    same => all.extend(same.all()),
                }
            }
            let set = self.sets.union_all(&mut all);
            each.resize(each.len() + out.shape.elements() / count, set);
        }
        Deps::of(each)
    }

    /// All that some element of some operand depends on.
    pub(super) fn everything(&mut self, args: &[&State]) -> Deps {
        let mut all: Vec<Set> = args.iter().flat_map(|a| a.deps.all()).copied().collect();
        Deps::same(self.sets.union_all(&mut all))
    }
}

impl Needs {
    /// What decides something in a graph, where these inputs are known.
    pub(super) fn of(graph: &Graph, inputs: &[State], wanted: bool) -> Needs {
        let count = graph.equations().len();
        let live = graph.live();
        // What the graph alone says, and what is said by it and the known inputs.
        let (mut fixed, mut known) = (vec![false; count], vec![false; count]);
        for ((_, v), state) in graph.inputs().iter().zip(inputs) {
            fixed[v.index()] = state.fixed().is_some();
            known[v.index()] = state.value.is_some();
        }
        for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
            fixed[v.index()] = e.args.iter().all(|a| fixed[a.index()]);
            known[v.index()] = e.args.iter().all(|a| known[a.index()]);
        }
        let mut needed = vec![false; count];
        for o in graph.outputs() {
            needed[o.index()] |= wanted;
        }
        for (v, e) in graph.iter().rev().filter(|(v, _)| live[v.index()]) {
            for (i, a) in e.args.iter().enumerate() {
                let at = a.index();
                let decides =
                    needed[v.index()] || decides(&e.op, i) || (fixed[at] && scales(&e.op));
                needed[at] |= decides && known[at];
            }
        }
        Needs {
            needed,
            last: graph.last_uses(),
            live,
        }
    }
}

/// Whether the value of an operand decides which other operands the result depends on.
fn decides(op: &Op, operand: usize) -> bool {
    match op {
        Op::Binary(Binary::Maximum | Binary::Minimum) | Op::Ternary(Ternary::Clamp) => true,
        Op::Ternary(Ternary::Select) => operand == 0,
        Op::Array(ArrayOp::Gather(_) | ArrayOp::ScatterAdd(_)) => operand > 0,
        Op::Array(ArrayOp::Max(_) | ArrayOp::Min(_) | ArrayOp::WindowMax(_)) => true,
        Op::Call(_) | Op::Region(_) => true,
        _ => false,
    }
}

/// Whether a zero in one operand makes a gap in the dependence on the other.
fn scales(op: &Op) -> bool {
    matches!(
        op,
        Op::Binary(Binary::Mul | Binary::Zmul)
            | Op::Array(ArrayOp::Dot(_) | ArrayOp::Conv(_) | ArrayOp::Recurrence(_))
    )
}

/// Whether values of this type have no derivative.
pub(super) fn is_discrete(ty: &TensorType) -> bool {
    ty.dtype.is_int() || ty.dtype.is_bool()
}

/// Whether the derivative is zero everywhere.
fn is_flat(op: Unary) -> bool {
    use Unary::*;
    matches!(op, StopGradient | Not | Sign | Floor | Ceil | Round | Trunc)
}

/// The dependence on one factor, without the elements where the other is zero in the graph itself.
fn gaps(deps: &Deps, factor: Option<&Array>, count: usize) -> Deps {
    match factor {
        Some(factor) if !deps.is_none() => {
            let factor = factor.to_f64s();
            if !factor.contains(&0.0) {
                return deps.clone();
            }
            let kept = |i: usize| {
                if factor.get(i) == Some(&0.0) {
                    EMPTY
                } else {
                    deps.at(i)
                }
            };
            Deps::of((0..count).map(kept).collect())
        }
        _ => deps.clone(),
    }
}

/// The value of an operation whose operands are known, unless it is too dear to find.
fn value(
    graph: &Graph,
    e: &Equation,
    args: &[&State],
    out: &TensorType,
) -> Result<Option<Value>, TransformError> {
    let Some(values) = args
        .iter()
        .map(|a| a.value.as_ref())
        .collect::<Option<Vec<&Value>>>()
    else {
        return Ok(None);
    };
    let types: Vec<_> = e.args.iter().map(|a| graph.ty(*a)).collect();
    if out.shape.elements() > MAX_VALUE || e.op.cost(&types, &e.ty) > MAX_COST {
        return Ok(None);
    }
    let arrays: Vec<&Array> = values.iter().map(|v| &v.array).collect();
    let array = eval_op(&e.op, &arrays, out).map_err(|source| located(e, &source))?;
    Ok(Some(Value {
        array,
        fixed: values.iter().all(|v| v.fixed),
    }))
}

/// The error of an operation, with its name and its place.
fn located(e: &Equation, source: &EvalError) -> TransformError {
    let place = e.location.map_or(String::new(), |l| format!("{l}: "));
    TransformError::Sparse(format!("{place}{}: {source}", e.op.name()))
}

fn check_known(graph: &Graph, known: &[Option<Array>]) -> Result<(), TransformError> {
    if known.len() > graph.inputs().len() {
        return Err(TransformError::InputCount {
            graph: graph.name().to_owned(),
            expected: graph.inputs().len(),
            found: known.len(),
        });
    }
    for (((name, _), ty), array) in graph.inputs().iter().zip(graph.input_types()).zip(known) {
        let Some(array) = array else { continue };
        let found = TensorType::new(array.dtype(), array.shape().clone());
        if found != ty {
            return Err(TransformError::Sparse(format!(
                "input `{name}` of `{}` is {ty}, the known value is {found}",
                graph.name()
            )));
        }
    }
    Ok(())
}
