//! CSV text to a table.

use std::collections::BTreeMap;
use std::io::Read;

use csv::{ByteRecord, ErrorKind, ReaderBuilder, Trim};

use super::table::numbered;
use super::{Cells, Column, DataError, Table};

/// Whether the first line names the columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Header {
    /// It does if none of its cells is a number.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is data.
    No,
}

/// How CSV text is read. Quotes are `"`, doubled inside of a quoted cell (RFC 4180); blanks around cells, empty lines
/// and a byte order mark are skipped.
///
/// A value is missing where a cell is empty or one of `NA`, `N/A`, `NaN`, `null`, `none`, `?`, in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CsvOptions {
    /// Whether the first line names the columns.
    pub header: Header,
    /// What stands between cells; `None` takes the one of `,`, `;` and tab that the first line has most of.
    pub delimiter: Option<u8>,
}

pub(super) fn read(
    mut reader: impl Read,
    file: &str,
    options: &CsvOptions,
) -> Result<Table, DataError> {
    // The text is gone over twice: what a column holds is known only at its end, and what a cell looked like is gone
    // once it is a number.
    let mut text = Vec::new();
    reader
        .read_to_end(&mut text)
        .map_err(|source| DataError::Io {
            file: file.to_owned(),
            source,
        })?;
    if let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf") {
        text = rest.to_vec();
    }
    let delimiter = options.delimiter.unwrap_or_else(|| guess_delimiter(&text));
    let mut names: Vec<String> = Vec::new();
    let mut header = false;
    let mut lines = Vec::new();
    let mut numeric: Vec<bool> = Vec::new();
    let mut start = 0;
    each(&text, delimiter, file, |line, cells| {
        if names.is_empty() {
            header = match options.header {
                Header::Yes => true,
                Header::No => false,
                Header::Auto => !cells.iter().any(|cell| number(cell).is_some()),
            };
            names = (1..)
                .zip(&cells)
                .map(|(number, cell)| match cell {
                    name if header && !name.is_empty() => (*name).to_owned(),
                    _ => numbered(number),
                })
                .collect();
            numeric = vec![true; names.len()];
            start = usize::from(header);
            if header {
                return;
            }
        }
        lines.push(line);
        for (numeric, cell) in numeric.iter_mut().zip(&cells) {
            *numeric &= is_missing(cell) || number(cell).is_some();
        }
    })?;
    if lines.is_empty() {
        return Err(DataError::NoRows {
            file: file.to_owned(),
        });
    }

    let mut columns: Vec<Draft> = numeric
        .iter()
        .map(|numeric| match numeric {
            true => Draft::Numbers(Vec::with_capacity(lines.len())),
            false => Draft::Text(BTreeMap::new(), Vec::with_capacity(lines.len())),
        })
        .collect();
    let mut row = 0;
    each(&text, delimiter, file, |_, cells| {
        row += 1;
        if row > start {
            columns
                .iter_mut()
                .zip(cells)
                .for_each(|(column, cell)| column.push(cell));
        }
    })?;
    let columns = names.into_iter().zip(columns);
    Ok(Table {
        file: file.to_owned(),
        columns: columns
            .map(|(name, draft)| Column {
                name,
                cells: draft.finish(),
            })
            .collect(),
        rows: lines.len(),
        lines: Some(lines),
        header,
    })
}

/// A column that is being read.
enum Draft {
    Numbers(Vec<f64>),
    /// The number given to each text when it was first seen, and the text's number of each row.
    Text(BTreeMap<String, usize>, Vec<Option<usize>>),
}

impl Draft {
    fn push(&mut self, cell: &str) {
        match self {
            Draft::Numbers(values) => values.push(number(cell).unwrap_or(f64::NAN)),
            Draft::Text(_, rows) if is_missing(cell) => rows.push(None),
            Draft::Text(seen, rows) => {
                let next = seen.len();
                let known = seen.get(cell).copied();
                rows.push(Some(
                    known.unwrap_or_else(|| *seen.entry(cell.to_owned()).or_insert(next)),
                ));
            }
        }
    }

    fn finish(self) -> Cells {
        match self {
            Draft::Numbers(values) => Cells::Numbers(values),
            Draft::Text(seen, rows) => {
                let mut place = vec![0; seen.len()];
                for (sorted, first) in seen.values().enumerate() {
                    if let Some(place) = place.get_mut(*first) {
                        *place = sorted;
                    }
                }
                let rows = rows
                    .into_iter()
                    .map(|row| row.and_then(|at| place.get(at).copied()));
                Cells::Text {
                    rows: rows.collect(),
                    labels: seen.into_keys().collect(),
                }
            }
        }
    }
}

