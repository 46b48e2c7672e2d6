//! Products of triangular matrices, without what is zero in an operand and what nobody reads of the result.
//!
//! A sum of products begins at zero, and a product of zero with a finite number is a zero that changes none of it: so
//! a product without them has the bits of the whole one, terms in the same order. It is looked for here that they
//! are zeros and meet finite numbers; otherwise the product is done in full.

use std::ops::Range;

use cotangent_compile::{Band, Triangles};

use super::parts::{self, Cut};
use super::tile::Target;
use super::{Batch, Matrix, Means, Out, Product, Way, expect_inside, multiply_all, way};
use crate::RunError;
use crate::number::{Float, Number};
use crate::pool::{Shared, Team, share};

/// The band of no element.
const NOWHERE: Band = Band {
    low: i64::MAX,
    high: i64::MIN,
};

/// Where matrices are other than zero and where the result is read, in rows and columns as the kernels take them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bands {
    pub(super) first: Band,
    pub(super) second: Band,
    pub(super) result: Band,
    /// The number of terms.
    pub(super) count: usize,
}

impl Bands {
    pub(super) fn are_everything(&self) -> bool {
        [self.first, self.second, self.result] == [Band::ALL; 3]
    }

    /// The terms that these rows and columns need.
    pub(super) fn terms(&self, rows: Range<usize>, columns: Range<usize>) -> Range<usize> {
        let [top, left] = [rows.start, columns.start].map(|n| n as i64);
        let [bottom, right] = [rows.end, columns.end].map(|n| n as i64 - 1);
        let unread = right.saturating_sub(top) < self.result.low
            || left.saturating_sub(bottom) > self.result.high;
        if unread {
            return 0..0;
        }
        let from = (top.saturating_add(self.first.low)).max(left.saturating_sub(self.second.high));
        let to = (bottom.saturating_add(self.first.high))
            .min(right.saturating_sub(self.second.low))
            .saturating_add(1);
        let count = self.count as i64;
        let [from, to] = [from, to].map(|term| term.clamp(0, count) as usize);
        from..to.max(from)
    }
}

/// Writes zeros where no term was added.
///
/// # Safety
/// That many rows and columns of the result can be written.
pub(super) unsafe fn clear<T: Number>([rows, columns]: [usize; 2], out: Target<T>) {
    if out.add {
        return;
    }
    for row in 0..rows {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(out.from(row, 0).start, columns).fill(T::NOTHING) };
    }
}

/// [`multiply_all`] of matrices that are expected to be zero outside of bands. Elements of the result that nobody
/// reads hold any numbers.
///
/// # Errors
/// A panic on another thread.
pub(in super::super) fn multiply_triangles<T: Float>(
    sizes: [usize; 3],
    batch: Batch,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    (out, step): (&mut [T], usize),
    triangles: &Triangles,
    means: Means<'_, T>,
) -> Result<(), RunError> {
    let ([m, n, k], last) = (sizes, batch.members.checked_sub(1));
    let way = way::<T>(sizes, [a.row, a.column], [b.row, b.column]);
    let (Way::Tiles(blocks), Some(last), false) = (way, last, sizes.contains(&0)) else {
        return multiply_all(sizes, batch, a, b, out, step, means);
    };
    let out = Out {
        start: out.as_mut_ptr(),
        len: out.len(),
        step,
    };
    expect_inside(sizes, batch, &a, &b, out, last);
    let Means { scratch, team } = means;
    let room = blocks.room(sizes, size_of::<T>());
    assert!(
        room[0] + room[1] <= scratch.len(),
        "too little working memory for a product"
    );
    let team = team.with_room((room[0] + room[1]) * size_of::<T>());
    // SAFETY: results of members are apart, and each thread has memory of its own.
    let shared = unsafe { Shared::new((out.start, scratch.as_mut_ptr())) };
    let one = |member: usize, thread: usize, inner: &Team| {
        let (start, own) = *shared.get();
        let (a, b) = (a.skip(member * batch.a), b.skip(member * batch.b));
        let left: *mut T = team.scratch(thread, own.cast()).cast();
        let product = Product {
            sizes,
            batch: Batch::ONE,
            a: a.place(),
            b: b.place(),
            out: start.wrapping_add(member * batch.out),
            step,
            blocks,
            left,
            right: left.wrapping_add(room[0]),
        };
        let bands = Bands {
            first: expected(triangles.first, &a, &b, [m, n, k]),
            second: expected(
                triangles.second.map(Band::turned),
                &b.transposed(),
                &a.transposed(),
                [n, m, k],
            )
            .turned(),
            result: triangles.result.unwrap_or(Band::ALL),
            count: k,
        };
        let some = Some(&bands).filter(|bands| !bands.are_everything());
        // SAFETY: matrices and working memory were just found large enough, that of other threads too; the
        // borrows say that nothing overlaps what is written.
        unsafe {
            parts::within(&product, some, inner)?;
            // Where all products of a sum were rounded to -0, the zeros behind them decide the sign.
            let behind = bands.first.high < i64::MAX || bands.second.low > i64::MIN;
            let [rows, columns] = if step == n { [1, m * n] } else { [m, n] };
            let row = |i: usize| product.out.wrapping_add(i * step);
            if behind && (0..rows).any(|i| (T::kernels().any)(Look::NegativeZero, row(i), columns))
            {
                parts::within(&product, None, inner)?;
            }
        }
        Ok(())
    };
    match parts::cut(sizes, batch.members, &team) {
        Cut::Members(parts) => {
            team.each(parts::work(sizes, batch.members), parts, |part, thread| {
                let mut members = share(batch.members, part, parts);
                members.try_for_each(|member| one(member, thread, &Team::ALONE))
            })
        }
        Cut::Within => (0..batch.members).try_for_each(|member| one(member, 0, &team)),
        Cut::Whole => (0..batch.members).try_for_each(|member| one(member, 0, &Team::ALONE)),
    }
}

