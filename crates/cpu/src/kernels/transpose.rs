//! Transposing of matrices in memory, by squares that stay in vector registers where the machine has
//! them. Elements are only moved, so their size is all that counts.

/// Rows and columns of a matrix, where its rows stand apart by a step in `from`, its columns in `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Elements from one row to the next, each of which is contiguous.
    pub(crate) from: usize,
    /// Elements from one column to the next, each of which is contiguous.
    pub(crate) to: usize,
}

/// Copies the matrix at `from`, contiguous along its rows, to `to`, where it is contiguous along its
/// columns.
///
/// # Safety
/// The matrix can be read at one place and written at the other, and the two are apart.
pub(crate) unsafe fn transpose<T: Copy>(from: *const T, to: *mut T, sheet: Sheet) {
    // SAFETY: the caller's promise; the instructions are there where they are used.
    unsafe {
        match sheet.rows {
            2 => return interleave::<T, 2>(from, to, sheet),
            3 => return interleave::<T, 3>(from, to, sheet),
            4 => return interleave::<T, 4>(from, to, sheet),
            _ => {}
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            match size_of::<T>() {
                4 => return avx2::by_4(from.cast(), to.cast(), sheet),
                8 => return avx2::by_8(from.cast(), to.cast(), sheet),
                16 => return avx2::by_16(from.cast(), to.cast(), sheet),
                _ => {}
            }
        }
        in_squares(from, to, sheet);
    }
}

/// The transposing of a few long rows.
///
/// # Safety
/// That of [`transpose`]; `N` is the number of rows.
unsafe fn interleave<T: Copy, const N: usize>(from: *const T, to: *mut T, sheet: Sheet) {
    for j in 0..sheet.columns {
        for i in 0..N {
            // SAFETY: the caller's promise.
            unsafe { *to.add(j * sheet.to + i) = *from.add(i * sheet.from + j) };
        }
    }
}

/// Side of the squares of [`in_squares`].
const SIDE: usize = 16;

/// # Safety
/// That of [`transpose`].
unsafe fn in_squares<T: Copy>(from: *const T, to: *mut T, sheet: Sheet) {
    for i in (0..sheet.rows).step_by(SIDE) {
        for j in (0..sheet.columns).step_by(SIDE) {
            let (rows, columns) = (SIDE.min(sheet.rows - i), SIDE.min(sheet.columns - j));
            // SAFETY: the square is a part of the matrix.
            unsafe {
                one_by_one(
                    from.add(i * sheet.from + j),
                    to.add(j * sheet.to + i),
                    Sheet {
                        rows,
                        columns,
                        ..sheet
                    },
                );
            }
        }
    }
}

/// # Safety
/// That of [`transpose`].
#[inline(always)]
unsafe fn one_by_one<T: Copy>(from: *const T, to: *mut T, sheet: Sheet) {
    for j in 0..sheet.columns {
        for i in 0..sheet.rows {
            // SAFETY: the caller's promise.
            unsafe { *to.add(j * sheet.to + i) = *from.add(i * sheet.from + j) };
        }
    }
}

