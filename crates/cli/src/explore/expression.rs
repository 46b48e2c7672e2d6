//! From a bare expression to a function.

use cotangent_graph::{ParseError, parse};

/// At most this many functions are made up for one expression.
const MOST: usize = 16;

/// A text whose last function is the expression: its variables are `f64` inputs, and functions that
/// nobody knows are put in front, as the sine, for the reader to change.
///
/// # Errors
/// What is wrong with the expression.
///
/// `f(f(f(w)))` becomes
/// ```text
/// fn f(x: f64) -> f64 { sin(x) }
///
/// fn expression(w: f64) -> f64 { f(f(f(w))) }
/// ```
pub fn function(expression: &str) -> Result<String, String> {
    let expression = expression.trim();
    let inputs: Vec<String> = variables(expression)
        .into_iter()
        .map(|name| format!("{name}: f64"))
        .collect();
    let last = format!(
        "fn expression({}) -> f64 {{ {expression} }}\n",
        inputs.join(", ")
    );
    let mut made_up = String::new();
    for _ in 0..=MOST {
        let text = format!("{made_up}{last}");
        match parse(&text) {
            Ok(_) => return Ok(text),
            Err(error) => match unknown(&error) {
                Some(name) => {
                    made_up.push_str(&format!("fn {name}(x: f64) -> f64 {{ sin(x) }}\n\n"))
                }
                None => return Err(error.message),
            },
        }
    }
    Err(format!("more than {MOST} functions are unknown"))
}

/// The function that a text calls and does not have.
fn unknown(error: &ParseError) -> Option<&str> {
    let rest = error
        .message
        .strip_prefix("unknown operation or function `")?;
    rest.split_once('`').map(|(name, _)| name)
}

/// Names that stand in front of no `(`, `=` or other name, each once, in order.
fn variables(expression: &str) -> Vec<String> {
    let chars: Vec<char> = expression.chars().collect();
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut names: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if !part(c) {
            at += 1;
            continue;
        }
        let end = (at..chars.len())
            .find(|i| !part(chars[*i]))
            .unwrap_or(chars.len());
        let name: String = chars[at..end].iter().collect();
        let next = chars[end..].iter().find(|c| !c.is_whitespace());
        let after = chars[end..].iter().filter(|c| !c.is_whitespace()).nth(1);
        // `axis=0` names an attribute, `a == b` compares.
        let attribute = next == Some(&'=') && after != Some(&'=');
        let number = c.is_ascii_digit();
        let word = cotangent_graph::is_reserved(&name);
        if !(number || word || attribute || next == Some(&'(') || names.contains(&name)) {
            names.push(name);
        }
        // The exponent of 1e-3 is no name, and neither is what follows the point of 2.5e3.
        at = end;
        if number && chars.get(at) == Some(&'.') {
            at += 1;
            while chars.get(at).is_some_and(|c| part(*c)) {
                at += 1;
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_functions_are_made_up_and_variables_are_inputs() {
        let text = function("f(f(f(w)))").unwrap();
        assert_eq!(
            text,
            "fn f(x: f64) -> f64 { sin(x) }\n\nfn expression(w: f64) -> f64 { f(f(f(w))) }\n"
        );
        assert_eq!(
            variables("a * tanh(b + a) ** 2e3 - 1.5e-2 * c_1"),
            ["a", "b", "c_1"]
        );
        assert!(function("x * (y").is_err());
        assert!(function("").is_err());
        assert!(function("where(x > 0.0, g(x), h(x, x))").is_err());
        let two = function("where(x > 0.0, g(x), h(y))").unwrap();
        assert!(two.contains("fn g(") && two.contains("fn h(") && two.contains("(x: f64, y: f64)"));
    }
}
