//! What the conformance tests share: arbitrary arrays and comparison with the reference evaluator.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;

use cotangent_array::{Array, Complex64, DType, Scalar, Shape};
use cotangent_compile::Plan;
use cotangent_graph::{Builder, Graph, Op, TensorType, Var, parse};

/// Shapes that every operation on any shape is tried with: rank 0, no elements, one element, odd
/// sizes, more than one block of a kernel.
pub const SHAPES: &[&[usize]] = &[
    &[],
    &[0],
    &[1],
    &[7],
    &[3, 5],
    &[2, 0, 3],
    &[1, 9, 1],
    &[259],
    &[2, 3, 129],
];

/// A small generator of numbers (Marsaglia's xorshift), so that failures repeat.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number in an interval.
    pub fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * (high - low)
    }

    /// An ordinary element: small numbers of either sign.
    pub fn plain(&mut self, dtype: DType) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(self.next() & 1 == 1),
            d if d.is_float() => Scalar::from_f64(d, self.within(-3.0, 3.0)),
            d if d.is_complex() => {
                let (re, im) = (self.within(-3.0, 3.0), self.within(-3.0, 3.0));
                Scalar::from_complex(d, Complex64::new(re, im))
            }
            d => Scalar::from_i64(d, self.next() as i64 % 50),
        }
    }

    /// Any element: now and then a special one.
    pub fn any(&mut self, dtype: DType) -> Scalar {
        const SPECIAL: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            2.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            1e300,
            -1e300,
            1e-310,
            1e38,
            1e-40,
            2.5,
            -3.5,
            4503599627370497.5,
        ];
        if dtype.is_float() && self.next().is_multiple_of(3) {
            return Scalar::from_f64(dtype, SPECIAL[self.next() as usize % SPECIAL.len()]);
        }
        if dtype.is_complex() {
            let mut part = || self.any(dtype.real()).to_f64();
            return Scalar::from_complex(dtype, Complex64::new(part(), part()));
        }
        if dtype.is_int() && self.next().is_multiple_of(2) {
            return Scalar::from_i64(dtype, (self.next() as i64) >> (self.next() % 64));
        }
        self.plain(dtype)
    }

    pub fn array(
        &mut self,
        ty: &TensorType,
        mut element: impl FnMut(&mut Self, DType) -> Scalar,
    ) -> Array {
        let n = ty.shape.elements();
        let elements: Vec<Scalar> = (0..n).map(|_| element(self, ty.dtype)).collect();
        Array::from_scalars(ty.dtype, ty.shape.clone(), elements).unwrap()
    }
}

pub fn ty(dtype: DType, shape: &[usize]) -> TensorType {
    TensorType::new(dtype, Shape::from(shape))
}

/// A graph of one operation on inputs of these types; `None` if it does not take them.
pub fn single(op: impl Into<Op>, types: &[TensorType]) -> Option<Graph> {
    let mut b = Builder::new("f");
    let args: Vec<Var> = types.iter().map(|t| b.input("", t.clone())).collect();
    let out = b.push(op, &args);
    b.finish(&[out]).ok()
}

/// Runs a graph by the program, on fresh arrays and into given ones, and checks that both agree.
pub fn run(graph: &Graph, inputs: &[Array]) -> Vec<Array> {
    let program = cotangent_cpu::compile(graph).unwrap_or_else(|e| panic!("{e}\n{graph}"));
    let first = program
        .run(inputs)
        .unwrap_or_else(|e| panic!("{e}\n{graph}"));
    let mut second: Vec<Array> = first
        .iter()
        .map(|x| Array::zeros(x.dtype(), x.shape()).unwrap())
        .collect();
    // The arena now holds values of the first run.
    program.run_into(inputs, &mut second).unwrap();
    assert_eq!(first, second, "the second run differs\n{graph}");
    first
}

/// Checks that the program gives the bits of the reference evaluator.
pub fn same_bits(graph: &Graph, inputs: &[Array]) {
    let expected = cotangent_graph::eval(graph, inputs).unwrap_or_else(|e| panic!("{e}\n{graph}"));
    let found = run(graph, inputs);
    for (found, expected) in found.iter().zip(&expected) {
        if found != expected {
            let at = (0..expected.len()).find(|i| found.at(*i) != expected.at(*i));
            panic!(
                "element {at:?}: expected {:?}, found {:?}\n{graph}\ninputs at that place: {:?}",
                at.and_then(|i| expected.at(i)),
                at.and_then(|i| found.at(i)),
                inputs
                    .iter()
                    .map(|x| at.and_then(|i| x.at(i)))
                    .collect::<Vec<_>>()
            );
        }
    }
}

