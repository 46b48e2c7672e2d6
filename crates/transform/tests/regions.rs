//! Derivatives and batches of branches and loops, against the unrolled function.

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse, print};
use cotangent_transform::{Mode, grad, hessian, hvp, jacobian, jvp, vmap};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

fn run(g: &Graph, inputs: &[Array]) -> Vec<Vec<f64>> {
    g.verify().unwrap();
    let text = print(g);
    let again = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
    assert_eq!(again.entry(), g, "{text}");
    eval(g, inputs)
        .unwrap()
        .iter()
        .map(Array::to_f64s)
        .collect()
}

fn close(a: &[Vec<f64>], b: &[Vec<f64>]) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().flatten().zip(b.iter().flatten()) {
        assert!((x - y).abs() <= 1e-12 * y.abs().max(1.0), "{a:?}\n{b:?}");
    }
}

/// Every derivative of two functions that mean the same agrees.
fn same(loops: &str, plain: &str, inputs: &[Array]) {
    let (f, g) = (graph(loops), graph(plain));
    let wrt: Vec<bool> = f.input_types().iter().map(|t| t.dtype.is_float()).collect();
    close(&run(&f, inputs), &run(&g, inputs));
    let pair = |d: &dyn Fn(&Graph) -> Graph, inputs: &[Array]| {
        close(&run(&d(&f), inputs), &run(&d(&g), inputs));
    };
    let mut moving = inputs.to_vec();
    moving.extend(inputs.iter().filter(|a| a.dtype().is_float()).cloned());
    pair(&|h| jvp(h, &wrt).unwrap(), &moving);
    pair(&|h| grad(h, &wrt).unwrap(), inputs);
    pair(&|h| hvp(h, &wrt).unwrap(), &moving);
    pair(&|h| hessian(h, &wrt).unwrap(), inputs);
    pair(
        &|h| jacobian(&grad(h, &wrt).unwrap(), &wrt, Mode::Reverse).unwrap(),
        inputs,
    );
    let third = |h: &Graph| jvp(&hvp(h, &wrt).unwrap(), &vec![true; moving.len()]).unwrap();
    if inputs.iter().all(|a| a.dtype().is_float()) {
        let mut twice = moving.clone();
        twice.extend(moving.clone());
        pair(&third, &twice);
    }
    // A batch of two different examples.
    let both: Vec<Array> = inputs
        .iter()
        .map(|a| {
            let mut values = a.to_f64s();
            let other: Vec<f64> = values
                .iter()
                .map(|x| {
                    if a.dtype().is_float() {
                        x * 0.5 + 0.25
                    } else {
                        *x
                    }
                })
                .collect();
            values.extend(other);
            let shape = [&[2], a.shape().dims()].concat();
            Array::new(shape, values).unwrap().convert(a.dtype())
        })
        .collect();
    let axes = vec![Some(0); inputs.len()];
    pair(&|h| vmap(h, &axes, 2).unwrap(), &both);
    pair(&|h| vmap(&grad(h, &wrt).unwrap(), &axes, 2).unwrap(), &both);
    pair(
        &|h| grad(&summed(&vmap(h, &axes, 2).unwrap()), &wrt).unwrap(),
        &both,
    );
}

fn summed(g: &Graph) -> Graph {
    let mut b = cotangent_graph::Builder::new("summed");
    let inputs: Vec<_> = g
        .inputs()
        .iter()
        .zip(g.input_types())
        .map(|((n, _), t)| b.input(n, t))
        .collect();
    let out = b.inline(g, &inputs)[0];
    let total = b.sum(out, &[0]);
    b.finish(&[total]).unwrap()
}

#[test]
fn a_branch_is_the_function_it_takes() {
    let text = "
        fn curved(x: f64, y: f64) -> f64 { sin(x * y) * exp(y) }
        fn flat(x: f64, y: f64) -> f64 { x * 2.0 }
        fn f(p: bool, x: f64, y: f64) -> f64 { cond(p, x * x, y, then=curved, otherwise=flat) * y }";
    for (p, plain) in [
        (
            true,
            "fn f(p: bool, x: f64, y: f64) -> f64 { sin(x * x * y) * exp(y) * y }",
        ),
        (
            false,
            "fn f(p: bool, x: f64, y: f64) -> f64 { x * x * 2.0 * y }",
        ),
    ] {
        same(
            text,
            plain,
            &[Array::scalar(p), Array::scalar(0.7), Array::scalar(0.4)],
        );
    }
}

