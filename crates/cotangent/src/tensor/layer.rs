//! Convolution, pooling and normalisation.

use cotangent_graph::ops::{Conv, WindowMax, WindowSum};

use super::{Axes, Integers, Tensor, fail, keep, push};
use crate::{DType, Scalar};

/// How a convolution steps; a list with one entry holds for every spatial axis, and an empty one
/// stands for the default.
///
/// ```
/// use cotangent::{ConvOptions, Padding};
/// let options = ConvOptions::default().stride([2]).padding(Padding::Same);
/// assert_eq!(options.stride, [2]);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConvOptions {
    /// Steps from one output to the next; 1.
    pub stride: Vec<usize>,
    /// Zeros around the input; none.
    pub padding: Padding,
    /// Steps between elements of the kernel; 1.
    pub dilation: Vec<usize>,
    /// Groups of channels that see only each other; 1.
    pub groups: usize,
    /// Elements added at the end of the result of a transposed convolution; 0.
    pub output_padding: Vec<usize>,
}

impl Default for ConvOptions {
    fn default() -> Self {
        ConvOptions {
            stride: Vec::new(),
            padding: Padding::Valid,
            dilation: Vec::new(),
            groups: 1,
            output_padding: Vec::new(),
        }
    }
}

impl ConvOptions {
    /// With this stride.
    pub fn stride(self, stride: impl Into<Vec<usize>>) -> Self {
        ConvOptions {
            stride: stride.into(),
            ..self
        }
    }

    /// With this padding.
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        ConvOptions {
            padding: padding.into(),
            ..self
        }
    }

    /// With this dilation.
    pub fn dilation(self, dilation: impl Into<Vec<usize>>) -> Self {
        ConvOptions {
            dilation: dilation.into(),
            ..self
        }
    }

    /// With this number of groups.
    pub fn groups(self, groups: usize) -> Self {
        ConvOptions { groups, ..self }
    }

    /// With this output padding.
    pub fn output_padding(self, output_padding: impl Into<Vec<usize>>) -> Self {
        ConvOptions {
            output_padding: output_padding.into(),
            ..self
        }
    }
}

/// What stands around the spatial axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Padding {
    /// Nothing.
    Valid,
    /// As much as makes the result ceil(length / stride) long; an odd element goes to the end.
    Same,
    /// So much before and after each axis; one pair holds for all.
    Explicit(Vec<(usize, usize)>),
}

impl From<usize> for Padding {
    /// The same on both sides of every axis.
    fn from(width: usize) -> Padding {
        Padding::Explicit(vec![(width, width)])
    }
}

impl<const N: usize> From<[usize; N]> for Padding {
    /// The same on both sides of each axis.
    fn from(widths: [usize; N]) -> Padding {
        Padding::from(&widths[..])
    }
}

impl From<&[usize]> for Padding {
    /// The same on both sides of each axis.
    fn from(widths: &[usize]) -> Padding {
        Padding::Explicit(widths.iter().map(|w| (*w, *w)).collect())
    }
}

impl<const N: usize> From<[(usize, usize); N]> for Padding {
    fn from(widths: [(usize, usize); N]) -> Padding {
        Padding::Explicit(widths.to_vec())
    }
}

/// How pooling steps; a list with one entry holds for every axis, and an empty one stands for the
/// default.
#[derive(Clone, PartialEq, Debug)]
pub struct PoolOptions {
    /// Steps from one window to the next; the window's length.
    pub stride: Vec<usize>,
    /// What stands around the input; nothing. It never wins a maximum.
    pub padding: Padding,
    /// Steps between elements of a window; 1.
    pub dilation: Vec<usize>,
    /// Whether windows that stick out at the end count, too.
    pub ceil: bool,
    /// Whether means count padding as zeros (so divide by the window's size) or leave it out.
    pub count_include_pad: bool,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions {
            stride: Vec::new(),
            padding: Padding::Valid,
            dilation: Vec::new(),
            ceil: false,
            count_include_pad: true,
        }
    }
}

impl PoolOptions {
    /// With this stride.
    pub fn stride(self, stride: impl Into<Vec<usize>>) -> Self {
        PoolOptions {
            stride: stride.into(),
            ..self
        }
    }

