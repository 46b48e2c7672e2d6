//! NumPy's format for several named arrays, `.npz`: a zip archive with one `.npy` file per array.
//!
//! Entries may be stored or deflated, with 32-bit or 64-bit sizes. Every entry's checksum is tested. No more memory is
//! taken than there is data: an entry is read in pieces, and entries that share their bytes (how a zip bomb multiplies
//! itself) are an error.
//!
//! ```
//! use std::io::Cursor;
//! use cotangent_array::{Array, npz};
//!
//! let (x, y) = (Array::from([1.0, 2.0]), Array::from([true]));
//! let mut file = Vec::new();
//! npz::write(&mut file, [("x", &x), ("y", &y)], npz::Compression::Deflated)?;
//! let arrays = npz::read(Cursor::new(file))?;
//! assert_eq!(arrays, [("x".to_owned(), x), ("y".to_owned(), y)]);
//! # Ok::<(), cotangent_array::ArrayError>(())
//! ```

use std::collections::HashSet;
use std::io::{self, Read, Seek, Write};

use rawzip::path::EntryPath;
use rawzip::{CompressionMethod, ErrorKind, ZipArchive, ZipArchiveWriter};

use crate::encoding::read_up_to;
use crate::{Array, ArrayError, npy};

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are, like `numpy.savez`.
    #[default]
    Stored,
    /// Deflated, like `numpy.savez_compressed`.
    Deflated,
}

/// Reads all arrays in the order of the file. The entry `x.npy` is named `x`; folders are skipped.
///
/// # Errors
/// [`ArrayError::Format`] if this is no zip archive or a broken one, or if an entry is no `.npy` file that
/// [`npy::read`] takes (the text names the entry); [`ArrayError::Io`] if reading fails.
pub fn read(reader: impl Read + Seek) -> Result<Vec<(String, Array)>, ArrayError> {
    read_where(reader, |_| true)
}

/// Reads the arrays whose names satisfy a condition, in the order of the file. The others may be of kinds that have no
/// dtype here, such as text.
///
/// ```
/// use cotangent_array::{Array, npz};
/// use std::io::Cursor;
/// let (x, y) = (Array::from([1.0, 2.0]), Array::from(3i64));
/// let mut file = Vec::new();
/// npz::write(&mut file, [("x", &x), ("y", &y)], npz::Compression::Stored)?;
/// let read = npz::read_where(Cursor::new(file), |name| name == "x")?;
/// assert_eq!(read, [("x".to_owned(), x)]);
/// # Ok::<(), cotangent_array::ArrayError>(())
/// ```
///
/// # Errors
/// As [`read`], for the arrays that are wanted.
pub fn read_where(
    reader: impl Read + Seek,
    mut wanted: impl FnMut(&str) -> bool,
) -> Result<Vec<(String, Array)>, ArrayError> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(reader, &mut buffer).map_err(zip_error)?;

    let mut entries = Vec::new();
    let mut names = HashSet::new();
    let mut found = 0u64;
    // A record of the directory may be three times 64 KiB long.
    buffer.resize(rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE, 0);
    let mut records = archive.entries(&mut buffer);
    while let Some(record) = records.next_entry().map_err(zip_error)? {
        found += 1;
        if record.is_dir() {
            continue;
        }
        let name = array_name(record.file_path().as_bytes())?;
        if record.flags().is_encrypted() {
            return Err(ArrayError::Format(format!(
                "npz entry `{name}` is encrypted"
            )));
        }
        if !names.insert(name.clone()) {
            return Err(ArrayError::Format(format!(
                "npz: two entries are named `{name}`"
            )));
        }
        entries.push((
            name,
            record.compression_method(),
            record.wayfinder(),
            record.local_header_offset(),
        ));
    }
    if found != archive.entries_hint() {
        return Err(ArrayError::Format(format!(
            "npz: expected {} entries, found {found}",
            archive.entries_hint()
        )));
    }

    let mut pieces = Vec::new();
    for (name, _, wayfinder, start) in &entries {
        let entry = archive
            .get_entry(*wayfinder)
            .map_err(|error| within(name, zip_error(error)))?;
        pieces.push((*start, entry.compressed_data_range().1, name));
    }
    no_overlap(&mut pieces, archive.directory_offset())?;

    let mut arrays = Vec::new();
    for (name, method, wayfinder, _) in &entries {
        if !wanted(name) {
            continue;
        }
        let entry = archive
            .get_entry(*wayfinder)
            .map_err(|error| within(name, zip_error(error)))?;
        let array = if *method == CompressionMethod::STORE {
            read_entry(&mut entry.verifying_reader(entry.reader()))
        } else if *method == CompressionMethod::DEFLATE {
            let inflated = flate2::read::DeflateDecoder::new(entry.reader());
            read_entry(&mut entry.verifying_reader(inflated))
        } else {
            Err(ArrayError::Format(format!(
                "expected stored or deflated data, found {method}"
            )))
        };
        arrays.push((name.clone(), array.map_err(|error| within(name, error))?));
    }
    Ok(arrays)
}

