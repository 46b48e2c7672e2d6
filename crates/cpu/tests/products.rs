//! Products of a matrix with vectors that are taken some rows at a time.

mod common;

use std::sync::Arc;

use common::{bits, inputs};
use cotangent_array::DType;
use cotangent_compile::{
    Options, Plan, RowProduct, RowWork, Step, StepOp, Target, compile, compile_with,
};
use cotangent_cpu::{Program, target};
use cotangent_graph::parse;

fn plan(text: &str, row_cache: usize) -> Arc<Plan> {
    let graph = parse(text).unwrap().entry().clone();
    let target = Target {
        row_cache,
        ..target()
    };
    Arc::new(compile(&graph, &target).unwrap())
}

/// How many products stand in row blocks.
fn joined(plan: &Plan) -> usize {
    let stages = plan.steps.iter().filter_map(|step| match &step.op {
        StepOp::Rows(block) => Some(&block.stages),
        _ => None,
    });
    let product = |s: &&cotangent_compile::RowStage| matches!(s.work, RowWork::Product(_));
    stages.flatten().filter(product).count()
}

/// The results are those of the steps one after the other, for any number of threads.
fn same(text: &str, row_cache: usize, expected: usize) {
    for dtype in ["f32", "f64"] {
        let text = text.replace("DT", dtype);
        let (rows, apart) = (plan(&text, row_cache), plan(&text, 0));
        assert_eq!(rows.check(), Ok(()));
        assert_eq!((joined(&rows), joined(&apart)), (expected, 0), "{rows}");
        let [rows, apart] = [rows, apart].map(|plan| Program::new(plan).unwrap());
        for (seed, special) in [(1, false), (2, true)] {
            let at = inputs(rows.plan(), seed, special);
            let expected: Vec<_> = apart.run(&at).unwrap().iter().map(bits).collect();
            for threads in [1, 2, 8] {
                rows.set_threads(threads);
                let found: Vec<_> = rows.run(&at).unwrap().iter().map(bits).collect();
                assert_eq!(found, expected, "{dtype} {threads}\n{text}");
            }
        }
    }
}

#[test]
fn products_with_one_matrix_read_it_once() {
    for [m, k] in [[2, 9], [9, 8], [50, 17], [301, 40], [1000, 260]] {
        let x = format!("x: DT[{m}, {k}], u: DT[{k}], v: DT[{k}], y: DT[{m}]");
        let two = "(dot(x, u, contract=([1], [0])), dot(v, x, contract=([0], [1])))";
        same(&format!("fn f({x}) {{ {two} }}"), 8, 2);
        let least = "let a = dot(x, u, contract=([1], [0]));
            let r = exp(-square(a - y));
            (dot(x, r, contract=([0], [0])), sum(r, axes=[0]), r)";
        same(&format!("fn f({x}) {{ {least} }}"), 8, 2);
        let three = "let a = dot(x, u, contract=([1], [0]));
            let b = dot(v, x, contract=([0], [1]));
            let r = sin(a) * (b - y);
            dot(r, x, contract=([0], [0]))";
        same(&format!("fn f({x}) {{ {three} }}"), 8, 3);
    }
}

/// Large enough that the work is divided where there are several threads.
#[test]
fn large_products_are_divided_between_threads() {
    let text = "fn f(x: DT[20000, 60], u: DT[60], v: DT[60], y: DT[20000]) {
        let a = dot(x, u, contract=([1], [0]));
        let b = dot(x, v, contract=([1], [0]));
        let r = sin(a) * (b - y);
        (dot(x, r, contract=([0], [0])), sum(r, axes=[0]))
    }";
    same(text, 1 << 17, 3);
    let along = "fn f(x: DT[20000, 60], u: DT[60], v: DT[60]) {
        sin(dot(x, u, contract=([1], [0]))) * dot(x, v, contract=([1], [0]))
    }";
    same(along, 1 << 17, 2);
}

