//! Files of NumPy and of the Python package safetensors are read, and they read ours.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cotangent_array::{Array, ArrayError, Complex64, DType, Scalar, Shape, npy};

/// Our dtypes by the names that NumPy gives them.
const DTYPES: [(&str, DType); 9] = [
    ("bool", DType::Bool),
    ("uint8", DType::U8),
    ("uint32", DType::U32),
    ("int32", DType::I32),
    ("int64", DType::I64),
    ("float32", DType::F32),
    ("float64", DType::F64),
    ("complex64", DType::C64),
    ("complex128", DType::C128),
];

/// The number types that are read as another dtype.
const OTHERS: [(&str, DType); 5] = [
    ("int8", DType::I32),
    ("int16", DType::I32),
    ("uint16", DType::I32),
    ("uint64", DType::I64),
    ("float16", DType::F32),
];

const CUBE: [usize; 3] = [2, 3, 4];

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files in a pack: a length and a name, a length and the bytes, until the end.
fn unpack(name: &str) -> Vec<(String, Vec<u8>)> {
    let pack = fixture(name);
    let mut rest = &pack[..];
    let mut piece = || {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (piece, after) = after.split_at(u32::from_le_bytes(*len) as usize);
        rest = after;
        Some(piece.to_vec())
    };
    let mut files = Vec::new();
    while let Some(name) = piece() {
        files.push((String::from_utf8(name).unwrap(), piece().unwrap()));
    }
    files
}

/// What `values` in make.py gives for the dtype of that name.
fn expected(name: &str, shape: impl Into<Shape>) -> Array {
    let (_, dtype) = *DTYPES
        .iter()
        .chain(&OTHERS)
        .find(|(known, _)| *known == name)
        .unwrap();
    let shape = shape.into();
    let values = (0..shape.elements() as i64).map(|i| match name.as_bytes()[0] {
        b'b' => Scalar::Bool(i % 2 == 1),
        b'u' => Scalar::I64(3 * i + 1),
        b'f' => Scalar::F64((3 * i - 2) as f64 / 4.0),
        b'c' => Scalar::C128(Complex64::new((3 * i - 2) as f64 / 4.0, i as f64)),
        _ => Scalar::I64(3 * i - 2),
    });
    Array::from_scalars(dtype, &shape, values).unwrap()
}

#[test]
fn numpys_npy_files_are_read_and_written_byte_for_byte() {
    let files = unpack("native.pack");
    assert_eq!(files.len(), DTYPES.len() * 5);
    for (name, file) in files {
        let (dtype, shape) = name.split_once(' ').unwrap();
        let shape = match shape {
            "scalar" => Shape::from(()),
            "vector" => Shape::from([5]),
            "matrix" => Shape::from([2, 3]),
            "cube" => Shape::from(CUBE),
            "empty" => Shape::from([2, 0, 3]),
            other => panic!("{other}"),
        };
        let array = expected(dtype, shape);
        assert_eq!(npy::read(&file[..]).unwrap(), array, "{name}");
        let mut written = Vec::new();
        npy::write(&mut written, &array).unwrap();
        assert_eq!(
            written.escape_ascii().to_string(),
            file.escape_ascii().to_string(),
            "{name}"
        );
    }
}

#[test]
fn other_number_types_orders_and_versions_are_read() {
    let files = unpack("foreign.pack");
    assert_eq!(files.len(), (DTYPES.len() + OTHERS.len()) * 3 + 3);
    for (name, file) in files {
        let (dtype, _) = name.split_once(' ').unwrap();
        assert_eq!(
            npy::read(&file[..]).unwrap(),
            expected(dtype, CUBE),
            "{name}"
        );
    }
}

