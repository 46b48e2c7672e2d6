//! The rules of the simplifier, one line of reason each.

mod arithmetic;
mod counted;
mod moves;
mod repeated;

pub(super) use moves::padded_concat;

use cotangent_graph::Op;
use cotangent_graph::ops::Binary;

use super::simplify::{Better, Rule, Site};

/// Every rule by the family of operations that it is about; of those of a family the first that
/// applies is taken.
pub const RULES: &[(&str, &[Rule])] = &[
    ("sums", arithmetic::ADD),
    ("differences", arithmetic::SUB),
    ("products", arithmetic::MUL),
    ("other operations of two operands", arithmetic::BINARY),
    ("other pointwise operations", arithmetic::OTHER),
    ("moves, reductions and products", moves::MOVES),
];

/// The rules that may apply to an operation.
pub(super) fn rules_for(op: &Op) -> &'static [Rule] {
    match op {
        Op::Binary(Binary::Add) => arithmetic::ADD,
        Op::Binary(Binary::Sub) => arithmetic::SUB,
        Op::Binary(Binary::Mul | Binary::Zmul) => arithmetic::MUL,
        Op::Binary(_) => arithmetic::BINARY,
        Op::Array(_) => moves::MOVES,
        _ => arithmetic::OTHER,
    }
}

macro_rules! rules {
    (#[doc = $doc:literal] $LIST:ident: $($name:literal, $reason:literal => $apply:expr;)+) => {
        #[doc = $doc]
        pub(super) const $LIST: &[Rule] =
            &[$(Rule { name: $name, reason: $reason, apply: $apply }),+];
    };
}

use rules;

fn first(s: &Site) -> Option<Better> {
    s.args.first().map(|x| Better::Var(*x))
}
