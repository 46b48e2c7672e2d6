//! Checkpoints: the same values and derivatives, bit for bit, from less memory.

mod common;

use common::numbers;
use cotangent::{Array, Function, Key, Tensor, bernoulli, control};
use cotangent_compile::{Target, compile};

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

/// Operations in an order drawn from a seed, on what is there by then; the first of the two results is
/// handed on.
fn drawn(seed: u64, inputs: &[Tensor], key: &Key) -> (Tensor, Tensor) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut pool = inputs.to_vec();
    for _ in 0..14 {
        // What came last is read more often.
        let [x, y] = [0, 1].map(|_| {
            let last = pool.len() - 1 - below(pool.len().min(4));
            pool[if below(2) == 0 {
                last
            } else {
                below(pool.len())
            }]
            .clone()
        });
        pool.push(match below(9) {
            0..=2 => x * y,
            3 | 4 => x + y,
            5 => x - y,
            6 => x.sin(),
            7 => bernoulli(key, 0.7, [33]).select(x * 1.25, 0.0),
            _ => x.tanh(),
        });
    }
    let other = pool[pool.len() - 1 - below(8)].clone();
    // Something always comes back to the first input, so that no cotangent is known to be zero.
    ((&pool[pool.len() - 1] * &inputs[0]).tanh(), other)
}

#[test]
fn no_gradient_changes_a_bit_whatever_reads_its_products() {
    let at = (
        (0..8).map(|k| numbers(&[33], 40 + k)).collect::<Vec<_>>(),
        Key::new(5),
    );
    for seed in 0..300 {
        let network = |checkpoint: bool| {
            Function::new(move |given: &Vec<Tensor>, key: &Key| {
                let mut h = given[0].clone();
                let mut sums: Option<Tensor> = None;
                // Every second network reads the same weights in all parts, so that their cotangents
                // come from everywhere.
                let weights = |k: usize| {
                    if seed % 2 == 0 {
                        &given[2..4]
                    } else {
                        &given[2 + 2 * k..]
                    }
                };
                for (k, key) in key.split_many(3).into_iter().enumerate() {
                    let w = weights(k);
                    let part = |(inputs, key): (Vec<Tensor>, Key)| {
                        drawn(3 * seed + k as u64, &inputs, &key)
                    };
                    let inputs = vec![h, w[0].clone(), w[1].clone()];
                    // The gradient wants the second result's derivative alone, not its value.
                    let (next, other) = match checkpoint {
                        true => control::checkpoint(part, (inputs, key)),
                        false => part((inputs, key)),
                    };
                    let other = (other * &given[1]).sum(..);
                    sums = Some(sums.map_or(other.clone(), |sums| sums + other));
                    h = next;
                }
                (h * &given[1]).sum(..) + sums.unwrap_or_else(|| given[1].sum(..))
            })
        };
        let (plain, less) = (network(false), network(true));
        assert_eq!(
            plain.grad().call(at.clone()).unwrap(),
            less.grad().call(at.clone()).unwrap(),
            "seed {seed}"
        );
        assert_eq!(
            plain.value_and_grad().call(at.clone()).unwrap(),
            less.value_and_grad().call(at.clone()).unwrap(),
            "seed {seed}, with the value"
        );
    }
}

#[test]
fn a_product_with_a_reader_inside_and_one_outside_is_rounded_as_it_was() {
    let f = |checkpoint: bool| {
        Function::new(move |x: &Tensor, w: &Tensor| {
            let part = |x: Tensor| {
                let product = &x * w;
                // The way back reads the cosine of this sum, and no more of the product.
                ((&product + 0.3).sin(), product)
            };
            let (y, product) = match checkpoint {
                true => control::checkpoint(part, x.clone()),
                false => part(x.clone()),
            };
            (y * product.cos()).sum(..)
        })
    };
    let at = (numbers(&[500], 1), numbers(&[500], 2));
    let (plain, less) = (f(false), f(true));
    let gradient = |f: &Function<_, _>| f.grad().call(at.clone()).unwrap();
    assert_eq!(gradient(&plain), gradient(&less));
}

