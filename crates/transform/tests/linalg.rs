//! Derivatives and batches of linear algebra against differences and loops, by the reference
//! evaluator.

use cotangent_array::{Array, DType};
use cotangent_graph::{Graph, TensorType, eval, parse};
use cotangent_transform::{jvp, vjp, vmap};

/// Numbers in -1 to 1 that follow from the salt (Knuth's MMIX generator).
fn numbers(shape: &[usize], salt: u64) -> Array {
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        })
        .collect();
    Array::new(shape, values).unwrap()
}

/// Small entries beside a diagonal that starts at `first` and grows by `step`.
fn near(shape: &[usize], first: f64, step: f64, salt: u64) -> Array {
    let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let values = numbers(shape, salt).to_f64s();
    let values: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(k, x)| {
            let (i, j) = (k / columns % rows, k % columns);
            0.25 * x + if i == j { first + step * i as f64 } else { 0.0 }
        })
        .collect();
    Array::new(shape, values).unwrap()
}

/// What is tried: a text with one function and its operands, of which those chosen vary.
struct Case {
    text: &'static str,
    args: Vec<Array>,
    vary: Vec<bool>,
}

impl Case {
    fn graph(&self) -> Graph {
        parse(self.text)
            .unwrap_or_else(|e| panic!("{e}\n{}", self.text))
            .entry()
            .clone()
    }
}

/// A weighted sum of all entries of all float results hides nothing; cosines make it curved.
fn cases() -> Vec<Case> {
    let one = |text, a: Array| Case {
        text,
        args: vec![a],
        vary: vec![true],
    };
    let two = |text, a: Array, b: Array| Case {
        text,
        args: vec![a, b],
        vary: vec![true, true],
    };
    vec![
        one(
            "fn f(a: f64[2, 3, 3]) -> f64[2, 3, 3] { cholesky(a) }",
            near(&[2, 3, 3], 2.0, 0.5, 1),
        ),
        two(
            "fn f(a: f64[3, 3], b: f64[3, 2]) -> f64[3, 2] { triangular_solve(a, b) }",
            near(&[3, 3], 1.5, 0.0, 2),
            numbers(&[3, 2], 3),
        ),
        two(
            "fn f(a: f64[3, 3], b: f64[3, 2]) -> f64[3, 2] {
                triangular_solve(a, b, lower=false, unit_diagonal=true, transposed=true) }",
            near(&[3, 3], 1.5, 0.0, 4),
            numbers(&[3, 2], 5),
        ),
        two(
            "fn f(a: f64[2, 3, 3], b: f64[2, 3, 2]) -> f64[2, 3, 2] { solve(a, b) }",
            near(&[2, 3, 3], 1.5, 0.0, 6),
            numbers(&[2, 3, 2], 7),
        ),
        two(
            "fn f(a: f64[3, 3], b: f64[3, 2]) -> f64[3, 2] { solve(a, b, transposed=true) }",
            near(&[3, 3], 1.5, 0.0, 8),
            numbers(&[3, 2], 9),
        ),
        one(
            "fn f(a: f64[3, 3]) -> f64[3, 3] { get(lu(a), index=0) }",
            numbers(&[3, 3], 10),
        ),
        one(
            "fn f(a: f64[2, 3, 5]) -> f64[2, 3, 5] { get(lu(a), index=0) }",
            numbers(&[2, 3, 5], 11),
        ),
        one(
            "fn f(a: f64[5, 3]) -> f64[5, 3] { get(lu(a), index=0) }",
            numbers(&[5, 3], 12),
        ),
        one(
            "fn f(a: f64[3, 3]) -> (f64[3, 3], f64[3, 3]) { qr(a) }",
            numbers(&[3, 3], 13),
        ),
        one(
            "fn f(a: f64[2, 5, 3]) -> (f64[2, 5, 3], f64[2, 3, 3]) { qr(a) }",
            numbers(&[2, 5, 3], 14),
        ),
        one(
            "fn f(a: f64[3, 5]) -> (f64[3, 3], f64[3, 5]) { qr(a) }",
            numbers(&[3, 5], 15),
        ),
        one(
            "fn f(a: f64[3, 3]) -> (f64[3, 3], f64[3], f64[3, 3]) { svd(a) }",
            near(&[3, 3], 1.0, 1.0, 16),
        ),
        one(
            "fn f(a: f64[2, 5, 3]) -> (f64[2, 5, 3], f64[2, 3], f64[2, 3, 3]) { svd(a) }",
            near(&[2, 5, 3], 1.0, 1.0, 17),
        ),
        one(
            "fn f(a: f64[3, 4]) -> (f64[3, 3], f64[3], f64[3, 4]) { svd(a) }",
            near(&[3, 4], 1.0, 1.0, 18),
        ),
        one(
            "fn f(a: f64[4, 3]) -> f64[3] { svdvals(a) }",
            near(&[4, 3], 1.0, 1.0, 19),
        ),
        one(
            "fn f(a: f64[2, 3, 3]) -> (f64[2, 3], f64[2, 3, 3]) { eigh(a) }",
            near(&[2, 3, 3], -1.0, 1.0, 20),
        ),
        one(
            "fn f(a: f64[3, 3]) -> f64[3] { eigvalsh(a) }",
            near(&[3, 3], -1.0, 1.0, 21),
        ),
        one(
            "fn f(a: f64[2, 2, 2]) -> f64[2] { det(a) }",
            numbers(&[2, 2, 2], 22),
        ),
        one("fn f(a: f64[3, 3]) -> f64 { det(a) }", numbers(&[3, 3], 23)),
        one(
            "fn f(a: f64[2, 4, 4]) -> f64[2] { det(a) }",
            numbers(&[2, 4, 4], 24),
        ),
        one("fn f(a: f64[5, 5]) -> f64 { det(a) }", numbers(&[5, 5], 25)),
        one(
            "fn f(a: f64[2, 4, 4]) -> (f64[2], f64[2]) { slogdet(a) }",
            near(&[2, 4, 4], -1.0, 0.0, 26),
        ),
        one(
            "fn f(a: f64[4, 3]) -> f64[3, 4] { pinv(a, 0.001) }",
            numbers(&[4, 3], 27),
        ),
        one(
            "fn f(a: f64[2, 3, 4]) -> f64[2, 4, 3] { pinv(a, full(0.001, shape=[2])) }",
            numbers(&[2, 3, 4], 28),
        ),
        // Of rank 2 wherever it moves.
        two(
            "fn f(x: f64[4, 2], y: f64[2, 3]) -> f64[3, 4] { pinv(x @ y, 0.000001) }",
            numbers(&[4, 2], 29),
            numbers(&[2, 3], 30),
        ),
        one(
            "fn f(a: f64[2, 3, 3]) -> f64[2, 3, 3] { expm(a) }",
            numbers(&[2, 3, 3], 31),
        ),
        two(
            "fn f(a: f64[3, 3], e: f64[3, 3]) -> f64[3, 3] { expm_frechet(a, e) }",
            numbers(&[3, 3], 32),
            numbers(&[3, 3], 33),
        ),
    ]
}

