//! Interpolation: along each spatial dimension a multiplication by a matrix of weights.

use cotangent::Tensor;

use super::Table;
use super::tools::{along, one};
use crate::args::{Args, Outs, Res, Stop};

pub const TABLE: Table = &[
    (
        &["nn.functional.interpolate", "nn.functional.upsample"],
        |a| {
            let mode = a.text_or(3, "mode", "nearest")?;
            let align = a.bool_or(4, "align_corners", false)?;
            let smooth = a.bool_or(6, "antialias", false)?;
            interpolate(a, mode, align, smooth)
        },
    ),
    (&["nn.functional.upsample_bilinear"], |a| {
        interpolate(a, "bilinear", true, false)
    }),
    (&["nn.functional.upsample_nearest"], |a| {
        interpolate(a, "nearest", false, false)
    }),
    (&["_upsample_bilinear2d_aa"], |a| upsample_aa(a, "bilinear")),
    (&["_upsample_bicubic2d_aa"], |a| upsample_aa(a, "bicubic")),
];

/// The means over windows that cover the dimensions in as many parts as asked for.
pub fn adaptive_means(x: &Tensor, sizes: &[usize]) -> Res<Tensor> {
    let first = x.rank().checked_sub(sizes.len()).ok_or("too many sizes")?;
    let mut y = x.clone();
    for (k, size) in sizes.iter().enumerate() {
        let n = x.dim(first + k);
        let mut m = vec![0.0; size * n];
        for i in 0..*size {
            let (from, to) = (i * n / size, ((i + 1) * n).div_ceil(*size));
            for j in from..to {
                m[i * n + j] = 1.0 / (to - from) as f64;
            }
        }
        y = along(&y, first + k, *size, m)?;
    }
    Ok(y)
}

fn interpolate(a: &Args, mode: &str, align: bool, smooth: bool) -> Outs {
    let x = a.x()?;
    let n = x
        .rank()
        .checked_sub(2)
        .ok_or("expected a batch and channels")?;
    let factors = match a.has(2, "scale_factor") {
        true => {
            let list = a.floats(2, "scale_factor")?;
            Some(if list.len() == 1 {
                vec![list[0]; n]
            } else {
                list
            })
        }
        false => None,
    };
    let length = |k: usize| x.dim(k + 2);
    let sizes: Vec<usize> = match &factors {
        Some(f) => (0..n)
            .map(|k| (length(k) as f64 * f[k]).floor() as usize)
            .collect(),
        None => super::tools::per_dim(&a.ints(1, "size")?, n, &[])?,
    };
    if mode == "area" {
        return one(adaptive_means(&x, &sizes)?);
    }
    // The factor itself steps through the input, unless it is to be computed from the sizes.
    let recompute = a.bool_or(5, "recompute_scale_factor", false)?;
    let mut y = x.clone();
    for k in 0..n {
        let factor = factors.as_ref().map(|f| f[k]).filter(|_| !recompute);
        let step = Step {
            n: length(k),
            size: sizes[k],
            factor,
            align,
        };
        y = along(&y, k + 2, sizes[k], step.weights(mode, smooth)?)?;
    }
    one(y)
}

fn upsample_aa(a: &Args, mode: &str) -> Outs {
    let x = a.x()?;
    let align = a.bool_or(2, "align_corners", false)?;
    let mut factors: Vec<Option<f64>> = match a.has(3, "scale_factors") {
        true => a
            .floats(3, "scale_factors")?
            .into_iter()
            .map(Some)
            .collect(),
        false => vec![None; 2],
    };
    for (k, name) in ["scales_h", "scales_w"].iter().enumerate() {
        if a.has(usize::MAX, name) {
            factors[k] = Some(a.float(usize::MAX, name)?);
        }
    }
    let sizes = match a.has(1, "output_size") {
        true => super::tools::per_dim(&a.ints(1, "output_size")?, 2, &[])?,
        false => (0..2)
            .map(|k| (x.dim(k + 2) as f64 * factors[k].unwrap_or(1.0)).floor() as usize)
            .collect(),
    };
    let mut y = x.clone();
    for k in 0..2 {
        let step = Step {
            n: x.dim(k + 2),
            size: sizes[k],
            factor: factors[k],
            align,
        };
        y = along(&y, k + 2, sizes[k], step.weights(mode, true)?)?;
    }
    one(y)
}

