//! Functions: tracing, errors with places, caching, nesting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cotangent::{Array, DType, Error, Function, Tensor, TensorType, Tree, grad, jvp, vjp};

#[derive(Clone, Debug, PartialEq, Tree)]
struct Linear<T> {
    w: T,
    b: Option<T>,
}

fn model(p: &Linear<Tensor>, x: &Tensor) -> Tensor {
    let y = (&p.w * x).sum(-1);
    match &p.b {
        Some(b) => y + b,
        None => y,
    }
}

#[test]
fn call_runs_a_function_of_a_tree() -> Result<(), Error> {
    let f = Function::new(model);
    let p = Linear {
        w: Array::from([1.0, 2.0]),
        b: Some(0.5.into()),
    };
    assert_eq!(f.call((p.clone(), [3.0, 4.0].into()))?, 11.5.into());
    let g = f.grad().call((p.clone(), [3.0, 4.0].into()))?;
    assert_eq!(
        g,
        Linear {
            w: [3.0, 4.0].into(),
            b: Some(1.0.into())
        }
    );
    let without = Linear { b: None, ..p };
    assert_eq!(f.call((without, [3.0, 4.0].into()))?, 11.0.into());
    Ok(())
}

#[test]
fn inputs_are_named_by_path() -> Result<(), Error> {
    let f = Function::new(model).named("model", ["p", "x"]);
    let ty = TensorType::new(DType::F64, [2]);
    let b = TensorType::scalar(DType::F64);
    let traced = f.trace(&(
        Linear {
            w: ty.clone(),
            b: Some(b),
        },
        ty,
    ))?;
    let names: Vec<&str> = traced.graph().inputs().iter().map(|(n, _)| &**n).collect();
    assert_eq!(names, ["p_w", "p_b", "x"]);
    assert_eq!(traced.graph().name(), "model");
    Ok(())
}

#[test]
fn errors_name_the_users_line_and_what_was_found() {
    let f = Function::new(|x: &Tensor, y: &Tensor| {
        let z = x.sin();
        z + y // the place that the error names
    });
    let place = format!("{}:{}:9", file!(), line!() - 2);
    let cases: [(Array, Array, &str); 2] = [
        (
            [1.0, 2.0].into(),
            [1.0_f32, 2.0].into(),
            "add: expected operands of one dtype, found f64 and f32 (operands: f64[2], f32[2])",
        ),
        (
            [1.0, 2.0].into(),
            [1.0, 2.0, 3.0].into(),
            "add: expected shapes that broadcast to one, found [3] and [2] \
             (operands: f64[2], f64[3])",
        ),
    ];
    for (x, y, message) in cases {
        let error = f.call((x, y)).expect_err("types differ").to_string();
        assert_eq!(error, format!("{place}: {message}"));
    }
}

#[test]
fn the_first_error_is_the_one_reported_even_when_later_code_panics() {
    let f = Function::new(|x: &Tensor| {
        let bad = x.reshape([7]);
        let shape = bad.at((0, 0, 0)).shape().to_vec();
        Tensor::zeros([shape[5]], DType::F64)
    });
    let line = line!() - 4;
    let error = f.call(([1.0, 2.0].into(),)).expect_err("2 is not 7");
    let location = error.location().map(|l| l.to_string()).unwrap_or_default();
    assert!(
        location.starts_with(&format!("{}:{line}:", file!())),
        "{error}"
    );
}

