//! Shifting and scaling to mean 0 and deviation 1.

use cotangent_array::{Array, ArrayError, DType};

/// A shift and a scale per column, fitted on training rows and applied to all.
///
/// The scale of a column is its standard deviation, or that of all columns together (their root mean square) with
/// [`Normalization::fit_shared`]. A column that does not vary keeps the scale 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// What is subtracted from each column: f64, one value a column.
    pub mean: Array,
    /// What each column is divided by then: f64, one value a column, above 0.
    pub scale: Array,
}

impl Normalization {
    /// Fits mean and standard deviation (the square root of the mean squared deviation) of each column of `x`, of
    /// shape `[rows, columns]`, over the given rows only. Without rows, nothing is shifted or scaled.
    ///
    /// # Errors
    /// [`ArrayError::WrongRank`] unless `x` has rank 2, [`ArrayError::BadIndex`] for a row that is not there.
    pub fn fit(x: &Array, rows: &[usize]) -> Result<Normalization, ArrayError> {
        let (mean, variance) = moments(x, rows)?;
        let scale: Vec<f64> = variance.iter().map(|v| scale_of(*v)).collect();
        Ok(Normalization {
            mean: Array::vector(mean),
            scale: Array::vector(scale),
        })
    }

    /// The same with one scale for all columns, which suits columns of one kind such as the pixels of a picture: one
    /// that rarely varies is not blown up.
    ///
    /// # Errors
    /// As for [`Normalization::fit`].
    pub fn fit_shared(x: &Array, rows: &[usize]) -> Result<Normalization, ArrayError> {
        let (mean, variance) = moments(x, rows)?;
        let shared = variance.iter().sum::<f64>() / variance.len().max(1) as f64;
        let scale = vec![scale_of(shared); mean.len()];
        Ok(Normalization {
            mean: Array::vector(mean),
            scale: Array::vector(scale),
        })
    }

    /// Changes nothing: mean 0 and scale 1 for every column.
    pub fn identity(columns: usize) -> Normalization {
        Normalization {
            mean: Array::vector(vec![0.0; columns]),
            scale: Array::vector(vec![1.0; columns]),
        }
    }

    /// `(x - mean) / scale`, computed in f64: an f64 array of the same shape `[rows, columns]`.
    ///
    /// # Errors
    /// [`ArrayError::WrongRank`] unless `x` has rank 2, [`ArrayError::WrongCount`] for another number of columns.
    pub fn apply(&self, x: &Array) -> Result<Array, ArrayError> {
        self.each(x, |x, mean, scale| (x - mean) / scale)
    }

    /// `x * scale + mean`, which undoes [`Normalization::apply`].
    ///
    /// # Errors
    /// As for [`Normalization::apply`].
    pub fn undo(&self, x: &Array) -> Result<Array, ArrayError> {
        self.each(x, |x, mean, scale| x * scale + mean)
    }

    fn each(&self, x: &Array, f: impl Fn(f64, f64, f64) -> f64) -> Result<Array, ArrayError> {
        let (_, columns) = table_shape(x)?;
        let (mean, scale) = (self.mean.as_slice::<f64>()?, self.scale.as_slice::<f64>()?);
        if mean.len() != columns || scale.len() != columns {
            return Err(ArrayError::WrongCount {
                shape: [columns].into(),
                expected: columns,
                found: mean.len(),
            });
        }
        let factors = mean.iter().zip(scale).cycle();
        let x64 = x.convert(DType::F64);
        let values = x64.as_slice::<f64>()?.iter().zip(factors);
        let values: Vec<f64> = values
            .map(|(x, (mean, scale))| f(*x, *mean, *scale))
            .collect();
        Array::new(x.shape().clone(), values)
    }
}

