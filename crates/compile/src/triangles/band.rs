//! Bands of a matrix.

use std::fmt;

/// Elements of a matrix: those whose column less their row is from `low` to `high`. `i64::MIN` and `i64::MAX` say
/// that there is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Band {
    /// The lowest difference.
    pub low: i64,
    /// The highest difference.
    pub high: i64,
}

/// Two axes of an array, that of the rows and that of the columns of matrices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Axes {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Axes {
    /// `None` where they are one.
    pub(crate) fn new(row: usize, column: usize) -> Option<Axes> {
        (row != column).then_some(Axes { row, column })
    }

    /// The axes at other places, where both have one.
    pub(crate) fn moved(self, to: impl Fn(usize) -> Option<usize>) -> Option<Axes> {
        Axes::new(to(self.row)?, to(self.column)?)
    }

    pub(crate) fn turned(self) -> Axes {
        Axes {
            row: self.column,
            column: self.row,
        }
    }
}

impl Band {
    /// All elements.
    pub const ALL: Band = Band {
        low: i64::MIN,
        high: i64::MAX,
    };

    /// The band of the transposed matrix.
    pub fn turned(self) -> Band {
        Band {
            low: opposite(self.high),
            high: opposite(self.low),
        }
    }

    /// The band of the matrix without so many rows and columns in front.
    pub fn without(self, rows: i64, columns: i64) -> Band {
        let by = rows.saturating_sub(columns);
        let moved = |bound: i64| match bound {
            i64::MIN | i64::MAX => bound,
            _ => bound.saturating_add(by),
        };
        Band {
            low: moved(self.low),
            high: moved(self.high),
        }
    }

    /// The smallest band with the elements of both.
    pub(crate) fn or(self, other: Band) -> Band {
        Band {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// The elements of both.
    pub(crate) fn and(self, other: Band) -> Band {
        Band {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
        }
    }

    /// The band of a product of matrices that have these.
    pub(crate) fn times(self, other: Band) -> Band {
        let sum = |x: i64, y: i64, none: i64| match x == none || y == none {
            true => none,
            false => x.saturating_add(y),
        };
        Band {
            low: sum(self.low, other.low, i64::MIN),
            high: sum(self.high, other.high, i64::MAX),
        }
    }

    /// How many elements of a matrix are in the band.
    pub(crate) fn count(self, rows: usize, columns: usize) -> usize {
        // Up to a difference, those on and below a diagonal: whole rows, and rows that grow.
        let (m, n) = (rows as i128, columns as i128);
        let up_to = |bound: i64| {
            let first = (bound as i128 + 1).clamp(-m, n);
            // Row i has first + i elements, from 0 to n.
            let (from, full) = ((-first).clamp(0, m), (n - first).clamp(0, m));
            let grow = full - from;
            let sum = (first + from + first + full - 1) * grow / 2;
            sum.max(0) + (m - full) * n
        };
        let below = match self.low {
            i64::MIN => 0,
            low => up_to(low - 1),
        };
        usize::try_from(up_to(self.high) - below).unwrap_or(0)
    }
}

fn opposite(bound: i64) -> i64 {
    match bound {
        i64::MIN => i64::MAX,
        i64::MAX => i64::MIN,
        _ => -bound,
    }
}

/// As a range of differences: `..=0` is a lower triangle, `0..` an upper one.
impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low != i64::MIN {
            write!(f, "{}", self.low)?;
        }
        f.write_str("..")?;
        if self.high != i64::MAX {
            write!(f, "={}", self.high)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_counted_as_one_by_one() {
        let bounds = [i64::MIN, -9, -4, -1, 0, 2, 5, 9, i64::MAX];
        for (rows, columns) in [(1, 1), (4, 7), (7, 4), (5, 5), (0, 3)] {
            for (low, high) in bounds.into_iter().flat_map(|l| bounds.map(|h| (l, h))) {
                let inside = |i: usize, j: usize| (low..=high).contains(&(j as i64 - i as i64));
                let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
                let expected = places.filter(|(i, j)| inside(*i, *j)).count();
                let found = Band { low, high }.count(rows, columns);
                assert_eq!(found, expected, "{rows} x {columns}, {low} to {high}");
            }
        }
    }
}
