//! Fourier transforms.

use super::*;

/// Fourier transforms against the reference, relative to the largest entry of the result.
pub(super) fn transformed(op: impl Into<Op>, dtype: DType, shape: &[usize]) {
    let x = ty(dtype, shape);
    let graph = single(op, std::slice::from_ref(&x)).unwrap();
    let mut numbers = Numbers::new(7);
    let inputs = [numbers.array(&x, Numbers::plain)];
    let (found, expected) = (run(&graph, &inputs), eval(&graph, &inputs).unwrap());
    let size = |a: &Array| (a.scalars()).fold(0.0, |m: f64, s| m.max(s.to_complex().norm()));
    let limit = match dtype.real() {
        DType::F32 => 1e-6,
        _ => 1e-14,
    } * (1.0 + size(&expected[0]));
    assert_eq!(found[0].dtype(), expected[0].dtype());
    assert_eq!(found[0].shape(), expected[0].shape());
    for (f, e) in found[0].scalars().zip(expected[0].scalars()) {
        let off = (f.to_complex() - e.to_complex()).norm();
        assert!(off <= limit, "expected {e}, found {f}\n{graph}");
    }
    // A line with an infinity in it is NaN, and no other.
    if let Some(infinite) = inputs[0].at(0) {
        let infinite = Scalar::from_f64(infinite.dtype(), f64::INFINITY);
        let wild = std::iter::once(infinite).chain(inputs[0].scalars().skip(1));
        let wild = [Array::from_scalars(dtype, shape, wild).unwrap()];
        let (found, expected) = (run(&graph, &wild), eval(&graph, &wild).unwrap());
        for (f, e) in found[0].scalars().zip(expected[0].scalars()) {
            assert_eq!(f.to_complex().is_nan(), e.to_complex().is_nan());
        }
    }
}

pub(super) const TRANSFORMED: &[(&[usize], usize)] = &[
    (&[1], 0),
    (&[2], 0),
    (&[7], 0),
    (&[64], 0),
    (&[1000], 0),
    (&[3, 12], 1),
    (&[12, 3], 0),
    (&[2, 5, 3], 1),
    (&[0, 4], 1),
    (&[2, 101], 1),
];

pub(super) fn fft() {
    for (shape, axis) in TRANSFORMED {
        for dtype in [DType::C64, DType::C128] {
            for inverse in [false, true] {
                let axes = vec![*axis];
                transformed(Fft { axes, inverse }, dtype, shape);
            }
        }
    }
    let (axes, inverse) = (vec![0, 2], false);
    transformed(Fft { axes, inverse }, DType::C128, &[4, 3, 6]);
    let (axes, inverse) = (vec![], true);
    transformed(Fft { axes, inverse }, DType::C128, &[2]);
    let (axes, inverse) = (vec![0, 1], true);
    transformed(Fft { axes, inverse }, DType::C64, &[0, 2]);
}

pub(super) fn rfft() {
    for (shape, axis) in TRANSFORMED {
        for dtype in FLOATS {
            transformed(Rfft { axis: *axis }, *dtype, shape);
        }
    }
}

pub(super) fn irfft() {
    for (shape, axis) in TRANSFORMED {
        for dtype in [DType::C64, DType::C128] {
            let m = shape[*axis];
            for n in [2 * m - 1, 2 * m - 2] {
                if n > 0 {
                    transformed(Irfft { axis: *axis, n }, dtype, shape);
                }
            }
        }
    }
}
