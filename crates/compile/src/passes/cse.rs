//! Gives equal operations one variable.

use cotangent_graph::ops::{Binary, Compare};
use cotangent_graph::{Equation, FastMap, Graph, Op, Var};

use super::rewrite::rewrite;
use crate::CompileError;

/// The builder gives equal operations one variable; this pass finds those that differ in the order
/// of the operands of a commutative operation alone. The first one stays, as it was written.
pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let mut known: FastMap<Key, Var> = FastMap::default();
    let twice = |(v, e): (Var, &Equation)| {
        key(&e.op, &e.args).is_some_and(|key| *known.entry(key).or_insert(v) != v)
    };
    if !graph.iter().any(twice) {
        return Ok(None);
    }
    known.clear();
    rewrite(graph, |b, e, args| {
        let key = key(&e.op, args)?;
        Some(
            *known
                .entry(key)
                .or_insert_with(|| b.push(e.op.clone(), args)),
        )
    })
    .map(Some)
}

/// A commutative operation and its operands in increasing order.
type Key = (Commutative, Var, Var);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Commutative {
    Binary(Binary),
    Compare(Compare),
}

/// The key of an operation for which exchanging the operands never changes the result, NaN,
/// infinities and zeros included.
fn key(op: &Op, args: &[Var]) -> Option<Key> {
    use Binary::{Add, And, Maximum, Minimum, Mul, Or, Xor};
    let op = match op {
        Op::Binary(op @ (Add | Mul | Maximum | Minimum | And | Or | Xor)) => {
            Commutative::Binary(*op)
        }
        Op::Compare(op @ (Compare::Eq | Compare::Ne)) => Commutative::Compare(*op),
        _ => return None,
    };
    match args {
        [x, y] => Some((op, *x.min(y), *x.max(y))),
        _ => None,
    }
}
