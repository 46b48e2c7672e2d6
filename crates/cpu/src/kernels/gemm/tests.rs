use cotangent_array::{Complex32, Complex64};

#[cfg(target_arch = "x86_64")]
use super::kernels::fast;
use super::loops::drive;
#[cfg(target_arch = "x86_64")]
use super::vector::avx2;
use super::vector::{Portable, Vector};
use super::*;

/// Whole numbers, so that every order of summing gives the same.
fn numbers<T: Number>(n: usize) -> Vec<T> {
    let scalar = |x: i64| T::from_scalar(cotangent_array::Scalar::from_i64(T::DTYPE, x));
    (0..n as i64).map(|i| scalar((i * 7919) % 7)).collect()
}

fn alone<T>(scratch: &mut [T]) -> Means<'_, T> {
    let team = &Team::ALONE;
    Means { scratch, team }
}

fn defined<T: Number>(
    [m, n, k]: [usize; 3],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    i: usize,
    j: usize,
) -> T {
    assert!(i < m && j < n);
    (0..k).fold(T::NOTHING, |sum, l| sum.plus(a.at(i, l).times(b.at(l, j))))
}

fn check<T: Number>(sizes: [usize; 3], extra: usize) {
    let [m, n, k] = sizes;
    let elements =
        |rows: usize, columns: usize| numbers::<T>(9 + 3 * (rows + extra) * (columns + extra));
    let (x, y) = (elements(m, k), elements(k, n));
    for (a_row, a_column) in [(k + extra, 1), (1, m + extra), (2 * k + 1, 2)] {
        for (b_row, b_column) in [(n + extra, 1), (1, k + extra), (3, 3 * k)] {
            let a = Matrix {
                elements: &x[3..],
                row: a_row,
                column: a_column,
            };
            let b = Matrix {
                elements: &y[1..],
                row: b_row,
                column: b_column,
            };
            let step = n + extra;
            let mut out = numbers::<T>(m * step);
            let before = out.clone();
            let room = room::<T>(sizes, [a_row, a_column], [b_row, b_column]);
            let mut scratch = numbers::<T>(room);
            multiply_all(sizes, Batch::ONE, a, b, &mut out, step, alone(&mut scratch)).unwrap();
            for i in 0..m {
                for j in 0..step {
                    let at = i * step + j;
                    let expected = if j < n {
                        defined(sizes, a, b, i, j)
                    } else {
                        before[at]
                    };
                    assert!(out[at] == expected, "{} {sizes:?} at {i} {j}", T::DTYPE);
                }
            }
        }
    }
}

const SIZES: [[usize; 3]; 26] = [
    [1, 1, 1],
    [1, 9, 5],
    [9, 1, 5],
    [9, 1, 133],
    [7, 1, 31],
    [1, 70, 20],
    [1, 29, 5],
    [1, 61, 5],
    // Matrices that leave a near cache.
    [1, 70, 1301],
    [301, 1, 67],
    [2, 2, 2],
    [3, 3, 3],
    [4, 4, 4],
    [5, 7, 3],
    [6, 16, 1],
    [7, 17, 9],
    [12, 8, 4],
    [13, 15, 32],
    [3, 129, 7],
    [2, 65, 11],
    [25, 33, 18],
    [31, 67, 257],
    [6, 24, 513],
    [193, 5, 3],
    [197, 70, 40],
    [3, 8, 0],
];

#[test]
fn products_are_as_defined() {
    for sizes in SIZES {
        for extra in [0, 2] {
            check::<f32>(sizes, extra);
            check::<f64>(sizes, extra);
            check::<Complex32>(sizes, extra);
            check::<Complex64>(sizes, extra);
            check::<i32>(sizes, extra);
            check::<u8>(sizes, extra);
        }
    }
}

#[test]
fn wide_results_have_several_blocks() {
    check::<f64>([3, 1030, 5], 1);
    check::<Complex64>([8, 530, 20], 0);
    check::<f32>([26, 2100, 20], 0);
}

