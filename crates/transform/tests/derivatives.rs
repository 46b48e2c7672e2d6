//! Transformations on written functions, against derivatives known by hand.

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse};
use cotangent_transform::{
    Mode, TransformError, grad, hessian, hvp, jacobian, jvp, linearize, transpose, value_and_grad,
    vjp, vmap,
};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn run(g: &Graph, inputs: &[Array]) -> Vec<Vec<f64>> {
    g.verify().unwrap();
    eval(g, inputs)
        .unwrap()
        .iter()
        .map(Array::to_f64s)
        .collect()
}

fn s(x: f64) -> Array {
    Array::scalar(x)
}

#[test]
fn gradients_of_gradients_of_gradients() {
    let f = graph("fn f(x: f64) -> f64 { x ** 5 }");
    let third = grad(
        &grad(&grad(&f, &[true]).unwrap(), &[true]).unwrap(),
        &[true],
    )
    .unwrap();
    assert_eq!(run(&third, &[s(2.0)]), [[5.0 * 4.0 * 3.0 * 4.0]]);
    assert_eq!(third.name(), "f_grad_grad_grad");
}

#[test]
fn nothing_is_done_for_inputs_that_are_not_chosen() {
    let f = graph("fn f(x: f64, y: f64) -> f64 { x * exp(y) }");
    let dx = grad(&f, &[true, false]).unwrap();
    // Only exp(y) is left: no derivative to y, no value.
    assert_eq!(dx.operation_count(), 1, "{dx}");
    assert_eq!(run(&dx, &[s(3.0), s(0.0)]), [[1.0]]);
    let both = value_and_grad(&f, &[true, true]).unwrap();
    assert_eq!(run(&both, &[s(3.0), s(0.0)]), [[3.0], [1.0], [3.0]]);
}

#[test]
fn forward_and_reverse_carry_named_seeds() {
    let f = graph("fn f(x: f64[2], n: i64[2]) -> (f64[2], i64[2]) { (sin(x) * x, n) }");
    let forward = jvp(&f, &[true, false]).unwrap();
    let names: Vec<&str> = forward.inputs().iter().map(|(n, _)| &**n).collect();
    assert_eq!(names, ["x", "n", "t_x"]);
    assert_eq!(forward.outputs().len(), 3);
    let backward = vjp(&f, &[true, false]).unwrap();
    let names: Vec<&str> = backward.inputs().iter().map(|(n, _)| &**n).collect();
    assert_eq!(names, ["x", "n", "ct_out0"]);
    assert_eq!(backward.outputs().len(), 1);
}

#[test]
fn second_derivatives() {
    let f = graph("fn f(x: f64[3]) -> f64 { sum(x ** 3) * x[0] }");
    let x = Array::vector(vec![1.0, 2.0, 3.0]);
    // f = (a^3 + b^3 + c^3) a
    let expected = [12.0, 12.0, 27.0, 12.0, 12.0, 0.0, 27.0, 0.0, 18.0];
    let h = hessian(&f, &[true]).unwrap();
    assert_eq!(run(&h, std::slice::from_ref(&x)), [expected]);
    let v = Array::vector(vec![1.0, 0.0, -1.0]);
    assert_eq!(
        run(&hvp(&f, &[true]).unwrap(), &[x, v]),
        [[-15.0, 12.0, 9.0]]
    );
}

#[test]
fn jacobians_by_both_modes_agree() {
    let f = graph("fn f(x: f64[3], y: f64) -> (f64[2], f64) { (x[:2] * x[1:] * y, sum(x) / y) }");
    let inputs = [Array::vector(vec![1.0, 2.0, 3.0]), s(2.0)];
    let expected: [&[f64]; 4] = [
        &[4.0, 2.0, 0.0, 0.0, 6.0, 4.0],
        &[2.0, 6.0],
        &[0.5, 0.5, 0.5],
        &[-1.5],
    ];
    for mode in [Mode::Forward, Mode::Reverse, Mode::Auto] {
        let j = jacobian(&f, &[true, true], mode).unwrap();
        assert_eq!(run(&j, &inputs), expected, "{mode:?}");
    }
    let shapes: Vec<String> = jacobian(&f, &[true, true], Mode::Auto)
        .unwrap()
        .output_types()
        .iter()
        .map(|t| t.to_string())
        .collect();
    assert_eq!(shapes, ["f64[2, 3]", "f64[2]", "f64[3]", "f64"]);
}

#[test]
fn calls_are_differentiated_without_being_copied() {
    let f = graph(
        "fn g(x: f64, y: f64) -> (f64, f64) { (exp(x) * y, y) }
         fn f(x: f64) -> f64 { let p = g(x, x); get(p, index=0) + get(p, index=1) }",
    );
    let df = grad(&f, &[true]).unwrap();
    let x = 0.5_f64;
    let found = run(&df, &[s(x)])[0][0];
    assert!((found - (x.exp() * (1.0 + x) + 1.0)).abs() < 1e-15);
    let ddf = run(&grad(&df, &[true]).unwrap(), &[s(x)])[0][0];
    assert!((ddf - x.exp() * (2.0 + x)).abs() < 1e-14);
    let batched = vmap(&df, &[Some(0)], 2).unwrap();
    let found = run(&batched, &[Array::vector(vec![x, 0.0])]);
    assert!((found[0][1] - 2.0).abs() < 1e-15);
}

