//! Solutions of equations and their derivatives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cotangent::custom::{self, Native};
use cotangent::implicit::{Options, argmin, fixed_point, root};
use cotangent::{Array, ArrayError, DType, Error, Function, Tensor, TensorType, control};

#[track_caller]
fn near(found: &Array, expected: &[f64], tolerance: f64) {
    let found = found.to_f64s();
    assert_eq!(found.len(), expected.len());
    for (x, y) in found.iter().zip(expected) {
        assert!(
            (x - y).abs() <= tolerance * y.abs().max(1.0),
            "{found:?} and {expected:?}"
        );
    }
}

/// sqrt(p) three times: as a fixed point (of the average with p / x), a root and a minimum.
fn square_roots() -> [Function<(Tensor,), Tensor>; 3] {
    let options = Options::default();
    let start = |p: &Tensor| p * 0.0 + 1.5;
    [
        Function::new(move |p: &Tensor| {
            let f = |p: &Tensor, x: &Tensor| (x + p / x) * 0.5;
            fixed_point(f, p, &start(p), &options).value
        }),
        Function::new(move |p: &Tensor| {
            root(|p: &Tensor, x: &Tensor| x * x - p, p, &start(p), &options).value
        }),
        Function::new(move |p: &Tensor| {
            let f = |p: &Tensor, x: &Tensor| (x * x * x / 3.0 - p * x).sum(..);
            argmin(f, p, &start(p), &options).value
        }),
    ]
}

#[test]
fn three_ways_to_a_square_root_agree_to_third_order() -> Result<(), Error> {
    let p: f64 = 4.7;
    let orders = [
        p.sqrt(),
        0.5 / p.sqrt(),
        -0.25 * p.powf(-1.5),
        0.375 * p.powf(-2.5),
    ];
    for f in square_roots() {
        near(&f.call((p.into(),))?, &orders[..1], 1e-10);
        let df = f.grad();
        near(&df.call((p.into(),))?, &orders[1..2], 1e-9);
        near(&df.grad().call((p.into(),))?, &orders[2..3], 1e-8);
        near(&df.grad().grad().call((p.into(),))?, &orders[3..], 1e-7);
        // Forward, and forward over reverse.
        let (_, t) = f.jvp().call(((p.into(),), (2.0.into(),)))?;
        near(&t, &[2.0 * orders[1]], 1e-9);
        let h = f.hvp().call(((p.into(),), 1.0.into()))?;
        near(&h, &orders[2..3], 1e-8);
        // A batch, whose examples take steps of their own.
        let many = Array::from([1.0, 2.0, 100.0]);
        near(
            &f.vmap().call((many.clone(),))?,
            &[1.0, 2.0_f64.sqrt(), 10.0],
            1e-9,
        );
        near(
            &df.vmap().call((many.clone(),))?,
            &[0.5, 0.5 / 2.0_f64.sqrt(), 0.05],
            1e-9,
        );
        let batched = f.vmap();
        let g = Function::new(move |p: &Tensor| batched.apply((p.clone(),)).sum(..)).grad();
        near(&g.call((many,))?, &[0.5, 0.5 / 2.0_f64.sqrt(), 0.05], 1e-9);
    }
    Ok(())
}

#[test]
fn trees_of_parameters_and_unknowns_and_tensors_from_around() -> Result<(), Error> {
    // a x + y = c, x - b y = d with x a scalar and y a vector of one; c comes from around.
    let solution = Function::new(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| {
        let f = |p: &(Tensor, Vec<Tensor>), u: &(Tensor, Tensor)| {
            let ((a, bd), (x, y)) = (p, u);
            let first = a * x + y.at(0) - c;
            (first, (x - &bd[0] * y.at(0) - &bd[1]).expand_dims(0))
        };
        let params = (a.clone(), vec![b.clone(), d.clone()]);
        let start = (a * 0.0, Tensor::zeros([1], DType::F64));
        let found = root(f, &params, &start, &Options::default());
        let (x, y) = found.value;
        x * 2.0 + y.at(0)
    });
    // By hand: x = (d + b c) / (1 + a b), y = c - a x.
    let by_hand = Function::new(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| {
        let x = (d + b * c) / (1.0 + a * b);
        2.0 * &x + c - a * &x
    });
    let at = || (0.7.into(), 1.9.into(), (-2.0).into(), 0.3.into());
    let value = by_hand.call(at())?.to_f64s();
    near(&solution.call(at())?, &value, 1e-9);
    macro_rules! agree {
        ($($n:literal)*) => {$(
            let want = by_hand.grad_of::<$n>().call(at())?.to_f64s();
            near(&solution.grad_of::<$n>().call(at())?, &want, 1e-9);
        )*};
    }
    agree!(0 1 2 3);
    Ok(())
}

