//! Products of arrays summed over pairs of axes: every product of vectors and matrices.

use cotangent_array::{Array, Complex64, Indices, Shape};

use super::axes::*;
use super::values::*;
use super::{Kinds, Operand, Rule};
use crate::{
    Arity, Builder, EvalError, TensorType, TypeError, Var, complex, op_struct, type_error,
};

op_struct! {
    /// The products of two arrays, summed over pairs of axes (a tensor contraction).
    /// The result has the batch axes, then the axes of the first operand that are left (its free
    /// axes), then those of the second. Matrix times matrix is `contract=([1], [0])`, the outer
    /// product `contract=([], [])`. Floats are added in f64 in row-major order of the contracted
    /// axes and rounded once; integers wrap; complex operands are not conjugated.
    Dot = "dot" {
        /// Axes of the first and of the second operand that are summed over, in pairs of one size.
        contract: (Vec<usize>, Vec<usize>),
        /// Axes that both operands share: the product is taken for each of their indices.
        batch: (Vec<usize>, Vec<usize>) = |_| (Vec::new(), Vec::new()),
    }
}

impl Rule for Dot {
    const DERIVATIVE: &'static str = "dot(tx, y) + dot(x, ty)";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [x, y] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        if x.dtype != y.dtype {
            type_error!(
                "expected operands of one dtype, found {} and {}",
                x.dtype,
                y.dtype
            );
        }
        check_dtype(x, Kinds::Numeric)?;
        check_pairs("contract", x, y, &self.contract)?;
        check_pairs("batch", x, y, &self.batch)?;
        check_once("first", &self.contract.0, &self.batch.0)?;
        check_once("second", &self.contract.1, &self.batch.1)?;
        let free = self.free_axes(x.rank(), y.rank());
        let batch = self.batch.0.iter().map(|a| x.dim(*a));
        let lhs = free.0.iter().map(|a| x.dim(*a));
        let rhs = free.1.iter().map(|a| y.dim(*a));
        Ok(x.with_shape(batch.chain(lhs).chain(rhs).collect::<Shape>()))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x, y] = args else {
            return Err(missing(out));
        };
        let products = match (Values::of(x), Values::of(y)) {
            (Values::Float(v), Values::Float(w)) => {
                Values::Float(self.products(x, y, out, 0.0, |sum, i, j| sum + v[i] * w[j])?)
            }
            (Values::Complex(v), Values::Complex(w)) => {
                let zero = Complex64::new(0.0, 0.0);
                let add = |sum, i: usize, j: usize| sum + complex::mul(v[i], w[j]);
                Values::Complex(self.products(x, y, out, zero, add)?)
            }
            (Values::Int(v), Values::Int(w)) => {
                let add = |sum: i64, i: usize, j: usize| sum.wrapping_add(v[i].wrapping_mul(w[j]));
                Values::Int(self.products(x, y, out, 0, add)?)
            }
            _ => return Err(missing(out)),
        };
        Ok(products.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        _out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        let (&[x, y], &[tx, ty]) = (args, tangents) else {
            return None;
        };
        let left = tx.map(|tx| b.push(self.clone(), &[tx, y]));
        let right = ty.map(|ty| b.push(self.clone(), &[x, ty]));
        match (left, right) {
            (Some(left), Some(right)) => Some(b.add(left, right)),
            (left, right) => left.or(right),
        }
    }

    /// The cotangent times the other operand, summed over the other operand's free axes. The order
    /// of the two is chosen so that the usual products of matrices need no transposed result.
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [x, y] = args else { return None };
        let free = self.free_axes(x.ty(b).rank(), y.ty(b).rank());
        let batch: Vec<usize> = (0..self.batch.0.len()).collect();
        let (left, right) = (batch.len(), batch.len() + free.0.len());
        match (x, y) {
            (Operand::Linear(_), Operand::Known(y)) => {
                let rest: Vec<usize> = (right..right + free.1.len()).collect();
                let op = Dot {
                    contract: (rest, free.1),
                    batch: (batch, self.batch.1.clone()),
                };
                let product = b.push(op, &[cotangent, *y]);
                let contracted = partners(&self.contract.1, &self.contract.0);
                let order = [&self.batch.0[..], &free.0, &contracted].concat();
                Some(vec![Some(restored(b, product, &order)), None])
            }
            (Operand::Known(x), Operand::Linear(_)) => {
                let rest: Vec<usize> = (left..right).collect();
                let op = Dot {
                    contract: (free.0, rest),
                    batch: (self.batch.0.clone(), batch),
                };
                let product = b.push(op, &[*x, cotangent]);
                let contracted = partners(&self.contract.0, &self.contract.1);
                let order = [&self.batch.1[..], &contracted, &free.1].concat();
                Some(vec![None, Some(restored(b, product, &order))])
            }
            _ => None,
        }
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], _size: usize) -> Var {
        let (left, right) = match batched {
            [left, right] => (*left, *right),
            _ => (false, false),
        };
        let moved = |axes: &[usize], yes: bool| if yes { shifted(axes) } else { axes.to_vec() };
        let both = |axes: &(Vec<usize>, Vec<usize>)| (moved(&axes.0, left), moved(&axes.1, right));
        let mut op = Dot {
            contract: both(&self.contract),
            batch: both(&self.batch),
        };
        if left && right {
            op.batch.0.insert(0, 0);
            op.batch.1.insert(0, 0);
            return b.push(op, args);
        }
        // The batch axis is the first free axis of its operand; the result gets it in front.
        let rank = |b: &Builder, i: usize| args.get(i).map_or(0, |a| b.rank(*a));
        let lhs_free = rank(b, 0).saturating_sub(op.contract.0.len() + op.batch.0.len());
        let place = op.batch.0.len() + if right { lhs_free } else { 0 };
        let product = b.push(op, args);
        let rank = b.rank(product);
        let mut axes: Vec<usize> = (0..rank).filter(|a| *a != place).collect();
        axes.insert(0, place);
        b.transpose(product, &axes)
    }

    fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64 {
        let sizes = |x: &&TensorType| self.contract.0.iter().map(|a| x.dim(*a)).collect::<Shape>();
        let terms = args.first().map_or(0, |x| sizes(x).elements() as u64);
        (out.shape.elements() as u64)
            .saturating_mul(terms)
            .saturating_mul(2)
    }
}

