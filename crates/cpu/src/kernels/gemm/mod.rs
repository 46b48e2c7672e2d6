//! Products of matrices with any strides.
//!
//! Floats and complex numbers are cut into blocks that fit the caches (Goto and van de Geijn, Anatomy
//! of High-Performance Matrix Multiplication, 2008) and into tiles that fit the registers
//! ([`tile`]). Blocks that are read often are packed first ([`pack`]), into working memory that the
//! plan has set aside; small ones are read where they stand. Products with a vector go their own way
//! ([`vectors`]).
//!
//! All cuts follow from shapes and strides alone. Each element of a result is the sum over blocks of
//! the contracted axis of sums in ascending order, so its bits do not depend on where in the result
//! it stands, nor would they on a division of the result between threads.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod by_matrix;
mod by_rows;
mod outer;
mod pack;
mod parts;
mod ready;
mod shifted;
mod tile;
mod triangles;
mod vector;
mod vectors;

use std::ops::Range;

pub(crate) use by_matrix::ByMatrix;
pub(crate) use by_rows::ByRows;
use cotangent_array::{Complex32, Complex64};
use parts::Cut;
pub(super) use ready::Ready;
pub(super) use shifted::multiply_shifted;
use triangles::Look;
pub(super) use triangles::multiply_triangles;

use tile::{PANEL, Place, Shifted, Target, tile, wide, width_of_few};
use vector::{Portable, Vector};
use vectors::Members;

use crate::RunError;
use crate::number::Number;
use crate::pool::{Shared, Team, share};

/// A matrix in memory: the elements from the first one on, and the steps from one row and from one
/// column to the next.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<T: Copy> Matrix<'_, T> {
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> T {
        self.elements[i * self.row + j * self.column]
    }

    fn skip(self, elements: usize) -> Self {
        Matrix {
            elements: &self.elements[elements..],
            ..self
        }
    }

    fn transposed(self) -> Self {
        Matrix {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    fn place(&self) -> Place<T> {
        Place {
            start: self.elements.as_ptr(),
            row: self.row,
            column: self.column,
        }
    }
}

/// Whether a matrix of this many rows and columns, both above 0, with these steps is inside so many
/// elements.
fn holds(len: usize, [rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> bool {
    let down = (rows - 1).checked_mul(row);
    let last = down.and_then(|r| (columns - 1).checked_mul(column)?.checked_add(r));
    last.is_some_and(|last| last < len)
}

/// Terms, rows and bytes of the columns of a block: the right block fits the last cache, the left
/// one the second, and a panel of each the first.
const TERMS: usize = 256;
const ROWS: usize = 192;
const COLUMNS: usize = 4096;
/// Bytes of a row of a panel of the right matrix that was packed: a line of the cache.
const WIDTH: usize = 64;

/// Which matrices are packed, and what memory that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Blocks {
    /// Columns of a block of the right matrix.
    columns: usize,
    left: bool,
    right: bool,
    /// The terms of each panel of a packed left and of a packed right block.
    terms: [usize; 2],
}

impl Blocks {
    /// The blocks for elements of `size` bytes, given the rows' and the columns' steps of both
    /// matrices.
    fn new(
        [m, n, k]: [usize; 3],
        [_, a_column]: [usize; 2],
        [b_row, b_column]: [usize; 2],
        size: usize,
    ) -> Blocks {
        let width = WIDTH / size.max(1);
        // A panel of rows of the right matrix that spans more than a good part of the first cache falls
        // on few of its lines, so reading it again and again takes longer than packing it once. So it
        // is with columns of the left matrix, too; where its rows are contiguous, there must be more
        // to gain.
        let span = b_row.saturating_mul(size).saturating_mul(k);
        let reused = m > 4 * PANEL && span > 16 * 1024 && k > 16;
        let right = b_column != 1 || reused;
        let scattered = a_column != 1 && m > 2 * PANEL && n > 2 * width;
        let large = m.saturating_mul(k).saturating_mul(size) > 64 * 1024 && n > 12 * width;
        let left = (scattered || large) && k > 16;
        Blocks {
            columns: (COLUMNS / size.max(1)).next_multiple_of(width),
            left,
            right,
            terms: [0; 2],
        }
    }

    /// Elements of working memory for the packed left and right block.
    fn room(&self, [m, n, k]: [usize; 3], size: usize) -> [usize; 2] {
        let width = WIDTH / size.max(1);
        let terms = k.min(TERMS);
        let left = m.min(ROWS).next_multiple_of(PANEL) * terms + pack::BEHIND;
        let right = n.min(self.columns).next_multiple_of(width) * terms;
        [
            if self.left {
                left.next_multiple_of(64)
            } else {
                0
            },
            if self.right { right } else { 0 },
        ]
    }
}

/// How a product goes.
#[derive(Clone, Copy)]
enum Way {
    /// The result has one column, or one row.
    Column,
    Row,
    Tiles(Blocks),
}

fn way<T>(sizes: [usize; 3], a: [usize; 2], b: [usize; 2]) -> Way {
    let [m, n, _] = sizes;
    if n == 1 {
        Way::Column
    } else if m == 1 {
        Way::Row
    } else {
        Way::Tiles(Blocks::new(sizes, a, b, size_of::<T>()))
    }
}

/// Elements of working memory that a product wants, given the steps of rows and columns of both
/// matrices.
pub(super) fn room<T>(sizes: [usize; 3], a: [usize; 2], b: [usize; 2]) -> usize {
    match way::<T>(sizes, a, b) {
        Way::Tiles(blocks) => blocks.room(sizes, size_of::<T>()).iter().sum(),
        // A vector whose elements do not stand side by side is copied.
        Way::Column if b[0] != 1 => sizes[2],
        Way::Row if a[1] != 1 => sizes[2],
        Way::Column | Way::Row => 0,
    }
}

/// What a product works with: the caller's memory, which has [`room`] for it, and a team whose other
/// threads have as much each.
pub(super) struct Means<'a, T> {
    pub(super) scratch: &'a mut [T],
    pub(super) team: &'a Team,
}

/// Products of several pairs of matrices: how many, and the steps from one to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) members: usize,
    pub(super) a: usize,
    pub(super) b: usize,
    /// At least the elements of a result.
    pub(super) out: usize,
}

