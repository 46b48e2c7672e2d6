//! Rules about pointwise operations.

use cotangent_array::{DType, Scalar};
use cotangent_graph::ops::{ArrayOp, Binary, Broadcast, Indexed, Ternary, Unary};
use cotangent_graph::{Graph, Op, Var};
use smallvec::SmallVec;

use super::super::simplify::{Better, Rule, Side, Site};
use super::{first, rules};
use crate::fuse::is_cheap;

rules! {
    /// Rules about sums.
    ADD:
    "real x + -0 -> x, integer x + 0 -> x", "-0 is the neutral element of float addition; +0 turns -0 into +0" =>
        |s| if real(s, Binary::Add) { s.beside(s.scalar(-0.0)) } else { None };
    "x + -y -> x - y", "negation is exact" => |s| add_of_negated(s);
}

rules! {
    /// Rules about differences.
    SUB:
    "x - 0 -> x", "x - +0 keeps the sign of a zero" =>
        |s| if binary(s, Binary::Sub) && s.number(1) == Some(s.scalar(0.0)) { first(s) } else { None };
    "real -0 - x -> -x, integer 0 - x -> -x", "-0 - +0 is -0 and -0 - -0 is +0" =>
        |s| if real(s, Binary::Sub) && s.number(0) == Some(s.scalar(-0.0)) { negate(s, 1) } else { None };
    "integer x - x -> 0", "integers have no NaN" =>
        |s| if binary(s, Binary::Sub) && s.dtype().is_int() && same(s) { s.everywhere(s.scalar(0.0)) } else { None };
    "x - -y -> x + y", "negation is exact" => |s| sub_of_negated(s);
    "signed -x - x -> x * -2", "the sum of two equal numbers is exact, or overflows and wraps alike" => |s| doubled(s);
}

rules! {
    /// Rules about products, also with the strong zero.
    MUL:
    "real x * 1 -> x", "exact; the zero in the complex 1 makes NaN of an infinity" =>
        |s| if real(s, Binary::Mul) { s.beside(s.scalar(1.0)) } else { None };
    "real x * -1 -> -x", "exact; integers wrap alike" => |s| times_minus_one(s);
    "integer x * 0 -> 0", "integers have no infinity" => |s| integer_times_zero(s);
    "-x * -y -> x * y", "the signs cancel exactly" => |s| product_of_negated(s);
    "zmul(c, x) -> c * x", "the strong zero only matters beside 0, infinities and NaN; integers have none" =>
        |s| strong_zero(s);
}

rules! {
    /// Rules about the other operations of two operands.
    BINARY:
    "real x / 1 -> x", "exact; complex ones as for products" =>
        |s| if real(s, Binary::Div) && s.number(1) == Some(s.scalar(1.0)) { first(s) } else { None };
    "x / 2^k -> x * 2^-k", "both are the rounded value of one real number" => |s| divide_by_power_of_two(s);
    "maximum, minimum, and, or of x and x -> x", "idempotent, NaN included" => |s| idempotent(s);
    "x and true, x or false, x xor false -> x", "neutral elements of bools" => |s| neutral_bool(s);
    "pow(x, 0) -> 1, pow(x, 1) -> x, pow(x, 2) -> x * x", "the product is the rounded square, pow within 1 ulp of it" =>
        |s| constant_power(s);
    "number / broadcast(x) -> broadcast(number / x)", "each of the equal results is computed once; so for all that is not cheap" =>
        |s| spread_later(s);
}

rules! {
    /// Rules about the other pointwise operations.
    OTHER:
    "-(-x) -> x", "exact" => |s| if unary(s, Unary::Neg) { under(s, Unary::Neg) } else { None };
    "not(not x) -> x", "exact" => |s| if unary(s, Unary::Not) { under(s, Unary::Not) } else { None };
    "stop_gradient(x) -> x", "it is the value itself, and nothing is differentiated any more" =>
        |s| if unary(s, Unary::StopGradient) { first(s) } else { None };
    "abs(-x), abs(abs(x)) -> abs(x)", "abs takes the sign away" => |s| absolute(s);
    "floor, ceil, round, trunc of whole numbers -> x", "they are whole already" => |s| whole(s);
    "powi(x, 0) -> 1, powi(x, 1) -> x, powi(x, 2) -> x * x, powi(x, -1) -> 1 / x",
        "the very operations of repeated squaring; an f32 is rounded once either way" => |s| small_power(s);
    "convert(x) -> x for the dtype that x has", "exact" =>
        |s| match s.op { Op::Convert(d) if s.operand(0).dtype == *d => first(s), _ => None };
    "convert(convert(x)) -> convert(x)", "when the inner dtype holds every value of x's" => |s| convert_twice(s);
    "select(true, x, y) -> x, select(false, x, y) -> y", "by definition" =>
        |s| match (s.op, s.number(0)) {
            (Op::Ternary(Ternary::Select), Some(Scalar::Bool(c))) => Some(Better::Var(s.args[if c { 1 } else { 2 }])),
            _ => None,
        };
    "select(c, x, x) -> x", "both arms are one" =>
        |s| if matches!(s.op, Op::Ternary(Ternary::Select)) && s.args[1] == s.args[2] { Some(Better::Var(s.args[1])) } else { None };
    "select(not c, x, y) -> select(c, y, x)", "by definition" => |s| select_not(s);
    "exp(broadcast(x)) -> broadcast(exp(x))", "each of the equal results is computed once; so for all that is not cheap" =>
        |s| spread_later(s);
}

