//! Formulas: what they say, what they count, and that they mean what the graph means.

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse};
use cotangent_transform::symbolic::{derivative, formula_operations, sizes, to_expression};
use cotangent_transform::{TransformError, grad};

fn graph(text: &str) -> Graph {
    parse(text).unwrap().entry().clone()
}

#[test]
fn derivatives_as_a_textbook_writes_them() {
    for (f, want) in [
        ("x", "1.0"),
        ("3.0", "0.0"),
        ("2.0 * x + 1.0", "2.0"),
        ("x * x", "x + x"),
        ("x ** 3.0", "3.0 * x ** 2.0"),
        ("sin(x) * x", "cos(x) * x + sin(x)"),
        ("exp(-x)", "-exp(-x)"),
        (
            "x / (1.0 + x)",
            "1.0 / (1.0 + x) - (x / (1.0 + x) / (1.0 + x))",
        ),
        (
            "tanh(sin(x))",
            "cos(x) * (1.0 - tanh(sin(x)) * tanh(sin(x)))",
        ),
    ] {
        let f = graph(&format!("fn f(x: f64) -> f64 {{ {f} }}"));
        let found = to_expression(&derivative(&f, 0).unwrap()).unwrap();
        assert_eq!(found, want, "{f}");
    }
}

#[test]
fn formulas_read_back_with_the_same_meaning() {
    let bodies = [
        "x - (y - x) - -y",
        "x / y / x * (y / x)",
        "-(x + y) * -x",
        "(x ** y) ** x + x ** (y ** 2.0)",
        "-(x ** 2.0) - (-x) ** 2.0",
        "atan2(x, y) * select(x > y, x, -y)",
        "maximum(x, y) / (1.0 - tanh(x * y))",
        "polygamma(x, n=2) + powi(y, n=-3)",
        "gammainc(x * x, y * y, orders=[1, 0]) + zeta(2.0 + x * x, 1.0 + y * y)",
        "1.0 / (x / (y - 1.0e-3))",
        "2.0 - (x - y) * (x - y) / (x * (y + 1.5))",
    ];
    for body in bodies {
        let f = graph(&format!("fn f(x: f64, y: f64) -> f64 {{ {body} }}"));
        for g in [
            f.clone(),
            derivative(&f, 0).unwrap(),
            derivative(&f, 1).unwrap(),
        ] {
            let text = format!(
                "fn g(x: f64, y: f64) -> f64 {{ {} }}",
                to_expression(&g).unwrap()
            );
            let back = parse(&text)
                .unwrap_or_else(|e| panic!("{text}: {e}"))
                .entry()
                .clone();
            for (x, y) in [(0.7, 1.3), (1.9, 0.4)] {
                let at = [Array::scalar(x), Array::scalar(y)];
                let (a, b) = (
                    eval(&g, &at).unwrap()[0].to_f64s()[0],
                    eval(&back, &at).unwrap()[0].to_f64s()[0],
                );
                assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs()), "{text}: {a} {b}");
            }
        }
        for (input, wrt) in [(0, [true, false]), (1, [false, true])] {
            let at = [Array::scalar(0.7), Array::scalar(1.3)];
            let a = eval(&derivative(&f, input).unwrap(), &at).unwrap()[0].to_f64s()[0];
            let b = eval(&grad(&f, &wrt).unwrap(), &at).unwrap()[0].to_f64s()[0];
            assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()));
        }
    }
}

/// x -> sin(x) x, so many times over.
fn nested(depth: usize) -> Graph {
    let mut text = String::from("fn f(x: f64) -> f64 {\n let y0 = x;\n");
    for k in 0..depth {
        text += &format!(" let y{} = sin(y{k}) * y{k};\n", k + 1);
    }
    graph(&(text + &format!(" y{depth}\n}}")))
}

#[test]
fn counting_follows_the_recurrence() {
    // Of the value: two copies and two operations. Of the derivative, cos(u) u' u + sin(u) u': three
    // copies of u, two of u' and six operations, but two products fewer where u' is 1.
    let (mut value, mut slope) = (0_u128, 0_u128);
    for depth in 1..=20 {
        slope = 3 * value + 2 * slope + if depth == 1 { 4 } else { 6 };
        value = 2 * value + 2;
        let s = sizes(&nested(depth), 0).unwrap();
        assert_eq!(
            (s.formula, s.formula_derivative),
            (value, slope),
            "depth {depth}"
        );
        assert_eq!(s.graph, 2 * depth);
        assert!(s.graph_derivative <= 8 * depth);
    }
}

#[test]
fn counting_takes_no_longer_than_the_graph() {
    assert_eq!(
        sizes(&nested(20_000), 0).unwrap().formula_derivative,
        u128::MAX
    );
}

#[test]
fn errors_say_what_was_expected() {
    let long = nested(16);
    let e = to_expression(&derivative(&long, 0).unwrap())
        .unwrap_err()
        .to_string();
    assert!(e.contains("at most 2000 operations"), "{e}");
    let called = graph("fn g(x: f64) -> f64 { x } fn f(x: f64) -> f64 { g(x) }");
    let e = formula_operations(&called).unwrap_err();
    assert!(
        matches!(&e, TransformError::Formula(m) if m.contains("`g` cannot be written")),
        "{e}"
    );
    let two = graph("fn f(x: f64) -> (f64, f64) { (x, x) }");
    let e = derivative(&two, 0).unwrap_err().to_string();
    assert_eq!(
        e,
        "`f` gives (f64, f64): expected one float to take the derivative of"
    );
    assert!(matches!(
        derivative(&two, 3),
        Err(TransformError::NothingChosen { .. })
    ));
}
