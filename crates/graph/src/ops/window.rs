//! Sums and maxima over windows that slide along the last axes: pooling.

use cotangent_array::{Array, Complex64, DType, Indices, Scalar, Shape};

use super::axes::*;
use super::values::*;
use super::{Gather, Kinds, Operand, Pad, Rule, Slice};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, math, op_struct, type_error};

op_struct! {
    /// The sums over windows that slide along the last axes, as many as `window` has; the axes
    /// before them are a batch. Element j of an axis sums padded[j * stride + k * dilation] for k
    /// from 0 to before `window`; padding adds nothing. Floats are added in f64 in row-major order
    /// and rounded once; integers wrap.
    WindowSum = "window_sum" {
        /// The number of elements of a window along each axis.
        window: Vec<usize>,
        /// Steps from one window to the next along each axis.
        stride: Vec<usize> = |_| vec![1; window.len()],
        /// Places before and after each axis.
        padding: Vec<(usize, usize)> = |_| vec![(0, 0); window.len()],
        /// Steps from one element of a window to the next along each axis.
        dilation: Vec<usize> = |_| vec![1; window.len()],
    }
}

impl Rule for WindowSum {
    const DERIVATIVE: &'static str = "window_sum of the tangent";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        self.windows().infer(args, Kinds::Numeric)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let w = self.windows();
        let sums = match Values::of(x) {
            Values::Float(v) => {
                Values::Float(w.each(x, out, 0.0, |_, at| at.fold(0.0, |sum, i| sum + v[i]))?)
            }
            Values::Complex(v) => {
                let zero = Complex64::new(0.0, 0.0);
                Values::Complex(w.each(x, out, zero, |_, at| at.fold(zero, |sum, i| sum + v[i]))?)
            }
            Values::Int(v) => Values::Int(w.each(x, out, 0, |_, at| {
                at.fold(0, |sum: i64, i| sum.wrapping_add(v[i]))
            })?),
        };
        Ok(sums.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        _out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        super::rule::linear_jvp(self.clone(), b, args, tangents)
    }

