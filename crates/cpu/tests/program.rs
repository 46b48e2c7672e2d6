//! What programs promise beside values: errors, reuse of the caller's memory, threads, calls, size.

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::{Numbers, same_bits, ty};
use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_cpu::{Program, RunError, compile, target};
use cotangent_graph::ops::{Concat, CumSum, Gather, Reverse, ScatterAdd, Sum, Unary, WindowArgMax};
use cotangent_graph::{Builder, Graph, Location, TensorType};

const F: DType = DType::F64;

fn assert_send_sync<T: Send + Sync + std::fmt::Debug>() {}

#[test]
fn programs_are_shared_between_threads() {
    assert_send_sync::<Program>();
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[500]));
    let s = b.unary(Unary::Sin, x);
    let y = b.mul(s, x);
    let z = b.sum(y, &[0]);
    let program = compile(&b.finish(&[y, z]).unwrap()).unwrap();
    let x = Numbers::new(1).array(&ty(F, &[500]), Numbers::plain);
    let expected = program.run(std::slice::from_ref(&x)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(program.run(std::slice::from_ref(&x)).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn inputs_are_checked() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[2]));
    let y = b.mul(x, x);
    let program = compile(&b.finish(&[y]).unwrap()).unwrap();
    let error = |inputs: &[Array]| program.run(inputs).unwrap_err().to_string();
    assert_eq!(error(&[]), "`f` takes 1 inputs, 0 were given");
    let wrong = error(&[Array::from([1.0_f32, 2.0])]);
    assert_eq!(wrong, "input `x` is f64[2], the array given is f32[2]");
    let wrong = error(&[Array::from([1.0, 2.0, 3.0])]);
    assert_eq!(wrong, "input `x` is f64[2], the array given is f64[3]");
    let x = Array::from([1.0, 2.0]);
    let error = program.run_into(&[&x], &mut []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`f` has 1 outputs, 0 arrays were given to write to"
    );
}

#[test]
fn indices_out_of_range_name_the_operation_and_its_place() {
    let at = Some(Location::Text { line: 3, column: 7 });
    for (index, dtype) in [
        (3, DType::I64),
        (-1, DType::I64),
        (-1, DType::I32),
        (200, DType::U8),
    ] {
        let mut b = Builder::new("f");
        let x = b.input("x", ty(F, &[3]));
        let i = b.input("i", ty(dtype, &[2]));
        b.set_location(at);
        let y = b.push(Gather { axis: 0, batch: 0 }, &[x, i]);
        let program = compile(&b.finish(&[y]).unwrap()).unwrap();
        let zero = Scalar::from_i64(dtype, 0);
        let i = Array::from_scalars(dtype, [2], [zero, Scalar::from_i64(dtype, index)]).unwrap();
        let error = program.run(&[Array::from([1.0, 2.0, 3.0]), i]).unwrap_err();
        let expected = format!(
            "line 3, column 7: gather: index {index} is out of range for an axis of length 3"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn indices_are_checked_where_nothing_moves() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[2, 0]));
    let i = b.input("i", ty(DType::I64, &[2]));
    let y = b.push(
        ScatterAdd {
            shape: Shape::from([3, 0]),
            axis: 0,
            batch: 0,
        },
        &[x, i],
    );
    let program = compile(&b.finish(&[y]).unwrap()).unwrap();
    let x = Array::zeros(F, [2, 0]).unwrap();
    assert!(program.run(&[x.clone(), Array::from([0_i64, 2])]).is_ok());
    let error = program.run(&[x, Array::from([0_i64, 3])]).unwrap_err();
    assert!(
        error.to_string().contains("index 3 is out of range"),
        "{error}"
    );
}

#[test]
fn a_window_without_elements_has_no_argmax() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[2]));
    let op = WindowArgMax {
        window: vec![1],
        stride: vec![1],
        padding: vec![(1, 0)],
        dilation: vec![1],
    };
    let y = b.push(op, &[x]);
    let program = compile(&b.finish(&[y]).unwrap()).unwrap();
    let error = program.run(&[Array::from([1.0, 2.0])]).unwrap_err();
    assert!(
        matches!(error, RunError::Op { ref op, .. } if op == "window_argmax"),
        "{error}"
    );
}

