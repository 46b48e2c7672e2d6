//! Batches along any axes, linearized functions, values with all their derivatives, and any nesting
//! of transformations; wrong uses are errors that name the line.

use cotangent::{Array, DType, Error, Function, Mode, RunError, Tensor, control, grad, jvp, vjp};

fn near(a: &Array, b: &Array) {
    assert_eq!(a.shape(), b.shape());
    for (a, b) in a.to_f64s().into_iter().zip(b.to_f64s()) {
        assert!((a - b).abs() <= 1e-11 * b.abs().max(1.0), "{a} {b}");
    }
}

fn value(f: &Function<(Tensor,), Tensor>, x: f64) -> f64 {
    f.call((x.into(),)).unwrap().item().unwrap()
}

fn assert_near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-11 * b.abs().max(1.0), "{a} {b}");
}

#[test]
fn vmap_takes_and_gives_any_axis() -> Result<(), Error> {
    let f = Function::new(|a: &(Tensor, Tensor), s: &Tensor| (a.0.dot(&a.1) * s, a.0.clone()));
    // The pair along axes 1 and -2, the number shared; results along the last and the first axis.
    let g = f.vmap_axes(
        |argument, path| match (argument, path) {
            (0, "0") => Some(1),
            (0, _) => Some(-2),
            _ => None,
        },
        |path| if path == "1" { -1 } else { 0 },
    );
    let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let y = Array::from([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    let (dots, copies) = g.call(((x.clone(), y), 10.0.into()))?;
    assert_eq!(dots, [10.0, 50.0, 90.0].into());
    assert_eq!(copies, x);
    // A loop in a batch in a gradient, along the second axis.
    let norm = Function::new(|x: &Tensor| {
        control::fori_loop(3, |_, y: Tensor| (&y * &y).sum(..) * &y, x.clone()).sum(..)
    });
    let columns = norm.grad().vmap_axes(|_, _| Some(1), |_| 1);
    let x = Array::from([[0.5, 1.0], [0.25, 0.5], [1.0, 0.75]]);
    let all = columns.call((x.clone(),))?;
    for k in 0..2 {
        let column: Vec<f64> = x.to_f64s().into_iter().skip(k).step_by(2).collect();
        let one = norm.grad().call((Array::vector(column),))?;
        let found: Vec<f64> = all.to_f64s().into_iter().skip(k).step_by(2).collect();
        near(&Array::vector(found), &one);
    }
    Ok(())
}

#[test]
fn a_linearized_function_is_applied_often() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor, n: &Tensor| {
        let y = (x * 2.0).tanh() * x.sum(..);
        (y.clone(), n + 1_i64, y.sum(..))
    });
    let x = Array::from([0.3, -0.7]);
    let ((y, n, s), df) = f.linearize((x.clone(), 4.into()))?;
    assert_eq!((y, n, s), f.call((x.clone(), 4.into()))?,);
    assert!(df.residuals().iter().all(|a| a.dtype() == DType::F64));
    let back = df.transpose();
    for t in [[1.0, 0.0], [0.5, -2.0]] {
        let tangents = (Array::from(t), 0.into());
        let (_, expected) = f.jvp().call(((x.clone(), 4.into()), tangents.clone()))?;
        let moved = df.apply(tangents.clone())?;
        near(&moved.0, &expected.0);
        near(&moved.2, &expected.2);
        assert_eq!(moved.1, 0.into());
        let ct = (Array::from([1.5, 0.25]), 0.into(), (-1.0).into());
        let (_, (dx, _)) = f.vjp().call(((x.clone(), 4.into()), ct.clone()))?;
        near(&back.apply(ct)?.0, &dx);
        near(&back.transpose().apply(tangents)?.0, &moved.0);
    }
    let many = df.apply_batch((Array::from([[1.0, 0.0], [0.5, -2.0]]), [0, 0].into()))?;
    assert_eq!(many.0.shape().dims(), [2, 2]);
    let one = df.apply((Array::from([0.5, -2.0]), 0.into()))?;
    near(&Array::vector(many.0.to_f64s()[2..].to_vec()), &one.0);
    // Other types, another structure, lengths that differ.
    let error = df.apply((Array::from([1.0]), 0.into())).unwrap_err();
    assert!(
        error.to_string().contains("f64[2], found f64[1]"),
        "{error}"
    );
    let error = df.apply_batch((Array::from([[1.0, 0.0]]), [0, 0].into()));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("a batch of one length, found 1 and 2"),
        "{error}"
    );
    let constant = Function::new(|x: &Tensor| x.stop_gradient());
    let (_, zero) = constant.linearize((2.0.into(),))?;
    assert_eq!(zero.apply((1.0.into(),))?, 0.0.into());
    assert_eq!(zero.transpose().apply(1.0.into())?, (0.0.into(),));
    Ok(())
}

