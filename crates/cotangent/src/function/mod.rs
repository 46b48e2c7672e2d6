//! Functions: ordinary Rust functions over tensors that are traced, differentiated and run.

mod arguments;
mod batch;
mod closure;
mod derivative;
mod into;
mod limits;
mod linear;
mod profile;
mod rules;
mod signature;
mod taylor;
mod traced;
#[cfg(feature = "view")]
mod view;
mod whole;

pub use arguments::Argument;
pub(crate) use closure::{finish, trace_closure, trace_with};
pub(crate) use derivative::expect_like;
pub use derivative::{grad, jvp, value_and_grad, vjp};
pub use into::{ByReference, ByValue, IntoFunction};
pub use linear::Linear;
pub use profile::Profile;
pub use signature::Typed;
pub(crate) use signature::{Failed, Signature, signature_of};
pub use traced::{Memory, Traced};
pub(crate) use whole::chosen;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location as Caller;
use std::sync::{Arc, Mutex, PoisonError};

use crate::check::{Base, Derivative};
use crate::tensor::Value;
use crate::trace::Place;
use crate::tree::{Structure, from_leaves};
use crate::{Array, Error, Graph, GraphError, Leaf, Tensor, Tree, run};

/// A function over tensors that can be run, printed and differentiated.
///
/// `I` is the tuple of the arguments and `O` the result, both as trees of tensors. A function is
/// traced once for each structure and types of its arguments; it must be pure, and what its
/// closure captured stays as it was.
///
/// ```
/// use cotangent::{Array, Function, Tensor};
/// let f = Function::new(|x: &Tensor| (x * x).sum(..));
/// let x = Array::from([1.0, 2.0]);
/// assert_eq!(f.call((x.clone(),))?, 5.0.into());
/// assert_eq!(f.grad().call((x,))?, [2.0, 4.0].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
pub struct Function<I, O> {
    inner: Arc<Inner>,
    /// The user's function, for use inside of another trace.
    direct: Option<Direct<I, O>>,
    types: PhantomData<fn(I) -> O>,
}

type Direct<I, O> = Arc<dyn Fn(I) -> O + Send + Sync>;

/// A function without its types.
pub(crate) struct Inner {
    name: String,
    build: Box<Build>,
    /// The function that this one is a derivative of, for checks.
    base: Option<Base>,
    cache: Mutex<HashMap<Signature, Arc<Traced>>>,
    linearized: Mutex<HashMap<Signature, Arc<linear::Parts>>>,
    /// Where a derivative or batch was asked for.
    at: Option<Place>,
    limits: run::Limits,
}

