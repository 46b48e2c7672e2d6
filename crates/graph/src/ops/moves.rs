//! Moves of whole arrays: `reshape`, `transpose`, `broadcast` and `reverse`.

use cotangent_array::{Array, Shape};

use super::axes::{missing, repeated, shifted};
use super::rule::linear_jvp;
use super::{Operand, Rule, flat, move_elements};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// The same elements in the same row-major order, in another shape of as many elements.
    Reshape = "reshape" {
        /// The shape of the result.
        shape: Shape,
    }
}

impl Rule for Reshape {
    const DERIVATIVE: &'static str = "linear; transposed: reshape to the operand's shape";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        match (x.shape.checked_elements(), self.shape.checked_elements()) {
            (Some(expected), Some(found)) if expected == found => Ok(x.with_shape(&self.shape)),
            (expected, found) => type_error!(
                "expected a shape of {} elements to reshape {} to, found {} of {}",
                count(expected),
                x.shape,
                self.shape,
                count(found),
            ),
        }
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        Ok(x.reshape(&out.shape)?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        transpose_one(b, args, |b, x| b.reshape(cotangent, &x.shape))
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], size: usize) -> Var {
        b.push(
            Reshape {
                shape: leading(size, &self.shape).into(),
            },
            args,
        )
    }

    fn cost(&self, _: &[&TensorType], _: &TensorType) -> u64 {
        0
    }
}

crate::op_struct! {
    /// The axes in another order: axis `i` of the result is axis `axes[i]` of the operand.
    Transpose = "transpose" {
        /// For each axis of the result the axis of the operand: a permutation.
        axes: Vec<usize>,
    }
}

