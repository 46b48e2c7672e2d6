//! Discrete Fourier transforms under NumPy's names.

use std::borrow::Cow;

use cotangent_graph::ops::{Fft, Irfft, Rfft};

use super::axes::{index, ordered};
use super::{AxisIndex, Integers, PadMode, Tensor, fail, push, scatter_add};
use crate::{Array, DType, Scalar};

/// By which numbers Fourier transforms of n entries are scaled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FftNorm {
    /// Inverse transforms by 1/n.
    #[default]
    Backward,
    /// All by 1/sqrt(n), so that they keep lengths of vectors.
    Ortho,
    /// Forward transforms by 1/n.
    Forward,
}

impl FftNorm {
    fn scale(self, inverse: bool, n: usize) -> f64 {
        match (self, inverse) {
            (FftNorm::Ortho, _) => 1.0 / (n as f64).sqrt(),
            (FftNorm::Backward, true) | (FftNorm::Forward, false) => 1.0 / n as f64,
            _ => 1.0,
        }
    }

    fn turned(self) -> FftNorm {
        match self {
            FftNorm::Backward => FftNorm::Forward,
            FftNorm::Ortho => FftNorm::Ortho,
            FftNorm::Forward => FftNorm::Backward,
        }
    }
}

/// Fourier transforms: X_k = sum over j of x_j exp(-2 pi i j k / n).
///
/// All follow NumPy. A length `n` that is given crops the axis or fills it up with zeros at its end; without
/// one the axis stays as long as it is. Real tensors count as complex ones with imaginary part 0, except
/// where a transform is of real numbers. Integers are errors: convert them. They are linear, and have
/// derivatives of every order.
///
/// ```
/// use cotangent::{FftNorm, Tensor, fftfreq};
/// let x = Tensor::from([1.0, 0.0, -1.0, 0.0]);
/// let power = x.fft(None, -1, FftNorm::Backward).abs();
/// assert_eq!(power.to_array()?, [0.0, 2.0, 0.0, 2.0].into());
/// assert_eq!(fftfreq(4, 1.0, power.dtype()).to_array()?, [0.0, 0.25, -0.5, -0.25].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
impl Tensor {
    /// The Fourier transform along an axis.
    #[track_caller]
    pub fn fft(&self, n: impl Into<Option<usize>>, axis: impl AxisIndex, norm: FftNorm) -> Tensor {
        self.one_complex("fft", n.into(), axis, false, norm)
    }

    /// The inverse Fourier transform along an axis.
    #[track_caller]
    pub fn ifft(&self, n: impl Into<Option<usize>>, axis: impl AxisIndex, norm: FftNorm) -> Tensor {
        self.one_complex("ifft", n.into(), axis, true, norm)
    }

    /// The Fourier transform of real numbers along an axis: its first n / 2 + 1 entries, of which the others
    /// are conjugates.
    #[track_caller]
    pub fn rfft(&self, n: impl Into<Option<usize>>, axis: impl AxisIndex, norm: FftNorm) -> Tensor {
        match self.axis_of("rfft", axis) {
            Ok(axis) => self.forward_real("rfft", n.into(), axis, norm),
            Err(failed) => failed,
        }
    }

    /// The real numbers whose Fourier transform starts with this along an axis: the inverse of
    /// [`Tensor::rfft`]. The result has `n` entries, 2 (m - 1) of m where none is given; `n` is needed for an
    /// odd length.
    #[track_caller]
    pub fn irfft(
        &self,
        n: impl Into<Option<usize>>,
        axis: impl AxisIndex,
        norm: FftNorm,
    ) -> Tensor {
        match self.axis_of("irfft", axis) {
            Ok(axis) => self.to_real("irfft", n.into(), axis, norm, true),
            Err(failed) => failed,
        }
    }

    /// The Fourier transform, a real one, of numbers that are the conjugates of each other in reverse, of
    /// which the first half is here.
    #[track_caller]
    pub fn hfft(&self, n: impl Into<Option<usize>>, axis: impl AxisIndex, norm: FftNorm) -> Tensor {
        match self.axis_of("hfft", axis) {
            Ok(axis) => self.conj().to_real("hfft", n.into(), axis, norm, false),
            Err(failed) => failed,
        }
    }

