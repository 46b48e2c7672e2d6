//! Operations over a batch whose axis is the last one.
//!
//! A batch stands in front by default, and every operation has a rule for that. Here are those that
//! can leave it behind all other axes, which saves the moves of the axis to the front and lets what is
//! done alike for all examples be done on neighbours.

use cotangent_graph::ops::{
    ArrayOp, Broadcast, Concat, Dot, Gather, Pad, Reshape, ScatterAdd, Slice, Transpose,
};
use cotangent_graph::{Builder, Equation, Op, Var};

/// The operation with the batch last in its result. At least one operand has a batch.
pub(super) fn step(b: &mut Builder, e: &Equation, args: &[(Var, bool)], size: usize) -> Var {
    let Op::Array(op) = &e.op else {
        let full: Vec<Var> = args.iter().map(|a| repeated(b, a.0, a.1, size)).collect();
        return b.push(e.op.clone(), &full);
    };
    array(b, op, args, size).unwrap_or_else(|| {
        let (vars, batched): (Vec<Var>, Vec<bool>) = to_first(b, args).into_iter().unzip();
        let result = op.batch(b, &vars, &batched, size);
        moved_last(b, result)
    })
}

/// The value with the batch last, repeated where all examples share it.
pub(super) fn repeated(b: &mut Builder, v: Var, batched: bool, size: usize) -> Var {
    if batched {
        return v;
    }
    let shape = extended(b.shape(v).dims(), size);
    let axes: Vec<usize> = (0..b.rank(v)).collect();
    b.broadcast(v, shape, &axes)
}

/// Values that have the batch last with the batch first.
pub(super) fn to_first(b: &mut Builder, values: &[(Var, bool)]) -> Vec<(Var, bool)> {
    let mut moved = |(v, batched): &(Var, bool)| {
        let last = b.rank(*v).saturating_sub(1);
        let order: Vec<usize> = std::iter::once(last).chain(0..last).collect();
        (
            if *batched {
                b.transpose(*v, &order)
            } else {
                *v
            },
            *batched,
        )
    };
    values.iter().map(&mut moved).collect()
}

/// Values that have the batch first with the batch last.
pub(super) fn from_first(b: &mut Builder, values: &[(Var, bool)]) -> Vec<(Var, bool)> {
    let mut moved =
        |(v, batched): &(Var, bool)| (if *batched { moved_last(b, *v) } else { *v }, *batched);
    values.iter().map(&mut moved).collect()
}

fn moved_last(b: &mut Builder, v: Var) -> Var {
    let order: Vec<usize> = (1..b.rank(v)).chain([0]).collect();
    b.transpose(v, &order)
}

/// The operation where it can leave the batch behind all other axes.
fn array(b: &mut Builder, op: &ArrayOp, args: &[(Var, bool)], size: usize) -> Option<Var> {
    let (first, others) = args.split_first()?;
    let others_shared = !others.iter().any(|a| a.1);
    let moved: Op = match op {
        ArrayOp::Reshape(o) => Reshape {
            shape: extended(o.shape.dims(), size).into(),
        }
        .into(),
        ArrayOp::Transpose(o) => Transpose {
            axes: extended(&o.axes, o.axes.len()),
        }
        .into(),
        ArrayOp::Broadcast(o) => Broadcast {
            shape: extended(o.shape.dims(), size).into(),
            dims: extended(&o.dims, o.shape.rank()),
        }
        .into(),
        ArrayOp::Slice(o) => Slice {
            start: extended(&o.start, 0),
            limit: extended(&o.limit, size),
            stride: extended(&o.stride, 1),
        }
        .into(),
        ArrayOp::Pad(o) if others_shared => Pad {
            low: extended(&o.low, 0),
            high: extended(&o.high, 0),
            interior: extended(&o.interior, 0),
        }
        .into(),
        ArrayOp::Gather(o) if others_shared => Gather::clone(o).into(),
        ArrayOp::ScatterAdd(o) if others_shared => ScatterAdd {
            shape: extended(o.shape.dims(), size).into(),
            axis: o.axis,
            batch: o.batch,
        }
        .into(),
        ArrayOp::Concat(o) => {
            let full: Vec<Var> = args.iter().map(|a| repeated(b, a.0, a.1, size)).collect();
            return Some(b.push(Concat { axis: o.axis }, &full));
        }
        ArrayOp::Recurrence(o) => {
            let full: Vec<Var> = args.iter().map(|a| repeated(b, a.0, a.1, size)).collect();
            return Some(b.push(o.clone(), &full));
        }
        ArrayOp::Dot(o) => return dot(b, o, args),
        // These name the axes they go along, counted from the first, and leave the others.
        ArrayOp::Reverse(_)
        | ArrayOp::Sum(_)
        | ArrayOp::Prod(_)
        | ArrayOp::Max(_)
        | ArrayOp::Min(_)
        | ArrayOp::Norm(_)
        | ArrayOp::ArgMax(_)
        | ArrayOp::ArgMin(_)
        | ArrayOp::Any(_)
        | ArrayOp::All(_)
        | ArrayOp::CumSum(_)
        | ArrayOp::CumProd(_)
        | ArrayOp::CumArgMax(_)
        | ArrayOp::CumArgMin(_) => Op::Array(op.clone()),
        _ => return None,
    };
    let operands: Vec<Var> = args.iter().map(|a| a.0).collect();
    first.1.then(|| b.push(moved, &operands))
}

/// A product of which one operand varies over the batch: the batch is its last free axis, and the
/// result has it last where that operand is the second one.
fn dot(b: &mut Builder, op: &Dot, args: &[(Var, bool)]) -> Option<Var> {
    let [x, y] = args else { return None };
    match (x.1, y.1) {
        (false, true) => Some(b.push(op.clone(), &[x.0, y.0])),
        (true, false) => {
            let free = op.free_axes(b.rank(x.0).saturating_sub(1), b.rank(y.0));
            let product = b.push(op.flipped(), &[y.0, x.0]);
            // Shared axes, those of y, those of x, the batch: those of x go in front of those of y.
            let shared = op.batch.0.len();
            let from_y = shared..shared + free.1.len();
            let from_x = from_y.end..from_y.end + free.0.len();
            let order: Vec<usize> = (0..shared)
                .chain(from_x.clone())
                .chain(from_y)
                .chain([from_x.end])
                .collect();
            Some(b.transpose(product, &order))
        }
        _ => None,
    }
}

/// A list with one more number.
fn extended(list: &[usize], last: usize) -> Vec<usize> {
    let mut list = list.to_vec();
    list.push(last);
    list
}
