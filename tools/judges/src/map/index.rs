//! Reading at indices and masks.

use cotangent::{Array, DType, Tensor};

use super::Table;
use super::tools::{as_i64, bools, dim, each_index, one, pick, strides};
use crate::args::{Args, Node, Outs, Res, Stop, not_mapped};

pub const TABLE: Table = &[
    (&["__getitem__"], |a| {
        let x = a.x()?;
        let items = match a.node(1, "index") {
            // A list of numbers is one index, other lists are tuples of indices.
            Node::List(list) if !list.iter().all(|n| matches!(n, Node::Int(_))) => list.clone(),
            node => vec![node.clone()],
        };
        let place = Place::of(x.shape(), &items)?;
        one(pick(&x, &place.positions, &place.shape)?)
    }),
    (&["gather"], |a| {
        let x = a.x()?;
        let index = a.known(2, "index")?;
        let positions = along_dim(&x, dim(a.int(1, "dim")?, x.rank())?, index)?;
        one(pick(&x, &positions, index.shape())?)
    }),
    (&["take_along_dim"], |a| {
        let x = a.x()?;
        let indices = a.known(1, "indices")?;
        match a.has(2, "dim") {
            true => one(x.take_along_axis(indices, a.int(2, "dim")?)),
            false => one(x.ravel().take(&indices.reshape([indices.len()])?, 0)),
        }
    }),
    (&["take"], |a| {
        one(a.x()?.ravel().take(a.known(1, "index")?, 0))
    }),
    (&["index_select"], |a| {
        let x = a.x()?;
        let index = a.known(2, "index")?;
        if x.rank() == 0 {
            return one(x);
        }
        one(x.take(&index.reshape([index.len()])?, a.int(1, "dim")?))
    }),
    (&["masked_select"], |a| {
        let x = a.x()?;
        let mask = a.known(1, "mask")?;
        let shape = cotangent::Shape::broadcast(x.shape(), mask.shape())?;
        let wide = mask_of(mask, &shape)?;
        let positions: Vec<usize> = wide
            .iter()
            .enumerate()
            .filter(|(_, m)| **m)
            .map(|(i, _)| i)
            .collect();
        one(pick(
            &x.broadcast_to(&shape),
            &positions,
            &[positions.len()],
        )?)
    }),
    (&["masked_fill"], |a| {
        let (x, mask) = (a.x()?, a.tensor(1, "mask")?);
        match a.node(2, "value") {
            Node::Input(_) | Node::Known(_) => one(mask.select(a.tensor(2, "value")?, x)),
            _ => one(x.masked_fill(mask, a.float(2, "value")?)),
        }
    }),
    (&["_unsafe_masked_index"], |a| {
        let x = a.x()?;
        let place = Place::clamped(x.shape(), a.node(2, "indices"))?;
        let fill = a.float(3, "fill")?;
        let mask = a.tensor(1, "mask")?;
        one(mask.select(pick(&x, &place.positions, &place.shape)?, fill))
    }),
    (&["nn.functional.embedding"], |a| {
        let weight = a.x()?;
        if a.bool_or(usize::MAX, "scale_grad_by_freq", false)? {
            return not_mapped("scale_grad_by_freq gives no derivative");
        }
        if a.has(3, "max_norm") {
            return not_mapped("max_norm changes the weights in place");
        }
        let indices = a.known(1, "indices")?;
        let rows = weight.take(indices, 0);
        let Some(padding) = padding(a, 2, &weight)? else {
            return one(rows);
        };
        // No derivative passes to the row of the padding.
        let is: Vec<bool> = indices.scalars().map(|s| s.to_i64() == padding).collect();
        let is = bools(indices.shape(), is)?.expand_dims(-1);
        one(is.select(rows.stop_gradient(), rows))
    }),
    (&["nn.functional.embedding_bag"], embedding_bag),
];

/// The argument `padding_idx`, counted from the start.
fn padding(a: &Args, position: usize, weight: &Tensor) -> Res<Option<i64>> {
    if !a.has(position, "padding_idx") {
        return Ok(None);
    }
    let index = a.int(position, "padding_idx")?;
    Ok(Some(if index < 0 {
        index + weight.dim(0) as i64
    } else {
        index
    }))
}

