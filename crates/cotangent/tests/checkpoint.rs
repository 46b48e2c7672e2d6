//! Checkpoints: the same values and derivatives, bit for bit, from less memory.

mod common;

use common::numbers;
use cotangent::{Array, Function, Key, Tensor, bernoulli, control};

type Network = Function<(Vec<Tensor>, Tensor, Key), Tensor>;

/// Layers with dropout and a residual connection, each behind a checkpoint or not.
fn network(checkpoint: bool) -> Network {
    Function::new(move |weights: &Vec<Tensor>, x: &Tensor, key: &Key| {
        let mut h = x.clone();
        for (w, key) in weights.iter().zip(key.split_many(weights.len())) {
            let layer = |(h, key): (Tensor, Key)| {
                let y = (h.dot(w) * 1.5 + 0.1).tanh();
                let y = (&y * &y).exp() * y.sin();
                let keep = bernoulli(&key, 0.8, [64, 16]);
                keep.select(y * 1.25, 0.0) + h
            };
            h = match checkpoint {
                true => control::checkpoint(layer, (h, key)),
                false => layer((h, key)),
            };
        }
        h.square().sum(..)
    })
}

fn arguments() -> (Vec<Array>, Array, Key<Array>) {
    let weights = (0..12).map(|k| numbers(&[16, 16], 5 + k)).collect();
    (weights, numbers(&[64, 16], 3), Key::new(11))
}

#[test]
fn values_and_gradients_are_the_same_bits_from_less_memory() {
    let at = arguments();
    let (plain, less) = (network(false), network(true));
    assert_eq!(
        plain.call(at.clone()).unwrap(),
        less.call(at.clone()).unwrap()
    );
    let (plain, less) = (plain.value_and_grad(), less.value_and_grad());
    assert_eq!(
        plain.call(at.clone()).unwrap(),
        less.call(at.clone()).unwrap()
    );
    let bytes = |f: &Function<_, _>| f.trace(&at).unwrap().memory().unwrap().bytes;
    let (whole, part) = (bytes(&plain), bytes(&less));
    assert!(part < whole * 2 / 3, "{part} of {whole}");
}

#[test]
fn every_derivative_goes_through() {
    let layer = |x: Tensor| (&x * x.sin()).cumsum(0).tanh();
    let plain = Function::new(move |x: &Tensor| (layer(layer(x.clone())) * x).sum(..));
    let less = Function::new(move |x: &Tensor| {
        let inner = |x: Tensor| control::checkpoint(layer, x);
        (control::checkpoint(|x| inner(inner(x)), x.clone()) * x).sum(..)
    });
    let x = numbers(&[6], 2);
    let close = |a: Array, b: Array| {
        let (a, b) = (a.to_vec::<f64>().unwrap(), b.to_vec::<f64>().unwrap());
        assert_eq!(a.len(), b.len());
        assert!(
            a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12),
            "{a:?} {b:?}"
        );
    };
    close(
        plain.grad().call((x.clone(),)).unwrap(),
        less.grad().call((x.clone(),)).unwrap(),
    );
    close(
        plain.hessian().call((x.clone(),)).unwrap(),
        less.hessian().call((x.clone(),)).unwrap(),
    );
    let third = |f: &Function<(Tensor,), Tensor>| {
        let g = f.grad().jvp();
        let h = Function::new(move |x: &Tensor| g.apply(((x.clone(),), (x.sin(),))).1.sum(..));
        h.grad().call((x.clone(),)).unwrap()
    };
    close(third(&plain), third(&less));
    // Over a batch, and along a loop that is itself differentiated.
    let batch = numbers(&[3, 6], 8);
    close(
        plain.grad().vmap().call((batch.clone(),)).unwrap(),
        less.grad().vmap().call((batch,)).unwrap(),
    );
    let looped = |checkpoint: bool| {
        Function::new(move |x: &Tensor| {
            let step = move |_: Tensor, x: Tensor| match checkpoint {
                true => control::checkpoint(layer, x),
                false => layer(x),
            };
            control::fori_loop(5, step, x.clone()).sum(..)
        })
    };
    close(
        looped(false).hessian().call((x.clone(),)).unwrap(),
        looped(true).hessian().call((x.clone(),)).unwrap(),
    );
    let report = looped(true).verify((x,)).unwrap();
    assert!(report.into_result().is_ok());
}

