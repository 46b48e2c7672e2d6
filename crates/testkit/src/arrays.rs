//! Small helpers on arrays that the checks share.

use cotangent_array::{Array, DType, Scalar, Shape};

use crate::rng::Rng;

/// Whether every element is a finite number.
pub fn is_finite(a: &Array) -> bool {
    a.scalars().all(|s| s.to_f64().is_finite())
}

/// The smallest and the largest magnitude; (inf, 0) of nothing.
pub fn extent(a: &Array) -> (f64, f64) {
    a.scalars()
        .map(|s| s.to_f64().abs())
        .fold((f64::INFINITY, 0.0), |(lo, hi), x| (lo.min(x), hi.max(x)))
}

/// The smallest and the largest element; (inf, -inf) of nothing.
pub fn range(a: &Array) -> (f64, f64) {
    a.scalars()
        .map(Scalar::to_f64)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| {
            (lo.min(x), hi.max(x))
        })
}

/// An array with each element replaced.
pub fn map(a: &Array, f: impl FnMut(Scalar) -> Scalar) -> Array {
    let scalars: Vec<Scalar> = a.scalars().map(f).collect();
    made(a.dtype(), a.shape().clone(), scalars)
}

/// An array of these elements; the count must be that of the shape.
pub fn made(dtype: DType, shape: Shape, scalars: Vec<Scalar>) -> Array {
    Array::from_scalars(dtype, shape, scalars).unwrap_or_else(|e| panic!("{e}"))
}

/// A float array from f64 values, rounded to the dtype.
pub fn floats(dtype: DType, shape: &Shape, values: &[f64]) -> Array {
    made(
        dtype,
        shape.clone(),
        values.iter().map(|x| Scalar::from_f64(dtype, *x)).collect(),
    )
}

/// A float array with each finite element moved by up to `by`; other arrays as they are.
pub fn jitter(a: &Array, by: f64, rng: &mut Rng) -> Array {
    if !a.dtype().is_float() {
        return a.clone();
    }
    map(a, |s| {
        let x = s.to_f64();
        if x.is_finite() {
            Scalar::from_f64(a.dtype(), x + rng.uniform(-by, by))
        } else {
            s
        }
    })
}

/// The elements in a random order, so that integers stay in the range they had.
pub fn shuffled(a: &Array, rng: &mut Rng) -> Array {
    let mut scalars: Vec<Scalar> = a.scalars().collect();
    rng.shuffle(&mut scalars);
    made(a.dtype(), a.shape().clone(), scalars)
}

/// Numbers between -1 and 1 of a float type.
pub fn direction(dtype: DType, shape: &Shape, rng: &mut Rng) -> Array {
    let values: Vec<f64> = (0..shape.elements())
        .map(|_| rng.uniform(-1.0, 1.0))
        .collect();
    floats(dtype, shape, &values)
}

/// The distance from |x| to the next larger number of the dtype.
pub fn ulp(dtype: DType, x: f64) -> f64 {
    let x = x.abs();
    match dtype {
        DType::F32 => {
            let x = x as f32;
            if x.is_finite() {
                f64::from(f32::from_bits(x.to_bits() + 1)) - f64::from(x)
            } else {
                0.0
            }
        }
        _ if x.is_finite() => f64::from_bits(x.to_bits() + 1) - x,
        _ => 0.0,
    }
}

/// Arrays of one type one after the other along a new axis.
pub fn stack(arrays: &[Array], axis: usize) -> Option<Array> {
    let first = arrays.first()?;
    let inner: usize = first.shape().dims().get(axis..)?.iter().product();
    let outer: usize = first.shape().dims().get(..axis)?.iter().product();
    let mut dims = first.shape().dims().to_vec();
    dims.insert(axis, arrays.len());
    let mut scalars = Vec::with_capacity(first.len() * arrays.len());
    for o in 0..outer {
        for a in arrays {
            scalars.extend((0..inner).filter_map(|i| a.at(o * inner + i)));
        }
    }
    Array::from_scalars(first.dtype(), dims, scalars).ok()
}

/// The `k`-th of the arrays that stand along axis 0.
pub fn row(a: &Array, k: usize) -> Option<Array> {
    let shape: Shape = a.shape().dims().get(1..)?.into();
    a.select_rows(&[k]).ok()?.reshape(shape).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_and_takes_apart() {
        let a = Array::from([[1.0, 2.0], [3.0, 4.0]]);
        let b = Array::from([[5.0, 6.0], [7.0, 8.0]]);
        let s = stack(&[a.clone(), b.clone()], 1).unwrap();
        assert_eq!(s.to_f64s(), [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
        assert_eq!(s.shape().dims(), [2, 2, 2]);
        let s = stack(&[a, b.clone()], 0).unwrap();
        assert_eq!(row(&s, 1).unwrap(), b);
        let s = stack(&[Array::scalar(1.0), Array::scalar(2.0)], 0).unwrap();
        assert_eq!(s, Array::from([1.0, 2.0]));
    }

    #[test]
    fn ulps() {
        assert_eq!(ulp(DType::F64, 1.0), f64::EPSILON);
        assert_eq!(ulp(DType::F32, -1.0), f64::from(f32::EPSILON));
        assert_eq!(ulp(DType::F64, f64::INFINITY), 0.0);
    }
}
