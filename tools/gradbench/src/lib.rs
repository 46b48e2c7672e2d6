//! A tool for GradBench (<https://github.com/gradbench/gradbench>): reads messages as JSON lines and
//! answers each. The functions of some evals are open to other programs that measure them.

mod eval;
pub mod evals;
mod input;
mod output;
mod session;

use std::io::{self, BufRead, Write};

use session::Session;

/// Answers line by line until the input ends.
///
/// # Errors
/// Input that cannot be read or output that cannot be written; a message that cannot be answered is
/// answered with what is wrong.
pub fn talk(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut session = Session::default();
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        writeln!(output, "{}", session.answer(&line))?;
        output.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::talk;

    fn answers(lines: &str) -> Vec<serde_json::Value> {
        let mut output = Vec::new();
        talk(lines.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    #[test]
    fn a_session_is_answered_line_by_line() {
        let a = answers(concat!(
            r#"{"id": 0, "kind": "start", "eval": "hello"}"#,
            "\n",
            r#"{"id": 1, "kind": "define", "module": "hello"}"#,
            "\n",
            r#"{"id": 2, "kind": "evaluate", "module": "hello", "function": "double", "input": 3.5}"#,
            "\n",
            r#"{"id": 3, "kind": "analysis", "of": 2, "valid": true}"#,
            "\n"
        ));
        assert_eq!(a.len(), 4);
        assert_eq!(a[0]["tool"], "cotangent");
        assert_eq!(a[1]["success"], true);
        assert_eq!(a[2]["output"], 7.0);
        assert_eq!(a[2]["timings"][1]["name"], "evaluate");
        assert_eq!(a[3], serde_json::json!({"id": 3}));
    }

    #[test]
    fn what_cannot_be_done_is_answered_too() {
        let a = answers(concat!(
            "{\n",
            r#"{"id": 1, "kind": "define", "module": "tea"}"#,
            "\n",
            r#"{"id": 2, "kind": "evaluate", "module": "tea", "function": "f", "input": 1}"#,
            "\n",
            r#"{"id": 3, "kind": "define", "module": "lse"}"#,
            "\n",
            r#"{"id": 4, "kind": "evaluate", "module": "lse", "function": "f", "input": {}}"#,
            "\n",
            r#"{"id": 5, "kind": "evaluate", "module": "lse", "function": "primal", "input": {}}"#,
            "\n",
            r#"{"id": 6, "kind": "evaluate", "module": "lse", "function": "primal", "input": {"x": [1, "a"]}}"#,
            "\n",
            r#"{"id": 7, "kind": "dance"}"#,
            "\n"
        ));
        assert_eq!(a.len(), 8);
        assert!(a.iter().filter(|a| a["success"] == true).count() == 1);
        assert!(a[1]["error"].as_str().unwrap().contains("tea"));
        assert!(a[5]["error"].as_str().unwrap().contains("`x`"));
    }
}