#[test]
fn a_batch_of_conditions_selects() {
    let f = graph(
        "fn a(x: f64) -> f64 { sqrt(x) }
         fn b(x: f64) -> f64 { -x }
         fn f(x: f64) -> f64 { cond(x > 0.0, x, then=a, otherwise=b) }",
    );
    let g = vmap(&grad(&f, &[true]).unwrap(), &[Some(0)], 2).unwrap();
    assert_eq!(run(&g, &[Array::vector(vec![4.0, 0.0])]), [[0.25, -1.0]]);
}

#[test]
fn a_scan_is_its_unrolled_steps() {
    let step = "fn step(h: f64, x: f64, w: f64) -> (f64, f64) { (tanh(w * h + x), h * exp(w)) }";
    for (reverse, order) in [("false", [0, 1, 2]), ("true", [2, 1, 0])] {
        let loops = format!(
            "{step} fn f(h: f64, x: f64[3], w: f64) -> f64 {{
                let r = scan(h, x, w, body=step, carry=1, scanned=1, reverse={reverse});
                get(r, index=0) * sum(get(r, index=1) * constant([1.0, 2.0, 3.0])) }}"
        );
        let mut plain =
            "fn f(h: f64, x: f64[3], w: f64) -> f64 { let h0 = h; let s0 = 0.0;".to_owned();
        for (k, i) in order.iter().enumerate() {
            let n = k + 1;
            plain += &format!(
                "let s{n} = s{k} + h{k} * exp(w) * {}.0; let h{n} = tanh(w * h{k} + x[{i}]);",
                i + 1
            );
        }
        plain += " h3 * s3 }";
        let x = Array::vector(vec![0.3, -0.2, 0.5]);
        same(&loops, &plain, &[Array::scalar(0.1), x, Array::scalar(0.8)]);
    }
}

#[test]
fn carried_values_come_to_vary_on_the_way() {
    // b does not vary at first; the first step makes it vary through a.
    let loops =
        "fn step(a: f64, b: f64, n: i64) -> (f64, f64, i64) { (a * 1.5 + sin(b), a, n + 1) }
        fn f(x: f64) -> f64 { let r = scan(x, 1.0, 0, body=step, carry=3, scanned=0, length=4);
            get(r, index=0) * get(r, index=1) }";
    let mut plain = "fn f(x: f64) -> f64 { let a0 = x; let b0: f64 = 1.0;".to_owned();
    for k in 0..4 {
        plain += &format!(
            "let a{n} = a{k} * 1.5 + sin(b{k}); let b{n} = a{k};",
            n = k + 1
        );
    }
    same(loops, &format!("{plain} a4 * b4 }}"), &[Array::scalar(0.3)]);
}

#[test]
fn loops_of_no_steps_and_loops_in_loops() {
    let loops = "fn inner(h: f64, x: f64) -> f64 { h * x + sin(h) }
        fn outer(h: f64, x: f64[2]) -> f64 { scan(h, x, body=inner, carry=1, scanned=1) }
        fn f(h: f64, x: f64[2, 2]) -> f64 { scan(h, x, body=outer, carry=1, scanned=1) }";
    let mut plain = "fn f(h: f64, x: f64[2, 2]) -> f64 { let h0 = h;".to_owned();
    for k in 0..4 {
        plain += &format!(
            "let h{n} = h{k} * x[{i}, {j}] + sin(h{k});",
            n = k + 1,
            i = k / 2,
            j = k % 2
        );
    }
    let x = Array::new([2, 2], vec![0.5, -0.4, 0.3, 0.9]).unwrap();
    same(loops, &format!("{plain} h4 }}"), &[Array::scalar(0.6), x]);
    let none = "fn step(h: f64, w: f64) -> f64 { h * w }
        fn f(h: f64, w: f64) -> f64 { scan(h, w, body=step, carry=1, scanned=0, length=0) + w * w }";
    same(
        none,
        "fn f(h: f64, w: f64) -> f64 { h + w * w }",
        &[Array::scalar(2.0), Array::scalar(3.0)],
    );
}

