//! A function traced for arguments of certain types: its graph, and how that runs.

use std::borrow::Borrow;
use std::sync::Arc;

use super::Profile;
use crate::tree::Structure;
use crate::{Array, Error, Graph, Tensor, run};

/// A function traced for arguments of certain types.
pub struct Traced {
    pub(super) graph: Arc<Graph>,
    pub(super) result: Structure,
    /// Tensors of enclosing traces, which are the last inputs of the graph.
    pub(super) captures: Vec<Tensor>,
    pub(super) program: run::Program,
}

/// What a run of a function holds; see [`Traced::memory`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Memory {
    /// The bytes of arguments, results, constants and of all that is between, at most at one time.
    pub bytes: usize,
    /// What it would be without a budget.
    pub without_budget: usize,
    /// The expected time of a run over that without a budget.
    pub slowdown: f64,
}

impl Traced {
    pub(crate) fn new(graph: Graph, result: Structure, captures: Vec<Tensor>) -> Traced {
        Traced {
            graph: Arc::new(graph),
            result,
            captures,
            program: run::Program::default(),
        }
    }

    /// The graph: its inputs are the leaves of the arguments, its outputs those of the result.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The structure of the result.
    pub fn result(&self) -> &Structure {
        &self.result
    }

    /// Tensors of enclosing traces, which are the last inputs of the graph.
    pub(crate) fn captures(&self) -> &[Tensor] {
        &self.captures
    }

    /// Runs the graph on arrays, one for each leaf of the arguments, in order.
    ///
    /// # Errors
    /// Arrays of other types, an index out of range, or tensors of an enclosing trace, whose
    /// values are not known.
    pub fn run(&self, inputs: &[Array]) -> Result<Vec<Array>, Error> {
        self.expect_closed()?;
        Ok(self.program.run(&self.graph, inputs)?)
    }

    /// Runs the graph on arrays or references to them, one for each leaf of the arguments, and writes to arrays, one
    /// for each leaf of the result, in order. This is the call for inner loops: it allocates nothing
    /// where the arrays have the types of the results and are not shared with clones. Others are
    /// replaced.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x * x).sum(..)).value_and_grad();
    /// let mut x = Array::from([1.0, 2.0]);
    /// let traced = f.trace(&(x.clone(),))?;
    /// let mut results = traced.run(&[x.clone()])?;
    /// x.as_mut_slice::<f64>()?[0] = 3.0;
    /// traced.run_into(&[&x], &mut results)?;
    /// assert_eq!(results, [13.0.into(), [6.0, 4.0].into()]);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`run`](Traced::run), and another number of arrays to write to than there are
    /// results. After an error in a run the arrays hold any values.
    pub fn run_into(
        &self,
        inputs: &[impl Borrow<Array>],
        outputs: &mut [Array],
    ) -> Result<(), Error> {
        self.expect_closed()?;
        Ok(self.program.run_into(&self.graph, inputs, outputs)?)
    }

    /// Runs the graph on arrays that are given away, one for each leaf of the arguments, in order. Results
    /// stand in the memory of arguments of their type where those are read no more: a step of training updates its
    /// parameters in place. Arguments that have clones are copied for that.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let step = Function::new(|p: &Tensor, g: &Tensor| p - 0.5 * g);
    /// let (mut p, g) = (Array::from([1.0, 2.0]), Array::from([2.0, 2.0]));
    /// let traced = step.trace(&(p.clone(), g.clone()))?;
    /// let place = p.as_slice::<f64>()?.as_ptr();
    /// for _ in 0..2 {
    ///     p = traced.run_donated(vec![p, g.clone()])?.remove(0);
    /// }
    /// assert_eq!(p, [-1.0, 0.0].into());
    /// assert_eq!(p.as_slice::<f64>()?.as_ptr(), place);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`run`](Traced::run).
    pub fn run_donated(&self, inputs: Vec<Array>) -> Result<Vec<Array>, Error> {
        self.expect_closed()?;
        Ok(self.program.run_donated(&self.graph, inputs)?)
    }

    /// Fails where values of an enclosing trace would be needed.
    pub(crate) fn expect_closed(&self) -> Result<(), Error> {
        match self.captures.is_empty() {
            true => Ok(()),
            false => Err(Error::Argument(format!(
                "`{}` uses a tensor of an enclosing traced function, so it can only be applied \
                 inside of that one",
                self.graph.name()
            ))),
        }
    }

    /// Compiles the graph now, if that has not been done. Otherwise the first run does it.
    ///
    /// ```
    /// use cotangent::{DType, Function, Tensor, TensorType};
    /// let f = Function::new(|x: &Tensor| x.exp());
    /// let traced = f.trace(&(TensorType::new(DType::F64, ()),))?;
    /// traced.compile()?;
    /// assert_eq!(traced.run(&[0.0.into()])?, [1.0.into()]);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// A graph that cannot be compiled.
    pub fn compile(&self) -> Result<(), Error> {
        Ok(self.program.compiled(&self.graph).map(drop)?)
    }

    /// Runs the graph some times, at least once, and gives the plan with the median of each step's times.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.exp().sum(..)).grad();
    /// let x = Array::from([1.0, 2.0]);
    /// let profile = f.trace(&(x.clone(),))?.profile(&[x], 10)?;
    /// assert_eq!(profile.total(), profile.steps().iter().sum());
    /// println!("{profile}");
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`run`](Traced::run).
    pub fn profile(&self, inputs: &[Array], runs: usize) -> Result<Profile, Error> {
        self.expect_closed()?;
        let program = self.program.compiled(&self.graph)?;
        let steps: Result<Vec<_>, _> = (0..runs.max(1))
            .map(|_| program.profile(inputs).map(|(_, steps)| steps))
            .collect();
        Ok(Profile::new(program.plan().to_string(), &steps?))
    }

    /// The bytes that a run holds, and what a [memory budget](crate::Function::with_memory_budget) costs.
    /// Compiles the graph, if that has not been done.
    ///
    /// ```
    /// use cotangent::{DType, Function, Tensor, TensorType};
    /// let f = Function::new(|x: &Tensor| x.exp());
    /// let traced = f.trace(&(TensorType::new(DType::F64, [100]),))?;
    /// // Argument and result, and what one step works with.
    /// assert!((1600..32_000).contains(&traced.memory()?.bytes));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// A graph that cannot be compiled.
    pub fn memory(&self) -> Result<Memory, Error> {
        let plan = self.program.compiled(&self.graph)?.plan();
        let (arena, time) = match plan.unlimited {
            Some(free) => (free.arena, free.time),
            None => (plan.arena, plan.time),
        };
        Ok(Memory {
            bytes: plan.memory(),
            without_budget: plan.held().saturating_add(arena),
            slowdown: plan.time.max(1) as f64 / time.max(1) as f64,
        })
    }
}
