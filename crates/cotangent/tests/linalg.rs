//! Linear algebra as users call it: identities on small matrices and on those that kernels work on
//! by blocks, compiled programs against the reference evaluator, faults with their lines.

use cotangent::{Array, DType, Error, Function, Tensor, Triangular, eval};

/// Below and above the size from which factorisations go by blocks, and odd.
const SIZES: [usize; 4] = [1, 5, 17, 40];

/// A matrix of numbers between -1 and 1, spread by the golden ratio.
fn matrix(rows: usize, columns: usize, start: f64) -> Array {
    let list: Vec<f64> = (0..rows * columns)
        .map(|i| 2.0 * (start + 0.618_033_988_75 * (i * i % 1009) as f64).fract() - 1.0)
        .collect();
    Array::new([rows, columns], list).expect("as many numbers as places")
}

fn largest(found: &Array) -> f64 {
    (found.to_f64s().into_iter()).fold(
        0.0,
        |most, x| if x.is_nan() { x } else { most.max(x.abs()) },
    )
}

/// What the body gives is zero up to rounding, in the compiled program.
fn vanishes(name: &str, n: usize, body: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static) {
    let f = Function::new(body);
    let found = f.call((matrix(n, n, 0.3),)).expect("a program that runs");
    assert!(largest(&found) < 1e-9, "{name} of {n}: {}", largest(&found));
}

fn definite(a: &Tensor) -> Tensor {
    let n = a.shape().dims()[0];
    a.matmul(&a.t()) + Tensor::eye(n, a.dtype())
}

#[test]
fn factors_give_the_matrix_back() {
    for n in SIZES {
        vanishes("cholesky", n, |a| {
            let a = definite(a);
            let l = a.cholesky();
            l.matmul(&l.t()) - a
        });
        vanishes("lu", n, |a| {
            let (p, l, u) = a.lu();
            p.matmul(&l).matmul(&u) - a
        });
        vanishes("qr", n, |a| {
            let (q, r) = a.qr();
            q.matmul(&r) - a
        });
        vanishes("columns of q", n, |a| {
            let (q, _) = a.qr();
            q.t().matmul(&q) - Tensor::eye(a.shape().dims()[0], a.dtype())
        });
        vanishes("svd", n, |a| {
            let (u, s, vt) = a.svd();
            (u * s).matmul(&vt) - a
        });
        vanishes("eigh", n, |a| {
            let a = definite(a);
            let (w, v) = a.eigh();
            (&v * w).matmul(&v.t()) - a
        });
        vanishes("singular values alone", n, |a| a.svd().1 - a.svdvals());
        vanishes("eigenvalues alone", n, |a| {
            let a = definite(a);
            a.eigh().0 - a.eigvalsh()
        });
    }
}

#[test]
fn solutions_solve() {
    for n in SIZES {
        vanishes("solve", n, |a| {
            let d = definite(a);
            d.matmul(&d.solve(a)) - a
        });
        vanishes("inv", n, |a| {
            let a = definite(a);
            a.matmul(&a.inv()) - Tensor::eye(a.shape().dims()[0], a.dtype())
        });
        vanishes("pinv", n, |a| a.matmul(&a.pinv()).matmul(a) - a);
        vanishes("lower triangle", n, |a| {
            let l = definite(a).cholesky();
            l.matmul(&l.solve_triangular(a, Triangular::LOWER)) - a
        });
        vanishes("determinant", n, |a| {
            let a = definite(a);
            let (sign, log) = a.slogdet();
            // Relative to the size, which grows with n.
            a.det() / (sign * log.exp()) - 1.0
        });
        vanishes("exponential", n, |a| {
            let a = a / a.shape().dims()[0] as f64;
            a.expm().matmul(&(-&a).expm()) - Tensor::eye(a.shape().dims()[0], a.dtype())
        });
    }
}

