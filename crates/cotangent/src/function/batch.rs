//! Functions over batches.

use cotangent_graph::{Builder, Var};
use cotangent_transform as transform;

use super::derivative::{expect_like, floats, halves, inputs};
use super::{Failed, Function, Inner, Signature, Traced};
use crate::tree::Structure;
use crate::{Error, Graph, Tensor, TensorType, Tree};

/// Batches.
impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The function over a batch: every leaf of the arguments and of the result has a leading axis
    /// for it.
    #[track_caller]
    pub fn vmap(&self) -> Function<I, O> {
        self.vmap_where(|_| true)
    }

    /// The function over a batch, with the arguments that satisfy a condition on their number (from
    /// 0) given for each example along a leading axis and the others shared by all examples. Every
    /// leaf of the result has a leading axis.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|w: &Tensor, x: &Tensor| w.dot(x));
    /// let y = f.vmap_where(|argument| argument == 1).call((
    ///     [1.0, 2.0].into(),
    ///     [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]].into(),
    /// ))?;
    /// assert_eq!(y, [1.0, 2.0, 3.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn vmap_where(
        &self,
        batched: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> Function<I, O> {
        self.vmap_axes(move |argument, _| batched(argument).then_some(0), |_| 0)
    }

    /// The function over a batch along any axes.
    ///
    /// `arguments` gives, for the number of an argument (from 0) and the path of a leaf in it, the
    /// axis of the batch, or `None` for a leaf that all examples share. `results` gives the axis of
    /// the batch for the path of a leaf of the result. Negative axes count from the last one. In the
    /// path of a lone tensor is nothing: it is `""`.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|m: &Tensor, x: &Tensor| m.matmul(x));
    /// // One matrix for all; the vectors are the columns of a matrix, and so are the results.
    /// let columns = f.vmap_axes(|argument, _| (argument == 1).then_some(-1), |_| -1);
    /// let m = Array::from([[0.0, 1.0], [1.0, 0.0]]);
    /// let y = columns.call((m, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into()))?;
    /// assert_eq!(y, [[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the result is called: an axis that a leaf has not, lengths that differ, or no leaf at all
    /// that has an axis. The message names the line of `vmap_axes`.
    #[track_caller]
    pub fn vmap_axes(
        &self,
        arguments: impl Fn(usize, &str) -> Option<isize> + Send + Sync + 'static,
        results: impl Fn(&str) -> isize + Send + Sync + 'static,
    ) -> Function<I, O> {
        self.derived("vmap", move |signature, f| {
            build_vmap(signature, f, &arguments, &results)
        })
    }

    /// The value and the derivatives in many directions at once: takes the arguments and tangents
    /// whose leaves have a leading axis for the directions, gives the result and its tangents with
    /// that axis. The value is computed once.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x * x);
    /// let x = Array::from([1.0, 3.0]);
    /// let directions = Array::from([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    /// let (y, dy) = f.jvp_batch().call(((x,), (directions,)))?;
    /// assert_eq!(y, [1.0, 9.0].into());
    /// assert_eq!(dy, [[2.0, 0.0], [0.0, 6.0], [2.0, 6.0]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp_batch(&self) -> Function<(I, I), (O, O)> {
        self.derived("jvp_batch", |signature, f| build_many(signature, f, true))
    }

    /// The value and the cotangents of the arguments for many cotangents of the result at once, which
    /// have a leading axis, as the results have. The value is computed once.
    #[track_caller]
    pub fn vjp_batch(&self) -> Function<(I, O), (O, I)> {
        self.derived("vjp_batch", |signature, f| build_many(signature, f, false))
    }
}

/// The axis that a number names among `rank`, negative ones counted from the last.
fn axis_of(axis: isize, rank: usize) -> Option<usize> {
    let count = isize::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + count } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}

/// The length of a batch, with the leaf that it was found in.
#[derive(Default)]
struct Length(Option<(usize, String)>);

impl Length {
    fn agree(&mut self, length: usize, leaf: String) -> Result<(), Error> {
        match &self.0 {
            Some((first, other)) if *first != length => Err(Error::Argument(format!(
                "vmap: expected a batch of one length, found {first} and {length}: {first} in \
                 {other}, {length} in {leaf}"
            ))),
            Some(_) => Ok(()),
            None => {
                self.0 = Some((length, leaf));
                Ok(())
            }
        }
    }
}

fn describe(argument: usize, path: &str, ty: &TensorType) -> String {
    match path {
        "" => format!("argument {argument}, {ty}"),
        path => format!("argument {argument} at `{path}`, {ty}"),
    }
}

