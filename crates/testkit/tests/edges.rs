//! The derivative at every kink and border is what the operation's convention says, in both modes,
//! at both float dtypes and to higher orders.

use cotangent_array::{Array, Scalar};
use cotangent_graph::ops::{ArrayOp, Binary, Compare, Indexed, Row, Special, Ternary, Test, Unary};
use cotangent_graph::{Builder, Graph, Var, eval, parse};
use cotangent_testkit::Engine;
use cotangent_testkit::golden::value;
use cotangent_transform::{grad, jvp, vjp};

const INF: f64 = f64::INFINITY;

/// An operation at a kink: a function of x (and y, z) of type T, the point, and the gradients.
struct Kink {
    op: &'static str,
    text: &'static str,
    at: &'static [&'static str],
    gradients: &'static [&'static [f64]],
}

macro_rules! kinks {
    ($($op:literal: $text:literal at $($at:literal),+ => $([$($g:expr),*]),+;)+) => {
        &[$(Kink { op: $op, text: $text, at: &[$($at),+], gradients: &[$(&[$($g),*]),+] }),+]
    };
}

/// At least one row for every operation that has a convention.
const KINKS: &[Kink] = kinks! {
    "stop_gradient": "fn f(x: T) -> T { stop_gradient(x) * x }" at "3" => [3.0];
    "abs": "fn f(x: T) -> T { abs(x) }" at "0" => [0.0];
    "abs": "fn f(x: T) -> T { abs(x) }" at "-0.0" => [0.0];
    "sign": "fn f(x: T) -> T { sign(x) }" at "0" => [0.0];
    "floor": "fn f(x: T) -> T { floor(x) }" at "2" => [0.0];
    "ceil": "fn f(x: T) -> T { ceil(x) }" at "2" => [0.0];
    "round": "fn f(x: T) -> T { round(x) }" at "2.5" => [0.0];
    "trunc": "fn f(x: T) -> T { trunc(x) }" at "2" => [0.0];
    "sqrt": "fn f(x: T) -> T { sqrt(x) }" at "0" => [INF];
    "rsqrt": "fn f(x: T) -> T { rsqrt(x) }" at "0" => [-INF];
    "cbrt": "fn f(x: T) -> T { cbrt(x) }" at "0" => [INF];
    "log": "fn f(x: T) -> T { log(x) }" at "0" => [INF];
    "log2": "fn f(x: T) -> T { log2(x) }" at "0" => [INF];
    "log10": "fn f(x: T) -> T { log10(x) }" at "0" => [INF];
    "log1p": "fn f(x: T) -> T { log1p(x) }" at "-1" => [INF];
    "asin": "fn f(x: T) -> T { asin(x) }" at "1" => [INF];
    "asin": "fn f(x: T) -> T { asin(x) }" at "-1" => [INF];
    "acos": "fn f(x: T) -> T { acos(x) }" at "1" => [-INF];
    "acos": "fn f(x: T) -> T { acos(x) }" at "-1" => [-INF];
    "acosh": "fn f(x: T) -> T { acosh(x) }" at "1" => [INF];
    "atanh": "fn f(x: T) -> T { atanh(x) }" at "1" => [INF];
    "atanh": "fn f(x: T) -> T { atanh(x) }" at "-1" => [INF];
    "lgamma": "fn f(x: T) -> T { lgamma(x) }" at "-1" => [f64::NAN];
    "digamma": "fn f(x: T) -> T { digamma(x) }" at "-1" => [INF];
    "powi": "fn f(x: T) -> T { powi(x, n=0) }" at "0" => [0.0];
    "powi": "fn f(x: T) -> T { powi(x, n=1) }" at "0" => [1.0];
    "powi": "fn f(x: T) -> T { powi(x, n=2) }" at "0" => [0.0];
    "powi": "fn f(x: T) -> T { powi(x, n=-1) }" at "0" => [-INF];
    "polygamma": "fn f(x: T) -> T { polygamma(x, n=2) }" at "-1" => [INF];
    "erfinv": "fn f(x: T) -> T { erfinv(x) }" at "1" => [INF];
    "erfinv": "fn f(x: T) -> T { erfinv(x) }" at "-1" => [INF];
    "erfcinv": "fn f(x: T) -> T { erfcinv(x) }" at "0" => [-INF];
    "erfcinv": "fn f(x: T) -> T { erfcinv(x) }" at "2" => [-INF];
    "bessel_y": "fn f(x: T) -> T { bessel_y(x, n=0) }" at "0" => [INF];
    "bessel_ie": "fn f(x: T) -> T { bessel_ie(x, n=0) }" at "0" => [0.0];
    "bessel_ie": "fn f(x: T) -> T { bessel_ie(x, n=1) }" at "0" => [0.5];
    "bessel_k": "fn f(x: T) -> T { bessel_k(x, n=1) }" at "0" => [-INF];
    "bessel_ke": "fn f(x: T) -> T { bessel_ke(x, n=1) }" at "0" => [f64::NAN];
    "gammainc": "fn f(x: T) -> T { gammainc(1.0, x) }" at "0" => [1.0];
    "gammainc": "fn f(x: T) -> T { gammainc(2.0, x, orders=[0, 1]) }" at "0" => [1.0];
    "gammainc": "fn f(x: T) -> T { gammainc(0.5, x) }" at "0" => [INF];
    "gammainc": "fn f(a: T) -> T { gammainc(a, 1.0) }" at "0" => [-0.219_383_934_395_520_28];
    "gammaincc": "fn f(x: T) -> T { gammaincc(1.0, x) }" at "0" => [-1.0];
    "gammaincc": "fn f(a: T) -> T { gammaincc(a, 1.0) }" at "0" => [0.219_383_934_395_520_28];
    "betainc": "fn f(x: T) -> T { betainc(1.0, 3.0, x) }" at "0" => [3.0];
    "betainc": "fn f(x: T) -> T { betainc(3.0, 1.0, x) }" at "1" => [3.0];
    "betainc": "fn f(x: T) -> T { betainc(2.0, 0.5, x) }" at "1" => [INF];
    "betainc": "fn f(a: T) -> T { betainc(a, 1.0, 0.5) }" at "0" => [-std::f64::consts::LN_2];
    "zeta": "fn f(q: T) -> T { zeta(2.0, q) }" at "0" => [-INF];
    "mul": "fn f(x: T, y: T) -> T { x * (1.0 / y) }" at "0", "0" => [INF], [0.0];
    "zmul": "fn f(x: T, y: T) -> T { zmul(x, y) }" at "0", "3" => [3.0], [0.0];
    "zmul": "fn f(x: T, y: T) -> T { zmul(x, y) }" at "0", "inf" => [INF], [0.0];
    "zmul": "fn f(x: T, y: T) -> T { zmul(x, y) }" at "0", "nan" => [f64::NAN], [0.0];
    "div": "fn f(x: T, y: T) -> T { x / y }" at "3", "0" => [INF], [-INF];
    "rem": "fn f(x: T, y: T) -> T { rem(x, y) }" at "6", "2" => [1.0], [-3.0];
    "pow": "fn f(x: T, y: T) -> T { pow(x, y) }" at "0", "0" => [0.0], [0.0];
    "pow": "fn f(x: T, y: T) -> T { pow(x, y) }" at "0", "1" => [1.0], [0.0];
    "pow": "fn f(x: T, y: T) -> T { pow(x, y) }" at "0", "2" => [0.0], [0.0];
    "pow": "fn f(x: T, y: T) -> T { pow(x, y) }" at "5", "0" => [0.0], [1.6094379124341003];
    "atan2": "fn f(y: T, x: T) -> T { atan2(y, x) }" at "0", "0" => [0.0], [0.0];
    "maximum": "fn f(x: T, y: T) -> T { maximum(x, y) }" at "2", "2" => [0.5], [0.5];
    "maximum": "fn f(x: T, y: T) -> T { maximum(x, y) }" at "0", "-0.0" => [0.5], [0.5];
    "minimum": "fn f(x: T, y: T) -> T { minimum(x, y) }" at "2", "2" => [0.5], [0.5];
    "select": "fn f(x: T, y: T) -> T { select(x > 0.0, x, y) }" at "0", "7" => [0.0], [1.0];
    "clamp": "fn f(x: T, l: T, h: T) -> T { clamp(x, l, h) }" at "0", "0", "1" => [1.0], [0.0], [0.0];
    "clamp": "fn f(x: T, l: T, h: T) -> T { clamp(x, l, h) }" at "1", "0", "1" => [1.0], [0.0], [0.0];
    "clamp": "fn f(x: T, l: T, h: T) -> T { clamp(x, l, h) }" at "2", "0", "1" => [0.0], [0.0], [1.0];
    "clamp": "fn f(x: T, l: T, h: T) -> T { clamp(x, l, h) }" at "-2", "0", "1" => [0.0], [1.0], [0.0];
    "clamp": "fn f(x: T, l: T, h: T) -> T { clamp(x, l, h) }" at "0", "2", "1" => [0.0], [0.0], [1.0];
    "prod": "fn f(x: T[3]) -> T { prod(x, axes=[0]) }" at "[0, 3, 5]" => [15.0, 0.0, 0.0];
    "prod": "fn f(x: T[3]) -> T { prod(x, axes=[0]) }" at "[0, 3, 0]" => [0.0, 0.0, 0.0];
    "prod": "fn f(x: T[0]) -> T { prod(x, axes=[0]) }" at "[]" => [];
    "cumprod": "fn f(x: T[3]) -> T { sum(cumprod(x, axis=0)) }" at "[0, 3, 5]" => [19.0, 0.0, 0.0];
    "cumprod": "fn f(x: T[3]) -> T { sum(cumprod(x, axis=0, reverse=true)) }" at "[0, 3, 0]" => [0.0, 0.0, 4.0];
    "norm": "fn f(x: T[2]) -> T { norm(x, axes=[0]) }" at "[0, 0]" => [0.0, 0.0];
    "norm": "fn f(x: T[2]) -> T { norm(x, axes=[0]) }" at "[3, 4]" => [0.6, 0.8];
    "norm": "fn f(x: T[0]) -> T { norm(x, axes=[0]) }" at "[]" => [];
    "max": "fn f(x: T[4]) -> T { max(x, axes=[0]) }" at "[1, 7, 7, 7]" => [0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0];
    "max": "fn f(x: T[2]) -> T { max(x, axes=[0]) }" at "[inf, 1]" => [1.0, 0.0];
    "min": "fn f(x: T[4]) -> T { min(x, axes=[0]) }" at "[1, 1, 7, 1]" => [1.0 / 3.0, 1.0 / 3.0, 0.0, 1.0 / 3.0];
    "window_max": "fn f(x: T[4]) -> T { sum(window_max(x, window=[2], stride=[2])) }" at "[5, 5, 1, 2]" => [1.0, 0.0, 0.0, 1.0];
};

