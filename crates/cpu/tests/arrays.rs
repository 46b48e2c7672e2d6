//! Every operation that is not pointwise, against the reference evaluator. Moves, integers, maxima
//! and running sums have the same bits; sums and products of floats are close.

mod common;
#[path = "arrays/indexed.rs"]
mod indexed;
#[path = "arrays/moves.rs"]
mod moves;
#[path = "arrays/products.rs"]
mod products;
#[path = "arrays/reductions.rs"]
mod reductions;
#[path = "arrays/transforms.rs"]
mod transforms;
#[path = "arrays/windows.rs"]
mod windows;

use std::collections::BTreeSet;

use common::{Numbers, near, run, same_bits, single, ty};
use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_graph::ops::*;
use cotangent_graph::{Op, TensorType, eval};

use indexed::*;
use moves::*;
use products::*;
use reductions::*;
use transforms::*;
use windows::*;

const NUMBERS: &[DType] = &[
    DType::U8,
    DType::U32,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
];
/// These and complex numbers.
const NUMERIC: &[DType] = &[
    DType::U8,
    DType::U32,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
    DType::C64,
    DType::C128,
];
const FLOATS: &[DType] = &[DType::F32, DType::F64];

/// Tries an operation with operands of these shapes for each dtype: the same bits.
fn exact(op: impl Into<Op>, dtypes: &[DType], shapes: &[&[usize]]) {
    let op = op.into();
    for dtype in dtypes {
        let types: Vec<TensorType> = shapes.iter().map(|s| ty(*dtype, s)).collect();
        let graph = single(op.clone(), &types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
        let mut numbers = Numbers::new(3);
        let inputs: Vec<Array> = types
            .iter()
            .map(|t| numbers.array(t, Numbers::any))
            .collect();
        same_bits(&graph, &inputs);
    }
}

/// Tries an operation that adds: integers have the same bits, floats are near.
fn close(op: impl Into<Op>, dtypes: &[DType], shapes: &[&[usize]]) {
    let op = op.into();
    for dtype in dtypes {
        let types: Vec<TensorType> = shapes.iter().map(|s| ty(*dtype, s)).collect();
        let graph = single(op.clone(), &types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
        let mut numbers = Numbers::new(5);
        let inputs: Vec<Array> = types
            .iter()
            .map(|t| numbers.array(t, Numbers::plain))
            .collect();
        if dtype.is_inexact() {
            near(&graph, &inputs);
        } else {
            same_bits(&graph, &inputs);
        }
    }
}

macro_rules! covered {
    ($($name:ident)+) => {
        const COVERED: &[&str] = &[$(stringify!($name)),+];

        mod operation {
            $(#[test]
            fn $name() {
                super::$name();
            })+
        }
    };
}

covered! {
    iota random_bits reshape transpose broadcast reverse slice pad concat gather scatter_add
    sum prod max min norm argmax argmin any all cumsum cumprod recurrence dot conv
    argsort searchsorted cum_argmax cum_argmin
    window_sum window_max window_argmax fft rfft irfft
}

#[test]
fn every_operation_is_covered() {
    let all: BTreeSet<&str> = ArrayOp::ALL.iter().map(|(name, ..)| *name).collect();
    assert_eq!(all, COVERED.iter().copied().collect());
}

/// A sum does not depend on what stands beside it: the same row gives the same bits.
#[test]
fn sums_are_accurate() {
    let n = 100_000;
    let x = Array::vector(vec![0.1_f32; n]);
    let graph = single(Sum { axes: vec![0] }, &[ty(DType::F32, &[n])]).unwrap();
    let sum = run(&graph, &[x])[0].item::<f32>().unwrap();
    assert_eq!(sum, (0.1_f32 as f64 * n as f64) as f32);
}
