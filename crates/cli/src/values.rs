//! Values on the command line: a number, or nested brackets of numbers.

use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_graph::TensorType;

/// Brackets nest at most this deep.
const DEEPEST: usize = 256;

/// Reads a value of this type: `1.5`, `true`, `[[1, 2], [3, 4]]`.
///
/// The error says what was expected and what was found.
pub fn parse(text: &str, ty: &TensorType) -> Result<Array, String> {
    let mut reader = Reader {
        rest: text,
        open: 0,
        counts: Vec::new(),
        shape: Vec::new(),
        values: Vec::new(),
    };
    reader.read(ty.dtype)?;
    let shape = Shape::from(
        reader
            .shape
            .iter()
            .map(|dim| dim.unwrap_or(0))
            .collect::<Vec<_>>(),
    );
    // An empty list does not say what its further axes would be.
    let empty = reader.values.is_empty() && ty.shape.elements() == 0 && shape.rank() <= ty.rank();
    if shape != ty.shape && !empty {
        return Err(format!("expected shape {}, found {shape}", ty.shape));
    }
    Array::from_scalars(ty.dtype, ty.shape.clone(), reader.values)
        .map_err(|error| error.to_string())
}

struct Reader<'a> {
    rest: &'a str,
    /// How many brackets are open.
    open: usize,
    /// How many entries each open bracket has.
    counts: Vec<usize>,
    /// The length of each axis, once the first bracket of its depth has closed.
    shape: Vec<Option<usize>>,
    values: Vec<Scalar>,
}

impl Reader<'_> {
    fn read(&mut self, dtype: DType) -> Result<(), String> {
        // Whether an entry may start here, and whether one has just ended.
        let (mut start, mut ended) = (true, false);
        loop {
            self.rest = self.rest.trim_start();
            if ended && self.open == 0 {
                return match self.rest {
                    "" => Ok(()),
                    rest => Err(format!("expected the end, found `{}`", brief(rest))),
                };
            }
            let Some(next) = self.rest.chars().next() else {
                return Err("expected a value, found the end".to_owned());
            };
            match next {
                '[' if start => {
                    if self.open >= DEEPEST {
                        return Err(format!("expected at most {DEEPEST} nested brackets"));
                    }
                    self.open += 1;
                    self.counts.push(0);
                    if self.shape.len() < self.open {
                        if !self.values.is_empty() {
                            return Err("expected a number, found `[`".to_owned());
                        }
                        self.shape.push(None);
                    }
                    self.rest = &self.rest[1..];
                }
                // A comma may stand after the last entry.
                ']' if self.open > 0 => {
                    self.close()?;
                    self.rest = &self.rest[1..];
                    (start, ended) = (false, true);
                }
                ',' if ended => {
                    self.rest = &self.rest[1..];
                    (start, ended) = (true, false);
                }
                _ if start => {
                    if self.open < self.shape.len() {
                        return Err(format!("expected `[`, found `{}`", brief(self.rest)));
                    }
                    let end = self
                        .rest
                        .find([',', '[', ']', ' ', '\t', '\n', '\r'])
                        .unwrap_or(self.rest.len());
                    let (word, rest) = self.rest.split_at(end);
                    self.values.push(number(word, dtype)?);
                    self.entry();
                    self.rest = rest;
                    (start, ended) = (false, true);
                }
                _ => return Err(format!("expected `,` or `]`, found `{}`", brief(self.rest))),
            }
        }
    }

    fn entry(&mut self) {
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
    }

    fn close(&mut self) -> Result<(), String> {
        let count = self.counts.pop().unwrap_or(0);
        self.open -= 1;
        if let Some(dim) = self.shape.get_mut(self.open) {
            let expected = *dim.get_or_insert(count);
            if expected != count {
                return Err(format!(
                    "expected {expected} entries in each list of depth {}, found {count}",
                    self.open + 1
                ));
            }
        }
        self.entry();
        Ok(())
    }
}

