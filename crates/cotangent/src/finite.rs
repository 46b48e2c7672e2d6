//! Finite differences: derivatives from values of the function alone.
//!
//! They are slower and less exact than the engine's own derivatives, which makes them good for two
//! things: checking, and seeing why one wants better. A difference over a step h is off by the terms
//! that the Taylor series goes on with (h for forward, h^2 for central differences) and by the
//! rounding of the function, about eps / h; the best step balances the two (Press, Teukolsky,
//! Vetterling and Flannery, Numerical Recipes, 3rd edition, 5.7).

use cotangent_graph::TensorType;

use crate::function::{Signature, Traced, signature_of};
use crate::tree::from_leaves;
use crate::{Argument, Array, DType, Error, Function, Tensor, Tree};

/// How a derivative is estimated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Difference {
    /// (f(x + h) - f(x)) / h: one more value for each direction; about half of the digits.
    Forward,
    /// (f(x + h) - f(x - h)) / 2h: two values for each direction; about two thirds of the digits.
    #[default]
    Central,
    /// Central differences over ever smaller steps, extrapolated to the step 0 (Ridders, Accurate
    /// computation of F'(x) and F'(x) F''(x), 1982): 20 values for each direction, nearly all
    /// digits, and an estimate of the error that is to be trusted.
    Richardson,
}

/// Finite differences of a function; see [`Function::finite_differences`].
#[derive(Clone, Debug)]
pub struct FiniteDifferences<I, O> {
    f: Function<I, O>,
    method: Difference,
    step: Option<f64>,
}

/// Ridders' method: how much smaller each step is, how many there are, and how much worse than the
/// best an estimate may become before rounding is taken to rule.
const SHRINK: f64 = 1.4;
const STEPS: usize = 10;
const SAFE: f64 = 2.0;

/// How often a step is halved when the function has no value there.
const RETRIES: usize = 30;

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// Derivatives by finite differences, central ones unless chosen otherwise.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor, finite::Difference};
    /// let f = Function::new(|x: &Tensor| x.sin().sum(..));
    /// let x = Array::from([0.5, 1.0]);
    /// let exact = f.grad().call((x.clone(),))?.to_f64s();
    /// for (method, tolerance) in [(Difference::Forward, 1e-7), (Difference::Central, 1e-10), (Difference::Richardson, 1e-12)] {
    ///     let found = f.finite_differences().method(method).gradient(&(x.clone(),))?.to_f64s();
    ///     assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() < tolerance));
    /// }
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn finite_differences(&self) -> FiniteDifferences<I, O> {
        FiniteDifferences {
            f: self.clone(),
            method: Difference::default(),
            step: None,
        }
    }
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> FiniteDifferences<I, O> {
    /// The same by another method.
    #[must_use]
    pub fn method(self, method: Difference) -> Self {
        FiniteDifferences { method, ..self }
    }

    /// The same with a step of one's own, along each direction as it stands. Without it the step is
    /// the largest of 1 and the magnitudes that move, times eps^(1/2) for forward and eps^(1/3) for
    /// central differences; Richardson's begin with that of central ones or 1/8, whichever is larger. eps
    /// is that of the least exact dtype around.
    #[must_use]
    pub fn step(self, step: f64) -> Self {
        FiniteDifferences {
            step: Some(step),
            ..self
        }
    }

    /// The derivative in a direction, a tangent for each argument, and an estimate of the error of
    /// its worst element. Only Richardson's estimate measures anything; for the others it is the error
    /// that a function of ordinary size has.
    ///
    /// ```
    /// use cotangent::{Function, Tensor, finite::Difference};
    /// let f = Function::new(|x: &Tensor, y: &Tensor| x.exp() * y);
    /// let d = f.finite_differences().method(Difference::Richardson);
    /// let (slope, error) = d.derivative(&(1.0.into(), 3.0.into()), &(1.0.into(), 0.0.into()))?;
    /// assert!((slope.item::<f64>()? - 3.0 * 1.0_f64.exp()).abs() <= error.max(1e-12) && error < 1e-9);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Function::call`]; directions of other types than the arguments.
    pub fn derivative(
        &self,
        arguments: &I::Of<Array>,
        directions: &I::Of<Array>,
    ) -> Result<(O::Of<Array>, f64), Error> {
        let (signature, of) = (signature_of(arguments), signature_of(directions));
        crate::function::expect_like("directions", "arguments", &signature, &of)?;
        let problem = self.problem(arguments, &signature)?;
        let directions: Vec<Vec<f64>> = directions
            .leaves()
            .into_iter()
            .map(|d| {
                if d.dtype().is_float() {
                    d.to_f64s()
                } else {
                    Vec::new()
                }
            })
            .collect();
        let estimate = problem.along(&directions)?;
        let arrays = estimate
            .values
            .into_iter()
            .zip(problem.traced.graph().output_types());
        let arrays: Result<Vec<Array>, Error> = arrays.map(|(v, ty)| array(v, &ty)).collect();
        let result = from_leaves(problem.traced.result(), arrays?)?;
        Ok((result, estimate.error))
    }

    fn problem(&self, arguments: &I::Of<Array>, signature: &Signature) -> Result<Problem, Error> {
        let traced = self.f.trace(arguments)?;
        let single = |t: &TensorType| t.dtype == DType::F32;
        let outputs = traced.graph().output_types();
        let eps = if signature.types.iter().chain(&outputs).any(single) {
            f64::from(f32::EPSILON)
        } else {
            f64::EPSILON
        };
        Ok(Problem {
            leaves: arguments.leaves().into_iter().cloned().collect(),
            traced,
            method: self.method,
            step: self.step,
            eps,
        })
    }
}