/// Checks that floats are within 32 units in the last place of the sum of the magnitudes of what
/// was added: the reference's result for the operands' absolute values.
pub fn near(graph: &Graph, inputs: &[Array]) {
    let expected = cotangent_graph::eval(graph, inputs).unwrap();
    let positive: Vec<Array> = inputs
        .iter()
        .map(|x| {
            let elements = x
                .scalars()
                .map(|s| Scalar::from_f64(x.dtype(), s.to_complex().norm()));
            Array::from_scalars(x.dtype(), x.shape(), elements).unwrap()
        })
        .collect();
    let sizes = cotangent_graph::eval(graph, &positive).unwrap();
    for ((found, expected), size) in run(graph, inputs).iter().zip(&expected).zip(&sizes) {
        assert_eq!(
            (found.dtype(), found.shape()),
            (expected.dtype(), expected.shape())
        );
        let epsilon = if found.dtype().real() == DType::F32 {
            f64::from(f32::EPSILON)
        } else {
            f64::EPSILON
        };
        let rows = found
            .scalars()
            .map(Scalar::to_complex)
            .zip(expected.scalars().map(Scalar::to_complex))
            .zip(size.to_f64s());
        for (i, ((found, expected), size)) in rows.enumerate() {
            let same = found == expected || (found.is_nan() && expected.is_nan());
            assert!(
                same || (found - expected).norm() <= 32.0 * epsilon * size.abs(),
                "element {i}: expected {expected}, found {found}\n{graph}"
            );
        }
    }
}

/// Checks that floats are within so many units in the last place of the reference evaluator's, and
/// everything else the same; zeros have the same sign.
pub fn within(graph: &Graph, inputs: &[Array], units: f64) {
    let expected = cotangent_graph::eval(graph, inputs).unwrap_or_else(|e| panic!("{e}\n{graph}"));
    for (found, expected) in run(graph, inputs).iter().zip(&expected) {
        let single = expected.dtype() == DType::F32;
        for (i, (f, e)) in found.scalars().zip(expected.scalars()).enumerate() {
            let (x, y) = (f.to_f64(), e.to_f64());
            let unit = if single {
                let y = (y as f32).abs();
                f64::from(y.next_up() - y)
            } else {
                y.abs().next_up() - y.abs()
            };
            let close = (x - y).abs() <= units * unit && y.is_finite();
            assert!(
                f == e || (x.is_nan() && y.is_nan()) || (close && x.signum() == y.signum()),
                "element {i}: expected {e:?}, found {f:?}\n{graph}\ninputs at that place: {:?}",
                inputs
                    .iter()
                    .map(|x| x.at(i.min(x.len().saturating_sub(1))))
                    .collect::<Vec<_>>()
            );
        }
    }
}

/// The plan of a text, checked.
pub fn plan_of(text: &str) -> Arc<Plan> {
    let graph = parse(text).unwrap().entry().clone();
    let plan = cotangent_compile::compile(&graph, &cotangent_cpu::target()).unwrap();
    plan.check().unwrap();
    Arc::new(plan)
}

/// Arrays for the inputs of a plan, of numbers within 30 of 0.
pub fn inputs_of(plan: &Plan, seed: u64) -> Vec<Array> {
    let mut numbers = Numbers::new(seed);
    let draw = |(_, ty): &(String, TensorType)| {
        let count = ty.shape.elements();
        let elements: Vec<f64> = (0..count).map(|_| numbers.within(-30.0, 30.0)).collect();
        let array = Array::new(ty.shape.dims(), elements).unwrap();
        array.convert(ty.dtype)
    };
    plan.inputs.iter().map(draw).collect()
}

/// Arrays for the inputs of a plan: plain numbers, or special ones among them.
pub fn inputs(plan: &Plan, seed: u64, special: bool) -> Vec<Array> {
    let mut numbers = Numbers::new(seed);
    let draw = |(_, ty): &(String, TensorType)| {
        numbers.array(ty, |numbers, dtype| match special {
            true => numbers.any(dtype),
            false => numbers.plain(dtype),
        })
    };
    plan.inputs.iter().map(draw).collect()
}

/// The bits of an array; every NaN counts as the same.
pub fn bits(array: &Array) -> Vec<Option<u64>> {
    let bits = |x: f64| (!x.is_nan()).then_some(x.to_bits());
    array.to_f64s().into_iter().map(bits).collect()
}
