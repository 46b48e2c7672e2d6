//! `eigh` and `eigvalsh`.

use crate::ops::Operand;
use crate::ops::rule::tangent_times;
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, dense};

op_struct! {
    /// The eigenvalues of symmetric matrices in increasing order, [.., n], and the eigenvectors of
    /// length 1 in the columns of [.., n, n]: a = V diag(w) Vᵀ. In each column the first entry whose
    /// magnitude is within a thousandth of the largest is positive. Of any other matrix the symmetric
    /// part (a + aᵀ) / 2 is taken, so the gradient is symmetric.
    Eigh = "eigh" {}
}

impl LinalgRule for Eigh {
    const DERIVATIVE: &'static str = "tw = diag(P) and tV = V (P / (w[j] - w[i])) with P = Vᵀ t V and t the symmetric part of the tangent (Giles 2008)";
    const CONVENTION: &'static str = "what divides by a difference of equal eigenvalues counts as 0; an entry that is not finite makes all results NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        let n = check_square(a)?;
        Ok(vec![with_matrix(a, &[n]), a.clone()])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes.first().map_or(0, |s| dense::eigh_work(s.rows))
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        if let ([s], [a], [values, vectors]) = (shapes, args, outs) {
            dense::eigh(a, values, Some(vectors), s.rows, work);
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
        let (&[w, v], &[Some(t)]) = (outs, tangents) else {
            return vec![None, None];
        };
        let t = symmetric(b, t);
        let tv = mm(b, t, v);
        let p = tmm(b, v, tv);
        let tw = diagonal(b, p);
        let (of_j, of_i) = (as_rows(b, w, p), as_columns(b, w, p));
        let difference = b.sub(of_j, of_i);
        let over = safe_reciprocal(b, difference);
        let x = tangent_times(b, p, over);
        vec![Some(tw), Some(mm(b, v, x))]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 9)
    }
}

op_struct! {
    /// The eigenvalues of the symmetric part of square matrices in increasing order: [.., n].
    Eigvalsh = "eigvalsh" {}
}

impl LinalgRule for Eigvalsh {
    const DERIVATIVE: &'static str = "diag(Vᵀ ta V) with the eigenvectors of `eigh`";
    const CONVENTION: &'static str = "of equal eigenvalues that of the eigenvectors which `eigh` gives; an entry that is not finite makes all of them NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        let n = check_square(a)?;
        Ok(vec![with_matrix(a, &[n])])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        Eigh {}.work(shapes)
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        if let ([s], [a], [values]) = (shapes, args, outs) {
            dense::eigh(a, values, None, s.rows, work);
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
        let [_, v] = b.linalg(Eigh {}, &[a])[..] else {
            return vec![None];
        };
        let t = symmetric(b, t);
        let tv = mm(b, t, v);
        let products = tangent_times(b, tv, v);
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
        cubes(args, 3)
    }
}
