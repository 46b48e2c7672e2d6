//! How the numbers of a reduction are joined: pairs, leaves, trees of leaves, open sums.

use crate::jit::LEAF_BYTES;
use crate::number::{Number, Ordered};

/// How two elements are joined.
pub(super) trait Join<S> {
    const START: S;
    fn join(x: S, y: S) -> S;

    /// Eight numbers that stand for those of a leaf.
    #[inline(always)]
    fn lanes<T: Number<Sum = S>>(x: &[T]) -> [S; 8]
    where
        S: Copy,
        Self: Sized,
    {
        lanes::<T, Self>(x)
    }
}

/// Element i is joined with number i mod 8.
#[inline(always)]
fn lanes<T: Number, J: Join<T::Sum>>(x: &[T]) -> [T::Sum; 8] {
    let mut lanes = [J::START; 8];
    let mut chunks = x.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = J::join(*lane, x.widen());
        }
    }
    for (lane, x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = J::join(*lane, x.widen());
    }
    lanes
}

pub(super) struct FloatSum;
/// Sums of f32, of which sixteen and fewer are added as such.
pub(super) struct NarrowSum;
pub(super) struct FloatProduct;
pub(super) struct Largest;
pub(super) struct Smallest;
pub(super) struct IntSum;

macro_rules! joins {
    ($($J:ident $S:ident $start:expr, |$x:ident, $y:ident| $join:expr;)+) => {$(
        impl Join<$S> for $J {
            const START: $S = $start;
            #[inline(always)]
            fn join($x: $S, $y: $S) -> $S {
                $join
            }
        }
    )+};
}

joins! {
    FloatSum f64 0.0, |x, y| x + y;
    FloatProduct f64 1.0, |x, y| x * y;
    Largest f64 f64::NEG_INFINITY, |x, y| x.larger(y);
    Smallest f64 f64::INFINITY, |x, y| x.smaller(y);
    IntSum i64 0, |x, y| x.wrapping_add(y);
}

impl Join<f64> for NarrowSum {
    const START: f64 = FloatSum::START;

    #[inline(always)]
    fn join(x: f64, y: f64) -> f64 {
        FloatSum::join(x, y)
    }

    /// Elements are added in 16 lanes, which is what a vector of 512 bits holds, and then the upper lanes to the lower.
    #[inline(always)]
    fn lanes<T: Number<Sum = f64>>(x: &[T]) -> [f64; 8] {
        let mut lanes = [T::NOTHING; 16];
        let mut chunks = x.chunks_exact(16);
        for chunk in &mut chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = lane.plus(*x);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(chunks.remainder()) {
            *lane = lane.plus(*x);
        }
        std::array::from_fn(|k| Self::join(lanes[k].widen(), lanes[k + 8].widen()))
    }
}

