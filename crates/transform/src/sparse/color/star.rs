//! Star colouring of a symmetric pattern, for Hessians that are read off directly.

use std::collections::HashMap;

use super::{Bits, Groups, NO_GROUP, Pattern, keep_best, order, tiling};
use crate::TransformError;

/// Groups of the columns of a symmetric matrix such that each entry stands alone in some sum: no two
/// neighbours share a group, and every path over four vertices meets at least three groups
/// (Gebremedhin, Tarafdar, Manne and Pothen, New acyclic and star coloring algorithms with
/// application to computing Hessians, 2007).
///
/// An arrow takes 2 groups, a tridiagonal matrix 3 (the star chromatic numbers of a star and of a
/// path), a 5-point stencil at most 5.
///
/// # Errors
/// A pattern that is not square.
pub fn color_star(pattern: &Pattern) -> Result<Groups, TransformError> {
    let graph = neighbours(pattern)?;
    let mut best = None;
    for order in order::of_vertices(&graph) {
        keep_best(&mut best, greedy(&graph, &order()));
    }
    let is_valid = |color: &dyn Fn(usize) -> u32| is_star(&graph, color);
    Ok(with_tilings(pattern, &graph, best, &is_valid))
}

/// The best of the greedy colourings and those that repeat along a grid.
pub(super) fn with_tilings(
    pattern: &Pattern,
    graph: &Pattern,
    best: Option<Groups>,
    is_valid: &tiling::IsValid<'_>,
) -> Groups {
    let most = best.as_ref().map_or(0, Groups::count);
    let mut best = best;
    // With the diagonal, so that the distances to neighbours are among those between columns.
    let mut closed = Pattern::with_rows(graph.columns());
    for v in 0..graph.rows() {
        let (before, after) = graph
            .row(v)
            .split_at(graph.row(v).partition_point(|w| (*w as usize) < v));
        // The diagonal adds no more than a row's length to the limit of entries.
        let _ = closed.push_row(
            before
                .iter()
                .copied()
                .chain([v as u32])
                .chain(after.iter().copied()),
        );
    }
    if let Some(tiled) = tiling::best(&closed, 2..most.min(12), is_valid) {
        keep_best(&mut best, tiled);
    }
    let mut of = best.map_or_else(Vec::new, |b| b.of);
    for (v, color) in of.iter_mut().enumerate() {
        if pattern.row(v).is_empty() {
            *color = NO_GROUP;
        }
    }
    Groups::new(of)
}

/// The pattern without its diagonal: the neighbours of each vertex.
pub(super) fn neighbours(pattern: &Pattern) -> Result<Pattern, TransformError> {
    let both = pattern.symmetric()?;
    let mut graph = Pattern::with_rows(both.columns());
    for v in 0..both.rows() {
        graph.push_row(both.row(v).iter().copied().filter(|w| *w as usize != v))?;
    }
    Ok(graph)
}

/// Each vertex in turn gets the first colour that makes no path of four vertices in two colours.
///
/// Such a path through a new vertex v has v at an end, v-w-x-y with w and y of one colour, or inside,
/// a-v-w-x with a and w of one colour. For the first each w keeps the colours of those neighbours x
/// that have another neighbour of w's colour (`blocked`); for the second it keeps the colours of all
/// its neighbours (`around`). Both are kept up to date, so that no vertex is visited twice over.
fn greedy(graph: &Pattern, order: &[u32]) -> Groups {
    let count = graph.rows();
    let mut of = vec![NO_GROUP; count];
    let mut around = vec![Bits::default(); count];
    let mut blocked = vec![Bits::default(); count];
    // For a vertex and a colour: how many neighbours have it, and the first of them.
    let mut colored: HashMap<(u32, u32), (u32, u32)> = HashMap::new();
    let mut forbidden = Bits::default();
    for v in order {
        let row = graph.row(*v as usize);
        forbidden.clear();
        for w in row {
            let color = of[*w as usize];
            if color == NO_GROUP {
                continue;
            }
            forbidden.add(color);
            forbidden.add_all(&blocked[*w as usize]);
            if colored.get(&(*v, color)).is_some_and(|c| c.0 >= 2) {
                forbidden.add_all(&around[*w as usize]);
            }
        }
        let mine = forbidden.first_free();
        of[*v as usize] = mine;
        for w in row {
            let at = *w as usize;
            around[at].add(mine);
            let theirs = of[at];
            if theirs != NO_GROUP && colored.get(&(*v, theirs)).is_some_and(|c| c.0 >= 2) {
                blocked[at].add(mine);
            }
            let entry = colored.entry((*w, mine)).or_insert((0, *v));
            entry.0 += 1;
            if theirs != NO_GROUP && entry.0 >= 2 {
                blocked[*v as usize].add(theirs);
                if entry.0 == 2 {
                    blocked[entry.1 as usize].add(theirs);
                }
            }
        }
    }
    Groups::new(of)
}

/// Whether neighbours differ and no path of four vertices has two colours: an edge is the middle of
/// such a path when each end has a second neighbour of the other's colour.
fn is_star(graph: &Pattern, color: &dyn Fn(usize) -> u32) -> bool {
    let twice = |v: usize, wanted: u32| {
        let same = graph
            .row(v)
            .iter()
            .filter(|w| color(**w as usize) == wanted);
        same.count() >= 2
    };
    graph.iter().filter(|(v, w)| v < w).all(|(v, w)| {
        let (a, b) = (color(v), color(w));
        a != b && !(twice(v, b) && twice(w, a))
    })
}
