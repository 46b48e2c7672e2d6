//! `det` and `slogdet`.

use cotangent_array::DType;

use crate::ops::rule::tangent_times;
use crate::ops::{Binary, Compare, Operand, Unary};
use crate::{Builder, TensorType, TypeError, Var, op_struct};

use super::build::*;
use super::{LinalgRule, MatrixFault, Shape2, Solve, Svd, dense};

op_struct! {
    /// The determinants of square matrices, [.., n, n], by elimination; 1 for n = 0.
    Det = "det" {}
}

impl LinalgRule for Det {
    const DERIVATIVE: &'static str = "the sum of adj(a)ᵀ ta, with the adjugate from the inverse of a matrix with a border (Jacobi's identity), so that nothing is divided by the determinant";
    const CONVENTION: &'static str = "right at singular matrices, to any order for rank n - 2 and more, and to about 1e-8 of the largest value below (of f32 3e-4); an entry that is not finite makes it NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        check_square(a)?;
        Ok(vec![with_matrix(a, &[])])
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
        if let ([s], [a], [out]) = (shapes, args, outs) {
            let (own, rows) = work.split_at_mut(s.len());
            own.copy_from_slice(a);
            let (sign, _, product) = dense::determinant(own, &mut rows[..s.rows], s.rows);
            out.fill(sign * product);
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
        if matrix(b, a).is_empty() {
            return vec![None];
        }
        let adjugate = adjugate(b, a);
        vec![Some(along(b, adjugate, t))]
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

op_struct! {
    /// The sign of the determinants of square matrices, [.., n, n], which is 0 for singular ones,
    /// and the logarithm of their magnitude: two results.
    Slogdet = "slogdet" {}
}

impl LinalgRule for Slogdet {
    const DERIVATIVE: &'static str = "0 for the sign, the sum of a⁻ᵀ ta for the logarithm";
    const CONVENTION: &'static str = "a derivative at a singular matrix is an error when it runs; an entry that is not finite makes both NaN.";
    const AXES: &'static [usize] = &[2];
    const WATCHED: usize = 1;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        let a = only(args)?;
        check_square(a)?;
        Ok(vec![with_matrix(a, &[]); 2])
    }

    fn work(&self, shapes: &[Shape2]) -> usize {
        Det {}.work(shapes)
    }

    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault> {
        if let ([s], [a], [sign, logarithm]) = (shapes, args, outs) {
            let (own, rows) = work.split_at_mut(s.len());
            own.copy_from_slice(a);
            let found = dense::determinant(own, &mut rows[..s.rows], s.rows);
            sign.fill(found.0);
            logarithm.fill(found.1);
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
            return vec![None, None];
        };
        let ones = identity(b, a);
        let inverse = b.push(Solve { transposed: false }, &[a, ones]);
        vec![None, Some(along(b, inverse, t))]
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

/// The sum over i and j of x[j, i] t[i, j].
fn along(b: &mut Builder, x: Var, t: Var) -> Var {
    let x = turned(b, x);
    let products = tangent_times(b, t, x);
    total(b, products)
}

/// The adjugate of square matrices, which is a polynomial in their entries.
fn adjugate(b: &mut Builder, a: Var) -> Var {
    let ones = identity(b, a);
    match matrix(b, a).rows {
        0 | 1 => ones,
        2 => small_adjugate(b, a),
        // a² - tr(a) a + (tr(a)² - tr(a²)) / 2, from the theorem of Cayley and Hamilton.
        3 => {
            let square = mm(b, a, a);
            let (trace, of_square) = (trace(b, a), trace(b, square));
            let twice = b.mul(trace, trace);
            let rest = b.sub(twice, of_square);
            let rest = scaled(b, rest, 0.5);
            let (trace, rest) = (spread(b, trace, a), spread(b, rest, a));
            let (first, last) = (b.mul(trace, a), b.mul(rest, ones));
            let sum = b.sub(square, first);
            b.add(sum, last)
        }
        n => bordered_adjugate(b, a, n),
    }
}

/// The adjugate of matrices of two rows: tr(a) I - a.
fn small_adjugate(b: &mut Builder, a: Var) -> Var {
    let ones = identity(b, a);
    let trace = trace(b, a);
    let trace = spread(b, trace, a);
    let diagonal = b.mul(trace, ones);
    b.sub(diagonal, a)
}

/// With a border of the two last singular vectors, M = [[a, c U₂], [c V₂ᵀ, 0]], which has an inverse
/// also where the last two singular values of `a` are 0, W = M⁻¹ and C its last block, Jacobi's
/// identity says det(a) = det(M) det(C); so adj(a) = det(M) (det(C) W₁₁ - W₁₂ adj(C) W₂₁). This holds
/// whatever the border is, so its own derivative is left out. Further singular values near 0 are
/// lifted to about the square root of what the type resolves of the largest, which moves a polynomial
/// no further than that; less would be lost in the sum.
fn bordered_adjugate(b: &mut Builder, a: Var, n: usize) -> Var {
    let frozen = b.unary(Unary::StopGradient, a);
    let [u, s, vt] = b.linalg(Svd {}, &[frozen])[..] else {
        return Var::POISON;
    };
    let r = b.rank(s).saturating_sub(1);
    let largest = b.slice_axis(s, r, 0, 1);
    let (zero, one) = (b.like(largest, 0.0), b.like(largest, 1.0));
    let vanishes = b.compare(Compare::Eq, largest, zero);
    let scale = b.select(vanishes, one, largest);
    let batch = batch_of(b, a);
    let scale = b.reshape(scale, batch.clone());
    // What is lifted.
    let (left, right) = (
        b.slice_axis(u, r + 1, 0, n - 2),
        b.slice_axis(vt, r, 0, n - 2),
    );
    let small = b.slice_axis(s, r, 0, n - 2);
    let least = match b.tensor(a).dtype.real() {
        DType::F32 => 3e-4,
        _ => 1e-8,
    };
    let floor = {
        let axes: Vec<usize> = (0..batch.len()).collect();
        let shape = b.shape(small);
        let spread = b.broadcast(scale, shape, &axes);
        scaled(b, spread, least)
    };
    let missing = b.sub(floor, small);
    let none = b.like(missing, 0.0);
    let missing = b.binary(Binary::Maximum, missing, none);
    let missing = as_columns(b, missing, right);
    let lifted = b.mul(missing, right);
    let lift = mm(b, left, lifted);
    let inner = b.add(a, lift);
    // The border.
    let (u, v) = (
        b.slice_axis(u, r + 1, n - 2, n),
        b.slice_axis(vt, r, n - 2, n),
    );
    let (of_u, of_v) = (spread(b, scale, u), spread(b, scale, v));
    let (u, v) = (b.mul(u, of_u), b.mul(v, of_v));
    let corner = zeros(b, a, 2, 2);
    let m = blocks(b, [inner, u, v, corner]);
    let ones = identity(b, m);
    let w = b.push(Solve { transposed: false }, &[m, ones]);
    let block = |b: &mut Builder, i: [usize; 2], j: [usize; 2]| {
        let rows = b.slice_axis(w, r, i[0], i[1]);
        b.slice_axis(rows, r + 1, j[0], j[1])
    };
    let (w11, w12) = (block(b, [0, n], [0, n]), block(b, [0, n], [n, n + 2]));
    let (w21, c) = (
        block(b, [n, n + 2], [0, n]),
        block(b, [n, n + 2], [n, n + 2]),
    );
    let entry = |b: &mut Builder, i: usize, j: usize| {
        let x = block(b, [n + i, n + i + 1], [n + j, n + j + 1]);
        b.reshape(x, batch.clone())
    };
    let (c00, c01) = (entry(b, 0, 0), entry(b, 0, 1));
    let (c10, c11) = (entry(b, 1, 0), entry(b, 1, 1));
    let (straight, crossed) = (b.mul(c00, c11), b.mul(c01, c10));
    let det_c = b.sub(straight, crossed);
    let det_m = b.push(Det {}, &[m]);
    let adj_c = small_adjugate(b, c);
    let back = mm(b, adj_c, w21);
    let back = mm(b, w12, back);
    let det_c = spread(b, det_c, w11);
    let forth = b.mul(det_c, w11);
    let inside = b.sub(forth, back);
    let det_m = spread(b, det_m, inside);
    b.mul(det_m, inside)
}

fn trace(b: &mut Builder, x: Var) -> Var {
    let kept = part(b, x, Compare::Eq);
    total(b, kept)
}