impl Batch {
    /// One product.
    pub(super) const ONE: Batch = Batch {
        members: 1,
        a: 0,
        b: 0,
        out: 0,
    };
}

/// out[i, j] = sum over l of a[i, l] * b[l, j] for `m` rows and `n` columns, `k` terms each, for every
/// member of a batch; `a`, `b` and `out` begin with the first one. Rows of the result are `step` elements
/// apart and contiguous in themselves.
///
/// # Errors
/// A panic on another thread.
pub(super) fn multiply_all<T: Number>(
    sizes: [usize; 3],
    batch: Batch,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    step: usize,
    means: Means<'_, T>,
) -> Result<(), RunError> {
    let out = Out {
        start: out.as_mut_ptr(),
        len: out.len(),
        step,
    };
    // SAFETY: the result is borrowed.
    unsafe { multiply_at(sizes, batch, a, b, out, means) }
}

/// Where a result stands: so many elements, of which rows that are `step` apart are written. It is no
/// slice, since others may at the same time write elements between the rows.
#[derive(Clone, Copy)]
pub(super) struct Out<T> {
    pub(super) start: *mut T,
    pub(super) len: usize,
    pub(super) step: usize,
}

/// [`multiply_all`] for a result that is no slice.
///
/// # Errors
/// A panic on another thread.
///
/// # Safety
/// The elements of the rows of the result can be read and written, and nobody else does so meanwhile.
pub(super) unsafe fn multiply_at<T: Number>(
    [m, n, k]: [usize; 3],
    batch: Batch,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: Out<T>,
    means: Means<'_, T>,
) -> Result<(), RunError> {
    let step = out.step;
    let Some(last) = batch.members.checked_sub(1) else {
        return Ok(());
    };
    if m == 0 || n == 0 {
        return Ok(());
    }
    expect_inside([m, n, k], batch, &a, &b, out, last);
    let sizes = [m, n, k];
    let Means { scratch, team } = means;
    match way::<T>(sizes, [a.row, a.column], [b.row, b.column]) {
        Way::Tiles(blocks) if k > 0 => {
            let [left, right] = blocks.room(sizes, size_of::<T>());
            assert!(
                left + right <= scratch.len(),
                "too little working memory for a product"
            );
            let product = Product {
                sizes,
                batch,
                a: a.place(),
                b: b.place(),
                out: out.start,
                step,
                blocks,
                left: scratch.as_mut_ptr(),
                right: scratch.as_mut_ptr().wrapping_add(left),
            };
            let team = team.with_room((left + right) * size_of::<T>());
            // SAFETY: matrices and working memory were just found large enough, that of other threads too;
            // the borrows and the caller say that nothing overlaps what is written.
            unsafe {
                match parts::cut(sizes, batch.members, &team) {
                    Cut::Whole => (T::kernels().multiply)(&product),
                    Cut::Members(parts) => return parts::by_members(&product, &team, parts),
                    Cut::Within => return parts::within(&product, None, &team),
                }
            }
            Ok(())
        }
        Way::Tiles(_) => {
            for member in 0..batch.members {
                for row in 0..m {
                    let at = out.start.wrapping_add(member * batch.out + row * step);
                    // SAFETY: the row was just found inside; nothing else uses it.
                    unsafe { std::slice::from_raw_parts_mut(at, n).fill(T::NOTHING) };
                }
            }
            Ok(())
        }
        way => {
            let turned = matches!(way, Way::Row);
            let room = room::<T>(sizes, [a.row, a.column], [b.row, b.column]);
            assert!(
                room <= scratch.len(),
                "too little working memory for a product"
            );
            let team = &team.with_room(room * size_of::<T>());
            // SAFETY: results of members are apart, and each thread has memory of its own.
            let shared = unsafe { Shared::new((out.start, scratch.as_mut_ptr())) };
            let one = |member: usize, thread: usize, inner: &Team| {
                let (start, own) = *shared.get();
                let (a, b) = (a.skip(member * batch.a), b.skip(member * batch.b));
                let target = Target {
                    start: start.wrapping_add(member * batch.out),
                    row: if turned { 1 } else { step },
                    add: false,
                };
                let scratch: *mut T = team.scratch(thread, own.cast()).cast();
                // SAFETY: every thread has as much working memory as the caller, of its own; the
                // matrices were just found inside their memory.
                unsafe {
                    let scratch = std::slice::from_raw_parts_mut(scratch, room);
                    let team = inner;
                    let means = Means { scratch, team };
                    match turned {
                        true => vectors::times_vector([n, k], b.transposed(), a, target, means),
                        false => vectors::times_vector([m, k], a, b.transposed(), target, means),
                    }
                }
            };
            let some = |mut members: Range<usize>, thread: usize| {
                let (start, _) = *shared.get();
                let (a, b) = (
                    a.skip(members.start * batch.a),
                    b.skip(members.start * batch.b),
                );
                let target = Target {
                    start: start.wrapping_add(members.start * batch.out),
                    row: if turned { 1 } else { step },
                    add: false,
                };
                let (matrix, vector, rows, steps) = match turned {
                    true => (b.transposed(), a, n, [batch.b, batch.a]),
                    false => (a, b.transposed(), m, [batch.a, batch.b]),
                };
                let all = Members {
                    count: members.len(),
                    a: steps[0],
                    x: steps[1],
                    out: batch.out,
                };
                // SAFETY: as above.
                match unsafe { vectors::times_vectors([rows, k], all, matrix, vector, target) } {
                    true => Ok(()),
                    false => members.try_for_each(|member| one(member, thread, &Team::ALONE)),
                }
            };
            match parts::cut_vectors::<T>(sizes, batch.members, team) {
                Cut::Within => (0..batch.members).try_for_each(|member| one(member, 0, team)),
                Cut::Whole => some(0..batch.members, 0),
                Cut::Members(parts) => {
                    let work = parts::work_of_vectors::<T>(sizes, batch.members);
                    team.each(work, parts, |part, thread| {
                        some(share(batch.members, part, parts), thread)
                    })
                }
            }
        }
    }
}

