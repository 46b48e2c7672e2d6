//! Whole numbers that go up or down by equal steps.

use cotangent_array::{Array, DType, Scalar};
use cotangent_graph::ops::{ArrayOp, Binary, Compare, Ternary, Unary};
use cotangent_graph::{Graph, Op, Var};

/// The numbers `start`, `start + step`, `start + 2 * step` and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Affine {
    start: i64,
    step: i64,
    /// How many there are, at least one.
    length: usize,
}

/// Longer chains of operations are not looked through.
const DEEPEST: usize = 12;

impl Affine {
    /// The elements of an array of rank 1.
    pub(super) fn of_array(graph: &Graph, v: Var) -> Option<Affine> {
        let ty = graph.ty(v).tensor()?;
        let [length] = ty.shape.dims() else {
            return None;
        };
        let known = |v: Var| match &graph.equation(v).op {
            Op::Array(ArrayOp::Iota(_)) => Some((0, 1)),
            Op::Constant(array) => progression(array),
            _ => None,
        };
        Affine::of(graph, v, *length, &known)
    }

    /// The values of a variable along a sequence of so many, of which `known` says where some variables start and
    /// how they go on.
    pub(super) fn of(
        graph: &Graph,
        v: Var,
        length: usize,
        known: &dyn Fn(Var) -> Option<(i64, i64)>,
    ) -> Option<Affine> {
        let (start, step) = find(graph, v, length, known, DEEPEST)?;
        let found = Affine {
            start,
            step,
            length,
        };
        found.last().is_some().then_some(found)
    }

    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn step(&self) -> i64 {
        self.step
    }

    fn last(&self) -> Option<i64> {
        let steps = i64::try_from(self.length.checked_sub(1)?).ok()?;
        self.step.checked_mul(steps)?.checked_add(self.start)
    }

    /// The lowest and the highest of the numbers, if they are places among `length`.
    pub(super) fn places(&self, length: usize) -> Option<[usize; 2]> {
        let ends = [
            usize::try_from(self.start).ok()?,
            usize::try_from(self.last()?).ok()?,
        ];
        let [low, high] = [ends[0].min(ends[1]), ends[0].max(ends[1])];
        (high < length).then_some([low, high])
    }
}

/// Start and step; every number in between is one of the dtype, so nothing wraps.
fn find(
    graph: &Graph,
    v: Var,
    length: usize,
    known: &dyn Fn(Var) -> Option<(i64, i64)>,
    depth: usize,
) -> Option<(i64, i64)> {
    let (e, depth) = (graph.equation(v), depth.checked_sub(1)?);
    let dtype = e.ty.tensor()?.dtype;
    let of = |v: Var| find(graph, v, length, known, depth);
    let (start, step) = match (&e.op, &e.args[..]) {
        _ if !dtype.is_int() => return None,
        (op, _) if op.splat().is_some() => (op.splat().map(Scalar::to_i64)?, 0),
        (Op::Binary(op), [x, y]) => {
            let ((a, b), (c, d)) = (of(*x)?, of(*y)?);
            match op {
                Binary::Add => (a.checked_add(c)?, b.checked_add(d)?),
                Binary::Sub => (a.checked_sub(c)?, b.checked_sub(d)?),
                Binary::Mul if d == 0 => (a.checked_mul(c)?, b.checked_mul(c)?),
                Binary::Mul if b == 0 => (a.checked_mul(c)?, a.checked_mul(d)?),
                _ => return None,
            }
        }
        (Op::Unary(Unary::Neg), [x]) => {
            let (a, b) = of(*x)?;
            (a.checked_neg()?, b.checked_neg()?)
        }
        (Op::Convert(_), [x]) => of(*x)?,
        (Op::Ternary(Ternary::Select), [test, x, y]) => {
            match always(graph, *test, length, known, depth)? {
                true => of(*x)?,
                false => of(*y)?,
            }
        }
        _ => known(v)?,
    };
    let numbers = Affine {
        start,
        step,
        length,
    };
    let is_one = |x: i64| match dtype {
        DType::U8 => u8::try_from(x).is_ok(),
        DType::U32 => u32::try_from(x).is_ok(),
        DType::I32 => i32::try_from(x).is_ok(),
        _ => true,
    };
    (is_one(start) && is_one(numbers.last()?)).then_some((start, step))
}

/// What a comparison says, if it says the same all along.
fn always(
    graph: &Graph,
    v: Var,
    length: usize,
    known: &dyn Fn(Var) -> Option<(i64, i64)>,
    depth: usize,
) -> Option<bool> {
    let e = graph.equation(v);
    let (Op::Compare(op), [x, y]) = (&e.op, &e.args[..]) else {
        return None;
    };
    let ((a, b), (c, d)) = (
        find(graph, *x, length, known, depth)?,
        find(graph, *y, length, known, depth)?,
    );
    let difference = Affine {
        start: a.checked_sub(c)?,
        step: b.checked_sub(d)?,
        length,
    };
    let ends = [difference.start, difference.last()?];
    let all = |holds: fn(i64) -> bool| ends.into_iter().all(holds);
    let decided = |yes: bool, no: bool| match (yes, no) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    match op {
        Compare::Lt => decided(all(|x| x < 0), all(|x| x >= 0)),
        Compare::Le => decided(all(|x| x <= 0), all(|x| x > 0)),
        Compare::Gt => decided(all(|x| x > 0), all(|x| x <= 0)),
        Compare::Ge => decided(all(|x| x >= 0), all(|x| x < 0)),
        _ => None,
    }
}

/// Start and step of an array of rank 1.
fn progression(array: &Array) -> Option<(i64, i64)> {
    let mut numbers = array.scalars().map(Scalar::to_i64);
    let start = numbers.next()?;
    let Some(second) = numbers.next() else {
        return Some((start, 0));
    };
    let step = second.checked_sub(start)?;
    let mut last = second;
    for x in numbers {
        if x.checked_sub(last)? != step {
            return None;
        }
        last = x;
    }
    Some((start, step))
}
