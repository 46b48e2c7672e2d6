//! Derivatives of functions against differences of the functions that they are derivatives of.

use std::ops::Range;
use std::sync::Arc;

use cotangent_graph::eval;
use cotangent_transform as transform;

use super::numeric::{Random, differences, flat, paired};
use super::{Check, Report, program, widen};
use crate::function::{Inner, Signature, signature_of};
use crate::{Array, Error, Function, Graph, Tensor, Tree};

/// The function that something is a derivative of.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) inner: Arc<Inner>,
    pub(crate) kind: Derivative,
}

/// What kind of derivative.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Derivative {
    /// The gradient of the first result, with all results in front of it or not.
    Gradient { argument: usize, value: bool },
    /// Takes arguments and tangents, gives results and tangents.
    Jvp,
    /// Takes arguments and cotangents, gives results and cotangents.
    Vjp,
    /// The Jacobian of the only result.
    Jacobian { argument: usize },
    /// Takes arguments and a tangent of the first, gives the gradient's tangent.
    Hvp,
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// Checks the function numerically at these arguments, and returns a report with the numbers.
    ///
    /// The program is compared with the reference evaluator. For a derivative the numbers that it
    /// gives are compared with central differences of the function that it is a derivative of; then
    /// that function's derivatives are checked: along a random direction v against differences, both
    /// modes with each other, <u, J v> = <J^T u, v>, and the second derivatives likewise. For any
    /// other function it is its own derivatives that are checked. Where a derivative is right at a
    /// kink by convention, so is the report.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x.sin() * x).sum(..));
    /// let report = f.grad().verify(([0.3, 1.7].into(),))?.into_result()?;
    /// println!("{report}");
    /// assert!(report.checks().iter().all(|c| c.error().is_none_or(|e| e < 1e-6)));
    ///
    /// // A wrong rule is found.
    /// let wrong = f.with_jvp(|(x,): (Tensor,), _: Tensor, (t,): (Tensor,)| (x.cos() * t).sum(..));
    /// let error = wrong.grad().verify(([0.3, 1.7].into(),))?.into_result().unwrap_err();
    /// assert!(error.to_string().contains("gradient against central differences: FAILED"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`call`](Function::call). Checks that fail are in the report;
    /// [`into_result`](Report::into_result) makes an error of them.
    pub fn verify(&self, arguments: I::Of<Array>) -> Result<Report, Error> {
        let leaves: Vec<Array> = arguments.leaves().into_iter().cloned().collect();
        let signature = signature_of(&arguments);
        let traced = self.inner().traced(&signature).map_err(|f| *f.error)?;
        traced.expect_closed()?;
        let Some(base) = self.inner().base() else {
            return super::graph(traced.graph(), &leaves, 0);
        };
        let mut report = Report::default();
        report.add(program(traced.graph(), &leaves))?;
        let own = match base.kind {
            Derivative::Gradient { .. } | Derivative::Jacobian { .. } => signature,
            Derivative::Jvp | Derivative::Vjp | Derivative::Hvp => signature.part(0)?,
        };
        let f = base.inner.traced(&own).map_err(|f| *f.error)?;
        let point = Point {
            derivative: widen::widen(traced.graph())?,
            f: widen::widen(f.graph())?,
            given: leaves.iter().map(widen::widen_array).collect(),
            own: own.types.len(),
        };
        report.add(point.check(base.kind, &own)?)?;
        let inputs = leaves.get(..own.types.len()).unwrap_or_default();
        report
            .checks
            .extend(super::graph(f.graph(), inputs, 0)?.checks);
        Ok(report)
    }
}

/// A derivative and its function in f64, and the arguments of the derivative.
struct Point {
    derivative: Graph,
    f: Graph,
    given: Vec<Array>,
    /// How many of them are the function's.
    own: usize,
}

