//! Tests of running maxima and minima.

use cotangent_array::Array;

use super::*;
use crate::ops::checks::{apply, check_batch, error, infer, nasty_types, numbers, tensor};
use crate::ops::tangents::check_after_error;

const NAN: f64 = f64::NAN;

#[test]
fn the_best_so_far() {
    let x = [Array::from([1.0, 3.0, 3.0, 2.0, 5.0, 5.0])];
    let largest = |last| apply(CumArgMax { axis: 0, last }, &x);
    assert_eq!(largest(false), Array::from([0_i64, 1, 1, 1, 4, 4]));
    assert_eq!(largest(true), Array::from([0_i64, 1, 2, 2, 4, 5]));
    let x = [Array::from([2.0, 2.0, NAN, 1.0, NAN])];
    let smallest = |last| apply(CumArgMin { axis: 0, last }, &x);
    assert_eq!(smallest(false), Array::from([0_i64, 0, 2, 2, 2]));
    assert_eq!(smallest(true), Array::from([0_i64, 1, 2, 2, 4]));
    let x = [Array::from([[3_i64, 1], [2, 4], [5, 4]])];
    let op = CumArgMax {
        axis: 0,
        last: false,
    };
    assert_eq!(apply(op, &x), Array::from([[0_i64, 0], [0, 1], [2, 1]]));
}

#[test]
fn batches_and_errors() {
    for axis in [0, 1] {
        let op = CumArgMin { axis, last: true };
        check_batch(op, vec![numbers([4, 2, 3], 1)], &[true]);
    }
    let op = |axis| CumArgMax { axis, last: false };
    assert_eq!(
        error(op(1), [tensor([3])]),
        "expected an axis below 1, found 1"
    );
    for x in nasty_types() {
        infer(op(0), &[&x]);
        infer(op(usize::MAX), &[&x]);
    }
    check_after_error(op(0));
}
