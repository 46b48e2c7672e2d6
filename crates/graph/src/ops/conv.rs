//! Convolution over any number of spatial axes.

use cotangent_array::{Array, Complex64, Shape};

use super::axes::*;
use super::values::*;
use super::{Kinds, Operand, Reverse, Rule};
use crate::{
    Arity, Builder, EvalError, TensorType, TypeError, Var, complex, op_struct, type_error,
};

op_struct! {
    /// Convolution as neural networks have it (cross-correlation) of an input [N, C, spatial...]
    /// with a kernel [O, C / groups, spatial...]; the result is [N, O, spatial...].
    /// Element j of an output axis sums `kernel[k] * padded[j * stride + k * dilation]`. The padded
    /// axis is the input with `input_dilation` - 1 zeros between neighbours, and zeros before and
    /// after it; negative padding crops. Channels fall into groups: output channels of a group see
    /// the group's input channels alone. Floats are added in f64 over the channels, then the
    /// kernel's elements, and rounded once; integers wrap.
    Conv = "conv" {
        /// Steps along each spatial axis of the padded input from one output to the next.
        stride: Vec<usize> = |a| vec![1; spatial_rank(a)],
        /// Zeros before and after each spatial axis of the input; negative numbers crop.
        padding: Vec<(i64, i64)> = |a| vec![(0, 0); spatial_rank(a)],
        /// Steps along each spatial axis of the padded input between elements of the kernel.
        dilation: Vec<usize> = |a| vec![1; spatial_rank(a)],
        /// Steps along each spatial axis of the padded input between elements of the input.
        input_dilation: Vec<usize> = |a| vec![1; spatial_rank(a)],
        /// The number of groups of channels.
        groups: usize = |_| 1,
    }
}

