//! Chains that run side by side, and rows that are chains.

mod common;

use std::sync::Arc;

use common::{bits, inputs, plan_of};
use cotangent_array::{Array, DType, Scalar};
use cotangent_compile::{Options, Place, Plan, Step, StepOp, Target, compile, compile_with};
use cotangent_cpu::{Program, target};
use cotangent_graph::{TensorType, parse};

fn apart(text: &str) -> Arc<Plan> {
    let graph = parse(text).unwrap().entry().clone();
    let apart = Target {
        abreast: false,
        ..target()
    };
    Arc::new(compile(&graph, &apart).unwrap())
}

/// How many chains run in each step that holds several.
fn joined(plan: &Plan) -> Vec<usize> {
    let chains = |s: &Step| match &s.op {
        StepOp::Abreast(ops) => Some(ops.len()),
        _ => None,
    };
    plan.steps.iter().filter_map(chains).collect()
}

/// Runs chains side by side and one after the other: the bits are the same.
fn same(text: &str, expected: &[usize]) {
    for dtype in ["f32", "f64"] {
        let text = text.replace("DT", dtype);
        let (plan, apart) = (plan_of(&text), apart(&text));
        assert_eq!(joined(&plan), expected, "{plan}");
        assert_eq!(joined(&apart), [0; 0]);
        let [program, alone] = [plan, apart].map(|plan| Program::new(plan).unwrap());
        for (seed, special) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
            let at = inputs(program.plan(), seed, special);
            let expected: Vec<_> = alone.run(&at).unwrap().iter().map(bits).collect();
            for threads in [1, 2] {
                program.set_threads(threads);
                let found: Vec<_> = program.run(&at).unwrap().iter().map(bits).collect();
                assert_eq!(found, expected, "{dtype} {threads}\n{text}");
            }
        }
    }
}

#[test]
fn chains_run_side_by_side() {
    for (f, g) in [
        ("", ""),
        (", reverse=true", ""),
        (", reverse=true", ", reverse=true"),
    ] {
        for [p, q] in [
            ["cumprod(x, axis=0F)", "recurrence(y, z, axis=0G)"],
            ["cumsum(x, axis=0F)", "cumprod(y, axis=0G)"],
            ["recurrence(z, x, axis=0F)", "cumsum(y, axis=0G)"],
            ["cumsum(x, axis=0F)", "cumsum(x, axis=0G)"],
            ["recurrence(x, x, axis=0F)", "recurrence(y, z, axis=0G)"],
        ] {
            let (p, q) = (p.replace('F', f), q.replace('G', g));
            if p == q {
                continue;
            }
            let text = format!("fn f(x: DT[133], y: DT[133], z: DT[133]) {{ ({p}, {q}) }}");
            same(&text, &[2]);
        }
    }
}

#[test]
fn chains_may_differ_in_length_and_be_several() {
    let text = "fn f(x: DT[100], y: DT[77], z: DT[1, 64, 1]) {
        (cumprod(x, axis=0), cumsum(z, axis=1, reverse=true), cumprod(y, axis=0, reverse=true))
    }";
    same(text, &[3]);
    let five = "fn f(a: DT[40], b: DT[41], c: DT[42], d: DT[43], e: DT[44], f: DT[45]) {
        (cumprod(a, axis=0), cumsum(b, axis=0), cumprod(c, axis=0), cumsum(d, axis=0),
            recurrence(e, e, axis=0), cumsum(f, axis=0))
    }";
    same(five, &[4, 2]);
}

/// What a product of many factors needs on its way back does not wait for the way there.
#[test]
fn the_gradient_of_a_product_is_two_chains_side_by_side() {
    let text = "fn f(x: DT[50], zero: DT[1]) {
        let p = cumprod(x, axis=0);
        let tail = slice(x, start=[1], limit=[50]);
        let next = concat(tail, zero, axis=0);
        let back = recurrence(next, x, axis=0, reverse=true);
        (p * back, cumsum(p, axis=0))
    }";
    same(text, &[2]);
}

#[test]
fn chains_that_wait_for_others_run_behind_them() {
    same(
        "fn f(x: DT[50]) { cumsum(cumprod(sin(cumsum(x, axis=0)), axis=0), axis=0) }",
        &[],
    );
    // Short ones, and one much shorter than the other.
    same(
        "fn f(x: DT[9], y: DT[9]) { (cumsum(x, axis=0), cumprod(y, axis=0)) }",
        &[],
    );
    same(
        "fn f(x: DT[90], y: DT[20]) { (cumsum(x, axis=0), cumprod(y, axis=0)) }",
        &[],
    );
    // Several lanes each.
    same(
        "fn f(x: DT[20, 3], y: DT[20, 3]) { (cumsum(x, axis=0), cumprod(y, axis=0)) }",
        &[],
    );
    same(
        "fn f(x: DT[0], y: DT[0]) { (cumsum(x, axis=0), cumprod(y, axis=0)) }",
        &[],
    );
}

