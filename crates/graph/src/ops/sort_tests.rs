//! Tests of sorting.

use cotangent_array::{Array, DType};

use super::*;
use crate::ops::checks::{apply, check_batch, error, infer, nasty_types, numbers, tensor};
use crate::ops::tangents::check_after_error;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn argsort(axis: usize, descending: bool, count: usize) -> ArgSort {
    ArgSort {
        axis,
        descending,
        count,
    }
}

#[test]
fn nan_is_above_every_number_and_ties_keep_their_order() {
    let x = [Array::from([2.0, NAN, 0.0, INF, -0.0, -INF, NAN, 2.0])];
    assert_eq!(
        apply(argsort(0, false, 8), &x),
        Array::from([5_i64, 2, 4, 0, 7, 3, 1, 6])
    );
    assert_eq!(
        apply(argsort(0, true, 8), &x),
        Array::from([1_i64, 6, 3, 0, 7, 2, 4, 5])
    );
    assert_eq!(apply(argsort(0, true, 3), &x), Array::from([1_i64, 6, 3]));
    let x = [Array::from([i64::MAX, i64::MIN, -1, 0, -1])];
    assert_eq!(
        apply(argsort(0, false, 5), &x),
        Array::from([1_i64, 2, 4, 3, 0])
    );
}

#[test]
fn sorts_along_each_axis() {
    let x = [Array::from([[3.0, 1.0, 2.0], [1.0, 5.0, 0.0]])];
    assert_eq!(
        apply(argsort(1, false, 3), &x),
        Array::from([[1_i64, 2, 0], [2, 0, 1]])
    );
    assert_eq!(
        apply(argsort(1, true, 2), &x),
        Array::from([[0_i64, 2], [1, 0]])
    );
    assert_eq!(
        apply(argsort(0, false, 2), &x),
        Array::from([[1_i64, 0, 1], [0, 1, 0]])
    );
    assert_eq!(apply(argsort(0, false, 0), &x).shape(), &[0, 3][..]);
}

#[test]
fn searches_as_counting_does() {
    let line = [-INF, -1.0, -0.0, 0.0, 2.0, 2.0, 7.0, NAN];
    let values = [-INF, -5.0, -1.0, 0.0, 1.0, 2.0, 9.0, INF, NAN];
    let args = [Array::from(line), Array::from(values)];
    for right in [false, true] {
        let expected: Vec<i64> = values
            .iter()
            .map(|v| {
                let below = |x: &&f64| match order(**x, *v) {
                    Ordering::Less => true,
                    Ordering::Equal => right,
                    Ordering::Greater => false,
                };
                line.iter().filter(below).count() as i64
            })
            .collect();
        assert_eq!(
            apply(SearchSorted { right }, &args),
            Array::vector(expected)
        );
    }
    let lines = Array::from([[1_i64, 2, 3], [4, 5, 6]]);
    let values = Array::from([[3_i64], [4]]);
    assert_eq!(
        apply(SearchSorted { right: true }, [lines, values]),
        Array::from([[3_i64], [1]])
    );
}

#[test]
fn batches_are_each_member() {
    for (axis, descending) in [(0, false), (1, true)] {
        check_batch(
            argsort(axis, descending, 2),
            vec![numbers([4, 2, 3], 1)],
            &[true],
        );
    }
    let lines = |shape: &[usize], salt| {
        let mut v = numbers(shape, salt).to_f64s();
        let n = shape.last().copied().unwrap_or(1);
        v.chunks_mut(n)
            .for_each(|line| line.sort_by(f64::total_cmp));
        Array::new(shape, v).unwrap()
    };
    let op = || SearchSorted { right: false };
    check_batch(
        op(),
        vec![lines(&[3, 5], 1), numbers([3, 4], 2)],
        &[true, true],
    );
    check_batch(
        op(),
        vec![lines(&[5], 1), numbers([3, 4], 2)],
        &[false, true],
    );
    check_batch(
        op(),
        vec![lines(&[3, 5], 1), numbers([4], 2)],
        &[true, false],
    );
    let args = vec![lines(&[2, 5], 1), numbers([3, 2, 4], 2)];
    check_batch(op(), args, &[false, true]);
}

#[test]
fn operands_that_do_not_fit_are_errors() {
    assert_eq!(
        error(argsort(2, false, 1), [tensor([2, 3])]),
        "expected an axis below 2, found 2"
    );
    assert_eq!(
        error(argsort(1, false, 4), [tensor([2, 3])]),
        "expected a count up to 3, the length of axis 1, found 4"
    );
    let search = || SearchSorted { right: false };
    assert_eq!(
        error(search(), [tensor(()), tensor([3])]),
        "expected sorted elements along an axis, found a scalar"
    );
    assert_eq!(
        error(search(), [tensor([2, 3]), tensor([3])]),
        "expected values whose first 1 axes are those of [2, 3], found shape [3]"
    );
    let whole = TensorType::new(DType::I64, [3]);
    assert_eq!(
        error(search(), [tensor([3]), whole]),
        "expected operands of one dtype, found f64 and i64"
    );
}

#[test]
fn no_attributes_or_types_panic() {
    for x in nasty_types() {
        for n in [0, 1, 3, usize::MAX] {
            infer(argsort(n, true, n), &[&x]);
            infer(SearchSorted { right: true }, &[&x, &x]);
        }
    }
    check_after_error(argsort(0, false, 1));
    check_after_error(SearchSorted { right: false });
}
