//! Every rule of the simplifier fires, and what the passes make of a graph has the same bits for
//! special values too.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cotangent_array::{Array, DType, Scalar};
use cotangent_compile::simplify::{RULES, Site};
use cotangent_compile::{CompileError, PASSES, optimize};
use cotangent_graph::{Graph, TensorType};

/// A function and its operations after all passes.
const CASES: &[(&str, &str)] = &[
    (
        "fn f(x: f64[3]) -> f64[3, 20] { 1.0 / broadcast(x, shape=[3, 20], dims=[0]) }",
        "div broadcast",
    ),
    (
        "fn f(x: f64[20]) -> f64[20, 20] { exp(broadcast(x, shape=[20, 20], dims=[1])) }",
        "exp broadcast",
    ),
    (
        "fn f(x: f64[20]) -> f64[20, 20] { -broadcast(x, shape=[20, 20], dims=[1]) }",
        "broadcast neg",
    ),
    (
        "fn f(x: f64[20]) -> f64[20, 3] { exp(broadcast(x, shape=[20, 3], dims=[0])) }",
        "broadcast exp",
    ),
    (
        "fn f(x: f64[3, 4]) -> f64[3, 5] { sum(broadcast(x, shape=[3, 5, 4], dims=[0, 2]), axes=[2]) }",
        "sum broadcast",
    ),
    (
        "fn f(x: f64[9, 4]) -> f64[3, 4] { gather(x, constant([1, 3, 5]), axis=0) }",
        "slice",
    ),
    (
        "fn f(x: f64[4, 2000]) -> f64[4, 1500] { gather(x, iota(shape=[1500], dtype=i32) + 7, axis=1) }",
        "slice",
    ),
    (
        "fn f(x: f64[9]) -> f64[2] { gather(x, constant([4, 4]), axis=0) }",
        "gather",
    ),
    (
        "fn f(x: f64[3, 4]) -> f64[3, 9] { scatter_add(x, constant([1, 3, 5, 7]), shape=[3, 9], axis=1) }",
        "add pad",
    ),
    (
        "fn f(x: i64[1]) -> i64[9] { scatter_add(x, constant([8]), shape=[9], axis=0) }",
        "pad",
    ),
    ("fn f(x: f64[20]) -> f64[20] { x + -0.0 }", ""),
    ("fn f(x: f64[20]) -> f64[20] { 0.0 + x }", "add"),
    ("fn f(x: i32[20]) -> i32[20] { 0 + x }", ""),
    ("fn f(x: f64[20]) -> f64[20] { x - 0.0 }", ""),
    ("fn f(x: f64[20]) -> f64[20] { x - -0.0 }", "sub"),
    ("fn f(x: f64[20]) -> f64[20] { -0.0 - x }", "neg"),
    ("fn f(x: f64[20]) -> f64[20] { -x - x }", "mul"),
    ("fn f(x: i32[20]) -> i32[20] { -x - x }", "mul"),
    ("fn f(x: u8[20]) -> u8[20] { -x - x }", "neg sub"),
    ("fn f(x: c128[20]) -> c128[20] { -x - x }", "neg sub"),
    ("fn f(x: f64[20]) -> f64[20] { 0.0 - x }", "sub"),
    ("fn f(x: i64[20]) -> i64[20] { x - x }", ""),
    ("fn f(x: f64[20]) -> f64[20] { x - x }", "sub"),
    (
        "fn f(x: f64[20], y: f64[20]) -> f64[20] { x + (-y) }",
        "sub",
    ),
    (
        "fn f(x: f64[20], y: f64[20]) -> f64[20] { (-x) + y }",
        "sub",
    ),
    (
        "fn f(x: f64[20], y: f64[20]) -> f64[20] { x - (-y) }",
        "add",
    ),
    ("fn f(x: f64[20]) -> f64[20] { 1.0 * x }", ""),
    ("fn f(x: f64[20]) -> f64[20] { x * 0.0 }", "mul"),
    ("fn f(x: f32[20]) -> f32[20] { x * -1.0 }", "neg"),
    ("fn f(x: i32[20]) -> i32[20] { x * 0 }", ""),
    (
        "fn f(x: f64[20], y: f64[20]) -> f64[20] { (-x) * (-y) }",
        "mul",
    ),
    ("fn f(x: f64[20]) -> f64[20] { x / 1.0 }", ""),
    ("fn f(x: f64[20]) -> f64[20] { x / -4.0 }", "mul"),
    ("fn f(x: f32[20]) -> f32[20] { x / 0.125 }", "mul"),
    ("fn f(x: f64[20]) -> f64[20] { x / 3.0 }", "div"),
    ("fn f(x: f64[20]) -> f64[20] { zmul(0.0, x) }", "zmul"),
    ("fn f(x: f64[20]) -> f64[20] { zmul(2.0, x) }", "mul"),
    ("fn f(x: f64[20]) -> f64[20] { zmul(x, 2.0) }", "mul"),
    (
        "fn f(x: i32[20], y: i32[20]) -> i32[20] { zmul(x, y) }",
        "mul",
    ),
    ("fn f(x: f64[20]) -> f64[20] { -(-x) }", ""),
    ("fn f(x: bool[20]) -> bool[20] { !(!x) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { stop_gradient(x) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { abs(-x) }", "abs"),
    ("fn f(x: f64[20]) -> f64[20] { abs(abs(x)) }", "abs"),
    ("fn f(x: f64[20]) -> f64[20] { floor(ceil(x)) }", "ceil"),
    ("fn f(x: i32[20]) -> i32[20] { round(x) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { maximum(x, x) }", ""),
    ("fn f(x: bool[20]) -> bool[20] { x & true }", ""),
    ("fn f(x: bool[20]) -> bool[20] { xor(false, x) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { powi(x, n=0) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { powi(x, n=1) }", ""),
    ("fn f(x: f32[20]) -> f32[20] { powi(x, n=2) }", "mul"),
    ("fn f(x: f32[20]) -> f32[20] { powi(x, n=-1) }", "div"),
    ("fn f(x: f32[20]) -> f32[20] { powi(x, n=3) }", "powi"),
    ("fn f(x: f64[20]) -> f64[20] { pow(x, 0.0) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { pow(x, 1.0) }", ""),
    ("fn f(x: f64[20]) -> f64[20] { pow(x, 2.0) }", "mul"),
    ("fn f(x: f64[20]) -> f64[20] { convert(x, dtype=f64) }", ""),
    (
        "fn f(x: f32[20]) -> i32[20] { convert(convert(x, dtype=f64), dtype=i32) }",
        "convert",
    ),
    (
        "fn f(x: f64[20]) -> f64[20] { convert(convert(x, dtype=f32), dtype=f64) }",
        "convert convert",
    ),
    (
        "fn f(x: f64[20], y: f64[20]) -> f64[20] { select(false, x, y) }",
        "",
    ),
    (
        "fn f(c: bool[20], x: f64[20]) -> f64[20] { select(c, x, x) }",
        "",
    ),
    (
        "fn f(c: bool[20], x: f64[20]) -> f64[20] { select(!c, x, 0.5) }",
        "select",
    ),
    (
        "fn f() -> f64[5, 4] { transpose(full(2.0, shape=[4, 5]), axes=[1, 0]) }",
        "",
    ),
    (
        "fn f() -> f64[8] { concat(full(2.0, shape=[4]), full(2.0, shape=[4]), axis=0) }",
        "",
    ),
    (
        "fn f() -> f64[2000] { pad(full(2.0, shape=[1999]), 2.0, low=[1], high=[0]) }",
        "",
    ),
    ("fn f(x: f64[20]) -> f64[20] { max(x, axes=[]) }", ""),
    (
        "fn f(x: f64[20, 1]) -> f64[20] { sum(x, axes=[1]) }",
        "reshape add",
    ),
    ("fn f(x: f32[20]) -> f32 { sum(-x, axes=[0]) }", "sum sub"),
    (
        "fn f(x: f64[20], y: f64[1]) -> f64[20, 1] { dot(x, y, contract=([], [])) }",
        "reshape reshape broadcast mul add",
    ),
    (
        "fn f(x: f32[1], y: f32[1, 20]) -> f32[20] { dot(x, y, contract=([0], [0])) }",
        "reshape reshape broadcast mul add",
    ),
    (
        "fn f(x: f64[20]) -> f64[20] { reshape(reshape(x, shape=[4, 5]), shape=[20]) }",
        "",
    ),
    (
        "fn f(x: f64[20]) -> f64[2, 10] { reshape(reshape(x, shape=[4, 5]), shape=[2, 10]) }",
        "reshape",
    ),
    ("fn f(x: f64[20]) -> f64[20] { reshape(x, shape=[20]) }", ""),
    (
        "fn f(x: f64[4, 1, 5]) -> f64[1, 4, 5] { transpose(x, axes=[1, 0, 2]) }",
        "reshape",
    ),
    (
        "fn f(x: f64[4, 5]) -> f64[4, 5] { transpose(transpose(x, axes=[1, 0]), axes=[1, 0]) }",
        "",
    ),
    (
        "fn f(x: f64[4, 5]) -> f64[1, 4, 5] { broadcast(x, shape=[1, 4, 5], dims=[1, 2]) }",
        "reshape",
    ),
    (
        "fn f(x: f64[4]) -> f64[2, 4, 3] { broadcast(broadcast(x, shape=[2, 4], dims=[1]), shape=[2, 4, 3], dims=[0, 1]) }",
        "broadcast",
    ),
    (
        "fn f(x: f64[4, 1]) -> f64[4, 1] { reverse(x, axes=[1]) }",
        "",
    ),
    (
        "fn f(x: f64[4, 5]) -> f64[4, 5] { reverse(reverse(x, axes=[0, 1]), axes=[1]) }",
        "reverse",
    ),
    (
        "fn f(x: f64[20]) -> f64[20] { slice(x, start=[0], limit=[20]) }",
        "",
    ),
    (
        "fn f(x: f64[20]) -> f64[5] { slice(slice(x, start=[1], limit=[19], stride=[2]), start=[0], limit=[9], stride=[2]) }",
        "slice",
    ),
    (
        "fn f(x: f64[7]) -> f64[0] { slice(slice(x, start=[0], limit=[7], stride=[2]), start=[4], limit=[4]) }",
        "slice",
    ),
    (
        "fn f(x: f64[20]) -> f64[20] { pad(x, 0.0, low=[0], high=[0]) }",
        "",
    ),
    ("fn f(x: f64[20]) -> f64[20] { concat(x, axis=0) }", ""),
    (
        "fn f(x: f64[80]) -> f64[83] { concat(full(1.0, shape=[1]), x, full(1.0, shape=[2]), axis=0) }",
        "pad",
    ),
    (
        "fn f(x: f64[80]) -> f64[82] { concat(full(0.0, shape=[1]), x, full(-0.0, shape=[1]), axis=0) }",
        "concat",
    ),
    (
        "fn f(x: f64[2, 80]) -> f64[3, 80] { concat(full(1.0, shape=[1, 80]), x, axis=0) }",
        "concat",
    ),
    (
        "fn f(x: f64[3, 80]) -> f64[3, 81] { concat(full(1.0, shape=[3, 1]), x, axis=1) }",
        "pad",
    ),
    (
        "fn f(x: f64[2, 4], y: f64[4]) -> f64[9, 4, 4] { concat(broadcast(x, shape=[9, 2, 4], dims=[1, 2]), -reshape(broadcast(y, shape=[9, 4], dims=[1]), shape=[9, 1, 4]), full(1.5, shape=[9, 1, 4]), axis=1) }",
        "reshape neg concat broadcast",
    ),
    (
        "fn f(x: f64[2], y: f64[9, 1]) -> f64[9, 3] { concat(broadcast(x, shape=[9, 2], dims=[1]), y, axis=1) }",
        "broadcast concat",
    ),
    (
        "fn f(x: f64[2], y: f64[1]) -> f64[5, 3] { concat(broadcast(x, shape=[5, 2], dims=[1]), broadcast(y, shape=[5, 1], dims=[1]), axis=1) }",
        "broadcast broadcast concat",
    ),
    (
        "fn f(x: f64[9], y: f64[9]) -> f64[18, 3] { concat(broadcast(x, shape=[9, 3], dims=[0]), broadcast(y, shape=[9, 3], dims=[0]), axis=0) }",
        "broadcast broadcast concat",
    ),
    (
        "fn f(x: f64[9], y: f64[9]) -> f64[18, 8] { concat(broadcast(x, shape=[9, 8], dims=[0]), broadcast(y, shape=[9, 8], dims=[0]) * 2.0, axis=0) }",
        "mul concat broadcast",
    ),
    (
        "fn f(x: f64[20]) -> f64[21] { concat(full(1.0, shape=[1]), x, axis=0) }",
        "concat",
    ),
    (
        "fn f(x: f64[4, 5], y: f64[5, 4]) -> f64[4, 4] { transpose(dot(x, y, contract=([1], [0])), axes=[1, 0]) }",
        "dot",
    ),
    (
        "fn f(x: f64[4, 5], y: f64[5, 4]) -> (f64[4, 4], f64[4, 4]) { let d = dot(x, y, contract=([1], [0])); (d, transpose(d, axes=[1, 0])) }",
        "dot transpose",
    ),
    (
        "fn f(x: f64[5, 4], y: f64[4, 5]) -> f64[4, 4] { dot(transpose(x, axes=[1, 0]), transpose(y, axes=[1, 0]), contract=([1], [0])) }",
        "dot",
    ),
    (
        "fn f(x: f64[3, 4, 5], y: f64[5]) -> f64[4, 3] { dot(transpose(x, axes=[1, 0, 2]), y, contract=([2], [0])) }",
        "transpose dot",
    ),
    (
        "fn f(x: i64[40, 50]) -> i64[40, 50] { x + iota(shape=[40, 50], axis=1) }",
        "broadcast add",
    ),
    // Common subexpressions, folding and dead code.
    (
        "fn f(x: f64[20], y: f64[20]) -> (f64[20], f64[20]) { (exp(x + y), sin(y + x)) }",
        "add exp sin",
    ),
    (
        "fn f(x: f64[20], y: f64[20]) -> (f64[20], f64[20]) { (x - y, y - x) }",
        "sub sub",
    ),
    (
        "fn f(x: f64[10]) -> f64[10] { x + convert(iota(shape=[10]), dtype=f64) }",
        "add",
    ),
    // A rule makes the divisor a number, folding makes it -1, and more rules apply.
    (
        "fn f(x: f64[20, 100]) -> f64[20, 100] { x / (reshape(full(0.5, shape=[2000]), shape=[20, 100]) * -2.0) }",
        "neg",
    ),
    (
        "fn f() -> f64 { sum(full(0.5, shape=[100000]), axes=[0]) }",
        "sum",
    ),
    (
        "fn f(x: f64[3]) -> f64[1] { let y = exp(x); gather(x, constant([7]), axis=0) }",
        "gather",
    ),
];

