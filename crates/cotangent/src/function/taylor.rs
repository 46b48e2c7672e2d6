//! Taylor mode: derivatives of high order along curves.

use cotangent_graph::ops::region::stacked;
use cotangent_graph::ops::{Concat, Pad};
use cotangent_graph::{Builder, Var};
use cotangent_transform as transform;

use super::derivative::{expect_like, floats, halves, inputs};
use super::{Failed, Function, Inner, Signature, Traced};
use crate::tree::Structure;
use crate::{Error, Graph, Tensor, TensorType, Tree};

/// Taylor coefficients.
///
/// The coefficient of t^k is the k-th derivative divided by k!. Leaves that are not floats do not
/// move: what is given for them is ignored, and their own coefficients are zeros.
impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The function along curves: takes the arguments, which are the curves at t = 0, and the
    /// coefficients of t, t^2, ... of each, stacked along a leading axis; gives the result and its
    /// coefficients, stacked likewise. The order is the length of that axis, 1 to 255.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor, y: &Tensor| x * y);
    /// // x(t) = 2 + t, y(t) = 3 + t^2, so x y = 6 + 3 t + 2 t^2 + t^3.
    /// let curves = (Array::from([1.0, 0.0, 0.0]), Array::from([0.0, 1.0, 0.0]));
    /// let (value, c) = f.jet().call(((2.0.into(), 3.0.into()), curves))?;
    /// assert_eq!((value, c), (6.0.into(), [3.0, 2.0, 1.0].into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn jet(&self) -> Function<(I, I), (O, O)> {
        let inner = self.inner().clone();
        Function::from_build(&format!("{}_jet", inner.name()), move |signature| {
            build_jet(signature, &inner)
        })
    }

    /// The Taylor polynomial along a straight line, t -> f(x + t v): takes the arguments and a
    /// direction for each, gives the coefficients of 1, t, ..., t^`order` of each leaf of the result
    /// along a leading axis.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| 1.0 / (1.0 - x));
    /// let c = f.taylor(4).call(((0.0.into(),), (1.0.into(),)))?;
    /// assert_eq!(c, [1.0, 1.0, 1.0, 1.0, 1.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn taylor(&self, order: usize) -> Function<(I, I), O> {
        let inner = self.inner().clone();
        Function::from_build(&format!("{}_taylor", inner.name()), move |signature| {
            build_taylor(signature, &inner, order)
        })
    }
}

fn build_jet(signature: &Signature, f: &Inner) -> Result<Traced, Failed> {
    let (primal, curves) = halves(signature)?;
    let twice = |s: &Structure| Structure::list("tuple", [s.clone(), s.clone()]);
    let traced = f.traced(&primal).map_err(|e| Failed {
        result: e.result.as_ref().map(&twice),
        error: e.error,
    })?;
    let result = twice(&traced.result);
    let graph = || -> Result<Graph, Error> {
        let graph = &traced.graph;
        let wrt = floats(&primal, graph);
        let mut moving = curves.types.iter().zip(&wrt).filter(|(_, w)| **w);
        let order = moving
            .find_map(|(t, _)| t.shape.first().copied())
            .unwrap_or(0);
        let expected = Signature {
            structure: primal.structure.clone(),
            types: primal.types.iter().map(|t| stacked(t, order)).collect(),
        };
        expect_like(
            "coefficients",
            "arguments with a leading axis",
            &expected,
            &curves,
        )?;
        let mut b = Builder::new(&format!("{}_jet", graph.name()));
        let (args, stacks) = start(&mut b, graph, &primal, &curves);
        let chosen = stacks
            .iter()
            .zip(&wrt)
            .filter(|(_, w)| **w)
            .map(|(c, _)| *c);
        let args: Vec<Var> = args.into_iter().chain(chosen).collect();
        let (mut values, coefficients) = run(&mut b, graph, &wrt, order, &args)?;
        values.extend(coefficients);
        Ok(b.finish(&values)?.without_dead_code())
    };
    match graph() {
        Ok(graph) => Ok(Traced::new(graph, result, traced.captures.clone())),
        Err(e) => Err(Failed::known(&result, e)),
    }
}

fn build_taylor(signature: &Signature, f: &Inner, order: usize) -> Result<Traced, Failed> {
    let (primal, directions) = halves(signature)?;
    let traced = f.traced(&primal)?;
    let graph = || -> Result<Graph, Error> {
        expect_like("directions", "arguments", &primal, &directions)?;
        let graph = &traced.graph;
        let wrt = floats(&primal, graph);
        let mut b = Builder::new(&format!("{}_taylor", graph.name()));
        let (mut args, directions) = start(&mut b, graph, &primal, &directions);
        for (v, _) in directions.iter().zip(&wrt).filter(|(_, w)| **w) {
            // The direction is the coefficient of t; all others are zero.
            let ty = b.tensor(*v);
            let row = b.reshape(*v, stacked(&ty, 1).shape);
            let none = vec![0; ty.rank() + 1];
            let mut high = none.clone();
            if let Some(first) = high.first_mut() {
                *first = order.clamp(1, transform::MAX_ORDER) - 1;
            }
            let zero = b.scalar(ty.dtype, 0.0);
            let pad = Pad {
                low: none.clone(),
                high,
                interior: none,
            };
            args.push(b.push(pad, &[row, zero]));
        }
        let (values, coefficients) = run(&mut b, graph, &wrt, order, &args)?;
        let all = values.iter().zip(coefficients).map(|(v, c)| {
            let ty = b.tensor(*v);
            let first = b.reshape(*v, stacked(&ty, 1).shape);
            b.push(Concat { axis: 0 }, &[first, c])
        });
        let all: Vec<Var> = all.collect();
        Ok(b.finish(&all)?.without_dead_code())
    };
    match graph() {
        Ok(graph) => Ok(Traced::new(
            graph,
            traced.result.clone(),
            traced.captures.clone(),
        )),
        Err(e) => Err(Failed::known(&traced.result, e)),
    }
}

/// Inputs: the arguments, their curves, and what the trace captured. Given back are the inputs of
/// the graph itself, and the curves.
fn start(
    b: &mut Builder,
    graph: &Graph,
    primal: &Signature,
    curves: &Signature,
) -> (Vec<Var>, Vec<Var>) {
    let count = primal.types.len();
    let mut args = inputs(b, graph, 0..count, "");
    let names = graph.inputs().iter().zip(&curves.types);
    let curves = names
        .map(|((n, _), t)| b.input(&format!("c_{n}"), t.clone()))
        .collect();
    args.extend(inputs(b, graph, count..graph.inputs().len(), ""));
    (args, curves)
}

/// The values and the stacked coefficients of all outputs, zeros for those that are no floats.
fn run(
    b: &mut Builder,
    graph: &Graph,
    wrt: &[bool],
    order: usize,
    args: &[Var],
) -> Result<(Vec<Var>, Vec<Var>), Error> {
    let jet = transform::jet(graph, wrt, order)?;
    let mut values = b.inline(&jet, args);
    let types: Vec<TensorType> = graph.output_types();
    let mut found = values.split_off(types.len().min(values.len())).into_iter();
    let coefficients = types.iter().map(|ty| {
        let c = if ty.dtype.is_float() {
            found.next()
        } else {
            None
        };
        c.unwrap_or_else(|| b.zeros(&stacked(ty, order)))
    });
    Ok((values, coefficients.collect()))
}
