//! Layers, first parameters and losses against numbers worked out by hand.

use cotangent::nn::{
    Activation, BatchNorm, BatchStatistics, Conv, Embedding, Init, LayerNorm, Linear, Mlp,
    accuracy, binary_cross_entropy, huber, mae, mse, smoothed_cross_entropy, softmax_cross_entropy,
};
use cotangent::optim::{Adam, State};
use cotangent::{Array, ConvOptions, DType, Error, Function, Key, Tensor, Tree};

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_array().unwrap().to_f64s()
}

fn assert_close(found: &[f64], expected: &[f64], limit: f64) {
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= limit, "{found:?} {expected:?}");
    }
}

fn arrays<T: Tree<Tensor>>(tree: &T) -> T::Of<Array> {
    tree.try_map::<_, Error>(Tensor::to_array).unwrap()
}

#[test]
fn dense_layers() {
    let layer = Linear {
        weight: Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        bias: Some(Tensor::from([0.5, 0.0, -0.5])),
    };
    let x = Tensor::from([[1.0, 0.0], [0.0, 2.0]]);
    assert_eq!(values(&layer.apply(&x)), [1.5, 2.0, 2.5, 8.5, 10.0, 11.5]);
    let plain = Linear {
        bias: None,
        ..layer.clone()
    };
    assert_eq!(
        values(&plain.apply(&Tensor::from([1.0, 1.0]))),
        [5.0, 7.0, 9.0]
    );

    let second = Linear {
        weight: Tensor::from([[1.0], [-1.0], [0.5]]),
        bias: None,
    };
    let mlp = Mlp {
        layers: vec![layer, second],
        activation: Activation::Relu,
    };
    let x = Tensor::from([-1.0, 0.0]);
    // Before the activation -0.5, -2, -3.5: all 0 after it.
    assert_eq!(values(&mlp.apply(&x)), [0.0]);
    assert_eq!(
        values(&mlp.apply(&Tensor::from([1.0, 0.0]))),
        [1.5 - 2.0 + 1.25]
    );
    let key = Key::new(3);
    let none = mlp.apply_dropout(&Tensor::from([1.0, 0.0]), &key, 0.0);
    assert_eq!(values(&none), [0.75]);
    let linear: Mlp<Tensor> = Mlp::init(&key, &[3], Activation::Tanh, Init::Ones, DType::F64);
    assert_eq!(
        values(&linear.apply(&Tensor::from([1.0, 2.0, 3.0]))),
        [1.0, 2.0, 3.0]
    );
}

#[test]
fn dropout_keeps_the_mean_and_follows_the_key() {
    let layer = Linear {
        weight: Tensor::ones([1, 4000], DType::F64),
        bias: None,
    };
    let sum = Linear {
        weight: Tensor::full([4000, 1], 1.0 / 4000.0),
        bias: None,
    };
    let mlp = Mlp {
        layers: vec![layer, sum],
        activation: Activation::Identity,
    };
    let x = Tensor::from([1.0]);
    let mean = |seed: u64| values(&mlp.apply_dropout(&x, &Key::new(seed), 0.5))[0];
    // A deviation of 1 / sqrt(4000).
    assert!((mean(0) - 1.0).abs() < 0.08);
    assert_eq!(mean(1), mean(1));
    assert_ne!(mean(1), mean(2));
}