/// An error half-way leaves the program as it was.
#[test]
fn a_program_runs_on_after_an_error() {
    let mut inner = Builder::new("pick");
    let x = inner.input("x", ty(F, &[3]));
    let i = inner.input("i", ty(DType::I64, &[]));
    let y = inner.push(Gather { axis: 0, batch: 0 }, &[x, i]);
    let inner = Arc::new(inner.finish(&[y]).unwrap());
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[3]));
    let i = b.input("i", ty(DType::I64, &[]));
    let s = b.unary(Unary::Sin, x);
    let y = b.call(&inner, &[s, i])[0];
    let program = compile(&b.finish(&[y]).unwrap()).unwrap();
    let x = Array::from([1.0, 2.0, 3.0]);
    let error = program.run(&[x.clone(), Array::scalar(5_i64)]).unwrap_err();
    let expected = "pick: gather: index 5 is out of range for an axis of length 3";
    assert_eq!(error.to_string(), expected);
    let y = program.run(&[x, Array::scalar(1_i64)]).unwrap();
    assert_eq!(y[0].item::<f64>().unwrap(), 2.0_f64.sin());
}

#[test]
fn outputs_go_to_the_memory_given() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[4]));
    let y = b.add(x, x);
    let c = b.convert(DType::I32, y);
    let program = compile(&b.finish(&[y, c]).unwrap()).unwrap();
    let x = Array::from([1.0, 2.0, 3.0, 4.0]);
    let mut outputs = [Array::zeros(F, [4]).unwrap(), Array::scalar(7_u8)];
    let before = outputs[0].as_bytes().as_ptr();
    let shared = outputs[1].clone();
    program.run_into(&[&x], &mut outputs).unwrap();
    assert_eq!(outputs[0].as_bytes().as_ptr(), before);
    assert_eq!(outputs[0], Array::from([2.0, 4.0, 6.0, 8.0]));
    assert_eq!(outputs[1], Array::from([2, 4, 6, 8]));
    assert_eq!(shared, Array::scalar(7_u8));
    // A clone keeps its values, and an output may be the input itself.
    let mut outputs = [x.clone(), outputs[1].clone()];
    program.run_into(&[&x], &mut outputs).unwrap();
    assert_eq!(x, Array::from([1.0, 2.0, 3.0, 4.0]));
    assert_eq!(outputs[0], Array::from([2.0, 4.0, 6.0, 8.0]));
}

/// Outputs that are no step's result, or several times the same one.
#[test]
fn all_kinds_of_outputs() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[2, 3]));
    let y = b.mul(x, x);
    let flat = b.reshape(y, [6]);
    let again = b.reshape(x, [6]);
    let number = b.full(Scalar::F64(2.5), [3]);
    let constant = b.constant(Array::from([1_u8, 2, 3]));
    let s = b.sum(x, &[0, 1]);
    let spread = b.broadcast(s, [2, 2], &[]);
    let used = b.add(flat, again);
    let outputs = [x, x, y, y, flat, again, number, constant, spread, s, used];
    let graph = b.finish(&outputs).unwrap();
    same_bits(&graph, &[Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])]);
    let none = Builder::new("none").finish(&[]).unwrap();
    same_bits(&none, &[]);
}

