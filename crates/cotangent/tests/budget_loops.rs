//! Loops of known length within memory budgets: steps are run again instead of kept, and no bit of a
//! gradient changes.

mod common;

use common::numbers;
use cotangent::{Array, DType, Function, Key, Tensor, bernoulli, concat, control};
use cotangent_compile::{CompileError, Flow, Options, Plan, StepOp, compile, compile_with};

/// One layer of a recurrent network: the states of all steps.
fn layer(w: &Tensor, xs: &Tensor, reverse: bool) -> Tensor {
    let zero = || Tensor::zeros([8], DType::F64);
    let start = (zero(), zero());
    let step = |(h, c): (Tensor, Tensor), x: Tensor| {
        let z = w.dot(&concat([x, h], 0));
        let part = |k: usize| z.slice_axis(0, 8 * k..8 * (k + 1));
        let c = part(0).sigmoid() * c + part(1).sigmoid() * part(2).tanh();
        let h = part(3).sigmoid() * c.tanh();
        ((h.clone(), c), h)
    };
    match reverse {
        false => control::scan(step, start, xs.clone()).1,
        true => control::scan_reverse(step, start, xs.clone()).1,
    }
}

type Gradient = Function<(Vec<Tensor>, Tensor), Vec<Tensor>>;

/// The gradient of a recurrent network, one direction after the other.
fn network() -> Gradient {
    Function::new(|weights: &Vec<Tensor>, xs: &Tensor| {
        let mut states = xs.clone();
        for (k, w) in weights.iter().enumerate() {
            states = layer(w, &states, k % 2 == 1);
        }
        states.square().sum(..)
    })
    .grad()
}

fn arguments(layers: usize, steps: usize) -> (Vec<Array>, Array) {
    let weights = (0..layers).map(|k| numbers(&[32, 16], 5 + k as u64));
    (weights.collect(), numbers(&[steps, 8], 3))
}

/// The loops of a plan that run steps again, with what they keep: steps, and states.
fn reversals(plan: &Plan) -> Vec<(usize, usize)> {
    let found = plan.steps.iter().filter_map(|step| match &step.op {
        StepOp::Flow(Flow::Back(both)) => Some((both.kept, both.slots)),
        _ => None,
    });
    found.collect()
}

#[test]
fn recurrent_networks_keep_within_a_few_percent_and_give_the_same_bits() {
    for layers in [1, 3] {
        let (gradient, at) = (network(), arguments(layers, 1500));
        let graph = gradient.graph(&at).unwrap();
        let target = cotangent_cpu::target();
        let free = compile(&graph, &target).unwrap();
        let expected = gradient.call(at.clone()).unwrap();
        let mut last = (0, usize::MAX);
        for percent in [95, 75, 50, 30, 25] {
            let budget = free.memory() / 100 * percent;
            let options = Options {
                memory_budget: Some(budget),
                ..Options::default()
            };
            let plan = compile_with(&graph, &target, &options).unwrap();
            assert!(plan.memory() <= budget);
            assert_eq!(plan.check(), Ok(()));
            let again: u64 = plan.time - free.time.min(plan.time);
            // Less memory never takes less time.
            assert!(again >= last.0, "{percent} %: {again}");
            // Loops that are gone back over keep the less, the less there is; a plan may find
            // other steps to run again and leave loops as they are.
            let kept = reversals(&plan).iter().map(|(kept, _)| kept).sum();
            let kept = if reversals(&plan).is_empty() {
                last.1
            } else {
                kept
            };
            assert!(kept <= last.1, "{percent} %: {kept}");
            last = (again, kept);
            // What is run again costs no more than a second and a third way forward.
            assert!(plan.time < free.time * 2, "{percent} %");
            let within = gradient.clone().with_memory_budget(budget);
            assert_eq!(within.call(at.clone()).unwrap(), expected, "{percent} %");
        }
        assert!(last.0 > 0 && last.1 < layers * 1500);
    }
}

#[test]
fn the_smallest_budget_of_a_loop_is_far_below_what_it_keeps_and_works() {
    let (gradient, at) = (network(), arguments(1, 300));
    let graph = gradient.graph(&at).unwrap();
    let target = cotangent_cpu::target();
    let within = |memory_budget: usize| {
        let options = Options {
            memory_budget: Some(memory_budget),
            ..Options::default()
        };
        compile_with(&graph, &target, &options)
    };
    let free = compile(&graph, &target).unwrap();
    let Err(CompileError::Budget {
        reached,
        bound,
        held,
        ..
    }) = within(1000)
    else {
        panic!("expected that 1000 bytes are too few");
    };
    assert!(
        held <= bound && bound <= reached,
        "{held} {bound} {reached}"
    );
    assert!(
        reached < free.memory() / 3,
        "{reached} of {}",
        free.memory()
    );
    let plan = within(reached).unwrap();
    assert_eq!(reversals(&plan).len(), 1);
    let at_least = gradient.clone().with_memory_budget(reached);
    assert_eq!(
        at_least.call(at.clone()).unwrap(),
        gradient.call(at).unwrap()
    );
}

#[test]
fn random_keys_integers_and_single_numbers_are_carried_through_steps_that_run_again() {
    // Dropout with a key that is carried, a counter, and a running sum.
    let f = Function::new(|x: &Tensor, key: &Key| {
        let start = (
            x.clone(),
            key.clone(),
            Tensor::from(0_i64),
            Tensor::from(0.0),
        );
        let body = |(y, key, k, sum): (Tensor, Key, Tensor, Tensor), _: Tensor| {
            let [next, own] = key.split();
            let keep = bernoulli(&own, 0.9, [40]);
            let y = keep.select((&y * 1.01).sin(), &y * 0.5);
            let sum = sum + y.square().sum(..) * k.convert(DType::F64);
            ((y, next, k + 1_i64, sum), Tensor::zeros([0], DType::F64))
        };
        control::scan(body, start, Tensor::zeros([500], DType::F64))
            .0
            .3
    })
    .grad();
    let at = (numbers(&[40], 9), Key::new(7));
    let expected = f.call(at.clone()).unwrap();
    let free = f.trace(&at).unwrap().memory().unwrap().bytes;
    for percent in [60, 30, 10] {
        let within = f.clone().with_memory_budget(free / 100 * percent);
        let options = Options {
            memory_budget: Some(free / 100 * percent),
            ..Options::default()
        };
        let graph = f.graph(&at).unwrap();
        let plan = compile_with(&graph, &cotangent_cpu::target(), &options).unwrap();
        assert_eq!(reversals(&plan).len(), 1, "{plan}");
        assert_eq!(within.call(at.clone()).unwrap(), expected, "{percent} %");
    }
}
