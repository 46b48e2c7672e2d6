//! Losses.

use std::f64::consts::PI;

use cotangent::{Array, Tensor, select};

use super::Table;
use super::linear::linear;
use super::norms::distance;
use super::tools::{as_i64, bools, integers, numbers, one, pick, reduction, strides};
use crate::args::{Args, Node, Outs, Res, Stop};

pub const TABLE: Table = &[
    (&["nn.functional.mse_loss"], |a| {
        let (x, t) = pair(a)?;
        finish(a, weighted(a, (x - t).square())?)
    }),
    (&["nn.functional.l1_loss"], |a| {
        let (x, t) = pair(a)?;
        finish(a, weighted(a, (x - t).abs())?)
    }),
    (&["nn.functional.smooth_l1_loss"], |a| {
        let (x, t) = pair(a)?;
        let beta = a.float_or(usize::MAX, "beta", 1.0)?;
        let error = (x - t).abs();
        if beta == 0.0 {
            return finish(a, error);
        }
        let square = error.square() * (0.5 / beta);
        finish(a, error.less(beta).select(square, &error - 0.5 * beta))
    }),
    (&["nn.functional.huber_loss"], |a| {
        let (x, t) = pair(a)?;
        let delta = a.float_or(usize::MAX, "delta", 1.0)?;
        let error = (x - t).abs();
        let square = error.square() * 0.5;
        let line = (&error - 0.5 * delta) * delta;
        finish(
            a,
            weighted(a, error.less_equal(delta).select(square, line))?,
        )
    }),
    (&["nn.functional.binary_cross_entropy"], |a| {
        let (x, t) = pair(a)?;
        // PyTorch cuts the logarithms off at -100.
        let log = |x: &Tensor| {
            let log = x.log();
            log.less(-100.0).select(-100.0, log)
        };
        let loss = (&t - 1.0) * log(&(1.0 - &x)) - &t * &log(&x);
        finish(a, weighted(a, loss)?)
    }),
    (&["nn.functional.binary_cross_entropy_with_logits"], |a| {
        let (x, t) = pair(a)?;
        let positive = match a.opt_tensor(usize::MAX, "pos_weight")? {
            Some(w) => (w - 1.0) * &t + 1.0,
            None => t.ones_like(),
        };
        finish(
            a,
            weighted(a, (1.0 - &t) * &x - positive * x.log_sigmoid())?,
        )
    }),
    (&["nn.functional.soft_margin_loss"], |a| {
        let (x, t) = pair(a)?;
        finish(a, (-(x * t)).softplus())
    }),
    (&["nn.functional.hinge_embedding_loss"], |a| {
        let (x, t) = pair(a)?;
        let margin = a.float_or(2, "margin", 1.0)?;
        let hinge = (margin - &x).relu();
        finish(
            a,
            t.equal(1.0).select(0.0, hinge) + t.equal(-1.0).select(0.0, x),
        )
    }),
    (&["nn.functional.kl_div"], |a| {
        let (x, t) = pair(a)?;
        let loss = match a.bool_or(usize::MAX, "log_target", false)? {
            true => t.exp() * (&t - &x),
            false => t.xlogy(&t) - &t * &x,
        };
        match a.text_or(usize::MAX, "reduction", "mean")? {
            "batchmean" => {
                let batch = if x.rank() == 0 { 1 } else { x.dim(0) };
                one(loss.sum(..) / batch as f64)
            }
            how => reduction(loss, how),
        }
    }),
    (&["nn.functional.poisson_nll_loss"], |a| {
        let (x, t) = pair(a)?;
        let eps = a.float_or(usize::MAX, "eps", 1e-8)?;
        let mut loss = match a.bool_or(usize::MAX, "log_input", true)? {
            true => x.exp() - &t * &x,
            false => &x - &(&t * &(&x + eps).log()),
        };
        if a.bool_or(usize::MAX, "full", false)? {
            // Stirling's approximation of log(t!), where t is above 1.
            let small = t.less_equal(1.0);
            let t = small.select(2.0, &t);
            let stirling = &t * &t.log() - &t + (&t * (2.0 * PI)).log() * 0.5;
            loss += small.select(0.0, stirling);
        }
        finish(a, loss)
    }),
    (&["nn.functional.gaussian_nll_loss"], |a| {
        let (x, t) = pair(a)?;
        let eps = a.float_or(usize::MAX, "eps", 1e-6)?;
        let var = a.tensor(2, "var")?;
        let inner = x
            .shape()
            .get(..x.rank().saturating_sub(1))
            .unwrap_or_default();
        let var = match var.shape().dims() == inner && var.shape() != x.shape() && var.rank() > 0 {
            true => var.expand_dims(-1),
            false => var,
        };
        // The variance is cut off below without any effect on its derivative.
        let low = var.less(eps).select(eps - &var, 0.0).stop_gradient();
        let var = var + low;
        let mut loss = (var.log() + (x - t).square() / &var) * 0.5;
        if a.bool_or(usize::MAX, "full", false)? {
            loss += 0.5 * (2.0 * PI).ln();
        }
        finish(a, loss)
    }),
    (&["nn.functional.margin_ranking_loss"], |a| {
        let (x, y, t) = (
            a.tensor(0, "input1")?,
            a.tensor(1, "input2")?,
            a.tensor(2, "target")?,
        );
        let margin = a.float_or(3, "margin", 0.0)?;
        finish(a, (t * (y - x) + margin).relu())
    }),
    (&["nn.functional.cosine_embedding_loss"], |a| {
        let (x, y, t) = (
            a.tensor(0, "input1")?,
            a.tensor(1, "input2")?,
            a.tensor(2, "target")?,
        );
        let margin = a.float_or(3, "margin", 0.0)?;
        let d = t.rank();
        let eps = 1e-12;
        let size = |x: &Tensor| x.square().sum(d) + eps;
        let cosine = (&x * &y).sum(d) / (size(&x) * size(&y)).sqrt();
        let apart = (&cosine - margin).relu();
        finish(
            a,
            t.equal(1.0)
                .select(1.0 - cosine, t.equal(-1.0).select(apart, 0.0)),
        )
    }),
    (&["nn.functional.triplet_margin_loss"], |a| {
        let (x, p, n) = (
            a.tensor(0, "anchor")?,
            a.tensor(1, "positive")?,
            a.tensor(2, "negative")?,
        );
        let margin = a.float_or(3, "margin", 1.0)?;
        let order = a.float_or(4, "p", 2.0)?;
        let eps = a.float_or(5, "eps", 1e-6)?;
        let near = distance(&x, &p, order, eps, false)?;
        let mut far = distance(&x, &n, order, eps, false)?;
        if a.bool_or(6, "swap", false)? {
            far = far.minimum(distance(&p, &n, order, eps, false)?);
        }
        finish(a, (near - far + margin).relu())
    }),
    (&["nn.functional.multi_margin_loss"], multi_margin),
    (&["nn.functional.multilabel_margin_loss"], multilabel_margin),
    (&["nn.functional.multilabel_soft_margin_loss"], |a| {
        let (x, t) = pair(a)?;
        let loss = -(&t * &x.log_sigmoid() + (1.0 - &t) * (-&x).log_sigmoid());
        finish(a, weighted(a, loss)?.mean(-1))
    }),
    (&["nn.functional.nll_loss"], |a| {
        let x = a.x()?;
        let how = a.text_or(usize::MAX, "reduction", "mean")?;
        let classes = Classes::of(a, &x, a.known(1, "target")?, 2)?;
        one(classes.reduced(classes.nll(&x)?, how)?)
    }),
    (&["nn.functional.cross_entropy"], |a| {
        cross_entropy(a, &a.x()?, a.node(1, "target"), 2)
    }),
    (&["nn.functional.linear_cross_entropy"], |a| {
        let (x, weight) = (a.x()?, a.tensor(1, "linear_weight")?);
        let [out @ .., features] = weight.shape().dims() else {
            return Err("expected a weight with a dimension".into());
        };
        let bias = a.opt_tensor(usize::MAX, "linear_bias")?.map(|b| b.ravel());
        let logits = linear(&x, &weight.reshape([-1, *features as i64]), bias);
        let mut shape = x.shape().get(..x.rank() - 1).unwrap_or_default().to_vec();
        shape.extend_from_slice(out);
        cross_entropy(
            a,
            &logits.reshape(as_i64(&shape)),
            a.node(2, "target"),
            usize::MAX,
        )
    }),
];