#[test]
fn a_minimum_over_several_unknowns() -> Result<(), Error> {
    // Rosenbrock's function, whose minimum is at (p, p^2).
    let solution = Function::new(|p: &Tensor| {
        let f = |p: &Tensor, x: &Tensor| {
            let bend = x.at(1) - x.at(0) * x.at(0);
            (p - x.at(0)).square() + 100.0 * bend.square()
        };
        let found = argmin(f, p, &Tensor::from([-1.2, 1.0]), &Options::default());
        (found.value, (found.converged, found.steps))
    });
    let (x, (converged, steps)) = solution.call((1.5.into(),))?;
    near(&x, &[1.5, 2.25], 1e-8);
    assert!(converged.item::<bool>()?);
    let steps = steps.item::<i64>()?;
    assert!((5..100).contains(&steps), "{steps} steps");
    let first = Function::new(move |p: &Tensor| solution.apply((p.clone(),)).0.at(1));
    near(&first.grad().call((1.5.into(),))?, &[3.0], 1e-8);
    Ok(())
}

/// A native identity that counts how often it runs, with the identity as its derivative.
fn counted(calls: &Arc<AtomicUsize>) -> Function<(Tensor,), Tensor> {
    let calls = calls.clone();
    let native = Native::new(
        "counted",
        |operands| Ok(operands.to_vec()),
        move |operands: &[Array]| -> Result<Vec<Array>, ArrayError> {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok(operands.to_vec())
        },
    );
    Function::new(move |x: &Tensor| custom::call(&native, [x]))
        .with_jvp(|_: (Tensor,), _: Tensor, (t,): (Tensor,)| t)
}

#[test]
fn the_derivative_does_not_go_through_the_steps() -> Result<(), Error> {
    let calls = Arc::new(AtomicUsize::new(0));
    let f = counted(&calls);
    let slow = Function::new(move |p: &Tensor| {
        // About 200 steps: the error shrinks by a tenth each time.
        let step = |p: &Tensor, x: &Tensor| f.apply((x * 0.9,)) + p * 0.1;
        fixed_point(step, p, &(p * 0.0), &Options::default()).value
    });
    near(&slow.call((2.0.into(),))?, &[2.0], 1e-8);
    let forward = calls.swap(0, Ordering::Relaxed);
    assert!(forward > 150, "{forward} calls");
    let (value, slope) = slow.value_and_grad().call((2.0.into(),))?;
    near(&value, &[2.0], 1e-8);
    near(&slope, &[1.0], 1e-8);
    let both = calls.swap(0, Ordering::Relaxed);
    // The loop runs once as before; a Jacobian and a tangent at the solution are all that is new.
    assert!(
        (forward..forward + 6).contains(&both),
        "{forward} and {both} calls"
    );
    // And nothing is kept of its steps: no loop runs backward.
    let graph = slow
        .value_and_grad()
        .graph(&(TensorType::scalar(DType::F64),))?;
    let text = cotangent::print(&graph);
    assert!(!text.contains("while_back("), "{text}");
    assert_eq!(text.matches(" = while(").count(), 1, "{text}");
    // The map is linear in x, so the gradient alone needs no solution: the loop is not even run.
    near(&slow.grad().call((2.0.into(),))?, &[1.0], 1e-8);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    Ok(())
}

