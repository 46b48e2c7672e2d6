//! The vectors that products of matrices are computed with: some bytes of elements of one type.
//!
//! [`Portable`] is written in plain Rust for any machine; [`avx2`] uses the instructions of x86-64
//! with AVX2 and FMA. Both have 32 bytes. The vectors of [`super::avx512`] have 64. Packed panels are as wide
//! for all of them, so blocks and working memory are the same.

use crate::number::Number;

/// Bytes of a vector.
pub(super) const BYTES: usize = 32;

/// A vector of elements, and sums of products in its lanes.
pub(super) trait Vector: Copy {
    type Element: Number;
    /// Sums of products, one for each lane.
    type Sum: Copy;
    /// The vectors that blocks are packed with: those of 32 bytes.
    type Packing: Packing<Element = Self::Element>;
    const LANES: usize = BYTES / size_of::<Self::Element>();
    /// Rows of a tile that is two vectors wide: its sums fit the registers. 1, 2, 3 or 6.
    const ROWS: usize;

    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load(from: *const Self::Element) -> Self;

    /// The first `count` lanes, and zeros.
    ///
    /// # Safety
    /// `count` elements can be read at `from`; `count` is at most `LANES`.
    unsafe fn load_some(from: *const Self::Element, count: usize) -> Self;

    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store(self, to: *mut Self::Element);

    /// The first `count` lanes only.
    ///
    /// # Safety
    /// `count` elements can be written at `to`; `count` is at most `LANES`.
    unsafe fn store_some(self, to: *mut Self::Element, count: usize);

    /// Sums of nothing.
    fn nothing() -> Self::Sum;

    /// Adds the products of the element at `x` with the lanes of `y`.
    ///
    /// # Safety
    /// An element can be read at `x`.
    unsafe fn add_times(sums: Self::Sum, x: *const Self::Element, y: Self) -> Self::Sum;

    fn finish(sums: Self::Sum) -> Self;

    fn plus(self, other: Self) -> Self;
}

/// A vector of 32 bytes, which blocks are packed with.
pub(super) trait Packing: Vector {
    /// Transposes a square of `LANES` by `LANES` elements whose first `rows` rows, `from_step`
    /// elements apart, are read and whose other rows are zeros.
    ///
    /// # Safety
    /// The elements of those rows can be read, and all columns, `to_step` elements apart, written
    /// as rows of `LANES` elements in ascending order.
    unsafe fn transpose(
        from: *const Self::Element,
        from_step: usize,
        rows: usize,
        to: *mut Self::Element,
        to_step: usize,
    );
}

/// A vector which also multiplies lane by lane.
pub(super) trait Lanes: Vector<Sum = Self> {
    /// self * other + sum in each lane.
    fn times_plus(self, other: Self, sum: Self) -> Self;
    fn spread(x: Self::Element) -> Self;
}

/// A vector whose lanes are added up.
pub(super) trait Real: Lanes {
    /// The sum of the lanes in a fixed order.
    fn total(self) -> Self::Element;
}

/// Elements in an array, for machines without vectors that this crate knows.
#[derive(Clone, Copy)]
pub(super) struct Portable<T, const N: usize>([T; N]);

impl<T: Number, const N: usize> Vector for Portable<T, N> {
    type Element = T;
    type Sum = Self;
    type Packing = Self;
    const LANES: usize = N;
    // x86-64 without AVX has 16 registers of 16 bytes, others usually have 32.
    const ROWS: usize = if cfg!(target_arch = "x86_64") { 2 } else { 3 };

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise; arrays of elements may stand wherever elements may.
        unsafe { Portable(from.cast::<[T; N]>().read()) }
    }

    #[inline(always)]
    unsafe fn load_some(from: *const T, count: usize) -> Self {
        let mut lanes = [T::NOTHING; N];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller's promise.
            *lane = unsafe { *from.add(i) };
        }
        Portable(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[T; N]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn store_some(self, to: *mut T, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = lane };
        }
    }

    #[inline(always)]
    fn nothing() -> Self {
        Portable([T::NOTHING; N])
    }

    #[inline(always)]
    unsafe fn add_times(mut sums: Self, x: *const T, y: Self) -> Self {
        // SAFETY: the caller's promise.
        let x = unsafe { *x };
        for (sum, y) in sums.0.iter_mut().zip(y.0) {
            *sum = sum.plus(x.times(y));
        }
        sums
    }

    #[inline(always)]
    fn finish(sums: Self) -> Self {
        sums
    }

    #[inline(always)]
    fn plus(mut self, other: Self) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = x.plus(y);
        }
        self
    }
}