impl Rule for Conv {
    const DERIVATIVE: &'static str = "conv(tx, kernel) + conv(x, tkernel)";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x, kernel] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        if x.dtype != kernel.dtype {
            type_error!(
                "expected operands of one dtype, found {} and {}",
                x.dtype,
                kernel.dtype
            );
        }
        check_dtype(x, Kinds::Numeric)?;
        if x.rank() < 2 || kernel.rank() != x.rank() {
            type_error!(
                "expected an input [N, C, spatial...] and a kernel [O, C / groups, spatial...] of one rank, found {x} and {kernel}"
            );
        }
        let (channels, outputs, groups) = (x.dim(1), kernel.dim(0), self.groups);
        if groups == 0 || channels % groups != 0 || outputs % groups != 0 {
            type_error!(
                "expected groups to divide {channels} input channels and {outputs} output channels, found {groups}"
            );
        }
        if kernel.dim(1) != channels / groups {
            type_error!(
                "expected a kernel with {} channels on axis 1 ({channels} input channels in {groups} groups), found {}",
                channels / groups,
                kernel.dim(1)
            );
        }
        let spatial = x.rank() - 2;
        for (name, length) in [
            ("stride", self.stride.len()),
            ("padding", self.padding.len()),
            ("dilation", self.dilation.len()),
            ("input_dilation", self.input_dilation.len()),
        ] {
            if length != spatial {
                type_error!(
                    "expected {name} to have one entry for each of {spatial} spatial axes, found {length}"
                );
            }
        }
        let mut shape = vec![x.dim(0), outputs];
        for (i, axis) in self.spatial_axes(x, kernel).into_iter().enumerate() {
            shape.push(axis.output(i)?);
        }
        Ok(x.with_shape(shape))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x, kernel] = args else {
            return Err(missing(out));
        };
        let sums = match (Values::of(x), Values::of(kernel)) {
            (Values::Float(v), Values::Float(w)) => {
                // Zeros of the padding multiply like any others: beside an infinity they give NaN.
                let add =
                    |sum: f64, i: Option<usize>, j: usize| sum + i.map_or(0.0, |i| v[i]) * w[j];
                Values::Float(self.sums(x, kernel, out, 0.0, add)?)
            }
            (Values::Complex(v), Values::Complex(w)) => {
                let zero = Complex64::new(0.0, 0.0);
                let add = |sum, i: Option<usize>, j: usize| {
                    sum + complex::mul(i.map_or(zero, |i| v[i]), w[j])
                };
                Values::Complex(self.sums(x, kernel, out, zero, add)?)
            }
            (Values::Int(v), Values::Int(w)) => {
                let add = |sum: i64, i: Option<usize>, j: usize| {
                    sum.wrapping_add(i.map_or(0, |i| v[i]).wrapping_mul(w[j]))
                };
                Values::Int(self.sums(x, kernel, out, 0, add)?)
            }
            _ => return Err(missing(out)),
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
        let (&[x, kernel], &[tx, tk]) = (args, tangents) else {
            return None;
        };
        let left = tx.map(|tx| b.push(self.clone(), &[tx, kernel]));
        let right = tk.map(|tk| b.push(self.clone(), &[x, tk]));
        match (left, right) {
            (Some(left), Some(right)) => Some(b.add(left, right)),
            (left, right) => left.or(right),
        }
    }

    /// Both transposes are convolutions (Dumoulin and Visin, A guide to convolution arithmetic for
    /// deep learning, 2016, chapter 4).
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [x, kernel] = args else { return None };
        let (x_type, kernel_type) = (x.ty(b), kernel.ty(b));
        let types = [&x_type, &kernel_type, &b.tensor(cotangent)];
        let empty = types.iter().any(|t| t.shape.elements() == 0);
        let (to_x, to_kernel) = match (x, kernel) {
            (Operand::Linear(_), Operand::Known(kernel)) => (Some(*kernel), None),
            (Operand::Known(x), Operand::Linear(_)) => (None, Some(*x)),
            _ => return None,
        };
        if empty {
            return Some(vec![None, None]);
        }
        let to_x = to_x.map(|k| self.input_cotangent(b, &x_type, &kernel_type, k, cotangent));
        let to_kernel =
            to_kernel.map(|x| self.kernel_cotangent(b, &x_type, &kernel_type, x, cotangent));
        Some(vec![to_x, to_kernel])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let (&[x, kernel], &[left, right]) = (args, batched) else {
            return b.push(self.clone(), args);
        };
        let (x_shape, k_shape) = (b.shape(x), b.shape(kernel));
        let (x_dims, k_dims) = (x_shape.dims(), k_shape.dims());
        match (left, right) {
            (true, true) if size > 0 => self.batch_both(b, x, kernel, size),
            (true, true) => {
                let (x_type, kernel_type) = (b.tensor(x), b.tensor(kernel));
                let one = |t: &TensorType| t.with_shape(t.shape.get(1..).unwrap_or(&[]));
                let out = self.infer(&[&one(&x_type), &one(&kernel_type)]);
                let shape = out.map(|t| t.shape).unwrap_or_default();
                b.zeros(&x_type.with_shape(joined(&[0], shape.dims())))
            }
            (_, true) => {
                // Kernels become more output channels, inside each group.
                let (outputs, rest) = (dim(k_dims, 1), from(k_dims, 2));
                let (groups, each) = (self.groups, outputs / self.groups.max(1));
                let split = b.reshape(kernel, joined(&[size, groups, each], rest));
                let moved = swapped(b, split, 0, 1);
                let wide = b.reshape(moved, joined(&[size.saturating_mul(outputs)], rest));
                let out = b.push(self.clone(), &[x, wide]);
                let shape = b.shape(out);
                let (count, space) = (dim(shape.dims(), 0), from(shape.dims(), 2));
                let split = b.reshape(out, joined(&[count, groups, size, each], space));
                let axes: Vec<usize> = [2, 0, 1, 3].into_iter().chain(4..4 + space.len()).collect();
                let moved = b.transpose(split, &axes);
                b.reshape(moved, joined(&[size, count, outputs], space))
            }
            _ => {
                let count = dim(x_dims, 1);
                let flat = joined(&[size.saturating_mul(count)], from(x_dims, 2));
                let flat = b.reshape(x, flat);
                let out = b.push(self.clone(), &[flat, kernel]);
                let shape = b.shape(out);
                b.reshape(out, joined(&[size, count], from(shape.dims(), 1)))
            }
        }
    }

    fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64 {
        let terms = args.get(1).map_or(0, |kernel| {
            kernel
                .shape
                .get(1..)
                .map_or(0, |dims| Shape::from(dims).elements() as u64)
        });
        (out.shape.elements() as u64)
            .saturating_mul(terms)
            .saturating_mul(2)
    }
}

