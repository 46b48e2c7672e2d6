//! Sorting, and what is read off sorted elements. Places are found by operations that have no
//! derivative, and the elements are gathered from there, so every derivative is that of a gather.

use cotangent_graph::ops::{ArgSort, CumArgMax, CumArgMin, SearchSorted};

use super::axes::index as axis_index;
use super::operand::{numbered, one_dtype};
use super::{Axes, AxisIndex, AxisSet, Indices, Operand, OperandValue, Tensor, fail, push};
use crate::{DType, Shape};

/// Sorting along an axis. A NaN counts as larger than every number, equal elements keep their
/// order, and each sorted element takes the derivative of the one that it is.
impl Tensor {
    /// The elements along an axis in increasing order; NaNs come last.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let x = Tensor::from([3.0, 1.0, 2.0]);
    /// assert_eq!(x.sort(0).to_array()?, [1.0, 2.0, 3.0].into());
    /// let largest = grad(|x: &Tensor| x.sort(0).at(-1)).call(([3.0, 1.0, 2.0].into(),))?;
    /// assert_eq!(largest, [1.0, 0.0, 0.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "msort")]
    #[track_caller]
    pub fn sort(&self, axis: impl AxisIndex) -> Tensor {
        self.take_along_axis(self.argsort(axis), axis)
    }

    /// The elements along an axis in decreasing order; NaNs come first.
    #[track_caller]
    pub fn sort_descending(&self, axis: impl AxisIndex) -> Tensor {
        self.take_along_axis(self.argsort_descending(axis), axis)
    }