#[test]
fn first_parameters_have_the_variance_they_promise() {
    let (fan_in, fan_out) = (60, 100);
    let cases = [
        (Init::Uniform(0.3), 0.03, Some(0.3)),
        (Init::Normal(0.5), 0.25, None),
        (
            Init::GlorotUniform,
            2.0 / 160.0,
            Some((6.0f64 / 160.0).sqrt()),
        ),
        (Init::GlorotNormal, 2.0 / 160.0, None),
        (Init::HeUniform, 2.0 / 60.0, Some((6.0f64 / 60.0).sqrt())),
        (Init::HeNormal, 2.0 / 60.0, None),
        (Init::LecunUniform, 1.0 / 60.0, Some((3.0f64 / 60.0).sqrt())),
        (Init::LecunNormal, 1.0 / 60.0, None),
    ];
    for (init, variance, limit) in cases {
        let draw = |seed: u64, dtype| {
            values(&init.draw(&Key::new(seed), [fan_in, fan_out], fan_in, fan_out, dtype))
        };
        let x = draw(1, DType::F64);
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let found = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!(
            mean.abs() < 4.0 * (variance / n).sqrt(),
            "{init:?}: mean {mean}"
        );
        assert!(
            (found / variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(),
            "{init:?}: {found}, not {variance}"
        );
        if let Some(limit) = limit {
            let largest = x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert!(
                largest <= limit && largest > 0.99 * limit,
                "{init:?}: {largest}, not {limit}"
            );
        }
        assert_eq!(x, draw(1, DType::F64));
        assert_ne!(x, draw(2, DType::F64));
        assert_eq!(draw(1, DType::F32).len(), x.len());
    }
    assert_eq!(
        values(&Init::Ones.draw(&Key::new(0), [2], 1, 1, DType::F32)),
        [1.0, 1.0]
    );
    assert_eq!(
        values(&Init::Zeros.draw(&Key::new(0), [2], 0, 0, DType::F64)),
        [0.0, 0.0]
    );
}

#[test]
fn convolutions_in_one_two_and_three_dimensions() {
    let one = Conv {
        kernel: Tensor::from([[[1.0, -1.0]], [[2.0, 0.0]]]),
        bias: Some(Tensor::from([0.0, 10.0])),
        options: ConvOptions::default(),
    };
    let x = Tensor::from([[[1.0, 2.0, 4.0]]]);
    assert_eq!(values(&one.apply(&x)), [-1.0, -2.0, 12.0, 14.0]);
    for window in [vec![3], vec![3, 2], vec![1, 2, 3]] {
        let options = ConvOptions::default().padding(1).groups(2);
        let layer = Conv::init(
            &Key::new(1),
            4,
            6,
            &window,
            options,
            Init::HeNormal,
            DType::F32,
        );
        let area: usize = window.iter().product();
        assert_eq!(layer.kernel.len(), 6 * 2 * area);
        let sizes: Vec<usize> = window.iter().map(|_| 5).collect();
        let y = layer.apply(&Tensor::ones([&[2, 4], &sizes[..]].concat(), DType::F32));
        let expected: Vec<usize> = window.iter().map(|w| 5 + 2 - w + 1).collect();
        assert_eq!(y.shape().dims(), [&[2, 6], &expected[..]].concat());
        assert!(values(&y).iter().all(|y| y.is_finite()));
    }
}

#[test]
fn embeddings_pick_rows() {
    let layer = Embedding {
        table: Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    };
    let y = layer.apply(&Tensor::from([[2i64, 0]]));
    assert_eq!(y.shape().dims(), [1, 2, 2]);
    assert_eq!(values(&y), [5.0, 6.0, 1.0, 2.0]);
    assert_eq!(
        Embedding::init(&Key::new(0), 5, 3, DType::F64)
            .table
            .shape()
            .dims(),
        [5, 3]
    );
}

#[test]
fn normalising_layers() {
    let x = Tensor::from([[1.0, 3.0], [10.0, 10.0]]);
    let layer = LayerNorm {
        scale: Tensor::from([2.0, 1.0]),
        offset: Tensor::from([0.0, 1.0]),
    };
    assert_close(&values(&layer.apply(&x)), &[-2.0, 2.0, 0.0, 1.0], 1e-4);

    let x = Tensor::from([[[1.0, 3.0], [5.0, 5.0]], [[1.0, 3.0], [5.0, 5.0]]]);
    let layer = BatchNorm {
        scale: Tensor::from([1.0, 1.0]),
        offset: Tensor::from([0.0, 7.0]),
    };
    let before = BatchStatistics::init(2, DType::F64);
    let (y, after) = layer.apply_training(&x, &before, 0.9);
    assert_close(
        &values(&y),
        &[-1.0, 1.0, 7.0, 7.0, -1.0, 1.0, 7.0, 7.0],
        1e-4,
    );
    assert_close(&values(&after.mean), &[0.2, 0.5], 1e-12);
    // The variance of a sample of 4: 4/3.
    assert_close(
        &values(&after.variance),
        &[0.9 + 0.1 * 4.0 / 3.0, 0.9],
        1e-12,
    );
    let fixed = BatchStatistics {
        mean: Tensor::from([1.0, 5.0]),
        variance: Tensor::from([4.0, 1.0]),
    };
    let y = layer.apply(&x, &fixed);
    assert_close(&values(&y), &[0.0, 1.0, 7.0, 7.0, 0.0, 1.0, 7.0, 7.0], 1e-4);
}

#[test]
fn losses() {
    let logits = Tensor::from([[0.0, 2f64.ln()], [3f64.ln(), 0.0]]);
    let labels = Tensor::from([1i64, 1]);
    // Probabilities 1/3, 2/3 and 3/4, 1/4.
    let sharp = (1.5f64.ln() + 4f64.ln()) / 2.0;
    assert_close(
        &values(&softmax_cross_entropy(&logits, &labels)),
        &[sharp],
        1e-14,
    );
    let even = (3f64.ln() + 1.5f64.ln() + (4.0f64 / 3.0).ln() + 4f64.ln()) / 4.0;
    let smoothed = smoothed_cross_entropy(&logits, &labels, 0.1);
    assert_close(&values(&smoothed), &[0.9 * sharp + 0.1 * even], 1e-14);
    assert_eq!(values(&accuracy(&logits, &labels)), [0.5]);
    assert_eq!(values(&accuracy(&logits, &Tensor::from([1i32, 0]))), [1.0]);

    let (x, y) = (Tensor::from([1.0, 4.0]), Tensor::from([0.5, 1.0]));
    assert_eq!(values(&mse(&x, &y)), [(0.25 + 9.0) / 2.0]);
    assert_eq!(values(&mae(&x, &y)), [1.75]);
    assert_eq!(values(&huber(&x, &y, 1.0)), [(0.125 + 2.5) / 2.0]);
    let (x, t) = (
        Tensor::from([0.0, 1000.0, -1000.0]),
        Tensor::from([1.0, 1.0, 0.5]),
    );
    assert_close(
        &values(&binary_cross_entropy(&x, &t)),
        &[(2f64.ln() + 500.0) / 3.0],
        1e-12,
    );
}

#[test]
fn activations_have_the_values_of_their_formulas() {
    let x = Tensor::from([-1.0, 0.0, 2.0]);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // The normal distribution function at -1 and 2.
    let (low, high) = (0.158_655_253_931_457_05, 0.977_249_868_051_820_8);
    for activation in Activation::ALL {
        let expected = match activation {
            Activation::Relu => [0.0, 0.0, 2.0],
            Activation::LeakyRelu => [-0.01, 0.0, 2.0],
            Activation::Elu => [(-1f64).exp_m1(), 0.0, 2.0],
            Activation::Gelu => [-low, 0.0, 2.0 * high],
            Activation::Silu => [-sigmoid(-1.0), 0.0, 2.0 * sigmoid(2.0)],
            Activation::Softplus => [-1.0, 0.0, 2.0].map(|x: f64| x.exp().ln_1p()),
            Activation::Sigmoid => [-1.0, 0.0, 2.0].map(sigmoid),
            Activation::Tanh => [(-1f64).tanh(), 0.0, 2f64.tanh()],
            _ => [-1.0, 0.0, 2.0],
        };
        assert_close(&values(&activation.apply(&x)), &expected, 1e-12);
    }
}

#[test]
fn gradients_of_a_network_match_differences() {
    let loss = Function::new(
        |model: &Mlp<Tensor>, x: &Tensor, labels: &Tensor, key: &Key| {
            smoothed_cross_entropy(&model.apply_dropout(x, key, 0.25), labels, 0.1)
        },
    );
    let model = Mlp::init(
        &Key::new(5),
        &[3, 4, 2],
        Activation::Silu,
        Init::HeNormal,
        DType::F64,
    );
    let model = arrays(&model);
    let x = Array::from([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]);
    let labels = Array::from([1i64, 0]);
    let call = |model: Mlp<Array>| {
        let value = loss
            .call((model, x.clone(), labels.clone(), Key::new(9)))
            .unwrap();
        value.item::<f64>().unwrap()
    };
    let gradient = loss
        .grad()
        .call((model.clone(), x.clone(), labels.clone(), Key::new(9)))
        .unwrap();
    let h = 1e-6;
    let mut checked = 0;
    for (leaf, slope) in gradient.leaves().into_iter().enumerate() {
        for at in 0..slope.len() {
            let moved = |h: f64| {
                let mut leaves: Vec<Array> = model.leaves().into_iter().cloned().collect();
                leaves[leaf].as_mut_slice::<f64>().unwrap()[at] += h;
                call(model.with_leaves(leaves).unwrap())
            };
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((difference - slope.to_f64s()[at]).abs() < 1e-8);
            checked += 1;
        }
    }
    assert_eq!(checked, 3 * 4 + 4 + 4 * 2 + 2);
}

#[test]
fn a_network_learns_exclusive_or() {
    let x = Array::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let labels = Array::from([0i64, 1, 1, 0]);
    let adam = Adam::default();
    let loss = Function::new(|model: &Mlp<Tensor>, x: &Tensor, labels: &Tensor| {
        softmax_cross_entropy(&model.apply(x), labels)
    });
    let gradient = loss.value_and_grad();
    let step = Function::new(
        move |model: &Mlp<Tensor>, state: &State<Tensor>, x: &Tensor, labels: &Tensor| {
            let (value, slope) = gradient.apply((model.clone(), x.clone(), labels.clone()));
            let (model, state) = adam.update(model, &slope, state, &Tensor::scalar(0.05));
            (model, state, value)
        },
    );
    let first = Mlp::init(
        &Key::new(1),
        &[2, 8, 2],
        Activation::Tanh,
        Init::GlorotUniform,
        DType::F64,
    );
    let mut model = arrays(&first);
    let mut state = adam.init(&model).unwrap();
    let mut last = f64::INFINITY;
    for _ in 0..200 {
        let value;
        (model, state, value) = step
            .call((model, state, x.clone(), labels.clone()))
            .unwrap();
        last = value.item().unwrap();
    }
    assert!(last < 0.02, "{last}");
}

#[test]
fn wrong_shapes_name_the_callers_line() {
    let f = Function::new(|model: &Mlp<Tensor>, x: &Tensor| model.apply(x));
    let model = arrays(&Mlp::init(
        &Key::new(0),
        &[3, 2],
        Activation::Relu,
        Init::Zeros,
        DType::F64,
    ));
    let error = f
        .call((model, Array::from([[1.0, 2.0]])))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tests/nn.rs:") && error.contains("matmul"),
        "{error}"
    );
}
