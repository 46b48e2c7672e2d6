//! What the tests of several operations share.

use cotangent_array::{Array, DType, Shape};

use super::{ArrayOp, Operand};
use crate::{Builder, EvalError, Op, TensorType, Type, Var};

/// Sizes that break unchecked arithmetic.
pub(super) const NASTY: [usize; 8] = [
    0,
    1,
    2,
    3,
    1 << 32,
    isize::MAX as usize,
    usize::MAX - 1,
    usize::MAX,
];

/// Types of few and of absurdly many elements.
pub(super) fn nasty_types() -> Vec<TensorType> {
    let mut types = vec![tensor(()), tensor([2, 3]), tensor([2, 3, 4])];
    for n in NASTY {
        types.extend([
            tensor([n]),
            tensor([n, 3]),
            tensor([0, n]),
            tensor([n, 2, n]),
        ]);
    }
    types
}

/// A type of f64.
pub(super) fn tensor(shape: impl Into<Shape>) -> TensorType {
    TensorType::new(DType::F64, shape)
}

/// Whole numbers from -4 to 4, so that sums and products of them are exact.
pub(super) fn numbers(shape: impl Into<Shape>, salt: u64) -> Array {
    let shape = shape.into();
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let values: Vec<f64> = (0..shape.elements())
        .map(|_| {
            // The generator of Knuth's MMIX; its high bits are the good ones.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % 9) as f64 - 4.0
        })
        .collect();
    Array::new(shape, values).unwrap()
}

/// Calls `infer` for its own sake: it must not panic.
pub(super) fn infer(op: impl Into<ArrayOp>, args: &[&TensorType]) {
    let op = op.into();
    if let Ok(ty) = op.infer(args) {
        // What is inferred is inferred again, and the rules built on it do not panic either.
        assert_eq!(op.infer(args), Ok(ty.clone()));
        let _ = (op.cost(args, &ty), op.attributes(args));
    }
}

/// Why the operation does not fit operands of these types.
pub(super) fn error(op: impl Into<Op>, args: impl AsRef<[TensorType]>) -> String {
    let types: Vec<Type> = args.as_ref().iter().cloned().map(Type::from).collect();
    op.into()
        .infer(&types.iter().collect::<Vec<_>>())
        .unwrap_err()
        .to_string()
}

/// The value of the operation.
pub(super) fn apply(op: impl Into<Op>, args: impl AsRef<[Array]>) -> Array {
    evaluate(op.into(), args.as_ref()).unwrap()
}

/// Why the evaluation of the operation fails.
pub(super) fn fails(op: impl Into<Op>, args: impl AsRef<[Array]>) -> String {
    match evaluate(op.into(), args.as_ref()).unwrap_err() {
        EvalError::Op { source, .. } => source.to_string(),
        other => panic!("expected an error of the operation, found {other}"),
    }
}

