//! The inputs of a workload: named arrays, from a file or made by the program.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use cotangent::npz::{self, Compression};
use cotangent::{Array, DType};

use crate::error::BenchError;

/// Named arrays, in order. Numbers are arrays of rank 0; lists are `name.0`, `name.1`, ...
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    arrays: Vec<(String, Array)>,
}

/// Files name absent values in an entry of this name, which holds text.
const NONE: &str = "none";

impl Inputs {
    /// Adds an array.
    pub fn with(mut self, name: &str, array: impl Into<Array>) -> Inputs {
        self.arrays.push((name.to_owned(), array.into()));
        self
    }

    /// Adds a size.
    pub fn with_size(self, name: &str, size: usize) -> Inputs {
        self.with(name, size as i64)
    }

    /// Adds a list.
    pub fn with_list(mut self, name: &str, list: Vec<Array>) -> Inputs {
        let named = list.into_iter().enumerate();
        self.arrays
            .extend(named.map(|(i, array)| (format!("{name}.{i}"), array)));
        self
    }

    /// Reads an npz file.
    pub fn read(path: &Path) -> Result<Inputs, BenchError> {
        let file = |source| BenchError::File {
            path: path.to_owned(),
            source,
        };
        let reader = File::open(path).map_err(|e| file(e.into()))?;
        let arrays = npz::read_where(reader, |name| name != NONE).map_err(file)?;
        Ok(Inputs { arrays })
    }

    /// Writes an npz file.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let file = |source| BenchError::File {
            path: path.to_owned(),
            source,
        };
        let writer = BufWriter::new(File::create(path).map_err(|e| file(e.into()))?);
        let arrays = self.arrays.iter().map(|(name, array)| (name, array));
        npz::write(writer, arrays, Compression::Stored).map_err(file)
    }

    /// The array of a name, if there is one.
    pub fn optional(&self, name: &str) -> Option<Array> {
        let found = self.arrays.iter().find(|(n, _)| n == name);
        found.map(|(_, array)| array.clone())
    }

    /// The array of a name.
    pub fn array(&self, name: &str) -> Result<Array, BenchError> {
        self.optional(name)
            .ok_or_else(|| BenchError::input(name, "an array", "nothing"))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64, BenchError> {
        let array = self.array(name)?;
        match (array.at(0), array.len()) {
            (Some(value), 1) => Ok(value.to_f64()),
            _ => {
                let found = format!("{} numbers", array.len());
                Err(BenchError::input(name, "one number", found))
            }
        }
    }

    /// A size.
    pub fn size(&self, name: &str) -> Result<usize, BenchError> {
        let number = self.number(name)?;
        match number >= 0.0 && number.trunc() == number && number <= 1e9 {
            true => Ok(number as usize),
            false => Err(BenchError::input(name, "a size", number.to_string())),
        }
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Vec<Array>, BenchError> {
        let items = (0..).map_while(|i| self.optional(&format!("{name}.{i}")));
        let list: Vec<Array> = items.collect();
        match list.is_empty() {
            true => Err(BenchError::input(name, "a list of arrays", "nothing")),
            false => Ok(list),
        }
    }

    /// A list of a given length.
    pub fn list_of<const N: usize>(&self, name: &str) -> Result<[Array; N], BenchError> {
        let list = self.list(name)?;
        list.try_into().map_err(|list: Vec<Array>| {
            BenchError::input(
                name,
                format!("{N} arrays"),
                format!("{} arrays", list.len()),
            )
        })
    }

    /// The shape of an array of a given rank.
    pub fn dims<const N: usize>(&self, name: &str) -> Result<[usize; N], BenchError> {
        let array = self.array(name)?;
        let dims = array.shape().dims();
        dims.try_into().map_err(|_| {
            BenchError::input(name, format!("{N} axes"), format!("the shape {dims:?}"))
        })
    }

    /// A number that tells these inputs from others: names, types and all values are in it.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |word: u64| {
            hash = (hash.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        };
        let mut sorted: Vec<&(String, Array)> = self.arrays.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, array) in sorted {
            let label = format!("{name} {} {:?}", array.dtype(), array.shape().dims());
            let (words, rest) = array.as_bytes().as_chunks::<8>();
            words.iter().for_each(|w| mix(u64::from_le_bytes(*w)));
            rest.iter().for_each(|b| mix(u64::from(*b)));
            label.bytes().for_each(|b| mix(u64::from(b)));
        }
        hash
    }

    /// The same numbers with every f32 as an f64.
    #[cfg(test)]
    pub fn in_f64(&self) -> Inputs {
        let wide = |array: &Array| match array.dtype() {
            DType::F32 => array.convert(DType::F64),
            _ => array.clone(),
        };
        let arrays = self.arrays.iter();
        Inputs {
            arrays: arrays.map(|(n, a)| (n.clone(), wide(a))).collect(),
        }
    }

    /// The widest float among the inputs that results are computed in.
    pub fn dtype(&self) -> DType {
        let single = |(_, a): &(String, Array)| a.dtype() == DType::F32;
        match self.arrays.iter().any(single) {
            true => DType::F32,
            false => DType::F64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Inputs;
    use cotangent::Array;

    fn some() -> Inputs {
        Inputs::default()
            .with("x", [1.0, 2.0])
            .with_size("n", 2)
            .with_list("params", vec![Array::from([1.0_f32]), Array::from(2.0_f32)])
    }

    #[test]
    fn files_hold_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        some().write(&path).unwrap();
        let read = Inputs::read(&path).unwrap();
        assert_eq!(read, some());
        assert_eq!(read.fingerprint(), some().fingerprint());
        assert_eq!(read.list("params").unwrap().len(), 2);
        assert_eq!(read.size("n").unwrap(), 2);
        assert_eq!(read.dims::<1>("x").unwrap(), [2]);
    }

    #[test]
    fn fingerprints_tell_inputs_apart() {
        let other = some().with("y", 1.0);
        assert_ne!(some().fingerprint(), other.fingerprint());
        let as_bits = Inputs::default().with("x", 1.0_f64.to_bits() as i64);
        let as_float = Inputs::default().with("x", 1.0);
        assert_ne!(as_bits.fingerprint(), as_float.fingerprint());
    }

    #[test]
    fn errors_say_what_is_missing() {
        let message = |e: Result<(), crate::error::BenchError>| e.unwrap_err().to_string();
        assert!(message(some().array("z").map(drop)).contains("`z`: expected an array"));
        assert!(message(some().number("x").map(drop)).contains("found 2 numbers"));
        assert!(message(some().dims::<2>("x").map(drop)).contains("2 axes"));
        assert!(message(some().list_of::<3>("params").map(drop)).contains("3 arrays"));
        let missing = Inputs::read(std::path::Path::new("no such file.npz"));
        assert!(message(missing.map(drop)).contains("no such file.npz"));
    }
}
