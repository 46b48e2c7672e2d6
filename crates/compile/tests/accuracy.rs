//! The error of vector math over the whole range of floats, and its special values.
//!
//! f64 results are compared with those of the standard library and of `libm`, which are within one
//! unit in the last place of the true ones; so a distance of 3 is an error of at most 4. f32 results
//! are compared with f64 ones.

use cotangent_array::DType;
use cotangent_compile::lane::{LaneInput, LaneOp, LaneOutput, LaneProgram, Lanes};
use cotangent_graph::Op;
use cotangent_graph::ops::Unary;
use smallvec::smallvec;

const OPS: &[Unary] = &[
    Unary::Exp,
    Unary::Expm1,
    Unary::Log,
    Unary::Log1p,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Sin,
    Unary::Cos,
    Unary::Tan,
];

fn program(op: Unary, lanes: Lanes, fma: bool, n: usize) -> LaneProgram {
    let dtype = match lanes {
        Lanes::W64 => DType::F64,
        Lanes::W32 => DType::F32,
    };
    let input = LaneInput {
        dtype,
        start: 0,
        strides: smallvec![1],
        index: None,
        pad: None,
    };
    let op = LaneOp {
        op: Op::Unary(op),
        dtype,
        args: smallvec![0],
    };
    let output = LaneOutput {
        value: 1,
        beside: Vec::new(),
        dtype,
        fold: None,
        leading: false,
    };
    LaneProgram::new(
        lanes,
        fma,
        smallvec![n],
        vec![input],
        vec![op],
        vec![output],
    )
    .unwrap()
}

/// Numbers of every size, and many where functions bend.
fn points() -> Vec<f64> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        state >> 11
    };
    let unit = |x: u64| x as f64 / (1_u64 << 53) as f64;
    let mut all = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        709.78,
        709.79,
        -708.3,
        -745.1,
        -745.2,
        88.72,
        88.73,
        -87.3,
        -103.9,
        -104.0,
        1e-45,
        1e-300,
    ];
    for _ in 0..20_000 {
        let spread = [1.0, 0.001, 20.0, 800.0][next() as usize % 4];
        all.push((unit(next()) - 0.5) * 2.0 * spread);
        // Any exponent.
        let exponent = (next() % 2047) << 52;
        all.push(f64::from_bits(exponent | next() >> 1 | (next() & 1) << 63));
        all.push(1.0 + (unit(next()) - 0.5) * 0.1);
        // Beside multiples of pi / 2, where sines and cosines are small, and of any size there.
        let count = next() % (1 << (next() % 22));
        let angle = count as f64 * std::f64::consts::FRAC_PI_2;
        all.push(f64::from_bits(angle.to_bits() + next() % 5).copysign(unit(next()) - 0.5));
        all.push(f64::from((angle as f32).next_up()));
        all.push(unit(next()) * 2e6);
        all.push(-unit(next()) * 20_000.0);
    }
    all
}

/// How many floats lie between two; 0 for two NaN.
fn distance(x: f64, y: f64) -> u64 {
    if x.is_nan() || y.is_nan() {
        return if x.is_nan() && y.is_nan() {
            0
        } else {
            u64::MAX
        };
    }
    let line = |x: f64| {
        let bits = x.to_bits() as i64;
        if bits < 0 {
            i64::MIN.wrapping_sub(bits)
        } else {
            bits
        }
    };
    line(x).abs_diff(line(y))
}

#[test]
fn f64_is_within_4_units() {
    let points = points();
    for op in OPS {
        for fma in [true, false] {
            let program = program(*op, Lanes::W64, fma, points.len());
            let found = program
                .eval(&[points.iter().map(|x| x.to_bits()).collect()])
                .unwrap();
            let mut worst = (0, 0.0);
            for (x, found) in points.iter().zip(&found[0]) {
                let (found, expected) = (f64::from_bits(*found), op.float(*x));
                let d = distance(found, expected);
                assert!(
                    d <= 3,
                    "{}({x:e}) with fma {fma}: {found:e}, not {expected:e}, {d} units",
                    op.name()
                );
                let zeros = found == 0.0 && expected == 0.0;
                assert!(
                    !zeros || found.is_sign_negative() == expected.is_sign_negative(),
                    "{}({x:e}): the sign of zero",
                    op.name()
                );
                if d > worst.0 {
                    worst = (d, *x);
                }
            }
            println!(
                "{} f64 fma {fma}: {} units at {:e}",
                op.name(),
                worst.0,
                worst.1
            );
        }
    }
}

#[test]
fn f32_is_within_4_units() {
    let points: Vec<f32> = points()
        .iter()
        .map(|x| *x as f32)
        .chain((0..20_000_u64).map(|i| f32::from_bits((i * 214_748) as u32)))
        .collect();
    for op in OPS {
        for fma in [true, false] {
            let program = program(*op, Lanes::W32, fma, points.len());
            let bits = points.iter().map(|x| u64::from(x.to_bits())).collect();
            let found = program.eval(&[bits]).unwrap();
            let mut worst = (0.0, 0.0);
            for (x, found) in points.iter().zip(&found[0]) {
                let found = f32::from_bits(*found as u32);
                let exact = op.float(f64::from(*x));
                let expected = exact as f32;
                if expected.is_nan() || expected.is_infinite() || expected == 0.0 {
                    // At the border of the range one unit decides.
                    let near =
                        f64::from(found) != 0.0 && (exact / f64::from(found) - 1.0).abs() < 4e-7;
                    assert!(
                        near || (expected.is_nan() && found.is_nan())
                            || expected.to_bits() == found.to_bits()
                            || (found.abs() <= 4e-45 && expected.abs() <= 4e-45),
                        "{}({x:e}): {found:e}, not {expected:e}",
                        op.name()
                    );
                    continue;
                }
                let unit = (expected.abs().next_up() - expected.abs()).max(f32::from_bits(1));
                let units = (f64::from(found) - exact).abs() / f64::from(unit);
                assert!(
                    units <= 4.0,
                    "{}({x:e}) with fma {fma}: {found:e}, not {expected:e}, {units} units",
                    op.name()
                );
                if units > worst.0 {
                    worst = (units, *x);
                }
            }
            println!(
                "{} f32 fma {fma}: {:.2} units at {:e}",
                op.name(),
                worst.0,
                worst.1
            );
        }
    }
}
