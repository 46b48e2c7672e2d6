//! Reductions, cumulative operations and what is composed of them.

use cotangent_graph::Op;
use cotangent_graph::ops::{
    All, Any, ArgMax, ArgMin, CumProd, CumSum, Max, Min, Norm, Prod, Recurrence, Sum,
};

use super::{Axes, AxisIndex, AxisSet, Operand, OperandValue, Tensor, axes, fail, operand, push};
use crate::Shape;

macro_rules! reductions {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        /// Reductions: `..` takes all axes, [`keep`](crate::keep) keeps them with length 1.
        impl Tensor {
            $($(#[$meta])* #[track_caller] pub fn $name(&self, axes: impl Axes) -> Tensor {
                self.reduce(stringify!($name), axes, |axes| $op { axes }.into())
            })*
        }
    };
}

reductions! {
    /// The sum over axes; integers wrap. f32 are added in f64, but where they are computed on the way: then
    /// sixteen at most as f32.
    sum Sum;
    /// The product over axes; its derivative is right with zeros among the factors, too.
    prod Prod;
    /// The largest element over axes; NaN if any is NaN. Elements that tie share the derivative.
    #[doc(alias = "amax")]
    max Max;
    /// The smallest element over axes; NaN if any is NaN. Elements that tie share the derivative.
    #[doc(alias = "amin")]
    min Min;
    /// Whether any of the bools is true.
    any Any;
    /// Whether all of the bools are true.
    all All;
}

/// Means and norms.
impl Tensor {
    /// The mean over axes of a float or complex tensor; NaN over no elements.
    #[track_caller]
    pub fn mean(&self, axes: impl Axes) -> Tensor {
        if let Err(failed) = self.expect_inexact("mean") {
            return failed;
        }
        match self.resolve("mean", axes) {
            Ok(set) => {
                let count = self.count(&set.axes) as f64;
                self.sum_set(&set) / count
            }
            Err(failed) => failed,
        }
    }

    /// The variance over axes: the mean of squared deviations from the mean.
    #[track_caller]
    pub fn var(&self, axes: impl Axes) -> Tensor {
        self.var_ddof(axes, 0)
    }

    /// The variance over axes with `ddof` taken from the number of elements to divide by: 1 for an
    /// unbiased estimate.
    #[track_caller]
    pub fn var_ddof(&self, axes: impl Axes, ddof: usize) -> Tensor {
        match self.deviations("var", axes) {
            Ok((d, set)) => {
                let divisor = self.count(&set.axes) as f64 - ddof as f64;
                (&d * &d).sum_set(&set) / divisor.max(0.0)
            }
            Err(failed) => failed,
        }
    }

    /// The standard deviation over axes. Its derivative is 0 where all elements are equal.
    #[track_caller]
    pub fn std(&self, axes: impl Axes) -> Tensor {
        self.std_ddof(axes, 0)
    }

    /// The square root of [`var_ddof`](Tensor::var_ddof).
    #[track_caller]
    pub fn std_ddof(&self, axes: impl Axes, ddof: usize) -> Tensor {
        match self.deviations("std", axes) {
            Ok((d, set)) => {
                let divisor = self.count(&set.axes) as f64 - ddof as f64;
                // A norm has a derivative at 0, the square root of a sum has not.
                d.norm_set(&set) / divisor.max(0.0).sqrt()
            }
            Err(failed) => failed,
        }
    }

