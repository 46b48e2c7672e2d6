use cotangent_array::{DType, Scalar};

use super::*;
use crate::eval;
use crate::ops::ArrayOp;

fn numbers(n: usize, salt: u64) -> Vec<f64> {
    super::super::tangents::random([n], salt).to_f64s()
}

fn complex_array(shape: &[usize], salt: u64) -> Array {
    let n = shape.iter().product();
    let (re, im) = (numbers(n, salt), numbers(n, salt + 1000));
    let values = re
        .into_iter()
        .zip(im)
        .map(|(re, im)| Complex64::new(re, im));
    Array::new(shape, values.collect::<Vec<_>>()).unwrap()
}

fn real_array(shape: &[usize], salt: u64) -> Array {
    Array::new(shape, numbers(shape.iter().product(), salt)).unwrap()
}

fn apply(op: impl Into<ArrayOp>, x: &Array) -> Array {
    let mut b = Builder::new("f");
    let v = b.input("x", type_of(x));
    let y = b.push(op.into(), &[v]);
    eval(&b.finish(&[y]).unwrap(), std::slice::from_ref(x))
        .unwrap()
        .remove(0)
}

fn pull(op: impl Into<ArrayOp>, x: &Array, cotangent: &Array) -> Array {
    let mut b = Builder::new("f");
    let ct = b.input("ct", type_of(cotangent));
    let operand = Operand::Linear(type_of(x));
    let back = op.into().transpose(&mut b, &[operand], ct).unwrap();
    eval(
        &b.finish(&[back[0].unwrap()]).unwrap(),
        std::slice::from_ref(cotangent),
    )
    .unwrap()
    .remove(0)
}

/// Re(sum(x * y)), the pairing of cotangents and tangents.
fn pairing(x: &Array, y: &Array) -> f64 {
    let products = x.scalars().zip(y.scalars());
    products
        .map(|(x, y)| (x.to_complex() * y.to_complex()).re)
        .sum()
}

fn close(x: &Array, y: &Array) {
    assert_eq!((x.dtype(), x.shape()), (y.dtype(), y.shape()));
    for (a, b) in x.scalars().zip(y.scalars()) {
        let off = (a.to_complex() - b.to_complex()).norm();
        assert!(off < 1e-12, "{a} and {b}");
    }
}

#[test]
fn known_transforms() {
    let x = Array::from([1.0, 2.0, 3.0, 4.0]);
    let expected = [(10.0, 0.0), (-2.0, 2.0), (-2.0, 0.0)].map(|(x, y)| Complex64::new(x, y));
    let half = apply(Rfft { axis: 0 }, &x);
    close(&half, &Array::from(expected));
    let four = Array::from([4.0, 8.0, 12.0, 16.0]);
    close(&apply(Irfft { axis: 0, n: 4 }, &half), &four);
    let all = apply(
        Fft {
            axes: vec![0],
            inverse: false,
        },
        &x.convert(DType::C128),
    );
    let fourth = Scalar::C128(Complex64::new(-2.0, -2.0));
    assert_eq!(all.at(3), Some(fourth));
}

#[test]
fn real_transforms_are_halves_of_complex_ones_along_any_axis() {
    for n in 1..=9 {
        for (shape, axis) in [(vec![n], 0), (vec![2, n, 3], 1), (vec![n, 2], 0)] {
            let x = real_array(&shape, n as u64);
            let all = apply(
                Fft {
                    axes: vec![axis],
                    inverse: false,
                },
                &x.convert(DType::C128),
            );
            let half = apply(Rfft { axis }, &x);
            let stop: Vec<usize> = half.shape().dims().to_vec();
            let mut b = Builder::new("f");
            let v = b.input("x", type_of(&all));
            let cut = b.slice_axis(v, axis, 0, stop[axis]);
            let cut = eval(&b.finish(&[cut]).unwrap(), &[all]).unwrap().remove(0);
            close(&half, &cut);
            let back = apply(Irfft { axis, n }, &half);
            let scaled: Vec<f64> = x.to_f64s().iter().map(|x| x * n as f64).collect();
            close(&back, &Array::new(x.shape(), scaled).unwrap());
        }
    }
}

#[test]
fn several_axes_are_one_after_the_other() {
    let x = complex_array(&[3, 4, 5], 1);
    let both = apply(
        Fft {
            axes: vec![0, 2],
            inverse: true,
        },
        &x,
    );
    let one = apply(
        Fft {
            axes: vec![0],
            inverse: true,
        },
        &x,
    );
    close(
        &both,
        &apply(
            Fft {
                axes: vec![2],
                inverse: true,
            },
            &one,
        ),
    );
    let there = apply(
        Fft {
            axes: vec![0, 2],
            inverse: false,
        },
        &both,
    );
    let scaled = x.scalars().map(|z| Scalar::C128(z.to_complex() * 15.0));
    close(
        &there,
        &Array::from_scalars(DType::C128, x.shape().clone(), scaled).unwrap(),
    );
}

#[test]
fn transposes_keep_the_pairing() {
    for n in 1..=8 {
        for (shape, axis) in [(vec![n], 0), (vec![2, n, 2], 1)] {
            let x = real_array(&shape, 1);
            let y = apply(Rfft { axis }, &x);
            let ct = complex_array(y.shape().dims(), 2);
            let off = pairing(&ct, &y) - pairing(&pull(Rfft { axis }, &x, &ct), &x);
            assert!(off.abs() < 1e-12, "rfft of {n}: {off}");

            let z = complex_array(y.shape().dims(), 3);
            let op = Irfft { axis, n };
            let ct = real_array(&shape, 4);
            let off = pairing(&ct, &apply(op.clone(), &z)) - pairing(&pull(op, &z, &ct), &z);
            assert!(off.abs() < 1e-12, "irfft of {n}: {off}");

            let z = complex_array(&shape, 5);
            let ct = complex_array(&shape, 6);
            let op = Fft {
                axes: vec![axis],
                inverse: n % 2 == 0,
            };
            let off = pairing(&ct, &apply(op.clone(), &z)) - pairing(&pull(op, &z, &ct), &z);
            assert!(off.abs() < 1e-12, "fft of {n}: {off}");
        }
    }
}

#[test]
fn empty_arrays_and_wrong_operands() {
    let none = Array::zeros(DType::C64, [0, 3]).unwrap();
    assert_eq!(
        apply(
            Fft {
                axes: vec![0, 1],
                inverse: false
            },
            &none
        ),
        none
    );
    let real = TensorType::new(DType::F64, [4]);
    let complex = TensorType::new(DType::C128, [3]);
    let error = |op: ArrayOp, x: &TensorType| op.infer(&[x]).unwrap_err().to_string();
    let fft = Fft {
        axes: vec![0],
        inverse: false,
    };
    assert_eq!(error(fft.into(), &real), "expected c128 or c64, found f64");
    assert_eq!(
        error(Rfft { axis: 0 }.into(), &complex),
        "expected f64 or f32, found c128"
    );
    assert_eq!(
        error(Irfft { axis: 0, n: 6 }.into(), &complex),
        "expected 4 entries along axis 0 for n = 6, found 3"
    );
    assert!(error(Rfft { axis: 1 }.into(), &real).contains("expected an axis below 1"));
    let empty = TensorType::new(DType::F32, [0]);
    assert!(error(Rfft { axis: 0 }.into(), &empty).contains("1 or more"));
}
