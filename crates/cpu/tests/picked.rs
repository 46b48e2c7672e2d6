//! Products of numbers with rows that indices pick.

mod common;

use common::{inputs, plan_of};
use cotangent_array::{Array, DType, Scalar};
use cotangent_compile::{Plan, StepOp};
use cotangent_cpu::Program;
use cotangent_graph::parse;

/// How many products of a plan read picked rows where they stand, and how many gathers it has.
fn counts(plan: &Plan) -> (usize, usize) {
    let steps = || plan.steps.iter();
    (
        steps()
            .filter(|s| matches!(s.op, StepOp::Picked(..)))
            .count(),
        steps().filter(|s| s.op.name() == "gather").count(),
    )
}

/// Indices from 0 to before a length; other operands as ever.
fn at(plan: &Plan, lengths: &[(&str, usize)]) -> Vec<Array> {
    let mut at = inputs(plan, 7, false);
    for (array, (name, ty)) in at.iter_mut().zip(&plan.inputs) {
        if let Some((_, length)) = lengths.iter().find(|(index, _)| index == name) {
            let places = (0..ty.shape.elements()).map(|i| (7 * i + i / 5) % length);
            let places: Vec<i64> = places.map(|i| i as i64).collect();
            let places = Array::new(ty.shape.dims(), places).unwrap();
            *array = places.convert(ty.dtype);
        }
    }
    at
}

/// Runs a product of picked rows once as one step and once after the rows were stored, since they are a
/// result, too, against the evaluator; with two threads, the bits are the same.
#[track_caller]
fn same(parameters: &str, rows: &str, product: &str, lengths: &[(&str, usize)], expected: usize) {
    for dtype in ["f32", "f64", "c64", "c128"] {
        let parameters = parameters.replace("DT", dtype);
        let [text, stored] = ["t", "(t, p)"].map(|results| {
            format!("fn f({parameters}) {{ let p = {rows}; let t = {product}; {results} }}")
        });
        let plan = plan_of(&text);
        assert_eq!(counts(&plan), (expected, 1 - expected), "{plan}");
        assert_eq!(counts(&plan_of(&stored)), (0, 1));
        let at = at(&plan, lengths);
        let graph = parse(&text).unwrap();
        let wanted = cotangent_graph::eval(graph.entry(), &at).unwrap();
        let program = Program::new(plan).unwrap();
        let found = [1, 2].map(|threads| {
            program.set_threads(threads);
            program.run(&at).unwrap()
        });
        assert_eq!(found[0][0].as_bytes(), found[1][0].as_bytes());
        assert_eq!(found[0][0].shape(), wanted[0].shape());
        let bound = if dtype == "f32" || dtype == "c64" {
            1e-4
        } else {
            1e-12
        };
        for (x, y) in found[0][0].scalars().zip(wanted[0].scalars()) {
            let off = (x.to_complex() - y.to_complex()).norm();
            assert!(off <= bound, "{dtype}: {x} is not {y}\n{text}");
        }
    }
}

#[test]
fn rows_are_read_where_they_stand() {
    let rows = "gather(x, i, axis=0)";
    let one = "contract=([1], [1]), batch=([0], [0])";
    for row in [2, 7, 8, 9, 31, 64, 84, 100] {
        for terms in [1, 3, 70] {
            let parameters = format!("w: DT[37, {terms}], x: DT[11, {row}], i: i64[37, {terms}]");
            same(
                &parameters,
                rows,
                &format!("dot(w, p, {one})"),
                &[("i", 11)],
                1,
            );
        }
    }
    let parameters = "w: DT[37, 3], x: DT[11, 4, 5], i: i32[37, 3]";
    same(
        parameters,
        rows,
        &format!("dot(p, w, {one})"),
        &[("i", 11)],
        1,
    );
    // One sum, and sums along two axes.
    let parameters = "w: DT[6], x: DT[11, 20], i: i64[6]";
    same(
        parameters,
        rows,
        "dot(w, p, contract=([0], [0]))",
        &[("i", 11)],
        1,
    );
    let parameters = "w: DT[4, 5, 6], x: DT[11, 20], i: i64[4, 5, 6]";
    let two = "contract=([2], [2]), batch=([0, 1], [0, 1])";
    same(
        parameters,
        rows,
        &format!("dot(w, p, {two})"),
        &[("i", 11)],
        1,
    );
    // Two threads divide many sums.
    let many = "w: DT[3000, 9], x: DT[11, 50], i: i64[3000, 9]";
    same(many, rows, &format!("dot(w, p, {one})"), &[("i", 11)], 1);
    let none = "w: DT[0, 3], x: DT[11, 20], i: i64[0, 3]";
    same(none, rows, &format!("dot(w, p, {one})"), &[("i", 11)], 1);
}

