//! A sampler for each operation of linear algebra: matrices that are far from singular, with
//! eigenvalues and singular values that are apart.

use cotangent_array::{Array, Scalar, Shape};
use cotangent_graph::Var;
use cotangent_graph::ops::linalg::{
    Cholesky, Det, Eigh, Eigvalsh, Expm, ExpmFrechet, Lu, Pinv, Qr, Slogdet, Solve, Svd, Svdvals,
    TriangularSolve,
};
use cotangent_graph::ops::{Attributed, Binary, Dot, Linalg};

use super::Sampler;
use crate::random::Generator;

macro_rules! samplers {
    ($($T:ident => $sample:expr,)*) => {
        /// The name and the sampler of every operation of linear algebra.
        pub(super) const SAMPLERS: &[(&str, Sampler)] = &[$((<$T as Attributed>::NAME, $sample)),*];

        /// No default arm: an operation without a sampler does not compile.
        #[allow(dead_code)]
        fn is_complete(op: &Linalg) {
            match op { $(Linalg::$T(_) => {})* }
        }
    };
}

samplers! {
    Cholesky => |g| {
        let x = square(g)?;
        if g.rng.chance(0.5) {
            let a = near(g, x, 1.0, 0.5)?;
            return g.linalg(Cholesky {}, &[a]);
        }
        // x xᵀ + 1
        let (h, r) = (half(g, x), g.ty(x).rank());
        let x = g.fit(x, -h, h)?;
        let batch: Vec<usize> = (0..r - 2).collect();
        let dot = Dot { contract: (vec![r - 1], vec![r - 1]), batch: (batch.clone(), batch) };
        let product = g.push(dot, &[x, x])?;
        let ones = diagonal(g, product, 1.0, 0.0)?;
        let a = g.push(Binary::Add, &[product, ones])?;
        g.linalg(Cholesky {}, &[a])
    },
    TriangularSolve => |g| {
        let x = square(g)?;
        let a = near(g, x, 1.5, 0.0)?;
        let b = beside(g, a)?;
        let op = TriangularSolve {
            lower: g.rng.chance(0.5),
            unit_diagonal: g.rng.chance(0.3),
            transposed: g.rng.chance(0.5),
        };
        g.linalg(op, &[a, b])
    },
    Solve => |g| {
        let x = square(g)?;
        let a = near(g, x, 1.5, 0.0)?;
        let b = beside(g, a)?;
        let transposed = g.rng.chance(0.3);
        g.linalg(Solve { transposed }, &[a, b])
    },
    Lu => |g| {
        let x = matrix(g)?;
        let a = near(g, x, 1.5, 0.0)?;
        g.linalg(Lu {}, &[a])
    },
    Qr => |g| {
        let x = matrix(g)?;
        let a = near(g, x, 1.5, 0.0)?;
        g.linalg(Qr {}, &[a])
    },
    Svd => |g| {
        let x = matrix(g)?;
        let a = near(g, x, 1.0, 1.0)?;
        g.linalg(Svd {}, &[a])
    },
    Svdvals => |g| {
        let x = matrix(g)?;
        let a = near(g, x, 1.0, 1.0)?;
        g.linalg(Svdvals {}, &[a])
    },
    Eigh => |g| {
        let x = square(g)?;
        let a = near(g, x, -1.0, 1.0)?;
        g.linalg(Eigh {}, &[a])
    },
    Eigvalsh => |g| {
        let x = square(g)?;
        let a = near(g, x, -1.0, 1.0)?;
        g.linalg(Eigvalsh {}, &[a])
    },
    Det => |g| {
        let x = square(g)?;
        let n = g.ty(x).dim(0).max(1) as f64;
        let a = g.fit(x, -1.5 / n, 1.5 / n)?;
        g.linalg(Det {}, &[a])
    },
    Slogdet => |g| {
        let x = square(g)?;
        let a = near(g, x, -1.5, 0.0)?;
        g.linalg(Slogdet {}, &[a])
    },
    Pinv => |g| {
        let x = matrix(g)?;
        let a = near(g, x, 1.5, 0.0)?;
        let t = g.ty(a);
        let batch: Shape = t.shape.get(..t.rank() - 2)?.iter().copied().collect();
        let share = g.full(Scalar::from_f64(t.dtype, 1e-3), &batch);
        g.linalg(Pinv {}, &[a, share])
    },
    Expm => |g| {
        let x = square(g)?;
        let h = 3.0 * half(g, x);
        let a = g.fit(x, -h, h)?;
        g.linalg(Expm {}, &[a])
    },
    ExpmFrechet => |g| {
        let x = square(g)?;
        let h = 3.0 * half(g, x);
        let a = g.fit(x, -h, h)?;
        let t = g.ty(a);
        let e = g.operand(t.dtype, &t.shape);
        let e = g.fit(e, -2.0, 2.0)?;
        g.linalg(ExpmFrechet {}, &[a, e])
    },
}

/// A matrix, with a batch or without.
fn matrix(g: &mut Generator) -> Option<Var> {
    let dtype = g.float();
    g.any(dtype, |s| s.rank() >= 2)
}

/// A square matrix, with a batch or without.
fn square(g: &mut Generator) -> Option<Var> {
    let dtype = g.float();
    let is_square = |s: &Shape| s.rank() >= 2 && s[s.rank() - 1] == s[s.rank() - 2];
    if let Some(x) = g.any(dtype, is_square) {
        return Some(x);
    }
    let n = g.length();
    Some(g.operand(dtype, &[n, n].into()))
}

/// How large entries may be so that the sums along rows stay below 1.
fn half(g: &Generator, x: Var) -> f64 {
    let t = g.ty(x);
    let longest = t.shape.iter().rev().take(2).copied().max();
    0.6 / longest.unwrap_or(1).max(1) as f64
}

/// Small entries beside a diagonal that starts at `first` and grows by `step`.
fn near(g: &mut Generator, x: Var, first: f64, step: f64) -> Option<Var> {
    let h = half(g, x);
    let x = g.fit(x, -h, h)?;
    let d = diagonal(g, x, first, step)?;
    g.push(Binary::Add, &[x, d])
}

/// A known diagonal in the shape of matrices.
fn diagonal(g: &mut Generator, x: Var, first: f64, step: f64) -> Option<Var> {
    let t = g.ty(x);
    let (rows, columns) = (t.dim(t.rank() - 2), t.dim(t.rank() - 1));
    let one = rows * columns;
    let values = (0..t.shape.elements()).map(|k| {
        let (i, j) = (k % one / columns, k % columns);
        let entry = if i == j { first + step * i as f64 } else { 0.0 };
        Scalar::from_f64(t.dtype, entry)
    });
    let array = Array::from_scalars(t.dtype, t.shape.clone(), values.collect::<Vec<_>>()).ok()?;
    g.push(cotangent_graph::Op::Constant(array), &[])
}

/// The right side of a system with this matrix.
fn beside(g: &mut Generator, a: Var) -> Option<Var> {
    let t = g.ty(a);
    let columns = g.length();
    let mut dims = t.shape.to_vec();
    *dims.last_mut()? = columns;
    let shape = Shape::from(dims);
    if shape.elements() > g.most() {
        return None;
    }
    let b = g.operand(t.dtype, &shape);
    g.fit(b, -3.0, 3.0)
}