impl Conv {
    fn spatial_axes(&self, x: &TensorType, kernel: &TensorType) -> Vec<Axis> {
        let windows = self.stride.iter().zip(&self.dilation);
        let inputs = self.padding.iter().zip(&self.input_dilation);
        windows
            .zip(inputs)
            .enumerate()
            .map(
                |(i, ((stride, dilation), (padding, input_dilation)))| Axis {
                    size: wide(x.dim(i + 2)),
                    kernel: wide(kernel.dim(i + 2)),
                    stride: wide(*stride),
                    low: i128::from(padding.0),
                    high: i128::from(padding.1),
                    dilation: wide(*dilation),
                    input_dilation: wide(*input_dilation),
                },
            )
            .collect()
    }

    /// The cotangent convolved with the flipped kernel, whose channels change places: strides and
    /// input dilations change places too, and the padding makes the sizes meet.
    fn input_cotangent(
        &self,
        b: &mut Builder,
        x: &TensorType,
        kernel_type: &TensorType,
        kernel: Var,
        cotangent: Var,
    ) -> Var {
        let axes = self.spatial_axes(x, kernel_type);
        let op = Conv {
            stride: self.input_dilation.clone(),
            padding: axes.iter().map(Axis::input_padding).collect(),
            dilation: self.dilation.clone(),
            input_dilation: self.stride.clone(),
            groups: self.groups,
        };
        let space = from(&kernel_type.shape, 2);
        let (outputs, channels) = (kernel_type.dim(0), kernel_type.dim(1));
        let (groups, each) = (self.groups, outputs / self.groups.max(1));
        let split = b.reshape(kernel, joined(&[groups, each, channels], space));
        let moved = swapped(b, split, 1, 2);
        let kernel = b.reshape(
            moved,
            joined(&[groups.saturating_mul(channels), each], space),
        );
        let flipped: Vec<usize> = (2..2 + space.len()).collect();
        let kernel = if flipped.is_empty() {
            kernel
        } else {
            b.push(Reverse { axes: flipped }, &[kernel])
        };
        b.push(op, &[cotangent, kernel])
    }

    /// The input convolved with the cotangent: the batch is summed over, the input channels of a
    /// group become the batch, and stride and dilation change places.
    fn kernel_cotangent(
        &self,
        b: &mut Builder,
        x_type: &TensorType,
        kernel: &TensorType,
        x: Var,
        cotangent: Var,
    ) -> Var {
        let axes = self.spatial_axes(x_type, kernel);
        let op = Conv {
            stride: self.dilation.clone(),
            padding: axes.iter().map(Axis::kernel_padding).collect(),
            dilation: self.stride.clone(),
            input_dilation: self.input_dilation.clone(),
            groups: self.groups,
        };
        let space = from(&x_type.shape, 2);
        let (count, channels) = (x_type.dim(0), kernel.dim(1));
        let split = b.reshape(x, joined(&[count, self.groups, channels], space));
        let moved = swapped(b, split, 0, 2);
        let merged = joined(&[channels, self.groups.saturating_mul(count)], space);
        let x = b.reshape(moved, merged);
        let cotangent = swapped(b, cotangent, 0, 1);
        let out = b.push(op, &[x, cotangent]);
        swapped(b, out, 0, 1)
    }

