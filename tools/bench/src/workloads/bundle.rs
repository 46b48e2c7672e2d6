//! W2: bundle adjustment, the whole sparse Jacobian: for each observation a block of its two errors
//! by camera (11), point (3) and weight, and the slope of its weight's own error.

use cotangent::{Array, Function, Tensor, grad};
use gradbench::evals::ba::{self, Scene, projection_error, weight_error};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::{Job, Kind, Program};
use crate::random::Random;

/// The error of a camera that is turned.
fn error(block: &Tensor, feature: &Tensor) -> Tensor {
    projection_error(ba::rotation, block, feature)
}

/// The errors of the projections `[p, 2]` and of the weights `[p]`.
fn objective(scene: &Scene<Tensor>) -> (Tensor, Tensor) {
    let errors = Function::new(error).vmap();
    let errors = errors.apply((scene.blocks(), scene.features.clone()));
    (errors, weight_error(&scene.weights))
}

/// `[p, 2, 15]` and `[p]`
fn jacobian(scene: &Scene<Tensor>) -> (Tensor, Tensor) {
    let each = Function::new(error).jacobian().vmap();
    let blocks = each.apply((scene.blocks(), scene.features.clone()));
    let slopes = grad(weight_error).vmap().apply((scene.weights.clone(),));
    (blocks, slopes)
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let ([n, _], [m, _], [p]) = (inputs.dims("cams")?, inputs.dims("pts")?, inputs.dims("w")?);
    let scene = Scene {
        cameras: inputs.array("cams")?,
        points: inputs.array("pts")?,
        weights: inputs.array("w")?,
        features: inputs.array("feats")?,
        camera: inputs.array("ci")?,
        point: inputs.array("pi")?,
    };
    Ok(Job {
        size: format!("n={n} m={m} p={p}"),
        primal: Program::new(Function::new(objective), (scene.clone(),)),
        derivative: Program::new(Function::new(jacobian), (scene,)),
        kind: Kind::Jacobian,
    })
}

/// One camera and one point, as in the file that ADBench repeats, a little different each time.
pub fn inputs([n, m, p]: [usize; 3], r: &mut Random) -> Result<Inputs, BenchError> {
    const CAMERA: [f64; 11] = [
        -0.758, -1.11, -0.846, 34.6, 39.7, 53.9, 419.2, 5.86, -8.52, 0.0878, 0.00274,
    ];
    const POINT: [f64; 3] = [7.2, 0.0011, 3.02];
    const FEATURE: [f64; 2] = [271.8, 834.2];
    let mut repeated = |one: &[f64], count: usize| -> Result<Array, BenchError> {
        let all = one.iter().cycle().take(one.len() * count);
        let all: Vec<f64> = all.map(|x| x * (1.0 + 0.01 * r.normal())).collect();
        Ok(Array::new([count, one.len()], all)?)
    };
    let turns = |of: usize| Array::from((0..p).map(|i| (i % of) as i64).collect::<Vec<_>>());
    let (cameras, points) = (repeated(&CAMERA, n)?, repeated(&POINT, m)?);
    let (weights, features) = (repeated(&[0.417], p)?, repeated(&FEATURE, p)?);
    Ok(Inputs::default()
        .with_size("n", n)
        .with_size("m", m)
        .with_size("p", p)
        .with("cams", cameras)
        .with("pts", points)
        .with("w", weights.reshape([p])?)
        .with("feats", features)
        .with("ci", turns(n))
        .with("pi", turns(m)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{Scale, find};

    /// Blocks times a change of all parameters, against differences of the errors.
    #[test]
    fn blocks_are_the_jacobian() {
        let w = find("W2").unwrap();
        let inputs = w.inputs(Scale::Tiny).unwrap();
        let job = job(&inputs).unwrap();
        let results = job.build().unwrap().first().unwrap();
        let (blocks, slopes) = (results[0].to_f64s(), results[1].to_f64s());
        let primal = job.primal.build().unwrap();
        let mut r = Random::named("direction");
        let change: Vec<Vec<f64>> = primal.inputs[..3]
            .iter()
            .map(|a| (0..a.len()).map(|_| r.normal()).collect())
            .collect();
        let errors = |step: f64| -> (Vec<f64>, Vec<f64>) {
            let mut moved = primal.inputs.clone();
            for (array, change) in moved.iter_mut().zip(&change) {
                let values = array.as_mut_slice::<f64>().unwrap();
                values
                    .iter_mut()
                    .zip(change)
                    .for_each(|(x, c)| *x += step * c);
            }
            let outputs = primal.traced.run(&moved).unwrap();
            (outputs[0].to_f64s(), outputs[1].to_f64s())
        };
        let h = 1e-5;
        let (above, below) = (errors(h), errors(-h));
        let ci: Vec<i64> = inputs.array("ci").unwrap().to_vec().unwrap();
        let pi: Vec<i64> = inputs.array("pi").unwrap().to_vec().unwrap();
        for o in 0..ci.len() {
            let (c, p) = (ci[o] as usize, pi[o] as usize);
            let moved: Vec<f64> = change[0][c * 11..][..11]
                .iter()
                .chain(&change[1][p * 3..][..3])
                .chain(&change[2][o..=o])
                .copied()
                .collect();
            for e in 0..2 {
                let row = &blocks[(o * 2 + e) * 15..][..15];
                let expected: f64 = row.iter().zip(&moved).map(|(a, b)| a * b).sum();
                let at = o * 2 + e;
                let found = (above.0[at] - below.0[at]) / (2.0 * h);
                let scale: f64 = row.iter().map(|x| x.abs()).sum();
                assert!(
                    (found - expected).abs() < 1e-6 * scale,
                    "{found} {expected}"
                );
            }
            let found = (above.1[o] - below.1[o]) / (2.0 * h);
            assert!((found - slopes[o] * change[2][o]).abs() < 1e-8);
        }
    }
}
