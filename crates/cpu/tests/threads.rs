//! Results have the same bits for any number of threads, and runs may come from any thread at any time.

mod common;

use std::sync::Arc;

use common::Numbers;
use cotangent_array::{Array, DType, Shape};
use cotangent_cpu::Program;
use cotangent_graph::ops::{Conv, Dot, Gather, Pad, Slice, Unary};
use cotangent_graph::{Builder, Graph, TensorType, Var};

/// For how many threads steps are cut; as many work as the machine runs at once.
const THREADS: [usize; 4] = [2, 3, 4, 7];

fn inputs(graph: &Graph, numbers: &mut Numbers) -> Vec<Array> {
    let types = graph.input_types();
    types
        .into_iter()
        .map(|ty| {
            let n = ty.shape.elements();
            let values = (0..n).map(|_| (numbers.next() % 2001) as f64 / 1000.0 - 1.0);
            let values = values.map(|x| cotangent_array::Scalar::from_f64(ty.dtype, x));
            Array::from_scalars(ty.dtype, ty.shape.clone(), values).unwrap()
        })
        .collect()
}

/// Runs with each number of threads, several times, since threads meet in other ways each time.
fn check(name: &str, graph: &Graph) {
    let program = cotangent_cpu::compile(graph).unwrap();
    let inputs = inputs(graph, &mut Numbers::new(7));
    program.set_threads(1);
    let expected = program.run(&inputs).unwrap();
    for threads in THREADS {
        program.set_threads(threads);
        assert_eq!(program.threads(), threads);
        for _ in 0..2 {
            let found = program.run(&inputs).unwrap();
            for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    found == expected,
                    "{name}: result {k} with {threads} threads"
                );
            }
        }
    }
}

fn graph(types: &[(DType, &[usize])], f: impl FnOnce(&mut Builder, &[Var]) -> Vec<Var>) -> Graph {
    let mut b = Builder::new("f");
    let inputs: Vec<Var> = types
        .iter()
        .enumerate()
        .map(|(i, (dtype, dims))| {
            b.input(
                &format!("x{i}"),
                TensorType::new(*dtype, Shape::from(*dims)),
            )
        })
        .collect();
    let outputs = f(&mut b, &inputs);
    b.finish(&outputs).unwrap()
}

fn dot(x: &[usize], y: &[usize], batch: usize) -> Dot {
    Dot {
        contract: (x.to_vec(), y.to_vec()),
        batch: ((0..batch).collect(), (0..batch).collect()),
    }
}

const F: DType = DType::F64;
const G: DType = DType::F32;

#[test]
fn regions_of_every_shape() {
    let spaces: [&[usize]; 9] = [
        &[100_003],
        &[300_000],
        &[1 << 18],
        &[700, 300],
        &[3, 70_001],
        &[40_000, 5],
        &[64, 64, 65],
        &[2, 3, 20_000],
        &[16, 1024, 16],
    ];
    for space in spaces {
        for dtype in [F, G] {
            let rank = space.len();
            let g = graph(&[(dtype, space), (dtype, space)], |b, x| {
                let y = b.mul(x[0], x[1]);
                let e = b.unary(Unary::Exp, y);
                let z = b.add(e, x[0]);
                let mut outs = vec![z];
                // Sums over the last axes, from one to all.
                for first in 0..rank {
                    let axes: Vec<usize> = (first..rank).collect();
                    outs.push(b.sum(z, &axes));
                }
                outs
            });
            check(&format!("{dtype} {space:?}"), &g);
            let g = graph(&[(dtype, space)], |b, x| {
                let y = b.unary(Unary::Tanh, x[0]);
                vec![b.sum(y, &(0..rank).collect::<Vec<_>>())]
            });
            check(&format!("sum {dtype} {space:?}"), &g);
        }
    }
}

#[test]
fn sums_over_outer_axes() {
    let spaces: [&[usize]; 6] = [
        &[300, 700],
        &[5000, 130],
        &[64, 64],
        &[40, 3, 500],
        &[7, 9, 11, 257],
        &[3000, 64],
    ];
    for space in spaces {
        for dtype in [F, G] {
            // Over the first axis, over all but the last, and over both beside what is not summed.
            let most = space.len() - 1;
            for axes in [vec![1], vec![most], vec![1, most]] {
                let g = graph(&[(dtype, space), (dtype, space)], |b, x| {
                    let y = b.mul(x[0], x[1]);
                    let y = b.unary(Unary::Tanh, y);
                    let sums = axes.iter().map(|n| (0..*n).collect::<Vec<usize>>());
                    let sums: Vec<Var> = sums.map(|axes| b.sum(y, &axes)).collect();
                    sums.into_iter().chain([y]).collect()
                });
                check(&format!("{dtype} {space:?} {axes:?}"), &g);
            }
            // Beside a sum over the last axis.
            let g = graph(&[(dtype, space)], |b, x| {
                let y = b.unary(Unary::Exp, x[0]);
                vec![b.sum(y, &[0]), b.sum(y, &[space.len() - 1])]
            });
            check(&format!("both ends of {dtype} {space:?}"), &g);
        }
    }
}

