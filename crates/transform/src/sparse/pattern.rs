//! Sparsity patterns: where a matrix may differ from zero.

use crate::TransformError;

/// Where a matrix may differ from zero: for each row its columns, in increasing order.
///
/// The entries are numbered row by row, and by column within a row; values that belong to a pattern
/// stand in this order.
///
/// ```
/// use cotangent_transform::sparse::Pattern;
/// let p = Pattern::new(2, 3, [(1, 2), (0, 0), (1, 0)])?;
/// assert_eq!(p.iter().collect::<Vec<_>>(), [(0, 0), (1, 0), (1, 2)]);
/// assert_eq!(p.transpose().row(2), [1]);
/// # Ok::<(), cotangent_transform::TransformError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pattern {
    columns: usize,
    /// Where each row begins among the entries, and the end of the last one.
    starts: Vec<usize>,
    entries: Vec<u32>,
}

/// More entries than this are no sparse matrix: their numbers alone would take a gibibyte.
const MAX_ENTRIES: usize = 1 << 28;

impl Pattern {
    /// The pattern of these entries, as (row, column) in any order; one that is named twice counts
    /// once.
    ///
    /// # Errors
    /// An entry outside of the matrix, or a matrix too large to number its entries.
    pub fn new(
        rows: usize,
        columns: usize,
        entries: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<Pattern, TransformError> {
        check_size(rows, columns)?;
        let mut lists: Vec<(u32, u32)> = Vec::new();
        for (i, j) in entries {
            if i >= rows || j >= columns {
                return Err(TransformError::Sparse(format!(
                    "expected entries of a matrix of {rows} rows and {columns} columns, found ({i}, {j})"
                )));
            }
            if lists.len() >= MAX_ENTRIES {
                return Err(too_many(lists.len() + 1));
            }
            lists.push((i as u32, j as u32));
        }
        lists.sort_unstable();
        lists.dedup();
        let mut pattern = Pattern::with_rows(columns);
        let mut rest = &lists[..];
        for i in 0..rows {
            let count = rest.partition_point(|e| e.0 as usize == i);
            let (row, later) = rest.split_at(count);
            pattern.push_row(row.iter().map(|e| e.1))?;
            rest = later;
        }
        Ok(pattern)
    }

    /// A pattern without rows, to which rows are added.
    pub(crate) fn with_rows(columns: usize) -> Pattern {
        Pattern {
            columns,
            starts: vec![0],
            entries: Vec::new(),
        }
    }

    /// Adds a row of increasing columns.
    pub(crate) fn push_row(
        &mut self,
        columns: impl IntoIterator<Item = u32>,
    ) -> Result<(), TransformError> {
        self.entries.extend(columns);
        if self.entries.len() > MAX_ENTRIES {
            return Err(too_many(self.entries.len()));
        }
        self.starts.push(self.entries.len());
        Ok(())
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The columns of a row, increasing; none for a row that the matrix has not.
    pub fn row(&self, i: usize) -> &[u32] {
        match (self.starts.get(i), self.starts.get(i.saturating_add(1))) {
            (Some(from), Some(to)) => self.entries.get(*from..*to).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Where each row begins among the entries, and the end of the last one.
    pub fn row_starts(&self) -> &[usize] {
        &self.starts
    }

    /// The entries as (row, column), row by row.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.rows()).flat_map(|i| self.row(i).iter().map(move |j| (i, *j as usize)))
    }

    /// Whether the matrix may differ from zero here.
    pub fn contains(&self, row: usize, column: usize) -> bool {
        u32::try_from(column).is_ok_and(|j| self.row(row).binary_search(&j).is_ok())
    }

    /// The pattern of the transposed matrix.
    pub fn transpose(&self) -> Pattern {
        let mut starts = vec![0; self.columns + 1];
        for j in &self.entries {
            starts[*j as usize + 1] += 1;
        }
        for j in 0..self.columns {
            starts[j + 1] += starts[j];
        }
        let mut next = starts.clone();
        let mut entries = vec![0; self.entries.len()];
        for (i, j) in self.iter() {
            entries[next[j]] = i as u32;
            next[j] += 1;
        }
        Pattern {
            columns: self.rows(),
            starts,
            entries,
        }
    }

    /// The entries of this pattern and of its transpose together.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn symmetric(&self) -> Result<Pattern, TransformError> {
        if self.rows() != self.columns {
            return Err(TransformError::Sparse(format!(
                "expected a square matrix, found {} rows and {} columns",
                self.rows(),
                self.columns
            )));
        }
        let other = self.transpose();
        if other == *self {
            return Ok(other);
        }
        let mut both = Pattern::with_rows(self.columns);
        for i in 0..self.rows() {
            let mut row = [self.row(i), other.row(i)].concat();
            row.sort_unstable();
            row.dedup();
            both.push_row(row)?;
        }
        Ok(both)
    }

    /// The number of entries of the fullest row.
    pub(crate) fn fullest_row(&self) -> usize {
        self.starts
            .windows(2)
            .map(|w| w[1] - w[0])
            .max()
            .unwrap_or(0)
    }
}

/// Fails unless rows and columns can be numbered.
pub(crate) fn check_size(rows: usize, columns: usize) -> Result<(), TransformError> {
    let fits = |n: usize| n < u32::MAX as usize;
    if fits(rows) && fits(columns) {
        return Ok(());
    }
    Err(TransformError::Sparse(format!(
        "expected fewer than 2^32 - 1 rows and columns, found {rows} and {columns}"
    )))
}

/// The error of a pattern with so many entries.
pub(crate) fn too_many(entries: usize) -> TransformError {
    TransformError::Sparse(format!(
        "expected at most {MAX_ENTRIES} entries that may differ from zero, found {entries} or more"
    ))
}