/// Rows of a table, summed, averaged or maximised bag by bag.
fn embedding_bag(a: &Args) -> Outs {
    let weight = a.x()?;
    if a.bool_or(usize::MAX, "scale_grad_by_freq", false)? {
        return not_mapped("scale_grad_by_freq gives no derivative");
    }
    if a.has(usize::MAX, "max_norm") {
        return not_mapped("max_norm changes the weights in place");
    }
    let indices = a.known(1, "indices")?;
    let numbers: Vec<i64> = indices.scalars().map(|s| s.to_i64()).collect();
    let padding = padding(a, usize::MAX, &weight)?;
    let mode = a.text_or(usize::MAX, "mode", "mean")?;
    let factors = a
        .opt_tensor(usize::MAX, "per_sample_weights")?
        .map(|w| w.ravel());
    let ends: Vec<usize> = match indices.shape().dims() {
        [bags, size] => (0..=*bags).map(|b| b * size).collect(),
        _ => {
            let mut ends: Vec<usize> = a.ints(2, "offsets")?.iter().map(|o| *o as usize).collect();
            if !a.bool_or(usize::MAX, "include_last_offset", false)? {
                ends.push(numbers.len());
            }
            ends
        }
    };
    let mut bags = Vec::new();
    for pair in ends.windows(2) {
        let [from, to] = pair else { continue };
        let members: Vec<usize> = (*from..*to)
            .filter(|i| numbers.get(*i).copied() != padding)
            .collect();
        if members.is_empty() {
            bags.push(Tensor::zeros([weight.dim(1)], weight.dtype()));
            continue;
        }
        let chosen: Vec<i64> = members
            .iter()
            .filter_map(|i| numbers.get(*i).copied())
            .collect();
        let mut rows = weight.take(&chosen[..], 0);
        if let Some(factors) = &factors {
            rows *= factors.take(&as_i64(&members)[..], 0).expand_dims(-1);
        }
        bags.push(match mode {
            "sum" => rows.sum(0),
            "mean" => rows.mean(0),
            "max" => rows.max(0),
            other => return Err(Stop::Wrong(format!("unknown mode {other}"))),
        });
    }
    if bags.is_empty() {
        return one(Tensor::zeros([0, weight.dim(1)], weight.dtype()));
    }
    one(cotangent::stack(&bags, 0))
}

/// For each element of `index` the flat position of the element of `x` that it reads along `d`.
pub fn along_dim(x: &Tensor, d: usize, index: &Array) -> Res<Vec<usize>> {
    let step = strides(x.shape());
    let numbers: Vec<i64> = index.scalars().map(|s| s.to_i64()).collect();
    if x.rank() == 0 {
        return Ok(vec![0; numbers.len()]);
    }
    let mut positions = Vec::with_capacity(numbers.len());
    let mut bad = None;
    let mut next = numbers.iter();
    each_index(index.shape(), |at| {
        let number = next.next().copied().unwrap_or(0);
        let n = x.dim(d) as i64;
        let number = if number < 0 { number + n } else { number };
        if !(0..n).contains(&number) {
            bad = Some(number);
        }
        let flat = at.iter().zip(&step).enumerate().map(|(k, (i, s))| {
            if k == d {
                usize::try_from(number).unwrap_or(0) * s
            } else {
                i * s
            }
        });
        positions.push(flat.sum());
    });
    match bad {
        Some(number) => Err(Stop::Wrong(format!("index {number} is out of range"))),
        None => Ok(positions),
    }
}

/// A mask spread to a shape, in row-major order.
pub fn mask_of(mask: &Array, shape: &[usize]) -> Res<Vec<bool>> {
    let values: Vec<bool> = mask.scalars().map(|s| s.to_i64() != 0).collect();
    let step = strides(mask.shape());
    let new = shape
        .len()
        .checked_sub(mask.rank())
        .ok_or("a mask of too high a rank")?;
    let mut wide = Vec::new();
    each_index(shape, |at| {
        let flat: usize = at
            .iter()
            .skip(new)
            .zip(step.iter().zip(mask.shape().iter()))
            .map(|(i, (s, n))| if *n == 1 { 0 } else { i * s })
            .sum();
        wide.push(values.get(flat).copied().unwrap_or(false));
    });
    Ok(wide)
}

