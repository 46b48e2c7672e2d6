//! Steps that are meant to be divided among threads are, and short ones are not.
//!
//! Results are the same for any number of threads, so that no other test would notice a step that one thread
//! does alone. What is counted are the parts in which a step cuts its work: that depends on the step and on
//! the number of threads it is cut for, not on the machine.

mod common;

use common::{inputs_of, plan_of};
use cotangent_compile::StepOp;
use cotangent_cpu::{Program, StepProfile};

/// What a step is, as far as steps are divided in ways of their own.
fn kind(op: &StepOp) -> &str {
    match op {
        StepOp::Planes(..) => "planes",
        StepOp::Turned(..) => "turned",
        StepOp::Picked(..) => "picked",
        StepOp::Triangular(..) => "triangular",
        op => op.name(),
    }
}

/// The parts in which each step of a plan cuts its work for so many threads, by the step's kind.
fn parts(text: &str, threads: usize) -> Vec<(String, usize)> {
    let plan = plan_of(text);
    let program = Program::new(plan.clone()).unwrap();
    program.set_threads(threads);
    let (_, profile) = program.profile(&inputs_of(&plan, 5)).unwrap();
    assert_eq!(profile.len(), plan.steps.len());
    let count = |(step, profile): (&cotangent_compile::Step, &StepProfile)| {
        (kind(&step.op).to_owned(), profile.parts)
    };
    plan.steps.iter().zip(&profile).map(count).collect()
}

/// A text that says `N` for a size. With the large one its one step of a kind is divided among so many threads
/// and among more of them; with the small one no step is.
#[track_caller]
fn check_from(threads: usize, step: &str, text: &str, [large, small]: [usize; 2]) {
    let sized = |n: usize| text.replace('N', &n.to_string());
    let show = |n: usize| plan_of(&sized(n));
    let of_step = |threads: usize| {
        let mut all = parts(&sized(large), threads);
        all.retain(|(kind, _)| kind == step);
        match all[..] {
            [(_, parts)] => parts,
            _ => panic!("not one step of the kind {step}:\n{}", show(large)),
        }
    };
    for threads in threads..threads + 3 {
        let found = of_step(threads);
        let plan = show(large);
        assert!(
            found >= threads,
            "{found} parts for {threads} threads: {step}\n{plan}"
        );
    }
    assert_eq!(of_step(1), 1, "{step} on one thread");
    // So every step is divided that can be.
    if std::env::var("COTANGENT_DIVIDE").is_err() {
        let all = parts(&sized(small), threads + 2);
        let alone = all.iter().all(|(_, parts)| *parts == 1);
        assert!(alone, "{all:?}\n{}", show(small));
    }
}

#[track_caller]
fn check(step: &str, text: &str, sizes: [usize; 2]) {
    check_from(2, step, text, sizes);
}

#[test]
fn regions_are_divided() {
    check("region", "fn f(x: f64[N]) { exp(x) * x }", [100_000, 300]);
    let rows = "fn f(x: f64[N, 300]) { let y = exp(x) * x; (y, sum(y, axes=[1])) }";
    check("region", rows, [400, 1]);
    // One sum, in chunks.
    check(
        "region",
        "fn f(x: f64[N]) { sum(exp(x) * x, axes=[0]) }",
        [100_000, 300],
    );
    // Some sums, each too short for that.
    let some = "fn f(x: f64[7, N]) { sum(exp(x) * x, axes=[1]) }";
    check("region", some, [2000, 20]);
    // Sums over an outer axis, by columns.
    let columns = "fn f(x: f64[N, 640]) { let y = exp(x) * x; (y, sum(y, axes=[0])) }";
    check("region", columns, [200, 1]);
    // Elements that are packed from where they stand apart.
    let apart = "fn f(x: f64[N, 3]) { exp(x[:, 0]) * x[:, 2] }";
    check("region", apart, [100_000, 300]);
}

#[test]
fn row_blocks_are_divided() {
    let softmax = "fn f(x: f64[N, 100]) {
        let e = exp(x - broadcast(max(x, axes=[1]), shape=[N, 100], dims=[0]));
        e / broadcast(sum(e, axes=[1]), shape=[N, 100], dims=[0])
    }";
    check("rows", softmax, [1000, 4]);
    // With sums over the rows, which are added in chunks.
    let norm = "fn f(x: f64[N, 512], g: f64[512], ct: f64[N, 512]) {
        let r = rsqrt(sum(x * x, axes=[1]) + 1.0);
        let u = x * broadcast(r, shape=[N, 512], dims=[0]);
        let c = ct * broadcast(g, shape=[N, 512], dims=[1]);
        let s = sum(c * u, axes=[1]);
        (c - u * broadcast(s, shape=[N, 512], dims=[0]), sum(ct * u, axes=[0]))
    }";
    check("rows", norm, [1000, 2]);
    // Every row of scores times a matrix.
    let attention = "fn f(q: f64[N, 16], k: f64[N, 16], v: f64[N, 16]) {
        let s = dot(q, k, contract=([1], [1]));
        let e = exp(s - broadcast(max(s, axes=[1]), shape=[N, N], dims=[0]));
        let p = e / broadcast(sum(e, axes=[1]), shape=[N, N], dims=[0]);
        p @ v
    }";
    check("rows", attention, [2000, 9]);
    // A matrix by a vector, and by what comes of the products: reading it once is as fast as two threads.
    let twice = "fn f(w: f64[N, 400], x: f64[400]) { let z = w @ x; tanh(z) @ w }";
    check_from(3, "rows", twice, [2000, 4]);
}

