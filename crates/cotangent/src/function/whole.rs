//! Whole derivatives of functions: Jacobians, Hessians and their products with vectors.

use cotangent_graph::Builder;
use cotangent_transform::{self as transform, Mode};

use super::{Failed, Function, Inner, Signature, Traced};
use crate::check::Derivative;
use crate::tree::Structure;
use crate::{Argument, Error, Graph, Tensor, TensorType, Tree};

/// Whole derivatives of functions that give one tensor.
impl<I: Tree<Tensor> + 'static> Function<I, Tensor> {
    /// The Jacobian with respect to the first argument: for each leaf of it an array of the result's
    /// shape followed by the leaf's shape. Forward or reverse mode, whichever costs less.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x * x);
    /// let j = f.jacobian().call((Array::from([1.0, 2.0]),))?;
    /// assert_eq!(j, [[2.0, 0.0], [0.0, 4.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn jacobian(&self) -> Function<I, <I as Argument<0>>::Tree>
    where
        I: Argument<0>,
    {
        self.jacobian_of::<0>(Mode::Auto)
    }

    /// The Jacobian with respect to argument `N`, from 0, by the mode chosen. [`Mode::Auto`] makes
    /// the graphs of both modes and takes the one with fewer operations.
    ///
    /// ```
    /// use cotangent::{Array, Function, Mode, Tensor};
    /// let f = Function::new(|x: &Tensor, y: &Tensor| x * y.sum(..));
    /// let j = f.jacobian_of::<1>(Mode::Forward);
    /// let j = j.call((Array::from([1.0, 2.0]), Array::from([0.0, 0.0, 0.0])))?;
    /// assert_eq!(j, [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn jacobian_of<const N: usize>(&self, mode: Mode) -> Function<I, <I as Argument<N>>::Tree>
    where
        I: Argument<N>,
    {
        self.derived("jacobian", move |signature, f| {
            build_jacobian(signature, f, N, mode)
        })
        .of(self.inner(), Derivative::Jacobian { argument: N })
    }

    /// The value and the [`jacobian`](Function::jacobian), in one program.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.exp());
    /// let (y, j) = f.value_and_jacobian().call((Array::from([0.0]),))?;
    /// assert_eq!((y, j), ([1.0].into(), [[1.0]].into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn value_and_jacobian(&self) -> Function<I, (Tensor, <I as Argument<0>>::Tree)>
    where
        I: Argument<0>,
    {
        self.and(&self.jacobian())
    }

    /// The value, the gradient and the [`hessian`](Function::hessian) of a scalar function, in one
    /// program: what they have in common is computed once.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x * x * x).sum(..));
    /// let ((value, gradient), hessian) = f.value_grad_and_hessian().call((Array::from([2.0]),))?;
    /// assert_eq!(value, 8.0.into());
    /// assert_eq!(gradient, [12.0].into());
    /// assert_eq!(hessian, [[12.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn value_grad_and_hessian(&self) -> Function<I, ((Tensor, Tensor), Tensor)>
    where
        I: Argument<0, Tree = Tensor>,
    {
        self.value_and_grad().and(&self.hessian())
    }

    /// The Hessian of a scalar function with respect to its first argument, one tensor x: an array
    /// of x's shape twice.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.at(0) * x.at(0) * x.at(1));
    /// let h = f.hessian().call((Array::from([3.0, 5.0]),))?;
    /// assert_eq!(h, [[10.0, 6.0], [6.0, 0.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn hessian(&self) -> Function<I, Tensor>
    where
        I: Argument<0, Tree = Tensor>,
    {
        self.grad().jacobian_of::<0>(Mode::Forward)
    }

    /// The Hessian of a scalar function times a vector, without the Hessian: takes the arguments and
    /// a tangent of the first one, gives the product. Forward over reverse mode, at a small constant
    /// times the cost of the function.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x * x * x).sum(..));
    /// let v = Array::from([1.0, -1.0]);
    /// let product = f.hvp().call(((Array::from([3.0, 5.0]),), v))?;
    /// assert_eq!(product, [18.0, -30.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn hvp(&self) -> Function<(I, <I as Argument<0>>::Tree), <I as Argument<0>>::Tree>
    where
        I: Argument<0>,
    {
        self.derived("hvp", build_hvp)
            .of(self.inner(), Derivative::Hvp)
    }
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// This function and another one of the same arguments, in one program: what they have in common
    /// is computed once. So a value comes together with any derivatives of it.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x * x).sum(..));
    /// let all = f.and(&f.grad()).and(&f.hessian());
    /// let ((value, gradient), hessian) = all.call((Array::from([3.0]),))?;
    /// assert_eq!((value, gradient, hessian), (9.0.into(), [6.0].into(), [[2.0]].into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn and<P: Tree<Tensor> + 'static>(&self, other: &Function<I, P>) -> Function<I, (O, P)> {
        let other = other.inner().clone();
        self.derived(&format!("and_{}", other.name()), move |signature, f| {
            build_and(signature, f, &other)
        })
    }
}

