//! Every operation that is not pointwise, against the reference evaluator. Moves, integers, maxima
//! and running sums have the same bits; sums and products of floats are close.

mod common;

use std::collections::BTreeSet;

use common::{Numbers, near, run, same_bits, single, ty};
use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_graph::ops::*;
use cotangent_graph::{Op, TensorType, eval};

const NUMBERS: &[DType] = &[
    DType::U8,
    DType::U32,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
];
/// These and complex numbers.
const NUMERIC: &[DType] = &[
    DType::U8,
    DType::U32,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
    DType::C64,
    DType::C128,
];
const FLOATS: &[DType] = &[DType::F32, DType::F64];

/// Tries an operation with operands of these shapes for each dtype: the same bits.
fn exact(op: impl Into<Op>, dtypes: &[DType], shapes: &[&[usize]]) {
    let op = op.into();
    for dtype in dtypes {
        let types: Vec<TensorType> = shapes.iter().map(|s| ty(*dtype, s)).collect();
        let graph = single(op.clone(), &types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
        let mut numbers = Numbers::new(3);
        let inputs: Vec<Array> = types
            .iter()
            .map(|t| numbers.array(t, Numbers::any))
            .collect();
        same_bits(&graph, &inputs);
    }
}

/// Tries an operation that adds: integers have the same bits, floats are near.
fn close(op: impl Into<Op>, dtypes: &[DType], shapes: &[&[usize]]) {
    let op = op.into();
    for dtype in dtypes {
        let types: Vec<TensorType> = shapes.iter().map(|s| ty(*dtype, s)).collect();
        let graph = single(op.clone(), &types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
        let mut numbers = Numbers::new(5);
        let inputs: Vec<Array> = types
            .iter()
            .map(|t| numbers.array(t, Numbers::plain))
            .collect();
        if dtype.is_inexact() {
            near(&graph, &inputs);
        } else {
            same_bits(&graph, &inputs);
        }
    }
}

fn iota() {
    for dtype in NUMBERS {
        exact(
            Iota {
                shape: Shape::from([1200]),
                axis: 0,
                dtype: *dtype,
            },
            &[DType::F64],
            &[],
        );
        exact(
            Iota {
                shape: Shape::from([7, 301, 3]),
                axis: 1,
                dtype: *dtype,
            },
            &[DType::F64],
            &[],
        );
        exact(
            Iota {
                shape: Shape::from([0, 3]),
                axis: 1,
                dtype: *dtype,
            },
            &[DType::F64],
            &[],
        );
    }
}

fn random_bits() {
    for shape in [vec![], vec![1], vec![5], vec![3, 700], vec![0]] {
        let op = RandomBits {
            shape: Shape::from(shape),
        };
        exact(op.clone(), &[DType::U32], &[&[2], &[]]);
        exact(op.clone(), &[DType::U32], &[&[3, 2], &[3]]);
        exact(op, &[DType::U32], &[&[0, 2], &[0]]);
    }
}

fn reshape() {
    exact(
        Reshape {
            shape: Shape::from([6, 2]),
        },
        DType::ALL,
        &[&[3, 4]],
    );
    exact(
        Reshape {
            shape: Shape::from(()),
        },
        DType::ALL,
        &[&[1, 1]],
    );
    exact(
        Reshape {
            shape: Shape::from([0, 2]),
        },
        DType::ALL,
        &[&[4, 0]],
    );
}

fn transpose() {
    exact(Transpose { axes: vec![] }, DType::ALL, &[&[]]);
    exact(Transpose { axes: vec![1, 0] }, DType::ALL, &[&[35, 50]]);
    exact(
        Transpose {
            axes: vec![2, 0, 1],
        },
        DType::ALL,
        &[&[3, 4, 19]],
    );
    exact(
        Transpose {
            axes: vec![0, 3, 2, 1],
        },
        DType::ALL,
        &[&[2, 17, 3, 18]],
    );
    exact(
        Transpose {
            axes: vec![3, 1, 0, 2],
        },
        DType::ALL,
        &[&[2, 3, 1, 5]],
    );
    exact(Transpose { axes: vec![1, 0] }, DType::ALL, &[&[0, 4]]);
}

fn broadcast() {
    let op = |shape: &[usize], dims: &[usize]| Broadcast {
        shape: Shape::from(shape),
        dims: dims.to_vec(),
    };
    exact(op(&[3, 4], &[]), DType::ALL, &[&[]]);
    exact(op(&[3, 4], &[0]), DType::ALL, &[&[3]]);
    exact(op(&[3, 4], &[1]), DType::ALL, &[&[4]]);
    exact(op(&[2, 3, 5, 4], &[1, 3]), DType::ALL, &[&[3, 4]]);
    exact(op(&[0, 4], &[1]), DType::ALL, &[&[4]]);
    exact(op(&[4, 0], &[1]), DType::ALL, &[&[0]]);
}

fn reverse() {
    exact(Reverse { axes: vec![0] }, DType::ALL, &[&[9]]);
    exact(Reverse { axes: vec![0, 2] }, DType::ALL, &[&[3, 4, 5]]);
    exact(Reverse { axes: vec![1] }, DType::ALL, &[&[3, 4, 1]]);
    exact(Reverse { axes: vec![0, 1] }, DType::ALL, &[&[3, 0]]);
}

fn slice() {
    let op = |start: &[usize], limit: &[usize], stride: &[usize]| Slice {
        start: start.to_vec(),
        limit: limit.to_vec(),
        stride: stride.to_vec(),
    };
    exact(op(&[2], &[9], &[1]), DType::ALL, &[&[9]]);
    exact(op(&[1, 0], &[6, 5], &[2, 3]), DType::ALL, &[&[7, 5]]);
    exact(op(&[3, 3], &[3, 5], &[1, 1]), DType::ALL, &[&[7, 5]]);
    exact(
        op(&[6, 0, 1], &[7, 2, 3], &[usize::MAX, 1, 1]),
        DType::ALL,
        &[&[7, 2, 4]],
    );
    exact(op(&[], &[], &[]), DType::ALL, &[&[]]);
}

fn pad() {
    let op = |low: &[usize], high: &[usize], interior: &[usize]| Pad {
        low: low.to_vec(),
        high: high.to_vec(),
        interior: interior.to_vec(),
    };
    exact(op(&[2], &[1], &[0]), DType::ALL, &[&[5], &[]]);
    exact(op(&[1, 0], &[0, 3], &[2, 1]), DType::ALL, &[&[3, 4], &[]]);
    exact(op(&[1, 0], &[0, 3], &[2, 1]), DType::ALL, &[&[1, 4], &[]]);
    exact(op(&[2, 1], &[1, 1], &[3, 3]), DType::ALL, &[&[0, 2], &[]]);
    exact(op(&[0], &[0], &[0]), DType::ALL, &[&[0], &[]]);
    exact(op(&[], &[], &[]), DType::ALL, &[&[], &[]]);
}

fn concat() {
    exact(Concat { axis: 0 }, DType::ALL, &[&[3]]);
    exact(Concat { axis: 0 }, DType::ALL, &[&[3], &[1], &[0], &[4]]);
    exact(
        Concat { axis: 1 },
        DType::ALL,
        &[&[2, 3, 2], &[2, 1, 2], &[2, 5, 2]],
    );
    exact(Concat { axis: 1 }, DType::ALL, &[&[0, 3], &[0, 1]]);
}

/// Arrays of an operation with indices within their axes.
fn indexed(
    op: &Op,
    dtype: DType,
    x: &[usize],
    indices: &[&[usize]],
    index: DType,
    lengths: &[usize],
) {
    let mut types = vec![ty(dtype, x)];
    types.extend(indices.iter().map(|s| ty(index, s)));
    let graph = single(op.clone(), &types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
    let mut numbers = Numbers::new(11);
    let mut inputs = vec![numbers.array(&types[0], Numbers::plain)];
    for (ty, length) in types[1..].iter().zip(lengths) {
        inputs.push(numbers.array(ty, |n, d| {
            Scalar::from_i64(d, n.next() as i64 & (0x7fff_ffff % *length as i64))
        }));
    }
    same_bits(&graph, &inputs);
}

const INTEGERS: &[DType] = &[DType::U8, DType::U32, DType::I32, DType::I64];

fn gather() {
    for index in INTEGERS {
        for dtype in DType::ALL {
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[8],
                &[&[5]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[8, 3],
                &[&[5, 2]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 1, batch: 0 }.into(),
                *dtype,
                &[2, 8, 3],
                &[&[]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 1, batch: 0 }.into(),
                *dtype,
                &[2, 8, 4, 3],
                &[&[5], &[5]],
                *index,
                &[8, 4],
            );
            indexed(
                &Gather { axis: 1, batch: 1 }.into(),
                *dtype,
                &[2, 8, 3],
                &[&[2, 6]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 2, batch: 1 }.into(),
                *dtype,
                &[2, 3, 8],
                &[&[2, 6, 2]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[8, 0],
                &[&[5]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[0, 3],
                &[&[0]],
                *index,
                &[1],
            );
        }
    }
}

fn scatter_add() {
    let op = |shape: &[usize], axis, batch| {
        Op::from(ScatterAdd {
            shape: Shape::from(shape),
            axis,
            batch,
        })
    };
    for index in INTEGERS {
        for dtype in NUMERIC {
            indexed(&op(&[8], 0, 0), *dtype, &[50], &[&[50]], *index, &[8]);
            indexed(
                &op(&[8, 3], 0, 0),
                *dtype,
                &[5, 2, 3],
                &[&[5, 2]],
                *index,
                &[8],
            );
            indexed(
                &op(&[2, 8, 4, 3], 1, 0),
                *dtype,
                &[2, 5, 3],
                &[&[5], &[5]],
                *index,
                &[8, 4],
            );
            indexed(
                &op(&[2, 3, 8], 2, 1),
                *dtype,
                &[2, 3, 6],
                &[&[2, 6]],
                *index,
                &[8],
            );
            indexed(&op(&[8, 0], 0, 0), *dtype, &[5, 0], &[&[5]], *index, &[8]);
            indexed(&op(&[8, 2], 0, 0), *dtype, &[0, 2], &[&[0]], *index, &[8]);
        }
    }
}

/// Shapes and axes that reductions are tried with.
const REDUCED: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[7], &[0]),
    (&[7], &[]),
    (&[4000], &[0]),
    (&[3, 5], &[0]),
    (&[3, 5], &[1]),
    (&[3, 5], &[0, 1]),
    (&[300, 270], &[0]),
    (&[5, 700], &[1]),
    (&[3, 4, 5], &[1]),
    (&[3, 4, 5], &[0, 2]),
    (&[2, 3, 4, 5], &[1, 3]),
    (&[2, 3, 4, 5], &[0, 2]),
    (&[2, 1, 3, 1, 130], &[0, 1, 2]),
    (&[4, 0], &[0]),
];

/// The same with axes of no elements that vanish.
const EMPTY: &[(&[usize], &[usize])] = &[(&[0], &[0]), (&[4, 0], &[1]), (&[4, 0, 3], &[0, 1])];

fn sum() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        close(
            Sum {
                axes: axes.to_vec(),
            },
            NUMERIC,
            &[shape],
        );
    }
}

fn prod() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        close(
            Prod {
                axes: axes.to_vec(),
            },
            NUMERIC,
            &[shape],
        );
    }
}

