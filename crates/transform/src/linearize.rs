//! Linearization: a graph split into its values and the linear map of its tangents.

use std::collections::{BTreeSet, HashMap};

use cotangent_graph::ops::{ArrayOp, Binary, Part, Ternary, Unary};
use cotangent_graph::{Builder, Graph, Op, Var};

use crate::TransformError;
use crate::forward::Forward;

/// A graph split at a point: what is computed once, and the map that is applied often.
#[derive(Clone, Debug)]
pub struct Linearized {
    /// Inputs of the graph -> its outputs, then the residuals.
    pub primal: Graph,
    /// Residuals, then a tangent for each chosen input -> the tangents of the outputs that vary.
    /// Linear in the tangents.
    pub linear: Graph,
    /// Which outputs vary with the chosen inputs; the others have the tangent zero.
    pub varying: Vec<bool>,
    /// How many residuals there are.
    pub residuals: usize,
}

/// Splits a graph into its values with residuals and the linear map of the chosen inputs' tangents.
///
/// Results of dear operations (exp, tanh, div, reductions, products of arrays) are kept as
/// residuals; sums, products, selections and broadcasts of what is kept are computed again.
///
/// # Errors
/// A choice that does not fit the inputs, or that names an input that is neither a float nor complex.
pub fn linearize(graph: &Graph, wrt: &[bool]) -> Result<Linearized, TransformError> {
    let finite = vec![true; wrt.len()];
    linearize_call(graph, wrt, &finite, &finite)
}

/// The same for a callee, whose inputs and their tangents may hold infinite values.
pub(crate) fn linearize_call(
    graph: &Graph,
    wrt: &[bool],
    finite: &[bool],
    finite_tangents: &[bool],
) -> Result<Linearized, TransformError> {
    let (b, forward) = Forward::start_with(graph, wrt, "joint", true, finite, finite_tangents)?;
    let values = forward.values(graph);
    let moved: Vec<Option<Var>> = graph
        .outputs()
        .iter()
        .map(|o| forward.tangents[o.index()])
        .collect();
    let all: Vec<Var> = values
        .iter()
        .copied()
        .chain(moved.iter().flatten().copied())
        .collect();
    let joint = b.finish(&all)?;

    let linear = dependents(&joint, &forward.seeds);
    let live = joint.live();
    let kept = Kept::choose(&joint, &linear, &live, &moved);
    let linear_graph = linear_part(graph, &joint, &linear, &live, &kept, &forward.seeds, &moved)?;
    let primal = primal_part(graph, &joint, &linear, &live, &kept, &values)?;
    Ok(Linearized {
        primal,
        linear: linear_graph,
        varying: moved.iter().map(Option::is_some).collect(),
        residuals: kept.residuals.len(),
    })
}

/// Which variables depend on some of these inputs.
pub(crate) fn dependents(graph: &Graph, on: &[Var]) -> Vec<bool> {
    let mut depends = vec![false; graph.equations().len()];
    for v in on {
        if let Some(d) = depends.get_mut(v.index()) {
            *d = true;
        }
    }
    for (v, e) in graph.iter() {
        if e.args.iter().any(|a| depends[a.index()]) {
            depends[v.index()] = true;
        }
    }
    depends
}

/// The known variables that the linear part needs: stored, or computed again from those.
struct Kept {
    residuals: Vec<Var>,
    /// In order; each from residuals, constants and earlier ones.
    again: Vec<Var>,
}

impl Kept {
    fn choose(joint: &Graph, linear: &[bool], live: &[bool], moved: &[Option<Var>]) -> Kept {
        let is_known = |v: &Var| !linear[v.index()] && !joint.equation(*v).op.is_constant();
        let mut read: BTreeSet<Var> = BTreeSet::new();
        for (v, e) in joint.iter() {
            if linear[v.index()] && live[v.index()] {
                read.extend(e.args.iter().copied().filter(is_known));
            }
        }
        read.extend(moved.iter().flatten().copied().filter(is_known));
        // A broadcast is never stored: its operand is smaller. Operands come earlier, so one walk
        // from the last to the first finds chains of them.
        let mut at = read.last().copied();
        while let Some(v) = at {
            if let Op::Array(ArrayOp::Broadcast(_)) = joint.equation(v).op {
                read.extend(joint.equation(v).args.iter().copied().filter(is_known));
            }
            at = read.range(..v).next_back().copied();
        }
        let mut stored: BTreeSet<Var> = BTreeSet::new();
        let mut again: BTreeSet<Var> = BTreeSet::new();
        for v in read {
            let available = |a: Var| {
                let op = &joint.equation(a).op;
                op.is_constant() || op.is_input() || stored.contains(&a) || again.contains(&a)
            };
            match cheaply(joint, v, &available) {
                Some(chain) => {
                    // An input of the graph is in memory anyway, so reading it stores nothing new.
                    let read = chain.iter().flat_map(|v| &joint.equation(*v).args);
                    stored.extend(read.filter(|a| joint.equation(**a).op.is_input()));
                    again.extend(chain);
                }
                None => {
                    stored.insert(v);
                }
            }
        }
        Kept {
            residuals: stored.into_iter().collect(),
            again: again.into_iter().collect(),
        }
    }
}

