//! A table with a target: the arrays to learn from.

use cotangent_array::Array;

use super::{Cells, DataError, Split, Table};

/// What is learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Task {
    /// To tell classes apart if the target is text, or whole numbers of at most 20 different values that come twice
    /// each on average; else to predict numbers.
    #[default]
    Auto,
    /// To tell classes apart.
    Classify,
    /// To predict numbers.
    Regress,
}

/// What happens to rows with missing values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Missing {
    /// The first one is an error.
    #[default]
    Error,
    /// They are left out.
    Drop,
}

/// How a table becomes a [`Dataset`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DataOptions {
    /// What is learned.
    pub task: Task,
    /// What happens to rows with missing values.
    pub missing: Missing,
}

/// Features and target of every row.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The names of the features, in the order of the columns of `x`.
    pub features: Vec<String>,
    /// The features: f64 of shape `[rows, features]`.
    pub x: Array,
    /// The name of the target.
    pub name: String,
    /// What is to be learned.
    pub target: Target,
    /// How many rows were left out because a value was missing.
    pub dropped: usize,
}

/// What is to be learned of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Its class.
    Classes {
        /// The names of the classes, sorted (numbers by value, text by its code points).
        labels: Vec<String>,
        /// The position in `labels` for each row: i64 of shape `[rows]`.
        index: Array,
    },
    /// A number: f64 of shape `[rows]`.
    Values(Array),
}

impl Target {
    /// The names of the classes, if there are any.
    pub fn labels(&self) -> Option<&[String]> {
        match self {
            Target::Classes { labels, .. } => Some(labels),
            Target::Values(_) => None,
        }
    }
}

/// Classes of whole numbers are guessed up to this many.
const MOST_CLASSES: usize = 20;

impl Table {
    /// The column `target` (a name, or a number from 1) as target, all others as features.
    ///
    /// # Errors
    /// [`DataError::NoColumn`] and [`DataError::SameName`] for the target's name, [`DataError::Missing`] unless rows
    /// with missing values are dropped, [`DataError::NotANumber`] for a feature (or the target of a regression) that
    /// is text, [`DataError::AllDropped`], [`DataError::NoFeatures`], [`DataError::OneClass`].
    pub fn dataset(&self, target: &str, options: &DataOptions) -> Result<Dataset, DataError> {
        let target = self.find(target)?;
        let Some(answer) = self.columns.get(target) else {
            return Err(DataError::NoRows {
                file: self.file.clone(),
            });
        };
        if self.columns.len() < 2 {
            return Err(DataError::NoFeatures {
                file: self.file.clone(),
                target: answer.name.clone(),
            });
        }
        let rows = self.complete_rows(options.missing)?;
        let dropped = self.rows - rows.len();
        let others = (0..).zip(&self.columns).filter(|(at, _)| *at != target);
        let features: Vec<&super::Column> = others.map(|(_, column)| column).collect();
        let mut columns = Vec::with_capacity(features.len());
        for feature in &features {
            columns.push(self.numbers(feature, &rows)?);
        }
        let mut x = Vec::with_capacity(rows.len().saturating_mul(columns.len()));
        for row in &rows {
            x.extend(
                columns
                    .iter()
                    .map(|column| column.get(*row).copied().unwrap_or(f64::NAN)),
            );
        }
        Ok(Dataset {
            x: Array::new([rows.len(), columns.len()], x)?,
            features: features.iter().map(|column| column.name.clone()).collect(),
            name: answer.name.clone(),
            target: self.target(answer, &rows, options.task)?,
            dropped,
        })
    }

