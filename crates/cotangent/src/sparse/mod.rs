//! Sparse Jacobians and Hessians: only the entries that may differ from zero are computed.
//!
//! ```
//! use cotangent::{Array, Function, Tensor};
//!
//! // Each element depends on three neighbours, so three products give all entries, however many
//! // elements there are.
//! let f = Function::new(|x: &Tensor| x.at(..-2) - x.at(1..-1).square() + x.at(2..));
//! let jacobian = f.sparse_jacobian();
//! let x = Array::from([1.0, 2.0, 3.0, 4.0, 5.0]);
//! let j = jacobian.call((x.clone(),))?;
//! assert_eq!((j.rows, j.columns), (3, 5));
//! assert_eq!(j.values, [1.0, -4.0, 1.0, 1.0, -6.0, 1.0, 1.0, -8.0, 1.0].into());
//! let (columns, rows) = jacobian.groups(&(x,))?;
//! assert_eq!(columns + rows, 3);
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! The pattern is found from the graph, see [`Function::sparsity`], or given. What is found, grouped
//! and compiled is kept, so a call at a new point only runs. [`transform::sparse`](crate::transform::sparse)
//! has the parts.

mod matrix;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use cotangent_transform::sparse::{
    Bidirectional, Coloring, Groups, HessianColoring, Pattern, SparseGraph, color_acyclic,
    color_bidirectional, color_columns, color_rows, color_star,
};
pub use matrix::{Coo, Csc, Csr};

use cotangent_transform::sparse;
use matrix::Indices;

use crate::function::{Failed, Inner, Signature, Traced, Typed, chosen, signature_of};
use crate::tree::Structure;
use crate::{Argument, Array, Error, Function, Graph, Leaf, Tensor, TransformError, Tree};

/// Sparse derivatives.
impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The Jacobian with respect to the first argument as a sparse matrix. The rows are the elements
    /// of all float leaves of the result, one leaf after the other, the columns those of the first
    /// argument. See [`sparse`](crate::sparse).
    pub fn sparse_jacobian(&self) -> SparseJacobian<I>
    where
        I: Argument<0>,
    {
        SparseJacobian::new(self.inner().clone(), Coloring::Auto, None)
    }

    /// Where the Jacobian with respect to the first argument may differ from zero, at any arguments of
    /// these types (types or arrays).
    ///
    /// ```
    /// use cotangent::{DType, Function, Tensor, TensorType};
    /// let f = Function::new(|x: &Tensor| x.at(1..) * x.at(..-1));
    /// let p = f.sparsity(&(TensorType::new(DType::F64, [3]),))?;
    /// assert_eq!(p.iter().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 1), (1, 2)]);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`trace`](Function::trace); results or first arguments without floats.
    pub fn sparsity<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<Pattern, Error> {
        let (traced, wrt) = choose(self.inner(), &signature_of(arguments))?;
        Ok(sparse::sparsity(traced.graph(), &wrt, &[])?)
    }

    /// The same near one point: the indices, conditions and maxima that the arguments lead to are
    /// taken as they are, so the pattern is tighter. It holds as long as they stay the same.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.max(..));
    /// let p = f.sparsity_at(&(Array::from([1.0, 3.0, 2.0]),))?;
    /// assert_eq!(p.iter().collect::<Vec<_>>(), [(0, 1)]);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sparsity`](Function::sparsity); an index out of range.
    pub fn sparsity_at(&self, arguments: &I::Of<Array>) -> Result<Pattern, Error> {
        let (traced, wrt) = choose(self.inner(), &signature_of(arguments))?;
        Ok(sparse::sparsity(traced.graph(), &wrt, &known(arguments))?)
    }
}

