//! Products of rows with matrices in row blocks: the same bits as whole products between the other steps.

mod common;

use std::sync::Arc;

use common::{bits, inputs};
use cotangent_compile::{Options, Plan, RowMatrix, RowWork, StepOp, Target, compile, compile_with};
use cotangent_cpu::{Program, Way, target};
use cotangent_graph::{Graph, parse};

/// Attention in every head, `MASK` being what becomes of the scores.
const HEADS: &str = "fn f(q: T[B, M, D], k: T[B, N, D], v: T[B, N, E]) -> T[B, M, E] {
    let s = dot(q * 0.25, k, contract=([2], [2]), batch=([0], [0]));
    let z = MASK;
    let e = exp(z - broadcast(max(z, axes=[2]), shape=[B, M, N], dims=[0, 1]));
    let p = e / broadcast(sum(e, axes=[2]), shape=[B, M, N], dims=[0, 1]);
    dot(p, v, contract=([2], [1]), batch=([0], [0]))
}";

/// Keys and values whose matrices no single step leads through.
const APART: &str = "fn f(q: T[2, B, M, D], k: T[2, N, B, D], v: T[2, N, B, E]) -> T[2, B, M, E] {
    let s = dot(q, k, contract=([3], [3]), batch=([0, 1], [0, 2]));
    let e = exp(s - broadcast(max(s, axes=[3]), shape=[2, B, M, N], dims=[0, 1, 2]));
    let p = e / broadcast(sum(e, axes=[3]), shape=[2, B, M, N], dims=[0, 1, 2]);
    dot(p, v, contract=([3], [1]), batch=([0, 1], [0, 2]))
}";

/// One matrix for all rows.
const LAYERS: &str = "fn f(q: T[B, M, D], k: T[D, N], v: T[N, E]) -> T[B, M, E] {
    let s = q @ k;
    let u = s - broadcast(sum(s * s, axes=[2]), shape=[B, M, N], dims=[0, 1]);
    u @ v
}";

/// The graph of a text, and its values with all cotangents. Sizes are B, M, N, D, E.
fn both(text: &str, dtype: &str, sizes: [usize; 5], mask: &str) -> [Graph; 2] {
    let mut text = text
        .replace("MASK", mask)
        .replace("T[", &format!("{dtype}["));
    for (name, n) in ["B", "M", "N", "D", "E"].iter().zip(sizes) {
        text = text.replace(name, &n.to_string());
    }
    let module = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
    let graph = module.entry().clone();
    let back = cotangent_transform::vjp(&graph, &[true; 3]).unwrap();
    [graph, back]
}

const NO_MASK: &str = "s";
const CAUSAL: &str =
    "select(le(iota(shape=[B, M, N], axis=2), iota(shape=[B, M, N], axis=1)), s, -inf)";

fn with_row_cache(row_cache: usize) -> Target {
    Target {
        row_cache,
        ..target()
    }
}

/// The products in the row blocks of a plan.
fn products(plan: &Plan) -> Vec<Arc<RowMatrix>> {
    let blocks = plan.steps.iter().filter_map(|step| match &step.op {
        StepOp::Rows(block) => Some(&block.stages),
        _ => None,
    });
    let products = blocks.flatten().filter_map(|stage| match &stage.work {
        RowWork::Matrix(product) => Some(product.clone()),
        _ => None,
    });
    products.collect()
}

/// Runs a graph with row blocks in all ways beside single steps; how many products were in them.
fn same(graph: &Graph, fast: &[usize], special: bool) -> usize {
    let alone = compile(graph, &with_row_cache(0)).unwrap();
    assert_eq!(products(&alone).len(), 0);
    let at = inputs(&alone, 7, special);
    let mut met = 0;
    for fast in fast {
        let plan = Arc::new(compile(graph, &with_row_cache(*fast)).unwrap());
        assert_eq!(plan.check(), Ok(()));
        met += products(&plan).len();
        for way in [Way::Code, Way::Narrow, Way::Tile, Way::Baseline] {
            let expected = Program::with_way(Arc::new(alone.clone()), way).unwrap();
            let expected: Vec<_> = expected.run(&at).unwrap().iter().map(bits).collect();
            let program = Program::with_way(plan.clone(), way).unwrap();
            for threads in [1, 2, 5] {
                program.set_threads(threads);
                let found: Vec<_> = program.run(&at).unwrap().iter().map(bits).collect();
                assert!(
                    found == expected,
                    "{plan}\n{way:?}, {threads} threads, {fast}"
                );
            }
        }
    }
    met
}

/// Sizes around the borders of tiles, panels, blocks of terms and rows of a block.
const SIZES: [[usize; 5]; 7] = [
    [3, 67, 131, 24, 17],
    [1, 150, 150, 16, 16],
    [2, 97, 300, 17, 24],
    [5, 41, 143, 20, 33],
    [7, 25, 257, 16, 16],
    [40, 2, 300, 16, 17],
    [2, 513, 40, 33, 40],
];

#[test]
fn every_way_gives_the_bits_of_whole_products() {
    for text in [HEADS, APART, LAYERS] {
        for dtype in ["f32", "f64"] {
            for sizes in SIZES {
                let [graph, back] = both(text, dtype, sizes, NO_MASK);
                let met = same(&graph, &[4096, 8192], false);
                assert!(met > 0, "{text} {sizes:?}");
                same(&back, &[8192], false);
            }
        }
    }
}

