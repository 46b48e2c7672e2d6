//! Products that are written where a transpose would move them, and those whose rows stand apart.

mod common;

use common::{inputs_of, plan_of};
use cotangent_compile::{Plan, StepOp};
use cotangent_cpu::Program;
use cotangent_graph::parse;

/// How many products of a plan are turned, and how many transposes it has.
fn counts(plan: &Plan) -> (usize, usize) {
    let turned = |s: &&cotangent_compile::Step| matches!(s.op, StepOp::Turned(..));
    let moved = |s: &&cotangent_compile::Step| s.op.name() == "transpose";
    let steps = || plan.steps.iter();
    (
        steps().filter(turned).count(),
        steps().filter(moved).count(),
    )
}

/// Runs a transposed product twice: as one step, and after the product was stored because it is a result,
/// too. The bits are the same, also with two threads.
fn same(parameters: &str, product: &str, axes: &str, expected: usize) {
    for dtype in ["f32", "f64", "i32"] {
        let parameters = parameters.replace("DT", dtype);
        let [turned, whole] = ["t", "(t, p)"].map(|results| {
            plan_of(&format!(
                "fn f({parameters}) {{ let p = {product}; let t = transpose(p, axes={axes}); {results} }}"
            ))
        });
        assert_eq!(counts(&turned), (expected, 1 - expected), "{turned}");
        assert_eq!(counts(&whole).0, 0, "{whole}");
        let at = inputs_of(&turned, 3);
        let kept = Program::new(whole).unwrap().run(&at).unwrap();
        let program = Program::new(turned).unwrap();
        for threads in [1, 2] {
            program.set_threads(threads);
            let found = program.run(&at).unwrap();
            assert_eq!(
                found[0].as_bytes(),
                kept[0].as_bytes(),
                "{product} {axes} {dtype}"
            );
        }
    }
}

#[test]
fn products_are_written_turned() {
    let two = "x: DT[5, 24, 17], y: DT[33, 17]";
    same(two, "dot(x, y, contract=([2], [1]))", "[0, 2, 1]", 1);
    // The axes that move are those of the second operand.
    same(two, "dot(y, x, contract=([1], [2]))", "[1, 0, 2]", 1);
    // Contracted axes stand in front, and free axes apart.
    let apart = "x: DT[5, 17, 24], y: DT[17, 33]";
    same(apart, "dot(x, y, contract=([1], [0]))", "[0, 2, 1]", 1);
    let shared = "x: DT[3, 4, 24, 17], y: DT[3, 33, 17]";
    same(
        shared,
        "dot(x, y, contract=([3], [2]), batch=([0], [0]))",
        "[0, 1, 3, 2]",
        1,
    );
    let two_in_front = "x: DT[3, 2, 24, 17], y: DT[33, 17]";
    same(
        two_in_front,
        "dot(x, y, contract=([3], [1]))",
        "[0, 1, 3, 2]",
        1,
    );
    let large = "x: DT[4, 160, 300], y: DT[140, 300]";
    same(large, "dot(x, y, contract=([2], [1]))", "[0, 2, 1]", 1);
}

#[test]
fn other_transposes_stay() {
    let two = "x: DT[5, 24, 17], y: DT[33, 17]";
    // Rows of one product would be apart.
    same(two, "dot(x, y, contract=([2], [1]))", "[1, 2, 0]", 0);
    same(two, "dot(x, y, contract=([2], [1]))", "[1, 0, 2]", 0);
    // The products would be small.
    let small = "x: DT[5, 4, 17], y: DT[3, 17]";
    same(small, "dot(x, y, contract=([2], [1]))", "[0, 2, 1]", 0);
}

/// Products of rows that stand apart against the evaluator.
#[test]
fn rows_apart_are_not_moved() {
    for dtype in ["f32", "f64", "i64"] {
        for (m, n, k) in [(16, 33, 70), (64, 1, 19), (17, 64, 1), (40, 40, 300)] {
            let parameters = format!("x: {dtype}[6, {k}, {m}], y: {dtype}[{k}, {n}]");
            let text = format!("fn f({parameters}) {{ dot(x, y, contract=([1], [0])) }}");
            let apart = plan_of(&text);
            let at = inputs_of(&apart, 5);
            let graph = parse(&text).unwrap();
            let expected = cotangent_graph::eval(graph.entry(), &at).unwrap();
            let program = Program::new(apart).unwrap();
            for threads in [1, 2] {
                program.set_threads(threads);
                let found = program.run(&at).unwrap();
                for (x, y) in found[0].scalars().zip(expected[0].scalars()) {
                    let (x, y) = (x.to_f64(), y.to_f64());
                    let bound = if dtype == "f32" { 3e-2 } else { 1e-9 };
                    assert!(
                        (x - y).abs() <= bound,
                        "{dtype} {m} {n} {k}: {x} is not {y}"
                    );
                }
            }
        }
    }
}
