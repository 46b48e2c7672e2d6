//! Operations that move elements: reshape, transpose, join, cut, pad.

use std::borrow::Borrow;
use std::ops::Range;

use cotangent_graph::ops::{Concat, Pad, Reshape, Reverse, Slice, Transpose};

use super::axes::{index, ordered};
use super::{Axes, AxisIndex, Integers, Tensor, axes, fail, one_dtype, push, spread};
use crate::{Array, Scalar, Shape};

/// What [`Tensor::pad`] puts around the elements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PadMode {
    /// One number.
    Constant(Scalar),
    /// The elements mirrored at the edge, without repeating the edge itself.
    Reflect,
    /// The edge itself.
    Edge,
    /// The elements from the other side.
    Wrap,
}

impl PadMode {
    /// Zeros.
    pub const ZERO: PadMode = PadMode::Constant(Scalar::I64(0));
}

/// Shapes.
impl Tensor {
    /// The same elements in row-major order in another shape; one length may be -1 and is then
    /// computed from the others.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::arange(6, DType::I64).reshape([2, -1]);
    /// assert_eq!(x.shape().dims(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn reshape(&self, shape: impl Integers) -> Tensor {
        let lengths = shape.integers();
        match resolve_lengths(&lengths, self.len()) {
            Ok(shape) => self.reshape_to(&shape),
            Err(message) => fail("reshape", &[self], message),
        }
    }

    /// All elements as a vector, in row-major order.
    #[track_caller]
    pub fn ravel(&self) -> Tensor {
        self.reshape_to(&Shape::from([self.len()]))
    }

    /// The axes from `first` to `last`, both included, as one.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::zeros([2, 3, 4], DType::F64);
    /// assert_eq!(x.flatten(1, -1).shape().dims(), [2, 12]);
    /// ```
    #[track_caller]
    pub fn flatten(&self, first: impl AxisIndex, last: impl AxisIndex) -> Tensor {
        if self.rank() == 0 {
            return self.ravel();
        }
        let both = index(first.to_i64(), self.rank())
            .and_then(|a| Ok((a, index(last.to_i64(), self.rank())?)));
        match both {
            Ok((a, b)) if a <= b => {
                let dims = self.shape().dims();
                let joined = dims[a..=b].iter().product();
                let shape = dims[..a].iter().copied().chain([joined]);
                self.reshape_to(&shape.chain(dims[b + 1..].iter().copied()).collect())
            }
            Ok((a, b)) => fail(
                "flatten",
                &[self],
                format!("expected axes in order, found {a} to {b}"),
            ),
            Err(message) => fail("flatten", &[self], message),
        }
    }

    /// All axes in reverse order (NumPy's `.T`).
    #[track_caller]
    pub fn transpose(&self) -> Tensor {
        self.permute_to((0..self.rank()).rev().collect())
    }

    /// The last two axes exchanged: the transposed matrix, or matrices of a batch.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        match self.rank() {
            0 | 1 => fail("t", &[self], "expected a matrix, or a batch of matrices"),
            _ => self.swapaxes(-1, -2),
        }
    }

    /// Axis `i` of the result is axis `axes[i]`.
    #[track_caller]
    pub fn permute(&self, axes: impl Integers) -> Tensor {
        match ordered(&axes.integers(), self.rank()) {
            Ok(axes) => self.permute_to(axes),
            Err(message) => fail("permute", &[self], message),
        }
    }

    /// Two axes exchanged.
    #[track_caller]
    pub fn swapaxes(&self, a: impl AxisIndex, b: impl AxisIndex) -> Tensor {
        let both =
            index(a.to_i64(), self.rank()).and_then(|a| Ok((a, index(b.to_i64(), self.rank())?)));
        match both {
            Ok((a, b)) => {
                let mut axes: Vec<usize> = (0..self.rank()).collect();
                axes.swap(a, b);
                self.permute_to(axes)
            }
            Err(message) => fail("swapaxes", &[self], message),
        }
    }

    /// Axes moved to other places; the others keep their order.
    #[track_caller]
    pub fn moveaxis(&self, from: impl Integers, to: impl Integers) -> Tensor {
        let both = ordered(&from.integers(), self.rank())
            .and_then(|from| Ok((from, ordered(&to.integers(), self.rank())?)));
        match both {
            Ok((from, to)) if from.len() == to.len() => {
                let mut others = (0..self.rank()).filter(|a| !from.contains(a));
                let axes = (0..self.rank())
                    .filter_map(|place| match to.iter().position(|t| *t == place) {
                        Some(i) => from.get(i).copied(),
                        None => others.next(),
                    })
                    .collect();
                self.permute_to(axes)
            }
            Ok((from, to)) => {
                let message = format!("expected {} places, found {}", from.len(), to.len());
                fail("moveaxis", &[self], message)
            }
            Err(message) => fail("moveaxis", &[self], message),
        }
    }

    /// New axes of length 1 at these places of the result.
    #[doc(alias = "unsqueeze")]
    #[track_caller]
    pub fn expand_dims(&self, axes: impl Integers) -> Tensor {
        let axes = axes.integers();
        let rank = self.rank() + axes.len();
        match ordered(&axes, rank) {
            Ok(axes) => {
                let mut old = self.shape().iter().copied();
                let shape = (0..rank)
                    .map(|a| {
                        if axes.contains(&a) {
                            1
                        } else {
                            old.next().unwrap_or(1)
                        }
                    })
                    .collect();
                self.reshape_to(&shape)
            }
            Err(message) => fail("expand_dims", &[self], message),
        }
    }

    /// Without these axes, which must have length 1; `..` drops all that have.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Axes) -> Tensor {
        let set = match self.resolve("squeeze", axes) {
            Ok(set) => set,
            Err(failed) => return failed,
        };
        let all = set.axes.len() == self.rank();
        let mut shape = Vec::new();
        for (a, n) in self.shape().iter().enumerate() {
            match (set.axes.contains(&a), *n) {
                (true, 1) => {}
                (true, n) if !all => {
                    let message = format!("expected axis {a} of length 1, found {n}");
                    return fail("squeeze", &[self], message);
                }
                (_, n) => shape.push(n),
            }
        }
        self.reshape_to(&shape.into())
    }

    /// Repeated along axes of length 1 and along new leading axes, by NumPy's rules.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        match Shape::broadcast(self.shape(), &shape) {
            Ok(common) if common == shape => spread(self, &shape),
            _ => fail(
                "broadcast_to",
                &[self],
                format!(
                    "expected a shape that broadcasts to {shape}, found {}",
                    self.shape()
                ),
            ),
        }
    }

    /// The order of elements reversed along axes.
    #[track_caller]
    pub fn flip(&self, axes: impl Axes) -> Tensor {
        match self.resolve("flip", axes) {
            Ok(set) if set.axes.is_empty() => self.clone(),
            Ok(set) => push(Reverse { axes: set.axes }, &[self]),
            Err(failed) => failed,
        }
    }

    /// Elements moved forward along an axis by `shift`; those that leave at the end come back at
    /// the start.
    #[track_caller]
    pub fn roll(&self, shift: i64, axis: impl AxisIndex) -> Tensor {
        match index(axis.to_i64(), self.rank()) {
            Ok(axis) => {
                let n = self.dim(axis);
                let Some(by) = i64::try_from(n)
                    .ok()
                    .and_then(|n| shift.checked_rem_euclid(n))
                else {
                    return self.clone();
                };
                let cut = n - usize::try_from(by).unwrap_or(0);
                if cut == n {
                    return self.clone();
                }
                concat([self.cut(axis, cut..n), self.cut(axis, 0..cut)], axis)
            }
            Err(message) => fail("roll", &[self], message),
        }
    }

    /// The whole tensor repeated `counts[i]` times along axis `i`; the shorter of shape and counts
    /// is filled up with leading ones.
    #[track_caller]
    pub fn tile(&self, counts: impl Integers) -> Tensor {
        let counts = match lengths(&counts.integers()) {
            Ok(counts) => counts,
            Err(message) => return fail("tile", &[self], message),
        };
        let rank = self.rank().max(counts.len());
        let aligned = |list: &[usize], a: usize| {
            (a + list.len())
                .checked_sub(rank)
                .and_then(|i| list.get(i))
                .copied()
                .unwrap_or(1)
        };
        // Each axis becomes a pair, of which the first repeats.
        let mut single = Vec::new();
        let mut repeated = Vec::new();
        let mut shape = Vec::new();
        for a in 0..rank {
            let (n, count) = (aligned(self.shape(), a), aligned(&counts, a));
            single.extend([1, n]);
            repeated.extend([count, n]);
            shape.push(n.saturating_mul(count));
        }
        let pairs = spread(&self.reshape_to(&single.into()), &repeated.into());
        pairs.reshape_to(&shape.into())
    }

    /// Each element repeated `count` times along an axis.
    #[track_caller]
    pub fn repeat(&self, count: usize, axis: impl AxisIndex) -> Tensor {
        match index(axis.to_i64(), self.rank()) {
            Ok(axis) => {
                let mut shape = self.shape().to_vec();
                let mut repeated = shape.clone();
                repeated.insert(axis + 1, count);
                shape[axis] = shape[axis].saturating_mul(count);
                spread(&self.expand_dims(axis + 1), &repeated.into()).reshape_to(&shape.into())
            }
            Err(message) => fail("repeat", &[self], message),
        }
    }

    /// `widths[i]` elements added before and after along axis `i`.
    ///
    /// ```
    /// use cotangent::{PadMode, Tensor};
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.pad([(1, 2)], PadMode::ZERO).to_array()?, [0, 1, 2, 3, 0, 0].into());
    /// assert_eq!(x.pad([(2, 1)], PadMode::Reflect).to_array()?, [3, 2, 1, 2, 3, 2].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn pad(&self, widths: impl AsRef<[(usize, usize)]>, mode: PadMode) -> Tensor {
        let widths = widths.as_ref();
        if widths.len() != self.rank() {
            let message = format!(
                "expected a pair of widths for each of {} axes, found {}",
                self.rank(),
                widths.len()
            );
            return fail("pad", &[self], message);
        }
        if widths.iter().all(|w| *w == (0, 0)) {
            return self.clone();
        }
        if let PadMode::Constant(value) = mode {
            let value = match super::operand::scalar_as(self.dtype(), value) {
                Ok(value) => value,
                Err(message) => return fail("pad", &[self], message),
            };
            let (low, high) = widths.iter().copied().unzip();
            let op = Pad {
                low,
                high,
                interior: vec![0; self.rank()],
            };
            return push(op, &[self, &Tensor::full((), value)]);
        }
        let mut padded = self.clone();
        for (axis, (low, high)) in widths.iter().enumerate().filter(|(_, w)| **w != (0, 0)) {
            let n = self.dim(axis);
            match source_indices(n, *low, *high, mode) {
                Ok(from) => padded = padded.take(Array::from(from), axis),
                Err(message) => return fail("pad", &[self], message),
            }
        }
        padded
    }

    /// Pieces of these lengths along an axis, which they must fill.
    #[track_caller]
    pub fn split(&self, lengths: &[usize], axis: impl AxisIndex) -> Vec<Tensor> {
        let axis = match index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return vec![fail("split", &[self], message); lengths.len()],
        };
        let total = lengths.iter().fold(0usize, |sum, n| sum.saturating_add(*n));
        if total != self.dim(axis) {
            let message = format!(
                "expected lengths that add up to {}, found {lengths:?}",
                self.dim(axis)
            );
            return vec![fail("split", &[self], message); lengths.len()];
        }
        let mut start = 0;
        let mut pieces = Vec::with_capacity(lengths.len());
        for n in lengths {
            pieces.push(self.cut(axis, start..start + n));
            start += n;
        }
        pieces
    }

    /// At most `count` pieces of one length along an axis; the last one may be shorter.
    #[track_caller]
    pub fn chunk(&self, count: usize, axis: impl AxisIndex) -> Vec<Tensor> {
        let axis = match index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return vec![fail("chunk", &[self], message)],
        };
        let n = self.dim(axis);
        let size = n.div_ceil(count.max(1)).max(1);
        if count == 0 {
            return Vec::new();
        }
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < n || pieces.is_empty() {
            let end = (start + size).min(n);
            pieces.push(self.cut(axis, start..end));
            start = end.max(start + 1);
        }
        pieces
    }

    /// The slices along an axis, without it.
    #[doc(alias = "unstack")]
    #[track_caller]
    pub fn unbind(&self, axis: impl AxisIndex) -> Vec<Tensor> {
        let axis = match index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return vec![fail("unbind", &[self], message)],
        };
        let mut slices = Vec::with_capacity(self.dim(axis));
        for i in 0..self.dim(axis) {
            slices.push(self.cut(axis, i..i + 1).squeeze(axis));
        }
        slices
    }

    /// The elements in a range along one axis.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::arange(5, DType::I64);
    /// assert_eq!(x.slice_axis(0, 1..3).to_array()?, [1i64, 2].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn slice_axis(&self, axis: impl AxisIndex, range: Range<usize>) -> Tensor {
        match index(axis.to_i64(), self.rank()) {
            Ok(axis) if range.start <= range.end && range.end <= self.dim(axis) => {
                self.cut(axis, range)
            }
            Ok(axis) => {
                let message = format!(
                    "expected a range within 0..{}, found {range:?}",
                    self.dim(axis)
                );
                fail("slice_axis", &[self], message)
            }
            Err(message) => fail("slice_axis", &[self], message),
        }
    }
}

