//! Memory budgets: what is held, what comes out, and what is said where it cannot be.

mod common;

use common::numbers;
use cotangent::{Array, DType, Error, Function, Tensor, control};
use cotangent_compile::{CompileError, Options, compile, compile_with, curve};

/// A network of `layers` square layers, with its gradient.
fn network(layers: usize) -> Function<(Vec<Tensor>, Tensor), Vec<Tensor>> {
    Function::new(move |weights: &Vec<Tensor>, x: &Tensor| {
        let mut h = x.clone();
        for w in weights.iter().take(layers) {
            h = h.dot(w).tanh();
        }
        h.square().sum(..)
    })
    .grad()
}

fn arguments(layers: usize) -> (Vec<Array>, Array) {
    let weights = (0..layers)
        .map(|i| numbers(&[16, 16], 7 + i as u64))
        .collect();
    (weights, numbers(&[64, 16], 3))
}

#[test]
fn no_budget_above_one_that_works_is_refused() {
    // What is kept has one size, so budgets between have plans that hold much less than they may.
    let gradient = Function::new(|weights: &Vec<Tensor>, x: &Tensor| {
        let step = |h: Tensor, w: &Tensor| h.dot(w).tanh() + h;
        weights.iter().fold(x.clone(), step).square().sum(..)
    })
    .grad();
    let weights = (0..10).map(|i| numbers(&[32, 32], 7 + i)).collect();
    let at = (weights, numbers(&[256, 32], 3));
    let graph = gradient.graph(&at).unwrap();
    let target = cotangent_cpu::target();
    let within = |bytes: usize| {
        let options = Options {
            memory_budget: Some(bytes),
            search: cotangent_compile::remat::Options {
                steps: 100,
                ..Default::default()
            },
            ..Options::default()
        };
        compile_with(&graph, &target, &options)
    };
    let free = compile(&graph, &target).unwrap().memory();
    let least = match within(0) {
        Err(CompileError::Budget { reached, .. }) => reached,
        other => panic!("{other:?}"),
    };
    assert!(least < free * 45 / 100, "{least} of {free}");
    for part in 0..12 {
        let budget = least + (free - least) * part / 12;
        let plan = within(budget).unwrap_or_else(|e| panic!("{e}"));
        assert!(plan.memory() <= budget);
    }
}

#[test]
fn plans_stay_within_budgets_and_give_the_same_bits() {
    let (gradient, at) = (network(10), arguments(10));
    let graph = gradient.graph(&at).unwrap();
    let target = cotangent_cpu::target();
    let free = compile(&graph, &target).unwrap();
    let expected = gradient.call(at.clone()).unwrap();
    let mut costs = vec![free.cost];
    for share in [100, 90, 85, 80, 75] {
        let budget = free.memory() * share / 100;
        let options = Options {
            memory_budget: Some(budget),
            ..Options::default()
        };
        let plan = compile_with(&graph, &target, &options).unwrap();
        assert!(plan.memory() <= budget, "{} > {budget}", plan.memory());
        assert_eq!(plan.check(), Ok(()));
        assert!(
            plan.cost >= *costs.last().unwrap() || share >= 80,
            "{share} %"
        );
        costs.push(plan.cost);
        let within = gradient.clone().with_memory_budget(budget);
        assert_eq!(within.call(at.clone()).unwrap(), expected, "{share} %");
    }
    assert!(costs[0] == costs[1] && costs[5] > costs[0]);
    let text = compile_with(
        &graph,
        &target,
        &Options {
            memory_budget: Some(free.memory() * 3 / 4),
            ..Options::default()
        },
    );
    assert!(
        text.unwrap()
            .to_string()
            .contains("run again for a memory budget")
    );
}