fn pair(a: &Args) -> Res<(Tensor, Tensor)> {
    Ok((a.x()?, a.tensor(1, "target")?))
}

fn weighted(a: &Args, loss: Tensor) -> Res<Tensor> {
    Ok(match a.opt_tensor(usize::MAX, "weight")? {
        Some(weight) => loss * weight,
        None => loss,
    })
}

fn finish(a: &Args, loss: Tensor) -> Outs {
    reduction(loss, a.text_or(usize::MAX, "reduction", "mean")?)
}

/// Class numbers that are known, beside scores whose dimension 1 (0 without a batch) is the class.
struct Classes {
    /// The shape of the targets.
    shape: Vec<usize>,
    /// The class of each target; `None` where it is ignored.
    targets: Vec<Option<usize>>,
    /// A weight for each class.
    weights: Vec<f64>,
    class_axis: usize,
}

impl Classes {
    fn of(a: &Args, x: &Tensor, targets: &Array, weight_at: usize) -> Res<Classes> {
        let class_axis = usize::from(x.rank() > 1);
        let count = x.dim(class_axis);
        let weights = match a.node(weight_at, "weight") {
            Node::Null => vec![1.0; count],
            _ => a.known(weight_at, "weight")?.to_f64s(),
        };
        let ignored = a.int_or(usize::MAX, "ignore_index", -100)?;
        let targets = targets.scalars().map(|t| t.to_i64());
        let targets = targets
            .map(|t| match usize::try_from(t) {
                _ if t == ignored => Ok(None),
                Ok(class) if class < count => Ok(Some(class)),
                _ => Err(Stop::Wrong(format!("class {t} of {count}"))),
            })
            .collect::<Res<Vec<Option<usize>>>>()?;
        let mut shape = x.shape().to_vec();
        if class_axis < shape.len() {
            shape.remove(class_axis);
        }
        Ok(Classes {
            shape,
            targets,
            weights,
            class_axis,
        })
    }

