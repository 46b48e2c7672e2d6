//! `solve`.

use crate::ops::Operand;
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::triangular_solve::system;
use super::{LinalgRule, MatrixFault, Shape2, dense};

op_struct! {
    /// The solution x of op(a) x = b with square a, [.., n, n], and b, [.., n, k], by elimination
    /// with partial pivoting.
    Solve = "solve" {
        /// Whether op(a) is aᵀ.
        transposed: bool = |_| false,
    }
}

impl LinalgRule for Solve {
    const DERIVATIVE: &'static str = "op(a)⁻¹ (tb - op(ta) x)";
    const CONVENTION: &'static str = "a singular matrix, of which a pivot is 0, is an error when it runs; an entry of a that is not finite makes all of its solution NaN.";
    const AXES: &'static [usize] = &[2, 2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        system(args)
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes.first().map_or(0, |s| s.len().saturating_add(s.rows))
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        let ([s, right], [a, b], [x]) = (shapes, args, outs) else {
            return Ok(());
        };
        let own = &mut work[..s.len()];
        if self.transposed {
            dense::transpose(a, own, s.columns);
        } else {
            own.copy_from_slice(a);
        }
        dense::solve(b, x, s.rows, right.columns, work)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        outs: &[Var],
        tangents: &[Option<Var>],
    ) -> Vec<Option<Var>> {
        let (&[a, _], &[x], &[ta, tb]) = (args, outs, tangents) else {
            return vec![None];
        };
        let moved = ta.map(|ta| {
            let product = if self.transposed {
                tmm(b, ta, x)
            } else {
                mm(b, ta, x)
            };
            b.neg(product)
        });
        let right = sum(b, tb, moved);
        vec![right.map(|right| b.push(self.clone(), &[a, right]))]
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangents: &[Var],
    ) -> Option<Vec<Option<Var>>> {
        let ([Operand::Known(a), Operand::Linear(_)], [ct]) = (args, cotangents) else {
            return None;
        };
        let op = Solve {
            transposed: !self.transposed,
        };
        Some(vec![None, Some(b.push(op, &[*a, *ct]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        batch_system(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        let columns = args.get(1).map_or(1, |t| Shape2::of(t, 2).columns as u64);
        let both = squares(args).saturating_mul(columns).saturating_mul(2);
        cubes(args, 2).div_ceil(3).saturating_add(both)
    }
}
