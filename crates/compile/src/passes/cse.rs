//! Gives equal operations one variable.

use cotangent_graph::ops::{Binary, Compare};
use cotangent_graph::{Graph, Op};

use super::rewrite::rewrite;
use crate::CompileError;

/// The builder finds equal operations; this pass makes more of them equal by putting the operands
/// of commutative operations in one order: constants last, else the older variable first.
pub(super) fn run(graph: &Graph) -> Result<Graph, CompileError> {
    rewrite(graph, |b, e, args| match args {
        [x, y] if commutes(&e.op) => {
            let constant = |v| b.graph().equation(v).op.is_constant();
            ((constant(*x), *x) > (constant(*y), *y)).then(|| b.push(e.op.clone(), &[*y, *x]))
        }
        _ => None,
    })
}

/// Whether exchanging the operands never changes the result, NaN, infinities and zeros included.
fn commutes(op: &Op) -> bool {
    use Binary::{Add, And, Maximum, Minimum, Mul, Or, Xor};
    matches!(
        op,
        Op::Binary(Add | Mul | Maximum | Minimum | And | Or | Xor)
            | Op::Compare(Compare::Eq | Compare::Ne)
    )
}
