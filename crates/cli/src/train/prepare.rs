//! From a table to arrays that a network takes.

use cotangent::data::{Dataset, Normalization, Split, Target};
use cotangent::{Array, DType};

use super::config::{Config, Normalize, Precision};
use crate::failure::{Failure, failed};

/// The arrays of all rows, normalised, and which of them train.
pub struct Prepared {
    /// `[rows, features]`, normalised.
    pub x: Array,
    /// Classes `[rows]`, or numbers `[rows, 1]`, normalised.
    pub y: Array,
    /// Which rows train, validate and test.
    pub split: Split,
    /// What the features were normalised by.
    pub normalization: Normalization,
    /// What the target of a regression was normalised by.
    pub target_normalization: Option<Normalization>,
    /// The names of the classes.
    pub labels: Option<Vec<String>>,
    /// The names of the features.
    pub features: Vec<String>,
    /// The name of the target.
    pub target: String,
    /// A hash of all that was read, to tell other data.
    pub fingerprint: u64,
}

impl Prepared {
    /// Splits and normalises.
    pub fn new(dataset: &Dataset, config: &Config) -> Result<Prepared, Failure> {
        let split = dataset.split(config.validation, config.test, config.seed)?;
        let columns = dataset.features.len();
        let normalization = match config.normalize {
            Normalize::Columns => Normalization::fit(&dataset.x, &split.train)?,
            Normalize::Shared => Normalization::fit_shared(&dataset.x, &split.train)?,
            Normalize::None => Normalization::identity(columns),
        };
        let dtype = dtype(config);
        let x = normalization.apply(&dataset.x)?.convert(dtype);
        if x.to_f64s().iter().any(|x| !x.is_finite()) {
            return failed(format!(
                "a feature is too large for dtype {dtype}; try dtype = \"f64\""
            ));
        }
        let mut hash = Hash::new();
        hash.add(dataset.x.as_bytes());
        let (y, target_normalization) = match &dataset.target {
            Target::Classes { labels, index } => {
                labels.iter().for_each(|label| hash.add(label.as_bytes()));
                hash.add(index.as_bytes());
                (index.clone(), None)
            }
            Target::Values(values) => {
                hash.add(values.as_bytes());
                let column = values.reshape([values.len(), 1])?;
                let fitted = Normalization::fit(&column, &split.train)?;
                (fitted.apply(&column)?.convert(dtype), Some(fitted))
            }
        };
        Ok(Prepared {
            x,
            y,
            split,
            normalization,
            target_normalization,
            labels: dataset.target.labels().map(<[String]>::to_vec),
            features: dataset.features.clone(),
            target: dataset.name.clone(),
            fingerprint: hash.0,
        })
    }

    /// How many numbers the network gives for a row.
    pub fn outputs(&self) -> usize {
        self.labels.as_ref().map_or(1, Vec::len)
    }
}

/// The dtype of parameters and features.
pub fn dtype(config: &Config) -> DType {
    match config.dtype {
        Precision::F32 => DType::F32,
        Precision::F64 => DType::F64,
    }
}

/// FNV-1a (Fowler, Noll and Vo), 64 bits, over 8 bytes at a time.
struct Hash(u64);

impl Hash {
    fn new() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        // The length keeps neighbours apart.
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        // Multiplying only carries upwards.
        self.0 ^= self.0 >> 32;
    }
}