fn run(graph: &Graph, inputs: &[Array]) -> Vec<Array> {
    eval(graph, inputs).unwrap_or_else(|e| panic!("{e}\n{}", cotangent_graph::print(graph)))
}

/// x + by * t for the inputs that vary.
fn moved(args: &[Array], vary: &[bool], directions: &[Array], by: f64) -> Vec<Array> {
    let mut directions = directions.iter();
    args.iter()
        .zip(vary)
        .map(|(a, vary)| {
            if !vary {
                return a.clone();
            }
            let d = directions.next().unwrap().to_f64s();
            let sums: Vec<f64> = a.to_f64s().iter().zip(d).map(|(x, d)| x + by * d).collect();
            Array::new(a.shape(), sums).unwrap()
        })
        .collect()
}

fn directions(args: &[Array], vary: &[bool], salt: u64) -> Vec<Array> {
    args.iter()
        .zip(vary)
        .enumerate()
        .filter(|(_, (_, vary))| **vary)
        .map(|(i, (a, _))| numbers(a.shape(), salt + i as u64))
        .collect()
}

fn close(what: &str, text: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what} of {text}");
    let scale = expected.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{what} of {text}: expected {e}, found {f}"
        );
    }
}

/// The tangents that the jvp graph gives behind the values.
fn tangents(graph: &Graph, first: &Graph, args: &[Array], t: &[Array]) -> Vec<f64> {
    let inputs: Vec<Array> = args.iter().chain(t).cloned().collect();
    let outputs = run(first, &inputs);
    outputs[graph.outputs().len()..]
        .iter()
        .flat_map(|a| a.to_f64s())
        .collect()
}