/// Writes named arrays in the given order. The array `x` becomes the entry `x.npy`. The same arrays give the same
/// bytes: no time is written.
///
/// # Errors
/// [`ArrayError::Format`] for a name that stands there twice or that zip cannot hold, [`ArrayError::Io`] if writing
/// fails.
pub fn write<'a, N: AsRef<str>>(
    writer: impl Write,
    arrays: impl IntoIterator<Item = (N, &'a Array)>,
    compression: Compression,
) -> Result<(), ArrayError> {
    let mut archive = ZipArchiveWriter::new(writer);
    let mut names = HashSet::new();
    for (name, array) in arrays {
        let name = name.as_ref();
        if !names.insert(name.to_owned()) {
            return Err(ArrayError::Format(format!(
                "npz: two arrays are named `{name}`"
            )));
        }
        write_entry(&mut archive, name, array, compression).map_err(|error| within(name, error))?;
    }
    archive.finish().map_err(zip_error)?.flush()?;
    Ok(())
}

/// One array, which must fill the entry to its end. Reading there is also what tests the checksum.
fn read_entry(reader: &mut dyn Read) -> Result<Array, ArrayError> {
    let array = npy::read(&mut *reader)?;
    match read_up_to(reader, &mut [0])? {
        0 => Ok(array),
        _ => Err(ArrayError::Format("more data follows the array".to_owned())),
    }
}

fn write_entry<W: Write>(
    archive: &mut ZipArchiveWriter<W>,
    name: &str,
    array: &Array,
    compression: Compression,
) -> Result<(), ArrayError> {
    let path = format!("{name}.npy");
    let method = match compression {
        Compression::Stored => CompressionMethod::STORE,
        Compression::Deflated => CompressionMethod::DEFLATE,
    };
    let (mut entry, config) = archive
        .new_file(entry_path(&path)?)
        .compression_method(method)
        .start()
        .map_err(zip_error)?;
    let descriptor = match compression {
        Compression::Stored => {
            let mut data = config.wrap(&mut entry);
            npy::write(&mut data, array)?;
            data.finish().map_err(zip_error)?.1
        }
        Compression::Deflated => {
            let level = flate2::Compression::default();
            let deflated = flate2::write::DeflateEncoder::new(&mut entry, level);
            let mut data = config.wrap(deflated);
            npy::write(&mut data, array)?;
            let (deflated, descriptor) = data.finish().map_err(zip_error)?;
            deflated.finish()?;
            descriptor
        }
    };
    entry.finish(descriptor).map_err(zip_error)?;
    Ok(())
}

/// The path as it is. Zip marks text beyond ASCII as UTF-8, and only rawzip's cleaned-up paths carry that mark, so
/// there the name has to be clean already.
fn entry_path(path: &str) -> Result<EntryPath<'_>, ArrayError> {
    if path.is_ascii() {
        return Ok(EntryPath::verbatim(path.as_bytes()));
    }
    match rawzip::path::ZipFilePath::from_str(path).as_str() == path {
        true => Ok(EntryPath::conformant(path)),
        false => Err(ArrayError::Format(
            "expected a name without `..`, `\\` and leading `/`".to_owned(),
        )),
    }
}