#[test]
fn a_linearized_loop_is_applied_in_both_directions() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| {
        control::while_loop(|y| y.max(..).less(50.0), |y: Tensor| &y * &y + x, x + 1.0)
    });
    let x = Array::from([0.5, 0.9]);
    let (y, df) = f.linearize((x.clone(),))?;
    assert_eq!(y, f.call((x.clone(),))?);
    let t = Array::from([1.0, -0.5]);
    let (_, expected) = f.jvp().call(((x.clone(),), (t.clone(),)))?;
    near(&df.apply((t.clone(),))?, &expected);
    let (_, (expected,)) = f.vjp().call(((x,), t.clone()))?;
    near(&df.transpose().apply(t)?.0, &expected);
    Ok(())
}

#[test]
fn products_with_many_vectors_at_once() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| (x.sin() * x.sum(..), x.at(0) * x.at(1)));
    let x = Array::from([0.3, 1.2]);
    let eye = Array::from([[1.0, 0.0], [0.0, 1.0]]);
    let (y, dy) = f.jvp_batch().call(((x.clone(),), (eye.clone(),)))?;
    assert_eq!(y, f.call((x.clone(),))?);
    let first = Function::new(|x: &Tensor| x.sin() * x.sum(..));
    let j = first.jacobian().call((x.clone(),))?;
    let transposed = Function::new(|j: &Tensor| j.t());
    near(&dy.0, &transposed.call((j.clone(),))?);
    assert_eq!(dy.1, [1.2, 0.3].into());
    let (_, (rows,)) = f.vjp_batch().call(((x,), (eye, [0.0, 0.0].into())))?;
    near(&rows, &j);
    Ok(())
}

#[test]
fn a_value_comes_with_all_its_derivatives() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| (x * x * x).sum(..) * x.at(0));
    let x = Array::from([0.5, -1.5]);
    let ((v, g), h) = f.value_grad_and_hessian().call((x.clone(),))?;
    assert_eq!(v, f.call((x.clone(),))?);
    near(&g, &f.grad().call((x.clone(),))?);
    near(&h, &f.hessian().call((x.clone(),))?);
    let third = f.hessian().jacobian();
    let all = f.value_grad_and_hessian().and(&third);
    let (_, t) = all.call((x.clone(),))?;
    near(&t, &third.call((x.clone(),))?);
    // What is shared is computed once.
    let separate: usize = [
        f.graph(&(x.clone(),))?.operation_count(),
        f.grad().graph(&(x.clone(),))?.operation_count(),
    ]
    .iter()
    .sum();
    let both = f.and(&f.grad()).graph(&(x,))?.operation_count();
    assert!(both < separate, "{both} {separate}");
    Ok(())
}

#[test]
fn perturbations_are_not_confused() {
    // d/dx (x * d/dy (x + y)) = 1, from Siskind and Pearlmutter 2005; confused it would be 2.
    let f = Function::new(|x: &Tensor| {
        let outer = x.clone();
        let inner = jvp(|y: &Tensor| &outer + y, (1.0.into(),), (1.0.into(),)).1;
        x * inner
    });
    assert_near(value(&f.grad(), 1.0), 1.0);
    let along = |f: &Function<(Tensor,), Tensor>, x: f64| -> f64 {
        let (_, t) = f.jvp().call(((x.into(),), (1.0.into(),))).unwrap();
        t.item().unwrap()
    };
    assert_near(along(&f, 1.0), 1.0);
    // The same in all mixes: d/dx (x * d/dy (x * y)) at y = 2 is 2 x.
    for inner_reverse in [false, true] {
        let f = Function::new(move |x: &Tensor| {
            let product = |y: &Tensor| x * y;
            let slope = match inner_reverse {
                true => vjp(product, (2.0.into(),), 1.0.into()).1.0,
                false => jvp(product, (2.0.into(),), (1.0.into(),)).1,
            };
            x * slope
        });
        assert_near(value(&f.grad(), 3.0), 6.0);
        assert_near(along(&f, 3.0), 6.0);
    }
    // Three levels that use one another: d/dx of x^2 d/dy (y x d/dz (x y z^2) at z = y) at y = x.
    // With z = y: y x 2 x y^2 = 2 x^2 y^3; d/dy = 6 x^2 y^2; at y = x times x^2: 6 x^6; d/dx = 36 x^5.
    let f = Function::new(|x: &Tensor| {
        let middle = |y: &Tensor| {
            let y1 = y.clone();
            let inner = grad_at(|z: &Tensor| x * &y1 * z * z, y);
            y * x * inner
        };
        x * x * grad_at(middle, x)
    });
    assert_near(value(&f.grad(), 1.5), 36.0 * 1.5_f64.powi(5));
    assert_near(along(&f, 1.5), 36.0 * 1.5_f64.powi(5));
}

