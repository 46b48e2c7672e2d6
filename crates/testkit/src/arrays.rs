//! Small helpers on arrays that the checks share.

use cotangent_array::{Array, Complex64, DType, Scalar, Shape};

use crate::rng::Rng;

/// Whether every element is a finite number.
pub fn is_finite(a: &Array) -> bool {
    a.scalars().all(Scalar::is_finite)
}

/// The smallest and the largest magnitude; (inf, 0) of nothing.
pub fn extent(a: &Array) -> (f64, f64) {
    a.scalars()
        .map(|s| s.to_complex().norm())
        .fold((f64::INFINITY, 0.0), |(lo, hi), x| (lo.min(x), hi.max(x)))
}

/// The numbers of an array: of complex ones the real and the imaginary part, one after the other.
pub fn parts(a: &Array) -> Vec<f64> {
    match a.dtype().is_complex() {
        true => (a.scalars().map(Scalar::to_complex))
            .flat_map(|z| [z.re, z.im])
            .collect(),
        false => a.to_f64s(),
    }
}

/// How many numbers an element has: two if it is complex.
pub fn width(dtype: DType) -> usize {
    1 + usize::from(dtype.is_complex())
}

/// f64 for f32, c128 for c64, any other dtype itself.
pub fn widened(dtype: DType) -> DType {
    match dtype {
        DType::F32 => DType::F64,
        DType::C64 => DType::C128,
        other => other,
    }
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

/// A float or complex array from f64 values, rounded to the dtype; see [`parts`].
pub fn floats(dtype: DType, shape: &Shape, values: &[f64]) -> Array {
    let scalars = match dtype.is_complex() {
        true => (values.as_chunks::<2>().0.iter())
            .map(|[re, im]| Scalar::from_complex(dtype, Complex64::new(*re, *im)))
            .collect(),
        false => values.iter().map(|x| Scalar::from_f64(dtype, *x)).collect(),
    };
    made(dtype, shape.clone(), scalars)
}

/// An array with each of its numbers replaced.
pub fn map_parts(a: &Array, f: impl FnMut(f64) -> f64) -> Array {
    let values: Vec<f64> = parts(a).into_iter().map(f).collect();
    floats(a.dtype(), a.shape(), &values)
}

/// A float or complex array with each finite number moved by up to `by`; other arrays as they are.
pub fn jitter(a: &Array, by: f64, rng: &mut Rng) -> Array {
    if !a.dtype().is_inexact() {
        return a.clone();
    }
    map_parts(a, |x| {
        if x.is_finite() {
            x + rng.uniform(-by, by)
        } else {
            x
        }
    })
}

/// The elements in a random order, so that integers stay in the range they had.
pub fn shuffled(a: &Array, rng: &mut Rng) -> Array {
    let mut scalars: Vec<Scalar> = a.scalars().collect();
    rng.shuffle(&mut scalars);
    made(a.dtype(), a.shape().clone(), scalars)
}

/// Numbers between -1 and 1 of a float or complex type.
pub fn direction(dtype: DType, shape: &Shape, rng: &mut Rng) -> Array {
    let values: Vec<f64> = (0..width(dtype) * shape.elements())
        .map(|_| rng.uniform(-1.0, 1.0))
        .collect();
    floats(dtype, shape, &values)
}

/// The distance from |x| to the next larger number of the dtype.
pub fn ulp(dtype: DType, x: f64) -> f64 {
    let x = x.abs();
    match dtype.real() {
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