fn norm() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        close(
            Norm {
                axes: axes.to_vec(),
            },
            FLOATS,
            &[shape],
        );
    }
    // Squares that overflow, vanish, or are not numbers.
    for elements in [
        [1e200, 3e200, -2e200],
        [1e-200, 3e-200, 0.0],
        [5e-324, 0.0, 5e-324],
        [0.0; 3],
        [f64::INFINITY, 1.0, 0.0],
        [f64::NAN, f64::INFINITY, 0.0],
    ] {
        for shape in [vec![3], vec![3, 1], vec![1, 3]] {
            let axis = shape.iter().position(|n| *n == 3).unwrap();
            let graph = single(Norm { axes: vec![axis] }, &[ty(DType::F64, &shape)]).unwrap();
            near(&graph, &[Array::new(shape, elements.to_vec()).unwrap()]);
        }
    }
    let columns = single(Norm { axes: vec![0] }, &[ty(DType::F64, &[2, 3])]).unwrap();
    near(
        &columns,
        &[Array::from([[1e200, 3.0, 1e-200], [1e200, 4.0, 1e-200]])],
    );
}

fn max() {
    for (shape, axes) in REDUCED {
        exact(
            Max {
                axes: axes.to_vec(),
            },
            NUMBERS,
            &[shape],
        );
    }
}