#[test]
fn rows_of_two_indices_and_of_batches() {
    let one = "dot(w, p, contract=([1], [1]), batch=([0], [0]))";
    let parameters = "w: DT[37, 3], x: DT[11, 5, 20], i: i32[37, 3], j: i32[37, 3]";
    let rows = "gather(x, i, j, axis=0)";
    same(parameters, rows, one, &[("i", 11), ("j", 5)], 1);
    // Each member of the batch has an array of its own.
    let parameters = "w: DT[7, 3], x: DT[7, 11, 20], i: i64[7, 3]";
    same(
        parameters,
        "gather(x, i, axis=1, batch=1)",
        one,
        &[("i", 11)],
        1,
    );
    let parameters = "w: DT[7, 5, 3], x: DT[7, 11, 20], i: i64[7, 5, 3]";
    let two = "dot(w, p, contract=([2], [2]), batch=([0, 1], [0, 1]))";
    same(
        parameters,
        "gather(x, i, axis=1, batch=1)",
        two,
        &[("i", 11)],
        1,
    );
}

#[test]
fn other_products_put_rows_together() {
    let rows = "gather(x, i, axis=0)";
    // Rows of one element, sums of nothing.
    let one_element = "w: DT[37, 3], x: DT[11], i: i64[37, 3]";
    let product = "dot(w, p, contract=([1], [1]), batch=([0], [0]))";
    same(one_element, rows, product, &[("i", 11)], 0);
    let nothing = "w: DT[37, 0], x: DT[11, 20], i: i64[37, 0]";
    same(nothing, rows, product, &[("i", 11)], 0);
    // The numbers are a matrix for each sum, or the same for all of them.
    let matrices = "w: DT[37, 2, 3], x: DT[11, 20], i: i64[37, 3]";
    same(
        matrices,
        rows,
        "dot(w, p, contract=([2], [1]), batch=([0], [0]))",
        &[("i", 11)],
        0,
    );
    let shared = "w: DT[3], x: DT[11, 20], i: i64[37, 3]";
    same(
        shared,
        rows,
        "dot(w, p, contract=([0], [1]))",
        &[("i", 11)],
        0,
    );
    // The elements of a row are added up.
    let across = "w: DT[37, 20], x: DT[11, 20], i: i64[37, 3]";
    let last = "dot(w, p, contract=([1], [2]), batch=([0], [0]))";
    same(across, rows, last, &[("i", 11)], 0);
}

#[test]
fn an_index_outside_is_an_error() {
    let text = "fn f(w: f64[4, 3], x: f64[5, 20], i: i64[4, 3]) -> f64[4, 20] {
        dot(w, gather(x, i, axis=0), contract=([1], [1]), batch=([0], [0]))
    }";
    let plan = plan_of(text);
    assert_eq!(counts(&plan), (1, 0), "{plan}");
    let mut at = at(&plan, &[("i", 5)]);
    let program = Program::new(plan).unwrap();
    assert!(program.run(&at).is_ok());
    for wrong in [5, -1] {
        at[2] = Array::full(at[2].shape().clone(), Scalar::I64(wrong)).unwrap();
        let error = program.run(&at).unwrap_err().to_string();
        assert!(error.contains("index"), "{error}");
    }
}

/// A plan that was changed by hand is refused.
#[test]
fn malformed_steps_are_refused() {
    let text = "fn f(w: f64[4, 3], x: f64[5, 20], i: i64[4, 3]) -> f64[4, 20] {
        dot(w, gather(x, i, axis=0), contract=([1], [1]), batch=([0], [0]))
    }";
    let plan = plan_of(text);
    let changed = |change: &dyn Fn(&mut cotangent_compile::Step)| {
        let mut plan = (*plan).clone();
        change(&mut plan.steps[0]);
        plan.check()
    };
    assert!(changed(&|_| ()).is_ok());
    assert!(changed(&|s| s.args.truncate(2)).is_err());
    assert!(changed(&|s| s.args.swap(0, 1)).is_err());
    assert!(changed(&|s| s.args[1].ty = s.outs[0].ty.clone()).is_err());
    assert!(
        changed(&|s| {
            let StepOp::Picked(op, picked) = &s.op else {
                panic!("{}", s.op.name());
            };
            let mut picked = (**picked).clone();
            picked.rows = picked.rows.with_dtype(DType::F32);
            s.op = StepOp::Picked(op.clone(), picked.into());
        })
        .is_err()
    );
}