#[test]
fn scalars_take_the_dtype_of_the_tensor_or_are_refused() -> Result<(), Error> {
    let x = Tensor::from([1.0_f32, 2.0]);
    assert_eq!((2.0 * &x + 1).to_array()?, [3.0_f32, 5.0].into());
    assert_eq!((1 - &x).to_array()?, [0.0_f32, -1.0].into());
    let n = Tensor::from([1_u8, 2]);
    assert_eq!((&n + 3.0).to_array()?, [4_u8, 5].into());
    for (bad, text) in [
        (&n + 0.5, "expected a whole number that fits u8, found 0.5"),
        (&n + 300, "expected a whole number that fits u8, found 300"),
        (&n + true, "expected a number of dtype u8, found true"),
    ] {
        let error = bad.to_array().expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
    Ok(())
}

#[test]
fn assigning_operators_and_operators_on_bools() -> Result<(), Error> {
    let mut x = Tensor::from([3.0, 4.0]);
    x += 1.0;
    x *= &x.clone();
    x -= [1.0, 1.0].map(Tensor::from)[0].clone();
    x /= 3;
    assert_eq!(x.to_array()?, [5.0, 8.0].into());
    let (a, b) = (Tensor::from([true, false]), Tensor::from([true, true]));
    assert_eq!((&a & &b).to_array()?, [true, false].into());
    assert_eq!((!&a | false).to_array()?, [false, true].into());
    assert_eq!((true ^ &a).to_array()?, [false, true].into());
    assert_eq!((-Tensor::from([1, -2]) % 3).to_array()?, [2, 2].into());
    Ok(())
}

#[test]
fn a_function_is_traced_once_for_each_signature() -> Result<(), Error> {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let f = Function::new(move |x: &Tensor| {
        seen.fetch_add(1, Ordering::Relaxed);
        x * 2.0
    });
    for _ in 0..3 {
        f.call(([1.0, 2.0].into(),))?;
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
    f.call(([1.0].into(),))?;
    f.call(([1.0_f32].into(),))?;
    f.call(([2.0].into(),))?;
    assert_eq!(count.load(Ordering::Relaxed), 3);
    // The clone and the gradient share the traces.
    f.clone().call(([2.0].into(),))?;
    assert_eq!(count.load(Ordering::Relaxed), 3);
    Ok(())
}

#[test]
fn outer_tensors_are_captured_by_inner_functions() -> Result<(), Error> {
    // f(x) = d/dy (x * y^3) at y = x = 3 x^3, so f' = 9 x^2.
    let f = Function::new(|x: &Tensor| {
        let outer = x.clone();
        grad(move |y: &Tensor| &outer * y.powi(3)).apply((x.clone(),))
    });
    assert_eq!(f.call((2.0.into(),))?, 24.0.into());
    assert_eq!(f.grad().call((2.0.into(),))?, 36.0.into());
    // Two levels: the innermost function uses tensors of both others.
    let g = Function::new(|x: &Tensor| {
        let x0 = x.clone();
        let inner = grad(move |y: &Tensor| {
            let (x1, y1) = (x0.clone(), y.clone());
            grad(move |z: &Tensor| &x1 * &y1 * &y1 * z * z).apply((y.clone(),))
        });
        inner.apply((x.clone(),))
    });
    // d/dz = 2 x y^2 z at z = y: 2 x y^3; d/dy: 6 x y^2 at y = x: 6 x^3.
    assert_eq!(g.call((2.0.into(),))?, 48.0.into());
    Ok(())
}

#[test]
fn a_captured_tensor_cannot_be_called_with_arrays() {
    type Slot = Arc<std::sync::Mutex<Option<Function<(Tensor,), Tensor>>>>;
    let slot: Slot = Arc::default();
    let keep = slot.clone();
    let f = Function::new(move |x: &Tensor| {
        let outer = x.clone();
        let inner = Function::new(move |y: &Tensor| y * &outer);
        let z = inner
            .call((1.0.into(),))
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(z.contains("enclosing"), "{z}");
        *keep.lock().expect("not poisoned") = Some(inner);
        x * 1.0
    });
    f.call((2.0.into(),)).expect("runs");
    let inner = slot.lock().expect("not poisoned").take().expect("stored");
    let error = inner
        .call((1.0.into(),))
        .expect_err("the trace has ended")
        .to_string();
    assert!(error.contains("had ended"), "{error}");
}

#[test]
fn tensors_of_a_trace_that_ended_are_an_error() {
    let slot: Arc<std::sync::Mutex<Option<Tensor>>> = Arc::default();
    let keep = slot.clone();
    let f = Function::new(move |x: &Tensor| {
        *keep.lock().expect("not poisoned") = Some(x.clone());
        x.clone()
    });
    f.call((1.0.into(),)).expect("runs");
    let leaked = slot.lock().expect("not poisoned").take().expect("stored");
    let error = (&leaked + 1.0).to_array().expect_err("ended").to_string();
    assert!(error.contains("had ended"), "{error}");
    let g = Function::new(move |x: &Tensor| x + &leaked);
    let error = g.call((1.0.into(),)).expect_err("ended").to_string();
    assert!(error.contains("had ended"), "{error}");
}

#[test]
fn jvp_and_vjp_inside_and_outside_of_a_trace() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor, n: &Tensor| (x * x, n + 1));
    let (x, n) = (Array::from([1.0, 2.0]), Array::from(5));
    let ((y, m), (dy, dm)) = f
        .jvp()
        .call(((x.clone(), n.clone()), ([1.0, 1.0].into(), n.clone())))?;
    assert_eq!((y, m), ([1.0, 4.0].into(), 6.into()));
    assert_eq!((dy, dm), ([2.0, 4.0].into(), 0.into()));
    let (_, (cx, cn)) = f.vjp().call(((x, n.clone()), ([1.0, 10.0].into(), n)))?;
    assert_eq!((cx, cn), ([2.0, 40.0].into(), 0.into()));
    let g = Function::new(|x: &Tensor| {
        let (a, b) = jvp(|y: &Tensor| x * y, (x.clone(),), (x * 0.0 + 1.0,));
        let (_, (c,)) = vjp(|y: &Tensor| y * y * x, (x.clone(),), x * 0.0 + 1.0);
        a + b * 10.0 + c * 100.0
    });
    // x^2 + 10 x + 100 * 2 x^2
    assert_eq!(g.call((3.0.into(),))?, (9.0 + 30.0 + 1800.0).into());
    Ok(())
}

