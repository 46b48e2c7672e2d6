//! The text form: round trips, what people write, and where errors are reported.

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse, print};

fn graph(text: &str) -> Graph {
    match parse(text) {
        Ok(module) => module.entry().clone(),
        Err(e) => panic!("{}", e.render(text)),
    }
}

/// Parses, prints, parses again: the graphs are equal and the text is stable.
fn round_trip(text: &str) -> String {
    let g = graph(text);
    let printed = print(&g);
    let again = graph(&printed);
    assert_eq!(again, g, "{printed}");
    assert_eq!(print(&again), printed);
    printed
}

fn value(text: &str, inputs: &[Array]) -> Vec<f64> {
    let g = graph(text);
    round_trip(text);
    eval(&g, inputs)
        .unwrap()
        .iter()
        .flat_map(Array::to_f64s)
        .collect()
}

#[test]
fn the_design_example_prints_as_documented() {
    let printed = round_trip("fn loss(w: f64[2, 3], x: f64[3]) -> f64 { sum(0.5 * tanh(w @ x)) }");
    assert_eq!(
        printed,
        "fn loss(w: f64[2, 3], x: f64[3]) -> f64 {
    let v0: f64[2] = dot(w, x, contract=([1], [0]));
    let v1: f64[2] = tanh(v0);
    let v2: f64[2] = mul(0.5, v1);
    let v3: f64 = sum(v2, axes=[0]);
    v3
}
"
    );
}

#[test]
fn constants_keep_their_type_and_bits() {
    for text in [
        "fn f(x: f32[2]) -> f32[2] { let c: f32[2] = full(0.1, shape=[2]); x + c }",
        "fn f() -> f64[2, 2] { constant([[1.0, -0.0], [nan, -inf]]) }",
        "fn f() -> f64[0, 3] { constant([]) }",
        "fn f() -> f64[2, 0] { constant([[], []]) }",
        "fn f() -> i64 { -9223372036854775808 }",
        "fn f() -> u8[2] { constant([0, 255]) }",
        "fn f(x: bool[2]) -> bool[2] { x & true }",
        "fn f(x: f64) -> (f64, i64) { (x + 1e300, 3) }",
        "fn f() -> f64[3] { full(0.5, shape=[3]) }",
        "fn f(x: f64[2]) -> bool[2] { 0.5 < x }",
        "fn f() -> bool { let a: f64 = 0.5; a < 0.25 }",
        "fn f(x: f64[2]) -> f64[4] { pad(x, 1.5, low=[1], high=[1]) }",
        "fn f() -> () { () }",
        "fn f() -> f64[2] { add(1.0, 2.0) }",
    ] {
        round_trip(text);
    }
}

#[test]
fn infix_follows_the_usual_precedence() {
    let x = [Array::scalar(3.0)];
    assert_eq!(value("fn f(x: f64) -> f64 { 1 + 2 * x ** 2 }", &x), [19.0]);
    assert_eq!(value("fn f(x: f64) -> f64 { -x ** 2 }", &x), [-9.0]);
    assert_eq!(value("fn f(x: f64) -> f64 { 2 ** -x }", &x), [0.125]);
    assert_eq!(
        value("fn f(x: f64) -> f64 { (1 - x) - 2 - -x }", &x),
        [-1.0]
    );
    assert_eq!(
        value("fn f(x: f64) -> bool { x > 1 & x < 2 | !(x == 0) }", &x),
        [1.0]
    );
    assert_eq!(
        value("fn f(x: f64) -> f64 { x ** 0.5 ** 2 }", &x),
        [3.0_f64.powf(0.25)]
    );
}

#[test]
fn operands_broadcast_as_in_numpy() {
    let row = Array::vector(vec![1.0, 2.0, 3.0]);
    let column = Array::new([2, 1], vec![10.0, 20.0]).unwrap();
    let text = "fn f(a: f64[3], b: f64[2, 1]) -> f64[2, 3] { a + b * 2 }";
    assert_eq!(
        value(text, &[row, column]),
        [21.0, 22.0, 23.0, 41.0, 42.0, 43.0]
    );
}