fn min() {
    for (shape, axes) in REDUCED {
        exact(
            Min {
                axes: axes.to_vec(),
            },
            NUMBERS,
            &[shape],
        );
    }
}

fn argmax() {
    for (shape, axis) in PLACES {
        exact(ArgMax { axis: *axis }, NUMBERS, &[shape]);
    }
}

fn argmin() {
    for (shape, axis) in PLACES {
        exact(ArgMin { axis: *axis }, NUMBERS, &[shape]);
    }
}

const PLACES: &[(&[usize], usize)] = &[
    (&[7], 0),
    (&[1], 0),
    (&[3, 5], 0),
    (&[3, 5], 1),
    (&[3, 40, 5], 1),
    (&[4, 0], 0),
    (&[0, 4], 1),
    (&[1, 300], 1),
];

fn any() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        exact(
            Any {
                axes: axes.to_vec(),
            },
            &[DType::Bool],
            &[shape],
        );
    }
}

fn all() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        exact(
            All {
                axes: axes.to_vec(),
            },
            &[DType::Bool],
            &[shape],
        );
    }
}

const RUNNING: &[(&[usize], usize)] = &[
    (&[1], 0),
    (&[700], 0),
    (&[5, 7], 0),
    (&[5, 7], 1),
    (&[2, 3, 300], 1),
    (&[2, 3, 4], 2),
    (&[0], 0),
    (&[3, 0, 2], 1),
    (&[3, 0, 2], 0),
];

