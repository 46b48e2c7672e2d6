//! Groups of columns and rows that can be computed as one: colourings.
//!
//! Every method is greedy: vertices are coloured in some order, each with the first colour that no
//! rule forbids. Several orders are tried (natural, largest first, smallest last, incidence degree;
//! Gebremedhin, Manne and Pothen, What color is your Jacobian?, 2005, section 5) and colourings that
//! repeat along the axes of a grid (Goldfarb and Toint, Optimal estimation of Jacobian and Hessian
//! matrices that arise in finite difference calculations, 1984), and the best is taken.

mod acyclic;
mod order;
mod star;
mod tiling;

pub use acyclic::color_acyclic;
pub use star::color_star;

use super::Pattern;

/// Columns or rows in groups, each of which is computed as one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Groups {
    of: Vec<u32>,
    count: usize,
}

/// What stands for a column or row that is in no group.
pub(super) const NO_GROUP: u32 = u32::MAX;

impl Groups {
    /// The groups from the number of each column's or row's group; [`NO_GROUP`] for none.
    pub(super) fn new(of: Vec<u32>) -> Groups {
        let last = of.iter().filter(|c| **c != NO_GROUP).max();
        let count = last.map_or(0, |c| *c as usize + 1);
        Groups { of, count }
    }

    /// The number of groups: of the products that are computed.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The group of a column or row; `None` for one that needs none.
    pub fn group(&self, member: usize) -> Option<usize> {
        self.of
            .get(member)
            .filter(|c| **c != NO_GROUP)
            .map(|c| *c as usize)
    }

    /// How many columns or rows there are, those without a group included.
    pub fn members(&self) -> usize {
        self.of.len()
    }
}

/// Groups of columns, no two of which have an entry in one row, so that each entry of the product of
/// the Jacobian and the sum of a group is one entry of the Jacobian.
///
/// No grouping has fewer groups than the fullest row has entries. A band of half-width k reaches
/// that with 2 k + 1 groups, and so do the stencils of regular grids: 5 for the 5-point stencil.
///
/// ```
/// use cotangent_transform::sparse::{Pattern, color_columns};
/// let near = |i: usize| (0..9_usize).filter(move |j| i.abs_diff(*j) <= 1).map(move |j| (i, j));
/// let tridiagonal = Pattern::new(9, 9, (0..9).flat_map(near))?;
/// assert_eq!(color_columns(&tridiagonal).count(), 3);
/// # Ok::<(), cotangent_transform::TransformError>(())
/// ```
pub fn color_columns(pattern: &Pattern) -> Groups {
    let columns = pattern.transpose();
    let least = pattern.fullest_row();
    let mut best: Option<Groups> = None;
    for order in order::of_columns(pattern, &columns) {
        if best.as_ref().is_some_and(|b| b.count() <= least) {
            break;
        }
        keep_best(&mut best, greedy(&columns, pattern.rows(), &order()));
    }
    let most = best.as_ref().map_or(0, Groups::count);
    if most > least {
        let is_valid = |color: &dyn Fn(usize) -> u32| {
            (0..pattern.rows()).all(|i| {
                let mut seen = 0_u64;
                pattern.row(i).iter().all(|j| {
                    let bit = 1_u64 << (color(*j as usize) % 64);
                    let new = seen & bit == 0;
                    seen |= bit;
                    new
                })
            })
        };
        if let Some(tiled) = tiling::best(pattern, least..most, &is_valid) {
            keep_best(&mut best, tiled);
        }
    }
    let mut groups = best.unwrap_or_else(|| Groups::new(vec![NO_GROUP; pattern.columns()]));
    // A column without entries is zero, so that nothing is computed for it.
    for (j, group) in groups.of.iter_mut().enumerate() {
        if columns.row(j).is_empty() {
            *group = NO_GROUP;
        }
    }
    Groups::new(groups.of)
}

/// Groups of rows, no two of which have an entry in one column; see [`color_columns`].
pub fn color_rows(pattern: &Pattern) -> Groups {
    color_columns(&pattern.transpose())
}

/// Groups of columns and of rows that show all entries together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bidirectional {
    /// Groups of columns, for products with the Jacobian.
    pub columns: Groups,
    /// Groups of rows, for products with its transpose.
    pub rows: Groups,
    /// Which groups show an entry whose row and column both have one: those of the rows, or those
    /// of the columns.
    pub rows_first: bool,
}

impl Bidirectional {
    /// The number of groups, of columns and of rows together.
    pub fn count(&self) -> usize {
        self.columns.count() + self.rows.count()
    }

    /// Whether an entry is shown by the group of its row.
    pub(super) fn by_row(&self, i: usize, j: usize) -> bool {
        match (self.rows.group(i), self.columns.group(j)) {
            (Some(_), Some(_)) => self.rows_first,
            (row, _) => row.is_some(),
        }
    }
}

