//! `train` as a user calls it.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;

use common::Folder;
use cotangent_array::{Array, npz, safetensors};

/// Two classes by the side of a line, with text labels.
fn labelled(rows: usize) -> String {
    let mut text = String::from("a,b,side\n");
    for i in 0..rows {
        let (a, b) = ((i * 37 % 101) as f64 / 101.0, (i * 61 % 103) as f64 / 103.0);
        let side = if a + b > 1.0 { "above" } else { "below" };
        writeln!(text, "{a},{b},{side}").unwrap();
    }
    text
}

/// y = 3 + 2 a - 5 b, of the order of thousands.
fn measured(rows: usize) -> String {
    let mut text = String::from("a,y,b\n");
    for i in 0..rows {
        let (a, b) = ((i * 37 % 101) as f64, (i * 61 % 103) as f64);
        writeln!(text, "{a},{},{b}", 10.0 * (3.0 + 2.0 * a - 5.0 * b)).unwrap();
    }
    text
}

const FEW: &str = "epochs = 2\nlayers = [8]\n";

#[test]
fn the_digits_need_no_arguments() {
    let folder = Folder::new("digits");
    folder.write("few.toml", "epochs = 3\n");
    let ran = folder.run(&["train", "--config", "few.toml", "--json"]);
    let json = ran.json();
    // A JSON object has no order; other members of the workspace may build one that keeps it.
    let keys: BTreeSet<&str> = (json.as_object().unwrap().keys().map(String::as_str)).collect();
    let expected = ["epochs", "seconds", "seed", "steps", "test_accuracy"];
    assert_eq!(keys, BTreeSet::from(expected));
    assert_eq!(json["epochs"], 3);
    assert_eq!(json["steps"], 3 * 43);
    assert_eq!(json["seed"], 0);
    assert!(json["test_accuracy"].as_f64().unwrap() > 0.9, "{json}");
    // No terminal, so a plain line for each epoch.
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.err);
    assert!(
        lines[0].starts_with("epoch 1/3  loss ") && lines[0].contains("accuracy"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains('\r'));
    assert!(ran.out.starts_with("test accuracy 0.9"), "{}", ran.out);
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let folder = Folder::new("seed");
    folder.write("few.toml", "epochs = 1\nlayers = [16]\n");
    let train = |seed: &str, name: &str| {
        folder
            .run(&[
                "train", "--config", "few.toml", "--seed", seed, "--save", name,
            ])
            .ok();
        folder.read(name)
    };
    let first = train("7", "a");
    assert!(first == train("7", "b"), "the same seed gave other bits");
    assert!(first != train("8", "c"), "another seed gave the same bits");
    assert_eq!(folder.files(), ["a", "b", "c", "few.toml"]);
    // The seed of the settings counts unless one is given.
    folder.write("seven.toml", "epochs = 1\nlayers = [16]\nseed = 7\n");
    folder
        .run(&["train", "--config", "seven.toml", "--save", "d"])
        .ok();
    assert!(first == folder.read("d"));
}

#[test]
fn a_classifier_of_ones_own_table() {
    let folder = Folder::new("classes");
    folder.write("t.csv", labelled(400));
    folder.write("s.toml", "epochs = 60\nlayers = [16]\n");
    let ran = folder.run(&[
        "train",
        "--data",
        "t.csv",
        "--target",
        "side",
        "--config",
        "s.toml",
        "--json",
        "--save",
        "m.safetensors",
    ]);
    assert!(
        ran.json()["test_accuracy"].as_f64().unwrap() > 0.93,
        "{}",
        ran.out
    );
    let saved = safetensors::read(&folder.read("m.safetensors")[..]).unwrap();
    assert_eq!(saved.metadata["labels"], r#"["above","below"]"#);
    assert_eq!(saved.metadata["features"], r#"["a","b"]"#);
    assert_eq!(saved.metadata["target"], "side");
    assert_eq!(saved.metadata["task"], "classify");
    assert!(saved.metadata["config"].contains("epochs = 60"));
    assert!(saved.metadata["test_accuracy"].parse::<f64>().unwrap() > 0.93);
    // The parameters of the best epoch are the result.
    assert!((1..=60).contains(&saved.metadata["best_epoch"].parse::<u32>().unwrap()));
    let mut names: Vec<&str> = saved.arrays.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "features.mean",
            "features.scale",
            "params.layers.0.bias",
            "params.layers.0.weight",
            "params.layers.1.bias",
            "params.layers.1.weight"
        ]
    );
}

