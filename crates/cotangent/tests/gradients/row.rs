//! A row of the table, and what its method is called on.

use cotangent::{Array, Tensor};

pub(super) type Body = fn(&Vec<Tensor>) -> Tensor;

/// A method, how it is called, and on what.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) body: Body,
    pub(super) inputs: Vec<Array>,
}

pub(super) fn row(name: &'static str, inputs: impl Into<Vec<Array>>, body: Body) -> Row {
    Row {
        name,
        body,
        inputs: inputs.into(),
    }
}

/// Numbers from -2 to 2 that keep away from 0, from whole numbers and from each other.
pub(super) fn x<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.37, |t| {
        let v = 4.0 * t - 2.0;
        let near = v.round();
        if (v - near).abs() < 0.1 {
            near + 0.1f64.copysign(v - near)
        } else {
            v
        }
    })
}

/// Others of the same kind.
pub(super) fn y<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.711, |t| 1.7 - 3.1 * t)
}

/// Numbers from 0.2 to 1.8.
pub(super) fn positive<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.53, |t| 0.2 + 1.6 * t)
}

/// Numbers from 0.1 to 0.9.
pub(super) fn unit<const N: usize>(shape: [usize; N]) -> Array {
    values(shape, 0.29, |t| 0.1 + 0.8 * t)
}

pub(super) fn values<const N: usize>(
    shape: [usize; N],
    start: f64,
    f: impl Fn(f64) -> f64,
) -> Array {
    let count = shape.iter().product();
    // The golden ratio spreads its multiples evenly.
    let list: Vec<f64> = (0..count)
        .map(|i| f((start + 0.618_033_988_75 * i as f64).fract()))
        .collect();
    Array::new(shape, list).expect("as many values as the shape takes")
}