fn graph(text: &str) -> Graph {
    match cotangent_graph::parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

/// Cases of rules that do not keep every bit, as their reasons say.
const NEARLY: &[(&str, &str)] = &[
    (
        "fn f(x: f64[3, 4]) -> f64[4, 3] {
            let eye = convert(iota(shape=[4, 4], axis=0, dtype=i64) == iota(shape=[4, 4], axis=1, dtype=i64), dtype=f64);
            dot(eye, x, contract=([1], [1]))
        }",
        "transpose",
    ),
    (
        "fn f(x: f64[3, 4]) -> f64[3, 4] {
            let eye = convert(iota(shape=[4, 4], axis=0, dtype=i64) == iota(shape=[4, 4], axis=1, dtype=i64), dtype=f64);
            dot(x, eye, contract=([1], [0]))
        }",
        "",
    ),
    // Of more elements than are folded.
    (
        "fn f(x: f64[3, 40]) -> f64[40, 3] {
            let eye = convert(iota(shape=[40, 40], axis=0) == iota(shape=[40, 40], axis=1), dtype=f64);
            dot(eye, x, contract=([1], [1]))
        }",
        "transpose",
    ),
    // What repeats along shared axes is multiplied as it is.
    (
        "fn f(x: f64[9, 3, 4], y: f64[3, 5]) -> f64[9, 4, 5] { dot(x, broadcast(y, shape=[9, 3, 5], dims=[1, 2]), contract=([1], [1]), batch=([0], [0])) }",
        "dot",
    ),
    (
        "fn f(x: f64[2, 9, 4, 3], y: f64[2, 3]) -> f64[2, 9, 4] { dot(x, broadcast(y, shape=[2, 9, 3], dims=[0, 2]), contract=([3], [2]), batch=([0, 1], [0, 1])) }",
        "dot",
    ),
    (
        "fn f(x: f64[3], y: f64[9, 3, 4]) -> f64[9, 4] { dot(broadcast(x, shape=[9, 3], dims=[1]), y, contract=([1], [1]), batch=([0], [0])) }",
        "dot",
    ),
    // The axes of the result would stand in another order.
    (
        "fn f(x: f64[5, 3], y: f64[9, 3, 4]) -> f64[9, 5, 4] { dot(broadcast(x, shape=[9, 5, 3], dims=[1, 2]), y, contract=([2], [1]), batch=([0], [0])) }",
        "broadcast dot",
    ),
    // Weights and vectors are multiplied before the matrices, and the result is written as it is wanted.
    (
        "fn f(w: f64[90, 6], p: f64[90, 4], t: f64[6, 3, 4, 40]) -> f64[90, 3, 40] { dot(p, dot(w, t, contract=([1], [0])), contract=([1], [2]), batch=([0], [0])) }",
        "dot dot",
    ),
    (
        "fn f(w: f64[90, 6], p: f64[90, 4], t: f64[6, 3, 4, 40], r: f64[3, 3]) -> f64[90, 3, 40] { transpose(dot(r, dot(p, dot(w, t, contract=([1], [0])), contract=([1], [2]), batch=([0], [0])), contract=([1], [1])), axes=[1, 0, 2]) }",
        "dot dot dot",
    ),
];

