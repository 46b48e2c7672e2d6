//! Derivatives of functions, which are functions again.

use std::panic::Location as Caller;
use std::sync::Arc;

use cotangent_graph::{Builder, GraphError, Var};
use cotangent_transform as transform;

use super::{Failed, Function, Inner, IntoFunction, Signature, Traced, trace_closure};
use crate::check::Derivative;
use crate::tree::Structure;
use crate::{Argument, Error, Graph, Tensor, TensorType, Tree};

/// The gradient of a scalar function with respect to its first argument; see [`Function::grad`].
///
/// ```
/// use cotangent::{Tensor, grad};
/// let df = grad(|x: &Tensor| x.sin());
/// let d2f = df.grad();
/// assert_eq!(df.call((0.5.into(),))?, 0.5_f64.cos().into());
/// assert_eq!(d2f.call((0.5.into(),))?, (-0.5_f64.sin()).into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn grad<M, F>(f: F) -> Function<F::In, <F::In as Argument<0>>::Tree>
where
    F: IntoFunction<M> + Send + Sync + 'static,
    F::In: Argument<0>,
{
    f.into_function().grad()
}

/// A scalar function and its gradient with respect to the first argument; see
/// [`Function::value_and_grad`].
#[allow(clippy::type_complexity)]
#[track_caller]
pub fn value_and_grad<M, F>(f: F) -> Function<F::In, (F::Out, <F::In as Argument<0>>::Tree)>
where
    F: IntoFunction<M> + Send + Sync + 'static,
    F::In: Argument<0>,
{
    f.into_function().value_and_grad()
}

/// The value of a function and its derivative in a direction: the product of the Jacobian and the
/// tangents.
///
/// This works on tensors, so it is for use inside of a traced function; elsewhere
/// [`Function::jvp`] runs faster. `f` may use tensors from around it.
///
/// ```
/// use cotangent::{Tensor, jvp};
/// let (x, t) = (Tensor::from(3.0), Tensor::from(1.0));
/// let (y, dy) = jvp(|x: &Tensor| x * x, (x,), (t,));
/// assert_eq!((y.item::<f64>()?, dy.item::<f64>()?), (9.0, 6.0));
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn jvp<M, F: IntoFunction<M>>(f: F, arguments: F::In, tangents: F::In) -> (F::Out, F::Out) {
    let build = |signature: &Signature| {
        build_jvp(
            signature,
            &|s| trace_closure(&f.name(), &[], s, &|x| f.invoke(x)).map(Arc::new),
            transform::jvp,
        )
    };
    apply_once(&(arguments, tangents), &build)
}

/// The value of a function, and the cotangents of its arguments from those of its result: the
/// product of the transposed Jacobian and the cotangents.
///
/// This works on tensors, so it is for use inside of a traced function; elsewhere
/// [`Function::vjp`] runs faster. `f` may use tensors from around it.
#[track_caller]
pub fn vjp<M, F: IntoFunction<M>>(f: F, arguments: F::In, cotangents: F::Out) -> (F::Out, F::In) {
    let build = |signature: &Signature| {
        build_vjp(signature, &|s| {
            trace_closure(&f.name(), &[], s, &|x| f.invoke(x)).map(Arc::new)
        })
    };
    apply_once(&(arguments, cotangents), &build)
}

