//! What is joined within windows.

use super::*;

pub(super) type Sliding = (
    &'static [usize],
    &'static [usize],
    &'static [usize],
    &'static [(usize, usize)],
    &'static [usize],
);

/// Operand, window, stride, padding, dilation.
pub(super) const WINDOWS: &[Sliding] = &[
    (&[3, 4], &[], &[], &[], &[]),
    (&[9], &[3], &[1], &[(0, 0)], &[1]),
    (&[700], &[4], &[1], &[(3, 0)], &[1]),
    (&[2, 3, 9], &[3], &[2], &[(1, 1)], &[2]),
    (&[2, 8, 9], &[2, 2], &[2, 2], &[(0, 0), (0, 0)], &[1, 1]),
    (&[2, 8, 9], &[3, 2], &[1, 3], &[(1, 1), (1, 0)], &[2, 1]),
    (
        &[2, 4, 5, 6],
        &[2, 3, 2],
        &[1, 1, 2],
        &[(0, 1), (1, 1), (0, 0)],
        &[1, 1, 2],
    ),
    (&[0, 8], &[2], &[1], &[(0, 0)], &[1]),
];

pub(super) fn window_sum() {
    for (x, window, stride, padding, dilation) in WINDOWS {
        let op = WindowSum {
            window: window.to_vec(),
            stride: stride.to_vec(),
            padding: padding.to_vec(),
            dilation: dilation.to_vec(),
        };
        exact(op, NUMERIC, &[x]);
    }
}

pub(super) fn window_max() {
    for (x, window, stride, padding, dilation) in WINDOWS {
        let op = WindowMax {
            window: window.to_vec(),
            stride: stride.to_vec(),
            padding: padding.to_vec(),
            dilation: dilation.to_vec(),
        };
        exact(op, NUMBERS, &[x]);
    }
    // Windows in the padding have no element.
    let op = WindowMax {
        window: vec![2],
        stride: vec![1],
        padding: vec![(4, 3)],
        dilation: vec![1],
    };
    exact(op, NUMBERS, &[&[2, 3]]);
}

pub(super) fn window_argmax() {
    for (x, window, stride, padding, dilation) in WINDOWS {
        let op = WindowArgMax {
            window: window.to_vec(),
            stride: stride.to_vec(),
            padding: padding.to_vec(),
            dilation: dilation.to_vec(),
        };
        exact(op, NUMBERS, &[x]);
    }
}
