//! Loops of unknown length: any mix of modes to order four, batches with examples that are done
//! before others, and branches that only some examples take.

use cotangent_array::Array;
use cotangent_graph::{Builder, Evaluator, Graph, Var, eval, parse, print};
use cotangent_transform::{grad, jvp, linearize, transpose, vjp, vmap};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn run(g: &Graph, inputs: &[Array]) -> Vec<Array> {
    g.verify().unwrap();
    let text = print(g);
    let again = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
    assert_eq!(again.entry(), g, "{text}");
    eval(g, inputs).unwrap()
}

fn close(a: &[Array], b: &[Array]) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert_eq!(x.shape(), y.shape());
        for (x, y) in x.to_f64s().into_iter().zip(y.to_f64s()) {
            assert!(
                x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-10 * y.abs().max(1.0),
                "{a:?}\n{b:?}"
            );
        }
    }
}

/// The derivative of a scalar function of one scalar, as such a function, by either mode.
fn derivative(f: &Graph, mode: char) -> Graph {
    let mut b = Builder::new("derivative");
    let types = f.input_types();
    let x = b.input("x", types[0].clone());
    let one = b.like(x, 1.0);
    let (d, skip) = match mode {
        'f' => (jvp(f, &[true]).unwrap(), 1),
        _ => (vjp(f, &[true]).unwrap(), 0),
    };
    let out: Vec<Var> = b.inline(&d, &[x, one]);
    b.finish(&out[skip..=skip]).unwrap().without_dead_code()
}

/// All mixes of modes to an order.
fn mixes(order: usize) -> Vec<String> {
    match order {
        0 => vec![String::new()],
        _ => (mixes(order - 1).iter())
            .flat_map(|m| [format!("{m}f"), format!("{m}r")])
            .collect(),
    }
}

/// Every mix of modes to order four gives the derivatives of the plain function.
fn same_to_order_four(loops: &str, plain: &str, x: f64) {
    let (f, g) = (graph(loops), graph(plain));
    let x = [Array::scalar(x)];
    close(&run(&f, &x), &run(&g, &x));
    let mut expected = g;
    for order in 1..=4 {
        expected = derivative(&expected, 'f');
        let expected = run(&expected, &x);
        for mix in mixes(order) {
            let mut d = f.clone();
            for mode in mix.chars() {
                d = derivative(&d, mode);
            }
            let found = run(&d, &x);
            let (a, b) = (found[0].to_f64s()[0], expected[0].to_f64s()[0]);
            assert!(
                (a - b).abs() <= 1e-9 * b.abs().max(1.0),
                "{mix}: {a} and {b}"
            );
        }
    }
}

#[test]
fn every_mix_of_modes_to_order_four() {
    let loops = "fn test(x: f64, y: f64, n: i64, a: f64) -> bool { n < 3 }
        fn step(x: f64, y: f64, n: i64, a: f64) -> (f64, f64, i64) { (sin(x * a) + y, x * y, n + 1) }
        fn f(a: f64) -> f64 {
            let r = while(a * a, 0.5, 0, a, test=test, body=step, carry=3);
            get(r, index=0) * get(r, index=1) * a }";
    let mut plain = "fn f(a: f64) -> f64 { let x0 = a * a; let y0: f64 = 0.5;".to_owned();
    for k in 0..3 {
        let n = k + 1;
        plain += &format!("let x{n} = sin(x{k} * a) + y{k}; let y{n} = x{k} * y{k};");
    }
    same_to_order_four(loops, &(plain + "x3 * y3 * a }"), 0.8);
}

#[test]
fn a_loop_in_a_loop_to_order_four() {
    let loops = "fn less(x: f64, n: i64, a: f64) -> bool { n < 2 }
        fn inner(x: f64, n: i64, a: f64) -> (f64, i64) { (x * x * a + 0.1, n + 1) }
        fn outer(x: f64, n: i64, a: f64) -> (f64, i64) {
            let r = while(x, 0, a * x, test=less, body=inner, carry=2);
            (get(r, index=0) + a, n + 1) }
        fn f(a: f64) -> f64 {
            let r = while(a, 0, a, test=less, body=outer, carry=2); get(r, index=0) }";
    let mut plain = "fn f(a: f64) -> f64 { let x0 = a;".to_owned();
    for k in 0..2 {
        plain += &format!(
            "let y{k} = x{k} * x{k} * (a * x{k}) + 0.1;
             let z{k} = y{k} * y{k} * (a * x{k}) + 0.1; let x{} = z{k} + a;",
            k + 1
        );
    }
    same_to_order_four(loops, &(plain + "x2 }"), 0.7);
}

