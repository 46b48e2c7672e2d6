//! Arrays of many small things, taken apart into columns, against the reference evaluator.

mod common;

use common::Numbers;
use cotangent_array::{Array, DType, Scalar};
use cotangent_graph::ops::{
    ArrayOp, Binary, Compare, Concat, Dot, Gather, Max, Pad, Prod, Reverse, ScatterAdd, Slice, Sum,
    Transpose, Unary,
};
use cotangent_graph::{Builder, Graph, Var};

/// The shapes of the small things.
const SMALL: &[&[usize]] = &[&[], &[1], &[2], &[3], &[5], &[2, 3], &[3, 2], &[1, 4]];

#[test]
fn columns_give_what_arrays_give() {
    let mut apart = 0;
    let count = 150;
    for seed in 0..count {
        let mut numbers = Numbers::new(seed + 1);
        let p = [64, 65, 67, 100, 257][numbers.next() as usize % 5];
        let graph = draw(&mut numbers, p);
        let inputs: Vec<Array> = graph
            .inputs()
            .iter()
            .map(|(_, v)| {
                let ty = graph.ty(*v).tensor().unwrap();
                match ty.dtype {
                    DType::I64 => numbers.array(ty, |n, _| Scalar::I64((n.next() % 9) as i64)),
                    _ => numbers.array(ty, Numbers::plain),
                }
            })
            .collect();
        let before = cotangent_compile::optimize(&graph, Some("products")).unwrap();
        let after = cotangent_compile::optimize(&graph, Some("columns")).unwrap();
        apart += u64::from(before != after);
        let expected = cotangent_graph::eval(&graph, &inputs).unwrap();
        let found = common::run(&graph, &inputs);
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found.shape(), expected.shape());
            for (i, (f, e)) in found.scalars().zip(expected.scalars()).enumerate() {
                let (f, e) = (f.to_f64(), e.to_f64());
                assert!(
                    (f - e).abs() <= 1e-8 * (1.0 + e.abs()),
                    "seed {seed}, result {k}, element {i}: expected {e}, found {f}\n{graph}\n{after}"
                );
            }
        }
    }
    assert!(apart > count / 3, "only {apart} graphs were taken apart");
}

/// An index out of range is an error where rows are read element by element, too.
#[test]
fn indices_of_columns_are_checked() {
    let mut b = Builder::new("f");
    let table = b.input("table", common::ty(DType::F64, &[9, 3]));
    let index = b.input("index", common::ty(DType::I64, &[80]));
    let rows = b.push(Gather { axis: 0, batch: 0 }, &[table, index]);
    let squares = b.mul(rows, rows);
    let sums = b.sum(squares, &[1]);
    let wide = b.broadcast(sums, [80, 3], &[0]);
    let shares = b.div(rows, wide);
    let sums = b.sum(shares, &[1]);
    let graph = b.finish(&[sums]).unwrap();
    let mut numbers = Numbers::new(3);
    let table = numbers.array(&common::ty(DType::F64, &[9, 3]), Numbers::plain);
    let program = cotangent_cpu::compile(&graph).unwrap();
    for wrong in [-1, 9, i64::MAX, i64::MIN] {
        let mut indices = vec![4_i64; 80];
        assert!(
            program
                .run(&[table.clone(), indices.clone().into()])
                .is_ok()
        );
        indices[77] = wrong;
        let error = program.run(&[table.clone(), indices.into()]).unwrap_err();
        assert!(error.to_string().contains("index"), "{error}");
    }
}

