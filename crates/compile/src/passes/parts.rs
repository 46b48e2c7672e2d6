//! Puts parts of an array side by side where they were padded with zeros and summed.
//!
//! The derivative of a slice is a slice of the derivative, so in reverse mode every slice of an array
//! adds an array of its size that is zero but for the slice. Where slices do not overlap, their sum is
//! a concatenation: each element is moved once, whatever the number of slices. A function that takes a
//! vector apart into n numbers then has a gradient of n operations instead of n squared.

use cotangent_array::Scalar;
use cotangent_graph::ops::{ArrayOp, Binary, Concat};
use cotangent_graph::{Builder, FastMap, Graph, Op, TensorType, Var};

use super::rewrite::rewrite_from;
use crate::CompileError;

/// The most concatenations that one sum becomes; parts that overlap more than that stay padded.
const MAX_ROWS: usize = 8;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let sums = find(graph);
    if sums.is_empty() {
        return Ok(None);
    }
    rewrite_from(graph, |b, v, to| {
        let ty = graph.ty(v).tensor()?;
        sums.get(&v)?.build(b, ty, to)
    })
    .map(Some)
}

/// A sum whose terms are put together in another way.
struct Sum {
    /// Terms that stay as they are.
    rest: Vec<Var>,
    rows: Vec<Row>,
}

/// Parts side by side along an axis; none overlap.
struct Row {
    axis: usize,
    parts: Vec<Part>,
}

/// A part that was padded.
struct Part {
    /// Where it begins and ends along the axis.
    start: usize,
    end: usize,
    /// What stands there, summed.
    terms: Vec<Var>,
    /// The first of the padded terms.
    padded: Var,
}

fn find(graph: &Graph) -> FastMap<Var, Sum> {
    let n = graph.equations().len();
    let mut reads = vec![0_u32; n];
    let args = graph.equations().iter().flat_map(|e| &e.args);
    for v in args.chain(graph.outputs()) {
        reads[v.index()] = reads[v.index()].saturating_add(1);
    }
    let adds = |v: Var| matches!(graph.equation(v).op, Op::Binary(Binary::Add));
    // Sums that one other sum reads are a part of it.
    let mut inner = vec![false; n];
    for (_, e) in graph.iter().filter(|(v, _)| adds(*v)) {
        for a in &e.args {
            inner[a.index()] = adds(*a) && reads[a.index()] == 1;
        }
    }
    let mut sums = FastMap::default();
    for (root, _) in graph.iter().filter(|(v, _)| adds(*v) && !inner[v.index()]) {
        let (mut rest, mut parts) = (Vec::new(), Vec::new());
        let mut work = vec![root];
        while let Some(v) = work.pop() {
            if v == root || inner[v.index()] {
                work.extend(graph.equation(v).args.iter().rev());
                continue;
            }
            match part(graph, v) {
                Some(part) if reads[v.index()] == 1 => parts.push(part),
                _ => rest.push(v),
            }
        }
        if parts.len() > 1
            && let Some(sum) = arrange(rest, parts)
        {
            sums.insert(root, sum);
        }
    }
    sums
}

/// The part that a variable is, padded with zeros along one axis, and the axis.
fn part(graph: &Graph, v: Var) -> Option<(usize, Part)> {
    let e = graph.equation(v);
    let (Op::Array(ArrayOp::Pad(pad)), [x, value]) = (&e.op, &e.args[..]) else {
        return None;
    };
    let zero = graph
        .splat(*value)
        .is_some_and(|x| x == Scalar::zero(x.dtype()));
    let mut axes = (0..pad.low.len()).filter(|k| pad.low[*k] > 0 || pad.high.get(*k) != Some(&0));
    let axis = axes.next()?;
    let plain = zero && axes.next().is_none() && pad.interior.iter().all(|n| *n == 0);
    let len = *graph.ty(*x).tensor()?.shape.get(axis)?;
    let start = *pad.low.get(axis)?;
    let part = Part {
        start,
        end: start.checked_add(len)?,
        terms: vec![*x],
        padded: v,
    };
    plain.then_some((axis, part))
}

/// Rows of parts that do not overlap; `None` where every part would stand alone.
fn arrange(mut rest: Vec<Var>, mut parts: Vec<(usize, Part)>) -> Option<Sum> {
    parts.sort_by_key(|(axis, part)| (*axis, part.start, part.end));
    let mut rows: Vec<Row> = Vec::new();
    for (axis, mut part) in parts {
        let own = || rows.iter().position(|row| row.axis == axis);
        let first = own().unwrap_or(rows.len());
        let same = rows[first..].iter_mut().find_map(|row| {
            let last = row.parts.last_mut();
            last.filter(|last| (last.start, last.end) == (part.start, part.end))
        });
        if let Some(same) = same {
            same.terms.append(&mut part.terms);
            continue;
        }
        let fits = |row: &Row| row.parts.last().is_none_or(|last| last.end <= part.start);
        match rows[first..].iter().position(fits) {
            Some(k) => rows[first + k].parts.push(part),
            None if rows.len() - first < MAX_ROWS => rows.push(Row {
                axis,
                parts: vec![part],
            }),
            None => rest.push(part.padded),
        }
    }
    let alone = |row: &Row| matches!(&row.parts[..], [part] if part.terms.len() == 1);
    for row in rows.extract_if(.., |row| alone(row)) {
        rest.extend(row.parts.iter().map(|part| part.padded));
    }
    (!rows.is_empty()).then_some(Sum { rest, rows })
}

impl Sum {
    fn build(&self, b: &mut Builder, ty: &TensorType, to: &[Var]) -> Option<Var> {
        let mut terms: Vec<Var> = self.rest.iter().map(|v| to[v.index()]).collect();
        for row in &self.rows {
            terms.push(row.build(b, ty, to)?);
        }
        total(b, terms)
    }
}

impl Row {
    fn build(&self, b: &mut Builder, ty: &TensorType, to: &[Var]) -> Option<Var> {
        let zeros = |b: &mut Builder, n: usize| {
            let mut dims = ty.shape.dims().to_vec();
            *dims.get_mut(self.axis)? = n;
            Some(b.push(Op::Full(Scalar::zero(ty.dtype), dims.into()), &[]))
        };
        let mut blocks = Vec::with_capacity(2 * self.parts.len() + 1);
        let mut at = 0;
        for part in &self.parts {
            if part.start > at {
                blocks.push(zeros(b, part.start - at)?);
            }
            let terms = part.terms.iter().map(|v| to[v.index()]).collect();
            blocks.push(total(b, terms)?);
            at = part.end;
        }
        let end = *ty.shape.get(self.axis)?;
        if end > at {
            blocks.push(zeros(b, end - at)?);
        }
        Some(b.push(Concat { axis: self.axis }, &blocks))
    }
}

/// The sum of terms, from the first on.
fn total(b: &mut Builder, terms: Vec<Var>) -> Option<Var> {
    let mut terms = terms.into_iter();
    let first = terms.next()?;
    Some(terms.fold(first, |sum, x| b.add(sum, x)))
}
