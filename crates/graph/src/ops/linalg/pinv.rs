//! `pinv`.

use crate::ops::Operand;
use crate::{Builder, TensorType, TypeError, Var, op_struct, type_error};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, dense};

op_struct! {
    /// The pseudoinverses, [.., n, m], of matrices, [.., m, n]. The second operand, one number for
    /// each matrix, says which singular values count as 0: those up to that share of the largest.
    Pinv = "pinv" {}
}

impl LinalgRule for Pinv {
    const DERIVATIVE: &'static str = "-p ta p + p pᵀ taᵀ (I - a p) + (I - p a) taᵀ pᵀ p, where p is the result (Golub and Pereyra 1973)";
    const CONVENTION: &'static str = "that of matrices of the same rank; none for the share; an entry that is not finite makes it NaN.";
    const AXES: &'static [usize] = &[2, 0];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let [a, share] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        let s = check_matrix(a)?;
        let wanted = with_matrix(a, &[]);
        if **share != wanted {
            type_error!("expected a number for each matrix, {wanted}, found {share}");
        }
        Ok(vec![with_matrix(a, &[s.columns, s.rows])])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes.first().map_or(0, |s| {
            let k = s.least();
            dense::svd_work(s.rows, s.columns)
                .saturating_add(s.rows.saturating_add(s.columns).saturating_mul(k))
                .saturating_add(k)
        })
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        let ([s, _], [a, share], [out]) = (shapes, args, outs) else {
            return Ok(());
        };
        let k = s.least();
        let (u, rest) = work.split_at_mut(s.rows * k);
        let (vt, rest) = rest.split_at_mut(k * s.columns);
        let (values, rest) = rest.split_at_mut(k);
        dense::svd(a, values, Some((u, vt)), [s.rows, s.columns], rest);
        pinv_from_svd(
            u,
            values,
            vt,
            share.first().copied().unwrap_or(0.0),
            out,
            *s,
        );
        Ok(())
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        outs: &[Var],
        tangents: &[Option<Var>],
    ) -> Vec<Option<Var>> {
        let (&[a, _], &[p], &[Some(t), _]) = (args, outs, tangents) else {
            return vec![None];
        };
        let s = matrix(b, a);
        let (first, second, third) = if s.rows >= s.columns {
            // All products but the last of each are as small as they can be, n x n.
            let pt = mm(b, p, t);
            let first = mm(b, pt, p);
            let ta = tmm(b, t, a);
            let tap = mm(b, ta, p);
            let tt = turned(b, t);
            let outside = b.sub(tt, tap);
            let pp = mmt(b, p, p);
            let second = mm(b, pp, outside);
            let z = turned(b, pt);
            let pa = mm(b, p, a);
            let inside = mm(b, pa, z);
            let z = b.sub(z, inside);
            (first, second, mm(b, z, p))
        } else {
            let tp = mm(b, t, p);
            let first = mm(b, p, tp);
            let z = turned(b, tp);
            let ap = mm(b, a, p);
            let inside = mm(b, z, ap);
            let z = b.sub(z, inside);
            let second = mm(b, p, z);
            let tt = turned(b, t);
            let at = mmt(b, a, t);
            let pat = mm(b, p, at);
            let outside = b.sub(tt, pat);
            let pp = tmm(b, p, p);
            (first, second, mm(b, outside, pp))
        };
        let rest = b.add(second, third);
        vec![Some(b.sub(rest, first))]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 18)
    }
}

/// V diag(1 / s) Uᵀ for the singular values above `share` of the largest.
fn pinv_from_svd(u: &[f64], s: &[f64], vt: &[f64], share: f64, out: &mut [f64], shape: Shape2) {
    out.fill(0.0);
    let (m, n, k) = (shape.rows, shape.columns, shape.least());
    let least = share * s.first().copied().unwrap_or(0.0);
    for (j, s) in s.iter().enumerate().filter(|(_, s)| **s > least) {
        for i in 0..n {
            let v = vt[j * n + i] / s;
            for r in 0..m {
                out[i * m + r] += v * u[r * k + j];
            }
        }
    }
}
