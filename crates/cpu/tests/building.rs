//! What it takes to build a program, in allocations: unlike time they are the same in every run.

use std::sync::Arc;

use cotangent_array::DType;
use cotangent_compile::{Plan, StepOp};
use cotangent_graph::ops::{Region, Scan, Unary};
use cotangent_graph::{Builder, Callee, Graph, TensorType};
use cotangent_transform::value_and_grad;

#[path = "common/counting.rs"]
mod counting;

use counting::counted;

/// Rosenbrock's function, written with numbers.
fn of_numbers(n: usize) -> Graph {
    let mut b = Builder::new("f");
    let x = b.input("x", TensorType::new(DType::F64, [n]));
    let mut numbers = Vec::new();
    for i in 0..n {
        let part = b.slice_axis(x, 0, i, i + 1);
        numbers.push(b.reshape(part, ()));
    }
    let (one, hundred) = (b.scalar(DType::F64, 1.0), b.scalar(DType::F64, 100.0));
    let mut sum = b.scalar(DType::F64, 0.0);
    for pair in numbers.windows(2) {
        let (x, next) = (pair[0], pair[1]);
        let square = b.mul(x, x);
        let steep = b.sub(next, square);
        let steep = b.mul(steep, steep);
        let steep = b.mul(steep, hundred);
        let flat = b.sub(one, x);
        let flat = b.mul(flat, flat);
        sum = b.add(sum, steep);
        sum = b.add(sum, flat);
    }
    b.finish(&[sum]).unwrap()
}

/// A loop of so many steps.
fn looping(length: usize) -> Graph {
    let number = TensorType::scalar(DType::F64);
    let mut b = Builder::new("step");
    let h = b.input("h", TensorType::new(DType::F64, [5]));
    let x = b.input("x", number);
    let x = b.broadcast(x, [5], &[]);
    let next = b.mul(h, x);
    let next = b.unary(Unary::Tanh, next);
    let body = Callee(Arc::new(b.finish(&[next]).unwrap()));
    let mut b = Builder::new("f");
    let h = b.input("h", TensorType::new(DType::F64, [5]));
    let xs = b.input("xs", TensorType::new(DType::F64, [length]));
    let scan = Scan {
        body,
        carry: 1,
        scanned: 1,
        length,
        reverse: false,
    };
    let last = b.region(Region::Scan(scan), &[h, xs])[0];
    let sum = b.sum(last, &[0]);
    b.finish(&[sum]).unwrap()
}

#[test]
fn allocations_grow_with_the_function() {
    let all = |n: usize| {
        let (traced, graph) = counted(|| of_numbers(n));
        let (turned, gradient) = counted(|| value_and_grad(&graph, &[true]).unwrap());
        let (compiled, program) = counted(|| cotangent_cpu::compile(&gradient).unwrap());
        let tape = |plan: &Plan| plan.steps.iter().any(|s| matches!(s.op, StepOp::Tape(_)));
        assert!(tape(program.plan()), "{}", program.plan());
        [traced, turned, compiled]
    };
    let (small, large) = (all(300), all(3000));
    for (small, large) in small.into_iter().zip(large) {
        // Regions and tapes have most sizes, so that the small function has fewer of them for each number.
        assert!(large <= 12 * small, "{small} {large}");
    }
    let total: usize = large.iter().sum();
    assert!(total <= MOST, "{total}: {large:?}");
}

/// The most allocations for 3,000 numbers, which become 63,000 operations; those of the checks of debug
/// builds are among them.
const MOST: usize = 400_000;

#[test]
fn a_long_loop_costs_what_a_short_one_does() {
    let all = |length: usize| {
        let graph = looping(length);
        let (turned, gradient) = counted(|| value_and_grad(&graph, &[true, true]).unwrap());
        let (compiled, program) = counted(|| cotangent_cpu::compile(&gradient).unwrap());
        let plan = program.plan();
        let callees = plan.callees();
        let steps = callees.iter().chain([plan]).map(|p| p.steps.len());
        (turned, compiled, steps.sum::<usize>())
    };
    let (short, long) = (all(10), all(10_000));
    assert_eq!((short.0, short.2), (long.0, long.2));
    // Larger arrays are placed in another way.
    assert!(10 * long.1 <= 12 * short.1, "{short:?} {long:?}");
}