/// The band of the left matrix of a product if there are zeros outside of it that meet finite numbers only.
fn expected<T: Float>(
    band: Option<Band>,
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    [m, n, k]: [usize; 3],
) -> Band {
    match band {
        Some(band)
            if !any_outside(a, [m, k], band, Look::NotZero)
                && !any_outside(b, [k, n], NOWHERE, Look::NotFinite) =>
        {
            band
        }
        _ => Band::ALL,
    }
}

/// Whether there is such an element outside of a band.
pub(super) fn any_outside<T: Float>(
    matrix: &Matrix<'_, T>,
    [rows, columns]: [usize; 2],
    band: Band,
    look: Look,
) -> bool {
    if matrix.column != 1 && matrix.row == 1 {
        return any_outside(&matrix.transposed(), [columns, rows], band.turned(), look);
    }
    let any = T::kernels().any;
    if band == NOWHERE && matrix.column == 1 && matrix.row == columns {
        let all = &matrix.elements[..rows * columns];
        // SAFETY: as below.
        return unsafe { any(look, all.as_ptr(), all.len()) };
    }
    (0..rows).any(|i| {
        let at = |bound: i64| bound.saturating_add(i as i64).clamp(0, columns as i64) as usize;
        let (from, to) = (at(band.low), at(band.high.saturating_add(1)));
        let row = &matrix.elements[i * matrix.row..];
        // Of an empty band the two overlap.
        let parts = [0..from, to.max(from)..columns];
        parts.into_iter().any(|mut some| match matrix.column {
            1 => {
                let some = &row[some];
                // SAFETY: these are the elements of a slice, and the kernels are those of this machine.
                unsafe { any(look, some.as_ptr(), some.len()) }
            }
            step => some.any(|j| look.finds(row[j * step])),
        })
    })
}

/// What elements are looked for.
#[derive(Clone, Copy)]
pub(super) enum Look {
    NotZero,
    NotFinite,
    NegativeZero,
}

impl Look {
    #[inline(always)]
    fn finds<T: Number>(self, x: T) -> bool {
        match self {
            Look::NotZero => x != T::NOTHING,
            // Only a finite number times zero is zero.
            Look::NotFinite => x.times(T::NOTHING) != T::NOTHING,
            Look::NegativeZero => x.is_negative_zero(),
        }
    }
}

/// Elements that are looked at together, so that it goes by vectors.
const TOGETHER: usize = 256;

/// Whether some of these elements are what is looked for.
///
/// # Safety
/// So many elements can be read there.
#[inline(always)]
pub(super) unsafe fn any_in<T: Number>(look: Look, elements: *const T, count: usize) -> bool {
    // SAFETY: the caller's promise.
    let elements = unsafe { std::slice::from_raw_parts(elements, count) };
    match look {
        Look::NotZero => any(elements, |x| Look::NotZero.finds(x)),
        Look::NotFinite => any(elements, |x| Look::NotFinite.finds(x)),
        Look::NegativeZero => any(elements, |x| Look::NegativeZero.finds(x)),
    }
}

#[inline(always)]
fn any<T: Copy>(elements: &[T], is: impl Fn(T) -> bool + Copy) -> bool {
    for some in elements.chunks(TOGETHER) {
        let mut found = false;
        for x in some {
            found |= is(*x);
        }
        if found {
            return true;
        }
    }
    false
}
