//! The safetensors format: named arrays and a map of text to text, in one file without code to run.
//!
//! The header (names, dtypes, shapes, places) is read by the reference implementation; values are read and written in
//! a stream. Number types that are none of our dtypes become the smallest one that holds them: `I8`, `I16` and `U16`
//! read as `i32`, `F16` and `BF16` as `f32`, and `U64` as `i64` if every value fits.
//!
//! The format: <https://github.com/huggingface/safetensors>.
//!
//! ```
//! use std::collections::BTreeMap;
//! use cotangent_array::{Array, safetensors};
//!
//! let weight = Array::from([[1.0, 2.0], [3.0, 4.0]]);
//! let metadata = BTreeMap::from([("epoch".to_owned(), "7".to_owned())]);
//! let mut file = Vec::new();
//! safetensors::write(&mut file, [("weight", &weight)], &metadata)?;
//!
//! let contents = safetensors::read(&file[..])?;
//! assert_eq!(contents.arrays, [("weight".to_owned(), weight)]);
//! assert_eq!(contents.metadata, metadata);
//! # Ok::<(), cotangent_array::ArrayError>(())
//! ```

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};

use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::encoding::{
    ByteOrder, Encoding, little_endian_bytes, read_header, read_piece, read_up_to,
};
use crate::{Array, ArrayError, DType, Shape};

/// The longest header the format allows.
const HEADER_MOST: u64 = 100_000_000;
/// The key of the map of text to text, which no array may be named.
const METADATA: &str = "__metadata__";

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The arrays by name, in the order in which their values stand in the file.
    pub arrays: Vec<(String, Array)>,
    /// The map of text to text, empty if the file has none.
    pub metadata: BTreeMap<String, String>,
}

impl Contents {
    /// The array of that name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        let (_, array) = self.arrays.iter().find(|(other, _)| other == name)?;
        Some(array)
    }
}

/// Reads a whole file.
///
/// No more memory is taken than there is data, whatever the header claims.
///
/// # Errors
/// [`ArrayError::Format`] if this is no safetensors file, if it is cut short, if it goes on after the last array, or
/// if values have no dtype here (the text names the array); [`ArrayError::Io`] if reading fails.
pub fn read(mut reader: impl Read) -> Result<Contents, ArrayError> {
    let reader: &mut dyn Read = &mut reader;
    let len = u64::from_le_bytes(read_piece(reader, "the safetensors header's length")?);
    if len > HEADER_MOST {
        return Err(ArrayError::Format(format!(
            "expected a safetensors header of at most {HEADER_MOST} bytes, found {len}"
        )));
    }
    let text = read_header(reader, len, "safetensors header")?;
    // This also makes sure that the arrays fill the file without holes and that each has the bytes of its shape.
    let header: Metadata = serde_json::from_slice(&text).map_err(json_error)?;

    let mut infos: Vec<(String, &TensorInfo)> = header.tensors().into_iter().collect();
    infos.sort_by(|(a, x), (b, y)| (x.data_offsets, a).cmp(&(y.data_offsets, b)));
    let mut arrays = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let array = encoding(info.dtype)
            .and_then(|kind| kind.read(reader, Shape::from(&info.shape), ByteOrder::Little));
        match array {
            Ok(array) => arrays.push((name, array)),
            Err(ArrayError::Io(error)) => return Err(ArrayError::Io(error)),
            Err(error) => {
                return Err(ArrayError::Format(format!(
                    "safetensors array `{name}`: {error}"
                )));
            }
        }
    }
    if read_up_to(reader, &mut [0])? != 0 {
        return Err(ArrayError::Format(
            "safetensors: more data follows the last array".to_owned(),
        ));
    }
    let metadata = header.metadata().iter().flatten();
    Ok(Contents {
        arrays,
        metadata: metadata.map(|(k, v)| (k.clone(), v.clone())).collect(),
    })
}