/// Everything else reads and writes through pointers, so this is where bounds are checked. There are rows and
/// columns, and so many members behind the first.
#[inline(always)]
fn expect_inside<T>(
    [m, n, k]: [usize; 3],
    batch: Batch,
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    out: Out<T>,
    last: usize,
) {
    let inside = |len: usize, by: usize, sizes: [usize; 2], steps: [usize; 2]| {
        let first = by.checked_mul(last)?;
        holds(len.checked_sub(first)?, sizes, steps).then_some(())
    };
    let apart = out.step >= n || m == 1;
    let whole = inside(out.len, batch.out, [m, n], [out.step, 1]).is_some()
        && (k == 0
            || inside(a.elements.len(), batch.a, [m, k], [a.row, a.column]).is_some()
                && inside(b.elements.len(), batch.b, [k, n], [b.row, b.column]).is_some());
    assert!(
        whole && apart,
        "a product of matrices that are not inside their memory"
    );
}

/// A product of matrices in memory that has been checked.
pub(crate) struct Product<T> {
    sizes: [usize; 3],
    batch: Batch,
    a: Place<T>,
    b: Place<T>,
    out: *mut T,
    step: usize,
    blocks: Blocks,
    left: *mut T,
    right: *mut T,
}

/// Multiplies one block: lengths, blocking, both operands, where the result goes.
type Block<T> = unsafe fn([usize; 3], Blocks, Place<T>, Place<T>, Target<T>);