#[test]
fn shared_values_are_not_stacked() {
    let f = graph(
        "fn step(h: f64[3], w: f64[3, 3]) -> f64[3] { tanh(w @ h) }
         fn f(h: f64[3], w: f64[3, 3]) -> f64 { sum(scan(h, w, body=step, carry=1, scanned=0, length=5)) }",
    );
    let text = print(&grad(&f, &[true, true]).unwrap());
    assert!(!text.contains("f64[5, 3, 3]"), "{text}");
    assert!(text.contains("f64[5, 3]"), "{text}");
}

#[test]
fn a_while_runs_forward_and_batched() {
    let f = graph(
        "fn test(x: f64, n: i64, a: f64) -> bool { x < 10.0 }
         fn step(x: f64, n: i64, a: f64) -> (f64, i64) { (x * a, n + 1) }
         fn f(x: f64, a: f64) -> (f64, i64) { while(x, 0, a, test=test, body=step, carry=2) }",
    );
    let inputs = [Array::scalar(1.0), Array::scalar(3.0)];
    assert_eq!(run(&f, &inputs), [[27.0], [3.0]]);
    let mut moving = inputs.to_vec();
    moving.extend([Array::scalar(0.0), Array::scalar(1.0)]);
    // d(a^3 x)/da = 3 a^2 x
    assert_eq!(
        run(&jvp(&f, &[true, true]).unwrap(), &moving),
        [[27.0], [3.0], [27.0]]
    );
    let batched = vmap(&f, &[Some(0), None], 3).unwrap();
    let x = Array::vector(vec![1.0, 5.0, 20.0]);
    assert_eq!(
        run(&batched, &[x, Array::scalar(3.0)]),
        [[27.0, 15.0, 20.0], [3.0, 1.0, 0.0]]
    );
}

#[test]
fn a_while_runs_backward() {
    // Four steps for the values below, so the unrolled function is the same around them.
    let loops = "fn test(x: f64, n: i64, a: f64) -> bool { n < 4 }
        fn step(x: f64, n: i64, a: f64) -> (f64, i64) { (sin(x * a) + a, n + 1) }
        fn f(x: f64, a: f64) -> f64 {
            let r = while(x, 0, a, test=test, body=step, carry=2); get(r, index=0) * a }";
    let mut plain = "fn f(x: f64, a: f64) -> f64 { let x0 = x;".to_owned();
    for k in 0..4 {
        plain += &format!("let x{} = sin(x{k} * a) + a;", k + 1);
    }
    let (f, g) = (graph(loops), graph(&(plain + "x4 * a }")));
    let inputs = [Array::scalar(0.7), Array::scalar(1.3)];
    let wrt = [true, true];
    let pair = |d: &dyn Fn(&Graph) -> Graph, inputs: &[Array]| {
        close(&run(&d(&f), inputs), &run(&d(&g), inputs));
    };
    pair(&|h| grad(h, &wrt).unwrap(), &inputs);
    let mut moving = inputs.to_vec();
    moving.extend([Array::scalar(0.2), Array::scalar(-0.6)]);
    pair(&|h| hvp(h, &wrt).unwrap(), &moving);
    pair(&|h| hessian(h, &wrt).unwrap(), &inputs);
    let third = |h: &Graph| jvp(&hvp(h, &wrt).unwrap(), &[true; 4]).unwrap();
    let mut twice = moving.clone();
    twice.extend(moving);
    pair(&third, &twice);
    let both = [
        Array::vector(vec![0.7, -0.4]),
        Array::vector(vec![1.3, 0.8]),
    ];
    pair(
        &|h| vmap(&grad(h, &wrt).unwrap(), &[Some(0), Some(0)], 2).unwrap(),
        &both,
    );
}

#[test]
fn a_while_that_never_runs_passes_cotangents_through() {
    let f = graph(
        "fn test(x: f64) -> bool { x > 1.0 }
         fn step(x: f64) -> f64 { x * 0.5 }
         fn f(x: f64) -> f64 { while(x, test=test, body=step) * 3.0 }",
    );
    let df = grad(&f, &[true]).unwrap();
    assert_eq!(run(&df, &[Array::scalar(0.5)]), [[3.0]]);
    assert_eq!(run(&df, &[Array::scalar(3.0)]), [[0.75]]);
    let batched = vmap(&df, &[Some(0)], 3).unwrap();
    assert_eq!(
        run(&batched, &[Array::vector(vec![0.5, 3.0, 1.5])]),
        [[3.0, 0.75, 1.5]]
    );
}
