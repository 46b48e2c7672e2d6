//! Tests of the moves.

use cotangent_array::DType;

use super::super::checks::*;
use super::*;

#[test]
fn reshape_keeps_the_order() {
    let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let y = apply(
        Reshape {
            shape: [3, 2].into(),
        },
        [x],
    );
    assert_eq!(y, Array::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    let y = apply(Reshape { shape: ().into() }, [Array::from([true])]);
    assert_eq!(y, Array::scalar(true));
    let empty = Array::zeros(DType::F64, [0, 3]).unwrap();
    assert_eq!(
        apply(
            Reshape {
                shape: [7, 0].into()
            },
            [empty]
        )
        .shape(),
        &[7, 0][..]
    );
}

#[test]
fn reshape_needs_as_many_elements() {
    let found = error(Reshape { shape: [4].into() }, [tensor([2, 3])]);
    assert_eq!(
        found,
        "expected a shape of 6 elements to reshape [2, 3] to, found [4] of 4"
    );
    let huge = Reshape {
        shape: [usize::MAX, 2].into(),
    };
    assert!(error(huge, [tensor([2, 3])]).ends_with("of too many to count"));
}

#[test]
fn transpose_moves_axes() {
    let x = Array::from([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]);
    let y = apply(
        Transpose {
            axes: vec![2, 0, 1],
        },
        [x],
    );
    assert_eq!(y, Array::from([[[1.0, 4.0]], [[2.0, 5.0]], [[3.0, 6.0]]]));
    assert_eq!(inverse(&[2, 0, 1]), [1, 2, 0]);
}

#[test]
fn transpose_needs_a_permutation() {
    for axes in [vec![0, 0, 1], vec![0, 1], vec![0, 1, 3], vec![0, 1, 2, 2]] {
        let expected = format!("expected axes to be a permutation of 0..3, found {axes:?}");
        assert_eq!(error(Transpose { axes }, [tensor([2, 3, 4])]), expected);
    }
}

#[test]
fn broadcast_repeats() {
    let x = Array::from([1.0, 2.0]);
    let y = apply(
        Broadcast {
            shape: [2, 2].into(),
            dims: vec![0],
        },
        [x.clone()],
    );
    assert_eq!(y, Array::from([[1.0, 1.0], [2.0, 2.0]]));
    let y = apply(
        Broadcast {
            shape: [2, 2].into(),
            dims: vec![1],
        },
        [x.clone()],
    );
    assert_eq!(y, Array::from([[1.0, 2.0], [1.0, 2.0]]));
    let y = apply(
        Broadcast {
            shape: [0, 2].into(),
            dims: vec![1],
        },
        [x],
    );
    assert_eq!(y, Array::zeros(DType::F64, [0, 2]).unwrap());
    let y = apply(
        Broadcast {
            shape: [2].into(),
            dims: vec![],
        },
        [Array::scalar(3_i64)],
    );
    assert_eq!(y, Array::from([3_i64, 3]));
}

#[test]
fn more_than_memory_is_an_error() {
    let op = Broadcast {
        shape: [1 << 60].into(),
        dims: vec![],
    };
    let found = fails(op, [Array::scalar(1_u8)]);
    assert_eq!(
        found,
        "an array u8[1152921504606846976] does not fit in memory"
    );
}

#[test]
fn broadcast_checks_dims() {
    let cases = [
        (
            vec![0],
            "expected dims to name 2 axes, one for each axis of the operand, found [0]",
        ),
        (
            vec![1, 0],
            "expected dims to be strictly increasing and below 3, found [1, 0]",
        ),
        (
            vec![1, 1],
            "expected dims to be strictly increasing and below 3, found [1, 1]",
        ),
        (
            vec![1, 3],
            "expected dims to be strictly increasing and below 3, found [1, 3]",
        ),
        (
            vec![0, 1],
            "expected axis 0 of [4, 2, 3] to have length 2, as axis 0 of the operand has, \
                 found 4",
        ),
    ];
    for (dims, expected) in cases {
        let op = Broadcast {
            shape: [4, 2, 3].into(),
            dims,
        };
        assert_eq!(error(op, [tensor([2, 3])]), expected);
    }
    let op = Broadcast {
        shape: [usize::MAX, 2, 3].into(),
        dims: vec![1, 2],
    };
    assert!(error(op, [tensor([2, 3])]).contains("larger than memory"));
}

#[test]
fn reverse_runs_backwards() {
    let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let y = apply(Reverse { axes: vec![1] }, [x.clone()]);
    assert_eq!(y, Array::from([[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]));
    let y = apply(Reverse { axes: vec![1, 0] }, [x.clone()]);
    assert_eq!(y, Array::from([[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]));
    assert_eq!(apply(Reverse { axes: vec![] }, [x.clone()]), x);
    let empty = Array::zeros(DType::F64, [0, 3]).unwrap();
    assert_eq!(apply(Reverse { axes: vec![0, 1] }, [empty.clone()]), empty);
}

#[test]
fn reverse_needs_different_axes() {
    for axes in [vec![2], vec![0, 0], vec![usize::MAX]] {
        let expected = format!("expected different axes below 2, found {axes:?}");
        assert_eq!(error(Reverse { axes }, [tensor([2, 3])]), expected);
    }
}

#[test]
fn derivatives_are_linear_and_transpose_back() {
    let x = || vec![numbers([2, 3, 4], 1)];
    check_linear(
        Reshape {
            shape: [6, 4].into(),
        },
        x(),
        &[true],
    );
    check_linear(
        Reshape {
            shape: [2, 3, 4].into(),
        },
        x(),
        &[true],
    );
    check_linear(
        Transpose {
            axes: vec![2, 0, 1],
        },
        x(),
        &[true],
    );
    check_linear(
        Transpose {
            axes: vec![0, 1, 2],
        },
        x(),
        &[true],
    );
    let shape = Shape::from([5, 2, 3, 2, 4]);
    check_linear(
        Broadcast {
            shape,
            dims: vec![1, 2, 4],
        },
        x(),
        &[true],
    );
    check_linear(
        Broadcast {
            shape: [2, 0].into(),
            dims: vec![0],
        },
        vec![numbers([2], 1)],
        &[true],
    );
    check_linear(
        Broadcast {
            shape: [3].into(),
            dims: vec![],
        },
        vec![numbers((), 1)],
        &[true],
    );
    check_linear(Reverse { axes: vec![0, 2] }, x(), &[true]);
    check_linear(
        Reverse { axes: vec![2] },
        vec![numbers([3, 1, 0], 1)],
        &[true],
    );
}

#[test]
fn batches() {
    let x = || vec![numbers([3, 2, 4], 1)];
    check_batch(Reshape { shape: [8].into() }, x(), &[true]);
    check_batch(Transpose { axes: vec![1, 0] }, x(), &[true]);
    check_batch(
        Broadcast {
            shape: [2, 5, 4].into(),
            dims: vec![0, 2],
        },
        x(),
        &[true],
    );
    check_batch(Reverse { axes: vec![1] }, x(), &[true]);
}

#[test]
fn infer_takes_anything() {
    for ty in nasty_types() {
        for a in NASTY {
            for c in NASTY {
                infer(
                    Reshape {
                        shape: [a, c].into(),
                    },
                    &[&ty],
                );
                infer(Transpose { axes: vec![a, c] }, &[&ty]);
                infer(
                    Broadcast {
                        shape: [a, 3, c].into(),
                        dims: vec![a, c],
                    },
                    &[&ty],
                );
                infer(
                    Broadcast {
                        shape: [a, c].into(),
                        dims: vec![0],
                    },
                    &[&ty],
                );
                infer(Reverse { axes: vec![a, c] }, &[&ty]);
            }
        }
    }
}
