//! W11 and W11h: logistic regression with a quadratic penalty; the Hessian times a vector, and the
//! Hessian.

use cotangent::{Array, Function, Tensor};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::{Job, Kind, Program};
use crate::random::Random;

/// The mean loss of weights `w[d]` on examples `x[n, d]` with labels `y[n]` of -1 and 1.
fn objective(w: &Tensor, x: &Tensor, y: &Tensor, penalty: f64) -> Tensor {
    let margins = y * x.dot(w);
    (-margins).softplus().mean(..) + w.dot(w) * (0.5 * penalty)
}

type Arguments<T> = (T, T, T);
type Objective = Function<Arguments<Tensor>, Tensor>;

fn function(inputs: &Inputs) -> Result<(Objective, Arguments<Array>), BenchError> {
    let penalty = inputs.number("lam")?;
    let f = move |w: &Tensor, x: &Tensor, y: &Tensor| objective(w, x, y, penalty);
    let arguments = (inputs.array("w")?, inputs.array("X")?, inputs.array("y")?);
    Ok((Function::new(f), arguments))
}

fn size(inputs: &Inputs) -> Result<String, BenchError> {
    let [n, d] = inputs.dims("X")?;
    Ok(format!("n={n} d={d}"))
}

/// W11
pub fn hvp(inputs: &Inputs) -> Result<Job, BenchError> {
    let (f, arguments) = function(inputs)?;
    Ok(Job {
        size: size(inputs)?,
        derivative: Program::new(f.hvp(), (arguments.clone(), inputs.array("v")?)),
        primal: Program::new(f, arguments),
        kind: Kind::Whole,
    })
}

/// W11h
pub fn hessian(inputs: &Inputs) -> Result<Job, BenchError> {
    let (f, arguments) = function(inputs)?;
    Ok(Job {
        size: size(inputs)?,
        derivative: Program::new(f.hessian(), arguments.clone()),
        primal: Program::new(f, arguments),
        kind: Kind::Whole,
    })
}

pub fn inputs([n, d]: [usize; 2], r: &mut Random) -> Result<Inputs, BenchError> {
    let x = r.normals([n, d], 1.0)?;
    let truth = r.normals([d], 1.0)?.to_f64s();
    let rows = x.as_slice::<f64>()?.chunks(d.max(1));
    let label = |row: &[f64]| -> f64 {
        let exact: f64 = row.iter().zip(&truth).map(|(x, t)| x * t).sum();
        if exact + r.normal() < 0.0 { -1.0 } else { 1.0 }
    };
    let y: Vec<f64> = rows.map(label).collect();
    let (w, v) = (r.normals([d], 0.1)?, r.normals([d], 1.0)?);
    Ok(Inputs::default()
        .with("X", x)
        .with("y", y)
        .with("w", w)
        .with("v", v)
        .with("lam", Array::from(1e-3)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{Scale, find};

    /// u^T H v against second differences, for the product with v and for the Hessian.
    #[test]
    fn products_and_hessian_are_second_derivatives() {
        let inputs = find("W11").unwrap().inputs(Scale::Tiny).unwrap();
        let v = inputs.array("v").unwrap().to_f64s();
        let mut r = Random::named("direction");
        let u: Vec<f64> = v.iter().map(|_| r.normal()).collect();
        let job = hvp(&inputs).unwrap();
        let product = job.build().unwrap().first().unwrap()[0].to_f64s();
        let hessian = hessian(&inputs).unwrap().build().unwrap().first().unwrap()[0].to_f64s();
        let primal = job.primal.build().unwrap();
        let value = |a: f64, b: f64| {
            let mut moved = primal.inputs.clone();
            let w = moved[0].as_mut_slice::<f64>().unwrap();
            for ((w, u), v) in w.iter_mut().zip(&u).zip(&v) {
                *w += a * u + b * v;
            }
            primal.traced.run(&moved).unwrap()[0].item::<f64>().unwrap()
        };
        let h = 1e-3;
        let found = (value(h, h) - value(h, -h) - value(-h, h) + value(-h, -h)) / (4.0 * h * h);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let by_product = dot(&u, &product);
        let by_hessian: Vec<f64> = hessian.chunks(v.len()).map(|row| dot(row, &v)).collect();
        assert!((found - by_product).abs() < 1e-5, "{found} {by_product}");
        assert!((dot(&u, &by_hessian) - by_product).abs() < 1e-12);
    }
}