/// Groups of columns and rows such that each entry is alone in its row in the product with its
/// column's group, or alone in its column in the product with its row's group: a star bicolouring.
///
/// A few full rows make columns alone as dear as the whole matrix, and full columns the rows. So
/// the rows with more entries than some threshold are computed as groups of rows, and what is left
/// as groups of columns, or the other way around; the best of all thresholds is taken, no rows and
/// all rows among them. An arrow (a diagonal, a full row and a full column) of any size takes 3,
/// which is least: each group shows at most n numbers, and there are 3 n - 2. (Coleman and Verma,
/// The efficient computation of sparse Jacobian matrices using automatic differentiation, 1998.)
pub fn color_bidirectional(pattern: &Pattern) -> Bidirectional {
    let turned = pattern.transpose();
    let mut candidates = Vec::new();
    for rows_first in [true, false] {
        let p = if rows_first { pattern } else { &turned };
        for most in thresholds(p) {
            let across = part(p, |i| p.row(i).len() <= most);
            let along = part(p, |i| p.row(i).len() > most).transpose();
            // No grouping of either part has fewer groups than its fullest row has entries.
            let least = across.fullest_row() + along.fullest_row();
            candidates.push((least, rows_first, most));
        }
    }
    candidates.sort_unstable_by_key(|c| c.0);
    let mut best: Option<Bidirectional> = None;
    for (least, rows_first, most) in candidates {
        if best.as_ref().is_some_and(|b| b.count() <= least) {
            break;
        }
        let p = if rows_first { pattern } else { &turned };
        let across = color_columns(&part(p, |i| p.row(i).len() <= most));
        let along = color_rows(&part(p, |i| p.row(i).len() > most));
        let (columns, rows) = if rows_first {
            (across, along)
        } else {
            (along, across)
        };
        let found = Bidirectional {
            columns,
            rows,
            rows_first,
        };
        if best.as_ref().is_none_or(|b| found.count() < b.count()) {
            best = Some(found);
        }
    }
    best.unwrap_or_else(|| Bidirectional {
        columns: Groups::new(vec![NO_GROUP; pattern.columns()]),
        rows: Groups::new(vec![NO_GROUP; pattern.rows()]),
        rows_first: true,
    })
}

/// Numbers of entries above which a row may count as full: those that occur, or a few of them.
fn thresholds(pattern: &Pattern) -> Vec<usize> {
    let mut counts: Vec<usize> = (0..pattern.rows()).map(|i| pattern.row(i).len()).collect();
    counts.push(0);
    counts.sort_unstable();
    counts.dedup();
    let step = counts.len().div_ceil(10).max(1);
    let mut picked: Vec<usize> = counts.iter().rev().step_by(step).copied().collect();
    if picked.last() != Some(&0) {
        picked.push(0);
    }
    picked
}

/// The rows that satisfy a condition; the others are empty.
fn part(pattern: &Pattern, keep: impl Fn(usize) -> bool) -> Pattern {
    let mut part = Pattern::with_rows(pattern.columns());
    for i in 0..pattern.rows() {
        let row = if keep(i) { pattern.row(i) } else { &[] };
        // A part has no more entries than the whole.
        let _ = part.push_row(row.iter().copied());
    }
    part
}

/// Each column in turn gets the first colour that no column with an entry in a common row has. Rows
/// keep the colours that they have met as bits, so that a full row costs no more than its length.
fn greedy(columns: &Pattern, rows: usize, order: &[u32]) -> Groups {
    let mut met: Vec<Bits> = vec![Bits::default(); rows];
    let mut of = vec![NO_GROUP; columns.rows()];
    let mut forbidden = Bits::default();
    for j in order {
        let j = *j as usize;
        forbidden.clear();
        for i in columns.row(j) {
            forbidden.add_all(&met[*i as usize]);
        }
        let color = forbidden.first_free();
        for i in columns.row(j) {
            met[*i as usize].add(color);
        }
        of[j] = color;
    }
    Groups::new(of)
}

fn keep_best(best: &mut Option<Groups>, found: Groups) {
    if best.as_ref().is_none_or(|b| found.count() < b.count()) {
        *best = Some(found);
    }
}

/// A set of colours.
#[derive(Clone, Default, Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn add(&mut self, color: u32) {
        let word = color as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (color % 64);
    }

    fn add_all(&mut self, other: &Bits) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    /// The first colour that is not in the set.
    fn first_free(&self) -> u32 {
        let full = self.0.iter().take_while(|w| **w == u64::MAX).count();
        let next = self.0.get(full).map_or(0, |w| w.trailing_ones());
        full as u32 * 64 + next
    }
}