    /// The weight of each target, 0 where it is ignored.
    fn factors(&self) -> Vec<f64> {
        let weight = |c: usize| self.weights.get(c).copied().unwrap_or(f64::NAN);
        self.targets.iter().map(|t| t.map_or(0.0, weight)).collect()
    }

    /// Minus the score of each target, weighted; 0 where it is ignored.
    fn nll(&self, x: &Tensor) -> Res<Tensor> {
        let step = strides(x.shape());
        let mut positions = Vec::new();
        let mut next = self.targets.iter();
        super::tools::each_index(&self.shape, |at| {
            let class = next.next().copied().flatten().unwrap_or(0);
            let mut index = at.to_vec();
            index.insert(self.class_axis, class);
            positions.push(index.iter().zip(&step).map(|(i, s)| i * s).sum());
        });
        let chosen = pick(x, &positions, &self.shape)?;
        let there: Vec<bool> = self.targets.iter().map(Option::is_some).collect();
        let loss = -chosen * numbers(&self.shape, self.factors())?;
        Ok(bools(&self.shape, there)?.select(loss, 0.0))
    }

    fn reduced(&self, loss: Tensor, how: &str) -> Res<Tensor> {
        Ok(match how {
            "none" => loss,
            "sum" => loss.sum(..),
            "mean" => loss.sum(..) / self.factors().iter().sum::<f64>(),
            other => return Err(Stop::Wrong(format!("unknown reduction {other}"))),
        })
    }
}

