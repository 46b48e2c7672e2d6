//! W4: distances between measured points and a posed hand, and their Jacobian by the pose and, in the
//! complicated case, by where the points are on their triangles.

use cotangent::{Array, DType, Function};
use gradbench::evals::ht::{Data, Pose, errors, jacobian};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::{Job, Kind, Program};
use crate::random::Random;

const BONES: usize = 22;
const ANGLES: usize = 26;

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let us = inputs.optional("us");
    let [points, _] = inputs.dims("points")?;
    let ([vertices, _], [bones]) = (inputs.dims("pos")?, inputs.dims("parents")?);
    let pose = Pose {
        theta: inputs.array("theta")?,
        us: us.clone(),
    };
    let data = Data {
        base_relatives: inputs.array("rel")?,
        inverse_base_absolutes: inputs.array("inv_abs")?,
        base_positions: homogeneous(&inputs.array("pos")?)?,
        weights: inputs.array("wts")?,
        corners: corners(inputs, us.is_some())?,
        points: inputs.array("points")?,
        parents: parents(&inputs.array("parents")?)?,
        mirrored: false,
    };
    let arguments = (pose, data);
    Ok(Job {
        size: format!("points={points} vertices={vertices} bones={bones}"),
        primal: Program::new(Function::new(errors), arguments.clone()),
        derivative: Program::new(Function::new(jacobian), arguments),
        kind: Kind::Jacobian,
    })
}

/// `[n, 3]` to `[n, 4]`, with a last coordinate of 1.
fn homogeneous(positions: &Array) -> Result<Array, BenchError> {
    let values = positions.as_slice::<f64>()?;
    let rows = values.as_chunks::<3>().0;
    let all: Vec<f64> = rows
        .iter()
        .flat_map(|[x, y, z]| [*x, *y, *z, 1.0])
        .collect();
    Ok(Array::new([rows.len(), 4], all)?)
}

/// The vertex that each point corresponds to, or the three of its triangle.
fn corners(inputs: &Inputs, triangles: bool) -> Result<Array, BenchError> {
    let found = inputs.array("corr")?;
    if !triangles {
        return Ok(found.reshape([found.len(), 1])?);
    }
    let rows = found.as_slice::<i64>()?.iter();
    let rows: Option<Vec<usize>> = rows.map(|i| usize::try_from(*i).ok()).collect();
    let rows = rows.ok_or_else(|| BenchError::input("corr", "numbers of triangles", "others"))?;
    Ok(inputs.array("tri")?.select_rows(&rows)?)
}

/// The earlier bone that each bone hangs on; -1 for none.
fn parents(found: &Array) -> Result<Vec<Option<usize>>, BenchError> {
    let bones = found.as_slice::<i64>()?.iter().enumerate();
    let parents = bones.map(|(bone, parent)| match usize::try_from(*parent) {
        Ok(parent) if parent < bone => Ok(Some(parent)),
        Err(_) if *parent == -1 => Ok(None),
        _ => Err(BenchError::input(
            "parents",
            "-1 or the number of an earlier bone",
            parent.to_string(),
        )),
    });
    parents.collect()
}

/// A hand of five fingers with four bones each, in no pose that a hand could take.
pub fn inputs(
    [vertices, triangles, points]: [usize; 3],
    complicated: bool,
    r: &mut Random,
) -> Result<Inputs, BenchError> {
    // The forearm, the palm, and fingers that begin there.
    let parent = |bone: usize| match bone {
        0 => -1,
        b if b >= 5 && b % 4 == 1 => 0,
        b => b as i64 - 1,
    };
    let parents: Vec<i64> = (0..BONES).map(parent).collect();
    let frames = |r: &mut Random| -> Result<Array, BenchError> {
        let element = |r: &mut Random, i: usize| match (i / 4 % 4, i % 4) {
            (3, column) => f64::from(u8::from(column == 3)),
            (row, column) if row == column => 1.0 + 0.1 * r.normal(),
            _ => 0.1 * r.normal(),
        };
        let values: Vec<f64> = (0..BONES * 16).map(|i| element(r, i)).collect();
        Ok(Array::new([BONES, 4, 4], values)?)
    };
    // Up to four bones move a vertex, with weights that add up to 1.
    let mut weights = vec![0.0; vertices * BONES];
    for row in weights.chunks_mut(BONES) {
        for _ in 0..4 {
            let bone = r.below(BONES);
            if let Some(weight) = row.get_mut(bone) {
                *weight += 0.25;
            }
        }
    }
    let inputs = Inputs::default()
        .with("parents", parents)
        .with("rel", frames(r)?)
        .with("inv_abs", frames(r)?)
        .with("pos", r.normals([vertices, 3], 0.1)?)
        .with("wts", Array::new([vertices, BONES], weights)?)
        .with(
            "tri",
            r.indices(triangles * 3, vertices).reshape([triangles, 3])?,
        )
        .with(
            "corr",
            r.indices(points, if complicated { triangles } else { vertices }),
        )
        .with("points", r.normals([points, 3], 0.1)?)
        .with("theta", r.normals([ANGLES], 0.5)?)
        .with_size("n", points);
    let half = |r: &mut Random| 0.5 * r.uniform();
    Ok(match complicated {
        true => inputs.with("us", r.array(DType::F64, [points, 2], half)?),
        false => inputs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{Scale, find};

    /// The Jacobian times a change of the angles, and of the us of all points at once, against
    /// differences of the errors.
    #[test]
    fn columns_are_the_jacobian() {
        for name in ["W4", "W4s"] {
            let w = find(name).unwrap();
            let job = job(&w.inputs(Scale::Tiny).unwrap()).unwrap();
            let jacobian = job.build().unwrap().first().unwrap()[0].to_f64s();
            let primal = job.primal.build().unwrap();
            let shift = if name == "W4" { 2 } else { 0 };
            let mut r = Random::named("direction");
            let change: Vec<f64> = (0..shift + ANGLES).map(|_| r.normal()).collect();
            let errors = |step: f64| {
                let mut moved = primal.inputs.clone();
                let theta = moved[0].as_mut_slice::<f64>().unwrap();
                let angles = theta.iter_mut().zip(&change[shift..]);
                angles.for_each(|(x, c)| *x += step * c);
                if shift > 0 {
                    let us = moved[1].as_mut_slice::<f64>().unwrap().iter_mut();
                    us.zip(change[..2].iter().cycle())
                        .for_each(|(x, c)| *x += step * c);
                }
                primal.traced.run(&moved).unwrap()[0].to_f64s()
            };
            let h = 1e-5;
            let (above, below) = (errors(h), errors(-h));
            for (i, row) in jacobian.chunks(change.len()).enumerate() {
                let expected: f64 = row.iter().zip(&change).map(|(a, b)| a * b).sum();
                let found = (above[i] - below[i]) / (2.0 * h);
                assert!((found - expected).abs() < 1e-7, "{found} {expected}");
            }
        }
    }
}
