//! Runs on arrays that are given away: the same bits, in the memory of the arguments where that can be.

use std::sync::Arc;

use cotangent_array::Array;
use cotangent_compile::compile;
use cotangent_cpu::{Program, Way, target};
use cotangent_graph::{Graph, parse};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn numbers(graph: &Graph) -> Vec<Array> {
    let types = graph.input_types().into_iter().enumerate();
    let arrays = types.map(|(k, ty)| {
        let n = ty.shape.elements();
        let values = (0..n).map(|i| ((i * 7 + k * 3) % 23) as f64 * 0.125 - 1.25);
        Array::new(ty.shape, values.collect::<Vec<f64>>()).unwrap()
    });
    arrays.collect()
}

const GRAPHS: &[&str] = &[
    // Updates of parameters by a gradient.
    "fn f(w: f64[40, 40], b: f64[40], x: f64[8, 40], y: f64[8, 40]) -> (f64[40, 40], f64[40], f64) {
         let z = tanh(x @ w + b);
         let e = z - y;
         let s = e * (1.0 - z * z);
         (w - 0.1 * dot(x, s, contract=([0], [0])), b - 0.1 * sum(s, axes=[0]), sum(e * e))
     }",
    // What is read again behind the update.
    "fn f(p: f64[33, 33], x: f64[33, 33]) -> (f64[33, 33], f64[33, 33], f64) {
         (p + 1.0, (x @ p) @ p, sum(p * x))
     }",
    // The second update could run before what the first is computed from reads its parameter for the last time.
    "fn f(v: f64[90, 90], w: f64[90, 10], x: f64[40, 90], y: f64[40, 10]) -> (f64[90, 90], f64[90, 10], f64) {
         let a = tanh(x @ v);
         let b = tanh(a @ w);
         let e = b - y;
         let eb = e * (1.0 - b * b);
         let ea = dot(eb, w, contract=([1], [1])) * (1.0 - a * a);
         (v - 0.1 * dot(x, ea, contract=([0], [0])), w - 0.1 * dot(a, eb, contract=([0], [0])), sum(e * e))
     }",
    // Rows are read after they were written: no place by place.
    "fn f(p: f64[50, 300]) -> f64[50, 300] { p / broadcast(sum(exp(p), axes=[1]), shape=[50, 300], dims=[0]) }",
    "fn f(p: f64[64]) -> f64[64] { reverse(p, axes=[0]) + p }",
    "fn f(p: f64[64], q: f64[64]) -> (f64[64], f64[64]) { (q * 2.0, p * 3.0) }",
    "fn f(p: f64[64], q: f64[64]) -> (f64[64], f64[64]) { (q, p) }",
    "fn f(p: f64[6]) -> (f64[6], f64[6]) { (cumsum(p, axis=0), sin(p)) }",
    "fn step(h: f64[5], x: f64[5]) -> (f64[5], f64[5]) { (tanh(h * x), h) }
     fn f(h: f64[5], x: f64[7, 5]) -> (f64[5], f64[7, 5]) { scan(h, x, body=step, carry=1, scanned=1, length=7) }",
];

#[test]
fn results_are_those_of_runs_that_keep_their_arguments() {
    for text in GRAPHS {
        let graph = graph(text);
        let plan = Arc::new(compile(&graph, &target()).unwrap());
        for way in [Way::Code, Way::Narrow, Way::Tile, Way::Baseline] {
            let program = Program::with_way(plan.clone(), way).unwrap();
            let expected = program.run(&numbers(&graph)).unwrap();
            for threads in [1, 2] {
                program.set_threads(threads);
                let found = program.run_donated(numbers(&graph)).unwrap();
                assert_eq!(
                    found, expected,
                    "{way:?}, {threads} threads\n{text}\n{plan}"
                );
            }
        }
    }
}

#[test]
fn parameters_are_updated_where_they_stand() {
    for text in [GRAPHS[0], GRAPHS[2]] {
        let graph = graph(text);
        let program = cotangent_cpu::compile(&graph).unwrap();
        let plan = program.plan();
        assert_eq!(plan.taken_over(), [Some(0), Some(1), None], "{plan}");
        let inputs = numbers(&graph);
        let place = |array: &Array| array.as_slice::<f64>().unwrap().as_ptr();
        let places = [place(&inputs[0]), place(&inputs[1])];
        let outputs = program.run_donated(inputs).unwrap();
        assert_eq!([place(&outputs[0]), place(&outputs[1])], places);
    }
}

#[test]
fn clones_of_arguments_keep_their_values() {
    let graph = graph("fn f(p: f64[64], q: f64[64]) -> (f64[64], f64) { (p + q, sum(q)) }");
    let program = cotangent_cpu::compile(&graph).unwrap();
    let p = numbers(&graph).remove(0);
    let expected = program.run(&[p.clone(), p.clone()]).unwrap();
    let found = program.run_donated(vec![p.clone(), p.clone()]).unwrap();
    assert_eq!(found, expected);
    assert_eq!(p, numbers(&graph)[0]);
}

#[test]
fn arguments_of_other_types_are_errors() {
    let program = cotangent_cpu::compile(&graph("fn f(p: f64[4]) -> f64[4] { -p }")).unwrap();
    assert!(program.run_donated(vec![Array::from([1.0, 2.0])]).is_err());
    assert!(program.run_donated(Vec::new()).is_err());
}
