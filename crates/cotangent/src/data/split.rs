//! Which rows train, validate and test.

use super::DataError;
use super::shuffle::Random;

/// Row numbers for training, validation and test, each in ascending order; every row is in exactly one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The rows that parameters and normalisation are fitted on.
    pub train: Vec<usize>,
    /// The rows that are looked at while training.
    pub validation: Vec<usize>,
    /// The rows that are held out to the end.
    pub test: Vec<usize>,
}

impl Split {
    /// Splits the rows 0 to `rows` at random by the seed. The fractions are of all rows; their counts are rounded.
    ///
    /// # Errors
    /// [`DataError::Split`] for fractions below 0 or of 1 or more together, or if no row is left to train on, or none
    /// for a part whose fraction is not 0.
    pub fn random(rows: usize, validation: f64, test: f64, seed: u64) -> Result<Split, DataError> {
        Split::stratified(&vec![0; rows], validation, test, seed)
    }

    /// The same with every class (one number a row) spread over the parts in proportion.
    ///
    /// # Errors
    /// As for [`Split::random`].
    pub fn stratified(
        classes: &[i64],
        validation: f64,
        test: f64,
        seed: u64,
    ) -> Result<Split, DataError> {
        for (name, fraction) in [("validation", validation), ("test", test)] {
            if !(0.0..1.0).contains(&fraction) {
                let message =
                    format!("expected a {name} fraction from 0 to below 1, found {fraction}");
                return Err(DataError::Split(message));
            }
        }
        if validation + test >= 1.0 {
            return Err(DataError::Split(format!(
                "expected fractions that leave rows to train on, found {validation} for validation and {test} for test"
            )));
        }
        // Shuffled, then stably sorted by class: rows of one class stand together in random order.
        let mut order: Vec<usize> = (0..classes.len()).collect();
        Random::new(&[seed, SPLIT]).shuffle(&mut order);
        order.sort_by_key(|row| classes.get(*row));
        let rows = classes.len();
        let (test_rows, rest) = deal(order, count(rows, test));
        let (validation_rows, train) = deal(rest, count(rows, validation));
        let wanted = [
            ("training", &train, true),
            ("validation", &validation_rows, validation > 0.0),
            ("test", &test_rows, test > 0.0),
        ];
        for (name, part, wanted) in wanted {
            if wanted && part.is_empty() {
                return Err(DataError::Split(format!(
                    "{rows} rows are too few to split: none is left for {name}"
                )));
            }
        }
        Ok(Split {
            train,
            validation: validation_rows,
            test: test_rows,
        })
    }
}

/// The rounded share of the rows.
fn count(rows: usize, fraction: f64) -> usize {
    // The fraction is below 1, so the product fits.
    (rows as f64 * fraction).round() as usize
}

/// Deals out `taken` of the rows, evenly along the list: those, and the rest, each in ascending order.
fn deal(rows: Vec<usize>, taken: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut hand, mut rest) = (Vec::with_capacity(taken), Vec::with_capacity(rows.len()));
    // Every row adds `taken` to a counter, and one is dealt when the counter passes the number of rows (Bresenham).
    let mut due = 0usize;
    for row in &rows {
        due = due.saturating_add(taken);
        if due >= rows.len() {
            due -= rows.len();
            hand.push(*row);
        } else {
            rest.push(*row);
        }
    }
    hand.sort_unstable();
    rest.sort_unstable();
    (hand, rest)
}

/// Keeps the split apart from other uses of the same seed.
const SPLIT: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(split: &Split) -> Vec<usize> {
        let mut rows = [&split.train[..], &split.validation, &split.test].concat();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn every_row_is_in_one_part_and_the_seed_decides() {
        let split = Split::random(103, 0.1, 0.2, 5).unwrap();
        assert_eq!((split.validation.len(), split.test.len()), (10, 21));
        assert!(all(&split).into_iter().eq(0..103));
        assert_eq!(split, Split::random(103, 0.1, 0.2, 5).unwrap());
        assert_ne!(split, Split::random(103, 0.1, 0.2, 6).unwrap());
        let all_train = Split::random(3, 0.0, 0.0, 0).unwrap();
        assert_eq!(all_train.train, [0, 1, 2]);
    }

    #[test]
    fn classes_are_spread_in_proportion() {
        let classes: Vec<i64> = (0..1000)
            .map(|i| i64::from(i % 10 == 0) + i64::from(i % 100 == 0))
            .collect();
        let split = Split::stratified(&classes, 0.2, 0.3, 1).unwrap();
        assert!(all(&split).into_iter().eq(0..1000));
        for (class, total) in [(0, 900.0), (1, 90.0), (2, 10.0)] {
            for (part, fraction) in [
                (&split.train, 0.5),
                (&split.validation, 0.2),
                (&split.test, 0.3),
            ] {
                let found = part.iter().filter(|row| classes[**row] == class).count() as f64;
                assert!(
                    (found - fraction * total).abs() <= 2.0,
                    "class {class}: {found} of {total}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_split_is_an_error() {
        let cases = [
            (
                10,
                -0.1,
                0.2,
                "expected a validation fraction from 0 to below 1, found -0.1",
            ),
            (
                10,
                0.1,
                f64::NAN,
                "expected a test fraction from 0 to below 1, found NaN",
            ),
            (
                10,
                0.1,
                1.0,
                "expected a test fraction from 0 to below 1, found 1",
            ),
            (
                10,
                0.5,
                0.5,
                "expected fractions that leave rows to train on, found 0.5 for validation and 0.5 for test",
            ),
            (
                0,
                0.0,
                0.0,
                "0 rows are too few to split: none is left for training",
            ),
            (
                1,
                0.1,
                0.2,
                "1 rows are too few to split: none is left for validation",
            ),
            (
                5,
                0.2,
                0.05,
                "5 rows are too few to split: none is left for test",
            ),
        ];
        for (rows, validation, test, expected) in cases {
            let error = Split::random(rows, validation, test, 0).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
