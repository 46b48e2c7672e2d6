//! Hand tracking: distances between measured points and the surface of a posed hand.

use cotangent::{Array, DType, Function, Mode, Tensor, Tree, concat, control, einsum, stack};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

/// Global rotation (3) and translation (3), and for each of 5 fingers 4 angles.
const PARAMETERS: usize = 26;
const FINGERS: usize = 5;

pub(crate) fn eval() -> Eval {
    let errors = Function::new(|pose: &Pose<Tensor>, data: &Data<Tensor>| errors(pose, data));
    Eval::default()
        .with("objective", errors, read, nested)
        .with("jacobian", Function::new(jacobian), read, nested)
}

/// The parameters `theta[26]` and, in the complicated case, where on their triangles the measured
/// points are: `us[points, 2]`.
#[derive(Clone, Tree)]
pub struct Pose<T> {
    /// `[26]`
    pub theta: T,
    /// `[points, 2]`
    pub us: Option<T>,
}

/// The hand: transformations of bones `[bones, 4, 4]`, vertices `[vertices, 4]` with their weights
/// `[vertices, bones]`, and the measurement `[points, 3]` with the corners of the surface it
/// corresponds to, `[points, 1]` or `[points, 3]`.
#[derive(Clone, Tree)]
pub struct Data<T> {
    /// `[bones, 4, 4]`
    pub base_relatives: T,
    /// `[bones, 4, 4]`
    pub inverse_base_absolutes: T,
    /// `[vertices, 4]`, the last 1.
    pub base_positions: T,
    /// `[vertices, bones]`
    pub weights: T,
    /// `[points, 1]` or `[points, 3]`: numbers of vertices.
    pub corners: T,
    /// `[points, 3]`
    pub points: T,
    /// The bone that each bone hangs on, one before it.
    #[tree(plain)]
    pub parents: Vec<Option<usize>>,
    /// Whether the hand is the other one.
    #[tree(plain)]
    pub mirrored: bool,
}

fn read(input: &Input<'_>) -> Result<(Pose<Array>, Data<Array>), EvalError> {
    let theta = input.floats_of_rank("theta", 1)?;
    if theta.len() != PARAMETERS {
        return Err(input.unexpected("theta", format!("{PARAMETERS} numbers")));
    }
    let us = input.floats("us")?;
    let us = (!us.is_empty()).then_some(us);
    let data = input.part("data");
    let model = data.part("model");
    let wrong = || model.unexpected("parents", "-1 or the number of an earlier bone");
    let parents: Vec<Option<usize>> = (0..)
        .zip(model.list("parents")?)
        .map(|(bone, parent)| match usize::try_from(parent) {
            Ok(parent) if parent < bone => Ok(Some(parent)),
            Err(_) if parent == -1 => Ok(None),
            _ => Err(wrong()),
        })
        .collect::<Result<_, _>>()?;
    // The last joint of the last finger.
    if parents.len() < FINGERS * 4 + 1 {
        return Err(model.unexpected("parents", "a bone for each joint of five fingers"));
    }
    Ok((
        Pose {
            theta,
            us: us.clone(),
        },
        Data {
            base_relatives: model.floats_of_rank("base_relatives", 3)?,
            inverse_base_absolutes: model.floats_of_rank("inverse_base_absolutes", 3)?,
            base_positions: model.floats_of_rank("base_positions", 2)?,
            weights: model.floats_of_rank("weights", 2)?,
            corners: corners(&data, &model, us.is_some())?,
            points: data.floats_of_rank("points", 2)?,
            parents,
            mirrored: model.flag("is_mirrored")?,
        },
    ))
}

/// The vertex that each point corresponds to, or the three of its triangle.
fn corners(data: &Input<'_>, model: &Input<'_>, triangles: bool) -> Result<Array, EvalError> {
    let found = data.list("correspondences")?;
    if !triangles {
        return Ok(Array::new([found.len(), 1], found)?);
    }
    let all = model.integers("triangles")?;
    let rows: Vec<usize> = found
        .iter()
        .map(|i| usize::try_from(*i))
        .collect::<Result<_, _>>()
        .map_err(|_| data.unexpected("correspondences", "numbers of triangles"))?;
    Ok(all.select_rows(&rows)?)
}

/// The Jacobian [3 points, 2 + 26], or `[3 points, 26]` where there are no us. Each error depends on
/// the two us of its own point alone, so two directions, which move the us of all points at once,
/// give all there is.
pub fn jacobian(pose: &Pose<Tensor>, data: &Data<Tensor>) -> Tensor {
    let width = if pose.us.is_some() { 2 } else { 0 };
    let (pose, data) = (pose.clone(), data.clone());
    let moved = Function::new(move |by: &Tensor| {
        let moved = Pose {
            us: pose.us.as_ref().map(|us| us + by.at(..2)),
            theta: &pose.theta + by.at(width as i64..),
        };
        errors(&moved, &data)
    });
    let here = Tensor::zeros([width + PARAMETERS], DType::F64);
    moved.jacobian_of::<0>(Mode::Forward).apply((here,))
}