    /// With this padding.
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        PoolOptions {
            padding: padding.into(),
            ..self
        }
    }

    /// With this dilation.
    pub fn dilation(self, dilation: impl Into<Vec<usize>>) -> Self {
        PoolOptions {
            dilation: dilation.into(),
            ..self
        }
    }

    /// Whether windows that stick out at the end count, too.
    pub fn ceil(self, ceil: bool) -> Self {
        PoolOptions { ceil, ..self }
    }

    /// Whether means count padding as zeros.
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        PoolOptions {
            count_include_pad,
            ..self
        }
    }
}

/// Convolution and pooling.
impl Tensor {
    /// Convolution as neural networks have it (cross-correlation) of [N, C, spatial..], or of one
    /// example [C, spatial..], with a kernel [O, C / groups, spatial..]: [N, O, spatial..].
    ///
    /// ```
    /// use cotangent::{ConvOptions, Tensor};
    /// let x = Tensor::from([[[1.0, 2.0, 3.0, 4.0]]]);
    /// let kernel = Tensor::from([[[1.0, 10.0]]]);
    /// let y = x.conv(&kernel, &ConvOptions::default());
    /// assert_eq!(y.to_array()?, [[[21.0, 32.0, 43.0]]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn conv(&self, kernel: &Tensor, options: &ConvOptions) -> Tensor {
        if self.rank() + 1 == kernel.rank() {
            return self.expand_dims(0).conv(kernel, options).squeeze(0);
        }
        match self.conv_op(kernel, options) {
            Ok(op) => push(op, &[self, kernel]),
            Err(message) => fail("conv", &[self, kernel], message),
        }
    }

    fn conv_op(&self, kernel: &Tensor, options: &ConvOptions) -> Result<Conv, String> {
        let axes = spatial(self, kernel)?;
        let stride = each("stride", &options.stride, axes, 1)?;
        let dilation = each("dilation", &options.dilation, axes, 1)?;
        let window = &kernel.shape()[2..];
        let padding = options
            .padding
            .resolve(&self.shape()[2..], window, &stride, &dilation)?;
        let padding = padding
            .into_iter()
            .map(|(a, b)| Ok((signed(a)?, signed(b)?)));
        let padding = padding.collect::<Result<Vec<_>, String>>()?;
        let input_dilation = vec![1; axes];
        Ok(Conv {
            stride,
            padding,
            dilation,
            input_dilation,
            groups: options.groups,
        })
    }

    /// The transpose of a convolution: from [N, C, spatial..], or one example, with a kernel
    /// [C, O / groups, spatial..] to [N, O, spatial..], longer by the stride.
    #[track_caller]
    pub fn conv_transpose(&self, kernel: &Tensor, options: &ConvOptions) -> Tensor {
        if self.rank() + 1 == kernel.rank() {
            return self
                .expand_dims(0)
                .conv_transpose(kernel, options)
                .squeeze(0);
        }
        let op = match self.conv_transpose_op(kernel, options) {
            Ok(op) => op,
            Err(message) => return fail("conv_transpose", &[self, kernel], message),
        };
        // [C, O / G, spatial..] becomes [O, C / G, spatial..], and the kernel runs backwards.
        let (g, c, o) = (op.groups, kernel.dim(0), kernel.dim(1));
        let space = &kernel.shape()[2..];
        let split: Vec<usize> = [g, c / g, o].iter().chain(space).copied().collect();
        let joined: Vec<usize> = [g.saturating_mul(o), c / g]
            .iter()
            .chain(space)
            .copied()
            .collect();
        let spatial: Vec<usize> = (2..kernel.rank()).collect();
        let kernel = kernel
            .reshape_to(&split.into())
            .swapaxes(1, 2)
            .reshape_to(&joined.into())
            .flip(spatial);
        push(op, &[self, &kernel])
    }

    fn conv_transpose_op(&self, kernel: &Tensor, options: &ConvOptions) -> Result<Conv, String> {
        let axes = spatial(self, kernel)?;
        let stride = each("stride", &options.stride, axes, 1)?;
        let dilation = each("dilation", &options.dilation, axes, 1)?;
        let extra = each("output padding", &options.output_padding, axes, 0)?;
        let groups = options.groups;
        if groups == 0 || !kernel.dim(0).is_multiple_of(groups) {
            return Err(format!(
                "expected groups to divide {} channels, found {groups}",
                kernel.dim(0)
            ));
        }
        let window = &kernel.shape()[2..];
        let cropped = match &options.padding {
            Padding::Same => return Err("expected a padding in numbers, found `Same`".to_owned()),
            other => other.resolve(&self.shape()[2..], window, &stride, &dilation)?,
        };
        let mut padding = Vec::with_capacity(axes);
        for (((k, d), (low, high)), extra) in window.iter().zip(&dilation).zip(cropped).zip(extra) {
            let reach = signed(k.saturating_sub(1).saturating_mul(*d))?;
            let end = (reach - signed(high)?).checked_add(signed(extra)?);
            padding.push((reach - signed(low)?, end.ok_or("the padding is too large")?));
        }
        Ok(Conv {
            stride: vec![1; axes],
            padding,
            dilation,
            input_dilation: stride,
            groups,
        })
    }

    /// The largest element of each window along the last axes, as many as `window` has lengths.
    ///
    /// ```
    /// use cotangent::{PoolOptions, Tensor};
    /// let x = Tensor::from([1.0, 5.0, 2.0, 3.0]);
    /// assert_eq!(x.max_pool([2], &PoolOptions::default()).to_array()?, [5.0, 3.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool(&self, window: impl Integers, options: &PoolOptions) -> Tensor {
        match self.pooling(&window.integers(), options) {
            Ok(p) => {
                let padding = p.full_padding();
                let op = WindowMax {
                    window: p.window,
                    stride: p.stride,
                    padding,
                    dilation: p.dilation,
                };
                push(op, &[self])
            }
            Err(message) => fail("max_pool", &[self], message),
        }
    }

    /// The sum of each window along the last axes.
    #[track_caller]
    pub fn sum_pool(&self, window: impl Integers, options: &PoolOptions) -> Tensor {
        match self.pooling(&window.integers(), options) {
            Ok(p) => {
                let padding = p.full_padding();
                push(p.sum(padding), &[self])
            }
            Err(message) => fail("sum_pool", &[self], message),
        }
    }

    /// The mean of each window along the last axes.
    #[track_caller]
    pub fn avg_pool(&self, window: impl Integers, options: &PoolOptions) -> Tensor {
        if let Err(failed) = self.expect_float("avg_pool") {
            return failed;
        }
        let p = match self.pooling(&window.integers(), options) {
            Ok(p) => p,
            Err(message) => return fail("avg_pool", &[self], message),
        };
        let sum = push(p.sum(p.full_padding()), &[self]);
        let lead = self.rank() - p.window.len();
        let size = p.window.iter().fold(1usize, |n, w| n.saturating_mul(*w));
        let padded = p.padding.iter().any(|w| *w != (0, 0));
        let sticks_out = p.extra.iter().any(|e| *e > 0);
        if !sticks_out && (options.count_include_pad || !padded) {
            return sum / size as f64;
        }
        // Windows differ in how many elements count: the sum over ones says how many.
        let space = &self.shape()[lead..];
        let (counted, around): (Vec<usize>, Vec<(usize, usize)>) = if options.count_include_pad {
            let whole = space.iter().zip(&p.padding);
            let whole = whole.map(|(n, (a, b))| n.saturating_add(*a).saturating_add(*b));
            (whole.collect(), p.extra.iter().map(|e| (0, *e)).collect())
        } else {
            (space.to_vec(), p.full_padding())
        };
        let ones = Tensor::full(counted, Scalar::one(self.dtype()));
        sum / push(p.sum(around), &[&ones])
    }

    fn pooling(&self, window: &[i64], options: &PoolOptions) -> Result<Pooling, String> {
        let window: Vec<usize> = window
            .iter()
            .map(|w| match usize::try_from(*w) {
                Ok(w) if w > 0 => Ok(w),
                _ => Err(format!("expected a window of length 1 or more, found {w}")),
            })
            .collect::<Result<_, _>>()?;
        let axes = window.len();
        let Some(lead) = self.rank().checked_sub(axes) else {
            return Err(format!(
                "expected at most {} window lengths, found {axes}",
                self.rank()
            ));
        };
        let space = &self.shape()[lead..];
        let stride = match &options.stride[..] {
            [] => window.clone(),
            given => each("stride", given, axes, 1)?,
        };
        let dilation = each("dilation", &options.dilation, axes, 1)?;
        let padding = options
            .padding
            .resolve(space, &window, &stride, &dilation)?;
        let mut extra = vec![0; axes];
        if options.ceil {
            for a in 0..axes {
                let reach = dilation[a].saturating_mul(window[a] - 1).saturating_add(1);
                let (low, high) = padding[a];
                let whole = space[a].saturating_add(low).saturating_add(high);
                let Some(room) = whole.checked_sub(reach) else {
                    // One window counts that sticks out by less than a step.
                    let missing = reach - whole;
                    if missing < stride[a] {
                        extra[a] = missing;
                    }
                    continue;
                };
                let mut last = room.div_ceil(stride[a].max(1));
                // A window must begin inside the input or the padding before it.
                if last.saturating_mul(stride[a]) >= space[a].saturating_add(low) {
                    last = last.saturating_sub(1);
                }
                extra[a] = last.saturating_mul(stride[a]).saturating_sub(room);
            }
        }
        Ok(Pooling {
            window,
            stride,
            padding,
            dilation,
            extra,
        })
    }
}

