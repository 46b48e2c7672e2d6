//! `svd` and `svdvals`.

use crate::ops::Operand;
use crate::ops::rule::tangent_times;
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, dense};

op_struct! {
    /// The thin singular value decomposition of matrices, [.., m, n]: U, [.., m, k], the singular
    /// values in decreasing order, [.., k], and Vᵀ, [.., k, n], with k the smaller of m and n;
    /// a = U diag(s) Vᵀ. In each column of U the first entry whose magnitude is within a thousandth
    /// of the largest is positive.
    Svd = "svd" {}
}

impl LinalgRule for Svd {
    const DERIVATIVE: &'static str = "ts = diag(P) with P = Uᵀ ta V; tU = U X + (I - U Uᵀ) ta V / s and tV = V Y + (I - V Vᵀ) taᵀ U / s, where X and Y are antisymmetric and divide by s[j] - s[i] and s[j] + s[i] (Townsend 2016)";
    const CONVENTION: &'static str = "what divides by a difference of equal singular values, or by a singular value 0, counts as 0; an entry that is not finite makes all results NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        let s = check_matrix(a)?;
        let k = s.least();
        Ok(vec![
            with_matrix(a, &[s.rows, k]),
            with_matrix(a, &[k]),
            with_matrix(a, &[k, s.columns]),
        ])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes
            .first()
            .map_or(0, |s| dense::svd_work(s.rows, s.columns))
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        if let ([s], [a], [u, values, vt]) = (shapes, args, outs) {
            dense::svd(a, values, Some((u, vt)), [s.rows, s.columns], work);
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
        let (&[u, s, vt], &[Some(t)]) = (outs, tangents) else {
            return vec![None, None, None];
        };
        let (rows, columns, k) = (matrix(b, u).rows, matrix(b, vt).columns, matrix(b, vt).rows);
        let tv = mmt(b, t, vt);
        let p = tmm(b, u, tv);
        let ts = diagonal(b, p);
        // X = ((P + Pᵀ) / (s_j - s_i) + (P - Pᵀ) / (s_j + s_i)) / 2, and Y with a minus between.
        let (of_j, of_i) = (as_rows(b, s, p), as_columns(b, s, p));
        let (difference, both) = (b.sub(of_j, of_i), b.add(of_j, of_i));
        let (over_difference, over_both) =
            (safe_reciprocal(b, difference), safe_reciprocal(b, both));
        let p_turned = turned(b, p);
        let (even, odd) = (b.add(p, p_turned), b.sub(p, p_turned));
        let even = tangent_times(b, even, over_difference);
        let odd = tangent_times(b, odd, over_both);
        let (even, odd) = (scaled(b, even, 0.5), scaled(b, odd, 0.5));
        let (x, y) = (b.add(even, odd), b.sub(even, odd));
        let over_s = safe_reciprocal(b, s);
        let mut tu = mm(b, u, x);
        if rows > k {
            let inside = mm(b, u, p);
            let across = b.sub(tv, inside);
            let divisor = as_rows(b, over_s, across);
            let across = tangent_times(b, across, divisor);
            tu = b.add(tu, across);
        }
        // Y is antisymmetric: (V Y)ᵀ = -Y Vᵀ.
        let along = mm(b, y, vt);
        let mut tvt = b.neg(along);
        if columns > k {
            let ut = tmm(b, u, t);
            let inside = mm(b, p, vt);
            let across = b.sub(ut, inside);
            let divisor = as_columns(b, over_s, across);
            let across = tangent_times(b, across, divisor);
            tvt = b.add(tvt, across);
        }
        vec![Some(tu), Some(ts), Some(tvt)]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 16)
    }
}

op_struct! {
    /// The singular values of matrices, [.., m, n], in decreasing order: [.., k], with k the
    /// smaller of m and n.
    Svdvals = "svdvals" {}
}

impl LinalgRule for Svdvals {
    const DERIVATIVE: &'static str = "diag(Uᵀ ta V) with the singular vectors of `svd`";
    const CONVENTION: &'static str = "of equal singular values, and at a singular value 0, that of the singular vectors which `svd` gives; an entry that is not finite makes all of them NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        let s = check_matrix(a)?;
        Ok(vec![with_matrix(a, &[s.least()])])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        Svd {}.work(shapes)
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        if let ([s], [a], [values]) = (shapes, args, outs) {
            dense::svd(a, values, None, [s.rows, s.columns], work);
        }
        Ok(())
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        _: &[Var],
        tangents: &[Option<Var>],
    ) -> Vec<Option<Var>> {
        let (&[a], &[Some(t)]) = (args, tangents) else {
            return vec![None];
        };
        let [u, _, vt] = b.linalg(Svd {}, &[a])[..] else {
            return vec![None];
        };
        let tv = mmt(b, t, vt);
        let products = tangent_times(b, tv, u);
        let axis = b.rank(products).saturating_sub(2);
        vec![Some(b.sum(products, &[axis]))]
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