#[test]
fn indices_choose_as_in_numpy() {
    let x = [Array::new([2, 4], (0..8).map(f64::from).collect::<Vec<f64>>()).unwrap()];
    let on = |index: &str| value(&format!("fn f(x: f64[2, 4]) {{ x[{index}] }}"), &x);
    assert_eq!(on("1"), [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(on("-1, -2"), [6.0]);
    assert_eq!(on("..., 0"), [0.0, 4.0]);
    assert_eq!(on("0, 1:3"), [1.0, 2.0]);
    assert_eq!(on(":, ::-2"), [3.0, 1.0, 7.0, 5.0]);
    assert_eq!(on("0, 3:0:-1"), [3.0, 2.0, 1.0]);
    assert_eq!(on("0, 2:1"), [0.0; 0]);
    assert_eq!(on("0, -100:100:3"), [0.0, 3.0]);
    let i = Array::vector(vec![3_i64, 0]);
    let text = "fn f(x: f64[2, 4], i: i64[2]) -> f64[2, 2] { x[:, i] }";
    assert_eq!(value(text, &[x[0].clone(), i]), [3.0, 0.0, 7.0, 4.0]);
}

#[test]
fn matmul_batches_as_in_numpy() {
    let ones = |shape: &[usize]| Array::full(shape, cotangent_array::Scalar::F64(1.0)).unwrap();
    for (a, b, out) in [
        ("f64[3]", "f64[3]", "f64"),
        ("f64[2, 3]", "f64[3]", "f64[2]"),
        ("f64[3]", "f64[3, 4]", "f64[4]"),
        ("f64[2, 3]", "f64[3, 4]", "f64[2, 4]"),
        ("f64[5, 2, 3]", "f64[3, 4]", "f64[5, 2, 4]"),
        ("f64[2, 3]", "f64[5, 3, 4]", "f64[5, 2, 4]"),
        ("f64[5, 1, 2, 3]", "f64[6, 3, 4]", "f64[5, 6, 2, 4]"),
        ("f64[3]", "f64[5, 3, 4]", "f64[5, 4]"),
        ("f64[5, 2, 3]", "f64[3]", "f64[5, 2]"),
    ] {
        let text = format!("fn f(a: {a}, b: {b}) -> {out} {{ a @ b }}");
        let g = graph(&text);
        let inputs: Vec<Array> = g
            .input_types()
            .iter()
            .map(|t| ones(t.shape.dims()))
            .collect();
        assert!(
            eval(&g, &inputs).unwrap()[0]
                .to_f64s()
                .iter()
                .all(|x| *x == 3.0),
            "{text}"
        );
    }
}

#[test]
fn functions_call_each_other_in_any_order() {
    let text = "
        fn loss(x: f64) -> f64 { let (p) = 0; x }
    ";
    assert!(parse(text).is_err());
    let text = "
        fn loss(x: f64) -> f64 { let p = pair(x); get(p, index=0) * get(p, index=1) + twice(x) }
        fn twice(x: f64) -> f64 { x + x }
        fn pair(x: f64) -> (f64, f64) { (twice(x), x) }
        fn last(x: f64) -> f64 { loss(x) }
    ";
    assert_eq!(value(text, &[Array::scalar(3.0)]), [24.0]);
    // Callees come before callers, each once.
    assert_eq!(round_trip(text).matches("fn twice").count(), 1);
}

#[test]
fn checkpoints_stand_in_front_of_equations() {
    let text = "
        fn f(x: f64) -> f64 {
            #[checkpoint([40])]
            let a = sin(x);
            #[checkpoint([40, 7], way=[2, 0])] let b = exp(a) * 2.0;
            let c = b * a;
            #[checkpoint([7, 7],)] let d = cos(c);
            d
        }";
    let printed = round_trip(text);
    let marks: Vec<&str> = (printed.lines())
        .filter_map(|l| l.trim().split_once("let ").map(|(mark, _)| mark.trim()))
        .collect();
    // Numbers are given anew; what is written on one line is all in the same checkpoints.
    let inner = "#[checkpoint([0, 1], way=[2, 0])]";
    assert_eq!(
        marks,
        [
            "#[checkpoint([0])]",
            inner,
            inner,
            "",
            "#[checkpoint([1, 1])]"
        ]
    );
    // They are no part of what a graph means.
    let plain = "fn f(x: f64) -> f64 { let a = sin(x); cos(exp(a) * 2.0 * a) }";
    assert_eq!(graph(text), graph(plain));
    let ways = |g: &Graph| -> Vec<Vec<u32>> {
        let paths = g.equations().iter().map(|e| e.checkpoint.path());
        paths
            .map(|path| path.iter().map(|around| around.way).collect())
            .filter(|ways: &Vec<u32>| !ways.is_empty())
            .collect()
    };
    assert_eq!(ways(&graph(text)), ways(&graph(&printed)));
    assert_eq!(ways(&graph(plain)), [[0; 0]; 0]);
}

#[test]
fn functions_that_differ_in_their_checkpoints_are_told_apart() {
    let text = "
        fn g(x: f64) -> f64 { let a = sin(x); exp(a) }
        fn h(x: f64) -> f64 { #[checkpoint([0])] let a = sin(x); exp(a) }
        fn f(x: f64) -> f64 { g(x) + h(x + 1.0) }
    ";
    let module = parse(text).unwrap();
    assert_eq!(module.functions[0], module.functions[1]);
    let printed = round_trip(text);
    assert_eq!(printed.matches("fn ").count(), 3, "{printed}");
    // Of one name, too: what is made from a function may differ in that alone.
    let renamed = |i: usize| std::sync::Arc::new(module.functions[i].renamed("g"));
    let both = cotangent_graph::Module::from_graphs(vec![renamed(0), renamed(1)]).unwrap();
    let printed = both.print();
    assert_eq!(printed.matches("#[checkpoint([0])]").count(), 1);
    assert_eq!(parse(&printed).unwrap().functions.len(), 2, "{printed}");
}

#[test]
fn functions_named_like_operations_are_renamed_in_print() {
    let printed = round_trip("fn sin(x: f64) -> f64 { x * 2.0 } fn f(x: f64) -> f64 { sin(x) }");
    assert!(printed.starts_with("fn sin_2("), "{printed}");
}

#[test]
fn errors_say_where_and_what() {
    for (text, line, column, message) in [
        ("", 1, 1, "expected a function"),
        (
            "fn f(x: f64) -> f64 { #[inline] let y = x; y }",
            1,
            25,
            "expected `checkpoint`, found `inline`",
        ),
        (
            "fn f(x: f64) -> f64 { #[checkpoint([x])] let y = x; y }",
            1,
            37,
            "expected the number of a checkpoint, found `x`",
        ),
        (
            "fn f(x: f64) -> f64 { #[checkpoint([0, 1], way=[2])] let y = x; y }",
            1,
            44,
            "expected a way for each of 2 checkpoints, found 1",
        ),
        (
            "fn f(x: f64) -> f64 { #[checkpoint([4294967296])] let y = x; y }",
            1,
            37,
            "expected the number of a checkpoint",
        ),
        (
            "fn f(x: f64) -> f64 { #[checkpoint([0])] x }",
            1,
            42,
            "expected `let`, found `x`",
        ),
        (
            "fn f(x: f64) -> f64 { x",
            1,
            24,
            "expected `}` to end the function",
        ),
        (
            "fn f(x: f63) -> f64 { x }",
            1,
            9,
            "expected a type such as f64[2, 3], found `f63`",
        ),
        (
            "fn f(x: f64) -> f64 {\n  let y = sine(x);\n  y\n}",
            2,
            11,
            "unknown operation or function `sine`; did you mean sin",
        ),
        (
            "fn f(x: f64[2], y: f64[3]) -> f64[2] { x + y }",
            1,
            42,
            "expected operands of one shape, found [2] and [3]",
        ),
        (
            "fn f(x: f64, y: f32) -> f64 { x * y }",
            1,
            33,
            "expected operands of one dtype, found f64 and f32",
        ),
        (
            "fn f(x: i64) -> i64 { x + 0.5 }",
            1,
            27,
            "expected i64, found `0.5`",
        ),
        (
            "fn f(x: f64) -> f64[2] { x }",
            1,
            26,
            "expected f64[2], found f64",
        ),
        ("fn f(x: f64) -> f64 { y }", 1, 23, "`y` is not defined"),
        (
            "fn f(x: f64) -> f64 { f(x) }",
            1,
            23,
            "recursion is not supported",
        ),
        (
            "fn f(x: f64[3]) -> f64 { x[3] }",
            1,
            28,
            "index 3 is out of range for an axis of length 3",
        ),
        ("fn f(x: f64) -> f64 { /* open }", 1, 23, "expected `*/`"),
        (
            "fn f(x: f64, x: f64) -> f64 { x }",
            1,
            14,
            "found `x` twice",
        ),
        (
            "fn f(x: f64[2]) -> f64 { sum(x, axes=[1]) }",
            1,
            26,
            "`sum`",
        ),
        (
            "fn f(x: f64[99999999999, 99999999999]) -> f64 { sum(x) }",
            1,
            9,
            "larger than memory can be",
        ),
        ("fn f() -> u8 { 256 }", 1, 16, "expected u8, found `256`"),
        (
            "fn f() -> f64 { 1.0 } fn f() -> f64 { 2.0 }",
            1,
            26,
            "defined twice",
        ),
        (
            "fn f(x: f64) -> f64 { $ }",
            1,
            23,
            "unexpected character `$`",
        ),
    ] {
        let e = parse(text).map(|m| m.print()).expect_err(text);
        assert_eq!((e.line, e.column), (line, column), "{text}: {e}");
        assert!(e.message.contains(message), "{text}: {e}");
    }
    let text = "fn f(x: f64) -> f64 {\n\tsine(x)\n}";
    let rendered = parse(text).unwrap_err().render(text);
    assert!(rendered.contains("2 | \tsine(x)\n  | \t^"), "{rendered}");
}

#[test]
fn nesting_is_bounded_and_shallow_enough_for_small_stacks() {
    let run = || {
        for deep in [
            format!(
                "fn f(x: f64) -> f64 {{ {}x{} }}",
                "(".repeat(100_000),
                ")".repeat(100_000)
            ),
            format!("fn f(x: f64) -> f64 {{ {}x }}", "-".repeat(100_000)),
            format!("fn f(x: f64) -> f64 {{ x{} }}", " + x".repeat(100_000)),
            format!("fn f(x: f64) -> f64 {{ x{} }}", "[0]".repeat(100_000)),
            format!("fn f(x: f64) -> f64 {{ {} }}", "sin(".repeat(100_000)),
            format!("fn f() -> f64 {{ constant({}) }}", "[".repeat(100_000)),
            format!("fn f(x: f64) -> f64 {{ x{} }}", " ** x".repeat(100_000)),
        ] {
            assert!(parse(&deep).is_err());
        }
        let fits = format!(
            "fn f(x: f64) -> f64 {{ {}x{} }}",
            "sin(".repeat(200),
            ")".repeat(200)
        );
        assert_eq!(graph(&fits).operation_count(), 200);
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn calls_nest_at_most_256_deep() {
    let chain = |n: usize| {
        let mut text = "fn g0(x: f64) -> f64 { sin(x) }\n".to_owned();
        for i in 1..=n {
            text += &format!(
                "fn g{i}(x: f64) -> f64 {{ g{}(x) * g{}(x + 1.0) }}\n",
                i - 1,
                i - 1
            );
        }
        text
    };
    // Every level calls the one below twice: comparing and printing must not unfold the pyramid.
    let deep = graph(&chain(200));
    assert_eq!(graph(&print(&deep)), deep);
    assert!(
        parse(&chain(300))
            .unwrap_err()
            .message
            .contains("deeper than 256")
    );
}
