//! The command, run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn remat(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_remat"))
        .args(arguments)
        .output();
    command.expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a file to a folder of this test run.
fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the folder can be written");
    path
}

const GRAPH: &str = r#"{"name": "small", "bytes": [8, 8, 8, 8, 8, 8, 8], "cost": [1, 1, 1, 1, 1, 1, 1],
    "backward": [false, false, false, false, true, true, true],
    "edges": [[0, 1], [1, 2], [2, 3], [2, 4], [3, 4], [1, 5], [4, 5], [0, 6], [5, 6]]}"#;

#[test]
fn budgets_are_planned_checked_and_printed() {
    let path = file("small.json", GRAPH);
    let path = path.to_string_lossy();
    let run = remat(&[
        &path, "--budget", "1", "--budget", "0.8", "--budget", "0.2", "--json",
    ]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let rows: Vec<serde_json::Value> = text(&run.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is an object"))
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["overhead_pct"], 0.0);
    assert_eq!(rows[1]["graph"], "small");
    assert_eq!(rows[1]["budget"], 0.8);
    assert_eq!(rows[1]["peak"], 32);
    assert_eq!(rows[1]["checked"], true);
    let overhead = rows[1]["overhead_pct"].as_f64().unwrap_or_default();
    assert!((overhead - 100.0 / 7.0).abs() < 1e-9);
    assert!(rows[2]["overhead_pct"].is_null() && rows[2]["error"].is_string());
    let all = remat(&[&path]);
    assert_eq!(text(&all.stdout).lines().count(), 17);
}

#[test]
fn offsets_are_placed_checked_and_printed() {
    let path = file(
        "case.csv",
        "id,lower,upper,size\na,0,3,4\nb,3,9,4\nc,0,9,4\n",
    );
    let path = path.to_string_lossy();
    let run = remat(&["--offsets", &path, "8", "--json"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let row: serde_json::Value = serde_json::from_str(&text(&run.stdout)).expect("an object");
    assert_eq!((&row["solved"], &row["height"]), (&true.into(), &8.into()));
    let run = remat(&["--offsets", &path, "7", "--steps", "1000"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stdout).contains("not solved"));
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        ("cut.json", "{\"bytes\": [1", "EOF"),
        (
            "short.json",
            r#"{"bytes": [1, 1], "cost": [1], "edges": []}"#,
            "expected 2 numbers in `cost`",
        ),
        (
            "back.json",
            r#"{"bytes": [1, 1], "cost": [1, 1], "edges": [[1, 0]]}"#,
            "reads value 1",
        ),
        (
            "far.json",
            r#"{"bytes": [1, 1], "cost": [1, 1], "edges": [[0, 5]]}"#,
            "names value 5",
        ),
        (
            "large.json",
            r#"{"bytes": [18446744073709551615, 1], "cost": [1, 1], "edges": []}"#,
            "overflow",
        ),
    ];
    for (name, content, said) in cases {
        let path = file(name, content);
        let run = remat(&[&path.to_string_lossy()]);
        assert_eq!(run.status.code(), Some(1), "{name}");
        let told = text(&run.stderr);
        assert!(told.contains(said) && told.contains(name), "{told}");
    }
    assert_eq!(remat(&["missing.json"]).status.code(), Some(1));
    assert_eq!(remat(&[]).status.code(), Some(2));
    assert_eq!(remat(&["x.json", "--budget", "-1"]).status.code(), Some(2));
    let path = file("bad.csv", "id,lower,upper,size\na,0,x,4\n");
    let run = remat(&["--offsets", &path.to_string_lossy(), "8"]);
    assert!(text(&run.stderr).contains("line 2: expected a number, found `x`"));
}