    /// The inverse of [`Tensor::hfft`], of real numbers.
    #[track_caller]
    pub fn ihfft(
        &self,
        n: impl Into<Option<usize>>,
        axis: impl AxisIndex,
        norm: FftNorm,
    ) -> Tensor {
        match self.axis_of("ihfft", axis) {
            Ok(axis) => (self.forward_real("ihfft", n.into(), axis, norm.turned())).conj(),
            Err(failed) => failed,
        }
    }

    /// The Fourier transform along several axes: all where none are given, the last ones where only lengths
    /// are.
    #[track_caller]
    pub fn fftn(&self, lengths: Option<&[usize]>, axes: Option<&[i64]>, norm: FftNorm) -> Tensor {
        self.several_complex("fftn", lengths, axes, false, norm)
    }

    /// The inverse Fourier transform along several axes.
    #[track_caller]
    pub fn ifftn(&self, lengths: Option<&[usize]>, axes: Option<&[i64]>, norm: FftNorm) -> Tensor {
        self.several_complex("ifftn", lengths, axes, true, norm)
    }

    /// The Fourier transform of real numbers along several axes: [`Tensor::rfft`] along the last of them, then
    /// [`Tensor::fft`] along the others.
    #[track_caller]
    pub fn rfftn(&self, lengths: Option<&[usize]>, axes: Option<&[i64]>, norm: FftNorm) -> Tensor {
        let pairs = match self.pairs("rfftn", lengths, axes) {
            Ok(pairs) => pairs,
            Err(failed) => return failed,
        };
        let Some(((last, n), others)) = pairs.split_last() else {
            return fail("rfftn", &[self], "expected one axis or more, found none");
        };
        let half = self.forward_real("rfftn", *n, *last, norm);
        half.each_complex("rfftn", others, false, norm)
    }

    /// The inverse of [`Tensor::rfftn`]; the last length is that of the result.
    #[track_caller]
    pub fn irfftn(&self, lengths: Option<&[usize]>, axes: Option<&[i64]>, norm: FftNorm) -> Tensor {
        self.several_to_real("irfftn", lengths, axes, norm, true)
    }

    /// [`Tensor::hfft`] along several axes: the numbers are conjugates of each other in reverse along all of
    /// them together, and the first half along the last is here (PyTorch's `hfftn`).
    #[track_caller]
    pub fn hfftn(&self, lengths: Option<&[usize]>, axes: Option<&[i64]>, norm: FftNorm) -> Tensor {
        self.several_to_real("hfftn", lengths, axes, norm, false)
    }

    /// [`Tensor::fftn`] along the last two axes.
    #[track_caller]
    pub fn fft2(&self, lengths: Option<&[usize]>, norm: FftNorm) -> Tensor {
        self.fftn(lengths, Some(&[-2, -1]), norm)
    }

    /// [`Tensor::ifftn`] along the last two axes.
    #[track_caller]
    pub fn ifft2(&self, lengths: Option<&[usize]>, norm: FftNorm) -> Tensor {
        self.ifftn(lengths, Some(&[-2, -1]), norm)
    }

    /// [`Tensor::rfftn`] along the last two axes.
    #[track_caller]
    pub fn rfft2(&self, lengths: Option<&[usize]>, norm: FftNorm) -> Tensor {
        self.rfftn(lengths, Some(&[-2, -1]), norm)
    }

    /// [`Tensor::irfftn`] along the last two axes.
    #[track_caller]
    pub fn irfft2(&self, lengths: Option<&[usize]>, norm: FftNorm) -> Tensor {
        self.irfftn(lengths, Some(&[-2, -1]), norm)
    }

    /// Frequency 0 moved to the middle of each of the axes.
    #[track_caller]
    pub fn fftshift(&self, axes: impl Integers) -> Tensor {
        self.shifted_by("fftshift", &axes.integers(), |n| n / 2)
    }

    /// The inverse of [`Tensor::fftshift`].
    #[track_caller]
    pub fn ifftshift(&self, axes: impl Integers) -> Tensor {
        self.shifted_by("ifftshift", &axes.integers(), |n| n.div_ceil(2))
    }