/// Calls `take` with line and cells of every record, which all have the length of the first.
fn each(
    text: &[u8],
    delimiter: u8,
    file: &str,
    mut take: impl FnMut(u64, Vec<&str>),
) -> Result<(), DataError> {
    let at = |line: u64, message: String| DataError::Csv {
        file: file.to_owned(),
        line,
        message,
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(Trim::All)
        .from_reader(text);
    let mut record = ByteRecord::new();
    let mut expected = None;
    let mut lines = Lines {
        text,
        at: 0,
        line: 1,
    };
    loop {
        let more =
            reader
                .read_byte_record(&mut record)
                .map_err(|error| match error.into_kind() {
                    ErrorKind::Io(source) => DataError::Io {
                        file: file.to_owned(),
                        source,
                    },
                    kind => at(lines.line, format!("{kind:?}")),
                })?;
        if !more {
            return Ok(());
        }
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        let mut cells = Vec::with_capacity(record.len());
        for (number, cell) in (1..).zip(&record) {
            match str::from_utf8(cell) {
                Ok(cell) => cells.push(cell),
                Err(_) => {
                    let found = cell.escape_ascii();
                    return Err(at(
                        line,
                        format!("cell {number}: expected text in UTF-8, found \"{found}\""),
                    ));
                }
            }
        }
        let width = *expected.get_or_insert(cells.len());
        if cells.len() != width {
            let message = format!(
                "expected {width} cells as in the first line, found {}",
                cells.len()
            );
            return Err(at(line, message));
        }
        take(line, cells);
    }
}

/// Counts the lines of a text. The CSV reader's own count stops before empty lines.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first record from this byte on; bytes must not go back.
    fn of(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(found) = self.text.get(self.at) {
            let ends = matches!(found, b'\n' | b'\r');
            if self.at >= byte && !ends {
                break;
            }
            let half = *found == b'\r' && self.text.get(self.at + 1) == Some(&b'\n');
            self.line += u64::from(ends && !half);
            self.at += 1;
        }
        self.line
    }
}

/// A finite number in a cell.
fn number(cell: &str) -> Option<f64> {
    // What Rust reads as a number beyond digits ("inf", "nan") is none that a table can be learned from.
    cell.parse::<f64>().ok().filter(|x| x.is_finite())
}

fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 6] = ["na", "n/a", "nan", "null", "none", "?"];
    cell.is_empty() || WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

fn guess_delimiter(text: &[u8]) -> u8 {
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    let first = lines
        .into_iter()
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in first {
        quoted ^= *byte == b'"';
        for (_, count) in counts
            .iter_mut()
            .filter(|(delimiter, _)| !quoted && delimiter == byte)
        {
            *count += 1;
        }
    }
    // The first of the list wins when two stand there equally often.
    counts
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(delimiter, _)| delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Place;

    fn table(text: &str) -> Table {
        read(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
    }

    fn error(text: &[u8]) -> String {
        read(text, "t.csv", &CsvOptions::default())
            .unwrap_err()
            .to_string()
    }

    fn names(table: &Table) -> Vec<&str> {
        table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect()
    }

    fn numbers(table: &Table, column: usize) -> &[f64] {
        match &table.columns[column].cells {
            Cells::Numbers(values) => values,
            Cells::Text { .. } => panic!("expected numbers"),
        }
    }

    #[test]
    fn a_first_line_without_numbers_is_a_header() {
        let with = table("a,b,\n1,2.5,3\n-4e2, 5 ,6\n");
        assert!(with.has_header());
        assert_eq!(names(&with), ["a", "b", "column 3"]);
        assert_eq!(
            (numbers(&with, 0), numbers(&with, 1)),
            (&[1.0, -400.0][..], &[2.5, 5.0][..])
        );
        let without = table("1,x\n2,y\n");
        assert!(!without.has_header());
        assert_eq!(names(&without), ["column 1", "column 2"]);
        assert_eq!(without.rows(), 2);
        for (header, rows) in [(Header::Yes, 1), (Header::No, 2)] {
            let options = CsvOptions {
                header,
                delimiter: None,
            };
            assert_eq!(
                read(&b"1,2\n3,4\n"[..], "t", &options).unwrap().rows(),
                rows
            );
        }
    }

    #[test]
    fn text_keeps_its_look_and_is_sorted() {
        let table = table("k\n007\nb\n7\n?\nb\n\"a \"\"q\"\"\"\n");
        let Cells::Text { labels, rows } = &table.columns[0].cells else {
            panic!("expected text")
        };
        assert_eq!(labels, &["007", "7", "a \"q\"", "b"]);
        assert_eq!(rows, &[Some(0), Some(3), Some(1), None, Some(3), Some(2)]);
    }

    #[test]
    fn missing_values_have_many_names() {
        let table = table("a,b\n1,NA\n,2\nnan,?\nN/A,NULL\nNone,3\n4,\"\"\n");
        let missing = |column: usize| -> Vec<bool> {
            (0..6)
                .map(|row| table.columns[column].cells.is_missing(row))
                .collect()
        };
        assert_eq!(missing(0), [false, true, true, true, true, false]);
        assert_eq!(missing(1), [true, false, true, true, false, true]);
        assert!(table.columns[0].cells.is_missing(6));
    }

    #[test]
    fn delimiters_blank_lines_marks_and_line_ends_are_seen_through() {
        let semicolons = table("\u{feff}a;\"b,c,d\";e\r\n\r\n1;2;3\r\n4;5;6");
        assert_eq!(names(&semicolons), ["a", "b,c,d", "e"]);
        assert_eq!(semicolons.place(0), Place::Line(3));
        assert_eq!(semicolons.place(1), Place::Line(4));
        let tabs = table("1\t2\n3\t4\n");
        assert_eq!(numbers(&tabs, 1), [2.0, 4.0]);
        assert_eq!(table("1\n2\n").columns().len(), 1);
        let quoted = table("a,b\n\"x\ny\",1\nz,2\n");
        assert_eq!(
            (quoted.place(0), quoted.place(1)),
            (Place::Line(2), Place::Line(4))
        );
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(
            error(b""),
            "t.csv: expected at least one row of data, found none"
        );
        assert_eq!(
            error(b"a,b\n"),
            "t.csv: expected at least one row of data, found none"
        );
        assert_eq!(
            error(b"a,b\n1,2\n\n3,4,5\n"),
            "t.csv, line 4: expected 2 cells as in the first line, found 3"
        );
        assert_eq!(
            error(b"a,b\n1,\xff\n"),
            "t.csv, line 2: cell 2: expected text in UTF-8, found \"\\xff\""
        );
    }
}
