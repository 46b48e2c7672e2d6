//! Tapes: the ways of running them against each other and the evaluator, and what becomes a tape.

mod common;

use std::sync::Arc;

use common::Numbers;
use cotangent_array::{Array, DType, Scalar};
use cotangent_compile::lane::{Inst, Lanes, Predicate, Prim, Rounding, Tape};
use cotangent_compile::{Operand, Place, Plan, Step, StepOp};
use cotangent_cpu::{Program, Way};
use cotangent_graph::ops::{Compare, Concat, Gather, Pad, Reverse, Unary};
use cotangent_graph::{Builder, Graph, TensorType, Var, eval};

const WAYS: [Way; 4] = [Way::Baseline, Way::Tile, Way::Narrow, Way::Code];

const FLOATS: &[Prim] = &[
    Prim::Add,
    Prim::Sub,
    Prim::Mul,
    Prim::Zmul,
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
        let (new, is_exact) = match pick(13) {
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
            7 => {
                // What a row says where a mask is set.
                let mask = put(&mut insts, Prim::Cmp(Predicate::Le), &[a, b]);
                let row = [Unary::Lgamma, Unary::Erf][pick(2)];
                (put(&mut insts, Prim::Call(row), &[mask, c, a]), false)
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

/// A graph of many operations on numbers and short vectors, among them those that no tape runs:
/// elements at indices, sums, results that are bools, other widths.
fn mixed(numbers: &mut Numbers, n: usize) -> Graph {
    let mut b = Builder::new("mixed");
    let f = DType::F64;
    let long = b.input("long", TensorType::new(f, [200]));
    let index = b.input("index", TensorType::new(DType::I64, [3]));
    let mut pools: Vec<Vec<Var>> = vec![Vec::new(); 10];
    pools[0].push(b.input("x", TensorType::new(f, ())));
    pools[3].push(b.input("w", TensorType::new(f, [3])));
    let mut outputs = Vec::new();
    let length = |k: usize| if k == 0 { 1 } else { k };
    for _ in 0..n {
        let mut pick = |n: usize| numbers.next() as usize % n;
        let filled: Vec<usize> = (0..9).filter(|k| !pools[*k].is_empty()).collect();
        let k = filled[pick(filled.len())];
        let mut any = |k: usize| {
            let reach = pools[k].len().min(if pick(3) > 0 { 4 } else { usize::MAX });
            pools[k][pools[k].len() - 1 - pick(reach)]
        };
        let (x, y) = (any(k), any(k));
        let (k, new) = match pick(16) {
            0..=2 => (k, b.mul(x, y)),
            3 | 4 => (k, b.add(x, y)),
            5 => (k, b.sub(x, y)),
            6 => (k, b.unary(Unary::Tanh, x)),
            // Without vector math: a call.
            7 => {
                let square = b.mul(x, x);
                (k, b.unary(Unary::Erf, square))
            }
            8 => {
                let (at, n) = (pick(190), [1, 2, 3, 8][pick(4)]);
                let part = b.slice_axis(long, 0, at, at + n);
                match n {
                    1 => (0, b.reshape(part, ())),
                    n => (n, part),
                }
            }
            9 => (3, b.push(Gather { axis: 0, batch: 0 }, &[long, index])),
            10 if k > 0 => (0, b.sum(x, &[0])),
            11 if (1..=6).contains(&k) => {
                let zero = b.scalar(f, pick(2) as f64);
                let (low, high) = (vec![pick(2)], vec![1]);
                let n = k + low[0] + high[0];
                let interior = vec![0];
                (
                    n,
                    b.push(
                        Pad {
                            low,
                            high,
                            interior,
                        },
                        &[x, zero],
                    ),
                )
            }
            12 if (1..=4).contains(&k) => {
                // Two columns side by side.
                let (x, y) = (b.reshape(x, [k, 1]), b.reshape(y, [k, 1]));
                let both = b.push(Concat { axis: 1 }, &[x, y]);
                (2 * k, b.reshape(both, [2 * k]))
            }
            13 => {
                let less = b.compare(Compare::Lt, x, y);
                if pick(8) == 0 {
                    outputs.push(less);
                }
                (k, b.select(less, y, x))
            }
            14 => {
                let narrow = b.convert(DType::F32, x);
                let narrow = b.mul(narrow, narrow);
                (k, b.convert(f, narrow))
            }
            _ => {
                let (i, m) = (pick(length(k)), [2, 5][pick(2)]);
                let one = match k {
                    0 => x,
                    _ => {
                        let part = b.slice_axis(x, 0, i, i + 1);
                        b.reshape(part, ())
                    }
                };
                match pick(2) {
                    0 => (0, one),
                    _ => (m, b.broadcast(one, [m], &[])),
                }
            }
        };
        // Numbers stay near 1.
        let new = match pick(2) {
            0 => b.unary(Unary::Sin, new),
            _ => new,
        };
        pools[k.min(9)].push(new);
    }
    outputs.extend(pools.iter().flat_map(|pool| pool.iter().rev().take(2)));
    b.finish(&outputs).unwrap()
}

#[test]
fn what_a_tape_cannot_run_stays_a_step() {
    let count = 60;
    let mut with_tapes = 0;
    for seed in 0..count {
        let mut numbers = Numbers::new(seed + 1);
        let n = [20, 60, 150][seed as usize % 3];
        let graph = mixed(&mut numbers, n);
        let inputs: Vec<Array> = (graph.inputs().iter())
            .map(|(_, v)| {
                let ty = graph.ty(*v).tensor().unwrap();
                match ty.dtype {
                    DType::I64 => numbers.array(ty, |n, _| Scalar::I64((n.next() % 200) as i64)),
                    _ => numbers.array(ty, Numbers::plain),
                }
            })
            .collect();
        let expected = eval(&graph, &inputs).unwrap();
        let plan = cotangent_compile::compile(&graph, &cotangent_cpu::target()).unwrap();
        assert_eq!(plan.check(), Ok(()), "seed {seed}");
        let tape = |s: &Step| matches!(s.op, StepOp::Tape(_));
        with_tapes += u64::from(plan.steps.iter().any(tape));
        let plan = Arc::new(plan);
        let mut first: Option<Vec<Vec<u64>>> = None;
        for way in WAYS {
            let program = Program::with_way(plan.clone(), way).unwrap();
            let found = program.run(&inputs).unwrap();
            for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                for (x, y) in found.scalars().zip(expected.scalars()) {
                    let (x, y) = (x.to_f64(), y.to_f64());
                    let near = (x - y).abs() <= 1e-6 * y.abs().max(1.0);
                    let same = x.is_nan() && y.is_nan() || x == y;
                    assert!(
                        near || same,
                        "seed {seed}, result {k}: {x} is not {y}\n{graph}"
                    );
                }
            }
            let all: Vec<Vec<u64>> = (found.iter())
                .map(|x| x.scalars().map(bits).collect())
                .collect();
            let same = first.get_or_insert_with(|| all.clone());
            assert_eq!(*same, all, "seed {seed}, {way:?}");
        }
        // An index out of range is an error still.
        if plan.to_string().contains(" at index") {
            let mut wrong = inputs.clone();
            wrong[1] = Array::from([0_i64, 200, 1]);
            let program = Program::new(plan).unwrap();
            assert!(program.run(&wrong).is_err(), "seed {seed}");
        }
    }
    assert!(with_tapes > count / 2, "only {with_tapes} plans had tapes");
}

#[test]
fn a_memory_budget_leaves_the_bits_of_tapes() {
    let n = 40;
    // Numbers around arrays, which are what a budget can do something about.
    let mut b = Builder::new("f");
    let x = b.input("x", TensorType::new(DType::F64, [4000]));
    let mut sum = b.scalar(DType::F64, 0.0);
    let mut y = x;
    for i in 0..n {
        y = b.unary(Unary::Sin, y);
        let turned = b.push(Reverse { axes: vec![0] }, &[y]);
        let one = b.slice_axis(turned, 0, 17 + i, 18 + i);
        let mut one = b.reshape(one, ());
        for _ in 0..20 {
            one = b.mul(one, one);
            let half = b.scalar(DType::F64, 0.5);
            one = b.add(one, half);
            one = b.unary(Unary::Tanh, one);
        }
        sum = b.add(sum, one);
        y = b.mul(turned, y);
    }
    let total = b.sum(y, &[0]);
    let total = b.add(total, sum);
    let graph = b.finish(&[total]).unwrap();
    let gradient = cotangent_transform::value_and_grad(&graph, &[true]).unwrap();
    let target = cotangent_cpu::target();
    let free = cotangent_compile::compile(&gradient, &target).unwrap();
    let tapes = |plan: &Plan| {
        let tape = |s: &&Step| matches!(s.op, StepOp::Tape(_));
        plan.steps
            .iter()
            .filter(tape)
            .map(|s| (s.cost(), s.time(), s.bytes()))
            .next()
    };
    let (cost, time, bytes) = tapes(&free).expect("a tape");
    assert!(cost > 0 && time > 15 && bytes > 0);
    let options = cotangent_compile::Options {
        memory_budget: Some(free.memory() / 2),
        ..Default::default()
    };
    let tight = cotangent_compile::compile_with(&gradient, &target, &options).unwrap();
    assert_eq!(tight.check(), Ok(()));
    assert!(tight.memory() <= free.memory() / 2);
    assert!(tight.steps.iter().any(|s| s.again) && tapes(&tight).is_some());
    let x = Numbers::new(5).array(&TensorType::new(DType::F64, [4000]), Numbers::plain);
    let run = |plan: Plan| {
        Program::new(Arc::new(plan))
            .unwrap()
            .run(std::slice::from_ref(&x))
            .unwrap()
    };
    assert_eq!(run(free), run(tight));
}
