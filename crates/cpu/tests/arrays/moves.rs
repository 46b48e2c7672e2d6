//! What only moves elements, and what is made of nothing.

use super::*;

pub(super) fn iota() {
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

pub(super) fn random_bits() {
    for shape in [vec![], vec![1], vec![5], vec![3, 700], vec![0]] {
        let op = RandomBits {
            shape: Shape::from(shape),
        };
        exact(op.clone(), &[DType::U32], &[&[2], &[]]);
        exact(op.clone(), &[DType::U32], &[&[3, 2], &[3]]);
        exact(op, &[DType::U32], &[&[0, 2], &[0]]);
    }
}

pub(super) fn reshape() {
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

pub(super) fn transpose() {
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

pub(super) fn broadcast() {
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

pub(super) fn reverse() {
    exact(Reverse { axes: vec![0] }, DType::ALL, &[&[9]]);
    exact(Reverse { axes: vec![0, 2] }, DType::ALL, &[&[3, 4, 5]]);
    exact(Reverse { axes: vec![1] }, DType::ALL, &[&[3, 4, 1]]);
    exact(Reverse { axes: vec![0, 1] }, DType::ALL, &[&[3, 0]]);
}

pub(super) fn slice() {
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

pub(super) fn pad() {
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

pub(super) fn concat() {
    exact(Concat { axis: 0 }, DType::ALL, &[&[3]]);
    exact(Concat { axis: 0 }, DType::ALL, &[&[3], &[1], &[0], &[4]]);
    exact(
        Concat { axis: 1 },
        DType::ALL,
        &[&[2, 3, 2], &[2, 1, 2], &[2, 5, 2]],
    );
    exact(Concat { axis: 1 }, DType::ALL, &[&[0, 3], &[0, 1]]);
}
