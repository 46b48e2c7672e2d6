//! Which rank a box stands in.

use super::BESIDE;

/// Loose parts of a graph stand beside each other up to about this width, then below each other.
const SHELF: f64 = 1400.0;

pub(super) struct Ranks {
    /// The rank of each box, from 0, without gaps.
    pub rank: Vec<usize>,
    /// The shelf of each rank: ranks of different shelves have no arrows between them.
    pub shelf: Vec<usize>,
    /// Whether an arrow points against the order of ranks, as one does in every circle.
    pub backward: Vec<bool>,
}

/// Ranks along the arrows: as high as possible, but boxes from which more leads than to them stand
/// next to their first reader.
pub(super) fn ranks(sizes: &[[f64; 2]], arrows: &[(usize, usize)]) -> Ranks {
    let count = sizes.len();
    let real = |(a, b): (usize, usize)| a < count && b < count && a != b;
    let order = topological(count, arrows.iter().copied().filter(|e| real(*e)));
    let mut place = vec![0; count];
    for (i, v) in order.iter().enumerate() {
        place[*v] = i;
    }
    let backward: Vec<bool> = (arrows.iter())
        .map(|&(a, b)| real((a, b)) && place[a] > place[b])
        .collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut arriving = vec![0; count];
    for (&(a, b), back) in arrows.iter().zip(&backward) {
        if real((a, b)) {
            let (a, b) = if *back { (b, a) } else { (a, b) };
            readers[a].push(b);
            arriving[b] += 1;
        }
    }
    let mut rank = vec![0usize; count];
    for v in &order {
        for r in &readers[*v] {
            rank[*r] = rank[*r].max(rank[*v] + 1);
        }
    }
    for v in order.iter().rev() {
        if arriving[*v] < readers[*v].len()
            && let Some(first) = readers[*v].iter().map(|r| rank[*r]).min()
        {
            rank[*v] = first.saturating_sub(1);
        }
    }
    let part = parts(count, &readers);
    let shelf = shelves(sizes, &mut rank, &part);
    Ranks {
        rank,
        shelf,
        backward,
    }
}

/// An order in which arrows point forward; from a circle the box with the lowest number comes first.
fn topological(count: usize, arrows: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waits = vec![0usize; count];
    for (a, b) in arrows {
        readers[a].push(b);
        waits[b] += 1;
    }
    let mut ready: std::collections::BinaryHeap<_> = (0..count)
        .filter(|v| waits[*v] == 0)
        .map(std::cmp::Reverse)
        .collect();
    let mut done = vec![false; count];
    let mut order = Vec::with_capacity(count);
    let mut next = 0;
    while order.len() < count {
        let v = match ready.pop() {
            Some(std::cmp::Reverse(v)) => v,
            None => {
                while done[next] {
                    next += 1;
                }
                next
            }
        };
        if done[v] {
            continue;
        }
        done[v] = true;
        order.push(v);
        for r in &readers[v] {
            waits[*r] = waits[*r].saturating_sub(1);
            if waits[*r] == 0 && !done[*r] {
                ready.push(std::cmp::Reverse(*r));
            }
        }
    }
    order
}

/// The number of the connected part that each box is of, in the order of first boxes.
fn parts(count: usize, readers: &[Vec<usize>]) -> Vec<usize> {
    let mut beside: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (a, list) in readers.iter().enumerate() {
        for b in list {
            beside[a].push(*b);
            beside[*b].push(a);
        }
    }
    let mut part = vec![usize::MAX; count];
    let mut parts = 0;
    for start in 0..count {
        if part[start] != usize::MAX {
            continue;
        }
        part[start] = parts;
        let mut work = vec![start];
        while let Some(v) = work.pop() {
            for b in &beside[v] {
                if part[*b] == usize::MAX {
                    part[*b] = parts;
                    work.push(*b);
                }
            }
        }
        parts += 1;
    }
    part
}

/// Puts loose parts onto shelves, moves their ranks there, and takes out ranks without a box.
/// Returns the shelf of each rank.
fn shelves(sizes: &[[f64; 2]], rank: &mut [usize], part: &[usize]) -> Vec<usize> {
    let parts = part.iter().copied().max().map_or(0, |most| most + 1);
    // The width of each part at its widest rank, and its depth.
    let mut at: std::collections::HashMap<(usize, usize), f64> = std::collections::HashMap::new();
    for (v, size) in sizes.iter().enumerate() {
        *at.entry((part[v], rank[v])).or_insert(0.0) += size[0] + BESIDE;
    }
    let mut width = vec![0.0f64; parts];
    for ((p, _), w) in at {
        width[p] = width[p].max(w);
    }
    let mut shelf_of = vec![0; parts];
    let (mut shelf, mut used) = (0, 0.0);
    for p in 0..parts {
        if used > 0.0 && used + width[p] > SHELF {
            shelf += 1;
            used = 0.0;
        }
        used += width[p];
        shelf_of[p] = shelf;
    }
    let mut pairs: Vec<(usize, usize)> = (rank.iter().zip(part))
        .map(|(r, p)| (shelf_of[*p], *r))
        .collect();
    let places = pairs.clone();
    pairs.sort_unstable();
    pairs.dedup();
    for (r, place) in rank.iter_mut().zip(places) {
        *r = pairs.binary_search(&place).unwrap_or(0);
    }
    pairs.into_iter().map(|(shelf, _)| shelf).collect()
}
