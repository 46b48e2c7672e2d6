//! Tests of `conv`.

use cotangent_array::{Array, DType, Indices};

use super::*;
use crate::ops::checks::{
    NASTY, apply, check_batch, check_linear, error, infer, nasty_types, numbers, tensor,
};
use crate::ops::tangents::{check_after_error, check_derivatives, random};

/// Attributes of one spatial axis, with sizes of input and kernel.
#[derive(Clone, Copy, Debug)]
struct Line {
    size: usize,
    kernel: usize,
    stride: usize,
    padding: (i64, i64),
    dilation: usize,
    input_dilation: usize,
}

const PLAIN: Line = Line {
    size: 5,
    kernel: 3,
    stride: 1,
    padding: (0, 0),
    dilation: 1,
    input_dilation: 1,
};

fn conv(lines: &[Line], groups: usize) -> Conv {
    Conv {
        stride: lines.iter().map(|l| l.stride).collect(),
        padding: lines.iter().map(|l| l.padding).collect(),
        dilation: lines.iter().map(|l| l.dilation).collect(),
        input_dilation: lines.iter().map(|l| l.input_dilation).collect(),
        groups,
    }
}

/// Input and kernel of whole numbers, with so many channels in and out in each group.
fn operands(
    lines: &[Line],
    images: usize,
    channels: usize,
    outputs: usize,
    groups: usize,
) -> Vec<Array> {
    let shape = |first: [usize; 2], size: fn(&Line) -> usize| {
        first
            .into_iter()
            .chain(lines.iter().map(size))
            .collect::<Vec<_>>()
    };
    vec![
        numbers(shape([images, channels * groups], |l| l.size), 1),
        numbers(shape([outputs * groups, channels], |l| l.kernel), 2),
    ]
}

/// The definition, with every axis padded and spread out in memory first.
fn naive(op: &Conv, x: &Array, kernel: &Array) -> Array {
    let spatial = x.rank() - 2;
    let mut shape = x.shape().dims().to_vec();
    for (i, n) in shape[2..].iter_mut().enumerate() {
        let dilated = (*n as i64 - 1) * op.input_dilation[i] as i64 + 1;
        *n = (dilated + op.padding[i].0 + op.padding[i].1) as usize;
    }
    let mut padded = vec![0.0; shape.iter().product()];
    let strides = Shape::from(&shape[..]).strides();
    let mut indices = Indices::new(x.shape());
    while let Some(index) = indices.next_index() {
        let mut at = index.to_vec();
        let mut inside = true;
        for i in 0..spatial {
            let p = index[i + 2] as i64 * op.input_dilation[i] as i64 + op.padding[i].0;
            inside &= p >= 0 && p < shape[i + 2] as i64;
            at[i + 2] = p.max(0) as usize;
        }
        if inside {
            padded[flat(at, &strides)] = x.get(index).unwrap().to_f64();
        }
    }
    let mut out_shape = vec![shape[0], kernel.shape()[0]];
    for i in 0..spatial {
        let extent = (kernel.shape()[i + 2] - 1) * op.dilation[i] + 1;
        out_shape.push((shape[i + 2] - extent) / op.stride[i] + 1);
    }
    let per_group = kernel.shape()[0] / op.groups;
    let mut out = Vec::new();
    let mut places = Indices::new(&out_shape);
    while let Some(place) = places.next_index() {
        let mut sum = 0.0;
        let mut taps = Indices::new(&kernel.shape()[1..]);
        while let Some(tap) = taps.next_index() {
            let mut at = vec![place[0], place[1] / per_group * kernel.shape()[1] + tap[0]];
            let mut k = vec![place[1], tap[0]];
            for i in 0..spatial {
                at.push(place[i + 2] * op.stride[i] + tap[i + 1] * op.dilation[i]);
                k.push(tap[i + 1]);
            }
            sum += padded[flat(at, &strides)] * kernel.get(&k).unwrap().to_f64();
        }
        out.push(sum);
    }
    Array::new(out_shape, out).unwrap()
}

/// Axes of many attributes that fit, from a generator.
struct Lines(u64);

impl Lines {
    fn number(&mut self, below: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below) as usize
    }

    fn line(&mut self) -> Line {
        loop {
            let line = Line {
                size: 1 + self.number(6),
                kernel: 1 + self.number(3),
                stride: 1 + self.number(4),
                padding: (self.number(9) as i64 - 3, self.number(9) as i64 - 3),
                dilation: 1 + self.number(3),
                input_dilation: 1 + self.number(3),
            };
            let padded = (line.size as i64 - 1) * line.input_dilation as i64
                + 1
                + line.padding.0
                + line.padding.1;
            if padded > ((line.kernel - 1) * line.dilation) as i64 {
                return line;
            }
        }
    }
}

