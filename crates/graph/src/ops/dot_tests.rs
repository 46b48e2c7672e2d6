//! Tests of `dot`.

use cotangent_array::{Array, DType};

use super::*;
use crate::ops::checks::{
    apply, check_batch, check_linear, error, infer, nasty_types, numbers, tensor,
};
use crate::ops::tangents::{check_after_error, check_derivatives, random};

fn dot(contract: (&[usize], &[usize]), batch: (&[usize], &[usize])) -> Dot {
    Dot {
        contract: (contract.0.to_vec(), contract.1.to_vec()),
        batch: (batch.0.to_vec(), batch.1.to_vec()),
    }
}

/// An operation with shapes of operands that fit it.
type Case = (Dot, Vec<usize>, Vec<usize>);

fn cases() -> Vec<Case> {
    vec![
        (dot((&[], &[]), (&[], &[])), vec![], vec![]),
        (dot((&[0], &[0]), (&[], &[])), vec![3], vec![3]),
        (dot((&[1], &[0]), (&[], &[])), vec![2, 3], vec![3]),
        (dot((&[1], &[0]), (&[], &[])), vec![2, 3], vec![3, 4]),
        (dot((&[0], &[1]), (&[], &[])), vec![3, 2], vec![4, 3]),
        (dot((&[], &[]), (&[], &[])), vec![2, 3], vec![4]),
        (
            dot((&[2], &[1]), (&[0], &[0])),
            vec![5, 2, 3],
            vec![5, 3, 4],
        ),
        // The second product of attention: batch axes last on one side, in another order.
        (
            dot((&[3], &[0]), (&[1, 0], &[1, 2])),
            vec![2, 3, 4, 5],
            vec![5, 3, 2, 6],
        ),
        // Two contracted axes in an order that neither operand has.
        (
            dot((&[2, 0], &[1, 2]), (&[], &[])),
            vec![2, 3, 4],
            vec![5, 4, 2],
        ),
        (
            dot((&[0, 2], &[3, 0]), (&[1], &[2])),
            vec![2, 3, 4],
            vec![4, 5, 3, 2],
        ),
        (dot((&[1], &[1]), (&[0], &[0])), vec![2, 3], vec![2, 3]),
        (dot((&[1], &[0]), (&[], &[])), vec![2, 0], vec![0, 4]),
    ]
}

/// The definition read off the labels of axes, one element at a time.
fn naive(op: &Dot, x: &Array, y: &Array) -> Array {
    let (free_x, free_y) = op.free_axes(x.rank(), y.rank());
    let mut shape: Vec<usize> = op.batch.0.iter().map(|a| x.shape()[*a]).collect();
    shape.extend(free_x.iter().map(|a| x.shape()[*a]));
    shape.extend(free_y.iter().map(|a| y.shape()[*a]));
    let mut out = vec![0.0; shape.iter().product()];
    let strides = Shape::from(&shape[..]).strides();
    let mut ix = Indices::new(x.shape());
    while let Some(i) = ix.next_index() {
        let mut jx = Indices::new(y.shape());
        while let Some(j) = jx.next_index() {
            let pairs =
                |p: &(Vec<usize>, Vec<usize>)| p.0.iter().zip(&p.1).all(|(a, b)| i[*a] == j[*b]);
            if !pairs(&op.contract) || !pairs(&op.batch) {
                continue;
            }
            let mut at: Vec<usize> = op.batch.0.iter().map(|a| i[*a]).collect();
            at.extend(free_x.iter().map(|a| i[*a]));
            at.extend(free_y.iter().map(|a| j[*a]));
            let product = x.get(i).unwrap().to_f64() * y.get(j).unwrap().to_f64();
            out[flat(at, &strides)] += product;
        }
    }
    Array::new(shape, out).unwrap()
}

#[test]
fn products_of_matrices() {
    let a = Array::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let b = Array::from([[7.0, 8.0], [9.0, 10.0]]);
    let product = apply(dot((&[1], &[0]), (&[], &[])), &[a.clone(), b.clone()]);
    assert_eq!(
        product,
        Array::from([[25.0, 28.0], [57.0, 64.0], [89.0, 100.0]])
    );
    let outer = apply(
        dot((&[], &[]), (&[], &[])),
        &[Array::from([1.0, 2.0]), Array::from([3.0, 5.0])],
    );
    assert_eq!(outer, Array::from([[3.0, 5.0], [6.0, 10.0]]));
    let row_by_row = apply(dot((&[1], &[1]), (&[0], &[0])), &[b.clone(), b]);
    assert_eq!(row_by_row, Array::from([113.0, 181.0]));
    let bytes = Array::from([100_u8, 3]);
    let product = apply(dot((&[0], &[0]), (&[], &[])), &[bytes.clone(), bytes]);
    assert_eq!(product, Array::scalar(25_u8), "10009 wraps");
    let tenth = Array::vector(vec![0.1_f32; 3]);
    let product = apply(dot((&[0], &[0]), (&[], &[])), &[tenth.clone(), tenth]);
    let exact = f64::from(0.1_f32) * f64::from(0.1_f32);
    assert_eq!(
        product,
        Array::scalar((exact + exact + exact) as f32),
        "rounded once"
    );
}

