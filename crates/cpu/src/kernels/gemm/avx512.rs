//! Vectors of AVX-512, for the tiles of products: as wide as a packed panel. Blocks are packed by the vectors
//! of 32 bytes, into the same places. Each element of a result adds up the same terms in the same order, so
//! its bits are those that every other vector gives.
//!
//! Every function here may only run where AVX-512F is there: code that uses these types is reached through
//! [`super::Kernels`], which asks the machine first.

use std::arch::x86_64::*;

use super::vector::{Lanes, Vector, avx2};

macro_rules! wide {
    ($Name:ident, $T:ty, $Register:ty, $Mask:ty, $lanes:literal, $Packing:ty,
     $load:ident, $load_some:ident, $store:ident, $store_some:ident,
     $zero:ident, $spread:ident, $times_plus:ident, $plus:ident) => {
        /// 64 bytes of numbers.
        #[derive(Clone, Copy)]
        pub(super) struct $Name($Register);

        impl Vector for $Name {
            type Element = $T;
            type Sum = $Name;
            type Packing = $Packing;
            const LANES: usize = $lanes;
            const ROWS: usize = 6;

            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self {
                // SAFETY: the caller's promise, and that of the module.
                unsafe { $Name($load(from)) }
            }

            #[inline(always)]
            unsafe fn load_some(from: *const $T, count: usize) -> Self {
                // SAFETY: lanes that the mask leaves out are not read.
                unsafe { $Name($load_some(first(count) as $Mask, from)) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $T) {
                // SAFETY: the caller's promise.
                unsafe { $store(to, self.0) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: *mut $T, count: usize) {
                // SAFETY: lanes that the mask leaves out are not written.
                unsafe { $store_some(to, first(count) as $Mask, self.0) }
            }

            #[inline(always)]
            fn nothing() -> Self {
                // SAFETY: the module's promise.
                unsafe { $Name($zero()) }
            }

            #[inline(always)]
            unsafe fn add_times(sums: Self, x: *const $T, y: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $Name($times_plus($spread(*x), y.0, sums.0)) }
            }

            #[inline(always)]
            fn finish(sums: Self) -> Self {
                sums
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: the module's promise.
                unsafe { $Name($plus(self.0, other.0)) }
            }
        }

        impl Lanes for $Name {
            #[inline(always)]
            fn times_plus(self, other: Self, sum: Self) -> Self {
                // SAFETY: the module's promise.
                unsafe { $Name($times_plus(self.0, other.0, sum.0)) }
            }

            #[inline(always)]
            fn spread(x: $T) -> Self {
                // SAFETY: the module's promise.
                unsafe { $Name($spread(x)) }
            }
        }
    };
}

/// A mask of the first `count` lanes, at most 16.
#[inline(always)]
fn first(count: usize) -> u32 {
    (1_u32 << count.min(16)) - 1
}

wide!(
    F32,
    f32,
    __m512,
    __mmask16,
    16,
    avx2::F32,
    _mm512_loadu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_storeu_ps,
    _mm512_mask_storeu_ps,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps
);
wide!(
    F64,
    f64,
    __m512d,
    __mmask8,
    8,
    avx2::F64,
    _mm512_loadu_pd,
    _mm512_maskz_loadu_pd,
    _mm512_storeu_pd,
    _mm512_mask_storeu_pd,
    _mm512_setzero_pd,
    _mm512_set1_pd,
    _mm512_fmadd_pd,
    _mm512_add_pd
);
