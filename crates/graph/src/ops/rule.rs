//! What an operation that is not pointwise must say about itself, and the closed set of them.

use std::sync::Arc;

use cotangent_array::Array;

use super::*;
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var};

/// An operand of an operation that is being transposed.
#[derive(Clone, Debug)]
pub enum Operand {
    /// The operation is linear in this operand; only its type is known.
    Linear(TensorType),
    /// A value that stands in the graph being built.
    Known(Var),
}

impl Operand {
    /// Whether a cotangent is wanted for this operand.
    pub fn is_linear(&self) -> bool {
        matches!(self, Operand::Linear(_))
    }

    /// The value, unless the operand is linear.
    pub fn known(&self) -> Option<Var> {
        match self {
            Operand::Known(v) => Some(*v),
            Operand::Linear(_) => None,
        }
    }

    /// The type of the operand.
    pub fn ty(&self, b: &Builder) -> TensorType {
        match self {
            Operand::Linear(t) => t.clone(),
            Operand::Known(v) => b.tensor(*v),
        }
    }
}

/// Everything that the engine asks of an operation; there are no defaults, so that a new one
/// cannot leave a rule out.
///
/// Rules emit operations, never numbers, and so nest to any order. A builder in which an operation
/// failed goes on with scalars of type f64, so rules read axes through [`TensorType::dim`] and
/// never index shapes that they have not checked.
pub trait Rule: Attributed {
    /// The derivative in words, for `show --ops`.
    const DERIVATIVE: &'static str;
    /// The convention at kinks and at the border of the domain; empty when there is none.
    const CONVENTION: &'static str;

    /// How many operands there are.
    fn arity(&self) -> Arity;

    /// The type of the result, or why the operands do not fit. Every later rule may rely on what
    /// this one has checked. Must not panic for any attributes and operand types, sizes beyond
    /// memory included.
    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError>;

    /// The meaning: the naive way, in row-major order. Operands have the types that `infer` saw.
    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError>;

    /// The tangent of the result; `None` when it is zero. `tangents[i]` is `None` for an operand
    /// that does not vary. At least one tangent is given. Operations emitted on tangents must be
    /// linear in them.
    fn jvp(&self, b: &mut Builder, args: &[Var], out: Var, tangents: &[Option<Var>])
    -> Option<Var>;

    /// The cotangents of the linear operands from the cotangent of the result: `None` where it is
    /// zero, and for operands that are not linear. `None` for the whole when the operation is not
    /// linear in the operands asked for.
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>>;

    /// The operation over a batch: operands with `batched[i]` have an extra leading axis of length
    /// `size` and so has the result; at least one has.
    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var;

    /// Operations of one run, in units of one addition.
    fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64;
}

/// How an operation stands in [`ArrayOp`]: those of several lists are shared, so that every equation is
/// small and a copy of one allocates nothing.
macro_rules! held {
    ($T:ident) => { $T };
    ($T:ident shared) => { Arc<$T> };
}

macro_rules! closed_set {
    ($($T:ident $($shared:ident)?),* $(,)?) => {
        /// An operation that is not pointwise.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum ArrayOp { $(#[doc = concat!("See [`", stringify!($T), "`].")] $T(held!($T $($shared)?))),* }

        $(impl From<$T> for ArrayOp { fn from(op: $T) -> ArrayOp { ArrayOp::$T(op.into()) } })*
        $(impl From<$T> for crate::Op { fn from(op: $T) -> crate::Op { crate::Op::Array(op.into()) } })*

        impl ArrayOp {
            /// The name, documentation, derivative and convention of every operation.
            pub const ALL: &'static [(&'static str, &'static str, &'static str, &'static str)] =
                &[$((<$T>::NAME, <$T>::DOC, <$T>::DERIVATIVE, <$T>::CONVENTION)),*];
            /// The name in texts.
            pub fn name(&self) -> &'static str { match self { $(ArrayOp::$T(_) => <$T>::NAME),* } }
            /// See [`Rule::arity`].
            pub fn arity(&self) -> Arity { match self { $(ArrayOp::$T(o) => o.arity()),* } }
            /// See [`Rule::infer`].
            pub fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
                match self { $(ArrayOp::$T(o) => o.infer(args)),* }
            }
            /// See [`Rule::eval`].
            pub fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
                match self { $(ArrayOp::$T(o) => o.eval(args, out)),* }
            }
            /// See [`Rule::jvp`].
            pub fn jvp(&self, b: &mut Builder, args: &[Var], out: Var, tangents: &[Option<Var>]) -> Option<Var> {
                match self { $(ArrayOp::$T(o) => o.jvp(b, args, out, tangents)),* }
            }
            /// See [`Rule::transpose`].
            pub fn transpose(&self, b: &mut Builder, args: &[Operand], cotangent: Var) -> Option<Vec<Option<Var>>> {
                match self { $(ArrayOp::$T(o) => o.transpose(b, args, cotangent)),* }
            }
            /// See [`Rule::batch`].
            pub fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Var {
                match self { $(ArrayOp::$T(o) => o.batch(b, args, batched, size)),* }
            }
            /// See [`Rule::cost`].
            pub fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64 {
                match self { $(ArrayOp::$T(o) => o.cost(args, out)),* }
            }
            /// See [`Attributed::attributes`].
            pub fn attributes(&self, args: &[&TensorType]) -> Vec<(&'static str, Value)> {
                match self { $(ArrayOp::$T(o) => o.attributes(args)),* }
            }
            /// The names of the attributes of the operation with this name.
            pub fn fields(name: &str) -> Option<&'static [&'static str]> {
                $(if name == <$T>::NAME { return Some(<$T>::FIELDS); })*
                None
            }
            /// Reads the operation with this name; `None` when there is none.
            pub fn from_attributes(
                name: &str,
                attributes: Attributes,
                args: &[&TensorType],
            ) -> Option<Result<ArrayOp, TypeError>> {
                $(if name == <$T>::NAME {
                    return Some(<$T>::from_attributes(attributes, args).map(ArrayOp::from));
                })*
                None
            }
        }
    };
}

closed_set! {
    Iota, RandomBits,
    Reshape, Transpose, Broadcast, Reverse, Slice shared, Pad shared, Concat, Gather, ScatterAdd,
    Sum, Prod, Max, Min, Norm, ArgMax, ArgMin, Any, All,
    CumSum, CumProd, Recurrence, CumArgMax, CumArgMin,
    ArgSort, SearchSorted,
    Dot shared, Conv shared, WindowSum shared, WindowMax shared, WindowArgMax shared,
    Fft, Rfft, Irfft,
}

/// A tangent times a known factor: a plain product where both are known to be finite, the strong
/// zero elsewhere.
pub(crate) fn tangent_times(b: &mut Builder, tangent: Var, factor: Var) -> Var {
    let op = if b.is_finite(tangent) && b.is_finite(factor) {
        Binary::Mul
    } else {
        Binary::Zmul
    };
    b.binary(op, tangent, factor)
}

/// The tangent of an operation that is linear in all operands together: the operation itself on
/// the tangents, with zeros for operands that do not vary.
pub(crate) fn linear_jvp(
    op: impl Into<crate::Op>,
    b: &mut Builder,
    args: &[Var],
    tangents: &[Option<Var>],
) -> Option<Var> {
    let operands: Vec<Var> = args
        .iter()
        .zip(tangents)
        .map(|(a, t)| t.unwrap_or_else(|| b.like(*a, 0.0)))
        .collect();
    Some(b.push(op, &operands))
}