fn build_and(signature: &Signature, f: &Inner, g: &Inner) -> Result<Traced, Failed> {
    let unknown = |e: Failed| Failed { result: None, ..e };
    let both = [
        f.traced(signature).map_err(unknown)?,
        g.traced(signature).map_err(unknown)?,
    ];
    let result = Structure::list("tuple", both.iter().map(|t| t.result.clone()));
    let count = signature.types.len();
    let name = format!("{}_and_{}", f.name(), g.name());
    let mut b = Builder::new(&name);
    let own = super::derivative::inputs(&mut b, &both[0].graph, 0..count, "");
    let (mut outputs, mut captures) = (Vec::new(), Vec::new());
    for traced in &both {
        let graph = &traced.graph;
        let mut args = own.clone();
        let captured = count..graph.inputs().len();
        args.extend(super::derivative::inputs(&mut b, graph, captured, ""));
        captures.extend(traced.captures.iter().cloned());
        outputs.extend(b.inline(graph, &args));
    }
    match b.finish(&outputs) {
        Ok(graph) => Ok(Traced::new(graph.without_dead_code(), result, captures)),
        Err(e) => Err(Failed::known(&result, e)),
    }
}

fn build_jacobian(
    signature: &Signature,
    f: &Inner,
    argument: usize,
    mode: Mode,
) -> Result<Traced, Failed> {
    let (structure, range) = signature.argument(argument).map_err(Failed::unknown)?;
    let traced = f.traced(signature).map_err(|e| Failed {
        result: Some(structure.clone()),
        error: e.error,
    })?;
    let graph = || -> Result<Graph, Error> {
        let graph = &traced.graph;
        let wrt = chosen(signature, range.clone(), graph);
        let Some(out) = graph.output_types().into_iter().next() else {
            return Err(Error::Argument(format!(
                "`{}` gave no result",
                graph.name()
            )));
        };
        let derived = match wrt.contains(&true) {
            true => Some(transform::jacobian(graph, &wrt, mode)?),
            false => None,
        };
        with_zeros(
            graph,
            derived.as_ref(),
            "jacobian",
            &wrt,
            range.clone(),
            &|ty| ty.with_shape([out.shape.dims(), ty.shape.dims()].concat()),
        )
    };
    finish(graph(), structure, &traced)
}

