//! Joining and splitting along dimensions.

use cotangent::{Part, Tensor, concat, stack};

use super::Table;
use super::shape::{at_least_1d, at_least_2d, at_least_3d};
use super::tools::{dim, one};
use crate::args::{Args, Node, Outs, Res, Stop};

pub const TABLE: Table = &[
    (&["cat", "concat", "concatenate"], |a| {
        let d = a.int_or(1, "dim", 0)?;
        join(a.tensors(0, "tensors")?, d)
    }),
    (&["stack"], |a| {
        one(stack(a.tensors(0, "tensors")?, a.int_or(1, "dim", 0)?))
    }),
    (&["hstack"], |a| {
        let all: Vec<Tensor> = a.tensors(0, "tensors")?.iter().map(at_least_1d).collect();
        let d = i64::from(all.first().is_some_and(|t| t.rank() > 1));
        join(all, d)
    }),
    (&["vstack"], |a| {
        join(
            a.tensors(0, "tensors")?.iter().map(at_least_2d).collect(),
            0,
        )
    }),
    (&["dstack"], |a| {
        join(
            a.tensors(0, "tensors")?.iter().map(at_least_3d).collect(),
            2,
        )
    }),
    (&["column_stack"], |a| {
        let columns = a.tensors(0, "tensors")?;
        let columns = columns
            .iter()
            .map(|t| {
                if t.rank() < 2 {
                    t.reshape([t.len(), 1])
                } else {
                    t.clone()
                }
            })
            .collect();
        join(columns, 1)
    }),
    (
        &[
            "split",
            "unsafe_split",
            "split_with_sizes",
            "split_with_sizes_copy",
        ],
        |a| {
            let x = a.x()?;
            let d = dim(a.int_or(2, "dim", 0)?, x.rank())?;
            let sizes = match a.node(1, "split_size_or_sections") {
                Node::Null => a.ints(1, "split_sizes")?,
                Node::List(_) => a.ints(1, "split_size_or_sections")?,
                _ => pieces(x.dim(d), a.size(1, "split_size_or_sections")?),
            };
            Ok(x.split(&to_sizes(&sizes)?, d))
        },
    ),
    (&["chunk", "unsafe_chunk"], |a| {
        let x = a.x()?;
        let d = dim(a.int_or(2, "dim", 0)?, x.rank())?;
        Ok(x.chunk(a.size(1, "chunks")?, d))
    }),
    (&["tensor_split"], |a| {
        let d = a.int_or(2, "dim", 0)?;
        tensor_split(a, d)
    }),
    (&["hsplit"], |a| {
        let d = i64::from(a.x()?.rank() > 1);
        tensor_split(a, d)
    }),
    (&["vsplit"], |a| tensor_split(a, 0)),
    (&["dsplit"], |a| tensor_split(a, 2)),
    (&["unbind", "unbind_copy"], |a| {
        Ok(a.x()?.unbind(a.int_or(1, "dim", 0)?))
    }),
    (&["narrow", "narrow_copy"], |a| {
        let x = a.x()?;
        let d = dim(a.int(1, "dim")?, x.rank())?;
        let mut start = a.int(2, "start")?;
        if start < 0 {
            start += x.dim(d) as i64;
        }
        let end = start + a.int(3, "length")?;
        one(x.at(&on_dim(d, range(Some(start), Some(end), 1))[..]))
    }),
    (&["select", "select_copy"], |a| {
        let x = a.x()?;
        let d = dim(a.int(1, "dim")?, x.rank())?;
        one(x.at(&on_dim(d, Part::At(a.int(2, "index")?))[..]))
    }),
    (&["select_scatter"], |a| {
        let x = a.x()?;
        let d = dim(a.int(2, "dim")?, x.rank())?;
        one(x.set_at(
            &on_dim(d, Part::At(a.int(3, "index")?))[..],
            a.tensor(1, "src")?,
        ))
    }),
    (&["slice", "slice_copy"], |a| {
        let x = a.x()?;
        let d = dim(a.int_or(1, "dim", 0)?, x.rank())?;
        one(x.at(&on_dim(d, slice(a, 2)?)[..]))
    }),
    (&["slice_scatter"], |a| {
        let x = a.x()?;
        let d = dim(a.int_or(2, "dim", 0)?, x.rank())?;
        one(x.set_at(&on_dim(d, slice(a, 3)?)[..], a.tensor(1, "src")?))
    }),
];

/// Joined; vectors without elements are left out beside tensors of other ranks, as PyTorch does.
fn join(mut tensors: Vec<Tensor>, d: i64) -> Outs {
    if tensors.iter().any(|t| t.rank() != 1) {
        tensors.retain(|t| t.rank() != 1 || !t.is_empty());
    }
    one(concat(&tensors, d))
}

/// The lengths of pieces of one length, of which the last may be shorter.
fn pieces(length: usize, size: usize) -> Vec<i64> {
    if size == 0 || length == 0 {
        return vec![length as i64];
    }
    (0..length.div_ceil(size))
        .map(|i| size.min(length - i * size) as i64)
        .collect()
}

fn to_sizes(sizes: &[i64]) -> Res<Vec<usize>> {
    sizes
        .iter()
        .map(|s| usize::try_from(*s).map_err(|_| Stop::Wrong(format!("negative length {s}"))))
        .collect()
}

/// Into a number of pieces of almost one length, or at given places.
fn tensor_split(a: &Args, d: i64) -> Outs {
    let x = a.x()?;
    let d = dim(d, x.rank())?;
    let n = x.dim(d) as i64;
    let name = if a.has(1, "indices_or_sections") {
        "indices_or_sections"
    } else {
        "sections"
    };
    let count = match a.node(1, name) {
        Node::Int(count) => Some(*count),
        Node::Known(array) if array.rank() == 0 => Some(a.int(1, name)?),
        Node::Null => return Err("no places to split at".into()),
        _ => None,
    };
    let ends: Vec<i64> = match count {
        Some(count) => (1..count)
            .map(|i| i * (n / count) + i.min(n % count))
            .collect(),
        None => a.ints(1, name)?,
    };
    let mut outs = Vec::new();
    let mut start = 0;
    for end in ends.iter().copied().map(Some).chain([None]) {
        outs.push(x.at(&on_dim(d, range(Some(start), end, 1))[..]));
        start = end.unwrap_or(n);
    }
    Ok(outs)
}

/// An index that takes a part of one dimension and all of the others.
fn on_dim(d: usize, part: Part) -> Vec<Part> {
    let mut parts = vec![range(None, None, 1); d];
    parts.push(part);
    parts
}

fn range(start: Option<i64>, end: Option<i64>, step: i64) -> Part {
    Part::Range { start, end, step }
}

/// The arguments `start`, `end` and `step` from a position on.
fn slice(a: &Args, at: usize) -> Res<Part> {
    let end = |i: usize, name: &str| a.has(at + i, name).then(|| a.int(at + i, name)).transpose();
    Ok(range(
        end(0, "start")?,
        end(1, "end")?,
        a.int_or(at + 2, "step", 1)?,
    ))
}
