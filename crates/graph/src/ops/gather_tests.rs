//! Tests of `gather` and `scatter_add`.

use cotangent_array::DType;

use super::super::checks::*;
use super::super::{Attributed, Attributes, Value};
use super::*;

fn gather(axis: usize, batch: usize) -> Gather {
    Gather { axis, batch }
}

fn scatter(shape: impl Into<Shape>, axis: usize, batch: usize) -> ScatterAdd {
    ScatterAdd {
        shape: shape.into(),
        axis,
        batch,
    }
}

/// Indices below `length`, with repetitions.
fn indices(shape: impl Into<Shape>, length: i64, salt: u64) -> Array {
    let positions: Vec<i64> = numbers(shape.into(), salt)
        .scalars()
        .map(|s| s.to_i64().rem_euclid(length))
        .collect();
    Array::vector(positions)
}

fn shaped(shape: impl Into<Shape>, length: i64, salt: u64) -> Array {
    let shape = shape.into();
    indices(shape.clone(), length, salt).reshape(shape).unwrap()
}

#[test]
fn gathers_rows_columns_and_elements() {
    let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let y = apply(gather(0, 0), [x.clone(), Array::from([1_i64, 0, 1])]);
    assert_eq!(
        y,
        Array::from([[4.0, 5.0, 6.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    );
    let y = apply(gather(1, 0), [x.clone(), Array::from([[2_u8, 0]])]);
    assert_eq!(y, Array::from([[[3.0, 1.0]], [[6.0, 4.0]]]));
    let (rows, columns) = (Array::from([0_i32, 1]), Array::from([2_i32, 0]));
    let y = apply(gather(0, 0), [x.clone(), rows, columns]);
    assert_eq!(y, Array::from([3.0, 4.0]));
    let y = apply(gather(1, 0), [x.clone(), Array::scalar(1_i64)]);
    assert_eq!(y, Array::from([2.0, 5.0]));
    // One column for each row: the rows are shared.
    let y = apply(gather(1, 1), [x, Array::from([2_i64, 0])]);
    assert_eq!(y, Array::from([3.0, 4.0]));
    let y = apply(
        gather(0, 0),
        [Array::from([true, false]), Array::from([1_i64])],
    );
    assert_eq!(y, Array::from([false]));
}

#[test]
fn scatters_in_order_and_adds_repetitions() {
    let updates = Array::from([1.0, 2.0, 4.0]);
    let y = apply(scatter([4], 0, 0), [updates, Array::from([3_i64, 1, 3])]);
    assert_eq!(y, Array::from([0.0, 2.0, 0.0, 5.0]));
    // In another order the small terms would be lost.
    let updates = Array::from([1e16, -1e16, 1.0]);
    let y = apply(scatter([1], 0, 0), [updates, Array::from([0_i64, 0, 0])]);
    assert_eq!(y, Array::from([1.0]));
    let updates = Array::from([200_u8, 100]);
    let y = apply(scatter([1], 0, 0), [updates, Array::from([0_i64, 0])]);
    assert_eq!(y, Array::from([44_u8]));
    let updates = Array::from([[1.0, 2.0], [3.0, 4.0]]);
    let y = apply(
        scatter([2, 3], 1, 1),
        [updates, Array::from([[0_i64, 2], [1, 1]])],
    );
    assert_eq!(y, Array::from([[1.0, 0.0, 2.0], [0.0, 7.0, 0.0]]));
}

#[test]
fn an_index_out_of_range_is_an_error() {
    let cases = [(-1_i64, 2), (2, 2), (i64::MIN, 2), (i64::MAX, 2), (0, 0)];
    for (index, length) in cases {
        let x = Array::zeros(DType::F64, [length, 3]).unwrap();
        let found = fails(gather(0, 0), [x, Array::from([index])]);
        assert_eq!(
            found,
            format!("index {index} is out of range for an axis of length {length}")
        );
        let updates = Array::zeros(DType::F64, [1, 3]).unwrap();
        let found = fails(scatter([length, 3], 0, 0), [updates, Array::from([index])]);
        assert_eq!(
            found,
            format!("index {index} is out of range for an axis of length {length}")
        );
    }
    // Each index counts along its own axis.
    let x = numbers([2, 3], 1);
    let found = fails(
        gather(0, 0),
        [x, Array::from([1_i64]), Array::from([3_i64])],
    );
    assert_eq!(found, "index 3 is out of range for an axis of length 3");
    // Also where there is nothing to take.
    let x = Array::zeros(DType::F64, [2, 0]).unwrap();
    let found = fails(gather(0, 0), [x, Array::from([2_i64])]);
    assert_eq!(found, "index 2 is out of range for an axis of length 2");
}

#[test]
fn more_than_memory_is_an_error() {
    let args = [Array::from([1_u8]), Array::from([0_i64])];
    let found = fails(scatter([1 << 60], 0, 0), &args);
    assert_eq!(
        found,
        "an array u8[1152921504606846976] does not fit in memory"
    );
}

#[test]
fn nothing_is_gathered_from_nothing() {
    let none = Array::zeros(DType::I64, [0]).unwrap();
    let y = apply(
        gather(0, 0),
        [Array::zeros(DType::F64, [0, 3]).unwrap(), none.clone()],
    );
    assert_eq!(y.shape(), &[0, 3][..]);
    let y = apply(
        scatter([2], 0, 0),
        [Array::zeros(DType::F64, [0]).unwrap(), none],
    );
    assert_eq!(y, Array::from([0.0, 0.0]));
    let huge = Array::zeros(DType::F64, [0, 3, 1 << 40, 7]).unwrap();
    let y = apply(gather(1, 0), [huge, Array::from([2_i64])]);
    assert_eq!(y.shape(), &[0, 1, 1 << 40, 7][..]);
}

#[test]
fn checks_that_operands_fit() {
    let x = tensor([2, 3, 4]);
    let index = |shape: &[usize]| TensorType::new(DType::I64, shape);
    let cases = [
        (gather(0, 0), vec![], "expected 2 or more operands, found 1"),
        (
            gather(0, 0),
            vec![tensor([1])],
            "expected indices of an integer dtype, found f64",
        ),
        (
            gather(0, 0),
            vec![index(&[1]), index(&[2])],
            "expected indices of one type, found i64[1] and i64[2]",
        ),
        (
            gather(0, 0),
            vec![index(&[1]), TensorType::new(DType::I32, [1])],
            "expected indices of one type, found i64[1] and i32[1]",
        ),
        (
            gather(0, 1),
            vec![index(&[2])],
            "expected an axis of 1 or more, the number of shared axes, found 0",
        ),
        (
            gather(2, 0),
            vec![index(&[1]), index(&[1])],
            "expected 2 axes from axis 2 on, one for each index, found shape [2, 3, 4]",
        ),
        (
            gather(usize::MAX, 0),
            vec![index(&[1])],
            "expected 1 axes from axis 18446744073709551615 on, one for each index, found shape \
             [2, 3, 4]",
        ),
        (
            gather(2, 2),
            vec![index(&[2])],
            "expected indices of 2 axes or more, found shape [2]",
        ),
        (
            gather(2, 1),
            vec![index(&[3, 5])],
            "expected indices whose first 1 axes are those of [2, 3, 4], found shape [3, 5]",
        ),
    ];
    for (op, indices, expected) in cases {
        let mut operands = vec![x.clone()];
        operands.extend(indices);
        let found = error(op, &operands);
        assert_eq!(found, expected);
    }
    let found = error(scatter([2, 3], 0, 0), [tensor([5, 4]), index(&[5])]);
    assert_eq!(found, "expected updates of shape [5, 3], found [5, 4]");
    let found = error(
        scatter([2], 0, 0),
        [TensorType::new(DType::Bool, [5]), index(&[5])],
    );
    assert_eq!(
        found,
        "expected updates of a float or an integer dtype, found bool"
    );
}

#[test]
fn the_batch_left_out_is_0() {
    let types = [tensor([2, 3]), TensorType::new(DType::I64, [4])];
    let args: Vec<&TensorType> = types.iter().collect();
    let written = Attributes(vec![("axis".to_owned(), Value::Int(1))]);
    assert_eq!(Gather::from_attributes(written, &args), Ok(gather(1, 0)));
    assert_eq!(gather(1, 0).attributes(&args), [("axis", Value::Int(1))]);
    assert_eq!(scatter([2, 3], 1, 0).attributes(&args).len(), 2);
}

/// Operand shape, axis, batch, number of indices and their shape.
type Case = (&'static [usize], usize, usize, usize, &'static [usize]);

const CASES: &[Case] = &[
    (&[4], 0, 0, 1, &[]),
    (&[4], 0, 0, 1, &[6]),
    (&[3, 4], 0, 0, 1, &[2, 2]),
    (&[3, 4], 1, 0, 1, &[5]),
    (&[3, 4], 0, 0, 2, &[5]),
    (&[3, 4], 1, 1, 1, &[3, 2]),
    (&[2, 3, 3, 2], 1, 0, 2, &[4]),
    (&[2, 3, 3, 2], 2, 1, 1, &[2, 3]),
    (&[2, 3, 3, 2], 2, 2, 2, &[2, 3]),
    (&[2, 3, 3, 2], 2, 2, 1, &[2, 3, 2]),
];

fn case(shape: &[usize], axis: usize, k: usize, index: &[usize]) -> (Array, Vec<Array>) {
    let lengths = shape[axis..axis + k].iter().zip(1..);
    (
        numbers(shape, 7),
        lengths
            .map(|(n, salt)| shaped(index, *n as i64, salt))
            .collect(),
    )
}

#[test]
fn derivatives_are_linear_and_transpose_back() {
    for (shape, axis, batch, k, index) in CASES {
        let (x, indices) = case(shape, *axis, *k, index);
        let mut linear = vec![false; k + 1];
        linear[0] = true;
        let args = [vec![x], indices.clone()].concat();
        let y = apply(gather(*axis, *batch), &args);
        check_linear(gather(*axis, *batch), args, &linear);
        let args = [vec![numbers(y.shape(), 3)], indices].concat();
        check_linear(scatter(*shape, *axis, *batch), args, &linear);
    }
}

#[test]
fn gather_agrees_with_a_loop_over_indices() {
    let (x, i) = (numbers([2, 3, 4], 1), shaped([2, 5], 4, 2));
    let y = apply(gather(2, 1), [x.clone(), i.clone()]);
    assert_eq!(y.shape(), &[2, 3, 5][..]);
    for a in 0..2 {
        for c in 0..3 {
            for e in 0..5 {
                let at = i.get(&[a, e]).unwrap().to_i64() as usize;
                assert_eq!(y.get(&[a, c, e]), x.get(&[a, c, at]));
            }
        }
    }
}

#[test]
fn operands_are_linear_only_in_the_first() {
    let mut b = Builder::new("transpose");
    let ct = b.input("ct", tensor([1]));
    let x = b.input("x", tensor([3]));
    let index = TensorType::new(DType::I64, [1]);
    let operands = [Operand::Known(x), Operand::Linear(index)];
    assert_eq!(gather(0, 0).transpose(&mut b, &operands, ct), None);
    assert_eq!(
        gather(0, 0).jvp(&mut b, &[x, ct], ct, &[None, Some(ct)]),
        None
    );
}

#[test]
fn batches() {
    let size = 3;
    for (shape, axis, batch, k, index) in CASES {
        let (x, indices) = case(shape, *axis, *k, index);
        let args = [vec![x], indices].concat();
        let y = apply(gather(*axis, *batch), &args);
        // Every choice of batched operands but none.
        for bits in 1_usize..1 << (k + 1) {
            let batched: Vec<bool> = (0..=*k).map(|i| bits >> i & 1 == 1).collect();
            let arg = |i: usize, single: &Array| match (i, batched[i]) {
                (_, false) => single.clone(),
                (0, true) => numbers(leading(size, single.shape()), 11),
                (_, true) => shaped(
                    leading(size, single.shape()),
                    shape[axis + i - 1] as i64,
                    12 + i as u64,
                ),
            };
            let mut many: Vec<Array> = args.iter().enumerate().map(|(i, a)| arg(i, a)).collect();
            check_batch(gather(*axis, *batch), many.clone(), &batched);
            many[0] = arg(0, &y);
            check_batch(scatter(*shape, *axis, *batch), many, &batched);
        }
    }
}

#[test]
fn infer_takes_anything() {
    let index = TensorType::new(DType::I64, [3, 2]);
    for x in nasty_types() {
        for i in nasty_types() {
            for a in NASTY {
                for c in NASTY {
                    let i = i.with_dtype(DType::I32);
                    infer(gather(a, c), &[&x, &i]);
                    infer(gather(a, c), &[&x, &index, &index]);
                    infer(scatter([a, 3, c], a, c), &[&x, &i]);
                    infer(scatter(&x.shape, a, c), &[&x, &i, &i]);
                }
            }
        }
    }
}
