//! Branches and loops in traced functions.

use cotangent::{Array, Function, Tensor, concat, control};

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} {b}");
}

#[test]
fn closures_use_tensors_from_around() {
    // h' = tanh(w h + x), with w from around the loop.
    let f = Function::new(|w: &Tensor, x: &Tensor| {
        let (h, all) = control::scan(
            |h: Tensor, x: Tensor| {
                let h = (w * h + x).tanh();
                (h.clone(), h)
            },
            Tensor::from(0.5),
            x.clone(),
        );
        h * all.sum(..)
    });
    let plain = Function::new(|w: &Tensor, x: &Tensor| {
        let mut h = Tensor::from(0.5);
        let mut sum = Tensor::from(0.0);
        for i in 0..3 {
            h = (w * &h + x.at(i)).tanh();
            sum += &h;
        }
        h * sum
    });
    let at = || (0.7.into(), Array::from([0.1, -0.2, 0.3]));
    close(
        f.call(at()).unwrap().item().unwrap(),
        plain.call(at()).unwrap().item().unwrap(),
    );
    let (a, b) = (
        f.grad().call(at()).unwrap(),
        plain.grad().call(at()).unwrap(),
    );
    close(a.item().unwrap(), b.item().unwrap());
    let (a, b) = (
        f.grad_of::<1>().call(at()).unwrap(),
        plain.grad_of::<1>().call(at()).unwrap(),
    );
    a.to_f64s()
        .iter()
        .zip(b.to_f64s())
        .for_each(|(a, b)| close(*a, b));
    let (a, b) = (
        f.hessian().call(at()).unwrap(),
        plain.hessian().call(at()).unwrap(),
    );
    close(a.item().unwrap(), b.item().unwrap());
}

#[test]
fn branches_share_what_either_captures() {
    let f = Function::new(|x: &Tensor, a: &Tensor, b: &Tensor| {
        control::cond(
            &x.greater(0.0),
            |x: Tensor| x * a,
            |x: Tensor| &x * &x * b,
            x.clone(),
        )
    });
    let grads = |x: f64| {
        let at = (x.into(), 3.0.into(), 5.0.into());
        [
            f.grad().call(at.clone()),
            f.grad_of::<1>().call(at.clone()),
            f.grad_of::<2>().call(at),
        ]
        .map(|g| g.unwrap().item::<f64>().unwrap())
    };
    assert_eq!(grads(2.0), [3.0, 2.0, 0.0]);
    assert_eq!(grads(-2.0), [-20.0, 0.0, 4.0]);
    let batched = f.vmap_where(|i| i == 0);
    let y = batched
        .call(([2.0, -2.0].into(), 3.0.into(), 5.0.into()))
        .unwrap();
    assert_eq!(y, [6.0, 20.0].into());
}

#[test]
fn loops_run_outside_of_a_trace_too() {
    let x = control::fori_loop(
        5,
        |i, x: Tensor| x + i.convert(cotangent::DType::F64),
        Tensor::from(0.0),
    );
    assert_eq!(x.item::<f64>().unwrap(), 10.0);
}

#[test]
fn wrong_bodies_are_errors_that_name_the_line() {
    let f = Function::new(|x: &Tensor| {
        control::fori_loop(
            3,
            |_, x: Tensor| x.convert(cotangent::DType::F32),
            x.clone(),
        )
    });
    let error = f.call((1.0.into(),)).unwrap_err().to_string();
    assert!(
        error.contains("control.rs:") && error.contains("keep the type of carried value"),
        "{error}"
    );
    let f = Function::new(|x: &Tensor| {
        control::scan(
            |c: Tensor, x: Tensor| (c + x, ()),
            Tensor::from(0.0),
            x.clone(),
        )
        .0
    });
    let error = f.call((1.0.into(),)).unwrap_err().to_string();
    assert!(
        error.contains("control.rs:") && error.contains("leading axis"),
        "{error}"
    );
}

#[test]
fn a_reverse_scan_runs_from_the_last() {
    let f = Function::new(|x: &Tensor| {
        control::scan_reverse(
            |s: Tensor, x: Tensor| {
                let s = s + x;
                (s.clone(), s)
            },
            Tensor::from(0.0),
            x.clone(),
        )
        .1
    });
    assert_eq!(
        f.call((Array::from([1.0, 2.0, 3.0]),)).unwrap(),
        [6.0, 5.0, 3.0].into()
    );
}

/// The way back reads shifted vectors of each step, of which most are computed again.
#[test]
fn loops_over_shifted_vectors_have_the_gradient_of_their_steps() {
    let step = |x: &Tensor, y: &Tensor| {
        let one = Tensor::ones([1], cotangent::DType::F64);
        let slope = |y: &Tensor| x * concat([&one, &y.at(..-1)], 0);
        let ahead =
            |y: &Tensor| concat([&y.at(2..), &Tensor::zeros([2], cotangent::DType::F64)], 0);
        let half = y + slope(y) * 0.1;
        y + slope(&half) * 0.2 + (ahead(&half) * x).sin() * 0.1
    };
    for n in [66, 1030, 4000] {
        let looped = Function::new(move |x: &Tensor, y: &Tensor| {
            let x = x.clone();
            let end = control::fori_loop(5, move |_, y: Tensor| step(&x, &y), y.clone());
            end.square().sum(..)
        });
        let plain = Function::new(move |x: &Tensor, y: &Tensor| {
            let end = (0..5).fold(y.clone(), |y, _| step(x, &y));
            end.square().sum(..)
        });
        let numbers = |by: f64| {
            (0..n)
                .map(|k| (f64::from(k) * by).sin())
                .collect::<Vec<f64>>()
        };
        let at = || (Array::from(numbers(0.7)), Array::from(numbers(1.3)));
        for k in 0..2 {
            let gradient = |f: &Function<(Tensor, Tensor), Tensor>| match k {
                0 => f.grad().call(at()).unwrap().to_f64s(),
                _ => f.grad_of::<1>().call(at()).unwrap().to_f64s(),
            };
            let (a, b) = (gradient(&looped), gradient(&plain));
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| close(*a, b));
        }
    }
}
