//! The rules of the simplifier, one line of reason each.

use cotangent_array::{DType, Scalar};
use cotangent_graph::Op;
use cotangent_graph::ops::{
    ArrayOp, Binary, Broadcast, Dot, Indexed, Reshape, Reverse, Slice, Ternary, Transpose, Unary,
};

use super::simplify::{Better, Rule, Site};

macro_rules! rules {
    ($($name:literal, $reason:literal => $apply:expr;)+) => {
        /// Every rule; the first that applies is taken.
        pub const RULES: &[Rule] = &[$(Rule { name: $name, reason: $reason, apply: $apply }),+];
    };
}

rules! {
    "x + -0 -> x, integer x + 0 -> x", "-0 is the neutral element of float addition; +0 turns -0 into +0" =>
        |s| if binary(s, Binary::Add) { s.beside(s.scalar(-0.0)) } else { None };
    "x - 0 -> x", "x - +0 keeps the sign of a zero" =>
        |s| if binary(s, Binary::Sub) && s.number(1) == Some(s.scalar(0.0)) { first(s) } else { None };
    "-0 - x -> -x, integer 0 - x -> -x", "-0 - +0 is -0 and -0 - -0 is +0" =>
        |s| if binary(s, Binary::Sub) && s.number(0) == Some(s.scalar(-0.0)) { negate(s, 1) } else { None };
    "integer x - x -> 0", "integers have no NaN" =>
        |s| if binary(s, Binary::Sub) && s.dtype().is_int() && same(s) { s.everywhere(s.scalar(0.0)) } else { None };
    "x + -y -> x - y", "negation is exact" => |s| add_of_negated(s);
    "x - -y -> x + y", "negation is exact" => |s| sub_of_negated(s);
    "x * 1 -> x", "exact" =>
        |s| if binary(s, Binary::Mul) { s.beside(s.scalar(1.0)) } else { None };
    "x * -1 -> -x", "exact; integers wrap alike" => |s| times_minus_one(s);
    "integer x * 0 -> 0", "integers have no infinity" => |s| integer_times_zero(s);
    "-x * -y -> x * y", "the signs cancel exactly" => |s| product_of_negated(s);
    "x / 1 -> x", "exact" =>
        |s| if binary(s, Binary::Div) && s.number(1) == Some(s.scalar(1.0)) { first(s) } else { None };
    "x / 2^k -> x * 2^-k", "both are the rounded value of one real number" => |s| divide_by_power_of_two(s);
    "zmul(c, x) -> 0 or c * x", "the strong zero asks about its first operand alone; integers need none" =>
        |s| strong_zero(s);
    "-(-x) -> x", "exact" => |s| if unary(s, Unary::Neg) { under(s, Unary::Neg) } else { None };
    "not(not x) -> x", "exact" => |s| if unary(s, Unary::Not) { under(s, Unary::Not) } else { None };
    "stop_gradient(x) -> x", "it is the value itself, and nothing is differentiated any more" =>
        |s| if unary(s, Unary::StopGradient) { first(s) } else { None };
    "abs(-x), abs(abs(x)) -> abs(x)", "abs takes the sign away" => |s| absolute(s);
    "floor, ceil, round, trunc of whole numbers -> x", "they are whole already" => |s| whole(s);
    "maximum, minimum, and, or of x and x -> x", "idempotent, NaN included" => |s| idempotent(s);
    "x and true, x or false, x xor false -> x", "neutral elements of bools" => |s| neutral_bool(s);
    "powi(x, 0) -> 1, powi(x, 1) -> x, powi(x, 2) -> x * x, powi(x, -1) -> 1 / x",
        "the very operations of repeated squaring; an f32 is rounded once either way" => |s| small_power(s);
    "pow(x, 0) -> 1, pow(x, 1) -> x, pow(x, 2) -> x * x", "the product is the rounded square, pow within 1 ulp of it" =>
        |s| constant_power(s);
    "convert(x) -> x for the dtype that x has", "exact" =>
        |s| match s.op { Op::Convert(d) if s.b.dtype(s.args[0]) == d => first(s), _ => None };
    "convert(convert(x)) -> convert(x)", "when the inner dtype holds every value of x's" => |s| convert_twice(s);
    "select(true, x, y) -> x, select(false, x, y) -> y", "by definition" =>
        |s| match (&s.op, s.number(0)) {
            (Op::Ternary(Ternary::Select), Some(Scalar::Bool(c))) => Some(Better::Var(s.args[if c { 1 } else { 2 }])),
            _ => None,
        };
    "select(c, x, x) -> x", "both arms are one" =>
        |s| if matches!(s.op, Op::Ternary(Ternary::Select)) && s.args[1] == s.args[2] { Some(Better::Var(s.args[1])) } else { None };
    "select(not c, x, y) -> select(c, y, x)", "by definition" => |s| select_not(s);
    "moves of one number everywhere -> that number everywhere", "every element is it" => |s| moved_number(s);
    "max, min, any, all over no axes -> x", "each element is its own group" => |s| no_axes(s);
    "reshape to the shape that x has -> x", "nothing moves" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Reshape(_))) && same_shape(s) { first(s) } else { None };
    "reshape(reshape(x)) -> reshape(x)", "the order of elements stays" => |s| reshape_twice(s);
    "transpose that moves only axes of length 1 -> reshape", "the order of elements stays" => |s| transpose_to_reshape(s);
    "transpose(transpose(x)) -> transpose(x)", "permutations compose" => |s| transpose_twice(s);
    "broadcast that adds only axes of length 1 -> reshape", "the order of elements stays" =>
        |s| match &s.op {
            Op::Array(ArrayOp::Broadcast(b)) if elements(s, 0) == s.ty.shape.elements() => {
                Better::op(Reshape { shape: b.shape.clone() }, &s.args)
            }
            _ => None,
        };
    "broadcast(broadcast(x)) -> broadcast(x)", "axis maps compose" => |s| broadcast_twice(s);
    "reverse of no axis or of short ones -> x", "an axis of length 1 is its own mirror image" => |s| reverse_short(s);
    "reverse(reverse(x)) -> reverse(x)", "an axis turned twice stands as before" => |s| reverse_twice(s);
    "slice of everything -> x", "with the operand's shape it takes each element" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Slice(_))) && same_shape(s) { first(s) } else { None };
    "slice(slice(x)) -> slice(x)", "starts and strides compose" => |s| slice_twice(s);
    "pad by nothing -> x", "with the operand's shape no element is added" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Pad(_))) && same_shape(s) { first(s) } else { None };
    "concat of one -> x", "nothing is joined" =>
        |s| if matches!(s.op, Op::Array(ArrayOp::Concat(_))) && s.args.len() == 1 { first(s) } else { None };
    "transpose(dot(x, y)) -> dot(y, x)", "the two blocks of free axes change places; sums stay the same" => |s| transpose_of_dot(s);
    "dot(transpose(x), y) -> dot(x, y)", "when the free axes keep their order; sums stay the same" => |s| dot_of_transpose(s);
}