/// The kernels for elements of one type on this machine.
pub(crate) struct Kernels<T: 'static> {
    multiply: unsafe fn(&Product<T>),
    /// See [`pack::left`] and [`pack::right`].
    left: unsafe fn([usize; 2], bool, Place<T>, *mut T),
    right: unsafe fn(usize, usize, Place<T>, *mut T),
    /// See [`block`].
    block: Block<T>,
    /// See [`triangles::any_in`].
    any: unsafe fn(Look, *const T, usize) -> bool,
    /// See [`vectors::rows`] and [`vectors::columns`].
    rows: Vectors<T>,
    columns: Vectors<T>,
}

/// Products with vectors, which stand in straight lines: rows and terms, how many, the first matrix, the first
/// vector.
type Vectors<T> = unsafe fn([usize; 2], Members, Place<T>, *const T, Target<T>);

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

/// # Safety
/// The machine has what `V` needs, and the product's memory is as [`multiply_at`] checked.
#[inline(always)]
unsafe fn drive<V: Vector>(product: &Product<V::Element>) {
    let ([m, n, k], blocks, batch) = (product.sizes, product.blocks, product.batch);
    let small = m <= ROWS && n <= blocks.columns && k <= TERMS && !blocks.left && !blocks.right;
    for member in 0..batch.members {
        let a = product.a.skip(member * batch.a);
        let b = product.b.skip(member * batch.b);
        let out = Target {
            start: product.out.wrapping_add(member * batch.out),
            row: product.step,
            add: false,
        };
        // SAFETY: all members are inside the memory of their operands.
        unsafe {
            if small {
                block::<V>([m, n, k], blocks, a, b, out);
            } else {
                in_blocks::<V>(product, a, b, out);
            }
        }
    }
}