impl Point {
    /// What the derivative says along a direction, against differences of the function.
    fn check(&self, kind: Derivative, signature: &Signature) -> Result<Check, Error> {
        let found = eval(&self.derivative, &self.given)?;
        let results = self.f.outputs().len();
        let (x, rest) = self.given.split_at(self.own.min(self.given.len()));
        let mut random = Random::new(2);
        let mut drawn = |range: Range<usize>| -> Result<Vec<Array>, Error> {
            Ok(random.like(x.get(range).unwrap_or_default())?)
        };
        let behind = found.get(results..).unwrap_or_default();
        let all = |f: &[Array]| inexact(f);
        match kind {
            Derivative::Gradient { argument, value } => {
                let (_, range) = signature.argument(argument)?;
                let gradient = if value { behind } else { &found };
                let v = drawn(range.clone())?;
                let slope = product(gradient, &v);
                let name = "gradient against central differences";
                self.differences(name, range, &v, &[slope], |f| {
                    inexact(f.get(..1).unwrap_or_default())
                })
            }
            Derivative::Jvp => {
                let name = "tangents against central differences";
                self.differences(name, 0..self.own, rest, &inexact(behind), all)
            }
            Derivative::Vjp => {
                let v = drawn(0..self.own)?;
                let slope = product(behind, &v);
                let name = "cotangents against central differences";
                self.differences(name, 0..self.own, &v, &[slope], |f| vec![product(rest, f)])
            }
            Derivative::Jacobian { argument } => {
                let (_, range) = signature.argument(argument)?;
                let v = drawn(range.clone())?;
                let count = self
                    .f
                    .output_types()
                    .first()
                    .map_or(0, |t| t.shape.elements());
                let mut slopes = vec![0.0; count];
                for (j, v) in found.iter().zip(&v).filter(|(j, _)| j.dtype().is_inexact()) {
                    let (j, v) = (j.to_f64s(), v.to_f64s());
                    for (slope, row) in slopes.iter_mut().zip(j.chunks(v.len().max(1))) {
                        *slope += row.iter().zip(&v).map(|(j, v)| j * v).sum::<f64>();
                    }
                }
                let name = "Jacobian against central differences";
                self.differences(name, range, &v, &slopes, all)
            }
            Derivative::Hvp => {
                let (_, range) = signature.argument(0)?;
                let wrt: Vec<bool> = (self.f.input_types().iter().enumerate())
                    .map(|(i, t)| range.contains(&i) && t.dtype.is_inexact())
                    .collect();
                let gradient = Point {
                    f: transform::grad(&self.f, &wrt)?,
                    derivative: self.derivative.clone(),
                    given: self.given.clone(),
                    own: self.own,
                };
                let name = "second derivative against central differences";
                gradient.differences(name, range, rest, &inexact(&found), all)
            }
        }
    }

    /// Differences along `direction`, one array for each argument in the range; only those that can
    /// be differentiated move.
    fn differences(
        &self,
        name: &str,
        range: Range<usize>,
        direction: &[Array],
        slopes: &[f64],
        numbers: impl Fn(&[Array]) -> Vec<f64>,
    ) -> Result<Check, Error> {
        let moves = |i: &usize| self.given.get(*i).is_some_and(|a| a.dtype().is_inexact());
        let places: Vec<usize> = range.clone().filter(moves).collect();
        let x: Vec<Array> = places
            .iter()
            .filter_map(|i| self.given.get(*i))
            .cloned()
            .collect();
        let along: Vec<Array> = places
            .iter()
            .filter_map(|i| direction.get(i - range.start))
            .cloned()
            .collect();
        differences(name, &x, &along, slopes, true, |moved| {
            let mut inputs = self.given.get(..self.own).unwrap_or_default().to_vec();
            for (i, array) in places.iter().zip(moved) {
                if let Some(input) = inputs.get_mut(*i) {
                    *input = array.clone();
                }
            }
            Ok(numbers(&eval(&self.f, &inputs)?))
        })
    }
}

/// The numbers of those arrays that can be differentiated.
fn inexact(arrays: &[Array]) -> Vec<f64> {
    let inexact = arrays.iter().filter(|a| a.dtype().is_inexact());
    flat(&inexact.cloned().collect::<Vec<Array>>())
}

/// The product of cotangents and tangents, leaf by leaf; what has no derivative does not count.
fn product(cotangents: &[Array], tangents: &[Array]) -> f64 {
    let pairs = cotangents.iter().zip(tangents);
    let pairs = pairs.filter(|(c, t)| c.dtype().is_inexact() && t.dtype().is_inexact());
    pairs
        .flat_map(|(c, t)| {
            let (c, t) = (
                paired(std::slice::from_ref(c)),
                flat(std::slice::from_ref(t)),
            );
            c.into_iter()
                .zip(t)
                .map(|(c, t)| c * t)
                .collect::<Vec<f64>>()
        })
        .sum()
}