fn number(word: &str, dtype: DType) -> Result<Scalar, String> {
    let found = match dtype {
        DType::Bool => word.parse().ok().map(Scalar::Bool),
        DType::F64 => word.parse().ok().map(Scalar::F64),
        DType::F32 => word.parse().ok().map(Scalar::F32),
        DType::I64 => word.parse().ok().map(Scalar::I64),
        DType::I32 => word.parse().ok().map(Scalar::I32),
        DType::U32 => word.parse().ok().map(Scalar::U32),
        DType::U8 => word.parse().ok().map(Scalar::U8),
        // As Python writes them: 1.5, 2j, 1.5-2j.
        DType::C128 => word.parse().ok().map(Scalar::C128),
        DType::C64 => word.parse().ok().map(Scalar::C64),
        _ => None,
    };
    found.ok_or_else(|| format!("expected a value of type {dtype}, found `{}`", brief(word)))
}

fn brief(text: &str) -> String {
    const MOST: usize = 20;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ty(dtype: DType, shape: &[usize]) -> TensorType {
        TensorType::new(dtype, shape)
    }

    #[test]
    fn numbers_and_lists_in_the_dtype_of_the_input() {
        let cases = [
            ("1.5", Array::from(1.5)),
            (" -2 ", Array::from(-2.0)),
            ("nan", Array::from(f64::NAN)),
            ("[1, 2]", Array::from([1.0, 2.0])),
            ("[[1, 2],[3,4],]", Array::from([[1.0, 2.0], [3.0, 4.0]])),
            ("[true,false]", Array::from([true, false])),
            ("[7]", Array::from([7u8])),
            ("[]", Array::zeros(DType::F64, [0]).unwrap()),
            ("[]", Array::zeros(DType::F64, [0, 3]).unwrap()),
            ("[[],[]]", Array::zeros(DType::F64, [2, 0]).unwrap()),
        ];
        for (text, expected) in cases {
            let ty = TensorType::new(expected.dtype(), expected.shape().clone());
            assert_eq!(parse(text, &ty), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        let f = |shape: &[usize]| ty(DType::F64, shape);
        let deep = "[".repeat(300);
        let cases = [
            ("", f(&[]), "expected a value, found the end"),
            ("1 2", f(&[]), "expected the end, found `2`"),
            ("[1, 2", f(&[2]), "expected a value, found the end"),
            ("[1 2]", f(&[2]), "expected `,` or `]`, found `2]`"),
            ("[1,,2]", f(&[2]), "expected a value of type f64, found ``"),
            ("[1, [2]]", f(&[2]), "expected a number, found `[`"),
            ("[[1], 2]", f(&[2, 1]), "expected `[`, found `2]`"),
            (
                "[[1], [2, 3]]",
                f(&[2, 1]),
                "expected 1 entries in each list of depth 2, found 2",
            ),
            ("[1, 2]", f(&[3]), "expected shape [3], found [2]"),
            ("1", f(&[1]), "expected shape [1], found []"),
            (
                "1.5",
                ty(DType::I64, &[]),
                "expected a value of type i64, found `1.5`",
            ),
            (
                "300",
                ty(DType::U8, &[]),
                "expected a value of type u8, found `300`",
            ),
            (
                "1",
                ty(DType::Bool, &[]),
                "expected a value of type bool, found `1`",
            ),
            ("x", f(&[]), "expected a value of type f64, found `x`"),
            ("]", f(&[]), "expected a value of type f64, found ``"),
            (&deep, f(&[]), "expected at most 256 nested brackets"),
        ];
        for (text, ty, expected) in cases {
            assert_eq!(parse(text, &ty).unwrap_err(), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(text in "([\\[\\], 0-9.é-]|nan|true){0,30}") {
            for shape in [&[][..], &[0], &[2], &[2, 1]] {
                for dtype in DType::ALL {
                    let _ = parse(&text, &ty(*dtype, shape));
                }
            }
        }

        #[test]
        fn what_prints_reads_back(values in prop::collection::vec(any::<f64>(), 6)) {
            let array = Array::new([2, 3], values).unwrap();
            prop_assert_eq!(parse(&array.to_string(), &ty(DType::F64, &[2, 3])), Ok(array));
        }
    }
}