    /// The positions along an axis at which its elements stand in increasing order; equal elements
    /// keep their order, NaNs come last. i64.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([2.0, f64::NAN, 1.0, 2.0]);
    /// assert_eq!(x.argsort(0).to_array()?, [2_i64, 0, 3, 1].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(&self, axis: impl AxisIndex) -> Tensor {
        self.first_places("argsort", axis, false, None)
    }

    /// The positions along an axis at which its elements stand in decreasing order; equal elements
    /// keep their order, NaNs come first. i64.
    #[track_caller]
    pub fn argsort_descending(&self, axis: impl AxisIndex) -> Tensor {
        self.first_places("argsort_descending", axis, true, None)
    }

    /// The k largest elements along an axis, the largest first, and their positions (i64); of equal
    /// ones the first. NaNs come before all numbers.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let (values, places) = Tensor::from([3.0, 7.0, 5.0]).top_k(2, 0);
    /// assert_eq!(values.to_array()?, [7.0, 5.0].into());
    /// assert_eq!(places.to_array()?, [1_i64, 2].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: impl AxisIndex) -> (Tensor, Tensor) {
        let places = self.first_places("top_k", axis, true, Some(k));
        (self.take_along_axis(&places, axis), places)
    }

    /// The k smallest elements along an axis, the smallest first, and their positions (i64); of
    /// equal ones the first.
    #[track_caller]
    pub fn bottom_k(&self, k: usize, axis: impl AxisIndex) -> (Tensor, Tensor) {
        let places = self.first_places("bottom_k", axis, false, Some(k));
        (self.take_along_axis(&places, axis), places)
    }

    /// The k-th smallest element along an axis, which vanishes, and its position (i64). k counts
    /// from 1.
    #[track_caller]
    pub fn kth_value(&self, k: usize, axis: impl AxisIndex) -> (Tensor, Tensor) {
        let Some(before) = k.checked_sub(1) else {
            let failed = fail("kth_value", &[self], "expected k of 1 or more, found 0");
            return (failed.clone(), failed);
        };
        let places = self.first_places("kth_value", axis, false, Some(k));
        let axis = match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) if places.dim(axis) == k => axis,
            _ => return (places.clone(), places),
        };
        let place = places.cut(axis, before..k);
        let value = self.take_along_axis(&place, axis);
        (value.squeeze(axis), place.squeeze(axis))
    }

    /// The most frequent element along an axis, which vanishes, and the last of its positions
    /// (i64); of several as frequent the smallest.
    #[track_caller]
    pub fn mode(&self, axis: impl AxisIndex) -> (Tensor, Tensor) {
        let places = self.argsort(axis);
        let axis = match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) if self.dim(axis) > 0 => axis,
            Ok(_) => {
                let failed = fail("mode", &[self], "expected at least one element");
                return (failed.clone(), failed);
            }
            Err(_) => return (places.clone(), places),
        };
        let sorted = self.stop_gradient().take_along_axis(&places, axis);
        let n = sorted.dim(axis);
        // How many equal elements have come in a row: h_i = equal_i h_(i-1) + 1.
        let equal = sorted
            .cut(axis, 1..n)
            .equal(sorted.cut(axis, 0..n - 1))
            .convert(DType::I64);
        let first = places.cut(axis, 0..1).zeros_like();
        let equal = super::concat(&[first, equal], axis);
        let run = equal.recurrence(equal.ones_like(), axis);
        let end = run.argmax(super::keep(axis));
        let place = places.take_along_axis(&end, axis);
        let value = self.take_along_axis(&place, axis);
        (value.squeeze(axis), place.squeeze(axis))
    }

    /// For each value its place among the elements of this tensor, which are sorted along the last
    /// axis: the number of elements that are smaller, and with [`Side::Right`] of those that are
    /// equal, too. i64, of the values' shape. Axes before the last are shared with the values.
    ///
    /// ```
    /// use cotangent::{Side, Tensor};
    /// let x = Tensor::from([1.0, 3.0, 3.0, 5.0]);
    /// let values = Tensor::from([0.0, 3.0, 9.0]);
    /// assert_eq!(x.searchsorted(&values, Side::Left).to_array()?, [0_i64, 1, 4].into());
    /// assert_eq!(x.searchsorted(&values, Side::Right).to_array()?, [0_i64, 3, 4].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn searchsorted(&self, values: impl Operand, side: Side) -> Tensor {
        let operands = [OperandValue::Tensor(self.clone()), values.operand()];
        match numbered("searchsorted", operands) {
            Ok([sorted, values]) => {
                let right = side == Side::Right;
                push(SearchSorted { right }, &[&sorted, &values])
            }
            Err(failed) => failed,
        }
    }

    /// How often each of the numbers 0, 1, ..., `length - 1` stands in an integer tensor; any other
    /// number is an error when the function runs. i64.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([2_i64, 0, 2]);
    /// assert_eq!(x.bincount(4).to_array()?, [1_i64, 0, 2, 0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn bincount(&self, length: usize) -> Tensor {
        let ones = Tensor::ones([self.len()], DType::I64);
        let indices = Indices::from(self.ravel());
        Tensor::zeros([length], DType::I64).index_add(indices, ones, 0)
    }

    #[track_caller]
    fn first_places(
        &self,
        name: &str,
        axis: impl AxisIndex,
        descending: bool,
        count: Option<usize>,
    ) -> Tensor {
        let axis = match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail(name, &[self], message),
        };
        let length = self.dim(axis);
        let count = count.unwrap_or(length);
        if count > length {
            let message =
                format!("expected k up to {length}, the length of the axis, found {count}");
            return fail(name, &[self], message);
        }
        push(
            ArgSort {
                axis,
                descending,
                count,
            },
            &[self],
        )
    }
}

/// Which place [`Tensor::searchsorted`] gives to a value that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Before the elements that are equal.
    Left,
    /// Behind them.
    Right,
}

/// Running maxima and minima. Of equal elements the first takes the derivative.
impl Tensor {
    /// The largest of all elements up to each along an axis; NaN from the first NaN on.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let x = [2.0, 1.0, 5.0, 5.0];
    /// assert_eq!(Tensor::from(x).cummax(0).to_array()?, [2.0, 2.0, 5.0, 5.0].into());
    /// let g = grad(|x: &Tensor| x.cummax(0).sum(..)).call((x.into(),))?;
    /// assert_eq!(g, [2.0, 0.0, 2.0, 0.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn cummax(&self, axis: impl AxisIndex) -> Tensor {
        self.take_along_axis(self.cum_argmax(axis), axis)
    }

    /// The smallest of all elements up to each along an axis; NaN from the first NaN on.
    #[track_caller]
    pub fn cummin(&self, axis: impl AxisIndex) -> Tensor {
        self.take_along_axis(self.cum_argmin(axis), axis)
    }

    /// The position of the largest of all elements up to each along an axis: the first of equal
    /// ones. i64.
    #[track_caller]
    pub fn cum_argmax(&self, axis: impl AxisIndex) -> Tensor {
        match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => push(CumArgMax { axis, last: false }, &[self]),
            Err(message) => fail("cum_argmax", &[self], message),
        }
    }

    /// The position of the smallest of all elements up to each along an axis: the first of equal
    /// ones. i64.
    #[track_caller]
    pub fn cum_argmin(&self, axis: impl AxisIndex) -> Tensor {
        match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => push(CumArgMin { axis, last: false }, &[self]),
            Err(message) => fail("cum_argmin", &[self], message),
        }
    }

    /// As [`cum_argmax`](Tensor::cum_argmax), with the last of equal elements.
    #[track_caller]
    pub fn cum_argmax_last(&self, axis: impl AxisIndex) -> Tensor {
        match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => push(CumArgMax { axis, last: true }, &[self]),
            Err(message) => fail("cum_argmax_last", &[self], message),
        }
    }

    /// As [`cum_argmin`](Tensor::cum_argmin), with the last of equal elements.
    #[track_caller]
    pub fn cum_argmin_last(&self, axis: impl AxisIndex) -> Tensor {
        match axis_index(axis.to_i64(), self.rank()) {
            Ok(axis) => push(CumArgMin { axis, last: true }, &[self]),
            Err(message) => fail("cum_argmin_last", &[self], message),
        }
    }
}

