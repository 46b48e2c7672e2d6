//! Row blocks: the same bits as their regions one after another, in every way of running.

mod common;

use std::sync::Arc;

use common::Numbers;
use cotangent_array::{Array, Scalar};
use cotangent_compile::{Options, Plan, RowPlace, Step, StepOp, Target, compile, compile_with};
use cotangent_cpu::{Program, Way, target};
use cotangent_graph::{Graph, parse};

const SOFTMAX: &str = "fn f(x: T[R, D]) -> T[R, D] {
    let m = max(x, axes=[1]);
    let e = exp(x - broadcast(m, shape=[R, D], dims=[0]));
    e / broadcast(sum(e, axes=[1]), shape=[R, D], dims=[0])
}";

/// Layer norm, and the cross-entropy of what it gives.
const NORM: &str = "fn f(x: T[R, D], g: T[D], b: T[D], y: i64[R]) -> T {
    let c = x - broadcast(sum(x, axes=[1]) * 0.01, shape=[R, D], dims=[0]);
    let r = rsqrt(sum(c * c, axes=[1]) * 0.01 + 1e-5);
    let u = c * broadcast(r, shape=[R, D], dims=[0]);
    let h = u * broadcast(g, shape=[R, D], dims=[1]) + broadcast(b, shape=[R, D], dims=[1]);
    let s = h - broadcast(stop_gradient(max(h, axes=[1])), shape=[R, D], dims=[0]);
    let l = s - broadcast(log(sum(exp(s), axes=[1])), shape=[R, D], dims=[0]);
    sum(-gather(l, y, axis=1, batch=1), axes=[0]) * 0.125
}";

/// Rows of rows: what is joined for each has a length of its own.
const NESTED: &str = "fn f(x: T[R, 3, D], s: T[3, D]) -> (T[R, 3], T[R, 3, D], T[R, 3]) {
    let z = x * broadcast(s, shape=[R, 3, D], dims=[1, 2]);
    let a = sum(z, axes=[2]);
    let w = z - broadcast(a, shape=[R, 3, D], dims=[0, 1]);
    let n = sum(w * w, axes=[1, 2]);
    let o = w * broadcast(n, shape=[R, 3, D], dims=[0]);
    (a, o, max(o, axes=[2]))
}";

/// Sums over rows of two lengths, so that chunks of both end at the same rows for some numbers of rows alone.
const MIXED: &str = "fn f(x: T[R, 3, D], s: T[3, D], g: T[D]) -> T[R, 3, D] {
    let z = x * broadcast(s, shape=[R, 3, D], dims=[1, 2]);
    let e = exp(z - broadcast(max(z, axes=[2]), shape=[R, 3, D], dims=[0, 1]));
    let w = e / broadcast(sum(e, axes=[2]), shape=[R, 3, D], dims=[0, 1]);
    w * broadcast(g, shape=[R, 3, D], dims=[2])
}";

fn graph(text: &str, dtype: &str, rows: usize, width: usize) -> Graph {
    let text = text
        .replace("T[", &format!("{dtype}["))
        .replace("-> T ", &format!("-> {dtype} "));
    let text = text
        .replace('R', &rows.to_string())
        .replace('D', &width.to_string());
    let module = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
    module.entry().clone()
}

/// The function itself and its values with the cotangents of all inputs that are floats.
fn both(text: &str, dtype: &str, rows: usize, width: usize) -> [Graph; 2] {
    let graph = graph(text, dtype, rows, width);
    let floats = graph.input_types().into_iter().map(|t| t.dtype.is_float());
    let back = cotangent_transform::vjp(&graph, &floats.collect::<Vec<_>>()).unwrap();
    [graph, back]
}

fn inputs(graph: &Graph, width: usize) -> Vec<Array> {
    let mut numbers = Numbers::new(3);
    let types = graph.input_types().into_iter();
    let array = |ty: cotangent_graph::TensorType| {
        let n = ty.shape.elements();
        let values: Vec<Scalar> = (0..n)
            .map(|_| match ty.dtype.is_float() {
                true => numbers.plain(ty.dtype),
                false => Scalar::from_i64(ty.dtype, (numbers.next() % width as u64) as i64),
            })
            .collect();
        Array::from_scalars(ty.dtype, ty.shape.clone(), values).unwrap()
    };
    types.map(array).collect()
}

fn with_row_cache(row_cache: usize) -> Target {
    Target {
        row_cache,
        ..target()
    }
}

