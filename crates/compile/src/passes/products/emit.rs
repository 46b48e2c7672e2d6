//! Emits a sum of products in the order chosen.

use cotangent_graph::ops::Dot;
use cotangent_graph::{Builder, Var};

use super::network::{Label, Network};
use super::order::{Join, Labels, Order, bits, join, open_labels};

/// An array with a label for each axis.
struct Part {
    var: Var,
    axes: Vec<Label>,
}

pub(super) fn emit(b: &mut Builder, network: &Network, order: &Order, leaves: &[Var]) -> Var {
    let all = (1_u32 << network.leaves.len()) - 1;
    let part = set(b, network, order, leaves, all);
    // Labels that no factor has: the result is the same along one of its own axes, and a sum over one
    // is a multiple.
    let has = network.leaves.iter().fold(0, |all, l| all | bits(&l.axes));
    let is_own = |l: &Label| network.axes.contains(l);
    let times: f64 = (0..network.sizes.len())
        .filter(|l| has >> l & 1 == 0 && !is_own(l))
        .map(|l| network.sizes[l] as f64)
        .product();
    let mut var = part.var;
    if times * network.factor != 1.0 {
        let factor = b.like(var, times * network.factor);
        var = b.mul(factor, var);
    }
    let present: Vec<Label> = (network.axes.iter().copied())
        .filter(|l| part.axes.contains(l))
        .collect();
    let var = arranged(b, Part { var, ..part }, &present);
    spread(b, network, var, &present, &network.axes)
}

/// The product of a set of factors. Sets halve at least by one, so this goes eight levels deep.
fn set(b: &mut Builder, network: &Network, order: &Order, leaves: &[Var], of: u32) -> Part {
    let open = open_labels(network, of);
    let Some((x, y)) = order.split(of) else {
        let at = of.trailing_zeros() as usize;
        let part = Part {
            var: leaves[at],
            axes: network.leaves[at].axes.clone(),
        };
        return summed(b, part, open);
    };
    let x = set(b, network, order, leaves, x);
    let y = set(b, network, order, leaves, y);
    let (left, right) = (bits(&x.axes), bits(&y.axes));
    match join(left, right, open) {
        // An outer product is a contraction of nothing.
        Join::Product if left & !right != 0 && right & !left != 0 => contracted(b, x, y, open),
        Join::Product | Join::Sum => {
            let own = y.axes.iter().filter(|l| !x.axes.contains(l));
            let axes: Vec<Label> = x.axes.iter().chain(own).copied().collect();
            let product = {
                let x = onto(b, network, x, &axes);
                let y = onto(b, network, y, &axes);
                b.mul(x, y)
            };
            summed(b, Part { var: product, axes }, open)
        }
        Join::Matrices | Join::Vector => contracted(b, x, y, open),
    }
}

fn contracted(b: &mut Builder, x: Part, y: Part, open: Labels) -> Part {
    // The axes of the result have the smallest labels, in order: the first of them goes left.
    let first = |of: &Part, other: &Part| {
        let own = of.axes.iter().filter(|l| !other.axes.contains(l));
        own.min().copied().unwrap_or(Label::MAX)
    };
    let (x, y) = match first(&y, &x) < first(&x, &y) {
        true => (y, x),
        false => (x, y),
    };
    let both = |keep: bool| -> Vec<Label> {
        let shared = x.axes.iter().filter(|l| y.axes.contains(l));
        shared
            .copied()
            .filter(|l| (open >> l & 1 == 1) == keep)
            .collect()
    };
    let (batch, contract) = (both(true), both(false));
    let at = |part: &Part, labels: &[Label]| -> Vec<usize> {
        let places = labels.iter();
        places
            .filter_map(|l| part.axes.iter().position(|a| a == l))
            .collect()
    };
    let op = Dot {
        contract: (at(&x, &contract), at(&y, &contract)),
        batch: (at(&x, &batch), at(&y, &batch)),
    };
    let mut axes = batch.clone();
    for part in [&x, &y] {
        let free = part.axes.iter().copied();
        axes.extend(free.filter(|l| !batch.contains(l) && !contract.contains(l)));
    }
    Part {
        var: b.push(op, &[x.var, y.var]),
        axes,
    }
}

/// Summed over every axis that is not open.
fn summed(b: &mut Builder, part: Part, open: Labels) -> Part {
    let is_open = |l: &Label| open >> l & 1 == 1;
    let gone: Vec<usize> = (0..part.axes.len())
        .filter(|i| !is_open(&part.axes[*i]))
        .collect();
    if gone.is_empty() {
        return part;
    }
    Part {
        var: b.sum(part.var, &gone),
        axes: part.axes.into_iter().filter(is_open).collect(),
    }
}

/// The array with its axes in this order.
fn arranged(b: &mut Builder, part: Part, axes: &[Label]) -> Var {
    if part.axes == axes {
        return part.var;
    }
    let order: Vec<usize> = (axes.iter())
        .filter_map(|l| part.axes.iter().position(|a| a == l))
        .collect();
    b.transpose(part.var, &order)
}

/// The array with all of these axes, equal along those that it has not.
fn onto(b: &mut Builder, network: &Network, part: Part, axes: &[Label]) -> Var {
    let present: Vec<Label> = (axes.iter().copied())
        .filter(|l| part.axes.contains(l))
        .collect();
    let var = arranged(b, part, &present);
    spread(b, network, var, &present, axes)
}

fn spread(b: &mut Builder, network: &Network, var: Var, present: &[Label], axes: &[Label]) -> Var {
    if present == axes {
        return var;
    }
    let shape: Vec<usize> = axes.iter().map(|l| network.sizes[*l]).collect();
    let dims: Vec<usize> = (0..axes.len())
        .filter(|i| present.contains(&axes[*i]))
        .collect();
    b.broadcast(var, shape, &dims)
}
