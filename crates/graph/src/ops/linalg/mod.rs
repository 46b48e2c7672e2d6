//! Linear algebra: factorisations and solutions of matrices, batched over any leading axes.
//!
//! Several results are a tuple. Each operation is one file with its rule; the numbers of one matrix
//! are computed by the plain loops of [`dense`], which also say what faster kernels must give.

mod build;
pub mod dense;
mod member;

mod cholesky;
mod det;
mod eigh;
mod expm;
mod lu;
mod pinv;
mod qr;
mod solve;
mod svd;
mod triangular_solve;

use cotangent_array::Array;

use super::{Attributed, Attributes, Operand, Value};
use crate::{Arity, Builder, EvalError, TensorType, Type, TypeError, Var};

pub use cholesky::Cholesky;
pub use det::{Det, Slogdet};
pub use eigh::{Eigh, Eigvalsh};
pub use expm::{Expm, ExpmFrechet};
pub use lu::Lu;
pub use member::{MatrixError, MatrixFault, Shape2, apply};
pub use pinv::Pinv;
pub use qr::Qr;
pub use solve::Solve;
pub use svd::{Svd, Svdvals};
pub use triangular_solve::TriangularSolve;

/// Everything that the engine asks of an operation of linear algebra; as in
/// [`Rule`](super::Rule), there are no defaults.
///
/// The last axes of an operand are its matrix, the axes before them a batch that all operands and
/// results share.
pub trait LinalgRule: Attributed {
    /// The derivative in words, for `show --ops`.
    const DERIVATIVE: &'static str;
    /// The convention where the derivative or the result is not defined.
    const CONVENTION: &'static str;
    /// How many axes of each operand are its matrix: 2, or 0 for one number.
    const AXES: &'static [usize];
    /// How many of the first operands are looked at before: where one of their matrices has an
    /// entry that is not finite, all results are NaN.
    const WATCHED: usize;

    /// The types of the results, or why the operands do not fit. Every later rule may rely on what
    /// this one has checked. Must not panic for any attributes and operand types.
    fn infer(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError>;

    /// The numbers of working memory that [`member`](LinalgRule::member) wants.
    fn work(&self, shapes: &[Shape2]) -> usize;

    /// The meaning: the results for one member of the batch, row-major. `shapes` are those of the
    /// operands; positions are written as floats.
    fn member(
        &self,
        shapes: &[Shape2],
        args: &[&[f64]],
        outs: &mut [&mut [f64]],
        work: &mut [f64],
    ) -> Result<(), MatrixFault>;

    /// The tangent of each result; `None` where it is zero. As [`Rule::jvp`](super::Rule::jvp).
    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        outs: &[Var],
        tangents: &[Option<Var>],
    ) -> Vec<Option<Var>>;

    /// The cotangents of the linear operands from those of the results. As
    /// [`Rule::transpose`](super::Rule::transpose).
    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangents: &[Var],
    ) -> Option<Vec<Option<Var>>>;

    /// The results over a batch: operands with `batched[i]` have an extra leading axis of length
    /// `size` and so have all results; at least one has.
    fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var>;

    /// Operations of one run, in units of one addition.
    fn cost(&self, args: &[&TensorType]) -> u64;
}

