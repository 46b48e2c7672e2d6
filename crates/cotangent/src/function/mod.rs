//! Functions: ordinary Rust functions over tensors that are traced, differentiated and run.

mod arguments;
mod batch;
mod derivative;
mod into;
mod linear;
mod profile;
mod rules;
mod taylor;
mod traced;
#[cfg(feature = "view")]
mod view;
mod whole;

pub use arguments::Argument;
pub(crate) use derivative::expect_like;
pub use derivative::{grad, jvp, value_and_grad, vjp};
pub use into::{ByReference, ByValue, IntoFunction};
pub use linear::Linear;
pub use profile::Profile;
pub use traced::{Memory, Traced};
pub(crate) use whole::chosen;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{Location as Caller, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cotangent_graph::Location;

use crate::check::{Base, Derivative};
use crate::tensor::Value;
use crate::trace::{self, Place};
use crate::tree::{Structure, TreeError, from_leaves};
use crate::{Array, Error, Graph, GraphError, Leaf, Tensor, TensorType, Tree, run};

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

/// What a function is traced for: the structure of the tuple of arguments and the types of the
/// leaves.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Signature {
    pub(crate) structure: Structure,
    pub(crate) types: Vec<TensorType>,
}

/// A trace that failed; the structure of the result where that is known.
pub(crate) struct Failed {
    pub(crate) result: Option<Structure>,
    pub(crate) error: Box<Error>,
}

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

    /// The same function with a limit on what loops of unknown length keep of their steps when it
    /// runs; 1 GiB unless set. Derivatives of it have the same limit.
    ///
    /// Reverse mode through a [`while_loop`](crate::control::while_loop) keeps what the loop carries,
    /// step by step: the one memory whose size is not known before the run. A run that needs more
    /// than the limit ends with [`RunError::LoopMemory`](crate::RunError::LoopMemory).
    ///
    /// ```
    /// use cotangent::{Function, Tensor, control};
    /// let f = Function::new(|x: &Tensor| {
    ///     control::while_loop(|y| y.less(1e6), |y: Tensor| y * 1.001, x.clone())
    /// });
    /// assert!(f.grad().call((1.0.into(),)).is_ok());
    /// let error = f.with_loop_memory(1000).grad().call((1.0.into(),)).unwrap_err();
    /// assert!(error.to_string().contains("at least 1008 bytes are needed, the limit is 1000"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn with_loop_memory(self, bytes: usize) -> Function<I, O> {
        let limits = run::Limits {
            loop_memory: Some(bytes),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function, with what its loops of unknown length keep of their steps in files of this
    /// directory when memory is short, instead of in memory alone. The files have no name and are gone
    /// when the run ends, whichever way it ends, a killed process included (on a file system without
    /// files that never had a name, one killed in the very moment of making it leaves an empty file). They
    /// count for [`with_loop_memory`](Function::with_loop_memory), and not for a memory budget. Derivatives of
    /// the function do the same. Linux only.
    ///
    /// ```
    /// use cotangent::{Function, Tensor, control};
    /// let f = Function::new(|x: &Tensor| {
    ///     control::while_loop(|y| y.less(1e6), |y: Tensor| y * 1.001, x.clone())
    /// });
    /// let expected = f.clone().grad().call((1.0.into(),))?;
    /// # if cfg!(target_os = "linux") {
    /// let in_files = f.with_loop_directory(std::env::temp_dir()).grad();
    /// assert_eq!(in_files.call((1.0.into(),))?, expected);
    /// # }
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// A directory in which no file can be made is an error of the run,
    /// [`RunError::LoopDirectory`](crate::RunError::LoopDirectory).
    pub fn with_loop_directory(self, directory: impl Into<PathBuf>) -> Function<I, O> {
        let limits = run::Limits {
            loop_directory: Some(directory.into().into()),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function within a memory budget: a run holds at most this many bytes, arrays of
    /// arguments, results and constants included. Where the values between do not fit, some are
    /// computed again when they are needed instead of being kept, as few and cheap ones as can be
    /// found; no bit of a result depends on it. Derivatives of the function have the same budget.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| {
    ///     let mut y = x.clone();
    ///     for _ in 0..20 {
    ///         y = y.dot(x).tanh();
    ///     }
    ///     y.sum(..)
    /// });
    /// let x = Array::zeros(cotangent::DType::F64, [100, 100])?; // 80,000 bytes
    /// let gradient = f.clone().grad().call((x.clone(),))?;
    /// assert_eq!(f.clone().with_memory_budget(1_000_000).grad().call((x.clone(),))?, gradient);
    /// let error = f.with_memory_budget(100_000).grad().call((x,)).unwrap_err();
    /// assert!(error.to_string().contains("the smallest budget reached is"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// The error of a [`call`](Function::call) whose budget is too small names the smallest that was
    /// found to work, and one below which none can.
    pub fn with_memory_budget(self, bytes: usize) -> Function<I, O> {
        let limits = run::Limits {
            memory_budget: Some(bytes),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function, for whose arithmetic numbers below the smallest normal one (2.2e-308, f32: 1.2e-38)
    /// are zeros. Some processors take a hundred cycles for each product with such a number, and a density far
    /// from its mean is one. JAX does so always, C with `-ffast-math` does, PyTorch where it is told to.
    /// Derivatives of the function do the same.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let density = Function::new(|x: &Tensor| (-x * x / 2.0).exp()).with_flushed_subnormals();
    /// let far = density.call((38.0.into(),))?; // 2.9e-314 to the last digit, here perhaps 0
    /// assert!(far.item::<f64>()? < 3e-314);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// It concerns code that is generated for a function. Products of matrices and other kernels keep such
    /// numbers, and so do processors without AVX2: results may then differ in what is all but 0.
    pub fn with_flushed_subnormals(self) -> Function<I, O> {
        let limits = run::Limits {
            flush_subnormals: true,
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function with a limit on the threads that work on a run, the caller's among them; 0 is
    /// as many as there are by default: the variable `COTANGENT_THREADS`, or else 1. Derivatives of it
    /// have the same limit. Results do not depend on it, bit for bit.
    ///
    /// Other threads than the caller's come from one pool of the process, which starts them when they
    /// first have work. They help one run at a time, with what takes a few microseconds or more.
    ///
    /// ```
    /// use cotangent::{Array, DType, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.dot(x).tanh().sum(..)).grad();
    /// let x = Array::zeros(DType::F64, [100, 100])?;
    /// assert_eq!(f.clone().with_threads(1).call((x.clone(),))?, f.with_threads(2).call((x,))?);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn with_threads(self, threads: usize) -> Function<I, O> {
        let limits = run::Limits {
            threads: Some(threads),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    fn within(self, limits: run::Limits) -> Function<I, O> {
        let inner = self.inner;
        let base = inner.base.clone();
        Function {
            direct: self.direct,
            ..Function::from_inner(Inner {
                name: inner.name.clone(),
                at: inner.at,
                limits,
                build: Box::new(move |signature| {
                    let traced = inner.traced(signature)?;
                    Ok(Traced {
                        graph: traced.graph.clone(),
                        result: traced.result.clone(),
                        captures: traced.captures.clone(),
                        program: run::Program::default(),
                    })
                }),
                cache: Mutex::default(),
                linearized: Mutex::default(),
                base: base.clone(),
            })
        }
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

/// Applies what was traced to tensors, or records why there is nothing to apply.
pub(crate) fn finish<O: Tree<Tensor>>(
    traced: Result<Arc<Traced>, Failed>,
    tensors: &mut Vec<Tensor>,
    call: bool,
    at: Place,
) -> O {
    let (result, outputs) = match traced {
        Ok(traced) => {
            tensors.extend(traced.captures.iter().cloned());
            let outputs = trace::apply(&traced.graph, &traced.program, tensors, call, at);
            (traced.result.clone(), outputs)
        }
        Err(Failed { result, error }) => {
            let error = error.into_graph_error(Some(Location::Code(at)));
            let failed = trace::fail(error, &tensors.iter().collect::<Vec<_>>());
            match result {
                Some(result) => {
                    let count = result.leaf_count();
                    (result, vec![failed; count])
                }
                // The error is recorded; whoever traces the code around us reports it.
                None => resume_unwind(Box::new("a function could not be traced")),
            }
        }
    };
    match from_leaves(&result, outputs) {
        Ok(result) => result,
        Err(e) => {
            trace::fail(
                GraphError::other(e.to_string(), Some(Location::Code(at))),
                &[],
            );
            resume_unwind(Box::new(e.to_string()))
        }
    }
}

/// Traces a function for arguments of these types.
pub(crate) fn trace_closure<I: Tree<Tensor>, O: Tree<Tensor>>(
    name: &str,
    arguments: &[String],
    signature: &Signature,
    f: &dyn Fn(I) -> O,
) -> Result<Traced, Failed> {
    trace_with(name, arguments, signature, false, f)
}

/// The same; with `all` operations stay that no output needs.
pub(crate) fn trace_with<I: Tree<Tensor>, O: Tree<Tensor>>(
    name: &str,
    arguments: &[String],
    signature: &Signature,
    all: bool,
    f: &dyn Fn(I) -> O,
) -> Result<Traced, Failed> {
    let names = arguments::input_names(&signature.structure, arguments);
    let inputs: Vec<(String, TensorType)> = names
        .into_iter()
        .zip(signature.types.iter().cloned())
        .collect();
    let outcome = trace::trace_parts(
        name,
        &inputs,
        &arguments::input_parts(&signature.structure),
        all,
        |tensors| from_leaves(&signature.structure, tensors).map(f),
        |result: &Result<O, TreeError>| match result {
            Ok(result) => result.leaves().into_iter().cloned().collect(),
            Err(_) => Vec::new(),
        },
    );
    let structure = match outcome.result {
        Some(Ok(result)) => Some(result.structure()),
        Some(Err(e)) => {
            return Err(Failed::unknown(e));
        }
        None => None,
    };
    match (outcome.graph, structure) {
        (Ok((graph, captures)), Some(result)) => Ok(Traced::new(graph, result, captures)),
        (Ok(_), None) => Err(Failed::unknown(Error::Argument(format!(
            "`{name}` gave no result"
        )))),
        (Err(e), result) => Err(Failed {
            result,
            error: Box::new(e.into()),
        }),
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

impl Failed {
    /// A failure of something whose result has this structure.
    pub(crate) fn known(result: &Structure, error: impl Into<Error>) -> Failed {
        Failed {
            result: Some(result.clone()),
            error: Box::new(error.into()),
        }
    }

    /// A failure of something of which nothing is known.
    pub(crate) fn unknown(error: impl Into<Error>) -> Failed {
        Failed {
            result: None,
            error: Box::new(error.into()),
        }
    }
}

/// What says which type a tensor in its place has.
pub trait Typed {
    /// The type.
    fn tensor_type(&self) -> TensorType;
}

impl Typed for TensorType {
    fn tensor_type(&self) -> TensorType {
        self.clone()
    }
}

impl Typed for Array {
    fn tensor_type(&self) -> TensorType {
        TensorType::new(self.dtype(), self.shape().clone())
    }
}

pub(crate) fn signature_of<L: Typed, T: Tree<L>>(arguments: &T) -> Signature {
    Signature {
        structure: arguments.structure(),
        types: arguments
            .leaves()
            .into_iter()
            .map(Typed::tensor_type)
            .collect(),
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
