//! A sampler for each operation that is not pointwise.

use cotangent_array::{DType, Shape};
use cotangent_graph::Var;
use cotangent_graph::ops::*;

use super::{Sampler, is, with_axis};
use crate::random::Generator;

macro_rules! samplers {
    ($($T:ident => $sample:expr,)*) => {
        /// The name and the sampler of every operation that is not pointwise.
        pub(super) const SAMPLERS: &[(&str, Sampler)] = &[$((<$T as Attributed>::NAME, $sample)),*];

        /// No default arm: an operation without a sampler does not compile.
        #[allow(dead_code)]
        fn is_complete(op: &ArrayOp) {
            match op { $(ArrayOp::$T(_) => {})* }
        }
    };
}

samplers! {
    Iota => iota,
    RandomBits => random_bits,
    Reshape => reshape,
    Transpose => transpose,
    Broadcast => broadcast,
    Reverse => |g| {
        let x = any(g, Kinds::Any)?;
        let axes = some_axes(g, x);
        g.push(Reverse { axes }, &[x])
    },
    Slice => slice,
    Pad => pad,
    Concat => concat,
    Gather => gather,
    ScatterAdd => scatter_add,
    Fft => |g| {
        let x = any(g, Kinds::Complex)?;
        let axes = some_axes(g, x);
        let inverse = g.rng.chance(0.5);
        g.push(Fft { axes, inverse }, &[x])
    },
    Rfft => |g| {
        let (x, axis) = along(g, Kinds::Float)?;
        g.push(Rfft { axis }, &[x])
    },
    Irfft => |g| {
        let (x, axis) = along(g, Kinds::Complex)?;
        // Both lengths that have so many frequencies.
        let n = (2 * g.ty(x).dim(axis)).checked_sub(g.rng.size(1, 2))?;
        g.push(Irfft { axis, n }, &[x])
    },
    Sum => |g| {
        let (x, axes) = reduced(g, Kinds::Numeric)?;
        g.push(Sum { axes }, &[x])
    },
    Prod => |g| {
        let (x, axes) = reduced(g, Kinds::Numeric)?;
        let x = factors(g, x)?;
        g.push(Prod { axes }, &[x])
    },
    Max => |g| {
        let (x, axes) = reduced(g, Kinds::Number)?;
        g.push(Max { axes }, &[x])
    },
    Min => |g| {
        let (x, axes) = reduced(g, Kinds::Number)?;
        g.push(Min { axes }, &[x])
    },
    Norm => |g| {
        let (x, axes) = reduced(g, Kinds::Float)?;
        g.push(Norm { axes }, &[x])
    },
    ArgMax => |g| {
        let (x, axis) = along(g, Kinds::Number)?;
        g.push(ArgMax { axis }, &[x])
    },
    ArgMin => |g| {
        let (x, axis) = along(g, Kinds::Number)?;
        g.push(ArgMin { axis }, &[x])
    },
    Any => |g| {
        let x = g.any(DType::Bool, |_| true)?;
        let axes = some_axes(g, x);
        g.push(Any { axes }, &[x])
    },
    All => |g| {
        let x = g.any(DType::Bool, |_| true)?;
        let axes = some_axes(g, x);
        g.push(All { axes }, &[x])
    },
    CumSum => |g| {
        let (x, axis) = along(g, Kinds::Numeric)?;
        let reverse = g.rng.chance(0.5);
        g.push(CumSum { axis, reverse }, &[x])
    },
    CumProd => |g| {
        let (x, axis) = along(g, Kinds::Numeric)?;
        let x = factors(g, x)?;
        let reverse = g.rng.chance(0.5);
        g.push(CumProd { axis, reverse }, &[x])
    },
    Recurrence => |g| {
        let (b, axis) = along(g, Kinds::Numeric)?;
        let t = g.ty(b);
        let a = g.operand(t.dtype, &t.shape);
        let a = factors(g, a)?;
        let reverse = g.rng.chance(0.5);
        g.push(Recurrence { axis, reverse }, &[a, b])
    },
    CumArgMax => |g| {
        let (x, axis) = along(g, Kinds::Number)?;
        let last = g.rng.chance(0.5);
        g.push(CumArgMax { axis, last }, &[x])
    },
    CumArgMin => |g| {
        let (x, axis) = along(g, Kinds::Number)?;
        let last = g.rng.chance(0.5);
        g.push(CumArgMin { axis, last }, &[x])
    },
    ArgSort => argsort,
    SearchSorted => searchsorted,
    Dot => dot,
    Conv => conv,
    WindowSum => |g| {
        let (x, w) = window(g)?;
        let Windows { window, stride, padding, dilation } = w;
        g.push(WindowSum { window, stride, padding, dilation }, &[x])
    },
    WindowMax => |g| {
        let (x, w) = window(g)?;
        let Windows { window, stride, padding, dilation } = w;
        g.push(WindowMax { window, stride, padding, dilation }, &[x])
    },
    WindowArgMax => |g| {
        let (x, w) = window(g)?;
        let Windows { window, stride, padding, dilation } = w;
        g.push(WindowArgMax { window, stride, padding, dilation }, &[x])
    },
}

