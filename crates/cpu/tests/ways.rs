//! The ways of running a region against each other and against the scalar evaluator, bit for bit.

mod common;

use std::sync::Arc;

use common::Numbers;
use cotangent_array::{Array, DType, Scalar};
use cotangent_compile::lane::{
    Fold, LaneIndex, LaneInput, LaneOp, LaneOutput, LanePad, LaneProgram, Lanes,
};
use cotangent_compile::{Operand, Place, Plan, Step, StepOp};
use cotangent_cpu::{Program, Way};
use cotangent_graph::ops::{Binary, Compare, Indexed, Ternary, Test, Unary};
use cotangent_graph::{Op, TensorType};
use smallvec::{SmallVec, smallvec};

const UNARY: &[Unary] = &[
    Unary::Neg,
    Unary::Abs,
    Unary::Sign,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Trunc,
    Unary::Sqrt,
    Unary::Rsqrt,
    Unary::Exp,
    Unary::Expm1,
    Unary::Log,
    Unary::Log1p,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Sin,
    Unary::Cos,
    Unary::Tan,
    // Called, lane by lane.
    Unary::Atan,
    Unary::Lgamma,
];

const BINARY: &[Binary] = &[
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Zmul,
    Binary::Div,
    Binary::Maximum,
    Binary::Minimum,
];

/// Every size around the borders of vectors and tiles, and spaces of several loops.
const SPACES: &[&[usize]] = &[
    &[0],
    &[1],
    &[2],
    &[3],
    &[4],
    &[5],
    &[7],
    &[8],
    &[9],
    &[15],
    &[16],
    &[17],
    &[31],
    &[33],
    &[255],
    &[256],
    &[257],
    &[1023],
    &[1025],
    &[2100],
    // More leaves than a buffer for sums has room for.
    &[16_500],
    &[33_000],
    &[3, 20],
    &[5, 17],
    &[2, 3, 37],
    &[2, 2, 3, 9],
    &[4, 300],
];

#[test]
fn all_ways_give_the_bits_of_the_evaluator() {
    let rounds = std::env::var("COTANGENT_REGIONS")
        .ok()
        .and_then(|s| s.parse().ok());
    for seed in 0..rounds.unwrap_or(600) {
        let mut numbers = Numbers::new(seed + 1);
        let space = SPACES[numbers.next() as usize % SPACES.len()];
        let program = draw(&mut numbers, space);
        let inputs: Vec<Array> = (0..program.inputs.len())
            .map(|i| {
                let n = program.input_elements(i);
                let ty = TensorType::new(program.inputs[i].dtype, [n]);
                let any = numbers.array(&ty, Numbers::any);
                // Indices of another input must be in its range.
                let mut chosen = program.inputs.iter().filter_map(|x| x.index);
                match chosen.find(|index| index.input as usize == i) {
                    Some(index) => {
                        let inside = |x: Scalar| x.to_i64().rem_euclid(index.length as i64);
                        let inside: Vec<i64> = any.scalars().map(inside).collect();
                        Array::from(inside).convert(ty.dtype)
                    }
                    None => any,
                }
            })
            .collect();
        check(&program, &inputs, &format!("seed {seed}"));
    }
}

/// Programs of their own: bools in memory as operands, results and both, dense, the same along either loop and
/// apart from one another, beside lanes of both widths.
#[test]
fn bools_in_memory_give_the_bits_of_the_evaluator() {
    let mut numbers = Numbers::new(17);
    let lengths = (0..20).chain([23, 31, 32, 33, 63, 64, 65, 255, 257, 1025]);
    let spaces = lengths.flat_map(|n| [vec![n], vec![3, n], vec![n, 5]]);
    for space in spaces {
        for (lanes, float) in [(Lanes::W64, DType::F64), (Lanes::W32, DType::F32)] {
            for masks in 0..6 {
                let program = masked(lanes, float, &space, masks);
                let inputs: Vec<Array> = (0..program.inputs.len())
                    .map(|i| {
                        let ty =
                            TensorType::new(program.inputs[i].dtype, [program.input_elements(i)]);
                        numbers.array(&ty, Numbers::any)
                    })
                    .collect();
                check(&program, &inputs, &format!("masks {masks}"));
            }
        }
    }
}