fn unary(s: &Site, op: Unary) -> bool {
    s.op == Op::Unary(op)
}

fn binary(s: &Site, op: Binary) -> bool {
    s.op == Op::Binary(op)
}

fn first(s: &Site) -> Option<Better> {
    s.args.first().map(|x| Better::Var(*x))
}

fn same(s: &Site) -> bool {
    s.args.len() == 2 && s.args[0] == s.args[1]
}

fn elements(s: &Site, operand: usize) -> usize {
    s.args.get(operand).map_or(0, |x| s.b.shape(*x).elements())
}

fn same_shape(s: &Site) -> bool {
    s.args.first().is_some_and(|x| s.b.shape(*x) == s.ty.shape)
}

/// What the unary operation that defines the only operand was applied to.
fn under(s: &Site, op: Unary) -> Option<Better> {
    match s.inner(0)? {
        (Op::Unary(found), [x]) if *found == op => Some(Better::Var(*x)),
        _ => None,
    }
}

fn negate(s: &Site, operand: usize) -> Option<Better> {
    Better::op(Unary::Neg, &[*s.args.get(operand)?])
}

/// The operand under a negation.
fn negated(s: &Site, operand: usize) -> Option<cotangent_graph::Var> {
    match s.inner(operand)? {
        (Op::Unary(Unary::Neg), [x]) => Some(*x),
        _ => None,
    }
}