impl<I: Tree<Tensor> + 'static> FiniteDifferences<I, Tensor> {
    /// The gradient of a scalar function with respect to the first argument.
    ///
    /// # Errors
    /// As [`Function::call`]; a function that gives no scalar.
    #[allow(clippy::type_complexity)]
    pub fn gradient(
        &self,
        arguments: &I::Of<Array>,
    ) -> Result<<<I as Argument<0>>::Tree as Tree<Tensor>>::Of<Array>, Error>
    where
        I: Argument<0>,
    {
        let traced = self.f.trace(arguments)?;
        let out = traced.graph().output_types();
        match &out[..] {
            [one] if one.rank() == 0 && one.dtype.is_float() => self.jacobian(arguments),
            _ => Err(Error::Argument(format!(
                "`{}` gives {}: expected one scalar of type f64 or f32 to take the gradient of",
                traced.graph().name(),
                out.first()
                    .map_or(String::from("nothing"), |t| t.to_string()),
            ))),
        }
    }

    /// The Jacobian with respect to the first argument: for each leaf of it an array of the result's
    /// shape followed by the leaf's shape.
    ///
    /// # Errors
    /// As [`Function::call`].
    #[allow(clippy::type_complexity)]
    pub fn jacobian(
        &self,
        arguments: &I::Of<Array>,
    ) -> Result<<<I as Argument<0>>::Tree as Tree<Tensor>>::Of<Array>, Error>
    where
        I: Argument<0>,
    {
        let signature = signature_of(arguments);
        let problem = self.problem(arguments, &signature)?;
        let (structure, range) = signature.argument(0)?;
        let Some(out) = problem.traced.graph().output_types().into_iter().next() else {
            return Err(Error::Argument(format!(
                "`{}` gave no result",
                problem.traced.graph().name()
            )));
        };
        let rows = out.shape.elements();
        let mut leaves = Vec::new();
        for l in range {
            let Some(ty) = signature.types.get(l) else {
                continue;
            };
            let columns = ty.shape.elements();
            let shape = [out.shape.dims(), ty.shape.dims()].concat();
            let mut values = vec![0.0; rows.saturating_mul(columns)];
            for j in 0..if ty.dtype.is_float() { columns } else { 0 } {
                let mut directions = vec![Vec::new(); problem.leaves.len()];
                if let Some(d) = directions.get_mut(l) {
                    d.resize(columns, 0.0);
                    if let Some(one) = d.get_mut(j) {
                        *one = 1.0;
                    }
                }
                let column = problem.along(&directions)?.values.into_iter().next();
                for (i, x) in column.unwrap_or_default().into_iter().enumerate() {
                    if let Some(v) = values.get_mut(i * columns + j) {
                        *v = x;
                    }
                }
            }
            leaves.push(array(values, &ty.with_shape(shape))?);
        }
        Ok(from_leaves(structure, leaves)?)
    }
}