#[test]
fn what_has_no_dtype_here_is_refused_by_name() {
    let reasons = [
        (
            "clongdouble",
            "`<c32` (complex numbers of extended precision)",
        ),
        ("str", "`<U3` (strings)"),
        ("bytes", "`|S3` (strings)"),
        ("object", "`|O` (Python objects)"),
        ("record", "structured dtype"),
        ("datetime64", "`<M8[s]` (dates or times)"),
        ("longdouble", "(floats of extended precision)"),
        ("uint64", "found 9223372036854775808 at element 0"),
    ];
    let files = unpack("refused.pack");
    assert_eq!(files.len(), reasons.len());
    for ((name, file), (known, reason)) in files.into_iter().zip(reasons) {
        assert_eq!(name, known);
        match npy::read(&file[..]) {
            Err(ArrayError::Format(text)) => assert!(text.contains(reason), "{name}: {text}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The arrays that make.py puts into stored.npz, deflated.npz and tensors.safetensors.
#[cfg(any(feature = "npz", feature = "safetensors"))]
fn named() -> Vec<(String, Array)> {
    let cubes = DTYPES
        .iter()
        .map(|(name, _)| ((*name).to_owned(), expected(name, CUBE)));
    cubes
        .chain([("größe".to_owned(), expected("float32", ()))])
        .collect()
}

#[cfg(feature = "npz")]
#[test]
fn numpys_npz_files_are_read() {
    use cotangent_array::npz;

    for name in ["stored.npz", "deflated.npz"] {
        let arrays = npz::read(std::io::Cursor::new(fixture(name))).unwrap();
        assert_eq!(arrays, named(), "{name}");
    }
    let arrays = npz::read(std::io::Cursor::new(fixture("halves.npz"))).unwrap();
    let [(_, halves), (_, floats)] = &arrays[..] else {
        panic!("expected two arrays, found {}", arrays.len());
    };
    assert_eq!((halves.len(), halves), (256, floats));
}

#[cfg(feature = "safetensors")]
#[test]
fn the_python_packages_safetensors_are_read() {
    use cotangent_array::safetensors;

    let contents = safetensors::read(&fixture("tensors.safetensors")[..]).unwrap();
    let mut arrays = named();
    arrays.retain(|(_, array)| !array.dtype().is_complex());
    arrays.extend(
        OTHERS
            .iter()
            .map(|(name, _)| ((*name).to_owned(), expected(name, CUBE))),
    );
    assert_eq!(contents.arrays.len(), arrays.len());
    for (name, array) in &arrays {
        assert_eq!(contents.get(name), Some(array), "{name}");
    }
    let metadata: Vec<(&str, &str)> = contents
        .metadata
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        metadata,
        [("größe", "\"7\""), ("made by", "the Python package")]
    );
}

/// Prints each array of a file on standard input: name, dtype, shape and bytes.
const READ: &str = r#"
import io, sys
kind = sys.argv[1]
data = sys.stdin.buffer.read()
if kind == "safetensors":
    from safetensors.numpy import load
    arrays = load(data)
elif kind == "npz":
    import numpy
    arrays = dict(numpy.load(io.BytesIO(data), allow_pickle=False))
else:
    import numpy
    arrays = {"": numpy.load(io.BytesIO(data), allow_pickle=False)}
for name, array in sorted(arrays.items()):
    shape = ",".join(map(str, array.shape))
    print(ascii(name), array.dtype.name, "[" + shape + "]", array.tobytes().hex())
"#;

/// Whether `python3` is there and knows the module; says so if not.
fn python_has(module: &str) -> bool {
    let status = Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = status.is_ok_and(|status| status.success());
    if !found {
        println!("skipped: no {module}");
    }
    found
}

/// Compares what Python finds in the file with the arrays that were written.
fn python_reads(kind: &str, file: &[u8], arrays: &[(String, Array)]) {
    let mut child = Command::new("python3")
        .args(["-c", READ, kind])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{kind}");

    let mut sorted: Vec<&(String, Array)> = arrays.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut lines = String::new();
    for (name, array) in sorted {
        let (dtype, _) = DTYPES
            .iter()
            .find(|(_, dtype)| *dtype == array.dtype())
            .unwrap();
        let shape: Vec<String> = array.shape().iter().map(usize::to_string).collect();
        let bytes: String = array
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // Python's ascii() of the one name here that is not.
        let name = name.replace('ö', "\\xf6").replace('ß', "\\xdf");
        lines.push_str(&format!("'{name}' {dtype} [{}] {bytes}\n", shape.join(",")));
    }
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines, "{kind}");
}

/// All dtypes in several shapes.
fn ours() -> Vec<(String, Array)> {
    let shapes = [
        Shape::from(()),
        Shape::from([0, 2]),
        Shape::from([7]),
        Shape::from(CUBE),
    ];
    let pairs = DTYPES
        .iter()
        .flat_map(|pair| shapes.iter().map(move |shape| (pair, shape)));
    let mut arrays: Vec<(String, Array)> = pairs
        .map(|((name, _), shape)| (format!("{name}.{shape}"), expected(name, shape)))
        .collect();
    let odd = [f64::NAN, f64::INFINITY, -0.0, 5e-324, f64::MAX];
    arrays.push(("größe".to_owned(), Array::from(odd)));
    arrays
}

#[test]
fn numpy_reads_our_npy() {
    if !python_has("numpy") {
        return;
    }
    // One file with all our values and one of each kind of header is enough: starting Python takes its time.
    let (_, odd) = ours().pop().unwrap();
    let long = Array::new(vec![1; 60], [true]).unwrap();
    for array in [odd, expected("int64", ()), expected("bool", [0, 2]), long] {
        let mut file = Vec::new();
        npy::write(&mut file, &array).unwrap();
        python_reads("npy", &file, &[(String::new(), array)]);
    }
}

#[cfg(feature = "npz")]
#[test]
fn numpy_reads_our_npz() {
    use cotangent_array::npz;

    if !python_has("numpy") {
        return;
    }
    let arrays = ours();
    for compression in [npz::Compression::Stored, npz::Compression::Deflated] {
        let mut file = Vec::new();
        npz::write(&mut file, arrays.iter().map(|(n, a)| (n, a)), compression).unwrap();
        python_reads("npz", &file, &arrays);
    }
}

#[cfg(feature = "safetensors")]
#[test]
fn the_python_package_reads_our_safetensors() {
    use cotangent_array::safetensors;

    if !python_has("numpy") || !python_has("safetensors.numpy") {
        return;
    }
    let mut arrays = ours();
    arrays.retain(|(_, array)| !array.dtype().is_complex());
    let metadata = [("a", "b"), ("größe", "\"\\")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let mut file = Vec::new();
    safetensors::write(
        &mut file,
        arrays.iter().map(|(n, a)| (n, a)),
        &metadata.into(),
    )
    .unwrap();
    python_reads("safetensors", &file, &arrays);
}
