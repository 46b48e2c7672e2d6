//! Taylor mode and finite differences as users call them.

use cotangent::finite::Difference;
use cotangent::{Array, DType, Error, Function, Tensor, Tree};

#[derive(Clone, Debug, PartialEq, Tree)]
struct Line<T> {
    slope: T,
    offset: T,
}

fn line(p: &Line<Tensor>, x: &Tensor) -> Tensor {
    (&p.slope * x + &p.offset).exp()
}

fn near(a: &Array, b: &Array, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    assert_eq!(a.dtype(), b.dtype());
    for (a, b) in a.to_f64s().into_iter().zip(b.to_f64s()) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} {b}");
    }
}

#[test]
fn jets_go_over_trees() -> Result<(), Error> {
    let f = Function::new(line);
    let p = Line {
        slope: Array::from(2.0),
        offset: Array::from(0.5),
    };
    let x = Array::from([0.1, 0.2]);
    let curves = Line {
        slope: Array::from([1.0, 0.0]),
        offset: Array::from([0.0, 3.0]),
    };
    let still = Array::zeros(DType::F64, [2, 2])?;
    let (value, c) = f.jet().call(((p.clone(), x.clone()), (curves, still)))?;
    assert_eq!(value, f.call((p, x.clone()))?);
    // exp(a + x t + 3 t^2): the coefficients e x and e (x^2 / 2 + 3).
    let (v, x) = (value.to_f64s(), x.to_f64s());
    let want = [
        v[0] * x[0],
        v[1] * x[1],
        v[0] * (x[0] * x[0] / 2.0 + 3.0),
        v[1] * (x[1] * x[1] / 2.0 + 3.0),
    ];
    near(&c, &Array::new([2, 2], want.to_vec())?, 1e-14);
    Ok(())
}

#[test]
fn taylor_polynomials() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| (x.sin(), x.floor().convert(DType::I64)));
    let (c, whole) = f
        .taylor(5)
        .call((([0.0, 1.0].into(),), ([1.0, 2.0].into(),)))?;
    assert_eq!(c.shape(), &[6, 2][..]);
    assert_eq!(whole.shape(), &[6, 2][..]);
    let s = [0.0, 1.0, 0.0, -1.0 / 6.0, 0.0, 1.0 / 120.0];
    let derivatives = [
        1.0_f64.sin(),
        1.0_f64.cos(),
        -1.0_f64.sin(),
        -1.0_f64.cos(),
        1.0_f64.sin(),
        1.0_f64.cos(),
    ];
    let mut factorial = 1.0;
    for k in 0..6 {
        factorial *= k.max(1) as f64;
        assert!((c.get(&[k, 0]).unwrap().to_f64() - s[k]).abs() < 1e-15);
        let want = derivatives[k] * 2.0_f64.powi(k as i32) / factorial;
        assert!((c.get(&[k, 1]).unwrap().to_f64() - want).abs() < 1e-14);
    }
    // Inside of a traced function, and differentiated again.
    let cube = Function::new(|x: &Tensor| x * x * x);
    let second = cube.taylor(2);
    let g =
        Function::new(move |x: &Tensor| second.apply(((x.clone(),), (Tensor::from(1.0),))).at(2));
    assert_eq!(g.call((2.0.into(),))?, 6.0.into());
    assert_eq!(g.grad().call((2.0.into(),))?, 3.0.into());
    Ok(())
}

#[test]
fn orders_and_curves_that_do_not_fit_are_errors() {
    let f = Function::new(|x: &Tensor| x.exp()).named("grow", ["x"]);
    for order in [0, 256] {
        let e = f
            .taylor(order)
            .call(((1.0.into(),), (1.0.into(),)))
            .unwrap_err()
            .to_string();
        assert!(e.contains("`grow`") && e.contains("from 1 to 255"), "{e}");
    }
    let e = f
        .jet()
        .call((([1.0, 2.0].into(),), ([1.0, 2.0].into(),)))
        .unwrap_err()
        .to_string();
    assert!(e.contains("coefficients") && e.contains("f64[2, 2]"), "{e}");
}

