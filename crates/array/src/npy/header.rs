//! The header of an npy file: a Python dictionary with the keys `descr`, `fortran_order` and `shape`.

use crate::encoding::{ByteOrder, Encoding};
use crate::{ArrayError, Shape};

/// What the header says.
#[derive(Debug, PartialEq)]
pub struct Header {
    pub encoding: Encoding,
    pub order: ByteOrder,
    pub fortran: bool,
    pub shape: Shape,
}

impl Header {
    /// Reads the dictionary. Only what NumPy itself writes is taken: three keys in any order, one time each.
    pub fn parse(text: &[u8]) -> Result<Header, ArrayError> {
        let mut cursor = Cursor { text, at: 0 };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        cursor.expect(b'{')?;
        while !cursor.take(b'}') {
            let key = cursor.string()?;
            cursor.expect(b':')?;
            let repeated = match key {
                "descr" => descr.replace(cursor.descr()?).is_some(),
                "fortran_order" => fortran.replace(cursor.bool()?).is_some(),
                "shape" => shape.replace(cursor.shape()?).is_some(),
                _ => {
                    return Err(ArrayError::Format(format!(
                        "npy header: expected the keys descr, fortran_order and shape, found `{key}`"
                    )));
                }
            };
            if repeated {
                return Err(ArrayError::Format(format!(
                    "npy header: the key `{key}` stands there twice"
                )));
            }
            if !cursor.take(b',') {
                cursor.expect(b'}')?;
                break;
            }
        }
        if cursor.peek().is_some() {
            return Err(cursor.error("the end of the header"));
        }
        let missing = |key| ArrayError::Format(format!("npy header: the key `{key}` is missing"));
        let (encoding, order) = descr.ok_or_else(|| missing("descr"))?;
        Ok(Header {
            encoding,
            order,
            fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// The number type and byte order that NumPy's short name stands for, such as `<f8`.
fn parse_descr(descr: &str) -> Result<(Encoding, ByteOrder), ArrayError> {
    let (order, code) = match descr.as_bytes().first() {
        Some(b'<') => (ByteOrder::Little, descr.get(1..)),
        Some(b'>') => (ByteOrder::Big, descr.get(1..)),
        Some(b'|' | b'=') => (ByteOrder::NATIVE, descr.get(1..)),
        _ => (ByteOrder::NATIVE, Some(descr)),
    };
    let code = code.unwrap_or_default();
    let encoding = match code {
        "b1" | "?" => Encoding::Bool,
        "i1" => Encoding::I8,
        "u1" => Encoding::U8,
        "i2" => Encoding::I16,
        "u2" => Encoding::U16,
        "i4" => Encoding::I32,
        "u4" => Encoding::U32,
        "i8" => Encoding::I64,
        "u8" => Encoding::U64,
        "f2" => Encoding::F16,
        "f4" => Encoding::F32,
        "f8" => Encoding::F64,
        "c8" => Encoding::C64,
        "c16" => Encoding::C128,
        _ => {
            let what = match code.as_bytes().first() {
                Some(b'c') => " (complex numbers of extended precision)",
                Some(b'f') => " (floats of extended precision)",
                Some(b'S' | b'U' | b'a') => " (strings)",
                Some(b'O') => " (Python objects)",
                Some(b'M' | b'm') => " (dates or times)",
                Some(b'V') => " (raw records)",
                _ => "",
            };
            return Err(ArrayError::Format(format!(
                "expected an npy array of booleans, integers, floats of 16 to 64 bits or complex numbers of two of 32 or 64 bits, found `{descr}`{what}"
            )));
        }
    };
    Ok((encoding, order))
}

/// A place in the header's text. White space before anything is skipped.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), ArrayError> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.error(&format!("`{}`", byte.escape_ascii()))),
        }
    }

    /// A string in either kind of quotes. None that matters has an escape in it, so there is none to read.
    fn string(&mut self) -> Result<&'a str, ArrayError> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.error("a string in quotes")),
        };
        let start = self.at + 1;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(len) = rest.iter().position(|&byte| byte == quote) else {
            return Err(self.error("a string that ends"));
        };
        let Some(text) = rest.get(..len).and_then(|text| str::from_utf8(text).ok()) else {
            return Err(self.error("a string of plain text"));
        };
        self.at = start + len + 1;
        Ok(text)
    }

    fn descr(&mut self) -> Result<(Encoding, ByteOrder), ArrayError> {
        match self.peek() {
            Some(b'[' | b'(') => Err(ArrayError::Format(
                "expected an npy array of numbers, found a structured dtype (records)".to_owned(),
            )),
            _ => parse_descr(self.string()?),
        }
    }

    fn bool(&mut self) -> Result<bool, ArrayError> {
        self.peek();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if self
                .text
                .get(self.at..)
                .is_some_and(|rest| rest.starts_with(word))
            {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("True or False"))
    }

    /// A tuple of sizes: `()`, `(3,)`, `(2, 3)`.
    fn shape(&mut self) -> Result<Shape, ArrayError> {
        self.expect(b'(')?;
        let mut dims = Vec::new();
        while !self.take(b')') {
            dims.push(self.number()?);
            // `(3)` would be a number in Python, not a tuple.
            let comma = self.take(b',');
            if !comma && (dims.len() < 2 || self.peek() != Some(b')')) {
                return Err(self.error(if dims.len() < 2 { "`,`" } else { "`,` or `)`" }));
            }
        }
        Ok(Shape::from(dims))
    }

    fn number(&mut self) -> Result<usize, ArrayError> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest
            .get(..len)
            .and_then(|digits| str::from_utf8(digits).ok());
        let Some(digits) = digits.filter(|digits| !digits.is_empty()) else {
            return Err(self.error("a size"));
        };
        let Ok(number) = digits.parse() else {
            return Err(self.error(&format!("a size up to {}", usize::MAX)));
        };
        self.at += len;
        // Python 2 wrote long integers as `3L`.
        if self.text.get(self.at) == Some(&b'L') {
            self.at += 1;
        }
        Ok(number)
    }

    /// An error at this place, with what stands there.
    fn error(&mut self, expected: &str) -> ArrayError {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = match rest.get(..24).unwrap_or(rest) {
            [] => "the end".to_owned(),
            some => format!("`{}`", some.escape_ascii()),
        };
        ArrayError::Format(format!(
            "npy header: expected {expected} at byte {}, found {found}",
            self.at
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, String> {
        Header::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_python_writes_is_read() {
        let expected = Header {
            encoding: Encoding::F64,
            order: ByteOrder::Little,
            fortran: false,
            shape: Shape::from([3, 4]),
        };
        for text in [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4L)}",
            "{\"shape\":(3,4,),\"fortran_order\":False,\"descr\":\"<f8\"}",
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn shapes_are_tuples() {
        let shape = |text: &str| {
            parse(&format!(
                "{{'descr': '|u1', 'fortran_order': True, 'shape': {text}}}"
            ))
            .map(|header| header.shape)
        };
        assert_eq!(shape("()").unwrap(), []);
        assert_eq!(shape("(7,)").unwrap(), [7]);
        assert_eq!(shape("(0, 18446744073709551615)").unwrap(), [0, usize::MAX]);
        for bad in [
            "7",
            "(7)",
            "(,)",
            "(1 2)",
            "(-1,)",
            "(1.5,)",
            "[1]",
            "(1,",
            "(18446744073709551616,)",
            "(1,,)",
            "((1,),)",
        ] {
            assert!(shape(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_types_are_known_or_explained() {
        assert_eq!(parse_descr(">i2").unwrap(), (Encoding::I16, ByteOrder::Big));
        assert_eq!(
            parse_descr("<c16").unwrap(),
            (Encoding::C128, ByteOrder::Little)
        );
        assert_eq!(parse_descr("|b1").unwrap().0, Encoding::Bool);
        assert_eq!(
            parse_descr("f4").unwrap(),
            (Encoding::F32, ByteOrder::NATIVE)
        );
        let cases = [
            ("<c32", "`<c32` (complex numbers of extended precision)"),
            ("<f16", "`<f16` (floats of extended precision)"),
            ("<U5", "`<U5` (strings)"),
            ("|O", "`|O` (Python objects)"),
            ("<M8[ns]", "(dates or times)"),
            ("|V2", "(raw records)"),
            ("", "found ``"),
            ("<", "found `<`"),
            ("é8", "found `é8`"),
        ];
        for (descr, expected) in cases {
            let error = parse_descr(descr).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        let cases = [
            ("", "expected `{` at byte 0, found the end"),
            (
                "{'descr' '<f8'}",
                "expected `:` at byte 9, found `\\'<f8\\'}`",
            ),
            (
                "{'descr': '<f8', 'fortran_order': 0",
                "expected True or False at byte 34, found `0`",
            ),
            ("{'descr': '<f8'}", "the key `fortran_order` is missing"),
            (
                "{'descr': '<f8', 'descr': '<f8'}",
                "the key `descr` stands there twice",
            ),
            ("{'order': 1}", "found `order`"),
            ("{'descr': [('a', '<f8')]}", "a structured dtype (records)"),
            ("{'descr': '<f8", "expected a string that ends at byte 10"),
            (
                "{'descr': '<f8', 'fortran_order': True, 'shape': ()} x",
                "expected the end of the header at byte 53, found `x`",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
