//! The entries of a Hessian from products with the groups of an acyclic colouring.
//!
//! The entries between two groups are the edges of a forest. A vertex v of group a knows the sum of
//! its edges to group b: the product with b, at v. A leaf's sum is its one edge; an inner vertex' edge
//! to its parent is its sum less its edges to its children (Coleman and Cai 1986). A chain of n
//! vertices would take n such steps one after the other; but along a chain the steps are one linear
//! recurrence, e_i = s_i - e_(i-1). So each tree is cut into paths, from each vertex on to the child
//! with the largest subtree (heavy paths; Sleator and Tarjan, A data structure for dynamic trees,
//! 1983), and the paths are taken in levels, each after those that hang from it. There are at most
//! log2 n levels, as the subtree at least doubles from one path to the next.

use std::collections::HashMap;

use cotangent_array::{Array, DType};
use cotangent_graph::ops::{Concat, Recurrence, ScatterAdd};
use cotangent_graph::{Builder, Var};

use super::compress::take;
use super::{Groups, Pattern};

/// The entries, in the pattern's order, from the products with all groups one after the other.
pub(super) fn substitute(
    b: &mut Builder,
    pattern: &Pattern,
    groups: &Groups,
    sums: Var,
    dtype: DType,
) -> Var {
    let forest = Forest::new(pattern, groups);
    let mut order = forest.order();
    let mut position = vec![0; forest.places.len()];
    let mut solved: Option<Var> = None;
    let mut count = 0;
    for level in &mut order {
        for (i, place) in level.iter().enumerate() {
            position[*place] = count + i;
        }
        let mut enters = take(
            b,
            &[sums],
            level.iter().map(|p| forest.sum(*p)).collect(),
            dtype,
        );
        // What hangs from the paths of this level has been solved in those before.
        let light: Vec<(usize, usize)> = level
            .iter()
            .enumerate()
            .flat_map(|(i, p)| forest.light(*p).map(move |c| (i, c)))
            .collect();
        if let (Some(solved), false) = (solved, light.is_empty()) {
            let from = light.iter().map(|(_, c)| position[*c]).collect();
            let children = take(b, &[solved], from, dtype);
            let to: Vec<i64> = light.iter().map(|(i, _)| *i as i64).collect();
            let to = b.constant(Array::vector(to));
            let add = ScatterAdd {
                shape: [level.len()].into(),
                axis: 0,
                batch: 0,
            };
            let below = b.push(add, &[children, to]);
            enters = b.sub(enters, below);
        }
        let follows = level.iter().enumerate().map(|(i, p)| {
            let before = i.checked_sub(1).and_then(|i| level.get(i));
            if before.is_some() && before.copied() == forest.heavy[*p] {
                -1.0
            } else {
                0.0
            }
        });
        let follows: Vec<f64> = follows.collect();
        let factors = b.constant(Array::vector(follows).convert(dtype));
        let along = Recurrence {
            axis: 0,
            reverse: false,
        };
        let edges = b.push(along, &[factors, enters]);
        count += level.len();
        solved = Some(match solved {
            Some(before) => b.push(Concat { axis: 0 }, &[before, edges]),
            None => edges,
        });
    }
    // The edges, then the products: the diagonal stands alone in its own group's.
    let flat: Vec<Var> = solved.into_iter().chain([sums]).collect();
    let n = pattern.rows();
    let places = pattern.iter().map(|(i, j)| {
        if i == j {
            return count + groups.group(i).unwrap_or(0) * n + i;
        }
        let edge = forest.edge(i, j);
        position.get(edge).copied().unwrap_or(0)
    });
    take(b, &flat, places.collect(), dtype)
}

/// The trees between all pairs of groups. A vertex has a place in one tree for each group of its
/// neighbours.
struct Forest {
    /// Vertex and group of the neighbours of each place.
    places: Vec<(usize, usize)>,
    /// The place of a vertex and a group.
    known: HashMap<(usize, usize), usize>,
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// The child with the largest subtree.
    heavy: Vec<Option<usize>>,
    /// Places, each after its parent.
    down: Vec<usize>,
    group: Vec<usize>,
}