/// Squares of AVX2. Every function here may only run on a machine that has it.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    use std::arch::x86_64::*;

    use super::{Sheet, one_by_one};

    macro_rules! sheets {
        ($($name:ident $T:ty, $side:literal, $square:ident;)+) => {$(
            /// # Safety
            /// That of [`super::transpose`], and the machine has AVX2.
            #[target_feature(enable = "avx2")]
            pub(super) unsafe fn $name(from: *const $T, to: *mut $T, sheet: Sheet) {
                const SIDE: usize = $side;
                let whole = [sheet.rows - sheet.rows % SIDE, sheet.columns - sheet.columns % SIDE];
                // A line of 64 bytes of each row is read before the next one.
                let line = 64 / size_of::<$T>();
                // SAFETY: squares and what is left beside them are parts of the matrix.
                unsafe {
                    for first in (0..whole[1]).step_by(line) {
                        for i in (0..whole[0]).step_by(SIDE) {
                            for j in (first..whole[1].min(first + line)).step_by(SIDE) {
                                let (from, to) = (from.add(i * sheet.from + j), to.add(j * sheet.to + i));
                                $square(from, sheet.from, SIDE, to, sheet.to);
                            }
                        }
                    }
                    let right = Sheet { columns: sheet.columns - whole[1], ..sheet };
                    one_by_one(from.add(whole[1]), to.add(whole[1] * sheet.to), right);
                    let below = Sheet { rows: sheet.rows - whole[0], columns: whole[1], ..sheet };
                    one_by_one(from.add(whole[0] * sheet.from), to.add(whole[0]), below);
                }
            }
        )+};
    }

    sheets! {
        by_4 f32, 8, square_4;
        by_8 f64, 4, square_8;
        by_16 [f64; 2], 2, square_16;
    }

    /// Transposes a square of 8 by 8 elements, `step` apart in rows of which the first `rows` are read and
    /// the others zeros; the columns, `by` apart, are written in ascending order.
    ///
    /// # Safety
    /// Those rows can be read and all columns written.
    #[inline(always)]
    pub(crate) unsafe fn square_4(
        from: *const f32,
        step: usize,
        rows: usize,
        to: *mut f32,
        by: usize,
    ) {
        // SAFETY: rows below `rows` are read and columns written, which the caller promised.
        unsafe {
            let mut r = [_mm256_setzero_ps(); 8];
            if rows >= 8 {
                for (i, r) in r.iter_mut().enumerate() {
                    *r = _mm256_loadu_ps(from.add(i * step));
                }
            } else {
                for (i, r) in r.iter_mut().enumerate().take(rows) {
                    *r = _mm256_loadu_ps(from.add(i * step));
                }
            }
            let t = [
                _mm256_unpacklo_ps(r[0], r[1]),
                _mm256_unpackhi_ps(r[0], r[1]),
                _mm256_unpacklo_ps(r[2], r[3]),
                _mm256_unpackhi_ps(r[2], r[3]),
                _mm256_unpacklo_ps(r[4], r[5]),
                _mm256_unpackhi_ps(r[4], r[5]),
                _mm256_unpacklo_ps(r[6], r[7]),
                _mm256_unpackhi_ps(r[6], r[7]),
            ];
            let u = [
                _mm256_shuffle_ps::<0x44>(t[0], t[2]),
                _mm256_shuffle_ps::<0xEE>(t[0], t[2]),
                _mm256_shuffle_ps::<0x44>(t[1], t[3]),
                _mm256_shuffle_ps::<0xEE>(t[1], t[3]),
                _mm256_shuffle_ps::<0x44>(t[4], t[6]),
                _mm256_shuffle_ps::<0xEE>(t[4], t[6]),
                _mm256_shuffle_ps::<0x44>(t[5], t[7]),
                _mm256_shuffle_ps::<0xEE>(t[5], t[7]),
            ];
            for i in 0..4 {
                let column = _mm256_permute2f128_ps::<0x20>(u[i], u[i + 4]);
                _mm256_storeu_ps(to.add(i * by), column);
            }
            for i in 0..4 {
                let column = _mm256_permute2f128_ps::<0x31>(u[i], u[i + 4]);
                _mm256_storeu_ps(to.add((i + 4) * by), column);
            }
        }
    }

    /// [`square_4`] for 4 by 4 elements of 8 bytes.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn square_8(
        from: *const f64,
        step: usize,
        rows: usize,
        to: *mut f64,
        by: usize,
    ) {
        // SAFETY: as above.
        unsafe {
            let mut r = [_mm256_setzero_pd(); 4];
            if rows >= 4 {
                for (i, r) in r.iter_mut().enumerate() {
                    *r = _mm256_loadu_pd(from.add(i * step));
                }
            } else {
                for (i, r) in r.iter_mut().enumerate().take(rows) {
                    *r = _mm256_loadu_pd(from.add(i * step));
                }
            }
            let (a, b) = (
                _mm256_unpacklo_pd(r[0], r[1]),
                _mm256_unpackhi_pd(r[0], r[1]),
            );
            let (c, d) = (
                _mm256_unpacklo_pd(r[2], r[3]),
                _mm256_unpackhi_pd(r[2], r[3]),
            );
            _mm256_storeu_pd(to, _mm256_permute2f128_pd::<0x20>(a, c));
            _mm256_storeu_pd(to.add(by), _mm256_permute2f128_pd::<0x20>(b, d));
            _mm256_storeu_pd(to.add(2 * by), _mm256_permute2f128_pd::<0x31>(a, c));
            _mm256_storeu_pd(to.add(3 * by), _mm256_permute2f128_pd::<0x31>(b, d));
        }
    }

    /// [`square_4`] for 2 by 2 elements of 16 bytes.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn square_16(
        from: *const [f64; 2],
        step: usize,
        rows: usize,
        to: *mut [f64; 2],
        by: usize,
    ) {
        // SAFETY: as above.
        unsafe {
            let mut r = [_mm256_setzero_pd(); 2];
            if rows >= 2 {
                for (i, r) in r.iter_mut().enumerate() {
                    *r = _mm256_loadu_pd(from.add(i * step).cast());
                }
            } else {
                for (i, r) in r.iter_mut().enumerate().take(rows) {
                    *r = _mm256_loadu_pd(from.add(i * step).cast());
                }
            }
            _mm256_storeu_pd(to.cast(), _mm256_permute2f128_pd::<0x20>(r[0], r[1]));
            _mm256_storeu_pd(
                to.add(by).cast(),
                _mm256_permute2f128_pd::<0x31>(r[0], r[1]),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Copy + PartialEq + std::fmt::Debug>(number: impl Fn(usize) -> T) {
        for (rows, columns) in [
            (0, 3),
            (1, 1),
            (4, 9),
            (3, 5),
            (8, 8),
            (9, 17),
            (16, 7),
            (2, 33),
            (37, 41),
        ] {
            let sheet = Sheet {
                rows,
                columns,
                from: columns + 3,
                to: rows + 1,
            };
            let from: Vec<T> = (0..rows * sheet.from).map(&number).collect();
            for squares in [false, true] {
                let mut to = vec![number(9999); columns * sheet.to];
                // SAFETY: both hold the matrix.
                unsafe {
                    match squares {
                        true => in_squares(from.as_ptr(), to.as_mut_ptr(), sheet),
                        false => transpose(from.as_ptr(), to.as_mut_ptr(), sheet),
                    }
                }
                for (at, found) in to.iter().enumerate() {
                    let (j, i) = (at / sheet.to, at % sheet.to);
                    let expected = match i < rows {
                        true => from[i * sheet.from + j],
                        false => number(9999),
                    };
                    assert_eq!(*found, expected, "{rows} {columns} at {i} {j}");
                }
            }
        }
    }

    #[test]
    fn elements_of_every_size_change_places() {
        check(|i| i as u8);
        check(|i| i as u32);
        check(|i| i as u64);
        check(|i| [i as u64, !i as u64]);
    }
}
