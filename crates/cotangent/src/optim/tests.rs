//! Steps against the formulas, written out for plain numbers.

use super::*;
use crate::Function;

const RATE: f64 = 0.1;
const STEPS: usize = 5;

/// The gradients of the steps: of a cost that is not the same in every direction.
fn gradient(p: &[f64]) -> Vec<f64> {
    p.iter()
        .enumerate()
        .map(|(i, p)| (i + 1) as f64 * p + 0.1)
        .collect()
}

/// Runs an optimiser for some steps in a traced function, on two leaves and one that is no float.
fn run<U>(state: State<Array>, update: U) -> Vec<f64>
where
    U: Fn(
            &Params<Tensor>,
            &Params<Tensor>,
            &State<Tensor>,
            &Tensor,
        ) -> (Params<Tensor>, State<Tensor>)
        + Send
        + Sync
        + 'static,
{
    let step = Function::new(
        move |p: &Params<Tensor>, g: &Params<Tensor>, s: &State<Tensor>, rate: &Tensor| {
            update(p, g, s, rate)
        },
    );
    let (mut params, mut state) = (start(), state);
    for _ in 0..STEPS {
        let g = gradient(&values(&params));
        let g = Params {
            a: Array::from([g[0], g[1]]),
            b: vec![Array::from(g[2]).convert(DType::F32), Array::from(0i64)],
        };
        (params, state) = step.call((params, g, state, Array::from(RATE))).unwrap();
    }
    assert_eq!(state.step, Array::from(STEPS as i64));
    assert_eq!(params.b[1], Array::from(7i64));
    values(&params)
}

#[derive(Clone, Tree)]
struct Params<T> {
    a: T,
    b: Vec<T>,
}

fn start() -> Params<Array> {
    Params {
        a: Array::from([1.0, -2.0]),
        b: vec![Array::from(0.5f32), Array::from(7i64)],
    }
}

fn values(params: &Params<Array>) -> Vec<f64> {
    [params.a.to_f64s(), params.b[0].to_f64s()].concat()
}

/// The same steps by a rule for one number: p, g, two numbers that are remembered, and the step from 1.
fn expected(rule: impl Fn(&mut f64, f64, &mut [f64; 2], i32)) -> Vec<f64> {
    let mut p = vec![1.0, -2.0, 0.5];
    let mut memory = [[0.0; 2]; 3];
    for step in 1..=STEPS as i32 {
        let g = gradient(&p);
        for ((p, g), memory) in p.iter_mut().zip(g).zip(&mut memory) {
            rule(p, g, memory, step);
        }
    }
    p
}

fn assert_close(found: &[f64], expected: &[f64]) {
    // The last number is an f32.
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let limit = if i == 2 { 1e-5 } else { 1e-13 };
        assert!((a - b).abs() <= limit, "{found:?} {expected:?}");
    }
}

#[test]
fn sgd() {
    for (momentum, nesterov, weight_decay) in [
        (0.0, false, 0.0),
        (0.9, false, 0.0),
        (0.9, true, 0.01),
        (0.0, true, 0.1),
    ] {
        let sgd = Sgd {
            momentum,
            nesterov,
            weight_decay,
        };
        let found = run(sgd.init(&start()).unwrap(), move |p, g, s, rate| {
            sgd.update(p, g, s, rate)
        });
        let expected = expected(|p, g, [v, _], _| {
            let g = g + weight_decay * *p;
            *v = momentum * *v + g;
            *p -= RATE * if nesterov { g + momentum * *v } else { *v };
        });
        assert_close(&found, &expected);
    }
}

#[test]
fn adam() {
    for weight_decay in [0.0, 0.1] {
        let adam = Adam {
            weight_decay,
            ..Adam::default()
        };
        let found = run(adam.init(&start()).unwrap(), move |p, g, s, rate| {
            adam.update(p, g, s, rate)
        });
        let expected = expected(|p, g, [m, v], step| {
            let g = g + weight_decay * *p;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let (m, v) = (
                *m / (1.0 - 0.9f64.powi(step)),
                *v / (1.0 - 0.999f64.powi(step)),
            );
            *p -= RATE * m / (v.sqrt() + 1e-8);
        });
        assert_close(&found, &expected);
    }
}