#[test]
fn a_loop_of_no_steps_to_order_four() {
    let loops = "fn test(x: f64) -> bool { x > 1.0 }
        fn step(x: f64) -> f64 { x * 0.5 }
        fn f(x: f64) -> f64 { while(x * x, test=test, body=step) * x }";
    same_to_order_four(loops, "fn f(x: f64) -> f64 { x * x * x }", 0.9);
    same_to_order_four(loops, "fn f(x: f64) -> f64 { x * x * x * 0.25 }", 1.9);
}

/// Whether every value on the way is finite.
fn is_finite_throughout(g: &Graph, inputs: &[Array]) -> bool {
    let mut finite = true;
    let mut evaluator = Evaluator::observed(|_, _, a| {
        finite &= !a.dtype().is_float() || a.to_f64s().iter().all(|x| x.is_finite());
    });
    evaluator.run(g, inputs).unwrap();
    drop(evaluator);
    finite
}

/// Examples together give what each gives alone: values, gradients, gradients of gradients, and
/// gradients of the batch.
fn same_as_examples(text: &str, examples: &[f64]) {
    let f = graph(text);
    let n = examples.len();
    let all = [Array::vector(examples.to_vec())];
    let alone = |g: &Graph| -> Array {
        let values = examples
            .iter()
            .map(|x| run(g, &[Array::scalar(*x)])[0].to_f64s()[0]);
        Array::vector(values.collect::<Vec<f64>>())
    };
    let mut d = f.clone();
    let mut finite = 0;
    for mix in ["", "r", "f", "r"] {
        if let Some(mode) = mix.chars().next() {
            d = derivative(&d, mode);
        }
        let batch = vmap(&d, &[Some(0)], n).unwrap();
        close(&run(&batch, &all), &[alone(&d)]);
        // Lanes that take no part hold no infinities that the examples do not meet themselves.
        let one = |x: &f64| is_finite_throughout(&d, &[Array::scalar(*x)]);
        if examples.iter().all(one) {
            assert!(is_finite_throughout(&batch, &all), "{}", print(&batch));
            finite += 1;
        }
        // The derivative of the batch, whose examples do not meet.
        let ones = Array::vector(vec![1.0; n]);
        let back = vjp(&batch, &[true]).unwrap();
        let expected = [alone(&derivative(&d, 'f'))];
        close(&run(&back, &[all[0].clone(), ones.clone()]), &expected);
        let along = jvp(&batch, &[true]).unwrap();
        close(&run(&along, &[all[0].clone(), ones])[1..], &expected);
    }
    assert!(finite > 0, "no example is finite throughout");
}

#[test]
fn examples_that_are_done_do_no_harm() {
    // One more step would read outside of the table, and take the logarithm of what is below 0.
    same_as_examples(
        "fn test(x: f64, i: i64, t: f64[4]) -> bool { x > 0.5 & i < 4 }
         fn step(x: f64, i: i64, t: f64[4]) -> (f64, i64) {
            (log(x + 1.0) * sum(gather(t, i, axis=0)), i + 1) }
         fn f(x: f64) -> f64 { let r = while(x, 0, constant([0.9, 1.1, 0.8, 0.7]), test=test, body=step, carry=2);
            get(r, index=0) * x }",
        &[9.0, 0.1, 3.0, 1.0],
    );
    // What is done stands at 0, where the product with an infinite reciprocal is NaN.
    same_as_examples(
        "fn test(x: f64[2]) -> bool { x[0] > 0.5 }
         fn step(x: f64[2]) -> f64[2] { (constant([[0.5, 0.0], [0.25, 0.0]]) @ (1.0 / x)) * x * x }
         fn g(x: f64) -> f64 { sum(while(broadcast(x, shape=[2], dims=[]), test=test, body=step)) }
         fn f(x: f64) -> f64 { g(x) * x }",
        &[5.0, 0.0, 1.3],
    );
    // Steps that overflow for what is done.
    same_as_examples(
        "fn test(x: f64) -> bool { x < 1000.0 }
         fn step(x: f64) -> f64 { x * exp(x * 0.5) * exp(x * 0.01) }
         fn f(x: f64) -> f64 { log(while(x, test=test, body=step)) }",
        &[2.0, 900.0, 2000.0, 1e6, 0.5],
    );
}

