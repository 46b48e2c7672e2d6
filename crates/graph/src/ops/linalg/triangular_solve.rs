//! `triangular_solve`.

use crate::ops::{Compare, Operand};
use crate::{Builder, TensorType, TypeError, Var, op_struct, type_error};

use super::build::*;
use super::dense::{self, Triangle};
use super::{LinalgRule, MatrixFault, Shape2};

op_struct! {
    /// The solution x of op(a) x = b with triangular a, [.., n, n], and b, [.., n, k]. The other
    /// triangle of a is not read.
    TriangularSolve = "triangular_solve" {
        /// Whether the lower triangle of a is read, or the upper one.
        lower: bool = |_| true,
        /// Whether the diagonal counts as ones and is not read.
        unit_diagonal: bool = |_| false,
        /// Whether a is transposed after its triangle was read: op(a) is aᵀ.
        transposed: bool = |_| false,
    }
}

impl TriangularSolve {
    /// With a lower triangle.
    pub fn lower() -> TriangularSolve {
        TriangularSolve {
            lower: true,
            unit_diagonal: false,
            transposed: false,
        }
    }

    /// With an upper triangle.
    pub fn upper() -> TriangularSolve {
        TriangularSolve {
            lower: false,
            ..TriangularSolve::lower()
        }
    }

    /// The same with the matrix transposed after its triangle was read.
    pub fn turned(self) -> TriangularSolve {
        TriangularSolve {
            transposed: !self.transposed,
            ..self
        }
    }

    /// As the plain loops take it.
    pub fn triangle(&self) -> Triangle {
        Triangle {
            lower: self.lower,
            unit: self.unit_diagonal,
            transposed: self.transposed,
        }
    }
}

impl LinalgRule for TriangularSolve {
    const DERIVATIVE: &'static str = "op(a)⁻¹ (tb - op(t) x), where t is the triangle of ta";
    const CONVENTION: &'static str = "a zero on the diagonal is an error when it runs; NaN and infinities go through the arithmetic.";
    const AXES: &'static [usize] = &[2, 2];
    const WATCHED: usize = 0;

    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
        system(args)
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
            ([_, s], [a, b], [x]) => {
                x.copy_from_slice(b);
                dense::triangular_solve(a, x, s.rows, s.columns, self.triangle())
            }
            _ => Ok(()),
        }
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
            let t = part(b, ta, self.triangle_part());
            let product = if self.transposed {
                tmm(b, t, x)
            } else {
                mm(b, t, x)
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
        let back = b.push(self.clone().turned(), &[*a, *ct]);
        Some(vec![None, Some(back)])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
        batch_system(self.clone(), b, args, batched, size)
    }

    fn cost(&self, args: &[&TensorType]) -> u64 {
        let columns = args.get(1).map_or(1, |t| Shape2::of(t, 2).columns as u64);
        squares(args).saturating_mul(columns)
    }
}

impl TriangularSolve {
    /// Which entries of a matter.
    fn triangle_part(&self) -> Compare {
        match (self.lower, self.unit_diagonal) {
            (true, false) => Compare::Ge,
            (true, true) => Compare::Gt,
            (false, false) => Compare::Le,
            (false, true) => Compare::Lt,
        }
    }
}

/// The type of the solution of a system with a square matrix.
pub(super) fn system(args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
    let [a, b] = args else {
        type_error!("expected 2 operands, found {}", args.len())
    };
    let n = check_square(a)?;
    check_beside(a, b)?;
    let rows = Shape2::of(b, 2).rows;
    if rows != n {
        type_error!("expected {n} rows on the right, as the matrix has, found {rows}");
    }
    Ok(vec![(*b).clone()])
}