/// Sums that no region takes, of arrays that are there: along rows, columns, both and what is between.
#[test]
fn sums_of_arrays() {
    let spaces: [(&[usize], &[&[usize]]); 4] = [
        (&[1030, 513], &[&[0], &[1]]),
        (&[3, 70_001], &[&[0], &[1]]),
        (&[20, 64, 130], &[&[0], &[1], &[2], &[0, 1], &[0, 2]]),
        (&[6, 5, 7, 9, 110], &[&[0, 2], &[1, 3], &[1, 4], &[0, 2, 4]]),
    ];
    for (space, all) in spaces {
        for dtype in [F, G, DType::I32] {
            for axes in all {
                let g = graph(&[(dtype, space)], |b, x| vec![b.sum(x[0], axes)]);
                check(&format!("{dtype} {space:?} {axes:?}"), &g);
            }
        }
    }
}

#[test]
fn elements_that_are_packed() {
    for dtype in [F, G] {
        // Elements apart: columns of a table.
        let g = graph(&[(dtype, &[9000, 3]), (dtype, &[700, 300])], |b, x| {
            let column = |b: &mut Builder, k: usize| {
                let op = Slice {
                    start: vec![0, k],
                    limit: vec![9000, k + 1],
                    stride: vec![1, 1],
                };
                let y = b.push(op, &[x[0]]);
                b.reshape(y, Shape::from([9000]))
            };
            let (p, q) = (column(b, 0), column(b, 2));
            let y = b.mul(p, q);
            let y = b.unary(Unary::Sin, y);
            let turned = b.transpose(x[1], &[1, 0]);
            let turned = b.unary(Unary::Tanh, turned);
            let rows = b.sum(turned, &[1]);
            let columns = b.sum(turned, &[0]);
            let all = b.sum(y, &[0]);
            vec![y, all, turned, rows, columns]
        });
        check(&format!("apart {dtype}"), &g);
        // Inside a pad.
        let g = graph(&[(dtype, &[5000]), (dtype, &[5003])], |b, x| {
            let zero = b.scalar(dtype, 0.0);
            let op = Pad {
                low: vec![2],
                high: vec![1],
                interior: vec![0],
            };
            let y = b.push(op, &[x[0], zero]);
            let y = b.mul(y, x[1]);
            let y = b.unary(Unary::Exp, y);
            vec![b.sum(y, &[0]), y]
        });
        check(&format!("pad {dtype}"), &g);
        // At indices.
        let g = graph(&[(dtype, &[50]), (DType::I64, &[9001])], |b, x| {
            let index = b.mul(x[1], x[1]);
            let y = b.push(Gather { axis: 0, batch: 0 }, &[x[0], index]);
            let y = b.unary(Unary::Exp, y);
            let z = b.mul(y, y);
            vec![z, b.sum(z, &[0])]
        });
        check(&format!("indices {dtype}"), &g);
    }
}

/// The error is that of the first place, whichever thread comes to it.
#[test]
fn the_first_index_out_of_range_is_named() {
    let g = graph(&[(F, &[50]), (DType::I64, &[90_001])], |b, x| {
        let y = b.push(Gather { axis: 0, batch: 0 }, &[x[0], x[1]]);
        let y = b.unary(Unary::Exp, y);
        vec![b.mul(y, y)]
    });
    let program = cotangent_cpu::compile(&g).unwrap();
    let x = Array::zeros(F, [50]).unwrap();
    let mut indices: Vec<i64> = (0..90_001).map(|i| i % 50).collect();
    indices[30_000] = 77;
    for place in [30_001, 60_000, 90_000] {
        indices[place] = -3;
    }
    let indices = Array::from(indices);
    for threads in [1, 2, 4] {
        program.set_threads(threads);
        for _ in 0..20 {
            let error = program.run(&[x.clone(), indices.clone()]).unwrap_err();
            assert!(error.to_string().contains("77"), "{threads}: {error}");
        }
    }
}

