//! Loops that become operations on all steps at once, and slices in place of what is read at counted places.

use cotangent_array::Array;
use cotangent_compile::optimize;
use cotangent_graph::{Graph, eval, parse};

/// What is left of a function after all passes: the names of its operations, and of those in loops.
struct Case {
    text: &'static str,
    left: &'static str,
    in_loops: &'static str,
}

const CASES: &[Case] = &[
    // A sum over all steps.
    Case {
        text: "fn step(s: f64, x: f64, w: f64) -> f64 { s + exp(x * w) }
               fn f(x: f64[7], w: f64) -> f64 { scan(w, x, w, body=step, carry=1, scanned=1, length=7) }",
        left: "broadcast mul exp sum add",
        in_loops: "",
    },
    // Two sums, one of them of differences, and a stacked result.
    Case {
        text: "fn step(s: f64, t: f64[2], x: f64[2]) -> (f64, f64[2], f64[2]) { (s + sum(x) + 2.0, t - x, x * x) }
               fn f(x: f64[5, 2], t: f64[2]) -> (f64, f64[2], f64[5, 2]) {
                   let r = scan(1.0, t, x, body=step, carry=2, scanned=1, length=5);
                   (get(r, index=0), get(r, index=1), get(r, index=2))
               }",
        left: "sum mul sum add add sum sub",
        in_loops: "",
    },
    // A loop that counts and reads where it counts.
    Case {
        text: "fn step(i: i64, s: f64, x: f64[9]) -> (i64, f64) {
                   (i + 1, s + gather(x, i + 2, axis=0) * gather(x, i, axis=0))
               }
               fn f(x: f64[9]) -> (i64, f64) {
                   let r = scan(0, 0.0, x, body=step, carry=2, scanned=0, length=7);
                   (get(r, index=0), get(r, index=1))
               }",
        left: "slice slice mul sum add",
        in_loops: "",
    },
    // Backward, by steps of two, with an index that would count from the end if it were negative.
    Case {
        text: "fn step(i: i64, s: f64, k: f64, x: f64[9]) -> (i64, f64) {
                   let way = i * 2 - 2;
                   let at = select(way < 0, way + 9, way);
                   (1 + i, s + gather(x, at, axis=0) / k)
               }
               fn f(x: f64[9], k: f64[4]) -> f64 {
                   let r = scan(1, 0.0, k, x, body=step, carry=2, scanned=1, length=4, reverse=true);
                   get(r, index=1)
               }",
        left: "slice reverse div sum add",
        in_loops: "",
    },
    // A recurrence stays a loop, but reads slices.
    Case {
        text: "fn step(i: i64, h: f64, x: f64[9], w: f64) -> (i64, f64) {
                   (i + 1, tanh(h * w + gather(x, i + 1, axis=0)))
               }
               fn f(x: f64[9], w: f64) -> f64 {
                   let r = scan(0, w, x, w, body=step, carry=2, scanned=0, length=8);
                   get(r, index=1)
               }",
        left: "slice scan",
        in_loops: "mul add tanh",
    },
    // A product is no sum, and a sum that is read on the way is a recurrence.
    Case {
        text: "fn step(s: f64, p: f64, x: f64) -> (f64, f64, f64) { let t = s + x; (t, p * x, t * x) }
               fn f(x: f64[6]) -> (f64, f64, f64[6]) {
                   let r = scan(0.0, 1.0, x, body=step, carry=2, scanned=1, length=6);
                   (get(r, index=0), get(r, index=1), get(r, index=2))
               }",
        left: "scan get get get",
        in_loops: "add mul mul",
    },
    // Places that do not go up by equal steps are gathered for all steps.
    Case {
        text: "fn step(i: i64, s: f64, x: f64[3]) -> (i64, f64) { (i + 1, s + gather(x, select(i > 2, 0, i), axis=0)) }
               fn f(x: f64[3]) -> f64 {
                   let r = scan(0, 0.0, x, body=step, carry=2, scanned=0, length=5);
                   get(r, index=1)
               }",
        left: "gather sum add",
        in_loops: "",
    },
];

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn operations(graph: &Graph) -> String {
    let left = graph
        .equations()
        .iter()
        .filter(|e| !e.op.is_input() && !e.op.is_constant());
    left.map(|e| e.op.name()).collect::<Vec<_>>().join(" ")
}

#[test]
fn loops_become_what_is_expected_and_mean_the_same() {
    for case in CASES {
        let before = graph(case.text);
        let after = optimize(&before, None).unwrap();
        let inside: Vec<String> = (after.equations().iter())
            .flat_map(|e| e.op.callees())
            .map(|callee| operations(&callee.0))
            .collect();
        assert_eq!(operations(&after), case.left, "{}\n{after}", case.text);
        assert_eq!(inside.join(" "), case.in_loops, "{}\n{after}", case.text);
        let inputs = before.input_types().into_iter().enumerate().map(|(k, ty)| {
            let numbers =
                (0..ty.shape.elements()).map(|i| (0.3 + 0.37 * (i + 5 * k) as f64).fract() + 0.1);
            Array::new(ty.shape.clone(), numbers.collect::<Vec<f64>>()).unwrap()
        });
        let inputs: Vec<Array> = inputs.collect();
        let (x, y) = (
            eval(&before, &inputs).unwrap(),
            eval(&after, &inputs).unwrap(),
        );
        for (x, y) in x.iter().zip(&y) {
            assert_eq!(x.shape(), y.shape(), "{}", case.text);
            for (x, y) in x.to_f64s().iter().zip(y.to_f64s()) {
                assert!(
                    (x - y).abs() <= 1e-14 * x.abs().max(1.0),
                    "{}: {x}, {y}",
                    case.text
                );
            }
        }
    }
}

#[test]
fn loops_with_large_steps_stay_loops() {
    let text = "fn step(s: f64[200, 200], x: f64[200, 200]) -> f64[200, 200] { s + exp(x) }
                fn f(x: f64[40, 200, 200], s: f64[200, 200]) -> f64[200, 200] {
                    scan(s, x, body=step, carry=1, scanned=1, length=40)
                }";
    let after = optimize(&graph(text), None).unwrap();
    assert_eq!(operations(&after), "scan");
}

#[test]
fn a_place_outside_of_the_array_is_an_error_as_before() {
    let text =
        "fn step(i: i64, s: f64, x: f64[3]) -> (i64, f64) { (i + 1, s + gather(x, i, axis=0)) }
                fn f(x: f64[3]) -> f64 {
                    let r = scan(0, 0.0, x, body=step, carry=2, scanned=0, length=5);
                    get(r, index=1)
                }";
    let x = Array::vector(vec![1.0, 2.0, 3.0]);
    for graph in [graph(text), optimize(&graph(text), None).unwrap()] {
        let error = eval(&graph, std::slice::from_ref(&x))
            .unwrap_err()
            .to_string();
        assert!(error.contains("index 3"), "{error}");
    }
}