    /// The Fourier transforms of pieces of a signal: pieces of `window.len()` entries of the last axis start
    /// every `hop` entries and are multiplied by the window. The frequencies are the last axis but one of the
    /// result, the pieces the last. Real signals give the frequencies that [`Tensor::rfft`] does. (Allen and
    /// Rabiner, A unified approach to short-time Fourier analysis and synthesis, 1977.)
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// let x = Tensor::arange(16, DType::F64);
    /// let spectrum = x.stft(&Tensor::ones([8], DType::F64), 4);
    /// assert_eq!(spectrum.shape().dims(), [5, 3]);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn stft(&self, window: &Tensor, hop: usize) -> Tensor {
        let n = window.len();
        let Some(axis) = self.rank().checked_sub(1) else {
            return fail(
                "stft",
                &[self],
                "expected a signal of rank 1 or more, found a scalar",
            );
        };
        let length = self.dim(axis);
        if window.rank() != 1 || n == 0 || n > length || hop == 0 {
            let message = format!(
                "expected a window of rank 1 with 1 to {length} entries and a hop of 1 or more, found shape {} and {hop}",
                window.shape()
            );
            return fail("stft", &[self, window], message);
        }
        let starts = (0..=length - n).step_by(hop);
        let places: Vec<i64> = starts
            .flat_map(|start| (start..start + n).map(|at| at as i64))
            .collect();
        let places = match Array::new([places.len() / n, n], places) {
            Ok(places) => Tensor::from(places),
            Err(e) => return fail("stft", &[self], e.to_string()),
        };
        let windowed = self.take(&places, axis) * window;
        let spectrum = match windowed.dtype().is_complex() {
            true => windowed.fft(None, -1, FftNorm::Backward),
            false => windowed.rfft(None, -1, FftNorm::Backward),
        };
        spectrum.swapaxes(-2, -1)
    }

    #[track_caller]
    fn one_complex(
        &self,
        name: &str,
        n: Option<usize>,
        axis: impl AxisIndex,
        inverse: bool,
        norm: FftNorm,
    ) -> Tensor {
        match self.axis_of(name, axis) {
            Ok(axis) => self.each_complex(name, &[(axis, n)], inverse, norm),
            Err(failed) => failed,
        }
    }

    #[track_caller]
    fn several_complex(
        &self,
        name: &str,
        lengths: Option<&[usize]>,
        axes: Option<&[i64]>,
        inverse: bool,
        norm: FftNorm,
    ) -> Tensor {
        match self.pairs(name, lengths, axes) {
            Ok(pairs) => self.each_complex(name, &pairs, inverse, norm),
            Err(failed) => failed,
        }
    }

    /// Complex transforms along axes, one operation where their order does not matter.
    #[track_caller]
    fn each_complex(
        &self,
        name: &str,
        pairs: &[(usize, Option<usize>)],
        inverse: bool,
        norm: FftNorm,
    ) -> Tensor {
        if let Err(failed) = self.expect_inexact(name) {
            return failed;
        }
        let (mut x, mut scale) = (self.to_complex(), 1.0);
        let mut axes = Vec::new();
        for (axis, n) in pairs {
            x = match x.with_entries(name, *axis, *n) {
                Ok(x) => x,
                Err(failed) => return failed,
            };
            scale *= norm.scale(inverse, x.dim(*axis));
            axes.push(*axis);
        }
        axes.sort_unstable();
        // NumPy takes an axis as often as it is named.
        while !axes.is_empty() {
            let mut rest = Vec::new();
            let mut once: Vec<usize> = Vec::new();
            for axis in axes {
                match once.last() == Some(&axis) {
                    true => rest.push(axis),
                    false => once.push(axis),
                }
            }
            x = push(
                Fft {
                    axes: once,
                    inverse,
                },
                &[&x],
            );
            axes = rest;
        }
        x.scaled(scale)
    }

    #[track_caller]
    fn forward_real(&self, name: &str, n: Option<usize>, axis: usize, norm: FftNorm) -> Tensor {
        if let Err(failed) = self.expect_float(name) {
            return failed;
        }
        match self.with_entries(name, axis, n) {
            Ok(x) => push(Rfft { axis }, &[&x]).scaled(norm.scale(false, x.dim(axis))),
            Err(failed) => failed,
        }
    }

    /// A transform to real numbers, scaled as an inverse one or not.
    #[track_caller]
    fn to_real(
        &self,
        name: &str,
        n: Option<usize>,
        axis: usize,
        norm: FftNorm,
        inverse: bool,
    ) -> Tensor {
        if let Err(failed) = self.expect_inexact(name) {
            return failed;
        }
        let n = n.unwrap_or_else(|| self.dim(axis).saturating_sub(1) * 2);
        if n == 0 {
            return fail(
                name,
                &[self],
                "expected a result of 1 or more entries, found 0",
            );
        }
        match self.to_complex().with_entries(name, axis, Some(n / 2 + 1)) {
            Ok(x) => push(Irfft { axis, n }, &[&x]).scaled(norm.scale(inverse, n)),
            Err(failed) => failed,
        }
    }

    #[track_caller]
    fn several_to_real(
        &self,
        name: &str,
        lengths: Option<&[usize]>,
        axes: Option<&[i64]>,
        norm: FftNorm,
        inverse: bool,
    ) -> Tensor {
        let pairs = match self.pairs(name, lengths, axes) {
            Ok(pairs) => pairs,
            Err(failed) => return failed,
        };
        let Some(((last, n), others)) = pairs.split_last() else {
            return fail(name, &[self], "expected one axis or more, found none");
        };
        let x = self.each_complex(name, others, inverse, norm);
        let x = if inverse { x } else { x.conj() };
        x.to_real(name, *n, *last, norm, inverse)
    }

    /// Axes and lengths as NumPy pairs them.
    #[track_caller]
    fn pairs(
        &self,
        name: &str,
        lengths: Option<&[usize]>,
        axes: Option<&[i64]>,
    ) -> Result<Vec<(usize, Option<usize>)>, Tensor> {
        let rank = self.rank();
        let axes: Cow<'_, [i64]> = match (axes, lengths) {
            (Some(axes), _) => axes.into(),
            (None, Some(lengths)) => (1..=lengths.len() as i64).rev().map(|a| -a).collect(),
            (None, None) => (0..rank as i64).collect(),
        };
        let found: Result<Vec<usize>, String> = axes.iter().map(|a| index(*a, rank)).collect();
        let found = found.map_err(|message| fail(name, &[self], message))?;
        match lengths {
            Some(lengths) if lengths.len() != found.len() => {
                let message = format!(
                    "expected a length for each of {} axes, found {}",
                    found.len(),
                    lengths.len()
                );
                Err(fail(name, &[self], message))
            }
            Some(lengths) => Ok(found
                .into_iter()
                .zip(lengths.iter().map(|n| Some(*n)))
                .collect()),
            None => Ok(found.into_iter().map(|a| (a, None)).collect()),
        }
    }

    /// The tensor with so many entries along an axis, cut off or filled up with zeros at the end.
    #[track_caller]
    fn with_entries(&self, name: &str, axis: usize, n: Option<usize>) -> Result<Tensor, Tensor> {
        let found = self.dim(axis);
        let n = n.unwrap_or(found);
        if n == 0 {
            let message = "expected 1 or more entries to transform, found 0";
            return Err(fail(name, &[self], message));
        }
        Ok(match n.cmp(&found) {
            std::cmp::Ordering::Less => self.slice_axis(axis, 0..n),
            std::cmp::Ordering::Equal => self.clone(),
            std::cmp::Ordering::Greater => {
                let mut widths = vec![(0, 0); self.rank()];
                if let Some(width) = widths.get_mut(axis) {
                    width.1 = n - found;
                }
                self.pad(widths, PadMode::ZERO)
            }
        })
    }

    #[track_caller]
    fn shifted_by(&self, name: &str, axes: &[i64], by: impl Fn(usize) -> usize) -> Tensor {
        let axes = match ordered(axes, self.rank()) {
            Ok(axes) => axes,
            Err(message) => return fail(name, &[self], message),
        };
        axes.into_iter().fold(self.clone(), |x, axis| {
            let shift = i64::try_from(by(x.dim(axis))).unwrap_or(0);
            x.roll(shift, axis)
        })
    }

    #[track_caller]
    fn axis_of(&self, name: &str, axis: impl AxisIndex) -> Result<usize, Tensor> {
        index(axis.to_i64(), self.rank()).map_err(|message| fail(name, &[self], message))
    }
}

