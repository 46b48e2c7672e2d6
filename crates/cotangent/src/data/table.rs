//! Tables: named columns of numbers or text.

use cotangent_array::Array;

#[cfg(feature = "csv")]
use super::CsvOptions;
use super::{DataError, Place};

/// Named columns of equal length, and where their rows stood in the file.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) file: String,
    pub(super) columns: Vec<Column>,
    /// The line of each row, for tables that were text.
    pub(super) lines: Option<Vec<u64>>,
    pub(super) rows: usize,
    pub(super) header: bool,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name: from the header or the array, else `column 1`, `column 2`, ...
    pub name: String,
    /// Its values.
    pub cells: Cells,
}

/// The values of a column, one a row.
#[derive(Clone, Debug)]
pub enum Cells {
    /// Finite numbers; NaN where a value is missing.
    Numbers(Vec<f64>),
    /// Text, because some cell is no finite number.
    Text {
        /// Every different text, sorted.
        labels: Vec<String>,
        /// For each row the position of its text in `labels`; `None` where a value is missing.
        rows: Vec<Option<usize>>,
    },
}

impl PartialEq for Cells {
    fn eq(&self, other: &Cells) -> bool {
        match (self, other) {
            (Cells::Numbers(a), Cells::Numbers(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            (
                Cells::Text { labels, rows },
                Cells::Text {
                    labels: others,
                    rows: theirs,
                },
            ) => labels == others && rows == theirs,
            _ => false,
        }
    }
}

impl Cells {
    /// Whether the value of that row is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Cells::Numbers(values) => values.get(row).is_none_or(|x| x.is_nan()),
            Cells::Text { rows, .. } => rows.get(row).is_none_or(Option::is_none),
        }
    }
}

/// Reading.
impl Table {
    /// Reads a file by the end of its name: `.csv`, `.tsv`, `.txt` and `.data` are text (also with `.gz` behind),
    /// `.npz` holds one array a group of columns, `.npy` one matrix.
    ///
    /// # Errors
    /// [`DataError`], with the file's name.
    #[cfg(feature = "csv")]
    pub fn open(path: &std::path::Path, options: &CsvOptions) -> Result<Table, DataError> {
        let file = path.display().to_string();
        let name = file.to_ascii_lowercase();
        let ends = |end: &[&str]| end.iter().any(|end| name.ends_with(end));
        if !ends(&[
            ".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".txt.gz", ".data.gz", ".npy",
            ".npz",
        ]) {
            return Err(DataError::UnknownFormat { file });
        }
        let io = |source| DataError::Io {
            file: file.clone(),
            source,
        };
        let reader = std::io::BufReader::new(std::fs::File::open(path).map_err(io)?);
        #[cfg(feature = "npz")]
        if ends(&[".npz"]) {
            return Table::from_npz_reader(reader, &file);
        }
        if ends(&[".npy"]) {
            let array =
                cotangent_array::npy::read(reader).map_err(|error| in_file(&file, error))?;
            return Table::from_array(&array, &file);
        }
        if ends(&[".gz"]) {
            return Table::from_csv_reader(
                flate2::read::MultiGzDecoder::new(reader),
                &file,
                options,
            );
        }
        Table::from_csv_reader(reader, &file, options)
    }

    /// Reads CSV text; `file` is what errors call it.
    ///
    /// # Errors
    /// [`DataError::Csv`] for rows of different lengths or text that is not UTF-8, [`DataError::NoRows`],
    /// [`DataError::Io`].
    #[cfg(feature = "csv")]
    pub fn from_csv_reader(
        reader: impl std::io::Read,
        file: &str,
        options: &CsvOptions,
    ) -> Result<Table, DataError> {
        super::csv::read(reader, file, options)
    }

    /// Reads an npz archive of arrays with one row each; see [`Table::from_arrays`].
    ///
    /// # Errors
    /// [`DataError::Arrays`] for a broken archive or arrays that are no columns, [`DataError::NoRows`].
    #[cfg(feature = "npz")]
    pub fn from_npz_reader(
        reader: impl std::io::Read + std::io::Seek,
        file: &str,
    ) -> Result<Table, DataError> {
        let arrays = cotangent_array::npz::read(reader).map_err(|error| in_file(file, error))?;
        Table::from_arrays(
            arrays.iter().map(|(name, array)| (name.as_str(), array)),
            file,
        )
    }

    /// A matrix as a table: its columns are named `column 1`, `column 2`, ...
    ///
    /// # Errors
    /// [`DataError::Arrays`] unless it has rank 2, [`DataError::NoRows`].
    pub fn from_array(array: &Array, file: &str) -> Result<Table, DataError> {
        if array.rank() != 2 {
            return Err(DataError::Arrays {
                file: file.to_owned(),
                message: format!("expected a matrix of rank 2, found shape {}", array.shape()),
            });
        }
        let mut table = Table::from_arrays([("", array)], file)?;
        for (number, column) in (1..).zip(&mut table.columns) {
            column.name = numbered(number);
        }
        Ok(table)
    }