/// The kernels for any machine against those of this one, on the same packed and unpacked blocks.
#[test]
fn the_portable_kernels_agree() {
    fn agree<T: Number, V: Vector<Element = T>>(sizes: [usize; 3]) {
        let [m, n, k] = sizes;
        if m < 2 || n < 2 || k == 0 {
            return;
        }
        let (x, y) = (numbers::<T>(m * k), numbers::<T>(k * n));
        for (a, b) in [([k, 1], [n, 1]), ([1, m], [1, k]), ([k, 1], [1, k])] {
            let blocks = Blocks::new(sizes, a, b, size_of::<T>());
            for (left, right) in [
                (false, b[1] != 1),
                (true, true),
                (false, true),
                (true, b[1] != 1),
            ] {
                let blocks = Blocks {
                    left,
                    right,
                    ..blocks
                };
                let [first, second] = blocks.room(sizes, size_of::<T>());
                let mut scratch = numbers::<T>(first + second);
                let mut out = vec![T::NOTHING; m * n];
                let place = |elements: &[T], [row, column]: [usize; 2]| Place {
                    start: elements.as_ptr(),
                    row,
                    column,
                };
                let product = Product {
                    sizes,
                    batch: Batch {
                        members: 1,
                        a: 0,
                        b: 0,
                        out: 0,
                    },
                    a: place(&x, a),
                    b: place(&y, b),
                    out: out.as_mut_ptr(),
                    step: n,
                    blocks,
                    left: scratch.as_mut_ptr(),
                    right: scratch.as_mut_ptr().wrapping_add(first),
                };
                let matrix = |elements, [row, column]: [usize; 2]| Matrix {
                    elements,
                    row,
                    column,
                };
                let (a, b) = (matrix(&x[..], a), matrix(&y[..], b));
                for kernel in [drive::<V> as unsafe fn(&Product<T>), T::kernels().multiply] {
                    // SAFETY: the matrices are whole and the working memory has the room asked for.
                    unsafe { kernel(&product) };
                    for i in 0..m {
                        for j in 0..n {
                            // SAFETY: inside the result.
                            let found = unsafe { *product.out.add(i * n + j) };
                            let expected = defined(sizes, a, b, i, j);
                            assert!(
                                found == expected,
                                "{} {sizes:?} {blocks:?} {i} {j}",
                                T::DTYPE
                            );
                        }
                    }
                }
            }
        }
    }
    for sizes in SIZES {
        agree::<f32, Portable<f32, 8>>(sizes);
        agree::<f64, Portable<f64, 4>>(sizes);
        agree::<Complex32, Portable<Complex32, 4>>(sizes);
        agree::<Complex64, Portable<Complex64, 2>>(sizes);
    }
}