#[test]
fn values_agree_with_the_definition() {
    for (op, m, n) in cases() {
        let (x, y) = (numbers(m, 1), numbers(n, 2));
        assert_eq!(
            apply(op.clone(), &[x.clone(), y.clone()]),
            naive(&op, &x, &y),
            "{op:?}"
        );
    }
}

#[test]
fn transposes() {
    for (op, m, n) in cases() {
        let args = vec![numbers(m, 1), numbers(n, 2)];
        check_linear(op.clone(), args.clone(), &[true, false]);
        check_linear(op, args, &[false, true]);
    }
    let mut b = Builder::new("not linear");
    let t = tensor([3]);
    let ct = b.scalar(DType::F64, 1.0);
    let both = [Operand::Linear(t.clone()), Operand::Linear(t)];
    assert!(
        dot((&[0], &[0]), (&[], &[]))
            .transpose(&mut b, &both, ct)
            .is_none()
    );
}

#[test]
fn usual_transposes_move_nothing() {
    let op = dot((&[1], &[0]), (&[], &[]));
    for (m, n) in [(vec![2, 3], vec![3, 4]), (vec![2, 3], vec![3])] {
        for which in 0..2 {
            let mut b = Builder::new("transpose");
            let (x, y) = (
                b.input("x", tensor(m.clone())),
                b.input("y", tensor(n.clone())),
            );
            let out = b.push(op.clone(), &[x, y]);
            let ct = b.input("ct", b.tensor(out));
            let before = b.len();
            let mut operands = [Operand::Known(x), Operand::Known(y)];
            operands[which] = Operand::Linear(operands[which].ty(&b));
            op.transpose(&mut b, &operands, ct).unwrap();
            assert_eq!(
                b.len(),
                before + 1,
                "one dot and nothing else: operand {which} of {m:?}, {n:?}"
            );
        }
    }
}

#[test]
fn derivatives() {
    for (op, m, n) in cases() {
        check_derivatives(op, &[random(m, 1), random(n, 2)]);
    }
}

#[test]
fn batches() {
    let longer = |s: &[usize]| [&[7], s].concat();
    for (op, m, n) in cases() {
        let (x, y) = (numbers(longer(&m), 1), numbers(longer(&n), 2));
        check_batch(op.clone(), vec![x.clone(), y.clone()], &[true, true]);
        check_batch(op.clone(), vec![x, numbers(n, 3)], &[true, false]);
        check_batch(op, vec![numbers(m, 4), y], &[false, true]);
    }
}

#[test]
fn errors_say_what_was_expected() {
    let args = [tensor([2, 3]), tensor([3, 4])];
    let message = |op: Dot| error(op, &args);
    assert_eq!(
        message(dot((&[0], &[0]), (&[], &[]))),
        "expected contract axes of one size, found 2 (axis 0 of f64[2, 3]) and 3 (axis 0 of f64[3, 4])"
    );
    assert_eq!(
        message(dot((&[0, 1], &[0]), (&[], &[]))),
        "expected contract to name as many axes of the first operand as of the second, found [0, 1] and [0]"
    );
    assert_eq!(
        message(dot((&[2], &[0]), (&[], &[]))),
        "expected an axis below 2, found 2"
    );
    assert_eq!(
        message(dot((&[1], &[0]), (&[1], &[0]))),
        "expected each axis at most once, found axis 1 of the first operand twice"
    );
    let mixed = [tensor([2]), TensorType::new(DType::F32, [2])];
    assert_eq!(
        error(dot((&[0], &[0]), (&[], &[])), &mixed),
        "expected operands of one dtype, found f64 and f32"
    );
}

#[test]
fn nothing_panics() {
    for x in nasty_types() {
        for (op, ..) in cases() {
            infer(op, &[&x, &x]);
        }
        infer(dot((&[usize::MAX], &[0]), (&[0], &[usize::MAX])), &[&x, &x]);
    }
    for (op, ..) in cases() {
        check_after_error(op);
    }
}
