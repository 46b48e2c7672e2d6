//! The digits that come with the crate.

use super::{CsvOptions, DataError, DataOptions, Dataset, Header, Table, Task};

/// 1,797 handwritten digits: pictures of 8 by 8 pixels with values from 0 to 16, row by row, and the digit.
///
/// "Optical Recognition of Handwritten Digits" (the test set) by E. Alpaydin and C. Kaynak, UCI Machine Learning
/// Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0.
///
/// ```
/// let digits = cotangent::data::digits()?;
/// assert_eq!(digits.x.shape().dims(), [1797, 64]);
/// assert_eq!(digits.target.labels().map(<[String]>::len), Some(10));
/// # Ok::<(), cotangent::data::DataError>(())
/// ```
///
/// # Errors
/// None, unless the crate itself is broken.
pub fn digits() -> Result<Dataset, DataError> {
    const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");
    let text = flate2::read::GzDecoder::new(FILE);
    let options = CsvOptions {
        header: Header::No,
        delimiter: Some(b','),
    };
    let table = Table::from_csv_reader(text, "digits.csv.gz", &options)?;
    let options = DataOptions {
        task: Task::Classify,
        ..DataOptions::default()
    };
    let mut digits = table.dataset("65", &options)?;
    digits.name = "digit".to_owned();
    for (at, name) in digits.features.iter_mut().enumerate() {
        *name = format!("pixel {},{}", at / 8, at % 8);
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Target;

    #[test]
    fn all_rows_are_there() {
        let digits = digits().unwrap();
        assert_eq!(digits.rows(), 1797);
        assert_eq!(digits.features.len(), 64);
        let values = digits.x.to_f64s();
        assert!(
            values
                .iter()
                .all(|x| (0.0..=16.0).contains(x) && x.fract() == 0.0)
        );
        let Target::Classes { labels, index } = &digits.target else {
            panic!("expected classes")
        };
        assert_eq!(labels, &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        let mut counts = [0; 10];
        index
            .to_vec::<i64>()
            .unwrap()
            .into_iter()
            .for_each(|digit| counts[digit as usize] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
