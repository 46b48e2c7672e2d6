//! `random_bits`: counter-based random numbers.
//!
//! Threefry-2x32 with 20 rounds, from J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw,
//! "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (the library Random123). A word of the
//! result depends only on the key, the counter and its own position, so any number of threads
//! gives the same bits.

use cotangent_array::{Array, DType, Shape};

use super::axes::missing;
use super::moves::repeat_all;
use super::{Operand, Rule};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// Random 32-bit words by Threefry-2x32-20 (Salmon et al. 2011). The operands are keys of
    /// shape [..b, 2] and counters of shape [..b], both u32; the result is u32 of shape
    /// [..b, ..shape]. Each of the ..b is a stream: its words 2j and 2j + 1 in row-major order
    /// are threefry(key, (j, counter)). Equal keys and counters give equal words.
    RandomBits = "random_bits" {
        /// The shape of the words of one stream, at most 2^33 of them.
        shape: Shape,
    }
}

impl Rule for RandomBits {
    const DERIVATIVE: &'static str = "none: the operands and the result are integers";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let [key, counter] = args else {
            type_error!("expected 2 operands, found {}", args.len())
        };
        if key.dtype != DType::U32 || counter.dtype != DType::U32 {
            type_error!(
                "expected a key and a counter of dtype u32, found {} and {}",
                key.dtype,
                counter.dtype
            );
        }
        let Some((2, streams)) = key.shape.split_last() else {
            type_error!(
                "expected a key whose last axis has length 2, found shape {}",
                key.shape
            );
        };
        if counter.shape != *streams {
            type_error!(
                "expected a counter of shape {}, as the key's without the last axis, found {}",
                Shape::from(streams),
                counter.shape
            );
        }
        // The number of a block is one 32-bit word of Threefry's counter.
        match self.shape.checked_elements() {
            Some(words) if words as u64 <= 1 << 33 => {}
            _ => type_error!(
                "expected at most 2^33 words from one key, found shape {}",
                self.shape
            ),
        }
        let dims = streams.iter().chain(self.shape.iter()).copied();
        Ok(TensorType::new(DType::U32, dims.collect::<Shape>()))
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [keys, counters] = args else {
            return Err(missing(out));
        };
        let (keys, counters) = (keys.as_slice()?, counters.as_slice()?);
        let mut result = Array::zeros(out.dtype, &out.shape)?;
        let streams = result
            .as_mut_slice()?
            .chunks_mut(self.shape.elements().max(1));
        for (words, (key, counter)) in streams.zip(keys.chunks_exact(2).zip(counters)) {
            if let [k0, k1] = *key {
                random_words([k0, k1], *counter, words);
            }
        }
        Ok(result)
    }

    fn jvp(&self, _: &mut Builder, _: &[Var], _: Var, _: &[Option<Var>]) -> Option<Var> {
        None
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
        let operands = repeat_all(b, args, batched, size);
        b.push(self.clone(), &operands)
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        // Twenty rounds of an addition, a rotation and an xor make two words.
        (out.shape.elements() as u64).saturating_mul(35)
    }
}

/// One block of Threefry-2x32-20: two random words from a key and a counter.
///
/// ```
/// use cotangent_graph::ops::random::threefry2x32;
/// assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
/// ```
#[inline]
pub fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let ([x], [y]) = blocks(key, [counter[0]], [counter[1]]);
    [x, y]
}

/// Fills `out` with the words of one stream of [`RandomBits`]: words 2j and 2j + 1 are
/// `threefry2x32(key, [j, counter])`. Of an odd number of words the last block gives one.
#[inline]
pub fn random_words(key: [u32; 2], counter: u32, out: &mut [u32]) {
    /// Blocks that are computed side by side, so that the compiler can use vector registers.
    const LANES: usize = 8;
    let mut block = 0_u32;
    let mut groups = out.chunks_exact_mut(2 * LANES);
    for group in &mut groups {
        let first = std::array::from_fn(|lane| block.wrapping_add(lane as u32));
        let (x, y) = blocks::<LANES>(key, first, [counter; LANES]);
        for (pair, (x, y)) in group.chunks_exact_mut(2).zip(x.iter().zip(&y)) {
            pair.copy_from_slice(&[*x, *y]);
        }
        block = block.wrapping_add(LANES as u32);
    }
    for pair in groups.into_remainder().chunks_mut(2) {
        let words = threefry2x32(key, [block, counter]);
        for (to, word) in pair.iter_mut().zip(words) {
            *to = word;
        }
        block = block.wrapping_add(1);
    }
}

/// The constant that makes the third word of the key schedule.
const PARITY: u32 = 0x1BD1_1BDA;

/// Blocks side by side: `x` and `y` are the two words of each counter.
///
/// The rounds stand one by one, because only distances known to the compiler make the loops over
/// lanes vector instructions. The distances are those of table 2 of Salmon et al. 2011.
#[inline(always)]
fn blocks<const N: usize>(key: [u32; 2], mut x: [u32; N], mut y: [u32; N]) -> ([u32; N], [u32; N]) {
    let (k0, k1, k2) = (key[0], key[1], PARITY ^ key[0] ^ key[1]);
    inject(&mut x, &mut y, k0, k1);
    four_rounds::<N, 13, 15, 26, 6>(&mut x, &mut y);
    inject(&mut x, &mut y, k1, k2.wrapping_add(1));
    four_rounds::<N, 17, 29, 16, 24>(&mut x, &mut y);
    inject(&mut x, &mut y, k2, k0.wrapping_add(2));
    four_rounds::<N, 13, 15, 26, 6>(&mut x, &mut y);
    inject(&mut x, &mut y, k0, k1.wrapping_add(3));
    four_rounds::<N, 17, 29, 16, 24>(&mut x, &mut y);
    inject(&mut x, &mut y, k1, k2.wrapping_add(4));
    four_rounds::<N, 13, 15, 26, 6>(&mut x, &mut y);
    inject(&mut x, &mut y, k2, k0.wrapping_add(5));
    (x, y)
}