/// Vectors of any width give the same bits, and so do products whose right matrix is made of shifts.
#[cfg(target_arch = "x86_64")]
#[test]
fn wider_vectors_give_the_same_bits() {
    fn agree<T: Number, V: Vector<Element = T>>([m, n, k]: [usize; 3], number: fn(f64) -> T) {
        let some = |count: usize, by: f64| -> Vec<T> {
            (0..count).map(|i| number((i as f64 * by).sin())).collect()
        };
        let (x, y) = (some(m * k, 0.37), some(k + n, 0.61));
        let a = Matrix {
            elements: &x[..],
            row: k,
            column: 1,
        };
        // Row l begins one element after row l - 1.
        let b = Matrix {
            elements: &y[..],
            row: 1,
            column: 1,
        };
        let blocks = Blocks {
            left: false,
            right: false,
            ..Blocks::new([m, n, k], [k, 1], [1, 1], size_of::<T>())
        };
        let mut narrow = vec![T::NOTHING; m * n];
        let product = Product {
            sizes: [m, n, k],
            batch: Batch::ONE,
            a: a.place(),
            b: b.place(),
            out: narrow.as_mut_ptr(),
            step: n,
            blocks,
            left: std::ptr::null_mut(),
            right: std::ptr::null_mut(),
        };
        // SAFETY: the caller asked the machine; the matrices are whole, and nothing is packed.
        unsafe { drive::<V>(&product) };
        let sizes = [[k, 1], [1, 1]];
        let mut scratch = vec![T::NOTHING; room::<T>([m, n, k], sizes[0], sizes[1])];
        let mut wide = vec![T::NOTHING; m * n];
        multiply_all(
            [m, n, k],
            Batch::ONE,
            a,
            b,
            &mut wide,
            n,
            alone(&mut scratch),
        )
        .unwrap();
        assert!(narrow == wide, "{} {m} {n} {k}", T::DTYPE);
        let shifts: Vec<u32> = (0..k as u32).collect();
        let mut shifted = vec![T::NOTHING; m * n];
        let out = Out {
            start: shifted.as_mut_ptr(),
            len: m * n,
            step: n,
        };
        // SAFETY: the result is borrowed.
        unsafe { multiply_shifted([m, n], a, (&y, &shifts), out, 0, &Team::ALONE).unwrap() };
        assert!(narrow == shifted, "shifted {} {m} {n} {k}", T::DTYPE);
    }
    if !fast() {
        return;
    }
    for sizes in SIZES
        .into_iter()
        .filter(|[m, n, k]| *m > 1 && *n > 1 && *k > 0)
    {
        agree::<f32, avx2::F32>(sizes, |x| x as f32);
        agree::<f64, avx2::F64>(sizes, |x| x);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
#[should_panic = "not inside their memory"]
fn shifts_outside_their_memory_are_refused() {
    let x = [1.0; 8];
    let a = Matrix {
        elements: &x[..],
        row: 4,
        column: 1,
    };
    let mut out = [0.0; 8];
    let out = Out {
        start: out.as_mut_ptr(),
        len: 8,
        step: 4,
    };
    if !fast() {
        panic!("not inside their memory: there is no such product");
    }
    // SAFETY: the result is borrowed.
    unsafe { multiply_shifted([2, 4], a, (&x, &[0, 1, 2, 5]), out, 0, &Team::ALONE).unwrap() };
}

/// What is not finite stays where it belongs: lanes and rows that only fill up a tile add nothing.
#[test]
fn what_is_not_finite_reaches_its_row_and_column_only() {
    for [m, n, k] in [[2, 3, 5], [7, 17, 9], [26, 35, 70], [9, 1, 13], [1, 9, 13]] {
        for special in [f32::NAN, f32::INFINITY] {
            let mut x = vec![1.0_f32; m * k];
            let mut y = vec![1.0_f32; k * n];
            (x[(m - 1) * k + k / 2], y[(k - 1) * n + n / 2]) = (special, special);
            for transposed in [false, true] {
                let turned: Vec<f32> = (0..k * n).map(|i| y[i % k * n + i / k]).collect();
                let (elements, row, column) = match transposed {
                    true => (&turned, 1, k),
                    false => (&y, n, 1),
                };
                let b = Matrix {
                    elements: &elements[..],
                    row,
                    column,
                };
                let a = Matrix {
                    elements: &x[..],
                    row: k,
                    column: 1,
                };
                let mut scratch = vec![f32::NAN; room::<f32>([m, n, k], [k, 1], [row, column])];
                let mut out = vec![0.0; m * n];
                multiply_all(
                    [m, n, k],
                    Batch::ONE,
                    a,
                    b,
                    &mut out,
                    n,
                    alone(&mut scratch),
                )
                .unwrap();
                for (i, found) in out.iter().enumerate() {
                    let meets = i / n == m - 1 || i % n == n / 2;
                    assert_eq!(found.is_finite(), !meets, "{m} {n} {k} at {i}");
                }
            }
        }
    }
}

/// Each element has the bits of its own row and column, wherever it stands in the result.
#[test]
fn bits_do_not_depend_on_the_place() {
    let (n, k) = (37, 300);
    let x: Vec<f32> = (0..k).map(|l| (l as f32 * 0.37).sin()).collect();
    let y: Vec<f32> = (0..k).map(|l| (l as f32 * 0.61).cos()).collect();
    for m in [2, 5, 29, 200] {
        let a = Matrix {
            elements: &x[..],
            row: 0,
            column: 1,
        };
        let b = Matrix {
            elements: &y[..],
            row: 1,
            column: 0,
        };
        let mut scratch = vec![0.0; room::<f32>([m, n, k], [0, 1], [1, 0])];
        let mut out = vec![0.0; m * n];
        multiply_all(
            [m, n, k],
            Batch::ONE,
            a,
            b,
            &mut out,
            n,
            alone(&mut scratch),
        )
        .unwrap();
        assert!(out.iter().all(|x| x.to_bits() == out[0].to_bits()), "{m}");
    }
}

#[test]
fn batches_are_products_one_by_one() {
    for [m, n, k] in [
        [4, 4, 4],
        [1, 5, 3],
        [5, 1, 3],
        [1, 1, 9],
        [7, 17, 3],
        [3, 2, 0],
    ] {
        for (members, shared) in [(0, false), (1, false), (5, false), (3, true)] {
            let batch = Batch {
                members,
                a: m * k + 1,
                b: if shared { 0 } else { k * n },
                out: m * n + 2,
            };
            let x = numbers::<f64>(members * batch.a + m * k);
            let y = numbers::<f64>(members * batch.b + n * k);
            let a = Matrix {
                elements: &x[..],
                row: k,
                column: 1,
            };
            let b = Matrix {
                elements: &y[..],
                row: n,
                column: 1,
            };
            let mut out = vec![-1.0; members * batch.out];
            let mut scratch = vec![0.0; room::<f64>([m, n, k], [k, 1], [n, 1])];
            multiply_all([m, n, k], batch, a, b, &mut out, n, alone(&mut scratch)).unwrap();
            for (at, found) in out.iter().enumerate() {
                let (member, place) = (at / batch.out, at % batch.out);
                let (a, b) = (a.skip(member * batch.a), b.skip(member * batch.b));
                let expected = match place < m * n {
                    true => defined([m, n, k], a, b, place / n, place % n),
                    false => -1.0,
                };
                assert_eq!(*found, expected, "{m} {n} {k} {batch:?} at {at}");
            }
        }
    }
}

#[test]
#[should_panic = "not inside their memory"]
fn products_outside_their_memory_are_refused() {
    let x = [1.0; 9];
    let matrix = Matrix {
        elements: &x[..],
        row: 3,
        column: 1,
    };
    let batch = Batch {
        members: 2,
        a: 1,
        b: 0,
        out: 9,
    };
    let mut out = [0.0; 18];
    multiply_all(
        [3, 3, 3],
        batch,
        matrix,
        matrix,
        &mut out,
        3,
        alone(&mut [0.0; 64]),
    )
    .unwrap();
}