    /// Named arrays with one row each as a table. All have the same number of rows (entries along axis 0). An array
    /// of rank 1 is one column with the array's name; one of higher rank is several, named `name[0]`, `name[1]`, ...
    ///
    /// # Errors
    /// [`DataError::Arrays`] for arrays that are no columns, [`DataError::NoRows`].
    pub fn from_arrays<'a>(
        arrays: impl IntoIterator<Item = (&'a str, &'a Array)>,
        file: &str,
    ) -> Result<Table, DataError> {
        let mut columns = Vec::new();
        let mut first: Option<(usize, &str)> = None;
        for (name, array) in arrays {
            let Some((&rows, rest)) = array.shape().split_first() else {
                return Err(DataError::Arrays {
                    file: file.to_owned(),
                    message: format!(
                        "array `{name}`: expected one value a row, found a single value"
                    ),
                });
            };
            let (expected, other) = *first.get_or_insert((rows, name));
            if rows != expected {
                return Err(DataError::Arrays {
                    file: file.to_owned(),
                    message: format!(
                        "array `{name}`: expected {expected} rows as in `{other}`, found {rows}"
                    ),
                });
            }
            let width = rest
                .iter()
                .try_fold(1usize, |all, dim| all.checked_mul(*dim))
                .unwrap_or(0);
            if rows == 0 || width == 0 {
                continue;
            }
            let values = array.to_f64s();
            for at in 0..width {
                let cells = values.iter().skip(at).step_by(width).copied().collect();
                let name = match rest {
                    [] => name.to_owned(),
                    _ => format!("{name}[{at}]"),
                };
                columns.push(Column {
                    name,
                    cells: Cells::Numbers(cells),
                });
            }
        }
        let rows = first.map_or(0, |(rows, _)| rows);
        if rows == 0 {
            return Err(DataError::NoRows {
                file: file.to_owned(),
            });
        }
        Ok(Table {
            file: file.to_owned(),
            columns,
            lines: None,
            rows,
            header: true,
        })
    }
}

/// Looking at it.
impl Table {
    /// The name of the file, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the columns have names of their own.
    pub fn has_header(&self) -> bool {
        self.header
    }

    /// Where a row stood in the file.
    pub fn place(&self, row: usize) -> Place {
        match self.lines.as_ref().and_then(|lines| lines.get(row)) {
            Some(line) => Place::Line(*line),
            None => Place::Row(row),
        }
    }

    /// The position (from 0) of the column of that name, or, if no column has it, of that number counted from 1.
    ///
    /// # Errors
    /// [`DataError::NoColumn`] or [`DataError::SameName`].
    pub fn find(&self, name: &str) -> Result<usize, DataError> {
        let mut named = (0..)
            .zip(&self.columns)
            .filter(|(_, column)| column.name == name);
        match (named.next(), named.next()) {
            (Some((at, _)), None) => return Ok(at),
            (Some((first, _)), Some((second, _))) => {
                return Err(DataError::SameName {
                    file: self.file.clone(),
                    name: name.to_owned(),
                    first: first + 1,
                    second: second + 1,
                });
            }
            _ => {}
        }
        if let Ok(number) = name.parse::<usize>()
            && (1..=self.columns.len()).contains(&number)
        {
            return Ok(number - 1);
        }
        Err(DataError::NoColumn {
            file: self.file.clone(),
            name: name.to_owned(),
            known: self.known(),
        })
    }

    /// The columns in words.
    fn known(&self) -> String {
        const SHOWN: usize = 12;
        let count = self.columns.len();
        if !self.header {
            return format!("the columns have numbers from 1 to {count}");
        }
        let mut names: Vec<String> = self
            .columns
            .iter()
            .take(SHOWN)
            .map(|c| format!("`{}`", c.name))
            .collect();
        if count > SHOWN {
            names.push(format!("... ({count} in all)"));
        }
        format!(
            "expected one of {}, or a number from 1 to {count}",
            names.join(", ")
        )
    }
}

/// The name of a column that has none.
pub(super) fn numbered(number: usize) -> String {
    format!("column {number}")
}

/// An error of the array formats, with the file's name.
#[cfg(any(feature = "csv", feature = "npz"))]
fn in_file(file: &str, error: cotangent_array::ArrayError) -> DataError {
    let file = file.to_owned();
    match error {
        cotangent_array::ArrayError::Io(source) => DataError::Io { file, source },
        error => DataError::Arrays {
            file,
            message: error.to_string(),
        },
    }
}
