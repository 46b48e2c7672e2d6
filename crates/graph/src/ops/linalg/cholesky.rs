//! `cholesky`.

use crate::ops::{Compare, Operand};
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, TriangularSolve, dense};

op_struct! {
    /// The lower triangular factor L with a positive diagonal of symmetric positive definite
    /// matrices: a = L Lᵀ. Of any other matrix the symmetric part (a + aᵀ) / 2 is taken, so the
    /// gradient is symmetric.
    Cholesky = "cholesky" {}
}

impl LinalgRule for Cholesky {
    const DERIVATIVE: &'static str = "L f(L⁻¹ t L⁻ᵀ), where t is the symmetric part of the tangent and f takes the lower triangle and half of the diagonal (Murray 2016)";
    const CONVENTION: &'static str = "an indefinite matrix is an error when it runs; an entry that is not finite makes all of its matrix NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        check_square(a)?;
        Ok(vec![a.clone()])
    }

    fn work(&self, _: &[Shape2]) -> usize {
        0
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        _: &mut [f64],
    ) -> Result<(), MatrixFault> {
        match (shapes, args, outs) {
            ([s], [a], [l]) => dense::cholesky(a, l, s.rows),
            _ => Ok(()),
        }
    }

    fn jvp(
        &self,
        b: &mut Builder,
        _: &[Var],
        outs: &[Var],
        tangents: &[Option<Var>],
    ) -> Vec<Option<Var>> {
        let (&[l], &[Some(t)]) = (outs, tangents) else {
            return vec![None];
        };
        let t = symmetric(b, t);
        let solve = TriangularSolve::lower();
        let left = b.push(solve.clone(), &[l, t]);
        // (L⁻¹ t L⁻ᵀ)ᵀ is itself, since t is symmetric.
        let right = turned(b, left);
        let both = b.push(solve, &[l, right]);
        let below = part(b, both, Compare::Gt);
        let half = scaled(b, both, 0.5);
        let on = part(b, half, Compare::Eq);
        let f = b.add(below, on);
        vec![Some(mm(b, l, f))]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 1).div_ceil(3)
    }
}
