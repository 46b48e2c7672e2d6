//! The cheapest order in which to multiply factors and to sum.

use super::network::{Label, MOST, Network, cost};

/// How to compute each set of factors that is needed: by joining two smaller sets.
pub(super) struct Order {
    /// By set, as bits: the first of the two.
    splits: Vec<u32>,
    pub(super) cost: f64,
}

/// Labels as bits; a network has few.
pub(super) type Labels = u64;

impl Order {
    /// The two sets that a set is joined from.
    pub(super) fn split(&self, set: u32) -> Option<(u32, u32)> {
        let first = *self.splits.get(set as usize)?;
        (set.count_ones() > 1).then_some((first, set & !first))
    }
}

/// What of a set of factors is left when all is summed that nothing outside of the set has.
pub(super) fn open_labels(network: &Network, set: u32) -> Labels {
    let of = |inside: bool| {
        (network.leaves.iter().enumerate())
            .filter(|(i, _)| (set >> i & 1 == 1) == inside)
            .fold(0, |all, (_, leaf)| all | bits(&leaf.axes))
    };
    of(true) & (of(false) | bits(&network.axes))
}

pub(super) fn bits(labels: &[Label]) -> Labels {
    labels.iter().fold(0, |all, l| all | 1 << l)
}

/// Looks at every way to join factors two by two (dynamic programming over sets of factors).
pub(super) fn cheapest(network: &Network) -> Option<Order> {
    let n = network.leaves.len();
    if n > MOST || network.sizes.len() > Labels::BITS as usize {
        return None;
    }
    let places = |labels: Labels| -> f64 {
        (network.sizes.iter().enumerate())
            .filter(|(i, _)| labels >> i & 1 == 1)
            .map(|(_, size)| *size as f64)
            .product()
    };
    let sets = 1_usize << n;
    let open: Vec<Labels> = (0..sets as u32).map(|s| open_labels(network, s)).collect();
    let mut costs = vec![f64::INFINITY; sets];
    let mut splits = vec![0_u32; sets];
    for (i, leaf) in network.leaves.iter().enumerate() {
        let all = bits(&leaf.axes);
        // An axis that nothing else has is summed first.
        let set = 1 << i;
        costs[set] = if open[set] == all { 0.0 } else { places(all) };
    }
    for set in 1..sets as u32 {
        if set.count_ones() < 2 {
            continue;
        }
        // Each pair of parts once: the first has the lowest factor.
        let lowest = set & set.wrapping_neg();
        let mut part = (set - 1) & set;
        while part > 0 {
            let other = set & !part;
            if part & lowest != 0 {
                let (x, y) = (open[part as usize], open[other as usize]);
                let result = open[set as usize];
                let product = join(x, y, result) == Join::Matrices;
                let total = costs[part as usize]
                    + costs[other as usize]
                    + cost(places(x | y), places(result), product);
                if total < costs[set as usize] {
                    costs[set as usize] = total;
                    splits[set as usize] = part;
                }
            }
            part = (part - 1) & set;
        }
    }
    let cost = *costs.last()?;
    Some(Order { splits, cost })
}

/// How two arrays are joined.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Join {
    /// Nothing is summed: a product of broadcast arrays.
    Product,
    /// A product that is summed over axes that both have, with axes that each has alone.
    Matrices,
    /// The same, where one of them has no axis alone.
    Vector,
    /// A product of arrays with the same axes, then a sum.
    Sum,
}

pub(super) fn join(x: Labels, y: Labels, open: Labels) -> Join {
    let summed = x & y & !open;
    let (left, right) = (x & !y, y & !x);
    if summed == 0 {
        Join::Product
    } else if left != 0 && right != 0 {
        Join::Matrices
    } else if left | right != 0 || x & y & open == 0 {
        Join::Vector
    } else {
        Join::Sum
    }
}