/// The name of an array, from the name of its entry.
fn array_name(path: &[u8]) -> Result<String, ArrayError> {
    let Ok(path) = str::from_utf8(path) else {
        return Err(ArrayError::Format(format!(
            "npz: expected entry names in UTF-8, found \"{}\"",
            path.escape_ascii()
        )));
    };
    match path.strip_suffix(".npy") {
        Some(name) => Ok(name.to_owned()),
        None => Err(ArrayError::Format(format!(
            "npz: expected entries named *.npy, found `{path}`"
        ))),
    }
}

/// Every piece (start, end, name) lies before the next one, and the last before the directory.
fn no_overlap(pieces: &mut [(u64, u64, &String)], end: u64) -> Result<(), ArrayError> {
    pieces.sort_unstable();
    let starts = pieces.iter().skip(1).map(|piece| piece.0).chain([end]);
    match pieces
        .iter()
        .zip(starts)
        .find(|(piece, next)| piece.1 > *next)
    {
        None => Ok(()),
        Some((piece, _)) => Err(ArrayError::Format(format!(
            "npz entry `{}` runs into what follows it",
            piece.2
        ))),
    }
}

/// The error of one entry, with its name.
fn within(name: &str, error: ArrayError) -> ArrayError {
    match error {
        // What the checksum and the decompressor find is about the file, not about reading it.
        ArrayError::Io(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::UnexpectedEof
            ) =>
        {
            ArrayError::Io(error)
        }
        error => ArrayError::Format(format!("npz entry `{name}`: {error}")),
    }
}

