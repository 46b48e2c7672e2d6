//! The command on the samples themselves, on made ones, and on folders that hold none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cotangent::{Array, npz};

fn judges(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_judges"))
        .args(arguments)
        .output()
        .unwrap()
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

/// A folder with one sample of `square` at 3 whose gradient is `gradient`.
fn folder(name: &str, gradient: f64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let arrays = [
        ("x", 3.0),
        ("y", 9.0),
        ("c", 2.0),
        ("g", gradient),
        ("t", 5.0),
        ("j", 30.0),
        ("h", 20.0),
    ]
    .map(|(name, value)| (name.to_owned(), Array::scalar(value)));
    let entries: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (n.as_str(), a)).collect();
    let file = File::create(folder.join("square.npz")).unwrap();
    npz::write(file, entries, npz::Compression::Stored).unwrap();
    let index = r#"{"op": "square", "variant": "", "file": "square.npz", "sample": 0,
        "args": [{"$": "x"}], "kwargs": {}, "wrt": ["x"], "outs": ["y"], "diff_outs": [0],
        "cot": ["c"], "grad": ["g"], "tan": ["t"], "jvp": ["j"], "hvp": ["h"]}"#;
    fs::write(folder.join("index.jsonl"), index.replace('\n', "")).unwrap();
    folder
}

#[test]
fn every_sample_of_a_mapped_operator_passes() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/judges/opinfo");
    if !samples.is_dir() {
        println!("skipped: no ../shared");
        return;
    }
    let output = judges(&[samples.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.lines().filter(|l| l.contains("FAILED")).collect();
    assert_eq!(failed, Vec::<&str>::new());
    assert_eq!(output.status.code(), Some(0));
    let counts: Vec<usize> = last_line(&output)
        .split(", ")
        .filter_map(|part| part.split(' ').next()?.parse().ok())
        .collect();
    assert!(
        matches!(counts[..], [passed, 0, _] if passed > 1400),
        "{counts:?}"
    );
}

#[test]
fn a_right_derivative_passes_and_a_wrong_one_fails() {
    let right = judges(&[folder("right", 12.0).to_str().unwrap()]);
    assert_eq!(last_line(&right), "1 passed, 0 failed, 0 skipped");
    assert_eq!(right.status.code(), Some(0));
    let wrong = judges(&[folder("wrong", 12.0 + 1e-6).to_str().unwrap(), "--verbose"]);
    assert_eq!(last_line(&wrong), "0 passed, 1 failed, 0 skipped");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stdout).contains("vjp: error 1.0e-6"));
}

#[test]
fn a_folder_without_samples_fails_and_a_bad_one_is_a_usage_error() {
    let empty = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty");
    fs::create_dir_all(&empty).unwrap();
    fs::write(empty.join("index.jsonl"), "").unwrap();
    let output = judges(&[empty.to_str().unwrap()]);
    assert_eq!(last_line(&output), "0 passed, 0 failed, 0 skipped");
    assert_eq!(output.status.code(), Some(1));
    for bad in [
        &["/no/such/folder"][..],
        &[],
        &["--nonsense", "x"],
        &["a", "b"],
    ] {
        assert_eq!(judges(bad).status.code(), Some(2), "{bad:?}");
    }
    fs::write(empty.join("index.jsonl"), "{\"op\": 3}").unwrap();
    let output = judges(&[empty.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 1"));
}

#[test]
fn the_list_says_why_an_operator_is_not_mapped() {
    let folder = folder("list", 12.0);
    let index = fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let other = index.replace("\"op\": \"square\"", "\"op\": \"unique\"");
    fs::write(folder.join("index.jsonl"), format!("{index}\n{other}\n")).unwrap();
    let output = judges(&[folder.to_str().unwrap(), "--list"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("square: mapped (1 samples)"), "{text}");
    assert!(
        text.contains("unique: not mapped (1 samples): the shape of the result depends on values"),
        "{text}"
    );
    assert_eq!(last_line(&output), "1 of 2 operators mapped");
}