impl Dot {
    /// The same product of the operands in the other order: the free axes of its result change places.
    pub fn flipped(&self) -> Dot {
        let flip = |(x, y): &(Vec<usize>, Vec<usize>)| (y.clone(), x.clone());
        Dot {
            contract: flip(&self.contract),
            batch: flip(&self.batch),
        }
    }

    /// The axes of operands of these ranks that are neither summed over nor shared.
    pub fn free_axes(&self, lhs_rank: usize, rhs_rank: usize) -> (Vec<usize>, Vec<usize>) {
        let free = |rank: usize, contract: &[usize], batch: &[usize]| {
            (0..rank)
                .filter(|a| !contract.contains(a) && !batch.contains(a))
                .collect()
        };
        (
            free(lhs_rank, &self.contract.0, &self.batch.0),
            free(rhs_rank, &self.contract.1, &self.batch.1),
        )
    }

    /// Folds the pairs of flat positions that each element of the result sums over.
    fn products<A: Copy>(
        &self,
        x: &Array,
        y: &Array,
        out: &TensorType,
        start: A,
        add: impl Fn(A, usize, usize) -> A,
    ) -> Result<Vec<A>, EvalError> {
        let mut sums = filled(out, start)?;
        if sums.is_empty() || x.is_empty() {
            return Ok(sums);
        }
        let picked = |strides: &[usize], axes: &[usize]| -> Vec<usize> {
            axes.iter()
                .filter_map(|a| strides.get(*a).copied())
                .collect()
        };
        let (xs, ys) = (x.shape().strides(), y.shape().strides());
        let (x_terms, y_terms) = (picked(&xs, &self.contract.0), picked(&ys, &self.contract.1));
        let sizes: Shape = self
            .contract
            .0
            .iter()
            .filter_map(|a| x.shape().get(*a).copied())
            .collect();
        let mut terms = Vec::with_capacity(sizes.elements());
        let mut indices = Indices::new(&sizes);
        while let Some(index) = indices.next_index() {
            let (i, j) = (index.iter().copied(), index.iter().copied());
            terms.push((flat(i, &x_terms), flat(j, &y_terms)));
        }
        let free = self.free_axes(x.rank(), y.rank());
        let none = |axes: &[usize]| vec![0; axes.len()];
        let x_base = [
            picked(&xs, &self.batch.0),
            picked(&xs, &free.0),
            none(&free.1),
        ]
        .concat();
        let y_base = [
            picked(&ys, &self.batch.1),
            none(&free.0),
            picked(&ys, &free.1),
        ]
        .concat();
        let mut indices = Indices::new(&out.shape);
        for sum in &mut sums {
            let Some(index) = indices.next_index() else {
                break;
            };
            let i = flat(index.iter().copied(), &x_base);
            let j = flat(index.iter().copied(), &y_base);
            *sum = terms
                .iter()
                .fold(*sum, |sum, (di, dj)| add(sum, i + di, j + dj));
        }
        Ok(sums)
    }
}

/// Fails unless the lists name axes of both operands in pairs of one size.
fn check_pairs(
    what: &str,
    x: &TensorType,
    y: &TensorType,
    axes: &(Vec<usize>, Vec<usize>),
) -> Result<(), TypeError> {
    if axes.0.len() != axes.1.len() {
        type_error!(
            "expected {what} to name as many axes of the first operand as of the second, found {:?} and {:?}",
            axes.0,
            axes.1
        );
    }
    for (i, j) in axes.0.iter().zip(&axes.1) {
        check_axis(x, *i)?;
        check_axis(y, *j)?;
        if x.dim(*i) != y.dim(*j) {
            type_error!(
                "expected {what} axes of one size, found {} (axis {i} of {x}) and {} (axis {j} of {y})",
                x.dim(*i),
                y.dim(*j)
            );
        }
    }
    Ok(())
}

/// Fails when an axis of one operand is named twice.
fn check_once(operand: &str, contract: &[usize], batch: &[usize]) -> Result<(), TypeError> {
    let mut all = [contract, batch].concat();
    all.sort_unstable();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            type_error!(
                "expected each axis at most once, found axis {} of the {operand} operand twice",
                pair[0]
            )
        }
        None => Ok(()),
    }
}

/// The partners in `theirs` of the axes in `mine`, in increasing order of `mine`.
fn partners(mine: &[usize], theirs: &[usize]) -> Vec<usize> {
    let mut pairs: Vec<(usize, usize)> = mine.iter().copied().zip(theirs.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, theirs)| theirs).collect()
}

/// A product whose axis `i` is axis `order[i]` of an operand, with the operand's order of axes.
fn restored(b: &mut Builder, product: Var, order: &[usize]) -> Var {
    let mut axes = vec![0; order.len()];
    for (at, axis) in order.iter().enumerate() {
        if let Some(place) = axes.get_mut(*axis) {
            *place = at;
        }
    }
    b.transpose(product, &axes)
}

#[cfg(test)]
#[path = "dot_tests.rs"]
mod tests;
