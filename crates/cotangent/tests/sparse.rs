//! Sparse derivatives as users call them.

// A range of an index may count from the end, as `1..-1` does.
#![allow(clippy::reversed_empty_ranges)]

use std::time::Instant;

use cotangent::sparse::{Coloring, Coo, HessianColoring, Pattern};
use cotangent::{Array, DType, Error, Function, PadMode, Tensor, TensorType, Tree};

/// A discretized reaction and diffusion on a grid, as a function of all points.
fn grid(u: &Tensor) -> Tensor {
    let padded = u.pad([(1, 1), (1, 1)], PadMode::ZERO);
    let sides = padded.at((1..-1, ..-2))
        + padded.at((1..-1, 2..))
        + padded.at((..-2, 1..-1))
        + padded.at((2.., 1..-1));
    sides - 4.0 * u + u * u * (1.0 - u)
}

fn rosenbrock(x: &Tensor) -> Tensor {
    let (a, b) = (x.at(..-1), x.at(1..));
    (100.0 * (&b - a.square()).square() + (1.0 - &a).square()).sum(..)
}

fn wave(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * 0.7).sin()).collect()
}

#[test]
fn the_entries_are_those_of_the_dense_jacobian() -> Result<(), Error> {
    let f = Function::new(grid);
    let u = Array::new([4, 5], wave(20))?;
    let dense = f.jacobian().call((u.clone(),))?.reshape([20, 20])?;
    for coloring in [
        Coloring::Auto,
        Coloring::Columns,
        Coloring::Rows,
        Coloring::Bidirectional,
    ] {
        let sparse = f.sparse_jacobian().with_coloring(coloring);
        let j = sparse.call((u.clone(),))?;
        assert_eq!(j.values.len(), 20 + 2 * 31);
        let (columns, rows) = sparse.groups(&(u.clone(),))?;
        assert_eq!(columns + rows, 5);
        for m in [
            j.to_dense()?,
            j.to_csc()?.to_dense()?,
            j.to_coo().to_dense()?,
            j.to_csc()?.to_csr()?.to_dense()?,
            j.to_csc()?.to_coo().to_dense()?,
        ] {
            for (a, b) in m.to_f64s().iter().zip(dense.to_f64s()) {
                assert!((a - b).abs() < 1e-12);
            }
        }
        // The product with a vector is the directional derivative.
        let v = Array::from(wave(20).iter().map(|x| x * x).collect::<Vec<_>>());
        let (_, along) = f.jvp().call(((u.clone(),), (v.reshape([4, 5])?,)))?;
        for m in [j.dot(&v)?, j.to_csc()?.dot(&v)?] {
            assert!(
                m.to_f64s()
                    .iter()
                    .zip(along.to_f64s())
                    .all(|(a, b)| (a - b).abs() < 1e-12)
            );
        }
    }
    Ok(())
}

#[test]
fn the_entries_are_those_of_the_dense_hessian() -> Result<(), Error> {
    let f = Function::new(rosenbrock);
    let x = Array::from(wave(12));
    let dense = f.hessian().call((x.clone(),))?.to_f64s();
    for (coloring, groups) in [
        (HessianColoring::Star, 3),
        (HessianColoring::Acyclic, 2),
        (HessianColoring::Auto, 2),
    ] {
        let sparse = f.sparse_hessian().with_coloring(coloring);
        assert_eq!(sparse.groups(&(x.clone(),))?, (groups, 0));
        let h = sparse.call((x.clone(),))?.to_dense()?.to_f64s();
        assert!(h.iter().zip(&dense).all(|(a, b)| (a - b).abs() < 1e-10));
    }
    Ok(())
}

#[derive(Clone, Debug, Tree)]
struct Model<T> {
    w: T,
    k: T,
    b: T,
}

#[test]
fn rows_and_columns_are_leaves_one_after_the_other() -> Result<(), Error> {
    // Integer leaves have no columns.
    let f = Function::new(|m: &Model<Tensor>, x: &Tensor| {
        (&m.w * x + &m.b * 0.5, m.b.at(0) * m.b.at(1))
    });
    let m = Model {
        w: Array::from([1.0, 2.0]),
        k: Array::from([1_i64]),
        b: Array::from([3.0, 4.0]),
    };
    let j = f.sparse_jacobian().call((m, [5.0, 6.0].into()))?;
    let dense = [
        [5.0, 0.0, 0.5, 0.0],
        [0.0, 6.0, 0.0, 0.5],
        [0.0, 0.0, 4.0, 3.0],
    ];
    assert_eq!(j.to_dense()?, dense.into());
    let coo = j.to_coo();
    assert_eq!(coo.row_indices[..], [0, 0, 1, 1, 2, 2]);
    assert_eq!(coo.column_indices[..], [0, 2, 1, 3, 2, 3]);
    Ok(())
}

