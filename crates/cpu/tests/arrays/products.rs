//! Products and convolutions.

use super::*;

pub(super) fn dot() {
    type Axes = (&'static [usize], &'static [usize]);
    let op = |contract: Axes, batch: Axes| Dot {
        contract: (contract.0.to_vec(), contract.1.to_vec()),
        batch: (batch.0.to_vec(), batch.1.to_vec()),
    };
    let none: Axes = (&[], &[]);
    type Case = (Axes, Axes, &'static [usize], &'static [usize]);
    let cases: &[Case] = &[
        (none, none, &[], &[]),
        (none, none, &[3], &[]),
        (none, none, &[3], &[4]),
        ((&[0], &[0]), none, &[300], &[300]),
        ((&[1], &[0]), none, &[3, 4], &[4, 5]),
        ((&[0], &[0]), none, &[4, 3], &[4, 5]),
        ((&[1], &[1]), none, &[3, 4], &[5, 4]),
        ((&[0], &[1]), none, &[4, 3], &[5, 4]),
        ((&[1], &[0]), none, &[33, 70], &[70, 41]),
        ((&[0], &[1]), none, &[70, 33], &[41, 70]),
        ((&[1], &[0]), none, &[33, 70], &[70]),
        ((&[0], &[0]), none, &[70, 33], &[70]),
        ((&[0], &[0]), none, &[70], &[70, 33]),
        ((&[0], &[1]), none, &[70], &[33, 70]),
        ((&[1], &[0]), none, &[1, 70], &[70, 1]),
        ((&[1], &[0]), none, &[3, 0], &[0, 5]),
        ((&[1], &[0]), none, &[0, 4], &[4, 5]),
        ((&[2], &[1]), (&[0], &[0]), &[3, 4, 5], &[3, 5, 2]),
        ((&[0], &[1]), (&[2], &[0]), &[5, 4, 3], &[3, 5, 2]),
        ((&[3], &[2]), (&[1, 0], &[0, 1]), &[2, 3, 4, 5], &[3, 2, 5]),
        ((&[0, 1], &[0, 1]), none, &[3, 4, 5], &[3, 4, 6]),
        ((&[1, 0], &[1, 0]), none, &[3, 4, 5], &[3, 4, 6]),
        ((&[0, 1], &[1, 0]), none, &[3, 4, 5], &[4, 3, 6]),
        ((&[1], &[1]), none, &[3, 4, 5], &[6, 4, 7]),
        ((&[0, 2], &[2, 0]), none, &[3, 4, 5], &[5, 6, 3]),
        ((&[1], &[1]), (&[0], &[2]), &[3, 0, 5], &[6, 0, 3]),
        ((&[2], &[1]), (&[0], &[0]), &[0, 4, 5], &[0, 5, 2]),
        // Vectors and matrices whose rows or columns stand apart, and rows of few elements.
        ((&[1], &[2]), (&[0], &[1]), &[9, 3], &[5, 9, 3, 4]),
        ((&[2], &[1]), (&[1], &[0]), &[5, 9, 3, 4], &[9, 3]),
        ((&[1], &[3]), (&[0], &[1]), &[9, 8], &[5, 9, 4, 8]),
        ((&[2], &[1]), (&[0], &[0]), &[9, 21, 4], &[9, 4]),
        ((&[2], &[1]), (&[0], &[0]), &[9, 21, 3], &[9, 3]),
        ((&[1], &[1]), (&[0], &[0]), &[9, 7], &[9, 7]),
        ((&[1], &[1]), (&[0], &[0]), &[70, 3], &[70, 3, 40]),
    ];
    for (contract, batch, x, y) in cases {
        close(op(*contract, *batch), NUMERIC, &[x, y]);
    }
}

pub(super) struct Filter {
    x: &'static [usize],
    kernel: &'static [usize],
    stride: &'static [usize],
    padding: &'static [(i64, i64)],
    dilation: &'static [usize],
    input_dilation: &'static [usize],
    groups: usize,
}