/// A choice between two numbers by two masks, the masks' exclusive or, and a comparison; `masks` says where the
/// second mask is the same.
fn masked(lanes: Lanes, float: DType, space: &[usize], masks: usize) -> LaneProgram {
    let mut dense: SmallVec<[usize; 4]> = smallvec![0; space.len()];
    let mut step = 1;
    for (n, stride) in space.iter().zip(dense.iter_mut()).rev() {
        *stride = step;
        step *= n;
    }
    let mut second = dense.clone();
    let last = second.len() - 1;
    match masks {
        // Along the run.
        1 => second[last] = 0,
        // Along the other loop, or everywhere.
        2 => second[0] = 0,
        // Apart.
        3 => second.iter_mut().for_each(|s| *s *= 3),
        _ => {}
    }
    let input = |dtype, start, strides: &SmallVec<[usize; 4]>| LaneInput {
        dtype,
        start,
        strides: strides.clone(),
        index: None,
        pad: None,
    };
    // Not at an address that is a multiple of anything.
    let start = masks % 2;
    let inputs = vec![
        input(DType::Bool, start, &dense),
        input(DType::Bool, 3 * start, &second),
        input(float, start, &dense),
        input(float, 0, &dense),
    ];
    let op = |op: Op, dtype, args: &[u32]| LaneOp {
        op,
        dtype,
        args: args.iter().copied().collect(),
    };
    let b = DType::Bool;
    let ops = vec![
        op(Op::Binary(Binary::And), b, &[0, 1]),
        op(Op::Binary(Binary::Xor), b, &[0, 1]),
        op(Op::Ternary(Ternary::Select), float, &[4, 2, 3]),
        op(Op::Compare(Compare::Lt), b, &[2, 3]),
        op(Op::Binary(Binary::Mul), float, &[6, 2]),
        op(Op::Convert(float), float, &[5]),
    ];
    let output = |value, dtype, fold| LaneOutput {
        value,
        beside: Vec::new(),
        dtype,
        fold,
        leading: false,
    };
    let sum = (space.iter().all(|n| *n > 0)).then_some((Fold::Sum, 0));
    let outputs = match masks {
        // Operands alone.
        0 => vec![output(8, float, None)],
        // With sums of the rest in registers.
        4 => vec![
            output(5, b, None),
            output(9, float, sum),
            output(8, float, sum),
        ],
        // Copies beside what is chosen.
        5 => vec![LaneOutput {
            beside: vec![7, 0],
            ..output(5, b, None)
        }],
        _ => vec![
            output(5, b, None),
            output(8, float, None),
            output(7, b, None),
        ],
    };
    let dims = space.iter().copied().collect();
    LaneProgram::new(lanes, true, dims, inputs, ops, outputs).unwrap()
}

/// Sums over outer loops that are long enough to be added in chunks.
#[test]
fn chunks_of_sums_give_the_bits_of_the_evaluator() {
    let mut numbers = Numbers::new(5);
    let spaces: [(&[usize], usize); 5] = [
        (&[1100, 61], 1),
        (&[70, 1000], 1),
        (&[65_537, 2], 1),
        (&[40, 30, 64], 2),
        (&[9, 100, 80], 2),
    ];
    for (space, outer) in spaces {
        for (lanes, dtype) in [
            (Lanes::W64, DType::F64),
            (Lanes::W32, DType::F32),
            (Lanes::W64, DType::I64),
        ] {
            let mut strides: SmallVec<[usize; 4]> = smallvec![0; space.len()];
            let mut step = 1;
            for (n, stride) in space.iter().zip(strides.iter_mut()).rev() {
                *stride = step;
                step *= n;
            }
            let input = LaneInput {
                dtype,
                start: 0,
                strides,
                index: None,
                pad: None,
            };
            let add = LaneOp {
                op: Op::Binary(Binary::Add),
                dtype,
                args: [0, 0].into_iter().collect(),
            };
            // Over some of the outer loops, too, whose turns are longer and fewer.
            let outputs = (1..=outer).map(|outer| LaneOutput {
                value: 1,
                beside: Vec::new(),
                dtype,
                fold: Some((Fold::Sum, outer)),
                leading: true,
            });
            let (outputs, dims) = (outputs.collect(), space.iter().copied().collect());
            let program =
                LaneProgram::new(lanes, true, dims, vec![input], vec![add], outputs).unwrap();
            assert!(program.chunks(outer - 1).count > 1);
            let ty = TensorType::new(dtype, [program.elements()]);
            let inputs = [numbers.array(&ty, Numbers::plain)];
            check(&program, &inputs, "chunks");
        }
    }
}