#[test]
fn a_regressor_of_ones_own_table() {
    let folder = Folder::new("numbers");
    folder.write("t.csv", measured(400));
    folder.write(
        "linear.toml",
        "layers = []\nepochs = 60\nlr = 0.05\nweight_decay = 0\ndtype = \"f64\"\n",
    );
    let ran = folder.run(&[
        "train",
        "--data",
        "t.csv",
        "--target",
        "y",
        "--config",
        "linear.toml",
        "--json",
    ]);
    let json = ran.json();
    assert!(json.get("test_accuracy").is_none());
    // The target's deviation is about 1600: a linear model finds the line.
    assert!(json["test_rmse"].as_f64().unwrap() < 1.0, "{json}");
    assert!(ran.err.contains("rmse"), "{}", ran.err);
    for more in [
        "loss = \"huber\"\nlr = 0.05",
        "loss = \"mae\"\nlr = 0.05",
        "optimizer = \"sgd\"\nmomentum = 0.9\nnesterov = true\nlr = 0.01",
        "optimizer = \"rmsprop\"\nlr = 0.01",
        "optimizer = \"adam\"\nclip = 1\nlr = 0.05",
        "activation = \"gelu\"\nlr = 0.02",
    ] {
        folder.write("other.toml", format!("epochs = 30\n{more}\n"));
        let ran = folder.run(&[
            "train",
            "--data",
            "t.csv",
            "--target",
            "y",
            "--config",
            "other.toml",
            "--json",
        ]);
        assert!(
            ran.json()["test_rmse"].as_f64().unwrap() < 800.0,
            "{more}: {}",
            ran.out
        );
    }
}

#[test]
fn tables_without_header_and_other_formats() {
    let folder = Folder::new("formats");
    folder.write("few.toml", FEW);
    let text = labelled(60);
    let (_, rows) = text.split_once('\n').unwrap();
    folder.write("rows.csv", rows);
    folder.write("t.tsv", text.replace(',', "\t"));
    let accuracy = |data: &str, target: &str| {
        let ran = folder.run(&[
            "train", "--data", data, "--target", target, "--config", "few.toml", "--json",
        ]);
        ran.json()["test_accuracy"].as_f64().unwrap()
    };
    let first = accuracy("t.tsv", "side");
    assert_eq!(first, accuracy("t.tsv", "3"));
    assert_eq!(first, accuracy("rows.csv", "3"));
    let x: Vec<f64> = (0..120).map(|i| f64::from(i % 7)).collect();
    let y: Vec<i64> = (0..60).map(|i| i % 3).collect();
    let (x, y) = (Array::new([60, 2], x).unwrap(), Array::from(y));
    let mut bytes = Vec::new();
    npz::write(&mut bytes, [("x", &x), ("y", &y)], npz::Compression::Stored).unwrap();
    folder.write("t.npz", bytes);
    accuracy("t.npz", "y");
    // The same column as numbers, told to be one.
    let told = [
        "train", "--data", "t.npz", "--target", "y", "--config", "few.toml", "--json", "--task",
        "regress",
    ];
    assert!(folder.run(&told).json()["test_rmse"].is_f64());
}