/// Where the elements stand that an index takes, in row-major order of the result.
pub struct Place {
    pub shape: Vec<usize>,
    pub positions: Vec<usize>,
}

enum Item {
    /// The positions along one dimension, which stays.
    Slice(Vec<usize>),
    /// One position along a dimension, which vanishes.
    At(usize),
    New,
    Rest,
    /// Positions along one dimension that go together with those of other such items.
    Many(Array),
}

impl Place {
    /// Of PyTorch's indices: numbers, slices, new dimensions, integer arrays and masks.
    pub fn of(shape: &[usize], nodes: &[Node]) -> Res<Place> {
        let arrays: Vec<Node> = nodes.iter().map(to_array).collect::<Res<_>>()?;
        let taken: usize = arrays
            .iter()
            .map(|n| match n {
                Node::Null | Node::Ellipsis => 0,
                Node::Known(a) if a.dtype().is_bool() => a.rank(),
                _ => 1,
            })
            .sum();
        let mut rest = shape.len().checked_sub(taken).ok_or("too many indices")?;
        let mut items = Vec::new();
        let mut d = 0;
        for node in &arrays {
            let n = shape.get(d).copied().unwrap_or(0);
            match node {
                Node::Null => items.push(Item::New),
                Node::Ellipsis => {
                    for _ in 0..std::mem::take(&mut rest) {
                        items.push(Item::Slice((0..shape[d]).collect()));
                        d += 1;
                    }
                    items.push(Item::Rest);
                }
                Node::Slice(ends) => {
                    items.push(Item::Slice(slice(*ends, n)));
                    d += 1;
                }
                Node::Int(i) => {
                    items.push(Item::At(wrapped(*i, n)?));
                    d += 1;
                }
                Node::Known(mask) if mask.dtype().is_bool() => {
                    let step = strides(mask.shape());
                    let on: Vec<usize> = mask
                        .scalars()
                        .enumerate()
                        .filter(|(_, s)| s.to_i64() != 0)
                        .map(|(i, _)| i)
                        .collect();
                    for (s, m) in step.iter().zip(mask.shape().iter()) {
                        let along: Vec<i64> = on.iter().map(|i| (i / s % m) as i64).collect();
                        items.push(Item::Many(Array::new([along.len()], along)?));
                        d += 1;
                    }
                }
                Node::Known(index) => {
                    items.push(Item::Many(index.convert(DType::I64)));
                    d += 1;
                }
                other => return Err(Stop::Wrong(format!("index {other:?}"))),
            }
        }
        for n in shape.iter().skip(d) {
            items.push(Item::Slice((0..*n).collect()));
        }
        Place::build(shape, &items)
    }

    /// Of integer arrays that are first moved into range.
    pub fn clamped(shape: &[usize], indices: &Node) -> Res<Place> {
        let Node::List(list) = indices else {
            return Err("expected a list of indices".into());
        };
        let mut items = Vec::new();
        for (d, n) in shape.iter().enumerate() {
            items.push(match list.get(d) {
                Some(Node::Known(index)) => {
                    let n = *n as i64;
                    let numbers: Vec<i64> = index
                        .scalars()
                        .map(|s| s.to_i64().clamp(-n, n - 1))
                        .collect();
                    Item::Many(Array::new(index.shape().clone(), numbers)?)
                }
                _ => Item::Slice((0..*n).collect()),
            });
        }
        Place::build(shape, &items)
    }

