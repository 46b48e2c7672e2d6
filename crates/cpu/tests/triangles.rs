//! Products of triangular matrices have the bits of whole products, whatever they meet.

mod common;

use std::sync::Arc;

use common::{Numbers, bits, inputs, near};
use cotangent_array::{Array, Scalar};
use cotangent_compile::{Plan, StepOp, Target, compile};
use cotangent_cpu::{Program, target};
use cotangent_graph::ops::Dot;
use cotangent_graph::{Op, parse};

fn plan(text: &str, triangles: bool) -> Arc<Plan> {
    let module = parse(text).unwrap_or_else(|e| panic!("{}", e.render(text)));
    let target = Target {
        triangles: target().triangles.filter(|_| triangles),
        ..target()
    };
    let plan = compile(module.entry(), &target).unwrap();
    assert_eq!(plan.check(), Ok(()));
    Arc::new(plan)
}

fn count(plan: &Plan) -> usize {
    let triangular = |step: &&cotangent_compile::Step| matches!(step.op, StepOp::Triangular(..));
    plan.steps.iter().filter(triangular).count()
}

/// The program beside that of whole products, on the same inputs, for any number of threads.
fn same_on(text: &str, expected: usize, draw: &dyn Fn(&Plan) -> Vec<Array>) {
    let (some, whole) = (plan(text, true), plan(text, false));
    assert_eq!((count(&some), count(&whole)), (expected, 0), "{some}");
    let [some, whole] = [some, whole].map(|plan| Program::new(plan).unwrap());
    let at = draw(some.plan());
    let expected: Vec<_> = whole.run(&at).unwrap().iter().map(bits).collect();
    for threads in [1, 2, 5] {
        some.set_threads(threads);
        let found: Vec<_> = some.run(&at).unwrap().iter().map(bits).collect();
        assert!(found == expected, "{threads} threads\n{text}");
    }
}

fn same(text: &str, expected: usize) {
    for dtype in ["f32", "f64"] {
        let text = text.replace("DT", dtype);
        for special in [false, true] {
            same_on(&text, expected, &|plan| inputs(plan, 1, special));
        }
    }
}

/// A matrix between two, of this many rows and columns, with zeros where a comparison of the places is false.
fn masked(x: &str, [rows, columns]: [usize; 2], op: &str, offset: i64) -> String {
    format!(
        "let row = iota(shape=[{rows}, {columns}], axis=0);
        let column = iota(shape=[{rows}, {columns}], axis=1);
        let masked = select({op}(column - row, {offset}), {x}, 0.0);"
    )
}

/// Rows, columns and terms around the borders of tiles, panels and blocks.
const SIZES: [[usize; 3]; 9] = [
    [97, 95, 93],
    [49, 47, 390],
    [129, 64, 97],
    [65, 190, 300],
    [200, 40, 257],
    [195, 66, 513],
    [300, 130, 96],
    [33, 1050, 40],
    [1050, 33, 40],
];

/// Whether a triangle leaves out enough to be worth it, of matrices of these sizes.
fn left_out([rows, columns]: [usize; 2], op: &str, offset: i64) -> bool {
    let inside = |i: usize, j: usize| match op {
        "le" => j as i64 - i as i64 <= offset,
        _ => j as i64 - i as i64 >= offset,
    };
    let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
    let kept = places.filter(|(i, j)| inside(*i, *j)).count();
    kept / 7 < rows * columns / 8
}

#[test]
fn zeros_of_operands_are_left_out() {
    for [m, n, k] in SIZES {
        for op in ["le", "ge"] {
            for offset in [0, -1, 13, -40, 5000, -5000] {
                let worth = |sizes| usize::from(left_out(sizes, op, offset));
                let first = masked("x", [m, k], op, offset);
                same(
                    &format!("fn f(x: DT[{m}, {k}], y: DT[{k}, {n}]) {{ {first} masked @ y }}"),
                    worth([m, k]),
                );
                let second = masked("y", [k, n], op, offset);
                same(
                    &format!("fn f(x: DT[{m}, {k}], y: DT[{k}, {n}]) {{ {second} x @ masked }}"),
                    worth([k, n]),
                );
            }
        }
    }
}

#[test]
fn what_nobody_reads_of_a_result_is_left_out() {
    for [m, n, k] in SIZES {
        for op in ["le", "ge"] {
            for offset in [0, -1, 13, -40, 5000, -5000] {
                let result = masked("(x @ y)", [m, n], op, offset);
                let worth = usize::from(left_out([m, n], op, offset));
                same(
                    &format!("fn f(x: DT[{m}, {k}], y: DT[{k}, {n}]) {{ {result} masked }}"),
                    worth,
                );
            }
        }
    }
}

