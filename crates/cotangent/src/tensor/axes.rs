//! Which axes an operation works along, and other lists of whole numbers.

use crate::Shape;

/// A number of an axis: `0` is the first, `-1` the last.
pub trait AxisIndex: Copy {
    /// The number as written.
    fn to_i64(self) -> i64;
}

macro_rules! axis_index {
    ($($type:ty)*) => {$(
        impl AxisIndex for $type {
            fn to_i64(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
        }
    )*};
}

axis_index!(i32 i64 isize usize u32);

/// Axes to reduce over: one (`0`, `-1`), several (`[0, 1]`), all (`..`), none (`()`); wrapped in
/// [`keep`] they stay as axes of length 1.
///
/// ```
/// use cotangent::{DType, Tensor, keep};
/// let x = Tensor::ones([2, 3], DType::F64);
/// assert_eq!(x.sum(-1).shape().dims(), [2]);
/// assert_eq!(x.sum(keep(-1)).shape().dims(), [2, 1]);
/// assert_eq!(x.sum(..).rank(), 0);
/// ```
pub trait Axes {
    /// The axes of a tensor of this rank.
    ///
    /// # Errors
    /// An axis that is out of range or given twice, in words.
    fn resolve(&self, rank: usize) -> Result<AxisSet, String>;
}

/// Axes of a tensor, in order, and whether they stay as axes of length 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AxisSet {
    /// The axes, increasing.
    pub axes: Vec<usize>,
    /// Whether reduced axes stay with length 1.
    pub keep: bool,
}

/// See [`keep`].
#[derive(Clone, Copy, Debug)]
pub struct Keep<A>(A);

/// The same axes, which stay in the result with length 1 (NumPy's `keepdims`).
pub fn keep<A: Axes>(axes: A) -> Keep<A> {
    Keep(axes)
}

impl<A: Axes> Axes for Keep<A> {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        Ok(AxisSet {
            keep: true,
            ..self.0.resolve(rank)?
        })
    }
}

impl Axes for std::ops::RangeFull {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        Ok(AxisSet {
            axes: (0..rank).collect(),
            keep: false,
        })
    }
}

impl Axes for () {
    fn resolve(&self, _: usize) -> Result<AxisSet, String> {
        Ok(AxisSet {
            axes: Vec::new(),
            keep: false,
        })
    }
}

impl<T: AxisIndex> Axes for T {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        several(&[*self], rank)
    }
}

impl<T: AxisIndex, const N: usize> Axes for [T; N] {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        several(self, rank)
    }
}

impl<T: AxisIndex> Axes for &[T] {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        several(self, rank)
    }
}

impl<T: AxisIndex> Axes for Vec<T> {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        several(self, rank)
    }
}

impl<T: AxisIndex> Axes for &Vec<T> {
    fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        several(self, rank)
    }
}

/// A list of whole numbers, such as the lengths or the order of axes: an array, slice, `Vec`,
/// [`Shape`], or a single number.
pub trait Integers {
    /// The numbers.
    fn integers(&self) -> Vec<i64>;
}

impl<T: AxisIndex> Integers for T {
    fn integers(&self) -> Vec<i64> {
        vec![self.to_i64()]
    }
}

impl<T: AxisIndex, const N: usize> Integers for [T; N] {
    fn integers(&self) -> Vec<i64> {
        self.iter().map(|i| i.to_i64()).collect()
    }
}

impl<T: AxisIndex> Integers for &[T] {
    fn integers(&self) -> Vec<i64> {
        self.iter().map(|i| i.to_i64()).collect()
    }
}

impl<T: AxisIndex> Integers for Vec<T> {
    fn integers(&self) -> Vec<i64> {
        self.as_slice().integers()
    }
}

impl<T: AxisIndex> Integers for &Vec<T> {
    fn integers(&self) -> Vec<i64> {
        self.as_slice().integers()
    }
}

impl Integers for Shape {
    fn integers(&self) -> Vec<i64> {
        self.dims().integers()
    }
}

impl Integers for &Shape {
    fn integers(&self) -> Vec<i64> {
        self.dims().integers()
    }
}

impl Integers for () {
    fn integers(&self) -> Vec<i64> {
        Vec::new()
    }
}

fn several<T: AxisIndex>(list: &[T], rank: usize) -> Result<AxisSet, String> {
    let mut axes = ordered(list, rank)?;
    axes.sort_unstable();
    Ok(AxisSet { axes, keep: false })
}

/// The axes in the order given, each in range and given once.
pub(crate) fn ordered<T: AxisIndex>(list: &[T], rank: usize) -> Result<Vec<usize>, String> {
    let mut axes = Vec::with_capacity(list.len());
    for a in list {
        let axis = index(a.to_i64(), rank)?;
        if axes.contains(&axis) {
            return Err(format!(
                "expected each axis once, found axis {} twice",
                a.to_i64()
            ));
        }
        axes.push(axis);
    }
    Ok(axes)
}

/// The axis with this number in a tensor of this rank.
pub(crate) fn index(axis: i64, rank: usize) -> Result<usize, String> {
    let n = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_start = if axis < 0 {
        axis.saturating_add(n)
    } else {
        axis
    };
    match usize::try_from(from_start) {
        Ok(a) if a < rank => Ok(a),
        _ if rank == 0 => Err(format!("expected no axis for a scalar, found axis {axis}")),
        _ => Err(format!(
            "expected an axis from -{rank} to {}, found {axis}",
            rank - 1
        )),
    }
}
