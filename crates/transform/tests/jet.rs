//! Taylor coefficients against nested forward mode and closed forms.

use cotangent_array::{Array, DType};
use cotangent_graph::ops::{Binary, Indexed, Kinds, Special, Ternary, Unary};
use cotangent_graph::{Builder, Graph, Op, TensorType, Var, eval, parse};
use cotangent_transform::{TransformError, jet, jvp};

fn graph(text: &str) -> Graph {
    parse(text).unwrap().entry().clone()
}

/// The coefficients of t -> f(x_0 + x_1 t + ...) up to an order, by nested forward mode.
fn nested(f: &Graph, curves: &[Vec<Array>], order: usize) -> Vec<Vec<f64>> {
    let mut b = Builder::new("along");
    let t = b.input("t", TensorType::scalar(DType::F64));
    let args: Vec<Var> = curves
        .iter()
        .map(|curve| {
            let mut power = b.scalar(DType::F64, 1.0);
            let mut total: Option<Var> = None;
            for c in curve {
                let ty = TensorType::new(c.dtype(), c.shape().clone());
                let c = b.constant(c.clone());
                let term = if ty.dtype.is_float() {
                    let p = b.broadcast(power, ty.shape, &[]);
                    b.mul(p, c)
                } else {
                    c
                };
                total = Some(match total {
                    Some(total) => b.add(total, term),
                    None => term,
                });
                power = b.mul(power, t);
            }
            total.unwrap()
        })
        .collect();
    let outputs = b.inline(f, &args);
    let mut g = b.finish(&outputs).unwrap();
    let count = g.outputs().len();
    let mut inputs = vec![Array::scalar(0.0)];
    let mut all = vec![];
    let mut factorial = 1.0;
    for k in 0..=order {
        let found = eval(&g, &inputs).unwrap();
        let last = &found[found.len() - count..];
        all.push(
            last.iter()
                .flat_map(|a| a.to_f64s())
                .map(|x| x / factorial)
                .collect(),
        );
        factorial *= (k + 1) as f64;
        if k < order {
            let mut wrt = vec![false; inputs.len()];
            wrt[0] = true;
            // Only the newest derivative is differentiated again.
            let pushed = jvp(&g, &wrt).unwrap();
            let mut b = Builder::new("next");
            let args: Vec<Var> = pushed
                .inputs()
                .iter()
                .zip(pushed.input_types())
                .map(|((n, _), t)| b.input(n, t))
                .collect();
            let outputs = b.inline(&pushed, &args);
            let newest = outputs[outputs.len() - count..].to_vec();
            g = b.finish(&newest).unwrap().without_dead_code();
            inputs.push(Array::scalar(1.0));
        }
    }
    all
}

fn by_jet(f: &Graph, curves: &[Vec<Array>], order: usize) -> Vec<Vec<f64>> {
    let wrt: Vec<bool> = f.input_types().iter().map(|t| t.dtype.is_float()).collect();
    let j = jet(f, &wrt, order).unwrap();
    let mut inputs: Vec<Array> = curves.iter().map(|c| c[0].clone()).collect();
    for (curve, _) in curves.iter().zip(&wrt).filter(|(_, w)| **w) {
        let mut rows = Vec::new();
        for k in 1..=order {
            rows.extend(
                curve
                    .get(k)
                    .map_or(vec![0.0; curve[0].len()], |c| c.to_f64s()),
            );
        }
        let mut shape = vec![order];
        shape.extend_from_slice(curve[0].shape().dims());
        inputs.push(Array::new(shape, rows).unwrap());
    }
    let found = eval(&j, &inputs).unwrap();
    let count = f.outputs().len();
    let mut all = vec![
        found[..count]
            .iter()
            .flat_map(|a| a.to_f64s())
            .collect::<Vec<f64>>(),
    ];
    for k in 0..order {
        let rows = found[count..].iter().flat_map(|a| {
            let n = a.len() / order;
            a.to_f64s()[k * n..(k + 1) * n].to_vec()
        });
        all.push(rows.collect());
    }
    all
}

