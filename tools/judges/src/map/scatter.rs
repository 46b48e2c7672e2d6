//! Writing, adding and reducing at indices and masks.

use cotangent::{Tensor, concat};

use super::Table;
use super::index::{Place, along_dim, mask_of};
use super::tools::{as_i64, bools, dim, integers, numbers, one, pick, pick_or, strides};
use crate::args::{Args, Node, Res, Stop};

pub const TABLE: Table = &[
    (&["scatter"], |a| {
        let x = a.x()?;
        let (positions, updates) = scattered(a, &x)?;
        match a.node(4, "reduce") {
            Node::Null => one(put(&x, &positions, &updates)?),
            Node::Text(how) if how == "add" => one(add(&x, &positions, &updates)?),
            Node::Text(how) if how == "multiply" => {
                one(reduce(&x, &positions, &updates, "prod", true)?)
            }
            other => Err(format!("unknown reduction {other:?}").into()),
        }
    }),
    (&["scatter_add"], |a| {
        let x = a.x()?;
        let (positions, updates) = scattered(a, &x)?;
        one(add(&x, &positions, &updates)?)
    }),
    (&["scatter_reduce"], |a| {
        let x = a.x()?;
        let (positions, updates) = scattered(a, &x)?;
        let how = a.text_or(4, "reduce", "")?;
        one(reduce(
            &x,
            &positions,
            &updates,
            how,
            a.bool_or(5, "include_self", true)?,
        )?)
    }),
    (&["index_reduce"], |a| {
        let x = a.x()?;
        let (positions, updates) = slices(a, &x)?;
        let how = a.text_or(4, "reduce", "")?;
        one(reduce(
            &x,
            &positions,
            &updates,
            how,
            a.bool_or(5, "include_self", true)?,
        )?)
    }),
    (&["index_add"], |a| {
        let x = a.x()?;
        let alpha = a.float_or(4, "alpha", 1.0)?;
        let source = a.tensor(3, "source")? * alpha;
        if x.rank() == 0 {
            return one(x + source.reshape([source.len()]).sum(0));
        }
        let index = a.known(2, "index")?;
        let index = index.reshape([index.len()])?;
        one(x.index_add(&index, source, a.int(1, "dim")?))
    }),
    (&["index_copy"], |a| {
        let x = a.x()?;
        let (positions, updates) = slices(a, &x)?;
        one(put(&x, &positions, &updates)?)
    }),
    (&["index_fill"], |a| {
        let x = a.x()?;
        let mut mask = vec![false; x.len()];
        for p in slice_positions(a, &x)? {
            if let Some(m) = mask.get_mut(p) {
                *m = true;
            }
        }
        let mask = bools(x.shape(), mask)?;
        one(mask.select(a.tensor(3, "value")?, x))
    }),
    (&["index_put", "_unsafe_index_put"], |a| {
        let x = a.x()?;
        let Node::List(items) = a.node(1, "indices") else {
            return Err("expected a list of indices".into());
        };
        let place = Place::of(x.shape(), items)?;
        let values = a
            .tensor(2, "values")?
            .broadcast_to(&place.shape[..])
            .ravel();
        match a.bool_or(3, "accumulate", false)? {
            true => one(add(&x, &place.positions, &values)?),
            false => one(put(&x, &place.positions, &values)?),
        }
    }),
    (&["_unsafe_masked_index_put_accumulate"], |a| {
        let x = a.x()?;
        let place = Place::clamped(x.shape(), a.node(2, "indices"))?;
        let values = a.tensor(1, "mask")?.select(a.tensor(3, "values")?, 0.0);
        one(add(
            &x,
            &place.positions,
            &values.broadcast_to(&place.shape[..]).ravel(),
        )?)
    }),
    (&["put"], |a| {
        let x = a.x()?;
        let n = x.len() as i64;
        let positions: Vec<usize> = a
            .ints(1, "index")?
            .iter()
            .map(|i| usize::try_from(if *i < 0 { i + n } else { *i }).unwrap_or(usize::MAX))
            .collect();
        let source = a.tensor(2, "source")?.ravel();
        match a.bool_or(3, "accumulate", false)? {
            true => one(add(&x, &positions, &source)?),
            false => one(put(&x, &positions, &source)?),
        }
    }),
    (&["masked_scatter"], |a| {
        let mask = a.known(1, "mask")?;
        let x = a.x()?;
        let shape = cotangent::Shape::broadcast(x.shape(), mask.shape())?;
        let x = x.broadcast_to(&shape);
        let wide = mask_of(mask, &shape)?;
        let mut next = 0;
        let places: Vec<Option<usize>> = wide
            .iter()
            .map(|m| {
                m.then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let moved = pick_or(&a.tensor(2, "source")?, &places, &shape, 0.0)?;
        one(bools(&shape, wide)?.select(moved, x))
    }),
];

/// The positions in `x` that `scatter` writes to, and the flat updates.
fn scattered(a: &Args, x: &Tensor) -> Res<(Vec<usize>, Tensor)> {
    let d = dim(a.int(1, "dim")?, x.rank())?;
    let index = a.known(2, "index")?;
    let positions = along_dim(x, d, index)?;
    let name = if a.has(3, "src") { "src" } else { "value" };
    let source = a.tensor(3, name)?;
    if source.rank() == 0 {
        return Ok((positions, source.broadcast_to([index.len()])));
    }
    // Of a larger source only the part of the index's shape is used.
    let step = strides(source.shape());
    let mut from = Vec::new();
    super::tools::each_index(index.shape(), |at| {
        from.push(at.iter().zip(&step).map(|(i, s)| i * s).sum());
    });
    let updates = pick(&source, &from, &[from.len()])?;
    Ok((positions, updates))
}

/// The positions of the slices that `index` names along `dim`.
fn slice_positions(a: &Args, x: &Tensor) -> Res<Vec<usize>> {
    let index = a.ints(2, "index")?;
    if x.rank() == 0 {
        return Ok(vec![0; index.len()]);
    }
    let d = dim(a.int(1, "dim")?, x.rank())?;
    let mut shape = x.shape().to_vec();
    shape[d] = index.len();
    let step = strides(x.shape());
    let n = x.dim(d) as i64;
    let mut positions = Vec::new();
    super::tools::each_index(&shape, |at| {
        let flat = at.iter().zip(&step).enumerate().map(|(k, (i, s))| {
            if k != d {
                return i * s;
            }
            let i = index[*i];
            usize::try_from(if i < 0 { i + n } else { i }).unwrap_or(0) * s
        });
        positions.push(flat.sum());
    });
    Ok(positions)
}

/// The positions of slices along `dim`, and the flat updates for them.
fn slices(a: &Args, x: &Tensor) -> Res<(Vec<usize>, Tensor)> {
    let positions = slice_positions(a, x)?;
    Ok((positions, a.tensor(3, "source")?.ravel()))
}

/// `x` with updates added.
fn add(x: &Tensor, positions: &[usize], updates: &Tensor) -> Res<Tensor> {
    if positions.is_empty() {
        return Ok(x.clone());
    }
    let index = integers(&[positions.len()], as_i64(positions))?;
    Ok(x.ravel()
        .index_add(&index, updates.ravel(), 0)
        .reshape(x.shape()))
}

/// `x` with updates in its place; of several for one place the last.
fn put(x: &Tensor, positions: &[usize], updates: &Tensor) -> Res<Tensor> {
    let mut last = vec![None; x.len()];
    for (i, p) in positions.iter().enumerate() {
        match last.get_mut(*p) {
            Some(place) => *place = Some(i),
            None => return Err(Stop::Wrong(format!("position {p} of {}", x.len()))),
        }
    }
    let there = last.iter().map(Option::is_some).collect();
    let moved = pick_or(updates, &last, x.shape(), 0.0)?;
    Ok(bools(x.shape(), there)?.select(moved, x))
}

/// What meets at each position, with or without what was there, reduced: a table of the elements
/// for each place, filled up with elements that change nothing.
fn reduce(
    x: &Tensor,
    positions: &[usize],
    updates: &Tensor,
    how: &str,
    include_self: bool,
) -> Res<Tensor> {
    let neutral = match how {
        "sum" | "mean" => 0.0,
        "prod" => 1.0,
        "amax" => f64::NEG_INFINITY,
        "amin" => f64::INFINITY,
        other => return Err(Stop::Wrong(format!("unknown reduction {other}"))),
    };
    let n = x.len();
    let mut meets: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, p) in positions.iter().enumerate() {
        meets
            .get_mut(*p)
            .ok_or("a position out of range")?
            .push(n + i);
    }
    for (p, list) in meets.iter_mut().enumerate() {
        if include_self || list.is_empty() {
            list.insert(0, p);
        }
    }
    let width = meets.iter().map(Vec::len).max().unwrap_or(0);
    let all = concat([&x.ravel(), &updates.ravel()], 0);
    let table: Vec<Option<usize>> = meets
        .iter()
        .flat_map(|list| (0..width).map(|k| list.get(k).copied()))
        .collect();
    let table = pick_or(&all, &table, &[n, width], neutral)?;
    let result = match how {
        "sum" => table.sum(1),
        "prod" => table.prod(1),
        "amax" => table.max(1),
        "amin" => table.min(1),
        _ => {
            let counts = meets.iter().map(|list| list.len() as f64).collect();
            table.sum(1) / numbers(&[n], counts)?
        }
    };
    Ok(result.reshape(x.shape()))
}