fn cumsum() {
    for (shape, axis) in RUNNING {
        for reverse in [false, true] {
            exact(
                CumSum {
                    axis: *axis,
                    reverse,
                },
                NUMERIC,
                &[shape],
            );
        }
    }
}

fn cumprod() {
    for (shape, axis) in RUNNING {
        for reverse in [false, true] {
            exact(
                CumProd {
                    axis: *axis,
                    reverse,
                },
                NUMERIC,
                &[shape],
            );
        }
    }
}

fn recurrence() {
    for (shape, axis) in RUNNING {
        for reverse in [false, true] {
            close(
                Recurrence {
                    axis: *axis,
                    reverse,
                },
                NUMERIC,
                &[shape, shape],
            );
        }
    }
}

fn dot() {
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

struct Filter {
    x: &'static [usize],
    kernel: &'static [usize],
    stride: &'static [usize],
    padding: &'static [(i64, i64)],
    dilation: &'static [usize],
    input_dilation: &'static [usize],
    groups: usize,
}

fn conv() {
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

type Sliding = (
    &'static [usize],
    &'static [usize],
    &'static [usize],
    &'static [(usize, usize)],
    &'static [usize],
);

/// Operand, window, stride, padding, dilation.
const WINDOWS: &[Sliding] = &[
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

fn window_sum() {
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

fn window_max() {
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

fn window_argmax() {
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

/// Fourier transforms against the reference, relative to the largest entry of the result.
fn transformed(op: impl Into<Op>, dtype: DType, shape: &[usize]) {
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

const TRANSFORMED: &[(&[usize], usize)] = &[
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

fn fft() {
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

fn rfft() {
    for (shape, axis) in TRANSFORMED {
        for dtype in FLOATS {
            transformed(Rfft { axis: *axis }, *dtype, shape);
        }
    }
}

fn irfft() {
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

fn argsort() {
    for (shape, axis) in PLACES {
        let n = shape[*axis];
        for (descending, count) in [(false, n), (true, n), (false, n / 2), (true, 1), (false, 0)] {
            let op = ArgSort {
                axis: *axis,
                descending,
                count,
            };
            exact(op, NUMBERS, &[shape]);
        }
    }
}

fn searchsorted() {
    let cases: [(&[usize], &[usize]); 6] = [
        (&[9], &[]),
        (&[9], &[2, 3]),
        (&[0], &[4]),
        (&[2, 5], &[2, 3]),
        (&[2, 3, 4], &[2, 3]),
        (&[0, 3], &[0, 2]),
    ];
    for (sorted, values) in cases {
        for right in [false, true] {
            for dtype in NUMBERS {
                let types = [ty(*dtype, sorted), ty(*dtype, values)];
                let graph = single(SearchSorted { right }, &types).unwrap();
                let mut numbers = Numbers::new(3);
                let [lines, values] = types.map(|t| numbers.array(&t, Numbers::any));
                // In the order of the operation itself.
                let axis = sorted.len() - 1;
                let order = ArgSort {
                    axis,
                    descending: false,
                    count: sorted[axis],
                };
                let order = single(order, &[ty(*dtype, sorted)]).unwrap();
                let at = run(&order, std::slice::from_ref(&lines)).remove(0);
                let n = sorted[axis];
                let picked = at.scalars().enumerate().map(|(i, place)| {
                    let place = i / n.max(1) * n + place.to_i64() as usize;
                    lines.at(place).unwrap()
                });
                let picked: Vec<Scalar> = picked.collect();
                let lines = Array::from_scalars(*dtype, Shape::from(sorted), picked).unwrap();
                same_bits(&graph, &[lines, values]);
            }
        }
    }
}

fn cum_argmax() {
    for (shape, axis) in PLACES {
        for last in [false, true] {
            exact(CumArgMax { axis: *axis, last }, NUMBERS, &[shape]);
        }
    }
}

fn cum_argmin() {
    for (shape, axis) in PLACES {
        for last in [false, true] {
            exact(CumArgMin { axis: *axis, last }, NUMBERS, &[shape]);
        }
    }
}

macro_rules! covered {
    ($($name:ident)+) => {
        const COVERED: &[&str] = &[$(stringify!($name)),+];

        mod operation {
            $(#[test]
            fn $name() {
                super::$name();
            })+
        }
    };
}

covered! {
    iota random_bits reshape transpose broadcast reverse slice pad concat gather scatter_add
    sum prod max min norm argmax argmin any all cumsum cumprod recurrence dot conv
    argsort searchsorted cum_argmax cum_argmin
    window_sum window_max window_argmax fft rfft irfft
}

#[test]
fn every_operation_is_covered() {
    let all: BTreeSet<&str> = ArrayOp::ALL.iter().map(|(name, ..)| *name).collect();
    assert_eq!(all, COVERED.iter().copied().collect());
}

/// A sum does not depend on what stands beside it: the same row gives the same bits.
#[test]
fn sums_are_accurate() {
    let n = 100_000;
    let x = Array::vector(vec![0.1_f32; n]);
    let graph = single(Sum { axes: vec![0] }, &[ty(DType::F32, &[n])]).unwrap();
    let sum = run(&graph, &[x])[0].item::<f32>().unwrap();
    assert_eq!(sum, (0.1_f32 as f64 * n as f64) as f32);
}