#[test]
fn missing_values() {
    let folder = Folder::new("missing");
    folder.write("few.toml", FEW);
    folder.write("t.csv", labelled(60) + "0.5,,above\n");
    let train = [
        "train", "--data", "t.csv", "--target", "side", "--config", "few.toml", "--json",
    ];
    let ran = folder.run(&train);
    ran.fails(1, "error: t.csv, line 62, column `b`: the value is missing");
    assert_eq!(ran.out, "");
    let dropped = folder.run(&[&train[..], &["--drop-missing"]].concat());
    assert!(dropped.json()["test_accuracy"].is_f64());
}

#[test]
fn errors_leave_nothing_behind() {
    let folder = Folder::new("train-errors");
    folder.write("t.csv", labelled(60));
    folder.write("text.csv", "a,b\n1,x\n2,y\nthree,x\n4,y\n");
    folder.write("few.toml", FEW);
    folder.write("unknown.toml", "epochs = 2\n\nwidth = 3\n");
    folder.write("range.toml", "dropout = 1.5\n");
    folder.write("fast.toml", "epochs = 2\noptimizer = \"sgd\"\nlr = 1e30\n");
    folder.write("small.csv", "a,b\n1,x\n2,y\n");
    let before = folder.files();
    let train = |more: &[&str]| folder.run(&[&["train", "--save", "m"], more].concat());
    let table = ["--data", "t.csv", "--target", "side"];
    train(&["--data", "no.csv", "--target", "y"]).fails(1, "no.csv: ");
    train(&["--data", "t.csv", "--target", "y"]).fails(
        1,
        "no column is named `y`; expected one of `a`, `b`, `side`, or a number from 1 to 3",
    );
    train(&["--data", "t.csv", "--target", "4"]).fails(1, "no column is named `4`");
    train(&["--data", "t.xls", "--target", "4"]).fails(1, "expected a file named *.csv");
    train(&["--data", "text.csv", "--target", "b"]).fails(
        1,
        "text.csv, line 4, column `a`: expected a finite number, found `three`",
    );
    train(&[&table[..], &["--task", "regress"]].concat())
        .fails(1, "expected a finite number, found `below`");
    train(&[&table[..], &["--config", "unknown.toml"]].concat()).fails(1, "unknown.toml: ");
    train(&["--config", "unknown.toml"]).fails(1, "line 3");
    train(&["--config", "unknown.toml"]).fails(1, "unknown field `width`");
    train(&["--config", "range.toml"]).fails(
        1,
        "range.toml: `dropout`: expected a number from 0 to below 1",
    );
    train(&["--config", "no.toml"]).fails(1, "no.toml: ");
    train(&["--config", "fast.toml"]).fails(1, "the loss is no longer finite in epoch");
    train(&["--data", "small.csv", "--target", "b"]).fails(1, "too few to split");
    folder
        .run(&["train", "--resume", "nothing"])
        .fails(1, "nothing: ");
    folder
        .run(&["train", "--resume", "t.csv"])
        .fails(1, "t.csv: ");
    folder
        .run(&["train", "--save", "no/such/m"])
        .fails(1, "no/such/m: ");
    assert_eq!(folder.files(), before);
}

#[test]
fn wrong_command_lines_are_status_2() {
    let folder = Folder::new("train-usage");
    let train = |more: &[&str]| folder.run(&[&["train"], more].concat());
    train(&["--data", "t.csv"]).fails(2, "--target");
    train(&["--target", "y"]).fails(2, "--data");
    train(&["--task", "guess"]).fails(2, "guess");
    train(&["--task", "regress"]).fails(2, "--task regress needs --data");
    train(&["--seed=-1"]).fails(2, "--seed");
    train(&["--seed", "x"]).fails(2, "--seed");
    train(&["--resume", "c", "--seed", "1"]).fails(2, "cannot be used with");
    train(&["--save", "-"]).fails(2, "not `-`");
    train(&["--save", "m", "--checkpoint", "m"]).fails(2, "different files");
    train(&["--report"]).fails(2, "--report");
    assert!(folder.files().is_empty());
    let help = train(&["--help"]);
    assert!(
        help.ok().contains("optimizer = ") && help.out.contains("label_smoothing"),
        "{}",
        help.out
    );
}
