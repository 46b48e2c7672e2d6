//! How a random use of each operation is drawn.
//!
//! Pointwise operations are drawn from what their rows say. The others have a sampler each in the
//! list at the foot of this file; an operation that is added without one does not compile.

mod array_ops;
mod linalg;
mod regions;
mod triangles;

use cotangent_array::{DType, Shape};
use cotangent_graph::Op;
use cotangent_graph::ops::{
    Binary, Compare, Indexed, Kinds, Part, Row, Special, Ternary, Test, Unary,
};
use cotangent_graph::{TensorType, Var};

use crate::random::Generator;
use crate::rng::Rng;

/// An operation to be drawn.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A row of the unary table.
    Unary(Unary),
    /// A row of the indexed table.
    Indexed(Indexed),
    /// A row of the binary table.
    Binary(Binary),
    /// A part of complex numbers.
    Part(Part),
    /// Complex numbers from parts.
    Complex,
    /// A comparison.
    Compare(Compare),
    /// A test.
    Test(Test),
    /// A row of the ternary table.
    Ternary(Ternary),
    /// A special function of several operands.
    Special(Special),
    /// A conversion.
    Convert,
    /// A call, with `get` where the callee has not just one output.
    Call,
    /// An operation that is not pointwise, a branch, a loop or several operations together, with their sampler.
    Array(Sampler),
}

/// Adds an operation to a graph; `None` when it found no operands that fit.
pub type Sampler = fn(&mut Generator) -> Option<Var>;

/// One kind of operation out of all, each as likely as the others.
pub fn draw(rng: &mut Rng) -> Kind {
    let lists: [usize; 9] = [
        Unary::ALL.len(),
        Indexed::ALL.len(),
        Binary::ALL.len(),
        Compare::ALL.len(),
        Test::ALL.len(),
        Ternary::ALL.len(),
        Part::ALL.len(),
        2,
        Special::ALL.len(),
    ];
    let rows: usize = lists.iter().sum();
    // Conversions and calls carry whole families of cases, so they come more often.
    let (conversions, calls) = (3, 5);
    let regions = 2 * regions::SAMPLERS.len();
    let linalg = linalg::SAMPLERS.len();
    // So do the operations with rules of their own.
    let arrays = 2 * array_ops::SAMPLERS.len();
    // And what stands for a family of graphs.
    let triangles = 2 * triangles::SAMPLERS.len();
    let mut at = rng.below(rows + conversions + calls + regions + linalg + triangles + arrays);
    let mut within = |count: usize| {
        if at < count {
            return Some(at);
        }
        at -= count;
        None
    };
    if let Some(i) = within(lists[0]) {
        return Kind::Unary(Unary::ALL[i]);
    }
    if let Some(i) = within(lists[1]) {
        return Kind::Indexed(Indexed::ALL[i]);
    }
    if let Some(i) = within(lists[2]) {
        return Kind::Binary(Binary::ALL[i]);
    }
    if let Some(i) = within(lists[3]) {
        return Kind::Compare(Compare::ALL[i]);
    }
    if let Some(i) = within(lists[4]) {
        return Kind::Test(Test::ALL[i]);
    }
    if let Some(i) = within(lists[5]) {
        return Kind::Ternary(Ternary::ALL[i]);
    }
    if let Some(i) = within(lists[6]) {
        return Kind::Part(Part::ALL[i]);
    }
    if within(lists[7]).is_some() {
        return Kind::Complex;
    }
    if let Some(i) = within(lists[8]) {
        return Kind::Special(Special::ALL[i]);
    }
    if within(conversions).is_some() {
        return Kind::Convert;
    }
    if let Some(i) = within(regions) {
        return Kind::Array(regions::SAMPLERS[i / 2].1);
    }
    if let Some(i) = within(linalg) {
        return Kind::Array(linalg::SAMPLERS[i].1);
    }
    if let Some(i) = within(triangles) {
        return Kind::Array(triangles::SAMPLERS[i / 2]);
    }
    match within(arrays) {
        Some(i) => Kind::Array(array_ops::SAMPLERS[i / 2].1),
        None => Kind::Call,
    }
}