    /// Each element goes to all windows that cover it: a sum over windows of the cotangents, which
    /// are first moved `stride` apart.
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Linear(x)] = args else {
            return None;
        };
        if x.shape.elements() == 0 {
            return Some(vec![None]);
        }
        let ct = b.tensor(cotangent);
        let leading = x.rank().saturating_sub(self.window.len());
        let (mut start, mut limit) = (vec![0; ct.rank()], ct.shape.dims().to_vec());
        let mut interior = vec![0; ct.rank()];
        let mut padding = Vec::new();
        for (i, axis) in self.windows().axes().enumerate() {
            let (size, count) = (wide(x.dim(leading + i)), wide(ct.dim(leading + i)));
            let spread = (count - 1) * axis.stride + 1;
            let low = axis.extent() - 1 - axis.low;
            let high = size + axis.low - spread;
            if -low >= spread || -high >= spread {
                // All windows lie in the padding.
                return Some(vec![None]);
            }
            let at = leading + i;
            if let (Some(s), Some(l), Some(n)) =
                (start.get_mut(at), limit.get_mut(at), interior.get_mut(at))
            {
                *s = usize::try_from((-low).max(0)).ok()?;
                *l = usize::try_from(spread - (-high).max(0)).ok()?;
                *n = usize::try_from(axis.stride - 1).ok()?;
            }
            padding.push((
                usize::try_from(low.max(0)).ok()?,
                usize::try_from(high.max(0)).ok()?,
            ));
        }
        let mut spread = cotangent;
        if interior.iter().any(|n| *n > 0) {
            let zero = b.scalar(ct.dtype, 0.0);
            let none = vec![0; ct.rank()];
            spread = b.push(
                Pad {
                    low: none.clone(),
                    high: none,
                    interior,
                },
                &[cotangent, zero],
            );
        }
        if start.iter().any(|s| *s > 0) || limit[..] != *b.shape(spread).dims() {
            let stride = vec![1; start.len()];
            spread = b.push(
                Slice {
                    start,
                    limit,
                    stride,
                },
                &[spread],
            );
        }
        let back = WindowSum {
            window: self.window.clone(),
            stride: vec![1; self.window.len()],
            padding,
            dilation: self.dilation.clone(),
        };
        Some(vec![Some(b.push(back, &[spread]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(self.clone(), args)
    }

    fn cost(&self, _args: &[&TensorType], out: &TensorType) -> u64 {
        self.windows().cost(out)
    }
}

op_struct! {
    /// The largest elements in windows that slide along the last axes, as many as `window` has;
    /// the axes before them are a batch. Padding never wins; a window without any element gives
    /// the lowest value of the dtype (minus infinity for floats). NaN if any element is NaN.
    WindowMax = "window_max" {
        /// The number of elements of a window along each axis.
        window: Vec<usize>,
        /// Steps from one window to the next along each axis.
        stride: Vec<usize> = |_| vec![1; window.len()],
        /// Places before and after each axis.
        padding: Vec<(usize, usize)> = |_| vec![(0, 0); window.len()],
        /// Steps from one element of a window to the next along each axis.
        dilation: Vec<usize> = |_| vec![1; window.len()],
    }
}

impl Rule for WindowMax {
    const DERIVATIVE: &'static str = "the tangent of the element at window_argmax";
    const CONVENTION: &'static str =
        "the first of equal elements takes all; 0 for a window without any element.";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        self.windows().infer(args, Kinds::Number)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let w = self.windows();
        let largest = match Values::of(x) {
            Values::Float(v) => Values::Float(w.each(x, out, 0.0, |_, at| {
                at.map(|i| v[i]).fold(f64::NEG_INFINITY, math::max)
            })?),
            Values::Int(v) => {
                let lowest = Scalar::from_f64(out.dtype, f64::NEG_INFINITY).to_i64();
                Values::Int(w.each(x, out, 0, |_, at| at.map(|i| v[i]).fold(lowest, i64::max))?)
            }
            Values::Complex(_) => return Err(missing(out)),
        };
        Ok(largest.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        let (&[x], &[Some(t)]) = (args, tangents) else {
            return None;
        };
        let (mut x, mut t) = (x, t);
        let result = b.tensor(out);
        if result.shape.elements() == 0 {
            return None;
        }
        let mut places = self.places();
        let leading = b.rank(x).saturating_sub(self.window.len());
        if self.windows().may_miss(&b.tensor(x)) {
            // Padding becomes elements that lose: window_argmax finds one in every window.
            let lowest = b.scalar(result.dtype, f64::NEG_INFINITY);
            let zero = b.scalar(result.dtype, 0.0);
            let none = vec![0; leading];
            let low = none
                .iter()
                .copied()
                .chain(self.padding.iter().map(|p| p.0))
                .collect();
            let high = none
                .iter()
                .copied()
                .chain(self.padding.iter().map(|p| p.1))
                .collect();
            let pad = Pad {
                low,
                high,
                interior: vec![0; b.rank(x)],
            };
            x = b.push(pad.clone(), &[x, lowest]);
            t = b.push(pad, &[t, zero]);
            places.padding = vec![(0, 0); self.window.len()];
        }
        let at = b.push(places, &[x]);
        let (at, t) = (joined(b, at, leading), joined(b, t, leading));
        let chosen = b.push(
            Gather {
                axis: leading,
                batch: leading,
            },
            &[t, at],
        );
        Some(b.reshape(chosen, result.shape))
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(self.clone(), args)
    }

    fn cost(&self, _args: &[&TensorType], out: &TensorType) -> u64 {
        self.windows().cost(out)
    }
}

impl WindowMax {
    /// The operation that finds the elements which this one gives.
    pub fn places(&self) -> WindowArgMax {
        WindowArgMax {
            window: self.window.clone(),
            stride: self.stride.clone(),
            padding: self.padding.clone(),
            dilation: self.dilation.clone(),
        }
    }
}

op_struct! {
    /// The positions, as i64, of the largest elements in windows that slide along the last axes:
    /// row-major positions in those axes of the operand. The first at ties; a NaN wins; padding
    /// never does. A window without any element is an error of the evaluation.
    WindowArgMax = "window_argmax" {
        /// The number of elements of a window along each axis.
        window: Vec<usize>,
        /// Steps from one window to the next along each axis.
        stride: Vec<usize> = |_| vec![1; window.len()],
        /// Places before and after each axis.
        padding: Vec<(usize, usize)> = |_| vec![(0, 0); window.len()],
        /// Steps from one element of a window to the next along each axis.
        dilation: Vec<usize> = |_| vec![1; window.len()],
    }
}

impl Rule for WindowArgMax {
    const DERIVATIVE: &'static str = "none";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        Ok(self
            .windows()
            .infer(args, Kinds::Number)?
            .with_dtype(DType::I64))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let w = self.windows();
        let places = match Values::of(x) {
            Values::Float(v) => w.each(x, out, 0, |base, at| {
                let wins =
                    |i: usize, best: usize| v[i] > v[best] || (v[i].is_nan() && !v[best].is_nan());
                first_best(base, at, wins)
            })?,
            Values::Int(v) => w.each(x, out, 0, |base, at| {
                first_best(base, at, |i, best| v[i] > v[best])
            })?,
            Values::Complex(_) => return Err(missing(out)),
        };
        if places.contains(&NOWHERE) {
            return Err(EvalError::IndexOutOfRange {
                index: 0,
                length: 0,
            });
        }
        Ok(Values::Int(places).into_array(out)?)
    }

    fn jvp(&self, _: &mut Builder, _: &[Var], _: Var, _: &[Option<Var>]) -> Option<Var> {
        None
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(self.clone(), args)
    }

    fn cost(&self, _args: &[&TensorType], out: &TensorType) -> u64 {
        self.windows().cost(out)
    }
}

