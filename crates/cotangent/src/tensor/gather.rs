//! Indexing by tensors of indices: take, gather and their transposes.

use std::borrow::Borrow;

use cotangent_graph::ops::{Gather, ScatterAdd};

use super::axes::index as axis_index;
use super::operand::{common_shape, numbered, scalar_as};
use super::{AxisIndex, Operand, OperandValue, Tensor, concat, fail, one_dtype, push, spread};
use crate::{Array, DType, Shape};

/// Indexing by tensors of indices.
impl Tensor {
    /// The slices at indices along an axis: the axis becomes the axes of the indices. Negative
    /// indices count from the end; one that is out of range is an error when the function runs.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.take([1, 1, -2], 0).to_array()?, [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn take(&self, indices: impl Into<Indices>, axis: impl AxisIndex) -> Tensor {
        let indices = indices.into().0;
        match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => {
                let indices = from_end(&indices, self.dim(axis));
                push(Gather { axis, batch: 0 }, &[self, &indices])
            }
            Err(message) => fail("take", &[self, &indices], message),
        }
    }

    /// The elements at several tensors of indices, which broadcast and index neighbouring axes
    /// from `axis` on: NumPy's `x[i, j]` for `axis` 0.
    #[track_caller]
    pub fn gather<T: Into<Indices>>(
        &self,
        indices: impl IntoIterator<Item = T>,
        axis: impl AxisIndex,
    ) -> Tensor {
        match self.prepared("gather", indices, axis) {
            Ok((axis, indices)) => {
                let operands: Vec<&Tensor> = std::iter::once(self).chain(&indices).collect();
                push(Gather { axis, batch: 0 }, &operands)
            }
            Err(failed) => failed,
        }
    }

    /// This tensor with `updates` added at several tensors of indices, as
    /// [`gather`](Tensor::gather) reads them; what meets at one place adds up. The updates
    /// broadcast to the shape that `gather` would give.
    #[track_caller]
    pub fn scatter_add<T: Into<Indices>>(
        &self,
        indices: impl IntoIterator<Item = T>,
        updates: impl Operand,
        axis: impl AxisIndex,
    ) -> Tensor {
        let (axis, indices) = match self.prepared("scatter_add", indices, axis) {
            Ok(prepared) => prepared,
            Err(failed) => return failed,
        };
        let updates = match updates.operand() {
            OperandValue::Tensor(t) => t,
            OperandValue::Scalar(s) => match scalar_as(self.dtype(), s) {
                Ok(s) => Tensor::full((), s),
                Err(message) => return fail("scatter_add", &[self], message),
            },
        };
        if let Err(failed) = one_dtype("scatter_add", &[self, &updates]) {
            return failed;
        }
        let inner = indices
            .first()
            .map(|i| i.shape().to_vec())
            .unwrap_or_default();
        let shape: Vec<usize> = self.shape()[..axis]
            .iter()
            .chain(&inner)
            .chain(&self.shape()[(axis + indices.len()).min(self.rank())..])
            .copied()
            .collect();
        let updates = updates.broadcast_to(shape);
        let op = ScatterAdd {
            shape: self.shape().clone(),
            axis,
            batch: 0,
        };
        let operands: Vec<&Tensor> = std::iter::once(&updates).chain(&indices).collect();
        self + push(op, &operands)
    }

    /// This tensor with slices added at indices along an axis; what meets at one place adds up.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::zeros([3], DType::F64);
    /// let y = x.index_add([0, 2, 0], Tensor::from([1.0, 2.0, 3.0]), 0);
    /// assert_eq!(y.to_array()?, [4.0, 0.0, 2.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn index_add(
        &self,
        indices: impl Into<Indices>,
        updates: impl Operand,
        axis: impl AxisIndex,
    ) -> Tensor {
        self.scatter_add([indices.into()], updates, axis)
    }

    /// The elements at indices along an axis, separately for each place along the other axes,
    /// which broadcast: `result[.., k, ..] = x[.., indices[.., k, ..], ..]`.
    #[track_caller]
    pub fn take_along_axis(&self, indices: impl Into<Indices>, axis: impl AxisIndex) -> Tensor {
        let indices = indices.into().0;
        let name = "take_along_axis";
        let axis = match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) if indices.rank() == self.rank() => axis,
            Ok(_) => {
                let message = format!(
                    "expected indices of rank {}, found {}",
                    self.rank(),
                    indices.rank()
                );
                return fail(name, &[self, &indices], message);
            }
            Err(message) => return fail(name, &[self, &indices], message),
        };
        let (x, i) = (self.moveaxis(axis, -1), indices.moveaxis(axis, -1));
        let last = self.rank() - 1;
        let shared = Shape::broadcast(&x.shape()[..last], &i.shape()[..last]);
        let Ok(shared) = shared else {
            let message = "expected shapes that broadcast beside the axis";
            return fail(name, &[self, &indices], message);
        };
        let full = |t: &Tensor| shared.iter().copied().chain([t.dim(-1)]).collect::<Shape>();
        let indices = from_end(&spread(&i, &full(&i)), x.dim(-1));
        let x = spread(&x, &full(&x));
        let taken = push(
            Gather {
                axis: last,
                batch: last,
            },
            &[&x, &indices],
        );
        taken.moveaxis(-1, axis)
    }

    /// This tensor with `updates` added at indices along an axis, separately for each place along
    /// the other axes: the transpose of [`take_along_axis`](Tensor::take_along_axis). Indices and
    /// updates have one shape, and the lengths of this tensor beside the axis.
    #[track_caller]
    pub fn add_along_axis(
        &self,
        indices: impl Into<Indices>,
        updates: &Tensor,
        axis: impl AxisIndex,
    ) -> Tensor {
        let indices = indices.into().0;
        let axis = match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail("add_along_axis", &[self, &indices, updates], message),
        };
        let fits = indices.shape() == updates.shape() && indices.rank() == self.rank();
        if !fits {
            let message = "expected indices and updates of one shape and of this tensor's rank";
            return fail("add_along_axis", &[self, &indices, updates], message);
        }
        let (x, i, u) = (
            self.moveaxis(axis, -1),
            indices.moveaxis(axis, -1),
            updates.moveaxis(axis, -1),
        );
        let last = self.rank() - 1;
        let indices = from_end(&i, x.dim(-1));
        let op = ScatterAdd {
            shape: x.shape().clone(),
            axis: last,
            batch: last,
        };
        self + push(op, &[&u, &indices]).moveaxis(-1, axis)
    }

    /// This tensor with `values` written at indices along an axis, separately for each place along
    /// the other axes: what [`take_along_axis`](Tensor::take_along_axis) would read there. Indices
    /// broadcast to the lengths of this tensor beside the axis, values to the shape of the indices.
    /// Where two indices meet, the last one's value stands, and the others have the derivative 0. An
    /// index out of range is an error when the program runs.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let places = Tensor::from([[2], [-3]]);
    /// let y = x.put_along_axis(&places, 0.0, 1);
    /// assert_eq!(y.to_array()?, [[1.0, 2.0, 0.0], [0.0, 5.0, 6.0]].into());
    /// let g = grad(move |v: &Tensor| x.put_along_axis(&places, v, 1).square().sum(..));
    /// assert_eq!(g.call(([[7.0], [8.0]].into(),))?, [[14.0], [16.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn put_along_axis(
        &self,
        indices: impl Into<Indices>,
        values: impl Operand,
        axis: impl AxisIndex,
    ) -> Tensor {
        let name = "put_along_axis";
        let indices = indices.into().0;
        let [x, values] = match numbered(name, [self.operand(), values.operand()]) {
            Ok(operands) => operands,
            Err(failed) => return failed,
        };
        if let Err(failed) = one_dtype(name, &[&x, &values]) {
            return failed;
        }
        let axis = match axis_index(axis.to_i64(), x.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail(name, &[&x, &indices], message),
        };
        if indices.rank() != x.rank() {
            let message = format!(
                "expected indices of rank {}, found {}",
                x.rank(),
                indices.rank()
            );
            return fail(name, &[&x, &indices], message);
        }
        let count = indices.dim(axis as i64);
        let lengths = x.shape().iter().enumerate();
        let wanted: Shape = lengths
            .map(|(a, n)| if a == axis { count } else { *n })
            .collect();
        let fits =
            |t: &Tensor| Shape::broadcast(t.shape(), &wanted).is_ok_and(|shape| shape == wanted);
        if !fits(&indices) || !fits(&values) {
            let message = format!("expected indices and values that broadcast to {wanted}");
            return fail(name, &[&x, &indices, &values], message);
        }
        if wanted.elements() == 0 {
            return x;
        }
        let n = x.dim(axis as i64);
        let rows = wanted.elements() / count;
        // Lines of elements along the axis, so that one row of indices belongs to one row of this.
        let places = rows_along(&from_end(&spread(&indices, &wanted), n), axis, rows, count);
        // Equal indices stand together in order, the last of them at the end of its run.
        let order = places.argsort(-1);
        let sorted = places.take_along_axis(&order, -1);
        let ends = sorted.at((.., 1..)).not_equal(sorted.at((.., ..-1)));
        let is_last = concat([ends, Tensor::full([rows, 1], true)], -1);
        // For each element one more than the position of the value that goes there, or 0.
        let op = ScatterAdd {
            shape: [rows, n].into_iter().collect(),
            axis: 1,
            batch: 1,
        };
        let source = push(op, &[&is_last.select(&order + 1, 0), &sorted]);
        let values = rows_along(&spread(&values, &wanted), axis, rows, count);
        let taken = values.take_along_axis((&source - 1).maximum(0), -1);
        let put = source
            .greater(0)
            .select(taken, rows_along(&x, axis, rows, n));
        let moved = x.moveaxis(axis, -1);
        put.reshape_to(moved.shape()).moveaxis(-1, axis)
    }

    #[track_caller]
    fn prepared<T: Into<Indices>>(
        &self,
        name: &str,
        indices: impl IntoIterator<Item = T>,
        axis: impl AxisIndex,
    ) -> Result<(usize, Vec<Tensor>), Tensor> {
        let indices: Vec<Tensor> = indices.into_iter().map(|i| i.into().0).collect();
        let refs: Vec<&Tensor> = indices.iter().collect();
        let axis = match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return Err(fail(name, &[self], message)),
        };
        if indices.is_empty() || axis + indices.len() > self.rank() {
            let message = format!(
                "expected from 1 to {} tensors of indices, found {}",
                self.rank() - axis,
                indices.len()
            );
            return Err(fail(name, &[self], message));
        }
        let shape = common_shape(name, &refs)?;
        let mut ready = Vec::with_capacity(indices.len());
        for (k, i) in indices.iter().enumerate() {
            ready.push(spread(&from_end(i, self.dim(axis + k)), &shape));
        }
        // What was counted from the end is i64 now, and the others may be anything: i64 holds all.
        if ready
            .windows(2)
            .any(|pair| pair[0].dtype() != pair[1].dtype())
        {
            for i in ready.iter_mut().filter(|i| i.dtype().is_int()) {
                *i = i.convert(DType::I64);
            }
        }
        Ok((axis, ready))
    }
}