/// Derivatives.
///
/// A derivative keeps its own traces and programs, so make it once and call it often.
///
/// Leaves that are not floats have no derivative: their gradients, tangents and cotangents are
/// zeros of their own dtype, and what is given for them is ignored.
impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The gradient with respect to the first argument. The function gives one float scalar.
    #[track_caller]
    pub fn grad(&self) -> Function<I, <I as Argument<0>>::Tree>
    where
        I: Argument<0>,
    {
        self.grad_of::<0>()
    }

    /// The gradient with respect to argument `N`, from 0.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor, y: &Tensor| x * y * y);
    /// assert_eq!(f.grad_of::<1>().call((2.0.into(), 5.0.into()))?, 20.0.into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn grad_of<const N: usize>(&self) -> Function<I, <I as Argument<N>>::Tree>
    where
        I: Argument<N>,
    {
        self.gradient(Gradient {
            argument: N,
            value: false,
            aux: false,
            only: None,
        })
    }

    /// The gradient with respect to those leaves of the first argument whose path satisfies a
    /// condition. The others get zeros, and no work is done for them.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor, Tree};
    /// #[derive(Clone, Tree)]
    /// struct Line<T> { slope: T, offset: T }
    /// let f = Function::new(|p: &Line<Tensor>| &p.slope * 3.0 + &p.offset);
    /// let g = f.grad_where(|path| path == "slope");
    /// let g = g.call((Line { slope: 1.0.into(), offset: 0.0.into() },))?;
    /// assert_eq!((g.slope, g.offset), (3.0.into(), 0.0.into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn grad_where(
        &self,
        only: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Function<I, <I as Argument<0>>::Tree>
    where
        I: Argument<0>,
    {
        let only: Option<Only> = Some(Arc::new(only));
        self.gradient(Gradient {
            argument: 0,
            value: false,
            aux: false,
            only,
        })
    }

    /// The value and the gradient with respect to the first argument.
    #[track_caller]
    pub fn value_and_grad(&self) -> Function<I, (O, <I as Argument<0>>::Tree)>
    where
        I: Argument<0>,
    {
        self.value_and_grad_of::<0>()
    }

    /// The value and the gradient with respect to argument `N`, from 0.
    #[track_caller]
    pub fn value_and_grad_of<const N: usize>(&self) -> Function<I, (O, <I as Argument<N>>::Tree)>
    where
        I: Argument<N>,
    {
        self.gradient(Gradient {
            argument: N,
            value: true,
            aux: false,
            only: None,
        })
    }

    /// The value and the gradient with respect to those leaves of the first argument whose path
    /// satisfies a condition; see [`grad_where`](Function::grad_where).
    #[track_caller]
    pub fn value_and_grad_where(
        &self,
        only: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Function<I, (O, <I as Argument<0>>::Tree)>
    where
        I: Argument<0>,
    {
        let only: Option<Only> = Some(Arc::new(only));
        self.gradient(Gradient {
            argument: 0,
            value: true,
            aux: false,
            only,
        })
    }

    /// The value and the derivative in a direction: takes the arguments and a tangent for each,
    /// gives the result and its tangent.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor, y: &Tensor| x * y);
    /// let (z, dz) = f.jvp().call(((2.0.into(), 5.0.into()), (1.0.into(), 0.0.into())))?;
    /// assert_eq!((z, dz), (10.0.into(), 5.0.into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp(&self) -> Function<(I, I), (O, O)> {
        self.derived("jvp", |signature, f| {
            build_jvp(signature, &|s| f.traced(s), transform::jvp)
        })
        .of(self.inner(), Derivative::Jvp)
    }

    /// The value and its directional derivative by a complex step: f'(x) t = Im f(x + i h t) / h for a
    /// step h so small that its square vanishes (Squire and Trapp, Using complex variables to estimate
    /// derivatives of real functions, 1998). Nothing is subtracted, so no digits are lost; it is exact like
    /// [`Function::jvp`], and shares nothing with it but the values: a check of every derivative rule.
    /// Comparisons and `abs` look at real parts (Martins, Sturdza and Alonso, The complex-step derivative
    /// approximation, 2003). Takes and gives what [`Function::jvp`] does, of real tensors.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.exp() / x.sin());
    /// let at = ((1.5.into(),), (1.0.into(),));
    /// let (_, step) = f.complex_step().call(at.clone())?;
    /// let (_, exact) = f.jvp().call(at)?;
    /// let off = step.item::<f64>()? - exact.item::<f64>()?;
    /// assert!(off.abs() < 1e-14);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn complex_step(&self) -> Function<(I, I), (O, O)> {
        self.derived("complex_step", |signature, f| {
            build_jvp(signature, &|s| f.traced(s), transform::complex_step)
        })
        .of(self.inner(), Derivative::Jvp)
    }

    /// The value and the cotangents of the arguments: takes the arguments and a cotangent for each
    /// leaf of the result, gives the result and a cotangent for each argument.
    #[track_caller]
    pub fn vjp(&self) -> Function<(I, O), (O, I)> {
        self.derived("vjp", |signature, f| build_vjp(signature, &|s| f.traced(s)))
            .of(self.inner(), Derivative::Vjp)
    }

    #[track_caller]
    fn gradient<R: Tree<Tensor> + 'static>(&self, what: Gradient) -> Function<I, R> {
        let mode = if what.value { "value_and_grad" } else { "grad" };
        let kind = Derivative::Gradient {
            argument: what.argument,
            value: what.value,
        };
        // Where only some leaves have a gradient, differences say nothing about the zeros.
        let whole = what.only.is_none();
        let gradient = self.derived(mode, move |signature, f| what.build(signature, f));
        match whole {
            true => gradient.of(self.inner(), kind),
            false => gradient,
        }
    }
}

