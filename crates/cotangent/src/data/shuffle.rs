//! The one source of chance for data: a generator that is a pure function of seeds.

/// A sequence of random numbers by seed: SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number
/// Generators, OOPSLA 2014).
pub(super) struct Random(u64);

impl Random {
    /// The sequence of these seeds. Different lists of seeds give unrelated sequences.
    pub(super) fn new(seeds: &[u64]) -> Random {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for seed in seeds {
            random.0 = random.next() ^ seed.wrapping_mul(0xd134_2543_de82_ef95);
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`. The high half of a product is off from uniform by less than `bound` / 2^64, which no
    /// table is long enough to show.
    fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        (product >> 64) as usize
    }

    /// Puts the items into random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_are_permutations_and_depend_on_every_seed() {
        let shuffled = |seeds: &[u64]| {
            let mut items: Vec<usize> = (0..100).collect();
            Random::new(seeds).shuffle(&mut items);
            items
        };
        let first = shuffled(&[1, 2]);
        assert_eq!(first, shuffled(&[1, 2]));
        for other in [&[1, 3][..], &[2, 2], &[2, 1], &[1], &[]] {
            assert_ne!(first, shuffled(other), "{other:?}");
        }
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
    }

    #[test]
    fn every_place_is_equally_likely() {
        let mut counts = [[0u32; 4]; 4];
        for seed in 0..4000 {
            let mut items = [0, 1, 2, 3];
            Random::new(&[seed]).shuffle(&mut items);
            for (place, item) in items.into_iter().enumerate() {
                counts[item][place] += 1;
            }
        }
        // 1000 expected with a standard deviation of 27.
        for count in counts.as_flattened() {
            assert!((860..1140).contains(count), "{counts:?}");
        }
    }
}