fn agree(what: &str, f: &Graph, curves: &[Vec<Array>], order: usize) {
    let (x, y) = (by_jet(f, curves, order), nested(f, curves, order));
    for (k, (x, y)) in x.iter().zip(&y).enumerate() {
        assert_eq!(x.len(), y.len(), "{what}");
        for (x, y) in x.iter().zip(y) {
            let near = (x - y).abs() <= 1e-9 * (1.0 + y.abs());
            assert!(
                near || (x.is_nan() && y.is_nan()) || x == y,
                "{what}, order {k}: {x}, nested {y}"
            );
        }
    }
}

/// A curve through a point, with coefficients of ordinary size.
fn curve(start: Vec<f64>, seed: usize) -> Vec<Array> {
    let n = start.len();
    let mut curve = vec![Array::from(start)];
    for k in 1..4 {
        let c: Vec<f64> = (0..n)
            .map(|i| ((i * 7 + k * 3 + seed * 5) as f64).sin() * 0.7)
            .collect();
        curve.push(Array::from(c));
    }
    curve
}

fn one_op(op: Op, args: usize) -> Graph {
    let mut b = Builder::new("f");
    let inputs: Vec<Var> = (0..args)
        .map(|i| b.input(&format!("x{i}"), TensorType::new(DType::F64, [3])))
        .collect();
    let y = b.push(op, &inputs);
    b.finish(&[y]).unwrap()
}

fn samples(range: (f64, f64)) -> Vec<f64> {
    [0.21, 0.53, 0.87]
        .iter()
        .map(|s| range.0 + s * (range.1 - range.0))
        .collect()
}

#[test]
fn every_row_agrees_with_nested_forward_mode() {
    let mut count = 0;
    let mut check = |op: Op, order: usize| {
        let row = op.row().unwrap();
        if !matches!(
            row.kinds,
            Kinds::Float | Kinds::Inexact | Kinds::Number | Kinds::Numeric | Kinds::Any
        ) {
            return;
        }
        let curves: Vec<_> = row
            .samples
            .iter()
            .enumerate()
            .map(|(i, s)| curve(samples(*s), i))
            .collect();
        agree(row.name, &one_op(op, curves.len()), &curves, order);
        count += 1;
    };
    for op in Unary::ALL {
        check((*op).into(), 4);
    }
    for op in Binary::ALL {
        check((*op).into(), 4);
    }
    for n in [-3, -1, 0, 1, 2, 5] {
        check(Op::Indexed(Indexed::Powi, n), 4);
    }
    check(Op::Indexed(Indexed::Polygamma, 1), 4);
    check(Ternary::Clamp.into(), 4);
    for op in Special::ALL {
        check(Op::Special(*op, [0; 3]), 4);
        check(Op::Special(*op, [1, 1, 0]), 2);
    }
    assert!(count > 50, "{count}");
}

#[test]
fn closed_forms() {
    // exp(t): 1 / k!. tan(t): Bernoulli numbers, the odd coefficients up to t^9.
    let one: Vec<Array> = vec![Array::from([0.0]), Array::from([1.0])];
    let e = by_jet(
        &graph("fn f(x: f64[1]) -> f64[1] { exp(x) }"),
        std::slice::from_ref(&one),
        10,
    );
    let mut factorial = 1.0;
    for (k, c) in e.iter().enumerate() {
        factorial *= k.max(1) as f64;
        assert!((c[0] * factorial - 1.0).abs() < 1e-14);
    }
    let t = by_jet(
        &graph("fn f(x: f64[1]) -> f64[1] { tan(x) }"),
        std::slice::from_ref(&one),
        10,
    );
    let want = [
        0.0,
        1.0,
        0.0,
        1.0 / 3.0,
        0.0,
        2.0 / 15.0,
        0.0,
        17.0 / 315.0,
        0.0,
        62.0 / 2835.0,
        0.0,
    ];
    for (c, want) in t.iter().zip(want) {
        assert!((c[0] - want).abs() < 1e-15, "{} {want}", c[0]);
    }
    // 1 / (1 - t), far out.
    let f = graph("fn f(x: f64[1]) -> f64[1] { 1.0 / (1.0 - x) }");
    assert!(by_jet(&f, &[one], 60).iter().all(|c| c[0] == 1.0));
}

