//! Files with a graph, a command and the text expected; `BLESS=1` rewrites the texts.

use std::path::Path;

#[test]
fn golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    match cotangent_testkit::golden::run_folder(&folder) {
        Ok(count) => assert!(count >= 40, "expected at least 40 files, found {count}"),
        Err(message) => panic!("{message}\n(BLESS=1 rewrites the expectations)"),
    }
}

#[test]
fn every_pass_has_a_golden_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap();
    let texts: Vec<String> = (files.map(|file| file.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|e| e == "ct"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for pass in cotangent_compile::PASSES {
        // Functions with rules of their own have no text.
        let stage = format!("pass {}", pass.name);
        let named = |text: &String| {
            let commands = text.lines().filter_map(|l| l.strip_prefix("// command: "));
            let mut stages = commands.flat_map(|c| c.split(" | "));
            stages.any(|s| s == stage)
        };
        assert!(
            pass.name == "custom" || texts.iter().any(named),
            "no file for {stage}"
        );
    }
}
