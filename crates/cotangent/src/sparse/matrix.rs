//! Sparse matrices: entries with their rows and columns.

use std::sync::Arc;

use cotangent_transform::sparse::Pattern;

use crate::{Array, ArrayError, DType, Error, Scalar};

/// A sparse matrix as a list of entries: row, column, value.
///
/// Derivatives give their entries row by row, and by column within a row. In a matrix made by hand
/// they may stand in any order, and entries at one place add up.
#[derive(Clone, PartialEq, Debug)]
pub struct Coo {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// The row of each entry.
    pub row_indices: Arc<[usize]>,
    /// The column of each entry.
    pub column_indices: Arc<[usize]>,
    /// The entries, one axis.
    pub values: Array,
}

/// A sparse matrix row by row (compressed sparse rows).
///
/// Row `i` has the entries from `row_starts[i]` to before `row_starts[i + 1]`, by increasing column.
#[derive(Clone, PartialEq, Debug)]
pub struct Csr {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// Where each row begins among the entries, and the end of the last one.
    pub row_starts: Arc<[usize]>,
    /// The column of each entry.
    pub column_indices: Arc<[usize]>,
    /// The entries, one axis.
    pub values: Array,
}

/// A sparse matrix column by column (compressed sparse columns).
///
/// Column `j` has the entries from `column_starts[j]` to before `column_starts[j + 1]`, by increasing
/// row.
#[derive(Clone, PartialEq, Debug)]
pub struct Csc {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// Where each column begins among the entries, and the end of the last one.
    pub column_starts: Arc<[usize]>,
    /// The row of each entry.
    pub row_indices: Arc<[usize]>,
    /// The entries, one axis.
    pub values: Array,
}

impl Coo {
    /// The same matrix row by row. Entries at one place are added up.
    ///
    /// ```
    /// use cotangent::{Array, sparse::Coo};
    /// let m = Coo {
    ///     rows: 2,
    ///     columns: 2,
    ///     row_indices: [1, 0, 1].into(),
    ///     column_indices: [1, 0, 1].into(),
    ///     values: Array::from([1.0, 2.0, 3.0]),
    /// };
    /// assert_eq!(m.to_csr()?.to_dense()?, [[2.0, 0.0], [0.0, 4.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Lists of different lengths, or an entry outside of the matrix.
    pub fn to_csr(&self) -> Result<Csr, Error> {
        check("row_indices", &self.row_indices, self.rows, &self.values)?;
        check(
            "column_indices",
            &self.column_indices,
            self.columns,
            &self.values,
        )?;
        let place = |e: usize| {
            let of = |list: &[usize]| list.get(e).copied().unwrap_or(0);
            (of(&self.row_indices), of(&self.column_indices))
        };
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_by_key(|e| place(*e));
        let values = self.values.select_rows(&order)?;
        let mut sums: Vec<f64> = Vec::with_capacity(order.len());
        let mut columns = Vec::with_capacity(order.len());
        let mut starts = vec![0];
        let mut last = None;
        for (e, x) in order.iter().zip(values.to_f64s()) {
            let (i, j) = place(*e);
            starts.resize(i + 1, columns.len());
            match sums.last_mut() {
                Some(sum) if last == Some((i, j)) => *sum += x,
                _ => {
                    sums.push(x);
                    columns.push(j);
                }
            }
            last = Some((i, j));
        }
        starts.resize(self.rows + 1, columns.len());
        Ok(Csr {
            rows: self.rows,
            columns: self.columns,
            row_starts: starts.into(),
            column_indices: columns.into(),
            values: Array::vector(sums).convert(self.values.dtype()),
        })
    }

    /// All elements, as an array of two axes.
    ///
    /// # Errors
    /// As [`to_csr`](Coo::to_csr), or a matrix larger than memory.
    pub fn to_dense(&self) -> Result<Array, Error> {
        self.to_csr()?.to_dense()
    }
}

impl Csr {
    /// A matrix of these entries in the order of a pattern.
    pub(crate) fn of(pattern: &Pattern, indices: &Indices, values: Array) -> Csr {
        Csr {
            rows: pattern.rows(),
            columns: pattern.columns(),
            row_starts: indices.starts.clone(),
            column_indices: indices.columns.clone(),
            values,
        }
    }