/// A mask of few elements is a constant of the plan.
#[test]
fn constants_may_be_masks() {
    for op in ["le", "ge"] {
        let mask = masked("x", [32, 32], op, 0);
        same(
            &format!("fn f(x: DT[32, 32], y: DT[32, 800]) {{ {mask} masked @ y }}"),
            1,
        );
        same(
            &format!("fn f(x: DT[32, 32], y: DT[800, 32]) {{ {mask} y @ masked }}"),
            1,
        );
    }
}

#[test]
fn operands_may_stand_in_any_way() {
    for [m, n, k] in [[97, 95, 96], [200, 130, 300]] {
        for op in ["le", "ge"] {
            // Transposed in memory, in a batch, beside a matrix that all members share.
            let turned = masked("x", [k, m], op, 3);
            same(
                &format!(
                    "fn f(x: DT[{k}, {m}], y: DT[{n}, {k}]) {{
                    {turned} dot(masked, y, contract=([0], [1])) }}"
                ),
                1,
            );
            let text = format!(
                "fn f(x: DT[3, {m}, {k}], y: DT[3, {k}, {n}]) {{
                let row = iota(shape=[3, {m}, {k}], axis=1);
                let column = iota(shape=[3, {m}, {k}], axis=2);
                let masked = select({op}(column, row), x, 0.0);
                dot(masked, y, contract=([2], [1]), batch=([0], [0])) }}"
            );
            same(&text, 1);
            let shared = masked("x", [m, k], op, 0);
            let text = format!(
                "fn f(x: DT[{m}, {k}], y: DT[4, {k}, {n}]) {{
                {shared} dot(y, masked, contract=([1], [1])) }}"
            );
            same(&text, 0);
        }
    }
}

#[test]
fn both_operands_and_the_result_may_be_triangles() {
    for n in [95, 130, 290] {
        for [first, second] in [["le", "le"], ["le", "ge"], ["ge", "le"], ["ge", "ge"]] {
            let text = format!(
                "fn f(x: DT[{n}, {n}], y: DT[{n}, {n}]) {{
                let row = iota(shape=[{n}, {n}], axis=0);
                let column = iota(shape=[{n}, {n}], axis=1);
                let a = select({first}(column - row, 2), x, 0.0);
                let b = select({second}(column - row, -1), y, 0.0);
                let c = a @ b;
                (c @ a, select(le(column, row), b @ a, 1.0)) }}"
            );
            same(&text, 3);
        }
    }
}

/// A softmax has zeros where the mask says so unless a row is NaN, and then nothing is left out.
#[test]
fn rows_of_nan_are_multiplied_in_full() {
    let text = "fn f(x: f32[100, 100], y: f32[100, 80]) {
        let row = iota(shape=[100, 100], axis=0);
        let column = iota(shape=[100, 100], axis=1);
        let seen = select(le(column, row), x, -inf);
        let most = broadcast(max(seen, axes=[1]), shape=[100, 100], dims=[0]);
        let e = exp(seen - most);
        let p = e / broadcast(sum(e, axes=[1]), shape=[100, 100], dims=[0]);
        p @ y
    }";
    for bad in [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for operand in [0, 1] {
            same_on(text, 1, &|plan| {
                let mut at = inputs(plan, 3, false);
                let mut elements: Vec<f64> = at[operand].to_f64s();
                elements[40 * 3 + 7] = bad;
                let shape = at[operand].shape();
                at[operand] = Array::new(shape, elements)
                    .unwrap()
                    .convert(at[operand].dtype());
                at
            });
        }
    }
}

/// Where all products are rounded to -0, zeros behind them make 0 of the sum.
#[test]
fn the_sign_of_a_zero_is_that_of_the_whole_sum() {
    let (m, n, k) = (96, 100, 90);
    let text = format!(
        "fn f(x: f32[{m}, {k}], y: f32[{k}, {n}]) {{ {} masked @ y }}",
        masked("x", [m, k], "le", 0)
    );
    for sign in [1.0, -1.0] {
        same_on(&text, 1, &|plan| {
            let mut numbers = Numbers::new(5);
            let draw = |(_, ty): &(String, cotangent_graph::TensorType)| {
                numbers.array(ty, |numbers, dtype| {
                    let positive = numbers.within(1e-40, 1e-30) * sign;
                    let mixed = if numbers.next().is_multiple_of(9) {
                        -positive
                    } else {
                        positive
                    };
                    Scalar::from_f64(dtype, mixed)
                })
            };
            plan.inputs.iter().map(draw).collect()
        });
    }
}