#[test]
fn other_rules_keep_finite_numbers() {
    for (text, expected) in NEARLY {
        let before = graph(text);
        let after = optimize(&before, None).unwrap();
        let left: Vec<&str> = (after.equations().iter())
            .filter(|e| !e.op.is_input() && !e.op.is_constant())
            .map(|e| e.op.name())
            .collect();
        assert_eq!(left.join(" "), *expected, "{text}\n{after}");
        let inputs = before.input_types().into_iter().map(|ty| {
            let numbers = (0..ty.shape.elements()).map(|i| Scalar::F64(i as f64 * 1.5 - 4.0));
            Array::from_scalars(ty.dtype, ty.shape.clone(), numbers).unwrap()
        });
        let inputs: Vec<Array> = inputs.collect();
        let eval = |graph| cotangent_graph::eval(graph, &inputs).unwrap();
        assert_eq!(eval(&after), eval(&before), "{text}");
    }
}

#[test]
fn passes_leave_what_is_expected() {
    for (text, expected) in CASES {
        let graph = optimize(&graph(text), None).unwrap();
        let left: Vec<&str> = graph
            .equations()
            .iter()
            .filter(|e| !e.op.is_input() && !e.op.is_constant())
            .map(|e| e.op.name())
            .collect();
        assert_eq!(left.join(" "), *expected, "{text}\n{graph}");
    }
}