    /// The same matrix as a list of entries, row by row.
    pub fn to_coo(&self) -> Coo {
        Coo {
            rows: self.rows,
            columns: self.columns,
            row_indices: spread(&self.row_starts).into(),
            column_indices: self.column_indices.clone(),
            values: self.values.clone(),
        }
    }

    /// The same matrix column by column.
    ///
    /// # Errors
    /// Lists of different lengths, or an entry outside of the matrix.
    pub fn to_csc(&self) -> Result<Csc, Error> {
        self.check()?;
        let (starts, rows, order) = turn(self.columns, &self.row_starts, &self.column_indices);
        Ok(Csc {
            rows: self.rows,
            columns: self.columns,
            column_starts: starts.into(),
            row_indices: rows.into(),
            values: self.values.select_rows(&order)?,
        })
    }

    /// All elements, as an array of two axes.
    ///
    /// # Errors
    /// Lists of different lengths, an entry outside of the matrix, or a matrix larger than memory.
    pub fn to_dense(&self) -> Result<Array, Error> {
        self.check()?;
        let rows = spread(&self.row_starts);
        dense(
            self.rows,
            self.columns,
            &rows,
            &self.column_indices,
            &self.values,
        )
    }

    /// The product with a vector.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.at(1..) * x.at(..-1));
    /// let j = f.sparse_jacobian().call((Array::from([1.0, 2.0, 3.0]),))?;
    /// assert_eq!(j.dot(&[1.0, 1.0, 1.0].into())?, [3.0, 5.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// A vector of another length, or a malformed matrix.
    pub fn dot(&self, vector: &Array) -> Result<Array, Error> {
        self.check()?;
        let x = operand(vector, self.columns, self.values.dtype())?;
        let mut sums = vec![0.0; self.rows];
        let rows = spread(&self.row_starts);
        let entries = rows.iter().zip(self.column_indices.iter());
        for ((i, j), value) in entries.zip(self.values.to_f64s()) {
            if let (Some(sum), Some(x)) = (sums.get_mut(*i), x.get(*j)) {
                *sum += value * x;
            }
        }
        Ok(Array::vector(sums).convert(self.values.dtype()))
    }

    fn check(&self) -> Result<(), Error> {
        check_starts("row_starts", &self.row_starts, self.rows, &self.values)?;
        check(
            "column_indices",
            &self.column_indices,
            self.columns,
            &self.values,
        )
    }
}

impl Csc {
    /// The same matrix row by row.
    ///
    /// # Errors
    /// Lists of different lengths, or an entry outside of the matrix.
    pub fn to_csr(&self) -> Result<Csr, Error> {
        self.check()?;
        let (starts, columns, order) = turn(self.rows, &self.column_starts, &self.row_indices);
        Ok(Csr {
            rows: self.rows,
            columns: self.columns,
            row_starts: starts.into(),
            column_indices: columns.into(),
            values: self.values.select_rows(&order)?,
        })
    }

    /// The same matrix as a list of entries, column by column.
    pub fn to_coo(&self) -> Coo {
        Coo {
            rows: self.rows,
            columns: self.columns,
            row_indices: self.row_indices.clone(),
            column_indices: spread(&self.column_starts).into(),
            values: self.values.clone(),
        }
    }

    /// All elements, as an array of two axes.
    ///
    /// # Errors
    /// Lists of different lengths, an entry outside of the matrix, or a matrix larger than memory.
    pub fn to_dense(&self) -> Result<Array, Error> {
        self.check()?;
        let columns = spread(&self.column_starts);
        dense(
            self.rows,
            self.columns,
            &self.row_indices,
            &columns,
            &self.values,
        )
    }

    /// The product with a vector.
    ///
    /// # Errors
    /// A vector of another length, or a malformed matrix.
    pub fn dot(&self, vector: &Array) -> Result<Array, Error> {
        self.to_csr()?.dot(vector)
    }