#[test]
fn tangents_of_another_type_are_an_error() {
    let f = Function::new(|x: &Tensor| x * 2.0);
    let error = f
        .jvp()
        .call((([1.0, 2.0].into(),), ([1.0].into(),)))
        .expect_err("shapes differ");
    assert!(
        error.to_string().ends_with(
            ": expected tangents of the types of the arguments: at `0` f64[2], found f64[1]"
        ),
        "{error}"
    );
}

#[test]
fn gradients_of_trees_with_integers_and_of_chosen_leaves() -> Result<(), Error> {
    let f = Function::new(|p: &(Tensor, Tensor, Tensor)| (&p.0 * &p.0 * &p.2).sum(..));
    let p: (Array, Array, Array) = ([1.0, 2.0].into(), [7, 8].into(), 3.0.into());
    let g = f.grad().call((p.clone(),))?;
    assert_eq!(g, ([6.0, 12.0].into(), [0, 0].into(), 5.0.into()));
    let (v, g) = f.value_and_grad_where(|path| path == "2").call((p,))?;
    assert_eq!(v, 15.0.into());
    assert_eq!(g, ([0.0, 0.0].into(), [0, 0].into(), 5.0.into()));
    Ok(())
}

#[test]
fn gradients_refuse_what_is_no_scalar() {
    let f = Function::new(|x: &Tensor| x * 2.0);
    let error = f
        .grad()
        .call(([1.0, 2.0].into(),))
        .expect_err("a vector")
        .to_string();
    assert!(error.contains("expected one scalar"), "{error}");
    let f = Function::new(|x: &Tensor| (x * 2.0, x * 3.0));
    let error = f
        .value_and_grad()
        .call((1.0.into(),))
        .expect_err("two results")
        .to_string();
    assert!(error.contains("expected one scalar"), "{error}");
}

#[test]
fn an_error_inside_a_gradient_names_the_users_line() {
    let f = Function::new(|x: &Tensor| {
        let g = grad(|y: &Tensor| y.sum(3)).apply((x.clone(),));
        g + 1.0
    });
    let line = line!() - 3;
    let error = f.call(([1.0].into(),)).expect_err("no axis 3").to_string();
    assert!(
        error.starts_with(&format!("{}:{line}:", file!())),
        "{error}"
    );
    assert!(
        error.contains("sum: expected an axis from -1 to 0, found 3"),
        "{error}"
    );
}

