//! Pointwise operations of three operands: `select` and `clamp`.

use super::{Binary, Bound, Compare, Kinds, Row, binary::same_type, unary::check_kind};
use crate::{Builder, TensorType, TypeError, Var, type_error};

/// A pointwise operation of three operands of one shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ternary {
    /// The second operand where the first, a bool, is true; the third elsewhere.
    Select,
    /// The first operand, moved into the interval from the second to the third.
    Clamp,
}

const SELECT: Row = Row {
    name: "select",
    doc: "The second operand where the first, a bool, is true; the third elsewhere (NumPy's where).",
    derivative: "none to the condition; select(c, 1, 0), select(c, 0, 1)",
    convention: "the arm that was not taken contributes exactly 0.",
    kinds: Kinds::Any,
    bound: Bound::Operands,
    samples: &[(0.0, 1.0), (-3.0, 3.0), (-3.0, 3.0)],
    kinks: &[],
    cost: 1,
};

const CLAMP: Row = Row {
    name: "clamp",
    doc: "The first operand moved into the interval from the second to the third: minimum(maximum(x, lo), hi). NaN if any is NaN.",
    derivative: "1 to x inside and to the border that was met, 0 elsewhere",
    convention: "1 to x and 0 to the border where x stands on it.",
    kinds: Kinds::Number,
    bound: Bound::Operands,
    samples: &[(-3.0, 3.0), (-1.2, -0.8), (0.8, 1.2)],
    kinks: &[-1.0, 1.0],
    cost: 2,
};

impl Ternary {
    /// Every row.
    pub const ALL: &'static [Ternary] = &[Ternary::Select, Ternary::Clamp];

    /// What the row says beside its meaning and its partials.
    pub fn row(self) -> &'static Row {
        match self {
            Ternary::Select => &SELECT,
            Ternary::Clamp => &CLAMP,
        }
    }

    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of the result.
    pub fn infer(
        self,
        x: &TensorType,
        y: &TensorType,
        z: &TensorType,
    ) -> Result<TensorType, TypeError> {
        match self {
            Ternary::Select => {
                if !x.dtype.is_bool() {
                    type_error!("expected a bool condition, found {}", x.dtype);
                }
                same_type(y, z)?;
                if x.shape != y.shape {
                    type_error!(
                        "expected a condition of shape {}, found {}",
                        y.shape,
                        x.shape
                    );
                }
                Ok(y.clone())
            }
            Ternary::Clamp => {
                same_type(x, y)?;
                same_type(x, z)?;
                check_kind(self.row(), x)?;
                Ok(x.clone())
            }
        }
    }

    /// The partial derivative to an operand as a graph expression; `select` has its own rule.
    pub fn partial(self, operand: usize, b: &mut Builder, x: Var, lo: Var, hi: Var) -> Var {
        let (one, zero) = (b.like(lo, 1.0), b.like(lo, 0.0));
        match (self, operand) {
            (Ternary::Select, 1) => b.select(x, one, zero),
            (Ternary::Select, 2) => b.select(x, zero, one),
            (Ternary::Select, _) => zero,
            (Ternary::Clamp, operand) => {
                // maximum comes first, so the upper border wins where the borders cross.
                let raised = b.binary(Binary::Maximum, x, lo);
                let above = b.compare(Compare::Gt, raised, hi);
                let below = b.compare(Compare::Lt, x, lo);
                match operand {
                    0 => {
                        let inside = b.select(below, zero, one);
                        b.select(above, zero, inside)
                    }
                    1 => {
                        let met = b.select(below, one, zero);
                        b.select(above, zero, met)
                    }
                    _ => b.select(above, one, zero),
                }
            }
        }
    }
}
