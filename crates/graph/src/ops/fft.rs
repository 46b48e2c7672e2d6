//! Discrete Fourier transforms. Nothing is scaled in either direction: the norms of NumPy are products
//! by a number, which users' functions add.

use cotangent_array::{Array, Complex64};

use super::axes::*;
use super::rule::linear_jvp;
use super::values::*;
use super::{Kinds, Operand, Pad, Part, Rule};
use crate::{
    Arity, Builder, EvalError, TensorType, TypeError, Var, fourier, op_struct, type_error,
};

op_struct! {
    /// The discrete Fourier transform of complex numbers along axes, one after the other:
    /// X_k = sum over j of x_j exp(-2 pi i j k / n) for an axis of length n. With `inverse` the sign
    /// of the exponent is plus. Neither is scaled, so that one after the other multiplies by n.
    /// A line with an infinity or a NaN in it gives NaN everywhere.
    Fft = "fft" {
        /// The axes to transform, increasing.
        axes: Vec<usize>,
        /// Whether the sign of the exponent is plus.
        inverse: bool = |_| false,
    }
}

impl Rule for Fft {
    const DERIVATIVE: &'static str = "fft of the tangent; its own transpose";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        check_dtype(x, Kinds::Complex)?;
        check_axes(x, &self.axes)?;
        Ok((*x).clone())
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let (Some(x), true) = (args.first(), args.len() == 1) else {
            return Err(missing(out));
        };
        let Values::Complex(mut values) = Values::of(x) else {
            return Err(missing(out));
        };
        for axis in &self.axes {
            let lines = Lines::of(out, *axis);
            let mut line = Vec::new();
            for first in lines.firsts() {
                line.clear();
                line.extend(lines.places(first).filter_map(|i| values.get(i).copied()));
                fourier::transform(&mut line, self.inverse);
                for (i, z) in lines.places(first).zip(&line) {
                    values[i] = *z;
                }
            }
        }
        Ok(Values::Complex(values).into_array(out)?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    /// The matrix exp(-2 pi i j k / n) is symmetric.
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Linear(_)] = args else {
            return None;
        };
        Some(vec![Some(b.push(self.clone(), &[cotangent]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(
            Fft {
                axes: shifted(&self.axes),
                inverse: self.inverse,
            },
            args,
        )
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        let Some(x) = args.first() else { return 0 };
        let per_element = (self.axes.iter()).map(|a| 5 * u64::from(logarithm(x.dim(*a))));
        first_elements(args).saturating_mul(per_element.sum::<u64>().max(1))
    }
}

op_struct! {
    /// The first n / 2 + 1 entries of the discrete Fourier transform of n real numbers along an axis,
    /// which determine the others: X_(n-k) is the conjugate of X_k. Not scaled.
    Rfft = "rfft" {
        /// The axis to transform.
        axis: usize,
    }
}

impl Rule for Rfft {
    const DERIVATIVE: &'static str = "rfft of the tangent; transposed irfft(conj(ct) * w, n) with w = 1 at the frequencies 0 and n / 2, else 1/2";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        check_dtype(x, Kinds::Float)?;
        check_axis(x, self.axis)?;
        let n = x.dim(self.axis);
        if n == 0 {
            type_error!(
                "expected an axis of length 1 or more, found {x} along axis {}",
                self.axis
            );
        }
        complex_along(x, self.axis, n / 2 + 1)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let Values::Float(values) = Values::of(x) else {
            return Err(missing(out));
        };
        let from = Lines::of(&type_of(x), self.axis);
        let to = Lines::of(out, self.axis);
        let mut results = filled(out, Complex64::new(0.0, 0.0))?;
        for (first, start) in from.firsts().zip(to.firsts()) {
            let mut line: Vec<Complex64> = from
                .places(first)
                .filter_map(|i| values.get(i).map(|x| Complex64::new(*x, 0.0)))
                .collect();
            fourier::transform(&mut line, false);
            for (i, z) in to.places(start).zip(line) {
                results[i] = z;
            }
        }
        Ok(Values::Complex(results).into_array(out)?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    /// Re(sum_k ct_k X_k) = sum_j x_j sum_k Re(ct_k exp(-2 pi i j k / n)) over the entries that are
    /// there. `irfft` of the conjugates gives these sums, but counts the entries that have a partner
    /// twice.
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Linear(x)] = args else {
            return None;
        };
        let n = x.dim(self.axis);
        let conjugate = b.part(Part::Conj, cotangent);
        let halved = weigh(b, conjugate, self.axis, n, 0.5);
        let back = Irfft { axis: self.axis, n };
        Some(vec![Some(b.push(back, &[halved]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        let axis = self.axis.saturating_add(1);
        b.push(Rfft { axis }, args)
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        let n = args.first().map_or(1, |x| x.dim(self.axis));
        first_elements(args).saturating_mul(3 * u64::from(logarithm(n)))
    }
}

op_struct! {
    /// The n real numbers along an axis that n / 2 + 1 entries of a Fourier transform determine:
    /// x_j = sum over k from 0 to n - 1 of X_k exp(2 pi i j k / n), where X_(n-k) stands for the
    /// conjugate of X_k. The imaginary parts of X_0 and, for even n, X_(n/2) are left out. Not scaled:
    /// irfft(rfft(x)) is n x.
    Irfft = "irfft" {
        /// The axis to transform.
        axis: usize,
        /// The length of the axis in the result.
        n: usize,
    }
}

impl Rule for Irfft {
    const DERIVATIVE: &'static str = "irfft of the tangent; transposed conj(rfft(ct)) * w with w = 1 at the frequencies 0 and n / 2, else 2";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        check_dtype(x, Kinds::Complex)?;
        check_axis(x, self.axis)?;
        if self.n == 0 {
            type_error!("expected n of 1 or more, found 0");
        }
        let (wanted, found) = (self.n / 2 + 1, x.dim(self.axis));
        if found != wanted {
            type_error!(
                "expected {wanted} entries along axis {} for n = {}, found {found}",
                self.axis,
                self.n
            );
        }
        let dims = with_length(x, self.axis, self.n);
        Ok(TensorType::new(x.dtype.real(), dims))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let Values::Complex(values) = Values::of(x) else {
            return Err(missing(out));
        };
        let from = Lines::of(&type_of(x), self.axis);
        let to = Lines::of(out, self.axis);
        let mut results = filled(out, 0.0)?;
        for (first, start) in from.firsts().zip(to.firsts()) {
            let half: Vec<Complex64> = from
                .places(first)
                .filter_map(|i| values.get(i).copied())
                .collect();
            let mut line = match half.iter().all(|z| z.is_finite()) {
                true => whole(&half, self.n),
                false => vec![Complex64::new(f64::NAN, f64::NAN); self.n],
            };
            fourier::transform(&mut line, true);
            for (i, z) in to.places(start).zip(line) {
                results[i] = z.re;
            }
        }
        Ok(Values::Float(results).into_array(out)?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    /// x_j = sum_k w_k Re(X_k exp(2 pi i j k / n)) over the entries that are there, where those with a
    /// partner count twice; so the cotangent of X_k is w_k sum_j ct_j exp(2 pi i j k / n).
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Linear(_)] = args else {
            return None;
        };
        let forward = b.push(Rfft { axis: self.axis }, &[cotangent]);
        let conjugate = b.part(Part::Conj, forward);
        Some(vec![Some(weigh(b, conjugate, self.axis, self.n, 2.0))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        let axis = self.axis.saturating_add(1);
        b.push(Irfft { axis, n: self.n }, args)
    }

    fn cost(&self, _args: &[&TensorType], out: &TensorType) -> u64 {
        (out.shape.elements() as u64).saturating_mul(3 * u64::from(logarithm(self.n)))
    }
}

/// All n entries of the transform of real numbers from the first n / 2 + 1.
fn whole(half: &[Complex64], n: usize) -> Vec<Complex64> {
    (0..n)
        .map(|k| {
            let real = |z: Complex64| Complex64::new(z.re, 0.0);
            let at = |k: usize| half.get(k).copied().unwrap_or(Complex64::new(0.0, 0.0));
            match n - k {
                // The entries that are their own partners.
                partner if k == 0 || partner == k => real(at(k)),
                partner if partner < k => at(partner).conj(),
                _ => at(k),
            }
        })
        .collect()
}

/// The product by 1 at frequency 0 and, for even n, n / 2, by `weight` at the others along the axis.
fn weigh(b: &mut Builder, x: Var, axis: usize, n: usize, weight: f64) -> Var {
    let ty = b.tensor(x);
    let last = usize::from(n.is_multiple_of(2) && n > 1);
    let between = (n / 2).saturating_sub(last);
    if between == 0 {
        return x;
    }
    let weights = b.full(
        cotangent_array::Scalar::from_f64(ty.dtype, weight),
        [between],
    );
    let one = b.scalar(ty.dtype, 1.0);
    let pad = Pad {
        low: vec![1],
        high: vec![last],
        interior: vec![0],
    };
    let weights = b.push(pad, &[weights, one]);
    let weights = b.broadcast(weights, ty.shape, &[axis]);
    b.mul(x, weights)
}

/// Complex numbers with the parts of `x` and another length along the axis.
fn complex_along(x: &TensorType, axis: usize, length: usize) -> Result<TensorType, TypeError> {
    match x.dtype.complex() {
        Some(dtype) => Ok(TensorType::new(dtype, with_length(x, axis, length))),
        None => type_error!("expected f64 or f32, found {}", x.dtype),
    }
}

fn with_length(x: &TensorType, axis: usize, length: usize) -> Vec<usize> {
    let mut dims = x.shape.dims().to_vec();
    if let Some(dim) = dims.get_mut(axis) {
        *dim = length;
    }
    dims
}

fn type_of(x: &Array) -> TensorType {
    TensorType::new(x.dtype(), x.shape().clone())
}

/// The number of halvings that lead from n to 1, at least 1.
fn logarithm(n: usize) -> u32 {
    n.max(2).next_power_of_two().ilog2()
}

/// The lines of an array along an axis.
struct Lines {
    outer: usize,
    n: usize,
    inner: usize,
}

impl Lines {
    fn of(ty: &TensorType, axis: usize) -> Lines {
        let n = ty.dim(axis);
        let inner: usize = match ty.shape.elements() {
            0 => 0,
            _ => ty.shape.dims().iter().skip(axis + 1).product(),
        };
        let outer = ty.shape.elements() / (n * inner).max(1);
        Lines { outer, n, inner }
    }

    /// The flat position of the first element of each line.
    fn firsts(&self) -> impl Iterator<Item = usize> + use<> {
        let (block, inner) = (self.n * self.inner, self.inner);
        (0..self.outer).flat_map(move |o| (0..inner).map(move |i| o * block + i))
    }

    /// The flat positions of the elements of the line that starts there.
    fn places(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let inner = self.inner;
        (0..self.n).map(move |j| first + j * inner)
    }
}

#[cfg(test)]
#[path = "fft_tests.rs"]
mod tests;
