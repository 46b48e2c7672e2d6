//! How far the result of an operation is moved.

use cotangent_array::Array;

use super::{Noise, Walk};
use crate::arrays::{map_parts, parts, ulp, width};

impl Walk<'_> {
    pub(super) fn disturbed(&mut self, a: &Array) -> Array {
        if self.noise == Noise::None || !a.dtype().is_inexact() {
            return a.clone();
        }
        let dtype = a.dtype();
        map_parts(a, |x| {
            if !x.is_finite() {
                return x;
            }
            match self.noise {
                Noise::None => x,
                Noise::Ulp => {
                    let by = ulp(dtype, x);
                    if self.rng.chance(0.5) { x + by } else { x - by }
                }
                Noise::Relative(by) => {
                    let by = self.rng.uniform(-by, by);
                    x + by * x.abs().max(1e-3)
                }
            }
        })
    }

    /// Each element moved by an ulp of the largest, times the root of the length of its matrix.
    pub(super) fn disturbed_whole(&mut self, a: &Array) -> Array {
        if self.noise != Noise::Ulp {
            return self.disturbed(a);
        }
        let largest = parts(a)
            .into_iter()
            .filter(|x| x.is_finite())
            .fold(0.0_f64, |most, x| most.max(x.abs()));
        let rows = a.shape().dims().iter().rev().take(2).max();
        let by = ulp(a.dtype(), largest) * (rows.copied().unwrap_or(1) as f64).sqrt();
        map_parts(a, |x| {
            let by = if self.rng.chance(0.5) { by } else { -by };
            if x.is_finite() { x + by } else { x }
        })
    }

    /// Each element moved by an ulp of the norm of all that are on one line with it, along these axes.
    ///
    /// Every element of a line enters each step of a fast Fourier transform, so what is bounded is the error of
    /// the whole line: its norm is at most about log2(n) units of roundoff times the norm of the line (Higham
    /// 2002, theorem 24.2, and the remarks behind it on other algorithms than that of radix 2). Nothing says how
    /// the elements share it, and small ones beside large ones get as much as those.
    pub(super) fn disturbed_lines(&mut self, a: &Array, axes: &[usize]) -> Array {
        let shape = a.shape();
        let of = width(a.dtype());
        let strides = shape.strides();
        // The place of the first element of the line that an element is on.
        let line = |i: usize| {
            let along = axes.iter().map(|axis| {
                let (n, stride) = (shape[*axis].max(1), strides[*axis].max(1));
                i / stride % n * stride
            });
            i - along.sum::<usize>()
        };
        let values = parts(a);
        let mut squares = vec![0.0_f64; a.len()];
        for (i, x) in values.iter().enumerate() {
            squares[line(i / of)] += x * x;
        }
        let mut i = 0;
        map_parts(a, |x| {
            let by = ulp(a.dtype(), squares[line(i / of)].sqrt());
            i += 1;
            let by = if self.rng.chance(0.5) { by } else { -by };
            if x.is_finite() { x + by } else { x }
        })
    }
}
