//! NumPy's format for one array, `.npy`.
//!
//! Versions 1.0, 2.0 and 3.0 are read, little- or big-endian, in C or Fortran order. Number types that are none of
//! our dtypes become the smallest one that holds them: `int8`, `int16` and `uint16` read as `i32`, `float16` as `f32`,
//! and `uint64` as `i64` if every value fits. Complex numbers, strings, dates, records and Python objects are errors.
//!
//! Files are written as NumPy writes them, byte for byte.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! ```
//! use cotangent_array::{Array, npy};
//!
//! let array = Array::from([[1.0f32, 2.0], [3.0, 4.0]]);
//! let mut file = Vec::new();
//! npy::write(&mut file, &array)?;
//! assert_eq!(npy::read(&file[..])?, array);
//! # Ok::<(), cotangent_array::ArrayError>(())
//! ```

mod header;

use std::io::{Read, Write};

use crate::element::with_values;
use crate::encoding::{little_endian_bytes, read_header, read_piece};
use crate::{Array, ArrayError, DType, Element, Indices, Shape};
use header::Header;

/// What every file starts with.
const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// The longest header that is read. NumPy stops at 10,000 bytes unless told otherwise.
const HEADER_MOST: u64 = 1 << 20;
/// Values start at a multiple of this, so that a mapped file is aligned.
const ALIGNMENT: usize = 64;

/// Reads one array and leaves the reader right behind it, so that several in a row can be read one by one.
///
/// No more memory is taken than there is data, whatever the header claims. Wrap a file in a
/// [`BufReader`](std::io::BufReader) only if many small arrays follow each other: reads are large anyhow.
///
/// # Errors
/// [`ArrayError::Format`] if this is no `.npy` file, if it is cut short, or if its values have no dtype here;
/// [`ArrayError::BadBool`] for a `bool` other than 0 and 1; [`ArrayError::TooLarge`] if it does not fit in memory;
/// [`ArrayError::Io`] if reading fails.
pub fn read(mut reader: impl Read) -> Result<Array, ArrayError> {
    let reader: &mut dyn Read = &mut reader;
    let magic: [u8; 6] = read_piece(reader, "the npy magic")?;
    if magic != MAGIC {
        return Err(ArrayError::Format(format!(
            "expected an npy file, which starts with \"\\x93NUMPY\", found \"{}\"",
            magic.escape_ascii()
        )));
    }
    let [major, minor] = read_piece(reader, "the npy version")?;
    let len = match (major, minor) {
        (1, 0) => u64::from(u16::from_le_bytes(read_piece(
            reader,
            "the npy header's length",
        )?)),
        (2 | 3, 0) => u64::from(u32::from_le_bytes(read_piece(
            reader,
            "the npy header's length",
        )?)),
        _ => {
            return Err(ArrayError::Format(format!(
                "expected npy version 1.0, 2.0 or 3.0, found {major}.{minor}"
            )));
        }
    };
    if len > HEADER_MOST {
        return Err(ArrayError::Format(format!(
            "expected an npy header of at most {HEADER_MOST} bytes, found {len}"
        )));
    }
    let text = read_header(reader, len, "npy header")?;
    let Header {
        encoding,
        order,
        fortran,
        shape,
    } = Header::parse(&text)?;
    if !fortran {
        return encoding.read(reader, shape, order);
    }
    let reversed: Shape = shape.iter().rev().copied().collect();
    let array = encoding.read(reader, reversed, order)?;
    with_values!(array.into_values(), v => Array::new(shape.clone(), to_row_major(&v, &shape)))
}

/// Writes one array, as `numpy.save` does: version 1.0 (2.0 if the header is longer than 64 KiB), little-endian, C
/// order.
///
/// # Errors
/// [`ArrayError::Io`] if writing fails.
pub fn write(mut writer: impl Write, array: &Array) -> Result<(), ArrayError> {
    writer.write_all(&written_header(array)?)?;
    writer.write_all(&little_endian_bytes(array))?;
    Ok(())
}

