//! A function linearized at a point: computed once, applied often, in both directions.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use cotangent_graph::{Builder, Var};
use cotangent_transform as transform;

use super::derivative::{expect_like, floats};
use super::{Failed, Function, Inner, Signature, Traced, signature_of};
use crate::tree::{Structure, from_leaves};
use crate::{Array, Error, Graph, Tensor, TensorType, Tree, run};

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The value at a point, and the derivative there as a linear map that can be applied often, to
    /// tangents or, [transposed](Linear::transpose), to cotangents, without computing the function
    /// again.
    ///
    /// What the linear map needs from the function is computed once and kept as ordinary arrays, the
    /// [residuals](Linear::residuals). Of a loop of unknown length these are the values that it
    /// starts from: an application walks its steps again, so that it keeps nothing in between.
    /// [Checkpoints](crate::control::checkpoint) in the function change nothing here.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.square() * x.sum(..));
    /// let (y, df) = f.linearize((Array::from([1.0, 3.0]),))?;
    /// assert_eq!(y, [4.0, 36.0].into());
    /// let dy = df.apply((Array::from([1.0, 0.0]),))?;
    /// assert_eq!(dy, [9.0, 9.0].into());
    /// let (dx,) = df.transpose().apply(Array::from([1.0, 0.0]))?;
    /// assert_eq!(dx, [9.0, 1.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of tracing and of running the function, no float among the arguments, or a tensor of an
    /// enclosing traced function in it, whose value is not known.
    #[track_caller]
    #[allow(clippy::type_complexity)]
    pub fn linearize(&self, at: I::Of<Array>) -> Result<(O::Of<Array>, Linear<I, O>), Error> {
        let place = std::panic::Location::caller();
        let signature = signature_of(&at);
        let parts = self.inner().parts(&signature);
        let parts = parts.map_err(|f| f.error.derived_at(Some(place)))?;
        let leaves: Vec<Array> = at.leaves().into_iter().cloned().collect();
        let mut outputs = parts.values.run(&leaves)?;
        let residuals = outputs.split_off(parts.count.min(outputs.len()));
        let value = from_leaves(parts.values.result(), outputs)?;
        let linear = Linear {
            forward: parts.forward.clone(),
            backward: parts.backward.clone(),
            residuals: residuals.into(),
            types: PhantomData,
        };
        Ok((value, linear))
    }
}

/// The derivative of a function at a point, from [`Function::linearize`]: a linear map from tangents
/// of the arguments `I` to tangents of the result `O`.
pub struct Linear<I, O> {
    forward: Arc<Map>,
    backward: Arc<Map>,
    residuals: Arc<[Array]>,
    types: PhantomData<fn(I) -> O>,
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Linear<I, O> {
    /// The tangent of the result for tangents of the arguments.
    ///
    /// Leaves that are not floats have no derivative: what is given for them is ignored, and theirs
    /// are zeros of their own dtype.
    ///
    /// # Errors
    /// Tangents of another structure or of other types than the arguments.
    pub fn apply(&self, tangents: I::Of<Array>) -> Result<O::Of<Array>, Error> {
        let found = signature_of(&tangents);
        expect_like("tangents", "arguments", &self.forward.from, &found)?;
        let program = &self.forward.one;
        self.run(program, tangents.leaves())
    }

    /// The tangents of the result for many tangents of the arguments at once, which have a leading
    /// axis, as the results have.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x * x);
    /// let (_, df) = f.linearize((3.0.into(),))?;
    /// assert_eq!(df.apply_batch(([1.0, 2.0].into(),))?, [6.0, 12.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Tangents of another structure or of other types than the arguments, or leading axes of
    /// different lengths.
    pub fn apply_batch(&self, tangents: I::Of<Array>) -> Result<O::Of<Array>, Error> {
        let mut found = signature_of(&tangents);
        let mut size = None;
        for ty in &mut found.types {
            let Some((first, rest)) = ty.shape.split_first() else {
                return Err(Error::Argument(format!(
                    "expected a leading axis for the batch, found {ty}"
                )));
            };
            if *size.get_or_insert(*first) != *first {
                return Err(Error::Argument(format!(
                    "expected a batch of one length, found {} and {first}",
                    size.unwrap_or_default()
                )));
            }
            *ty = ty.with_shape(rest);
        }
        expect_like("tangents", "arguments", &self.forward.from, &found)?;
        let program = self.forward.many(self.residuals.len(), size.unwrap_or(0))?;
        self.run(&program, tangents.leaves())
    }

    /// The transposed map, from cotangents of the result to cotangents of the arguments. Nothing is
    /// computed for it.
    pub fn transpose(&self) -> Linear<O, I> {
        Linear {
            forward: self.backward.clone(),
            backward: self.forward.clone(),
            residuals: self.residuals.clone(),
            types: PhantomData,
        }
    }

    /// What was kept from the function.
    pub fn residuals(&self) -> &[Array] {
        &self.residuals
    }

    /// The graph of an application: its inputs are the residuals and then the tangents.
    pub fn graph(&self) -> &Arc<Graph> {
        self.forward.one.graph()
    }

    fn run(&self, program: &Traced, leaves: Vec<&Array>) -> Result<O::Of<Array>, Error> {
        let inputs: Vec<Array> = self.residuals.iter().chain(leaves).cloned().collect();
        Ok(from_leaves(program.result(), program.run(&inputs)?)?)
    }
}

impl<I, O> Clone for Linear<I, O> {
    fn clone(&self) -> Self {
        Linear {
            forward: self.forward.clone(),
            backward: self.backward.clone(),
            residuals: self.residuals.clone(),
            types: PhantomData,
        }
    }
}

impl<I, O> std::fmt::Debug for Linear<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linear")
            .field("residuals", &self.residuals.len())
            .finish_non_exhaustive()
    }
}

