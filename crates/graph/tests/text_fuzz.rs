//! No text makes the parser panic, and whatever parses prints and reads back equal.

use cotangent_graph::{parse, print};
use proptest::prelude::*;

/// Parses; where that works, the graph verifies and survives print and parse.
fn check(text: &str) {
    match parse(text) {
        Ok(module) => {
            for g in &module.functions {
                assert_eq!(g.verify(), Ok(()), "{text}");
                let printed = print(g);
                let again = parse(&printed).unwrap_or_else(|e| panic!("{}", e.render(&printed)));
                assert_eq!(again.entry(), &**g, "{printed}");
                assert_eq!(print(again.entry()), printed);
            }
        }
        Err(e) => {
            assert!(e.line >= 1 && e.column >= 1 && !e.message.is_empty());
            let _ = e.render(text);
        }
    }
}

/// Pieces of texts, valid and not, in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "fn f(",
        "x: f64",
        "y: f64[2, 3]",
        "i: i64[2]",
        ") -> f64 {",
        ")",
        "#[checkpoint([0, 3])] let v0",
        "#[checkpoint([",
        "way=[1]",
        "{",
        "}",
        "(",
        "[",
        "]",
        ",",
        "let v0",
        ": f64[2]",
        "=",
        ";",
        "x",
        "y",
        "i",
        "v0",
        "1",
        "-1",
        "0.5",
        "1e400",
        "nan",
        "inf",
        "99999999999999999999",
        "9223372036854775807",
        "+",
        "-",
        "*",
        "**",
        "@",
        "/",
        "%",
        "<",
        "==",
        "&",
        "|",
        "!",
        "sum(",
        "reshape(",
        "shape=[",
        "axes=[0]",
        "axis=",
        "slice(",
        "start=[0]",
        "limit=[1]",
        "pad(",
        "low=[1]",
        "high=",
        "interior=",
        "gather(",
        "dot(",
        "contract=([1], [0])",
        "conv(",
        "stride=[1, 1]",
        "padding=[(1, 1)]",
        "window_max(",
        "window=[2]",
        "concat(",
        "full(",
        "constant(",
        "powi(",
        "n=",
        "get(",
        "index=0",
        "convert(",
        "dtype=f32",
        "iota(",
        "random_bits(",
        "f(",
        "...",
        "::",
        "::-1",
        "//",
        "/*",
        "*/",
        "\n",
        "\t",
        "é",
        "\u{0}",
        "true",
        "u8",
        "0.5f32",
        "3i64",
        "300u8",
    ];
    let piece = prop_oneof![8 => proptest::sample::select(pieces), 1 => Just(" ")];
    proptest::collection::vec(piece, 0..40).prop_map(|p| p.join(" "))
}

/// A text that is nearly right: a good function with one stretch replaced.
fn damaged() -> impl Strategy<Value = String> {
    const GOOD: &str = "fn g(x: f64[2, 3]) -> (f64[2], f64) {
    let v0: f64[2] = sum(x, axes=[1]);
    let v1: f64[2] = mul(v0, 0.5);
    let v2: f64[2, 3] = pad(x[:, 1:], 1.5, low=[0, 1], high=[0, 0]);
    (v1 + powi(v0, n=3), sum(v2 @ constant([1.0, 2.0, 3.0])))
}
fn f(x: f64[2, 3], i: i64[4]) -> f64 {
    let p: (f64[2], f64) = g(x);
    get(p, index=1) + sum(gather(get(p, index=0), i % 2, axis=0)) + x[0, -1] ** 2
}";
    (0..GOOD.len(), 0..12_usize, soup()).prop_map(|(start, length, middle)| {
        let end = (start + length).min(GOOD.len());
        format!("{}{middle}{}", &GOOD[..start], &GOOD[end..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_characters(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn any_tokens(text in soup()) {
        check(&format!("fn f(x: f64, y: f64[2, 3], i: i64[2]) {{ {text} }}"));
        check(&text);
    }

    #[test]
    fn damaged_functions(text in damaged()) {
        check(&text);
    }
}

#[test]
fn the_corpus_of_nasty_texts() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        check(&text);
        count += 1;
    }
    assert!(count >= 10, "the corpus is missing");
}
