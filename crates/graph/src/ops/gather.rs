//! `gather` and `scatter_add`: elements at positions that are computed, each the other's
//! transpose.

use cotangent_array::{Array, Complex64, Scalar, Shape};

use super::axes::{filled, missing, repeated};
use super::moves::{leading, repeat_all};
use super::{Operand, Rule, Values};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// Elements of the first operand, x, at the positions that the other operands give. These, k
    /// of them, have one shape and one integer dtype; number j gives positions along axis
    /// axis + j of x. The first `batch` axes are shared by x and the indices. The result has the
    /// shape x.shape[..axis], indices.shape[batch..], x.shape[axis + k..]. With batch = 0 it is
    /// NumPy's x[.., i0, i1, ..]. Every index must be from 0 to before the length of its axis,
    /// also where the result has no elements; anything else is an error when it runs.
    Gather = "gather" {
        /// The axis of x that the first index counts along, `batch` or more.
        axis: usize,
        /// The number of leading axes that x and the indices share.
        batch: usize = |_| 0,
    }
}

impl Rule for Gather {
    const DERIVATIVE: &'static str = "linear in the first operand; transposed: scatter_add";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::AtLeast(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let Some((x, indices)) = args.split_first() else {
            type_error!("expected 2 or more operands, found 0");
        };
        Ok(x.with_shape(result_shape(&x.shape, indices, self.axis, self.batch)?))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x, first, rest @ ..] = args else {
            return Err(missing(out));
        };
        let walk = Walk::new(x.shape(), first, rest, self.axis, self.batch)?;
        let elements = walk
            .places(out.shape.elements())
            .filter_map(|place| x.at(place));
        Ok(Array::from_scalars(out.dtype, &out.shape, elements)?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        on_first_tangent(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        transpose_first(b, args, cotangent, |x| {
            ScatterAdd {
                shape: x.shape.clone(),
                axis: self.axis,
                batch: self.batch,
            }
            .into()
        })
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let (Some(x), Some(x_batched)) = (args.first(), batched.first()) else {
            return Var::POISON;
        };
        let indices_batched = batched.iter().skip(1).any(|batched| *batched);
        if self.batch == 0 && !indices_batched {
            return b.push(
                Gather {
                    axis: self.axis.saturating_add(1),
                    batch: 0,
                },
                args,
            );
        }
        if self.batch == 0 && !x_batched {
            // All indices at once; the axis of the batch then stands where theirs begin.
            let mut operands = vec![*x];
            for (index, batched) in args.iter().zip(batched).skip(1) {
                operands.push(if *batched {
                    *index
                } else {
                    repeated(b, *index, size)
                });
            }
            let y = b.push(self.clone(), &operands);
            let rest = (0..b.rank(y)).filter(|a| *a != self.axis);
            let axes = leading(self.axis, &rest.collect::<Vec<usize>>());
            return b.transpose(y, &axes);
        }
        let operands = repeat_all(b, args, batched, size);
        let op = Gather {
            axis: self.axis.saturating_add(1),
            batch: self.batch.saturating_add(1),
        };
        b.push(op, &operands)
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

crate::op_struct! {
    /// The transpose of `gather`: an array of zeros to which the first operand, the updates, is
    /// added at the positions that the other operands give, as in `gather`. The updates have the
    /// shape that `gather` would give for an operand of shape `shape`; they are added in
    /// row-major order, several to one place where indices repeat. Integers wrap.
    ScatterAdd = "scatter_add" {
        /// The shape of the result.
        shape: Shape,
        /// The axis of the result that the first index counts along, `batch` or more.
        axis: usize,
        /// The number of leading axes that the result and the indices share.
        batch: usize = |_| 0,
    }
}

impl Rule for ScatterAdd {
    const DERIVATIVE: &'static str = "linear in the first operand; transposed: gather";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::AtLeast(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let Some((updates, indices)) = args.split_first() else {
            type_error!("expected 2 or more operands, found 0");
        };
        if updates.dtype.is_bool() {
            type_error!("expected updates of a float or an integer dtype, found bool");
        }
        let expected = result_shape(&self.shape, indices, self.axis, self.batch)?;
        if updates.shape != expected {
            type_error!(
                "expected updates of shape {expected}, found {}",
                updates.shape
            );
        }
        Ok(updates.with_shape(&self.shape))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [updates, first, rest @ ..] = args else {
            return Err(missing(out));
        };
        let walk = Walk::new(&out.shape, first, rest, self.axis, self.batch)?;
        let places = walk.places(updates.len());
        let sums = match Values::of(updates) {
            Values::Float(updates) => {
                let mut sums = filled(out, 0.0)?;
                for (place, update) in places.zip(updates) {
                    if let Some(sum) = sums.get_mut(place) {
                        *sum += update;
                    }
                }
                Values::Float(sums)
            }
            Values::Complex(updates) => {
                let mut sums = filled(out, Complex64::new(0.0, 0.0))?;
                for (place, update) in places.zip(updates) {
                    if let Some(sum) = sums.get_mut(place) {
                        *sum += update;
                    }
                }
                Values::Complex(sums)
            }
            Values::Int(updates) => {
                let mut sums = filled(out, 0_i64)?;
                for (place, update) in places.zip(updates) {
                    if let Some(sum) = sums.get_mut(place) {
                        *sum = sum.wrapping_add(update);
                    }
                }
                Values::Int(sums)
            }
        };
        Ok(sums.into_array(out)?)
    }

    fn jvp(&self, b: &mut Builder, args: &[Var], _: Var, tangents: &[Option<Var>]) -> Option<Var> {
        on_first_tangent(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        transpose_first(b, args, cotangent, |_| {
            Gather {
                axis: self.axis,
                batch: self.batch,
            }
            .into()
        })
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let shape = leading(size, &self.shape).into();
        let axis = self.axis.saturating_add(1);
        let indices_batched = batched.iter().skip(1).any(|batched| *batched);
        if self.batch == 0 && !indices_batched {
            return b.push(
                ScatterAdd {
                    shape,
                    axis,
                    batch: 0,
                },
                args,
            );
        }
        let operands = repeat_all(b, args, batched, size);
        b.push(
            ScatterAdd {
                shape,
                axis,
                batch: self.batch.saturating_add(1),
            },
            &operands,
        )
    }

    fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64 {
        let updates = args.first().map_or(0, |u| u.shape.elements() as u64);
        updates.saturating_add(out.shape.elements() as u64)
    }
}

/// The shape that `gather` gives for an operand of this shape, or why the operands do not fit.
fn result_shape(
    shape: &[usize],
    indices: &[&TensorType],
    axis: usize,
    batch: usize,
) -> Result<Shape, TypeError> {
    let Some((first, rest)) = indices.split_first() else {
        type_error!("expected 1 or more indices, found 0");
    };
    if !first.dtype.is_int() {
        type_error!(
            "expected indices of an integer dtype, found {}",
            first.dtype
        );
    }
    if let Some(other) = rest.iter().find(|other| *other != first) {
        type_error!("expected indices of one type, found {first} and {other}");
    }
    if batch > axis {
        type_error!("expected an axis of {batch} or more, the number of shared axes, found {axis}");
    }
    let (Some(before), Some(after)) = (
        shape.get(..axis),
        axis.checked_add(indices.len())
            .and_then(|end| shape.get(end..)),
    ) else {
        type_error!(
            "expected {} axes from axis {axis} on, one for each index, found shape {}",
            indices.len(),
            Shape::from(shape)
        );
    };
    let Some((shared, own)) = first.shape.split_at_checked(batch) else {
        type_error!(
            "expected indices of {batch} axes or more, found shape {}",
            first.shape
        );
    };
    if before.get(..batch) != Some(shared) {
        type_error!(
            "expected indices whose first {batch} axes are those of {}, found shape {}",
            Shape::from(shape),
            first.shape
        );
    }
    Ok(before.iter().chain(own).chain(after).copied().collect())
}

/// The way through an array that is gathered from or scattered to, in row-major order of what is
/// gathered. The array is seen as [batch, outer, indexed, inner] and the indices as [batch, own].
struct Walk {
    outer: usize,
    indexed: usize,
    inner: usize,
    own: usize,
    /// For each element of the indices the position that they give together among `indexed`.
    picks: Vec<usize>,
}

impl Walk {
    /// # Errors
    /// The first index that is out of range.
    fn new(
        shape: &[usize],
        first: &Array,
        rest: &[&Array],
        axis: usize,
        batch: usize,
    ) -> Result<Walk, EvalError> {
        let part = |from: usize, to: usize| {
            Shape::from(shape.get(from..to.min(shape.len())).unwrap_or_default())
        };
        let end = axis.saturating_add(1).saturating_add(rest.len());
        let indexed = part(axis, end);
        let mut picks = vec![0_usize; first.len()];
        // Wrapping, because an array without elements may have strides beyond all bounds.
        let indices = std::iter::once(first).chain(rest.iter().copied());
        for ((index, stride), length) in indices.zip(indexed.strides()).zip(&indexed) {
            for (pick, i) in picks.iter_mut().zip(index.scalars().map(Scalar::to_i64)) {
                match usize::try_from(i) {
                    Ok(at) if at < *length => {
                        *pick = pick.wrapping_add(at.wrapping_mul(stride));
                    }
                    _ => {
                        return Err(EvalError::IndexOutOfRange {
                            index: i,
                            length: *length,
                        });
                    }
                }
            }
        }
        Ok(Walk {
            outer: part(batch, axis).elements(),
            indexed: indexed.elements(),
            inner: part(end, shape.len()).elements(),
            own: Shape::from(first.shape().get(batch..).unwrap_or_default()).elements(),
            picks,
        })
    }

    /// The flat positions in the array, one for each of the `count` elements gathered.
    fn places(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        // Without elements the products below might not fit; with some, they are all within the
        // array.
        let picks = if count == 0 { &[][..] } else { &self.picks[..] };
        picks
            .chunks(self.own.max(1))
            .enumerate()
            .flat_map(move |(member, picks)| {
                (0..self.outer).flat_map(move |o| {
                    picks.iter().flat_map(move |pick| {
                        let start = ((member * self.outer + o) * self.indexed + pick) * self.inner;
                        start..start + self.inner
                    })
                })
            })
    }
}

/// The operation on the tangent of the first operand, with the same indices; these never vary.
fn on_first_tangent(
    op: impl Into<crate::Op>,
    b: &mut Builder,
    args: &[Var],
    tangents: &[Option<Var>],
) -> Option<Var> {
    let mut operands = args.to_vec();
    *operands.first_mut()? = (*tangents.first()?)?;
    Some(b.push(op, &operands))
}

/// The transpose of an operation that is linear in its first operand: another operation on the
/// cotangent, with the same indices.
fn transpose_first(
    b: &mut Builder,
    args: &[Operand],
    cotangent: Var,
    op: impl FnOnce(&TensorType) -> crate::Op,
) -> Option<Vec<Option<Var>>> {
    let (first, indices) = args.split_first()?;
    let mut operands = vec![cotangent];
    for index in indices {
        operands.push(index.known()?);
    }
    let mut cotangents = vec![None; args.len()];
    if let Operand::Linear(ty) = first {
        *cotangents.first_mut()? = Some(b.push(op(ty), &operands));
    }
    Some(cotangents)
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