type Build = dyn Fn(&Signature) -> Result<Traced, Failed> + Send + Sync;

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// Makes a function of an ordinary one: an `fn` or closure of 1 to 6 arguments, all taken by
    /// value or all by reference, that are trees of tensors.
    pub fn new<M, F>(f: F) -> Function<I, O>
    where
        F: IntoFunction<M, In = I, Out = O> + Send + Sync + 'static,
    {
        f.into_function()
    }

    /// The same function under another name, with names for its arguments.
    ///
    /// They appear in graphs, texts and errors. Without names the arguments are called `x`, or
    /// `x0`, `x1`, ... where there are several.
    ///
    /// ```
    /// use cotangent::{DType, Function, Tensor, TensorType};
    /// let f = Function::new(|w: &Tensor, x: &Tensor| w.dot(x)).named("model", ["w", "x"]);
    /// let t = TensorType::new(DType::F64, [3]);
    /// let traced = f.trace(&(t.clone(), t))?;
    /// assert_eq!(&*traced.graph().inputs()[0].0, "w");
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn named<'a>(self, name: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let limits = self.inner.limits.clone();
        let mut named = match self.direct {
            Some(direct) => Function::from_closure(name, names, direct),
            None => {
                let inner = self.inner;
                let base = inner.base().cloned();
                let label = name.to_owned();
                let named = Function::from_build(name, move |signature| {
                    let traced = inner.traced(signature)?;
                    let graph = renamed(&traced.graph, &label, &names, &signature.structure)
                        .map_err(|e| Failed::known(&traced.result, e))?;
                    Ok(Traced::new(
                        graph,
                        traced.result.clone(),
                        traced.captures.clone(),
                    ))
                });
                match base {
                    Some(base) => named.of(&base.inner, base.kind),
                    None => named,
                }
            }
        };
        if let Some(inner) = Arc::get_mut(&mut named.inner) {
            inner.limits = limits;
        }
        named
    }

    /// Runs the function on arrays.
    ///
    /// # Errors
    /// The first operation that does not fit its operands, with its place in the user's code; an
    /// index out of range.
    pub fn call(&self, arguments: I::Of<Array>) -> Result<O::Of<Array>, Error> {
        let leaves: Vec<Array> = arguments.leaves().into_iter().cloned().collect();
        let traced = self
            .inner
            .traced(&signature_of(&arguments))
            .map_err(|f| *f.error)?;
        Ok(from_leaves(&traced.result, traced.run(&leaves)?)?)
    }

    /// Runs the function on arrays by the reference evaluator, and fails where a NaN or an infinity
    /// arises: the error names the first operation whose operands were finite and whose result is
    /// not, and its place in the user's code. In a derivative that is the place of which it is part
    /// of the derivative. See [`checked`](crate::checked).
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.log() * x);
    /// let error = f.call_checked((0.0.into(),)).unwrap_err();
    /// assert!(error.to_string().contains("`log` gives -inf, although its operands are finite"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`call`](Function::call), and the first value that is not finite.
    pub fn call_checked(&self, arguments: I::Of<Array>) -> Result<O::Of<Array>, Error> {
        let leaves: Vec<Array> = arguments.leaves().into_iter().cloned().collect();
        let traced = self.trace(&arguments)?;
        traced.expect_closed()?;
        let outputs = crate::checked::eval(&traced.graph, &leaves)?;
        Ok(from_leaves(&traced.result, outputs)?)
    }

    /// Traces the function for arguments of these types: types or arrays. The result is kept for
    /// later calls.
    ///
    /// # Errors
    /// The first operation that does not fit its operands, with its place in the user's code.
    pub fn trace<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<Arc<Traced>, Error> {
        self.inner
            .traced(&signature_of(arguments))
            .map_err(|f| *f.error)
    }

    /// The graph of the function for arguments of these types: types or arrays.
    ///
    /// ```
    /// use cotangent::{DType, Function, Tensor, TensorType};
    /// let f = Function::new(|x: &Tensor| x.exp());
    /// let graph = f.graph(&(TensorType::new(DType::F64, [3]),))?;
    /// assert_eq!(graph.operation_count(), 1);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`trace`](Function::trace).
    pub fn graph<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<Arc<Graph>, Error> {
        Ok(self.trace(arguments)?.graph.clone())
    }

    /// Applies the function to tensors, as a part of the function that is being traced.
    ///
    /// Errors are recorded, as those of any operation.
    #[track_caller]
    pub fn apply(&self, arguments: I) -> O {
        match &self.direct {
            Some(direct) => direct(arguments),
            None => self.apply_graph(&arguments, false, Caller::caller()),
        }
    }

    /// Applies the function to tensors as one operation, a call of its graph, which is kept as a
    /// function of its own in texts and is compiled once however often it is called.
    #[track_caller]
    pub fn apply_as_call(&self, arguments: I) -> O {
        self.apply_graph(&arguments, true, Caller::caller())
    }

    fn apply_graph(&self, arguments: &I, call: bool, at: Place) -> O {
        let mut tensors: Vec<Tensor> = arguments.leaves().into_iter().cloned().collect();
        let signature = Signature {
            structure: arguments.structure(),
            types: tensors.iter().map(|t| t.ty().clone()).collect(),
        };
        finish(self.inner.traced(&signature), &mut tensors, call, at)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn from_build(
        name: &str,
        build: impl Fn(&Signature) -> Result<Traced, Failed> + Send + Sync + 'static,
    ) -> Function<I, O> {
        Function::from_inner(Inner {
            name: name.to_owned(),
            build: Box::new(build),
            base: None,
            cache: Mutex::default(),
            linearized: Mutex::default(),
            at: None,
            limits: run::Limits::default(),
        })
    }

    fn from_inner(inner: Inner) -> Function<I, O> {
        Function {
            inner: Arc::new(inner),
            direct: None,
            types: PhantomData,
        }
    }

    /// A function that is made of this one; `build` gets this one without its types. Errors of
    /// making it name the place of the caller.
    #[track_caller]
    pub(crate) fn derived<J: Tree<Tensor> + 'static, P: Tree<Tensor> + 'static>(
        &self,
        suffix: &str,
        build: impl Fn(&Signature, &Inner) -> Result<Traced, Failed> + Send + Sync + 'static,
    ) -> Function<J, P> {
        let inner = self.inner.clone();
        Function::from_inner(Inner {
            name: format!("{}_{suffix}", self.inner.name),
            limits: self.inner.limits.clone(),
            build: Box::new(move |signature| build(signature, &inner)),
            cache: Mutex::default(),
            linearized: Mutex::default(),
            base: None,
            at: Some(Caller::caller()),
        })
    }

    /// The function as a derivative of another one, which checks compare it with.
    pub(crate) fn of(mut self, base: &Arc<Inner>, kind: Derivative) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.base = Some(Base {
                inner: base.clone(),
                kind,
            });
        }
        self
    }

    pub(crate) fn from_closure(
        name: &str,
        arguments: Vec<String>,
        f: Arc<dyn Fn(I) -> O + Send + Sync>,
    ) -> Function<I, O> {
        let label = name.to_owned();
        let body = f.clone();
        let function = Function::from_build(name, move |signature| {
            trace_closure(&label, &arguments, signature, &*body)
        });
        Function {
            direct: Some(f),
            ..function
        }
    }
}