#[test]
fn finite_differences_meet_the_exact_derivative() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| (x.sin() * x.exp()).sum(..));
    let x = Array::from([0.3, -1.2, 150.0, 0.0]);
    let x = Array::from(x.to_f64s().iter().map(|x| x.min(2.0)).collect::<Vec<_>>());
    let exact = f.grad().call((x.clone(),))?;
    for (method, tolerance) in [
        (Difference::Forward, 1e-6),
        (Difference::Central, 1e-8),
        (Difference::Richardson, 1e-11),
    ] {
        near(
            &f.finite_differences()
                .method(method)
                .gradient(&(x.clone(),))?,
            &exact,
            tolerance,
        );
    }
    Ok(())
}

#[test]
fn jacobians_and_trees() -> Result<(), Error> {
    let f = Function::new(line);
    let p = Line {
        slope: Array::from(2.0),
        offset: Array::from(0.5),
    };
    let x = Array::from([0.1, 0.2]);
    let exact = f.jacobian().call((p.clone(), x.clone()))?;
    let d = f.finite_differences().method(Difference::Richardson);
    let found = d.jacobian(&(p.clone(), x.clone()))?;
    near(&found.slope, &exact.slope, 1e-11);
    near(&found.offset, &exact.offset, 1e-11);
    let tangents = (
        Line {
            slope: Array::from(1.0),
            offset: Array::from(-2.0),
        },
        Array::from([0.5, 0.0]),
    );
    let (_, along) = f.jvp().call(((p.clone(), x.clone()), tangents.clone()))?;
    let (found, error) = d.derivative(&(p, x), &tangents)?;
    near(&found, &along, 1e-11);
    assert!(error < 1e-9, "{error}");
    Ok(())
}

#[test]
fn the_estimate_of_the_error_covers_the_error() -> Result<(), Error> {
    for x in [0.05, 0.3, 1.0, 20.0, 1e4] {
        for f in [
            Function::new(|x: &Tensor| x.log()),
            Function::new(|x: &Tensor| x.sqrt() * x.sin()),
            Function::new(|x: &Tensor| 1.0 / (1.0 + x * x)),
        ] {
            let exact = f.grad().call((x.into(),))?.item::<f64>()?;
            let d = f.finite_differences().method(Difference::Richardson);
            let (found, error) = d.derivative(&(x.into(),), &(1.0.into(),))?;
            let off = (found.item::<f64>()? - exact).abs();
            assert!(
                off <= 10.0 * error,
                "at {x}: {off:e} of {exact}, said {error:e}"
            );
            assert!(
                off <= 1e-5 * exact.abs().max(1e-3),
                "at {x}: {off:e} of {exact}"
            );
        }
    }
    Ok(())
}

#[test]
fn single_precision_takes_wider_steps() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| x.exp());
    let x = Array::from(0.5_f32);
    for (method, tolerance) in [
        (Difference::Forward, 2e-3),
        (Difference::Central, 3e-4),
        (Difference::Richardson, 2e-5),
    ] {
        let (found, _) = f
            .finite_differences()
            .method(method)
            .derivative(&(x.clone(),), &(1.0_f32.into(),))?;
        assert_eq!(found.dtype(), DType::F32);
        let off = (f64::from(found.item::<f32>()?) - 0.5_f64.exp()).abs();
        assert!(off < tolerance, "{method:?}: {off:e}");
    }
    Ok(())
}

#[test]
fn steps_can_be_chosen_and_errors_name_the_function() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| x * x).named("square", ["x"]);
    let d = f.finite_differences().method(Difference::Forward).step(0.5);
    assert_eq!(d.derivative(&(1.0.into(),), &(1.0.into(),))?.0, 2.5.into());
    let e = f
        .finite_differences()
        .gradient(&([1.0, 2.0].into(),))
        .unwrap_err()
        .to_string();
    assert!(e.contains("`square` gives f64[2]"), "{e}");
    let e = f
        .finite_differences()
        .derivative(&(1.0.into(),), &([1.0].into(),))
        .unwrap_err()
        .to_string();
    assert!(e.contains("directions"), "{e}");
    Ok(())
}