fn build_hvp(signature: &Signature, f: &Inner) -> Result<Traced, Failed> {
    let unknown = Failed::unknown;
    let primal = signature.part(0).map_err(unknown)?;
    let tangent = signature.part(1).map_err(unknown)?;
    let (structure, range) = primal.argument(0).map_err(unknown)?;
    let traced = f.traced(&primal).map_err(|e| Failed {
        result: Some(structure.clone()),
        error: e.error,
    })?;
    let graph = || -> Result<Graph, Error> {
        let first = primal.part(0)?;
        super::derivative::expect_like("tangents", "first argument", &first, &tangent)?;
        let graph = &traced.graph;
        let wrt = chosen(&primal, range.clone(), graph);
        let derived = match wrt.contains(&true) {
            true => Some(transform::hvp(graph, &wrt)?),
            false => None,
        };
        let count = primal.types.len();
        let mut b = Builder::new(&format!("{}_hvp", graph.name()));
        let names: Vec<&str> = graph.inputs().iter().map(|(n, _)| &**n).collect();
        let types = graph.input_types();
        let input = |b: &mut Builder, prefix: &str, i: usize| {
            names
                .get(i)
                .zip(types.get(i))
                .map(|(n, t)| b.input(&format!("{prefix}{n}"), t.clone()))
        };
        let mut args: Vec<_> = (0..count).filter_map(|i| input(&mut b, "", i)).collect();
        let tangents: Vec<_> = range
            .clone()
            .filter_map(|i| input(&mut b, "t_", i))
            .collect();
        args.extend((count..types.len()).filter_map(|i| input(&mut b, "", i)));
        let moving = tangents
            .iter()
            .zip(range.clone())
            .filter(|(_, i)| wrt.get(*i) == Some(&true));
        args.extend(moving.map(|(t, _)| *t));
        let mut products = derived
            .iter()
            .flat_map(|d| b.inline(d, &args))
            .collect::<Vec<_>>()
            .into_iter();
        let outputs: Vec<_> = range
            .clone()
            .zip(&tangents)
            .map(|(i, t)| match wrt.get(i) {
                Some(true) => products.next().unwrap_or(*t),
                _ => b.like(*t, 0.0),
            })
            .collect();
        Ok(b.finish(&outputs)?.without_dead_code())
    };
    finish(graph(), structure, &traced)
}

/// The float and complex leaves of one argument.
pub(crate) fn chosen(
    signature: &Signature,
    range: std::ops::Range<usize>,
    graph: &Graph,
) -> Vec<bool> {
    let varies = |i: usize| signature.types.get(i).is_some_and(|t| t.dtype.is_inexact());
    (0..graph.inputs().len())
        .map(|i| range.contains(&i) && varies(i))
        .collect()
}

/// The outputs of a derivative for the leaves that have one, zeros for the others.
fn with_zeros(
    graph: &Graph,
    derived: Option<&Graph>,
    suffix: &str,
    wrt: &[bool],
    range: std::ops::Range<usize>,
    zero: &dyn Fn(&TensorType) -> TensorType,
) -> Result<Graph, Error> {
    let mut b = Builder::new(&format!("{}_{suffix}", graph.name()));
    let types = graph.input_types();
    let inputs: Vec<_> = graph
        .inputs()
        .iter()
        .zip(&types)
        .map(|((name, _), ty)| b.input(name, ty.clone()))
        .collect();
    let mut found = derived
        .map(|d| b.inline(d, &inputs))
        .unwrap_or_default()
        .into_iter();
    let mut outputs = Vec::new();
    for i in range {
        let value = if wrt.get(i) == Some(&true) {
            found.next()
        } else {
            None
        };
        match (value, types.get(i)) {
            (Some(v), _) => outputs.push(v),
            (None, Some(ty)) => outputs.push(b.zeros(&zero(ty))),
            (None, None) => {}
        }
    }
    Ok(b.finish(&outputs)?.without_dead_code())
}

fn finish(
    graph: Result<Graph, Error>,
    structure: &Structure,
    traced: &Traced,
) -> Result<Traced, Failed> {
    match graph {
        Ok(graph) => Ok(Traced::new(
            graph,
            structure.clone(),
            traced.captures.clone(),
        )),
        Err(e) => Err(Failed::known(structure, e)),
    }
}