/// How windows lie, checked and with an entry for each axis.
struct Pooling {
    window: Vec<usize>,
    stride: Vec<usize>,
    padding: Vec<(usize, usize)>,
    dilation: Vec<usize>,
    /// How far the last window sticks out beyond the padding.
    extra: Vec<usize>,
}

impl Pooling {
    fn full_padding(&self) -> Vec<(usize, usize)> {
        self.padding
            .iter()
            .zip(&self.extra)
            .map(|((a, b), e)| (*a, b.saturating_add(*e)))
            .collect()
    }

    fn sum(&self, padding: Vec<(usize, usize)>) -> WindowSum {
        let (window, stride) = (self.window.clone(), self.stride.clone());
        WindowSum {
            window,
            stride,
            padding,
            dilation: self.dilation.clone(),
        }
    }
}

impl Padding {
    /// The widths for each axis.
    fn resolve(
        &self,
        space: &[usize],
        window: &[usize],
        stride: &[usize],
        dilation: &[usize],
    ) -> Result<Vec<(usize, usize)>, String> {
        let axes = window.len();
        match self {
            Padding::Valid => Ok(vec![(0, 0); axes]),
            Padding::Explicit(list) => each("padding", list, axes, (0, 0)),
            Padding::Same => Ok(space
                .iter()
                .zip(window)
                .zip(stride.iter().zip(dilation))
                .map(|((n, k), (s, d))| {
                    let steps = n.div_ceil((*s).max(1)).saturating_sub(1).saturating_mul(*s);
                    let reach = k.saturating_sub(1).saturating_mul(*d).saturating_add(1);
                    let total = steps.saturating_add(reach).saturating_sub(*n);
                    (total / 2, total - total / 2)
                })
                .collect()),
        }
    }
}

