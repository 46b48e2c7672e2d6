//! Properties of the evals that follow from what they compute.

use serde_json::{Value, json};

use crate::input::Input;

fn output(module: &str, function: &str, input: Value) -> Value {
    let eval = super::find(module).unwrap();
    eval.evaluate(function, &Input::new(&input).unwrap())
        .unwrap()
        .0
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|x| x.as_f64().unwrap()).collect()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance, "{found:?} for {expected:?}");
    }
}

/// Each step is linear in every parameter by itself, and the last element has each as a factor.
#[test]
fn ode_is_its_gradient_times_each_parameter() {
    for steps in [1, 3, 10] {
        let x = [0.5, 2.0, 1.5, 0.25, 0.75, 1.25];
        let input = json!({"x": x, "s": steps});
        let y = numbers(&output("ode", "primal", input.clone()));
        let gradient = numbers(&output("ode", "gradient", input));
        let products: Vec<f64> = x.iter().zip(&gradient).map(|(x, g)| x * g).collect();
        assert_close(&products, &[y[5]; 6], 1e-15);
    }
}

/// The gradient of a determinant is the matrix of cofactors.
#[test]
fn det_has_cofactors_as_gradient() {
    let input = json!({"A": [2.0, -1.0, 0.0, 1.0, 3.0, 2.0, 0.0, 5.0, -4.0], "ell": 3});
    assert_eq!(output("det", "primal", input.clone()), json!(-48.0));
    let gradient = numbers(&output("det", "gradient", input));
    let cofactors = [-22.0, 4.0, 5.0, -4.0, -8.0, -10.0, -2.0, -4.0, 7.0];
    assert_close(&gradient, &cofactors, 1e-13);
    let one = json!({"A": [7.0], "ell": 1});
    assert_eq!(output("det", "gradient", one), json!([1.0]));
}

/// A camera that is not turned is a case of its own in the formula, not in the derivative.
#[test]
fn ba_is_smooth_where_the_camera_is_not_turned() {
    let values = |turn: f64| {
        let cam = [turn, 0.0, -turn, 0.1, 0.2, 0.3, 1.5, 0.4, 0.5, 0.01, 0.02];
        let input = json!({
            "n": 2, "m": 3, "p": 4, "cam": cam, "x": [0.5, 0.7, 1.9], "w": 0.5, "feat": [0.1, 0.2],
        });
        numbers(&output("ba", "jacobian", input)["vals"])
    };
    assert_close(&values(0.0), &values(1e-9), 1e-7);
}

/// As published with the evals.
#[test]
fn particle_is_steered_to_the_origin() {
    let w = output("particle", "ff", json!({"w": 0.0}));
    assert_close(&[w.as_f64().unwrap()], &[0.207_191_874_648_611_6], 1e-12);
}

/// Newton's step from anywhere leads to the means of the clusters.
#[test]
fn kmeans_steps_to_the_means() {
    let input = json!({
        "points": [[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]],
        "centroids": [[1.0, 1.0], [8.0, 8.5]],
    });
    assert_eq!(output("kmeans", "cost", input.clone()), json!(4.25));
    let direction = output("kmeans", "dir", input);
    assert_eq!(direction, json!([[0.5, 1.0], [-1.0, -0.5]]));
}

#[test]
fn impossible_inputs_are_errors() {
    let wrong = [
        ("det", "primal", json!({"A": [1.0, 2.0], "ell": 1})),
        ("det", "primal", json!({"A": [], "ell": 0})),
        ("ode", "gradient", json!({"x": [], "s": 1})),
        ("ode", "gradient", json!({"x": [1.0], "s": -1})),
        ("llsq", "primal", json!({"x": [[1.0]], "n": 4})),
        ("ba", "objective", json!({"n": 0, "m": 1, "p": 1})),
        ("saddle", "ff", json!({"start": [1.0]})),
        (
            "kmeans",
            "dir",
            json!({"points": [[1.0], [1.0, 2.0]], "centroids": [[1.0]]}),
        ),
        (
            "lstm",
            "objective",
            json!({"main_params": [], "sequence": []}),
        ),
        (
            "gmm",
            "objective",
            json!({"d": 2, "k": 1, "n": 1, "alpha": [1.0]}),
        ),
        ("ht", "objective", json!({"theta": [0.0]})),
        ("hello", "square", json!("three")),
    ];
    for (module, function, input) in wrong {
        let eval = super::find(module).unwrap();
        let input = Input::new(&input).unwrap();
        assert!(eval.evaluate(function, &input).is_err(), "{module}");
    }
}
