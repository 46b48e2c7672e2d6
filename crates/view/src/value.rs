//! Arrays as they are looked at: all of a small one, figures of a large one.

use cotangent_array::{Array, DType, Scalar};
use cotangent_graph::TensorType;

use crate::model::{Statistics, Value};

/// How many parts the range of a histogram has.
const PARTS: usize = 32;

impl Value {
    /// What a page shows of an array.
    pub fn of(array: &Array) -> Value {
        Value::with_numbers(array, Value::MOST_NUMBERS)
    }

    /// As [`Value::of`], with all elements as numbers only where there are at most `most`.
    pub(crate) fn with_numbers(array: &Array, most: usize) -> Value {
        let ty = TensorType::new(array.dtype(), array.shape().clone());
        let texts = (array.len() <= Value::MOST_TEXTS)
            .then(|| array.scalars().map(|x| x.to_string()).collect());
        let numbers = (array.len() <= most.max(Value::MOST_TEXTS)).then(|| {
            let numbers = array.scalars().map(real);
            numbers.map(|x| x.is_finite().then_some(x)).collect()
        });
        Value {
            ty: ty.to_string(),
            shape: array.shape().to_vec(),
            texts: texts.unwrap_or_default(),
            numbers: numbers.unwrap_or_default(),
            statistics: Statistics::of(array),
        }
    }
}

impl Statistics {
    /// Figures over all elements, in two walks over them.
    pub fn of(array: &Array) -> Statistics {
        let mut found = Statistics {
            count: array.len() as u64,
            ..Statistics::default()
        };
        let (mut finite, mut sum, mut squares) = (0_u64, 0.0, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for x in array.scalars().map(real) {
            if x.is_nan() {
                found.nan += 1;
            } else if x.is_infinite() {
                found.infinite += 1;
            } else {
                found.zeros += u64::from(x == 0.0);
                finite += 1;
                sum += x;
                squares += x * x;
                (min, max) = (min.min(x), max.max(x));
            }
        }
        if finite == 0 {
            return found;
        }
        let mean = sum / finite as f64;
        let mut deviations = 0.0;
        found.histogram = vec![0; if min < max { PARTS } else { 1 }];
        for x in array.scalars().map(real).filter(|x| x.is_finite()) {
            deviations += (x - mean) * (x - mean);
            let part = (x / 2.0 - min / 2.0) / (max / 2.0 - min / 2.0) * PARTS as f64;
            let last = found.histogram.len() - 1;
            if let Some(count) = found.histogram.get_mut((part as usize).min(last)) {
                *count += 1;
            }
        }
        let known = |x: f64| x.is_finite().then_some(x);
        found.min = known(min);
        found.max = known(max);
        found.mean = known(mean);
        found.deviation = known((deviations / finite as f64).sqrt());
        found.norm = known(squares.sqrt());
        found
    }
}

/// A number to draw: of complex ones the absolute value.
fn real(x: Scalar) -> f64 {
    if x.dtype().is_complex() {
        let z = x.to_complex();
        return z.re.hypot(z.im);
    }
    x.to_f64()
}

/// An array of numbers that are easy to read, for an input that nobody gave a value for: floats of
/// one digit after the point between -1 and 1, and zeros for everything else, which are safe as
/// indices.
pub fn sample(ty: &TensorType) -> Array {
    let count = ty.shape.elements();
    let number = |k: usize| -> Scalar {
        // Multiples of the golden ratio's fraction spread evenly (Weyl's sequence).
        let at = (k as f64 + 1.0) * 0.618_033_988_749_895;
        let x = ((at.fract() * 19.0).floor() - 9.0) / 10.0;
        let x = if x == 0.0 { 0.5 } else { x };
        match ty.dtype {
            DType::F64 | DType::F32 => Scalar::from_f64(ty.dtype, x),
            dtype if dtype.is_complex() => Scalar::from_complex(dtype, x.into()),
            dtype => Scalar::zero(dtype),
        }
    };
    let numbers: Vec<Scalar> = (0..count).map(number).collect();
    Array::from_scalars(ty.dtype, ty.shape.clone(), numbers).unwrap_or_else(|_| Array::scalar(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_arrays_are_written_as_the_command_prints_them() {
        let value = Value::of(&Array::from([1.0, -0.0, f64::NAN, 1e300]));
        assert_eq!(value.texts, ["1.0", "-0.0", "nan", "1e300"]);
        assert_eq!(value.numbers[2], None);
        assert_eq!((value.statistics.nan, value.statistics.zeros), (1, 1));
        assert_eq!(value.ty, "f64[4]");
    }

    #[test]
    fn figures_are_those_of_the_elements() {
        let numbers: Vec<f64> = (0..10_000).map(f64::from).collect();
        let value = Value::of(&Array::vector(numbers));
        assert!(value.texts.is_empty() && value.numbers.is_empty());
        let s = value.statistics;
        assert_eq!(
            (s.min, s.max, s.mean),
            (Some(0.0), Some(9999.0), Some(4999.5))
        );
        assert_eq!(s.histogram.iter().sum::<u64>(), 10_000);
        assert!(s.histogram.iter().all(|n| (312..=313).contains(n)));
        let constant = Statistics::of(&Array::from([2.0; 3]));
        assert_eq!(
            (constant.histogram, constant.deviation),
            (vec![3], Some(0.0))
        );
    }

    #[test]
    fn extremes_do_not_overflow_a_histogram() {
        let s = Statistics::of(&Array::from([f64::MIN, 0.0, f64::MAX]));
        assert_eq!(s.histogram.iter().sum::<u64>(), 3);
        assert_eq!(s.norm, None);
        assert_eq!(Statistics::of(&Array::from([f64::NAN; 2])).min, None);
        assert_eq!(Statistics::of(&Array::vector(Vec::<f64>::new())).count, 0);
    }
}