/// Tensors joined along an axis that they have.
///
/// ```
/// use cotangent::{Tensor, concat};
/// let (a, b) = (Tensor::from([1.0]), Tensor::from([2.0, 3.0]));
/// assert_eq!(concat([&a, &b], 0).to_array()?, [1.0, 2.0, 3.0].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[doc(alias = "concatenate")]
#[track_caller]
pub fn concat<T: Borrow<Tensor>>(
    tensors: impl IntoIterator<Item = T>,
    axis: impl AxisIndex,
) -> Tensor {
    let tensors: Vec<T> = tensors.into_iter().collect();
    let tensors: Vec<&Tensor> = tensors.iter().map(Borrow::borrow).collect();
    let Some(first) = tensors.first() else {
        return fail("concat", &[], "expected one tensor or more, found none");
    };
    if let Err(failed) = one_dtype("concat", &tensors) {
        return failed;
    }
    match axes::index(axis.to_i64(), first.rank()) {
        Ok(_) if tensors.len() == 1 => (*first).clone(),
        Ok(axis) => push(Concat { axis }, &tensors),
        Err(message) => fail("concat", &tensors, message),
    }
}

/// Tensors of one shape joined along a new axis, which has this place in the result.
#[track_caller]
pub fn stack<T: Borrow<Tensor>>(
    tensors: impl IntoIterator<Item = T>,
    axis: impl AxisIndex,
) -> Tensor {
    let tensors: Vec<T> = tensors.into_iter().collect();
    let tensors: Vec<&Tensor> = tensors.iter().map(Borrow::borrow).collect();
    let Some((first, rest)) = tensors.split_first() else {
        return fail("stack", &[], "expected one tensor or more, found none");
    };
    if let Some(other) = rest.iter().find(|t| t.shape() != first.shape()) {
        let message = format!(
            "expected tensors of one shape, found {} and {}",
            first.shape(),
            other.shape()
        );
        return fail("stack", &tensors, message);
    }
    match axes::index(axis.to_i64(), first.rank() + 1) {
        Ok(axis) => {
            let mut slices = Vec::with_capacity(tensors.len());
            for t in &tensors {
                slices.push(t.expand_dims(axis));
            }
            concat(slices, axis)
        }
        Err(message) => fail("stack", &tensors, message),
    }
}