#[test]
fn linearize_keeps_what_is_dear() {
    let f = graph("fn f(x: f64[4], y: f64[4]) -> f64[4] { exp(x) * (y + 1.0) * 2.0 }");
    let split = linearize(&f, &[true, true]).unwrap();
    // exp(x) is kept; y + 1 is computed again from the input y, which is in memory anyway.
    assert_eq!(split.residuals, 2, "{}\n{}", split.primal, split.linear);
    let x = Array::vector(vec![0.0, 1.0, 2.0, 3.0]);
    let mut values = eval(&split.primal, &[x.clone(), x.clone()]).unwrap();
    let mut inputs = values.split_off(1);
    inputs.extend([x.clone(), x.clone()]);
    let moved = run(&split.linear, &inputs);
    let direct = run(
        &jvp(&f, &[true, true]).unwrap(),
        &[x.clone(), x.clone(), x.clone(), x],
    );
    assert_eq!(moved[0], direct[1]);
}

#[test]
fn transposing_needs_linearity() {
    let f = graph("fn f(a: f64[2, 3], x: f64[3]) -> f64[2] { 2.0 * (a @ x) }");
    let t = transpose(&f, &[false, true]).unwrap();
    let a = Array::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    assert_eq!(
        run(&t, &[a, Array::vector(vec![1.0, 10.0])]),
        [[82.0, 104.0, 126.0]]
    );
    let f = graph("fn f(x: f64) -> f64 { x * x }");
    assert!(matches!(
        transpose(&f, &[true]),
        Err(TransformError::NotLinear { .. })
    ));
    let f = graph("fn f(x: f64) -> f64 { sin(x) }");
    assert!(matches!(
        transpose(&f, &[true]),
        Err(TransformError::NotLinear { .. })
    ));
}

/// A product of a tangent with a matrix of zeros, or of no elements, is linear in the tangent.
#[test]
fn rules_may_multiply_by_zeros() {
    for (n, zeros) in [
        (2, "constant([[0.0, 0.0], [0.0, 0.0]])"),
        (0, "full(1.0, shape=[0, 0])"),
    ] {
        let f = graph(&format!(
            "fn rule(x: f64[{n}], y: f64[{n}], t: f64[{n}]) -> f64[{n}] {{
                let zeros: f64[{n}, {n}] = {zeros};
                dot(zeros, t, contract=([1], [0]))
            }}
            fn value(x: f64[{n}]) -> f64[{n}] {{ floor(x) }}
            fn f(x: f64[{n}]) -> f64[{n}] {{ custom(x, f=value, jvp=rule) }}"
        ));
        let x = || Array::vector(vec![1.5; n]);
        let moved = run(&jvp(&f, &[true]).unwrap(), &[x(), x()]);
        assert_eq!(moved[1], vec![0.0; n]);
    }
}

#[test]
fn strong_zeros_hold_in_both_modes() {
    let f = graph("fn f(x: f64) -> f64 { select(x > 0.0, sqrt(x), 0.0) }");
    assert_eq!(run(&grad(&f, &[true]).unwrap(), &[s(0.0)]), [[0.0]]);
    assert_eq!(run(&jvp(&f, &[true]).unwrap(), &[s(0.0), s(1.0)])[1], [0.0]);
    let f = graph("fn f(x: f64) -> f64 { select(x > 0.0, x * log(x), 0.0) }");
    assert_eq!(run(&grad(&f, &[true]).unwrap(), &[s(0.0)]), [[0.0]]);
    let f = graph("fn f(x: f64) -> f64 { sin(x) ** 2 }");
    let second = grad(&grad(&f, &[true]).unwrap(), &[true]).unwrap();
    assert_eq!(run(&second, &[s(0.0)]), [[2.0]]);
}

#[test]
fn wrong_requests_are_errors() {
    let f = graph("fn f(x: f64[2], n: i64) -> f64[2] { x }");
    let text = |e: TransformError| e.to_string();
    assert_eq!(
        text(grad(&f, &[true, false]).unwrap_err()),
        "`f` gives f64[2]: expected one scalar of type f64 or f32 to take the gradient of"
    );
    assert_eq!(
        text(jvp(&f, &[false, true]).unwrap_err()),
        "input `n` of `f` is i64: expected a float or a complex dtype to differentiate"
    );
    assert!(matches!(
        jvp(&f, &[true]),
        Err(TransformError::InputCount { .. })
    ));
    assert!(matches!(
        vjp(&f, &[false, false]),
        Err(TransformError::NothingChosen { .. })
    ));
    assert!(matches!(
        vmap(&f, &[Some(2), None], 3),
        Err(TransformError::Batch(_))
    ));
    assert!(matches!(
        jacobian(
            &graph("fn f(x: f64) -> bool { x > 0.0 }"),
            &[true],
            Mode::Auto
        ),
        Err(TransformError::OutputNotFloat { .. })
    ));
}