#[test]
fn every_convention_is_tested() {
    let rows: Vec<&Row> = (Unary::ALL.iter().map(|o| o.row()))
        .chain(Indexed::ALL.iter().map(|o| o.row()))
        .chain(Binary::ALL.iter().map(|o| o.row()))
        .chain(Compare::ALL.iter().map(|o| o.row()))
        .chain(Test::ALL.iter().map(|o| o.row()))
        .chain(Ternary::ALL.iter().map(|o| o.row()))
        .chain(Special::ALL.iter().map(|o| o.row()))
        .collect();
    let mut stated: Vec<&str> = rows
        .iter()
        .filter(|r| !r.convention.is_empty() || !r.kinks.is_empty())
        .map(|r| r.name)
        .collect();
    let arrays = ArrayOp::ALL
        .iter()
        .filter(|(_, _, _, convention)| !convention.is_empty());
    stated.extend(arrays.map(|(name, ..)| *name));
    for name in &stated {
        assert!(
            KINKS.iter().any(|k| k.op == *name),
            "no test of the convention of `{name}`"
        );
    }
    for kink in KINKS {
        assert!(
            stated.contains(&kink.op),
            "`{}` is tested here but states no convention",
            kink.op
        );
        assert!(kink.text.contains(&format!("{}(", kink.op)) || "mul div".contains(kink.op));
    }
}