#[test]
fn forward_mode_agrees_with_differences_to_the_second_order() {
    for case in cases() {
        let (graph, step) = (case.graph(), 1e-5);
        let t = directions(&case.args, &case.vary, 100);
        let first = jvp(&graph, &case.vary).unwrap();
        let found = tangents(&graph, &first, &case.args, &t);
        let floats = |by: f64| -> Vec<f64> {
            run(&graph, &moved(&case.args, &case.vary, &t, by))
                .iter()
                .filter(|a| a.dtype().is_float())
                .flat_map(|a| a.to_f64s())
                .collect()
        };
        let slope = |after: Vec<f64>, before: Vec<f64>| -> Vec<f64> {
            after
                .iter()
                .zip(before)
                .map(|(x, y)| (x - y) / (2.0 * step))
                .collect()
        };
        close(
            "jvp",
            case.text,
            &found,
            &slope(floats(step), floats(-step)),
            1e-7,
        );

        // The tangent of the tangent, along another direction.
        let s = directions(&case.args, &case.vary, 200);
        let mut vary = case.vary.clone();
        vary.extend(case.vary.iter().filter(|v| **v).map(|_| false));
        let second = jvp(&first, &vary).unwrap();
        let inputs: Vec<Array> = case.args.iter().chain(&t).chain(&s).cloned().collect();
        let outputs = run(&second, &inputs);
        let plain = graph.outputs().len();
        let values = first.outputs().len();
        let floats = outputs.len() - values;
        let own = floats - (values - plain);
        let found: Vec<f64> = outputs[values + own..]
            .iter()
            .flat_map(|a| a.to_f64s())
            .collect();
        let at = |by: f64| tangents(&graph, &first, &moved(&case.args, &case.vary, &s, by), &t);
        close(
            "second jvp",
            case.text,
            &found,
            &slope(at(step), at(-step)),
            1e-6,
        );
    }
}

#[test]
fn reverse_mode_is_the_transpose_of_forward_mode() {
    for case in cases() {
        let graph = case.graph();
        let t = directions(&case.args, &case.vary, 300);
        let first = jvp(&graph, &case.vary).unwrap();
        let found = tangents(&graph, &first, &case.args, &t);
        let back = vjp(&graph, &case.vary).unwrap();
        let cotangents: Vec<Array> = graph
            .output_types()
            .iter()
            .filter(|ty| ty.dtype.is_float())
            .enumerate()
            .map(|(i, ty)| numbers(&ty.shape, 400 + i as u64))
            .collect();
        let inputs: Vec<Array> = case.args.iter().chain(&cotangents).cloned().collect();
        let pulled = run(&back, &inputs);
        let inner = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
        let flat = |all: &[Array]| -> Vec<f64> { all.iter().flat_map(|a| a.to_f64s()).collect() };
        let left = inner(&found, &flat(&cotangents));
        let right = inner(&flat(&t), &flat(&pulled));
        close("inner product", case.text, &[left], &[right], 1e-10);
        // Forward over reverse: the transposed graph has derivatives, too.
        let vary: Vec<bool> = case
            .vary
            .iter()
            .copied()
            .chain(cotangents.iter().map(|_| false))
            .collect();
        let second = jvp(&back, &vary).unwrap();
        let inputs: Vec<Array> = inputs.iter().chain(&t).cloned().collect();
        let found = flat(&run(&second, &inputs)[pulled.len()..]);
        let step = 1e-5;
        let at = |by: f64| {
            let mut inputs = moved(&case.args, &case.vary, &t, by);
            inputs.extend(cotangents.iter().cloned());
            flat(&run(&back, &inputs))
        };
        let slope: Vec<f64> = at(step)
            .iter()
            .zip(at(-step))
            .map(|(x, y)| (x - y) / (2.0 * step))
            .collect();
        close("jvp of vjp", case.text, &found, &slope, 1e-6);
    }
}

#[test]
fn a_batch_is_a_loop() {
    let size = 3;
    for case in cases() {
        let graph = case.graph();
        // Every choice of operands that have the batch, but none.
        for choice in 1..1_usize << case.args.len() {
            let has = |i: usize| choice >> i & 1 == 1;
            let axes: Vec<Option<usize>> =
                (0..case.args.len()).map(|i| has(i).then_some(0)).collect();
            let batched = vmap(&graph, &axes, size).unwrap();
            let member = |i: usize, k: usize| -> Array {
                let a = &case.args[i];
                let noise = numbers(a.shape(), 500 + k as u64).to_f64s();
                let values: Vec<f64> = a
                    .to_f64s()
                    .iter()
                    .zip(noise)
                    .map(|(x, n)| x + 0.05 * n)
                    .collect();
                if has(i) {
                    Array::new(a.shape(), values).unwrap()
                } else {
                    a.clone()
                }
            };
            let inputs: Vec<Array> = (0..case.args.len())
                .map(|i| {
                    if !has(i) {
                        return case.args[i].clone();
                    }
                    let values: Vec<f64> = (0..size).flat_map(|k| member(i, k).to_f64s()).collect();
                    let shape = [&[size], &case.args[i].shape()[..]].concat();
                    Array::new(shape, values).unwrap()
                })
                .collect();
            let found = run(&batched, &inputs);
            for k in 0..size {
                let own: Vec<Array> = (0..case.args.len()).map(|i| member(i, k)).collect();
                for (all, expected) in found.iter().zip(run(&graph, &own)) {
                    let n = expected.len();
                    let row = &all.to_f64s()[k * n..(k + 1) * n];
                    close("vmap", case.text, row, &expected.to_f64s(), 1e-11);
                }
            }
        }
    }
}