impl<T: Number, const N: usize> Packing for Portable<T, N> {
    #[inline(always)]
    unsafe fn transpose(from: *const T, from_step: usize, rows: usize, to: *mut T, to_step: usize) {
        for column in 0..N {
            let mut lanes = [T::NOTHING; N];
            for (row, lane) in lanes.iter_mut().enumerate().take(rows) {
                // SAFETY: the caller's promise.
                *lane = unsafe { *from.add(row * from_step + column) };
            }
            // SAFETY: the caller's promise.
            unsafe { Portable(lanes).store(to.add(column * to_step)) };
        }
    }
}

impl<T: Number, const N: usize> Lanes for Portable<T, N> {
    #[inline(always)]
    fn times_plus(self, other: Self, mut sum: Self) -> Self {
        for (sum, (x, y)) in sum.0.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            *sum = sum.plus(x.times(y));
        }
        sum
    }

    #[inline(always)]
    fn spread(x: T) -> Self {
        Portable([x; N])
    }
}

impl<T: Number, const N: usize> Real for Portable<T, N> {
    #[inline(always)]
    fn total(self) -> T {
        let mut lanes = self.0;
        let mut width = N;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = lanes[i].plus(lanes[i + width]);
            }
        }
        lanes[0]
    }
}

/// Vectors of AVX2 with FMA. Every function here may only run where both are there: code that uses
/// these types is reached through [`super::Kernels`], which asks the machine first.
#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    use std::arch::x86_64::*;

    use cotangent_array::{Complex32, Complex64};

    use super::{Lanes, Packing, Real, Vector};
    use crate::kernels::transpose::avx2::{square_4, square_8, square_16};

    /// All ones, then zeros: a mask of the first lanes is read from the right place.
    static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    /// The mask of the first `words` words of 4 bytes, at most 8.
    ///
    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn mask(words: usize) -> __m256i {
        // SAFETY: 8 words from place 8 - words on are inside the table.
        unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - words.min(8)).cast()) }
    }

    /// Writes the first `words` words of 4 bytes: masked stores are slow on some machines.
    ///
    /// # Safety
    /// They can be written at `to`, and the machine has AVX2.
    #[inline(always)]
    unsafe fn store_words(x: __m256, to: *mut f32, words: usize) {
        // SAFETY: at most `words` words are written, which the caller promised.
        unsafe {
            if words >= 8 {
                return _mm256_storeu_ps(to, x);
            }
            let (mut to, mut part) = (to, _mm256_castps256_ps128(x));
            if words & 4 != 0 {
                _mm_storeu_ps(to, part);
                (to, part) = (to.add(4), _mm256_extractf128_ps::<1>(x));
            }
            if words & 2 != 0 {
                _mm_storel_pd(to.cast(), _mm_castps_pd(part));
                (to, part) = (to.add(2), _mm_movehl_ps(part, part));
            }
            if words & 1 != 0 {
                _mm_store_ss(to, part);
            }
        }
    }

    macro_rules! moves {
        ($Register:ident, $words:literal, $cast:expr, $back:expr) => {
            #[inline(always)]
            unsafe fn load(from: *const Self::Element) -> Self {
                // SAFETY: the caller's promise, and that of the module.
                unsafe { Self($back(_mm256_loadu_ps(from.cast()))) }
            }

            #[inline(always)]
            unsafe fn load_some(from: *const Self::Element, count: usize) -> Self {
                // SAFETY: lanes that the mask leaves out are not read.
                unsafe { Self($back(_mm256_maskload_ps(from.cast(), mask(count * $words)))) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut Self::Element) {
                // SAFETY: the caller's promise.
                unsafe { _mm256_storeu_ps(to.cast(), $cast(self.0)) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: *mut Self::Element, count: usize) {
                // SAFETY: the caller's promise.
                unsafe { store_words($cast(self.0), to.cast(), count * $words) }
            }
        };
    }

    /// 8 f32.
    #[derive(Clone, Copy)]
    pub(in super::super) struct F32(__m256);

    impl Vector for F32 {
        type Element = f32;
        type Sum = F32;
        type Packing = Self;
        const ROWS: usize = 6;

        moves!(__m256, 1, |x| x, |x| x);

        #[inline(always)]
        fn nothing() -> F32 {
            // SAFETY: the module's promise.
            unsafe { F32(_mm256_setzero_ps()) }
        }

        #[inline(always)]
        unsafe fn add_times(sums: F32, x: *const f32, y: F32) -> F32 {
            // SAFETY: the caller's promise.
            unsafe { F32(_mm256_fmadd_ps(_mm256_broadcast_ss(&*x), y.0, sums.0)) }
        }

        #[inline(always)]
        fn finish(sums: F32) -> F32 {
            sums
        }

        #[inline(always)]
        fn plus(self, other: F32) -> F32 {
            // SAFETY: the module's promise.
            unsafe { F32(_mm256_add_ps(self.0, other.0)) }
        }
    }

    impl Packing for F32 {
        #[inline(always)]
        unsafe fn transpose(from: *const f32, step: usize, rows: usize, to: *mut f32, by: usize) {
            // SAFETY: the caller's promise.
            unsafe { square_4(from, step, rows, to, by) }
        }
    }

    impl Lanes for F32 {
        #[inline(always)]
        fn times_plus(self, other: F32, sum: F32) -> F32 {
            // SAFETY: the module's promise.
            unsafe { F32(_mm256_fmadd_ps(self.0, other.0, sum.0)) }
        }

        #[inline(always)]
        fn spread(x: f32) -> F32 {
            // SAFETY: the module's promise.
            unsafe { F32(_mm256_set1_ps(x)) }
        }
    }

    impl Real for F32 {
        #[inline(always)]
        fn total(self) -> f32 {
            // SAFETY: the module's promise.
            unsafe {
                let (low, high) = (
                    _mm256_castps256_ps128(self.0),
                    _mm256_extractf128_ps::<1>(self.0),
                );
                let four = _mm_add_ps(low, high);
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
            }
        }
    }

    /// 4 f64.
    #[derive(Clone, Copy)]
    pub(in super::super) struct F64(__m256d);

    impl Vector for F64 {
        type Element = f64;
        type Sum = F64;
        type Packing = Self;
        const ROWS: usize = 6;

        moves!(__m256d, 2, _mm256_castpd_ps, _mm256_castps_pd);

        #[inline(always)]
        fn nothing() -> F64 {
            // SAFETY: the module's promise.
            unsafe { F64(_mm256_setzero_pd()) }
        }

        #[inline(always)]
        unsafe fn add_times(sums: F64, x: *const f64, y: F64) -> F64 {
            // SAFETY: the caller's promise.
            unsafe { F64(_mm256_fmadd_pd(_mm256_broadcast_sd(&*x), y.0, sums.0)) }
        }

        #[inline(always)]
        fn finish(sums: F64) -> F64 {
            sums
        }

        #[inline(always)]
        fn plus(self, other: F64) -> F64 {
            // SAFETY: the module's promise.
            unsafe { F64(_mm256_add_pd(self.0, other.0)) }
        }
    }

    impl Packing for F64 {
        #[inline(always)]
        unsafe fn transpose(from: *const f64, step: usize, rows: usize, to: *mut f64, by: usize) {
            // SAFETY: the caller's promise.
            unsafe { square_8(from, step, rows, to, by) }
        }
    }

    impl Lanes for F64 {
        #[inline(always)]
        fn times_plus(self, other: F64, sum: F64) -> F64 {
            // SAFETY: the module's promise.
            unsafe { F64(_mm256_fmadd_pd(self.0, other.0, sum.0)) }
        }

        #[inline(always)]
        fn spread(x: f64) -> F64 {
            // SAFETY: the module's promise.
            unsafe { F64(_mm256_set1_pd(x)) }
        }
    }

    impl Real for F64 {
        #[inline(always)]
        fn total(self) -> f64 {
            // SAFETY: the module's promise.
            unsafe {
                let (low, high) = (
                    _mm256_castpd256_pd128(self.0),
                    _mm256_extractf128_pd::<1>(self.0),
                );
                let two = _mm_add_pd(low, high);
                _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
            }
        }
    }

    /// 4 complex numbers of f32. A sum is two: of the products with real parts and of those with
    /// imaginary ones, put together at the end.
    #[derive(Clone, Copy)]
    pub(in super::super) struct C64(__m256);

    impl Vector for C64 {
        type Element = Complex32;
        type Sum = (__m256, __m256);
        type Packing = Self;
        const ROWS: usize = 3;

        moves!(__m256, 2, |x| x, |x| x);

        #[inline(always)]
        fn nothing() -> Self::Sum {
            // SAFETY: the module's promise.
            unsafe { (_mm256_setzero_ps(), _mm256_setzero_ps()) }
        }

        #[inline(always)]
        unsafe fn add_times(sums: Self::Sum, x: *const Complex32, y: C64) -> Self::Sum {
            // SAFETY: the caller's promise; the parts of a complex number stand side by side.
            unsafe {
                let (re, im) = (_mm256_broadcast_ss(&(*x).re), _mm256_broadcast_ss(&(*x).im));
                (
                    _mm256_fmadd_ps(re, y.0, sums.0),
                    _mm256_fmadd_ps(im, y.0, sums.1),
                )
            }
        }

        #[inline(always)]
        fn finish((by_re, by_im): Self::Sum) -> C64 {
            // SAFETY: the module's promise.
            unsafe { C64(_mm256_addsub_ps(by_re, _mm256_permute_ps::<0xB1>(by_im))) }
        }

        #[inline(always)]
        fn plus(self, other: C64) -> C64 {
            // SAFETY: the module's promise.
            unsafe { C64(_mm256_add_ps(self.0, other.0)) }
        }
    }

    impl Packing for C64 {
        #[inline(always)]
        unsafe fn transpose(
            from: *const Complex32,
            step: usize,
            rows: usize,
            to: *mut Complex32,
            by: usize,
        ) {
            // SAFETY: the caller's promise; an element has 8 bytes and is only moved.
            unsafe { square_8(from.cast(), step, rows, to.cast(), by) }
        }
    }

    /// 2 complex numbers of f64, with sums as above.
    #[derive(Clone, Copy)]
    pub(in super::super) struct C128(__m256d);

    impl Vector for C128 {
        type Element = Complex64;
        type Sum = (__m256d, __m256d);
        type Packing = Self;
        const ROWS: usize = 3;

        moves!(__m256d, 4, _mm256_castpd_ps, _mm256_castps_pd);

        #[inline(always)]
        fn nothing() -> Self::Sum {
            // SAFETY: the module's promise.
            unsafe { (_mm256_setzero_pd(), _mm256_setzero_pd()) }
        }

        #[inline(always)]
        unsafe fn add_times(sums: Self::Sum, x: *const Complex64, y: C128) -> Self::Sum {
            // SAFETY: the caller's promise; the parts of a complex number stand side by side.
            unsafe {
                let (re, im) = (_mm256_broadcast_sd(&(*x).re), _mm256_broadcast_sd(&(*x).im));
                (
                    _mm256_fmadd_pd(re, y.0, sums.0),
                    _mm256_fmadd_pd(im, y.0, sums.1),
                )
            }
        }

        #[inline(always)]
        fn finish((by_re, by_im): Self::Sum) -> C128 {
            // SAFETY: the module's promise.
            unsafe { C128(_mm256_addsub_pd(by_re, _mm256_permute_pd::<0x5>(by_im))) }
        }

        #[inline(always)]
        fn plus(self, other: C128) -> C128 {
            // SAFETY: the module's promise.
            unsafe { C128(_mm256_add_pd(self.0, other.0)) }
        }
    }

    impl Packing for C128 {
        #[inline(always)]
        unsafe fn transpose(
            from: *const Complex64,
            step: usize,
            rows: usize,
            to: *mut Complex64,
            by: usize,
        ) {
            // SAFETY: the caller's promise; a complex number is two f64.
            unsafe { square_16(from.cast(), step, rows, to.cast(), by) }
        }
    }
}