    /// The rows without missing values.
    fn complete_rows(&self, missing: Missing) -> Result<Vec<usize>, DataError> {
        let mut rows = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            match self
                .columns
                .iter()
                .find(|column| column.cells.is_missing(row))
            {
                None => rows.push(row),
                Some(_) if missing == Missing::Drop => {}
                Some(column) => {
                    return Err(DataError::Missing {
                        file: self.file.clone(),
                        place: self.place(row),
                        column: column.name.clone(),
                    });
                }
            }
        }
        if rows.is_empty() {
            return Err(DataError::AllDropped {
                file: self.file.clone(),
            });
        }
        Ok(rows)
    }

    /// The values of a column of numbers, or where it is none.
    fn numbers<'a>(
        &self,
        column: &'a super::Column,
        rows: &[usize],
    ) -> Result<&'a [f64], DataError> {
        let bad = |row: usize, found: String| DataError::NotANumber {
            file: self.file.clone(),
            place: self.place(row),
            column: column.name.clone(),
            found,
        };
        match &column.cells {
            Cells::Numbers(values) => {
                let infinite = |row: &&usize| values.get(**row).is_some_and(|x| x.is_infinite());
                match rows.iter().find(infinite) {
                    None => Ok(values),
                    Some(row) => Err(bad(*row, "an infinite value".to_owned())),
                }
            }
            Cells::Text {
                labels,
                rows: cells,
            } => {
                // The first cell that is no number is what the column is text for.
                let text = |row: usize| {
                    cells
                        .get(row)
                        .copied()
                        .flatten()
                        .and_then(|at| labels.get(at))
                };
                let is_number = |text: &String| text.parse::<f64>().is_ok_and(f64::is_finite);
                let first = rows
                    .iter()
                    .find(|row| text(**row).is_some_and(|text| !is_number(text)));
                let row = first.or(rows.first()).copied().unwrap_or(0);
                Err(bad(row, text(row).cloned().unwrap_or_default()))
            }
        }
    }

    fn target(
        &self,
        column: &super::Column,
        rows: &[usize],
        task: Task,
    ) -> Result<Target, DataError> {
        if task == Task::Regress {
            let values = self.numbers(column, rows)?;
            return Ok(Target::Values(Array::vector(pick(values, rows))));
        }
        let (labels, index) = match &column.cells {
            Cells::Text {
                labels,
                rows: cells,
            } => {
                let found: Vec<usize> = rows.iter().filter_map(|row| *cells.get(*row)?).collect();
                // Labels of dropped rows are no classes.
                let (kept, index) = ranked(&found, usize::cmp);
                let names = kept.into_iter().filter_map(|at| labels.get(at).cloned());
                (names.collect(), index)
            }
            Cells::Numbers(values) => {
                let found = pick(self.numbers(column, rows).unwrap_or(values), rows);
                let (kept, index) = ranked(&found, f64::total_cmp);
                let whole = found.iter().all(|x| x.fract() == 0.0);
                let few = kept.len() <= MOST_CLASSES && kept.len().saturating_mul(2) <= found.len();
                if task == Task::Auto && !(whole && few) {
                    self.numbers(column, rows)?;
                    return Ok(Target::Values(Array::vector(found)));
                }
                (kept.iter().map(f64::to_string).collect(), index)
            }
        };
        let labels: Vec<String> = labels;
        if labels.len() < 2 {
            return Err(DataError::OneClass {
                file: self.file.clone(),
                target: column.name.clone(),
                label: labels.into_iter().next().unwrap_or_default(),
            });
        }
        Ok(Target::Classes {
            labels,
            index: Array::vector(index),
        })
    }
}

impl Dataset {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.x.shape().first().copied().unwrap_or(0)
    }

    /// The class of each row; 0 for all where the target is a number.
    pub fn classes(&self) -> Vec<i64> {
        match &self.target {
            Target::Classes { index, .. } => index.to_vec().unwrap_or_default(),
            Target::Values(_) => vec![0; self.rows()],
        }
    }

    /// Splits the rows by seed, with classes spread in proportion; see [`Split::stratified`].
    ///
    /// # Errors
    /// As for [`Split::stratified`].
    pub fn split(&self, validation: f64, test: f64, seed: u64) -> Result<Split, DataError> {
        Split::stratified(&self.classes(), validation, test, seed)
    }
}

fn pick(values: &[f64], rows: &[usize]) -> Vec<f64> {
    // Adding 0 makes -0 the same label as 0.
    rows.iter()
        .filter_map(|row| values.get(*row))
        .map(|x| x + 0.0)
        .collect()
}

