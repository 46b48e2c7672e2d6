//! Arrays that are zero behind a comparison of positions, and what programs do with them: the compiler leaves
//! parts of their products out, and must find out where.

use cotangent_array::{DType, Scalar, Shape};
use cotangent_graph::ops::linalg::Cholesky;
use cotangent_graph::ops::{
    Any, Binary, Broadcast, Compare, Dot, Iota, Max, Sum, Ternary, Transpose, Unary,
};
use cotangent_graph::{Op, Var};

use super::Sampler;
use crate::random::Generator;

/// Uses of several operations together, so they have no names of their own.
pub(super) const SAMPLERS: &[Sampler] = &[
    |g| triangle(g).map(|(x, _)| x),
    |g| softmax(g).map(|(x, _)| x),
    product,
];

/// An array with zeros on one side of a diagonal or of two, and the axes of its rows and columns.
fn triangle(g: &mut Generator) -> Option<(Var, [usize; 2])> {
    let dtype = g.dtype(DType::is_inexact)?;
    let x = g.any(dtype, |shape| shape.rank() >= 2)?;
    let axes = two_axes(g, g.ty(x).rank())?;
    Some((masked(g, x, axes)?, axes))
}

/// Numbers of which each row sums to one, none of them where a mask is false; and the axes of rows and columns.
fn softmax(g: &mut Generator) -> Option<(Var, [usize; 2])> {
    let dtype = g.dtype(DType::is_float)?;
    let x = g.any(dtype, |shape| shape.rank() >= 2)?;
    let x = g.fit(x, -3.0, 3.0)?;
    let shape = g.ty(x).shape;
    let [row, column] = two_axes(g, shape.rank())?;
    let mask = mask(g, &shape, [row, column])?;
    let axes = vec![column];
    let some = g.push(Any { axes: axes.clone() }, &[mask])?;
    if g.smooth && g.value(some).scalars().any(|x| x != Scalar::Bool(true)) {
        // A row without numbers is NaN.
        return None;
    }
    let rows = |g: &mut Generator, v: Var| {
        let dims = (0..shape.rank()).filter(|axis| *axis != column).collect();
        let shape = shape.clone();
        g.push_infinite(Broadcast { shape, dims }, &[v])
    };
    let nothing = g.full(Scalar::from_f64(dtype, f64::NEG_INFINITY), &shape);
    let scores = g.push_infinite(Ternary::Select, &[mask, x, nothing])?;
    let most = g.push_infinite(Max { axes: axes.clone() }, &[scores])?;
    let most = rows(g, most)?;
    let below = g.push_infinite(Binary::Sub, &[scores, most])?;
    let e = g.push(Unary::Exp, &[below])?;
    let sum = g.push(Sum { axes }, &[e])?;
    let sum = rows(g, sum)?;
    Some((g.push(Binary::Div, &[e, sum])?, [row, column]))
}

/// A product with an array that has zeros, in which more may be left out.
fn product(g: &mut Generator) -> Option<Var> {
    let (x, axes) = match g.rng.below(5) {
        0 | 1 => softmax(g)?,
        2 => factor(g)?,
        _ => triangle(g)?,
    };
    let (x, axes) = match g.rng.chance(0.3) {
        true => turned(g, x, axes)?,
        false => (x, axes),
    };
    let t = g.ty(x);
    let contract = g.rng.pick(&axes)?;
    let batch: Vec<usize> = (0..t.rank()).filter(|axis| !axes.contains(axis)).collect();
    let mut matrix = [t.dim(contract), g.length()];
    let first = g.rng.chance(0.5);
    if !first {
        matrix.reverse();
    }
    let shape: Shape = (batch.iter().map(|axis| t.dim(*axis)))
        .chain(matrix)
        .collect();
    let terms = t
        .shape
        .elements()
        .saturating_mul(matrix[usize::from(first)]);
    if shape.elements() > g.most() || terms > 16 * g.most() {
        return None;
    }
    let y = g.operand(t.dtype, &shape);
    let mut y = g.fit(y, -8.0, 8.0)?;
    if g.rng.chance(0.3) {
        y = masked(g, y, [batch.len(), batch.len() + 1])?;
    }
    let of_x = (vec![contract], batch.clone());
    let of_y = (
        vec![batch.len() + usize::from(!first)],
        (0..batch.len()).collect(),
    );
    let (left, right, args) = match g.rng.chance(0.5) {
        true => (of_x, of_y, [x, y]),
        false => (of_y, of_x, [y, x]),
    };
    let op = Dot {
        contract: (left.0, right.0),
        batch: (left.1, right.1),
    };
    let z = g.push(op, &args)?;
    match g.rng.chance(0.4) {
        true => masked(g, z, [batch.len(), batch.len() + 1]),
        false => Some(z),
    }
}

