//! Scopes: named parts of a function, for whoever looks at its graph.
//!
//! Operations know the [`scope`] that they were written in; pictures draw each as a box. The layers of
//! [`nn`](crate::nn) open one by themselves, named by the field that holds their parameters, and what
//! reads a parameter `first.weight` outside of any scope belongs to `first`. Derivatives of an
//! operation belong to the scope of the operation.

use std::cell::Cell;

use cotangent_graph::Scope;

use crate::Tensor;
use crate::trace;

thread_local! {
    static CURRENT: Cell<Scope> = const { Cell::new(Scope::ROOT) };
}

/// Gives a part of a traced function a name, by which pictures group its operations. Scopes nest.
/// They are labels: no result, no equality of graphs and no printed text depends on them.
///
/// ```
/// use cotangent::{DType, Function, Tensor, TensorType, scope};
/// let f = Function::new(|x: &Tensor| {
///     let y = scope("encoder", || x.sin().square());
///     y.sum(..)
/// });
/// let graph = f.graph(&(TensorType::new(DType::F64, [3]),))?;
/// let scopes: Vec<String> = graph.equations().iter().map(|e| e.scope.to_string()).collect();
/// assert_eq!(scopes, ["", "encoder", "encoder", ""]);
/// # Ok::<(), cotangent::Error>(())
/// ```
pub fn scope<R>(name: &str, f: impl FnOnce() -> R) -> R {
    let _inside = Inside::of(current().enter(name));
    f()
}

/// The scope that operations are in now.
pub(crate) fn current() -> Scope {
    CURRENT.get()
}

/// Ends a scope when it is dropped, whichever way that comes to be.
pub(crate) struct Inside {
    outer: Scope,
}

impl Inside {
    /// Enters a scope.
    pub(crate) fn of(scope: Scope) -> Inside {
        Inside {
            outer: CURRENT.replace(scope),
        }
    }

    /// Enters the scope of a layer: the path that its parameters have in common among the inputs of
    /// the traced function. A layer of other tensors opens no scope.
    pub(crate) fn layer<'a>(parameters: impl IntoIterator<Item = &'a Tensor>) -> Inside {
        Inside::holder(parameters, 0)
    }

    /// As [`layer`](Inside::layer), of something that holds its parameters so many fields further down.
    pub(crate) fn holder<'a>(
        parameters: impl IntoIterator<Item = &'a Tensor>,
        below: usize,
    ) -> Inside {
        let holder = |part: Scope| {
            let path = part.path();
            let own = path.iter().take(path.len().saturating_sub(below));
            own.fold(Scope::ROOT, |at, name| at.enter(name))
        };
        let paths = parameters.into_iter().filter_map(trace::path).map(holder);
        let outer = current();
        Inside::of(match paths.reduce(Scope::common) {
            // A scope that was named as the field that holds the layer is the same one.
            Some(path) if path.starts_with(outer) => path,
            Some(path) => path.within(outer),
            None => outer,
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}
