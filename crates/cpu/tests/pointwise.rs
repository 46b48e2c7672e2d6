//! Every pointwise row, for every dtype that it takes, gives the bits of the reference evaluator:
//! with operands in memory, with numbers and single elements that stand everywhere, in place.

mod common;

use common::{Numbers, SHAPES, same_bits, ty, within};
use cotangent_array::{Array, DType};
use cotangent_graph::ops::{Binary, Compare, Indexed, Part, Special, Ternary, Test, Unary};
use cotangent_graph::{Builder, Graph, Op, TensorType, Var};

/// How an operand comes to the operation.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    /// An input.
    Memory,
    /// A value in the arena that dies here, whose place the result may take.
    Dying,
    /// A constant number everywhere.
    Number,
    /// One element of an input, repeated.
    Spread,
}

const WAYS: [Way; 4] = [Way::Memory, Way::Dying, Way::Number, Way::Spread];

/// A graph of the operation with operands that come in these ways, and its inputs.
fn case(
    op: &Op,
    types: &[TensorType],
    ways: &[Way],
    numbers: &mut Numbers,
) -> Option<(Graph, Vec<Array>)> {
    let mut b = Builder::new("f");
    let mut inputs = Vec::new();
    let mut args: Vec<Var> = Vec::new();
    for (ty, way) in types.iter().zip(ways) {
        let arg = match way {
            Way::Memory | Way::Dying => {
                inputs.push(numbers.array(ty, Numbers::any));
                let x = b.input("", ty.clone());
                if *way == Way::Dying {
                    // A move that no rule removes.
                    let axes: Vec<usize> = (0..ty.rank()).collect();
                    b.push(cotangent_graph::ops::Reverse { axes }, &[x])
                } else {
                    x
                }
            }
            Way::Number => b.full(numbers.plain(ty.dtype), ty.shape.clone()),
            Way::Spread => {
                let one = TensorType::scalar(ty.dtype);
                inputs.push(numbers.array(&one, Numbers::any));
                let x = b.input("", one);
                b.broadcast(x, ty.shape.clone(), &[])
            }
        };
        args.push(arg);
    }
    let out = b.push(op.clone(), &args);
    Some((b.finish(&[out]).ok()?, inputs))
}

/// Tries an operation with operands of these dtypes; returns whether it takes them.
fn try_all(op: impl Into<Op>, dtypes: &[DType]) -> bool {
    let op = op.into();
    let mut numbers = Numbers::new(7);
    let mut taken = false;
    for shape in SHAPES {
        let types: Vec<TensorType> = dtypes.iter().map(|d| ty(*d, shape)).collect();
        // All ways for one operand; for several each way once at each place.
        for turn in 0..WAYS.len() {
            let ways: Vec<Way> = (0..types.len())
                .map(|i| WAYS[(turn + i * (1 + turn)) % WAYS.len()])
                .collect();
            if let Some((graph, inputs)) = case(&op, &types, &ways, &mut numbers) {
                // Vector math and repeated products in f32 have bounds, the rest has bits.
                if approximate(&op) {
                    within(&graph, &inputs, 4.0);
                } else {
                    same_bits(&graph, &inputs);
                }
                taken = true;
            }
        }
    }
    taken
}

/// Whether programs compute the operation by formulas of their own.
fn approximate(op: &Op) -> bool {
    use Unary as U;
    let math = [
        U::Exp,
        U::Expm1,
        U::Log,
        U::Log1p,
        U::Tanh,
        U::Sigmoid,
        U::Rsqrt,
        U::Sin,
        U::Cos,
        U::Tan,
    ];
    matches!(op, Op::Unary(u) if math.contains(u)) || matches!(op, Op::Indexed(Indexed::Powi, _))
}

#[test]
fn unary() {
    for op in Unary::ALL {
        for dtype in DType::ALL {
            let taken = try_all(*op, &[*dtype]);
            assert_eq!(
                taken,
                op.infer(&ty(*dtype, &[2])).is_ok(),
                "{} of {dtype}",
                op.name()
            );
        }
    }
}