/// Chains that run side by side are held side by side. Where a budget has no room for that they take turns.
#[test]
fn chains_take_turns_within_a_budget() {
    let text = "fn f(x: f64[1000]) {
        (sum(sin(cumprod(x, axis=0)), axes=[0]), sum(sin(cumsum(x, axis=0, reverse=true)), axes=[0]))
    }";
    let graph = parse(text).unwrap().entry().clone();
    let free = plan_of(text);
    assert_eq!(joined(&free), [2], "{free}");
    let at = inputs(&free, 3, false);
    let expected = Program::new(free.clone()).unwrap().run(&at).unwrap();
    let options = Options {
        memory_budget: Some(free.memory() - 4000),
        ..Options::default()
    };
    let less = compile_with(&graph, &target(), &options).unwrap();
    assert!(less.memory() <= free.memory() - 4000);
    assert_eq!(joined(&less), [0; 0], "{less}");
    let found = Program::new(Arc::new(less)).unwrap().run(&at).unwrap();
    assert_eq!(found, expected);
}

/// Rows of one array are chains, too: each gives what it gives alone.
#[test]
fn rows_are_the_same_as_alone() {
    for rows in [1, 2, 3, 4, 5, 9] {
        for n in [0, 1, 31, 256, 300] {
            for op in ["cumsum(xAT)", "cumprod(xAT)", "recurrence(x, yAT)"] {
                for reverse in ["", ", reverse=true"] {
                    for dtype in ["f32", "f64"] {
                        rows_alone(rows, n, op, reverse, dtype);
                    }
                }
            }
        }
    }
}

fn rows_alone(rows: usize, n: usize, op: &str, reverse: &str, dtype: &str) {
    let text = |shape: String, axis: usize| {
        let op = op.replace("AT", &format!(", axis={axis}{reverse}"));
        format!("fn f(x: {dtype}[{shape}], y: {dtype}[{shape}]) {{ {op} }}")
    };
    let whole = Program::new(plan_of(&text(format!("{rows}, {n}"), 1))).unwrap();
    let alone = Program::new(plan_of(&text(format!("{n}"), 0))).unwrap();
    for special in [false, true] {
        let at = inputs(whole.plan(), 7, special);
        let found = bits(&whole.run(&at).unwrap()[0]);
        for row in 0..rows {
            let part = |x: &Array| {
                let elements = (row * n..(row + 1) * n).filter_map(|i| x.at(i));
                Array::from_scalars(x.dtype(), [n], elements).unwrap()
            };
            let at: Vec<Array> = at.iter().map(part).collect();
            let expected = bits(&alone.run(&at).unwrap()[0]);
            assert_eq!(
                found[row * n..(row + 1) * n],
                expected,
                "{op}{reverse} {dtype}"
            );
        }
    }
}

#[test]
fn a_step_that_does_not_fit_is_refused() {
    let plan = plan_of(
        "fn f(x: f64[40], y: f64[40], z: f32[40]) {
        (cumprod(x, axis=0), recurrence(y, x, axis=0, reverse=true), cumsum(z, axis=0))
    }",
    );
    assert_eq!(joined(&plan), [2], "{plan}");
    let changed = |change: &dyn Fn(&mut Step)| {
        let mut plan = (*plan).clone();
        let step = plan.steps.iter_mut().find(|s| s.outs.len() == 2).unwrap();
        change(step);
        plan.check()
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    let ops = |step: &Step| match &step.op {
        StepOp::Abreast(ops) => ops.to_vec(),
        _ => Vec::new(),
    };
    assert!(changed(&|s| s.op = StepOp::Abreast(ops(s)[..1].into())).is_err());
    assert!(changed(&|s| s.op = StepOp::Abreast([ops(s), ops(s)].concat().into())).is_err());
    assert!(changed(&|s| drop(s.args.pop())).is_err());
    assert!(changed(&|s| s.args.push(s.args[0].clone())).is_err());
    assert!(changed(&|s| drop(s.outs.pop())).is_err());
    assert!(changed(&|s| s.outs[1] = s.outs[0].clone()).is_err());
    let one = Place::Splat(Scalar::F64(1.0));
    assert!(changed(&|s| s.args[0].place = one).is_err());
    let short = TensorType::new(DType::F64, [20]);
    assert!(changed(&|s| s.outs[0].ty = Arc::new(short.clone())).is_err());
}
