//! Views: shapes, dimensions, diagonals, repetition.

use cotangent::{DType, Tensor, block_diag, meshgrid};

use super::Table;
use super::tools::{as_i64, bools, dim, each_index, one, pick, pick_along, pick_or, strides};
use crate::args::{Args, Outs, Res, Stop, not_mapped};

pub const TABLE: Table = &[
    (&["reshape", "view", "view_copy"], |a| {
        one(a.x()?.reshape(a.rest(1, "shape")?))
    }),
    (&["reshape_as", "view_as"], |a| {
        one(a.x()?.reshape(a.tensor(1, "other")?.shape()))
    }),
    (&["ravel"], |a| one(a.x()?.ravel())),
    (&["flatten"], |a| {
        let x = a.x()?;
        if x.rank() == 0 {
            return one(x.reshape([1]));
        }
        one(x.flatten(a.int_or(1, "start_dim", 0)?, a.int_or(2, "end_dim", -1)?))
    }),
    (&["unflatten"], |a| {
        let x = a.x()?;
        let d = dim(a.int(1, "dim")?, x.rank())?;
        let mut shape = as_i64(x.shape());
        let mut sizes = a.ints(2, "sizes")?;
        // A -1 means what is left of this dimension.
        let known: i64 = sizes.iter().filter(|s| **s >= 0).product();
        for s in &mut sizes {
            if *s < 0 {
                *s = x.dim(d) as i64 / known.max(1);
            }
        }
        shape.splice(d..=d, sizes);
        one(x.reshape(shape))
    }),
    (&["squeeze", "squeeze_copy"], |a| {
        let x = a.x()?;
        let Some(dims) = a.opt_ints(1, "dim")? else {
            return one(x.squeeze(..));
        };
        let mut axes = Vec::new();
        for d in dims {
            let d = dim(d, x.rank())?;
            if d < x.rank() && x.dim(d) == 1 {
                axes.push(d);
            }
        }
        one(x.squeeze(axes))
    }),
    (&["unsqueeze", "unsqueeze_copy"], |a| {
        one(a.x()?.expand_dims(a.int(1, "dim")?))
    }),
    (&["expand", "expand_copy", "broadcast_to"], |a| {
        let x = a.x()?;
        let sizes = a.rest(1, "size")?;
        let new = sizes.len().saturating_sub(x.rank());
        let shape = sizes
            .iter()
            .enumerate()
            .map(|(i, s)| match usize::try_from(*s) {
                Ok(s) => s,
                // -1: as it is.
                Err(_) => x.dim(i.saturating_sub(new)),
            });
        one(x.broadcast_to(shape.collect::<Vec<usize>>()))
    }),
    (&["expand_as"], |a| {
        one(a.x()?.broadcast_to(a.tensor(1, "other")?.shape()))
    }),
    (&["broadcast_tensors"], |a| {
        let all = a.variadic_tensors()?;
        let mut sum = Tensor::zeros((), DType::F64);
        for t in &all {
            sum += t.stop_gradient();
        }
        Ok(all.iter().map(|t| t.broadcast_to(sum.shape())).collect())
    }),
    (&["permute", "permute_copy"], |a| {
        one(a.x()?.permute(a.rest(1, "dims")?))
    }),
    (
        &["transpose", "transpose_copy", "swapaxes", "swapdims"],
        |a| {
            let x = a.x()?;
            if x.rank() == 0 {
                return one(x);
            }
            one(x.swapaxes(a.int(1, "dim0")?, a.int(2, "dim1")?))
        },
    ),
    (&["t", "t_copy", "T", "H"], |a| one(a.x()?.transpose())),
    (&["mT", "mH"], |a| one(a.x()?.t())),
    (&["movedim", "moveaxis"], |a| {
        one(a
            .x()?
            .moveaxis(a.ints(1, "source")?, a.ints(2, "destination")?))
    }),
    (&["atleast_1d"], |a| each(a, at_least_1d)),
    (&["atleast_2d"], |a| each(a, at_least_2d)),
    (&["atleast_3d"], |a| each(a, at_least_3d)),
    (&["flip"], |a| {
        let x = a.x()?;
        let dims = a.rest(1, "dims")?;
        one(if x.rank() == 0 { x } else { x.flip(dims) })
    }),
    (&["fliplr"], |a| one(a.x()?.flip(1))),
    (&["flipud"], |a| one(a.x()?.flip(0))),
    (&["roll"], |a| {
        let x = a.x()?;
        let shifts = a.ints(1, "shifts")?;
        let dims = a.opt_ints(2, "dims")?.unwrap_or_default();
        roll(&x, &shifts, &dims)
    }),
    (&["fft.fftshift"], |a| shifted(a, |n| n / 2)),
    (&["fft.ifftshift"], |a| shifted(a, |n| n.div_ceil(2))),
    (&["rot90"], |a| {
        let x = a.x()?;
        let k = a.int_or(1, "k", 1)?.rem_euclid(4);
        let dims = a.opt_ints(2, "dims")?.unwrap_or(vec![0, 1]);
        let [from, to] = dims[..] else {
            return Err("expected two dimensions".into());
        };
        one(match k {
            0 => x,
            1 => x.flip(to).swapaxes(from, to),
            2 => x.flip([from, to]),
            _ => x.flip(from).swapaxes(from, to),
        })
    }),
    (&["tile"], |a| one(a.x()?.tile(a.rest(1, "dims")?))),
    (&["repeat"], |a| one(a.x()?.tile(a.rest(1, "repeats")?))),
    (&["repeat_interleave"], |a| {
        let mut x = a.x()?;
        let repeats = a.ints(1, "repeats")?;
        let d = match a.has(2, "dim") {
            true => dim(a.int(2, "dim")?, x.rank())?,
            false => {
                x = x.ravel();
                0
            }
        };
        if let [count] = repeats[..] {
            return one(x.repeat(usize::try_from(count).unwrap_or(0), d));
        }
        let positions: Vec<Option<usize>> = repeats
            .iter()
            .enumerate()
            .flat_map(|(i, n)| std::iter::repeat_n(Some(i), usize::try_from(*n).unwrap_or(0)))
            .collect();
        one(pick_along(&x, d, &positions, 0.0)?)
    }),
    (&["as_strided", "as_strided_copy"], |a| {
        let x = a.x()?;
        if a.variant == "partial_views" && a.has(3, "storage_offset") {
            return not_mapped("the storage around the view is no part of the sample");
        }
        let size: Vec<usize> = a.ints(1, "size")?.iter().map(|n| *n as usize).collect();
        let step = a.ints(2, "stride")?;
        let offset = a.int_or(3, "storage_offset", 0)?;
        let mut positions = Vec::new();
        each_index(&size, |index| {
            let flat: i64 = index.iter().zip(&step).map(|(i, s)| *i as i64 * s).sum();
            positions.push(usize::try_from(offset + flat).unwrap_or(usize::MAX));
        });
        one(pick(&x, &positions, &size)?)
    }),
    (&["unfold", "unfold_copy"], |a| {
        let x = a.x()?;
        let x = if x.rank() == 0 { x.reshape([1]) } else { x };
        let d = dim(a.int(1, "dimension")?, x.rank())?;
        let (size, step) = (a.size(2, "size")?, a.size(3, "step")?.max(1));
        if a.x()?.rank() == 0 {
            return one(x.slice_axis(0, 0..size.min(1)));
        }
        let starts: Vec<usize> = (0..=x.dim(d).saturating_sub(size)).step_by(step).collect();
        let positions: Vec<Option<usize>> = starts
            .iter()
            .flat_map(|s| (*s..s + size).map(Some))
            .collect();
        let mut shape = x.shape().to_vec();
        shape.splice(d..=d, [starts.len(), size]);
        one(pick_along(&x, d, &positions, 0.0)?
            .reshape(as_i64(&shape))
            .moveaxis(d + 1, -1))
    }),
    (&["sum_to_size"], |a| {
        let x = a.x()?;
        let sizes = a.rest(1, "size")?;
        let new = x.rank().saturating_sub(sizes.len());
        let axes: Vec<usize> = (0..x.rank())
            .filter(|d| *d < new || (sizes.get(d - new) == Some(&1) && x.dim(*d) != 1))
            .collect();
        one(x.sum(axes).reshape(sizes))
    }),
    (&["diag"], |a| {
        let x = a.x()?;
        let offset = a.int_or(1, "diagonal", 0)?;
        one(if x.rank() == 1 {
            x.diag(offset)
        } else {
            x.diagonal(offset, 0, 1)
        })
    }),
    (&["diagflat"], |a| {
        one(a.x()?.ravel().diag(a.int_or(1, "offset", 0)?))
    }),
    (&["diag_embed"], |a| {
        let x = a.x()?;
        let matrices = x.diag(a.int_or(1, "offset", 0)?);
        let rank = matrices.rank();
        let to = [
            dim(a.int_or(2, "dim1", -2)?, rank)?,
            dim(a.int_or(3, "dim2", -1)?, rank)?,
        ];
        one(matrices.moveaxis([-2, -1], to))
    }),
    (&["diagonal", "diagonal_copy"], |a| {
        one(a.x()?.diagonal(
            a.int_or(1, "offset", 0)?,
            a.int_or(2, "dim1", 0)?,
            a.int_or(3, "dim2", 1)?,
        ))
    }),
    (&["linalg.diagonal"], |a| {
        one(a.x()?.diagonal(
            a.int_or(usize::MAX, "offset", 0)?,
            a.int_or(usize::MAX, "dim1", -2)?,
            a.int_or(usize::MAX, "dim2", -1)?,
        ))
    }),
    (&["diagonal_scatter"], diagonal_scatter),
    (&["tril"], |a| one(a.x()?.tril(a.int_or(1, "diagonal", 0)?))),
    (&["triu"], |a| one(a.x()?.triu(a.int_or(1, "diagonal", 0)?))),
    (&["meshgrid"], |a| {
        let vectors: Vec<Tensor> = a.variadic_tensors()?.iter().map(at_least_1d).collect();
        let xy = a.text_or(usize::MAX, "indexing", "ij")? == "xy" && vectors.len() > 1;
        if !xy {
            return Ok(meshgrid(&vectors));
        }
        let mut swapped = vectors;
        swapped.swap(0, 1);
        let mut grids = meshgrid(&swapped);
        grids.swap(0, 1);
        Ok(grids)
    }),
    (&["cartesian_prod"], |a| {
        let vectors = a.variadic_tensors()?;
        if let [only] = &vectors[..] {
            return one(only.clone());
        }
        let grids: Vec<Tensor> = meshgrid(&vectors).iter().map(Tensor::ravel).collect();
        one(cotangent::stack(&grids, 1))
    }),
    (&["combinations"], |a| {
        let x = a.x()?;
        let r = a.int_or(1, "r", 2)?.max(0) as usize;
        let replace = a.bool_or(2, "with_replacement", false)?;
        let n = x.dim(0);
        let mut positions = Vec::new();
        each_index(&vec![n; r], |index| {
            let rising = index
                .windows(2)
                .all(|w| w[0] < w[1] || (replace && w[0] == w[1]));
            if rising {
                positions.extend_from_slice(index);
            }
        });
        if r == 0 {
            return one(Tensor::zeros([0], x.dtype()));
        }
        one(pick(&x, &positions, &[positions.len() / r, r])?)
    }),
    (&["block_diag"], |a| {
        let blocks: Vec<Tensor> = a.variadic_tensors()?.iter().map(at_least_2d).collect();
        one(block_diag(&blocks))
    }),
    (&["nn.functional.pixel_shuffle"], |a| {
        let x = a.x()?;
        let r = a.size(1, "upscale_factor")?;
        let (batch, [c, h, w]) = image(&x)?;
        let y = x.reshape(as_i64(&[&batch[..], &[c / (r * r), r, r, h, w]].concat()));
        let b = batch.len();
        let axes: Vec<usize> = (0..b).chain([b, b + 3, b + 1, b + 4, b + 2]).collect();
        one(y
            .permute(axes)
            .reshape(as_i64(&[&batch[..], &[c / (r * r), h * r, w * r]].concat())))
    }),
    (&["nn.functional.pixel_unshuffle"], |a| {
        let x = a.x()?;
        let r = a.size(1, "downscale_factor")?;
        let (batch, [c, h, w]) = image(&x)?;
        let y = x.reshape(as_i64(&[&batch[..], &[c, h / r, r, w / r, r]].concat()));
        let b = batch.len();
        let axes: Vec<usize> = (0..b).chain([b, b + 2, b + 4, b + 1, b + 3]).collect();
        one(y
            .permute(axes)
            .reshape(as_i64(&[&batch[..], &[c * r * r, h / r, w / r]].concat())))
    }),
    (&["nn.functional.channel_shuffle"], |a| {
        let x = a.x()?;
        let groups = a.size(1, "groups")?;
        let (n, c) = (x.dim(0), x.dim(1));
        let rest = x.shape().get(2..).unwrap_or_default();
        let split = [&[n, groups, c / groups.max(1)], rest].concat();
        one(x.reshape(as_i64(&split)).swapaxes(1, 2).reshape(x.shape()))
    }),
];