/// Normalisation.
impl Tensor {
    /// (x - mean) / sqrt(variance + `epsilon`) over axes, for each place beside them (Ba et al.
    /// 2016). Scale and shift are for the caller to apply.
    #[track_caller]
    pub fn layer_norm(&self, axes: impl Axes, epsilon: f64) -> Tensor {
        match self.resolve("layer_norm", axes) {
            Ok(set) => self.standardized(set.axes, epsilon).0,
            Err(failed) => failed,
        }
    }

    /// x / sqrt(mean(x^2) + `epsilon`) over axes (Zhang and Sennrich 2019).
    #[track_caller]
    pub fn rms_norm(&self, axes: impl Axes, epsilon: f64) -> Tensor {
        match self.resolve("rms_norm", axes) {
            Ok(set) => self * (self.square().mean(keep(set.axes)) + epsilon).rsqrt(),
            Err(failed) => failed,
        }
    }

    /// Normalisation of [N, C, ..] over each group of neighbouring channels of an example (Wu and
    /// He 2018). With as many groups as channels this is instance normalisation.
    #[track_caller]
    pub fn group_norm(&self, groups: usize, epsilon: f64) -> Tensor {
        let c = self.dim(1);
        if self.rank() < 2 || groups == 0 || !c.is_multiple_of(groups) {
            let message =
                format!("expected [N, C, ..] and groups that divide C, found {groups} groups");
            return fail("group_norm", &[self], message);
        }
        let rest = self.shape()[2..].iter().copied();
        let shape = [self.dim(0), groups, c / groups]
            .into_iter()
            .chain(rest)
            .collect();
        let split = self.reshape_to(&shape);
        let axes: Vec<usize> = (2..split.rank()).collect();
        split.standardized(axes, epsilon).0.reshape_to(self.shape())
    }