#[test]
fn products_of_every_shape() {
    for dtype in [F, G, DType::C64, DType::I32] {
        // On both sides of what is packed at a time (192 rows, 256 terms, 256 to 1,024 columns) and long
        // enough to be cut, no longer: an unoptimized kernel is slow.
        for [m, n, k] in [
            [200, 40, 60],
            [12, 530, 260],
            [7, 1100, 65],
            [1000, 9, 70],
            [390, 10, 260],
            [200, 210, 42],
            [1, 700, 300],
            [900, 1, 300],
            [129, 64, 1],
        ] {
            for (x, y) in [([m, k], [k, n]), ([k, m], [n, k])] {
                let turned = x[0] == k && x[1] == m && m != k;
                let op = match turned {
                    true => dot(&[0], &[1], 0),
                    false => dot(&[1], &[0], 0),
                };
                let g = graph(&[(dtype, &x), (dtype, &y)], |b, v| vec![b.push(op, v)]);
                check(&format!("{dtype} {m} {n} {k} {turned}"), &g);
            }
        }
    }
}

#[test]
fn batches_of_products() {
    for [batch, m, n, k] in [
        [64, 16, 16, 16],
        [3, 100, 90, 80],
        [500, 1, 40, 64],
        [2, 1, 900, 700],
        [33, 4, 5, 300],
    ] {
        for op in [dot(&[2], &[1], 1), dot(&[2], &[2], 1)] {
            let y = if op.contract.1 == [1] {
                [batch, k, n]
            } else {
                [batch, n, k]
            };
            let g = graph(&[(F, &[batch, m, k]), (F, &y)], |b, v| vec![b.push(op, v)]);
            check(&format!("{batch} {m} {n} {k}"), &g);
        }
    }
}

#[test]
fn convolutions() {
    for (x, kernel, groups) in [
        ([16, 3, 20, 21], [8, 3, 5, 5], 1),
        ([1, 8, 40, 40], [8, 8, 3, 3], 1),
        ([1, 64, 28, 28], [6, 64, 24, 24], 1),
        ([2, 8, 30, 30], [8, 2, 3, 3], 4),
        ([1, 8, 64, 64], [300, 8, 3, 3], 1),
        ([4, 16, 16, 16], [20, 16, 1, 1], 1),
    ] {
        let g = graph(&[(G, &x), (G, &kernel)], |b, v| {
            let op = Conv {
                stride: vec![1, 1],
                padding: vec![(0, 0), (0, 0)],
                dilation: vec![1, 1],
                input_dilation: vec![1, 1],
                groups,
            };
            vec![b.push(op, v)]
        });
        check(&format!("{x:?} {kernel:?}"), &g);
    }
}

#[test]
fn moves_and_single_kernels() {
    let g = graph(&[(F, &[301, 517])], |b, x| vec![b.transpose(x[0], &[1, 0])]);
    check("transpose", &g);
    let g = graph(&[(G, &[20, 30, 40, 11])], |b, x| {
        vec![
            b.transpose(x[0], &[2, 0, 3, 1]),
            b.transpose(x[0], &[3, 2, 1, 0]),
        ]
    });
    check("transposes", &g);
    let g = graph(&[(F, &[90_001])], |b, x| {
        let y = b.mul(x[0], x[0]);
        vec![b.unary(Unary::Lgamma, y), b.unary(Unary::Erf, x[0])]
    });
    check("kernels", &g);
}

#[test]
fn many_callers_of_many_programs() {
    let g = graph(&[(F, &[150, 100]), (F, &[100, 90])], |b, v| {
        let p = b.push(dot(&[1], &[0], 0), v);
        let t = b.unary(Unary::Tanh, p);
        vec![b.sum(t, &[0, 1]), t]
    });
    let programs: Vec<Arc<Program>> = (0..3)
        .map(|i| {
            let program = cotangent_cpu::compile(&g).unwrap();
            program.set_threads(i + 1);
            Arc::new(program)
        })
        .collect();
    let inputs = inputs(&g, &mut Numbers::new(3));
    let expected = programs[0].run(&inputs).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..6 {
            let (programs, inputs, expected) = (&programs, &inputs, &expected);
            scope.spawn(move || {
                for round in 0..40 {
                    let program = &programs[(caller + round) % programs.len()];
                    assert!(program.run(inputs).unwrap() == *expected);
                }
            });
        }
    });
}