#[test]
fn a_solver_that_does_not_converge_says_so() -> Result<(), Error> {
    let options = Options {
        tolerance: None,
        max_steps: 7,
    };
    let grows = Function::new(move |p: &Tensor| {
        let found = fixed_point(|p: &Tensor, x: &Tensor| x * 2.0 + p, p, p, &options);
        (found.converged, (found.residual, found.steps))
    });
    let (converged, (residual, steps)) = grows.call((1.0.into(),))?;
    assert!(!converged.item::<bool>()?);
    assert!(residual.item::<f64>()? > 100.0);
    assert_eq!(steps.item::<i64>()?, 7);
    // A singular Jacobian: the step is not finite.
    let singular = Function::new(|p: &Tensor| {
        let f = |p: &Tensor, x: &Tensor| x * x + p;
        let found = root(f, p, &p.zeros_like(), &Options::default());
        (found.value, found.converged)
    });
    let (value, converged) = singular.call((1.0.into(),))?;
    assert!(!converged.item::<bool>()? && !value.item::<f64>()?.is_finite());
    let error = singular.call_checked((1.0.into(),)).expect_err("checked");
    assert!(
        error
            .to_string()
            .contains("although its operands are finite"),
        "{error}"
    );
    Ok(())
}

#[test]
fn wrong_equations_are_errors_that_name_the_line() {
    let at = TensorType::new(DType::F64, [2]);
    let message = |f: Function<(Tensor,), Tensor>| {
        let error = match f.trace(&(at.clone(),)) {
            Ok(_) => panic!("expected an error"),
            Err(e) => e.to_string(),
        };
        assert!(error.starts_with(file!()), "{error}");
        error
    };
    let options = Options::default();
    let short = Function::new(move |p: &Tensor| {
        root(|_: &Tensor, x: &Tensor| x.sum(..), p, p, &options).value
    });
    let text = message(short);
    assert!(
        text.contains(
            "expected a function that gives what it takes as unknowns: (f64[2]), found (f64)"
        ),
        "{text}"
    );
    let vector = Function::new(move |p: &Tensor| {
        argmin(|_: &Tensor, x: &Tensor| x.clone(), p, p, &options).value
    });
    let text = message(vector);
    assert!(
        text.contains("argmin: expected a function that gives one float scalar, found (f64[2])"),
        "{text}"
    );
    let whole = Function::new(move |p: &Tensor| {
        let start = p.convert(DType::I64);
        fixed_point(|_: &Tensor, x: &Tensor| x.clone(), p, &start, &options).value
    });
    let text = message(whole);
    assert!(
        text.contains("expected unknowns of one float dtype, found (i64[2])"),
        "{text}"
    );
    let wrong = Function::new(move |p: &Tensor| {
        fixed_point(
            |p: &Tensor, x: &Tensor| x + p.at(0..1).tile([3]),
            p,
            p,
            &options,
        )
        .value
    });
    assert!(message(wrong).contains("add: expected shapes that broadcast to one"));
}

#[test]
fn solvers_work_inside_of_loops() -> Result<(), Error> {
    // Five implicit Euler steps of y' = -y^2.
    let f = Function::new(|y: &Tensor| {
        let step = |_: Tensor, y: Tensor| {
            let euler = |old: &Tensor, new: &Tensor| new - old + 0.1 * new * new;
            root(euler, &y, &y, &Options::default()).value
        };
        control::fori_loop(5, step, y.clone())
    });
    let value = |y: f64| {
        let mut y = y;
        for _ in 0..5 {
            y = ((1.0 + 0.4 * y).sqrt() - 1.0) / 0.2;
        }
        y
    };
    near(&f.call((1.3.into(),))?, &[value(1.3)], 1e-9);
    let slope = (value(1.3 + 1e-5) - value(1.3 - 1e-5)) / 2e-5;
    near(&f.grad().call((1.3.into(),))?, &[slope], 1e-7);
    let (_, t) = f.jvp().call(((1.3.into(),), (1.0.into(),)))?;
    near(&t, &[slope], 1e-7);
    Ok(())
}
