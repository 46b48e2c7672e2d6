//! Sums, products, extremes, moments, cumulative operations and differences.

use cotangent::{Tensor, concat, stack};

use super::Table;
use super::tools::{Dims, along, as_i64, bools, dim, integers, numbers, one};
use crate::args::{Args, Node, Outs, Res, Stop};

pub const TABLE: Table = &[
    (&["sum"], |a| {
        let x = converted(a)?;
        one(x.sum(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["nansum"], |a| {
        let x = converted(a)?;
        one(x.nansum(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["mean"], |a| {
        let x = converted(a)?;
        one(x.mean(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["nanmean"], |a| {
        let x = converted(a)?;
        one(x.nanmean(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["prod"], |a| {
        let x = converted(a)?;
        one(x.prod(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["amax"], |a| {
        let x = a.x()?;
        one(x.max(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["amin"], |a| {
        let x = a.x()?;
        one(x.min(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["aminmax"], |a| {
        let x = a.x()?;
        let dims = Dims::of(a, &x, 1, 2)?;
        Ok(vec![x.min(&dims), x.max(&dims)])
    }),
    (&["max"], |a| {
        extreme(a, Tensor::maximum, |x| x.max(..), |x, d| x.argmax(d))
    }),
    (&["min"], |a| {
        extreme(a, Tensor::minimum, |x| x.min(..), |x, d| x.argmin(d))
    }),
    (&["var"], |a| Ok(vec![Moments::of(a)?.var()])),
    (&["std"], |a| Ok(vec![Moments::of(a)?.std()])),
    (&["var_mean"], |a| {
        let m = Moments::of(a)?;
        Ok(vec![m.var(), m.mean()])
    }),
    (&["std_mean"], |a| {
        let m = Moments::of(a)?;
        Ok(vec![m.std(), m.mean()])
    }),
    (&["logsumexp"], |a| {
        let x = a.x()?;
        one(x.logsumexp(&Dims::of(a, &x, 1, 2)?))
    }),
    (&["cumsum"], |a| cumulative(a, |x, d| x.cumsum(d))),
    (&["cumprod"], |a| cumulative(a, |x, d| x.cumprod(d))),
    (&["logcumsumexp"], |a| {
        cumulative(a, |x, d| triangle(x, d, f64::NEG_INFINITY).logsumexp(-1))
    }),
    (&["trapezoid", "trapz"], |a| {
        let (y, step, d) = samples(a)?;
        one(y.trapezoid(step, d))
    }),
    (&["cumulative_trapezoid"], |a| {
        let (y, step, d) = samples(a)?;
        one(y.cumulative_trapezoid(step, d))
    }),
    (&["diff"], diff),
    (&["gradient"], gradient),
    (&["trace"], |a| one(a.x()?.trace())),
    (&["_segment_reduce"], segment_reduce),
];

/// The first argument in the dtype that is asked for.
pub fn converted(a: &Args) -> Res<Tensor> {
    let x = a.x()?;
    Ok(match a.dtype()? {
        Some(dtype) => x.convert(dtype),
        None => x,
    })
}

/// `max` and `min`: of two tensors, of all elements, or along a dimension with the positions.
fn extreme(
    a: &Args,
    of_two: fn(&Tensor, Tensor) -> Tensor,
    of_all: fn(&Tensor) -> Tensor,
    position: fn(&Tensor, usize) -> Tensor,
) -> Outs {
    let x = a.x()?;
    if let node @ (Node::Input(_) | Node::Known(_)) = a.node(1, "other") {
        let other = a.to_tensor(node).ok_or("expected a tensor")?;
        return one(of_two(&x, other));
    }
    if !a.has(1, "dim") {
        return one(of_all(&x));
    }
    let keep = a.bool_or(2, "keepdim", false)?;
    along_dim(&x, dim(a.int(1, "dim")?, x.rank())?, keep, position)
}

/// The element at a computed position along a dimension, and the position.
pub fn along_dim(
    x: &Tensor,
    d: usize,
    keep: bool,
    position: impl Fn(&Tensor, usize) -> Tensor,
) -> Outs {
    if x.rank() == 0 {
        return Ok(vec![x.clone(), integers(&[], vec![0])?]);
    }
    let indices = position(x, d).expand_dims(d);
    let values = x.take_along_axis(&indices, d);
    Ok(match keep {
        true => vec![values, indices],
        false => vec![values.squeeze(d), indices.squeeze(d)],
    })
}

/// Mean and variance.
struct Moments {
    x: Tensor,
    dims: Dims,
    correction: f64,
}

impl Moments {
    /// Of the arguments, which say `unbiased` or `correction`.
    fn of(a: &Args) -> Res<Moments> {
        let x = a.x()?;
        // `var(unbiased)` and `var(dim, unbiased, keepdim)`.
        if let Node::Bool(unbiased) = a.node(1, "") {
            let dims = Dims::new(&[], x.rank(), false)?;
            return Ok(Moments {
                x,
                dims,
                correction: f64::from(u8::from(*unbiased)),
            });
        }
        let dims = Dims::of(a, &x, 1, 3)?;
        let correction = match (a.node(2, "unbiased"), a.named("correction")) {
            (Node::Bool(unbiased), _) => f64::from(u8::from(*unbiased)),
            (_, Node::Null) => 1.0,
            _ => a.float(usize::MAX, "correction")?,
        };
        Ok(Moments {
            x,
            dims,
            correction,
        })
    }

    fn mean(&self) -> Tensor {
        self.x.mean(&self.dims)
    }

    fn var(&self) -> Tensor {
        if self.correction == 0.0 {
            return self.x.var(&self.dims);
        }
        if self.correction == 1.0 && self.dims.count(&self.x) > 1 {
            return self.x.var_ddof(&self.dims, 1);
        }
        let deviation = &self.x - &self.x.mean(&self.dims.kept());
        let count = self.dims.count(&self.x) as f64;
        deviation.square().sum(&self.dims) / (count - self.correction).max(0.0)
    }

    fn std(&self) -> Tensor {
        if self.correction == 0.0 {
            return self.x.std(&self.dims);
        }
        if self.correction == 1.0 && self.dims.count(&self.x) > 1 {
            return self.x.std_ddof(&self.dims, 1);
        }
        self.var().sqrt()
    }
}

/// An operation along the dimension `dim`; a scalar counts as one element.
fn cumulative(a: &Args, f: fn(&Tensor, usize) -> Tensor) -> Outs {
    let x = converted(a)?;
    let d = dim(a.int(1, "dim")?, x.rank())?;
    one(match x.rank() {
        0 => f(&x.reshape([1]), 0).reshape(()),
        _ => f(&x, d),
    })
}

/// For each position along a dimension all elements up to it, in a new last axis, filled up.
fn triangle(x: &Tensor, d: usize, fill: f64) -> Tensor {
    let n = x.dim(d);
    let mask: Vec<bool> = (0..n).flat_map(|i| (0..n).map(move |j| j <= i)).collect();
    let mut shape = vec![1; x.rank()];
    if let Some(s) = shape.get_mut(d) {
        *s = n;
    }
    shape.push(n);
    // Along `d` the rows, along the new axis the elements themselves.
    let rows = x.moveaxis(d, -1).expand_dims(d);
    match bools(&shape, mask) {
        Ok(mask) => mask.select(rows, fill),
        Err(_) => rows,
    }
}

/// Samples, the distances between them, and the dimension along which they lie.
fn samples(a: &Args) -> Res<(Tensor, Tensor, usize)> {
    let y = a.tensor(0, "y")?;
    let d = dim(a.int_or(usize::MAX, "dim", -1)?, y.rank())?;
    let step = match a.opt_tensor(1, "x")? {
        // A vector of places lies along `dim`.
        Some(x) if x.rank() == 1 => {
            let mut shape = vec![1; y.rank()];
            let step = x.diff(0);
            if let Some(s) = shape.get_mut(d) {
                *s = step.dim(0);
            }
            step.reshape(shape)
        }
        Some(x) => {
            let mut shape = vec![1; y.rank().saturating_sub(x.rank())];
            shape.extend_from_slice(x.shape());
            x.reshape(&shape).diff(d)
        }
        None => Tensor::scalar(a.float_or(usize::MAX, "dx", 1.0)?),
    };
    Ok((y, step, d))
}

fn diff(a: &Args) -> Outs {
    let x = a.x()?;
    let n = a.int_or(1, "n", 1)?;
    let d = dim(a.int_or(2, "dim", -1)?, x.rank())?;
    if n == 0 {
        return one(x);
    }
    let mut parts: Vec<Tensor> = a.opt_tensor(3, "prepend")?.into_iter().collect();
    parts.push(x);
    parts.extend(a.opt_tensor(4, "append")?);
    let mut x = if parts.len() > 1 {
        concat(&parts, d)
    } else {
        parts.remove(0)
    };
    for _ in 0..n {
        if x.dim(d) == 0 {
            break;
        }
        x = x.diff(d);
    }
    one(x)
}

/// `torch.gradient`: second-order differences, along each dimension a multiplication by a matrix
/// that the places of the samples determine.
fn gradient(a: &Args) -> Outs {
    let x = a.x()?;
    let dims = match a.opt_ints(usize::MAX, "dim")? {
        Some(list) => list
            .iter()
            .map(|d| dim(*d, x.rank()))
            .collect::<Res<Vec<usize>>>()?,
        None => (0..x.rank()).collect(),
    };
    let order = a.int_or(usize::MAX, "edge_order", 1)?;
    let places = |i: usize, n: usize| -> Res<Vec<f64>> {
        let even = |step: f64| (0..n).map(|k| k as f64 * step).collect();
        Ok(match a.named("spacing") {
            Node::Null => even(1.0),
            Node::List(list) => match list.get(i) {
                Some(Node::Known(array)) if array.rank() > 0 => array.to_f64s(),
                Some(Node::Float(step)) => even(*step),
                Some(Node::Int(step)) => even(*step as f64),
                other => return Err(Stop::Wrong(format!("spacing {other:?}"))),
            },
            _ => even(a.float(usize::MAX, "spacing")?),
        })
    };
    let mut outs = Vec::new();
    for (i, d) in dims.iter().enumerate() {
        let n = x.dim(*d);
        outs.push(along(&x, *d, n, difference_matrix(&places(i, n)?, order)?)?);
    }
    Ok(outs)
}

/// The weights of the second-order difference at each place; at the ends of order 1 or 2.
fn difference_matrix(places: &[f64], order: i64) -> Res<Vec<f64>> {
    let n = places.len();
    if n < 2 || (order == 2 && n < 3) {
        return Err(Stop::Wrong(format!(
            "{n} places are too few for edge_order {order}"
        )));
    }
    let mut m = vec![0.0; n * n];
    let step = |i: usize| places[i + 1] - places[i];
    for i in 1..n - 1 {
        let (l, r) = (step(i - 1), step(i));
        m[i * n + i - 1] = -r / (l * (l + r));
        m[i * n + i] = (r - l) / (l * r);
        m[i * n + i + 1] = l / (r * (l + r));
    }
    let last = (n - 1) * n;
    if order == 1 {
        m[0] = -1.0 / step(0);
        m[1] = 1.0 / step(0);
        m[last + n - 2] = -1.0 / step(n - 2);
        m[last + n - 1] = 1.0 / step(n - 2);
    } else {
        let (l, r) = (step(0), step(1));
        m[0] = -(2.0 * l + r) / (l * (l + r));
        m[1] = (l + r) / (l * r);
        m[2] = -l / (r * (l + r));
        let (l, r) = (step(n - 3), step(n - 2));
        m[last + n - 3] = r / (l * (l + r));
        m[last + n - 2] = -(l + r) / (l * r);
        m[last + n - 1] = (l + 2.0 * r) / (r * (l + r));
    }
    Ok(m)
}

/// Reductions of consecutive pieces along an axis, each from an initial value.
fn segment_reduce(a: &Args) -> Outs {
    let x = a.x()?;
    let how = a.text_or(1, "reduce", "")?;
    let axis = dim(a.int_or(usize::MAX, "axis", 0)?, x.rank())?;
    // The last axis of the lengths, or offsets, is the one of the pieces.
    let (list, lengths) = match a.named("lengths") {
        Node::Known(array) => (array, true),
        _ => (a.known(usize::MAX, "offsets")?, false),
    };
    let numbers_of: Vec<i64> = list.scalars().map(|s| s.to_i64()).collect();
    let row = list.shape().last().copied().unwrap_or(0);
    let outer: usize = list.shape().iter().rev().skip(1).product();
    let inner = x.shape().get(axis + 1..).unwrap_or_default().to_vec();
    let mut flat = vec![outer, x.dim(axis)];
    flat.extend_from_slice(&inner);
    let flat = x.reshape(&flat);
    let identity = match how {
        "max" => f64::NEG_INFINITY,
        "min" => f64::INFINITY,
        "prod" => 1.0,
        _ => 0.0,
    };
    let has_initial = a.has(usize::MAX, "initial");
    let initial = a.float_or(usize::MAX, "initial", identity)?;
    let mut results = Vec::new();
    for o in 0..outer {
        let data = flat.slice_axis(0, o..o + 1).squeeze(0);
        let numbers = numbers_of.get(o * row..(o + 1) * row).unwrap_or_default();
        let mut ends: Vec<i64> = numbers.to_vec();
        if lengths {
            ends.insert(0, 0);
            for i in 1..ends.len() {
                ends[i] += ends[i - 1];
            }
        }
        for pair in ends.windows(2) {
            let [from, to] = pair else { continue };
            let (from, to) = (*from as usize, *to as usize);
            let part = data.slice_axis(0, from..to);
            let empty = from == to;
            results.push(match how {
                "sum" => part.sum(0) + initial,
                "mean" if empty && !has_initial => part.sum(0) + f64::NAN,
                "mean" if empty => part.sum(0) + initial,
                "mean" => (part.sum(0) + initial) / (to - from) as f64,
                "prod" => part.prod(0) * initial,
                "max" | "min" if empty => part.sum(0) * 0.0 + initial,
                "max" => part.max(0).maximum(initial),
                "min" => part.min(0).minimum(initial),
                other => return Err(Stop::Wrong(format!("unknown reduction {other}"))),
            });
        }
    }
    let mut shape = x.shape().get(..axis).unwrap_or_default().to_vec();
    shape.push(results.len() / outer.max(1));
    shape.extend_from_slice(&inner);
    if results.is_empty() {
        return one(numbers(&shape, Vec::new())?);
    }
    one(stack(&results, 0).reshape(as_i64(&shape)))
}