struct Problem {
    leaves: Vec<Array>,
    traced: std::sync::Arc<Traced>,
    method: Difference,
    step: Option<f64>,
    eps: f64,
}

struct Estimate {
    /// For each leaf of the result.
    values: Vec<Vec<f64>>,
    error: f64,
}

impl Problem {
    /// The derivative in a direction; an empty list is the direction 0.
    fn along(&self, directions: &[Vec<f64>]) -> Result<Estimate, Error> {
        let eps = self.eps;
        let width = |part: f64, least: f64| {
            self.step
                .unwrap_or_else(|| self.width(directions, part, least))
        };
        match self.method {
            Difference::Forward => {
                let h = width(eps.sqrt(), 0.0);
                let (here, there) = (self.at(directions, 0.0)?, self.at(directions, h)?);
                Ok(self.plain(&here, &there, h, eps.sqrt()))
            }
            Difference::Central => {
                let h = width(eps.cbrt(), 0.0);
                let (left, right) = (self.at(directions, -h)?, self.at(directions, h)?);
                Ok(self.plain(&left, &right, 2.0 * h, eps.powf(2.0 / 3.0)))
            }
            // Wide, because the smaller steps follow, but not as wide as |x|: a wave would be jumped.
            Difference::Richardson => self.extrapolated(directions, width(eps.cbrt(), 0.125)),
        }
    }

    /// The step that is so much of the largest magnitude that moves, or of 1, and no less than
    /// `least`, in units of the direction's largest element.
    fn width(&self, directions: &[Vec<f64>], part: f64, least: f64) -> f64 {
        let (mut x, mut d) = (1.0_f64, 0.0_f64);
        for (leaf, direction) in self
            .leaves
            .iter()
            .zip(directions)
            .filter(|(_, d)| !d.is_empty())
        {
            for (a, b) in leaf.to_f64s().into_iter().zip(direction) {
                if *b != 0.0 {
                    x = x.max(a.abs());
                    d = d.max(b.abs());
                }
            }
        }
        // A power of two, so that steps from round numbers are exact.
        let width = (part * x).max(least) / if d > 0.0 { d } else { 1.0 };
        let rounded = width.log2().round().exp2();
        if rounded.is_finite() && rounded > 0.0 {
            rounded
        } else {
            least.max(part)
        }
    }

    /// The results at x + h d. The arguments are rounded to their dtypes, which the step should
    /// survive.
    fn at(&self, directions: &[Vec<f64>], h: f64) -> Result<Vec<Vec<f64>>, Error> {
        let mut inputs = Vec::with_capacity(self.leaves.len());
        for (leaf, direction) in self.leaves.iter().zip(directions) {
            if direction.is_empty() {
                inputs.push(leaf.clone());
                continue;
            }
            let mut x = leaf.to_f64s();
            for (x, d) in x.iter_mut().zip(direction) {
                *x += h * d;
            }
            let moved = Array::new(leaf.shape().clone(), x)?;
            inputs.push(moved.convert(leaf.dtype()));
        }
        let outputs = self.traced.run(&inputs)?;
        Ok(outputs.iter().map(Array::to_f64s).collect())
    }

