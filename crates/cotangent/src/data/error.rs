//! What can be wrong with data, and where.

use cotangent_array::ArrayError;

/// What is wrong with a file or a table: the place, what was expected and what was found.
///
/// Lines and columns count from 1. The first line of a file is line 1, a header included.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be read.
    #[error("{file}: {source}")]
    Io {
        /// The name of the file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The name of the file does not end in a way that says what it holds.
    #[error("{file}: expected a file named *.csv, *.csv.gz, *.tsv, *.txt, *.data, *.npy or *.npz")]
    UnknownFormat {
        /// The name of the file.
        file: String,
    },
    /// The text is no table.
    #[error("{file}, line {line}: {message}")]
    Csv {
        /// The name of the file.
        file: String,
        /// The line.
        line: u64,
        /// What was expected and what was found.
        message: String,
    },
    /// There is no row of data.
    #[error("{file}: expected at least one row of data, found none")]
    NoRows {
        /// The name of the file.
        file: String,
    },
    /// No column has that name or number.
    #[error("{file}: no column is named `{name}`; {known}")]
    NoColumn {
        /// The name of the file.
        file: String,
        /// The name asked for.
        name: String,
        /// The columns that are there, in words.
        known: String,
    },
    /// Two columns have the name asked for.
    #[error("{file}: columns {first} and {second} are both named `{name}`; give the number of one")]
    SameName {
        /// The name of the file.
        file: String,
        /// The name asked for.
        name: String,
        /// The number of the first such column.
        first: usize,
        /// The number of the second one.
        second: usize,
    },
    /// There is nothing to learn from beside the target.
    #[error("{file}: expected at least one column beside the target `{target}`, found none")]
    NoFeatures {
        /// The name of the file.
        file: String,
        /// The name of the target.
        target: String,
    },
    /// A value is missing.
    #[error("{file}, {place}, column `{column}`: the value is missing")]
    Missing {
        /// The name of the file.
        file: String,
        /// The line or row.
        place: Place,
        /// The name of the column.
        column: String,
    },
    /// A value should be a number.
    #[error("{file}, {place}, column `{column}`: expected a finite number, found `{found}`")]
    NotANumber {
        /// The name of the file.
        file: String,
        /// The line or row.
        place: Place,
        /// The name of the column.
        column: String,
        /// The value found.
        found: String,
    },
    /// Every row has a missing value.
    #[error("{file}: every row has a missing value, so dropping these leaves none")]
    AllDropped {
        /// The name of the file.
        file: String,
    },
    /// There are not at least two classes to tell apart.
    #[error("{file}: expected at least two classes in the target `{target}`, found only `{label}`")]
    OneClass {
        /// The name of the file.
        file: String,
        /// The name of the target.
        target: String,
        /// The only class.
        label: String,
    },
    /// A file of arrays is broken, or its arrays do not fit together.
    #[error("{file}: {message}")]
    Arrays {
        /// The name of the file.
        file: String,
        /// What was expected and what was found.
        message: String,
    },
    /// The rows cannot be split as asked for.
    #[error("{0}")]
    Split(String),
    /// Arrays do not fit together.
    #[error(transparent)]
    Array(#[from] ArrayError),
}

/// Where a row of data stands: in a text its line, in an array its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line of a text, from 1.
    Line(u64),
    /// The row of an array, from 0 as in NumPy.
    Row(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Row(row) => write!(f, "row {row}"),
        }
    }
}
