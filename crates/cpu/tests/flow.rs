//! Branches and loops run as the reference evaluator says, and so do their derivatives.

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn check(g: &Graph, inputs: &[Array]) {
    let program = cotangent_cpu::compile(g).unwrap();
    assert_eq!(program.plan().check(), Ok(()));
    // Twice, since the second run finds the arena used.
    for _ in 0..2 {
        let found = program.run(inputs).unwrap();
        for (a, b) in found.iter().zip(eval(g, inputs).unwrap()) {
            assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()));
            for (x, y) in a.to_f64s().iter().zip(b.to_f64s()) {
                assert!((x - y).abs() <= 1e-13 * y.abs().max(1.0), "{a}\n{b}\n{g}");
            }
        }
    }
}

#[test]
fn flows_run_as_the_reference_says() {
    let step = "fn step(h: f64[2], n: i64, x: f64[2], w: f64[2, 2]) -> (f64[2], i64, f64[2], f64) {
        let y = tanh(w @ h + x); (y, n + 1, h, sum(y)) }";
    for reverse in ["false", "true"] {
        let f = graph(&format!(
            "{step} fn f(h: f64[2], x: f64[3, 2], w: f64[2, 2]) -> (f64[2], i64, f64[3, 2], f64[3]) {{
                scan(h, 0, x, w, body=step, carry=2, scanned=1, reverse={reverse}) }}"
        ));
        let inputs = [
            Array::vector(vec![0.1, -0.4]),
            Array::from([[0.3, 0.2], [-0.5, 0.9], [0.0, 1.0]]),
            Array::from([[0.5, -0.3], [0.8, 0.1]]),
        ];
        check(&f, &inputs);
        let cost = graph(&format!(
            "{step} fn f(h: f64[2], x: f64[3, 2], w: f64[2, 2]) -> f64 {{
                let r = scan(h, 0, x, w, body=step, carry=2, scanned=1, reverse={reverse});
                sum(get(r, index=0)) * sum(get(r, index=2)) + sum(square(get(r, index=3))) }}"
        ));
        let df = cotangent_transform::grad(&cost, &[true; 3]).unwrap();
        check(&df, &inputs);
        let mut moving = inputs.to_vec();
        moving.extend(inputs.iter().cloned());
        check(
            &cotangent_transform::hvp(&cost, &[true; 3]).unwrap(),
            &moving,
        );
    }
}

/// A body that is one region: buffers of what is carried take turns, and slices move either way.
#[test]
fn loops_over_one_region_run_for_any_length() {
    for length in 1..8 {
        for reverse in [false, true] {
            let f = graph(&format!(
                "fn step(a: f64[3], b: f64[3], x: f64[3], w: f64[3]) -> (f64[3], f64[3], f64[3]) {{
                    (b, a * w + x, a - b) }}
                 fn f(a: f64[3], b: f64[3], x: f64[{length}, 3], w: f64[3])
                    -> (f64[3], f64[3], f64[{length}, 3]) {{
                    scan(a, b, x, w, body=step, carry=2, scanned=1, reverse={reverse}) }}"
            ));
            let x: Vec<f64> = (0..3 * length).map(|k| (k as f64).sin()).collect();
            let inputs = [
                Array::vector(vec![0.1, -0.4, 2.0]),
                Array::vector(vec![1.5, 0.25, -1.0]),
                Array::new([length, 3], x).unwrap(),
                Array::vector(vec![0.5, -0.75, 0.9]),
            ];
            check(&f, &inputs);
        }
    }
}

#[test]
fn empty_loops_give_what_they_were_given() {
    let f = graph(
        "fn step(h: f64) -> (f64, f64) { (h * 2.0, h) }
         fn f(h: f64) -> (f64, f64[0]) { scan(h, body=step, carry=1, scanned=0, length=0) }",
    );
    check(&f, &[Array::scalar(3.0)]);
}

#[test]
fn branches_and_repetitions_run() {
    let f = graph(
        "fn test(x: f64, n: i64, a: f64) -> bool { x < 100.0 }
         fn grow(x: f64, a: f64) -> f64 { x * a }
         fn drop(x: f64, a: f64) -> f64 { x + a }
         fn step(x: f64, n: i64, a: f64) -> (f64, i64) {
            (cond(n % 2 == 0, x, a, then=grow, otherwise=drop), n + 1) }
         fn f(x: f64, a: f64) -> (f64, i64) { while(x, 0, a, test=test, body=step, carry=2) }",
    );
    for x in [1.0, 50.0, 200.0] {
        check(&f, &[Array::scalar(x), Array::scalar(3.0)]);
    }
    let forward = cotangent_transform::jvp(&f, &[true, true]).unwrap();
    let inputs: Vec<Array> = [1.0, 3.0, 0.5, 1.0].map(Array::scalar).into();
    check(&forward, &inputs);
    let batched = cotangent_transform::vmap(&forward, &[Some(0), None, None, None], 3).unwrap();
    check(
        &batched,
        &[
            Array::from([1.0, 50.0, 200.0]),
            3.0.into(),
            0.5.into(),
            1.0.into(),
        ],
    );
}

#[test]
fn a_repetition_runs_backward() {
    let f = graph(
        "fn test(x: f64[3], n: i64, a: f64[3]) -> bool { n < 7 }
         fn step(x: f64[3], n: i64, a: f64[3]) -> (f64[3], i64) { (sin(x * a) + a, n + 1) }
         fn f(x: f64[3], a: f64[3]) -> f64 {
            let r = while(x, 0, a, test=test, body=step, carry=2); sum(get(r, index=0) * a) }",
    );
    let inputs = [Array::from([0.7, 0.1, -0.3]), Array::from([1.3, 0.9, 0.4])];
    check(
        &cotangent_transform::grad(&f, &[true, true]).unwrap(),
        &inputs,
    );
    let mut moving = inputs.to_vec();
    moving.extend(inputs.iter().cloned());
    check(
        &cotangent_transform::hvp(&f, &[true, true]).unwrap(),
        &moving,
    );
}

#[test]
fn an_index_out_of_range_inside_a_loop_is_an_error() {
    let f = graph(
        "fn step(n: i64, x: f64[2]) -> (i64, f64) { (n + 1, x[n]) }
         fn f(x: f64[2]) -> (i64, f64[3]) { scan(0, x, body=step, carry=1, scanned=0, length=3) }",
    );
    let program = cotangent_cpu::compile(&f).unwrap();
    assert!(program.run(&[Array::from([1.0, 2.0])]).is_err());
    assert!(eval(&f, &[Array::from([1.0, 2.0])]).is_err());
}