pub(super) fn conv() {
    let cases = [
        // As they stand: with zeros around, without any, cut off, between elements, in groups, along one and
        // three axes.
        Filter {
            x: &[2, 3, 15, 17],
            kernel: &[7, 3, 5, 3],
            stride: &[1, 1],
            padding: &[(2, 1), (0, 4)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[1, 2, 12, 40],
            kernel: &[3, 2, 3, 4],
            stride: &[1, 1],
            padding: &[(0, 0), (0, 0)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[2, 4, 11, 13],
            kernel: &[6, 2, 3, 3],
            stride: &[1, 1],
            padding: &[(-2, 3), (1, -1)],
            dilation: &[1, 2],
            input_dilation: &[1, 1],
            groups: 2,
        },
        Filter {
            x: &[2, 40, 31],
            kernel: &[13, 40, 8],
            stride: &[1],
            padding: &[(3, 3)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        Filter {
            x: &[1, 2, 5, 6, 7],
            kernel: &[4, 2, 3, 2, 3],
            stride: &[1, 1, 1],
            padding: &[(1, 1), (0, 1), (2, 0)],
            dilation: &[1, 1, 1],
            input_dilation: &[1, 1, 1],
            groups: 1,
        },
        // Zeros alone meet the kernel.
        Filter {
            x: &[1, 1, 2],
            kernel: &[2, 1, 2],
            stride: &[1],
            padding: &[(5, -2)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        // Kernels longer than the result.
        Filter {
            x: &[3, 4, 30, 29],
            kernel: &[5, 4, 28, 28],
            stride: &[1, 1],
            padding: &[(1, 0), (1, 1)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[2, 4, 17],
            kernel: &[6, 2, 9],
            stride: &[3],
            padding: &[(2, -1)],
            dilation: &[2],
            input_dilation: &[2],
            groups: 2,
        },
        Filter {
            x: &[2, 3],
            kernel: &[4, 3],
            stride: &[],
            padding: &[],
            dilation: &[],
            input_dilation: &[],
            groups: 1,
        },
        Filter {
            x: &[2, 3, 9],
            kernel: &[4, 3, 3],
            stride: &[1],
            padding: &[(0, 0)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        Filter {
            x: &[1, 1, 400],
            kernel: &[1, 1, 5],
            stride: &[1],
            padding: &[(2, 2)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        Filter {
            x: &[2, 4, 9],
            kernel: &[6, 2, 3],
            stride: &[2],
            padding: &[(1, 2)],
            dilation: &[2],
            input_dilation: &[3],
            groups: 2,
        },
        Filter {
            x: &[2, 3, 8, 7],
            kernel: &[4, 3, 3, 2],
            stride: &[1, 1],
            padding: &[(1, 1), (0, 1)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[2, 4, 8, 7],
            kernel: &[4, 1, 3, 3],
            stride: &[2, 3],
            padding: &[(-1, 2), (3, -2)],
            dilation: &[1, 2],
            input_dilation: &[2, 1],
            groups: 4,
        },
        Filter {
            x: &[3, 8, 5, 5],
            kernel: &[6, 8, 1, 1],
            stride: &[1, 1],
            padding: &[(0, 0), (0, 0)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[3, 8, 5, 5],
            kernel: &[6, 8, 1, 1],
            stride: &[2, 1],
            padding: &[(0, 0), (1, 0)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[1, 16, 40, 41],
            kernel: &[3, 16, 7, 7],
            stride: &[1, 1],
            padding: &[(3, 3), (3, 3)],
            dilation: &[1, 1],
            input_dilation: &[1, 1],
            groups: 1,
        },
        Filter {
            x: &[1, 2, 4, 5, 3],
            kernel: &[2, 2, 2, 3, 2],
            stride: &[1, 2, 1],
            padding: &[(1, 0), (0, 0), (1, 1)],
            dilation: &[1, 1, 1],
            input_dilation: &[1, 1, 2],
            groups: 1,
        },
        Filter {
            x: &[0, 3, 9],
            kernel: &[4, 3, 3],
            stride: &[1],
            padding: &[(0, 0)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        Filter {
            x: &[2, 0, 9],
            kernel: &[4, 0, 3],
            stride: &[1],
            padding: &[(0, 0)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        Filter {
            x: &[2, 3, 9],
            kernel: &[0, 3, 3],
            stride: &[1],
            padding: &[(0, 0)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
        Filter {
            x: &[2, 3, 0],
            kernel: &[4, 3, 3],
            stride: &[1],
            padding: &[(2, 2)],
            dilation: &[1],
            input_dilation: &[1],
            groups: 1,
        },
    ];
    for case in cases {
        let op = Conv {
            stride: case.stride.to_vec(),
            padding: case.padding.to_vec(),
            dilation: case.dilation.to_vec(),
            input_dilation: case.input_dilation.to_vec(),
            groups: case.groups,
        };
        close(op, NUMERIC, &[case.x, case.kernel]);
    }
}