/// Runs a region in all ways and by several threads; results are those of the evaluator, bit for bit.
fn check(program: &LaneProgram, inputs: &[Array], what: &str) {
    let bits = inputs.iter().map(|x| x.scalars().map(bits).collect());
    let expected = program.eval(&bits.collect::<Vec<Vec<u64>>>()).unwrap();
    let plan = Arc::new(plan(program));
    for way in [Way::Baseline, Way::Tile, Way::Narrow, Way::Code] {
        let run = Program::with_way(plan.clone(), way).unwrap();
        for threads in [1, 3] {
            run.set_threads(threads);
            let found = run.run(inputs).unwrap();
            for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let float = found.dtype().is_float();
                for (i, (found, expected)) in found.scalars().zip(expected).enumerate() {
                    // NaN is one value; its bits depend on the order of operands.
                    let both_nan =
                        float && found.to_f64().is_nan() && nan(found.dtype(), *expected);
                    assert!(
                        both_nan || self::bits(found) == *expected,
                        "{what}, {way:?}, {threads} threads, result {k}, element {i}: {found} is not \
                         {expected:#x}\n{:?}\n{:?}\n{program}\n{:?}",
                        program.dims,
                        program.inputs,
                        program.code.insts,
                    );
                }
            }
        }
    }
}

fn nan(dtype: DType, bits: u64) -> bool {
    match dtype {
        DType::F32 => f32::from_bits(bits as u32).is_nan(),
        _ => f64::from_bits(bits).is_nan(),
    }
}

fn bits(x: Scalar) -> u64 {
    match x {
        Scalar::F64(x) => x.to_bits(),
        Scalar::F32(x) => u64::from(x.to_bits()),
        Scalar::I32(x) => u64::from(x as u32),
        other => other.to_i64() as u64,
    }
}

/// A plan of one step that runs the region.
fn plan(program: &LaneProgram) -> Plan {
    let operand = |place: Place, dtype: DType, n: usize| Operand {
        place,
        ty: Arc::new(TensorType::new(dtype, [n])),
    };
    let args: SmallVec<[Operand; 2]> = program
        .inputs
        .iter()
        .enumerate()
        .map(|(i, x)| operand(Place::Input(i as u32), x.dtype, program.input_elements(i)))
        .collect();
    let outs: SmallVec<[Operand; 1]> = program
        .outputs
        .iter()
        .enumerate()
        .map(|(i, x)| operand(Place::Output(i as u32), x.dtype, program.output_elements(i)))
        .collect();
    let scratch = program.scratch();
    let ty = |o: &Operand| (*o.ty).clone();
    Plan {
        name: "f".into(),
        inputs: args.iter().map(|o| ("x".to_owned(), ty(o))).collect(),
        outputs: outs.iter().map(ty).collect(),
        constants: Vec::new(),
        steps: vec![Step {
            op: StepOp::Region(Arc::new(program.clone())),
            args,
            outs,
            scratch: 0..scratch,
            location: None,
            again: false,
        }],
        arena: scratch,
        cost: 0,
        bytes: 0,
        time: 0,
        unlimited: None,
    }
}