#[test]
fn calls_are_one_operation() -> Result<(), Error> {
    let square = Function::new(|x: &Tensor| x * x).named("square", ["x"]);
    let f = Function::new(move |x: &Tensor| square.apply_as_call((x.clone(),)) + 1.0);
    assert_eq!(f.call((3.0.into(),))?, 10.0.into());
    assert_eq!(f.grad().call((3.0.into(),))?, 6.0.into());
    let graph = f.graph(&(Array::from(3.0),))?;
    assert!(graph.equations().iter().any(|e| e.op.name() == "square"));
    Ok(())
}

#[test]
fn vmap_shares_what_is_not_batched() -> Result<(), Error> {
    let f = Function::new(|w: &Tensor, x: &Tensor| (w * x).sum(..));
    let w = Array::from([1.0, 10.0]);
    let x = Array::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert_eq!(
        f.vmap_where(|i| i == 1).call((w.clone(), x.clone()))?,
        [21.0, 43.0, 65.0].into()
    );
    // Gradients for each example.
    let g = f
        .grad()
        .vmap_where(|i| i == 1)
        .call((w.clone(), x.clone()))?;
    assert_eq!(g, x);
    let error = f.vmap().call((w, x)).expect_err("2 against 3").to_string();
    assert!(
        error.contains("batch of one length, found 2 and 3"),
        "{error}"
    );
    Ok(())
}

#[test]
fn functions_move_between_threads() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| x.exp());
    let results: Vec<Array> = std::thread::scope(|s| {
        let handles: Vec<_> = (0..4)
            .map(|_| s.spawn(|| f.call((1.0.into(),)).expect("runs")))
            .collect();
        handles
            .into_iter()
            .map(|h| h.join().expect("joins"))
            .collect()
    });
    assert!(results.iter().all(|r| *r == results[0]));
    assert!((results[0].item::<f64>()? - 1.0_f64.exp()).abs() < 1e-15);
    Ok(())
}

#[test]
fn tensors_print_their_type_and_known_values() {
    let x = Tensor::from([1.0, 2.0]);
    assert_eq!(format!("{x:?}"), format!("{:?}", Array::from([1.0, 2.0])));
    assert!(format!("{:?}", x.sum(3)).contains("failed: "));
    let f = Function::new(|x: &Tensor| {
        assert_eq!(format!("{x:?}"), "Tensor(f64[2])");
        assert_eq!(
            (x.dim(0), x.dim(-1), x.dim(5), x.len(), x.rank()),
            (2, 2, 1, 2, 1)
        );
        assert!(x.to_array().is_err());
        x.clone()
    });
    f.call(([1.0, 2.0].into(),)).expect("runs");
}

#[test]
fn results_are_written_into_the_arrays_given() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| (x.exp(), x.sum(..)));
    let x = Array::from([0.0, 1.0]);
    let traced = f.trace(&(x.clone(),))?;
    let mut results = traced.run(std::slice::from_ref(&x))?;
    let place = results[0].as_slice::<f64>()?.as_ptr();
    traced.run_into(&[&Array::from([0.0, 0.0])], &mut results)?;
    assert_eq!(results, [Array::from([1.0, 1.0]), 0.0.into()]);
    assert_eq!(results[0].as_slice::<f64>()?.as_ptr(), place);

    // A clone keeps its values, and an array of another type is replaced.
    let kept = results[0].clone();
    let mut results = vec![results[0].clone(), Array::from([1i64, 2])];
    traced.run_into(&[&x], &mut results)?;
    assert_eq!(kept, [1.0, 1.0].into());
    assert_eq!(results[1], 1.0.into());

    let error = traced.run_into(&[&x], &mut results[..1]).unwrap_err();
    assert!(error.to_string().contains("2"), "{error}");
    let error = traced.run_into(&[] as &[Array], &mut results).unwrap_err();
    assert!(matches!(error, Error::Run(_)), "{error}");
    Ok(())
}