/// How a quantile is read off that falls between two elements (NumPy's `method`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Interpolation {
    /// On the straight line between them.
    #[default]
    Linear,
    /// The lower one.
    Lower,
    /// The higher one.
    Higher,
    /// Their mean.
    Midpoint,
    /// The nearer one; of two as near the one with the even position.
    Nearest,
}

/// Medians and quantiles.
impl Tensor {
    /// The median over axes: the mean of the two elements in the middle where their number is even.
    /// NaN where any element is NaN.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let x = [4.0, 1.0, 3.0, 9.0];
    /// assert_eq!(Tensor::from(x).median(..).item::<f64>()?, 3.5);
    /// let g = grad(|x: &Tensor| x.median(..)).call((x.into(),))?;
    /// assert_eq!(g, [0.5, 0.0, 0.5, 0.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn median(&self, axes: impl Axes) -> Tensor {
        self.quantiles(
            "median",
            OperandValue::Scalar(0.5.into()),
            axes,
            Interpolation::Linear,
            false,
        )
    }

    /// The median over axes of the elements that are not NaN; NaN where there are none.
    #[track_caller]
    pub fn nanmedian(&self, axes: impl Axes) -> Tensor {
        self.quantiles(
            "nanmedian",
            OperandValue::Scalar(0.5.into()),
            axes,
            Interpolation::Linear,
            true,
        )
    }

    /// The quantiles over axes: element `q * (n - 1)` of the n sorted ones. The axes of `q` come
    /// first in the result. NaN where any element is NaN, and for `q` outside of 0 to 1.
    ///
    /// ```
    /// use cotangent::{Interpolation, Tensor};
    /// let x = Tensor::from([0.0, 10.0, 30.0]);
    /// let q = Tensor::from([0.25, 1.0]);
    /// assert_eq!(x.quantile(&q, .., Interpolation::Linear).to_array()?, [5.0, 30.0].into());
    /// assert_eq!(x.quantile(0.25, .., Interpolation::Lower).item::<f64>()?, 0.0);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn quantile(&self, q: impl Operand, axes: impl Axes, how: Interpolation) -> Tensor {
        self.quantiles("quantile", q.operand(), axes, how, false)
    }

    /// The quantiles over axes of the elements that are not NaN; NaN where there are none. See
    /// [`quantile`](Tensor::quantile).
    #[track_caller]
    pub fn nanquantile(&self, q: impl Operand, axes: impl Axes, how: Interpolation) -> Tensor {
        self.quantiles("nanquantile", q.operand(), axes, how, true)
    }

    /// The percentiles over axes: the [`quantile`](Tensor::quantile) of `q / 100`.
    ///
    /// ```
    /// use cotangent::{Interpolation, Tensor};
    /// let x = Tensor::from([0.0, 10.0, 30.0]);
    /// assert_eq!(x.percentile(25, .., Interpolation::Linear).item::<f64>()?, 5.0);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn percentile(&self, q: impl Operand, axes: impl Axes, how: Interpolation) -> Tensor {
        self.percentiles("percentile", q.operand(), axes, how, false)
    }

    /// The percentiles over axes of the elements that are not NaN; NaN where there are none. See
    /// [`percentile`](Tensor::percentile).
    #[track_caller]
    pub fn nanpercentile(&self, q: impl Operand, axes: impl Axes, how: Interpolation) -> Tensor {
        self.percentiles("nanpercentile", q.operand(), axes, how, true)
    }

    #[track_caller]
    fn percentiles(
        &self,
        name: &str,
        q: OperandValue,
        axes: impl Axes,
        how: Interpolation,
        skip_nan: bool,
    ) -> Tensor {
        if let Err(failed) = self.expect_float(name) {
            return failed;
        }
        let q = match numbered(name, [OperandValue::Tensor(self.clone()), q]) {
            Ok([x, q]) => match one_dtype(name, &[&x, &q]) {
                Ok(()) => q / 100.0,
                Err(failed) => return failed,
            },
            Err(failed) => return failed,
        };
        self.quantiles(name, OperandValue::Tensor(q), axes, how, skip_nan)
    }

    #[track_caller]
    fn quantiles(
        &self,
        name: &str,
        q: OperandValue,
        axes: impl Axes,
        how: Interpolation,
        skip_nan: bool,
    ) -> Tensor {
        if let Err(failed) = self.expect_float(name) {
            return failed;
        }
        let set = match self.resolve(name, axes) {
            Ok(set) => set,
            Err(failed) => return failed,
        };
        let (x, q) = match numbered(name, [OperandValue::Tensor(self.clone()), q]) {
            Ok([x, q]) => (x, q),
            Err(failed) => return failed,
        };
        if let Err(failed) = one_dtype(name, &[&x, &q]) {
            return failed;
        }
        if x.count(&set.axes) == 0 {
            return fail(
                name,
                &[self],
                "expected at least one element along the axes",
            );
        }
        let lines = x.lines(&set);
        let n = lines.dim(-1);
        let last = (n - 1) as f64;
        let sorted = lines.sort(-1);
        let nan = lines.is_nan();
        let points = q.ravel();
        let position = if skip_nan {
            let count = nan.logical_not().convert(x.dtype()).sum(super::keep(-1));
            points * (count - 1.0).maximum(0.0)
        } else {
            points * last
        };
        // Which elements are read does not vary; only how they are weighted does.
        let at = position.stop_gradient();
        let found = match how {
            Interpolation::Lower => sorted.element(at.floor(), skip_nan),
            Interpolation::Higher => sorted.element(at.ceil(), skip_nan),
            Interpolation::Nearest => sorted.element(at.round(), skip_nan),
            Interpolation::Midpoint | Interpolation::Linear => {
                let weight = match how {
                    Interpolation::Linear => &position - at.floor(),
                    _ => at.full_like(0.5),
                };
                let low = sorted.element(at.floor(), skip_nan);
                let high = sorted.element(at.ceil(), skip_nan);
                // Two equal infinities have no difference; the lower place takes the derivative.
                let same = low.is_inf() & low.equal(&high);
                let gap = same.select(0.0, high - &low);
                low + weight * gap
            }
        };
        let outside = (q.less(0.0) | q.greater(1.0) | q.is_nan()).ravel();
        let wrong = if skip_nan {
            outside
        } else {
            outside | nan.any(super::keep(-1))
        };
        let found = wrong.select(f64::NAN, found);
        let shape: Shape = q
            .shape()
            .iter()
            .chain(self.reduced(&set).iter())
            .copied()
            .collect();
        found.moveaxis(-1, 0).reshape_to(&shape)
    }

    /// The elements along the last axis at whole places given as floats: at the same ones on every
    /// line, or, for `each`, at places of its own.
    #[track_caller]
    fn element(&self, place: Tensor, each: bool) -> Tensor {
        let last = self.dim(-1).saturating_sub(1) as f64;
        let place = place.clamp(0.0, last).convert(DType::I64);
        if each {
            self.take_along_axis(place, -1)
        } else {
            self.take(place, -1)
        }
    }

    /// The elements along axes in one last axis, behind the others.
    #[track_caller]
    fn lines(&self, set: &AxisSet) -> Tensor {
        let others = (0..self.rank()).filter(|a| !set.axes.contains(a));
        let order: Vec<usize> = others.clone().chain(set.axes.clone()).collect();
        let shape: Shape = others
            .map(|a| self.dim(a))
            .chain([self.count(&set.axes)])
            .collect();
        self.permute(order).reshape_to(&shape)
    }
}