/// A random region over a space.
fn draw(numbers: &mut Numbers, space: &[usize]) -> LaneProgram {
    let mut pick = |n: usize| numbers.next() as usize % n;
    let lanes = [Lanes::W64, Lanes::W32][pick(2)];
    let (float, int) = match lanes {
        Lanes::W64 => (DType::F64, DType::I64),
        Lanes::W32 => (DType::F32, DType::I32),
    };
    let mut inputs: Vec<LaneInput> = (0..1 + pick(4))
        .map(|_| {
            let dtype = [float, float, float, int, DType::Bool][pick(5)];
            let mut strides: SmallVec<[usize; 4]> = smallvec![0; space.len()];
            // Dense, or spread along some of the loops.
            let (dense, mut step) = (pick(3) > 0, 1);
            for (n, stride) in space.iter().zip(strides.iter_mut()).rev() {
                if dense || pick(2) == 0 {
                    *stride = step;
                    step *= n;
                }
            }
            let start = if pick(4) == 0 { pick(9) } else { 0 };
            // Elements that lie apart.
            if pick(4) == 0 {
                let apart = 2 + pick(4);
                strides.iter_mut().for_each(|s| *s *= apart);
            }
            // A number around elements of the inner run.
            let inner = space.last().copied().unwrap_or(0);
            let pad = (inner > 0 && pick(4) == 0).then(|| {
                let low = pick(inner);
                LanePad {
                    low,
                    length: 1 + pick(inner - low),
                    value: Scalar::from_f64(dtype, pick(3) as f64),
                }
            });
            LaneInput {
                dtype,
                start,
                strides,
                index: None,
                pad,
            }
        })
        .collect();
    // One that is read at positions from memory.
    if pick(3) == 0 {
        let mut strides: SmallVec<[usize; 4]> = smallvec![0; space.len()];
        let (apart, mut step) = (1 + pick(3), 1);
        for (n, stride) in space.iter().zip(strides.iter_mut()).rev() {
            if pick(4) > 0 {
                *stride = step * apart;
                step *= n;
            }
        }
        let at = pick(inputs.len());
        inputs[at].pad = None;
        inputs[at].index = Some(LaneIndex {
            input: inputs.len() as u32,
            step: pick(4),
            length: 1 + pick(20),
        });
        inputs.push(LaneInput {
            dtype: [DType::I64, DType::I32][pick(2)],
            start: pick(3),
            strides,
            index: None,
            pad: None,
        });
    }
    let mut dtypes: Vec<DType> = inputs.iter().map(|i| i.dtype).collect();
    // Indices serve for nothing else.
    if let Some(k) = inputs.iter().find_map(|i| i.index) {
        dtypes[k.input as usize] = DType::C128;
    }
    let mut ops: Vec<LaneOp> = Vec::new();
    let mut push = |dtypes: &mut Vec<DType>, op: Op, dtype: DType, args: &[u32]| {
        ops.push(LaneOp {
            op,
            dtype,
            args: args.iter().copied().collect(),
        });
        dtypes.push(dtype);
        dtypes.len() as u32 - 1
    };
    for x in [
        Scalar::from_f64(float, 0.7),
        Scalar::from_f64(int, -3.0),
        Scalar::Bool(true),
    ] {
        let shape = cotangent_array::Shape::default();
        push(&mut dtypes, Op::Full(x, shape), x.dtype(), &[]);
    }
    for _ in 0..1 + pick(24) {
        let of = |pick: &mut dyn FnMut(usize) -> usize, dtypes: &[DType], dtype: DType| {
            let fitting: Vec<u32> = (0..dtypes.len() as u32)
                .filter(|v| dtypes[*v as usize] == dtype)
                .collect();
            fitting[pick(fitting.len())]
        };
        let b = DType::Bool;
        let (x, y, z) = (
            of(&mut pick, &dtypes, float),
            of(&mut pick, &dtypes, float),
            of(&mut pick, &dtypes, float),
        );
        let (i, j) = (of(&mut pick, &dtypes, int), of(&mut pick, &dtypes, int));
        let (p, q) = (of(&mut pick, &dtypes, b), of(&mut pick, &dtypes, b));
        match pick(12) {
            0..2 => push(
                &mut dtypes,
                Op::Unary(UNARY[pick(UNARY.len())]),
                float,
                &[x],
            ),
            2..6 => push(
                &mut dtypes,
                Op::Binary(BINARY[pick(BINARY.len())]),
                float,
                &[x, y],
            ),
            6 => {
                let op = Compare::ALL[pick(6)];
                let (s, t) = [(x, y), (i, j), (p, q)][pick(3)];
                push(&mut dtypes, Op::Compare(op), b, &[s, t])
            }
            7 => match pick(3) {
                0 => push(&mut dtypes, Op::Ternary(Ternary::Select), float, &[p, x, y]),
                1 => push(&mut dtypes, Op::Ternary(Ternary::Select), int, &[p, i, j]),
                _ => push(&mut dtypes, Op::Ternary(Ternary::Clamp), float, &[x, y, z]),
            },
            8 => {
                let ops = [
                    Binary::Add,
                    Binary::Sub,
                    Binary::Maximum,
                    Binary::Minimum,
                    Binary::And,
                    Binary::Or,
                    Binary::Xor,
                ];
                push(&mut dtypes, Op::Binary(ops[pick(7)]), int, &[i, j])
            }
            9 => {
                let ops = [Unary::Neg, Unary::Abs, Unary::Sign, Unary::Not];
                push(&mut dtypes, Op::Unary(ops[pick(4)]), int, &[i])
            }
            10 => match pick(5) {
                0 => push(&mut dtypes, Op::Convert(float), float, &[p]),
                1 => push(&mut dtypes, Op::Convert(float), float, &[i]),
                2 => push(&mut dtypes, Op::Convert(b), b, &[x]),
                3 => push(&mut dtypes, Op::Convert(int), int, &[q]),
                _ => push(&mut dtypes, Op::Convert(b), b, &[i]),
            },
            _ => match pick(3) {
                0 => push(&mut dtypes, Op::Test(Test::ALL[pick(3)]), b, &[x]),
                1 => push(
                    &mut dtypes,
                    Op::Binary([Binary::And, Binary::Or, Binary::Xor][pick(3)]),
                    b,
                    &[p, q],
                ),
                _ => push(
                    &mut dtypes,
                    Op::Indexed(Indexed::Powi, pick(9) as i64 - 3),
                    float,
                    &[x],
                ),
            },
        };
    }
    let some = space.iter().all(|n| *n > 0);
    let outputs: Vec<LaneOutput> = (0..1 + pick(3))
        .map(|k| {
            let value = match pick(dtypes.len()) {
                value if k > 0 && dtypes[value] != DType::C128 => value,
                _ => dtypes.len() - 1,
            };
            let dtype = dtypes[value];
            let fold = (some && pick(3) == 0 && dtype != DType::Bool).then(|| {
                let fold = [Fold::Sum, Fold::WideSum, Fold::Prod, Fold::Max, Fold::Min][pick(5)];
                let fold = if dtype.is_float() { fold } else { Fold::Sum };
                (fold, pick(space.len()))
            });
            let leading = matches!(fold, Some((Fold::Sum, 1..))) && pick(2) == 0;
            let alike: Vec<u32> = (0..dtypes.len() as u32)
                .filter(|v| dtypes[*v as usize] == dtype)
                .collect();
            let beside = (fold.is_none() && pick(3) == 0)
                .then(|| (0..1 + pick(4)).map(|_| alike[pick(alike.len())]));
            LaneOutput {
                value: value as u32,
                beside: beside.into_iter().flatten().collect(),
                dtype,
                fold,
                leading,
            }
        })
        .collect();
    LaneProgram::new(
        lanes,
        pick(2) == 0,
        space.iter().copied().collect(),
        inputs,
        ops,
        outputs,
    )
    .unwrap()
}