fn add_of_negated(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Add) {
        return None;
    }
    if let Some(y) = negated(s, 1) {
        return Better::op(Binary::Sub, &[s.args[0], y]);
    }
    let x = negated(s, 0)?;
    Better::op(Binary::Sub, &[s.args[1], x])
}

fn sub_of_negated(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Sub) {
        return None;
    }
    Better::op(Binary::Add, &[s.args[0], negated(s, 1)?])
}

fn product_of_negated(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Mul) {
        return None;
    }
    Better::op(Binary::Mul, &[negated(s, 0)?, negated(s, 1)?])
}

fn times_minus_one(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Mul) || !(s.dtype().is_float() || s.dtype().is_signed()) {
        return None;
    }
    match s.beside(s.scalar(-1.0))? {
        Better::Var(x) => Better::op(Unary::Neg, &[x]),
        other => Some(other),
    }
}

fn integer_times_zero(s: &Site) -> Option<Better> {
    let product = binary(s, Binary::Mul) || binary(s, Binary::Zmul);
    if !product || !s.dtype().is_int() {
        return None;
    }
    let zero = s.scalar(0.0);
    s.beside(zero)?;
    s.everywhere(zero)
}

fn divide_by_power_of_two(s: &mut Site) -> Option<Better> {
    if !binary(s, Binary::Div) {
        return None;
    }
    let by = s.number(1)?;
    let reciprocal = match by {
        Scalar::F64(c) if c.is_normal() && (1.0 / c).is_normal() && c.to_bits() << 12 == 0 => {
            Scalar::F64(1.0 / c)
        }
        Scalar::F32(c) if c.is_normal() && (1.0 / c).is_normal() && c.to_bits() << 9 == 0 => {
            Scalar::F32(1.0 / c)
        }
        _ => return None,
    };
    let factor = s.b.full(reciprocal, s.ty.shape.clone());
    Better::op(Binary::Mul, &[s.args[0], factor])
}

fn strong_zero(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Zmul) {
        return None;
    }
    if s.dtype().is_int() {
        return Better::op(Binary::Mul, &s.args);
    }
    match s.number(0)?.to_f64() {
        0.0 => s.everywhere(s.scalar(0.0)),
        _ => Better::op(Binary::Mul, &s.args),
    }
}

fn absolute(s: &Site) -> Option<Better> {
    if !unary(s, Unary::Abs) {
        return None;
    }
    match s.inner(0)? {
        (Op::Unary(Unary::Neg), [x]) => Better::op(Unary::Abs, &[*x]),
        (Op::Unary(Unary::Abs), _) => first(s),
        _ => None,
    }
}

fn whole(s: &Site) -> Option<Better> {
    use Unary::{Ceil, Floor, Round, Sign, Trunc};
    if !matches!(s.op, Op::Unary(Floor | Ceil | Round | Trunc)) {
        return None;
    }
    let whole = s.dtype().is_int()
        || matches!(
            s.inner(0)?.0,
            Op::Unary(Floor | Ceil | Round | Trunc | Sign)
        );
    if whole { first(s) } else { None }
}

fn idempotent(s: &Site) -> Option<Better> {
    use Binary::{And, Maximum, Minimum, Or};
    if matches!(s.op, Op::Binary(And | Maximum | Minimum | Or)) && same(s) {
        first(s)
    } else {
        None
    }
}

fn neutral_bool(s: &Site) -> Option<Better> {
    if !s.dtype().is_bool() {
        return None;
    }
    match s.op {
        Op::Binary(Binary::And) => s.beside(Scalar::Bool(true)),
        Op::Binary(Binary::Or | Binary::Xor) => s.beside(Scalar::Bool(false)),
        _ => None,
    }
}