/// The distances `[3 points]` of points and surface, coordinate by coordinate.
pub fn errors(pose: &Pose<Tensor>, data: &Data<Tensor>) -> Tensor {
    let positions = positions(&pose.theta, data).take(&data.corners, 0);
    let found = match &pose.us {
        None => positions.at((.., 0)),
        Some(us) => {
            // The third barycentric coordinate makes them add up to 1.
            let third = 1.0 - us.sum(cotangent::keep(1));
            let share = concat([us, &third], 1);
            einsum("pc,pcj->pj", [&share, &positions])
        }
    };
    (&data.points - found).ravel()
}

/// Where the vertices are `[vertices, 3]`.
fn positions(theta: &Tensor, data: &Data<Tensor>) -> Tensor {
    let relatives = data
        .base_relatives
        .matmul(&bone_rotations(theta, data.parents.len()));
    let mut absolutes: Vec<Tensor> = Vec::with_capacity(data.parents.len());
    for (bone, parent) in data.parents.iter().enumerate() {
        let relative = relatives.at(bone as i64);
        let absolute = match parent.and_then(|p| absolutes.get(p)) {
            Some(parent) => parent.matmul(&relative),
            None => relative,
        };
        absolutes.push(absolute);
    }
    let transforms = stack(&absolutes, 0).matmul(&data.inverse_base_absolutes);
    // The weighted mean of the transformations of its bones moves each vertex.
    let means = einsum(
        "vb,bij->vij",
        [&data.weights, &transforms.at((.., ..3, ..))],
    );
    let mut positions = einsum("vij,vj->vi", [&means, &data.base_positions]);
    if data.mirrored {
        positions *= Tensor::from([-1.0, 1.0, 1.0]);
    }
    positions.matmul(&rotation(&theta.at(..3)).t()) + theta.at(3..6)
}

/// The rotations of all bones as [bones, 4, 4]: about z, y and x.
fn bone_rotations(theta: &Tensor, bones: usize) -> Tensor {
    // Where the angles of each bone are in theta; those that are not are 0.
    let mut x = vec![PARAMETERS as i64; bones];
    let mut z = x.clone();
    let angles = (0..FINGERS).flat_map(|finger| {
        let (bone, angle) = (2 + 4 * finger, (6 + 4 * finger) as i64);
        [(bone, angle), (bone + 1, angle + 2), (bone + 2, angle + 3)]
    });
    for (bone, angle) in angles {
        if let Some(x) = x.get_mut(bone) {
            *x = angle;
        }
        if let (Some(z), 2) = (z.get_mut(bone), bone % 4) {
            *z = angle + 1;
        }
    }
    let theta = concat([theta, &Tensor::zeros([1], DType::F64)], 0);
    let (x, z) = (theta.take(Array::from(x), 0), theta.take(Array::from(z), 0));
    let (zero, one) = (x.zeros_like(), x.ones_like());
    let (sx, cx, sz, cz) = (x.sin(), x.cos(), z.sin(), z.cos());
    let about_z = matrix([[&cz, &-&sz, &zero], [&sz, &cz, &zero], [&zero, &zero, &one]]);
    let about_x = matrix([[&one, &zero, &zero], [&zero, &cx, &-&sx], [&zero, &sx, &cx]]);
    // No bone turns about y.
    let turned = about_z.matmul(&about_x);
    let right = concat([turned, Tensor::zeros([bones, 3, 1], DType::F64)], 2);
    let last = Tensor::from([[[0.0, 0.0, 0.0, 1.0]]]).broadcast_to([bones, 1, 4]);
    concat([right, last], 1)
}

/// The rotation about an axis by its length as an angle; none at all for a very short one.
fn rotation(axis: &Tensor) -> Tensor {
    let turn = |axis: Tensor| {
        let angle = axis.norm(..);
        let unit = axis / &angle;
        let (s, c) = (angle.sin(), angle.cos());
        let [x, y, z] = [0, 1, 2].map(|i| unit.at(i));
        let zero = x.zeros_like();
        let cross = matrix([[&zero, &-&z, &y], [&z, &zero, &-&x], [&-&y, &x, &zero]]);
        unit.outer(&unit) * (1.0 - &c) + cross * s + Tensor::eye(3, DType::F64) * c
    };
    let none = |_: Tensor| Tensor::eye(3, DType::F64);
    control::cond(&axis.norm(..).less(1e-4), none, turn, axis.clone())
}

/// A matrix of elements, or one for each bone where the elements are vectors.
fn matrix(rows: [[&Tensor; 3]; 3]) -> Tensor {
    stack(rows.map(|row| stack(row, -1)), -2)
}
