//! Differences along directions, and what is near enough to them.

use super::*;

/// Two arrays along a new leading axis.
pub(super) fn pile(a: &Array, b: &Array) -> Array {
    let shape: Vec<usize> = std::iter::once(2)
        .chain(a.shape().iter().copied())
        .collect();
    Array::new(shape, [a.to_f64s(), b.to_f64s()].concat()).expect("two of one shape")
}

pub(super) fn direction(a: &Array, start: f64) -> Array {
    let list: Vec<f64> = (0..a.len())
        .map(|i| 2.0 * (start + 0.618_033_988_75 * i as f64).fract() - 1.0)
        .collect();
    Array::new(a.shape(), list).expect("as many as there are")
}

pub(super) fn moved(x: &[Array], v: &[Array], h: f64) -> Vec<Array> {
    x.iter()
        .zip(v)
        .map(|(x, v)| {
            let list: Vec<f64> = x
                .to_f64s()
                .iter()
                .zip(v.to_f64s())
                .map(|(x, v)| x + h * v)
                .collect();
            Array::new(x.shape(), list).expect("as many as there are")
        })
        .collect()
}

/// The central difference of order four.
pub(super) fn difference(at: impl Fn(f64) -> Result<f64, Error>) -> Result<f64, Error> {
    let h = 1e-3;
    Ok((8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h))
}

pub(super) fn inner(a: &[Array], b: &[Array]) -> f64 {
    a.iter()
        .zip(b)
        .flat_map(|(a, b)| a.to_f64s().into_iter().zip(b.to_f64s()))
        .map(|(a, b)| a * b)
        .sum()
}

pub(super) fn near(name: &str, what: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    let scale = 1.0 + expected.abs();
    assert!(
        error <= tolerance * scale,
        "{name}: {what}: {found} against {expected}"
    );
}

pub(super) fn close(name: &str, what: &str, found: &Array, expected: &Array, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{name}");
    for (a, b) in found.to_f64s().into_iter().zip(expected.to_f64s()) {
        near(name, what, a, b, tolerance);
    }
}
