//! No step of the compiler is quadratic, or worse, in the graph.

use std::sync::Arc;

use cotangent_array::DType;
use cotangent_compile::{Target, compile};
use cotangent_graph::ops::Unary;
use cotangent_graph::{Builder, TensorType, Var};

const F: DType = DType::F64;

/// Each function calls the one below twice: 2^60 runs of the lowest one, 61 plans.
#[test]
fn a_pyramid_of_calls() {
    let mut b = Builder::new("f0");
    let x = b.input("x", TensorType::new(F, [3]));
    let y = b.unary(Unary::Sin, x);
    let mut graph = b.finish(&[y]).unwrap();
    for level in 1..=60 {
        let below = Arc::new(graph);
        let mut b = Builder::new(&format!("f{level}"));
        let x = b.input("x", TensorType::new(F, [3]));
        let y = b.call(&below, &[x])[0];
        let z = b.call(&below, &[y])[0];
        let sum = b.add(y, z);
        graph = b.finish(&[sum]).unwrap();
    }
    let plan = compile(&graph, &Target::plain()).unwrap();
    assert_eq!(plan.check(), Ok(()));
    assert_eq!(plan.callees().len(), 60);
    assert!(plan.to_string().contains("plan f60("));
    assert!(plan.cost > 1 << 60);
    // Two values a level live while the level below runs; a region has some tiles.
    assert!(plan.arena <= 61 * 128 + 2048, "{}", plan.arena);
}

/// A call with very many operands and results, as a large tree of parameters gives.
#[test]
fn a_wide_call() {
    let n = 20_000;
    let inner = {
        let mut b = Builder::new("step");
        let inputs: Vec<Var> = (0..n)
            .map(|_| b.input("", TensorType::new(F, [2])))
            .collect();
        let outputs: Vec<Var> = inputs.iter().map(|x| b.unary(Unary::Neg, *x)).collect();
        Arc::new(b.finish(&outputs).unwrap())
    };
    let mut b = Builder::new("f");
    let inputs: Vec<Var> = (0..n)
        .map(|_| b.input("", TensorType::new(F, [2])))
        .collect();
    let once = b.call(&inner, &inputs);
    let twice = b.call(&inner, &once);
    let plan = compile(&b.finish(&twice).unwrap(), &Target::plain()).unwrap();
    assert_eq!(plan.check(), Ok(()));
    // Beside the values a tape with the addresses of about a thousand of them.
    assert!(plan.arena <= n * 64 + 32 * 1024, "{}", plan.arena);
}

/// Many values that live long, and many that come and go between them.
#[test]
fn many_lives() {
    let n = 30_000;
    let mut b = Builder::new("f");
    let x = b.input("x", TensorType::new(F, [8]));
    let mut kept = Vec::new();
    let mut y = x;
    for i in 0..n {
        y = b.unary(Unary::Sin, y);
        let size = 1 + i % 7;
        let part = b.slice_axis(y, 0, 0, size);
        let whole = b.sum(part, &[0]);
        kept.push(whole);
    }
    let mut total = kept[0];
    for k in &kept[1..] {
        total = b.add(total, *k);
    }
    let plan = compile(&b.finish(&[total]).unwrap(), &Target::plain()).unwrap();
    assert_eq!(plan.check(), Ok(()));
    // As above, and the tiles of one sine.
    assert!(plan.arena <= (n + 8) * 64 + 32 * 1024, "{}", plan.arena);
}

/// What no machine can hold is an error, not an overflow.
#[test]
fn values_beyond_memory() {
    let mut b = Builder::new("f");
    let x = b.input("x", TensorType::new(DType::U8, [isize::MAX as usize - 100]));
    let y = b.push(Unary::Not, &[x]);
    let z = b.push(cotangent_graph::ops::Reverse { axes: vec![0] }, &[y]);
    let w = b.push(cotangent_graph::ops::Binary::Xor, &[z, y]);
    let v = b.push(cotangent_graph::ops::Reverse { axes: vec![0] }, &[w]);
    let error = compile(&b.finish(&[v]).unwrap(), &Target::plain()).unwrap_err();
    let expected = "the values of `f` that live at one time are larger than memory can be";
    assert_eq!(error.to_string(), expected);
}

/// What is outside of a triangle goes through operations on numbers of two each, then of four, then of sixteen.
#[test]
fn many_numbers_outside_of_triangles() {
    for (one, other) in [("1.5", "2.5"), ("nan", "inf"), ("0.0", "3.0")] {
        let mut text = String::from(
            "fn f(x: f64[96, 96]) -> f64[96, 96] {
                let row = iota(shape=[96, 96], axis=0);
                let column = iota(shape=[96, 96], axis=1);
                let below = column <= row;
                let above = row <= column;\n",
        );
        let mut last = "x".to_owned();
        for k in 0..12 {
            text += &format!(
                "let a{k} = select(below, {last}, {one}); let b{k} = select(above, {last} + 0.5, {other});
                let c{k} = a{k} - b{k}; let d{k} = c{k} * a{k} + b{k};\n"
            );
            last = format!("d{k}");
        }
        text += &format!("{last} @ x\n}}");
        let graph = cotangent_graph::parse(&text).unwrap().entry().clone();
        let plan = compile(&graph, &Target::plain()).unwrap();
        assert_eq!(plan.check(), Ok(()));
    }
}
