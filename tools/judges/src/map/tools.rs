//! What several families need: PyTorch's way to name dimensions, known numbers, moves of elements.

use cotangent::{Array, Axes, AxisSet, Tensor};

use crate::args::{Args, Outs, Res, Stop};

/// The outputs of an operator with one.
pub fn one(x: Tensor) -> Outs {
    Ok(vec![x])
}

/// A dimension by its number, which may count from the end. A scalar has one that is not there.
pub fn dim(number: i64, rank: usize) -> Res<usize> {
    let n = i64::try_from(rank.max(1)).unwrap_or(i64::MAX);
    let from_start = if number < 0 { number + n } else { number };
    match usize::try_from(from_start) {
        Ok(d) if from_start < n => Ok(d),
        _ => Err(Stop::Wrong(format!("dimension {number} of {rank}"))),
    }
}

/// Dimensions to reduce over, and whether they are kept.
#[derive(Clone, Debug)]
pub struct Dims {
    pub axes: Vec<usize>,
    pub keep: bool,
}

impl Dims {
    /// Of the arguments `dim` (none or an empty list: all) and `keepdim`.
    pub fn of(a: &Args, x: &Tensor, dim_at: usize, keep_at: usize) -> Res<Dims> {
        let numbers = a.opt_ints(dim_at, "dim")?.unwrap_or_default();
        let keep = a.bool_or(keep_at, "keepdim", false)?;
        Dims::new(&numbers, x.rank(), keep)
    }

    /// Of numbers; none means all.
    pub fn new(numbers: &[i64], rank: usize, keep: bool) -> Res<Dims> {
        let mut axes = if numbers.is_empty() {
            (0..rank).collect()
        } else {
            numbers
                .iter()
                .map(|d| dim(*d, rank))
                .collect::<Res<Vec<usize>>>()?
        };
        axes.retain(|d| *d < rank);
        axes.sort_unstable();
        axes.dedup();
        Ok(Dims { axes, keep })
    }

    /// The same dimensions, kept.
    pub fn kept(&self) -> Dims {
        Dims {
            keep: true,
            axes: self.axes.clone(),
        }
    }

    /// How many elements come together.
    pub fn count(&self, x: &Tensor) -> usize {
        self.axes.iter().map(|d| x.dim(*d)).product()
    }
}

impl Axes for &Dims {
    fn resolve(&self, _: usize) -> Result<AxisSet, String> {
        Ok(AxisSet {
            axes: self.axes.clone(),
            keep: self.keep,
        })
    }
}

/// Numbers that are known.
pub fn numbers(shape: &[usize], values: Vec<f64>) -> Res<Tensor> {
    Ok(Tensor::from(Array::new(shape, values)?))
}

/// Whole numbers that are known.
pub fn integers(shape: &[usize], values: Vec<i64>) -> Res<Tensor> {
    Ok(Tensor::from(Array::new(shape, values)?))
}

/// Bools that are known.
pub fn bools(shape: &[usize], values: Vec<bool>) -> Res<Tensor> {
    Ok(Tensor::from(Array::new(shape, values)?))
}

/// Positions as the library takes them.
pub fn as_i64(positions: &[usize]) -> Vec<i64> {
    positions
        .iter()
        .map(|p| i64::try_from(*p).unwrap_or(i64::MAX))
        .collect()
}

/// A result whose element `i` is element `positions[i]` of `x` in row-major order.
pub fn pick(x: &Tensor, positions: &[usize], shape: &[usize]) -> Res<Tensor> {
    if positions.is_empty() {
        return Ok(Tensor::zeros(shape, x.dtype()));
    }
    let indices = integers(&[positions.len()], as_i64(positions))?;
    Ok(x.ravel().take(&indices, 0).reshape(shape))
}

/// As [`pick`], with `fill` where there is no position.
pub fn pick_or(x: &Tensor, positions: &[Option<usize>], shape: &[usize], fill: f64) -> Res<Tensor> {
    let there: Vec<bool> = positions.iter().map(Option::is_some).collect();
    let positions: Vec<usize> = positions.iter().map(|p| p.unwrap_or(0)).collect();
    if !there.contains(&true) {
        return Ok(Tensor::zeros(shape, x.dtype()) + fill);
    }
    let picked = pick(x, &positions, shape)?;
    if !there.contains(&false) {
        return Ok(picked);
    }
    Ok(bools(shape, there)?.select(picked, fill))
}

/// A result whose slice `i` along an axis is slice `positions[i]` of `x`; `fill` where there is
/// none.
pub fn pick_along(x: &Tensor, axis: usize, positions: &[Option<usize>], fill: f64) -> Res<Tensor> {
    let mut shape = x.shape().to_vec();
    let Some(length) = shape.get_mut(axis) else {
        return Err(Stop::Wrong(format!(
            "no axis {axis} in shape {}",
            x.shape()
        )));
    };
    *length = positions.len();
    let known: Vec<usize> = positions.iter().map(|p| p.unwrap_or(0)).collect();
    if positions.is_empty() || positions.iter().all(Option::is_none) {
        return Ok(Tensor::zeros(shape, x.dtype()) + fill);
    }
    let taken = x.take(&integers(&[known.len()], as_i64(&known))?, axis);
    if positions.iter().all(Option::is_some) {
        return Ok(taken);
    }
    let mut mask = vec![1; x.rank()];
    if let Some(m) = mask.get_mut(axis) {
        *m = positions.len();
    }
    let there = bools(&mask, positions.iter().map(Option::is_some).collect())?;
    Ok(there.select(taken, fill))
}

/// `x` multiplied along an axis by a known matrix of `rows` rows: element `i` of the result is the
/// sum over `j` of `matrix[i, j] * x[j]`.
pub fn along(x: &Tensor, axis: usize, rows: usize, matrix: Vec<f64>) -> Res<Tensor> {
    let n = x.dim(axis);
    let m = numbers(&[rows, n], matrix)?;
    Ok(x.swapaxes(axis, -1).matmul(&m.t()).swapaxes(axis, -1))
}

/// The row-major strides of a shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    strides
}

/// Calls `f` with each index of a shape, in row-major order.
pub fn each_index(shape: &[usize], mut f: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        f(&index);
        let mut d = shape.len();
        loop {
            if d == 0 {
                return;
            }
            d -= 1;
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
}

/// A number for each of `count` dimensions: one for all, or a list; `default` for an empty one.
pub fn per_dim(list: &[i64], count: usize, default: &[usize]) -> Res<Vec<usize>> {
    let size = |n: &i64| {
        usize::try_from(*n).map_err(|_| Stop::Wrong(format!("expected a number from 0, found {n}")))
    };
    match list {
        [] => Ok(default.to_vec()),
        [n] => Ok(vec![size(n)?; count]),
        many if many.len() == count => many.iter().map(size).collect(),
        many => Err(Stop::Wrong(format!(
            "expected {count} numbers, found {many:?}"
        ))),
    }
}

/// The shape with dimensions set to 1.
pub fn with_ones(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    shape
        .iter()
        .enumerate()
        .map(|(d, n)| if axes.contains(&d) { 1 } else { *n })
        .collect()
}

/// The mean, the sum or all of a loss.
pub fn reduction(loss: Tensor, how: &str) -> Outs {
    one(match how {
        "none" => loss,
        "sum" => loss.sum(..),
        "mean" => loss.mean(..),
        other => return Err(Stop::Wrong(format!("unknown reduction {other}"))),
    })
}