    /// The Euclidean norm over axes, without overflow; of complex numbers that of their absolute values.
    /// Its derivative at 0 is 0.
    ///
    /// ```
    /// use cotangent::{Tensor, grad};
    /// let x = Tensor::from([3.0, 4.0]);
    /// assert_eq!(x.norm(..).item::<f64>()?, 5.0);
    /// let g = grad(|x: &Tensor| x.norm(..)).call(([0.0, 0.0].into(),))?;
    /// assert_eq!(g, [0.0, 0.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn norm(&self, axes: impl Axes) -> Tensor {
        match self.resolve("norm", axes) {
            Ok(set) if self.dtype().is_complex() => self.abs().norm_set(&set),
            Ok(set) => self.norm_set(&set),
            Err(failed) => failed,
        }
    }

    /// The p-norm over axes: (sum |x|^p)^(1/p); the largest |x| for infinite p, the smallest for
    /// minus infinity, the number of elements that are not 0 for p = 0. Its derivative at 0 is 0.
    #[track_caller]
    pub fn norm_p(&self, p: f64, axes: impl Axes) -> Tensor {
        if let Err(failed) = self.expect_float("norm_p") {
            return failed;
        }
        let set = match self.resolve("norm_p", axes) {
            Ok(set) => set,
            Err(failed) => return failed,
        };
        if p == 2.0 {
            return self.norm_set(&set);
        }
        let size = self.abs();
        if p == 1.0 {
            return size.sum_set(&set);
        }
        if p == f64::INFINITY {
            return size.reduce_set(&set, |axes| Max { axes }.into());
        }
        if p == f64::NEG_INFINITY {
            return size.reduce_set(&set, |axes| Min { axes }.into());
        }
        if p == 0.0 {
            return self.not_equal(0.0).convert(self.dtype()).sum_set(&set);
        }
        // Where all elements are 0 the root has no derivative; the constant arm has the one wanted.
        // For p < 1 an element of 0 has none either.
        let zero = size.equal(0.0);
        let powers = if p < 1.0 {
            zero.select(0.0, zero.select(1.0, size).pow(p))
        } else {
            size.pow(p)
        };
        let sum = powers.sum_set(&set);
        let none = sum.equal(0.0);
        none.select(0.0, none.select(1.0, sum).pow(1.0 / p))
    }

    /// log(sum(exp(x))) over axes, without overflow; -inf where all elements are -inf, and there
    /// the derivative is 0.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Axes) -> Tensor {
        if let Err(failed) = self.expect_float("logsumexp") {
            return failed;
        }
        match self.resolve("logsumexp", axes) {
            Ok(set) => {
                let kept = AxisSet {
                    keep: true,
                    ..set.clone()
                };
                let (shifted, shift) = self.shifted(&kept);
                let sum = shifted.exp().sum_set(&kept);
                let none = sum.equal(0.0);
                let log = none.select(f64::NEG_INFINITY, none.select(1.0, sum).log() + shift);
                log.reshape_to(&self.reduced(&set))
            }
            Err(failed) => failed,
        }
    }

    /// exp(x) divided by its sum over axes, without overflow; 0 where all elements are -inf.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([0.0, f64::NEG_INFINITY]);
    /// assert_eq!(x.softmax(-1).to_array()?, [1.0, 0.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn softmax(&self, axes: impl Axes) -> Tensor {
        if let Err(failed) = self.expect_float("softmax") {
            return failed;
        }
        match self.resolve("softmax", axes) {
            Ok(set) => {
                let kept = AxisSet { keep: true, ..set };
                let powers = self.shifted(&kept).0.exp();
                let sum = powers.sum_set(&kept);
                powers / sum.equal(0.0).select(1.0, &sum)
            }
            Err(failed) => failed,
        }
    }

    /// The logarithm of [`softmax`](Tensor::softmax), with all its digits.
    #[track_caller]
    pub fn log_softmax(&self, axes: impl Axes) -> Tensor {
        if let Err(failed) = self.expect_float("log_softmax") {
            return failed;
        }
        match self.resolve("log_softmax", axes) {
            Ok(set) => {
                let kept = AxisSet { keep: true, ..set };
                let shifted = self.shifted(&kept).0;
                let sum = shifted.exp().sum_set(&kept);
                shifted - sum.equal(0.0).select(1.0, &sum).log()
            }
            Err(failed) => failed,
        }
    }

    /// The position of the largest element along one axis, or in row-major order for `..`; the
    /// first of several, and a NaN wins. i64.
    #[track_caller]
    pub fn argmax(&self, axis: impl Axes) -> Tensor {
        self.position("argmax", axis, |axis| ArgMax { axis }.into())
    }

    /// The position of the smallest element along one axis, or in row-major order for `..`; the
    /// first of several, and a NaN wins. i64.
    #[track_caller]
    pub fn argmin(&self, axis: impl Axes) -> Tensor {
        self.position("argmin", axis, |axis| ArgMin { axis }.into())
    }

    /// Sums of all elements up to each along an axis.
    #[track_caller]
    pub fn cumsum(&self, axis: impl AxisIndex) -> Tensor {
        self.along("cumsum", axis, |axis| {
            CumSum {
                axis,
                reverse: false,
            }
            .into()
        })
    }

    /// Products of all elements up to each along an axis.
    #[track_caller]
    pub fn cumprod(&self, axis: impl AxisIndex) -> Tensor {
        self.along("cumprod", axis, |axis| {
            CumProd {
                axis,
                reverse: false,
            }
            .into()
        })
    }

    /// The linear recurrence h_i = a_i * h_(i-1) + b_i along an axis from h = 0, with this as `a`.
    #[track_caller]
    pub fn recurrence(&self, b: impl Operand, axis: impl AxisIndex) -> Tensor {
        let operands = [OperandValue::Tensor(self.clone()), b.operand()];
        let [a, b] = match operand::together("recurrence", operands) {
            Ok(operands) => operands,
            Err(failed) => return failed,
        };
        match axes::index(axis.to_i64(), a.rank()) {
            Ok(axis) => push(
                Recurrence {
                    axis,
                    reverse: false,
                },
                &[&a, &b],
            ),
            Err(message) => fail("recurrence", &[&a, &b], message),
        }
    }

    /// The sum over axes of the elements that are not NaN.
    #[track_caller]
    pub fn nansum(&self, axes: impl Axes) -> Tensor {
        self.is_nan().select(0, self).sum(axes)
    }

    /// The mean over axes of the elements that are not NaN.
    #[track_caller]
    pub fn nanmean(&self, axes: impl Axes) -> Tensor {
        match self.resolve("nanmean", axes) {
            Ok(set) => {
                let nan = self.is_nan();
                let count = nan.logical_not().convert(self.dtype()).sum_set(&set);
                nan.select(0, self).sum_set(&set) / count
            }
            Err(failed) => failed,
        }
    }

    /// The number of elements over axes that are not 0, or are true. i64.
    #[track_caller]
    pub fn count_nonzero(&self, axes: impl Axes) -> Tensor {
        self.convert(crate::DType::Bool)
            .convert(crate::DType::I64)
            .sum(axes)
    }

    /// Differences of neighbours along an axis, which becomes one shorter.
    #[track_caller]
    pub fn diff(&self, axis: impl AxisIndex) -> Tensor {
        match axes::index(axis.to_i64(), self.rank()) {
            Ok(axis) => {
                let n = self.dim(axis);
                self.cut(axis, n.min(1)..n) - self.cut(axis, 0..n.saturating_sub(1))
            }
            Err(message) => fail("diff", &[self], message),
        }
    }
}