fn build_vmap(
    signature: &Signature,
    f: &Inner,
    arguments: &dyn Fn(usize, &str) -> Option<isize>,
    results: &dyn Fn(&str) -> isize,
) -> Result<Traced, Failed> {
    let (one, mut axes, size) = one_example(signature, arguments).map_err(Failed::unknown)?;
    let traced = f.traced(&one)?;
    // Tensors of enclosing traces are shared by all examples.
    axes.resize(traced.graph.inputs().len(), None);
    let graph = || -> Result<Graph, Error> {
        let graph = transform::vmap(&traced.graph, &axes, size)?;
        let paths = traced.result.paths();
        let places: Vec<isize> = paths.iter().map(|path| results(path)).collect();
        if places.iter().all(|axis| *axis == 0) {
            return Ok(graph);
        }
        let mut b = Builder::new(graph.name());
        let args = inputs(&mut b, &graph, 0..graph.inputs().len(), "");
        let mut outputs = b.inline(&graph, &args);
        for ((v, axis), path) in outputs.iter_mut().zip(places).zip(&paths) {
            let rank = b.rank(*v);
            let Some(axis) = axis_of(axis, rank) else {
                return Err(Error::Argument(format!(
                    "vmap: expected an axis from -{rank} to {} for the batch in the result{}, \
                     found {axis}",
                    rank - 1,
                    if path.is_empty() {
                        String::new()
                    } else {
                        format!(" at `{path}`")
                    },
                )));
            };
            let order: Vec<usize> = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
            *v = b.transpose(*v, &order);
        }
        Ok(b.finish(&outputs)?)
    };
    finish(graph(), &traced.result, &traced)
}

/// The signature for one example, the axis of the batch in each leaf, and its length.
fn one_example(
    signature: &Signature,
    axis: &dyn Fn(usize, &str) -> Option<isize>,
) -> Result<(Signature, Vec<Option<usize>>, usize), Error> {
    let arguments = match &signature.structure {
        Structure::Node(node) => node.children().len(),
        _ => 0,
    };
    let mut one = signature.clone();
    let mut axes: Vec<Option<usize>> = Vec::new();
    let mut length = Length::default();
    for number in 0..arguments {
        let (structure, range) = signature.argument(number)?;
        axes.resize(range.end, None);
        for (i, path) in range.zip(structure.paths()) {
            let Some((ty, place)) = one.types.get_mut(i).zip(axes.get_mut(i)) else {
                continue;
            };
            let Some(wanted) = axis(number, &path) else {
                continue;
            };
            let leaf = describe(number, &path, ty);
            let rank = ty.rank();
            let Some(axis) = axis_of(wanted, rank) else {
                let expected = match (wanted, rank) {
                    (0, 0) => "a leading axis".to_owned(),
                    (_, 0) => "an axis".to_owned(),
                    _ => format!("an axis from -{rank} to {}", rank - 1),
                };
                return Err(Error::Argument(format!(
                    "vmap: expected {expected} for the batch, found axis {wanted} of {leaf}"
                )));
            };
            let mut dims = ty.shape.dims().to_vec();
            length.agree(dims.remove(axis), leaf)?;
            *place = Some(axis);
            *ty = ty.with_shape(dims);
        }
    }
    match length.0 {
        Some((size, _)) => Ok((one, axes, size)),
        None => Err(Error::Argument(
            "vmap: expected an argument to batch over".into(),
        )),
    }
}

/// The value, and the tangents or cotangents for a batch of those given.
fn build_many(signature: &Signature, f: &Inner, forward: bool) -> Result<Traced, Failed> {
    let (primal, given) = halves(signature)?;
    let traced = f
        .traced(&primal)
        .map_err(|e| Failed { result: None, ..e })?;
    let value = Signature {
        structure: traced.result.clone(),
        types: traced.graph.output_types(),
    };
    let (of, found, what) = if forward {
        (&primal, &value, ("tangents", "arguments"))
    } else {
        (&value, &primal, ("cotangents", "result"))
    };
    let result = Structure::list("tuple", [value.structure.clone(), found.structure.clone()]);
    let graph = || -> Result<Graph, Error> {
        let leading = |number: usize, _: &str| (number == 0).then_some(0);
        let lone = Signature {
            structure: Structure::list("tuple", [given.structure.clone()]),
            types: given.types.clone(),
        };
        let (one, _, size) = one_example(&lone, &leading)?;
        expect_like(what.0, what.1, of, &one.part(0)?)?;
        let graph = &traced.graph;
        let wrt = floats(&primal, graph);
        let own = primal.types.len();
        let all = graph.inputs().len();
        let mut b = Builder::new(&format!("{}_{}_batch", graph.name(), what.0));
        let mut args = inputs(&mut b, graph, 0..own, "");
        let moving: Vec<Var> = (given.types.iter().enumerate())
            .map(|(i, ty)| b.input(&format!("batch{i}"), ty.clone()))
            .collect();
        args.extend(inputs(&mut b, graph, own..all, ""));
        let mut outputs = b.inline(graph, &args);
        let derived = if forward {
            transform::jvp(graph, &wrt)?
        } else {
            transform::vjp(graph, &wrt)?
        };
        let floats = moving.iter().zip(&of.types);
        let floats = floats.filter(|(_, t)| t.dtype.is_float()).map(|(v, _)| *v);
        args.extend(floats);
        let axes: Vec<Option<usize>> = (0..args.len()).map(|i| (i >= all).then_some(0)).collect();
        let batched = transform::vmap(&derived, &axes, size)?;
        let skip = if forward { value.types.len() } else { 0 };
        let mut moved = b.inline(&batched, &args).into_iter().skip(skip);
        for (i, ty) in found.types.iter().enumerate() {
            let has = ty.dtype.is_float() && (forward || wrt.get(i) == Some(&true));
            let next = if has { moved.next() } else { None };
            let shape = [&[size], ty.shape.dims()].concat();
            outputs.push(next.unwrap_or_else(|| b.zeros(&ty.with_shape(shape))));
        }
        Ok(b.finish(&outputs)?.without_dead_code())
    };
    finish(graph(), &result, &traced)
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
