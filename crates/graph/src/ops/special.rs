//! Pointwise special functions of several operands, and their derivatives of any order to each.
//!
//! An operation carries the order of differentiation in every operand, so that the family is closed:
//! the partial derivative to an operand is the same operation with that order raised by one. The
//! scalar meanings compute all orders from one formula, in truncated Taylor series.

use super::{Bound, Kinds, Row, Value, binary::same_type, unary::check_kind};
use crate::{Builder, TensorType, TypeError, Var, math, type_error};

/// A pointwise special function of two or three operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Special {
    /// The regularised lower incomplete gamma function P(a, x).
    Gammainc,
    /// The regularised upper incomplete gamma function Q(a, x).
    Gammaincc,
    /// The regularised incomplete beta function of a, b and x.
    Betainc,
    /// The Hurwitz zeta function of s and q.
    Zeta,
}

/// The order of differentiation in each operand; 0 for operands that there are not.
pub type Orders = [u8; 3];

/// The most that the orders of one operation may sum to.
pub const MOST_ORDERS: usize = 16;

/// What the rows share.
const SHARED: Row = Row {
    name: "",
    doc: "",
    derivative: "the same with the order in the operand raised by 1",
    convention: "",
    kinds: Kinds::Float,
    bound: Bound::Open,
    samples: &[],
    kinks: &[],
    cost: 300,
};

const GAMMAINC: Row = Row {
    name: "gammainc",
    doc: "The regularised lower incomplete gamma function P(a, x) of a, x >= 0 (DLMF 8.2.4), or its derivative of `orders` up to 16 in all; NaN outside; relative error at most 1e-13, of derivatives to a 1e-11, or 1e-14 of the function where they cancel.",
    convention: "for x the limit from above at 0; for a the limit from above at 0; a zero tangent or cotangent stays 0 where that is infinite or NaN.",
    samples: &[(0.5, 4.0), (0.2, 6.0)],
    ..SHARED
};

const GAMMAINCC: Row = Row {
    name: "gammaincc",
    doc: "The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x) (DLMF 8.2.4), or its derivative; as exact where it is small as gammainc is.",
    ..GAMMAINC
};

const BETAINC: Row = Row {
    name: "betainc",
    doc: "The regularised incomplete beta function I_x(a, b) of a, b >= 0 and x from 0 to 1 (DLMF 8.17.2), or its derivative of `orders` up to 16 in all; NaN outside; relative error at most 1e-13, of derivatives to a and b 1e-10, or 1e-14 of the function where they cancel.",
    convention: "for x the limit from inside at 0 and 1; for a and b the limit from above at 0; a zero tangent or cotangent stays 0 where that is infinite or NaN.",
    samples: &[(0.5, 4.0), (0.5, 4.0), (0.15, 0.85)],
    cost: 400,
    ..SHARED
};

const ZETA: Row = Row {
    name: "zeta",
    doc: "The Hurwitz zeta function of s and q (DLMF 25.11.1), or its derivative of `orders` up to 16 in all; relative error at most 1e-13 for s > 1, continued down to s = -10 with an error of 1e-14 times 8^-s; inf at s = 1 and at the poles of q, and NaN for q < 0 unless s is whole and at least 2.",
    convention: "inf or NaN at s = 1 and at the poles of q; a zero tangent or cotangent stays 0 there.",
    samples: &[(1.6, 5.0), (0.4, 5.0)],
    ..SHARED
};

impl Special {
    /// Every row.
    pub const ALL: &'static [Special] = &[
        Special::Gammainc,
        Special::Gammaincc,
        Special::Betainc,
        Special::Zeta,
    ];

    /// What the row says beside its meaning.
    pub fn row(self) -> &'static Row {
        match self {
            Special::Gammainc => &GAMMAINC,
            Special::Gammaincc => &GAMMAINCC,
            Special::Betainc => &BETAINC,
            Special::Zeta => &ZETA,
        }
    }

    /// The name in texts.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// How many operands there are.
    pub fn operands(self) -> usize {
        self.row().samples.len()
    }

    /// The meaning for two operands; an f32 is computed in f64 and rounded. NaN for a function of
    /// another number of operands.
    #[inline(always)]
    pub fn float2(self, orders: Orders, x: f64, y: f64) -> f64 {
        let [n, k, _] = orders;
        match self {
            Special::Gammainc => math::gammainc([n, k], x, y),
            Special::Gammaincc => math::gammaincc([n, k], x, y),
            Special::Zeta => math::zeta([n, k], x, y),
            Special::Betainc => f64::NAN,
        }
    }

    /// The meaning for three operands, as for two.
    #[inline(always)]
    pub fn float3(self, orders: Orders, x: f64, y: f64, z: f64) -> f64 {
        match self {
            Special::Betainc => math::betainc(orders, x, y, z),
            _ => f64::NAN,
        }
    }

    /// The type of the result.
    pub fn infer(self, orders: Orders, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        let count = self.operands();
        let [first, others @ ..] = args else {
            type_error!("expected {count} operands, found 0");
        };
        if args.len() != count {
            type_error!("expected {count} operands, found {}", args.len());
        }
        check_kind(self.row(), first)?;
        for other in others {
            same_type(first, other)?;
        }
        if orders.iter().skip(count).any(|n| *n > 0) {
            type_error!("expected {count} orders, found 3");
        }
        let sum: usize = orders.iter().map(|n| usize::from(*n)).sum();
        if sum > MOST_ORDERS {
            type_error!("expected orders that sum to at most {MOST_ORDERS}, found {sum}");
        }
        Ok((*first).clone())
    }

    /// The partial derivative to an operand as a graph expression of the operands.
    pub fn partial(self, orders: Orders, operand: usize, b: &mut Builder, args: &[Var]) -> Var {
        let mut raised = orders;
        if let Some(order) = raised.get_mut(operand) {
            *order = order.saturating_add(1);
        }
        b.special(self, raised, args)
    }

    /// The orders as they stand in texts, left out when all are 0.
    pub fn attributes(self, orders: Orders) -> Vec<(&'static str, Value)> {
        if orders == [0; 3] {
            return Vec::new();
        }
        let written = orders.iter().take(self.operands());
        let list = written.map(|n| Value::Int(i64::from(*n))).collect();
        vec![("orders", Value::List(list))]
    }

    /// The orders from what a text says.
    pub fn orders(self, written: Option<Vec<usize>>) -> Result<Orders, TypeError> {
        let mut orders = [0; 3];
        let Some(written) = written else {
            return Ok(orders);
        };
        if written.len() != self.operands() {
            type_error!(
                "attribute `orders`: expected {} whole numbers, found {}",
                self.operands(),
                written.len()
            );
        }
        for (order, n) in orders.iter_mut().zip(written) {
            // What is too large is refused with the types.
            *order = u8::try_from(n).unwrap_or(u8::MAX);
        }
        Ok(orders)
    }
}
