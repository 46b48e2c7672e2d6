//! Tensors of numbers in a pattern: ranges, grids, diagonals and triangles.

use std::borrow::Borrow;

use cotangent_graph::ops::{Compare, Gather, Iota, ScatterAdd};

use super::operand::binary;
use super::{AxisIndex, Tensor, axes, fail, push};
use crate::{Array, DType, Scalar, Shape};

/// Ranges and matrices.
impl Tensor {
    /// 0, 1, ..., n - 1.
    #[track_caller]
    pub fn arange(n: usize, dtype: DType) -> Tensor {
        Tensor::iota([n], 0, dtype)
    }

    /// start, start + step, ... before `stop`.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::arange_step(1.0, 2.0, 0.25, DType::F64);
    /// assert_eq!(x.to_array()?, [1.0, 1.25, 1.5, 1.75].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn arange_step(start: f64, stop: f64, step: f64, dtype: DType) -> Tensor {
        let count = ((stop - start) / step).ceil();
        if !count.is_finite() {
            let message = format!("expected finite ends and a step that is not 0, found {step}");
            return fail("arange_step", &[], message);
        }
        // A count beyond memory saturates and is refused by the operation itself.
        let count = count.max(0.0) as usize;
        let t = Tensor::iota([count], 0, DType::F64) * step + start;
        t.convert(dtype)
    }

    /// `count` numbers at equal distances from `start` to `stop`, both included.
    #[track_caller]
    pub fn linspace(start: f64, stop: f64, count: usize, dtype: DType) -> Tensor {
        let t = Tensor::iota([count], 0, DType::F64) / count.saturating_sub(1).max(1) as f64;
        // From the nearer end, so that both ends are exact.
        let late = t.greater(0.5);
        let from_start = &t * (stop - start) + start;
        let from_stop = stop - (1.0 - &t) * (stop - start);
        late.select(from_stop, from_start).convert(dtype)
    }

    /// The index along one axis, at every place of a shape.
    #[track_caller]
    pub fn iota(shape: impl Into<Shape>, axis: impl AxisIndex, dtype: DType) -> Tensor {
        let shape = shape.into();
        match axes::index(axis.to_i64(), shape.rank()) {
            Ok(axis) => push(Iota { shape, axis, dtype }, &[]),
            Err(message) => fail("iota", &[], message),
        }
    }

    /// The identity matrix of size n.
    #[track_caller]
    pub fn eye(n: usize, dtype: DType) -> Tensor {
        Tensor::eye_shifted(n, n, 0, dtype)
    }

    /// The n by m matrix with ones on a diagonal: the main one for `offset` 0, above it for a
    /// positive one.
    #[track_caller]
    pub fn eye_shifted(n: usize, m: usize, offset: i64, dtype: DType) -> Tensor {
        let (row, column) = grid(&Shape::from([n, m]));
        (column - row).equal(offset).convert(dtype)
    }

    /// 1 at the place along a new last axis of length `classes` that the integer says, 0 elsewhere;
    /// all 0 where it is out of range.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::from([1, 0]).one_hot(3, DType::F64);
    /// assert_eq!(x.to_array()?, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Tensor {
        if !self.dtype().is_int() {
            let message = format!("expected an integer dtype, found {}", self.dtype());
            return fail("one_hot", &[self], message);
        }
        let shape: Vec<usize> = self.shape().iter().copied().chain([classes]).collect();
        let place = Tensor::iota(shape, self.rank(), DType::I64);
        place
            .equal(self.convert(DType::I64).expand_dims(-1))
            .convert(dtype)
    }

    /// The elements on a diagonal of two axes, as a new last axis in place of the two; above the
    /// main diagonal for a positive `offset`.
    #[track_caller]
    pub fn diagonal(&self, offset: i64, axis1: impl AxisIndex, axis2: impl AxisIndex) -> Tensor {
        let both = axes::ordered(&[axis1.to_i64(), axis2.to_i64()], self.rank());
        let axes = match both {
            Ok(axes) => axes,
            Err(message) => return fail("diagonal", &[self], message),
        };
        let x = self.moveaxis(axes, [-2, -1]);
        let (n, m) = (x.dim(-2), x.dim(-1));
        let (row, column) = diagonal_places(n, m, offset);
        push(
            Gather {
                axis: self.rank() - 2,
                batch: 0,
            },
            &[&x, &row.into(), &column.into()],
        )
    }

    /// The matrix with this vector on a diagonal and zeros elsewhere; above the main diagonal for a
    /// positive `offset`. Leading axes are a batch.
    #[doc(alias = "diag_embed")]
    #[track_caller]
    pub fn diag(&self, offset: i64) -> Tensor {
        let Some(n) = self.shape().last().copied() else {
            return fail("diag", &[self], "expected a vector, found a scalar");
        };
        let Some(size) = usize::try_from(offset.unsigned_abs())
            .ok()
            .and_then(|o| n.checked_add(o))
        else {
            return fail(
                "diag",
                &[self],
                format!("an offset of {offset} is too large"),
            );
        };
        let (row, column) = diagonal_places(size, size, offset);
        let lead = self.rank() - 1;
        let shape = self.shape()[..lead]
            .iter()
            .copied()
            .chain([size, size])
            .collect();
        let op = ScatterAdd {
            shape,
            axis: lead,
            batch: 0,
        };
        push(op, &[self, &row.into(), &column.into()])
    }

    /// The sum of the main diagonal of the first two axes.
    #[track_caller]
    pub fn trace(&self) -> Tensor {
        if self.rank() < 2 {
            return fail("trace", &[self], "expected a matrix");
        }
        self.diagonal(0, 0, 1).sum(-1)
    }

    /// The lower triangle of the last two axes, with zeros above diagonal number `diagonal`.
    #[track_caller]
    pub fn tril(&self, diagonal: i64) -> Tensor {
        self.triangle("tril", Compare::Le, diagonal)
    }

    /// The upper triangle of the last two axes, with zeros below diagonal number `diagonal`.
    #[track_caller]
    pub fn triu(&self, diagonal: i64) -> Tensor {
        self.triangle("triu", Compare::Ge, diagonal)
    }

    #[track_caller]
    fn triangle(&self, name: &str, side: Compare, diagonal: i64) -> Tensor {
        let Some(lead) = self.rank().checked_sub(2) else {
            return fail(name, &[self], "expected a matrix");
        };
        let (row, column) = grid(&Shape::from(&self.shape()[lead..]));
        let inside = binary(side, column - row, diagonal);
        inside.select(self, Tensor::full((), Scalar::zero(self.dtype())))
    }
}

