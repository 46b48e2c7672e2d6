//! Masks that compare positions.

use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_graph::ops::{ArrayOp, Binary, Compare, Unary};
use cotangent_graph::{Graph, Op, Var};
use smallvec::SmallVec;

use super::band::{Axes, Band};
use super::zeros::kept_axis;

/// Longer chains of operations are not looked through.
const DEEPEST: usize = 12;

/// Numbers that go up or down by equal steps along each axis.
struct Positions {
    start: i64,
    steps: SmallVec<[i64; 4]>,
}

/// Where a comparison of positions along two axes is true: on a band, and nowhere else.
pub(super) fn compared(graph: &Graph, op: Compare, x: Var, y: Var) -> Option<(Axes, Band)> {
    let shape = &graph.ty(x).tensor()?.shape;
    // Most comparisons are of vectors and of what was computed.
    if shape.rank() < 2 {
        return None;
    }
    let (x, y) = (positions(graph, x, DEEPEST)?, positions(graph, y, DEEPEST)?);
    let start = x.start.checked_sub(y.start)?;
    let mut moving: SmallVec<[(usize, i64); 2]> = SmallVec::new();
    for (axis, (a, b)) in x.steps.iter().zip(&y.steps).enumerate() {
        let step = a.checked_sub(*b)?;
        if step != 0 && shape.get(axis).is_some_and(|n| *n > 1) {
            moving.push((axis, step));
        }
    }
    let [(row, back), (column, step)] = moving[..] else {
        return None;
    };
    if back.checked_neg()? != step {
        return None;
    }
    // start + step * d, for the difference d of the two positions, beside 0.
    let (op, start, step) = match step > 0 {
        true => (op, start, step),
        false => (flipped(op), start.checked_neg()?, back),
    };
    let floor = start.checked_neg()?.div_euclid(step);
    let exact = floor.checked_mul(step)? == -start;
    let (low, high) = match op {
        Compare::Le => (i64::MIN, floor),
        Compare::Lt => (i64::MIN, floor - i64::from(exact)),
        Compare::Gt => (floor + 1, i64::MAX),
        Compare::Ge => (floor + i64::from(!exact), i64::MAX),
        Compare::Eq if exact => (floor, floor),
        _ => return None,
    };
    Some((Axes::new(row, column)?, Band { low, high }))
}

/// The comparison that says of -x what this one says of x, beside 0.
fn flipped(op: Compare) -> Compare {
    match op {
        Compare::Lt => Compare::Gt,
        Compare::Le => Compare::Ge,
        Compare::Gt => Compare::Lt,
        Compare::Ge => Compare::Le,
        Compare::Eq => Compare::Eq,
        Compare::Ne => Compare::Ne,
    }
}

fn positions(graph: &Graph, v: Var, depth: usize) -> Option<Positions> {
    let (e, depth) = (graph.equation(v), depth.checked_sub(1)?);
    let ty = e.ty.tensor()?;
    let of = |v: &Var| positions(graph, *v, depth);
    let still = |start: i64| Positions {
        start,
        steps: SmallVec::from_elem(0, ty.rank()),
    };
    let found = match (&e.op, &e.args[..]) {
        (Op::Full(value, _), _) => still(whole(*value)?),
        (Op::Constant(array), _) => progression(array)?,
        (Op::Array(ArrayOp::Iota(iota)), _) => {
            let mut found = still(0);
            *found.steps.get_mut(iota.axis)? = 1;
            found
        }
        (Op::Convert(_), [x]) => of(x)?,
        (Op::Array(ArrayOp::Broadcast(op)), [x]) => {
            of(x)?.moved(ty.rank(), |axis| op.dims.get(axis).copied())?
        }
        (Op::Array(ArrayOp::Reshape(_)), [x]) => {
            let from: &Shape = &graph.ty(*x).tensor()?.shape;
            of(x)?.moved(ty.rank(), |axis| kept_axis(from, &ty.shape, axis))?
        }
        (Op::Unary(Unary::Neg), [x]) => still(0).plus(of(x)?, -1)?,
        (Op::Binary(Binary::Add), [x, y]) => of(x)?.plus(of(y)?, 1)?,
        (Op::Binary(Binary::Sub), [x, y]) => of(x)?.plus(of(y)?, -1)?,
        (Op::Binary(Binary::Mul), [x, y]) => {
            let (x, y) = (of(x)?, of(y)?);
            let (x, by) = match x.steps.iter().all(|step| *step == 0) {
                true => (y, x),
                false => (x, y),
            };
            if by.steps.iter().any(|step| *step != 0) {
                return None;
            }
            still(0).plus(x, by.start)?
        }
        _ => return None,
    };
    found.are_of(ty.dtype, &ty.shape).then_some(found)
}

impl Positions {
    /// These and so many times the others.
    fn plus(self, other: Positions, times: i64) -> Option<Positions> {
        let sum = |x: i64, y: i64| x.checked_add(y.checked_mul(times)?);
        let steps = self.steps.iter().zip(&other.steps);
        Some(Positions {
            start: sum(self.start, other.start)?,
            steps: steps.map(|(x, y)| sum(*x, *y)).collect::<Option<_>>()?,
        })
    }

    /// With each axis along which they change at another place.
    fn moved(self, rank: usize, to: impl Fn(usize) -> Option<usize>) -> Option<Positions> {
        let mut steps: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
        for (axis, step) in self.steps.iter().enumerate().filter(|(_, s)| **s != 0) {
            *steps.get_mut(to(axis)?)? = *step;
        }
        Some(Positions {
            start: self.start,
            steps,
        })
    }

    /// Whether every number is one of the dtype, so that nothing wrapped or was rounded.
    fn are_of(&self, dtype: DType, shape: &Shape) -> bool {
        let ends = || {
            let (mut low, mut high) = (self.start, self.start);
            for (n, step) in shape.iter().zip(&self.steps) {
                let last = i64::try_from(n.saturating_sub(1))
                    .ok()?
                    .checked_mul(*step)?;
                low = low.checked_add(last.min(0))?;
                high = high.checked_add(last.max(0))?;
            }
            Some((low, high))
        };
        let Some((low, high)) = ends() else {
            return false;
        };
        let (least, most) = match dtype {
            DType::U8 => (0, i64::from(u8::MAX)),
            DType::U32 => (0, i64::from(u32::MAX)),
            DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            DType::I64 => (i64::MIN, i64::MAX),
            DType::F32 => (-(1 << 24), 1 << 24),
            DType::F64 => (-(1 << 53), 1 << 53),
            _ => return false,
        };
        least <= low && high <= most
    }
}

/// The whole number that a number is.
fn whole(x: Scalar) -> Option<i64> {
    let dtype = x.dtype();
    let number = x.to_i64();
    let same = !dtype.is_complex() && Scalar::from_i64(dtype, number) == x;
    same.then_some(number)
}

/// Start and step of a vector of constants.
fn progression(array: &Array) -> Option<Positions> {
    let [n] = array.shape().dims() else {
        return None;
    };
    let mut numbers = array.scalars().map(whole);
    let start = numbers.next()??;
    let mut last = start;
    let mut step = None;
    for x in numbers {
        let x = x?;
        let own = x.checked_sub(last)?;
        if *step.get_or_insert(own) != own {
            return None;
        }
        last = x;
    }
    (*n > 0).then(|| Positions {
        start,
        steps: SmallVec::from_elem(step.unwrap_or(0), 1),
    })
}