/// The different values in order, and the position of each value among them.
fn ranked<T: Copy + PartialEq>(
    values: &[T],
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> (Vec<T>, Vec<i64>) {
    let mut kept = values.to_vec();
    kept.sort_by(&order);
    kept.dedup();
    let index = values.iter().map(|x| {
        let at = kept
            .binary_search_by(|kept| order(kept, x))
            .unwrap_or_else(|at| at);
        at as i64
    });
    let index = index.collect();
    (kept, index)
}

#[cfg(all(test, feature = "csv"))]
mod tests {
    use super::*;
    use crate::data::CsvOptions;

    fn table(text: &str) -> Table {
        Table::from_csv_reader(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    fn error(text: &str, target: &str, options: DataOptions) -> String {
        table(text)
            .dataset(target, &options)
            .unwrap_err()
            .to_string()
    }

    const AS_IS: DataOptions = DataOptions {
        task: Task::Auto,
        missing: Missing::Error,
    };
    const REGRESS: DataOptions = DataOptions {
        task: Task::Regress,
        missing: Missing::Error,
    };
    const DROP: DataOptions = DataOptions {
        task: Task::Auto,
        missing: Missing::Drop,
    };

    fn classes(labels: &[&str], index: &[i64]) -> Target {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Target::Classes {
            labels,
            index: Array::from(index),
        }
    }

    #[test]
    fn text_targets_are_classes() {
        let data = table("a,kind,b\n1,oak,2\n3,elm,4\n5,oak,6\n")
            .dataset("kind", &AS_IS)
            .unwrap();
        assert_eq!(data.features, ["a", "b"]);
        assert_eq!(data.name, "kind");
        assert_eq!(data.x, Array::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
        assert_eq!(data.target, classes(&["elm", "oak"], &[1, 0, 1]));
        assert_eq!(data.classes(), [1, 0, 1]);
    }

    #[test]
    fn few_whole_numbers_are_classes_others_are_values() {
        let few = table("1,10\n2,9\n3,10\n4,9\n")
            .dataset("2", &AS_IS)
            .unwrap();
        assert_eq!(few.target, classes(&["9", "10"], &[1, 0, 1, 0]));
        let zeros = table("1,-0\n2,0\n3,1\n4,1\n").dataset("2", &AS_IS).unwrap();
        assert_eq!(zeros.target, classes(&["0", "1"], &[0, 0, 1, 1]));
        let values = |x: [f64; 4]| Target::Values(Array::from(x));
        let all_different = table("1,1\n2,2\n3,3\n4,4\n").dataset("2", &AS_IS).unwrap();
        assert_eq!(all_different.target, values([1.0, 2.0, 3.0, 4.0]));
        let fractions = table("1,1.5\n2,1.5\n3,3\n4,3\n")
            .dataset("2", &AS_IS)
            .unwrap();
        assert_eq!(fractions.target, values([1.5, 1.5, 3.0, 3.0]));
        let told = DataOptions {
            task: Task::Classify,
            ..AS_IS
        };
        let told = table("1,1.5\n2,1.5\n3,3\n4,3\n")
            .dataset("2", &told)
            .unwrap();
        assert_eq!(told.target, classes(&["1.5", "3"], &[0, 0, 1, 1]));
        let told = table("1,0\n2,1\n3,0\n4,1\n")
            .dataset("2", &REGRESS)
            .unwrap();
        assert_eq!(told.target, values([0.0, 1.0, 0.0, 1.0]));
        assert_eq!(told.target.labels(), None);
    }

    #[test]
    fn missing_values_are_an_error_or_dropped() {
        let text = "a,y\n1,u\n,w\n3,\n4,v\n5,u\n6,v\n";
        assert_eq!(
            error(text, "y", AS_IS),
            "t.csv, line 3, column `a`: the value is missing"
        );
        let data = table(text).dataset("y", &DROP).unwrap();
        assert_eq!(data.x.to_f64s(), [1.0, 4.0, 5.0, 6.0]);
        assert_eq!(data.target, classes(&["u", "v"], &[0, 1, 0, 1]));
        assert_eq!(data.dropped, 2);
        let none = error("a,y\n,1\n2,\n", "y", DROP);
        assert_eq!(
            none,
            "t.csv: every row has a missing value, so dropping these leaves none"
        );
    }

    #[test]
    fn text_among_features_is_named() {
        let text = "a,b,y\n1,2,u\n3,4x,v\n5,zz,u\n";
        assert_eq!(
            error(text, "y", AS_IS),
            "t.csv, line 3, column `b`: expected a finite number, found `4x`"
        );
        assert_eq!(
            error(text, "y", REGRESS),
            "t.csv, line 3, column `b`: expected a finite number, found `4x`"
        );
        assert_eq!(
            error("a,y\n1,u\n2,v\n", "y", REGRESS),
            "t.csv, line 2, column `y`: expected a finite number, found `u`"
        );
        assert_eq!(
            error("a,y\n1,2\n1e999,3\n", "y", AS_IS),
            "t.csv, line 3, column `a`: expected a finite number, found `1e999`"
        );
        // A dropped row takes its text with it, but the column stays text.
        let dropped = error("a,y\n1,\n2,3\n4x,5\n", "y", DROP);
        assert_eq!(
            dropped,
            "t.csv, line 4, column `a`: expected a finite number, found `4x`"
        );
    }

    #[test]
    fn targets_are_found_by_name_or_number() {
        let text = "a,b,a\n1,2,3\n4,5,6\n";
        assert_eq!(
            error(text, "a", AS_IS),
            "t.csv: columns 1 and 3 are both named `a`; give the number of one"
        );
        assert_eq!(
            table(text).dataset("3", &AS_IS).unwrap().x,
            Array::from([[1.0, 2.0], [4.0, 5.0]])
        );
        assert_eq!(
            error(text, "c", AS_IS),
            "t.csv: no column is named `c`; expected one of `a`, `b`, `a`, or a number from 1 to 3"
        );
        for number in ["0", "4", "-1"] {
            assert_eq!(
                error("1,2,3\n4,5,6\n", number, AS_IS),
                format!(
                    "t.csv: no column is named `{number}`; the columns have numbers from 1 to 3"
                )
            );
        }
    }

    #[test]
    fn nothing_to_learn_is_an_error() {
        assert_eq!(
            error("y\n1\n2\n", "y", AS_IS),
            "t.csv: expected at least one column beside the target `y`, found none"
        );
        assert_eq!(
            error("a,y\n1,u\n2,u\n", "y", AS_IS),
            "t.csv: expected at least two classes in the target `y`, found only `u`"
        );
    }

    #[test]
    fn arrays_are_tables_too() {
        let x = Array::from([[[1.0f32], [2.0]], [[3.0], [4.0]]]);
        let y = Array::from([7i64, 8]);
        let table = Table::from_arrays([("x", &x), ("y", &y)], "t.npz").unwrap();
        let names: Vec<&str> = table
            .columns()
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["x[0]", "x[1]", "y"]);
        let data = table.dataset("y", &AS_IS).unwrap();
        assert_eq!(data.x, Array::from([[1.0, 2.0], [3.0, 4.0]]));
        let nan = Array::from([1.0, f64::NAN]);
        let table = Table::from_arrays([("x", &nan), ("y", &y)], "t.npz").unwrap();
        let error = table.dataset("y", &AS_IS).unwrap_err().to_string();
        assert_eq!(error, "t.npz, row 1, column `x`: the value is missing");
        let infinite = Array::from([1.0, f64::INFINITY]);
        let table = Table::from_arrays([("x", &infinite), ("y", &y)], "t.npz").unwrap();
        let error = table.dataset("y", &AS_IS).unwrap_err().to_string();
        assert_eq!(
            error,
            "t.npz, row 1, column `x`: expected a finite number, found `an infinite value`"
        );
        let table = Table::from_arrays([("x", &nan), ("y", &infinite)], "t.npz").unwrap();
        assert!(
            table
                .dataset(
                    "y",
                    &DataOptions {
                        task: Task::Classify,
                        ..DROP
                    }
                )
                .is_err()
        );

        let error = |arrays: &[(&str, &Array)]| {
            Table::from_arrays(arrays.iter().copied(), "t.npz")
                .unwrap_err()
                .to_string()
        };
        let short = Array::from([1.0]);
        assert_eq!(
            error(&[("x", &x), ("y", &short)]),
            "t.npz: array `y`: expected 2 rows as in `x`, found 1"
        );
        assert_eq!(
            error(&[("x", &Array::from(1.0))]),
            "t.npz: array `x`: expected one value a row, found a single value"
        );
        assert_eq!(
            error(&[]),
            "t.npz: expected at least one row of data, found none"
        );
        let matrix = Table::from_array(&Array::from([[1.0, 2.0], [3.0, 4.0]]), "t.npy").unwrap();
        assert_eq!(matrix.dataset("2", &AS_IS).unwrap().name, "column 2");
        assert!(Table::from_array(&short, "t.npy").is_err());
    }
}