macro_rules! windows_of {
    ($($T:ident),+) => {$(
        impl $T {
            fn windows(&self) -> Windows<'_> {
                Windows {
                    window: &self.window,
                    stride: &self.stride,
                    padding: &self.padding,
                    dilation: &self.dilation,
                }
            }
        }
    )+};
}

windows_of!(WindowSum, WindowMax, WindowArgMax);

/// What stands for the position in a window without any element.
const NOWHERE: i64 = -1;

/// The position after `base` of the first element that no other beats.
fn first_best(
    base: usize,
    at: impl Iterator<Item = usize>,
    wins: impl Fn(usize, usize) -> bool,
) -> i64 {
    let best = at.reduce(|best, i| if wins(i, best) { i } else { best });
    best.and_then(|i| i64::try_from(i - base).ok())
        .unwrap_or(NOWHERE)
}

/// The attributes that the three operations share.
struct Windows<'a> {
    window: &'a [usize],
    stride: &'a [usize],
    padding: &'a [(usize, usize)],
    dilation: &'a [usize],
}

/// One windowed axis. Numbers are wide enough that no product of two sizes overflows.
struct Axis {
    window: i128,
    stride: i128,
    low: i128,
    high: i128,
    dilation: i128,
}

impl Axis {
    /// How much of the padded axis a window covers.
    fn extent(&self) -> i128 {
        (self.window - 1) * self.dilation + 1
    }

    /// The positions on an axis of this size that window `j` covers, in order.
    fn positions(&self, size: usize, j: usize) -> Vec<usize> {
        let start = wide(j) * self.stride - self.low;
        let first = (-(start.div_euclid(self.dilation))).max(0);
        let last = (wide(size) - 1 - start)
            .div_euclid(self.dilation)
            .min(self.window - 1);
        (first..=last)
            .filter_map(|k| usize::try_from(start + k * self.dilation).ok())
            .collect()
    }
}