fn draw(numbers: &mut Numbers, p: usize) -> Graph {
    let mut pick = |n: usize| numbers.next() as usize % n;
    let mut b = Builder::new("f");
    let shape = |tail: &[usize]| -> Vec<usize> { [&[p], tail].concat() };
    let mut all: Vec<(Var, Vec<usize>)> = Vec::new();
    for k in 0..3 {
        let tail = SMALL[pick(SMALL.len())];
        let x = b.input(&format!("x{k}"), common::ty(DType::F64, &shape(tail)));
        all.push((x, tail.to_vec()));
    }
    let table = b.input("table", common::ty(DType::F64, &[9, 3]));
    let index = b.input("index", common::ty(DType::I64, &[p]));
    let rows = b.push(Gather { axis: 0, batch: 0 }, &[table, index]);
    all.push((rows, vec![3]));
    let around = b.input("around", common::ty(DType::F64, &[3]));
    for _ in 0..6 + pick(20) {
        let (x, tail) = all[pick(all.len())].clone();
        let (rank, last) = (tail.len(), tail.last().copied().unwrap_or(1));
        let end = rank; // the axis of the last short one
        let partners: Vec<Var> = all
            .iter()
            .filter(|(_, t)| *t == tail)
            .map(|(v, _)| *v)
            .collect();
        let y = partners[pick(partners.len())];
        let zeros = || (vec![0; rank + 1], vec![0; rank + 1]);
        let next = match pick(14) {
            0 => (b.binary([Binary::Add, Binary::Sub][pick(2)], x, y), tail),
            1 | 2 => {
                let product = b.binary([Binary::Mul, Binary::Zmul][pick(2)], x, y);
                (b.unary(Unary::Tanh, product), tail)
            }
            3 => {
                let less = b.compare(Compare::Lt, x, y);
                (b.select(less, x, y), tail)
            }
            4 => (
                b.unary([Unary::Neg, Unary::Sin, Unary::Sigmoid][pick(3)], x),
                tail,
            ),
            5 if last > 1 => {
                let (start, mut stride) = (pick(last), vec![1; rank + 1]);
                let limit = start + 1 + pick(last - start);
                stride[end] = 1 + pick(2);
                let (mut low, mut high) = (vec![0; rank + 1], shape(&tail));
                (low[end], high[end]) = (start, limit);
                let mut tail = tail.clone();
                tail[rank - 1] = (limit - start).div_ceil(stride[end]);
                let op = Slice {
                    start: low,
                    limit: high,
                    stride,
                };
                (b.push(op, &[x]), tail)
            }
            6 if rank > 0 => {
                let ((mut low, mut high), mut interior) = (zeros(), vec![0; rank + 1]);
                (low[end], high[end], interior[end]) = (pick(3), pick(2), pick(2));
                let mut new = tail.clone();
                new[rank - 1] = low[end] + high[end] + last + interior[end] * (last - 1);
                let value = b.scalar(DType::F64, [0.0, 0.0, 0.5][pick(3)]);
                (
                    b.push(
                        Pad {
                            low,
                            high,
                            interior,
                        },
                        &[x, value],
                    ),
                    new,
                )
            }
            7 if rank > 0 => {
                let mut new = tail.clone();
                new[rank - 1] = 2 * last;
                (b.push(Concat { axis: end }, &[x, y]), new)
            }
            8 if rank < 2 => {
                let mut new = tail.clone();
                new.push(1 + pick(3));
                let dims: Vec<usize> = (0..=rank).collect();
                (b.broadcast(x, shape(&new), &dims), new)
            }
            9 if rank > 0 => {
                let axes = vec![1 + pick(rank)];
                let mut new = tail.clone();
                new.remove(axes[0] - 1);
                let op: ArrayOp = match pick(3) {
                    0 => Sum { axes }.into(),
                    1 => Max { axes }.into(),
                    _ => Prod { axes }.into(),
                };
                let joined = b.push(op, &[x]);
                (b.unary(Unary::Tanh, joined), new)
            }
            10 if rank == 2 => {
                let new = vec![tail[1], tail[0]];
                (
                    b.push(
                        Transpose {
                            axes: vec![0, 2, 1],
                        },
                        &[x],
                    ),
                    new,
                )
            }
            11 if rank > 0 => (b.push(Reverse { axes: vec![end] }, &[x]), tail),
            12 if rank == 1 => {
                let outer = pick(2) == 0;
                let contract = if outer {
                    (vec![], vec![])
                } else {
                    (vec![1], vec![1])
                };
                let dot = Dot {
                    contract,
                    batch: (vec![0], vec![0]),
                };
                let products = b.push(dot, &[x, y]);
                let new = if outer { vec![last, last] } else { vec![] };
                (b.unary(Unary::Tanh, products), new)
            }
            _ => {
                let spread = b.broadcast(around, shape(&[3]), &[1]);
                (spread, vec![3])
            }
        };
        if next.1.iter().product::<usize>() <= 12 {
            all.push(next);
        }
    }
    let outputs: Vec<Var> = (0..3).map(|_| all[all.len() - 1 - pick(4)].0).collect();
    b.finish(&outputs).unwrap()
}

/// One element of each row, picked and put back.
#[test]
fn picks_give_what_arrays_give() {
    for (rows, n) in [(300, 17), (64, 64), (4096, 16)] {
        let mut b = Builder::new("f");
        let wide = common::ty(DType::F64, &[rows, n]);
        let x = b.input("x", wide.clone());
        let w = b.input("w", common::ty(DType::F64, &[n]));
        let s = b.input("s", common::ty(DType::F64, &[rows]));
        let label = b.input("label", common::ty(DType::I64, &[rows]));
        let (w, s) = (
            b.broadcast(w, [rows, n], &[1]),
            b.broadcast(s, [rows, n], &[0]),
        );
        let shifted = b.sub(x, s);
        let scores = b.mul(shifted, w);
        let pick = Gather { axis: 1, batch: 1 };
        let picked = b.push(pick, &[scores, label]);
        let put = ScatterAdd {
            shape: wide.shape.clone(),
            axis: 1,
            batch: 1,
        };
        let back = b.push(put, &[picked, label]);
        let all = b.mul(back, x);
        let columns = b.sum(all, &[0]);
        let graph = b.finish(&[picked, all, columns]).unwrap();
        let mut numbers = Numbers::new(rows as u64);
        let mut inputs: Vec<Array> = graph.inputs()[..3]
            .iter()
            .map(|(_, v)| numbers.array(graph.ty(*v).tensor().unwrap(), Numbers::plain))
            .collect();
        let labels: Vec<i64> = (0..rows)
            .map(|_| (numbers.next() % n as u64) as i64)
            .collect();
        inputs.push(labels.clone().into());
        common::near(&graph, &inputs);
        let program = cotangent_cpu::compile(&graph).unwrap();
        for wrong in [-1, n as i64, i64::MIN, 1 << 40] {
            let mut labels = labels.clone();
            labels[rows - 1] = wrong;
            inputs[3] = labels.into();
            let error = program.run(&inputs).unwrap_err();
            assert!(error.to_string().contains("index"), "{error}");
        }
    }
}