#[test]
fn gradients_at_kinks_are_those_stated() {
    for kink in KINKS {
        for dtype in ["f64", "f32"] {
            let (graph, inputs) = kink.build(dtype);
            let wrt = vec![true; inputs.len()];
            let reverse = grad(&graph, &wrt).unwrap();
            let found = eval(&reverse, &inputs).unwrap();
            let program = (Engine::default().run)(&reverse, &[&inputs])
                .unwrap()
                .remove(0);
            let mut forward = Vec::new();
            for (i, input) in inputs.iter().enumerate() {
                forward.push(
                    (0..input.len())
                        .map(|e| {
                            let only: Vec<bool> = (0..inputs.len()).map(|j| j == i).collect();
                            let pushed = jvp(&graph, &only).unwrap();
                            let basis = (0..input.len()).map(|k| {
                                Scalar::from_f64(input.dtype(), f64::from(u8::from(k == e)))
                            });
                            let basis: Vec<Scalar> = basis.collect();
                            let t =
                                Array::from_scalars(input.dtype(), input.shape().clone(), basis);
                            let at = [&inputs[..], &[t.unwrap()]].concat();
                            eval(&pushed, &at).unwrap()[1].at(0).unwrap().to_f64()
                        })
                        .collect::<Vec<f64>>(),
                );
            }
            for (i, expected) in kink.gradients.iter().enumerate() {
                let what = format!("{dtype}: {} at {:?}, input {i}", kink.text, kink.at);
                same(&forward[i], expected, dtype, &format!("forward, {what}"));
                same(
                    &found[i].to_f64s(),
                    expected,
                    dtype,
                    &format!("reverse, {what}"),
                );
                same(
                    &program[i].to_f64s(),
                    expected,
                    dtype,
                    &format!("program, {what}"),
                );
            }
        }
    }
}