fn small_power(s: &mut Site) -> Option<Better> {
    let Op::Indexed(Indexed::Powi, n) = s.op else {
        return None;
    };
    let x = s.args[0];
    match n {
        0 => s.everywhere(s.scalar(1.0)),
        1 => first(s),
        2 => Better::op(Binary::Mul, &[x, x]),
        -1 if s.dtype().is_float() => {
            let one = s.b.like(x, 1.0);
            Better::op(Binary::Div, &[one, x])
        }
        _ => None,
    }
}

fn constant_power(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Pow) {
        return None;
    }
    let (x, n) = (s.args[0], s.number(1)?.to_f64());
    match n {
        0.0 => s.everywhere(s.scalar(1.0)),
        1.0 => first(s),
        2.0 => Better::op(Binary::Mul, &[x, x]),
        _ => None,
    }
}

fn convert_twice(s: &Site) -> Option<Better> {
    let (Op::Convert(to), (Op::Convert(middle), [x])) = (&s.op, s.inner(0)?) else {
        return None;
    };
    if !holds_all(*middle, s.b.dtype(*x)) {
        return None;
    }
    Better::op(Op::Convert(*to), &[*x])
}

/// Whether every value of `small` is a value of `big`.
fn holds_all(big: DType, small: DType) -> bool {
    use DType::{Bool, F32, F64, I32, I64, U8, U32};
    match small {
        Bool => true,
        U8 => !matches!(big, Bool),
        U32 => matches!(big, U32 | I64 | F64),
        I32 => matches!(big, I32 | I64 | F64),
        F32 => matches!(big, F32 | F64),
        other => other == big,
    }
}

fn select_not(s: &Site) -> Option<Better> {
    let (Op::Ternary(Ternary::Select), (Op::Unary(Unary::Not), [c])) = (&s.op, s.inner(0)?) else {
        return None;
    };
    Better::op(Ternary::Select, &[*c, s.args[2], s.args[1]])
}

fn moved_number(s: &Site) -> Option<Better> {
    use ArrayOp as A;
    let Op::Array(op) = &s.op else { return None };
    let read = match op {
        A::Reshape(_) | A::Transpose(_) | A::Broadcast(_) | A::Reverse(_) | A::Slice(_) => 1,
        A::Pad(_) | A::Concat(_) => s.args.len(),
        _ => return None,
    };
    let number = s.number(0)?;
    for i in 1..read {
        if s.number(i)? != number {
            return None;
        }
    }
    s.everywhere(number)
}

fn no_axes(s: &Site) -> Option<Better> {
    let axes = match &s.op {
        Op::Array(ArrayOp::Max(op)) => &op.axes,
        Op::Array(ArrayOp::Min(op)) => &op.axes,
        Op::Array(ArrayOp::Any(op)) => &op.axes,
        Op::Array(ArrayOp::All(op)) => &op.axes,
        _ => return None,
    };
    if axes.is_empty() { first(s) } else { None }
}

fn reshape_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Reshape(op)), (Op::Array(ArrayOp::Reshape(_)), [x])) =
        (&s.op, s.inner(0)?)
    else {
        return None;
    };
    Better::op(
        Reshape {
            shape: op.shape.clone(),
        },
        &[*x],
    )
}

fn transpose_to_reshape(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Transpose(op)) = &s.op else {
        return None;
    };
    let shape = s.b.shape(s.args[0]);
    let long = op.axes.iter().filter(|a| shape.dims().get(**a) != Some(&1));
    if !long.clone().zip(long.skip(1)).all(|(a, b)| a < b) {
        return None;
    }
    Better::op(
        Reshape {
            shape: s.ty.shape.clone(),
        },
        &s.args,
    )
}

fn transpose_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Transpose(op)), (Op::Array(ArrayOp::Transpose(inner)), [x])) =
        (&s.op, s.inner(0)?)
    else {
        return None;
    };
    let axes = op
        .axes
        .iter()
        .map(|a| inner.axes.get(*a).copied())
        .collect::<Option<_>>()?;
    Better::op(Transpose { axes }, &[*x])
}

