//! Trees: arguments and results with several leaves.
//!
//! A traced function takes and gives trees: a single tensor, tuples, `Vec`, `Option`, arrays,
//! `Box`, string-keyed maps, and any struct or enum with `#[derive(Tree)]`, nested as you like. The
//! same type holds tensors while a function is traced and arrays outside.
//!
//! ```
//! use cotangent::{Array, Tree};
//!
//! #[derive(Clone, Tree)]
//! struct Linear<T> {
//!     w: T,
//!     b: T,
//! }
//!
//! let p = Linear { w: Array::from([[1.0, 2.0]]), b: Array::from([0.5]) };
//! assert_eq!(p.paths(), ["w", "b"]);
//! let twice: Linear<f64> = p.map(|leaf| leaf.len() as f64 * 2.0);
//! assert_eq!((twice.w, twice.b), (4.0, 2.0));
//! ```

mod impls;
mod structure;

pub use structure::{Label, Node, Plain, Static, Structure, TreeError};

use crate::{Array, Tensor, TensorType};

/// What may stand at the leaves of a tree.
///
/// [`Tensor`], [`Array`], [`TensorType`], `bool`, the numbers, `String` and `()` are leaves.
/// [`leaf!`](crate::leaf) makes one of any other type.
pub trait Leaf: Tree<Self> + 'static {}

/// A value made of leaves of type `L`, see [the module](self).
///
/// It is derived, never written by hand; the type with other leaves is `Of`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tree of `{L}`",
    note = "structs and enums become trees by `#[derive(Tree)]`; plain data among their fields is \
            marked `#[tree(plain)]` or wrapped in `Static`"
)]
pub trait Tree<L>: Sized {
    /// The same tree with leaves of another type.
    type Of<U: Leaf>: Tree<U>;

    /// Everything about this value but its leaves.
    fn structure(&self) -> Structure;

    /// Visits the leaves in the order of declaration.
    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L));

    /// The same tree with each leaf replaced; [`map`](Tree::map) is easier to call.
    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U>;

    /// The tree of this structure with these leaves, which are taken in order.
    ///
    /// # Errors
    /// When the structure is not one of this type, or the leaves run out.
    fn build(structure: &Structure, leaves: &mut dyn Iterator<Item = L>)
    -> Result<Self, TreeError>;

    /// The leaves in order.
    fn leaves<'a>(&'a self) -> Vec<&'a L>
    where
        L: 'a,
    {
        let mut leaves = Vec::new();
        self.for_each_leaf(&mut |leaf| leaves.push(leaf));
        leaves
    }

    /// Where each leaf stands, in order: `layers.0.w`. The path of a tree that is itself a leaf is
    /// empty.
    fn paths(&self) -> Vec<String> {
        self.structure().paths()
    }

    /// The same tree with each leaf replaced.
    fn map<U: Leaf>(&self, mut f: impl FnMut(&L) -> U) -> Self::Of<U> {
        self.map_leaves(&mut f)
    }

    /// The same tree with each leaf replaced, unless `f` fails at one.
    ///
    /// # Errors
    /// The first error of `f`.
    fn try_map<U: Leaf, E: From<TreeError>>(
        &self,
        mut f: impl FnMut(&L) -> Result<U, E>,
    ) -> Result<Self::Of<U>, E> {
        let leaves = self
            .leaves()
            .into_iter()
            .map(&mut f)
            .collect::<Result<Vec<U>, E>>()?;
        Ok(from_leaves(&self.structure(), leaves)?)
    }

    /// A tree of the structure of this one with other leaves of the same type.
    ///
    /// # Errors
    /// When the number of leaves is not the same.
    fn with_leaves(&self, leaves: Vec<L>) -> Result<Self, TreeError> {
        from_leaves(&self.structure(), leaves)
    }
}

/// The tree of a structure with exactly these leaves.
///
/// # Errors
/// When the structure is not one of the type `T`, or the number of leaves is not right.
pub fn from_leaves<L, T: Tree<L>>(structure: &Structure, leaves: Vec<L>) -> Result<T, TreeError> {
    let (expected, found) = (structure.leaf_count(), leaves.len());
    if expected != found {
        return Err(TreeError::LeafCount { expected, found });
    }
    T::build(structure, &mut leaves.into_iter())
}

/// Combines two trees of the same structure leaf by leaf, as an optimiser does with parameters and
/// their gradients.
///
/// # Errors
/// When the structures differ.
pub fn zip_map<L, V, T: Tree<L>, S: Tree<V>>(
    tree: &T,
    other: &S,
    mut f: impl FnMut(&L, &V) -> L,
) -> Result<T, TreeError> {
    let structure = tree.structure();
    structure.expect_same(&other.structure())?;
    let leaves = tree
        .leaves()
        .into_iter()
        .zip(other.leaves())
        .map(|(a, b)| f(a, b))
        .collect();
    from_leaves(&structure, leaves)
}

/// Makes types leaves of trees.
///
/// ```
/// use cotangent::{Tree, leaf};
/// #[derive(Clone, PartialEq, Debug)]
/// struct Moments { mean: f64, spread: f64 }
/// leaf!(Moments);
/// let moments = (1.0, vec![2.0]).map(|x| Moments { mean: *x, spread: 0.0 });
/// assert_eq!(moments.1[0].mean, 2.0);
/// ```
#[macro_export]
macro_rules! leaf {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::Leaf for $type {}

        impl $crate::Tree<$type> for $type {
            type Of<U: $crate::Leaf> = U;

            fn structure(&self) -> $crate::tree::Structure {
                $crate::tree::Structure::Leaf
            }

            fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a $type)) {
                f(self);
            }

            fn map_leaves<U: $crate::Leaf>(&self, f: &mut dyn FnMut(&$type) -> U) -> U {
                f(self)
            }

            fn build(
                structure: &$crate::tree::Structure,
                leaves: &mut dyn Iterator<Item = $type>,
            ) -> Result<$type, $crate::tree::TreeError> {
                structure.leaf(leaves)
            }
        }
    )*};
}

leaf!(
    Tensor, Array, TensorType, bool, u8, u32, u64, usize, i32, i64, f32, f64, String
);