/// # Safety
/// As for [`drive`], for the matrices of one member of the batch.
#[inline(always)]
unsafe fn in_blocks<V: Vector>(
    product: &Product<V::Element>,
    left: Place<V::Element>,
    right: Place<V::Element>,
    result: Target<V::Element>,
) {
    let ([m, n, k], mut blocks) = (product.sizes, product.blocks);
    // Not `step_by`, which divides: small products are over by then.
    let mut j = 0;
    while j < n {
        let columns = blocks.columns.min(n - j);
        let mut l = 0;
        while l < k {
            let terms = TERMS.min(k - l);
            blocks.terms = [terms; 2];
            let mut b = right.from(l, j);
            if blocks.right {
                // SAFETY: the working memory has room for a block.
                unsafe { pack::right::<V::Packing>(terms, columns, b, product.right) };
                b = Place {
                    start: product.right,
                    row: WIDTH / size_of::<V::Element>(),
                    column: terms,
                };
            }
            let mut i = 0;
            while i < m {
                let rows = ROWS.min(m - i);
                let mut a = left.from(i, l);
                if blocks.left {
                    // SAFETY: as above.
                    unsafe { pack::left::<V::Packing>([rows, terms], true, a, product.left) };
                    a = Place {
                        start: product.left,
                        row: 1,
                        column: PANEL,
                    };
                }
                let out = Target {
                    add: l > 0,
                    ..result.from(i, j)
                };
                // SAFETY: blocks are inside the matrices.
                unsafe { block::<V>([rows, columns, terms], blocks, a, b, out) };
                i += ROWS;
            }
            l += TERMS;
        }
        j += blocks.columns;
    }
}

/// The product of a block of each matrix. A packed right block has as `column` the terms of its panels.
///
/// # Safety
/// That of [`tile()`] for all tiles.
#[inline(always)]
unsafe fn block<V: Vector>(
    [rows, columns, terms]: [usize; 3],
    blocks: Blocks,
    a: Place<V::Element>,
    b: Place<V::Element>,
    out: Target<V::Element>,
) {
    if terms == 1 && !blocks.left && !blocks.right && !out.add {
        // SAFETY: the blocks are inside the matrices; rows of the right one stand in a straight line.
        return unsafe { outer::outer::<V>([rows, columns], a, b.start, out) };
    }
    let width = 2 * V::LANES;
    let panel = WIDTH / size_of::<V::Element>();
    // The vectors of a tile stand side by side, unless each is in a panel of its own.
    let apart = match blocks.right && V::LANES == panel {
        true => panel * blocks.terms[1],
        false => V::LANES,
    };
    let mut j = 0;
    // Two sums for each element of a tile of complex numbers would not fit the registers.
    if rows <= 3 && V::ROWS >= 6 && !blocks.right {
        let width = width_of_few(rows) * V::LANES;
        while columns - j >= width {
            // SAFETY: these rows and columns are inside the blocks.
            unsafe { wide::<V, _>(rows, terms, a, b.from(0, j).rows(apart), out.from(0, j)) };
            j += width;
        }
    }
    while j < columns {
        let some = width.min(columns - j);
        let b = b.from(0, j).rows(apart);
        let mut i = 0;
        while i < rows {
            // A packed left block is cut at its panels, of which `ROWS` is a part.
            let few = V::ROWS.min(rows - i);
            let a = if blocks.left {
                Place {
                    start: (a.start).wrapping_add(i / PANEL * PANEL * blocks.terms[0] + i % PANEL),
                    ..a
                }
            } else {
                a.from(i, 0)
            };
            // SAFETY: these rows and columns are inside the blocks.
            unsafe { tile::<V, _>([few, some, terms], a, b, out.from(i, j)) };
            i += few;
        }
        j += width;
    }
}

/// Whether the machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fast() -> bool {
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
            unsafe { super::gemm::block::<$Tile>(sizes, blocks, a, b, out) }
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
        static KERNELS: Kernels<$T> = Kernels {
            multiply,
            left,
            right,
            block,
            any,
            rows,
            columns,
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
use vector::avx2;

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

#[cfg(test)]
mod tests;
