//! Values and derivatives at kinks, at borders of domains and far out, against ones known by hand.

use cotangent::{Array, Error, Function, Interpolation, Tensor, control};

const INF: f64 = f64::INFINITY;
const PI: f64 = std::f64::consts::PI;

/// A function of a vector, a point, and there the sum of its value, its gradient, and its second
/// derivative in the direction of ones; an empty list where that is left open.
struct Edge {
    name: &'static str,
    body: fn(&Tensor) -> Tensor,
    at: &'static [f64],
    value: f64,
    gradient: &'static [f64],
    second: &'static [f64],
}

#[rustfmt::skip]
const EDGES: &[Edge] = &[
    Edge { name: "relu at its kink", body: |x| x.relu(), at: &[0.0, -1.0, 2.0], value: 2.0, gradient: &[0.0, 0.0, 1.0], second: &[0.0, 0.0, 0.0] },
    Edge { name: "relu6 at both ends", body: |x| x.relu6(), at: &[0.0, 6.0, 3.0], value: 9.0, gradient: &[0.0, 0.0, 1.0], second: &[0.0; 3] },
    Edge { name: "clamp on its borders", body: |x| x.clamp(0.0, 6.0), at: &[0.0, 6.0, 7.0], value: 12.0, gradient: &[1.0, 1.0, 0.0], second: &[0.0; 3] },
    Edge { name: "abs", body: |x| x.abs(), at: &[0.0, -2.0], value: 2.0, gradient: &[0.0, -1.0], second: &[0.0; 2] },
    Edge { name: "a tie of maximum", body: |x| x.maximum(1.0), at: &[1.0], value: 1.0, gradient: &[0.5], second: &[0.0] },
    Edge { name: "ties of max", body: |x| x.max(..), at: &[1.0, 3.0, 3.0], value: 3.0, gradient: &[0.0, 0.5, 0.5], second: &[0.0; 3] },
    Edge { name: "softplus at 0 and far out", body: |x| x.softplus(), at: &[0.0, 1000.0, -1000.0], value: 1000.0 + std::f64::consts::LN_2, gradient: &[0.5, 1.0, 0.0], second: &[0.25, 0.0, 0.0] },
    Edge { name: "softplus at infinity", body: |x| x.softplus(), at: &[INF, -INF], value: INF, gradient: &[1.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "log_sigmoid", body: |x| x.log_sigmoid(), at: &[0.0, 1000.0, -1000.0], value: -1000.0 - std::f64::consts::LN_2, gradient: &[0.5, 0.0, 1.0], second: &[-0.25, 0.0, 0.0] },
    Edge { name: "bce_with_logits", body: |x| x.bce_with_logits(1.0), at: &[0.0, 1000.0, -1000.0], value: 1000.0 + std::f64::consts::LN_2, gradient: &[-0.5, 0.0, -1.0], second: &[0.25, 0.0, 0.0] },
    Edge { name: "elu far out", body: |x| x.elu(1.0), at: &[1000.0, -1000.0, 0.0], value: 999.0, gradient: &[1.0, 0.0, 1.0], second: &[0.0, 0.0, 1.0] },
    Edge { name: "celu far out", body: |x| x.celu(2.0), at: &[1000.0, -2000.0], value: 998.0, gradient: &[1.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "mish far out", body: |x| x.mish(), at: &[1000.0, -1000.0], value: 1000.0, gradient: &[1.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "silu far out", body: |x| x.silu(), at: &[1000.0, -1000.0, 0.0], value: 1000.0, gradient: &[1.0, 0.0, 0.5], second: &[0.0, 0.0, 0.5] },
    Edge { name: "gelu far out", body: |x| x.gelu(), at: &[50.0, -50.0, 0.0], value: 50.0, gradient: &[1.0, 0.0, 0.5], second: &[] },
    Edge { name: "logsumexp of nothing but -inf", body: |x| x.logsumexp(..), at: &[-INF, -INF], value: -INF, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "logsumexp beside -inf", body: |x| x.logsumexp(..), at: &[-INF, 1000.0], value: 1000.0, gradient: &[0.0, 1.0], second: &[0.0, 0.0] },
    Edge { name: "softmax of nothing but -inf", body: |x| x.softmax(0), at: &[-INF, -INF], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "softmax beside -inf", body: |x| x.softmax(0).at(1), at: &[-INF, 0.0, 0.0], value: 0.5, gradient: &[0.0, 0.25, -0.25], second: &[0.0; 3] },
    Edge { name: "log_softmax beside -inf", body: |x| x.log_softmax(0).at(1), at: &[-INF, 5.0, 5.0], value: -std::f64::consts::LN_2, gradient: &[0.0, 0.5, -0.5], second: &[0.0; 3] },
    Edge { name: "cross_entropy beside -inf", body: |x| x.cross_entropy(1, 0), at: &[-INF, 5.0, 5.0], value: std::f64::consts::LN_2, gradient: &[0.0, -0.5, 0.5], second: &[0.0; 3] },
    Edge { name: "logaddexp at a tie", body: |x| x.logaddexp(0.0), at: &[0.0], value: std::f64::consts::LN_2, gradient: &[0.5], second: &[0.25] },
    Edge { name: "logaddexp of -inf and -inf", body: |x| x.at(0).logaddexp(x.at(1)), at: &[-INF, -INF], value: -INF, gradient: &[0.0, 1.0], second: &[0.0, 0.0] },
    Edge { name: "logaddexp of inf and a number", body: |x| x.at(0).logaddexp(x.at(1)), at: &[INF, 1.0], value: INF, gradient: &[1.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "xlogy at (0, 0)", body: |x| x.at(0).xlogy(x.at(1)), at: &[0.0, 0.0], value: 0.0, gradient: &[0.0, 0.0], second: &[] },
    Edge { name: "xlogy at (0, y)", body: |x| x.at(0).xlogy(x.at(1)), at: &[0.0, 2.0], value: 0.0, gradient: &[std::f64::consts::LN_2, 0.0], second: &[0.5, 0.5] },
    Edge { name: "xlog1py at (0, -1)", body: |x| x.at(0).xlog1py(x.at(1)), at: &[0.0, -1.0], value: 0.0, gradient: &[0.0, 0.0], second: &[] },
    Edge { name: "kl_div with a probability of 0", body: |x| x.kl_div(Tensor::from([0.0, 1.0])), at: &[-3.0, -2.0], value: 2.0, gradient: &[0.0, -1.0], second: &[0.0, 0.0] },
    Edge { name: "hypot at the origin", body: |x| x.at(0).hypot(x.at(1)), at: &[0.0, 0.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "hypot without overflow", body: |x| x.at(0).hypot(x.at(1)), at: &[3e200, 4e200], value: 5e200, gradient: &[0.6, 0.8], second: &[] },
    Edge { name: "norm of zeros", body: |x| x.norm(..), at: &[0.0, 0.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "p-norm of zeros", body: |x| x.norm_p(3.0, ..), at: &[0.0, 0.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "p-norm beside a zero", body: |x| x.norm_p(1.5, ..), at: &[0.0, 4.0], value: 4.0, gradient: &[0.0, 1.0], second: &[] },
    Edge { name: "p-norm below 1 beside a zero", body: |x| x.norm_p(0.5, ..), at: &[0.0, 4.0], value: 4.0, gradient: &[0.0, 1.0], second: &[] },
    Edge { name: "std of equal elements", body: |x| x.std(..), at: &[3.0, 3.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "var of equal elements", body: |x| x.var(..), at: &[3.0, 3.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "cosine_similarity of zeros", body: |x| x.cosine_similarity(x * 0.0, 0, 1e-8), at: &[0.0, 0.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "sinc at 0", body: |x| x.sinc(), at: &[0.0, 1.0], value: 1.0, gradient: &[0.0, -1.0], second: &[-PI * PI / 3.0, 2.0] },
    Edge { name: "the square at 0", body: |x| x.pow(2.0), at: &[0.0], value: 0.0, gradient: &[0.0], second: &[2.0] },
    Edge { name: "the general power at 0", body: |x| x.pow(x * 0.0 + 2.0), at: &[0.0], value: 0.0, gradient: &[0.0], second: &[] },
    Edge { name: "the power 0 at 0", body: |x| x.pow(0.0), at: &[0.0], value: 1.0, gradient: &[0.0], second: &[0.0] },
    Edge { name: "an arm that is not taken", body: |x| x.greater(0.0).select(x.sqrt().log(), x), at: &[0.0, -1.0], value: -1.0, gradient: &[1.0, 1.0], second: &[0.0, 0.0] },
    Edge { name: "a zero beside a pole", body: |x| x.sqrt() * 0.0, at: &[0.0], value: 0.0, gradient: &[0.0], second: &[0.0] },
    Edge { name: "atan2 at the origin", body: |x| x.at(0).atan2(x.at(1)), at: &[0.0, 0.0], value: 0.0, gradient: &[0.0, 0.0], second: &[0.0, 0.0] },
    Edge { name: "copysign at 0", body: |x| x.copysign(-1.0), at: &[0.0, 2.0, -2.0], value: -4.0, gradient: &[0.0, -1.0, 1.0], second: &[0.0; 3] },
    Edge { name: "stop_gradient", body: |x| x.stop_gradient() * x, at: &[3.0], value: 9.0, gradient: &[3.0], second: &[0.0] },
    Edge { name: "huber where it turns", body: |x| x.huber_loss(0.0, 1.0), at: &[1.0, -2.0], value: 2.0, gradient: &[1.0, -1.0], second: &[1.0, 0.0] },
    Edge { name: "bce_loss at certainty", body: |x| x.bce_loss(1.0), at: &[0.0, 1.0], value: 100.0, gradient: &[0.0, -1.0], second: &[] },
    Edge { name: "softsign at 0", body: |x| x.softsign(), at: &[0.0], value: 0.0, gradient: &[1.0], second: &[] },
    Edge { name: "leaky_relu at 0", body: |x| x.leaky_relu(0.1), at: &[0.0, -1.0], value: -0.1, gradient: &[0.1, 0.1], second: &[0.0, 0.0] },
    Edge { name: "nan_to_num", body: |x| x.nan_to_num(1.0, 2.0, 3.0), at: &[f64::NAN, INF, -INF, 4.0], value: 10.0, gradient: &[0.0, 0.0, 0.0, 1.0], second: &[0.0; 4] },
    Edge { name: "nansum", body: |x| x.nansum(..), at: &[f64::NAN, 2.0], value: 2.0, gradient: &[0.0, 1.0], second: &[0.0, 0.0] },
    Edge { name: "fmax beside NaN", body: |x| x.fmax(1.0), at: &[f64::NAN, 2.0], value: 3.0, gradient: &[0.0, 1.0], second: &[0.0, 0.0] },
    Edge { name: "normalize of zeros", body: |x| x.normalize(2.0, 0, 0.5), at: &[0.0, 0.0], value: 0.0, gradient: &[2.0, 2.0], second: &[0.0, 0.0] },
    Edge { name: "a root in the arm that is not taken", body: |x| x.greater(0.0).select(x.sqrt(), 0.0), at: &[0.0, 4.0], value: 2.0, gradient: &[0.0, 0.25], second: &[0.0, -1.0 / 32.0] },
    Edge { name: "log of 0 under a zero cotangent", body: |x| x.log().at(1), at: &[0.0, 2.0], value: std::f64::consts::LN_2, gradient: &[0.0, 0.5], second: &[0.0, -0.25] },
    Edge { name: "0 to the power 0, both varying", body: |x| x.at(0).pow(x.at(1)), at: &[0.0, 0.0], value: 1.0, gradient: &[0.0, 0.0], second: &[] },
    Edge { name: "sort of ties", body: |x| x.sort(0).square() * Tensor::from([1.0, 10.0, 100.0]), at: &[2.0, 1.0, 2.0], value: 441.0, gradient: &[40.0, 2.0, 400.0], second: &[20.0, 2.0, 200.0] },
    Edge { name: "sort_descending of ties", body: |x| x.sort_descending(0).square() * Tensor::from([1.0, 10.0, 100.0]), at: &[2.0, 1.0, 2.0], value: 144.0, gradient: &[4.0, 200.0, 40.0], second: &[2.0, 200.0, 20.0] },
    Edge { name: "sort of 0 and -0", body: |x| x.sort(0) * Tensor::from([1.0, 10.0]), at: &[0.0, -0.0], value: 0.0, gradient: &[1.0, 10.0], second: &[0.0; 2] },
    Edge { name: "top_k of ties", body: |x| x.top_k(1, 0).0.square(), at: &[3.0, 5.0, 5.0], value: 25.0, gradient: &[0.0, 10.0, 0.0], second: &[0.0, 2.0, 0.0] },
    Edge { name: "bottom_k of ties", body: |x| x.bottom_k(1, 0).0.square(), at: &[3.0, 5.0, 3.0], value: 9.0, gradient: &[6.0, 0.0, 0.0], second: &[2.0, 0.0, 0.0] },
    Edge { name: "kth_value of ties", body: |x| x.kth_value(2, 0).0.square(), at: &[5.0, 1.0, 5.0], value: 25.0, gradient: &[10.0, 0.0, 0.0], second: &[2.0, 0.0, 0.0] },
    Edge { name: "mode", body: |x| x.mode(0).0.square(), at: &[2.0, 1.0, 2.0], value: 4.0, gradient: &[0.0, 0.0, 4.0], second: &[0.0, 0.0, 2.0] },
    Edge { name: "cummax of ties", body: |x| x.cummax(0).square(), at: &[2.0, 1.0, 2.0, 2.0], value: 16.0, gradient: &[16.0, 0.0, 0.0, 0.0], second: &[8.0, 0.0, 0.0, 0.0] },
    Edge { name: "cummin of ties", body: |x| x.cummin(0).square(), at: &[1.0, 2.0, 1.0], value: 3.0, gradient: &[6.0, 0.0, 0.0], second: &[6.0, 0.0, 0.0] },
    Edge { name: "median of ties", body: |x| x.median(..).square(), at: &[1.0, 3.0, 3.0, 9.0], value: 9.0, gradient: &[0.0, 3.0, 3.0, 0.0], second: &[0.0, 1.0, 1.0, 0.0] },
    Edge { name: "quantile on an element", body: |x| x.quantile(0.5, .., Interpolation::Linear).square(), at: &[0.0, 10.0, 30.0], value: 100.0, gradient: &[0.0, 20.0, 0.0], second: &[0.0, 2.0, 0.0] },
    Edge { name: "median between infinities", body: |x| x.median(..), at: &[INF, INF, 1.0, INF], value: INF, gradient: &[1.0, 0.0, 0.0, 0.0], second: &[0.0; 4] },
    Edge { name: "a rotation by 0, selected", body: |x| rotate(x, false), at: &[0.0, 0.0, 0.0, 1.0, 2.0, 4.0], value: 7.0, gradient: &[-2.0, 3.0, -1.0, 1.0, 1.0, 1.0], second: &[-2.0, -0.5, 2.5, 0.0, 0.0, 0.0] },
    Edge { name: "a rotation by 0, branched", body: |x| rotate(x, true), at: &[0.0, 0.0, 0.0, 1.0, 2.0, 4.0], value: 7.0, gradient: &[-2.0, 3.0, -1.0, 1.0, 1.0, 1.0], second: &[-2.0, -0.5, 2.5, 0.0, 0.0, 0.0] },
];

/// Rodrigues' formula: the point in the last three numbers, turned around the axis in the first three
/// by the angle that is its length. At angle 0 the series to order two stands in for it; the other
/// arm divides by the angle.
fn rotate(x: &Tensor, branched: bool) -> Tensor {
    let turn = |(axis, point): (Tensor, Tensor)| {
        let angle = axis.square().sum(..).sqrt();
        let (cos, sin) = (angle.cos(), angle.sin());
        let unit = axis / angle;
        // Not by `dot`, which follows IEEE: 0 times the NaN of the arm not taken would be NaN.
        let along = (&unit * &point).sum(..) * (1.0 - &cos);
        &point * cos + unit.cross(&point, 0) * sin + unit * along
    };
    let small = |(axis, point): (Tensor, Tensor)| {
        let side = axis.cross(&point, 0);
        &point + &side + axis.cross(&side, 0) * 0.5
    };
    let arguments = (x.at(..3), x.at(3..));
    let turned = arguments.0.square().sum(..).not_equal(0.0);
    if branched {
        control::cond(&turned, turn, small, arguments)
    } else {
        turned.select(turn(arguments.clone()), small(arguments))
    }
}

#[test]
fn values_and_derivatives_are_those_known_by_hand() -> Result<(), Error> {
    for e in EDGES {
        let body = e.body;
        let f = Function::new(move |x: &Tensor| body(x).sum(..));
        let x = Array::from(e.at);
        check(e.name, "value", &f.call((x.clone(),))?, &[e.value]);
        let gradient = f.grad();
        check(
            e.name,
            "gradient",
            &gradient.call((x.clone(),))?,
            e.gradient,
        );
        if e.second.is_empty() {
            continue;
        }
        let ones = Array::from(vec![1.0; e.at.len()]);
        let (_, forward) = gradient.jvp().call(((x.clone(),), (ones,)))?;
        check(e.name, "second, forward over reverse", &forward, e.second);
        let inner = gradient.clone();
        let slope = Function::new(move |x: &Tensor| inner.apply((x.clone(),)).sum(..));
        check(
            e.name,
            "second, reverse over reverse",
            &slope.grad().call((x,))?,
            e.second,
        );
    }
    Ok(())
}

#[test]
fn nan_goes_through_what_does_not_ask_for_it() -> Result<(), Error> {
    type Body = fn(&Tensor) -> Tensor;
    let bodies: &[(&str, Body)] = &[
        ("relu", |x| x.relu()),
        ("relu6", |x| x.relu6()),
        ("softplus", |x| x.softplus()),
        ("elu", |x| x.elu(1.0)),
        ("leaky_relu", |x| x.leaky_relu(0.1)),
        ("logsumexp", |x| x.logsumexp(..)),
        ("softmax", |x| x.softmax(0)),
        ("clamp", |x| x.clamp(0.0, 1.0)),
        ("hypot", |x| x.hypot(1.0)),
        ("xlogy", |x| x.xlogy(2.0)),
        ("logaddexp", |x| x.logaddexp(1.0)),
        ("max", |x| x.max(..)),
        ("heaviside", |x| x.heaviside(0.5)),
        ("huber_loss", |x| x.huber_loss(0.0, 1.0)),
        ("norm", |x| x.norm(..)),
        ("std", |x| x.std(..)),
        ("sinc", |x| x.sinc()),
    ];
    for (name, body) in bodies {
        let y = Function::new(*body).call(([f64::NAN].into(),))?;
        assert!(y.to_f64s().iter().all(|y| y.is_nan()), "{name}: {y:?}");
    }
    Ok(())
}

#[test]
fn empty_tensors_are_ordinary() -> Result<(), Error> {
    let none = || Tensor::from(Vec::<f64>::new());
    assert_eq!(none().sum(..).item::<f64>()?, 0.0);
    assert_eq!(none().prod(..).item::<f64>()?, 1.0);
    assert_eq!(none().norm(..).item::<f64>()?, 0.0);
    assert_eq!(none().logsumexp(..).item::<f64>()?, -INF);
    assert!(none().mean(..).item::<f64>()?.is_nan());
    assert_eq!(none().softmax(0).len(), 0);
    assert_eq!((none() + 1.0).relu().len(), 0);
    let error = none()
        .max(..)
        .to_array()
        .expect_err("no largest of none")
        .to_string();
    assert!(error.contains("max: "), "{error}");
    let f = Function::new(|x: &Tensor| x.sin().sum(..));
    assert_eq!(f.grad().call((Array::from(Vec::<f64>::new()),))?.len(), 0);
    Ok(())
}

fn check(name: &str, what: &str, found: &Array, expected: &[f64]) {
    let found = found.to_f64s();
    assert_eq!(found.len(), expected.len(), "{name}: {what}");
    for (a, b) in found.iter().zip(expected) {
        let near = a == b || (a - b).abs() <= 1e-12 * (1.0 + b.abs());
        assert!(near, "{name}: {what}: {found:?} against {expected:?}");
    }
}

#[test]
fn negative_powers_of_large_and_small_f32_are_not_lost() {
    let f = Function::new(|x: &Tensor| (x.powi(-2), x.powi(-3)));
    let x = Array::from([
        1e20_f32,
        -1e20,
        3e-13,
        2.3e-13,
        0.0,
        f32::INFINITY,
        2.0,
        f32::NAN,
    ]);
    let (squares, cubes) = f.call((x.clone(),)).unwrap();
    for (k, x) in x.to_f64s().into_iter().enumerate() {
        for (found, n) in [(&squares, -2), (&cubes, -3)] {
            let (found, expected) = (found.to_f64s()[k] as f32, x.powi(n) as f32);
            let close = (found - expected).abs() <= expected.abs() * 4.0 * f32::EPSILON + 2e-45;
            let same = found == expected || (found.is_nan() && expected.is_nan());
            assert!(close || same, "{x} to the {n}: {found} for {expected}");
        }
    }
}