impl Rule for Transpose {
    const DERIVATIVE: &'static str = "linear; transposed: the inverse permutation";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        if self.axes.len() != x.rank() || !distinct(&self.axes, x.rank()) {
            type_error!(
                "expected axes to be a permutation of 0..{}, found {:?}",
                x.rank(),
                self.axes
            );
        }
        Ok(x.with_shape(self.axes.iter().map(|a| x.dim(*a)).collect::<Shape>()))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let strides = x.shape().strides();
        let strides: Vec<usize> = self
            .axes
            .iter()
            .map(|a| strides.get(*a).copied().unwrap_or(0))
            .collect();
        Ok(move_elements(x, out, None, |index| {
            Some(flat(index.iter().copied(), &strides))
        })?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        transpose_one(b, args, |b, _| b.transpose(cotangent, &inverse(&self.axes)))
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], _: usize) -> Var {
        b.push(
            Transpose {
                axes: leading(0, &shifted(&self.axes)),
            },
            args,
        )
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

crate::op_struct! {
    /// The operand repeated along new axes: axis `i` of the operand becomes axis `dims[i]` of the
    /// result, of the same length; along every other axis all elements are equal.
    Broadcast = "broadcast" {
        /// The shape of the result.
        shape: Shape,
        /// For each axis of the operand the axis of the result, strictly increasing.
        dims: Vec<usize>,
    }
}

impl Rule for Broadcast {
    const DERIVATIVE: &'static str = "linear; transposed: the sum over the new axes";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        let rank = self.shape.rank();
        if self.dims.len() != x.rank() {
            type_error!(
                "expected dims to name {} axes, one for each axis of the operand, found {:?}",
                x.rank(),
                self.dims
            );
        }
        if !self.dims.is_sorted_by(|a, b| a < b) || self.dims.iter().any(|d| *d >= rank) {
            type_error!(
                "expected dims to be strictly increasing and below {rank}, found {:?}",
                self.dims
            );
        }
        let result = x.with_shape(&self.shape);
        for (axis, dim) in self.dims.iter().enumerate() {
            if x.dim(axis) != result.dim(*dim) {
                type_error!(
                    "expected axis {dim} of {} to have length {}, as axis {axis} of the operand \
                     has, found {}",
                    self.shape,
                    x.dim(axis),
                    result.dim(*dim)
                );
            }
        }
        Ok(result)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        // A stride of 0 repeats the operand along the new axes.
        let mut strides = vec![0; out.rank()];
        for (dim, stride) in self.dims.iter().zip(x.shape().strides()) {
            if let Some(s) = strides.get_mut(*dim) {
                *s = stride;
            }
        }
        Ok(move_elements(x, out, None, |index| {
            Some(flat(index.iter().copied(), &strides))
        })?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let new: Vec<usize> = (0..self.shape.rank())
            .filter(|a| !self.dims.contains(a))
            .collect();
        transpose_one(b, args, |b, _| b.sum(cotangent, &new))
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], size: usize) -> Var {
        let shape = leading(size, &self.shape).into();
        b.push(
            Broadcast {
                shape,
                dims: leading(0, &shifted(&self.dims)),
            },
            args,
        )
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

crate::op_struct! {
    /// The elements in the opposite order along some axes.
    Reverse = "reverse" {
        /// The axes to run backwards, each at most once.
        axes: Vec<usize>,
    }
}

impl Rule for Reverse {
    const DERIVATIVE: &'static str = "linear; transposed: itself";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x] = args else {
            type_error!("expected 1 operand, found {}", args.len())
        };
        if !distinct(&self.axes, x.rank()) {
            type_error!(
                "expected different axes below {}, found {:?}",
                x.rank(),
                self.axes
            );
        }
        Ok((*x).clone())
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let strides = x.shape().strides();
        let mut backwards = vec![false; out.rank()];
        for axis in &self.axes {
            if let Some(back) = backwards.get_mut(*axis) {
                *back = true;
            }
        }
        let dims = out.shape.dims();
        let elements = move_elements(x, out, None, |index| {
            let axes = index.iter().zip(dims).zip(&backwards);
            Some(flat(
                axes.map(|((i, n), back)| if *back { n - 1 - i } else { *i }),
                &strides,
            ))
        })?;
        Ok(elements)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        transpose_one(b, args, |b, _| b.push(self.clone(), &[cotangent]))
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], _: usize) -> Var {
        b.push(
            Reverse {
                axes: shifted(&self.axes),
            },
            args,
        )
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

/// The cotangents of an operation of one operand: what `rule` gives where the operand is linear.
pub(super) fn transpose_one(
    b: &mut Builder,
    args: &[Operand],
    rule: impl FnOnce(&mut Builder, &TensorType) -> Var,
) -> Option<Vec<Option<Var>>> {
    match args {
        [Operand::Linear(x)] => Some(vec![Some(rule(b, x))]),
        [Operand::Known(_)] => Some(vec![None]),
        _ => None,
    }
}

/// A list with one more entry in front, as for the axis of a batch.
pub(super) fn leading(first: usize, rest: &[usize]) -> Vec<usize> {
    let mut list = Vec::with_capacity(rest.len().saturating_add(1));
    list.push(first);
    list.extend_from_slice(rest);
    list
}

/// All operands with the leading axis of a batch: those that lack it are repeated along it.
pub(super) fn repeat_all(b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
    args.iter()
        .zip(batched)
        .map(|(x, batched)| if *batched { *x } else { repeated(b, *x, size) })
        .collect()
}

/// Whether all axes are below the rank and none is named twice.
fn distinct(axes: &[usize], rank: usize) -> bool {
    let mut seen = vec![false; rank];
    axes.iter().all(|a| {
        seen.get_mut(*a)
            .is_some_and(|seen| !std::mem::replace(seen, true))
    })
}

/// The permutation that undoes this one.
fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    for (i, axis) in axes.iter().enumerate() {
        if let Some(place) = inverse.get_mut(*axis) {
            *place = i;
        }
    }
    inverse
}

fn count(elements: Option<usize>) -> String {
    elements.map_or_else(|| "too many to count".to_owned(), |n| n.to_string())
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;
