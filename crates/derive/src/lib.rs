//! `#[derive(Tree)]` for cotangent; see `cotangent::Tree` for what a tree is.

mod tree;

use proc_macro::TokenStream;

/// Makes a struct or enum a tree of leaves, so that it may be an argument or result of a traced
/// function and hold tensors there, arrays outside.
///
/// The last type parameter is the leaf: `struct Linear<T> { w: T, b: T }` holds tensors as
/// `Linear<Tensor>` and arrays as `Linear<Array>`. A field is a leaf, another tree over the same
/// parameter (`Vec<T>`, `Option<T>`, `Linear<T>`, ...), or plain data marked `#[tree(plain)]`,
/// whose type is `Clone + Eq + Hash + Debug + Send + Sync + 'static`: plain data is part of the
/// tree's structure, and a function is traced anew for other plain data. The leaf parameter takes
/// no bounds. Paths of leaves read like Rust: `layers.0.w`.
///
/// ```ignore
/// #[derive(Clone, Tree)]
/// struct Mlp<T> {
///     layers: Vec<Linear<T>>,
///     #[tree(plain)]
///     width: usize,
/// }
/// ```
#[proc_macro_derive(Tree, attributes(tree))]
pub fn derive_tree(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    tree::expand(&input)
        .unwrap_or_else(|e| e.to_compile_error())
        .into()
}
