//! How far arrays are from the expected ones.

use cotangent::Array;

/// The largest absolute error, and the largest absolute reference that it is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    pub error: f64,
    pub scale: f64,
}

impl Gap {
    /// The error over the reference; the error itself where the reference is all zeros.
    pub fn relative(self) -> f64 {
        if self.scale > 0.0 {
            self.error / self.scale
        } else {
            self.error
        }
    }
}

/// The gap over all arrays of one kind together, as over one long vector.
///
/// NaN must meet NaN and an infinity the same infinity.
pub fn gap(found: &[Array], expected: &[Array]) -> Result<Gap, String> {
    if found.len() != expected.len() {
        return Err(format!(
            "expected {} arrays, found {}",
            expected.len(),
            found.len()
        ));
    }
    let mut gap = Gap {
        error: 0.0,
        scale: largest(expected),
    };
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        if f.shape() != e.shape() {
            return Err(format!(
                "array {i}: expected shape {}, found {}",
                e.shape(),
                f.shape()
            ));
        }
        if f.dtype() != e.dtype() {
            return Err(format!(
                "array {i}: expected dtype {}, found {}",
                e.dtype(),
                f.dtype()
            ));
        }
        for (f, e) in f.to_f64s().iter().zip(e.to_f64s()) {
            let same = *f == e || (f.is_nan() && e.is_nan());
            let error = if same { 0.0 } else { (f - e).abs() };
            gap.error = gap
                .error
                .max(if error.is_nan() { f64::INFINITY } else { error });
        }
    }
    Ok(gap)
}

/// The largest finite absolute value.
pub fn largest(arrays: &[Array]) -> f64 {
    let values = arrays.iter().flat_map(Array::to_f64s);
    values
        .filter(|x| x.is_finite())
        .fold(0.0, |m, x| m.max(x.abs()))
}
