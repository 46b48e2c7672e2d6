//! The page of `show --html` in a real browser, beside what `run` prints. Skipped, with a line that says so, where
//! there is no browser.

#[path = "../../view/tests/support/chrome.rs"]
#[allow(dead_code)]
mod chrome;
mod common;

use chrome::Browser;
use common::Folder;
use serde_json::json;

/// Functions, the names of their inputs, and values.
const EXAMPLES: [(&str, &[(&str, &str)]); 10] = [
    (
        "fn f(x: f64) -> f64 { sin(x) }\nfn expression(w: f64) -> f64 { f(f(f(w))) }",
        &[("w", "0.75")],
    ),
    (
        "fn f(w: f64[3, 2], v: f64[3], x: f64[2], y: f64) -> f64 { (v @ tanh(w @ x) - y) ** 2 }",
        &[
            ("w", "[[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]]"),
            ("v", "[1.5, -0.5, 0.25]"),
            ("x", "[1, 2]"),
            ("y", "0.3"),
        ],
    ),
    (
        "fn f(x: f64, y: f64) -> f64 { x * y + exp(x) / y }",
        &[("x", "0.5"), ("y", "3")],
    ),
    (
        "fn f(x: f64[3]) -> f64 { sum(where(x > 0.0, sqrt(x), 0.0)) }",
        &[("x", "[4, 0, -1]")],
    ),
    (
        "fn f(x: f64[4]) -> f64 { max(x, axes=[0]) * sum(x) }",
        &[("x", "[3, 1, 2, 5]")],
    ),
    (
        "fn f(x: f64[4]) -> f64 { sum(cumsum(x, axis=0) * x) }",
        &[("x", "[3, 1, 2, 5]")],
    ),
    (
        "fn f(x: f32[2, 2], y: f32[2, 2]) -> f32 { sum(exp(x @ y)) }",
        &[
            ("x", "[[0.1, 0.2], [0.3, 0.4]]"),
            ("y", "[[1, 2], [3, -4]]"),
        ],
    ),
    ("fn f(x: f64) -> f64 { x ** 3 - 2.0 * x }", &[("x", "1.25")]),
    (
        "fn body(c: f64, x: f64) -> f64 { sin(c) + x }\n\
         fn f(x: f64[3]) -> f64 { let r = scan(0.5, x, body=body, carry=1, scanned=1); r * r }",
        &[("x", "[1, 2, 3]")],
    ),
    (
        "fn f(w: f64[3], x: f64[4, 3], y: f64[4]) -> f64 { let z = x @ w; sum(log1p(exp(z)) - y * z) / 4.0 }",
        &[
            ("w", "[0.5, -0.25, 0.1]"),
            ("x", "[[1, 2, 3], [0, 1, 0], [-1, 0.5, 2], [3, -2, 1]]"),
            ("y", "[1, 0, 1, 0]"),
        ],
    ),
];

/// The numbers that `run` prints, one list for each of its results.
fn numbers(printed: &str) -> Vec<Vec<String>> {
    let mut lists = Vec::new();
    let (mut list, mut depth) = (String::new(), 0_i32);
    for line in printed.lines() {
        depth += line.matches('[').count() as i32 - line.matches(']').count() as i32;
        list.push_str(line);
        if depth == 0 {
            let plain = list.replace(['[', ']'], " ");
            lists.push(
                plain
                    .split([',', ' '])
                    .filter(|n| !n.is_empty())
                    .map(str::to_owned)
                    .collect(),
            );
            list.clear();
        }
    }
    lists
}

#[test]
fn the_end_of_a_walk_is_what_run_prints() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = Folder::new("page");
    for (text, inputs) in EXAMPLES {
        folder.write("f.ct", text);
        let given: Vec<String> = inputs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let with = |command: &[&str]| -> Vec<String> {
            let flags = given
                .iter()
                .flat_map(|value| ["--in".to_owned(), value.clone()]);
            command
                .iter()
                .map(|part| (*part).to_owned())
                .chain(flags)
                .collect()
        };
        let run = |command: Vec<String>| {
            let parts: Vec<&str> = command.iter().map(String::as_str).collect();
            folder.run(&parts).ok().to_owned()
        };
        run(with(&["show", "f.ct", "--html", "f.html"]));
        folder
            .run(&["derive", "f.ct", "--mode", "value_and_grad", "-o", "g.ct"])
            .ok();
        let printed = numbers(&run(with(&["run", "g.ct"])));

        let html = String::from_utf8(folder.read("f.html")).unwrap();
        browser.open(&html, "#walk");
        browser.press("End");
        let shown = |kind: &str| {
            format!(
                "[...document.querySelector('[data-kind={kind}]').querySelectorAll('dd')].map(
                    d => [...d.querySelectorAll('td, .scalar, .cell')].map(e => e.textContent))"
            )
        };
        let (value, gradients) = printed.split_at(1);
        assert_eq!(browser.eval(&shown("results")), json!(value), "{text}");
        assert_eq!(
            browser.eval(&shown("gradients")),
            json!(gradients),
            "{text}"
        );
        assert_eq!(browser.troubles(), [""; 0], "{text}");
    }
}

#[test]
fn the_report_of_a_training_opens_quietly() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = Folder::new("report");
    folder.write("t.toml", "epochs = 2\nlayers = [16]\n");
    folder
        .run(&["train", "--config", "t.toml", "--report", "report.html"])
        .ok();
    let html = String::from_utf8(folder.read("report.html")).unwrap();
    browser.open(&html, "");
    assert_eq!(browser.text("document.body.dataset.view"), "training");
    let text = browser.text("document.querySelector('main').innerText");
    for expected in ["layers.0.weight", "Loss", "Accuracy", "epochs", "seed"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert_eq!(browser.troubles(), [""; 0]);
}

#[test]
fn the_live_page_of_explore_answers() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    use std::io::BufRead as _;
    let folder = Folder::new("live");
    let mut child = folder
        .command(&["explore", "--expr", "f(f(f(w)))"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut address = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    browser.visit(address.trim());
    browser.wait("document.body.textContent.includes('expression_grad')");
    let troubles = browser.troubles();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(troubles, [""; 0]);
}
