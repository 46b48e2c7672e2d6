//! Tables never panic, whatever the text.
#![cfg(feature = "csv")]

use std::path::Path;

use cotangent::data::{CsvOptions, DataOptions, Header, Missing, Table, Task};
use proptest::prelude::*;

/// Reads the text in every way; what comes out must fit together.
fn read(text: &[u8]) {
    for header in [Header::Auto, Header::Yes, Header::No] {
        for delimiter in [None, Some(b','), Some(b'"')] {
            let options = CsvOptions { header, delimiter };
            let Ok(table) = Table::from_csv_reader(text, "fuzz.csv", &options) else {
                continue;
            };
            assert!(table.rows() > 0);
            for task in [Task::Auto, Task::Classify, Task::Regress] {
                for missing in [Missing::Error, Missing::Drop] {
                    for target in ["1", "2", "y"] {
                        check(&table, target, &DataOptions { task, missing });
                    }
                }
            }
        }
    }
}

fn check(table: &Table, target: &str, options: &DataOptions) {
    match table.dataset(target, options) {
        Err(error) => assert!(error.to_string().contains("fuzz.csv"), "{error}"),
        Ok(data) => {
            assert_eq!(data.rows() + data.dropped, table.rows());
            assert_eq!(data.features.len() + 1, table.columns().len());
            assert!(data.x.to_f64s().iter().all(|x| x.is_finite()));
            assert_eq!(data.classes().len(), data.rows());
            if let Some(labels) = data.target.labels() {
                let classes = 0..labels.len() as i64;
                assert!(data.classes().iter().all(|class| classes.contains(class)));
            }
            let _ = data.split(0.2, 0.3, 0);
        }
    }
}

#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/csv");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        read(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "the corpus is missing: {count} files");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&text);
    }

    #[test]
    fn nearly_tables(text in "([ax1-9,;\"\t\r\n. -]|NA|nan|inf|1e999|\u{feff}|y,|0x1|é){0,60}") {
        read(text.as_bytes());
    }

    #[test]
    fn good_tables_come_back(rows in prop::collection::vec(prop::array::uniform3(-1e9f64..1e9), 2..20)) {
        let mut text = String::from("a,b,y\n");
        for [a, b, y] in &rows {
            text.push_str(&format!("{a},{b},{y}\n"));
        }
        let table = Table::from_csv_reader(text.as_bytes(), "good.csv", &CsvOptions::default()).unwrap();
        let options = DataOptions { task: Task::Regress, missing: Missing::Error };
        let data = table.dataset("y", &options).unwrap();
        let x: Vec<f64> = rows.iter().flat_map(|[a, b, _]| [*a, *b]).collect();
        prop_assert_eq!(data.x.to_f64s(), x);
    }
}