/// An operand of one of these dtypes, of ordinary size.
fn any(g: &mut Generator, kinds: Kinds) -> Option<Var> {
    let dtype = g.dtype(is(kinds))?;
    let x = g.any(dtype, |_| true)?;
    g.fit(x, -8.0, 8.0)
}

/// An operand and an axis of it.
fn along(g: &mut Generator, kinds: Kinds) -> Option<(Var, usize)> {
    let dtype = g.dtype(is(kinds))?;
    let x = g.any(dtype, |s| s.rank() > 0)?;
    let x = g.fit(x, -8.0, 8.0)?;
    let rank = g.ty(x).rank();
    Some((x, g.rng.below(rank)))
}

/// An operand and axes that may vanish.
fn reduced(g: &mut Generator, kinds: Kinds) -> Option<(Var, Vec<usize>)> {
    let x = any(g, kinds)?;
    Some((x, some_axes(g, x)))
}

/// Factors near 1, so that products stay of ordinary size; sometimes with exact zeros.
fn factors(g: &mut Generator, x: Var) -> Option<Var> {
    let x = g.fit(x, -2.0, 2.0)?;
    let t = g.ty(x);
    if !t.dtype.is_inexact() || !g.rng.chance(0.25) {
        return Some(x);
    }
    let kept = g.operand(DType::Bool, &t.shape);
    let zero = g.full(cotangent_array::Scalar::zero(t.dtype), &t.shape);
    g.push(Ternary::Select, &[kept, x, zero])
}

/// Increasing axes of an operand: each with even chances.
fn some_axes(g: &mut Generator, x: Var) -> Vec<usize> {
    let rank = g.ty(x).rank();
    (0..rank).filter(|_| g.rng.chance(0.5)).collect()
}

fn iota(g: &mut Generator) -> Option<Var> {
    let mut shape = g.shape();
    if shape.is_scalar() {
        shape = [g.length()].into();
    }
    let axis = g.rng.below(shape.rank());
    let dtype = g.dtype(is(Kinds::Number))?;
    g.push(Iota { shape, axis, dtype }, &[])
}

fn random_bits(g: &mut Generator) -> Option<Var> {
    let streams: Shape = if g.rng.chance(0.6) {
        ().into()
    } else {
        [g.length()].into()
    };
    let keys: Shape = streams.iter().copied().chain([2]).collect();
    let key = g.operand(DType::U32, &keys);
    let counter = g.operand(DType::U32, &streams);
    let shape: Shape = (0..g.rng.below(3)).map(|_| g.length()).collect();
    let bits = g.push(RandomBits { shape }, &[key, counter])?;
    if g.rng.chance(0.5) {
        return Some(bits);
    }
    // A uniform number from the bits, as the library makes them.
    let to = g.float();
    let wide = g.push(cotangent_graph::Op::Convert(to), &[bits])?;
    let shape = g.ty(bits).shape;
    let scale = g.full(
        cotangent_array::Scalar::from_f64(to, 2.0_f64.powi(-32)),
        &shape,
    );
    g.push(Binary::Mul, &[wide, scale])
}

fn reshape(g: &mut Generator) -> Option<Var> {
    let x = any(g, Kinds::Any)?;
    let n = g.ty(x).shape.elements();
    let mut dims = Vec::new();
    if n == 0 {
        dims = vec![0];
        for _ in 0..g.rng.below(3) {
            dims.push(g.length());
        }
    } else {
        let mut rest = n;
        while rest > 1 {
            let divisors: Vec<usize> = (2..=rest).filter(|d| rest.is_multiple_of(*d)).collect();
            let d = g.rng.pick(&divisors)?;
            dims.push(d);
            rest /= d;
        }
    }
    while dims.len() < 4 && g.rng.chance(0.3) {
        dims.push(1);
    }
    g.rng.shuffle(&mut dims);
    g.push(Reshape { shape: dims.into() }, &[x])
}