#[test]
fn a_loop_in_an_arm_that_is_not_taken_ends() {
    // For x below 0 the loop would never end.
    same_as_examples(
        "fn test(x: f64) -> bool { x != 0.0 & x < 100.0 }
         fn step(x: f64) -> f64 { x * 2.0 }
         fn climb(x: f64) -> f64 { while(x, test=test, body=step) }
         fn stay(x: f64) -> f64 { x * x }
         fn f(x: f64) -> f64 { cond(x > 0.0, x, then=climb, otherwise=stay) }",
        &[-3.0, 7.0, 0.0, 60.0],
    );
    // No example takes the arm at all.
    same_as_examples(
        "fn test(x: f64) -> bool { x != 0.0 & x < 100.0 }
         fn step(x: f64) -> f64 { x * 2.0 }
         fn climb(x: f64) -> f64 { while(x, test=test, body=step) }
         fn stay(x: f64) -> f64 { x * x }
         fn f(x: f64) -> f64 { cond(x > 0.0, x, then=climb, otherwise=stay) }",
        &[-3.0, -7.0],
    );
}

#[test]
fn an_arm_that_is_not_taken_does_no_harm() {
    same_as_examples(
        "fn read(x: f64, t: f64[3]) -> f64 { gather(t, convert(x, dtype=i64), axis=0) * x }
         fn outside(x: f64, t: f64[3]) -> f64 { sum(t * sqrt(-x)) }
         fn f(x: f64) -> f64 { cond(x >= 0.0 & x < 3.0, x, constant([2.0, 3.0, 5.0]), then=read, otherwise=outside) }",
        &[1.5, -4.0, 2.2, -0.5],
    );
}

#[test]
fn batches_nest() {
    let text = "fn test(x: f64, w: f64) -> bool { x < 10.0 }
         fn step(x: f64, w: f64) -> f64 { x * w + 1.0 }
         fn f(x: f64, w: f64) -> f64 { while(x, w, test=test, body=step) * w }";
    let f = graph(text);
    let (xs, ws) = ([0.5, 4.0, 20.0], [1.5, 3.0]);
    for g in [f.clone(), grad(&f, &[true, true]).unwrap()] {
        let inner = vmap(&g, &[Some(0), None], 3).unwrap();
        let outer = vmap(&inner, &[None, Some(0)], 2).unwrap();
        let found = run(
            &outer,
            &[Array::vector(xs.to_vec()), Array::vector(ws.to_vec())],
        );
        for (i, w) in ws.iter().enumerate() {
            for (j, x) in xs.iter().enumerate() {
                let one = run(&g, &[Array::scalar(*x), Array::scalar(*w)]);
                for (all, one) in found.iter().zip(&one) {
                    let (a, b) = (all.to_f64s()[i * 3 + j], one.to_f64s()[0]);
                    assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} and {b}");
                }
            }
        }
    }
}

#[test]
fn a_linearized_loop_transposes_back_and_forth() {
    let f = graph(
        "fn test(x: f64[2], n: i64, a: f64) -> bool { n < 3 }
         fn step(x: f64[2], n: i64, a: f64) -> (f64[2], i64) { (sin(x * a) + reverse(x, axes=[0]), n + 1) }
         fn f(x: f64[2], a: f64) -> f64[2] {
            let r = while(x, 0, a, test=test, body=step, carry=2); get(r, index=0) * a }",
    );
    let inputs = [Array::vector(vec![0.3, -0.7]), Array::scalar(1.2)];
    let parts = linearize(&f, &[true, true]).unwrap();
    let mut values = run(&parts.primal, &inputs);
    let residuals = values.split_off(1);
    let is_linear = |n: usize, from: usize| (0..n).map(|i| i >= from).collect::<Vec<bool>>();
    let k = parts.residuals;
    let back = transpose(&parts.linear, &is_linear(k + 2, k)).unwrap();
    let again = transpose(&back, &is_linear(k + 1, k)).unwrap();
    let t = [Array::vector(vec![0.4, 0.9]), Array::scalar(-0.5)];
    let at = |more: &[Array]| [&residuals[..], more].concat();
    let moved = run(&parts.linear, &at(&t));
    close(&run(&again, &at(&t)), &moved);
    let ct = [Array::vector(vec![-1.1, 0.6])];
    let pulled = run(&back, &at(&ct));
    let inner = |x: &[Array], y: &[Array]| -> f64 {
        let pairs = x.iter().zip(y);
        pairs
            .flat_map(|(x, y)| x.to_f64s().into_iter().zip(y.to_f64s()))
            .map(|(x, y)| x * y)
            .sum()
    };
    assert!((inner(&ct, &moved) - inner(&pulled, &t)).abs() < 1e-12);
}