impl<I: Tree<Tensor> + 'static, X: Tree<Tensor> + 'static> Function<I, (Tensor, X)> {
    /// For a function that gives a scalar and something beside it: both, and the gradient of the
    /// scalar with respect to the first argument.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor| { let e = x.exp(); ((&e * &e).sum(..), e) });
    /// let ((loss, e), g) = f.value_and_grad_aux().call(([0.0].into(),))?;
    /// assert_eq!((loss, e, g), (1.0.into(), [1.0].into(), [2.0].into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn value_and_grad_aux(&self) -> Function<I, ((Tensor, X), <I as Argument<0>>::Tree)>
    where
        I: Argument<0>,
    {
        self.gradient(Gradient {
            argument: 0,
            value: true,
            aux: true,
            only: None,
        })
    }
}

type Only = Arc<dyn Fn(&str) -> bool + Send + Sync>;
type Trace<'a> = dyn Fn(&Signature) -> Result<Arc<Traced>, Failed> + 'a;

/// Which gradient is asked for.
struct Gradient {
    argument: usize,
    /// The value comes first.
    value: bool,
    /// Only the first leaf of the value is differentiated; otherwise it must be the only one.
    aux: bool,
    only: Option<Only>,
}

impl Gradient {
    fn build(&self, signature: &Signature, f: &Inner) -> Result<Traced, Failed> {
        let (structure, range) = signature.argument(self.argument).map_err(Failed::unknown)?;
        // The structure of the result is known as soon as that of the value is.
        let result = |value: &Structure| {
            if self.value {
                Structure::list("tuple", [value.clone(), structure.clone()])
            } else {
                structure.clone()
            }
        };
        let traced = f.traced(signature).map_err(|e| Failed {
            result: match &e.result {
                Some(value) => Some(result(value)),
                None if !self.value => Some(structure.clone()),
                None => None,
            },
            error: e.error,
        })?;
        let result = result(&traced.result);
        let graph = self.graph(signature, &structure.paths(), range, &traced.graph);
        match graph {
            Ok(graph) => Ok(Traced::new(graph, result, traced.captures.clone())),
            Err(e) => Err(Failed::known(&result, e)),
        }
    }