#[test]
fn a_product_that_is_kept_by_name_is_rounded_as_it_was() {
    let f = |keep: Option<&'static str>| {
        Function::new(move |x: &Tensor, w: &Tensor| {
            let part = |x: Tensor| {
                let product = control::name("product", &(&x * w));
                ((&product + 0.3).sin() * 3.0 + product.cos(), product)
            };
            let (y, product) = match keep {
                None => part(x.clone()),
                Some(name) => control::checkpoint_keeping([name], part, x.clone()),
            };
            (y.square() * product).sum(..)
        })
        .grad()
    };
    let at = (numbers(&[50], 1), numbers(&[50], 2));
    let expected = f(None).call(at.clone()).unwrap();
    for name in ["product", "nothing"] {
        assert_eq!(f(Some(name)).call(at.clone()).unwrap(), expected, "{name}");
    }
}

/// The bytes that the gradient of a function of one array holds, and the gradient.
fn gradient(f: Function<(Tensor,), Tensor>, x: &Array) -> (usize, Array) {
    let at = (x.clone(),);
    let bytes = f.grad().trace(&at).unwrap().memory().unwrap().bytes;
    (bytes, f.grad().call(at).unwrap())
}

fn layer(x: Tensor) -> Tensor {
    ((&x * 1.5 + 0.25).sin().exp() * x.cos()).tanh() * &x.sin() + x
}

#[test]
fn what_checkpoints_hold_inside_of_others_runs_again_twice() {
    let x = numbers(&[4000], 7);
    let four = |x: Tensor| (0..4).fold(x, |x, _| layer(x).cumsum(0) * 0.01);
    let inner = |x: Tensor| {
        (0..4).fold(x, |x, _| {
            control::checkpoint(|x| layer(x).cumsum(0) * 0.01, x)
        })
    };
    let plain = gradient(
        Function::new(move |x: &Tensor| (0..4).fold(x.clone(), |x, _| four(x)).sum(..)),
        &x,
    );
    let outer = gradient(
        Function::new(move |x: &Tensor| {
            (0..4)
                .fold(x.clone(), |x, _| control::checkpoint(four, x))
                .sum(..)
        }),
        &x,
    );
    let both = gradient(
        Function::new(move |x: &Tensor| {
            (0..4)
                .fold(x.clone(), |x, _| control::checkpoint(inner, x))
                .sum(..)
        }),
        &x,
    );
    assert_eq!(plain.1, outer.1);
    assert_eq!(plain.1, both.1);
    assert!(outer.0 < plain.0 / 2, "{} of {}", outer.0, plain.0);
    assert!(both.0 < outer.0, "{} of {}", both.0, outer.0);
}

#[test]
fn a_loop_keeps_the_states_alone_of_a_body_behind_a_checkpoint() {
    let x = numbers(&[4000], 7);
    let looped = |checkpoint: bool| {
        Function::new(move |x: &Tensor| {
            let step = |_: Tensor, x: Tensor| match checkpoint {
                true => control::checkpoint(layer, x),
                false => layer(x),
            };
            control::fori_loop(30, step, x.clone()).square().sum(..)
        })
    };
    let (plain, less) = (gradient(looped(false), &x), gradient(looped(true), &x));
    assert_eq!(plain.1, less.1);
    assert!(less.0 < plain.0 / 2, "{} of {}", less.0, plain.0);
    // The loop of a function that is called keeps what it kept.
    let twice = |checkpoint: bool| {
        let f = looped(checkpoint);
        let g = f.grad();
        Function::new(move |x: &Tensor| (g.apply((x * 0.5,)) * x).sum(..))
    };
    assert_eq!(gradient(twice(false), &x).1, gradient(twice(true), &x).1);
}