/// A number as 64 bits.
pub(super) trait Bits: Copy {
    fn to_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

impl Bits for f64 {
    fn to_bits(self) -> u64 {
        f64::to_bits(self)
    }
    fn from_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
}

impl Bits for i64 {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> i64 {
        bits as i64
    }
}

/// Joins `n` leaves and writes the result: what pushing each and ending would do, in one.
///
/// # Safety
/// The leaves stand there, and the result has the place.
pub(super) unsafe fn leaves<T: Number, J: Join<T::Sum>>(
    at: *const u8,
    n: usize,
    out: *mut u8,
    place: usize,
) where
    T::Sum: Bits,
{
    // A block has fewer than 2^16 leaves.
    let (mut waiting, mut filled) = ([J::START; 16], 0);
    for leaf in 0..n {
        // SAFETY: the caller's promise.
        let bits = unsafe { at.wrapping_add(leaf * LEAF_BYTES).cast::<u64>().read() };
        let mut sum = T::Sum::from_bits(bits);
        for _ in 0..(leaf + 1).trailing_zeros() {
            filled -= 1;
            sum = J::join(waiting[filled], sum);
        }
        waiting[filled] = sum;
        filled += 1;
    }
    let trees = waiting[..filled].iter().rev().copied();
    let sum = trees.reduce(|sum, partner| J::join(partner, sum));
    // SAFETY: the caller's promise.
    unsafe { (out.cast::<T>().add(place)).write(T::narrow(sum.unwrap_or(J::START))) };
}

pub(super) fn leaf<T: Number, J: Join<T::Sum>>(at: *const u8, n: usize) -> u64
where
    T::Sum: Bits,
{
    joined::<T, J>(at, n)
}

#[cfg(target_arch = "x86_64")]
pub(super) fn leaf_fast<T: Number, J: Join<T::Sum>>(at: *const u8, n: usize) -> u64
where
    T::Sum: Bits,
{
    #[target_feature(enable = "avx2")]
    fn inner<T: Number, J: Join<T::Sum>>(at: *const u8, n: usize) -> u64
    where
        T::Sum: Bits,
    {
        joined::<T, J>(at, n)
    }
    // SAFETY: chosen only where the machine has AVX2.
    unsafe { inner::<T, J>(at, n) }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use self::leaf as leaf_fast;

pub(super) fn add<T: Number, J: Join<T::Sum>>(at: *const u8, sums: *mut u64, n: usize)
where
    T::Sum: Bits,
{
    added::<T, J>(at, sums, n);
}

#[cfg(target_arch = "x86_64")]
pub(super) fn add_fast<T: Number, J: Join<T::Sum>>(at: *const u8, sums: *mut u64, n: usize)
where
    T::Sum: Bits,
{
    #[target_feature(enable = "avx2")]
    fn inner<T: Number, J: Join<T::Sum>>(at: *const u8, sums: *mut u64, n: usize)
    where
        T::Sum: Bits,
    {
        added::<T, J>(at, sums, n);
    }
    // SAFETY: chosen only where the machine has AVX2.
    unsafe { inner::<T, J>(at, sums, n) }
}

#[cfg(target_arch = "x86_64")]
pub(super) fn add_widest<T: Number, J: Join<T::Sum>>(at: *const u8, sums: *mut u64, n: usize)
where
    T::Sum: Bits,
{
    #[target_feature(enable = "avx2,avx512f,avx512dq")]
    fn inner<T: Number, J: Join<T::Sum>>(at: *const u8, sums: *mut u64, n: usize)
    where
        T::Sum: Bits,
    {
        added::<T, J>(at, sums, n);
    }
    // SAFETY: chosen only where the machine has AVX-512.
    unsafe { inner::<T, J>(at, sums, n) }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use self::{add as add_fast, add as add_widest};

/// Adds elements to as many sums of their own width.
pub(super) fn add_narrow<T: Number>(at: *const u8, sums: *mut u8, n: usize) {
    // SAFETY: the caller has written `n` elements there and has as many open sums, apart from them;
    // nothing else uses either meanwhile.
    let (x, sums) = unsafe {
        (
            std::slice::from_raw_parts(at.cast::<T>(), n),
            std::slice::from_raw_parts_mut(sums.cast::<T>(), n),
        )
    };
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum = sum.plus(*x);
    }
}

/// Joins elements with as many open sums.
#[inline(always)]
fn added<T: Number, J: Join<T::Sum>>(at: *const u8, sums: *mut u64, n: usize)
where
    T::Sum: Bits,
{
    // SAFETY: the caller has written `n` elements there and has as many open sums, apart from them;
    // nothing else uses either meanwhile.
    let (x, sums) = unsafe {
        (
            std::slice::from_raw_parts(at.cast::<T>(), n),
            std::slice::from_raw_parts_mut(sums, n),
        )
    };
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum = J::join(T::Sum::from_bits(*sum), x.widen()).to_bits();
    }
}

#[inline(always)]
fn joined<T: Number, J: Join<T::Sum>>(at: *const u8, n: usize) -> u64
where
    T::Sum: Bits,
{
    // SAFETY: the caller has written `n` elements there, which nothing changes meanwhile.
    let x: &[T] = unsafe { std::slice::from_raw_parts(at.cast(), n) };
    together::<_, J>(J::lanes(x)).to_bits()
}

#[inline(always)]
fn together<S, J: Join<S>>([a, b, c, d, e, f, g, h]: [S; 8]) -> S {
    let low = J::join(J::join(a, b), J::join(c, d));
    J::join(low, J::join(J::join(e, f), J::join(g, h)))
}