/// Numbers that stand everywhere, for steps that want arrays.
#[test]
fn numbers_and_spread_elements_are_stored_where_arrays_are_wanted() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[1500]));
    let one = b.input("one", ty(F, &[]));
    let ones = b.full(Scalar::F64(1.5), [1500]);
    let spread = b.broadcast(one, [1500], &[]);
    let dot = |b: &mut Builder, x, y| {
        let op = cotangent_graph::ops::Dot {
            contract: (vec![0], vec![0]),
            batch: (vec![], vec![]),
        };
        b.push(op, &[x, y])
    };
    let (p, q) = (dot(&mut b, x, ones), dot(&mut b, spread, ones));
    let total = b.push(Sum { axes: vec![0] }, &[spread]);
    let joined = b.push(Concat { axis: 0 }, &[x, ones, spread]);
    let graph = b.finish(&[p, q, total, joined]).unwrap();
    let x = Array::vector((0..1500).map(|i| f64::from(i % 8)).collect::<Vec<_>>());
    same_bits(&graph, &[x, Array::scalar(0.25)]);
}

#[test]
fn calls_run_their_own_plans() {
    // swap(a, b) = (b + 1, a * b), nested so deep that recursion would show.
    let mut graph = {
        let mut b = Builder::new("swap");
        let (x, y) = (b.input("a", ty(F, &[300])), b.input("b", ty(F, &[300])));
        let one = b.like(y, 1.0);
        let (p, q) = (b.add(y, one), b.mul(x, y));
        b.finish(&[p, q]).unwrap()
    };
    for depth in 0..200 {
        let mut b = Builder::new(&format!("f{depth}"));
        let (x, y) = (b.input("a", ty(F, &[300])), b.input("b", ty(F, &[300])));
        let half = b.like(x, 0.5);
        let y = b.mul(y, half);
        let parts = b.call(&Arc::new(graph), &[x, y]);
        graph = b.finish(&parts).unwrap();
    }
    let mut numbers = Numbers::new(2);
    let inputs: Vec<Array> = (0..2)
        .map(|_| numbers.array(&ty(F, &[300]), Numbers::plain))
        .collect();
    same_bits(&graph, &inputs);
}

#[test]
fn equal_callees_share_a_plan() {
    let square = || {
        let mut b = Builder::new("square");
        let x = b.input("x", ty(F, &[5]));
        let y = b.mul(x, x);
        Arc::new(b.finish(&[y]).unwrap())
    };
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[5]));
    let y = b.call(&square(), &[x])[0];
    let z = b.call(&square(), &[y])[0];
    let graph = b.finish(&[z]).unwrap();
    let program = compile(&graph).unwrap();
    assert_eq!(program.plan().callees().len(), 1);
    same_bits(&graph, &[Array::from([1.0, 2.0, 3.0, -1.0, 0.5])]);
}

/// Plans are data that anyone may change; a program that would read or write elsewhere is refused.
#[test]
fn broken_plans_are_refused() {
    use cotangent_compile::Place;
    let mut b = Builder::new("f");
    let x = b.input("x", ty(F, &[100]));
    // Steps of their own, and a region that reads both.
    let y = b.push(Reverse { axes: vec![0] }, &[x]);
    let z = b.push(
        CumSum {
            axis: 0,
            reverse: false,
        },
        &[x],
    );
    let w = b.add(y, z);
    let v = b.mul(w, x);
    let plan = cotangent_compile::compile(&b.finish(&[v]).unwrap(), &target()).unwrap();
    assert!(Program::new(Arc::new(plan.clone())).is_ok());
    let refused = |change: &dyn Fn(&mut cotangent_compile::Plan)| {
        let mut broken = plan.clone();
        change(&mut broken);
        let error = Program::new(Arc::new(broken)).unwrap_err();
        assert!(matches!(error, RunError::Plan(_)), "{error}");
    };
    refused(&|p| p.arena -= 64);
    refused(&|p| p.steps.truncate(2));
    refused(&|p| p.steps.swap(0, 2));
    refused(&|p| p.steps[0].args[0].place = Place::Input(1));
    refused(&|p| p.steps[0].args[0].ty = Arc::new(TensorType::new(F, [101])));
    refused(&|p| p.steps[1].outs[0].place = p.steps[0].outs[0].place);
    refused(&|p| {
        p.steps[1].outs[0].place = Place::Arena {
            value: 1,
            offset: 8,
        }
    });
    refused(&|p| p.steps[2].outs[0].place = Place::Output(1));
    refused(&|p| p.steps[2].scratch = 0..0);
    let region = |p: &mut cotangent_compile::Plan,
                  change: &dyn Fn(&mut cotangent_compile::lane::LaneProgram)| {
        if let cotangent_compile::StepOp::Region(region) = &mut p.steps[2].op {
            change(Arc::make_mut(region));
        }
    };
    refused(&|p| region(p, &|r| r.dims[0] = 101));
    refused(&|p| region(p, &|r| r.inputs[0].strides[0] = 0));
    refused(&|p| region(p, &|r| r.inputs[0].strides[0] = 2));
    refused(&|p| region(p, &|r| r.inputs[0].dtype = DType::F32));
    refused(&|p| {
        region(p, &|r| {
            let reader = r.code.insts.iter_mut().find(|i| !i.operands().is_empty());
            reader.unwrap().args[0] = 1000;
        })
    });
    refused(&|p| region(p, &|r| r.code.insts.truncate(1)));
    refused(&|p| region(p, &|r| r.code.lanes = cotangent_compile::lane::Lanes::W32));
    refused(&|p| region(p, &|r| r.code.inputs.truncate(1)));
    refused(&|p| p.inputs[0].1 = TensorType::new(DType::F32, [100]));
}

