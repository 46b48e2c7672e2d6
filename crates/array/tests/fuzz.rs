//! Whatever bytes come, the readers return, and what they take reads the same after writing it again.
#![cfg(all(feature = "npz", feature = "safetensors"))]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;

use cotangent_array::{Array, ArrayError, DType, npy, npz, safetensors};
use proptest::collection::vec;
use proptest::prelude::*;

/// Reads as npy, and checks the round trip.
fn check_npy(file: &[u8]) -> Result<(), ArrayError> {
    let array = npy::read(file)?;
    let mut again = Vec::new();
    npy::write(&mut again, &array)?;
    assert_eq!(npy::read(&again[..])?, array);
    Ok(())
}

/// Reads as npz, and checks the round trip.
fn check_npz(file: &[u8]) -> Result<(), ArrayError> {
    let arrays = npz::read(Cursor::new(file))?;
    let mut again = Vec::new();
    let pairs = arrays.iter().map(|(name, array)| (name, array));
    npz::write(&mut again, pairs, npz::Compression::Deflated)?;
    assert_eq!(npz::read(Cursor::new(again))?, arrays);
    Ok(())
}

/// Reads as safetensors, and checks the round trip.
fn check_safetensors(file: &[u8]) -> Result<(), ArrayError> {
    let contents = safetensors::read(file)?;
    let mut again = Vec::new();
    let pairs = contents.arrays.iter().map(|(name, array)| (name, array));
    safetensors::write(&mut again, pairs, &contents.metadata)?;
    let again = safetensors::read(&again[..])?;
    assert_eq!(again.metadata, contents.metadata);
    assert_eq!(again.arrays.len(), contents.arrays.len());
    for (name, array) in &contents.arrays {
        assert_eq!(again.get(name), Some(array));
    }
    Ok(())
}

/// Gives the file to all three readers; none may panic. An error must have something to say.
fn check_all(file: &[u8]) {
    for result in [check_npy(file), check_npz(file), check_safetensors(file)] {
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Arrays of several dtypes and shapes, small so that most bytes of a file are structure.
fn arrays() -> Vec<(&'static str, Array)> {
    vec![
        ("a", Array::from([[1.0, f64::NAN], [-0.0, 1e300]])),
        ("flags", Array::from([true, false, true])),
        ("n", Array::from(-7i64)),
        ("none", Array::zeros(DType::F32, [3, 0]).unwrap()),
    ]
}

/// Valid files of all formats, ours and those of other programs.
fn valid() -> Vec<Vec<u8>> {
    let arrays = arrays();
    let pairs = || arrays.iter().map(|(name, array)| (*name, array));
    let mut files: Vec<Vec<u8>> = Vec::new();
    for (_, array) in pairs() {
        let mut file = Vec::new();
        npy::write(&mut file, array).unwrap();
        files.push(file);
    }
    for compression in [npz::Compression::Stored, npz::Compression::Deflated] {
        let mut file = Vec::new();
        npz::write(&mut file, pairs(), compression).unwrap();
        files.push(file);
    }
    let metadata = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let mut file = Vec::new();
    safetensors::write(&mut file, pairs(), &metadata).unwrap();
    files.push(file);
    for name in ["stored.npz", "deflated.npz", "tensors.safetensors"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        files.push(fs::read(folder.join(name)).unwrap());
    }
    files
}

/// A change to a file, at a place given as a share of its length.
#[derive(Clone, Debug)]
enum Change {
    Set(f64, u8),
    Flip(f64, u8),
    Word(f64, u64, usize),
    Insert(f64, Vec<u8>),
    Remove(f64, usize),
    Copy(f64, f64, usize),
    Cut(f64),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0.0..1.0;
    // Sizes and counts break at the borders of their types.
    let word = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(1 << 63),
        Just(u64::from(u32::MAX)),
        Just(1 << 40),
        any::<u64>(),
    ];
    prop_oneof![
        3 => (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (at.clone(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, 1 << bit)),
        3 => (at.clone(), word, 1..=8usize).prop_map(|(at, word, n)| Change::Word(at, word, n)),
        2 => (at.clone(), vec(any::<u8>(), 1..20)).prop_map(|(at, v)| Change::Insert(at, v)),
        2 => (at.clone(), 1..50usize).prop_map(|(at, n)| Change::Remove(at, n)),
        2 => (at.clone(), at.clone(), 1..80usize).prop_map(|(a, b, n)| Change::Copy(a, b, n)),
        1 => at.prop_map(Change::Cut),
    ]
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    let len = file.len();
    let place = |at: f64| ((at * len as f64) as usize).min(len);
    match change {
        Change::Set(at, byte) => file
            .iter_mut()
            .skip(place(*at))
            .take(1)
            .for_each(|b| *b = *byte),
        Change::Flip(at, bits) => file
            .iter_mut()
            .skip(place(*at))
            .take(1)
            .for_each(|b| *b ^= bits),
        Change::Word(at, word, n) => {
            let target = file.iter_mut().skip(place(*at));
            target
                .zip(&word.to_le_bytes()[..*n])
                .for_each(|(b, w)| *b = *w);
        }
        Change::Insert(at, bytes) => {
            let at = place(*at);
            file.splice(at..at, bytes.iter().copied());
        }
        Change::Remove(at, n) => {
            let at = place(*at);
            file.drain(at..(at + n).min(len));
        }
        Change::Copy(from, to, n) => {
            let (from, to) = (place(*from), place(*to));
            let piece = file[from..(from + n).min(len)].to_vec();
            file.splice(to..to, piece);
        }
        Change::Cut(at) => file.truncate(place(*at)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes(file in vec(any::<u8>(), 0..300)) {
        check_all(&file);
    }

    #[test]
    fn any_bytes_behind_a_valid_start(file in vec(any::<u8>(), 0..300), kind in 0..4usize) {
        let start: &[u8] = [&b"\x93NUMPY\x01\x00"[..], b"\x93NUMPY\x02\x00", b"PK\x03\x04", b"PK\x05\x06"][kind];
        check_all(&[start, &file].concat());
    }

    #[test]
    fn any_npy_header(text in "[{}()\\[\\]',:<>|=bfiu0-9LTrueFalsdshpcn_ort \\-\\\\]{0,120}") {
        let len = (text.len() as u16).to_le_bytes();
        check_all(&[b"\x93NUMPY\x01\x00", &len[..], text.as_bytes()].concat());
    }

    #[test]
    fn any_npy_dtype_and_shape(
        descr in "[<>|=]?[biufc][0-9]{1,2}",
        fortran: bool,
        shape in vec(prop_oneof![0..5u64, any::<u64>()], 0..6),
        values in vec(0..2u8, 0..200),
    ) {
        let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
        let fortran = if fortran { "True" } else { "False" };
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({dims})}}");
        let len = (text.len() as u16).to_le_bytes();
        check_all(&[b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), &values].concat());
    }

    #[test]
    fn any_safetensors_header(
        dtype in "BOOL|U8|I8|F16|I32|U64|F64|F4|F8_E4M3|X",
        shape in vec(prop_oneof![0..5u64, any::<u64>()], 0..4),
        start in prop_oneof![Just(0u64), any::<u64>()],
        end in prop_oneof![0..40u64, any::<u64>()],
        values in vec(0..2u8, 0..40),
    ) {
        let text = format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}}}"#);
        let len = (text.len() as u64).to_le_bytes();
        check_all(&[&len[..], text.as_bytes(), &values].concat());
    }

    #[test]
    fn changed_files(which in any::<prop::sample::Index>(), changes in vec(change(), 1..6)) {
        let mut file = which.get(&valid()).clone();
        for change in &changes {
            apply(&mut file, change);
        }
        check_all(&file);
    }
}

