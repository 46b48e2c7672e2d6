//! The program as it is called.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        // Nothing from around the workspace.
        .arg("--peers-dir")
        .arg(folder.path())
        .env_remove("PEERS_DATA")
        .output()
        .unwrap()
}

#[test]
fn a_workload_needs_nothing_but_the_program() {
    let output = bench(&[
        "W9a",
        "W6",
        "--json",
        "--odd",
        "--seconds",
        "0.02",
        "--rounds",
        "2",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(output.status.success(), "{text}");
    assert_eq!(rows.len(), 4);
    for row in &rows {
        for field in ["grad_ms", "primal_ms", "ratio", "build_ms", "first_ms"] {
            assert!(row[field].as_f64().unwrap() > 0.0, "{field}: {row}");
        }
        assert_eq!(row["threads"], 1);
        assert_eq!(row["inputs"], "made");
        assert_eq!(row["checked"], serde_json::json!(["recorded"]));
        assert_eq!(row["peers"], serde_json::json!({}));
        if cfg!(target_os = "linux") {
            assert!(row["peak_mb"].as_f64().unwrap() > 1.0, "{row}");
        }
    }
    let size = |i: usize| rows[i]["size"].as_str().unwrap();
    assert_eq!((size(0), size(1)), ("n=1000", "n=1003"));
    assert_eq!(
        (&rows[2]["odd"], &rows[3]["odd"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn peers_that_are_not_there_are_named_and_left_out() {
    let python = "--python=/no/such/python";
    let rest = ["--seconds", "0.01", "--rounds", "1"];
    let output = bench(&[&["W9c", "--peers", "c,jax", python], &rest[..]].concat());
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{err}");
    assert!(out.lines().last().unwrap().starts_with("W9c"), "{out}");
    assert!(err.contains("c skipped for W9c: "), "{err}");
    assert!(err.contains("jax skipped for W9c: "), "{err}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for wrong in [["W13"], ["--peers=abacus"], ["--threads=none"]] {
        assert_eq!(bench(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("W9a.npz"), "no archive").unwrap();
    let folder = folder.path().to_str().unwrap();
    let output = bench(&["W9a", "--json", "--data", folder]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let row: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert!(row["error"].as_str().unwrap().contains("W9a.npz"), "{row}");
}
