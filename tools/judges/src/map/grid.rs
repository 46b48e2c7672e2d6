//! Sampling at places that a tensor gives.

use cotangent::{DType, Tensor};

use super::Table;
use super::tools::one;
use crate::args::{Node, Res, Stop};

pub const TABLE: Table = &[(
    &[
        "nn.functional.grid_sample",
        "grid_sampler_2d",
        "grid_sampler_3d",
    ],
    |a| {
        let (x, grid) = (a.x()?, a.tensor(1, "grid")?);
        let sampler = Sampler {
            mode: choice(a.node(2, "mode"), ["bilinear", "nearest", "bicubic"])?,
            border: choice(a.node(3, "padding_mode"), ["zeros", "border", "reflection"])?,
            align: a.bool_or(4, "align_corners", false)?,
        };
        one(sampler.sample(&x, &grid)?)
    },
)];

/// A choice by name or number.
fn choice(node: &Node, names: [&'static str; 3]) -> Res<&'static str> {
    let found = match node {
        Node::Null => names.first(),
        Node::Int(i) => usize::try_from(*i).ok().and_then(|i| names.get(i)),
        Node::Text(text) => names.iter().find(|n| *n == text),
        _ => None,
    };
    found
        .copied()
        .ok_or_else(|| Stop::Wrong(format!("expected one of {names:?}, found {node:?}")))
}

struct Sampler {
    mode: &'static str,
    border: &'static str,
    align: bool,
}

impl Sampler {
    /// `x` is [N, C, spatial..], `grid` is [N, out.., coordinates] with the last spatial dimension
    /// as the first coordinate.
    fn sample(&self, x: &Tensor, grid: &Tensor) -> Res<Tensor> {
        let spatial = x
            .rank()
            .checked_sub(2)
            .ok_or("expected a batch and channels")?;
        let (batch, channels) = (x.dim(0), x.dim(1));
        let out = grid
            .shape()
            .get(1..grid.rank() - 1)
            .unwrap_or_default()
            .to_vec();
        let coordinates = grid.reshape([batch as i64, -1, spatial as i64]);
        let places: Vec<Tensor> = (0..spatial)
            .map(|k| {
                let c = coordinates
                    .slice_axis(2, spatial - 1 - k..spatial - k)
                    .squeeze(2);
                self.scaled(&c, x.dim(k + 2))
            })
            .collect();
        // For each dimension the positions that take part, with their weights.
        let taps: Vec<Vec<Tap>> = places
            .iter()
            .enumerate()
            .map(|(k, p)| self.taps(p, x.dim(k + 2)))
            .collect();
        let space: usize = x.shape().iter().skip(2).product();
        let flat = x.reshape([batch, channels, space]);
        let mut sum: Option<Tensor> = None;
        let counts: Vec<usize> = taps.iter().map(Vec::len).collect();
        super::tools::each_index(&counts, |at| {
            let mut index: Option<Tensor> = None;
            let mut weight: Option<Tensor> = None;
            for (k, i) in at.iter().enumerate() {
                let tap = &taps[k][*i];
                index = Some(match index {
                    Some(index) => index * (x.dim(k + 2) as i64) + &tap.index,
                    None => tap.index.clone(),
                });
                weight = Some(match weight {
                    Some(weight) => weight * &tap.weight,
                    None => tap.weight.clone(),
                });
            }
            let (Some(index), Some(weight)) = (index, weight) else {
                return;
            };
            let count = index.dim(1);
            let index = index.expand_dims(1).broadcast_to([batch, channels, count]);
            let term = flat.take_along_axis(&index, 2) * weight.expand_dims(1);
            sum = Some(match sum.take() {
                Some(sum) => sum + term,
                None => term,
            });
        });
        let sum = sum.ok_or("no spatial dimensions")?;
        let mut shape = vec![batch as i64, channels as i64];
        shape.extend(out.iter().map(|n| *n as i64));
        Ok(sum.reshape(shape))
    }

    /// From [-1, 1] to positions.
    fn scaled(&self, c: &Tensor, n: usize) -> Tensor {
        let n = n as f64;
        match self.align {
            true => (c + 1.0) * ((n - 1.0) / 2.0),
            false => ((c + 1.0) * n - 1.0) * 0.5,
        }
    }

    /// A position moved into the input as the border asks for.
    fn inside(&self, p: &Tensor, n: usize) -> Tensor {
        let last = n as f64 - 1.0;
        match self.border {
            "border" => p.clamp(0.0, last),
            "reflection" => {
                let (low, span) = match self.align {
                    true => (0.0, last),
                    false => (-0.5, n as f64),
                };
                if span == 0.0 {
                    return p * 0.0;
                }
                let distance = (p - low).abs();
                let extra = distance.fmod(span);
                let flips = (&distance / span).floor();
                let even = (flips % 2.0).equal(0.0);
                even.select(&extra + low, (span + low) - &extra)
                    .clamp(0.0, last)
            }
            _ => p.clone(),
        }
    }

    fn taps(&self, p: &Tensor, n: usize) -> Vec<Tap> {
        match self.mode {
            "nearest" => {
                let at = self.inside(p, n).round();
                vec![tap(&at.stop_gradient(), &at.ones_like(), n)]
            }
            "bicubic" => {
                let low = p.floor();
                let part = p - &low;
                (-1..=2)
                    .map(|k| {
                        let at = self.inside(&(&low + f64::from(k)).stop_gradient(), n);
                        // Whole positions stay whole when they are reflected.
                        tap(&at.round(), &cubic(&(&part - f64::from(k)).abs(), k), n)
                    })
                    .collect()
            }
            _ => {
                let p = self.inside(p, n);
                let low = p.floor();
                let part = &p - &low;
                vec![tap(&low, &(1.0 - &part), n), tap(&(&low + 1.0), &part, n)]
            }
        }
    }
}

/// A position along one dimension, and its weight, 0 outside of the input.
struct Tap {
    index: Tensor,
    weight: Tensor,
}

fn tap(at: &Tensor, weight: &Tensor, n: usize) -> Tap {
    let last = n as f64 - 1.0;
    let there = at.greater_equal(0.0) & at.less_equal(last);
    let index = there.select(at, 0.0).convert(DType::I64);
    Tap {
        index,
        weight: there.select(weight, 0.0),
    }
}

/// The cubic convolution kernel with parameter -0.75 (Keys 1981) at a distance, for tap `k`.
fn cubic(x: &Tensor, k: i32) -> Tensor {
    let a = -0.75;
    match k {
        0 | 1 => (x * (a + 2.0) - (a + 3.0)) * x * x + 1.0,
        _ => ((x * a - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
    }
}