#[test]
fn every_byte_of_a_small_file_changed() {
    for file in valid().into_iter().filter(|file| file.len() < 1200) {
        for at in 0..file.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= bits;
                check_all(&changed);
            }
        }
    }
}

/// Files that once broke a reader, or were made to. Each must be refused by the reader of its kind.
#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut counts = [0; 3];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(kind) = path.extension().and_then(|kind| kind.to_str()) else {
            panic!("{}: expected a file with an extension", path.display());
        };
        let file = fs::read(&path).unwrap();
        let (at, result) = match kind {
            "npy" => (0, check_npy(&file)),
            "npz" => (1, check_npz(&file)),
            "safetensors" => (2, check_safetensors(&file)),
            "md" | "py" => continue,
            _ => panic!("{}: no reader for this kind", path.display()),
        };
        counts[at] += 1;
        let error = result.expect_err(&path.display().to_string());
        println!(
            "{}: {error}",
            path.file_name().unwrap_or_default().display()
        );
        check_all(&file);
    }
    assert!(counts.iter().all(|&count| count >= 5), "{counts:?}");
}

/// Hands out one byte at a time, with interruptions, and may fail at some byte.
struct Slow<'a> {
    rest: &'a [u8],
    interrupted: bool,
    fail: bool,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.rest.is_empty() && self.fail {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let one = buffer.len().min(1);
        self.rest.read(&mut buffer[..one])
    }
}

#[test]
fn slow_and_failing_readers() {
    let array = Array::from([[1.0, 2.0], [3.0, 4.0]]);
    let mut as_npy = Vec::new();
    npy::write(&mut as_npy, &array).unwrap();
    let mut as_safetensors = Vec::new();
    safetensors::write(&mut as_safetensors, [("x", &array)], &BTreeMap::new()).unwrap();

    let slow = |rest, fail| Slow {
        rest,
        interrupted: false,
        fail,
    };
    assert_eq!(npy::read(slow(&as_npy, false)).unwrap(), array);
    let contents = safetensors::read(slow(&as_safetensors, false)).unwrap();
    assert_eq!(contents.get("x"), Some(&array));

    // A reader that fails is not a file that is cut short.
    for len in 0..as_npy.len() {
        let error = npy::read(slow(&as_npy[..len], true)).unwrap_err();
        assert!(matches!(error, ArrayError::Io(_)), "{len}: {error}");
    }
    for len in 0..as_safetensors.len() {
        let error = safetensors::read(slow(&as_safetensors[..len], true)).unwrap_err();
        assert!(matches!(error, ArrayError::Io(_)), "{len}: {error}");
    }
}

/// Takes some bytes, then fails.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        match taken {
            0 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let array = Array::from([[1.0, 2.0], [3.0, 4.0]]);
    for room in 0..150 {
        let none = BTreeMap::new();
        let mut results = vec![
            npy::write(Full(room), &array),
            npz::write(Full(room), [("x", &array)], npz::Compression::Stored),
            npz::write(Full(room), [("x", &array)], npz::Compression::Deflated),
        ];
        if room < 90 {
            results.push(safetensors::write(Full(room), [("x", &array)], &none));
        }
        for (kind, result) in results.into_iter().enumerate() {
            assert!(
                matches!(result, Err(ArrayError::Io(_))),
                "{kind} {room}: {result:?}"
            );
        }
    }
}
