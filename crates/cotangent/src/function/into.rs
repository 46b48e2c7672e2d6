//! Ordinary functions and closures as [`Function`]s.

use std::sync::Arc;

use super::Function;
use crate::{Tensor, Tree};

/// What can become a [`Function`]: functions and closures of 1 to 6 arguments that are trees of
/// tensors, all taken by value or all by reference; and functions that are [`Function`]s already.
///
/// `M` only tells these apart; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function over trees of tensors",
    note = "a function takes 1 to 6 arguments, all by value or all by reference, and the types of \
            a closure's arguments are written out, as in `|x: &Tensor|`",
    note = "arguments and results are trees of tensors: a tensor, tuples, `Vec`s, or a type with \
            `#[derive(Tree)]`"
)]
pub trait IntoFunction<M>: Sized {
    /// The tuple of the arguments.
    type In: Tree<Tensor> + 'static;
    /// The result.
    type Out: Tree<Tensor> + 'static;

    /// Applies the function to tensors.
    fn invoke(&self, arguments: Self::In) -> Self::Out;

    /// The name to go by in graphs.
    fn name(&self) -> String {
        short_name(std::any::type_name::<Self>())
    }

    /// Makes it a [`Function`].
    fn into_function(self) -> Function<Self::In, Self::Out>
    where
        Self: Send + Sync + 'static,
    {
        let name = self.name();
        let body = Arc::new(move |arguments| self.invoke(arguments));
        Function::from_closure(&name, Vec::new(), body)
    }
}

/// Marks functions that take their arguments by value.
#[derive(Debug)]
pub struct ByValue<T>(std::marker::PhantomData<T>);

/// Marks functions that take their arguments by reference.
#[derive(Debug)]
pub struct ByReference<T>(std::marker::PhantomData<T>);

macro_rules! functions {
    ($($($T:ident $x:ident)*;)*) => {$(
        impl<Func, Out, $($T),*> IntoFunction<ByValue<($($T,)* Out,)>> for Func
        where
            Func: Fn($($T),*) -> Out,
            Out: Tree<Tensor> + 'static,
            $($T: Tree<Tensor> + 'static),*
        {
            type In = ($($T,)*);
            type Out = Out;

            fn invoke(&self, ($($x,)*): Self::In) -> Out {
                self($($x),*)
            }
        }

        impl<Func, Out, $($T),*> IntoFunction<ByReference<($($T,)* Out,)>> for Func
        where
            Func: Fn($(&$T),*) -> Out,
            Out: Tree<Tensor> + 'static,
            $($T: Tree<Tensor> + 'static),*
        {
            type In = ($($T,)*);
            type Out = Out;

            fn invoke(&self, ($($x,)*): Self::In) -> Out {
                self($(&$x),*)
            }
        }
    )*};
}

functions! {
    A a;
    A a B b;
    A a B b C c;
    A a B b C c D d;
    A a B b C c D d E e;
    A a B b C c D d E e F f;
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> IntoFunction<Function<I, O>>
    for Function<I, O>
{
    type In = I;
    type Out = O;

    fn invoke(&self, arguments: I) -> O {
        self.apply(arguments)
    }

    fn name(&self) -> String {
        self.inner().name().to_owned()
    }

    fn into_function(self) -> Function<I, O> {
        self
    }
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> IntoFunction<&Function<I, O>>
    for &Function<I, O>
{
    type In = I;
    type Out = O;

    fn invoke(&self, arguments: I) -> O {
        self.apply(arguments)
    }

    fn name(&self) -> String {
        self.inner().name().to_owned()
    }

    fn into_function(self) -> Function<I, O> {
        self.clone()
    }
}

/// The last part of a path; closures are called `f`.
fn short_name(path: &str) -> String {
    // Generic arguments hold paths of their own.
    let path = path.split('<').next().unwrap_or_default();
    match path.rsplit("::").next() {
        Some(name) if !name.is_empty() && !name.starts_with('{') => name.to_owned(),
        _ => "f".to_owned(),
    }
}
