//! Runs that are killed go on as if nothing had happened.

mod common;

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::Folder;

const SETTINGS: &str =
    "epochs = 60\nlayers = [12]\ndropout = 0.2\noptimizer = \"adam\"\nlr = 0.01\n";

fn table() -> String {
    let mut text = String::from("a,b,y\n");
    for i in 0..200 {
        let (a, b) = (f64::from(i * 37 % 101), f64::from(i * 61 % 103));
        text.push_str(&format!("{a},{b},{}\n", a * 0.5 - b));
    }
    text
}

/// A folder with data and settings, and the file of a run that nobody disturbed.
fn undisturbed(name: &str) -> (Folder, Vec<u8>) {
    let folder = Folder::new(name);
    folder.write("t.csv", table());
    folder.write("s.toml", SETTINGS);
    folder
        .run(&[
            "train", "--data", "t.csv", "--target", "y", "--config", "s.toml", "--save", "whole",
        ])
        .ok();
    let whole = folder.read("whole");
    std::fs::remove_file(folder.path("whole")).unwrap();
    (folder, whole)
}

/// Starts the run and kills it after a while; whether it was still running.
fn killed(folder: &Folder, arguments: &[&str], after: Duration) -> bool {
    let mut child = folder
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sleep(after);
    let running = child.try_wait().unwrap().is_none();
    // SIGKILL on Unix: the process has no chance to do anything more.
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

#[test]
fn killed_runs_go_on_bit_for_bit() {
    let (folder, whole) = undisturbed("kill");
    let start = Instant::now();
    let train = [
        "train", "--data", "t.csv", "--target", "y", "--config", "s.toml", "--save", "whole",
    ];
    folder.run(&train).ok();
    let length = start.elapsed();
    assert!(folder.read("whole") == whole);
    let mut interrupted = 0;
    for part in 1..=4 {
        std::fs::remove_file(folder.path("whole")).unwrap();
        let mut running = killed(&folder, &train, length * part / 5);
        // Killed again and again while it goes on, as long as there is something to go on from.
        for again in [4, 2] {
            if running && folder.path("whole.checkpoint").exists() {
                interrupted += 1;
                running = killed(&folder, &["train", "--resume", "whole"], length / again);
            }
        }
        if folder.path("whole.checkpoint").exists() {
            folder.run(&["train", "--resume", "whole", "--json"]).json();
        } else if !folder.path("whole").exists() {
            // Killed before there was anything.
            folder.run(&train).ok();
        }
        assert!(
            folder.read("whole") == whole,
            "killed after {part}/5: other bits"
        );
        assert!(!folder.path("whole.checkpoint").exists());
    }
    assert!(interrupted > 0, "no run was interrupted");
    // What a killed process leaves beside is never taken for a file of its own.
    let left = folder
        .files()
        .into_iter()
        .filter(|name| !name.ends_with(".tmp"));
    assert_eq!(left.collect::<Vec<_>>(), ["s.toml", "t.csv", "whole"]);
}

#[test]
fn every_checkpoint_is_a_whole_file() {
    let (folder, _) = undisturbed("whole");
    let train = [
        "train",
        "--data",
        "t.csv",
        "--target",
        "y",
        "--config",
        "s.toml",
        "--checkpoint",
        "c",
    ];
    let mut child = folder
        .command(&train)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        if let Ok(bytes) = std::fs::read(folder.path("c")) {
            let contents = cotangent_array::safetensors::read(&bytes[..]).unwrap();
            assert!(contents.metadata["epoch"].parse::<u64>().unwrap() <= 60);
            seen += 1;
        }
    }
    assert!(seen > 0);
    // One that was asked for stays.
    assert!(folder.path("c").exists());
}

#[test]
fn named_checkpoints_and_finished_files() {
    let (folder, whole) = undisturbed("named");
    let train = [
        "train",
        "--data",
        "t.csv",
        "--target",
        "y",
        "--config",
        "s.toml",
        "--checkpoint",
        "c",
        "--save",
        "m",
    ];
    folder.run(&train).ok();
    assert!(folder.read("m") == whole);
    // The last checkpoint and the finished file give the same file again.
    for from in ["c", "m", "m.checkpoint"] {
        folder
            .run(&["train", "--resume", from, "--save", "again"])
            .ok();
        assert!(folder.read("again") == whole, "{from}");
    }
    let out = folder.run(&["train", "--resume", "m", "--json"]).json();
    assert_eq!(out["epochs"], 60);
    assert!(out["test_rmse"].is_f64());
}

#[test]
fn other_data_is_noticed() {
    let (folder, _) = undisturbed("other");
    let train = [
        "train",
        "--data",
        "t.csv",
        "--target",
        "y",
        "--config",
        "s.toml",
        "--checkpoint",
        "c",
    ];
    folder.run(&train).ok();
    folder.write("t.csv", table().replace("\n0,0,", "\n1,0,"));
    folder
        .run(&["train", "--resume", "c"])
        .fails(1, "the data is not what the checkpoint was trained on");
    std::fs::remove_file(folder.path("t.csv")).unwrap();
    folder.run(&["train", "--resume", "c"]).fails(1, "t.csv: ");
    // Broken checkpoints are errors, whatever is left of them.
    let bytes = folder.read("c");
    for length in (0..bytes.len()).step_by(97) {
        folder.write("cut", &bytes[..length]);
        folder.run(&["train", "--resume", "cut"]).fails(1, "cut: ");
    }
}