    fn graph(
        &self,
        signature: &Signature,
        paths: &[String],
        range: std::ops::Range<usize>,
        graph: &Graph,
    ) -> Result<Graph, Error> {
        let mut wrt = vec![false; graph.inputs().len()];
        for (i, path) in range.clone().zip(paths) {
            let float = signature.types.get(i).is_some_and(|t| t.dtype.is_inexact());
            if let Some(w) = wrt.get_mut(i) {
                *w = float && self.only.as_ref().is_none_or(|only| only(path));
            }
        }
        let plain = graph.outputs().len() == 1 || self.aux;
        let any = wrt.contains(&true);
        let all = range.clone().all(|i| wrt.get(i) == Some(&true));
        if plain && any && all {
            return Ok(if self.value {
                transform::value_and_grad(graph, &wrt)?
            } else {
                transform::grad(graph, &wrt)?
            });
        }
        // `grad` says what is wrong when there is not exactly one result.
        let derived = match (any, plain) {
            (true, true) => Some(transform::value_and_grad(graph, &wrt)?),
            (true, false) => Some(transform::grad(graph, &wrt)?),
            (false, _) => None,
        };
        let suffix = if self.value { "value_and_grad" } else { "grad" };
        let (mut b, inputs) = start(graph, &format!("{}_{suffix}", graph.name()));
        let mut values = b.inline(derived.as_ref().unwrap_or(graph), &inputs);
        let mut gradients = values
            .split_off(graph.outputs().len().min(values.len()))
            .into_iter();
        let mut outputs = if self.value { values } else { Vec::new() };
        for i in range {
            let gradient = match wrt.get(i) {
                Some(true) => gradients.next(),
                _ => None,
            };
            outputs.push(match (gradient, signature.types.get(i)) {
                (Some(g), _) => g,
                (None, Some(ty)) => b.zeros(ty),
                (None, None) => b.fail(GraphError::other("an argument has no type", None)),
            });
        }
        Ok(b.finish(&outputs)?.without_dead_code())
    }
}

/// [`transform::jvp`], or something with the same inputs and outputs.
type Forward = fn(&Graph, &[bool]) -> Result<Graph, transform::TransformError>;

fn build_jvp(
    signature: &Signature,
    trace: &Trace<'_>,
    transformation: Forward,
) -> Result<Traced, Failed> {
    let (primal, tangent) = halves(signature)?;
    let twice = |s: &Structure| Structure::list("tuple", [s.clone(), s.clone()]);
    let traced = trace(&primal).map_err(|e| Failed {
        result: e.result.as_ref().map(&twice),
        error: e.error,
    })?;
    let result = twice(&traced.result);
    let graph = || -> Result<Graph, Error> {
        expect_like("tangents", "arguments", &primal, &tangent)?;
        let graph = &traced.graph;
        let wrt = floats(&primal, graph);
        let mut b = Builder::new(&format!("{}_jvp", graph.name()));
        let primals = inputs(&mut b, graph, 0..primal.types.len(), "");
        let tangents = inputs(&mut b, graph, 0..primal.types.len(), "t_");
        let captures = inputs(&mut b, graph, primal.types.len()..graph.inputs().len(), "");
        let chosen = tangents
            .iter()
            .zip(&wrt)
            .filter(|(_, w)| **w)
            .map(|(t, _)| *t);
        let derived = transformation(graph, &wrt)?;
        let args: Vec<Var> = primals
            .iter()
            .chain(&captures)
            .copied()
            .chain(chosen)
            .collect();
        let mut values = b.inline(&derived, &args);
        let types = graph.output_types();
        let mut found = values.split_off(types.len().min(values.len())).into_iter();
        for ty in &types {
            let tangent = if ty.dtype.is_inexact() {
                found.next()
            } else {
                None
            };
            values.push(tangent.unwrap_or_else(|| b.zeros(ty)));
        }
        Ok(b.finish(&values)?.without_dead_code())
    };
    match graph() {
        Ok(graph) => Ok(Traced::new(graph, result, traced.captures.clone())),
        Err(e) => Err(Failed::known(&result, e)),
    }
}