#[test]
fn adamw() {
    for weight_decay in [0.0, 0.1] {
        let adamw = AdamW {
            weight_decay,
            ..AdamW::default()
        };
        let found = run(adamw.init(&start()).unwrap(), move |p, g, s, rate| {
            adamw.update(p, g, s, rate)
        });
        let expected = expected(|p, g, [m, v], step| {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let (m, v) = (
                *m / (1.0 - 0.9f64.powi(step)),
                *v / (1.0 - 0.999f64.powi(step)),
            );
            *p -= RATE * weight_decay * *p;
            *p -= RATE * m / (v.sqrt() + 1e-8);
        });
        assert_close(&found, &expected);
    }
}

#[test]
fn rmsprop() {
    for momentum in [0.0, 0.9] {
        let rmsprop = RmsProp {
            momentum,
            weight_decay: 0.01,
            ..RmsProp::default()
        };
        let found = run(rmsprop.init(&start()).unwrap(), move |p, g, s, rate| {
            rmsprop.update(p, g, s, rate)
        });
        let expected = expected(|p, g, [u, v], _| {
            let g = g + 0.01 * *p;
            *v = 0.99 * *v + 0.01 * g * g;
            *u = momentum * *u + g / (v.sqrt() + 1e-8);
            *p -= RATE * *u;
        });
        assert_close(&found, &expected);
    }
}

#[test]
fn clipping() {
    let gradients = vec![
        Tensor::from([3.0, 0.0]),
        Tensor::from([4.0f32]),
        Tensor::from([9i64]),
    ];
    let (clipped, norm) = clip_by_global_norm(&gradients, 2.5);
    assert_eq!(norm.item::<f64>().unwrap(), 5.0);
    let found: Vec<Array> = clipped.iter().map(|t| t.to_array().unwrap()).collect();
    assert_eq!(
        found,
        [
            Array::from([1.5, 0.0]),
            Array::from([2.0f32]),
            Array::from([9i64])
        ]
    );
    let (same, _) = clip_by_global_norm(&gradients, 5.0);
    assert_eq!(same[0].to_array().unwrap(), Array::from([3.0, 0.0]));
    let (zero, norm) = clip_by_global_norm(&Tensor::from([0.0]), 1.0);
    assert_eq!(
        (zero.to_array().unwrap(), norm.item::<f64>().unwrap()),
        (Array::from([0.0]), 0.0)
    );
    let bounded = clip_by_value(&gradients, 1.0);
    assert_eq!(bounded[0].to_array().unwrap(), Array::from([1.0, 0.0]));
    assert_eq!(bounded[2].to_array().unwrap(), Array::from([9i64]));
}

#[test]
fn trees_that_do_not_belong_together_are_errors() {
    let sgd = Sgd {
        momentum: 0.9,
        ..Sgd::default()
    };
    let step = Function::new(move |p: &Vec<Tensor>, g: &Vec<Tensor>, s: &State<Tensor>| {
        sgd.update(p, g, s, &Tensor::scalar(0.1))
    });
    let (one, two) = (Array::from([1.0]), Array::from([1.0, 2.0]));
    let state = sgd.init(&vec![one.clone()]).unwrap();
    let error = |p: &[&Array], g: &[&Array]| {
        let own = |list: &[&Array]| -> Vec<Array> { list.iter().map(|x| (*x).clone()).collect() };
        step.call((own(p), own(g), state.clone()))
            .unwrap_err()
            .to_string()
    };
    let found = error(&[&one], &[]);
    assert!(
        found.contains("sgd: expected a gradient for each of 1 parameters, found 0"),
        "{found}"
    );
    assert!(found.contains("tests.rs:"), "{found}");
    let found = error(&[&one], &[&two]);
    assert!(
        found.contains("expected a gradient f64[1], found f64[2]"),
        "{found}"
    );
    let found = error(&[&one, &two], &[&one, &two]);
    assert!(
        found.contains("expected a state of 2 parameters, found one of 1"),
        "{found}"
    );
}
