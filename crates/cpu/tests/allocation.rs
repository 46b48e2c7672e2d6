//! A warm program allocates nothing.

use cotangent_array::{Array, DType};
use cotangent_compile::{Step, StepOp};
use cotangent_graph::ops::{Concat, Dot, Gather, Reverse, Unary};
use cotangent_graph::{Builder, TensorType};

#[path = "common/counting.rs"]
mod counting;

use counting::counted;

#[test]
fn a_warm_program_allocates_nothing() {
    let mut inner = Builder::new("g");
    let x = inner.input("x", TensorType::new(DType::F32, [6, 7]));
    let y = inner.unary(Unary::Exp, x);
    let y = inner.transpose(y, &[1, 0]);
    let inner = std::sync::Arc::new(inner.finish(&[y]).unwrap());

    let mut b = Builder::new("f");
    let x = b.input("x", TensorType::new(DType::F32, [6, 7]));
    let i = b.input("i", TensorType::new(DType::I64, [5]));
    let y = b.call(&inner, &[x])[0];
    let z = b.push(Gather { axis: 0, batch: 0 }, &[y, i]);
    let z = b.push(Reverse { axes: vec![0, 1] }, &[z]);
    let w = b.sum(z, &[0]);
    let v = b.mul(w, w);
    let s = b.sum(v, &[0]);
    // Numbers, calls among them, that are put together: a tape.
    let (mut s, mut parts) = (s, Vec::new());
    for k in 0..6 {
        let one = b.slice_axis(w, 0, k, k + 1);
        let one = b.reshape(one, ());
        let one = b.unary(Unary::Erf, one);
        s = b.mul(s, one);
        parts.push(b.reshape(s, [1]));
    }
    let together = b.push(Concat { axis: 0 }, &parts);
    let program = cotangent_cpu::compile(&b.finish(&[v, s, together]).unwrap()).unwrap();
    let tape = |s: &Step| matches!(s.op, StepOp::Tape(_));
    assert!(program.plan().steps.iter().any(tape), "{}", program.plan());

    let x = Array::new(
        [6, 7],
        (0..42).map(|i| i as f32 / 40.0).collect::<Vec<f32>>(),
    )
    .unwrap();
    let i = Array::from([6_i64, 0, 3, 3, 1]);
    let mut outputs = [
        Array::zeros(DType::F32, [6]).unwrap(),
        Array::scalar(0.0_f32),
        Array::zeros(DType::F32, [6]).unwrap(),
    ];
    program.run_into(&[&x, &i], &mut outputs).unwrap();
    let expected = outputs.clone();
    outputs = [
        Array::zeros(DType::F32, [6]).unwrap(),
        Array::scalar(0.0_f32),
        Array::zeros(DType::F32, [6]).unwrap(),
    ];

    let (count, run) = counted(|| program.run_into(&[&x, &i], &mut outputs));
    run.unwrap();
    assert_eq!(count, 0);
    assert_eq!(outputs, expected);
    // The counter counts.
    let (count, _) = counted(|| std::hint::black_box(vec![0_u8; 10]));
    assert_eq!(count, 1);
}

/// Nor does the caller where threads help it: what they are told stands on its stack.
#[test]
fn a_warm_program_on_threads_allocates_nothing() {
    let mut b = Builder::new("f");
    let x = b.input("x", TensorType::new(DType::F32, [200, 300]));
    let y = b.input("y", TensorType::new(DType::F32, [300, 100]));
    let op = Dot {
        contract: (vec![1], vec![0]),
        batch: (vec![], vec![]),
    };
    let z = b.push(op, &[x, y]);
    let z = b.unary(Unary::Tanh, z);
    let rows = b.sum(z, &[1]);
    let columns = b.sum(z, &[0]);
    let turned = b.transpose(x, &[1, 0]);
    let program = cotangent_cpu::compile(&b.finish(&[z, rows, columns, turned]).unwrap()).unwrap();
    program.set_threads(2);
    let x = Array::full([200, 300], 1.0_f32.into()).unwrap();
    let y = Array::full([300, 100], 0.5_f32.into()).unwrap();
    let mut outputs = program.run(&[x.clone(), y.clone()]).unwrap();
    let (count, ()) = counted(|| {
        for _ in 0..20 {
            program.run_into(&[&x, &y], &mut outputs).unwrap();
        }
    });
    assert_eq!(count, 0);
}