#[test]
fn indexed() {
    for op in Indexed::ALL {
        for dtype in DType::ALL {
            for n in [0, 1, 2, 3, 7, -1, -2, i64::MIN, i64::MAX] {
                let taken = try_all(Op::Indexed(*op, n), &[*dtype]);
                assert_eq!(
                    taken,
                    op.infer(n, &ty(*dtype, &[2])).is_ok(),
                    "{} {n} of {dtype}",
                    op.name()
                );
            }
        }
    }
}

#[test]
fn binary() {
    for op in Binary::ALL {
        for dtype in DType::ALL {
            let taken = try_all(*op, &[*dtype; 2]);
            let x = ty(*dtype, &[2]);
            assert_eq!(taken, op.infer(&x, &x).is_ok(), "{} of {dtype}", op.name());
        }
    }
}

#[test]
fn compare_and_test() {
    for dtype in DType::ALL {
        for op in Compare::ALL {
            let taken = try_all(*op, &[*dtype; 2]);
            let x = ty(*dtype, &[2]);
            assert_eq!(taken, op.infer(&x, &x).is_ok(), "{} of {dtype}", op.name());
        }
        for op in Test::ALL {
            let taken = try_all(*op, &[*dtype]);
            assert_eq!(taken, !dtype.is_bool(), "{} of {dtype}", op.name());
        }
    }
}

#[test]
fn parts_of_complex_numbers() {
    for dtype in DType::ALL {
        for op in Part::ALL {
            assert_eq!(try_all(*op, &[*dtype]), dtype.is_complex(), "{}", op.name());
        }
        assert_eq!(try_all(Op::Complex, &[*dtype; 2]), dtype.is_float());
    }
}

#[test]
fn ternary() {
    for op in Ternary::ALL {
        for dtype in DType::ALL {
            match op {
                Ternary::Select => assert!(try_all(*op, &[DType::Bool, *dtype, *dtype])),
                Ternary::Clamp => {
                    let taken = dtype.is_float() || dtype.is_int();
                    assert_eq!(try_all(*op, &[*dtype; 3]), taken);
                }
            }
        }
    }
}

#[test]
fn special() {
    for op in Special::ALL {
        for dtype in DType::ALL {
            for orders in [
                [0; 3],
                [1, 0, 0],
                [0, 1, 0],
                [2, 3, 0],
                [1, 1, 1],
                [9, 8, 0],
            ] {
                let taken = try_all(Op::Special(*op, orders), &vec![*dtype; op.operands()]);
                let x = ty(*dtype, &[2]);
                assert_eq!(
                    taken,
                    op.infer(orders, &vec![&x; op.operands()]).is_ok(),
                    "{} {orders:?} of {dtype}",
                    op.name()
                );
            }
        }
    }
}

#[test]
fn convert() {
    for from in DType::ALL {
        for to in DType::ALL {
            let lossy = from.is_complex() && !to.is_complex() && !to.is_bool();
            assert_eq!(
                try_all(Op::Convert(*to), &[*from]),
                !lossy,
                "{from} to {to}"
            );
        }
    }
}

/// One value is both operands and dies.
#[test]
fn one_operand_twice_in_place() {
    let mut b = Builder::new("f");
    let x = b.input("x", ty(DType::F64, &[777]));
    let y = b.unary(Unary::Abs, x);
    let z = b.mul(y, y);
    let w = b.binary(Binary::Maximum, z, y);
    let last = b.add(w, w);
    let graph = b.finish(&[last]).unwrap();
    let x = Numbers::new(1).array(&ty(DType::F64, &[777]), Numbers::plain);
    same_bits(&graph, &[x]);
}

/// A converted value has another size, so it cannot take the place of its operand, but one of the
/// same size can.
#[test]
fn conversion_in_place() {
    for (from, to) in [
        (DType::F32, DType::I32),
        (DType::I64, DType::F64),
        (DType::F64, DType::F32),
        (DType::U8, DType::Bool),
    ] {
        let mut b = Builder::new("f");
        let x = b.input("x", ty(from, &[600]));
        let y = b.add(x, x);
        let z = b.convert(to, y);
        let w = b.push(Op::Convert(DType::F64), &[z]);
        let last = b.add(w, w);
        let graph = b.finish(&[last]).unwrap();
        let x = Numbers::new(1).array(&ty(from, &[600]), Numbers::plain);
        same_bits(&graph, &[x]);
    }
}