/// Sparse Hessians.
impl<I: Tree<Tensor> + 'static> Function<I, Tensor> {
    /// The Hessian of a scalar function with respect to its first argument as a sparse matrix, over
    /// the elements of all float leaves of the argument.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x.at(1..) - x.at(..-1).square()).square().sum(..));
    /// let h = f.sparse_hessian().call((Array::from([1.0, 2.0, 3.0]),))?;
    /// assert_eq!(h.to_dense()?, [[4.0, -4.0, 0.0], [-4.0, 38.0, -8.0], [0.0, -8.0, 2.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn sparse_hessian(&self) -> SparseHessian<I>
    where
        I: Argument<0>,
    {
        SparseHessian::new(self.inner().clone(), HessianColoring::Auto, None)
    }

    /// Where the Hessian of a scalar function may differ from zero, at any arguments of these types
    /// (types or arrays).
    ///
    /// # Errors
    /// As [`trace`](Function::trace); a result that is no float scalar.
    pub fn hessian_sparsity<L: Leaf + Typed>(
        &self,
        arguments: &I::Of<L>,
    ) -> Result<Pattern, Error> {
        let (traced, wrt) = choose(self.inner(), &signature_of(arguments))?;
        Ok(sparse::hessian_sparsity(traced.graph(), &wrt, &[])?)
    }

    /// The same near one point; see [`sparsity_at`](Function::sparsity_at).
    ///
    /// # Errors
    /// As [`hessian_sparsity`](Function::hessian_sparsity); an index out of range.
    pub fn hessian_sparsity_at(&self, arguments: &I::Of<Array>) -> Result<Pattern, Error> {
        let (traced, wrt) = choose(self.inner(), &signature_of(arguments))?;
        let known = known(arguments);
        Ok(sparse::hessian_sparsity(traced.graph(), &wrt, &known)?)
    }
}

macro_rules! sparse_derivatives {
    ($($(#[doc = $doc:literal])* $T:ident, $Coloring:ident, $pattern:ident, $make:ident;)+) => {$(
        $(#[doc = $doc])*
        ///
        /// It keeps pattern, groups and program for each structure and types of the arguments, so make
        /// it once and call it often.
        pub struct $T<I> {
            inner: Arc<Inner>,
            coloring: $Coloring,
            pattern: Option<Pattern>,
            values: Function<I, Tensor>,
            prepared: Prepared,
        }

        impl<I: Tree<Tensor> + 'static> $T<I> {
            fn new(inner: Arc<Inner>, coloring: $Coloring, pattern: Option<Pattern>) -> Self {
                let prepared = Prepared::default();
                let (f, given, keep) = (inner.clone(), pattern.clone(), prepared.clone());
                let name = format!("{}_{}", inner.name(), stringify!($make));
                let values = Function::from_build(&name, move |signature| {
                    build(&f, signature, &keep, &|graph, wrt| {
                        let found;
                        let pattern = match &given {
                            Some(pattern) => pattern,
                            None => {
                                found = sparse::$pattern(graph, wrt, &[])?;
                                &found
                            }
                        };
                        sparse::$make(graph, wrt, pattern, coloring)
                    })
                });
                $T { inner, coloring, pattern, values, prepared }
            }

            /// The same with another way to make the groups.
            #[must_use]
            pub fn with_coloring(self, coloring: $Coloring) -> Self {
                $T::new(self.inner, coloring, self.pattern)
            }

            /// The same with a pattern of one's own, say of
            #[doc = concat!("[`", stringify!($pattern), "_at`](Function::", stringify!($pattern), "_at).")]
            /// It is believed: an entry outside of it that is not zero makes others wrong.
            #[must_use]
            pub fn with_pattern(self, pattern: Pattern) -> Self {
                $T::new(self.inner, self.coloring, Some(pattern))
            }

            /// The matrix at these arguments.
            ///
            /// # Errors
            /// As [`Function::call`]; a pattern of another size than the matrix.
            pub fn call(&self, arguments: I::Of<Array>) -> Result<Csr, Error> {
                let signature = signature_of(&arguments);
                let values = self.values.call(arguments)?;
                let kept = self.prepared.get(&signature, self.inner.name())?;
                Ok(Csr::of(&kept.pattern, &kept.indices, values))
            }

            /// The entries alone, as a function that can be applied inside of others and differentiated.
            pub fn values(&self) -> &Function<I, Tensor> {
                &self.values
            }

            /// The pattern of the entries for arguments of these types (types or arrays).
            ///
            /// # Errors
            /// As [`Function::trace`]; a pattern of another size than the matrix.
            pub fn pattern<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<Pattern, Error> {
                self.values.trace(arguments)?;
                let signature = signature_of(arguments);
                Ok(self.prepared.get(&signature, self.inner.name())?.pattern.clone())
            }

            /// How many products are computed: groups of columns and groups of rows.
            ///
            /// # Errors
            /// As [`Function::trace`]; a pattern of another size than the matrix.
            pub fn groups<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<(usize, usize), Error> {
                self.values.trace(arguments)?;
                let signature = signature_of(arguments);
                Ok(self.prepared.get(&signature, self.inner.name())?.groups)
            }
        }

        impl<I> Clone for $T<I> {
            fn clone(&self) -> Self {
                $T {
                    inner: self.inner.clone(),
                    coloring: self.coloring,
                    pattern: self.pattern.clone(),
                    values: self.values.clone(),
                    prepared: self.prepared.clone(),
                }
            }
        }

        impl<I> fmt::Debug for $T<I> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($T), self.inner.name())
            }
        }
    )+};
}

