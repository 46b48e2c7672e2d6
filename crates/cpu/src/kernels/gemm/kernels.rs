//! The kernels for each type of elements, made for the features of the machine.

use cotangent_array::{Complex32, Complex64};

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::blocks::Blocks;
use super::loops::{block, drive};
#[cfg(target_arch = "x86_64")]
use super::tile::Shifted;
use super::tile::{Place, Target};
use super::triangles::{self, Look};
use super::vector::Portable;
#[cfg(target_arch = "x86_64")]
use super::vector::{Vector, avx2};
use super::vectors::{self, Members};
use super::{Product, pack, picked, shifted};

/// Multiplies one block: lengths, blocking, both operands, where the result goes.
type Block<T> = unsafe fn([usize; 3], Blocks, Place<T>, Place<T>, Target<T>);

/// The kernels for elements of one type on this machine.
pub(crate) struct Kernels<T: 'static> {
    pub(super) multiply: unsafe fn(&Product<T>),
    /// See [`pack::left`] and [`pack::right`].
    pub(super) left: unsafe fn([usize; 2], bool, Place<T>, *mut T),
    pub(super) right: unsafe fn(usize, usize, Place<T>, *mut T),
    /// See [`block`].
    pub(super) block: Block<T>,
    /// See [`triangles::any_in`].
    pub(super) any: unsafe fn(Look, *const T, usize) -> bool,
    /// See [`vectors::rows`] and [`vectors::columns`].
    pub(super) rows: Vectors<T>,
    pub(super) columns: Vectors<T>,
    /// See [`picked::sums`].
    pub(super) picked: PickedRows<T>,
}

/// Products with vectors, which stand in straight lines: rows and terms, how many, the first matrix, the first
/// vector.
pub(super) type Vectors<T> = unsafe fn([usize; 2], Members, Place<T>, *const T, Target<T>);

/// Terms and elements of a row, where the rows of all sums begin, the numbers, the array that has the rows, the sums.
pub(super) type PickedRows<T> = unsafe fn([usize; 2], &[u64], *const T, *const T, *mut T);

/// Elements that products of matrices are made of.
pub(crate) trait Factor: Sized + 'static {
    /// The kernels that this machine runs best.
    fn kernels() -> &'static Kernels<Self>;

    /// The kernel for a right matrix whose rows are shifts of one another, where there is one; see
    /// [`shifted::multiply`].
    fn shifted() -> Option<shifted::Kernel<Self>> {
        None
    }
}

/// Whether the machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fast() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Whether the machine has AVX-512, too.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn widest() -> bool {
    is_x86_feature_detected!("avx512f") && fast()
}

/// The kernels of some vectors, whose code is made for these features of the machine.
#[cfg(target_arch = "x86_64")]
macro_rules! kernels {
    ($features:literal, $T:ty, $Tile:ty, $Row:ty, $Column:ty) => {{
        #[target_feature(enable = $features)]
        unsafe fn multiply(product: &Product<$T>) {
            // SAFETY: the caller's promise.
            unsafe { drive::<$Tile>(product) }
        }
        #[target_feature(enable = $features)]
        unsafe fn left(sizes: [usize; 2], last: bool, a: Place<$T>, to: *mut $T) {
            // SAFETY: the caller's promise.
            unsafe { pack::left::<<$Tile as Vector>::Packing>(sizes, last, a, to) }
        }
        #[target_feature(enable = $features)]
        unsafe fn right(k: usize, n: usize, b: Place<$T>, to: *mut $T) {
            // SAFETY: the caller's promise.
            unsafe { pack::right::<<$Tile as Vector>::Packing>(k, n, b, to) }
        }
        #[target_feature(enable = $features)]
        unsafe fn block(
            sizes: [usize; 3],
            blocks: Blocks,
            a: Place<$T>,
            b: Place<$T>,
            out: Target<$T>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { super::loops::block::<$Tile>(sizes, blocks, a, b, out) }
        }
        #[target_feature(enable = $features)]
        unsafe fn any(look: Look, elements: *const $T, count: usize) -> bool {
            // SAFETY: the caller's promise.
            unsafe { triangles::any_in(look, elements, count) }
        }
        #[target_feature(enable = $features)]
        unsafe fn rows(
            sizes: [usize; 2],
            members: Members,
            a: Place<$T>,
            x: *const $T,
            out: Target<$T>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { vectors::rows_of_each::<$Row>(sizes, members, a, x, out) }
        }
        #[target_feature(enable = $features)]
        unsafe fn columns(
            sizes: [usize; 2],
            members: Members,
            a: Place<$T>,
            x: *const $T,
            out: Target<$T>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { vectors::columns_of_each::<$Column>(sizes, members, a, x, out) }
        }
        #[target_feature(enable = $features)]
        unsafe fn picked(
            sizes: [usize; 2],
            starts: &[u64],
            numbers: *const $T,
            array: *const $T,
            out: *mut $T,
        ) {
            // SAFETY: the caller's promise.
            unsafe { picked::sums::<$Tile>(sizes, starts, numbers, array, out) }
        }
        static KERNELS: Kernels<$T> = Kernels {
            multiply,
            left,
            right,
            block,
            any,
            rows,
            columns,
            picked,
        };
        &KERNELS
    }};
}

