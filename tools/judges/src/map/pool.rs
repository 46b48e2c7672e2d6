//! Pooling and its inverse.

use cotangent::{PoolOptions, Tensor};

use super::Table;
use super::activation::random;
use super::resample::adaptive_means;
use super::tools::{as_i64, each_index, integers, one, per_dim, pick_or, strides};
use crate::args::{Args, Node, Outs, Res, Stop};

pub const TABLE: Table = &[
    (&["nn.functional.avg_pool1d"], |a| avg_pool(a, 1)),
    (&["nn.functional.avg_pool2d"], |a| avg_pool(a, 2)),
    (&["nn.functional.avg_pool3d"], |a| avg_pool(a, 3)),
    (&["nn.functional.max_pool1d"], |a| max_pool(a, 1)),
    (&["nn.functional.max_pool2d"], |a| max_pool(a, 2)),
    (&["nn.functional.max_pool3d"], |a| max_pool(a, 3)),
    (&["max_pool2d_with_indices_backward"], |a| {
        // The samples ask for the cotangent of the input where that of the result is one.
        let x = a.x()?;
        let (_, indices) = Windows::fixed(a, &x, 2)?.largest(&x)?;
        let flat = flat_spatial(&x, 2);
        let (rows, space) = (flat.dim(0), flat.dim(1));
        let indices = indices.reshape([rows as i64, -1]);
        let ones = Tensor::ones(indices.shape(), x.dtype());
        let counts = Tensor::zeros([rows, space], x.dtype()).add_along_axis(&indices, &ones, 1);
        one(counts.reshape(x.shape()))
    }),
    (&["nn.functional.adaptive_avg_pool1d"], |a| {
        adaptive_avg_pool(a, 1)
    }),
    (&["nn.functional.adaptive_avg_pool2d"], |a| {
        adaptive_avg_pool(a, 2)
    }),
    (&["nn.functional.adaptive_avg_pool3d"], |a| {
        adaptive_avg_pool(a, 3)
    }),
    (&["nn.functional.adaptive_max_pool1d"], |a| {
        adaptive_max_pool(a, 1)
    }),
    (&["nn.functional.adaptive_max_pool2d"], |a| {
        adaptive_max_pool(a, 2)
    }),
    (&["nn.functional.adaptive_max_pool3d"], |a| {
        adaptive_max_pool(a, 3)
    }),
    (&["nn.functional.fractional_max_pool2d"], |a| {
        fractional_max_pool(a, 2)
    }),
    (&["nn.functional.fractional_max_pool3d"], |a| {
        fractional_max_pool(a, 3)
    }),
    (&["nn.functional.max_unpool1d"], |a| max_unpool(a, 1)),
    (&["nn.functional.max_unpool2d"], |a| max_unpool(a, 2)),
    (&["nn.functional.max_unpool3d"], |a| max_unpool(a, 3)),
];

/// The arguments that all pooling of fixed windows has.
fn options(a: &Args, n: usize, padding_at: usize) -> Res<(Vec<usize>, PoolOptions)> {
    let window = per_dim(&a.ints(1, "kernel_size")?, n, &[])?;
    let stride = per_dim(&a.opt_ints(2, "stride")?.unwrap_or_default(), n, &[])?;
    let padding = a.opt_ints(padding_at, "padding")?.unwrap_or_default();
    let padding = per_dim(&padding, n, &vec![0; n])?;
    Ok((
        window,
        PoolOptions::default().stride(stride).padding(&padding[..]),
    ))
}

fn avg_pool(a: &Args, n: usize) -> Outs {
    let x = a.x()?;
    let (window, options) = options(a, n, 3)?;
    let options = options.ceil(a.bool_or(4, "ceil_mode", false)?);
    one(match a.has(6, "divisor_override") {
        true => x.sum_pool(window, &options) / a.float(6, "divisor_override")?,
        false => {
            let include = a.bool_or(5, "count_include_pad", true)?;
            x.avg_pool(window, &options.count_include_pad(include))
        }
    })
}

fn max_pool(a: &Args, n: usize) -> Outs {
    let x = a.x()?;
    if a.bool_or(6, "return_indices", false)? {
        let (values, indices) = Windows::fixed(a, &x, n)?.largest(&x)?;
        return Ok(vec![values, indices]);
    }
    let (window, options) = options(a, n, 3)?;
    let dilation = per_dim(&a.opt_ints(4, "dilation")?.unwrap_or_default(), n, &[])?;
    let options = options
        .dilation(dilation)
        .ceil(a.bool_or(5, "ceil_mode", false)?);
    one(x.max_pool(window, &options))
}

/// All spatial dimensions as one, and all others as one before it.
fn flat_spatial(x: &Tensor, n: usize) -> Tensor {
    let space: usize = x.shape().iter().rev().take(n).product();
    let rows = x.shape().iter().rev().skip(n).product::<usize>();
    x.reshape([rows, space])
}