fn blocks(plan: &Plan) -> usize {
    let rows = |s: &&Step| matches!(s.op, StepOp::Rows(_));
    plan.steps.iter().filter(rows).count()
}

fn same(found: &[Array], expected: &[Array], what: &str) {
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found.as_bytes() == expected.as_bytes(),
            "{what}: result {k}"
        );
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn every_way_gives_the_bits_of_single_regions() {
    let shapes = [
        (2, 2),
        (3, 37),
        (8, 16),
        (13, 300),
        (64, 17),
        (37, 1030),
        (257, 9),
        // Sums over rows in four chunks, the last of nine rows.
        (129, 600),
    ];
    for text in [SOFTMAX, NORM, NESTED] {
        let mut met = 0;
        for (dtype, (rows, width)) in ["f32", "f64"].iter().flat_map(|d| shapes.map(|s| (*d, s))) {
            for graph in both(text, dtype, rows, width) {
                let inputs = inputs(&graph, width);
                let alone = compile(&graph, &with_row_cache(0)).unwrap();
                assert_eq!(blocks(&alone), 0);
                let expected = Program::new(Arc::new(alone)).unwrap().run(&inputs).unwrap();
                for fast in [64, 3000, 1 << 14] {
                    let plan = Arc::new(compile(&graph, &with_row_cache(fast)).unwrap());
                    assert_eq!(plan.check(), Ok(()));
                    met += blocks(&plan);
                    for way in [Way::Code, Way::Narrow, Way::Tile, Way::Baseline] {
                        let program = Program::with_way(plan.clone(), way).unwrap();
                        for threads in [1, 3] {
                            program.set_threads(threads);
                            let what = format!("{plan}\n{way:?}, {threads} threads, {fast}");
                            same(&program.run(&inputs).unwrap(), &expected, &what);
                        }
                    }
                }
            }
        }
        assert!(met > 40, "{met} row blocks");
    }
}

#[test]
fn large_rows_are_divided_between_threads() {
    let mut divided = 0;
    for text in [SOFTMAX, NORM, NESTED] {
        for graph in both(text, "f32", 1021, 203) {
            let inputs = inputs(&graph, 203);
            let alone = compile(&graph, &with_row_cache(0)).unwrap();
            let expected = Program::new(Arc::new(alone)).unwrap().run(&inputs).unwrap();
            let plan = compile(&graph, &target()).unwrap();
            assert!(blocks(&plan) > 0, "{plan}");
            // What rows are added to does not keep a block from being divided.
            for step in &plan.steps {
                if let StepOp::Rows(block) = &step.op
                    && block.sums_rows()
                {
                    assert_eq!(block.chunk(), Some(64), "{plan}");
                    assert!(block.may_be_divided());
                    assert!(plan.to_string().contains(", outer=1, chunks=16)"), "{plan}");
                    divided += 1;
                }
            }
            let program = Program::new(Arc::new(plan)).unwrap();
            for threads in [1, 2, 4, 7] {
                program.set_threads(threads);
                for _ in 0..2 {
                    same(&program.run(&inputs).unwrap(), &expected, "threads");
                }
            }
        }
    }
    assert!(divided > 0);
}

/// Chunks of several sums in one block, which threads take where they end at the same rows.
#[test]
fn chunks_of_two_lengths_give_the_same_bits() {
    for (rows, divided) in [(1021, true), (1100, false)] {
        let [_, graph] = both(MIXED, "f32", rows, 64);
        let inputs = inputs(&graph, 64);
        let alone = compile(&graph, &with_row_cache(0)).unwrap();
        let expected = Program::new(Arc::new(alone)).unwrap().run(&inputs).unwrap();
        let plan = Arc::new(compile(&graph, &target()).unwrap());
        let sums: Vec<Option<usize>> = (plan.steps.iter())
            .filter_map(|step| match &step.op {
                StepOp::Rows(block) if block.sums_rows() => Some(block.chunk()),
                _ => None,
            })
            .collect();
        assert_eq!(sums, [divided.then_some(192)], "{plan}");
        for way in [Way::Code, Way::Narrow, Way::Tile, Way::Baseline] {
            let program = Program::with_way(plan.clone(), way).unwrap();
            for threads in [1, 2, 5] {
                program.set_threads(threads);
                same(
                    &program.run(&inputs).unwrap(),
                    &expected,
                    &format!("{way:?}"),
                );
            }
        }
    }
}