/// Axes that stand in memory as one are rows, or elements of a row.
#[test]
fn rows_may_have_several_axes() {
    let text = "fn f(x: DT[4, 5, 3, 6], u: DT[3, 6], y: DT[4, 5]) {
        let a = dot(x, u, contract=([2, 3], [0, 1]));
        let r = a * cos(y);
        dot(x, r, contract=([0, 1], [0, 1]))
    }";
    same(text, 8, 2);
    // The pairs are not in the order of memory; the vector has an axis of its own; a batch.
    let turned = "fn f(x: DT[4, 5, 3, 3], u: DT[3, 3], v: DT[3, 3]) {
        (dot(x, u, contract=([2, 3], [1, 0])), dot(x, v, contract=([2, 3], [0, 1])))
    }";
    same(turned, 8, 0);
    let free = "fn f(x: DT[20, 3], u: DT[3, 2], v: DT[3, 2]) {
        (dot(x, u, contract=([1], [0])), dot(x, v, contract=([1], [0])))
    }";
    same(free, 8, 0);
    let none = "fn f(x: DT[0, 3], y: DT[3, 0], u: DT[3]) {
        (dot(x, u, contract=([1], [0])), dot(x, u, contract=([1], [0])) * 2.0, dot(y, u, contract=([0], [0])))
    }";
    same(none, 8, 0);
}

/// Sums over rows grow while rows are read, so they may not take the place of what is read by rows, although
/// a square matrix has as many rows as columns.
#[test]
fn sums_of_a_square_matrix_stand_apart() {
    let text = "fn f(x: DT[64, 64], u: DT[64], y: DT[64]) {
        let r = sin(dot(x, u, contract=([1], [0]))) * cos(y);
        let s = dot(x, r, contract=([0], [0]));
        sin(dot(x, s, contract=([1], [0]))) + s
    }";
    same(text, 8, 2);
}

/// A block holds what is between its stages. A budget that has no room for it still is met.
#[test]
fn budgets_take_products_apart() {
    let text = "fn f(x: f64[3000, 30], u: f64[30], v: f64[30]) {
        let a = sum(sin(cumsum(dot(x, u, contract=([1], [0])), axis=0)), axes=[0]);
        let b = sum(sin(cumsum(dot(x, v, contract=([1], [0])), axis=0)), axes=[0]);
        (a, b)
    }";
    let graph = parse(text).unwrap().entry().clone();
    let free = plan(text, 1 << 17);
    assert_eq!(joined(&free), 2, "{free}");
    let least = Target {
        abreast: false,
        row_cache: 0,
        ..target()
    };
    let least = compile(&graph, &least).unwrap();
    assert!(least.memory() < free.memory());
    let options = Options {
        memory_budget: Some(least.memory()),
        ..Options::default()
    };
    let less = compile_with(&graph, &target(), &options).unwrap();
    let at = inputs(&free, 5, false);
    let expected = Program::new(free).unwrap().run(&at).unwrap();
    let found = Program::new(Arc::new(less)).unwrap().run(&at).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn a_product_that_does_not_fit_is_refused() {
    let text = "fn f(x: f64[64, 64], u: f64[64], y: f64[64]) {
        let z = cumsum(y, axis=0);
        let r = sin(dot(x, u, contract=([1], [0]))) * z;
        cumsum(dot(x, r, contract=([0], [0])), axis=0)
    }";
    let plan = plan(text, 8);
    assert_eq!(joined(&plan), 2, "{plan}");
    let rows = |s: &Step| matches!(s.op, StepOp::Rows(_));
    let at = plan.steps.iter().position(rows).unwrap();
    // Sums over rows may not stand where an operand stands that is read row by row.
    let StepOp::Rows(block) = &plan.steps[at].op else {
        unreachable!("a row block")
    };
    let sums = block.outputs.len() - 1;
    assert!((0..block.inputs.len()).all(|arg| !block.may_overwrite(arg, sums)));
    assert!((0..sums).any(|out| (0..block.inputs.len()).any(|arg| block.may_overwrite(arg, out))));
    let changed = |change: &dyn Fn(&mut RowProduct)| {
        let mut plan = (*plan).clone();
        let mut block = match &plan.steps[at].op {
            StepOp::Rows(block) => (**block).clone(),
            _ => return Ok(()),
        };
        for stage in &mut block.stages {
            if let RowWork::Product(product) = &mut stage.work {
                change(product);
            }
        }
        plan.steps[at].op = StepOp::Rows(Arc::new(block));
        plan.check()
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    assert!(changed(&|p| p.row += 1).is_err());
    assert!(changed(&|p| p.row = usize::MAX).is_err());
    assert!(changed(&|p| p.rows = 32).is_err());
    assert!(changed(&|p| p.first = false).is_err());
    assert!(changed(&|p| p.sums = true).is_err());
    assert!(changed(&|p| p.sums = false).is_err());
    assert!(changed(&|p| p.dtype = DType::F32).is_err());
    assert!(changed(&|p| p.dtype = DType::I64).is_err());
}