impl Windows<'_> {
    fn axes(&self) -> impl Iterator<Item = Axis> + '_ {
        let windows = self.window.iter().zip(self.stride);
        let rest = self.padding.iter().zip(self.dilation);
        windows
            .zip(rest)
            .map(|((window, stride), (padding, dilation))| Axis {
                window: wide(*window),
                stride: wide(*stride),
                low: wide(padding.0),
                high: wide(padding.1),
                dilation: wide(*dilation),
            })
    }

    fn infer(&self, args: &[&TensorType], kinds: Kinds) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        check_dtype(x, kinds)?;
        let count = self.window.len();
        if count > x.rank() {
            type_error!(
                "expected a window along at most {} axes, found {:?}",
                x.rank(),
                self.window
            );
        }
        for (name, length) in [
            ("stride", self.stride.len()),
            ("padding", self.padding.len()),
            ("dilation", self.dilation.len()),
        ] {
            if length != count {
                type_error!(
                    "expected {name} to have one entry for each of {count} windowed axes, found {length}"
                );
            }
        }
        let leading = x.rank() - count;
        let mut shape = x.shape.get(..leading).unwrap_or(&[]).to_vec();
        for (i, axis) in self.axes().enumerate() {
            if axis.window < 1 || axis.stride < 1 || axis.dilation < 1 {
                type_error!(
                    "expected window, stride and dilation of at least 1, found {}, {} and {} on windowed axis {i}",
                    axis.window,
                    axis.stride,
                    axis.dilation
                );
            }
            let padded = wide(x.dim(leading + i)) + axis.low + axis.high;
            if padded < axis.extent() {
                type_error!(
                    "expected a window that fits into the padded operand along windowed axis {i}, found {} over {padded}",
                    axis.extent()
                );
            }
            match usize::try_from((padded - axis.extent()) / axis.stride + 1) {
                Ok(n) => shape.push(n),
                Err(_) => type_error!("the result is too large along windowed axis {i}"),
            }
        }
        Ok(x.with_shape(shape))
    }

    /// Whether some window may lie in the padding altogether. Windows whose elements stand no
    /// further apart than the axis is long cannot step over it, so the first and the last decide.
    fn may_miss(&self, x: &TensorType) -> bool {
        let leading = x.rank().saturating_sub(self.window.len());
        self.axes().enumerate().any(|(i, axis)| {
            let size = wide(x.dim(leading + i));
            let free = size + axis.low + axis.high - axis.extent();
            let last = free / axis.stride.max(1) * axis.stride - axis.low;
            axis.dilation > size || axis.extent() - 1 < axis.low || last >= size
        })
    }

    /// One result for each window, from the flat position where its batch element starts and the
    /// flat positions of its elements in row-major order.
    fn each<A: Clone>(
        &self,
        x: &Array,
        out: &TensorType,
        start: A,
        result: impl Fn(usize, &mut dyn Iterator<Item = usize>) -> A,
    ) -> Result<Vec<A>, EvalError> {
        let mut results = filled(out, start)?;
        if results.is_empty() {
            return Ok(results);
        }
        let leading = x.rank().saturating_sub(self.window.len());
        let sizes = x.shape().get(leading..).unwrap_or(&[]);
        let space: Shape = out.shape.get(leading..).unwrap_or(&[]).into();
        // For each place of each windowed axis of the result: the positions that it covers.
        let positions: Vec<Vec<Vec<usize>>> = self
            .axes()
            .zip(sizes.iter().zip(space.dims()))
            .map(|(axis, (size, count))| (0..*count).map(|j| axis.positions(*size, j)).collect())
            .collect();
        let (places, elements) = (space.elements(), Shape::from(sizes).elements());
        let mut indices = Indices::new(&space);
        for place in 0..places {
            let Some(index) = indices.next_index() else {
                break;
            };
            let mut covered = vec![0];
            for ((j, of), size) in index.iter().zip(&positions).zip(sizes) {
                let next = of.get(*j).map_or(&[][..], |p| p);
                let longer = |p: usize| next.iter().map(move |i| p * size + i);
                covered = covered.into_iter().flat_map(longer).collect();
            }
            for (batch, of_batch) in results.chunks_mut(places).enumerate() {
                let base = batch * elements;
                if let Some(r) = of_batch.get_mut(place) {
                    *r = result(base, &mut covered.iter().map(|i| base + i));
                }
            }
        }
        Ok(results)
    }

    fn cost(&self, out: &TensorType) -> u64 {
        let terms = Shape::from(self.window).elements() as u64;
        (out.shape.elements() as u64).saturating_mul(terms)
    }
}

/// The axes after the leading ones as a single axis.
fn joined(b: &mut Builder, x: Var, leading: usize) -> Var {
    let shape = b.shape(x);
    let (first, rest) = shape.dims().split_at(leading.min(shape.rank()));
    let elements = Shape::from(rest).elements();
    let shape: Shape = first.iter().copied().chain([elements]).collect();
    b.reshape(x, shape)
}

/// A size beyond what i64 holds counts as that: no array is so long.
fn wide(n: usize) -> i128 {
    i128::from(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
