//! `expm` and `expm_frechet`.

use crate::ops::Operand;
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::triangular_solve::system;
use super::{LinalgRule, MatrixFault, Shape2, dense};

op_struct! {
    /// The exponentials of square matrices, [.., n, n], by scaling and squaring (Higham 2005).
    Expm = "expm" {}
}

impl LinalgRule for Expm {
    const DERIVATIVE: &'static str = "expm_frechet(a, ta)";
    const CONVENTION: &'static str = "an entry that is not finite makes it NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        check_square(a)?;
        Ok(vec![a.clone()])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes
            .first()
            .map_or(0, |s| dense::exponential_work(s.rows))
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        match (shapes, args, outs) {
            ([s], [a], [out]) => dense::exponential(a, out, s.rows, work),
            _ => Ok(()),
        }
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
        vec![Some(b.push(ExpmFrechet {}, &[a, t]))]
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: &[Var]) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 20)
    }
}

op_struct! {
    /// The derivative of `expm` at square matrices a along e of the same type, linear in e: the
    /// upper right block of the exponential of [[a, e], [0, a]] (Higham 2008, section 10.6).
    ExpmFrechet = "expm_frechet" {}
}

impl LinalgRule for ExpmFrechet {
    const DERIVATIVE: &'static str = "expm_frechet(a, te), and along ta the upper right block of expm_frechet([[a, e], [0, a]], [[ta, 0], [0, ta]]); transposed: expm_frechet(aᵀ, ct)";
    const CONVENTION: &'static str = "an entry that is not finite makes it NaN.";
    const AXES: &'static [usize] = &[2, 2];
    const WATCHED: usize = 2;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        if let [a, e] = args
            && a != e
        {
            crate::type_error!("expected operands of one type, found {a} and {e}");
        }
        system(args)
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        shapes.first().map_or(0, |s| {
            let n = s.rows.saturating_mul(2);
            let size = n.saturating_mul(n).saturating_mul(2);
            dense::exponential_work(n).saturating_add(size)
        })
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        let ([s, _], [a, e], [out]) = (shapes, args, outs) else {
            return Ok(());
        };
        let (n, double) = (s.rows, s.rows * 2);
        if n == 0 {
            return Ok(());
        }
        let (block, rest) = work.split_at_mut(double * double);
        let (whole, rest) = rest.split_at_mut(double * double);
        // The size of e must not decide how often the block is halved.
        let scale = dense::scale_of(e);
        block.fill(0.0);
        for (i, (a, e)) in a.chunks_exact(n).zip(e.chunks_exact(n)).enumerate() {
            block[i * double..i * double + n].copy_from_slice(a);
            block[(n + i) * double + n..(n + i + 1) * double].copy_from_slice(a);
            for (to, e) in block[i * double + n..(i + 1) * double].iter_mut().zip(e) {
                *to = e / scale;
            }
        }
        dense::exponential(block, whole, double, rest)?;
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            for (out, x) in out.iter_mut().zip(&whole[i * double + n..]) {
                *out = x * scale;
            }
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
        let (&[a, e], &[ta, te]) = (args, tangents) else {
            return vec![None];
        };
        let through_e = te.map(|te| b.push(self.clone(), &[a, te]));
        let through_a = ta.map(|ta| {
            let n = matrix(b, a).rows;
            let none = b.like(a, 0.0);
            let at = blocks(b, [a, e, none, a]);
            let along = blocks(b, [ta, none, none, ta]);
            let moved = b.push(self.clone(), &[at, along]);
            let r = b.rank(moved).saturating_sub(2);
            let top = b.slice_axis(moved, r, 0, n);
            b.slice_axis(top, r + 1, n, 2 * n)
        });
        vec![sum(b, through_e, through_a)]
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
        let a = turned(b, *a);
        Some(vec![None, Some(b.push(self.clone(), &[a, *ct]))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        repeat_batch(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        cubes(args, 160)
    }
}