    fn plain(&self, from: &[Vec<f64>], to: &[Vec<f64>], width: f64, relative: f64) -> Estimate {
        let mut size = 0.0_f64;
        let values: Vec<Vec<f64>> = from
            .iter()
            .zip(to)
            .map(|(a, b)| {
                let slope = |(a, b): (&f64, &f64)| {
                    let slope = (b - a) / width;
                    size = size.max(slope.abs()).max(a.abs());
                    slope
                };
                a.iter().zip(b).map(slope).collect()
            })
            .collect();
        Estimate {
            values,
            error: relative * size.max(1.0),
        }
    }

    /// Ridders' method, element by element: a tableau whose columns extrapolate the powers h^2, h^4,
    /// ... away. The best entry is the one that differs least from its neighbours.
    fn extrapolated(&self, directions: &[Vec<f64>], first: f64) -> Result<Estimate, Error> {
        let mut h = first;
        let (mut row, mut size) = self.central(directions, h)?;
        for _ in 0..RETRIES {
            // Outside of the domain, say of a logarithm: closer.
            if row.iter().flatten().all(|x| x.is_finite()) {
                break;
            }
            h *= 0.5;
            (row, size) = self.central(directions, h)?;
        }
        // What rounding leaves open, of the results and of the arguments: agreement between two
        // estimates may be closer than that by chance.
        let moved = self
            .leaves
            .iter()
            .zip(directions)
            .filter(|(_, d)| !d.is_empty());
        let largest = moved
            .flat_map(|(x, _)| x.to_f64s())
            .fold(1.0_f64, |m, x| m.max(x.abs()));
        let rounding = self.eps * size * largest / h;
        let counts: Vec<usize> = row.iter().map(Vec::len).collect();
        let mut best: Vec<f64> = row.concat();
        let mut errors = vec![f64::INFINITY; best.len()];
        let mut done = vec![false; best.len()];
        let mut tableau: Vec<Vec<f64>> = vec![best.clone()];
        for _ in 1..STEPS {
            h /= SHRINK;
            let mut next: Vec<Vec<f64>> = vec![self.central(directions, h)?.0.concat()];
            let mut factor = SHRINK * SHRINK;
            for before in &tableau {
                let Some(last) = next.last() else { break };
                let pairs = last.iter().zip(before);
                let better: Vec<f64> = pairs
                    .map(|(a, b)| (a * factor - b) / (factor - 1.0))
                    .collect();
                for (e, x) in better.iter().enumerate().filter(|(e, _)| !done[*e]) {
                    let error = (x - last[e]).abs().max((x - before[e]).abs());
                    if error <= errors[e] {
                        errors[e] = error;
                        best[e] = *x;
                    }
                }
                next.push(better);
                factor *= SHRINK * SHRINK;
            }
            if let (Some(new), Some(old)) = (next.last(), tableau.last()) {
                for (e, done) in done.iter_mut().enumerate() {
                    // Higher orders have become worse: rounding rules from here on.
                    *done |= (new[e] - old[e]).abs() >= SAFE * errors[e];
                }
            }
            tableau = next;
        }
        let error = errors.iter().copied().fold(rounding, f64::max);
        let mut rest = best.into_iter();
        Ok(Estimate {
            values: counts
                .iter()
                .map(|n| rest.by_ref().take(*n).collect())
                .collect(),
            error,
        })
    }

    /// Central differences, and the largest of 1, the results and the differences.
    fn central(&self, directions: &[Vec<f64>], h: f64) -> Result<(Vec<Vec<f64>>, f64), Error> {
        let (left, right) = (self.at(directions, -h)?, self.at(directions, h)?);
        let found = self.plain(&left, &right, 2.0 * h, 1.0);
        Ok((found.values, found.error))
    }
}

/// Estimates as an array of a type; zeros where it has no derivative.
fn array(values: Vec<f64>, ty: &TensorType) -> Result<Array, Error> {
    if !ty.dtype.is_float() {
        return Ok(Array::zeros(ty.dtype, &ty.shape)?);
    }
    Ok(Array::new(ty.shape.clone(), values)?.convert(ty.dtype))
}