    /// Each element of the batch is a group, or as many groups as there were.
    fn batch_both(&self, b: &mut Builder, x: Var, kernel: Var, size: usize) -> Var {
        let (x_shape, k_shape) = (b.shape(x), b.shape(kernel));
        let (x_dims, k_dims) = (x_shape.dims(), k_shape.dims());
        let (count, channels, outputs) = (dim(x_dims, 1), dim(x_dims, 2), dim(k_dims, 1));
        let moved = swapped(b, x, 0, 1);
        let x = b.reshape(
            moved,
            joined(&[count, size.saturating_mul(channels)], from(x_dims, 3)),
        );
        let kernel = b.reshape(
            kernel,
            joined(&[size.saturating_mul(outputs)], from(k_dims, 2)),
        );
        let op = Conv {
            groups: self.groups.saturating_mul(size),
            ..self.clone()
        };
        let out = b.push(op, &[x, kernel]);
        let shape = b.shape(out);
        let split = b.reshape(out, joined(&[count, size, outputs], from(shape.dims(), 2)));
        swapped(b, split, 0, 1)
    }

    /// Folds the pairs of flat positions in input and kernel that each element of the result sums
    /// over; no position in the input where it was padded.
    fn sums<A: Copy>(
        &self,
        x: &Array,
        kernel: &Array,
        out: &TensorType,
        start: A,
        add: impl Fn(A, Option<usize>, usize) -> A,
    ) -> Result<Vec<A>, EvalError> {
        let mut sums = filled(out, start)?;
        if sums.is_empty() || kernel.is_empty() {
            return Ok(sums);
        }
        let ty = |a: &Array| TensorType::new(a.dtype(), a.shape().clone());
        let (x_type, k_type) = (ty(x), ty(kernel));
        // For each place of each spatial axis of the result: positions in input and kernel.
        let taps: Vec<Vec<Vec<Tap>>> = self
            .spatial_axes(&x_type, &k_type)
            .into_iter()
            .enumerate()
            .map(|(i, axis)| (0..out.dim(i + 2)).map(|j| axis.taps(j)).collect())
            .collect();
        let space = Shape::from(from(&out.shape, 2));
        let (places, x_space, k_space) = (
            space.elements(),
            Shape::from(from(x.shape(), 2)).elements(),
            Shape::from(from(kernel.shape(), 2)).elements(),
        );
        let (outputs, channels) = (k_type.dim(0), k_type.dim(1));
        let each = (outputs / self.groups.max(1)).max(1);
        let mut indices = cotangent_array::Indices::new(&space);
        for place in 0..places {
            let Some(index) = indices.next_index() else {
                break;
            };
            let mut pairs: Vec<Tap> = vec![(Some(0), 0)];
            for (axis, (j, of)) in index.iter().zip(&taps).enumerate() {
                let (n, k) = (x_type.dim(axis + 2), k_type.dim(axis + 2));
                let next = of.get(*j).map_or(&[][..], |t| t);
                let longer = |(p, q): Tap| {
                    let at = move |i: &Option<usize>| Some(p? * n + (*i)?);
                    next.iter().map(move |(i, j)| (at(i), q * k + j))
                };
                pairs = pairs.into_iter().flat_map(longer).collect();
            }
            for image in 0..x_type.dim(0) {
                for output in 0..outputs {
                    let first = image * x_type.dim(1) + output / each * channels;
                    let mut sum = start;
                    for channel in 0..channels {
                        let i = (first + channel) * x_space;
                        let j = (output * channels + channel) * k_space;
                        sum = pairs
                            .iter()
                            .fold(sum, |sum, (p, q)| add(sum, p.map(|p| i + p), j + q));
                    }
                    if let Some(s) = sums.get_mut((image * outputs + output) * places + place) {
                        *s = sum;
                    }
                }
            }
        }
        Ok(sums)
    }
}

/// A position in the input, none where it was padded, and one in the kernel.
type Tap = (Option<usize>, usize);