fn cross_entropy(a: &Args, x: &Tensor, target: &Node, weight_at: usize) -> Outs {
    let how = a.text_or(usize::MAX, "reduction", "mean")?;
    let smoothing = a.float_or(usize::MAX, "label_smoothing", 0.0)?;
    let class_axis = usize::from(x.rank() > 1);
    let count = x.dim(class_axis) as f64;
    let scores = x.log_softmax(class_axis);
    if let Node::Known(array) = target
        && !array.dtype().is_float()
    {
        let classes = Classes::of(a, x, array, weight_at)?;
        let nll = classes.reduced(classes.nll(&scores)?, how)?;
        if smoothing == 0.0 {
            return one(nll);
        }
        let weights = by_class(x, class_axis, classes.weights.clone())?;
        let there: Vec<bool> = classes.targets.iter().map(Option::is_some).collect();
        let all = bools(&classes.shape, there)?.select(-(scores * weights).sum(class_axis), 0.0);
        let smooth = classes.reduced(all, how)?;
        return one(nll * (1.0 - smoothing) + smooth * (smoothing / count));
    }
    // Probabilities of the classes.
    let target = a.to_tensor(target).ok_or("expected a target")?;
    let target = target * (1.0 - smoothing) + smoothing / count;
    let mut terms = scores * target;
    if a.has(weight_at, "weight") {
        let weights = a.known(weight_at, "weight")?.to_f64s();
        terms *= by_class(x, class_axis, weights)?;
    }
    let loss = -terms.sum(class_axis);
    one(match how {
        "mean" => loss.sum(..) / (x.len() as f64 / count),
        "sum" => loss.sum(..),
        _ => loss,
    })
}

/// Numbers for each class, laid along the class dimension.
fn by_class(x: &Tensor, class_axis: usize, values: Vec<f64>) -> Res<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[class_axis] = values.len();
    numbers(&shape, values)
}

fn multi_margin(a: &Args) -> Outs {
    let x = a.x()?;
    let power = a.int_or(2, "p", 1)?;
    let margin = a.float_or(3, "margin", 1.0)?;
    let target = a.known(1, "target")?;
    let targets: Vec<i64> = target.scalars().map(|s| s.to_i64()).collect();
    let rows = x.reshape([targets.len() as i64, -1]);
    let classes = rows.dim(1);
    let index = integers(&[targets.len(), 1], targets.clone())?;
    let hinge = (&rows - &rows.take_along_axis(&index, 1) + margin).relu();
    let mut terms = if power == 2 { hinge.square() } else { hinge };
    if a.has(4, "weight") {
        let weights = a.known(4, "weight")?.to_f64s();
        let of_row = targets.iter().map(|t| weights[*t as usize]).collect();
        terms *= numbers(&[targets.len(), 1], of_row)?;
    }
    let others = targets
        .iter()
        .flat_map(|t| (0..classes as i64).map(move |c| c != *t))
        .collect();
    let terms = bools(&[targets.len(), classes], others)?.select(terms, 0.0);
    let loss = terms.sum(1) / classes as f64;
    finish(
        a,
        if target.rank() == 0 {
            loss.reshape(())
        } else {
            loss
        },
    )
}

/// Targets are class numbers up to the first -1.
fn multilabel_margin(a: &Args) -> Outs {
    let x = a.x()?;
    let targets = a.known(1, "target")?;
    let numbers_of: Vec<i64> = targets.scalars().map(|s| s.to_i64()).collect();
    let classes = targets.shape().last().copied().unwrap_or(1);
    let rows = x.reshape([-1, classes as i64]);
    let mut is = Vec::new();
    let mut first = Vec::new();
    for row in numbers_of.chunks(classes.max(1)) {
        let chosen: Vec<i64> = row.iter().copied().take_while(|t| *t >= 0).collect();
        is.extend((0..classes as i64).map(|c| chosen.contains(&c)));
        first
            .extend((0..classes as i64).map(|c| chosen.iter().filter(|t| **t == c).count() as f64));
    }
    let n = numbers_of.len() / classes.max(1);
    // [row, target j, other i]
    let other = bools(&[n, 1, classes], is.iter().map(|t| !t).collect())?;
    let target = numbers(&[n, classes, 1], first)?;
    let gap = rows.expand_dims(1) - rows.expand_dims(2) + 1.0;
    let terms = select(&other, gap.relu(), 0.0) * target;
    let loss = terms.sum([1, 2]) / classes as f64;
    finish(
        a,
        if targets.rank() < 2 {
            loss.reshape(())
        } else {
            loss
        },
    )
}