fn zip_error(error: rawzip::Error) -> ArrayError {
    match error.into_kind() {
        ErrorKind::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ArrayError::Format("broken zip archive: it ends too early".to_owned())
        }
        ErrorKind::IO(error) => ArrayError::Io(error),
        ErrorKind::MissingEndOfCentralDirectory => ArrayError::Format(
            "expected a zip archive (npz), found no end of central directory".to_owned(),
        ),
        kind => ArrayError::Format(format!("broken zip archive: {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use std::io::Cursor;

    fn written(arrays: &[(&str, Array)], compression: Compression) -> Vec<u8> {
        let mut file = Vec::new();
        let arrays = arrays.iter().map(|(name, array)| (*name, array));
        write(&mut file, arrays, compression).unwrap();
        file
    }

    fn some() -> Vec<(&'static str, Array)> {
        vec![
            ("zeros", Array::zeros(DType::F64, [100, 100]).unwrap()),
            ("a/b", Array::from([[1i32, 2], [3, 4]])),
            ("", Array::from(true)),
            ("größe", Array::vector(Vec::<f32>::new())),
        ]
    }

    fn message(result: Result<Vec<(String, Array)>, ArrayError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn names_order_and_values_round_trip() {
        for compression in [Compression::Stored, Compression::Deflated] {
            let file = written(&some(), compression);
            let arrays = read(Cursor::new(&file)).unwrap();
            let expected: Vec<(String, Array)> = some()
                .into_iter()
                .map(|(name, array)| (name.to_owned(), array))
                .collect();
            assert_eq!(arrays, expected);
            assert_eq!(file, written(&some(), compression), "the same bytes again");
        }
        let sizes = [Compression::Stored, Compression::Deflated].map(|c| written(&some(), c).len());
        assert!(sizes[0] > 80_000 && sizes[1] < 2_000, "{sizes:?}");
    }

    #[test]
    fn an_empty_archive_has_no_arrays() {
        assert_eq!(
            read(Cursor::new(written(&[], Compression::Stored))).unwrap(),
            []
        );
    }

    #[test]
    fn odd_names_are_kept_or_refused() {
        let array = Array::from(1.0);
        for name in ["../up", "/root", "a\\b", "x.npy", " "] {
            let file = written(&[(name, array.clone())], Compression::Stored);
            assert_eq!(
                read(Cursor::new(file)).unwrap(),
                [(name.to_owned(), array.clone())]
            );
        }
        let refused = [
            ("../größe", "without `..`"),
            ("n".repeat(70_000).as_str(), "nnn"),
        ]
        .map(|(name, expected)| {
            let error = write(io::sink(), [(name, &array)], Compression::Stored).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            matches!(error, ArrayError::Format(_))
        });
        assert_eq!(refused, [true, true]);
        let twice = write(
            io::sink(),
            [("x", &array), ("x", &array)],
            Compression::Stored,
        );
        assert_eq!(
            twice.unwrap_err().to_string(),
            "npz: two arrays are named `x`"
        );
    }

    #[test]
    fn every_cut_is_an_error() {
        for compression in [Compression::Stored, Compression::Deflated] {
            let file = written(&some()[1..], compression);
            for len in 0..file.len() {
                let error = read(Cursor::new(&file[..len])).unwrap_err();
                assert!(matches!(error, ArrayError::Format(_)), "{len}: {error:?}");
            }
        }
    }

    #[test]
    fn a_changed_value_fails_the_checksum() {
        let mut file = written(&[("x", Array::from([7u8; 32]))], Compression::Stored);
        let at = file.windows(32).position(|bytes| bytes == [7; 32]).unwrap();
        file[at] = 8;
        let error = message(read(Cursor::new(file)));
        assert!(error.starts_with("npz entry `x`: "), "{error}");
        assert!(error.contains("checksum"), "{error}");
    }

    #[test]
    fn a_broken_deflate_stream_is_an_error() {
        let values: Vec<i64> = (0..1000).map(|i| i * i).collect();
        let mut file = written(&[("x", Array::vector(values))], Compression::Deflated);
        file[500] ^= 0xff;
        let error = message(read(Cursor::new(file)));
        assert!(error.starts_with("npz entry `x`: "), "{error}");
    }

    #[test]
    fn arrays_that_are_not_wanted_may_hold_anything() {
        let mut npy = Vec::new();
        npy::write(&mut npy, &Array::from([1.0])).unwrap();
        let store = CompressionMethod::STORE;
        let file = raw(&[("x.npy", &npy, store), ("text.npy", b"words", store)]);
        assert!(read(Cursor::new(&file)).is_err());
        let some = read_where(Cursor::new(&file), |name| name != "text").unwrap();
        assert_eq!(some, [("x".to_owned(), Array::from([1.0]))]);
        assert_eq!(read_where(Cursor::new(&file), |_| false).unwrap(), []);
    }

    /// An archive of raw entries, whatever they hold.
    fn raw(entries: &[(&str, &[u8], CompressionMethod)]) -> Vec<u8> {
        let mut archive = ZipArchiveWriter::new(Vec::new());
        for (name, data, method) in entries {
            let builder = archive.new_file(EntryPath::verbatim(name.as_bytes()));
            let (mut entry, config) = builder.compression_method(*method).start().unwrap();
            let mut writer = config.wrap(&mut entry);
            writer.write_all(data).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn errors_say_what_was_found() {
        let mut npy = Vec::new();
        npy::write(&mut npy, &Array::from([1.0])).unwrap();
        let longer = [&npy[..], &[0]].concat();
        let store = CompressionMethod::STORE;
        let cases: [(Vec<u8>, &str); 6] = [
            (b"not a zip file".to_vec(), "expected a zip archive"),
            (raw(&[("readme.txt", b"hi", store)]), "found `readme.txt`"),
            (
                raw(&[("x.npy", b"hi", store)]),
                "npz entry `x`: expected 6 bytes",
            ),
            (raw(&[("x.npy", &longer, store)]), "more data follows"),
            (
                raw(&[("x.npy", &npy, CompressionMethod::ZSTD)]),
                "npz entry `x`: expected stored",
            ),
            (
                raw(&[("x.npy", &npy, store), ("x.npy", &npy, store)]),
                "two entries are named `x`",
            ),
        ];
        for (file, expected) in cases {
            let error = message(read(Cursor::new(file)));
            assert!(error.contains(expected), "{error}");
        }
        let with_folder = raw(&[("x/", b"", store), ("x/y.npy", &npy, store)]);
        assert_eq!(read(Cursor::new(with_folder)).unwrap().len(), 1);
    }

    #[test]
    fn entries_may_not_share_bytes() {
        let x = Array::from([1u8; 100]);
        let mut file = written(&[("x", x.clone()), ("y", x)], Compression::Stored);
        // Let the directory's second record point at the first entry.
        let record = file
            .windows(4)
            .rposition(|bytes| bytes == b"PK\x01\x02")
            .unwrap();
        file[record + 42..record + 46].copy_from_slice(&[0; 4]);
        let error = message(read(Cursor::new(file)));
        assert!(error.contains("runs into what follows it"), "{error}");
    }
}
