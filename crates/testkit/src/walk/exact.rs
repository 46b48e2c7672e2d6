//! Which operations round.

use cotangent_graph::ops::{ArrayOp, Binary, Part, Unary};
use cotangent_graph::{Graph, Op};

/// Whether an operation moves numbers or decides between them, so that it never rounds.
pub fn is_exact(op: &Op) -> bool {
    match op {
        Op::Unary(op) => {
            use Unary::*;
            matches!(
                op,
                Neg | StopGradient | Not | Abs | Sign | Floor | Ceil | Round | Trunc
            )
        }
        Op::Binary(op) => {
            use Binary::*;
            matches!(op, Maximum | Minimum | And | Or | Xor | Shl | Shr)
        }
        Op::Indexed(..) | Op::Special(..) | Op::Part(Part::Angle) | Op::Linalg(_) => false,
        Op::Array(op) => {
            use ArrayOp::*;
            match op {
                Iota(_) | RandomBits(_) | Reshape(_) | Transpose(_) | Broadcast(_) | Reverse(_)
                | Slice(_) | Pad(_) | Concat(_) | Gather(_) | Max(_) | Min(_) | ArgMax(_)
                | ArgMin(_) | Any(_) | All(_) | WindowMax(_) | WindowArgMax(_) | ArgSort(_)
                | SearchSorted(_) | CumArgMax(_) | CumArgMin(_) => true,
                ScatterAdd(_) | Sum(_) | Prod(_) | Norm(_) | CumSum(_) | CumProd(_)
                | Recurrence(_) | Dot(_) | Conv(_) | WindowSum(_) | Fft(_) | Rfft(_) | Irfft(_) => {
                    false
                }
            }
        }
        Op::Input
        | Op::Full(..)
        | Op::Constant(_)
        | Op::Part(_)
        | Op::Complex
        | Op::Compare(_)
        | Op::Test(_)
        | Op::Ternary(_)
        | Op::Convert(_)
        | Op::Call(_)
        | Op::Region(_)
        | Op::Native(_)
        | Op::Get(_) => true,
    }
}

/// For each output whether no operation that it depends on rounds a float.
pub fn exact_outputs(graph: &Graph) -> Vec<bool> {
    let mut exact: Vec<bool> = Vec::with_capacity(graph.equations().len());
    for e in graph.equations() {
        let rounds = match &e.op {
            Op::Call(_) | Op::Region(_) => {
                e.op.callees()
                    .any(|callee| exact_outputs(&callee.0).contains(&false))
            }
            Op::Linalg(_) => true,
            op => e.ty.tensor().is_some_and(|t| t.dtype.is_inexact()) && !is_exact(op),
        };
        exact.push(!rounds && e.args.iter().all(|a| exact[a.index()]));
    }
    graph.outputs().iter().map(|o| exact[o.index()]).collect()
}

/// Whether an operation adds or multiplies several numbers, in an order that programs may choose.
pub(super) fn accumulates(op: &Op) -> bool {
    matches!(op, Op::Array(_)) && !is_exact(op)
}

/// The axes of a Fourier transform.
pub(super) fn transformed(op: &Op) -> Option<&[usize]> {
    match op {
        Op::Array(ArrayOp::Fft(op)) => Some(&op.axes),
        Op::Array(ArrayOp::Rfft(op)) => Some(std::slice::from_ref(&op.axis)),
        Op::Array(ArrayOp::Irfft(op)) => Some(std::slice::from_ref(&op.axis)),
        _ => None,
    }
}