impl Tensor {
    /// The axes, or the recorded error.
    #[track_caller]
    pub(crate) fn resolve(&self, name: &str, axes: impl Axes) -> Result<AxisSet, Tensor> {
        // No closures here or below: `#[track_caller]` does not reach into them.
        match axes.resolve(self.rank()) {
            Ok(set) => Ok(set),
            Err(message) => Err(fail(name, &[self], message)),
        }
    }

    /// The number of elements along axes.
    pub(crate) fn count(&self, axes: &[usize]) -> usize {
        axes.iter()
            .fold(1, |n: usize, a| n.saturating_mul(self.dim(*a)))
    }

    /// The shape after a reduction.
    pub(crate) fn reduced(&self, set: &AxisSet) -> Shape {
        let dims = self.shape().iter().enumerate();
        dims.filter_map(|(a, n)| match (set.axes.contains(&a), set.keep) {
            (false, _) => Some(*n),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
    }

    #[track_caller]
    fn reduce(&self, name: &str, axes: impl Axes, op: impl FnOnce(Vec<usize>) -> Op) -> Tensor {
        match self.resolve(name, axes) {
            Ok(set) => self.reduce_set(&set, op),
            Err(failed) => failed,
        }
    }

    #[track_caller]
    pub(crate) fn reduce_set(&self, set: &AxisSet, op: impl FnOnce(Vec<usize>) -> Op) -> Tensor {
        if set.axes.is_empty() {
            return self.clone();
        }
        let reduced = push(op(set.axes.clone()), &[self]);
        if set.keep {
            reduced.reshape_to(&self.reduced(set))
        } else {
            reduced
        }
    }

    #[track_caller]
    pub(crate) fn sum_set(&self, set: &AxisSet) -> Tensor {
        self.reduce_set(set, |axes| Sum { axes }.into())
    }

    #[track_caller]
    fn norm_set(&self, set: &AxisSet) -> Tensor {
        if set.axes.is_empty() {
            return self.abs();
        }
        self.reduce_set(set, |axes| Norm { axes }.into())
    }

    /// The deviations from the mean over axes, and the axes.
    #[track_caller]
    fn deviations(&self, name: &str, axes: impl Axes) -> Result<(Tensor, AxisSet), Tensor> {
        self.expect_float(name)?;
        let set = self.resolve(name, axes)?;
        let kept = AxisSet {
            keep: true,
            ..set.clone()
        };
        let mean = self.sum_set(&kept) / self.count(&set.axes) as f64;
        Ok((self - mean, set))
    }

    /// This minus its largest element over axes, and that element; 0 in its place where it is
    /// infinite. It only guards against overflow, so no derivative passes through it.
    #[track_caller]
    fn shifted(&self, kept: &AxisSet) -> (Tensor, Tensor) {
        if self.count(&kept.axes) == 0 {
            let zero = Tensor::zeros(self.reduced(kept), self.dtype());
            return (self.clone(), zero);
        }
        let largest = self
            .stop_gradient()
            .reduce_set(kept, |axes| Max { axes }.into());
        let largest = largest.is_finite().select(&largest, 0.0);
        (self - &largest, largest)
    }

    #[track_caller]
    fn position(&self, name: &str, axis: impl Axes, op: impl FnOnce(usize) -> Op) -> Tensor {
        let set = match self.resolve(name, axis) {
            Ok(set) => set,
            Err(failed) => return failed,
        };
        let found = match &set.axes[..] {
            [axis] => push(op(*axis), &[self]),
            all if all.len() == self.rank() => push(op(0), &[&self.ravel()]),
            some => {
                let message = format!("expected one axis or all, found {some:?}");
                return fail(name, &[self], message);
            }
        };
        found.reshape_to(&self.reduced(&set))
    }

    #[track_caller]
    fn along(&self, name: &str, axis: impl AxisIndex, op: impl FnOnce(usize) -> Op) -> Tensor {
        match axes::index(axis.to_i64(), self.rank()) {
            Ok(axis) => push(op(axis), &[self]),
            Err(message) => fail(name, &[self], message),
        }
    }
}
