//! `qr`.

use crate::ops::{Compare, Operand};
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, TriangularSolve, dense};

op_struct! {
    /// The reduced factors of matrices, [.., m, n], by Householder's reflections: Q, [.., m, k], with
    /// columns at right angles and of length 1, and upper triangular R, [.., k, n]; k is the smaller
    /// of m and n. Each reflection turns a column away from its leading entry, so the diagonal of R
    /// has the signs of LAPACK and NumPy.
    Qr = "qr" {}
}

impl LinalgRule for Qr {
    const DERIVATIVE: &'static str = "tR = Qᵀ ta - W R and tQ = Q W + (I - Q Qᵀ) ta R⁻¹, where W is antisymmetric and has the lower triangle of Qᵀ ta R⁻¹ (Walter and Lehmann 2012)";
    const CONVENTION: &'static str = "a derivative at a matrix whose first columns are dependent is an error when it runs; an entry that is not finite makes both factors NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        let s = check_matrix(a)?;
        let k = s.least();
        Ok(vec![
            with_matrix(a, &[s.rows, k]),
            with_matrix(a, &[k, s.columns]),
        ])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes
            .first()
            .map_or(0, |s| s.len().saturating_add(s.least()))
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        if let ([s], [a], [q, r]) = (shapes, args, outs) {
            dense::qr(a, q, r, [s.rows, s.columns], work);
        }
        Ok(())
    }

    fn jvp(
        &self,
        b: &mut Builder,
        _: &[Var],
        outs: &[Var],
        tangents: &[Option<Var>],
    ) -> Vec<Option<Var>> {
        let (&[q, r], &[Some(t)]) = (outs, tangents) else {
            return vec![None, None];
        };
        let (rows, k) = (matrix(b, q).rows, matrix(b, r).rows);
        let square = corner(b, r, k, k);
        let first = corner(b, t, rows, k);
        // C = ta R⁻¹ = (R⁻ᵀ taᵀ)ᵀ
        let c = turned(b, first);
        let c = b.push(TriangularSolve::upper().turned(), &[square, c]);
        let c = turned(b, c);
        let m = tmm(b, q, c);
        let low = part(b, m, Compare::Gt);
        let high = turned(b, low);
        let w = b.sub(low, high);
        let along = mm(b, q, w);
        let tq = if rows > k {
            let inside = mm(b, q, m);
            let across = b.sub(c, inside);
            b.add(along, across)
        } else {
            along
        };
        let down = tmm(b, q, t);
        let turning = mm(b, w, r);
        let tr = b.sub(down, turning);
        let tr = part(b, tr, Compare::Le);
        vec![Some(tq), Some(tr)]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 4)
    }
}