/// The derivative of a scalar function at a tensor, inside of a trace.
fn grad_at(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    vjp(f, (x.clone(),), 1.0.into()).1.0
}

#[test]
fn grad_in_vmap_in_scan_in_grad() -> Result<(), Error> {
    // Each step moves all particles along the gradient of a potential that the weight scales.
    fn potential(x: &Tensor, w: &Tensor) -> Tensor {
        (x * x).sum(..).sin() * w
    }
    let loss = Function::new(|w: &Tensor, xs: &Tensor| {
        let force = Function::new(potential)
            .grad()
            .vmap_where(|argument| argument == 0);
        let step = |xs: Tensor, (): ()| {
            let moved = &xs - 0.1 * force.apply((xs.clone(), w.clone()));
            (moved, ())
        };
        let ((), last) = (
            (),
            control::fori_loop(3, |_, xs| step(xs, ()).0, xs.clone()),
        );
        (&last * &last).sum(..)
    });
    let plain = Function::new(|w: &Tensor, xs: &Tensor| {
        let mut xs = xs.clone();
        for _ in 0..3 {
            let r = (&xs * &xs).sum(1).expand_dims(1);
            xs = &xs - 0.1 * (2.0 * &xs * r.cos() * w);
        }
        (&xs * &xs).sum(..)
    });
    let at = || {
        (
            0.7.into(),
            Array::from([[0.1, 0.4], [-0.8, 0.3], [0.9, -0.2]]),
        )
    };
    near(&loss.call(at())?, &plain.call(at())?);
    near(&loss.grad().call(at())?, &plain.grad().call(at())?);
    near(&loss.hessian().call(at())?, &plain.hessian().call(at())?);
    near(
        &loss.grad_of::<1>().call(at())?,
        &plain.grad_of::<1>().call(at())?,
    );
    // And a batch of all of it.
    let batch = loss.grad().vmap_where(|argument| argument == 0);
    let many = batch.call(([0.7, 0.2].into(), at().1))?;
    let alone = loss.grad().call(at())?;
    assert_near(many.to_f64s()[0], alone.item()?);
    Ok(())
}

#[test]
fn reverse_over_reverse_through_a_while() -> Result<(), Error> {
    // Newton's square root: the derivatives are those of sqrt.
    let root = Function::new(|a: &Tensor| {
        let far = |x: &Tensor| (x * x - a).abs().greater(1e-13);
        let next = |x: Tensor| (&x + a / &x) * 0.5;
        // Derivatives converge after the value has, so go on a little.
        control::fori_loop(4, |_, x| next(x), control::while_loop(far, next, a.clone()))
    });
    let (d1, d2) = (root.grad(), root.grad().grad());
    let d3 = d2.grad();
    let d4 = d3.grad();
    let a = 3.0_f64;
    assert_near(value(&d1, a), 0.5 / a.sqrt());
    assert_near(value(&d2, a), -0.25 * a.powf(-1.5));
    assert!((value(&d3, a) - 0.375 * a.powf(-2.5)).abs() < 1e-8);
    assert!((value(&d4, a) + 0.9375 * a.powf(-3.5)).abs() < 1e-6);
    let batch = d2.vmap().call(([1.0, 4.0, 100.0].into(),))?;
    for (found, a) in batch.to_f64s().into_iter().zip([1.0_f64, 4.0, 100.0]) {
        assert_near(found, -0.25 * a.powf(-1.5));
    }
    Ok(())
}

