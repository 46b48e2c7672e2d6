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
