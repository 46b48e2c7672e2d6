//! Computes what a product reads with its axes as they stand in memory.
//!
//! Where the operand of a contraction is computed element by element from transposed arrays, and from what is the
//! same along some axes, it is computed without the transposes, and the contraction takes its axes where they then
//! are. The Hessian of a fit is such: X^T D X, of which the left factor would be a transposed copy of the data.

use std::collections::BTreeSet;

use cotangent_array::Shape;
use cotangent_graph::ops::{ArrayOp, Broadcast, Dot};
use cotangent_graph::{Builder, FastMap, Graph, Op, Var};

use super::rewrite::rewrite_from;
use crate::CompileError;

/// The most operations between transposes and a product that are looked at.
const MOST: usize = 256;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let better = choose(graph);
    if better.is_empty() {
        return Ok(None);
    }
    rewrite_from(graph, |b, v, to| {
        let sides = better.get(&v)?;
        let e = graph.equation(v);
        let Op::Array(ArrayOp::Dot(dot)) = &e.op else {
            return None;
        };
        let mut dot = Dot::clone(dot);
        let mut args: Vec<Var> = e.args.iter().map(|a| to[a.index()]).collect();
        for (side, cone) in sides {
            args[*side] = cone.build(graph, b, to)?;
            let (contract, batch) = match side {
                0 => (&mut dot.contract.0, &mut dot.batch.0),
                _ => (&mut dot.contract.1, &mut dot.batch.1),
            };
            for axis in contract.iter_mut().chain(batch) {
                *axis = *cone.axes.get(*axis)?;
            }
        }
        b.follow(e);
        Some(b.push(dot, &args))
    })
    .map(Some)
}

/// For each product the operands that are computed otherwise.
fn choose(graph: &Graph) -> FastMap<Var, Vec<(usize, Cone)>> {
    let mut better: FastMap<Var, Vec<(usize, Cone)>> = FastMap::default();
    let is = |wanted: fn(&ArrayOp) -> bool| {
        let mut ops = graph.equations().iter().map(|e| &e.op);
        ops.any(|op| matches!(op, Op::Array(op) if wanted(op)))
    };
    let transposed = is(|op| matches!(op, ArrayOp::Transpose(_)));
    if !transposed || !is(|op| matches!(op, ArrayOp::Dot(_))) {
        return better;
    }
    let live = graph.live();
    let mut uses = vec![0_usize; graph.equations().len()];
    for (_, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        e.args.iter().for_each(|a| uses[a.index()] += 1);
    }
    graph.outputs().iter().for_each(|o| uses[o.index()] += 1);
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        let Op::Array(ArrayOp::Dot(dot)) = &e.op else {
            continue;
        };
        for (side, operand) in e.args.iter().enumerate() {
            let (contract, batch) = match side {
                0 => (&dot.contract.0, &dot.batch.0),
                _ => (&dot.contract.1, &dot.batch.1),
            };
            let cone = Cone::of(graph, *operand, &uses).filter(|cone| {
                let free = cone.axes.iter().enumerate();
                let free = free.filter(|(a, _)| !contract.contains(a) && !batch.contains(a));
                free.map(|(_, axis)| axis).is_sorted()
            });
            if let Some(cone) = cone {
                better.entry(v).or_default().push((side, cone));
            }
        }
    }
    better
}

/// Operations on elements that nothing else reads, down to transposes and broadcasts.
struct Cone {
    /// In order.
    members: Vec<Var>,
    /// Where each axis of the results stands without the transposes.
    axes: Vec<usize>,
    shape: Shape,
}

impl Cone {
    /// The operations behind `root`, if all that they read is transposed alike, the same along some axes, or one
    /// number.
    fn of(graph: &Graph, root: Var, uses: &[usize]) -> Option<Cone> {
        let pointwise = |v: Var| graph.equation(v).op.is_pointwise() && graph.splat(v).is_none();
        if !pointwise(root) || uses[root.index()] != 1 {
            return None;
        }
        let mut members = BTreeSet::from([root]);
        let mut seen: FastMap<Var, usize> = FastMap::default();
        let mut leaves = BTreeSet::new();
        let mut next = Some(root);
        // Readers before what they read, so that all readings are counted when an operand's turn comes.
        while let Some(v) = next {
            for a in &graph.equation(v).args {
                let count = seen.entry(*a).or_default();
                *count += 1;
                match pointwise(*a) && *count == uses[a.index()] {
                    true => {
                        leaves.remove(a);
                        members.insert(*a);
                    }
                    false => {
                        leaves.insert(*a);
                    }
                }
            }
            if members.len() > MOST {
                return None;
            }
            next = members.range(..v).next_back().copied();
        }
        let transposes = leaves.iter().filter_map(|v| transposed(graph, *v));
        let (x, axes) = transposes.max_by_key(|(x, _)| *x)?;
        let cone = Cone {
            members: members.into_iter().collect(),
            axes: axes.to_vec(),
            shape: graph.ty(x).tensor()?.shape.clone(),
        };
        let known = |v: &Var| match transposed(graph, *v) {
            Some((_, axes)) => axes == cone.axes,
            None => graph.splat(*v).is_some() || cone.spread(graph, *v).is_some(),
        };
        leaves.iter().all(known).then_some(cone)
    }

    /// A broadcast and its operand, with the axes as they are without the transposes.
    fn spread(&self, graph: &Graph, v: Var) -> Option<(Broadcast, Var)> {
        let e = graph.equation(v);
        let (Op::Array(ArrayOp::Broadcast(op)), [x]) = (&e.op, &e.args[..]) else {
            return None;
        };
        let dims = op.dims.iter().map(|axis| self.axes.get(*axis).copied());
        let dims: Vec<usize> = dims.collect::<Option<_>>()?;
        let shape = self.shape.clone();
        dims.is_sorted().then_some((Broadcast { shape, dims }, *x))
    }

    /// The root without the transposes; `to` has the new variable of each old one.
    fn build(&self, graph: &Graph, b: &mut Builder, to: &[Var]) -> Option<Var> {
        let mut built: FastMap<Var, Var> = FastMap::default();
        let mut last = None;
        for member in &self.members {
            let e = graph.equation(*member);
            let mut args = Vec::with_capacity(e.args.len());
            for a in &e.args {
                let new = if let Some(known) = built.get(a) {
                    *known
                } else if let Some((x, _)) = transposed(graph, *a) {
                    to[x.index()]
                } else if let Some(number) = graph.splat(*a) {
                    b.full(number, self.shape.clone())
                } else {
                    let (op, x) = self.spread(graph, *a)?;
                    b.push(op, &[to[x.index()]])
                };
                built.insert(*a, new);
                args.push(new);
            }
            b.follow(e);
            let new = b.push(e.op.clone(), &args);
            built.insert(*member, new);
            last = Some(new);
        }
        last
    }
}

/// What a transpose is of, and its axes.
fn transposed(graph: &Graph, v: Var) -> Option<(Var, &[usize])> {
    let e = graph.equation(v);
    match (&e.op, &e.args[..]) {
        (Op::Array(ArrayOp::Transpose(op)), [x]) => Some((*x, &op.axes)),
        _ => None,
    }
}