#[test]
fn padding_multiplies_like_any_zero() {
    let x = Array::new([1, 1, 2], vec![1.0, 2.0]).unwrap();
    let kernel = Array::new([1, 1, 2], vec![1.0, f64::INFINITY]).unwrap();
    let line = Line {
        padding: (0, 1),
        ..PLAIN
    };
    let y = apply(conv(&[line], 1), &[x, kernel]).to_f64s();
    assert_eq!(y[0], f64::INFINITY);
    assert!(
        y[1].is_nan(),
        "0 times inf, as IEEE 754 has it, found {}",
        y[1]
    );
}

#[test]
fn values_by_hand() {
    let x = Array::new([1, 1, 5], vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let kernel = Array::new([1, 1, 2], vec![10.0, 1.0]).unwrap();
    let run = |line: Line| {
        apply(conv(&[line], 1), &[x.clone(), kernel.clone()])
            .to_vec::<f64>()
            .unwrap()
    };
    assert_eq!(run(PLAIN), [12.0, 23.0, 34.0, 45.0]);
    assert_eq!(run(Line { stride: 2, ..PLAIN }), [12.0, 34.0]);
    assert_eq!(
        run(Line {
            dilation: 3,
            ..PLAIN
        }),
        [14.0, 25.0]
    );
    assert_eq!(
        run(Line {
            padding: (1, 2),
            ..PLAIN
        }),
        [1.0, 12.0, 23.0, 34.0, 45.0, 50.0, 0.0]
    );
    assert_eq!(
        run(Line {
            padding: (-1, -2),
            ..PLAIN
        }),
        [23.0]
    );
    assert_eq!(
        run(Line {
            input_dilation: 2,
            ..PLAIN
        }),
        [10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0, 5.0]
    );
}

#[test]
fn images_and_groups_by_hand() {
    let x = Array::from(
        [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]
            .map(|c| c.concat())
            .concat()
            .concat(),
    );
    let x = x.reshape([1, 1, 3, 3]).unwrap();
    let kernel = Array::new([1, 1, 2, 2], vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    let y = apply(conv(&[PLAIN, PLAIN], 1), &[x, kernel]);
    assert_eq!(
        y,
        Array::new([1, 1, 2, 2], vec![6.0, 8.0, 12.0, 14.0]).unwrap()
    );
    // Two groups of two channels in and one out, no spatial axes.
    let x = Array::new([1, 4], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    let kernel = Array::new([2, 2], vec![10.0, 1.0, 100.0, 1.0]).unwrap();
    assert_eq!(
        apply(conv(&[], 2), &[x, kernel]),
        Array::new([1, 2], vec![12.0, 304.0]).unwrap()
    );
    let x = Array::new([1, 1, 2], vec![100_u8, 3]).unwrap();
    let y = apply(conv(&[PLAIN], 1), &[x.clone(), x]);
    assert_eq!(
        y,
        Array::new([1, 1, 1], vec![25_u8]).unwrap(),
        "10009 wraps"
    );
}

#[test]
fn values_and_transposes_of_many_attributes() {
    let mut lines = Lines(1);
    for round in 0..600 {
        let axes: Vec<Line> = (0..round % 3).map(|_| lines.line()).collect();
        let groups = 1 + lines.number(3);
        let (images, channels, outputs) = (
            1 + lines.number(2),
            1 + lines.number(2),
            1 + lines.number(2),
        );
        let op = conv(&axes, groups);
        let args = operands(&axes, images, channels, outputs, groups);
        assert_eq!(
            apply(op.clone(), &args),
            naive(&op, &args[0], &args[1]),
            "{op:?}"
        );
        check_linear(op.clone(), args.clone(), &[true, false]);
        check_linear(op, args, &[false, true]);
    }
}

#[test]
fn transposes_of_transposes() {
    // A transpose is a conv again, so its own rules are met by pushing it through once more.
    let mut lines = Lines(2);
    for _ in 0..100 {
        let axes = [lines.line()];
        let op = conv(&axes, 2);
        let args = operands(&axes, 2, 2, 1, 2);
        for which in 0..2 {
            let mut b = Builder::new("transpose");
            let (x, k) = (type_of(&args[0]), type_of(&args[1]));
            let (x, k) = (b.input("x", x), b.input("k", k));
            let out = b.push(op.clone(), &[x, k]);
            let ct = b.input("ct", b.tensor(out));
            let mut operands = [Operand::Known(x), Operand::Known(k)];
            operands[which] = Operand::Linear(operands[which].ty(&b));
            let back = op.transpose(&mut b, &operands, ct).unwrap()[which].unwrap();
            let graph = b.finish(&[back]).unwrap();
            let inner = graph.equations().iter().find_map(|e| match &e.op {
                crate::Op::Array(crate::ops::ArrayOp::Conv(c)) if **c != op || e.args[0] != x => {
                    Some((
                        Conv::clone(c),
                        [graph.ty(e.args[0]).clone(), graph.ty(e.args[1]).clone()],
                    ))
                }
                _ => None,
            });
            let Some((inner, types)) = inner else {
                continue;
            };
            let args: Vec<Array> = types
                .iter()
                .map(|t| numbers(t.tensor().unwrap().shape.clone(), 5))
                .collect();
            check_linear(inner.clone(), args.clone(), &[true, false]);
            check_linear(inner, args, &[false, true]);
        }
    }
}

fn type_of(a: &Array) -> TensorType {
    TensorType::new(a.dtype(), a.shape())
}

#[test]
fn derivatives() {
    let line = Line {
        size: 6,
        stride: 2,
        padding: (1, -1),
        dilation: 2,
        ..PLAIN
    };
    let args: Vec<Array> = operands(&[line], 2, 2, 1, 2)
        .iter()
        .map(|a| random(a.shape(), 3))
        .collect();
    check_derivatives(conv(&[line], 2), &args);
}

#[test]
fn batches() {
    let mut lines = Lines(3);
    for round in 0..60 {
        let axes: Vec<Line> = (0..round % 3).map(|_| lines.line()).collect();
        let groups = 1 + lines.number(3);
        let op = conv(&axes, groups);
        let args = operands(&axes, 2, 1 + lines.number(2), 2, groups);
        let many = |a: &Array, n: usize| numbers([&[n], a.shape().dims()].concat(), 9 + n as u64);
        let (x, k) = (&args[0], &args[1]);
        check_batch(op.clone(), vec![many(x, 3), k.clone()], &[true, false]);
        check_batch(op.clone(), vec![x.clone(), many(k, 3)], &[false, true]);
        check_batch(op.clone(), vec![many(x, 3), many(k, 3)], &[true, true]);
        check_batch(op, vec![many(x, 0), many(k, 0)], &[true, true]);
    }
}

#[test]
fn nothing_to_convolve_is_zero() {
    let op = conv(
        &[Line {
            padding: (2, 2),
            ..PLAIN
        }],
        1,
    );
    let empty = numbers([1, 1, 0], 1);
    let kernel = numbers([1, 1, 3], 1);
    let y = apply(op.clone(), &[empty.clone(), kernel.clone()]);
    assert_eq!(y, Array::zeros(DType::F64, [1, 1, 2]).unwrap());
    let mut b = Builder::new("transpose");
    let x = b.constant(empty);
    let ct = b.constant(y);
    let operands = [Operand::Known(x), Operand::Linear(type_of(&kernel))];
    assert_eq!(op.transpose(&mut b, &operands, ct), Some(vec![None, None]));
    let y = apply(
        conv(&[PLAIN], 1),
        &[numbers([1, 0, 5], 1), numbers([2, 0, 3], 1)],
    );
    assert_eq!(y, Array::zeros(DType::F64, [1, 2, 3]).unwrap());
}

#[test]
fn errors_say_what_was_expected() {
    let args = [tensor([1, 4, 5]), tensor([6, 2, 3])];
    let message = |op: Conv| error(op, &args);
    assert_eq!(
        message(conv(&[PLAIN], 3)),
        "expected groups to divide 4 input channels and 6 output channels, found 3"
    );
    assert_eq!(
        message(conv(&[PLAIN], 1)),
        "expected a kernel with 4 channels on axis 1 (4 input channels in 1 groups), found 2"
    );
    assert_eq!(
        message(conv(&[], 2)),
        "expected stride to have one entry for each of 1 spatial axes, found 0"
    );
    assert_eq!(
        message(conv(&[Line { stride: 0, ..PLAIN }], 2)),
        "expected stride and dilations of at least 1, found 0, 1 and 1 on spatial axis 0"
    );
    assert_eq!(
        message(conv(
            &[Line {
                padding: (-2, -1),
                ..PLAIN
            }],
            2
        )),
        "expected a kernel that fits into the padded input along spatial axis 0, found 3 over 2"
    );
    assert_eq!(
        error(conv(&[PLAIN], 1), &[tensor([1, 4, 5]), tensor([6, 4])]),
        "expected an input [N, C, spatial...] and a kernel [O, C / groups, spatial...] of one rank, found f64[1, 4, 5] and f64[6, 4]"
    );
}

#[test]
fn nothing_panics() {
    for x in nasty_types() {
        for n in NASTY {
            for p in [i64::MIN, -1, 0, i64::MAX] {
                let line = Line {
                    stride: n,
                    padding: (p, p),
                    dilation: n,
                    input_dilation: n,
                    ..PLAIN
                };
                infer(conv(&[line], 1), &[&x, &x]);
                infer(conv(&[PLAIN], n), &[&x, &tensor([n, 0, n])]);
                check_after_error(conv(&[line], n));
            }
        }
    }
}