sparse_derivatives! {
    /// The sparse Jacobian of a function; see [`Function::sparse_jacobian`].
    SparseJacobian, Coloring, sparsity, sparse_jacobian;
    /// The sparse Hessian of a scalar function; see [`Function::sparse_hessian`].
    SparseHessian, HessianColoring, hessian_sparsity, sparse_hessian;
}

/// What is known of the matrix for each structure and types of the arguments.
#[derive(Clone, Default)]
struct Prepared(Arc<Mutex<HashMap<Signature, Arc<Kept>>>>);

struct Kept {
    pattern: Pattern,
    indices: Indices,
    groups: (usize, usize),
}

impl Prepared {
    fn get(&self, signature: &Signature, name: &str) -> Result<Arc<Kept>, Error> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(signature)
            .cloned()
            .ok_or_else(|| Error::Argument(format!("`{name}` has no pattern for these arguments")))
    }

    fn put(&self, signature: &Signature, made: &SparseGraph) {
        let kept = Kept {
            pattern: made.pattern.clone(),
            indices: Indices::of(&made.pattern),
            groups: (made.columns, made.rows),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(signature.clone(), Arc::new(kept));
    }
}

/// Makes the graph of the entries with respect to the chosen inputs.
type Make<'a> = dyn Fn(&Graph, &[bool]) -> Result<SparseGraph, TransformError> + 'a;

/// The graph of the entries, as it is traced for arguments of certain types.
fn build(
    f: &Inner,
    signature: &Signature,
    prepared: &Prepared,
    make: &Make<'_>,
) -> Result<Traced, Failed> {
    let known = |e: Error| Failed::known(&Structure::Leaf, e);
    let (traced, wrt) = choose(f, signature).map_err(known)?;
    let made = make(traced.graph(), &wrt).map_err(|e| known(e.into()))?;
    prepared.put(signature, &made);
    Ok(Traced::new(
        made.graph,
        Structure::Leaf,
        traced.captures().to_vec(),
    ))
}

/// The trace for arguments of these types, and the inputs that are float leaves of the first one.
fn choose(f: &Inner, signature: &Signature) -> Result<(Arc<Traced>, Vec<bool>), Error> {
    let traced = f.traced(signature).map_err(|e| *e.error)?;
    let (_, range) = signature.argument(0)?;
    let wrt = chosen(signature, range, traced.graph());
    Ok((traced, wrt))
}

/// The values of all arguments.
fn known<T: Tree<Array>>(arguments: &T) -> Vec<Option<Array>> {
    let leaves = arguments.leaves().into_iter();
    leaves.map(|a| Some(a.clone())).collect()
}
