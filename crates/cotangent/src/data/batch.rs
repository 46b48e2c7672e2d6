//! Mini-batches.

use super::shuffle::Random;

/// The rows in batches of `size`, shuffled by seed and epoch; the last batch may be smaller, so that every row is
/// seen once an epoch. A size of 0 counts as 1.
///
/// ```
/// let rows = [3, 4, 5, 6, 7];
/// let sizes: Vec<usize> = cotangent::data::batches(&rows, 2, 0, 0).map(|batch| batch.len()).collect();
/// assert_eq!(sizes, [2, 2, 1]);
/// ```
pub fn batches(
    rows: &[usize],
    size: usize,
    seed: u64,
    epoch: u64,
) -> impl ExactSizeIterator<Item = Vec<usize>> + use<> {
    let mut rows = rows.to_vec();
    Random::new(&[seed, epoch, BATCHES]).shuffle(&mut rows);
    let size = size.max(1);
    (0..rows.len().div_ceil(size)).map(move |batch| {
        let start = batch * size;
        let end = start.saturating_add(size).min(rows.len());
        rows.get(start..end).unwrap_or_default().to_vec()
    })
}

/// Keeps the order of batches apart from other uses of the same seed.
const BATCHES: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_once_in_an_order_of_the_seed_and_the_epoch() {
        let rows: Vec<usize> = (10..110).collect();
        let order =
            |seed, epoch| -> Vec<usize> { batches(&rows, 7, seed, epoch).flatten().collect() };
        let first = order(1, 0);
        assert_eq!(first, order(1, 0));
        assert_ne!(first, order(1, 1));
        assert_ne!(first, order(2, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
        assert_eq!(batches(&rows, 7, 1, 0).len(), 15);
    }

    #[test]
    fn odd_sizes_are_fine() {
        assert_eq!(batches(&[], 3, 0, 0).count(), 0);
        assert_eq!(batches(&[1, 2], 0, 0, 0).count(), 2);
        assert_eq!(batches(&[1, 2], usize::MAX, 0, 0).count(), 1);
    }
}
