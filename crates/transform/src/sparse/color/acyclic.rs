//! Acyclic colouring of a symmetric pattern, for Hessians that are solved by substitution.

use std::collections::{HashMap, HashSet};

use super::star::{neighbours, with_tilings};
use super::{Bits, Groups, NO_GROUP, Pattern, keep_best, order};
use crate::TransformError;

/// Groups of the columns of a symmetric matrix such that the entries follow from the sums one after
/// the other: no two neighbours share a group, and every cycle meets at least three groups, so that
/// the entries between two groups form trees (Coleman and Cai, The cyclic coloring problem and
/// estimation of sparse Hessian matrices, 1986; Gebremedhin, Tarafdar, Manne and Pothen 2007).
///
/// Tridiagonal matrices and arrows take 2 groups (their graphs are trees), the 5-point stencil 3.
///
/// # Errors
/// A pattern that is not square.
pub fn color_acyclic(pattern: &Pattern) -> Result<Groups, TransformError> {
    let graph = neighbours(pattern)?;
    let mut best = None;
    for order in order::of_vertices(&graph) {
        keep_best(&mut best, greedy(&graph, &order()));
    }
    let is_valid = |color: &dyn Fn(usize) -> u32| is_acyclic(&graph, color);
    Ok(with_tilings(pattern, &graph, best, &is_valid))
}

/// Each vertex in turn gets the first colour that closes no cycle in two colours: one that is not
/// the colour of a neighbour, nor that of a tree which two neighbours of one colour belong to.
fn greedy(graph: &Pattern, order: &[u32]) -> Groups {
    let mut of = vec![NO_GROUP; graph.rows()];
    let mut trees = Trees::new(graph.rows());
    let mut forbidden = Bits::default();
    let mut seen: HashMap<u32, u32> = HashMap::new();
    let mut met: HashSet<(u32, u32, u32)> = HashSet::new();
    for v in order {
        let row = graph.row(*v as usize);
        forbidden.clear();
        seen.clear();
        for w in row {
            let color = of[*w as usize];
            if color != NO_GROUP {
                forbidden.add(color);
                *seen.entry(color).or_default() += 1;
            }
        }
        met.clear();
        for w in row {
            let color = of[*w as usize];
            if color == NO_GROUP || seen.get(&color).is_none_or(|n| *n < 2) {
                continue;
            }
            for (other, tree) in trees.around(*w) {
                if !met.insert((color, other, tree)) {
                    forbidden.add(other);
                }
            }
        }
        let mine = forbidden.first_free();
        of[*v as usize] = mine;
        for w in row {
            let color = of[*w as usize];
            if color != NO_GROUP {
                trees.join(*v, color, *w, mine);
            }
        }
    }
    Groups::new(of)
}

/// Whether neighbours differ and no cycle has two colours.
fn is_acyclic(graph: &Pattern, color: &dyn Fn(usize) -> u32) -> bool {
    let mut trees = Trees::new(graph.rows());
    graph.iter().filter(|(v, w)| v < w).all(|(v, w)| {
        let (a, b) = (color(v), color(w));
        a != b && trees.join(v as u32, b, w as u32, a)
    })
}

/// The trees that the edges between each two colours form. A vertex is in one tree for each colour
/// of its neighbours.
struct Trees {
    /// For each vertex its places in the forest, by the colour of the neighbours.
    places: Vec<Vec<(u32, u32)>>,
    parent: Vec<u32>,
}

impl Trees {
    fn new(count: usize) -> Trees {
        Trees {
            places: vec![Vec::new(); count],
            parent: Vec::new(),
        }
    }

    /// The colours of a vertex' neighbours, with the tree that it shares with them.
    fn around(&mut self, v: u32) -> Vec<(u32, u32)> {
        let places = self.places[v as usize].clone();
        let found = places
            .into_iter()
            .map(|(color, place)| (color, self.find(place)));
        found.collect()
    }

    /// Adds the edge from `v`, whose neighbour has colour `b`, to `w`, whose neighbour has colour
    /// `a`; whether it closed no cycle.
    fn join(&mut self, v: u32, b: u32, w: u32, a: u32) -> bool {
        let (x, y) = (self.place(v, b), self.place(w, a));
        let (x, y) = (self.find(x), self.find(y));
        if x == y {
            return false;
        }
        self.parent[y as usize] = x;
        true
    }

    fn place(&mut self, v: u32, color: u32) -> u32 {
        let list = &mut self.places[v as usize];
        if let Some((_, place)) = list.iter().find(|(c, _)| *c == color) {
            return *place;
        }
        let place = self.parent.len() as u32;
        list.push((color, place));
        self.parent.push(place);
        place
    }

    fn find(&mut self, mut place: u32) -> u32 {
        while self.parent[place as usize] != place {
            let up = self.parent[self.parent[place as usize] as usize];
            self.parent[place as usize] = up;
            place = up;
        }
        place
    }
}