/// An operation on one tensor, on several, or on a list.
fn each(a: &Args, f: fn(&Tensor) -> Tensor) -> Outs {
    Ok(a.variadic_tensors()?.iter().map(f).collect())
}

pub fn at_least_1d(x: &Tensor) -> Tensor {
    if x.rank() == 0 {
        x.reshape([1])
    } else {
        x.clone()
    }
}

pub fn at_least_2d(x: &Tensor) -> Tensor {
    if x.rank() < 2 {
        at_least_1d(x).expand_dims(0)
    } else {
        x.clone()
    }
}

pub fn at_least_3d(x: &Tensor) -> Tensor {
    if x.rank() < 3 {
        at_least_2d(x).expand_dims(2)
    } else {
        x.clone()
    }
}

fn roll(x: &Tensor, shifts: &[i64], dims: &[i64]) -> Outs {
    if x.is_empty() || x.rank() == 0 {
        return one(x.clone());
    }
    if dims.is_empty() {
        let shift = shifts.first().copied().unwrap_or(0);
        return one(x.ravel().roll(shift, 0).reshape(x.shape()));
    }
    let mut x = x.clone();
    for (shift, d) in shifts.iter().zip(dims) {
        x = x.roll(*shift, *d);
    }
    one(x)
}

fn shifted(a: &Args, by: fn(usize) -> usize) -> Outs {
    let x = a.x()?;
    let dims = match a.opt_ints(1, "dim")? {
        Some(dims) => dims,
        None => (0..x.rank() as i64).collect(),
    };
    let mut shifts = Vec::new();
    for d in &dims {
        shifts.push(by(x.dim(dim(*d, x.rank())?)) as i64);
    }
    roll(&x, &shifts, &dims)
}