#[test]
fn loops_branches_and_tensors_from_around_stand_inside() {
    let f = |checkpoint: bool| {
        Function::new(move |both: &(Tensor, Tensor)| {
            let (x, w) = (&both.0, &both.1);
            let part = |x: Tensor| {
                let grown = control::fori_loop(3, |_, y: Tensor| (y * w).sin() + w, x.clone());
                let far = grown.sum(..).greater(0.0);
                let grown = control::cond(&far, |y: Tensor| y.exp(), |y: Tensor| -y, grown);
                let small = |y: &Tensor| y.square().sum(..).greater(0.1);
                control::while_loop(small, |y: Tensor| y * 0.5, grown + x)
            };
            let y = match checkpoint {
                true => control::checkpoint(part, x.clone()),
                false => part(x.clone()),
            };
            (y * w).sum(..)
        })
        .grad()
    };
    let at = ((numbers(&[4], 1), numbers(&[4], 2)),);
    assert_eq!(
        f(true).call(at.clone()).unwrap(),
        f(false).call(at).unwrap()
    );
}

#[test]
fn named_values_are_kept_where_a_checkpoint_says_so() {
    let f = |names: &'static [&'static str]| {
        Function::new(move |x: &Tensor| {
            let part = |x: Tensor| {
                let dear = control::name("dear one", &x.sin().exp());
                let other = control::name("other", &(&dear * &dear).cos());
                (other * dear).tanh()
            };
            let first = control::checkpoint_keeping(names.iter().copied(), part, x.clone());
            control::checkpoint_keeping(names.iter().copied(), part, first).sum(..)
        })
    };
    let x = numbers(&[40], 3);
    let counts = |names: &'static [&'static str]| {
        let text = f(names).grad().graph(&(x.clone(),)).unwrap().to_string();
        (
            text.matches("= exp(").count(),
            text.matches("= cos(").count(),
        )
    };
    // A value that is kept is computed once, on the way there; all else twice.
    let (none, dear) = (counts(&[]), counts(&["dear one"]));
    assert!(none.0 > dear.0, "{none:?} {dear:?}");
    assert!(dear.1 > counts(&["dear one", "other"]).1, "{dear:?}");
    let at = (x.clone(),);
    let expected = f(&[]).grad().call(at.clone()).unwrap();
    const CHOICES: [&[&str]; 4] = [
        &["dear one"],
        &["other"],
        &["other", "dear one"],
        &["absent"],
    ];
    for names in CHOICES {
        assert_eq!(
            f(names).grad().call(at.clone()).unwrap(),
            expected,
            "{names:?}"
        );
        let hessian = f(names).hessian().call(at.clone()).unwrap();
        assert_eq!(hessian.shape().dims(), [40, 40]);
    }
    // Names alone change nothing.
    let plain = Function::new(|x: &Tensor| control::name("y", &x.sin()).exp().sum(..));
    let same = Function::new(|x: &Tensor| x.sin().exp().sum(..));
    assert_eq!(
        plain.grad().call(at.clone()).unwrap(),
        same.grad().call(at).unwrap()
    );
}

#[test]
fn mistakes_inside_name_their_line() {
    let f = Function::new(|x: &Tensor| {
        control::checkpoint(|x: Tensor| x.dot(&x.reshape([3, 1])), x.clone())
    });
    let error = f.call((Array::from([1.0, 2.0]),)).unwrap_err().to_string();
    assert!(error.contains("checkpoint.rs:"), "{error}");
}