#[test]
fn programs_agree_with_the_reference_evaluator() -> Result<(), Error> {
    type Body = fn(&Tensor) -> Tensor;
    let bodies: [(&str, Body); 7] = [
        ("cholesky", |a| definite(a).cholesky()),
        ("lu", |a| a.lu_factor().0),
        ("q", |a| a.qr().0),
        ("r", |a| a.qr().1),
        ("u", |a| a.svd().0),
        ("vt", |a| a.svd().2),
        ("eigenvectors", |a| definite(a).eigh().1),
    ];
    for n in SIZES {
        for (name, body) in bodies {
            let f = Function::new(body);
            let a = matrix(n, n, 0.3);
            let found = f.call((a.clone(),))?.to_f64s();
            let expected = eval(&*f.graph(&(a.clone(),))?, &[a]).expect("an evaluation");
            for (x, y) in found.iter().zip(expected[0].to_f64s()) {
                // Vectors of values that lie close together turn far by rounding.
                assert!((x - y).abs() < 1e-7, "{name} of {n}: {x}, expected {y}");
            }
        }
    }
    Ok(())
}

fn says<T: std::fmt::Debug>(result: Result<T, Error>, line: u32, words: &[&str]) {
    let error = result.expect_err("an error").to_string();
    let place = format!("{}:{line}:", file!());
    assert!(error.contains(&place), "expected {place} in: {error}");
    for word in words {
        assert!(error.contains(word), "expected `{word}` in: {error}");
    }
}

#[test]
fn faults_name_the_line_and_the_matrix() {
    // Small matrices and those that go by blocks.
    for n in [2, 20] {
        let mut list = vec![0.0; 2 * n * n];
        for i in 0..n {
            list[i * n + i] = 1.0;
            list[n * n + i * n + i] = if i == 1 { 0.0 } else { 1.0 };
        }
        let singular = Array::new([2, n, n], list.clone()).expect("numbers");
        list[n * n + n + 1] = -1.0;
        let indefinite = Array::new([2, n, n], list).expect("numbers");
        let (f, line) = (Function::new(|a: &Tensor| a.cholesky()), line!());
        says(f.call((indefinite,)), line, &["cholesky", "[1]"]);
        let (f, line) = (Function::new(|a: &Tensor| a.solve(a)), line!());
        says(f.call((singular.clone(),)), line, &["solve", "[1]"]);
        let (f, line) = (Function::new(|a: &Tensor| a.inv()), line!());
        says(f.call((singular.clone(),)), line, &["[1]"]);
        let f = Function::new(|a: &Tensor| a.solve_triangular(a, Triangular::LOWER));
        let error = f.call((singular,)).expect_err("a zero on the diagonal");
        assert!(error.to_string().contains("triangular_solve"), "{error}");
    }
    let (f, line) = (Function::new(|a: &Tensor| a.cholesky()), line!());
    says(
        f.call((matrix(2, 3, 0.1),)),
        line,
        &["cholesky", "f64[2, 3]"],
    );
}

#[test]
fn entries_that_are_not_numbers_spread_and_stop_nothing() -> Result<(), Error> {
    type Body = fn(&Tensor) -> Tensor;
    let bodies: [Body; 8] = [
        |a| a.cholesky(),
        |a| a.qr().0,
        |a| a.svdvals(),
        |a| a.eigvalsh(),
        |a| a.inv(),
        |a| a.pinv(),
        |a| a.expm(),
        |a| a.det().reshape([1, 1]),
    ];
    for n in [3, 20] {
        for body in bodies {
            let mut list = matrix(n, n, 0.3).to_f64s();
            list[n + 1] = f64::NAN;
            let a = Array::new([n, n], list)?;
            let found = Function::new(body).call((a,))?;
            assert!(found.to_f64s().iter().any(|x| x.is_nan()), "{found:?}");
        }
    }
    Ok(())
}

#[test]
fn empty_matrices_are_ordinary() -> Result<(), Error> {
    let none = Array::new([0, 0], Vec::<f64>::new())?;
    let f = Function::new(|a: &Tensor| a.det());
    assert_eq!(f.call((none.clone(),))?, 1.0.into());
    let f =
        Function::new(|a: &Tensor| a.cholesky().sum(..) + a.svdvals().sum(..) + a.inv().sum(..));
    assert_eq!(f.call((none,))?, 0.0.into());
    Ok(())
}

#[test]
fn the_determinant_of_a_matrix_of_rank_1_has_a_gradient_of_0_in_either_width() -> Result<(), Error>
{
    let f = Function::new(|a: &Tensor| a.det()).grad();
    for dtype in [DType::F64, DType::F32] {
        let ones = Array::new([5, 5], vec![1.0; 25])?.convert(dtype);
        let slope = f.call((ones,))?.to_f64s();
        assert!(slope.iter().all(|x| x.abs() < 1e-6), "{dtype}: {slope:?}");
    }
    Ok(())
}