impl Tensor {
    /// Reshapes to a shape with the same number of elements; nothing is added when it has it.
    #[track_caller]
    pub(crate) fn reshape_to(&self, shape: &Shape) -> Tensor {
        if self.shape() == shape {
            return self.clone();
        }
        match self.splat() {
            Some(value) if shape.checked_elements() == Some(self.len()) => {
                Tensor::full(shape, value)
            }
            _ => push(
                Reshape {
                    shape: shape.clone(),
                },
                &[self],
            ),
        }
    }

    /// Transposes by a valid order of axes; nothing is added when no axis moves.
    #[track_caller]
    pub(crate) fn permute_to(&self, axes: Vec<usize>) -> Tensor {
        if axes.len() == self.rank() && axes.iter().enumerate().all(|(i, a)| i == *a) {
            return self.clone();
        }
        push(Transpose { axes }, &[self])
    }

    /// The elements in a valid range along a valid axis; nothing is added for all of them.
    #[track_caller]
    pub(crate) fn cut(&self, axis: usize, range: Range<usize>) -> Tensor {
        let (mut start, mut limit) = (vec![0; self.rank()], self.shape().to_vec());
        if let (Some(s), Some(l)) = (start.get_mut(axis), limit.get_mut(axis)) {
            if *s == range.start && *l == range.end {
                return self.clone();
            }
            (*s, *l) = (range.start, range.end);
        }
        push(
            Slice {
                start,
                limit,
                stride: vec![1; self.rank()],
            },
            &[self],
        )
    }
}