    /// Normalisation of [N, C, ..] over everything but the channels by the statistics of this very
    /// batch, for training (Ioffe and Szegedy 2015): the result, the means `[C]` and the variances
    /// `[C]`, from which the caller keeps running ones.
    #[track_caller]
    pub fn batch_norm(&self, epsilon: f64) -> (Tensor, Tensor, Tensor) {
        if self.rank() < 2 {
            let failed = fail("batch_norm", &[self], "expected [N, C, ..]");
            return (failed.clone(), failed.clone(), failed);
        }
        let axes: Vec<usize> = (0..self.rank()).filter(|a| *a != 1).collect();
        let (y, mean, var) = self.standardized(axes, epsilon);
        (y, mean.ravel(), var.ravel())
    }

    /// Normalisation of [N, C, ..] by given means `[C]` and variances `[C]`, for use after training.
    #[track_caller]
    pub fn batch_norm_with(&self, mean: &Tensor, var: &Tensor, epsilon: f64) -> Tensor {
        let c = [self.dim(1)];
        if self.rank() < 2 || *mean.shape() != c || *var.shape() != c {
            let message = "expected [N, C, ..], means [C] and variances [C]";
            return fail("batch_norm_with", &[self, mean, var], message);
        }
        let along: Vec<usize> = (0..self.rank())
            .map(|a| if a == 1 { c[0] } else { 1 })
            .collect();
        let along = along.into();
        (self - mean.reshape_to(&along)) * (var.reshape_to(&along) + epsilon).rsqrt()
    }

    /// The normalised tensor, and the mean and the variance, which keep their axes.
    #[track_caller]
    fn standardized(&self, axes: Vec<usize>, epsilon: f64) -> (Tensor, Tensor, Tensor) {
        let mean = self.mean(keep(&axes));
        let d = self - &mean;
        let var = d.square().mean(keep(&axes));
        (d * (&var + epsilon).rsqrt(), mean, var)
    }

    /// Each element 0 with probability `rate`, the others divided by 1 - `rate`.
    ///
    /// ```
    /// use cotangent::{DType, Key, Tensor};
    /// let x = Tensor::ones([1000], DType::F64);
    /// let mean = x.dropout(&Key::new(0), 0.5).mean(..).item::<f64>()?;
    /// assert!((mean - 1.0).abs() < 0.1);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn dropout(&self, key: &super::Key, rate: f64) -> Tensor {
        if !(0.0..1.0).contains(&rate) {
            let message = format!("expected a rate of at least 0 and below 1, found {rate}");
            return fail("dropout", &[self], message);
        }
        let kept = super::uniform(key, self.shape(), DType::F32).greater_equal(rate);
        kept.select(self / (1.0 - rate), self.zeros_like())
    }
}

/// The number of spatial axes.
fn spatial(x: &Tensor, kernel: &Tensor) -> Result<usize, String> {
    match kernel.rank().checked_sub(2) {
        Some(axes) if x.rank() == kernel.rank() => Ok(axes),
        _ => Err("expected an input [N, C, spatial..] and a kernel of the same rank".to_owned()),
    }
}

/// An entry for each axis from a list with one for each, one for all or none.
fn each<T: Copy>(what: &str, list: &[T], axes: usize, default: T) -> Result<Vec<T>, String> {
    match list {
        [] => Ok(vec![default; axes]),
        [one] => Ok(vec![*one; axes]),
        list if list.len() == axes => Ok(list.to_vec()),
        list => Err(format!(
            "expected a {what} for each of {axes} axes, found {}",
            list.len()
        )),
    }
}

fn signed(width: usize) -> Result<i64, String> {
    i64::try_from(width)
        .ok()
        .filter(|w| *w < i64::MAX / 4)
        .ok_or_else(|| format!("a width of {width} is too large"))
}