/// Mean and mean squared deviation of each column over the rows, in two passes.
fn moments(x: &Array, rows: &[usize]) -> Result<(Vec<f64>, Vec<f64>), ArrayError> {
    let (_, columns) = table_shape(x)?;
    let chosen = x.select_rows(rows)?.convert(DType::F64);
    let values = chosen.as_slice::<f64>()?;
    let mut mean = vec![0.0; columns];
    let mut variance = vec![if rows.is_empty() { 1.0 } else { 0.0 }; columns];
    if columns == 0 || rows.is_empty() {
        return Ok((mean, variance));
    }
    let share = 1.0 / rows.len() as f64;
    for row in values.chunks_exact(columns) {
        for (mean, x) in mean.iter_mut().zip(row) {
            *mean += x * share;
        }
    }
    for row in values.chunks_exact(columns) {
        for ((variance, mean), x) in variance.iter_mut().zip(&mean).zip(row) {
            *variance += (x - mean) * (x - mean) * share;
        }
    }
    for (variance, mean) in variance.iter_mut().zip(&mean) {
        // What a constant column seems to vary by is the rounding of its mean.
        if variance.sqrt() <= 1e-12 * mean.abs() {
            *variance = 0.0;
        }
    }
    Ok((mean, variance))
}

/// The deviation, or 1 for what does not vary.
fn scale_of(variance: f64) -> f64 {
    let scale = variance.sqrt();
    if scale.is_finite() && scale > 0.0 {
        scale
    } else {
        1.0
    }
}

fn table_shape(x: &Array) -> Result<(usize, usize), ArrayError> {
    match x.shape().dims() {
        [rows, columns] => Ok((*rows, *columns)),
        _ => Err(ArrayError::WrongRank {
            expected: "2",
            shape: x.shape().clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_given_rows_are_fitted() {
        let x = Array::from([[1.0, 10.0], [3.0, 10.0], [1e9, -1e9]]);
        let fitted = Normalization::fit(&x, &[0, 1]).unwrap();
        assert_eq!(fitted.mean, Array::from([2.0, 10.0]));
        assert_eq!(fitted.scale, Array::from([1.0, 1.0]));
        let y = fitted.apply(&x).unwrap();
        assert_eq!(
            y.select_rows(&[0, 1]).unwrap(),
            Array::from([[-1.0, 0.0], [1.0, 0.0]])
        );
        assert_eq!(fitted.undo(&y).unwrap(), x);
    }

    #[test]
    fn integers_become_floats_and_one_scale_can_serve_all() {
        let x = Array::from([[0i64, 0], [4, 0], [0, 2], [4, 2]]);
        let fitted = Normalization::fit_shared(&x, &[0, 1, 2, 3]).unwrap();
        assert_eq!(fitted.mean, Array::from([2.0, 1.0]));
        let scale = 2.5f64.sqrt();
        assert_eq!(fitted.scale, Array::from([scale, scale]));
        assert_eq!(fitted.apply(&x).unwrap().dtype(), DType::F64);
    }

    #[test]
    fn columns_that_do_not_vary_are_only_shifted() {
        let x = Array::new([3, 2], vec![0.1, 1e300, 0.1, 1e300, 0.1, -1e300]).unwrap();
        let fitted = Normalization::fit(&x, &[0, 1, 2]).unwrap();
        assert_eq!(fitted.scale.to_f64s(), [1.0, 1.0]);
        assert!(fitted.apply(&x).unwrap().to_f64s()[0].abs() < 1e-15);
        let nothing = Normalization::fit(&x, &[]).unwrap();
        assert_eq!(nothing, Normalization::identity(2));
        assert_eq!(nothing.apply(&x).unwrap(), x);
    }

    #[test]
    fn shapes_are_checked() {
        let x = Array::from([[1.0, 2.0]]);
        assert!(matches!(
            Normalization::fit(&Array::from([1.0]), &[0]),
            Err(ArrayError::WrongRank { .. })
        ));
        assert!(matches!(
            Normalization::fit(&x, &[1]),
            Err(ArrayError::BadIndex { .. })
        ));
        let error = Normalization::identity(3).apply(&x).unwrap_err();
        assert!(
            matches!(
                error,
                ArrayError::WrongCount {
                    expected: 2,
                    found: 3,
                    ..
                }
            ),
            "{error}"
        );
    }
}
