//! Jacobians with many columns, whose directions are the last axis, against those of the other mode.

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse};
use cotangent_transform::{Mode, jacobian, jvp};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn run(g: &Graph, inputs: &[Array]) -> Vec<f64> {
    g.verify().unwrap();
    eval(g, inputs).unwrap()[0].to_f64s()
}

/// Numbers in (0.5, 1.5) that repeat nowhere soon.
fn numbers(n: usize, seed: f64) -> Vec<f64> {
    let phases = (0..n).map(|i| (i as f64).mul_add(0.618_033_988_749_894_9, seed));
    phases.map(|x| 0.5 + x.fract()).collect()
}

/// Functions of `x: f64[4, 6]` and of `w: f64[6, 5]`, which stays.
const FUNCTIONS: &[(&str, &str)] = &[
    ("pointwise", "exp(x) * sum(w) + 1.0 / x"),
    (
        "columns shared",
        "sin(x) * broadcast(w[0, :4], shape=[4, 6], dims=[0])",
    ),
    ("matrix first", "dot(x, w, contract=([1], [0])) * 2.0"),
    ("matrix second", "dot(w, x, contract=([0], [1]))"),
    ("both operands", "dot(x, x, contract=([1], [1]))"),
    (
        "both in a batch",
        "dot(x, x, contract=([1], [1]), batch=([0], [0]))",
    ),
    (
        "shared in a batch",
        "dot(x, transpose(w, axes=[1, 0])[:4], contract=([1], [1]), batch=([0], [0]))",
    ),
    ("outer", "dot(x[0], w[0], contract=([], []))"),
    (
        "moves",
        "reverse(transpose(reshape(x, shape=[2, 12]), axes=[1, 0]), axes=[1])",
    ),
    ("slices", "x[1:, ::2] * x[:3, 1::2]"),
    (
        "pad",
        "pad(x, 3.0, low=[1, 0], high=[0, 2], interior=[0, 1]) * 2.0",
    ),
    (
        "pad with a variable",
        "pad(x, sum(x), low=[1, 0], high=[0, 2])",
    ),
    ("concat", "concat(x, x * x, w[:4, :3], axis=1)"),
    ("gather", "gather(x, constant([[3, 0], [1, 1]]), axis=0)"),
    (
        "gather along the last axis",
        "gather(x, constant([5, 5, 2]), axis=1)",
    ),
    (
        "scatter",
        "scatter_add(x, constant([2, 0, 2, 1]), shape=[3, 6], axis=0) * sum(x)",
    ),
    (
        "reductions",
        "sum(x * x, axes=[0]) + prod(x, axes=[0]) + norm(x, axes=[0]) + max(x, axes=[0])",
    ),
    (
        "positions",
        "gather(sum(x, axes=[0]), argmax(x, axis=1), axis=0)",
    ),
    (
        "running",
        "cumsum(x, axis=1, reverse=true) + cumprod(x, axis=0)",
    ),
    (
        "recurrence",
        "recurrence(x, x * x, axis=1) + recurrence(x, broadcast(w[0, 0], shape=[4, 6], dims=[]), axis=0)",
    ),
    ("sorted", "gather(x[0], argsort(x[0], axis=0), axis=0)"),
    (
        "convolution",
        "conv(reshape(x, shape=[1, 1, 24]), reshape(w[0], shape=[1, 1, 5]))",
    ),
    ("windows", "window_sum(x, window=[2, 3])"),
    ("systems", "solve(dot(x, x, contract=([1], [1])), x)"),
    (
        "branches",
        "cond(sum(x) > 0.0, x, then=double, otherwise=squared)",
    ),
    (
        "the other branch",
        "cond(sum(x) < 0.0, x, then=double, otherwise=squared)",
    ),
    ("calls", "squared(x) + double(x)"),
];

#[test]
fn many_columns_agree_with_rows_and_with_single_directions() {
    let inputs = [
        Array::new([4, 6], numbers(24, 0.1)).unwrap(),
        Array::new([6, 5], numbers(30, 0.7)).unwrap(),
    ];
    for (name, body) in FUNCTIONS {
        let f = graph(&format!(
            "fn double(x: f64[4, 6]) -> f64[4, 6] {{ x + x }}
             fn squared(x: f64[4, 6]) -> f64[4, 6] {{ x * x }}
             fn f(x: f64[4, 6], w: f64[6, 5]) {{ {body} }}"
        ));
        let wrt = [true, false];
        let forward = jacobian(&f, &wrt, Mode::Forward).unwrap();
        let reverse = jacobian(&f, &wrt, Mode::Reverse).unwrap();
        assert_eq!(forward.output_types(), reverse.output_types(), "{name}");
        let (columns, rows) = (run(&forward, &inputs), run(&reverse, &inputs));
        assert!(columns.iter().any(|x| *x != 0.0), "{name}");
        for (i, (x, y)) in columns.iter().zip(&rows).enumerate() {
            assert!(
                (x - y).abs() <= 1e-12 * (1.0 + y.abs()),
                "{name}: element {i}: {x}, {y}"
            );
        }
        let along = jvp(&f, &wrt).unwrap();
        for direction in [0, 13, 23] {
            let mut unit = vec![0.0; 24];
            unit[direction] = 1.0;
            let unit = Array::new([4, 6], unit).unwrap();
            let tangents = eval(&along, &[inputs.to_vec(), vec![unit]].concat()).unwrap();
            let column = columns.iter().skip(direction).step_by(24);
            for (x, y) in column.zip(tangents[1].to_f64s()) {
                assert!((x - y).abs() <= 1e-12 * (1.0 + y.abs()), "{name}: {x}, {y}");
            }
        }
    }
}

#[test]
fn products_with_a_matrix_move_no_axis() {
    // f(x) = exp(x w w^T): all directions are columns of products.
    let f = graph(
        "fn f(x: f64[32, 3], w: f64[3, 3]) {
             exp(dot(dot(x, w, contract=([1], [0])), w, contract=([1], [1])))
         }",
    );
    let j = jacobian(&f, &[true, false], Mode::Forward)
        .unwrap()
        .to_string();
    let moved = j
        .lines()
        .filter(|l| l.contains("transpose(") && l.contains("[96, "));
    assert_eq!(moved.count(), 0, "{j}");
}