/// What is worth to be computed before it is repeated: a region on its way does what is cheap for nothing, and
/// elements repeated a few times only, or one alone, would not repay a step of their own.
fn spread_later(s: &Site) -> Option<Better> {
    const FEWEST: usize = 8;
    let costly = matches!(s.op, Op::Unary(_) | Op::Binary(_)) && !is_cheap(s.op);
    if !costly || !s.ty.dtype.is_float() {
        return None;
    }
    let (x, _) = spread(s.graph, s.args)?;
    let few = s.graph.ty(x).tensor()?.shape.elements();
    if few < 2 || s.ty.shape.elements() / few < FEWEST {
        return None;
    }
    Some(Better::Several(|b, op, args, ty| {
        let (x, dims) = spread(b.graph(), args).map(|(x, op)| (x, op.dims.clone()))?;
        let shape = b.shape(x);
        let mut own: SmallVec<[Var; 2]> = SmallVec::new();
        for arg in args {
            own.push(match b.graph().splat(*arg) {
                Some(number) => b.full(number, shape.clone()),
                None => x,
            });
        }
        let value = b.push(op.clone(), &own);
        Some(b.broadcast(value, ty.shape.clone(), &dims))
    }))
}

/// What is repeated, and how, where that is one of the operands and numbers are the others.
fn spread<'a>(graph: &'a Graph, args: &[Var]) -> Option<(Var, &'a Broadcast)> {
    let mut found = None;
    for arg in args.iter().filter(|arg| graph.splat(**arg).is_none()) {
        let e = graph.equations().get(arg.index())?;
        let (Op::Array(ArrayOp::Broadcast(op)), [x], None) = (&e.op, &e.args[..], found) else {
            return None;
        };
        found = Some((*x, op));
    }
    found
}

fn unary(s: &Site, op: Unary) -> bool {
    matches!(s.op, Op::Unary(own) if *own == op)
}

fn binary(s: &Site, op: Binary) -> bool {
    matches!(s.op, Op::Binary(own) if *own == op)
}

fn real(s: &Site, op: Binary) -> bool {
    binary(s, op) && !s.dtype().is_complex()
}

fn same(s: &Site) -> bool {
    s.args.len() == 2 && s.args[0] == s.args[1]
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
fn negated(s: &Site, operand: usize) -> Option<Var> {
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

fn doubled(s: &Site) -> Option<Better> {
    let signed = real(s, Binary::Sub) && s.dtype().is_signed();
    if !signed || negated(s, 0)? != s.args[1] {
        return None;
    }
    let (op, number) = (Binary::Mul.into(), s.scalar(-2.0));
    Some(Better::WithNumber(op, s.args[1], Side::Right, number))
}

fn product_of_negated(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Mul) {
        return None;
    }
    Better::op(Binary::Mul, &[negated(s, 0)?, negated(s, 1)?])
}

fn times_minus_one(s: &Site) -> Option<Better> {
    if !real(s, Binary::Mul) || !s.dtype().is_signed() {
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

fn divide_by_power_of_two(s: &Site) -> Option<Better> {
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
    Some(Better::WithNumber(
        Binary::Mul.into(),
        s.args[0],
        Side::Right,
        reciprocal,
    ))
}

fn strong_zero(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Zmul) {
        return None;
    }
    if s.dtype().is_int() {
        return Better::op(Binary::Mul, s.args);
    }
    let number = s.number(0).or_else(|| s.number(1))?;
    if number.as_real() != Some(0.0) && number.is_finite() {
        return Better::op(Binary::Mul, s.args);
    }
    // A product with 0 still has a sign.
    None
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

fn small_power(s: &Site) -> Option<Better> {
    let Op::Indexed(Indexed::Powi, n) = s.op else {
        return None;
    };
    let x = s.args[0];
    match n {
        0 => s.everywhere(s.scalar(1.0)),
        1 => first(s),
        2 => Better::op(Binary::Mul, &[x, x]),
        -1 if s.dtype().is_float() => {
            let one = s.scalar(1.0);
            Some(Better::WithNumber(Binary::Div.into(), x, Side::Left, one))
        }
        _ => None,
    }
}

fn constant_power(s: &Site) -> Option<Better> {
    if !binary(s, Binary::Pow) {
        return None;
    }
    let (x, n) = (s.args[0], s.number(1)?.as_real()?);
    match n {
        0.0 => s.everywhere(s.scalar(1.0)),
        1.0 => first(s),
        2.0 => Better::op(Binary::Mul, &[x, x]),
        _ => None,
    }
}

fn convert_twice(s: &Site) -> Option<Better> {
    let (Op::Convert(to), (Op::Convert(middle), [x])) = (s.op, s.inner(0)?) else {
        return None;
    };
    if !holds_all(*middle, s.graph.ty(*x).tensor()?.dtype) {
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
    let (Op::Ternary(Ternary::Select), (Op::Unary(Unary::Not), [c])) = (s.op, s.inner(0)?) else {
        return None;
    };
    Better::op(Ternary::Select, &[*c, s.args[2], s.args[1]])
}