/// The positions of a diagonal in row-major order, batch by batch, with the place in `source`.
fn diagonal_scatter(a: &Args) -> Outs {
    let (x, source) = (a.x()?, a.tensor(1, "src")?);
    let offset = a.int_or(2, "offset", 0)?;
    let d1 = dim(a.int_or(3, "dim1", 0)?, x.rank())?;
    let d2 = dim(a.int_or(4, "dim2", 1)?, x.rank())?;
    let step = strides(x.shape());
    let mut places = vec![None; x.len()];
    // The source has the other dimensions first and the diagonal last.
    let mut batch = x.shape().to_vec();
    for d in [d1, d2] {
        batch[d] = 1;
    }
    let mut next = 0;
    each_index(&batch, |index| {
        let start: usize = index.iter().zip(&step).map(|(i, s)| i * s).sum();
        for i in 0..x.dim(d1) {
            let Ok(j) = usize::try_from(i as i64 + offset) else {
                continue;
            };
            if j < x.dim(d2) {
                places[start + i * step[d1] + j * step[d2]] = Some(next);
                next += 1;
            }
        }
    });
    let there: Vec<bool> = places.iter().map(Option::is_some).collect();
    let moved = pick_or(&source, &places, x.shape(), 0.0)?;
    one(bools(x.shape(), there)?.select(moved, x))
}

/// The batch dimensions, and channels, height and width.
fn image(x: &Tensor) -> Res<(Vec<usize>, [usize; 3])> {
    match x.shape().dims() {
        [batch @ .., c, h, w] => Ok((batch.to_vec(), [*c, *h, *w])),
        _ => Err(Stop::Wrong(format!(
            "expected three dimensions or more, found {}",
            x.shape()
        ))),
    }
}