#[test]
fn a_chain_of_a_million_operations() {
    let start = Instant::now();
    let n = 1_000_000;
    let mut b = Builder::new("chain");
    let x = b.input("x", ty(F, &[3]));
    let mut y = x;
    for i in 0..n {
        y = if i % 2 == 0 {
            b.add(y, x)
        } else {
            b.unary(Unary::Abs, y)
        };
    }
    let graph: Graph = b.finish(&[y]).unwrap();
    let program = compile(&graph).unwrap();
    // Two values live at one time, and one takes over the place of the other; a region has tiles and
    // tables of addresses.
    assert_eq!(program.plan().arena, 448);
    let y = program.run(&[Array::from([1.0, 0.0, 2.0])]).unwrap();
    let half = (n / 2 + 1) as f64;
    assert_eq!(y[0], Array::from([half, 0.0, 2.0 * half]));
    drop((program, graph));
    println!("{:?}", start.elapsed());
}

#[test]
fn a_product_is_rounded_with_its_sum_whatever_stands_between() {
    // The sum waits for a reduction over what the product's operands are part of.
    let f = parse(
        "fn f(x: f64[40], y: f64[40]) -> (f64[40], f64[40]) {
            let p = x * y; let t = sum(exp(x) - y); (p + t, x * y - 0.25) }",
    );
    let g = parse("fn g(x: f64[40], y: f64[40]) -> f64[40] { x * y + sum(exp(x) - y) }");
    let mut numbers = Numbers::new(3);
    let [x, y] = [0, 1].map(|_| numbers.array(&ty(F, &[40]), Numbers::plain));
    let first = compile(&g).unwrap().run(&[x.clone(), y.clone()]).unwrap();
    let t = compile(&parse(
        "fn t(x: f64[40], y: f64[40]) -> f64 { sum(exp(x) - y) }",
    ));
    let t: f64 = t.unwrap().run(&[x.clone(), y.clone()]).unwrap()[0]
        .item()
        .unwrap();
    let (xs, ys) = (x.to_f64s(), y.to_f64s());
    let once = |x: f64, y: f64| {
        if target().fma {
            x.mul_add(y, t)
        } else {
            x * y + t
        }
    };
    let expected: Vec<f64> = xs.iter().zip(&ys).map(|(x, y)| once(*x, *y)).collect();
    assert_eq!(first[0].to_f64s(), expected);
    // Read twice, the product of `f` is one value that is rounded by itself.
    let both = compile(&f).unwrap().run(&[x, y]).unwrap();
    let apart: Vec<f64> = xs.iter().zip(&ys).map(|(x, y)| x * y + t).collect();
    assert_eq!(both[0].to_f64s(), apart);
}

fn parse(text: &str) -> Graph {
    match cotangent_graph::parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}