/// The determinant is a polynomial, so its derivatives are right at singular matrices, whatever
/// their rank: against differences of exact values at a matrix of small whole numbers.
#[test]
fn the_determinant_is_differentiated_at_singular_matrices() {
    for n in [2_usize, 3, 4, 5] {
        for rank in 0..n {
            let text = format!("fn f(a: f64[{n}, {n}]) -> f64 {{ det(a) }}");
            let graph = parse(&text).unwrap().entry().clone();
            let (x, y) = (numbers(&[n, n], 600), numbers(&[n, n], 601));
            let (x, y) = (x.to_f64s(), y.to_f64s());
            let values: Vec<f64> = (0..n * n)
                .map(|k| (0..rank).map(|r| x[k / n * n + r] * y[r * n + k % n]).sum())
                .collect();
            let a = Array::new([n, n], values).unwrap();
            let (t, s) = (numbers(&[n, n], 602), numbers(&[n, n], 603));
            let first = jvp(&graph, &[true]).unwrap();
            let second = jvp(&first, &[true, false]).unwrap();
            let step = 1e-4;
            let value = |by: f64, along: f64| {
                let at = moved(
                    &moved(
                        std::slice::from_ref(&a),
                        &[true],
                        std::slice::from_ref(&t),
                        by,
                    ),
                    &[true],
                    std::slice::from_ref(&s),
                    along,
                );
                run(&graph, &at)[0].to_f64s()[0]
            };
            let slope = (value(step, 0.0) - value(-step, 0.0)) / (2.0 * step);
            let found = run(&first, &[a.clone(), t.clone()])[1].to_f64s();
            close(
                "det",
                &format!("{text} of rank {rank}"),
                &found,
                &[slope],
                1e-6,
            );
            let mixed = (value(step, step) - value(step, -step) - value(-step, step)
                + value(-step, -step))
                / (4.0 * step * step);
            let found = run(&second, &[a.clone(), t.clone(), s.clone()])[3].to_f64s();
            close(
                "second det",
                &format!("{text} of rank {rank}"),
                &found,
                &[mixed],
                1e-5,
            );
        }
    }
}

/// Equal eigenvalues and singular values leave no NaN behind where their vectors do not matter.
#[test]
fn sums_of_spectra_have_derivatives_at_multiple_values() {
    let ones = Array::new([3, 3], vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
    for (text, expected) in [
        ("fn f(a: f64[3, 3]) -> f64 { sum(eigvalsh(a)) }", 1.0),
        ("fn f(a: f64[3, 3]) -> f64 { sum(svdvals(a)) }", 1.0),
        (
            "fn f(a: f64[3, 3]) -> f64 { let v = eigh(a); sum(exp(get(v, index=0))) }",
            1_f64.exp(),
        ),
        (
            "fn f(a: f64[3, 3]) -> f64 { let v = svd(a); sum(get(v, index=1) ** 2) }",
            2.0,
        ),
    ] {
        let graph = parse(text).unwrap().entry().clone();
        let gradient = cotangent_transform::grad(&graph, &[true]).unwrap();
        let found = run(&gradient, std::slice::from_ref(&ones))[0].to_f64s();
        let wanted: Vec<f64> = ones.to_f64s().iter().map(|x| x * expected).collect();
        close("gradient", text, &found, &wanted, 1e-12);
    }
}

#[test]
fn f32_stays_f32() {
    let graph = parse("fn f(a: f32[3, 3]) -> (f32[3], f32[3, 3]) { eigh(a) }").unwrap();
    let back = vjp(graph.entry(), &[true]).unwrap();
    assert_eq!(back.output_types(), [TensorType::new(DType::F32, [3, 3])]);
}