#[test]
fn zero_tangents_and_cotangents_stay_zero_at_kinks() {
    for kink in KINKS {
        for dtype in ["f64", "f32"] {
            let (graph, inputs) = kink.build(dtype);
            let wrt = vec![true; inputs.len()];
            let zeros: Vec<Array> = inputs
                .iter()
                .map(|a| Array::zeros(a.dtype(), a.shape().clone()).unwrap())
                .collect();
            let what = format!("{dtype}: {} at {:?}", kink.text, kink.at);
            let at = [&inputs[..], &zeros].concat();
            let tangent = eval(&jvp(&graph, &wrt).unwrap(), &at).unwrap().remove(1);
            assert!(
                tangent.to_f64s().iter().all(|t| *t == 0.0),
                "forward, {what}: {tangent:?}"
            );
            let zero = Array::zeros(tangent.dtype(), ()).unwrap();
            let at = [&inputs[..], &[zero]].concat();
            for cotangent in eval(&vjp(&graph, &wrt).unwrap(), &at).unwrap() {
                assert!(
                    cotangent.to_f64s().iter().all(|t| *t == 0.0),
                    "reverse, {what}: {cotangent:?}"
                );
            }
        }
    }
}

/// A function of a scalar x, where, and its derivatives of order 1, 2, ...
type Scalars = (&'static str, f64, &'static [f64]);