fn transpose(g: &mut Generator) -> Option<Var> {
    let x = any(g, Kinds::Any)?;
    let mut axes: Vec<usize> = (0..g.ty(x).rank()).collect();
    g.rng.shuffle(&mut axes);
    g.push(Transpose { axes }, &[x])
}

fn broadcast(g: &mut Generator) -> Option<Var> {
    let x = any(g, Kinds::Any)?;
    let old = g.ty(x).shape;
    let (mut shape, mut dims) = (Vec::new(), Vec::new());
    for n in old.iter() {
        while shape.len() < 4 && g.rng.chance(0.3) {
            shape.push(g.length());
        }
        dims.push(shape.len());
        shape.push(*n);
    }
    while shape.len() < 4 && g.rng.chance(0.4) {
        shape.push(g.length());
    }
    let shape = Shape::from(shape);
    if shape.elements() > g.most() {
        return None;
    }
    g.push(Broadcast { shape, dims }, &[x])
}

fn slice(g: &mut Generator) -> Option<Var> {
    let x = any(g, Kinds::Any)?;
    let (mut start, mut limit, mut stride) = (Vec::new(), Vec::new(), Vec::new());
    for n in g.ty(x).shape.iter() {
        let a = g.rng.size(0, *n);
        start.push(if g.rng.chance(0.5) { 0 } else { a });
        limit.push(if g.rng.chance(0.5) {
            *n
        } else {
            g.rng.size(a, *n)
        });
        stride.push(g.rng.pick(&[1, 1, 2, 3])?);
    }
    g.push(
        Slice {
            start,
            limit,
            stride,
        },
        &[x],
    )
}

fn pad(g: &mut Generator) -> Option<Var> {
    let x = any(g, Kinds::Any)?;
    let t = g.ty(x);
    let mut draw = |most: &[usize]| -> Vec<usize> {
        (0..t.rank())
            .map(|_| g.rng.pick(most).unwrap_or(0))
            .collect()
    };
    let (low, high, interior) = (
        draw(&[0, 0, 1, 2]),
        draw(&[0, 0, 1, 2]),
        draw(&[0, 0, 0, 1]),
    );
    let value = g.operand(t.dtype, &().into());
    let value = g.fit(value, -8.0, 8.0)?;
    g.push(
        Pad {
            low,
            high,
            interior,
        },
        &[x, value],
    )
}

fn concat(g: &mut Generator) -> Option<Var> {
    let (x, axis) = along(g, Kinds::Any)?;
    let t = g.ty(x);
    let mut parts = vec![x];
    for _ in 0..g.rng.below(3) {
        let length = g.length();
        let part = g.operand(t.dtype, &with_axis(&t.shape, axis, length));
        parts.push(g.fit(part, -8.0, 8.0)?);
    }
    g.rng.shuffle(&mut parts);
    g.push(Concat { axis }, &parts)
}

/// What gather and scatter_add share: the array that is read or written, the axes and the indices.
struct Places {
    axis: usize,
    batch: usize,
    indices: Vec<Var>,
    /// The shape of what is read out or added.
    taken: Shape,
}

fn places(g: &mut Generator, shape: &Shape) -> Option<Places> {
    let rank = shape.rank();
    if rank == 0 {
        return None;
    }
    let axis = g.rng.below(rank);
    let count = g.rng.size(1, (rank - axis).min(2));
    let batch = if g.rng.chance(0.3) {
        g.rng.size(0, axis)
    } else {
        0
    };
    let mut dims: Vec<usize> = shape.get(..batch)?.to_vec();
    for _ in 0..g.rng.below(3) {
        dims.push(g.length());
    }
    let index_shape = Shape::from(dims);
    let taken: Shape = (shape.get(..axis)?.iter())
        .chain(index_shape.get(batch..)?)
        .chain(shape.get(axis + count..)?)
        .copied()
        .collect();
    if taken.elements() > g.most() {
        return None;
    }
    let dtype = g
        .rng
        .pick(&[DType::I64, DType::I64, DType::I32, DType::U32, DType::U8])?;
    let indices = (axis..axis + count)
        .map(|a| g.index(shape[a], dtype, &index_shape))
        .collect::<Option<Vec<Var>>>()?;
    Some(Places {
        axis,
        batch,
        indices,
        taken,
    })
}