impl Kind {
    /// Adds a use of the operation to a graph, if operands that fit are found.
    pub fn sample(self, g: &mut Generator) -> Option<()> {
        match self {
            Kind::Unary(op) => {
                let dtype = g.dtype(|d| op.infer(&TensorType::scalar(d)).is_ok())?;
                let x = g.any(dtype, |_| true)?;
                let x = range(g, x, op.row(), 0, is_total_unary(op))?;
                g.push(op, &[x])?;
            }
            Kind::Indexed(op) => {
                let dtype = g.dtype(|d| op.row().kinds.contains(d))?;
                let x = g.any(dtype, |_| true)?;
                let least = if op == Indexed::Powi && dtype.is_inexact() {
                    -3
                } else {
                    0
                };
                let n = g.rng.between(least, 4);
                let x = range(g, x, op.row(), 0, op == Indexed::Powi && n >= 0)?;
                g.push(Op::Indexed(op, n), &[x])?;
            }
            Kind::Binary(op) => {
                let dtype = g.dtype(|d| {
                    let t = TensorType::scalar(d);
                    op.infer(&t, &t).is_ok()
                })?;
                let x = g.any(dtype, |_| true)?;
                let shape = g.ty(x).shape;
                let y = g.operand(dtype, &shape);
                let total = is_total_binary(op);
                let x = range(g, x, op.row(), 0, total)?;
                let y = range(g, y, op.row(), 1, total)?;
                g.push(op, &[x, y])?;
            }
            Kind::Part(op) => {
                let dtype = g.dtype(DType::is_complex)?;
                let x = g.any(dtype, |_| true)?;
                g.push(op, &[x])?;
            }
            Kind::Complex => {
                let dtype = g.dtype(DType::is_float)?;
                let re = g.any(dtype, |_| true)?;
                let shape = g.ty(re).shape;
                let im = g.operand(dtype, &shape);
                g.push(Op::Complex, &[re, im])?;
            }
            Kind::Compare(op) => {
                let dtype = g.dtype(|d| {
                    let t = TensorType::scalar(d);
                    op.infer(&t, &t).is_ok()
                })?;
                let x = g.any(dtype, |_| true)?;
                let shape = g.ty(x).shape;
                let y = g.operand(dtype, &shape);
                g.push(op, &[x, y])?;
            }
            Kind::Test(op) => {
                let dtype = g.dtype(|d| op.row().kinds.contains(d))?;
                let x = g.any(dtype, |_| true)?;
                g.push(op, &[x])?;
            }
            Kind::Ternary(Ternary::Select) => {
                let dtype = g.dtype(|_| true)?;
                let x = g.any(dtype, |_| true)?;
                let shape = g.ty(x).shape;
                let y = g.operand(dtype, &shape);
                let condition = g.operand(DType::Bool, &shape);
                g.push(Ternary::Select, &[condition, x, y])?;
            }
            Kind::Ternary(op) => {
                let dtype = g.dtype(|d| op.row().kinds.contains(d))?;
                let x = g.any(dtype, |_| true)?;
                let shape = g.ty(x).shape;
                let mut args = vec![x];
                for i in 1..op.row().samples.len() {
                    let v = g.operand(dtype, &shape);
                    let total = g.rng.chance(0.3);
                    args.push(range(g, v, op.row(), i, total)?);
                }
                g.push(op, &args)?;
            }
            Kind::Special(op) => {
                let dtype = g.dtype(|d| op.row().kinds.contains(d))?;
                let x = g.any(dtype, |_| true)?;
                let shape = g.ty(x).shape;
                let mut args = Vec::new();
                let mut orders = [0; 3];
                for (i, order) in orders.iter_mut().enumerate().take(op.operands()) {
                    let v = if i == 0 { x } else { g.operand(dtype, &shape) };
                    args.push(range(g, v, op.row(), i, false)?);
                    if g.rng.chance(0.2) {
                        *order = 1;
                    }
                }
                g.push(Op::Special(op, orders), &args)?;
            }
            Kind::Convert => {
                let from = g.dtype(|_| true)?;
                let to = if g.rng.chance(0.5) {
                    g.float()
                } else {
                    g.rng.pick(DType::ALL)?
                };
                let x = g.any(from, |_| true)?;
                let v = g.push(Op::Convert(to), &[x])?;
                g.fit(v, -8.0, 8.0)?;
            }
            Kind::Call => g.call()?,
            Kind::Array(sample) => {
                sample(g)?;
            }
        }
        Some(())
    }
}

/// An operand within the range that a row declares for it. An operation without a border takes
/// any value of ordinary size instead, so that all its branches are met.
fn range(g: &mut Generator, x: Var, row: &Row, operand: usize, total: bool) -> Option<Var> {
    if total {
        return g.fit(x, -8.0, 8.0);
    }
    let (lo, hi) = row.samples.get(operand).copied()?;
    g.fit(x, lo, hi)
}

fn is_total_unary(op: Unary) -> bool {
    use Unary::*;
    matches!(
        op,
        Neg | StopGradient | Abs | Sign | Floor | Ceil | Round | Trunc | Tanh | Atan | Sin
    )
}

fn is_total_binary(op: Binary) -> bool {
    use Binary::*;
    matches!(op, Add | Sub | Mul | Zmul | Maximum | Minimum)
}

/// The name of every operation that a random graph can meet.
pub fn names() -> Vec<&'static str> {
    let rows = (Unary::ALL.iter().map(|o| o.name()))
        .chain(Indexed::ALL.iter().map(|o| o.name()))
        .chain(Binary::ALL.iter().map(|o| o.name()))
        .chain(Compare::ALL.iter().map(|o| o.name()))
        .chain(Test::ALL.iter().map(|o| o.name()))
        .chain(Ternary::ALL.iter().map(|o| o.name()))
        .chain(Special::ALL.iter().map(|o| o.name()));
    let arrays = array_ops::SAMPLERS
        .iter()
        .chain(regions::SAMPLERS)
        .chain(linalg::SAMPLERS)
        .map(|(name, _)| *name);
    let parts = Part::ALL.iter().map(|op| op.name()).chain(["complex"]);
    ["input", "full", "constant", "convert", "call", "get"]
        .into_iter()
        .chain(parts)
        .chain(rows)
        .chain(arrays)
        .collect()
}

/// Whether a dtype is one of the kinds.
fn is(kinds: Kinds) -> impl Fn(DType) -> bool {
    move |d| kinds.contains(d)
}

/// A shape with some axes of another replaced by others.
fn with_axis(shape: &Shape, axis: usize, length: usize) -> Shape {
    shape
        .iter()
        .enumerate()
        .map(|(i, n)| if i == axis { length } else { *n })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cotangent_graph::ops::{ArrayOp, Linalg};

    #[test]
    fn every_array_operation_has_a_sampler() {
        let named: Vec<&str> = array_ops::SAMPLERS.iter().map(|(name, _)| *name).collect();
        for (name, ..) in ArrayOp::ALL {
            assert!(named.contains(name), "`{name}` has no sampler");
        }
        assert_eq!(named.len(), ArrayOp::ALL.len());
        let named: Vec<&str> = linalg::SAMPLERS.iter().map(|(name, _)| *name).collect();
        let all: Vec<&str> = Linalg::ALL.iter().map(|op| op.0).collect();
        assert_eq!(named, all);
    }
}
