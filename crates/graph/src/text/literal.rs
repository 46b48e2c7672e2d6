//! Which type a literal has where it stands: one rule for the printer and the parser, so that what
//! is printed inline reads back as the same constant.

use cotangent_array::DType;

use crate::ops::{ArrayOp, Ternary};
use crate::{Op, TensorType, Type};

/// The type of a literal that is operand `position` of `op`; `None` where that cannot be told, and
/// the constant needs a line of its own.
///
/// `result` is the annotated type of the result, `others` the types of the operands that are not
/// literals (`None` for those that are).
pub(super) fn literal_type(
    op: &Op,
    position: usize,
    result: Option<&Type>,
    others: &[Option<TensorType>],
) -> Option<TensorType> {
    let first = || others.iter().flatten().next().cloned();
    let result = || result.and_then(Type::tensor).cloned();
    match op {
        Op::Unary(_) | Op::Indexed(..) | Op::Binary(_) | Op::Special(..) => first().or_else(result),
        Op::Compare(_) => first(),
        // Two literals are one complex literal, so one operand must be none.
        Op::Complex => first(),
        Op::Test(_) | Op::Convert(_) | Op::Part(_) => None,
        Op::Ternary(Ternary::Select) => {
            let arms = || others.iter().skip(1).flatten().next().cloned();
            if position > 0 {
                return arms().or_else(result);
            }
            arms().or_else(result).map(|t| t.with_dtype(DType::Bool))
        }
        Op::Ternary(Ternary::Clamp) => first().or_else(result),
        Op::Array(ArrayOp::Pad(_)) if position == 1 => {
            let x = others.first().cloned().flatten();
            x.or_else(result).map(|t| TensorType::scalar(t.dtype))
        }
        Op::Call(callee) => callee.0.input_types().get(position).cloned(),
        Op::Region(region) => region.operand_type(position),
        _ => None,
    }
}