#[test]
fn passes_keep_every_bit() {
    for (text, _) in CASES {
        let before = graph(text);
        let after = optimize(&before, None).unwrap();
        assert_eq!(after.inputs().len(), before.inputs().len());
        for turn in 0..3 {
            let inputs: Vec<Array> = before
                .input_types()
                .iter()
                .enumerate()
                .map(|(i, ty)| special(ty, 7 * turn + 3 * i))
                .collect();
            let expected = cotangent_graph::eval(&before, &inputs);
            let found = cotangent_graph::eval(&after, &inputs);
            match (expected, found) {
                (Ok(expected), Ok(found)) => assert_eq!(found, expected, "{text}"),
                (Err(expected), Err(found)) => assert_eq!(found.to_string(), expected.to_string()),
                (expected, found) => panic!("{text}: expected {expected:?}, found {found:?}"),
            }
        }
    }
}

/// An array of special values, another one at each turn.
fn special(ty: &TensorType, turn: usize) -> Array {
    const FLOATS: &[f64] = &[
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        5e-324,
        -5e-324,
        1e308,
        -1e308,
        2.5,
        -0.5,
        3e-308,
        1e-40,
        3e38,
        1.0 / 3.0,
    ];
    const INTEGERS: &[i64] = &[
        0,
        1,
        -1,
        i64::MIN,
        i64::MAX,
        i32::MIN as i64,
        i32::MAX as i64,
        7,
        -9,
    ];
    let elements = (0..ty.shape.elements()).map(|i| match ty.dtype {
        d if d.is_float() => Scalar::from_f64(d, FLOATS[(i + turn * 5) % FLOATS.len()]),
        DType::Bool => Scalar::Bool((i + turn).is_multiple_of(3)),
        d => Scalar::from_i64(d, INTEGERS[(i + turn * 5) % INTEGERS.len()]),
    });
    Array::from_scalars(ty.dtype, ty.shape.clone(), elements).unwrap()
}