    fn build(shape: &[usize], items: &[Item]) -> Res<Place> {
        let step = strides(shape);
        let mut common = cotangent::Shape::from(());
        for item in items {
            if let Item::Many(index) = item {
                common = cotangent::Shape::broadcast(&common, index.shape())?;
            }
        }
        // Dimensions of the result: those of slices, and in one place those of the arrays.
        let many: Vec<usize> = items
            .iter()
            .filter(|i| !matches!(i, Item::At(_) | Item::Rest))
            .enumerate()
            .filter(|(_, i)| matches!(i, Item::Many(_)))
            .map(|(k, _)| k)
            .collect();
        let together = many.windows(2).all(|w| w[1] == w[0] + 1);
        let mut result: Vec<usize> = Vec::new();
        let mut common_at = (!together && !many.is_empty()).then_some(0);
        if common_at.is_some() {
            result.extend_from_slice(&common);
        }
        // For each item the dimension of the result that it fills, and its step in `x`.
        let mut sources = Vec::new();
        let mut d = 0;
        for item in items {
            match item {
                Item::New => result.push(1),
                Item::Rest => {}
                Item::At(i) => {
                    sources.push((Source::Fixed(*i), step[d]));
                    d += 1;
                }
                Item::Slice(positions) => {
                    sources.push((Source::Along(result.len(), positions), step[d]));
                    result.push(positions.len());
                    d += 1;
                }
                Item::Many(index) => {
                    if common_at.is_none() {
                        common_at = Some(result.len());
                        result.extend_from_slice(&common);
                    }
                    let n = shape.get(d).copied().unwrap_or(0);
                    let numbers = index
                        .scalars()
                        .map(|s| wrapped(s.to_i64(), n))
                        .collect::<Res<Vec<usize>>>()?;
                    sources.push((Source::Many(spread(index, numbers, &common)), step[d]));
                    d += 1;
                }
            }
        }
        let start = common_at.unwrap_or(0);
        let common_steps = strides(&common);
        let mut positions = Vec::new();
        each_index(&result, |at| {
            let in_common: usize = common_steps
                .iter()
                .enumerate()
                .map(|(k, s)| at[start + k] * s)
                .sum();
            let flat = sources.iter().map(|(source, step)| {
                step * match source {
                    Source::Fixed(i) => *i,
                    Source::Along(d, list) => list[at[*d]],
                    Source::Many(list) => list[in_common],
                }
            });
            positions.push(flat.sum());
        });
        Ok(Place {
            shape: result,
            positions,
        })
    }
}

enum Source<'a> {
    Fixed(usize),
    Along(usize, &'a [usize]),
    Many(Vec<usize>),
}

/// Numbers spread to a shape.
fn spread(index: &Array, numbers: Vec<usize>, shape: &[usize]) -> Vec<usize> {
    let step = strides(index.shape());
    let new = shape.len().saturating_sub(index.rank());
    let mut wide = Vec::new();
    each_index(shape, |at| {
        let flat: usize = at
            .iter()
            .skip(new)
            .zip(step.iter().zip(index.shape().iter()))
            .map(|(i, (s, n))| if *n == 1 { 0 } else { i * s })
            .sum();
        wide.push(numbers.get(flat).copied().unwrap_or(0));
    });
    wide
}

/// Nested lists of numbers or bools as an array.
fn to_array(node: &Node) -> Res<Node> {
    let Node::List(list) = node else {
        return Ok(match node {
            Node::Bool(b) => Node::Known(Array::scalar(*b)),
            other => other.clone(),
        });
    };
    let mut rows = Vec::new();
    for item in list {
        rows.push(match to_array(item)? {
            Node::Int(i) => Array::scalar(i),
            Node::Known(array) => array,
            other => return Err(Stop::Wrong(format!("index {other:?} in a list"))),
        });
    }
    let mut shape = vec![rows.len()];
    let inner = rows.first().map(|r| (r.shape().clone(), r.dtype()));
    let (inner, dtype) = inner.unwrap_or((().into(), DType::I64));
    shape.extend_from_slice(&inner);
    let scalars: Vec<_> = rows
        .iter()
        .flat_map(|r| r.scalars().collect::<Vec<_>>())
        .collect();
    Ok(Node::Known(Array::from_scalars(dtype, shape, scalars)?))
}

fn wrapped(i: i64, n: usize) -> Res<usize> {
    let n = n as i64;
    let from_start = if i < 0 { i + n } else { i };
    match usize::try_from(from_start) {
        Ok(p) if from_start < n => Ok(p),
        _ => Err(Stop::Wrong(format!("index {i} is out of range 0..{n}"))),
    }
}

fn slice([start, end, step]: [Option<i64>; 3], n: usize) -> Vec<usize> {
    let n = n as i64;
    let step = step.unwrap_or(1).max(1) as usize;
    let place = |i: i64| (if i < 0 { i + n } else { i }).clamp(0, n);
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(n)));
    (start..end)
        .step_by(step)
        .filter_map(|i| usize::try_from(i).ok())
        .collect()
}