macro_rules! factors {
    ($($T:ty, $n:literal, $Tile:ty, $Row:ty $(, $Wide:ty)?;)+) => {$(
        impl Factor for $T {
            fn kernels() -> &'static Kernels<$T> {
                type Plain = Portable<$T, $n>;
                static PORTABLE: Kernels<$T> = Kernels {
                    multiply: drive::<Plain>,
                    left: pack::left::<Plain>,
                    right: pack::right::<Plain>,
                    block: block::<Plain>,
                    any: triangles::any_in::<$T>,
                    rows: vectors::rows_of_each::<Plain>,
                    columns: vectors::columns_of_each::<Plain>,
                    picked: picked::sums::<Plain>,
                };
                #[cfg(target_arch = "x86_64")]
                {
                    $(if widest() {
                        return kernels!("avx512f,avx2,fma", $T, $Wide, $Row, $Wide);
                    })?
                    if fast() {
                        return kernels!("avx2,fma", $T, $Tile, $Row, $Row);
                    }
                }
                &PORTABLE
            }

            $(#[cfg(target_arch = "x86_64")]
            fn shifted() -> Option<shifted::Kernel<$T>> {
                #[target_feature(enable = "avx512f,avx2,fma")]
                unsafe fn by_widest(sizes: [usize; 3], a: Place<$T>, b: Shifted<$T>, out: Target<$T>) {
                    // SAFETY: the caller's promise.
                    unsafe { shifted::multiply::<$Wide>(sizes, a, b, out) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn by_fast(sizes: [usize; 3], a: Place<$T>, b: Shifted<$T>, out: Target<$T>) {
                    // SAFETY: the caller's promise.
                    unsafe { shifted::multiply::<$Tile>(sizes, a, b, out) }
                }
                if widest() {
                    return Some(shifted::Kernel(by_widest));
                }
                fast().then_some(shifted::Kernel(by_fast))
            })?
        }
    )+};
}

#[cfg(target_arch = "x86_64")]
factors! {
    f32, 8, avx2::F32, avx2::F32, avx512::F32;
    f64, 4, avx2::F64, avx2::F64, avx512::F64;
    Complex32, 4, avx2::C64, Plain;
    Complex64, 2, avx2::C128, Plain;
    u8, 32, Plain, Plain;
    u32, 8, Plain, Plain;
    i32, 8, Plain, Plain;
    i64, 4, Plain, Plain;
}

#[cfg(not(target_arch = "x86_64"))]
factors! {
    f32, 8, Plain, Plain;
    f64, 4, Plain, Plain;
    Complex32, 4, Plain, Plain;
    Complex64, 2, Plain, Plain;
    u8, 32, Plain, Plain;
    u32, 8, Plain, Plain;
    i32, 8, Plain, Plain;
    i64, 4, Plain, Plain;
}