/// How the places of a result lie in the input along one dimension.
struct Step {
    n: usize,
    size: usize,
    factor: Option<f64>,
    align: bool,
}

impl Step {
    /// The distance in the input between neighbours of the result.
    fn scale(&self) -> f64 {
        if self.align {
            return match self.size {
                0 | 1 => 0.0,
                _ => (self.n as f64 - 1.0) / (self.size as f64 - 1.0),
            };
        }
        match self.factor {
            Some(f) if f > 0.0 => 1.0 / f,
            _ => self.n as f64 / self.size as f64,
        }
    }

    /// Where place `i` of the result lies in the input.
    fn source(&self, i: usize) -> f64 {
        match self.align {
            true => i as f64 * self.scale(),
            false => (i as f64 + 0.5) * self.scale() - 0.5,
        }
    }

    fn weights(&self, mode: &str, smooth: bool) -> Res<Vec<f64>> {
        let last = self.n as i64 - 1;
        let mut m = vec![0.0; self.size * self.n];
        let mut add = |i: usize, j: i64, w: f64| m[i * self.n + j.clamp(0, last) as usize] += w;
        for i in 0..self.size {
            match mode {
                // PyTorch computes these places in single precision.
                "nearest" => add(i, (i as f32 * self.scale() as f32).floor() as i64, 1.0),
                "nearest-exact" => {
                    add(
                        i,
                        ((i as f32 + 0.5) * self.scale() as f32).floor() as i64,
                        1.0,
                    );
                }
                "linear" | "bilinear" | "trilinear" if smooth => {
                    let hat = |x: f64| (1.0 - x.abs()).max(0.0);
                    self.smooth(i, 2.0, hat)
                        .into_iter()
                        .for_each(|(j, w)| add(i, j, w));
                }
                "bicubic" if smooth => {
                    let filter = |x: f64| cubic(x, -0.5);
                    self.smooth(i, 4.0, filter)
                        .into_iter()
                        .for_each(|(j, w)| add(i, j, w));
                }
                "linear" | "bilinear" | "trilinear" => {
                    let x = self.source(i).max(0.0);
                    let low = (x.floor() as i64).min(last);
                    let part = (x - low as f64).clamp(0.0, 1.0);
                    add(i, low, 1.0 - part);
                    add(i, low + 1, part);
                }
                "bicubic" => {
                    let x = self.source(i);
                    let low = x.floor();
                    for k in -1..=2_i64 {
                        let distance = x - (low + k as f64);
                        add(i, low as i64 + k, cubic(distance, -0.75));
                    }
                }
                other => return Err(Stop::Wrong(format!("unknown mode {other}"))),
            }
        }
        Ok(m)
    }

    /// Weights of a filter that is stretched where the result is smaller than the input.
    fn smooth(&self, i: usize, width: f64, filter: impl Fn(f64) -> f64) -> Vec<(i64, f64)> {
        let scale = self.scale();
        let support = width * 0.5 * scale.max(1.0);
        let shrink = if scale >= 1.0 { 1.0 / scale } else { 1.0 };
        let center = scale * (i as f64 + 0.5);
        let from = ((center - support + 0.5) as i64).max(0);
        let to = ((center + support + 0.5) as i64).min(self.n as i64);
        let weight = |j: i64| filter((j as f64 - center + 0.5) * shrink);
        let sum: f64 = (from..to).map(weight).sum();
        (from..to).map(|j| (j, weight(j) / sum)).collect()
    }
}

/// The cubic convolution kernel with parameter `a` (Keys 1981).
pub fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
