//! Tapes: the ways of running them against each other and the evaluator, and what becomes a tape.

mod common;

use std::sync::Arc;

use common::Numbers;
use cotangent_array::{Array, DType, Scalar};
use cotangent_compile::lane::{Inst, Lanes, Predicate, Prim, Rounding, Tape};
use cotangent_compile::{Operand, Place, Plan, Step, StepOp};
use cotangent_cpu::{Program, Way};
use cotangent_graph::{Builder, Graph, TensorType, Var, eval};

const WAYS: [Way; 3] = [Way::Baseline, Way::Tile, Way::Code];

const FLOATS: &[Prim] = &[
    Prim::Add,
    Prim::Sub,
    Prim::Mul,
    Prim::Div,
    Prim::Fma,
    Prim::Fms,
    Prim::Fnma,
    Prim::Min,
    Prim::Max,
    Prim::Sqrt,
    Prim::Round(Rounding::Even),
    Prim::Round(Rounding::Floor),
];

/// What looks at bits. The bits of a NaN that was computed depend on the order of operands, so these
/// take only what was read, compared, or made of such.
const BITS: &[Prim] = &[
    Prim::And,
    Prim::Or,
    Prim::Xor,
    Prim::AndNot,
    Prim::IAdd,
    Prim::ISub,
    Prim::Shl(3),
    Prim::Shr(5),
    Prim::IEq,
    Prim::IGt,
];

/// Random instructions over two operands and two results of many elements: some values are read at
/// once and some much later, so that many wait.
fn draw(numbers: &mut Numbers, lanes: Lanes, n: usize) -> Tape {
    let dtype = match lanes {
        Lanes::W64 => DType::F64,
        Lanes::W32 => DType::F32,
    };
    let mut pick = |n: usize| numbers.next() as usize % n;
    let mut insts: Vec<Inst> = Vec::new();
    let put = |insts: &mut Vec<Inst>, prim: Prim, args: &[u32]| {
        let mut all = [0; 3];
        all[..args.len()].copy_from_slice(args);
        insts.push(Inst { prim, args: all });
        insts.len() as u32 - 1
    };
    let one = put(&mut insts, Prim::Const(0x3F00_0000), &[]);
    let (mut values, mut exact) = (vec![one], vec![one]);
    let mut stores = Vec::new();
    while stores.len() < 2 * n {
        let reach = if pick(3) > 0 { 8 } else { usize::MAX };
        let mut any = |from: &[u32]| from[from.len() - 1 - pick(from.len().min(reach))];
        let (a, b, c) = (any(&values), any(&values), any(&values));
        let (x, y) = (any(&exact), any(&exact));
        let (new, is_exact) = match pick(12) {
            0 | 1 => {
                let at = Prim::At(pick(2) as u32, pick(n) as u32);
                (put(&mut insts, at, &[]), true)
            }
            2 => {
                stores.push(a);
                continue;
            }
            3 => {
                let how = [Predicate::Lt, Predicate::Le, Predicate::Unordered][pick(3)];
                (put(&mut insts, Prim::Cmp(how), &[a, b]), true)
            }
            4 => {
                // A mask and a choice by it.
                let mask = put(&mut insts, Prim::Cmp(Predicate::Le), &[a, b]);
                (put(&mut insts, Prim::Blend, &[mask, b, c]), false)
            }
            5 | 6 => {
                let prim = BITS[pick(BITS.len())];
                (put(&mut insts, prim, &[x, y][..prim.arity()]), true)
            }
            _ => {
                let prim = FLOATS[pick(FLOATS.len())];
                (put(&mut insts, prim, &[a, b, c][..prim.arity()]), false)
            }
        };
        values.push(new);
        if is_exact {
            exact.push(new);
        }
    }
    for (i, value) in stores.into_iter().enumerate() {
        let at = (i / 2) as u32;
        put(&mut insts, Prim::Put((i % 2) as u32, at), &[value]);
    }
    let two = || vec![(dtype, n); 2];
    Tape::new(lanes, two(), two(), insts, 0).unwrap()
}

fn plan(tape: Tape) -> Plan {
    let operand = |place: Place, (dtype, n): (DType, usize)| Operand {
        place,
        ty: Arc::new(TensorType::new(dtype, [n])),
    };
    let place = |i: usize| i as u32;
    let args = tape.inputs.iter().enumerate();
    let outs = tape.outputs.iter().enumerate();
    let step = Step {
        args: args
            .map(|(i, x)| operand(Place::Input(place(i)), *x))
            .collect(),
        outs: outs
            .map(|(i, x)| operand(Place::Output(place(i)), *x))
            .collect(),
        scratch: 0..tape.scratch(),
        location: None,
        again: false,
        op: StepOp::Tape(Arc::new(tape.clone())),
    };
    let ty = |o: &Operand| (*o.ty).clone();
    Plan {
        name: "f".into(),
        inputs: step.args.iter().map(|o| ("x".to_owned(), ty(o))).collect(),
        outputs: step.outs.iter().map(ty).collect(),
        constants: Vec::new(),
        arena: tape.scratch(),
        steps: vec![step],
        cost: 0,
        bytes: 0,
        time: 0,
        unlimited: None,
    }
}