#[test]
fn products_are_divided() {
    // By rows, by columns, and the members of a batch.
    let rows = "fn f(x: f64[N, 100], y: f64[100, 90]) { x @ y }";
    check("dot", rows, [1000, 4]);
    let columns = "fn f(x: f64[12, 50], y: f64[50, N]) { x @ y }";
    check("dot", columns, [2000, 9]);
    let batch = "dot(x, y, contract=([2], [1]), batch=([0], [0]))";
    let members = format!("fn f(x: f64[N, 16, 16], y: f64[N, 16, 16]) {{ {batch} }}");
    check("dot", &members, [200, 3]);
    // Members with two axes.
    let two = "fn f(x: f64[N, 30, 16, 16], y: f64[N, 30, 16, 16]) {
        dot(x, y, contract=([3], [2]), batch=([0, 1], [0, 1]))
    }";
    check("dot", two, [30, 1]);
    // Few members, each in itself.
    let few = format!("fn f(x: f64[2, N, 100], y: f64[2, 100, 90]) {{ {batch} }}");
    check("dot", &few, [1000, 4]);
    // By vectors: one, and one for each of many matrices.
    check(
        "dot",
        "fn f(x: f64[N, 300], y: f64[300]) { x @ y }",
        [3000, 4],
    );
    check(
        "dot",
        "fn f(x: f64[300], y: f64[300, N]) { x @ y }",
        [3000, 4],
    );
    let vectors = format!("fn f(x: f64[N, 1, 40], y: f64[N, 40, 64]) {{ {batch} }}");
    check("dot", &vectors, [500, 1]);
    // Integers and complex numbers.
    check("dot", &rows.replace("f64", "i32"), [1000, 4]);
    check("dot", &rows.replace("f64", "c64"), [1000, 4]);
    // Written where a transpose would move it.
    let turned = "fn f(x: f64[N, 24, 17], y: f64[33, 17]) {
        transpose(dot(x, y, contract=([2], [1])), axes=[0, 2, 1])
    }";
    check("turned", turned, [300, 2]);
}

#[test]
fn products_of_picked_rows_are_divided() {
    let sums = "fn f(w: f64[N, 9], x: f64[40, 50], i: i64[N, 9]) {
        dot(w, gather(x, i % 40, axis=0), contract=([1], [1]), batch=([0], [0]))
    }";
    check("picked", sums, [3000, 20]);
}

#[test]
fn products_with_triangles_are_divided() {
    let one = "fn f(x: f64[N, N], y: f64[N, 40]) {
        let row = iota(shape=[N, N], axis=0);
        let column = iota(shape=[N, N], axis=1);
        select(le(column, row), x, 0.0) @ y
    }";
    check("triangular", one, [600, 20]);
    let members = "fn f(x: f64[20, N, N], y: f64[20, N, N]) {
        let row = iota(shape=[20, N, N], axis=1);
        let column = iota(shape=[20, N, N], axis=2);
        dot(select(le(column, row), x, 0.0), y, contract=([2], [1]), batch=([0], [0]))
    }";
    check("triangular", members, [100, 4]);
}

#[test]
fn convolutions_are_divided() {
    // The images, and the outputs of one image with one channel, whose laying out is not worth a division.
    check(
        "conv",
        "fn f(x: f32[N, 3, 9, 8], k: f32[8, 3, 5, 5]) { conv(x, k) }",
        [200, 1],
    );
    check(
        "conv",
        "fn f(x: f32[1, 1, N, N], k: f32[64, 1, 3, 3]) { conv(x, k, stride=[2, 2]) }",
        [60, 5],
    );
    // As they stand.
    check(
        "conv",
        "fn f(x: f32[1, 8, N, N], k: f32[16, 8, 3, 3]) { conv(x, k) }",
        [64, 5],
    );
    let planes = "fn f(x: f64[N, 20, 8, 9], w: f64[4, N, 8, 9]) {
        conv(transpose(x, axes=[1, 0, 2, 3]), w, padding=[(1, 1), (1, 1)])
    }";
    check("planes", planes, [30, 1]);
}

#[test]
fn single_operations_are_divided() {
    for axes in ["[0]", "[1]"] {
        let text = format!("fn f(x: f64[N, 513]) {{ sum(x, axes={axes}) }}");
        check("sum", &text, [1000, 2]);
        check("max", &text.replace("sum", "max"), [1000, 2]);
    }
    check(
        "transpose",
        "fn f(x: f64[N, 517]) { transpose(x, axes=[1, 0]) }",
        [501, 2],
    );
    // No region takes complex numbers.
    check("exp", "fn f(x: c128[N]) { exp(x) }", [90_001, 20]);
}

/// Steps of plans that a step runs count for it.
#[test]
fn steps_of_loops_are_divided() {
    let text = "fn step(c: f64[N], x: f64) { tanh(c * broadcast(x, shape=[N], dims=[])) }
        fn f(c: f64[N], x: f64[3]) { scan(c, x, body=step, carry=1, scanned=1) }";
    check("scan", text, [100_000, 50]);
}
