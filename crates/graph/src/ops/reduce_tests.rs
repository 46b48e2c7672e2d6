//! Tests of the reductions.

use cotangent_array::{Array, DType};

use super::*;
use crate::ops::checks::{
    apply, check_batch, check_linear, error, infer, nasty_types, numbers, tensor,
};
use crate::ops::tangents::{check_after_error, check_derivatives, random, second_tangent, tangent};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn matrix() -> Array {
    Array::from([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
}

#[test]
fn sums_and_products() {
    assert_eq!(
        apply(Sum { axes: vec![1] }, &[matrix()]),
        Array::from([2.0, 3.0])
    );
    assert_eq!(
        apply(Sum { axes: vec![0] }, &[matrix()]),
        Array::from([5.0, 3.0, -3.0])
    );
    assert_eq!(
        apply(Sum { axes: vec![0, 1] }, &[matrix()]),
        Array::scalar(5.0)
    );
    assert_eq!(apply(Sum { axes: vec![] }, &[matrix()]), matrix());
    assert_eq!(
        apply(Prod { axes: vec![1] }, &[matrix()]),
        Array::from([-6.0, -120.0])
    );
    let cube = Array::vector((0..24).map(f64::from).collect::<Vec<_>>())
        .reshape([2, 3, 4])
        .unwrap();
    // Element j of the result is the sum over i and k of 12 i + 4 j + k.
    let expected = Array::from([60.0, 92.0, 124.0]);
    assert_eq!(apply(Sum { axes: vec![0, 2] }, &[cube]), expected);
}

#[test]
fn nothing_sums_to_zero_and_multiplies_to_one() {
    let none = Array::zeros(DType::F64, [2, 0]).unwrap();
    assert_eq!(
        apply(Sum { axes: vec![1] }, std::slice::from_ref(&none)),
        Array::from([0.0, 0.0])
    );
    assert_eq!(
        apply(Prod { axes: vec![1] }, std::slice::from_ref(&none)),
        Array::from([1.0, 1.0])
    );
    assert_eq!(
        apply(Norm { axes: vec![1] }, std::slice::from_ref(&none)),
        Array::from([0.0, 0.0])
    );
    let none = none.convert(DType::Bool);
    assert_eq!(
        apply(Any { axes: vec![1] }, std::slice::from_ref(&none)),
        Array::from([false, false])
    );
    assert_eq!(
        apply(All { axes: vec![1] }, std::slice::from_ref(&none)),
        Array::from([true, true])
    );
}

#[test]
fn integers_wrap_to_their_width() {
    let x = Array::vector(vec![i32::MAX, 1]);
    assert_eq!(apply(Sum { axes: vec![0] }, &[x]), Array::scalar(i32::MIN));
    let x = Array::vector(vec![16_u8, 17]);
    assert_eq!(apply(Prod { axes: vec![0] }, &[x]), Array::scalar(16_u8));
    let x = Array::vector(vec![i64::MAX, i64::MAX]);
    assert_eq!(apply(Sum { axes: vec![0] }, &[x]), Array::scalar(-2_i64));
}

#[test]
fn f32_is_rounded_once() {
    // In f32 the small numbers would be lost one by one.
    let mut values = vec![1e-8_f32; 1000];
    values.insert(0, 1.0);
    let sum = apply(Sum { axes: vec![0] }, &[Array::vector(values)]);
    assert_eq!(sum, Array::scalar(1.0 + 1e-5_f32));
}

#[test]
fn largest_and_smallest() {
    assert_eq!(
        apply(Max { axes: vec![1] }, &[matrix()]),
        Array::from([3.0, 5.0])
    );
    assert_eq!(
        apply(Min { axes: vec![0] }, &[matrix()]),
        Array::from([1.0, -2.0, -6.0])
    );
    let x = Array::from([[1.0, NAN, 3.0], [-INF, -INF, -INF]]);
    assert_eq!(
        apply(Max { axes: vec![1] }, std::slice::from_ref(&x)),
        Array::from([NAN, -INF])
    );
    assert_eq!(apply(Min { axes: vec![1] }, &[x]), Array::from([NAN, -INF]));
    let x = Array::vector(vec![7_u32, u32::MAX, 0]);
    assert_eq!(
        apply(Max { axes: vec![0] }, std::slice::from_ref(&x)),
        Array::scalar(u32::MAX)
    );
    assert_eq!(apply(Min { axes: vec![0] }, &[x]), Array::scalar(0_u32));
    assert_eq!(
        apply(Max { axes: vec![0] }, &[Array::from([-0.0, 0.0])]),
        Array::scalar(0.0)
    );
}

#[test]
fn first_place_of_the_extreme() {
    let x = Array::from([[1.0, 3.0, 3.0, 1.0], [2.0, NAN, 9.0, NAN]]);
    let at = apply(ArgMax { axis: 1 }, std::slice::from_ref(&x));
    assert_eq!(at, Array::from([1_i64, 1]));
    assert_eq!(
        apply(ArgMin { axis: 1 }, std::slice::from_ref(&x)),
        Array::from([0_i64, 1])
    );
    assert_eq!(
        apply(ArgMax { axis: 0 }, &[x]),
        Array::from([1_i64, 1, 1, 1])
    );
    assert_eq!(
        apply(ArgMin { axis: 0 }, &[Array::vector(vec![3_u8, 1, 1])]),
        Array::scalar(1_i64)
    );
    let low = Array::from([-INF, -INF]);
    assert_eq!(apply(ArgMax { axis: 0 }, &[low]), Array::scalar(0_i64));
}

#[test]
fn logic() {
    let x = Array::from([[true, false], [true, true]]);
    assert_eq!(
        apply(Any { axes: vec![0] }, std::slice::from_ref(&x)),
        Array::from([true, true])
    );
    assert_eq!(
        apply(All { axes: vec![1] }, std::slice::from_ref(&x)),
        Array::from([false, true])
    );
    assert_eq!(apply(Any { axes: vec![0, 1] }, &[x]), Array::scalar(true));
}

#[test]
fn norms_neither_overflow_nor_vanish() {
    let norm = |v: [f64; 2]| {
        apply(Norm { axes: vec![0] }, &[Array::from(v)])
            .item::<f64>()
            .unwrap()
    };
    assert_eq!(norm([3.0, -4.0]), 5.0);
    for power in [-1070, -600, 600, 1020] {
        let scale = 2_f64.powi(power);
        assert_eq!(norm([3.0 * scale, 4.0 * scale]), 5.0 * scale, "2^{power}");
    }
    assert_eq!(norm([0.0, -0.0]), 0.0);
    assert_eq!(norm([INF, 1.0]), INF);
    assert_eq!(norm([f64::MAX, 0.0]), f64::MAX);
    assert!(norm([INF, NAN]).is_nan());
    // At ordinary sizes the scale changes no bit.
    assert_eq!(norm([0.1, 0.7]), (0.1_f64 * 0.1 + 0.7 * 0.7).sqrt());
}

#[test]
fn derivative_of_a_sum() {
    for axes in [vec![], vec![0], vec![1, 2], vec![0, 1, 2]] {
        check_linear(
            Sum { axes: axes.clone() },
            vec![numbers([2, 3, 4], 1)],
            &[true],
        );
        check_batch(Sum { axes }, vec![numbers([5, 2, 3, 4], 1)], &[true]);
    }
    check_linear(Sum { axes: vec![1] }, vec![numbers([2, 0], 1)], &[true]);
}

#[test]
fn derivatives_of_a_product_with_zeros() {
    for zeros in 0..4 {
        let mut values = random([2, 3, 2], 7).to_vec::<f64>().unwrap();
        values[..zeros].fill(0.0);
        let x = Array::new([2, 3, 2], values).unwrap();
        for axes in [vec![], vec![1], vec![0, 2], vec![0, 1, 2]] {
            check_derivatives(Prod { axes }, std::slice::from_ref(&x));
        }
    }
    // The derivative of a b c d at a = b = 0 is 0, its second is 2 ta tb c d.
    let x = Array::from([0.0, 0.0, 3.0, 5.0]);
    let t = Array::from([1.0, 2.0, 4.0, 8.0]);
    let op = Prod { axes: vec![0] };
    let (x, t) = (std::slice::from_ref(&x), std::slice::from_ref(&t));
    assert_eq!(tangent(op.clone(), x, t), Array::scalar(0.0));
    assert_eq!(second_tangent(op, x, t), Array::scalar(60.0));
    check_derivatives(Prod { axes: vec![1] }, &[random([3, 0], 1)]);
}

#[test]
fn derivatives_of_extremes() {
    let x = [random([3, 4, 2], 3)];
    for axes in [vec![], vec![1], vec![0, 2], vec![0, 1, 2]] {
        check_derivatives(Max { axes: axes.clone() }, &x);
        check_derivatives(Min { axes }, &x);
    }
    let ties = [Array::from([2.0, 7.0, 7.0, 1.0])];
    let t = [Array::from([INF, 10.0, 20.0, NAN])];
    assert_eq!(
        tangent(Max { axes: vec![0] }, &ties, &t),
        Array::scalar(15.0)
    );
    let t = [Array::from([5.0, INF, 20.0, 3.0])];
    assert_eq!(
        tangent(Min { axes: vec![0] }, &ties, &t),
        Array::scalar(3.0)
    );
    let low = [Array::from([-INF, -INF])];
    let t = [Array::from([1.0, 3.0])];
    assert_eq!(tangent(Max { axes: vec![0] }, &low, &t), Array::scalar(2.0));
}

#[test]
fn derivatives_of_a_norm() {
    for axes in [vec![], vec![0], vec![0, 1]] {
        check_derivatives(Norm { axes }, &[random([3, 2], 5)]);
    }
    let x = [Array::from([[3.0, 4.0], [0.0, 0.0]])];
    let t = [Array::from([[1.0, 2.0], [1.0, 2.0]])];
    let op = Norm { axes: vec![1] };
    assert_eq!(
        tangent(op.clone(), &x, &t),
        Array::from([3.0 * 0.2 + 8.0 / 5.0, 0.0])
    );
    // (|t|^2 - (t . x / |x|)^2) / |x| in the first row.
    let second = second_tangent(op, &x, &t).to_vec::<f64>().unwrap();
    assert!(
        (second[0] - (5.0 - 2.2 * 2.2) / 5.0).abs() < 1e-15,
        "{second:?}"
    );
    assert_eq!(second[1], 0.0);
    let scale = 2_f64.powi(700);
    let huge = [Array::from([3.0 * scale, 4.0 * scale])];
    let t = [Array::from([5.0, 0.0])];
    assert_eq!(
        tangent(Norm { axes: vec![0] }, &huge, &t),
        Array::scalar(3.0)
    );
}

#[test]
fn batches() {
    let x = vec![random([2, 3, 4], 11)];
    check_batch(Prod { axes: vec![1] }, x.clone(), &[true]);
    check_batch(Max { axes: vec![0] }, x.clone(), &[true]);
    check_batch(Min { axes: vec![0, 1] }, x.clone(), &[true]);
    check_batch(Norm { axes: vec![1] }, x.clone(), &[true]);
    check_batch(ArgMax { axis: 1 }, x.clone(), &[true]);
    check_batch(ArgMin { axis: 0 }, x, &[true]);
    let x = vec![numbers([2, 3, 4], 11).convert(DType::Bool)];
    check_batch(Any { axes: vec![0] }, x.clone(), &[true]);
    check_batch(All { axes: vec![1] }, x, &[true]);
}

#[test]
fn errors_say_what_was_expected() {
    let x = tensor([2, 3]);
    let sum = |axes: &[usize]| {
        error(
            Sum {
                axes: axes.to_vec(),
            },
            std::slice::from_ref(&x),
        )
    };
    assert_eq!(sum(&[2]), "expected an axis below 2, found 2");
    assert_eq!(
        sum(&[1, 0]),
        "expected axes in increasing order, each once, found [1, 0]"
    );
    assert_eq!(
        sum(&[1, 1]),
        "expected axes in increasing order, each once, found [1, 1]"
    );
    let bools = TensorType::new(DType::Bool, [2]);
    assert_eq!(
        error(Sum { axes: vec![0] }, std::slice::from_ref(&bools)),
        "expected a float, a complex or an integer dtype, found bool"
    );
    assert_eq!(
        error(Norm { axes: vec![0] }, &[TensorType::new(DType::I64, [2])]),
        "expected f64 or f32, found i64"
    );
    assert_eq!(
        error(All { axes: vec![0] }, &[x]),
        "expected bool, found f64"
    );
    let empty = tensor([2, 0]);
    let message = "expected at least one element along axis 1, found f64[2, 0]";
    assert_eq!(
        error(Max { axes: vec![0, 1] }, std::slice::from_ref(&empty)),
        message
    );
    assert_eq!(
        error(ArgMin { axis: 1 }, std::slice::from_ref(&empty)),
        message
    );
    assert_eq!(
        apply(Max { axes: vec![0] }, &[numbers([2, 0], 1)]).shape(),
        &[0]
    );
}

#[test]
fn nothing_panics() {
    for ty in nasty_types() {
        for axes in [vec![], vec![0], vec![0, 1], vec![2, 1], vec![usize::MAX]] {
            infer(Sum { axes: axes.clone() }, &[&ty]);
            infer(Norm { axes: axes.clone() }, &[&ty]);
            infer(Max { axes: axes.clone() }, &[&ty]);
            infer(Any { axes: axes.clone() }, &[&ty.with_dtype(DType::Bool)]);
            infer(
                ArgMax {
                    axis: axes.first().copied().unwrap_or(9),
                },
                &[&ty],
            );
        }
    }
    check_after_error(Sum { axes: vec![1, 2] });
    check_after_error(Prod { axes: vec![1, 2] });
    check_after_error(Max { axes: vec![1, 2] });
    check_after_error(Min { axes: vec![1, 2] });
    check_after_error(Norm { axes: vec![1, 2] });
    check_after_error(ArgMax { axis: 3 });
    check_after_error(ArgMin { axis: 3 });
    check_after_error(Any { axes: vec![1, 2] });
    check_after_error(All { axes: vec![1, 2] });
}