/// Where along an axis of length `n` each element of the padded axis comes from.
fn source_indices(n: usize, low: usize, high: usize, mode: PadMode) -> Result<Vec<i64>, String> {
    let signed = |x: usize| i64::try_from(x).map_err(|_| format!("a width of {x} is too large"));
    let (n, low, high) = (signed(n)?, signed(low)?, signed(high)?);
    if n == 0 {
        return Err("expected an axis that is not empty, found length 0".to_owned());
    }
    let end = n.checked_add(high).ok_or("the widths are too large")?;
    let count = end.checked_add(low).and_then(|c| usize::try_from(c).ok());
    let mut from = Vec::new();
    // A request beyond memory is an error here, not the end of the program.
    if count.is_none_or(|c| from.try_reserve_exact(c).is_err()) {
        return Err(format!(
            "expected widths that fit in memory, found {low} and {high}"
        ));
    }
    from.extend((-low..end).map(|i| match mode {
        PadMode::Wrap => i.rem_euclid(n),
        PadMode::Reflect if n > 1 => {
            let i = i.rem_euclid(2 * (n - 1));
            if i < n { i } else { 2 * (n - 1) - i }
        }
        _ => i.clamp(0, n - 1),
    }));
    Ok(from)
}

fn lengths(list: &[i64]) -> Result<Vec<usize>, String> {
    list.iter()
        .map(|n| usize::try_from(*n).map_err(|_| format!("expected 0 or more, found {n}")))
        .collect()
}

/// The lengths with one -1 computed from the number of elements.
fn resolve_lengths(list: &[i64], elements: usize) -> Result<Shape, String> {
    let open = list.iter().filter(|n| **n == -1).count();
    if open > 1 {
        return Err(format!("expected at most one length of -1, found {list:?}"));
    }
    let known = lengths(
        &list
            .iter()
            .copied()
            .filter(|n| *n != -1)
            .collect::<Vec<_>>(),
    )?;
    let product = Shape::from(&known).checked_elements();
    let missing = match product {
        Some(p) if open == 1 && p > 0 && elements.is_multiple_of(p) => elements / p,
        Some(p) if open == 0 && p == elements => 0,
        _ => {
            return Err(format!(
                "expected a shape of {elements} elements, found {list:?}"
            ));
        }
    };
    let mut known = known.into_iter();
    Ok(list
        .iter()
        .map(|n| {
            if *n == -1 {
                missing
            } else {
                known.next().unwrap_or(missing)
            }
        })
        .collect())
}