/// Checks the derivative of an operation that is linear in some operands: the tangent is the
/// operation on the tangents, and `<op(x), c> = <x, transposed(c)>`. Operands that are not
/// linear are either indices or zeros.
pub(super) fn check_linear(op: impl Into<ArrayOp>, args: Vec<Array>, linear: &[bool]) {
    let op = op.into();
    let out = apply(op.clone(), &args);
    let cotangent = numbers(out.shape(), 99);

    let mut b = Builder::new("jvp");
    let vars = inputs(&mut b, &args);
    let y = b.push(op.clone(), &vars);
    let tangents: Vec<Option<Var>> = vars
        .iter()
        .zip(linear)
        .enumerate()
        .map(|(i, (v, linear))| linear.then(|| b.input(&format!("t{i}"), b.tensor(*v))))
        .collect();
    let tangent = op
        .jvp(&mut b, &vars, y, &tangents)
        .expect("the operation is linear");
    let graph = b.finish(&[tangent]).unwrap();
    let varying = args.iter().zip(linear).filter(|(_, linear)| **linear);
    // Where it varies, the operand itself is something else than the tangent.
    let mut values: Vec<Array> = args
        .iter()
        .zip(linear)
        .map(|(a, linear)| {
            if *linear {
                numbers(a.shape(), 55)
            } else {
                a.clone()
            }
        })
        .collect();
    values.extend(varying.map(|(a, _)| a.clone()));
    let found = crate::eval(&graph, &values).unwrap();
    assert_eq!(found, std::slice::from_ref(&out), "jvp of {op:?}");

    let mut b = Builder::new("transpose");
    let vars = inputs(&mut b, &args);
    let ct = b.input("ct", type_of(&cotangent));
    let operands: Vec<Operand> = vars
        .iter()
        .zip(linear)
        .map(|(v, linear)| {
            if *linear {
                Operand::Linear(b.tensor(*v))
            } else {
                Operand::Known(*v)
            }
        })
        .collect();
    let cotangents = op
        .transpose(&mut b, &operands, ct)
        .expect("the operation is linear");
    assert_eq!(
        cotangents.len(),
        args.len(),
        "one cotangent for each operand of {op:?}"
    );
    let wanted: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
    assert_eq!(
        wanted, linear,
        "cotangents of the linear operands of {op:?}"
    );
    let outputs: Vec<Var> = cotangents.into_iter().flatten().collect();
    let graph = b.finish(&outputs).unwrap();
    let mut values = args.clone();
    values.push(cotangent.clone());
    let found = crate::eval(&graph, &values).unwrap();
    let mut right = 0.0;
    for ((x, _), c) in args
        .iter()
        .zip(linear)
        .filter(|(_, linear)| **linear)
        .zip(&found)
    {
        assert_eq!(
            type_of(c),
            type_of(x),
            "the cotangent has its operand's type: {op:?}"
        );
        right += inner(x, c);
    }
    assert_eq!(inner(&out, &cotangent), right, "inner products of {op:?}");
}

/// Checks that the operation over a batch is the operation on each member.
pub(super) fn check_batch(op: impl Into<ArrayOp>, args: Vec<Array>, batched: &[bool]) {
    let op = op.into();
    let first = args
        .iter()
        .zip(batched)
        .find(|(_, batched)| **batched)
        .expect("a batched operand");
    let size = first.0.shape()[0];
    let mut b = Builder::new("batch");
    let vars = inputs(&mut b, &args);
    let y = op.batch(&mut b, &vars, batched, size);
    let found = crate::eval(&b.finish(&[y]).unwrap(), &args)
        .unwrap()
        .remove(0);
    assert_eq!(
        found.shape().first(),
        Some(&size),
        "the batch comes first: {op:?}"
    );
    for i in 0..size {
        let member: Vec<Array> = args
            .iter()
            .zip(batched)
            .map(|(a, batched)| if *batched { row(a, i) } else { a.clone() })
            .collect();
        assert_eq!(
            row(&found, i),
            apply(op.clone(), &member),
            "member {i} of {op:?} {batched:?}"
        );
    }
}

fn evaluate(op: Op, args: &[Array]) -> Result<Array, EvalError> {
    let mut b = Builder::new("apply");
    let vars = inputs(&mut b, args);
    let y = b.push(op, &vars);
    let graph = b.finish(&[y]).unwrap();
    let result = crate::eval(&graph, args)?.remove(0);
    assert_eq!(Type::from(type_of(&result)), *graph.ty(y));
    Ok(result)
}

fn inputs(b: &mut Builder, args: &[Array]) -> Vec<Var> {
    args.iter().map(|a| b.input("", type_of(a))).collect()
}

fn type_of(array: &Array) -> TensorType {
    TensorType::new(array.dtype(), array.shape())
}

fn row(array: &Array, i: usize) -> Array {
    array
        .select_rows(&[i])
        .unwrap()
        .reshape(&array.shape()[1..])
        .unwrap()
}

fn inner(x: &Array, y: &Array) -> f64 {
    x.to_f64s()
        .iter()
        .zip(y.to_f64s())
        .map(|(x, y)| x * y)
        .sum()
}