#[test]
fn arrays_agree_with_nested_forward_mode() {
    let four = || curve(vec![0.4, -0.7, 1.2, 0.9], 1);
    let square = |seed| -> Vec<Array> {
        curve(vec![0.4, -0.7, 1.2, 0.9], seed)
            .into_iter()
            .map(|a| a.reshape([2, 2]).unwrap())
            .collect()
    };
    let texts = [
        "sum(x * x * x, axes=[0])",
        "prod(x, axes=[0])",
        "norm(x, axes=[0])",
        "max(x, axes=[0])",
        "cumsum(sin(x), axis=0)",
        "cumprod(x, axis=0, reverse=true)",
        "recurrence(x, exp(x), axis=0)",
        "recurrence(x, exp(x), axis=0, reverse=true)",
        "window_sum(x * x, window=[2])",
        "window_max(x, window=[2])",
        "gather(x, constant([2, 0, 2]), axis=0) ** 3.0",
        "scatter_add(exp(x), constant([2, 0, 2, 1]), shape=[3], axis=0)",
        "select(x > 0.0, sqrt(x), x * x)",
        "concat(x[1:3], -x, axis=0) / (2.0 + cos(x[0:1]))",
        "convert(x, dtype=f64) * floor(x) + stop_gradient(x) * x",
    ];
    for text in texts {
        let mut f = None;
        for out in ["f64", "f64[2]", "f64[3]", "f64[4]", "f64[6]"] {
            if let Ok(m) = parse(&format!("fn f(x: f64[4]) -> {out} {{ {text} }}")) {
                f = Some(m.entry().clone());
            }
        }
        let f = f.unwrap_or_else(|| {
            panic!(
                "{text}: {:?}",
                parse(&format!("fn f(x: f64[4]) -> f64 {{ {text} }}"))
            )
        });
        agree(text, &f, &[four()], 4);
    }
    let f = graph("fn f(a: f64[2, 2], b: f64[2, 2]) -> f64[2, 2] { tanh(a @ b) @ a }");
    agree("dot", &f, &[square(1), square(2)], 4);
    let f = graph(
        "fn f(x: f64[1, 1, 2, 2], k: f64[1, 1, 2, 2]) -> f64[1, 1, 3, 3] { conv(x, k, padding=[(1, 1), (1, 1)]) }",
    );
    let image = |seed| -> Vec<Array> {
        square(seed)
            .into_iter()
            .map(|a| a.reshape([1, 1, 2, 2]).unwrap())
            .collect()
    };
    agree("conv", &f, &[image(1), image(2)], 4);
}

#[test]
fn matrices_agree_with_nested_forward_mode() {
    // Symmetric and far from singular, whatever the curve does near its start.
    let definite = "let s = x @ transpose(x, axes=[1, 0]) + constant([[3.0, 0.5], [0.5, 2.0]]);";
    for text in [
        "cholesky(s)",
        "solve(s, x)",
        "triangular_solve(s, x, transposed=true)",
        "get(qr(s), index=1)",
        "get(eigh(s), index=1)",
        "get(svd(s), index=2)",
        "expm(x)",
        "pinv(s, 1e-9)",
        "det(s) * x",
        "get(slogdet(s), index=1) * x",
    ] {
        let f = graph(&format!(
            "fn f(x: f64[2, 2]) -> f64[2, 2] {{ {definite} {text} }}"
        ));
        let x = curve(vec![0.4, -0.7, 1.2, 0.9], 3);
        let x = x.into_iter().map(|a| a.reshape([2, 2]).unwrap()).collect();
        agree(text, &f, &[x], 4);
    }
}