impl Inner {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// The trace for this signature, from the cache or new.
    pub(crate) fn traced(&self, signature: &Signature) -> Result<Arc<Traced>, Failed> {
        let cached = self.lock().get(signature).cloned();
        if let Some(traced) = cached
            && traced.captures.iter().all(is_open)
        {
            return Ok(traced);
        }
        // The lock is not held meanwhile: tracing may call this very function for other types.
        let mut traced = (self.build)(signature).map_err(|f| Failed {
            error: Box::new(f.error.derived_at(self.at)),
            ..f
        })?;
        traced.program = run::Program::within(self.limits.clone());
        let traced = Arc::new(traced);
        self.lock().insert(signature.clone(), traced.clone());
        Ok(traced)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Signature, Arc<Traced>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_open(tensor: &Tensor) -> bool {
    match tensor.value() {
        Value::Traced(trace, _) => trace.is_open(),
        _ => true,
    }
}

/// The graph under another name, with the inputs of the arguments renamed.
fn renamed(
    graph: &Graph,
    name: &str,
    arguments: &[String],
    structure: &Structure,
) -> Result<Graph, GraphError> {
    let names = arguments::input_names(structure, arguments);
    let mut b = cotangent_graph::Builder::new(name);
    let inputs: Vec<_> = graph
        .inputs()
        .iter()
        .zip(graph.input_types())
        .enumerate()
        .map(|(i, ((old, _), ty))| b.input(names.get(i).map_or(&**old, String::as_str), ty))
        .collect();
    let outputs = b.inline(graph, &inputs);
    b.finish(&outputs)
}

impl<I, O> Clone for Function<I, O> {
    fn clone(&self) -> Self {
        Function {
            inner: self.inner.clone(),
            direct: self.direct.clone(),
            types: PhantomData,
        }
    }
}

impl<I, O> fmt::Debug for Function<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", self.inner.name)
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced")
            .field("graph", &self.graph.name())
            .finish_non_exhaustive()
    }
}