/// Everything before the values.
fn written_header(array: &Array) -> Result<Vec<u8>, ArrayError> {
    let descr = match array.dtype() {
        DType::Bool => "|b1",
        DType::U8 => "|u1",
        DType::U32 => "<u4",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::C64 => "<c8",
        DType::C128 => "<c16",
    };
    let dims = array.shape().dims();
    let shape = match dims {
        [] => "()".to_owned(),
        [dim] => format!("({dim},)"),
        _ => {
            let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
            format!("({})", dims.join(", "))
        }
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // NumPy leaves room for the first size to grow to 21 digits, so that a file can be appended to in place.
    if let Some(first) = dims.first() {
        let spare = 21usize.saturating_sub(first.to_string().len());
        text.push_str(&" ".repeat(spare));
    }
    let mut file = MAGIC.to_vec();
    let pad = |text: &str, len_bytes: usize| {
        let unpadded = MAGIC.len() + 2 + len_bytes + text.len() + 1;
        ALIGNMENT - unpadded % ALIGNMENT
    };
    // Like NumPy, which pads by a whole 64 bytes where none would be needed.
    let short = text.len() + 1 + pad(&text, 2);
    if let Ok(len) = u16::try_from(short) {
        text.push_str(&" ".repeat(pad(&text, 2)));
        file.extend_from_slice(&[1, 0]);
        file.extend_from_slice(&len.to_le_bytes());
    } else {
        text.push_str(&" ".repeat(pad(&text, 4)));
        let len = u32::try_from(text.len() + 1).map_err(|_| {
            ArrayError::Format(format!("rank {} is too high for npy", array.rank()))
        })?;
        file.extend_from_slice(&[2, 0]);
        file.extend_from_slice(&len.to_le_bytes());
    }
    file.extend_from_slice(text.as_bytes());
    file.push(b'\n');
    Ok(file)
}

/// Values in Fortran order (first axis fastest) to row-major order (last axis fastest).
fn to_row_major<T: Element>(values: &[T], shape: &Shape) -> Vec<T> {
    // Beside an axis of size 0 another may have any size, too many rows to walk over for nothing.
    if values.is_empty() {
        return Vec::new();
    }
    let mut ordered = Vec::with_capacity(values.len());
    // Axes of size 1 change nothing, and without them the rank is at most 63.
    let mut step = 1usize;
    let axes: Vec<(usize, usize)> = shape
        .iter()
        .filter(|&&dim| dim != 1)
        .map(|&dim| {
            let axis = (dim, step);
            step = step.saturating_mul(dim);
            axis
        })
        .collect();
    let Some((&(last, last_step), outer)) = axes.split_last() else {
        return values.to_vec();
    };
    let dims: Vec<usize> = outer.iter().map(|&(dim, _)| dim).collect();
    let mut rows = Indices::new(&dims);
    while let Some(index) = rows.next_index() {
        let start: usize = index.iter().zip(outer).map(|(i, (_, step))| i * step).sum();
        let row = (0..last).map(|i| start + i * last_step);
        ordered.extend(row.filter_map(|at| values.get(at).copied()));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scalar;

    fn written(array: &Array) -> Vec<u8> {
        let mut file = Vec::new();
        write(&mut file, array).unwrap();
        file
    }

    /// A file with any header, to see what reading makes of it.
    fn file(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&[version, 0]);
        if version == 1 {
            file.extend_from_slice(&(header.len() as u16).to_le_bytes());
        } else {
            file.extend_from_slice(&(header.len() as u32).to_le_bytes());
        }
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(values);
        file
    }

    #[test]
    fn every_dtype_and_rank_round_trips() {
        for &dtype in DType::ALL {
            for dims in [&[][..], &[0], &[3], &[2, 3], &[2, 0, 4], &[2, 3, 2, 1]] {
                let shape = Shape::from(dims);
                let values = (0..shape.elements()).map(|i| Scalar::F64(i as f64 * 37.5 - 40.0));
                let array = Array::from_scalars(dtype, shape, values).unwrap();
                let file = written(&array);
                assert_eq!((file.len() - array.bytes_len()) % ALIGNMENT, 0);
                assert_eq!(read(&file[..]).unwrap(), array);
            }
        }
    }

    #[test]
    fn all_versions_are_read() {
        let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }\n";
        for version in 1..=3 {
            let array = read(&file(version, header, &[5, 0, 0, 0])[..]).unwrap();
            assert_eq!(array, Array::from([5]));
        }
        let error = read(&file(4, header, &[])[..]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected npy version 1.0, 2.0 or 3.0, found 4.0"
        );
    }

    #[test]
    fn fortran_order_is_turned() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1, 3), }\n";
        let array = read(&file(1, header, &[1, 2, 3, 4, 5, 6])[..]).unwrap();
        assert_eq!(array, Array::from([[[1u8, 3, 5]], [[2, 4, 6]]]));
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (), }\n";
        assert_eq!(read(&file(1, header, &[7])[..]).unwrap(), Array::from(7u8));
        let header = "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 0), }\n";
        let empty = read(&file(1, header, &[])[..]).unwrap();
        assert_eq!(empty.shape().dims(), [3, 0]);
        let header = "{'descr': '<f8', 'fortran_order': True, 'shape': (999999999999999, 0), }\n";
        assert!(read(&file(1, header, &[])[..]).unwrap().is_empty());
    }

    #[test]
    fn arrays_in_a_row_are_read_one_by_one() {
        let (a, b) = (Array::from([1.0, 2.0]), Array::from([true]));
        let mut both = written(&a);
        both.extend(written(&b));
        let mut reader = &both[..];
        assert_eq!(read(&mut reader).unwrap(), a);
        assert_eq!(read(&mut reader).unwrap(), b);
        assert!(reader.is_empty());
    }

    #[test]
    fn long_headers_take_version_2() {
        let array = Array::new(vec![1; 30_000], [1.5]).unwrap();
        let file = written(&array);
        assert_eq!(file[6..8], [2, 0]);
        assert_eq!((file.len() - 8) % ALIGNMENT, 0);
        assert_eq!(read(&file[..]).unwrap(), array);
    }

    #[test]
    fn every_cut_is_an_error() {
        let file = written(&Array::from([[1.0, 2.0], [3.0, 4.0]]));
        for len in 0..file.len() {
            let error = read(&file[..len]).unwrap_err();
            assert!(matches!(error, ArrayError::Format(_)), "{len}: {error}");
        }
    }

    #[test]
    fn errors_say_what_was_found() {
        let cases: [(Vec<u8>, &str); 5] = [
            (b"PK\x03\x04 something".to_vec(), "expected an npy file"),
            (
                file(2, &" ".repeat((1 << 20) + 1), &[]),
                "at most 1048576 bytes, found 1048577",
            ),
            (
                file(
                    1,
                    "{'descr': '<f8', 'fortran_order': False, 'shape': (9,)}\n",
                    &[0; 70],
                ),
                "expected 72 bytes of values for f64[9], found 70",
            ),
            (
                file(
                    1,
                    "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}\n",
                    &[1, 9],
                ),
                "found 9 at element 1",
            ),
            (
                file(
                    1,
                    "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}\n",
                    &[],
                ),
                "f64[4294967296, 4294967296] does not fit in memory",
            ),
        ];
        for (file, expected) in cases {
            let error = read(&file[..]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