/// Writes named arrays and a map of text to text, which may be empty.
///
/// Arrays with wide elements come first, otherwise they keep their order, so that all are aligned in a mapped file.
/// The same contents give the same bytes.
///
/// # Errors
/// [`ArrayError::Format`] for a name that stands there twice or is `__metadata__`, or if the header is longer than the
/// format allows; [`ArrayError::TooLarge`] for a shape without elements whose other sizes overflow;
/// [`ArrayError::Io`] if writing fails.
pub fn write<'a, N: AsRef<str>>(
    mut writer: impl Write,
    arrays: impl IntoIterator<Item = (N, &'a Array)>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), ArrayError> {
    let mut arrays: Vec<(N, &Array)> = arrays.into_iter().collect();
    arrays.sort_by_key(|(_, array)| std::cmp::Reverse(array.dtype().size()));

    let mut header = String::from("{");
    let mut comma = "";
    if !metadata.is_empty() {
        let text = serde_json::to_string(metadata).map_err(json_error)?;
        header.push_str(&format!("\"{METADATA}\":{text}"));
        comma = ",";
    }
    let mut names = HashSet::new();
    let mut start = 0usize;
    for (name, array) in &arrays {
        let name = name.as_ref();
        if name == METADATA {
            return Err(ArrayError::Format(format!(
                "safetensors: no array can be named `{METADATA}`"
            )));
        }
        if !names.insert(name) {
            return Err(ArrayError::Format(format!(
                "safetensors: two arrays are named `{name}`"
            )));
        }
        let info = info(array, start)?;
        start = info.data_offsets.1;
        let key = serde_json::to_string(name).map_err(json_error)?;
        let value = serde_json::to_string(&info).map_err(json_error)?;
        header.push_str(&format!("{comma}{key}:{value}"));
        comma = ",";
    }
    header.push('}');
    // Spaces after the JSON let the values start at a multiple of 8.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    if header.len() as u64 > HEADER_MOST {
        return Err(ArrayError::Format(format!(
            "expected a safetensors header of at most {HEADER_MOST} bytes, it would take {}",
            header.len()
        )));
    }

    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(header.as_bytes())?;
    for (_, array) in &arrays {
        writer.write_all(&little_endian_bytes(array))?;
    }
    writer.flush()?;
    Ok(())
}

/// What the header says of an array whose values start at `start`.
fn info(array: &Array, start: usize) -> Result<TensorInfo, ArrayError> {
    let too_large = || ArrayError::TooLarge {
        shape: array.shape().clone(),
        dtype: array.dtype(),
    };
    // Readers multiply all sizes with the element's bits, also where one of them is 0.
    let sizes = array.shape().iter();
    sizes
        .copied()
        .try_fold(array.dtype().size().saturating_mul(8), usize::checked_mul)
        .ok_or_else(too_large)?;
    let end = start.checked_add(array.bytes_len()).ok_or_else(too_large)?;
    Ok(TensorInfo {
        dtype: match array.dtype() {
            DType::Bool => Dtype::BOOL,
            DType::U8 => Dtype::U8,
            DType::U32 => Dtype::U32,
            DType::I32 => Dtype::I32,
            DType::I64 => Dtype::I64,
            DType::F32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            DType::C64 => Dtype::C64,
            DType::C128 => {
                return Err(ArrayError::Format(
                    "safetensors has no complex numbers of two 64-bit floats: expected c64 or a real dtype, found c128"
                        .to_owned(),
                ));
            }
        },
        shape: array.shape().to_vec(),
        data_offsets: (start, end),
    })
}

fn encoding(dtype: Dtype) -> Result<Encoding, ArrayError> {
    Ok(match dtype {
        Dtype::BOOL => Encoding::Bool,
        Dtype::I8 => Encoding::I8,
        Dtype::U8 => Encoding::U8,
        Dtype::I16 => Encoding::I16,
        Dtype::U16 => Encoding::U16,
        Dtype::I32 => Encoding::I32,
        Dtype::U32 => Encoding::U32,
        Dtype::I64 => Encoding::I64,
        Dtype::U64 => Encoding::U64,
        Dtype::F16 => Encoding::F16,
        Dtype::BF16 => Encoding::BF16,
        Dtype::F32 => Encoding::F32,
        Dtype::F64 => Encoding::F64,
        Dtype::C64 => Encoding::C64,
        other => {
            return Err(ArrayError::Format(format!(
                "expected booleans, integers, floats of 16 to 64 bits or c64, found {other}"
            )));
        }
    })
}

