//! Quick hashing for the tables of a compiler, whose keys are small and come by the ten thousand.
//!
//! The standard library's hasher withstands keys chosen to collide, at several times the cost. Here a
//! collision costs a comparison and nothing else.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::Var;

/// A map with quick hashing. The order of its entries says nothing; nothing may depend on it.
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// Multiplies each word into the state and folds the 128 bits of the product, as in wyhash (W. Yi).
#[derive(Clone, Copy, Default, Debug)]
pub struct FastHasher(u64);

/// The fraction of the golden ratio, whose multiples spread evenly (D. Knuth, The Art of Computer
/// Programming, volume 3, section 6.4).
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

impl FastHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        // The sum keeps the state from staying 0 over words that are 0.
        let product = u128::from(self.0.wrapping_add(FACTOR) ^ word) * u128::from(FACTOR);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for FastHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, x: u8) {
        self.mix(u64::from(x));
    }

    #[inline]
    fn write_u16(&mut self, x: u16) {
        self.mix(u64::from(x));
    }

    #[inline]
    fn write_u32(&mut self, x: u32) {
        self.mix(u64::from(x));
    }

    #[inline]
    fn write_u64(&mut self, x: u64) {
        self.mix(x);
    }

    #[inline]
    fn write_usize(&mut self, x: usize) {
        self.mix(x as u64);
    }
}

/// The quick hash of a value.
pub(crate) fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = FastHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Variables by a hash of what defines them, in one list with free places: the place of a variable
/// is the first free one from its hash on.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Half of the hash, and the variable; [`Var::POISON`] where the place is free.
    places: Vec<(u32, Var)>,
    count: usize,
}

impl Known {
    /// The variable with this hash that is the one looked for.
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(Var) -> bool) -> Option<Var> {
        let last = self.places.len().checked_sub(1)?;
        let half = hash as u32;
        let mut at = half as usize & last;
        loop {
            let (own, var) = *self.places.get(at)?;
            if var == Var::POISON {
                return None;
            }
            if own == half && same(var) {
                return Some(var);
            }
            at = (at + 1) & last;
        }
    }

    pub(crate) fn insert(&mut self, hash: u64, var: Var) {
        if 4 * (self.count + 1) > 3 * self.places.len() {
            self.grow(2 * (self.count + 1));
        }
        self.put(hash as u32, var);
        self.count += 1;
    }

    /// Makes room for so many variables.
    pub(crate) fn reserve(&mut self, count: usize) {
        if 4 * count > 3 * self.places.len() {
            self.grow(4 * count / 3 + 1);
        }
    }

    fn grow(&mut self, places: usize) {
        let free = vec![(0, Var::POISON); places.next_power_of_two().max(16)];
        let old = std::mem::replace(&mut self.places, free);
        for (half, var) in old.into_iter().filter(|(_, var)| *var != Var::POISON) {
            self.put(half, var);
        }
    }

    /// At least a quarter of the places are free.
    fn put(&mut self, half: u32, var: Var) {
        let last = self.places.len() - 1;
        let mut at = half as usize & last;
        while self.places[at].1 != Var::POISON {
            at = (at + 1) & last;
        }
        self.places[at] = (half, var);
    }
}

#[cfg(test)]
mod tests {
    use super::{FastMap, Known, hash_of};
    use crate::Var;

    #[test]
    fn variables_are_found_again_also_beside_equal_hashes() {
        let mut known = Known::default();
        assert_eq!(known.find(0, |_| true), None);
        for i in 0..1000_u32 {
            // Ten variables share each hash.
            known.insert(u64::from(i / 10), Var(i));
        }
        for i in 0..1000_u32 {
            assert_eq!(known.find(u64::from(i / 10), |v| v == Var(i)), Some(Var(i)));
        }
        assert_eq!(known.find(5, |v| v == Var(0)), None);
        assert_eq!(known.find(1000, |_| true), None);
    }

    #[test]
    fn small_keys_spread() {
        let low: std::collections::HashSet<u64> =
            (0..4096_u64).map(|x| hash_of(x) & 0xFFF).collect();
        assert!(low.len() > 2000, "{}", low.len());
        assert_ne!(hash_of([0_u8; 3]), hash_of([0_u8; 4]));
        assert_ne!(hash_of((0_u64, 0_u64)), hash_of(0_u64));
        let mut map: FastMap<(u32, u32), u32> = FastMap::default();
        for i in 0..1000 {
            map.insert((i, 7), i);
        }
        assert!((0..1000).all(|i| map.get(&(i, 7)) == Some(&i)));
    }
}