    fn check(&self) -> Result<(), Error> {
        check_starts(
            "column_starts",
            &self.column_starts,
            self.columns,
            &self.values,
        )?;
        check("row_indices", &self.row_indices, self.rows, &self.values)
    }
}

/// The positions of a pattern, shared by all matrices that have it.
#[derive(Debug)]
pub(crate) struct Indices {
    starts: Arc<[usize]>,
    columns: Arc<[usize]>,
}

impl Indices {
    pub(crate) fn of(pattern: &Pattern) -> Indices {
        Indices {
            starts: pattern.row_starts().into(),
            columns: pattern.iter().map(|(_, j)| j).collect(),
        }
    }
}

/// The number of the line of each entry, from where the lines start.
fn spread(starts: &[usize]) -> Vec<usize> {
    let mut lines = Vec::with_capacity(starts.last().copied().unwrap_or(0));
    for (line, pair) in starts.windows(2).enumerate() {
        if let [from, to] = pair {
            lines.extend(std::iter::repeat_n(line, to.saturating_sub(*from)));
        }
    }
    lines
}

/// Lines across: where each starts, the old line of each entry, and which entry it was.
fn turn(count: usize, starts: &[usize], indices: &[usize]) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..indices.len()).collect();
    // Stable, so that entries of one line stay in order.
    order.sort_by_key(|e| indices.get(*e).copied().unwrap_or(0));
    let old = spread(starts);
    let lines = order
        .iter()
        .map(|e| old.get(*e).copied().unwrap_or(0))
        .collect();
    let mut counts = vec![0; count + 1];
    for i in indices {
        if let Some(c) = counts.get_mut(i + 1) {
            *c += 1;
        }
    }
    let mut total = 0;
    for c in &mut counts {
        total += *c;
        *c = total;
    }
    (counts, lines, order)
}

fn dense(
    rows: usize,
    columns: usize,
    row_indices: &[usize],
    column_indices: &[usize],
    values: &Array,
) -> Result<Array, Error> {
    let dtype = values.dtype();
    let shape = crate::Shape::from([rows, columns]);
    let too_large = || ArrayError::TooLarge {
        shape: shape.clone(),
        dtype,
    };
    let count = shape.checked_elements().ok_or_else(too_large)?;
    let mut elements: Vec<Scalar> = Vec::new();
    elements.try_reserve_exact(count).map_err(|_| too_large())?;
    elements.resize(count, Scalar::zero(dtype));
    for ((i, j), x) in row_indices.iter().zip(column_indices).zip(values.scalars()) {
        if let Some(e) = elements.get_mut(i * columns + j) {
            *e = x;
        }
    }
    Ok(Array::from_scalars(dtype, shape, elements)?)
}

fn operand(vector: &Array, length: usize, dtype: DType) -> Result<Vec<f64>, Error> {
    if vector.rank() != 1 || vector.len() != length || vector.dtype() != dtype {
        return Err(Error::Argument(format!(
            "dot: expected a vector {dtype}[{length}], found {}{}",
            vector.dtype(),
            vector.shape()
        )));
    }
    Ok(vector.to_f64s())
}

fn check(name: &str, indices: &[usize], below: usize, values: &Array) -> Result<(), Error> {
    if indices.len() != values.len() || values.rank() != 1 {
        return Err(Error::Argument(format!(
            "expected `{name}` and values of one length, found {} and {}",
            indices.len(),
            values.shape()
        )));
    }
    match indices.iter().find(|i| **i >= below) {
        Some(i) => Err(Error::Argument(format!(
            "expected `{name}` below {below}, found {i}"
        ))),
        None => Ok(()),
    }
}

fn check_starts(name: &str, starts: &[usize], lines: usize, values: &Array) -> Result<(), Error> {
    let is_increasing = starts.windows(2).all(|w| w[0] <= w[1]);
    let ends = (starts.first(), starts.last()) == (Some(&0), Some(&values.len()));
    if starts.len() == lines.saturating_add(1) && is_increasing && ends {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "expected `{name}` of {} numbers that rise from 0 to {}, found {} numbers",
        lines.saturating_add(1),
        values.len(),
        starts.len()
    )))
}