/// One spatial axis. Numbers are wide enough that no product of two sizes overflows.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: i128,
    kernel: i128,
    stride: i128,
    low: i128,
    high: i128,
    dilation: i128,
    input_dilation: i128,
}

impl Axis {
    /// The input with zeros between its elements.
    fn dilated(&self) -> i128 {
        if self.size == 0 {
            0
        } else {
            (self.size - 1) * self.input_dilation + 1
        }
    }

    fn padded(&self) -> i128 {
        self.dilated() + self.low + self.high
    }

    /// How much of the padded axis the kernel covers.
    fn extent(&self) -> i128 {
        (self.kernel - 1) * self.dilation + 1
    }

    /// How much the outputs cover, `stride` apart.
    fn covered(&self) -> i128 {
        (self.padded() - self.extent()) / self.stride.max(1) * self.stride + 1
    }

    fn output(&self, i: usize) -> Result<usize, TypeError> {
        if self.stride < 1 || self.dilation < 1 || self.input_dilation < 1 {
            type_error!(
                "expected stride and dilations of at least 1, found {}, {} and {} on spatial axis {i}",
                self.stride,
                self.dilation,
                self.input_dilation
            );
        }
        if self.kernel < 1 {
            type_error!("expected a kernel of at least 1 element along spatial axis {i}, found 0");
        }
        if self.padded() < self.extent() {
            type_error!(
                "expected a kernel that fits into the padded input along spatial axis {i}, found {} over {}",
                self.extent(),
                self.padded()
            );
        }
        match usize::try_from((self.padded() - self.extent()) / self.stride + 1) {
            Ok(n) => Ok(n),
            Err(_) => type_error!("the result is too large along spatial axis {i}"),
        }
    }

    /// The positions in input and kernel that the output at `j` multiplies.
    fn taps(&self, j: usize) -> Vec<Tap> {
        let start = wide(j) * self.stride - self.low;
        (0..self.kernel)
            .filter_map(|k| {
                let at = start + k * self.dilation;
                let inside = at >= 0 && at < self.dilated() && at % self.input_dilation == 0;
                let position = usize::try_from(at / self.input_dilation).ok();
                Some((position.filter(|_| inside), usize::try_from(k).ok()?))
            })
            .collect()
    }

    /// The padding with which the cotangent's convolution gives an input's size.
    fn input_padding(&self) -> (i64, i64) {
        let low = self.extent() - 1 - self.low;
        let padded = self.dilated() - 1 + self.extent();
        (narrow(low), narrow(padded - self.covered() - low))
    }

    /// The padding with which the input's convolution by the cotangent gives the kernel's size.
    fn kernel_padding(&self) -> (i64, i64) {
        let padded = self.extent() - 1 + self.covered();
        (narrow(self.low), narrow(padded - self.dilated() - self.low))
    }
}

/// A size beyond what i64 holds counts as that: no array is so long.
fn wide(n: usize) -> i128 {
    i128::from(i64::try_from(n).unwrap_or(i64::MAX))
}

fn narrow(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

fn spatial_rank(args: &[&TensorType]) -> usize {
    args.first().map_or(0, |x| x.rank().saturating_sub(2))
}

fn dim(dims: &[usize], axis: usize) -> usize {
    dims.get(axis).copied().unwrap_or(1)
}

fn from(dims: &[usize], axis: usize) -> &[usize] {
    dims.get(axis..).unwrap_or(&[])
}

fn joined(first: &[usize], rest: &[usize]) -> Vec<usize> {
    [first, rest].concat()
}

/// Two axes change places.
fn swapped(b: &mut Builder, x: Var, i: usize, j: usize) -> Var {
    let mut axes: Vec<usize> = (0..b.rank(x)).collect();
    if i.max(j) < axes.len() {
        axes.swap(i, j);
    }
    b.transpose(x, &axes)
}

#[cfg(test)]
#[path = "conv_tests.rs"]
mod tests;