macro_rules! closed_set {
    ($($T:ident),* $(,)?) => {
        /// An operation of linear algebra.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Linalg { $(#[doc = concat!("See [`", stringify!($T), "`].")] $T($T)),* }

        $(impl From<$T> for Linalg { fn from(op: $T) -> Linalg { Linalg::$T(op) } })*
        $(impl From<$T> for crate::Op { fn from(op: $T) -> crate::Op { crate::Op::Linalg(Linalg::$T(op)) } })*

        impl Linalg {
            /// The name, documentation, derivative and convention of every operation.
            pub const ALL: &'static [(&'static str, &'static str, &'static str, &'static str)] =
                &[$((<$T>::NAME, <$T>::DOC, <$T>::DERIVATIVE, <$T>::CONVENTION)),*];
            /// The name in texts.
            pub fn name(&self) -> &'static str { match self { $(Linalg::$T(_) => <$T>::NAME),* } }
            /// How many operands there are.
            pub fn arity(&self) -> Arity { Arity::Exactly(self.axes().len()) }
            /// See [`LinalgRule::AXES`].
            pub fn axes(&self) -> &'static [usize] { match self { $(Linalg::$T(_) => <$T>::AXES),* } }
            /// See [`LinalgRule::WATCHED`].
            pub fn watched(&self) -> usize { match self { $(Linalg::$T(_) => <$T>::WATCHED),* } }
            /// See [`LinalgRule::infer`].
            pub fn results(&self, args: &[&TensorType]) -> Result<Vec<TensorType>, TypeError> {
                match self { $(Linalg::$T(o) => o.infer(args)),* }
            }
            /// See [`LinalgRule::work`].
            pub fn work(&self, shapes: &[Shape2]) -> usize {
                match self { $(Linalg::$T(o) => o.work(shapes)),* }
            }
            /// See [`LinalgRule::member`].
            pub fn member(
                &self,
                shapes: &[Shape2],
                args: &[&[f64]],
                outs: &mut [&mut [f64]],
                work: &mut [f64],
            ) -> Result<(), MatrixFault> {
                match self { $(Linalg::$T(o) => o.member(shapes, args, outs, work)),* }
            }
            /// See [`LinalgRule::jvp`].
            pub fn jvp(&self, b: &mut Builder, args: &[Var], outs: &[Var], tangents: &[Option<Var>]) -> Vec<Option<Var>> {
                match self { $(Linalg::$T(o) => o.jvp(b, args, outs, tangents)),* }
            }
            /// See [`LinalgRule::transpose`].
            pub fn transpose(&self, b: &mut Builder, args: &[Operand], cotangents: &[Var]) -> Option<Vec<Option<Var>>> {
                match self { $(Linalg::$T(o) => o.transpose(b, args, cotangents)),* }
            }
            /// See [`LinalgRule::batch`].
            pub fn batch(&self, b: &mut Builder, args: &[Var], batched: &[bool], size: usize) -> Vec<Var> {
                match self { $(Linalg::$T(o) => o.batch(b, args, batched, size)),* }
            }
            /// See [`LinalgRule::cost`].
            pub fn cost(&self, args: &[&TensorType]) -> u64 {
                match self { $(Linalg::$T(o) => o.cost(args)),* }
            }
            /// See [`Attributed::attributes`].
            pub fn attributes(&self, args: &[&TensorType]) -> Vec<(&'static str, Value)> {
                match self { $(Linalg::$T(o) => o.attributes(args)),* }
            }
            /// Reads the operation with this name; `None` when there is none.
            pub fn from_attributes(
                name: &str,
                attributes: Attributes,
                args: &[&TensorType],
            ) -> Option<Result<Linalg, TypeError>> {
                $(if name == <$T>::NAME {
                    return Some(<$T>::from_attributes(attributes, args).map(Linalg::$T));
                })*
                None
            }
        }
    };
}

closed_set! {
    Cholesky, TriangularSolve, Solve, Lu, Qr, Svd, Svdvals, Eigh, Eigvalsh,
    Det, Slogdet, Pinv, Expm, ExpmFrechet,
}

impl Linalg {
    /// The type of the result: an array, or a tuple of several.
    pub fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        let mut results = self.results(args)?;
        for t in &results {
            t.check_size()?;
        }
        Ok(match results.len() {
            1 => results.remove(0).into(),
            _ => Type::Tuple(results.into()),
        })
    }

    /// The meaning: the results, computed in f64 and rounded once.
    ///
    /// # Errors
    /// A matrix for which the operation is not defined, or no memory.
    pub fn eval(&self, args: &[&Array], outs: &[TensorType]) -> Result<Vec<Array>, EvalError> {
        member::eval(self, args, outs)
    }
}