#[test]
fn examples_that_are_done_leave_no_trace() -> Result<(), Error> {
    // The table has as many places as the longest example needs; the logarithm of what is left after
    // the last step is NaN.
    let table = Array::from([0.5, 0.25, 0.125]);
    let f = Function::new(|x: &Tensor, table: &Tensor| {
        let zero = Tensor::scalar(0_i64);
        let more = |(x, i): &(Tensor, Tensor)| x.greater(1.0).logical_and(i.less(3_i64));
        let step = |(x, i): (Tensor, Tensor)| {
            let scale = table.take(&i, 0);
            (x.log() * 2.0 + scale, i + 1_i64)
        };
        control::while_loop(more, step, (x.clone(), zero)).0
    });
    let xs = [9.0, 0.5, 1.5, 40.0];
    let (ys, gs) = f
        .value_and_grad()
        .vmap_where(|argument| argument == 0)
        .call((xs.into(), table.clone()))?;
    let (_, gt) = f
        .vmap_where(|argument| argument == 0)
        .vjp()
        .call(((xs.into(), table.clone()), [1.0; 4].into()))?;
    let mut sum = [0.0; 3];
    for (k, x) in xs.into_iter().enumerate() {
        let (y, g) = f.value_and_grad().call((x.into(), table.clone()))?;
        assert_near(ys.to_f64s()[k], y.item()?);
        assert_near(gs.to_f64s()[k], g.item()?);
        let g = f.grad_of::<1>().call((x.into(), table.clone()))?;
        sum.iter_mut().zip(g.to_f64s()).for_each(|(s, g)| *s += g);
    }
    near(&gt.0, &gs);
    near(&gt.1, &sum.into());
    Ok(())
}

#[test]
fn loops_keep_no_more_than_they_may() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| {
        control::while_loop(|y| y.less(1e9), |y: Tensor| y * 1.01, x.clone())
    });
    let g = f.clone().with_loop_memory(4096).grad();
    assert!(f.grad().call((1.0.into(),)).is_ok());
    let mut error = g.call((1.0.into(),)).unwrap_err();
    if let Error::Run(RunError::Op { source, .. }) = error {
        error = Error::Run(*source);
    }
    match error {
        Error::Run(RunError::LoopMemory { needed, limit }) => {
            assert_eq!(limit, 4096);
            assert!((4097..4200).contains(&needed), "{needed}");
        }
        other => panic!("{other}"),
    }
    // The same program goes on with what fits.
    assert!(g.call((1e8.into(),)).is_ok());
    // Values alone keep nothing.
    assert!(f.with_loop_memory(0).call((1.0.into(),)).is_ok());
    Ok(())
}

/// Derivatives of derivatives through a loop of unknown length are loops of four and more sweeps.
#[test]
fn loops_of_several_sweeps_stay_within_a_budget() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| {
        let far = |y: &Tensor| y.sum(..).less(1e3);
        let step = |y: Tensor| &y * 1.003 + y.sqrt() * 0.01;
        control::while_loop(far, step, x.clone()).square().sum(..)
    });
    let start = |scale: f64| {
        let x: Vec<f64> = (1..=20).map(|i| scale * 0.1 * f64::from(i)).collect();
        (Array::vector(x),)
    };
    let second = |f: &Function<(Tensor,), Tensor>| {
        let g = f.grad();
        Function::new(move |x: &Tensor| (g.apply((x.clone(),)) * x.sin()).sum(..)).grad()
    };
    let third = |f: &Function<(Tensor,), Tensor>| {
        let g = second(f);
        Function::new(move |x: &Tensor| g.apply((x.clone(),)).square().sum(..)).grad()
    };
    let both = |f: &Function<(Tensor,), Tensor>| [second(f), third(f)];
    let mut least = [usize::MAX; 2];
    for budget in [40_000, 80_000, 400_000, 4_000_000] {
        let within = both(&f.clone().with_memory_budget(budget));
        for (k, (g, free)) in within.into_iter().zip(both(&f)).enumerate() {
            let Ok(traced) = g.trace(&start(1.0)) else {
                continue;
            };
            assert!(traced.memory()?.bytes <= budget);
            // No step, a few, and many.
            for scale in [100.0, 47.5, 47.0, 40.0, 1.0] {
                let at = start(scale);
                assert_eq!(g.call(at.clone())?, free.call(at)?, "{budget}, {scale}");
            }
            least[k] = least[k].min(budget);
        }
    }
    // All states of the second derivative are some 2,000 times 60 numbers.
    assert!(least[0] <= 40_000 && least[1] <= 400_000, "{least:?}");
    Ok(())
}

/// An error that names this line, or one of the two behind it where the call was broken up, and has
/// these words.
#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Error>, line: u32, words: &[&str]) {
    let error = result.expect_err("an error").to_string();
    let place = error.strip_prefix(&format!("{}:", file!()));
    let found = place.and_then(|rest| rest.split(':').next()?.parse::<u32>().ok());
    assert!(
        found.is_some_and(|found| (line..line + 3).contains(&found)),
        "expected line {line} in: {error}"
    );
    for word in words {
        assert!(error.contains(word), "expected `{word}` in: {error}");
    }
}