/// The programs of a linearized function for arguments of certain types.
pub(crate) struct Parts {
    /// The outputs, then the residuals.
    values: Traced,
    /// How many outputs there are.
    count: usize,
    forward: Arc<Map>,
    backward: Arc<Map>,
}

/// One direction: residuals and tangents to tangents.
struct Map {
    /// What the tangents are like.
    from: Signature,
    one: Traced,
    /// The same for batches, by their size.
    batches: Mutex<HashMap<usize, Arc<Traced>>>,
}

impl Map {
    fn many(&self, residuals: usize, size: usize) -> Result<Arc<Traced>, Error> {
        let batches = || self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let known = batches().get(&size).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let count = self.one.graph.inputs().len();
        let axes: Vec<Option<usize>> = (0..count).map(|i| (i >= residuals).then_some(0)).collect();
        let graph = transform::vmap(&self.one.graph, &axes, size)?;
        let traced = Arc::new(Traced::new(graph, self.one.result.clone(), Vec::new()));
        batches().insert(size, traced.clone());
        Ok(traced)
    }
}

impl Inner {
    /// The function split into values with residuals and the linear map, from the cache or new.
    fn parts(&self, signature: &Signature) -> Result<Arc<Parts>, Failed> {
        let cache = || {
            self.linearized
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = cache().get(signature).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let traced = self.traced(signature)?;
        let parts = split(signature, &traced, &self.limits).map_err(Failed::unknown)?;
        let parts = Arc::new(parts);
        cache().insert(signature.clone(), parts.clone());
        Ok(parts)
    }
}

fn split(signature: &Signature, traced: &Traced, limits: &run::Limits) -> Result<Parts, Error> {
    let graph = &traced.graph;
    if !traced.captures.is_empty() {
        return Err(Error::Argument(format!(
            "`{}` uses a tensor of an enclosing traced function, so it cannot be linearized at known \
             values; use jvp or vjp inside of that one",
            graph.name()
        )));
    }
    let wrt = floats(signature, graph);
    let parts = transform::linearize(graph, &wrt)?;
    let value = Signature {
        structure: traced.result.clone(),
        types: graph.output_types(),
    };
    let linear = &parts.linear;
    let residuals = linear.input_types().into_iter().take(parts.residuals);
    let residuals: Vec<TensorType> = residuals.collect();
    let made = |graph: Graph, result: &Structure| Traced {
        program: run::Program::within(limits.clone()),
        ..Traced::new(graph, result.clone(), Vec::new())
    };
    // Which leaves the graphs of the two directions know.
    let varying = &parts.varying;
    let forward = whole(linear, &residuals, (signature, &wrt), (&value, varying))?;
    let backward = if varying.contains(&true) {
        let moves: Vec<bool> = (0..linear.inputs().len())
            .map(|i| i >= parts.residuals)
            .collect();
        let turned = transform::transpose(linear, &moves)?;
        whole(&turned, &residuals, (&value, varying), (signature, &wrt))?
    } else {
        let nothing = vec![false; wrt.len()];
        let b = Builder::new("zero");
        let empty = b.finish(&[])?;
        whole(&empty, &residuals, (&value, varying), (signature, &nothing))?
    };
    let map = |from: &Signature, graph: Graph, result: &Structure| {
        Arc::new(Map {
            from: from.clone(),
            one: made(graph, result),
            batches: Mutex::default(),
        })
    };
    // The argument of the way back is the result itself, that of the way there a tuple of arguments.
    Ok(Parts {
        count: value.types.len(),
        values: made(parts.primal.clone(), &value.structure),
        forward: map(signature, forward, &value.structure),
        backward: map(&value, backward, &signature.structure),
    })
}

/// The graph over all leaves of a linear one that takes and gives those that are marked: the others
/// are ignored, or zeros.
fn whole(
    linear: &Graph,
    residuals: &[TensorType],
    (from, taken): (&Signature, &[bool]),
    (to, given): (&Signature, &[bool]),
) -> Result<Graph, Error> {
    let mut b = Builder::new(linear.name());
    let mut args: Vec<Var> = residuals.iter().map(|t| b.input("r", t.clone())).collect();
    for (ty, taken) in from.types.iter().zip(taken) {
        let tangent = b.input("t", ty.clone());
        if *taken {
            args.push(tangent);
        }
    }
    let mut found = if linear.outputs().is_empty() {
        Vec::new().into_iter()
    } else {
        b.inline(linear, &args).into_iter()
    };
    let mut outputs = Vec::new();
    for (ty, given) in to.types.iter().zip(given) {
        let next = if *given { found.next() } else { None };
        outputs.push(next.unwrap_or_else(|| b.zeros(ty)));
    }
    Ok(b.finish(&outputs)?)
}
