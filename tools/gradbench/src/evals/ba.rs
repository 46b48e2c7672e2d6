//! Bundle adjustment: residuals of observations of points by cameras, and their sparse Jacobian.

use cotangent::{Array, DType, Function, Tensor, Tree, concat, grad, stack};
use serde_json::{Value, json};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::ends;

/// The parameters of a camera: rotation (3, as an axis times an angle), center (3), focal length,
/// principal point (2), radial distortion (2).
const CAMERA: usize = 11;
const POINT: usize = 3;
/// The parameters that a residual depends on: a camera, a point and a weight.
const BLOCK: usize = CAMERA + POINT + 1;

pub(crate) fn eval() -> Eval {
    Eval::default()
        .with("objective", Function::new(objective), read, write_errors)
        .with("jacobian", Function::new(jacobian), read, write_matrix)
}

/// Cameras `[n, 11]`, points `[m, 3]`, and for each of p observations a weight `[p]`, what was seen
/// `[p, 2]`, and which camera `[p]` saw which point `[p]`.
#[derive(Clone, Tree)]
pub struct Scene<T> {
    /// `[n, 11]`
    pub cameras: T,
    /// `[m, 3]`
    pub points: T,
    /// `[p]`
    pub weights: T,
    /// `[p, 2]`
    pub features: T,
    /// `[p]`, whole numbers.
    pub camera: T,
    /// `[p]`, whole numbers.
    pub point: T,
}

fn read(input: &Input<'_>) -> Result<(Scene<Array>,), EvalError> {
    let (n, m, p) = (
        input.positive("n")?,
        input.positive("m")?,
        input.positive("p")?,
    );
    let repeated = |field: &str, length: usize, count: usize| -> Result<Array, EvalError> {
        let one = input.floats(field)?.to_f64s();
        if one.len() != length {
            return Err(input.unexpected(field, format!("{length} numbers")));
        }
        let total = length.checked_mul(count).filter(|t| *t <= 1 << 30);
        total.ok_or_else(|| input.unexpected(field, "fewer of them"))?;
        Ok(Array::new([count, length], one.repeat(count))?)
    };
    let turns = |of: usize| Array::from((0..p).map(|i| (i % of) as i64).collect::<Vec<_>>());
    Ok((Scene {
        cameras: repeated("cam", CAMERA, n)?,
        points: repeated("x", POINT, m)?,
        weights: repeated("w", 1, p)?.reshape([p])?,
        features: repeated("feat", 2, p)?,
        camera: turns(n),
        point: turns(m),
    },))
}

fn write_errors((errors, weights): (Array, Array)) -> Value {
    json!({
        "reproj_error": {
            "elements": (0..2).filter_map(|i| errors.at(i)).map(|x| x.to_f64()).collect::<Vec<_>>(),
            "repeated": errors.len() / 2,
        },
        "w_err": {
            "element": weights.at(0).map(|x| x.to_f64()),
            "repeated": weights.len(),
        },
    })
}

fn write_matrix((rows, columns, values): (Array, Array, Array)) -> Value {
    json!({
        "rows": ends(&rows, 2 * BLOCK),
        "cols": ends(&columns, 2 * BLOCK),
        "vals": ends(&values, 2 * BLOCK),
    })
}

/// The errors of the projections `[p, 2]` and of the weights `[p]`.
fn objective(scene: &Scene<Tensor>) -> (Tensor, Tensor) {
    let errors = Function::new(guarded_error).vmap();
    (
        errors.apply((scene.blocks(), scene.features.clone())),
        weight_error(&scene.weights),
    )
}