/// The frequencies of the entries of [`Tensor::fft`] of n samples that lie `step` apart:
/// 0, 1, ..., (n - 1) / 2, -(n / 2), ..., -1 over n step.
#[track_caller]
pub fn fftfreq(n: usize, step: f64, dtype: DType) -> Tensor {
    let signed = (0..n).map(|k| {
        if k < n.div_ceil(2) {
            k as f64
        } else {
            k as f64 - n as f64
        }
    });
    frequencies(signed, n, step, dtype)
}

/// The frequencies of the entries of [`Tensor::rfft`] of n samples that lie `step` apart.
#[track_caller]
pub fn rfftfreq(n: usize, step: f64, dtype: DType) -> Tensor {
    frequencies((0..=n / 2).map(|k| k as f64), n, step, dtype)
}

#[track_caller]
fn frequencies(numbers: impl Iterator<Item = f64>, n: usize, step: f64, dtype: DType) -> Tensor {
    let values: Vec<Scalar> = numbers
        .map(|k| Scalar::from_f64(dtype, k / (n as f64 * step)))
        .collect();
    match Array::from_scalars(dtype, [values.len()], values) {
        Ok(array) if dtype.is_float() => Tensor::from(array),
        Ok(_) => fail(
            "fftfreq",
            &[],
            format!("expected f64 or f32, found {dtype}"),
        ),
        Err(e) => fail("fftfreq", &[], e.to_string()),
    }
}