#[test]
fn the_smallest_budget_that_is_named_works() {
    let (gradient, at) = (network(6), arguments(6));
    let graph = gradient.graph(&at).unwrap();
    let target = cotangent_cpu::target();
    let within = |memory_budget: usize| {
        let mut options = Options {
            memory_budget: Some(memory_budget),
            ..Options::default()
        };
        options.search.steps = 100;
        compile_with(&graph, &target, &options)
    };
    for budget in [0, 40_000] {
        let Err(CompileError::Budget {
            reached,
            bound,
            held,
            ..
        }) = within(budget)
        else {
            panic!("expected that {budget} bytes are too few");
        };
        assert!(held < bound && bound <= reached && budget < bound);
        assert!(within(reached).unwrap().memory() <= reached);
    }
    // Below what inputs and results take.
    let error = gradient.with_memory_budget(10).call(at).unwrap_err();
    assert!(matches!(error, Error::Run(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("does not fit in a memory budget of 10 bytes"),
        "{text}"
    );
    assert!(text.contains("and none below"), "{text}");
}

#[test]
fn called_functions_keep_within_the_budget_of_the_caller() {
    let layers = 10;
    let inner = network(layers);
    let called = Function::new(move |w: &Vec<Tensor>, x: &Tensor| {
        inner.apply_as_call((w.clone(), x.clone()))
    });
    let at = arguments(layers);
    let graph = called.graph(&at).unwrap();
    let free = compile(&graph, &cotangent_cpu::target()).unwrap();
    let budget = free.memory() * 8 / 10;
    let within = called.clone().with_memory_budget(budget);
    assert_eq!(within.call(at.clone()).unwrap(), called.call(at).unwrap());
}

#[test]
fn curves_fall_from_all_kept_to_the_smallest() {
    let (gradient, at) = (network(6), arguments(6));
    let graph = gradient.graph(&at).unwrap();
    let mut options = Options::default();
    options.search.steps = 100;
    let points = curve(&graph, &cotangent_cpu::target(), 8, &options).unwrap();
    assert!(points.len() >= 4, "{points:?}");
    for pair in points.windows(2) {
        assert!(pair[0].memory > pair[1].memory, "{points:?}");
    }
    assert_eq!(points[0].again, 0);
    assert!(points.last().unwrap().time > points[0].time);
}

#[test]
fn sizes_beyond_memory_are_errors_before_anything_runs() {
    let f = Function::new(|x: &Tensor| x.sin().sum(..));
    let ty = cotangent::TensorType::new(DType::F64, [1 << 30, 1 << 29]);
    let graph = f.grad().graph(&(ty,)).unwrap();
    let options = Options {
        memory_budget: Some(1 << 30),
        ..Options::default()
    };
    let error = compile_with(&graph, &cotangent_cpu::target(), &options).unwrap_err();
    assert!(matches!(error, CompileError::Budget { .. }), "{error}");
}

#[test]
fn loops_of_unknown_length_keep_a_fixed_number_of_states() {
    // 3,000 steps on 50 numbers: 1.2 MB if every state is kept.
    let f = Function::new(|x: &Tensor| {
        let start = (x.clone(), (x * 0.0).sum(..));
        let steps = control::while_loop(
            |(_, k)| k.less(3000.0),
            |(y, k): (Tensor, Tensor)| (&y + (&y * 3.0).sin() * 1e-3, k + 1.0),
            start,
        );
        steps.0.square().sum(..)
    });
    let x = Array::vector((0..50).map(|i| 0.02 * f64::from(i)).collect::<Vec<_>>());
    let expected = f.clone().grad().call((x.clone(),)).unwrap();
    for budget in [16_000, 40_000, 2_000_000] {
        let within = f
            .clone()
            .with_loop_memory(0)
            .with_memory_budget(budget)
            .grad();
        assert_eq!(within.call((x.clone(),)).unwrap(), expected, "{budget}");
        let memory = within.trace(&(x.clone(),)).unwrap().memory().unwrap();
        assert!(memory.bytes <= budget, "{memory:?}");
    }
    // No step at all, and one.
    for limit in [0.0, 1.0] {
        let f = Function::new(move |x: &Tensor| {
            let start = (x.clone(), x * 0.0);
            let body = |(y, k): (Tensor, Tensor)| (y.sin(), k + 1.0);
            control::while_loop(move |(_, k)| k.less(limit), body, start).0
        });
        let within = f.clone().with_memory_budget(4096).grad();
        let x = Array::from(0.5);
        assert_eq!(
            within.call((x.clone(),)).unwrap(),
            f.grad().call((x,)).unwrap()
        );
    }
}

/// What loops keep can go to files that leave no trace.
#[cfg(target_os = "linux")]
#[test]
fn states_of_loops_go_to_files_without_names() {
    let f = Function::new(|x: &Tensor| {
        let start = (x.clone(), Tensor::from(0.0));
        let steps = control::while_loop(
            |(_, k)| k.less(20_000.0),
            |(y, k): (Tensor, Tensor)| (&y + (&y * 3.0).sin() * 1e-3, k + 1.0),
            start,
        );
        steps.0.square().sum(..)
    });
    let x = Array::vector((0..50).map(|i| 0.02 * f64::from(i)).collect::<Vec<_>>());
    let expected = f.clone().grad().call((x.clone(),)).unwrap();
    let directory = std::env::temp_dir().join(format!("cotangent-states-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let filed = f.clone().with_loop_directory(&directory);
    assert_eq!(filed.clone().grad().call((x.clone(),)).unwrap(), expected);
    // The budget counts what is beside the file.
    let within = filed.clone().with_memory_budget(16_000).grad();
    assert_eq!(within.call((x.clone(),)).unwrap(), expected);
    let memory = within.trace(&(x.clone(),)).unwrap().memory().unwrap();
    assert!(
        memory.bytes <= 16_000 && memory.slowdown < 1.01,
        "{memory:?}"
    );
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    std::fs::remove_dir_all(&directory).unwrap();
    let error = filed.grad().call((x.clone(),)).unwrap_err().to_string();
    assert!(error.contains("cannot go to a file"), "{error}");
    let limited = f
        .with_loop_directory(std::env::temp_dir())
        .with_loop_memory(1000);
    assert!(limited.grad().call((x,)).is_err());
}
