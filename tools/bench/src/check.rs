//! Checks results: a value and a whole gradient in three numbers, and what they should be.

use cotangent::{Array, DType};
use serde_json::{Value, json};

use crate::error::BenchError;
use crate::job::Kind;

/// A value and a gradient in three numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Digest {
    pub value: f64,
    /// The 2-norm of the whole gradient.
    pub norm: f64,
    /// The product of the gradient with cos(0), cos(1), cos(2), ...
    pub probe: f64,
}

impl Digest {
    /// The digest of the results of a derivative. `inputs` are what it was called with; `value` is
    /// the value of the function where the derivative does not give it.
    pub fn of(
        kind: Kind,
        inputs: &[Array],
        results: &[Array],
        value: f64,
    ) -> Result<Digest, BenchError> {
        let mut sums = Sums::default();
        let value = match (kind, results) {
            (Kind::Whole | Kind::Jacobian, gradient) => {
                for array in gradient {
                    sums.add(array.len(), reader(array)?);
                }
                value
            }
            (Kind::ValueAndGradient, [value, gradient @ ..]) => {
                for array in gradient {
                    sums.add(array.len(), reader(array)?);
                }
                scalar(value)?
            }
            (Kind::Step { rate }, [value, parameters @ ..]) => {
                for (old, new) in inputs.iter().zip(parameters) {
                    let (before, after) = (reader(old)?, reader(new)?);
                    sums.add(new.len(), |i| (before(i) - after(i)) / rate);
                }
                scalar(value)?
            }
            (_, []) => return Err(BenchError::results("a value and a gradient", "nothing")),
        };
        Ok(Digest {
            value,
            norm: sums.squares.sqrt(),
            probe: sums.probe,
        })
    }

    /// The digest as another process wrote it.
    pub fn read(found: &Value) -> Option<Digest> {
        let number = |name: &str| found.get(name)?.as_f64();
        Some(Digest {
            value: number("value")?,
            norm: number("gnorm")?,
            probe: number("gdot")?,
        })
    }

    /// The digest as other processes read it.
    pub fn write(&self, into: &mut Value) {
        for (name, number) in [
            ("value", self.value),
            ("gnorm", self.norm),
            ("gdot", self.probe),
        ] {
            into[name] = json!(number);
        }
    }

    /// Fails, with both, unless two digests agree to a relative tolerance. What a probe may differ
    /// by follows from the norm, since a product of long vectors may cancel.
    pub fn expect(&self, reference: &Digest, of: &str, tolerance: f64) -> Result<(), String> {
        let close = |found: f64, expected: f64, scale: f64| {
            (found - expected).abs() <= tolerance * scale.abs()
        };
        let pairs = [
            ("value", self.value, reference.value, reference.value),
            (
                "norm of the gradient",
                self.norm,
                reference.norm,
                reference.norm,
            ),
            (
                "probe of the gradient",
                self.probe,
                reference.probe,
                reference.norm.max(reference.probe.abs()),
            ),
        ];
        for (what, found, expected, scale) in pairs {
            if !close(found, expected, scale) {
                return Err(format!(
                    "{what}: expected {expected:e} ({of}), found {found:e}"
                ));
            }
        }
        Ok(())
    }
}

/// How far correct results may be apart, relative to their size: peers add in other orders, and some
/// use approximate math.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 1e-4,
        _ => 1e-9,
    }
}

/// The sum of the squares of all numbers.
pub fn sum_of_squares(array: &Array) -> Result<f64, BenchError> {
    let mut sums = Sums::default();
    sums.add(array.len(), reader(array)?);
    Ok(sums.squares)
}

/// The one number of an array.
pub fn scalar(array: &Array) -> Result<f64, BenchError> {
    match (array.at(0), array.len()) {
        (Some(value), 1) => Ok(value.to_f64()),
        (_, found) => Err(BenchError::results(
            "one number",
            format!("{found} numbers"),
        )),
    }
}

/// Sums over a long vector that comes in parts, without a copy of it.
#[derive(Default)]
struct Sums {
    squares: f64,
    probe: f64,
    count: usize,
}

impl Sums {
    fn add(&mut self, len: usize, at: impl Fn(usize) -> f64) {
        // Sums of pieces, so that rounding does not grow with the length.
        const PIECE: usize = 1024;
        for start in (0..len).step_by(PIECE) {
            let (mut squares, mut probe) = (0.0, 0.0);
            for i in start..len.min(start + PIECE) {
                let x = at(i);
                squares += x * x;
                probe += x * ((self.count + i) as f64).cos();
            }
            self.squares += squares;
            self.probe += probe;
        }
        self.count += len;
    }
}

/// Reads the numbers of a float array.
fn reader(array: &Array) -> Result<Box<dyn Fn(usize) -> f64 + '_>, BenchError> {
    // The index comes from the array's own length.
    if array.dtype() == DType::F32 {
        let values = array.as_slice::<f32>()?;
        return Ok(Box::new(|i| values.get(i).copied().map_or(0.0, f64::from)));
    }
    let values = array.as_slice::<f64>()?;
    Ok(Box::new(|i| values.get(i).copied().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::{Digest, Kind};
    use cotangent::Array;

    #[test]
    fn a_digest_is_value_norm_and_probe() {
        let results = [5.0.into(), Array::from([3.0, 0.0]), Array::from([4.0_f32])];
        let d = Digest::of(Kind::ValueAndGradient, &[], &results, 0.0).unwrap();
        assert_eq!((d.value, d.norm), (5.0, 5.0));
        assert!((d.probe - (3.0 + 4.0 * 2.0_f64.cos())).abs() < 1e-15);
        let whole = Digest::of(Kind::Whole, &[], &results[1..], 7.0).unwrap();
        assert_eq!((whole.value, whole.probe), (7.0, d.probe));
        // A step of rate 0.5 from the parameters.
        let (before, after) = ([Array::from([1.0])], [5.0.into(), Array::from([0.0])]);
        let step = Digest::of(Kind::Step { rate: 0.5 }, &before, &after, 0.0).unwrap();
        assert_eq!((step.value, step.norm, step.probe), (5.0, 2.0, 2.0));
        assert!(Digest::of(Kind::ValueAndGradient, &[], &[], 0.0).is_err());
    }

    #[test]
    fn differences_are_found() {
        let right = Digest {
            value: 10.0,
            norm: 2.0,
            probe: 1e-6,
        };
        assert_eq!(right.expect(&right, "itself", 0.0), Ok(()));
        // Relative to the norm, not to the probe itself.
        let near = Digest {
            probe: 1.5e-6,
            ..right
        };
        assert_eq!(near.expect(&right, "", 1e-6), Ok(()));
        let wrong = [
            Digest {
                value: 10.1,
                ..right
            },
            Digest { norm: 2.1, ..right },
            Digest {
                probe: 0.1,
                ..right
            },
            Digest {
                value: f64::NAN,
                ..right
            },
            Digest {
                probe: f64::NAN,
                ..right
            },
        ];
        for wrong in wrong {
            assert!(wrong.expect(&right, "right", 1e-3).is_err(), "{wrong:?}");
        }
    }
}
