//! How far arrays are from the expected ones.

use cotangent::Array;

/// The largest absolute error over the largest absolute reference, over arrays of one kind.
///
/// NaN must meet NaN and an infinity the same infinity. Where the reference is all zeros, the
/// absolute error counts.
pub fn error(found: &[Array], expected: &[Array]) -> Result<f64, String> {
    if found.len() != expected.len() {
        return Err(format!("expected {} arrays, found {}", expected.len(), found.len()));
    }
    let mut worst = 0.0_f64;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        if f.shape() != e.shape() {
            return Err(format!("array {i}: expected shape {}, found {}", e.shape(), f.shape()));
        }
        if f.dtype() != e.dtype() {
            return Err(format!("array {i}: expected dtype {}, found {}", e.dtype(), f.dtype()));
        }
        worst = worst.max(array_error(&f.to_f64s(), &e.to_f64s()));
    }
    Ok(worst)
}

fn array_error(found: &[f64], expected: &[f64]) -> f64 {
    let scale = expected.iter().filter(|x| x.is_finite()).fold(0.0_f64, |m, x| m.max(x.abs()));
    let mut worst = 0.0_f64;
    for (f, e) in found.iter().zip(expected) {
        let same = f == e || (f.is_nan() && e.is_nan());
        let error = if same { 0.0 } else { (f - e).abs() };
        if error.is_nan() {
            return f64::INFINITY;
        }
        worst = worst.max(error);
    }
    if scale > 0.0 { worst / scale } else { worst }
}