fn gather(g: &mut Generator) -> Option<Var> {
    let (x, _) = along(g, Kinds::Any)?;
    let shape = g.ty(x).shape;
    let Places {
        axis,
        batch,
        indices,
        ..
    } = places(g, &shape)?;
    // Now and then the picked rows times numbers, added up, which one step does.
    let index = g.ty(*indices.first()?).shape;
    let (dtype, last) = (g.ty(x).dtype, index.rank().checked_sub(1));
    let added = axis == batch && dtype.is_inexact() && g.rng.chance(0.4);
    let x = if added { g.fit(x, -8.0, 8.0)? } else { x };
    let args: Vec<Var> = std::iter::once(x).chain(indices).collect();
    let picked = g.push(Gather { axis, batch }, &args)?;
    let Some(last) = last.filter(|_| added) else {
        return Some(picked);
    };
    let numbers = g.operand(dtype, &index);
    let numbers = g.fit(numbers, -8.0, 8.0)?;
    let shared: Vec<usize> = (0..last).collect();
    let mut op = Dot {
        contract: (vec![last], vec![last]),
        batch: (shared.clone(), shared),
    };
    let mut args = [numbers, picked];
    if g.rng.chance(0.3) {
        op = op.flipped();
        args.reverse();
    }
    g.push(op, &args)
}

fn scatter_add(g: &mut Generator) -> Option<Var> {
    let shape = match g.rng.chance(0.5) {
        true => g.some(|t| t.rank() > 0).map(|v| g.ty(v).shape)?,
        false => g.shape(),
    };
    let Places {
        axis,
        batch,
        indices,
        taken,
    } = places(g, &shape)?;
    let dtype = g.dtype(is(Kinds::Numeric))?;
    let updates = g.operand(dtype, &taken);
    let updates = g.fit(updates, -8.0, 8.0)?;
    let args: Vec<Var> = std::iter::once(updates).chain(indices).collect();
    g.push(ScatterAdd { shape, axis, batch }, &args)
}

fn argsort(g: &mut Generator) -> Option<Var> {
    let (x, axis) = along(g, Kinds::Number)?;
    let t = g.ty(x);
    let length = t.dim(axis);
    let count = if g.rng.chance(0.6) {
        length
    } else {
        g.rng.size(0, length)
    };
    let descending = g.rng.chance(0.5);
    let places = g.push(
        ArgSort {
            axis,
            descending,
            count,
        },
        &[x],
    )?;
    // Often the sorted elements themselves, along the last axis, which have derivatives.
    if axis + 1 == t.rank() && g.rng.chance(0.7) {
        return g.push(Gather { axis, batch: axis }, &[x, places]);
    }
    Some(places)
}

fn searchsorted(g: &mut Generator) -> Option<Var> {
    let dtype = g.dtype(is(Kinds::Number))?;
    let x = g.any(dtype, |s| s.rank() > 0)?;
    let x = g.fit(x, -8.0, 8.0)?;
    let shape = g.ty(x).shape;
    let axis = shape.rank() - 1;
    let order = ArgSort {
        axis,
        descending: false,
        count: shape[axis],
    };
    let places = g.push(order, &[x])?;
    let sorted = g.push(Gather { axis, batch: axis }, &[x, places])?;
    let mut dims = shape.get(..axis)?.to_vec();
    for _ in 0..g.rng.below(3) {
        dims.push(g.length());
    }
    let dims = Shape::from(dims);
    if dims.elements() > g.most() {
        return None;
    }
    let values = g.operand(dtype, &dims);
    let values = g.fit(values, -8.0, 8.0)?;
    let right = g.rng.chance(0.5);
    g.push(SearchSorted { right }, &[sorted, values])
}