#[test]
fn triangles_and_numbers_that_are_not_finite_give_the_bits_of_whole_products() {
    let mut bands = 0;
    for dtype in ["f32", "f64"] {
        for sizes in [
            [3, 131, 131, 24, 17],
            [1, 200, 300, 16, 16],
            [2, 300, 190, 17, 24],
        ] {
            for (mask, special) in [(NO_MASK, true), (CAUSAL, false), (CAUSAL, true)] {
                let [graph, back] = both(HEADS, dtype, sizes, mask);
                let plan = compile(&graph, &with_row_cache(8192)).unwrap();
                let found = products(&plan);
                bands += (found.iter())
                    .filter(|p| p.triangles.first.is_some() || p.triangles.result.is_some())
                    .count();
                assert!(same(&graph, &[8192], special) > 0, "{sizes:?}");
                same(&back, &[8192], special);
            }
        }
    }
    assert!(bands >= 6, "{bands}");
}

#[test]
fn scores_take_no_memory_of_their_own() {
    let [graph, _] = both(HEADS, "f32", [8, 512, 512, 64, 64], NO_MASK);
    let plan = compile(&graph, &target()).unwrap();
    assert_eq!(products(&plan).len(), 2, "{plan}");
    let scores = 8 * 512 * 512 * 4;
    assert!(plan.arena < scores / 4, "{plan}");
    let text = plan.to_string();
    assert!(
        text.contains("row0 = dot(arg0, arg1) of 8 x 512 rows, [64, 512]"),
        "{text}"
    );
    // Few scores stay in a cache by themselves, and what takes long anyway gains nothing.
    for sizes in [[8, 64, 64, 64, 64], [1, 1024, 1024, 512, 512]] {
        let [graph, _] = both(HEADS, "f32", sizes, NO_MASK);
        let plan = compile(&graph, &target()).unwrap();
        assert_eq!(products(&plan).len(), 0, "{plan}");
    }
}

#[test]
fn nothing_at_all_is_multiplied() {
    for sizes in [
        [0, 5, 5, 4, 4],
        [3, 0, 5, 4, 4],
        [3, 5, 7, 0, 4],
        [3, 5, 7, 4, 0],
    ] {
        let [graph, _] = both(LAYERS, "f32", sizes, NO_MASK);
        same(&graph, &[64, 4096], false);
    }
}

#[test]
fn a_budget_changes_no_bit() {
    let [_, back] = both(HEADS, "f32", [3, 131, 131, 24, 17], NO_MASK);
    let alone = compile(&back, &with_row_cache(0)).unwrap();
    let at = inputs(&alone, 7, false);
    let expected = Program::new(Arc::new(alone)).unwrap().run(&at).unwrap();
    let target = with_row_cache(8192);
    let free = compile(&back, &target).unwrap();
    assert!(!products(&free).is_empty(), "{free}");
    let mut met = 0;
    for percent in [98, 90, 80, 60] {
        let options = Options {
            memory_budget: Some(free.memory() * percent / 100),
            ..Options::default()
        };
        let Ok(plan) = compile_with(&back, &target, &options) else {
            continue;
        };
        assert_eq!(plan.check(), Ok(()));
        met += 1;
        let found = Program::new(Arc::new(plan)).unwrap().run(&at).unwrap();
        let [found, expected] =
            [&found, &expected].map(|all| all.iter().map(bits).collect::<Vec<_>>());
        assert!(found == expected);
    }
    assert!(met > 0);
}

#[test]
fn a_product_that_does_not_fit_is_refused() {
    let [graph, _] = both(HEADS, "f32", [2, 200, 300, 16, 17], CAUSAL);
    let plan = compile(&graph, &with_row_cache(4096)).unwrap();
    let changed = |change: &dyn Fn(&mut RowMatrix)| {
        let mut plan = plan.clone();
        for step in &mut plan.steps {
            let StepOp::Rows(block) = &mut step.op else {
                continue;
            };
            for stage in &mut Arc::make_mut(block).stages {
                if let RowWork::Matrix(product) = &mut stage.work {
                    change(Arc::make_mut(product));
                }
            }
        }
        plan.check()
    };
    assert_eq!(changed(&|_| {}), Ok(()));
    assert!(changed(&|p| p.rows -= 1).is_err());
    assert!(changed(&|p| p.terms += 1).is_err());
    assert!(changed(&|p| p.columns += 1).is_err());
    assert!(changed(&|p| p.steps[0] += 1).is_err());
    assert!(changed(&|p| p.steps[1] = usize::MAX).is_err());
    assert!(changed(&|p| p.matrices[0].0 += 1).is_err());
    assert!(changed(&|p| p.matrices[0].1 = usize::MAX).is_err());
    assert!(changed(&|p| p.matrices.clear()).is_err());
    assert!(changed(&|p| p.dtype = cotangent_array::DType::F64).is_err());
    assert!(changed(&|p| p.dtype = cotangent_array::DType::I64).is_err());
    assert!(changed(&|p| p.triangles.second = p.triangles.result).is_err());
}