/// The factor of a matrix, which is a triangle by its nature.
fn factor(g: &mut Generator) -> Option<(Var, [usize; 2])> {
    let dtype = g.dtype(DType::is_float)?;
    let x = g.any(dtype, |shape| matches!(shape.dims(), [.., m, n] if m == n))?;
    let rank = g.ty(x).rank();
    let axes = [rank - 2, rank - 1];
    // A matrix times itself, and something on the diagonal, is positive.
    let batch: Vec<usize> = (0..rank - 2).collect();
    let op = Dot {
        contract: (vec![rank - 1], vec![rank - 1]),
        batch: (batch.clone(), batch),
    };
    let x = g.fit(x, -2.0, 2.0)?;
    let square = g.push(op, &[x, x])?;
    let shape = g.ty(square).shape;
    let diagonal = compared(g, &shape, axes, Compare::Eq, 0)?;
    let diagonal = g.push(Op::Convert(dtype), &[diagonal])?;
    let positive = g.push(Binary::Add, &[square, diagonal])?;
    let lower = g.linalg(Cholesky {}, &[positive])?;
    Some((lower, axes))
}

/// The array with the two axes in each other's place.
fn turned(g: &mut Generator, x: Var, [row, column]: [usize; 2]) -> Option<(Var, [usize; 2])> {
    let mut axes: Vec<usize> = (0..g.ty(x).rank()).collect();
    axes.swap(row, column);
    Some((g.push(Transpose { axes }, &[x])?, [column, row]))
}

/// The array with zeros where a mask of these axes is false.
fn masked(g: &mut Generator, x: Var, axes: [usize; 2]) -> Option<Var> {
    let t = g.ty(x);
    let mask = mask(g, &t.shape, axes)?;
    if g.rng.chance(0.2) {
        let factors = g.push(Op::Convert(t.dtype), &[mask])?;
        return g.push(Binary::Mul, &[x, factors]);
    }
    let zero = g.full(Scalar::zero(t.dtype), &t.shape);
    let mut arms = [x, zero];
    if g.rng.chance(0.3) {
        arms.reverse();
    }
    g.push(Ternary::Select, &[mask, arms[0], arms[1]])
}

/// A comparison of positions along two axes, what it is not, or two of them.
fn mask(g: &mut Generator, shape: &Shape, axes: [usize; 2]) -> Option<Var> {
    let one = |g: &mut Generator| {
        let op = g.rng.pick(Compare::ALL)?;
        let reach = if g.most() > 64 { 20 } else { 2 };
        let offset = g.rng.between(-reach, reach);
        compared(g, shape, axes, op, offset)
    };
    let mask = one(g)?;
    match g.rng.below(10) {
        0 => g.push(Unary::Not, &[mask]),
        1 | 2 => {
            let other = one(g)?;
            let op = g.rng.pick(&[Binary::And, Binary::Or])?;
            g.push(op, &[mask, other])
        }
        // Computed before, as masks that users keep are.
        3 => g.push(Op::Constant(g.value(mask).clone()), &[]),
        _ => Some(mask),
    }
}

/// Whether the positions along two axes, so far apart, compare in this way.
fn compared(
    g: &mut Generator,
    shape: &Shape,
    [row, column]: [usize; 2],
    op: Compare,
    offset: i64,
) -> Option<Var> {
    let float = g.float().real();
    let dtype = g.rng.pick(&[DType::I64, DType::I64, DType::I32, float])?;
    let mut along = |axis: usize| {
        let shape = shape.clone();
        g.push(Iota { shape, axis, dtype }, &[])
    };
    let (row, column) = (along(row)?, along(column)?);
    let offset = g.full(Scalar::from_i64(dtype, offset), shape);
    let (x, y) = match g.rng.below(3) {
        0 => (g.push(Binary::Sub, &[column, row])?, offset),
        1 => (column, g.push(Binary::Add, &[row, offset])?),
        _ => (g.push(Binary::Sub, &[row, offset])?, column),
    };
    g.push(op, &[x, y])
}

/// Two different axes of so many.
fn two_axes(g: &mut Generator, rank: usize) -> Option<[usize; 2]> {
    let mut axes: Vec<usize> = (0..rank).collect();
    // The last two are those of matrices.
    if g.rng.chance(0.5) {
        g.rng.shuffle(&mut axes);
    }
    match axes[..] {
        [.., row, column] => Some([row, column]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cotangent_compile::{StepOp, Target, compile};

    use crate::Case;
    use crate::engine::TRIANGLES;
    use crate::rng::Rng;

    /// Products of random graphs leave something out on either side and of the result.
    #[test]
    fn random_graphs_have_products_of_triangles() {
        let target = Target {
            triangles: Some(TRIANGLES),
            ..cotangent_cpu::target()
        };
        let mut met = HashSet::new();
        for number in 0..2_000 {
            let case = Case::draw(Rng::seed(11, number));
            let plan = compile(&case.graph, &target).unwrap();
            for step in &plan.steps {
                if let StepOp::Triangular(_, triangles) = &step.op {
                    let t = triangles;
                    let all = [
                        ("first", t.first),
                        ("second", t.second),
                        ("result", t.result),
                    ];
                    met.extend(
                        all.iter()
                            .filter(|(_, band)| band.is_some())
                            .map(|(name, _)| *name),
                    );
                }
            }
            if met.len() == 3 {
                return;
            }
        }
        panic!("nothing but {met:?} of a product was left out");
    }
}