#[test]
fn wrong_uses_name_the_line_and_what_was_expected() {
    let f = Function::new(|x: &Tensor, y: &Tensor| x * y);
    let two_three = || (Array::from([1.0, 2.0]), Array::from([1.0, 2.0, 3.0]));
    let (g, line) = (f.vmap(), line!());
    says(
        g.call(two_three()),
        line,
        &[
            "one length, found 2 and 3",
            "argument 0, f64[2]",
            "argument 1, f64[3]",
        ],
    );
    says(
        g.call((1.0.into(), [1.0].into())),
        line,
        &["expected a leading axis", "argument 0, f64"],
    );
    let (g, line) = (f.vmap_axes(|_, _| Some(-3), |_| 0), line!());
    says(
        g.call((Array::from([[1.0]]), Array::from([[1.0]]))),
        line,
        &["expected an axis from -2 to 1", "found axis -3"],
    );
    let (g, line) = (f.vmap_axes(|_, _| None, |_| 0), line!());
    says(
        g.call(two_three()),
        line,
        &["expected an argument to batch over"],
    );
    let (g, line) = (f.vmap_axes(|_, _| Some(0), |_| 1), line!());
    says(
        g.call(([1.0].into(), [1.0].into())),
        line,
        &["expected an axis from -1 to 0 for the batch in the result, found 1"],
    );

    let count = Function::new(|x: &Tensor| x.floor().convert(DType::I64));
    let (g, line) = (count.jacobian_of::<0>(Mode::Auto), line!());
    says(
        g.call((Array::from([1.0]),)),
        line,
        &[
            "gives i64[1]:",
            "expected outputs of a float or a complex dtype",
        ],
    );
    let (g, line) = (count.grad(), line!());
    says(
        g.call((1.0.into(),)),
        line,
        &["expected one scalar of type f64 or f32"],
    );
    let (g, line) = (grad(|x: &Tensor| x * 2.0), line!());
    says(g.call(([1.0, 2.0].into(),)), line, &["gives f64[2]"]);
    let line = line!() + 1;
    says(f.linearize((1.into(), 2.into())), line, &["found none"]);

    // Control flow: the line is that of the loop or branch.
    let line = line!() + 1;
    let narrow = |x: &Tensor| {
        control::scan(
            |c: Tensor, x: Tensor| (c.convert(DType::F32), x),
            x.at(0),
            x.clone(),
        )
        .1
    };
    says(
        Function::new(narrow).call(([1.0].into(),)),
        line,
        &["keep the type of carried value 0, f64, found f32"],
    );
    let line = line!() + 1;
    let pair = |x: &Tensor| {
        control::fori_loop(
            2,
            |_, v: Vec<Tensor>| [&v[..], &v[..]].concat(),
            vec![x.clone()],
        )
        .remove(0)
    };
    says(
        Function::new(pair).call((1.0.into(),)),
        line,
        &["the body must carry on what it was given"],
    );
    let line = line!() + 1;
    let arms = |x: &Tensor| {
        control::cond(
            &x.greater(0.0),
            |x: Tensor| x,
            |x: Tensor| x.expand_dims(0),
            x.clone(),
        )
    };
    says(
        Function::new(arms).call((1.0.into(),)),
        line,
        &["both branches to give the same types, found (f64) and (f64[1])"],
    );
    let line = line!() + 1;
    let condition = |x: &Tensor| control::cond(x, |x: Tensor| x, |x: Tensor| -x, x.clone());
    says(
        Function::new(condition).call((1.0.into(),)),
        line,
        &["expected a condition of type bool, found f64"],
    );
    let line = line!() + 1;
    let endless = |x: &Tensor| control::while_loop(|x| x.less(1.0), |x: Tensor| x + 1.0, x.clone());
    says(
        Function::new(endless).call(([1.0, 2.0].into(),)),
        line,
        &["expected a test that gives one bool, found (bool[2])"],
    );
    let line = line!() + 1;
    let number = |x: &Tensor| control::while_loop(|x| x.clone(), |x: Tensor| x + 1.0, x.clone());
    says(
        Function::new(number).call((1.0.into(),)),
        line,
        &["expected a test that gives one bool, found (f64)"],
    );
    let line = line!() + 1;
    let changes = |x: &Tensor| {
        control::while_loop(
            |x| x.sum(..).less(1.0),
            |x: Tensor| x.expand_dims(0),
            x.clone(),
        )
    };
    says(
        Function::new(changes).call((1.0.into(),)),
        line,
        &["keep the type of carried value 0, f64, found f64[1]"],
    );
}