/// The cheap operations, `v` the last of them, that lead to `v` from what is available, if a few do:
/// the slope `1 - y * y` of a `tanh` from `y`, say.
fn cheaply(joint: &Graph, v: Var, available: &impl Fn(Var) -> bool) -> Option<BTreeSet<Var>> {
    let mut chain: BTreeSet<Var> = BTreeSet::new();
    let mut work = vec![v];
    while let Some(v) = work.pop() {
        if !chain.insert(v) {
            continue;
        }
        let e = joint.equation(v);
        if chain.len() > LONGEST || !is_cheap(&e.op) {
            return None;
        }
        work.extend(e.args.iter().copied().filter(|a| !available(*a)));
    }
    Some(chain)
}

/// How many operations are computed again at most where their result is not kept.
const LONGEST: usize = 6;

/// Whether computing a result again costs no more than reading it from memory.
fn is_cheap(op: &Op) -> bool {
    match op {
        Op::Unary(op) => {
            matches!(
                op,
                Unary::Neg | Unary::Not | Unary::Abs | Unary::Sign | Unary::StopGradient
            )
        }
        Op::Binary(op) => matches!(
            op,
            Binary::Add
                | Binary::Sub
                | Binary::Mul
                | Binary::Zmul
                | Binary::Maximum
                | Binary::Minimum
                | Binary::And
                | Binary::Or
        ),
        Op::Ternary(Ternary::Select | Ternary::Clamp) => true,
        Op::Compare(_) | Op::Test(_) | Op::Convert(_) | Op::Complex => true,
        Op::Part(op) => *op != Part::Angle,
        Op::Array(op) => matches!(op, ArrayOp::Broadcast(_) | ArrayOp::Reshape(_)),
        _ => false,
    }
}

fn linear_part(
    graph: &Graph,
    joint: &Graph,
    linear: &[bool],
    live: &[bool],
    kept: &Kept,
    seeds: &[Var],
    moved: &[Option<Var>],
) -> Result<Graph, TransformError> {
    let mut b = Builder::new(&format!("{}_linear", graph.name()));
    let mut to: HashMap<Var, Var> = HashMap::new();
    for (i, v) in kept.residuals.iter().enumerate() {
        let e = joint.equation(*v);
        let Some(ty) = e.ty.tensor() else {
            return Err(TransformError::NotLinear {
                op: e.op.name().to_owned(),
                location: e.location,
            });
        };
        to.insert(*v, b.input(&format!("r{i}"), ty.clone()));
    }
    let all: HashMap<Var, &str> = joint.inputs().iter().map(|(n, v)| (*v, &**n)).collect();
    for seed in seeds {
        let name = all.get(seed).copied().unwrap_or("t");
        if let Some(ty) = joint.ty(*seed).tensor() {
            to.insert(*seed, b.input(name, ty.clone()));
        }
    }
    let again = kept.again.iter().copied();
    let moving = joint
        .iter()
        .filter(|(v, e)| linear[v.index()] && live[v.index()] && !e.op.is_input())
        .map(|(v, _)| v);
    for v in again.chain(moving) {
        emit(&mut b, joint, &mut to, v);
    }
    let outputs: Vec<Var> = moved
        .iter()
        .flatten()
        .map(|m| emit(&mut b, joint, &mut to, *m))
        .collect();
    Ok(b.finish(&outputs)?)
}

/// One equation of the joint graph in the linear one; constants among its operands come along.
fn emit(b: &mut Builder, joint: &Graph, to: &mut HashMap<Var, Var>, v: Var) -> Var {
    if let Some(done) = to.get(&v) {
        return *done;
    }
    let e = joint.equation(v);
    let args: Vec<Var> = e
        .args
        .iter()
        .map(|a| match to.get(a) {
            Some(done) => *done,
            None => b.push(joint.equation(*a).op.clone(), &[]),
        })
        .collect();
    b.follow(e);
    let out = b.push(e.op.clone(), &args);
    b.set_location(None);
    to.insert(v, out);
    out
}

fn primal_part(
    graph: &Graph,
    joint: &Graph,
    linear: &[bool],
    live: &[bool],
    kept: &Kept,
    values: &[Var],
) -> Result<Graph, TransformError> {
    let mut b = Builder::new(&format!("{}_primal", graph.name()));
    let inputs = graph.inputs().iter().zip(graph.input_types());
    let inputs: Vec<Var> = inputs.map(|((n, _), t)| b.input(n, t)).collect();
    let mut to: HashMap<Var, Var> = joint.inputs().iter().map(|(_, v)| *v).zip(inputs).collect();
    for (v, e) in joint.iter() {
        if !linear[v.index()] && live[v.index()] && !e.op.is_input() {
            emit(&mut b, joint, &mut to, v);
        }
    }
    let outputs: Vec<Var> = values
        .iter()
        .chain(&kept.residuals)
        .filter_map(|v| to.get(v).copied())
        .collect();
    Ok(b.finish(&outputs)?.without_dead_code())
}
