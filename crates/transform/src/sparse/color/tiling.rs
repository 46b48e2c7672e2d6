//! Colourings that repeat along the axes of a grid.
//!
//! Greedy colourings of a stencil on a regular grid miss the optimum: its tiles fit together in one
//! way only. The colour (a i + b j) mod p of the grid's point (i, j) finds it where there is one of
//! this form: p = 5, a = 2, b = 1 for the 5-point stencil. The pattern does not say how wide the grid
//! is, but the distances between columns of one row do.

use std::collections::HashMap;
use std::ops::Range;

use super::{Groups, Pattern};

/// How many checks of a colouring are made at most; most of them fail in the first rows.
const MAX_CHECKS: usize = 200_000;

/// Whether a colouring, given as the colour of each vertex, keeps the rules.
pub(super) type IsValid<'a> = dyn Fn(&dyn Fn(usize) -> u32) -> bool + 'a;

/// The colouring of this form with the fewest colours in the range that is valid.
pub(super) fn best(
    pattern: &Pattern,
    colors: Range<usize>,
    is_valid: &IsValid<'_>,
) -> Option<Groups> {
    let widths = widths(pattern);
    let mut grids: Vec<Vec<usize>> = vec![vec![1]];
    grids.extend(widths.iter().map(|w| vec![1, *w]));
    for w in &widths {
        let wider = widths.iter().filter(|x| *x > w && *x % w == 0);
        grids.extend(wider.map(|x| vec![1, *w, *x]));
    }
    let mut checks = 0;
    for p in colors.start.max(1)..colors.end.min(65) {
        for grid in &grids {
            let count = p.saturating_pow(grid.len() as u32);
            for factors in 0..count {
                checks += 1;
                if checks > MAX_CHECKS {
                    return None;
                }
                let color = |v: usize| color(v, grid, factors, p);
                if is_valid(&color) {
                    return Some(Groups::new((0..pattern.columns()).map(color).collect()));
                }
            }
        }
    }
    None
}

/// The colour of a point of a grid: its index along each axis times a factor, added up; `factors`
/// holds the factors as digits to base p.
fn color(v: usize, grid: &[usize], factors: usize, p: usize) -> u32 {
    let (mut rest, mut factors, mut sum) = (v, factors, 0);
    for width in grid.iter().rev() {
        let index = rest / width;
        rest %= width;
        sum += (factors % p) * (index % p);
        factors /= p;
    }
    (sum % p) as u32
}

/// Distances between columns of one row that occur often, in a sample of the rows.
fn widths(pattern: &Pattern) -> Vec<usize> {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    let step = (pattern.rows() / 61).max(1);
    for i in (0..pattern.rows()).step_by(step) {
        let row = pattern.row(i);
        if row.len() > 64 {
            continue;
        }
        for (k, a) in row.iter().enumerate() {
            for b in &row[k + 1..] {
                *counts.entry((b - a) as usize).or_default() += 1;
            }
        }
    }
    counts.remove(&1);
    let mut widths: Vec<(usize, usize)> = counts.into_iter().collect();
    widths.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut widths: Vec<usize> = widths.into_iter().take(16).map(|(w, _)| w).collect();
    widths.sort_unstable();
    widths
}