#[inline(always)]
fn inject<const N: usize>(x: &mut [u32; N], y: &mut [u32; N], a: u32, b: u32) {
    for lane in 0..N {
        x[lane] = x[lane].wrapping_add(a);
        y[lane] = y[lane].wrapping_add(b);
    }
}

#[inline(always)]
fn four_rounds<const N: usize, const A: u32, const B: u32, const C: u32, const D: u32>(
    x: &mut [u32; N],
    y: &mut [u32; N],
) {
    round::<N, A>(x, y);
    round::<N, B>(x, y);
    round::<N, C>(x, y);
    round::<N, D>(x, y);
}

#[inline(always)]
fn round<const N: usize, const DISTANCE: u32>(x: &mut [u32; N], y: &mut [u32; N]) {
    for lane in 0..N {
        x[lane] = x[lane].wrapping_add(y[lane]);
        y[lane] = y[lane].rotate_left(DISTANCE) ^ x[lane];
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::*;
    use super::*;

    #[test]
    fn threefry_gives_the_known_answers_of_random123() {
        let known = [
            ([0, 0], [0, 0], [0x6b20_0159, 0x99ba_4efe]),
            (
                [u32::MAX, u32::MAX],
                [u32::MAX, u32::MAX],
                [0x1cb9_96fc, 0xbb00_2be7],
            ),
            (
                [0x1319_8a2e, 0x0370_7344],
                [0x243f_6a88, 0x85a3_08d3],
                [0xc492_3a9c, 0x483d_f7a0],
            ),
        ];
        for (key, counter, words) in known {
            assert_eq!(threefry2x32(key, counter), words, "{key:x?} {counter:x?}");
        }
    }

    #[test]
    fn a_stream_is_the_blocks_in_order() {
        let key = [5, 6];
        let all: Vec<u32> = (0..40).flat_map(|j| threefry2x32(key, [j, 7])).collect();
        for n in [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 79, 80] {
            let mut words = vec![0; n];
            random_words(key, 7, &mut words);
            assert_eq!(words, all[..n], "{n} words");
        }
    }

    #[test]
    fn every_pair_of_key_and_counter_is_a_stream() {
        let keys = Array::new([2, 2], vec![1_u32, 2, 3, 4]).unwrap();
        let counters = Array::from([8_u32, 9]);
        let y = apply(RandomBits { shape: [3].into() }, [keys, counters]);
        let (a, b) = (threefry2x32([1, 2], [0, 8]), threefry2x32([1, 2], [1, 8]));
        let (c, d) = (threefry2x32([3, 4], [0, 9]), threefry2x32([3, 4], [1, 9]));
        assert_eq!(y, Array::from([[a[0], a[1], b[0]], [c[0], c[1], d[0]]]));
        let y = apply(
            RandomBits { shape: ().into() },
            [Array::from([1_u32, 2]), Array::scalar(8_u32)],
        );
        assert_eq!(y, Array::scalar(a[0]));
        let y = apply(
            RandomBits { shape: [0].into() },
            [Array::from([1_u32, 2]), Array::scalar(8_u32)],
        );
        assert!(y.is_empty());
    }

    #[test]
    fn checks_keys_and_counters() {
        let u32s = |shape: &[usize]| TensorType::new(DType::U32, shape);
        let op = RandomBits { shape: [3].into() };
        assert_eq!(
            error(op.clone(), [tensor([2]), u32s(&[])]),
            "expected a key and a counter of dtype u32, found f64 and u32"
        );
        for shape in [&[][..], &[3], &[2, 1]] {
            assert_eq!(
                error(op.clone(), [u32s(shape), u32s(&[])]),
                format!(
                    "expected a key whose last axis has length 2, found shape {}",
                    Shape::from(shape)
                )
            );
        }
        assert_eq!(
            error(op, [u32s(&[4, 2]), u32s(&[3])]),
            "expected a counter of shape [4], as the key's without the last axis, found [3]"
        );
        for shape in [[(1 << 33) + 1, 1], [usize::MAX, 2]] {
            let op = RandomBits {
                shape: shape.into(),
            };
            let found = error(op, [u32s(&[2]), u32s(&[])]);
            assert!(
                found.starts_with("expected at most 2^33 words from one key"),
                "{found}"
            );
        }
    }

    #[test]
    fn batches() {
        let op = || RandomBits {
            shape: [3, 1].into(),
        };
        let keys = Array::new([3, 2], vec![1_u32, 2, 3, 4, 5, 6]).unwrap();
        let counters = Array::from([8_u32, 9, 10]);
        let (key, counter) = (Array::from([1_u32, 2]), Array::scalar(8_u32));
        check_batch(op(), vec![keys.clone(), counters.clone()], &[true, true]);
        check_batch(op(), vec![keys, counter], &[true, false]);
        check_batch(op(), vec![key, counters], &[false, true]);
    }

    #[test]
    fn infer_takes_anything() {
        for ty in nasty_types() {
            for a in NASTY {
                let (ty, key) = (
                    ty.with_dtype(DType::U32),
                    TensorType::new(DType::U32, [a, 2]),
                );
                infer(
                    RandomBits {
                        shape: [a, 2].into(),
                    },
                    &[&ty, &ty],
                );
                infer(
                    RandomBits {
                        shape: [a, 2].into(),
                    },
                    &[&key, &TensorType::new(DType::U32, [a])],
                );
            }
        }
    }
}
