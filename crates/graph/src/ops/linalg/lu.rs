//! `lu`.

use cotangent_array::DType;

use crate::ops::{Compare, Gather, Operand};
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, TriangularSolve, dense};

op_struct! {
    /// Gaussian elimination with partial pivoting of matrices, [.., m, n]. Two results: the factors
    /// in one matrix, U in and above the diagonal and L, whose diagonal is 1, below it; and the
    /// order of rows, i64 [.., m]: row i of L U is row `order[i]` of a. The pivot is the first entry
    /// of largest magnitude.
    Lu = "lu" {}
}

impl LinalgRule for Lu {
    const DERIVATIVE: &'static str = "L low(F) and up(F) U with F = L⁻¹ ta[order] U⁻¹ for square matrices; none for the order (de Hoog, Anderssen and Lukas 2011)";
    const CONVENTION: &'static str = "a derivative at a matrix with a zero pivot is an error when it runs; an entry that is not finite makes all factors NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        let s = check_matrix(a)?;
        let order = with_matrix(a, &[s.rows]).with_dtype(DType::I64);
        Ok(vec![a.clone(), order])
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
        if let ([s], [a], [factors, order]) = (shapes, args, outs) {
            factors.copy_from_slice(a);
            dense::lu(factors, order, s.columns);
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
        let (&[factors, order], &[Some(t)]) = (outs, tangents) else {
            return vec![None, None];
        };
        let r = b.rank(t).saturating_sub(2);
        let t = b.push(Gather { axis: r, batch: r }, &[t, order]);
        let s = matrix(b, factors);
        let k = s.least();
        let square = corner(b, factors, k, k);
        let lower = TriangularSolve {
            unit_diagonal: true,
            ..TriangularSolve::lower()
        };
        // x U⁻¹ = (U⁻ᵀ xᵀ)ᵀ
        let over_u = |b: &mut Builder, x: Var| {
            let x = turned(b, x);
            let x = b.push(TriangularSolve::upper().turned(), &[square, x]);
            turned(b, x)
        };
        let (low, up) = if s.rows <= s.columns {
            let y = b.push(lower, &[square, t]);
            let first = corner(b, y, k, k);
            let f = over_u(b, first);
            let f_low = part(b, f, Compare::Gt);
            let l = unit_lower(b, square);
            let u = part(b, factors, Compare::Le);
            let taken = mm(b, f_low, u);
            (mm(b, l, f_low), b.sub(y, taken))
        } else {
            let z = over_u(b, t);
            let first = corner(b, z, k, k);
            let f = b.push(lower, &[square, first]);
            let f_up = part(b, f, Compare::Le);
            let l = unit_lower(b, factors);
            let u = part(b, square, Compare::Le);
            let taken = mm(b, l, f_up);
            (b.sub(z, taken), mm(b, f_up, u))
        };
        let low = padded(b, low, s.rows, s.columns);
        let up = padded(b, up, s.rows, s.columns);
        let below = where_place(b, factors, Compare::Gt);
        vec![Some(b.select(below, low, up)), None]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 2).div_ceil(3)
    }
}

/// What stands below the diagonal, with ones on it.
fn unit_lower(b: &mut Builder, x: Var) -> Var {
    let below = part(b, x, Compare::Gt);
    let ones = identity(b, x);
    b.add(below, ones)
}
