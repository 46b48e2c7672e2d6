//! Functions to begin with.

/// Names and texts: the repeated sub-expression of a textbook, a network, and others that show
/// something each.
pub const EXAMPLES: [(&str, &str); 4] = [
    (
        "f(f(f(w)))",
        "fn f(x: f64) -> f64 { sin(x) }\n\nfn expression(w: f64) -> f64 { f(f(f(w))) }\n",
    ),
    (
        "a two-layer network",
        "fn loss(w: f64[3, 2], b: f64[3], v: f64[3], x: f64[2], y: f64) -> f64 {\n    \
         let hidden = tanh(w @ x + b);\n    let guess = v @ hidden;\n    (guess - y) ** 2\n}\n",
    ),
    (
        "logistic regression",
        "fn loss(w: f64[3], x: f64[4, 3], y: f64[4]) -> f64 {\n    let z = x @ w;\n    \
         sum(log1p(exp(z)) - y * z) / 4.0\n}\n",
    ),
    (
        "a harmless zero",
        "// The arm that is not taken adds nothing to the gradient, not even a NaN.\n\
         fn f(x: f64[3]) -> f64 { sum(where(x > 0.0, sqrt(x), 0.0)) }\n",
    ),
];
