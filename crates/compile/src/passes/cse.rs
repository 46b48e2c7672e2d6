//! Gives equal operations one variable.

use std::cmp::Ordering;

use cotangent_graph::ops::{Binary, Compare};
use cotangent_graph::{Equation, FastMap, Graph, Op, Var};

use super::rewrite::rewrite;
use crate::CompileError;

/// The builder gives equal operations one variable; this pass finds those that differ in the order
/// of the operands of a commutative operation alone. The first one stays, as it was written.
pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    // Of two that are equal one has its operands in falling order: mostly there are few of those.
    let operands = |e: &Equation| match e.args[..] {
        [x, y] => x.cmp(&y),
        _ => Ordering::Equal,
    };
    let mut falling: FastMap<Key, ()> = FastMap::default();
    let of = |order: Ordering| {
        graph
            .equations()
            .iter()
            .filter(move |e| operands(e) == order)
    };
    falling.extend(of(Ordering::Greater).filter_map(|e| Some((key(&e.op, &e.args)?, ()))));
    let twice = |e: &Equation| key(&e.op, &e.args).is_some_and(|key| falling.contains_key(&key));
    if falling.is_empty() || !of(Ordering::Less).any(twice) {
        return Ok(None);
    }
    let mut known: FastMap<Key, Var> = FastMap::default();
    rewrite(graph, |b, _, e, args| {
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