fn json_error(error: serde_json::Error) -> ArrayError {
    ArrayError::Format(format!("safetensors header: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scalar;

    fn written(arrays: &[(&str, Array)], metadata: &BTreeMap<String, String>) -> Vec<u8> {
        let mut file = Vec::new();
        let arrays = arrays.iter().map(|(name, array)| (*name, array));
        write(&mut file, arrays, metadata).unwrap();
        file
    }

    /// A file with any header, to see what reading makes of it.
    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(values);
        file
    }

    #[test]
    fn names_dtypes_shapes_and_metadata_round_trip() {
        let metadata: BTreeMap<String, String> = [("b", "\"q\"\n"), ("a", ""), ("größe", "\u{1}")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let arrays: Vec<(String, Array)> = DType::ALL
            .iter()
            .filter(|&&dtype| dtype != DType::C128)
            .map(|&dtype| {
                let values = (0..6).map(|i| Scalar::I64(i * 50));
                let array = Array::from_scalars(dtype, [2, 1, 3], values).unwrap();
                (format!("layer \"{dtype}\""), array)
            })
            .chain([
                ("".to_owned(), Array::from(1.5)),
                (
                    "empty".to_owned(),
                    Array::zeros(DType::F32, [3, 0]).unwrap(),
                ),
            ])
            .collect();
        let mut bytes = Vec::new();
        write(&mut bytes, arrays.iter().map(|(n, a)| (n, a)), &metadata).unwrap();
        let contents = read(&bytes[..]).unwrap();
        assert_eq!(contents.metadata, metadata);
        assert_eq!(contents.arrays.len(), arrays.len());
        for (name, array) in &arrays {
            assert_eq!(contents.get(name), Some(array), "{name}");
        }
        assert!(
            contents
                .arrays
                .is_sorted_by_key(|(_, a)| std::cmp::Reverse(a.dtype().size()))
        );
        assert!(contents.get("nothing").is_none());

        // The reference implementation agrees.
        let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(theirs.len(), arrays.len());
        for (name, array) in &arrays {
            let view = theirs.tensor(name).unwrap();
            assert_eq!(view.shape(), array.shape().dims());
            assert_eq!(view.data(), array.as_bytes());
        }
    }

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let many: BTreeMap<String, String> = (0..50)
            .map(|i| (format!("key {i}"), i.to_string()))
            .collect();
        let arrays = [("x", Array::from([1.0])), ("y", Array::from([true]))];
        assert_eq!(written(&arrays, &many), written(&arrays, &many));
        let none = written(&[], &BTreeMap::new());
        assert_eq!(none, file("{}      ", &[]));
        assert_eq!(read(&none[..]).unwrap(), Contents::default());
    }

    #[test]
    fn every_cut_is_an_error() {
        let arrays = [("x", Array::from([1.0, 2.0])), ("y", Array::from([true]))];
        let file = written(&arrays, &BTreeMap::new());
        for len in 0..file.len() {
            let error = read(&file[..len]).unwrap_err();
            assert!(matches!(error, ArrayError::Format(_)), "{len}: {error}");
        }
    }

    #[test]
    fn names_are_checked() {
        let x = Array::from(1.0);
        let none = BTreeMap::new();
        let mut sink = std::io::sink();
        let error = write(&mut sink, [("x", &x), ("x", &x)], &none).unwrap_err();
        assert_eq!(error.to_string(), "safetensors: two arrays are named `x`");
        let error = write(&mut sink, [("__metadata__", &x)], &none).unwrap_err();
        assert!(matches!(error, ArrayError::Format(_)));
        let odd = Array::zeros(DType::F64, [usize::MAX, 2, 0]).unwrap();
        let error = write(&mut sink, [("x", &odd)], &none).unwrap_err();
        assert!(matches!(error, ArrayError::TooLarge { .. }));
    }

    #[test]
    fn errors_say_what_was_found() {
        let huge = usize::MAX / 64;
        let cases: [(Vec<u8>, &str); 9] = [
            (
                vec![255; 8],
                "at most 100000000 bytes, found 18446744073709551615",
            ),
            (file("[1]", &[]), "safetensors header: "),
            (file("{\"x\":", &[]), "safetensors header: EOF"),
            (
                file(
                    r#"{"x":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#,
                    &[0; 15],
                ),
                "safetensors array `x`: expected 16 bytes of values for f64[2], found 15",
            ),
            (
                file(
                    r#"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
                    &[0; 3],
                ),
                "more data follows the last array",
            ),
            (
                file(
                    r#"{"x":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}"#,
                    &[0; 8],
                ),
                "safetensors header: ",
            ),
            (
                file(
                    r#"{"x":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#,
                    &[0; 8],
                ),
                "safetensors array `x`: expected booleans, integers, floats of 16 to 64 bits or c64, found F8_E4M3",
            ),
            (
                file(
                    r#"{"x":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#,
                    &[2],
                ),
                "safetensors array `x`: expected 0 or 1 as the byte of a bool, found 2",
            ),
            (
                file(
                    &format!(
                        r#"{{"x":{{"dtype":"F64","shape":[{huge}],"data_offsets":[0,{}]}}}}"#,
                        huge * 8
                    ),
                    &[0; 8],
                ),
                "found 8",
            ),
        ];
        for (file, expected) in cases {
            let error = read(&file[..]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn complex_numbers_of_two_f64_are_refused() {
        let array = Array::zeros(DType::C128, [2]).unwrap();
        let error = write(&mut Vec::new(), [("z", &array)], &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("found c128"), "{error}");
    }

    #[test]
    fn narrow_numbers_widen() {
        let cases: [(&str, &[u8], Array); 6] = [
            ("I8", &[0xff, 2], Array::from([-1, 2])),
            ("I16", &[0xfe, 0xff, 1, 1], Array::from([-2, 257])),
            ("U16", &[0xff, 0xff, 0, 0], Array::from([65535, 0])),
            ("F16", &[0, 0x3c, 0, 0xc0], Array::from([1.0f32, -2.0])),
            ("BF16", &[0x80, 0x3f, 0, 0xc0], Array::from([1.0f32, -2.0])),
            (
                "U64",
                &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
                Array::from([1i64, 2]),
            ),
        ];
        for (dtype, values, expected) in cases {
            let header = format!(
                r#"{{"x":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{}]}}}}"#,
                values.len()
            );
            let contents = read(&file(&header, values)[..]).unwrap();
            assert_eq!(contents.get("x"), Some(&expected), "{dtype}");
        }
    }
}
