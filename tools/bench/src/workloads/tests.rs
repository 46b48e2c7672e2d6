//! Every workload at a tiny size: gradients against differences of the function, results against the
//! reference evaluator.

use cotangent::{Array, DType};

use super::{ALL, Scale};
use crate::check::{scalar, sum_of_squares};
use crate::job::{Job, Kind};
use crate::random::Random;

/// A workload's job in f64.
fn tiny(index: usize) -> Job {
    let inputs = ALL[index].inputs(Scale::Tiny).unwrap().in_f64();
    (ALL[index].job)(&inputs).unwrap()
}

fn moved(inputs: &[Array], directions: &[Vec<f64>], step: f64) -> Vec<Array> {
    let mut inputs = inputs.to_vec();
    for (input, direction) in inputs.iter_mut().zip(directions) {
        let values = input.as_mut_slice::<f64>().unwrap();
        let pairs = values.iter_mut().zip(direction);
        pairs.for_each(|(x, d)| *x += step * d);
    }
    inputs
}

/// Gradients times a direction, against differences along it. What whole derivatives are is checked
/// beside the workloads that have them.
#[test]
fn gradients_are_the_slopes_of_values() {
    let mut checked = 0;
    for (index, workload) in ALL.iter().enumerate() {
        let job = tiny(index);
        let rate = match job.kind {
            Kind::ValueAndGradient => None,
            Kind::Step { rate } => Some(rate),
            Kind::Whole | Kind::Jacobian => continue,
        };
        let built = job.build().unwrap();
        let results = built.first().unwrap();
        let primal = job.primal.build().unwrap();
        let value = |step: f64, directions: &[Vec<f64>]| {
            let outputs = primal.traced.run(&moved(&primal.inputs, directions, step));
            scalar(&outputs.unwrap()[0]).unwrap()
        };
        let gradient: Vec<Vec<f64>> = match rate {
            None => results[1..].iter().map(Array::to_f64s).collect(),
            Some(rate) => results[1..]
                .iter()
                .zip(&built.inputs)
                .map(|(new, old)| {
                    let pairs = old.to_f64s().into_iter().zip(new.to_f64s());
                    pairs.map(|(old, new)| (old - new) / rate).collect()
                })
                .collect(),
        };
        for (g, x) in gradient.iter().zip(&built.inputs) {
            assert_eq!(g.len(), x.len(), "{}", workload.name);
        }
        let mut r = Random::named(workload.name);
        for _ in 0..3 {
            let directions: Vec<Vec<f64>> = gradient
                .iter()
                .map(|g| g.iter().map(|_| r.normal()).collect())
                .collect();
            let h = 1e-6;
            let found = (value(h, &directions) - value(-h, &directions)) / (2.0 * h);
            let products = gradient.iter().flatten().zip(directions.iter().flatten());
            let expected: f64 = products.map(|(g, d)| g * d).sum();
            let scale = 1.0 + expected.abs() + value(0.0, &directions).abs();
            assert!(
                (found - expected).abs() <= 2e-7 * scale,
                "{}: {found} along a direction, {expected} by the gradient",
                workload.name
            );
        }
        assert_eq!(results[0], primal.first().unwrap()[0], "{}", workload.name);
        checked += 1;
    }
    assert_eq!(checked, ALL.len() - 5);
}

/// Programs of functions and derivatives give what the graphs mean.
#[test]
fn programs_agree_with_the_reference_evaluator() {
    for (index, workload) in ALL.iter().enumerate() {
        let job = tiny(index);
        for built in [job.build().unwrap(), job.primal.build().unwrap()] {
            let expected = cotangent::eval(built.traced.graph(), &built.inputs).unwrap();
            let mut found = built.first().unwrap();
            // Again, into the same arrays.
            built.run(&mut found).unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.shape(), expected.shape());
                let size = sum_of_squares(expected).unwrap().sqrt();
                let pairs = found.to_f64s().into_iter().zip(expected.to_f64s());
                for (found, expected) in pairs {
                    assert!(
                        (found - expected).abs() <= 1e-12 * (1.0 + size),
                        "{}: {found}, expected {expected}",
                        workload.name
                    );
                }
            }
        }
    }
}

/// A step begins where the last one ended.
#[test]
fn steps_go_on_from_each_other() {
    let index = ALL.iter().position(|w| w.name == "W5").unwrap();
    let mut built = tiny(index).build().unwrap();
    let mut results = built.first().unwrap();
    let mut losses = vec![scalar(&results[0]).unwrap()];
    for _ in 0..20 {
        built.advance(&mut results);
        built.run(&mut results).unwrap();
        losses.push(scalar(&results[0]).unwrap());
    }
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
}

#[test]
fn scales_are_of_one_kind() {
    for workload in ALL {
        let usual = |scale: Scale| {
            let inputs = workload.inputs(scale).unwrap();
            (inputs.dtype(), (workload.job)(&inputs).unwrap().size)
        };
        if workload.name == "W10" {
            continue; // Its inputs are large.
        }
        let ((dtype, size), (odd_dtype, odd)) = (usual(Scale::Usual), usual(Scale::Odd));
        assert_eq!(dtype, odd_dtype);
        assert_ne!(size, odd, "{}", workload.name);
        let single = workload.title.ends_with("f32");
        assert_eq!(dtype == DType::F32, single, "{}", workload.name);
    }
}