#[test]
fn a_budget_may_keep_what_a_checkpoint_would_not() {
    let x = numbers(&[1000], 7);
    let f = |checkpoint: bool| {
        Function::new(move |x: &Tensor| {
            let step = |x: Tensor, _| match checkpoint {
                true => control::checkpoint(|x| layer(x).cumsum(0) * 0.01, x),
                false => layer(x).cumsum(0) * 0.01,
            };
            (0..6).fold(x.clone(), step).sum(..)
        })
    };
    let (plain, less) = (gradient(f(false), &x), gradient(f(true), &x));
    assert_eq!(plain.1, less.1);
    // Less than the checkpoints take by themselves.
    let budget = less.0 * 19 / 20;
    let within = |f: Function<(Tensor,), Tensor>| f.grad().with_memory_budget(budget);
    let at = (x.clone(),);
    for checkpoint in [false, true] {
        let f = within(f(checkpoint));
        assert!(f.trace(&at).unwrap().memory().unwrap().bytes <= budget);
        assert_eq!(f.call(at.clone()).unwrap(), plain.1);
    }
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
    let same = |a: Array, b: Array| assert_eq!(a, b);
    same(
        plain.grad().call((x.clone(),)).unwrap(),
        less.grad().call((x.clone(),)).unwrap(),
    );
    same(
        plain.hessian().call((x.clone(),)).unwrap(),
        less.hessian().call((x.clone(),)).unwrap(),
    );
    let third = |f: &Function<(Tensor,), Tensor>| {
        let g = f.grad().jvp();
        let h = Function::new(move |x: &Tensor| g.apply(((x.clone(),), (x.sin(),))).1.sum(..));
        h.grad().call((x.clone(),)).unwrap()
    };
    same(third(&plain), third(&less));
    // Over a batch, and along a loop that is itself differentiated.
    let batch = numbers(&[3, 6], 8);
    same(
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
    same(
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
        let graph = f(names).grad().graph(&(x.clone(),)).unwrap();
        let text = compile(&graph, &Target::plain()).unwrap().to_string();
        assert!(text.contains("run again for checkpoints"), "{text}");
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

/// Four layers, each by a function of its own, and the bytes and bits of the gradient of their sum.
fn four(each: impl Fn(Tensor) -> Tensor + Send + Sync + 'static, x: &Array) -> (usize, Array) {
    let f = Function::new(move |x: &Tensor| (0..4).fold(x.clone(), |x, _| each(x)).sum(..));
    gradient(f, x)
}

/// What is dear, on as much as is read.
fn dear(x: Tensor) -> Tensor {
    layer(layer(x).cumsum(0) * 0.01).cumsum(0) * 0.01
}

fn held(checkpoint: bool, x: Tensor) -> Tensor {
    match checkpoint {
        true => control::checkpoint(dear, x),
        false => dear(x),
    }
}

#[test]
fn a_function_that_is_called_runs_again_as_a_whole() {
    let x = numbers(&[4000], 7);
    let called = |checkpoint: bool| {
        let f = Function::new(move |x: &Tensor| held(checkpoint, x.clone()) + x);
        four(move |x| f.apply_as_call((x,)), &x)
    };
    let (plain, less) = (called(false), called(true));
    assert_eq!(plain.1, less.1);
    assert!(less.0 < plain.0 * 2 / 3, "{} of {}", less.0, plain.0);
    // A call in a call.
    let twice = |checkpoint: bool| {
        let f = Function::new(move |x: &Tensor| held(checkpoint, x.clone()));
        let g = Function::new(move |x: &Tensor| f.apply_as_call((x.sin(),)) * x);
        four(move |x| g.apply_as_call((x,)), &x)
    };
    let (plain, less) = (twice(false), twice(true));
    assert_eq!(plain.1, less.1);
    assert!(less.0 < plain.0 * 2 / 3, "{} of {}", less.0, plain.0);
}

#[test]
fn an_arm_of_a_branch_runs_again_as_a_whole() {
    let x = numbers(&[4000], 7);
    let branch = |checkpoint: bool| {
        let arm = move |x: Tensor| held(checkpoint, x);
        four(
            move |x| control::cond(&x.sum(..).greater(-1e9), arm, |x| x.cos(), x),
            &x,
        )
    };
    let (plain, less) = (branch(false), branch(true));
    assert_eq!(plain.1, less.1);
    assert!(less.0 < plain.0 * 2 / 3, "{} of {}", less.0, plain.0);
    // In the body of a loop, and when the gradient is differentiated again.
    let looped = |checkpoint: bool| {
        Function::new(move |x: &Tensor| {
            let step = |_: Tensor, x: Tensor| {
                let arm = |x: Tensor| held(checkpoint, x);
                control::cond(&x.sum(..).greater(-1e9), arm, |x| x.cos(), x)
            };
            control::fori_loop(6, step, x.clone()).square().sum(..)
        })
    };
    let (plain, less) = (gradient(looped(false), &x), gradient(looped(true), &x));
    assert_eq!(plain.1, less.1);
    assert!(less.0 < plain.0 * 2 / 3, "{} of {}", less.0, plain.0);
    let few = (numbers(&[5], 2),);
    assert_eq!(
        looped(false).hessian().call(few.clone()).unwrap(),
        looped(true).hessian().call(few).unwrap()
    );
}

#[test]
fn linearize_keeps_what_it_keeps() {
    let x = (numbers(&[50], 7),);
    let f = |checkpoint: bool| Function::new(move |x: &Tensor| held(checkpoint, x.clone()) * x);
    let [plain, less] = [false, true].map(|checkpoint| f(checkpoint).linearize(x.clone()).unwrap());
    assert_eq!(plain.0, less.0);
    assert_eq!(plain.1.residuals(), less.1.residuals());
    let back = |map: &cotangent::Linear<(Tensor,), Tensor>| map.transpose().apply(x.0.clone());
    assert_eq!(back(&plain.1).unwrap(), back(&less.1).unwrap());
}

#[test]
fn what_is_written_out_and_read_back_is_planned_the_same() {
    let planned = |graph: &cotangent_graph::Graph| {
        let plan = compile(graph, &Target::plain()).unwrap();
        let again = plan.steps.iter().filter(|s| s.again).count();
        (plan.to_string(), plan.memory(), again)
    };
    let same = |graph: &cotangent_graph::Graph| {
        let text = cotangent_graph::print(graph);
        let read = cotangent_graph::parse(&text).unwrap();
        assert_eq!(cotangent_graph::print(read.entry()), text);
        let (before, after) = (planned(graph), planned(read.entry()));
        assert_eq!(before, after, "{text}");
        before.2
    };
    let f = network(true);
    let graph = f.value_and_grad().graph(&arguments()).unwrap();
    assert!(same(&graph) > 0);
    // In checkpoints inside of others, along loops and twice differentiated.
    let x = (numbers(&[40], 3),);
    let inner = |x: Tensor| control::checkpoint(|x| layer(x).cumsum(0) * 0.1, x);
    let nested = Function::new(move |x: &Tensor| {
        let outer = |x: Tensor| control::checkpoint(|x| inner(inner(x)), x);
        outer(outer(x.clone())).sum(..)
    });
    assert!(same(&nested.grad().graph(&x).unwrap()) > 0);
    same(&nested.hessian().graph(&x).unwrap());
    let looped = Function::new(move |x: &Tensor| {
        let step = |_: Tensor, x: Tensor| control::checkpoint(layer, x);
        control::fori_loop(30, step, x.clone()).square().sum(..)
    });
    let graph = looped.grad().graph(&x).unwrap();
    same(&graph);
    assert!(planned(&graph).0.contains("checkpoints="));
}

#[test]
fn mistakes_inside_name_their_line() {
    let f = Function::new(|x: &Tensor| {
        control::checkpoint(|x: Tensor| x.dot(&x.reshape([3, 1])), x.clone())
    });
    let error = f.call((Array::from([1.0, 2.0]),)).unwrap_err().to_string();
    assert!(error.contains("checkpoint.rs:"), "{error}");
}
