//! Checks derivatives of the first and second order against differences, for the tests of
//! operations that are not linear.

use cotangent_array::{Array, DType, Shape};

use super::{ArrayOp, Binary, Operand};
use crate::{Arity, Builder, Graph, GraphError, Op, TensorType, Var, eval};

/// Numbers in -1 to 1 that follow from the salt.
pub(super) fn random(shape: impl Into<Shape>, salt: u64) -> Array {
    let shape = shape.into();
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let values: Vec<f64> = (0..shape.elements())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        })
        .collect();
    Array::new(shape, values).unwrap()
}

/// Checks the operation's tangent against a central difference of the operation, and the tangent of
/// that tangent against a central difference of the tangent.
pub(super) fn check_derivatives(op: impl Into<ArrayOp>, args: &[Array]) {
    let op = op.into();
    let directions: Vec<Array> = args
        .iter()
        .enumerate()
        .map(|(i, a)| random(a.shape(), 100 + i as u64))
        .collect();
    let value = graph_of(&op, args);
    let first = forward(&value, args.len());
    let mut at: Vec<Array> = args.to_vec();
    at.extend(directions.clone());
    close(
        &op,
        "first",
        &run(&first, &at),
        &difference(&value, args, &directions, &[]),
    );
    let second = forward(&first, args.len());
    at.extend(directions.clone());
    close(
        &op,
        "second",
        &run(&second, &at),
        &difference(&first, args, &directions, &directions),
    );
}

/// The tangent of the operation at `args` along `directions`.
pub(super) fn tangent(op: impl Into<ArrayOp>, args: &[Array], directions: &[Array]) -> Array {
    let graph = forward(&graph_of(&op.into(), args), args.len());
    run(&graph, &[args, directions].concat())
}

/// The tangent along `directions` of the tangent along the same.
pub(super) fn second_tangent(
    op: impl Into<ArrayOp>,
    args: &[Array],
    directions: &[Array],
) -> Array {
    let graph = forward(
        &forward(&graph_of(&op.into(), args), args.len()),
        args.len(),
    );
    run(&graph, &[args, directions, directions].concat())
}

/// Calls every rule in a builder that has failed already: none may panic.
pub(super) fn check_after_error(op: impl Into<ArrayOp>) {
    let op = op.into();
    let Arity::Exactly(count) = op.arity() else {
        panic!("expected a fixed number of operands")
    };
    let mut b = Builder::new("failed");
    let known = b.input("x", TensorType::scalar(DType::F64));
    let poison = b.fail(GraphError::other("an error", None));
    for v in [poison, known] {
        let args = vec![v; count];
        op.jvp(&mut b, &args, v, &vec![Some(v); count]);
        for i in 0..count {
            let linear = Operand::Linear(TensorType::scalar(DType::F64));
            let mut operands = vec![Operand::Known(v); count];
            operands[i] = linear;
            op.transpose(&mut b, &operands, v);
            let mut batched = vec![false; count];
            batched[i] = true;
            op.batch(&mut b, &args, &batched, 3);
        }
        op.batch(&mut b, &args, &vec![true; count], 0);
    }
    assert!(b.failed());
}

fn graph_of(op: &ArrayOp, args: &[Array]) -> Graph {
    let mut b = Builder::new("value");
    let vars: Vec<Var> = args
        .iter()
        .map(|a| b.input("", TensorType::new(a.dtype(), a.shape())))
        .collect();
    let y = b.push(op.clone(), &vars);
    b.finish(&[y]).unwrap()
}

/// The tangent of a graph's output: takes its inputs, then a tangent for each of the first `vary`.
fn forward(graph: &Graph, vary: usize) -> Graph {
    let mut b = Builder::new("tangent");
    let mut to = Vec::new();
    let inputs: Vec<Var> = graph
        .input_types()
        .into_iter()
        .map(|t| b.input("", t))
        .collect();
    let mut tangents: Vec<Option<Var>> = Vec::new();
    let given: Vec<Var> = graph.input_types()[..vary]
        .iter()
        .map(|t| b.input("", t.clone()))
        .collect();
    for (v, e) in graph.iter() {
        if e.op.is_input() {
            let i = graph.inputs().iter().position(|(_, w)| *w == v).unwrap();
            to.push(inputs[i]);
            tangents.push(given.get(i).copied());
            continue;
        }
        let args: Vec<Var> = e.args.iter().map(|a| to[a.index()]).collect();
        let moving: Vec<Option<Var>> = e.args.iter().map(|a| tangents[a.index()]).collect();
        let out = b.push(e.op.clone(), &args);
        to.push(out);
        let float = b.dtype(out).is_float();
        let t = if !float || moving.iter().all(Option::is_none) {
            None
        } else {
            match &e.op {
                Op::Array(op) => op.jvp(&mut b, &args, out, &moving),
                Op::Binary(op) => pairwise(&mut b, *op, &args, out, &moving),
                Op::Ternary(_) => {
                    let arms: Vec<Var> = (1..3)
                        .map(|i| moving[i].unwrap_or_else(|| b.like(out, 0.0)))
                        .collect();
                    Some(b.select(args[0], arms[0], arms[1]))
                }
                other => panic!("{} is not expected in a derivative here", other.name()),
            }
        };
        tangents.push(t);
    }
    let y = graph.outputs()[0].index();
    let out = tangents[y].unwrap_or_else(|| b.like(to[y], 0.0));
    b.finish(&[out]).unwrap()
}

fn pairwise(
    b: &mut Builder,
    op: Binary,
    args: &[Var],
    out: Var,
    moving: &[Option<Var>],
) -> Option<Var> {
    let mut total = None;
    for (i, t) in moving.iter().enumerate() {
        let Some(t) = *t else { continue };
        let term = if op == Binary::Zmul && i == 1 {
            b.binary(Binary::Zmul, args[0], t)
        } else {
            let p = op.partial(i, b, args[0], args[1], out);
            b.binary(Binary::Zmul, t, p)
        };
        total = Some(match total {
            Some(sum) => b.add(sum, term),
            None => term,
        });
    }
    total
}

fn run(graph: &Graph, inputs: &[Array]) -> Array {
    eval(graph, inputs).unwrap().remove(0)
}

fn difference(graph: &Graph, args: &[Array], directions: &[Array], fixed: &[Array]) -> Array {
    let step = 1e-5;
    let moved = |by: f64| {
        let mut inputs: Vec<Array> = args
            .iter()
            .zip(directions)
            .map(|(a, d)| {
                let sums: Vec<f64> = a
                    .to_f64s()
                    .iter()
                    .zip(d.to_f64s())
                    .map(|(a, d)| a + by * d)
                    .collect();
                Array::new(a.shape(), sums).unwrap()
            })
            .collect();
        inputs.extend(fixed.iter().cloned());
        run(graph, &inputs)
    };
    let (after, before) = (moved(step), moved(-step));
    let slopes: Vec<f64> = after
        .to_f64s()
        .iter()
        .zip(before.to_f64s())
        .map(|(a, b)| (a - b) / (2.0 * step))
        .collect();
    Array::new(after.shape(), slopes).unwrap()
}

fn close(op: &ArrayOp, order: &str, found: &Array, expected: &Array) {
    assert_eq!(found.shape(), expected.shape());
    for (f, e) in found.to_f64s().iter().zip(expected.to_f64s()) {
        assert!(
            (f - e).abs() <= 1e-8 * (1.0 + e.abs()),
            "{order} derivative of {op:?}: expected {e}, found {f}"
        );
    }
}
