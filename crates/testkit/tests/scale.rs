//! Long and large graphs: nothing recurses, and every step takes time in proportion to the graph.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cotangent_array::{Array, DType};
use cotangent_compile::compile;
use cotangent_cpu::Program;
use cotangent_graph::ops::{Binary, Unary};
use cotangent_graph::{Builder, Graph, TensorType, Var, parse, print};
use cotangent_testkit::Rng;
use cotangent_transform::{grad, jvp, vmap};

/// Small enough that a walk which recursed once for each operation would overflow it at once.
const STACK: usize = 512 * 1024;

#[test]
fn a_chain_of_a_million_operations() {
    on_a_small_stack(|| {
        let mut report = String::from("\na chain of 1,000,000 operations:");
        let mut step = |name: &str, start: Duration| {
            report += &format!(" {name} {:.1?}", thread_time().saturating_sub(start));
        };
        let start = thread_time();
        let graph = chain(1_000_000);
        step("build", start);
        let start = thread_time();
        let text = print(&graph);
        step("print", start);
        let start = thread_time();
        let module = parse(&text).unwrap();
        step("parse", start);
        assert_eq!(*module.entry(), graph);
        drop((module, text));
        let start = thread_time();
        let gradient = grad(&graph, &[true]).unwrap();
        step("grad", start);
        assert!(gradient.operation_count() >= 1_000_000);
        let start = thread_time();
        let plan = compile(&gradient, &cotangent_cpu::target()).unwrap();
        step("compile", start);
        let start = thread_time();
        let program = Program::new(Arc::new(plan)).unwrap();
        let found = program.run(&[Array::scalar(0.3)]).unwrap();
        step("run", start);
        // The chain is x -> 0.5 sin(x) + 0.5 x over and over, whose derivative is known.
        let (mut x, mut slope) = (0.3_f64, 1.0);
        for _ in 0..1_000_000 / 4 {
            slope *= 0.5 * x.cos() + 0.5;
            x = 0.5 * x.sin() + 0.5 * x;
        }
        let off = (found[0].item::<f64>().unwrap() - slope).abs();
        assert!(off <= 1e-9 * slope.abs(), "{off:e} of {slope:e}");
        let _ = writeln!(std::io::stderr(), "{report}");
    });
}

#[test]
fn every_step_is_linear() {
    on_a_small_stack(|| {
        // A busy machine changes what the caches hold, so what looks slow is measured again: a step
        // that is quadratic takes 100 times as long every time.
        let mut slow = Vec::new();
        for _ in 0..3 {
            let (small, large) = (times(10_000), times(100_000));
            let mut report = String::from("\n10,000 and 100,000 nodes:");
            slow.clear();
            for ((name, small), (_, large)) in small.into_iter().zip(large) {
                report += &format!(" {name} {small:.1?} {large:.1?}");
                // Shorter steps measure the clock, which may tick every 4 ms, and the caches.
                let ratio = large.as_secs_f64() / small.as_secs_f64().max(2e-2);
                if ratio >= 20.0 {
                    slow.push(format!(
                        "{name} takes {ratio:.0} times as long for 10 times the nodes"
                    ));
                }
            }
            let _ = writeln!(std::io::stderr(), "{report}");
            if slow.is_empty() {
                return;
            }
        }
        panic!("{}", slow.join(", "));
    });
}

/// The shortest of three times of every step, for a graph of so many nodes.
fn times(nodes: usize) -> Vec<(&'static str, Duration)> {
    let mut best: Vec<(&'static str, Duration)> = Vec::new();
    for _ in 0..3 {
        let mut found = Vec::new();
        let mut start = thread_time();
        let mut step = |name: &'static str| {
            found.push((name, thread_time().saturating_sub(start)));
            start = thread_time();
        };
        let graph = web(nodes);
        step("build");
        let text = print(&graph);
        step("print");
        let module = parse(&text).unwrap();
        step("parse");
        assert_eq!(*module.entry(), graph);
        step("compare");
        graph.verify().unwrap();
        step("verify");
        jvp(&graph, &[true]).unwrap();
        step("jvp");
        let gradient = grad(&graph, &[true]).unwrap();
        step("grad");
        vmap(&graph, &[Some(0)], 3).unwrap();
        step("vmap");
        let optimized = cotangent_compile::optimize(&gradient, None).unwrap();
        step("optimize");
        let plan = compile(&optimized, &cotangent_cpu::target()).unwrap();
        step("compile");
        plan.check().unwrap();
        step("check");
        let program = Program::new(Arc::new(plan)).unwrap();
        step("program");
        program.run(&[Array::scalar(0.3)]).unwrap();
        step("run");
        best = match best.is_empty() {
            true => found,
            false => best
                .into_iter()
                .zip(found)
                .map(|((n, a), (_, b))| (n, a.min(b)))
                .collect(),
        };
    }
    best
}

/// x -> 0.5 sin(x) + 0.5 x, over and over: four operations a turn.
fn chain(operations: usize) -> Graph {
    let mut b = Builder::new("chain");
    let mut x = b.input("x", TensorType::scalar(DType::F64));
    let half = b.scalar(DType::F64, 0.5);
    for _ in 0..operations / 4 {
        let s = b.unary(Unary::Sin, x);
        let (s, l) = (b.mul(s, half), b.mul(x, half));
        x = b.add(s, l);
    }
    b.finish(&[x]).unwrap()
}

/// Operations on variables from anywhere before them, so that many live for long.
fn web(nodes: usize) -> Graph {
    let mut rng = Rng::new(5);
    let mut b = Builder::new("web");
    let x = b.input("x", TensorType::scalar(DType::F64));
    let mut all: Vec<Var> = vec![x];
    while b.len() < nodes / 2 {
        let (p, q) = (
            all[rng.below(all.len())],
            all[all.len() - 1 - rng.below(all.len().min(50))],
        );
        let v = match rng.below(4) {
            0 => b.unary(Unary::Sin, q),
            1 => b.unary(Unary::Tanh, p),
            2 => b.binary(Binary::Sub, p, q),
            _ => b.binary(Binary::Maximum, p, q),
        };
        all.push(v);
    }
    let last = all[all.len() - 1];
    let total = all.iter().skip(1).fold(last, |sum, v| b.add(sum, *v));
    let total = b.unary(Unary::Tanh, total);
    b.finish(&[total]).unwrap()
}

/// The time that this thread has been running, so that other tests on the machine do not count; the
/// time of day where the system does not tell.
fn thread_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let running = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let running = running.and_then(|text| text.split(' ').next()?.parse().ok());
    match running {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => START.get_or_init(Instant::now).elapsed(),
    }
}

fn on_a_small_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, test);
        if let Err(panic) = thread.unwrap().join() {
            std::panic::resume_unwind(panic);
        }
    });
}