#[test]
fn the_reference_agrees() {
    for dtype in ["f32", "f64"] {
        let (m, n, k) = (96, 96, 90);
        let first = masked("x", [m, k], "le", 4);
        let text = format!(
            "fn f(x: {dtype}[{m}, {k}], y: {dtype}[{k}, {n}]) {{
                {first}
                let mask = ge(iota(shape=[{m}, {n}], axis=1), iota(shape=[{m}, {n}], axis=0));
                select(mask, masked @ y, 0.0) }}"
        );
        let graph = parse(&text).unwrap().entry().clone();
        near(&graph, &inputs(&plan(&text, true), 2, false));
    }
}

/// Random graphs of masks, products and what stands between them.
#[test]
fn random_graphs_have_the_bits_of_whole_products() {
    let mut met = 0;
    for seed in 0..120 {
        let mut numbers = Numbers::new(seed);
        let n = [93, 96, 97][numbers.next() as usize % 3];
        let dtype = ["f32", "f64"][numbers.next() as usize % 2];
        let mut text = format!(
            "fn f(x0: {dtype}[{n}, {n}], x1: {dtype}[{n}, {n}]) {{
            let row = iota(shape=[{n}, {n}], axis=0);
            let column = iota(shape=[{n}, {n}], axis=1);"
        );
        let mut count = 2;
        for _ in 0..12 {
            // Recent values more often, so that things hang together.
            let mut pick = || {
                let back = (numbers.next() % 4).min(numbers.next() % 12) as usize;
                format!("x{}", (count - 1_usize).saturating_sub(back))
            };
            let (a, b) = (pick(), pick());
            let offset = (numbers.next() % 9) as i64 - 4;
            let compare = ["le", "lt", "ge", "gt", "eq", "ne"][numbers.next() as usize % 6];
            let mask = format!("{compare}(column - row, {offset})");
            let next = match numbers.next() % 16 {
                0 | 1 => format!("select({mask}, {a}, 0.0)"),
                2 => format!("select({mask}, {a}, {b})"),
                3 => format!("select({mask}, -1.0, {a})"),
                4..=6 => format!("({a} @ {b}) * 0.1"),
                7 => format!("dot({a}, {b}, contract=([0], [0]))"),
                8 => format!("dot({a}, {b}, contract=([1], [1]))"),
                9 => format!("transpose({a}, axes=[1, 0])"),
                10 => format!("{a} + {b}"),
                11 => format!("{a} * {b}"),
                12 => format!("zmul({a}, {b})"),
                13 => format!("exp(select({mask}, tanh({a}), -inf))"),
                14 => format!(
                    "pad(slice({a}, start=[1, 0], limit=[{n}, {n}]), 0.0, low=[0, 0], high=[1, 0])"
                ),
                _ => format!("{a} / (2.0 + tanh({b}))"),
            };
            text += &format!("\n let x{count} = {next};");
            count += 1;
        }
        let (last, other) = (count - 1, count - 3);
        text += &format!("\n (x{last}, select(le(column, row), x{other}, 0.0)) }}");
        let expected = count_of(&text);
        met += expected;
        for special in [false, true] {
            same_on(&text, expected, &|plan| inputs(plan, seed, special));
        }
    }
    assert!(met > 100, "random graphs have {met} triangular products");
}

fn count_of(text: &str) -> usize {
    count(&plan(text, true))
}

#[test]
fn triangles_of_several_axes_are_refused() {
    let first = masked("x", [97, 96], "le", 0);
    let text = format!("fn f(x: f32[97, 96], y: f32[96, 90]) {{ {first} masked @ y }}");
    let mut plan = Plan::clone(&plan(&text, true));
    let step = (plan.steps.iter_mut()).find(|s| matches!(s.op, StepOp::Triangular(..)));
    let step = step.unwrap();
    let StepOp::Triangular(_, triangles) = &step.op else {
        unreachable!()
    };
    let outer = Dot {
        contract: (Vec::new(), Vec::new()),
        batch: (Vec::new(), Vec::new()),
    };
    let op = Op::from(outer);
    step.op = StepOp::Triangular(op, triangles.clone());
    let error = plan.check().unwrap_err();
    assert!(error.contains("a triangle is of two axes"), "{error}");
}