#[test]
fn every_rule_fires() {
    let mut fired = BTreeSet::new();
    for (text, _) in CASES.iter().chain(NEARLY) {
        let graph = graph(text);
        for e in graph.equations() {
            let Some(ty) = e.ty.tensor() else { continue };
            let site = Site {
                graph: &graph,
                op: &e.op,
                args: &e.args,
                ty,
                only_use: true,
            };
            for rule in RULES.iter().flat_map(|(_, rules)| *rules) {
                if !e.op.is_input() && !e.op.is_constant() && (rule.apply)(&site).is_some() {
                    fired.insert(rule.name);
                }
            }
        }
    }
    for rule in RULES.iter().flat_map(|(_, rules)| *rules) {
        assert!(
            fired.contains(rule.name),
            "no case for: {} ({})",
            rule.name,
            rule.reason
        );
    }
}

#[test]
fn passes_stop_where_asked() {
    let graph = graph("fn f(x: f64) -> f64 { let y = exp(x); x * (0.5 + 0.5) }");
    let operations = |until| optimize(&graph, Some(until)).unwrap().operation_count();
    assert_eq!(operations("fold"), 2);
    assert_eq!(operations("simplify"), 1);
    assert_eq!(operations("dead"), 0);
    let error = optimize(&graph, Some("fuse")).unwrap_err();
    assert!(matches!(error, CompileError::UnknownPass { .. }));
    assert_eq!(
        error.to_string(),
        "there is no pass `fuse`, expected one of custom, loops, fold, simplify, cse, parts, products, axes, picks, columns, borders, shifts, dead"
    );
}

/// A second run finds nothing: the rules lead somewhere.
#[test]
fn passes_come_to_an_end() {
    for (text, _) in CASES {
        let once = optimize(&graph(text), None).unwrap();
        for pass in PASSES {
            assert!(
                matches!((pass.run)(Cow::Borrowed(&once)), Ok(Cow::Borrowed(_))),
                "{} again: {text}\n{once}",
                pass.name
            );
        }
    }
}
