//! Products whose right matrix stands in an array that its rows share: each row begins so many elements
//! behind the array's start, and rows may overlap. So are convolutions of step 1, without a copy of what each
//! place meets.

use super::tile::{Place, Shifted, Target, tile, wide, width_of_few};
use super::vector::Vector;
use super::{Matrix, Out, TERMS};
use crate::RunError;
use crate::number::Number;
use crate::pool::{Shared, Team, share};

/// Columns are divided between threads in multiples of so many.
const GRAIN: usize = 64;

/// Multiplies, without a look at the bounds: rows, columns and terms, the left matrix, the rows of the right
/// one, where the result goes.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<T>(pub(super) Multiply<T>);

type Multiply<T> = unsafe fn([usize; 3], Place<T>, Shifted<T>, Target<T>);

/// out[i, j] = sum over l of a[i, l] * b[shifts[l] + j], for `m` rows and `n` columns, on a machine that has
/// a kernel for it. `work` is about how many nanoseconds that takes.
///
/// # Errors
/// A panic on another thread.
///
/// # Safety
/// The elements of the rows of the result can be read and written, and nobody else does so meanwhile.
pub(in crate::kernels) unsafe fn multiply_shifted<T: Number>(
    [m, n]: [usize; 2],
    a: Matrix<'_, T>,
    (b, shifts): (&[T], &[u32]),
    out: Out<T>,
    work: u64,
    team: &Team,
) -> Result<(), RunError> {
    let Some(kernel) = T::shifted() else {
        return Err(RunError::Plan("this machine has no such product".into()));
    };
    let k = shifts.len();
    if m == 0 || n == 0 {
        return Ok(());
    }
    // Everything below reads and writes through pointers, so this is where bounds are checked.
    let furthest = shifts.iter().max().map_or(0, |shift| *shift as usize);
    let whole = super::holds(out.len, [m, n], [out.step, 1])
        && (k == 0
            || super::holds(a.elements.len(), [m, k], [a.row, a.column])
                && furthest.checked_add(n).is_some_and(|end| end <= b.len()));
    assert!(
        whole && (out.step >= n || m == 1),
        "a product of matrices that are not inside their memory"
    );
    let grains = n.div_ceil(GRAIN);
    let parts = team.parts(work, grains);
    let rows = Shifted {
        start: b.as_ptr(),
        shifts: shifts.as_ptr(),
        lanes: 0,
    };
    let target = Target {
        start: out.start,
        row: out.step,
        add: false,
    };
    // SAFETY: each part writes columns of its own.
    let shared = unsafe { Shared::new((a.place(), rows, target)) };
    team.each(work, parts, |part, _| {
        let (a, rows, target) = *shared.get();
        let grains = share(grains, part, parts);
        let first = grains.start * GRAIN;
        let some = (grains.end * GRAIN).min(n) - first;
        let rows = Shifted {
            start: rows.start.wrapping_add(first),
            ..rows
        };
        // SAFETY: the columns are inside, as was just checked; the caller promises the rest.
        unsafe { (kernel.0)([m, some, k], a, rows, target.from(0, first)) };
        Ok(())
    })
}

/// # Safety
/// The machine has what `V` needs. `m` by `k` elements of `a` can be read, `n` elements behind each of the `k`
/// shifts; `m` by `n` elements of `out` can be read and written and are apart from both.
#[inline(always)]
pub(super) unsafe fn multiply<V: Vector>(
    [m, n, k]: [usize; 3],
    a: Place<V::Element>,
    b: Shifted<V::Element>,
    out: Target<V::Element>,
) {
    let mut l = 0;
    loop {
        let terms = TERMS.min(k - l);
        let a = a.from(0, l);
        let mut j = 0;
        while j < n {
            let b = Shifted {
                start: b.start.wrapping_add(j),
                shifts: b.shifts.wrapping_add(l),
                lanes: V::LANES,
            };
            let out = Target {
                add: l > 0,
                ..out.from(0, j)
            };
            let few = width_of_few(m) * V::LANES;
            // SAFETY: these rows, columns and terms are inside.
            unsafe {
                if m <= 3 && n - j >= few {
                    wide::<V, _>(m, terms, a, b, out);
                    j += few;
                    continue;
                }
                let columns = (2 * V::LANES).min(n - j);
                let mut i = 0;
                while i < m {
                    let rows = V::ROWS.min(m - i);
                    let sizes = [rows, columns, terms];
                    tile::<V, _>(sizes, a.from(i, 0), b, out.from(i, 0));
                    i += rows;
                }
                j += columns;
            }
        }
        l += terms;
        if l >= k {
            return;
        }
    }
}
