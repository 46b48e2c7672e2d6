//! Tests of the running operations.

use cotangent_array::{Array, DType};

use super::*;
use crate::ops::checks::{
    apply, check_batch, check_linear, error, infer, nasty_types, numbers, tensor,
};
use crate::ops::tangents::{check_after_error, check_derivatives, random, second_tangent};

#[test]
fn running_sums_and_products() {
    let x = [Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])];
    let sum = |axis, reverse| apply(CumSum { axis, reverse }, &x);
    assert_eq!(
        sum(1, false),
        Array::from([[1.0, 3.0, 6.0], [4.0, 9.0, 15.0]])
    );
    assert_eq!(
        sum(1, true),
        Array::from([[6.0, 5.0, 3.0], [15.0, 11.0, 6.0]])
    );
    assert_eq!(
        sum(0, false),
        Array::from([[1.0, 2.0, 3.0], [5.0, 7.0, 9.0]])
    );
    let product = |axis, reverse| apply(CumProd { axis, reverse }, &x);
    assert_eq!(
        product(1, false),
        Array::from([[1.0, 2.0, 6.0], [4.0, 20.0, 120.0]])
    );
    assert_eq!(
        product(0, true),
        Array::from([[4.0, 10.0, 18.0], [4.0, 5.0, 6.0]])
    );
    let bytes = [Array::vector(vec![200_u8, 100, 2])];
    assert_eq!(
        apply(
            CumSum {
                axis: 0,
                reverse: false
            },
            &bytes
        ),
        Array::from([200_u8, 44, 46])
    );
    assert_eq!(
        apply(
            CumProd {
                axis: 0,
                reverse: false
            },
            &bytes
        ),
        Array::from([200_u8, 32, 64])
    );
    let none = Array::zeros(DType::F64, [2, 0]).unwrap();
    assert_eq!(
        apply(
            CumSum {
                axis: 1,
                reverse: false
            },
            std::slice::from_ref(&none)
        ),
        none
    );
}

#[test]
fn recurrences() {
    let a = Array::from([2.0, 3.0, 4.0]);
    let b = Array::from([1.0, 1.0, 1.0]);
    let run = |reverse| apply(Recurrence { axis: 0, reverse }, &[a.clone(), b.clone()]);
    assert_eq!(run(false), Array::from([1.0, 4.0, 17.0]));
    assert_eq!(run(true), Array::from([9.0, 4.0, 1.0]));
    let (a, b) = (Array::from([7_i32, i32::MAX]), Array::from([2_i32, 5]));
    // MAX * 2 + 5 wraps to 3.
    assert_eq!(
        apply(
            Recurrence {
                axis: 0,
                reverse: false
            },
            &[a, b]
        ),
        Array::from([2_i32, 3])
    );
    // The factor at the start meets no h and may be infinite.
    let a = Array::from([[f64::INFINITY, 0.5], [f64::NAN, 2.0]]);
    let b = Array::from([[4.0, 1.0], [1.0, 1.0]]);
    let h = apply(
        Recurrence {
            axis: 1,
            reverse: false,
        },
        &[a, b],
    );
    assert_eq!(h, Array::from([[4.0, 3.0], [1.0, 3.0]]));
}

#[test]
fn transposes() {
    for shape in [[2, 3, 4], [2, 1, 4], [2, 0, 4]] {
        for axis in 0..3 {
            for reverse in [false, true] {
                check_linear(CumSum { axis, reverse }, vec![numbers(shape, 1)], &[true]);
                let operands = vec![numbers(shape, 2), numbers(shape, 3)];
                check_linear(Recurrence { axis, reverse }, operands, &[false, true]);
            }
        }
    }
    let mut b = Builder::new("not linear");
    let t = tensor([3]);
    let x = b.input("x", t.clone());
    let op = Recurrence {
        axis: 0,
        reverse: false,
    };
    let both = [Operand::Linear(t.clone()), Operand::Linear(t.clone())];
    assert!(op.transpose(&mut b, &both, x).is_none());
    assert!(
        op.transpose(&mut b, &[Operand::Linear(t), Operand::Known(x)], x)
            .is_none()
    );
}

#[test]
fn derivatives() {
    for reverse in [false, true] {
        for zeros in 0..4 {
            let mut values = random([3, 4], 7).to_vec::<f64>().unwrap();
            values[..zeros].fill(0.0);
            let x = Array::new([3, 4], values).unwrap();
            for axis in 0..2 {
                check_derivatives(CumProd { axis, reverse }, std::slice::from_ref(&x));
                let operands = [x.clone(), random([3, 4], 8)];
                check_derivatives(Recurrence { axis, reverse }, &operands);
            }
        }
        check_derivatives(CumProd { axis: 1, reverse }, &[random([3, 0], 1)]);
        check_derivatives(
            Recurrence { axis: 0, reverse },
            &[random([1], 1), random([1], 2)],
        );
    }
    // The second derivative of the running products of (0, 0, 3) along (1, 2, 0).
    let x = [Array::from([0.0, 0.0, 3.0])];
    let t = [Array::from([1.0, 2.0, 0.0])];
    let second = second_tangent(
        CumProd {
            axis: 0,
            reverse: false,
        },
        &x,
        &t,
    );
    assert_eq!(second, Array::from([0.0, 4.0, 12.0]));
}

#[test]
fn batches() {
    for reverse in [false, true] {
        check_batch(
            CumSum { axis: 0, reverse },
            vec![random([3, 4, 2], 1)],
            &[true],
        );
        check_batch(
            CumProd { axis: 1, reverse },
            vec![random([3, 4, 2], 1)],
            &[true],
        );
        let op = Recurrence { axis: 0, reverse };
        let (x, y) = (random([3, 4, 2], 1), random([3, 4, 2], 2));
        let one = random([4, 2], 3);
        check_batch(op.clone(), vec![x.clone(), y.clone()], &[true, true]);
        check_batch(op.clone(), vec![x, one.clone()], &[true, false]);
        check_batch(op, vec![one, y], &[false, true]);
    }
}

#[test]
fn errors_say_what_was_expected() {
    let op = CumSum {
        axis: 1,
        reverse: false,
    };
    assert_eq!(
        error(op, &[tensor([3])]),
        "expected an axis below 1, found 1"
    );
    let op = CumProd {
        axis: 0,
        reverse: false,
    };
    let bools = TensorType::new(DType::Bool, [3]);
    assert_eq!(
        error(op, &[bools]),
        "expected a float, a complex or an integer dtype, found bool"
    );
    let op = Recurrence {
        axis: 0,
        reverse: false,
    };
    assert_eq!(
        error(op.clone(), &[tensor([3]), tensor([4])]),
        "expected operands of one shape, found [3] and [4]"
    );
    assert_eq!(error(op, &[tensor([3])]), "expected 2 operands, found 1");
}

#[test]
fn nothing_panics() {
    for ty in nasty_types() {
        for axis in [0, 1, usize::MAX] {
            infer(
                CumSum {
                    axis,
                    reverse: false,
                },
                &[&ty],
            );
            infer(
                CumProd {
                    axis,
                    reverse: false,
                },
                &[&ty],
            );
            infer(
                Recurrence {
                    axis,
                    reverse: false,
                },
                &[&ty, &ty],
            );
        }
    }
    check_after_error(CumSum {
        axis: 1,
        reverse: true,
    });
    check_after_error(CumProd {
        axis: 1,
        reverse: true,
    });
    check_after_error(Recurrence {
        axis: 1,
        reverse: false,
    });
}