/// Integers that index an axis: a tensor, an array, numbers.
#[derive(Clone, Debug)]
pub struct Indices(Tensor);

impl Indices {
    pub(crate) fn into_tensor(self) -> Tensor {
        self.0
    }
}

impl From<Tensor> for Indices {
    fn from(indices: Tensor) -> Indices {
        Indices(indices)
    }
}

impl From<&Tensor> for Indices {
    fn from(indices: &Tensor) -> Indices {
        Indices(indices.clone())
    }
}

impl From<Array> for Indices {
    fn from(indices: Array) -> Indices {
        Indices(indices.into())
    }
}

impl From<&Array> for Indices {
    fn from(indices: &Array) -> Indices {
        Indices(indices.into())
    }
}

macro_rules! index_numbers {
    ($($type:ty)*) => {$(
        impl From<$type> for Indices {
            fn from(index: $type) -> Indices {
                Indices(Tensor::from(Array::scalar(index)))
            }
        }

        impl<const N: usize> From<[$type; N]> for Indices {
            fn from(indices: [$type; N]) -> Indices {
                Indices(Array::vector(indices).into())
            }
        }

        impl From<&[$type]> for Indices {
            fn from(indices: &[$type]) -> Indices {
                Indices(Array::vector(indices).into())
            }
        }

        impl From<Vec<$type>> for Indices {
            fn from(indices: Vec<$type>) -> Indices {
                Indices(Array::vector(indices).into())
            }
        }
    )*};
}