const ORDERS: &[Scalars] = &[
    ("where(x > 0.0, sqrt(x), 0.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("where(x > 0.0, x * log(x), 0.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("where(x != 0.0, sin(x) / x, 1.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("where(x != 0.0, 1.0 / x, 0.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("where(x != 0.0, cbrt(x), 0.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("where(x != 0.0, rsqrt(x), 0.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("where(x != 0.0, log2(x), x)", 0.0, &[1.0, 0.0, 0.0]),
    ("where(x != 0.0, log10(x), x)", 0.0, &[1.0, 0.0, 0.0]),
    ("where(x != -1.0, log1p(x), x)", -1.0, &[1.0, 0.0, 0.0]),
    ("where(x < 1.0, asin(x), x)", 1.0, &[1.0, 0.0, 0.0]),
    ("where(x < 1.0, acos(x), x)", 1.0, &[1.0, 0.0, 0.0]),
    ("where(x > 1.0, acosh(x), x)", 1.0, &[1.0, 0.0, 0.0]),
    ("where(x < 1.0, atanh(x), x)", 1.0, &[1.0, 0.0, 0.0]),
    ("where(x > 0.0, lgamma(x), x)", -2.0, &[1.0, 0.0, 0.0]),
    ("where(x > 0.0, digamma(x), x)", -2.0, &[1.0, 0.0, 0.0]),
    (
        "where(x > 0.0, polygamma(x, n=1), x)",
        0.0,
        &[1.0, 0.0, 0.0],
    ),
    ("where(x > 0.0, powi(x, n=-2), x)", 0.0, &[1.0, 0.0, 0.0]),
    ("where(x > 0.0, pow(x, 0.5), x)", 0.0, &[1.0, 0.0, 0.0]),
    ("where(x > 0.0, pow(x, x), x)", 0.0, &[1.0, 0.0, 0.0]),
    ("where(x > 0.0, log(sin(x)), x)", -1.0, &[1.0, 0.0, 0.0]),
    ("where(x < 10.0, exp(x), x)", 1000.0, &[1.0, 0.0, 0.0]),
    ("where(x < 10.0, exp(x * x), x)", 1000.0, &[1.0, 0.0, 0.0]),
    (
        "where(x < 10.0, expm1(x) * sinh(x), x)",
        1000.0,
        &[1.0, 0.0, 0.0],
    ),
    (
        "where(x < 10.0, exp(x) / cosh(x), x)",
        1000.0,
        &[1.0, 0.0, 0.0],
    ),
    (
        "where(x > 0.0, tan(x) * exp(1.0 / x), x)",
        0.0,
        &[1.0, 0.0, 0.0],
    ),
    ("sin(x) * sin(x)", 0.0, &[0.0, 2.0, 0.0]),
    ("sin(x) ** 2", 0.0, &[0.0, 2.0, 0.0]),
    ("pow(sin(x), 2.0)", 0.0, &[0.0, 2.0, 0.0]),
    ("pow(x, 3.0)", 0.0, &[0.0, 0.0, 6.0]),
    ("pow(x, 1.0)", 0.0, &[1.0, 0.0, 0.0]),
    ("pow(x, 0.0)", 0.0, &[0.0, 0.0, 0.0]),
    ("pow(x, 2.0)", -2.0, &[-4.0, 2.0, 0.0]),
    ("x ** 3", 0.0, &[0.0, 0.0, 6.0]),
    ("x ** 0", 0.0, &[0.0, 0.0, 0.0]),
    ("abs(x)", 0.0, &[0.0, 0.0, 0.0]),
    ("abs(x) * x", 0.0, &[0.0, 0.0, 0.0]),
    ("maximum(x, 0.0)", 0.0, &[0.5, 0.0, 0.0]),
    ("relu(x)", 0.0, &[0.0, 0.0, 0.0]),
    ("clamp(x, 0.0, 1.0)", 1.0, &[1.0, 0.0, 0.0]),
    ("rem(x, 2.0)", 4.0, &[1.0, 0.0, 0.0]),
    ("atan2(x, x)", 0.0, &[0.0, 0.0, 0.0]),
    (
        "norm(pad(reshape(x, shape=[1]), 0.0, low=[1], high=[1]), axes=[0])",
        0.0,
        &[0.0, 0.0, 0.0],
    ),
    (
        "norm(broadcast(x, shape=[4], dims=[]), axes=[0])",
        3.0,
        &[2.0, 0.0, 0.0],
    ),
    (
        "prod(broadcast(x, shape=[3], dims=[]), axes=[0])",
        0.0,
        &[0.0, 0.0, 6.0],
    ),
    (
        "prod(broadcast(x, shape=[2, 2], dims=[]), axes=[0, 1])",
        0.0,
        &[0.0, 0.0, 0.0, 24.0],
    ),
    (
        "prod(pad(broadcast(x, shape=[2], dims=[]), 5.0, low=[1], high=[1]), axes=[0])",
        0.0,
        &[0.0, 50.0, 0.0],
    ),
    (
        "prod(pad(broadcast(x, shape=[2], dims=[]), 0.0, low=[1], high=[0]), axes=[0])",
        0.0,
        &[0.0, 0.0, 0.0],
    ),
    (
        "sum(cumprod(broadcast(x, shape=[3], dims=[]), axis=0))",
        0.0,
        &[1.0, 2.0, 6.0],
    ),
    (
        "sum(cumprod(broadcast(x, shape=[3], dims=[]), axis=0, reverse=true))",
        0.0,
        &[1.0, 2.0, 6.0],
    ),
    (
        "max(broadcast(x, shape=[3], dims=[]), axes=[0]) ** 2",
        3.0,
        &[6.0, 2.0, 0.0],
    ),
    ("sigmoid(x)", 1000.0, &[0.0, 0.0, 0.0]),
    ("sigmoid(x)", -1000.0, &[0.0, 0.0, 0.0]),
    ("tanh(x)", 1000.0, &[0.0, 0.0, 0.0]),
    ("erf(x)", 1000.0, &[0.0, 0.0, 0.0]),
    ("atan(x)", 1e30, &[0.0, 0.0, 0.0]),
    (
        "log1p(exp(-abs(x))) + maximum(x, 0.0)",
        1000.0,
        &[1.0, 0.0, 0.0],
    ),
    ("exp(-x)", 1e4, &[0.0, 0.0, 0.0]),
    ("zmul(x, x)", 0.0, &[0.0, 2.0, 0.0]),
    ("g(g(x))", 0.0, &[0.0, 0.0, 0.0]),
    ("g(x) + x", 0.0, &[1.0, 0.0, 0.0]),
    ("h(x)", 0.0, &[0.0, 2.0, 0.0]),
    ("where(x > 0.0, k(1.0 / x), x)", 0.0, &[1.0, 0.0, 0.0]),
];

/// Callees: what stands at an edge inside of a called function.
const CALLEES: &str = "
fn g(x: T) -> T { where(x > 0.0, sqrt(x), 0.0) }
fn h(x: T) -> T { sin(x) * sin(x) }
fn k(x: T) -> T { exp(-x * x) * x }
";

#[test]
fn higher_derivatives_at_kinks_are_finite_and_right_in_every_mix_of_modes() {
    let mut wrong = Vec::new();
    for (body, x, expected) in ORDERS {
        for dtype in ["f64", "f32"] {
            let text = format!("{CALLEES}\nfn f(x: T) -> T {{ {body} }}").replace('T', dtype);
            let module = parse(&text).unwrap_or_else(|e| panic!("{body}: {e}"));
            let input = value(&module.entry().input_types()[0], &x.to_string()).unwrap();
            let mut level = vec![(String::new(), module.entry().clone())];
            for (k, expected) in expected.iter().enumerate() {
                let mut next = Vec::new();
                for (modes, graph) in &level {
                    next.push((format!("{modes}F"), forward(graph)));
                    next.push((format!("{modes}R"), grad(graph, &[true]).unwrap()));
                }
                level = next;
                for (modes, graph) in &level {
                    let found = eval(graph, std::slice::from_ref(&input)).unwrap();
                    let what = format!("{dtype}: order {} of {body} at {x}, {modes}", k + 1);
                    wrong.extend(different(&found[0].to_f64s(), &[*expected], dtype, &what));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn hessians_at_kinks_hold_no_nan() {
    let rows: &[(&str, &str, &[f64])] = &[
        ("norm(x, axes=[0])", "[0, 0]", &[0.0, 0.0, 0.0, 0.0]),
        ("norm(x, axes=[0]) ** 2", "[0, 0]", &[0.0, 0.0, 0.0, 0.0]),
        ("prod(x, axes=[0])", "[0, 0]", &[0.0, 1.0, 1.0, 0.0]),
        (
            "sum(where(x > 0.0, x * log(x), 0.0))",
            "[0, 1]",
            &[0.0, 0.0, 0.0, 1.0],
        ),
        ("sum(sin(x) * sin(x))", "[0, 0]", &[2.0, 0.0, 0.0, 2.0]),
        ("max(x, axes=[0])", "[1, 1]", &[0.0, 0.0, 0.0, 0.0]),
        (
            "atan2(sum(x), prod(x, axes=[0]))",
            "[0, 0]",
            &[0.0, 0.0, 0.0, 0.0],
        ),
    ];
    for (body, x, expected) in rows {
        for dtype in ["f64", "f32"] {
            let text = format!("fn f(x: T[2]) -> T {{ {body} }}").replace('T', dtype);
            let graph = parse(&text)
                .unwrap_or_else(|e| panic!("{body}: {e}"))
                .entry()
                .clone();
            let input = value(&graph.input_types()[0], x).unwrap();
            let hessian = cotangent_transform::hessian(&graph, &[true]).unwrap();
            let found = eval(&hessian, &[input]).unwrap();
            same(
                &found[0].to_f64s(),
                expected,
                dtype,
                &format!("{dtype}: Hessian of {body} at {x}"),
            );
        }
    }
}

impl Kink {
    fn build(&self, dtype: &str) -> (Graph, Vec<Array>) {
        let graph = parse(&self.text.replace('T', dtype))
            .unwrap_or_else(|e| panic!("{}: {e}", self.text))
            .entry()
            .clone();
        let values = graph
            .input_types()
            .into_iter()
            .zip(self.at)
            .map(|(t, v)| value(&t, v).unwrap());
        let values = values.collect();
        (graph, values)
    }
}

/// The derivative of a function of one scalar in forward mode.
fn forward(graph: &Graph) -> Graph {
    let pushed = jvp(graph, &[true]).unwrap();
    let mut b = Builder::new(graph.name());
    let x: Var = b.input("x", graph.input_types()[0].clone());
    let one = b.like(x, 1.0);
    let outputs = b.inline(&pushed, &[x, one]);
    b.finish(&outputs[1..]).unwrap().without_dead_code()
}

fn same(found: &[f64], expected: &[f64], dtype: &str, what: &str) {
    if let Some(wrong) = different(found, expected, dtype, what) {
        panic!("{wrong}");
    }
}

fn different(found: &[f64], expected: &[f64], dtype: &str, what: &str) -> Option<String> {
    let epsilon = if dtype == "f32" { 1e-6 } else { 1e-14 };
    let close = |a: f64, b: f64| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (b.is_finite() && (a - b).abs() <= epsilon * b.abs().max(1.0))
    };
    if found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| close(*a, *b)) {
        return None;
    }
    Some(format!("{what}: expected {expected:?}, found {found:?}"))
}