fn bits(x: Scalar) -> u64 {
    match x {
        Scalar::F64(x) => x.to_bits(),
        Scalar::F32(x) => u64::from(x.to_bits()),
        other => other.to_i64() as u64,
    }
}

fn is_nan(lanes: Lanes, bits: u64) -> bool {
    match lanes {
        Lanes::W64 => f64::from_bits(bits).is_nan(),
        Lanes::W32 => f32::from_bits(bits as u32).is_nan(),
    }
}

#[test]
fn all_ways_give_the_bits_of_the_evaluator() {
    for seed in 0..120 {
        let mut numbers = Numbers::new(seed + 1);
        let lanes = [Lanes::W64, Lanes::W32][seed as usize % 2];
        let n = [1, 2, 7, 40, 300][numbers.next() as usize % 5];
        let tape = draw(&mut numbers, lanes, n);
        let inputs: Vec<Array> = (tape.inputs.iter())
            .map(|(dtype, n)| numbers.array(&TensorType::new(*dtype, [*n]), Numbers::any))
            .collect();
        let read: Vec<Vec<u64>> = (inputs.iter())
            .map(|x| x.scalars().map(bits).collect())
            .collect();
        let expected = tape.eval(&read).unwrap();
        let plan = Arc::new(plan(tape));
        for way in WAYS {
            let program = Program::with_way(plan.clone(), way).unwrap();
            let found = program.run(&inputs).unwrap();
            for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                for (i, (found, expected)) in found.scalars().map(bits).zip(expected).enumerate() {
                    // NaN is one value; its bits depend on the order of operands.
                    let nan = is_nan(lanes, found) && is_nan(lanes, *expected);
                    assert!(
                        nan || found == *expected,
                        "seed {seed}, {way:?}, result {k}, element {i}: {found:#x} is not {expected:#x}"
                    );
                }
            }
        }
    }
}

/// The sum of squares of neighbours' differences, beside the parts of a vector of three that is
/// scaled by each, written number by number.
fn scalars(n: usize) -> Graph {
    let mut b = Builder::new("scalars");
    let x = b.input("x", TensorType::new(DType::F64, [n]));
    let w = b.input("w", TensorType::new(DType::F64, [3]));
    let parts: Vec<Var> = (0..n)
        .map(|i| {
            let part = b.slice_axis(x, 0, i, i + 1);
            b.reshape(part, ())
        })
        .collect();
    let mut sum = b.like(parts[0], 0.0);
    let mut vector = w;
    for pair in parts.windows(2) {
        let difference = b.sub(pair[1], pair[0]);
        let square = b.mul(difference, difference);
        let scaled = b.broadcast(square, [3], &[]);
        vector = b.mul(vector, scaled);
        sum = b.add(sum, square);
    }
    let vector = b.sum(vector, &[0]);
    let total = b.add(sum, vector);
    b.finish(&[total]).unwrap()
}

#[test]
fn many_operations_on_numbers_are_one_step() {
    let n = 40;
    let gradient = cotangent_transform::value_and_grad(&scalars(n), &[true, true]).unwrap();
    let plan = cotangent_compile::compile(&gradient, &cotangent_cpu::target()).unwrap();
    let tapes = plan
        .steps
        .iter()
        .filter(|s| matches!(s.op, StepOp::Tape(_)));
    assert!(tapes.count() > 0, "{plan}");
    assert!(plan.steps.len() < 40, "{plan}");
    let mut numbers = Numbers::new(7);
    let inputs = [
        numbers.array(&TensorType::new(DType::F64, [n]), Numbers::plain),
        numbers.array(&TensorType::new(DType::F64, [3]), Numbers::plain),
    ];
    let expected = eval(&gradient, &inputs).unwrap();
    let plan = Arc::new(plan);
    let mut first: Option<Vec<Array>> = None;
    for way in WAYS {
        let found = Program::with_way(plan.clone(), way)
            .unwrap()
            .run(&inputs)
            .unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            for (x, y) in found.scalars().zip(expected.scalars()) {
                let (x, y) = (x.to_f64(), y.to_f64());
                assert!((x - y).abs() <= 1e-9 * y.abs().max(1.0), "{x} is not {y}");
            }
        }
        let same = first.get_or_insert_with(|| found.clone());
        assert_eq!(*same, found, "{way:?}");
    }
}