/// The Jacobian of all errors by all parameters: where the rows begin, the columns, the values.
///
/// A row has entries in the columns of its camera, its point and its weight; the Jacobians of single
/// observations are these entries.
fn jacobian(scene: &Scene<Tensor>) -> (Tensor, Tensor, Tensor) {
    let (n, m) = (scene.cameras.dim(0) as i64, scene.points.dim(0) as i64);
    let p = scene.weights.len();
    let each = Function::new(guarded_error).jacobian().vmap();
    let blocks = each.apply((scene.blocks(), scene.features.clone()));
    let slopes = grad(weight_error).vmap().apply((scene.weights.clone(),));
    let values = concat([blocks.ravel(), slopes], 0);

    let place = |index: &Tensor, width: usize, before: i64| {
        let first = index * width as i64 + before;
        first.expand_dims(1) + Tensor::arange(width, DType::I64)
    };
    let weight = place(&Tensor::arange(p, DType::I64), 1, n * 11 + m * 3);
    let row = concat(
        [
            place(&scene.camera, CAMERA, 0),
            place(&scene.point, POINT, n * 11),
            weight.clone(),
        ],
        1,
    );
    let columns = concat([stack([&row, &row], 1).ravel(), weight.ravel()], 0);

    let long = Tensor::arange(2 * p, DType::I64) * BLOCK as i64;
    let short = Tensor::arange(p + 1, DType::I64) + (2 * p * BLOCK) as i64;
    (concat([long, short], 0), columns, values)
}

impl Scene<Tensor> {
    /// What each observation depends on, `[p, 15]`: camera, point and weight.
    pub fn blocks(&self) -> Tensor {
        let cameras = self.cameras.take(&self.camera, 0);
        let points = self.points.take(&self.point, 0);
        concat([cameras, points, self.weights.expand_dims(1)], 1)
    }
}

/// The error of a projection, smooth where the camera is not turned, too.
fn guarded_error(block: &Tensor, feature: &Tensor) -> Tensor {
    projection_error(guarded_rotation, block, feature)
}

/// The weighted distance `[2]` between where a camera should see a point and where it was seen, from
/// what it depends on (`[15]`), and a function that turns a point around an axis.
pub fn projection_error(
    rotate: impl Fn(&Tensor, &Tensor) -> Tensor,
    block: &Tensor,
    feature: &Tensor,
) -> Tensor {
    let camera = block.at(..CAMERA);
    let (point, weight) = (block.at(CAMERA..CAMERA + POINT), block.at(-1));
    (project(rotate, &camera, &point) - feature) * weight
}

/// Keeps the weights near 1.
pub fn weight_error(w: &Tensor) -> Tensor {
    1.0 - w * w
}

/// Where a camera sees a point, in pixels.
fn project(rotate: impl Fn(&Tensor, &Tensor) -> Tensor, camera: &Tensor, point: &Tensor) -> Tensor {
    let (rotation, center) = (camera.at(0..3), camera.at(3..6));
    let seen = rotate(&rotation, &(point - center));
    let flat = seen.at(..2) / seen.at(2);
    let squared = flat.square().sum(..);
    let distortion = 1.0 + (camera.at(9) + camera.at(10) * &squared) * &squared;
    flat * distortion * camera.at(6) + camera.at(7..9)
}

/// Rodrigues' formula: turns a point around an axis by the angle that is the axis' length, which is
/// not 0.
pub fn rotation(axis: &Tensor, point: &Tensor) -> Tensor {
    let angle = axis.square().sum(..).sqrt();
    let (cos, sin) = (angle.cos(), angle.sin());
    let unit = axis / angle;
    let along = unit.dot(point) * (1.0 - &cos);
    point * cos + unit.cross(point, 0) * sin + unit * along
}

/// [`rotation`] by any angle. At 0 its first two terms are used, which have the right derivative
/// there. Products of vectors turn the NaN of an arm that is not chosen into one of its derivative, so that arm
/// turns around some other axis there.
fn guarded_rotation(axis: &Tensor, point: &Tensor) -> Tensor {
    let turned = axis.square().sum(..).not_equal(0.0);
    let some_axis = turned.select(axis, 1.0);
    turned.select(rotation(&some_axis, point), point + axis.cross(point, 0))
}