fn dot(g: &mut Generator) -> Option<Var> {
    let x = any(g, Kinds::Numeric)?;
    let t = g.ty(x);
    let (mut contract, mut batch) = ((vec![], vec![]), (vec![], vec![]));
    // The axes of the right operand in a random order: what each of them is to the left one.
    let mut right: Vec<(usize, Option<(usize, bool)>)> = Vec::new();
    for (axis, n) in t.shape.iter().enumerate() {
        match g.rng.below(4) {
            0 | 1 => right.push((*n, Some((axis, true)))),
            2 => right.push((*n, Some((axis, false)))),
            _ => {}
        }
    }
    for _ in 0..g.rng.below(3) {
        right.push((g.length(), None));
    }
    g.rng.shuffle(&mut right);
    let shape: Shape = right.iter().map(|(n, _)| *n).collect();
    if shape.elements() > g.most() {
        return None;
    }
    let mut pairs: Vec<(usize, usize, bool)> = (right.iter().enumerate())
        .filter_map(|(at, (_, with))| with.map(|(axis, contracted)| (axis, at, contracted)))
        .collect();
    g.rng.shuffle(&mut pairs);
    for (axis, at, contracted) in pairs {
        let lists = if contracted {
            &mut contract
        } else {
            &mut batch
        };
        lists.0.push(axis);
        lists.1.push(at);
    }
    let free: usize = (right.iter())
        .filter(|(_, with)| with.is_none())
        .map(|(n, _)| n)
        .product();
    if t.shape.elements().saturating_mul(free) > 4 * g.most() {
        return None;
    }
    let y = g.operand(t.dtype, &shape);
    let y = g.fit(y, -8.0, 8.0)?;
    g.push(Dot { contract, batch }, &[x, y])
}

fn conv(g: &mut Generator) -> Option<Var> {
    let dtype = g.dtype(is(Kinds::Numeric))?;
    let rank = g.rng.pick(&[0, 1, 1, 1, 1, 1, 2, 2, 2, 3])?;
    let groups = g.rng.pick(&[1, 1, 1, 2])?;
    let most = if g.most() > 64 {
        [9, 40, 11, 6]
    } else {
        [5, 5, 4, 3]
    }[rank];
    let (images, ins, outs) = (g.rng.size(1, 2), g.rng.size(1, 2), g.rng.size(1, 2));
    let mut input = vec![images, groups * ins];
    let mut kernel = vec![groups * outs, ins];
    let (mut stride, mut padding, mut dilation, mut input_dilation) =
        (vec![], vec![], vec![], vec![]);
    for _ in 0..rank {
        input.push(if g.rng.chance(0.02) {
            0
        } else {
            g.rng.size(1, most)
        });
        kernel.push(g.rng.size(1, 3));
        stride.push(g.rng.pick(&[1, 1, 2, 3])?);
        padding.push((
            g.rng.pick(&[0, 0, 1, 2, -1])?,
            g.rng.pick(&[0, 0, 1, 2, -1])?,
        ));
        dilation.push(g.rng.pick(&[1, 1, 2])?);
        input_dilation.push(g.rng.pick(&[1, 1, 1, 2, 3])?);
    }
    let (input, kernel) = (Shape::from(input), Shape::from(kernel));
    if input.elements().max(kernel.elements()) > 2 * g.most() {
        return None;
    }
    let op = Conv {
        stride,
        padding,
        dilation,
        input_dilation,
        groups,
    };
    // Look before operands are made for nothing.
    let types = [&input, &kernel].map(|s| cotangent_graph::TensorType::new(dtype, s.clone()));
    op.infer(&[&types[0], &types[1]]).ok()?;
    let x = g.operand(dtype, &input);
    let x = g.fit(x, -8.0, 8.0)?;
    let k = g.operand(dtype, &kernel);
    let k = g.fit(k, -8.0, 8.0)?;
    g.push(op, &[x, k])
}

struct Windows {
    window: Vec<usize>,
    stride: Vec<usize>,
    padding: Vec<(usize, usize)>,
    dilation: Vec<usize>,
}

fn window(g: &mut Generator) -> Option<(Var, Windows)> {
    let x = any(g, Kinds::Number)?;
    let shape = g.ty(x).shape;
    let rank = g.rng.size(0, shape.rank().min(2));
    let mut w = Windows {
        window: vec![],
        stride: vec![],
        padding: vec![],
        dilation: vec![],
    };
    for n in shape.get(shape.rank() - rank..)? {
        let size = g.rng.size(1, 3.min(*n).max(1));
        w.window.push(size);
        w.stride.push(g.rng.pick(&[1, 1, 2, 3])?);
        w.padding.push((g.rng.below(size), g.rng.below(size)));
        w.dilation.push(g.rng.pick(&[1, 1, 1, 2])?);
    }
    Some((x, w))
}