index_numbers!(i32 i64 u32);

/// The elements along an axis as the rows of a matrix.
#[track_caller]
fn rows_along(x: &Tensor, axis: usize, rows: usize, length: usize) -> Tensor {
    let shape: Shape = [rows, length].into_iter().collect();
    x.moveaxis(axis, -1).reshape_to(&shape)
}

/// Indices of which the negative ones are counted from the end of an axis of length `n`.
#[track_caller]
fn from_end(indices: &Tensor, n: usize) -> Tensor {
    if !indices.dtype().is_signed() || !indices.dtype().is_int() {
        return indices.clone();
    }
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    if let Ok(known) = indices.known() {
        if known.scalars().all(|s| s.to_i64() >= 0) {
            return indices.clone();
        }
        let moved = known.scalars().map(|s| match s.to_i64() {
            i if i < 0 => i.saturating_add(n),
            i => i,
        });
        // i64 holds every length, which a narrower dtype might not.
        return match Array::new(known.shape(), moved.collect::<Vec<i64>>()) {
            Ok(array) => array.into(),
            Err(_) => indices.clone(),
        };
    }
    let wide = indices.convert(DType::I64);
    wide.less(0).select(&wide + n, &wide)
}

/// Zeros of a shape with `updates` added at tensors of indices; see [`Tensor::scatter_add`].
#[track_caller]
pub fn scatter_add<T: Borrow<Tensor>>(
    shape: impl Into<Shape>,
    indices: impl IntoIterator<Item = T>,
    updates: &Tensor,
    axis: impl AxisIndex,
) -> Tensor {
    let indices: Vec<Tensor> = indices.into_iter().map(|i| i.borrow().clone()).collect();
    Tensor::zeros(shape, updates.dtype()).scatter_add(indices, updates, axis)
}
