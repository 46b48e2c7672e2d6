//! Names of operations, and names that people write for several of them together.

use super::lower::Lowerer;
use super::{At, ParseError};
use crate::ops::{
    ArrayOp, Binary, Compare, Dot, Indexed, Linalg, Part, Region, Special, Sum, Ternary, Test,
    Unary,
};
use crate::{Op, Var};

/// Names that are no operation but are written like one.
const SUGAR: &[&str] = &["matmul", "mean", "square", "relu", "where"];

/// Whether a name means an operation or sugar, so that a function cannot have it in print.
pub(super) fn is_operation(name: &str) -> bool {
    names().any(|n| n == name)
}

/// The names nearest to one that is unknown.
pub(super) fn nearest(name: &str, functions: impl Iterator<Item = String>) -> Vec<String> {
    let mut scored: Vec<(usize, String)> = names()
        .map(str::to_owned)
        .chain(functions)
        .map(|n| (distance(name, &n), n))
        .filter(|(d, n)| *d <= 1 + n.len() / 4)
        .collect();
    scored.sort();
    scored.dedup();
    scored.into_iter().take(3).map(|(_, n)| n).collect()
}

/// The pointwise operation of this name that has no attribute.
pub(super) fn pointwise(name: &str) -> Option<Op> {
    let unary = Unary::ALL
        .iter()
        .find(|op| op.name() == name)
        .map(|op| Op::Unary(*op));
    let binary = || {
        Binary::ALL
            .iter()
            .find(|op| op.name() == name)
            .map(|op| Op::Binary(*op))
    };
    let complex = || match name {
        "complex" => Some(Op::Complex),
        _ => (Part::ALL.iter())
            .find(|op| op.name() == name)
            .map(|op| Op::Part(*op)),
    };
    let compare = || {
        Compare::ALL
            .iter()
            .find(|op| op.name() == name)
            .map(|op| Op::Compare(*op))
    };
    let test = || {
        Test::ALL
            .iter()
            .find(|op| op.name() == name)
            .map(|op| Op::Test(*op))
    };
    let ternary = || {
        Ternary::ALL
            .iter()
            .find(|op| op.name() == name)
            .map(|op| Op::Ternary(*op))
    };
    unary
        .or_else(binary)
        .or_else(complex)
        .or_else(compare)
        .or_else(test)
        .or_else(ternary)
}

/// A name that stands for several operations; `None` for any other name.
pub(super) fn lower(
    l: &mut Lowerer<'_>,
    at: At,
    name: &str,
    args: &[Var],
) -> Option<Result<Var, ParseError>> {
    match (name, args) {
        ("matmul", [x, y]) => Some(matmul(l, at, *x, *y)),
        ("square", [x]) => Some(l.push(at, Binary::Mul.into(), &[*x, *x])),
        ("relu", [x]) => {
            let zero = l.builder.like(*x, 0.0);
            let positive = l.builder.compare(Compare::Gt, *x, zero);
            Some(l.push(at, Ternary::Select.into(), &[positive, *x, zero]))
        }
        ("mean", [x]) => {
            let shape = l.builder.shape(*x);
            let axes = (0..shape.rank()).collect();
            let total = l.builder.push(Sum { axes }, &[*x]);
            let count = l.builder.like(total, shape.elements() as f64);
            Some(l.push(at, Binary::Div.into(), &[total, count]))
        }
        _ => None,
    }
}

/// NumPy's matmul: the last two axes are matrices, the axes before them a batch that broadcasts.
pub(super) fn matmul(l: &mut Lowerer<'_>, at: At, x: Var, y: Var) -> Result<Var, ParseError> {
    let b = &mut l.builder;
    let (xs, ys) = (b.shape(x), b.shape(y));
    let (m, n) = (xs.rank(), ys.rank());
    if m == 0 || n == 0 {
        return Err(ParseError::new(
            at,
            "`@`: expected operands of rank 1 or more, found a scalar",
        ));
    }
    let (xc, yc) = (m - 1, n.saturating_sub(2));
    if m <= 2 || n <= 2 {
        // No batch on one side, so its free axis goes last by itself.
        let dot = Dot {
            contract: (vec![xc], vec![yc]),
            batch: (Vec::new(), Vec::new()),
        };
        let out = b.push(dot, &[x, y]);
        // Free axes come left then right: only a batch on the right is not in its place.
        let out = if m <= 2 && n > 2 && m == 2 {
            let rank = n;
            let mut axes: Vec<usize> = (1..rank - 1).collect();
            axes.extend([0, rank - 1]);
            b.transpose(out, &axes)
        } else {
            out
        };
        return l.checked(at, out);
    }
    let batch = cotangent_array::Shape::broadcast(&xs.dims()[..m - 2], &ys.dims()[..n - 2])
        .map_err(|e| ParseError::new(at, format!("`@`: {e}")))?;
    let k = batch.rank();
    let widen = |l: &mut Lowerer<'_>, v: Var, dims: &[usize]| {
        let shape = [batch.dims(), &dims[dims.len() - 2..]].concat();
        super::broadcast::broadcast_to(&mut l.builder, v, &shape.into())
    };
    let (x, y) = (widen(l, x, xs.dims()), widen(l, y, ys.dims()));
    let shared: Vec<usize> = (0..k).collect();
    let dot = Dot {
        contract: (vec![k + 1], vec![k]),
        batch: (shared.clone(), shared),
    };
    l.push(at, dot.into(), &[x, y])
}

/// Every name that a call may have, except the functions of the text.
fn names() -> impl Iterator<Item = &'static str> {
    let special = ["convert", "get", "full", "constant", "native"];
    Unary::ALL
        .iter()
        .map(|op| op.name())
        .chain(Indexed::ALL.iter().map(|op| op.name()))
        .chain(Binary::ALL.iter().map(|op| op.name()))
        .chain(Part::ALL.iter().map(|op| op.name()))
        .chain(["complex"])
        .chain(Compare::ALL.iter().map(|op| op.name()))
        .chain(Test::ALL.iter().map(|op| op.name()))
        .chain(Ternary::ALL.iter().map(|op| op.name()))
        .chain(Special::ALL.iter().map(|op| op.name()))
        .chain(ArrayOp::ALL.iter().map(|op| op.0))
        .chain(Linalg::ALL.iter().map(|op| op.0))
        .chain(Region::ALL.iter().map(|op| op.0))
        .chain(special)
        .chain(SUGAR.iter().copied())
}

/// The number of letters to insert, remove or replace (Wagner and Fischer 1974).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// Ops that take every axis when none is written.
pub(super) fn reduces_all(name: &str) -> bool {
    ArrayOp::fields(name) == Some(&["axes"]) && !matches!(name, "transpose" | "reverse")
}