fn broadcast_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Broadcast(op)), (Op::Array(ArrayOp::Broadcast(inner)), [x])) =
        (&s.op, s.inner(0)?)
    else {
        return None;
    };
    let dims = inner
        .dims
        .iter()
        .map(|d| op.dims.get(*d).copied())
        .collect::<Option<_>>()?;
    Better::op(
        Broadcast {
            shape: op.shape.clone(),
            dims,
        },
        &[*x],
    )
}

fn reverse_short(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Reverse(op)) = &s.op else {
        return None;
    };
    let long: Vec<usize> = op
        .axes
        .iter()
        .copied()
        .filter(|a| s.ty.dim(*a) > 1)
        .collect();
    if long.is_empty() {
        return first(s);
    }
    if long.len() == op.axes.len() {
        return None;
    }
    Better::op(Reverse { axes: long }, &s.args)
}

fn reverse_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Reverse(op)), (Op::Array(ArrayOp::Reverse(inner)), [x])) =
        (&s.op, s.inner(0)?)
    else {
        return None;
    };
    let once = |axis: &usize| op.axes.contains(axis) != inner.axes.contains(axis);
    Better::op(
        Reverse {
            axes: (0..s.ty.rank()).filter(once).collect(),
        },
        &[*x],
    )
}

fn slice_twice(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Slice(op)), (Op::Array(ArrayOp::Slice(inner)), [x])) =
        (&s.op, s.inner(0)?)
    else {
        return None;
    };
    let (mut start, mut limit, mut stride) = (Vec::new(), Vec::new(), Vec::new());
    for axis in 0..s.ty.rank() {
        let (a, step) = (*inner.start.get(axis)?, *inner.stride.get(axis)?);
        let from = a.checked_add(op.start.get(axis)?.checked_mul(step)?)?;
        let by = op.stride.get(axis)?.checked_mul(step)?;
        // One past the last element taken, so that the limit stays inside the operand.
        let taken = s.ty.dim(axis);
        let to = if taken == 0 {
            from
        } else {
            from.checked_add((taken - 1).checked_mul(by)?)?
                .checked_add(1)?
        };
        start.push(from);
        limit.push(to);
        stride.push(by);
    }
    Better::op(
        Slice {
            start,
            limit,
            stride,
        },
        &[*x],
    )
}

fn transpose_of_dot(s: &Site) -> Option<Better> {
    let (Op::Array(ArrayOp::Transpose(op)), (Op::Array(ArrayOp::Dot(dot)), [x, y])) =
        (&s.op, s.inner(0)?)
    else {
        return None;
    };
    let batch = dot.batch.0.len();
    let rank = |v| s.b.rank(v);
    let (left, right) = (
        rank(*x).checked_sub(batch + dot.contract.0.len())?,
        rank(*y).checked_sub(batch + dot.contract.1.len())?,
    );
    let swapped = (0..batch)
        .chain(batch + left..batch + left + right)
        .chain(batch..batch + left);
    if !swapped.eq(op.axes.iter().copied()) {
        return None;
    }
    let flip = |(a, b): &(Vec<usize>, Vec<usize>)| (b.clone(), a.clone());
    Better::op(
        Dot {
            contract: flip(&dot.contract),
            batch: flip(&dot.batch),
        },
        &[*y, *x],
    )
}

fn dot_of_transpose(s: &Site) -> Option<Better> {
    let Op::Array(ArrayOp::Dot(dot)) = &s.op else {
        return None;
    };
    for side in 0..2 {
        let Some((Op::Array(ArrayOp::Transpose(moved)), [x])) = s.inner(side) else {
            continue;
        };
        let mut new = dot.clone();
        let (contract, batch) = match side {
            0 => (&mut new.contract.0, &mut new.batch.0),
            _ => (&mut new.contract.1, &mut new.batch.1),
        };
        let free = (0..moved.axes.len()).filter(|a| !contract.contains(a) && !batch.contains(a));
        let free: Vec<usize> = free.filter_map(|a| moved.axes.get(a).copied()).collect();
        if !free.is_sorted() {
            continue;
        }
        for axis in contract.iter_mut().chain(batch.iter_mut()) {
            *axis = *moved.axes.get(*axis)?;
        }
        let mut args = s.args.clone();
        args[side] = *x;
        return Some(Better::Op(new.into(), args));
    }
    None
}