#[test]
fn f32_stays_f32() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| x.at(1..) * x.at(..-1));
    let j = f
        .sparse_jacobian()
        .call((Array::from([1.0_f32, 2.0, 3.0]),))?;
    assert_eq!(j.values, Array::from([2.0_f32, 1.0, 3.0, 2.0]));
    assert_eq!(
        j.dot(&Array::from([1.0_f32, 0.0, 1.0]))?,
        Array::from([2.0_f32, 2.0])
    );
    Ok(())
}

#[test]
fn a_pattern_may_be_given() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor, i: &Tensor| x.take(i, 0) * 2.0);
    let point = (Array::from([1.0, 2.0, 3.0]), Array::from([2_i64, 0]));
    let all = f.sparsity(&point)?;
    let at = f.sparsity_at(&point)?;
    assert_eq!((all.len(), at.len()), (6, 2));
    let j = f.sparse_jacobian().with_pattern(at);
    let (columns, rows) = j.groups(&point)?;
    assert_eq!(columns + rows, 1);
    assert_eq!(
        j.call(point.clone())?.to_dense()?,
        [[0.0, 0.0, 2.0], [2.0, 0.0, 0.0]].into()
    );
    let wrong = f.sparse_jacobian().with_pattern(Pattern::new(3, 3, [])?);
    let e = wrong.call(point).unwrap_err().to_string();
    assert!(
        e.contains("2 rows and 3 columns, found 3 rows and 3 columns"),
        "{e}"
    );
    Ok(())
}

#[test]
fn entries_are_part_of_other_functions() -> Result<(), Error> {
    // The sum of all entries of the Jacobian, and its own gradient.
    let f = Function::new(|x: &Tensor| x.at(1..).square() * x.at(..-1));
    let entries = f.sparse_jacobian().values().clone();
    let g = Function::new(move |x: &Tensor| entries.apply((x.clone(),)).sum(..));
    let x = Array::from([1.0, 2.0, 3.0]);
    // Of row i: 2 x[i+1] x[i] + x[i+1]^2.
    assert_eq!(g.call((x.clone(),))?, (4.0 + 4.0 + 12.0 + 9.0).into());
    assert_eq!(g.grad().call((x,))?, [4.0, 6.0 + 6.0, 4.0 + 6.0].into());
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| x.floor().convert(DType::I64)).named("whole", ["x"]);
    let e = f
        .sparse_jacobian()
        .call(([1.0].into(),))
        .unwrap_err()
        .to_string();
    assert!(e.contains("whole"), "{e}");
    let f = Function::new(rosenbrock);
    let e = f
        .sparse_jacobian()
        .call(([1_i64, 2].into(),))
        .unwrap_err()
        .to_string();
    assert!(!e.is_empty());
    let e = f
        .sparse_hessian()
        .with_pattern(Pattern::new(2, 3, [])?)
        .call(([1.0, 2.0].into(),));
    assert!(e.unwrap_err().to_string().contains("2 rows and 2 columns"));
    let m = Coo {
        rows: 1,
        columns: 1,
        row_indices: [0].into(),
        column_indices: [1].into(),
        values: Array::from([1.0]),
    };
    let e = m.to_dense().unwrap_err().to_string();
    assert_eq!(e, "expected `column_indices` below 1, found 1");
    Ok(())
}

/// The bounds are loose, for slow machines and builds without optimisation.
#[test]
fn a_hundred_thousand_inputs() -> Result<(), Error> {
    let n = 100_000;
    let start = Instant::now();
    let f = Function::new(rosenbrock);
    let x = Array::from(wave(n));
    let p = f.hessian_sparsity(&(TensorType::new(DType::F64, [n]),))?;
    assert_eq!(p.len(), 3 * n - 2);
    eprintln!("pattern of the Hessian: {:.2?}", start.elapsed());
    let h = f.sparse_hessian();
    let first = Instant::now();
    h.call((x.clone(),))?;
    eprintln!("first call: {:.2?}", first.elapsed());
    let again = Instant::now();
    let m = h.call((x.clone(),))?;
    eprintln!("again: {:.2?}", again.elapsed());
    // Against the product with a vector, which needs no matrix.
    let v = Array::from(wave(n).iter().map(|x| 1.0 - x).collect::<Vec<_>>());
    let product = f.hvp().call(((x,), v.clone()))?;
    let largest = product
        .to_f64s()
        .iter()
        .fold(0.0_f64, |m, x| m.max(x.abs()));
    let found = m.dot(&v)?;
    for (a, b) in found.to_f64s().iter().zip(product.to_f64s()) {
        assert!((a - b).abs() <= 1e-9 * largest, "{a} {b}");
    }
    assert!(start.elapsed().as_secs() < 60);
    Ok(())
}