/// Coordinate grids of vectors: tensor `i` holds vector `i` along axis `i` and is constant along
/// the others (NumPy's `meshgrid` with `indexing="ij"`).
#[track_caller]
pub fn meshgrid<T: Borrow<Tensor>>(vectors: impl IntoIterator<Item = T>) -> Vec<Tensor> {
    let vectors: Vec<T> = vectors.into_iter().collect();
    let vectors: Vec<&Tensor> = vectors.iter().map(Borrow::borrow).collect();
    let shape: Vec<usize> = vectors.iter().map(|v| v.len()).collect();
    let mut grids = Vec::with_capacity(vectors.len());
    for (i, v) in vectors.iter().enumerate() {
        if v.rank() > 1 {
            grids.push(fail("meshgrid", &[v], "expected vectors"));
            continue;
        }
        let mut along = vec![1; vectors.len()];
        along[i] = v.len();
        grids.push(v.reshape_to(&along.into()).broadcast_to(&shape[..]));
    }
    grids
}

/// The row and the column of every place of a matrix.
#[track_caller]
fn grid(shape: &Shape) -> (Tensor, Tensor) {
    (
        Tensor::iota(shape, 0, DType::I64),
        Tensor::iota(shape, 1, DType::I64),
    )
}

/// The rows and columns of the places on a diagonal of an n by m matrix.
fn diagonal_places(n: usize, m: usize, offset: i64) -> (Array, Array) {
    let by = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    let (row, column) = if offset < 0 { (by, 0) } else { (0, by) };
    let count = n.saturating_sub(row).min(m.saturating_sub(column));
    let places = |from: usize| -> Array {
        (0..count)
            .map(|i| i64::try_from(from + i).unwrap_or(i64::MAX))
            .collect::<Vec<i64>>()
            .into()
    };
    (places(row), places(column))
}