fn build_vjp(signature: &Signature, trace: &Trace<'_>) -> Result<Traced, Failed> {
    let (primal, cotangent) = halves(signature)?;
    let result = Structure::list(
        "tuple",
        [cotangent.structure.clone(), primal.structure.clone()],
    );
    let traced = trace(&primal).map_err(|e| Failed::known(&result, *e.error))?;
    let graph = || -> Result<Graph, Error> {
        let graph = &traced.graph;
        let expected = Signature {
            structure: traced.result.clone(),
            types: graph.output_types(),
        };
        expect_like("cotangents", "result", &expected, &cotangent)?;
        let wrt = floats(&primal, graph);
        let mut b = Builder::new(&format!("{}_vjp", graph.name()));
        let primals = inputs(&mut b, graph, 0..primal.types.len(), "");
        let cotangents: Vec<Var> = expected
            .types
            .iter()
            .enumerate()
            .map(|(k, ty)| b.input(&format!("ct_out{k}"), ty.clone()))
            .collect();
        let captures = inputs(&mut b, graph, primal.types.len()..graph.inputs().len(), "");
        let args: Vec<Var> = primals.iter().chain(&captures).copied().collect();
        let mut outputs = b.inline(graph, &args);
        let floats = cotangents
            .iter()
            .zip(&expected.types)
            .filter(|(_, t)| t.dtype.is_inexact());
        let args: Vec<Var> = args.into_iter().chain(floats.map(|(c, _)| *c)).collect();
        let derived = transform::vjp(graph, &wrt)?;
        let mut found = b.inline(&derived, &args).into_iter();
        for (ty, w) in primal.types.iter().zip(&wrt) {
            let cotangent = if *w { found.next() } else { None };
            outputs.push(cotangent.unwrap_or_else(|| b.zeros(ty)));
        }
        Ok(b.finish(&outputs)?.without_dead_code())
    };
    match graph() {
        Ok(graph) => Ok(Traced::new(graph, result, traced.captures.clone())),
        Err(e) => Err(Failed::known(&result, e)),
    }
}

/// Applies a derivative that is not kept, at the caller's place.
#[track_caller]
fn apply_once<I: Tree<Tensor>, O: Tree<Tensor>>(
    arguments: &I,
    build: &dyn Fn(&Signature) -> Result<Traced, Failed>,
) -> O {
    let at = Caller::caller();
    let mut tensors: Vec<Tensor> = arguments.leaves().into_iter().cloned().collect();
    let signature = Signature {
        structure: arguments.structure(),
        types: tensors.iter().map(|t| t.ty().clone()).collect(),
    };
    super::finish(build(&signature).map(Arc::new), &mut tensors, false, at)
}

/// The two parts of the signature of a function of two arguments.
pub(super) fn halves(signature: &Signature) -> Result<(Signature, Signature), Failed> {
    let unknown = Failed::unknown;
    Ok((
        signature.part(0).map_err(unknown)?,
        signature.part(1).map_err(unknown)?,
    ))
}

/// Fails unless `found` has the structure and types of `expected`.
pub(crate) fn expect_like(
    what: &str,
    of: &str,
    expected: &Signature,
    found: &Signature,
) -> Result<(), Error> {
    expected.structure.expect_same(&found.structure)?;
    let paths = expected.structure.paths();
    for ((path, want), got) in paths.iter().zip(&expected.types).zip(&found.types) {
        if want != got {
            return Err(Error::Argument(format!(
                "expected {what} of the types of the {of}: at `{path}` {want}, found {got}"
            )));
        }
    }
    Ok(())
}

/// Which inputs of the graph are differentiated: all float and complex leaves, but no captures.
pub(super) fn floats(primal: &Signature, graph: &Graph) -> Vec<bool> {
    let mut wrt: Vec<bool> = primal.types.iter().map(|t| t.dtype.is_inexact()).collect();
    wrt.resize(graph.inputs().len(), false);
    wrt
}

/// Inputs like those of a graph in a range, with a prefix to their names.
pub(super) fn inputs(
    b: &mut Builder,
    graph: &Graph,
    range: std::ops::Range<usize>,
    prefix: &str,
) -> Vec<Var> {
    let types: Vec<TensorType> = graph.input_types();
    range
        .filter_map(|i| graph.inputs().get(i).zip(types.get(i)))
        .map(|((name, _), ty)| b.input(&format!("{prefix}{name}"), ty.clone()))
        .collect()
}

/// A builder with the inputs of a graph.
fn start(graph: &Graph, name: &str) -> (Builder, Vec<Var>) {
    let mut b = Builder::new(name);
    let vars = inputs(&mut b, graph, 0..graph.inputs().len(), "");
    (b, vars)
}