/// Windows along each spatial dimension: the positions that each place of the result sees.
struct Windows(Vec<Vec<Vec<usize>>>);

impl Windows {
    /// Of the arguments of `max_pool`.
    fn fixed(a: &Args, x: &Tensor, n: usize) -> Res<Windows> {
        let window = per_dim(&a.ints(1, "kernel_size")?, n, &[])?;
        let stride = per_dim(&a.opt_ints(2, "stride")?.unwrap_or_default(), n, &window)?;
        let zeros = vec![0; n];
        let padding = per_dim(&a.opt_ints(3, "padding")?.unwrap_or_default(), n, &zeros)?;
        let ones = vec![1; n];
        let dilation = per_dim(&a.opt_ints(4, "dilation")?.unwrap_or_default(), n, &ones)?;
        let ceil = a.bool_or(5, "ceil_mode", false)?;
        let mut windows = Vec::new();
        for k in 0..n {
            let size = x.dim(k as i64 - n as i64);
            let reach = dilation[k] * (window[k] - 1) + 1;
            let room = size as i64 + 2 * padding[k] as i64 - reach as i64;
            let extra = if ceil { stride[k] as i64 - 1 } else { 0 };
            let mut count = (room + extra).div_euclid(stride[k] as i64) + 1;
            // A window must begin inside the input or the padding before it.
            if ceil && (count - 1) * stride[k] as i64 >= (size + padding[k]) as i64 {
                count -= 1;
            }
            let along = (0..count.max(0) as usize).map(|i| {
                (0..window[k])
                    .filter_map(|j| (i * stride[k] + j * dilation[k]).checked_sub(padding[k]))
                    .filter(|p| *p < size)
                    .collect()
            });
            windows.push(along.collect());
        }
        Ok(Windows(windows))
    }

    /// The largest element of each window and its flat position among the spatial dimensions.
    fn largest(&self, x: &Tensor) -> Res<(Tensor, Tensor)> {
        let n = self.0.len();
        let space = x.shape().get(x.rank() - n..).unwrap_or_default().to_vec();
        let step = strides(&space);
        let result: Vec<usize> = self.0.iter().map(Vec::len).collect();
        let width: usize = self
            .0
            .iter()
            .map(|w| w.iter().map(Vec::len).max().unwrap_or(0))
            .product();
        let mut table = Vec::new();
        each_index(&result, |at| {
            let lists: Vec<&Vec<usize>> = at.iter().zip(&self.0).map(|(i, w)| &w[*i]).collect();
            let sizes: Vec<usize> = lists.iter().map(|l| l.len()).collect();
            let start = table.len();
            each_index(&sizes, |inner| {
                let places = inner.iter().zip(&lists).map(|(j, l)| l[*j]);
                table.push(Some(places.zip(&step).map(|(p, s)| p * s).sum::<usize>()));
            });
            table.resize(start + width, None);
        });
        let flat = flat_spatial(x, n);
        let (rows, cells) = (flat.dim(0), flat.dim(1));
        let all: Vec<Option<usize>> = (0..rows)
            .flat_map(|r| table.iter().map(move |p| p.map(|p| r * cells + p)))
            .collect();
        let count: usize = result.iter().product();
        let seen = pick_or(&flat, &all, &[rows, count, width], f64::NEG_INFINITY)?;
        let place = seen.argmax(2).expand_dims(2);
        let values = seen.take_along_axis(&place, 2).squeeze(2);
        let known = table.iter().map(|p| p.map_or(0, |p| p as i64)).collect();
        let known = integers(&[1, count, width], known)?.broadcast_to([rows, count, width]);
        let indices = known.take_along_axis(&place, 2).squeeze(2);
        let mut shape = x.shape().get(..x.rank() - n).unwrap_or_default().to_vec();
        shape.extend(result);
        let shape = as_i64(&shape);
        Ok((values.reshape(&shape), indices.reshape(&shape)))
    }
}

/// The sizes of the result: those of the input where none is given.
fn output_sizes(a: &Args, x: &Tensor, n: usize) -> Res<Vec<usize>> {
    let mut sizes = a.opt_sizes(1, "output_size")?;
    if sizes.len() == 1 {
        sizes = vec![sizes[0]; n];
    }
    if sizes.len() != n {
        return Err(Stop::Wrong(format!("expected {n} sizes, found {sizes:?}")));
    }
    let own = |k: usize| x.dim(k as i64 - n as i64);
    Ok(sizes
        .iter()
        .enumerate()
        .map(|(k, s)| s.unwrap_or_else(|| own(k)))
        .collect())
}

fn adaptive_avg_pool(a: &Args, n: usize) -> Outs {
    let x = a.x()?;
    let sizes = output_sizes(a, &x, n)?;
    one(adaptive_means(&x, &sizes)?)
}

