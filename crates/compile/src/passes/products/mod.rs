//! Orders sums of products by cost.
//!
//! Products of matrices, products of broadcast arrays, transposes and sums that nothing else reads are
//! one sum of products over labelled axes (an Einstein sum). Of all ways to compute it, factor by
//! factor and pair by pair, the cheapest is taken: chains of matrices associate the cheaper way, a sum
//! over an axis that one factor has alone is taken before the product, and an outer product that is
//! summed again becomes a product of matrices. Where nothing is clearly gained, all stays as written.

mod emit;
mod network;
mod order;

use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Equation, FastMap, Graph, Op, Var};

use self::network::Network;
use super::rewrite::rewrite_from;
use crate::CompileError;

/// A new order has to cost less than this share of the old one.
const SHARE: f64 = 0.8;
/// Less than this many places are not worth a look.
const FEW: f64 = 64.0;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let better = choose(graph);
    if better.is_empty() {
        return Ok(None);
    }
    rewrite_from(graph, |b, v, to| {
        let (network, order) = better.get(&v)?;
        let leaves: Vec<Var> = network.leaves.iter().map(|l| to[l.var.index()]).collect();
        Some(emit::emit(b, network, order, &leaves))
    })
    .map(Some)
}

/// The sums of products that get better.
fn choose(graph: &Graph) -> FastMap<Var, (Network, order::Order)> {
    let sums = |op: &Op| matches!(op, Op::Array(ArrayOp::Sum(_) | ArrayOp::Dot(_)));
    let mut better = FastMap::default();
    if !graph.equations().iter().any(|e| sums(&e.op)) {
        return better;
    }
    let live = graph.live();
    let mut uses = vec![0_u32; graph.equations().len()];
    for (_, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        for a in &e.args {
            uses[a.index()] = uses[a.index()].saturating_add(1);
        }
    }
    for o in graph.outputs() {
        uses[o.index()] = uses[o.index()].saturating_add(2);
    }
    // A transpose of a sum of products that nothing else reads says how the result is wanted.
    let root = |e: &Equation| match (&e.op, &e.args[..]) {
        (Op::Array(ArrayOp::Transpose(_)), [x]) => {
            uses[x.index()] == 1 && sums(&graph.equation(*x).op)
        }
        (op, _) => sums(op),
    };
    let mut inside = vec![false; graph.equations().len()];
    for (v, e) in graph.iter().rev() {
        if !root(e) || inside[v.index()] || !live[v.index()] {
            continue;
        }
        let Some(network) = Network::of(graph, v, &uses) else {
            continue;
        };
        let Some(order) = order::cheapest(&network) else {
            continue;
        };
        if network.cost >= FEW && order.cost < SHARE * network.cost {
            // What is inside of one sum of products is no other's root.
            for v in &network.interior {
                inside[v.index()] = true;
            }
            better.insert(v, (network, order));
        }
    }
    better
}