/// A signal back from the Fourier transforms of its pieces: the inverse of [`Tensor::stft`]. Pieces are
/// multiplied by the window once more, added where they overlap, and divided by the sum of the squared
/// windows (Griffin and Lim, Signal estimation from modified short-time Fourier transform, 1984). Entries
/// that no piece reaches, or only with a window of 0, are 0.
#[track_caller]
pub fn istft(spectrum: &Tensor, window: &Tensor, hop: usize) -> Tensor {
    let n = window.len();
    let rank = spectrum.rank();
    if rank < 2 || window.rank() != 1 || n == 0 || hop == 0 || !spectrum.dtype().is_complex() {
        let message = format!(
            "expected a complex spectrum of rank 2 or more, a window of rank 1 and a hop of 1 or more, found {}, {} and {hop}",
            spectrum.ty(),
            window.ty()
        );
        return fail("istft", &[spectrum, window], message);
    }
    let pieces = spectrum.dim(-1);
    let frames = spectrum.swapaxes(-2, -1).irfft(n, -1, FftNorm::Backward) * window;
    let squares = (window * window).broadcast_to([pieces, n]);
    let (sum, weight) = (overlapped(&frames, hop), overlapped(&squares, hop));
    let reached = weight.greater(0.0);
    let safe = reached.select(&weight, 1.0);
    sum / safe
}

/// Pieces along the last axis but one added where they overlap.
#[track_caller]
fn overlapped(pieces: &Tensor, hop: usize) -> Tensor {
    let (count, n) = (pieces.dim(-2), pieces.dim(-1));
    let axis = pieces.rank().saturating_sub(2);
    let mut shape = pieces.shape().to_vec();
    shape.truncate(axis);
    shape.push(n.saturating_add(hop.saturating_mul(count.saturating_sub(1))));
    let places: Vec<i64> = (0..count)
        .flat_map(|i| (0..n).map(move |j| (i * hop + j) as i64))
        .collect();
    match Array::new([count, n], places) {
        Ok(places) => scatter_add(shape, [Tensor::from(places)], pieces, axis),
        Err(e) => fail("istft", &[pieces], e.to_string()),
    }
}