impl Forest {
    fn new(pattern: &Pattern, groups: &Groups) -> Forest {
        let n = pattern.rows();
        let group: Vec<usize> = (0..n).map(|v| groups.group(v).unwrap_or(0)).collect();
        let mut places = Vec::new();
        let mut known = HashMap::new();
        let mut neighbours: Vec<Vec<usize>> = Vec::new();
        let mut place = |v: usize, c: usize, neighbours: &mut Vec<Vec<usize>>| {
            *known.entry((v, c)).or_insert_with(|| {
                places.push((v, c));
                neighbours.push(Vec::new());
                places.len() - 1
            })
        };
        for (v, w) in pattern.iter().filter(|(v, w)| v < w) {
            let x = place(v, group[w], &mut neighbours);
            let y = place(w, group[v], &mut neighbours);
            neighbours[x].push(y);
            neighbours[y].push(x);
        }
        let count = places.len();
        let mut parent = vec![None; count];
        let mut children = vec![Vec::new(); count];
        let mut down = Vec::with_capacity(count);
        let mut seen = vec![false; count];
        for root in 0..count {
            if seen[root] {
                continue;
            }
            seen[root] = true;
            let mut at = down.len();
            down.push(root);
            while let Some(x) = down.get(at).copied() {
                at += 1;
                for y in &neighbours[x] {
                    if !seen[*y] {
                        seen[*y] = true;
                        parent[*y] = Some(x);
                        children[x].push(*y);
                        down.push(*y);
                    }
                }
            }
        }
        let mut size = vec![1_usize; count];
        let mut heavy: Vec<Option<usize>> = vec![None; count];
        for x in down.iter().rev() {
            heavy[*x] = children[*x].iter().copied().max_by_key(|c| size[*c]);
            if let Some(p) = parent[*x] {
                size[p] += size[*x];
            }
        }
        Forest {
            places,
            known,
            parent,
            children,
            heavy,
            down,
            group,
        }
    }

    /// All places but the roots, by levels; in a level path by path, each from its end up.
    fn order(&self) -> Vec<Vec<usize>> {
        let count = self.places.len();
        let mut level = vec![0_usize; count];
        for x in self.down.iter().rev() {
            let heavy = self.heavy[*x].map_or(0, |h| level[h]);
            let light = self.light(*x).map(|c| level[c] + 1).max().unwrap_or(0);
            level[*x] = heavy.max(light);
        }
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for top in &self.down {
            let Some(p) = self.parent[*top] else { continue };
            // A path begins below its top: at a light child, or at the heavy child of a root.
            if self.heavy[p] == Some(*top) && self.parent[p].is_some() {
                continue;
            }
            let mut path = vec![*top];
            let mut at = *top;
            while let Some(h) = self.heavy[at] {
                path.push(h);
                at = h;
            }
            path.reverse();
            if levels.len() <= level[*top] {
                levels.resize(level[*top] + 1, Vec::new());
            }
            levels[level[*top]].extend(path);
        }
        levels.retain(|l| !l.is_empty());
        levels
    }

    /// The children that are on paths of their own.
    fn light(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let heavy = self.heavy[place];
        self.children[place]
            .iter()
            .copied()
            .filter(move |c| Some(*c) != heavy)
    }

    /// Where the sum of a place's edges stands among the products.
    fn sum(&self, place: usize) -> usize {
        let (v, c) = self.places[place];
        c * self.group.len() + v
    }

    /// The place whose edge to its parent is the entry (i, j).
    fn edge(&self, i: usize, j: usize) -> usize {
        let at = |v: usize, w: usize| self.known.get(&(v, self.group[w])).copied();
        match (at(i, j), at(j, i)) {
            (Some(x), Some(y)) if self.parent[x] == Some(y) => x,
            (_, Some(y)) => y,
            _ => usize::MAX,
        }
    }
}