#[test]
fn bodies_carry_coefficients() {
    let four = || curve(vec![0.4, -0.7, 1.2, 0.9], 1);
    let one = |x: f64, seed| -> Vec<Array> {
        curve(vec![x], seed)
            .into_iter()
            .map(|a| a.reshape([0_usize; 0]).unwrap())
            .collect()
    };
    let call = "fn g(x: f64[4], y: f64[4]) -> (f64[4], f64[4]) { (sin(x) * y, 2.0 * y) }
        fn f(x: f64[4]) -> f64[4] { let r = g(x, x * x); get(r, index=0) + get(r, index=1) }";
    agree("call", &graph(call), &[four()], 4);
    let cond = "fn a(x: f64, y: f64) -> f64 { x * y } fn b(x: f64, y: f64) -> f64 { exp(y) }
        fn f(x: f64, y: f64) -> f64 { cond(x > 0.0, x, y, then=a, otherwise=b) }";
    for x in [0.5, -0.5] {
        agree("cond", &graph(cond), &[one(x, 1), one(0.3, 2)], 4);
    }
    for reverse in [false, true] {
        let scan = format!(
            "fn step(c: f64, d: f64, x: f64, w: f64) -> (f64, f64, f64) {{ (sin(c) + x * w, d + 1.0, c * d) }}
            fn f(x: f64[4], w: f64) -> f64[4] {{ let r = scan(0.5, 0.0, x, w, body=step, carry=2, scanned=1, reverse={reverse}); get(r, index=0) + get(r, index=2) }}"
        );
        agree("scan", &graph(&scan), &[four(), one(0.8, 2)], 4);
    }
    let repeat = "fn test(x: f64, w: f64) -> bool { x < 20.0 }
        fn step(x: f64, w: f64) -> f64 { x * w + sin(x) }
        fn f(x: f64, w: f64) -> f64 { while(x, w, test=test, body=step, carry=1) }";
    let f = graph(repeat);
    agree("while", &f, &[one(1.1, 1), one(1.7, 2)], 4);
    // The gradient of a while loop is a loop forward and back.
    let g = cotangent_transform::grad(&f, &[true, true]).unwrap();
    agree("sweeps", &g, &[one(1.1, 1), one(1.7, 2)], 3);
}

#[test]
fn edges_follow_the_conventions() {
    // x(t) = t through the kink of |x|, with the slope 0 there.
    let at_zero = vec![Array::from([0.0]), Array::from([1.0])];
    let f = graph("fn f(x: f64[1]) -> f64[1] { abs(x) }");
    assert_eq!(
        by_jet(&f, std::slice::from_ref(&at_zero), 2),
        [[0.0], [0.0], [0.0]]
    );
    // Behind a mask the pole is not met.
    let f = graph("fn f(x: f64[1]) -> f64[1] { select(x > 0.0, sqrt(x), 0.0 * x) }");
    assert_eq!(by_jet(&f, &[at_zero], 3), [[0.0], [0.0], [0.0], [0.0]]);
    let f = graph("fn f(x: f64) -> f64 { x }");
    for order in [0, 256] {
        assert!(matches!(
            jet(&f, &[true], order),
            Err(TransformError::Order { .. })
        ));
    }
}

#[test]
fn long_chains_and_high_orders() {
    let mut text = String::from("fn f(x: f64) -> f64 {\n let y0 = x;\n");
    for i in 0..20_000 {
        text += &format!(" let y{} = sin(y{i});\n", i + 1);
    }
    let f = graph(&(text + " y20000\n}"));
    let j = jet(&f, &[true], 3).unwrap();
    assert!(j.operation_count() < 20_000 * 30);
    let f = graph("fn f(x: f64) -> f64 { exp(sin(x)) / (2.0 + cos(x)) }");
    assert!(jet(&f, &[true], 255).is_ok());
}