fn adaptive_max_pool(a: &Args, n: usize) -> Outs {
    let x = a.x()?;
    let sizes = output_sizes(a, &x, n)?;
    let windows = sizes.iter().enumerate().map(|(k, size)| {
        let length = x.dim(k as i64 - n as i64);
        (0..*size)
            .map(|i| (i * length / size..((i + 1) * length).div_ceil(*size)).collect())
            .collect()
    });
    let (values, indices) = Windows(windows.collect()).largest(&x)?;
    Ok(match a.bool_or(2, "return_indices", false)? {
        true => vec![values, indices],
        false => vec![values],
    })
}

/// Windows that begin at places which random numbers determine; only where those are given.
fn fractional_max_pool(a: &Args, n: usize) -> Outs {
    let x = a.x()?;
    let Node::Known(samples) = a.named("_random_samples") else {
        return random();
    };
    let window = per_dim(&a.ints(1, "kernel_size")?, n, &[])?;
    let sizes = match a.opt_ints(2, "output_size")? {
        Some(sizes) => per_dim(&sizes, n, &[])?,
        None => {
            let ratios = a.floats(3, "output_ratio")?;
            let ratio = |k: usize| ratios.get(k).or(ratios.first()).copied().unwrap_or(1.0);
            (0..n)
                .map(|k| (x.dim(k as i64 - n as i64) as f64 * ratio(k)) as usize)
                .collect()
        }
    };
    // One set of samples is for one image and channel; the dimensions come last first.
    let samples_of: Vec<f64> = samples.to_f64s();
    let batch = x.shape().get(..x.rank() - n).unwrap_or_default().to_vec();
    let images: usize = batch.iter().product();
    let flat = x.reshape(as_i64(&[&[images], &x.shape()[x.rank() - n..]].concat()));
    let (mut values, mut indices) = (Vec::new(), Vec::new());
    for image in 0..images {
        let windows = (0..n).map(|k| {
            let u = samples_of
                .get(image * n + n - 1 - k)
                .copied()
                .unwrap_or(0.0);
            let length = x.dim(k as i64 - n as i64);
            let alpha = (length - window[k]) as f64 / (sizes[k] as f64 - 1.0);
            // Truncation toward zero, as PyTorch does.
            let start = |i: usize| {
                if i + 1 == sizes[k] {
                    return length - window[k];
                }
                let place = ((i as f64 + u) * alpha) as i64 - (u * alpha) as i64;
                usize::try_from(place).unwrap_or(0)
            };
            (0..sizes[k])
                .map(|i| (start(i)..start(i) + window[k]).collect())
                .collect()
        });
        let one_image = flat.slice_axis(0, image..image + 1);
        let (value, index) = Windows(windows.collect()).largest(&one_image)?;
        values.push(value);
        indices.push(index);
    }
    let shape = as_i64(&[&batch[..], &sizes[..]].concat());
    let values = cotangent::concat(&values, 0).reshape(&shape);
    Ok(match a.bool_or(4, "return_indices", false)? {
        true => vec![values, cotangent::concat(&indices, 0).reshape(&shape)],
        false => vec![values],
    })
}

/// Elements put back where `max_pool` found them.
fn max_unpool(a: &Args, n: usize) -> Outs {
    let x = a.x()?;
    let indices = a.known(1, "indices")?;
    let window = per_dim(&a.ints(2, "kernel_size")?, n, &[])?;
    let stride = per_dim(&a.opt_ints(3, "stride")?.unwrap_or_default(), n, &window)?;
    let padding = per_dim(
        &a.opt_ints(4, "padding")?.unwrap_or_default(),
        n,
        &vec![0; n],
    )?;
    let size = |k: usize| x.dim(k as i64 - n as i64);
    let space: Vec<usize> = match a.opt_ints(5, "output_size")? {
        Some(sizes) => sizes
            .iter()
            .rev()
            .take(n)
            .rev()
            .map(|s| *s as usize)
            .collect(),
        None => (0..n)
            .map(|k| ((size(k).max(1) - 1) * stride[k] + window[k]).saturating_sub(2 * padding[k]))
            .collect(),
    };
    let flat = flat_spatial(&x, n);
    let rows = flat.dim(0);
    let cells: usize = space.iter().product();
    // Of several elements for one place the last stays.
    let width = flat.dim(1);
    let mut last = vec![None; rows * cells];
    for (i, place) in indices.scalars().enumerate() {
        let place = place.to_i64() as usize;
        let row = i / width.max(1);
        *last
            .get_mut(row * cells + place)
            .ok_or("an index out of range")? = Some(i);
    }
    let mut shape = x.shape().get(..x.rank() - n).unwrap_or_default().to_vec();
    shape.extend(space);
    one(pick_or(&flat, &last, &shape, 0.0)?)
}