#[test]
fn a_softmax_is_one_step() {
    let graph = graph(SOFTMAX, "f32", 512, 256);
    let plan = compile(&graph, &target()).unwrap();
    assert_eq!((plan.steps.len(), blocks(&plan)), (1, 1), "{plan}");
    // Its arena is what the rows at hand take.
    assert!(plan.arena < 512 * 256 * 4, "{plan}");
    let text = plan.to_string();
    assert!(text.contains("rows(x) of 512 rows, "), "{text}");
    assert!(text.contains(" = region(row"), "{text}");
}

/// Four softmaxes of products, each of which is read again when the last is there.
fn kept() -> String {
    let mut lines = String::from("let s0 = x;\n");
    for k in 1..=4 {
        let before = k - 1;
        lines.push_str(&format!(
            "let p{k} = s{before} @ w;
            let e{k} = exp(p{k} - broadcast(max(p{k}, axes=[1]), shape=[R, D], dims=[0]));
            let s{k} = e{k} / broadcast(sum(e{k}, axes=[1]), shape=[R, D], dims=[0]);\n"
        ));
    }
    format!(
        "fn f(x: T[R, D], w: T[D, D]) -> T[R, D] {{
            {lines}
            ((((s4 @ w) * s3) @ w) * s2) @ w * s1
        }}"
    )
}

#[test]
fn a_budget_changes_no_bit() {
    let graph = graph(&kept(), "f64", 211, 96);
    let free = compile(&graph, &target()).unwrap();
    assert!(blocks(&free) > 0, "{free}");
    let inputs = inputs(&graph, 96);
    let alone = compile(&graph, &with_row_cache(0)).unwrap();
    let expected = Program::new(Arc::new(alone)).unwrap().run(&inputs).unwrap();
    let mut met = 0;
    for percent in [99, 97, 95, 90, 80, 70] {
        let options = Options {
            memory_budget: Some(free.memory() * percent / 100),
            ..Options::default()
        };
        let Ok(plan) = compile_with(&graph, &target(), &options) else {
            continue;
        };
        assert_eq!(plan.check(), Ok(()));
        assert!(plan.memory() < free.memory());
        met += 1;
        let program = Program::new(Arc::new(plan)).unwrap();
        same(&program.run(&inputs).unwrap(), &expected, "budget");
    }
    assert!(met > 0);
}

#[test]
fn an_index_out_of_range_is_an_error() {
    let [graph, _] = both(NORM, "f32", 300, 200);
    let mut inputs = inputs(&graph, 200);
    let plan = Arc::new(compile(&graph, &target()).unwrap());
    assert!(blocks(&plan) > 0, "{plan}");
    let labels = (0..300).map(|i| Scalar::I64(if i == 299 { 200 } else { 5 }));
    let shape = inputs[3].shape().clone();
    inputs[3] = Array::from_scalars(inputs[3].dtype(), shape, labels.collect::<Vec<_>>()).unwrap();
    for way in [Way::Code, Way::Baseline] {
        let found = Program::with_way(plan.clone(), way).unwrap().run(&inputs);
        assert!(found.unwrap_err().to_string().contains("rows"));
    }
}

#[test]
fn a_block_that_does_not_fit_is_refused() {
    let plan = compile(&graph(SOFTMAX, "f32", 512, 256), &target()).unwrap();
    let changed = |change: &dyn Fn(&mut cotangent_compile::RowBlock)| {
        let mut plan = plan.clone();
        if let StepOp::Rows(block) = &mut plan.steps[0].op {
            change(Arc::make_mut(block));
        }
        plan.check()
    };
    assert_eq!(changed(&|_| {}), Ok(()));
    assert!(changed(&|b| b.together = 0).is_err());
    assert!(changed(&|b| b.rows = 511).is_err());
    assert!(changed(&|b| b.stages.swap(0, 1)).is_err());
    assert!(changed(&|b| b.buffers.iter_mut().for_each(|b| b.at = 0)).is_err());
    assert!(changed(&|b| b.buffers[0].at = 1).is_err());
    assert!(changed(&|b| b.buffers[0].at = usize::MAX - 63).is_err());
    assert!(changed(&|b| b.buffers[0].row += 1).is_err());
    assert!(changed(&|b| b.stages[1].args[0] = RowPlace::Buffer(99)).is_err());
    assert!(changed(&|b| drop(b.stages.pop())).is_err());
}
