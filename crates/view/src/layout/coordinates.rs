//! Horizontal places, by the algorithm of Brandes and Köpf (2001): every vertex is aligned with the
//! median of its neighbours above or below where that crosses nothing more important, from the left
//! and from the right; the four results are balanced.

use std::collections::HashSet;

use super::{BESIDE, Vertex};

/// The space beside an arrow that passes a rank.
const PASSING: f64 = 12.0;

/// The x of every vertex. Within a rank no two come closer than their widths and the space between.
pub(super) fn coordinates(vertices: &[Vertex], layers: &[Vec<usize>]) -> Vec<f64> {
    let conflicts = conflicts(vertices, layers);
    let mut all: Vec<Vec<f64>> = Vec::with_capacity(4);
    for upward in [false, true] {
        for mirrored in [false, true] {
            let view = View::new(vertices, layers, upward, mirrored);
            let x = view.compact(&view.align(&conflicts));
            let sign = if mirrored { -1.0 } else { 1.0 };
            all.push(x.into_iter().map(|x| sign * x).collect());
        }
    }
    let span = |x: &[f64]| {
        let low = (0..x.len()).map(|v| x[v] - vertices[v].width / 2.0);
        let high = (0..x.len()).map(|v| x[v] + vertices[v].width / 2.0);
        (
            low.fold(f64::INFINITY, f64::min),
            high.fold(f64::NEG_INFINITY, f64::max),
        )
    };
    let spans: Vec<(f64, f64)> = all.iter().map(|x| span(x)).collect();
    let narrowest = spans
        .iter()
        .copied()
        .min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (low, high) = narrowest.unwrap_or((0.0, 0.0));
    // Results from the left line up on the left with the narrowest, the others on the right.
    for (k, (x, span)) in all.iter_mut().zip(&spans).enumerate() {
        let shift = if k % 2 == 0 {
            low - span.0
        } else {
            high - span.1
        };
        x.iter_mut().for_each(|x| *x += shift);
    }
    (0..vertices.len())
        .map(|v| {
            let mut four: Vec<f64> = all.iter().map(|x| x[v]).collect();
            four.sort_by(f64::total_cmp);
            (f64::midpoint(four[1], four[2]) * 2.0).round() / 2.0
        })
        .collect()
}

/// Arrows that cross the inside of a long arrow; they give way.
fn conflicts(vertices: &[Vertex], layers: &[Vec<usize>]) -> HashSet<(usize, usize)> {
    let mut position = vec![0usize; vertices.len()];
    for layer in layers {
        for (i, v) in layer.iter().enumerate() {
            position[*v] = i;
        }
    }
    let mut found = HashSet::new();
    for pair in layers.windows(2) {
        let [above, below] = pair else { continue };
        let inner = |v: usize| {
            let up = vertices[v].up.first().copied();
            up.filter(|u| vertices[v].passing && vertices[*u].passing)
        };
        let (mut low, mut scanned) = (0, 0);
        for (i, v) in below.iter().enumerate() {
            let end = inner(*v);
            if end.is_none() && i + 1 < below.len() {
                continue;
            }
            let high = end.map_or(above.len(), |u| position[u]);
            for w in &below[scanned..=i] {
                for u in &vertices[*w].up {
                    let crosses = position[*u] < low || position[*u] > high;
                    if crosses && !(vertices[*u].passing && vertices[*w].passing) {
                        found.insert((*u, *w));
                    }
                }
            }
            scanned = i + 1;
            low = high;
        }
    }
    found
}

/// The graph as seen from one of four corners.
struct View<'a> {
    vertices: &'a [Vertex],
    layers: Vec<Vec<usize>>,
    position: Vec<usize>,
    upward: bool,
    mirrored: bool,
}

impl View<'_> {
    fn new<'a>(
        vertices: &'a [Vertex],
        layers: &[Vec<usize>],
        upward: bool,
        mirrored: bool,
    ) -> View<'a> {
        let mut layers = layers.to_vec();
        if mirrored {
            layers.iter_mut().for_each(|layer| layer.reverse());
        }
        let mut position = vec![0; vertices.len()];
        for layer in &layers {
            for (i, v) in layer.iter().enumerate() {
                position[*v] = i;
            }
        }
        View {
            vertices,
            layers,
            position,
            upward,
            mirrored,
        }
    }

    /// The neighbours in the rank that was walked before, from left to right.
    fn before(&self, v: usize) -> Vec<usize> {
        let list = match self.upward {
            false => &self.vertices[v].up,
            true => &self.vertices[v].down,
        };
        let mut list = list.clone();
        if self.mirrored {
            list.reverse();
        }
        list
    }

    /// Joins vertices to vertical blocks; returns the first vertex of each one's block.
    fn align(&self, conflicts: &HashSet<(usize, usize)>) -> Vec<usize> {
        let count = self.vertices.len();
        let mut root: Vec<usize> = (0..count).collect();
        let mut align: Vec<usize> = (0..count).collect();
        let ranks: Vec<usize> = match self.upward {
            false => (0..self.layers.len()).collect(),
            true => (0..self.layers.len()).rev().collect(),
        };
        for r in ranks {
            // The first position that is still free to be aligned with.
            let mut free = 0;
            for v in &self.layers[r] {
                let neighbours = self.before(*v);
                let Some(last) = neighbours.len().checked_sub(1) else {
                    continue;
                };
                for m in [last / 2, last.div_ceil(2)] {
                    let u = neighbours[m];
                    let arrow = if self.upward { (*v, u) } else { (u, *v) };
                    if align[*v] == *v && self.position[u] >= free && !conflicts.contains(&arrow) {
                        align[u] = *v;
                        root[*v] = root[u];
                        align[*v] = root[*v];
                        free = self.position[u] + 1;
                    }
                }
            }
        }
        root
    }

    /// Places the blocks as far left as they go, then those with room to the right as far right as
    /// their neighbours let them, which takes gaps out.
    fn compact(&self, root: &[usize]) -> Vec<f64> {
        let count = self.vertices.len();
        let mut after: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
        let mut waits = vec![0usize; count];
        for layer in &self.layers {
            for pair in layer.windows(2) {
                let [a, b] = *pair else { continue };
                after[root[a]].push((root[b], self.apart(a, b)));
                waits[root[b]] += 1;
            }
        }
        let mut x = vec![0.0f64; count];
        let mut order: Vec<usize> = (0..count)
            .filter(|v| root[*v] == *v && waits[*v] == 0)
            .collect();
        let mut next = 0;
        while let Some(v) = order.get(next).copied() {
            next += 1;
            for (w, apart) in &after[v] {
                x[*w] = x[*w].max(x[v] + apart);
                waits[*w] -= 1;
                if waits[*w] == 0 {
                    order.push(*w);
                }
            }
        }
        for v in order.iter().rev() {
            let most = after[*v].iter().map(|(w, apart)| x[*w] - apart);
            let most = most.fold(f64::INFINITY, f64::min);
            if most.is_finite() {
                x[*v] = x[*v].max(most);
            }
        }
        (0..count).map(|v| x[root[v]]).collect()
    }

    fn apart(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (&self.vertices[a], &self.vertices[b]);
        let space = if a.passing || b.passing {
            PASSING
        } else {
            BESIDE
        };
        (a.width + b.width) / 2.0 + space
    }
}
