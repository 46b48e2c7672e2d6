//! Long and large graphs: nothing recurses, and every step takes time in proportion to the graph.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cotangent_array::{Array, DType};
use cotangent_compile::{compile, optimize};
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
    on_a_small_stack(|| expect_linear("nodes", 10_000, times));
}

#[test]
fn many_parameters_are_linear() {
    on_a_small_stack(|| expect_linear("updates", 2_000, times_of_updates));
}

/// Steps take no longer for one graph than for ten of a tenth of its size.
///
/// A step that is quadratic takes 10 times as long for the one. A step in n + q n^2 that takes
/// twice as long at one size (10 q n = 1.25) takes 4 times as long at four times that size. A
/// linear step takes up to 2.2 times as long, at either size, where one of the ten graphs fits into
/// a cache or into memory that was used before and the large one does not. So what looks slow at
/// twice the time must look slow at three times, too, where graphs are four times as large.
fn expect_linear(what: &str, size: usize, times: fn(&[usize]) -> Times) {
    let slow = slow_steps(what, size, 2.0, times, |_| true);
    if slow.is_empty() {
        return;
    }
    let suspect = |name: &str| slow.iter().any(|(before, _)| *before == name);
    let still = slow_steps(what, 4 * size, 3.0, times, suspect);
    assert!(
        still.is_empty(),
        "one graph takes so many times as long as ten: {slow:.1?}, four times as large {still:.1?}"
    );
}

/// The suspect steps that take at least `limit` times as long for one graph as for ten of a tenth
/// of its size, and how many times as long. What looks slow is measured again, and the best times
/// count.
fn slow_steps(
    what: &str,
    size: usize,
    limit: f64,
    times: fn(&[usize]) -> Times,
    suspect: impl Fn(&str) -> bool,
) -> Vec<(&'static str, f64)> {
    let (mut ten, mut one, mut slow) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        shorten(&mut ten, times(&[size; 10]));
        shorten(&mut one, times(&[10 * size]));
        slow.clear();
        let mut report = format!("\nten graphs of {size} {what}, one of {}:", 10 * size);
        for ((name, ten), (_, one)) in ten.iter().zip(&one) {
            report += &format!(" {name} {ten:.1?} {one:.1?}");
            // Shorter steps measure the clock, which may tick every 4 ms.
            let ratio = one.as_secs_f64() / ten.as_secs_f64().max(2e-2);
            if ratio >= limit && suspect(name) {
                slow.push((*name, ratio));
            }
        }
        let _ = writeln!(std::io::stderr(), "{report}");
        if slow.is_empty() {
            break;
        }
    }
    slow
}

type Times = Vec<(&'static str, Duration)>;

/// Keeps the shorter time of every step.
fn shorten(best: &mut Times, found: Times) {
    match best.is_empty() {
        true => *best = found,
        false => {
            for ((_, best), (_, found)) in best.iter_mut().zip(found) {
                *best = found.min(*best);
            }
        }
    }
}

/// The time of every step, done for graphs of these sizes one after another; all stay in memory.
fn times(sizes: &[usize]) -> Times {
    let mut found = Vec::new();
    let mut step = Stopwatch { times: &mut found };
    let seeds: Vec<(usize, u64)> = sizes.iter().copied().zip(5..).collect();
    let drawn = step.each("build", &seeds, |(nodes, seed)| web(*nodes, *seed));
    let text = step.each("print", &drawn, print);
    let modules = step.each("parse", &text, |text| parse(text).unwrap());
    let graphs: Vec<&Graph> = modules.iter().map(|module| module.entry()).collect();
    let pairs: Vec<(&Graph, &Graph)> = graphs.iter().copied().zip(&drawn).collect();
    step.each("compare", &pairs, |(read, drawn)| assert_eq!(read, drawn));
    step.each("verify", &graphs, |graph| graph.verify().unwrap());
    step.each("jvp", &graphs, |graph| jvp(graph, &[true]).unwrap());
    let gradients = step.each("grad", &graphs, |graph| grad(graph, &[true]).unwrap());
    step.each("vmap", &graphs, |graph| vmap(graph, &[Some(0)], 3).unwrap());
    let better = step.each("optimize", &gradients, |graph| {
        optimize(graph, None).unwrap()
    });
    let plans = step.each("compile", &better, |graph| {
        Arc::new(compile(graph, &cotangent_cpu::target()).unwrap())
    });
    step.each("check", &plans, |plan| plan.check().unwrap());
    let programs = step.each("program", &plans, |plan| {
        Program::new(Arc::clone(plan)).unwrap()
    });
    step.each("run", &programs, |program| {
        program.run(&[Array::scalar(0.3)]).unwrap()
    });
    found
}

/// The time of every step of training functions of so many parameters.
fn times_of_updates(sizes: &[usize]) -> Times {
    let mut found = Vec::new();
    let mut step = Stopwatch { times: &mut found };
    let graphs = step.each("build", sizes, |parameters| updates(*parameters));
    let plans = step.each("compile", &graphs, |graph| {
        compile(graph, &cotangent_cpu::target()).unwrap()
    });
    let taken = step.each("taken over", &plans, |plan| plan.taken_over());
    for (graph, taken) in graphs.iter().zip(&taken) {
        // Parameters stand before their gradients.
        let own = |(k, input): (usize, &Option<usize>)| *input == Some(2 * k);
        assert!(taken.len() == graph.outputs().len() && taken.iter().enumerate().all(own));
    }
    found
}

struct Stopwatch<'a> {
    times: &'a mut Times,
}

impl Stopwatch<'_> {
    /// Does a step for everything given, and notes the time that takes.
    fn each<T, R>(&mut self, name: &'static str, given: &[T], step: impl Fn(&T) -> R) -> Vec<R> {
        let start = thread_time();
        let results = given.iter().map(step).collect();
        let time = thread_time().saturating_sub(start);
        self.times.push((name, time));
        results
    }
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

/// p - 0.1 g for so many parameters.
fn updates(parameters: usize) -> Graph {
    let mut b = Builder::new("updates");
    let ty = TensorType::new(DType::F64, [100]);
    let mut outputs = Vec::new();
    for k in 0..parameters {
        let (p, g) = (
            b.input(&format!("p{k}"), ty.clone()),
            b.input(&format!("g{k}"), ty.clone()),
        );
        let rate = b.full(0.1.into(), [100]);
        let change = b.mul(g, rate);
        outputs.push(b.sub(p, change));
    }
    b.finish(&outputs).unwrap()
}

/// Operations on variables from anywhere before them, so that many live for long.
fn web(nodes: usize, seed: u64) -> Graph {
    let mut rng = Rng::new(seed);
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
